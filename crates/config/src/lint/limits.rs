//! Limits that refuse everything, contradict a rule, or never hold.

use lagan_policy::{KeepLine, Limits, Per};

use super::selection::{Cover, Proofs, by_name_alone};
use super::{Group, Lint, Placed, Report};
use crate::source::quoted;

pub(super) fn lint(group: &Group<'_>, proofs: &Proofs, report: &mut Report<'_>) {
    for placed in &group.policies {
        let path = placed.path.then("limits");
        if placed.policy.limits.max_deletions == Some(0) {
            let message = "`max_deletions: 0` refuses every plan that would delete anything".to_owned();
            let hint = Some("`mode: dry-run` reports without deleting".to_owned());
            report.say(
                Lint::ContradictoryLimits,
                &path.then("max_deletions"),
                message,
                hint,
            );
        }
        leaves_too_few(placed, proofs, report);
        for other in &group.policies {
            if !std::ptr::eq(other.policy, placed.policy) {
                stricter_elsewhere(placed, other, proofs, report);
            }
        }
    }
}

/// A policy whose only rule takes all tags together and keeps fewer than the limit says must stay.
fn leaves_too_few(placed: &Placed<'_>, proofs: &Proofs, report: &mut Report<'_>) {
    let ([rule], [], least) = (
        placed.policy.rules.as_slice(),
        placed.policy.protect.as_slice(),
        placed.policy.limits.keep_at_least,
    ) else {
        return;
    };
    let everything = by_name_alone(&rule.select)
        && matches!(Cover::of_select(&rule.select), Some(Cover::Language(language))
            if proofs.tags.none(&[], &[&language]));
    let [
        KeepLine::Last {
            count,
            per: Per::Repository,
            ..
        },
    ] = rule.keep.lines.as_slice()
    else {
        return;
    };
    if everything && rule.keep.unless_older_than.is_none() && u64::from(*count) < least {
        let message = format!(
            "rule {} selects every tag and keeps the last {count}, and `keep_at_least: {least}` holds back every \
             repository in which no more than these stay",
            quoted(&rule.name)
        );
        let hint = Some(format!(
            "keep the last {least}, or lower `keep_at_least` to {count}"
        ));
        let limits = placed.path.then("limits").then("keep_at_least");
        report.say(Lint::ContradictoryLimits, &limits, message, hint);
    }
}

fn stricter_elsewhere(placed: &Placed<'_>, other: &Placed<'_>, proofs: &Proofs, report: &mut Report<'_>) {
    let (ours, theirs) = (&placed.policy.limits, &other.policy.limits);
    let path = placed.path.then("limits");
    let name = quoted(&other.policy.name.0);
    let off = |limit: Option<String>| limit.unwrap_or_else(|| "off".to_owned());
    let default = Limits::default();
    let their_default = |same: bool| if same { ", its default" } else { "" };

    let key = path.then("max_deletions");
    if key.is_written(report.root) && is_stricter(theirs.max_deletions, ours.max_deletions) {
        let message = format!(
            "`max_deletions: {}` holds only in runs without policy {name}, which says {}{}",
            off(ours.max_deletions.map(|limit| limit.to_string())),
            off(theirs.max_deletions.map(|limit| limit.to_string())),
            their_default(theirs.max_deletions == default.max_deletions)
        );
        let hint = "of the policies that are asked for, the strictest limit holds for the run".to_owned();
        report.say(Lint::RunLimitOverruled, &key, message, Some(hint));
    }
    let percent = path.then("max_percent_per_repository");
    let least = path.then("keep_at_least");
    let percent_overruled = percent.is_written(report.root)
        && is_stricter(theirs.max_percent_per_repository, ours.max_percent_per_repository);
    let least_overruled = least.is_written(report.root) && theirs.keep_at_least > ours.keep_at_least;
    if !(percent_overruled || least_overruled) || !placed.repositories.within(&other.repositories, proofs) {
        return;
    }
    let hint = Some(format!(
        "policy {name} names all of these repositories too, and the strictest limit holds"
    ));
    if percent_overruled {
        let message = format!(
            "`max_percent_per_repository: {}` never holds: policy {name} says {}",
            off(ours.max_percent_per_repository.map(|limit| limit.to_string())),
            off(theirs.max_percent_per_repository.map(|limit| limit.to_string()))
        );
        report.say(Lint::LimitOverruled, &percent, message, hint.clone());
    }
    if least_overruled {
        let message = format!(
            "`keep_at_least: {}` never holds: policy {name} says {}{}",
            ours.keep_at_least,
            theirs.keep_at_least,
            their_default(theirs.keep_at_least == default.keep_at_least)
        );
        report.say(Lint::LimitOverruled, &least, message, hint);
    }
}

/// Whether a limit is stricter than another; `None` is off.
fn is_stricter<T: Ord>(one: Option<T>, other: Option<T>) -> bool {
    match (one, other) {
        (Some(one), Some(other)) => one < other,
        (Some(_), None) => true,
        (None, _) => false,
    }
}
