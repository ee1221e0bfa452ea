//! `rollout`: in which shares of its repositories a policy may delete, one after the other.

use std::fmt;

use lagan_model::{Digest, RepositoryName};
use serde::{Deserialize, Serialize, Serializer};
use thiserror::Error;

use super::PolicyName;
use crate::age::Age;

/// How many stages there are at the most.
const MOST_STAGES: usize = 20;

/// A share, in hundredths of a percent: more than none, at most all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[serde(try_from = "String")]
pub struct Share(u16);

impl Share {
    /// Everything.
    pub const ALL: Self = Self(10_000);

    /// A share of so many hundredths of a percent; `None` where that is nothing, or more than all.
    #[must_use]
    pub fn hundredths(hundredths: u16) -> Option<Self> {
        (1..=Self::ALL.0)
            .contains(&hundredths)
            .then_some(Self(hundredths))
    }

    /// Whether so many of so many are at least this share; none of none are.
    #[must_use]
    pub fn is_reached(self, part: u64, whole: u64) -> bool {
        u128::from(part) * u128::from(Self::ALL.0) >= u128::from(whole) * u128::from(self.0)
    }

    /// As a fraction of one.
    #[must_use]
    pub fn fraction(self) -> f64 {
        f64::from(self.0) / f64::from(Self::ALL.0)
    }
}

impl fmt::Display for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, decimals) = (self.0 / 100, self.0 % 100);
        match (decimals, decimals % 10) {
            (0, _) => write!(f, "{whole}%"),
            (_, 0) => write!(f, "{whole}.{}%", decimals / 10),
            _ => write!(f, "{whole}.{decimals:02}%"),
        }
    }
}

impl Serialize for Share {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

/// What is no share.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("a share is more than 0% and at most 100%, with up to two decimals, as in `99.5%`")]
pub struct ShareError;

impl std::str::FromStr for Share {
    type Err = ShareError;

    fn from_str(text: &str) -> Result<Self, ShareError> {
        let number = text.strip_suffix('%').ok_or(ShareError)?;
        let (whole, decimals) = number.split_once('.').unwrap_or((number, "0"));
        let digits =
            |text: &str, most| (1..=most).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit());
        if !digits(whole, 3) || !digits(decimals, 2) {
            return Err(ShareError);
        }
        let hundredths = format!("{whole}{decimals:0<2}").parse().map_err(|_| ShareError)?;
        Self::hundredths(hundredths).ok_or(ShareError)
    }
}

impl TryFrom<String> for Share {
    type Error = ShareError;

    fn try_from(text: String) -> Result<Self, ShareError> {
        text.parse()
    }
}

/// Why stages were refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum StagesError {
    /// There is none.
    #[error("a rollout has at least one stage")]
    None,
    /// There are too many.
    #[error("a rollout has at most {MOST_STAGES} stages")]
    Many,
    /// A stage is no larger than the one before it.
    #[error("each stage is larger than the one before it")]
    Order,
}

/// Shares, each larger than the one before it; at least one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Stages(Vec<Share>);

impl Stages {
    /// These stages.
    ///
    /// # Errors
    ///
    /// Where they are none, too many, or do not grow.
    pub fn new(shares: Vec<Share>) -> Result<Self, StagesError> {
        if shares.is_empty() {
            return Err(StagesError::None);
        }
        if shares.len() > MOST_STAGES {
            return Err(StagesError::Many);
        }
        if shares.windows(2).any(|pair| pair[0] >= pair[1]) {
            return Err(StagesError::Order);
        }
        Ok(Self(shares))
    }

    /// How many there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.0.len()
    }

    /// The share of a stage, counted from 1 on.
    #[must_use]
    pub fn share(&self, stage: usize) -> Option<Share> {
        self.0.get(stage.checked_sub(1)?).copied()
    }
}

/// How a policy is rolled out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Rollout {
    /// The shares of its repositories that it may delete from, one after the other.
    pub stages: Stages,
    /// How long a stage lasts at the least, counted from its first deletion.
    pub hold: Age,
    /// The share of the deletions of a stage that has to succeed.
    pub min_success: Share,
}

impl Rollout {
    /// Of two hundred deletions one may fail, unless a policy says something else.
    pub const MIN_SUCCESS: Share = Share(9_950);
}

/// Where a repository stands in line for the rollout of a policy: it is in each share that its place is in.
///
/// It follows from the names alone, so that what is in a share stays in it, and in each larger one, whatever else there
/// is; and it is another one for each policy, so that it is not always the same repositories that go first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place(u64);

impl Place {
    /// The place of a repository.
    #[must_use]
    pub fn of(policy: &PolicyName, repository: &RepositoryName) -> Self {
        // No name of a repository has a line break in it.
        let hash = Digest::of(format!("lagan rollout\n{policy}\n{repository}").as_bytes());
        let leading = hash.encoded();
        // A digest of ours has 64 hexadecimal digits. The last place is in no share but the whole.
        Self(
            leading
                .get(..16)
                .and_then(|hex| u64::from_str_radix(hex, 16).ok())
                .unwrap_or(u64::MAX),
        )
    }

    /// Whether it is in a share.
    #[must_use]
    pub fn is_in(self, share: Share) -> bool {
        (u128::from(self.0) * u128::from(Share::ALL.0)) >> 64 < u128::from(share.0)
    }
}
