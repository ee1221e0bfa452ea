//! Deleting from docker-registry and putting back: everything is as it was.

use std::collections::BTreeSet;
use std::process::Stdio;

use axum::http::Method;
use lagan_sandbox::{Profile, Sandbox, SandboxOptions, push};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};

use crate::independent::generator;
use crate::photograph::{Photograph, photograph};
use crate::proxy::{Proxy, When};
use crate::server::Server;
use crate::support::Place;

/// Deletes most of everything: indexes with their children, what is signed and what is attached.
pub(crate) const MOST: &str = "--select tags=* --keep last=4,by=created --override-limit max_deletions=off";

/// A registry with so many repositories and tags.
pub(crate) async fn filled(repositories: usize, tags: usize) -> Option<Server> {
    let server = Server::start().await?;
    fill(&server, repositories, tags).await;
    Some(server)
}

pub(crate) async fn fill(server: &Server, repositories: usize, tags: usize) {
    let options = SandboxOptions::default()
        .profile(Profile::Distribution28)
        .corpus(repositories, tags);
    let sandbox = Sandbox::start(options).await.unwrap();
    push(sandbox.corpus(), &server.url, None).await.unwrap();
}

pub(crate) async fn apply(place: &Place, url: &str, code: i32) -> Value {
    let line = format!("apply --registry {url} {MOST} --yes --format json");
    place.run(&line).await.exits(code).json()
}

pub(crate) fn count(report: &Value, outcome: &str) -> u64 {
    report["totals"]["outcomes"][outcome].as_u64().unwrap_or_default()
}

pub(crate) fn entries<'r>(report: &'r Value, outcome: &str) -> Vec<&'r Value> {
    let repositories = report["repositories"].as_array().unwrap().iter();
    let entries = repositories.flat_map(|repository| repository["entries"].as_array().unwrap());
    entries.filter(|entry| entry["outcome"] == outcome).collect()
}

/// Whatever a tag leads to is served: children, configurations and layers.
async fn assert_whole(url: &str) {
    let served = photograph(url, None).await;
    let client = reqwest::Client::new();
    let mut blobs = BTreeSet::new();
    for (key, shot) in &served.manifests {
        let (repository, _) = key.split_once('@').or_else(|| key.split_once(':')).unwrap();
        let manifest: Value = serde_json::from_slice(&shot.bytes).unwrap();
        let of = |field: &str| manifest[field].as_array().cloned().unwrap_or_default();
        for child in of("manifests") {
            let child = format!("{repository}@{}", child["digest"].as_str().unwrap());
            assert!(served.manifests.contains_key(&child), "{key} lists {child}");
        }
        let config = manifest["config"]["digest"].as_str().map(str::to_owned);
        let layers = of("layers");
        let layers = layers
            .iter()
            .map(|layer| layer["digest"].as_str().unwrap().to_owned());
        blobs.extend(layers.chain(config).map(|digest| (repository.to_owned(), digest)));
    }
    assert!(!blobs.is_empty());
    for (repository, digest) in blobs {
        let blob = client.get(format!("{url}/v2/{repository}/blobs/{digest}"));
        let status = blob.send().await.unwrap().status();
        assert_eq!(status, 200, "{repository}@{digest}");
    }
}

#[track_caller]
pub(crate) fn assert_same(before: &Photograph, after: &Photograph, when: &str) {
    assert_eq!(before.differences(after), Vec::<String>::new(), "{when}");
    assert_eq!(before, after, "{when}");
}

/// 20 repositories of 40 tags: what others make of them where their generator is at hand, and the sandbox's where it is not.
async fn fill_with_twenty_repositories(server: &Server) {
    let Some(generator) = generator() else {
        eprintln!("there is no seed_registry.py: filled with the sandbox's corpus");
        return fill(server, 20, 40).await;
    };
    eprintln!("filled by {}", generator.display());
    let mut command = Command::new("python3");
    command
        .arg(generator)
        .args(["--repos", "20", "--tags", "40", "--push", &server.url])
        .stdin(Stdio::null())
        .stdout(Stdio::null());
    assert!(command.kill_on_drop(true).status().await.unwrap().success());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn twenty_repositories_are_deleted_from_and_brought_back_byte_for_byte() {
    let Some(server) = Server::start().await else {
        return;
    };
    fill_with_twenty_repositories(&server).await;
    let before = photograph(&server.url, None).await;
    let place = Place::new();
    let report = apply(&place, &server.url, 0).await;
    let deleted = count(&report, "deleted");
    assert!(deleted > 300, "{deleted}");
    let after = photograph(&server.url, Some(&before)).await;
    assert!(before.differences(&after).len() as u64 >= deleted);
    let undone = place.run("undo last --format json").await.exits(0).json();
    assert_eq!(count(&undone, "restored"), deleted);
    assert_same(
        &before,
        &photograph(&server.url, Some(&before)).await,
        "after the undo",
    );
    place.run("journal verify").await.exits(0);
}

async fn signal(child: &Child, signal: &str) {
    let pid = child.id().unwrap().to_string();
    let sent = Command::new("kill").args(["-s", signal, &pid]).status();
    assert!(sent.await.unwrap().success());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sigterm_finishes_the_artifact_in_hand_and_the_next_run_goes_on() {
    finishes_the_artifact_in_hand("TERM").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sigint_finishes_the_artifact_in_hand_and_the_next_run_goes_on() {
    finishes_the_artifact_in_hand("INT").await;
}

async fn finishes_the_artifact_in_hand(name: &str) {
    let Some(server) = filled(1, 120).await else {
        return;
    };
    let proxy = Proxy::start(&server.url).await;
    let place = Place::new();
    let line = format!("apply --registry {} {MOST} --yes --format json", proxy.url);
    proxy.trap(Method::DELETE, 3, When::After);
    let mut child = place.command(&line).spawn().unwrap();
    tokio::select! {
        () = proxy.reached() => {}
        ended = child.wait() => panic!("it ended before: {ended:?}"),
    }
    // Meanwhile nobody else gets at the journal.
    for other in ["journal list", "undo last", &line] {
        let refused = place.run(other).await.exits(2);
        assert!(
            refused.stderr.contains("is using it"),
            "{other}: {}",
            refused.stderr
        );
    }
    signal(&child, name).await;
    // Whether the signal is there before the answer or not: what is in hand is finished.
    proxy.release();
    let output = child.wait_with_output().await.unwrap();
    assert_eq!(
        output.status.code(),
        Some(4),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["stopped"], true);
    let (deleted, skipped) = (count(&report, "deleted"), count(&report, "skipped"));
    assert!(deleted >= 3 && skipped >= 1, "{report}");
    // Nothing is left half done: what was begun is gone with its children, what was not begun is whole.
    for entry in entries(&report, "skipped") {
        assert_eq!(entry["why"], "stopped", "{entry}");
    }
    let mut artifact = &Value::Null;
    for entry in report["repositories"][0]["entries"].as_array().unwrap() {
        if entry["role"] == "artifact" {
            artifact = &entry["outcome"];
        }
        assert_eq!(&entry["outcome"], artifact, "{report}");
    }
    proxy.open();
    let rest = apply(&place, &proxy.url, 0).await;
    assert_eq!(count(&rest, "deleted"), skipped);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_signal_ends_an_apply_at_once_and_the_next_run_finds_out_what_came_of_it() {
    let Some(server) = filled(1, 24).await else { return };
    let proxy = Proxy::start(&server.url).await;
    let place = Place::new();
    let line = format!("apply --registry {} {MOST} --yes --format json", proxy.url);
    proxy.trap(Method::DELETE, 2, When::After);
    let mut child = place.command(&line).spawn().unwrap();
    tokio::select! {
        () = proxy.reached() => {}
        ended = child.wait() => panic!("it ended before: {ended:?}"),
    }
    let mut said = BufReader::new(child.stderr.take().unwrap()).lines();
    signal(&child, "INT").await;
    while !said
        .next_line()
        .await
        .unwrap()
        .unwrap()
        .contains("once more stops at once")
    {}
    // The answer that it waits for never comes.
    signal(&child, "TERM").await;
    assert_eq!(child.wait().await.unwrap().code(), Some(1));
    while !said
        .next_line()
        .await
        .unwrap()
        .unwrap()
        .contains("stopped at once")
    {}
    proxy.open();
    place.run("journal verify").await.exits(0);
    // Of what was on record and not sent, nobody can tell yet.
    let rest = place.run(&line).await.json();
    let found_out = rest["recovery"]["settled"]["deleted"].as_u64();
    assert!(found_out >= Some(1), "{rest}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_collected_as_garbage_is_told_and_never_half_restored() {
    let Some(server) = filled(1, 24).await else { return };
    let place = Place::new();
    let report = apply(&place, &server.url, 0).await;
    let collected = server.collect_garbage().await;
    assert!(collected.contains("eligible for deletion"), "{collected}");
    let undone = place.run("undo last --format json").await.exits(4).json();
    assert!(count(&undone, "unrecoverable") > 0, "{undone}");
    assert_eq!(
        count(&undone, "unrecoverable") + count(&undone, "restored"),
        count(&report, "deleted"),
        "{undone}"
    );
    assert_whole(&server.url).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_registry_that_remembers_what_was_collected_is_believed_when_it_has_forgotten() {
    let Some(mut server) = Server::remembering().await else {
        return;
    };
    fill(&server, 1, 24).await;
    let place = Place::new();
    let report = apply(&place, &server.url, 0).await;
    let run = report["run"].as_str().unwrap();
    server.collect_garbage().await;
    let undone = place
        .run(&format!("undo {run} --format json"))
        .await
        .exits(4)
        .json();
    // It says to have everything and sends nothing of it: nobody knows, and nothing is put.
    let failed = entries(&undone, "failed");
    assert!(!failed.is_empty(), "{undone}");
    for entry in failed {
        let detail = entry["detail"].as_str().unwrap();
        assert!(
            detail.contains("until it is started again") || detail.contains("below it"),
            "{detail}"
        );
    }
    assert_whole(&server.url).await;
    server.restart().await;
    let undone = place
        .run(&format!("undo {run} --format json"))
        .await
        .exits(4)
        .json();
    assert!(count(&undone, "unrecoverable") > 0, "{undone}");
    assert_eq!(count(&undone, "failed"), 0, "{undone}");
    assert_whole(&server.url).await;
}

/// The photograph of everything but copies that are held.
pub(crate) async fn but_copies(url: &str, before: Option<&Photograph>) -> Photograph {
    let mut whole = photograph(url, before).await;
    whole.manifests.retain(|key, _| !key.starts_with("hold/"));
    whole.referrers.retain(|key, _| !key.starts_with("hold/"));
    whole
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_held_survives_a_garbage_collection_comes_back_and_is_purged_in_the_end() {
    let Some(server) = filled(1, 24).await else { return };
    let place = Place::new();
    let policy = |period: &str| {
        let text = format!(
            "repositories: [\"**\"]\nmode: enforce\nrules:\n  - select: {{tags: [\"*\"]}}\n    keep: {{last: 4, by: created}}\n\
             grace: {{repository: \"hold/{{repository}}\", for: {period}}}\n"
        );
        format!("--policy-file {}", place.file("policy.yaml", text).display())
    };
    let url = &server.url;
    let before = but_copies(url, None).await;
    let line = |period: &str| format!("apply --registry {url} {} --yes --format json", policy(period));
    // The grace of the first copies ends at once, and they are purged as soon as it may be.
    let report = place.run(&line("1s")).await.exits(0).json();
    let deleted = count(&report, "deleted");
    assert!(deleted > 5, "{report}");
    server.collect_garbage().await;
    let undone = place.run("undo last --format json").await.exits(0).json();
    assert_eq!(count(&undone, "restored"), deleted, "{undone}");
    let restored = but_copies(url, Some(&before)).await;
    assert_eq!(before.differences(&restored), Vec::<String>::new());

    let purging = line("72h");
    let mut purged = 0;
    for _ in 0..100 {
        purged += count(&place.run(&purging).await.exits(0).json(), "purged");
        if purged > 0 {
            break;
        }
    }
    assert!(purged > 0);
    place.run("journal verify").await.exits(0);
    // What was put back is on hold, and the collection takes nothing of it.
    server.collect_garbage().await;
    let after = but_copies(url, Some(&before)).await;
    assert_eq!(before.differences(&after), Vec::<String>::new());
}
