//! Between wall clocks and instants.

use chrono::{LocalResult, NaiveDateTime, TimeDelta, TimeZone as _};
use chrono_tz::Tz;

use crate::Time;

/// How far a zone's time lies from UTC at most, and then some.
const OFFSET: TimeDelta = TimeDelta::hours(26);

/// What wall clocks show.
pub(crate) fn wall(time: Time, zone: Tz) -> NaiveDateTime {
    time.with_timezone(&zone).naive_local()
}

/// The first and the last instant at which wall clocks show a time. Where they jump over it, that is when they do.
pub(crate) fn instants(wall: NaiveDateTime, zone: Tz) -> Option<(Time, Time)> {
    match zone.from_local_datetime(&wall) {
        LocalResult::Single(instant) => Some((instant.to_utc(), instant.to_utc())),
        LocalResult::Ambiguous(first, last) => Some((first.to_utc(), last.to_utc())),
        LocalResult::None => end_of_gap(wall, zone).map(|end| (end, end)),
    }
}

fn end_of_gap(time: NaiveDateTime, zone: Tz) -> Option<Time> {
    let mut before = time.and_utc().checked_sub_signed(OFFSET)?;
    let mut after = time.and_utc().checked_add_signed(OFFSET)?;
    while after - before > TimeDelta::seconds(1) {
        let between = before + TimeDelta::seconds((after - before).num_seconds() / 2);
        if wall(between, zone) < time {
            before = between;
        } else {
            after = between;
        }
    }
    Some(after)
}
