//! Runs a sandbox until it is interrupted, for clients in other processes:
//! `cargo run --release -p lagan-sandbox --example serve -- --repositories 10000 --tags 100`.
//! With `--harbor 2.15` it is a Harbor with its API (`admin`, `Harbor12345`), with `--population` one for benchmarks.
//! With `--push-to` it writes the same content to another registry instead.
#![expect(clippy::print_stdout, reason = "a command's output")]

use std::error::Error;
use std::time::Duration;

use clap::{Parser, ValueEnum};
use lagan_sandbox::harbor::Population;
use lagan_sandbox::{
    Auth, Bearer, Corpus, HarborOptions, HarborVersion, Media, Profile, Sandbox, SandboxOptions, User, push,
};

#[derive(Parser)]
struct Arguments {
    /// How many repositories
    #[arg(long, default_value_t = 20)]
    repositories: usize,
    /// How many tags each of them has
    #[arg(long, default_value_t = 50)]
    tags: usize,
    /// Equal seeds are equal digests
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// On 127.0.0.1; 0 is any free port
    #[arg(long, default_value_t = 0)]
    port: u16,
    /// Which registry to behave like
    #[arg(long, value_enum, default_value_t = Kind::Strict)]
    profile: Kind,
    /// Docker media types only, as in an older registry
    #[arg(long)]
    docker: bool,
    /// Added before every answer
    #[arg(long, default_value_t = 0)]
    latency_ms: u64,
    /// How many generated repositories stay in memory
    #[arg(long, default_value_t = 64)]
    cached_tables: usize,
    /// Ask for tokens; the user is `user`, the password `password`
    #[arg(long)]
    token: bool,
    /// Be a Harbor of this release, with its API
    #[arg(long, value_enum)]
    harbor: Option<Release>,
    /// Fill the Harbor with 10,000 artifacts in 100 repositories of four projects
    #[arg(long, requires = "harbor")]
    population: bool,
    /// Push to this registry (http://host:port) and end
    #[arg(long)]
    push_to: Option<String>,
}

#[derive(Clone, Copy, ValueEnum)]
enum Kind {
    Strict,
    Distribution28,
    Distribution3,
    Zot,
    Harbor,
    Ecr,
    ArtifactRegistry,
    Acr,
    Ghcr,
    GitLab,
    Quay,
    DockerHub,
}

#[derive(Clone, Copy, ValueEnum)]
enum Release {
    #[value(name = "2.8")]
    V2_8,
    #[value(name = "2.11")]
    V2_11,
    #[value(name = "2.15")]
    V2_15,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let arguments = Arguments::parse();
    let mut options = SandboxOptions::default()
        .profile(match arguments.profile {
            Kind::Strict => Profile::Strict,
            Kind::Distribution28 => Profile::Distribution28,
            Kind::Distribution3 => Profile::Distribution3,
            Kind::Zot => Profile::Zot,
            Kind::Harbor => Profile::Harbor,
            Kind::Ecr => Profile::Ecr,
            Kind::ArtifactRegistry => Profile::ArtifactRegistry,
            Kind::Acr => Profile::Acr,
            Kind::Ghcr => Profile::Ghcr,
            Kind::GitLab => Profile::GitLab,
            Kind::Quay => Profile::Quay,
            Kind::DockerHub => Profile::DockerHub,
        })
        .corpus(arguments.repositories, arguments.tags);
    options.corpus.seed = arguments.seed;
    if arguments.docker {
        options.corpus.media = Media::Docker;
    }
    if let Some(url) = arguments.push_to {
        let pushed = push(&Corpus::new(options.corpus), &url, None).await?;
        println!("{pushed:?}");
        return Ok(());
    }
    options.port = arguments.port;
    options.latency = Duration::from_millis(arguments.latency_ms);
    options.cached_tables = arguments.cached_tables;
    options.log_capacity = 0;
    if arguments.token {
        options.auth = Auth::Bearer(Bearer::new(vec![User::new("user", "password")]));
    }
    if let Some(release) = arguments.harbor {
        options = options.harbor(HarborOptions::default().version(match release {
            Release::V2_8 => HarborVersion::V2_8,
            Release::V2_11 => HarborVersion::V2_11,
            Release::V2_15 => HarborVersion::V2_15,
        }));
    }
    let sandbox = Sandbox::start(options).await?;
    if arguments.population {
        sandbox.harbor().populate(&Population::default());
    }
    println!("{}", sandbox.url());
    std::future::pending::<()>().await;
    Ok(())
}
