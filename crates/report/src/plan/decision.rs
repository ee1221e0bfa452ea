//! The words of what is said of one repository and of one decision in it. Formats for people say the same.
//!
//! Everything here is harmless already.

use lagan_policy::{Action, Dependent, Reason, RepositoryPlan, Undo, Waiting};

use crate::number::{count, grouped};
use crate::sanitize::{clipped, harmless};
use crate::wording::{Understood, moment, phrase_of_rollout, phrase_within, rule_name};

/// Error texts come from a registry, and may be a whole page of HTML.
const WHY: usize = 600;

/// How many tags go and stay.
pub(super) fn summary(plan: &RepositoryPlan) -> String {
    let tags = count(plan.tags_total, "tag", "tags");
    if !plan.complete {
        return format!("{tags} seen");
    }
    let (mut manifests, mut deleted, mut untagged) = (0, 0, 0);
    for action in &plan.actions {
        manifests += action.manifests();
        match action {
            Action::Delete { .. } => deleted += action.tags(),
            Action::Untag { .. } => untagged += action.tags(),
        }
    }
    let mut parts = Vec::new();
    if manifests > 0 {
        let manifests = count(manifests, "manifest", "manifests");
        parts.push(format!("{} deleted with {manifests}", grouped(deleted)));
    }
    if untagged > 0 {
        parts.push(format!("{} untagged", grouped(untagged)));
    }
    let stay = plan.tags_total.saturating_sub(deleted + untagged);
    parts.push(if parts.is_empty() {
        "all kept".to_owned()
    } else {
        format!("{} kept", grouped(stay))
    });
    format!("{tags}: {}", parts.join(", "))
}

/// Why nothing is decided, where that is so.
pub(super) fn incomplete(plan: &RepositoryPlan) -> Option<String> {
    let why = plan
        .incomplete
        .as_ref()
        .map(|incomplete| clipped(&incomplete.why, WHY));
    (!plan.complete).then(|| format!("nothing is decided, every tag stays: {}", why.unwrap_or_default()))
}

/// Whether it is its turn, where a policy is rolled out in stages.
pub(super) fn rollout(plan: &RepositoryPlan) -> Option<String> {
    plan.rollout.as_ref().map(phrase_of_rollout)
}

/// The policies that name it, and the rule, if only one deletes.
pub(super) fn policies(plan: &RepositoryPlan, understood: Understood<'_>) -> String {
    let names: Vec<_> = plan.policies.iter().map(|name| harmless(&name.0)).collect();
    let rule = understood
        .rule
        .map(|rule| format!(": {}", rule_name(rule, understood.policy)))
        .unwrap_or_default();
    format!(
        "{} {}{rule}",
        if names.len() == 1 { "policy" } else { "policies" },
        names.join(", ")
    )
}

/// An action, and what it waits for.
pub(super) type Step<'a> = (&'a Action, Option<&'a Waiting>);

/// All that is said of an action: its reasons, what goes with it, whether it can be undone, whether it waits.
pub(super) fn notes((action, waiting): Step<'_>, understood: Understood<'_>) -> Vec<String> {
    let mut notes: Vec<_> = action
        .reasons()
        .iter()
        .map(|reason| phrase_within(reason, understood))
        .collect();
    if let Action::Delete {
        children,
        attachments,
        undo,
        ..
    } = action
    {
        notes.extend(dependents(children, attachments));
        notes.extend(undo_note(undo));
    }
    notes.extend(waiting.map(waits));
    notes
}

fn waits(waiting: &Waiting) -> String {
    match waiting.announced {
        Some(since) => format!(
            "WAITS until {}: announced on {}",
            moment(waiting.until),
            moment(since)
        ),
        None => format!(
            "WAITS: not announced yet; until {} if it is now",
            moment(waiting.until)
        ),
    }
}

/// Reasons that would have deleted a kept tag are told apart from those that keep it.
pub(super) fn kept_phrase(reason: &Reason, understood: Understood<'_>) -> String {
    let phrase = phrase_within(reason, understood);
    if reason.keeps() {
        phrase
    } else {
        format!("else deleted: {phrase}")
    }
}

fn dependents(children: &[Dependent], attachments: &[Dependent]) -> Option<String> {
    let mut parts = Vec::new();
    if !children.is_empty() {
        parts.push(count(children.len() as u64, "child", "children"));
    }
    if !attachments.is_empty() {
        parts.push(count(attachments.len() as u64, "attachment", "attachments"));
    }
    if parts.is_empty() {
        return None;
    }
    let tags: Vec<_> = children
        .iter()
        .chain(attachments)
        .flat_map(|dependent| &dependent.tags)
        .collect();
    let with = format!("with {}", parts.join(" and "));
    Some(match tags.len() as u64 {
        0 => with,
        tags => {
            let have = if children.len() + attachments.len() == 1 {
                "has"
            } else {
                "have"
            };
            format!("{with}, which {have} {}", count(tags, "tag", "tags"))
        }
    })
}

/// Said where it differs from the rule, which the foot tells.
fn undo_note(undo: &Undo) -> Option<String> {
    let why = undo
        .why
        .as_deref()
        .map(|why| clipped(why, WHY))
        .unwrap_or_default();
    match (undo.possible, undo.until) {
        (true, None) => None,
        (true, Some(until)) => Some(format!("can be undone until {}", moment(until))),
        (false, _) if why.is_empty() => Some("CANNOT BE UNDONE".to_owned()),
        (false, _) => Some(format!("CANNOT BE UNDONE: {why}")),
    }
}
