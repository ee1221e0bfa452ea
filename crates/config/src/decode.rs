//! The parts every decoder is made of. Each reports what is wrong and goes on where it can.

use std::fmt::Display;
use std::str::FromStr;

use crate::error::{Problems, Read, Reported};
use crate::source::{Span, quoted};
use crate::suggest::{did_you_mean, nearest};
use crate::tree::{Key, Node, Style, Value};

/// The keys of one kind of mapping.
pub(crate) struct Schema {
    /// What it is, with its article.
    pub(crate) what: &'static str,
    /// Keys that are read.
    pub(crate) keys: &'static [&'static str],
    /// Keys that have a meaning which this version cannot give them. Accepting them would promise it.
    pub(crate) later: &'static [&'static str],
}

impl Schema {
    /// Reports a key that is not in it.
    fn check(&self, key: &Key, problems: &mut Problems<'_>) -> Option<Unread> {
        let text = key.text.as_str();
        if self.keys.contains(&text) {
            return None;
        }
        if self.later.contains(&text) {
            let message = format!("{} is not supported by this version", quoted(text));
            return Some(Unread {
                meant: None,
                reported: problems.report(key.span, message, None),
            });
        }
        let meant = nearest(text, self.keys.iter().chain(self.later).copied());
        let hint = match meant {
            Some(meant) => format!("did you mean {}?", quoted(meant)),
            None => format!("{} has {}", self.what, self.keys.join(", ")),
        };
        let message = format!("unknown key {} in {}", quoted(text), self.what);
        Some(Unread {
            meant,
            reported: problems.report(key.span, message, Some(hint)),
        })
    }
}

/// An entry that was reported and is not read.
struct Unread {
    /// The key that was probably meant.
    meant: Option<&'static str>,
    reported: Reported,
}

/// The entries of a mapping whose keys were checked.
pub(crate) struct Fields<'n> {
    entries: &'n [(Key, Node)],
    /// Where to say that something is missing.
    place: Span,
    what: &'static str,
    unread: Vec<Unread>,
    /// Entries that were refused before their keys were known.
    refused: Option<Reported>,
}

impl<'n> Fields<'n> {
    /// Opens a mapping and reports the keys that it should not have.
    pub(crate) fn open(
        node: &'n Node,
        place: Span,
        schema: &Schema,
        problems: &mut Problems<'_>,
    ) -> Read<Self> {
        let entries = mapping(node, schema.what, problems)?;
        let unread = entries
            .iter()
            .filter_map(|(key, _)| schema.check(key, problems))
            .collect();
        let refused = match &node.value {
            Value::Mapping { refused, .. } => *refused,
            _ => None,
        };
        Ok(Self {
            entries,
            place,
            what: schema.what,
            unread,
            refused,
        })
    }

    /// The proof that something stands in it that is not read, and so may be what seems to be missing.
    pub(crate) fn incomplete(&self) -> Read<()> {
        let reported = self
            .refused
            .or_else(|| self.unread.first().map(|unread| unread.reported));
        reported.map_or(Ok(()), Err)
    }

    /// The proof that a key is there in a form that was reported.
    pub(crate) fn misspelled(&self, key: &str) -> Option<Reported> {
        let unread = self.unread.iter().find(|unread| unread.meant == Some(key));
        self.refused.or_else(|| unread.map(|unread| unread.reported))
    }

    /// Where to say that something is missing.
    pub(crate) fn place(&self) -> Span {
        self.place
    }

    pub(crate) fn entry(&self, key: &str) -> Option<&'n (Key, Node)> {
        self.entries.iter().find(|(found, _)| found.text == key)
    }

    pub(crate) fn get(&self, key: &str) -> Option<&'n Node> {
        self.entry(key).map(|(_, node)| node)
    }

    pub(crate) fn has(&self, key: &str) -> bool {
        self.entry(key).is_some()
    }

    /// The entry of a key that must be there.
    pub(crate) fn required(
        &self,
        key: &str,
        hint: Option<&str>,
        problems: &mut Problems<'_>,
    ) -> Read<&'n (Key, Node)> {
        self.entry(key).ok_or_else(|| {
            self.misspelled(key).unwrap_or_else(|| {
                let message = format!("{} needs {}", self.what, quoted(key));
                problems.report(self.place, message, hint.map(str::to_owned))
            })
        })
    }

    /// What `read` makes of a value that may be missing.
    pub(crate) fn optional<T>(&self, key: &str, read: impl FnOnce(&'n Node) -> Read<T>) -> Read<Option<T>> {
        self.get(key).map(read).transpose()
    }
}

/// The entries of a mapping.
pub(crate) fn mapping<'n>(
    node: &'n Node,
    wanted: &str,
    problems: &mut Problems<'_>,
) -> Read<&'n [(Key, Node)]> {
    match &node.value {
        Value::Mapping { entries, .. } => Ok(entries),
        Value::Refused(reported) => Err(*reported),
        _ => Err(wrong_type(
            node,
            &format!("{wanted} is a mapping"),
            None,
            problems,
        )),
    }
}

/// The items of a list; at least one.
pub(crate) fn sequence<'n>(node: &'n Node, wanted: &str, problems: &mut Problems<'_>) -> Read<&'n [Node]> {
    match &node.value {
        Value::Sequence(items) if items.is_empty() => {
            Err(problems.report(node.span, format!("the list is empty; expected {wanted}"), None))
        }
        Value::Sequence(items) => Ok(items),
        Value::Refused(reported) => Err(*reported),
        _ => Err(wrong_type(node, &format!("expected {wanted}"), None, problems)),
    }
}

/// Text, however it was written. `wanted` names it, with its article.
pub(crate) fn text<'n>(node: &'n Node, wanted: &str, problems: &mut Problems<'_>) -> Read<&'n str> {
    match &node.value {
        Value::Scalar { text, .. } if !node.is_nothing() => Ok(text),
        Value::Scalar { text, .. } if !text.is_empty() => {
            let hint = format!(
                "without quotes {} is nothing in YAML; put quotes around it if it is text",
                quoted(text)
            );
            Err(wrong_type(
                node,
                &format!("expected {wanted}"),
                Some(hint),
                problems,
            ))
        }
        Value::Refused(reported) => Err(*reported),
        Value::Sequence(_) | Value::Mapping { .. } => {
            let hint = "put quotes around text that begins with `[` or `{`".to_owned();
            Err(wrong_type(
                node,
                &format!("expected {wanted}"),
                Some(hint),
                problems,
            ))
        }
        Value::Scalar { .. } => Err(wrong_type(node, &format!("expected {wanted}"), None, problems)),
    }
}

fn wrong_type(node: &Node, expected: &str, hint: Option<String>, problems: &mut Problems<'_>) -> Reported {
    problems.report(node.span, format!("{expected}, found {}", node.described()), hint)
}

/// Text that is shown in reports: not empty, on one line, of reasonable length.
pub(crate) fn label<'n>(node: &'n Node, wanted: &str, problems: &mut Problems<'_>) -> Read<&'n str> {
    let label = text(node, wanted, problems)?;
    check_label(label, node.span, wanted, problems)?;
    Ok(label)
}

/// Reports what cannot be a label.
pub(crate) fn check_label(label: &str, span: Span, wanted: &str, problems: &mut Problems<'_>) -> Read<()> {
    const LONGEST: usize = 255;
    let wrong = if label.trim().is_empty() {
        "is empty"
    } else if label.len() > LONGEST {
        "is longer than 255 bytes"
    } else if label.chars().any(char::is_control) {
        "holds control characters"
    } else {
        return Ok(());
    };
    Err(problems.report(span, format!("{wanted} {wrong}"), None))
}

/// Text that parses.
pub(crate) fn parsed<T>(node: &Node, wanted: &str, problems: &mut Problems<'_>) -> Read<T>
where
    T: FromStr,
    T::Err: Display,
{
    let text = text(node, wanted, problems)?;
    text.parse()
        .map_err(|error: T::Err| problems.report(node.span, error.to_string(), None))
}

/// A list of what `each` reads, or one of it.
pub(crate) fn one_or_more<T>(
    node: &Node,
    wanted: &str,
    problems: &mut Problems<'_>,
    mut each: impl FnMut(&Node, &mut Problems<'_>) -> Read<T>,
) -> Read<Vec<T>> {
    match &node.value {
        Value::Scalar { .. } if !node.is_nothing() => each(node, problems).map(|one| vec![one]),
        _ => all(sequence(node, wanted, problems)?, |item| each(item, problems)),
    }
}

/// What `each` reads of all items. Every item is read, even behind one that cannot be.
pub(crate) fn all<I, T>(
    items: impl IntoIterator<Item = I>,
    mut each: impl FnMut(I) -> Read<T>,
) -> Read<Vec<T>> {
    let mut read = Ok(Vec::new());
    for item in items {
        match (each(item), &mut read) {
            (Ok(value), Ok(values)) => values.push(value),
            (Ok(_), Err(_)) => {}
            (Err(reported), _) => read = Err(reported),
        }
    }
    read
}

/// A whole number: decimal digits, without quotes in a document.
pub(crate) fn number(node: &Node, wanted: &str, problems: &mut Problems<'_>) -> Read<u64> {
    let expected = format!("expected {wanted}");
    match &node.value {
        Value::Refused(reported) => Err(*reported),
        Value::Scalar { text, style } => {
            let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
            if !digits {
                Err(wrong_type(node, &expected, None, problems))
            } else if *style == Style::Quoted {
                Err(wrong_type(
                    node,
                    &expected,
                    Some("write it without quotes".to_owned()),
                    problems,
                ))
            } else if text.len() > 1 && text.starts_with('0') {
                let hint = "write it without the leading zero: elsewhere that means octal".to_owned();
                Err(wrong_type(node, &expected, Some(hint), problems))
            } else {
                text.parse()
                    .map_err(|_| wrong_type(node, &expected, None, problems))
            }
        }
        _ => Err(wrong_type(node, &expected, None, problems)),
    }
}

/// A truth value: `true` or `false`, without quotes.
pub(crate) fn truth(node: &Node, problems: &mut Problems<'_>) -> Read<bool> {
    match &node.value {
        Value::Scalar {
            text,
            style: Style::Plain | Style::Argument,
        } if text == "true" => Ok(true),
        Value::Scalar {
            text,
            style: Style::Plain | Style::Argument,
        } if text == "false" => Ok(false),
        Value::Refused(reported) => Err(*reported),
        _ => Err(wrong_type(node, "expected true or false", None, problems)),
    }
}

/// One word of several.
pub(crate) fn choice<T: Copy>(
    node: &Node,
    wanted: &str,
    choices: &[(&str, T)],
    problems: &mut Problems<'_>,
) -> Read<T> {
    let word = text(node, wanted, problems)?;
    if let Some((_, value)) = choices.iter().find(|(name, _)| *name == word) {
        return Ok(*value);
    }
    let names = || choices.iter().map(|(name, _)| *name);
    let message = format!(
        "{} is not one of {}",
        quoted(word),
        names().collect::<Vec<_>>().join(", ")
    );
    Err(problems.report(node.span, message, did_you_mean(word, names())))
}
