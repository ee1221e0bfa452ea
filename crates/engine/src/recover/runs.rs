//! What the journal says of runs.

use std::collections::BTreeMap;

use lagan_model::journal::{DeleteResult, End, JournalError, JournalStore, Purpose, Record, RunId, Sequence};
use lagan_model::{Clock, RegistryWrite, RepositoryName, Time};
use lagan_policy::RunHistory;

use crate::holding::COPIES;
use crate::mend::{DeletedHere, DeletedManifest};
use crate::world::World;

/// What the last completed runs on this registry deleted, for [`Approval::after`](crate::Approval::after).
///
/// A run that was stopped, or was interrupted and resolved later, is not completed.
///
/// # Errors
///
/// When the journal cannot be read.
pub async fn run_history<R: RegistryWrite, S: JournalStore, C: Clock>(
    world: World<'_, R, S, C>,
) -> Result<RunHistory, JournalError> {
    let runs = runs_here(world).await?.into_values().rev();
    let ends = runs.filter_map(|run| match run.purpose {
        Purpose::Apply { .. } => run.end.filter(|end| !end.stopped),
        Purpose::Undo { .. } | Purpose::Purge | Purpose::Collect => None,
    });
    let of = |end: &End, result: DeleteResult| end.results.get(result.as_str()).copied().unwrap_or(0);
    let done = ends.map(|end| of(&end, DeleteResult::Deleted) + of(&end, DeleteResult::Untagged));
    Ok(RunHistory(done.take(RunHistory::RUNS).collect()))
}

/// How many intents of a run ended in each way, and how many copies it has on record.
pub(crate) async fn results_of<R, S: JournalStore, C>(
    world: World<'_, R, S, C>,
    run: RunId,
) -> Result<BTreeMap<String, u64>, JournalError> {
    let mut results = BTreeMap::new();
    for sequence in world.journal.store().entries_of(run).await? {
        let name = match world.journal.read(sequence).await?.1 {
            Record::Outcome(outcome) => outcome.result.as_str(),
            Record::Restored(outcome) => outcome.result.as_str(),
            Record::Restore(intent) if intent.held_until.is_some() => COPIES,
            _ => continue,
        };
        *results.entry(name.to_owned()).or_default() += 1;
    }
    Ok(results)
}

/// A run, as its first and last records say.
#[derive(Debug)]
pub(crate) struct RunHere {
    pub purpose: Purpose,
    /// How it came to its end; `None` where it was interrupted, or something in it is not resolved.
    pub end: Option<End>,
}

/// The runs on this registry, the oldest first.
pub(crate) async fn runs_here<R: RegistryWrite, S: JournalStore, C: Clock>(
    world: World<'_, R, S, C>,
) -> Result<BTreeMap<RunId, RunHere>, JournalError> {
    let mut runs = BTreeMap::new();
    for run in world.journal.store().runs().await? {
        let entries = world.journal.store().entries_of(run).await?;
        let Some(first) = entries.first() else { continue };
        let (_, Record::Begin(begin)) = world.journal.read(*first).await? else {
            continue;
        };
        if begin.registry.url != world.registry.identity().url {
            continue;
        }
        let mut end = None;
        // Recovery may have added to a run after its end.
        for sequence in entries.iter().rev() {
            if let (_, Record::End(found)) = world.journal.read(*sequence).await? {
                end = Some(found);
                break;
            }
        }
        let purpose = begin.purpose;
        runs.insert(run, RunHere { purpose, end });
    }
    Ok(runs)
}

/// When what is in doubt of a run was first seen to be there by somebody who had stopped sending.
pub(crate) async fn doubts_of<R, S: JournalStore, C>(
    world: World<'_, R, S, C>,
    run: RunId,
) -> Result<BTreeMap<Sequence, Time>, JournalError> {
    let mut doubts = BTreeMap::new();
    for sequence in world.journal.store().entries_of(run).await? {
        if let (_, Record::Doubt(doubt)) = world.journal.read(sequence).await? {
            doubts.entry(doubt.intent).or_insert(doubt.at);
        }
    }
    Ok(doubts)
}

/// What a run deleted, by repository. What may still be deleted is among it.
pub(crate) async fn deletions_of<R: RegistryWrite, S: JournalStore, C: Clock>(
    world: World<'_, R, S, C>,
    run: RunId,
) -> Result<BTreeMap<RepositoryName, DeletedHere>, JournalError> {
    let mut deletions: BTreeMap<Sequence, DeletedManifest> = BTreeMap::new();
    for sequence in world.journal.store().entries_of(run).await? {
        match world.journal.read(sequence).await?.1 {
            Record::Delete(intent) => {
                let found = DeletedManifest {
                    sequence,
                    intent,
                    open: true,
                };
                deletions.insert(sequence, found);
            }
            Record::Outcome(outcome) if outcome.result == DeleteResult::Deleted => {
                if let Some(found) = deletions.get_mut(&outcome.intent) {
                    found.open = false;
                }
            }
            Record::Outcome(outcome) => {
                deletions.remove(&outcome.intent);
            }
            _ => {}
        }
    }
    let mut here: BTreeMap<RepositoryName, DeletedHere> = BTreeMap::new();
    for found in deletions.into_values() {
        let of_repository = here.entry(found.intent.repository.clone()).or_default();
        of_repository.insert(found.intent.digest.clone(), found);
    }
    Ok(here)
}
