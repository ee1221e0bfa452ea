//! What was deleted, and not only tried: from the journal.

use std::collections::{BTreeMap, BTreeSet};

use lagan_model::journal::{
    DeleteIntent, DeleteResult, JournalError, JournalStore, Purpose, Record, RunId, Sequence, UntagIntent,
};
use lagan_model::{Clock, Digest, Reference, RegistryWrite, RepositoryName, Tag, Time};

use crate::recover::runs_here;
use crate::world::World;

/// What is to be put back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum UndoTarget {
    /// Everything that a run deleted.
    Run(RunId),
    /// One artifact, by a tag that was on it or by its digest, and what belongs to it.
    Artifact(RepositoryName, Reference),
    /// Everything that was deleted in a repository.
    Repository(RepositoryName),
    /// Everything that was deleted since a time.
    Since(Time),
}

/// A deletion on record.
#[derive(Debug, Clone)]
pub(crate) struct Deleted {
    pub sequence: Sequence,
    pub run: RunId,
    pub at: Time,
    pub intent: DeleteIntent,
}

/// An untagging on record.
#[derive(Debug, Clone)]
pub(crate) struct TakenOff {
    pub sequence: Sequence,
    pub run: RunId,
    pub at: Time,
    pub intent: UntagIntent,
}

/// Everything that was deleted in a repository, the latest deletion of each manifest and tag.
#[derive(Debug, Default)]
pub(crate) struct History {
    pub deleted: BTreeMap<Digest, Deleted>,
    pub taken_off: BTreeMap<Tag, TakenOff>,
}

/// What is chosen of a repository's history.
#[derive(Debug, Default)]
pub(crate) struct Chosen {
    pub history: History,
    pub digests: BTreeSet<Digest>,
    pub tags: BTreeSet<Tag>,
}

impl Chosen {
    /// Chooses a deleted manifest, what it lists, and what was attached to it and went with it.
    pub(crate) fn add(&mut self, digest: Digest) {
        let mut work = vec![digest];
        while let Some(digest) = work.pop() {
            let Some(deleted) = self.history.deleted.get(&digest) else {
                continue;
            };
            if self.digests.insert(digest) {
                work.extend(deleted.intent.children.iter().cloned());
                work.extend(deleted.intent.attachments.iter().cloned());
            }
        }
    }
}

/// Chooses from the journal, by repository.
pub(crate) async fn choose<R: RegistryWrite, S: JournalStore, C: Clock>(
    world: World<'_, R, S, C>,
    target: &UndoTarget,
) -> Result<BTreeMap<RepositoryName, Chosen>, JournalError> {
    let mut chosen: BTreeMap<RepositoryName, Chosen> = BTreeMap::new();
    let named = repositories(world, target).await?;
    for (repository, history) in histories(world, target, &named).await? {
        let digests: Vec<Digest> = history
            .deleted
            .values()
            .filter(|deleted| target.names_deletion(deleted))
            .map(|deleted| deleted.intent.digest.clone())
            .collect();
        let tags = history
            .taken_off
            .values()
            .filter(|taken| target.names_untagging(taken))
            .map(|taken| taken.intent.tag.clone())
            .collect();
        let mut of_repository = Chosen {
            history,
            digests: BTreeSet::new(),
            tags,
        };
        for digest in digests {
            of_repository.add(digest);
        }
        if !of_repository.digests.is_empty() || !of_repository.tags.is_empty() {
            chosen.insert(repository, of_repository);
        }
    }
    Ok(chosen)
}

/// The repositories in which something may be chosen: the history of others is not kept in memory.
async fn repositories<R: RegistryWrite, S: JournalStore, C: Clock>(
    world: World<'_, R, S, C>,
    target: &UndoTarget,
) -> Result<BTreeSet<RepositoryName>, JournalError> {
    let runs: Vec<RunId> = match target {
        UndoTarget::Artifact(repository, _) | UndoTarget::Repository(repository) => {
            return Ok(BTreeSet::from([repository.clone()]));
        }
        UndoTarget::Run(run) => vec![*run],
        UndoTarget::Since(_) => runs_here(world).await?.into_keys().collect(),
    };
    let mut named = BTreeSet::new();
    for run in runs {
        for sequence in world.journal.store().entries_of(run).await? {
            match world.journal.read(sequence).await?.1 {
                Record::Delete(intent) => named.insert(intent.repository),
                Record::Untag(intent) => named.insert(intent.repository),
                _ => false,
            };
        }
    }
    Ok(named)
}

async fn histories<R: RegistryWrite, S: JournalStore, C: Clock>(
    world: World<'_, R, S, C>,
    target: &UndoTarget,
    named: &BTreeSet<RepositoryName>,
) -> Result<BTreeMap<RepositoryName, History>, JournalError> {
    let mut histories: BTreeMap<RepositoryName, History> = BTreeMap::new();
    for (run, here) in runs_here(world).await? {
        // What was purged was a copy: it comes back where that is asked for, and not with everything else.
        if matches!(here.purpose, Purpose::Purge) && !target.names_purge(run) {
            continue;
        }
        let mut deletions = BTreeMap::new();
        let mut untaggings = BTreeMap::new();
        for sequence in world.journal.store().entries_of(run).await? {
            match world.journal.read(sequence).await?.1 {
                Record::Delete(intent) if named.contains(&intent.repository) => {
                    deletions.insert(sequence, intent);
                }
                Record::Untag(intent) if named.contains(&intent.repository) => {
                    untaggings.insert(sequence, intent);
                }
                Record::Outcome(outcome) => match outcome.result {
                    DeleteResult::Deleted => {
                        let Some(intent) = deletions.remove(&outcome.intent) else {
                            continue;
                        };
                        let history = histories.entry(intent.repository.clone()).or_default();
                        let deleted = Deleted {
                            sequence: outcome.intent,
                            run,
                            at: outcome.at,
                            intent,
                        };
                        history.deleted.insert(deleted.intent.digest.clone(), deleted);
                    }
                    DeleteResult::Untagged => {
                        let Some(intent) = untaggings.remove(&outcome.intent) else {
                            continue;
                        };
                        let history = histories.entry(intent.repository.clone()).or_default();
                        let taken = TakenOff {
                            sequence: outcome.intent,
                            run,
                            at: outcome.at,
                            intent,
                        };
                        history.taken_off.insert(taken.intent.tag.clone(), taken);
                    }
                    DeleteResult::Skipped { .. } | DeleteResult::Failed { .. } => {}
                },
                _ => {}
            }
        }
    }
    Ok(histories)
}

impl UndoTarget {
    /// Whether a run that purged copies is meant.
    fn names_purge(&self, run: RunId) -> bool {
        match self {
            Self::Run(named) => *named == run,
            Self::Artifact(..) | Self::Repository(_) => true,
            Self::Since(_) => false,
        }
    }

    fn names_deletion(&self, deleted: &Deleted) -> bool {
        let intent = &deleted.intent;
        match self {
            Self::Run(run) => deleted.run == *run,
            Self::Repository(repository) => intent.repository == *repository,
            Self::Since(time) => deleted.at >= *time,
            Self::Artifact(repository, Reference::Digest(digest)) => {
                intent.repository == *repository && intent.digest == *digest
            }
            Self::Artifact(repository, Reference::Tag(tag)) => {
                intent.repository == *repository && intent.tags.contains(tag)
            }
        }
    }

    fn names_untagging(&self, taken: &TakenOff) -> bool {
        let intent = &taken.intent;
        match self {
            Self::Run(run) => taken.run == *run,
            Self::Repository(repository) => intent.repository == *repository,
            Self::Since(time) => taken.at >= *time,
            Self::Artifact(repository, Reference::Digest(digest)) => {
                intent.repository == *repository && intent.digest == *digest
            }
            Self::Artifact(repository, Reference::Tag(tag)) => {
                intent.repository == *repository && intent.tag == *tag
            }
        }
    }
}
