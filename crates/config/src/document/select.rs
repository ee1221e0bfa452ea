//! `select:` of a rule.

use lagan_policy::version::ChannelSet;
use lagan_policy::{Channel, Select, TagPattern, TagRegex, VersionRequirement, VersionTable};

use crate::decode::{Fields, Schema, one_or_more, parsed, text};
use crate::error::{Problems, Read};
use crate::source::Span;
use crate::suggest::did_you_mean;
use crate::tree::Node;

/// The keys of a selection.
pub(crate) const SCHEMA: Schema = Schema {
    what: "`select`",
    keys: &["tags", "exclude", "regex", "channel", "version"],
    later: &[
        "untagged",
        "min_age",
        "labels",
        "media_type",
        "artifact_type",
        "superseded",
    ],
};

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
    let select = Select {
        tags: tags?.unwrap_or_default(),
        exclude: exclude?.unwrap_or_default(),
        regex: regex?,
        channel: channel?,
        version: version?,
    };
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
