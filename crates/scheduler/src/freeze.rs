//! Times in which nothing may be changed.

use chrono::{NaiveDateTime, TimeDelta};
use lagan_zone::Zone;
use thiserror::Error;

use crate::Time;
use crate::schedule::Schedule;
use crate::wall::instants;

/// How many windows that meet are told as one, at most.
const MEET: usize = 1_000;

/// A time in which nothing may be changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Freeze {
    when: When,
    /// Why, for whoever asks.
    pub why: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum When {
    Once { from: Time, until: Time },
    Again { starts: Box<Schedule>, lasts: TimeDelta },
}

/// Why a text is no freeze.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum FreezeError {
    /// It is over when it begins.
    #[error("the freeze ends before it begins")]
    Empty,
    /// It is beyond all calendars.
    #[error("no calendar has these days")]
    Never,
}

impl Freeze {
    /// From one wall-clock time until another, which is outside. Where clocks are set in between, the longer reading
    /// holds.
    ///
    /// # Errors
    ///
    /// When it does not end later than it begins.
    pub fn once(from: NaiveDateTime, until: NaiveDateTime, zone: Zone) -> Result<Self, FreezeError> {
        let from = instants(from, zone).map(|(first, _)| first);
        let until = instants(until, zone).map(|(_, last)| last);
        let (Some(from), Some(until)) = (from, until) else {
            return Err(FreezeError::Never);
        };
        if until <= from {
            return Err(FreezeError::Empty);
        }
        let when = When::Once { from, until };
        Ok(Self { when, why: None })
    }

    /// So long from each time of an expression on.
    ///
    /// # Errors
    ///
    /// When it lasts no time.
    pub fn again(starts: Schedule, lasts: TimeDelta) -> Result<Self, FreezeError> {
        if lasts <= TimeDelta::zero() {
            return Err(FreezeError::Empty);
        }
        let when = When::Again {
            starts: Box::new(starts),
            lasts,
        };
        Ok(Self { when, why: None })
    }

    /// Until when it holds, if it does now.
    #[must_use]
    pub fn until(&self, now: Time) -> Option<Time> {
        match &self.when {
            When::Once { from, until } => (*from <= now && now < *until).then_some(*until),
            When::Again { starts, lasts } => {
                // One that began exactly so long ago is over.
                let mut start = starts.after(now - *lasts)?;
                if start > now {
                    return None;
                }
                for _ in 0..MEET {
                    match starts.after(start) {
                        Some(next) if next <= start + *lasts => start = next,
                        _ => break,
                    }
                }
                Some(start + *lasts)
            }
        }
    }
}
