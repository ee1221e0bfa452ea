//! The server as it is run, beside a daemon that is: over TCP and over its socket.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixListener;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use lagan_model::Clock as _;
use lagan_sandbox::{Effect, Fault, Moment, RequestKind, Sandbox, SandboxOptions};
use reqwest::{Method, RequestBuilder, StatusCode, header};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::sync::mpsc;
use utoipa::OpenApi as _;

use super::listen::Patience;
use super::openapi::Description;
use super::pages::routes as pages_routes;
use super::problem::NO_SUCH_PLACE;
use super::{Admin, Client, SOCKET, routes};
use crate::daemon::tests::{Hands, Opening, with_candidates};
use crate::daemon::{Daemon, Event, Happening, MOST_ORDERS, Options};
use crate::exit::Exit;
use crate::metrics::Metrics;

mod accessible;
mod browser;
mod disk;
mod hooks;
mod pages;
mod refusals;

/// Longer than any story takes, so that one that hangs fails.
const LONGEST: Duration = Duration::from_secs(100);

const ALL: &str = "a-token-that-may-do-everything";
const READ: &str = "a-token-that-only-looks";

struct Scene {
    sandbox: Sandbox,
    place: TempDir,
    clock: Hands,
    metrics: Arc<Metrics>,
}

/// A daemon that is asked.
struct Asked {
    address: SocketAddr,
    http: reqwest::Client,
    events: mpsc::Sender<Event>,
    told: mpsc::UnboundedReceiver<Happening>,
}

impl Scene {
    /// A registry with six candidates of which a policy keeps two, every hour; the clock shows half past eleven.
    async fn new() -> Self {
        lagan_registry::install_crypto_provider();
        let sandbox = with_candidates().await;
        let place = TempDir::new().unwrap();
        let clock = Hands::at("2026-11-21T11:30:00Z");
        let shown = clock.clone();
        let scene = Self {
            sandbox,
            place,
            clock,
            metrics: Arc::new(Metrics::new(move || shown.now())),
        };
        scene.file("all", ALL);
        scene.file("read", &format!("{READ}\n"));
        scene.configure("enforce");
        scene
    }

    fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.place.path().join(name);
        fs::write(&path, text).unwrap();
        path
    }

    fn configure(&self, mode: &str) {
        let token = |name: &str, rights: &str| {
            let file = self.place.path().join(name);
            format!("{name}: {{file: '{}', rights: [{rights}]}}", file.display())
        };
        self.file(
            "lagan.yaml",
            &format!(
                "registries: {{r: {{url: '{}'}}}}\nadmin:\n  hosts: lagan.test\n  tokens: {{{}, {}}}\npolicies:\n  p:\n    \
                 repositories: '**'\n    mode: {mode}\n    schedule: {{cron: '@hourly'}}\n    \
                 rules: [{{select: {{channel: prerelease}}, keep: {{last: 2, by: version}}}}]\n",
                self.sandbox.url(),
                token("all", "read, plan, apply, undo"),
                token("read", "read"),
            ),
        );
    }

    fn state(&self) -> PathBuf {
        self.place.path().join("state")
    }

    fn options(&self) -> Options {
        Options {
            config: self.place.path().join("lagan.yaml"),
            state: Some(self.state()),
            listen: None,
            keep: 20,
            metrics: self.metrics.clone(),
            stop_within: Duration::from_secs(60),
        }
    }

    fn tags(&self) -> usize {
        self.sandbox.tags("team/app").len()
    }

    /// Runs a daemon and its server, and a story beside them.
    async fn asked<S: AsyncFnOnce(&mut Asked)>(&self, story: S) {
        self.asked_with(Patience::default(), story).await;
    }

    async fn asked_with<S: AsyncFnOnce(&mut Asked)>(&self, patience: Patience, story: S) {
        self.asked_at("127.0.0.1:0", patience, story).await;
    }

    async fn asked_at<S: AsyncFnOnce(&mut Asked)>(&self, listen: &str, patience: Patience, story: S) {
        let (events, received) = mpsc::channel(16);
        let (tell, told) = mpsc::unbounded_channel();
        let tell = move |happening: &Happening| _ = tell.send(happening.clone());
        let daemon = Daemon::open(self.options(), self.clock.clone(), tell).await;
        let daemon = daemon.unwrap_or_else(|failure| panic!("{}", failure.text()));
        let (orders, placed) = mpsc::channel(MOST_ORDERS);
        let listen = listen.parse().ok();
        let admin = Admin::with(
            daemon.state(),
            listen,
            daemon.board(),
            orders,
            self.metrics.clone(),
            patience,
        )
        .unwrap();
        let mut asked = Asked {
            address: (Ipv4Addr::LOCALHOST, admin.address().unwrap().port()).into(),
            // A connection that idles is closed soon here.
            http: reqwest::Client::builder()
                .pool_max_idle_per_host(0)
                .build()
                .unwrap(),
            events: events.clone(),
            told,
        };
        let story = async {
            story(&mut asked).await;
            _ = events.send(Event::Stop).await;
        };
        let both = async { tokio::join!(daemon.taking(placed).run(received), story).0 };
        let exit = tokio::time::timeout(LONGEST, both).await.unwrap();
        assert_eq!(exit, Exit::Done);
        tokio::task::spawn_blocking(move || admin.stop()).await.unwrap();
        assert!(!self.state().join(SOCKET).exists());
    }
}

impl Asked {
    fn ask(&self, method: Method, path: &str) -> RequestBuilder {
        self.http
            .request(method, format!("http://{}{path}", self.address))
    }

    fn get(&self, path: &str) -> RequestBuilder {
        self.ask(Method::GET, path)
    }

    fn post(&self, path: &str, body: &Value) -> RequestBuilder {
        let request = self.ask(Method::POST, path).bearer_auth(ALL);
        request
            .header(header::CONTENT_TYPE, "application/json")
            .body(body.to_string())
    }

    async fn json(&self, path: &str) -> Value {
        let answer = self.get(path).send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::OK, "{path}");
        serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap()
    }

    /// Asks for something, and waits until it is over.
    async fn over(&self, path: &str, body: &Value) -> Value {
        let answer = self.post(path, body).send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::OK);
        let lines = answer.text().await.unwrap();
        let last: Value = serde_json::from_str(lines.lines().last().unwrap()).unwrap();
        assert_eq!(last["event"], "ended", "{lines}");
        last["run"].clone()
    }

    async fn told<V>(&mut self, find: impl Fn(&Happening) -> Option<V>) -> V {
        loop {
            let happening = self.told.recv().await.expect("the daemon runs");
            if let Some(found) = find(&happening) {
                return found;
            }
        }
    }

    /// What a daemon's server answers to what no client of HTTP would send.
    async fn raw(&self, sent: Vec<u8>) -> String {
        let address = self.address;
        tokio::task::spawn_blocking(move || {
            let mut stream = TcpStream::connect(address).unwrap();
            stream.set_read_timeout(Some(LONGEST)).unwrap();
            // It may be refused while it is sent.
            _ = stream.write_all(&sent);
            let mut answer = Vec::new();
            _ = stream.read_to_end(&mut answer);
            String::from_utf8_lossy(&answer).into_owned()
        })
        .await
        .unwrap()
    }
}

async fn problem(answer: reqwest::Response) -> (u16, String) {
    let status = answer.status().as_u16();
    assert_eq!(
        answer.headers()[header::CONTENT_TYPE],
        "application/problem+json",
        "{status}"
    );
    let body: Value = serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap();
    assert_eq!(body["status"], status);
    assert_eq!(body["type"], "about:blank");
    (status, body["detail"].as_str().unwrap().to_owned())
}

#[tokio::test]
async fn pages_are_answered_while_a_run_waits_for_its_journal() {
    let scene = Scene::new().await;
    scene
        .asked(async |daemon| {
            let opening = Opening::begin(scene.state()).await;
            scene.clock.pass(30);
            daemon.events.send(Event::Beat).await.unwrap();
            daemon
                .told(|happening| matches!(happening, Happening::Began { .. }).then_some(()))
                .await;
            for path in ["/", "/runs", "/api/v1/plans", "/healthz", "/readyz", "/metrics"] {
                let answer = daemon.get(path).send().await.unwrap();
                assert_eq!(answer.status(), StatusCode::OK, "{path}");
            }
            let policies = daemon.json("/api/v1/policies").await;
            assert!(policies["policies"][0]["running"].is_string(), "{policies}");
            assert_eq!(scene.tags(), 6);
            assert!(opening.end());
            daemon
                .told(|happening| matches!(happening, Happening::Ended(_)).then_some(()))
                .await;
            assert_eq!(scene.tags(), 2);
        })
        .await;
}

#[tokio::test]
async fn whoever_asks_is_answered_while_it_is_looked_at_what_interrupted_runs_left() {
    let scene = Scene::new().await;
    let cut = Fault::new(Effect::Cut).on(RequestKind::ManifestDelete).nth(1);
    scene.sandbox.faults().push(cut);
    scene
        .asked(async |daemon| {
            scene.clock.pass(30);
            daemon.events.send(Event::Beat).await.unwrap();
            let ended = |happening: &Happening| match happening {
                Happening::Ended(record) => Some(record.exit),
                _ => None,
            };
            assert_eq!(daemon.told(ended).await, Exit::Partial);
        })
        .await;
    let hangs = scene.sandbox.faults().push(Fault::new(Effect::Hang));
    scene
        .asked(async |daemon| {
            while scene.sandbox.faults().fired(hangs) == 0 {
                tokio::task::yield_now().await;
            }
            let ready = daemon.get("/readyz").send().await.unwrap();
            assert_eq!(ready.status(), StatusCode::SERVICE_UNAVAILABLE);
            let ready: Value = serde_json::from_slice(&ready.bytes().await.unwrap()).unwrap();
            assert_eq!(
                (&ready["ready"], &ready["recovering"]),
                (&json!(false), &json!(["r"]))
            );
            for path in [
                "/healthz",
                "/metrics",
                "/runs",
                "/api/v1/policies",
                "/api/v1/journal",
            ] {
                let answer = daemon.get(path).send().await.unwrap();
                assert_eq!(answer.status(), StatusCode::OK, "{path}");
            }
            let first = daemon.get("/").send().await.unwrap().text().await.unwrap();
            assert!(
                first.contains("What interrupted runs left open is looked at"),
                "{first}"
            );
        })
        .await;
    scene.sandbox.faults().clear();
    scene
        .asked(async |daemon| {
            daemon
                .told(|happening| matches!(happening, Happening::Recovered { .. }).then_some(()))
                .await;
            daemon.events.send(Event::Beat).await.unwrap();
            daemon
                .told(|happening| matches!(happening, Happening::Beat).then_some(()))
                .await;
            let ready = daemon.json("/readyz").await;
            assert_eq!(
                (&ready["ready"], &ready["recovering"]),
                (&json!(true), &Value::Null)
            );
        })
        .await;
}

#[tokio::test]
async fn every_route_is_described_and_every_description_answers() {
    let document = serde_json::to_value(Description::openapi()).unwrap();
    let mut described = Vec::new();
    for (path, operations) in document["paths"].as_object().unwrap() {
        for method in operations.as_object().unwrap().keys() {
            described.push(format!("{} {path}", method.to_uppercase()));
        }
    }
    described.sort();
    let mut routes: Vec<_> = routes()
        .iter()
        .map(|(method, path, _)| format!("{method} {path}"))
        .collect();
    routes.sort();
    assert_eq!(described, routes);

    let scene = Scene::new().await;
    scene
        .asked(async |daemon| {
            let there = daemon.json("/api/v1/openapi.json").await;
            assert_eq!(there, document);
            let run = daemon.over("/api/v1/plan", &json!({})).await;
            let id = run["id"].as_str().unwrap();
            for route in &described {
                let (method, path) = route.split_once(' ').unwrap();
                let path = path.replace("{id}", id).replace("{run}", "last");
                let method: Method = method.parse().unwrap();
                let answer = daemon.ask(method, &path).bearer_auth(ALL).send().await.unwrap();
                let status = answer.status();
                let text = answer.text().await.unwrap();
                assert_ne!(status, StatusCode::METHOD_NOT_ALLOWED, "{route}");
                assert!(!status.is_server_error(), "{route}: {text}");
                assert!(!text.contains(NO_SUCH_PLACE), "{route}: {text}");
            }
            let nothing = daemon.get("/api/v2/runs").send().await.unwrap();
            assert_eq!(problem(nothing).await, (404, NO_SUCH_PLACE.to_owned()));
            let wrong = daemon.ask(Method::DELETE, "/api/v1/runs").send().await.unwrap();
            assert_eq!(problem(wrong).await.0, 405);
        })
        .await;
}

#[tokio::test]
async fn a_plan_that_was_kept_is_carried_out_and_undone() {
    let scene = Scene::new().await;
    scene
        .asked(async |daemon| {
            let planned = daemon.over("/api/v1/plan", &json!({"save": true})).await;
            assert_eq!(
                (&planned["exit"], &planned["by"], &planned["kind"]),
                (&json!(0), &json!("token all"), &json!("plan"))
            );
            let id = planned["id"].as_str().unwrap();
            let plan = daemon.json(&format!("/api/v1/plans/{id}")).await;
            assert_eq!(plan["schema"], "lagan.plan/v1");
            assert_eq!(plan["totals"]["delete_artifacts"], 4);
            assert_eq!(scene.tags(), 6);
            let page = daemon
                .get(&format!("/api/v1/runs/{id}/report?format=html"))
                .send()
                .await
                .unwrap();
            assert_eq!(page.headers()[header::CONTENT_TYPE], "text/html; charset=utf-8");

            let applied = daemon.over("/api/v1/apply", &json!({"plan": id})).await;
            assert_eq!(
                (&applied["exit"], &applied["error"]),
                (&json!(0), &Value::Null),
                "{applied}"
            );
            assert_eq!(scene.tags(), 2);
            let journal = daemon.json("/api/v1/journal").await;
            let run = journal["runs"][0]["run"].as_str().unwrap();
            let text = daemon
                .get(&format!("/api/v1/journal/{run}?format=text"))
                .send()
                .await
                .unwrap();
            assert!(text.text().await.unwrap().contains("1.0.0-rc.1"));

            let body = json!({"target": run, "format": "text"});
            let undone = daemon.over("/api/v1/undo", &body).await;
            assert_eq!(undone["exit"], 0, "{undone}");
            assert_eq!(scene.tags(), 6);
            let id = undone["id"].as_str().unwrap();
            let report = daemon.get(&format!("/api/v1/runs/{id}/report?format=text"));
            assert!(
                report
                    .send()
                    .await
                    .unwrap()
                    .text()
                    .await
                    .unwrap()
                    .contains("restored")
            );

            let runs = daemon.json("/api/v1/runs").await;
            let kinds: Vec<_> = runs["runs"]
                .as_array()
                .unwrap()
                .iter()
                .map(|run| run["kind"].as_str().unwrap())
                .collect();
            assert_eq!(kinds, ["undo", "apply", "plan"]);
            let plans = daemon.json("/api/v1/plans?limit=5").await;
            assert_eq!(plans["runs"].as_array().unwrap().len(), 1);
            let policies = daemon.json("/api/v1/policies").await;
            assert_eq!(policies["policies"][0]["next"], "2026-11-21T12:00:00Z");
        })
        .await;
}

#[tokio::test]
async fn looking_is_open_on_loopback_and_asking_takes_a_token_with_the_right() {
    let scene = Scene::new().await;
    scene
        .asked(async |daemon| {
            let bare = daemon.ask(Method::POST, "/api/v1/apply").body("{}");
            let answer = bare.send().await.unwrap();
            assert!(answer.headers().contains_key(header::WWW_AUTHENTICATE));
            assert_eq!(problem(answer).await.0, 401);
            for (token, status) in [
                ("a-token-that-nobody-has", 401),
                (READ, 403),
                ("", 401),
                // A token is shown whole.
                (&ALL[..ALL.len() - 1], 401),
            ] {
                for path in ["/api/v1/plan", "/api/v1/apply", "/api/v1/undo"] {
                    let request = daemon.ask(Method::POST, path).bearer_auth(token);
                    let answer = request
                        .header(header::CONTENT_TYPE, "application/json")
                        .body("{}")
                        .send();
                    let (found, detail) = problem(answer.await.unwrap()).await;
                    assert_eq!(found, status, "{token} {path}");
                    assert!(token.is_empty() || !detail.contains(token), "{detail}");
                }
            }
            // A wrong token is no better than none.
            let answer = daemon.get("/api/v1/runs").bearer_auth("a-token-that-nobody-has");
            assert_eq!(problem(answer.send().await.unwrap()).await.0, 401);
            assert_eq!(scene.tags(), 6);
            assert_eq!(scene.sandbox.log().counts().total(), 0);

            // It is read again when its file changes, whatever time that is given.
            let path = scene.place.path().join("all");
            let before = fs::metadata(&path).unwrap().modified().unwrap();
            let other: String = ALL.chars().rev().collect();
            let other = other.as_str();
            scene.file("all", other);
            let file = fs::File::options().write(true).open(&path).unwrap();
            file.set_modified(before).unwrap();
            let answer = daemon.post("/api/v1/plan", &json!({})).send().await.unwrap();
            assert_eq!(problem(answer).await.0, 401);
            let answer = daemon.post("/api/v1/plan", &json!({}));
            let answer = answer.bearer_auth(other).send().await.unwrap();
            // Two headers are two claims, of which the first is looked at.
            assert_eq!(problem(answer).await.0, 401);
            let request = daemon.ask(Method::POST, "/api/v1/plan").bearer_auth(other);
            let answer = request
                .header(header::CONTENT_TYPE, "application/json")
                .body("{}");
            assert_eq!(answer.send().await.unwrap().status(), StatusCode::OK);
        })
        .await;
}

#[tokio::test]
async fn on_an_address_that_others_reach_nothing_is_shown_without_a_token() {
    let scene = Scene::new().await;
    let patience = Patience::default();
    scene
        .asked_at("0.0.0.0:0", patience, async |daemon| {
            let run = daemon.over("/api/v1/apply", &json!({})).await;
            let id = run["id"].as_str().unwrap();
            let listed = daemon
                .get("/api/v1/journal")
                .bearer_auth(READ)
                .send()
                .await
                .unwrap();
            let listed: Value = serde_json::from_slice(&listed.bytes().await.unwrap()).unwrap();
            let of_journal = listed["runs"][0]["run"].as_str().unwrap();
            for (method, path, _) in routes().into_iter().chain(pages_routes()) {
                let open = ["/healthz", "/readyz", "/api/v1/openapi.json"];
                if open.contains(&path) {
                    continue;
                }
                let place = path.replace("{id}", id).replace("{run}", of_journal);
                let request = daemon.ask(method.clone(), &place);
                let form = path.ends_with("/undo") && !path.starts_with("/api");
                let request = match form {
                    true => request
                        .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
                        .body("token=a-token-that-nobody-has&confirm=yes"),
                    false => request
                        .header(header::CONTENT_TYPE, "application/json")
                        .body("{}"),
                };
                let answer = request.send().await.unwrap();
                assert_eq!(answer.status(), StatusCode::UNAUTHORIZED, "{method} {path}");
                let text = answer.text().await.unwrap();
                assert!(!text.contains("team/app"), "{method} {path}: {text}");
            }
        })
        .await;
}

#[tokio::test]
async fn a_name_that_is_not_ours_is_misdirected_and_nothing_may_be_read_by_others() {
    let scene = Scene::new().await;
    scene
        .asked(async |daemon| {
            for (host, status) in [
                ("evil.example", 421),
                ("127.0.0.1.evil.example", 421),
                ("lagan.test:1", 200),
                ("localhost", 200),
            ] {
                let answer = daemon.get("/api/v1/runs").header(header::HOST, host);
                let answer = answer.send().await.unwrap();
                assert_eq!(answer.status().as_u16(), status, "{host}");
                assert_eq!(answer.headers()["x-content-type-options"], "nosniff");
                assert!(!answer.headers().contains_key("access-control-allow-origin"));
            }
            let none = daemon
                .raw(b"GET /healthz HTTP/1.0\r\nConnection: close\r\n\r\n".to_vec())
                .await;
            assert!(none.contains(" 400 "), "{none}");
            let preflight = daemon.ask(Method::OPTIONS, "/api/v1/undo");
            let preflight = preflight
                .header("origin", "http://evil.example")
                .send()
                .await
                .unwrap();
            assert_eq!(preflight.status(), StatusCode::METHOD_NOT_ALLOWED);
        })
        .await;
}

#[tokio::test]
async fn a_path_that_names_nothing_or_no_text_is_a_problem_as_any_other() {
    let scene = Scene::new().await;
    scene
        .asked(async |daemon| {
            for path in ["/api/v1/nothing", "/api/v1", "/nothing", "/api/v1/runs/a/b/c"] {
                let found = problem(daemon.get(path).send().await.unwrap()).await;
                assert_eq!(found.0, 404, "{path}");
            }
            for (_, path, _) in routes() {
                // The name in a webhook's path is compared as it is written.
                if !path.contains('{') || path.starts_with("/hooks/") {
                    continue;
                }
                let path = path.replace("{id}", "%ff").replace("{run}", "%ff");
                let found = problem(daemon.get(&path).send().await.unwrap()).await;
                assert_eq!(found.0, 404, "{path}");
            }
            for path in ["/runs/%ff", "/journal/%ff"] {
                let answer = daemon.get(path).send().await.unwrap();
                assert_eq!(answer.status(), 404);
                assert_eq!(answer.headers()[header::CONTENT_TYPE], "text/html; charset=utf-8");
            }
        })
        .await;
}

#[tokio::test]
async fn what_is_too_much_too_slow_or_no_order_is_refused() {
    let scene = Scene::new().await;
    let patience = Patience {
        headers: Duration::from_secs(2),
        body: Duration::from_secs(2),
        ..Patience::default()
    };
    scene
        .asked_with(patience, async |daemon| {
            for (path, body, status) in [
                ("/api/v1/plan", "{".to_owned(), 400),
                ("/api/v1/plan", "{\"dry\": true}".to_owned(), 400),
                ("/api/v1/plan", " ".repeat(65 * 1024), 413),
                ("/api/v1/plan", "{\"policies\": [\"q\"]}".to_owned(), 422),
                (
                    "/api/v1/plan",
                    "{\"registry\": \"http://elsewhere.example\"}".to_owned(),
                    422,
                ),
                ("/api/v1/plan", "{\"repositories\": [\"[\"]}".to_owned(), 422),
                (
                    "/api/v1/apply",
                    "{\"plan\": \"01KAJ3E5Z0000000000000000A\"}".to_owned(),
                    404,
                ),
                ("/api/v1/apply", "{\"plan\": \"../../../etc\"}".to_owned(), 404),
                ("/api/v1/undo", "{}".to_owned(), 422),
                (
                    "/api/v1/undo",
                    "{\"target\": \"last\", \"repository\": \"a\"}".to_owned(),
                    422,
                ),
            ] {
                let answer = daemon.post(path, &Value::Null).body(body.clone());
                let (found, detail) = problem(answer.send().await.unwrap()).await;
                assert_eq!(found, status, "{path} {}: {detail}", &body[..body.len().min(50)]);
            }
            let text = daemon.ask(Method::POST, "/api/v1/plan").bearer_auth(ALL);
            let text = text.header(header::CONTENT_TYPE, "text/plain").body("{}");
            assert_eq!(problem(text.send().await.unwrap()).await.0, 415);

            let long = format!(
                "GET /healthz HTTP/1.1\r\nHost: localhost\r\nX: {}\r\n\r\n",
                "x".repeat(64 * 1024)
            );
// What it says may be lost, because not all that was sent is read.
            assert!(!daemon.raw(long.into_bytes()).await.contains(" 200 "));
            // One that never ends its headers, and one that never ends its body.
            let slow = daemon.raw(b"GET /healthz HTTP/1.1\r\nHost: loc".to_vec()).await;
            assert!(!slow.contains(" 200 "), "{slow}");
            let slow = format!(
                "POST /api/v1/plan HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nAuthorization: Bearer {ALL}\r\n\
                 Content-Type: application/json\r\nContent-Length: 10\r\n\r\n{{"
            );
            let slow = daemon.raw(slow.into_bytes()).await;
            assert!(slow.contains(" 408 "), "{slow}");
            for path in ["/api/v1/runs/..", "/api/v1/runs/%2e%2e%2f/report", "/api/v1/journal/..%2f"] {
                let answer = daemon.raw(
                    format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").into_bytes(),
                );
                let answer = answer.await;
                assert!(answer.contains(" 404 "), "{path}: {answer}");
            }
            assert_eq!(scene.sandbox.log().counts().total(), 0);
        })
        .await;
}

#[tokio::test]
async fn the_journal_is_read_and_an_undo_is_made_while_a_policy_is_planned() {
    let scene = Scene::new().await;
    scene
        .asked(async |daemon| {
            scene.clock.pass(30);
            daemon.events.send(Event::Beat).await.unwrap();
            let ended = |happening: &Happening| match happening {
                Happening::Ended(record) => Some((**record).clone()),
                _ => None,
            };
            assert_eq!(daemon.told(ended).await.exit, Exit::Done);
            assert_eq!(scene.tags(), 2);

            let hangs = Fault::new(Effect::Hang).on(RequestKind::TagList);
            let hangs = scene.sandbox.faults().push(hangs);
            scene.clock.pass(60);
            daemon.events.send(Event::Beat).await.unwrap();
            while scene.sandbox.faults().fired(hangs) == 0 {
                tokio::task::yield_now().await;
            }
            let runs = daemon.json("/api/v1/runs").await;
            assert_eq!(runs["runs"][0]["state"], "running");
            let journal = daemon.json("/api/v1/journal").await;
            assert_eq!(journal["runs"].as_array().unwrap().len(), 1);
            assert_eq!(
                daemon.get("/readyz").send().await.unwrap().status(),
                StatusCode::OK
            );

            // Over the socket nobody needs a token.
            let client = Client::of(&scene.state()).await.unwrap();
            let mut answer = client
                .post("/api/v1/undo", &json!({"target": "last"}))
                .await
                .unwrap();
            let mut events = Vec::new();
            let mut by = Value::Null;
            while let Some(line) = answer.line().await.unwrap() {
                events.push(line["event"].as_str().unwrap().to_owned());
                by = line["run"]["by"].clone();
            }
            assert_eq!(events, ["accepted", "began", "ended"]);
            assert!(by.as_str().unwrap().starts_with("uid "), "{by}");
            assert_eq!(scene.tags(), 6);
            let waits = daemon.told(|happening| match happening {
                Happening::Postponed { policy, .. } => Some(policy.clone()),
                _ => None,
            });
            assert_eq!(waits.await, "p");
            assert_eq!(daemon.told(ended).await.exit, Exit::Done);

            // What made way is run again; what was put back is held.
            scene.sandbox.faults().clear();
            daemon.events.send(Event::Beat).await.unwrap();
            assert_eq!(daemon.told(ended).await.policy, "p");
            assert_eq!(scene.tags(), 6);
        })
        .await;
}

#[tokio::test]
async fn every_run_in_hand_is_shown() {
    let scene = Scene::new().await;
    let other = Sandbox::start(SandboxOptions::default()).await.unwrap();
    other.put_image("team/app", &["1.0.0-rc.1"], Moment::date(2026, 1, 1));
    let policy = |name: &str, registry: &str| {
        format!(
            "  {name}:\n    registry: {registry}\n    repositories: '**'\n    schedule: {{cron: '@hourly'}}\n    \
             rules: [{{select: {{channel: prerelease}}, keep: {{last: 2, by: version}}}}]\n"
        )
    };
    let urls = (scene.sandbox.url(), other.url());
    scene.file(
        "lagan.yaml",
        &format!(
            "registries: {{r: {{url: '{}'}}, s: {{url: '{}'}}}}\npolicies:\n{}{}",
            urls.0,
            urls.1,
            policy("p", "r"),
            policy("q", "s"),
        ),
    );
    scene
        .asked(async |daemon| {
            let hang = || Fault::new(Effect::Hang).on(RequestKind::TagList);
            let hangs = [&scene.sandbox, &other].map(|registry| (registry, registry.faults().push(hang())));
            scene.clock.pass(30);
            daemon.events.send(Event::Beat).await.unwrap();
            for (registry, hangs) in hangs {
                while registry.faults().fired(hangs) == 0 {
                    tokio::task::yield_now().await;
                }
            }
            let runs = daemon.json("/api/v1/runs").await;
            let mut known = Vec::new();
            for run in runs["runs"].as_array().unwrap() {
                assert_eq!(run["state"], "running");
                let id = run["id"].as_str().unwrap();
                assert_eq!(
                    daemon.json(&format!("/api/v1/runs/{id}")).await["state"],
                    "running"
                );
                known.push((run["policy"].as_str().unwrap().to_owned(), id.to_owned()));
            }
            known.sort();
            assert_eq!(
                known.iter().map(|(policy, _)| &**policy).collect::<Vec<_>>(),
                ["p", "q"]
            );
            let policies = daemon.json("/api/v1/policies").await;
            let page = daemon.get("/").send().await.unwrap().text().await.unwrap();
            for (at, (policy, id)) in known.iter().enumerate() {
                assert_eq!(policies["policies"][at]["running"], **id);
                assert!(
                    page.contains(&format!("<a href=\"/runs/{id}\">{policy}</a>")),
                    "{page}"
                );
            }
        })
        .await;
}

#[tokio::test]
async fn whoever_goes_away_stops_what_was_asked_and_others_have_their_turn() {
    let scene = Scene::new().await;
    scene
        .asked(async |daemon| {
            let hangs = scene.sandbox.faults().push(Fault::new(Effect::Hang));
            let mut first = daemon.post("/api/v1/plan", &json!({})).send().await.unwrap();
            while scene.sandbox.faults().fired(hangs) == 0 {
                tokio::task::yield_now().await;
            }
            // Others wait, up to a number.
            let mut runs = Vec::new();
            for _ in 0..MOST_ORDERS {
                let body = json!({"wait": false});
                let answer = daemon.post("/api/v1/plan", &body).send().await.unwrap();
                assert_eq!(answer.status(), StatusCode::ACCEPTED);
                let run = answer.headers()[header::LOCATION].to_str().unwrap().to_owned();
                while daemon.json(&run).await["state"] != "waiting" {
                    tokio::task::yield_now().await;
                }
                runs.push(run);
            }
            let answer = daemon.post("/api/v1/plan", &json!({})).send().await.unwrap();
            assert!(answer.headers().contains_key(header::RETRY_AFTER));
            assert_eq!(problem(answer).await.0, 503);

            assert!(first.chunk().await.unwrap().is_some());
            drop(first);
            scene.sandbox.faults().clear();
            let given_up = daemon.told(|happening| match happening {
                Happening::Ended(record) => Some((**record).clone()),
                _ => None,
            });
            let given_up = given_up.await;
            assert_eq!(given_up.outcome(), "given up");
            assert!(given_up.error.unwrap().contains("went away"));
            for run in runs {
                let ended = async {
                    loop {
                        let found = daemon.json(&run).await;
                        if found["state"] == "ended" {
                            break found;
                        }
                    }
                };
                assert_eq!(ended.await["exit"], 0, "{run}");
            }
        })
        .await;
}

#[tokio::test]
async fn what_was_given_up_or_cannot_be_is_no_look_at_a_registry() {
    let scene = Scene::new().await;
    scene
        .asked(async |daemon| {
            let hangs = scene.sandbox.faults().push(Fault::new(Effect::Hang));
            let asked = daemon.post("/api/v1/plan", &json!({})).send().await.unwrap();
            while scene.sandbox.faults().fired(hangs) == 0 {
                tokio::task::yield_now().await;
            }
            drop(asked);
            let ended = |happening: &Happening| match happening {
                Happening::Ended(record) => Some((**record).clone()),
                _ => None,
            };
            assert_eq!(daemon.told(ended).await.outcome(), "given up");
            scene.sandbox.faults().clear();
            let unknown = json!({"target": "01KAJ3E5Z0000000000000000A", "registry": "r"});
            let answer = daemon.post("/api/v1/undo", &unknown).send().await.unwrap();
            assert_eq!(problem(answer).await.0, 404);
            let ready = daemon.json("/readyz").await;
            assert_eq!(ready["registries"], Value::Null, "{ready}");
            daemon.over("/api/v1/plan", &json!({})).await;
            let ready = daemon.json("/readyz").await;
            assert_eq!(ready["registries"]["r"]["error"], Value::Null, "{ready}");
            assert!(ready["registries"]["r"]["at"].is_string(), "{ready}");
        })
        .await;
}

#[tokio::test]
async fn what_is_taken_on_is_shown_at_once_and_no_more_is_taken_on_than_may_wait() {
    let scene = Scene::new().await;
    let daemon = Daemon::open(scene.options(), scene.clock.clone(), |_: &Happening| {}).await;
    let daemon = daemon.unwrap_or_else(|failure| panic!("{}", failure.text()));
    let (orders, mut placed) = mpsc::channel(MOST_ORDERS);
    let listen = "127.0.0.1:0".parse().ok();
    let board = daemon.board();
    let admin = Admin::start(daemon.state(), listen, board, orders, scene.metrics.clone()).unwrap();
    // Nobody gives them their turn here.
    let asked = Asked {
        address: admin.address().unwrap(),
        http: reqwest::Client::builder()
            .pool_max_idle_per_host(0)
            .build()
            .unwrap(),
        events: mpsc::channel(1).0,
        told: mpsc::unbounded_channel().1,
    };
    let mut taken = Vec::new();
    let body = json!({"wait": false});
    for _ in 0..MOST_ORDERS {
        let answer = asked.post("/api/v1/plan", &body).send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::ACCEPTED);
        let run = answer.headers()[header::LOCATION].to_str().unwrap();
        assert_eq!(asked.json(run).await["state"], "waiting");
        // A daemon that has them in its own queue, and something else in hand.
        taken.push(placed.recv().await.unwrap());
    }
    let answer = asked.post("/api/v1/plan", &body).send().await.unwrap();
    assert_eq!(problem(answer).await.0, 503);
    taken.pop();
    let answer = asked.post("/api/v1/plan", &body).send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::ACCEPTED);
    tokio::task::spawn_blocking(move || admin.stop()).await.unwrap();
}

#[tokio::test]
async fn what_nobody_waits_for_and_the_daemon_does_not_come_to_is_on_record() {
    let scene = Scene::new().await;
    let (mut first, mut second) = (String::new(), String::new());
    scene
        .asked(async |daemon| {
            let hangs = scene.sandbox.faults().push(Fault::new(Effect::Hang));
            let body = json!({"wait": false});
            for run in [&mut first, &mut second] {
                let answer = daemon.post("/api/v1/plan", &body).send().await.unwrap();
                *run = answer.headers()[header::LOCATION].to_str().unwrap().to_owned();
            }
            while scene.sandbox.faults().fired(hangs) == 0 {
                tokio::task::yield_now().await;
            }
            daemon.events.send(Event::Stop).await.unwrap();
            for _ in 0..2 {
                let ended = daemon.told(|happening| match happening {
                    Happening::Ended(record) => Some(record.outcome()),
                    _ => None,
                });
                assert_eq!(ended.await, "turned away");
            }
        })
        .await;
    for run in [first, second] {
        let id = run.rsplit('/').next().unwrap();
        let path = scene.state().join("daemon/runs").join(id).join("run.json");
        let run: Value = serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
        assert_eq!(run["outcome"], "turned away");
        assert!(run["error"].as_str().unwrap().contains("stops"), "{run}");
    }
}

#[tokio::test]
async fn who_looks_at_a_tag_of_a_registry_that_hangs_does_not_keep_a_daemon_from_stopping() {
    let scene = Scene::new().await;
    let daemon = Daemon::open(scene.options(), scene.clock.clone(), |_: &Happening| {}).await;
    let daemon = daemon.unwrap_or_else(|failure| panic!("{}", failure.text()));
    let patience = Patience {
        stopping: Duration::from_millis(10),
        ..Patience::default()
    };
    let (orders, _placed) = mpsc::channel(MOST_ORDERS);
    let listen = "127.0.0.1:0".parse().ok();
    let (board, metrics) = (daemon.board(), scene.metrics.clone());
    let admin = Admin::with(daemon.state(), listen, board, orders, metrics, patience).unwrap();
    let hangs = scene.sandbox.faults().push(Fault::new(Effect::Hang));
    let mut looks = TcpStream::connect(admin.address().unwrap()).unwrap();
    looks
        .write_all(b"GET /tag?registry=r&tag=team/app:1.0.0-rc.1 HTTP/1.1\r\nHost: localhost\r\n\r\n")
        .unwrap();
    while scene.sandbox.faults().fired(hangs) == 0 {
        tokio::task::yield_now().await;
    }
    // The page is given up after half a minute, which is what it must not wait for.
    let stopped = tokio::task::spawn_blocking(move || admin.stop());
    let stopped = tokio::time::timeout(Duration::from_secs(15), stopped).await;
    stopped.expect("the server stops").unwrap();
    assert!(!scene.state().join(SOCKET).exists());
    // A runtime waits at its end for whoever still sits on one of its threads.
    scene.sandbox.faults().clear();
}

#[tokio::test]
async fn a_configuration_that_was_refused_is_shown_until_it_is_put_back() {
    let scene = Scene::new().await;
    let path = scene.place.path().join("lagan.yaml");
    let holds = fs::read_to_string(&path).unwrap();
    scene
        .asked(async |daemon| {
            for (text, refused) in [("registries: [", true), (&holds, false)] {
                fs::write(&path, text).unwrap();
                for event in [Event::Changed, Event::Beat] {
                    daemon.events.send(event).await.unwrap();
                }
                let told = daemon.told(|happening| match happening {
                    Happening::Refused { .. } => Some(true),
                    Happening::PutBack => Some(false),
                    _ => None,
                });
                assert_eq!(told.await, refused);
                let ready = daemon.json("/readyz").await;
                assert_eq!(ready["configuration"]["refused"].is_string(), refused, "{ready}");
            }
        })
        .await;
    let audited = fs::read_to_string(scene.state().join("audit/000001.jsonl")).unwrap();
    let entries = audited
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap());
    let outcomes: Vec<_> = entries
        .filter(|entry| entry["event"] == "configuration")
        .map(|entry| entry["outcome"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(outcomes, ["taken", "refused", "taken"]);
}

#[tokio::test]
async fn a_setting_that_takes_a_restart_is_named_until_it_is_put_back() {
    let scene = Scene::new().await;
    let path = scene.place.path().join("lagan.yaml");
    let first = fs::read_to_string(&path).unwrap();
    // The state directory is said on the command line.
    let moved = first.replace(
        "admin:\n",
        "state_dir: /elsewhere\nadmin:\n  listen: 127.0.0.1:1\n",
    );
    scene
        .asked(async |daemon| {
            for (text, restart) in [(&moved, vec!["admin.listen"]), (&first, Vec::new())] {
                fs::write(&path, text).unwrap();
                daemon.events.send(Event::Reload).await.unwrap();
                let told = daemon.told(|happening| match happening {
                    Happening::Reloaded { restart } => Some(restart.clone()),
                    _ => None,
                });
                assert_eq!(told.await, restart);
                let ready = daemon.json("/readyz").await;
                assert_eq!(ready["ready"], true);
                let named = ready["configuration"].get("needs_restart");
                assert_eq!(
                    named,
                    (!restart.is_empty()).then_some(&json!(["admin.listen"])),
                    "{ready}"
                );
                let overview = daemon.get("/").send().await.unwrap().text().await.unwrap();
                assert_eq!(
                    overview.contains("admin.listen is another now"),
                    !restart.is_empty()
                );
            }
        })
        .await;
    let audited = fs::read_to_string(scene.state().join("audit/000001.jsonl")).unwrap();
    let named: Vec<_> = audited
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap())
        .filter(|entry| entry["event"] == "configuration")
        .map(|entry| entry["needs_restart"].clone())
        .collect();
    assert_eq!(named, [Value::Null, json!(["admin.listen"]), Value::Null]);
}

#[tokio::test]
async fn a_socket_is_private_a_stale_one_is_replaced_and_a_live_one_is_an_error() {
    let scene = Scene::new().await;
    scene.asked(async |_| {}).await;
    let socket = scene.state().join(SOCKET);
    // What a process that was killed leaves.
    drop(UnixListener::bind(&socket).unwrap());
    assert!(socket.exists());
    scene
        .asked(async |_| {
            let mode = fs::metadata(&socket).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600);
        })
        .await;

    // One that somebody put in its place is left to them.
    let daemon = Daemon::open(scene.options(), scene.clock.clone(), |_: &Happening| {}).await;
    let daemon = daemon.unwrap_or_else(|failure| panic!("{}", failure.text()));
    let (orders, _placed) = mpsc::channel(1);
    let board = daemon.board();
    let admin = Admin::start(daemon.state(), None, board, orders, scene.metrics.clone()).unwrap();
    fs::rename(&socket, scene.state().join("away")).unwrap();
    let other = UnixListener::bind(&socket).unwrap();
    tokio::task::spawn_blocking(move || admin.stop()).await.unwrap();
    assert!(socket.exists());
    drop((daemon, other));
    fs::remove_file(&socket).unwrap();

    let refused = async |listen: Option<SocketAddr>| {
        let daemon = Daemon::open(scene.options(), scene.clock.clone(), |_: &Happening| {}).await;
        let daemon = daemon.unwrap_or_else(|failure| panic!("{}", failure.text()));
        let (orders, _placed) = mpsc::channel(1);
        let failure = Admin::start(
            daemon.state(),
            listen,
            daemon.board(),
            orders,
            scene.metrics.clone(),
        )
        .map(drop);
        let failure = failure.unwrap_err();
        assert_eq!(failure.exit, Exit::Usage);
        failure.text()
    };
    let other = UnixListener::bind(&socket).unwrap();
    assert!(refused(None).await.contains("another process listens"));
    drop(other);
    fs::remove_file(&socket).unwrap();
    fs::write(&socket, "").unwrap();
    assert!(refused(None).await.contains("is no socket"));
    fs::remove_file(&socket).unwrap();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let said = refused(taken.local_addr().ok()).await;
    assert!(said.contains("hint: another program has this port"), "{said}");
}

#[tokio::test]
async fn a_token_that_cannot_be_one_is_refused_with_the_configuration() {
    let scene = Scene::new().await;
    for text in ["short", "", "two words are no token", "ein-Token-mit-Umläuten"] {
        scene.file("read", text);
        let daemon = Daemon::open(scene.options(), scene.clock.clone(), |_: &Happening| {}).await;
        let failure = daemon.map(drop).unwrap_err();
        assert_eq!(failure.exit, Exit::Usage);
        assert!(text.is_empty() || !failure.text().contains(text));
        assert!(failure.text().contains("the token read"), "{}", failure.text());
    }
    // One that is another's would have the rights of either.
    scene.file("read", ALL);
    let daemon = Daemon::open(scene.options(), scene.clock.clone(), |_: &Happening| {}).await;
    let failure = daemon.map(drop).unwrap_err();
    assert!(
        failure.text().contains("the tokens all and read are the same"),
        "{}",
        failure.text()
    );
}
