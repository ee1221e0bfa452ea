//! Holding repositories: copies of what is about to be deleted, so that the registry's garbage collection cannot take its
//! blobs as long as the grace lasts.
//!
//! A copy is the manifest under a tag of its own, with its blobs mounted. What has no blobs needs none: the bytes of
//! every manifest are in the journal.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use lagan_model::journal::{
    Held, JournalError, JournalStore, RecordedDelete, RecordedRestore, RestoreIntent, RestoreOutcome,
    RestoreResult, RunId, Sequence,
};
use lagan_model::{
    Blob, Clock, Digest, Failure, MediaType, Reference, RegistryError, RegistryWrite, RepositoryName, Tag,
    Time,
};

use crate::recover::LeftOut;
use crate::restore::{collected, missing_blob};
use crate::safeguard::{Safeguard, on};
use crate::world::World;

/// The name by which the end of a run says how many copies it has on record.
pub const COPIES: &str = "copies";

/// The tag of a copy. A journal's numbers are its own, and several journals may have the same holding repository: the
/// run is in no other.
pub(crate) fn tag_of(run: RunId, deletion: Sequence) -> Option<Tag> {
    format!("q-{}-{deletion}", run.to_string().to_ascii_lowercase())
        .parse()
        .ok()
}

/// What a run holds so far.
#[derive(Debug, Default)]
pub(crate) struct Holdings(Mutex<SoFar>);

#[derive(Debug, Default)]
struct SoFar {
    held: BTreeMap<Digest, Held>,
    /// Blobs that a copy needs which is there: no collection takes them.
    safe: BTreeSet<(RepositoryName, Digest)>,
    copies: u64,
}

impl Holdings {
    fn lock(&self) -> MutexGuard<'_, SoFar> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn of(&self, digest: &Digest) -> Option<Held> {
        self.lock().held.get(digest).cloned()
    }

    pub(crate) fn copies(&self) -> u64 {
        self.lock().copies
    }
}

pub(crate) struct Holder<'a, R, S, C> {
    pub world: World<'a, R, S, C>,
    pub run: RunId,
    pub in_doubt: &'a LeftOut,
    pub so_far: &'a Holdings,
}

impl<R: RegistryWrite, S: JournalStore, C: Clock> Holder<'_, R, S, C> {
    /// Makes the copy that a deletion promises, if it promises one, and reads it back. The inner error says how that
    /// failed; then nothing may be deleted.
    pub(crate) async fn hold(&self, deletion: &RecordedDelete) -> Result<Result<(), String>, JournalError> {
        let intent = deletion.intent();
        let Some(held) = intent.held.as_ref().filter(|_| on(Safeguard::HoldFirst)) else {
            return Ok(Ok(()));
        };
        if on(Safeguard::HoldNotInDoubt) && self.in_doubt.has(&held.repository, &intent.digest, []) {
            let why = format!("an earlier copy in {} may still be purged", held.repository);
            return Ok(Err(why));
        }
        let Some(tag) = tag_of(self.run, deletion.sequence()) else {
            return Ok(Err("there is no tag for its copy".to_owned()));
        };
        let restore = RestoreIntent {
            deletion: deletion.sequence(),
            repository: held.repository.clone(),
            digest: intent.digest.clone(),
            media_type: intent.media_type.clone(),
            tags: vec![tag.clone()],
            hold_until: None,
            held_until: Some(held.until),
            at: self.world.clock.now(),
        };
        let recorded = self.world.journal.record_restore(self.run, restore).await?;
        self.so_far.lock().copies += 1;
        let done = self
            .copy(&recorded, &tag, &intent.blobs, &intent.repository)
            .await;
        let result = match &done {
            Ok(()) => RestoreResult::Restored,
            Err(detail) => RestoreResult::Failed {
                detail: detail.clone(),
            },
        };
        let outcome = RestoreOutcome {
            intent: recorded.sequence(),
            result,
            at: self.world.clock.now(),
        };
        self.world.journal.settle_restore(self.run, outcome).await?;
        if done.is_ok() {
            let mut so_far = self.so_far.lock();
            let blobs = intent.blobs.iter().map(|blob| blob.digest.clone());
            so_far
                .safe
                .extend(blobs.map(|blob| (held.repository.clone(), blob)));
            so_far.held.insert(intent.digest.clone(), held.clone());
        }
        Ok(done)
    }

    async fn copy(
        &self,
        recorded: &RecordedRestore,
        tag: &Tag,
        blobs: &[Blob],
        from: &RepositoryName,
    ) -> Result<(), String> {
        let said = |error: RegistryError| error.to_string();
        let registry = self.world.registry;
        let intent = recorded.intent();
        let needed: Vec<Blob> = {
            let so_far = self.so_far.lock();
            let is_safe = |blob: &Blob| {
                so_far
                    .safe
                    .contains(&(intent.repository.clone(), blob.digest.clone()))
            };
            blobs.iter().filter(|blob| !is_safe(blob)).cloned().collect()
        };
        for blob in &needed {
            registry.mount_blob(recorded, blob, from).await.map_err(said)?;
        }
        let under = Some(tag).filter(|_| on(Safeguard::HoldByTag));
        let put = match registry.put_manifest(recorded, under).await {
            // While another copy takes over a blob that both have, Distribution finds its place empty for a moment, and
            // refuses the manifest.
            Err(error) if error.failure() == Failure::Refused => registry.put_manifest(recorded, under).await,
            put => put,
        };
        put.map_err(said)?;
        if !on(Safeguard::HoldReadBack) {
            return Ok(());
        }
        let reference = match under {
            Some(tag) => Reference::Tag(tag.clone()),
            None => Reference::Digest(intent.digest.clone()),
        };
        let back = registry
            .manifest(&intent.repository, &reference)
            .await
            .map_err(said)?;
        if back.bytes() != recorded.bytes() {
            return Err("the registry serves another copy than it was given".to_owned());
        }
        // From now on the copy keeps them; until now they could be collected.
        match missing_blob(registry, &intent.repository, &needed)
            .await
            .map_err(said)?
        {
            None => Ok(()),
            Some(blob) => Err(collected(blob)),
        }
    }
}

/// The blobs of `from` that have to be taken over before a manifest can be put back: those that its repository has no
/// more. The inner error is the first that is nowhere.
pub(crate) async fn to_bring<R: RegistryWrite>(
    registry: &R,
    repository: &RepositoryName,
    blobs: &[Blob],
    held: Option<&Held>,
) -> Result<Result<Vec<Blob>, Digest>, RegistryError> {
    let mut lacking = Vec::new();
    for blob in blobs {
        if missing_blob(registry, repository, std::slice::from_ref(blob))
            .await?
            .is_none()
        {
            continue;
        }
        let Some(held) = held.filter(|_| on(Safeguard::BringBack)) else {
            return Ok(Err(blob.digest.clone()));
        };
        if missing_blob(registry, &held.repository, std::slice::from_ref(blob))
            .await?
            .is_some()
        {
            return Ok(Err(blob.digest.clone()));
        }
        lacking.push(blob.clone());
    }
    Ok(Ok(lacking))
}

/// Takes blobs over from where they are held.
pub(crate) async fn bring<R: RegistryWrite>(
    registry: &R,
    recorded: &RecordedRestore,
    blobs: &[Blob],
    held: Option<&Held>,
) -> Result<(), String> {
    let Some(held) = held else { return Ok(()) };
    for blob in blobs {
        registry
            .mount_blob(recorded, blob, &held.repository)
            .await
            .map_err(|error| error.to_string())?;
    }
    Ok(())
}

/// A copy on record, whatever became of it: one that failed may have been made late.
#[derive(Debug, Clone)]
pub(crate) struct Copy {
    pub digest: Digest,
    pub media_type: MediaType,
    pub until: Time,
}

/// The copies on record on this registry that are not on record as purged, by repository and tag.
pub(crate) type Copies = BTreeMap<RepositoryName, BTreeMap<Tag, Copy>>;
