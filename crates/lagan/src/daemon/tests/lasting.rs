//! What is known of policies outlasts other runs, and restarts.

use std::collections::BTreeMap;

use super::*;

impl Scene {
    /// The gauges of last runs, by name and policy.
    fn lasts(&self, metrics: &Metrics) -> BTreeMap<String, f64> {
        let text = metrics.render();
        let lines = text.lines().filter(|line| line.starts_with("lagan_last_"));
        let sample = |line: &str| {
            let (name, value) = line.rsplit_once(' ').unwrap();
            (name.to_owned(), value.parse().unwrap())
        };
        lines.map(sample).collect()
    }

    /// The ids in the history, each with its policy, the oldest first.
    fn kept(&self) -> Vec<(String, String)> {
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let runs = self.runs();
        runs.iter()
            .map(|run| (text(&run["id"]), text(&run["policy"])))
            .collect()
    }

    /// The same after a restart: nothing is counted yet.
    fn again(&mut self) {
        let shown = self.clock.clone();
        self.metrics = Arc::new(Metrics::new(move || shown.now()));
    }
}

fn daily(policy: &str) -> String {
    format!(
        "  {policy}:\n    repositories: '**'\n    schedule: {{cron: '@daily'}}\n    \
         rules: [{{select: {{channel: prerelease}}, keep: {{last: 2, by: version}}}}]\n"
    )
}

#[tokio::test]
async fn the_last_run_of_a_policy_and_the_last_success_stay_however_many_come_after() {
    let mut scene = Scene::new().await;
    scene.configure(&[("busy", "dry-run")]);
    let path = scene.place.path().join("lagan.yaml");
    let busy = fs::read_to_string(&path).unwrap();
    scene.write(&format!("{busy}{}", daily("rare")));
    let mut of_rare = Vec::new();
    scene
        .told(async |daemon| {
            daemon.pass(30).await;
            daemon.ended().await;
            // At midnight it succeeds, and a day later it does not.
            for (hours, fails) in [(12, false), (24, true)] {
                for _ in 1..hours {
                    daemon.pass(60).await;
                    daemon.ended().await;
                }
                if fails {
                    scene.sandbox.faults().push(Fault::status(403));
                }
                daemon.pass(60).await;
                for _ in ["busy", "rare"] {
                    let ended = daemon.ended().await;
                    assert_eq!(ended.exit == Exit::Done, !fails, "{ended:?}");
                    if ended.policy == "rare" {
                        of_rare.push(ended.id);
                    }
                    daemon.pass(0).await;
                }
                scene.sandbox.faults().clear();
            }
            for _ in 0..8 {
                daemon.pass(60).await;
                daemon.ended().await;
            }
        })
        .await;
    let kept = scene.kept();
    assert_eq!(kept.len(), 5 + 2, "{kept:?}");
    let rare = kept.iter().filter(|(_, policy)| policy == "rare");
    let rare: Vec<_> = rare.map(|(id, _)| id.clone()).collect();
    assert_eq!(rare, of_rare);
    let known = scene.lasts(&scene.metrics);
    let success = "lagan_last_success_timestamp_seconds{registry=\"r\",policy=\"rare\"}";
    let run = "lagan_last_run_timestamp_seconds{registry=\"r\",policy=\"rare\"}";
    assert_eq!(known[run] - known[success], 24.0 * 3600.0);

    scene.again();
    scene
        .told(async |daemon| {
            let shown = daemon.board.read();
            let last = |name: &str| {
                let policy = shown.policies.iter().find(|policy| policy.name == name);
                policy.unwrap().last.clone()
            };
            assert_eq!(last("rare").as_ref(), of_rare.last());
            assert_eq!(last("busy").as_ref(), kept.last().map(|(id, _)| id));
        })
        .await;
    let mut again = scene.lasts(&scene.metrics);
    assert_eq!(again.len(), known.len());
    // Files have whole seconds.
    for (name, value) in known {
        assert!((again.remove(&name).unwrap() - value).abs() < 1.0, "{name}");
    }
}

#[tokio::test]
async fn of_a_policy_that_is_gone_nothing_stays() {
    let mut scene = Scene::new().await;
    scene.configure(&[("gone", "dry-run")]);
    scene
        .told(async |daemon| {
            daemon.pass(30).await;
            daemon.ended().await;
        })
        .await;
    scene.again();
    scene
        .told(async |daemon| {
            assert!(!scene.lasts(&scene.metrics).is_empty());
            scene.configure(&[("other", "dry-run")]);
            daemon.say(Event::Reload).await;
            daemon
                .next(|happening| matches!(happening, Happening::Reloaded { .. }).then_some(()))
                .await;
            assert!(
                scene.lasts(&scene.metrics).is_empty(),
                "nothing ran in this process"
            );
            for _ in 0..6 {
                daemon.pass(60).await;
                daemon.ended().await;
            }
        })
        .await;
    let kept = scene.kept();
    assert_eq!(kept.len(), 5, "{kept:?}");
    assert!(kept.iter().all(|(_, policy)| policy == "other"), "{kept:?}");
}
