//! What may still be deleted, although nobody waits for it any more, and so is left out of everything else.

use std::collections::BTreeSet;

use chrono::TimeDelta;
use lagan_model::journal::{RunId, Sequence};
use lagan_model::{Digest, RepositoryName, Tag, Time};
use serde::Serialize;

/// How long a deletion whose answer was lost may still happen.
pub const IN_DOUBT_WINDOW: TimeDelta = TimeDelta::minutes(10);

/// A deletion that may still happen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct InDoubt {
    /// Its run.
    pub run: RunId,
    /// Its number in the journal.
    pub sequence: Sequence,
    /// The repository.
    pub repository: RepositoryName,
    /// The manifest.
    pub digest: Digest,
    /// The tags that go: those on it, or the only one that was to be taken off.
    pub tags: Vec<Tag>,
    /// When it can no longer happen; `None` where the registry could not be asked.
    pub until: Option<Time>,
}

/// What must neither be deleted nor put back, because a deletion of it may still happen: one deletion would be taken for
/// another, and what is put back would not last.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LeftOut {
    manifests: BTreeSet<(RepositoryName, Digest)>,
    tags: BTreeSet<(RepositoryName, Tag)>,
}

impl LeftOut {
    pub(crate) fn of(in_doubt: &[InDoubt]) -> Self {
        Self {
            manifests: in_doubt
                .iter()
                .map(|doubt| (doubt.repository.clone(), doubt.digest.clone()))
                .collect(),
            // A tag may be on something else by now. Taken off late it goes from there; and gone from there, it would
            // be taken for gone with what it was on.
            tags: in_doubt
                .iter()
                .flat_map(|doubt| {
                    let tags = doubt.tags.iter();
                    tags.map(|tag| (doubt.repository.clone(), tag.clone()))
                })
                .collect(),
        }
    }

    /// Whether a manifest, or one of its tags, is to be left out.
    #[must_use]
    pub fn has<'a>(
        &self,
        repository: &RepositoryName,
        digest: &Digest,
        tags: impl IntoIterator<Item = &'a Tag>,
    ) -> bool {
        // As good as always: asked of every artifact that there is, it is not to cost anything.
        if self.manifests.is_empty() && self.tags.is_empty() {
            return false;
        }
        let mut tags = tags.into_iter();
        self.manifests.contains(&(repository.clone(), digest.clone()))
            || tags.any(|tag| self.tags.contains(&(repository.clone(), tag.clone())))
    }
}
