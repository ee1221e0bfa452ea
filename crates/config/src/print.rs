//! Policies written as a document, in the native form that is read here.
//!
//! The values come from the serialized form of [`Policy`], which is the native one: what is printed is what the hash of
//! a policy is made of. This module only lays them out.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use lagan_policy::version::Meaning;
use lagan_policy::{Age, Policy, VersionTable};
use serde::de::{MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};

use crate::document::channels::MEANINGS;
use crate::document::policy::PolicyEntry;

/// What is said of policies and rules in a printed document: lines, without the sign that begins a comment.
#[derive(Debug, Default)]
pub(crate) struct Comments {
    /// Before everything.
    pub(crate) head: Vec<String>,
    /// Before each policy.
    pub(crate) policies: Vec<Vec<String>>,
    /// Before each rule of each policy.
    pub(crate) rules: Vec<Vec<Vec<String>>>,
}

/// A file of policies, as [`PolicyFile::read`](crate::PolicyFile::read) reads it: the same policies, and the same
/// words.
#[must_use]
pub fn native_file(policies: &[PolicyEntry], versions: &VersionTable) -> String {
    commented_file(policies, versions, &Comments::default())
}

/// A file of policies with comments in it.
pub(crate) fn commented_file(
    policies: &[PolicyEntry],
    versions: &VersionTable,
    comments: &Comments,
) -> String {
    let bodies = policies.iter().enumerate().map(|(position, entry)| {
        let mut body = entries_of(&entry.policy);
        if let Some(rules) = comments.rules.get(position)
            && let Some((_, Value::List(items))) = body.iter_mut().find(|(key, _)| key == "rules")
        {
            let said = rules.iter().cloned().chain(std::iter::repeat(Vec::new()));
            let items_said = std::mem::take(items).into_iter().zip(said);
            *items = items_said.map(|(item, said)| item.commented(said)).collect();
        }
        if let Some(registry) = &entry.registry {
            body.insert(0, ("registry".to_owned(), Value::Text(registry.to_string())));
        }
        let said = comments.policies.get(position).cloned().unwrap_or_default();
        (
            entry.policy.name.to_string(),
            Value::Mapping(body).commented(said),
        )
    });
    let mut document = vec![("policies".to_owned(), Value::Mapping(bodies.collect()))];
    document.extend(channels(versions));
    let mut out = String::new();
    say(&mut out, &comments.head, 0);
    if !out.is_empty() {
        out.push('\n');
    }
    out + &layout(&Value::Mapping(document))
}

/// One policy, as the body of a file of its own; its name stands nowhere in it.
#[must_use]
pub fn native_policy(policy: &Policy) -> String {
    layout(&Value::Mapping(entries_of(policy)))
}

fn entries_of(policy: &Policy) -> Vec<(String, Value)> {
    let json = serde_json::to_string(policy).unwrap_or_default();
    match serde_json::from_str(&json) {
        Ok(Value::Mapping(entries)) => entries,
        // A policy has a JSON form, and that is a mapping.
        _ => Vec::new(),
    }
}

fn channels(versions: &VersionTable) -> Option<(String, Value)> {
    let mut words: BTreeMap<&str, Vec<Value>> = BTreeMap::new();
    for (word, meaning) in versions.added() {
        let named = |(_, known): &&(&str, Meaning)| known == meaning;
        if let Some((name, _)) = MEANINGS.iter().find(named) {
            words.entry(name).or_default().push(Value::Text(word.clone()));
        }
    }
    let entry = |(name, words): (&str, Vec<Value>)| (name.to_owned(), Value::List(words));
    let entries: Vec<_> = words.into_iter().map(entry).collect();
    (!entries.is_empty()).then(|| ("channels".to_owned(), Value::Mapping(entries)))
}

/// What a document is made of, keys in their order.
enum Value {
    /// A number or a truth value, as it is written.
    Plain(String),
    Text(String),
    List(Vec<Value>),
    Mapping(Vec<(String, Value)>),
    /// A value with lines of comment before it.
    Commented(Vec<String>, Box<Value>),
}

impl Value {
    fn commented(self, said: Vec<String>) -> Self {
        if said.is_empty() {
            return self;
        }
        Self::Commented(said, Box::new(self))
    }

    /// What is said before the value, and the value.
    fn apart(&self) -> (&[String], &Self) {
        match self {
            Self::Commented(said, value) => (said, value),
            value => (&[], value),
        }
    }
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct InOrder;

        impl<'de> Visitor<'de> for InOrder {
            type Value = Value;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a value of a document")
            }

            fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
                Ok(Value::Plain(value.to_string()))
            }

            fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
                Ok(Value::Plain(value.to_string()))
            }

            fn visit_str<E>(self, value: &str) -> Result<Value, E> {
                Ok(Value::Text(value.to_owned()))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
                let mut list = Vec::new();
                while let Some(item) = items.next_element()? {
                    list.push(item);
                }
                Ok(Value::List(list))
            }

            fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
                let mut mapping = Vec::new();
                while let Some(entry) = entries.next_entry()? {
                    mapping.push(entry);
                }
                Ok(Value::Mapping(mapping))
            }
        }

        deserializer.deserialize_any(InOrder)
    }
}

/// How wide a list or mapping may be that is written on one line.
const WIDTH: usize = 100;

fn layout(document: &Value) -> String {
    let mut out = String::new();
    if let Value::Mapping(entries) = document {
        mapping(&mut out, entries, 0);
    }
    out
}

fn mapping(out: &mut String, entries: &[(String, Value)], indent: usize) {
    for (number, (key, value)) in entries.iter().enumerate() {
        let (said, value) = value.apart();
        say(out, said, indent);
        // The first stands behind the dash of a list, or where the caller left off.
        if number > 0 || out.is_empty() || out.ends_with('\n') {
            pad(out, indent);
        }
        out.push_str(&scalar(key));
        out.push(':');
        behind_key(out, value, indent);
    }
}

fn behind_key(out: &mut String, value: &Value, indent: usize) {
    // Policies, rules and protections read better with a line for each of their keys.
    let nested = match value {
        Value::Mapping(entries) => entries.iter().any(|(_, value)| has_mapping(value)),
        other => has_mapping(other),
    };
    let line = inline(value);
    if !nested && line.len() + indent <= WIDTH {
        out.push(' ');
        out.push_str(&line);
        out.push('\n');
        return;
    }
    out.push('\n');
    match value {
        Value::Mapping(entries) => mapping(out, entries, indent + 2),
        Value::List(items) => {
            for item in items {
                let (said, item) = item.apart();
                say(out, said, indent + 2);
                pad(out, indent + 2);
                out.push_str("- ");
                match item {
                    Value::Mapping(entries) => mapping(out, entries, indent + 4),
                    other => {
                        out.push_str(&inline(other));
                        out.push('\n');
                    }
                }
            }
        }
        Value::Plain(_) | Value::Text(_) | Value::Commented(..) => {}
    }
}

fn say(out: &mut String, said: &[String], indent: usize) {
    for line in said {
        pad(out, indent);
        out.push_str("# ");
        out.push_str(line);
        out.push('\n');
    }
}

fn has_mapping(value: &Value) -> bool {
    match value {
        Value::Mapping(_) | Value::Commented(..) => true,
        Value::List(items) => items.iter().any(has_mapping),
        Value::Plain(_) | Value::Text(_) => false,
    }
}

fn pad(out: &mut String, indent: usize) {
    out.extend(std::iter::repeat_n(' ', indent));
}

fn inline(value: &Value) -> String {
    match value {
        Value::Commented(_, value) => inline(value),
        Value::Plain(text) => text.clone(),
        Value::Text(text) => scalar(text),
        Value::List(items) => {
            let items: Vec<String> = items.iter().map(inline).collect();
            format!("[{}]", items.join(", "))
        }
        Value::Mapping(entries) => {
            let entries: Vec<String> = entries
                .iter()
                .map(|(key, value)| format!("{}: {}", scalar(key), inline(value)))
                .collect();
            format!("{{{}}}", entries.join(", "))
        }
    }
}

/// Text without quotes where nobody could read it as something else, as a number or a pattern that YAML knows.
fn scalar(text: &str) -> String {
    let word = text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'/' | b'.'));
    let resolved = [
        "true", "false", "null", "yes", "no", "on", "off", "y", "n", "nan", "inf",
    ];
    let factor = |text: &str| {
        text.starts_with(|c: char| matches!(c, '1'..='9')) && text.bytes().all(|b| b.is_ascii_digit())
    };
    if text.parse::<Age>().is_ok() || text.strip_suffix('x').is_some_and(factor) {
        return text.to_owned();
    }
    if word && !resolved.contains(&text.to_ascii_lowercase().as_str()) || text == "off" {
        return text.to_owned();
    }
    let plain =
        |c: char| !c.is_control() && c != '\u{feff}' && !matches!(c, '\u{85}' | '\u{2028}' | '\u{2029}');
    if text.chars().all(plain) {
        // Single quotes leave the backslashes of expressions alone.
        return format!("'{}'", text.replace('\'', "''"));
    }
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            c if plain(c) => out.push(c),
            // A text never fails to grow.
            c => drop(write!(out, "\\U{:08x}", u32::from(c))),
        }
    }
    out.push('"');
    out
}
