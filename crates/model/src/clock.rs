//! Points in time as facts that may be unknown.

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

/// A point in time, in UTC.
pub type Time = DateTime<Utc>;

/// How far beyond `now` a time may lie before it is taken for nonsense: registries and builders have clocks of
/// their own.
pub const FUTURE_TOLERANCE: TimeDelta = TimeDelta::days(1);

/// Why a fact is not known. Whatever is unknown is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Unknown {
    /// Where it should stand there is nothing.
    Missing,
    /// Year 1 or 1970: what reproducible builds and empty fields say.
    Zero,
    /// More than a day ahead of now.
    Future,
    /// What stands there is no time.
    Unreadable,
    /// This registry does not record it.
    NotRecorded,
    /// It was there when its repository was listed for the first time, and may be of any age.
    FirstListing,
}

impl Unknown {
    /// The reason as a fragment of a sentence.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::Zero => "zero or 1970",
            Self::Future => "in the future",
            Self::Unreadable => "not readable",
            Self::NotRecorded => "not recorded by this registry",
            Self::FirstListing => "there since its repository was first listed",
        }
    }
}

/// Something that is known, or the reason why it is not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fact<T> {
    /// Known.
    Known(T),
    /// Not known, and why.
    Unknown(Unknown),
}

impl<T> Fact<T> {
    /// The value, where it is known.
    #[must_use]
    pub fn known(self) -> Option<T> {
        match self {
            Self::Known(value) => Some(value),
            Self::Unknown(_) => None,
        }
    }
}

impl Fact<Time> {
    /// Reads a time as RFC 3339.
    #[must_use]
    pub fn from_rfc3339(text: &str) -> Self {
        if text.is_empty() {
            return Self::Unknown(Unknown::Missing);
        }
        match DateTime::parse_from_rfc3339(text) {
            Ok(time) => Self::Known(time.with_timezone(&Utc)),
            Err(_) => Self::Unknown(Unknown::Unreadable),
        }
    }

    /// The same fact with zero, 1970 and future values turned into unknown ones.
    #[must_use]
    pub fn plausible(self, now: Time) -> Self {
        match self {
            // Two days, so that the epoch in any time zone is still the epoch.
            Self::Known(time) if time.timestamp() < 2 * 86_400 => Self::Unknown(Unknown::Zero),
            Self::Known(time) if time.signed_duration_since(now) > FUTURE_TOLERANCE => {
                Self::Unknown(Unknown::Future)
            }
            other => other,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fact(text: &str) -> Fact<Time> {
        let now = "2026-11-20T12:00:00Z".parse().unwrap();
        Fact::from_rfc3339(text).plausible(now)
    }

    #[test]
    fn zero_1970_future_missing_and_nonsense_are_unknown() {
        for (text, why) in [
            ("0001-01-01T00:00:00Z", Unknown::Zero),
            ("1970-01-01T00:00:00Z", Unknown::Zero),
            ("1970-01-01T00:00:01+14:00", Unknown::Zero),
            ("2026-11-21T12:00:01Z", Unknown::Future),
            ("9999-12-31T23:59:59Z", Unknown::Future),
            ("", Unknown::Missing),
            ("yesterday", Unknown::Unreadable),
        ] {
            assert_eq!(fact(text), Fact::Unknown(why), "{text}");
        }
    }

    #[test]
    fn a_day_of_clock_skew_is_still_a_time() {
        assert!(fact("2026-11-21T12:00:00Z").known().is_some());
        assert!(fact("2020-01-01T00:00:00.123456789+02:00").known().is_some());
    }
}
