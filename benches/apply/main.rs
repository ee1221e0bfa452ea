//! What an apply costs: the real binary against docker-registry on this machine, next to a bare client that sends the
//! same requests, and keeps no journal.
//!
//! The bare client is given every advantage: it knows all requests beforehand, waits for none because of another but
//! where a deletion has to come between two looks, and looks at no answer but its status. `benches/README.md` says what
//! is compared.
#![expect(clippy::print_stdout, reason = "a table is what a benchmark is for")]

#[expect(dead_code, reason = "it measures plans as well")]
#[path = "../plan/process.rs"]
mod process;
#[expect(dead_code, reason = "it serves other benchmarks as well")]
#[path = "../plan/registry.rs"]
mod registry;

use std::process::{Command, Output, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use anyhow::{Context as _, Result, ensure};
use clap::Parser;
use lagan_model::MediaType;
use lagan_sandbox::{Corpus, CorpusOptions, push};
use reqwest::header::ACCEPT;
use reqwest::{Client, Method};
use serde_json::Value;
use tokio::task::JoinSet;

use crate::registry::{Kind, Registry};

/// Most of everything goes: indexes with their children, what is signed and what is attached.
const POLICY: [&str; 6] = [
    "--select",
    "tags=*",
    "--keep",
    "last=4,by=version",
    "--override-limit",
    "max_deletions=off",
];

#[derive(Debug, Parser)]
#[command(name = "apply")]
struct Arguments {
    /// How many repositories the registry is filled with
    #[arg(long, default_value_t = 20)]
    repositories: usize,

    /// How many tags each of them has
    #[arg(long, default_value_t = 100)]
    tags: usize,

    /// How often each is run; medians are compared
    #[arg(long, default_value_t = 3)]
    runs: usize,

    /// Numbers of connections of the bare client, of which the fastest counts
    #[arg(long, value_delimiter = ',', default_value = "4,8,16,32")]
    connections: Vec<usize>,

    /// Given by cargo
    #[arg(long, hide = true)]
    bench: bool,
}

/// A request of a run, as its log has it.
#[derive(Debug, Clone)]
struct Request {
    kind: String,
    path: String,
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    ensure!(
        arguments.runs > 0 && !arguments.connections.is_empty(),
        "nothing is to be run"
    );
    lagan_registry::install_crypto_provider();
    let corpus = Corpus::new(CorpusOptions {
        repositories: arguments.repositories,
        tags: arguments.tags,
        ..CorpusOptions::default()
    });
    let (registry, filled) = Registry::start(Kind::DockerRegistry, &corpus)?;
    println!("registry  {}", registry::version(Kind::DockerRegistry)?);
    println!(
        "corpus    {} repositories x {} tags: {filled}",
        arguments.repositories, arguments.tags
    );
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;

    // Once with a log, to know the requests.
    let logged = apply(&registry, true)?;
    let stages = stages(&requests(std::str::from_utf8(&logged.stderr)?)?);
    let report: Value = serde_json::from_slice(&logged.stdout)?;
    let sent: usize = stages.iter().map(Vec::len).sum();
    ensure!(
        report["requests"]["total"] == sent,
        "the log has {sent} requests, and the report {}",
        report["requests"]["total"]
    );
    println!(
        "deleted   {} manifests by {sent} requests: {}\n",
        report["totals"]["outcomes"]["deleted"], report["requests"]["by_kind"]
    );
    let fill_again = || runtime.block_on(push(&corpus, registry.url(), None));

    let mut of_lagan = Series::default();
    let mut of_bare: Vec<Series> = arguments.connections.iter().map(|_| Series::default()).collect();
    for _ in 0..arguments.runs {
        fill_again()?;
        let run = of_lagan.time(&registry, || apply(&registry, false))?;
        let report: Value = serde_json::from_slice(&run.stdout)?;
        ensure!(
            report["requests"]["total"] == sent,
            "this run sent other requests"
        );
        for (connections, series) in arguments.connections.iter().zip(&mut of_bare) {
            fill_again()?;
            series.time(&registry, || {
                runtime.block_on(bare(registry.url(), &stages, *connections))
            })?;
        }
    }
    println!("| client | wall s | CPU s | registry CPU s |\n|---|---|---|---|");
    let lagan = of_lagan.row("lagan apply");
    let of_bare = of_bare.iter_mut().zip(&arguments.connections);
    let bare = of_bare
        .map(|(series, connections)| series.row(&format!("bare, {connections} connections")))
        .min_by(f64::total_cmp)
        .context("nothing was run")?;
    let ratio = lagan / bare;
    println!(
        "\nlagan / bare: {ratio:.2} (bar: 1.15, {})",
        if ratio <= 1.15 { "held" } else { "missed" }
    );
    Ok(())
}

/// The real binary, with a state directory of its own on a real file system.
fn apply(registry: &Registry, logged: bool) -> Result<Output> {
    let folder = tempfile::tempdir()?;
    let mut command = Command::new(env!("CARGO_BIN_EXE_lagan"));
    command
        .args(["apply", "--yes", "--format", "json", "--registry", registry.url()])
        .args(POLICY)
        .arg("--state-dir")
        .arg(folder.path().join("state"))
        .env_clear()
        .env("HOME", folder.path())
        .current_dir(folder.path());
    if logged {
        command
            .env("LAGAN_LOG", "lagan_registry=debug")
            .env("RUST_LOG", "lagan_registry=debug");
    }
    let run = command.stdin(Stdio::null()).output()?;
    ensure!(
        run.status.success(),
        "it ended with {}: {}",
        run.status,
        String::from_utf8_lossy(&run.stderr)
    );
    Ok(run)
}

/// The requests of a run, in the order in which they were answered.
fn requests(log: &str) -> Result<Vec<Request>> {
    let answered = log.lines().filter(|line| line.contains(" answered"));
    let request = |line: &str| {
        let field = |name: &str| {
            let (_, value) = line.split_once(&format!(" {name}="))?;
            Some(
                value
                    .split_ascii_whitespace()
                    .next()?
                    .trim_matches('"')
                    .to_owned(),
            )
        };
        let request = field("kind").zip(field("path"));
        request
            .map(|(kind, path)| Request { kind, path })
            .with_context(|| format!("no request is read from the log's line {line:?}"))
    };
    answered.map(request).collect()
}

/// What has to be over before something else may begin: reading, looking, deleting, looking again, reading again.
fn stages(requests: &[Request]) -> Vec<Vec<Request>> {
    let first = requests
        .iter()
        .position(|request| request.kind == "head")
        .unwrap_or(requests.len());
    let last = requests
        .iter()
        .rposition(|request| request.kind == "head")
        .unwrap_or(first);
    let mut stages = vec![Vec::new(); 5];
    for (position, request) in requests.iter().enumerate() {
        let stage = match request.kind.as_str() {
            "delete" => 2,
            "head" if request.path.contains("/manifests/sha256:") => 3,
            "head" => 1,
            _ if position < first => 0,
            _ if position > last => 4,
            // Repositories overlap; reading one while another is deleted from costs the same.
            _ => 0,
        };
        stages[stage].push(request.clone());
    }
    stages
}

async fn bare(url: &str, stages: &[Vec<Request>], connections: usize) -> Result<()> {
    let client = Client::builder()
        .no_proxy()
        .tls_certs_only([])
        .pool_max_idle_per_host(connections)
        .build()?;
    let accept: Vec<_> = MediaType::MANIFESTS
        .iter()
        .map(|known| known.as_str().to_owned())
        .collect();
    let accept: Arc<str> = accept.join(", ").into();
    for stage in stages {
        let stage = Arc::new(stage.clone());
        let next = Arc::new(AtomicUsize::new(0));
        let mut workers = JoinSet::new();
        for _ in 0..connections {
            let (client, stage, next) = (client.clone(), Arc::clone(&stage), Arc::clone(&next));
            let (url, accept) = (url.to_owned(), Arc::clone(&accept));
            workers.spawn(async move {
                while let Some(request) = stage.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let method = match request.kind.as_str() {
                        "head" => Method::HEAD,
                        "delete" => Method::DELETE,
                        _ => Method::GET,
                    };
                    let sent = client.request(method, format!("{url}{}", request.path));
                    let answer = sent.header(ACCEPT, &*accept).send().await?;
                    let status = answer.status();
                    if request.kind == "delete" {
                        ensure!(status == 202, "{} was answered by {status}", request.path);
                    }
                    answer.bytes().await?;
                }
                anyhow::Ok(())
            });
        }
        while let Some(worker) = workers.join_next().await {
            worker??;
        }
    }
    Ok(())
}

/// The runs of a client: wall and processor time, and that of the registry meanwhile, in seconds.
#[derive(Debug, Default)]
struct Series {
    walls: Vec<f64>,
    cpu: Vec<f64>,
    registry: Vec<f64>,
}

impl Series {
    /// Times a run, in this process or in one that it waits for. Nothing is looked at meanwhile: a look every few
    /// milliseconds would be work for the cores that the run and the registry share.
    fn time<T>(&mut self, registry: &Registry, run: impl FnOnce() -> Result<T>) -> Result<T> {
        let own = || process::cpu_seconds(std::process::id());
        let (cpu, of_registry) = (own()?, process::cpu_seconds(registry.pid())?);
        let start = Instant::now();
        let result = run()?;
        self.walls.push(start.elapsed().as_secs_f64());
        self.cpu.push(own()? - cpu);
        self.registry
            .push(process::cpu_seconds(registry.pid())? - of_registry);
        Ok(result)
    }

    /// Prints the medians with the fastest and the slowest run; tells that of the wall times.
    fn row(&mut self, client: &str) -> f64 {
        let wall = median(&mut self.walls);
        let (least, most) = (self.walls[0], self.walls[self.walls.len() - 1]);
        let (cpu, registry) = (median(&mut self.cpu), median(&mut self.registry));
        println!("| {client} | {wall:.2} ({least:.2} to {most:.2}) | {cpu:.2} | {registry:.2} |");
        wall
    }
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    values[values.len() / 2]
}
