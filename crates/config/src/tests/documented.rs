//! Every example of docs/policy.md is a policy that is read.

use lagan_policy::VersionTable;

use crate::{OneLiner, PolicyFile, one_liner};

const DOCUMENT: &str = include_str!("../../../../docs/policy.md");

/// The fenced blocks of YAML.
fn blocks() -> Vec<String> {
    let mut blocks = Vec::new();
    let mut parts = DOCUMENT.split("```yaml\n");
    parts.next();
    for part in parts {
        blocks.push(part.split("```").next().unwrap().to_owned());
    }
    blocks
}

#[test]
fn every_block_is_a_policy_or_a_part_of_one() {
    let blocks = blocks();
    assert!(blocks.len() >= 12, "{} blocks", blocks.len());
    for block in blocks {
        let indented = |text: &str| {
            text.lines()
                .map(|line| format!("    {line}\n"))
                .collect::<String>()
        };
        let text = match block.split(':').next().unwrap() {
            "repositories" => block.clone(),
            "select" => format!(
                "repositories: a\nrules:\n  - keep: {{last: 1, by: pushed}}\n{}",
                indented(&block)
            ),
            "keep" => format!(
                "repositories: a\nrules:\n  - select: {{tags: x}}\n    allow_empty_repository: true\n{}",
                indented(&block)
            ),
            "protect" | "limits" | "grace" | "notice" | "rollout" => {
                format!("repositories: a\nrules: [{{select: {{tags: x}}, keep: all}}]\n{block}")
            }
            other => panic!("{other} is no part of a policy"),
        };
        PolicyFile::read("policy.md", &text, "example").unwrap_or_else(|errors| panic!("{errors}\n{text}"));
    }
}

#[test]
fn every_one_liner_is_a_policy() {
    let lines: Vec<&str> = DOCUMENT
        .lines()
        .filter(|line| line.starts_with("    lagan plan "))
        .collect();
    assert_eq!(lines.len(), 3);
    for line in lines {
        let (mut repositories, mut select, mut keep, mut protect) = (vec![], vec![], vec![], vec![]);
        let mut words = line.split_whitespace().skip(2);
        while let Some(word) = words.next() {
            let mut value = || words.next().unwrap().to_owned();
            match word {
                "--registry" => drop(value()),
                "--select" => select.push(value()),
                "--keep" => keep.push(value()),
                "--protect" => protect.push(value()),
                name => repositories.push(name.trim_matches('\'').to_owned()),
            }
        }
        let arguments = OneLiner {
            repositories: &repositories,
            select: &select,
            keep: &keep,
            protect: &protect,
            allow_empty_repository: false,
            versions: &VersionTable::default(),
        };
        one_liner(&arguments).unwrap_or_else(|errors| panic!("{line}\n{errors}"));
    }
}
