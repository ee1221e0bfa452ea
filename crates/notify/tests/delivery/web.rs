//! What receivers on loopback get, and what becomes of the others.

use std::collections::BTreeSet;
use std::num::NonZeroU16;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chrono::TimeDelta;
use lagan_notify::{ATTEMPT, Address, Delivery, Kind, PAUSES, QUEUE, Receiver, SigningKey, Target};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tokio::net::TcpListener;
use tokio::sync::watch;

use crate::support::{LONGEST, Scene, message, receiver};

const SECRET: &str = "a secret of sixteen bytes or more";

/// What a receiver got.
#[derive(Debug, Clone)]
struct Got {
    headers: HeaderMap,
    body: Bytes,
}

impl Got {
    fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    fn header(&self, name: &str) -> &str {
        self.headers[name].to_str().unwrap()
    }

    /// What a receiver computes of what it got: HMAC as RFC 2104 has it, of nothing but the hash, by another library
    /// than the one that signs.
    fn signature(&self, secret: &str) -> String {
        let mut key = secret.as_bytes().to_vec();
        assert!(key.len() <= 64);
        key.resize(64, 0);
        let padded = |with: u8| key.iter().map(|byte| byte ^ with).collect::<Vec<u8>>();
        let signed = format!(
            "{}.{}.",
            self.header("webhook-id"),
            self.header("webhook-timestamp")
        );
        let inner = [padded(0x36), signed.into_bytes(), self.body.to_vec()].concat();
        let outer = [padded(0x5c), Sha256::digest(inner).to_vec()].concat();
        format!("v1,{}", STANDARD.encode(Sha256::digest(outer)))
    }
}

/// What a receiver does with each post; the last again and again.
#[derive(Debug, Clone)]
enum Answer {
    Status(u16),
    After(u16, &'static str),
    Redirect,
    Never,
}

#[derive(Clone)]
struct Server {
    answers: Arc<Mutex<Vec<Answer>>>,
    got: Arc<Mutex<Vec<Got>>>,
    /// How many it got.
    count: Arc<watch::Sender<usize>>,
    address: String,
}

impl Server {
    async fn start(answers: &[Answer]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let server = Self {
            answers: Arc::new(Mutex::new(answers.to_vec())),
            got: Arc::default(),
            count: Arc::new(watch::Sender::new(0)),
            address: format!("http://{}/services/secret", listener.local_addr().unwrap()),
        };
        let app = Router::new().fallback(answer).with_state(server.clone());
        tokio::spawn(async move { axum::serve(listener, app).await });
        server
    }

    /// Waits until it got so many.
    async fn wait_for(&self, posts: usize) {
        let mut count = self.count.subscribe();
        let waited = tokio::time::timeout(LONGEST, count.wait_for(|count| *count >= posts)).await;
        waited.unwrap().unwrap();
    }

    fn got(&self) -> Vec<Got> {
        self.got.lock().unwrap().clone()
    }

    fn webhook(&self, name: &str) -> Receiver {
        receiver(
            name,
            Target::Webhook {
                address: Address::new(&self.address).unwrap(),
                key: Some(SigningKey::new(SECRET).unwrap()),
            },
        )
    }

    fn slack(&self, name: &str) -> Receiver {
        let address = Address::new(&self.address).unwrap();
        receiver(name, Target::Slack { address })
    }
}

async fn answer(State(server): State<Server>, headers: HeaderMap, body: Bytes) -> Response {
    server.got.lock().unwrap().push(Got { headers, body });
    server.count.send_modify(|count| *count += 1);
    let answer = {
        let mut answers = server.answers.lock().unwrap();
        if answers.len() > 1 {
            answers.remove(0)
        } else {
            answers[0].clone()
        }
    };
    let status = |status| StatusCode::from_u16(status).unwrap();
    match answer {
        Answer::Status(code) => status(code).into_response(),
        Answer::After(code, after) => (status(code), [("retry-after", after)]).into_response(),
        Answer::Redirect => (StatusCode::TEMPORARY_REDIRECT, [("location", "/elsewhere")]).into_response(),
        Answer::Never => std::future::pending().await,
    }
}

#[tokio::test]
async fn a_webhook_gets_a_signed_cloud_event() {
    let mut scene = Scene::new();
    let server = Server::start(&[Answer::Status(204)]).await;
    let outbox = scene.open(vec![server.webhook("hook")]);
    outbox.tell(&message(1));
    assert_eq!(scene.heard().await, ("hook".to_owned(), Delivery::Sent));
    let got = server.got();
    assert_eq!(got.len(), 1);
    assert_eq!(
        got[0].header("content-type"),
        "application/cloudevents+json; charset=utf-8"
    );
    assert_eq!(
        got[0].json(),
        json!({
            "specversion": "1.0",
            "id": "01000000000000000000000001",
            "source": "/lagan/daemon",
            "type": "lagan.run_failed.v1",
            "subject": "registries/r/policies/p",
            "time": "2026-11-21T12:00:00.000Z",
            "datacontenttype": "application/json",
            "data": { "summary": "p failed <1>", "run": 1 },
        })
    );
    assert_eq!(got[0].header("webhook-id"), "01000000000000000000000001");
    assert_eq!(got[0].header("webhook-timestamp"), "1795262400");
    assert_eq!(got[0].header("webhook-signature"), got[0].signature(SECRET));
    assert_ne!(
        got[0].header("webhook-signature"),
        got[0].signature("another secret")
    );
    outbox.close(&*scene.clock, ATTEMPT).await;
}

#[tokio::test]
async fn a_chat_gets_text_that_mentions_nobody() {
    let mut scene = Scene::new();
    let server = Server::start(&[Answer::Status(200)]).await;
    let outbox = scene.open(vec![server.slack("chat")]);
    outbox.tell(&message(1));
    assert_eq!(scene.heard().await, ("chat".to_owned(), Delivery::Sent));
    let got = server.got();
    assert_eq!(
        got[0].json(),
        json!({
            "text": "p failed &lt;1&gt;",
            "mrkdwn": false,
            "parse": "none",
            "link_names": false,
            "unfurl_links": false,
            "unfurl_media": false,
        })
    );
    assert!(!got[0].headers.contains_key("webhook-signature"));
}

#[tokio::test]
async fn a_receiver_that_fails_in_passing_is_tried_again_after_the_pause_it_asks_for() {
    let mut scene = Scene::new();
    let server = Server::start(&[
        Answer::Status(503),
        Answer::After(429, "40"),
        Answer::After(429, "1"),
        Answer::Status(200),
    ])
    .await;
    let outbox = scene.open(vec![server.webhook("hook")]);
    outbox.tell(&message(1));
    scene.wait_for(PAUSES[0], ATTEMPT).await;
    // More than the pause that would be made anyway, and then less.
    scene.wait_for(Duration::from_secs(40), ATTEMPT).await;
    scene.wait_for(PAUSES[2], ATTEMPT).await;
    assert_eq!(scene.heard().await, ("hook".to_owned(), Delivery::Sent));
    let got = server.got();
    assert_eq!(got.len(), 4);
    assert!(
        got.iter()
            .all(|one| one.header("webhook-signature") == one.signature(SECRET))
    );
    // The same event, signed anew: the time is part of what is signed.
    assert!(got.iter().all(|one| one.body == got[0].body));
    assert!(
        got.iter()
            .all(|one| one.header("webhook-id") == got[0].header("webhook-id"))
    );
    let signatures: BTreeSet<&str> = got.iter().map(|one| one.header("webhook-signature")).collect();
    assert_eq!(signatures.len(), 4);
}

#[tokio::test]
async fn a_receiver_that_hangs_is_given_up_and_holds_up_no_other() {
    let mut scene = Scene::new();
    let hanging = Server::start(&[Answer::Never]).await;
    let healthy = Server::start(&[Answer::Status(200)]).await;
    let outbox = scene.open(vec![hanging.webhook("hangs"), healthy.webhook("works")]);
    outbox.tell(&message(1));
    assert_eq!(scene.heard().await, ("works".to_owned(), Delivery::Sent));
    // Both attempts wait by now, and each of the one that hangs has to arrive before its time is over.
    hanging.wait_for(1).await;
    let (mut waited, mut attempts) = (Vec::new(), 0);
    let given_up = loop {
        tokio::select! {
            waits = scene.waits.recv() => {
                let waits = waits.unwrap();
                if waits == ATTEMPT {
                    hanging.wait_for(attempts).await;
                    attempts += 1;
                }
                waited.push(waits);
                scene.pass(waits);
            }
            heard = scene.heard.recv() => break heard.unwrap(),
        }
    };
    assert_eq!(given_up, ("hangs".to_owned(), Delivery::Failed));
    assert_eq!(hanging.got().len(), PAUSES.len() + 1);
    for pause in PAUSES {
        assert!(waited.contains(&pause), "{waited:?}");
    }
}

#[tokio::test]
async fn a_refusal_and_a_redirect_are_not_tried_again() {
    for answer in [Answer::Status(400), Answer::Status(410), Answer::Redirect] {
        let mut scene = Scene::new();
        let server = Server::start(std::slice::from_ref(&answer)).await;
        let outbox = scene.open(vec![server.webhook("hook")]);
        outbox.tell(&message(1));
        assert_eq!(scene.heard().await.1, Delivery::Failed, "{answer:?}");
        assert_eq!(server.got().len(), 1, "{answer:?}");
    }
}

#[tokio::test]
async fn nobody_waits_for_a_receiver_that_is_not_there() {
    let mut scene = Scene::new();
    // Nobody listens where somebody listened.
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = Address::new(&format!("http://{}/secret", listener.local_addr().unwrap())).unwrap();
    drop(listener);
    let mut absent = receiver("absent", Target::Slack { address });
    absent.limits.per_hour = NonZeroU16::MAX;
    let outbox = scene.open(vec![absent]);
    // On one thread: nothing of this gives way to whoever sends.
    for number in 0..QUEUE + 10 {
        outbox.tell(&message(number));
    }
    for _ in 0..10 {
        assert_eq!(scene.heard().await, ("absent".to_owned(), Delivery::QueueFull));
    }
    let close = async {
        outbox.close(&*scene.clock, Duration::from_secs(7)).await;
    };
    let time = async {
        while let Some(waits) = scene.waits.recv().await {
            if waits == Duration::from_secs(7) {
                scene.clock.shown.send_modify(|now| *now += TimeDelta::seconds(7));
                break;
            }
        }
    };
    tokio::time::timeout(LONGEST, async { tokio::join!(close, time) })
        .await
        .unwrap();
}

#[tokio::test]
async fn the_same_is_told_once_unless_it_could_not_be_told() {
    let mut scene = Scene::new();
    let server = Server::start(&[Answer::Status(404), Answer::Status(200)]).await;
    let outbox = scene.open(vec![server.webhook("hook")]);
    for expected in [Delivery::Failed, Delivery::Sent, Delivery::Duplicate] {
        outbox.tell(&message(1));
        assert_eq!(scene.heard().await.1, expected);
    }
    assert_eq!(server.got().len(), 2);
}

#[tokio::test]
async fn more_than_a_person_reads_is_not_sent() {
    let mut scene = Scene::new();
    let server = Server::start(&[Answer::Status(200)]).await;
    let mut receiver = server.webhook("hook");
    receiver.limits.per_hour = NonZeroU16::new(3).unwrap();
    let outbox = scene.open(vec![receiver]);
    let mut heard = Vec::new();
    for number in 0..5 {
        outbox.tell(&message(number));
        heard.push(scene.heard().await.1);
    }
    use Delivery::{RateLimited, Sent};
    assert_eq!(heard, [Sent, Sent, Sent, RateLimited, RateLimited]);
}

#[tokio::test]
async fn a_receiver_hears_of_what_concerns_it_and_remembers_over_a_reload() {
    let mut scene = Scene::new();
    let server = Server::start(&[Answer::Status(200)]).await;
    let mut receiver = server.webhook("hook");
    receiver.kinds = BTreeSet::from([Kind::RunFailed]);
    let mut outbox = scene.open(vec![receiver.clone()]);
    let mut done = message(1);
    done.kind = Kind::RunDone;
    outbox.tell(&done);
    outbox.tell(&message(2));
    assert_eq!(scene.heard().await.1, Delivery::Sent);
    assert_eq!(server.got().len(), 1);
    outbox.reopen(vec![receiver], &scene.clock).unwrap();
    outbox.tell(&message(2));
    assert_eq!(scene.heard().await.1, Delivery::Duplicate);
}

#[test]
fn what_is_secret_is_in_no_debug_output() {
    let target = Target::Webhook {
        address: Address::new("https://example.com/secret").unwrap(),
        key: Some(SigningKey::new(SECRET).unwrap()),
    };
    let shown = format!("{:?}", receiver("hook", target));
    assert!(!shown.contains("secret"), "{shown}");
    assert!(shown.contains("https://example.com"), "{shown}");
}
