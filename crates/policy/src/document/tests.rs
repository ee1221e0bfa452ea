use chrono::NaiveDate;

use super::*;
use crate::version::ChannelSet;
use crate::version::{Channel, Meaning};

fn policy() -> Policy {
    Policy {
        name: "tidy".into(),
        repositories: vec!["team/**".parse().unwrap()],
        exclude_repositories: vec!["team/base/*".parse().unwrap()],
        mode: Mode::DryRun,
        rules: vec![Rule {
            name: "prereleases".into(),
            select: Select {
                channel: Some(ChannelSet::PRERELEASE),
                version: Some(">=1.0.0".parse().unwrap()),
                ..Select::default()
            },
            keep: Keep::from(vec![
                KeepLine::Last {
                    count: 10,
                    by: Order::Version,
                    per: Per::Variant,
                },
                KeepLine::Within {
                    clock: Clock::Created,
                    age: "30d".parse().unwrap(),
                },
                KeepLine::All,
            ]),
            allow_empty_repository: false,
        }],
        protect: vec![Protection {
            pattern: ProtectionPattern::Channel(Channel::Floating.into()),
            until: NaiveDate::from_ymd_opt(2027, 1, 31),
            why: Some("audit".into()),
        }],
        limits: Limits::default(),
        untag: true,
        grace: None,
        notice: None,
        rollout: None,
    }
}

#[test]
fn the_hash_of_a_policy_changes_with_all_that_it_says() {
    let table = VersionTable::default();
    let known = policy().sha256(&table);
    assert_eq!(known.len(), 64);
    assert_eq!(known, policy().sha256(&table));
    let changes: [fn(&mut Policy); 10] = [
        |policy| policy.name = "other".into(),
        |policy| policy.repositories.push("infra".parse().unwrap()),
        |policy| policy.exclude_repositories.clear(),
        |policy| policy.mode = Mode::Enforce,
        |policy| policy.rules[0].keep.lines.truncate(2),
        |policy| policy.rules[0].select.version = None,
        |policy| policy.rules[0].allow_empty_repository = true,
        |policy| policy.protect[0].until = None,
        |policy| policy.limits.keep_at_least = 2,
        |policy| policy.grace = Some(grace("hold/{repository}", "72h")),
    ];
    let mut hashes = std::collections::BTreeSet::from([known]);
    for (number, change) in changes.into_iter().enumerate() {
        let mut changed = policy();
        change(&mut changed);
        assert!(
            hashes.insert(changed.sha256(&table)),
            "change {number} is not in the hash"
        );
    }
}

#[test]
fn the_hash_of_a_policy_changes_with_added_words_and_not_with_their_order() {
    let table = |words: &[(&str, Meaning)]| {
        let mut table = VersionTable::default();
        for (word, meaning) in words {
            table.add(word, *meaning).unwrap();
        }
        table
    };
    let (prod, gold) = (Meaning::Channel(Channel::Stable), Meaning::Variant);
    let one = policy().sha256(&table(&[("prod", prod), ("gold", gold)]));
    assert_eq!(one, policy().sha256(&table(&[("gold", gold), ("PROD", prod)])));
    assert_ne!(one, policy().sha256(&table(&[("prod", prod)])));
    assert_ne!(one, policy().sha256(&table(&[("prod", gold), ("gold", prod)])));
    assert_ne!(one, policy().sha256(&VersionTable::default()));
}

#[test]
fn a_policy_names_what_a_pattern_matches_and_no_exception() {
    let policy = policy();
    for (name, named) in [
        ("team/app", true),
        ("team/a/b", true),
        ("team/base/a", false),
        ("other", false),
    ] {
        assert_eq!(policy.names(&name.parse().unwrap()), named, "{name}");
    }
}

#[test]
fn a_repository_without_a_policy_that_is_asked_for_has_nothing_to_decide() {
    let set = PolicySet {
        policies: vec![policy()],
        versions: VersionTable::default(),
    };
    let name = "team/app".parse().unwrap();
    assert!(set.of_repository(&name, &|_| false).is_none());
    assert!(set.of_repository(&"other".parse().unwrap(), &|_| true).is_none());
    assert_eq!(set.of_repository(&name, &|_| true).unwrap().policies().len(), 1);
}

#[test]
fn the_strictest_of_all_limits_holds() {
    let limits = |deletions, percent, least| Limits {
        max_deletions: deletions,
        max_percent_per_repository: percent,
        keep_at_least: least,
        ..Limits::default()
    };
    let both = limits(None, Some(50), 1).strictest(limits(Some(9), Some(20), 3));
    assert_eq!(both, limits(Some(9), Some(20), 3));
    assert_eq!(
        limits(Some(9), None, 0).strictest(limits(Some(5), None, 0)),
        limits(Some(5), None, 0)
    );
    assert_eq!(
        limits(None, None, 0).strictest(limits(None, None, 0)),
        limits(None, None, 0)
    );
}

#[test]
fn only_all_and_last_leave_something_whatever_the_time() {
    let last = |count| {
        Keep::from(vec![KeepLine::Last {
            count,
            by: Order::Name,
            per: Per::Repository,
        }])
    };
    let within = Keep::from(vec![KeepLine::Within {
        clock: Clock::Created,
        age: "1d".parse().unwrap(),
    }]);
    assert!(Keep::all().always_leaves_one() && last(1).always_leaves_one());
    assert!(!Keep::none().always_leaves_one() && !last(0).always_leaves_one() && !within.always_leaves_one());
}

#[test]
fn groups_are_read_as_they_are_written() {
    for text in [
        "repository",
        "channel",
        "major",
        "minor",
        "variant",
        "capture:branch",
    ] {
        assert_eq!(text.parse::<Per>().unwrap().to_string(), text);
    }
    for bad in ["", "capture:", "patch", "Major"] {
        assert!(bad.parse::<Per>().is_err(), "{bad:?}");
    }
}

fn grace(repository: &str, period: &str) -> Grace {
    Grace {
        repository: repository.parse().unwrap(),
        period: period.parse().unwrap(),
    }
}

#[test]
fn what_may_hold_for_any_policy_is_selected_by_none() {
    let mut holding = policy();
    holding.mode = Mode::DryRun;
    holding.grace = Some(grace("hold/{repository}", "72h"));
    let mut all = policy();
    all.name = "all".into();
    all.repositories = vec!["**".parse().unwrap()];
    all.exclude_repositories = Vec::new();
    let set = |policies: &[&Policy]| PolicySet {
        policies: policies.iter().copied().cloned().collect(),
        ..PolicySet::default()
    };
    let name = "hold/team/app".parse().unwrap();
    assert!(set(&[&all]).of_repository(&name, &|_| true).is_some());
    assert!(set(&[&all, &holding]).of_repository(&name, &|_| true).is_none());
    let other = "held/team/app".parse().unwrap();
    assert!(set(&[&all, &holding]).of_repository(&other, &|_| true).is_some());
}

#[test]
fn the_longest_grace_of_a_repository_holds() {
    let mut policies = Vec::new();
    for (name, period) in [("a", "1h"), ("b", "2d"), ("c", "48h")] {
        policies.push(Policy {
            name: name.into(),
            repositories: vec!["**".parse().unwrap()],
            exclude_repositories: Vec::new(),
            grace: Some(grace(&format!("hold-{name}/{{repository}}"), period)),
            ..policy()
        });
    }
    let set = PolicySet {
        policies,
        ..PolicySet::default()
    };
    let name = "team/app".parse().unwrap();
    let longest = set.of_repository(&name, &|_| true).unwrap().grace().cloned();
    assert_eq!(longest, Some(grace("hold-b/{repository}", "2d")));
}
