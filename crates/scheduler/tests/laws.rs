//! Schedules against an oracle that knows nothing of them: it walks through the minutes, looks at the clock on the
//! wall, and remembers what it has shown.

#![expect(clippy::unwrap_used, reason = "a test fails where it cannot go on")]

use std::collections::BTreeSet;

use chrono::{Datelike as _, NaiveDateTime, TimeDelta, Timelike as _};
use lagan_scheduler::{Schedule, Time, Zone};
use proptest::prelude::*;

/// A field as text, and the values that it means.
#[derive(Debug, Clone)]
struct Field {
    text: String,
    values: BTreeSet<u32>,
}

fn field(least: u32, most: u32) -> impl Strategy<Value = Field> {
    let all = move || least..=most;
    let star = Just(Field {
        text: "*".to_owned(),
        values: all().collect(),
    });
    let steps = (1..=most - least).prop_map(move |step| Field {
        text: format!("*/{step}"),
        values: all().step_by(step as usize).collect(),
    });
    let range = (least..=most, least..=most, 1..=5_u32).prop_map(|(one, other, step)| {
        let (from, to) = (one.min(other), one.max(other));
        Field {
            text: format!("{from}-{to}/{step}"),
            values: (from..=to).step_by(step as usize).collect(),
        }
    });
    let list = prop::collection::btree_set(least..=most, 1..4).prop_map(|values| Field {
        text: values.iter().map(u32::to_string).collect::<Vec<_>>().join(","),
        values,
    });
    prop_oneof![3 => star, 1 => steps, 1 => range, 3 => list]
}

#[derive(Debug, Clone)]
struct Expression {
    minute: Field,
    hour: Field,
    day: Field,
    month: Field,
    week: Field,
}

impl Expression {
    fn text(&self) -> String {
        [&self.minute, &self.hour, &self.day, &self.month, &self.week]
            .map(|field| field.text.as_str())
            .join(" ")
    }

    /// Whether the day of a time is meant.
    fn names(&self, wall: NaiveDateTime) -> bool {
        let day = self.day.values.contains(&wall.day());
        let week = self
            .week
            .values
            .iter()
            .any(|value| value % 7 == wall.weekday().num_days_from_sunday());
        let free = |field: &Field| field.text.starts_with('*');
        let date = if free(&self.day) || free(&self.week) {
            day && week
        } else {
            day || week
        };
        date && self.month.values.contains(&wall.month())
    }

    fn means(&self, wall: NaiveDateTime) -> bool {
        self.names(wall)
            && self.hour.values.contains(&wall.hour())
            && self.minute.values.contains(&wall.minute())
    }

    /// When it is due between two times, by walking from the one to the other.
    fn due(&self, zone: Zone, from: Time, to: Time) -> Vec<Time> {
        let every_hour = self.hour.values.len() == 24;
        let mut due = Vec::new();
        // What clocks showed the day before, so that they are seen to be set.
        let mut at = from - TimeDelta::days(1);
        let mut latest = zone.wall(at);
        while at < to {
            at += TimeDelta::minutes(1);
            let wall = zone.wall(at);
            let fires = if every_hour {
                self.means(wall)
            } else {
                // Everything that was not shown before, what was jumped over among it.
                let mut shown = latest;
                let mut fires = false;
                while shown < wall {
                    shown += TimeDelta::minutes(1);
                    fires |= self.means(shown);
                }
                fires
            };
            latest = latest.max(wall);
            if fires && at > from && at <= to {
                due.push(at);
            }
        }
        due
    }
}

fn expression() -> impl Strategy<Value = Expression> {
    (
        field(0, 59),
        field(0, 23),
        field(1, 31),
        field(1, 12),
        field(0, 7),
    )
        .prop_map(|(minute, hour, day, month, week)| Expression {
            minute,
            hour,
            day,
            month,
            week,
        })
}

/// Zones, each with days around which their clocks are set.
const ZONES: [(&str, &[&str]); 9] = [
    ("UTC", &["2027-03-28"]),
    ("Europe/Berlin", &["2027-03-28", "2027-10-31"]),
    ("America/New_York", &["2027-03-14", "2027-11-07"]),
    ("America/St_Johns", &["2027-03-14", "2027-11-07"]),
    ("Australia/Lord_Howe", &["2027-04-04", "2027-10-03"]),
    // By two hours.
    ("Antarctica/Troll", &["2027-03-28", "2027-10-31"]),
    // At midnight, so that a day begins at one o'clock.
    ("Africa/Cairo", &["2027-04-30", "2027-10-29"]),
    ("Asia/Beirut", &["2027-03-28", "2027-10-31"]),
    // A day that never was.
    ("Pacific/Apia", &["2011-12-30"]),
];

fn place() -> impl Strategy<Value = (Zone, Time)> {
    (
        0..ZONES.len(),
        any::<prop::sample::Index>(),
        -2 * 1_440..1_440_i64,
    )
        .prop_map(|(zone, day, minutes)| {
            let (zone, days) = ZONES[zone];
            let midnight: Time = format!("{}T00:00:00Z", days[day.index(days.len())])
                .parse()
                .unwrap();
            (zone.parse().unwrap(), midnight + TimeDelta::minutes(minutes))
        })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_schedule_is_due_when_somebody_who_watches_the_clock_says_so(
        expression in expression(),
        (zone, from) in place(),
    ) {
        let Ok(cron) = expression.text().parse() else {
            // Only an expression without any day is refused.
            let first: NaiveDateTime = "2000-01-01T00:00:00".parse().unwrap();
            prop_assert!((0..28 * 366).all(|days| !expression.names(first + TimeDelta::days(days))));
            return Ok(());
        };
        let schedule = Schedule { cron, zone, jitter: TimeDelta::zero() };
        let to = from + TimeDelta::days(3);
        let mut found = Vec::new();
        let mut at = from;
        while let Some(next) = schedule.after(at).filter(|next| *next <= to) {
            prop_assert!(next > at);
            found.push(next);
            at = next;
        }
        prop_assert_eq!(found, expression.due(zone, from, to), "{} in {}", expression.text(), zone);
    }

    #[test]
    fn asking_from_between_two_times_finds_the_later_one(
        expression in expression(),
        (zone, from) in place(),
        part in 0.0..1.0_f64,
    ) {
        let Ok(cron) = expression.text().parse() else { return Ok(()) };
        let schedule = Schedule { cron, zone, jitter: TimeDelta::zero() };
        let Some(next) = schedule.after(from) else { return Ok(()) };
        #[expect(clippy::cast_possible_truncation, reason = "a part of a length of time")]
        let ahead = TimeDelta::milliseconds(((next - from).num_milliseconds() as f64 * part) as i64);
        prop_assert_eq!(schedule.after(from + ahead), Some(next));
    }
}
