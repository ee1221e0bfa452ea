//! What readers should know of a document that was written for something else.

use std::fmt;

use crate::source::{Source, Span, visible};

/// How much a notice weighs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum NoticeKind {
    /// Worth knowing: a meaning that names do not tell, or something that is left to be filled in.
    Note,
    /// The native form decides otherwise in some cases, and then keeps what the document would have deleted.
    KeepsMore,
    /// Something has no native form. What it is about is kept.
    NotExpressed,
}

impl NoticeKind {
    /// The word in front of a notice.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Note => "note",
            Self::KeepsMore => "keeps more",
            Self::NotExpressed => "not expressed",
        }
    }
}

/// A notice, and the place that it is about.
///
/// Its text is one line, `keeps more: policy.json:12:5: ...`, and nothing in it can act on a terminal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    /// How much it weighs.
    pub kind: NoticeKind,
    /// The name of the text, as it was given.
    pub file: String,
    /// The line, from 1.
    pub line: usize,
    /// The column, from 1, in characters.
    pub column: usize,
    /// What is to be known.
    pub text: String,
}

impl fmt::Display for Notice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let file = visible(&self.file);
        let (line, column) = (self.line, self.column);
        write!(f, "{}: {file}:{line}:{column}: {}", self.kind.as_str(), self.text)
    }
}

/// A notice before its place was looked up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Remark {
    pub(crate) kind: NoticeKind,
    pub(crate) span: Span,
    pub(crate) text: String,
}

impl Remark {
    pub(crate) fn note(span: Span, text: impl Into<String>) -> Self {
        Self::new(NoticeKind::Note, span, text)
    }

    pub(crate) fn keeps_more(span: Span, text: impl Into<String>) -> Self {
        Self::new(NoticeKind::KeepsMore, span, text)
    }

    pub(crate) fn not_expressed(span: Span, text: impl Into<String>) -> Self {
        Self::new(NoticeKind::NotExpressed, span, text)
    }

    fn new(kind: NoticeKind, span: Span, text: impl Into<String>) -> Self {
        let text = visible(&text.into());
        Self { kind, span, text }
    }

    pub(crate) fn notice(&self, source: &Source) -> Notice {
        let place = source.place(self.span);
        Notice {
            kind: self.kind,
            file: source.name().to_owned(),
            line: place.line,
            column: place.column,
            text: self.text.clone(),
        }
    }
}
