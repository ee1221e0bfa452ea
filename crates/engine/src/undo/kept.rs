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
        let mut seen = BTreeSet::new();
        // Not by recursion: how deep indexes lie in indexes is the registry's say.
        let mut work: Vec<(&Digest, bool)> = children.iter().map(|digest| (digest, false)).collect();
        while let Some((digest, below_is_done)) = work.pop() {
            if below_is_done {
                found.push(digest);
            } else if seen.insert(digest) {
                if self.lost_a_tag.contains_key(digest) {
                    work.push((digest, true));
                }
                work.extend(self.listed_by(digest).iter().map(|digest| (digest, false)));
            }
        }
        found
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_lies_below_comes_first_however_deep_a_registry_nests() {
        let digests: Vec<Digest> = (0..100_000_u32)
            .map(|number| Digest::of(&number.to_be_bytes()))
            .collect();
        let (last, above) = digests.split_last().unwrap();
        let lists = |digest: &Digest, next: &Digest| (digest.clone(), vec![next.clone()]);
        let mut kept = Kept {
            there: above
                .iter()
                .zip(&digests[1..])
                .map(|(a, b)| lists(a, b))
                .collect(),
            ..Kept::default()
        };
        let in_the_middle = &digests[50_000];
        kept.there.remove(in_the_middle);
        kept.missing = BTreeSet::from([in_the_middle.clone(), last.clone()]);
        kept.lost_a_tag =
            BTreeMap::from([lists(in_the_middle, &digests[50_001]), (last.clone(), Vec::new())]);
        let found = kept.lost_a_tag_below(&digests[..1]);
        assert_eq!(found, [last, in_the_middle]);
        assert_eq!(kept.below(&digests[..1]).len(), digests.len());
    }
}
