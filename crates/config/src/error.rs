//! Errors with their places, collected and shown together.

use std::fmt;

use thiserror::Error;

use crate::source::{Source, Span, visible};

/// How many errors of one document are kept; the others are counted.
const SHOWN: usize = 100;

/// How much of a message is kept, in characters: some repeat what they refuse.
const LONGEST: usize = 300;

/// One error: where, what, and perhaps what to do.
///
/// Its text is `error: lagan.yaml:12:5: ...`, the line with a caret under the place, and perhaps `hint: ...`.
/// Nothing in it can act on a terminal: what was read is shown with its control characters escaped.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub struct ConfigError {
    /// The name of the text: the file's, or `the command line`.
    pub file: String,
    /// The line, from 1; on the command line the argument.
    pub line: usize,
    /// The column, from 1, in characters; on the command line it counts from the option.
    pub column: usize,
    /// What is wrong.
    pub message: String,
    /// What would help.
    pub hint: Option<String>,
    heading: String,
    /// The line, and how many characters of it stand before and above the caret. `None` where it may be secret, or
    /// is empty.
    shown: Option<(String, usize, usize)>,
    numbered: bool,
}

impl ConfigError {
    /// The same under another word than `error`, and with `code` behind the message.
    pub(crate) fn write_as(&self, f: &mut fmt::Formatter<'_>, word: &str, code: &str) -> fmt::Result {
        writeln!(f, "{word}: {}: {}{code}", self.heading, self.message)?;
        if let Some((line, before, under)) = &self.shown {
            let number = if self.numbered {
                self.line.to_string()
            } else {
                String::new()
            };
            let width = number.len();
            writeln!(f, " {number} | {line}")?;
            writeln!(f, " {:width$} | {:before$}{}", "", "", "^".repeat(*under))?;
        }
        match &self.hint {
            Some(hint) => writeln!(f, "hint: {hint}"),
            None => Ok(()),
        }
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write_as(f, "error", "")
    }
}

/// All errors of a document, in the order of its text; at least one.
///
/// Their text is complete: it is printed as it stands.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub struct ConfigErrors {
    /// The errors; at most 100.
    pub errors: Vec<ConfigError>,
    /// How many more there are.
    pub more: usize,
}

impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, error) in self.errors.iter().enumerate() {
            if position > 0 {
                writeln!(f)?;
            }
            write!(f, "{error}")?;
        }
        match self.more {
            0 => Ok(()),
            more => writeln!(f, "\nand {more} more"),
        }
    }
}

/// Proof that an error was reported: what cannot be read is never just absent.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Reported(());

/// What was read, or the proof that it could not be.
pub(crate) type Read<T> = Result<T, Reported>;

/// The errors found so far.
pub(crate) struct Problems<'s> {
    source: &'s Source,
    found: Vec<Found>,
    secret_lines: Vec<usize>,
}

struct Found {
    span: Span,
    message: String,
    hint: Option<String>,
}

impl<'s> Problems<'s> {
    pub(crate) fn new(source: &'s Source) -> Self {
        Self {
            source,
            found: Vec::new(),
            secret_lines: Vec::new(),
        }
    }

    pub(crate) fn report(
        &mut self,
        span: Span,
        message: impl Into<String>,
        hint: Option<String>,
    ) -> Reported {
        self.found.push(Found {
            span,
            message: message.into(),
            hint,
        });
        Reported(())
    }

    /// The line of a place, from 1.
    pub(crate) fn line(&self, span: Span) -> usize {
        self.source.line_of(span.start) + 1
    }

    /// No error shows the line of this place: it holds a secret that should not be there.
    pub(crate) fn hide(&mut self, span: Span) {
        self.secret_lines.push(self.source.line_of(span.start));
    }

    /// What the reader would write: in a document, or as an argument.
    pub(crate) fn say(&self, document: &str, argument: &str) -> Option<String> {
        Some(
            if self.source.is_arguments() {
                argument
            } else {
                document
            }
            .to_owned(),
        )
    }

    /// The value, if nothing was reported.
    pub(crate) fn settle<T>(mut self, read: Read<T>) -> Result<T, ConfigErrors> {
        match read {
            Ok(value) if self.found.is_empty() => Ok(value),
            _ => {
                self.found.sort_by_key(|found| found.span.start);
                let more = self.found.len().saturating_sub(SHOWN);
                let errors = self
                    .found
                    .iter()
                    .take(SHOWN)
                    .map(|found| self.located(found))
                    .collect();
                Err(ConfigErrors { errors, more })
            }
        }
    }

    /// A place, and what is to be said about it, shown as an error would be.
    pub(crate) fn at(&self, span: Span, message: String, hint: Option<String>) -> ConfigError {
        self.located(&Found { span, message, hint })
    }

    fn located(&self, found: &Found) -> ConfigError {
        let place = self.source.place(found.span);
        let secret = self.secret_lines.contains(&(place.line - 1));
        let mut message: String = found.message.chars().take(LONGEST).collect();
        if message.len() < found.message.len() {
            message.push_str("...");
        }
        ConfigError {
            file: self.source.name().to_owned(),
            line: place.line,
            column: place.column,
            message: visible(&message),
            hint: found.hint.as_deref().map(visible),
            heading: self.source.heading(place.line, place.column),
            shown: (!secret && !place.shown.is_empty()).then_some((
                place.shown,
                place.caret.start,
                place.caret.len(),
            )),
            numbered: !self.source.is_arguments(),
        }
    }
}
