//! A registry that refuses more than a few requests at a time: nothing may fail, and finding the limit must not cost
//! more than knowing it.

use anyhow::Result;

use crate::bars::Bars;
use crate::jobs::{self, by_version};
use crate::machine;
use crate::registry::{Registry, Served};
use crate::table::{figures, paired};

pub(crate) const TITLE: &str = "429 above 8 at a time";

const AT_ONCE: usize = 8;
const LATENCY_MS: u64 = 5;

/// How much longer than the client that knows the limit the one that measures may take.
const BAR: f64 = 1.05;

pub(crate) fn print(repositories: u16, tags: u16, runs: u8, bars: &mut Bars) -> Result<()> {
    let job = by_version()?;
    let served = Served {
        latency_ms: LATENCY_MS,
        at_once: Some(AT_ONCE),
    };
    let registry = Registry::sandbox(repositories, tags, served)?;
    println!("## {TITLE}: `{}`\n", job.policy());
    println!(
        "{repositories} repositories x {tags} tags on the sandbox in another process, {LATENCY_MS} ms before each answer, 429 to \
         the ninth request under way"
    );
    machine::print_load()?;
    let at_once = AT_ONCE.to_string();
    let knowing: &[&str] = &["--fixed-concurrency", &at_once];
    let mut clients = [
        ("fixed at 8", knowing, 0, Vec::new()),
        ("measured", &[], 0, Vec::new()),
    ];
    for _ in 0..runs {
        for (_, arguments, sent, lines) in &mut clients {
            // A run with a repository that could not be read is an error of the benchmark.
            let (report, line) = jobs::run_with(job, &registry, arguments)?;
            *sent = report.by_kind.values().sum::<u64>();
            lines.push(line);
        }
        // Who goes first alternates.
        clients.reverse();
    }
    clients.sort_by_key(|(title, ..)| *title);
    println!(
        "| requests at a time | requests, repeated ones too | wall s | CPU s | MB |\n|---|---|---|---|---|"
    );
    for (title, _, sent, lines) in &clients {
        println!("| {title} | {sent} | {} |", figures(lines));
    }
    let [(.., fixed), (.., measured)] = &clients;
    let ratio = paired(measured, fixed);
    let said = bars.at_most(
        format!("{TITLE}: time over that of the client that knows the limit"),
        ratio,
        BAR,
        "",
    );
    println!(
        "\nno repository failed; **{ratio:.2}** of the time of the client that knows the limit (bar {BAR}): {said}\n"
    );
    Ok(())
}
