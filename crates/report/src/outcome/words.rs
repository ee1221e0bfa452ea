//! What formats for people say alike. Everything here is harmless already.

use std::collections::HashMap;

use lagan_model::journal::Role;
use lagan_model::{Digest, RequestKind, Tag};

use super::{CollectionNote, OutcomeEntry, OutcomeFoot, OutcomeHead, OutcomeOf, OutcomeSums, RecoveryNote};
use crate::layout::listed;
use crate::number::{count, grouped};
use crate::pass::PassNote;
use crate::plan::refusal;
use crate::sanitize::{clipped, harmless};
use crate::wording::{moment, registry_kind};

/// How much of a text from outside is shown, in characters.
const SAID: usize = 600;

/// The outcomes that want a look, before those that do not.
const ORDER: [&str; 11] = [
    "failed",
    "in_doubt",
    "conflict",
    "unrecoverable",
    "skipped",
    "deleted",
    "untagged",
    "purged",
    "restored",
    "already_there",
    "mended",
];

/// As a person would say it.
pub(super) fn said(outcome: &'static str) -> &'static str {
    match outcome {
        "in_doubt" => "in doubt",
        "already_there" => "already there",
        other => other,
    }
}

pub(super) fn title(head: &OutcomeHead) -> String {
    let what = match &head.of {
        OutcomeOf::Apply { .. } => "apply",
        OutcomeOf::Undo { dry_run: false, .. } => "undo",
        OutcomeOf::Undo { dry_run: true, .. } => "undo, looked at only",
    };
    match head.run {
        Some(run) => format!("{what} {run}"),
        None => what.to_owned(),
    }
}

/// What the run was, a label and a value each.
pub(super) fn facts(head: &OutcomeHead, foot: &OutcomeFoot) -> Vec<(&'static str, String)> {
    let mut facts = match &head.of {
        OutcomeOf::Apply { plan } => vec![("plan", clipped(plan, 60).into_owned())],
        OutcomeOf::Undo { of, .. } => vec![("of", clipped(of, SAID).into_owned())],
    };
    let registry = &head.registry;
    facts.push((
        "registry",
        format!(
            "{} ({}, {})",
            harmless(registry.name.as_str()),
            clipped(&registry.url, 200),
            registry_kind(registry.kind)
        ),
    ));
    if !head.policies.is_empty() {
        let policies = head.policies.iter().map(|policy| {
            let hash: String = policy.sha256.chars().take(12).collect();
            format!("{} (sha256:{})", harmless(&policy.name), harmless(&hash))
        });
        facts.push(("policies", listed(policies.collect::<Vec<_>>().iter())));
    }
    facts.push(("began", moment(head.began)));
    facts.push(("ended", moment(foot.ended)));
    if let Some(purge) = foot.purge.filter(|purge| head.run != Some(*purge)) {
        facts.push(("purge", format!("{purge}, of held copies whose grace was over")));
    }
    if let Some(undo) = &foot.undo {
        let why = undo.why.as_deref().unwrap_or_default();
        let text = match (undo.possible, undo.until) {
            (true, Some(until)) => format!("possible until {}: {why}", moment(until)),
            (true, None) => format!("possible {why}"),
            (false, _) => format!("NOT POSSIBLE: {why}"),
        };
        facts.push(("undo", clipped(&text, SAID).into_owned()));
    }
    facts
}

/// The sums, the worst first.
pub(super) fn sums(head: &OutcomeHead, sums: &OutcomeSums) -> Vec<(&'static str, u64)> {
    let known = ORDER.iter().filter_map(|word| {
        let count = sums.of(word);
        (count > 0).then_some((said(word), count))
    });
    let mut lines: Vec<_> = known.collect();
    if sums.mended > 0 {
        lines.push(("put back", sums.mended));
    }
    if lines.is_empty() {
        let nothing = match head.of {
            OutcomeOf::Apply { .. } => "deleted",
            OutcomeOf::Undo { .. } => "restored",
        };
        lines.push((nothing, 0));
    }
    lines
}

/// What must not be missed.
pub(super) fn warnings(head: &OutcomeHead, foot: &OutcomeFoot, sums: &OutcomeSums) -> Vec<String> {
    let mut lines = Vec::new();
    if let Some(failure) = &foot.failure {
        lines.push(format!("the run ended early: {}", clipped(failure, SAID)));
    }
    if foot.stopped {
        let rest = match head.of {
            OutcomeOf::Apply { .. } => "",
            OutcomeOf::Undo { .. } => {
                ". What it had not come to counts as failed, although nothing was tried: the same undo again goes on with it"
            }
        };
        lines.push(format!(
            "the run was asked to stop before its end; what it had begun is finished{rest}"
        ));
    }
    if sums.of("in_doubt") > 0 {
        lines.push(
            "what is in doubt was sent, and its answer was lost: it may still happen, for ten minutes at the most \
             that registries are known for; the next run looks again"
                .to_owned(),
        );
    }
    if sums.of("unrecoverable") > 0 {
        lines.push(
            "what is unrecoverable comes back only when somebody pushes it again, unless its line names a run to undo; \
             with a grace in the policy, what is deleted outlives a collection of garbage for that time"
                .to_owned(),
        );
    }
    if sums.mended > 0 && matches!(head.of, OutcomeOf::Apply { .. }) {
        lines.push(format!(
            "{} put back, because something that was pushed meanwhile needs them",
            count(sums.mended, "manifest was", "manifests were")
        ));
    }
    lines.extend(foot.pass.iter().map(PassNote::warning));
    if foot.incomplete > 0 {
        lines.push(format!(
            "{} could not be read whole, and nothing was deleted there",
            count(foot.incomplete, "repository", "repositories")
        ));
    }
    if foot.copies_waiting > 0 {
        lines.push(format!(
            "{} whose grace is over for the next run: one purges so many at most",
            count(foot.copies_waiting, "held copy waits", "held copies wait")
        ));
    }
    let held = foot.guards.iter().filter(|guard| guard.refuses);
    lines.extend(held.map(|guard| {
        let what = match guard.repository {
            None => "refused",
            Some(_) => "held back",
        };
        format!("{what} by {}: {}", guard.limit.as_str(), refusal(guard))
    }));
    lines.extend(foot.collection.as_ref().map(collection));
    lines.extend(foot.collected.warning());
    lines.extend(recovery(&foot.recovery));
    lines
}

/// What became of the collection of garbage that was to follow.
fn collection(note: &CollectionNote) -> String {
    let which = note.id.map_or_else(String::new, |id| format!(" {id}"));
    let also = match note.delete_untagged {
        true => ", and takes what has no tag as well",
        false => "",
    };
    let why = clipped(note.why.as_deref().unwrap_or_default(), SAID);
    match note.outcome {
        "started" => {
            let status = note.status.as_deref().map_or_else(String::new, |status| {
                format!(" is {}", clipped(status, 40).to_lowercase())
            });
            format!(
                "collection{which}{status}{also}: what was deleted until now, by this run or before it, cannot be brought \
                 back unless it is held"
            )
        }
        "in_doubt" => format!("whether a collection of garbage has started is not known: {why}"),
        _ => format!("no collection of garbage was started: {why}"),
    }
}

/// What earlier runs left open.
fn recovery(note: &RecoveryNote) -> Vec<String> {
    let mut lines = Vec::new();
    if !note.settled.is_empty() {
        let words: Vec<_> = note
            .settled
            .iter()
            .map(|(word, count)| format!("{} {}", grouped(*count), said(word)))
            .collect();
        lines.push(format!(
            "an earlier run was interrupted; of what it left open, the registry shows: {}",
            words.join(", ")
        ));
    }
    if note.mended > 0 {
        let what = count(note.mended, "manifest", "manifests");
        lines.push(format!(
            "{what} of an earlier run put back, because something new needs them"
        ));
    }
    for doubt in &note.in_doubt {
        let until = doubt
            .until
            .map_or_else(|| "the registry can be asked".to_owned(), moment);
        lines.push(format!(
            "a deletion of {}@{} by {} may still happen, and it was left out: look again when {until}",
            doubt.repository,
            doubt.digest.short(),
            doubt.run
        ));
    }
    lines.extend(
        note.problems
            .iter()
            .map(|problem| clipped(problem, SAID).into_owned()),
    );
    lines
}

/// What can be done next.
pub(super) fn next(head: &OutcomeHead, foot: &OutcomeFoot, sums: &OutcomeSums) -> Option<String> {
    let run = head.run?;
    if foot.undo.as_ref().is_some_and(|undo| !undo.possible) {
        return None;
    }
    match &head.of {
        OutcomeOf::Apply { .. } if sums.of("deleted") + sums.of("untagged") > 0 => {
            Some(format!("lagan undo {run}"))
        }
        _ => None,
    }
}

pub(super) fn requests(foot: &OutcomeFoot) -> String {
    let requests: Vec<_> = RequestKind::ALL
        .into_iter()
        .filter(|kind| foot.requests.of(*kind) > 0)
        .map(|kind| format!("{} {}", grouped(foot.requests.of(kind)), kind.as_str()))
        .collect();
    let total = grouped(foot.requests.total);
    match requests.is_empty() {
        true => total,
        false => format!("{total}: {}", requests.join(", ")),
    }
}

/// What a row says beside its outcome.
pub(super) fn notes(entry: &OutcomeEntry) -> Vec<String> {
    let held = entry.held.as_ref().map(|held| {
        let until = moment(held.until);
        format!("held in {}, can be undone until {until}", held.repository)
    });
    held.into_iter().chain(own_notes(entry)).collect()
}

/// The same without what it shares with what went along.
fn own_notes(entry: &OutcomeEntry) -> Vec<String> {
    let mut notes = Vec::new();
    notes.extend(
        entry
            .detail
            .as_deref()
            .map(|detail| clipped(detail, SAID).into_owned()),
    );
    notes.extend(
        entry
            .conflicts
            .iter()
            .map(|(tag, digest)| format!("{tag} is on {} by now, and was left there", digest.short())),
    );
    if !entry.lacks.is_empty() {
        let digests: Vec<_> = entry
            .lacks
            .iter()
            .map(|digest| digest.short().to_string())
            .collect();
        notes.push(format!(
            "it lists {}, which the registry does not have and the journal does not know",
            listed(digests.iter())
        ));
    }
    notes
}

/// The tags, or what stands in their place.
pub(super) fn tags(entry: &OutcomeEntry, name: impl Fn(&Tag) -> String) -> String {
    if entry.tags.is_empty() {
        return match entry.role {
            Role::Artifact => "(untagged)",
            Role::Child => "(child)",
            Role::Attachment => "(attachment)",
        }
        .to_owned();
    }
    let names: Vec<_> = entry.tags.iter().map(name).collect();
    listed(names.iter())
}

pub(super) fn role(role: Role) -> &'static str {
    match role {
        Role::Artifact => "",
        Role::Child => "child",
        Role::Attachment => "attachment",
    }
}

/// The entries that a reader wants one by one, and how many of the children and attachments of each went its way: those
/// are told with it, wherever they stand.
pub(super) fn folded(entries: &[OutcomeEntry]) -> Vec<(&OutcomeEntry, u64)> {
    let artifacts = entries.iter().enumerate();
    let artifacts: HashMap<(&Digest, &str), usize> = artifacts
        .filter(|(_, entry)| entry.role == Role::Artifact)
        .map(|(position, entry)| ((&entry.digest, entry.outcome), position))
        .collect();
    let with: Vec<Option<usize>> = entries
        .iter()
        .map(|entry| {
            let plain = entry.role != Role::Artifact && own_notes(entry).is_empty();
            let artifact = entry.belongs_to.as_ref().filter(|_| plain)?;
            artifacts.get(&(artifact, entry.outcome)).copied()
        })
        .collect();
    let mut more: HashMap<usize, u64> = HashMap::new();
    for artifact in with.iter().flatten() {
        *more.entry(*artifact).or_default() += 1;
    }
    let rows = entries.iter().enumerate().zip(&with);
    rows.filter(|(_, with)| with.is_none())
        .map(|((position, entry), _)| (entry, more.get(&position).copied().unwrap_or_default()))
        .collect()
}

/// `with 2 children and attachments`.
pub(super) fn along(more: u64) -> Option<String> {
    (more > 0).then(|| {
        format!(
            "with {}",
            count(more, "child or attachment", "children and attachments")
        )
    })
}
