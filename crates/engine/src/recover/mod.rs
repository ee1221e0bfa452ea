//! What was interrupted is resolved by looking at the registry, never by sending anything again.
//!
//! An intent without an outcome may or may not have happened, and a deletion whose answer was lost can still happen
//! minutes later. What is gone is on record as deleted. What is there is in doubt, from the moment when it was seen by
//! somebody who sends nothing any more; when a window has passed since, it is on record as left alone. Nobody waits:
//! what is in doubt is left out of the next run.

mod doubt;
mod look;
mod others;
mod wait;

use std::collections::{BTreeMap, BTreeSet};

use lagan_model::journal::{End, JournalError, JournalStore, Record, RunId, Sequence};
use lagan_model::{Clock, Digest, RegistryWrite, RepositoryName};
use serde::Serialize;

pub use self::doubt::{IN_DOUBT_WINDOW, InDoubt, LeftOut};
use self::look::Look;
pub(crate) use self::others::Others;
pub use self::wait::recover_and_wait;
use crate::chronicle::{Chronicle, purposes};
use crate::leftover::LEFT;
use crate::mend::{DeletedHere, MendError, mend};
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

/// Resolves what earlier runs on this registry left open, as far as that is possible now. The chronicle has to have been
/// read for it: it is read on where this adds to it.
///
/// # Errors
///
/// When the journal cannot be read or written. What the registry does not answer stays open, and is in the report.
pub async fn recover<R: RegistryWrite, S: JournalStore, C: Clock>(
    world: World<'_, R, S, C>,
    chronicle: &mut Chronicle,
) -> Result<Recovery, JournalError> {
    let mut recovery = Recovery::default();
    let mut touched: BTreeSet<RunId> = BTreeSet::new();
    let mut doubtful: BTreeSet<RunId> = BTreeSet::new();
    for (sequence, run, record) in world.journal.unsettled().await? {
        let Some(here) = chronicle.run(run) else { continue };
        // A clock may have been ahead, here or where the journal comes from.
        let seen = here
            .doubts
            .get(&sequence)
            .map(|seen| (*seen).min(world.clock.now()));
        let mut look = Look {
            world,
            run,
            sequence,
            seen,
            is_swept: here.is_put_back(sequence),
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
    let waiting = chronicle
        .runs()
        .filter(|(run, here)| here.end.is_none() || touched.contains(run));
    let waiting: Vec<RunId> = waiting.map(|(run, _)| run).collect();
    for run in &waiting {
        chronicle.read_on(world.journal, *run).await?;
    }
    let well = match on(Safeguard::Mend) {
        true => mend_all(world, chronicle, &waiting, &mut recovery).await?,
        false => waiting.iter().copied().collect(),
    };
    for run in waiting {
        chronicle.read_on(world.journal, run).await?;
        let Some(here) = chronicle.run(run).filter(|here| here.end.is_none()) else {
            continue;
        };
        if well.contains(&run) && !doubtful.contains(&run) {
            let left = here.left().count() as u64;
            let results = here.results.iter().map(|(name, count)| (name.clone(), *count));
            let end = End {
                at: world.clock.now(),
                results: results
                    .chain((left > 0).then(|| (LEFT.to_owned(), left)))
                    .collect(),
                stopped: true,
            };
            world.journal.end(run, end).await?;
            chronicle.read_on(world.journal, run).await?;
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
    let ours = purposes(world.journal, &world.registry.identity().url).await?;
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

/// Looks after the repositories in which some runs deleted something; the runs for which that worked in all of them.
async fn mend_all<R: RegistryWrite, S: JournalStore, C: Clock>(
    world: World<'_, R, S, C>,
    chronicle: &Chronicle,
    runs: &[RunId],
    recovery: &mut Recovery,
) -> Result<BTreeSet<RunId>, JournalError> {
    let deleted = runs
        .iter()
        .filter_map(|run| Some((*run, chronicle.run(*run)?.deleted())));
    let deleted: Vec<(RunId, BTreeMap<RepositoryName, DeletedHere>)> = deleted.collect();
    let repositories = deleted.iter().flat_map(|(_, deleted)| deleted.keys().cloned());
    let mut others = Others::new(chronicle, repositories.collect());
    let mut well = BTreeSet::new();
    for (run, deleted) in deleted {
        let mut all = true;
        for (repository, deleted) in deleted {
            let mending = mend(world, run, &repository, &deleted, Some(&mut others)).await;
            all &= mending
                .mended
                .iter()
                .all(|mended| mended.failure.is_none() || mended.forever);
            recovery.mended.extend(mending.mended);
            match mending.problem {
                None => {}
                Some(MendError::Journal(error)) => return Err(error),
                Some(MendError::Registry(error)) => {
                    recovery.problems.push(error.to_string());
                    all = false;
                }
            }
        }
        if all {
            well.insert(run);
        }
    }
    Ok(well)
}
