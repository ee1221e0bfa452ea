//! One intent whose outcome is not on record: what became of it, as far as the registry shows.

use lagan_model::journal::{
    DeleteIntent, DeleteResult, Doubt, JournalError, JournalStore, Outcome as Settled, RestoreIntent,
    RestoreOutcome, RestoreResult, RunId, Sequence, Skip, UntagIntent,
};
use lagan_model::{
    Clock, Digest, Failure, Reference, RegistryError, RegistryWrite, RepositoryName, Tag, Time,
};

use super::doubt::{IN_DOUBT_WINDOW, InDoubt};
use super::{Recovery, Resolved};
use crate::restore::{bytes_of, on_tag};
use crate::safeguard::{Safeguard, on};
use crate::swept::{Failed, Found, Missing, alarm, find_swept, note_lacking, put_back_swept};
use crate::world::World;

pub(crate) struct Look<'a, R, S, C> {
    pub world: World<'a, R, S, C>,
    pub run: RunId,
    pub sequence: Sequence,
    /// When it was first seen to be there by somebody who had stopped sending, as far as that is on record.
    pub seen: Option<Time>,
    /// Whether it is on record that what went with it was being put back.
    pub is_swept: bool,
}

impl<R: RegistryWrite, S: JournalStore, C: Clock> Look<'_, R, S, C> {
    async fn is_there(
        &self,
        repository: &RepositoryName,
        reference: &Reference,
    ) -> Result<bool, RegistryError> {
        Ok(self
            .world
            .registry
            .resolve(repository, reference)
            .await?
            .is_some())
    }

    /// Puts back the manifest, of which one tag was to go, where it is gone, or its other tags are.
    async fn swept(
        &self,
        intent: &UntagIntent,
        recovery: &mut Recovery,
    ) -> Result<Result<(), RegistryError>, JournalError> {
        let missing = match self.is_swept {
            true => Missing::AnyPutBack,
            false => Missing::All,
        };
        match find_swept(self.world.registry, intent, missing).await {
            Ok(Found::Swept) if on(Safeguard::UntagCheck) => {
                let failure = put_back_swept(self.world, self.run, self.sequence, intent).await?;
                recovery.problems.push(alarm(intent, failure.as_ref()));
                Ok(match failure.filter(|failure| !failure.forever) {
                    None => Ok(()),
                    Some(Failed { detail, .. }) => {
                        let request = format!("PUT {}@{}", intent.repository, intent.digest);
                        Err(RegistryError::new(Failure::Server, request, detail))
                    }
                })
            }
            Ok(Found::Lacks(tags)) => {
                let told = note_lacking(self.world, self.run, self.sequence, intent, tags).await?;
                recovery.problems.push(told);
                Ok(Ok(()))
            }
            Ok(_) => Ok(Ok(())),
            Err(error) => Ok(Err(error)),
        }
    }

    async fn is_on(
        &self,
        repository: &RepositoryName,
        tag: &Tag,
        digest: &Digest,
    ) -> Result<bool, RegistryError> {
        Ok(on_tag(self.world.registry, repository, tag).await?.as_ref() == Some(digest))
    }

    pub(crate) async fn deletion(
        &mut self,
        intent: DeleteIntent,
        recovery: &mut Recovery,
    ) -> Result<(), JournalError> {
        let manifest = Reference::Digest(intent.digest.clone());
        let mut there = self.is_there(&intent.repository, &manifest).await;
        if matches!(there, Ok(true)) && self.is_over().await? {
            // Somebody may have pushed it again, with other tags than it had.
            there = self.has_its_tags(&intent).await;
        }
        let about = (intent.repository, intent.digest, intent.tags);
        self.resolve(about, there, DeleteResult::Deleted, recovery).await
    }

    /// Whether no tag of a manifest is gone. One that is on something else by now was not lost with it.
    async fn has_its_tags(&self, intent: &DeleteIntent) -> Result<bool, RegistryError> {
        for tag in &intent.tags {
            let tag = Reference::Tag(tag.clone());
            if !self.is_there(&intent.repository, &tag).await? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    pub(crate) async fn untagging(
        &mut self,
        intent: UntagIntent,
        recovery: &mut Recovery,
    ) -> Result<(), JournalError> {
        let tag = Reference::Tag(intent.tag.clone());
        // On something else by now, it is there as well: a late deletion does not ask what it is on.
        let there = match self.swept(&intent, recovery).await? {
            Ok(()) => self.is_there(&intent.repository, &tag).await,
            Err(error) => Err(error),
        };
        let about = (intent.repository, intent.digest, vec![intent.tag]);
        self.resolve(about, there, DeleteResult::Untagged, recovery).await
    }

    async fn resolve(
        &mut self,
        (repository, digest, tags): (RepositoryName, Digest, Vec<Tag>),
        there: Result<bool, RegistryError>,
        gone: DeleteResult,
        recovery: &mut Recovery,
    ) -> Result<(), JournalError> {
        let until = match there {
            Ok(false) => return self.settle(repository, digest, gone, recovery).await,
            Ok(true) => {
                if self.is_over().await? {
                    let left = DeleteResult::Skipped {
                        why: Skip::Interrupted,
                        detail: "the run was interrupted, and it is still there".to_owned(),
                    };
                    return self.settle(repository, digest, left, recovery).await;
                }
                Some(self.seen_since().await? + IN_DOUBT_WINDOW)
            }
            Err(error) => {
                recovery.problems.push(error.to_string());
                None
            }
        };
        recovery.in_doubt.push(InDoubt {
            run: self.run,
            sequence: self.sequence,
            repository,
            digest,
            tags,
            until,
        });
        Ok(())
    }

    /// Whether what was sent can no longer happen.
    async fn is_over(&mut self) -> Result<bool, JournalError> {
        let until = self.seen_since().await? + IN_DOUBT_WINDOW;
        Ok(self.world.clock.now() >= until || !on(Safeguard::InDoubtWindow))
    }

    /// When it was first seen to be there by somebody who had stopped sending. Now, if never before.
    async fn seen_since(&mut self) -> Result<Time, JournalError> {
        if let Some(at) = self.seen {
            return Ok(at);
        }
        let at = self.world.clock.now();
        let doubt = Doubt {
            intent: self.sequence,
            at,
            detail: "the run was interrupted".to_owned(),
        };
        self.world.journal.doubt(self.run, doubt).await?;
        self.seen = Some(at);
        Ok(at)
    }

    async fn settle(
        &self,
        repository: RepositoryName,
        digest: Digest,
        result: DeleteResult,
        recovery: &mut Recovery,
    ) -> Result<(), JournalError> {
        let name = result.as_str();
        let outcome = Settled {
            intent: self.sequence,
            result,
            at: self.world.clock.now(),
        };
        self.world.journal.settle(self.run, outcome).await?;
        recovery.settled.push(Resolved {
            run: self.run,
            sequence: self.sequence,
            repository,
            digest,
            result: name,
        });
        Ok(())
    }

    /// Something was about to be put back. Undoing again does the rest, so nothing is put here.
    pub(crate) async fn restoration(
        &self,
        intent: RestoreIntent,
        recovery: &mut Recovery,
    ) -> Result<(), JournalError> {
        let result = match self.is_restored(&intent).await {
            Ok(true) => RestoreResult::Restored,
            Ok(false) => RestoreResult::Failed {
                detail: "the run was interrupted".to_owned(),
            },
            Err(error) => {
                recovery.problems.push(error.to_string());
                return Ok(());
            }
        };
        let name = result.as_str();
        let outcome = RestoreOutcome {
            intent: self.sequence,
            result,
            at: self.world.clock.now(),
        };
        self.world.journal.settle_restore(self.run, outcome).await?;
        recovery.settled.push(Resolved {
            run: self.run,
            sequence: self.sequence,
            repository: intent.repository,
            digest: intent.digest,
            result: name,
        });
        Ok(())
    }

    async fn is_restored(&self, intent: &RestoreIntent) -> Result<bool, RegistryError> {
        let registry = self.world.registry;
        for tag in &intent.tags {
            if !self.is_on(&intent.repository, tag, &intent.digest).await? {
                return Ok(false);
            }
        }
        Ok(bytes_of(registry, &intent.repository, &intent.digest)
            .await?
            .is_some())
    }
}
