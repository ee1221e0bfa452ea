//! How the daemon does, in numbers: metrics for Prometheus, and how healthy registries and policies are.
//!
//! The daemon tells of what happens, a run of what it does, the registry's client of every request. Nothing here waits,
//! writes, or asks anybody; [`Metrics::render`] is all that leaves.

mod catalogue;
mod families;
mod health;
mod labels;
mod observing;

#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::sync::{Mutex, MutexGuard, PoisonError};

use lagan_config::Config;
use lagan_health::Score;
use lagan_model::Time;
use lagan_model::journal::Purpose;
use lagan_notify::{Delivery, Kind, Told};
use lagan_policy::Mode;
use lagan_state::{DiskJournal, RunSummary};

use self::families::Families;
pub(crate) use self::health::Change;
use self::health::Health;
use self::labels::{Name, OfHint, OfMessage, OfName, OfPart, OfPolicy, OfRegistry, OfRun, Outcome};
pub(crate) use self::observing::{Observing, Tally};
use crate::daemon::{Cut, Happening, Lasts, Record};
use crate::rollout::Known;

/// What is counted and measured in this process.
pub(crate) struct Metrics {
    families: Families,
    health: Mutex<Health>,
    now: Box<dyn Fn() -> Time + Send + Sync>,
}

/// How well a registry does, or one policy on it.
pub(crate) struct Scored {
    pub(crate) registry: String,
    pub(crate) policy: Option<String>,
    pub(crate) score: Score,
    /// Whether somebody should look.
    pub(crate) is_low: bool,
}

impl std::fmt::Debug for Metrics {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Metrics").finish_non_exhaustive()
    }
}

impl Metrics {
    /// Nothing has been counted; this is the clock.
    pub(crate) fn new(now: impl Fn() -> Time + Send + Sync + 'static) -> Self {
        Self {
            families: Families::new(),
            health: Mutex::default(),
            now: Box::new(now),
        }
    }

    /// Everything as OpenMetrics text, as of now.
    pub(crate) fn render(&self) -> String {
        self.refresh();
        self.families.text()
    }

    /// A configuration holds. What is not in it any more has no gauges left.
    pub(crate) fn configured(&self, config: &Config) {
        let mut known = BTreeSet::new();
        let (mut enforced, mut dry) = (0, 0);
        for registry in &config.registries {
            let name: Name = registry.name.to_string().into();
            known.insert((name.clone(), Name::from("")));
            for policy in &registry.policies.policies {
                known.insert((name.clone(), policy.name.to_string().into()));
                if registry.schedules.contains_key(&policy.name) {
                    match policy.mode {
                        Mode::Enforce => enforced += 1,
                        Mode::DryRun => dry += 1,
                    }
                }
            }
        }
        let families = &self.families;
        for (mode, policies) in [(Mode::Enforce, enforced), (Mode::DryRun, dry)] {
            let mode = labels::Mode {
                mode: crate::daemon::named_mode(mode),
            };
            families.policies.get_or_create(&mode).set(policies);
        }
        let gone = self.health().take(&config.health, known);
        for (registry, policy) in gone {
            if policy.is_empty() {
                let registry = registry.clone();
                families.window.remove(&OfRegistry { registry });
            }
            let of = OfPolicy { registry, policy };
            families.last_run.remove(&of);
            families.last_success.remove(&of);
            families.last_full.remove(&of);
            families.last_duration.remove(&of);
            families.planned.remove(&of);
            families.incomplete.remove(&of);
            families.undoable_until.remove(&of);
        }
    }

    /// These were the last runs of a policy before this process.
    pub(crate) fn remember(&self, lasts: &Lasts<'_>) {
        let families = &self.families;
        let of = of(lasts.registry, lasts.policy);
        if let Some((ended, took)) = lasts.run {
            families.last_run.get_or_create(&of).set(ended.timestamp());
            if let Some(took) = took {
                families.last_duration.get_or_create(&of).set(took.as_secs_f64());
            }
        }
        if let Some(ended) = lasts.success {
            families.last_success.get_or_create(&of).set(ended.timestamp());
        }
        if let Some(ended) = lasts.full {
            families.last_full.get_or_create(&of).set(ended.timestamp());
        }
    }

    /// When policies are due, by registry and name.
    pub(crate) fn scheduled<'a>(&self, due: impl IntoIterator<Item = (&'a str, &'a str, Time)>) {
        self.families.next_run.clear();
        for (registry, policy, due) in due {
            let of = of(registry, policy);
            self.families.next_run.get_or_create(&of).set(due.timestamp());
        }
    }

    /// So many runs are made now.
    pub(crate) fn in_hand(&self, runs: usize) {
        self.families.in_hand.set(i64::try_from(runs).unwrap_or(i64::MAX));
    }

    /// Where the rollouts of the configuration stand.
    pub(crate) fn rollouts(&self, known: &[Known]) {
        let families = &self.families;
        families.rollout_stage.clear();
        families.rollout_share.clear();
        for known in known {
            let of = of(known.registry.as_str(), known.policy.as_str());
            let standing = known.standing.as_ref();
            let taking = standing.and_then(|standing| Some((standing.stage(), standing.share()?.fraction())));
            let (stage, share) = taking.unwrap_or_default();
            let stage = i64::try_from(stage).unwrap_or(i64::MAX);
            families.rollout_stage.get_or_create(&of).set(stage);
            families.rollout_share.get_or_create(&of).set(share);
        }
    }

    /// The journal was opened.
    pub(crate) fn journal(&self, journal: &DiskJournal, runs: &[RunSummary]) {
        let size = i64::try_from(journal.size()).unwrap_or(i64::MAX);
        self.families.journal_bytes.set(size);
        for purpose in ["apply", "undo", "purge"] {
            let of_purpose = |run: &&RunSummary| {
                let begin = run.begin.as_ref();
                begin.is_some_and(|begin| named_purpose(&begin.purpose) == purpose)
            };
            let runs = runs.iter().filter(of_purpose).count();
            let label = labels::Purpose { purpose };
            let runs = i64::try_from(runs).unwrap_or(i64::MAX);
            self.families.journal_runs.get_or_create(&label).set(runs);
        }
    }

    /// Counts what happened in the daemon, and hands back the scores that it made too low, or good again.
    pub(crate) fn happened(&self, happening: &Happening) -> Vec<Change> {
        let families = &self.families;
        let reloaded = |outcome| families.reloads.get_or_create(&Outcome { outcome }).inc();
        let named = |policy: &String| OfName {
            policy: policy.as_str().into(),
        };
        match happening {
            Happening::Ended(record) => self.ended(record),
            Happening::LeftOut { policy } => _ = families.left_out.get_or_create(&named(policy)).inc(),
            Happening::Postponed { policy, .. } => {
                _ = families.postponed.get_or_create(&named(policy)).inc();
            }
            Happening::Reloaded { .. } => _ = reloaded("taken"),
            Happening::Refused { .. } => _ = reloaded("refused"),
            _ => {}
        }
        match happening {
            Happening::Beat | Happening::Ended(_) => self.look(),
            _ => Vec::new(),
        }
    }

    fn ended(&self, record: &Record) {
        let families = &self.families;
        let of = of(record.registry.as_str(), record.counted_for.as_str());
        let outcome = record.outcome().replace(' ', "_");
        let outcome = OUTCOMES.iter().find(|known| **known == outcome);
        let of_run = OfRun {
            registry: of.registry.clone(),
            policy: of.policy.clone(),
            mode: crate::daemon::named_mode(record.mode),
            outcome: outcome.copied().unwrap_or("other"),
        };
        families.runs.get_or_create(&of_run).inc();
        // What an undo finds in the journal has no name of the configuration.
        if !record.was_made() || record.registry.is_empty() {
            return;
        }
        let ended = record.ended.timestamp();
        families.last_run.get_or_create(&of).set(ended);
        // When one ended that died with its process, nobody knows.
        if record.cut != Some(Cut::Died) {
            let took = (record.ended - record.began).to_std().unwrap_or_default();
            families.last_duration.get_or_create(&of).set(took.as_secs_f64());
        }
        // What a limit refuses says nothing of how the registry does, or the policy, and what people stop neither.
        let succeeded = match of_run.outcome {
            _ if !record.is_telling() => None,
            "done" | "planned_only" => Some(true),
            "partial" | "failed" => Some(false),
            _ => None,
        };
        if succeeded == Some(true) {
            families.last_success.get_or_create(&of).set(ended);
            let pass = record.tally.pass.as_ref();
            if pass.is_some_and(|pass| pass.changed.is_none()) {
                families.last_full.get_or_create(&of).set(ended);
            }
        }
        if let Some(succeeded) = succeeded {
            self.health().run(&of, (self.now)(), succeeded);
        }
    }

    /// A notification came in; the registry is empty where it is none that may tell something.
    pub(crate) fn hinted(&self, registry: &str, outcome: &'static str) {
        let label = OfHint {
            registry: registry.into(),
            outcome,
        };
        self.families.hints.get_or_create(&label).inc();
    }

    /// Scores that fell below what is good, or rose to it again.
    fn look(&self) -> Vec<Change> {
        let changes = self.health().look((self.now)());
        changes.iter().for_each(Change::log);
        changes
    }

    /// Gauges of health are those of now.
    fn refresh(&self) {
        let families = &self.families;
        families.health.clear();
        families.health_part.clear();
        let scores = self.health().scores((self.now)());
        for (of, score) in scores {
            families.health.get_or_create(&of).set(score.value());
            for part in score.parts {
                let label = OfPart {
                    registry: of.registry.clone(),
                    policy: of.policy.clone(),
                    part: part.kind.as_str(),
                };
                families.health_part.get_or_create(&label).set(part.value);
            }
        }
    }

    /// How well what was seen lately does, as of now.
    pub(crate) fn scores(&self) -> Vec<Scored> {
        let health = self.health();
        let scores = health.scores((self.now)()).into_iter();
        scores
            .map(|(of, score)| Scored {
                registry: of.registry.to_string(),
                policy: (!of.policy.is_empty()).then(|| of.policy.to_string()),
                is_low: health.is_low(&score),
                score,
            })
            .collect()
    }

    fn health(&self) -> MutexGuard<'_, Health> {
        self.health.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Told for Metrics {
    fn delivery(&self, receiver: &str, kind: Kind, delivery: Delivery) {
        let label = OfMessage {
            receiver: receiver.into(),
            event: kind.as_str(),
            outcome: delivery.as_str(),
        };
        self.families.notifications.get_or_create(&label).inc();
    }
}

/// What comes of runs, as a label.
const OUTCOMES: [&str; 7] = [
    "done",
    "planned_only",
    "partial",
    "refused_by_a_limit",
    "failed",
    "given_up",
    "turned_away",
];

fn of(registry: impl Into<Name>, policy: impl Into<Name>) -> OfPolicy {
    OfPolicy {
        registry: registry.into(),
        policy: policy.into(),
    }
}

fn named_purpose(purpose: &Purpose) -> &'static str {
    match purpose {
        Purpose::Apply { .. } => "apply",
        Purpose::Undo { .. } => "undo",
        Purpose::Purge => "purge",
        Purpose::Collect => "collect",
    }
}
