//! docs/doctor.md says what the document holds, and which findings there are.

use std::collections::BTreeSet;

use lagan_sandbox::harbor::Account;
use lagan_sandbox::{HarborOptions, Moment, Sandbox, SandboxOptions};
use serde_json::Value;

use crate::support::Place;

const DOCUMENTED: &str = include_str!("../../docs/doctor.md");

/// The example of a document, the keys of each object in their order.
fn example() -> Value {
    let lines = DOCUMENTED
        .lines()
        .skip_while(|line| !line.contains("\"lagan.doctor/v1\""));
    let text: String = lines.take_while(|line| line.starts_with("    ")).collect();
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

fn keys(value: &Value) -> Vec<&String> {
    value.as_object().unwrap().keys().collect()
}

/// The names in the first column of the table of checks.
fn checks() -> BTreeSet<&'static str> {
    let rows = DOCUMENTED.lines().filter_map(|line| line.strip_prefix("| `"));
    rows.filter_map(|row| row.split('`').next()).collect()
}

#[tokio::test]
async fn the_document_has_the_keys_and_the_checks_that_are_documented() {
    let harbor = HarborOptions::default().account(Account::admin("ann", "s3cret"));
    let harbor = Sandbox::start(SandboxOptions::default().harbor(harbor))
        .await
        .unwrap();
    harbor.put_image("team/app", &["1.0.0"], Moment::date(2026, 1, 1));
    let plain = Sandbox::start(SandboxOptions::default()).await.unwrap();
    plain.put_image("team/app", &["1.0.0"], Moment::date(2026, 1, 1));
    let place = Place::new();
    place.file("secret", "s3cret");
    let line = |url: &str, more: &str| format!("doctor --format json --registry {url} {more} 'team/**'");
    let who = "--username ann --password-file secret";
    let documents = [
        place.run(&line(&harbor.url(), who)).await.exits(0).json(),
        place.run(&line(&plain.url(), "")).await.exits(0).json(),
        place
            .run(&line(&harbor.url(), "--for delete"))
            .await
            .exits(4)
            .json(),
    ];
    let example = example();
    for document in &documents {
        assert_eq!(keys(document), keys(&example));
        assert_eq!(keys(&document["registry"]), keys(&example["registry"]));
        for finding in document["findings"].as_array().unwrap() {
            assert_eq!(keys(finding), keys(&example["findings"][0]));
            let check = finding["check"].as_str().unwrap();
            assert!(checks().contains(check), "{check} is not in docs/doctor.md");
        }
    }
    assert_eq!(keys(&documents[0]["robot"]), keys(&example["robot"]));
    assert_eq!(
        keys(&documents[0]["robot"]["permissions"][0]),
        keys(&example["robot"]["permissions"][0])
    );
    assert!(documents[1]["robot"].is_null());
}

#[tokio::test]
async fn the_text_says_the_same_and_goes_where_it_is_told() {
    let plain = Sandbox::start(SandboxOptions::default()).await.unwrap();
    plain.put_image("team/app", &["1.0.0"], Moment::date(2026, 1, 1));
    let place = Place::new();
    let line = format!("doctor --registry {} --for delete", plain.url());
    let text = place.run(&line).await.exits(4).stdout;
    let document = place.run(&format!("{line} --format json")).await.exits(4).json();
    for finding in document["findings"].as_array().unwrap() {
        let (level, check) = (
            finding["level"].as_str().unwrap(),
            finding["check"].as_str().unwrap(),
        );
        let found = text.lines().any(|line| {
            let mut words = line.split_whitespace();
            words.next() == Some(level) && words.next() == Some(check)
        });
        assert!(found, "{level} {check}: {text}");
    }
    assert!(text.contains("hint: `--probe` asks"), "{text}");
    assert!(
        text.trim_end().ends_with("1 thing that could not be found out"),
        "{text}"
    );
    place.run(&format!("{line} --out report.txt")).await.exits(4);
    let written = std::fs::read_to_string(place.path().join("report.txt")).unwrap();
    assert_eq!(written.lines().count(), text.lines().count());
}
