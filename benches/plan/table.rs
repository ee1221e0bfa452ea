//! Figures in rows that can be pasted into a document.

use crate::bars::Bars;
use crate::jobs::{self, Job, Report};

/// One run of one client.
pub(crate) struct Line {
    /// Of the bare client; the binary chooses for itself.
    pub(crate) connections: usize,
    /// Seconds.
    pub(crate) wall: f64,
    /// The client's own time, user and system, in seconds.
    pub(crate) cpu: f64,
    /// The registry's time during the run, in seconds.
    pub(crate) registry_cpu: f64,
    /// The peak, where the client is a process of its own.
    pub(crate) resident_mb: Option<f64>,
}

/// Everything that was measured of one job.
pub(crate) struct Lines {
    pub(crate) report: Report,
    pub(crate) ours: Vec<Line>,
    /// At the best number of connections of the sweep.
    pub(crate) bare: Vec<Line>,
    /// Seconds of the bare client at each number of connections: the faster of two tries.
    pub(crate) sweep: Vec<(usize, f64)>,
    /// The binary's time over the bare client's, run by run; the median.
    pub(crate) ratio: f64,
}

/// The middle of some figures, the upper one of two.
pub(crate) fn median(figures: impl Iterator<Item = f64>) -> f64 {
    let mut figures: Vec<f64> = figures.collect();
    figures.sort_by(f64::total_cmp);
    figures.get(figures.len() / 2).copied().unwrap_or(f64::NAN)
}

/// What one client took over what another did, each pair measured one after the other; the median. What slows the machine
/// for a while slows both of a pair.
pub(crate) fn paired(ours: &[Line], theirs: &[Line]) -> f64 {
    median(
        ours.iter()
            .zip(theirs)
            .map(|(ours, theirs)| ours.wall / theirs.wall),
    )
}

pub(crate) fn print(job: &Job, lines: &Lines, bars: &mut Bars) {
    let requests: u64 = lines.report.by_kind.values().sum();
    let by_kind: Vec<String> = lines
        .report
        .by_kind
        .iter()
        .map(|(kind, count)| format!("{count} {kind}"))
        .collect();
    println!("## {}: `{}`\n", job.title, job.policy());
    let bound = job.bound(lines.report.repositories, lines.report.tags);
    let bound = bound.map(|bound| (bound, to_float(requests) / to_float(bound)));
    let needed = bound.map_or_else(String::new, |(bound, ratio)| {
        format!("; at least {bound} are needed: {ratio:.3} of that")
    });
    println!(
        "{requests} requests ({}) for {} repositories, {} tags{needed}\n",
        by_kind.join(", "),
        lines.report.repositories,
        lines.report.tags
    );
    println!("| client | wall s | CPU s | MB | registry CPU s | requests/s | tags/s |");
    println!("|---|---|---|---|---|---|---|");
    let connections = lines.bare.first().map_or(0, |line| line.connections);
    row("lagan", &lines.ours, requests, lines.report.tags);
    row(
        &format!("bare, {connections} connections"),
        &lines.bare,
        requests,
        lines.report.tags,
    );
    let sweep: Vec<String> = lines
        .sweep
        .iter()
        .map(|(connections, seconds)| format!("{connections} {seconds:.2}"))
        .collect();
    println!(
        "\nlagan / bare: **{:.2}** (bare, s at connections: {})\n",
        lines.ratio,
        sweep.join(", ")
    );
    let title = job.title;
    if job.held_to_bare() {
        let bar = jobs::TO_BARE;
        bars.at_most(
            format!("{title}: time over the bare client's"),
            lines.ratio,
            bar,
            "",
        );
    }
    if let Some((_, ratio)) = bound {
        bars.at_most(
            format!("{title}: requests over the least"),
            ratio,
            jobs::TO_LEAST,
            "",
        );
    }
    if let Some(seconds) = job.seconds {
        let wall = median(lines.ours.iter().map(|line| line.wall));
        bars.at_most(format!("{title}: time"), wall, seconds, " s");
    }
    let cpu = median(lines.ours.iter().map(|line| line.cpu));
    bars.at_most(format!("{title}: processor time"), cpu, jobs::CPU_SECONDS, " s");
    let resident = median(lines.ours.iter().filter_map(|line| line.resident_mb));
    bars.at_most(format!("{title}: memory"), resident, jobs::MEGABYTES, " MB");
}

fn row(client: &str, lines: &[Line], requests: u64, tags: u64) {
    let of = |figure: fn(&Line) -> f64| median(lines.iter().map(figure));
    let wall = of(|line| line.wall);
    let (least, most) = spread(lines);
    let resident = lines.iter().filter_map(|line| line.resident_mb);
    let resident = match median(resident) {
        megabytes if megabytes.is_nan() => "–".to_owned(),
        megabytes => format!("{megabytes:.1}"),
    };
    println!(
        "| {client} | {wall:.2} ({least:.2} to {most:.2}) | {:.2} | {resident} | {:.2} | {} | {} |",
        of(|line| line.cpu),
        of(|line| line.registry_cpu),
        a_second(requests, wall),
        a_second(tags, wall),
    );
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a few digits of a rate"
)]
fn a_second(count: u64, seconds: f64) -> u64 {
    (to_float(count) / seconds) as u64
}

#[expect(clippy::cast_precision_loss, reason = "counts of requests and tags")]
pub(crate) fn to_float(count: u64) -> f64 {
    count as f64
}

/// `held`, or `**missed**`, for a bar that a figure must not exceed.
pub(crate) fn verdict(figure: f64, bar: f64) -> &'static str {
    if figure <= bar { "held" } else { "**missed**" }
}

/// Median and spread of wall time, and the medians of processor time and memory.
pub(crate) fn figures(lines: &[Line]) -> String {
    let of = |figure: fn(&Line) -> f64| median(lines.iter().map(figure));
    let (least, most) = spread(lines);
    let resident = median(lines.iter().filter_map(|line| line.resident_mb));
    format!(
        "{:.2} ({least:.2} to {most:.2}) | {:.2} | {resident:.1}",
        of(|line| line.wall),
        of(|line| line.cpu)
    )
}

fn spread(lines: &[Line]) -> (f64, f64) {
    lines.iter().fold((f64::MAX, f64::MIN), |(least, most), line| {
        (least.min(line.wall), most.max(line.wall))
    })
}
