//! `channels:` extends the table of words by which tags are read.

use std::collections::HashMap;

use lagan_policy::version::Meaning;
use lagan_policy::{Channel, VersionTable};

use crate::decode::{Fields, Schema, all, one_or_more, text};
use crate::error::{Problems, Read};
use crate::source::{Span, quoted};
use crate::tree::{Key, Node};

pub(crate) const SCHEMA: Schema = Schema {
    what: "`channels`",
    keys: &["stable", "rc", "beta", "alpha", "nightly", "floating", "variant"],
    later: &[],
};

/// The keys, and what a word under each means.
pub(crate) const MEANINGS: &[(&str, Meaning)] = &[
    ("stable", Meaning::Channel(Channel::Stable)),
    ("rc", Meaning::Channel(Channel::Rc)),
    ("beta", Meaning::Channel(Channel::Beta)),
    ("alpha", Meaning::Channel(Channel::Alpha)),
    ("nightly", Meaning::Channel(Channel::Nightly)),
    ("floating", Meaning::Alias),
    ("variant", Meaning::Variant),
];

/// The default table, with the words of the document. Where they cannot be read the default is returned with
/// the proof, for the versions elsewhere in the document to be read by.
pub(crate) fn decode(entry: Option<&(Key, Node)>, problems: &mut Problems<'_>) -> (VersionTable, Read<()>) {
    let mut table = VersionTable::default();
    let read = match entry {
        Some((key, node)) => extend(&mut table, node, key.span, problems),
        None => Ok(()),
    };
    (table, read)
}

fn extend(table: &mut VersionTable, node: &Node, place: Span, problems: &mut Problems<'_>) -> Read<()> {
    let fields = Fields::open(node, place, &SCHEMA, problems)?;
    let mut seen: HashMap<String, &str> = HashMap::new();
    all(MEANINGS, |(name, meaning)| {
        let Some(node) = fields.get(name) else {
            return Ok(());
        };
        one_or_more(node, "a list of words", problems, |item, problems| {
            let word = text(item, "a word", problems)?;
            if let Some(other) = seen.insert(word.to_ascii_lowercase(), name) {
                let message = format!("{} is already in {}", quoted(word), quoted(other));
                return Err(problems.report(item.span, message, None));
            }
            table
                .add(word, *meaning)
                .map_err(|error| problems.report(item.span, error.to_string(), None))
        })
        .map(drop)
    })
    .map(drop)
}
