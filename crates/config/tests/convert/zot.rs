//! zot: <https://zotregistry.dev/latest/articles/retention/> (the article), with the order of its decisions as in
//! <https://github.com/project-zot/zot/tree/main/pkg/retention>.

use std::collections::BTreeSet;

use lagan_model::Capability;
use proptest::prelude::*;
use regex::Regex;
use serde_json::{Value, json};

use crate::world::{Image, converted, differences, gone, images, is_recorded};

/// Patterns over repositories: these tests have `**`, `*` at the end of a name, and names.
fn names(pattern: &str, repository: &str) -> bool {
    match (pattern, pattern.strip_suffix("/**"), pattern.strip_suffix('*')) {
        ("**", ..) => true,
        (_, Some(folder), _) => repository
            .strip_prefix(folder)
            .is_some_and(|rest| rest.starts_with('/')),
        (_, _, Some(start)) => repository
            .strip_prefix(start)
            .is_some_and(|rest| !rest.contains('/')),
        _ => pattern == repository,
    }
}

fn hours(text: &str) -> i64 {
    text.strip_suffix('h').unwrap().parse::<i64>().unwrap() * 60
}

/// What goes: untagged images that are older than `delay`, unless the policy says otherwise, and tags.
fn deleted(retention: &Value, repository: &str, images: &[Image]) -> BTreeSet<String> {
    let mut gone = deleted_tags(retention, repository, images);
    let policies = retention["policies"].as_array().unwrap();
    let policy = policies.iter().find(|policy| {
        let patterns = policy["repositories"].as_array().unwrap();
        patterns
            .iter()
            .any(|pattern| names(pattern.as_str().unwrap(), repository))
    });
    if policy.is_none_or(|policy| policy["deleteUntagged"] != false) {
        let delay = hours(retention["delay"].as_str().unwrap());
        let bare = images
            .iter()
            .enumerate()
            .filter(|(_, image)| image.tags.is_empty() && image.pushed >= delay);
        gone.extend(bare.flat_map(|(number, image)| image.names(number)));
    }
    gone
}

/// The tags that go. What the first policy that names the repository says holds, and of that the first entry of
/// `keepTags` that matches the tag.
fn deleted_tags(retention: &Value, repository: &str, images: &[Image]) -> BTreeSet<String> {
    let policies = retention["policies"].as_array().unwrap();
    let of = |policy: &&Value| {
        let patterns = policy["repositories"].as_array().unwrap();
        patterns
            .iter()
            .any(|pattern| names(pattern.as_str().unwrap(), repository))
    };
    let tags: Vec<(&String, &Image)> = images
        .iter()
        .flat_map(|image| image.tags.iter().map(move |tag| (tag, image)))
        .collect();
    let entries = match policies
        .iter()
        .find(of)
        .map(|policy| policy["keepTags"].as_array().cloned().unwrap_or_default())
    {
        Some(entries) if !entries.is_empty() => entries,
        _ => return BTreeSet::new(),
    };
    let entry_of = |tag: &str| {
        entries.iter().position(|entry| {
            let patterns = entry["patterns"].as_array().cloned().unwrap_or_default();
            patterns.is_empty()
                || patterns
                    .iter()
                    .any(|pattern| Regex::new(pattern.as_str().unwrap()).unwrap().is_match(tag))
        })
    };
    let mut kept = BTreeSet::new();
    for (position, entry) in entries.iter().enumerate() {
        let mut own: Vec<(&String, &Image)> = tags
            .iter()
            .copied()
            .filter(|(tag, _)| entry_of(tag) == Some(position))
            .collect();
        let rules = entry
            .as_object()
            .unwrap()
            .iter()
            .filter(|(key, value)| *key != "patterns" && **value != json!(0));
        let mut any = false;
        for (rule, value) in rules {
            any = true;
            let mut take = |mut own: Vec<(&String, &Image)>, by: &dyn Fn(&Image) -> i64| {
                own.sort_by_key(|(_, image)| by(image));
                let count = usize::try_from(value.as_u64().unwrap()).unwrap();
                kept.extend(own.into_iter().take(count).map(|(tag, _)| tag.clone()));
            };
            match rule.as_str() {
                "mostRecentlyPushedCount" => take(own.clone(), &|image| image.pushed),
                "mostRecentlyPulledCount" => take(own.clone(), &|image| image.pulled.unwrap_or(i64::MAX)),
                "pushedWithin" => {
                    let within = own
                        .iter()
                        .filter(|(_, image)| image.pushed < hours(value.as_str().unwrap()));
                    kept.extend(within.map(|(tag, _)| (*tag).clone()));
                }
                "pulledWithin" => {
                    let within = own
                        .iter()
                        .filter(|(_, image)| image.active() < hours(value.as_str().unwrap()));
                    kept.extend(within.map(|(tag, _)| (*tag).clone()));
                }
                other => panic!("{other}"),
            }
        }
        if !any {
            kept.extend(own.drain(..).map(|(tag, _)| tag.clone()));
        }
    }
    tags.into_iter()
        .map(|(tag, _)| tag.clone())
        .filter(|tag| !kept.contains(tag))
        .collect()
}

fn retention(policies: &[Value]) -> Value {
    json!({"dryRun": false, "delay": "24h", "policies": policies})
}

fn document(retention: &Value) -> String {
    json!({"distSpecVersion": "1.1.0", "storage": {"rootDirectory": "/r", "gc": true, "retention": retention}, "http": {}}).to_string()
}

fn set(tags: &[&str]) -> BTreeSet<String> {
    tags.iter().map(|tag| (*tag).to_owned()).collect()
}

#[test]
fn the_first_entry_that_matches_a_tag_decides_and_its_tags_take_no_place_elsewhere() {
    let retention = retention(&[json!({"repositories": ["**"], "keepTags": [
        {"patterns": ["^v2.*", ".*-prod$"]},
        {"patterns": ["^pr-.*"], "pushedWithin": "48h"},
        {"mostRecentlyPushedCount": 1},
    ]})]);
    let images = [
        Image::new(&["v2.0"], 300),
        Image::new(&["v2.1"], 0),
        Image::new(&["x-prod"], 200),
        Image::new(&["pr-1"], 1),
        Image::new(&["pr-2"], 3),
        Image::new(&["dev-1"], 10),
        Image::new(&["dev-2"], 20),
    ];
    let theirs = deleted(&retention, "app", &images);
    assert_eq!(theirs, set(&["pr-2", "dev-2"]));
    let conversion = converted(&document(&retention), "unused");
    assert!(differences(&conversion).is_empty(), "{}", conversion.text);
    assert_eq!(gone(&conversion, "app", &images, Capability::NotOffered), theirs);
}

#[test]
fn the_first_policy_that_names_a_repository_holds_alone() {
    let retention = retention(&[
        json!({"repositories": ["infra/*"], "keepTags": [{"mostRecentlyPushedCount": 1}]}),
        json!({"repositories": ["**"], "keepTags": [{"patterns": ["keep"]}]}),
    ]);
    let images = [
        Image::new(&["keep"], 2),
        Image::new(&["new"], 1),
        Image::new(&["old"], 3),
    ];
    let conversion = converted(&document(&retention), "unused");
    for (repository, wanted) in [
        ("infra/app", set(&["keep", "old"])),
        ("infra/a/b", set(&["new", "old"])),
    ] {
        assert_eq!(deleted(&retention, repository, &images), wanted);
        assert_eq!(
            gone(&conversion, repository, &images, Capability::NotOffered),
            wanted
        );
    }
}

#[test]
fn without_keep_tags_every_tag_stays() {
    let retention = retention(&[json!({"repositories": ["**"], "deleteUntagged": true})]);
    let conversion = converted(&document(&retention), "unused");
    let images = [Image::new(&["a"], 900)];
    assert_eq!(
        gone(&conversion, "app", &images, Capability::NotOffered),
        set(&[])
    );
}

#[test]
fn tags_on_one_image_share_a_place_and_what_has_no_form_is_said() {
    let retention = retention(&[json!({"repositories": ["**"], "keepTags": [
        {"patterns": [r"^pr-\d+$"], "pushedWithin": "24h"},
        {"mostRecentlyPushedCount": 1},
    ]})]);
    let conversion = converted(&document(&retention), "unused");
    assert!(
        !conversion.is_whole() && conversion.text.contains("are no globs"),
        "{}",
        conversion.text
    );
    let sub = json!({"storage": {"retention": {"policies": [{"repositories": ["**"], "keepTags": [{"patterns": ["x"]}]}]},
        "subPaths": {"/a": {"retention": {"policies": []}}}}});
    let conversion = converted(&sub.to_string(), "unused");
    assert!(!conversion.is_whole());
    let images = [Image::new(&["old"], 900)];
    assert_eq!(
        gone(&conversion, "a/app", &images, Capability::NotOffered),
        set(&[])
    );
    assert_eq!(
        gone(&conversion, "b/app", &images, Capability::NotOffered),
        set(&["old"])
    );
}

const TAGS: &[&str] = &[
    "v1", "v2", "v2.1", "v3-prod", "a-prod", "b-prod", "pr-1", "pr-2", "pr-31", "dev", "dev-1", "dev-2",
    "latest", "x",
];

fn entry() -> impl Strategy<Value = Value> {
    let pattern = proptest::sample::select(vec![
        "v2.*",
        ".*-prod",
        "^pr-.*$",
        "dev",
        r"^pr-\d+$",
        "^v[0-9]",
        ".*",
        "^(dev|x)$",
    ]);
    let patterns = proptest::option::weighted(0.8, proptest::collection::vec(pattern, 1..3));
    let hours = || proptest::option::weighted(0.3, 1..2000_u64);
    let count = |weight: f64| proptest::option::weighted(weight, 0..4_u64);
    (patterns, hours(), hours(), count(0.4), count(0.05)).prop_map(
        |(patterns, pulled, pushed, last, last_pulled)| {
            let mut entry = serde_json::Map::new();
            entry.extend(patterns.map(|patterns| ("patterns".to_owned(), json!(patterns))));
            entry.extend(pulled.map(|hours| ("pulledWithin".to_owned(), json!(format!("{hours}h")))));
            entry.extend(pushed.map(|hours| ("pushedWithin".to_owned(), json!(format!("{hours}h")))));
            entry.extend(last.map(|count| ("mostRecentlyPushedCount".to_owned(), json!(count))));
            entry.extend(last_pulled.map(|count| ("mostRecentlyPulledCount".to_owned(), json!(count))));
            Value::Object(entry)
        },
    )
}

fn a_policy() -> impl Strategy<Value = Value> {
    let repositories = proptest::collection::vec(
        proptest::sample::select(vec!["**", "infra/*", "app", "tmp/**", "in*"]),
        1..3,
    );
    let untagged = proptest::sample::select(vec![Value::Null, json!(true), json!(false)]);
    (repositories, proptest::collection::vec(entry(), 0..4), untagged).prop_map(
        |(repositories, entries, untagged)| {
            let mut policy = json!({"repositories": repositories, "keepTags": entries});
            if !untagged.is_null() {
                policy["deleteUntagged"] = untagged;
            }
            policy
        },
    )
}

const REPOSITORIES: &[&str] = &["app", "infra", "infra/app", "infra/a/b", "tmp/x/y", "other"];

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, max_global_rejects: 20_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn nothing_goes_that_zot_keeps(
        policies in proptest::collection::vec(a_policy(), 1..4), images in images(TAGS, false),
        repository in proptest::sample::select(REPOSITORIES),
    ) {
        let retention = retention(&policies);
        let conversion = converted(&document(&retention), "unused");
        prop_assume!(is_recorded(&conversion, &images));
        let theirs = deleted(&retention, repository, &images);
        for single in [Capability::NotOffered, Capability::Offered] {
            let ours = gone(&conversion, repository, &images, single);
            prop_assert!(ours.is_subset(&theirs), "{:?} is no part of {:?} ({:?})\n{}", ours, theirs, single, conversion.text);
        }
    }

    #[test]
    fn without_a_notice_images_with_one_tag_go_and_stay_as_in_zot(
        policies in proptest::collection::vec(a_policy(), 1..4), images in images(TAGS, true),
        repository in proptest::sample::select(REPOSITORIES),
    ) {
        let retention = retention(&policies);
        let conversion = converted(&document(&retention), "unused");
        prop_assume!(differences(&conversion).is_empty());
        prop_assume!(is_recorded(&conversion, &images));
        let theirs = deleted(&retention, repository, &images);
        prop_assert_eq!(gone(&conversion, repository, &images, Capability::NotOffered), theirs, "{}", conversion.text);
    }
}
