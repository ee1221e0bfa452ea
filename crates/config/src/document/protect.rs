//! `protect:` of a policy.

use std::sync::Arc;

use chrono::NaiveDate;
use lagan_policy::{Protection, ProtectionPattern};

use super::select::{channels, flag, globs, labels, regex};
use crate::decode::{Fields, Schema, all, label, parsed, sequence, text};
use crate::error::{Problems, Read};
use crate::source::quoted;
use crate::tree::{Node, Value};

pub(crate) const SCHEMA: Schema = Schema {
    what: "a protection",
    keys: &["tags", "regex", "channel", "labels", "signed", "until", "why"],
    later: &[],
};

/// Reads the entries: globs, or mappings.
pub(crate) fn decode(node: &Node, problems: &mut Problems<'_>) -> Read<Vec<Protection>> {
    all(sequence(node, "a list of protections", problems)?, |item| {
        entry(item, problems)
    })
}

fn entry(node: &Node, problems: &mut Problems<'_>) -> Read<Protection> {
    if let Value::Scalar { .. } = node.value {
        let glob = parsed(node, "a glob or a mapping", problems)?;
        return Ok(Protection {
            pattern: ProtectionPattern::Tags(vec![glob]),
            until: None,
            why: None,
        });
    }
    let fields = Fields::open(node, node.span, &SCHEMA, problems)?;
    let tags = fields.optional("tags", |node| globs(node, problems).map(ProtectionPattern::Tags));
    let regex = fields.optional("regex", |node| {
        regex(node, problems).map(ProtectionPattern::Regex)
    });
    let channel = fields.optional("channel", |node| {
        channels(node, problems).map(ProtectionPattern::Channel)
    });
    let labels = fields.optional("labels", |node| {
        labels(node, problems).map(ProtectionPattern::Labels)
    });
    let signed = flag(&fields, "signed", problems).map(|signed| signed.then_some(ProtectionPattern::Signed));
    let until = fields.optional("until", |node| date(node, problems));
    let why = fields.optional("why", |node| label(node, "the reason", problems).map(Arc::from));
    let (until, why) = (until?, why?);
    let mut patterns = [tags?, regex?, channel?, labels?, signed?].into_iter().flatten();
    match (patterns.next(), patterns.next()) {
        (Some(pattern), None) => Ok(Protection { pattern, until, why }),
        (None, _) => {
            fields.incomplete()?;
            Err(problems.report(
                node.span,
                "a protection needs one of `tags`, `regex`, `channel`, `labels`, `signed`",
                None,
            ))
        }
        (Some(_), Some(_)) => {
            let hint = Some("write one entry for each: protections are alternatives".to_owned());
            Err(problems.report(
                node.span,
                "a protection has one of `tags`, `regex`, `channel`, `labels`, `signed`",
                hint,
            ))
        }
    }
}

fn date(node: &Node, problems: &mut Problems<'_>) -> Read<NaiveDate> {
    let written = text(node, "a day", problems)?;
    let shape = written.len() == 10 && written.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-');
    NaiveDate::parse_from_str(written, "%Y-%m-%d")
        .ok()
        .filter(|_| shape)
        .ok_or_else(|| {
            let hint = Some("a day reads `2027-01-31`, and counts in UTC".to_owned());
            problems.report(node.span, format!("{} is no day", quoted(written)), hint)
        })
}
