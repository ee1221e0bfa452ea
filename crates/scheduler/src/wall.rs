//! Between wall clocks and instants.

use chrono::{MappedLocalTime, NaiveDateTime, TimeDelta};
use lagan_zone::Zone;

use crate::Time;

/// How far a zone's time lies from UTC at most, and then some.
const OFFSET: TimeDelta = TimeDelta::hours(26);

/// The first and the last instant at which wall clocks show a time. Where they jump over it, that is when they do.
pub(crate) fn instants(wall: NaiveDateTime, zone: Zone) -> Option<(Time, Time)> {
    match zone.instants(wall) {
        MappedLocalTime::Single(instant) => Some((instant, instant)),
        MappedLocalTime::Ambiguous(first, last) => Some((first, last)),
        MappedLocalTime::None => end_of_gap(wall, zone).map(|end| (end, end)),
    }
}

fn end_of_gap(time: NaiveDateTime, zone: Zone) -> Option<Time> {
    let mut before = time.and_utc().checked_sub_signed(OFFSET)?;
    let mut after = time.and_utc().checked_add_signed(OFFSET)?;
    while after - before > TimeDelta::seconds(1) {
        let between = before + TimeDelta::seconds((after - before).num_seconds() / 2);
        if zone.wall(between) < time {
            before = between;
        } else {
            after = between;
        }
    }
    Some(after)
}
