//! `limits:` of a policy.

use lagan_policy::Limits;

use crate::decode::{Fields, Schema, number};
use crate::error::{Problems, Read};
use crate::source::Span;
use crate::tree::{Node, Style, Value};

pub(crate) const SCHEMA: Schema = Schema {
    what: "`limits`",
    keys: &[
        "max_deletions",
        "max_percent_per_repository",
        "keep_at_least",
        "max_change_from_last_run",
    ],
    later: &[],
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
    let change = fields.optional("max_change_from_last_run", |node| {
        if is_off(node) {
            Ok(None)
        } else {
            factor(node, problems).map(Some)
        }
    });
    let (defaults, percent) = (Limits::default(), percent?);
    Ok(Limits {
        max_deletions: deletions?.unwrap_or(defaults.max_deletions),
        max_percent_per_repository: percent.unwrap_or(defaults.max_percent_per_repository),
        keep_at_least: least?.unwrap_or(defaults.keep_at_least),
        max_change_from_last_run: change?.unwrap_or(defaults.max_change_from_last_run),
    })
}

fn is_off(node: &Node) -> bool {
    matches!(&node.value, Value::Scalar { text, .. } if text == "off")
}

/// A number behind which a sign may stand.
fn with_sign(node: &Node, sign: char, wanted: &str, problems: &mut Problems<'_>) -> Read<u64> {
    match &node.value {
        Value::Scalar { text, .. } if text.ends_with(sign) => {
            let value = Value::Scalar {
                text: text.strip_suffix(sign).unwrap_or(text).to_owned(),
                style: Style::Argument,
            };
            let span = node.span;
            number(&Node { span, value }, wanted, problems)
        }
        _ => number(node, wanted, problems),
    }
}

fn percent(node: &Node, problems: &mut Problems<'_>) -> Read<u8> {
    let percent = with_sign(node, '%', "a whole number of percent, or `off`", problems)?;
    match u8::try_from(percent) {
        Ok(percent @ 1..=100) => Ok(percent),
        _ => {
            let message = format!("{percent} is not from 1 to 100 percent");
            Err(problems.report(node.span, message, Some("`off` lifts the limit".to_owned())))
        }
    }
}

fn factor(node: &Node, problems: &mut Problems<'_>) -> Read<u32> {
    let factor = with_sign(node, 'x', "a factor such as `5x`, or `off`", problems)?;
    match u32::try_from(factor) {
        Ok(factor @ 1..) => Ok(factor),
        _ => {
            let message = format!("{factor} is no factor");
            Err(problems.report(
                node.span,
                message,
                Some("a factor is at least 1; `off` lifts the limit".to_owned()),
            ))
        }
    }
}
