//! The binary against a registry over HTTP, judged by the registry's own log and by what is known to be in it.

#![expect(
    clippy::panic,
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a helper of a test fails as the test does"
)]

mod against;
mod authentication;
mod capabilities;
mod document;
mod explain;
mod faults;
mod harbor;
mod hostile;
mod memory;
#[path = "../support/oracle.rs"]
mod oracle;
mod registries;
mod requests;
mod saved;
mod stories;
#[path = "../support/mod.rs"]
mod support;
mod traps;
mod truth;

use lagan_sandbox::{Moment, Sandbox, SandboxOptions};

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
