//! Taking a single tag off an artifact that stays, and making sure that it does.

use std::collections::BTreeSet;

use lagan_model::journal::{
    DeleteResult, JournalError, JournalStore, Outcome as Settled, RunId, Sequence, Skip, UntagIntent,
};
use lagan_model::{
    Artifact, Clock, Deletion, Digest, Manifest, Reference, RegistryError, RegistryWrite, RepositoryName, Tag,
};

use super::delete::{not_sent, not_settled, was_refused};
use super::reading::Reading;

use crate::restore::missing_child;
use crate::run::ActionOutcome as Outcome;
use crate::safeguard::{Safeguard, on};
use crate::swept::{Failed, Found, Missing, alarm as alarm_of, find_swept, put_back_swept};
use crate::world::World;

pub(crate) struct Untagger<'a, R, S, C> {
    pub world: World<'a, R, S, C>,
    pub run: RunId,
    pub repository: &'a RepositoryName,
    /// All tags that are to be taken off in this repository: none of them proves that a manifest stayed.
    pub leaving: BTreeSet<&'a Tag>,
    /// Those of them that are off, since the repository was read.
    pub taken: BTreeSet<Tag>,
    /// Indexes that are whole, as they were looked at for another tag by the same reading.
    pub whole: BTreeSet<Digest>,
}

/// What became of an untagging, and what went wrong with the whole run.
pub(crate) struct Untagged {
    pub sequence: Option<Sequence>,
    pub outcome: Outcome,
    pub alarm: Option<String>,
    /// Whether what became of it is on record, as far as it is known.
    pub journal: Result<(), JournalError>,
}

impl<R: RegistryWrite, S: JournalStore, C: Clock> Untagger<'_, R, S, C> {
    /// # Errors
    ///
    /// When the journal failed before anything was sent.
    pub(crate) async fn untag(
        &mut self,
        tag: &Tag,
        digest: &Digest,
        reasons: serde_json::Value,
        reading: &Reading,
    ) -> Result<Untagged, JournalError> {
        let left = |why, detail: String| Untagged {
            sequence: None,
            outcome: Outcome::Skipped { why, detail },
            alarm: None,
            journal: Ok(()),
        };
        let on_it = reading.tags_on(digest).into_iter();
        let on_it = on_it.filter(|other| other != tag && !self.taken.contains(other));
        let (leaving, others): (Vec<Tag>, Vec<Tag>) = on_it.partition(|other| self.leaving.contains(other));
        if reading.tags.get(tag) != Some(digest) || others.is_empty() {
            let detail = format!("{tag} is no longer one of several tags on {digest}");
            return Ok(left(Skip::Changed, detail));
        }
        let Some(manifest) = reading.manifests.get(digest) else {
            return Ok(left(
                Skip::Incomplete,
                format!("the manifest {digest} could not be read"),
            ));
        };
        if on(Safeguard::WholeIndex)
            && let Some(detail) = self.why_not_whole(manifest, reading).await
        {
            return Ok(left(Skip::Incomplete, detail));
        }
        let intent = UntagIntent {
            repository: self.repository.clone(),
            tag: tag.clone(),
            digest: digest.clone(),
            others,
            leaving,
            media_type: manifest.media_type().clone(),
            reasons,
            at: self.world.clock.now(),
        };
        let ended = self.untag_recorded(intent, manifest).await?;
        if ended.outcome == Outcome::Untagged {
            self.taken.insert(tag.clone());
        }
        Ok(ended)
    }

    /// What an index lacks. A registry may delete it with all its tags when one is to go, and many take none back without
    /// everything that it lists.
    async fn why_not_whole(&mut self, manifest: &Manifest, reading: &Reading) -> Option<String> {
        // Where deletions take something along, that is another protocol: a tag is taken off for itself.
        if self.world.registry.deletes().takes_along || self.whole.contains(manifest.digest()) {
            return None;
        }
        let artifact = Artifact::from(manifest);
        let mut children = artifact.children.iter().map(|child| &child.digest);
        let missing = match children.find(|child| reading.absent.contains(*child)) {
            Some(child) => Some(child),
            None => match missing_child(self.world.registry, self.repository, &artifact).await {
                Ok(missing) => missing,
                Err(error) => return Some(error.to_string()),
            },
        };
        if missing.is_none() {
            self.whole.insert(manifest.digest().clone());
        }
        missing.map(|child| {
            format!(
                "its child {child} is gone: if the registry took more than the tag, nothing could put it back"
            )
        })
    }

    async fn untag_recorded(
        &self,
        intent: UntagIntent,
        manifest: &Manifest,
    ) -> Result<Untagged, JournalError> {
        let tag = &intent.tag.clone();
        let recorded = self
            .world
            .journal
            .record_untag(self.run, intent, manifest)
            .await?;
        let sequence = recorded.sequence();
        // Those that others took since the repository was read did not go with it.
        let beside = match self.beside(recorded.intent()).await {
            Ok(others) => UntagIntent {
                others,
                ..recorded.intent().clone()
            },
            Err((why, detail)) => {
                let result = DeleteResult::Skipped { why, detail };
                return Ok(self.settle(sequence, result, None).await);
            }
        };
        // Others wrote since it was put on record.
        if let Some(error) = self.world.journal.failure() {
            return Ok(Untagged {
                sequence: Some(sequence),
                outcome: not_sent(),
                alarm: None,
                journal: Err(error),
            });
        }
        let answer = self.world.registry.untag(&recorded).await;
        let mut alarm = None;
        let swept = find_swept(self.world.registry, &beside, Missing::Any).await;
        if on(Safeguard::UntagCheck) && matches!(swept, Ok(Found::Swept)) {
            let put_back = put_back_swept(self.world, self.run, sequence, &beside).await;
            let (failure, journal) = match put_back {
                Ok(failure) => (failure, Ok(())),
                Err(error) => (Some(Failed::of_the_journal(&error)), Err(error)),
            };
            alarm = Some(alarm_of(recorded.intent(), failure.as_ref()));
            if let Some(failure) = failure.filter(|failure| !failure.forever) {
                // The intent stays open: recovery tries again.
                return Ok(Untagged {
                    sequence: Some(sequence),
                    outcome: Outcome::InDoubt {
                        detail: failure.detail,
                    },
                    alarm,
                    journal,
                });
            }
        }
        if let Err(error) = swept {
            // Nobody knows whether the manifest stayed: the intent stays open, and recovery looks again.
            return Ok(Untagged {
                sequence: Some(sequence),
                outcome: Outcome::InDoubt {
                    detail: error.to_string(),
                },
                alarm,
                journal: Ok(()),
            });
        }
        let result = match (answer, self.on(tag).await) {
            (_, Ok(None)) => DeleteResult::Untagged,
            (Err(error), Ok(Some(_))) if was_refused(&error) => DeleteResult::Failed {
                detail: error.to_string(),
            },
            (Ok(Deletion::Left { detail }), Ok(Some(_))) => DeleteResult::Skipped {
                why: Skip::Changed,
                detail,
            },
            (answer, seen) => {
                // It may still happen: the intent stays open.
                let detail = match (answer, seen) {
                    (Err(error), _) | (Ok(_), Err(error)) => error.to_string(),
                    (Ok(_), Ok(_)) => {
                        format!("the registry accepted the deletion of the tag {tag}, and still serves it")
                    }
                };
                return Ok(Untagged {
                    sequence: Some(sequence),
                    outcome: Outcome::InDoubt { detail },
                    alarm,
                    journal: Ok(()),
                });
            }
        };
        Ok(self.settle(sequence, result, alarm).await)
    }

    /// The tags beside it on the manifest that are to stay, right before it goes; or why it stays: no registry takes one
    /// off on a condition.
    async fn beside(&self, intent: &UntagIntent) -> Result<Vec<Tag>, (Skip, String)> {
        let UntagIntent { tag, digest, .. } = intent;
        let unread = |error: RegistryError| (Skip::Incomplete, error.to_string());
        let mut beside = intent.others.clone();
        if on(Safeguard::LastTag) {
            beside.clear();
            for other in &intent.others {
                if self.on(other).await.map_err(unread)?.as_ref() == Some(digest) {
                    beside.push(other.clone());
                }
            }
            if beside.is_empty() {
                return Err((Skip::Changed, format!("no other tag is on {digest} any more")));
            }
        }
        match self.on(tag).await.map_err(unread)? {
            Some(on) if on == *digest => Ok(beside),
            _ => Err((Skip::Changed, format!("{tag} is no longer on {digest}"))),
        }
    }

    async fn settle(&self, sequence: Sequence, result: DeleteResult, alarm: Option<String>) -> Untagged {
        let settled = Settled {
            intent: sequence,
            result: result.clone(),
            at: self.world.clock.now(),
        };
        let journal = self.world.journal.settle(self.run, settled).await;
        Untagged {
            sequence: Some(sequence),
            outcome: match journal {
                Ok(()) => result.into(),
                Err(_) => not_settled(),
            },
            alarm,
            journal,
        }
    }

    async fn on(&self, tag: &Tag) -> Result<Option<Digest>, RegistryError> {
        let reference = Reference::Tag(tag.clone());
        let head = self.world.registry.resolve(self.repository, &reference).await?;
        Ok(head.map(|head| head.digest))
    }
}
