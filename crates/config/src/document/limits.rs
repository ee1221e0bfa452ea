//! `limits:` of a policy.

use lagan_policy::Limits;

use crate::decode::{Fields, Schema, number};
use crate::error::{Problems, Read};
use crate::source::Span;
use crate::tree::{Node, Style, Value};

const SCHEMA: Schema = Schema {
    what: "`limits`",
    keys: &["max_deletions", "max_percent_per_repository", "keep_at_least"],
    later: &["max_change_from_last_run"],
};

/// Reads the limits; what is not given has its default.
pub(crate) fn decode(node: &Node, place: Span, problems: &mut Problems<'_>) -> Read<Limits> {
    let fields = Fields::open(node, place, &SCHEMA, problems)?;
    let deletions = fields.optional("max_deletions", |node| {
        if is_off(node) {
            Ok(None)
        } else {
            number(node, "a whole number or `off`", problems).map(Some)
        }
    });
    let percent = fields.optional("max_percent_per_repository", |node| {
        if is_off(node) {
            Ok(None)
        } else {
            percent(node, problems).map(Some)
        }
    });
    let least = fields.optional("keep_at_least", |node| number(node, "a whole number", problems));
    let (defaults, percent) = (Limits::default(), percent?);
    Ok(Limits {
        max_deletions: deletions?.unwrap_or(defaults.max_deletions),
        max_percent_per_repository: percent.unwrap_or(defaults.max_percent_per_repository),
        keep_at_least: least?.unwrap_or(defaults.keep_at_least),
    })
}

fn is_off(node: &Node) -> bool {
    matches!(&node.value, Value::Scalar { text, style: Style::Plain } if text == "off")
}

fn percent(node: &Node, problems: &mut Problems<'_>) -> Read<u8> {
    const WANTED: &str = "a whole number of percent, or `off`";
    let percent = match &node.value {
        Value::Scalar { text, style } if text.ends_with('%') => {
            let number_only = text.trim_end_matches('%').to_owned();
            let value = Value::Scalar {
                text: number_only,
                style: *style,
            };
            number(
                &Node {
                    span: node.span,
                    value,
                },
                WANTED,
                problems,
            )?
        }
        _ => number(node, WANTED, problems)?,
    };
    match u8::try_from(percent) {
        Ok(percent @ 1..=100) => Ok(percent),
        _ => {
            let message = format!("{percent} is not from 1 to 100 percent");
            Err(problems.report(node.span, message, Some("`off` lifts the limit".to_owned())))
        }
    }
}
