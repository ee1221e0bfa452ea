//! A server that answers as a test tells it to and writes down what reaches it.

use std::collections::HashMap;
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::response::Response;
use futures_util::StreamExt as _;
use lagan_model::{Digest, RepositoryName};
use lagan_registry::{Credentials, OciRegistry, Settings};
use tokio::net::TcpListener;

/// A request that reached a server.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    pub(crate) method: String,
    pub(crate) path: String,
    /// The query, decoded.
    pub(crate) query: HashMap<String, String>,
    pub(crate) headers: HeaderMap,
    pub(crate) body: String,
    /// How many requests for the same path and query came before.
    pub(crate) before: usize,
    /// The server's own URL.
    pub(crate) server: String,
}

impl Seen {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    pub(crate) fn authorization(&self) -> Option<&str> {
        self.header("authorization")
    }
}

pub(crate) struct Server {
    pub(crate) url: String,
    log: Arc<Mutex<Vec<Seen>>>,
}

impl Server {
    /// A server whose every answer is `answer`'s, on a free port.
    pub(crate) async fn start(answer: impl Fn(&Seen) -> Response + Send + Sync + 'static) -> Self {
        Self::start_on(TcpListener::bind("127.0.0.1:0").await.unwrap(), answer)
    }

    /// The same, where somebody listens already.
    pub(crate) fn start_on(
        listener: TcpListener,
        answer: impl Fn(&Seen) -> Response + Send + Sync + 'static,
    ) -> Self {
        let url = format!("http://{}", listener.local_addr().unwrap());
        let log = Arc::new(Mutex::new(Vec::<Seen>::new()));
        let (kept, server, answer) = (Arc::clone(&log), url.clone(), Arc::new(answer));
        let app = axum::Router::new().fallback(
            move |method: Method, uri: Uri, headers: HeaderMap, body: String| {
                let (kept, server, answer) = (Arc::clone(&kept), server.clone(), Arc::clone(&answer));
                async move {
                    // Through a proxy a request names its host as well.
                    let target = uri.path_and_query().map_or("/", |target| target.as_str());
                    let parsed: url::Url = format!("{server}{target}").parse().unwrap();
                    let mut seen = Seen {
                        method: method.to_string(),
                        path: uri.path().to_owned(),
                        query: parsed.query_pairs().into_owned().collect(),
                        headers,
                        body,
                        before: 0,
                        server,
                    };
                    {
                        let mut log = kept.lock().unwrap();
                        let same = |other: &&Seen| other.path == seen.path && other.query == seen.query;
                        seen.before = log.iter().filter(same).count();
                        log.push(seen.clone());
                    }
                    answer(&seen)
                }
            },
        );
        let app = app.layer(axum::extract::DefaultBodyLimit::disable());
        tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        Self { url, log }
    }

    /// A registry that answers the ping, and everything else as told.
    pub(crate) async fn registry(answer: impl Fn(&Seen) -> Response + Send + Sync + 'static) -> Self {
        Self::start(move |seen| match seen.path.as_str() {
            "/v2/" => json(200, "{}"),
            _ => answer(seen),
        })
        .await
    }

    /// What has reached it, but for pings.
    pub(crate) fn log(&self) -> Vec<Seen> {
        let log = self.log.lock().unwrap();
        log.iter().filter(|seen| seen.path != "/v2/").cloned().collect()
    }

    /// What has reached it, pings included.
    pub(crate) fn whole_log(&self) -> Vec<Seen> {
        self.log.lock().unwrap().clone()
    }

    pub(crate) fn settings(&self) -> Settings {
        settings(&self.url)
    }

    pub(crate) async fn connect(&self) -> OciRegistry {
        OciRegistry::connect(self.settings()).await.unwrap()
    }

    pub(crate) async fn connect_as(&self, username: &str, password: &str) -> OciRegistry {
        let mut settings = self.settings();
        settings.credentials = Some(Credentials::new(username, password.into()).unwrap().into());
        OciRegistry::connect(settings).await.unwrap()
    }
}

/// Settings with three attempts and pauses that a test can wait for.
pub(crate) fn settings(url: &str) -> Settings {
    let mut settings = Settings::new(url.parse().unwrap());
    settings.retry.attempts = NonZeroU32::new(3).unwrap();
    settings.retry.first_pause = Duration::from_millis(1);
    settings.retry.longest_pause = Duration::from_millis(2);
    settings.retry.longest_asked = Duration::from_millis(5);
    settings
}

pub(crate) fn respond(status: u16, headers: &[(&str, &str)], body: impl Into<Body>) -> Response {
    let mut response = Response::new(body.into());
    *response.status_mut() = StatusCode::from_u16(status).unwrap();
    for (name, value) in headers {
        let name: axum::http::HeaderName = name.parse().unwrap();
        response.headers_mut().append(name, value.parse().unwrap());
    }
    response
}

pub(crate) fn json(status: u16, body: impl Into<Body>) -> Response {
    respond(status, &[("content-type", "application/json")], body)
}

/// A page with a `Link` to the next one.
pub(crate) fn linked(body: impl Into<Body>, target: &str) -> Response {
    let link = format!("<{target}>; rel=\"next\"");
    respond(
        200,
        &[("content-type", "application/json"), ("link", &link)],
        body,
    )
}

/// The registry's own error.
pub(crate) fn refused(status: u16, code: &str) -> Response {
    json(
        status,
        format!(r#"{{"errors":[{{"code":"{code}","message":"as the test wants","detail":null}}]}}"#),
    )
}

pub(crate) fn html(status: u16) -> Response {
    respond(
        status,
        &[("content-type", "text/html; charset=utf-8")],
        "<!DOCTYPE html><title>Welcome</title>",
    )
}

/// A 200 that announces `whole` and breaks off after `sent`.
pub(crate) fn broken_off(headers: &[(&str, &str)], sent: &'static str, whole: usize) -> Response {
    let length = whole.to_string();
    let mut headers = headers.to_vec();
    headers.push(("content-length", &length));
    let chunks: [Result<Bytes, std::io::Error>; 2] = [
        Ok(Bytes::from_static(sent.as_bytes())),
        Err(std::io::ErrorKind::ConnectionReset.into()),
    ];
    respond(
        200,
        &headers,
        // The headers are sent while the body is waited for.
        Body::from_stream(futures_util::stream::iter(chunks).then(async |chunk| {
            tokio::task::yield_now().await;
            chunk
        })),
    )
}

pub(crate) const MANIFEST_TYPE: &str = "application/vnd.oci.image.manifest.v1+json";
pub(crate) const INDEX_TYPE: &str = "application/vnd.oci.image.index.v1+json";

/// An image manifest; `salt` makes it another one.
pub(crate) fn image(salt: &str) -> String {
    format!(
        r#"{{"schemaVersion":2,"mediaType":"{MANIFEST_TYPE}","config":{},"layers":[],"annotations":{{"salt":"{salt}"}}}}"#,
        descriptor("application/vnd.oci.image.config.v1+json", "{}")
    )
}

/// The descriptor of `content`.
pub(crate) fn descriptor(media_type: &str, content: &str) -> String {
    let digest = Digest::of(content.as_bytes());
    let size = content.len();
    format!(r#"{{"mediaType":"{media_type}","digest":"{digest}","size":{size}}}"#)
}

/// An index of manifests that are named by their salt.
pub(crate) fn index(salts: &[&str]) -> String {
    let manifests: Vec<_> = salts
        .iter()
        .map(|salt| descriptor(MANIFEST_TYPE, &image(salt)))
        .collect();
    format!(
        r#"{{"schemaVersion":2,"mediaType":"{INDEX_TYPE}","manifests":[{}]}}"#,
        manifests.join(",")
    )
}

pub(crate) fn app() -> RepositoryName {
    "team/app".parse().unwrap()
}
