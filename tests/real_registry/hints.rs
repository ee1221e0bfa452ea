//! A docker-registry that tells a daemon what changes in it, by its own notifications.

use std::fs;
use std::path::Path;
use std::time::Duration;

use lagan_sandbox::{Profile, Sandbox, SandboxOptions, push};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, BufReader, Lines};
use tokio::process::ChildStderr;

use crate::server::Server;
use crate::support::Place;

const LONGEST: Duration = Duration::from_secs(90);

const SECRET: &str = "what-only-the-registry-knows";

fn configuration(url: &str, cron: &str) -> String {
    format!(
        "registries: {{r: {{url: '{url}', webhook: {{secret_file: hook}}}}}}\npolicies:\n  p:\n    repositories: '**'\n    \
         schedule: {{cron: '{cron}'}}\n    rules: [{{select: {{tags: '*'}}, keep: {{last: 2, by: name}}}}]\n"
    )
}

/// The passes so far, each with the repositories that it looked at.
fn passes(state: &Path) -> Vec<(bool, Vec<String>)> {
    let Ok(folder) = fs::read_dir(state.join("daemon/runs")) else {
        return Vec::new();
    };
    let mut runs: Vec<_> = folder.map(|run| run.unwrap().path()).collect();
    runs.sort();
    let read = |path: &Path| -> Option<Value> { serde_json::from_slice(&fs::read(path).ok()?).ok() };
    let pass = |run: std::path::PathBuf| {
        let full = read(&run.join("run.json"))?["pass"]["full"].as_bool()?;
        let report = read(&run.join("report.json"))?;
        let repositories = report["repositories"].as_array()?.iter();
        let named = repositories.map(|repository| repository["name"].as_str().unwrap().to_owned());
        Some((full, named.collect()))
    };
    runs.into_iter().filter_map(pass).collect()
}

/// Waits until the passes are as wanted, and looks again each time that the daemon says something.
async fn until(
    lines: &mut Lines<BufReader<ChildStderr>>,
    state: &Path,
    wanted: impl Fn(&[(bool, Vec<String>)]) -> bool,
) {
    let mut said = String::new();
    let found = async {
        while !wanted(&passes(state)) {
            let line = lines.next_line().await.unwrap().expect("the daemon goes on");
            said.push_str(&line);
            said.push('\n');
        }
    };
    let found = tokio::time::timeout(LONGEST, found).await;
    assert!(found.is_ok(), "{:?}\n{said}", passes(state));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_registry_tells_has_just_that_looked_at() {
    let place = Place::new();
    place.file("hook", format!("{SECRET}\n"));
    // Nothing is due before it is known where the registry is.
    place.file("lagan.yaml", configuration("http://127.0.0.1:9", "0 3 1 1 *"));
    let mut command = place.command("daemon --listen 127.0.0.1:0 --state-dir state --keep-runs 1000");
    command.env("LAGAN_LOG", "info").kill_on_drop(true);
    let mut daemon = command.spawn().unwrap();
    let mut lines = BufReader::new(daemon.stderr.take().unwrap()).lines();
    let address = loop {
        let line = lines.next_line().await.unwrap().expect("the daemon starts");
        if let Some((_, address)) = line.split_once("the admin API is at ") {
            break address.trim().to_owned();
        }
    };
    let Some(server) = Server::telling(&format!("{address}/hooks/r"), SECRET).await else {
        return;
    };
    let options = SandboxOptions::default()
        .profile(Profile::Distribution28)
        .corpus(3, 6);
    let sandbox = Sandbox::start(options).await.unwrap();
    push(sandbox.corpus(), &server.url, None).await.unwrap();
    place.file("lagan.yaml", configuration(&server.url, "* * * * * *"));

    // It reads everything, hears of what it read itself, and then of nothing.
    let state = place.path().join("state");
    let quiet =
        |passes: &[(bool, Vec<String>)]| passes.last().is_some_and(|(full, read)| !full && read.is_empty());
    until(&mut lines, &state, quiet).await;
    let full = passes(&state).into_iter().find(|(full, _)| *full).unwrap();
    assert_eq!(full.1.len(), 3);
    let before = passes(&state).len();

    let repository = &full.1[1];
    let client = reqwest::Client::new();
    let tags = client.get(format!("{}/v2/{repository}/tags/list", server.url));
    let tags: Value = serde_json::from_slice(&tags.send().await.unwrap().bytes().await.unwrap()).unwrap();
    let at = |tag: &str| format!("{}/v2/{repository}/manifests/{tag}", server.url);
    let manifest = client.get(at(tags["tags"][0].as_str().unwrap())).header(
        "accept",
        "application/vnd.oci.image.manifest.v1+json, application/vnd.oci.image.index.v1+json, \
         application/vnd.docker.distribution.manifest.v2+json, application/vnd.docker.distribution.manifest.list.v2+json",
    );
    let manifest = manifest.send().await.unwrap();
    let media_type = manifest.headers()["content-type"].clone();
    let again = client
        .put(at("pushed-again"))
        .header("content-type", media_type)
        .body(manifest.bytes().await.unwrap());
    assert_eq!(again.send().await.unwrap().status(), 201);
    let looked =
        |passes: &[(bool, Vec<String>)]| passes.iter().skip(before).any(|(_, read)| !read.is_empty());
    until(&mut lines, &state, looked).await;
    for (full, read) in passes(&state).iter().skip(before) {
        assert!(!full);
        assert!(read.is_empty() || *read == [repository.clone()], "{read:?}");
    }
    // Who does not have the secret is not heard.
    let forged = client
        .post(format!("{address}/hooks/r"))
        .header("authorization", "Bearer something-else-entirely")
        .body("{\"events\":[]}");
    assert_eq!(forged.send().await.unwrap().status(), 401);
}
