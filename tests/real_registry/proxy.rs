//! Stands in front of a registry, and says when a chosen request is there: so that a program can be killed at that very
//! moment.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::{Method, Response, StatusCode};
use reqwest::Client;
use tokio::net::TcpListener;
use tokio::sync::Notify;

/// When a request is held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum When {
    /// The registry has not seen it.
    Before,
    /// The registry has answered, and the answer was not passed on.
    After,
}

/// Which requests are counted.
#[derive(Debug, Clone)]
enum Sought {
    Method(Method),
    Kind(String),
}

#[derive(Debug, Clone)]
struct Trap {
    sought: Sought,
    number: u64,
    when: When,
}

struct Shared {
    client: Client,
    target: String,
    trap: Mutex<Option<Trap>>,
    seen: AtomicU64,
    /// How many there were of each kind.
    kinds: Mutex<BTreeMap<String, u64>>,
    reached: Notify,
    released: Notify,
}

pub(crate) struct Proxy {
    pub(crate) url: String,
    shared: Arc<Shared>,
}

impl Proxy {
    /// Passes everything on to `target` until a trap is set.
    pub(crate) async fn start(target: &str) -> Self {
        lagan_registry::install_crypto_provider();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let shared = Arc::new(Shared {
            client: Client::new(),
            target: target.to_owned(),
            trap: Mutex::new(None),
            seen: AtomicU64::new(0),
            kinds: Mutex::default(),
            reached: Notify::new(),
            released: Notify::new(),
        });
        let app = Router::new().fallback(pass).with_state(Arc::clone(&shared));
        tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        Self { url, shared }
    }

    /// Holds the `number`th request of this method from now on; one whose answer is held goes on when
    /// [released](Self::release).
    pub(crate) fn trap(&self, method: Method, number: u64, when: When) {
        self.set(Sought::Method(method), number, when);
    }

    /// The same of a [kind](Self::kinds) of request.
    pub(crate) fn trap_kind(&self, kind: &str, number: u64, when: When) {
        self.set(Sought::Kind(kind.to_owned()), number, when);
    }

    fn set(&self, sought: Sought, number: u64, when: When) {
        self.shared.seen.store(0, Ordering::SeqCst);
        *self.shared.trap.lock().unwrap() = Some(Trap { sought, number, when });
    }

    /// How many requests of each kind there were since this was asked last.
    pub(crate) fn kinds(&self) -> BTreeMap<String, u64> {
        std::mem::take(&mut *self.shared.kinds.lock().unwrap())
    }

    /// Passes everything on again.
    pub(crate) fn open(&self) {
        *self.shared.trap.lock().unwrap() = None;
    }

    /// Passes the answer on that is held.
    pub(crate) fn release(&self) {
        self.shared.released.notify_one();
    }

    /// Returns when the request is held.
    pub(crate) async fn reached(&self) {
        self.shared.reached.notified().await;
    }
}

/// What a request is about, as the protocol has it, and whether it is about copies that are held.
fn kind(method: &Method, path: &str) -> String {
    let path = path.strip_prefix("/v2/").unwrap_or(path);
    let copy = if path.starts_with("hold/") { " copy" } else { "" };
    let what = match path.rsplit_once("/manifests/") {
        Some((_, reference)) if reference.contains(':') => "manifest by digest",
        Some(_) => "manifest by tag",
        None if path.contains("/blobs/uploads/") => "upload",
        None if path.contains("/blobs/") => "blob",
        None if path.contains("/referrers/") => "referrers",
        None if path.ends_with("/tags/list") => "tags",
        None => path,
    };
    format!("{method}{copy} {what}")
}

async fn pass(State(shared): State<Arc<Shared>>, request: Request) -> Response<Body> {
    let (parts, body) = request.into_parts();
    let kind = kind(&parts.method, parts.uri.path());
    *shared.kinds.lock().unwrap().entry(kind.clone()).or_default() += 1;
    let trap = shared.trap.lock().unwrap().clone();
    let trap = trap.filter(|trap| {
        let is_sought = match &trap.sought {
            Sought::Method(method) => *method == parts.method,
            Sought::Kind(sought) => *sought == kind,
        };
        is_sought && shared.seen.fetch_add(1, Ordering::SeqCst) + 1 == trap.number
    });
    if trap.as_ref().is_some_and(|trap| trap.when == When::Before) {
        shared.reached.notify_one();
        return std::future::pending().await;
    }
    let path = parts.uri.path_and_query().map_or("/", |path| path.as_str());
    let mut headers = parts.headers;
    headers.remove("host");
    let sent = shared
        .client
        .request(parts.method, format!("{}{path}", shared.target))
        .headers(headers)
        .body(to_bytes(body, 16 << 20).await.unwrap());
    let Ok(answer) = sent.send().await else {
        let mut failed = Response::new(Body::empty());
        *failed.status_mut() = StatusCode::BAD_GATEWAY;
        return failed;
    };
    let mut response = Response::new(Body::empty());
    *response.status_mut() = answer.status();
    *response.headers_mut() = answer.headers().clone();
    // How this connection is used is another matter than how that one was.
    response.headers_mut().remove("transfer-encoding");
    *response.body_mut() = Body::from(answer.bytes().await.unwrap());
    if trap.is_some() {
        shared.reached.notify_one();
        shared.released.notified().await;
    }
    response
}
