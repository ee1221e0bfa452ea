//! Runs that died with their process: no signal, no end, no word. The next start tells of them.

use super::*;
use crate::daemon::{Cut, RunKind};

impl Scene {
    /// Has a run of its policy die with the daemon, in its first request of that kind.
    async fn run_dies(&self, kind: RequestKind) {
        let hangs = self.sandbox.faults().push(Fault::new(Effect::Hang).on(kind));
        self.killed(async |daemon| {
            daemon.pass(30).await;
            while self.sandbox.faults().fired(hangs) == 0 {
                tokio::task::yield_now().await;
            }
        })
        .await;
        self.sandbox.faults().clear();
    }

    /// What the counter of runs with this outcome says; nothing where there is none.
    fn counted(&self, outcome: &str) -> Option<String> {
        let text = self.metrics.render();
        let is_meant = |line: &&str| line.starts_with("lagan_runs_total") && line.contains(outcome);
        let line = text.lines().find(is_meant)?;
        line.rsplit(' ').next().map(str::to_owned)
    }
}

#[tokio::test]
async fn a_run_that_died_with_its_process_is_told_of_once_as_one_that_failed() {
    let scene = Scene::new().await;
    let (address, mut hears) = receiver().await;
    scene.configure(&[("prereleases", "enforce")]);
    let path = scene.place.path().join("lagan.yaml");
    let config = fs::read_to_string(&path).unwrap();
    let config = format!("notifications: {{ops: {{webhook: {{url: '{address}'}}}}}}\n{config}");
    scene.write(&config);
    scene.run_dies(RequestKind::ManifestDelete).await;

    // A start that does not come about tells nobody, and forgets nothing.
    scene.write("registries: [");
    assert!(scene.open().await.is_err());
    scene.write(&config);
    // Nor does one that ends before it runs, as where its port is taken.
    drop(
        scene
            .open()
            .await
            .unwrap_or_else(|failure| panic!("{}", failure.text())),
    );
    scene.clock.pass(10);
    let mut id = String::new();
    scene
        .told(async |daemon| {
            let died = daemon.ended().await;
            assert_eq!((&*died.policy, died.exit), ("prereleases", Exit::Unexpected));
            assert_eq!((died.kind, died.cut), (RunKind::Apply, Some(Cut::Died)));
            assert_eq!(died.began.to_string(), "2026-11-21 12:00:00 UTC");
            assert!(
                died.error.as_deref().unwrap().contains("the daemon ended"),
                "{died:?}"
            );
            let event = hears.recv().await.unwrap();
            assert_eq!(event["type"], "lagan.run_failed.v1");
            assert_eq!(event["data"]["run"], died.id);
            assert_eq!(event["data"]["counts"], Value::Null, "nobody counted to the end");
            id = died.id;
        })
        .await;
    assert_eq!(scene.counted("failed").as_deref(), Some("1"));

    let folder = scene.state().join("daemon/runs").join(&id);
    assert!(!folder.join("begun.json").exists());
    // It may also die between the two.
    let begun = format!(
        "{{\"schema\": \"lagan.daemon_run_begun/v1\", \"id\": \"{id}\", \"kind\": \"apply\", \
         \"by\": \"schedule\", \"policy\": \"p\", \"counted_for\": \"p\", \"registry\": \"r\", \
         \"mode\": \"enforce\", \"began\": \"2026-11-21T12:00:00Z\"}}"
    );
    fs::write(folder.join("begun.json"), begun).unwrap();
    scene
        .told(async |daemon| assert!(!daemon.quiet().await.iter().any(|told| told.contains("Ended"))))
        .await;
    assert_eq!(scene.counted("failed").as_deref(), Some("1"));
    let runs = scene.runs();
    assert_eq!(runs.len(), 1);
    assert_eq!(
        (&runs[0]["state"], &runs[0]["outcome"]),
        (&"interrupted".into(), &"failed".into())
    );
    assert_eq!(runs[0]["counts"], Value::Null);
}

#[tokio::test]
async fn of_a_policy_that_is_gone_by_then_a_run_that_died_leaves_no_gauge() {
    let scene = Scene::new().await;
    scene.configure(&[("gone", "dry-run")]);
    scene.run_dies(RequestKind::TagList).await;
    scene.configure(&[("prereleases", "dry-run")]);
    scene
        .told(async |daemon| {
            assert_eq!(daemon.ended().await.policy, "gone");
        })
        .await;
    assert_eq!(scene.counted("failed").as_deref(), Some("1"));
    let text = scene.metrics.render();
    assert!(!text.contains("lagan_last_run_timestamp_seconds{"), "{text}");
}

#[tokio::test]
async fn what_was_asked_for_and_died_is_told_of_as_well() {
    let scene = Scene::new().await;
    scene.configure(&[("prereleases", "dry-run")]);
    let hangs = scene.sandbox.faults().push(Fault::new(Effect::Hang));
    scene
        .killed(async |daemon| {
            let _told = daemon.order(Asked::Plan(Wanted::default())).await;
            while scene.sandbox.faults().fired(hangs) == 0 {
                tokio::task::yield_now().await;
            }
        })
        .await;
    scene
        .told(async |daemon| {
            let died = daemon.ended().await;
            assert_eq!((&*died.by, died.kind), ("uid 1", RunKind::Plan));
            assert_eq!(died.policy, "all policies of r");
        })
        .await;
}

#[tokio::test]
async fn of_many_that_died_none_is_pruned_before_it_is_told_of() {
    let scene = Scene::new().await;
    scene.configure(&[("prereleases", "dry-run")]);
    scene.run_dies(RequestKind::TagList).await;
    let runs = scene.state().join("daemon/runs");
    let first = fs::read_dir(&runs).unwrap().next().unwrap().unwrap().file_name();
    let first = first.into_string().unwrap();
    let text = fs::read_to_string(runs.join(&first).join("begun.json")).unwrap();
    // More than are kept, all of them older.
    for number in 0..200 {
        let id = format!("01AAAAAAAAAAAAAAAAAAAAA{number:03}");
        fs::create_dir(runs.join(&id)).unwrap();
        fs::write(runs.join(&id).join("begun.json"), text.replace(&first, &id)).unwrap();
    }
    scene
        .told(async |daemon| {
            for _ in 0..201 {
                assert_eq!(daemon.ended().await.cut, Some(Cut::Died));
            }
            assert_eq!(daemon.quiet().await, [""; 0]);
        })
        .await;
}

#[tokio::test]
async fn a_run_that_was_told_of_and_could_not_be_written_is_not_told_of_as_one_that_died() {
    let scene = Scene::new().await;
    scene.configure(&[("prereleases", "dry-run")]);
    let slow = Fault::new(Effect::Delay(Duration::from_millis(200))).on(RequestKind::TagList);
    let slow = scene.sandbox.faults().push(slow);
    scene
        .told(async |daemon| {
            daemon.pass(30).await;
            while scene.sandbox.faults().fired(slow) == 0 {
                tokio::task::yield_now().await;
            }
            // No file can take the place of a folder.
            let run = fs::read_dir(scene.state().join("daemon/runs"))
                .unwrap()
                .next()
                .unwrap()
                .unwrap();
            fs::create_dir(run.path().join("run.json")).unwrap();
            assert_ne!(daemon.ended().await.cut, Some(Cut::Died));
            fs::remove_dir(run.path().join("run.json")).unwrap();
        })
        .await;
    scene
        .told(async |daemon| assert!(!daemon.quiet().await.iter().any(|told| told.contains("Ended"))))
        .await;
}
