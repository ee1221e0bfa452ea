//! The words of what is said of a whole plan: sums, undo, warnings, limits. Formats for people say the same.
//!
//! Everything here is harmless already.

use lagan_model::{Capability, RequestKind};
use lagan_policy::{Guard, GuardReport, Totals};

use super::seen::{Seen, Undoable};
use super::{ClockNote, PlanFoot, PlanHead};
use crate::number::{count, grouped, mebibytes};
use crate::pass::PassNote;
use crate::sanitize::clipped;
use crate::wording::moment;

/// Whether a line only tells, or must not be missed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Weight {
    Plain,
    Warning,
}

/// The sums, a label and a value each.
pub(super) fn totals(head: &PlanHead, totals: &Totals, seen: &Seen) -> Vec<(&'static str, String)> {
    let mut repositories = grouped(totals.repositories);
    if totals.repositories == 0 && head.pass.is_some() {
        repositories.push_str(": none has changed");
    } else if totals.repositories == 0 {
        repositories.push_str(": no policy names any");
    } else if seen.quiet > 0 {
        repositories.push_str(&format!(", nothing to do in {}", grouped(seen.quiet)));
    }
    let manifests = count(totals.delete_artifacts, "manifest", "manifests");
    let mut lines = vec![
        ("repositories", repositories),
        ("tags", grouped(totals.tags)),
        (
            "delete",
            format!("{} with {manifests}", count(totals.delete_tags, "tag", "tags")),
        ),
        ("untag", count(totals.untag, "tag", "tags")),
        ("keep", count(totals.kept_tags, "tag", "tags")),
    ];
    if totals.waiting > 0 {
        let mut text = count(totals.waiting, "of these waits", "of these wait");
        text.push_str(" for a notice");
        if let Some(first) = seen.waits_until {
            text.push_str(&format!(", the first until {}", moment(first)));
        }
        lines.push(("waiting", text));
    }
    if totals.not_rolled_out > 0 {
        let mut text = count(totals.not_rolled_out, "of these is", "of these are");
        text.push_str(" not carried out yet: the rollout of a policy does not take their repositories");
        lines.push(("rollout", text));
    }
    if totals.delete_unread > 0 {
        let unread = count(totals.delete_unread, "manifest was", "manifests were");
        lines.push((
            "not read",
            format!("{unread} only seen in an index or a list of referrers; --exact reads them, and can only keep more"),
        ));
    }
    if let Some(bytes) = totals.bytes_reclaimable {
        lines.push((
            "reclaimable",
            format!("{} once the registry collects its garbage", mebibytes(bytes)),
        ));
    }
    lines
}

/// What can be brought back, and what cannot.
pub(super) fn undo(seen: &Seen) -> Vec<(Weight, &'static str, String)> {
    let mut lines = Vec::new();
    let notes = |side: &Undoable| {
        let notes: Vec<_> = side.notes.iter().map(|note| clipped(note, 200)).collect();
        if notes.is_empty() {
            String::new()
        } else {
            format!(": {}", notes.join("; "))
        }
    };
    let manifests = |number| count(number, "manifest", "manifests");
    if seen.undoable.manifests > 0 {
        let mut text = format!("{} can be brought back", manifests(seen.undoable.manifests));
        if let Some(until) = seen.undoable.earliest {
            text.push_str(&format!(", the first only until {}", moment(until)));
        }
        lines.push((Weight::Plain, "undo", text + &notes(&seen.undoable)));
    }
    if seen.lost.manifests > 0 {
        let text = format!("{} CANNOT be brought back", manifests(seen.lost.manifests));
        lines.push((Weight::Warning, "no undo", text + &notes(&seen.lost)));
    }
    lines
}

/// What the plan took from the registry.
pub(super) fn requests(foot: &PlanFoot) -> String {
    let requests: Vec<_> = RequestKind::ALL
        .into_iter()
        .filter(|kind| foot.requests.of(*kind) > 0)
        .map(|kind| format!("{} {}", grouped(foot.requests.of(kind)), kind.as_str()))
        .collect();
    let total = grouped(foot.requests.total);
    if requests.is_empty() {
        total
    } else {
        format!("{total}: {}", requests.join(", "))
    }
}

/// Clocks that are not known, what the registry does not delete, and repositories that could not be read.
pub(super) fn warnings(head: &PlanHead, seen: &Seen) -> Vec<String> {
    let mut lines: Vec<_> = head.pass.iter().map(PassNote::warning).collect();
    let clocks = head.clocks.iter().filter(|note| !note.known);
    lines.extend(clocks.map(unknown_clock));
    lines.extend(deletion(head, seen));
    if seen.incomplete > 0 {
        let mut text = count(seen.incomplete, "repository", "repositories");
        text.push_str(" could not be read, nothing is decided there: ");
        let names: Vec<_> = seen.incomplete_names.iter().map(ToString::to_string).collect();
        text.push_str(&names.join(", "));
        let more = seen.incomplete - names.len() as u64;
        if more > 0 {
            text.push_str(&format!(
                " and {} more, all marked INCOMPLETE above",
                grouped(more)
            ));
        }
        lines.push(text);
    }
    lines
}

/// What stays, or could not be done, for what the registry deletes or is not known to delete.
fn deletion(head: &PlanHead, seen: &Seen) -> Vec<String> {
    let mut lines = Vec::new();
    if seen.shared > 0 {
        let mut text = count(seen.shared, "tag stays", "tags stay");
        text.push_str(" only for sharing a digest with a kept tag: ");
        text.push_str(match (head.capabilities.delete_tag, head.probed) {
            (Capability::NotOffered, _) => "this registry does not delete single tags",
            (_, true) => "the registry was asked whether it deletes single tags, and did not say",
            (_, false) => "whether this registry deletes single tags is not known; --probe asks it",
        });
        lines.push(text);
    }
    if seen.deletes && head.capabilities.delete_manifest == Capability::NotOffered {
        lines.push(
            "this registry does not delete manifests: what is to be deleted here would be refused".to_owned(),
        );
    }
    lines
}

fn unknown_clock(note: &ClockNote) -> String {
    let why = note
        .why
        .as_deref()
        .map(|why| format!(" ({})", clipped(why, 200)))
        .unwrap_or_default();
    format!(
        "{} times are not known{why}: rules that read them keep all that they select",
        note.clock
    )
}

/// The limits that refuse, and what that means.
pub(super) struct Refusals<'a> {
    pub(super) title: &'static str,
    pub(super) reports: Vec<&'a GuardReport>,
    /// What can be done, once for each limit.
    pub(super) advice: Vec<(Guard, &'static str)>,
}

/// `None` where no limit refuses anything.
pub(super) fn refusals(guards: &[GuardReport]) -> Option<Refusals<'_>> {
    let reports: Vec<_> = guards.iter().filter(|report| report.refuses).collect();
    if reports.is_empty() {
        return None;
    }
    let title = if reports.iter().any(|report| report.repository.is_none()) {
        "Refused by a limit: nothing of this plan would be deleted"
    } else {
        "Held back by a limit: nothing would be deleted in these repositories"
    };
    let mut advised = Vec::new();
    for report in &reports {
        if !advised.iter().any(|(limit, _)| *limit == report.limit) {
            advised.push((report.limit, advice(report.limit)));
        }
    }
    Some(Refusals {
        title,
        reports,
        advice: advised,
    })
}

/// A refusal with its numbers.
#[must_use]
pub fn refusal(report: &GuardReport) -> String {
    let (wanted, allowed) = (grouped(report.wanted), grouped(report.allowed));
    let place = report
        .repository
        .as_ref()
        .map_or("the plan", |name| name.as_str());
    match report.limit {
        Guard::MaxDeletions => {
            format!("{place} would delete {wanted} manifests and single tags, {allowed} are allowed")
        }
        Guard::MaxPercentPerRepository => {
            format!("{place} would lose {wanted}% of its tagged artifacts, {allowed}% is allowed")
        }
        Guard::KeepAtLeast => {
            let artifacts = count(report.wanted, "tagged artifact", "tagged artifacts");
            format!("{place} would be left with {artifacts}, at least {allowed} must stay")
        }
        Guard::MaxChangeFromLastRun => format!(
            "{place} would delete {wanted} manifests and single tags, {allowed} are allowed after what the last \
             runs did"
        ),
    }
}

/// What can be done about a limit.
#[must_use]
pub fn advice(limit: Guard) -> &'static str {
    match limit {
        Guard::MaxDeletions => {
            "if so much is meant to go, raise it under the policy's `limits`; if not, narrow what its \
             rules select, or plan fewer repositories at a time"
        }
        Guard::MaxPercentPerRepository => {
            "if so much is meant to go, raise it under the policy's `limits`; if not, keep \
             more, or exclude these repositories"
        }
        Guard::MaxChangeFromLastRun => {
            "if so much more than before is meant to go, raise it under the policy's `limits`; if not, look at what \
             changed in the policies or in the registry"
        }
        Guard::KeepAtLeast => {
            "if so little is meant to stay, lower it under the policy's `limits`; if not, keep more, or \
             exclude these repositories"
        }
    }
}
