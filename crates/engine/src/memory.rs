//! What earlier runs found out: bytes that digests name, and where tags were. It saves requests, and tells times that
//! no registry records.

use std::fmt;

use lagan_model::memory::{ConfigFacts, FactCache, LedgerError, ObservationLedger, Sightings};
use lagan_model::{
    Digest, Fact, Manifest, Recorded, Reference, RegistryError, RegistryRead, RepositoryName,
    RepositorySnapshot, Tag, Time, Times, Unknown,
};

use crate::safeguard::{Safeguard, on};
use crate::undo::Holds;

/// What outlives a run, as far as there is any.
#[derive(Clone, Copy, Default)]
pub struct Memory<'a> {
    /// Facts about digests.
    pub cache: Option<&'a dyn FactCache>,
    /// What was seen of this registry.
    pub ledger: Option<&'a dyn ObservationLedger>,
    /// What was put back, and stays.
    pub holds: Option<&'a Holds>,
    /// Whether what is seen now becomes part of the ledger. A decision that is replayed at another time does not.
    pub records: bool,
}

impl fmt::Debug for Memory<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Memory")
            .field("cache", &self.cache.is_some())
            .field("ledger", &self.ledger.is_some())
            .field("holds", &self.holds.is_some())
            .field("records", &self.records)
            .finish()
    }
}

/// What the ledger says of a repository.
pub(crate) enum Recalled {
    /// There is no ledger, or it cannot be read.
    Nothing,
    /// The tags of the repository were never looked up.
    New,
    /// What was seen.
    Seen(Sightings),
}

impl Recalled {
    fn sightings(&self) -> Option<&Sightings> {
        match self {
            Self::Nothing | Self::New => None,
            Self::Seen(sightings) => Some(sightings),
        }
    }

    /// Where a tag was last seen.
    pub(crate) fn digest_of(&self, tag: &Tag) -> Option<&Digest> {
        let known = self.sightings()?.tags.get(tag)?;
        Some(&known.digest)
    }
}

impl Memory<'_> {
    /// Tells the snapshot what is held in it. An index that is held is looked for although no tag may be on it any more.
    pub(crate) fn hold(&self, snapshot: &mut RepositorySnapshot) {
        let repository = snapshot.repository().clone();
        for (digest, hold) in self.holds.into_iter().flat_map(|holds| holds.of(&repository)) {
            snapshot.hold(digest.clone(), hold.until);
            if hold.is_index && on(Safeguard::HoldBelow) {
                snapshot.remember_index(digest.clone());
            }
        }
    }

    /// Reads the ledger, and tells the snapshot what was here once.
    pub(crate) fn recall(&self, snapshot: &mut RepositorySnapshot) -> Result<Recalled, LedgerError> {
        let Some(ledger) = self.ledger else {
            return Ok(Recalled::Nothing);
        };
        let recalled = ledger.recall(snapshot.repository())?;
        let recorded = snapshot.complete().map(|complete| complete.recorded());
        snapshot.set_recorded(Recorded {
            observed: true,
            ..recorded.unwrap_or_default()
        });
        let Some(sightings) = recalled else {
            return Ok(Recalled::New);
        };
        for (digest, seen) in &sightings.digests {
            if seen.tagged_index {
                snapshot.remember_index(digest.clone());
            } else {
                snapshot.remember(digest.clone());
            }
        }
        Ok(Recalled::Seen(sightings))
    }

    /// Adds since when tags are where they are, and artifacts are here, to the times that are known of them. Tags that
    /// were not looked up have none.
    pub(crate) fn observe(&self, snapshot: &mut RepositorySnapshot, recalled: &Recalled, now: Time) {
        let (false, Ok(complete)) = (matches!(recalled, Recalled::Nothing), snapshot.complete()) else {
            return;
        };
        let since = |digest: &Digest, tag: &Tag| {
            since_when(recalled, now, |seen| {
                let known = seen.tags.get(tag).filter(|known| known.digest == *digest);
                known.map(|known| known.since)
            })
        };
        let of_tags: Vec<(Tag, Times)> = complete
            .tags()
            .iter()
            .filter_map(|listed| {
                let mut times = complete.tag_times(&listed.tag).unwrap_or_default();
                times.observed = since(listed.digest.as_ref()?, &listed.tag);
                Some((listed.tag.clone(), times))
            })
            .collect();
        let of_artifacts: Vec<(Digest, Times)> = complete
            .artifacts()
            .filter_map(|artifact| {
                let mut times = complete.artifact_times(&artifact.digest)?;
                times.observed = self.observed(&artifact.digest, recalled, now);
                Some((artifact.digest.clone(), times))
            })
            .collect();
        for (tag, times) in of_tags {
            snapshot.insert_tag_times(tag, times);
        }
        for (digest, times) in of_artifacts {
            snapshot.insert_artifact_times(digest, times);
        }
    }

    /// When an artifact was first seen here.
    pub(crate) fn observed(&self, digest: &Digest, recalled: &Recalled, now: Time) -> Fact<Time> {
        since_when(recalled, now, |seen| {
            seen.digests.get(digest).map(|known| known.since)
        })
    }

    /// Adds what was seen to the ledger, where it is anything new.
    pub(crate) fn record(
        &self,
        snapshot: &RepositorySnapshot,
        recalled: &Recalled,
        now: Time,
    ) -> Result<(), LedgerError> {
        let (Some(ledger), true, Ok(complete)) = (self.ledger, self.records, snapshot.complete()) else {
            return Ok(());
        };
        if matches!(recalled, Recalled::Nothing) {
            return Ok(());
        }
        let before = recalled.sightings();
        match Sightings::after(before, complete, now) {
            Some(after) if before != Some(&after) => ledger.keep(snapshot.repository(), &after),
            _ => Ok(()),
        }
    }

    /// The manifest of a tag: with a HEAD where what it was last on is known, and it is on that still.
    pub(crate) async fn manifest_of_tag<R: RegistryRead>(
        &self,
        registry: &R,
        repository: &RepositoryName,
        tag: &Tag,
        recalled: &Recalled,
    ) -> Result<Manifest, RegistryError> {
        let reference = Reference::Tag(tag.clone());
        let expected = recalled.digest_of(tag);
        self.manifest(registry, repository, &reference, expected).await
    }

    /// A manifest: with a HEAD where `expected`, which it is likely to be, is known. A HEAD says whether it is there;
    /// what it says of the content is believed only where that is known, and hashes to it.
    pub(crate) async fn manifest<R: RegistryRead>(
        &self,
        registry: &R,
        repository: &RepositoryName,
        reference: &Reference,
        expected: Option<&Digest>,
    ) -> Result<Manifest, RegistryError> {
        let known = |digest: &Digest| self.cache.and_then(|cache| cache.manifest(digest));
        if let Some(likely) = expected.and_then(known)
            && let Some(head) = registry.resolve(repository, reference).await?
        {
            let found = if head.digest == *likely.digest() {
                Some(likely)
            } else {
                known(&head.digest)
            };
            // A registry that serves it as something else now has the last word.
            let same_type = |manifest: &Manifest| {
                let served = head.media_type.as_ref();
                served.is_none_or(|media_type| media_type == manifest.media_type())
            };
            if let Some(manifest) = found.filter(same_type) {
                return Ok(manifest);
            }
        }
        let manifest = registry.manifest(repository, reference).await?;
        if let Some(cache) = self.cache {
            cache.keep_manifest(&manifest);
        }
        Ok(manifest)
    }

    /// What is known of a configuration.
    pub(crate) fn config(&self, config: &Digest) -> Option<ConfigFacts> {
        self.cache.and_then(|cache| cache.config(config))
    }

    /// Keeps what was read in one.
    pub(crate) fn keep_config(&self, config: &Digest, facts: &ConfigFacts) {
        if let Some(cache) = self.cache {
            cache.keep_config(config, facts);
        }
    }
}

/// What is not in a ledger that has been kept is new; without one, nobody knows.
fn since_when(
    recalled: &Recalled,
    now: Time,
    known: impl FnOnce(&Sightings) -> Option<Fact<Time>>,
) -> Fact<Time> {
    match recalled {
        Recalled::Nothing => Fact::Unknown(Unknown::NotRecorded),
        Recalled::New => Fact::Unknown(Unknown::FirstListing),
        Recalled::Seen(sightings) => known(sightings).unwrap_or(Fact::Known(now)),
    }
}
