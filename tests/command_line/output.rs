//! Where a report goes, and whether it is coloured.

use std::fs;

use lagan_sandbox::{Fault, Moment, Sandbox, SandboxOptions};
use serde_json::Value;
use tokio::io::AsyncReadExt as _;

use crate::support::{Place, finish};

const LINE: &str = "--select channel=prerelease --keep last=2,by=version";

async fn small() -> (Sandbox, String) {
    let sandbox = Sandbox::start(SandboxOptions::default()).await.unwrap();
    for number in 1..=5 {
        sandbox.put_image(
            "team/app",
            &[&format!("1.0.0-rc.{number}")],
            Moment::date(2026, 1, number),
        );
    }
    let plan = format!("plan --registry {} {LINE}", sandbox.url());
    (sandbox, plan)
}

#[tokio::test]
async fn a_report_in_a_file_is_what_stdout_would_have_had() {
    let (_sandbox, plan) = small().await;
    let place = Place::new();
    let printed = place.run(&format!("{plan} --format ndjson")).await.exits(0);
    let quiet = place
        .run(&format!("{plan} --format ndjson --out plan.ndjson"))
        .await
        .exits(0);
    assert_eq!(quiet.stdout, "");
    assert_eq!(
        fs::read_to_string(place.path().join("plan.ndjson")).unwrap(),
        printed.stdout
    );
    let names: Vec<_> = fs::read_dir(place.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    assert_eq!(names, ["plan.ndjson"]);
}

#[tokio::test]
async fn a_plan_that_failed_leaves_the_report_of_the_one_before() {
    let (sandbox, plan) = small().await;
    let place = Place::new();
    place.file("plan.json", "before");
    sandbox
        .faults()
        .push(Fault::status(400).on(lagan_sandbox::RequestKind::Catalog));
    place
        .run(&format!("{plan} --format json --out plan.json"))
        .await
        .exits(1);
    assert_eq!(
        fs::read_to_string(place.path().join("plan.json")).unwrap(),
        "before"
    );
    assert_eq!(fs::read_dir(place.path()).unwrap().count(), 1);

    sandbox.faults().clear();
    place
        .run(&format!("{plan} --format json --out plan.json"))
        .await
        .exits(0);
    let written: Value = serde_json::from_slice(&fs::read(place.path().join("plan.json")).unwrap()).unwrap();
    assert_eq!(written["schema"], "lagan.plan/v1");
}

#[cfg(unix)]
#[tokio::test]
async fn a_report_for_a_device_or_through_a_link_leaves_it_what_it_is() {
    use std::os::unix::fs::{FileTypeExt as _, symlink};

    let (_sandbox, plan) = small().await;
    let place = Place::new();
    symlink("/dev/null", place.path().join("null")).unwrap();
    place.run(&format!("{plan} --out null")).await.exits(0);
    assert!(fs::metadata("/dev/null").unwrap().file_type().is_char_device());
    place.file("real", "before");
    symlink("real", place.path().join("link")).unwrap();
    place.run(&format!("{plan} --out link")).await.exits(0);
    assert!(
        fs::symlink_metadata(place.path().join("link"))
            .unwrap()
            .is_symlink()
    );
    assert!(
        fs::read_to_string(place.path().join("real"))
            .unwrap()
            .contains("team/app")
    );
}

#[tokio::test]
async fn colour_is_for_terminals_and_for_those_who_ask() {
    let (_sandbox, plan) = small().await;
    let place = Place::new();
    let escape = '\u{1b}';
    assert!(!place.run(&plan).await.stdout.contains(escape));
    assert!(
        place
            .run(&format!("{plan} --color always"))
            .await
            .stdout
            .contains(escape)
    );
    assert!(
        !place
            .run(&format!("{plan} --color never"))
            .await
            .stdout
            .contains(escape)
    );
    assert!(
        !place
            .run_with(&[("NO_COLOR", "1")], &plan)
            .await
            .stdout
            .contains(escape)
    );
    let json = place
        .run(&format!("{plan} --color always --format json"))
        .await
        .stdout;
    assert!(!json.contains(escape));
    place.run("plan --color sometimes").await.exits(2);
}

#[tokio::test]
async fn decisions_can_be_made_as_of_another_time() {
    let (_sandbox, plan) = small().await;
    let place = Place::new();
    let plan = plan.replace(
        LINE,
        "--select channel=prerelease --keep within=created:10d --format json",
    );
    let at = |day: u32| format!("{plan} --allow-empty-repository --now 2026-01-{day:02}T00:00:00+00:00");
    for (day, gone) in [(5, 0), (13, 2), (16, 5)] {
        let document = place.run(&at(day)).await;
        assert_eq!(document.json()["totals"]["delete_tags"], gone, "{day}");
        assert_eq!(document.json()["now"], format!("2026-01-{day:02}T00:00:00Z"));
    }
}

#[tokio::test]
async fn a_reader_that_goes_away_is_no_panic() {
    let place = Place::new();
    let (sandbox, plan) = small().await;
    for number in 0..3000 {
        sandbox.tag(
            "team/app",
            &format!("build-{number}"),
            sandbox.resolve("team/app", "1.0.0-rc.1").unwrap(),
        );
    }
    for arguments in [
        format!("{plan} --all"),
        format!("{plan} --all --format json"),
        "completions bash".to_owned(),
    ] {
        let mut command = place.command(&arguments);
        let mut child = command.spawn().unwrap();
        let mut stdout = child.stdout.take().unwrap();
        stdout.read_u8().await.unwrap();
        drop(stdout);
        let output = child.wait_with_output().await.unwrap();
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert!(
            !stderr.contains("panicked") && !stderr.contains("error"),
            "{arguments}: {stderr}"
        );
        assert_ne!(output.status.code(), Some(101), "{arguments}");
    }
}

#[tokio::test]
async fn there_is_something_to_delete_where_somebody_asks_for_an_exit_code() {
    let (_sandbox, plan) = small().await;
    let place = Place::new();
    place.run(&format!("{plan} --detailed-exitcode")).await.exits(5);
    place.run(&plan).await.exits(0);
    let nothing = plan.replace("last=2", "last=5");
    finish(place.command(&format!("{nothing} --detailed-exitcode")))
        .await
        .exits(0);
    let none = plan.replace("last=2,by=version", "none --allow-empty-repository");
    // `keep_at_least` holds the repository back.
    let held = place
        .run(&format!("{none} --detailed-exitcode --format json"))
        .await
        .exits(4);
    assert_eq!(held.json()["guards"][0]["limit"], "keep_at_least");
}

#[tokio::test]
async fn a_plan_that_a_limit_refuses_says_so_by_its_exit_code() {
    let (sandbox, _) = small().await;
    let place = Place::new();
    place.file(
        "p.yaml",
        "repositories: '**'
rules: [{select: {channel: rc}, keep: {last: 2, by: version}}]
limits: {max_deletions: 2}
",
    );
    let plan = format!("plan --registry {} --policy-file p.yaml", sandbox.url());
    let refused = place
        .run(&format!("{plan} --format json --detailed-exitcode"))
        .await
        .exits(3);
    let guard = &refused.json()["guards"][0];
    assert_eq!(
        (guard["limit"].as_str(), guard["wanted"].as_u64()),
        (Some("max_deletions"), Some(3))
    );
    assert!(
        place
            .run(&plan)
            .await
            .exits(3)
            .stdout
            .contains("nothing of this plan would be deleted")
    );
}

#[tokio::test]
async fn a_pattern_that_matches_nothing_is_a_mistake() {
    let (_sandbox, plan) = small().await;
    let place = Place::new();
    for globs in ["'other/*'", "other/app", "team/app 'other/*'"] {
        let refused = place.run(&format!("{plan} {globs}")).await.exits(2);
        assert!(
            refused.stderr.contains("nothing deleted"),
            "{globs}: {}",
            refused.stderr
        );
        assert_eq!(refused.stdout, "", "{globs}");
    }
    let explain = plan.replace("plan", "explain team/app:9.9.9");
    let refused = place.run(&explain).await.exits(2);
    assert!(refused.stderr.contains("has no tag 9.9.9"), "{}", refused.stderr);
    let refused = place
        .run(&plan.replace("plan", "explain other/app:1"))
        .await
        .exits(2);
    assert!(
        refused.stderr.contains("no repository other/app"),
        "{}",
        refused.stderr
    );
}
