//! What a repository holds, as a value: the same value is served over HTTP, pushed to other
//! registries and read by tests as the truth that a tool's decisions are judged by.

mod archetype;
mod artifacts;
mod corpus;
mod generate;
mod layer;
mod manifest;
mod versions;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

pub(crate) use artifacts::{AttachmentSpec, ImageSpec, fallback_index};
use bytes::Bytes;
pub use corpus::{Corpus, CorpusOptions, Media, ReferrersStyle};
pub use manifest::{BlobRef, Kind, Manifest};

use crate::digest::Digest;

/// The bytes of a blob, or how to make them again.
#[derive(Debug, Clone)]
pub(crate) enum Blob {
    Bytes(Bytes),
    /// A layer that is a function of its key: kept as the key, because layers are most of a
    /// table's bytes and almost nobody asks for them.
    Layer(u64),
}

impl Blob {
    pub(crate) fn bytes(&self) -> Bytes {
        match self {
            Self::Bytes(bytes) => bytes.clone(),
            Self::Layer(key) => Bytes::from(layer::layer(*key).compressed),
        }
    }
}

/// Everything in one repository: manifests, tags and blobs.
#[derive(Debug, Clone, Default)]
pub struct Content {
    repository: String,
    manifests: Vec<Arc<Manifest>>,
    by_digest: HashMap<Digest, usize>,
    tags: BTreeMap<Arc<str>, Digest>,
    blobs: HashMap<Digest, Blob>,
    referrers: HashMap<Digest, Vec<usize>>,
}

impl Content {
    pub(crate) fn new(repository: &str) -> Self {
        Self {
            repository: repository.to_owned(),
            ..Self::default()
        }
    }

    /// The repository's name.
    #[must_use]
    pub fn repository(&self) -> &str {
        &self.repository
    }

    /// Every manifest once, what it lists or signs before it: the order in which to push.
    #[must_use]
    pub fn manifests(&self) -> &[Arc<Manifest>] {
        &self.manifests
    }

    /// The manifest of a digest.
    #[must_use]
    pub fn manifest(&self, digest: &Digest) -> Option<&Arc<Manifest>> {
        self.by_digest
            .get(digest)
            .and_then(|index| self.manifests.get(*index))
    }

    /// The digest that a tag names.
    #[must_use]
    pub fn resolve(&self, tag: &str) -> Option<Digest> {
        self.tags.get(tag).copied()
    }

    /// Tags and their digests, in byte order of the tags.
    pub fn tags(&self) -> impl Iterator<Item = (&str, Digest)> {
        self.tags.iter().map(|(tag, digest)| (&**tag, *digest))
    }

    /// How many tags there are.
    #[must_use]
    pub fn tag_count(&self) -> usize {
        self.tags.len()
    }

    /// The tags of each tagged digest, in byte order.
    #[must_use]
    pub fn tags_by_digest(&self) -> HashMap<Digest, Vec<&str>> {
        let mut grouped: HashMap<Digest, Vec<&str>> = HashMap::new();
        for (tag, digest) in self.tags() {
            grouped.entry(digest).or_default().push(tag);
        }
        grouped
    }

    /// Manifests whose `subject` is this digest, in push order.
    pub fn referrers(&self, subject: &Digest) -> impl Iterator<Item = &Arc<Manifest>> {
        self.referrers
            .get(subject)
            .into_iter()
            .flatten()
            .filter_map(|index| self.manifests.get(*index))
    }

    /// The bytes of a blob (configuration, layer, payload).
    #[must_use]
    pub fn blob(&self, digest: &Digest) -> Option<Bytes> {
        self.blobs.get(digest).map(Blob::bytes)
    }

    /// Every blob, in no particular order.
    pub fn blobs(&self) -> impl Iterator<Item = (Digest, Bytes)> {
        self.blobs.iter().map(|(digest, blob)| (*digest, blob.bytes()))
    }

    pub(crate) fn has_blob(&self, digest: &Digest) -> bool {
        self.blobs.contains_key(digest)
    }

    pub(crate) fn stored_blobs(&self) -> impl Iterator<Item = (&Digest, &Blob)> {
        self.blobs.iter()
    }

    pub(crate) fn tag_map(&self) -> &BTreeMap<Arc<str>, Digest> {
        &self.tags
    }

    pub(crate) fn add_blob(&mut self, bytes: Vec<u8>) -> BlobRef {
        let blob = BlobRef {
            digest: Digest::of(&bytes),
            size: bytes.len() as u64,
        };
        self.blobs.insert(blob.digest, Blob::Bytes(Bytes::from(bytes)));
        blob
    }

    /// Adds a manifest; the same bytes twice are one manifest, as in a registry.
    pub(crate) fn add_manifest(&mut self, manifest: Manifest) -> Digest {
        let digest = manifest.digest;
        if self.by_digest.contains_key(&digest) {
            return digest;
        }
        let index = self.manifests.len();
        if let Some(subject) = manifest.subject {
            self.referrers.entry(subject).or_default().push(index);
        }
        self.by_digest.insert(digest, index);
        self.manifests.push(Arc::new(manifest));
        digest
    }

    /// Tags a digest unless the tag is taken; answers whether it did.
    pub(crate) fn add_tag(&mut self, tag: &str, digest: Digest) -> bool {
        if self.tags.contains_key(tag) {
            return false;
        }
        self.tags.insert(Arc::from(tag), digest);
        true
    }
}
