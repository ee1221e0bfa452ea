//! Protections that protect nothing.

use lagan_model::Time;
use lagan_policy::ProtectionPattern;

use super::language::Language;
use super::rules::{meant_to_be_found, unanchored_protection};
use super::selection::{Cover, Proofs};
use super::{Group, Lint, Report};

pub(super) fn lint(group: &Group<'_>, proofs: &Proofs, now: Time, report: &mut Report<'_>) {
    for placed in &group.policies {
        for (position, entry) in placed.policy.protect.iter().enumerate() {
            let path = placed.path.then("protect").then(position);
            if let Some(until) = entry.until.filter(|until| now.date_naive() > *until) {
                let message = format!("this protection ended with {until}, and protects nothing since");
                report.say(
                    Lint::ProtectsNothing,
                    &path.then("until"),
                    message,
                    Some("remove it, or give it a later day".to_owned()),
                );
                continue;
            }
            if let ProtectionPattern::Regex(regex) = &entry.pattern {
                let language = Language::of(&[regex.expression()]);
                if let Some(version) = meant_to_be_found(regex.as_str(), language.as_ref(), group, proofs) {
                    unanchored_protection(regex.as_str(), &version, &path.then("regex"), report);
                    continue;
                }
            }
            if let Some(Cover::Language(language)) = Cover::of_protection(&entry.pattern)
                && proofs.tags.none(&[&language], &[])
            {
                let message = "this protects nothing: no tag can match it".to_owned();
                report.say(Lint::ProtectsNothing, &path, message, None);
            }
        }
    }
}
