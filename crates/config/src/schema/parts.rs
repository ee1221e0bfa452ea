//! Values that several mappings have.

use lagan_policy::{Channel, Clock, Order};
use serde_json::{Value, json};

/// Another definition.
pub(super) fn reference(name: &str) -> Value {
    json!({ "$ref": format!("#/$defs/{name}") })
}

/// Text; without quotes YAML reads some of it as a number.
pub(super) fn text() -> Value {
    json!({ "type": ["string", "number"] })
}

/// One of something, or a list of it.
pub(super) fn one_or_more(one: &Value) -> Value {
    json!({ "anyOf": [one, { "type": "array", "items": one, "minItems": 1 }] })
}

pub(super) fn texts() -> Value {
    one_or_more(&text())
}

pub(super) fn number(least: u64) -> Value {
    json!({ "type": "integer", "minimum": least })
}

pub(super) fn truth() -> Value {
    json!({ "type": "boolean" })
}

/// A condition that is written only where it holds.
pub(super) fn flag() -> Value {
    json!({ "const": true })
}

pub(super) fn word<'w>(words: impl IntoIterator<Item = &'w str>) -> Value {
    json!({ "enum": words.into_iter().collect::<Vec<_>>() })
}

/// A length of time.
pub(super) fn age() -> Value {
    json!({ "type": "string", "pattern": "^([0-9]+(s|min|h|d|w))+$", "examples": ["30d", "12h"] })
}

/// A part of a whole.
pub(super) fn percent() -> Value {
    json!({ "type": "string", "pattern": "^(100(\\.0{1,2})?|[0-9]{1,2}(\\.[0-9]{1,2})?)%$", "examples": ["5%", "99.5%"] })
}

/// A limit that can be lifted.
pub(super) fn or_off(value: &Value) -> Value {
    json!({ "anyOf": [value, { "const": "off" }] })
}

pub(super) fn channels() -> Value {
    let names = Channel::SELECTABLE.into_iter().map(Channel::as_str);
    one_or_more(&word(["prerelease"].into_iter().chain(names)))
}

pub(super) fn order() -> Value {
    word(Order::ALL.iter().map(|order| order.as_str()))
}

/// Lengths of time by their clocks.
pub(super) fn ages() -> Value {
    let names: Vec<&str> = Clock::ALL.into_iter().map(Clock::as_str).collect();
    json!({
        "type": "object",
        "propertyNames": { "enum": names },
        "additionalProperties": age(),
        "minProperties": 1,
    })
}

/// Names of the reader's own, each with such a value.
pub(super) fn named(value: &Value) -> Value {
    json!({ "type": "object", "additionalProperties": value, "minProperties": 1 })
}

/// Labels with the globs for their values.
pub(super) fn labels() -> Value {
    named(&texts())
}

pub(super) fn list(value: &Value) -> Value {
    json!({ "type": "array", "items": value, "minItems": 1 })
}
