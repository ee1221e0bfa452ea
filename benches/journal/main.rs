//! What the journal costs: durable intents a second, and opening, disk and memory of long journals.
//!
//! `cargo bench -p lagan-state -- --help` lists the options; `benches/README.md` says what is measured.
#![expect(clippy::print_stdout, reason = "a table is what a benchmark is for")]

use std::env;
use std::error::Error;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use bytes::Bytes;
use lagan_model::digest::Digest;
use lagan_model::journal::{Effect, Entry, Group, RunId, Sequence};
use lagan_state::{DiskJournal, Options, compact, verify};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

const HELP: &str = "\
Options:
  --records N,N     lengths of the journals that are opened [100000,1000000]
  --seconds S       how long each rate is measured [5]
  --directory PATH  where the journals are written, on the disk that counts [target/bench-journal]";

struct Arguments {
    records: Vec<u64>,
    seconds: f64,
    directory: PathBuf,
}

/// What was asked for; `None` where that was help.
fn arguments() -> Result<Option<Arguments>> {
    let mut arguments = Arguments {
        records: vec![100_000, 1_000_000],
        seconds: 5.0,
        directory: Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/bench-journal"),
    };
    let mut given = env::args().skip(1).filter(|argument| argument != "--bench");
    while let Some(option) = given.next() {
        let mut value = || given.next().ok_or_else(|| format!("{option} needs a value"));
        match option.as_str() {
            "--records" => {
                let numbers = value()?;
                let numbers = numbers.split(',').map(str::parse);
                arguments.records = numbers.collect::<std::result::Result<_, _>>()?;
            }
            "--seconds" => arguments.seconds = value()?.parse()?,
            "--directory" => arguments.directory = value()?.into(),
            "--help" => return Ok(None),
            _ => return Err(format!("{option} is no option\n{HELP}").into()),
        }
    }
    Ok(Some(arguments))
}

/// A number that differs for each input, for digests that do not compress.
fn digest(number: u64, place: u64) -> Digest {
    Digest::of(&[number.to_be_bytes(), place.to_be_bytes()].concat())
}

/// A manifest of twelve layers, as large as they usually are.
fn manifest(number: u64) -> Bytes {
    let layers: Vec<String> = (0..12)
        .map(|layer| {
            let media_type = "application/vnd.oci.image.layer.v1.tar+gzip";
            let (digest, size) = (digest(number, layer), 1_000_000 + 7_919 * layer);
            format!(r#"{{"mediaType":"{media_type}","digest":"{digest}","size":{size}}}"#)
        })
        .collect();
    let config = digest(number, 99);
    format!(
        r#"{{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":{{"mediaType":"application/vnd.oci.image.config.v1+json","digest":"{config}","size":7023}},"layers":[{}]}}"#,
        layers.join(",")
    )
    .into()
}

/// The record of a deletion, as `apply` writes it.
fn intent(number: u64, manifest: &Digest) -> Bytes {
    let blobs: Vec<_> = (0..12)
        .map(|layer| format!(r#"{{"digest":"{}","size":1007919}}"#, digest(number, layer)))
        .collect();
    format!(
        r#"{{"record":"delete","unit":{number},"role":"artifact","repository":"team/service-{}","digest":"{manifest}","media_type":"application/vnd.oci.image.manifest.v1+json","size":1900,"tags":["1.4.{number}","sha-{number:x}"],"parents":[],"children":[],"subject":null,"attachments":[],"blobs":[{}],"pushed":"2026-03-01T08:30:00Z","pulled":null,"labels":[],"reasons":[{{"policy":"nightly","line":"last=10,by=version","verdict":"delete"}}],"undo_until":null,"at":"2026-11-21T12:00:00Z"}}"#,
        number % 200,
        blobs.join(",")
    )
    .into()
}

fn group(first: u64, size: u64) -> Group {
    let mut group = Group::default();
    for number in first..first + size {
        let bytes = manifest(number);
        let digest = Digest::of(&bytes);
        group.entries.push(Entry {
            run: RunId::from_bits(u128::from(number / 10_000)),
            effect: Effect::Opens,
            body: intent(number, &digest),
        });
        group.contents.push((digest, bytes));
    }
    group
}

/// Intents a second of some clients, each of which appends its next group when the last one is durable.
fn rate(directory: &Path, clients: u64, size: u64, seconds: f64) -> Result<f64> {
    let root = directory.join(format!("rate-{clients}-{size}"));
    let journal = DiskJournal::create(&root, &Options::default())?;
    let next = AtomicU64::new(0);
    let begun = Instant::now();
    let until = begun + Duration::from_secs_f64(seconds);
    let written = thread::scope(|scope| {
        let workers: Vec<_> = (0..clients)
            .map(|_| {
                scope.spawn(|| -> std::result::Result<u64, String> {
                    let mut written = 0;
                    while Instant::now() < until {
                        let group = group(next.fetch_add(size, Ordering::Relaxed), size);
                        journal
                            .append_blocking(group)
                            .map_err(|error| error.to_string())?;
                        written += size;
                    }
                    Ok(written)
                })
            })
            .collect();
        let counts = workers
            .into_iter()
            .map(|worker| worker.join().map_err(|_| "a client panicked".to_owned())?);
        counts.sum::<std::result::Result<u64, String>>()
    })?;
    let rate = written as f64 / begun.elapsed().as_secs_f64();
    journal.close()?;
    fs::remove_dir_all(&root)?;
    Ok(rate)
}

/// A journal of intents that are settled, but for the last thousand.
fn fill(root: &Path, records: u64) -> Result<()> {
    let journal = DiskJournal::create(root, &Options::default())?;
    let mut written = 0;
    while written < records {
        let size = 128.min((records - written).div_ceil(2));
        let mut group = group(written, size);
        let first = written + 1;
        written += size;
        if written + 1_000 < records {
            for (number, intent) in (first..).zip(0..size) {
                let outcome = format!(
                    r#"{{"record":"outcome","intent":{number},"result":{{"result":"deleted"}},"at":"2026-11-21T12:00:01Z"}}"#
                );
                group.entries.push(Entry {
                    run: RunId::from_bits(u128::from((first - 1 + intent) / 10_000)),
                    effect: Effect::Settles(Sequence(number)),
                    body: outcome.into(),
                });
            }
            written += size;
        }
        journal.append_blocking(group)?;
    }
    Ok(journal.close()?)
}

fn bytes_of(path: &Path) -> Result<u64> {
    use std::os::unix::fs::MetadataExt;
    let mut bytes = 0;
    for file in fs::read_dir(path)? {
        let file = file?;
        let metadata = file.metadata()?;
        bytes += match metadata.is_dir() {
            true => bytes_of(&file.path())?,
            false => metadata.blocks() * 512,
        };
    }
    Ok(bytes)
}

/// Runs one piece of work in a process of its own, for its peak of memory: seconds and megabytes.
fn alone(work: &str, root: &Path) -> Result<(f64, f64)> {
    let output = Command::new(env::current_exe()?)
        .env("LAGAN_BENCH_WORK", work)
        .arg("--directory")
        .arg(root)
        .output()?;
    if !output.status.success() {
        return Err(format!("{work}: {}", String::from_utf8_lossy(&output.stderr)).into());
    }
    let text = String::from_utf8(output.stdout)?;
    let mut numbers = text.split_whitespace().map(str::parse::<f64>);
    match (numbers.next(), numbers.next()) {
        (Some(seconds), Some(megabytes)) => Ok((seconds?, megabytes?)),
        _ => Err(format!("{work} said {text:?}").into()),
    }
}

fn work(work: &str, root: &Path) -> Result<()> {
    let begun = Instant::now();
    let options = Options::default();
    match work {
        "open" => drop(DiskJournal::open(root, &options)?),
        "compare" => drop(DiskJournal::open(root, &options)?),
        "verify" => {
            let verification = verify(root, &options)?;
            if verification.wrong > 0 {
                return Err(format!("{:?}", verification.problems).into());
            }
        }
        "compact" => {
            compact(root, &options)?;
        }
        _ => return Err(format!("{work} is no work").into()),
    }
    let seconds = begun.elapsed().as_secs_f64();
    let status = fs::read_to_string("/proc/self/status")?;
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kilobytes: f64 = peak
        .and_then(|text| text.split_whitespace().next())
        .ok_or("no peak")?
        .parse()?;
    println!("{seconds} {}", kilobytes / 1024.0);
    Ok(())
}

/// Long journals take minutes: what is known is shown at once.
fn cell(text: &str) -> Result<()> {
    let mut out = std::io::stdout();
    out.write_all(text.as_bytes())?;
    Ok(out.flush()?)
}

fn main() -> Result<()> {
    let Some(arguments) = arguments()? else {
        println!("{HELP}");
        return Ok(());
    };
    if let Ok(name) = env::var("LAGAN_BENCH_WORK") {
        return work(&name, &arguments.directory);
    }
    // One of our own in it: what is there is removed first.
    let directory = &arguments.directory.join("lagan-bench");
    if directory.exists() {
        fs::remove_dir_all(directory)?;
    }
    fs::create_dir_all(directory)?;
    println!("| clients | intents a group | durable intents a second |\n|---|---|---|");
    for (clients, size) in [(1, 1), (1, 16), (1, 256), (16, 1), (64, 1)] {
        let rate = rate(directory, clients, size, arguments.seconds)?;
        println!("| {clients} | {size} | {rate:.0} |");
    }
    println!(
        "\n| records | filled in s | mirror + store MB | open s, MB | without a checkpoint s, MB | verify s, MB | compact s, MB | after MB |"
    );
    println!("|---|---|---|---|---|---|---|---|");
    for records in &arguments.records {
        let root = directory.join(format!("records-{records}"));
        let begun = Instant::now();
        fill(&root, *records)?;
        let journal = root.join("journal.1");
        let mirror = fs::metadata(journal.join("mirror.jsonl"))?.len() as f64 / 1e6;
        let store = bytes_of(&journal.join("store"))? as f64 / 1e6;
        cell(&format!(
            "| {records} | {:.1} | {mirror:.0} + {store:.0} |",
            begun.elapsed().as_secs_f64()
        ))?;
        for work in ["open", "compare", "verify", "compact"] {
            if work == "compare" {
                fs::remove_file(journal.join("checkpoint.json"))?;
            }
            let (seconds, megabytes) = alone(work, &root)?;
            cell(&format!(" {seconds:.2}, {megabytes:.0} |"))?;
        }
        let after = bytes_of(&root.join("journal.2"))? as f64 / 1e6;
        cell(&format!(" {after:.0} |\n"))?;
        fs::remove_dir_all(&root)?;
    }
    fs::remove_dir_all(directory)?;
    Ok(())
}
