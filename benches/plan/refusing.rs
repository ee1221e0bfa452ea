//! A registry that refuses more than a few requests at a time: nothing may fail, and finding the limit must not cost
//! more than knowing it.

use std::cell::Cell;

use anyhow::Result;

use crate::far::several;
use crate::jobs::{self, by_version};
use crate::registry::{Registry, Served};
use crate::table::{Line, figures, median, verdict};

pub(crate) const TITLE: &str = "429 above 8 at a time";

const AT_ONCE: usize = 8;
const LATENCY_MS: u64 = 5;

/// How much longer than the client that knows the limit the one that measures may take.
const BAR: f64 = 1.05;

pub(crate) fn print(repositories: u16, tags: u16, runs: u8) -> Result<()> {
    let job = by_version()?;
    let served = Served {
        latency_ms: LATENCY_MS,
        at_once: Some(AT_ONCE),
    };
    let registry = Registry::sandbox(repositories, tags, served)?;
    println!("## {TITLE}: `{}`\n", job.policy());
    println!(
        "{repositories} repositories x {tags} tags on the sandbox in another process, {LATENCY_MS} ms before each answer, 429 to \
         the ninth request under way\n"
    );
    println!(
        "| requests at a time | requests, repeated ones too | wall s | CPU s | MB |\n|---|---|---|---|---|"
    );
    // A run with a repository that could not be read is an error of the benchmark.
    let row = |title: &str, arguments: &[&str]| -> Result<Vec<Line>> {
        let sent = Cell::new(0);
        let lines = several(runs, || {
            let (report, line) = jobs::run_with(job, &registry, arguments)?;
            sent.set(report.by_kind.values().sum::<u64>());
            Ok((report, line))
        })?;
        println!("| {title} | {} | {} |", sent.get(), figures(&lines));
        Ok(lines)
    };
    let fixed = row("fixed at 8", &["--fixed-concurrency", &AT_ONCE.to_string()])?;
    let measured = row("measured", &[])?;
    let ratio = median(measured.iter().map(|line| line.wall)) / median(fixed.iter().map(|line| line.wall));
    println!(
        "\nno repository failed; **{ratio:.2}** of the time of the client that knows the limit (bar {BAR}): {}\n",
        verdict(ratio, BAR)
    );
    Ok(())
}
