//! What is deleted under a policy with a notice: announced first, and only what was.

use std::fs;
use std::path::PathBuf;

use lagan_sandbox::{Moment, Sandbox, SandboxOptions};
use serde_json::{Value, json};

use crate::support::Place;
use crate::{apply, candidates, outcomes, start};

/// A policy that keeps the two newest candidates.
fn policy(place: &Place, more: &str) -> String {
    let text = format!(
        "repositories: [\"**\"]\nmode: enforce\nrules:\n  - select: {{tags: [\"*\"]}}\n    keep: {{last: 2, by: version}}\n{more}\n"
    );
    format!("--policy-file {}", place.file("policy.yaml", text).display())
}

async fn five() -> Sandbox {
    let sandbox = start(SandboxOptions::default()).await;
    candidates(&sandbox, "team/app", 5);
    sandbox
}

fn why(report: &Value) -> Vec<String> {
    let repositories = report["repositories"].as_array().unwrap().iter();
    let entries = repositories.flat_map(|repository| repository["entries"].as_array().unwrap());
    entries
        .map(|entry| entry["why"].as_str().unwrap_or_default().to_owned())
        .collect()
}

async fn plan(place: &Place, sandbox: &Sandbox, policy: &str) -> Value {
    let line = format!("plan --registry {} {policy} --format json", sandbox.url());
    place.run(&line).await.exits(0).json()
}

/// The file with what is announced.
fn record(place: &Place) -> PathBuf {
    let folder = place.path().join(".local/state/lagan/announced");
    let mut files = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    files
        .find(|path| path.extension().is_some_and(|extension| extension == "ndjson"))
        .unwrap()
}

#[tokio::test]
async fn what_is_new_is_announced_and_what_was_announced_for_long_enough_goes() {
    let sandbox = five().await;
    let place = Place::new();
    let policy = policy(&place, "notice: 1s");
    let first = apply(&place, &sandbox, &policy, 0).await;
    assert_eq!(outcomes(&first), json!({"skipped": 3}));
    assert_eq!(why(&first), ["notice", "notice", "notice"]);
    assert_eq!(first["run"], Value::Null);
    assert_eq!(sandbox.tags("team/app").len(), 5);
    // The notice is real time, and is over as soon as this loop ends.
    let mut last = first;
    for _ in 0..500 {
        last = apply(&place, &sandbox, &policy, 0).await;
        if outcomes(&last) != json!({"skipped": 3}) {
            break;
        }
    }
    assert_eq!(outcomes(&last), json!({"deleted": 3}));
    assert_eq!(sandbox.tags("team/app").len(), 2);
    // What is pushed now makes something else go, which is new.
    sandbox.put_image("team/app", &["1.0.0-rc.6"], Moment::date(2026, 2, 1));
    let next = apply(&place, &sandbox, &policy, 0).await;
    assert_eq!(outcomes(&next), json!({"skipped": 1}));
}

#[tokio::test]
async fn a_plan_shows_what_waits_and_announces_nothing() {
    let sandbox = five().await;
    let place = Place::new();
    let policy = policy(&place, "notice: 24h");
    for _ in 0..2 {
        let planned = plan(&place, &sandbox, &policy).await;
        let waiting = planned["repositories"][0]["waiting"].as_array().unwrap();
        assert_eq!(waiting.len(), 3);
        assert!(
            waiting.iter().all(|one| one["announced"].is_null()),
            "{waiting:?}"
        );
        assert_eq!(planned["totals"]["waiting"], 3);
    }
    apply(&place, &sandbox, &policy, 0).await;
    let planned = plan(&place, &sandbox, &policy).await;
    let waiting = planned["repositories"][0]["waiting"].as_array().unwrap();
    assert!(
        waiting.iter().all(|one| one["announced"].is_string()),
        "{waiting:?}"
    );
    let line = format!("plan --registry {} {policy}", sandbox.url());
    let text = place.run(&line).await.exits(0).stdout;
    assert!(text.contains("WAITS until"), "{text}");
    assert!(
        text.contains("3 of these wait for a notice, the first until"),
        "{text}"
    );
}

#[tokio::test]
async fn what_cannot_be_read_of_the_record_announces_nothing_and_is_told() {
    let sandbox = five().await;
    let place = Place::new();
    let policy = policy(&place, "notice: 24h");
    apply(&place, &sandbox, &policy, 0).await;
    let path = record(&place);
    let whole = fs::read_to_string(&path).unwrap();
    // As announced a year ago, by whoever can write the file, and no checksum.
    let year = chrono::Utc::now().format("%Y-").to_string();
    let older = whole.replace(&year, "2020-");
    for damaged in [older.as_str(), &whole[..whole.len() / 2], ""] {
        fs::write(&path, damaged).unwrap();
        let line = format!("apply --registry {} --yes --format json {policy}", sandbox.url());
        let ran = place.run(&line).await.exits(0);
        assert_eq!(outcomes(&ran.json()), json!({"skipped": 3}));
        assert!(
            ran.stderr.contains("is not known, and waits anew"),
            "{}",
            ran.stderr
        );
        assert_eq!(
            fs::read_to_string(path.with_extension("unreadable")).unwrap(),
            damaged
        );
    }
    assert_eq!(sandbox.tags("team/app").len(), 5);
}

#[tokio::test]
async fn a_saved_plan_waits_as_any_other() {
    let sandbox = five().await;
    let place = Place::new();
    let policy = policy(&place, "notice: 1s");
    let url = sandbox.url();
    place
        .run(&format!(
            "plan --registry {url} {policy} --save plan.json --format json"
        ))
        .await
        .exits(0);
    let line = format!("apply plan.json {policy} --yes --format json");
    let first = place.run(&line).await.exits(0).json();
    assert_eq!(outcomes(&first), json!({"skipped": 3}));
    let mut last = first;
    for _ in 0..500 {
        last = place.run(&line).await.exits(0).json();
        if outcomes(&last) != json!({"skipped": 3}) {
            break;
        }
    }
    assert_eq!(outcomes(&last), json!({"deleted": 3}));
}

#[tokio::test]
async fn a_run_in_which_all_waits_is_none_for_the_limits_of_later_ones() {
    let sandbox = five().await;
    let place = Place::new();
    let policy = policy(&place, "notice: 24h\nlimits: {max_deletions: 2}");
    // What waits is no part of the run that the limit is about.
    apply(&place, &sandbox, &policy, 0).await;
    let runs = place.run("journal list --format json").await.exits(0).json();
    assert_eq!(runs["runs"].as_array().map(Vec::len), Some(0), "{runs}");
}
