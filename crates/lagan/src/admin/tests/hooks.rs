//! Registries that tell what changes, as the daemon hears them: who may, what is taken, and what is looked at for it.

use lagan_sandbox::LogEntry;

use super::super::hooks::Rate;
use super::*;
use crate::daemon::Record;

pub(super) const SECRET: &str = "a-secret-of-the-registry";

impl Scene {
    /// A registry with six repositories, each with six candidates of which two stay, that tells what changes in it.
    pub(super) async fn telling(mode: &str, limits: &str, full_pass: &str) -> Self {
        let scene = Self::new().await;
        for repository in 1..=5 {
            for number in 1..=6 {
                let tag = format!("1.0.0-rc.{number}");
                scene.sandbox.put_image(
                    &format!("team/app{repository}"),
                    &[&tag],
                    Moment::date(2026, 1, number),
                );
            }
        }
        let hook = scene.file("hook", &format!("{SECRET}\n"));
        let text = format!(
            "registries:\n  r: {{url: '{}', webhook: {{secret_file: '{}', full_pass: {full_pass}}}}}\n  s: {{url: 'http://s.example'}}\n\
             admin: {{tokens: {{all: {{file: '{}', rights: [read, plan, apply, undo]}}}}}}\npolicies:\n  p:\n    registry: r\n    \
             repositories: 'team/**'\n    mode: {mode}\n    limits: {limits}\n    schedule: {{cron: '@hourly'}}\n    \
             rules: [{{select: {{channel: prerelease}}, keep: {{last: 2, by: version}}}}]\n",
            scene.sandbox.url(),
            hook.display(),
            scene.place.path().join("all").display(),
        );
        scene.file("lagan.yaml", &text);
        scene
    }

    fn report(&self, record: &Record) -> Value {
        let run = self.state().join("daemon/runs").join(&record.id);
        serde_json::from_slice(&fs::read(run.join("report.json")).unwrap()).unwrap()
    }

    fn push(&self, repository: &str, number: i64) {
        let tag = format!("1.0.0-rc.{number}");
        self.sandbox
            .put_image(repository, &[&tag], Moment::date(2026, 2, number));
    }

    /// The repositories of which something was asked, and whether anything was asked of the whole registry.
    fn asked_for(&self) -> (Vec<String>, bool) {
        let entries = self.sandbox.log().entries();
        let mut named: Vec<_> = entries
            .iter()
            .filter(|entry| !entry.repository.is_empty())
            .map(|entry| entry.repository.clone())
            .collect();
        named.sort();
        named.dedup();
        let catalog = |entry: &LogEntry| entry.kind == RequestKind::Catalog;
        (named, entries.iter().any(catalog))
    }
}

fn pushed(repository: &str) -> Value {
    told("push", repository)
}

fn told(action: &str, repository: &str) -> Value {
    json!({ "events": [{ "action": action, "target": { "repository": repository, "tag": "1.0.0-rc.7" } }] })
}

impl Asked {
    pub(super) fn hook(&self, registry: &str, secret: &str, body: String) -> RequestBuilder {
        self.ask(Method::POST, &format!("/hooks/{registry}"))
            .header(header::AUTHORIZATION, secret)
            .header(
                header::CONTENT_TYPE,
                "application/vnd.docker.distribution.events.v2+json",
            )
            .body(body)
    }

    async fn tell(&self, notification: &Value) -> Value {
        let answer = self
            .hook("r", SECRET, notification.to_string())
            .send()
            .await
            .unwrap();
        assert_eq!(answer.status(), StatusCode::ACCEPTED);
        serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap()
    }

    /// Lets an hour pass, and waits for the run that is due then.
    async fn hour(&mut self, scene: &Scene) -> Record {
        scene.sandbox.log().clear();
        scene.clock.pass(60);
        self.events.send(Event::Beat).await.unwrap();
        self.told(|happening| match happening {
            Happening::Ended(record) => Some((**record).clone()),
            _ => None,
        })
        .await
    }

    async fn counted(&self, outcome: &str, registry: &str) -> u64 {
        let text = self.get("/metrics").send().await.unwrap().text().await.unwrap();
        let line = format!("lagan_hints_total{{registry=\"{registry}\",outcome=\"{outcome}\"}} ");
        let counted = text.lines().find_map(|shown| shown.strip_prefix(&line));
        counted.map_or(0, |number| number.parse().unwrap())
    }
}

#[tokio::test]
async fn who_has_the_secret_of_a_registry_tells_what_changed_there_and_nobody_else_does() {
    let scene = Scene::telling("dry-run", "{}", "3h").await;
    scene
        .asked(async |daemon| {
            let push = || pushed("team/app2").to_string();
            for (registry, secret) in [
                ("r", "not-the-secret-of-the-registry"),
                ("r", ALL),
                ("r", "Bearer"),
                ("r", ""),
                ("s", SECRET),
                ("nowhere", SECRET),
                ("%FF", SECRET),
                ("", SECRET),
            ] {
                let refused = daemon.hook(registry, secret, push()).send().await.unwrap();
                let found = problem(refused).await;
                let wanted = if registry.is_empty() { 404 } else { 401 };
                assert_eq!(found.0, wanted, "{registry} {secret}: {}", found.1);
            }
            let nothing = daemon
                .ask(Method::POST, "/hooks/r")
                .body(push())
                .send()
                .await
                .unwrap();
            assert_eq!(problem(nothing).await.0, 401);
            assert_eq!(daemon.counted("unauthorized", "r").await, 5);
            assert_eq!(daemon.counted("unauthorized", "").await, 3);
            // It opens nothing else, and it is no secret of the API that is asked for.
            let plan = daemon.ask(Method::POST, "/api/v1/plan").bearer_auth(SECRET);
            assert_eq!(problem(plan.send().await.unwrap()).await.0, 401);
            let look = daemon
                .ask(Method::GET, "/hooks/r")
                .header(header::AUTHORIZATION, SECRET);
            assert_eq!(problem(look.send().await.unwrap()).await.0, 405);

            assert_eq!(daemon.tell(&pushed("team/app2")).await, json!({"changed": 1}));
            assert_eq!(
                daemon.tell(&told("pull", "team/app2")).await,
                json!({"changed": 0})
            );
            let called = daemon
                .hook("r", &format!("Bearer {SECRET}"), push())
                .header(header::HOST, "lagan.somewhere.example:8480");
            assert_eq!(called.send().await.unwrap().status(), StatusCode::ACCEPTED);
            assert_eq!(daemon.counted("changed", "r").await, 2);
            assert_eq!(daemon.counted("nothing", "r").await, 1);
            // Another secret is taken when its file changes.
            scene.file("hook", "another-secret-of-the-registry");
            let old = daemon.hook("r", SECRET, push()).send().await.unwrap();
            assert_eq!(problem(old).await.0, 401);
            let new = daemon.hook("r", "another-secret-of-the-registry", push());
            assert_eq!(new.send().await.unwrap().status(), StatusCode::ACCEPTED);
            assert_eq!(scene.sandbox.log().counts().total(), 0);
        })
        .await;
}

#[tokio::test]
async fn what_is_huge_slow_or_nothing_of_a_registry_is_refused_and_may_have_been_about_anything() {
    let scene = Scene::telling("dry-run", "{}", "24h").await;
    let patience = Patience {
        body: Duration::from_secs(1),
        ..Patience::default()
    };
    scene
        .asked_with(patience, async |daemon| {
            daemon.tell(&told("pull", "team/app")).await;
            assert!(is_full(&daemon.hour(&scene).await));
            assert!(!is_full(&daemon.hour(&scene).await));
            let raw = |secret: &str, more: &str| {
                let head = "POST /hooks/r HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n";
                format!("{head}Authorization: {secret}\r\n{more}").into_bytes()
            };
            let long = "Content-Length: 1048577\r\n\r\n";
            // Nothing of it is waited for.
            let answer = daemon.raw(raw("wrong", long)).await;
            assert!(answer.starts_with("HTTP/1.1 401 "), "{answer}");
            assert!(
                !is_full(&daemon.hour(&scene).await),
                "whoever it was says nothing"
            );
            for (sent, status, outcome) in [
                (raw(SECRET, long), 413, "too_long"),
                (
                    raw(
                        SECRET,
                        &format!(
                            "Transfer-Encoding: chunked\r\n\r\n100001\r\n{}",
                            " ".repeat(0x10_0001)
                        ),
                    ),
                    413,
                    "too_long",
                ),
                (
                    raw(SECRET, "Content-Length: 9\r\n\r\n{\"events\""),
                    400,
                    "not_understood",
                ),
                (raw(SECRET, "Content-Length: 2\r\n\r\n{}"), 400, "not_understood"),
                (
                    raw(SECRET, "Content-Length: 20\r\n\r\n{\"events\""),
                    408,
                    "too_slow",
                ),
            ] {
                assert!(!is_full(&daemon.hour(&scene).await), "{status}");
                let before = daemon.counted(outcome, "r").await;
                let answer = daemon.raw(sent).await;
                assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{answer}");
                assert!(answer.contains("application/problem+json"), "{answer}");
                assert_eq!(daemon.counted(outcome, "r").await, before + 1);
                assert!(is_full(&daemon.hour(&scene).await), "{status}");
            }
            // One whose sender goes away is heard as far as it came.
            assert!(!is_full(&daemon.hour(&scene).await));
            let mut stream = TcpStream::connect(daemon.address).unwrap();
            stream
                .write_all(&raw(SECRET, "Content-Length: 20\r\n\r\n{"))
                .unwrap();
            drop(stream);
            while daemon.counted("broken_off", "r").await + daemon.counted("not_understood", "r").await < 3 {}
            assert!(is_full(&daemon.hour(&scene).await));
        })
        .await;
}

fn is_full(record: &Record) -> bool {
    assert_eq!((record.exit, &record.error), (Exit::Done, &None));
    record.tally.pass.as_ref().unwrap().changed.is_none()
}

#[tokio::test]
async fn a_registry_that_tells_too_much_is_told_so() {
    let scene = Scene::telling("dry-run", "{}", "3h").await;
    let patience = Patience {
        hooks: Rate {
            burst: 2.0,
            per_second: 0.001,
            patience: Duration::ZERO,
        },
        ..Patience::default()
    };
    scene
        .asked_with(patience, async |daemon| {
            for _ in 0..2 {
                daemon.tell(&pushed("team/app")).await;
            }
            let refused = daemon.hook("r", SECRET, pushed("team/app").to_string());
            let refused = refused.send().await.unwrap();
            assert_eq!(refused.headers()[header::RETRY_AFTER], "1");
            assert_eq!(problem(refused).await.0, 429);
            assert_eq!(daemon.counted("too_many", "r").await, 1);
            // Who does not have the secret takes nothing away from who has it.
            let wrong = daemon.hook("r", "wrong", String::new()).send().await.unwrap();
            assert_eq!(problem(wrong).await.0, 401);
        })
        .await;
}

#[tokio::test]
async fn a_pass_looks_at_what_the_registry_told_of_and_at_all_when_that_is_due_again() {
    let scene = Scene::telling("dry-run", "{}", "3h").await;
    let all = [
        "team/app",
        "team/app1",
        "team/app2",
        "team/app3",
        "team/app4",
        "team/app5",
    ];
    scene
        .asked(async |daemon| {
            // Before it ever told anything it may be one that does not: every pass is a full one.
            for _ in 0..2 {
                let record = daemon.hour(&scene).await;
                assert!(is_full(&record));
                assert_eq!(scene.asked_for(), (all.map(str::to_owned).into(), true));
            }
            daemon.tell(&told("pull", "team/app")).await;
            assert!(is_full(&daemon.hour(&scene).await));

            scene.push("team/app2", 7);
            daemon.tell(&pushed("team/app2")).await;
            // Not by a policy, and not there: nothing to look at, and no error.
            daemon.tell(&pushed("other/app")).await;
            daemon.tell(&told("delete", "team/gone")).await;
            let record = daemon.hour(&scene).await;
            assert!(!is_full(&record));
            assert_eq!(
                scene.asked_for(),
                (vec!["team/app2".to_owned(), "team/gone".to_owned()], false)
            );
            let report = scene.report(&record);
            assert_eq!(
                report["pass"],
                json!({"full_pass": "2026-11-21T14:30:00Z", "repositories": 6, "changed": 2})
            );
            assert_eq!(report["totals"]["repositories"], 2);
            assert_eq!(report["totals"]["delete_artifacts"], 5);
            let run = daemon.json(&format!("/api/v1/runs/{}", record.id)).await;
            assert_eq!(run["outcome"], "done", "{run}");
            let metrics = daemon.get("/metrics").send().await.unwrap().text().await.unwrap();
            let planned = "lagan_planned_deletions{registry=\"r\",policy=\"p\"} 24\n";
            assert!(
                metrics.contains(planned),
                "what was not looked at is as it was: {metrics}"
            );

            // What was looked at is not looked at again, and without a change nothing is.
            let record = daemon.hour(&scene).await;
            assert!(!is_full(&record));
            assert_eq!(scene.asked_for(), (Vec::new(), false));
            assert_eq!(scene.report(&record)["totals"]["repositories"], 0);
            // Three hours after the last one.
            assert!(is_full(&daemon.hour(&scene).await));
            assert_eq!(scene.asked_for(), (all.map(str::to_owned).into(), true));
        })
        .await;
}

#[tokio::test]
async fn what_changed_is_deleted_from_and_what_a_limit_says_of_it_the_whole_decides() {
    let scene = Scene::telling(
        "enforce",
        "{max_deletions: 26, max_change_from_last_run: off}",
        "3h",
    )
    .await;
    scene
        .asked(async |daemon| {
            daemon.tell(&told("pull", "team/app")).await;
            let record = daemon.hour(&scene).await;
            assert!(is_full(&record));
            assert_eq!(record.tally.deleted, 24);

            // Two more are as many as one run may delete. The other repository was not told of.
            for repository in ["team/app1", "team/app3"] {
                scene.push(repository, 7);
                scene.push(repository, 8);
            }
            daemon.tell(&pushed("team/app1")).await;
            let record = daemon.hour(&scene).await;
            assert!(!is_full(&record));
            assert_eq!(record.tally.deleted, 2);
            assert_eq!(scene.report(&record)["pass"]["changed"], 1);
            assert_eq!(scene.sandbox.tags("team/app1").len(), 2);
            assert_eq!(scene.sandbox.tags("team/app3").len(), 4);

            // One more would be more than the run may that it goes on with: it is made again as a run of its own.
            scene.push("team/app1", 9);
            daemon.tell(&pushed("team/app1")).await;
            let record = daemon.hour(&scene).await;
            assert!(is_full(&record));
            assert_eq!(record.tally.deleted, 3);
            assert_eq!(scene.report(&record)["pass"], Value::Null);
            assert_eq!(scene.sandbox.tags("team/app3").len(), 2);
            assert!(!is_full(&daemon.hour(&scene).await));
        })
        .await;
}

#[tokio::test]
async fn after_a_pass_that_did_not_do_all_it_was_to_do_everything_is_looked_at() {
    let scene = Scene::telling("dry-run", "{}", "3h").await;
    scene
        .asked(async |daemon| {
            daemon.tell(&pushed("team/app4")).await;
            assert!(is_full(&daemon.hour(&scene).await));
            daemon.tell(&pushed("team/app4")).await;
            let fault = Fault::status(403).on(RequestKind::TagList);
            let fault = scene.sandbox.faults().push(fault);
            let record = daemon.hour(&scene).await;
            assert_eq!(record.exit, Exit::Partial);
            assert_eq!(scene.asked_for().0, ["team/app4"]);
            scene.sandbox.faults().remove(fault);
            assert!(is_full(&daemon.hour(&scene).await));
            // Another configuration says something else of what was looked at.
            daemon.events.send(Event::Reload).await.unwrap();
            assert!(is_full(&daemon.hour(&scene).await));
            assert!(!is_full(&daemon.hour(&scene).await));
        })
        .await;
}
