use lagan_model::Digest;
use proptest::prelude::*;

use super::*;
use crate::document::{Keep, Limits, Mode, Rule, Select, Stages};

fn at(minute: i64) -> Time {
    chrono::DateTime::from_timestamp(minute * 60, 0).unwrap()
}

fn share(text: &str) -> Share {
    text.parse().unwrap()
}

fn rollout(stages: &[&str], hold: &str, min_success: &str) -> Rollout {
    Rollout {
        stages: Stages::new(stages.iter().map(|text| share(text)).collect()).unwrap(),
        hold: hold.parse().unwrap(),
        min_success: share(min_success),
    }
}

fn policy(name: &str, rollout: Option<Rollout>) -> Policy {
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
        grace: None,
        notice: None,
        rollout,
        untag: true,
    }
}

fn set(policies: Vec<Policy>) -> PolicySet {
    PolicySet {
        policies,
        ..PolicySet::default()
    }
}

fn repositories(count: usize) -> Vec<RepositoryName> {
    (0..count)
        .map(|number| format!("team/app-{number}").parse().unwrap())
        .collect()
}

fn tally(succeeded: u64, failed: u64) -> Tally {
    Tally { succeeded, failed }
}

/// Those that the policies of a set let be deleted from, all of them asked for.
fn taken(
    set: &PolicySet,
    records: &BTreeMap<PolicyName, Record>,
    all: &[RepositoryName],
    now: Time,
) -> Vec<RepositoryName> {
    let rollouts = Rollouts::at(&set.policies, &set.versions, records, now).among(all, set);
    let takes = |name: &&RepositoryName| {
        let policies = set.of_repository(name, &|_| true).unwrap();
        rollouts.note(name, &policies).is_none_or(|note| note.taken)
    };
    all.iter().filter(takes).cloned().collect()
}

/// On record, a policy that is behind so many stages.
fn behind(policy: &Policy, over: usize) -> BTreeMap<PolicyName, Record> {
    let record = Record {
        over,
        ..Record::new(identity(policy, &VersionTable::default()))
    };
    BTreeMap::from([(policy.name.clone(), record)])
}

#[test]
fn shares_are_written_as_they_are_read() {
    for (text, written) in [
        ("5%", "5%"),
        ("99.5%", "99.5%"),
        ("0.01%", "0.01%"),
        ("30.10%", "30.1%"),
        ("100%", "100%"),
        ("007.05%", "7.05%"),
    ] {
        assert_eq!(share(text).to_string(), written);
    }
    for text in [
        "", "%", "5", "0%", "0.00%", "100.01%", "101%", "-1%", "+1%", "1.234%", "1.%", ".5%", "1e1%", " 5%",
    ] {
        assert_eq!(
            text.parse::<Share>(),
            Err(crate::document::ShareError),
            "{text:?}"
        );
    }
}

#[test]
fn stages_grow() {
    use crate::document::StagesError;

    let stages = |texts: &[&str]| Stages::new(texts.iter().map(|text| share(text)).collect());
    assert_eq!(stages(&[]), Err(StagesError::None));
    assert_eq!(stages(&["5%", "5%"]), Err(StagesError::Order));
    assert_eq!(stages(&["5%", "30%", "20%"]), Err(StagesError::Order));
    let many: Vec<Share> = (1..=21)
        .map(|percent| Share::hundredths(percent).unwrap())
        .collect();
    assert_eq!(Stages::new(many), Err(StagesError::Many));
    assert_eq!(stages(&["100%"]).unwrap().count(), 1);
}

#[test]
fn the_place_of_a_repository_is_the_same_in_every_version_of_this_program() {
    // The leading eight bytes of SHA-256 over "lagan rollout", the policy and the repository, a line each.
    let known = |policy: &str, repository: &str| {
        let text = format!("lagan rollout\n{policy}\n{repository}");
        u64::from_str_radix(&Digest::of(text.as_bytes()).encoded()[..16], 16).unwrap()
    };
    let mut in_a_tenth = 0;
    for name in repositories(2_000) {
        for policy in ["tidy", "nightlies"] {
            let place = Place::of(&policy.into(), &name);
            let tenth = known(policy, name.as_str()) / (u64::MAX / 10) == 0;
            assert_eq!(place.is_in(share("10%")), tenth, "{policy} {name}");
            assert!(place.is_in(Share::ALL));
        }
        in_a_tenth += usize::from(Place::of(&"tidy".into(), &name).is_in(share("10%")));
    }
    assert!((140..260).contains(&in_a_tenth), "{in_a_tenth} of 2,000");
}

#[test]
fn each_policy_has_an_order_of_its_own() {
    let first = |policy: &str| {
        let of = |name: &RepositoryName| Place::of(&policy.into(), name);
        repositories(500)
            .into_iter()
            .filter(|name| of(name).is_in(share("10%")))
            .collect::<Vec<_>>()
    };
    assert_ne!(first("tidy"), first("nightlies"));
}

#[test]
fn one_repository_goes_at_the_least_where_all_are_known_and_none_where_they_are_not() {
    let set = set(vec![policy(
        "tidy",
        Some(rollout(&["0.01%", "100%"], "1h", "99%")),
    )]);
    let all = repositories(20);
    let none = BTreeMap::new();
    assert_eq!(taken(&set, &none, &all, at(0)).len(), 1);
    let narrowed = Rollouts::at(&set.policies, &set.versions, &none, at(0));
    for name in &all {
        let policies = set.of_repository(name, &|_| true).unwrap();
        assert!(!narrowed.note(name, &policies).unwrap().taken);
    }
}

#[test]
fn what_was_found_to_be_the_first_when_it_was_planned_is_so_when_that_is_carried_out() {
    let staged = policy("tidy", Some(rollout(&["0.01%", "100%"], "1h", "99%")));
    let set = set(vec![
        staged.clone(),
        policy("other", Some(rollout(&["100%"], "1h", "99%"))),
    ]);
    let all = repositories(20);
    let records = BTreeMap::new();
    let planned = Rollouts::at(&set.policies, &set.versions, &records, at(0)).among(&all, &set);
    let later = Rollouts::at(&set.policies, &set.versions, &records, at(1));
    let mut fallen = behind(&staged, 0);
    if let Some(record) = fallen.get_mut(&staged.name) {
        record.end(staged.rollout.as_ref().unwrap(), tally(0, 1), at(0));
    }
    let fallen = Rollouts::at(&set.policies, &set.versions, &fallen, at(1));
    let mut first = 0;
    for name in &all {
        let policies = set.of_repository(name, &|_| true).unwrap();
        let note = planned.note(name, &policies).unwrap();
        let again = later.note_again(name, &policies, Some(&note)).unwrap();
        assert_eq!(again, note);
        assert!(!later.note_again(name, &policies, None).unwrap().taken);
        assert!(!fallen.note_again(name, &policies, Some(&note)).unwrap().taken);
        first += usize::from(note.taken);
    }
    assert_eq!(first, 1);
}

#[test]
fn a_policy_of_which_nothing_is_known_here_takes_nothing() {
    let set = set(vec![policy("tidy", Some(rollout(&["100%"], "1h", "99%")))]);
    let all = repositories(3);
    let policies = set.of_repository(&all[0], &|_| true).unwrap();
    let note = Rollouts::default().note(&all[0], &policies).unwrap();
    assert!(!note.taken && note.share.is_none());
}

#[test]
fn every_policy_that_makes_candidates_has_to_take_a_repository() {
    let stages = |stages: &[&str]| Some(rollout(stages, "1h", "99%"));
    let all = repositories(200);
    let one = set(vec![policy("a", stages(&["50%"]))]);
    let two = set(vec![
        policy("a", stages(&["50%"])),
        policy("b", stages(&["50%"])),
        policy("c", None),
    ]);
    let (of_one, of_two) = (
        taken(&one, &BTreeMap::new(), &all, at(0)),
        taken(&two, &BTreeMap::new(), &all, at(0)),
    );
    assert!(of_two.iter().all(|name| of_one.contains(name)) && of_two.len() < of_one.len());
    // One that only keeps has nothing to roll out.
    let rollouts = Rollouts::at(&two.policies[..1], &two.versions, &BTreeMap::new(), at(0));
    let asked = |name: &RepositoryName| {
        let policies = two.of_repository(name, &|policy| *policy.name.0 == *"a").unwrap();
        rollouts.note(name, &policies).unwrap().taken
    };
    let taken: Vec<_> = all.iter().filter(|name| asked(name)).cloned().collect();
    assert_eq!(taken.len(), of_one.len());
}

#[test]
fn what_is_on_record_of_another_policy_counts_for_nothing() {
    let staged = policy("tidy", Some(rollout(&["1%", "100%"], "1h", "99%")));
    let all = repositories(50);
    let records = behind(&staged, 1);
    assert_eq!(taken(&set(vec![staged.clone()]), &records, &all, at(0)).len(), 50);
    let mut changed = staged;
    changed.untag = false;
    assert!(taken(&set(vec![changed]), &records, &all, at(0)).len() < 10);
}

#[test]
fn a_stage_ends_when_it_held_since_its_first_deletion_and_enough_succeeded() {
    let rollout = rollout(&["5%", "30%", "100%"], "1h", "90%");
    let mut record = Record::new("of the policy".to_owned());
    // Time alone moves nothing.
    assert_eq!(record.at(&rollout, at(10_000)), (record.clone(), None));
    record.begin();
    assert_eq!(record.end(&rollout, tally(9, 1), at(10_000)), None);
    assert_eq!(record.at(&rollout, at(10_059)), (record.clone(), None));
    let (advanced, change) = record.at(&rollout, at(10_060));
    assert_eq!((advanced.over, change), (1, Some(Change::Advanced)));
    // Nor does it move more than one stage.
    assert_eq!(advanced.at(&rollout, at(90_000)), (advanced.clone(), None));
    let mut last = Record { over: 2, ..advanced };
    last.end(&rollout, tally(1, 0), at(90_000));
    let (over, change) = last.at(&rollout, at(90_060));
    assert_eq!((over.over, change), (3, Some(Change::Completed)));
    // What is complete is not judged any more.
    let mut over = over;
    assert_eq!(over.end(&rollout, tally(0, 9), at(90_061)), None);
    assert_eq!(over.fell_back, None);
}

#[test]
fn too_many_failures_end_it_and_only_another_policy_begins_anew() {
    let staged = policy("tidy", Some(rollout(&["50%", "100%"], "1h", "90%")));
    let rollout = staged.rollout.clone().unwrap();
    let mut record = Record::new(identity(&staged, &VersionTable::default()));
    assert_eq!(record.end(&rollout, tally(20, 2), at(0)), None);
    assert_eq!(record.end(&rollout, tally(0, 1), at(5)), Some(Change::FellBack));
    assert_eq!(
        record.fell_back,
        Some(FellBack {
            at: at(5),
            tally: tally(20, 3)
        })
    );
    assert_eq!(record.at(&rollout, at(100_000)), (record.clone(), None));
    assert_eq!(record.end(&rollout, tally(1_000, 0), at(100_000)), None);
    let records = BTreeMap::from([(staged.name.clone(), record)]);
    let all = repositories(40);
    assert!(taken(&set(vec![staged.clone()]), &records, &all, at(100_000)).is_empty());
    // Neither its limits nor its mode are what it decides.
    let mut lifted = staged.clone();
    lifted.limits.keep_at_least = 7;
    lifted.mode = Mode::DryRun;
    assert!(taken(&set(vec![lifted]), &records, &all, at(100_000)).is_empty());
    let mut changed = staged;
    changed.untag = false;
    assert!(!taken(&set(vec![changed]), &records, &all, at(100_000)).is_empty());
}

#[test]
fn a_run_that_never_ended_has_its_stage_begin_anew() {
    let rollout = rollout(&["5%", "100%"], "1h", "90%");
    let mut record = Record::new("of the policy".to_owned());
    record.end(&rollout, tally(10, 0), at(0));
    record.begin();
    let (anew, change) = record.at(&rollout, at(1_000));
    assert_eq!(
        (anew.over, anew.since, anew.tally, anew.open, change),
        (0, None, Tally::default(), false, None)
    );
}

#[test]
fn a_clock_that_was_wrong_makes_a_stage_no_shorter() {
    let rollout = rollout(&["5%", "100%"], "1h", "90%");
    let mut record = Record::new("of the policy".to_owned());
    record.end(&rollout, tally(10, 0), at(5_000));
    let (now, change) = record.at(&rollout, at(10));
    assert_eq!((now.since, change), (Some(at(10)), None));
}

/// What happens to a rollout.
#[derive(Debug, Clone)]
enum Step {
    Wait(i64),
    Run(u64, u64),
    Crash,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        (0i64..200).prop_map(Step::Wait),
        (0u64..50, 0u64..3).prop_map(|(succeeded, failed)| Step::Run(succeeded, failed)),
        Just(Step::Crash),
    ];
    prop::collection::vec(step, 0..40)
}

fn shares() -> impl Strategy<Value = Vec<u16>> {
    prop::collection::btree_set(1u16..=10_000, 1..6).prop_map(|set| set.into_iter().collect())
}

proptest! {
    /// In each stage there is at least one, in a larger share all that a smaller one has, and in all of them all.
    #[test]
    fn what_is_in_a_share_is_in_each_larger_one(
        shares in shares(),
        count in 1usize..60,
        name in "[a-z]{1,12}",
    ) {
        let stages = Stages::new(shares.iter().map(|share| Share::hundredths(*share).unwrap()).collect()).unwrap();
        let count_of = stages.count();
        let staged = policy(&name, Some(Rollout { stages, hold: "1h".parse().unwrap(), min_success: Share::ALL }));
        let set = set(vec![staged.clone()]);
        let all = repositories(count);
        let mut before: Vec<RepositoryName> = Vec::new();
        for over in 0..=count_of {
            let now = taken(&set, &behind(&staged, over), &all, at(0));
            prop_assert!(!now.is_empty());
            prop_assert!(before.iter().all(|name| now.contains(name)));
            before = now;
        }
        if shares.last() == Some(&10_000) {
            prop_assert_eq!(before, all);
        }
    }

    /// Whether a repository is in a share does not depend on the others, but for the one that is always in it.
    #[test]
    fn others_that_come_and_go_change_one_repository_at_the_most(share in 1u16..=10_000, count in 2usize..60, gone in 0usize..60) {
        let stages = Stages::new(vec![Share::hundredths(share).unwrap()]).unwrap();
        let staged = policy("tidy", Some(Rollout { stages, hold: "1h".parse().unwrap(), min_success: Share::ALL }));
        let set = set(vec![staged]);
        let all = repositories(count);
        let mut fewer = all.clone();
        fewer.remove(gone % count);
        let (with, without) = (
            taken(&set, &BTreeMap::new(), &all, at(0)),
            taken(&set, &BTreeMap::new(), &fewer, at(0)),
        );
        let changed = fewer.iter().filter(|name| with.contains(name) != without.contains(name)).count();
        prop_assert!(changed <= 1);
    }

    /// A model with neither shares nor records: minutes, and the deletions of the present stage one by one.
    #[test]
    fn a_rollout_goes_the_way_of_a_plain_model(steps in steps(), percent in 50u16..=100, stages in 1usize..4) {
        let shares: Vec<Share> = (1..=stages).map(|stage| Share::hundredths(u16::try_from(stage).unwrap() * 100).unwrap()).collect();
        let rollout = Rollout {
            stages: Stages::new(shares).unwrap(),
            hold: "60min".parse().unwrap(),
            min_success: Share::hundredths(percent * 100).unwrap(),
        };
        let mut record = Record::new(String::new());
        let mut now = 0;
        let (mut stage, mut first, mut deleted, mut fell) = (0usize, None::<i64>, Vec::<bool>::new(), false);
        for step in steps {
            match step {
                Step::Wait(minutes) => now += minutes,
                Step::Crash => {
                    record = record.at(&rollout, at(now)).0;
                    record.begin();
                    advance(&mut stage, &mut first, &mut deleted, (stages, now, percent, fell));
                    if !fell && stage < stages {
                        (first, deleted) = (None, Vec::new());
                    }
                }
                Step::Run(succeeded, failed) => {
                    record = record.at(&rollout, at(now)).0;
                    record.begin();
                    record.end(&rollout, tally(succeeded, failed), at(now));
                    advance(&mut stage, &mut first, &mut deleted, (stages, now, percent, fell));
                    if !fell && stage < stages && succeeded + failed > 0 {
                        first.get_or_insert(now);
                        deleted.extend((0..succeeded).map(|_| true).chain((0..failed).map(|_| false)));
                        fell = !is_enough(&deleted, percent);
                    }
                }
            }
            let (seen, _) = record.at(&rollout, at(now));
            let mut model = (stage, first, deleted.clone());
            advance(&mut model.0, &mut model.1, &mut model.2, (stages, now, percent, fell));
            prop_assert_eq!(seen.over, model.0);
            prop_assert_eq!(seen.fell_back.is_some(), fell);
        }
    }
}

fn is_enough(deleted: &[bool], percent: u16) -> bool {
    let good = deleted.iter().filter(|good| **good).count();
    good * 100 >= deleted.len() * usize::from(percent)
}

fn advance(
    stage: &mut usize,
    first: &mut Option<i64>,
    deleted: &mut Vec<bool>,
    (stages, now, percent, fell): (usize, i64, u16, bool),
) {
    let held = first.is_some_and(|first| now - first >= 60);
    if !fell && *stage < stages && held && deleted.contains(&true) && is_enough(deleted, percent) {
        *stage += 1;
        *first = None;
        deleted.clear();
    }
}

#[test]
fn what_was_put_back_speaks_for_nothing_and_takes_nothing_back() {
    let rollout = rollout(&["10%", "100%"], "1h", "50%");
    let mut record = Record::new("a policy".to_owned());
    assert!(!record.undone(), "nothing was deleted");
    record.begin();
    record.end(&rollout, tally(9, 1), at(0));
    let before = record.clone();
    assert_eq!(before.at(&rollout, at(60)).1, Some(Change::Advanced));
    assert!(record.undone());
    let (later, change) = record.at(&rollout, at(600));
    assert_eq!((change, later.over, later.tally), (None, 0, tally(0, 0)));
    // What led back to dry-run is for a person to clear up.
    let mut fell = before;
    fell.end(&rollout, tally(0, 90), at(1));
    let then = fell.clone();
    assert!(then.fell_back.is_some() && !fell.undone());
    assert_eq!(fell, then);
    let mut over = Record {
        over: 2,
        ..Record::new("a policy".to_owned())
    };
    assert!(!over.undone());
    assert_eq!(over.over, 2);
}
