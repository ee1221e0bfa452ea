//! Google Artifact Registry: <https://cloud.google.com/artifact-registry/docs/repositories/cleanup-policy-overview>
//! (delete and keep policies) and the fields of
//! <https://cloud.google.com/artifact-registry/docs/reference/rest/v1/projects.locations.repositories#CleanupPolicy>.

use std::collections::BTreeSet;

use lagan_model::Capability;
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::world::{Image, converted, differences, gone, images, names_of};

fn list(of: &Value, key: &str) -> Vec<String> {
    let items = of[key].as_array().cloned().unwrap_or_default();
    items
        .iter()
        .map(|item| item.as_str().unwrap().to_owned())
        .collect()
}

/// `30d` or `12h`, in minutes.
fn minutes(text: &str) -> i64 {
    let (number, unit) = text.split_at(text.len() - 1);
    let number: i64 = number.parse().unwrap();
    match unit {
        "d" => number * 24 * 60,
        "h" => number * 60,
        "s" => number / 60,
        other => panic!("{other}"),
    }
}

fn is_of(of: &Value, package: &str) -> bool {
    let prefixes = list(of, "packageNamePrefixes");
    prefixes.is_empty() || prefixes.iter().any(|prefix| package.starts_with(prefix.as_str()))
}

/// All entries of a condition hold; any of the prefixes of one.
fn holds(condition: &Value, package: &str, image: &Image) -> bool {
    let prefixes = list(condition, "tagPrefixes");
    let state = condition["tagState"].as_str().unwrap_or("any");
    let by_state = match state {
        "tagged" => !image.tags.is_empty(),
        "untagged" => image.tags.is_empty(),
        _ => true,
    };
    let has_prefix = |tag: &String| prefixes.iter().any(|prefix| tag.starts_with(prefix.as_str()));
    is_of(condition, package)
        && by_state
        && (prefixes.is_empty() || image.tags.iter().any(has_prefix))
        // No digest of these tests begins so.
        && condition["versionNamePrefixes"].is_null()
        && condition["olderThan"].as_str().is_none_or(|age| image.pushed > minutes(age))
        && condition["newerThan"].as_str().is_none_or(|age| image.pushed < minutes(age))
}

/// The versions of a package that go: what a delete policy matches and no keep policy does.
fn deleted(policies: &Value, package: &str, images: &[Image]) -> BTreeSet<usize> {
    let policies = policies.as_array().unwrap();
    let kept = |number: usize, policy: &Value| {
        if policy["mostRecentVersions"].is_null() {
            return holds(&policy["condition"], package, &images[number]);
        }
        let recent = &policy["mostRecentVersions"];
        let newer = images
            .iter()
            .filter(|image| image.pushed < images[number].pushed)
            .count();
        is_of(recent, package) && newer < usize::try_from(recent["keepCount"].as_u64().unwrap()).unwrap()
    };
    (0..images.len())
        .filter(|number| {
            let of = |action: &'static str| {
                policies
                    .iter()
                    .filter(move |policy| policy["action"]["type"] == action)
            };
            of("Delete").any(|policy| holds(&policy["condition"], package, &images[*number]))
                && !of("Keep").any(|policy| kept(*number, policy))
        })
        .collect()
}

fn policy(name: &str, action: &str, condition: Value) -> Value {
    json!({"name": name, "action": {"type": action}, "condition": condition})
}

fn recent(count: u64) -> Value {
    json!({"name": "recent", "action": {"type": "Keep"}, "mostRecentVersions": {"keepCount": count}})
}

fn set(tags: &[&str]) -> BTreeSet<String> {
    tags.iter().map(|tag| (*tag).to_owned()).collect()
}

fn compare(policies: &Value, images: &[Image]) -> (BTreeSet<String>, BTreeSet<String>) {
    let conversion = converted(&policies.to_string(), "project/images");
    let ours = gone(&conversion, "project/images/app", images, Capability::NotOffered);
    (ours, names_of(images, &deleted(policies, "app", images)))
}

#[test]
fn a_keep_policy_goes_before_a_delete_policy() {
    let policies = json!([
        policy("old", "Delete", json!({"tagState": "any", "olderThan": "30d"})),
        policy(
            "releases",
            "Keep",
            json!({"tagState": "tagged", "tagPrefixes": ["release"]})
        ),
        recent(1),
    ]);
    let images = [
        Image::new(&["release-1", "build-1"], 300),
        Image::new(&["build-2"], 100),
        Image::new(&["build-3"], 50),
        Image::new(&["build-4"], 40),
    ];
    let (ours, theirs) = compare(&policies, &images);
    assert_eq!(theirs, set(&["build-2", "build-3"]));
    assert_eq!(ours, theirs);
    let conversion = converted(&policies.to_string(), "project/images");
    assert_eq!(
        gone(&conversion, "project/images/app", &images, Capability::Offered),
        theirs
    );
}

#[test]
fn the_sooner_of_two_delete_policies_holds_where_both_match() {
    let policies = json!([
        policy("old", "Delete", json!({"tagState": "any", "olderThan": "30d"})),
        policy(
            "builds",
            "Delete",
            json!({"tagState": "tagged", "tagPrefixes": ["build"], "olderThan": "2d"})
        ),
        policy(
            "other",
            "Delete",
            json!({"tagState": "tagged", "packageNamePrefixes": ["ap"], "olderThan": "20d"})
        ),
    ]);
    let images = [
        Image::new(&["build-1"], 3),
        Image::new(&["build-2"], 1),
        Image::new(&["v1"], 25),
        Image::new(&["v2"], 19),
    ];
    let (ours, theirs) = compare(&policies, &images);
    assert_eq!(theirs, set(&["build-1", "v1"]));
    assert_eq!(ours, theirs);
    // In another package the third policy does not hold.
    let conversion = converted(&policies.to_string(), "project/images");
    let ours = gone(&conversion, "project/images/web", &images, Capability::NotOffered);
    assert_eq!(ours, set(&["build-1"]));
}

#[test]
fn a_keep_policy_with_an_age_holds_for_its_tags_and_makes_no_candidates() {
    let policies = json!([
        policy("old", "Delete", json!({"tagState": "any", "olderThan": "30d"})),
        policy(
            "staging",
            "Keep",
            json!({"tagState": "tagged", "tagPrefixes": ["staging"], "newerThan": "90d"})
        ),
    ]);
    let images = [
        Image::new(&["staging-1"], 100),
        Image::new(&["staging-2"], 60),
        Image::new(&["dev-1"], 60),
        Image::new(&["dev-2"], 10),
    ];
    let (ours, theirs) = compare(&policies, &images);
    assert_eq!(theirs, set(&["staging-1", "dev-1"]));
    assert_eq!(ours, theirs);
    assert!(differences(&converted(&policies.to_string(), "project/images")).is_empty());
}

#[test]
fn a_repository_as_the_api_answers_it_is_read_too() {
    let repository = json!({
        "name": "projects/p/locations/l/repositories/r", "format": "DOCKER", "cleanupPolicyDryRun": true,
        "cleanupPolicies": {
            "old": {"id": "old", "action": "DELETE", "condition": {"tagState": "TAGGED", "olderThan": "2592000s"}},
        },
    });
    let conversion = converted(&repository.to_string(), "p/r");
    assert!(
        conversion.text.contains("within: {pushed: 30d}"),
        "{}",
        conversion.text
    );
}

#[test]
fn what_has_no_native_form_keeps_and_is_said() {
    for (policies, said) in [
        (
            json!([policy(
                "new",
                "Delete",
                json!({"tagState": "any", "newerThan": "1d"})
            )]),
            "newer than an age",
        ),
        (
            json!([policy(
                "some",
                "Delete",
                json!({"versionNamePrefixes": ["sha256:00"]})
            )]),
            "selects by digest",
        ),
        (
            json!([
                policy("all", "Delete", json!({"tagState": "any"})),
                policy("old", "Keep", json!({"tagState": "any", "olderThan": "1d"})),
            ]),
            "older than an age",
        ),
    ] {
        let conversion = converted(&policies.to_string(), "project/images");
        assert!(
            !conversion.is_whole() && conversion.text.contains(said),
            "{}",
            conversion.text
        );
        let images = [Image::new(&["a"], 0), Image::new(&["b"], 10)];
        let gone = gone(&conversion, "project/images/app", &images, Capability::NotOffered);
        assert_eq!(gone, set(&[]), "{}", conversion.text);
    }
}

const TAGS: &[&str] = &[
    "release-1",
    "release-2",
    "rel-1",
    "v1",
    "v2",
    "dev-1",
    "dev-2",
    "dev-3",
    "dev",
    "staging-1",
    "staging-2",
    "latest",
];

fn condition() -> impl Strategy<Value = Value> {
    let prefixes = proptest::collection::vec(
        proptest::sample::select(vec!["rel", "release", "v", "dev", "dev-", "staging"]),
        1..3,
    );
    let tags = prop_oneof![
        3 => Just(json!({"tagState": "any"})),
        1 => Just(json!({"tagState": "untagged"})),
        2 => Just(json!({"tagState": "tagged"})),
        1 => Just(json!({})),
        5 => prefixes.prop_map(|prefixes| json!({"tagState": "tagged", "tagPrefixes": prefixes})),
    ];
    let packages = proptest::option::weighted(
        0.3,
        proptest::collection::vec(proptest::sample::select(vec!["app", "ap", "web", "team/"]), 1..3),
    );
    (tags, packages).prop_map(|(mut condition, packages)| {
        if let Some(packages) = packages {
            condition["packageNamePrefixes"] = json!(packages);
        }
        condition
    })
}

fn a_policy() -> impl Strategy<Value = Value> {
    let older = proptest::option::weighted(0.8, 1..90_u64);
    let delete =
        (condition(), older, proptest::bool::weighted(0.05)).prop_map(|(mut condition, older, newer)| {
            if let Some(days) = older {
                condition["olderThan"] = json!(format!("{days}d"));
            }
            if newer {
                condition["newerThan"] = json!("100d");
            }
            policy("delete", "Delete", condition)
        });
    let keep = (
        condition(),
        proptest::option::of(1..90_u64),
        proptest::bool::weighted(0.1),
    )
        .prop_map(|(mut condition, newer, versions)| {
            if let Some(days) = newer {
                condition["newerThan"] = json!(format!("{days}d"));
            }
            if versions {
                condition["versionNamePrefixes"] = json!(["sha256:00"]);
            }
            policy("keep", "Keep", condition)
        });
    let packages = proptest::option::weighted(0.3, proptest::sample::select(vec!["app", "web"]));
    let most_recent = (1..4_u64, packages).prop_map(|(count, packages)| {
        let mut policy = recent(count);
        if let Some(package) = packages {
            policy["mostRecentVersions"]["packageNamePrefixes"] = json!([package]);
        }
        policy
    });
    prop_oneof![5 => delete, 3 => keep, 2 => most_recent]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, max_global_rejects: 20_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn nothing_goes_that_artifact_registry_keeps(
        policies in proptest::collection::vec(a_policy(), 1..7), images in images(TAGS, false),
        package in proptest::sample::select(vec!["app", "web", "team/app", "other"]),
    ) {
        let policies = json!(policies);
        let conversion = converted(&policies.to_string(), "project/images");
        let theirs = names_of(&images, &deleted(&policies, package, &images));
        for single in [Capability::NotOffered, Capability::Offered] {
            let ours = gone(&conversion, &format!("project/images/{package}"), &images, single);
            prop_assert!(ours.is_subset(&theirs), "{:?} is no part of {:?} ({:?})\n{}", ours, theirs, single, conversion.text);
        }
    }

    #[test]
    fn without_a_notice_versions_with_one_tag_go_and_stay_as_in_artifact_registry(
        policies in proptest::collection::vec(a_policy(), 1..7), images in images(TAGS, true),
        package in proptest::sample::select(vec!["app", "web", "team/app", "other"]),
    ) {
        let policies = json!(policies);
        let conversion = converted(&policies.to_string(), "project/images");
        prop_assume!(differences(&conversion).is_empty());
        let theirs = names_of(&images, &deleted(&policies, package, &images));
        let ours = gone(&conversion, &format!("project/images/{package}"), &images, Capability::NotOffered);
        prop_assert_eq!(ours, theirs, "{}", conversion.text);
    }
}
