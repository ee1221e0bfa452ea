//! What outlives a run beside the journal: facts about digests, which never change, and what was seen when.
//!
//! The two differ in what losing them means. A [`FactCache`] may forget anything at any time; that costs requests. A
//! ledger is evidence: it says since when a tag is where it is, and what was here once. An adapter that cannot read
//! what it holds says so, and never begins anew by itself.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::clock::{Fact, Time, Unknown};
use crate::digest::Digest;
use crate::manifest::Manifest;
use crate::name::RepositoryName;
use crate::snapshot::{CompleteSnapshot, Labels};
use crate::tag::Tag;

/// What decisions need of an image's configuration.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConfigFacts {
    /// When it says that the image was created.
    pub created: Fact<Time>,
    /// The labels in it.
    pub labels: Fact<Labels>,
}

impl ConfigFacts {
    /// One of which nothing is known.
    #[must_use]
    pub fn unknown(why: Unknown) -> Self {
        Self {
            created: Fact::Unknown(why),
            labels: Fact::Unknown(why),
        }
    }
}

/// Keeps what digests name. It answers with what hashes to the digest, or not at all.
pub trait FactCache: Send + Sync {
    /// A manifest, verified against its digest, as it was served.
    fn manifest(&self, digest: &Digest) -> Option<Manifest>;

    /// Keeps a manifest that was verified.
    fn keep_manifest(&self, manifest: &Manifest);

    /// What was read in a configuration.
    fn config(&self, config: &Digest) -> Option<ConfigFacts>;

    /// Keeps what was read in a configuration.
    fn keep_config(&self, config: &Digest, facts: &ConfigFacts);
}

/// Why the ledger of a repository cannot be used, as a fragment that completes "failed to ...".
#[derive(Debug, thiserror::Error)]
#[error("{doing}")]
pub struct LedgerError {
    /// What was tried, and where.
    pub doing: String,
    /// How it failed.
    #[source]
    pub source: Box<dyn std::error::Error + Send + Sync>,
}

/// Keeps what was seen of the repositories of one registry, and since when.
pub trait ObservationLedger: Send + Sync {
    /// What earlier runs saw; `None` where the tags of the repository were never looked up.
    ///
    /// # Errors
    ///
    /// When it is there and cannot be read. It is left as it is.
    fn recall(&self, repository: &RepositoryName) -> Result<Option<Sightings>, LedgerError>;

    /// Puts what is known now in the place of what was recalled.
    ///
    /// # Errors
    ///
    /// When it cannot be written. What was there before still is.
    fn keep(&self, repository: &RepositoryName, sightings: &Sightings) -> Result<(), LedgerError>;
}

/// What was seen of a repository, over all runs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sightings {
    /// The tags that were there when they were last looked up.
    pub tags: BTreeMap<Tag, TagSighting>,
    /// Every digest that was ever there.
    pub digests: BTreeMap<Digest, DigestSighting>,
}

/// A tag where it was last seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TagSighting {
    /// What it was on.
    pub digest: Digest,
    /// Since when it is known to be there; [`Unknown::FirstListing`] where it was when the tags were first looked up.
    pub since: Fact<Time>,
}

/// A digest that was seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DigestSighting {
    /// When it was first; [`Unknown::FirstListing`] where that was when the tags were first looked up.
    pub since: Fact<Time>,
    /// Whether it is an index that had a tag, and that no answer has said to be gone since.
    pub tagged_index: bool,
}

impl Sightings {
    /// What is known after a look at the repository at `at`; `None` where not all tags were looked up.
    ///
    /// Times only ever say that something is newer than it may be: a tag that was somewhere else in between, or that
    /// was away, is as new as its return.
    #[must_use]
    pub fn after(before: Option<&Self>, snapshot: CompleteSnapshot<'_>, at: Time) -> Option<Self> {
        let first = match before {
            None => Fact::Unknown(Unknown::FirstListing),
            Some(_) => Fact::Known(at),
        };
        let mut sightings = Self {
            tags: BTreeMap::new(),
            digests: before.map(|before| before.digests.clone()).unwrap_or_default(),
        };
        let mut seen = |digest: &Digest| {
            let new = DigestSighting {
                since: first,
                tagged_index: false,
            };
            if !sightings.digests.contains_key(digest) {
                sightings.digests.insert(digest.clone(), new);
            }
        };
        for artifact in snapshot.artifacts() {
            seen(&artifact.digest);
        }
        for listed in snapshot.tags() {
            let digest = listed.digest.as_ref()?;
            seen(digest);
            let known = before.and_then(|before| before.tags.get(&listed.tag));
            let since = known
                .filter(|known| known.digest == *digest)
                .map(|known| known.since);
            let sighting = TagSighting {
                digest: digest.clone(),
                since: since.unwrap_or(first),
            };
            sightings.tags.insert(listed.tag.clone(), sighting);
        }
        for sighting in sightings.tags.values() {
            let index = snapshot
                .artifact(&sighting.digest)
                .is_some_and(crate::Artifact::is_index);
            if let (true, Some(known)) = (index, sightings.digests.get_mut(&sighting.digest)) {
                known.tagged_index = true;
            }
        }
        for (digest, known) in &mut sightings.digests {
            if snapshot.is_absent(digest) {
                known.tagged_index = false;
            }
        }
        Some(sightings)
    }
}

#[cfg(test)]
mod tests;
