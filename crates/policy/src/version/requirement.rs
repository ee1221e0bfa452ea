//! Requirements on versions, in the syntax of Cargo: `>=1.0.0, <2.0.0`, `^1.2`, `~1.4.2`, `1.*`.
//!
//! The syntax is semver's, the meaning is not: a strict reader excludes every prerelease from `>=1.0.0`. Here a
//! requirement is a range of versions in the order of the table, so that `1.5.0-rc.1` is inside `>=1.0.0`, and
//! `<2.0.0` excludes the prereleases of 2.0.0, which are on their way there.

use std::fmt;
use std::str::FromStr;

use semver::{Comparator, Op, VersionReq};
use serde::{Serialize, Serializer};
use thiserror::Error;

use super::channel::Channel;
use super::read::{TagReading, Version};
use super::table::VersionTable;

/// Why a requirement was refused.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum RequirementError {
    /// Not the syntax of a requirement.
    #[error("not a version requirement: {0}")]
    Syntax(String),
    /// It names a prerelease by words that are not in the table.
    #[error("{0:?} names no known channel, so that no order says what is above or below it")]
    Prerelease(String),
    /// A build, which has no order.
    #[error("a requirement must not name a build")]
    Build,
}

/// A range of versions. Tags without a full version, and those of no known channel, satisfy none.
#[derive(Debug, Clone)]
pub struct VersionRequirement {
    text: String,
    bounds: Vec<Bound>,
}

#[derive(Debug, Clone)]
enum Bound {
    /// Not below this version.
    AtLeast(Version),
    /// Above this version.
    Above(Version),
    /// Not above this version.
    AtMost(Version),
    /// Below this version; its own prereleases are not below it.
    Below(Version),
    /// Below all releases and prereleases of these numbers.
    BelowNumbers([u64; 3]),
    /// Not below these numbers, prereleases of them included.
    NumbersAtLeast([u64; 3]),
}

impl Bound {
    fn admits(&self, version: &Version) -> bool {
        match self {
            Self::AtLeast(bound) => order(version, bound).is_ge(),
            Self::Above(bound) => order(version, bound).is_gt(),
            Self::AtMost(bound) => order(version, bound).is_le(),
            Self::Below(bound) => order(version, bound).is_lt(),
            Self::BelowNumbers(numbers) => version.numbers < *numbers,
            Self::NumbersAtLeast(numbers) => version.numbers >= *numbers,
        }
    }
}

impl Bound {
    /// Whether this lower bound lies above that upper one.
    fn excludes(&self, high: &Self) -> bool {
        match (self, high) {
            (Self::AtLeast(low), Self::AtMost(high)) => order(low, high).is_gt(),
            (Self::AtLeast(low), Self::Below(high))
            | (Self::Above(low), Self::AtMost(high) | Self::Below(high)) => order(low, high).is_ge(),
            (Self::AtLeast(low) | Self::Above(low), Self::BelowNumbers(high)) => low.numbers >= *high,
            (Self::NumbersAtLeast(low), Self::BelowNumbers(high)) => low >= high,
            (Self::NumbersAtLeast(low), Self::AtMost(high) | Self::Below(high)) => *low > high.numbers,
            _ => false,
        }
    }
}

/// Builds are no part of a requirement.
fn order(a: &Version, b: &Version) -> std::cmp::Ordering {
    (a.numbers, a.channel, &a.tail).cmp(&(b.numbers, b.channel, &b.tail))
}

impl VersionRequirement {
    /// Reads a requirement; prereleases in it are read by `table`.
    ///
    /// # Errors
    ///
    /// When it is no requirement, or names a prerelease that the table does not know.
    pub fn read(text: &str, table: &VersionTable) -> Result<Self, RequirementError> {
        // semver cuts a build off without a word, and it cannot stand in a tag anyway.
        if text.contains('+') {
            return Err(RequirementError::Build);
        }
        let requirement =
            VersionReq::parse(text).map_err(|error| RequirementError::Syntax(error.to_string()))?;
        let mut bounds = Vec::new();
        for comparator in &requirement.comparators {
            push_bounds(comparator, table, &mut bounds)?;
        }
        Ok(Self {
            text: text.to_owned(),
            bounds,
        })
    }

    /// Whether a tag has a full version inside the range.
    #[must_use]
    pub fn matches(&self, reading: &TagReading) -> bool {
        match &reading.version {
            Some(version) if version.channel != Channel::Unknown => {
                self.bounds.iter().all(|bound| bound.admits(version))
            }
            _ => false,
        }
    }

    /// Whether no version can satisfy it, whatever else it has: `>=2.0.0, <1.0.0`.
    ///
    /// `true` is proven, bound against bound; `false` is not.
    #[must_use]
    pub fn admits_nothing(&self) -> bool {
        let pairs = self
            .bounds
            .iter()
            .flat_map(|low| self.bounds.iter().map(move |high| (low, high)));
        pairs.into_iter().any(|(low, high)| low.excludes(high))
    }

    /// The requirement as it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

fn push_bounds(
    comparator: &Comparator,
    table: &VersionTable,
    bounds: &mut Vec<Bound>,
) -> Result<(), RequirementError> {
    let lowest = [
        comparator.major,
        comparator.minor.unwrap_or(0),
        comparator.patch.unwrap_or(0),
    ];
    let next = |position: usize| {
        let mut numbers = lowest;
        numbers[position] = numbers[position].saturating_add(1);
        numbers[position + 1..].fill(0);
        numbers
    };
    // The first numbers behind all that the written ones cover: `1.2` covers 1.2.*.
    let covered = match (comparator.minor, comparator.patch) {
        (None, _) => Some(next(0)),
        (Some(_), None) => Some(next(1)),
        (Some(_), Some(_)) => None,
    };
    let exact = || -> Result<Version, RequirementError> {
        let [major, minor, patch] = lowest;
        let text = match comparator.pre.as_str() {
            "" => format!("{major}.{minor}.{patch}"),
            pre => format!("{major}.{minor}.{patch}-{pre}"),
        };
        table
            .read_version(&text)
            .and_then(|reading| reading.version)
            .filter(|version| version.channel != Channel::Unknown)
            .ok_or(RequirementError::Prerelease(text))
    };
    match (comparator.op, covered) {
        (Op::Exact, None) => bounds.extend([Bound::AtLeast(exact()?), Bound::AtMost(exact()?)]),
        (Op::Exact | Op::Wildcard, Some(end)) => {
            bounds.extend([Bound::AtLeast(exact()?), Bound::BelowNumbers(end)]);
        }
        (Op::Greater, None) => bounds.push(Bound::Above(exact()?)),
        (Op::Greater, Some(end)) => bounds.push(Bound::NumbersAtLeast(end)),
        (Op::GreaterEq, _) => bounds.push(Bound::AtLeast(exact()?)),
        (Op::Less, _) if comparator.pre.is_empty() => bounds.push(Bound::BelowNumbers(lowest)),
        (Op::Less, _) => bounds.push(Bound::Below(exact()?)),
        (Op::LessEq, None) => bounds.push(Bound::AtMost(exact()?)),
        (Op::LessEq, Some(end)) => bounds.push(Bound::BelowNumbers(end)),
        (Op::Tilde, _) => {
            let end = if comparator.minor.is_some() {
                next(1)
            } else {
                next(0)
            };
            bounds.extend([Bound::AtLeast(exact()?), Bound::BelowNumbers(end)]);
        }
        (Op::Caret, _) => {
            // The leftmost number that is not zero must not change; of zeros, the last that is written.
            let end = match (comparator.major, comparator.minor, comparator.patch) {
                (1.., _, _) | (0, None, _) => next(0),
                (0, Some(1..), _) | (0, Some(0), None) => next(1),
                (0, Some(0), Some(_)) => next(2),
            };
            bounds.extend([Bound::AtLeast(exact()?), Bound::BelowNumbers(end)]);
        }
        // `*` alone has no comparator; semver may learn further operators.
        (op, _) => {
            return Err(RequirementError::Syntax(format!(
                "operator {op:?} is not known here"
            )));
        }
    }
    Ok(())
}

impl FromStr for VersionRequirement {
    type Err = RequirementError;

    /// Reads a requirement by the default table.
    fn from_str(text: &str) -> Result<Self, RequirementError> {
        Self::read(text, &VersionTable::default())
    }
}

impl PartialEq for VersionRequirement {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for VersionRequirement {}

impl fmt::Display for VersionRequirement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Serialize for VersionRequirement {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.text)
    }
}
