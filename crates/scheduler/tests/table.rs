//! The table of due times, by stories with a clock that is told what to show.

#![expect(clippy::unwrap_used, reason = "a test fails where it cannot go on")]

use std::collections::{BTreeMap, BTreeSet};

use chrono::TimeDelta;
use lagan_scheduler::{Entry, Last, Schedule, Table, Time, Zone};
use proptest::prelude::*;

fn zone(name: &str) -> Zone {
    name.parse().unwrap()
}

fn time(text: &str) -> Time {
    text.parse().unwrap()
}

fn entry(group: &str, cron: &str) -> Entry<String> {
    Entry {
        group: group.to_owned(),
        schedule: Schedule {
            cron: cron.parse().unwrap(),
            zone: Zone::UTC,
            jitter: TimeDelta::zero(),
        },
    }
}

fn entries(all: &[(&str, &str, &str)]) -> Vec<(String, Entry<String>)> {
    let entry = |(key, group, cron): &(&str, &str, &str)| ((*key).to_owned(), entry(group, cron));
    all.iter().map(entry).collect()
}

fn table(all: &[(&str, &str, &str)], now: Time) -> Table<String, String> {
    let mut table = Table::default();
    table.load(entries(all), &BTreeMap::new(), now);
    table
}

const NOON: &str = "2026-11-21T12:00:00Z";

#[test]
fn nothing_is_due_when_it_is_loaded_for_the_first_time() {
    let now = time(NOON);
    let mut table = table(&[("a", "r", "0 12 * * *")], now);
    assert!(table.start(now).is_empty());
    assert_eq!(table.next(), Some(now + TimeDelta::days(1)));
}

#[test]
fn one_run_at_a_time_of_each_group_what_is_due_longest_first() {
    let now = time(NOON);
    let all = [
        ("a", "r", "5 * * * *"),
        ("b", "r", "3 * * * *"),
        ("c", "s", "5 * * * *"),
    ];
    let mut table = table(&all, now);
    let later = now + TimeDelta::minutes(6);
    assert_eq!(table.start(later), ["b", "c"]);
    assert!(table.start(later).is_empty());
    assert!(!table.finished(&"b".to_owned(), later));
    assert_eq!(table.start(later), ["a"]);
}

#[test]
fn what_somebody_else_has_is_passed_over_and_due_still() {
    let now = time(NOON);
    let all = [
        ("a", "r", "3 * * * *"),
        ("b", "s", "4 * * * *"),
        ("c", "s", "5 * * * *"),
        ("d", "t", "5 * * * *"),
    ];
    let mut table = table(&all, now);
    let later = now + TimeDelta::minutes(6);
    let nobody_has = |taken: &'static str| move |group: &String| group != taken;
    assert_eq!(table.start_next(later, nobody_has("r")).as_deref(), Some("b"));
    assert_eq!(table.start_next(later, nobody_has("r")).as_deref(), Some("d"));
    assert_eq!(table.start_next(later, nobody_has("r")), None);
    table.postponed(&"b".to_owned());
    assert_eq!(table.start_next(later, nobody_has("s")).as_deref(), Some("a"));
    assert_eq!(table.start(later), ["b"]);
}

#[test]
fn what_was_missed_is_made_up_for_once() {
    let now = time(NOON);
    let all = [("a", "r", "@hourly")];
    let last = |at| {
        BTreeMap::from([(
            "a".to_owned(),
            Last {
                schedule: "@hourly UTC".to_owned(),
                at,
            },
        )])
    };
    let mut table = Table::default();
    table.load(
        entries(&all),
        &last(now - TimeDelta::days(9)),
        now + TimeDelta::minutes(30),
    );
    let now = now + TimeDelta::minutes(30);
    assert_eq!(table.start(now), ["a"]);
    table.finished(&"a".to_owned(), now);
    assert!(table.start(now).is_empty());
    assert_eq!(table.next(), Some(now + TimeDelta::minutes(30)));
}

#[test]
fn under_another_schedule_nothing_was_missed() {
    let now = time(NOON);
    let mut table = table(&[("a", "r", "0 0 1 * *")], now - TimeDelta::days(5));
    table.load(entries(&[("a", "r", "@hourly")]), &BTreeMap::new(), now);
    assert!(table.start(now).is_empty());
    let lasts = table.lasts();
    let mut after = Table::default();
    after.load(entries(&[("a", "r", "@daily")]), &lasts, now + TimeDelta::days(3));
    assert!(after.start(now + TimeDelta::days(3)).is_empty());
}

#[test]
fn a_run_that_takes_longer_than_its_schedule_is_not_run_again_for_it() {
    let now = time(NOON);
    let mut table = table(&[("a", "r", "*/10 * * * *")], now);
    let (key, begin) = ("a".to_owned(), now + TimeDelta::minutes(10));
    assert_eq!(table.start(begin), ["a"]);
    let end = begin + TimeDelta::minutes(35);
    assert!(table.start(end).is_empty());
    assert!(table.finished(&key, end));
    assert!(table.start(end).is_empty());
    assert_eq!(table.next(), Some(now + TimeDelta::minutes(50)));
}

#[test]
fn a_run_that_could_not_begin_is_due_still() {
    let now = time(NOON);
    let mut table = table(&[("a", "r", "@hourly")], now);
    let later = now + TimeDelta::hours(1);
    assert_eq!(table.start(later), ["a"]);
    table.postponed(&"a".to_owned());
    assert_eq!(table.lasts()["a"].at, now);
    assert_eq!(table.start(later + TimeDelta::minutes(1)), ["a"]);
}

#[test]
fn what_is_taken_out_while_it_runs_keeps_its_group_until_it_is_over() {
    let now = time(NOON);
    let mut table = table(&[("a", "r", "@hourly")], now);
    let later = now + TimeDelta::hours(1);
    assert_eq!(table.start(later), ["a"]);
    table.load(entries(&[("b", "r", "*/5 * * * *")]), &BTreeMap::new(), later);
    let later = later + TimeDelta::minutes(5);
    assert!(table.start(later).is_empty());
    assert!(!table.finished(&"a".to_owned(), later));
    assert_eq!(table.start(later), ["b"]);
}

#[test]
fn a_clock_that_is_set_right_runs_nothing_twice() {
    let now = time("2026-11-21T11:59:00Z");
    let mut table = table(&[("a", "r", "@hourly")], now);
    let noon = time(NOON);
    assert_eq!(table.start(noon), ["a"]);
    table.finished(&"a".to_owned(), noon);
    // Back by two minutes, and on again.
    assert!(table.start(noon - TimeDelta::minutes(2)).is_empty());
    assert!(table.start(noon).is_empty());
    assert_eq!(table.next(), Some(noon + TimeDelta::hours(1)));
}

#[test]
fn a_clock_that_was_wrong_by_years_delays_nothing_for_years() {
    let wrong = time("2099-01-01T00:00:00Z");
    let mut table = table(&[("a", "r", "@hourly")], wrong);
    assert_eq!(table.start(wrong + TimeDelta::hours(1)), ["a"]);
    table.finished(&"a".to_owned(), wrong + TimeDelta::hours(1));
    let now = time("2026-11-21T12:10:00Z");
    assert!(table.start(now).is_empty());
    assert_eq!(table.next(), Some(time("2026-11-21T13:00:00Z")));
    // And so it is after a restart.
    let lasts = BTreeMap::from([(
        "a".to_owned(),
        Last {
            schedule: "@hourly UTC".to_owned(),
            at: wrong,
        },
    )]);
    let mut again = Table::default();
    again.load(entries(&[("a", "r", "@hourly")]), &lasts, now);
    assert_eq!(again.next(), Some(time("2026-11-21T13:00:00Z")));
}

#[test]
fn fifty_policies_over_a_year_each_run_when_they_are_due() {
    let begin = time("2026-01-01T00:00:00Z");
    let mut end = begin;
    let zones = [
        Zone::UTC,
        zone("Europe/Berlin"),
        zone("America/New_York"),
        zone("Asia/Tokyo"),
    ];
    let all = (0..50_u32).map(|n| {
        let mut entry = entry(
            &format!("registry {}", n % 10),
            &format!("{} {} * * {}", n % 60, n % 24, n % 7),
        );
        entry.schedule.zone = zones[n as usize % zones.len()];
        entry.schedule.jitter = TimeDelta::minutes(5);
        (format!("policy {n}"), entry)
    });
    let mut table = Table::default();
    table.load(all, &BTreeMap::new(), begin);
    let mut runs: BTreeMap<String, u32> = BTreeMap::new();
    while let Some(now) = table.next().filter(|next| *next < begin + TimeDelta::days(364)) {
        for key in table.start(now) {
            table.finished(&key, now);
            *runs.entry(key).or_default() += 1;
        }
        end = now;
    }
    assert!(end > begin + TimeDelta::days(363));
    assert_eq!(runs.len(), 50);
    // Fifty-two weeks; of the last, jitter may hide the end.
    assert!(runs.values().all(|count| (51..=52).contains(count)), "{runs:?}");
}

/// What happens next.
#[derive(Debug, Clone)]
enum Event {
    Pass(i64),
    Back(i64),
    Finish,
    Postpone,
    Restart,
}

fn events() -> impl Strategy<Value = Vec<Event>> {
    let event = prop_oneof![
        6 => (1..200_i64).prop_map(Event::Pass),
        1 => (1..30_i64).prop_map(Event::Back),
        4 => Just(Event::Finish),
        1 => Just(Event::Postpone),
        1 => Just(Event::Restart),
    ];
    prop::collection::vec(event, 1..60)
}

/// Every minute that is a multiple of so many, in between; the one behind is among them.
fn passed(every: i64, after: Time, until: Time) -> bool {
    let minute = |time: Time| time.timestamp().div_euclid(60 * every);
    until > after && minute(until) > minute(after)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_happens_each_run_answers_to_a_time_that_passed_and_none_is_forgotten(events in events()) {
        let all = [("a", "r", "*/10 * * * *", 10), ("b", "r", "*/15 * * * *", 15), ("c", "s", "*/30 * * * *", 30)];
        let entries = || entries(&all.map(|(key, group, cron, _)| (key, group, cron)));
        let mut now = time("2026-11-21T12:01:00Z");
        let mut table = Table::default();
        table.load(entries(), &BTreeMap::new(), now);
        // Up to when everything is made up for, and what it was before the run in hand.
        let mut done: BTreeMap<&str, Time> = all.iter().map(|(key, ..)| (*key, now)).collect();
        let mut before = done.clone();
        let mut running: BTreeSet<&str> = BTreeSet::new();
        for event in events {
            match event {
                Event::Pass(minutes) => now += TimeDelta::minutes(minutes),
                Event::Back(minutes) => {
                    now -= TimeDelta::minutes(minutes);
                    // By more than an hour, the clock was wrong before, and says nothing.
                    for time in done.values_mut().chain(before.values_mut()) {
                        if *time > now + TimeDelta::hours(1) {
                            *time = now;
                        }
                    }
                }
                Event::Finish => if let Some(key) = running.pop_first() {
                    table.finished(&key.to_owned(), now);
                    done.insert(key, done[key].max(now));
                },
                Event::Postpone => if let Some(key) = running.pop_first() {
                    table.postponed(&key.to_owned());
                    done.insert(key, before[key]);
                },
                Event::Restart => {
                    let lasts = table.lasts();
                    table = Table::default();
                    table.load(entries(), &lasts, now);
                    running.clear();
                }
            }
            for started in table.start(now) {
                let (key, _, _, every) = *all.iter().find(|(key, ..)| *key == started).unwrap();
                prop_assert!(passed(every, done[key], now), "{key} is not due at {now}");
                prop_assert!(running.insert(key));
                before.insert(key, done[key]);
                done.insert(key, now);
            }
            // Of each group one, and nothing waits but for its group.
            prop_assert!(!(running.contains("a") && running.contains("b")));
            for (key, group, _, every) in all {
                let busy = all.iter().any(|(other, of, ..)| *of == group && running.contains(other));
                prop_assert!(busy || !passed(every, done[key], now), "{key} is forgotten at {now}");
            }
        }
    }
}
