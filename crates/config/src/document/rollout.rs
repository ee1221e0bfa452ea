//! `rollout:` of a policy.

use chrono::TimeDelta;
use lagan_policy::{Rollout, Stages};

use super::keep::age;
use crate::decode::{Fields, Schema, all, parsed, sequence};
use crate::error::{Problems, Read};
use crate::source::Span;
use crate::tree::Node;

pub(crate) const SCHEMA: Schema = Schema {
    what: "`rollout`",
    keys: &["stages", "hold", "min_success"],
    later: &[],
};

/// A stage that lasts longer than this lasts by mistake.
const MOST: TimeDelta = TimeDelta::days(90);

/// Reads the stages, and what leads from one to the next; only the success may be left out.
pub(crate) fn decode(node: &Node, place: Span, problems: &mut Problems<'_>) -> Read<Rollout> {
    let fields = Fields::open(node, place, &SCHEMA, problems)?;
    let hint =
        Some("`rollout: {stages: [5%, 30%, 100%], hold: 24h}` begins with a twentieth of the repositories");
    let stages = fields.required("stages", hint, problems).and_then(|(_, node)| {
        let items = sequence(node, "a list of shares", problems)?;
        let shares = all(items, |item| parsed(item, "a share", problems))?;
        Stages::new(shares).map_err(|error| problems.report(node.span, error.to_string(), None))
    });
    let hold = fields.required("hold", hint, problems).and_then(|(_, node)| {
        let hold = age(node, problems)?;
        match hold.delta() > MOST {
            true => Err(problems.report(node.span, "`hold` is at most 90 days", None)),
            false => Ok(hold),
        }
    });
    let success = fields.optional("min_success", |node| parsed(node, "a share", problems));
    Ok(Rollout {
        stages: stages?,
        hold: hold?,
        min_success: success?.unwrap_or(Rollout::MIN_SUCCESS),
    })
}
