//! `select:` of a rule.

use lagan_policy::document::{DEFAULT_MIN_AGE, Labels};
use lagan_policy::version::ChannelSet;
use lagan_policy::{
    Age, Channel, Select, TagPattern, TagRegex, TextPattern, VersionRequirement, VersionTable,
};

use super::keep::age;
use crate::decode::{Fields, Schema, all, check_label, mapping, one_or_more, parsed, text, truth};
use crate::error::{Problems, Read};
use crate::source::{Span, quoted};
use crate::suggest::did_you_mean;
use crate::tree::{Node, Value};

/// The keys of a selection.
pub(crate) const SCHEMA: Schema = Schema {
    what: "`select`",
    keys: &[
        "tags",
        "exclude",
        "regex",
        "channel",
        "version",
        "untagged",
        "min_age",
        "labels",
        "media_type",
        "artifact_type",
        "superseded",
        "orphaned",
    ],
    later: &[],
};

/// Conditions on a tag's name, which what has no tag, and what is attached, cannot meet.
const BY_NAME: [&str; 6] = ["tags", "exclude", "regex", "channel", "version", "superseded"];

/// Reads a selection; one that selects nothing, or everything by saying nothing, is an error.
pub(crate) fn decode(
    node: &Node,
    place: Span,
    versions: &VersionTable,
    problems: &mut Problems<'_>,
) -> Read<Select> {
    let fields = Fields::open(node, place, &SCHEMA, problems)?;
    let tags = fields.optional("tags", |node| globs(node, problems));
    let exclude = fields.optional("exclude", |node| globs(node, problems));
    let regex = fields.optional("regex", |node| regex(node, problems));
    let channel = fields.optional("channel", |node| channels(node, problems));
    let version = fields.optional("version", |node| {
        let text = text(node, "a version requirement", problems)?;
        VersionRequirement::read(text, versions).map_err(|error| {
            let hint = "a requirement reads `>=1.0.0, <2.0.0`, `^1.2`, `~1.4.2` or `1.*`".to_owned();
            problems.report(node.span, error.to_string(), Some(hint))
        })
    });
    let untagged = untagged(&fields, problems);
    let labels = fields.optional("labels", |node| labels(node, problems));
    let media_type = fields.optional("media_type", |node| types(node, problems));
    let artifact_type = fields.optional("artifact_type", |node| types(node, problems));
    let superseded = flag(&fields, "superseded", problems);
    let orphaned = flag(&fields, "orphaned", problems);
    let names = only_names(&fields, problems);
    let select = Select {
        tags: tags?.unwrap_or_default(),
        exclude: exclude?.unwrap_or_default(),
        regex: regex?,
        channel: channel?,
        version: version?,
        untagged: untagged?,
        labels: labels?.unwrap_or_default(),
        media_type: media_type?.unwrap_or_default(),
        artifact_type: artifact_type?.unwrap_or_default(),
        superseded: superseded?,
        orphaned: orphaned?,
    };
    names?;
    fields.incomplete()?;
    if select.is_empty() {
        let (message, hint) = if select.exclude.is_empty() {
            (
                "`select` is empty",
                problems.say(
                    "`tags: \"*\"` selects every tag",
                    "`--select tags=*` selects every tag",
                ),
            )
        } else {
            let hint = problems.say(
                "add `tags: \"*\"` to begin with every tag",
                "add `--select tags=*` to begin with every tag",
            );
            ("`exclude` alone selects nothing: it only narrows", hint)
        };
        return Err(problems.report(place, message, hint));
    }
    Ok(select)
}

/// `true`, or nothing at all: a condition that does not hold is not written.
pub(crate) fn flag(fields: &Fields<'_>, key: &str, problems: &mut Problems<'_>) -> Read<bool> {
    let Some(node) = fields.get(key) else {
        return Ok(false);
    };
    if truth(node, problems)? {
        return Ok(true);
    }
    let hint = format!("leave `{key}` out: without it nothing depends on it");
    Err(problems.report(node.span, format!("`{key}: false` is no condition"), Some(hint)))
}

fn untagged(fields: &Fields<'_>, problems: &mut Problems<'_>) -> Read<Option<Age>> {
    let given = flag(fields, "untagged", problems);
    let min_age = fields.optional("min_age", |node| age(node, problems));
    let (given, min_age) = (given?, min_age?);
    match (given, fields.entry("min_age")) {
        (false, Some((key, _))) => {
            fields.incomplete()?;
            let hint = problems.say(
                "it is the least age, since it was pushed, of what `untagged: true` selects",
                "it is the least age, since it was pushed, of what `--select untagged=true` selects",
            );
            Err(problems.report(key.span, "`min_age` says nothing without `untagged`", hint))
        }
        (false, None) => Ok(None),
        // The default parses: a test holds that.
        (true, _) => Ok(min_age.or_else(|| DEFAULT_MIN_AGE.parse().ok())),
    }
}

/// Reports conditions that what the rule selects can never meet.
fn only_names(fields: &Fields<'_>, problems: &mut Problems<'_>) -> Read<()> {
    let (what, key) = match (fields.has("untagged"), fields.entry("orphaned")) {
        (true, Some((key, _))) => {
            let hint = Some("write one rule for each".to_owned());
            return Err(problems.report(key.span, "what is attached is never `untagged`", hint));
        }
        (true, None) => ("what has no tag", "untagged"),
        (false, Some(_)) => ("what is attached", "orphaned"),
        (false, None) => return Ok(()),
    };
    let beside = BY_NAME.into_iter().filter_map(|name| fields.entry(name));
    all(beside, |(named, _)| {
        let message = format!("{what} never meets {}", quoted(&named.text));
        let hint = Some(format!("write one rule with `{key}`, and another one for tags"));
        Err(problems.report(named.span, message, hint))
    })
    .map(|_: Vec<()>| ())
}

/// Labels by their keys, each with a glob or several for its value.
pub(crate) fn labels(node: &Node, problems: &mut Problems<'_>) -> Read<Labels> {
    if let Value::Scalar { text, .. } = &node.value
        && !node.is_nothing()
    {
        let hint = problems.say(
            &format!("`labels: {{{text}: \"*\"}}` takes any value"),
            &format!("`label={text}=*` takes any value"),
        );
        return Err(problems.report(node.span, format!("{} with which value?", quoted(text)), hint));
    }
    let entries = mapping(node, "`labels`", problems)?;
    if entries.is_empty() {
        let hint = Some("name a label, as in `labels: {tier: scratch}`".to_owned());
        return Err(problems.report(node.span, "`labels` is empty", hint));
    }
    let labels = all(entries, |(key, value)| {
        let named = check_label(&key.text, key.span, "the key of a label", problems);
        let values = one_or_more(value, "a list of globs", problems, |item, problems| {
            parsed(item, "a glob", problems)
        });
        named?;
        Ok((key.text.clone(), values?))
    })?;
    Ok(labels.into_iter().collect())
}

fn types(node: &Node, problems: &mut Problems<'_>) -> Read<Vec<TextPattern>> {
    one_or_more(node, "a list of types", problems, |item, problems| {
        parsed(item, "a type", problems)
    })
}

/// Globs over tags, or one.
pub(crate) fn globs(node: &Node, problems: &mut Problems<'_>) -> Read<Vec<TagPattern>> {
    one_or_more(node, "a list of globs", problems, |item, problems| {
        parsed(item, "a glob", problems)
    })
}

/// An expression over tags.
pub(crate) fn regex(node: &Node, problems: &mut Problems<'_>) -> Read<TagRegex> {
    parsed(node, "a regular expression", problems)
}

/// Channels, or one.
pub(crate) fn channels(node: &Node, problems: &mut Problems<'_>) -> Read<ChannelSet> {
    let sets = one_or_more(node, "a list of channels", problems, |item, problems| {
        let name = text(item, "a channel", problems)?;
        name.parse::<ChannelSet>().map_err(|error| {
            let known = Channel::SELECTABLE
                .into_iter()
                .map(Channel::as_str)
                .chain(["prerelease"]);
            problems.report(item.span, error.to_string(), did_you_mean(name, known))
        })
    })?;
    Ok(sets.into_iter().collect())
}
