//! Policies that name the same repository, and what wins there.

use lagan_policy::Keep;

use super::against::SeenPlan;
use super::language::Found;
use super::selection::Proofs;
use super::{Group, Lint, Placed, Report};
use crate::source::quoted;

/// How many names a sentence lists.
const LISTED: usize = 5;

pub(super) fn lint(group: &Group<'_>, proofs: &Proofs, seen: Option<&SeenPlan>, report: &mut Report<'_>) {
    for (position, placed) in group.policies.iter().enumerate() {
        let others = group.policies[..position].iter();
        let common: Vec<(&Placed<'_>, String)> = others
            .filter_map(|other| Some((other, both(placed, other, proofs, seen)?)))
            .collect();
        let Some((_, example)) = common.first() else {
            continue;
        };
        let names: Vec<String> = common
            .iter()
            .map(|(other, _)| quoted(&other.policy.name.0))
            .collect();
        let whole: Vec<&Placed<'_>> = common.iter().map(|(other, _)| *other).chain([placed]).collect();
        let message = format!(
            "policy {} names repositories that {} names too, such as {}",
            quoted(&placed.policy.name.0),
            listed(&names),
            quoted(example)
        );
        report.say(
            Lint::Overlap,
            &placed.path.then("repositories"),
            message,
            Some(wins(&whole)),
        );
    }
}

/// A repository that both name; of a plan, if there is one.
fn both(one: &Placed<'_>, other: &Placed<'_>, proofs: &Proofs, seen: Option<&SeenPlan>) -> Option<String> {
    if let Some(seen) = seen {
        return seen
            .repositories()
            .find(|name| one.policy.names(name) && other.policy.names(name))
            .map(ToString::to_string);
    }
    match one.repositories.common(&other.repositories, proofs) {
        Found::Name(name) => Some(name),
        Found::Nothing | Found::Unknown => None,
    }
}

fn wins(policies: &[&Placed<'_>]) -> String {
    let mut keeps = Vec::new();
    for placed in policies {
        for rule in &placed.policy.rules {
            if rule.keep == Keep::all() {
                keeps.push(format!("rule {} (all of it)", quoted(&rule.name)));
            }
        }
        if !placed.policy.protect.is_empty() {
            keeps.push(format!("`protect` of {}", quoted(&placed.policy.name.0)));
        }
    }
    let mut text =
        "there, what any rule of any of them keeps stays, and the strictest limit holds".to_owned();
    if !keeps.is_empty() {
        text.push_str(&format!("; these always win: {}", listed(&keeps)));
    }
    text
}

fn listed(items: &[String]) -> String {
    let mut text = items.iter().take(LISTED).cloned().collect::<Vec<_>>().join(", ");
    if items.len() > LISTED {
        text.push_str(&format!(" and {} more", items.len() - LISTED));
    }
    text
}
