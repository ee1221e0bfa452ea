//! What registries and our ledger tell beside manifests: labels, times, artifacts without a tag, what was here once.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::{CompleteSnapshot, RepositorySnapshot};
use crate::clock::{Fact, Time, Unknown};
use crate::digest::Digest;
use crate::tag::Tag;

/// Labels or annotations: values by their keys.
pub type Labels = BTreeMap<String, String>;

/// What is recorded of a tag or an artifact. What a registry does not record at that place stays
/// [`Unknown::NotRecorded`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Times {
    /// When it was last pushed.
    pub pushed: Fact<Time>,
    /// When it was last pulled; [`Unknown::Zero`] where it never was.
    pub pulled: Fact<Time>,
    /// When the ledger first saw it: this tag on its digest, or this artifact.
    pub observed: Fact<Time>,
}

impl Default for Times {
    fn default() -> Self {
        let unknown = Fact::Unknown(Unknown::NotRecorded);
        Self {
            pushed: unknown,
            pulled: unknown,
            observed: unknown,
        }
    }
}

/// Which times are recorded at all where a snapshot comes from.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Recorded {
    /// The registry records pushes.
    pub pushed: bool,
    /// The registry records pulls.
    pub pulled: bool,
    /// There is a ledger of earlier runs.
    pub observed: bool,
}

/// Everything of a snapshot that is in no manifest.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Beside {
    recorded: Recorded,
    tag_times: BTreeMap<Tag, Times>,
    artifact_times: BTreeMap<Digest, Times>,
    /// By the digest of a configuration blob.
    config_labels: BTreeMap<Digest, Fact<Labels>>,
    /// By the digest of an artifact.
    registry_labels: BTreeMap<Digest, Labels>,
    /// `None` where the registry does not list what has no tag.
    untagged: Option<BTreeSet<Digest>>,
    remembered: BTreeSet<Digest>,
    remembered_indexes: BTreeSet<Digest>,
}

impl Beside {
    pub(super) fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

impl RepositorySnapshot {
    /// Says which times are recorded at all. Without, every clock but `created` is unknown.
    pub fn set_recorded(&mut self, recorded: Recorded) {
        self.beside.recorded = recorded;
    }

    /// Records the times of a tag.
    pub fn insert_tag_times(&mut self, tag: Tag, times: Times) {
        self.beside.tag_times.insert(tag, times);
    }

    /// Records the times of an artifact.
    pub fn insert_artifact_times(&mut self, digest: Digest, times: Times) {
        self.beside.artifact_times.insert(digest, times);
    }

    /// Records the labels of an image, from its configuration blob `config`.
    pub fn insert_config_labels(&mut self, config: Digest, labels: Fact<Labels>) {
        self.beside.config_labels.insert(config, labels);
    }

    /// Records the labels that the registry keeps of an artifact. One without a value has an empty one.
    pub fn insert_registry_labels(&mut self, digest: Digest, labels: Labels) {
        self.beside.registry_labels.insert(digest, labels);
    }

    /// Records that the registry lists what has no tag, and that these are all of it. What is known of each is
    /// added by [`insert_artifact`](Self::insert_artifact).
    pub fn list_untagged(&mut self, digests: impl IntoIterator<Item = Digest>) {
        self.beside.untagged = Some(digests.into_iter().collect());
    }

    /// Records that the ledger saw a tag on an index in this repository once. Until it answers 404, it counts as a
    /// parent of what it lists.
    pub fn remember_index(&mut self, digest: Digest) {
        self.beside.remembered_indexes.insert(digest.clone());
        self.remember(digest);
    }

    /// Records that the ledger saw a digest in this repository once.
    pub fn remember(&mut self, digest: Digest) {
        self.beside.remembered.insert(digest);
    }
}

impl<'a> CompleteSnapshot<'a> {
    /// Which times are recorded at all.
    #[must_use]
    pub fn recorded(self) -> Recorded {
        self.0.beside.recorded
    }

    /// The times of a tag.
    #[must_use]
    pub fn tag_times(self, tag: &Tag) -> Option<Times> {
        self.0.beside.tag_times.get(tag).copied()
    }

    /// The times of an artifact; `None` until somebody asked.
    #[must_use]
    pub fn artifact_times(self, digest: &Digest) -> Option<Times> {
        self.0.beside.artifact_times.get(digest).copied()
    }

    /// All times that are known of tags and artifacts.
    pub fn all_times(self) -> impl Iterator<Item = Times> {
        let beside = &self.0.beside;
        beside
            .tag_times
            .values()
            .chain(beside.artifact_times.values())
            .copied()
    }

    /// The labels of an image, by its configuration blob; `None` until somebody asked.
    #[must_use]
    pub fn config_labels(self, config: &Digest) -> Option<&'a Fact<Labels>> {
        self.0.beside.config_labels.get(config)
    }

    /// The labels that the registry keeps of an artifact.
    #[must_use]
    pub fn registry_labels(self, digest: &Digest) -> Option<&'a Labels> {
        self.0.beside.registry_labels.get(digest)
    }

    /// What has no tag, in the order of digests; `None` where the registry does not list it.
    pub fn untagged(self) -> Option<impl Iterator<Item = &'a Digest>> {
        self.0.beside.untagged.as_ref().map(|digests| digests.iter())
    }

    /// Whether the registry lists a digest as one without a tag.
    #[must_use]
    pub fn is_listed_untagged(self, digest: &Digest) -> bool {
        self.0
            .beside
            .untagged
            .as_ref()
            .is_some_and(|digests| digests.contains(digest))
    }

    /// Whether the ledger saw a digest in this repository once.
    #[must_use]
    pub fn is_remembered(self, digest: &Digest) -> bool {
        self.0.beside.remembered.contains(digest)
    }

    /// The indexes on which the ledger saw a tag in this repository once, in the order of digests.
    pub fn remembered_indexes(self) -> impl Iterator<Item = &'a Digest> {
        self.0.beside.remembered_indexes.iter()
    }
}
