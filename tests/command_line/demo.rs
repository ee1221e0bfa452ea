//! `lagan demo`, as a newcomer runs it.

use tokio::io::{AsyncBufReadExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdout};

use crate::support::{Place, Run};

fn tells_the_story(demo: &Run) {
    for part in [
        " is up at http://127.0.0.1:",
        "last: 3, by: version",
        "In all",
        "lagan undo 0",
        "What is gone is gone",
        "the registry is as it was",
    ] {
        assert!(demo.stdout.contains(part), "{part}: {}", demo.stdout);
    }
    let served: Vec<_> = demo
        .stdout
        .lines()
        .filter(|line| line.contains(" manifests, sha256:"))
        .collect();
    let [before, after, restored] = served[..] else {
        panic!("{served:?}")
    };
    assert_eq!(before, restored);
    assert_ne!(before, after);
    let next = demo.stdout.split("the registry is as it was").nth(1).unwrap();
    for command in [
        "lagan demo --keep-running",
        "lagan plan --registry",
        "--format html --out report.html",
    ] {
        assert!(next.contains(command), "{command}: {next}");
    }
    // On a slow machine it says how far it is.
    let mut said = demo.stderr.lines().filter(|line| !line.is_empty());
    assert!(said.all(|line| line.starts_with(" INFO ")), "{}", demo.stderr);
}

#[tokio::test]
async fn the_demo_runs_and_says_what_to_try_next() {
    let demo = Place::new().run("demo").await.exits(0);
    tells_the_story(&demo);
    let sum = demo
        .stdout
        .lines()
        .find(|line| line.trim_start().starts_with("delete  ") && line.contains("manifests"));
    assert!(
        sum.is_some_and(|line| !line.contains(" 0 tags")),
        "{}",
        demo.stdout
    );
}

#[tokio::test]
async fn the_demo_on_a_harbor_goes_by_its_api_and_what_it_knows() {
    let demo = Place::new().run("demo --harbor").await.exits(0);
    tells_the_story(&demo);
    for part in [
        "A Harbor is up at",
        "kind: harbor",
        "by: pushed",
        "catalogue-3:v1.4.0-alpha.2",
        "every tag, digest, media type, label, accessory and manifest byte",
    ] {
        assert!(demo.stdout.contains(part), "{part}: {}", demo.stdout);
    }
    let explained = demo.stdout.split("2. Why does").nth(1).unwrap();
    let explained = explained.split("3. `lagan apply`").next().unwrap();
    assert!(
        explained.contains("protected") && explained.contains("keep"),
        "{explained}"
    );
}

#[tokio::test]
async fn the_demo_is_about_its_own_registry_whatever_the_environment_says() {
    let place = Place::new();
    place.file("lagan.yaml", "registries: {broken\n");
    let variables = [
        ("LAGAN_REGISTRY", "https://registry.example.com"),
        ("LAGAN_POLICY_FILE", "missing.yaml"),
        ("LAGAN_CA_FILE", "missing.pem"),
        ("LAGAN_USERNAME", "somebody"),
        ("LAGAN_PASSWORD_FILE", "missing"),
        ("HTTP_PROXY", "http://127.0.0.1:1"),
        ("http_proxy", "http://127.0.0.1:1"),
    ];
    tells_the_story(&place.run_with(&variables, "demo").await.exits(0));
}

/// A demo that keeps running, and what it says.
fn keeps_running(place: &Place) -> (Child, Lines<BufReader<ChildStdout>>) {
    let mut command = place.command("demo --keep-running --port 0");
    command.env("TMPDIR", place.path());
    let mut demo = command.spawn().unwrap();
    let lines = BufReader::new(demo.stdout.take().unwrap()).lines();
    (demo, lines)
}

/// A registry that a demo keeps up when its story is told, and its address.
pub(crate) async fn up(place: &Place) -> (Child, String) {
    let (demo, mut lines) = keeps_running(place);
    let mut address = None;
    loop {
        let line = lines.next_line().await.unwrap().expect("the demo goes on");
        if let Some((_, at)) = line.split_once(" is up at ") {
            address = at.split(' ').next().map(str::to_owned);
        }
        // The last of what it says to try.
        if line.ends_with("lagan daemon --config config/quickstart.yaml") {
            return (demo, address.unwrap());
        }
    }
}

#[tokio::test]
async fn a_demo_that_keeps_running_can_be_tried_as_it_says() {
    let place = Place::new();
    let (mut demo, mut lines) = keeps_running(&place);
    let mut suggested = Vec::new();
    while let Some(line) = lines.next_line().await.unwrap() {
        suggested.extend(line.strip_prefix("    lagan ").map(str::to_owned));
        if line.ends_with(" check") {
            break;
        }
    }
    assert!(suggested.len() >= 3, "{suggested:?}");
    for arguments in suggested {
        let tried = place.run(&arguments).await;
        assert_eq!(tried.code, 0, "{arguments}: {}", tried.stderr);
    }
    let report = std::fs::read_to_string(place.path().join("report.html")).unwrap();
    assert!(report.contains("<html"), "{report}");
    let process = demo.id().unwrap().to_string();
    std::process::Command::new("kill").arg(process).status().unwrap();
    assert!(
        demo.wait().await.unwrap().success(),
        "it ends when it is asked to"
    );
}
