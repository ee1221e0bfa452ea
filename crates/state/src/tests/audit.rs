//! The audit log against damage, changes by hand, kills, a disk that fails, and others who write.

use std::fs::{self, File};
use std::io;
use std::num::NonZeroUsize;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::room;
use crate::audit::{AuditCheck, AuditLog, AuditOptions, Who, verify_audit};
use crate::error::StateError;
use crate::files::{Disk, Files};

/// A disk whose syncs fail when told to.
#[derive(Debug, Default)]
struct Failing(AtomicBool);

impl Files for Failing {
    fn append(&self, file: &File, bytes: &[u8]) -> io::Result<()> {
        Disk.append(file, bytes)
    }

    fn sync(&self, _file: &File, _path: &Path) -> io::Result<()> {
        match self.0.load(Ordering::SeqCst) {
            true => Err(io::Error::other("the disk is gone")),
            false => Ok(()),
        }
    }

    fn sync_directory(&self, _path: &Path) -> io::Result<()> {
        Ok(())
    }

    fn free(&self, path: &Path) -> io::Result<u64> {
        Disk.free(path)
    }
}

fn small(file: u64, keep: usize) -> AuditOptions {
    AuditOptions {
        file,
        keep: NonZeroUsize::new(keep).unwrap(),
    }
}

fn log(root: &Path, options: AuditOptions) -> AuditLog {
    AuditLog::with(root, options, Arc::new(Failing::default()))
}

fn write(log: &mut AuditLog, number: u64) {
    try_write(log, number).unwrap();
}

fn try_write(log: &mut AuditLog, number: u64) -> Result<(), StateError> {
    let at = "2026-11-21T12:00:00Z".parse().unwrap();
    log.write(at, &Who::Daemon, &json!({ "event": "test", "number": number }))
}

fn check(root: &Path) -> AuditCheck {
    verify_audit(root).unwrap().unwrap()
}

fn first(root: &Path) -> PathBuf {
    root.join("audit/000001.jsonl")
}

/// The lines of all files, read without what wrote them.
fn lines(root: &Path) -> Vec<Value> {
    let mut files: Vec<_> = fs::read_dir(root.join("audit"))
        .unwrap()
        .map(|file| file.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "jsonl"))
        .collect();
    files.sort();
    let text: String = files
        .iter()
        .map(|path| fs::read_to_string(path).unwrap())
        .collect();
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

#[test]
fn an_entry_is_a_line_that_names_the_one_before_and_can_be_checked_without_this_program() {
    let (_room, root) = room();
    let mut audit = log(&root, AuditOptions::default());
    write(&mut audit, 7);
    write(&mut audit, 8);
    let lines = lines(&root);
    assert_eq!(lines.len(), 3);
    assert_eq!(lines[1]["who"], json!({ "kind": "daemon" }));
    assert_eq!(lines[1]["event"], "test");
    assert_eq!(lines[1]["number"], 7);
    assert_eq!(lines[1]["seq"], 1);
    assert_eq!(lines[2]["seq"], 2);
    let text = fs::read_to_string(first(&root)).unwrap();
    let mut before = Value::Null;
    for line in text.lines() {
        let hash = Sha256::digest(&line.as_bytes()[77..]);
        let hash: String = hash.iter().map(|byte| format!("{byte:02x}")).collect();
        let read: Value = serde_json::from_str(line).unwrap();
        assert_eq!(read["sha256"], hash.as_str(), "{line}");
        assert_eq!(read["prev"], before, "{line}");
        before = hash.into();
    }
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&first(&root)), 0o600);
    assert_eq!(mode(&root.join("audit")), 0o700);
    let found = check(&root);
    assert_eq!((found.entries, found.wrong, found.unfinished), (2, 0, 0));
    assert_eq!(verify_audit(&root.join("elsewhere")).unwrap(), None);
}

#[test]
fn a_changed_byte_and_a_line_that_is_missing_are_found_wherever_they_are() {
    let (_room, root) = room();
    let mut audit = log(&root, small(400, 9));
    (0..6).for_each(|number| write(&mut audit, number));
    let files: Vec<PathBuf> = (1..=check(&root).files)
        .map(|number| root.join(format!("audit/{number:06}.jsonl")))
        .collect();
    assert!(files.len() > 2);
    for path in &files {
        let sound = fs::read(path).unwrap();
        for place in 0..sound.len() {
            let mut changed = sound.clone();
            changed[place] ^= 1;
            fs::write(path, changed).unwrap();
            let found = check(&root);
            assert!(
                found.wrong > 0 || found.unfinished > 0,
                "byte {place} of {path:?}"
            );
        }
        let text = String::from_utf8(sound.clone()).unwrap();
        let lines: Vec<&str> = text.split_inclusive('\n').collect();
        for missing in 0..lines.len() {
            if path == files.last().unwrap() && missing + 1 == lines.len() {
                // What is cut off at the end leaves a chain that is whole.
                continue;
            }
            let mut rest = lines.clone();
            rest.remove(missing);
            fs::write(path, rest.concat()).unwrap();
            assert!(check(&root).wrong > 0, "line {missing} of {path:?}");
        }
        fs::write(path, sound).unwrap();
        assert_eq!(check(&root).wrong, 0);
    }
    fs::remove_file(&files[1]).unwrap();
    assert!(check(&root).wrong > 0);
}

#[test]
fn what_somebody_was_interrupted_in_writing_is_told_and_followed_by_what_is_whole() {
    let (_room, root) = room();
    let mut audit = log(&root, AuditOptions::default());
    write(&mut audit, 1);
    let before = fs::metadata(first(&root)).unwrap().len();
    write(&mut audit, 2);
    drop(audit);
    let whole = fs::read(first(&root)).unwrap();
    for length in before..whole.len() as u64 {
        fs::write(first(&root), &whole[..usize::try_from(length).unwrap()]).unwrap();
        let torn = length > before && length + 1 < whole.len() as u64;
        let found = check(&root);
        assert_eq!((found.wrong, found.unfinished), (0, u64::from(torn)), "{length}");
        // Whoever writes next goes on, and the piece stays where it is.
        let mut next = log(&root, AuditOptions::default());
        write(&mut next, 3);
        write(&mut next, 4);
        let found = check(&root);
        assert_eq!((found.wrong, found.unfinished), (0, u64::from(torn)), "{length}");
        assert_eq!(
            found.entries,
            3 + u64::from(length + 1 == whole.len() as u64),
            "{length}"
        );
    }
}

#[test]
fn what_was_damaged_at_the_end_is_told_also_when_others_have_written_since() {
    let (_room, root) = room();
    let mut audit = log(&root, AuditOptions::default());
    (1..4).for_each(|number| write(&mut audit, number));
    let sound = fs::read(first(&root)).unwrap();
    let ends: Vec<usize> = (0..sound.len()).filter(|place| sound[*place] == b'\n').collect();
    // A byte in the last line, one in each of the last two, and the last bytes before the line break.
    for places in [
        vec![ends[2] + 100],
        vec![ends[1] + 100, ends[2] + 100],
        vec![ends[3] - 1],
    ] {
        let mut damaged = sound.clone();
        places.iter().for_each(|place| damaged[*place] ^= 1);
        fs::write(first(&root), damaged).unwrap();
        assert_eq!(check(&root).wrong, 1, "{places:?}");
        let mut next = log(&root, AuditOptions::default());
        write(&mut next, 4);
        write(&mut next, 5);
        let found = check(&root);
        assert_eq!((found.wrong, found.unfinished), (1, 0), "{places:?}");
    }
}

#[test]
fn a_disk_that_is_full_leaves_no_empty_files_that_take_the_place_of_others() {
    let (_room, root) = room();
    let full = Arc::new(Failing::default());
    let mut audit = AuditLog::with(&root, small(1, 3), full.clone());
    (0..3).for_each(|number| write(&mut audit, number));
    full.0.store(true, Ordering::SeqCst);
    for number in 3..9 {
        try_write(&mut audit, number).unwrap_err();
    }
    full.0.store(false, Ordering::SeqCst);
    write(&mut audit, 9);
    let found = check(&root);
    assert_eq!((found.wrong, found.entries, found.removed), (0, 3, 1));
}

#[test]
fn a_file_that_was_not_begun_whole_is_left_behind() {
    let (_room, root) = room();
    let mut audit = log(&root, AuditOptions::default());
    write(&mut audit, 1);
    fs::write(root.join("audit/000002.jsonl"), "").unwrap();
    write(&mut audit, 2);
    fs::write(root.join("audit/000004.jsonl"), "{\"sha256\":\"").unwrap();
    write(&mut audit, 3);
    let found = check(&root);
    assert_eq!((found.files, found.entries, found.wrong), (5, 3, 0));
}

#[test]
fn files_are_followed_by_others_and_the_oldest_go() {
    let (_room, root) = room();
    let mut audit = log(&root, small(1, 3));
    (0..10).for_each(|number| write(&mut audit, number));
    let found = check(&root);
    assert_eq!((found.files, found.wrong), (3, 0));
    assert_eq!((found.removed, found.entries), (7, 3));
    assert!(!first(&root).exists());
    // Another process does not know where this one ended.
    write(&mut log(&root, small(1, 3)), 10);
    let found = check(&root);
    assert_eq!((found.removed, found.entries, found.wrong), (8, 3, 0));
}

#[test]
fn two_who_write_at_the_same_time_keep_the_chain() {
    let (_room, root) = room();
    let threads: Vec<_> = (0..3)
        .map(|number| {
            let root = root.clone();
            thread::spawn(move || {
                let mut audit = log(&root, small(2_000, 1_000));
                (0..30).for_each(|entry| write(&mut audit, number * 100 + entry));
            })
        })
        .collect();
    threads.into_iter().for_each(|thread| thread.join().unwrap());
    let found = check(&root);
    assert_eq!((found.entries, found.wrong, found.unfinished), (90, 0, 0));
}

#[test]
fn what_is_not_committed_is_not_there() {
    let (_room, root) = room();
    let mut audit = log(&root, AuditOptions::default());
    write(&mut audit, 1);
    let before = fs::read(first(&root)).unwrap();
    let at = "2026-11-21T12:00:00Z".parse().unwrap();
    let mut batch = audit.begin().unwrap();
    // More than is gathered before it is written.
    for _ in 0..100 {
        batch
            .add(at, &Who::Daemon, &json!({ "event": "x".repeat(2_000) }))
            .unwrap();
    }
    drop(batch);
    assert_eq!(fs::read(first(&root)).unwrap(), before);
    let mut batch = audit.begin().unwrap();
    for number in 0..100 {
        batch
            .add(at, &Who::Daemon, &json!({ "event": "test", "number": number }))
            .unwrap();
    }
    batch.commit().unwrap();
    let found = check(&root);
    assert_eq!((found.entries, found.wrong), (101, 0));
}

#[test]
fn a_disk_that_fails_is_an_error_and_the_chain_goes_on_when_it_is_back() {
    let (_room, root) = room();
    let disk = Arc::new(Failing::default());
    let mut audit = AuditLog::with(&root, AuditOptions::default(), disk.clone());
    write(&mut audit, 1);
    disk.0.store(true, Ordering::SeqCst);
    assert!(matches!(
        try_write(&mut audit, 2).unwrap_err(),
        StateError::Io { .. }
    ));
    disk.0.store(false, Ordering::SeqCst);
    write(&mut audit, 3);
    let found = check(&root);
    assert_eq!((found.entries, found.wrong), (2, 0));
}

#[test]
fn a_log_of_a_newer_version_is_neither_read_nor_written() {
    let (_room, root) = room();
    let mut audit = log(&root, AuditOptions::default());
    write(&mut audit, 1);
    let newer = crate::format::line::seal(&json!({ "v": 2, "seq": 2, "wonder": true })).unwrap();
    let mut text = fs::read(first(&root)).unwrap();
    text.extend([newer.0, b"\n".to_vec()].concat());
    fs::write(first(&root), &text).unwrap();
    assert!(matches!(
        try_write(&mut audit, 2).unwrap_err(),
        StateError::Newer { .. }
    ));
    assert!(matches!(
        verify_audit(&root).unwrap_err(),
        StateError::Newer { .. }
    ));
    assert_eq!(fs::read(first(&root)).unwrap(), text);
}

#[test]
fn garbage_in_place_of_a_log_is_told_for_as_long_as_it_is_there() {
    let (_room, root) = room();
    fs::create_dir_all(root.join("audit")).unwrap();
    fs::write(first(&root), vec![b'x'; 100_000]).unwrap();
    fs::write(root.join("audit/notes.jsonl"), "mine").unwrap();
    fs::write(root.join("audit/2.jsonl"), "mine").unwrap();
    let found = check(&root);
    assert_eq!((found.files, found.entries, found.unfinished), (1, 0, 1));
    write(&mut log(&root, AuditOptions::default()), 1);
    let found = check(&root);
    assert_eq!((found.files, found.entries, found.unfinished), (2, 1, 1));
}
