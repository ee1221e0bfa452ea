use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use lagan_model::{Failure, RegistryRead as _, RequestKind};
use lagan_registry::OciRegistry;
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpListener;

use crate::support::{Server, app, broken_off, json, refused, respond, settings};

const TAGS: &str = r#"{"name":"team/app","tags":["a"]}"#;

#[tokio::test]
async fn what_fails_in_passing_is_sent_again_and_every_attempt_is_counted() {
    for status in [429, 500, 502, 503, 504] {
        for retry_after in [
            None,
            Some("0"),
            Some("1"),
            Some("Fri, 31 Dec 1999 23:59:59 GMT"),
            Some("99999999999999999999"),
            Some("soon"),
        ] {
            let server = Server::registry(move |seen| {
                if seen.before == 2 {
                    return json(200, TAGS);
                }
                let header = retry_after.map(|value| ("retry-after", value));
                respond(status, header.as_slice(), "")
            })
            .await;
            let registry = server.connect().await;
            assert_eq!(
                registry.list_tags(&app()).await.unwrap().len(),
                1,
                "{status} {retry_after:?}"
            );
            assert_eq!(registry.requests().of(RequestKind::Tags), 3);
            assert_eq!(server.log().len(), 3);
        }
    }
}

#[tokio::test]
async fn attempts_are_bounded_and_the_last_failure_is_told() {
    for (status, expected) in [
        (429, Failure::Overloaded),
        (503, Failure::Overloaded),
        (502, Failure::Server),
        (500, Failure::Server),
    ] {
        let server = Server::registry(move |_| refused(status, "TOOMANYREQUESTS")).await;
        let registry = server.connect().await;
        let error = registry.list_tags(&app()).await.unwrap_err();
        assert_eq!(error.failure(), expected);
        assert_eq!(server.log().len(), 3);
    }
}

#[tokio::test]
async fn what_does_not_pass_is_not_sent_again() {
    for status in [400, 401, 403, 404, 405, 501] {
        let server = Server::registry(move |_| refused(status, "UNKNOWN")).await;
        let registry = server.connect().await;
        assert!(registry.list_tags(&app()).await.is_err());
        assert_eq!(server.log().len(), 1, "{status}");
    }
}

#[tokio::test]
async fn an_answer_that_breaks_off_is_asked_for_again() {
    let server = Server::registry(|seen| match seen.before {
        0 => broken_off(&[], r#"{"tags":["#, 100),
        _ => json(200, TAGS),
    })
    .await;
    let registry = server.connect().await;
    assert_eq!(registry.list_tags(&app()).await.unwrap().len(), 1);
    let server = Server::registry(|_| broken_off(&[], r#"{"tags":["#, 100)).await;
    let error = server.connect().await.list_tags(&app()).await.unwrap_err();
    assert_eq!(error.failure(), Failure::Unreachable);
    assert_eq!(server.log().len(), 3);
}

#[tokio::test]
async fn a_connection_that_is_closed_without_an_answer_is_unreachable_in_the_end() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let accepted = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&accepted);
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            counted.fetch_add(1, Ordering::SeqCst);
            let _ = stream.read(&mut [0; 1024]).await;
        }
    });
    let error = OciRegistry::connect(settings(&url)).await.unwrap_err();
    assert!(error.hint().is_none(), "{error}");
    assert!(
        matches!(error, lagan_registry::ConnectError::Registry(error) if error.failure() == Failure::Unreachable)
    );
    assert_eq!(accepted.load(Ordering::SeqCst), 3);
}

#[tokio::test]
async fn headers_or_bodies_that_never_come_meet_the_deadline() {
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut slow = settings(&format!("http://{}", silent.local_addr().unwrap()));
    slow.timeouts.request = Duration::from_millis(40);
    let error = OciRegistry::connect(slow).await.unwrap_err();
    assert!(
        matches!(error, lagan_registry::ConnectError::Registry(error) if error.failure() == Failure::Timeout)
    );

    let server = Server::registry(|_| {
        let never = futures_util::stream::pending::<Result<axum::body::Bytes, std::io::Error>>();
        json(200, axum::body::Body::from_stream(never))
    })
    .await;
    let mut slow = server.settings();
    slow.timeouts.request = Duration::from_millis(40);
    let registry = OciRegistry::connect(slow).await.unwrap();
    assert_eq!(
        registry.list_tags(&app()).await.unwrap_err().failure(),
        Failure::Timeout
    );
    assert_eq!(server.log().len(), 3);
}

/// Two requests under way meet at a barrier, so a limit below two would never end, and one above is seen.
#[tokio::test]
async fn no_more_requests_are_under_way_than_allowed() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let now = Arc::new(AtomicUsize::new(0));
    let most = Arc::new(AtomicUsize::new(0));
    let barrier = Arc::new(tokio::sync::Barrier::new(2));
    let (current, peak) = (Arc::clone(&now), Arc::clone(&most));
    let app_router = axum::Router::new().fallback(move |uri: axum::http::Uri| {
        let (current, peak, barrier) = (Arc::clone(&current), Arc::clone(&peak), Arc::clone(&barrier));
        async move {
            if uri.path() == "/v2/" {
                return json(200, "{}");
            }
            peak.fetch_max(current.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            barrier.wait().await;
            for _ in 0..20 {
                tokio::task::yield_now().await;
            }
            current.fetch_sub(1, Ordering::SeqCst);
            json(200, TAGS)
        }
    });
    tokio::spawn(async move { axum::serve(listener, app_router).await.unwrap() });
    let mut two = settings(&url);
    two.max_concurrency = NonZeroUsize::new(2).unwrap();
    let registry = OciRegistry::connect(two).await.unwrap();
    let repository = app();
    let asked = (0..20).map(|_| registry.list_tags(&repository));
    for tags in futures_util::future::join_all(asked).await {
        tags.unwrap();
    }
    assert_eq!(most.load(Ordering::SeqCst), 2);
}

/// A registry that refuses what is beyond eight at a time, and an answer that takes until others had their turn.
#[tokio::test]
async fn a_registry_that_refuses_more_than_eight_at_once_answers_every_request_in_the_end() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let now = Arc::new(AtomicUsize::new(0));
    let refusals = Arc::new(AtomicUsize::new(0));
    let (current, refused_there) = (Arc::clone(&now), Arc::clone(&refusals));
    let app_router = axum::Router::new().fallback(move |uri: axum::http::Uri| {
        let (current, refused_there) = (Arc::clone(&current), Arc::clone(&refused_there));
        async move {
            if uri.path() == "/v2/" {
                return json(200, "{}");
            }
            let accepted = current.fetch_add(1, Ordering::SeqCst) < 8;
            for _ in 0..50 {
                tokio::task::yield_now().await;
            }
            current.fetch_sub(1, Ordering::SeqCst);
            if accepted {
                return json(200, TAGS);
            }
            refused_there.fetch_add(1, Ordering::SeqCst);
            refused(429, "TOOMANYREQUESTS")
        }
    });
    tokio::spawn(async move { axum::serve(listener, app_router).await.unwrap() });
    let registry = OciRegistry::connect(settings(&url)).await.unwrap();
    let repository = app();
    let asked = (0..1_000).map(|_| registry.list_tags(&repository));
    for tags in futures_util::future::join_all(asked).await {
        tags.unwrap();
    }
    let refused = u64::try_from(refusals.load(Ordering::SeqCst)).unwrap();
    assert_eq!(registry.requests().of(RequestKind::Tags), 1_000 + refused);
    assert!(refused <= 100, "{refused} refusals");
}

#[tokio::test]
async fn a_registry_that_only_fails_soon_gets_each_request_once() {
    let server = Server::registry(|_| refused(503, "UNAVAILABLE")).await;
    let mut few = server.settings();
    few.max_concurrency = NonZeroUsize::new(4).unwrap();
    let registry = OciRegistry::connect(few).await.unwrap();
    let mut hints = Vec::new();
    for _ in 0..50 {
        let error = registry.list_tags(&app()).await.unwrap_err();
        assert_eq!(error.failure(), Failure::Overloaded);
        hints.push(error.hint().unwrap().to_owned());
    }
    // Three attempts for each of the four that can be under way; what is beyond that is sent once.
    assert_eq!(server.log().len(), 50 + 4 * 2);
    assert!(hints[3].contains("fewer requests"), "{}", hints[3]);
    assert!(hints[4].contains("not tried again"), "{}", hints[4]);
}

#[tokio::test]
async fn a_registry_that_answers_again_is_tried_again() {
    let server = Server::registry(|seen| match seen.path.as_str() {
        "/v2/ill/tags/list" => refused(502, "UNKNOWN"),
        _ => json(200, TAGS),
    })
    .await;
    let mut few = server.settings();
    few.max_concurrency = NonZeroUsize::new(1).unwrap();
    let registry = OciRegistry::connect(few).await.unwrap();
    let ill = "ill".parse().unwrap();
    for _ in 0..3 {
        assert!(registry.list_tags(&ill).await.is_err());
    }
    let sent = |server: &Server| {
        let log = server.log();
        log.iter().filter(|seen| seen.path.contains("/ill/")).count()
    };
    assert_eq!(sent(&server), 3 + 2, "the budget is used up");
    // Two answers pay for one attempt.
    for _ in 0..2 {
        registry.list_tags(&app()).await.unwrap();
    }
    assert!(registry.list_tags(&ill).await.is_err());
    assert_eq!(sent(&server), 3 + 2 + 2);
}

/// One byte a moment: the connection is alive all the time, and nothing ever comes of it.
#[tokio::test]
async fn a_body_that_drips_meets_the_deadline() {
    let server = Server::registry(|_| {
        let byte = futures_util::stream::unfold((), |()| async {
            tokio::time::sleep(Duration::from_millis(1)).await;
            Some((Ok::<_, std::io::Error>(axum::body::Bytes::from_static(b" ")), ()))
        });
        json(200, axum::body::Body::from_stream(byte))
    })
    .await;
    let mut slow = server.settings();
    slow.timeouts.request = Duration::from_millis(40);
    let registry = OciRegistry::connect(slow).await.unwrap();
    let error = registry.list_tags(&app()).await.unwrap_err();
    assert_eq!(error.failure(), Failure::Timeout, "{error}");
    assert_eq!(server.log().len(), 3);
}
