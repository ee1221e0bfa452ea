//! Putting back what was deleted in one repository.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use lagan_model::journal::{
    DeleteIntent, JournalError, JournalStore, RecordedRestore, RestoreIntent, RestoreOutcome, RestoreResult,
    Role, UntagIntent,
};
use lagan_model::{
    Artifact, AttachmentForm, Blob, Clock, Digest, Manifest, Observer, Reference, RegistryError,
    RegistryLabel, RegistryWrite, RepositoryName, Tag,
};

use super::history::{Chosen, Deleted, History, TakenOff};
use super::kept::Kept;
use super::merge::merged;
use super::order::in_order;
use super::{LONGEST_HOLD, ManifestUndo, UndoOutcome, UndoRequest};
use crate::holding::{bring, to_bring};
use crate::restore::{
    NotPut, bytes_of, collected, create_tag, missing_blob, on_tag, put_exact, put_labels, put_tag,
};
use crate::safeguard::{Safeguard, on};
use crate::world::World;

pub(crate) struct Restorer<'a, R, S, C> {
    world: World<'a, R, S, C>,
    request: &'a UndoRequest<'a>,
    repository: &'a RepositoryName,
}

/// The journal failed while something was put back.
struct JournalFailed {
    error: JournalError,
    /// What became of it all the same.
    outcome: UndoOutcome,
}

impl From<JournalError> for JournalFailed {
    /// Before it was on record nothing is sent.
    fn from(error: JournalError) -> Self {
        let outcome = not_on_record();
        Self { error, outcome }
    }
}

/// What a manifest lacks.
struct Lack {
    /// Whether the manifest itself is not there.
    manifest: bool,
    /// Tags that are nowhere, or may be taken from where they are.
    tags: Vec<Tag>,
    /// Fallback indexes that others have written since: they are merged.
    merge: Vec<Tag>,
    /// Tags that are on something else, and stay there.
    moved: Vec<(Tag, Digest)>,
    /// Labels that the registry kept on it.
    labels: Vec<RegistryLabel>,
}

impl Lack {
    fn is_nothing(&self) -> bool {
        !self.manifest && self.tags.is_empty() && self.merge.is_empty() && self.labels.is_empty()
    }
}

/// What is known of the repository while it is worked on.
struct Known<'a> {
    kept: &'a Kept,
    /// What became of the deletions until now.
    ends: HashMap<&'a Digest, UndoOutcome>,
    /// Those of them that are there with all that they need, also where a tag or a label could not be put on them.
    there: BTreeSet<Digest>,
    /// Manifests that are there since a tag was put back that had been taken off, or was to be.
    back: BTreeSet<Digest>,
}

impl Known<'_> {
    /// What is not there below a manifest that lists `children`.
    fn missing_below(&self, children: &[Digest]) -> Vec<Digest> {
        let mut missing = self.kept.missing_below(children);
        missing.retain(|digest| !self.back.contains(digest));
        missing
    }
}

impl<'a, R: RegistryWrite, S: JournalStore, C: Clock> Restorer<'a, R, S, C> {
    pub(crate) fn new(
        world: World<'a, R, S, C>,
        request: &'a UndoRequest<'a>,
        repository: &'a RepositoryName,
    ) -> Self {
        Self {
            world,
            request,
            repository,
        }
    }

    /// Puts back everything that was chosen, and says what became of it. Where the journal fails, that comes with the
    /// failure, and nothing more is touched.
    pub(crate) async fn restore(
        &self,
        chosen: &mut Chosen,
        observer: &impl Observer,
    ) -> (Vec<ManifestUndo>, Result<(), JournalError>) {
        let (kept, mut journal) = match self.untagged(chosen).await {
            Ok(untagged) => {
                let kept = Kept::read(self.world.registry, self.repository, chosen, &untagged).await;
                (kept, Ok(()))
            }
            Err(error) => (Kept::default(), Err(error)),
        };
        let chosen = &*chosen;
        let mut known = Known {
            kept: &kept,
            ends: HashMap::new(),
            there: BTreeSet::new(),
            back: BTreeSet::new(),
        };
        let mut tags: Vec<&TakenOff> = chosen.taken_off.iter().collect();
        let mut undone = Vec::new();
        let artifacts = chosen.artifacts();
        for deleted in in_order(chosen, &kept) {
            let intent = &deleted.intent;
            // What others deleted since a tag was taken off it is on record as well, and many registries take no index
            // without it.
            let below = kept.lost_a_tag_below(&intent.children);
            for digest in below.into_iter().filter(|_| on(Safeguard::ChildrenFirst)) {
                for taken in tags.extract_if(.., |taken| taken.intent.digest == *digest) {
                    let history = &chosen.history;
                    undone.push(
                        self.undo_untagging(taken, history, &mut known, &mut journal)
                            .await,
                    );
                    observer.manifest_undone(self.repository);
                }
            }
            let outcome = match journal.is_ok() {
                true => told(self.restore_manifest(deleted, &mut known).await, &mut journal),
                false => not_on_record(),
            };
            known.ends.insert(&intent.digest, outcome.clone());
            undone.push(ManifestUndo {
                digest: intent.digest.clone(),
                role: intent.role,
                belongs_to: artifacts.get(&intent.digest).map(|artifact| (*artifact).clone()),
                tags: intent.tags.clone(),
                deleted_by: deleted.run,
                deletion: deleted.sequence,
                lacks: known.missing_below(&intent.children),
                outcome,
            });
            observer.manifest_undone(self.repository);
        }
        for taken in tags {
            let history = &chosen.history;
            undone.push(
                self.undo_untagging(taken, history, &mut known, &mut journal)
                    .await,
            );
            observer.manifest_undone(self.repository);
        }
        (undone, journal)
    }

    async fn undo_untagging(
        &self,
        taken: &TakenOff,
        history: &History,
        known: &mut Known<'_>,
        journal: &mut Result<(), JournalError>,
    ) -> ManifestUndo {
        let intent = &taken.intent;
        let mut manifest = None;
        let mut outcome = not_on_record();
        if journal.is_ok() {
            match self.on_record(intent).await {
                Ok(found) => {
                    manifest = found;
                    let ended = self.restore_tag(taken, manifest.as_ref(), history, known).await;
                    outcome = told(ended, journal);
                }
                Err(error) => *journal = Err(error),
            }
        }
        if outcome.is_there() {
            known.back.insert(intent.digest.clone());
        }
        ManifestUndo {
            digest: intent.digest.clone(),
            role: Role::Artifact,
            belongs_to: None,
            tags: taken.tags.clone(),
            deleted_by: taken.run,
            deletion: taken.sequence,
            lacks: known.missing_below(&manifest.as_ref().map(listed_by).unwrap_or_default()),
            outcome,
        }
    }

    async fn restore_manifest(
        &self,
        deleted: &Deleted,
        known: &mut Known<'_>,
    ) -> Result<UndoOutcome, JournalFailed> {
        let intent = &deleted.intent;
        if self.is_in_doubt(&intent.digest, &intent.tags) {
            return Ok(UndoOutcome::InDoubt);
        }
        if self.world.stop.is_requested() {
            return Ok(stopped());
        }
        let lack = match self.lack(&intent.digest, &intent.tags, &intent.labels).await {
            Ok(lack) => lack,
            Err(error) => return Ok(failed(&error)),
        };
        // One that is there may be hollow: put back by somebody who did not look for what it needs.
        let blobs = match self.obstacle(intent, known).await {
            Ok(blobs) => blobs,
            Err(outcome) => return Ok(outcome),
        };
        if lack.is_nothing() && blobs.is_empty() {
            return Ok(if lack.moved.is_empty() {
                UndoOutcome::AlreadyThere
            } else {
                UndoOutcome::Conflict { tags: lack.moved }
            });
        }
        if self.request.dry_run {
            return Ok(end_of(lack.moved));
        }
        let restore = self.restore_intent(deleted.sequence, &intent.digest, &intent.media_type, &lack.tags);
        let recorded = self
            .world
            .journal
            .record_restore(self.request.begin.run, restore)
            .await?;
        let registry = self.world.registry;
        let mut done = bring(registry, &recorded, &blobs, intent.held.as_ref())
            .await
            .map_err(NotPut::from);
        // Also where it is there, and blobs of it were not.
        if done.is_ok() && (lack.manifest || !blobs.is_empty()) {
            done = put_exact(registry, &recorded).await;
        }
        if done.is_ok() {
            known.there.insert(intent.digest.clone());
            done = self.put_tags(&recorded, &lack).await;
        }
        if done.is_ok() {
            for tag in &lack.merge {
                if let Err(error) = self.merge(deleted, &recorded, tag).await.map_err(partly)? {
                    done = Err(error);
                    break;
                }
            }
        }
        self.settle(&recorded, done, lack.moved).await
    }

    /// A tag that was taken off an artifact which stayed.
    async fn restore_tag(
        &self,
        taken: &TakenOff,
        manifest: Option<&Manifest>,
        history: &History,
        known: &mut Known<'_>,
    ) -> Result<UndoOutcome, JournalFailed> {
        let intent = &taken.intent;
        if self.is_in_doubt(&intent.digest, &taken.tags) {
            return Ok(UndoOutcome::InDoubt);
        }
        if self.world.stop.is_requested() {
            return Ok(stopped());
        }
        let mut tags = taken.tags.clone();
        let lack = match self.lack(&intent.digest, &tags, &[]).await {
            // The registry took the manifest and all its tags, when it was asked for one of them.
            Ok(lack) if lack.manifest && !history.deleted.contains_key(&intent.digest) => {
                let others = intent.others.iter().filter(|other| !taken.tags.contains(other));
                tags.extend(others.cloned());
                self.lack(&intent.digest, &tags, &[]).await
            }
            other => other,
        };
        let lack = match lack {
            Ok(lack) => lack,
            Err(error) => return Ok(failed(&error)),
        };
        if lack.manifest
            && let Some(deleted) = history.deleted.get(&intent.digest)
        {
            let (digest, run) = (&intent.digest, deleted.run);
            let why = format!("{digest} was deleted by run {run}, after the tag was taken off: undo that");
            return Ok(UndoOutcome::Unrecoverable { why });
        }
        // One that is there may be hollow here as well.
        let Some(manifest) = manifest else {
            let why = format!("the bytes of {} are not in the journal", intent.digest);
            return Ok(UndoOutcome::Unrecoverable { why });
        };
        if let Some(outcome) = self.missing_blob(&Artifact::from(manifest).blobs).await {
            return Ok(outcome);
        }
        if let Some(outcome) = self.obstacle_below(&listed_by(manifest), known) {
            return Ok(outcome);
        }
        if lack.is_nothing() {
            return Ok(if lack.moved.is_empty() {
                UndoOutcome::AlreadyThere
            } else {
                UndoOutcome::Conflict { tags: lack.moved }
            });
        }
        if self.request.dry_run {
            return Ok(end_of(lack.moved));
        }
        let restore = self.restore_intent(taken.sequence, &intent.digest, &intent.media_type, &lack.tags);
        let recorded = self
            .world
            .journal
            .record_restore(self.request.begin.run, restore)
            .await?;
        let mut done = Ok(());
        if lack.manifest {
            done = put_exact(self.world.registry, &recorded).await;
        }
        if done.is_ok() {
            known.back.insert(intent.digest.clone());
            done = self.put_tags(&recorded, &lack).await;
        }
        self.settle(&recorded, done, lack.moved).await
    }

    fn is_in_doubt<'t>(&self, digest: &Digest, tags: impl IntoIterator<Item = &'t Tag>) -> bool {
        on(Safeguard::LeftOut) && self.request.in_doubt.has(self.repository, digest, tags)
    }

    /// What is missing now.
    async fn lack(
        &self,
        digest: &Digest,
        tags: &[Tag],
        labels: &[RegistryLabel],
    ) -> Result<Lack, RegistryError> {
        let mut lack = Lack {
            manifest: bytes_of(self.world.registry, self.repository, digest)
                .await?
                .is_none(),
            tags: Vec::new(),
            merge: Vec::new(),
            moved: Vec::new(),
            labels: Vec::new(),
        };
        if lack.manifest {
            lack.labels = labels.to_vec();
        } else if !labels.is_empty() {
            let registry = self.world.registry;
            lack.labels = registry.lacking_labels(self.repository, digest, labels).await?;
        }
        for tag in tags {
            let is_fallback = matches!(AttachmentForm::of(tag), Some((AttachmentForm::ReferrersIndex, _)));
            match on_tag(self.world.registry, self.repository, tag).await? {
                None => lack.tags.push(tag.clone()),
                Some(now) if now == *digest => {}
                Some(_) if is_fallback => lack.merge.push(tag.clone()),
                Some(_) if self.request.overwrite_moved_tags || !on(Safeguard::TagsOnlyWhereAbsent) => {
                    lack.tags.push(tag.clone());
                }
                Some(now) => lack.moved.push((tag.clone(), now)),
            }
        }
        Ok(lack)
    }

    /// What stands in the way of putting a manifest: blobs or children that are gone. If nothing does, the blobs that have
    /// to be taken over from its copy.
    async fn obstacle(&self, intent: &DeleteIntent, known: &Known<'_>) -> Result<Vec<Blob>, UndoOutcome> {
        let held = intent.held.as_ref();
        let blobs = match to_bring(self.world.registry, self.repository, &intent.blobs, held).await {
            Ok(Ok(blobs)) => blobs,
            Ok(Err(blob)) => {
                return Err(UndoOutcome::Unrecoverable {
                    why: collected(&blob),
                });
            }
            Err(error) => return Err(failed(&error)),
        };
        match self.obstacle_below(&intent.children, known) {
            Some(outcome) => Err(outcome),
            None => Ok(blobs),
        }
    }

    /// What stands in the way of putting an index: children that are gone.
    fn obstacle_below(&self, children: &[Digest], known: &Known<'_>) -> Option<UndoOutcome> {
        for child in known.kept.below(children) {
            if self.is_in_doubt(child, []) {
                return Some(UndoOutcome::InDoubt);
            }
            if let Some(detail) = known.kept.unread.get(child) {
                let detail = detail.clone();
                return Some(UndoOutcome::Failed { detail });
            }
            // A registry wants what an index lists to be there, whatever tags and labels that has. Many put no tag on one
            // that is there once something below it is gone.
            let end = known.ends.get(child);
            match end.filter(|_| !known.there.contains(child)) {
                Some(UndoOutcome::Unrecoverable { why }) => {
                    let why = format!("its child {child} cannot be put back: {why}");
                    return Some(UndoOutcome::Unrecoverable { why });
                }
                Some(UndoOutcome::Failed { detail }) => {
                    let detail = format!("its child {child} was not put back: {detail}");
                    return Some(UndoOutcome::Failed { detail });
                }
                Some(UndoOutcome::InDoubt) => return Some(UndoOutcome::InDoubt),
                _ => {}
            }
        }
        None
    }

    /// Those that only lost a tag, with what each lists: other runs may have deleted it since.
    async fn untagged(&self, chosen: &Chosen) -> Result<BTreeMap<Digest, Vec<Digest>>, JournalError> {
        let mut untagged = BTreeMap::new();
        for TakenOff { intent, .. } in &chosen.taken_off {
            if let Some(manifest) = self.on_record(intent).await? {
                untagged.insert(intent.digest.clone(), listed_by(&manifest));
            }
        }
        Ok(untagged)
    }

    /// What lost a tag, as it is on record; `None` where it is not.
    async fn on_record(&self, intent: &UntagIntent) -> Result<Option<Manifest>, JournalError> {
        let bytes = self.world.journal.store().content(&intent.digest).await?;
        Ok(bytes
            .and_then(|bytes| Manifest::read(bytes, intent.digest.clone(), Some(&intent.media_type)).ok()))
    }

    /// The first blob that cannot be read.
    async fn missing_blob(&self, blobs: &[Blob]) -> Option<UndoOutcome> {
        match missing_blob(self.world.registry, self.repository, blobs).await {
            Ok(None) => None,
            Ok(Some(blob)) => Some(UndoOutcome::Unrecoverable { why: collected(blob) }),
            Err(error) => Some(failed(&error)),
        }
    }

    fn restore_intent(
        &self,
        deletion: lagan_model::journal::Sequence,
        digest: &Digest,
        media_type: &lagan_model::MediaType,
        tags: &[Tag],
    ) -> RestoreIntent {
        let now = self.world.clock.now();
        RestoreIntent {
            deletion,
            repository: self.repository.clone(),
            digest: digest.clone(),
            media_type: media_type.clone(),
            tags: tags.to_vec(),
            hold_until: on(Safeguard::Hold).then(|| now + self.request.hold.min(LONGEST_HOLD)),
            held_until: None,
            at: now,
        }
    }

    /// Puts the tags and labels that are lacking on what is there.
    async fn put_tags(&self, recorded: &RecordedRestore, lack: &Lack) -> Result<(), NotPut> {
        let registry = self.world.registry;
        for tag in &lack.tags {
            // Looked at again: it may have been pushed meanwhile.
            match on_tag(registry, self.repository, tag).await? {
                Some(now) if now == recorded.intent().digest => continue,
                Some(now) if !self.request.overwrite_moved_tags && on(Safeguard::TagsOnlyWhereAbsent) => {
                    return Err(format!("the tag {tag} was put on {now} meanwhile").into());
                }
                Some(_) => put_tag(registry, recorded, tag).await?,
                None => create_tag(registry, recorded, tag).await?,
            }
        }
        if !lack.labels.is_empty() {
            put_labels(registry, recorded, &lack.labels).await?;
        }
        Ok(())
    }

    /// A fallback index that others have written since lists what they attached; what was attached before is added.
    async fn merge(
        &self,
        deleted: &Deleted,
        recorded: &RecordedRestore,
        tag: &Tag,
    ) -> Result<Result<(), NotPut>, JournalError> {
        let registry = self.world.registry;
        let reference = Reference::Tag(tag.clone());
        let now = match registry.manifest(self.repository, &reference).await {
            Ok(manifest) => manifest,
            Err(error) => return Ok(Err(error.into())),
        };
        let bytes = match merged(now.bytes(), recorded.bytes()) {
            _ if !on(Safeguard::Merge) => recorded.bytes().clone(),
            Ok(None) => return Ok(Ok(())),
            Ok(Some(bytes)) => bytes,
            Err(why) => {
                let detail = format!("the fallback index {tag} cannot be merged: {why}");
                return Ok(Err(detail.into()));
            }
        };
        let digest = Digest::of(&bytes);
        let tags = std::slice::from_ref(tag);
        let intent = self.restore_intent(deleted.sequence, &digest, now.media_type(), tags);
        let run = self.request.begin.run;
        let recorded = self.world.journal.record_merged(run, intent, bytes).await?;
        let still = on_tag(registry, self.repository, tag).await;
        let done = match still {
            Ok(Some(still)) if still == *now.digest() => put_tag(registry, &recorded, tag).await,
            Ok(_) => Err(format!("the fallback index {tag} was written meanwhile").into()),
            Err(error) => Err(error.into()),
        };
        let result = match done.clone() {
            Ok(()) => RestoreResult::Restored,
            Err(NotPut {
                detail: why,
                forever: true,
            }) => RestoreResult::Unrecoverable { why },
            Err(NotPut { detail, .. }) => RestoreResult::Failed { detail },
        };
        self.settle_as(&recorded, result).await?;
        Ok(done)
    }

    async fn settle(
        &self,
        recorded: &RecordedRestore,
        done: Result<(), NotPut>,
        moved: Vec<(Tag, Digest)>,
    ) -> Result<UndoOutcome, JournalFailed> {
        let outcome = match done {
            Ok(()) => end_of(moved),
            Err(NotPut {
                detail: why,
                forever: true,
            }) => UndoOutcome::Unrecoverable { why },
            Err(NotPut { detail, .. }) => UndoOutcome::Failed { detail },
        };
        let result = match outcome.clone() {
            UndoOutcome::Conflict { tags } => RestoreResult::Conflict { tags },
            UndoOutcome::Unrecoverable { why } => RestoreResult::Unrecoverable { why },
            UndoOutcome::Failed { detail } => RestoreResult::Failed { detail },
            _ => RestoreResult::Restored,
        };
        match self.settle_as(recorded, result).await {
            Ok(()) => Ok(outcome),
            Err(error) => Err(JournalFailed { error, outcome }),
        }
    }

    async fn settle_as(&self, recorded: &RecordedRestore, result: RestoreResult) -> Result<(), JournalError> {
        let outcome = RestoreOutcome {
            intent: recorded.sequence(),
            result,
            at: self.world.clock.now(),
        };
        self.world
            .journal
            .settle_restore(self.request.begin.run, outcome)
            .await
    }
}

fn end_of(moved: Vec<(Tag, Digest)>) -> UndoOutcome {
    if moved.is_empty() {
        UndoOutcome::Restored
    } else {
        UndoOutcome::Conflict { tags: moved }
    }
}

fn failed(error: &RegistryError) -> UndoOutcome {
    UndoOutcome::Failed {
        detail: error.to_string(),
    }
}

fn not_on_record() -> UndoOutcome {
    UndoOutcome::Failed {
        detail: "the journal failed before it was on record".to_owned(),
    }
}

/// The manifest was put, and not everything that belongs to it.
fn partly(error: JournalError) -> JournalFailed {
    let outcome = UndoOutcome::Failed {
        detail: "the journal failed before all of it was put back".to_owned(),
    };
    JournalFailed { error, outcome }
}

/// What became of something, where the journal failed as well.
fn told(ended: Result<UndoOutcome, JournalFailed>, journal: &mut Result<(), JournalError>) -> UndoOutcome {
    ended.unwrap_or_else(|failed| {
        *journal = Err(failed.error);
        failed.outcome
    })
}

fn stopped() -> UndoOutcome {
    UndoOutcome::Failed {
        detail: "the run was asked to stop".to_owned(),
    }
}

/// The digests that an index lists.
fn listed_by(manifest: &Manifest) -> Vec<Digest> {
    let children = Artifact::from(manifest).children;
    children.into_iter().map(|child| child.digest).collect()
}
