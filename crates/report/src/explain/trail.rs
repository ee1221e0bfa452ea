//! Which reason comes from where: the typed reasons of a decision, sorted back to what gave them.

use lagan_policy::{PolicyName, Reason};
use serde::Serialize;

use super::{Explanation, PolicyTrail, RuleTrail};
use crate::wording::rule_of;

/// What a rule says of a tag that it selects.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Vote {
    /// A line of it keeps the tag.
    Keeps,
    /// None does: the tag is its candidate.
    GivesUp,
    /// None does, but its policy was not asked to make candidates.
    Abstains,
}

/// What a rule says; `None` where it does not select the tag, or nothing was decided. What may be selected is kept.
pub(super) fn vote(explanation: &Explanation, policy: &PolicyTrail, rule: &RuleTrail) -> Option<Vote> {
    if rule.selected == Some(false) || explanation.incomplete.is_some() {
        return None;
    }
    let keeps = of_rule(explanation, policy, rule).any(Reason::keeps);
    Some(match (keeps, policy.asked) {
        (true, _) => Vote::Keeps,
        (false, true) => Vote::GivesUp,
        (false, false) => Vote::Abstains,
    })
}

/// The reasons that a rule gave.
pub(super) fn of_rule<'a>(
    explanation: &'a Explanation,
    policy: &'a PolicyTrail,
    rule: &'a RuleTrail,
) -> impl Iterator<Item = &'a Reason> {
    explanation.reasons.iter().filter(move |reason| {
        rule_of(reason).is_some_and(|of| of.policy == policy.name && *of.rule == *rule.name)
    })
}

/// The reasons by which a policy protects the tag.
pub(super) fn protecting<'a>(
    explanation: &'a Explanation,
    policy: &'a PolicyTrail,
) -> impl Iterator<Item = &'a Reason> {
    explanation
        .reasons
        .iter()
        .filter(move |reason| protected_by(reason) == Some(&policy.name))
}

/// The policy that protects, or may do so.
fn protected_by(reason: &Reason) -> Option<&PolicyName> {
    match reason {
        Reason::Protected { policy, .. } | Reason::ProtectionUnknown { policy, .. } => Some(policy),
        _ => None,
    }
}

/// The reasons that come from what the tag's artifact hangs together with, and those that no policy gave.
pub(super) fn related(explanation: &Explanation) -> impl Iterator<Item = &Reason> {
    explanation.reasons.iter().filter(|reason| {
        rule_of(reason).is_none() && protected_by(reason).is_none() && !matches!(reason, Reason::NotSelected)
    })
}
