//! Between a plan and its execution: the limits, and a seal on every repository's actions.

use std::collections::BTreeMap;

use lagan_model::{Digest, RepositoryName};
use lagan_policy::{Action, GuardReport, Guards, LimitOverride, Limits, RepositoryPlan, RunHistory};
use thiserror::Error;

/// A plan that the limits let through. Nothing else can be carried out, and nothing but the guards makes one.
///
/// It does not hold the plan: repositories are read again where they were spooled, and each has to be the one that
/// was approved.
#[derive(Debug)]
pub struct ApprovedPlan {
    id: String,
    repositories: BTreeMap<RepositoryName, Approved>,
    guards: Vec<GuardReport>,
}

/// What is approved of a repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Approved {
    /// The hash of its actions.
    pub seal: Digest,
    /// How many tagged artifacts have to stay in it.
    pub keep_at_least: u64,
}

impl ApprovedPlan {
    /// The plan's id.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// What the limits said; those that hold back a repository are among them.
    #[must_use]
    pub fn guards(&self) -> &[GuardReport] {
        &self.guards
    }

    pub(crate) fn of(&self, repository: &RepositoryName) -> Option<&Approved> {
        self.repositories.get(repository)
    }
}

/// The limits refuse the whole run.
#[derive(Debug, Error)]
#[error("the limits refuse this plan: nothing deleted")]
pub struct Refused {
    /// Everything that the limits said.
    pub guards: Vec<GuardReport>,
}

/// Folds over a plan's repositories.
#[derive(Debug)]
pub struct Approval {
    guards: Guards,
    repositories: BTreeMap<RepositoryName, Approved>,
}

impl Approval {
    /// Approval under the limits of a run.
    #[must_use]
    pub fn new(run: &Limits) -> Self {
        Self {
            guards: Guards::new(run),
            repositories: BTreeMap::new(),
        }
    }

    /// Approval that holds the run against the last ones ([`run_history`](crate::run_history)).
    #[must_use]
    pub fn after(mut self, history: RunHistory) -> Self {
        self.guards = self.guards.after(history);
        self
    }

    /// Approval under other limits, for this run, than the policies say.
    #[must_use]
    pub fn overridden(mut self, by: &[LimitOverride]) -> Self {
        self.guards = self.guards.overridden(by);
        self
    }

    /// Adds a repository with the limits of the policies that name it. One that they hold back is not approved, the
    /// others may be.
    pub fn add(&mut self, plan: &RepositoryPlan, limits: &Limits) {
        let held_back = self.guards.add(plan, limits).is_some();
        if held_back || !plan.complete || plan.actions.is_empty() {
            return;
        }
        if let Some(seal) = seal(&plan.actions) {
            let approved = Approved {
                seal,
                keep_at_least: self.guards.in_force(limits).keep_at_least,
            };
            self.repositories.insert(plan.name.clone(), approved);
        }
    }

    /// The approved plan.
    ///
    /// # Errors
    ///
    /// When a limit refuses the whole run.
    pub fn finish(self, id: String) -> Result<ApprovedPlan, Refused> {
        let guards = self.guards.finish();
        if guards
            .iter()
            .any(|guard| guard.refuses && guard.repository.is_none())
        {
            return Err(Refused { guards });
        }
        Ok(ApprovedPlan {
            id,
            repositories: self.repositories,
            guards,
        })
    }
}

/// The hash of a repository's actions, order and reasons included; `None`, which approves nothing, should they not
/// serialize.
pub(crate) fn seal(actions: &[Action]) -> Option<Digest> {
    serde_json::to_vec(actions).ok().map(|bytes| Digest::of(&bytes))
}
