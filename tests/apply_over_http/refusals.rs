//! What is refused, and deletes nothing.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;

use lagan_sandbox::SandboxOptions;
use serde_json::json;

use crate::support::Place;
use crate::{TWO, apply, candidates, outcomes, start, undo};

#[tokio::test]
async fn nobody_to_ask_is_a_no() {
    let sandbox = start(SandboxOptions::default()).await;
    candidates(&sandbox, "team/app", 5);
    let line = format!("apply --registry {} {TWO}", sandbox.url());
    let run = Place::new().run(&line).await.exits(2);
    assert!(run.stderr.contains("nothing deleted"), "{}", run.stderr);
    assert!(run.stderr.contains("--yes"), "{}", run.stderr);
    assert_eq!(sandbox.log().counts().total(), 0, "nothing was contacted");
}

#[tokio::test]
async fn a_plan_as_of_another_time_is_not_carried_out() {
    let sandbox = start(SandboxOptions::default()).await;
    candidates(&sandbox, "team/app", 5);
    let line = format!(
        "apply --registry {} {TWO} --yes --now 2026-01-01T00:00:00Z",
        sandbox.url()
    );
    Place::new().run(&line).await.exits(2);
    assert_eq!(sandbox.log().counts().total(), 0);
}

#[tokio::test]
async fn a_policy_of_a_configuration_deletes_only_when_it_says_so() {
    let sandbox = start(SandboxOptions::default()).await;
    candidates(&sandbox, "team/app", 5);
    let place = Place::new();
    let config = |mode: &str| {
        format!(
            "registries: {{here: {{url: {}}}}}\npolicies:\n  cleanup:\n    repositories: [\"**\"]\n{mode}    rules:\n      - name: two\n        select: {{channel: [prerelease]}}\n        keep: {{last: 2, by: version}}\n",
            sandbox.url()
        )
    };
    for mode in ["", "    mode: dry-run\n"] {
        place.file("lagan.yaml", config(mode));
        let run = place.run("apply --yes").await.exits(2);
        assert!(run.stderr.contains("dry-run"), "{}", run.stderr);
        assert_eq!(sandbox.tags("team/app").len(), 5);
    }
    place.file("lagan.yaml", config("    mode: enforce\n"));
    let report = place.run("apply --yes --format json").await.exits(0).json();
    assert_eq!(outcomes(&report), json!({"deleted": 3}));
}

#[tokio::test]
async fn a_limit_refuses_the_whole_run_and_is_lifted_by_name() {
    let sandbox = start(SandboxOptions::default()).await;
    candidates(&sandbox, "team/app", 505);
    let place = Place::new();
    let line = format!("apply --registry {} {TWO} --yes", sandbox.url());
    let run = place.run(&line).await.exits(3);
    for said in [
        "max_deletions",
        "503",
        "500",
        "--override-limit max_deletions=503",
        "nothing deleted",
    ] {
        assert!(run.stderr.contains(said), "{said}: {}", run.stderr);
    }
    assert_eq!(sandbox.tags("team/app").len(), 505);
    let report = apply(
        &place,
        &sandbox,
        &format!("{TWO} --override-limit max_deletions=503"),
        0,
    )
    .await;
    assert_eq!(outcomes(&report), json!({"deleted": 503}));
}

#[tokio::test]
async fn a_repository_that_would_be_emptied_is_held_back_and_the_others_are_not() {
    let sandbox = start(SandboxOptions::default()).await;
    candidates(&sandbox, "team/app", 3);
    candidates(&sandbox, "team/web", 3);
    sandbox.tag(
        "team/web",
        "1.0.0",
        sandbox.resolve("team/web", "1.0.0-rc.3").unwrap(),
    );
    let place = Place::new();
    let line = "--select channel=prerelease --keep none --allow-empty-repository";
    let report = apply(&place, &sandbox, line, 4).await;
    assert_eq!(sandbox.tags("team/app").len(), 3);
    assert_eq!(sandbox.tags("team/web").len(), 2);
    assert_eq!(outcomes(&report), json!({"deleted": 2, "skipped": 3}));
    let report = apply(
        &place,
        &sandbox,
        &format!("{line} --override-limit keep_at_least=0"),
        0,
    )
    .await;
    assert_eq!(outcomes(&report), json!({"deleted": 3}));
}

#[tokio::test]
async fn what_is_unknown_to_the_journal_is_not_undone() {
    let sandbox = start(SandboxOptions::default()).await;
    candidates(&sandbox, "team/app", 5);
    let place = Place::new();
    let none = place.run("undo last").await.exits(2);
    assert!(
        none.stderr.contains("nothing was ever deleted"),
        "{}",
        none.stderr
    );
    apply(&place, &sandbox, TWO, 0).await;
    for (target, said) in [
        ("01ARZ3NDEKTSV4RRFFQ69G5FAV", "not in the journal"),
        ("team/other", "no deletion of team/other"),
        ("team/app:9.9.9", "no deletion of team/app:9.9.9"),
        ("Team/App", "is no run"),
        ("team/app:-", "is no artifact"),
    ] {
        let run = place.run(&format!("undo {target}")).await.exits(2);
        assert!(run.stderr.contains(said), "{target}: {}", run.stderr);
        assert!(run.stderr.contains("hint: "), "{target}: {}", run.stderr);
    }
    let elsewhere = start(SandboxOptions::default()).await;
    let run = place
        .run(&format!("undo last --registry {}", elsewhere.url()))
        .await
        .exits(2);
    assert!(run.stderr.contains("was on"), "{}", run.stderr);
    assert_eq!(sandbox.tags("team/app").len(), 2);
    assert_eq!(outcomes(&undo(&place, "last", 0).await), json!({"restored": 3}));
}

#[tokio::test]
async fn a_state_directory_that_cannot_be_used_deletes_nothing() {
    let sandbox = start(SandboxOptions::default()).await;
    candidates(&sandbox, "team/app", 5);
    let place = Place::new();
    place.file("file", "not a folder");
    std::fs::create_dir(place.path().join("foreign")).unwrap();
    place.file("foreign/notes.txt", "mine");
    std::fs::set_permissions(place.path().join("foreign"), Permissions::from_mode(0o700)).unwrap();
    for (state, said) in [("file", "no directory"), ("foreign", "not a state directory")] {
        let line = format!(
            "apply --registry {} {TWO} --yes --state-dir {state}",
            sandbox.url()
        );
        let run = place.run(&line).await.exits(2);
        assert!(run.stderr.contains(said), "{}", run.stderr);
    }
    assert_eq!(sandbox.tags("team/app").len(), 5);
}
