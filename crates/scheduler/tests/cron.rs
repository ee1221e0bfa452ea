//! What an expression may look like, and what it means.

#![expect(clippy::unwrap_used, reason = "a test fails where it cannot go on")]

use chrono::TimeDelta;
use lagan_scheduler::{Cron, CronError, Freeze, Schedule, Time, Zone};

fn schedule(cron: &str, zone: Zone) -> Schedule {
    Schedule {
        cron: cron.parse().unwrap(),
        zone,
        jitter: TimeDelta::zero(),
    }
}

fn zone(name: &str) -> Zone {
    name.parse().unwrap()
}

fn time(text: &str) -> Time {
    text.parse().unwrap()
}

/// The next times of a schedule after one.
fn next(cron: &str, zone: Zone, from: &str, count: usize) -> Vec<String> {
    let schedule = schedule(cron, zone);
    let mut at = time(from);
    let mut times = Vec::new();
    for _ in 0..count {
        at = schedule.after(at).unwrap();
        times.push(at.format("%Y-%m-%dT%H:%M:%SZ").to_string());
    }
    times
}

#[test]
fn names_and_fields_mean_what_cron_has_them_mean() {
    for (cron, expected) in [
        ("@hourly", "2026-11-21T13:00:00Z"),
        ("@daily", "2026-11-22T00:00:00Z"),
        ("@weekly", "2026-11-22T00:00:00Z"),
        ("@monthly", "2026-12-01T00:00:00Z"),
        ("@yearly", "2027-01-01T00:00:00Z"),
        ("30 3 * * *", "2026-11-22T03:30:00Z"),
        ("15 30 12 * * *", "2026-11-21T12:30:15Z"),
        ("0 0 * * 7", "2026-11-22T00:00:00Z"),
        ("0 0 * * sat-sun", "2026-11-22T00:00:00Z"),
        ("0 0 * * sun-sun", "2026-11-22T00:00:00Z"),
        ("0 0 * * mon-fri", "2026-11-23T00:00:00Z"),
        ("0 0 29 2 *", "2028-02-29T00:00:00Z"),
        ("0 0 * jan,mar-may/2 *", "2027-01-01T00:00:00Z"),
        // The 13th or a Friday, whichever is first.
        ("0 0 13 * fri", "2026-11-27T00:00:00Z"),
        // Every second day, if it is a Monday.
        ("0 0 */2 * mon", "2026-11-23T00:00:00Z"),
        ("*/20 10-12/2 * * *", "2026-11-21T12:20:00Z"),
    ] {
        let found = next(cron, Zone::UTC, "2026-11-21T12:00:00Z", 1);
        assert_eq!(found, [expected], "{cron}");
    }
}

#[test]
fn what_cron_does_not_have_is_refused() {
    for (cron, why) in [
        ("", "5 fields"),
        ("* * * *", "not 4"),
        ("0 0 0 1 1 * 2027", "not 7"),
        ("@fortnightly", "@fortnightly"),
        ("60 * * * *", "0 to 59"),
        ("* 24 * * *", "0 to 23"),
        ("* * 0 * *", "1 to 31"),
        ("* * * 13 *", "1 to 12"),
        ("* * * * 8", "0 to 7"),
        ("* * L * *", "1 to 31"),
        ("* * 15W * *", "1 to 31"),
        ("* * * * +1", "0 to 7"),
        ("* * * * MONTUE", "0 to 7"),
        ("* * ? * *", "1 to 31"),
        ("*/0 * * * *", "step"),
        ("5/10 * * * *", "a step needs a range"),
        ("30-10 * * * *", "ends before"),
        ("1,,2 * * * *", "0 to 59"),
        ("-1 * * * *", "0 to 59"),
        ("٣ * * * *", "0 to 59"),
        ("0 0 30 2 *", "never fires"),
        ("0 0 31 4,6,9,11 *", "never fires"),
    ] {
        let error: CronError = cron.parse::<Cron>().unwrap_err();
        assert!(error.to_string().contains(why), "{cron}: {error}");
    }
}

#[test]
fn a_day_that_only_leap_years_have_is_not_never() {
    let schedule = schedule("0 0 29 2 *", Zone::UTC);
    let next = schedule.after(time("2096-03-01T00:00:00Z")).unwrap();
    assert_eq!(next, time("2104-02-29T00:00:00Z"));
}

#[test]
fn a_time_that_clocks_leave_out_is_made_up_for_and_one_that_comes_twice_counts_once() {
    // Berlin: 2027-03-28 from 2:00 to 3:00, 2027-10-31 from 3:00 back to 2:00.
    assert_eq!(
        next("30 2 * * *", zone("Europe/Berlin"), "2027-03-27T12:00:00Z", 2),
        ["2027-03-28T01:00:00Z", "2027-03-29T00:30:00Z"]
    );
    assert_eq!(
        next("*/15 2 * * *", zone("Europe/Berlin"), "2027-03-27T12:00:00Z", 2),
        ["2027-03-28T01:00:00Z", "2027-03-29T00:00:00Z"]
    );
    assert_eq!(
        next("30 2 * * *", zone("Europe/Berlin"), "2027-10-30T12:00:00Z", 2),
        ["2027-10-31T00:30:00Z", "2027-11-01T01:30:00Z"]
    );
}

#[test]
fn every_hour_is_every_hour_that_passes() {
    assert_eq!(
        next("30 * * * *", zone("Europe/Berlin"), "2027-03-28T00:00:00Z", 3),
        [
            "2027-03-28T00:30:00Z",
            "2027-03-28T01:30:00Z",
            "2027-03-28T02:30:00Z"
        ]
    );
    assert_eq!(
        next("30 * * * *", zone("Europe/Berlin"), "2027-10-30T23:45:00Z", 3),
        [
            "2027-10-31T00:30:00Z",
            "2027-10-31T01:30:00Z",
            "2027-10-31T02:30:00Z"
        ]
    );
    // Lord Howe Island sets its clocks by half an hour.
    assert_eq!(
        next(
            "45 * * * *",
            zone("Australia/Lord_Howe"),
            "2027-04-03T14:00:00Z",
            3
        ),
        [
            "2027-04-03T14:45:00Z",
            "2027-04-03T15:15:00Z",
            "2027-04-03T16:15:00Z"
        ]
    );
}

#[test]
fn jitter_is_within_its_bound_the_same_each_time_and_not_the_same_for_all() {
    let mut schedule = schedule("@daily", Zone::UTC);
    schedule.jitter = TimeDelta::minutes(5);
    let due = time("2026-11-22T00:00:00Z");
    let delays: Vec<_> = (0..200)
        .map(|n| schedule.delay(&format!("policy {n}"), due))
        .collect();
    assert!(
        delays
            .iter()
            .all(|delay| (TimeDelta::zero()..=schedule.jitter).contains(delay))
    );
    let again: Vec<_> = (0..200)
        .map(|n| schedule.delay(&format!("policy {n}"), due))
        .collect();
    assert_eq!(delays, again);
    let mut different = delays;
    different.sort();
    different.dedup();
    assert!(different.len() > 100, "{} of 200", different.len());
}

#[test]
fn a_freeze_of_days_holds_from_midnight_to_midnight_of_its_zone() {
    let from = "2026-12-20T00:00:00".parse().unwrap();
    let until = "2027-01-04T00:00:00".parse().unwrap();
    let freeze = Freeze::once(from, until, zone("Europe/Berlin")).unwrap();
    let end = time("2027-01-03T23:00:00Z");
    for (now, expected) in [
        ("2026-12-19T22:59:59Z", None),
        ("2026-12-19T23:00:00Z", Some(end)),
        ("2027-01-03T22:59:59Z", Some(end)),
        ("2027-01-03T23:00:00Z", None),
    ] {
        assert_eq!(freeze.until(time(now)), expected, "{now}");
    }
    assert!(Freeze::once(until, from, Zone::UTC).is_err());
}

#[test]
fn a_freeze_that_comes_again_holds_so_long_from_each_start() {
    let freeze = Freeze::again(schedule("0 18 * * fri", Zone::UTC), TimeDelta::hours(62)).unwrap();
    let end = time("2026-11-23T08:00:00Z");
    for (now, expected) in [
        ("2026-11-20T17:59:59Z", None),
        ("2026-11-20T18:00:00Z", Some(end)),
        ("2026-11-22T12:00:00Z", Some(end)),
        ("2026-11-23T07:59:59Z", Some(end)),
        ("2026-11-23T08:00:00Z", None),
    ] {
        assert_eq!(freeze.until(time(now)), expected, "{now}");
    }
    // Windows that meet are one.
    let daily = Freeze::again(schedule("0 0 * * mon,tue", Zone::UTC), TimeDelta::hours(24)).unwrap();
    assert_eq!(
        daily.until(time("2026-11-23T05:00:00Z")),
        Some(time("2026-11-25T00:00:00Z"))
    );
    assert!(Freeze::again(schedule("@daily", Zone::UTC), TimeDelta::zero()).is_err());
}
