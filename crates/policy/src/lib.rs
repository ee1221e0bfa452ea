//! What is kept and what is deleted, and why: pure functions of values, `now` among them.
//!
//! A policy names repositories and has rules. Each rule *selects* tags, *keeps* some of them, and makes the rest
//! its *candidates*. A tag is deleted only if at least one rule makes it a candidate and nothing keeps it.
//!
//! [`decide`](decide::decide) takes what is known of one repository. It answers with decisions, or with the
//! facts that it still needs: nothing is fetched that no decision depends on.

pub mod age;
mod clocks;
pub mod decide;
pub mod document;
mod facts;
pub mod guard;
pub mod needs;
pub mod notice;
pub mod pattern;
pub mod plan;
mod rank;
pub mod reason;
mod relations;
pub mod rollout;
pub mod select;
pub mod served;
mod steps;
mod untagged;
pub mod version;
mod votes;

pub use age::Age;
pub use decide::{Context, Decision, Decisions, Depth, Step, Verdict, decide};
pub use document::{
    Clock, Grace, HoldingPattern, Keep, KeepLine, LimitOverride, Limits, Mode, Order, OverrideError, Per,
    Period, Policy, PolicyName, PolicySet, Protection, ProtectionPattern, RepositoryPolicies, Rollout, Rule,
    Select, Share, Stages, Timezone,
};
pub use guard::{Guard, GuardReport, Guards, RunHistory};
pub use needs::Needs;
pub use notice::{Announcement, Announcements, Evidence, Planned, Waiting};
pub use pattern::{RepositoryPattern, TagPattern, TagRegex, TextPattern};
pub use plan::{Action, Dependent, Holding, Kept, KeptUntagged, RepositoryPlan, Totals, Undo};
pub use reason::Reason;
pub use rollout::{RolloutNote, Rollouts};
pub use served::Unserved;
pub use version::{Channel, TagReading, VersionRequirement, VersionTable};
