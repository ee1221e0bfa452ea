//! Processes that are killed while they open a journal, while they write, and while they write it anew, and one whose
//! files may not grow.

use std::env;
use std::fs::{self, OpenOptions};
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use lagan_model::journal::{Effect, Group, JournalStore, Sequence};

use super::damage::copy;
use super::{Unsynced, create, entry, manifest, open, options, room, run, wait};
use crate::verify::{compact_on, verify};
use crate::{DiskJournal, Notice};

const DIRECTORY: &str = "LAGAN_STATE_TEST_DIRECTORY";

/// What is done and no more: the journal is opened, or it is written anew.
const ONLY: &str = "LAGAN_STATE_TEST_ONLY";

/// How many processes each test kills.
fn kills() -> u32 {
    env::var("LAGAN_STATE_KILLS").map_or(50, |text| text.parse().unwrap())
}

/// The group that begins at a number: three records and two manifests, known from the number alone.
fn group(first: u64) -> Group {
    let contents = vec![manifest(first, 900), manifest(first + 1, 6_000)];
    let body = |number: u64| format!("{{\"number\":{number}}}");
    let of = run(first / 30);
    let entries = vec![
        entry(of, Effect::Opens, &body(first)),
        entry(of, Effect::Settles(Sequence(first)), &body(first + 1)),
        entry(of, Effect::Opens, &body(first + 2)),
    ];
    Group {
        contents,
        entries,
        needs_room: true,
    }
}

/// What the other tests of this module run as a process of its own: says when it begins to open the journal, when that is
/// open, and the number of each record that is durable.
#[test]
#[ignore = "run by the other tests of this module"]
fn child() {
    let root = env::var_os(DIRECTORY).expect("run by the other tests of this module");
    let mut out = std::io::stdout();
    writeln!(out, "\nopening").unwrap();
    let only = env::var(ONLY).unwrap_or_default();
    if only == "anew" {
        compact_on(Path::new(&root), &options(), Arc::new(Unsynced)).unwrap();
        writeln!(out, "open").unwrap();
        return;
    }
    let journal = create(Path::new(&root));
    if only == "open" {
        writeln!(out, "open").unwrap();
        loop {
            thread::park();
        }
    }
    let mut next = 1;
    while wait(journal.entry(Sequence(next))).unwrap().is_some() {
        next += 3;
    }
    writeln!(out, "\nopen").unwrap();
    loop {
        match wait(journal.append(group(next))) {
            Ok(first) => assert_eq!(first, Sequence(next)),
            Err(error) => {
                writeln!(out, "failed {error}").unwrap();
                return;
            }
        }
        writeln!(out, "durable {}", next + 2).unwrap();
        next += 3;
    }
}

fn spawn(command: &mut Command, root: &Path) -> Child {
    command
        .args([
            "--exact",
            "tests::kill::child",
            "--ignored",
            "--nocapture",
            "--test-threads=1",
        ])
        .env(DIRECTORY, root)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

fn number_of(line: &str) -> Option<u64> {
    line.strip_prefix("durable ")?.parse().ok()
}

/// All that is there is whole and right; the last number.
fn check(journal: &DiskJournal) -> u64 {
    let mut next = 1;
    while wait(journal.entry(Sequence(next))).unwrap().is_some() {
        for (number, expected) in (next..).zip(group(next).entries) {
            let found = wait(journal.entry(Sequence(number))).unwrap();
            assert_eq!(found, Some((expected.run, expected.body)), "record {number}");
        }
        for (digest, bytes) in group(next).contents {
            assert_eq!(wait(journal.content(&digest)).unwrap(), Some(bytes));
        }
        next += 3;
    }
    let open: Vec<_> = (1..next).step_by(3).map(|first| Sequence(first + 2)).collect();
    assert_eq!(wait(journal.open_entries()).unwrap(), open);
    next - 1
}

#[test]
fn what_was_acknowledged_survives_being_killed() {
    let (_room, root) = room();
    let binary = env::current_exe().unwrap();
    let mut durable = 0;
    let mut notices = Vec::new();
    for round in 0..kills() {
        let mut child = spawn(&mut Command::new(&binary), &root);
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        // Between two acknowledgements.
        let mut acknowledgements = 1 + round % 4 * 2 + round % 40 / 8;
        for line in lines.map_while(Result::ok) {
            if let Some(number) = number_of(&line) {
                durable = number;
                acknowledgements = acknowledgements.saturating_sub(1);
                if acknowledgements == 0 {
                    child.kill().unwrap();
                }
            }
        }
        child.wait().unwrap();
        if round % 4 == 3 {
            let journal = create(&root);
            let last = check(&journal);
            assert!(last >= durable, "round {round}: {last} of {durable} are there");
            notices.extend(journal.notices().to_vec());
        }
    }
    assert!(durable > u64::from(kills()) * 6, "{durable}");
    let rebuilt = |notice: &&Notice| matches!(notice, Notice::Rebuilt { .. });
    assert_eq!(notices.iter().find(rebuilt), None);
}

/// A journal of so many records, closed.
fn filled(root: &Path, records: u64) {
    let journal = create(root);
    for first in (1..=records).step_by(3) {
        wait(journal.append(group(first))).unwrap();
    }
    journal.close().unwrap();
}

/// Kills processes before they say that they have opened a journal, each a little later than the one before. `prepare`
/// makes the directory ready for the next one, and tells whether it is another one. All `records` are there afterwards.
fn killed_at_work(root: &Path, only: &str, records: u64, prepare: impl Fn() -> bool) {
    let binary = env::current_exe().unwrap();
    // How long it takes when nobody kills it: the shortest that was seen.
    let mut whole = None;
    let mut interrupted = 0;
    for round in 0..=kills() {
        let anew = prepare();
        let mut child = spawn(Command::new(&binary).env(ONLY, only), root);
        let mut lines = BufReader::new(child.stdout.take().unwrap())
            .lines()
            .map_while(Result::ok);
        assert!(lines.any(|line| line == "opening"), "round {round}");
        let began = Instant::now();
        if let Some(whole) = whole {
            let until: Duration = whole * round / kills();
            while began.elapsed() < until {
                std::hint::spin_loop();
            }
            child.kill().unwrap();
        }
        let is_open = lines.any(|line| line == "open");
        let took = began.elapsed();
        if is_open {
            whole = Some(whole.map_or(took, |whole| took.min(whole)));
        } else {
            interrupted += 1;
        }
        // It may have been.
        child.kill().unwrap();
        child.wait().unwrap();
        // Most find what the one before left, unless that is prepared anew.
        if !anew && round % 5 < 4 {
            continue;
        }
        let journal = create(root);
        let last = check(&journal);
        assert!(last >= records, "round {round}: {last} of {records} are there");
        journal.close().unwrap();
        let unfinished = fs::read_dir(root).unwrap().map(|file| file.unwrap().file_name());
        let unfinished = unfinished.filter(|name| name.to_string_lossy().contains("building"));
        assert_eq!(unfinished.count(), 0, "round {round}");
    }
    assert!(interrupted > kills() / 3, "{interrupted} of {}", kills());
    assert_eq!(verify(root, &options()).unwrap().wrong, 0);
}

#[test]
fn opening_a_journal_may_be_killed_at_any_moment() {
    let (_room, root) = room();
    filled(&root, 90);
    // Each one finds what the one before left, and half a record behind it.
    killed_at_work(&root, "open", 90, || {
        let generation = fs::read_dir(&root).unwrap().map(|file| file.unwrap().path());
        let mut journals = generation.filter(|path| path.join("mirror.jsonl").exists());
        let mirror = journals.next().unwrap().join("mirror.jsonl");
        let mut mirror = OpenOptions::new().append(true).open(mirror).unwrap();
        mirror.write_all(b"{\"half").unwrap();
        false
    });
}

#[test]
fn creating_a_journal_may_be_killed_at_any_moment() {
    let (_room, root) = room();
    killed_at_work(&root, "open", 0, || {
        if root.exists() {
            fs::remove_dir_all(&root).unwrap();
        }
        true
    });
}

#[test]
fn building_a_journal_anew_may_be_killed_at_any_moment() {
    let (room, root) = room();
    let damaged = room.path().join("damaged");
    filled(&damaged, 90);
    fs::remove_dir_all(damaged.join("journal.1/store")).unwrap();
    killed_at_work(&root, "open", 90, || {
        if root.exists() {
            fs::remove_dir_all(&root).unwrap();
        }
        copy(&damaged, &root);
        true
    });
}

#[test]
fn writing_a_journal_anew_may_be_killed_at_any_moment() {
    let (_room, root) = room();
    filled(&root, 90);
    killed_at_work(&root, "anew", 90, || false);
}

#[test]
fn a_file_that_cannot_grow_is_an_error_and_costs_no_record() {
    let (room, _) = room();
    let binary = env::current_exe().unwrap();
    for blocks in [1, 40, 700, 1_100, 2_100] {
        let root = room.path().join(format!("state{blocks}"));
        create(&root).close().unwrap();
        let mut command = Command::new("sh");
        // Without the signal, a write beyond the limit is an error.
        let script = format!("trap '' XFSZ; ulimit -f {blocks}; exec \"$0\" \"$@\"");
        command.arg("-c").arg(script).arg(&binary);
        let mut child = spawn(&mut command, &root);
        let mut durable = 0;
        let mut lines = BufReader::new(child.stdout.take().unwrap())
            .lines()
            .map_while(Result::ok);
        let ended = lines.by_ref().find(|line| {
            durable = number_of(line).unwrap_or(durable);
            line.starts_with("failed")
        });
        lines.for_each(drop);
        child.wait().unwrap();
        // The store alone takes 1,024 blocks.
        if blocks > 1_024 {
            let ended = ended.unwrap();
            assert!(ended.starts_with("failed "), "{blocks}: {ended}");
            assert!(durable > 0, "{blocks}");
        }
        let journal = open(&root).unwrap();
        let last = check(&journal);
        assert!(last >= durable, "{blocks}: {last} of {durable} are there");
        wait(journal.append(group(last + 1))).unwrap();
    }
}
