//! `keep:` of a rule.

use std::str::FromStr as _;

use lagan_policy::{Age, Clock, Keep, KeepLine, Order, Per, Select};

use crate::decode::{Fields, Schema, all, choice, mapping, number, text};
use crate::error::{Problems, Read};
use crate::source::{Span, quoted};
use crate::suggest::did_you_mean;
use crate::tree::{Node, Value};

/// The keys of `keep`.
pub(crate) const SCHEMA: Schema = Schema {
    what: "`keep`",
    keys: &["last", "by", "per", "within"],
    later: &[
        "daily",
        "weekly",
        "monthly",
        "yearly",
        "timezone",
        "unless_older_than",
    ],
};

const ALL_OR_NONE: &[(&str, bool)] = &[("all", true), ("none", false)];

/// Reads what is kept. `select` is the rule's selection, where it could be read: groups are looked up in it.
pub(crate) fn decode(
    node: &Node,
    place: Span,
    select: Option<&Select>,
    problems: &mut Problems<'_>,
) -> Read<Keep> {
    if let Value::Scalar { text, .. } = &node.value
        && !node.is_nothing()
    {
        if text.parse::<u64>().is_ok() {
            let message = format!("{} of what order?", quoted(text));
            let hint = problems.say(
                &format!("write `keep: {{last: {text}, by: version}}`"),
                &format!("write `--keep last={text},by=version`"),
            );
            return Err(problems.report(node.span, message, hint));
        }
        let all = choice(node, "`all`, `none` or a mapping", ALL_OR_NONE, problems)?;
        return Ok(if all { Keep::all() } else { Keep::none() });
    }
    let fields = Fields::open(node, place, &SCHEMA, problems)?;
    let last = last(&fields, select, problems);
    let within = fields.optional("within", |node| within(node, problems));
    let lines: Vec<_> = last?.into_iter().chain(within?.unwrap_or_default()).collect();
    fields.incomplete()?;
    if lines.is_empty() {
        let hint = none_hint(problems);
        return Err(problems.report(place, "`keep` is empty", hint));
    }
    Ok(Keep { lines })
}

fn none_hint(problems: &Problems<'_>) -> Option<String> {
    problems.say(
        "say `keep: none` if nothing is to be kept",
        "say `--keep none` if nothing is to be kept",
    )
}

fn last(fields: &Fields<'_>, select: Option<&Select>, problems: &mut Problems<'_>) -> Read<Option<KeepLine>> {
    let count = fields.optional("last", |node| {
        let count = number(node, "a whole number", problems)?;
        u32::try_from(count).map_err(|_| problems.report(node.span, format!("{count} is too large"), None))
    });
    let orders = Order::ALL.map(|order| (order.as_str(), order));
    let by = fields.optional("by", |node| choice(node, "an order", &orders, problems));
    let per = fields.optional("per", |node| per(node, select, problems));
    let Some((last, given)) = fields.entry("last") else {
        fields.incomplete()?;
        return all(
            ["by", "per"].into_iter().filter_map(|key| fields.entry(key)),
            |(key, _)| {
                let message = format!("{} says nothing without `last`", quoted(&key.text));
                Err(problems.report(key.span, message, None))
            },
        )
        .map(|_: Vec<()>| None);
    };
    if matches!(count, Ok(Some(0))) && !fields.has("within") {
        fields.incomplete()?;
        return Err(problems.report(given.span, "the last 0 keep nothing", none_hint(problems)));
    }
    if !fields.has("by") {
        fields.incomplete()?;
        let hint = format!("add `by`: one of {}", orders.map(|(name, _)| name).join(", "));
        return Err(problems.report(
            last.span,
            "`last` needs `by`: the last in what order?",
            Some(hint),
        ));
    }
    let (count, by, per) = (count?, by?, per?);
    Ok(count.zip(by).map(|(count, by)| KeepLine::Last {
        count,
        by,
        per: per.unwrap_or_else(|| by.default_per()),
    }))
}

fn per(node: &Node, select: Option<&Select>, problems: &mut Problems<'_>) -> Read<Per> {
    const NAMES: [&str; 5] = ["repository", "channel", "major", "minor", "variant"];
    let name = text(node, "a grouping", problems)?;
    let per =
        Per::from_str(name).map_err(|error| problems.report(node.span, error, did_you_mean(name, NAMES)))?;
    if let (Per::Capture(group), Some(select)) = (&per, select) {
        let hint = Some(format!("name a group in it, as in `(?<{group}>...)`"));
        match &select.regex {
            None => {
                let message = format!("{} needs a `regex` in `select`", quoted(name));
                return Err(problems.report(node.span, message, hint));
            }
            Some(regex) if !regex.has_group(group) => {
                let message = format!("the `regex` of this rule has no group named {}", quoted(group));
                return Err(problems.report(node.span, message, hint));
            }
            Some(_) => {}
        }
    }
    Ok(per)
}

fn within(node: &Node, problems: &mut Problems<'_>) -> Read<Vec<KeepLine>> {
    if let Value::Scalar { text, .. } = &node.value
        && !node.is_nothing()
    {
        let message = format!("{} by which clock?", quoted(text));
        let hint = problems.say(
            "name the clock, as in `within: {created: 30d}`",
            "name the clock, as in `--keep within=created:30d`",
        );
        return Err(problems.report(node.span, message, hint));
    }
    let entries = mapping(node, "`within`", problems)?;
    if entries.is_empty() {
        let hint = Some("name a clock, as in `within: {created: 30d}`".to_owned());
        return Err(problems.report(node.span, "`within` is empty", hint));
    }
    let clocks = Clock::ALL.map(|clock| (clock.as_str(), clock));
    all(entries, |(key, value)| {
        let name = Node::argument(&key.text, key.span);
        let clock = choice(&name, "a clock", &clocks, problems);
        let age = age(value, problems);
        Ok(KeepLine::Within {
            clock: clock?,
            age: age?,
        })
    })
}

pub(crate) fn age(node: &Node, problems: &mut Problems<'_>) -> Read<Age> {
    let age = text(node, "a length of time", problems)?;
    age.parse().map_err(|error: lagan_policy::age::AgeError| {
        let hint = match (&error, age.parse::<u64>()) {
            (_, Ok(_)) => Some(format!("`{age}d` is {age} days")),
            (lagan_policy::age::AgeError::Unit(_), _) => Some("the units are s, min, h, d and w".to_owned()),
            _ => None,
        };
        problems.report(
            node.span,
            format!("{} cannot be read: {error}", quoted(age)),
            hint,
        )
    })
}
