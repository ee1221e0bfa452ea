//! The pages, as a browser is sent them.

use lagan_sandbox::Moment;
use reqwest::{StatusCode, header};
use serde_json::json;

use super::{ALL, Asked, READ, Scene};
use crate::admin::pages;

const HOSTILE: &str = "<img src=x onerror=alert(1)>";

async fn page(daemon: &Asked, path: &str) -> String {
    let answer = daemon.get(path).send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::OK, "{path}");
    assert_eq!(answer.headers()[header::CONTENT_TYPE], "text/html; charset=utf-8");
    let policy = answer.headers()[header::CONTENT_SECURITY_POLICY]
        .to_str()
        .unwrap();
    assert!(
        policy.starts_with("default-src 'none'; style-src 'sha256-"),
        "{policy}"
    );
    let text = answer.text().await.unwrap();
    assert!(!text.contains("<script"), "{path}");
    text
}

#[tokio::test]
async fn pages_show_policies_runs_and_the_journal_and_run_nothing_from_outside() {
    let scene = Scene::new().await;
    scene
        .sandbox
        .put_image("team/other", &["1.0.0"], Moment::date(2026, 1, 1));
    scene
        .asked(async |daemon| {
            let applied = daemon.over("/api/v1/apply", &json!({})).await;
            let run = applied["id"].as_str().unwrap().to_owned();
            let journal = daemon.json("/api/v1/journal").await;
            let deleted = journal["runs"][0]["run"].as_str().unwrap().to_owned();

            let counted = async {
                loop {
                    let text = page(daemon, "/").await;
                    if text.contains("<svg") {
                        break text;
                    }
                }
            };
            let overview = counted.await;
            for shown in [
                "2026-11-21T12:00:00Z",
                "enforce",
                "1 run from",
                "4 manifests",
                "@hourly",
                "reached",
            ] {
                assert!(overview.contains(shown), "{shown}: {overview}");
            }
            assert!(page(daemon, "/runs").await.contains(&run));
            assert!(page(daemon, "/runs?policy=&kind=apply").await.contains(&run));
            assert!(!page(daemon, "/runs?kind=undo").await.contains(&run));
            let one = page(daemon, &format!("/runs/{run}")).await;
            assert!(one.contains(&format!("/journal/{deleted}")), "{one}");
            assert!(page(daemon, "/journal").await.contains("4 deleted"));
            let shown = page(daemon, &format!("/journal/{deleted}")).await;
            assert!(shown.contains("1.0.0-rc.1") && shown.contains("name=\"token\""));
            let tag = page(daemon, "/tag?registry=r&tag=team/app:1.0.0-rc.6").await;
            assert!(tag.contains("1.0.0-rc.6") && tag.contains("kept"), "{tag}");

            let asked = scene.sandbox.log().counts().total();
            for (site, status) in [
                ("cross-site", 403),
                ("same-site", 403),
                ("same-origin", 200),
                ("none", 200),
            ] {
                let look = daemon.get("/tag?registry=r&tag=team/app:1.0.0-rc.6");
                let answer = look.header("sec-fetch-site", site).send().await.unwrap();
                assert_eq!(answer.status().as_u16(), status, "{site}");
                let asks = scene.sandbox.log().counts().total() > asked;
                assert_eq!(asks, status == 200, "{site}");
            }

            for (path, status) in [
                (format!("/runs/{HOSTILE}"), 404),
                (format!("/journal/{HOSTILE}"), 404),
                (format!("/tag?tag=team/app:{HOSTILE}"), 422),
                ("/tag?tag=team/app:nothing".to_owned(), 422),
                (format!("/runs?policy={HOSTILE}"), 200),
            ] {
                let answer = daemon.get(&path).send().await.unwrap();
                assert_eq!(answer.status().as_u16(), status, "{path}");
                let text = answer.text().await.unwrap();
                assert!(
                    text.contains("</html>") && !text.contains("<img"),
                    "{path}: {text}"
                );
            }
        })
        .await;
}

#[tokio::test]
async fn an_undo_from_the_page_takes_a_token_and_a_yes() {
    let scene = Scene::new().await;
    scene
        .asked(async |daemon| {
            daemon.over("/api/v1/apply", &json!({})).await;
            assert_eq!(scene.tags(), 2);
            let journal = daemon.json("/api/v1/journal").await;
            let deleted = journal["runs"][0]["run"].as_str().unwrap().to_owned();
            let path = format!("/journal/{deleted}/undo");
            let http = reqwest::Client::builder()
                .redirect(reqwest::redirect::Policy::none())
                .build()
                .unwrap();
            let send = async |body: String, site: Option<&str>| {
                let request = http.post(format!("http://{}{path}", daemon.address));
                let request = request.header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
                let request = match site {
                    Some(site) => request.header("sec-fetch-site", site),
                    None => request,
                };
                request.body(body).send().await.unwrap()
            };
            for (body, site, status) in [
                ("token=a-token-that-nobody-has&confirm=yes".to_owned(), None, 401),
                (format!("token={READ}&confirm=yes"), None, 403),
                (format!("token={ALL}"), None, 422),
                (format!("token={ALL}&confirm=yes"), Some("cross-site"), 403),
                ("confirm=yes".to_owned(), None, 400),
                (" ".repeat(70 * 1024), None, 413),
            ] {
                let answer = send(body, site).await;
                assert_eq!(answer.status().as_u16(), status, "{site:?}");
                let text = answer.text().await.unwrap();
                assert!(text.contains("role=\"alert\"") && !text.contains(ALL), "{text}");
            }
            assert_eq!(scene.tags(), 2);
            let answer = send(format!("token={ALL}&confirm=yes"), Some("same-origin")).await;
            assert_eq!(answer.status(), StatusCode::SEE_OTHER);
            let run = answer.headers()[header::LOCATION].to_str().unwrap().to_owned();
            let over = async {
                loop {
                    let text = page(daemon, &run).await;
                    if text.contains("The report") {
                        break text;
                    }
                }
            };
            let text = over.await;
            assert!(text.contains("token all") && text.contains("undo"), "{text}");
            assert_eq!(scene.tags(), 6);
            let freed = async {
                loop {
                    let text = page(daemon, "/").await;
                    // Of a journal that takes long to be read it shows what it knew before.
                    if text.contains("put back meanwhile") {
                        break text;
                    }
                }
            };
            let text = freed.await;
            for shown in [
                "1 run from",
                "deleted 4 manifests",
                "4 manifests were put back meanwhile",
            ] {
                assert!(text.contains(shown), "{shown}: {text}");
            }
        })
        .await;
}

#[tokio::test]
async fn every_page_answers_and_none_is_where_the_api_is() {
    let scene = Scene::new().await;
    scene
        .asked(async |daemon| {
            for (method, path, _) in pages::routes() {
                assert!(!path.starts_with("/api"));
                let path = path.replace("{id}", "x").replace("{run}", "last");
                let answer = daemon.ask(method, &path).send().await.unwrap();
                assert_ne!(answer.status(), StatusCode::METHOD_NOT_ALLOWED, "{path}");
                assert!(!answer.status().is_server_error(), "{path}");
            }
        })
        .await;
}

#[tokio::test]
async fn pages_metrics_and_the_api_show_how_far_a_policy_has_been_rolled_out() {
    let scene = Scene::new().await;
    let config = std::fs::read_to_string(scene.place.path().join("lagan.yaml")).unwrap();
    scene.file(
        "lagan.yaml",
        &format!("{config}    rollout: {{stages: [5%, 100%], hold: 24h}}\n"),
    );
    scene
        .asked(async |daemon| {
            let policies = daemon.json("/api/v1/policies").await;
            let rollout = &policies["policies"][0]["rollout"];
            assert_eq!(
                (&rollout["stage"], &rollout["of"], &rollout["share"]),
                (&json!(1), &json!(2), &json!("5%"))
            );
            assert!(
                page(daemon, "/")
                    .await
                    .contains("stage 1 of 2, 5% of its repositories")
            );
            let tag = page(daemon, "/tag?registry=r&tag=team/app:1.0.0-rc.6").await;
            assert!(tag.contains("stage 1 of 2 of p"), "{tag}");
            let metrics = daemon.get("/metrics").send().await.unwrap().text().await.unwrap();
            assert!(
                metrics.contains("lagan_rollout_share{registry=\"r\",policy=\"p\"} 0.05"),
                "{metrics}"
            );
            let folder = scene.state().join("rollout");
            std::fs::create_dir_all(&folder).unwrap();
            std::fs::write(
                crate::rollout::path(&scene.state(), &scene.sandbox.url()),
                "damaged",
            )
            .unwrap();
            let policies = daemon.json("/api/v1/policies").await;
            assert_eq!(policies["policies"][0]["rollout"]["share"], json!(null));
            assert!(page(daemon, "/").await.contains("lagan rollout restart"));
        })
        .await;
}
