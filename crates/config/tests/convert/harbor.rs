//! Harbor: <https://goharbor.io/docs/main/working-with-projects/working-with-images/create-tag-retention-rules/> (the
//! rules and the examples below), and the meaning of each template in
//! <https://github.com/goharbor/harbor/tree/main/src/pkg/retention/policy/rule>.

use std::collections::BTreeSet;

use lagan_model::Capability;
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::world::{Image, MINUTES_A_DAY, converted, differences, gone, images, is_recorded, names_of};

/// The patterns of these tests: braces, `*` within a segment, `**` over segments.
fn matches(pattern: &str, text: &str) -> bool {
    if let Some((before, rest)) = pattern.split_once('{') {
        let (inside, behind) = rest.split_once('}').unwrap();
        return inside
            .split(',')
            .any(|one| matches(&format!("{before}{one}{behind}"), text));
    }
    if pattern == "**" {
        return true;
    }
    if let Some(rest) = pattern.strip_prefix("**/") {
        return matches(rest, text)
            || text
                .split_once('/')
                .is_some_and(|(_, below)| matches(pattern, below));
    }
    if let Some(folder) = pattern.strip_suffix("/**") {
        return text
            .strip_prefix(folder)
            .is_some_and(|below| below.starts_with('/'));
    }
    match pattern.split_once('*') {
        None => pattern == text,
        Some((start, rest)) => {
            let rest = rest.trim_start_matches('*');
            text.strip_prefix(start).is_some_and(|text| {
                let segment = text.find('/').unwrap_or(text.len());
                (0..=segment).any(|at| matches(rest, &text[at..]))
            })
        }
    }
}

fn selects(selector: &Value, image: &Image) -> bool {
    let pattern = selector["pattern"].as_str().unwrap();
    let excludes = selector["decoration"] == "excludes";
    let extras = selector["extras"].as_str().filter(|extras| !extras.is_empty());
    let untagged = extras.map(|extras| {
        let extras: Value = serde_json::from_str(extras).unwrap();
        extras["untagged"].as_bool().unwrap_or(false)
    });
    if image.tags.is_empty() {
        return if excludes {
            !untagged.unwrap_or(false)
        } else {
            untagged.unwrap_or(true)
        };
    }
    image.tags.iter().any(|tag| matches(pattern, tag) != excludes)
}

/// The artifacts that a rule retains.
fn retained(rule: &Value, images: &[Image]) -> BTreeSet<usize> {
    let selectors = rule["tag_selectors"].as_array().unwrap();
    let mut selected: Vec<usize> = (0..images.len())
        .filter(|image| {
            selectors
                .iter()
                .all(|selector| selects(selector, &images[*image]))
        })
        .collect();
    let template = rule["template"].as_str().unwrap();
    let number = rule["params"][template].as_i64().unwrap_or(0);
    let newest = |mut selected: Vec<usize>, by: &dyn Fn(&Image) -> i64| {
        selected.sort_by_key(|image| by(&images[*image]));
        selected
            .into_iter()
            .take(usize::try_from(number).unwrap())
            .collect()
    };
    let days = number * MINUTES_A_DAY;
    match template {
        "always" => selected.into_iter().collect(),
        "latestPushedK" => newest(selected, &|image| image.pushed),
        // What was never pulled was pulled at the beginning of time.
        "latestPulledN" => newest(selected, &|image| image.pulled.unwrap_or(i64::MAX)),
        "latestActiveK" => newest(selected, &Image::active),
        "nDaysSinceLastPush" | "lastXDays" => {
            selected.retain(|image| images[*image].pushed <= days);
            selected.into_iter().collect()
        }
        "nDaysSinceLastPull" => {
            selected.retain(|image| images[*image].pulled.is_some_and(|pulled| pulled <= days));
            selected.into_iter().collect()
        }
        other => panic!("{other}"),
    }
}

/// The artifacts of a repository (its name without the project) that go: those that no rule retains, where any rule
/// names the repository.
fn deleted(policy: &Value, repository: &str, images: &[Image]) -> BTreeSet<usize> {
    let names = |rule: &&Value| {
        let selectors = rule["scope_selectors"]["repository"]
            .as_array()
            .cloned()
            .unwrap_or_default();
        rule["disabled"] != true
            && selectors.iter().all(|selector| {
                matches(selector["pattern"].as_str().unwrap(), repository)
                    != (selector["decoration"] == "repoExcludes")
            })
    };
    let rules: Vec<&Value> = policy["rules"].as_array().unwrap().iter().filter(names).collect();
    if rules.is_empty() {
        return BTreeSet::new();
    }
    let retained: BTreeSet<usize> = rules.iter().flat_map(|rule| retained(rule, images)).collect();
    (0..images.len())
        .filter(|image| !retained.contains(image))
        .collect()
}

fn matching(pattern: &str) -> Value {
    json!({"kind": "doublestar", "decoration": "matches", "pattern": pattern, "extras": "{\"untagged\":true}"})
}

fn rule(template: &str, number: u64, tags: Value, repositories: &str) -> Value {
    json!({
        "action": "retain", "disabled": false, "template": template, "params": {template: number},
        "tag_selectors": [tags],
        "scope_selectors": {"repository": [
            {"kind": "doublestar", "decoration": "repoMatches", "pattern": repositories},
        ]},
    })
}

fn policy(rules: &[Value]) -> Value {
    json!({
        "id": 1, "algorithm": "or", "rules": rules,
        "trigger": {"kind": "Schedule", "references": {}, "settings": {"cron": ""}},
        "scope": {"level": "project", "ref": 1},
    })
}

fn compare(policy: &Value, repository: &str, images: &[Image]) -> (BTreeSet<String>, BTreeSet<String>) {
    let conversion = converted(&policy.to_string(), "library");
    let ours = gone(
        &conversion,
        &format!("library/{repository}"),
        images,
        Capability::NotOffered,
    );
    (ours, names_of(images, &deleted(policy, repository, images)))
}

fn set(tags: &[&str]) -> BTreeSet<String> {
    tags.iter().map(|tag| (*tag).to_owned()).collect()
}

#[test]
fn the_newest_pushed_stay_and_all_else_goes_in_every_repository_that_is_named() {
    let policy = policy(&[rule("latestPushedK", 2, matching("**"), "{backend-*,web}")]);
    let images = [
        Image::new(&["a"], 4),
        Image::new(&["b"], 3),
        Image::new(&["c"], 2),
        Image::new(&["d"], 1),
    ];
    for repository in ["backend-1", "web"] {
        let (ours, theirs) = compare(&policy, repository, &images);
        assert_eq!(theirs, set(&["a", "b"]));
        assert_eq!(ours, theirs);
    }
    let (ours, theirs) = compare(&policy, "frontend", &images);
    assert_eq!(
        (&ours, &theirs),
        (&set(&[]), &set(&[])),
        "no rule names it, and nothing happens there"
    );
}

#[test]
fn rules_are_alternatives_and_an_artifact_that_one_retains_keeps_all_its_tags() {
    let policy = policy(&[
        rule("always", 0, matching("release-*"), "**"),
        rule("nDaysSinceLastPush", 7, matching("**"), "**"),
    ]);
    let images = [
        Image::new(&["release-1", "build-1"], 30),
        Image::new(&["build-2"], 30),
        Image::new(&["build-3"], 3),
    ];
    let (ours, theirs) = compare(&policy, "app", &images);
    assert_eq!(theirs, set(&["build-2"]));
    assert_eq!(ours, theirs);
    let conversion = converted(&policy.to_string(), "library");
    assert_eq!(
        gone(&conversion, "library/app", &images, Capability::Offered),
        theirs,
        "no tag is taken from an artifact that stays"
    );
}

#[test]
fn the_last_pulled_have_no_native_form_since_a_push_counts_as_a_pull_here() {
    let policy = policy(&[rule("latestPulledN", 1, matching("**"), "**")]);
    let mut images = [Image::new(&["pulled"], 30), Image::new(&["new"], 1)];
    images[0].pulled = Some(5 * MINUTES_A_DAY);
    let (ours, theirs) = compare(&policy, "app", &images);
    assert_eq!(theirs, set(&["new"]), "Harbor ranks it last, although it is new");
    assert_eq!(ours, set(&[]));
    assert!(!converted(&policy.to_string(), "library").is_whole());
}

#[test]
fn what_was_pushed_lately_and_never_pulled_stays_here_and_a_notice_says_so() {
    let policy = policy(&[rule("nDaysSinceLastPull", 7, matching("**"), "**")]);
    let mut images = [
        Image::new(&["new"], 1),
        Image::new(&["old"], 30),
        Image::new(&["used"], 30),
    ];
    images[2].pulled = Some(MINUTES_A_DAY);
    let (ours, theirs) = compare(&policy, "app", &images);
    assert_eq!((ours, theirs), (set(&["old"]), set(&["new", "old"])));
    let conversion = converted(&policy.to_string(), "library");
    assert!(
        differences(&conversion)
            .iter()
            .any(|notice| notice.text.contains("a push counts as a pull"))
    );
}

const TAGS: &[&str] = &[
    "v1", "v2", "v3", "v1-rc", "v2-rc", "pr-1", "pr-2", "pr-3", "tmp-1", "tmp-2", "latest", "dev", "build-1",
    "build-2",
];

fn selector() -> impl Strategy<Value = Value> {
    let pattern = proptest::sample::select(vec![
        "**",
        "*",
        "v*",
        "*-rc",
        "{pr,tmp}-*",
        "latest",
        "build-**",
        "",
    ]);
    let extras = proptest::sample::select(vec!["", "{\"untagged\":true}", "{\"untagged\":false}"]);
    let decoration = proptest::sample::select(vec!["matches", "matches", "excludes"]);
    (pattern, extras, decoration).prop_map(|(pattern, extras, decoration)| {
        let pattern = if pattern.is_empty() { "**" } else { pattern };
        json!({"kind": "doublestar", "decoration": decoration, "pattern": pattern, "extras": extras})
    })
}

fn a_rule() -> impl Strategy<Value = Value> {
    let template = proptest::sample::select(vec![
        ("always", 0..1_u64),
        ("latestPushedK", 0..4),
        ("latestPulledN", 1..4),
        ("latestActiveK", 1..4),
        ("nDaysSinceLastPush", 1..60),
        ("lastXDays", 1..60),
        ("nDaysSinceLastPull", 1..60),
    ])
    .prop_flat_map(|(template, numbers)| (Just(template), numbers));
    let selectors = prop_oneof![
        8 => proptest::collection::vec(selector(), 1..2),
        1 => proptest::collection::vec(selector(), 2..3),
    ];
    let one = prop_oneof![
        proptest::sample::select(vec!["**", "app", "team/**", "team/*", "{app,web}", "**/db"]).prop_map(
            |pattern| json!({"kind": "doublestar", "decoration": "repoMatches", "pattern": pattern})
        ),
        proptest::sample::select(vec!["web", "team/*"]).prop_map(
            |pattern| json!({"kind": "doublestar", "decoration": "repoExcludes", "pattern": pattern})
        ),
    ];
    let scope = prop_oneof![
        8 => proptest::collection::vec(one.clone(), 1..2),
        1 => proptest::collection::vec(one, 2..3),
    ];
    (template, selectors, scope, proptest::bool::weighted(0.1)).prop_map(
        |((template, number), tags, scope, disabled)| {
            let params = if template == "always" {
                json!({})
            } else {
                json!({template: number})
            };
            json!({
                "action": "retain", "disabled": disabled, "template": template, "params": params,
                "tag_selectors": tags, "scope_selectors": {"repository": scope},
            })
        },
    )
}

const REPOSITORIES: &[&str] = &["app", "web", "team/app", "team/db", "team/deep/db", "other"];

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, max_global_rejects: 20_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn nothing_goes_that_harbor_retains(
        rules in proptest::collection::vec(a_rule(), 1..4), images in images(TAGS, false),
        repository in proptest::sample::select(REPOSITORIES),
    ) {
        let policy = policy(&rules);
        let conversion = converted(&policy.to_string(), "library");
        prop_assume!(is_recorded(&conversion, &images));
        let theirs = names_of(&images, &deleted(&policy, repository, &images));
        for single in [Capability::NotOffered, Capability::Offered] {
            let ours = gone(&conversion, &format!("library/{repository}"), &images, single);
            prop_assert!(ours.is_subset(&theirs), "{:?} is no part of {:?} ({:?})\n{}", ours, theirs, single, conversion.text);
        }
    }

    #[test]
    fn without_a_notice_artifacts_go_and_stay_as_in_harbor(
        rules in proptest::collection::vec(a_rule(), 1..4), images in images(TAGS, false),
        repository in proptest::sample::select(REPOSITORIES),
    ) {
        let policy = policy(&rules);
        let conversion = converted(&policy.to_string(), "library");
        prop_assume!(differences(&conversion).is_empty());
        prop_assume!(is_recorded(&conversion, &images));
        // What is untagged waits a day here, as the notice on every such rule says, and takes no place until then.
        prop_assume!(images.iter().all(|image| !image.tags.is_empty() || image.pushed >= MINUTES_A_DAY));
        let theirs = names_of(&images, &deleted(&policy, repository, &images));
        let ours = gone(&conversion, &format!("library/{repository}"), &images, Capability::NotOffered);
        prop_assert_eq!(ours, theirs, "{}", conversion.text);
    }
}
