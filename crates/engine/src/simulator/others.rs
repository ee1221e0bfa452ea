//! What others delete: tags, manifests, and what an index lists. Nobody can be blamed for that but they.

use lagan_model::{Digest, Reference, RepositoryName, Tag};

use super::world::{Repository, State, children, taken_along};

impl State {
    /// Others delete something, as far as the registry lets them.
    pub(crate) fn delete_something(&mut self, name: &RepositoryName) {
        let Some(repository) = self.repositories.get(name) else {
            return;
        };
        match self.others.below(4) {
            0 => {
                let tags: Vec<(Tag, Digest)> = repository.tags.clone().into_iter().collect();
                if let Some((tag, digest)) = self.others.pick(&tags).cloned() {
                    self.delete_tag(name, &tag, &digest);
                }
            }
            1 => {
                let there: Vec<Digest> = repository.manifests.keys().cloned().collect();
                if let Some(digest) = self.others.pick(&there).cloned() {
                    self.delete_manifest(name, &digest);
                }
            }
            // What an index lists: that hurts most.
            _ => {
                let listed: Vec<Digest> = repository
                    .tags
                    .values()
                    .filter_map(|digest| repository.manifests.get(digest))
                    .flat_map(children)
                    .filter(|child| repository.manifests.contains_key(child))
                    .collect();
                if let Some(digest) = self.others.pick(&listed).cloned() {
                    self.delete_manifest(name, &digest);
                }
            }
        }
    }

    fn delete_tag(&mut self, name: &RepositoryName, tag: &Tag, digest: &Digest) {
        if !self.quirks.delete_tag && !self.quirks.takes_along || self.quirks.delete_tag_takes_all {
            self.delete_manifest(name, digest);
            return;
        }
        self.note(|| format!("others: delete {name}:{tag}"));
        self.forget_tag(name, tag);
    }

    fn delete_manifest(&mut self, name: &RepositoryName, digest: &Digest) {
        let Some(repository) = self.repositories.get(name) else {
            return;
        };
        let mut going = vec![digest.clone()];
        if self.quirks.takes_along {
            if is_listed(repository, digest) {
                // Such a registry refuses that.
                return;
            }
            going.extend(taken_along(repository, digest));
        }
        self.note(|| format!("others: delete {name}@{digest}"));
        for digest in going {
            let Some(repository) = self.repositories.get_mut(name) else {
                return;
            };
            repository.manifests.remove(&digest);
            let tags = repository.tags.iter().filter(|(_, on)| **on == digest);
            let tags: Vec<Tag> = tags.map(|(tag, _)| tag.clone()).collect();
            let reference = Reference::Digest(digest.clone());
            self.by_others.push((name.clone(), reference, self.step));
            let key = (name.clone(), digest);
            self.removed.insert(key.clone(), self.step);
            self.gone_by_others.insert(key, self.step);
            for tag in tags {
                self.forget_tag(name, &tag);
            }
        }
    }

    fn forget_tag(&mut self, name: &RepositoryName, tag: &Tag) {
        if let Some(repository) = self.repositories.get_mut(name) {
            repository.tags.remove(tag);
            let reference = Reference::Tag(tag.clone());
            self.by_others.push((name.clone(), reference, self.step));
            self.tags_by_others.insert((name.clone(), tag.clone()), self.step);
        }
    }

    /// Whether a manifest is not there because others deleted it, since a step.
    pub(crate) fn others_took(&self, name: &RepositoryName, digest: &Digest, since: u64) -> bool {
        let there = self.repositories[name].manifests.contains_key(digest);
        let gone = self.gone_by_others.get(&(name.clone(), digest.clone()));
        !there && gone.is_some_and(|gone| *gone >= since)
    }

    /// The same of a tag.
    pub(crate) fn others_took_tag(&self, name: &RepositoryName, tag: &Tag, since: u64) -> bool {
        let there = self.repositories[name].tags.contains_key(tag);
        let gone = self.tags_by_others.get(&(name.clone(), tag.clone()));
        !there && gone.is_some_and(|gone| *gone >= since)
    }

    /// Whether nobody can put a manifest back: others deleted what it lists, and the registry does not take it without.
    pub(crate) fn cannot_come_back(&self, name: &RepositoryName, digest: &Digest) -> bool {
        let repository = &self.repositories[name];
        let wants_all = self.quirks.checks_references || self.quirks.forgets;
        let listed = repository.ever.get(digest).map(children).unwrap_or_default();
        let gone = |child: &Digest| {
            !repository.manifests.contains_key(child)
                && (self.others_took(name, child, 0) || self.cannot_come_back(name, child))
        };
        wants_all && listed.iter().any(gone)
    }

    /// Everything below a manifest, and itself, that is not there and that nobody but others took.
    pub(crate) fn lacks_by_others(&self, name: &RepositoryName, digest: &Digest) -> Vec<Digest> {
        let repository = &self.repositories[name];
        match repository.manifests.get(digest) {
            Some(manifest) => children(manifest)
                .iter()
                .flat_map(|child| self.lacks_by_others(name, child))
                .collect(),
            None if self.others_took(name, digest, 0) => vec![digest.clone()],
            None => Vec::new(),
        }
    }
}

fn is_listed(repository: &Repository, digest: &Digest) -> bool {
    let mut manifests = repository.manifests.values();
    manifests.any(|manifest| children(manifest).contains(digest))
}
