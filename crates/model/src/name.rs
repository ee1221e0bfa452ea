//! Names of registries and repositories.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use thiserror::Error;

use crate::text::as_text;

/// The longest repository name that is accepted, in bytes.
///
/// The distribution specification recommends this bound for host and name together; registries enforce it on
/// the name.
pub const MAX_REPOSITORY_NAME: usize = 255;

/// Why a name was refused.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum NameError {
    /// The name is empty.
    #[error("the name is empty")]
    Empty,
    /// The name is longer than the bound.
    #[error("the name is longer than {MAX_REPOSITORY_NAME} bytes")]
    TooLong,
    /// A character that the grammar does not allow where it stands; the offset counts bytes.
    #[error("{character:?} is not allowed at offset {offset} of a {what}")]
    Character {
        /// What was being read.
        what: &'static str,
        /// The offending character.
        character: char,
        /// Its offset in bytes.
        offset: usize,
    },
    /// A path component is empty, or begins or ends with a separator.
    #[error("a component of a repository name begins and ends with a lower-case letter or a digit")]
    Component,
}

/// The name of a repository, `<name>` of the OCI distribution specification.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RepositoryName(Arc<str>);

impl RepositoryName {
    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for RepositoryName {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        if text.is_empty() {
            return Err(NameError::Empty);
        }
        if text.len() > MAX_REPOSITORY_NAME {
            return Err(NameError::TooLong);
        }
        if let Some((offset, character)) = text
            .char_indices()
            .find(|(_, c)| !matches!(c, 'a'..='z' | '0'..='9' | '.' | '_' | '-' | '/'))
        {
            return Err(NameError::Character {
                what: "repository name",
                character,
                offset,
            });
        }
        if text.split('/').all(is_component) {
            Ok(Self(text.into()))
        } else {
            Err(NameError::Component)
        }
    }
}

/// `[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*`, over text that holds no other character.
fn is_component(component: &str) -> bool {
    let mut separator = String::new();
    let mut after_letter = false;
    for c in component.chars() {
        if matches!(c, 'a'..='z' | '0'..='9') {
            let allowed =
                matches!(separator.as_str(), "" | "." | "_" | "__") || separator.chars().all(|c| c == '-');
            if !allowed || (!separator.is_empty() && !after_letter) {
                return false;
            }
            separator.clear();
            after_letter = true;
        } else {
            separator.push(c);
        }
    }
    after_letter && separator.is_empty()
}

impl fmt::Display for RepositoryName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for RepositoryName {
    type Error = NameError;

    fn try_from(text: String) -> Result<Self, NameError> {
        text.parse()
    }
}

impl From<RepositoryName> for String {
    fn from(name: RepositoryName) -> Self {
        name.0.to_string()
    }
}

as_text!(RepositoryName);

/// The name that a configuration gives to a registry, or the host and port of one given by URL.
///
/// Letters, digits, `.`, `_`, `-`, and `:`, `[`, `]` for hosts; 1 to 255 bytes.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RegistryName(Arc<str>);

impl RegistryName {
    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for RegistryName {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        if text.is_empty() {
            return Err(NameError::Empty);
        }
        if text.len() > MAX_REPOSITORY_NAME {
            return Err(NameError::TooLong);
        }
        let refused =
            |c: &char| !c.is_ascii_alphanumeric() && !matches!(c, '.' | '_' | '-' | ':' | '[' | ']');
        match text.char_indices().find(|(_, c)| refused(c)) {
            Some((offset, character)) => Err(NameError::Character {
                what: "registry name",
                character,
                offset,
            }),
            None => Ok(Self(text.into())),
        }
    }
}

impl fmt::Display for RegistryName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for RegistryName {
    type Error = NameError;

    fn try_from(text: String) -> Result<Self, NameError> {
        text.parse()
    }
}

impl From<RegistryName> for String {
    fn from(name: RegistryName) -> Self {
        name.0.to_string()
    }
}

as_text!(RegistryName);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repository_names_follow_the_grammar_of_the_distribution_specification() {
        for good in [
            "a", "0", "team/app", "a.b", "a_b", "a__b", "a---b", "a/b/c/d", "x-1.y_2",
        ] {
            assert_eq!(good.parse::<RepositoryName>().unwrap().as_str(), good);
        }
        for bad in [
            "", "/", "a/", "/a", "a//b", "A", "a.", ".a", "a..b", "a___b", "a_-b", "-a", "a-", "a b", "a:b",
            "a@b", "ä", "a\u{0}b", "a/../b", "a/./b",
        ] {
            assert!(bad.parse::<RepositoryName>().is_err(), "{bad:?} was accepted");
        }
    }

    #[test]
    fn a_repository_name_has_at_most_255_bytes() {
        assert!("a".repeat(255).parse::<RepositoryName>().is_ok());
        assert_eq!("a".repeat(256).parse::<RepositoryName>(), Err(NameError::TooLong));
    }

    #[test]
    fn a_refused_character_is_named_with_its_place() {
        let error = "team/App".parse::<RepositoryName>().unwrap_err();
        assert_eq!(
            error.to_string(),
            "'A' is not allowed at offset 5 of a repository name"
        );
    }

    #[test]
    fn a_registry_name_may_be_a_host_with_a_port() {
        for good in ["harbor", "localhost:5000", "[::1]:5000", "registry.example.com"] {
            assert!(good.parse::<RegistryName>().is_ok(), "{good}");
        }
        for bad in ["", "a/b", "a b", "http://a"] {
            assert!(bad.parse::<RegistryName>().is_err(), "{bad}");
        }
    }
}
