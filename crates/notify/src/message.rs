//! What there is to say.

use lagan_model::Time;
use serde_json::Value;

/// What a message is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// A plan would delete something.
    PlanReady,
    /// A run deleted something, all that it was to delete.
    RunDone,
    /// A run did not do all that it was to do.
    RunPartial,
    /// A run did not come to its end.
    RunFailed,
    /// A limit refused a run.
    RunRefused,
    /// A registry or a policy does not do well.
    Unhealthy,
    /// It does well again.
    Healthy,
    /// A configuration was refused, and the one before stays.
    ReloadRefused,
    /// The rollout of a policy takes more of its repositories, or is complete.
    RolloutAdvanced,
    /// Too many deletions of a rollout failed: the policy only reports.
    RolloutFellBack,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 10] = [
        Self::PlanReady,
        Self::RunDone,
        Self::RunPartial,
        Self::RunFailed,
        Self::RunRefused,
        Self::Unhealthy,
        Self::Healthy,
        Self::ReloadRefused,
        Self::RolloutAdvanced,
        Self::RolloutFellBack,
    ];

    /// The name that configurations and events use.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::PlanReady => "plan_ready",
            Self::RunDone => "run_done",
            Self::RunPartial => "run_partial",
            Self::RunFailed => "run_failed",
            Self::RunRefused => "run_refused",
            Self::Unhealthy => "unhealthy",
            Self::Healthy => "healthy",
            Self::ReloadRefused => "reload_refused",
            Self::RolloutAdvanced => "rollout_advanced",
            Self::RolloutFellBack => "rollout_fell_back",
        }
    }
}

/// A message.
#[derive(Debug, Clone, PartialEq)]
pub struct Message {
    /// Its own, among all that were ever sent: whoever receives it twice knows by that.
    pub id: String,
    /// What it is about.
    pub kind: Kind,
    /// When that was.
    pub at: Time,
    /// Whom it concerns, as a path: `registries/NAME/policies/NAME`.
    pub subject: String,
    /// What happened, in a line. Names and errors in it are harmless to show.
    pub summary: String,
    /// The same for programs.
    pub data: Value,
    /// What makes it the same as another one of its kind and subject; such are told once in a while.
    pub likeness: String,
}
