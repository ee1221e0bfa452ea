//! A corpus that this project did not make, where its generator is at hand: the plan against an independent count.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::process::Stdio;

use serde_json::Value;
use tokio::process::Command;

use crate::oracle::{Made, by_created, deleted, prereleases};
use crate::server::Server;
use crate::support::{doomed, kept, repository, run};

const LAST: usize = 3;

/// The generator beside the repository; `None` where it is not there.
pub(crate) fn generator() -> Option<PathBuf> {
    let path = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../../shared/tools/seed_registry.py"
    );
    let found = PathBuf::from(path);
    found.is_file().then_some(found)
}

/// What was made, by repository.
fn read(truth: &str) -> BTreeMap<String, Vec<Made>> {
    let mut repositories: BTreeMap<String, Vec<Made>> = BTreeMap::new();
    for line in truth.lines() {
        let made: Value = serde_json::from_str(line).unwrap();
        let text = |name: &str| made[name].as_str().map(str::to_owned);
        let list = |name: &str| {
            let items = made[name].as_array().unwrap().iter();
            items
                .map(|item| item.as_str().unwrap().to_owned())
                .collect::<Vec<_>>()
        };
        let created =
            text("created").map(|text| chrono::DateTime::parse_from_rfc3339(&text).unwrap().timestamp());
        repositories.entry(text("repo").unwrap()).or_default().push(Made {
            digest: text("digest").unwrap(),
            tags: list("tags"),
            children: list("children"),
            attached_to: text("subject").or_else(|| text("signs")),
            created: created.filter(|created| *created > 0),
        });
    }
    repositories
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_corpus_made_by_others_is_planned_as_counted_by_hand() {
    let Some(generator) = generator() else {
        // The sandbox's corpus is counted by an oracle of its own, over HTTP.
        eprintln!("skipped: there is no seed_registry.py to make a second corpus with");
        return;
    };
    let Some(server) = Server::start().await else {
        return;
    };
    let truth = server.path("truth.jsonl");
    let mut command = Command::new("python3");
    command
        .arg(generator)
        .args(["--repos", "12", "--tags", "40", "--push", &server.url])
        .arg("--truth")
        .arg(&truth);
    let made = command
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output()
        .await
        .expect("python3 runs");
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let repositories = read(&std::fs::read_to_string(truth).unwrap());
    assert_eq!(repositories.len(), 12);

    for by in ["version", "created"] {
        let line = format!("--select channel=prerelease --keep last={LAST},by={by} --format json --all");
        let plan = run(&format!("plan --registry {} {line}", server.url))
            .await
            .exits(0)
            .json();
        let mut gone = 0;
        for (name, made) in &repositories {
            let groups = prereleases(made);
            let groups = if by == "version" {
                groups
            } else {
                by_created(groups, made)
            };
            let expected = deleted(made, groups, LAST);
            let decided = repository(&plan, name);
            assert_eq!(
                doomed(decided).into_iter().collect::<BTreeSet<_>>(),
                expected,
                "{by}: {name}"
            );
            let all: BTreeSet<String> = made.iter().flat_map(|made| made.tags.clone()).collect();
            let stay: BTreeSet<String> = all.difference(&expected).cloned().collect();
            assert_eq!(
                kept(decided).into_iter().collect::<BTreeSet<_>>(),
                stay,
                "{by}: {name}"
            );
            gone += expected.len();
        }
        assert!(gone > 30, "{by}: {gone}");
        assert_eq!(plan["totals"]["delete_tags"], gone, "{by}");
    }
}
