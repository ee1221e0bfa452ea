//! How much may be deleted.

use std::fmt;
use std::str::FromStr;

use serde::ser::SerializeMap as _;
use serde::{Serialize, Serializer};
use thiserror::Error;

use crate::guard::Guard;

/// How much may be deleted. Where several policies name a repository, the strictest holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Manifests and untags in one run; more refuses the whole run. `None`: off.
    pub max_deletions: Option<u64>,
    /// Of the tagged artifacts of a repository, attachments not counted, in percent (1 to 100); more holds back
    /// that repository. `None`: off.
    pub max_percent_per_repository: Option<u8>,
    /// How many tagged artifacts stay in a repository, attachments not counted; fewer holds back that repository.
    pub keep_at_least: u64,
    /// How many times the median of the last runs' manifests and untags; more refuses the whole run. `None`: off.
    pub max_change_from_last_run: Option<u32>,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_deletions: Some(500),
            max_percent_per_repository: None,
            keep_at_least: 1,
            max_change_from_last_run: Some(5),
        }
    }
}

impl Limits {
    /// The stricter of two, limit by limit.
    #[must_use]
    pub fn strictest(self, other: Self) -> Self {
        fn least<T: Ord>(a: Option<T>, b: Option<T>) -> Option<T> {
            match (a, b) {
                (Some(a), Some(b)) => Some(a.min(b)),
                (a, b) => a.or(b),
            }
        }
        Self {
            max_deletions: least(self.max_deletions, other.max_deletions),
            max_percent_per_repository: least(
                self.max_percent_per_repository,
                other.max_percent_per_repository,
            ),
            keep_at_least: self.keep_at_least.max(other.keep_at_least),
            max_change_from_last_run: least(self.max_change_from_last_run, other.max_change_from_last_run),
        }
    }

    /// These limits with one of them replaced for a run. The policies, and so their hashes, stay what they are.
    #[must_use]
    pub fn overridden(mut self, by: LimitOverride) -> Self {
        match by {
            LimitOverride::MaxDeletions(limit) => self.max_deletions = limit,
            LimitOverride::MaxPercentPerRepository(limit) => self.max_percent_per_repository = limit,
            LimitOverride::KeepAtLeast(limit) => self.keep_at_least = limit,
            LimitOverride::MaxChangeFromLastRun(limit) => self.max_change_from_last_run = limit,
        }
        self
    }
}

/// As documents write it.
impl Serialize for Limits {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(4))?;
        match self.max_deletions {
            Some(most) => map.serialize_entry("max_deletions", &most)?,
            None => map.serialize_entry("max_deletions", "off")?,
        }
        match self.max_percent_per_repository {
            Some(percent) => map.serialize_entry("max_percent_per_repository", &percent)?,
            None => map.serialize_entry("max_percent_per_repository", "off")?,
        }
        map.serialize_entry("keep_at_least", &self.keep_at_least)?;
        match self.max_change_from_last_run {
            Some(factor) => map.serialize_entry("max_change_from_last_run", &format!("{factor}x"))?,
            None => map.serialize_entry("max_change_from_last_run", "off")?,
        }
        map.end()
    }
}

/// One limit, and what holds instead of it for one run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LimitOverride {
    /// Manifests and untags in one run.
    MaxDeletions(Option<u64>),
    /// In percent, 1 to 100.
    MaxPercentPerRepository(Option<u8>),
    /// Tagged artifacts that stay.
    KeepAtLeast(u64),
    /// How many times the median of the last runs.
    MaxChangeFromLastRun(Option<u32>),
}

/// Why an override was refused.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum OverrideError {
    /// Not `LIMIT=VALUE`.
    #[error("{0:?} is no LIMIT=VALUE")]
    Shape(String),
    /// No such limit.
    #[error(
        "{0:?} is none of max_deletions, max_percent_per_repository, keep_at_least, max_change_from_last_run"
    )]
    Limit(String),
    /// Not a value of the limit.
    #[error("{limit} is {wanted}, not {value:?}")]
    Value {
        /// The limit.
        limit: Guard,
        /// What it takes.
        wanted: &'static str,
        /// What was given.
        value: String,
    },
}

impl LimitOverride {
    /// The limit.
    #[must_use]
    pub fn limit(self) -> Guard {
        match self {
            Self::MaxDeletions(_) => Guard::MaxDeletions,
            Self::MaxPercentPerRepository(_) => Guard::MaxPercentPerRepository,
            Self::KeepAtLeast(_) => Guard::KeepAtLeast,
            Self::MaxChangeFromLastRun(_) => Guard::MaxChangeFromLastRun,
        }
    }

    fn read(limit: Guard, value: &str) -> Option<Self> {
        fn or_off<T>(value: &str, read: impl Fn(&str) -> Option<T>) -> Option<Option<T>> {
            if value == "off" {
                Some(None)
            } else {
                read(value).map(Some)
            }
        }
        // A sign is no part of a limit.
        let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        let number = |text: &str| text.parse::<u64>().ok().filter(|_| digits(text));
        let percent = |text: &str| {
            let percent = number(text.strip_suffix('%').unwrap_or(text))?;
            u8::try_from(percent)
                .ok()
                .filter(|percent| (1..=100).contains(percent))
        };
        let factor = |text: &str| {
            let factor = number(text.strip_suffix('x').unwrap_or(text))?;
            u32::try_from(factor).ok().filter(|factor| *factor > 0)
        };
        Some(match limit {
            Guard::MaxDeletions => Self::MaxDeletions(or_off(value, number)?),
            Guard::MaxPercentPerRepository => Self::MaxPercentPerRepository(or_off(value, percent)?),
            Guard::KeepAtLeast => Self::KeepAtLeast(number(value)?),
            Guard::MaxChangeFromLastRun => Self::MaxChangeFromLastRun(or_off(value, factor)?),
        })
    }
}

impl FromStr for LimitOverride {
    type Err = OverrideError;

    /// Reads `max_deletions=2000`, as `--override-limit` takes it.
    fn from_str(text: &str) -> Result<Self, OverrideError> {
        let (name, value) = text
            .split_once('=')
            .ok_or_else(|| OverrideError::Shape(text.to_owned()))?;
        let limit = Guard::ALL
            .into_iter()
            .find(|limit| limit.as_str() == name)
            .ok_or_else(|| OverrideError::Limit(name.to_owned()))?;
        Self::read(limit, value).ok_or_else(|| OverrideError::Value {
            limit,
            wanted: match limit {
                Guard::MaxDeletions => "a whole number or `off`",
                Guard::MaxPercentPerRepository => "from 1 to 100 percent, or `off`",
                Guard::KeepAtLeast => "a whole number",
                Guard::MaxChangeFromLastRun => "a factor such as `5x`, or `off`",
            },
            value: value.to_owned(),
        })
    }
}

impl fmt::Display for Guard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
