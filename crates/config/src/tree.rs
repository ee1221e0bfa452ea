//! A tree of values, each with its place: what documents and arguments are turned into.

use crate::error::Reported;
use crate::source::{Span, quoted};

/// A value and where it stands.
#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) span: Span,
    pub(crate) value: Value,
}

/// A value as it was written: nothing is resolved to numbers or dates.
#[derive(Debug)]
pub(crate) enum Value {
    Scalar {
        text: String,
        style: Style,
    },
    Sequence(Vec<Node>),
    /// Entries, no key twice. `refused`: there were others, that were reported and left out.
    Mapping {
        entries: Vec<(Key, Node)>,
        refused: Option<Reported>,
    },
    /// What stood here was reported already, and says nothing further.
    Refused(Reported),
}

/// A key of a mapping.
#[derive(Debug)]
pub(crate) struct Key {
    pub(crate) span: Span,
    pub(crate) text: String,
}

/// How a scalar was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Style {
    /// Without quotes: may stand for a number, a truth value, or nothing.
    Plain,
    /// With quotes, or as a block: text.
    Quoted,
    /// On the command line: text or a number, never nothing.
    Argument,
}

impl Node {
    pub(crate) fn argument(text: &str, span: Span) -> Self {
        Self {
            span,
            value: Value::Scalar {
                text: text.to_owned(),
                style: Style::Argument,
            },
        }
    }

    /// A mapping of entries that were all accepted.
    pub(crate) fn mapping(entries: Vec<(Key, Self)>, span: Span) -> Self {
        Self {
            span,
            value: Value::Mapping {
                entries,
                refused: None,
            },
        }
    }

    /// Where it begins.
    pub(crate) fn start(&self) -> Span {
        Span::new(self.span.start, self.span.start)
    }

    /// The value of a key, where it is a mapping that has it.
    pub(crate) fn get(&self, key: &str) -> Option<&Self> {
        match &self.value {
            Value::Mapping { entries, .. } => entries
                .iter()
                .find(|(found, _)| found.text == key)
                .map(|(_, value)| value),
            _ => None,
        }
    }

    /// The items, where it is a list.
    pub(crate) fn items(&self) -> &[Self] {
        match &self.value {
            Value::Sequence(items) => items,
            _ => &[],
        }
    }

    /// Whether it is the absence of a value.
    pub(crate) fn is_nothing(&self) -> bool {
        match &self.value {
            Value::Scalar {
                text,
                style: Style::Plain,
            } => {
                matches!(text.as_str(), "" | "~" | "null" | "Null" | "NULL")
            }
            _ => false,
        }
    }

    /// What it is, for messages.
    pub(crate) fn described(&self) -> String {
        match &self.value {
            _ if self.is_nothing() => "nothing".to_owned(),
            Value::Scalar {
                text,
                style: Style::Quoted,
            } => format!("the text {}", quoted(text)),
            Value::Scalar { text, .. } => quoted(text),
            Value::Sequence(_) => "a list".to_owned(),
            Value::Mapping { .. } => "a mapping".to_owned(),
            Value::Refused(_) => "something refused".to_owned(),
        }
    }
}
