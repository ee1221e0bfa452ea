//! What was interrupted is resolved by looking at the registry, never by sending anything again.
//!
//! An intent without an outcome may or may not have happened, and a deletion whose answer was lost can still happen
//! minutes later. What is gone is on record as deleted. What is there is in doubt, from the moment when it was seen by
//! somebody who sends nothing any more; when a window has passed since, it is on record as left alone. Nobody waits:
//! what is in doubt is left out of the next run.

mod doubt;
mod look;
mod runs;

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};

use lagan_model::journal::{End, JournalError, JournalStore, Record, RunId, Sequence};
use lagan_model::{Clock, Digest, RegistryWrite, RepositoryName, Time};
use serde::Serialize;

pub use self::doubt::{IN_DOUBT_WINDOW, InDoubt, LeftOut};
use self::look::Look;
pub use self::runs::run_history;
pub(crate) use self::runs::runs_here;
use self::runs::{deletions_of, doubts_of, results_of};
use crate::mend::{MendError, mend};
use crate::run::Mended;
use crate::safeguard::{Safeguard, on};
use crate::world::World;

/// What recovery found.
#[derive(Debug, Default, PartialEq, Eq, Serialize)]
pub struct Recovery {
    /// Intents that are settled now.
    pub settled: Vec<Resolved>,
    /// Deletions that may still happen.
    pub in_doubt: Vec<InDoubt>,
    /// Manifests that were put back, because something new needs them.
    pub mended: Vec<Mended>,
    /// What could not be looked at.
    pub problems: Vec<String>,
}

/// An intent that is settled now.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct Resolved {
    /// Its run.
    pub run: RunId,
    /// Its number in the journal.
    pub sequence: Sequence,
    /// The repository.
    pub repository: RepositoryName,
    /// The manifest.
    pub digest: Digest,
    /// The name of what became of it.
    pub result: &'static str,
}

impl Recovery {
    /// What must be left out of a run.
    #[must_use]
    pub fn left_out(&self) -> LeftOut {
        LeftOut::of(&self.in_doubt)
    }
}

/// Resolves what earlier runs on this registry left open, as far as that is possible now.
///
/// # Errors
///
/// When the journal cannot be read or written. What the registry does not answer stays open, and is in the report.
pub async fn recover<R: RegistryWrite, S: JournalStore, C: Clock>(
    world: World<'_, R, S, C>,
) -> Result<Recovery, JournalError> {
    let mut recovery = Recovery::default();
    let mut touched: BTreeSet<RunId> = BTreeSet::new();
    let mut doubtful: BTreeSet<RunId> = BTreeSet::new();
    let ours = runs_here(world).await?;
    let mut doubts: BTreeMap<RunId, BTreeMap<Sequence, Time>> = BTreeMap::new();
    for (sequence, run, record) in world.journal.unsettled().await? {
        if !ours.contains_key(&run) {
            continue;
        }
        let doubts = match doubts.entry(run) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(new) => new.insert(doubts_of(world, run).await?),
        };
        // A clock may have been ahead, here or where the journal comes from.
        let seen = doubts.get(&sequence).map(|seen| (*seen).min(world.clock.now()));
        let mut look = Look {
            world,
            run,
            sequence,
            seen,
        };
        let before = recovery.in_doubt.len();
        match record {
            Record::Delete(intent) => look.deletion(intent, &mut recovery).await?,
            Record::Untag(intent) => look.untagging(intent, &mut recovery).await?,
            Record::Restore(intent) => look.restoration(intent, &mut recovery).await?,
            _ => {}
        }
        if recovery.in_doubt.len() > before {
            doubtful.insert(run);
        }
        touched.insert(run);
    }
    let runs: Vec<RunId> = ours.keys().copied().collect();
    for (run, here) in ours {
        let ended = here.end.is_some();
        if ended && !touched.contains(&run) {
            continue;
        }
        let looked_after = !on(Safeguard::Mend) || mend_run(world, run, &runs, &mut recovery).await?;
        if !ended && looked_after && !doubtful.contains(&run) {
            let end = End {
                at: world.clock.now(),
                results: results_of(world, run).await?,
                stopped: true,
            };
            world.journal.end(run, end).await?;
        }
    }
    Ok(recovery)
}

/// What earlier runs on this registry left open, as the journal has it: nothing is asked, and nothing changed.
///
/// # Errors
///
/// When the journal cannot be read.
pub async fn unsettled<R: RegistryWrite, S: JournalStore, C: Clock>(
    world: World<'_, R, S, C>,
) -> Result<Recovery, JournalError> {
    let ours = runs_here(world).await?;
    let mut recovery = Recovery::default();
    for (sequence, run, record) in world.journal.unsettled().await? {
        let (repository, digest, tags) = match record {
            Record::Delete(intent) => (intent.repository, intent.digest, intent.tags),
            Record::Untag(intent) => (intent.repository, intent.digest, vec![intent.tag]),
            _ => continue,
        };
        if ours.contains_key(&run) {
            recovery.in_doubt.push(InDoubt {
                run,
                sequence,
                repository,
                digest,
                tags,
                until: None,
            });
        }
    }
    Ok(recovery)
}

/// Looks after the repositories in which a run deleted something; whether that worked for all of them.
async fn mend_run<R: RegistryWrite, S: JournalStore, C: Clock>(
    world: World<'_, R, S, C>,
    run: RunId,
    runs: &[RunId],
    recovery: &mut Recovery,
) -> Result<bool, JournalError> {
    let mut well = true;
    let mut of_run = deletions_of(world, run).await?;
    // What is put back may list what another run deleted since.
    let others = if of_run.is_empty() { &[] } else { runs };
    for other in others.iter().filter(|other| **other != run) {
        for (repository, deleted) in deletions_of(world, *other).await? {
            if let Some(here) = of_run.get_mut(&repository) {
                for (digest, found) in deleted.into_iter().filter(|(_, found)| !found.open) {
                    here.entry(digest).or_insert(found);
                }
            }
        }
    }
    for (repository, deleted) in of_run {
        match mend(world, run, &repository, &deleted).await {
            Ok(mended) => {
                well &= mended
                    .iter()
                    .all(|mended| mended.failure.is_none() || mended.forever);
                recovery.mended.extend(mended);
            }
            Err(MendError::Journal(error)) => return Err(error),
            Err(MendError::Registry(error)) => {
                recovery.problems.push(error.to_string());
                well = false;
            }
        }
    }
    Ok(well)
}
