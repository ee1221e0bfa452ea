//! What lints call never does not happen: in random registries, under random policies.

use std::cell::Cell;

use lagan_policy::{PolicySet, Verdict};
use proptest::prelude::*;
use proptest::sample::{select, subsequence};
use proptest::test_runner::{Config as Runs, RngAlgorithm, TestRng, TestRunner};

use crate::{CaseFile, CheckOptions, Lint, PolicyFile};

const TAGS: &[&str] = &[
    "1.0.0",
    "v1.1.0",
    "1.1.0-rc.1",
    "1.1.0-rc.2",
    "2.0.0-beta.1",
    "1.0.0-alpine",
    "2.3.1-a100",
    "1.1.0_build",
    "rc",
    "pr-1",
    "pr-2",
    "pr-2-keep",
    "mr-1",
    "latest",
    "nightly",
    "9f8e7d6",
    "sha-1234567",
    "1.2",
    "build-12",
    "alpha",
];

/// Conditions; some never hold together.
fn conditions() -> impl Strategy<Value = String> {
    let tags = select(vec![
        "",
        "'*'",
        "'pr-*'",
        "'p*'",
        "['pr-*', '1.*']",
        "'?r-*'",
        "'-x*'",
        "'*-keep'",
    ]);
    let exclude = select(vec!["", "", "", "'*-keep'", "'p*'", "'*'"]);
    let regex = select(vec![
        "",
        "",
        "",
        "pr-.*",
        r"v?[0-9.]+",
        "rc",
        "-rc.*",
        "[0-9a-f]{7}",
        "[a-z]+",
    ]);
    let channel = select(vec![
        "",
        "",
        "prerelease",
        "[stable, rc]",
        "commit",
        "floating",
        "[floating, commit]",
    ]);
    let version = select(vec!["", "", "", "'>=1.0.0'", "'<1.1.0'", "'>2.0.0, <1.0.0'"]);
    (tags, exclude, regex, channel, version).prop_filter_map("selects something", |conditions| {
        let (tags, exclude, regex, channel, version) = conditions;
        let regex = if regex.is_empty() {
            String::new()
        } else {
            format!("'{regex}'")
        };
        let given: Vec<String> = [
            ("tags", tags),
            ("exclude", exclude),
            ("regex", &regex),
            ("channel", channel),
            ("version", version),
        ]
        .into_iter()
        .filter(|(_, value)| !value.is_empty())
        .map(|(key, value)| format!("{key}: {value}"))
        .collect();
        let selects = !(tags.is_empty() && regex.is_empty() && channel.is_empty() && version.is_empty());
        selects.then(|| format!("{{{}}}", given.join(", ")))
    })
}

fn keep() -> impl Strategy<Value = &'static str> {
    select(vec![
        "all",
        "none",
        "{last: 1, by: version}",
        "{last: 2, by: version}",
        "{last: 1, by: semver, per: major}",
        "{last: 1, by: name}",
        "{last: 2, by: name}",
        "{last: 1, by: name, per: minor}",
        "{last: 1, by: created, within: {created: 5d}}",
        "{within: {created: 5d}}",
        "{within: {created: 120h}}",
        "{last: 1, by: pushed}",
    ])
}

/// A policy in YAML, its rules one a line.
fn policy() -> impl Strategy<Value = (Vec<String>, String)> {
    let rule = (conditions(), keep());
    let again = prop::bool::weighted(0.6);
    let rules = prop::collection::vec((rule, again), 1..4).prop_map(|rules| {
        let mut texts: Vec<(String, &str)> = Vec::new();
        for ((select, keep), again) in rules {
            // Rules that select the same are rare otherwise.
            let select = match texts.last() {
                Some((before, _)) if again => before.clone(),
                _ => select,
            };
            texts.push((select, keep));
        }
        texts
            .iter()
            .map(|(select, keep)| format!("{{select: {select}, keep: {keep}, allow_empty_repository: true}}"))
            .collect()
    });
    let protect = select(vec![
        "",
        "",
        "'p*'",
        "'*'",
        "{channel: prerelease}",
        "{regex: '[0-9].*'}",
        "{tags: '*', until: 2027-01-01}",
    ]);
    (rules, protect).prop_map(|(rules, protect)| {
        let protect = if protect.is_empty() {
            String::new()
        } else {
            format!("protect: [{protect}]\n")
        };
        (rules, protect)
    })
}

fn text(rules: &[String], protect: &str) -> String {
    let rules: String = rules.iter().map(|rule| format!("  - {rule}\n")).collect();
    format!("repositories: team/*\n{protect}rules:\n{rules}")
}

/// A case with these tags: some on one digest, most with an age.
fn world() -> impl Strategy<Value = String> {
    let tags = subsequence(TAGS, 0..TAGS.len());
    (tags, prop::collection::vec((0..12usize, 0..15u32), TAGS.len()), any::<bool>()).prop_map(
        |(tags, facts, delete_tag)| {
            let tags: String = tags
                .iter()
                .zip(&facts)
                .map(|(tag, (digest, age))| match (digest, age) {
                    (0..3, _) => format!("      '{tag}': {{digest: shared {digest}}}\n"),
                    (_, 0) => format!("      '{tag}':\n"),
                    (_, age) => format!("      '{tag}': {{created: {age}d}}\n"),
                })
                .collect();
            format!(
                "policy: p\nrepository: team/app\ncases:\n  - name: a\n    capabilities: {{delete_tag: {delete_tag}}}\n    \
                 tags:\n      none-of-these:\n{tags}    expect: {{unlisted: any}}\n"
            )
        },
    )
}

/// What becomes of every tag, and the rules that would have it so.
fn decided(rules: &[String], protect: &str, case: &str) -> Vec<(Verdict, Vec<String>)> {
    let file = PolicyFile::read("p", text(rules, protect), "p").unwrap();
    let set = PolicySet {
        policies: file.policies.into_iter().map(|entry| entry.policy).collect(),
        versions: file.versions,
    };
    let file = CaseFile::read("c", case).unwrap_or_else(|errors| panic!("{errors}"));
    let case = &file.cases[0];
    let naming = set.of_repository(&case.repository, &|_| true).unwrap();
    let (_, decisions) = case.world.decide(&naming, &case.repository, case.now).unwrap();
    let by_rule = |reason: &lagan_policy::Reason| {
        let shown = serde_json::to_value(reason).unwrap();
        Some(shown.get("rule")?.as_str()?.to_owned())
    };
    decisions
        .tags
        .iter()
        .map(|decision| {
            let deleting = decision.reasons.iter().filter(|reason| !reason.keeps());
            (decision.verdict, deleting.filter_map(by_rule).collect())
        })
        .collect()
}

#[test]
fn a_rule_that_is_called_never_to_delete_never_deletes() {
    let [selects, deletes, overruled, effect] = [const { Cell::new(0u32) }; 4];
    let runs = Runs {
        cases: 250,
        failure_persistence: None,
        ..Runs::default()
    };
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &[7; 32]);
    let mut runner = TestRunner::new_with_rng(runs, rng);
    let options = CheckOptions {
        now: "2026-01-01T12:00:00Z".parse().unwrap(),
        against: None,
    };
    let result = runner.run(&(policy(), world()), |((rules, protect), case)| {
        let checked = PolicyFile::check("p", text(&rules, &protect), "p", &options).unwrap();
        let all = decided(&rules, &protect, &case);
        for finding in &checked.findings {
            // A rule a line, behind `repositories`, perhaps `protect`, and `rules`.
            let first = if protect.is_empty() { 3 } else { 4 };
            let Some(rule) = finding.place.line.checked_sub(first) else {
                continue;
            };
            let name = format!("rule {}", rule + 1);
            match finding.lint {
                Lint::NeverSelects
                | Lint::NeverDeletes
                | Lint::Overruled
                | Lint::ClockNotRecorded
                | Lint::NotServed => {
                    let counter = match finding.lint {
                        Lint::NeverSelects | Lint::NotServed => &selects,
                        Lint::Overruled => &overruled,
                        _ => &deletes,
                    };
                    counter.set(counter.get() + 1);
                    for (verdict, by) in &all {
                        prop_assert!(
                            *verdict == Verdict::Keep || !by.contains(&name),
                            "{finding}\n{}\n{case}",
                            text(&rules, &protect)
                        );
                    }
                }
                Lint::WithoutEffect => {
                    effect.set(effect.get() + 1);
                    let mut others = rules.clone();
                    others.remove(rule);
                    let without = decided(&others, &protect, &case);
                    let verdicts = |all: &[(Verdict, Vec<String>)]| {
                        all.iter().map(|(verdict, _)| *verdict).collect::<Vec<_>>()
                    };
                    prop_assert_eq!(verdicts(&all), verdicts(&without), "{}\n{}", finding, case);
                }
                _ => {}
            }
        }
        Ok(())
    });
    result.unwrap_or_else(|error| panic!("{error}"));
    // A law about nothing would hold too.
    for (lint, counted) in [
        ("selects", &selects),
        ("deletes", &deletes),
        ("overruled", &overruled),
        ("effect", &effect),
    ] {
        assert!(counted.get() >= 5, "{lint}: {}", counted.get());
    }
}
