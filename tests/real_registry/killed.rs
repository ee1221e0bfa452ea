//! The program is killed at every kind of request of an apply, of an undo and of a purge, as docker-registry has them:
//! what came of it is found out, the next run goes on, and everything comes back.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use serde_json::Value;

use crate::apply::{MOST, assert_same, but_copies, count, entries, fill};
use crate::photograph::{Photograph, photograph};
use crate::proxy::{Proxy, When};
use crate::server::Server;
use crate::support::Place;

/// Kills at every single request, and not only at one or two of each kind.
const ALL: &str = "LAGAN_ALL_KILLS";

/// A run is killed when the registry has not seen, or has answered, so many requests of this kind.
#[derive(Debug, Clone)]
struct Point {
    kind: String,
    number: u64,
    when: When,
}

/// Where to kill: half way of each kind; of what changes something also at the first, and also after it happened. The
/// answer to what only looks is the same as no answer.
fn points(seen: &BTreeMap<String, u64>) -> Vec<Point> {
    let mut points = Vec::new();
    for (kind, count) in seen {
        let looks = ["GET", "HEAD"].iter().any(|method| kind.starts_with(method));
        let half = count / 2 + 1;
        let numbers: BTreeSet<u64> = match std::env::var_os(ALL) {
            Some(_) => (1..=*count).collect(),
            None if looks => [half].into(),
            None => [1, half].into(),
        };
        let whens = if looks {
            &[When::Before][..]
        } else {
            &[When::Before, When::After]
        };
        points.extend(numbers.iter().flat_map(|number| {
            whens.iter().map(|when| Point {
                kind: kind.clone(),
                number: *number,
                when: *when,
            })
        }));
    }
    points
}

/// All that protects something is among the kinds.
#[track_caller]
fn assert_has(seen: &BTreeMap<String, u64>, kinds: &[&str]) {
    let missing: Vec<_> = kinds.iter().filter(|kind| !seen.contains_key(**kind)).collect();
    assert_eq!(missing, Vec::<&&str>::new(), "{seen:?}");
}

/// Policies of which one keeps a copy of everything before it goes, for so long.
fn held(place: &Place, period: &str) -> String {
    let text = format!(
        "repositories: [\"**\"]\nmode: enforce\nrules:\n  - select: {{tags: [\"*\"]}}\n    keep: {{last: 4, by: created}}\n\
         grace: {{repository: \"hold/{{repository}}\", for: {period}}}\n"
    );
    let path = place.file(&format!("held-{period}.yaml"), text);
    format!(
        "--policy-file {} --override-limit max_deletions=off",
        path.display()
    )
}

/// Runs the binary until the proxy holds the chosen request, and kills it there. `false` where the run ended before.
async fn kill_at(place: &Place, proxy: &Proxy, line: &str, point: &Point) -> bool {
    proxy.trap_kind(&point.kind, point.number, point.when);
    let mut child = place.command(line).spawn().unwrap();
    let killed = tokio::select! {
        () = proxy.reached() => {
            child.start_kill().unwrap();
            true
        }
        _ = child.wait() => false,
    };
    child.wait().await.unwrap();
    proxy.open();
    killed
}

/// Whether a difference is about a manifest of a report, or about a tag of it.
fn is_about(difference: &str, entry: &Value) -> bool {
    let (what, _) = difference.split_once(' ').unwrap();
    let (_, reference) = what.split_once('@').or_else(|| what.split_once(':')).unwrap();
    let tags = entry["tags"].as_array().unwrap();
    entry["digest"] == reference || tags.iter().any(|tag| tag == reference)
}

/// Puts back what is missing, without lagan: images before indexes.
async fn restore(url: &str, before: &Photograph, now: &Photograph) {
    let mut missing: Vec<_> = before
        .manifests
        .iter()
        .filter(|(key, _)| !now.manifests.contains_key(*key))
        .collect();
    missing.sort_by_key(|(_, shot)| shot.media_type.contains("index") || shot.media_type.contains("list"));
    let client = reqwest::Client::new();
    for (key, shot) in missing {
        let (repository, reference) = key.split_once('@').or_else(|| key.split_once(':')).unwrap();
        let put = client.put(format!("{url}/v2/{repository}/manifests/{reference}"));
        let put = put
            .header("content-type", &shot.media_type)
            .body(shot.bytes.clone());
        assert_eq!(put.send().await.unwrap().status(), 201, "{key}");
    }
    assert_same(before, &but_copies(url, Some(before)).await, "restored by hand");
}

/// The registry with one small repository, remembering what it has or not, and the proxy in front of it.
async fn scene(remembers: bool) -> Option<(Server, Proxy, Photograph)> {
    let server = match remembers {
        true => Server::remembering().await?,
        false => Server::start().await?,
    };
    fill(&server, 1, 12).await;
    let proxy = Proxy::start(&server.url).await;
    let before = photograph(&server.url, None).await;
    Some((server, proxy, before))
}

/// A run that was killed: the next one goes on, everything comes back or is said to be in doubt, nothing that stays was
/// touched. In the end all is as it was.
async fn is_found_out(
    place: &Place,
    url: &str,
    line: &str,
    (before, doomed): (&Photograph, &BTreeSet<String>),
    point: &Point,
) {
    place.run("journal verify").await.exits(0);
    let now = but_copies(url, Some(before)).await;
    let lost = before.differences(&now);
    let is_doomed = |line: &&String| doomed.iter().any(|key| line.starts_with(key));
    let lost: Vec<_> = lost.iter().filter(|line| !is_doomed(line)).collect();
    assert_eq!(lost, Vec::<&String>::new(), "{point:?}");
    // What was under way may still happen, so nobody calls it done.
    let code = place.run(line).await.code;
    assert!([0, 4].contains(&code), "{point:?}: {code}");
    let undone = place.run("undo --since 1d --format json").await;
    let report = undone.json();
    let in_doubt =
        count(&report, "in_doubt") + report["recovery"]["in_doubt"].as_array().unwrap().len() as u64;
    let expected = if in_doubt > 0 { 4 } else { 0 };
    assert_eq!(undone.code, expected, "{point:?}: {}", undone.stderr);
    for bad in ["failed", "conflict", "unrecoverable"] {
        assert_eq!(count(&report, bad), 0, "{point:?}: {report}");
    }
    let now = but_copies(url, Some(before)).await;
    // An index whose children may still go waits for them: it says so, and nothing else is missing.
    let waiting = entries(&report, "in_doubt");
    let missing = before.differences(&now);
    let waits = |line: &&String| !waiting.iter().any(|entry| is_about(line, entry));
    let unexplained: Vec<_> = missing.iter().filter(waits).collect();
    assert_eq!(unexplained, Vec::<&String>::new(), "{point:?}");
    place.run("journal verify").await.exits(0);
    // For the next point, as it was.
    restore(url, before, &now).await;
}

/// What an apply that nobody kills takes, which is put back, and how many requests of each kind it makes.
async fn undisturbed(
    proxy: &Proxy,
    line: &str,
    place: &Place,
    before: &Photograph,
) -> (BTreeSet<String>, BTreeMap<String, u64>) {
    proxy.kinds();
    place.run(line).await.exits(0);
    let seen = proxy.kinds();
    let now = but_copies(&proxy.url, Some(before)).await;
    let gone = before
        .manifests
        .keys()
        .filter(|key| !now.manifests.contains_key(*key));
    let gone: BTreeSet<String> = gone.cloned().collect();
    assert!(gone.len() > 5, "{gone:?}");
    place.run("undo last").await.exits(0);
    assert_same(before, &but_copies(&proxy.url, Some(before)).await, "undisturbed");
    (gone, seen)
}

/// Takes away the copies of other journals, which no other one touches.
fn without_copies(server: &Server) {
    let folder = server.path("storage/docker/registry/v2/repositories/hold");
    if folder.exists() {
        fs::remove_dir_all(folder).unwrap();
    }
}

async fn an_apply_is_killed(remembers: bool) {
    let Some((server, proxy, before)) = scene(remembers).await else {
        return;
    };
    let line = format!("apply --registry {} {MOST} --yes", proxy.url);
    let (doomed, seen) = undisturbed(&proxy, &line, &Place::new(), &before).await;
    assert_has(
        &seen,
        &[
            "DELETE manifest by digest",
            "HEAD manifest by tag",
            "HEAD manifest by digest",
            "GET tags",
        ],
    );
    for point in points(&seen) {
        let place = Place::new();
        assert!(kill_at(&place, &proxy, &line, &point).await, "{point:?}");
        is_found_out(&place, &server.url, &line, (&before, &doomed), &point).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_apply_may_be_killed_at_any_request() {
    an_apply_is_killed(false).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_apply_may_be_killed_at_any_request_to_a_registry_that_remembers() {
    an_apply_is_killed(true).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_apply_that_keeps_copies_may_be_killed_at_any_request() {
    let Some((server, proxy, before)) = scene(false).await else {
        return;
    };
    let line = |place: &Place| format!("apply --registry {} {} --yes", proxy.url, held(place, "72h"));
    let place = Place::new();
    let (doomed, seen) = undisturbed(&proxy, &line(&place), &place, &before).await;
    assert_has(
        &seen,
        &[
            "POST copy upload",
            "PUT copy manifest by tag",
            "DELETE manifest by digest",
        ],
    );
    for point in points(&seen) {
        without_copies(&server);
        let place = Place::new();
        let line = line(&place);
        assert!(kill_at(&place, &proxy, &line, &point).await, "{point:?}");
        is_found_out(&place, &server.url, &line, (&before, &doomed), &point).await;
    }
}

/// Runs an undo, kills it at each kind of its requests, and runs it again.
async fn an_undo_is_killed(remembers: bool, copies: bool) {
    let Some((server, proxy, before)) = scene(remembers).await else {
        return;
    };
    let deleted = async || {
        without_copies(&server);
        let place = Place::new();
        let policy = if copies {
            held(&place, "72h")
        } else {
            MOST.to_owned()
        };
        let line = format!("apply --registry {} {policy} --yes --format json", proxy.url);
        let report = place.run(&line).await.exits(0).json();
        if copies {
            server.collect_garbage().await;
        }
        proxy.kinds();
        (place, format!("undo {}", report["run"].as_str().unwrap()))
    };
    let (place, line) = deleted().await;
    place.run(&line).await.exits(0);
    let seen = proxy.kinds();
    assert_has(
        &seen,
        &[
            "GET manifest by digest",
            "HEAD blob",
            "PUT manifest by digest",
            "PUT manifest by tag",
        ],
    );
    for point in points(&seen) {
        let (place, line) = deleted().await;
        assert!(kill_at(&place, &proxy, &line, &point).await, "{point:?}");
        place.run("journal verify").await.exits(0);
        place.run(&line).await.exits(0);
        let now = but_copies(&server.url, Some(&before)).await;
        assert_same(&before, &now, &format!("{point:?}"));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_undo_may_be_killed_at_any_request_and_is_run_again() {
    an_undo_is_killed(false, false).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_undo_may_be_killed_at_any_request_to_a_registry_that_remembers_and_is_run_again() {
    an_undo_is_killed(true, false).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_undo_from_copies_may_be_killed_at_any_request_and_is_run_again() {
    an_undo_is_killed(false, true).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_purge_may_be_killed_at_any_request() {
    let Some((server, proxy, before)) = scene(false).await else {
        return;
    };
    let now = but_copies(&server.url, Some(&before)).await;
    assert_same(&before, &now, "nothing is held yet");
    // Copies whose grace is over as soon as there is a second to wait for.
    let copied = async || {
        without_copies(&server);
        let place = Place::new();
        let line = |period: &str| {
            format!(
                "apply --registry {} {} --yes --format json",
                proxy.url,
                held(&place, period)
            )
        };
        let report = place.run(&line("1s")).await.exits(0).json();
        assert!(count(&report, "deleted") > 5, "{report}");
        let line = line("1s");
        (place, line)
    };
    let (place, line) = copied().await;
    let gone = but_copies(&server.url, Some(&before)).await;
    let doomed = before
        .manifests
        .keys()
        .filter(|key| !gone.manifests.contains_key(*key));
    let doomed: BTreeSet<String> = doomed.cloned().collect();
    let mut purged = BTreeMap::new();
    for _ in 0..200 {
        proxy.kinds();
        let report = place.run(&line).await.exits(0).json();
        if count(&report, "purged") > 0 {
            purged = proxy.kinds();
            break;
        }
    }
    assert_has(&purged, &["DELETE copy manifest by digest"]);
    purged.retain(|kind, _| kind.contains("copy"));
    place.run("undo --since 1d").await.exits(0);
    for point in points(&purged) {
        let (place, line) = copied().await;
        let mut killed = false;
        for _ in 0..200 {
            killed = kill_at(&place, &proxy, &line, &point).await;
            if killed {
                break;
            }
        }
        assert!(killed, "{point:?}");
        is_found_out(&place, &server.url, &line, (&before, &doomed), &point).await;
    }
}
