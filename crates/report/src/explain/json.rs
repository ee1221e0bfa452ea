//! `lagan.explain/v1`.

use std::io::{self, Write};

use lagan_policy::version::{Tail, Version};
use lagan_policy::{Channel, Mode, PolicyName, Reason, TagReading};
use serde::Serialize;
use serde_json::Value;

use super::trail::{self, Vote};
use super::{Explanation, PolicyTrail, RuleTrail};
use crate::json::member;

const SCHEMA: &str = "lagan.explain/v1";

#[derive(Serialize)]
struct Reading<'a> {
    channel: Channel,
    version: Option<VersionReading<'a>>,
    variant: Option<&'a str>,
}

#[derive(Serialize)]
struct VersionReading<'a> {
    numbers: [u64; 3],
    /// What orders releases of one channel, as text, whatever it is made of.
    tail: String,
    build: &'a str,
}

impl<'a> From<&'a TagReading> for Reading<'a> {
    fn from(reading: &'a TagReading) -> Self {
        let version = reading.version.as_ref().map(|version| VersionReading {
            numbers: version.numbers,
            tail: tail(version),
            build: &version.build,
        });
        Self {
            channel: reading.channel,
            version,
            variant: reading.variant.as_deref(),
        }
    }
}

#[derive(Serialize)]
struct Policy<'a> {
    policy: &'a PolicyName,
    mode: Mode,
    asked: bool,
    untag: bool,
    rules: Vec<Rule<'a>>,
    protects: Vec<&'a Reason>,
}

#[derive(Serialize)]
struct Rule<'a> {
    rule: &'a str,
    keep: &'a Value,
    selected: Option<bool>,
    why: &'a str,
    vote: Option<Vote>,
    reasons: Vec<&'a Reason>,
}

impl<'a> Policy<'a> {
    fn of(policy: &'a PolicyTrail, explanation: &'a Explanation) -> Self {
        let rule = |rule: &'a RuleTrail| Rule {
            rule: &rule.name,
            keep: &rule.keep,
            selected: rule.selected,
            why: &rule.why,
            vote: trail::vote(explanation, policy, rule),
            reasons: trail::of_rule(explanation, policy, rule).collect(),
        };
        Self {
            policy: &policy.name,
            mode: policy.mode,
            asked: policy.asked,
            untag: policy.untag,
            rules: policy.rules.iter().map(rule).collect(),
            protects: trail::protecting(explanation, policy).collect(),
        }
    }
}

/// The tail of a version as its tag writes it, numbers separated by dots.
pub(super) fn tail(version: &Version) -> String {
    match &version.tail {
        Tail::Text(text) => text.to_string(),
        Tail::Numbers(numbers) => {
            let numbers: Vec<_> = numbers.iter().map(u64::to_string).collect();
            numbers.join(".")
        }
    }
}

pub(super) fn write(out: &mut dyn Write, explanation: &Explanation) -> io::Result<()> {
    member(out, '{', "schema", SCHEMA)?;
    member(out, ',', "registry", &explanation.registry)?;
    member(out, ',', "repository", &explanation.repository)?;
    member(out, ',', "tag", &explanation.tag)?;
    member(out, ',', "digest", &explanation.digest)?;
    member(out, ',', "now", &explanation.now)?;
    member(out, ',', "verdict", &explanation.verdict)?;
    member(out, ',', "reasons", &explanation.reasons)?;
    member(out, ',', "reading", &Reading::from(&explanation.reading))?;
    let policies: Vec<_> = explanation
        .policies
        .iter()
        .map(|policy| Policy::of(policy, explanation))
        .collect();
    member(out, ',', "policies", &policies)?;
    member(out, ',', "relations", &explanation.relations)?;
    member(out, ',', "incomplete", &explanation.incomplete)?;
    if let Some(rollout) = &explanation.rollout {
        member(out, ',', "rollout", rollout)?;
    }
    member(out, ',', "replayed", &explanation.replayed)?;
    out.write_all(b"}\n")
}
