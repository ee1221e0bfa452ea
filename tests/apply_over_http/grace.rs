//! What is deleted under a policy with a grace: held, brought back after a garbage collection, purged.

use lagan_sandbox::{Auth, Bearer, Fault, Grant, Moment, RequestKind, Sandbox, SandboxOptions, User};
use serde_json::{Value, json};

use crate::photograph::photograph;
use crate::support::Place;
use crate::{apply, candidates, outcomes, start, undo};

/// A policy that keeps the newest candidate and holds the others.
fn policy(place: &Place, period: &str) -> String {
    let text = format!(
        "repositories: [\"**\"]\nmode: enforce\nrules:\n  - select: {{tags: [\"*\"]}}\n    keep: {{last: 1, by: version}}\n\
         grace: {{repository: \"hold/{{repository}}\", for: {period}}}\n"
    );
    format!("--policy-file {}", place.file("policy.yaml", text).display())
}

async fn indexes_and_images() -> Sandbox {
    let sandbox = start(SandboxOptions::default()).await;
    candidates(&sandbox, "team/app", 4);
    candidates(&sandbox, "team/web", 2);
    sandbox
}

fn entries(report: &Value) -> Vec<Value> {
    let repositories = report["repositories"].as_array().unwrap().iter();
    repositories
        .flat_map(|repository| repository["entries"].as_array().unwrap().clone())
        .collect()
}

/// The photograph of what is not in a holding repository.
async fn ours(sandbox: &Sandbox) -> crate::photograph::Photograph {
    let mut whole = photograph(&sandbox.url(), None).await;
    whole.manifests.retain(|key, _| !key.starts_with("hold/"));
    whole.referrers.retain(|key, _| !key.starts_with("hold/"));
    whole
}

#[tokio::test]
async fn what_is_held_comes_back_byte_for_byte_after_a_garbage_collection_by_mounts_or_by_copies() {
    for mounts in [true, false] {
        let sandbox = start(SandboxOptions::default().behave(|behaviour| behaviour.mount = mounts)).await;
        candidates(&sandbox, "team/app", 4);
        candidates(&sandbox, "team/web", 2);
        let before = ours(&sandbox).await;
        let place = Place::new();
        let policy = policy(&place, "72h");
        let url = sandbox.url();
        let planned = place
            .run(&format!("plan --registry {url} {policy} --format json"))
            .await
            .exits(0)
            .json();
        let undo_of = &planned["repositories"][0]["actions"][0]["undo"];
        assert_eq!(
            undo_of["holding"],
            json!({"repository": "hold/team/app", "for": "72h"})
        );
        assert!(undo_of["until"].is_string(), "{undo_of}");

        let report = apply(&place, &sandbox, &policy, 0).await;
        assert_eq!(outcomes(&report), json!({"deleted": 4}));
        for entry in entries(&report) {
            assert!(entry["held"]["until"].is_string(), "{entry}");
        }
        assert_eq!(sandbox.tags("hold/team/app").len(), 3);
        let kinds = &report["requests"]["by_kind"];
        assert!(kinds["mount"].as_u64().unwrap() > 0, "{kinds}");
        assert_eq!(kinds["copy"].is_null(), mounts, "{kinds}");

        sandbox.collect_garbage(true);
        assert_eq!(sandbox.tags("hold/team/app").len(), 3);
        // A second plan sees nothing to do, and nothing of what is held.
        let again = place
            .run(&format!("plan --registry {url} {policy} --format json"))
            .await
            .exits(0)
            .json();
        assert_eq!(again["totals"]["repositories"], 2, "{again}");
        assert_eq!(again["totals"]["delete_artifacts"], 0);

        assert_eq!(outcomes(&undo(&place, "last", 0).await), json!({"restored": 4}));
        assert_eq!(before.differences(&ours(&sandbox).await), Vec::<String>::new());
        // Somebody who pulls gets the layers as well.
        for (tag, digest) in sandbox.tags("team/app") {
            let manifest = sandbox.manifest("team/app", &digest).unwrap();
            for blob in manifest.config.iter().chain(&manifest.layers) {
                assert!(sandbox.has_blob("team/app", &blob.digest), "{tag}");
            }
        }
        place.run("journal verify").await.exits(0);
    }
}

#[tokio::test]
async fn report_and_history_say_of_a_run_until_when_all_that_it_deleted_is_held() {
    let sandbox = indexes_and_images().await;
    let children = [1, 2].map(|day| sandbox.put_image("team/app", &[], Moment::date(2025, 1, day)));
    sandbox.put_index("team/app", &["1.0.0-beta.1"], &children);
    let place = Place::new();
    let report = apply(&place, &sandbox, &policy(&place, "72h"), 0).await;
    assert_eq!(outcomes(&report), json!({"deleted": 7}));
    let held = entries(&report);
    let first = held
        .iter()
        .map(|entry| entry["held"]["until"].as_str().unwrap())
        .min();
    let first = first.unwrap();
    let undo = &report["undo"];
    assert_eq!((&undo["possible"], &undo["until"]), (&json!(true), &json!(first)));
    let list = place.run("journal list --format json").await.exits(0).json();
    let shown = place.run("journal show last --format json").await.exits(0).json();
    for of_run in [&list["runs"][0]["undo"], &shown["undo"]] {
        assert_eq!((&of_run["until"], &of_run["why"]), (&json!(first), &undo["why"]));
    }
    let until = &first[..19];
    for command in ["journal list", "journal show last"] {
        let said = place.run(command).await.exits(0).said();
        assert!(said.contains(until), "{command}: {said}");
    }
}

#[tokio::test]
async fn without_a_grace_a_garbage_collection_is_the_end_of_it() {
    let sandbox = indexes_and_images().await;
    let place = Place::new();
    apply(&place, &sandbox, crate::TWO, 0).await;
    assert!(sandbox.collect_garbage(false) > 0);
    assert_eq!(
        outcomes(&undo(&place, "last", 4).await),
        json!({"unrecoverable": 2})
    );
}

#[tokio::test]
async fn a_copy_whose_grace_is_over_is_purged_by_the_next_apply_and_told() {
    let sandbox = indexes_and_images().await;
    let place = Place::new();
    let short = policy(&place, "1s");
    apply(&place, &sandbox, &short, 0).await;
    let held = sandbox.tags("hold/team/app").len() + sandbox.tags("hold/team/web").len();
    assert_eq!(held, 4);
    // The grace is real time, and is over as soon as this loop ends.
    let mut purged = 0;
    for _ in 0..200 {
        let report = apply(&place, &sandbox, &short, 0).await;
        purged += outcomes(&report)["purged"].as_u64().unwrap_or(0);
        if purged == 4 {
            let entry = entries(&report).pop().unwrap();
            assert_eq!(entry["action"], "purge");
            // Nothing but the purge was done.
            assert_eq!(
                (report["purge"].is_string(), &report["run"]),
                (true, &report["purge"])
            );
            break;
        }
    }
    assert_eq!(purged, 4);
    assert_eq!(sandbox.tags("hold/team/app").len(), 0);
    // The last run that deleted is the apply, not the purge.
    assert_eq!(
        outcomes(&undo(&place, "last --dry-run", 0).await),
        json!({"restored": 4})
    );
    sandbox.collect_garbage(false);
    assert_eq!(
        outcomes(&undo(&place, "last", 4).await),
        json!({"unrecoverable": 4})
    );
    let runs = place.run("journal list").await.exits(0).said();
    assert!(runs.contains("purge"), "{runs}");
}

#[tokio::test]
async fn what_cannot_be_held_stays_and_is_told() {
    let sandbox = indexes_and_images().await;
    let digest = sandbox.resolve("team/app", "1.0.0-rc.1").unwrap();
    let manifest = sandbox.manifest("team/app", &digest).unwrap();
    let layer = manifest.layers.first().unwrap().digest;
    sandbox.delete_blob("team/app", layer);
    let place = Place::new();
    let policy = policy(&place, "72h");
    let report = apply(&place, &sandbox, &policy, 4).await;
    assert_eq!(outcomes(&report), json!({"deleted": 3, "skipped": 1}));
    let left = entries(&report);
    let left = left.iter().find(|entry| entry["outcome"] == "skipped").unwrap();
    assert_eq!(left["why"], "not_held");
    assert_eq!(sandbox.resolve("team/app", "1.0.0-rc.1"), Some(digest));
}

#[tokio::test]
async fn a_copy_that_is_refused_for_a_moment_is_put_once_more_and_no_further_time() {
    for (times, outcomes_of) in [
        (1, json!({"deleted": 4})),
        (2, json!({"deleted": 3, "skipped": 1})),
    ] {
        let sandbox = indexes_and_images().await;
        let place = Place::new();
        let policy = policy(&place, "72h");
        let refused = Fault::status(400).on(RequestKind::ManifestPut).first(times);
        let refused = sandbox.faults().push(refused.repository("hold/team/web"));
        let report = apply(&place, &sandbox, &policy, if times == 1 { 0 } else { 4 }).await;
        assert_eq!(sandbox.faults().fired(refused), times);
        assert_eq!(outcomes(&report), outcomes_of);
    }
}

#[tokio::test]
async fn a_saved_plan_holds_as_it_says() {
    let sandbox = indexes_and_images().await;
    let place = Place::new();
    let policy = policy(&place, "72h");
    let plan = place.path().join("plan.json");
    let url = sandbox.url();
    place
        .run(&format!(
            "plan --registry {url} {policy} --save {}",
            plan.display()
        ))
        .await
        .exits(0);
    let line = format!(
        "apply {} --registry {url} {policy} --yes --format json",
        plan.display()
    );
    let report = place.run(&line).await.exits(0).json();
    assert_eq!(outcomes(&report), json!({"deleted": 4}));
    assert_eq!(sandbox.tags("hold/team/app").len(), 3);
}

#[tokio::test]
async fn tokens_are_asked_for_both_repositories_and_for_no_more() {
    let all = ["pull", "push", "delete"];
    let user = User::new("lagan", "secret")
        .grant(Grant::catalog())
        .grant(Grant::repository("team/app", &all))
        .grant(Grant::repository("hold/team/app", &all));
    let sandbox = start(SandboxOptions {
        auth: Auth::Bearer(Bearer::new(vec![user])),
        ..SandboxOptions::default()
    })
    .await;
    candidates(&sandbox, "team/app", 2);
    let place = Place::new();
    let policy = policy(&place, "72h");
    let password = place.file("password", "secret");
    let login = format!("--username lagan --password-file {}", password.display());
    let report = apply(&place, &sandbox, &format!("{policy} {login}"), 0).await;
    assert_eq!(outcomes(&report), json!({"deleted": 1}));
    sandbox.collect_garbage(false);
    assert_eq!(
        outcomes(&undo(&place, &format!("last {login}"), 0).await),
        json!({"restored": 1})
    );
}
