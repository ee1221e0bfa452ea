//! What a process used, as Linux's `/proc` tells it.

use std::fs;
use std::io::Read as _;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};

/// Ticks a second in `/proc/<pid>/stat`: USER_HZ, 100 on every architecture that Linux has this for.
const TICKS_A_SECOND: f64 = 100.0;

/// How often peak memory is looked up. It only rises, so the last look misses at most what is new since.
const BETWEEN_LOOKS: Duration = Duration::from_millis(2);

/// Of a longer output only the last [`TAIL`] bytes are kept.
const LONGEST_OUTPUT: usize = 16 << 20;
const TAIL: usize = 1 << 20;

/// A process that has ended.
pub(crate) struct Finished {
    pub(crate) stdout: Vec<u8>,
    pub(crate) stderr: String,
    pub(crate) code: Option<i32>,
    /// From before the start until the end.
    pub(crate) wall: Duration,
    /// User and system time, in seconds.
    pub(crate) cpu: f64,
    /// Peak resident memory, in megabytes of 2^20 bytes.
    pub(crate) resident_mb: f64,
}

/// Runs a command to its end.
///
/// Its times are read while it is a zombie: they are final then, and not yet gone.
pub(crate) fn measure(command: &mut Command) -> Result<Finished> {
    let start = Instant::now();
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    let pid = child.id();
    let mut stdout = child.stdout.take().context("no pipe")?;
    let mut stderr = child.stderr.take().context("no pipe")?;
    let stdout = thread::spawn(move || -> std::io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        let mut chunk = vec![0; 1 << 16];
        loop {
            match stdout.read(&mut chunk)? {
                0 => return Ok(bytes),
                length => bytes.extend_from_slice(&chunk[..length]),
            }
            // A plan of a million tags is longer than is worth holding; its sums stand at its end.
            if bytes.len() > LONGEST_OUTPUT {
                bytes.drain(..bytes.len() - TAIL);
            }
        }
    });
    let stderr = thread::spawn(move || {
        let mut text = String::new();
        stderr.read_to_string(&mut text).map(|_| text)
    });
    let mut peak_kib = 0;
    while !stat(pid)?.ended {
        peak_kib = peak_kib.max(high_water_kib(pid).unwrap_or(0));
        thread::sleep(BETWEEN_LOOKS);
    }
    let wall = start.elapsed();
    let cpu = stat(pid)?.cpu;
    let status = child.wait()?;
    let joined = |_| anyhow::anyhow!("a reader of the output failed");
    Ok(Finished {
        stdout: stdout.join().map_err(joined)??,
        stderr: stderr.join().map_err(joined)??,
        code: status.code(),
        wall,
        cpu,
        resident_mb: f64::from(peak_kib) / 1024.0,
    })
}

/// User and system time of a process until now, in seconds.
pub(crate) fn cpu_seconds(pid: u32) -> Result<f64> {
    Ok(stat(pid)?.cpu)
}

struct Stat {
    ended: bool,
    cpu: f64,
}

/// Reads `/proc/<pid>/stat` (proc_pid_stat(5)): field 3 is the state, 14 to 17 the ticks.
fn stat(pid: u32) -> Result<Stat> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    // The name in field 2 may hold spaces and brackets; nothing behind it does.
    let (_, behind) = text.rsplit_once(") ").context("/proc/<pid>/stat has no name")?;
    let fields: Vec<&str> = behind.split_ascii_whitespace().collect();
    let ticks = |field: usize| -> Result<f64> {
        let ticks: u32 = fields
            .get(field - 3)
            .context("/proc/<pid>/stat is too short")?
            .parse()?;
        Ok(f64::from(ticks))
    };
    Ok(Stat {
        ended: matches!(fields.first(), Some(&"Z" | &"X")),
        // Its own, and that of the processes that it waited for: a shell's are all there is to it.
        cpu: (ticks(14)? + ticks(15)? + ticks(16)? + ticks(17)?) / TICKS_A_SECOND,
    })
}

fn high_water_kib(pid: u32) -> Option<u32> {
    let text = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().strip_suffix(" kB")?.parse().ok()
}
