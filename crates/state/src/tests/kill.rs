//! Processes that are killed while they open a journal and while they write, and one whose files may not grow.

use std::env;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use lagan_model::journal::{Effect, Group, JournalStore, Sequence};

use super::{create, entry, manifest, open, room, run, wait};
use crate::{DiskJournal, Notice};

const DIRECTORY: &str = "LAGAN_STATE_TEST_DIRECTORY";

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

/// What the other tests of this module run as a process of its own: says when the journal is open, and the number of
/// each record that is durable.
#[test]
#[ignore = "run by the other tests of this module"]
fn child() {
    let root = env::var_os(DIRECTORY).expect("run by the other tests of this module");
    let mut out = std::io::stdout();
    let journal = create(Path::new(&root));
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
    let rounds = env::var("LAGAN_STATE_KILLS").map_or(40, |text| text.parse().unwrap());
    for round in 0..rounds {
        let mut child = spawn(&mut Command::new(&binary), &root);
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        // Every fourth one is killed while it starts and opens, the others between two acknowledgements.
        let mut acknowledgements = match round % 4_u64 {
            0 => 0,
            other => other * 3 + round % 40 / 8,
        };
        if acknowledgements == 0 {
            let mut waste = 0_u64;
            (0..round % 40 * 40_000).for_each(|number| waste = std::hint::black_box(waste ^ number));
            child.kill().unwrap();
        }
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
    assert!(durable > 300, "{durable}");
    let rebuilt = |notice: &&Notice| matches!(notice, Notice::Rebuilt { .. });
    assert_eq!(notices.iter().find(rebuilt), None);
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
