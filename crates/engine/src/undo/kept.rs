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
    /// Those of them that lost a tag before, and so are on record, with what each lists.
    lost_a_tag: BTreeMap<Digest, Vec<Digest>>,
    /// Those that could not be read, and why.
    pub unread: BTreeMap<Digest, String>,
}

impl Kept {
    /// Reads what the chosen manifests list and the journal does not know, and chooses what was deleted below that.
    /// `untagged` are those that only lost a tag, with what each lists.
    pub(crate) async fn read<R: RegistryRead>(
        registry: &R,
        repository: &RepositoryName,
        chosen: &mut Chosen,
        untagged: &BTreeMap<Digest, Vec<Digest>>,
    ) -> Self {
        let mut kept = Self::default();
        let mut looked: BTreeSet<Digest> = BTreeSet::new();
        loop {
            let above = chosen
                .digests
                .iter()
                .filter_map(|digest| chosen.history.deleted.get(digest))
                .flat_map(|deleted| &deleted.intent.children);
            let between = above
                .chain(untagged.values().flatten())
                .chain(kept.there.values().flatten());
            let new: BTreeSet<Digest> = between
                .filter(|digest| !looked.contains(*digest))
                .cloned()
                .collect();
            if new.is_empty() {
                let gone = untagged
                    .iter()
                    .filter(|(digest, _)| kept.missing.contains(*digest));
                kept.lost_a_tag = gone
                    .map(|(digest, listed)| (digest.clone(), listed.clone()))
                    .collect();
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
                work.extend(self.listed_by(digest));
            }
        }
        below
    }

    /// What of that lost a tag before it was deleted by others: what lies below comes first.
    pub(crate) fn lost_a_tag_below<'a>(&'a self, children: &'a [Digest]) -> Vec<&'a Digest> {
        let mut found = Vec::new();
        self.find_lost(children, &mut BTreeSet::new(), &mut found);
        found
    }

    fn find_lost<'a>(
        &'a self,
        children: &'a [Digest],
        seen: &mut BTreeSet<&'a Digest>,
        found: &mut Vec<&'a Digest>,
    ) {
        for digest in children {
            if seen.insert(digest) {
                self.find_lost(self.listed_by(digest), seen, found);
                if self.lost_a_tag.contains_key(digest) {
                    found.push(digest);
                }
            }
        }
    }

    fn listed_by(&self, digest: &Digest) -> &[Digest] {
        let listed = self.there.get(digest).or_else(|| self.lost_a_tag.get(digest));
        listed.map(Vec::as_slice).unwrap_or_default()
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
