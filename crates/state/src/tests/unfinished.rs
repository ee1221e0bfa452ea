//! Damage in the store that is met when something is written.

use std::fs;
use std::os::unix::fs::FileExt;
use std::path::Path;

use lagan_model::digest::Digest;
use lagan_model::journal::{Group, JournalStore};

use super::damage::copy;
use super::{Everything, create, digests, everything, intents, manifest, open, room, wait};
use crate::{Notice, StateError};

/// Intents whose manifests take the store more than one of its segments, so that opening it reads few of them.
fn large(number: u64, size: u64) -> Group {
    let contents = (0..size).map(|n| manifest(number * 1000 + n, 6000)).collect();
    Group {
        contents,
        ..intents(number, size)
    }
}

/// Opens and closes a journal with so many contents, so that little of its store is read when it is opened.
fn filled(root: &Path) -> Vec<Group> {
    let groups: Vec<Group> = (0..30).map(|number| large(number, 10)).collect();
    let journal = create(root);
    for group in &groups {
        wait(journal.append(group.clone())).unwrap();
    }
    journal.close().unwrap();
    open(root).unwrap().close().unwrap();
    groups
}

/// A copy of `root` for each of some places in its store, damaged there.
fn damaged(room: &Path, root: &Path, mut check: impl FnMut(&Path, &str)) {
    let name = "journal.1/store/db";
    let length = fs::metadata(root.join(name)).unwrap().len();
    let trial = room.join("trial");
    for offset in (0..20).map(|place| place * length / 20) {
        copy(root, &trial);
        let file = fs::OpenOptions::new().write(true).open(trial.join(name)).unwrap();
        file.write_all_at(&[0; 600], offset).unwrap();
        check(&trial, &format!("byte {offset}"));
        fs::remove_dir_all(&trial).unwrap();
    }
}

/// A journal whose mirror is one write ahead of its store, as a kill between the two syncs leaves it; what it holds.
fn one_write_ahead(room: &Path, root: &Path) -> (Everything, Vec<Digest>) {
    let mut groups = filled(root);
    let before = room.join("before");
    copy(root, &before);
    let journal = create(root);
    groups.push(large(70, 60));
    wait(journal.append(groups.last().unwrap().clone())).unwrap();
    let contents = digests(&groups);
    let all = everything(&journal, &contents);
    journal.close().unwrap();
    let mirror = "journal.1/mirror.jsonl";
    fs::copy(root.join(mirror), before.join(mirror)).unwrap();
    fs::remove_dir_all(root).unwrap();
    fs::rename(before, root).unwrap();
    (all, contents)
}

#[test]
fn a_damaged_page_and_a_write_that_was_not_finished_cost_no_record() {
    let (room, root) = room();
    let (expected, contents) = one_write_ahead(room.path(), &root);
    let (mut finished, mut rebuilt) = (0, 0);
    damaged(room.path(), &root, |trial, place| {
        let mut journal = open(trial).unwrap_or_else(|error| panic!("{place}: {error:?}"));
        let readable = || everything(&journal, &contents);
        if std::panic::catch_unwind(std::panic::AssertUnwindSafe(readable)).is_err() {
            drop(journal);
            journal = open(trial).unwrap_or_else(|error| panic!("{place}, again: {error:?}"));
        }
        assert_eq!(everything(&journal, &contents), expected, "{place}");
        for notice in journal.notices() {
            match notice {
                Notice::Finished { .. } => finished += 1,
                Notice::Rebuilt { .. } => rebuilt += 1,
                other => panic!("{place}: {other:?}"),
            }
        }
    });
    assert!(
        finished > 0 && rebuilt > 0,
        "{finished} finished, {rebuilt} rebuilt"
    );
}

#[test]
fn damage_that_a_write_meets_is_repaired_at_the_next_opening() {
    let (room, root) = room();
    let mut groups = filled(&root);
    groups.push(large(70, 60));
    let contents = digests(&groups);
    let mut met = 0;
    damaged(room.path(), &root, |trial, place| {
        let journal = open(trial).unwrap_or_else(|error| panic!("{place}: {error:?}"));
        let write = || groups[30].clone();
        let Err(error) = wait(journal.append(write())) else {
            return;
        };
        met += 1;
        let error = StateError::from(error);
        assert!(error.is_damage(), "{place}: {error:?}");
        assert!(error.hint().unwrap().starts_with("run it again"));
        assert!(journal.has_failed());
        drop(journal);
        let journal = open(trial).unwrap_or_else(|error| panic!("{place}, again: {error:?}"));
        let notices = journal.notices();
        assert!(
            matches!(notices, [Notice::Rebuilt { .. }]),
            "{place}: {notices:?}"
        );
        if wait(journal.open_entries()).unwrap().len() == 300 {
            wait(journal.append(write())).unwrap_or_else(|error| panic!("{place}, again: {error:?}"));
        }
        let all = everything(&journal, &contents);
        assert_eq!((all.entries.len(), all.contents.len()), (360, 360), "{place}");
    });
    assert!(met > 0);
}

#[test]
fn damage_that_is_read_is_told_in_words_and_repaired_at_the_next_opening() {
    let (room, root) = room();
    let groups = filled(&root);
    let contents = digests(&groups);
    let mut met = 0;
    damaged(room.path(), &root, |trial, place| {
        let journal = open(trial).unwrap_or_else(|error| panic!("{place}: {error:?}"));
        let read = contents
            .iter()
            .try_for_each(|digest| wait(journal.content(digest)).map(drop));
        let Err(error) = read else {
            return;
        };
        met += 1;
        let error = StateError::from(error);
        assert!(error.is_damage(), "{place}: {error:?}");
        assert!(error.hint().unwrap().starts_with("run it again"));
        let cause = std::error::Error::source(&error).unwrap();
        let told = cause.to_string();
        assert!(!told.contains("Inline") && !told.contains("backtrace"), "{told}");
        assert!(cause.source().is_none(), "{told}");
        drop(journal);
        let journal = open(trial).unwrap_or_else(|error| panic!("{place}, again: {error:?}"));
        let notices = journal.notices();
        assert!(
            matches!(notices, [Notice::Rebuilt { .. }]),
            "{place}: {notices:?}"
        );
        assert_eq!(everything(&journal, &contents).contents.len(), 300, "{place}");
    });
    assert!(met > 0);
}
