//! What all forms of a comparison say, and the choice between them.

use std::io::{self, Write};

use lagan_policy::Totals;
use serde::Serialize;

use super::{Change, ChangeTotals, Decided, Presence, RepositoryChange, TagChange, json, markdown, text};
use crate::explain::Verdict;
use crate::number::{count, grouped, mebibytes};
use crate::paint::Paint;
use crate::plan::PlanHead;
use crate::sanitize::{clipped, harmless};
use crate::saved::SavedHead;
use crate::wording::{moment, phrase};

/// The forms of a comparison.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CompareFormat {
    /// For people.
    Text,
    /// One document, `lagan.compare/v1`.
    Json,
    /// For a pull request.
    Markdown,
}

/// The two plans, and how much changed between them.
#[derive(Debug)]
pub struct Compared<'a> {
    /// The older plan.
    pub old: &'a SavedHead,
    /// The newer one.
    pub new: &'a PlanHead,
    /// The sums of the older.
    pub old_totals: &'a Totals,
    /// The sums of the newer.
    pub new_totals: &'a Totals,
    /// How much changed.
    pub changes: ChangeTotals,
}

/// Writes a comparison: first each [change](Self::change), to where it can wait; then the [head](Self::head), which
/// belongs in front, and the [foot](Self::foot).
#[derive(Debug)]
pub struct CompareWriter {
    format: CompareFormat,
    paint: Paint,
    any: bool,
}

impl CompareWriter {
    /// A writer for one comparison; only text is ever coloured.
    #[must_use]
    pub fn new(format: CompareFormat, colour: bool) -> Self {
        Self {
            format,
            paint: Paint { colour },
            any: false,
        }
    }

    /// Writes what changed in a repository.
    ///
    /// # Errors
    ///
    /// Where the writer fails.
    pub fn change(&mut self, out: &mut dyn Write, change: &RepositoryChange) -> io::Result<()> {
        let first = !std::mem::replace(&mut self.any, true);
        match self.format {
            CompareFormat::Text => text::change(out, self.paint, change),
            CompareFormat::Json => json::change(out, change, first),
            CompareFormat::Markdown => markdown::change(out, change),
        }
    }

    /// Writes what belongs in front.
    ///
    /// # Errors
    ///
    /// Where the writer fails.
    pub fn head(&self, out: &mut dyn Write, compared: &Compared<'_>) -> io::Result<()> {
        match self.format {
            CompareFormat::Text => text::head(out, self.paint, compared),
            CompareFormat::Json => json::head(out, compared),
            CompareFormat::Markdown => markdown::head(out, compared),
        }
    }

    /// Writes what belongs behind.
    ///
    /// # Errors
    ///
    /// Where the writer fails.
    pub fn foot(&self, out: &mut dyn Write, compared: &Compared<'_>) -> io::Result<()> {
        match self.format {
            CompareFormat::Text => text::foot(out, self.paint, compared),
            CompareFormat::Json => json::foot(out, compared),
            CompareFormat::Markdown => Ok(()),
        }
    }
}

/// A policy that is not in both plans as it is.
#[derive(Debug, Serialize)]
pub(super) struct PolicyChange {
    pub(super) name: String,
    pub(super) change: &'static str,
}

pub(super) fn policies(compared: &Compared<'_>) -> Vec<PolicyChange> {
    let (old, new) = (&compared.old.policies, &compared.new.policies);
    let change = |name: &lagan_policy::PolicyName, change| PolicyChange {
        name: name.to_string(),
        change,
    };
    let mut changes = Vec::new();
    for policy in new {
        match old.iter().find(|was| was.name == policy.name) {
            None => changes.push(change(&policy.name, "new")),
            Some(was) if was.sha256 != policy.sha256 => changes.push(change(&policy.name, "changed")),
            Some(_) => {}
        }
    }
    for policy in old {
        if !new.iter().any(|now| now.name == policy.name) {
            changes.push(change(&policy.name, "gone"));
        }
    }
    changes
}

/// What is compared, a label and a value each. Harmless.
pub(super) fn facts(compared: &Compared<'_>) -> Vec<(&'static str, String)> {
    let plan = |id: &str, now| format!("{} as of {}", harmless(id), moment(now));
    let mut facts = vec![
        ("older", plan(&compared.old.id, compared.old.now)),
        ("newer", plan(&compared.new.id, compared.new.now)),
    ];
    if compared.old.registry.url != compared.new.registry.url {
        let url = |url: &str| clipped(url, 200).into_owned();
        facts.push((
            "registry",
            format!(
                "NOT THE SAME: {} and {}",
                url(&compared.old.registry.url),
                url(&compared.new.registry.url)
            ),
        ));
    }
    let policies: Vec<_> = policies(compared)
        .iter()
        .map(|policy| format!("{} {}", harmless(&policy.name), policy.change))
        .collect();
    let policies = if policies.is_empty() {
        "the same".to_owned()
    } else {
        policies.join(", ")
    };
    facts.push(("policies", policies));
    facts
}

/// How much changed, a label and a value each.
pub(super) fn sums(compared: &Compared<'_>) -> Vec<(&'static str, String)> {
    let changes = &compared.changes;
    let repositories = format!(
        "{} changed, {} new, {} gone or out of scope",
        grouped(changes.repositories_changed),
        grouped(changes.repositories_new),
        grouped(changes.repositories_gone)
    );
    let (old, new) = (compared.old_totals, compared.new_totals);
    let from_to = |old: u64, new: u64| format!("{} before, {} now", grouped(old), grouped(new));
    let mut sums = vec![
        ("newly deleted", count(changes.newly_deleted, "tag", "tags")),
        ("no longer", count(changes.no_longer_deleted, "tag", "tags")),
        ("other reasons", count(changes.other_reasons, "tag", "tags")),
        ("gone", count(changes.gone, "tag", "tags")),
        ("new, kept", count(changes.new_kept, "tag", "tags")),
        ("repositories", repositories),
        ("tags", from_to(old.tags, new.tags)),
        ("delete", from_to(old.delete_tags, new.delete_tags)),
        ("untag", from_to(old.untag, new.untag)),
        ("keep", from_to(old.kept_tags, new.kept_tags)),
    ];
    if let (Some(old), Some(new)) = (old.bytes_reclaimable, new.bytes_reclaimable) {
        let text = format!("{} before, {} now", mebibytes(old), mebibytes(new));
        sums.push(("reclaimable", text));
    }
    sums
}

/// What changed in a repository, in a few words. Harmless.
pub(super) fn summary(change: &RepositoryChange) -> String {
    let mut parts = Vec::new();
    match change.change {
        Presence::New => parts.push("new".to_owned()),
        Presence::Gone => parts.push("gone, or out of scope".to_owned()),
        Presence::Changed => {}
    }
    match (&change.incomplete_before, &change.incomplete) {
        (_, Some(incomplete)) => parts.push(format!(
            "could not be read, so its tags are not compared: {}",
            clipped(&incomplete.why, 600)
        )),
        (Some(_), None) => parts.push("could not be read before".to_owned()),
        (None, None) => {}
    }
    let of = |what| change.tags.iter().filter(|tag| tag.change == what).count() as u64;
    for (what, words) in [
        (Change::NewlyDeleted, "newly deleted"),
        (Change::NoLongerDeleted, "no longer deleted"),
        (Change::OtherReasons, "for other reasons"),
        (Change::Gone, "gone"),
    ] {
        let tags = of(what);
        if tags > 0 {
            parts.push(format!("{} {words}", count(tags, "tag", "tags")));
        }
    }
    if change.new_kept > 0 {
        parts.push(format!("{} new and kept", count(change.new_kept, "tag", "tags")));
    }
    parts.join(", ")
}

/// What happens to a tag now, in a word.
pub(super) fn action(tag: &TagChange) -> &'static str {
    match (tag.change, tag.now.as_ref().map(|now| now.verdict)) {
        (Change::Gone, _) | (_, None) => "gone",
        (_, Some(Verdict::Kept)) => "keep",
        (_, Some(Verdict::Deleted)) => "delete",
        (_, Some(Verdict::Untagged)) => "untag",
    }
}

/// What was decided, and what is. Harmless.
pub(super) fn notes(tag: &TagChange) -> Vec<String> {
    let mut notes = Vec::new();
    if let Some(now) = &tag.now {
        notes.push(format!("now {}", decided(now)));
    }
    notes.push(match &tag.before {
        None => "before: not there".to_owned(),
        Some(was) => format!("before {}", decided(was)),
    });
    if let (Some(was), Some(now)) = (&tag.before, &tag.now)
        && let (Some(from), Some(to)) = (&was.digest, &now.digest)
        && from != to
    {
        notes.push(format!("moved from {} to {}", from.short(), to.short()));
    }
    notes
}

fn decided(decided: &Decided) -> String {
    let verdict = match decided.verdict {
        Verdict::Kept => "kept",
        Verdict::Deleted => "deleted",
        Verdict::Untagged => "untagged",
    };
    let reasons: Vec<_> = decided.reasons.iter().map(phrase).collect();
    format!("{verdict}: {}", reasons.join("; "))
}
