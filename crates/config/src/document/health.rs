//! `health:`: what is expected of registries and policies.

use std::time::Duration;

use chrono::TimeDelta;
use lagan_health::{Share, Targets};

use super::keep::age;
use crate::decode::{Fields, Schema, number, text};
use crate::error::{Problems, Read};
use crate::source::{Span, quoted};
use crate::tree::Node;

pub(crate) const SCHEMA: Schema = Schema {
    what: "`health`",
    keys: &[
        "window",
        "success_rate",
        "latency",
        "error_growth",
        "saturation",
        "alert_below",
    ],
    later: &[],
};

/// Reads what is expected; what is not given has its default.
pub(crate) fn decode(node: &Node, place: Span, problems: &mut Problems<'_>) -> Read<Targets> {
    let fields = Fields::open(node, place, &SCHEMA, problems)?;
    let window = fields.optional("window", |node| window(node, problems));
    let success_rate = fields.optional("success_rate", |node| share(node, problems));
    let latency = fields.optional("latency", |node| latency(node, problems));
    let error_growth = fields.optional("error_growth", |node| share(node, problems));
    let saturation = fields.optional("saturation", |node| share(node, problems));
    let alert_below = fields.optional("alert_below", |node| points(node, problems));
    let defaults = Targets::default();
    Ok(Targets {
        window: window?.unwrap_or(defaults.window),
        success_rate: success_rate?.unwrap_or(defaults.success_rate),
        latency: latency?.unwrap_or(defaults.latency),
        error_growth: error_growth?.unwrap_or(defaults.error_growth),
        saturation: saturation?.unwrap_or(defaults.saturation),
        alert_below: alert_below?.unwrap_or(defaults.alert_below),
    })
}

fn window(node: &Node, problems: &mut Problems<'_>) -> Read<TimeDelta> {
    let window = age(node, problems)?.delta();
    if (Targets::SHORTEST_WINDOW..=Targets::LONGEST_WINDOW).contains(&window) {
        return Ok(window);
    }
    Err(problems.report(node.span, "`window` is from an hour to 31 days", None))
}

/// A length of time; milliseconds stand alone.
fn latency(node: &Node, problems: &mut Problems<'_>) -> Read<Duration> {
    let written = text(node, "a length of time", problems)?;
    let milliseconds = written.strip_suffix("ms").and_then(|number| {
        let digits = number.bytes().all(|byte| byte.is_ascii_digit());
        number.parse::<u32>().ok().filter(|_| digits)
    });
    let latency = match milliseconds {
        Some(milliseconds) => Duration::from_millis(milliseconds.into()),
        // A length of time is positive.
        None => age(node, problems)?.delta().to_std().unwrap_or_default(),
    };
    if latency.is_zero() {
        return Err(problems.report(node.span, "no request is answered in no time", None));
    }
    Ok(latency)
}

/// A number of percent, with up to two decimals and its sign.
fn share(node: &Node, problems: &mut Problems<'_>) -> Read<Share> {
    let written = text(node, "a number of percent, as in `99.5%`", problems)?;
    hundredths(written).and_then(Share::hundredths).ok_or_else(|| {
        let message = format!("{} is not from 0% to 100%", quoted(written));
        let hint = "write a number with up to two decimals, and its sign, as in `99.5%`";
        problems.report(node.span, message, Some(hint.to_owned()))
    })
}

fn hundredths(written: &str) -> Option<u16> {
    let number = written.strip_suffix('%')?;
    let (whole, decimals) = number.split_once('.').unwrap_or((number, "0"));
    let digits =
        |text: &str, most| (1..=most).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit());
    if !digits(whole, 3) || !digits(decimals, 2) {
        return None;
    }
    let decimals = format!("{decimals:0<2}").parse::<u16>().ok()?;
    whole.parse::<u16>().ok()?.checked_mul(100)?.checked_add(decimals)
}

fn points(node: &Node, problems: &mut Problems<'_>) -> Read<u8> {
    let points = number(node, "a whole number from 0 to 100", problems)?;
    u8::try_from(points)
        .ok()
        .filter(|points| *points <= 100)
        .ok_or_else(|| problems.report(node.span, format!("a score is from 0 to 100, not {points}"), None))
}
