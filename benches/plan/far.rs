//! A registry far away: how close the measured number of requests at a time comes to the best fixed one.

use std::fs;

use anyhow::{Context as _, Result};

use crate::jobs::{self, by_version};
use crate::registry::{Registry, Served};
use crate::table::{Line, figures, median, verdict};

pub(crate) const TITLE: &str = "20 ms away";

const LATENCY_MS: u64 = 20;

/// How much longer than the best fixed number the measured one may take.
const BAR: f64 = 1.2;

/// The number of requests at a time that the client admits unless it is told otherwise, and one that it is told.
const BOUNDS: [usize; 2] = [64, 128];

pub(crate) fn print(repositories: u16, tags: u16, runs: u8, windows: &[usize]) -> Result<()> {
    let job = by_version()?;
    let served = Served {
        latency_ms: LATENCY_MS,
        at_once: None,
    };
    let registry = Registry::sandbox(repositories, tags, served)?;
    println!("## {TITLE}: `{}`\n", job.policy());
    println!(
        "{repositories} repositories x {tags} tags on the sandbox in another process, {LATENCY_MS} ms before each answer\n"
    );
    println!("| requests at a time | wall s | CPU s | MB |\n|---|---|---|---|");
    let wall = |lines: &[Line]| median(lines.iter().map(|line| line.wall));
    let mut fixed: Vec<(usize, f64)> = Vec::new();
    for window in windows {
        // The slow ones are slow in every run.
        let runs = if *window < 16 { 1 } else { runs };
        let lines = several(runs, || {
            jobs::run_with(job, &registry, &["--fixed-concurrency", &window.to_string()])
        })?;
        println!("| fixed at {window} | {} |", figures(&lines));
        fixed.push((*window, wall(&lines)));
    }
    let folder = tempfile::tempdir()?;
    let mut verdicts = Vec::new();
    for bound in BOUNDS {
        let config = folder.path().join(format!("{bound}.yaml"));
        let text = format!(
            "registries:\n  far:\n    url: {}\n    max_concurrency: {bound}\n",
            registry.url()
        );
        fs::write(&config, text)?;
        let config = config
            .to_str()
            .context("a temporary folder without a readable name")?;
        let lines = several(runs, || jobs::run_with(job, &registry, &["--config", config]))?;
        println!("| measured, at most {bound} | {} |", figures(&lines));
        let best = fixed.iter().filter(|(window, _)| *window <= bound);
        if let Some((window, seconds)) = best.min_by(|a, b| a.1.total_cmp(&b.1)) {
            let ratio = wall(&lines) / seconds;
            verdicts.push(format!(
                "at most {bound}: **{ratio:.2}** of the best fixed one, {window} (bar {BAR}): {}",
                verdict(ratio, BAR)
            ));
        }
    }
    println!("\n{}\n", verdicts.join("\n"));
    Ok(())
}

pub(crate) fn several(runs: u8, run: impl Fn() -> Result<(jobs::Report, Line)>) -> Result<Vec<Line>> {
    (0..runs).map(|_| run().map(|(_, line)| line)).collect()
}
