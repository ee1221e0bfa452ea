//! A registry far away: how close the measured number of requests at a time comes to the best fixed one.

use std::fs;

use anyhow::{Context as _, Result};

use crate::bars::Bars;
use crate::jobs::{self, by_version};
use crate::machine;
use crate::registry::{Registry, Served};
use crate::table::{Line, figures, median, paired};

pub(crate) const TITLE: &str = "20 ms away";

const LATENCY_MS: u64 = 20;

/// How much longer than the best fixed number the measured one may take.
const BAR: f64 = 1.2;

/// The number of requests at a time that the client admits unless it is told otherwise, and one that it is told.
const BOUNDS: [usize; 2] = [64, 128];

/// Fewer at a time than this are slow in every run: one is enough.
const REPEATED_FROM: usize = 32;

pub(crate) fn print(
    repositories: u16,
    tags: u16,
    runs: u8,
    windows: &[usize],
    bars: &mut Bars,
) -> Result<()> {
    let job = by_version()?;
    let served = Served {
        latency_ms: LATENCY_MS,
        at_once: None,
    };
    let registry = Registry::sandbox(repositories, tags, served)?;
    println!("## {TITLE}: `{}`\n", job.policy());
    println!(
        "{repositories} repositories x {tags} tags on the sandbox in another process, {LATENCY_MS} ms before each answer"
    );
    machine::print_load()?;
    let folder = tempfile::tempdir()?;
    let mut settings = Vec::new();
    for window in windows {
        settings.push(Setting {
            title: format!("fixed at {window}"),
            fixed: Some(*window),
            bound: *window,
            arguments: vec!["--fixed-concurrency".to_owned(), window.to_string()],
            lines: Vec::new(),
        });
    }
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
        settings.push(Setting {
            title: format!("measured, at most {bound}"),
            fixed: None,
            bound,
            arguments: vec!["--config".to_owned(), config.to_owned()],
            lines: Vec::new(),
        });
    }
    for run in 0..runs {
        for setting in &mut settings {
            if run == 0 || setting.bound >= REPEATED_FROM {
                let arguments: Vec<&str> = setting.arguments.iter().map(String::as_str).collect();
                let (_, line) = jobs::run_with(job, &registry, &arguments)?;
                setting.lines.push(line);
            }
        }
    }
    println!("| requests at a time | wall s | CPU s | MB |\n|---|---|---|---|");
    for setting in &settings {
        println!("| {} | {} |", setting.title, figures(&setting.lines));
    }
    println!();
    for measured in settings.iter().filter(|setting| setting.fixed.is_none()) {
        let fixed = settings
            .iter()
            .filter(|setting| setting.fixed.is_some_and(|window| window <= measured.bound));
        let best = fixed.min_by(|a, b| a.wall().total_cmp(&b.wall()));
        let Some(best) = best else { continue };
        let ratio = paired(&measured.lines, &best.lines);
        let what = format!("{TITLE}: {} of the best fixed one", measured.title);
        let said = bars.at_most(what, ratio, BAR, "");
        println!(
            "{}: **{ratio:.2}** of \"{}\" (bar {BAR}): {said}",
            measured.title, best.title
        );
    }
    println!();
    Ok(())
}

/// A way to run the binary, and what came of it.
struct Setting {
    title: String,
    /// `None` where the number is measured.
    fixed: Option<usize>,
    bound: usize,
    arguments: Vec<String>,
    lines: Vec<Line>,
}

impl Setting {
    fn wall(&self) -> f64 {
        median(self.lines.iter().map(|line| line.wall))
    }
}
