//! What is registered, rendered and documented is the same; nothing that a registry holds becomes a label.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use chrono::TimeDelta;
use lagan_config::Config;
use lagan_engine::{
    ActionOutcome, ActionRun, ManifestRun, ManifestUndo, RepositoryRun, RepositoryUndo, UndoOutcome,
};
use lagan_model::journal::{Role, RunId, Sequence, Skip};
use lagan_model::{Digest, RegistryIdentity, RegistryKind, RequestKind, Time};
use lagan_notify::{Delivery, Kind as Event, Told as _};
use lagan_policy::rollout::Change;
use lagan_policy::{Mode, Rollouts, Totals};
use lagan_registry::{Answered, Observer as _, Sent};
use lagan_state::{DiskJournal, Options};

use super::catalogue::{ALL, Kind, PREFIX};
use super::{Metrics, Observing, Tally};
use crate::daemon::{Cut, Happening, Record, RunKind};
use crate::exit::Exit;
use crate::rollout::{Changed, Known};

const PAGE: &str = include_str!("../../../../docs/metrics.md");

fn now() -> Time {
    "2026-11-21T12:00:00Z".parse().unwrap()
}

fn metrics() -> Arc<Metrics> {
    Arc::new(Metrics::new(now))
}

/// The samples of a text: name, labels, value.
fn samples(text: &str) -> Vec<(String, BTreeMap<String, String>, f64)> {
    let samples = text.lines().filter(|line| !line.starts_with('#'));
    let sample = |line: &str| {
        let (what, value) = line.rsplit_once(' ').unwrap();
        let (name, labels) = what.split_once('{').unwrap_or((what, "}"));
        let labels = labels
            .strip_suffix('}')
            .unwrap()
            .split(',')
            .filter(|label| !label.is_empty());
        let label = |label: &str| {
            let (name, value) = label.split_once('=').unwrap();
            (name.to_owned(), value.trim_matches('"').to_owned())
        };
        (
            name.to_owned(),
            labels.map(label).collect(),
            value.parse().unwrap(),
        )
    };
    samples.map(sample).collect()
}

/// The value of one sample, which is there.
#[track_caller]
fn value(metrics: &Metrics, name: &str, labels: &[(&str, &str)]) -> f64 {
    let found: Vec<_> = samples(&metrics.render())
        .into_iter()
        .filter(|(known, of, _)| {
            let has = |(label, value): &(&str, &str)| of.get(*label).is_some_and(|known| known == value);
            known == name && labels.iter().all(has)
        })
        .map(|(_, _, value)| value)
        .collect();
    assert_eq!(found.len(), 1, "{name} {labels:?} in\n{}", metrics.render());
    found[0]
}

fn record(exit: Exit, held: Option<&str>) -> Happening {
    Happening::Ended(Box::new(Record {
        id: "1".to_owned(),
        kind: RunKind::Apply,
        by: "schedule".to_owned(),
        policy: "p".to_owned(),
        counted_for: "p".to_owned(),
        registry: "r".to_owned(),
        mode: Mode::Enforce,
        began: now() - TimeDelta::seconds(90),
        ended: now(),
        exit,
        error: None,
        held: held.map(str::to_owned),
        cut: None,
        tally: Tally::default(),
    }))
}

fn sent(kind: RequestKind, answer: Answered) -> Sent {
    Sent {
        kind,
        answer,
        took: Duration::from_millis(20),
        measured: true,
        refused: answer == Answered::Status(429),
        window: 12,
    }
}

fn undone() -> RepositoryUndo {
    let manifest = |outcome| ManifestUndo {
        digest: Digest::of(b"secret-digest"),
        role: Role::Artifact,
        belongs_to: None,
        tags: vec!["secret-tag".parse().unwrap()],
        deleted_by: RunId::from_bits(1),
        deletion: Sequence(1),
        lacks: Vec::new(),
        outcome,
    };
    RepositoryUndo {
        name: "secret-repository".parse().unwrap(),
        manifests: vec![manifest(UndoOutcome::Restored), manifest(UndoOutcome::InDoubt)],
    }
}

fn run(outcomes: Vec<ActionOutcome>) -> RepositoryRun {
    let manifest = |outcome| ManifestRun {
        digest: Digest::of(b"secret-digest"),
        role: Role::Artifact,
        tags: vec!["secret-tag".parse().unwrap()],
        sequence: None,
        held: None,
        outcome,
    };
    RepositoryRun {
        name: "secret-repository".parse().unwrap(),
        actions: vec![ActionRun {
            action: "delete",
            digest: Digest::of(b"secret-digest"),
            tags: vec!["secret-tag".parse().unwrap()],
            manifests: outcomes.into_iter().map(manifest).collect(),
        }],
        mended: Vec::new(),
        copies: 0,
        problem: None,
        looked_after: true,
    }
}

/// Of each metric something.
fn everything() -> Arc<Metrics> {
    let metrics = metrics();
    let config = "registries: {r: {url: 'http://r'}}\npolicies:\n  p:\n    repositories: a\n    rules: [{select: {tags: \
                  a}, keep: all}]\n    schedule: {cron: '@daily'}\n";
    metrics.configured(&Config::read("lagan.yaml", config).unwrap());
    metrics.scheduled([("r", "p", now())]);
    let place = tempfile::tempdir().unwrap();
    let journal = DiskJournal::create(&place.path().join("state"), &Options::default()).unwrap();
    metrics.journal(&journal, &journal.list().unwrap());
    let observing = Observing::new(&metrics, "r", "p");
    observing.writes(&journal);
    let totals = Totals {
        kept_tags: 7,
        delete_tags: 3,
        delete_artifacts: 2,
        incomplete_repositories: 1,
        ..Totals::new(false)
    };
    observing.planned(&totals, None);
    let detail = || "secret-detail".to_owned();
    observing.repository(
        &run(vec![
            ActionOutcome::Deleted,
            ActionOutcome::Failed { detail: detail() },
            ActionOutcome::InDoubt { detail: detail() },
            ActionOutcome::Skipped {
                why: Skip::Changed,
                detail: detail(),
            },
        ]),
        false,
    );
    observing.repository(&run(vec![ActionOutcome::Deleted]), true);
    observing.of_undo("r").undone(&[undone()]);
    observing.recorded(&journal, None);
    metrics
        .families
        .deleted_bytes
        .get_or_create(&observing_of())
        .inc_by(5);
    metrics
        .families
        .undoable_until
        .get_or_create(&observing_of())
        .set(9);
    metrics.families.last_full.get_or_create(&observing_of()).set(9);
    metrics.hinted("r", "changed");
    for answer in [Answered::Status(200), Answered::Status(429), Answered::TimedOut] {
        observing.sent(&sent(RequestKind::Tags, answer));
    }
    metrics.delivery("ops", Event::RunDone, Delivery::Sent);
    observing.rolled(&[advanced()]);
    metrics.rollouts(&[Known {
        registry: "r".to_owned(),
        policy: "p".to_owned(),
        standing: None,
    }]);
    for happening in [
        record(Exit::Done, None),
        record(Exit::Partial, None),
        record(Exit::Refused, None),
        Happening::LeftOut {
            policy: "p".to_owned(),
        },
        Happening::Postponed {
            policy: "p".to_owned(),
            why: "secret-detail".to_owned(),
        },
        Happening::Reloaded { restart: Vec::new() },
        Happening::Refused {
            why: "secret-detail".to_owned(),
        },
    ] {
        metrics.happened(&happening);
    }
    metrics
}

fn advanced() -> Changed {
    let config = "registries: {r: {url: 'http://localhost:5000'}}\npolicies: {p: {repositories: '**', rules: \
                  [{select: {tags: x}, keep: all}], rollout: {stages: [5%], hold: 1d}}}\n";
    let config = Config::read("lagan.yaml", config).unwrap();
    let policies = &config.registries[0].policies;
    let rollouts = Rollouts::at(&policies.policies, &policies.versions, &BTreeMap::new(), now());
    let registry = RegistryIdentity {
        name: "r".parse().unwrap(),
        url: "http://localhost:5000".to_owned(),
        kind: RegistryKind::Oci,
    };
    Changed::of(&registry, &rollouts.standings()[0], Change::Advanced)
}

fn observing_of() -> super::OfPolicy {
    super::of("r", "p")
}

#[test]
fn every_metric_of_the_catalogue_is_rendered_with_its_type_and_its_labels() {
    let text = everything().render();
    assert!(text.ends_with("# EOF\n"));
    let types: BTreeMap<&str, &str> = text
        .lines()
        .filter_map(|line| line.strip_prefix("# TYPE ")?.split_once(' '))
        .collect();
    let expected: BTreeMap<String, &str> = ALL
        .iter()
        .map(|described| (format!("{PREFIX}_{}", described.name), named(described.kind)))
        .collect();
    let found: BTreeMap<String, &str> = types
        .iter()
        .map(|(name, kind)| ((*name).to_owned(), *kind))
        .collect();
    assert_eq!(found, expected);
    for (name, labels, _) in samples(&text) {
        let suffixes = ["_total", "_bucket", "_sum", "_count"];
        let described = ALL.iter().find(|described| {
            let known = format!("{PREFIX}_{}", described.name);
            name == known || suffixes.iter().any(|suffix| name == format!("{known}{suffix}"))
        });
        let described = described.unwrap_or_else(|| panic!("{name} is not in the catalogue"));
        let mut found: BTreeSet<&str> = labels.keys().map(String::as_str).collect();
        found.remove("le");
        let expected: BTreeSet<&str> = described.labels.iter().copied().collect();
        assert_eq!(found, expected, "{name}");
    }
}

#[test]
fn nothing_that_a_registry_holds_becomes_a_label() {
    let text = everything().render();
    assert!(!text.contains("secret"), "{text}");
}

fn named(kind: Kind) -> &'static str {
    match kind {
        Kind::Counter => "counter",
        Kind::Gauge => "gauge",
        Kind::Histogram => "histogram",
    }
}

#[test]
fn the_page_has_every_metric_as_it_is() {
    let rows: Vec<&str> = PAGE
        .lines()
        .filter(|line| line.starts_with("| `lagan_"))
        .collect();
    let expected: Vec<String> = ALL
        .iter()
        .map(|described| {
            let total = if described.kind == Kind::Counter {
                "_total"
            } else {
                ""
            };
            let labels: Vec<_> = described
                .labels
                .iter()
                .map(|label| format!("`{label}`"))
                .collect();
            format!(
                "| `{PREFIX}_{}{total}` | {} | {} | {} |",
                described.name,
                named(described.kind),
                labels.join(", "),
                described.help
            )
        })
        .collect();
    assert_eq!(
        rows,
        expected,
        "docs/metrics.md should have:\n{}",
        expected.join("\n")
    );
}

#[test]
fn what_a_run_does_is_counted_once() {
    let metrics = everything();
    let of = |name: &str, labels: &[(&str, &str)]| value(&metrics, name, labels);
    assert_eq!(of("lagan_decisions_total", &[("decision", "keep")]), 7.0);
    assert_eq!(of("lagan_decisions_total", &[("decision", "delete")]), 3.0);
    assert_eq!(of("lagan_planned_deletions", &[]), 2.0);
    assert_eq!(of("lagan_incomplete_repositories", &[]), 1.0);
    assert_eq!(of("lagan_deletions_total", &[("action", "delete")]), 1.0);
    assert_eq!(of("lagan_deletions_total", &[("action", "purge")]), 1.0);
    assert_eq!(of("lagan_restorations_total", &[("outcome", "restored")]), 1.0);
    assert_eq!(of("lagan_restorations_total", &[("outcome", "in_doubt")]), 1.0);
    assert_eq!(of("lagan_skips_total", &[("reason", "changed")]), 1.0);
    assert_eq!(of("lagan_failures_total", &[("outcome", "in_doubt")]), 1.0);
    assert_eq!(
        of("lagan_requests_total", &[("status", "429"), ("kind", "tags")]),
        1.0
    );
    assert_eq!(of("lagan_requests_total", &[("status", "timeout")]), 1.0);
    assert_eq!(of("lagan_request_duration_seconds_count", &[]), 3.0);
    assert_eq!(of("lagan_concurrency_window", &[]), 12.0);
    assert_eq!(
        of("lagan_runs_total", &[("outcome", "done"), ("mode", "enforce")]),
        1.0
    );
    assert_eq!(of("lagan_runs_total", &[("outcome", "refused_by_a_limit")]), 1.0);
    assert_eq!(of("lagan_last_run_duration_seconds", &[]), 90.0);
    assert_eq!(of("lagan_reloads_total", &[("outcome", "refused")]), 1.0);
    assert!(of("lagan_journal_bytes", &[]) > 0.0);
    assert_eq!(of("lagan_policies", &[("mode", "dry-run")]), 1.0);
}

#[test]
fn a_run_that_was_held_or_refused_says_nothing_against_its_policy() {
    let metrics = metrics();
    metrics.happened(&record(Exit::Refused, None));
    assert!(!metrics.render().contains("lagan_health_score{"));
    metrics.happened(&record(Exit::Done, Some("frozen")));
    assert_eq!(
        value(&metrics, "lagan_runs_total", &[("outcome", "planned_only")]),
        1.0
    );
    assert_eq!(value(&metrics, "lagan_health_score", &[("policy", "p")]), 100.0);
    metrics.happened(&record(Exit::Unexpected, None));
    // Half of the runs failed: 2 % of the 40 points are left, and all the others.
    let score = value(&metrics, "lagan_health_score", &[("policy", "p")]);
    assert!((score - 60.8).abs() < 1e-9, "{score}");
    assert_eq!(
        value(
            &metrics,
            "lagan_health_part",
            &[("policy", ""), ("part", "success")]
        ),
        0.02
    );
}

#[test]
fn what_people_cut_short_or_mistype_says_nothing_against_a_registry() {
    let metrics = metrics();
    let asked = |exit, cut, registry: &str| {
        let Happening::Ended(record) = record(exit, None) else {
            unreachable!();
        };
        let record = Record {
            by: "uid 1".to_owned(),
            registry: registry.to_owned(),
            cut,
            ..*record
        };
        metrics.happened(&Happening::Ended(Box::new(record)))
    };
    asked(Exit::Unexpected, Some(Cut::GivenUp), "r");
    asked(Exit::Unexpected, Some(Cut::TurnedAway), "r");
    asked(Exit::Usage, None, "r");
    asked(Exit::Partial, Some(Cut::Stopped), "r");
    // An undo that finds nothing, and one that fails.
    asked(Exit::Usage, None, "");
    asked(Exit::Unexpected, None, "");
    let text = metrics.render();
    assert!(!text.contains("lagan_health_score{"), "{text}");
    assert!(
        !text.contains("lagan_last_run_timestamp_seconds{registry=\"\""),
        "{text}"
    );
    for (outcome, runs) in [("given_up", 1.0), ("turned_away", 1.0), ("partial", 1.0)] {
        assert_eq!(
            value(&metrics, "lagan_runs_total", &[("outcome", outcome)]),
            runs,
            "{text}"
        );
    }
    asked(Exit::Partial, None, "r");
    let score = value(&metrics, "lagan_health_score", &[("policy", "")]);
    assert!(score < 80.0, "{score}");
}

#[test]
fn what_is_of_no_single_policy_is_seen_of_its_registry_once() {
    let metrics = metrics();
    // Of one policy, and of all of them.
    metrics.happened(&record(Exit::Done, None));
    let Happening::Ended(failed) = record(Exit::Unexpected, None) else {
        unreachable!();
    };
    let failed = Record {
        counted_for: String::new(),
        ..*failed
    };
    metrics.happened(&Happening::Ended(Box::new(failed)));
    let part = |name| value(&metrics, "lagan_health_part", &[("policy", ""), ("part", name)]);
    // One of two, and not two of three.
    let half = part("success");
    metrics.happened(&record(Exit::Done, None));
    assert!(part("success") > half, "{half}");
    assert!((half - 0.02).abs() < 1e-9, "{half}");
}

#[test]
fn a_policy_that_is_gone_leaves_no_gauges_and_a_registry_none() {
    let metrics = everything();
    assert!(metrics.render().contains("lagan_concurrency_window{"));
    metrics.configured(&Config::read("lagan.yaml", "registries: {other: {url: 'http://r'}}\n").unwrap());
    let text = metrics.render();
    for name in [
        "health_score",
        "last_run_timestamp_seconds",
        "undoable_until_timestamp_seconds",
        "concurrency_window",
    ] {
        assert!(!text.contains(&format!("lagan_{name}{{")), "{text}");
    }
    // What was counted stays counted: a counter that goes back looks like a restart.
    assert!(text.contains("lagan_runs_total{"), "{text}");
}
