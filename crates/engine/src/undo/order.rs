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
    // Not by recursion: how long a chain of manifests is, is the say of whoever pushed them.
    let mut work = vec![Step::Down(digest)];
    while let Some(step) = work.pop() {
        match step {
            Step::Down(digest) => {
                let Some(found) = deleted.get(digest).filter(|_| !known.contains_key(digest)) else {
                    continue;
                };
                // A journal that somebody else wrote may claim a circle: it is cut here.
                known.insert(digest, 0);
                let below: Vec<&Digest> = kept
                    .below(&found.intent.children)
                    .into_iter()
                    .chain(&found.intent.subject)
                    .filter(|below| deleted.contains_key(*below))
                    .collect();
                let down: Vec<Step<'_>> = below.iter().rev().map(|below| Step::Down(below)).collect();
                work.push(Step::Up(digest, below));
                work.extend(down);
            }
            Step::Up(digest, below) => {
                let heights = below.iter().filter_map(|below| known.get(below));
                let highest = heights.map(|height| height + 1).max().unwrap_or(0);
                known.insert(digest, highest);
            }
        }
    }
    known.get(digest).copied().unwrap_or(0)
}

/// One step of the way down to what lies below a manifest, or back up, when the heights of all that are known.
enum Step<'a> {
    Down(&'a Digest),
    Up(&'a Digest, Vec<&'a Digest>),
}

#[cfg(test)]
mod tests {
    use lagan_model::journal::{DeleteIntent, RunId};
    use lagan_model::{MediaType, Time};

    use super::*;
    use crate::undo::history::History;

    fn numbered(number: u32) -> Digest {
        Digest::of(&number.to_be_bytes())
    }

    fn deleted(number: u32, children: Vec<Digest>, subject: Option<Digest>) -> Deleted {
        let intent = DeleteIntent {
            unit: 0,
            role: Role::Artifact,
            repository: "team/app".parse().unwrap(),
            digest: numbered(number),
            media_type: MediaType::OCI_INDEX,
            size: 2,
            tags: Vec::new(),
            parents: Vec::new(),
            children,
            subject,
            attachments: Vec::new(),
            blobs: Vec::new(),
            pushed: None,
            pulled: None,
            labels: Vec::new(),
            reasons: serde_json::Value::Null,
            undo_until: None,
            held: None,
            at: Time::MIN_UTC,
        };
        Deleted {
            sequence: Sequence(number.into()),
            run: RunId::from_bits(1),
            at: Time::MIN_UTC,
            intent,
        }
    }

    fn chosen(all: Vec<Deleted>) -> Chosen {
        let deleted: BTreeMap<Digest, Deleted> = all
            .into_iter()
            .map(|deleted| (deleted.intent.digest.clone(), deleted))
            .collect();
        Chosen {
            digests: deleted.keys().cloned().collect(),
            history: History { deleted },
            ..Chosen::default()
        }
    }

    fn ordered(all: Vec<Deleted>) -> Vec<u64> {
        let chosen = chosen(all);
        let kept = Kept::default();
        let order = in_order(&chosen, &kept);
        order.into_iter().map(|deleted| deleted.sequence.0).collect()
    }

    #[test]
    fn what_lies_below_comes_first_however_long_the_chain() {
        const COUNT: u32 = 100_000;
        let next = |number: u32| (number + 1 < COUNT).then(|| numbered(number + 1));
        let last_first: Vec<u64> = (0..u64::from(COUNT)).rev().collect();
        let listed = (0..COUNT).map(|number| deleted(number, next(number).into_iter().collect(), None));
        assert!(ordered(listed.collect()) == last_first, "by what each lists");
        let attached = (0..COUNT).map(|number| deleted(number, Vec::new(), next(number)));
        assert!(
            ordered(attached.collect()) == last_first,
            "by what each is attached to"
        );
    }

    #[test]
    fn what_went_along_belongs_to_an_artifact_above_it_that_is_put_back_too() {
        let along = |mut deleted: Deleted, role| {
            deleted.intent.role = role;
            deleted
        };
        // 1 lists 3, to which 4 is attached, and 4 says that it is the subject of 3. 2 lists nothing; what 5 belongs to
        // stays away.
        let mut child = along(deleted(3, Vec::new(), None), Role::Child);
        child.intent.attachments = vec![numbered(4)];
        let attached = along(deleted(4, vec![numbered(3)], None), Role::Attachment);
        let all = [
            deleted(1, vec![numbered(3)], None),
            deleted(2, Vec::new(), None),
            child,
            attached,
            along(deleted(5, Vec::new(), None), Role::Child),
            deleted(6, vec![numbered(5), numbered(1)], None),
        ];
        let mut chosen = chosen(all.to_vec());
        chosen.digests.remove(&numbered(6));
        let found = chosen.artifacts();
        let mut found: Vec<_> = found.into_iter().collect();
        found.sort_unstable();
        let one = numbered(1);
        let mut expected = [(&numbered(3), &one), (&numbered(4), &one)];
        expected.sort_unstable();
        assert_eq!(found, expected);
    }

    #[test]
    fn the_longest_way_down_counts_and_a_circle_ends() {
        // 1 lists 4 and 2, 2 lists 3, and 3 is attached to 4; 5 and 6 list each other.
        let all = [
            deleted(1, vec![numbered(4), numbered(2)], None),
            deleted(2, vec![numbered(3)], None),
            deleted(3, Vec::new(), Some(numbered(4))),
            deleted(4, Vec::new(), None),
        ];
        assert_eq!(ordered(all.to_vec()), [4, 3, 2, 1]);
        let circle = [
            deleted(5, vec![numbered(6)], None),
            deleted(6, vec![numbered(5)], None),
        ];
        let mut order = ordered(circle.to_vec());
        order.sort_unstable();
        assert_eq!(order, [5, 6]);
    }
}
