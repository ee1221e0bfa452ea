//! `expect:` of a case.

use std::collections::HashMap;
use std::fmt;

use lagan_model::Tag;
use lagan_policy::{Reason, Verdict};
use serde::Deserialize as _;
use serde::de::value::MapDeserializer;

use super::{Expected, ExpectedReason};
use crate::case::facts::tag;
use crate::decode::{Fields, Schema, all, choice, label, one_or_more, text};
use crate::error::{Problems, Read};
use crate::source::{Span, quoted};
use crate::suggest::did_you_mean;
use crate::tree::{Key, Node, Value};

/// The keys of `expect`.
pub(crate) const EXPECT: Schema = Schema {
    what: "`expect`",
    keys: &["keep", "delete", "untag", "unlisted"],
    later: &[],
};

/// The keys of a reason that is more than its kind.
pub(crate) const REASON: Schema = Schema {
    what: "an expected reason",
    keys: &["because", "rule"],
    later: &[],
};

/// What may be said of tags that `expect` does not list.
pub(crate) const UNLISTED: &[(&str, Unlisted)] = &[
    ("keep", Unlisted::Keep),
    ("any", Unlisted::Any),
    ("error", Unlisted::Error),
];

const VERDICTS: &[(&str, Verdict)] = &[
    ("keep", Verdict::Keep),
    ("delete", Verdict::Delete),
    ("untag", Verdict::Untag),
];

/// What is expected of tags that a case does not list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unlisted {
    /// They stay.
    Keep,
    /// Nothing.
    Any,
    /// There are none.
    Error,
}

/// What a case expects, with the place of every tag.
pub(crate) struct Expectations {
    pub(crate) tags: Vec<(Expected, Span)>,
    pub(crate) unlisted: Unlisted,
}

/// Reads `expect:`.
pub(crate) fn decode(entry: &(Key, Node), problems: &mut Problems<'_>) -> Read<Expectations> {
    let (key, node) = entry;
    let fields = Fields::open(node, key.span, &EXPECT, problems)?;
    let unlisted = fields.optional("unlisted", |node| {
        choice(
            node,
            "what becomes of tags that are not listed",
            UNLISTED,
            problems,
        )
    });
    let mut seen: HashMap<Tag, usize> = HashMap::new();
    let tags = all(VERDICTS, |(name, verdict)| match fields.get(name) {
        None => Ok(Vec::new()),
        Some(node) => listed(node, *verdict, &mut seen, problems),
    });
    let (unlisted, tags) = (unlisted?, tags?.concat());
    fields.incomplete()?;
    if tags.is_empty() && unlisted.is_none() {
        let hint =
            "`expect: {delete: [1.0.0-rc.1]}`, or `expect: {unlisted: keep}` where nothing goes".to_owned();
        return Err(problems.report(key.span, "`expect` is empty", Some(hint)));
    }
    Ok(Expectations {
        tags,
        unlisted: unlisted.unwrap_or(Unlisted::Keep),
    })
}

fn listed(
    node: &Node,
    verdict: Verdict,
    seen: &mut HashMap<Tag, usize>,
    problems: &mut Problems<'_>,
) -> Read<Vec<(Expected, Span)>> {
    let mut add = |tag: Tag, span: Span, because, problems: &mut Problems<'_>| {
        let line = problems.line(span);
        if let Some(first) = seen.insert(tag.clone(), line) {
            let message = format!(
                "{} is expected twice, first on line {first}",
                quoted(tag.as_str())
            );
            return Err(problems.report(span, message, None));
        }
        let expected = Expected {
            tag,
            verdict,
            because,
            listed: true,
        };
        Ok((expected, span))
    };
    if let Value::Mapping { entries, .. } = &node.value {
        return all(entries, |(key, node)| {
            let tag = tag(&key.text, key.span, problems);
            let because = if node.is_nothing() {
                Ok(Vec::new())
            } else {
                reasons(node, key.span, problems)
            };
            add(tag?, key.span, because?, problems)
        });
    }
    one_or_more(
        node,
        "a list of tags, or a mapping of tags to reasons",
        problems,
        |item, problems| {
            let tag = tag(text(item, "a tag", problems)?, item.span, problems)?;
            add(tag, item.span, Vec::new(), problems)
        },
    )
}

/// A kind of reason, several, or a mapping that names the rule too.
fn reasons(node: &Node, place: Span, problems: &mut Problems<'_>) -> Read<Vec<ExpectedReason>> {
    if !matches!(node.value, Value::Mapping { .. }) {
        let kinds = one_or_more(node, "a reason, or a list of them", problems, kind)?;
        let reason = |kind| ExpectedReason {
            kind: Some(kind),
            rule: None,
        };
        return Ok(kinds.into_iter().map(reason).collect());
    }
    let fields = Fields::open(node, place, &REASON, problems)?;
    let kinds = fields.optional("because", |node| {
        one_or_more(node, "a reason, or a list of them", problems, kind)
    });
    let rule = fields.optional("rule", |node| {
        label(node, "the name of a rule", problems).map(str::to_owned)
    });
    let (kinds, rule) = (kinds?, rule?);
    fields.incomplete()?;
    match (kinds, rule) {
        (None, None) => Err(problems.report(place, "an expected reason needs `because` or `rule`", None)),
        (None, rule) => Ok(vec![ExpectedReason { kind: None, rule }]),
        (Some(kinds), rule) => Ok(kinds
            .into_iter()
            .map(|kind| ExpectedReason {
                kind: Some(kind),
                rule: rule.clone(),
            })
            .collect()),
    }
}

fn kind(node: &Node, problems: &mut Problems<'_>) -> Read<String> {
    let written = text(node, "a kind of reason", problems)?;
    let known = kinds();
    if known.contains(&written) {
        return Ok(written.to_owned());
    }
    let hint = did_you_mean(written, known.iter().copied())
        .unwrap_or_else(|| format!("the kinds are {}", known.join(", ")));
    Err(problems.report(
        node.span,
        format!("{} is no kind of reason", quoted(written)),
        Some(hint),
    ))
}

/// Every kind of reason that there is, as JSON has it.
///
/// What reads reasons has the list, and tells it whoever asks for another kind: a list of our own would fall behind.
pub(crate) fn kinds() -> &'static [&'static str] {
    let no_kind: MapDeserializer<'_, _, Kinds> = MapDeserializer::new(std::iter::once(("kind", "")));
    Reason::deserialize(no_kind).map_or_else(|Kinds(kinds)| kinds, |_| &[])
}

/// An error that remembers which variants there would have been.
#[derive(Debug)]
struct Kinds(&'static [&'static str]);

impl fmt::Display for Kinds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the kinds are {}", self.0.join(", "))
    }
}

impl std::error::Error for Kinds {}

impl serde::de::Error for Kinds {
    fn custom<T: fmt::Display>(_: T) -> Self {
        Self(&[])
    }

    fn unknown_variant(_: &str, expected: &'static [&'static str]) -> Self {
        Self(expected)
    }
}
