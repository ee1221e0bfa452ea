//! What the daemon tells people and programs, and in which words.

use std::cell::RefCell;
use std::sync::Arc;
use std::time::Duration;

use lagan_model::{Clock, Time};
use lagan_notify::{Kind, Message, Outbox, Told};
use lagan_policy::Mode;
use lagan_policy::rollout::Change as Rolled;
use lagan_report::number::count;
use lagan_report::sanitize::harmless;
use serde_json::{Value, json};
use ulid::Ulid;

use crate::daemon::{Cut, Happening, Record, RunKind};
use crate::exit::Exit;
use crate::metrics::{Change, Tally};
use crate::receiving::Receiving;
use crate::rollout::Changed;

/// How long messages may still be on their way when the daemon ends.
const LAST: Duration = Duration::from_secs(5);

/// How much of an error is told, in characters. The log has all of it.
const LONGEST: usize = 500;

/// Tells the receivers of the configuration that holds.
pub(crate) struct Notifying<C> {
    outbox: RefCell<Option<Outbox>>,
    receiving: RefCell<Receiving>,
    clock: Arc<C>,
    told: Arc<dyn Told>,
}

impl<C: Clock + 'static> Notifying<C> {
    /// Nobody is there yet.
    pub(crate) fn new(clock: C, told: Arc<dyn Told>) -> Self {
        Self {
            outbox: RefCell::default(),
            receiving: RefCell::default(),
            clock: Arc::new(clock),
            told,
        }
    }

    /// Tells of what happened, where somebody should know. Never waits.
    pub(crate) fn happened(&self, happening: &Happening, changes: &[Change]) {
        match happening {
            Happening::Receivers(receiving) => {
                *self.receiving.borrow_mut() = receiving.clone();
                self.take();
            }
            Happening::Ended(record) => {
                self.tell(of_run(record));
                for changed in &record.tally.rollouts {
                    self.tell(Some(of_rollout(record, changed)));
                }
            }
            Happening::Refused { why } => self.tell(Some(of_refused(why, self.clock.now()))),
            _ => {}
        }
        for change in changes {
            self.tell(Some(of_change(change, self.clock.now())));
        }
    }

    fn take(&self) {
        let receivers = self.receiving.borrow().receivers();
        let mut outbox = self.outbox.borrow_mut();
        let taken = match outbox.as_mut() {
            Some(outbox) => outbox.reopen(receivers, &self.clock),
            None => {
                let opened = Outbox::open(receivers, &self.clock, Arc::clone(&self.told));
                opened.map(|opened| *outbox = Some(opened))
            }
        };
        if let Err(error) = taken {
            let instead = match *outbox {
                Some(_) => "those before are told as ever",
                None => "nobody is told of anything",
            };
            tracing::error!("the receivers of the configuration cannot be told, {instead}: {error}");
        }
    }

    fn tell(&self, message: Option<Message>) {
        let Some(message) = message else { return };
        if self.receiving.borrow_mut().refresh() {
            self.take();
        }
        if let Some(outbox) = self.outbox.borrow().as_ref() {
            outbox.tell(&message);
        }
    }

    /// Waits a little for what is on its way.
    pub(crate) async fn close(self) {
        if let Some(outbox) = self.outbox.into_inner() {
            outbox.close(self.clock.as_ref(), LAST).await;
        }
    }
}

/// What there is to say of a run; of one that had nothing to do, or was not made, nothing. Of one that was promised and
/// not made there is.
fn of_run(record: &Record) -> Option<Message> {
    if !record.was_made() && record.cut != Some(Cut::TurnedAway) {
        return None;
    }
    let tally = &record.tally;
    let whose = match &*record.registry {
        "" => harmless(&record.policy).into_owned(),
        registry => format!("{} on {}", harmless(&record.policy), harmless(registry)),
    };
    let held = record.held.as_deref().map(|why| format!(" ({})", shown(why)));
    let is_plan = record.mode == Mode::DryRun || record.held.is_some();
    let (kind, likeness, what) = match record.exit {
        Exit::Done | Exit::Changes if is_plan => {
            let planned = planned(tally).filter(|_| would_delete(tally))?;
            let part = tally.pass.as_ref().and_then(|pass| pass.changed.as_ref());
            let part = part.map_or("", |_| " in what changed since the last run");
            let what = format!("would delete {planned}{part}{}", held.unwrap_or_default());
            (Kind::PlanReady, planned, what)
        }
        Exit::Done | Exit::Changes => {
            if tally.deleted + tally.untagged + tally.purged == 0 {
                return None;
            }
            (Kind::RunDone, record.id.clone(), done(tally))
        }
        Exit::Partial => {
            let what = match is_plan {
                true => "planned, and not all of it: the report says what could not be read or is held back"
                    .to_owned(),
                // What was put back is not counted: its report has it.
                false if record.kind == RunKind::Undo => "not all was put back".to_owned(),
                false => format!("not all was done: {}", done(tally)),
            };
            (Kind::RunPartial, what.clone(), what)
        }
        Exit::Refused => {
            let planned = planned(tally).map(|planned| format!(" {planned} were to go."));
            let what = format!(
                "refused by a limit, nothing deleted.{}",
                planned.unwrap_or_default()
            );
            (Kind::RunRefused, String::new(), what)
        }
        Exit::Unexpected | Exit::Usage => {
            let why = record.error.as_deref().map(shown).unwrap_or_default();
            (Kind::RunFailed, why.clone(), format!("failed: {why}"))
        }
    };
    let mut data = json!({
        "run": record.id,
        "registry": record.registry,
        "policy": record.policy,
        "mode": crate::daemon::named_mode(record.mode),
        "outcome": record.outcome(),
        "counts": record.counts(),
    });
    if let (Some(error), Some(data)) = (&record.error, data.as_object_mut()) {
        data.insert("error".to_owned(), shown(error).into());
    }
    Some(Message {
        id: Ulid::new().to_string(),
        kind,
        at: record.ended,
        subject: match record.kind {
            RunKind::Undo => format!("journal/{}", harmless(&record.policy)),
            RunKind::Plan | RunKind::Apply => subject(&record.registry, &record.policy),
        },
        summary: format!("{whose}: {what} (run {})", record.id),
        data,
        likeness,
    })
}

/// What there is to say of a rollout that changed.
fn of_rollout(record: &Record, changed: &Changed) -> Message {
    let policy = harmless(&changed.policy.0);
    let mut data = changed.to_json();
    data["run"] = record.id.as_str().into();
    Message {
        id: Ulid::new().to_string(),
        kind: match changed.change {
            Rolled::Advanced | Rolled::Completed => Kind::RolloutAdvanced,
            Rolled::FellBack => Kind::RolloutFellBack,
        },
        at: record.ended,
        subject: subject(&record.registry, &changed.policy.0),
        summary: format!(
            "{policy} on {}: {} (run {})",
            harmless(&record.registry),
            changed.text(),
            record.id
        ),
        data,
        // Each change is one of its own.
        likeness: record.id.clone(),
    }
}

fn of_refused(why: &str, now: Time) -> Message {
    let why = shown(why);
    Message {
        id: Ulid::new().to_string(),
        kind: Kind::ReloadRefused,
        at: now,
        subject: "configuration".to_owned(),
        summary: format!("The configuration is refused, and the one before stays: {why}"),
        data: json!({ "error": why }),
        likeness: why,
    }
}

fn of_change(change: &Change, now: Time) -> Message {
    let parts = change.score.parts.iter();
    let parts: serde_json::Map<String, Value> = parts
        .map(|part| (part.kind.as_str().to_owned(), part.value.into()))
        .collect();
    let (registry, policy) = (&change.of.0, &change.of.1);
    Message {
        id: Ulid::new().to_string(),
        kind: if change.low {
            Kind::Unhealthy
        } else {
            Kind::Healthy
        },
        at: now,
        subject: subject(registry, policy),
        summary: change.to_string(),
        data: json!({
            "registry": **registry,
            "policy": Some(&**policy).filter(|policy| !policy.is_empty()),
            "score": change.score.value(),
            "parts": parts,
        }),
        // Each change is one of its own; how often there is one is the limit's affair.
        likeness: now.timestamp().to_string(),
    }
}

fn subject(registry: &str, policy: &str) -> String {
    let policy = match policy {
        "" => String::new(),
        policy => format!("/policies/{}", harmless(policy)),
    };
    format!("registries/{}{policy}", harmless(registry))
}

fn would_delete(tally: &Tally) -> bool {
    let planned = tally.planned.as_ref();
    planned.is_some_and(|totals| totals.delete_artifacts + totals.untag > 0)
}

fn planned(tally: &Tally) -> Option<String> {
    let totals = tally.planned.as_ref()?;
    let mut what = vec![count(totals.delete_artifacts, "manifest", "manifests")];
    if totals.untag > 0 {
        what.push(count(totals.untag, "single tag", "single tags"));
    }
    Some(what.join(" and "))
}

fn done(tally: &Tally) -> String {
    let all = [
        (tally.deleted, "deleted"),
        (tally.untagged, "single tags taken off"),
        (tally.purged, "held copies purged"),
        (tally.skipped, "left alone"),
        (tally.failed, "failed or in doubt"),
    ];
    let some = all
        .iter()
        .enumerate()
        .filter(|(at, (number, _))| *at == 0 || *number > 0);
    let some: Vec<_> = some
        .map(|(_, (number, what))| format!("{number} {what}"))
        .collect();
    some.join(", ")
}

/// An error on one line, cut where it is long.
fn shown(text: &str) -> String {
    let lines: Vec<_> = text.trim().lines().map(str::trim).collect();
    let line = harmless(&lines.join("; ")).into_owned();
    match line.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn configurations_know_the_events_that_there_are() {
        let known: BTreeSet<_> = lagan_config::EVENTS.into_iter().collect();
        let told: BTreeSet<_> = Kind::ALL.map(Kind::as_str).into_iter().collect();
        assert_eq!(known, told);
    }

    fn record(exit: Exit, mode: Mode, tally: Tally) -> Record {
        let now: Time = "2026-11-21T12:00:00Z".parse().unwrap();
        Record {
            id: "01RUN".to_owned(),
            kind: RunKind::Apply,
            by: "schedule".to_owned(),
            counted_for: "p".to_owned(),
            policy: "p\u{1b}[2J".to_owned(),
            registry: "r".to_owned(),
            mode,
            began: now,
            ended: now,
            exit,
            error: (exit == Exit::Unexpected).then(|| format!("failed to\nreach {}", "x".repeat(900))),
            held: None,
            cut: None,
            tally,
        }
    }

    #[test]
    fn a_run_that_had_nothing_to_do_is_nothing_to_tell() {
        for mode in [Mode::DryRun, Mode::Enforce] {
            assert_eq!(of_run(&record(Exit::Done, mode, Tally::default())), None);
        }
    }

    #[test]
    fn who_gives_up_or_asks_for_what_cannot_be_is_no_news_to_others() {
        let made = record(Exit::Usage, Mode::Enforce, Tally::default());
        assert!(of_run(&made).is_some(), "a schedule that fails is");
        let asked = Record {
            by: "uid 1".to_owned(),
            ..made
        };
        assert_eq!(of_run(&asked), None);
        let failed = Record {
            exit: Exit::Unexpected,
            ..asked
        };
        assert!(of_run(&failed).is_some());
        for (cut, told) in [
            (Cut::GivenUp, false),
            (Cut::Stopped, true),
            (Cut::TurnedAway, true),
        ] {
            let cut = Record {
                cut: Some(cut),
                ..failed.clone()
            };
            assert_eq!(of_run(&cut).is_some(), told, "{cut:?}");
        }
    }

    #[test]
    fn an_undo_that_is_not_whole_is_told_as_an_undo() {
        let undo = Record {
            kind: RunKind::Undo,
            by: "uid 1".to_owned(),
            policy: "undo of 01X".to_owned(),
            registry: String::new(),
            ..record(Exit::Partial, Mode::Enforce, Tally::default())
        };
        let message = of_run(&undo).unwrap();
        assert_eq!(message.summary, "undo of 01X: not all was put back (run 01RUN)");
        assert_eq!(message.subject, "journal/undo of 01X");
    }

    #[test]
    fn each_end_of_a_run_is_told_as_what_it_is() {
        let tally = Tally {
            planned: Some(lagan_policy::Totals {
                delete_artifacts: 4,
                ..lagan_policy::Totals::new(false)
            }),
            deleted: 3,
            failed: 1,
            ..Tally::default()
        };
        for (exit, mode, kind, summary) in [
            (
                Exit::Done,
                Mode::DryRun,
                Kind::PlanReady,
                "would delete 4 manifests (run 01RUN)",
            ),
            (
                Exit::Done,
                Mode::Enforce,
                Kind::RunDone,
                "3 deleted, 1 failed or in doubt (run 01RUN)",
            ),
            (
                Exit::Partial,
                Mode::Enforce,
                Kind::RunPartial,
                "not all was done: 3 deleted, 1 failed or in doubt (run 01RUN)",
            ),
            (
                Exit::Refused,
                Mode::Enforce,
                Kind::RunRefused,
                "refused by a limit, nothing deleted. 4 manifests were to go. (run 01RUN)",
            ),
        ] {
            let message = of_run(&record(exit, mode, tally.clone())).unwrap();
            assert_eq!(message.kind, kind);
            assert!(message.summary.ends_with(summary), "{}", message.summary);
            assert!(!message.summary.contains('\u{1b}'), "{}", message.summary);
            assert_eq!(message.data["counts"]["deleted"], 3);
        }
        let failed = of_run(&record(Exit::Unexpected, Mode::Enforce, tally)).unwrap();
        assert_eq!(failed.kind, Kind::RunFailed);
        assert!(
            failed.summary.contains("failed to; reach xxx"),
            "{}",
            failed.summary
        );
        assert!(failed.summary.chars().count() < 600);
    }
}
