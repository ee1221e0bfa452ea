//! The journal from the outside: what it tells, where it is looked for, moving it, and what damage gets.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use lagan_model::journal::{
    Begin, DeleteIntent, DeleteResult, Doubt, End, Journal, Outcome, PolicyIdentity, Purpose, RestoreIntent,
    RestoreOutcome, RestoreResult, Role, RunId, Skip,
};
use lagan_model::{Digest, Manifest, MediaType, RegistryIdentity, Time};
use lagan_sandbox::{Moment, Sandbox, SandboxOptions};
use lagan_state::{DiskJournal, Options};
use serde_json::json;

use crate::support::{Place, Run};

/// The run that deleted.
fn applied() -> RunId {
    RunId::from_bits(1 << 80)
}

/// The run that put it back.
fn undone() -> RunId {
    RunId::from_bits(2 << 80)
}

/// The run that was killed.
fn interrupted() -> RunId {
    RunId::from_bits(3 << 80)
}

fn at(minute: u32) -> Time {
    format!("2026-11-21T12:{minute:02}:00Z").parse().unwrap()
}

fn begin(run: RunId, purpose: Purpose, minute: u32) -> Begin {
    Begin {
        run,
        purpose,
        registry: RegistryIdentity {
            name: "harbor".parse().unwrap(),
            url: "http://localhost:5000".to_owned(),
            kind: lagan_model::RegistryKind::Oci,
        },
        policies: vec![PolicyIdentity {
            name: "prereleases".to_owned(),
            sha256: "ab".repeat(32),
        }],
        at: at(minute),
        program: "lagan 0.1.0".to_owned(),
        collections: None,
        pass: None,
    }
}

fn manifest(number: u32) -> Manifest {
    let text = format!(
        r#"{{"schemaVersion":2,"config":{{"mediaType":"application/vnd.oci.image.config.v1+json","digest":"sha256:{}","size":2}},"layers":[],"annotations":{{"n":"{number}"}}}}"#,
        "0".repeat(64)
    );
    let digest = Digest::of(text.as_bytes());
    Manifest::read(text.into_bytes().into(), digest, Some(&MediaType::OCI_MANIFEST)).unwrap()
}

fn intent(manifest: &Manifest, unit: u64, tag: &str) -> DeleteIntent {
    DeleteIntent {
        unit,
        role: Role::Artifact,
        repository: "team/app".parse().unwrap(),
        digest: manifest.digest().clone(),
        media_type: manifest.media_type().clone(),
        size: manifest.bytes().len() as u64,
        tags: vec![tag.parse().unwrap()],
        parents: Vec::new(),
        children: Vec::new(),
        subject: None,
        attachments: Vec::new(),
        blobs: Vec::new(),
        pushed: None,
        pulled: None,
        labels: Vec::new(),
        reasons: json!([{"kind": "keep_none", "policy": "prereleases", "rule": "old"}]),
        undo_until: Some(at(59)),
        held: None,
        at: at(1),
    }
}

/// A run that deleted one artifact and skipped another, its undo, and a run that was interrupted.
async fn story(root: &Path) {
    let journal = Journal::new(DiskJournal::create(root, &Options::default()).unwrap());
    let plan = "01K0000000000000000000PLAN".to_owned();
    journal
        .begin(begin(applied(), Purpose::Apply { plan: plan.clone() }, 0))
        .await
        .unwrap();
    let mut recorded = Vec::new();
    for (unit, tag) in [(1, "1.0.0-rc.1"), (2, "1.0.0-rc.2")] {
        let manifest = manifest(unit);
        let intents = vec![intent(&manifest, u64::from(unit), tag)];
        recorded.extend(
            journal
                .record_unit(applied(), intents, &[manifest])
                .await
                .unwrap(),
        );
    }
    let skipped = DeleteResult::Skipped {
        why: Skip::Changed,
        detail: "1.0.0-rc.2 \u{1b}[31mmoved".to_owned(),
    };
    for (recorded, result) in recorded.iter().zip([DeleteResult::Deleted, skipped]) {
        let outcome = Outcome {
            intent: recorded.sequence(),
            result,
            at: at(2),
        };
        journal.settle(applied(), outcome).await.unwrap();
    }
    let end = End {
        at: at(3),
        results: [("deleted".to_owned(), 1), ("skipped".to_owned(), 1)].into(),
        stopped: false,
    };
    journal.end(applied(), end).await.unwrap();

    journal
        .begin(begin(
            undone(),
            Purpose::Undo {
                of: "last".to_owned(),
            },
            10,
        ))
        .await
        .unwrap();
    let deleted = recorded[0].intent();
    let restore = RestoreIntent {
        deletion: recorded[0].sequence(),
        repository: deleted.repository.clone(),
        digest: deleted.digest.clone(),
        media_type: deleted.media_type.clone(),
        tags: deleted.tags.clone(),
        hold_until: Some(at(58)),
        held_until: None,
        at: at(11),
    };
    let restore = journal.record_restore(undone(), restore).await.unwrap();
    let outcome = RestoreOutcome {
        intent: restore.sequence(),
        result: RestoreResult::Restored,
        at: at(12),
    };
    journal.settle_restore(undone(), outcome).await.unwrap();
    let end = End {
        at: at(13),
        results: [("restored".to_owned(), 1)].into(),
        stopped: false,
    };
    journal.end(undone(), end).await.unwrap();

    journal
        .begin(begin(interrupted(), Purpose::Apply { plan }, 20))
        .await
        .unwrap();
    let manifest = manifest(3);
    let intents = vec![intent(&manifest, 1, "1.0.0-rc.3")];
    let lost = journal
        .record_unit(interrupted(), intents, &[manifest])
        .await
        .unwrap();
    let doubt = Doubt {
        intent: lost[0].sequence(),
        at: at(21),
        detail: "DELETE timed out".to_owned(),
    };
    journal.doubt(interrupted(), doubt).await.unwrap();
}

async fn told() -> (Place, PathBuf) {
    let place = Place::new();
    let root = place.path().join("state");
    story(&root).await;
    (place, root)
}

#[track_caller]
fn hinted(run: Run, code: i32, says: &str) -> Run {
    let run = run.exits(code);
    let lines: Vec<_> = run.stderr.lines().collect();
    assert!(
        lines[0].starts_with("error: failed to ") && run.stderr.contains(says),
        "{}",
        run.stderr
    );
    assert!(lines.last().unwrap().starts_with("hint: "), "{}", run.stderr);
    run
}

/// Every file below, for comparison.
fn files(root: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut all = Vec::new();
    for entry in fs::read_dir(root).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            all.extend(files(&path));
        } else if path.file_name().unwrap() != "lock" {
            all.push((path.clone(), fs::read(path).unwrap()));
        }
    }
    all.sort();
    all
}

#[tokio::test]
async fn the_list_of_runs_tells_what_each_came_to() {
    let (place, _) = told().await;
    let list = place.run("journal list --state-dir state").await.exits(0);
    let lines: Vec<_> = list.stdout.lines().collect();
    assert_eq!(lines.len(), 4, "{}", list.stdout);
    for (line, parts) in lines[1..].iter().zip([
        ["apply", "harbor", "1 deleted, 1 skipped"],
        ["undo last", "harbor", "1 restored"],
        ["apply", "harbor", "no end on record, 1 in doubt"],
    ]) {
        assert!(parts.iter().all(|part| line.contains(part)), "{line}");
    }
    assert!(lines[1].starts_with(&applied().to_string()) && lines[1].contains("2026-11-21T12:00:00Z"));

    let json = place
        .run("--state-dir state journal list --format json")
        .await
        .exits(0)
        .json();
    assert_eq!(json["schema"], "lagan.runs/v1");
    assert_eq!(json["runs"][0]["results"]["deleted"], 1);
    // The registry tells nothing of its collections, and what puts back has no end.
    assert!(lines[1].contains("not known") && !lines[2].contains("not known"));
    let undo = &json["runs"][0]["undo"];
    assert_eq!(
        undo,
        &json!({"until": null, "why": "until the registry's next garbage collection, whose time it does not tell"})
    );
    assert_eq!(json["runs"][1]["undo"], json!(null));
    assert_eq!(json["runs"][1]["purpose"]["kind"], "undo");
    assert_eq!(json["runs"][2]["ended"], json!(null));
    assert_eq!(json["runs"][2]["open"], 1);
}

#[tokio::test]
async fn a_run_is_shown_with_the_rule_the_outcome_and_its_undo() {
    let (place, _) = told().await;
    let shown = place
        .run(&format!("journal show {} --state-dir state", applied()))
        .await
        .exits(0)
        .stdout;
    for part in [
        "team/app\n",
        "deleted",
        "1.0.0-rc.1",
        "(prereleases/old)",
        "can be put back until 2026-11-21T12:59:00Z",
        &format!("undo {}: restored", undone()),
        "1.0.0-rc.2 \\u{1b}[31mmoved",
        "prereleases (sha256:abababababab)",
        "until the registry's next garbage collection",
    ] {
        assert!(shown.contains(part), "{part}\n{shown}");
    }
    let last = place
        .run("journal show last --state-dir state")
        .await
        .exits(0)
        .stdout;
    assert!(last.contains("in doubt") && last.contains("1.0.0-rc.3"), "{last}");
    let undo = place
        .run(&format!("journal show {} --state-dir state", undone()))
        .await
        .exits(0)
        .stdout;
    assert!(
        undo.contains(&format!("deleted by {}", applied())) && undo.contains("held until"),
        "{undo}"
    );

    let command = format!("journal show {} --state-dir state --format json", applied());
    let json = place.run(&command).await.exits(0).json();
    assert_eq!(json["schema"], "lagan.history/v1");
    assert_eq!(json["undo"]["until"], json!(null));
    assert!(json["undo"]["why"].is_string(), "{json}");
    let actions = json["actions"].as_array().unwrap();
    assert_eq!(actions.len(), 2);
    assert_eq!(actions[0]["outcome"], "deleted");
    assert_eq!(
        actions[0]["restored"],
        json!([{"run": undone(), "outcome": "restored", "detail": null}])
    );
    assert_eq!(actions[0]["reasons"][0]["rule"], "old");
    assert_eq!(actions[1]["why"], "changed");
}

#[tokio::test]
async fn what_was_exported_here_is_imported_there() {
    let (place, root) = told().await;
    let exported = place
        .run("journal export --state-dir state --out all.jsonl")
        .await
        .exits(0);
    assert!(
        exported.stderr.contains("3 runs with 3 manifests"),
        "{}",
        exported.stderr
    );
    let there = Place::new();
    let file = place.path().join("all.jsonl");
    let import = format!("journal import {} --state-dir other", file.display());
    let imported = there.run(&import).await.exits(0).stdout;
    let records = DiskJournal::open(&root, &Options::default())
        .unwrap()
        .list()
        .unwrap();
    let records: u64 = records.iter().map(|run| run.records).sum();
    assert!(
        imported.starts_with(&format!("imported {records} records into other; 0 were")),
        "{imported}"
    );
    let list = "journal list --state-dir";
    assert_eq!(
        there.run(&format!("{list} other")).await.exits(0).stdout,
        place.run(&format!("{list} state")).await.exits(0).stdout
    );
    let again = there.run(&import).await.exits(0).stdout;
    assert!(
        again.contains(&format!("imported 0 records into other; {records} were")),
        "{again}"
    );
    there.run("journal verify --state-dir other").await.exits(0);

    // An undo brings along what it undid; a time leaves out what began before it.
    let undo = place
        .run(&format!("journal export {} --state-dir state", undone()))
        .await
        .exits(0);
    assert!(undo.stderr.contains("2 runs with 2 manifests"), "{}", undo.stderr);
    let late = place
        .run("journal export --since 2026-11-21T12:15:00Z --state-dir state")
        .await
        .exits(0);
    assert!(late.stderr.contains("1 run with 1 manifest"), "{}", late.stderr);
    let none = place
        .run("journal export --since 2026-11-22T00:00:00Z --state-dir state")
        .await
        .exits(2);
    assert!(
        none.stdout.is_empty() && none.stderr.contains("no run began since"),
        "{}",
        none.stderr
    );
    let usage = place
        .run("journal export --since yesterday --state-dir state")
        .await
        .exits(2);
    assert!(usage.stderr.contains("7d"), "{}", usage.stderr);
}

#[tokio::test]
async fn an_export_that_was_cut_imports_nothing() {
    let (place, _) = told().await;
    let whole = place
        .run("journal export --state-dir state")
        .await
        .exits(0)
        .stdout;
    let cut = whole.rsplit_once("{\"lines\"").unwrap().0;
    place.file("cut.jsonl", cut);
    place.file("other.jsonl", "{\"hello\": 1}\n");
    for (file, says) in [("cut.jsonl", "cut off"), ("other.jsonl", "line 1")] {
        hinted(
            place.run(&format!("journal import {file} --state-dir new")).await,
            2,
            says,
        );
    }
    let missing = place
        .run("journal import missing.jsonl --state-dir absent")
        .await
        .exits(2);
    assert!(missing.stderr.contains("missing.jsonl"), "{}", missing.stderr);
    assert!(!place.path().join("absent").exists());
    let list = place.run("journal list --state-dir new").await.exits(0).stdout;
    assert!(list.starts_with("no runs"), "{list}");
}

#[tokio::test]
async fn a_journal_that_is_written_anew_says_the_same() {
    let (place, _) = told().await;
    let before = place
        .run("journal export --state-dir state")
        .await
        .exits(0)
        .stdout;
    let done = place
        .run("journal compact --state-dir state")
        .await
        .exits(0)
        .stdout;
    assert!(done.contains("records written anew and checked"), "{done}");
    assert_eq!(
        place
            .run("journal export --state-dir state")
            .await
            .exits(0)
            .stdout,
        before
    );
    let sound = place
        .run("journal verify --state-dir state")
        .await
        .exits(0)
        .stdout;
    assert!(sound.contains("both copies are sound"), "{sound}");
}

#[tokio::test]
async fn damage_in_one_copy_is_told_and_repaired_and_damage_in_both_refused() {
    let (place, root) = told().await;
    let mirror = root.join("journal.1/mirror.jsonl");
    let sound = fs::read(&mirror).unwrap();
    let mut damaged = sound.clone();
    let middle = damaged.len() / 2;
    damaged[middle] ^= 1;
    fs::write(&mirror, &damaged).unwrap();
    let found = place.run("journal verify --state-dir state").await.exits(4);
    assert!(
        found.stdout.contains("1 problem") || found.stdout.contains("problems"),
        "{}",
        found.said()
    );
    let repaired = place.run("journal list --state-dir state").await.exits(0);
    assert!(
        repaired.stderr.contains("built anew from both copies"),
        "{}",
        repaired.stderr
    );
    assert_eq!(repaired.stdout.lines().count(), 4);
    place.run("journal verify --state-dir state").await.exits(0);

    let copies = root.join("journal.2");
    let mirror = copies.join("mirror.jsonl");
    let text = fs::read_to_string(&mirror).unwrap();
    let kept: Vec<_> = text.lines().filter(|line| !line.contains("\"seq\":4,")).collect();
    fs::write(&mirror, kept.join("\n") + "\n").unwrap();
    fs::remove_dir_all(copies.join("store")).unwrap();
    let before = files(&root.join("journal.2"));
    hinted(
        place.run("journal list --state-dir state").await,
        1,
        "record 4 is in neither copy",
    );
    assert_eq!(files(&root.join("journal.2")), before);
}

#[tokio::test]
async fn what_is_no_state_directory_of_ours_is_refused_with_a_hint() {
    let (place, root) = told().await;
    hinted(
        place.run("journal list --state-dir nowhere").await,
        2,
        "there is none",
    );
    let empty = place.path().join("empty");
    fs::create_dir(&empty).unwrap();
    fs::set_permissions(&empty, fs::Permissions::from_mode(0o700)).unwrap();
    hinted(
        place.run("journal list --state-dir empty").await,
        2,
        "there is none",
    );
    assert_eq!(fs::read_dir(&empty).unwrap().count(), 0);
    place.file("file", "x");
    hinted(
        place.run("journal list --state-dir file").await,
        2,
        "it is no directory",
    );
    fs::create_dir(place.path().join("foreign")).unwrap();
    place.file("foreign/precious", "x");
    let private = fs::Permissions::from_mode(0o700);
    fs::set_permissions(place.path().join("foreign"), private.clone()).unwrap();
    hinted(
        place.run("journal list --state-dir foreign").await,
        2,
        "not a state directory",
    );
    place.file(
        "export.jsonl",
        place.run("journal export --state-dir state").await.stdout,
    );
    hinted(
        place.run("journal import export.jsonl --state-dir foreign").await,
        2,
        "not a state directory",
    );
    assert_eq!(fs::read_dir(place.path().join("foreign")).unwrap().count(), 1);
    // Nobody can make a directory there, whoever runs this.
    hinted(
        place
            .run("journal import export.jsonl --state-dir /sys/lagan")
            .await,
        2,
        "create the state",
    );

    fs::set_permissions(&root, fs::Permissions::from_mode(0o750)).unwrap();
    hinted(place.run("journal list --state-dir state").await, 2, "0750");
    fs::set_permissions(&root, private).unwrap();

    let head = root.join("lagan-state.json");
    let newer = fs::read_to_string(&head)
        .unwrap()
        .replace("\"version\":1", "\"version\":9");
    fs::write(&head, newer).unwrap();
    let before = files(&root);
    hinted(place.run("journal verify --state-dir state").await, 2, "format 9");
    assert_eq!(files(&root), before);
}

#[tokio::test]
async fn a_second_process_is_told_who_is_first() {
    let (place, root) = told().await;
    let journal = DiskJournal::open(&root, &Options::default()).unwrap();
    let process = format!("process {}", std::process::id());
    for command in ["list", "verify", "compact", "export"] {
        hinted(
            place.run(&format!("journal {command} --state-dir state")).await,
            2,
            &process,
        );
    }
    drop(journal);
    place.run("journal list --state-dir state").await.exits(0);
}

#[tokio::test]
async fn a_run_that_is_not_there_is_a_usage_error() {
    let (place, _) = told().await;
    let unknown = RunId::from_bits(7);
    hinted(
        place
            .run(&format!("journal show {unknown} --state-dir state"))
            .await,
        2,
        "not in the journal",
    );
    hinted(
        place
            .run(&format!("journal export {unknown} --state-dir state"))
            .await,
        2,
        "not in the journal",
    );
    let none = place
        .run("journal show yesterday --state-dir state")
        .await
        .exits(2);
    assert!(
        none.stderr.contains("ULID") && none.stderr.contains("hint: "),
        "{}",
        none.stderr
    );
}

#[tokio::test]
async fn the_state_directory_is_where_the_documentation_says() {
    let place = Place::new();
    let number = |place: &Place, directory: &str| {
        let root = place.path().join(directory);
        fs::create_dir_all(root.parent().unwrap()).unwrap();
        drop(DiskJournal::create(&root, &Options::default()).unwrap());
    };
    // Each is gone before the next is looked at, which so has to be the next in rank.
    let xdg = place.path().join("xdg").display().to_string();
    let variables = [("LAGAN_STATE_DIR", "variable"), ("XDG_STATE_HOME", xdg.as_str())];
    place.file("lagan.yaml", "state_dir: configured\n");
    for directory in [
        "named",
        "variable",
        "configured",
        "xdg/lagan",
        ".local/state/lagan",
    ] {
        let (environment, arguments): (&[_], _) = match directory {
            "named" => (&variables, "journal list --state-dir named"),
            "variable" => (&variables, "journal list"),
            "configured" => (&variables[1..], "journal list"),
            "xdg/lagan" => {
                fs::remove_file(place.path().join("lagan.yaml")).unwrap();
                (&variables[1..], "journal list")
            }
            _ => (&[("XDG_STATE_HOME", "relative/is/ignored")], "journal list"),
        };
        let absent = place.run_with(environment, arguments).await;
        hinted(absent, 2, &format!("{directory}: there is none"));
        number(&place, directory);
        place.run_with(environment, arguments).await.exits(0);
    }
}

#[tokio::test]
async fn a_plan_makes_no_state_directory() {
    let sandbox = Sandbox::start(SandboxOptions::default()).await.unwrap();
    sandbox.put_image("team/app", &["1.0.0-rc.1"], Moment::date(2026, 1, 1));
    let place = Place::new();
    let plan = format!(
        "plan --registry {} --state-dir state --select channel=rc --keep last=1,by=version",
        sandbox.url()
    );
    place.run(&plan).await.exits(0);
    assert_eq!(fs::read_dir(place.path()).unwrap().count(), 0);
}
