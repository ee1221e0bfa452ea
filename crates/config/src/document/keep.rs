//! `keep:` of a rule.

use std::str::FromStr as _;

use lagan_policy::{Age, Clock, Keep, KeepLine, Order, Per, Period, Select, Timezone};

use crate::decode::{Fields, Schema, all, choice, mapping, number, sequence, text};
use crate::error::{Problems, Read};
use crate::source::{Span, quoted};
use crate::suggest::did_you_mean;
use crate::tree::{Key, Node, Value};

/// The keys of `keep`.
pub(crate) const SCHEMA: Schema = Schema {
    what: "`keep`",
    keys: &[
        "last",
        "by",
        "per",
        "within",
        "daily",
        "weekly",
        "monthly",
        "yearly",
        "timezone",
        "unless_older_than",
    ],
    later: &[],
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
    if let Value::Sequence(_) = &node.value {
        let items = sequence(node, "a list of mappings", problems)?;
        let parts = all(items, |item| lines(item, item.span, select, problems))?;
        return joined(parts, problems);
    }
    let part = lines(node, place, select, problems)?;
    joined(vec![part], problems)
}

/// What one mapping says.
pub(crate) struct Part {
    lines: Vec<KeepLine>,
    unless_older_than: Option<((Clock, Age), Span)>,
}

/// All that several mappings keep.
pub(crate) fn joined(parts: Vec<Part>, problems: &mut Problems<'_>) -> Read<Keep> {
    let mut keep = Keep::default();
    for part in parts {
        keep.lines.extend(part.lines);
        if let Some((narrowing, span)) = part.unless_older_than
            && keep.unless_older_than.replace(narrowing).is_some()
        {
            let hint = Some("it narrows all that the rule keeps; write it once".to_owned());
            return Err(problems.report(span, "`unless_older_than` is given twice", hint));
        }
    }
    if keep.lines.is_empty() {
        // Alone it means all up to that age.
        keep.lines.push(KeepLine::All);
    }
    Ok(keep)
}

/// Reads one mapping.
pub(crate) fn lines(
    node: &Node,
    place: Span,
    select: Option<&Select>,
    problems: &mut Problems<'_>,
) -> Read<Part> {
    let fields = Fields::open(node, place, &SCHEMA, problems)?;
    let counted = counted(&fields, select, problems);
    let within = fields.optional("within", |node| within(node, problems));
    let unless_older_than = fields.optional("unless_older_than", |node| {
        narrowing(node, problems).map(|narrowing| (narrowing, node.span))
    });
    let lines: Vec<_> = counted?.into_iter().chain(within?.unwrap_or_default()).collect();
    let unless_older_than = unless_older_than?;
    fields.incomplete()?;
    if lines.is_empty() && unless_older_than.is_none() {
        let hint = none_hint(problems);
        return Err(problems.report(place, "`keep` is empty", hint));
    }
    Ok(Part {
        lines,
        unless_older_than,
    })
}

fn none_hint(problems: &Problems<'_>) -> Option<String> {
    problems.say(
        "say `keep: none` if nothing is to be kept",
        "say `--keep none` if nothing is to be kept",
    )
}

/// The lines that count places: `last` and the periods, which share `by`, `per` and `timezone`.
fn counted(fields: &Fields<'_>, select: Option<&Select>, problems: &mut Problems<'_>) -> Read<Vec<KeepLine>> {
    let orders = Order::ALL.map(|order| (order.as_str(), order));
    let last = fields.optional("last", |node| count(node, problems));
    let periods: Vec<_> = Period::ALL
        .into_iter()
        .filter_map(|period| fields.entry(period.as_str()).map(|entry| (period, entry)))
        .collect();
    let counts = all(&periods, |(period, (_, node))| match count(node, problems)? {
        0 => {
            let message = format!("`{period}: 0` keeps nothing");
            Err(problems.report(node.span, message, Some(format!("leave `{period}` out"))))
        }
        count => Ok((*period, count)),
    });
    let by = fields.optional("by", |node| choice(node, "an order", &orders, problems));
    let per = fields.optional("per", |node| per(node, select, problems));
    let timezone = fields.optional("timezone", |node| timezone(node, problems));
    idle(fields, &periods, problems)?;
    let first = fields
        .entry("last")
        .or_else(|| periods.first().map(|(_, entry)| *entry));
    let Some((first, _)) = first else {
        return Ok(Vec::new());
    };
    if let (Ok(Some(0)), Some(given)) = (&last, fields.get("last"))
        && !fields.has("within")
        && periods.is_empty()
    {
        fields.incomplete()?;
        return Err(problems.report(given.span, "the last 0 keep nothing", none_hint(problems)));
    }
    if !fields.has("by") {
        fields.incomplete()?;
        let (names, message): (Vec<_>, _) = if periods.is_empty() {
            let names = orders.iter().map(|(name, _)| *name).collect();
            (names, "`last` needs `by`: the last in what order?".to_owned())
        } else {
            let names = Clock::ALL.iter().map(|clock| clock.as_str()).collect();
            (names, format!("`{}` needs `by`: by which clock?", first.text))
        };
        let hint = format!("add `by`: one of {}", names.join(", "));
        return Err(problems.report(first.span, message, Some(hint)));
    }
    let by = by.and_then(|by| match (by, periods.first()) {
        (Some(by), Some((period, _))) => clocked(by, *period, fields, problems).map(|()| Some(by)),
        _ => Ok(by),
    });
    let (last, counts, by, per, timezone) = (last?, counts?, by?, per?, timezone?);
    let Some(by) = by else { return Ok(Vec::new()) };
    let per = per.unwrap_or_else(|| by.default_per());
    let last = last.map(|count| KeepLine::Last {
        count,
        by,
        per: per.clone(),
    });
    let periods = counts.into_iter().filter_map(|(period, count)| match by {
        Order::Clock(clock) => Some(KeepLine::Period {
            period,
            count,
            clock,
            per: per.clone(),
            timezone: timezone.unwrap_or_default(),
        }),
        _ => None,
    });
    Ok(last.into_iter().chain(periods).collect())
}

/// Reports keys that say nothing without those that they belong to.
fn idle(fields: &Fields<'_>, periods: &[(Period, &(Key, Node))], problems: &mut Problems<'_>) -> Read<()> {
    let counted = fields.has("last") || !periods.is_empty();
    let entries = [
        ("by", counted),
        ("per", counted),
        ("timezone", !periods.is_empty()),
    ]
    .into_iter()
    .filter(|(_, used)| !used)
    .filter_map(|(key, _)| fields.entry(key))
    .collect::<Vec<_>>();
    if entries.is_empty() {
        return Ok(());
    }
    fields.incomplete()?;
    all(entries, |(key, _)| {
        let wanted = if key.text == "timezone" {
            "`daily`, `weekly`, `monthly` or `yearly`"
        } else {
            "`last` or a period such as `daily`"
        };
        let message = format!("{} says nothing without {wanted}", quoted(&key.text));
        Err(problems.report(key.span, message, None))
    })
    .map(|_: Vec<()>| ())
}

/// Reports a period by something that is no clock.
fn clocked(by: Order, period: Period, fields: &Fields<'_>, problems: &mut Problems<'_>) -> Read<()> {
    if let (Order::Version | Order::Semver | Order::Name, Some(node)) = (by, fields.get("by")) {
        let hint = if fields.has("last") {
            problems.say(
                &format!("write two lines: `keep: [{{last: 10, by: {by}}}, {{{period}: 7, by: created}}]`"),
                &format!("write two: `--keep last=10,by={by} --keep {period}=7,by=created`"),
            )
        } else {
            let names: Vec<_> = Clock::ALL.iter().map(|clock| clock.as_str()).collect();
            Some(format!("the clocks are {}", names.join(", ")))
        };
        let message = format!("`{period}` needs a clock, and `{by}` is none");
        return Err(problems.report(node.span, message, hint));
    }
    Ok(())
}

fn count(node: &Node, problems: &mut Problems<'_>) -> Read<u32> {
    let count = number(node, "a whole number", problems)?;
    u32::try_from(count).map_err(|_| problems.report(node.span, format!("{count} is too large"), None))
}

pub(crate) fn timezone(node: &Node, problems: &mut Problems<'_>) -> Read<Timezone> {
    let name = text(node, "a time zone", problems)?;
    name.parse().map_err(|error: String| {
        let hint = did_you_mean(name, Timezone::names())
            .unwrap_or_else(|| "a time zone reads `Europe/Berlin` or `UTC`".to_owned());
        problems.report(node.span, error, Some(hint))
    })
}

fn narrowing(node: &Node, problems: &mut Problems<'_>) -> Read<(Clock, Age)> {
    let ages = ages(node, "unless_older_than", "180d", problems)?;
    match ages.as_slice() {
        [one] => Ok(one.clone()),
        _ => {
            let hint = Some("older by one of them, or by all? Write one rule for each".to_owned());
            Err(problems.report(node.span, "`unless_older_than` has one clock", hint))
        }
    }
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
    let ages = ages(node, "within", "30d", problems)?;
    let line = |(clock, age)| KeepLine::Within { clock, age };
    Ok(ages.into_iter().map(line).collect())
}

/// Lengths of time by their clocks.
fn ages(node: &Node, key: &str, example: &str, problems: &mut Problems<'_>) -> Read<Vec<(Clock, Age)>> {
    if let Value::Scalar { text, .. } = &node.value
        && !node.is_nothing()
    {
        let message = format!("{} by which clock?", quoted(text));
        let hint = problems.say(
            &format!("name the clock, as in `{key}: {{created: {example}}}`"),
            &format!("name the clock, as in `--keep {key}=created:{example}`"),
        );
        return Err(problems.report(node.span, message, hint));
    }
    let entries = mapping(node, &quoted(key), problems)?;
    if entries.is_empty() {
        let hint = Some(format!("name a clock, as in `{key}: {{created: {example}}}`"));
        return Err(problems.report(node.span, format!("`{key}` is empty"), hint));
    }
    let clocks = Clock::ALL.map(|clock| (clock.as_str(), clock));
    all(entries, |(key, value)| {
        let name = Node::argument(&key.text, key.span);
        let clock = choice(&name, "a clock", &clocks, problems);
        let age = age(value, problems);
        Ok((clock?, age?))
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
