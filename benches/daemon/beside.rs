//! Runs of several registries beside each other, against one alone: what a daemon takes for them.

use std::fmt::Write as _;
use std::fs;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use reqwest::Client;
use serde_json::json;

use crate::process::cpu_seconds;
use crate::registry::{Registry, Served};
use crate::{Daemon, TOKEN, kib};

/// As many as a daemon makes at a time.
const MANY: usize = 4;

const BETWEEN_LOOKS: Duration = Duration::from_millis(5);

/// What a daemon took for its runs.
struct Took {
    wall: Duration,
    cpu: f64,
    /// Before they began.
    idle_mb: f64,
    peak_mb: f64,
}

/// Plans, and then deletes, alone and beside each other, each with a daemon of its own.
pub(crate) async fn measure(repositories: u16, tags: u16) -> Result<()> {
    let registries = (0..=MANY).map(|_| Registry::sandbox(repositories, tags, Served::default()));
    let registries = registries.collect::<Result<Vec<_>>>()?;
    // Whoever runs alone has one that nobody has asked before either.
    let (alone, beside) = registries.split_at(1);
    println!("| what | runs | wall s | CPU s | MB before | peak MB | above before, a run alone = 1 |");
    println!("|---|---|---|---|---|---|---|");
    for what in ["plan", "apply"] {
        let mut above_alone = None;
        for registries in [alone, beside] {
            let took = runs(what, registries).await?;
            let above = took.peak_mb - took.idle_mb;
            let one = *above_alone.get_or_insert(above);
            println!(
                "| {what} | {} | {:.1} | {:.2} | {:.1} | {:.1} | {:.1} |",
                registries.len(),
                took.wall.as_secs_f64(),
                took.cpu,
                took.idle_mb,
                took.peak_mb,
                above / one
            );
        }
    }
    Ok(())
}

/// A run on each of these registries, all of them at the same time.
async fn runs(what: &str, registries: &[Registry]) -> Result<Took> {
    let folder = tempfile::tempdir()?;
    fs::write(folder.path().join("token"), TOKEN)?;
    fs::write(folder.path().join("lagan.yaml"), configuration(registries)?)?;
    let daemon = Daemon::begin(folder)?;
    let pid = daemon.child.id();
    let client = Client::builder().no_proxy().tls_certs_only([]).build()?;
    // What answering takes is there before they begin.
    daemon.json(&client, "/api/v1/runs").await?;
    let (idle_mb, cpu) = (kib(pid, "VmRSS")? / 1024.0, cpu_seconds(pid)?);
    let start = Instant::now();
    let mut places = Vec::new();
    for number in 0..registries.len() {
        let order = client
            .post(daemon.url(&format!("/api/v1/{what}")))
            .bearer_auth(TOKEN)
            .json(
                &json!({"registry": format!("r{number}"), "policies": [format!("p{number}")], "wait": false}),
            );
        let answer = order.send().await?.error_for_status()?;
        let place = answer
            .headers()
            .get("location")
            .context("the order has no place")?;
        places.push(place.to_str()?.to_owned());
    }
    let (mut most, mut left) = (0, places.clone());
    while !left.is_empty() {
        let mut running = 0;
        for place in std::mem::take(&mut left) {
            let run = daemon.json(&client, &place).await?;
            if run["state"] == "ended" {
                ensure!(run["exit"] == 0, "the {what} failed: {run}");
                continue;
            }
            running += usize::from(run["state"] == "running");
            left.push(place);
        }
        most = most.max(running);
        tokio::time::sleep(BETWEEN_LOOKS).await;
    }
    let took = Took {
        wall: start.elapsed(),
        cpu: cpu_seconds(pid)? - cpu,
        idle_mb,
        peak_mb: kib(pid, "VmHWM")? / 1024.0,
    };
    ensure!(
        most == registries.len(),
        "{most} of {} runs were seen at the same time",
        registries.len()
    );
    for place in places {
        let report = daemon.json(&client, &format!("{place}/report")).await?;
        let totals = &report["totals"];
        let many = match what {
            "plan" => &totals["delete_artifacts"],
            _ => &totals["outcomes"]["deleted"],
        };
        ensure!(
            many.as_u64().is_some_and(|many| many > 0),
            "nothing was to be done: {totals}"
        );
    }
    Ok(took)
}

/// A policy for each registry that reads every tag's manifest and configuration, and lets half of them go.
fn configuration(registries: &[Registry]) -> Result<String> {
    let mut text = "state_dir: state\nadmin: {tokens: {bench: {file: token, rights: [read, plan, apply]}}}\n\
                    registries:\n"
        .to_owned();
    for (number, registry) in registries.iter().enumerate() {
        writeln!(text, "  r{number}: {{url: '{}'}}", registry.url())?;
    }
    text.push_str("policies:\n");
    for number in 0..registries.len() {
        writeln!(
            text,
            "  p{number}:\n    registry: r{number}\n    repositories: '**'\n    mode: enforce\n    limits: {{max_deletions: off}}\n    \
             rules: [{{select: {{tags: '*'}}, keep: {{last: 10, by: created}}}}]"
        )?;
    }
    Ok(text)
}
