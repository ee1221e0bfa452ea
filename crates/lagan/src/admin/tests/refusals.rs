//! What the audit log says of calls that were refused.

use super::hooks::SECRET;
use super::*;

impl Scene {
    fn audit(&self) -> String {
        fs::read_to_string(self.state().join("audit/000001.jsonl")).unwrap()
    }

    /// What was refused: what, the status, the way, by whom, of which registry, and how often.
    fn refused(&self) -> Vec<(String, u64, String, String, Option<String>, u64)> {
        let text = self.audit();
        let entries = text
            .lines()
            .map(|line| serde_json::from_str::<Value>(line).unwrap());
        let refused = entries.filter(|entry| entry["event"] == "calls_refused");
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        refused
            .map(|entry| {
                assert_eq!(entry["who"]["kind"], "api");
                (
                    text(&entry["what"]),
                    entry["status"].as_u64().unwrap(),
                    text(&entry["way"]),
                    text(&entry["who"]["name"]),
                    entry["registry"].as_str().map(str::to_owned),
                    entry["times"].as_u64().unwrap(),
                )
            })
            .collect()
    }
}

fn entry(
    what: &str,
    status: u64,
    by: &str,
    registry: Option<&str>,
    times: u64,
) -> (String, u64, String, String, Option<String>, u64) {
    let registry = registry.map(str::to_owned);
    let way = "loopback".to_owned();
    (what.to_owned(), status, way, by.to_owned(), registry, times)
}

const GUESSED: &str = "a-token-that-somebody-guessed";

#[tokio::test]
async fn who_is_refused_is_on_record_once_and_then_as_a_number_and_never_with_the_token() {
    let scene = Scene::new().await;
    scene
        .asked(async |daemon| {
            let knock = async || {
                let answer = daemon
                    .get("/api/v1/runs")
                    .bearer_auth(GUESSED)
                    .send()
                    .await
                    .unwrap();
                assert_eq!(answer.status(), StatusCode::UNAUTHORIZED);
            };
            knock().await;
            // It is there when the answer is.
            assert_eq!(scene.refused(), [entry("look", 401, "nobody", None, 1)]);
            for _ in 0..20 {
                knock().await;
            }
            assert_eq!(scene.refused().len(), 1);

            let body = json!({"registry": "nowhere"});
            let asked = daemon.post("/api/v1/plan", &body).send().await.unwrap();
            assert_eq!(asked.status(), StatusCode::UNPROCESSABLE_ENTITY);
            let asked = daemon
                .ask(Method::POST, "/api/v1/undo")
                .bearer_auth(READ)
                .send()
                .await
                .unwrap();
            assert_eq!(asked.status(), StatusCode::FORBIDDEN);
            let form = daemon
                .ask(Method::POST, "/journal/01KAHS00000000000000000000/undo")
                .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
                .body(format!("token={GUESSED}&confirm=yes"));
            assert_eq!(form.send().await.unwrap().status(), StatusCode::NOT_FOUND);
            let other = daemon.get("/").header(header::HOST, "evil.example");
            assert_eq!(
                other.send().await.unwrap().status(),
                StatusCode::MISDIRECTED_REQUEST
            );
            // Who only looks for what is not there is not refused anything.
            let nothing = daemon.get("/api/v1/runs/none").send().await.unwrap();
            assert_eq!(nothing.status(), StatusCode::NOT_FOUND);
        })
        .await;
    assert_eq!(
        scene.refused(),
        [
            entry("look", 401, "nobody", None, 1),
            entry("plan", 422, "token all", None, 1),
            entry("undo", 403, "token read", None, 1),
            entry("undo", 404, "nobody", None, 1),
            entry("look", 421, "nobody", None, 1),
            // Told when nobody is answered any more.
            entry("look", 401, "nobody", None, 20),
        ]
    );
    let text = scene.audit();
    for secret in [GUESSED, READ, ALL, "evil.example", "nowhere"] {
        assert!(!text.contains(secret), "{secret}: {text}");
    }
    let check = lagan_state::verify_audit(&scene.state()).unwrap().unwrap();
    assert!(check.problems.is_empty(), "{check:?}");
}

#[tokio::test]
async fn a_webhook_that_is_forged_or_too_long_is_on_record() {
    let scene = Scene::telling("dry-run", "{}", "3h").await;
    scene
        .asked(async |daemon| {
            let tell = async |registry: &str, secret: &str, body: String| {
                let answer = daemon.hook(registry, secret, body).send().await.unwrap();
                answer.status().as_u16()
            };
            assert_eq!(tell("r", GUESSED, String::new()).await, 401);
            assert_eq!(tell("nowhere", GUESSED, String::new()).await, 401);
            let long = format!(
                "POST /hooks/r HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nAuthorization: {SECRET}\r\n\
                 Content-Length: 1048577\r\n\r\n"
            );
            let answer = daemon.raw(long.into_bytes()).await;
            assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
            assert_eq!(tell("r", SECRET, "nothing".to_owned()).await, 400);
        })
        .await;
    assert_eq!(
        scene.refused(),
        [
            entry("webhook", 401, "nobody", Some("r"), 1),
            entry("webhook", 401, "nobody", None, 1),
            entry("webhook", 413, "registry r", Some("r"), 1),
            entry("webhook", 400, "registry r", Some("r"), 1),
        ]
    );
    let text = scene.audit();
    for secret in [GUESSED, SECRET, "nowhere"] {
        assert!(!text.contains(secret), "{secret}: {text}");
    }
}
