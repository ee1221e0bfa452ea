//! Between a plan and its execution: the limits, and a seal on every repository's actions.

use std::collections::BTreeMap;

use lagan_model::{Digest, RepositoryName};
use lagan_policy::{
    Action, Evidence, GuardReport, Guards, LimitOverride, Limits, RepositoryPlan, RepositoryPolicies,
    RolloutNote, Rollouts, RunHistory, Waiting,
};
use thiserror::Error;

/// A plan that the limits let through. Nothing else can be carried out, and nothing but the guards makes one.
///
/// It does not hold the plan: repositories are read again where they were spooled, and each has to be the one that
/// was approved.
#[derive(Debug)]
pub struct ApprovedPlan {
    id: String,
    repositories: BTreeMap<RepositoryName, Approved>,
    going: Going,
    guards: Vec<GuardReport>,
}

/// How much may be done.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Going {
    /// Repositories in which something may be done.
    pub repositories: u64,
    /// Manifests that may be deleted.
    pub manifests: u64,
    /// Tags that may be taken off.
    pub untags: u64,
    /// Repositories in which all that is approved waits.
    pub waiting_repositories: u64,
    /// Actions that wait, for a notice or for a rollout.
    pub waiting: u64,
}

/// What is approved of a repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Approved {
    /// The hash of its actions.
    pub seal: Digest,
    /// How many tagged artifacts have to stay in it.
    pub keep_at_least: u64,
    /// The actions that wait.
    pub waiting: Vec<Waiting>,
    /// The rollout that does not take the repository yet, if there is one: then all of them wait.
    pub rollout: Option<RolloutNote>,
}

impl Approved {
    /// What an action waits for, if it does.
    pub(crate) fn waits(&self, position: usize) -> Option<&Waiting> {
        Waiting::at(&self.waiting, position)
    }
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

    /// How much of it may be done, and how much waits.
    #[must_use]
    pub fn going(&self) -> Going {
        self.going
    }

    /// Whether an action of a repository's plan is approved and waits for nothing.
    #[must_use]
    pub fn goes(&self, plan: &RepositoryPlan, position: usize) -> bool {
        self.of(&plan.name)
            .is_some_and(|approved| approved.rollout.is_none() && approved.waits(position).is_none())
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
pub struct Approval<'e> {
    evidence: Evidence<'e>,
    guards: Guards,
    repositories: BTreeMap<RepositoryName, Approved>,
    going: Going,
}

impl<'e> Approval<'e> {
    /// Approval under the limits of a run, of what was announced for as long as policies demand.
    #[must_use]
    pub fn new(run: &Limits, evidence: Evidence<'e>) -> Self {
        Self {
            evidence,
            guards: Guards::new(run),
            repositories: BTreeMap::new(),
            going: Going::default(),
        }
    }

    /// Approval that holds the run against the last ones ([`Chronicle::history`](crate::Chronicle::history)).
    #[must_use]
    pub fn after(mut self, history: RunHistory) -> Self {
        self.guards = self.guards.after(history);
        self
    }

    /// Approval of a run that goes on with another, which did so much: limits of a run are about both together.
    #[must_use]
    pub fn besides(mut self, done: u64) -> Self {
        self.guards = self.guards.besides(done);
        self
    }

    /// Approval under other limits, for this run, than the policies say.
    #[must_use]
    pub fn overridden(mut self, by: &[LimitOverride]) -> Self {
        self.guards = self.guards.overridden(by);
        self
    }

    /// Adds a repository, under the limits and the notices of the policies that name it. One that limits hold back is
    /// not approved, the others may be. Nothing goes in one of which it was not said that the rollout of its policies
    /// takes it.
    pub fn add(&mut self, plan: &RepositoryPlan, policies: &RepositoryPolicies<'_>) {
        let waiting = self.evidence.waiting(plan, policies);
        let unsaid = || Rollouts::default().note(&plan.name, policies);
        let rollout = plan.rollout.clone().or_else(unsaid);
        self.add_all(plan, &policies.limits(), waiting, rollout);
    }

    /// The same of a plan that no policies made.
    pub(crate) fn add_under(&mut self, plan: &RepositoryPlan, limits: &Limits, waiting: Vec<Waiting>) {
        self.add_all(plan, limits, waiting, plan.rollout.clone());
    }

    fn add_all(
        &mut self,
        plan: &RepositoryPlan,
        limits: &Limits,
        waiting: Vec<Waiting>,
        rollout: Option<RolloutNote>,
    ) {
        let held_back = self.guards.add_but(plan, limits, &waiting).is_some();
        if held_back || !plan.complete || plan.actions.is_empty() {
            return;
        }
        if let Some(seal) = seal(&plan.actions) {
            let approved = Approved {
                seal,
                keep_at_least: self.guards.in_force(limits).keep_at_least,
                waiting,
                rollout: rollout.filter(|note| !note.taken),
            };
            self.going.add(plan, &approved);
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
            going: self.going,
            guards,
        })
    }
}

impl Going {
    fn add(&mut self, plan: &RepositoryPlan, approved: &Approved) {
        let all = plan.actions.len() as u64;
        let waits = match approved.rollout {
            Some(_) => all,
            None => approved.waiting.len() as u64,
        };
        self.waiting += waits;
        if waits == all {
            self.waiting_repositories += 1;
            return;
        }
        self.repositories += 1;
        for (position, action) in plan.actions.iter().enumerate() {
            if approved.waits(position).is_some() {
                continue;
            }
            match action {
                Action::Delete { .. } => self.manifests += action.manifests(),
                Action::Untag { .. } => self.untags += 1,
            }
        }
    }
}

/// The hash of a repository's actions, order and reasons included; `None`, which approves nothing, should they not
/// serialize.
pub(crate) fn seal(actions: &[Action]) -> Option<Digest> {
    serde_json::to_vec(actions).ok().map(|bytes| Digest::of(&bytes))
}
