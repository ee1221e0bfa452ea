//! The metrics themselves, registered under their names.

use std::hash::Hash;
use std::sync::atomic::AtomicU64;

use prometheus_client::encoding::{EncodeLabelSet, EncodeMetric, text};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::metrics::{MetricType, TypedMetric};
use prometheus_client::registry::{Metric, Registry};

use super::catalogue::{self, Described, Kind, PREFIX};
use super::labels::{
    Mode, OfChange, OfDecision, OfDeletion, OfFailure, OfHint, OfKind, OfMessage, OfName, OfPart, OfPolicy,
    OfRegistry, OfRequest, OfRestoration, OfRun, OfSkip, Outcome, Purpose,
};

/// A gauge of what is no whole number.
pub(super) type Fraction = Gauge<f64, AtomicU64>;

/// Half a millisecond to four minutes, which is longer than a request may take.
const REQUEST_SECONDS: [f64; 14] = [
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 30.0, 240.0,
];

/// From a disk that syncs into its memory to one that is about to fail.
const SYNC_SECONDS: [f64; 12] = [
    0.0001, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 2.0, 10.0,
];

/// Every metric.
#[derive(Debug)]
pub(super) struct Families {
    registry: Registry,
    pub(super) runs: Family<OfRun, Counter>,
    pub(super) left_out: Family<OfName, Counter>,
    pub(super) postponed: Family<OfName, Counter>,
    pub(super) last_run: Family<OfPolicy, Gauge>,
    pub(super) last_success: Family<OfPolicy, Gauge>,
    pub(super) last_full: Family<OfPolicy, Gauge>,
    pub(super) last_duration: Family<OfPolicy, Fraction>,
    pub(super) next_run: Family<OfPolicy, Gauge>,
    pub(super) policies: Family<Mode, Gauge>,
    pub(super) decisions: Family<OfDecision, Counter>,
    pub(super) planned: Family<OfPolicy, Gauge>,
    pub(super) incomplete: Family<OfPolicy, Gauge>,
    pub(super) deletions: Family<OfDeletion, Counter>,
    pub(super) skips: Family<OfSkip, Counter>,
    pub(super) failures: Family<OfFailure, Counter>,
    pub(super) restorations: Family<OfRestoration, Counter>,
    pub(super) deleted_bytes: Family<OfPolicy, Counter>,
    pub(super) undoable_until: Family<OfPolicy, Gauge>,
    pub(super) journal_runs: Family<Purpose, Gauge>,
    pub(super) in_hand: Gauge,
    pub(super) journal_bytes: Gauge,
    pub(super) journal_sync: Histogram,
    pub(super) requests: Family<OfRequest, Counter>,
    pub(super) request_seconds: Family<OfKind, Histogram, fn() -> Histogram>,
    pub(super) window: Family<OfRegistry, Gauge>,
    pub(super) health: Family<OfPolicy, Fraction>,
    pub(super) health_part: Family<OfPart, Fraction>,
    pub(super) rollout_stage: Family<OfPolicy, Gauge>,
    pub(super) rollout_share: Family<OfPolicy, Fraction>,
    pub(super) rollout_changes: Family<OfChange, Counter>,
    pub(super) reloads: Family<Outcome, Counter>,
    pub(super) notifications: Family<OfMessage, Counter>,
    pub(super) hints: Family<OfHint, Counter>,
}

impl Families {
    pub(super) fn new() -> Self {
        let mut registry = Registry::with_prefix(PREFIX);
        let all = &mut registry;
        Self {
            runs: family(all, &catalogue::RUNS),
            left_out: family(all, &catalogue::LEFT_OUT),
            postponed: family(all, &catalogue::POSTPONED),
            last_run: family(all, &catalogue::LAST_RUN),
            last_success: family(all, &catalogue::LAST_SUCCESS),
            last_full: family(all, &catalogue::LAST_FULL),
            last_duration: family(all, &catalogue::LAST_DURATION),
            next_run: family(all, &catalogue::NEXT_RUN),
            policies: family(all, &catalogue::POLICIES),
            decisions: family(all, &catalogue::DECISIONS),
            planned: family(all, &catalogue::PLANNED),
            incomplete: family(all, &catalogue::INCOMPLETE),
            deletions: family(all, &catalogue::DELETIONS),
            skips: family(all, &catalogue::SKIPS),
            failures: family(all, &catalogue::FAILURES),
            restorations: family(all, &catalogue::RESTORATIONS),
            deleted_bytes: family(all, &catalogue::DELETED_BYTES),
            undoable_until: family(all, &catalogue::UNDOABLE_UNTIL),
            journal_runs: family(all, &catalogue::JOURNAL_RUNS),
            in_hand: registered(all, &catalogue::IN_HAND, Gauge::default()),
            journal_bytes: registered(all, &catalogue::JOURNAL_BYTES, Gauge::default()),
            journal_sync: registered(all, &catalogue::JOURNAL_SYNC, Histogram::new(SYNC_SECONDS)),
            requests: family(all, &catalogue::REQUESTS),
            request_seconds: registered(
                all,
                &catalogue::REQUEST_SECONDS,
                Family::new_with_constructor(|| Histogram::new(REQUEST_SECONDS)),
            ),
            window: family(all, &catalogue::WINDOW),
            health: family(all, &catalogue::HEALTH),
            health_part: family(all, &catalogue::HEALTH_PART),
            rollout_stage: family(all, &catalogue::ROLLOUT_STAGE),
            rollout_share: family(all, &catalogue::ROLLOUT_SHARE),
            rollout_changes: family(all, &catalogue::ROLLOUT_CHANGES),
            reloads: family(all, &catalogue::RELOADS),
            notifications: family(all, &catalogue::NOTIFICATIONS),
            hints: family(all, &catalogue::HINTS),
            registry,
        }
    }

    /// As OpenMetrics text.
    pub(super) fn text(&self) -> String {
        let mut out = String::new();
        // Writing to a string does not fail.
        _ = text::encode(&mut out, &self.registry);
        out
    }
}

fn family<S, M>(registry: &mut Registry, described: &Described) -> Family<S, M>
where
    S: EncodeLabelSet + Clone + Hash + Eq + std::fmt::Debug + Send + Sync + 'static,
    M: EncodeMetric + TypedMetric + Default + std::fmt::Debug + Send + Sync + 'static,
{
    registered(registry, described, Family::default())
}

fn registered<M: Metric + Clone>(registry: &mut Registry, described: &Described, metric: M) -> M {
    debug_assert!(matches!(
        (metric.metric_type(), described.kind),
        (MetricType::Counter, Kind::Counter)
            | (MetricType::Gauge, Kind::Gauge)
            | (MetricType::Histogram, Kind::Histogram)
    ));
    registry.register(described.name, described.help, metric.clone());
    metric
}
