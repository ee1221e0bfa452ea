//! The layers of ARCHITECTURE.md, held against what cargo says that the crates depend on.

#![expect(clippy::unwrap_used, reason = "a test tells what went wrong by failing")]

use std::collections::{BTreeMap, BTreeSet};

use cargo_metadata::{DependencyKind, Metadata, MetadataCommand, Package};

/// For each crate, the crates of this workspace that it may depend on outside its tests.
const ALLOWED: &[(&str, &[&str])] = &[
    ("lagan-model", &[]),
    ("lagan-policy", &["lagan-model", "lagan-zone"]),
    ("lagan-engine", &["lagan-model", "lagan-policy"]),
    ("lagan-registry", &["lagan-model"]),
    (
        "lagan-config",
        &["lagan-health", "lagan-model", "lagan-policy", "lagan-scheduler"],
    ),
    ("lagan-health", &[]),
    ("lagan-notify", &["lagan-model"]),
    ("lagan-scheduler", &["lagan-zone"]),
    ("lagan-report", &["lagan-model", "lagan-policy"]),
    ("lagan-sandbox", &[]),
    ("lagan-state", &["lagan-model"]),
    ("lagan-zone", &[]),
    (
        "lagan",
        &[
            "lagan-config",
            "lagan-engine",
            "lagan-health",
            "lagan-model",
            "lagan-notify",
            "lagan-policy",
            "lagan-registry",
            "lagan-report",
            "lagan-sandbox",
            "lagan-scheduler",
            "lagan-state",
        ],
    ),
];

/// For each crate, what it must never depend on, directly or through anything else.
const NEVER: &[(&str, &[&str])] = &[
    ("lagan-model", &["tokio", "reqwest", "hyper", "sled", "tracing"]),
    ("lagan-policy", &["tokio", "reqwest", "hyper", "sled", "tracing"]),
    ("lagan-engine", &["tokio", "reqwest", "hyper", "sled"]),
    ("lagan-config", &["tokio", "reqwest", "hyper", "sled"]),
    ("lagan-report", &["tokio", "reqwest", "hyper", "sled"]),
    (
        "lagan-scheduler",
        &["tokio", "tokio-cron-scheduler", "reqwest", "hyper", "sled"],
    ),
    ("lagan-health", &["tokio", "reqwest", "hyper", "sled", "tracing"]),
    ("lagan-notify", &["sled"]),
    ("lagan-registry", &["sled"]),
    ("lagan-state", &["tokio", "reqwest", "hyper"]),
    // A C library for cryptography, which one stray default feature brings back.
    (
        "lagan",
        &["aws-lc-rs", "aws-lc-sys", "openssl", "openssl-sys", "native-tls"],
    ),
];

fn metadata() -> Metadata {
    let manifest = concat!(env!("CARGO_MANIFEST_DIR"), "/../../Cargo.toml");
    let others = ["--locked".to_owned(), "--offline".to_owned()];
    MetadataCommand::new()
        .manifest_path(manifest)
        .other_options(others)
        .exec()
        .unwrap()
}

fn members(metadata: &Metadata) -> BTreeMap<String, &Package> {
    metadata
        .workspace_packages()
        .into_iter()
        .map(|package| (package.name.to_string(), package))
        .collect()
}

fn direct(package: &Package) -> BTreeSet<String> {
    let normal = package
        .dependencies
        .iter()
        .filter(|dependency| dependency.kind != DependencyKind::Development);
    normal.map(|dependency| dependency.name.clone()).collect()
}

/// Everything that a package's own build needs, tests left out.
fn reachable(metadata: &Metadata, package: &Package) -> BTreeSet<String> {
    let resolve = metadata.resolve.as_ref().unwrap();
    let nodes: BTreeMap<_, _> = resolve.nodes.iter().map(|node| (&node.id, node)).collect();
    let mut found = BTreeSet::new();
    let mut work = vec![&package.id];
    while let Some(id) = work.pop() {
        for dependency in &nodes[id].deps {
            let needed = dependency
                .dep_kinds
                .iter()
                .any(|kind| kind.kind != DependencyKind::Development);
            if needed && found.insert(metadata[&dependency.pkg].name.to_string()) {
                work.push(&dependency.pkg);
            }
        }
    }
    found
}

#[test]
fn every_crate_has_a_layer() {
    let metadata = metadata();
    let named: BTreeSet<&str> = ALLOWED.iter().map(|(name, _)| *name).collect();
    let present: BTreeSet<String> = members(&metadata).into_keys().collect();
    assert_eq!(present, named.into_iter().map(str::to_owned).collect());
}

#[test]
fn a_crate_depends_only_on_the_crates_below_it() {
    let metadata = metadata();
    let members = members(&metadata);
    for (name, allowed) in ALLOWED {
        let ours: BTreeSet<_> = direct(members[*name])
            .into_iter()
            .filter(|d| members.contains_key(d))
            .collect();
        let above: Vec<_> = ours.iter().filter(|d| !allowed.contains(&d.as_str())).collect();
        assert!(above.is_empty(), "{name} must not depend on {above:?}");
    }
}

/// Its tables are two megabytes of every process that uses one of them: see `lagan-zone`.
#[test]
fn only_tests_use_the_zones_of_chrono_tz() {
    let metadata = metadata();
    for (name, package) in members(&metadata) {
        assert!(!direct(package).contains("chrono-tz"), "{name} depends on it");
    }
}

#[test]
fn pure_crates_reach_no_runtime_no_network_and_no_store() {
    let metadata = metadata();
    let members = members(&metadata);
    for (name, never) in NEVER {
        let reached = reachable(&metadata, members[*name]);
        let found: Vec<_> = never
            .iter()
            .filter(|forbidden| reached.contains(**forbidden))
            .collect();
        assert!(found.is_empty(), "{name} reaches {found:?}");
    }
}

#[test]
fn every_crate_takes_its_lints_from_the_workspace() {
    let metadata = metadata();
    for (name, package) in members(&metadata) {
        let manifest = std::fs::read_to_string(&package.manifest_path).unwrap();
        assert!(
            manifest.contains("[lints]\nworkspace = true"),
            "{name} has lints of its own"
        );
    }
}
