//! Rules and protections whose meaning is written beside them, so that the oracle does not match by the code that it
//! checks.

use std::sync::LazyLock;

use chrono::NaiveDate;
use lagan_model::Tag;
use lagan_policy::version::ChannelSet;
use lagan_policy::{
    Age, Clock, KeepLine, Limits, Mode, Order, Per, Period, Policy, PolicySet, Protection, ProtectionPattern,
    Rule, Select, VersionTable,
};
use proptest::prelude::*;

use crate::names::Name;

#[derive(Debug, Clone)]
pub(crate) struct RuleSpec {
    pub(crate) select: Select,
    pub(crate) selects: fn(&Name) -> bool,
    /// Whether its expression has the group `n`.
    pub(crate) captures: bool,
    pub(crate) lines: Vec<KeepLine>,
    pub(crate) unless_older_than: Option<(Clock, Age)>,
}

#[derive(Debug, Clone)]
pub(crate) struct ProtectSpec {
    pub(crate) entry: Protection,
    pub(crate) matches: fn(&str, Option<&Name>) -> bool,
    pub(crate) holds: bool,
}

#[derive(Debug, Clone)]
pub(crate) struct PolicySpec {
    pub(crate) asked: bool,
    pub(crate) rules: Vec<RuleSpec>,
    pub(crate) protects: Vec<ProtectSpec>,
    pub(crate) untag: bool,
}

#[derive(Debug, Clone)]
pub(crate) struct Document {
    pub(crate) policies: Vec<PolicySpec>,
}

fn channels(names: &[&str]) -> Option<ChannelSet> {
    Some(
        names
            .iter()
            .map(|name| name.parse::<ChannelSet>().unwrap())
            .collect(),
    )
}

fn globs(globs: &[&str]) -> Vec<lagan_policy::TagPattern> {
    globs.iter().map(|glob| glob.parse().unwrap()).collect()
}

type Selection = (Select, fn(&Name) -> bool, bool);

static SELECTIONS: LazyLock<Vec<Selection>> = LazyLock::new(|| {
    let requirement = |text: &str| Some(text.parse().unwrap());
    let none = Select::default;
    vec![
        (
            Select {
                tags: globs(&["*"]),
                ..none()
            },
            |_| true,
            false,
        ),
        (
            Select {
                tags: globs(&["1.*"]),
                ..none()
            },
            |name| name.tag.starts_with("1."),
            false,
        ),
        (
            Select {
                tags: globs(&["*-rc*", "pr-*"]),
                exclude: globs(&["*-alpine", "pr-7"]),
                ..none()
            },
            |name| {
                (name.tag.contains("-rc") || name.tag.starts_with("pr-"))
                    && !name.tag.ends_with("-alpine")
                    && name.tag != "pr-7"
            },
            false,
        ),
        (
            Select {
                channel: channels(&["prerelease"]),
                ..none()
            },
            Name::is_prerelease,
            false,
        ),
        (
            Select {
                channel: channels(&["stable"]),
                ..none()
            },
            |name| name.channel == "stable",
            false,
        ),
        (
            Select {
                channel: channels(&["floating", "commit"]),
                ..none()
            },
            |name| name.channel == "floating" || name.channel == "commit",
            false,
        ),
        (
            Select {
                version: requirement(">=1.0.0, <2.0.0"),
                ..none()
            },
            |name| name.channel != "unknown" && name.numbers.is_some_and(|numbers| numbers[0] == 1),
            false,
        ),
        (
            Select {
                version: requirement("<2.0.0"),
                channel: channels(&["rc", "stable"]),
                ..none()
            },
            |name| {
                ["rc", "stable"].contains(&name.channel) && name.numbers.is_some_and(|numbers| numbers[0] < 2)
            },
            false,
        ),
        (
            Select {
                regex: Some(r"pr-(?<n>\d)\d*".parse().unwrap()),
                ..none()
            },
            |name| name.tag.starts_with("pr-"),
            true,
        ),
        (
            Select {
                regex: Some("1|latest|main".parse().unwrap()),
                ..none()
            },
            |name| ["1", "latest", "main"].contains(&name.tag),
            false,
        ),
    ]
});

type Protecting = (ProtectionPattern, fn(&str, Option<&Name>) -> bool);

static PROTECTIONS: LazyLock<Vec<Protecting>> = LazyLock::new(|| {
    vec![
        (ProtectionPattern::Tags(globs(&["latest", "2.*"])), |tag, _| {
            tag == "latest" || tag.starts_with("2.")
        }),
        (
            ProtectionPattern::Regex("(?:v?1\\.1\\.0|main).*".parse().unwrap()),
            |tag, _| {
                ["1.1.0", "v1.1.0", "main"]
                    .iter()
                    .any(|start| tag.starts_with(start))
            },
        ),
        (
            ProtectionPattern::Channel(channels(&["floating"]).unwrap()),
            |_, name| name.is_some_and(|name| name.channel == "floating"),
        ),
        (ProtectionPattern::Tags(globs(&["*.sig"])), |tag, _| {
            tag.ends_with(".sig")
        }),
        // What names do not tell is written in the oracle.
        (ProtectionPattern::Labels(labels("prod")), |_, _| false),
        (ProtectionPattern::Signed, |_, _| false),
    ]
});

fn line() -> impl Strategy<Value = KeepLine> {
    let per = prop_oneof![
        3 => Just("repository"),
        2 => Just("variant"),
        1 => Just("channel"),
        1 => Just("major"),
        1 => Just("minor"),
        1 => Just("capture:n"),
    ];
    let by = prop_oneof![
        4 => Just(Order::Version),
        2 => Just(Order::Semver),
        3 => Just(Order::Name),
        3 => Just(Order::Clock(Clock::Created)),
        3 => clock().prop_map(Order::Clock),
    ];
    let zone = prop_oneof![Just("UTC"), Just("Asia/Kolkata"), Just("Pacific/Honolulu")];
    let group = prop_oneof![4 => Just("repository"), 1 => Just("channel"), 1 => Just("variant")];
    let period = (1u32..4, clock(), group, zone, 0..4usize).prop_map(|(count, clock, per, zone, period)| {
        KeepLine::Period {
            period: Period::ALL[period],
            count,
            clock,
            per: per.parse().unwrap(),
            timezone: zone.parse().unwrap(),
        }
    });
    let last = (0u32..4, by, per).prop_map(|(count, by, per)| KeepLine::Last {
        count,
        by,
        per: per.parse().unwrap(),
    });
    let within = (clock(), 1u32..60).prop_map(|(clock, days)| KeepLine::Within {
        clock,
        age: age(days),
    });
    prop_oneof![8 => last, 4 => period, 3 => within, 1 => Just(KeepLine::All)]
}

fn clock() -> impl Strategy<Value = Clock> {
    prop_oneof![
        4 => Just(Clock::Created),
        2 => Just(Clock::Pushed),
        2 => Just(Clock::Pulled),
        2 => Just(Clock::Observed),
    ]
}

/// What a rule asks for beside names.
#[derive(Debug, Clone)]
enum Extra {
    Nothing,
    Label(&'static str),
    Kind,
    Superseded,
    Untagged(u32),
    Orphaned,
}

fn labels(value: &str) -> lagan_policy::document::Labels {
    [("tier".to_owned(), vec![value.parse().unwrap()])]
        .into_iter()
        .collect()
}

pub(crate) fn age(days: u32) -> Age {
    format!("{days}d").parse().unwrap()
}

fn rule() -> impl Strategy<Value = RuleSpec> {
    let lines = prop_oneof![1 => Just(Vec::new()), 5 => prop::collection::vec(line(), 1..3)];
    let extra = prop_oneof![
        8 => Just(Extra::Nothing),
        2 => prop_oneof![Just("scratch"), Just("*")].prop_map(Extra::Label),
        1 => Just(Extra::Kind),
        2 => Just(Extra::Superseded),
        2 => (1u32..20).prop_map(Extra::Untagged),
        2 => Just(Extra::Orphaned),
    ];
    let narrowing = prop_oneof![5 => Just(None), 1 => (clock(), 1u32..60).prop_map(Some)];
    let seeds = (0..SELECTIONS.len(), lines, extra, narrowing);
    seeds.prop_map(|(selection, lines, extra, narrowing)| {
        let (mut select, selects, captures) = SELECTIONS[selection].clone();
        let mut lines = lines;
        match extra {
            Extra::Nothing => {}
            Extra::Label(value) => select.labels = labels(value),
            Extra::Kind => select.artifact_type = vec!["a/x".parse().unwrap()],
            Extra::Superseded => select.superseded = true,
            Extra::Untagged(days) => {
                select = Select {
                    untagged: Some(age(days)),
                    ..Select::default()
                };
            }
            Extra::Orphaned => {
                select = Select {
                    orphaned: true,
                    ..Select::default()
                };
                // Attachments take no place: a document that counts them is refused.
                lines.retain(|line| matches!(line, KeepLine::All | KeepLine::Within { .. }));
            }
        }
        RuleSpec {
            select,
            selects,
            captures,
            lines,
            unless_older_than: narrowing.map(|(clock, days)| (clock, age(days))),
        }
    })
}

pub(crate) fn protection() -> impl Strategy<Value = ProtectSpec> {
    let until = prop_oneof![
        Just((None, true)),
        Just((NaiveDate::from_ymd_opt(2026, 11, 19), false)),
        Just((NaiveDate::from_ymd_opt(2026, 11, 20), true)),
    ];
    (0..PROTECTIONS.len(), until).prop_map(|(index, (until, holds))| {
        let (pattern, matches) = PROTECTIONS[index].clone();
        ProtectSpec {
            entry: Protection {
                pattern,
                until,
                why: None,
            },
            matches,
            holds,
        }
    })
}

/// Deletes most of what there is.
pub(crate) fn sweeping() -> impl Strategy<Value = Document> {
    (0u32..3, prop::collection::vec(protection(), 0..2)).prop_map(|(count, protects)| {
        let (select, selects, captures) = SELECTIONS[0].clone();
        let by = Order::Name;
        let per = Per::Repository;
        let rule = RuleSpec {
            select,
            selects,
            captures,
            lines: vec![KeepLine::Last { count, by, per }],
            unless_older_than: None,
        };
        let policy = PolicySpec {
            asked: true,
            rules: vec![rule],
            protects,
            untag: true,
        };
        Document {
            policies: vec![policy],
        }
    })
}

pub(crate) fn document() -> impl Strategy<Value = Document> {
    let policy = (
        prop::bool::weighted(0.8),
        prop::collection::vec(rule(), 1..3),
        prop::collection::vec(protection(), 0..2),
        prop::bool::weighted(0.9),
    );
    let policy = policy.prop_map(|(asked, rules, protects, untag)| PolicySpec {
        asked,
        rules,
        protects,
        untag,
    });
    prop::collection::vec(policy, 1..4).prop_map(|mut policies| {
        policies[0].asked = true;
        Document { policies }
    })
}

impl Document {
    pub(crate) fn set(&self) -> PolicySet {
        let policies = self.policies.iter().enumerate().map(|(number, policy)| {
            let asked = if policy.asked { "asked" } else { "other" };
            let rules = policy.rules.iter().enumerate().map(|(number, rule)| Rule {
                name: format!("rule {number}").into(),
                select: rule.select.clone(),
                keep: lagan_policy::Keep {
                    lines: rule.lines.clone(),
                    unless_older_than: rule.unless_older_than.clone(),
                },
                allow_empty_repository: true,
            });
            Policy {
                name: format!("{asked} {number}").as_str().into(),
                repositories: vec!["**".parse().unwrap()],
                exclude_repositories: Vec::new(),
                mode: Mode::DryRun,
                rules: rules.collect(),
                protect: policy
                    .protects
                    .iter()
                    .map(|protection| protection.entry.clone())
                    .collect(),
                limits: Limits::default(),
                untag: policy.untag,
                grace: None,
                notice: None,
                rollout: None,
            }
        });
        PolicySet {
            policies: policies.collect(),
            versions: VersionTable::default(),
        }
    }
}

/// Whether a policy made by [`Document::set`] is one that is asked for.
pub(crate) fn asked(policy: &Policy) -> bool {
    policy.name.0.starts_with("asked")
}

/// A tag of the pool or an attachment's.
pub(crate) fn tag(text: &str) -> Tag {
    text.parse().unwrap()
}
