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

/// A policy to plan with.
pub(crate) struct Job {
    pub(crate) title: &'static str,
    select: &'static str,
    keep: &'static str,
}

pub(crate) const JOBS: [Job; 4] = [
    Job {
        title: "nothing to delete by the names",
        select: "tags=*",
        keep: "last=10000,by=name",
    },
    Job {
        title: "prereleases by version",
        select: "channel=prerelease",
        keep: "last=10,by=version",
    },
    Job {
        title: "all tags by version",
        select: "tags=*",
        keep: "last=10,by=version",
    },
    Job {
        title: "all tags by created",
        select: "tags=*",
        keep: "last=10,by=created",
    },
];

impl Job {
    /// The policy as the command line has it.
    pub(crate) fn policy(&self) -> String {
        format!("--select {} --keep {}", self.select, self.keep)
    }

    fn command(&self, registry: &str) -> Command {
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
    let registry_cpu = process::cpu_seconds(registry.pid())?;
    let finished = process::measure(&mut job.command(registry.url()))?;
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
    let report: Value = serde_json::from_slice(report).context("lagan wrote no report")?;
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
