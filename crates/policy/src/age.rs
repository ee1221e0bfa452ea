//! Lengths of time as policies write them.

use std::fmt;
use std::str::FromStr;

use chrono::TimeDelta;
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// Why a length of time was refused.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum AgeError {
    /// `m` could be minutes or months.
    #[error("`m` is ambiguous: write `min` for minutes, or days for months")]
    Ambiguous,
    /// No known unit.
    #[error("{0:?} is no unit of time")]
    Unit(String),
    /// No number before a unit, or something else than number and unit.
    #[error("a length of time reads `30d`, `12h`, `2w`, `90min` or `45s`, or several of them as in `1d12h`")]
    Shape,
    /// More than a thousand years.
    #[error("a length of time is at most 1000 years")]
    TooLong,
}

/// A length of time: whole seconds, more than none, at most a thousand years.
///
/// Written as numbers with a unit each: `s`, `min`, `h`, `d` (24 hours), `w` (7 days). `m` is refused as
/// ambiguous. The text is kept as it was written, for reasons and reports.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Age {
    seconds: i64,
    text: String,
}

const THOUSAND_YEARS: i64 = 1000 * 366 * 86_400;

impl Age {
    /// As a difference of times.
    #[must_use]
    pub fn delta(&self) -> TimeDelta {
        TimeDelta::seconds(self.seconds)
    }
}

impl FromStr for Age {
    type Err = AgeError;

    fn from_str(text: &str) -> Result<Self, AgeError> {
        let mut rest = text;
        let mut seconds: i64 = 0;
        while !rest.is_empty() {
            let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
            let (number, behind) = rest.split_at(digits);
            let letters = behind.find(|c: char| c.is_ascii_digit()).unwrap_or(behind.len());
            let (unit, behind) = behind.split_at(letters);
            if number.is_empty() || unit.is_empty() {
                return Err(AgeError::Shape);
            }
            let factor = match unit {
                "s" => 1,
                "min" => 60,
                "h" => 3600,
                "d" => 86_400,
                "w" => 7 * 86_400,
                "m" | "M" => return Err(AgeError::Ambiguous),
                other => return Err(AgeError::Unit(other.to_owned())),
            };
            let number: i64 = number.parse().map_err(|_| AgeError::TooLong)?;
            seconds = number
                .checked_mul(factor)
                .and_then(|part| seconds.checked_add(part))
                .filter(|seconds| *seconds <= THOUSAND_YEARS)
                .ok_or(AgeError::TooLong)?;
            rest = behind;
        }
        if seconds == 0 {
            Err(AgeError::Shape)
        } else {
            Ok(Self {
                seconds,
                text: text.to_owned(),
            })
        }
    }
}

impl fmt::Display for Age {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl TryFrom<String> for Age {
    type Error = AgeError;

    fn try_from(text: String) -> Result<Self, AgeError> {
        text.parse()
    }
}

impl From<Age> for String {
    fn from(age: Age) -> Self {
        age.text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_are_spelled_out_and_add_up() {
        for (text, seconds) in [
            ("45s", 45),
            ("90min", 5400),
            ("12h", 43_200),
            ("30d", 2_592_000),
            ("2w", 1_209_600),
            ("1d12h", 129_600),
        ] {
            assert_eq!(
                text.parse::<Age>().unwrap().delta(),
                TimeDelta::seconds(seconds),
                "{text}"
            );
        }
    }

    #[test]
    fn what_could_mean_two_things_or_nothing_is_refused() {
        assert_eq!("1m".parse::<Age>(), Err(AgeError::Ambiguous));
        assert_eq!("1M".parse::<Age>(), Err(AgeError::Ambiguous));
        assert_eq!("1y".parse::<Age>(), Err(AgeError::Unit("y".into())));
        for text in ["", "d", "30", "-1d", "1.5h", "1 d", "0s", "30d5"] {
            assert!(text.parse::<Age>().is_err(), "{text:?} was accepted");
        }
        for text in ["99999999999999999999d", "9223372036854775807w", "400000d"] {
            assert_eq!(text.parse::<Age>(), Err(AgeError::TooLong), "{text}");
        }
    }
}
