//! Each thing that goes wrong, as a client sees it.

use std::time::Duration;

use http::Method;

use super::{DAY, code, header, json, start, strings};
use crate::{Change, Digest, Effect, Fault, Image, RequestKind, Sandbox, SandboxOptions};

async fn one_image() -> (Sandbox, super::Http, Digest) {
    let (sandbox, http) = start(SandboxOptions::default()).await;
    let digest = sandbox.put_image("a", &["1", "2", "3"], DAY);
    (sandbox, http, digest)
}

const MANIFEST: &str = "/v2/a/manifests/1";

#[tokio::test]
async fn statuses_come_with_an_envelope_and_retry_after() {
    let (sandbox, mut http, _) = one_image().await;
    sandbox
        .faults()
        .push(Fault::retry_after(429, "7").on(RequestKind::ManifestGet).first(1));
    let refused = http.get(MANIFEST).await;
    assert_eq!(code(&refused), (429, "TOOMANYREQUESTS".to_owned()));
    assert_eq!(header(&refused, "retry-after"), Some("7"));
    assert_eq!(http.status(Method::GET, MANIFEST).await, 200);
    let body = Some("{}".to_owned());
    sandbox.faults().push(Fault::new(Effect::Answer {
        status: 200,
        retry_after: None,
        body,
    }));
    assert_eq!(http.get(MANIFEST).await.body(), "{}");
}

#[tokio::test]
async fn a_status_instead_of_a_deletion_deletes_nothing() {
    let (sandbox, mut http, digest) = one_image().await;
    sandbox
        .faults()
        .push(Fault::status(202).on(RequestKind::ManifestDelete));
    assert_eq!(
        http.status(Method::DELETE, &format!("/v2/a/manifests/{digest}"))
            .await,
        202
    );
    assert_eq!(sandbox.tags("a").len(), 3);
}

#[tokio::test]
async fn a_tag_vanishes_after_it_was_listed() {
    let (sandbox, mut http, _) = one_image().await;
    sandbox.faults().push(Fault::vanished("a", "2"));
    assert_eq!(
        strings(&json(&http.get("/v2/a/tags/list").await)["tags"]),
        ["1", "2", "3"]
    );
    assert_eq!(
        code(&http.get("/v2/a/manifests/2").await),
        (404, "MANIFEST_UNKNOWN".to_owned())
    );
    assert_eq!(http.status(Method::GET, MANIFEST).await, 200);
}

#[tokio::test(start_paused = true)]
async fn delays_pass_in_the_time_of_the_runtime() {
    let (sandbox, mut http, _) = one_image().await;
    let before = tokio::time::Instant::now();
    sandbox
        .faults()
        .push(Fault::new(Effect::Delay(Duration::from_secs(3_600))));
    assert_eq!(http.status(Method::GET, MANIFEST).await, 200);
    assert!(before.elapsed() >= Duration::from_secs(3_600));
}

#[tokio::test]
async fn a_hanging_request_ends_when_the_sandbox_does() {
    let (sandbox, mut http, _) = one_image().await;
    sandbox.faults().push(Fault::new(Effect::Hang));
    let asked = tokio::spawn(async move { http.breaks(Method::GET, MANIFEST).await });
    while sandbox.log().counts().total() == 0 {
        tokio::task::yield_now().await;
    }
    sandbox.shutdown().await.expect("a clean end");
    assert!(asked.await.expect("no panic"));
}

#[tokio::test]
async fn a_dropped_sandbox_answers_no_longer() {
    let (sandbox, mut http, _) = one_image().await;
    assert_eq!(http.status(Method::GET, MANIFEST).await, 200);
    drop(sandbox);
    // A request that is on its way already may still be answered.
    let mut broke = false;
    for _ in 0..1_000 {
        broke = http.breaks(Method::GET, MANIFEST).await;
        if broke {
            break;
        }
    }
    assert!(broke);
}

#[tokio::test]
async fn a_cut_connection_did_nothing_and_a_lost_reply_did_it() {
    for (effect, left) in [(Effect::Cut, 3), (Effect::ReplyLost, 0)] {
        let (sandbox, mut http, digest) = one_image().await;
        sandbox
            .faults()
            .push(Fault::new(effect).on(RequestKind::ManifestDelete).first(1));
        assert!(
            http.breaks(Method::DELETE, &format!("/v2/a/manifests/{digest}"))
                .await
        );
        assert_eq!(sandbox.tags("a").len(), left);
        assert_eq!(sandbox.log().of(RequestKind::ManifestDelete)[0].status, None);
        assert_eq!(http.status(Method::GET, "/v2/").await, 200);
    }
}

#[tokio::test]
async fn a_late_deletion_is_answered_before_it_happens() {
    let (sandbox, mut http, digest) = one_image().await;
    let path = format!("/v2/a/manifests/{digest}");
    sandbox
        .faults()
        .push(Fault::new(Effect::ApplyLate { requests: 3 }).first(1));
    assert_eq!(http.status(Method::DELETE, &path).await, 202);
    let mut seen = Vec::new();
    for _ in 0..4 {
        seen.push(http.status(Method::HEAD, &path).await);
    }
    assert_eq!(seen, [200, 200, 404, 404]);
}

#[tokio::test]
async fn bodies_break_off_with_and_without_a_sign() {
    let (sandbox, mut http, _) = one_image().await;
    let whole = http.get(MANIFEST).await;
    sandbox
        .faults()
        .push(Fault::new(Effect::CutBody).on(RequestKind::ManifestGet));
    assert!(http.breaks(Method::GET, MANIFEST).await);
    sandbox.faults().clear();
    sandbox.faults().push(Fault::new(Effect::TruncatedBody));
    let half = http.get(MANIFEST).await;
    assert_eq!(half.body()[..], whole.body()[..whole.body().len() / 2]);
    assert_eq!(
        header(&half, "docker-content-digest"),
        header(&whole, "docker-content-digest")
    );
    assert!(serde_json::from_slice::<serde_json::Value>(half.body()).is_err());
}

#[tokio::test]
async fn content_and_its_digest_disagree() {
    let (sandbox, mut http, digest) = one_image().await;
    sandbox.faults().push(Fault::new(Effect::WrongBody));
    let wrong = http.get(MANIFEST).await;
    assert_eq!(
        header(&wrong, "docker-content-digest"),
        Some(digest.to_string().as_str())
    );
    assert_ne!(Digest::of(wrong.body()), digest);
    sandbox.faults().clear();
    sandbox.faults().push(Fault::new(Effect::WrongDigest));
    let claimed = http.get(MANIFEST).await;
    assert_ne!(
        header(&claimed, "docker-content-digest"),
        Some(digest.to_string().as_str())
    );
    assert_eq!(Digest::of(claimed.body()), digest);
    sandbox.faults().clear();
    sandbox.faults().push(Fault::new(Effect::NoDigest));
    assert_eq!(header(&http.get(MANIFEST).await, "docker-content-digest"), None);
}

#[tokio::test]
async fn types_and_sizes_are_not_what_they_should_be() {
    let (sandbox, mut http, _) = one_image().await;
    sandbox
        .faults()
        .push(Fault::new(Effect::ContentType("text/plain".to_owned())));
    assert_eq!(
        header(&http.get(MANIFEST).await, "content-type"),
        Some("text/plain")
    );
    sandbox.faults().clear();
    sandbox
        .faults()
        .push(Fault::new(Effect::HugeBody { padding: 5 << 20 }));
    let huge = http.get("/v2/a/tags/list").await;
    assert!(huge.body().len() > 5 << 20);
    assert_eq!(strings(&json(&huge)["tags"]).len(), 3);
}

#[tokio::test]
async fn links_loop_repeat_and_lead_elsewhere() {
    let (sandbox, mut http, _) = one_image().await;
    let page = "/v2/a/tags/list?n=2";
    sandbox.faults().push(Fault::new(Effect::LinkToItself));
    let looping = http.get(page).await;
    assert_eq!(
        header(&looping, "link"),
        Some("</v2/a/tags/list?n=2>; rel=\"next\"")
    );
    sandbox.faults().clear();
    sandbox.faults().push(Fault::new(Effect::LinkTo(
        "http://elsewhere.example/v2/".to_owned(),
    )));
    let away = http.get(page).await;
    assert_eq!(
        header(&away, "link"),
        Some("<http://elsewhere.example/v2/>; rel=\"next\"")
    );
    sandbox.faults().clear();
    sandbox.faults().push(Fault::new(Effect::RepeatedEntry));
    let again = http.get("/v2/a/tags/list?n=2&last=2").await;
    assert_eq!(strings(&json(&again)["tags"]), ["2", "3"]);
}

#[tokio::test]
async fn what_answers_may_be_no_registry_at_all() {
    let (sandbox, mut http, _) = one_image().await;
    sandbox.faults().push(Fault::new(Effect::NotARegistry));
    let page = http.get("/v2/").await;
    assert_eq!(page.status(), 200);
    assert!(
        header(&page, "content-type")
            .expect("a type")
            .starts_with("text/html")
    );
    assert_eq!(header(&page, "docker-distribution-api-version"), None);
}

#[tokio::test]
async fn the_log_is_bounded_and_the_counts_are_not() {
    let (sandbox, mut http) = start(SandboxOptions {
        log_capacity: 2,
        ..SandboxOptions::default()
    })
    .await;
    sandbox.put_image("a", &["1"], DAY);
    for path in ["/v2/", "/v2/a/tags/list?n=5", "/v2/a/manifests/1"] {
        http.get(path).await;
    }
    let log = sandbox.log();
    let entries = log.entries();
    assert_eq!(entries.len(), 2);
    assert_eq!((entries[0].number, entries[0].query.as_str()), (2, "n=5"));
    assert_eq!(
        (entries[1].repository.as_str(), entries[1].reference.as_str()),
        ("a", "1")
    );
    assert_eq!(entries[1].status, Some(http::StatusCode::OK));
    assert_eq!((log.counts().total(), log.counts().of(RequestKind::Base)), (3, 1));
    assert_eq!(log.most_in_flight(), 1);
    log.clear();
    assert_eq!((log.counts().total(), log.entries().len()), (0, 0));
}

#[tokio::test]
async fn the_log_knows_how_many_were_answered_at_once() {
    let (sandbox, _) = start(SandboxOptions::default().fault(Fault::new(Effect::Hang))).await;
    let clients: Vec<_> = (0..5)
        .map(|_| {
            let mut http = super::Http(crate::client::Client::new(&sandbox.url()).expect("an address"));
            tokio::spawn(async move { http.breaks(Method::GET, "/v2/").await })
        })
        .collect();
    while sandbox.log().counts().total() < 5 {
        tokio::task::yield_now().await;
    }
    assert_eq!(sandbox.log().most_in_flight(), 5);
    sandbox.shutdown().await.expect("a clean end");
    for client in clients {
        assert!(client.await.expect("no panic"));
    }
}

#[tokio::test]
async fn one_request_more_than_are_answered_at_once_is_refused_and_counted() {
    let options = SandboxOptions {
        at_once: Some(1),
        ..SandboxOptions::default()
    };
    let (sandbox, mut http) = start(options).await;
    // One after the other there is always a place.
    for _ in 0..3 {
        assert_eq!(http.status(Method::GET, "/v2/").await, 200);
    }
    sandbox.faults().push(Fault::new(Effect::Hang).first(1));
    let mut other = super::Http(crate::client::Client::new(&sandbox.url()).expect("an address"));
    let asked = tokio::spawn(async move { other.breaks(Method::GET, "/v2/").await });
    while sandbox.log().counts().total() < 4 {
        tokio::task::yield_now().await;
    }
    assert_eq!(code(&http.get("/v2/").await), (429, "TOOMANYREQUESTS".to_owned()));
    assert_eq!(sandbox.log().counts().total(), 5);
    sandbox.shutdown().await.expect("a clean end");
    assert!(asked.await.expect("no panic"));
}

#[tokio::test]
async fn somebody_else_changes_what_is_read() {
    let (sandbox, mut http) = start(SandboxOptions::default()).await;
    let first = sandbox.put_image("a", &["1"], DAY);
    let second = sandbox.put_image("a", &["2"], DAY);
    sandbox.put_image("b", &["1"], DAY);
    let name = || "a".to_owned();
    let changes = [
        Change::Push(name(), Image::new(DAY).tag("3")),
        Change::Tag(name(), "1".to_owned(), second),
        Change::Untag(name(), "2".to_owned()),
        Change::Delete(name(), second),
        Change::DeleteRepository(name()),
    ];
    for (change, number) in changes.into_iter().zip(2..) {
        let fault = Fault::new(Effect::Meanwhile(change)).on(RequestKind::TagList);
        sandbox.faults().push(fault.nth(number));
    }
    let mut seen = Vec::new();
    for _ in 0..5 {
        seen.push(strings(&json(&http.get("/v2/a/tags/list").await)["tags"]));
    }
    assert_eq!(
        seen,
        [
            vec!["1", "2"],
            vec!["1", "2", "3"],
            vec!["1", "2", "3"],
            vec!["1", "3"],
            vec!["3"]
        ]
    );
    assert!(sandbox.manifest("a", &first).is_some());
    assert_eq!(http.status(Method::GET, "/v2/a/tags/list").await, 404);
    assert_eq!(
        strings(&json(&http.get("/v2/_catalog").await)["repositories"]),
        ["b"]
    );
}
