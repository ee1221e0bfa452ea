//! `grace:` of a policy.

use lagan_policy::Grace;

use crate::decode::{Fields, Schema, parsed};
use crate::error::{Problems, Read};
use crate::source::Span;
use crate::tree::Node;

pub(crate) const SCHEMA: Schema = Schema {
    what: "`grace`",
    keys: &["repository", "for"],
    later: &[],
};

/// Reads where what is deleted is held, and for how long; both have to be said.
pub(crate) fn decode(node: &Node, place: Span, problems: &mut Problems<'_>) -> Read<Grace> {
    let fields = Fields::open(node, place, &SCHEMA, problems)?;
    let hint = Some("`grace: {repository: \"lagan-hold/{repository}\", for: 72h}` holds for three days");
    let repository = fields
        .required("repository", hint, problems)
        .and_then(|(_, node)| parsed(node, "how holding repositories are called", problems));
    let period = fields
        .required("for", hint, problems)
        .and_then(|(_, node)| parsed(node, "a length of time", problems));
    Ok(Grace {
        repository: repository?,
        period: period?,
    })
}
