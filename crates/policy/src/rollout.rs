//! How far a policy has been rolled out, and what that means for a repository.
//!
//! A stage takes a share of the policy's repositories; in the others it only reports. It lasts until enough of its
//! deletions have succeeded for long enough. Where too many fail, the policy goes back to reporting, everywhere.
//!
//! What is on record is believed only where it is about the very policy: one that decides something else, and one of
//! which nothing is on record, begins with its first stage, which is its smallest. Where the record itself cannot be
//! read, nothing is taken anywhere: what is on it may say that too much had failed.

use std::collections::BTreeMap;

use lagan_model::{RepositoryName, Time};
use serde::{Deserialize, Serialize};

use crate::document::{
    Limits, Mode, Place, Policy, PolicyName, PolicySet, RepositoryPolicies, Rollout, Share,
};
use crate::version::VersionTable;

#[cfg(test)]
mod tests;

/// What became of deletions.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tally {
    /// Manifests deleted and tags taken off.
    pub succeeded: u64,
    /// Those that the registry refused or failed at, or of which it is not known whether they happened.
    pub failed: u64,
}

impl Tally {
    /// How many were tried.
    #[must_use]
    pub fn tried(self) -> u64 {
        self.succeeded.saturating_add(self.failed)
    }

    /// Both together.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self {
            succeeded: self.succeeded.saturating_add(other.succeeded),
            failed: self.failed.saturating_add(other.failed),
        }
    }
}

/// Why a rollout went back to reporting.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct FellBack {
    /// When.
    pub at: Time,
    /// What had become of the deletions of its stage.
    pub tally: Tally,
}

/// How far one policy has come: what is on record of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// The policy, as [`identity`] has it.
    pub sha256: String,
    /// How many stages are over.
    pub over: usize,
    /// When the first deletion of the present stage was tried.
    pub since: Option<Time>,
    /// What became of the deletions of the present stage.
    pub tally: Tally,
    /// Whether a run began that has not ended: nothing is known of its deletions.
    pub open: bool,
    /// Where too many deletions failed.
    pub fell_back: Option<FellBack>,
}

/// Something that happened to a rollout.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// It takes a larger share from now on.
    Advanced,
    /// Its last stage has held.
    Completed,
    /// It only reports from now on.
    FellBack,
}

/// The hash of what a policy decides, and of how. Its mode and its limits are no part of it: they change whether it
/// deletes, not what, and whoever lifts a limit for a larger stage does not mean to begin with the smallest again.
#[must_use]
pub fn identity(policy: &Policy, versions: &VersionTable) -> String {
    let decides = Policy {
        mode: Mode::default(),
        limits: Limits::default(),
        ..policy.clone()
    };
    decides.sha256(versions)
}

impl Record {
    /// Of a policy of which nothing is known.
    #[must_use]
    pub fn new(sha256: String) -> Self {
        Self {
            sha256,
            over: 0,
            since: None,
            tally: Tally::default(),
            open: false,
            fell_back: None,
        }
    }

    /// The same as of a certain time: with the next stage, where this one held for long enough. That is at most one,
    /// since each has to delete something.
    #[must_use]
    pub fn at(&self, rollout: &Rollout, now: Time) -> (Self, Option<Change>) {
        let mut record = self.clone();
        if self.fell_back.is_some() || self.over >= rollout.stages.count() {
            return (record, None);
        }
        if self.open {
            // Whoever began it did not come to its end, and how its deletions went was never told.
            record.open = false;
            record.begin_stage();
            return (record, None);
        }
        // A first deletion in the future was tried by a clock that was wrong.
        let since = self.since.map(|since| since.min(now));
        record.since = since;
        let held = since.is_some_and(|since| now.signed_duration_since(since) >= rollout.hold.delta());
        let enough = rollout
            .min_success
            .is_reached(self.tally.succeeded, self.tally.tried());
        if !held || !enough || self.tally.succeeded == 0 {
            return (record, None);
        }
        record.over += 1;
        record.begin_stage();
        let change = if record.over == rollout.stages.count() {
            Change::Completed
        } else {
            Change::Advanced
        };
        (record, Some(change))
    }

    fn begin_stage(&mut self) {
        self.since = None;
        self.tally = Tally::default();
    }

    /// Takes note that something was put back that the policy had deleted: somebody found that it should have stayed, and
    /// that its deletion succeeded speaks for nothing. The present stage begins anew. Returns whether it had begun.
    pub fn undone(&mut self) -> bool {
        let had_begun = self.since.is_some() && self.fell_back.is_none();
        if had_begun {
            self.begin_stage();
        }
        had_begun
    }

    /// Takes note that a run begins, before anything is deleted.
    pub fn begin(&mut self) {
        self.open = true;
    }

    /// Takes note of what became of the deletions of a run. Once the last stage has held, nothing is judged any more.
    pub fn end(&mut self, rollout: &Rollout, tally: Tally, now: Time) -> Option<Change> {
        self.open = false;
        if self.fell_back.is_some() || self.over >= rollout.stages.count() || tally.tried() == 0 {
            return None;
        }
        self.since.get_or_insert(now);
        self.tally = self.tally.and(tally);
        if rollout
            .min_success
            .is_reached(self.tally.succeeded, self.tally.tried())
        {
            return None;
        }
        self.fell_back = Some(FellBack {
            at: now,
            tally: self.tally,
        });
        Some(Change::FellBack)
    }
}

/// Where the rollout of one policy stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    /// The policy.
    pub policy: PolicyName,
    /// How it is rolled out.
    pub rollout: Rollout,
    /// What is on record, as of the time that is asked about.
    pub record: Record,
    /// What the time alone changed.
    pub change: Option<Change>,
    /// The one that is taken whatever the share, so that there is one.
    first: Option<RepositoryName>,
}

impl Standing {
    /// The stage that it is in, from 1 on; the last one where all are over.
    #[must_use]
    pub fn stage(&self) -> usize {
        (self.record.over + 1).min(self.rollout.stages.count())
    }

    /// The share that may be deleted from; `None` where the policy only reports.
    #[must_use]
    pub fn share(&self) -> Option<Share> {
        let share = self.rollout.stages.share(self.stage());
        share.filter(|_| self.record.fell_back.is_none())
    }

    /// Whether all stages are over.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.record.over >= self.rollout.stages.count()
    }

    /// Whether the share has a repository.
    fn takes(&self, repository: &RepositoryName) -> bool {
        self.share()
            .is_some_and(|share| Place::of(&self.policy, repository).is_in(share))
    }

    /// Whether it is taken for being the first, in whatever stage.
    fn begins_with(&self, repository: &RepositoryName) -> bool {
        self.first.as_ref() == Some(repository)
    }
}

/// What a rollout says of one repository. The serialized form is `rollout` of a repository in `lagan.plan/v1`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RolloutNote {
    /// The policy.
    pub policy: PolicyName,
    /// Whether deletions may happen here.
    pub taken: bool,
    /// The stage that the policy is in, from 1 on.
    pub stage: usize,
    /// Of how many.
    pub of: usize,
    /// The share of its repositories that the stage takes.
    pub share: Option<Share>,
    /// When too many deletions failed, after which the policy only reports.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fell_back: Option<Time>,
    /// Policies whose first repository it is among all that they name, and which so take it in every stage.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub first_of: Vec<PolicyName>,
}

/// Where the rollouts of the policies stand that make candidates.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rollouts {
    standings: Vec<Standing>,
}

impl Rollouts {
    /// By what is on record, as of a certain time.
    #[must_use]
    pub fn at<'p>(
        policies: impl IntoIterator<Item = &'p Policy>,
        versions: &VersionTable,
        records: &BTreeMap<PolicyName, Record>,
        now: Time,
    ) -> Self {
        let standing = |policy: &Policy| {
            let rollout = policy.rollout.clone()?;
            let sha256 = identity(policy, versions);
            let known = records
                .get(&policy.name)
                .filter(|record| record.sha256 == sha256)
                .cloned();
            let (record, change) = known.unwrap_or_else(|| Record::new(sha256)).at(&rollout, now);
            Some(Standing {
                policy: policy.name.clone(),
                rollout,
                record,
                change,
                first: None,
            })
        };
        Self {
            standings: policies.into_iter().filter_map(standing).collect(),
        }
    }

    /// The same, where all repositories are known: of each policy one is taken at the least.
    #[must_use]
    pub fn among(mut self, repositories: &[RepositoryName], policies: &PolicySet) -> Self {
        for standing in &mut self.standings {
            let mut policies = policies.policies.iter();
            let policy = policies.find(|policy| policy.name == standing.policy);
            let own = repositories
                .iter()
                .filter(|name| policy.is_some_and(|policy| policy.names(name)));
            standing.first = own.min_by_key(|name| Place::of(&standing.policy, name)).cloned();
        }
        self
    }

    /// Of each policy that is rolled out, in their order.
    #[must_use]
    pub fn standings(&self) -> &[Standing] {
        &self.standings
    }

    /// Whether no policy is rolled out in stages.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.standings.is_empty()
    }

    /// What they say of a repository: the first that does not take it, else the one with the smallest share. `None`
    /// where no policy that makes candidates there is rolled out in stages. Of one that is and that they know nothing of,
    /// nothing is taken.
    #[must_use]
    pub fn note(
        &self,
        repository: &RepositoryName,
        policies: &RepositoryPolicies<'_>,
    ) -> Option<RolloutNote> {
        self.note_where(repository, policies, |standing| standing.begins_with(repository))
    }

    /// The same of a repository that was planned before, when all repositories were known: which of them is the first of
    /// a policy was found out then.
    #[must_use]
    pub fn note_again(
        &self,
        repository: &RepositoryName,
        policies: &RepositoryPolicies<'_>,
        planned: Option<&RolloutNote>,
    ) -> Option<RolloutNote> {
        let first_of = planned.map_or(&[][..], |note| &note.first_of);
        self.note_where(repository, policies, |standing| {
            first_of.contains(&standing.policy)
        })
    }

    fn note_where(
        &self,
        repository: &RepositoryName,
        policies: &RepositoryPolicies<'_>,
        is_first: impl Fn(&Standing) -> bool,
    ) -> Option<RolloutNote> {
        let mut first_of = Vec::new();
        let asked = policies.policies().iter().filter(|(_, asked)| *asked);
        let notes = asked.filter_map(|(policy, _)| {
            let rollout = policy.rollout.as_ref()?;
            let mut standings = self.standings.iter();
            let standing = standings.find(|standing| standing.policy == policy.name);
            let first = standing.is_some_and(&is_first);
            if first {
                first_of.push(policy.name.clone());
            }
            let share = standing.and_then(Standing::share);
            Some(RolloutNote {
                policy: policy.name.clone(),
                taken: standing
                    .is_some_and(|standing| standing.takes(repository) || (first && share.is_some())),
                stage: standing.map_or(1, Standing::stage),
                of: rollout.stages.count(),
                share,
                fell_back: standing.and_then(|standing| Some(standing.record.fell_back?.at)),
                first_of: Vec::new(),
            })
        });
        let note = notes.min_by_key(|note| (note.taken, note.share))?;
        Some(RolloutNote { first_of, ..note })
    }
}
