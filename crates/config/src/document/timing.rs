//! When: `schedule:` of a policy.

use chrono::TimeDelta;
use lagan_scheduler::{Cron, CronError, Schedule, Tz};

use super::keep::{age, timezone};
use crate::decode::{Fields, Schema, text};
use crate::error::{Problems, Read};
use crate::source::{Span, quoted};
use crate::tree::Node;

pub(crate) const SCHEMA: Schema = Schema {
    what: "`schedule`",
    keys: &["cron", "timezone", "jitter"],
    later: &[],
};

/// A run that begins later than this after its time is not the one that was meant.
const MOST_JITTER: TimeDelta = TimeDelta::days(1);

/// Reads a schedule.
pub(crate) fn schedule(node: &Node, place: Span, problems: &mut Problems<'_>) -> Read<Schedule> {
    let fields = Fields::open(node, place, &SCHEMA, problems)?;
    let hint = Some("`schedule: {cron: \"0 3 * * *\", timezone: Europe/Berlin}`");
    let cron = fields
        .required("cron", hint, problems)
        .and_then(|(_, node)| cron(node, problems));
    let zone = fields.optional("timezone", |node| zone(node, problems));
    let jitter = fields.optional("jitter", |node| {
        let jitter = age(node, problems)?;
        if jitter.delta() > MOST_JITTER {
            return Err(problems.report(node.span, "`jitter` is at most a day", None));
        }
        Ok(jitter.delta())
    });
    Ok(Schedule {
        cron: cron?,
        zone: zone?.unwrap_or_default(),
        jitter: jitter?.unwrap_or_default(),
    })
}

fn cron(node: &Node, problems: &mut Problems<'_>) -> Read<Cron> {
    let written = text(node, "a cron expression", problems)?;
    written.parse().map_err(|error: CronError| {
        let hint = match error {
            CronError::Fields(_) => Some("\"0 3 * * *\" is three o'clock, every day".to_owned()),
            CronError::Never => Some("the last day of every month is the day before its 1st".to_owned()),
            _ => None,
        };
        let message = match error {
            CronError::Fields(_) | CronError::Never => format!("{}: {error}", quoted(written)),
            _ => error.to_string(),
        };
        problems.report(node.span, message, hint)
    })
}

fn zone(node: &Node, problems: &mut Problems<'_>) -> Read<Tz> {
    let zone = timezone(node, problems)?;
    // Both read the same names.
    zone.as_str()
        .parse()
        .map_err(|error| problems.report(node.span, format!("{error}"), None))
}
