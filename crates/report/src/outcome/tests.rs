use lagan_model::journal::{Role, RunId, Sequence};
use lagan_model::{Digest, RegistryIdentity, RegistryKind, Time};
use lagan_policy::{Guard, GuardReport};
use serde_json::Value;

use super::*;

/// What a registry could say to harm whoever reads the report.
const NASTY: &str = "=1+1 <script>alert(1)</script> | \u{1b}[31m\u{202e}@somebody";

fn time(seconds: i64) -> Time {
    chrono::DateTime::from_timestamp(1_764_000_000 + seconds, 0).unwrap()
}

fn entry(name: &str, outcome: &'static str, role: Role) -> OutcomeEntry {
    OutcomeEntry {
        action: "delete",
        digest: Digest::of(name.as_bytes()),
        role,
        belongs_to: None,
        tags: match role {
            Role::Artifact => vec![name.parse().unwrap()],
            _ => Vec::new(),
        },
        record: Some(Sequence(7)),
        deleted_by: None,
        outcome,
        why: None,
        detail: None,
        held: None,
        conflicts: BTreeMap::new(),
        lacks: Vec::new(),
    }
}

/// What goes with an artifact.
fn of(artifact: &str, entry: OutcomeEntry) -> OutcomeEntry {
    OutcomeEntry {
        belongs_to: Some(Digest::of(artifact.as_bytes())),
        ..entry
    }
}

fn repository() -> RepositoryOutcome {
    let failed = OutcomeEntry {
        detail: Some(NASTY.to_owned()),
        ..entry("1.0.0-rc.2", "failed", Role::Artifact)
    };
    RepositoryOutcome {
        name: "team/app".parse().unwrap(),
        entries: vec![
            entry("1.0.0-rc.1", "deleted", Role::Artifact),
            of("1.0.0-rc.1", entry("amd64", "deleted", Role::Child)),
            of("1.0.0-rc.1", entry("arm64", "deleted", Role::Child)),
            failed,
        ],
        mended: vec![MendedEntry {
            digest: Digest::of(b"mended"),
            needed_by: "latest".parse().unwrap(),
            failure: None,
        }],
        problem: Some(NASTY.to_owned()),
    }
}

fn head(of: OutcomeOf) -> OutcomeHead {
    OutcomeHead {
        run: Some(RunId::from_bits(1 << 100)),
        of,
        registry: RegistryIdentity {
            name: "main".parse().unwrap(),
            url: "http://localhost:5000".to_owned(),
            kind: RegistryKind::Oci,
        },
        policies: Vec::new(),
        began: time(0),
    }
}

fn foot() -> OutcomeFoot {
    OutcomeFoot {
        ended: time(5),
        guards: vec![GuardReport {
            limit: Guard::KeepAtLeast,
            allowed: 1,
            wanted: 0,
            repository: Some("team/web".parse().unwrap()),
            refuses: true,
        }],
        copies_waiting: 3,
        purge: Some(RunId::from_bits(1 << 101)),
        recovery: RecoveryNote {
            settled: BTreeMap::from([("deleted", 2)]),
            problems: vec![NASTY.to_owned()],
            ..RecoveryNote::default()
        },
        ..OutcomeFoot::default()
    }
}

fn written(format: PlanFormat, of: OutcomeOf) -> String {
    written_of(&repository(), format, of)
}

fn written_of(repository: &RepositoryOutcome, format: PlanFormat, of: OutcomeOf) -> String {
    let (head, foot) = (head(of), foot());
    let mut writer = outcome_writer(format, false);
    let (mut body, mut out) = (Vec::new(), Vec::new());
    writer.repository(&mut body, repository).unwrap();
    writer.head(&mut out, &head, &foot).unwrap();
    out.extend(body);
    writer.foot(&mut out, &head, &foot).unwrap();
    String::from_utf8(out).unwrap()
}

fn apply() -> OutcomeOf {
    OutcomeOf::Apply {
        plan: "01ARZ3NDEKTSV4RRFFQ69G5FAV".to_owned(),
    }
}

#[test]
fn nothing_from_outside_acts_on_whoever_reads() {
    for format in PlanFormat::ALL {
        let text = written(format, apply());
        for harmful in ['\u{1b}', '\u{202e}'] {
            assert!(!text.contains(harmful), "{format:?}: {text}");
        }
        if format == PlanFormat::Html {
            assert!(!text.contains("<script"), "{text}");
        }
        if format == PlanFormat::Csv {
            assert!(text.contains(",\"'=1+1") || text.contains(",'=1+1"), "{text}");
        }
        if format == PlanFormat::Markdown {
            assert!(!text.contains("<script>") || text.contains('`'), "{text}");
        }
    }
}

#[test]
fn the_json_is_one_document_that_holds_everything() {
    let run: Value = serde_json::from_str(&written(PlanFormat::Json, apply())).unwrap();
    assert_eq!(run["schema"], "lagan.run/v1");
    assert_eq!(run["copies_waiting"], 3);
    assert!(written(PlanFormat::Text, apply()).contains("3 held copies wait"));
    let purge = RunId::from_bits(1 << 101).to_string();
    assert_eq!(run["purge"], purge.as_str());
    for format in [PlanFormat::Text, PlanFormat::Markdown, PlanFormat::Html] {
        assert!(written(format, apply()).contains(&purge), "{format:?}");
    }
    assert_eq!(run["totals"]["outcomes"]["deleted"], 3);
    assert_eq!(run["totals"]["mended"], 1);
    assert_eq!(run["repositories"][0]["entries"][0]["record"], 7);
    assert_eq!(run["repositories"][0]["problem"], NASTY);
    assert_eq!(run["guards"][0]["limit"], "keep_at_least");
    assert_eq!(run.get("pass"), None);
    let undo = OutcomeOf::Undo {
        of: "last".to_owned(),
        dry_run: true,
    };
    let undo: Value = serde_json::from_str(&written(PlanFormat::Json, undo)).unwrap();
    assert_eq!(
        (&undo["schema"], &undo["dry_run"]),
        (&"lagan.undo/v1".into(), &true.into())
    );
    for line in written(PlanFormat::Ndjson, apply()).lines() {
        let repository: Value = serde_json::from_str(line).unwrap();
        assert_eq!(repository["name"], "team/app");
    }
}

#[test]
fn what_goes_along_is_told_with_its_artifact_and_what_failed_stands_alone() {
    let text = written(PlanFormat::Text, apply());
    assert!(text.contains("with 2 children and attachments"), "{text}");
    assert_eq!(text.matches("deleted  ").count(), 2, "a row, and the sum: {text}");
    assert!(text.contains("failed"), "{text}");
    assert!(text.contains("held back by keep_at_least"), "{text}");
    assert!(text.contains("lagan undo 0"), "{text}");
}

#[test]
fn what_goes_along_is_told_with_its_artifact_in_whatever_order_they_are() {
    let restored = |name, role| entry(name, "restored", role);
    let undone = RepositoryOutcome {
        entries: vec![
            restored("1.0.0-rc.2", Role::Artifact),
            of("1.0.0-rc.1", restored("amd64", Role::Child)),
            of("1.0.0-rc.1", restored("arm64", Role::Child)),
            restored("1.0.0-rc.3", Role::Artifact),
            restored("1.0.0-rc.1", Role::Artifact),
            of("1.0.0-rc.1", restored("signature", Role::Attachment)),
            of("1.0.0-rc.3", entry("lost", "unrecoverable", Role::Attachment)),
            restored("nobody's", Role::Child),
        ],
        mended: Vec::new(),
        ..repository()
    };
    let undo = OutcomeOf::Undo {
        of: "last".to_owned(),
        dry_run: false,
    };
    let text = written_of(&undone, PlanFormat::Markdown, undo);
    let rows: Vec<&str> = text.lines().filter(|line| line.starts_with("| **")).collect();
    assert_eq!(rows.len(), 5, "{text}");
    for row in rows {
        let is_index = row.contains("rc.1");
        assert_eq!(row.contains("with 3 children and attachments"), is_index, "{row}");
        assert_eq!(row.contains("with"), is_index, "{row}");
    }
}

#[test]
fn a_report_says_what_an_earlier_run_left() {
    for format in [PlanFormat::Text, PlanFormat::Markdown, PlanFormat::Html] {
        let text = written(format, apply());
        assert!(
            text.contains("an earlier run was interrupted"),
            "{format:?}: {text}"
        );
    }
}

#[test]
fn an_undo_that_was_stopped_says_that_not_all_that_failed_was_tried() {
    let undo = OutcomeOf::Undo {
        of: "last".to_owned(),
        dry_run: false,
    };
    let sums = OutcomeSums::default();
    for (of, is_told) in [(undo, true), (apply(), false)] {
        for stopped in [true, false] {
            let foot = OutcomeFoot { stopped, ..foot() };
            let said = words::warnings(&head(of.clone()), &foot, &sums).join(" ");
            assert_eq!(said.contains("asked to stop before its end"), stopped, "{said}");
            let parts = ["counts as failed", "the same undo again"];
            assert!(
                parts
                    .iter()
                    .all(|part| said.contains(part) == (stopped && is_told)),
                "{said}"
            );
        }
    }
}

#[test]
fn an_undo_that_cannot_put_something_back_says_what_would_help() {
    let of = || OutcomeOf::Undo {
        of: "last".to_owned(),
        dry_run: false,
    };
    for format in [PlanFormat::Text, PlanFormat::Markdown, PlanFormat::Html] {
        for (outcome, is_told) in [("unrecoverable", true), ("failed", false)] {
            let lost = RepositoryOutcome {
                entries: vec![entry("1.0.0-rc.1", outcome, Role::Artifact)],
                ..repository()
            };
            let text = written_of(&lost, format, of());
            // However its lines are broken.
            let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
            for part in ["only when somebody pushes it again", "a grace in the policy"] {
                assert_eq!(text.contains(part), is_told, "{format:?}: {text}");
            }
        }
    }
}
