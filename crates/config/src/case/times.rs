//! Times as cases write them.

use chrono::{DateTime, NaiveDate, NaiveTime, Utc};
use lagan_model::{Fact, Time, Unknown};
use lagan_policy::Age;

use crate::decode::text;
use crate::error::{Problems, Read, Reported};
use crate::source::{Span, quoted};
use crate::tree::Node;

/// The clock of a case: ages count back from it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Clock {
    pub(crate) now: Time,
    /// Whether the case says what time it is.
    pub(crate) given: bool,
}

/// A time: an age before now, a day, a time of RFC 3339, or `unknown`.
pub(super) fn time(node: &Node, clock: Clock, problems: &mut Problems<'_>) -> Read<Fact<Time>> {
    let written = text(node, "a time", problems)?;
    if written == "unknown" {
        return Ok(Fact::Unknown(Unknown::Missing));
    }
    if let Ok(age) = written.parse::<Age>() {
        let at = clock.now.checked_sub_signed(age.delta());
        return Ok(at.map_or(Fact::Unknown(Unknown::Zero), Fact::Known));
    }
    match moment(written) {
        Some(_) if !clock.given => {
            let message = format!(
                "{} is a point in time, and the case does not say what time it is",
                quoted(written)
            );
            let hint = "add `now`, or give an age: `created: 30d`".to_owned();
            Err(problems.report(node.span, message, Some(hint)))
        }
        Some(time) => Ok(Fact::Known(time)),
        None => Err(not_a_time(written, node.span, problems)),
    }
}

/// As other times, or `never`.
pub(super) fn pulled(node: &Node, clock: Clock, problems: &mut Problems<'_>) -> Read<Fact<Time>> {
    match text(node, "a time, or `never`", problems)? {
        "never" => Ok(Fact::Unknown(Unknown::Zero)),
        _ => time(node, clock, problems),
    }
}

fn not_a_time(written: &str, span: Span, problems: &mut Problems<'_>) -> Reported {
    let hint = "write an age as `30d` or `36h`, a day as `2026-11-20`, a time as `2026-11-20T12:00:00Z`, or `unknown`";
    problems.report(
        span,
        format!("{} is no time", quoted(written)),
        Some(hint.to_owned()),
    )
}

/// `now`: a day or a time.
pub(super) fn now(node: &Node, problems: &mut Problems<'_>) -> Read<Time> {
    let written = text(node, "a time", problems)?;
    moment(written).ok_or_else(|| {
        let hint = Some("a time reads `2026-11-20T12:00:00Z`, a day `2026-11-20`".to_owned());
        problems.report(node.span, format!("{} is no time", quoted(written)), hint)
    })
}

fn moment(written: &str) -> Option<Time> {
    if let Ok(time) = DateTime::parse_from_rfc3339(written) {
        return Some(time.with_timezone(&Utc));
    }
    let day = NaiveDate::parse_from_str(written, "%Y-%m-%d").ok()?;
    Some(day.and_time(NaiveTime::MIN).and_utc())
}
