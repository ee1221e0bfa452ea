use lagan_model::Incomplete;
use proptest::prelude::*;

use super::*;
use crate::document::{Keep, Limits, Mode, Policy, PolicySet, Rule, Select};
use crate::plan::Undo;

fn at(minute: i64) -> Time {
    chrono::DateTime::from_timestamp(minute * 60, 0).unwrap()
}

fn delete(digest: &str, tags: &[&str]) -> Action {
    Action::Delete {
        digest: Digest::of(digest.as_bytes()),
        tags: tags.iter().map(|tag| tag.parse().unwrap()).collect(),
        media_type: None,
        size: None,
        children: Vec::new(),
        attachments: Vec::new(),
        undo: Undo::until_collection(),
        reasons: Vec::new(),
    }
}

fn untag(digest: &str, tag: &str) -> Action {
    Action::Untag {
        tag: tag.parse().unwrap(),
        digest: Digest::of(digest.as_bytes()),
        reasons: Vec::new(),
    }
}

fn plan(actions: Vec<Action>) -> RepositoryPlan {
    RepositoryPlan {
        actions,
        ..RepositoryPlan::untagged("team/app".parse().unwrap(), vec!["policy".into()])
    }
}

fn policy(name: &str, notice: Option<&str>) -> Policy {
    Policy {
        name: name.into(),
        repositories: vec!["**".parse().unwrap()],
        exclude_repositories: Vec::new(),
        mode: Mode::Enforce,
        rules: vec![Rule {
            name: "rule".into(),
            select: Select::default(),
            keep: Keep::none(),
            allow_empty_repository: true,
        }],
        protect: Vec::new(),
        limits: Limits::default(),
        untag: true,
        grace: None,
        notice: notice.map(|notice| notice.parse().unwrap()),
        rollout: None,
    }
}

fn set(policies: Vec<Policy>) -> PolicySet {
    PolicySet {
        policies,
        ..PolicySet::default()
    }
}

/// What the record says of a plan under policies that are all asked for, and what is on record after it.
fn made(record: &mut Announcements, policies: &PolicySet, plan: &RepositoryPlan, now: Time) -> Vec<Waiting> {
    let policies = policies.of_repository(&plan.name, &|_| true).unwrap();
    let evidence = Evidence {
        announcements: record,
        now,
    };
    let waiting = evidence.waiting(plan, &policies);
    if let Some(planned) = Planned::of(plan, &policies) {
        record.note(&planned, true, now);
    }
    waiting
}

fn waits(action: usize, announced: Option<i64>, until: i64) -> Waiting {
    Waiting {
        action,
        announced: announced.map(at),
        until: at(until),
    }
}

#[test]
fn what_was_announced_for_long_enough_goes_and_what_is_new_waits() {
    let policies = set(vec![policy("policy", Some("60min"))]);
    let mut record = Announcements::default();
    let (old, new) = (delete("a", &["1"]), delete("b", &["2"]));
    let first = plan(vec![old.clone()]);
    let both = plan(vec![old, new]);
    assert_eq!(made(&mut record, &policies, &first, at(0)), [waits(0, None, 60)]);
    assert_eq!(
        made(&mut record, &policies, &both, at(59)),
        [waits(0, Some(0), 60), waits(1, None, 119)]
    );
    assert_eq!(
        made(&mut record, &policies, &both, at(60)),
        [waits(1, Some(59), 119)]
    );
    assert_eq!(made(&mut record, &policies, &both, at(119)), []);
}

#[test]
fn an_action_is_the_same_only_for_the_same_digest_with_the_same_tags() {
    let actions = [
        delete("a", &[]),
        delete("a", &["1"]),
        delete("a", &["1", "2"]),
        delete("a", &["12"]),
        delete("b", &["1"]),
        untag("a", "1"),
        untag("a", "2"),
        untag("b", "1"),
    ];
    let different: BTreeSet<Digest> = actions.iter().map(Action::identity).collect();
    assert_eq!(different.len(), actions.len());
    assert_eq!(
        delete("a", &["1", "2"]).identity(),
        delete("a", &["2", "1"]).identity()
    );
}

#[test]
fn what_a_plan_did_not_have_is_new_when_it_comes_back_even_if_nobody_saw_that_plan() {
    for kept in [false, true] {
        let policies = set(vec![policy("policy", Some("1h"))]);
        let mut record = Announcements::default();
        let doomed = plan(vec![delete("a", &["1"])]);
        made(&mut record, &policies, &doomed, at(0));
        let of_repository = policies.of_repository(&doomed.name, &|_| true).unwrap();
        let without = Planned::of(&plan(Vec::new()), &of_repository).unwrap();
        record.note(&without, kept, at(30));
        assert_eq!(record, Announcements::default());
        assert_eq!(
            made(&mut record, &policies, &doomed, at(90)),
            [waits(0, None, 150)]
        );
    }
}

#[test]
fn a_plan_that_nobody_saw_announces_nothing() {
    let policies = set(vec![policy("policy", Some("1h"))]);
    let doomed = plan(vec![delete("a", &["1"])]);
    let of_repository = policies.of_repository(&doomed.name, &|_| true).unwrap();
    let mut record = Announcements::default();
    record.note(&Planned::of(&doomed, &of_repository).unwrap(), false, at(0));
    assert_eq!(record, Announcements::default());
}

#[test]
fn a_repository_that_could_not_be_read_neither_begins_nor_ends_an_announcement() {
    let policies = set(vec![policy("policy", Some("1h"))]);
    let mut record = Announcements::default();
    let doomed = plan(vec![delete("a", &["1"])]);
    made(&mut record, &policies, &doomed, at(0));
    let why = Incomplete { why: String::new() };
    let unread = RepositoryPlan::incomplete(doomed.name.clone(), Vec::new(), 1, why);
    assert_eq!(made(&mut record, &policies, &unread, at(30)), []);
    assert_eq!(made(&mut record, &policies, &doomed, at(60)), []);
}

#[test]
fn policies_that_are_others_announce_anew_and_others_beside_them_do_not_end_that() {
    let doomed = plan(vec![delete("a", &["1"])]);
    let one = set(vec![policy("policy", Some("1h"))]);
    let mut edited = one.clone();
    edited.policies[0].untag = false;
    let mut enforced = one.clone();
    enforced.policies[0].mode = Mode::DryRun;
    let two = set(vec![policy("policy", Some("1h")), policy("other", None)]);
    let mut record = Announcements::default();
    made(&mut record, &one, &doomed, at(0));
    for others in [&edited, &enforced, &two] {
        assert_eq!(made(&mut record, others, &doomed, at(60)), [waits(0, None, 120)]);
    }
    assert_eq!(made(&mut record, &one, &doomed, at(61)), []);
    // A fifth group of policies is remembered in the place of the one that planned longest ago.
    made(
        &mut record,
        &set(vec![policy("fifth", Some("1h"))]),
        &doomed,
        at(62),
    );
    assert_eq!(record.iter().count(), GROUPS);
    assert_eq!(made(&mut record, &edited, &doomed, at(130)).len(), 1);
}

#[test]
fn who_makes_candidates_is_a_part_of_who_announces() {
    let policies = set(vec![policy("a", Some("1h")), policy("b", None)]);
    let name = "team/app".parse().unwrap();
    let both = policies.of_repository(&name, &|_| true).unwrap();
    let only = policies
        .of_repository(&name, &|policy| &*policy.name.0 == "a")
        .unwrap();
    assert_ne!(both.identity(), only.identity());
}

#[test]
fn the_longest_notice_holds_and_without_one_nothing_waits() {
    let doomed = plan(vec![delete("a", &["1"])]);
    let mut record = Announcements::default();
    let none = set(vec![policy("policy", None)]);
    assert_eq!(made(&mut record, &none, &doomed, at(0)), []);
    assert_eq!(record, Announcements::default());
    let two = set(vec![policy("a", Some("30min")), policy("b", Some("90min"))]);
    assert_eq!(made(&mut record, &two, &doomed, at(0)), [waits(0, None, 90)]);
}

#[test]
fn what_was_announced_by_a_clock_ahead_of_time_is_announced_again() {
    let policies = set(vec![policy("policy", Some("1h"))]);
    let mut record = Announcements::default();
    let doomed = plan(vec![delete("a", &["1"])]);
    made(&mut record, &policies, &doomed, at(1_000_000));
    assert_eq!(made(&mut record, &policies, &doomed, at(0)), [waits(0, None, 60)]);
    assert_eq!(made(&mut record, &policies, &doomed, at(60)), []);
}

#[test]
fn repositories_of_which_no_plan_speaks_are_forgotten_after_a_long_time() {
    let policies = set(vec![policy("policy", Some("1h"))]);
    let mut record = Announcements::default();
    made(&mut record, &policies, &plan(vec![delete("a", &["1"])]), at(0));
    record.forget_silent(at(0) + MAX_SILENCE);
    assert_eq!(record.count(), 1);
    record.forget_silent(at(1) + MAX_SILENCE);
    assert_eq!(record, Announcements::default());
}

proptest! {
    /// Against an oracle that keeps all plans and looks back through them.
    #[test]
    fn an_action_goes_only_if_it_was_in_every_plan_for_so_long(
        plans in prop::collection::vec((prop::collection::btree_set(0..5_usize, 0..5), 0..50_i64, any::<bool>()), 1..20),
    ) {
        let policies = set(vec![policy("policy", Some("60min"))]);
        let of_repository = policies.of_repository(&"team/app".parse().unwrap(), &|_| true).unwrap();
        let mut record = Announcements::default();
        let mut past: Vec<(BTreeSet<usize>, i64, bool)> = Vec::new();
        let mut now = 0;
        for (actions, passed, kept) in plans {
            now += passed;
            let order: Vec<usize> = actions.iter().copied().collect();
            let made = plan(order.iter().map(|number| delete(&number.to_string(), &["t"])).collect());
            let evidence = Evidence { announcements: &record, now: at(now) };
            let waiting = evidence.waiting(&made, &of_repository);
            for (position, number) in order.iter().enumerate() {
                let since_then = past.iter().rev().take_while(|(had, ..)| had.contains(number));
                let seen = since_then.filter(|(.., kept)| *kept).map(|(_, at, _)| *at).min();
                let goes = seen.is_some_and(|seen| now - seen >= 60);
                prop_assert_eq!(Waiting::at(&waiting, position).is_none(), goes, "{} at {}", number, now);
            }
            record.note(&Planned::of(&made, &of_repository).unwrap(), kept, at(now));
            let total: usize = record.iter().map(|(_, one)| one.since.len()).sum();
            prop_assert_eq!(record.count(), total);
            past.push((actions, now, kept));
        }
    }
}
