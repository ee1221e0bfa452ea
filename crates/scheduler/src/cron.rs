//! Cron expressions, as wall clocks read them: no time zone yet.

use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, Datelike as _, Days, NaiveDate, NaiveDateTime, Timelike as _, Utc};
use croner::parser::{CronParser, Seconds, Year};
use thiserror::Error;

use crate::grammar;

/// Every combination of leap years and first days of a year comes up within so many days from [`FROM`].
const DAYS: u64 = 28 * 366;

/// A year from which on 28 years have no exception to the rule of leap years.
const FROM: (i32, u32, u32) = (2000, 1, 1);

/// An expression of five fields (minute, hour, day of month, month, day of week), of six (a second before them), or a
/// name (`@hourly`, `@daily`, `@weekly`, `@monthly`, `@yearly`).
///
/// A day is meant if day of month *or* day of week says so, where both are restricted; a field that begins with `*`
/// restricts nothing, and then both have to hold, as cron has it.
#[derive(Debug, Clone)]
pub struct Cron {
    text: String,
    cron: croner::Cron,
    /// Whether every hour is meant.
    hourly: bool,
}

/// Why a text is no expression.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum CronError {
    /// It has neither five nor six fields.
    #[error("a cron expression has 5 fields, or 6 with the second first, and not {0}")]
    Fields(usize),
    /// It begins with `@`, and goes on unknown.
    #[error("{0:?} is none of @hourly, @daily, @weekly, @monthly, @yearly")]
    Name(String),
    /// One item of a field cannot be read.
    #[error("{item:?} in the field {field:?}: {why}")]
    Field {
        /// The field.
        field: &'static str,
        /// What stands there.
        item: String,
        /// What is wrong with it.
        why: String,
    },
    /// No day is ever like that.
    #[error("it never fires: no month that it names has such a day")]
    Never,
    /// The library that expands it refuses it, although its form is right.
    #[error("it cannot be read: {0}")]
    Unreadable(String),
}

impl Cron {
    /// Whether it means every hour of a day: such a schedule counts hours as they pass and not as clocks show them.
    pub(crate) fn is_hourly(&self) -> bool {
        self.hourly
    }

    /// The first wall-clock time after another that it means, to the second.
    pub(crate) fn after(&self, wall: NaiveDateTime) -> Option<NaiveDateTime> {
        // The library looks in whatever zone it is given; without a zone, its answer is of the wall clock alone.
        let from = wall.with_nanosecond(0)?.and_utc();
        let next: DateTime<Utc> = self.cron.find_next_occurrence(&from, false).ok()?;
        // Whatever it answers, time goes on.
        (next > from).then(|| next.naive_utc())
    }

    fn fires(&self) -> bool {
        let (year, month, day) = FROM;
        let first = NaiveDate::from_ymd_opt(year, month, day);
        let mut days = (0..DAYS).filter_map(|days| first?.checked_add_days(Days::new(days)));
        days.any(|date| {
            let pattern = &self.cron.pattern;
            pattern.month_match(date.month()).unwrap_or(false)
                && pattern
                    .day_match(date.year(), date.month(), date.day())
                    .unwrap_or(false)
        })
    }
}

impl FromStr for Cron {
    type Err = CronError;

    fn from_str(text: &str) -> Result<Self, CronError> {
        let fields = grammar::fields(text)?;
        let restricts = |field: &String| !field.starts_with('*');
        let either = restricts(&fields[3]) && restricts(&fields[5]);
        let parser = CronParser::builder()
            .seconds(Seconds::Required)
            .year(Year::Disallowed)
            .dom_and_dow(!either)
            .build();
        let cron = parser
            .parse(&fields.join(" "))
            .map_err(|error| CronError::Unreadable(error.to_string()))?;
        let hourly = (0..24).all(|hour| cron.pattern.hour_match(hour).unwrap_or(false));
        let cron = Self {
            text: text.trim().to_owned(),
            cron,
            hourly,
        };
        if cron.fires() {
            Ok(cron)
        } else {
            Err(CronError::Never)
        }
    }
}

impl PartialEq for Cron {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for Cron {}

impl fmt::Display for Cron {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}
