//! What clocks show, held against another library with data of its own.

#![expect(clippy::unwrap_used, reason = "a test fails where it cannot go on")]

use std::collections::BTreeSet;

use chrono::{DateTime, MappedLocalTime, NaiveDateTime, TimeDelta, TimeZone as _, Utc};
use chrono_tz::Tz;
use lagan_zone::Zone;
use proptest::prelude::*;

/// From the one until the other both databases agree. What was decided later, the other library does not know yet.
const AGREED: [&str; 2] = ["1980-01-01T00:00:00Z", "2025-01-01T00:00:00Z"];

/// Of which the past was corrected since the other library's data was made.
const CORRECTED: [&str; 3] = ["America/Bogota", "Europe/Chisinau", "Europe/Tiraspol"];

fn time(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

/// The zones that both have.
fn both() -> Vec<(Zone, Tz)> {
    let names = Zone::names().filter(|name| !CORRECTED.contains(name));
    names
        .map(|name| (name.parse().unwrap(), name.parse().unwrap()))
        .collect()
}

#[test]
fn every_zone_is_found_by_its_name_and_is_not_utc_in_disguise() {
    let names: Vec<_> = Zone::names().collect();
    assert!(names.len() > 500, "{}", names.len());
    let unlike: BTreeSet<_> = names
        .iter()
        .filter(|name| {
            let zone: Zone = name.parse().unwrap();
            assert_eq!(zone.name(), **name);
            let shown = |at| zone.wall(time(at)) != time(at).naive_utc();
            [
                "1900-01-01T00:00:00Z",
                "2026-01-01T00:00:00Z",
                "2026-07-01T00:00:00Z",
            ]
            .into_iter()
            .any(shown)
        })
        .collect();
    // UTC and its aliases show what UTC shows, and so does Greenwich by its abbreviation.
    assert!(
        unlike.len() > names.len() - 25,
        "{} of {}",
        unlike.len(),
        names.len()
    );
}

#[test]
fn names_that_were_known_before_are_known_still() {
    let missing: Vec<_> = chrono_tz::TZ_VARIANTS
        .iter()
        .map(|zone| zone.name())
        .filter(|name| name.parse::<Zone>().is_err())
        .collect();
    assert_eq!(missing, Vec::<&str>::new());
}

#[test]
fn a_name_is_read_as_it_is_written() {
    for wrong in [
        "",
        "utc",
        "europe/berlin",
        "Europe/Berlin ",
        "Mars/Olympus",
        "CEST",
    ] {
        assert_eq!(
            wrong.parse::<Zone>().unwrap_err().to_string(),
            format!("{wrong:?} is no time zone of the IANA database")
        );
    }
}

#[test]
fn utc_is_utc_and_the_default() {
    assert_eq!("UTC".parse(), Ok(Zone::UTC));
    assert_eq!(Zone::default(), Zone::UTC);
    let now = time("2026-11-22T12:00:00.5Z");
    assert_eq!(Zone::UTC.wall(now), now.naive_utc());
    assert_eq!(Zone::UTC.instants(now.naive_utc()), MappedLocalTime::Single(now));
}

#[test]
fn clocks_that_are_not_set_back_any_more_are_not() {
    // Decided in 2026.
    for (name, winter) in [
        ("America/Vancouver", -7),
        ("America/Edmonton", -6),
        ("America/Winnipeg", -5),
    ] {
        let zone: Zone = name.parse().unwrap();
        let at = time("2026-12-01T12:00:00Z");
        assert_eq!(zone.wall(at) - at.naive_utc(), TimeDelta::hours(winter), "{name}");
    }
}

#[test]
fn times_beyond_all_rules_are_no_panic() {
    let zone: Zone = "America/New_York".parse().unwrap();
    for at in [DateTime::<Utc>::MIN_UTC, DateTime::<Utc>::MAX_UTC] {
        let wall = zone.wall(at);
        assert!((wall - at.naive_utc()).abs() <= TimeDelta::hours(5));
        let _ = zone.instants(wall);
        let _ = zone.instants(at.naive_utc());
    }
    let far: NaiveDateTime = "9999-12-31T23:59:59".parse().unwrap();
    assert_eq!(
        zone.instants(far),
        MappedLocalTime::Single((far + TimeDelta::hours(5)).and_utc())
    );
    let summer = time("9000-07-01T12:00:00Z");
    assert_eq!(zone.wall(summer), summer.naive_utc() - TimeDelta::hours(4));
}

/// A zone, and a time around one of the changes of its clocks, or anywhere.
fn place() -> impl Strategy<Value = (Zone, Tz, DateTime<Utc>)> {
    let zones = both();
    let [begin, end] = AGREED.map(|day| time(day).timestamp());
    (
        0..zones.len(),
        begin..end - 7_200,
        any::<bool>(),
        -7_200..7_200_i64,
        0..1_000_u32,
    )
        .prop_map(move |(zone, second, change, beside, millis)| {
            let (zone, oracle) = zones[zone];
            let second = match change {
                true => next_change(oracle, second, end) + beside,
                false => second,
            };
            let at = DateTime::from_timestamp(second, millis * 1_000_000).unwrap();
            (zone, oracle, at)
        })
}

/// The first second at which clocks of the oracle are set after one, to the day at least; the end where they are not.
fn next_change(zone: Tz, second: i64, end: i64) -> i64 {
    const DAY: i64 = 86_400;
    let offset = |second: i64| {
        let at = DateTime::from_timestamp(second, 0).unwrap();
        at.with_timezone(&zone).naive_local() - at.naive_utc()
    };
    let days = (second..end.min(second + 400 * DAY)).step_by(86_400);
    let Some(day) = days.into_iter().find(|day| offset(*day) != offset(day + DAY)) else {
        return second;
    };
    let (mut before, mut after) = (day, day + DAY);
    while after - before > 1 {
        let between = i64::midpoint(before, after);
        match offset(between) == offset(before) {
            true => before = between,
            false => after = between,
        }
    }
    after
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 20_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn clocks_show_what_another_library_says_that_they_show((zone, oracle, at) in place()) {
        let wall = zone.wall(at);
        prop_assert_eq!(wall, at.with_timezone(&oracle).naive_local(), "{} at {}", zone, at);
        let said = oracle.from_local_datetime(&wall).map(|instant| instant.to_utc());
        prop_assert_eq!(zone.instants(wall), said, "{} shows {}", zone, wall);
        // What clocks never show is what they jump over.
        let said = oracle.from_local_datetime(&at.naive_utc()).map(|instant| instant.to_utc());
        prop_assert_eq!(zone.instants(at.naive_utc()), said, "{} shows {}", zone, at.naive_utc());
    }

    #[test]
    fn what_clocks_show_at_an_instant_is_shown_at_that_instant((zone, _, at) in place(), years in 0..80_i64) {
        let at = at + TimeDelta::days(years * 365);
        let shown = match zone.instants(zone.wall(at)) {
            MappedLocalTime::Single(only) => [only, only],
            MappedLocalTime::Ambiguous(first, second) => {
                prop_assert!(first < second);
                [first, second]
            }
            MappedLocalTime::None => return Err(TestCaseError::fail("it is shown at no instant")),
        };
        prop_assert!(shown.contains(&at), "{} is shown by {} at {:?}", at, zone, shown);
    }
}
