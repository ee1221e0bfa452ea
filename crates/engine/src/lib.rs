//! The choreography of a run: which repositories, which facts, in which order. It knows ports only.
//!
//! Repositories stream through collect, decide and plan, a bounded number at a time, and are handed on in the
//! order of their names: nothing here holds the whole registry. What was planned and approved is carried out by
//! [`apply`](apply()), and what was deleted is put back by [`undo`](undo()); both leave a trail in the journal, from which [`recover`](recover())
//! resolves whatever was interrupted.

mod apply;
mod approve;
mod chronicle;
mod collect;
mod config_blob;
mod health;
mod holding;
mod inspect;
mod leftover;
mod memory;
mod mend;
mod plan;
mod purge;
mod recover;
mod replay;
mod restore;
mod run;
mod safeguard;
mod saved;
mod scope;
mod swept;
mod turns;
mod undo;
mod world;

pub use apply::{ApplyError, ApplyRequest, all_waits, apply};
pub use approve::{Approval, ApprovedPlan, Going, Refused};
pub use chronicle::Chronicle;
pub use holding::COPIES;
pub use inspect::{InspectError, InspectRequest, Inspection, inspect};
pub use leftover::{LeftoverRequest, Leftovers, leftovers};
pub use memory::Memory;
pub use plan::{Outcome, PlanError, PlanRequest, plan};
pub use purge::{Due, PurgeRequest, due, purge};
pub use recover::{
    IN_DOUBT_WINDOW, InDoubt, LeftOut, Recovery, Resolved, recover, recover_and_wait, unsettled,
};
pub use replay::{ReplayError, replay};
pub use run::{ActionOutcome, ActionRun, ManifestRun, Mended, RepositoryRun, RunTotals};
pub use saved::{MAX_PLAN_AGE, Present, SavedPlan, Stale};
pub use scope::{Scope, ScopeError};
pub use undo::{
    DEFAULT_HOLD, Holds, LONGEST_HOLD, ManifestUndo, RepositoryUndo, UndoOutcome, UndoRequest, UndoTarget,
    undo,
};
pub use world::{Stop, Veto, World};

#[cfg(test)]
mod tests;

#[cfg(test)]
mod simulator;
