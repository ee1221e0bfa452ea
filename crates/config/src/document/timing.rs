//! When: `schedule:` of a policy, and `freeze:`.

use chrono::{NaiveDate, NaiveDateTime, NaiveTime, TimeDelta};
use lagan_policy::Timezone;
use lagan_scheduler::{Cron, CronError, Freeze, Schedule, Zone};

use super::keep::{age, timezone};
use crate::decode::{Fields, Schema, all, label, sequence, text};
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

pub(crate) const FREEZE: Schema = Schema {
    what: "a freeze",
    keys: &["from", "until", "cron", "for", "timezone", "why"],
    later: &[],
};

/// Reads a list of freezes.
pub(crate) fn freezes(node: &Node, problems: &mut Problems<'_>) -> Read<Vec<Freeze>> {
    let wanted = "a list of freezes, as `- {from: 2026-12-20, until: 2027-01-03}`";
    all(sequence(node, wanted, problems)?, |item| freeze(item, problems))
}

fn freeze(node: &Node, problems: &mut Problems<'_>) -> Read<Freeze> {
    let fields = Fields::open(node, node.span, &FREEZE, problems)?;
    let zone = fields.optional("timezone", |node| zone(node, problems));
    let why = fields.optional("why", |node| label(node, "`why`", problems).map(str::to_owned));
    let once = fields.has("from") || fields.has("until");
    let again = fields.has("cron") || fields.has("for");
    if once == again {
        let message = "a freeze has `from` and `until`, or `cron` and `for`";
        return Err(fields
            .misspelled("from")
            .or_else(|| fields.misspelled("cron"))
            .unwrap_or_else(|| problems.report(node.span, message, None)));
    }
    let frozen = if once {
        let from = fields
            .required("from", None, problems)
            .and_then(|(_, node)| moment(node, false, problems));
        let until = fields
            .required("until", None, problems)
            .and_then(|(_, node)| moment(node, true, problems));
        Freeze::once(from?, until?, zone?.unwrap_or_default())
    } else {
        let cron = fields
            .required("cron", None, problems)
            .and_then(|(_, node)| cron(node, problems));
        let lasts = fields
            .required("for", None, problems)
            .and_then(|(_, node)| age(node, problems));
        let starts = Schedule {
            cron: cron?,
            zone: zone?.unwrap_or_default(),
            jitter: TimeDelta::zero(),
        };
        Freeze::again(starts, lasts?.delta())
    };
    let mut freeze = frozen.map_err(|error| problems.report(node.span, error.to_string(), None))?;
    freeze.why = why?;
    Ok(freeze)
}

/// A day, or a time of one. The last day of a freeze is in it.
fn moment(node: &Node, last: bool, problems: &mut Problems<'_>) -> Read<NaiveDateTime> {
    let written = text(node, "a day or a time", problems)?;
    let day = NaiveDate::parse_from_str(written, "%Y-%m-%d").ok();
    let day = if last {
        day.and_then(|day| day.succ_opt())
    } else {
        day
    };
    let time = NaiveDateTime::parse_from_str(written, "%Y-%m-%dT%H:%M")
        .or_else(|_| NaiveDateTime::parse_from_str(written, "%Y-%m-%d %H:%M"));
    match (day, time) {
        (Some(day), _) => Ok(day.and_time(NaiveTime::MIN)),
        (None, Ok(time)) => Ok(time),
        (None, Err(_)) => {
            let message = format!("{} is neither a day nor a time", quoted(written));
            let hint = "a day reads 2026-12-20, a time 2026-12-20T18:00, on the clocks of `timezone`";
            Err(problems.report(node.span, message, Some(hint.to_owned())))
        }
    }
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

fn zone(node: &Node, problems: &mut Problems<'_>) -> Read<Zone> {
    timezone(node, problems).map(Timezone::zone)
}
