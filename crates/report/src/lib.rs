//! Views of a plan: the same decisions as text for people and as JSON for programs.
//!
//! Nothing is decided here. A view reads the typed reasons of a plan and writes them to an [`std::io::Write`], and
//! [`saved`] plans are read from an [`std::io::Read`]: there is no other input or output. Plans are streams, one
//! repository after another, so that memory does not grow with the registry: see [`PlanWriter`].
//!
//! Text that came from outside (a registry's error message, a name in a policy) passes through [`sanitize`] on
//! its way out, whatever the view.

pub mod against;
pub mod compare;
pub mod doctor;
pub mod explain;
pub mod history;
pub mod number;
pub mod outcome;
pub mod pass;
pub mod plan;
pub mod sanitize;
pub mod saved;
pub mod wording;

mod json;
mod layout;
mod paint;

pub use explain::{Explanation, PolicyTrail, Recorded, Related, Relations, Replayed, RuleTrail, Verdict};
pub use history::{Deed, HistoryFormat, Restored, RunNote, RunWriter, What, write_runs};
pub use outcome::{
    CollectedNote, CollectionNote, InDoubtNote, MendedEntry, OutcomeEntry, OutcomeFoot, OutcomeHead,
    OutcomeOf, OutcomeSums, OutcomeWriter, RecoveryNote, RepositoryOutcome, outcome_writer,
};
pub use pass::PassNote;
pub use plan::{
    ClockNote, GroupBy, Part, PlanFoot, PlanFormat, PlanHead, PlanOptions, PlanWriter, PolicyNote,
};
