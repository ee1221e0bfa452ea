#![expect(
    clippy::disallowed_methods,
    reason = "tests hold files of the repository against the code"
)]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde_json::{Map, Number, Value, json};

use super::{Document, cases, documents, json_schema};
use crate::error::Problems;
use crate::source::Source;
use crate::tree::{self, Node, Style};
use crate::{CaseFile, Config, PolicyFile};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../config")
}

/// As any YAML reader that knows JSON's types would have it.
fn to_json(node: &Node) -> Value {
    match &node.value {
        tree::Value::Scalar { text, style } if *style == Style::Plain => match text.as_str() {
            "true" => Value::Bool(true),
            "false" => Value::Bool(false),
            _ if node.is_nothing() => Value::Null,
            _ => match (text.parse::<i64>(), text.parse::<f64>()) {
                (Ok(number), _) => number.into(),
                (_, Ok(number)) => Number::from_f64(number).map_or(Value::Null, Value::Number),
                _ => text.as_str().into(),
            },
        },
        tree::Value::Scalar { text, .. } => text.as_str().into(),
        tree::Value::Sequence(items) => items.iter().map(to_json).collect(),
        tree::Value::Mapping { entries, .. } => {
            let members = entries
                .iter()
                .map(|(key, node)| (key.text.clone(), to_json(node)));
            Value::Object(members.collect::<Map<_, _>>())
        }
        tree::Value::Refused(_) => panic!("refused"),
    }
}

fn parsed(text: &str) -> Value {
    let source = Source::file("x", text.to_owned());
    let mut problems = Problems::new(&source);
    to_json(&crate::yaml::read(&mut problems, source.text()).unwrap_or_else(|_| panic!("{text}")))
}

/// Why a document does not validate; `None` if it does.
fn invalid(document: Document, text: &str) -> Option<String> {
    let mut schemas = boon::Schemas::new();
    let mut compiler = boon::Compiler::new();
    compiler
        .add_resource("http://schema", json_schema(document))
        .unwrap();
    let index = compiler.compile("http://schema", &mut schemas).unwrap();
    schemas
        .validate(&parsed(text), index)
        .err()
        .map(|error| error.to_string())
}

#[test]
fn every_mapping_has_the_keys_that_its_decoder_reads() {
    let parts: Vec<_> = documents::of_policies()
        .into_iter()
        .chain(cases::of_cases())
        .collect();
    let mut tables = 0;
    for part in &parts {
        let Some(table) = part.table else { continue };
        tables += 1;
        let keys: BTreeSet<&str> = part.value["properties"]
            .as_object()
            .unwrap()
            .keys()
            .map(String::as_str)
            .collect();
        let mut read: BTreeSet<&str> = table.keys.iter().copied().collect();
        // Known only to be refused with more than "unknown key".
        let refused = [
            ("credentials", "password"),
            ("webhook", "secret"),
            ("registryWebhook", "secret"),
            ("slack", "url"),
            ("email", "password"),
        ];
        for (_, key) in refused.iter().filter(|(name, _)| *name == part.name) {
            assert!(read.remove(key));
        }
        if part.name == "token" {
            assert!(read.remove("token"));
        }
        assert_eq!(keys, read, "{}", part.name);
        assert_eq!(part.value["additionalProperties"], json!(false), "{}", part.name);
    }
    // A decoder's table that no schema was made of would be missed otherwise.
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut declared = 0;
    for folder in ["document", "case"] {
        for entry in std::fs::read_dir(source.join(folder)).unwrap() {
            let text = std::fs::read_to_string(entry.unwrap().path()).unwrap();
            declared += text.matches(": Schema = Schema {").count();
        }
    }
    assert_eq!(tables, declared);
}

#[test]
fn the_schemas_in_the_repository_are_these() {
    for (document, file) in [
        (Document::Configuration, "lagan.schema.json"),
        (Document::Policy, "policy.schema.json"),
        (Document::Cases, "cases.schema.json"),
    ] {
        let name = document.as_str();
        let there = std::fs::read_to_string(folder().join(file)).unwrap_or_default();
        let made = format!(
            "{}\n",
            serde_json::to_string_pretty(&json_schema(document)).unwrap()
        );
        assert!(
            there == made,
            "config/{file} is not what `lagan policy schema {name}` prints: write it anew"
        );
    }
}

#[test]
fn every_example_validates() {
    let mut seen = 0;
    for entry in std::fs::read_dir(folder()).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if !name.ends_with(".yaml") {
            continue;
        }
        let text = std::fs::read_to_string(&path).unwrap();
        let document = if name.ends_with(".test.yaml") {
            Document::Cases
        } else if text.lines().any(|line| line == "registries:") {
            Document::Configuration
        } else {
            Document::Policy
        };
        assert_eq!(invalid(document, &text), None, "{name}");
        seen += 1;
    }
    assert!(seen >= 6, "{seen}");
}

/// A policy with this rule and more.
fn policy(rule: &str, more: &str) -> String {
    format!("repositories: [a, '1.0']\nrules:\n  - {rule}\n{more}\n")
}

#[test]
fn what_the_decoder_reads_validates() {
    for (rule, more) in [
        (
            "{select: {tags: 1.0}, keep: {last: 1, by: version}}",
            "mode: enforce",
        ),
        (
            "{name: 7, select: {channel: [rc, prerelease]}, keep: all}",
            "protect: [a, {tags: [b], until: 2027-01-31}]",
        ),
        (
            "{select: {regex: a(?<x>b)}, keep: {last: 1, by: name, per: 'capture:x', within: {created: 1d12h}}}",
            "",
        ),
        (
            "{select: {untagged: true, min_age: 2d}, keep: none, allow_empty_repository: true}",
            "",
        ),
        (
            "{select: {labels: {a: [b, c*]}, superseded: true}, keep: [{last: 1, by: name}, {daily: 7, by: created, timezone: UTC}]}",
            "",
        ),
        (
            "{select: {media_type: '*helm*'}, keep: {last: 1, by: name, unless_older_than: {created: 9d}}, allow_empty_repository: true}",
            "",
        ),
        (
            "{select: {tags: a}, keep: all}",
            "limits: {max_deletions: off, max_percent_per_repository: 5%, keep_at_least: 0, max_change_from_last_run: 3x}",
        ),
        (
            "{select: {tags: a}, keep: all}",
            "channels: {rc: candidate, variant: [x, y]}",
        ),
        ("{select: {tags: a}, keep: all}", "untag: false"),
        (
            "{select: {tags: a}, keep: all}",
            "grace: {repository: 'lagan-hold/{repository}', for: 72h}",
        ),
        ("{select: {tags: a}, keep: all}", "notice: 24h"),
        (
            "{select: {tags: a}, keep: all}",
            "rollout: {stages: [0.5%, 30%, 100%], hold: 24h, min_success: 99.5%}",
        ),
        (
            "{select: {tags: a}, keep: all, allow_empty_repository: false}",
            "",
        ),
    ] {
        let text = policy(rule, more);
        PolicyFile::read("p", &text, "p").unwrap_or_else(|errors| panic!("{errors}"));
        assert_eq!(invalid(Document::Policy, &text), None, "{text}");
    }
    let config = "registries: {a: {url: 'http://localhost:5000', probe: false, collect_garbage: {after: whole-run}, webhook: {secret_file: s, full_pass: 12h}}}\npolicies: {p: {repositories: a, rules: \
                  [{select: {tags: a}, keep: all}]}}\n";
    Config::read("c", config).unwrap_or_else(|errors| panic!("{errors}"));
    assert_eq!(invalid(Document::Configuration, config), None);
    let cases = "policy: p\nrepository: a\ncases:\n  - name: 1\n    tags: {a: , b: {digest: 1, created: 3d}}\n    expect: \
                 {keep: {a: , b: [rank, {}]}}\n"
        .replace("[rank, {}]", "[rank, within]");
    CaseFile::read("c", &cases).unwrap_or_else(|errors| panic!("{errors}"));
    assert_eq!(invalid(Document::Cases, &cases), None);
}

#[test]
fn what_the_decoder_refuses_for_its_keys_or_words_does_not_validate() {
    for (rule, more) in [
        ("{select: {tag: a}, keep: all}", ""),
        ("{select: {tags: a}, kept: all}", ""),
        ("{select: {tags: a}, keep: some}", ""),
        ("{select: {tags: []}, keep: all}", ""),
        ("{select: {tags: a}, keep: {last: -1, by: version}}", ""),
        ("{select: {tags: a}, keep: {last: 1, by: age}}", ""),
        ("{select: {tags: a}, keep: {within: {created: 1m}}}", ""),
        ("{select: {tags: a}, keep: {within: {built: 1d}}}", ""),
        ("{select: {channel: attachment}, keep: all}", ""),
        ("{select: {superseded: false}, keep: all}", ""),
        ("{select: {tags: a}, keep: all}", "mode: on"),
        (
            "{select: {tags: a}, keep: all}",
            "limits: {max_percent_per_repository: 101}",
        ),
        ("{select: {tags: a}, keep: all}", "limits: {keep_at_least: off}"),
        ("{select: {tags: a}, keep: all}", "protect: []"),
        ("{select: {tags: a}, keep: all}", "grace: {for: 72h}"),
        (
            "{select: {tags: a}, keep: all}",
            "grace: {repository: h, for: 1m}",
        ),
        ("{select: {tags: a}, keep: all}", "notice: 1m"),
        ("{select: {tags: a}, keep: all}", "rollout: {stages: [5%]}"),
        (
            "{select: {tags: a}, keep: all}",
            "rollout: {stages: [101%], hold: 1d}",
        ),
        ("{select: {tags: a}, keep: all}", "schedule: {}"),
    ] {
        let text = policy(rule, more);
        assert!(PolicyFile::read("p", &text, "p").is_err(), "{text}");
        assert!(invalid(Document::Policy, &text).is_some(), "{text}");
    }
    for text in [
        "registries: {a: {url: 'ftp://a'}}",
        "registries: {a: {kind: oci}}",
        "registries: {a: {url: 'http://a', max_concurrency: 257}}",
        "registries: {a: {url: 'http://a', collect_garbage: {}}}",
        "registries: {a: {url: 'http://a', webhook: {secret: s}}}",
        "registries: {a: {url: 'http://a', webhook: {secret_file: s, full_pass: daily}}}",
        "registries: {a: {url: 'http://a', collect_garbage: {after: now}}}",
        "registries: {a: {url: 'http://a', credentials: {username: a, password: b}}}",
        "policy: {}",
    ] {
        assert!(Config::read("c", text).is_err(), "{text}");
        assert!(invalid(Document::Configuration, text).is_some(), "{text}");
    }
    for text in [
        "cases: []",
        "policy: p\nrepository: a\ncases: [{name: a, expect: {keep: {a: older}}}]",
    ] {
        assert!(CaseFile::read("c", text).is_err(), "{text}");
        assert!(invalid(Document::Cases, text).is_some(), "{text}");
    }
}
