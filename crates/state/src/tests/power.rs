//! Power cuts: of everything that was written, what was synced is there afterwards, and of the rest any part.

use std::collections::{BTreeMap, HashMap};
use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use lagan_model::digest::Digest;
use lagan_model::journal::{Effect, Group, JournalError, JournalStore, Sequence};

use super::{Unsynced, digests, entry, intents, options, room, run, wait};
use crate::directory::Creation;
use crate::files::Files;
use crate::verify::compact_on;
use crate::{DiskJournal, Notice};

/// A disk that remembers what would be there after a power cut, and fails at a chosen operation.
#[derive(Debug, Default)]
struct Cut {
    durable: Mutex<Durable>,
    /// Operations so far.
    count: AtomicU64,
    /// The operation that fails, and how.
    fails: Option<(u64, Fault)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    /// The power goes: neither this nor anything later happens.
    Power,
    /// The disk reports an error, once.
    Error(i32),
}

#[derive(Debug, Default)]
struct Durable {
    /// Contents of files by inode.
    contents: HashMap<u64, Vec<u8>>,
    /// Names of directories by inode.
    listings: HashMap<u64, BTreeMap<std::ffi::OsString, (u64, bool)>>,
}

fn inode(path: &Path) -> io::Result<u64> {
    Ok(fs::metadata(path)?.ino())
}

impl Cut {
    fn failing(at: u64, fault: Fault) -> Self {
        Self {
            fails: Some((at, fault)),
            ..Self::default()
        }
    }

    fn step(&self) -> io::Result<()> {
        let number = self.count.fetch_add(1, Ordering::SeqCst);
        match self.fails {
            Some((at, Fault::Power)) if number >= at => Err(io::Error::other("no power")),
            Some((at, Fault::Error(error))) if number == at => Err(io::Error::from_raw_os_error(error)),
            _ => Ok(()),
        }
    }

    /// Writes to `target` what is left of `root`, and of what was not synced each page by a coin.
    fn leave(&self, root: &Path, target: &Path, seed: u64) {
        let mut coin = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
        let mut coin = move || {
            coin ^= coin << 13;
            coin ^= coin >> 7;
            coin ^= coin << 17;
            coin >> 63 == 0
        };
        let durable = self.durable.lock().unwrap();
        let mut present = HashMap::new();
        files_of(root, &mut present);
        durable.leave(inode(root).unwrap(), target, &present, seed != 0, &mut coin);
    }
}

fn files_of(directory: &Path, found: &mut HashMap<u64, PathBuf>) {
    for file in fs::read_dir(directory).unwrap() {
        let path = file.unwrap().path();
        if path.is_dir() {
            files_of(&path, found);
        } else {
            found.insert(inode(&path).unwrap(), path);
        }
    }
}

impl Durable {
    fn leave(
        &self,
        directory: u64,
        target: &Path,
        present: &HashMap<u64, PathBuf>,
        mixed: bool,
        coin: &mut impl FnMut() -> bool,
    ) {
        fs::create_dir(target).unwrap();
        fs::set_permissions(target, fs::Permissions::from_mode(0o700)).unwrap();
        for (name, (inode, is_directory)) in self.listings.get(&directory).into_iter().flatten() {
            let path = target.join(name);
            if *is_directory {
                self.leave(*inode, &path, present, mixed, coin);
                continue;
            }
            let mut content = self.contents.get(inode).cloned().unwrap_or_default();
            if let Some(written) = present
                .get(inode)
                .filter(|_| mixed)
                .map(|path| fs::read(path).unwrap())
            {
                const PAGE: usize = 512;
                for start in (0..written.len()).step_by(PAGE) {
                    if coin() {
                        let end = (start + PAGE).min(written.len());
                        content.resize(content.len().max(end), 0);
                        content[start..end].copy_from_slice(&written[start..end]);
                    }
                }
            }
            fs::write(path, content).unwrap();
        }
    }
}

impl Cut {
    /// Takes all that is there for durable.
    fn settle(&self, directory: &Path) {
        self.sync_directory(directory).unwrap();
        for file in fs::read_dir(directory).unwrap() {
            let path = file.unwrap().path();
            if path.is_dir() {
                self.settle(&path);
            } else {
                self.sync(&File::open(&path).unwrap(), &path).unwrap();
            }
        }
        self.count.store(0, Ordering::SeqCst);
    }
}

impl Files for Cut {
    fn append(&self, mut file: &File, bytes: &[u8]) -> io::Result<()> {
        self.step()?;
        file.write_all(bytes)
    }

    fn sync(&self, _file: &File, path: &Path) -> io::Result<()> {
        self.step()?;
        let mut file = File::open(path)?;
        let inode = file.metadata()?.ino();
        let mut content = Vec::new();
        file.seek(SeekFrom::Start(0))?;
        file.read_to_end(&mut content)?;
        self.durable.lock().unwrap().contents.insert(inode, content);
        Ok(())
    }

    fn sync_directory(&self, path: &Path) -> io::Result<()> {
        self.step()?;
        let mut names = BTreeMap::new();
        for file in fs::read_dir(path)? {
            let file = file?;
            let metadata = file.metadata()?;
            names.insert(file.file_name(), (metadata.ino(), metadata.is_dir()));
        }
        self.durable.lock().unwrap().listings.insert(inode(path)?, names);
        Ok(())
    }

    fn free(&self, _path: &Path) -> io::Result<u64> {
        Ok(u64::MAX)
    }
}

fn groups() -> Vec<Group> {
    let mut groups: Vec<_> = (0..9)
        .map(|number| intents(number, 1 + 2 * (number % 3)))
        .collect();
    let settled = Group {
        contents: Vec::new(),
        entries: vec![entry(run(1), Effect::Settles(Sequence(1)), "{}")],
        ..Group::default()
    };
    groups.insert(4, settled);
    groups
}

/// Uses a journal until it fails: which groups were acknowledged, and how many it was given.
fn use_until_failure(root: &Path, disk: &Arc<Cut>) -> (usize, usize) {
    let Ok(journal) = DiskJournal::with(root, &options(), Creation::Create, disk.clone()) else {
        return (0, 0);
    };
    let mut acknowledged = 0;
    for (number, group) in groups().into_iter().enumerate() {
        match wait(journal.append(group)) {
            Ok(_) => acknowledged = number + 1,
            Err(_) => return (acknowledged, number + 1),
        }
    }
    drop(journal.close());
    (acknowledged, groups().len())
}

/// What was acknowledged is there, byte for byte; of the rest at most what was given, in order.
fn check(root: &Path, acknowledged: usize, given: usize, place: &str) -> Vec<Notice> {
    let journal = DiskJournal::with(root, &options(), Creation::Create, Arc::new(Unsynced))
        .unwrap_or_else(|error| panic!("{place}: {error:?}"));
    let all = groups();
    let mut number = 0;
    let mut there = 0;
    for group in &all {
        let present = wait(journal.entry(Sequence(number + 1))).unwrap().is_some();
        for expected in &group.entries {
            number += 1;
            let found = wait(journal.entry(Sequence(number))).unwrap();
            assert_eq!(found.is_some(), present, "{place}: a group is there in part");
            if let Some(found) = found {
                assert_eq!(found, (expected.run, expected.body.clone()), "{place}");
            }
        }
        if present {
            for (digest, bytes) in &group.contents {
                assert_eq!(
                    wait(journal.content(digest)).unwrap().as_ref(),
                    Some(bytes),
                    "{place}"
                );
            }
            there += 1;
        }
    }
    assert!(
        there >= acknowledged,
        "{place}: {there} of {acknowledged} are there"
    );
    assert!(there <= given, "{place}");
    let notices = journal.notices().to_vec();
    for group in all.into_iter().skip(there) {
        wait(journal.append(group)).unwrap();
    }
    let contents: Vec<Digest> = digests(&groups());
    assert!(
        contents
            .iter()
            .all(|digest| wait(journal.content(digest)).unwrap().is_some()),
        "{place}"
    );
    notices
}

#[test]
fn what_was_acknowledged_survives_a_power_cut_at_any_operation() {
    let (room, root) = room();
    let counting = Arc::new(Cut::default());
    let (all, _) = use_until_failure(&root, &counting);
    assert_eq!(all, groups().len());
    let operations = counting.count.load(Ordering::SeqCst);
    assert!(operations > 40, "{operations}");
    let mut acknowledged_at_all = 0;
    let (mut taken_back, mut finished, mut rebuilt) = (0, 0, 0);
    for at in 0..operations {
        let root = room.path().join(format!("state{at}"));
        let disk = Arc::new(Cut::failing(at, Fault::Power));
        let (acknowledged, given) = use_until_failure(&root, &disk);
        acknowledged_at_all += acknowledged;
        // Every third time nothing is left but what was synced; otherwise any part of the rest is, too.
        let seed = if (at / 4).is_multiple_of(3) { 0 } else { at + 1 };
        let left = room.path().join("left");
        disk.leave(&root, &left, seed);
        for notice in check(&left, acknowledged, given, &format!("cut at {at}")) {
            match notice {
                Notice::TakenBack { .. } => taken_back += 1,
                Notice::Finished { .. } => finished += 1,
                // Lines of the last write that stand behind one that is lost look like damage.
                Notice::Rebuilt { why, .. } if why == "the mirror is damaged" && seed != 0 => rebuilt += 1,
                other => panic!("cut at {at}: {other:?}"),
            }
        }
        fs::remove_dir_all(&left).unwrap();
        fs::remove_dir_all(&root).unwrap();
    }
    assert!(
        acknowledged_at_all > 0 && taken_back > 0 && finished > 0 && rebuilt < 9,
        "{taken_back}, {finished}, {rebuilt}"
    );
}

#[test]
fn after_an_operation_that_failed_nothing_is_tried_again() {
    const EIO: i32 = 5;
    const ENOSPC: i32 = 28;
    let (room, root) = room();
    let counting = Arc::new(Cut::default());
    drop(DiskJournal::with(&root, &options(), Creation::Create, counting.clone()).unwrap());
    let opening = counting.count.load(Ordering::SeqCst);
    let mut failures = 0;
    for (number, errno) in (opening..opening + 40).zip([EIO, ENOSPC].into_iter().cycle()) {
        let root = room.path().join(format!("state{number}"));
        let disk = Arc::new(Cut::failing(number, Fault::Error(errno)));
        let journal = DiskJournal::with(&root, &options(), Creation::Create, disk.clone()).unwrap();
        let mut acknowledged = 0;
        let mut given = 0;
        for group in groups() {
            given += 1;
            match wait(journal.append(group)) {
                Ok(_) => acknowledged = given,
                Err(error) => {
                    let expected = matches!(error, JournalError::Store { .. } | JournalError::Stopped);
                    assert!(expected, "{error}");
                    let syncs = disk.count.load(Ordering::SeqCst);
                    let again = wait(journal.append(intents(99, 1))).unwrap_err();
                    // Whoever comes later is told why.
                    let cause = std::error::Error::source(&again).map(ToString::to_string);
                    let expected = std::io::Error::from_raw_os_error(errno).to_string();
                    assert!(cause.is_some_and(|cause| cause.contains(&expected)), "{again:?}");
                    assert!(journal.failure().is_some());
                    assert_eq!(disk.count.load(Ordering::SeqCst), syncs);
                    failures += 1;
                    break;
                }
            }
        }
        drop(journal);
        check(
            &root,
            acknowledged,
            given,
            &format!("failure {errno} at {number}"),
        );
        fs::remove_dir_all(&root).unwrap();
    }
    assert!(failures > 20, "{failures}");
}

#[test]
fn when_the_disk_is_full_the_ballast_is_given_back_and_the_journal_opens() {
    const ENOSPC: i32 = 28;
    let (_room, root) = room();
    let (acknowledged, given) = use_until_failure(&root, &Arc::new(Cut::default()));
    let full = Arc::new(Cut::failing(0, Fault::Error(ENOSPC)));
    let journal = DiskJournal::with(&root, &options(), Creation::Never, full).unwrap();
    assert_eq!(journal.notices(), [Notice::BallastDropped]);
    drop(journal);
    check(&root, acknowledged, given, "after a full disk");

    // Without ballast it is an error that says what to do, and the next opening finds everything.
    fs::remove_file(root.join("ballast")).unwrap();
    let full = Arc::new(Cut::failing(0, Fault::Error(ENOSPC)));
    let error = DiskJournal::with(&root, &options(), Creation::Never, full).unwrap_err();
    assert!(error.hint().unwrap().contains("free some space"), "{error:?}");
    check(&root, acknowledged, given, "after a full disk without ballast");
}

/// Damages the mirror at its beginning, as old damage that is met at an opening which compares everything.
fn damage(root: &Path) {
    let mirror = root.join("journal.1/mirror.jsonl");
    let mut text = fs::read(&mirror).unwrap();
    text[1_000] ^= 1;
    fs::write(mirror, text).unwrap();
    fs::remove_file(root.join("journal.1/checkpoint.json")).unwrap();
}

/// Runs `work` on a copy of a journal, with a power cut at each operation in turn until there is none: what was
/// acknowledged is there afterwards.
fn costs_no_record(room: &Path, root: &Path, done: (usize, usize), work: impl Fn(&Path, Arc<Cut>) -> bool) {
    let (acknowledged, given) = done;
    for at in 0.. {
        let trial = room.join("trial");
        super::damage::copy(root, &trial);
        let mut disk = Cut {
            fails: Some((u64::MAX, Fault::Power)),
            ..Cut::default()
        };
        disk.settle(&trial);
        disk.fails = Some((at, Fault::Power));
        let disk = Arc::new(disk);
        let done = work(&trial, disk.clone());
        let left = room.join("left");
        disk.leave(&trial, &left, at + 1);
        check(&left, acknowledged, given, &format!("cut at {at}"));
        fs::remove_dir_all(&left).unwrap();
        fs::remove_dir_all(&trial).unwrap();
        if done {
            assert!(at > 10, "{at}");
            break;
        }
    }
}

#[test]
fn a_power_cut_while_the_journal_is_built_anew_costs_no_record() {
    let (room, root) = room();
    let done = use_until_failure(&root, &Arc::new(Cut::default()));
    damage(&root);
    costs_no_record(room.path(), &root, done, |trial, disk| {
        DiskJournal::with(trial, &options(), Creation::Never, disk).is_ok()
    });
}

#[test]
fn a_power_cut_while_the_journal_is_written_anew_costs_no_record() {
    let (room, root) = room();
    let done = use_until_failure(&root, &Arc::new(Cut::default()));
    costs_no_record(room.path(), &root, done, |trial, disk| {
        compact_on(trial, &options(), disk).is_ok()
    });
}
