//! The same decisions in another order: by the rule that they come from, or by the channel of their tags.

use std::collections::BTreeMap;

use lagan_model::Tag;
use lagan_policy::{Action, Kept, Reason, RepositoryPlan, VersionTable, Waiting};

use crate::wording::{rule_name, rule_of};

/// What a report is ordered by, before repositories.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GroupBy {
    /// The first rule that deletes, or keeps.
    Rule,
    /// The channel of the first tag.
    Channel,
}

/// What of a repository belongs to one group.
#[derive(Debug, Clone, Copy)]
pub struct Part<'a> {
    /// The group's title; harmless.
    pub group: &'a str,
    /// Whether it is the first part of its repository.
    pub first: bool,
}

impl GroupBy {
    /// The parts of a repository by the titles of their groups. Every action is in one; kept tags are left out unless
    /// they are asked for.
    #[must_use]
    pub fn split(
        self,
        plan: &RepositoryPlan,
        all: bool,
        versions: &VersionTable,
    ) -> BTreeMap<String, RepositoryPlan> {
        if !plan.complete {
            return BTreeMap::from([("Could not be read".to_owned(), plan.clone())]);
        }
        let mut parts: BTreeMap<String, RepositoryPlan> = BTreeMap::new();
        let empty = || RepositoryPlan {
            rollout: plan.rollout.clone(),
            ..RepositoryPlan::untagged(plan.name.clone(), plan.policies.clone())
        };
        for (action, waiting) in plan.steps() {
            let title = self.of_action(action, versions);
            let part = parts.entry(title).or_insert_with(empty);
            part.tags_total += action.tags();
            part.waiting.extend(waiting.map(|waiting| Waiting {
                action: part.actions.len(),
                ..waiting.clone()
            }));
            part.actions.push(action.clone());
        }
        for kept in &plan.kept {
            let title = self.of_kept(kept, versions);
            if all {
                let part = parts.entry(title).or_insert_with(empty);
                part.tags_total += 1;
                part.kept.push(kept.clone());
            } else if let Some(part) = parts.get_mut(&title) {
                // Counted beside what goes, and not listed.
                part.tags_total += 1;
            }
        }
        parts
    }

    fn of_action(self, action: &Action, versions: &VersionTable) -> String {
        match self {
            Self::Rule => by_rule(action.reasons().iter().find(|reason| !reason.keeps())),
            Self::Channel => {
                let tag = match action {
                    Action::Untag { tag, .. } => Some(tag),
                    Action::Delete { tags, .. } => tags.first(),
                };
                tag.map_or_else(|| "Untagged".to_owned(), |tag| by_channel(tag, versions))
            }
        }
    }

    fn of_kept(self, kept: &Kept, versions: &VersionTable) -> String {
        match self {
            Self::Rule => by_rule(kept.reasons.first()),
            Self::Channel => by_channel(&kept.tag, versions),
        }
    }
}

fn by_rule(reason: Option<&Reason>) -> String {
    match reason {
        Some(reason) if rule_of(reason).is_some() => {
            rule_of(reason).map_or_else(String::new, |rule| format!("Rule {}", rule_name(rule, None)))
        }
        Some(Reason::Protected { .. }) => "Protected".to_owned(),
        Some(Reason::NotSelected) | None => "Selected by no rule".to_owned(),
        Some(_) => "Relations".to_owned(),
    }
}

fn by_channel(tag: &Tag, versions: &VersionTable) -> String {
    format!("Channel {}", versions.read(tag).channel)
}
