//! The store against a model of it, against damage, power cuts, kills, full disks and other users.

mod audit;
mod batches;
mod damage;
mod directory;
mod kill;
mod laws;
mod memory;
mod memory_of_runs;
mod portable;
mod power;
mod synced;
mod unfinished;
mod watched;
mod whole;

use std::fs::File;
use std::future::Future;
use std::io;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};

use bytes::Bytes;
use lagan_model::digest::Digest;
use lagan_model::journal::{Effect, Entry, Group, JournalStore, RunId, Sequence};
use tempfile::TempDir;

use crate::directory::Creation;
use crate::files::{Disk, Files};
use crate::{DiskJournal, Options, StateError};

/// Small enough for a test, and with a checkpoint every few records.
pub(super) fn options() -> Options {
    Options {
        reserve: 1 << 20,
        ballast: 2 << 20,
        cache: 8 << 20,
        cache_limit: 64 << 20,
        checkpoint_every: 7,
    }
}

/// A directory in a directory, since the outer one is not the journal's to create.
pub(super) fn room() -> (TempDir, PathBuf) {
    let room = tempfile::tempdir().unwrap();
    let root = room.path().join("state");
    (room, root)
}

/// A disk that is never waited for: what is tested over it does not depend on power.
#[derive(Debug)]
struct Unsynced;

impl Files for Unsynced {
    fn append(&self, file: &File, bytes: &[u8]) -> io::Result<()> {
        Disk.append(file, bytes)
    }

    fn sync(&self, _file: &File, _path: &Path) -> io::Result<()> {
        Ok(())
    }

    fn sync_directory(&self, _path: &Path) -> io::Result<()> {
        Ok(())
    }

    fn free(&self, path: &Path) -> io::Result<u64> {
        Disk.free(path)
    }
}

pub(super) fn create(root: &Path) -> DiskJournal {
    DiskJournal::with(root, &options(), Creation::Create, Arc::new(Unsynced)).unwrap()
}

pub(super) fn open(root: &Path) -> Result<DiskJournal, StateError> {
    DiskJournal::with(root, &options(), Creation::Never, Arc::new(Unsynced))
}

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// Runs a future to its end on this thread.
pub(super) fn wait<T>(future: impl Future<Output = T>) -> T {
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut future = pin!(future);
    loop {
        match future.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(value) => return value,
            Poll::Pending => thread::park(),
        }
    }
}

pub(super) fn run(number: u64) -> RunId {
    RunId::from_bits((7 << 64) | u128::from(number))
}

/// A content that does not compress to nothing.
pub(super) fn manifest(number: u64, length: usize) -> (Digest, Bytes) {
    let mut text = format!("{{\"manifest\":{number}");
    while text.len() < length {
        let digest = Digest::of(&[number.to_be_bytes(), text.len().to_be_bytes()].concat());
        text.push_str(&format!(",\"{digest}\""));
    }
    let bytes = Bytes::from(text);
    (Digest::of(&bytes), bytes)
}

pub(super) fn entry(run: RunId, effect: Effect, body: &str) -> Entry {
    Entry {
        run,
        effect,
        body: Bytes::from(body.to_owned()),
    }
}

/// A group of `size` intents, each with a manifest.
pub(super) fn intents(number: u64, size: u64) -> Group {
    let contents = (0..size)
        .map(|n| manifest(number * 1000 + n, 700))
        .collect::<Vec<_>>();
    let entries = contents.iter().map(|(digest, _)| {
        entry(
            run(number / 3),
            Effect::Opens,
            &format!("{{\"intent\":\"{digest}\"}}"),
        )
    });
    Group {
        entries: entries.collect(),
        contents,
        needs_room: true,
    }
}

/// Everything that a store tells, for comparison.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Everything {
    pub(super) entries: Vec<(RunId, Bytes, Option<Sequence>)>,
    pub(super) open: Vec<Sequence>,
    pub(super) runs: Vec<(RunId, Vec<Sequence>)>,
    pub(super) contents: Vec<(Digest, Bytes)>,
}

/// Reads a store whole; of the contents those that are asked for.
pub(super) fn everything(store: &impl JournalStore, contents: &[Digest]) -> Everything {
    let mut entries = Vec::new();
    for number in 1.. {
        let Some((run, body)) = wait(store.entry(Sequence(number))).unwrap() else {
            break;
        };
        entries.push((run, body, wait(store.settled_by(Sequence(number))).unwrap()));
    }
    let runs = wait(store.runs()).unwrap().into_iter();
    let content = |digest: &Digest| Some((digest.clone(), wait(store.content(digest)).unwrap()?));
    let entries_of = |run| {
        let of_run = wait(store.entries_of(run)).unwrap();
        let bounds = of_run.first().copied().zip(of_run.last().copied());
        assert_eq!(wait(store.bounds_of(run)).unwrap(), bounds);
        of_run
    };
    assert_eq!(wait(store.bounds_of(RunId::from_bits(u128::MAX))).unwrap(), None);
    Everything {
        entries,
        open: wait(store.open_entries()).unwrap(),
        runs: runs.map(|run| (run, entries_of(run))).collect(),
        contents: contents.iter().filter_map(content).collect(),
    }
}

/// The contents of all groups.
pub(super) fn digests(groups: &[Group]) -> Vec<Digest> {
    let contents = groups.iter().flat_map(|group| &group.contents);
    contents.map(|(digest, _)| digest.clone()).collect()
}
