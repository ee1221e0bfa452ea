//! Amazon ECR: <https://docs.aws.amazon.com/AmazonECR/latest/userguide/LifecyclePolicies.html> (evaluation rules) and
//! <https://docs.aws.amazon.com/AmazonECR/latest/userguide/lifecycle_policy_examples.html> (the cases below).

use std::collections::BTreeSet;

use lagan_model::Capability;
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::world::{Image, MINUTES_A_DAY, converted, differences, gone, images, names_of};

/// A pattern in which `*` stands for any text.
fn matches(pattern: &str, text: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == text,
        Some((start, rest)) => text
            .strip_prefix(start)
            .is_some_and(|text| (0..=text.len()).any(|at| matches(rest, &text[at..]))),
    }
}

fn list(selection: &Value, key: &str) -> Vec<String> {
    let items = selection[key].as_array().cloned().unwrap_or_default();
    items
        .iter()
        .map(|item| item.as_str().unwrap().to_owned())
        .collect()
}

/// Whether an image meets the tagging requirements of a rule: all patterns are matched, each by any of its tags.
fn selected(selection: &Value, image: &Image) -> bool {
    let mut patterns = list(selection, "tagPatternList");
    patterns.extend(
        list(selection, "tagPrefixList")
            .iter()
            .map(|prefix| format!("{prefix}*")),
    );
    match selection["tagStatus"].as_str().unwrap() {
        "any" => true,
        "untagged" => image.tags.is_empty(),
        _ => {
            !image.tags.is_empty()
                && patterns
                    .iter()
                    .all(|pattern| image.tags.iter().any(|tag| matches(pattern, tag)))
        }
    }
}

/// The images that a lifecycle policy expires. Every rule marks by itself; an image is expired only by the first rule
/// by priority whose tagging requirements it meets.
fn expired(policy: &Value, images: &[Image]) -> BTreeSet<usize> {
    let mut rules: Vec<&Value> = policy["rules"].as_array().unwrap().iter().collect();
    rules.sort_by_key(|rule| rule["rulePriority"].as_u64().unwrap());
    let marked = |rule: &Value| -> BTreeSet<usize> {
        let selection = &rule["selection"];
        let archive = rule["action"]["type"] == "transition" || selection["storageClass"] == "archive";
        let number = selection["countNumber"].as_i64().unwrap();
        let mut seen: Vec<usize> = (0..images.len())
            .filter(|image| selected(selection, &images[*image]))
            .collect();
        // From youngest to oldest.
        seen.sort_by_key(|image| images[*image].pushed);
        match selection["countType"].as_str().unwrap() {
            _ if archive => BTreeSet::new(),
            "imageCountMoreThan" => seen.into_iter().skip(usize::try_from(number).unwrap()).collect(),
            "sinceImagePushed" => seen
                .into_iter()
                .filter(|image| images[*image].pushed > number * MINUTES_A_DAY)
                .collect(),
            "sinceImagePulled" => seen
                .into_iter()
                .filter(|image| {
                    images[*image].pulled.unwrap_or(images[*image].pushed) > number * MINUTES_A_DAY
                })
                .collect(),
            _ => BTreeSet::new(),
        }
    };
    (0..images.len())
        .filter(|image| {
            let first = rules
                .iter()
                .find(|rule| selected(&rule["selection"], &images[*image]));
            first.is_some_and(|rule| marked(rule).contains(image))
        })
        .collect()
}

fn rule(priority: u64, selection: Value) -> Value {
    json!({"rulePriority": priority, "selection": selection, "action": {"type": "expire"}})
}

fn newest(patterns: &[&str], count: u64) -> Value {
    json!({"tagStatus": "tagged", "tagPatternList": patterns, "countType": "imageCountMoreThan", "countNumber": count})
}

fn compare(policy: &Value, images: &[Image]) -> (BTreeSet<String>, BTreeSet<String>) {
    let conversion = converted(&policy.to_string(), "team/app");
    let ours = gone(&conversion, "team/app", images, Capability::NotOffered);
    (ours, names_of(images, &expired(policy, images)))
}

fn set(tags: &[&str]) -> BTreeSet<String> {
    tags.iter().map(|tag| (*tag).to_owned()).collect()
}

/// The repository of "Filtering on multiple rules", examples A and B.
fn several_rules() -> Vec<Image> {
    vec![
        Image::new(&["beta-1", "prod-1"], 10),
        Image::new(&["beta-2", "prod-2"], 9),
        Image::new(&["beta-3"], 8),
    ]
}

#[test]
fn example_a_of_several_rules_goes_as_documented() {
    let policy = json!({"rules": [rule(1, newest(&["prod*"], 1)), rule(2, newest(&["beta*"], 1))]});
    let (ours, theirs) = compare(&policy, &several_rules());
    assert_eq!(
        theirs,
        set(&["beta-1", "prod-1"]),
        "the documentation says: image A is expired"
    );
    assert_eq!(ours, theirs);
}

#[test]
fn example_b_of_several_rules_keeps_what_a_later_rule_keeps_and_says_so() {
    let policy = json!({"rules": [rule(1, newest(&["beta*"], 1)), rule(2, newest(&["prod*"], 1))]});
    let (ours, theirs) = compare(&policy, &several_rules());
    assert_eq!(
        theirs,
        set(&["beta-1", "beta-2", "prod-1", "prod-2"]),
        "images A and B are expired"
    );
    // B is the newest of `prod*`, which ECR does not ask once the first rule has matched.
    assert_eq!(ours, set(&["beta-1", "prod-1"]));
    let text = converted(&policy.to_string(), "team/app").text;
    assert!(
        text.contains("an image goes only when all its tags may go"),
        "{text}"
    );
}

#[test]
fn tags_that_have_to_be_there_together_have_no_native_form_and_keep_what_they_match() {
    let images = [
        Image::new(&["alpha-1"], 12),
        Image::new(&["beta-1"], 11),
        Image::new(&["alpha-2", "beta-2"], 10),
        Image::new(&["alpha-3"], 4),
        Image::new(&["beta-3"], 3),
        Image::new(&["alpha-4", "beta-4"], 2),
    ];
    let both = json!({
        "tagStatus": "tagged", "tagPrefixList": ["alpha", "beta"],
        "countType": "sinceImagePushed", "countUnit": "days", "countNumber": 5,
    });
    let alone = json!({"rules": [rule(1, both.clone())]});
    let (ours, theirs) = compare(&alone, &images);
    assert_eq!(
        theirs,
        set(&["alpha-2", "beta-2"]),
        "the documentation says: image C is expired"
    );
    assert_eq!(ours, set(&[]));
    let conversion = converted(&alone.to_string(), "team/app");
    assert!(
        !conversion.is_whole() && conversion.text.contains("`alpha*` and `beta*` together"),
        "{}",
        conversion.text
    );

    // What the rule shields in ECR is shielded here, from the rules behind it.
    let long = json!({
        "tagStatus": "tagged", "tagPrefixList": ["alpha", "beta"],
        "countType": "sinceImagePushed", "countUnit": "days", "countNumber": 300,
    });
    let any =
        json!({"tagStatus": "any", "countType": "sinceImagePushed", "countUnit": "days", "countNumber": 1});
    let (ours, theirs) = compare(&json!({"rules": [rule(1, long), rule(2, any)]}), &images);
    assert_eq!(theirs, set(&["alpha-1", "beta-1", "alpha-3", "beta-3"]));
    // One of the two patterns stands for both: what only it matches stays as well.
    assert_eq!(ours, set(&["beta-1", "beta-3"]));
}

#[test]
fn a_short_age_before_a_long_one_is_not_undone_by_it() {
    let dev = json!({
        "tagStatus": "tagged", "tagPatternList": ["dev-*"],
        "countType": "sinceImagePushed", "countUnit": "days", "countNumber": 7,
    });
    let any =
        json!({"tagStatus": "any", "countType": "sinceImagePushed", "countUnit": "days", "countNumber": 90});
    let policy = json!({"rules": [rule(1, dev), rule(2, any)]});
    let images = [
        Image::new(&["dev-1"], 8),
        Image::new(&["dev-2"], 6),
        Image::new(&["v1"], 89),
        Image::new(&["v2"], 91),
    ];
    let (ours, theirs) = compare(&policy, &images);
    assert_eq!(ours, set(&["dev-1", "v2"]));
    assert_eq!(ours, theirs);
}

#[test]
fn what_is_archived_in_ecr_stays_here_and_the_other_rules_hold() {
    let untouched =
        json!({"tagStatus": "any", "countType": "sinceImagePulled", "countUnit": "days", "countNumber": 90});
    let policy = json!({"rules": [
        rule(1, newest(&["v*"], 1)),
        {"rulePriority": 2, "selection": untouched, "action": {"type": "transition", "targetStorageClass": "archive"}},
    ]});
    let conversion = converted(&policy.to_string(), "team/app");
    assert!(!conversion.is_whole());
    let images = [
        Image::new(&["v1"], 200),
        Image::new(&["v2"], 100),
        Image::new(&["x"], 300),
    ];
    assert_eq!(
        gone(&conversion, "team/app", &images, Capability::NotOffered),
        set(&["v1"])
    );
}

const TAGS: &[&str] = &[
    "prod-1",
    "prod-2",
    "prod-3",
    "prod-v1",
    "beta-1",
    "beta-2",
    "beta-3",
    "v1",
    "v2",
    "v1-beta",
    "v2-prod",
    "latest",
    "dev",
    "dev-1",
    "dev-2",
    "sha-0a1b2c3",
];

fn patterns() -> impl Strategy<Value = Value> {
    let one = proptest::sample::select(vec![
        "prod*", "prod-v*", "beta*", "v*", "*-beta", "dev", "dev*", "*", "*-*",
    ]);
    let several = proptest::collection::vec(one, 1..3);
    let prefixes =
        proptest::collection::vec(proptest::sample::select(vec!["prod", "beta", "v", "dev-"]), 1..3);
    prop_oneof![
        6 => several.prop_map(|list| json!({"tagStatus": "tagged", "tagPatternList": list})),
        2 => prefixes.prop_map(|list| json!({"tagStatus": "tagged", "tagPrefixList": list})),
        2 => Just(json!({"tagStatus": "untagged"})),
        2 => Just(json!({"tagStatus": "any"})),
    ]
}

fn a_rule() -> impl Strategy<Value = Value> {
    let count = prop_oneof![
        4 => (1..5_u64).prop_map(|n| json!({"countType": "imageCountMoreThan", "countNumber": n})),
        4 => (1..90_u64).prop_map(|n| json!({"countType": "sinceImagePushed", "countUnit": "days", "countNumber": n})),
        1 => (1..90_u64).prop_map(|n| json!({"countType": "sinceImagePulled", "countUnit": "days", "countNumber": n})),
    ];
    let action = prop_oneof![
        9 => Just(json!({"type": "expire"})),
        1 => Just(json!({"type": "transition", "targetStorageClass": "archive"})),
    ];
    (patterns(), count, action).prop_map(|(mut selection, count, action)| {
        selection
            .as_object_mut()
            .unwrap()
            .extend(count.as_object().unwrap().clone());
        json!({"selection": selection, "action": action})
    })
}

fn a_policy() -> impl Strategy<Value = Value> {
    let priorities = proptest::sample::subsequence((1..30_u64).collect::<Vec<_>>(), 4).prop_shuffle();
    (proptest::collection::vec(a_rule(), 1..5), priorities).prop_map(|(mut rules, priorities)| {
        for (rule, priority) in rules.iter_mut().zip(priorities) {
            rule["rulePriority"] = json!(priority);
        }
        json!({"rules": rules})
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, max_global_rejects: 20_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn nothing_goes_that_ecr_keeps(policy in a_policy(), images in images(TAGS, false)) {
        let conversion = converted(&policy.to_string(), "team/app");
        prop_assume!(crate::world::is_recorded(&conversion, &images));
        let theirs = names_of(&images, &expired(&policy, &images));
        for single in [Capability::NotOffered, Capability::Offered] {
            let ours = gone(&conversion, "team/app", &images, single);
            prop_assert!(ours.is_subset(&theirs), "{:?} is no part of {:?} ({:?})\n{}", ours, theirs, single, conversion.text);
        }
        // Another repository is none of this policy's business.
        prop_assert!(gone(&conversion, "team/other", &images, Capability::NotOffered).is_empty());
    }

    #[test]
    fn without_a_notice_images_with_one_tag_go_and_stay_as_in_ecr(policy in a_policy(), images in images(TAGS, true)) {
        let conversion = converted(&policy.to_string(), "team/app");
        prop_assume!(differences(&conversion).is_empty());
        prop_assume!(crate::world::is_recorded(&conversion, &images));
        let theirs = names_of(&images, &expired(&policy, &images));
        let ours = gone(&conversion, "team/app", &images, Capability::NotOffered);
        prop_assert_eq!(ours, theirs, "{}", conversion.text);
    }
}
