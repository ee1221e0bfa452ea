//! State directories that cannot be used, that fail half way, and what must not be in them.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use base64::Engine as _;
use lagan_sandbox::{Auth, Bearer, Grant, RequestKind, Sandbox, SandboxOptions, User};
use serde_json::json;
use tokio::process::Command;

use crate::photograph::photograph;
use crate::support::{Place, Run, finish};
use crate::{TWO, apply, candidates, outcomes, start, undo};

/// A registry, and a state directory with a run that can be undone.
async fn applied() -> (Sandbox, Place, PathBuf) {
    let sandbox = start(SandboxOptions::default()).await;
    candidates(&sandbox, "team/app", 4);
    let place = Place::new();
    apply(&place, &sandbox, &format!("{TWO} --state-dir state"), 0).await;
    candidates(&sandbox, "team/app", 5);
    let root = place.path().join("state");
    (sandbox, place, root)
}

fn files(root: &Path) -> Vec<PathBuf> {
    let mut all = Vec::new();
    for entry in fs::read_dir(root).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            all.extend(files(&path));
        } else {
            all.push(path);
        }
    }
    all
}

/// Takes a record out of both copies.
fn damage(root: &Path) {
    let mirror = root.join("journal.1/mirror.jsonl");
    let text = fs::read_to_string(&mirror).unwrap();
    let kept: Vec<_> = text.lines().filter(|line| !line.contains("\"seq\":2,")).collect();
    fs::write(&mirror, kept.join("\n") + "\n").unwrap();
    fs::remove_dir_all(root.join("journal.1/store")).unwrap();
}

fn expose(root: &Path) {
    fs::set_permissions(root, Permissions::from_mode(0o750)).unwrap();
}

fn from_the_future(root: &Path) {
    let head = root.join("lagan-state.json");
    let text = fs::read_to_string(&head).unwrap();
    fs::write(&head, text.replace("\"version\":1", "\"version\":9")).unwrap();
}

/// What is done to a state directory, the exit code, and what is said.
type Damage = (fn(&Path), i32, &'static str);

#[tokio::test]
async fn a_state_directory_that_cannot_be_trusted_deletes_and_restores_nothing() {
    let damages: [Damage; 3] = [
        (damage, 1, "record 2 is in neither copy"),
        (expose, 2, "0750"),
        (from_the_future, 2, "format 9"),
    ];
    for (damage, code, said) in damages {
        let (sandbox, place, root) = applied().await;
        let before = photograph(&sandbox.url(), None).await;
        damage(&root);
        let url = sandbox.url();
        for line in [
            format!("apply --registry {url} {TWO} --yes --state-dir state"),
            format!("undo last --registry {url} --state-dir state"),
        ] {
            let run = place.run(&line).await.exits(code);
            assert!(run.stderr.contains(said), "{line}: {}", run.stderr);
            assert!(run.stderr.contains("hint: "), "{line}: {}", run.stderr);
        }
        assert_eq!(photograph(&url, Some(&before)).await, before, "{said}");
    }
}

#[tokio::test]
async fn a_state_directory_that_nobody_can_make_deletes_nothing() {
    let sandbox = start(SandboxOptions::default()).await;
    candidates(&sandbox, "team/app", 4);
    let place = Place::new();
    // Whoever runs this.
    let line = format!(
        "apply --registry {} {TWO} --yes --state-dir /sys/lagan",
        sandbox.url()
    );
    let run = place.run(&line).await.exits(2);
    assert!(run.stderr.contains("create the state"), "{}", run.stderr);
    let run = place.run("undo last --state-dir nowhere").await.exits(2);
    assert!(run.stderr.contains("there is none"), "{}", run.stderr);
    assert_eq!(sandbox.tags("team/app").len(), 4);
    assert_eq!(sandbox.log().counts().of(RequestKind::ManifestDelete), 0);
}

#[tokio::test]
async fn a_state_directory_without_room_refuses_before_anything_is_begun() {
    let (sandbox, place, root) = applied().await;
    let url = sandbox.url();
    let before = photograph(&url, None).await;
    // Twice what the journal takes has to be free. A file with a hole counts with its length: more than a disk has on
    // which this is run.
    let huge = root.join("journal.1/store/blobs/1");
    fs::File::create(&huge).unwrap().set_len(1 << 43).unwrap();
    let line = format!("apply --registry {url} {TWO} --yes --state-dir state");
    let run = place.run(&line).await.exits(3);
    assert!(run.stderr.contains("bytes are free"), "{}", run.stderr);
    assert!(run.stderr.contains("hint: free some space"), "{}", run.stderr);
    assert_eq!(photograph(&url, Some(&before)).await, before);
    fs::remove_file(&huge).unwrap();
    let list = place.run("journal list --state-dir state --format json").await;
    assert_eq!(list.exits(0).json()["runs"].as_array().unwrap().len(), 1);
    place.run(&line).await.exits(0);
    assert_eq!(sandbox.tags("team/app").len(), 2);
}

#[tokio::test]
async fn whoever_gets_no_report_is_told_where_it_is_on_record() {
    let sandbox = start(SandboxOptions::default()).await;
    candidates(&sandbox, "team/app", 5);
    let place = Place::new();
    for line in [
        format!("apply --registry {} {TWO} --yes", sandbox.url()),
        "undo last".to_owned(),
    ] {
        let line = format!("{line} --state-dir state");
        let run = in_shell(&place, "exec \"$0\" \"$@\" >/dev/full", &line).await;
        let run = run.exits(1);
        assert!(run.stderr.contains("No space left on device"), "{}", run.stderr);
        let list = place.run("journal list --state-dir state --format json").await;
        let list = list.exits(0).json();
        let last = list["runs"].as_array().unwrap().last().unwrap()["run"].clone();
        let hint = format!("`lagan journal show {}`", last.as_str().unwrap());
        assert!(run.stderr.contains(&hint), "{hint}: {}", run.stderr);
    }
}

/// Runs a command that can write no file beyond so many blocks of 512 bytes. Without the signal, a write beyond the limit is
/// an error.
async fn run_with_files_of(place: &Place, blocks: u64, line: &str) -> Run {
    let script = format!("trap '' XFSZ; ulimit -f {blocks}; exec \"$0\" \"$@\"");
    in_shell(place, &script, line).await
}

/// Runs a script that is given a command.
async fn in_shell(place: &Place, script: &str, line: &str) -> Run {
    let mut command = Command::new("sh");
    command
        .args(["-c", script, env!("CARGO_BIN_EXE_lagan")])
        .args(line.split(' '))
        .env_clear()
        .env("PATH", "/usr/bin:/bin")
        .env("HOME", place.path())
        .current_dir(place.path())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    finish(command).await
}

#[tokio::test]
async fn a_journal_that_fails_half_way_stops_the_run_and_agrees_with_the_registry() {
    let sandbox = start(SandboxOptions::default()).await;
    candidates(&sandbox, "team/app", 500);
    let before = photograph(&sandbox.url(), None).await;
    let place = Place::new();
    let url = sandbox.url();
    // A first run lays out the files: what fails later is the journal, and not making one.
    apply(
        &place,
        &sandbox,
        "--select tags=1.0.0-rc.1 --keep none --allow-empty-repository",
        0,
    )
    .await;
    let line = format!(
        "apply --registry {url} {TWO} --override-limit max_change_from_last_run=off --yes --format json"
    );
    // The store alone takes 1,024, and what is to be written more.
    let run = run_with_files_of(&place, 1100, &line).await.exits(1);
    assert!(run.stderr.contains("hint: "), "{}", run.stderr);
    let report = run.json();
    let failure = report["failure"].as_str().unwrap();
    assert!(failure.contains("nothing more was deleted"), "{failure}");
    assert_eq!(report["stopped"], false, "nobody asked it to: {report}");
    let stayed = sandbox.tags("team/app").len();
    assert!(stayed > 2 && stayed < 499, "{stayed} stayed");
    // All that is gone is told of, and nothing else is said to be.
    let gone = 499 - stayed as u64;
    let told = outcomes(&report);
    let of = |outcome: &str| told[outcome].as_u64().unwrap_or(0);
    assert!(of("deleted") <= gone, "{gone} are gone, {told}");
    assert!(of("deleted") + of("in_doubt") >= gone, "{gone} are gone, {told}");
    assert_eq!(report["undo"]["possible"], true, "{report}");

    // What is gone is on record, all of it: everything comes back. What was not sent may still be in doubt.
    // Where it was a thread of the store's own that met the limit, its file counts as damaged, and is built anew once.
    let verified = place.run("journal verify").await;
    assert!([0, 4].contains(&verified.code), "{}", verified.stderr);
    place.run("journal verify").await.exits(0);
    let undone = place.run("undo --since 1h --yes --format json").await;
    assert!([0, 4].contains(&undone.code), "{}", undone.stderr);
    let now = photograph(&url, Some(&before)).await;
    assert_eq!(before.differences(&now), Vec::<String>::new());
}

#[tokio::test]
async fn an_undo_whose_journal_fails_half_way_tells_what_is_back_and_goes_on_when_run_again() {
    let sandbox = start(SandboxOptions::default()).await;
    candidates(&sandbox, "team/app", 400);
    let before = photograph(&sandbox.url(), None).await;
    let place = Place::new();
    apply(&place, &sandbox, &format!("{TWO} --state-dir state"), 0).await;
    assert_eq!(sandbox.tags("team/app").len(), 2);
    let root = place.path().join("state");
    let store = fs::metadata(root.join("journal.1/store/db")).unwrap().len();
    // As large as that file is, and a part of what the undo adds to it.
    let blocks = store / 512 + 500;
    let line = "undo last --yes --format json --state-dir state";
    let run = run_with_files_of(&place, blocks, line).await.exits(1);
    assert!(run.stderr.contains("goes on with the rest"), "{}", run.stderr);
    let report = run.json();
    let failure = report["failure"].as_str().unwrap();
    assert!(failure.contains("nothing more was put back"), "{failure}");
    assert_eq!(report["stopped"], false, "nobody asked it to: {report}");
    // All that is back is told of, and nothing else is said to be.
    let back = sandbox.tags("team/app").len() as u64 - 2;
    assert!(back > 0 && back < 398, "{back} are back");
    let told = outcomes(&report);
    let of = |outcome: &str| told[outcome].as_u64().unwrap_or(0);
    assert_eq!((of("restored"), of("failed")), (back, 398 - back), "{told}");

    let undone = place.run(line).await.exits(0).json();
    let told = outcomes(&undone);
    assert_eq!(told["already_there"].as_u64().unwrap_or(0), back, "{told}");
    let now = photograph(&sandbox.url(), Some(&before)).await;
    assert_eq!(before.differences(&now), Vec::<String>::new());
}

#[tokio::test]
async fn no_secret_is_in_a_state_directory() {
    const PASSWORD: &str = "correct-horse-battery-staple";
    let all = ["pull", "push", "delete"];
    let user = User::new("lagan", PASSWORD)
        .grant(Grant::catalog())
        .grant(Grant::repository("team/app", &all));
    let sandbox = start(SandboxOptions {
        auth: Auth::Bearer(Bearer::new(vec![user])),
        ..SandboxOptions::default()
    })
    .await;
    candidates(&sandbox, "team/app", 4);
    let place = Place::new();
    let password = place.file("password", PASSWORD);
    let login = format!("--username lagan --password-file {}", password.display());
    let report = apply(&place, &sandbox, &format!("{TWO} {login}"), 0).await;
    assert_eq!(outcomes(&report), json!({"deleted": 2}));
    undo(&place, &format!("last {login}"), 0).await;
    let basic = base64::engine::general_purpose::STANDARD.encode(format!("lagan:{PASSWORD}"));
    let all = files(&place.path().join(".local/state/lagan"));
    assert!(all.len() > 8, "{all:?}");
    for path in all {
        let text = String::from_utf8_lossy(&fs::read(&path).unwrap()).into_owned();
        for secret in [PASSWORD, &basic, "Bearer ", "sandbox-token-"] {
            assert!(!text.contains(secret), "{secret} in {}", path.display());
        }
    }
}
