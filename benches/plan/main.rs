//! What a dry run costs: the real binary against a registry on this machine, next to a bare client that sends the
//! same requests and does nothing with the answers.
//!
//! `cargo bench -p lagan --bench plan -- --help` lists the options; `benches/README.md` says what is compared to
//! what.
#![expect(clippy::print_stdout, reason = "a table is what a benchmark is for")]

mod bars;
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

use std::process::ExitCode;
use std::time::Instant;

use anyhow::{Result, ensure};
use clap::Parser;
use lagan_sandbox::{Corpus, CorpusOptions};

use crate::bars::Bars;
use crate::jobs::{BY_VERSION, JOBS, Job};
use crate::registry::{Kind, Registry};
use crate::replay::{Replay, Request};
use crate::table::{Line, paired};

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
    #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u16).range(1..=10_000))]
    far_repositories: u16,

    /// The numbers of requests at a time that the measured number is compared with
    #[arg(long, value_delimiter = ',', default_value = "8,16,32,64,128")]
    windows: Vec<usize>,

    /// How many repositories of 100 tags are read to see how memory and processor time grow
    #[arg(long, value_delimiter = ',', default_value = "100,1000,10000")]
    growth: Vec<u16>,

    /// End with 1 where a bar is missed
    #[arg(long)]
    check: bool,

    #[command(flatten)]
    served: registry::Served,

    /// Given by cargo
    #[arg(long, hide = true)]
    bench: bool,

    /// Serve the corpus until killed: the sandbox in a process of its own
    #[arg(long, hide = true)]
    serve: bool,
}

fn main() -> Result<ExitCode> {
    let arguments = Arguments::parse();
    let corpus = CorpusOptions {
        repositories: arguments.repositories.into(),
        tags: arguments.tags.into(),
        ..CorpusOptions::default()
    };
    lagan_registry::install_crypto_provider();
    if arguments.serve {
        registry::serve(corpus, arguments.served)?;
        return Ok(ExitCode::SUCCESS);
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
    let start = Instant::now();
    machine::print(arguments.registry)?;
    println!(
        "runs      {} of each command, taking turns; medians, spread in brackets\n",
        arguments.runs
    );
    let mut bars = Bars::default();
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
            "corpus    {repositories} repositories x {} tags, mixed Docker and OCI: {filled}",
            arguments.tags
        );
        machine::print_load()?;
        for job in JOBS.iter().filter(|job| wanted(job.title)) {
            if job.repositories.min(arguments.repositories) == repositories {
                let lines = measure(job, &registry, arguments.runs)?;
                table::print(job, &lines, &mut bars);
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
            &mut bars,
        )?;
    }
    if wanted(refusing::TITLE) {
        refusing::print(
            arguments.far_repositories,
            arguments.tags,
            arguments.runs,
            &mut bars,
        )?;
    }
    if wanted(growth::TITLE) {
        growth::print(&arguments.growth, &mut bars)?;
    }
    if wanted(peers::TITLE) {
        peers::print(arguments.registry, to_bare, &mut bars)?;
    }
    bars.print();
    println!("the whole took {:.0} s", start.elapsed().as_secs_f64());
    let missed = arguments.check && bars.missed() > 0;
    Ok(ExitCode::from(u8::from(missed)))
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
    let mut sweep: Vec<(usize, f64)> = replay::CONNECTIONS.map(|count| (count, f64::MAX)).into();
    // There and back, so that no number of connections has the quieter time.
    for place in (0..sweep.len()).chain((0..sweep.len()).rev()) {
        let (connections, seconds) = &mut sweep[place];
        *seconds = seconds.min(replay.run(*connections, registry.pid())?.wall);
    }
    let best = sweep
        .iter()
        .min_by(|a, b| a.1.total_cmp(&b.1))
        .map_or(1, |(connections, _)| *connections);

    let (mut ours, mut bare): (Vec<Line>, Vec<Line>) = (Vec::new(), Vec::new());
    for run in 0..runs {
        // Who goes first alternates.
        if run % 2 == 1 {
            bare.push(replay.run(best, registry.pid())?);
        }
        let (report, line) = jobs::run(job, registry)?;
        ensure!(
            report.by_kind == recorded.report.by_kind,
            "two runs sent different requests: {:?} and {:?}",
            report.by_kind,
            recorded.report.by_kind
        );
        ours.push(line);
        if run % 2 == 0 {
            bare.push(replay.run(best, registry.pid())?);
        }
    }
    Ok(table::Lines {
        ratio: paired(&ours, &bare),
        report: recorded.report,
        ours,
        bare,
        sweep,
    })
}
