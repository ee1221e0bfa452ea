//! Damage in one copy that meets a write which a kill left in one copy only.

use std::fs;
use std::os::unix::fs::FileExt;
use std::path::Path;

use lagan_model::digest::Digest;
use lagan_model::journal::{Group, JournalStore};

use super::damage::copy;
use super::{Everything, create, digests, everything, intents, manifest, open, room, wait};
use crate::Notice;

/// Intents whose manifests take the store more than one of its segments, so that opening it reads few of them.
fn large(number: u64, size: u64) -> Group {
    let contents = (0..size).map(|n| manifest(number * 1000 + n, 6000)).collect();
    Group {
        contents,
        ..intents(number, size)
    }
}

/// A journal whose mirror is one write ahead of its store, as a kill between the two syncs leaves it; what it holds.
fn one_write_ahead(room: &Path, root: &Path) -> (Everything, Vec<Digest>) {
    let mut groups: Vec<Group> = (0..30).map(|number| large(number, 10)).collect();
    let journal = create(root);
    for group in &groups {
        wait(journal.append(group.clone())).unwrap();
    }
    journal.close().unwrap();
    open(root).unwrap().close().unwrap();
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
    let name = "journal.1/store/db";
    let length = fs::metadata(root.join(name)).unwrap().len();
    let trial = room.path().join("trial");
    let (mut finished, mut rebuilt) = (0, 0);
    for offset in (0..40).map(|place| place * length / 40) {
        copy(&root, &trial);
        let file = fs::OpenOptions::new().write(true).open(trial.join(name)).unwrap();
        file.write_all_at(&[0; 600], offset).unwrap();
        let place = format!("byte {offset}");
        let mut journal = open(&trial).unwrap_or_else(|error| panic!("{place}: {error:?}"));
        let readable = || everything(&journal, &contents);
        if std::panic::catch_unwind(std::panic::AssertUnwindSafe(readable)).is_err() {
            drop(journal);
            journal = open(&trial).unwrap_or_else(|error| panic!("{place}, again: {error:?}"));
        }
        assert_eq!(everything(&journal, &contents), expected, "{place}");
        for notice in journal.notices() {
            match notice {
                Notice::Finished { .. } => finished += 1,
                Notice::Rebuilt { .. } => rebuilt += 1,
                other => panic!("{place}: {other:?}"),
            }
        }
        drop(journal);
        fs::remove_dir_all(&trial).unwrap();
    }
    assert!(
        finished > 0 && rebuilt > 0,
        "{finished} finished, {rebuilt} rebuilt"
    );
}
