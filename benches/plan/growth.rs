//! How memory and processor time grow with the registry.

use anyhow::{Context as _, Result};

use crate::bars::Bars;
use crate::jobs::{self, by_version};
use crate::machine;
use crate::registry::{Registry, Served};
use crate::table::to_float;

pub(crate) const TITLE: &str = "a million tags";

const TAGS: u16 = 100;

/// Megabytes.
const MEMORY_BAR: f64 = 300.0;

/// How much more processor time a tag may cost in the largest registry than in the smallest.
const LINEAR_WITHIN: f64 = 1.2;

pub(crate) fn print(repositories: &[u16], bars: &mut Bars) -> Result<()> {
    let job = by_version()?;
    println!("## {TITLE}: `{}`\n", job.policy());
    println!("{TAGS} tags a repository on the sandbox in another process, one run each");
    machine::print_load()?;
    println!(
        "| repositories | tags | requests | wall s | CPU s | CPU, microseconds a tag | MB | sandbox CPU s |\n|---|---|---|---|---|---|---|---|"
    );
    let mut measured = Vec::new();
    for count in repositories {
        let registry = Registry::sandbox(*count, TAGS, Served::default())?;
        let (report, line) = jobs::run(job, &registry)?;
        let a_tag = line.cpu / to_float(report.tags);
        let megabytes = line.resident_mb.context("memory was not measured")?;
        println!(
            "| {count} | {} | {} | {:.2} | {:.2} | {:.1} | {megabytes:.1} | {:.2} |",
            report.tags,
            report.by_kind.values().sum::<u64>(),
            line.wall,
            line.cpu,
            a_tag * 1e6,
            line.registry_cpu,
        );
        measured.push((a_tag, megabytes));
    }
    let (Some((first, _)), Some((last, megabytes))) = (measured.first(), measured.last()) else {
        return Ok(());
    };
    let growth = last / first;
    let memory = bars.at_most(
        format!("{TITLE}: memory of the largest"),
        *megabytes,
        MEMORY_BAR,
        " MB",
    );
    let linear = bars.at_most(
        format!("{TITLE}: processor time a tag, the largest to the smallest"),
        growth,
        LINEAR_WITHIN,
        "",
    );
    println!(
        "\nmemory of the largest: {megabytes:.1} MB (bar {MEMORY_BAR:.0}): {memory}; processor time a tag, the largest to the \
         smallest: {growth:.2} (linear within {LINEAR_WITHIN}): {linear}\n"
    );
    Ok(())
}
