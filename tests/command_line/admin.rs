//! A daemon that has the state directory in hand, and commands that reach it by its socket.

use std::fs;
use std::time::Duration;

use lagan_sandbox::{Effect, Fault, FaultId, Moment, RequestKind, Sandbox, SandboxOptions};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream, UnixStream};
use tokio::process::Child;

use crate::support::Place;

const LONGEST: Duration = Duration::from_secs(60);

/// A registry from which something was deleted, and a policy that is never due.
async fn scene() -> (Sandbox, Place) {
    let sandbox = Sandbox::start(SandboxOptions::default()).await.unwrap();
    for number in 1..=6 {
        let tag = format!("1.0.0-rc.{number}");
        sandbox.put_image("team/app", &[&tag], Moment::date(2026, 1, number));
    }
    let place = Place::new();
    place.file(
        "lagan.yaml",
        format!(
            "state_dir: state\nregistries: {{r: {{url: '{}'}}}}\npolicies:\n  p:\n    repositories: '**'\n    mode: enforce\n    \
             schedule: {{cron: '0 3 1 1 *'}}\n    rules: [{{select: {{channel: prerelease}}, keep: {{last: 2, by: version}}}}]\n",
            sandbox.url()
        ),
    );
    place.run("apply --yes").await.exits(0);
    assert_eq!(sandbox.tags("team/app").len(), 2);
    (sandbox, place)
}

/// Starts a daemon, and waits until it has said this.
async fn daemon(place: &Place, arguments: &str, said: &str) -> (Child, String) {
    let mut command = place.command(&format!("daemon {arguments}"));
    command.env("LAGAN_LOG", "info");
    let mut child = command.spawn().unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    let found = async {
        loop {
            let line = lines.next_line().await.unwrap().expect("the daemon goes on");
            if line.contains(said) {
                break line;
            }
        }
    };
    let line = tokio::time::timeout(LONGEST, found).await.unwrap();
    // What it says later must go somewhere.
    tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
    (child, line)
}

/// Asks for a plan that hangs in the registry, and so keeps the state directory in hand.
async fn busy(sandbox: &Sandbox, place: &Place) -> (UnixStream, FaultId) {
    let hangs = sandbox
        .faults()
        .push(Fault::new(Effect::Hang).on(RequestKind::TagList));
    let mut asked = UnixStream::connect(place.path().join("state/lagan.sock"))
        .await
        .unwrap();
    let request = "POST /api/v1/plan HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: \
                   2\r\n\r\n{}";
    asked.write_all(request.as_bytes()).await.unwrap();
    while sandbox.faults().fired(hangs) == 0 {
        tokio::task::yield_now().await;
    }
    (asked, hangs)
}

#[tokio::test]
async fn the_journal_is_shown_and_a_run_undone_through_a_daemon_that_is_busy() {
    let (sandbox, place) = scene().await;
    let (_daemon, _) = daemon(&place, "", "ready:").await;
    let (asked, hangs) = busy(&sandbox, &place).await;
    let listed = place.run("journal list").await.exits(0);
    assert!(listed.stdout.contains("apply"), "{}", listed.stdout);
    let shown = place.run("journal show last --format json").await.exits(0);
    assert_eq!(shown.json()["schema"], "lagan.history/v1");
    place
        .run("journal show 01KAJ3E5Z0000000000000000A")
        .await
        .exits(2);
    // What is no name is not taken for the last run.
    for typo in ["01KAJ3E5Z", "lasst"] {
        let said = place.run(&format!("journal show {typo}")).await.exits(2);
        assert_eq!(said.stdout, "");
        assert!(said.stderr.contains("is no run"), "{}", said.stderr);
    }

    // An undo waits for what somebody asked for, says so, and stops when it is told to.
    let mut waits = place.command("undo last").spawn().unwrap();
    let mut said = String::new();
    let mut lines = BufReader::new(waits.stderr.take().unwrap()).lines();
    while !said.contains("waiting for the daemon") {
        said = lines.next_line().await.unwrap().unwrap();
    }
    waits.kill().await.unwrap();
    assert_eq!(sandbox.tags("team/app").len(), 2);

    // Who asked for the plan goes away, and the next one has its turn.
    let undone = place.command("undo last --format json").spawn().unwrap();
    drop(asked);
    let undone = tokio::time::timeout(LONGEST, undone.wait_with_output()).await;
    let undone = undone.unwrap().unwrap();
    let said = String::from_utf8_lossy(&undone.stderr);
    assert_eq!(undone.status.code(), Some(0), "{said}");
    let report: serde_json::Value = serde_json::from_slice(&undone.stdout).unwrap();
    assert_eq!(report["schema"], "lagan.undo/v1");
    assert_eq!(sandbox.tags("team/app").len(), 6);
    sandbox.faults().remove(hangs);
}

#[tokio::test]
async fn an_apply_is_made_by_a_daemon_that_is_busy_with_its_own_rules() {
    let (sandbox, place) = scene().await;
    sandbox.put_image("team/app", &["1.0.0-rc.7"], Moment::date(2026, 1, 7));
    let (_daemon, _) = daemon(&place, "", "ready:").await;
    let (asked, hangs) = busy(&sandbox, &place).await;
    for other in [
        "apply --yes --override-limit max_deletions=off",
        "apply --yes --select tags=* --keep last=1,by=name",
        "apply --yes --collect-garbage",
    ] {
        let said = place.run(other).await.exits(2);
        assert!(
            said.stderr.contains("its own configuration alone"),
            "{}",
            said.stderr
        );
    }
    assert_eq!(sandbox.tags("team/app").len(), 3);

    // What means something else in the daemon's configuration is not carried out by it.
    let text = fs::read_to_string(place.path().join("lagan.yaml")).unwrap();
    place.file("other.yaml", text.replace("last: 2", "last: 1"));
    let said = place.run("--config other.yaml apply --yes").await.exits(3);
    assert!(
        said.stderr.contains("goes by another configuration"),
        "{}",
        said.stderr
    );
    assert_eq!(sandbox.tags("team/app").len(), 3);

    let mut applies = place.command("apply --yes --format json").spawn().unwrap();
    let mut said = String::new();
    let mut lines = BufReader::new(applies.stderr.take().unwrap()).lines();
    while !said.contains("waiting for the daemon") {
        said = lines.next_line().await.unwrap().unwrap();
    }
    sandbox.faults().remove(hangs);
    drop(asked);
    let applied = tokio::time::timeout(LONGEST, applies.wait_with_output()).await;
    let applied = applied.unwrap().unwrap();
    assert_eq!(applied.status.code(), Some(0));
    let report: serde_json::Value = serde_json::from_slice(&applied.stdout).unwrap();
    assert_eq!(report["schema"], "lagan.run/v1");
    assert_eq!(report["totals"]["outcomes"]["deleted"], 1);
    assert_eq!(sandbox.tags("team/app").len(), 2);
}

#[tokio::test]
async fn an_address_is_listened_on_and_one_that_is_taken_ends_the_daemon() {
    let (_sandbox, place) = scene().await;
    let (mut first, line) = daemon(&place, "--listen 127.0.0.1:0", "the admin API is at").await;
    let address = line.rsplit("http://").next().unwrap().trim().to_owned();
    let mut stream = TcpStream::connect(&address).await.unwrap();
    let request = "GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    first.kill().await.unwrap();
    // The socket that it left is no obstacle; a port that is taken is one.
    let held = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let said = place
        .run(&format!("daemon --listen {}", held.local_addr().unwrap()))
        .await
        .exits(2);
    assert!(said.stderr.contains("failed to listen on"), "{}", said.stderr);
    let (_second, _) = daemon(&place, "", "ready:").await;
}
