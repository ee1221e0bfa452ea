//! What registries and our ledger tell beside manifests: labels, times, artifacts without a tag, what was here once.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::{CompleteSnapshot, RepositorySnapshot};
use crate::clock::{Fact, Time, Unknown};
use crate::digest::Digest;
use crate::port::ArtifactRecord;
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

/// What a registry records of an image's configuration, so that nobody has to read that.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImageRecord {
    /// When the configuration says that the image was created.
    pub created: Fact<Time>,
    /// Its labels.
    pub labels: Fact<Labels>,
}

/// What a registry records as attached to an artifact, whatever way it was attached.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Accessory {
    /// Its digest.
    pub digest: Digest,
    /// What the registry takes it for, such as `signature.cosign`.
    pub kind: String,
}

/// A label that a registry keeps on an artifact, beside its manifest.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct RegistryLabel {
    /// Its name, which only its scope makes unique.
    pub name: String,
    /// Whose it is.
    pub scope: LabelScope,
}

/// Whose a label is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LabelScope {
    /// Of the project that the repository is in.
    Project,
    /// Of the whole registry.
    Global,
}

/// Why a tag counts as immutable. What is immutable is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Immutable {
    /// The registry says that it is.
    Marked,
    /// A rule of the registry covers it, although the registry does not say so of the tag.
    Rule,
    /// Whether a rule of the registry covers it cannot be told.
    Unknown,
}

/// Why nothing that is deleted here can be brought back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NoUndo {
    /// It caches another registry, and takes no pushes.
    ProxyCache,
}

/// What has no tag, as far as the registry's listing shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Untagged {
    digests: BTreeSet<Digest>,
    /// Whether a second question had the same answer.
    confirmed: bool,
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
    untagged: Option<Untagged>,
    remembered: BTreeSet<Digest>,
    remembered_indexes: BTreeSet<Digest>,
    /// By the digest of an artifact.
    images: BTreeMap<Digest, ImageRecord>,
    /// By the digest of what they are attached to.
    accessories: BTreeMap<Digest, Vec<Accessory>>,
    immutable: BTreeMap<Tag, Immutable>,
    /// What was put back, and until when it stays.
    held: BTreeMap<Digest, Time>,
    no_undo: Option<NoUndo>,
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
        self.beside.untagged = Some(Untagged {
            digests: digests.into_iter().collect(),
            confirmed: true,
        });
    }

    /// Records that these are listed without a tag, and that the listing may be wrong: before anything is decided of
    /// them somebody asks again, and records the answer by [`list_untagged`](Self::list_untagged).
    pub fn suspect_untagged(&mut self, digests: impl IntoIterator<Item = Digest>) {
        self.beside.untagged = Some(Untagged {
            digests: digests.into_iter().collect(),
            confirmed: false,
        });
    }

    /// Adds what the registry records of an artifact.
    pub fn insert_record(&mut self, record: ArtifactRecord) {
        let digest = record.artifact.digest.clone();
        self.insert_artifact_times(digest.clone(), record.times);
        if !record.labels.is_empty() {
            self.insert_registry_labels(digest.clone(), record.labels);
        }
        if let Some(image) = record.image {
            self.insert_image(digest.clone(), image);
        }
        self.insert_accessories(digest, record.accessories);
        self.insert_artifact(record.artifact);
    }

    /// Records what the registry tells of an image's configuration; by the digest of the image.
    pub fn insert_image(&mut self, digest: Digest, image: ImageRecord) {
        self.beside.images.insert(digest, image);
    }

    /// Records all that the registry has attached to `subject`. Its referrers are not asked for then.
    pub fn insert_accessories(&mut self, subject: Digest, accessories: Vec<Accessory>) {
        self.referrers.entry(subject.clone()).or_default();
        self.beside.accessories.insert(subject, accessories);
    }

    /// Records that a tag is immutable, or may be.
    pub fn insert_immutable(&mut self, tag: Tag, why: Immutable) {
        self.beside.immutable.insert(tag, why);
    }

    /// Records that an artifact was put back, and stays until then.
    pub fn hold(&mut self, digest: Digest, until: Time) {
        self.beside.held.insert(digest, until);
    }

    /// Records that nothing that is deleted here can be brought back.
    pub fn set_no_undo(&mut self, why: NoUndo) {
        self.beside.no_undo = Some(why);
    }

    /// Records that an index was in this repository once, and may be there without a tag: the ledger saw a tag on it, or it
    /// was put back. Until it answers 404, it counts as a parent of what it lists.
    pub fn remember_index(&mut self, digest: Digest) {
        self.beside.remembered_indexes.insert(digest.clone());
        self.remember(digest);
    }

    /// Records that a digest was seen in this repository once.
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
        let untagged = self.0.beside.untagged.as_ref();
        untagged.map(|untagged| untagged.digests.iter())
    }

    /// Whether what is listed without a tag was asked for again, or nothing has to be.
    #[must_use]
    pub fn is_untagged_confirmed(self) -> bool {
        let untagged = self.0.beside.untagged.as_ref();
        untagged.is_none_or(|untagged| untagged.confirmed || untagged.digests.is_empty())
    }

    /// What the registry tells of an image's configuration.
    #[must_use]
    pub fn image(self, digest: &Digest) -> Option<&'a ImageRecord> {
        self.0.beside.images.get(digest)
    }

    /// Everything that the registry records as attached, by what it is attached to, in the order of digests.
    pub fn accessories(self) -> impl Iterator<Item = (&'a Digest, &'a [Accessory])> {
        let all = self.0.beside.accessories.iter();
        all.map(|(subject, accessories)| (subject, accessories.as_slice()))
    }

    /// Whether any tag counts as immutable.
    #[must_use]
    pub fn has_immutable(self) -> bool {
        !self.0.beside.immutable.is_empty()
    }

    /// Why a tag counts as immutable; `None` where it is not.
    #[must_use]
    pub fn immutable(self, tag: &Tag) -> Option<Immutable> {
        self.0.beside.immutable.get(tag).copied()
    }

    /// Whether anything was put back, and stays.
    #[must_use]
    pub fn has_held(self) -> bool {
        !self.0.beside.held.is_empty()
    }

    /// Until when an artifact stays that was put back; `None` where it was not.
    #[must_use]
    pub fn held(self, digest: &Digest) -> Option<Time> {
        self.0.beside.held.get(digest).copied()
    }

    /// Why nothing that is deleted here can be brought back; `None` where it can.
    #[must_use]
    pub fn no_undo(self) -> Option<NoUndo> {
        self.0.beside.no_undo
    }

    /// Whether the registry lists a digest as one without a tag.
    #[must_use]
    pub fn is_listed_untagged(self, digest: &Digest) -> bool {
        self.0
            .beside
            .untagged
            .as_ref()
            .is_some_and(|untagged| untagged.digests.contains(digest))
    }

    /// Whether a digest was seen in this repository once.
    #[must_use]
    pub fn is_remembered(self, digest: &Digest) -> bool {
        self.0.beside.remembered.contains(digest)
    }

    /// The indexes that were in this repository once, and may be there without a tag, in the order of digests.
    pub fn remembered_indexes(self) -> impl Iterator<Item = &'a Digest> {
        self.0.beside.remembered_indexes.iter()
    }
}
