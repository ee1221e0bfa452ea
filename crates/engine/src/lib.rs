//! The choreography of a run: which repositories, which facts, in which order. It knows ports only.
//!
//! Repositories stream through collect, decide and plan, a bounded number at a time, and are handed on in the
//! order of their names: nothing here holds the whole registry.

mod collect;
mod config_blob;
mod health;
mod inspect;
mod memory;
mod plan;
mod replay;
mod scope;

pub use inspect::{InspectError, InspectRequest, Inspection, inspect};
pub use memory::Memory;
pub use plan::{Outcome, PlanError, PlanRequest, plan};
pub use replay::{ReplayError, replay};
pub use scope::{Scope, ScopeError};

#[cfg(test)]
mod tests;
