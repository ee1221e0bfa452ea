//! `lagan.plan/v1`, field by field.

use std::collections::BTreeSet;

use lagan_sandbox::{Profile, SandboxOptions};
use serde_json::Value;

use crate::support::{Place, run};
use crate::{TWO, start};

/// The members of the object that `text` begins with, in the order in which they stand, each with its text.
fn members(text: &str) -> Vec<(&str, &str)> {
    assert!(text.starts_with('{'), "{text:.40}");
    let (mut found, mut depth, mut quoted, mut escaped) = (Vec::new(), 0, false, false);
    let (mut start, mut colon) = (1, None);
    for (at, c) in text.char_indices() {
        if quoted {
            (quoted, escaped) = (escaped || c != '"', c == '\\' && !escaped);
            continue;
        }
        match c {
            '"' => quoted = true,
            '{' | '[' => depth += 1,
            ':' if depth == 1 && colon.is_none() => colon = Some(at),
            ',' | '}' | ']' => {
                if depth == 1 {
                    if let Some(colon) = colon.take() {
                        found.push((
                            text[start..colon].trim().trim_matches('"'),
                            text[colon + 1..at].trim(),
                        ));
                    }
                    start = at + 1;
                }
                depth -= i32::from(c != ',');
                if depth == 0 {
                    return found;
                }
            }
            _ => {}
        }
    }
    panic!("the object does not end");
}

fn names(text: &str) -> Vec<&str> {
    members(text).into_iter().map(|(name, _)| name).collect()
}

/// The objects of an array, each as its text.
fn elements(text: &str) -> Vec<&str> {
    let inner = text
        .strip_prefix('[')
        .and_then(|text| text.strip_suffix(']'))
        .unwrap();
    let (mut found, mut depth, mut quoted, mut escaped, mut start) = (Vec::new(), 0, false, false, 0);
    for (at, c) in inner.char_indices() {
        if quoted {
            (quoted, escaped) = (escaped || c != '"', c == '\\' && !escaped);
            continue;
        }
        match c {
            '"' => quoted = true,
            '{' | '[' => {
                if depth == 0 {
                    start = at;
                }
                depth += 1;
            }
            '}' | ']' => {
                depth -= 1;
                if depth == 0 {
                    found.push(&inner[start..=at]);
                }
            }
            _ => {}
        }
    }
    found
}

fn member<'t>(text: &'t str, name: &str) -> &'t str {
    members(text)
        .into_iter()
        .find(|(known, _)| *known == name)
        .unwrap_or_else(|| panic!("no {name}"))
        .1
}

const REASONS: [&str; 21] = [
    "not_selected",
    "keep_all",
    "rank",
    "fits",
    "within",
    "clock_unknown",
    "version_unknown",
    "group_unknown",
    "protected",
    "shares_digest",
    "child_of",
    "attached_to",
    "subject_of",
    "subject_unseen",
    "beyond_last",
    "older_than",
    "keep_none",
    "deleted_with_index",
    "deleted_with_subject",
    "superseded",
    "untagged",
];

fn check_reasons(text: &str) {
    let reasons = elements(text);
    assert!(!reasons.is_empty());
    for reason in reasons {
        let (name, kind) = members(reason)[0];
        assert_eq!(name, "kind");
        assert!(REASONS.contains(&kind.trim_matches('"')), "{kind}");
        if kind == "\"rank\"" {
            assert_eq!(
                names(reason)[..7],
                ["kind", "policy", "rule", "rank", "of", "last", "by"]
            );
        }
    }
}

#[tokio::test]
async fn the_document_has_every_field_of_the_specification_in_its_order() {
    let sandbox = start(
        SandboxOptions::default()
            .profile(Profile::Distribution28)
            .corpus(10, 60),
    )
    .await;
    let line = "--select channel=stable --keep last=2,by=version";
    let text = run(&format!(
        "plan --registry {} {line} --format json --all",
        sandbox.url()
    ))
    .await
    .exits(0)
    .stdout;
    assert_eq!(
        names(&text),
        [
            "schema",
            "id",
            "created",
            "now",
            "registry",
            "policies",
            "clocks",
            "guards",
            "capabilities",
            "repositories",
            "totals",
            "requests",
        ]
    );
    assert_eq!(member(&text, "schema"), "\"lagan.plan/v1\"");
    let id = member(&text, "id").trim_matches('"');
    assert!(
        id.len() == 26 && id.bytes().all(|b| b.is_ascii_digit() || b.is_ascii_uppercase()),
        "{id}"
    );
    for time in ["created", "now"] {
        let time = member(&text, time).trim_matches('"');
        assert!(
            chrono::DateTime::parse_from_rfc3339(time).is_ok() && time.ends_with('Z'),
            "{time}"
        );
    }
    assert_eq!(names(member(&text, "registry")), ["name", "url", "kind"]);
    assert_eq!(
        member(member(&text, "registry"), "url"),
        format!("\"{}\"", sandbox.url())
    );
    assert_eq!(
        names(member(&text, "capabilities")),
        [
            "media_types",
            "catalog",
            "referrers",
            "delete_manifest",
            "delete_tag",
            "mount",
            "probed"
        ]
    );
    let policies = elements(member(&text, "policies"));
    assert_eq!(policies.len(), 1);
    assert_eq!(names(policies[0]), ["name", "sha256", "mode"]);
    assert_eq!(member(policies[0], "sha256").len(), 66);
    assert_eq!(member(policies[0], "mode"), "\"dry-run\"");

    let repositories = elements(member(&text, "repositories"));
    let listed: Vec<_> = repositories
        .iter()
        .map(|text| member(text, "name").trim_matches('"'))
        .collect();
    let mut sorted: Vec<String> = sandbox.corpus().names().collect();
    sorted.sort_unstable();
    assert_eq!(listed, sorted);
    let mut seen = BTreeSet::new();
    for repository in &repositories {
        assert_eq!(
            names(repository),
            [
                "name",
                "policies",
                "complete",
                "tags_total",
                "actions",
                "kept",
                "incomplete"
            ]
        );
        for action in elements(member(repository, "actions")) {
            assert_eq!(
                names(action),
                [
                    "action",
                    "digest",
                    "tags",
                    "media_type",
                    "size",
                    "children",
                    "attachments",
                    "undo",
                    "reasons",
                ]
            );
            assert_eq!(names(member(action, "undo")), ["possible", "until", "why"]);
            for side in ["children", "attachments"] {
                for dependent in elements(member(action, side)) {
                    seen.insert(side);
                    assert_eq!(names(dependent), ["digest", "tags", "media_type", "size"]);
                }
            }
            check_reasons(member(action, "reasons"));
        }
        for kept in elements(member(repository, "kept")) {
            assert_eq!(names(kept), ["tag", "digest", "reasons"]);
            check_reasons(member(kept, "reasons"));
        }
        assert_eq!(member(repository, "incomplete"), "null");
    }
    assert_eq!(seen.len(), 2, "{seen:?}");
    assert_eq!(
        names(member(&text, "totals")),
        [
            "repositories",
            "tags",
            "delete_artifacts",
            "delete_unread",
            "delete_tags",
            "untag",
            "kept_tags",
            "kept_for_shared_digest",
            "incomplete_repositories",
            "bytes_reclaimable",
        ]
    );
    assert_eq!(names(member(&text, "requests")), ["total", "by_kind"]);
    assert_eq!(member(member(&text, "totals"), "bytes_reclaimable"), "null");
}

#[tokio::test]
async fn totals_are_the_sums_of_what_is_listed() {
    let sandbox = start(SandboxOptions::default().corpus(10, 60)).await;
    let line = "--select channel=stable --keep last=2,by=version";
    let plan = run(&format!(
        "plan --registry {} {line} --format json --all",
        sandbox.url()
    ))
    .await
    .exits(0)
    .json();
    let (mut tags, mut artifacts, mut gone, mut stay) = (0, 0, 0, 0);
    for repository in plan["repositories"].as_array().unwrap() {
        let listed = sandbox.tags(repository["name"].as_str().unwrap()).len();
        assert_eq!(repository["tags_total"], listed);
        tags += listed;
        artifacts += crate::support::doomed_digests(repository).len();
        let (lost, kept) = (
            crate::support::doomed(repository),
            crate::support::kept(repository),
        );
        assert_eq!(lost.len() + kept.len(), listed, "{}", repository["name"]);
        assert!(kept.is_sorted());
        gone += lost.len();
        stay += kept.len();
    }
    let totals = &plan["totals"];
    assert_eq!(
        totals["repositories"],
        plan["repositories"].as_array().unwrap().len()
    );
    for (name, sum) in [
        ("tags", tags),
        ("delete_artifacts", artifacts),
        ("delete_tags", gone),
        ("kept_tags", stay),
    ] {
        assert_eq!(totals[name], sum, "{name}");
    }
    assert_eq!(
        (
            totals["untag"].as_u64(),
            totals["incomplete_repositories"].as_u64()
        ),
        (Some(0), Some(0))
    );
}

/// Without `id`, `created` and `requests`.
fn comparable(text: &str) -> String {
    let mut members = members(text);
    members.retain(|(name, _)| !["id", "created", "requests"].contains(name));
    members
        .iter()
        .map(|(name, value)| format!("{name}: {value}\n"))
        .collect()
}

#[tokio::test]
async fn the_same_inputs_give_the_same_bytes() {
    let sandbox = start(SandboxOptions::default().corpus(12, 60)).await;
    let line = "--select tags=* --keep last=20,by=created --now 2026-11-02T00:00:00Z";
    let plan = format!("plan --registry {} {line} --format json --all", sandbox.url());
    let first = run(&plan).await.stdout;
    assert!(first.contains("\"beyond_last\""), "{first:.1000}");
    for _ in 0..3 {
        assert_eq!(comparable(&run(&plan).await.stdout), comparable(&first));
    }
}

#[tokio::test]
async fn ndjson_is_the_repositories_one_a_line() {
    let sandbox = start(SandboxOptions::default().corpus(10, 50)).await;
    let place = Place::new();
    for all in ["", "--all"] {
        let plan = format!("plan --registry {} {TWO} {all}", sandbox.url());
        let document = place.run(&format!("{plan} --format json")).await.exits(0).json();
        let lines = place
            .run(&format!("{plan} --format ndjson"))
            .await
            .exits(0)
            .stdout;
        let lines: Vec<Value> = lines
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        assert_eq!(document["repositories"], Value::Array(lines));
        let with_kept = document["repositories"][0]
            .as_object()
            .unwrap()
            .contains_key("kept");
        assert_eq!(with_kept, !all.is_empty());
    }
}
