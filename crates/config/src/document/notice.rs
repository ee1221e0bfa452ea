//! `notice:` of a policy.

use chrono::TimeDelta;
use lagan_policy::Age;

use super::keep::age;
use crate::error::{Problems, Read};
use crate::tree::Node;

/// What is announced for longer than this is announced by mistake.
const MOST: TimeDelta = TimeDelta::days(90);

/// Reads for how long a deletion is announced.
pub(crate) fn decode(node: &Node, problems: &mut Problems<'_>) -> Read<Age> {
    let notice = age(node, problems)?;
    if notice.delta() > MOST {
        let hint = Some("without `mode: enforce` a policy deletes nothing at all".to_owned());
        return Err(problems.report(node.span, "`notice` is at most 90 days", hint));
    }
    Ok(notice)
}
