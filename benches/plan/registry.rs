//! The registry that is asked: another process on this machine, on loopback, filled with the corpus.

use std::fs::{self, File};
use std::io::{BufRead as _, BufReader};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use clap::ValueEnum;
use lagan_sandbox::{Corpus, CorpusOptions, Profile, Sandbox, SandboxOptions, push};
use tempfile::TempDir;

/// Debian's name for Distribution.
const DOCKER_REGISTRY: &str = "docker-registry";

/// What the registry complains of, in its folder.
const STDERR: &str = "stderr";

/// How many generated repositories the sandbox holds.
const MOST_TABLES: usize = 400;

const STARTS_WITHIN: Duration = Duration::from_secs(10);

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Kind {
    /// Debian's docker-registry, its storage in memory
    DockerRegistry,
    /// The sandbox, behaving as docker-registry 2.8: a fast registry, against which the client itself shows
    Sandbox,
}

/// A registry that ends with its value.
pub(crate) struct Registry {
    child: Child,
    url: String,
    folder: TempDir,
}

impl Drop for Registry {
    fn drop(&mut self) {
        // It may be gone already, and nothing of it is kept.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// What makes the sandbox slower, or stricter.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::Args)]
pub(crate) struct Served {
    /// Milliseconds before every answer of the sandbox
    #[arg(long, hide = true, default_value_t = 0)]
    pub(crate) latency_ms: u64,

    /// How many requests the sandbox answers at the same time; one more is 429
    #[arg(long, hide = true)]
    pub(crate) at_once: Option<usize>,
}

impl Registry {
    /// Starts the sandbox in a process of its own.
    pub(crate) fn sandbox(repositories: u16, tags: u16, served: Served) -> Result<Self> {
        sandbox(repositories.into(), tags.into(), served)
    }

    /// Starts the registry and fills it; says also what it holds then.
    pub(crate) fn start(kind: Kind, corpus: &Corpus) -> Result<(Self, String)> {
        match kind {
            Kind::DockerRegistry => {
                let registry = docker_registry()?;
                let start = Instant::now();
                let runtime = tokio::runtime::Builder::new_current_thread()
                    .enable_all()
                    .build()?;
                let pushed = runtime.block_on(push(corpus, &registry.url, None))?;
                let seconds = start.elapsed().as_secs_f64();
                let filled = format!("{} manifests, pushed in {seconds:.0} s", pushed.manifests);
                Ok((registry, filled))
            }
            Kind::Sandbox => Ok((
                sandbox(
                    corpus.options().repositories,
                    corpus.options().tags,
                    Served::default(),
                )?,
                "made on demand".to_owned(),
            )),
        }
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }
}

/// Name and version, for the head of a table.
pub(crate) fn version(kind: Kind) -> Result<String> {
    if kind == Kind::Sandbox {
        return Ok(concat!(
            "lagan-sandbox ",
            env!("CARGO_PKG_VERSION"),
            " as docker-registry 2.8"
        )
        .to_owned());
    }
    let output = Command::new(DOCKER_REGISTRY).arg("--version").output();
    let output = output.with_context(|| {
        format!("failed to start {DOCKER_REGISTRY}; install it (apt-get install {DOCKER_REGISTRY}), or give --registry sandbox")
    })?;
    Ok(format!(
        "{}, storage in memory",
        String::from_utf8_lossy(&output.stdout).trim()
    ))
}

fn docker_registry() -> Result<Registry> {
    let folder = tempfile::tempdir()?;
    // The port is free now; somebody else might take it before the registry does, which then shows as its end.
    let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port();
    let config = folder.path().join("config.yml");
    fs::write(
        &config,
        format!(
            "version: 0.1\nlog:\n  level: error\n  accesslog:\n    disabled: true\nstorage:\n  inmemory: {{}}\n  \
             delete:\n    enabled: true\n  \
             cache:\n    blobdescriptor: inmemory\nhttp:\n  addr: 127.0.0.1:{port}\n"
        ),
    )?;
    let child = Command::new(DOCKER_REGISTRY)
        .arg("serve")
        .arg(&config)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(File::create(folder.path().join(STDERR))?)
        .env_clear()
        .spawn()
        .with_context(|| format!("failed to start {DOCKER_REGISTRY}"))?;
    let mut registry = Registry {
        child,
        url: format!("http://127.0.0.1:{port}"),
        folder,
    };
    let start = Instant::now();
    while TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err() {
        if let Some(status) = registry.child.try_wait()? {
            let why = fs::read_to_string(registry.folder.path().join(STDERR))?;
            bail!("{DOCKER_REGISTRY} ended at once, {status}: {}", why.trim());
        }
        ensure!(
            start.elapsed() < STARTS_WITHIN,
            "{DOCKER_REGISTRY} does not answer on port {port}"
        );
        thread::sleep(Duration::from_millis(20));
    }
    Ok(registry)
}

/// This program again, as the sandbox: in one process with the bare client it would be measured with it.
fn sandbox(repositories: usize, tags: usize, served: Served) -> Result<Registry> {
    let mut command = Command::new(std::env::current_exe()?);
    command
        .arg("--serve")
        .args(["--repositories", &repositories.to_string()])
        .args(["--tags", &tags.to_string()])
        .args(["--latency-ms", &served.latency_ms.to_string()]);
    if let Some(at_once) = served.at_once {
        command.args(["--at-once", &at_once.to_string()]);
    }
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn()?;
    let stdout = child.stdout.take().context("no pipe")?;
    let mut registry = Registry {
        child,
        url: String::new(),
        folder: tempfile::tempdir()?,
    };
    BufReader::new(stdout).read_line(&mut registry.url)?;
    registry.url.truncate(registry.url.trim_end().len());
    ensure!(!registry.url.is_empty(), "the sandbox did not start");
    Ok(registry)
}

/// The sandbox's process: prints its URL and serves until it is killed.
pub(crate) fn serve(corpus: CorpusOptions, served: Served) -> Result<()> {
    let mut options = SandboxOptions::default().profile(Profile::Distribution28);
    // Repositories are asked about one after the other, so that more would only fill the memory.
    options.cached_tables = corpus.repositories.min(MOST_TABLES);
    options.latency = Duration::from_millis(served.latency_ms);
    options.at_once = served.at_once;
    options.corpus = corpus;
    options.log_capacity = 0;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let sandbox = Sandbox::start(options).await?;
        println!("{}", sandbox.url());
        std::future::pending::<()>().await;
        Ok(())
    })
}
