//! Checking a journal, and writing it anew.

use std::fs;

use lagan_model::journal::{Effect, Group, JournalStore, Sequence};

use super::damage::copy;
use super::{create, digests, entry, everything, intents, open, options, room, run, wait};
use crate::{Notice, Problem, StateError, compact, verify};

fn filled(root: &std::path::Path) -> Vec<Group> {
    let journal = create(root);
    let mut groups: Vec<Group> = (0..20).map(|number| intents(number, 1 + number % 4)).collect();
    groups.push(Group {
        contents: Vec::new(),
        entries: vec![entry(run(7), Effect::Settles(Sequence(4)), "{}")],
        ..Group::default()
    });
    for group in &groups {
        wait(journal.append(group.clone())).unwrap();
    }
    journal.close().unwrap();
    groups
}

/// The lines of a mirror; contents may stand in another order within their group.
fn lines(mirror: &std::path::Path) -> Vec<String> {
    let text = fs::read_to_string(mirror).unwrap();
    let mut lines: Vec<_> = text.lines().map(str::to_owned).collect();
    lines.sort();
    lines
}

#[test]
fn a_sound_journal_is_found_sound() {
    let (_room, root) = room();
    let groups = filled(&root);
    let verification = verify(&root, &options()).unwrap();
    assert_eq!(verification.problems, []);
    assert_eq!(verification.wrong, 0);
    assert_eq!(verification.records, 51);
    assert_eq!(verification.contents, digests(&groups).len() as u64);
    assert_eq!(verification.notices, []);
    assert!(matches!(
        verify(&root.join("none"), &options()),
        Err(StateError::Absent { .. })
    ));
}

#[test]
fn damage_long_before_the_last_checkpoint_is_found_and_repaired_at_the_next_opening() {
    let (_room, root) = room();
    let groups = filled(&root);
    let contents = digests(&groups);
    let before = everything(&create(&root), &contents);
    let mirror = root.join("journal.1/mirror.jsonl");
    let mut text = fs::read(&mirror).unwrap();
    text[2_000] ^= 4;
    fs::write(&mirror, &text).unwrap();
    let verification = verify(&root, &options()).unwrap();
    assert!(verification.wrong > 0);
    assert!(matches!(
        &verification.problems[0],
        Problem::OneCopy { copy: "mirror", .. }
    ));
    let journal = create(&root);
    assert!(matches!(journal.notices(), [Notice::Rebuilt { .. }]));
    assert_eq!(everything(&journal, &contents), before);
    drop(journal);
    assert_eq!(verify(&root, &options()).unwrap().wrong, 0);
}

#[test]
fn a_journal_that_is_written_anew_holds_the_same() {
    let (_room, root) = room();
    let groups = filled(&root);
    let contents = digests(&groups);
    let journal = create(&root);
    // The store's file grows by what is replaced.
    for number in 100..160 {
        let first = wait(journal.append(intents(number, 1))).unwrap();
        let settled = Group {
            contents: Vec::new(),
            entries: vec![entry(run(9), Effect::Settles(first), "{}")],
            ..Group::default()
        };
        wait(journal.append(settled)).unwrap();
    }
    let before = everything(&journal, &contents);
    drop(journal);
    let written = lines(&root.join("journal.1/mirror.jsonl"));
    let compaction = compact(&root, &options()).unwrap();
    assert_eq!(compaction.records, 171);
    assert!(compaction.before > 0 && compaction.after > 0, "{compaction:?}");
    assert_eq!(lines(&root.join("journal.2/mirror.jsonl")), written);
    let journal = open(&root).unwrap();
    assert_eq!(journal.notices(), []);
    assert_eq!(everything(&journal, &contents), before);
    assert!(!root.join("journal.1").exists() && !root.join("aside").exists());
    drop(journal);
    assert_eq!(verify(&root, &options()).unwrap().wrong, 0);
}

#[test]
fn a_newer_journal_below_a_backup_that_was_restored_over_it_is_kept_aside() {
    let (room, root) = room();
    filled(&root);
    let backup = room.path().join("backup");
    copy(&root, &backup);
    compact(&root, &options()).unwrap();
    let journal = open(&root).unwrap();
    wait(journal.append(intents(80, 3))).unwrap();
    journal.close().unwrap();
    copy(&backup.join("journal.1"), &root.join("journal.1"));
    fs::copy(backup.join("lagan-state.json"), root.join("lagan-state.json")).unwrap();

    let journal = open(&root).unwrap();
    let aside = root.join("aside/journal.2");
    assert_eq!(journal.notices(), &[Notice::NewerAside { aside: aside.clone() }]);
    assert!(wait(journal.entry(Sequence(52))).unwrap().is_none());
    drop(journal);
    assert_eq!(open(&root).unwrap().notices(), []);
    // By itself it is a state directory.
    let other = room.path().join("other");
    crate::files::create_directory(&other).unwrap();
    fs::rename(aside, other.join("journal.2")).unwrap();
    let journal = open(&other).unwrap();
    assert!(wait(journal.entry(Sequence(54))).unwrap().is_some());
}

#[test]
fn a_journal_with_one_damaged_copy_is_repaired_and_then_written_anew() {
    let (room, root) = room();
    let groups = filled(&root);
    let contents = digests(&groups);
    let before = everything(&create(&root), &contents);
    let trial = room.path().join("trial");
    let length = fs::metadata(root.join("journal.1/store/db")).unwrap().len();
    let places = (1..20).map(|place| ("store/db", place * length / 20));
    let mut repaired = 0;
    for (name, offset) in [("mirror.jsonl", 2_000)].into_iter().chain(places) {
        copy(&root, &trial);
        let damaged = trial.join("journal.1").join(name);
        let mut bytes = fs::read(&damaged).unwrap();
        bytes[usize::try_from(offset).unwrap()..][..40].fill(b'#');
        fs::write(&damaged, &bytes).unwrap();
        let done = compact(&trial, &options()).unwrap_or_else(|error| panic!("{name} {offset}: {error:?}"));
        assert_eq!(done.records, 51);
        if let [Notice::Rebuilt { aside, .. }] = &done.notices[..] {
            repaired += 1;
            assert!(aside.join("mirror.jsonl").exists());
        }
        let journal = open(&trial).unwrap();
        assert_eq!(journal.notices(), []);
        assert_eq!(everything(&journal, &contents), before, "{name} {offset}");
        drop(journal);
        fs::remove_dir_all(&trial).unwrap();
    }
    assert!(repaired > 1, "{repaired}");
}

#[test]
fn a_journal_that_lacks_a_record_is_not_written_anew_over_what_it_was() {
    let (_room, root) = room();
    filled(&root);
    let mirror = root.join("journal.1/mirror.jsonl");
    let mut text = fs::read(&mirror).unwrap();
    text[2_000] ^= 4;
    fs::write(&mirror, &text).unwrap();
    fs::remove_dir_all(root.join("journal.1/store")).unwrap();
    for _ in 0..2 {
        assert!(matches!(compact(&root, &options()), Err(StateError::Lost { .. })));
        assert_eq!(fs::read(&mirror).unwrap(), text);
    }
}
