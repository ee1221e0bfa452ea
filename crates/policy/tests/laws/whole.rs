//! Each example of the language beyond tags, and what went wrong elsewhere with it, as small registries.

use chrono::TimeDelta;
use lagan_model::{Digest, Fact, Labels, Recorded, Time, Times, Unknown};
use lagan_policy::{
    Clock, Keep, KeepLine, Order, Per, Period, Policy, Protection, ProtectionPattern, Reason, RepositoryPlan,
    Select,
};

use crate::accidents::{channel, deleted, last, planned, policy, reasons, registry, removed, select};
use crate::generate::{attachment_tag, digest};
use crate::rules::tag;
use crate::world::{World, now};

fn ago(hours: i64) -> Fact<Time> {
    Fact::Known(now() - TimeDelta::hours(hours))
}

fn days(days: i64) -> Fact<Time> {
    ago(24 * days)
}

const NEVER: Fact<Time> = Fact::Unknown(Unknown::Zero);

/// A registry that records pushes and pulls, and lists what has no tag.
fn recording() -> World {
    let mut world = registry();
    world.recorded = Recorded {
        pushed: true,
        pulled: true,
        observed: false,
    };
    world.lists_untagged = true;
    world
}

impl World {
    fn at(&mut self, number: usize, pushed: Fact<Time>, pulled: Fact<Time>) {
        let times = Times {
            pushed,
            pulled,
            ..Times::default()
        };
        self.times.insert(digest(number), times);
    }

    fn annotate(&mut self, number: usize, key: &str, value: &str) {
        let labels = Labels::from([(key.to_owned(), value.to_owned())]);
        self.manifests.get_mut(&digest(number)).unwrap().annotations = Some(labels);
    }
}

fn untagged() -> Select {
    Select {
        untagged: Some("24h".parse().unwrap()),
        ..Select::default()
    }
}

fn labelled(select: Select, key: &str, value: &str) -> Select {
    Select {
        labels: [(key.to_owned(), vec![value.parse().unwrap()])]
            .into_iter()
            .collect(),
        ..select
    }
}

fn protecting(rules: Vec<(Select, Keep)>, pattern: ProtectionPattern) -> Policy {
    let mut policy = policy(rules);
    policy.protect.push(Protection {
        pattern,
        until: None,
        why: Some("asked".into()),
    });
    policy
}

fn plan(world: &World, rules: Vec<(Select, Keep)>) -> RepositoryPlan {
    planned(world, vec![policy(rules)]).0
}

fn within(clock: Clock, age: &str) -> KeepLine {
    KeepLine::Within {
        clock,
        age: age.parse().unwrap(),
    }
}

fn period(period: Period, count: u32, timezone: &str) -> KeepLine {
    KeepLine::Period {
        period,
        count,
        clock: Clock::Created,
        per: Per::Repository,
        timezone: timezone.parse().unwrap(),
    }
}

#[test]
fn untagged_pruning_never_deletes_a_child_of_a_tagged_image() {
    let mut world = recording();
    for number in [1, 2, 3, 4] {
        world.image(number, &[]);
    }
    world.index(10, &["1.0.0"], &[1, 2]);
    for number in [1, 2, 3, 4, 10] {
        world.at(number, days(90), NEVER);
    }
    assert_eq!(
        deleted(&plan(&world, vec![(untagged(), Keep::none())])),
        [digest(3), digest(4)]
    );
}

#[test]
fn a_child_of_two_indexes_stays_with_the_untagged_one_that_is_young() {
    let mut world = recording();
    world.image(1, &[]);
    world.index(10, &[], &[1]);
    world.index(11, &[], &[1]);
    world.at(1, days(90), NEVER);
    world.at(10, days(90), NEVER);
    world.at(11, ago(23), NEVER);
    let plan = plan(&world, vec![(untagged(), Keep::none())]);
    assert_eq!(deleted(&plan), [digest(10)]);
    assert!(matches!(
        plan.kept_untagged[0].reasons[0],
        Reason::TooYoung { .. }
    ));
}

#[test]
fn untagged_artifacts_take_their_attachments_along_and_wait_for_a_day() {
    let mut world = recording();
    world.image(1, &[]);
    world.image(2, &[]);
    world.image(3, &[]);
    world.sign(4, 1, ".sig");
    world.at(1, ago(25), NEVER);
    world.at(2, ago(23), NEVER);
    world.at(3, Fact::Unknown(Unknown::Missing), NEVER);
    let plan = plan(&world, vec![(untagged(), Keep::none())]);
    assert_eq!(deleted(&plan), [digest(1), digest(4)]);
    assert!(matches!(
        plan.kept_untagged[1].reasons[0],
        Reason::ClockUnknown { .. }
    ));
}

#[test]
fn untagged_artifacts_can_be_kept_by_count_and_by_age() {
    let mut world = recording();
    for (number, pushed, pulled) in [(1, 40, 1), (2, 30, 20), (3, 20, 20), (4, 10, 10)] {
        world.image(number, &[]);
        world.at(number, days(pushed), days(pulled));
    }
    let keep = Keep::from(vec![
        KeepLine::Last {
            count: 1,
            by: Order::Clock(Clock::Pushed),
            per: Per::Repository,
        },
        within(Clock::Pulled, "2d"),
    ]);
    assert_eq!(
        deleted(&plan(&world, vec![(untagged(), keep)])),
        [digest(2), digest(3)]
    );
}

#[test]
fn nothing_is_selected_as_untagged_where_the_registry_lists_no_such_thing_or_nobody_asks() {
    let mut world = recording();
    world.image(1, &[]);
    world.at(1, days(90), NEVER);
    world.image(2, &["1.0.0"]);
    assert!(
        plan(&world, vec![(select(&["*"]), Keep::all())])
            .actions
            .is_empty()
    );
    world.lists_untagged = false;
    assert!(plan(&world, vec![(untagged(), Keep::none())]).actions.is_empty());
}

#[test]
fn what_was_pushed_last_night_and_never_pulled_counts_as_used_then() {
    // goharbor/harbor#18479
    let mut world = recording();
    for (number, pushed, pulled) in [(1, 1, NEVER), (2, 90, days(3)), (3, 90, days(80))] {
        world.image(number, &[&format!("build-{number}")]);
        world.at(number, days(pushed), pulled);
    }
    assert_eq!(
        removed(&world, vec![(select(&["*"]), last(2, "pulled"))]),
        ["build-3"]
    );
}

#[test]
fn a_pull_of_a_platform_is_a_pull_of_its_index_and_the_other_way_round() {
    let mut world = recording();
    world.image(1, &[]);
    world.image(2, &["arm-only"]);
    world.index(10, &["1.0.0"], &[1]);
    world.index(11, &["2.0.0"], &[2]);
    world.at(1, days(90), days(1));
    world.at(2, days(90), NEVER);
    world.at(10, days(90), NEVER);
    world.at(11, days(90), days(1));
    let keep = Keep::from(vec![within(Clock::Pulled, "30d")]);
    assert!(removed(&world, vec![(select(&["*"]), keep)]).is_empty());
}

#[test]
fn a_registry_where_nothing_was_ever_pulled_does_not_record_it() {
    let mut world = recording();
    world.image(1, &["1.0.0"]);
    world.at(1, days(90), NEVER);
    let plan = plan(
        &world,
        vec![(select(&["*"]), Keep::from(vec![within(Clock::Pulled, "30d")]))],
    );
    let why = Unknown::NotRecorded;
    assert!(matches!(reasons(&plan, "1.0.0")[0], Reason::ClockUnknown { why: found, .. } if found == why));
}

#[test]
fn unused_for_thirty_days_but_always_the_newest_five() {
    let mut world = recording();
    for number in 1..=8 {
        world.image(number, &[&format!("build-{number}")]);
        let age = i64::try_from(number).unwrap() * 10;
        world.at(number, days(age), if number == 8 { days(2) } else { NEVER });
    }
    let keep = Keep::from(vec![
        KeepLine::Last {
            count: 5,
            by: Order::Clock(Clock::Pushed),
            per: Per::Repository,
        },
        within(Clock::Pulled, "30d"),
    ]);
    assert_eq!(
        removed(&world, vec![(select(&["*"]), keep)]),
        ["build-6", "build-7"]
    );
}

#[test]
fn what_was_there_at_the_first_listing_has_no_observed_age() {
    let mut world = registry();
    world.recorded.observed = true;
    for (number, observed) in [
        (1, Fact::Unknown(Unknown::FirstListing)),
        (2, days(40)),
        (3, days(2)),
    ] {
        let name = format!("build-{number}");
        world.image(number, &[&name]);
        let times = Times {
            observed,
            ..Times::default()
        };
        world.tag_times.insert(tag(&name), times);
    }
    let keep = Keep::from(vec![within(Clock::Observed, "30d")]);
    assert_eq!(removed(&world, vec![(select(&["*"]), keep)]), ["build-2"]);
}

#[test]
fn a_prerelease_goes_when_its_stable_version_is_there_and_kept() {
    let mut world = registry();
    let names = [
        "1.1.0-rc.1",
        "1.1.5-rc.1",
        "1.1.2",
        "1.2.0-rc.1",
        "1.1.0-rc.1-alpine",
        "latest",
    ];
    for (number, name) in names.into_iter().enumerate() {
        world.image(number, &[name]);
    }
    let superseded = || Select {
        superseded: true,
        ..Select::default()
    };
    // 1.1.5-rc.1 is newer than any stable version, 1.2 has none, and alpine has none of its own.
    let plan = plan(&world, vec![(superseded(), Keep::none())]);
    assert_eq!(deleted(&plan), [digest(0)]);
    let because = &plan.actions[0].reasons()[0];
    assert!(matches!(because, Reason::Superseded { by, .. } if by.as_str() == "1.1.2"));
    // What goes itself supersedes nothing.
    let both = vec![(superseded(), Keep::none()), (channel(&["stable"]), Keep::none())];
    assert_eq!(removed(&world, both), ["1.1.2"]);
}

#[test]
fn labels_are_found_in_annotations_configurations_the_registry_and_in_platforms() {
    let mut world = registry();
    let scratch = || Labels::from([("tier".to_owned(), "scratch".to_owned())]);
    world.image(1, &["annotated"]);
    world.annotate(1, "tier", "scratch");
    world.aged(2, &["configured"], 5);
    world.labels.insert(digest(152), Fact::Known(scratch()));
    world.image(3, &["registered"]);
    world.registry_labels.insert(digest(3), scratch());
    world.aged(4, &[], 5);
    world.labels.insert(digest(154), Fact::Known(scratch()));
    world.index(5, &["platforms"], &[4]);
    world.image(6, &["other"]);
    world.annotate(6, "tier", "prod");
    world.image(7, &["none"]);
    world.aged(8, &["unknown"], 5);
    world
        .labels
        .insert(digest(158), Fact::Unknown(Unknown::Unreadable));
    let rule = || vec![(labelled(select(&["*"]), "tier", "scratch"), Keep::none())];
    assert_eq!(
        removed(&world, rule()),
        ["annotated", "configured", "platforms", "registered"]
    );
    let plan = plan(&world, rule());
    assert!(matches!(
        reasons(&plan, "unknown")[0],
        Reason::SelectionUnknown { .. }
    ));
    assert_eq!(*reasons(&plan, "none"), [Reason::NotSelected]);
}

#[test]
fn labels_cost_one_configuration_an_image_and_only_where_a_rule_asks() {
    let mut world = registry();
    for number in 1..=3 {
        world.aged(number, &[&format!("build-{number}")], 5);
    }
    world.annotate(1, "tier", "scratch");
    let rule = |select| vec![policy(vec![(select, Keep::none())])];
    let (_, asked) = planned(&world, rule(labelled(select(&["build-*"]), "tier", "scratch")));
    // The annotation says enough of the first one.
    assert_eq!((asked.labels, asked.created), (2, 0));
    let (_, asked) = planned(&world, rule(select(&["build-*"])));
    assert_eq!(asked.labels, 0);
    // A protection is looked up where nothing else keeps the tag.
    let labels = labelled(Select::default(), "keep", "*").labels;
    let rules = vec![(select(&["build-*"]), last(2, "name"))];
    let (_, asked) = planned(&world, vec![protecting(rules, ProtectionPattern::Labels(labels))]);
    assert_eq!(asked.labels, 1);
}

#[test]
fn a_label_protects_and_so_does_one_that_may_be_there() {
    let mut world = registry();
    for (number, labels) in [
        (1, Fact::Known(Labels::from([("keep".to_owned(), String::new())]))),
        (2, Fact::Unknown(Unknown::Missing)),
        (3, Fact::Known(Labels::new())),
    ] {
        world.aged(number, &[&format!("build-{number}")], 5);
        world.labels.insert(digest(150 + number), labels);
    }
    let labels = labelled(Select::default(), "keep", "*").labels;
    let policy = protecting(
        vec![(select(&["*"]), Keep::none())],
        ProtectionPattern::Labels(labels),
    );
    let (plan, _) = planned(&world, vec![policy]);
    assert_eq!(deleted(&plan), [digest(3)]);
    assert!(
        matches!(&reasons(&plan, "build-1")[0], Reason::Protected { pattern, .. } if pattern == "label keep=*")
    );
    assert!(matches!(
        reasons(&plan, "build-2")[0],
        Reason::ProtectionUnknown { .. }
    ));
}

#[test]
fn signed_artifacts_stay_where_a_policy_says_so_however_they_are_signed() {
    let notary = "application/vnd.cncf.notary.signature";
    for api in [false, true] {
        let mut world = registry();
        world.referrers_api = api;
        for (number, name) in [(1, "cosign"), (2, "notation"), (3, "only-sbom"), (4, "unsigned")] {
            world.image(number, &[name]);
        }
        world.sign(11, 1, ".sig");
        world.sign(13, 3, ".sbom");
        let referrer = world.referrer(12, &[], 2);
        world.manifests.get_mut(&referrer).unwrap().artifact_type = Some(notary.to_owned());
        if !api {
            let fallback = attachment_tag(&digest(2), "");
            world.index(20, &[fallback.as_str()], &[12]);
        }
        // A platform that is signed alone.
        world.image(5, &[]);
        world.sign(15, 5, ".sig");
        world.index(6, &["platform"], &[5]);
        let policy = protecting(vec![(select(&["*"]), Keep::none())], ProtectionPattern::Signed);
        let (plan, _) = planned(&world, vec![policy]);
        let gone: Vec<Digest> = deleted(&plan);
        assert_eq!(gone, [digest(3), digest(13), digest(4)], "with an API: {api}");
    }
}

#[test]
fn types_tell_charts_and_modules_from_images() {
    let mut world = registry();
    for (number, name) in [(1, "chart"), (2, "module"), (3, "image")] {
        world.image(number, &[name]);
    }
    let helm = "application/vnd.cncf.helm.config.v1+json";
    world.manifests.get_mut(&digest(1)).unwrap().config_type = Some(helm.parse().unwrap());
    world.manifests.get_mut(&digest(2)).unwrap().artifact_type = Some("application/vnd.wasm.v1".to_owned());
    let kind = |glob: &str| Select {
        artifact_type: vec![glob.parse().unwrap()],
        ..select(&["*"])
    };
    assert_eq!(removed(&world, vec![(kind(helm), Keep::none())]), ["chart"]);
    assert_eq!(removed(&world, vec![(kind("*wasm*"), Keep::none())]), ["module"]);
    let media = Select {
        media_type: vec!["application/vnd.oci.image.index.v1+json".parse().unwrap()],
        ..select(&["*"])
    };
    assert!(removed(&world, vec![(media, Keep::none())]).is_empty());
}

#[test]
fn days_weeks_and_months_keep_the_newest_of_those_that_have_one() {
    let mut world = registry();
    // 2026-11-20 is a Friday, noon. Two of today, one of each of four days with gaps between them.
    for (number, age) in [(1, 0), (2, 0), (3, 3), (4, 9), (5, 20), (6, 50)] {
        world.aged(number, &[&format!("nightly-{number}")], age);
    }
    let gone = |line| removed(&world, vec![(select(&["nightly-*"]), Keep::from(vec![line]))]);
    assert_eq!(
        gone(period(Period::Daily, 3, "UTC")),
        ["nightly-1", "nightly-5", "nightly-6"]
    );
    // The 17th and the 20th are in week 47, the 11th in week 46, the 31st of October in week 44.
    assert_eq!(
        gone(period(Period::Weekly, 3, "UTC")),
        ["nightly-1", "nightly-3", "nightly-6"]
    );
    assert_eq!(
        gone(period(Period::Monthly, 1, "UTC")),
        ["nightly-1", "nightly-3", "nightly-4", "nightly-5", "nightly-6"]
    );
    let plan = plan(
        &world,
        vec![(
            select(&["nightly-*"]),
            Keep::from(vec![period(Period::Daily, 3, "UTC")]),
        )],
    );
    let kept = &reasons(&plan, "nightly-4")[0];
    assert!(matches!(kept, Reason::NewestOf { rank: 3, bucket, .. } if bucket == "2026-11-11"));
}

#[test]
fn what_is_older_takes_no_place_and_is_kept_by_no_line() {
    let mut world = registry();
    for (number, age) in [(1, 400), (2, 100), (3, 10)] {
        // The oldest has the greatest version.
        world.aged(number, &[&format!("{}.0.0", 9 - number)], age);
    }
    let narrowed = |mut keep: Keep| {
        keep.unless_older_than = Some((Clock::Created, "180d".parse().unwrap()));
        removed(&world, vec![(channel(&["stable"]), keep)])
    };
    assert_eq!(narrowed(last(1, "version")), ["6.0.0", "8.0.0"]);
    assert_eq!(
        narrowed(Keep::all()),
        ["8.0.0"],
        "alone it means all up to that age"
    );
}

#[test]
fn an_orphan_goes_where_the_ledger_saw_its_subject_and_a_rule_says_so() {
    let mut world = registry();
    world.sign(1, 98, ".sig");
    world.sign(2, 99, ".sig");
    world.image(3, &["1.0.0"]);
    world.sign(4, 3, ".sig");
    world.remembered.insert(digest(98));
    let orphaned = || Select {
        orphaned: true,
        ..Select::default()
    };
    assert_eq!(
        deleted(&plan(&world, vec![(orphaned(), Keep::none())])),
        [digest(1)]
    );
    let plan = plan(
        &world,
        vec![(select(&["2*"]), Keep::none()), (orphaned(), Keep::all())],
    );
    assert!(plan.actions.is_empty());
}

#[test]
fn a_subject_that_is_still_there_without_a_tag_has_no_orphans() {
    let mut world = registry();
    world.sign(1, 98, ".sig");
    world.image(98, &[]);
    world.remembered.insert(digest(98));
    let orphaned = Select {
        orphaned: true,
        ..Select::default()
    };
    assert!(plan(&world, vec![(orphaned, Keep::none())]).actions.is_empty());
}

#[test]
fn an_index_that_lost_its_tag_counts_as_a_parent_until_it_is_gone() {
    let mut world = registry();
    world.image(1, &["amd64"]);
    world.index(10, &[], &[1]);
    let rule = || vec![(select(&["*"]), Keep::none())];
    assert_eq!(removed(&world, rule()), ["amd64"], "nobody knows of the index");
    world.remembered_indexes.insert(digest(10));
    assert!(matches!(
        reasons(&plan(&world, rule()), "amd64")[0],
        Reason::ChildOf { .. }
    ));
    world.manifests.remove(&digest(10));
    assert_eq!(removed(&world, rule()), ["amd64"]);
}
