//! What is measured: commands of the binary, run as a user runs them.

use std::collections::BTreeMap;
use std::process::Command;

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::Value;

use crate::process;
use crate::registry::Registry;
use crate::table::Line;

/// Cargo builds it with the profile of the benchmark.
const LAGAN: &str = env!("CARGO_BIN_EXE_lagan");

/// What is held to: the time of a bare client, the least number of requests, processor time and memory at 200
/// repositories of 100 tags.
pub(crate) const TO_BARE: f64 = 1.10;
pub(crate) const TO_LEAST: f64 = 1.02;
pub(crate) const CPU_SECONDS: f64 = 2.0;
pub(crate) const MEGABYTES: f64 = 25.0;

/// A policy to plan with.
pub(crate) struct Job {
    pub(crate) title: &'static str,
    select: &'static str,
    keep: &'static str,
    bound: Bound,
    /// How long it may take, where that is held to rather than the bare client's time: the start of the process counts
    /// then, which the bare client does not have.
    pub(crate) seconds: Option<f64>,
    /// Of how many repositories at the most: the rest would say the same, and take long.
    pub(crate) repositories: u16,
}

/// What a job has to ask at least.
#[derive(Debug, Clone, Copy)]
enum Bound {
    /// The catalog and the tags of each repository.
    Listings,
    /// These, and one request a tag.
    Tags,
    None,
}

/// The job that most is measured with: it asks for every tag.
pub(crate) const BY_VERSION: &str = "all tags by version";

pub(crate) fn by_version() -> Result<&'static Job> {
    let found = JOBS.iter().find(|job| job.title == BY_VERSION);
    found.context("the job by version is gone")
}

pub(crate) const JOBS: [Job; 4] = [
    Job {
        title: "nothing to delete by the names",
        select: "tags=*",
        keep: "last=10000,by=name",
        bound: Bound::Listings,
        seconds: Some(0.3),
        repositories: u16::MAX,
    },
    Job {
        title: "prereleases by version",
        select: "channel=prerelease",
        keep: "last=10,by=version",
        bound: Bound::None,
        seconds: None,
        repositories: u16::MAX,
    },
    Job {
        title: BY_VERSION,
        select: "tags=*",
        keep: "last=10,by=version",
        bound: Bound::Tags,
        seconds: None,
        repositories: u16::MAX,
    },
    Job {
        title: "all tags by created",
        select: "tags=*",
        keep: "last=10,by=created",
        bound: Bound::None,
        seconds: None,
        repositories: 50,
    },
];

impl Job {
    /// Whether its time is held against that of the bare client.
    pub(crate) fn held_to_bare(&self) -> bool {
        self.seconds.is_none()
    }

    /// The policy as the command line has it.
    pub(crate) fn policy(&self) -> String {
        format!("--select {} --keep {}", self.select, self.keep)
    }

    /// The least that has to be asked of a registry without a referrers API, whoever asks: performance.md's bound, of
    /// the corpus that is there. `None` where no such bound is known.
    pub(crate) fn bound(&self, repositories: u64, tags: u64) -> Option<u64> {
        match self.bound {
            Bound::Listings => Some(repositories + 1),
            Bound::Tags => Some(tags + repositories + 1),
            Bound::None => None,
        }
    }

    pub(crate) fn command(&self, registry: &str) -> Command {
        let mut command = Command::new(LAGAN);
        let place = ["plan", "--registry", registry];
        let policy = ["--select", self.select, "--keep", self.keep];
        command
            .args(place)
            .args(policy)
            .args(["--now", "2026-11-20T12:00:00Z", "--format", "json"]);
        // Nothing of whoever runs the benchmark has a say: no configuration, no variables, no proxies.
        command.env_clear().current_dir(std::env::temp_dir());
        command
    }
}

/// What the binary says of its run.
pub(crate) struct Report {
    pub(crate) by_kind: BTreeMap<String, u64>,
    pub(crate) repositories: u64,
    pub(crate) tags: u64,
}

/// A run that is not measured, with the log of its requests.
pub(crate) struct Recorded {
    pub(crate) report: Report,
    pub(crate) log: String,
}

/// Runs the job with its requests logged. That takes time, so nothing is measured here.
pub(crate) fn record(job: &Job, registry: &str) -> Result<Recorded> {
    let output = job
        .command(registry)
        .env("LAGAN_LOG", "lagan_registry=debug")
        .output()?;
    let log = String::from_utf8(output.stderr)?;
    let report = read(&output.stdout, output.status.code(), &log)?;
    Ok(Recorded { report, log })
}

/// Runs the job as a user would, and measures it.
pub(crate) fn run(job: &Job, registry: &Registry) -> Result<(Report, Line)> {
    run_with(job, registry, &[])
}

/// Runs the job with more arguments.
pub(crate) fn run_with(job: &Job, registry: &Registry, arguments: &[&str]) -> Result<(Report, Line)> {
    let registry_cpu = process::cpu_seconds(registry.pid())?;
    let finished = process::measure(job.command(registry.url()).args(arguments))?;
    let registry_cpu = process::cpu_seconds(registry.pid())? - registry_cpu;
    let report = read(&finished.stdout, finished.code, &finished.stderr)?;
    let line = Line {
        connections: 0,
        wall: finished.wall.as_secs_f64(),
        cpu: finished.cpu,
        registry_cpu,
        resident_mb: Some(finished.resident_mb),
    };
    Ok((report, line))
}

/// Reads the report. A plan that its limits refuse (3, 4) took the same requests as one that they let pass; one
/// with a repository that could not be read did not.
fn read(report: &[u8], code: Option<i32>, stderr: &str) -> Result<Report> {
    if !matches!(code, Some(0 | 3 | 4)) {
        bail!("lagan ended with {code:?}: {stderr}");
    }
    let text = std::str::from_utf8(report).or_else(|error| {
        // The cut may be in the middle of a character.
        std::str::from_utf8(&report[error.valid_up_to() + 1..])
    })?;
    let sums = text.rfind("\"totals\":").context("lagan wrote no report")?;
    let report: Value = serde_json::from_str(&format!("{{{}", &text[sums..])).context("no sums are read")?;
    let total = |name: &str| {
        let number = report["totals"][name].as_u64();
        number.with_context(|| format!("the report has no totals.{name}"))
    };
    let incomplete = total("incomplete_repositories")?;
    ensure!(incomplete == 0, "{incomplete} repositories could not be read");
    let by_kind = report["requests"]["by_kind"]
        .as_object()
        .context("the report counts no requests")?;
    Ok(Report {
        by_kind: by_kind
            .iter()
            .map(|(kind, count)| (kind.clone(), count.as_u64().unwrap_or(0)))
            .collect(),
        repositories: total("repositories")?,
        tags: total("tags")?,
    })
}
