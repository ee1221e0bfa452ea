use std::fs;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use lagan_model::journal::{Effect, Group, JournalError, JournalStore, Sequence};
use lagan_model::memory::FactCache as _;

use super::memory_of_runs::a_manifest;
use super::{create, entry, intents, manifest, options, room, run, wait};
use crate::{DiskJournal, Options, StateError};

fn open(root: &Path) -> Result<DiskJournal, StateError> {
    DiskJournal::open(root, &options())
}

fn modes(path: &Path, found: &mut Vec<(std::path::PathBuf, u32)>) {
    let metadata = fs::metadata(path).unwrap();
    found.push((path.to_owned(), metadata.permissions().mode() & 0o777));
    if metadata.is_dir() {
        for file in fs::read_dir(path).unwrap() {
            modes(&file.unwrap().path(), found);
        }
    }
}

#[test]
fn opening_creates_nothing() {
    let (room, root) = room();
    assert!(matches!(open(&root), Err(StateError::Absent { .. })));
    assert_eq!(fs::read_dir(room.path()).unwrap().count(), 0);
}

#[test]
fn nobody_else_can_read_a_state_directory() {
    let (_room, root) = room();
    let journal = create(&root);
    wait(journal.append(intents(1, 20))).unwrap();
    let memory = crate::Memory::beside(&journal, &options()).unwrap();
    for number in 0..20 {
        memory.cache().keep_manifest(&a_manifest(number));
    }
    drop(memory);
    journal.close().unwrap();
    // What a crash left behind the last whole group is kept aside.
    let mirror = root.join("journal.1/mirror.jsonl");
    let mut torn = fs::OpenOptions::new().append(true).open(mirror).unwrap();
    torn.write_all(b"{\"half").unwrap();
    create(&root).close().unwrap();
    let mut found = Vec::new();
    modes(&root, &mut found);
    assert!(found.len() > 8, "{found:?}");
    for there in [
        "mirror.torn",
        "checkpoint.json",
        "lagan-state.json",
        "ballast",
        "lock",
        "aside",
    ] {
        assert!(found.iter().any(|(path, _)| path.ends_with(there)), "{found:?}");
    }
    let of_sled = |path: &Path| path.ends_with("db") && path.is_file();
    let stores = found.iter().filter(|(path, _)| of_sled(path));
    assert_eq!(stores.count(), 2, "the journal's and the cache's: {found:?}");
    let right = |path: &Path| if path.is_dir() { 0o700 } else { 0o600 };
    let exposed: Vec<_> = found.iter().filter(|(path, mode)| *mode != right(path)).collect();
    assert!(exposed.is_empty(), "{exposed:?}");

    // Who copied it may have opened what is in it.
    for (path, _) in &found[1..] {
        let wide = if path.is_dir() { 0o755 } else { 0o644 };
        fs::set_permissions(path, fs::Permissions::from_mode(wide)).unwrap();
    }
    let journal = create(&root);
    drop(crate::Memory::beside(&journal, &options()).unwrap());
    journal.close().unwrap();
    let mut found = Vec::new();
    modes(&root, &mut found);
    let nobody_else_gets_there = |path: &Path| {
        let folder = path.parent().unwrap();
        !folder.ends_with("aside") && !folder.ends_with("audit") && !folder.ends_with("ledger")
    };
    let exposed: Vec<_> = found
        .iter()
        .filter(|(path, mode)| *mode != right(path) && nobody_else_gets_there(path))
        .collect();
    assert!(exposed.is_empty(), "{exposed:?}");
}

#[test]
fn a_directory_that_others_can_read_is_refused() {
    for mode in [0o750, 0o705, 0o701, 0o720] {
        let (_room, root) = room();
        create(&root).close().unwrap();
        fs::set_permissions(&root, fs::Permissions::from_mode(mode)).unwrap();
        let error = open(&root).unwrap_err();
        assert!(matches!(error, StateError::Exposed { .. }), "{error}");
        assert!(error.to_string().contains(&format!("{mode:04o}")), "{error}");
        fs::set_permissions(&root, fs::Permissions::from_mode(0o700)).unwrap();
        open(&root).unwrap();
    }
}

#[test]
fn a_foreign_directory_is_refused_and_left_as_it_is() {
    let (_room, root) = room();
    fs::create_dir(&root).unwrap();
    fs::set_permissions(&root, fs::Permissions::from_mode(0o700)).unwrap();
    assert!(matches!(open(&root), Err(StateError::Absent { .. })));
    fs::write(root.join("thesis.tex"), "precious").unwrap();
    for answer in [open(&root), DiskJournal::create(&root, &options())] {
        assert!(matches!(answer, Err(StateError::Foreign { .. })));
    }
    assert_eq!(fs::read_dir(&root).unwrap().count(), 1);
    let file = root.join("thesis.tex");
    assert!(matches!(open(&file), Err(StateError::Foreign { .. })));
}

#[test]
fn a_second_user_is_told_who_the_first_one_is() {
    let (_room, root) = room();
    let journal = create(&root);
    let error = open(&root).unwrap_err();
    let owner = format!("process {}", std::process::id());
    assert!(matches!(error, StateError::InUse { .. }));
    assert!(error.to_string().contains(&owner), "{error}");
    drop(journal);
    open(&root).unwrap();
}

#[test]
fn a_directory_of_a_newer_version_is_refused() {
    let (_room, root) = room();
    create(&root).close().unwrap();
    let head = root.join("lagan-state.json");
    fs::write(
        &head,
        r#"{"format":"lagan.state","version":2,"generation":1,"new":[]}"#,
    )
    .unwrap();
    let error = open(&root).unwrap_err();
    assert!(
        matches!(
            error,
            StateError::Newer {
                found: 2,
                known: 1,
                ..
            }
        ),
        "{error}"
    );
}

#[test]
fn a_record_of_a_newer_version_is_refused_and_kept() {
    let (_room, root) = room();
    create(&root).close().unwrap();
    let mirror = root.join("journal.1/mirror.jsonl");
    let (line, _) = crate::format::line::seal(&serde_json::json!({ "v": 2, "seq": 1 })).unwrap();
    let mut content = fs::read(&mirror).unwrap();
    content.extend_from_slice(&line);
    content.push(b'\n');
    fs::write(&mirror, &content).unwrap();
    for _ in 0..2 {
        let error = open(&root).unwrap_err();
        assert!(matches!(error, StateError::Newer { found: 2, .. }), "{error}");
        assert_eq!(fs::read(&mirror).unwrap(), content);
    }
}

#[test]
fn a_damaged_or_missing_head_is_restored_from_what_is_there() {
    for damage in [
        "",
        "{\"format\"",
        "{\"sha256\":\"00\",\"format\":\"lagan.state\",\"version\":1,\"generation\":9}",
    ] {
        let (_room, root) = room();
        let journal = create(&root);
        wait(journal.append(intents(1, 1))).unwrap();
        journal.close().unwrap();
        let head = root.join("lagan-state.json");
        let before = fs::read(&head).unwrap();
        fs::write(&head, damage).unwrap();
        let journal = open(&root).unwrap();
        assert!(wait(journal.entry(Sequence(1))).unwrap().is_some());
        assert_eq!(fs::read(&head).unwrap(), before);
    }
}

#[test]
fn a_directory_whose_journal_is_gone_says_so_and_does_not_send_anybody_elsewhere() {
    let (_room, root) = room();
    create(&root).close().unwrap();
    let headless = |error: StateError, help: &str| {
        assert!(matches!(error, StateError::Headless { .. }), "{error}");
        assert!(error.hint().unwrap().contains(help), "{:?}", error.hint());
    };
    // Two of them, and nothing says which counts.
    fs::write(root.join("lagan-state.json"), "damaged").unwrap();
    fs::create_dir(root.join("journal.2")).unwrap();
    headless(open(&root).unwrap_err(), "restore lagan-state.json");
    fs::remove_dir_all(root.join("journal.1")).unwrap();
    fs::remove_dir_all(root.join("journal.2")).unwrap();
    headless(open(&root).unwrap_err(), "from a backup");
    fs::remove_file(root.join("lagan-state.json")).unwrap();
    headless(open(&root).unwrap_err(), "from a backup");
    // Nobody makes a new one in its place, either.
    headless(
        DiskJournal::create(&root, &options()).unwrap_err(),
        "to begin anew",
    );
    assert!(!root.join("journal.1").exists());
    // Without the ballast, the audit log knows of runs.
    fs::remove_file(root.join("ballast")).unwrap();
    assert!(matches!(open(&root), Err(StateError::Absent { .. })));
    fs::create_dir(root.join("audit")).unwrap();
    fs::write(root.join("audit/000001.jsonl"), "{\"event\":\"refused\"}\n").unwrap();
    assert!(matches!(open(&root), Err(StateError::Absent { .. })));
    fs::write(root.join("audit/000002.jsonl"), "{\"event\":\"run_begins\"}\n").unwrap();
    headless(open(&root).unwrap_err(), "from a backup");
}

#[test]
fn a_path_below_a_file_is_no_directory() {
    let (room, _) = room();
    let file = room.path().join("file");
    fs::write(&file, "").unwrap();
    for answer in [
        open(&file.join("below")),
        DiskJournal::create(&file.join("below/it"), &options()),
    ] {
        assert!(matches!(answer, Err(StateError::Foreign { .. })), "{answer:?}");
    }
}

#[test]
fn a_creation_that_was_interrupted_is_completed() {
    for left in ["lock", "journal.1.building/mirror.jsonl", "lagan-state.json.new"] {
        let (_room, root) = room();
        fs::create_dir(&root).unwrap();
        fs::set_permissions(&root, fs::Permissions::from_mode(0o700)).unwrap();
        let left = root.join(left);
        fs::create_dir_all(left.parent().unwrap()).unwrap();
        fs::write(&left, "").unwrap();
        wait(create(&root).append(intents(1, 1))).unwrap();
    }
}

#[test]
fn without_room_nothing_is_deleted_and_what_was_is_ended_or_brought_back() {
    let (_room, root) = room();
    let journal = create(&root);
    journal.room().unwrap();
    wait(journal.append(intents(1, 1))).unwrap();
    journal.close().unwrap();
    let demanding = Options {
        reserve: u64::MAX,
        ..options()
    };
    let journal = DiskJournal::open(&root, &demanding).unwrap();
    let error = journal.room().unwrap_err();
    assert!(
        matches!(
            error,
            StateError::Journal(JournalError::NoSpace { needed: u64::MAX, .. })
        ),
        "{error}"
    );
    assert!(error.hint().unwrap().contains("free some space"));
    for _ in 0..2 {
        let error = wait(journal.append(intents(2, 1))).unwrap_err();
        assert!(
            matches!(error, JournalError::NoSpace { needed: u64::MAX, .. }),
            "{error}"
        );
    }
    assert!(wait(journal.entry(Sequence(1))).unwrap().is_some());
    assert!(wait(journal.entry(Sequence(2))).unwrap().is_none());
    let outcome = Group {
        contents: Vec::new(),
        entries: vec![entry(run(0), Effect::Settles(Sequence(1)), "{}")],
        ..Group::default()
    };
    assert_eq!(wait(journal.append(outcome)).unwrap(), Sequence(2));
    // Bringing something back takes room, and is what it was kept for.
    let restore = Group {
        needs_room: false,
        ..intents(2, 1)
    };
    assert_eq!(wait(journal.append(restore)).unwrap(), Sequence(3));
    assert_eq!(wait(journal.open_entries()).unwrap(), [Sequence(3)]);
}

#[test]
fn room_is_asked_for_as_much_as_the_journal_takes_twice_and_the_reserve_at_least() {
    for (reserve, journal, needed) in [
        (512, 0, 512),
        (512, 256, 512),
        (512, 257, 514),
        (0, 300, 600),
        (1, u64::MAX, u64::MAX),
    ] {
        assert_eq!(crate::space::needed(reserve, journal), needed);
    }
}

#[test]
fn no_value_goes_to_a_file_of_its_own() {
    let (_room, root) = room();
    let journal = create(&root);
    let contents: Vec<_> = (0..2).map(|number| manifest(number, 600_000)).collect();
    let entries = contents
        .iter()
        .map(|(digest, _)| entry(run(0), Effect::Opens, &format!("\"{digest}\"")));
    let group = Group {
        entries: entries.collect(),
        contents: contents.clone(),
        needs_room: true,
    };
    wait(journal.append(group)).unwrap();
    journal.close().unwrap();
    let beside = root.join("journal.1/store/blobs");
    assert_eq!(fs::read_dir(&beside).unwrap().count(), 0);
    let journal = DiskJournal::open(&root, &options()).unwrap();
    for (digest, bytes) in contents {
        assert_eq!(wait(journal.content(&digest)).unwrap(), Some(bytes));
    }
}

#[test]
fn the_ballast_takes_room_on_the_disk() {
    use std::os::unix::fs::MetadataExt;
    let (_room, root) = room();
    create(&root).close().unwrap();
    let ballast = fs::metadata(root.join("ballast")).unwrap();
    assert!(ballast.blocks() * 512 >= options().ballast);
    fs::remove_file(root.join("ballast")).unwrap();
    create(&root).close().unwrap();
    assert!(root.join("ballast").exists());
}
