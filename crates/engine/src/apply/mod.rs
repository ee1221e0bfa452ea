//! Carrying out a plan that was shown and approved.
//!
//! Repositories are worked on some at a time, each like this: it is read whole; units that are still what was planned
//! are recorded, and deleted manifest by manifest, each looked at right before and right after; after so many
//! deletions or so much time it is read again; and in the end once more, since what others pushed meanwhile may need
//! what is gone. Whatever moved is left alone.

mod delete;
pub(crate) mod reading;
mod repository;
pub(crate) mod unit;
mod untag;

use chrono::TimeDelta;
use futures_util::{StreamExt, stream};
use lagan_model::journal::{Begin, End, JournalError, JournalStore, Skip};
use lagan_model::{Clock, RegistryWrite, Time};
use lagan_policy::RepositoryPlan;
use thiserror::Error;

use self::repository::RepositoryApply;
pub use self::repository::all_waits;
use crate::approve::ApprovedPlan;
use crate::holding::COPIES;
use crate::leftover::LEFT;
use crate::recover::LeftOut;
use crate::run::{RepositoryRun, RunTotals};
use crate::safeguard::{Safeguard, on};
use crate::world::{Veto, World};

/// How many manifests are deleted, and tags taken off, before a repository is read again.
pub(crate) const DELETIONS_PER_READING: usize = 256;

#[cfg(not(test))]
#[inline]
pub(crate) const fn deletions_per_reading() -> usize {
    DELETIONS_PER_READING
}

#[cfg(test)]
pub(crate) use self::fewer::{deletions_per_reading, with_deletions_per_reading};

/// Stories are too small for as many.
#[cfg(test)]
mod fewer {
    use std::cell::Cell;

    use super::DELETIONS_PER_READING;

    thread_local! {
        static MOST: Cell<usize> = const { Cell::new(DELETIONS_PER_READING) };
    }

    pub(crate) fn deletions_per_reading() -> usize {
        MOST.get()
    }

    /// Runs `body` on this thread with another number of them.
    pub(crate) fn with_deletions_per_reading<T>(most: usize, body: impl FnOnce() -> T) -> T {
        let before = MOST.replace(most);
        let result = body();
        MOST.set(before);
        result
    }
}

/// How old a reading may be when something is deleted on its strength.
const MAX_READING_AGE: TimeDelta = TimeDelta::seconds(60);

/// Whether a reading is too old to delete by. A clock that was set back says nothing of its age.
pub(crate) fn is_old(read_at: Time, now: Time) -> bool {
    (now - read_at).abs() > MAX_READING_AGE && on(Safeguard::ReadAgain)
}

/// Why nothing is deleted by a reading that took so long that it is too old when it ends.
pub(crate) fn too_slow() -> unit::Left {
    unit::Left::because(Skip::Incomplete, "the repository cannot be read fast enough")
}

/// What is to be carried out.
#[derive(Debug)]
pub struct ApplyRequest<'a, V> {
    /// The head of the run.
    pub begin: Begin,
    /// What the limits let through.
    pub approved: &'a ApprovedPlan,
    /// What must stay whatever the plan says.
    pub veto: &'a V,
    /// What earlier deletions may still take.
    pub in_doubt: &'a LeftOut,
    /// How many repositories are worked on at the same time; at least 1.
    pub repositories_at_once: usize,
    /// How many units of one repository are deleted at the same time; at least 1.
    pub units_at_once: usize,
}

/// Why a run ended early. What it did until then is in the journal, and in what was handed on.
#[derive(Debug, Error)]
pub enum ApplyError<E> {
    /// The journal failed: nothing more may be deleted.
    #[error("failed to {0}: nothing more was deleted")]
    Journal(#[source] JournalError),
    /// The next repository of the plan could not be had.
    #[error("failed to go on with the plan")]
    Plan(#[source] E),
    /// What was done could not be handed on.
    #[error("failed to write the report of the run")]
    Sink(#[source] E),
}

/// Carries out a plan: `plans` are its repositories, read again where they were spooled. What became of each is handed
/// to `sink` in the order of the plan; also where the journal failed, of those that were in hand: what is on record
/// without an end is in doubt there.
///
/// # Errors
///
/// When the journal fails, or the plan or the report do. A registry that refuses or fails is no error: that is what
/// the report says.
pub async fn apply<R, S, C, V, E>(
    world: World<'_, R, S, C>,
    request: &ApplyRequest<'_, V>,
    plans: impl IntoIterator<Item = Result<RepositoryPlan, E>>,
    mut sink: impl FnMut(&RepositoryRun) -> Result<(), E>,
) -> Result<RunTotals, ApplyError<E>>
where
    R: RegistryWrite,
    S: JournalStore,
    C: Clock,
    V: Veto,
{
    let run = request.begin.run;
    world
        .journal
        .begin(request.begin.clone())
        .await
        .map_err(ApplyError::Journal)?;
    let mut failure = None;
    let mut totals = RunTotals::default();
    let mut looked_after = true;
    {
        let mut runs = stream::iter(plans)
            .map(|plan| async move {
                match plan {
                    Err(error) => Err(ApplyError::Plan(error)),
                    Ok(plan) if plan.actions.is_empty() => Ok(None),
                    Ok(plan) => Ok(Some(RepositoryApply::new(world, request, &plan).apply().await)),
                }
            })
            .buffered(request.repositories_at_once.max(1));
        while let Some(done) = runs.next().await {
            let handed_on = match done {
                Ok(None) => Ok(()),
                Ok(Some((run, journal))) => {
                    totals.add(&run);
                    looked_after &= run.looked_after;
                    let handed_on = sink(&run).map_err(ApplyError::Sink);
                    journal.map_err(ApplyError::Journal).and(handed_on)
                }
                Err(error) => Err(error),
            };
            if let Err(error) = handed_on {
                // Nothing else is begun; what is in hand comes to its end.
                world.stop.request();
                failure.get_or_insert(error);
            }
        }
    }
    if let Some(error @ ApplyError::Journal(_)) = failure {
        return Err(error);
    }
    let end = End {
        at: world.clock.now(),
        results: totals
            .outcomes
            .iter()
            .map(|(outcome, count)| ((*outcome).to_owned(), *count))
            .chain((totals.copies > 0).then(|| (COPIES.to_owned(), totals.copies)))
            .chain((totals.left > 0).then(|| (LEFT.to_owned(), totals.left)))
            .collect(),
        stopped: world.stop.is_requested(),
    };
    if looked_after {
        world.journal.end(run, end).await.map_err(ApplyError::Journal)?;
    }
    match failure {
        Some(error) => Err(error),
        None => Ok(totals),
    }
}
