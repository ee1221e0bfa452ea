//! `lagan apply` and `lagan undo` on a Harbor, by its own API.

mod collecting;
mod counts;
mod faults;
mod photograph;
mod refusals;
mod stories;

use lagan_sandbox::harbor::Account;
use lagan_sandbox::{HarborOptions, HarborVersion, Moment, Sandbox, SandboxOptions};
use serde_json::Value;

use crate::support::{Place, Run};

const SECRET: &str = "s3cret-of-the-robot";
const ROBOT: &str = "robot$lagan";

/// What planning, deleting and putting back takes, and nothing else.
const EVERYTHING: [(&str, &str); 14] = [
    ("project", "read"),
    ("repository", "list"),
    ("repository", "pull"),
    ("repository", "push"),
    ("artifact", "list"),
    ("artifact", "read"),
    ("artifact", "delete"),
    ("artifact-label", "create"),
    ("label", "list"),
    ("tag", "list"),
    ("tag", "create"),
    ("tag", "delete"),
    ("accessory", "list"),
    ("immutable-tag", "list"),
];

const PRERELEASES: &str = "{select: {channel: prerelease}, keep: {last: 2, by: version}}";

async fn harbor_of(options: HarborOptions) -> Sandbox {
    let robot = Account::robot(ROBOT, SECRET).may("*", &EVERYTHING);
    crate::start(SandboxOptions::default().harbor(options.account(robot))).await
}

async fn harbor(version: HarborVersion) -> Sandbox {
    harbor_of(HarborOptions::default().version(version)).await
}

/// A Harbor whose robot lacks these permissions.
async fn harbor_without(missing: &[(&str, &str)]) -> Sandbox {
    let may: Vec<_> = EVERYTHING
        .into_iter()
        .filter(|permission| !missing.contains(permission))
        .collect();
    let robot = Account::robot(ROBOT, SECRET).may("*", &may);
    crate::start(SandboxOptions::default().harbor(HarborOptions::default().account(robot))).await
}

/// A place with a configuration whose only policy has this rule and is enforced.
fn configured(sandbox: &Sandbox, rule: &str) -> Place {
    configured_with(sandbox, rule, "")
}

/// The same, with more keys in the policy.
fn configured_with(sandbox: &Sandbox, rule: &str, more: &str) -> Place {
    let place = Place::new();
    place.file("secret", SECRET);
    let url = sandbox.url();
    place.file(
        "lagan.yaml",
        format!(
            "registries:\n  harbor:\n    url: {url}\n    credentials: {{username: '{ROBOT}', password_file: secret}}\n\
             policies:\n  cleanup:\n    repositories: ['**']\n    mode: enforce\n    rules: [{rule}]\n{more}"
        ),
    );
    place
}

async fn run(place: &Place, arguments: &str) -> Run {
    place.run(&format!("apply --yes --format json {arguments}")).await
}

async fn apply(place: &Place, code: i32) -> Value {
    run(place, "").await.exits(code).json()
}

/// So many release candidates, the oldest first.
fn candidates(sandbox: &Sandbox, repository: &str, count: i64) {
    for number in 1..=count {
        sandbox.put_image(
            repository,
            &[&format!("1.0.0-rc.{number}")],
            Moment::date(2026, 1, number),
        );
    }
}

/// The entries of a report that ended so.
fn entries<'r>(report: &'r Value, outcome: &str) -> Vec<&'r Value> {
    let repositories = report["repositories"].as_array().unwrap().iter();
    let entries = repositories.flat_map(|repository| repository["entries"].as_array().unwrap());
    entries.filter(|entry| entry["outcome"] == outcome).collect()
}
