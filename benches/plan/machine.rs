//! Where and when figures were measured: without it they say nothing.

use std::fs;
use std::process::Command;
use std::thread;

use anyhow::{Context as _, Result};

use crate::registry::{self, Kind};

pub(crate) fn print(kind: Kind) -> Result<()> {
    let cores = thread::available_parallelism()?;
    println!("date      {}", chrono::Utc::now().format("%Y-%m-%d %H:%M UTC"));
    println!("commit    {}", commit());
    println!(
        "machine   {cores} cores, {:.0} GiB, load {} before the run",
        memory_gib()?,
        load()?
    );
    println!("registry  {}, on the same machine", registry::version(kind)?);
    Ok(())
}

fn commit() -> String {
    let git = |arguments: &[&str]| {
        let output = Command::new("git").args(arguments).output().ok()?;
        output
            .status
            .success()
            .then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
    };
    match (
        git(&["rev-parse", "--short=12", "HEAD"]),
        git(&["status", "--porcelain"]),
    ) {
        (Some(commit), Some(changes)) if changes.is_empty() => commit,
        (Some(commit), _) => format!("{commit}, with changes"),
        (None, _) => "unknown".to_owned(),
    }
}

fn memory_gib() -> Result<f64> {
    let text = fs::read_to_string("/proc/meminfo")?;
    let kib: f64 = text
        .lines()
        .find_map(|line| line.strip_prefix("MemTotal:")?.trim().strip_suffix(" kB"))
        .context("/proc/meminfo has no total")?
        .parse()?;
    Ok(kib / 1024.0 / 1024.0)
}

/// How busy the machine was when a part began, which includes what was measured before it.
pub(crate) fn print_load() -> Result<()> {
    println!("load {} when this part began\n", load()?);
    Ok(())
}

/// The average number of busy tasks of the last minute.
fn load() -> Result<String> {
    let text = fs::read_to_string("/proc/loadavg")?;
    Ok(text
        .split_ascii_whitespace()
        .next()
        .unwrap_or("unknown")
        .to_owned())
}
