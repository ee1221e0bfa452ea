//! What was seen of a repository, and how completely.
//!
//! Only a [`CompleteSnapshot`] can be decided upon. A listing that broke off, a page that repeated, a manifest
//! that could not be read make the repository *incomplete*: it is reported, never guessed at.

use std::collections::{HashMap, HashSet};

use indexmap::IndexMap;
use serde::{Deserialize, Serialize};

use crate::artifact::{Artifact, Blob};
use crate::clock::{Fact, Time};
use crate::digest::Digest;
use crate::manifest::Descriptor;
use crate::name::RepositoryName;
use crate::port::Capabilities;
use crate::tag::Tag;

mod beside;
mod stored;

pub use beside::{
    Accessory, ImageRecord, Immutable, LabelScope, Labels, NoUndo, Recorded, RegistryLabel, Times,
};
pub use stored::SnapshotError;

/// A tag of the listing, and the digest it is on, once that is known.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListedTag {
    /// The tag.
    pub tag: Tag,
    /// What it was seen to point to; `None` until somebody asked.
    pub digest: Option<Digest>,
}

/// Why nothing can be decided about a repository.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Incomplete {
    /// The request that failed, and how; text from outside may be in it.
    pub why: String,
}

/// One repository, as far as it has been looked at.
///
/// Facts are added as they are asked for. Maps are keyed by digest, since what a digest names never changes.
///
/// The serialized form holds what decisions depend on, sorted, so that a decision can be made again elsewhere: see
/// [`RepositorySnapshot::check`] for what whoever reads it must not forget.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RepositorySnapshot {
    repository: RepositoryName,
    #[serde(deserialize_with = "stored::sorted_tags")]
    tags: Vec<ListedTag>,
    #[serde(
        serialize_with = "stored::artifacts",
        deserialize_with = "stored::artifacts_by_digest"
    )]
    artifacts: IndexMap<Digest, Artifact>,
    #[serde(
        default,
        skip_serializing_if = "HashSet::is_empty",
        serialize_with = "stored::digests"
    )]
    absent: HashSet<Digest>,
    #[serde(
        default,
        skip_serializing_if = "HashMap::is_empty",
        serialize_with = "stored::by_digest"
    )]
    config_created: HashMap<Digest, Fact<Time>>,
    #[serde(
        default,
        skip_serializing_if = "HashMap::is_empty",
        serialize_with = "stored::by_digest"
    )]
    referrers: HashMap<Digest, Vec<Descriptor>>,
    #[serde(default, skip_serializing_if = "beside::Beside::is_empty")]
    beside: beside::Beside,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    incomplete: Option<Incomplete>,
}

impl RepositorySnapshot {
    /// A repository of which the names of all tags are known, in any order, and nothing else.
    #[must_use]
    pub fn listed(repository: RepositoryName, tags: impl IntoIterator<Item = Tag>) -> Self {
        let mut tags: Vec<_> = tags
            .into_iter()
            .map(|tag| ListedTag { tag, digest: None })
            .collect();
        tags.sort_unstable_by(|a, b| a.tag.cmp(&b.tag));
        tags.dedup_by(|a, b| a.tag == b.tag);
        Self {
            repository,
            tags,
            artifacts: IndexMap::new(),
            absent: HashSet::new(),
            config_created: HashMap::new(),
            referrers: HashMap::new(),
            beside: beside::Beside::default(),
            incomplete: None,
        }
    }

    /// Adds tags that another listing has beside these, and of which nothing is known but their names.
    pub fn add_tags(&mut self, tags: impl IntoIterator<Item = Tag>) {
        for tag in tags {
            if let Err(position) = self.tags.binary_search_by(|listed| listed.tag.cmp(&tag)) {
                self.tags.insert(position, ListedTag { tag, digest: None });
            }
        }
    }

    /// A repository whose tags could not be listed.
    #[must_use]
    pub fn unlisted(repository: RepositoryName, why: Incomplete) -> Self {
        let mut snapshot = Self::listed(repository, []);
        snapshot.mark_incomplete(why);
        snapshot
    }

    /// The repository's name.
    #[must_use]
    pub fn repository(&self) -> &RepositoryName {
        &self.repository
    }

    /// The tags, each once, sorted by their bytes.
    #[must_use]
    pub fn tags(&self) -> &[ListedTag] {
        &self.tags
    }

    /// The position of a tag in [`tags`](Self::tags).
    #[must_use]
    pub fn position(&self, tag: &Tag) -> Option<usize> {
        self.tags.binary_search_by(|listed| listed.tag.cmp(tag)).ok()
    }

    /// Records that the tag at `position` is on `artifact`.
    pub fn resolve(&mut self, position: usize, artifact: Artifact) {
        if let Some(listed) = self.tags.get_mut(position) {
            listed.digest = Some(artifact.digest.clone());
            self.insert_artifact(artifact);
        }
    }

    /// Takes a tag out of the listing that a newer listing no longer has.
    pub fn forget(&mut self, tag: &Tag) {
        if let Some(position) = self.position(tag) {
            self.tags.remove(position);
        }
    }

    /// Adds what is known of a digest that no listed tag is on.
    pub fn insert_artifact(&mut self, artifact: Artifact) {
        self.artifacts.insert(artifact.digest.clone(), artifact);
    }

    /// Records what only the manifest itself tells of a digest that is known otherwise: its size and its blobs.
    pub fn insert_content(&mut self, digest: &Digest, size: u64, blobs: Vec<Blob>) {
        if let Some(artifact) = self.artifacts.get_mut(digest) {
            artifact.size = Some(size);
            artifact.blobs = blobs;
        }
    }

    /// Records that the registry has no manifest of this digest here.
    pub fn insert_absent(&mut self, digest: Digest) {
        self.absent.insert(digest);
    }

    /// Records what the configuration blob `config` says of when its image was created.
    pub fn insert_config_created(&mut self, config: Digest, created: Fact<Time>) {
        self.config_created.insert(config, created);
    }

    /// Records all referrers of `subject`.
    pub fn insert_referrers(&mut self, subject: Digest, referrers: Vec<Descriptor>) {
        self.referrers.insert(subject, referrers);
    }

    /// Records that nothing can be decided here. The first reason stays.
    pub fn mark_incomplete(&mut self, why: Incomplete) {
        self.incomplete.get_or_insert(why);
    }

    /// This snapshot as one that can be decided upon.
    ///
    /// # Errors
    ///
    /// When something in it could not be read.
    pub fn complete(&self) -> Result<CompleteSnapshot<'_>, &Incomplete> {
        match &self.incomplete {
            None => Ok(CompleteSnapshot(self)),
            Some(why) => Err(why),
        }
    }
}

/// What a decision was made from, besides policies and the clock.
#[derive(Debug, Clone, PartialEq)]
pub struct Seen {
    /// What the registry was seen to offer when it was made.
    pub capabilities: Capabilities,
    /// What was seen of the repository. It is complete.
    pub snapshot: RepositorySnapshot,
}

/// A snapshot in which everything that was asked for was answered.
#[derive(Debug, Clone, Copy)]
pub struct CompleteSnapshot<'a>(&'a RepositorySnapshot);

impl<'a> CompleteSnapshot<'a> {
    /// The repository's name.
    #[must_use]
    pub fn repository(self) -> &'a RepositoryName {
        &self.0.repository
    }

    /// The tags, each once, sorted by their bytes.
    #[must_use]
    pub fn tags(self) -> &'a [ListedTag] {
        &self.0.tags
    }

    /// Whether the digest of every tag is known.
    #[must_use]
    pub fn is_resolved(self) -> bool {
        self.0.tags.iter().all(|listed| listed.digest.is_some())
    }

    /// What is known of a digest.
    #[must_use]
    pub fn artifact(self, digest: &Digest) -> Option<&'a Artifact> {
        self.0.artifacts.get(digest)
    }

    /// Where a digest stands among [`artifacts`](Self::artifacts).
    pub(crate) fn position_of(self, digest: &Digest) -> Option<usize> {
        self.0.artifacts.get_index_of(digest)
    }

    /// The artifact at a position.
    pub(crate) fn artifact_at(self, position: usize) -> Option<&'a Artifact> {
        self.0.artifacts.get_index(position).map(|(_, artifact)| artifact)
    }

    /// Every artifact that is known, in the order in which they came to be known.
    pub fn artifacts(self) -> impl ExactSizeIterator<Item = &'a Artifact> {
        self.0.artifacts.values()
    }

    /// Whether the registry said that it has no manifest of this digest here.
    #[must_use]
    pub fn is_absent(self, digest: &Digest) -> bool {
        self.0.absent.contains(digest)
    }

    /// What a configuration blob says of when its image was created; `None` until somebody asked.
    #[must_use]
    pub fn config_created(self, config: &Digest) -> Option<Fact<Time>> {
        self.0.config_created.get(config).copied()
    }

    /// The referrers of a digest by the registry's referrers API; `None` until somebody asked.
    #[must_use]
    pub fn referrers(self, subject: &Digest) -> Option<&'a [Descriptor]> {
        self.0.referrers.get(subject).map(Vec::as_slice)
    }

    /// Every answer of the referrers API, in no order.
    pub fn all_referrers(self) -> impl Iterator<Item = (&'a Digest, &'a [Descriptor])> {
        self.0
            .referrers
            .iter()
            .map(|(subject, referrers)| (subject, referrers.as_slice()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media_type::MediaType;

    fn tags(names: &[&str]) -> Vec<Tag> {
        names.iter().map(|name| name.parse().unwrap()).collect()
    }

    fn listed(names: &[&str]) -> RepositorySnapshot {
        RepositorySnapshot::listed("team/app".parse().unwrap(), tags(names))
    }

    fn artifact(content: &[u8]) -> Artifact {
        Artifact {
            digest: Digest::of(content),
            media_type: MediaType::OCI_MANIFEST,
            artifact_type: None,
            size: Some(1),
            children: Vec::new(),
            subject: None,
            image_config: None,
            blobs: Vec::new(),
            config_type: None,
            annotations: None,
            created_annotation: None,
        }
    }

    #[test]
    fn tags_are_sorted_by_their_bytes_and_each_there_once() {
        let snapshot = listed(&["b", "a", "B", "a", "10", "9"]);
        let names: Vec<Tag> = snapshot
            .complete()
            .unwrap()
            .tags()
            .iter()
            .map(|listed| listed.tag.clone())
            .collect();
        assert_eq!(names, tags(&["10", "9", "B", "a", "b"]));
        assert_eq!(snapshot.position(&"a".parse().unwrap()), Some(3));
        assert_eq!(snapshot.position(&"c".parse().unwrap()), None);
    }

    #[test]
    fn a_snapshot_is_resolved_when_the_digest_of_every_tag_is_known() {
        let mut snapshot = listed(&["a", "b"]);
        assert!(!snapshot.complete().unwrap().is_resolved());
        snapshot.resolve(0, artifact(b"1"));
        assert!(!snapshot.complete().unwrap().is_resolved());
        snapshot.resolve(1, artifact(b"1"));
        // A position that is not there changes nothing.
        snapshot.resolve(2, artifact(b"2"));
        let known = snapshot.complete().unwrap();
        assert!(known.is_resolved());
        assert_eq!(known.artifacts().count(), 1);
        assert_eq!(known.tags()[1].digest, Some(Digest::of(b"1")));
    }

    #[test]
    fn a_tag_that_vanished_takes_only_itself_along() {
        let mut snapshot = listed(&["a", "b", "c"]);
        snapshot.resolve(0, artifact(b"1"));
        snapshot.resolve(2, artifact(b"3"));
        snapshot.forget(&"b".parse().unwrap());
        snapshot.forget(&"z".parse().unwrap());
        let known = snapshot.complete().unwrap();
        assert!(known.is_resolved());
        let on: Vec<_> = known
            .tags()
            .iter()
            .map(|listed| (listed.tag.as_str(), listed.digest.clone()))
            .collect();
        assert_eq!(on, [("a", Some(Digest::of(b"1"))), ("c", Some(Digest::of(b"3")))]);
    }

    #[test]
    fn what_could_not_be_read_cannot_be_decided_upon_and_the_first_reason_stays() {
        let why = |why: &str| Incomplete { why: why.to_owned() };
        let mut snapshot = listed(&["a"]);
        assert!(snapshot.complete().is_ok());
        snapshot.mark_incomplete(why("first"));
        snapshot.mark_incomplete(why("second"));
        snapshot.resolve(0, artifact(b"1"));
        assert_eq!(snapshot.complete().unwrap_err(), &why("first"));
        let unlisted = RepositorySnapshot::unlisted("team/app".parse().unwrap(), why("down"));
        assert_eq!(unlisted.complete().unwrap_err().why, "down");
    }

    #[test]
    fn what_nobody_asked_is_not_the_same_as_nothing() {
        let mut snapshot = listed(&[]);
        let digest = Digest::of(b"1");
        let known = snapshot.complete().unwrap();
        assert_eq!(
            (known.referrers(&digest), known.config_created(&digest)),
            (None, None)
        );
        assert!(!known.is_absent(&digest) && known.artifact(&digest).is_none());
        snapshot.insert_referrers(digest.clone(), Vec::new());
        snapshot.insert_absent(digest.clone());
        let unknown = Fact::Unknown(crate::clock::Unknown::Missing);
        snapshot.insert_config_created(digest.clone(), unknown);
        let known = snapshot.complete().unwrap();
        assert_eq!(known.referrers(&digest).map(<[_]>::len), Some(0));
        assert_eq!(known.config_created(&digest), Some(unknown));
        assert!(known.is_absent(&digest));
        assert_eq!(known.all_referrers().count(), 1);
    }
}
