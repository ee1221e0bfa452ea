//! The quickstart, as its own head and docs/daemon.md tell it: look, enforce, undo from the page.

use std::fs;

use reqwest::{Client, StatusCode};
use serde_json::Value;

use crate::daemon::Service;
use crate::demo::up;
use crate::photograph::photograph;
use crate::support::Place;

/// How often a second is waited for something.
const LOOKS: usize = 60;

const TOKEN: &str = "0f1e2d3c4b5a69788796a5b4c3d2e1f0";

/// The file as it is shipped, but for ports that are free, and due every second.
fn quickstart(registry: &str) -> String {
    let mut text = include_str!("../../config/quickstart.yaml").to_owned();
    for (shipped, here) in [
        ("http://127.0.0.1:5005", registry),
        ("listen: 127.0.0.1:8480", "listen: 127.0.0.1:0"),
        ("{cron: \"* * * * *\"}", "{cron: \"* * * * * *\"}"),
    ] {
        assert_eq!(text.matches(shipped).count(), 1, "{shipped}");
        text = text.replace(shipped, here);
    }
    text
}

/// A daemon with a browser before it.
struct Looked<'a> {
    service: &'a Service,
    client: Client,
    at: String,
}

impl Looked<'_> {
    async fn page(&self, path: &str) -> String {
        let answer = self
            .client
            .get(format!("{}{path}", self.at))
            .send()
            .await
            .unwrap();
        assert_eq!(answer.status(), StatusCode::OK, "{path}");
        answer.text().await.unwrap()
    }

    async fn json(&self, path: &str) -> Value {
        serde_json::from_str(&self.page(path).await).unwrap()
    }

    /// Looks after each beat of the daemon until something is there.
    async fn until<V>(&self, what: &str, look: impl AsyncFn(&Self) -> Option<V>) -> V {
        for _ in 0..LOOKS {
            if let Some(found) = look(self).await {
                return found;
            }
            self.service.says("WATCHDOG=1").await;
        }
        panic!("{what} never comes: {}", self.page("/runs").await);
    }

    /// Waits for the first run of a kind after another one, until it is over, and hands back its name and report.
    async fn run(&self, kind: &str, after: &str) -> (String, Value) {
        let ended = async |looked: &Self| {
            let listed = looked.json(&format!("/api/v1/runs?kind={kind}")).await;
            let runs = listed["runs"].as_array().unwrap().clone();
            // Each second there is another, and the newest stands first.
            let first = runs.into_iter().rfind(|run| run["id"].as_str().unwrap() > after);
            first.filter(|run| run["state"] == "ended")
        };
        let run = self.until(kind, ended).await;
        assert_eq!(run["exit"], 0, "{run}");
        let id = run["id"].as_str().unwrap().to_owned();
        let report = self.json(&format!("/api/v1/runs/{id}/report")).await;
        (id, report)
    }
}

/// What stands behind a mark in a page, up to the quotation mark.
fn behind<'p>(page: &'p str, mark: &str) -> &'p str {
    let (_, rest) = page.split_once(mark).unwrap_or_else(|| panic!("{mark}: {page}"));
    rest.split_once('"').unwrap().0
}

#[tokio::test]
async fn the_quickstart_looks_enforces_when_told_is_undone_from_the_page_and_leaves_that_alone() {
    let place = Place::new();
    let (mut demo, registry) = up(&place).await;
    let before = photograph(&registry, None).await;
    for folder in ["config", "target"] {
        fs::create_dir(place.path().join(folder)).unwrap();
    }
    place.file("target/quickstart.token", format!("{TOKEN}\n"));
    let text = quickstart(&registry);
    place.file("config/quickstart.yaml", &text);
    let mut service = Service::begin(&place, "--config config/quickstart.yaml");
    let at = service.address().await;
    service.says("READY=1").await;
    let looked = Looked {
        service: &service,
        client: Client::new(),
        at,
    };

    // It only looks.
    let (planned, plan) = looked.run("plan", "").await;
    let doomed = plan["totals"]["delete_artifacts"].as_u64().unwrap();
    assert!(doomed > 0, "{plan}");
    // What has not been counted yet is said to be.
    let nothing = async |looked: &Looked<'_>| {
        let page = looked.page("/").await;
        page.contains("Nothing was deleted yet.").then_some(())
    };
    looked.until("that nothing was deleted", nothing).await;
    assert_eq!(photograph(&registry, Some(&before)).await, before);

    // Told to in its file, it deletes what the plan said.
    let edited = text.replace("mode: dry-run", "mode: enforce");
    assert_ne!(edited, text);
    place.file("config/quickstart.yaml", edited);
    service.says("READY=1").await;
    let (_, run) = looked.run("apply", &planned).await;
    assert_eq!(run["totals"]["outcomes"]["deleted"], doomed, "{run}");
    let after = photograph(&registry, Some(&before)).await;
    let gone = before.differences(&after);
    assert!(
        !gone.is_empty() && gone.iter().all(|line| line.ends_with(" is gone")),
        "{gone:#?}"
    );

    // From the overview to the journal, to the run, to its form, as a browser fills it in and sends it.
    assert!(looked.page("/").await.contains("<a href=\"/journal\">"));
    let journal = looked.page("/journal").await;
    let page = format!("/journal/{}", behind(&journal, "href=\"/journal/"));
    let page = looked.page(&page).await;
    let action = behind(&page, "action=\"");
    assert!(page.contains("method=\"post\""), "{page}");
    for field in ["token", "confirm"] {
        assert!(page.contains(&format!("name=\"{field}\"")), "{page}");
    }
    let send = async |form: &str| {
        let sent = looked.client.post(format!("{}{action}", looked.at));
        let sent = sent
            .header("content-type", "application/x-www-form-urlencoded")
            .header("origin", &looked.at)
            .header("sec-fetch-site", "same-origin")
            .body(form.to_owned());
        sent.send().await.unwrap()
    };
    assert_eq!(
        send(&format!("token={TOKEN}")).await.status(),
        StatusCode::UNPROCESSABLE_ENTITY
    );
    assert_eq!(
        send("token=somebody-else-s&confirm=yes").await.status(),
        StatusCode::UNAUTHORIZED
    );
    let sent = send(&format!("token={TOKEN}&confirm=yes")).await;
    assert_eq!(sent.status(), StatusCode::OK);
    let undo = sent.url().path().to_owned();
    let over = async |looked: &Looked<'_>| looked.page(&undo).await.contains("The report").then_some(());
    looked.until("the end of the undo", over).await;
    assert_eq!(photograph(&registry, Some(&before)).await, before);

    // The next run has nothing to delete: what was put back is held, and the page of a tag says so.
    let undo = undo.strip_prefix("/runs/").unwrap();
    let (_, run) = looked.run("apply", undo).await;
    assert_eq!(
        run["totals"]["outcomes"]["deleted"].as_u64().unwrap_or(0),
        0,
        "{run}"
    );
    let tag = gone.iter().find(|line| !line.contains('@')).unwrap();
    let tag = tag.strip_suffix(" is gone").unwrap();
    let why = looked.page(&format!("/tag?registry=demo&tag={tag}")).await;
    assert!(why.contains("held"), "{why}");
    assert_eq!(photograph(&registry, Some(&before)).await, before);

    service.signal("TERM").await;
    service.says("STOPPING=1").await;
    service.ends(0).await;
    let verified = place.run("journal verify --state-dir target/quickstart").await;
    verified.exits(0);
    let process = demo.id().unwrap().to_string();
    std::process::Command::new("kill").arg(process).status().unwrap();
    assert!(demo.wait().await.unwrap().success());
}
