//! The acceptance suite: what holds on the sandbox and on docker-registry has to hold on any registry.
//!
//! `tests/acceptance URL` runs it against a registry of yours. It makes repositories of its own (on Harbor a project),
//! reads and changes nothing else, and takes them away again. Everything but the binary under test is asked for and
//! compared without code of lagan.

#![expect(
    clippy::panic,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stderr,
    reason = "a helper of a test fails as the test does, and says what it skips"
)]

mod client;
mod content;
#[path = "../real_registry/server.rs"]
#[allow(dead_code, reason = "every target of tests uses its own part")]
mod server;
mod suite;
#[path = "../support/mod.rs"]
mod support;

use std::env;

use lagan_sandbox::harbor::Account;
use lagan_sandbox::{HarborOptions, HarborVersion, Profile, Sandbox, SandboxOptions};

use crate::client::Access;
use crate::server::Server;
use crate::suite::accept;

async fn sandbox(profile: Profile) {
    let sandbox = Sandbox::start(SandboxOptions::default().profile(profile))
        .await
        .unwrap();
    accept(&sandbox.url(), "acceptance", &Access::default()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_sandbox_as_a_distribution_registry_is_accepted() {
    for profile in [Profile::Distribution28, Profile::Distribution3] {
        sandbox(profile).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_sandbox_as_a_registry_with_referrers_is_accepted() {
    sandbox(Profile::Zot).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_sandbox_as_a_harbor_is_accepted() {
    for version in [HarborVersion::V2_8, HarborVersion::V2_11, HarborVersion::V2_15] {
        let admin = Account::admin("admin", "Harbor12345");
        let harbor = HarborOptions::default().version(version).account(admin);
        let sandbox = Sandbox::start(SandboxOptions::default().harbor(harbor))
            .await
            .unwrap();
        let place = support::Place::new();
        let access = Access {
            username: Some("admin".to_owned()),
            password_file: Some(place.file("password", "Harbor12345\n")),
            ca_file: None,
        };
        accept(&sandbox.url(), "acceptance", &access).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn docker_registry_is_accepted() {
    let Some(server) = Server::start().await else {
        return;
    };
    accept(&server.url, "acceptance", &Access::default()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_registry_that_deletes_nothing_is_not_accepted() {
    let Some(server) = Server::without_deletion().await else {
        return;
    };
    let url = server.url.clone();
    let accepted = tokio::spawn(async move { accept(&url, "acceptance", &Access::default()).await });
    assert!(accepted.await.unwrap_err().is_panic());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "tests/acceptance runs it with the URL of a registry"]
async fn a_registry_of_yours_is_accepted() {
    let url = env::var("LAGAN_ACCEPTANCE_URL").expect("tests/acceptance sets LAGAN_ACCEPTANCE_URL");
    let namespace = env::var("LAGAN_ACCEPTANCE_NAMESPACE").expect("tests/acceptance sets it");
    accept(&url, &namespace, &Access::of_environment()).await;
}
