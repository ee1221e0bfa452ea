//! The bare client: the requests of a run sent again, the answers read to their end and dropped.
//!
//! It is what the same HTTP library needs at the least, at the number of connections that suits the registry best.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use anyhow::{Context as _, Result, ensure};
use lagan_model::MediaType;
use reqwest::header::{ACCEPT, HeaderValue};
use reqwest::{Client, Url};
use tokio::runtime::Runtime;
use tokio::task::JoinSet;

use crate::process;
use crate::table::Line;

/// How many requests are under way at once, each on a connection of its own.
pub(crate) const CONNECTIONS: [usize; 5] = [4, 8, 16, 32, 64];

/// A request of a run.
pub(crate) struct Request {
    kind: String,
    path: String,
    /// What it was answered by: 404 where there is no referrers API, which a run learns by one request.
    status: u16,
}

/// The requests of a run, from its log, in the order in which they were answered.
pub(crate) fn requests(log: &str) -> Result<Vec<Request>> {
    let answered = log
        .lines()
        .filter(|line| line.contains(" answered ") || line.ends_with(" answered"));
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
        let status = field("status").and_then(|status| status.parse().ok());
        let request = field("kind").zip(field("path")).zip(status);
        let request = request.map(|((kind, path), status)| Request { kind, path, status });
        request.with_context(|| format!("no request is read from the log's line {line:?}"))
    };
    answered.map(request).collect()
}

pub(crate) fn by_kind(requests: &[Request]) -> BTreeMap<String, u64> {
    let mut counts = BTreeMap::new();
    for request in requests {
        *counts.entry(request.kind.clone()).or_default() += 1;
    }
    counts
}

struct Prepared {
    url: Url,
    accept: HeaderValue,
    status: u16,
}

/// Requests that can be sent any number of times.
pub(crate) struct Replay {
    prepared: Arc<Vec<Prepared>>,
    runtime: Runtime,
}

impl Replay {
    pub(crate) fn new(registry: &str, requests: Vec<Request>) -> Result<Self> {
        let manifests: Vec<String> = MediaType::MANIFESTS
            .iter()
            .map(|known| known.as_str().to_owned())
            .collect();
        let manifests = HeaderValue::from_str(&manifests.join(", "))?;
        let prepare = |request: Request| {
            let (query, accept) = match request.kind.as_str() {
                "catalog" | "tags" => ("?n=1000", HeaderValue::from_static("application/json")),
                "manifest" => ("", manifests.clone()),
                _ => ("", HeaderValue::from_static("*/*")),
            };
            Ok(Prepared {
                url: Url::parse(&format!("{registry}{}{query}", request.path))?,
                accept,
                status: request.status,
            })
        };
        let prepared: Result<Vec<_>> = requests.into_iter().map(prepare).collect();
        Ok(Self {
            prepared: Arc::new(prepared?),
            // One thread, as the binary has: two would share the cores with the registry.
            runtime: tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()?,
        })
    }

    /// Sends them all from a client that is new each time.
    pub(crate) fn run(&self, connections: usize, registry: u32) -> Result<Line> {
        let (cpu, registry_cpu) = (
            process::cpu_seconds(std::process::id())?,
            process::cpu_seconds(registry)?,
        );
        let start = Instant::now();
        self.runtime.block_on(self.send(connections))?;
        let wall = start.elapsed().as_secs_f64();
        Ok(Line {
            connections,
            wall,
            cpu: process::cpu_seconds(std::process::id())? - cpu,
            registry_cpu: process::cpu_seconds(registry)? - registry_cpu,
            resident_mb: None,
        })
    }

    async fn send(&self, connections: usize) -> Result<()> {
        // Certificates are read when a client is made, which nobody asks of a bare one.
        let client = Client::builder()
            .no_proxy()
            .tls_certs_only([])
            .pool_max_idle_per_host(connections)
            .build()?;
        let next = Arc::new(AtomicUsize::new(0));
        let mut workers = JoinSet::new();
        for _ in 0..connections {
            let (client, prepared, next) = (client.clone(), Arc::clone(&self.prepared), Arc::clone(&next));
            workers.spawn(async move {
                while let Some(sent) = prepared.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let answer = client
                        .get(sent.url.clone())
                        .header(ACCEPT, &sent.accept)
                        .send()
                        .await?;
                    let status = answer.status();
                    ensure!(status == sent.status, "{} was answered by {status}", sent.url);
                    answer.bytes().await?;
                }
                anyhow::Ok(())
            });
        }
        while let Some(worker) = workers.join_next().await {
            worker??;
        }
        Ok(())
    }
}
