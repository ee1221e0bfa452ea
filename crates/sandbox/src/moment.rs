//! Points in time of the content: whole seconds, no clock anywhere.

use std::fmt;
use std::ops::{Add, Sub};
use std::str::FromStr;

/// Seconds since 1970-01-01T00:00:00Z; written as RFC 3339 in UTC.
///
/// A type of its own because the sandbox never asks what time it is: every time in it is
/// reckoned from an anchor that the caller gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Moment(i64);

const DAY: i64 = 86_400;

impl Moment {
    /// What reproducible builds write: 1970-01-01T00:00:00Z.
    pub const EPOCH: Self = Self(0);
    /// What cosign writes into a signature's configuration: 0001-01-01T00:00:00Z.
    pub const YEAR_ONE: Self = Self(-62_135_596_800);

    /// From seconds since 1970.
    #[must_use]
    pub const fn from_unix(seconds: i64) -> Self {
        Self(seconds)
    }

    /// Midnight UTC of a day of the Gregorian calendar; `month` and `day` count from 1.
    #[must_use]
    pub const fn date(year: i64, month: i64, day: i64) -> Self {
        // Days in years that begin in March, so that the leap day is the last of its year.
        let year = if month <= 2 { year - 1 } else { year };
        let era = year.div_euclid(400);
        let year_of_era = year.rem_euclid(400);
        let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
        let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
        Self((era * 146_097 + day_of_era - 719_468) * DAY)
    }

    /// Seconds since 1970.
    #[must_use]
    pub const fn unix(self) -> i64 {
        self.0
    }

    /// This moment, `days` later (earlier where negative).
    #[must_use]
    pub const fn plus_days(self, days: i64) -> Self {
        Self(self.0 + days * DAY)
    }

    /// Year, month and day, both counted from 1.
    #[must_use]
    pub const fn calendar(self) -> (i64, i64, i64) {
        let days = self.0.div_euclid(DAY) + 719_468;
        let era = days.div_euclid(146_097);
        let day_of_era = days.rem_euclid(146_097);
        let year_of_era =
            (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let shifted = (5 * day_of_year + 2) / 153;
        let day = day_of_year - (153 * shifted + 2) / 5 + 1;
        let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
        let year = era * 400 + year_of_era + if month <= 2 { 1 } else { 0 };
        (year, month, day)
    }

    /// `20260131`, as nightly builds are named.
    #[must_use]
    pub fn compact_date(self) -> String {
        let (year, month, day) = self.calendar();
        format!("{year:04}{month:02}{day:02}")
    }
}

impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (year, month, day) = self.calendar();
        let second = self.0.rem_euclid(DAY);
        write!(
            f,
            "{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}Z",
            second / 3_600,
            second / 60 % 60,
            second % 60
        )
    }
}

/// Text that is not a date and time of RFC 3339 in UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("read a moment: expected YYYY-MM-DDThh:mm:ssZ")]
pub struct InvalidMoment;

impl FromStr for Moment {
    type Err = InvalidMoment;

    /// Reads what [`Moment`] writes; fractions of a second are dropped.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let number = |range: std::ops::Range<usize>| {
            let digits = text
                .get(range)
                .filter(|digits| digits.bytes().all(|byte| byte.is_ascii_digit()));
            digits
                .and_then(|digits| digits.parse::<i64>().ok())
                .ok_or(InvalidMoment)
        };
        let separators: Vec<u8> = [4, 7, 10, 13, 16]
            .into_iter()
            .filter_map(|at| text.as_bytes().get(at).copied())
            .collect();
        let end = text
            .get(19..)
            .and_then(|rest| rest.strip_suffix('Z'))
            .ok_or(InvalidMoment)?;
        let fraction = end.strip_prefix('.').unwrap_or(end);
        if separators != b"--T::" || !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(InvalidMoment);
        }
        let (year, month, day) = (number(0..4)?, number(5..7)?, number(8..10)?);
        let (hour, minute, second) = (number(11..13)?, number(14..16)?, number(17..19)?);
        let date = Self::date(year, month, day);
        if date.calendar() != (year, month, day) || hour > 23 || minute > 59 || second > 60 {
            return Err(InvalidMoment);
        }
        Ok(date + (hour * 3_600 + minute * 60 + second))
    }
}

impl Add<i64> for Moment {
    type Output = Self;

    fn add(self, seconds: i64) -> Self {
        Self(self.0 + seconds)
    }
}

impl Sub<i64> for Moment {
    type Output = Self;

    fn sub(self, seconds: i64) -> Self {
        Self(self.0 - seconds)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn known_dates_are_written_as_rfc_3339() {
        for (moment, text) in [
            (Moment::EPOCH, "1970-01-01T00:00:00Z"),
            (Moment::YEAR_ONE, "0001-01-01T00:00:00Z"),
            (Moment::from_unix(951_782_400), "2000-02-29T00:00:00Z"),
            (Moment::from_unix(1_782_864_000 + 3_661), "2026-07-01T01:01:01Z"),
        ] {
            assert_eq!(moment.to_string(), text);
        }
        assert_eq!(Moment::date(2026, 7, 1), Moment::from_unix(1_782_864_000));
    }

    #[test]
    fn only_a_date_that_exists_is_read() {
        assert_eq!(
            "2026-11-01T00:00:00.123456789Z".parse(),
            Ok(Moment::date(2026, 11, 1))
        );
        for text in [
            "",
            "2026-11-01",
            "2026-02-30T00:00:00Z",
            "2026-11-01T24:00:00Z",
            "2026-11-01T00:00:00",
            "ä",
        ] {
            assert_eq!(text.parse::<Moment>(), Err(InvalidMoment), "{text}");
        }
    }

    proptest! {
        #[test]
        fn a_day_has_one_calendar_date(day in -700_000_i64..700_000) {
            let moment = Moment::EPOCH.plus_days(day);
            let (year, month, day) = moment.calendar();
            prop_assert_eq!(Moment::date(year, month, day), moment);
            prop_assert_eq!((moment + 3_661).to_string().parse(), Ok(moment + 3_661));
        }
    }
}
