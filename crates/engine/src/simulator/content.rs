//! What is in the simulated registry, and what others put there.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use lagan_model::{Digest, Manifest, MediaType, RepositoryName, Tag};

use super::limits::counted_ones;
use super::world::{Repository, State, blobs, children, is_holding, is_sound};

impl State {
    /// Fills the registry as the case says.
    pub(crate) fn fill(&mut self) {
        for number in 0..self.case.repositories {
            let name: RepositoryName = format!("team/app{number}").parse().unwrap();
            self.repositories.insert(name.clone(), Repository::default());
            for _ in 0..self.case.artifacts {
                self.push(&name, true);
            }
        }
        // What was there from the start was there before anything was looked at.
        for repository in self.repositories.values_mut() {
            repository.put_at.clear();
            repository.pushed_at.clear();
        }
    }

    /// Something that others do.
    pub(crate) fn act(&mut self) {
        let before: Vec<(RepositoryName, BTreeSet<Digest>, BTreeMap<Tag, Digest>)> = {
            let repositories = self.repositories.iter();
            repositories
                .map(|(name, repository)| {
                    let counted = counted_ones(repository, |_| false);
                    (name.clone(), counted, repository.tags.clone())
                })
                .collect()
        };
        self.act_somehow();
        for (name, before, tags) in before {
            let repository = &self.repositories[&name];
            let after = counted_ones(repository, |_| false);
            // One that lost its tag to another is one less for whoever listed it: the other one may be about to go.
            let lost = before.difference(&after).count() as u64;
            if lost > 0 {
                self.fewer.push((name.clone(), lost, self.now));
            }
            for (tag, digest) in tags {
                if repository.tags.get(&tag) != Some(&digest) {
                    self.lost_a_tag.insert((name.clone(), digest, tag), self.step);
                }
            }
        }
    }

    fn act_somehow(&mut self) {
        let names: Vec<RepositoryName> = self
            .repositories
            .keys()
            .filter(|name| !is_holding(name))
            .cloned()
            .collect();
        let Some(name) = self.others.pick(&names).cloned() else {
            return;
        };
        if self.case.deletions && self.others.per_mille(300) {
            self.delete_something(&name);
            return;
        }
        match self.others.below(if self.case.collections { 13 } else { 12 }) {
            0..=2 => self.push(&name, false),
            3..=5 => self.retag(&name),
            6..=8 => self.push_index_of_present(&name),
            9..=10 => self.attach(&name),
            11 => self.push_again(&name),
            _ => {
                self.collect_garbage(&name);
                self.collect_garbage(&format!("hold/{name}").parse().unwrap());
            }
        }
    }

    fn push(&mut self, name: &RepositoryName, first: bool) {
        let kind = self.others.below(6);
        let digest = match kind {
            0..=2 => self.image(name, None),
            3 | 4 => {
                let mut listed = vec![self.image(name, None), self.image(name, None)];
                if self.others.per_mille(400) {
                    listed.extend(self.some_manifest(name));
                }
                self.index(name, &listed)
            }
            _ => {
                let inner = [self.image(name, None)];
                let inner = self.index(name, &inner);
                let other = self.image(name, None);
                self.index(name, &[inner, other])
            }
        };
        for _ in 0..=self.others.below(2) {
            let doomed = self.others.per_mille(if first { 600 } else { 200 });
            self.tag(name, if doomed { "d" } else { "k" }, &digest);
        }
        if self.others.per_mille(300) {
            self.attach_to(name, &digest);
        }
    }

    fn tag(&mut self, name: &RepositoryName, prefix: &str, digest: &Digest) {
        self.made += 1;
        let tag: Tag = format!("{prefix}{}", self.made).parse().unwrap();
        self.put_tag(name, tag, digest);
    }

    pub(crate) fn put_tag(&mut self, name: &RepositoryName, tag: Tag, digest: &Digest) {
        self.note(|| format!("others: {name}:{tag} -> {digest}"));
        let step = self.step;
        if let Some(repository) = self.repositories.get_mut(name) {
            repository.put_at.insert(tag.clone(), step);
            repository.tags.insert(tag, digest.clone());
        }
    }

    fn retag(&mut self, name: &RepositoryName) {
        let Some(repository) = self.repositories.get(name) else {
            return;
        };
        let tags: Vec<Tag> = repository
            .tags
            .keys()
            .filter(|tag| !tag.as_str().starts_with("sha256-"))
            .cloned()
            .collect();
        let Some(digest) = self.some_manifest(name) else {
            return;
        };
        if self.others.per_mille(500) {
            self.tag(name, "k", &digest);
        } else if let Some(tag) = self.others.pick(&tags).cloned() {
            self.put_tag(name, tag, &digest);
        }
    }

    /// A build that gives the same again: the manifest, all that it lists and all blobs, whether they are there or not.
    fn push_again(&mut self, name: &RepositoryName) {
        let Some(repository) = self.repositories.get_mut(name) else {
            return;
        };
        let ever: Vec<Digest> = repository.ever.keys().cloned().collect();
        let Some(digest) = self.others.pick(&ever).cloned() else {
            return;
        };
        let step = self.step;
        let mut work = vec![digest.clone()];
        while let Some(digest) = work.pop() {
            if let Some(manifest) = repository.ever.get(&digest).cloned() {
                work.extend(children(&manifest));
                repository.blobs.extend(blobs(&manifest));
                repository.pushed_at.insert(digest.clone(), step);
                repository.manifests.insert(digest, manifest);
            }
        }
        self.note(|| format!("others: push again {name}@{digest}"));
        let doomed = self.others.per_mille(300);
        self.tag(name, if doomed { "d" } else { "k" }, &digest);
    }

    fn push_index_of_present(&mut self, name: &RepositoryName) {
        let Some(child) = self.some_manifest(name) else {
            return;
        };
        let index = self.index(name, &[child]);
        self.tag(name, "k", &index);
    }

    fn attach(&mut self, name: &RepositoryName) {
        if let Some(subject) = self.some_manifest(name) {
            self.attach_to(name, &subject);
        }
    }

    fn attach_to(&mut self, name: &RepositoryName, subject: &Digest) {
        let hex = subject.encoded();
        if self.others.per_mille(500) {
            let signature = self.image(name, None);
            let tag: Tag = format!("sha256-{hex}.sig").parse().unwrap();
            self.put_tag(name, tag, &signature);
            return;
        }
        let attachment = self.image(name, Some(subject));
        if self.quirks.referrers_api {
            return;
        }
        let tag: Tag = format!("sha256-{hex}").parse().unwrap();
        let mut listed = vec![attachment];
        if let Some(repository) = self.repositories.get(name)
            && let Some(old) = repository
                .tags
                .get(&tag)
                .and_then(|old| repository.manifests.get(old))
        {
            listed.extend(children(old));
        }
        let index = self.index(name, &listed);
        self.put_tag(name, tag, &index);
    }

    /// A manifest that is there with everything below it: nobody can push, or copy, one that is broken.
    fn some_manifest(&mut self, name: &RepositoryName) -> Option<Digest> {
        let repository = self.repositories.get(name)?;
        let present: Vec<Digest> = repository
            .manifests
            .keys()
            .filter(|digest| is_sound(repository, digest))
            .cloned()
            .collect();
        self.others.pick(&present).cloned()
    }

    pub(crate) fn image(&mut self, name: &RepositoryName, subject: Option<&Digest>) -> Digest {
        self.made += 1;
        let number = self.made;
        let blob = |kind: &str| Digest::of(format!("{kind}{number}").as_bytes());
        let (config, layer) = (blob("config"), blob("layer"));
        let subject = subject.map_or(String::new(), |subject| {
            format!(
                r#","subject":{{"mediaType":"{}","digest":"{subject}","size":9}}"#,
                MediaType::OCI_MANIFEST
            )
        });
        if let Some(repository) = self.repositories.get_mut(name) {
            repository.blobs.extend([config.clone(), layer.clone()]);
        }
        let text = format!(
            r#"{{"config":{{"mediaType":"{}","digest":"{config}","size":9}},"layers":[{{"mediaType":"application/x","digest":"{layer}","size":9}}]{subject}}}"#,
            MediaType::OCI_CONFIG
        );
        self.add(name, MediaType::OCI_MANIFEST, text)
    }

    pub(crate) fn index(&mut self, name: &RepositoryName, listed: &[Digest]) -> Digest {
        let described: Vec<String> = listed
            .iter()
            .map(|digest| {
                let is_index = self
                    .repositories
                    .get(name)
                    .and_then(|repository| repository.manifests.get(digest))
                    .is_some_and(|manifest| manifest.media_type().is_index());
                let media_type = if is_index {
                    MediaType::OCI_INDEX
                } else {
                    MediaType::OCI_MANIFEST
                };
                format!(r#"{{"mediaType":"{media_type}","digest":"{digest}","size":9}}"#)
            })
            .collect();
        self.made += 1;
        let text = format!(
            r#"{{"manifests":[{}],"annotations":{{"n":"{}"}}}}"#,
            described.join(","),
            self.made
        );
        self.add(name, MediaType::OCI_INDEX, text)
    }

    fn add(&mut self, name: &RepositoryName, media_type: MediaType, text: String) -> Digest {
        let bytes = Bytes::from(text);
        let digest = Digest::of(&bytes);
        let manifest = Manifest::read(bytes, digest.clone(), Some(&media_type)).unwrap();
        self.note(|| {
            format!(
                "others: push {name}@{digest} {}",
                String::from_utf8_lossy(manifest.bytes())
            )
        });
        let step = self.step;
        if let Some(repository) = self.repositories.get_mut(name) {
            repository.ever.insert(digest.clone(), manifest.clone());
            repository.manifests.insert(digest.clone(), manifest);
            repository.pushed_at.insert(digest.clone(), step);
        }
        digest
    }

    /// Takes every blob that no manifest needs; of a holding repository also every manifest without a tag.
    pub(crate) fn collect_garbage(&mut self, name: &RepositoryName) {
        self.note(|| format!("others: garbage collection in {name}"));
        if let Some(repository) = self.repositories.get_mut(name) {
            if is_holding(name) {
                let tagged: std::collections::BTreeSet<&Digest> = repository.tags.values().collect();
                let step = self.step;
                repository.manifests.retain(|digest, _| {
                    let stays = tagged.contains(digest);
                    if !stays {
                        self.removed.insert((name.clone(), digest.clone()), step);
                    }
                    stays
                });
            }
            let needed: std::collections::BTreeSet<Digest> =
                repository.manifests.values().flat_map(blobs).collect();
            repository.blobs.retain(|blob| needed.contains(blob));
        }
    }
}
