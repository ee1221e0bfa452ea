//! Where and when figures were measured: without it they say nothing.

use std::fs;
use std::process::Command;
use std::time::{Duration, SystemTime};

use chrono::{DateTime, Utc};

pub(crate) fn print() {
    let text = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let (cpu, load) = (text("/proc/cpuinfo"), text("/proc/loadavg"));
    let model = cpu
        .lines()
        .find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    let commit = Command::new("git")
        .args(["describe", "--always", "--dirty", "--exclude=*", "--abbrev=12"])
        .output()
        .map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned());
    println!(
        "date      {}",
        DateTime::<Utc>::from(SystemTime::now()).format("%Y-%m-%d %H:%M UTC")
    );
    println!("commit    {}", commit.unwrap_or_default());
    println!(
        "machine   one core of {}, load {} before the run\n",
        model.map_or("a processor without a name", |(_, name)| name),
        load.split(' ').next().unwrap_or_default()
    );
}

/// How long the one thread of this process has been on a processor: what else the machine does is left out, as far as
/// that goes.
pub(crate) fn processor_time() -> Duration {
    // proc_pid_schedstat: the first field is nanoseconds on a processor.
    let text = fs::read_to_string("/proc/self/schedstat").unwrap();
    Duration::from_nanos(text.split(' ').next().unwrap().parse().unwrap())
}
