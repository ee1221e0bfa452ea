//! What goes with an artifact that is deleted, and whether all of it is on record.
//!
//! In one go with an artifact Harbor deletes its accessories, whatever tags they have, and what an index lists, unless a
//! tag is on that or another index lists it. It does not say what that would be. So everything on record with the
//! artifact is looked at right before: nothing may be attached to it, or listed by it and no longer held, that is not on
//! record as well.

use std::collections::{BTreeMap, BTreeSet};

use lagan_model::journal::{DeleteIntent, RecordedDelete};
use lagan_model::{Digest, RegistryError};

use super::HarborRegistry;
use super::name::Name;

/// What is on record with a deletion, as far as it may go along.
struct Along<'a> {
    /// By digest, with whether it goes as an accessory, and so with all its tags.
    members: BTreeMap<&'a Digest, (&'a DeleteIntent, bool)>,
    /// What they list and is not on record.
    outside: BTreeSet<&'a Digest>,
}

impl<'a> Along<'a> {
    fn of(recorded: &'a RecordedDelete) -> Self {
        let unit: BTreeMap<&Digest, &DeleteIntent> = recorded
            .unit()
            .iter()
            .map(|intent| (&intent.digest, intent))
            .collect();
        let mut along = Self {
            members: BTreeMap::new(),
            outside: BTreeSet::new(),
        };
        let mut work = vec![recorded.intent()];
        while let Some(intent) = work.pop() {
            let children = intent.children.iter().map(|child| (child, false));
            let attached = intent.attachments.iter().map(|attached| (attached, true));
            for (digest, is_accessory) in children.chain(attached) {
                match unit.get(digest) {
                    None if is_accessory => {}
                    None => {
                        along.outside.insert(digest);
                    }
                    Some(_) if *digest == recorded.intent().digest => {}
                    Some(intent) => match along.members.get_mut(digest) {
                        Some(known) => known.1 |= is_accessory,
                        None => {
                            along.members.insert(digest, (intent, is_accessory));
                            work.push(intent);
                        }
                    },
                }
            }
        }
        along
    }
}

impl HarborRegistry {
    /// Why a deletion would take along what is not on record; `None` where it would not.
    pub(super) async fn takes_more(
        &self,
        recorded: &RecordedDelete,
        name: Name<'_>,
    ) -> Result<Option<String>, RegistryError> {
        let root = recorded.intent();
        let along = Along::of(recorded);
        let is_on_record = |digest: &Digest| *digest == root.digest || along.members.contains_key(digest);
        for subject in std::iter::once(&root.digest).chain(along.members.keys().copied()) {
            let attached = self.attached_to(name, subject).await?.unwrap_or_default();
            if let Some(other) = attached.iter().find(|other| !is_on_record(&other.digest)) {
                return Ok(Some(format!("{} was attached to {subject}", other.digest)));
            }
        }
        for (digest, (intent, is_accessory)) in &along.members {
            if !is_accessory {
                continue;
            }
            let tags = self.tags_on(name, digest).await?.unwrap_or_default();
            if let Some((tag, _)) = tags.iter().find(|(tag, _)| !intent.tags.contains(tag)) {
                return Ok(Some(format!(
                    "the tag {tag} was put on {digest}, which would go along"
                )));
            }
        }
        let mut loose = BTreeSet::new();
        for digest in along.outside {
            // Nothing is there, or a tag holds it.
            if self
                .tags_on(name, digest)
                .await?
                .is_some_and(|tags| tags.is_empty())
            {
                loose.insert(digest);
            }
        }
        if loose.is_empty() {
            return Ok(None);
        }
        // Harbor does not say which index lists something: all of them are read.
        for listed in self
            .list_by(&root.repository, name, Some("base=*"))
            .await?
            .iter()
            .filter(|listed| !is_on_record(listed.digest()))
        {
            for child in &listed.record.artifact.children {
                loose.remove(&child.digest);
            }
        }
        let digest = &root.digest;
        Ok(loose
            .first()
            .map(|child| format!("{child} would be deleted with {digest}: nothing else holds it any more")))
    }
}
