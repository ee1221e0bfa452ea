//! What a decision still needs to know. A request to the registry is the unit of cost, so facts are asked for one
//! kind after the other, and only where a tag could otherwise be deleted.

use std::collections::BTreeSet;

use lagan_model::Digest;

/// Facts that are not in the snapshot yet. Never empty where it is handed out.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Needs {
    /// The digest and manifest of every tag.
    pub tags: bool,
    /// Manifests that no tag is on, by digest.
    pub manifests: BTreeSet<Digest>,
    /// What these configuration blobs say of when their images were created.
    pub config_created: BTreeSet<Digest>,
    /// The labels in these configuration blobs; what reads one for its time may record both.
    pub config_labels: BTreeSet<Digest>,
    /// When these artifacts were pushed and pulled, where that is recorded.
    pub times: BTreeSet<Digest>,
    /// Whether annotations and labels are worth keeping: some policy reads them. Says nothing of what is missing.
    pub labels: bool,
    /// The referrers of these digests.
    pub referrers: BTreeSet<Digest>,
    /// Whether what is listed without a tag really has none.
    pub untagged: bool,
    /// The size and the blobs of these manifests, of which all else is known.
    pub contents: BTreeSet<Digest>,
}

impl Needs {
    /// Whether nothing is missing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        !self.tags
            && self.manifests.is_empty()
            && self.config_created.is_empty()
            && self.config_labels.is_empty()
            && self.times.is_empty()
            && self.referrers.is_empty()
            && !self.untagged
            && self.contents.is_empty()
    }

    /// Adds what another question needs.
    pub(crate) fn add(&mut self, mut other: Self) {
        self.tags |= other.tags;
        self.manifests.append(&mut other.manifests);
        self.config_created.append(&mut other.config_created);
        self.config_labels.append(&mut other.config_labels);
        self.times.append(&mut other.times);
        self.referrers.append(&mut other.referrers);
        self.untagged |= other.untagged;
        self.contents.append(&mut other.contents);
    }
}
