//! JSON schemas of the documents that are read here, for editors to complete and check by.
//!
//! They are put together from the decoder's own tables: a mapping takes the keys that its decoder reads, and a word
//! that is one of several takes those that its decoder takes. What no schema can say, such as that a rule leaves
//! something, only reading a document tells.

mod cases;
mod documents;
mod parts;

use serde_json::{Map, Value, json};

use crate::decode::Schema;

/// A kind of document.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Document {
    /// A configuration.
    Configuration,
    /// Policies in a file of their own.
    Policy,
    /// Cases for a policy.
    Cases,
}

impl Document {
    /// Every kind.
    pub const ALL: [Self; 3] = [Self::Configuration, Self::Policy, Self::Cases];

    /// Its name on the command line.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Configuration => "configuration",
            Self::Policy => "policy",
            Self::Cases => "cases",
        }
    }
}

/// The schema of a kind of document (JSON Schema, draft 2020-12).
#[must_use]
pub fn json_schema(document: Document) -> Value {
    let (title, root, parts) = match document {
        Document::Configuration => (
            "Lagan: a configuration",
            documents::CONFIGURATION,
            documents::of_policies(),
        ),
        Document::Policy => (
            "Lagan: policies in a file of their own",
            documents::POLICY_FILE,
            documents::of_policies(),
        ),
        Document::Cases => ("Lagan: cases for a policy", cases::CASES, cases::of_cases()),
    };
    let definitions: Map<String, Value> = parts
        .into_iter()
        .map(|part| (part.name.to_owned(), part.value))
        .collect();
    let mut schema = json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": title,
        "$ref": format!("#/$defs/{root}"),
        "$defs": definitions,
    });
    // The order in which it is put together says nothing, and would make changes to it hard to read.
    schema.sort_all_objects();
    schema
}

/// A definition, with the table of keys that it must agree with.
struct Part {
    name: &'static str,
    value: Value,
    /// Held against it by a test.
    #[cfg_attr(
        not(test),
        expect(dead_code, reason = "only the test that holds both together reads it")
    )]
    table: Option<&'static Schema>,
}

/// A key of a mapping, what it says, and its value.
struct Property(&'static str, &'static str, Value);

/// A mapping with these keys and no others.
fn mapping(
    name: &'static str,
    table: &'static Schema,
    required: &[&str],
    properties: impl IntoIterator<Item = Property>,
) -> Part {
    let properties: Map<String, Value> = properties
        .into_iter()
        .map(|Property(key, says, mut value)| {
            if let Value::Object(members) = &mut value {
                members.insert("description".to_owned(), says.into());
            }
            (key.to_owned(), value)
        })
        .collect();
    let mut value = json!({
        "type": "object",
        "additionalProperties": false,
        "properties": properties,
    });
    if !required.is_empty() {
        value["required"] = json!(required);
    }
    Part {
        name,
        value,
        table: Some(table),
    }
}

/// A definition that is no mapping, or one of names that are free.
fn other(name: &'static str, value: Value) -> Part {
    Part {
        name,
        value,
        table: None,
    }
}

#[cfg(test)]
mod tests;
