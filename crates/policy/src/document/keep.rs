//! What a rule keeps of what it selects.

use std::fmt;
use std::sync::Arc;

use chrono::{DateTime, Datelike as _, Utc};
use lagan_model::RegistryKind;
use lagan_zone::{UnknownZone, Zone};
use serde::ser::{SerializeMap as _, SerializeSeq as _};
use serde::{Deserialize, Serialize, Serializer};

use crate::age::Age;

/// What a rule keeps: lines that are alternatives. No line keeps nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Keep {
    /// The lines.
    pub lines: Vec<KeepLine>,
    /// What is older by this clock takes no place, and no line keeps it.
    pub unless_older_than: Option<(Clock, Age)>,
}

impl Keep {
    /// `keep: all`.
    #[must_use]
    pub fn all() -> Self {
        vec![KeepLine::All].into()
    }

    /// `keep: none`.
    #[must_use]
    pub fn none() -> Self {
        Self::default()
    }

    /// Whether at least one artifact stays of whatever is selected, in any repository and at any time.
    #[must_use]
    pub fn always_leaves_one(&self) -> bool {
        self.unless_older_than.is_none()
            && self.lines.iter().any(|line| match line {
                KeepLine::All => true,
                KeepLine::Last { count, .. } | KeepLine::Period { count, .. } => *count > 0,
                KeepLine::Within { .. } => false,
            })
    }

    /// The clocks that it reads.
    pub fn clocks(&self) -> impl Iterator<Item = Clock> {
        let narrowing = self.unless_older_than.iter().map(|(clock, _)| *clock);
        let lines = self.lines.iter().filter_map(|line| match line {
            KeepLine::Last {
                by: Order::Clock(clock),
                ..
            }
            | KeepLine::Period { clock, .. }
            | KeepLine::Within { clock, .. } => Some(*clock),
            KeepLine::All | KeepLine::Last { .. } => None,
        });
        narrowing.chain(lines)
    }
}

impl From<Vec<KeepLine>> for Keep {
    fn from(lines: Vec<KeepLine>) -> Self {
        Self {
            lines,
            unless_older_than: None,
        }
    }
}

/// One line of `keep`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeepLine {
    /// All of it.
    All,
    /// The newest `count` distinct artifacts of each group.
    Last {
        /// How many.
        count: u32,
        /// What newest means.
        by: Order,
        /// What a group is.
        per: Per,
    },
    /// The newest artifact of each of the newest `count` days, weeks, months or years of each group that have one.
    Period {
        /// The period.
        period: Period,
        /// How many of them.
        count: u32,
        /// The clock.
        clock: Clock,
        /// What a group is.
        per: Per,
        /// Where a day begins.
        timezone: Timezone,
    },
    /// What is newer than `age` by a clock.
    Within {
        /// The clock.
        clock: Clock,
        /// The age.
        age: Age,
    },
}

impl KeepLine {
    /// Its key in a document.
    fn key(&self) -> &'static str {
        match self {
            Self::All => "all",
            Self::Last { .. } => "last",
            Self::Period { period, .. } => period.as_str(),
            Self::Within { .. } => "within",
        }
    }
}

/// As documents write it: `all`, `none`, a mapping, or a list of mappings where one could not say it.
impl Serialize for Keep {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let all = self.lines.contains(&KeepLine::All);
        if self.lines.is_empty() || all && self.unless_older_than.is_none() {
            return serializer.serialize_str(if all { "all" } else { "none" });
        }
        let lines: &[KeepLine] = if all { &[] } else { &self.lines };
        let mut mappings: Vec<Mapping<'_>> = vec![Mapping::default()];
        for line in lines {
            match mappings.last_mut() {
                Some(mapping) if mapping.takes(line) => mapping.lines.push(line),
                _ => mappings.push(Mapping {
                    lines: vec![line],
                    unless_older_than: None,
                }),
            }
        }
        if let Some(first) = mappings.first_mut() {
            first.unless_older_than = self.unless_older_than.as_ref();
        }
        match mappings.as_slice() {
            [only] => only.serialize(serializer),
            several => {
                let mut list = serializer.serialize_seq(Some(several.len()))?;
                for mapping in several {
                    list.serialize_element(mapping)?;
                }
                list.end()
            }
        }
    }
}

/// The order in which a mapping's lines are read.
const KEYS: [&str; 6] = ["last", "daily", "weekly", "monthly", "yearly", "within"];

/// Lines that one mapping of a document says.
#[derive(Default)]
struct Mapping<'a> {
    lines: Vec<&'a KeepLine>,
    unless_older_than: Option<&'a (Clock, Age)>,
}

impl<'a> Mapping<'a> {
    /// Whether a line can stand behind those that are there: a mapping has one `by`, `per` and `timezone`.
    fn takes(&self, line: &KeepLine) -> bool {
        let place = |line: &KeepLine| KEYS.iter().position(|key| *key == line.key());
        let Some(before) = self.lines.last() else {
            return true;
        };
        if let KeepLine::Within { clock, .. } = line {
            let again =
                |other: &&&KeepLine| matches!(other, KeepLine::Within { clock: known, .. } if known == clock);
            return self.lines.iter().find(again).is_none();
        }
        let shared = self.shared().is_none_or(|shared| Some(shared) == shared_by(line));
        let timezone = |line: &KeepLine| match line {
            KeepLine::Period { timezone, .. } => Some(*timezone),
            _ => None,
        };
        let zones = self.lines.iter().find_map(|line| timezone(line));
        let zoned = zones.zip(timezone(line)).is_none_or(|(known, own)| known == own);
        shared && zoned && place(before) < place(line)
    }

    fn shared(&self) -> Option<(Order, &'a Per)> {
        self.lines.iter().find_map(|line| shared_by(line))
    }
}

fn shared_by(line: &KeepLine) -> Option<(Order, &Per)> {
    match line {
        KeepLine::Last { by, per, .. } => Some((*by, per)),
        KeepLine::Period { clock, per, .. } => Some((Order::Clock(*clock), per)),
        KeepLine::All | KeepLine::Within { .. } => None,
    }
}

impl Serialize for Mapping<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        for line in &self.lines {
            if let KeepLine::Last { count, .. } | KeepLine::Period { count, .. } = line {
                map.serialize_entry(line.key(), count)?;
            }
        }
        if let Some((by, per)) = self.shared() {
            map.serialize_entry("by", &by)?;
            if *per != by.default_per() {
                map.serialize_entry("per", per)?;
            }
        }
        let zone = self.lines.iter().find_map(|line| match line {
            KeepLine::Period { timezone, .. } => Some(timezone),
            _ => None,
        });
        if let Some(zone) = zone.filter(|zone| **zone != Timezone::default()) {
            map.serialize_entry("timezone", zone)?;
        }
        let within: Vec<(Clock, &Age)> = self
            .lines
            .iter()
            .filter_map(|line| match line {
                KeepLine::Within { clock, age } => Some((*clock, age)),
                _ => None,
            })
            .collect();
        if !within.is_empty() {
            map.serialize_entry("within", &Ages(&within))?;
        }
        if let Some((clock, age)) = self.unless_older_than {
            map.serialize_entry("unless_older_than", &Ages(&[(*clock, age)]))?;
        }
        map.end()
    }
}

struct Ages<'a>(&'a [(Clock, &'a Age)]);

impl Serialize for Ages<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(clock, age)| (clock, age)))
    }
}

/// A period of the calendar, of which the newest artifact is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Period {
    /// A day.
    Daily,
    /// A week of ISO 8601, from Monday to Sunday.
    Weekly,
    /// A month.
    Monthly,
    /// A year.
    Yearly,
}

/// The days, weeks, months or years of one time zone: what is compared is these, never pairs of dates.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Bucket(i32, u32);

impl Period {
    /// Every period.
    pub const ALL: [Self; 4] = [Self::Daily, Self::Weekly, Self::Monthly, Self::Yearly];

    /// As documents write it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Daily => "daily",
            Self::Weekly => "weekly",
            Self::Monthly => "monthly",
            Self::Yearly => "yearly",
        }
    }

    /// The bucket that a time falls into.
    pub(crate) fn bucket(self, at: DateTime<Utc>, timezone: Timezone) -> Bucket {
        let local = timezone.0.wall(at);
        match self {
            Self::Daily => Bucket(local.year(), local.ordinal()),
            Self::Weekly => Bucket(local.iso_week().year(), local.iso_week().week()),
            Self::Monthly => Bucket(local.year(), local.month()),
            Self::Yearly => Bucket(local.year(), 0),
        }
    }

    /// The bucket's name, as people write it: `2026-11-20`, `2026-W47`, `2026-11`, `2026`.
    pub(crate) fn bucket_name(self, at: DateTime<Utc>, timezone: Timezone) -> String {
        let local = timezone.0.wall(at);
        let format = match self {
            Self::Daily => "%Y-%m-%d",
            Self::Weekly => "%G-W%V",
            Self::Monthly => "%Y-%m",
            Self::Yearly => "%Y",
        };
        local.format(format).to_string()
    }
}

impl fmt::Display for Period {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A time zone of the IANA database, which tells where days begin. The default is UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Timezone(Zone);

impl Timezone {
    /// Every name that is known.
    pub fn names() -> impl Iterator<Item = &'static str> {
        Zone::names()
    }

    /// Its name.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        self.0.name()
    }

    /// What its clocks show.
    #[must_use]
    pub fn zone(self) -> Zone {
        self.0
    }
}

impl Default for Timezone {
    fn default() -> Self {
        Self(Zone::UTC)
    }
}

impl std::str::FromStr for Timezone {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        name.parse()
            .map(Self)
            .map_err(|error: UnknownZone| error.to_string())
    }
}

impl Serialize for Timezone {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

/// A clock that a rule can read; see each registry for those that it has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Clock {
    /// When the tag, or its artifact, was last pushed.
    Pushed,
    /// When it was last pulled.
    Pulled,
    /// When its image was built.
    Created,
    /// When this program first saw this tag on this digest.
    Observed,
}

impl Clock {
    /// Every clock.
    pub const ALL: [Self; 4] = [Self::Pushed, Self::Pulled, Self::Created, Self::Observed];

    /// As documents write it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pushed => "pushed",
            Self::Pulled => "pulled",
            Self::Created => "created",
            Self::Observed => "observed",
        }
    }
}

impl Clock {
    /// Why no registry of this kind records this clock; `None` where it does. `observed` is recorded by the ledger of
    /// earlier runs, where there is one. What a clock does not know is kept.
    #[must_use]
    pub fn unrecorded(self, kind: RegistryKind) -> Option<&'static str> {
        match (self, kind) {
            (Self::Created, _) | (Self::Pushed | Self::Pulled, RegistryKind::Harbor) => None,
            (Self::Pushed, RegistryKind::Oci) => {
                Some("OCI registries do not record when something was pushed")
            }
            (Self::Pulled, RegistryKind::Oci) => {
                Some("OCI registries do not record when something was pulled")
            }
            (Self::Observed, _) => Some("without a state directory nothing tells when a tag was first seen"),
        }
    }
}

impl fmt::Display for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What newest means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Order {
    /// The version as the table of channels reads it.
    Version,
    /// Strict semver precedence.
    Semver,
    /// The tag, in natural order: digits count as numbers.
    Name,
    /// A clock.
    #[serde(untagged)]
    Clock(Clock),
}

impl Order {
    /// Every order.
    pub const ALL: [Self; 7] = [
        Self::Version,
        Self::Semver,
        Self::Clock(Clock::Pushed),
        Self::Clock(Clock::Pulled),
        Self::Clock(Clock::Created),
        Self::Clock(Clock::Observed),
        Self::Name,
    ];

    /// As documents write it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Version => "version",
            Self::Semver => "semver",
            Self::Name => "name",
            Self::Clock(clock) => clock.as_str(),
        }
    }

    /// The grouping where a document says none: versions of different variants do not compete.
    #[must_use]
    pub fn default_per(self) -> Per {
        match self {
            Self::Version | Self::Semver => Per::Variant,
            Self::Name | Self::Clock(_) => Per::Repository,
        }
    }
}

impl fmt::Display for Order {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What `last` and the periods count within.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Per {
    /// The whole repository.
    Repository,
    /// Each channel.
    Channel,
    /// Each MAJOR.
    Major,
    /// Each MAJOR.MINOR.
    Minor,
    /// Each variant.
    Variant,
    /// Each text that a named group of the rule's `regex` captures.
    Capture(Arc<str>),
}

impl std::str::FromStr for Per {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Ok(match text {
            "repository" => Self::Repository,
            "channel" => Self::Channel,
            "major" => Self::Major,
            "minor" => Self::Minor,
            "variant" => Self::Variant,
            _ => match text.strip_prefix("capture:") {
                Some(group) if !group.is_empty() => Self::Capture(group.into()),
                _ => {
                    return Err(format!(
                        "{text:?} is none of repository, channel, major, minor, variant, capture:<name>"
                    ));
                }
            },
        })
    }
}

impl fmt::Display for Per {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Repository => f.write_str("repository"),
            Self::Channel => f.write_str("channel"),
            Self::Major => f.write_str("major"),
            Self::Minor => f.write_str("minor"),
            Self::Variant => f.write_str("variant"),
            Self::Capture(group) => write!(f, "capture:{group}"),
        }
    }
}

impl TryFrom<String> for Per {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<Per> for String {
    fn from(per: Per) -> Self {
        per.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_begin_where_the_time_zone_says() {
        let name = |period: Period, at: &str, zone: &str| {
            period.bucket_name(at.parse().unwrap(), zone.parse().unwrap())
        };
        for (period, at, zone, bucket) in [
            (Period::Daily, "2026-11-20T23:30:00Z", "UTC", "2026-11-20"),
            (
                Period::Daily,
                "2026-11-20T23:30:00Z",
                "Europe/Berlin",
                "2026-11-21",
            ),
            (
                Period::Daily,
                "2026-07-01T22:30:00Z",
                "Europe/Berlin",
                "2026-07-02",
            ),
            (Period::Weekly, "2026-11-20T12:00:00Z", "UTC", "2026-W47"),
            // The first days of a year may be of the last week of the year before, and the other way round.
            (Period::Weekly, "2027-01-01T12:00:00Z", "UTC", "2026-W53"),
            (Period::Weekly, "2024-12-30T12:00:00Z", "UTC", "2025-W01"),
            (
                Period::Monthly,
                "2026-11-30T23:30:00Z",
                "Europe/Berlin",
                "2026-12",
            ),
            (Period::Yearly, "2026-12-31T23:30:00Z", "Europe/Berlin", "2027"),
            (Period::Yearly, "2027-01-01T05:00:00Z", "America/New_York", "2027"),
        ] {
            assert_eq!(name(period, at, zone), bucket, "{period} {at} {zone}");
        }
    }

    #[test]
    fn two_times_have_one_bucket_exactly_where_their_names_are_one() {
        let zones = ["UTC", "America/St_Johns", "Pacific/Apia", "Asia/Kathmandu"];
        let times: Vec<DateTime<Utc>> = (0..900)
            .map(|step| DateTime::UNIX_EPOCH + chrono::TimeDelta::hours(260_000 + 37 * step))
            .collect();
        for zone in zones {
            let zone: Timezone = zone.parse().unwrap();
            for period in Period::ALL {
                for pair in times.windows(2) {
                    let same = period.bucket(pair[0], zone) == period.bucket(pair[1], zone);
                    let named = period.bucket_name(pair[0], zone) == period.bucket_name(pair[1], zone);
                    assert_eq!(same, named, "{pair:?}");
                }
            }
        }
    }
}
