//! What becomes of a change that goes wrong, below what `tests/http/changes.rs` sees.

use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::HeaderValue;
use lagan_model::{Failure, RequestKind};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use super::*;

/// A server that reads a request whole, answers with `answer`, and closes; or says nothing until the client leaves.
async fn server(answer: Option<&'static str>) -> (Url, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/v2/a/manifests/b", listener.local_addr().unwrap());
    let reached = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&reached);
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let counted = Arc::clone(&counted);
            tokio::spawn(async move {
                let mut buffer = [0; 4096];
                if stream.read(&mut buffer).await.unwrap_or_default() > 0 {
                    counted.fetch_add(1, Ordering::SeqCst);
                }
                if let Some(answer) = answer {
                    drop(stream.write_all(answer.as_bytes()).await);
                    drop(stream.shutdown().await);
                }
                // Closed with something unread, the connection would be reset, and the answer lost with it.
                while stream.read(&mut buffer).await.is_ok_and(|read| read > 0) {}
            });
        }
    });
    (url.parse().unwrap(), reached)
}

fn transport(url: &Url) -> Transport {
    patient(url, Duration::from_secs(60))
}

fn patient(url: &Url, request: Duration) -> Transport {
    let mut settings = Settings::new(url.origin().ascii_serialization().parse().unwrap());
    settings.retry.first_pause = Duration::from_millis(1);
    settings.retry.longest_pause = Duration::from_millis(1);
    settings.retry.longest_asked = Duration::from_millis(1);
    settings.timeouts.request = request;
    Transport::new(&settings).unwrap()
}

fn request(url: &Url, action: Action) -> Request {
    Request {
        kind: RequestKind::Manifest,
        url: url.clone(),
        accept: HeaderValue::from_static("*/*"),
        limit: 1024,
        redirects: Redirects::Anywhere,
        action,
    }
}

fn changes() -> [Action; 2] {
    let put = Action::Put {
        media_type: HeaderValue::from_static("application/json"),
        content: Bytes::from_static(b"{}"),
    };
    [Action::Delete, put]
}

#[tokio::test]
async fn a_change_that_is_refused_in_passing_is_made_once_and_a_read_is_tried_again() {
    for answer in [
        "HTTP/1.1 429 Too Many Requests\r\nRetry-After: 0\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
        "HTTP/1.1 500 Oh\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
        "HTTP/1.1 502 Oh\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
        "HTTP/1.1 503 Oh\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
        "HTTP/1.1 504 Oh\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
    ] {
        let (url, reached) = server(Some(answer)).await;
        let transport = transport(&url);
        for (before, change) in changes().into_iter().enumerate() {
            let answered = transport.send(&request(&url, change), None).await.unwrap();
            assert!(retry::passes(answered.status));
            assert_eq!(reached.load(Ordering::SeqCst), before + 1, "{answer}");
        }
        let answered = transport.send(&request(&url, Action::Read), None).await.unwrap();
        assert!(retry::passes(answered.status));
        assert_eq!(reached.load(Ordering::SeqCst), 2 + 5, "{answer}");
    }
}

#[tokio::test]
async fn a_change_whose_answer_is_lost_is_made_once_and_told_as_perhaps_done() {
    let cut = "HTTP/1.1 202 Accepted\r\nContent-Length: 10\r\n\r\n{";
    for (answer, expected) in [
        (Some(""), Failure::Unreachable),
        (Some(cut), Failure::Unreachable),
        (None, Failure::Timeout),
    ] {
        let (url, reached) = server(answer).await;
        let patience = if answer.is_none() { 200 } else { 60_000 };
        let transport = patient(&url, Duration::from_millis(patience));
        for (before, change) in changes().into_iter().enumerate() {
            let error = transport.send(&request(&url, change), None).await.unwrap_err();
            assert_eq!(error.failure(), expected);
            assert!(
                error.to_string().ends_with("it may have been done all the same"),
                "{error}"
            );
            assert_eq!(reached.load(Ordering::SeqCst), before + 1, "{answer:?}");
        }
    }
}

#[tokio::test]
async fn a_change_that_never_left_is_not_told_as_perhaps_done() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url: Url = format!("http://{}/", listener.local_addr().unwrap())
        .parse()
        .unwrap();
    drop(listener);
    let error = transport(&url)
        .send(&request(&url, Action::Delete), None)
        .await
        .unwrap_err();
    assert_eq!(error.failure(), Failure::Unreachable);
    assert!(!error.to_string().contains("all the same"), "{error}");
}

/// A registry that is known may be restarting; whether there is one at all is asked once.
#[tokio::test]
async fn a_refused_connection_passes_but_at_the_first_question() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url: Url = format!("http://{}/", listener.local_addr().unwrap())
        .parse()
        .unwrap();
    drop(listener);
    let transport = transport(&url);
    for (kind, passes) in [
        (RequestKind::Manifest, true),
        (RequestKind::Tags, true),
        (RequestKind::Ping, false),
    ] {
        let mut request = request(&url, Action::Read);
        request.kind = kind;
        let Err(broken) = transport.attempt(&request, None).await else {
            panic!("nobody listens there");
        };
        assert_eq!(broken.passes, passes, "{kind:?}");
        let sent = transport.counters().read().of(kind);
        assert!(transport.send(&request, None).await.is_err());
        let attempts = if passes { 5 } else { 1 };
        assert_eq!(transport.counters().read().of(kind), sent + attempts, "{kind:?}");
    }
}

#[tokio::test]
async fn a_change_follows_no_redirect_not_even_at_home() {
    let answer =
        "HTTP/1.1 307 Go\r\nLocation: /v2/a/manifests/b\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
    let (url, reached) = server(Some(answer)).await;
    let transport = transport(&url);
    for (before, change) in changes().into_iter().enumerate() {
        let error = transport.send(&request(&url, change), None).await.unwrap_err();
        assert!(
            error.to_string().contains("a change follows no redirect"),
            "{error}"
        );
        assert_eq!(reached.load(Ordering::SeqCst), before + 1);
    }
}

/// `GET` of a redirect to a host that says nothing, and of one that says nothing itself.
#[tokio::test]
async fn what_another_host_does_not_answer_in_time_is_not_the_registry_s_overload() {
    let (silent, _) = server(None).await;
    let answer =
        format!("HTTP/1.1 307 Go\r\nLocation: {silent}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    let (url, _) = server(Some(answer.leak())).await;
    for (asked, expected) in [(&url, false), (&silent, true)] {
        let transport = patient(asked, Duration::from_secs(1));
        let outcome = transport.attempt(&request(asked, Action::Read), None).await;
        let failure = outcome.as_ref().map_err(|broken| broken.error.failure());
        assert_eq!(failure.map(|_| ()), Err(Failure::Timeout));
        assert_eq!(is_overload(&outcome), expected, "{asked}");
    }
}

/// The registry is public, and sends for a token to a name that resolves to where this test listens.
#[tokio::test]
async fn a_token_service_whose_name_leads_inside_gets_no_request() {
    let (url, reached) = server(Some(
        "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
    ))
    .await;
    let lookup =
        |name: String| -> std::pin::Pin<Box<dyn Future<Output = io::Result<Vec<std::net::IpAddr>>> + Send>> {
            let address = if name == "registry.example" {
                [203, 0, 113, 1]
            } else {
                [127, 0, 0, 1]
            };
            Box::pin(std::future::ready(Ok(vec![address.into()])))
        };
    let settings = Settings::new("https://registry.example".parse().unwrap());
    let transport = Transport::with_guard(&settings, Guard::with_lookup(settings.url.url(), lookup)).unwrap();
    let realm: Url = format!("http://auth.example:{}/token", url.port().unwrap())
        .parse()
        .unwrap();
    let mut request = request(&realm, Action::Read);
    request.kind = RequestKind::Token;

    for purpose in [Purpose::AllowedToken, Purpose::Token] {
        transport.named_for_tokens(&realm, purpose).unwrap();
        let error = transport.send(&request, None).await.unwrap_err();
        assert_eq!(error.failure(), Failure::Unauthorized);
        let expected =
            "auth.example is at 127.0.0.1, an address of this machine, and the registry is elsewhere";
        assert!(error.to_string().ends_with(expected), "{error}");
        assert_eq!(reached.load(Ordering::SeqCst), 0);
    }

    // The same name reaches it where somebody else than the registry named it: the name does lead there.
    let named_by_nobody: Url = format!("http://other.example:{}/token", url.port().unwrap())
        .parse()
        .unwrap();
    request.url = named_by_nobody;
    transport.send(&request, None).await.unwrap();
    assert_eq!(reached.load(Ordering::SeqCst), 1);
}

/// Object storage under names that lead to this machine and to where clouds hand out credentials. The registry is
/// public; that its redirect comes from here is what a test can do without one.
#[tokio::test]
async fn a_redirect_to_a_name_that_leads_inside_is_not_followed() {
    const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
    let (storage, reached) = server(Some(OK)).await;
    let port = storage.port().unwrap();
    let lookup =
        |name: String| -> std::pin::Pin<Box<dyn Future<Output = io::Result<Vec<std::net::IpAddr>>> + Send>> {
            let address = match name.as_str() {
                "registry.example" => [203, 0, 113, 1],
                "metadata.example" => [169, 254, 169, 254],
                _ => [127, 0, 0, 1],
            };
            Box::pin(std::future::ready(Ok(vec![address.into()])))
        };
    let settings = Settings::new("https://registry.example".parse().unwrap());
    for (name, expected) in [
        (
            "bucket.example",
            "an address of this machine, and the registry is elsewhere",
        ),
        ("metadata.example", "a link-local address"),
    ] {
        let guard = Guard::with_lookup(settings.url.url(), lookup);
        let transport = Transport::with_guard(&settings, guard).unwrap();
        let answer = format!(
            "HTTP/1.1 307 Go\r\nLocation: http://{name}:{port}/blob\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
        );
        let (from, _) = server(Some(answer.leak())).await;
        let from: Url = format!("http://front.example:{}/blob", from.port().unwrap())
            .parse()
            .unwrap();
        let error = transport
            .send(&request(&from, Action::Read), None)
            .await
            .unwrap_err();
        assert_eq!(error.failure(), Failure::Malformed, "{error}");
        assert!(error.to_string().contains(expected), "{error}");
        assert_eq!(reached.load(Ordering::SeqCst), 0, "{name}");
        // Where nobody outside named it, the same place is reached: it is there.
        let named_by_nobody: Url = format!("http://other.example:{port}/blob").parse().unwrap();
        let there = transport
            .send(&request(&named_by_nobody, Action::Read), None)
            .await;
        assert_eq!(there.unwrap().status, StatusCode::OK);
        reached.store(0, Ordering::SeqCst);
    }
}

/// A server that answers each request by `head`, and by `again` for as long as anybody listens; how many requests
/// reached it, and how many bytes left it.
async fn endless(head: &'static str, again: &str) -> (Url, Arc<AtomicUsize>, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/v2/a/manifests/b", listener.local_addr().unwrap());
    let (reached, left) = (Arc::<AtomicUsize>::default(), Arc::<AtomicUsize>::default());
    let counted = (Arc::clone(&reached), Arc::clone(&left));
    let again = again.repeat(4096);
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let ((reached, left), again) = (counted.clone(), again.clone());
            tokio::spawn(async move {
                let mut buffer = [0; 4096];
                if stream.read(&mut buffer).await.unwrap_or_default() > 0 {
                    reached.fetch_add(1, Ordering::SeqCst);
                }
                let mut next = head;
                while stream.write_all(next.as_bytes()).await.is_ok() {
                    left.fetch_add(next.len(), Ordering::SeqCst);
                    next = &again;
                }
            });
        }
    });
    (url.parse().unwrap(), reached, left)
}

#[tokio::test]
async fn headers_that_never_end_are_left_at_their_limit() {
    for (head, again) in [
        ("HTTP/1.1 200 OK\r\n", "X-More: and more\r\n"),
        ("HTTP/1.1 200 OK\r\nX-Long: ", "and more "),
        ("HTTP/1.1 200 ", "and more "),
    ] {
        let (url, reached, left) = endless(head, again).await;
        let error = transport(&url)
            .send(&request(&url, Action::Read), None)
            .await
            .unwrap_err();
        // Not by the deadline, which is a minute.
        assert_eq!(error.failure(), Failure::Unreachable, "{error}");
        assert!(error.to_string().len() < 1000, "{error}");
        let attempts = reached.load(Ordering::SeqCst);
        assert_eq!(attempts, 5);
        // Half a megabyte of them is read; the rest is what the system holds on the way.
        let left = left.load(Ordering::SeqCst) / attempts;
        assert!(left < 32 << 20, "{left}");
    }
}

#[tokio::test]
async fn answers_that_only_announce_others_end_with_the_deadline() {
    for head in [
        "HTTP/1.1 100 Continue\r\n\r\n",
        "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n",
    ] {
        let (url, reached, _) = endless(head, head).await;
        let transport = patient(&url, Duration::from_millis(200));
        let error = transport
            .send(&request(&url, Action::Delete), None)
            .await
            .unwrap_err();
        assert_eq!(error.failure(), Failure::Timeout, "{error}");
        assert_eq!(reached.load(Ordering::SeqCst), 1);
    }
}

#[derive(Debug, Default)]
struct Seen(std::sync::Mutex<Vec<Sent>>);

impl Observer for Seen {
    fn sent(&self, sent: &Sent) {
        self.0.lock().unwrap().push(*sent);
    }
}

#[tokio::test]
async fn whoever_observes_is_told_of_every_attempt_and_what_came_of_it() {
    const BUSY: &str = "HTTP/1.1 503 Oh\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
    const ABSENT: &str = "HTTP/1.1 404 Oh\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
    const CUT_OFF: &str = "HTTP/1.1 200 OK\r\nContent-Length: 9\r\nConnection: close\r\n\r\n{}";
    for (answer, attempts, expected, refused, measured) in [
        (Some(BUSY), 5, Answered::Status(503), true, false),
        (Some(ABSENT), 1, Answered::Status(404), false, true),
        (Some(CUT_OFF), 5, Answered::Broken, false, false),
        (None, 5, Answered::TimedOut, true, false),
    ] {
        let (url, reached) = server(answer).await;
        let seen = Arc::new(Seen::default());
        let mut settings = Settings::new(url.origin().ascii_serialization().parse().unwrap());
        settings.retry.first_pause = Duration::from_millis(1);
        settings.retry.longest_pause = Duration::from_millis(1);
        settings.timeouts.request = Duration::from_millis(if answer.is_none() { 50 } else { 60_000 });
        settings.observer = Some(seen.clone());
        let transport = Transport::new(&settings).unwrap();
        drop(transport.send(&request(&url, Action::Read), None).await);
        let seen = seen.0.lock().unwrap();
        assert_eq!((seen.len(), reached.load(Ordering::SeqCst)), (attempts, attempts));
        for sent in seen.iter() {
            let found = (sent.kind, sent.answer, sent.refused, sent.measured);
            assert_eq!(found, (RequestKind::Manifest, expected, refused, measured));
            assert_eq!(sent.answer.is_failure(), expected != Answered::Status(404));
            assert!(sent.window >= 1);
        }
    }
}
