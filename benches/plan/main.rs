//! What a dry run costs: the real binary against a registry on this machine, next to a bare client that sends the
//! same requests and does nothing with the answers.
//!
//! `cargo bench -p lagan --bench plan -- --help` lists the options; `benches/README.md` says what is compared to
//! what.
#![expect(clippy::print_stdout, reason = "a table is what a benchmark is for")]

mod far;
mod growth;
mod jobs;
mod machine;
mod peers;
mod process;
mod refusing;
mod registry;
mod replay;
mod table;

use anyhow::{Result, ensure};
use clap::Parser;
use lagan_sandbox::{Corpus, CorpusOptions};

use crate::jobs::{BY_VERSION, JOBS, Job};
use crate::registry::{Kind, Registry};
use crate::replay::{Replay, Request};
use crate::table::{Line, median};

#[derive(Debug, Parser)]
#[command(name = "plan")]
struct Arguments {
    /// How many repositories the registry is filled with
    #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u16).range(1..=10_000))]
    repositories: u16,

    /// How many tags each of them has
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u16).range(1..=5_000))]
    tags: u16,

    /// How often each command is run; medians are printed
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u8).range(1..=50))]
    runs: u8,

    /// What is asked
    #[arg(long, value_enum, default_value_t = Kind::DockerRegistry)]
    registry: Kind,

    /// Only jobs and parts whose title contains this
    #[arg(long, value_name = "TEXT", default_value = "")]
    only: String,

    /// How many repositories are read over added latency, and of a registry that refuses
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u16).range(1..=10_000))]
    far_repositories: u16,

    /// The numbers of requests at a time that the measured number is compared with
    #[arg(long, value_delimiter = ',', default_value = "2,4,8,16,32,64,128")]
    windows: Vec<usize>,

    /// How many repositories of 100 tags are read to see how memory and processor time grow
    #[arg(long, value_delimiter = ',', default_value = "100,1000,10000")]
    growth: Vec<u16>,

    #[command(flatten)]
    served: registry::Served,

    /// Given by cargo
    #[arg(long, hide = true)]
    bench: bool,

    /// Serve the corpus until killed: the sandbox in a process of its own
    #[arg(long, hide = true)]
    serve: bool,
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let corpus = CorpusOptions {
        repositories: arguments.repositories.into(),
        tags: arguments.tags.into(),
        ..CorpusOptions::default()
    };
    lagan_registry::install_crypto_provider();
    if arguments.serve {
        return registry::serve(corpus, arguments.served);
    }
    let wanted = |title: &str| title.contains(&arguments.only);
    let parts = [far::TITLE, refusing::TITLE, growth::TITLE, peers::TITLE];
    ensure!(
        JOBS.iter().any(|job| wanted(job.title)) || parts.into_iter().any(wanted),
        "no title contains {:?}: {}",
        arguments.only,
        JOBS.iter()
            .map(|job| job.title)
            .chain(parts)
            .collect::<Vec<_>>()
            .join(", ")
    );
    machine::print(arguments.registry)?;
    println!(
        "runs      {} of each command; medians, spread in brackets\n",
        arguments.runs
    );
    let mut to_bare = None;
    // Those of equal size share a registry.
    let mut sizes: Vec<u16> = JOBS
        .iter()
        .filter(|job| wanted(job.title))
        .map(|job| job.repositories.min(arguments.repositories))
        .collect();
    sizes.sort_unstable_by(|a, b| b.cmp(a));
    sizes.dedup();
    for repositories in sizes {
        let corpus = Corpus::new(CorpusOptions {
            repositories: repositories.into(),
            ..corpus.clone()
        });
        let (registry, filled) = Registry::start(arguments.registry, &corpus)?;
        println!(
            "corpus    {repositories} repositories x {} tags, mixed Docker and OCI: {filled}\n",
            arguments.tags
        );
        for job in JOBS.iter().filter(|job| wanted(job.title)) {
            if job.repositories.min(arguments.repositories) == repositories {
                let lines = measure(job, &registry, arguments.runs)?;
                table::print(job, &lines);
                if job.title == BY_VERSION {
                    to_bare = Some(lines.ratio);
                }
            }
        }
    }
    if wanted(far::TITLE) {
        far::print(
            arguments.far_repositories,
            arguments.tags,
            arguments.runs,
            &arguments.windows,
        )?;
    }
    if wanted(refusing::TITLE) {
        refusing::print(arguments.far_repositories, arguments.tags, arguments.runs)?;
    }
    if wanted(growth::TITLE) {
        growth::print(&arguments.growth)?;
    }
    if wanted(peers::TITLE) {
        peers::print(arguments.registry, to_bare)?;
    }
    Ok(())
}

/// One job: its requests are recorded once, then the binary and the bare client take turns, so that whatever else
/// the machine does meets both.
fn measure(job: &Job, registry: &Registry, runs: u8) -> Result<table::Lines> {
    let recorded = jobs::record(job, registry.url())?;
    let requests: Vec<Request> = replay::requests(&recorded.log)?;
    let (counted, logged) = (&recorded.report.by_kind, replay::by_kind(&requests));
    ensure!(
        counted == &logged,
        "the run counted {counted:?} requests, its log has {logged:?}"
    );

    let replay = Replay::new(registry.url(), requests)?;
    let mut sweep = Vec::new();
    for connections in replay::CONNECTIONS {
        sweep.push(replay.run(connections, registry.pid())?);
    }
    let best = sweep
        .iter()
        .min_by(|a, b| a.wall.total_cmp(&b.wall))
        .map_or(1, |line| line.connections);

    let (mut ours, mut bare) = (Vec::new(), Vec::new());
    for _ in 0..runs {
        let (report, line) = jobs::run(job, registry)?;
        ensure!(
            report.by_kind == recorded.report.by_kind,
            "two runs sent different requests: {:?} and {:?}",
            report.by_kind,
            recorded.report.by_kind
        );
        ours.push(line);
        bare.push(replay.run(best, registry.pid())?);
    }
    let wall = |lines: &[Line]| median(lines.iter().map(|line| line.wall));
    Ok(table::Lines {
        ratio: wall(&ours) / wall(&bare),
        report: recorded.report,
        ours,
        bare,
        sweep,
    })
}
