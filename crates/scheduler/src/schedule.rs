//! An expression in a time zone: instants.

use std::fmt;

use chrono::{MappedLocalTime, NaiveDateTime, SubsecRound as _, TimeDelta};
use lagan_zone::Zone;

use crate::Time;
use crate::cron::Cron;
use crate::wall::instants;

/// How far a clock is set back at most when summer ends. No zone goes further since 1969.
const SET_BACK: TimeDelta = TimeDelta::hours(3);

/// When something is due.
///
/// An expression that names hours means these hours of a day: a time that clocks leave out in spring is made up for at
/// the moment at which they are set, and of a time that comes twice in autumn the first is meant. One whose hours are
/// all 24 means every hour that passes: nothing is made up for, and the hour that comes twice counts twice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Schedule {
    /// The expression.
    pub cron: Cron,
    /// The zone whose clocks it reads.
    pub zone: Zone,
    /// How much later than it says a run may begin. Which part of it is waited depends on what is run and when, and is
    /// the same each time it is asked.
    pub jitter: TimeDelta,
}

impl Schedule {
    /// The first time after another at which it is due, jitter left out. `None` where that is beyond all calendars.
    #[must_use]
    pub fn after(&self, time: Time) -> Option<Time> {
        let time = time.trunc_subsecs(0);
        if self.cron.is_hourly() {
            self.hour_by_hour(time)
        } else {
            self.by_the_clock(time)
        }
    }

    fn by_the_clock(&self, time: Time) -> Option<Time> {
        let mut shown = self.zone.wall(time);
        loop {
            shown = self.cron.after(shown)?;
            let (first, _) = instants(shown, self.zone)?;
            // Of a time that comes twice, the first may be over.
            if first > time {
                return Some(first);
            }
        }
    }

    fn hour_by_hour(&self, time: Time) -> Option<Time> {
        let mut shown = self.zone.wall(time);
        // Where clocks are about to be set back, what they have shown already comes again.
        let comes_again = self.zone.wall(time + SET_BACK) - shown < SET_BACK;
        if comes_again {
            shown -= SET_BACK;
        }
        let mut best: Option<(Time, NaiveDateTime)> = None;
        loop {
            shown = self.cron.after(shown)?;
            if let Some((best, found_at)) = best
                && (!comes_again || shown > found_at + SET_BACK)
            {
                return Some(best);
            }
            let shown_at = match self.zone.instants(shown) {
                MappedLocalTime::Single(instant) => [Some(instant), None],
                MappedLocalTime::Ambiguous(first, second) => [Some(first), Some(second)],
                MappedLocalTime::None => [None, None],
            };
            for instant in shown_at.into_iter().flatten() {
                if instant > time && best.is_none_or(|(best, _)| instant < best) {
                    best = Some((instant, shown));
                }
            }
        }
    }

    /// How much later a run of something begins than `due`.
    #[must_use]
    pub fn delay(&self, of: &str, due: Time) -> TimeDelta {
        let jitter = self.jitter.num_seconds();
        if jitter <= 0 {
            return TimeDelta::zero();
        }
        let hash = fnv(of.bytes().chain(due.timestamp().to_le_bytes()));
        // Both are positive, and the remainder is at most the jitter.
        let delay = hash % (jitter.unsigned_abs() + 1);
        i64::try_from(delay).map(TimeDelta::seconds).unwrap_or_default()
    }
}

impl fmt::Display for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.cron, self.zone)
    }
}

/// FNV-1a with a finish that spreads its bits: the same on every machine and in every version.
fn fnv(bytes: impl Iterator<Item = u8>) -> u64 {
    let hash = bytes.fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    let hash = (hash ^ (hash >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
    hash ^ (hash >> 33)
}
