//! The text that is read, and how a place in it is named and shown.

use std::ops::Range;

/// The largest document that is read, in bytes.
pub const MAX_DOCUMENT: usize = 1 << 20;

/// How much of a line is shown, in characters.
const SHOWN: usize = 100;

/// How much of a long line is shown before the place in question.
const BEFORE: usize = 40;

/// Bytes of a text, `start..end`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Span {
    pub(crate) start: usize,
    pub(crate) end: usize,
}

impl Span {
    pub(crate) fn new(start: usize, end: usize) -> Self {
        Self {
            start,
            end: end.max(start),
        }
    }
}

/// Text with a name and lines.
#[derive(Debug)]
pub(crate) struct Source {
    name: String,
    text: String,
    /// Where each line starts; the first at 0.
    starts: Vec<usize>,
    /// For arguments: the option of each line.
    options: Option<Vec<&'static str>>,
}

/// A place as people name it, and its line as it can be shown.
pub(crate) struct Place {
    pub(crate) line: usize,
    pub(crate) column: usize,
    pub(crate) shown: String,
    /// The characters of `shown` to point at.
    pub(crate) caret: Range<usize>,
}

impl Source {
    pub(crate) fn file(name: &str, text: String) -> Self {
        let bytes = text.as_bytes();
        let breaks = bytes.iter().enumerate().filter(|(at, byte)| match byte {
            b'\n' => true,
            b'\r' => bytes.get(at + 1) != Some(&b'\n'),
            _ => false,
        });
        let starts = std::iter::once(0).chain(breaks.map(|(at, _)| at + 1)).collect();
        Self {
            name: name.to_owned(),
            text,
            starts,
            options: None,
        }
    }

    /// Arguments, one a line, each behind its option. Line breaks inside an argument make no further line; the
    /// last line is empty, for what is missing.
    pub(crate) fn arguments(arguments: &[(&'static str, &str)]) -> (Self, Vec<Span>) {
        let (mut text, mut starts, mut spans) = (String::new(), Vec::new(), Vec::new());
        for (option, argument) in arguments {
            starts.push(text.len());
            if !option.is_empty() {
                text.push_str(option);
                text.push(' ');
            }
            let start = text.len();
            text.push_str(argument);
            spans.push(Span::new(start, text.len()));
            text.push('\n');
        }
        starts.push(text.len());
        let options = arguments.iter().map(|(option, _)| *option).collect();
        (
            Self {
                name: "the command line".to_owned(),
                text,
                starts,
                options: Some(options),
            },
            spans,
        )
    }

    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    pub(crate) fn is_arguments(&self) -> bool {
        self.options.is_some()
    }

    /// The line of an offset, counted from 0.
    pub(crate) fn line_of(&self, offset: usize) -> usize {
        self.starts
            .partition_point(|start| *start <= offset)
            .saturating_sub(1)
    }

    /// What an error begins with: `lagan.yaml:12:5`, or the option.
    pub(crate) fn heading(&self, line: usize, column: usize) -> String {
        let Some(options) = &self.options else {
            return format!("{}:{line}:{column}", visible(&self.name));
        };
        match options.get(line.saturating_sub(1)) {
            Some(option) if !option.is_empty() => (*option).to_owned(),
            _ => self.name.clone(),
        }
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    fn line(&self, line: usize) -> &str {
        let start = self.starts[line];
        let end = self.starts.get(line + 1).copied().unwrap_or(self.text.len());
        let text = &self.text[start..end];
        if self.is_arguments() {
            text.strip_suffix('\n').unwrap_or(text)
        } else {
            text.trim_end_matches(['\n', '\r'])
        }
    }

    pub(crate) fn place(&self, span: Span) -> Place {
        let number = self.line_of(span.start);
        let start = self.starts[number];
        let line = self.line(number);
        let chars = |until: usize| {
            line.char_indices()
                .take_while(|(at, _)| start + at < until)
                .count()
        };
        let (from, to) = (chars(span.start), chars(span.end));
        let total = line.chars().count();
        // What is at the end of a line, or of the text, is pointed at behind its last character.
        let first = if total <= SHOWN {
            0
        } else {
            from.saturating_sub(BEFORE)
        };
        let mut shown = String::new();
        if first > 0 {
            shown.push_str("...");
        }
        let mut width = shown.chars().count();
        let mut caret = None;
        let mut caret_end = width;
        for (at, c) in line.chars().enumerate().skip(first).take(SHOWN) {
            if at == from {
                caret = Some(width);
            }
            let before = shown.len();
            push_visible(&mut shown, c);
            width += shown[before..].chars().count();
            if at < to {
                caret_end = width;
            }
        }
        if first + SHOWN < total {
            shown.push_str("...");
        }
        let caret = caret.unwrap_or(width);
        Place {
            line: number + 1,
            column: from + 1,
            shown,
            caret: caret..caret_end.max(caret + 1),
        }
    }
}

/// Control characters, and others that would move or hide what stands around them, become escapes.
fn push_visible(to: &mut String, c: char) {
    match c {
        '\'' | '"' | '\\' => to.push(c),
        _ => to.extend(c.escape_debug()),
    }
}

/// Text as it can be shown on a terminal.
pub(crate) fn visible(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    text.chars().for_each(|c| push_visible(&mut shown, c));
    shown
}

/// Text in a message: visible, cut where it is long, in backticks.
pub(crate) fn quoted(text: &str) -> String {
    const LONGEST: usize = 60;
    let mut cut: String = text.chars().take(LONGEST).collect();
    if cut.len() < text.len() {
        cut.push_str("...");
    }
    format!("`{}`", visible(&cut))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_line_break_ends_a_line() {
        let source = Source::file("f", "a\nb\r\nc\rd".to_owned());
        for (offset, line, column, shown) in [(0, 1, 1, "a"), (2, 2, 1, "b"), (5, 3, 1, "c"), (7, 4, 1, "d")]
        {
            let place = source.place(Span::new(offset, offset + 1));
            assert_eq!(
                (place.line, place.column, place.shown.as_str()),
                (line, column, shown)
            );
        }
    }

    #[test]
    fn escapes_are_counted_as_they_are_shown() {
        let source = Source::file("f", "\t\u{1b}[2Jx".to_owned());
        let place = source.place(Span::new(5, 6));
        assert_eq!(place.shown, r"\t\u{1b}[2Jx");
        assert_eq!(&place.shown[place.caret], "x");
        assert_eq!(place.column, 6);
        assert_eq!(visible("a\u{202e}b\u{200b}"), r"a\u{202e}b\u{200b}");
    }

    #[test]
    fn a_long_line_is_shown_around_the_place() {
        let text = format!("{}here{}", "x".repeat(500), "y".repeat(500));
        let place = Source::file("f", text).place(Span::new(500, 504));
        assert_eq!(&place.shown[place.caret.clone()], "here");
        assert!(place.shown.len() <= SHOWN + 6);
        assert!(place.shown.starts_with("...x") && place.shown.ends_with("y..."));
    }

    #[test]
    fn a_place_at_the_end_is_behind_the_last_character() {
        let source = Source::file("f", "abc".to_owned());
        let place = source.place(Span::new(3, 3));
        assert_eq!((place.line, place.column, place.caret), (1, 4, 3..4));
        let place = Source::file("f", String::new()).place(Span::new(0, 0));
        assert_eq!((place.line, place.column, place.caret), (1, 1, 0..1));
    }
}
