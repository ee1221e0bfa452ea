//! The lifecycle-rule dialect: what it means, by a model of its own, and that its converted form means the same.

use std::collections::{BTreeMap, BTreeSet};

use lagan_config::{ConvertOptions, NoticeKind, PolicyFile, convert};
use lagan_policy::{Mode, Policy};
use proptest::prelude::*;
use regex::Regex;

use crate::world::{Image, gone_by};

/// A tag, and what a person reads in it: its channel, its variant, and its rank among versions, the lowest first.
const TAGS: &[(&str, &str, &str, u32)] = &[
    ("v1.0.0-alpha", "alpha", "", 1),
    ("v1.0.0-alpha.2", "alpha", "", 2),
    ("v1.0.0-beta", "beta", "", 3),
    ("v1.0.0-beta.2", "beta", "", 4),
    ("v1.0.0-beta.10", "beta", "", 5),
    ("v1.0.0-rc.1", "rc", "", 6),
    ("v1.0.0", "stable", "", 7),
    ("1.1.0-alpha.1", "alpha", "", 8),
    ("1.1.0-beta.1", "beta", "", 9),
    ("v1.1.0-beta.2-alpine", "beta", "alpine", 10),
    ("v1.1.0-beta.3-alpine", "beta", "alpine", 11),
    ("v1.1.0-release", "stable", "", 12),
    ("1.25.3-alpine", "stable", "alpine", 13),
    ("v2.0.0-nightly.20260101", "nightly", "", 14),
    ("7.4-rc", "floating", "", 0),
    ("latest-alpha", "floating", "", 0),
    ("2.3.1-a100", "unknown", "", 0),
    ("alpha", "floating", "", 0),
];

struct Rule {
    disabled: bool,
    pattern: &'static str,
    repositories: &'static [&'static str],
    scope: bool,
    count: usize,
    dry_run: bool,
}

impl Rule {
    fn text(&self) -> String {
        let repositories: Vec<String> = self
            .repositories
            .iter()
            .map(|glob| format!("      - \"{glob}\"\n"))
            .collect();
        let scope = if self.scope {
            "    scope_selectors:\n      repository: [\"**\"]\n"
        } else {
            ""
        };
        format!(
            "  - disabled: {}\n    action: remove\n    tag_selectors:\n      - kind: semver\n        pattern: \"{}\"\n    repo_selectors:\n{}{scope}    deletion_count: {}\n    dry_run: {}\n",
            self.disabled,
            self.pattern,
            repositories.concat(),
            self.count,
            self.dry_run,
        )
    }

    /// The tags that the rule keeps, and those that it would remove.
    fn sorts<'t>(&self, tags: &[&'t str]) -> (BTreeSet<&'t str>, BTreeSet<&'t str>) {
        let pattern = Regex::new(self.pattern).unwrap();
        let mut groups: BTreeMap<&str, Vec<(u32, &str)>> = BTreeMap::new();
        for tag in tags {
            let (_, channel, variant, rank) = TAGS.iter().find(|(name, ..)| name == tag).unwrap();
            if ["alpha", "beta", "rc", "nightly"].contains(channel) && pattern.is_match(tag) {
                groups.entry(variant).or_default().push((*rank, tag));
            }
        }
        let (mut kept, mut removed) = (BTreeSet::new(), BTreeSet::new());
        for mut group in groups.into_values() {
            group.sort_unstable_by(|a, b| b.cmp(a));
            for (place, (_, tag)) in group.into_iter().enumerate() {
                if place < self.count {
                    kept.insert(tag)
                } else {
                    removed.insert(tag)
                };
            }
        }
        (kept, removed)
    }
}

fn names(glob: &str, repository: &str) -> bool {
    match (glob.strip_suffix("/**"), glob.strip_suffix('*')) {
        _ if glob == "**" => true,
        (Some(folder), _) => repository.starts_with(&format!("{folder}/")),
        (None, Some(start)) => repository
            .strip_prefix(start)
            .is_some_and(|rest| !rest.contains('/')),
        (None, None) => glob == repository,
    }
}

fn removed(rules: &[Rule], repository: &str, tags: &[&str]) -> BTreeSet<String> {
    let sorted: Vec<_> = rules
        .iter()
        .filter(|rule| !rule.disabled && rule.repositories.iter().any(|glob| names(glob, repository)))
        .map(|rule| rule.sorts(tags))
        .collect();
    let kept: BTreeSet<&str> = sorted.iter().flat_map(|(kept, _)| kept.iter().copied()).collect();
    let removed = sorted.iter().flat_map(|(_, removed)| removed.iter().copied());
    removed
        .filter(|tag| !kept.contains(tag))
        .map(str::to_owned)
        .collect()
}

fn a_rule() -> impl Strategy<Value = Rule> {
    let pattern = proptest::sample::select(vec![
        "v(.*?)-(alpha|beta)",
        "beta",
        "^v1",
        "rc.1$",
        ".*",
        "alpine",
        "x",
    ]);
    let repositories = proptest::sample::select(vec![
        &["project/backend-*"][..],
        &["project/**"],
        &["project/backend-a", "other"],
        &["**"],
    ]);
    (
        proptest::bool::weighted(0.1),
        pattern,
        repositories,
        any::<bool>(),
        1..4_usize,
        any::<bool>(),
    )
        .prop_map(|(disabled, pattern, repositories, scope, count, dry_run)| Rule {
            disabled,
            pattern,
            repositories,
            scope,
            count,
            dry_run,
        })
}

impl std::fmt::Debug for Rule {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.text())
    }
}

fn policies(file: &PolicyFile) -> Vec<Policy> {
    file.policies.iter().map(|entry| entry.policy.clone()).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_dialect_and_its_converted_form_decide_alike_and_as_documented(
        rules in proptest::collection::vec(a_rule(), 1..5),
        cut in 0..5_usize,
        tags in proptest::sample::subsequence(TAGS.iter().map(|(tag, ..)| *tag).collect::<Vec<_>>(), 0..=TAGS.len()),
        repository in proptest::sample::select(vec!["project/backend-a", "project/backend-b/deep", "other", "project/x"]),
    ) {
        prop_assume!(rules.iter().any(|rule| !rule.disabled));
        // The same rules in one document, or in two.
        let mut text = String::new();
        for (position, rule) in rules.iter().enumerate() {
            if position == 0 || position == cut {
                text.push_str(if position == 0 { "rules:\n" } else { "---\nrules:\n" });
            }
            text.push_str(&rule.text());
        }
        let loaded = PolicyFile::read("rules.yaml", &text, "rules").unwrap();
        let options = ConvertOptions { from: None, name: "rules", attached_to: None };
        let conversion = convert("rules.yaml", &text, &options).unwrap();
        let converted = PolicyFile::read("converted.yaml", &conversion.text, "other").unwrap();
        prop_assert_eq!(&loaded.policies, &converted.policies, "{}", conversion.text);
        prop_assert!(conversion.is_whole() && converted.notices.is_empty());

        let images: Vec<Image> = tags.iter().map(|tag| Image::new(&[tag], 1)).collect();
        let wanted = removed(&rules, repository, &tags);
        prop_assert_eq!(gone_by(&policies(&loaded), repository, &images), wanted.clone(), "{}", text);
        prop_assert_eq!(gone_by(&policies(&converted), repository, &images), wanted, "{}", conversion.text);
        let enforced = |file: &PolicyFile| policies(file).iter().filter(|policy| policy.mode == Mode::Enforce).count();
        prop_assert_eq!(enforced(&loaded) > 0, rules.iter().any(|rule| !rule.disabled && !rule.dry_run));
    }
}

const AS_PUBLISHED: &str = r#"
rules:
  - disabled: false
    action: remove
    tag_selectors:
      - kind: semver
        pattern: "v(.*?)-(alpha|beta)"
    repo_selectors:
      - "project/backend-*"
    scope_selectors:
      repository: ["**"]
    deletion_count: 10
    dry_run: false
"#;

#[test]
fn the_document_that_teams_write_today_loads_as_it_stands_and_says_what_its_count_means() {
    let file = PolicyFile::read("cleanup.yaml", AS_PUBLISHED, "cleanup").unwrap();
    let [entry] = file.policies.as_slice() else {
        panic!("{file:?}")
    };
    let policy = &entry.policy;
    assert_eq!(
        (policy.name.to_string().as_str(), policy.mode),
        ("cleanup", Mode::Enforce)
    );
    assert!(policy.names(&"project/backend-api".parse().unwrap()));
    assert!(!policy.names(&"project/backend-api/deep".parse().unwrap()));
    let [notice] = file.notices.as_slice() else {
        panic!("{:?}", file.notices)
    };
    assert_eq!(
        notice.to_string(),
        "note: cleanup.yaml:12:21: `deletion_count: 10` is the number kept: of what `rule 1` selects, the newest 10 \
         by version stay, of each variant, and the rest goes"
    );
    assert_eq!(notice.kind, NoticeKind::Note);
    let tags: Vec<String> = (1..=12).map(|n| format!("v1.0.0-beta.{n}")).collect();
    let mut images: Vec<Image> = tags.iter().map(|tag| Image::new(&[tag], 1)).collect();
    images.push(Image::new(&["v1.0.0", "v1.0.0-rc.1"], 1));
    let gone = gone_by(&policies(&file), "project/backend-api", &images);
    assert_eq!(
        gone,
        BTreeSet::from(["v1.0.0-beta.1".to_owned(), "v1.0.0-beta.2".to_owned()])
    );
}

#[test]
fn a_dry_run_is_what_is_meant_where_nothing_permits_deletion() {
    for (written, mode) in [
        ("dry_run: false", Mode::Enforce),
        ("dry_run: true", Mode::DryRun),
        ("disabled: false", Mode::DryRun),
    ] {
        let text = AS_PUBLISHED
            .replace("  - disabled: false\n", "  - name: one\n")
            .replace("dry_run: false", written);
        let file = PolicyFile::read("p.yaml", &text, "p").unwrap();
        assert_eq!(file.policies[0].policy.mode, mode, "{written}");
        assert_eq!(&*file.policies[0].policy.rules[0].name, "one");
    }
}

#[test]
fn a_scope_that_names_more_than_the_selectors_says_nothing_and_one_that_names_less_holds() {
    let named = |scope: &str, own: &str| -> Vec<String> {
        let text = AS_PUBLISHED
            .replace("[\"**\"]", scope)
            .replace("      - \"project/backend-*\"\n", own);
        let text = if own.is_empty() {
            text.replace("    repo_selectors:\n", "")
        } else {
            text
        };
        let file = PolicyFile::read("p.yaml", &text, "p").unwrap_or_else(|errors| panic!("{errors}"));
        file.policies[0]
            .policy
            .repositories
            .iter()
            .map(ToString::to_string)
            .collect()
    };
    let own = "      - \"project/backend-*\"\n";
    assert_eq!(named("[\"**\"]", own), ["project/backend-*"]);
    assert_eq!(named("[\"project/**\"]", own), ["project/backend-*"]);
    assert_eq!(
        named("[\"project/backend-*\"]", "      - \"**\"\n"),
        ["project/backend-*"]
    );
    assert_eq!(named("[\"project/*\"]", ""), ["project/*"]);
}
