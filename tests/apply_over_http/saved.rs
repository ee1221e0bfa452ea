//! Plans that were saved, and are carried out later.

use std::fs;

use lagan_sandbox::{Moment, Profile, SandboxOptions};
use serde_json::{Value, json};

use crate::photograph::photograph;
use crate::support::Place;
use crate::{TWO, candidates, outcomes, start, undo};

/// A configuration with one policy that is enforced, and keeps so many.
fn config(url: &str, last: u32, mode: &str) -> String {
    format!(
        "registries: {{here: {{url: {url}}}}}\npolicies:\n  cleanup:\n    repositories: [\"**\"]\n    mode: {mode}\n    \
         rules:\n      - name: some\n        select: {{channel: [prerelease]}}\n        \
         keep: {{last: {last}, by: version}}\n"
    )
}

async fn carry_out(place: &Place, code: i32) -> Value {
    place
        .run("apply plan.json --yes --format json")
        .await
        .exits(code)
        .json()
}

#[tokio::test]
async fn what_is_carried_out_is_the_plan_that_was_saved() {
    let sandbox = start(SandboxOptions::default()).await;
    candidates(&sandbox, "team/app", 6);
    let place = Place::new();
    let before = photograph(&sandbox.url(), None).await;
    let line = format!("plan --registry {} {TWO} --save plan.json", sandbox.url());
    place.run(&line).await.exits(0);
    let saved: Value = serde_json::from_slice(&fs::read(place.path().join("plan.json")).unwrap()).unwrap();

    // A newer one would make another plan; this one is older, and one of its tags has moved.
    sandbox.put_image("team/app", &["1.0.0-rc.7"], Moment::date(2026, 2, 1));
    sandbox.put_image("team/app", &["1.0.0-rc.1"], Moment::date(2026, 2, 2));
    let report = carry_out(&place, 0).await;
    assert_eq!(report["plan"], saved["id"]);
    assert_eq!(outcomes(&report), json!({"deleted": 3, "skipped": 1}));
    let tags: Vec<_> = sandbox.tags("team/app").into_iter().map(|(tag, _)| tag).collect();
    assert_eq!(tags, ["1.0.0-rc.1", "1.0.0-rc.5", "1.0.0-rc.6", "1.0.0-rc.7"]);
    undo(&place, "last", 0).await;
    let after = photograph(&sandbox.url(), None).await;
    for tag in ["2", "3", "4"] {
        let key = format!("team/app:1.0.0-rc.{tag}");
        assert_eq!(after.manifests[&key], before.manifests[&key]);
    }
}

#[tokio::test]
async fn entries_for_one_registry_protect_each_other() {
    let sandbox = start(SandboxOptions::default()).await;
    candidates(&sandbox, "team/app", 6);
    let place = Place::new();
    let url = sandbox.url();
    let policy = |registry: &str, last: u32| {
        format!(
            "{{registry: {registry}, repositories: [\"**\"], mode: enforce, rules: [{{select: {{channel: prerelease}}, \
             keep: {{last: {last}, by: version}}}}]"
        )
    };
    // One account each, and one URL, spelled in two ways.
    let config = format!(
        "registries: {{one: {{url: '{url}'}}, other: {{url: '{url}/'}}}}\npolicies:\n  tidy: {}}}\n  \
         careful: {}, protect: [{{tags: [1.0.0-rc.1]}}]}}\n",
        policy("one", 2),
        policy("other", 1),
    );
    place.file("lagan.yaml", config);
    place.run("plan --registry one --save plan.json").await.exits(0);
    let plan: Value = serde_json::from_slice(&fs::read(place.path().join("plan.json")).unwrap()).unwrap();
    assert_eq!(plan["totals"]["delete_tags"], 3);
    let report = carry_out(&place, 0).await;
    assert_eq!(outcomes(&report), json!({"deleted": 3}));
    let tags: Vec<_> = sandbox.tags("team/app").into_iter().map(|(tag, _)| tag).collect();
    assert_eq!(tags, ["1.0.0-rc.1", "1.0.0-rc.5", "1.0.0-rc.6"]);
}

#[tokio::test]
async fn a_plan_that_takes_single_tags_off_is_carried_out_in_another_process() {
    let sandbox = start(SandboxOptions::default().profile(Profile::Distribution3)).await;
    candidates(&sandbox, "team/app", 3);
    sandbox.put_image("team/app", &["1.0.0", "0.9.0-rc.9"], Moment::date(2026, 2, 1));
    let place = Place::new();
    let line = format!("plan --registry {} {TWO} --probe --save plan.json", sandbox.url());
    place.run(&line).await.exits(0);
    assert_eq!(
        outcomes(&carry_out(&place, 0).await),
        json!({"deleted": 1, "untagged": 1})
    );
}

#[tokio::test]
async fn a_plan_that_is_not_as_it_was_written_deletes_nothing() {
    let sandbox = start(SandboxOptions::default()).await;
    candidates(&sandbox, "team/app", 6);
    let place = Place::new();
    let line = format!("plan --registry {} {TWO} --save plan.json", sandbox.url());
    place.run(&line).await.exits(0);
    sandbox.log().clear();
    let path = place.path().join("plan.json");
    let whole = fs::read_to_string(&path).unwrap();
    for (text, said) in [
        (whole.replace("1.0.0-rc.1", "1.0.0-rc.6"), "it was edited"),
        (whole[..whole.len() / 2].to_owned(), "no checksum at its end"),
        ("{}".to_owned(), "this is no plan"),
        (
            whole.replace("lagan.plan/v1", "lagan.plan/v2"),
            "this version reads lagan.plan/v1",
        ),
    ] {
        fs::write(&path, text).unwrap();
        let run = place.run("apply plan.json --yes").await.exits(2);
        assert!(run.stderr.contains(said), "{said}: {}", run.stderr);
    }
    fs::remove_file(&path).unwrap();
    place.run("apply plan.json --yes").await.exits(2);
    fs::write(&path, &whole).unwrap();
    let run = place.run("apply plan.json team/app --yes").await.exits(2);
    assert!(run.stderr.contains("carried out whole"), "{}", run.stderr);
    let run = place.run(&format!("apply plan.json {TWO} --yes")).await.exits(2);
    assert!(run.stderr.contains("has its policies with it"), "{}", run.stderr);
    assert_eq!(sandbox.log().counts().total(), 0, "nothing was contacted");
}

#[tokio::test]
async fn a_plan_for_another_registry_another_policy_or_another_time_is_refused() {
    let sandbox = start(SandboxOptions::default()).await;
    candidates(&sandbox, "team/app", 6);
    let elsewhere = start(SandboxOptions::default()).await;
    candidates(&elsewhere, "team/app", 6);
    let place = Place::new();
    place.file("lagan.yaml", config(&sandbox.url(), 2, "enforce"));
    place.run("plan --save plan.json").await.exits(0);

    let line = format!("apply plan.json --yes --registry {}", elsewhere.url());
    let run = place.run(&line).await.exits(3);
    assert!(run.stderr.contains("the plan is for"), "{}", run.stderr);
    let other = format!(
        "{}  other:\n    repositories: [x]\n    rules: [{{name: a, select: {{tags: [a]}}, keep: all}}]\n",
        config(&sandbox.url(), 2, "enforce")
    );
    let renamed = config(&sandbox.url(), 2, "enforce").replace("cleanup", "tidy");
    for (text, code, said) in [
        (config(&sandbox.url(), 1, "enforce"), 3, "has changed"),
        (config(&sandbox.url(), 2, "dry-run"), 2, "dry-run"),
        (other, 3, "is new"),
        (renamed, 3, "is gone"),
    ] {
        place.file("lagan.yaml", text);
        let run = place.run("apply plan.json --yes").await.exits(code);
        assert!(run.stderr.contains(said), "{said}: {}", run.stderr);
        assert!(run.stderr.contains("nothing deleted"), "{}", run.stderr);
    }
    place.file("lagan.yaml", config(&sandbox.url(), 2, "enforce"));
    place
        .run("plan --save past.json --now 2026-06-01T00:00:00Z")
        .await
        .exits(0);
    let run = place.run("apply past.json --yes").await.exits(3);
    assert!(run.stderr.contains("made to look"), "{}", run.stderr);
    assert_eq!(
        (sandbox.tags("team/app").len(), elsewhere.tags("team/app").len()),
        (6, 6)
    );

    assert_eq!(outcomes(&carry_out(&place, 0).await), json!({"deleted": 4}));
}

#[tokio::test]
async fn the_limits_hold_for_a_saved_plan_as_well() {
    let sandbox = start(SandboxOptions::default()).await;
    candidates(&sandbox, "team/app", 6);
    let place = Place::new();
    let text = config(&sandbox.url(), 2, "enforce");
    place.file("lagan.yaml", format!("{text}    limits: {{max_deletions: 3}}\n"));
    place.run("plan --save plan.json").await.exits(3);
    let run = place.run("apply plan.json --yes").await.exits(3);
    assert!(run.stderr.contains("max_deletions"), "{}", run.stderr);
    assert_eq!(sandbox.tags("team/app").len(), 6);
    let line = "apply plan.json --yes --override-limit max_deletions=4 --format json";
    let report = place.run(line).await.exits(0).json();
    assert_eq!(outcomes(&report), json!({"deleted": 4}));
}
