//! Tags, and references that are a tag or a digest.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use thiserror::Error;

use crate::digest::{Digest, DigestError};
use crate::text::as_text;

/// The longest tag, in bytes, by the distribution specification.
pub const MAX_TAG: usize = 128;

/// Why a tag was refused.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum TagError {
    /// The tag is empty.
    #[error("the tag is empty")]
    Empty,
    /// The tag is longer than [`MAX_TAG`].
    #[error("the tag is longer than {MAX_TAG} bytes")]
    TooLong,
    /// A character that the grammar does not allow where it stands.
    #[error("{0:?} is not allowed at offset {1} of a tag")]
    Character(char, usize),
}

/// A tag: `[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tag(Arc<str>);

impl Tag {
    /// The tag as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Tag {
    type Err = TagError;

    fn from_str(text: &str) -> Result<Self, TagError> {
        if text.is_empty() {
            return Err(TagError::Empty);
        }
        if let Some((offset, character)) = text.char_indices().find(|(offset, c)| {
            !(c.is_ascii_alphanumeric() || *c == '_' || (*offset > 0 && matches!(c, '.' | '-')))
        }) {
            return Err(TagError::Character(character, offset));
        }
        if text.len() > MAX_TAG {
            Err(TagError::TooLong)
        } else {
            Ok(Self(text.into()))
        }
    }
}

impl fmt::Display for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for Tag {
    type Error = TagError;

    fn try_from(text: String) -> Result<Self, TagError> {
        text.parse()
    }
}

impl From<Tag> for String {
    fn from(tag: Tag) -> Self {
        tag.0.to_string()
    }
}

as_text!(Tag);

/// What a manifest is asked for by: `<reference>` of the distribution specification.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Reference {
    /// By a tag.
    Tag(Tag),
    /// By a digest.
    Digest(Digest),
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tag(tag) => tag.fmt(f),
            Self::Digest(digest) => digest.fmt(f),
        }
    }
}

/// Why a reference was refused.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ReferenceError {
    /// It holds a colon, and is no digest.
    #[error(transparent)]
    Digest(#[from] DigestError),
    /// It holds no colon, and is no tag.
    #[error(transparent)]
    Tag(#[from] TagError),
}

impl FromStr for Reference {
    type Err = ReferenceError;

    fn from_str(text: &str) -> Result<Self, ReferenceError> {
        Ok(if text.contains(':') {
            Self::Digest(text.parse()?)
        } else {
            Self::Tag(text.parse()?)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_follow_the_grammar_of_the_distribution_specification() {
        for good in ["a", "_", "1.0.0", "v1-RC_2", "0", &"x".repeat(128)] {
            assert_eq!(good.parse::<Tag>().unwrap().as_str(), good);
        }
        for bad in [
            "",
            ".a",
            "-a",
            "a+b",
            "a/b",
            "a:b",
            "a b",
            "é",
            "a\u{1b}[31m",
            "<b>",
            &"x".repeat(129),
        ] {
            assert!(bad.parse::<Tag>().is_err(), "{bad:?} was accepted");
        }
    }

    #[test]
    fn a_reference_with_a_colon_is_a_digest_or_an_error() {
        assert!(matches!("latest".parse(), Ok(Reference::Tag(_))));
        let digest = format!("sha256:{}", "a".repeat(64));
        assert!(matches!(digest.parse(), Ok(Reference::Digest(_))));
        assert!("sha256:abc".parse::<Reference>().is_err());
    }
}
