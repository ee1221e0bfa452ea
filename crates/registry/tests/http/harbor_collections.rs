//! Harbor's garbage collection: what is asked, what is sent, and what an answer means.

use axum::response::Response;
use lagan_model::Failure;
use lagan_registry::{Connected, HarborRegistry};

use crate::support::{Seen, Server, html, json, refused, respond};

const INFORMATION: &str = r#"{"auth_mode":"db_auth","harbor_version":"v2.15.0-abc"}"#;

async fn harbor(answer: impl Fn(&Seen) -> Response + Send + Sync + 'static) -> (Server, Box<HarborRegistry>) {
    let server = Server::start(move |seen| match seen.path.as_str() {
        "/api/v2.0/systeminfo" => {
            // Whoever keeps it is taken for a browser, and refused without a token against forgery.
            let headers = [
                ("content-type", "application/json"),
                ("set-cookie", "sid=1; Path=/"),
            ];
            respond(200, &headers, INFORMATION)
        }
        _ => answer(seen),
    })
    .await;
    let kind = Some(lagan_model::RegistryKind::Harbor);
    match Connected::connect(server.settings(), kind).await.unwrap() {
        Connected::Harbor(harbor) => (server, harbor),
        Connected::Oci(_) => panic!("no Harbor"),
    }
}

#[tokio::test]
async fn a_collection_is_asked_for_once_and_takes_no_untagged_artifacts_unless_that_is_said() {
    for delete_untagged in [false, true] {
        let (server, harbor) = harbor(|_| respond(201, &[("location", "/api/v2.0/system/gc/42")], "")).await;
        assert_eq!(harbor.start_collection(delete_untagged).await.unwrap(), Some(42));
        let log = server.log();
        let sent: Vec<_> = log.iter().filter(|seen| seen.method == "POST").collect();
        assert_eq!(sent.len(), 1);
        assert_eq!(sent[0].path, "/api/v2.0/system/gc/schedule");
        assert_eq!(sent[0].header("cookie"), None);
        let body: serde_json::Value = serde_json::from_str(&sent[0].body).unwrap();
        let expected = serde_json::json!({
            "schedule": {"type": "Manual"},
            "parameters": {"delete_untagged": delete_untagged, "dry_run": false},
        });
        assert_eq!(body, expected);
    }
}

#[tokio::test]
async fn a_start_that_was_refused_is_told_from_one_of_which_nobody_knows_and_neither_is_sent_again() {
    type Answer = fn() -> Response;
    let answers: [(Answer, Failure); 7] = [
        (|| refused(403, "FORBIDDEN"), Failure::Denied),
        (|| refused(403, "DENIED"), Failure::Denied),
        (|| refused(409, "CONFLICT"), Failure::Refused),
        (|| refused(429, "TOOMANYREQUESTS"), Failure::Overloaded),
        (|| refused(500, "UNKNOWN"), Failure::Server),
        (|| html(502), Failure::Server),
        (|| refused(503, "UNKNOWN"), Failure::Server),
    ];
    for (answer, failure) in answers {
        let (server, harbor) = harbor(move |_| answer()).await;
        let error = harbor.start_collection(false).await.unwrap_err();
        assert_eq!(error.failure(), failure, "{error}");
        let sent = server.log().into_iter().filter(|seen| seen.method == "POST");
        assert_eq!(sent.count(), 1, "{error}");
    }
}

#[tokio::test]
async fn a_number_that_harbor_does_not_tell_is_not_made_up() {
    for location in [
        "",
        "/api/v2.0/system/gc/",
        "/api/v2.0/system/gc/0",
        "/api/v2.0/system/gc/-1",
        "x",
    ] {
        let (_server, harbor) = harbor(move |_| respond(201, &[("location", location)], "")).await;
        assert_eq!(harbor.start_collection(false).await.unwrap(), None, "{location}");
    }
}

#[tokio::test]
async fn collections_are_read_newest_first_and_what_cannot_be_read_is_not_known() {
    let rows = r#"[
        {"id": 3, "job_status": "Success", "creation_time": "2026-11-20T01:00:00.000Z",
         "job_parameters": "{\"delete_untagged\":true,\"dry_run\":true,\"workers\":1}"},
        {"id": 9, "job_status": "Running", "creation_time": "0001-01-01T00:00:00.000Z", "job_parameters": "{"},
        {"id": 4, "job_status": "Stopped"}]"#;
    let (_server, registry) = harbor(move |_| json(200, rows)).await;
    let runs = registry.latest_collections().await.unwrap();
    let ids: Vec<_> = runs.iter().map(|run| run.id).collect();
    assert_eq!(ids, [9, 4, 3]);
    assert_eq!(
        (runs[0].is_open(), runs[0].started, runs[0].delete_untagged),
        (true, None, None)
    );
    // Without a word about it, a collection takes what there is.
    assert!(runs[0].takes() && runs[1].takes() && !runs[2].takes());
    let (_server, registry) = harbor(|_| json(200, "null")).await;
    assert_eq!(registry.latest_collections().await.unwrap(), []);
    assert!(
        registry.collection_schedule().await.is_err(),
        "null is no schedule"
    );
    let (_server, registry) = harbor(|_| respond(200, &[], "")).await;
    assert_eq!(registry.collection_schedule().await.unwrap(), None);
    let (_server, registry) = harbor(|_| refused(403, "FORBIDDEN")).await;
    let error = registry.latest_collections().await.unwrap_err().to_string();
    assert!(
        error.contains("`garbage-collection:list` of the system"),
        "{error}"
    );
}
