//! Limits that look at earlier runs, at a repository's share, and at the age of a plan.

use std::fs;
use std::io::Write as _;

use chrono::TimeDelta;
use lagan_model::Time;
use lagan_report::saved::Sealed;
use lagan_sandbox::SandboxOptions;
use serde_json::{Value, json};

use crate::support::Place;
use crate::{TWO, apply, candidates, outcomes, start};

#[tokio::test]
async fn a_run_that_would_do_many_times_what_the_last_ones_did_is_refused_and_lifted_by_name() {
    let sandbox = start(SandboxOptions::default()).await;
    candidates(&sandbox, "team/app", 3);
    let place = Place::new();
    assert_eq!(
        outcomes(&apply(&place, &sandbox, TWO, 0).await),
        json!({"deleted": 1})
    );
    candidates(&sandbox, "team/app", 105);
    let line = format!("apply --registry {} {TWO} --yes", sandbox.url());
    let run = place.run(&line).await.exits(3);
    for said in ["max_change_from_last_run", "103", "100", "nothing deleted"] {
        assert!(run.stderr.contains(said), "{said}: {}", run.stderr);
    }
    assert_eq!(sandbox.tags("team/app").len(), 105);
    // It is about what this journal did: one that has done nothing yet has nothing to be held against.
    let line = format!("{line} --state-dir new --override-limit max_deletions=0");
    let run = place.run(&line).await.exits(3);
    assert!(!run.stderr.contains("max_change_from_last_run"), "{}", run.stderr);
    let lifted = format!("{TWO} --override-limit max_change_from_last_run=off");
    assert_eq!(
        outcomes(&apply(&place, &sandbox, &lifted, 0).await),
        json!({"deleted": 103})
    );
}

#[tokio::test]
async fn a_repository_that_would_lose_too_large_a_share_is_held_back_and_the_others_are_not() {
    let sandbox = start(SandboxOptions::default()).await;
    candidates(&sandbox, "team/app", 8);
    candidates(&sandbox, "team/web", 3);
    let place = Place::new();
    let share = |percent: &str| format!("{TWO} --override-limit max_percent_per_repository={percent}");
    let report = apply(&place, &sandbox, &share("50%"), 4).await;
    assert_eq!(outcomes(&report), json!({"deleted": 1, "skipped": 6}));
    let held_back = report["repositories"][0]["entries"].as_array().unwrap();
    assert_eq!(held_back.len(), 6);
    for entry in held_back {
        assert_eq!(
            (&entry["why"], &entry["detail"]),
            (
                &json!("not_approved"),
                &json!("the limit max_percent_per_repository holds the repository back")
            )
        );
    }
    assert_eq!(
        (sandbox.tags("team/app").len(), sandbox.tags("team/web").len()),
        (8, 2)
    );
    let report = apply(&place, &sandbox, &share("75%"), 0).await;
    assert_eq!(outcomes(&report), json!({"deleted": 6}));
}

#[tokio::test]
async fn a_plan_of_yesterday_is_refused_and_one_of_today_is_not() {
    let sandbox = start(SandboxOptions::default()).await;
    candidates(&sandbox, "team/app", 4);
    let place = Place::new();
    let line = format!("plan --registry {} {TWO} --save plan.json", sandbox.url());
    place.run(&line).await.exits(0);
    let text = fs::read_to_string(place.path().join("plan.json")).unwrap();
    let plan: Value = serde_json::from_str(&text).unwrap();
    // As somebody makes it who has a hash function: the checksum is right.
    let aged = |hours: i64| {
        let mut text = text[..text.len() - 77].to_owned();
        for field in ["created", "now"] {
            let time = plan[field].as_str().unwrap();
            let earlier = time.parse::<Time>().unwrap() - TimeDelta::hours(hours);
            text = text.replace(
                &format!("\"{field}\":\"{time}\""),
                &format!("\"{field}\":\"{}\"", earlier.to_rfc3339()),
            );
        }
        let mut out = Sealed::new(Vec::new());
        out.write_all(text.as_bytes()).unwrap();
        place.file("aged.json", out.seal().unwrap());
    };
    aged(25);
    let run = place.run("apply aged.json --yes").await.exits(3);
    for said in ["25 hours ago", "24", "nothing deleted"] {
        assert!(run.stderr.contains(said), "{said}: {}", run.stderr);
    }
    assert_eq!(sandbox.tags("team/app").len(), 4);
    aged(23);
    let report = place.run("apply aged.json --yes --format json").await.exits(0);
    assert_eq!(outcomes(&report.json()), json!({"deleted": 2}));
}
