//! What was never deleted, and lies between what was: an index that stayed while its own child went.
//!
//! A registry does not list untagged manifests, so an index that lost its tag and stayed is seen by nobody, and what it
//! lists can be deleted under it. Putting back an index above it means putting back everything below.

use std::collections::{BTreeMap, BTreeSet};

use lagan_model::manifest::Content;
use lagan_model::{Digest, Failure, Reference, RegistryRead, RepositoryName};

use super::history::Chosen;

/// What lies below what was chosen, and is no deletion on record.
#[derive(Debug, Default)]
pub(crate) struct Kept {
    /// The manifests that are there, with what each lists.
    pub there: BTreeMap<Digest, Vec<Digest>>,
    /// Those that are not there.
    pub missing: BTreeSet<Digest>,
    /// Those that could not be read, and why.
    pub unread: BTreeMap<Digest, String>,
}

impl Kept {
    /// Reads what the chosen manifests list and the journal does not know, and chooses what was deleted below that.
    /// `untagged` are the children of those that only lost a tag.
    pub(crate) async fn read<R: RegistryRead>(
        registry: &R,
        repository: &RepositoryName,
        chosen: &mut Chosen,
        untagged: &BTreeSet<Digest>,
    ) -> Self {
        let mut kept = Self::default();
        let mut looked: BTreeSet<Digest> = BTreeSet::new();
        loop {
            let above = chosen
                .digests
                .iter()
                .filter_map(|digest| chosen.history.deleted.get(digest))
                .flat_map(|deleted| &deleted.intent.children);
            let between = above.chain(untagged).chain(kept.there.values().flatten());
            let new: BTreeSet<Digest> = between
                .filter(|digest| !looked.contains(*digest))
                .cloned()
                .collect();
            if new.is_empty() {
                return kept;
            }
            for digest in new {
                looked.insert(digest.clone());
                if chosen.history.deleted.contains_key(&digest) {
                    chosen.add(digest);
                } else {
                    kept.look(registry, repository, digest).await;
                }
            }
        }
    }

    async fn look<R: RegistryRead>(&mut self, registry: &R, repository: &RepositoryName, digest: Digest) {
        let reference = Reference::Digest(digest.clone());
        match registry.manifest(repository, &reference).await {
            Ok(manifest) => {
                let listed = match manifest.content() {
                    Content::Index { manifests } => {
                        manifests.iter().map(|child| child.digest.clone()).collect()
                    }
                    _ => Vec::new(),
                };
                self.there.insert(digest, listed);
            }
            Err(error) if error.failure() == Failure::NotFound => {
                self.missing.insert(digest);
            }
            Err(error) => {
                self.unread.insert(digest, error.to_string());
            }
        }
    }

    /// Everything below a manifest that lists `children`, down to the next that was deleted.
    pub(crate) fn below<'a>(&'a self, children: &'a [Digest]) -> BTreeSet<&'a Digest> {
        let mut below = BTreeSet::new();
        let mut work: Vec<&Digest> = children.iter().collect();
        while let Some(digest) = work.pop() {
            if below.insert(digest) {
                work.extend(self.there.get(digest).into_iter().flatten());
            }
        }
        below
    }
    /// What is not there of all that.
    pub(crate) fn missing_below(&self, children: &[Digest]) -> Vec<Digest> {
        let below = self.below(children).into_iter();
        below
            .filter(|below| self.missing.contains(*below))
            .cloned()
            .collect()
    }
}
