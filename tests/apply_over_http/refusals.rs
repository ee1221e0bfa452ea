//! What is refused, and deletes nothing.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Stdio;

use lagan_sandbox::SandboxOptions;
use serde_json::json;
use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;

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

/// Runs the binary on a terminal that somebody types `answer` into.
async fn on_a_terminal(place: &Place, line: &str, answer: &str) -> (i32, String) {
    let lagan = env!("CARGO_BIN_EXE_lagan");
    let mut command = Command::new("script");
    command
        .args(["-qec", &format!("{lagan} {line}"), "/dev/null"])
        .env_clear()
        .env("PATH", "/usr/bin:/bin")
        .env("HOME", place.path())
        .current_dir(place.path())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .kill_on_drop(true);
    let mut child = command.spawn().expect("script of util-linux runs");
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(answer.as_bytes()).await.unwrap();
    let output = child.wait_with_output().await.unwrap();
    drop(stdin);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    (output.status.code().unwrap(), text)
}

#[tokio::test]
async fn on_a_terminal_the_plan_is_shown_and_only_a_yes_is_one() {
    let sandbox = start(SandboxOptions::default()).await;
    candidates(&sandbox, "team/app", 5);
    let place = Place::new();
    let line = format!("apply --registry {} {TWO}", sandbox.url());
    for answer in ["n\n", "\n", "Y es\n", "\u{4}"] {
        let (code, text) = on_a_terminal(&place, &line, answer).await;
        assert_eq!(code, 2, "{answer:?}: {text}");
        assert!(text.contains("beyond the last 2"), "{text}");
        assert!(
            text.contains("Delete 3 manifests in 1 repository? [y/N]"),
            "{text}"
        );
        assert!(text.contains("declined: nothing deleted"), "{text}");
        assert_eq!(sandbox.tags("team/app").len(), 5);
    }
    let (code, text) = on_a_terminal(&place, &line, "yes\n").await;
    assert_eq!(code, 0, "{text}");
    assert_eq!(sandbox.tags("team/app").len(), 2);
    let (code, text) = on_a_terminal(&place, "undo last", "n\n").await;
    assert_eq!((code, sandbox.tags("team/app").len()), (2, 2), "{text}");
    let (code, text) = on_a_terminal(&place, "undo last", "y\n").await;
    assert!(text.contains("3 manifests would be put back"), "{text}");
    assert_eq!((code, sandbox.tags("team/app").len()), (0, 5), "{text}");
}
