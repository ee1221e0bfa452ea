//! `lagan doctor` against registries in every state that it is to tell of.

#![expect(
    clippy::panic,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stderr,
    reason = "a helper of a test fails as the test does, and says what it skips"
)]

mod document;
mod harbor;
mod oci;
#[path = "../real_registry/server.rs"]
#[allow(dead_code, reason = "other targets use the rest")]
mod server;
#[path = "../support/mod.rs"]
mod support;
mod tls;

use serde_json::Value;

/// The findings of a check, as level and text.
fn of<'d>(document: &'d Value, check: &str) -> Vec<(&'d str, &'d str)> {
    let all = document["findings"].as_array().expect("findings");
    all.iter()
        .filter(|finding| finding["check"] == check)
        .map(|finding| {
            (
                finding["level"].as_str().unwrap(),
                finding["text"].as_str().unwrap(),
            )
        })
        .collect()
}

/// Fails unless a check has a finding of this level with these words in it.
#[track_caller]
fn says(document: &Value, check: &str, level: &str, words: &str) {
    let found = of(document, check);
    assert!(
        found
            .iter()
            .any(|(is, text)| *is == level && text.contains(words)),
        "{check} {level} {words:?}: {document:#}"
    );
}

/// The levels that somebody has to look at.
fn counting(document: &Value) -> Vec<(String, String)> {
    let all = document["findings"].as_array().expect("findings");
    all.iter()
        .filter(|finding| match finding["level"].as_str().unwrap() {
            "warning" | "failed" => true,
            "unknown" => finding["needed"] == true,
            _ => false,
        })
        .map(|finding| {
            let text = |key: &str| finding[key].as_str().unwrap().to_owned();
            (text("check"), text("text"))
        })
        .collect()
}
