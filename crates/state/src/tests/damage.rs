//! Damage in either copy: a record that is sound in one of them is kept, or nothing is opened.

use std::fs;
use std::path::{Path, PathBuf};

use lagan_model::digest::Digest;
use lagan_model::journal::{Effect, Group, JournalStore, Sequence};

use super::{Everything, create, digests, entry, everything, intents, open, room, run, wait};
use crate::{Notice, Problem, StateError};

/// A journal with something of everything; what it holds, and the contents in it.
fn filled(root: &Path) -> (Everything, Vec<Digest>) {
    let journal = create(root);
    let mut groups: Vec<Group> = (0..12).map(|number| intents(number, 1 + number % 3)).collect();
    let outcome = |number| Group {
        contents: Vec::new(),
        entries: vec![entry(
            run(1),
            Effect::Settles(Sequence(number)),
            "{\"outcome\":true}",
        )],
        ..Group::default()
    };
    groups.extend([3, 1, 9].map(outcome));
    groups.push(intents(50, 2));
    for group in &groups {
        wait(journal.append(group.clone())).unwrap();
    }
    let contents = digests(&groups);
    let all = everything(&journal, &contents);
    journal.close().unwrap();
    (all, contents)
}

pub(super) fn copy(from: &Path, to: &Path) {
    use std::os::unix::fs::PermissionsExt;
    fs::create_dir(to).unwrap();
    fs::set_permissions(to, fs::Permissions::from_mode(0o700)).unwrap();
    for file in fs::read_dir(from).unwrap() {
        let file = file.unwrap();
        let target = to.join(file.file_name());
        if file.file_type().unwrap().is_dir() {
            copy(&file.path(), &target);
        } else {
            fs::copy(file.path(), target).unwrap();
        }
    }
}

fn files(directory: &Path, found: &mut Vec<PathBuf>) {
    for file in fs::read_dir(directory).unwrap() {
        let path = file.unwrap().path();
        if path.is_dir() {
            files(&path, found);
        } else {
            found.push(path);
        }
    }
}

/// Numbers that are spread without being regular.
fn spread(count: u64, below: u64) -> impl Iterator<Item = u64> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    std::iter::repeat_with(move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    })
    .map(move |value| value % below)
    .take(usize::try_from(count).unwrap())
}

#[test]
fn a_bit_that_flips_anywhere_in_either_copy_costs_no_record() {
    let (room, root) = room();
    let (expected, contents) = filled(&root);
    let mut all = Vec::new();
    files(&root, &mut all);
    let in_copies = [
        "mirror.jsonl",
        "checkpoint.json",
        "db",
        "conf",
        "lagan-state.json",
    ];
    let chosen = all.iter().filter(|path| {
        in_copies.iter().any(|name| path.ends_with(name)) || path.to_string_lossy().contains("snap.")
    });
    let mut rebuilt = 0;
    let mut trials = 0;
    for path in chosen {
        let name = path.strip_prefix(&root).unwrap();
        let length = fs::metadata(path).unwrap().len();
        let count = if name.ends_with("mirror.jsonl") || name.ends_with("db") {
            30
        } else {
            6
        };
        for (number, offset) in spread(count, length * 8).enumerate() {
            let trial = room.path().join(format!("trial{number}"));
            copy(&root, &trial);
            let mut bytes = fs::read(trial.join(name)).unwrap();
            bytes[usize::try_from(offset / 8).unwrap()] ^= 1 << (offset % 8);
            fs::write(trial.join(name), bytes).unwrap();
            let place = format!("bit {offset} of {}", name.display());
            check(&trial, &expected, &contents, &place, &mut rebuilt);
            trials += 1;
            fs::remove_dir_all(&trial).unwrap();
        }
    }
    assert!(trials > 70 && rebuilt > 0, "{rebuilt} of {trials} were rebuilt");
}

#[test]
fn a_copy_that_is_cut_anywhere_costs_no_record() {
    let (room, root) = room();
    let (expected, contents) = filled(&root);
    let mut rebuilt = 0;
    for name in [
        "journal.1/mirror.jsonl",
        "journal.1/store/db",
        "journal.1/store/conf",
    ] {
        let length = fs::metadata(root.join(name)).unwrap().len();
        for (number, keep) in spread(14, length).chain([0]).enumerate() {
            let trial = room.path().join(format!("trial{number}"));
            copy(&root, &trial);
            let file = fs::OpenOptions::new().write(true).open(trial.join(name)).unwrap();
            file.set_len(keep).unwrap();
            check(
                &trial,
                &expected,
                &contents,
                &format!("{name} cut at {keep}"),
                &mut rebuilt,
            );
            fs::remove_dir_all(&trial).unwrap();
        }
    }
    assert!(rebuilt > 0);
}

#[test]
fn a_copy_that_is_missing_is_made_anew_from_the_other() {
    let (room, root) = room();
    let (expected, contents) = filled(&root);
    for name in [
        "journal.1/mirror.jsonl",
        "journal.1/store",
        "journal.1/checkpoint.json",
    ] {
        let trial = room.path().join("trial");
        copy(&root, &trial);
        let path = trial.join(name);
        if path.is_dir() {
            fs::remove_dir_all(path).unwrap();
        } else {
            fs::remove_file(path).unwrap();
        }
        let mut rebuilt = 0;
        check(&trial, &expected, &contents, name, &mut rebuilt);
        assert_eq!(rebuilt, i32::from(!name.ends_with("checkpoint.json")), "{name}");
        fs::remove_dir_all(&trial).unwrap();
    }
}

/// Opens a damaged directory; all is there, at once and in a journal that is used and opened again.
fn check(root: &Path, expected: &Everything, contents: &[Digest], place: &str, rebuilt: &mut i32) {
    let mut journal = open(root).unwrap_or_else(|e| panic!("{place}: {e:?}"));
    // Old damage in the store is met by reading; then the next opening has to repair it.
    let readable = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| everything(&journal, contents)));
    if readable.is_err() {
        drop(journal);
        journal = open(root).unwrap_or_else(|e| panic!("{place}, again: {e:?}"));
        assert!(
            journal
                .notices()
                .iter()
                .any(|n| matches!(n, Notice::Rebuilt { .. })),
            "{place}"
        );
    }
    assert_eq!(&everything(&journal, contents), expected, "{place}");
    for notice in journal.notices() {
        if let Notice::Rebuilt { aside, .. } = notice {
            *rebuilt += 1;
            assert!(
                aside.join("mirror.jsonl").exists() || aside.join("store").exists(),
                "{place}"
            );
        }
    }
    let sequence = wait(journal.append(intents(90, 2))).unwrap();
    assert_eq!(sequence.0, expected.entries.len() as u64 + 1, "{place}");
    journal.close().unwrap();
    let journal = open(root).unwrap();
    assert_eq!(journal.notices(), &[], "{place}");
    assert_eq!(
        wait(journal.open_entries()).unwrap().len(),
        expected.open.len() + 2
    );
}

fn lines(root: &Path) -> Vec<Vec<u8>> {
    let mirror = fs::read(root.join("journal.1/mirror.jsonl")).unwrap();
    mirror
        .split_inclusive(|byte| *byte == b'\n')
        .map(<[u8]>::to_vec)
        .collect()
}

fn write_lines(root: &Path, lines: &[Vec<u8>]) {
    fs::write(root.join("journal.1/mirror.jsonl"), lines.concat()).unwrap();
}

fn lost(root: &Path) -> Problem {
    match open(root) {
        Err(StateError::Lost { problem, .. }) => problem,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_record_that_is_in_neither_copy_is_a_refusal() {
    let (_room, root) = room();
    filled(&root);
    let mut mirror = lines(&root);
    let place = mirror
        .iter()
        .position(|line| String::from_utf8_lossy(line).contains("\"seq\":5,"))
        .unwrap();
    mirror.remove(place);
    write_lines(&root, &mirror);
    fs::remove_dir_all(root.join("journal.1/store")).unwrap();
    let before = lines(&root);
    for _ in 0..2 {
        assert_eq!(
            lost(&root),
            Problem::Missing {
                sequence: Sequence(5)
            }
        );
        assert_eq!(lines(&root), before);
    }
}

#[test]
fn a_record_that_does_not_follow_the_one_before_it_is_a_refusal() {
    let (_room, root) = room();
    filled(&root);
    let mut mirror = lines(&root);
    let record = |number: u64| {
        let number = format!("\"seq\":{number},");
        let of = |line: &Vec<u8>| String::from_utf8_lossy(line).contains(&number);
        mirror.iter().position(of).unwrap()
    };
    let (place, other) = (record(5), record(3));
    let read = |place: usize| serde_json::from_slice::<serde_json::Value>(&mirror[place]).unwrap();
    // Each line is as somebody wrote it, and it is of another history.
    let mut line = read(place);
    line["prev"] = read(other)["prev"].clone();
    line.as_object_mut().unwrap().remove("sha256");
    let (mut sealed, _) = crate::format::line::seal(&line).unwrap();
    sealed.push(b'\n');
    mirror[place] = sealed;
    write_lines(&root, &mirror);
    fs::remove_dir_all(root.join("journal.1/store")).unwrap();
    let unchained = Problem::Unchained {
        sequence: Sequence(5),
    };
    assert_eq!(lost(&root), unchained);
}

#[test]
fn a_content_that_is_in_neither_copy_is_a_refusal() {
    let (_room, root) = room();
    filled(&root);
    let mut mirror = lines(&root);
    let place = mirror
        .iter()
        .position(|line| String::from_utf8_lossy(line).contains("\"content\":"))
        .unwrap();
    mirror.remove(place);
    write_lines(&root, &mirror);
    fs::remove_dir_all(root.join("journal.1/store")).unwrap();
    assert!(matches!(
        lost(&root),
        Problem::Content {
            sequence: Sequence(1),
            ..
        }
    ));
}

#[test]
fn records_that_were_there_at_the_last_checkpoint_must_be_there() {
    let (_room, root) = room();
    filled(&root);
    let mirror = lines(&root);
    write_lines(&root, &mirror[..mirror.len() - 6]);
    fs::remove_dir_all(root.join("journal.1/store")).unwrap();
    assert!(matches!(lost(&root), Problem::Short { .. }));
}

#[test]
fn lines_of_another_journal_are_a_refusal() {
    let (room, root) = room();
    filled(&root);
    let other = room.path().join("other");
    filled(&other);
    let of = |root: &Path, name: &str| root.join("journal.1").join(name);
    fs::copy(of(&other, "mirror.jsonl"), of(&root, "mirror.jsonl")).unwrap();
    assert!(matches!(lost(&root), Problem::Forked { .. }));
}

#[test]
fn a_half_written_snapshot_is_set_aside() {
    let (_room, root) = room();
    let (expected, contents) = filled(&root);
    let name = "snap.00000000000000FF.generating";
    fs::write(root.join("journal.1/store").join(name), "half").unwrap();
    let journal = open(&root).unwrap();
    assert_eq!(
        journal.notices(),
        &[Notice::SetAside {
            name: name.to_owned()
        }]
    );
    assert_eq!(everything(&journal, &contents), expected);
    assert!(root.join("aside").join(name).exists());
}

#[test]
fn a_copy_that_the_disk_cannot_read_is_made_anew_from_the_other() {
    for name in ["mirror.jsonl", "store/db"] {
        let (_room, root) = room();
        let (expected, contents) = filled(&root);
        let path = root.join("journal.1").join(name);
        fs::remove_file(&path).unwrap();
        // Reading a process's memory at address 0 is an input/output error.
        std::os::unix::fs::symlink("/proc/self/mem", &path).unwrap();
        let journal = open(&root).unwrap();
        assert!(
            matches!(journal.notices(), [Notice::Rebuilt { .. }]),
            "{name}: {:?}",
            journal.notices()
        );
        assert_eq!(everything(&journal, &contents), expected, "{name}");
    }
}

#[test]
fn a_copy_that_became_something_else_is_made_anew_from_the_other() {
    for name in ["mirror.jsonl", "store"] {
        let (_room, root) = room();
        let (expected, contents) = filled(&root);
        let path = root.join("journal.1").join(name);
        if path.is_dir() {
            fs::remove_dir_all(&path).unwrap();
            fs::write(&path, "no directory").unwrap();
        } else {
            fs::remove_file(&path).unwrap();
            fs::create_dir(&path).unwrap();
        }
        let journal = open(&root).unwrap();
        assert!(
            matches!(journal.notices(), [Notice::Rebuilt { .. }]),
            "{name}: {:?}",
            journal.notices()
        );
        assert_eq!(everything(&journal, &contents), expected, "{name}");
    }
}

#[test]
fn what_names_the_journal_and_what_is_compared_may_be_unreadable() {
    for name in ["lagan-state.json", "journal.1/checkpoint.json"] {
        let (_room, root) = room();
        let (expected, contents) = filled(&root);
        fs::remove_file(root.join(name)).unwrap();
        std::os::unix::fs::symlink("/proc/self/mem", root.join(name)).unwrap();
        let journal = open(&root).unwrap();
        assert_eq!(everything(&journal, &contents), expected, "{name}");
    }
}

#[test]
fn a_refusal_leaves_no_copies_behind() {
    let (_room, root) = room();
    filled(&root);
    let mirror = lines(&root);
    write_lines(&root, &mirror[..3]);
    fs::remove_dir_all(root.join("journal.1/store")).unwrap();
    lost(&root);
    let mut names: Vec<_> = fs::read_dir(&root)
        .unwrap()
        .map(|file| file.unwrap().file_name())
        .collect();
    names.sort();
    assert_eq!(names, ["ballast", "journal.1", "lagan-state.json", "lock"]);
}
