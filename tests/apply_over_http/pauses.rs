//! Times in which nothing may be deleted.

use lagan_sandbox::{Effect, Fault, RequestKind, Sandbox, SandboxOptions};

use crate::support::Place;
use crate::{TWO, apply, candidates, outcomes, start, undo};

async fn refused(place: &Place, sandbox: &Sandbox, arguments: &str, why: &str) {
    sandbox.log().clear();
    let line = format!("apply --registry {} --yes {arguments}", sandbox.url());
    let run = place.run(&line).await.exits(3);
    assert!(
        run.stderr.contains(why) && run.stderr.contains("nothing deleted"),
        "{}",
        run.stderr
    );
    assert_eq!(sandbox.log().counts().total(), 0, "nothing is contacted");
}

#[tokio::test]
async fn a_pause_refuses_deletions_and_neither_plans_nor_undo() {
    let sandbox = start(SandboxOptions::default()).await;
    candidates(&sandbox, "team/app", 6);
    let place = Place::new();
    let report = apply(&place, &sandbox, TWO, 0).await;
    assert_eq!(outcomes(&report)["deleted"], 4);

    let said = place.run("pause --until 3d --why 'an audit'").await.exits(0);
    assert!(said.stdout.contains("an audit"), "{}", said.stdout);
    refused(&place, &sandbox, TWO, "an audit").await;
    undo(&place, "last", 0).await;
    let plan = format!("plan --registry {} {TWO}", sandbox.url());
    place.run(&plan).await.exits(0);

    place.run("resume").await.exits(0);
    assert!(place.run("resume").await.exits(0).stdout.contains("not paused"));
    // What was brought back is on hold; something new is not.
    candidates(&sandbox, "team/other", 3);
    let report = apply(&place, &sandbox, TWO, 0).await;
    assert_eq!(outcomes(&report)["deleted"], 1);
}

#[tokio::test]
async fn a_pause_that_is_over_holds_nobody_and_one_that_cannot_be_read_holds() {
    let sandbox = start(SandboxOptions::default()).await;
    candidates(&sandbox, "team/app", 3);
    let place = Place::new();
    place.run("pause --until 2020-01-01T00:00:00Z").await.exits(2);
    // An empty folder becomes a state directory, which whoever comes next can use.
    std::fs::create_dir_all(place.path().join(".local/state/lagan")).unwrap();
    std::fs::set_permissions(
        place.path().join(".local/state/lagan"),
        std::os::unix::fs::PermissionsExt::from_mode(0o700),
    )
    .unwrap();
    let run = place.run("pause").await.exits(0);
    assert!(run.stdout.contains(".local/state/lagan"), "{}", run.stdout);
    assert!(run.stderr.contains("nothing has run"), "{}", run.stderr);
    let run = place.run("pause").await.exits(0);
    assert!(!run.stderr.contains("nothing has run"), "{}", run.stderr);
    let file = place.path().join(".local/state/lagan/pause.json");
    for text in ["", "{}", "{\"schema\":\"lagan.pause/v1\",\"until\":7}"] {
        std::fs::write(&file, text).unwrap();
        refused(&place, &sandbox, TWO, "cannot be read").await;
    }
    let over = "{\"schema\":\"lagan.pause/v1\",\"until\":\"2020-01-01T00:00:00Z\"}";
    std::fs::write(&file, over).unwrap();
    let report = apply(&place, &sandbox, TWO, 0).await;
    assert_eq!(outcomes(&report)["deleted"], 1);
}

#[tokio::test]
async fn a_frozen_policy_only_keeps_and_where_all_are_nothing_is_begun() {
    let sandbox = start(SandboxOptions::default()).await;
    candidates(&sandbox, "team/app", 4);
    candidates(&sandbox, "team/other", 4);
    let place = Place::new();
    let policy = |repository: &str, more: &str| {
        format!(
            "{{repositories: {repository}, mode: enforce, rules: [{{select: {{channel: prerelease}}, keep: {{last: 2, by: version}}}}]{more}}}"
        )
    };
    let always = "[{cron: '* * * * *', for: 2min}]";
    let write = |top: &str, app: &str, other: &str| {
        let text = format!(
            "{top}registries: {{r: {{url: '{}'}}}}\npolicies:\n  app: {}\n  other: {}\n",
            sandbox.url(),
            policy("team/app", app),
            policy("team/other", other)
        );
        place.file("lagan.yaml", text);
    };
    let frozen = format!(", freeze: {always}");
    write("", &frozen, &frozen);
    refused(&place, &sandbox, "", "frozen").await;
    write(&format!("freeze: {always}\n"), "", "");
    refused(&place, &sandbox, "", "frozen").await;
    // A policy from the command line as well.
    refused(&place, &sandbox, TWO, "frozen").await;

    write("", &frozen, ", freeze: [{from: 2020-01-01, until: 2020-12-31}]");
    let run = place.run("apply --yes --format json").await.exits(0);
    assert!(run.stderr.contains("app only keeps"), "{}", run.stderr);
    assert_eq!(outcomes(&run.json())["deleted"], 2);
    assert_eq!(sandbox.tags("team/app").len(), 4);
    assert_eq!(sandbox.tags("team/other").len(), 2);
}

#[tokio::test]
async fn a_pause_that_begins_while_a_plan_is_made_is_in_time() {
    let sandbox = start(SandboxOptions::default()).await;
    candidates(&sandbox, "team/app", 6);
    let slow = Fault::new(Effect::Delay(std::time::Duration::from_millis(300)));
    let slow = sandbox.faults().push(slow.on(RequestKind::ManifestGet));
    let place = Place::new();
    let line = format!("apply --registry {} --yes {TWO}", sandbox.url());
    let pause = async {
        while sandbox.faults().fired(slow) == 0 {
            tokio::task::yield_now().await;
        }
        let file = place.path().join(".local/state/lagan/pause.json");
        std::fs::write(file, "{\"schema\":\"lagan.pause/v1\"}").unwrap();
    };
    let (run, ()) = tokio::join!(place.run(&line), pause);
    let run = run.exits(3);
    assert!(run.stderr.contains("nothing deleted"), "{}", run.stderr);
    assert_eq!(sandbox.tags("team/app").len(), 6);
}

#[tokio::test]
async fn a_pause_stops_a_run_that_is_under_way_when_the_artifact_in_hand_is_done() {
    let sandbox = start(SandboxOptions::default()).await;
    // One after the other, each a moment long; more repositories than are in hand at a time.
    for number in 0..14 {
        candidates(&sandbox, &format!("team/app-{number}"), 4);
    }
    let slow = Fault::new(Effect::Delay(std::time::Duration::from_millis(400)));
    let slow = sandbox.faults().push(slow.on(RequestKind::ManifestDelete));
    let place = Place::new();
    let line = format!(
        "apply --registry {} --yes --format json --fixed-concurrency 1 {TWO}",
        sandbox.url()
    );
    let run = place.run(&line);
    let pause = async {
        while sandbox.faults().fired(slow) == 0 {
            tokio::task::yield_now().await;
        }
        let file = place.path().join(".local/state/lagan/pause.json");
        std::fs::write(file, "{\"schema\":\"lagan.pause/v1\"}").unwrap();
    };
    let (run, ()) = tokio::join!(run, pause);
    let report = run.exits(4).json();
    assert_eq!(report["stopped"], true, "{report}");
    let deleted = outcomes(&report)["deleted"].as_u64().unwrap();
    assert!((1..28).contains(&deleted), "{deleted}");
    let left: usize = (0..14)
        .map(|number| sandbox.tags(&format!("team/app-{number}")).len())
        .sum();
    assert_eq!(left as u64, 56 - deleted);
}
