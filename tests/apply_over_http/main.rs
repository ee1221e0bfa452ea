//! `lagan apply` and `lagan undo` against a registry over HTTP, judged by what it serves before and after, and by its
//! own log.

#![expect(
    clippy::panic,
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a helper of a test fails as the test does"
)]

mod audit;
mod faults;
mod grace;
mod harbor;
mod left;
mod limits;
mod notice;
mod pauses;
#[path = "../support/photograph.rs"]
mod photograph;
mod refusals;
mod requests;
mod rollout;
mod saved;
mod states;
mod stories;
#[path = "../support/mod.rs"]
mod support;

use lagan_sandbox::{Moment, Sandbox, SandboxOptions};
use serde_json::Value;

use crate::support::Place;

/// A policy that deletes prereleases, in one line.
const TWO: &str = "--select channel=prerelease --keep last=2,by=version";

async fn start(options: SandboxOptions) -> Sandbox {
    Sandbox::start(options).await.unwrap()
}

/// So many release candidates of one version, the oldest first.
fn candidates(sandbox: &Sandbox, repository: &str, count: i64) {
    for number in 1..=count {
        sandbox.put_image(
            repository,
            &[&format!("1.0.0-rc.{number}")],
            Moment::date(2026, 1, number),
        );
    }
}

/// Applies, and gives back the report.
async fn apply(place: &Place, sandbox: &Sandbox, arguments: &str, code: i32) -> Value {
    let line = format!(
        "apply --registry {} --yes --format json {arguments}",
        sandbox.url()
    );
    place.run(&line).await.exits(code).json()
}

async fn undo(place: &Place, arguments: &str, code: i32) -> Value {
    place
        .run(&format!("undo --format json {arguments}"))
        .await
        .exits(code)
        .json()
}

/// The outcomes of a report and how often each occurred.
fn outcomes(report: &Value) -> Value {
    report["totals"]["outcomes"].clone()
}
