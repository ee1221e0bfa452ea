//! A run of a policy, as it is counted.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use lagan_engine::{ActionOutcome, RepositoryRun, RepositoryUndo};
use lagan_health::Request;
use lagan_model::Time;
use lagan_model::journal::{DeleteResult, Outcome, Record, RunId, Skip};
use lagan_policy::Totals;
use lagan_registry::{Observer, Sent};
use lagan_state::{DiskJournal, StateError};
use serde_json::{Value, json};

use super::labels::{
    Name, OfChange, OfDecision, OfDeletion, OfFailure, OfKind, OfPolicy, OfRegistry, OfRequest,
    OfRestoration, OfSkip, status,
};
use super::{Metrics, of};
use crate::pass::Pass;
use crate::rollout::Changed;

/// What a run came to, in numbers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    /// What was planned.
    pub(crate) planned: Option<Totals>,
    /// What was looked at for that, where a registry tells what changes.
    pub(crate) pass: Option<Pass>,
    /// Manifests deleted, tags taken off, copies purged.
    pub(crate) deleted: u64,
    pub(crate) untagged: u64,
    pub(crate) purged: u64,
    /// Left alone.
    pub(crate) skipped: u64,
    /// Failed, or in doubt.
    pub(crate) failed: u64,
    /// What a collection of garbage frees at most.
    pub(crate) bytes: u64,
    /// What changed in rollouts.
    pub(crate) rollouts: Vec<Changed>,
}

impl Tally {
    /// For files and messages.
    pub(crate) fn to_json(&self) -> Value {
        let mut counts = json!({
            "plan": self.planned,
            "deleted": self.deleted,
            "untagged": self.untagged,
            "purged": self.purged,
            "skipped": self.skipped,
            "failed": self.failed,
            "deleted_bytes": self.bytes,
        });
        if !self.rollouts.is_empty() {
            let changes = self.rollouts.iter().map(Changed::to_json);
            counts["rollouts"] = changes.collect();
        }
        counts
    }
}

/// Counts a run of a policy.
#[derive(Debug)]
pub(crate) struct Observing {
    metrics: Arc<Metrics>,
    of: OfPolicy,
    tally: Mutex<Tally>,
}

impl Observing {
    pub(crate) fn new(metrics: &Arc<Metrics>, registry: &str, policy: &str) -> Arc<Self> {
        Arc::new(Self {
            metrics: Arc::clone(metrics),
            of: of(registry, policy),
            tally: Mutex::default(),
        })
    }

    /// The same of an undo, which is about one registry and no policy. The name is empty where the configuration has none.
    pub(crate) fn of_undo(&self, registry: &str) -> Arc<Self> {
        Self::new(&self.metrics, registry, "")
    }

    /// What it came to so far.
    pub(crate) fn tally(&self) -> Tally {
        self.locked().clone()
    }

    /// What was decided, in all repositories or in those that changed.
    pub(crate) fn planned(&self, totals: &Totals, pass: Option<&Pass>) {
        let families = &self.metrics.families;
        for (decision, tags) in [
            ("keep", totals.kept_tags),
            ("delete", totals.delete_tags),
            ("untag", totals.untag),
        ] {
            let (registry, policy) = self.names();
            let label = OfDecision {
                registry,
                policy,
                decision,
            };
            families.decisions.get_or_create(&label).inc_by(tags);
        }
        let gauge = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
        // What was not looked at is as the last full pass found it.
        if pass.is_none_or(|pass| pass.changed.is_none()) {
            let planned = families.planned.get_or_create_owned(&self.of);
            planned.set(gauge(totals.delete_artifacts));
        }
        let incomplete = families.incomplete.get_or_create_owned(&self.of);
        incomplete.set(gauge(totals.incomplete_repositories));
        let mut tally = self.locked();
        tally.planned = Some(totals.clone());
        tally.pass = pass.cloned();
    }

    /// What changed in rollouts.
    pub(crate) fn rolled(&self, changes: &[Changed]) {
        for changed in changes {
            let label = OfChange {
                registry: self.of.registry.clone(),
                policy: changed.policy.0.as_ref().into(),
                change: changed.word(),
            };
            self.metrics.families.rollout_changes.get_or_create(&label).inc();
        }
        self.locked().rollouts.extend_from_slice(changes);
    }

    /// What became of a repository, or of what was held of it.
    pub(crate) fn repository(&self, run: &RepositoryRun, purges: bool) {
        for action in &run.actions {
            let name = if purges { "purge" } else { action.action };
            for manifest in &action.manifests {
                self.outcome(name, &manifest.outcome, purges);
            }
        }
    }

    fn outcome(&self, action: &'static str, outcome: &ActionOutcome, purges: bool) {
        let families = &self.metrics.families;
        let (registry, policy) = self.names();
        let mut tally = self.locked();
        match outcome {
            ActionOutcome::Deleted | ActionOutcome::Untagged => {
                match outcome {
                    ActionOutcome::Untagged => tally.untagged += 1,
                    _ if purges => tally.purged += 1,
                    _ => tally.deleted += 1,
                }
                let label = OfDeletion {
                    registry,
                    policy,
                    action,
                };
                families.deletions.get_or_create(&label).inc();
            }
            ActionOutcome::Skipped { why, .. } => {
                tally.skipped += 1;
                let label = OfSkip {
                    registry,
                    policy,
                    action,
                    reason: reason(*why),
                };
                families.skips.get_or_create(&label).inc();
            }
            ActionOutcome::Failed { .. } | ActionOutcome::InDoubt { .. } => {
                tally.failed += 1;
                let label = OfFailure {
                    registry,
                    policy,
                    action,
                    outcome: outcome.as_str(),
                };
                families.failures.get_or_create(&label).inc();
            }
        }
    }

    /// What became of what was to be put back.
    pub(crate) fn undone(&self, undone: &[RepositoryUndo]) {
        for manifest in undone.iter().flat_map(|repository| &repository.manifests) {
            let label = OfRestoration {
                registry: self.of.registry.clone(),
                outcome: manifest.outcome.as_str(),
            };
            self.metrics.families.restorations.get_or_create(&label).inc();
        }
    }

    /// This is the journal that it writes.
    pub(crate) fn writes(&self, journal: &DiskJournal) {
        let syncs = self.metrics.families.journal_sync.clone();
        journal.watch_syncs(move |took| syncs.observe(took.as_secs_f64()));
    }

    /// It ended, and this is on record of it. What cannot be read is told of, and counts nothing: it is no part of what
    /// the run was to do.
    pub(crate) fn recorded(&self, journal: &DiskJournal, run: Option<RunId>) {
        let read = || -> Result<_, StateError> {
            if let Some(run) = run {
                self.add(journal, run)?;
            }
            journal.list()
        };
        match read() {
            Ok(runs) => self.metrics.journal(journal, &runs),
            Err(error) => {
                tracing::warn!("metrics lack what the journal has of the last run: failed to {error}")
            }
        }
    }

    /// Adds the sizes of what was deleted, and until when all of it can be put back.
    fn add(&self, journal: &DiskJournal, run: RunId) -> Result<(), StateError> {
        let (mut bytes, mut counted) = (0_u64, HashSet::new());
        let mut until: Option<Option<Time>> = None;
        for record in journal.records(run)? {
            let record = record?;
            let (Record::Delete(intent), Some(Record::Outcome(settled))) = (record.record, record.settled)
            else {
                continue;
            };
            if !matches!(
                settled,
                Outcome {
                    result: DeleteResult::Deleted,
                    ..
                }
            ) {
                continue;
            }
            let manifest = (intent.digest, intent.size);
            let blobs = intent.blobs.into_iter().map(|blob| (blob.digest, blob.size));
            for (digest, size) in blobs.chain([manifest]) {
                if counted.insert(digest) {
                    bytes = bytes.saturating_add(size);
                }
            }
            let possible = intent.held.map(|held| held.until).or(intent.undo_until);
            until = Some(match until {
                // One of which it is not known is enough.
                Some(before) => before.zip(possible).map(|(one, other)| one.min(other)),
                None => possible,
            });
        }
        let families = &self.metrics.families;
        families.deleted_bytes.get_or_create(&self.of).inc_by(bytes);
        match until {
            Some(Some(until)) => {
                _ = families
                    .undoable_until
                    .get_or_create(&self.of)
                    .set(until.timestamp())
            }
            Some(None) => _ = families.undoable_until.remove(&self.of),
            // Nothing was deleted, and what was said of an earlier run holds.
            None => {}
        }
        self.locked().bytes = bytes;
        Ok(())
    }

    fn names(&self) -> (Name, Name) {
        (self.of.registry.clone(), self.of.policy.clone())
    }

    fn locked(&self) -> MutexGuard<'_, Tally> {
        self.tally.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Observer for Observing {
    fn sent(&self, sent: &Sent) {
        let families = &self.metrics.families;
        let registry = self.of.registry.clone();
        let kind = sent.kind.as_str();
        let label = OfRequest {
            registry: registry.clone(),
            kind,
            status: status(sent.answer),
        };
        families.requests.get_or_create(&label).inc();
        let label = OfKind {
            registry: registry.clone(),
            kind,
        };
        let took = sent.took.as_secs_f64();
        families.request_seconds.get_or_create(&label).observe(took);
        let window = i64::try_from(sent.window).unwrap_or(i64::MAX);
        families
            .window
            .get_or_create(&OfRegistry { registry })
            .set(window);
        let request = Request {
            failed: sent.answer.is_failure(),
            refused: sent.refused,
            latency: sent.measured.then_some(sent.took),
        };
        // Nobody would know of which registry it speaks.
        if self.of.registry.is_empty() {
            return;
        }
        let now = (self.metrics.now)();
        self.metrics.health().request(&self.of, now, request);
    }
}

/// The name that reports use.
fn reason(why: Skip) -> &'static str {
    match why {
        Skip::Changed => "changed",
        Skip::Gone => "gone",
        Skip::Referenced => "referenced",
        Skip::Unit => "unit",
        Skip::Interrupted => "interrupted",
        Skip::Stopped => "stopped",
        Skip::Held => "held",
        Skip::KeepAtLeast => "keep_at_least",
        Skip::InDoubt => "in_doubt",
        Skip::NotApproved => "not_approved",
        Skip::Incomplete => "incomplete",
        Skip::NotHeld => "not_held",
        Skip::Notice => "notice",
        Skip::Rollout => "rollout",
    }
}
