//! What every metric is called and means: what is registered, and what docs/metrics.md says.

/// A metric.
pub(super) struct Described {
    /// Its name, without `lagan_` and without the `_total` of a counter.
    pub(super) name: &'static str,
    pub(super) kind: Kind,
    #[cfg(test)]
    pub(super) labels: &'static [&'static str],
    /// What it means, without the dot at its end.
    pub(super) help: &'static str,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Counter,
    Gauge,
    Histogram,
}

/// In front of every name.
pub(super) const PREFIX: &str = "lagan";

macro_rules! catalogue {
    ($($constant:ident: $kind:ident $name:literal [$($label:literal),*] $help:literal;)*) => {
        $(pub(super) const $constant: Described = Described {
            name: $name,
            kind: Kind::$kind,
            #[cfg(test)]
            labels: &[$($label),*],
            help: $help,
        };)*
        /// All of them, in the order of the document.
        #[cfg(test)]
        pub(super) const ALL: &[Described] = &[$($constant),*];
    };
}

catalogue! {
    RUNS: Counter "runs" ["registry", "policy", "mode", "outcome"]
        "Runs that ended, by what came of them";
    IN_HAND: Gauge "runs_in_hand" []
        "Runs that the daemon makes now";
    LEFT_OUT: Counter "runs_left_out" ["policy"]
        "Runs that were due while their policy was run, and so were left out";
    POSTPONED: Counter "runs_postponed" ["policy"]
        "Scheduled runs that waited: for whoever had the state directory, once, or for an undo, each time that one went before";
    LAST_RUN: Gauge "last_run_timestamp_seconds" ["registry", "policy"]
        "When the last run ended";
    LAST_SUCCESS: Gauge "last_success_timestamp_seconds" ["registry", "policy"]
        "When the last run ended that did all it was to do";
    LAST_FULL: Gauge "last_full_pass_timestamp_seconds" ["registry", "policy"]
        "When the last run ended that looked at every repository and did all it was to do, where the registry has a `webhook`";
    LAST_DURATION: Gauge "last_run_duration_seconds" ["registry", "policy"]
        "How long the last run took";
    NEXT_RUN: Gauge "next_run_timestamp_seconds" ["registry", "policy"]
        "When the policy is due next, jitter included; none while it is run";
    POLICIES: Gauge "policies" ["mode"]
        "Policies that the daemon runs";
    DECISIONS: Counter "decisions" ["registry", "policy", "decision"]
        "Tags by what was decided about them";
    PLANNED: Gauge "planned_deletions" ["registry", "policy"]
        "Manifests that the last plan would delete";
    INCOMPLETE: Gauge "incomplete_repositories" ["registry", "policy"]
        "Repositories about which the last plan could decide nothing";
    DELETIONS: Counter "deletions" ["registry", "policy", "action"]
        "Manifests that were deleted or purged, and tags that were taken off";
    SKIPS: Counter "skips" ["registry", "policy", "action", "reason"]
        "Manifests and tags that a run was to delete and left alone, by why";
    FAILURES: Counter "failures" ["registry", "policy", "action", "outcome"]
        "Manifests and tags whose deletion failed, or is in doubt";
    RESTORATIONS: Counter "restorations" ["registry", "outcome"]
        "Manifests, and tags that had been taken off, that undos were to put back, by what became of them";
    DELETED_BYTES: Counter "deleted_bytes" ["registry", "policy"]
        "Sizes of deleted manifests and of the blobs they name, each once in a run; a collection of garbage frees at most that";
    UNDOABLE_UNTIL: Gauge "undoable_until_timestamp_seconds" ["registry", "policy"]
        "Until when all that the last run deleted can be put back for certain; none where that is not known";
    JOURNAL_RUNS: Gauge "journal_runs" ["purpose"]
        "Runs on record in the journal when the daemon last opened it; undos are among them, whoever made them";
    JOURNAL_BYTES: Gauge "journal_bytes" []
        "Size of the journal on the disk when the daemon last opened it, both copies together";
    JOURNAL_SYNC: Histogram "journal_sync_seconds" []
        "How long the disk took to make a write to a copy of the journal durable";
    REQUESTS: Counter "requests" ["registry", "kind", "status"]
        "Requests that were sent, each attempt counted, by what they were for and what was answered";
    REQUEST_SECONDS: Histogram "request_duration_seconds" ["registry", "kind"]
        "How long requests took, the body of the answer included";
    WINDOW: Gauge "concurrency_window" ["registry"]
        "Requests that might be under way at once, as last measured";
    HEALTH: Gauge "health_score" ["registry", "policy"]
        "How well a policy does, or a registry where the policy is empty, from 0 to 100; none without traffic";
    HEALTH_PART: Gauge "health_part" ["registry", "policy", "part"]
        "The parts of a score, from 0 to 1";
    ROLLOUT_STAGE: Gauge "rollout_stage" ["registry", "policy"]
        "The stage that the rollout of a policy is in, from 1 on; 0 where it fell back to dry-run, or where that is not known";
    ROLLOUT_SHARE: Gauge "rollout_share" ["registry", "policy"]
        "The share of its repositories that the rollout of a policy takes, from 0 to 1; 0 as above";
    ROLLOUT_CHANGES: Counter "rollout_changes" ["registry", "policy", "change"]
        "Rollouts that went on, came to their end, or fell back";
    RELOADS: Counter "reloads" ["outcome"]
        "Configurations that were read again, by whether they were taken or refused";
    NOTIFICATIONS: Counter "notifications" ["receiver", "event", "outcome"]
        "Messages to receivers, by what became of them";
    HINTS: Counter "hints" ["registry", "outcome"]
        "Notifications that came in from registries, by what became of them";
}
