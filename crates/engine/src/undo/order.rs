//! The order in which manifests are put back: what a manifest lists, or is attached to, before the manifest itself.
//!
//! That follows from the manifests alone, not from the order of their deletion: a child that two indexes share may have
//! been deleted by another run than the index that is put back.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap};

use lagan_model::Digest;
use lagan_model::journal::{Role, Sequence};

use super::history::{Chosen, Deleted};
use super::kept::Kept;
use crate::safeguard::{Safeguard, on};

/// What was chosen, in the order in which it is put back.
pub(crate) fn in_order<'a>(chosen: &'a Chosen, kept: &'a Kept) -> Vec<&'a Deleted> {
    let deleted = &chosen.history.deleted;
    let mut order: Vec<&Deleted> = chosen
        .digests
        .iter()
        .filter_map(|digest| deleted.get(digest))
        .collect();
    let mut known = HashMap::new();
    order.sort_by_cached_key(|found| {
        let height = height(deleted, kept, &found.intent.digest, &mut known);
        // Signatures that name their subject by a tag say so nowhere else.
        let attached = found.intent.role == Role::Attachment;
        (height, attached, Reverse(found.sequence))
    });
    if !on(Safeguard::ChildrenFirst) {
        order.sort_by_key(|found: &&Deleted| -> Sequence { found.sequence });
    }
    order
}

/// How many deleted manifests lie below one, on the longest way down. Digests make no circles.
fn height<'a>(
    deleted: &'a BTreeMap<Digest, Deleted>,
    kept: &'a Kept,
    digest: &'a Digest,
    known: &mut HashMap<&'a Digest, usize>,
) -> usize {
    if let Some(height) = known.get(digest) {
        return *height;
    }
    let Some(found) = deleted.get(digest) else {
        return 0;
    };
    // A journal that somebody else wrote may claim a circle: it is cut here.
    known.insert(digest, 0);
    let below = kept.below(&found.intent.children);
    let highest = below
        .into_iter()
        .chain(&found.intent.subject)
        .filter(|below| deleted.contains_key(*below))
        .map(|below| 1 + height(deleted, kept, below, known))
        .max()
        .unwrap_or(0);
    known.insert(digest, highest);
    highest
}
