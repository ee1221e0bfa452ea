//! The audit log, as `jq` would read it.

use std::fs;
use std::path::PathBuf;

use lagan_sandbox::{Moment, SandboxOptions};
use serde_json::{Value, json};

use crate::support::Place;
use crate::{TWO, apply, candidates, start, undo};

fn file(place: &Place) -> PathBuf {
    place.path().join(".local/state/lagan/audit/000001.jsonl")
}

/// The entries, without the header.
fn entries(place: &Place) -> Vec<Value> {
    let text = fs::read_to_string(file(place)).unwrap();
    let entries = text.lines().map(|line| serde_json::from_str(line).unwrap());
    entries.skip(1).collect()
}

fn kinds(entries: &[Value]) -> Vec<&str> {
    entries
        .iter()
        .map(|entry| entry["event"].as_str().unwrap())
        .collect()
}

#[tokio::test]
async fn who_deleted_what_and_why_is_on_record_and_so_is_who_brought_it_back() {
    let sandbox = start(SandboxOptions::default()).await;
    candidates(&sandbox, "team/app", 4);
    let place = Place::new();
    let doomed: Vec<_> = ["1.0.0-rc.1", "1.0.0-rc.2"]
        .iter()
        .map(|tag| sandbox.resolve("team/app", tag).unwrap().to_string())
        .collect();
    let line = format!("{TWO} --override-limit max_deletions=off");
    let report = apply(&place, &sandbox, &line, 0).await;
    let found = entries(&place);
    assert_eq!(
        kinds(&found),
        ["run_begins", "deletion_decided", "deletion_decided", "run_ended"]
    );
    let begins = &found[0];
    assert_eq!(begins["run"], report["run"]);
    assert_eq!(begins["overrides"], json!(["max_deletions=off"]));
    assert_eq!(begins["who"]["kind"], "user");
    assert!(begins["who"]["uid"].is_u64(), "{begins}");
    let mut decided: Vec<_> = found[1..3]
        .iter()
        .map(|entry| {
            assert_eq!(entry["repository"], "team/app");
            assert_eq!(entry["decision"]["action"], "delete");
            assert_ne!(entry["decision"]["reasons"], json!([]), "{entry}");
            entry["decision"]["digest"].as_str().unwrap().to_owned()
        })
        .collect();
    decided.sort();
    let mut doomed = doomed;
    doomed.sort();
    assert_eq!(decided, doomed);
    assert_eq!(found[3]["outcome"], "done");

    undo(&place, "last", 0).await;
    let found = entries(&place);
    assert_eq!(kinds(&found)[4..], ["undo_begins", "run_ended"]);
    assert_eq!(found[4]["purpose"]["of"], report["run"]);

    // Looking at what would be done is nothing to record.
    undo(&place, "last --dry-run", 0).await;
    assert_eq!(entries(&place).len(), found.len());
    let sound = place.run("journal verify").await.exits(0).stdout;
    assert!(
        sound.contains("audit log: 6 entries in 1 file, in one chain"),
        "{sound}"
    );

    let mut damaged = fs::read(file(&place)).unwrap();
    let middle = damaged.len() / 2;
    damaged[middle] ^= 1;
    fs::write(file(&place), damaged).unwrap();
    let said = place.run("journal verify").await.exits(4).stdout;
    assert!(said.contains("000001.jsonl, line"), "{said}");
}

#[tokio::test]
async fn a_refusal_a_pause_and_who_ends_it_are_on_record() {
    let sandbox = start(SandboxOptions::default()).await;
    candidates(&sandbox, "team/app", 4);
    let place = Place::new();
    let line = format!(
        "apply --registry {} --yes {TWO} --override-limit max_deletions=1",
        sandbox.url()
    );
    place.run(&line).await.exits(3);
    place.run("pause --why moving").await.exits(0);
    place.run("resume").await.exits(0);
    let found = entries(&place);
    assert_eq!(kinds(&found), ["refused", "paused", "resumed"]);
    assert_eq!(found[0]["what"], "apply");
    assert!(found[0]["why"].as_str().unwrap().contains("max_deletions"));
    assert_eq!(found[1]["why"], "moving");
    assert_eq!(sandbox.tags("team/app").len(), 4);
}

#[tokio::test]
async fn a_saved_plan_that_is_out_of_date_is_refused_on_record() {
    let sandbox = start(SandboxOptions::default()).await;
    candidates(&sandbox, "team/app", 4);
    let place = Place::new();
    apply(&place, &sandbox, TWO, 0).await;
    let before = entries(&place).len();
    let line = format!("plan --registry {} {TWO} --save plan.json", sandbox.url());
    place.run(&line).await.exits(0);
    // It is for another registry.
    let other = start(SandboxOptions::default()).await;
    let line = format!("apply plan.json --yes --registry {}", other.url());
    place.run(&line).await.exits(3);
    let found = entries(&place);
    assert_eq!(kinds(&found)[before..], ["refused"]);
}

#[tokio::test]
async fn a_purge_beside_an_apply_has_its_beginning_and_its_end_on_record() {
    let sandbox = start(SandboxOptions::default()).await;
    candidates(&sandbox, "team/app", 4);
    let place = Place::new();
    let text = format!(
        "registries: {{here: {{url: '{}'}}}}\npolicies:\n  p:\n    repositories: 'team/**'\n    mode: enforce\n    \
         grace: {{repository: 'hold/{{repository}}', for: 1s}}\n    rules: [{{select: {{channel: prerelease}}, keep: {{last: \
         3, by: version}}}}]\n",
        sandbox.url()
    );
    place.file("lagan.yaml", text);
    // Each run has something to delete, and the last one a copy whose grace is over, in real time.
    let mut both = false;
    for number in 5..205 {
        let tag = format!("1.0.0-rc.{number}");
        let report = place.run("apply --yes --format json").await.exits(0).json();
        let outcomes = crate::outcomes(&report);
        both = !outcomes["purged"].is_null() && !outcomes["deleted"].is_null();
        if both {
            break;
        }
        sandbox.put_image("team/app", &[&tag], Moment::date(2026, 3, 1));
    }
    assert!(both);
    let found = entries(&place);
    let runs = |event: &str| -> Vec<String> {
        let of = found.iter().filter(|entry| entry["event"] == event);
        of.map(|entry| entry["run"].to_string()).collect()
    };
    assert_eq!(runs("run_begins"), runs("run_ended"), "{found:#?}");
    assert!(
        found
            .iter()
            .any(|entry| entry["purpose"].to_string().contains("purge")),
        "{found:#?}"
    );
}

#[tokio::test]
async fn an_audit_log_that_cannot_be_written_lets_nothing_be_deleted() {
    let sandbox = start(SandboxOptions::default()).await;
    candidates(&sandbox, "team/app", 4);
    let place = Place::new();
    apply(&place, &sandbox, TWO, 0).await;
    candidates(&sandbox, "team/app", 8);
    let before = sandbox.tags("team/app");
    let folder = place.path().join(".local/state/lagan/audit");
    fs::remove_dir_all(&folder).unwrap();
    fs::write(&folder, "in the way").unwrap();
    let line = format!("apply --registry {} --yes {TWO}", sandbox.url());
    let run = place.run(&line).await.exits(1);
    assert!(run.stderr.contains("audit log"), "{}", run.stderr);
    assert_eq!(sandbox.tags("team/app"), before);
}
