//! Garbage collection, its schedule, and what survives it.

use http::Method;
use serde_json::json;

use super::*;
use crate::Moment;
use crate::harbor::{CollectionSchedule, CollectionStatus};

#[tokio::test]
async fn no_schedule_is_an_empty_answer() {
    let (sandbox, mut http) = harbor(HarborOptions::default()).await;
    let path = api("/system/gc/schedule");
    let answer = http.get(&path).await;
    assert_eq!((answer.status().as_u16(), answer.body().len()), (200, 0));
    let next = Moment::date(2026, 7, 2);
    let schedule = CollectionSchedule::new("Daily", "0 0 0 * * *", next).delete_untagged();
    sandbox.harbor().schedule_collections(Some(schedule));
    let schedule = get(&mut http, &path).await;
    assert_eq!(schedule["schedule"]["type"], "Daily");
    assert_eq!(
        schedule["schedule"]["next_scheduled_time"],
        "2026-07-02T00:00:00.000Z"
    );
    let parameters: serde_json::Value =
        serde_json::from_str(schedule["job_parameters"].as_str().expect("text")).expect("JSON");
    assert_eq!(parameters["delete_untagged"], true);
}

#[tokio::test]
async fn a_collection_is_started_and_a_second_one_waits() {
    let (sandbox, mut http) = harbor(HarborOptions::default()).await;
    let start = json!({
        "schedule": {"type": "Manual"},
        "parameters": {"delete_untagged": false, "dry_run": false, "workers": 2},
    });
    let answer = post(&mut http, &api("/system/gc/schedule"), start.clone()).await;
    assert_eq!(answer.status(), 201);
    let location = header(&answer, "location").expect("a location").to_owned();
    let run = get(&mut http, &location).await;
    assert_eq!(
        (run["job_status"].as_str(), run["job_kind"].as_str()),
        (Some("Running"), Some("MANUAL"))
    );
    assert_eq!(
        post(&mut http, &api("/system/gc/schedule"), start).await.status(),
        201
    );
    let statuses =
        |rows: &serde_json::Value| each(rows, |row| row["job_status"].as_str().expect("text").to_owned());
    let runs = get(&mut http, &api("/system/gc")).await;
    assert_eq!(statuses(&runs), ["Pending", "Running"], "the newest first");
    let id = run["id"].as_i64().expect("a number");
    sandbox.harbor().finish_collection(id, CollectionStatus::Success);
    let runs = get(&mut http, &api("/system/gc")).await;
    assert_eq!(statuses(&runs), ["Running", "Success"]);
    let newest = runs[0]["id"].as_i64().expect("a number");
    let stopped = http
        .send(Method::PUT, &api(&format!("/system/gc/{newest}")), &[], "")
        .await;
    assert_eq!(stopped.status(), 200);
    assert_eq!(
        statuses(&get(&mut http, &api("/system/gc?page_size=1")).await),
        ["Stopped"]
    );
    let wrong = json!({ "schedule": {"type": "Never"} });
    assert_eq!(
        post(&mut http, &api("/system/gc/schedule"), wrong).await.status(),
        422
    );
}

#[tokio::test]
async fn blobs_of_what_was_deleted_go_unless_somebody_asked_for_them() {
    let now = Moment::date(2026, 7, 1);
    let (sandbox, mut http) = harbor(HarborOptions::default().now(now)).await;
    let digest = sandbox.put_image("team/app", &["1.0"], DAY);
    let kept = sandbox.put_image("team/app", &["2.0"], DAY);
    let manifest = sandbox.manifest("team/app", &digest).expect("a manifest");
    let (config, layer) = (manifest.config.expect("one").digest, manifest.layers[0].digest);
    assert_eq!(
        delete(&mut http, &artifact_path("team/app", "/1.0"))
            .await
            .status(),
        200
    );
    let blob = |digest: Digest| format!("/v2/team/app/blobs/{digest}");
    assert_eq!(http.status(Method::HEAD, &blob(config)).await, 200);
    let steer = sandbox.harbor();
    let collect = || {
        let id = steer.start_collection(false);
        steer.finish_collection(id, CollectionStatus::Success)
    };
    assert_eq!(collect(), 1);
    assert_eq!(http.status(Method::HEAD, &blob(layer)).await, 404);
    steer.set_now(now + 3_600);
    assert_eq!(
        http.status(Method::HEAD, &blob(config)).await,
        200,
        "asked for, and so renewed"
    );
    steer.set_now(now + 7_200);
    assert_eq!(collect(), 0);
    steer.set_now(now + 3 * 3_600);
    assert_eq!(collect(), 1);
    assert_eq!(http.status(Method::HEAD, &blob(config)).await, 404);
    assert!(sandbox.manifest("team/app", &kept).is_some());
}

#[tokio::test]
async fn untagged_artifacts_go_with_a_collection_that_takes_them() {
    let (sandbox, mut http) = harbor(HarborOptions::default()).await;
    let child = sandbox.put("team/app", &crate::Image::new(DAY));
    let index = sandbox.put_index("team/app", &["1.0"], &[child]);
    let signature = sandbox.put_referrer("team/app", index, "application/example");
    let untagged = sandbox.put("team/app", &crate::Image::new(DAY));
    let steer = sandbox.harbor();
    for (delete_untagged, left) in [(false, true), (true, false)] {
        let id = steer.start_collection(delete_untagged);
        steer.finish_collection(id, CollectionStatus::Success);
        assert_eq!(sandbox.manifest("team/app", &untagged).is_some(), left);
    }
    for kept in [child, index, signature] {
        assert!(sandbox.manifest("team/app", &kept).is_some(), "{kept}");
    }
    let listed = get(&mut http, &artifact_path("team/app", "")).await;
    assert_eq!(digests(&listed), [index]);
}

#[tokio::test]
async fn a_dry_run_takes_nothing_and_a_run_ends_once() {
    let (sandbox, mut http) = harbor(HarborOptions::default()).await;
    sandbox.put_image("team/app", &["1.0"], DAY);
    assert_eq!(
        delete(&mut http, &artifact_path("team/app", "/1.0"))
            .await
            .status(),
        200
    );
    let start = json!({ "schedule": {"type": "Manual"}, "parameters": {"dry_run": true} });
    let answer = post(&mut http, &api("/system/gc/schedule"), start).await;
    let location = header(&answer, "location").expect("a location").to_owned();
    let run = get(&mut http, &location).await["id"].as_i64().expect("a number");
    let steer = sandbox.harbor();
    assert_eq!(steer.finish_collection(run, CollectionStatus::Success), 0);
    let run = steer.start_collection(false);
    assert_eq!(steer.finish_collection(run, CollectionStatus::Error), 0);
    assert_eq!(
        steer.finish_collection(run, CollectionStatus::Success),
        0,
        "it has ended"
    );
    let run = steer.start_collection(false);
    assert_eq!(steer.finish_collection(run, CollectionStatus::Success), 2);
}

#[tokio::test]
async fn a_run_that_waits_can_be_stopped_and_lets_nobody_in() {
    let (sandbox, mut http) = harbor(HarborOptions::default()).await;
    let steer = sandbox.harbor();
    let runs = [(); 3].map(|()| steer.start_collection(false));
    let path = api(&format!("/system/gc/{}", runs[1]));
    assert_eq!(http.status(Method::PUT, &path).await, 200);
    let statuses = async |http: &mut Http| {
        let rows = get(http, &api("/system/gc?sort=id")).await;
        each(&rows, |row| row["job_status"].as_str().expect("text").to_owned())
    };
    assert_eq!(statuses(&mut http).await, ["Running", "Stopped", "Pending"]);
    steer.finish_collection(runs[0], CollectionStatus::Success);
    assert_eq!(statuses(&mut http).await, ["Success", "Stopped", "Running"]);
}
