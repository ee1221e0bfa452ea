//! What a daemon costs while nothing is due, how long its pages take while ten thousand repositories are planned, and what
//! it takes for runs of several registries beside each other.
//!
//! The real binary, with a state directory of its own, beside the sandbox in a process of its own.
#![expect(clippy::print_stdout, reason = "a table is what a benchmark is for")]

mod beside;
#[expect(dead_code, reason = "it measures runs to their end as well")]
#[path = "../plan/process.rs"]
mod process;
#[expect(dead_code, reason = "it serves other benchmarks as well")]
#[path = "../plan/registry.rs"]
mod registry;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::io::{BufRead as _, BufReader, Read as _};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use clap::Parser;
use lagan_sandbox::CorpusOptions;
use reqwest::Client;
use serde_json::{Value, json};

use crate::process::cpu_seconds;
use crate::registry::{Registry, Served};

const TOKEN: &str = "a-token-of-a-benchmark";

/// Megabytes of 2^20 bytes.
const MEMORY_BAR: f64 = 30.0;

const ANSWER_BAR: Duration = Duration::from_millis(100);

/// As many as one daemon has to carry.
const MANY_POLICIES: usize = 1_000;

/// The page that takes as long as the registry does, which is being asked for a plan meanwhile: it has a row, and no part in the bar.
const ASKS_REGISTRY: &str = "/tag";

/// How many tags are left where something is deleted for the journal.
const KEPT: usize = 4;

/// Between two requests for a page: somebody who looks, and not somebody who attacks.
const BETWEEN_LOOKS: Duration = Duration::from_millis(10);

#[derive(Debug, Parser)]
#[command(name = "daemon")]
struct Arguments {
    /// How many repositories are planned while pages are asked for
    #[arg(long, default_value_t = 10_000)]
    repositories: usize,

    /// How many tags each of them has
    #[arg(long, default_value_t = 20)]
    tags: usize,

    /// For how many seconds an idle daemon is watched
    #[arg(long, default_value_t = 60)]
    idle: u64,

    /// How many repositories there are on each registry of those that are planned and deleted from beside each other; none:
    /// that is not measured. The sandbox holds 400
    #[arg(long, default_value_t = 250)]
    beside: u16,

    /// Be the sandbox
    #[arg(long, hide = true)]
    serve: bool,

    #[command(flatten)]
    served: Served,

    /// End with 1 where a bar is missed
    #[arg(long)]
    check: bool,

    /// Given by cargo
    #[arg(long, hide = true)]
    bench: bool,
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let corpus = CorpusOptions {
        repositories: arguments.repositories,
        tags: arguments.tags,
        ..CorpusOptions::default()
    };
    if arguments.serve {
        return registry::serve(corpus, arguments.served);
    }
    lagan_registry::install_crypto_provider();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let repositories = u16::try_from(arguments.repositories)?;
    let registry = Registry::sandbox(repositories, u16::try_from(arguments.tags)?, Served::default())?;
    let mut held = true;
    println!("## Idle for {} s\n", arguments.idle);
    println!("| policies | MB | CPU s | bytes written | reload, s |\n|---|---|---|---|---|");
    for policies in [1, MANY_POLICIES] {
        let idle = runtime.block_on(idle(&registry, policies, arguments.idle))?;
        println!(
            "| {policies} | {:.1} | {:.2} | {} | {:.2} |",
            idle.resident_mb,
            idle.cpu,
            idle.written,
            idle.reload.as_secs_f64()
        );
        held &= idle.written == 0 && (policies > 1 || idle.resident_mb < MEMORY_BAR);
    }
    for policies in [1, MANY_POLICIES] {
        println!(
            "\n## Pages while {} repositories x {} tags are planned, policies: {policies}\n",
            arguments.repositories, arguments.tags
        );
        held &= runtime.block_on(pages(&registry, policies))?;
    }
    if arguments.beside > 0 {
        println!(
            "\n## Registries beside each other, {} repositories x {} tags on each\n",
            arguments.beside, arguments.tags
        );
        runtime.block_on(beside::measure(arguments.beside, u16::try_from(arguments.tags)?))?;
    }
    ensure!(held || !arguments.check, "a bar was missed");
    Ok(())
}

/// A daemon that ends with its value.
struct Daemon {
    child: Child,
    address: SocketAddr,
    folder: tempfile::TempDir,
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // It may be gone already, and nothing of it is kept.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

impl Daemon {
    async fn start(registry: &Registry, policies: usize) -> Result<Self> {
        let client = Client::builder().no_proxy().tls_certs_only([]).build()?;
        let (repository, _) = untouched(&client, registry).await?;
        let folder = tempfile::tempdir()?;
        fs::write(folder.path().join("token"), TOKEN)?;
        write_configuration(folder.path(), registry, policies)?;
        // Something to see in the journal.
        let apply = format!(
            "apply --yes --state-dir state --registry {} --select tags=* --keep last={KEPT},by=version {repository}",
            registry.url()
        );
        let status = command(folder.path(), &apply).stderr(Stdio::null()).status()?;
        ensure!(status.success(), "the apply before ended with {status}");
        Self::begin(folder)
    }

    /// With the configuration in a folder.
    fn begin(folder: tempfile::TempDir) -> Result<Self> {
        let mut child = command(folder.path(), "daemon --listen 127.0.0.1:0")
            .env("LAGAN_LOG", "info")
            .stderr(Stdio::piped())
            .spawn()?;
        let mut log = BufReader::new(child.stderr.take().context("no pipe")?);
        let mut line = String::new();
        let address = loop {
            line.clear();
            ensure!(log.read_line(&mut line)? > 0, "the daemon ended");
            if let Some((_, address)) = line.split_once("the admin API is at http://") {
                break address.trim().parse()?;
            }
        };
        // Nobody reads it, and it must not wait for anybody.
        thread::spawn(move || log.read_to_end(&mut Vec::new()));
        Ok(Self {
            child,
            address,
            folder,
        })
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    async fn json(&self, client: &Client, path: &str) -> Result<Value> {
        let answer = client.get(self.url(path)).send().await?.error_for_status()?;
        Ok(answer.json().await?)
    }
}

/// A repository from which no daemon before deleted anything, and one of its tags.
async fn untouched(client: &Client, registry: &Registry) -> Result<(String, String)> {
    let catalog = client.get(format!("{}/v2/_catalog?n=10", registry.url()));
    let catalog: Value = catalog.send().await?.error_for_status()?.json().await?;
    for repository in catalog["repositories"].as_array().into_iter().flatten() {
        let repository = repository.as_str().context("a name is no text")?;
        let listed = client.get(format!("{}/v2/{repository}/tags/list", registry.url()));
        let listed: Value = listed.send().await?.error_for_status()?.json().await?;
        if let Some([tag, rest @ ..]) = listed["tags"].as_array().map(Vec::as_slice)
            && rest.len() >= KEPT
        {
            let tag = tag.as_str().context("a tag is no text")?;
            return Ok((repository.to_owned(), tag.to_owned()));
        }
    }
    bail!("something was deleted from every repository, or they have no more than {KEPT} tags")
}

fn command(folder: &Path, arguments: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_lagan"));
    command
        .args(arguments.split(' '))
        .env_clear()
        .env("HOME", folder)
        .current_dir(folder)
        .stdin(Stdio::null())
        .stdout(Stdio::null());
    command
}

fn write_configuration(folder: &Path, registry: &Registry, policies: usize) -> Result<()> {
    let mut text = format!(
        "state_dir: state\nadmin: {{tokens: {{bench: {{file: token, rights: [read, plan]}}}}}}\n\
         registries: {{r: {{url: '{}'}}}}\npolicies:\n",
        registry.url()
    );
    for number in 0..policies {
        // Each has something of its own to say; the first is the one that is planned.
        let repositories = match number {
            0 => "**".to_owned(),
            number => format!("team-{number}/**"),
        };
        write!(
            text,
            "  p{number}:\n    repositories: '{repositories}'\n    mode: {}\n    schedule: {{cron: '{} 3 1 1 *'}}\n    \
             rules: [{{select: {{channel: prerelease}}, keep: {{last: 10, by: version}}}}]\n",
            if number == 0 { "dry-run" } else { "enforce" },
            number % 60
        )?;
    }
    fs::write(folder.join("lagan.yaml"), text)?;
    Ok(())
}

struct Idle {
    resident_mb: f64,
    cpu: f64,
    written: u64,
    reload: Duration,
}

async fn idle(registry: &Registry, policies: usize, seconds: u64) -> Result<Idle> {
    let daemon = Daemon::start(registry, policies).await?;
    let pid = daemon.child.id();
    let client = Client::builder().no_proxy().tls_certs_only([]).build()?;
    let listed = daemon.json(&client, "/api/v1/policies").await?;
    ensure!(listed["policies"].as_array().map(Vec::len) == Some(policies));
    let (cpu, written) = (cpu_seconds(pid)?, bytes_written(pid)?);
    tokio::time::sleep(Duration::from_secs(seconds)).await;
    let cpu = cpu_seconds(pid)? - cpu;
    let written = bytes_written(pid)? - written;
    let resident_mb = kib(pid, "VmRSS")? / 1024.0;
    // It is noticed within a second; then it has to be read.
    let start = Instant::now();
    write_configuration(daemon.folder.path(), registry, policies + 1)?;
    loop {
        let listed = daemon.json(&client, "/api/v1/policies").await?;
        if listed["policies"].as_array().map(Vec::len) == Some(policies + 1) {
            break;
        }
        tokio::time::sleep(BETWEEN_LOOKS).await;
    }
    Ok(Idle {
        resident_mb,
        cpu,
        written,
        reload: start.elapsed(),
    })
}

/// Every page and what else is looked at often, by what it is called in the table.
async fn paths(daemon: &Daemon, client: &Client, registry: &Registry, run: &str) -> Result<Vec<Page>> {
    let journal = daemon.json(client, "/api/v1/journal").await?;
    let deleted = journal["runs"][0]["run"]
        .as_str()
        .context("the journal is empty")?;
    let (repository, tag) = untouched(client, registry).await?;
    let plain = [
        "/",
        "/runs",
        "/journal",
        "/api/v1/policies",
        "/api/v1/runs",
        "/healthz",
        "/readyz",
        "/metrics",
    ];
    let mut paths: Vec<Page> = plain.map(|path| (path, path.to_owned())).into();
    paths.extend([
        ("/runs/ID", format!("/runs/{run}")),
        ("/journal/RUN", format!("/journal/{deleted}")),
        (ASKS_REGISTRY, format!("/tag?registry=r&tag={repository}:{tag}")),
    ]);
    Ok(paths)
}

/// What a page is called, and where it is.
type Page = (&'static str, String);

/// Asks for one page after the other until the plan is made. Says whether the bar is held.
async fn pages(registry: &Registry, policies: usize) -> Result<bool> {
    let daemon = Daemon::start(registry, policies).await?;
    let client = Client::builder().no_proxy().tls_certs_only([]).build()?;
    let order = client
        .post(daemon.url("/api/v1/plan"))
        .bearer_auth(TOKEN)
        .json(&json!({"policies": ["p0"], "wait": false}));
    let start = Instant::now();
    let run = order.send().await?.error_for_status()?;
    let run = run
        .headers()
        .get("location")
        .context("the order has no place")?
        .to_str()?
        .to_owned();
    let id = run.rsplit('/').next().unwrap_or_default();
    let paths = paths(&daemon, &client, registry, id).await?;
    let mut took: BTreeMap<&str, Vec<Duration>> = BTreeMap::new();
    'planning: loop {
        for (name, path) in &paths {
            let asked = Instant::now();
            let answer = client.get(daemon.url(path)).send().await?.error_for_status()?;
            answer.bytes().await?;
            took.entry(name).or_default().push(asked.elapsed());
            tokio::time::sleep(BETWEEN_LOOKS).await;
        }
        let run = daemon.json(&client, &run).await?;
        if run["state"] == "ended" {
            ensure!(run["exit"] == 0, "the plan failed: {run}");
            break 'planning;
        }
    }
    println!(
        "planned in {:.1} s, as the bar has it while it lasts\n",
        start.elapsed().as_secs_f64()
    );
    println!("| page | answers | median ms | 99th percentile ms | slowest ms |\n|---|---|---|---|---|");
    let mut all = Vec::new();
    for (path, mut took) in took {
        print_row(path, &mut took);
        if path != ASKS_REGISTRY {
            all.append(&mut took);
        }
    }
    let percentile = print_row("all that ask no registry", &mut all);
    let held = percentile <= ANSWER_BAR;
    println!(
        "\n99 of 100 within {:.1} ms (bar: {}): {}",
        milliseconds(percentile),
        ANSWER_BAR.as_millis(),
        if held { "held" } else { "missed" }
    );
    let peak = kib(daemon.child.id(), "VmRSS")? / 1024.0;
    println!("the daemon then has {peak:.1} MB");
    Ok(held)
}

/// Prints a row, and hands back the 99th percentile.
fn print_row(what: &str, took: &mut [Duration]) -> Duration {
    took.sort_unstable();
    let at = |percent: usize| took[(took.len() * percent).div_ceil(100).max(1) - 1];
    println!(
        "| `{what}` | {} | {:.1} | {:.1} | {:.1} |",
        took.len(),
        milliseconds(at(50)),
        milliseconds(at(99)),
        milliseconds(at(100))
    );
    at(99)
}

fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

/// What a process has written so far, in bytes, to whatever can be written to (proc_pid_io(5)).
fn bytes_written(pid: u32) -> Result<u64> {
    let text = fs::read_to_string(format!("/proc/{pid}/io"))?;
    let line = text.lines().find_map(|line| line.strip_prefix("write_bytes:"));
    Ok(line
        .context("/proc/<pid>/io has no write_bytes")?
        .trim()
        .parse()?)
}

/// A size that `/proc/<pid>/status` has.
fn kib(pid: u32, name: &str) -> Result<f64> {
    let text = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    let line = line.with_context(|| format!("/proc/<pid>/status has no {name}"))?;
    let size = line.trim_start_matches(':').trim().trim_end_matches(" kB");
    Ok(size.parse()?)
}
