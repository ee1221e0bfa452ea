//! Plans that remember earlier ones, where there is a state directory.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

use lagan_sandbox::{Moment, Profile, RequestKind, Sandbox, SandboxOptions};
use lagan_state::{Memory, Options};
use serde_json::Value;

use crate::support::Place;
use crate::{TWO, candidates, start};

const OBSERVED: &str = "--select channel=prerelease --keep within=observed:30d --allow-empty-repository";

/// A place with an empty state directory, which its user made.
fn place() -> (Place, PathBuf) {
    let place = Place::new();
    let state = place.path().join("state");
    fs::create_dir(&state).unwrap();
    fs::set_permissions(&state, fs::Permissions::from_mode(0o700)).unwrap();
    (place, state)
}

async fn plan(place: &Place, sandbox: &Sandbox, arguments: &str) -> Value {
    let url = sandbox.url();
    let command = format!("plan --registry {url} {arguments} --all --format json --state-dir state");
    let run = place.run(&command).await;
    assert!([0, 3, 4].contains(&run.code), "{}", run.said());
    run.json()
}

/// What does not differ from one run to the next.
fn decided(mut plan: Value) -> Value {
    for member in ["id", "created", "now", "requests", "sha256"] {
        plan.as_object_mut().unwrap().remove(member);
    }
    plan
}

#[tokio::test]
async fn a_second_plan_costs_listings_and_a_head_a_tag() {
    for profile in [Profile::Distribution28, Profile::Distribution3] {
        let sandbox = start(SandboxOptions::default().profile(profile).corpus(6, 40)).await;
        for arguments in [TWO, "--select tags=* --keep last=3,by=created"] {
            let (place, _) = place();
            sandbox.log().clear();
            let first = plan(&place, &sandbox, arguments).await;
            let before = sandbox.log().counts();
            let by_tag = sandbox.log().of(RequestKind::ManifestGet);
            let by_tag = by_tag
                .iter()
                .filter(|entry| !entry.reference.contains("sha256:"))
                .count() as u64;
            assert!(by_tag > 30, "{by_tag}");
            sandbox.log().clear();
            let second = plan(&place, &sandbox, arguments).await;
            let after = sandbox.log().counts();
            for kind in [RequestKind::ManifestGet, RequestKind::BlobGet] {
                assert_eq!(after.of(kind), 0, "{arguments}: {after:?}");
            }
            // One for each tag, and one for each manifest without a tag that was read.
            assert_eq!(
                after.of(RequestKind::ManifestHead),
                before.of(RequestKind::ManifestGet)
            );
            for kind in [RequestKind::Catalog, RequestKind::TagList, RequestKind::Referrers] {
                assert_eq!(after.of(kind), before.of(kind), "{arguments}");
            }
            assert_eq!(second["requests"]["total"], after.total());
            assert_eq!(decided(second), decided(first));
        }
    }
}

#[tokio::test]
async fn a_tag_that_moved_is_seen_to_have_moved() {
    let sandbox = start(SandboxOptions::default().profile(Profile::Distribution28)).await;
    candidates(&sandbox, "team/app", 6);
    let (place, _) = place();
    let before = plan(&place, &sandbox, TWO).await;
    let sixth = sandbox.resolve("team/app", "1.0.0-rc.6").unwrap();
    sandbox.tag("team/app", "1.0.0-rc.1", sixth);
    let after = plan(&place, &sandbox, TWO).await;
    assert_eq!(before["totals"]["delete_tags"], 4);
    assert_eq!(
        after["totals"]["delete_tags"], 3,
        "it shares its digest with what is kept"
    );
    let forgetful = Place::new();
    let fresh = plan(&forgetful, &sandbox, TWO).await;
    assert_eq!(decided(after), decided(fresh));
}

#[tokio::test]
async fn what_was_first_seen_by_an_earlier_plan_grows_old() {
    let sandbox = start(SandboxOptions::default().profile(Profile::Distribution28)).await;
    candidates(&sandbox, "team/app", 3);
    let (place, _) = place();
    let first = plan(&place, &sandbox, OBSERVED).await;
    assert_eq!(first["totals"]["delete_tags"], 0);
    let clock = first["clocks"].as_array().unwrap();
    let clock = clock.iter().find(|clock| clock["clock"] == "observed").unwrap();
    assert_eq!(clock["known"], true, "{clock}");
    sandbox.put_image("team/app", &["1.0.0-rc.9"], Moment::date(2020, 1, 1));
    assert_eq!(plan(&place, &sandbox, OBSERVED).await["totals"]["delete_tags"], 0);
    let later = format!("{OBSERVED} --now 2999-01-01T00:00:00Z");
    let replayed = plan(&place, &sandbox, &later).await;
    let deleted = &replayed["repositories"][0]["actions"];
    assert_eq!(deleted.as_array().unwrap().len(), 1, "{replayed}");
    assert_eq!(deleted[0]["tags"][0], "1.0.0-rc.9");
    assert_eq!(deleted[0]["reasons"][0]["clock"], "observed");

    let explain = format!(
        "explain team/app:1.0.0-rc.1 --registry {} {later} --state-dir state",
        sandbox.url()
    );
    let explained = place.run(&explain).await.exits(0).stdout;
    assert!(
        explained.contains("is kept") && explained.contains("first listed"),
        "{explained}"
    );

    // Without a state directory nobody knows, and everything is kept.
    let forgetful = Place::new();
    let unknown = plan(&forgetful, &sandbox, &later).await;
    assert_eq!(unknown["totals"]["delete_tags"], 0);
    assert!(fs::read_dir(forgetful.path()).unwrap().next().is_none());
}

#[tokio::test]
async fn a_state_directory_that_is_in_use_is_told_of_and_left_alone() {
    let sandbox = start(SandboxOptions::default().profile(Profile::Distribution28)).await;
    candidates(&sandbox, "team/app", 6);
    let (place, state) = place();
    let memory = Memory::open(&state, &Options::default()).unwrap();
    let command = format!("plan --registry {} {TWO} --state-dir state", sandbox.url());
    let run = place.run(&command).await.exits(0);
    let process = format!("process {} on", std::process::id());
    assert!(
        run.stderr.starts_with("notice: ") && run.stderr.contains(&process),
        "{}",
        run.stderr
    );
    drop(memory);
    let run = place.run(&command).await.exits(0);
    assert!(run.stderr.is_empty(), "{}", run.stderr);
}

#[tokio::test]
async fn a_ledger_that_is_damaged_is_told_of_and_not_begun_anew() {
    let sandbox = start(SandboxOptions::default().profile(Profile::Distribution28)).await;
    candidates(&sandbox, "team/app", 3);
    let (place, state) = place();
    plan(&place, &sandbox, OBSERVED).await;
    let registry = fs::read_dir(state.join("ledger"))
        .unwrap()
        .next()
        .unwrap()
        .unwrap();
    let pages: Vec<_> = fs::read_dir(registry.path())
        .unwrap()
        .map(|page| page.unwrap().path())
        .collect();
    let command = format!("plan --registry {} {OBSERVED} --state-dir state", sandbox.url());
    fs::write(&pages[0], "damaged").unwrap();
    let one = place.run(&command).await.exits(0);
    assert!(one.stderr.contains("the other one is sound"), "{}", one.stderr);
    for page in &pages {
        fs::write(page, "damaged").unwrap();
    }
    let both = place.run(&command).await.exits(0);
    assert!(
        both.stderr.contains("both copies are damaged") && both.stderr.contains("moved away"),
        "{}",
        both.stderr
    );
    assert!(pages.iter().all(|page| fs::read(page).unwrap() == b"damaged"));
}

#[tokio::test]
async fn what_is_no_state_directory_is_refused_before_anything_is_asked() {
    let sandbox = start(SandboxOptions::default()).await;
    candidates(&sandbox, "team/app", 6);
    sandbox.log().clear();
    let (place, state) = place();
    let command = format!("plan --registry {} {TWO} --state-dir state", sandbox.url());
    fs::set_permissions(&state, fs::Permissions::from_mode(0o755)).unwrap();
    let exposed = place.run(&command).await.exits(2);
    assert!(exposed.stderr.contains("hint: chmod 700"), "{}", exposed.stderr);
    fs::set_permissions(&state, fs::Permissions::from_mode(0o700)).unwrap();
    fs::write(state.join("precious"), "x").unwrap();
    place.run(&command).await.exits(2);
    assert_eq!(sandbox.log().counts().total(), 0);
}
