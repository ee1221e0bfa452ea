//! Deleting one unit: on record as a whole, then manifest by manifest, each looked at right before and right after.

use std::collections::BTreeSet;
use std::sync::{Mutex, MutexGuard, PoisonError};

use lagan_model::journal::{
    DeleteIntent, DeleteResult, Doubt, Held, JournalError, JournalStore, Outcome as Settled, RecordedDelete,
    RunId, Sequence, Skip,
};
use lagan_model::{
    Artifact, ArtifactGraph, Clock, DeletesHow, Deletion, Digest, Fact, Failure, Manifest, Reference,
    RegistryError, RegistryWrite, RepositoryName, Tag, Time, Times,
};

use super::reading::{Reader, Reading};
use super::unit::{Left, Member, Unit, check, counted, counted_in, is_shown, too_few};
use super::{deletions_per_reading, is_old, too_slow};
use crate::holding::Holder;
use crate::run::ActionOutcome as Outcome;
use crate::safeguard::{Safeguard, on};
use crate::world::World;

/// What became of each member of a unit, with its number in the journal where it came to that.
pub(crate) type Ends = Vec<(Option<Sequence>, Outcome)>;

/// What became of a manifest when something before it in its unit was deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Along {
    /// It stayed, as far as anybody can tell.
    Not,
    Went,
    /// It is there, and a tag that it had is gone: it went, and somebody pushed it again with other tags. Only an undo
    /// brings the tag back, and it knows of what is on record as deleted.
    IsBack,
}

/// What units that were begun are about to delete, or may have deleted: of two that look again at the same time, neither
/// counts on what the other one takes.
#[derive(Debug, Default)]
pub(crate) struct Taken(Mutex<BTreeSet<Digest>>);

impl Taken {
    fn lock(&self) -> MutexGuard<'_, BTreeSet<Digest>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

pub(crate) struct Deleter<'a, R, S, C> {
    pub world: World<'a, R, S, C>,
    pub run: RunId,
    pub repository: &'a RepositoryName,
    /// How many artifacts have to stay.
    pub keep_at_least: u64,
    /// Whether something that is there may go late.
    pub may_go: &'a (dyn Fn(&Digest) -> bool + Sync),
    /// What the units take that are deleted at the same time.
    pub taken: Taken,
    /// When the registry collects its garbage next, as it told when the run began.
    pub collected: Option<Time>,
    pub holder: Holder<'a, R, S, C>,
}

impl<R: RegistryWrite, S: JournalStore, C: Clock> Deleter<'_, R, S, C> {
    /// Deletes a unit that was checked against `reading`. Members that the registry does not have are skipped. Where the
    /// journal fails, how each of them ended comes with the failure, as far as it is known; `None` where nothing of the
    /// unit is on record.
    pub(crate) async fn delete(
        &self,
        unit: &Unit,
        reading: &Reading,
    ) -> (Option<Ends>, Result<(), JournalError>) {
        let here: Vec<&Member> = unit
            .members
            .iter()
            .filter(|member| !reading.absent.contains(&member.digest))
            .collect();
        let digests = here.iter().map(|member| member.digest.clone());
        self.taken.lock().extend(digests);
        let manifests: Vec<Manifest> = here
            .iter()
            .filter_map(|member| reading.manifests.get(&member.digest).cloned())
            .collect();
        let intents = here
            .iter()
            .zip(&manifests)
            .map(|(member, manifest)| self.intent(unit, member, manifest, reading))
            .collect();
        let journal = self.world.journal;
        let recorded = match journal.record_unit(self.run, intents, &manifests).await {
            Ok(recorded) => recorded,
            Err(error) => return (None, Err(error)),
        };
        let sequences: Vec<Sequence> = recorded.iter().map(RecordedDelete::sequence).collect();
        let mut ends = Ends::new();
        let done = self.carry_out(&here, recorded, reading, &mut ends).await;
        let open = sequences.get(ends.len()..).unwrap_or_default();
        ends.extend(open.iter().map(|sequence| (Some(*sequence), not_settled())));
        let mut ends = ends.into_iter();
        let gone = Left::because(Skip::Gone, "it was gone already");
        let ends = unit.members.iter().map(|member| {
            let absent = reading.absent.contains(&member.digest);
            let end = if absent { None } else { ends.next() };
            end.unwrap_or_else(|| (None, skipped(gone.clone())))
        });
        (Some(ends.collect()), done)
    }

    /// What is on record: it ends in `ends`, as far as the journal takes it.
    async fn carry_out(
        &self,
        members: &[&Member],
        recorded: Vec<RecordedDelete>,
        reading: &Reading,
        ends: &mut Ends,
    ) -> Result<(), JournalError> {
        match self.hold(&recorded).await? {
            Ok(()) => self.delete_recorded(members, recorded, reading, ends).await,
            Err(left) => self.leave(recorded, &left, ends).await,
        }
    }

    /// Makes the copies that were promised. Where one of them cannot be made, the whole unit stays.
    async fn hold(&self, recorded: &[RecordedDelete]) -> Result<Result<(), Left>, JournalError> {
        for deletion in recorded {
            if let Err(why) = self.holder.hold(deletion).await? {
                let digest = &deletion.intent().digest;
                return Ok(Err(Left::because(
                    Skip::NotHeld,
                    format!("{digest} could not be held: {why}"),
                )));
            }
        }
        Ok(Ok(()))
    }

    async fn leave(
        &self,
        recorded: Vec<RecordedDelete>,
        left: &Left,
        ends: &mut Ends,
    ) -> Result<(), JournalError> {
        for deletion in recorded {
            let end = self.leave_one(&deletion, left).await?;
            ends.push((Some(deletion.sequence()), end));
        }
        Ok(())
    }

    /// What was not touched stays.
    async fn leave_one(&self, deletion: &RecordedDelete, left: &Left) -> Result<Outcome, JournalError> {
        self.taken.lock().remove(&deletion.intent().digest);
        self.settle(deletion.sequence(), skip(left.clone())).await
    }

    fn intent(&self, unit: &Unit, member: &Member, manifest: &Manifest, reading: &Reading) -> DeleteIntent {
        let artifact = Artifact::from(manifest);
        let related = |relation| reading.related(&member.digest, relation);
        let beside = reading.beside.get(&member.digest);
        let now = self.world.clock.now();
        let time = |of: fn(&Times) -> Fact<Time>| match beside.map(|beside| of(&beside.times).plausible(now))
        {
            Some(Fact::Known(time)) => Some(time),
            _ => None,
        };
        // The plan may not have seen the tags by which something is attached; these go with it as well.
        let tags = if self.how().takes_along {
            reading.tags_on(&member.digest)
        } else {
            member.tags.clone()
        };
        let until =
            |period: &lagan_policy::Age| now.checked_add_signed(period.delta()).unwrap_or(Time::MAX_UTC);
        let until = member.holding.as_ref().map(|holding| until(&holding.period));
        DeleteIntent {
            unit: unit.number,
            role: member.role,
            repository: self.repository.clone(),
            digest: member.digest.clone(),
            media_type: manifest.media_type().clone(),
            size: manifest.bytes().len() as u64,
            tags: tags.into_iter().collect(),
            parents: related(ArtifactGraph::parents),
            children: artifact
                .children
                .iter()
                .map(|child| child.digest.clone())
                .collect(),
            subject: artifact.subject,
            attachments: related(ArtifactGraph::attachments),
            pushed: time(|times| times.pushed),
            pulled: time(|times| times.pulled),
            labels: beside.map(|beside| beside.labels.clone()).unwrap_or_default(),
            reasons: member.reasons.clone(),
            // A time that has passed since the run began says nothing of the next collection.
            undo_until: until.or_else(|| self.collected.filter(|next| member.undoable && *next > now)),
            // The bytes of a manifest are on record: what a collection takes are blobs.
            held: member
                .holding
                .as_ref()
                .zip(until)
                .filter(|_| !artifact.blobs.is_empty())
                .map(|(holding, until)| Held {
                    repository: holding.repository.clone(),
                    until,
                }),
            blobs: artifact.blobs,
            at: now,
        }
    }

    async fn delete_recorded(
        &self,
        members: &[&Member],
        recorded: Vec<RecordedDelete>,
        reading: &Reading,
        ends: &mut Ends,
    ) -> Result<(), JournalError> {
        let mut left: Option<Left> = None;
        // With what is in doubt, everything may go that the registry takes along.
        let mut doubt: Option<String> = None;
        let mut gone: Vec<&DeleteIntent> = Vec::new();
        let mut read_at = reading.at;
        let mut since_reading = 0;
        for (position, intent) in recorded.iter().enumerate() {
            let sequence = intent.sequence();
            if let Some(detail) = &doubt {
                let detail = format!("it may be deleted with what is before it in its unit: {detail}");
                ends.push((Some(sequence), self.doubt(sequence, detail).await?));
                continue;
            }
            if !gone.is_empty() && self.how().takes_along {
                let end = match self.went_along(intent.intent(), &gone).await {
                    Ok(Along::Not) => None,
                    Ok(along) => {
                        gone.push(intent.intent());
                        if along == Along::IsBack && left.is_none() {
                            left = Some(is_back(&intent.intent().digest));
                        }
                        Some(self.settle(sequence, DeleteResult::Deleted).await?)
                    }
                    // Only looking again tells.
                    Err(error) => Some(self.doubt(sequence, error.to_string()).await?),
                };
                if let Some(end) = end {
                    ends.push((Some(sequence), end));
                    continue;
                }
            }
            // An artifact in hand is finished: what was untagged below it would be seen by nobody later.
            let begins = position == 0 || members[position].action != members[position - 1].action;
            if left.is_none() && begins && self.world.stop.is_requested() {
                left = Some(Left::because(Skip::Stopped, "the run was asked to stop"));
            }
            let many = since_reading >= deletions_per_reading();
            if left.is_none() && (many || is_old(read_at, self.world.clock.now())) {
                // It is as old as when it was begun.
                read_at = self.world.clock.now();
                left = self
                    .check_again(&members[position..], &recorded[..position])
                    .await
                    .err();
                if left.is_none() && is_old(read_at, self.world.clock.now()) {
                    left = Some(too_slow());
                }
                since_reading = 0;
            }
            if let Some(left) = &left {
                let end = self.leave_one(intent, left).await?;
                ends.push((Some(sequence), end));
                continue;
            }
            since_reading += 1;
            let end = self.delete_one(intent, ends).await?;
            if end == Outcome::Deleted {
                gone.push(intent.intent());
            }
            if let Outcome::InDoubt { detail } = &end
                && self.how().takes_along
            {
                doubt = Some(detail.clone());
            }
            // What stands below something that is still there is not touched.
            let done = matches!(&end, Outcome::Deleted | Outcome::Skipped { why: Skip::Gone, .. });
            if !done && on(Safeguard::IndexFirst) {
                let detail = format!(
                    "{}, before it in its unit, is still there",
                    intent.intent().digest
                );
                left = Some(Left::because(Skip::Unit, detail));
            }
            ends.push((Some(sequence), end));
        }
        Ok(())
    }

    /// Reads the repository again for what is left of a unit that takes long.
    async fn check_again(&self, rest: &[&Member], done: &[RecordedDelete]) -> Result<(), Left> {
        let rest: Vec<Member> = rest.iter().map(|member| (*member).clone()).collect();
        let wanted: BTreeSet<Digest> = rest.iter().map(|member| member.digest.clone()).collect();
        let unread = |error: RegistryError| Left::because(Skip::Incomplete, error.to_string());
        let now = self.world.clock.now();
        let reader = Reader::open(self.world.registry, self.repository, &wanted, now)
            .await
            .map_err(unread)?;
        let reading = reader.complete(&wanted).await.map_err(unread)?;
        if on(Safeguard::StillReferenced) {
            needed_again(done, &wanted, &reading)?;
        }
        let deleted = done.iter().map(|intent| intent.intent().digest.clone()).collect();
        check(&rest, &reading, &deleted, self.how())?;
        let stays = {
            let taken = self.taken.lock();
            let by_others = |digest: &Digest| taken.contains(digest) && !wanted.contains(digest);
            counted(&reading, |digest| (self.may_go)(digest) || by_others(digest))
        };
        let room = stays.saturating_sub(self.keep_at_least);
        if counted_in(&rest, &reading) > room && on(Safeguard::KeepAtLeast) {
            return Err(too_few(self.keep_at_least));
        }
        Ok(())
    }

    fn how(&self) -> DeletesHow {
        self.world.registry.deletes()
    }

    /// Whether a manifest went with what is gone of its unit.
    async fn went_along(
        &self,
        intent: &DeleteIntent,
        gone: &[&DeleteIntent],
    ) -> Result<Along, RegistryError> {
        let digest = &intent.digest;
        if !self.is_there(digest).await? {
            return Ok(Along::Went);
        }
        // With a tag on it, only what is attached goes along.
        if gone.iter().any(|gone| gone.attachments.contains(digest)) {
            for tag in &intent.tags {
                let tag = Reference::Tag(tag.clone());
                // One that is on something else by now was not lost with it.
                if self
                    .world
                    .registry
                    .resolve(self.repository, &tag)
                    .await?
                    .is_none()
                {
                    return Ok(Along::IsBack);
                }
            }
        }
        Ok(Along::Not)
    }

    async fn doubt(&self, intent: Sequence, detail: String) -> Result<Outcome, JournalError> {
        let doubt = Doubt {
            intent,
            at: self.world.clock.now(),
            detail: detail.clone(),
        };
        self.world.journal.doubt(self.run, doubt).await?;
        Ok(Outcome::InDoubt { detail })
    }

    /// One manifest: looked at, deleted, looked at, on record. What the journal takes no end of is told in `ends`.
    async fn delete_one(&self, recorded: &RecordedDelete, ends: &mut Ends) -> Result<Outcome, JournalError> {
        let sequence = recorded.sequence();
        let intent = recorded.intent();
        if on(Safeguard::TagsBeforeDelete)
            && let Err(left) = self.verify(&intent.digest, &intent.tags).await
        {
            return self.settle(sequence, skip(left)).await;
        }
        if !on(Safeguard::OutcomeLast) {
            self.settle(sequence, DeleteResult::Deleted).await?;
        }
        // Others wrote since it was put on record.
        if let Some(error) = self.world.journal.failure() {
            ends.push((Some(sequence), not_sent()));
            return Err(error);
        }
        let answer = self.world.registry.delete(recorded).await;
        let lost = match answer {
            Ok(Deletion::Accepted) => None,
            // It was there right before. What stands between may send a request twice, and hand on the second answer.
            Ok(Deletion::NotFound) => {
                Some("the registry answered that it is not there, and serves it".to_owned())
            }
            Ok(Deletion::Left { detail }) => {
                return self
                    .settle(sequence, skip(Left::because(Skip::Changed, detail)))
                    .await;
            }
            Err(error) if was_refused(&error) => {
                let detail = error.to_string();
                return self.settle(sequence, DeleteResult::Failed { detail }).await;
            }
            Err(error) => Some(error.to_string()),
        };
        if !on(Safeguard::OutcomeLast) {
            return Ok(Outcome::Deleted);
        }
        let detail = match self.is_there(&intent.digest).await {
            Ok(false) => return self.settle(sequence, DeleteResult::Deleted).await,
            Ok(true) => match lost {
                None => "the registry accepted the deletion, and still serves the manifest".to_owned(),
                Some(error) => error,
            },
            Err(error) => error.to_string(),
        };
        if !on(Safeguard::InDoubtWindow) {
            return self.settle(sequence, DeleteResult::Failed { detail }).await;
        }
        self.doubt(sequence, detail).await
    }

    /// Whether the tags of the intent are on the digest, each of them, at this moment.
    async fn verify(&self, digest: &Digest, tags: &[Tag]) -> Result<(), Left> {
        let unread = |error: RegistryError| Left::because(Skip::Incomplete, error.to_string());
        for tag in tags {
            let reference = Reference::Tag(tag.clone());
            let head = self.world.registry.resolve(self.repository, &reference).await;
            let now = head.map_err(unread)?.map(|head| head.digest);
            if now.as_ref() != Some(digest) {
                let now = now.map_or_else(|| "gone".to_owned(), |digest| format!("on {digest}"));
                let detail = format!("the tag {tag} was on {digest}, and is {now}");
                return Err(Left::because(Skip::Changed, detail));
            }
        }
        if tags.is_empty() && !self.is_there(digest).await.map_err(unread)? {
            return Err(Left::because(Skip::Gone, "it was gone when it was to be deleted"));
        }
        Ok(())
    }

    async fn is_there(&self, digest: &Digest) -> Result<bool, RegistryError> {
        let reference = Reference::Digest(digest.clone());
        let head = self.world.registry.resolve(self.repository, &reference).await?;
        Ok(head.is_some())
    }

    async fn settle(&self, intent: Sequence, result: DeleteResult) -> Result<Outcome, JournalError> {
        let outcome = Settled {
            intent,
            result: result.clone(),
            at: self.world.clock.now(),
        };
        self.world.journal.settle(self.run, outcome).await?;
        Ok(result.into())
    }
}

/// Whether an error says that the registry did not do what it was asked to: all others may be about the answer only.
pub(crate) fn was_refused(error: &RegistryError) -> bool {
    matches!(
        error.failure(),
        Failure::Unauthorized
            | Failure::Denied
            | Failure::Unsupported
            | Failure::Refused
            | Failure::Overloaded
    )
}

/// Whether something that is gone of a unit is there or needed again, and with it something of the `rest`. What lists that
/// may not be there to be read: then the record says what it lists.
fn needed_again(done: &[RecordedDelete], rest: &BTreeSet<Digest>, reading: &Reading) -> Result<(), Left> {
    let mut listed = BTreeSet::new();
    // From above to below.
    for intent in done.iter().map(RecordedDelete::intent) {
        let digest = &intent.digest;
        if !listed.contains(digest) && !is_shown(digest, reading, |other| rest.contains(other)) {
            continue;
        }
        let mut below = intent.children.iter().chain(&intent.attachments);
        if below.any(|below| rest.contains(below)) {
            let detail = format!("{digest}, before it in its unit, was deleted, and is needed again");
            return Err(Left::because(Skip::Changed, detail));
        }
        listed.extend(&intent.children);
    }
    Ok(())
}

/// Why the rest of a unit stays where something in it is needed again.
pub(crate) fn is_back(digest: &Digest) -> Left {
    let detail = format!("{digest}, before it in its unit, was deleted, and somebody pushed it again");
    Left::because(Skip::Unit, detail)
}

fn skip(left: Left) -> DeleteResult {
    DeleteResult::Skipped {
        why: left.why,
        detail: left.detail,
    }
}

pub(crate) fn skipped(left: Left) -> Outcome {
    skip(left).into()
}

/// What there is to say of what was on record when the journal failed: it is open there, and the next run settles it.
pub(crate) fn not_sent() -> Outcome {
    Outcome::InDoubt {
        detail: "it was not sent: the journal failed before".to_owned(),
    }
}

/// What there is to say of what is on record without an end: it may be gone, and the next run looks.
pub(crate) fn not_settled() -> Outcome {
    Outcome::InDoubt {
        detail: "the journal failed before its end was on record".to_owned(),
    }
}
