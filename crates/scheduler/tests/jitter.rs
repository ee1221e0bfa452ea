//! Jitter and runs that take their time: every time of a schedule has its run, or is told of as left out.

#![expect(clippy::unwrap_used, reason = "a test fails where it cannot go on")]

use std::collections::{BTreeMap, BTreeSet};

use chrono::TimeDelta;
use lagan_scheduler::{Entry, Schedule, Table, Time, Zone};
use proptest::prelude::*;

fn time(text: &str) -> Time {
    text.parse().unwrap()
}

fn schedule(cron: &str, jitter: TimeDelta) -> Schedule {
    Schedule {
        cron: cron.parse().unwrap(),
        zone: Zone::UTC,
        jitter,
    }
}

fn entry(group: &str, schedule: &Schedule) -> Entry<String> {
    Entry {
        group: group.to_owned(),
        schedule: schedule.clone(),
    }
}

/// A table with one entry, and its name: one whose delays at these times are as they should be.
fn table(
    schedule: &Schedule,
    now: Time,
    delays: impl Fn(&dyn Fn(&str) -> TimeDelta) -> bool,
) -> (Table<String, String>, String) {
    let mut names = (0..10_000).map(|number| format!("policy {number}"));
    let fits = |name: &String| delays(&|text: &str| schedule.delay(name, time(text)));
    let name = names.find(fits).unwrap();
    let mut table = Table::default();
    table.load([(name.clone(), entry("r", schedule))], &BTreeMap::new(), now);
    (table, name)
}

const MINUTE: TimeDelta = TimeDelta::minutes(1);

#[test]
fn a_run_that_ends_before_the_jitter_of_a_time_is_over_does_not_take_that_time() {
    let schedule = schedule("@hourly", MINUTE * 30);
    let (noon, one, two) = (
        "2026-11-21T12:00:00Z",
        "2026-11-21T13:00:00Z",
        "2026-11-21T14:00:00Z",
    );
    let (mut table, name) = table(&schedule, time("2026-11-21T11:10:00Z"), |delay| {
        delay(noon) < MINUTE * 5 && delay(one) > MINUTE * 20 && delay(two) > MINUTE * 20
    });
    assert_eq!(table.start(time(noon) + MINUTE * 5), [name.as_str()]);
    assert!(!table.finished(&name, time(one) + MINUTE * 5));
    // Nor does the process that ends then.
    let lasts = table.lasts();
    let mut table = Table::default();
    table.load(
        [(name.clone(), entry("r", &schedule))],
        &lasts,
        time(one) + MINUTE * 6,
    );
    let due = time(one) + schedule.delay(&name, time(one));
    assert_eq!(table.next(), Some(due));
    assert!(table.start(due - MINUTE).is_empty());
    assert_eq!(table.start(due), [name.as_str()]);
    // One that is over is left out, and told of.
    assert!(table.finished(&name, time(two) + MINUTE * 30));
    assert!(table.start(time(two) + MINUTE * 30).is_empty());
}

#[test]
fn a_run_over_midnight_does_not_take_the_next_day() {
    let schedule = schedule("@daily", TimeDelta::days(1));
    let (one, two) = ("2026-11-21T00:00:00Z", "2026-11-22T00:00:00Z");
    let (mut table, name) = table(&schedule, time("2026-11-20T12:00:00Z"), |delay| {
        (20..23).contains(&delay(one).num_hours()) && delay(two) > TimeDelta::hours(6)
    });
    assert_eq!(
        table.start(time(one) + TimeDelta::days(1) - MINUTE),
        [name.as_str()]
    );
    assert!(!table.finished(&name, time(two) + TimeDelta::hours(1)));
    assert_eq!(table.next(), Some(time(two) + schedule.delay(&name, time(two))));
}

#[test]
fn a_run_that_waited_for_its_group_does_not_take_a_time_whose_jitter_is_not_over() {
    let schedule = schedule("@hourly", MINUTE * 30);
    let (noon, one) = ("2026-11-21T12:00:00Z", "2026-11-21T13:00:00Z");
    let (mut table, name) = table(&schedule, time("2026-11-21T11:10:00Z"), |delay| {
        delay(noon) < MINUTE * 5 && delay(one) > MINUTE * 20
    });
    let now = time(noon) + MINUTE * 10;
    assert_eq!(table.start_next(now, |_| false), None);
    let now = time(one) + MINUTE * 5;
    assert_eq!(table.start_next(now, |_| true), Some(name.clone()));
    assert!(!table.finished(&name, now));
    assert!(table.start(now).is_empty());
    assert_eq!(table.start(time(one) + MINUTE * 30), [name]);
}

#[test]
fn a_new_entry_does_not_wait_for_the_jitter_of_a_time_before_it() {
    let schedule = schedule("@hourly", MINUTE * 30);
    let (noon, one) = ("2026-11-21T12:00:00Z", "2026-11-21T13:00:00Z");
    let (mut table, name) = table(&schedule, time(noon) + MINUTE, |delay| delay(noon) > MINUTE * 20);
    assert!(table.start(time(noon) + MINUTE * 30).is_empty());
    assert_eq!(table.next(), Some(time(one) + schedule.delay(&name, time(one))));
}

/// What is known of an entry without a table: its times, one by one, and what became of each.
struct Watched {
    name: &'static str,
    group: &'static str,
    schedule: Schedule,
    every: TimeDelta,
    since: Time,
    answered: BTreeMap<Time, &'static str>,
    /// What the run in hand answers for.
    in_hand: Vec<Time>,
}

impl Watched {
    fn times(&self) -> impl Iterator<Item = Time> {
        let every = self.every.num_seconds();
        let first = (self.since.timestamp().div_euclid(every) + 1) * every;
        (0..).map(move |number| Time::from_timestamp(first + number * every, 0).unwrap())
    }

    fn due(&self, time: Time) -> Time {
        time + self.schedule.delay(self.name, time)
    }

    /// The first time that nothing became of yet.
    fn next(&self) -> Time {
        self.times()
            .find(|time| !self.answered.contains_key(time))
            .unwrap()
    }

    /// What is over, in order, and had no run.
    fn over(&self, now: Time) -> Vec<Time> {
        let open = self.times().filter(|time| !self.answered.contains_key(time));
        open.take_while(|time| self.due(*time) <= now).collect()
    }

    /// What came of them; whether nothing had come of any before.
    fn answer(&mut self, times: &[Time], what: &'static str) -> bool {
        times
            .iter()
            .all(|time| self.answered.insert(*time, what).is_none())
    }
}

/// What happens next.
#[derive(Debug, Clone)]
enum Event {
    Pass(i64),
    Finish,
    Postpone,
    Restart,
}

fn events() -> impl Strategy<Value = Vec<Event>> {
    let event = prop_oneof![
        4 => (1..1_200_i64).prop_map(Event::Pass),
        2 => (1..12_000_i64).prop_map(Event::Pass),
        5 => Just(Event::Finish),
        1 => Just(Event::Postpone),
        1 => Just(Event::Restart),
    ];
    prop::collection::vec(event, 1..80)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_time_is_run_or_told_of_as_left_out_exactly_once(
        events in events(),
        jitter in prop::array::uniform3(0..10_800_i64),
    ) {
        let mut now = time("2026-11-21T12:01:30Z");
        let mut all = [("a", "r", "*/10 * * * *", 10), ("b", "r", "*/30 * * * *", 30), ("c", "s", "@hourly", 60)]
            .map(|(name, group, cron, every)| (name, group, cron, MINUTE * every))
            .into_iter()
            .zip(jitter)
            .map(|((name, group, cron, every), jitter)| Watched {
                name,
                group,
                schedule: schedule(cron, TimeDelta::seconds(jitter)),
                every,
                since: now,
                answered: BTreeMap::new(),
                in_hand: Vec::new(),
            })
            .collect::<Vec<_>>();
        let entries: Vec<_> = all.iter().map(|one| (one.name.to_owned(), entry(one.group, &one.schedule))).collect();
        let mut table = Table::default();
        table.load(entries.clone(), &BTreeMap::new(), now);
        let mut running: BTreeSet<&str> = BTreeSet::new();
        // In the end, whatever is open has its turn.
        let end = (0..40).flat_map(|_| [Event::Pass(600), Event::Finish, Event::Finish]);
        for event in events.into_iter().chain(end) {
            match event {
                Event::Pass(seconds) => now += TimeDelta::seconds(seconds),
                Event::Finish => if let Some(name) = running.pop_first() {
                    let one = all.iter_mut().find(|one| one.name == name).unwrap();
                    let over = one.over(now);
                    let left_out = table.finished(&name.to_owned(), now);
                    prop_assert_eq!(left_out, !over.is_empty(), "{} at {}: {:?}", name, now, over);
                    prop_assert!(one.answer(&over, "left out"));
                },
                Event::Postpone => if let Some(name) = running.pop_first() {
                    let one = all.iter_mut().find(|one| one.name == name).unwrap();
                    table.postponed(&name.to_owned());
                    for time in std::mem::take(&mut one.in_hand) {
                        one.answered.remove(&time);
                    }
                },
                Event::Restart => {
                    let lasts = table.lasts();
                    table = Table::default();
                    table.load(entries.clone(), &lasts, now);
                    running.clear();
                }
            }
            for started in table.start(now) {
                let one = all.iter_mut().find(|one| one.name == started).unwrap();
                let over = one.over(now);
                prop_assert!(!over.is_empty(), "{} is not due at {}", started, now);
                prop_assert!(running.insert(one.name));
                prop_assert!(one.answer(&over, "run"));
                one.in_hand = over;
            }
            let status: BTreeMap<_, _> = table.status().collect();
            for one in &all {
                let busy = all.iter().any(|other| other.group == one.group && running.contains(other.name));
                prop_assert!(busy || one.over(now).is_empty(), "{} is forgotten at {}", one.name, now);
                let due = status[&one.name.to_owned()].due;
                prop_assert_eq!(due, Some(one.due(one.next())), "{} at {}", one.name, now);
            }
        }
        let longest = TimeDelta::hours(3);
        for one in &all {
            let open = one.times().take_while(|time| *time + longest <= now);
            let open: Vec<_> = open.filter(|time| !one.answered.contains_key(time)).collect();
            prop_assert!(open.is_empty(), "{} by {}: {:?}", one.name, now, open);
        }
    }
}
