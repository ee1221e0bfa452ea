//! What is deleted, and comes back.

use std::collections::BTreeMap;

use lagan_sandbox::{Moment, Profile, SandboxOptions};
use serde_json::{Value, json};

use crate::photograph::photograph;
use crate::support::Place;
use crate::{TWO, apply, candidates, outcomes, start, undo};

/// A policy that deletes most of everything: indexes with their children, what is signed and what is attached.
const MOST: &str = "--select tags=* --keep last=4,by=created";

/// The tags of each manifest among the entries of a report, or the actions of a history.
fn tags_of(entries: &Value) -> BTreeMap<String, Value> {
    let entries = entries.as_array().unwrap().iter();
    entries
        .map(|entry| {
            let digest = entry["digest"].as_str().unwrap();
            (digest.to_owned(), entry["tags"].clone())
        })
        .collect()
}

#[tokio::test]
async fn the_report_of_an_undo_says_of_each_artifact_what_came_back_with_it() {
    let sandbox = start(SandboxOptions::default()).await;
    let time = |day| Moment::date(2026, 1, day);
    let children = [1, 2].map(|day| sandbox.put_image("team/app", &[], time(day)));
    let index = sandbox.put_index("team/app", &["1.0.0-rc.1"], &children);
    sandbox.put_signature("team/app", index);
    for (day, tag) in [(3, "1.0.0-rc.2"), (4, "1.0.0-rc.3"), (5, "1.0.0-rc.4")] {
        sandbox.put_image("team/app", &[tag], time(day));
    }
    let place = Place::new();
    let report = apply(
        &place,
        &sandbox,
        "--select channel=prerelease --keep last=1,by=version",
        0,
    )
    .await;
    assert_eq!(outcomes(&report), json!({"deleted": 6}));
    let said = place.run("undo last --format markdown").await.exits(0).said();
    let rows: Vec<&str> = said.lines().filter(|line| line.starts_with("| **")).collect();
    assert_eq!(rows.len(), 3, "{said}");
    for row in rows {
        let with = row.contains("with 3 children and attachments");
        assert_eq!(with, row.contains("1.0.0-rc.1"), "{said}");
        assert_eq!(row.contains("with"), with, "{said}");
    }
}

#[tokio::test]
async fn apply_then_undo_leaves_everything_as_it_was_on_every_kind_of_registry() {
    for profile in [
        Profile::Strict,
        Profile::Distribution28,
        Profile::Distribution3,
        Profile::Zot,
    ] {
        let sandbox = start(SandboxOptions::default().profile(profile).corpus(4, 30)).await;
        let url = sandbox.url();
        let before = photograph(&url, None).await;
        let place = Place::new();
        let planned = place
            .run(&format!("plan --registry {url} {MOST} --exact --format json"))
            .await
            .exits(0)
            .json();
        let report = apply(&place, &sandbox, MOST, 0).await;
        let deleted = outcomes(&report)["deleted"].as_u64().unwrap();
        assert_eq!(planned["totals"]["delete_artifacts"], deleted, "{profile:?}");
        assert!(deleted > 40, "{profile:?}: {deleted}");
        for role in ["artifact", "child", "attachment"] {
            let has = |entry: &Value| entry["role"] == role && entry["outcome"] == "deleted";
            let repositories = report["repositories"].as_array().unwrap().iter();
            let mut entries = repositories.flat_map(|repository| repository["entries"].as_array().unwrap());
            assert!(entries.any(has), "{profile:?}: no {role}");
        }
        let history = place.run("journal show last --format json").await.exits(0).json();
        let on_record = tags_of(&history["actions"]);
        let mut told = BTreeMap::new();
        for repository in report["repositories"].as_array().unwrap() {
            told.extend(tags_of(&repository["entries"]));
        }
        assert_eq!(told, on_record, "{profile:?}");
        assert!(
            told.values().any(|tags| tags.to_string().contains("sha256-")),
            "{profile:?}: nothing attached has a tag"
        );
        let after = photograph(&url, Some(&before)).await;
        let gone = before.differences(&after);
        assert!(gone.len() as u64 >= deleted, "{profile:?}");
        assert!(
            gone.iter()
                .all(|line| line.ends_with("is gone") || line.starts_with("referrers")),
            "{gone:?}"
        );

        let again = place
            .run(&format!("plan --registry {url} {MOST} --format json"))
            .await
            .exits(0)
            .json();
        assert_eq!(
            again["totals"]["delete_artifacts"], 0,
            "a plan after it has nothing to do"
        );

        let report = undo(&place, report["run"].as_str().unwrap(), 0).await;
        assert_eq!(outcomes(&report), json!({ "restored": deleted }), "{profile:?}");
        let restored = photograph(&url, Some(&before)).await;
        assert_eq!(before.differences(&restored), Vec::<String>::new(), "{profile:?}");
        assert_eq!(before, restored, "{profile:?}");
        place.run("journal verify").await.exits(0);
    }
}

#[tokio::test]
async fn undoing_twice_says_that_everything_is_there() {
    let sandbox = start(SandboxOptions::default()).await;
    candidates(&sandbox, "team/app", 5);
    let place = Place::new();
    let report = apply(&place, &sandbox, TWO, 0).await;
    assert_eq!(outcomes(&report), json!({"deleted": 3}));
    assert_eq!(outcomes(&undo(&place, "last", 0).await), json!({"restored": 3}));
    assert_eq!(
        outcomes(&undo(&place, "last", 0).await),
        json!({"already_there": 3})
    );
}

#[tokio::test]
async fn what_was_put_back_is_held_and_not_deleted_again() {
    let sandbox = start(SandboxOptions::default()).await;
    candidates(&sandbox, "team/app", 5);
    let place = Place::new();
    apply(&place, &sandbox, TWO, 0).await;
    undo(&place, "last", 0).await;
    let url = sandbox.url();
    let line = format!("plan --registry {url} {TWO} --all --format json --save plan.json");
    let planned = place.run(&line).await.exits(0).json();
    assert_eq!(planned["totals"]["delete_artifacts"], 0);
    let kept = planned["repositories"][0]["kept"].as_array().unwrap();
    let held = kept.iter().filter(|tag| {
        let reason = &tag["reasons"][0];
        reason["kind"] == "held" && reason["until"].is_string()
    });
    assert_eq!(held.count(), 3, "{kept:?}");
    let why = format!("explain --registry {url} {TWO} team/app:1.0.0-rc.1");
    let why = place.run(&why).await.exits(0);
    assert!(
        why.stdout.contains("it was put back, and is held until"),
        "{}",
        why.stdout
    );
    // A saved plan has with it what it was decided from.
    let why = place
        .run("explain --from plan.json team/app:1.0.0-rc.1")
        .await
        .exits(0);
    assert!(
        why.stdout.contains("it was put back, and is held until"),
        "{}",
        why.stdout
    );

    let report = apply(&place, &sandbox, TWO, 0).await;
    assert_eq!(outcomes(&report), json!({}));
    assert_eq!(sandbox.tags("team/app").len(), 5);
}

#[tokio::test]
async fn a_plan_that_is_older_than_the_undo_leaves_alone_what_was_put_back() {
    let sandbox = start(SandboxOptions::default()).await;
    candidates(&sandbox, "team/app", 5);
    let place = Place::new();
    let line = format!("plan --registry {} {TWO} --save plan.json", sandbox.url());
    place.run(&line).await.exits(0);
    apply(&place, &sandbox, TWO, 0).await;
    undo(&place, "last", 0).await;
    let line = "apply plan.json --yes --format json";
    let report = place.run(line).await.exits(0).json();
    assert_eq!(outcomes(&report), json!({"skipped": 3}));
    let entries = report["repositories"][0]["entries"].as_array().unwrap();
    assert!(entries.iter().all(|entry| entry["why"] == "held"), "{entries:?}");
    assert_eq!(sandbox.tags("team/app").len(), 5);
}

#[tokio::test]
async fn one_artifact_one_repository_or_everything_since_a_time_can_be_put_back() {
    let sandbox = start(SandboxOptions::default()).await;
    candidates(&sandbox, "team/app", 5);
    candidates(&sandbox, "team/web", 5);
    let place = Place::new();
    let before = photograph(&sandbox.url(), None).await;
    apply(&place, &sandbox, TWO, 0).await;

    let looked = undo(&place, "team/app:1.0.0-rc.1 --dry-run", 0).await;
    assert_eq!((&looked["dry_run"], &looked["run"]), (&json!(true), &json!(null)));
    assert_eq!(outcomes(&looked), json!({"restored": 1}));
    assert_eq!(sandbox.tags("team/app").len(), 2, "it only looked");

    assert_eq!(
        outcomes(&undo(&place, "team/app:1.0.0-rc.1", 0).await),
        json!({"restored": 1})
    );
    assert_eq!(sandbox.tags("team/app").len(), 3);
    let digest = &before.manifests["team/web:1.0.0-rc.2"].digest;
    assert_eq!(
        outcomes(&undo(&place, &format!("team/web@{digest}"), 0).await),
        json!({"restored": 1})
    );
    assert_eq!(
        outcomes(&undo(&place, "--repository team/app", 0).await),
        json!({"restored": 2, "already_there": 1})
    );
    assert_eq!(
        outcomes(&undo(&place, "--since 1h", 0).await),
        json!({"restored": 2, "already_there": 4})
    );
    assert_eq!(photograph(&sandbox.url(), Some(&before)).await, before);
    // What was put back is held: a run that deletes nothing is not the last one that did.
    assert_eq!(outcomes(&apply(&place, &sandbox, TWO, 0).await), json!({}));
    let looked = undo(&place, "last --dry-run", 0).await;
    assert_eq!(outcomes(&looked), json!({"already_there": 6}));
}

#[tokio::test]
async fn a_tag_that_moved_since_is_a_conflict_and_is_taken_back_only_when_asked() {
    let sandbox = start(SandboxOptions::default()).await;
    candidates(&sandbox, "team/app", 4);
    let place = Place::new();
    let before = photograph(&sandbox.url(), None).await;
    apply(&place, &sandbox, TWO, 0).await;
    let newer = sandbox.put_image("team/app", &["1.0.0-rc.1"], Moment::date(2026, 2, 1));

    let report = undo(&place, "last", 4).await;
    assert_eq!(outcomes(&report), json!({"conflict": 1, "restored": 1}));
    assert_eq!(sandbox.resolve("team/app", "1.0.0-rc.1"), Some(newer));
    let entries = report["repositories"][0]["entries"].as_array().unwrap();
    let conflict = entries
        .iter()
        .find(|entry| entry["outcome"] == "conflict")
        .unwrap();
    assert_eq!(conflict["conflicts"], json!({"1.0.0-rc.1": newer.to_string()}));

    undo(&place, "last --overwrite-moved-tags", 0).await;
    let after = photograph(&sandbox.url(), Some(&before)).await;
    for (key, shot) in &before.manifests {
        assert_eq!(after.manifests.get(key), Some(shot), "{key}");
    }
}

#[tokio::test]
async fn a_single_tag_is_taken_off_where_the_registry_can_and_put_back() {
    let sandbox = start(SandboxOptions::default().profile(Profile::Distribution3)).await;
    candidates(&sandbox, "team/app", 5);
    let kept = sandbox.put_image("team/app", &["1.0.0", "0.9.0-rc.9"], Moment::date(2026, 2, 1));
    let place = Place::new();
    let before = photograph(&sandbox.url(), None).await;
    let report = apply(&place, &sandbox, &format!("{TWO} --probe"), 0).await;
    assert_eq!(outcomes(&report), json!({"deleted": 3, "untagged": 1}));
    assert_eq!(sandbox.resolve("team/app", "1.0.0"), Some(kept));
    assert_eq!(sandbox.resolve("team/app", "0.9.0-rc.9"), None);
    undo(&place, "last", 0).await;
    assert_eq!(photograph(&sandbox.url(), Some(&before)).await, before);
}

#[tokio::test]
async fn what_somebody_attached_since_stays_listed_beside_what_comes_back() {
    let sandbox = start(SandboxOptions::default().profile(Profile::Distribution28)).await;
    candidates(&sandbox, "team/app", 3);
    let subject = sandbox.resolve("team/app", "1.0.0-rc.1").unwrap();
    let before = sandbox.put_referrer("team/app", subject, "application/vnd.example.sbom");
    let place = Place::new();
    let report = apply(&place, &sandbox, TWO, 0).await;
    assert_eq!(sandbox.resolve("team/app", &subject.fallback_tag()), None);
    assert!(outcomes(&report)["deleted"].as_u64().unwrap() >= 3);
    // Without an API for referrers an index lists what is attached, and whoever attaches something writes it anew.
    let since = sandbox.put_referrer("team/app", subject, "application/vnd.example.scan");
    undo(&place, "last", 0).await;
    let index = sandbox.resolve("team/app", &subject.fallback_tag()).unwrap();
    let index = sandbox.manifest("team/app", &index).unwrap();
    let index: Value = serde_json::from_slice(&index.bytes).unwrap();
    let listed: Vec<&Value> = index["manifests"].as_array().unwrap().iter().collect();
    let digests: Vec<&str> = listed.iter().map(|one| one["digest"].as_str().unwrap()).collect();
    assert_eq!(digests, [since.to_string(), before.to_string()]);
    for digest in [subject, before, since] {
        assert!(sandbox.manifest("team/app", &digest).is_some());
    }
    // Undoing again finds everything listed, and writes nothing.
    let written = sandbox.resolve("team/app", &subject.fallback_tag());
    undo(&place, "last", 0).await;
    assert_eq!(sandbox.resolve("team/app", &subject.fallback_tag()), written);
}

#[tokio::test]
async fn every_form_of_the_report_tells_what_was_done() {
    let place = Place::new();
    for (format, marks) in [
        ("text", ["deleted", "lagan undo 0"]),
        ("json", ["\"schema\":\"lagan.run/v1\"", "\"outcome\":\"deleted\""]),
        ("ndjson", ["\"name\":\"team/app\"", "\"outcome\":\"deleted\""]),
        ("markdown", ["| **deleted** |", "lagan undo 0"]),
        (
            "csv",
            ["repository,tags,action", "team/app,1.0.0-rc.1,delete,sha256:"],
        ),
        ("html", ["<tr class=deleted>", "Content-Security-Policy"]),
    ] {
        let sandbox = start(SandboxOptions::default()).await;
        candidates(&sandbox, "team/app", 4);
        let state = place.path().join(format);
        let state = state.display();
        let url = sandbox.url();
        let line = format!("apply --registry {url} {TWO} --yes --format {format} --state-dir {state}");
        let run = place.run(&line).await.exits(0);
        for mark in marks {
            assert!(run.stdout.contains(mark), "{format}: {mark} in {}", run.stdout);
        }
        let line = format!("undo last --format {format} --out report --state-dir {state}");
        place.run(&line).await.exits(0);
        let report = std::fs::read_to_string(place.path().join("report")).unwrap();
        let mark = if format == "csv" || format.ends_with("json") {
            "restore"
        } else {
            "restored"
        };
        assert!(report.contains(mark), "{format}: {report}");
    }
}

#[tokio::test]
async fn the_journal_shows_what_was_done_and_can_be_undone_on_another_machine() {
    let sandbox = start(SandboxOptions::default()).await;
    candidates(&sandbox, "team/app", 5);
    let (here, there) = (Place::new(), Place::new());
    let before = photograph(&sandbox.url(), None).await;
    let report = apply(&here, &sandbox, TWO, 0).await;
    let run = report["run"].as_str().unwrap();
    let shown = here.run(&format!("journal show {run}")).await.exits(0).stdout;
    assert!(shown.matches("deleted").count() >= 3, "{shown}");
    let export = there.path().join("export.jsonl");
    here.run(&format!("journal export {run} --out {}", export.display()))
        .await
        .exits(0);
    there.run("journal import export.jsonl").await.exits(0);
    assert_eq!(outcomes(&undo(&there, run, 0).await), json!({"restored": 3}));
    assert_eq!(photograph(&sandbox.url(), Some(&before)).await, before);
}
