//! Notices: what a plan would delete is announced, and goes only when it has been in every plan since for long enough.
//!
//! An announcement is evidence. It is about one action, under the policies as they were; where it is not on record, the
//! action is new and waits, whatever the reason.

use std::collections::{BTreeMap, BTreeSet};

use chrono::TimeDelta;
use lagan_model::{Digest, RepositoryName, Time};
use serde::{Deserialize, Serialize};

use crate::document::RepositoryPolicies;
use crate::plan::{Action, RepositoryPlan};

/// How many groups of policies are remembered for one repository: those that planned last.
const GROUPS: usize = 4;

/// How many actions of a registry are remembered at the most. What is beyond stays unannounced, and waits.
pub const MAX_ANNOUNCED: usize = 1_000_000;

/// For how long a repository is remembered that no plan has been about.
pub const MAX_SILENCE: TimeDelta = TimeDelta::days(400);

impl Action {
    /// What makes it the action that it is, as a hash: what is done to which manifest, and the tags that go. What goes
    /// along with it, and why, is left out.
    #[must_use]
    pub fn identity(&self) -> Digest {
        let (what, digest, mut tags): (_, _, Vec<&str>) = match self {
            Self::Delete { digest, tags, .. } => (
                "delete",
                digest,
                tags.iter().map(lagan_model::Tag::as_str).collect(),
            ),
            Self::Untag { tag, digest, .. } => ("untag", digest, vec![tag.as_str()]),
        };
        tags.sort_unstable();
        // Neither digests nor tags can have a line break in them.
        Digest::of(format!("{what}\n{digest}\n{}", tags.join("\n")).as_bytes())
    }
}

/// What some policies announced in one repository.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Announcement {
    /// The policies, as [`RepositoryPolicies::identity`] has them.
    pub by: Digest,
    /// When they planned last.
    pub planned: Time,
    /// Since when each action has been in all of their plans, by [`Action::identity`].
    pub since: BTreeMap<Digest, Time>,
}

/// What is announced in the repositories of one registry.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Announcements {
    repositories: BTreeMap<RepositoryName, Vec<Announcement>>,
    count: usize,
}

impl FromIterator<(RepositoryName, Announcement)> for Announcements {
    fn from_iter<I: IntoIterator<Item = (RepositoryName, Announcement)>>(announced: I) -> Self {
        let mut all = Self::default();
        for (repository, announcement) in announced {
            all.count += announcement.since.len();
            all.repositories.entry(repository).or_default().push(announcement);
        }
        all
    }
}

impl Announcements {
    /// All of them, in the order of repositories.
    pub fn iter(&self) -> impl Iterator<Item = (&RepositoryName, &Announcement)> {
        let all = self.repositories.iter();
        all.flat_map(|(repository, announced)| announced.iter().map(move |one| (repository, one)))
    }

    /// How many actions are announced.
    #[must_use]
    pub fn count(&self) -> usize {
        self.count
    }

    /// Since when every plan of these policies has had an action; `None` where the last one had not.
    #[must_use]
    pub fn since(&self, repository: &RepositoryName, by: &Digest, action: &Digest) -> Option<Time> {
        let announced = self.repositories.get(repository)?;
        let announced = announced.iter().find(|one| one.by == *by)?;
        announced.since.get(action).copied()
    }

    /// Takes note of a plan: what it does not have any more is no longer announced, and what is new in it is from now
    /// on, if the plan was `kept`, where somebody could see it.
    pub fn note(&mut self, planned: &Planned, kept: bool, now: Time) {
        let announced = self.repositories.entry(planned.repository.clone()).or_default();
        let before: usize = announced.iter().map(|one| one.since.len()).sum();
        let at = announced.iter().position(|one| one.by == planned.by);
        let mut of_these = match at {
            Some(at) => announced.remove(at),
            None => Announcement {
                by: planned.by.clone(),
                planned: now,
                since: BTreeMap::new(),
            },
        };
        of_these.planned = now;
        // What was announced later than now was announced by a clock that was wrong.
        of_these
            .since
            .retain(|action, since| planned.actions.contains(action) && *since <= now);
        if kept {
            let others: usize = announced.iter().map(|one| one.since.len()).sum();
            let there = self.count - before + others + of_these.since.len();
            let room = MAX_ANNOUNCED.saturating_sub(there);
            let new = planned.actions.iter();
            let new: Vec<_> = new
                .filter(|action| !of_these.since.contains_key(*action))
                .take(room)
                .cloned()
                .collect();
            of_these.since.extend(new.into_iter().map(|action| (action, now)));
        }
        if !of_these.since.is_empty() {
            announced.insert(0, of_these);
        }
        announced.sort_by_key(|one| std::cmp::Reverse(one.planned));
        announced.truncate(GROUPS);
        let after: usize = announced.iter().map(|one| one.since.len()).sum();
        if announced.is_empty() {
            self.repositories.remove(&planned.repository);
        }
        self.count = self.count - before + after;
    }

    /// Forgets repositories that no plan has been about for [`MAX_SILENCE`].
    pub fn forget_silent(&mut self, now: Time) {
        for announced in self.repositories.values_mut() {
            announced.retain(|one| now - one.planned <= MAX_SILENCE);
        }
        self.repositories.retain(|_, announced| !announced.is_empty());
        let left = self.repositories.values().flatten();
        self.count = left.map(|one| one.since.len()).sum();
    }
}

/// What a plan would do in one repository, for the record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Planned {
    repository: RepositoryName,
    by: Digest,
    actions: BTreeSet<Digest>,
}

impl Planned {
    /// What there is to note of a plan. `None` where no policy of the repository has a notice, and where it could not be
    /// read: that says nothing of it, and neither begins nor ends an announcement.
    #[must_use]
    pub fn of(plan: &RepositoryPlan, policies: &RepositoryPolicies<'_>) -> Option<Self> {
        policies.notice()?;
        plan.complete.then(|| Self {
            repository: plan.name.clone(),
            by: policies.identity(),
            actions: plan.actions.iter().map(Action::identity).collect(),
        })
    }
}

/// An action that waits, until it has been announced for as long as a policy demands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Waiting {
    /// Which of the repository's actions, from 0.
    pub action: usize,
    /// Since when every plan on record has had it; `None` where it is new.
    pub announced: Option<Time>,
    /// From when on it may go; where it is new, counted from this plan.
    pub until: Time,
}

impl Waiting {
    /// What an action waits for, if it does. They are in the order of the plan.
    #[must_use]
    pub fn at(waiting: &[Self], action: usize) -> Option<&Self> {
        let found = waiting.binary_search_by_key(&action, |waiting| waiting.action);
        found.ok().map(|found| &waiting[found])
    }
}

/// What stands between a plan and its execution: what earlier plans announced, and the time.
#[derive(Debug, Clone, Copy)]
pub struct Evidence<'a> {
    /// What is on record for the registry.
    pub announcements: &'a Announcements,
    /// The time.
    pub now: Time,
}

impl Evidence<'_> {
    /// The actions of a plan that wait, in the order of the plan.
    #[must_use]
    pub fn waiting(&self, plan: &RepositoryPlan, policies: &RepositoryPolicies<'_>) -> Vec<Waiting> {
        let Some(notice) = policies.notice() else {
            return Vec::new();
        };
        if plan.actions.is_empty() {
            return Vec::new();
        }
        let by = policies.identity();
        let waits = |(position, action): (usize, &Action)| {
            let since = self.announcements.since(&plan.name, &by, &action.identity());
            let announced = since.filter(|since| *since <= self.now);
            let from = announced.unwrap_or(self.now);
            let until = from.checked_add_signed(notice.delta()).unwrap_or(Time::MAX_UTC);
            (self.now < until).then_some(Waiting {
                action: position,
                announced,
                until,
            })
        };
        plan.actions.iter().enumerate().filter_map(waits).collect()
    }
}

#[cfg(test)]
mod tests;
