//! `grace:`: where what is deleted is held, and for how long.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use lagan_model::RepositoryName;
use serde::{Serialize, Serializer};
use thiserror::Error;

use crate::age::Age;

/// What stands for the repository that is deleted from.
const PLACE: &str = "{repository}";

/// What is deleted is held before, so that a garbage collection of the registry cannot take it for some time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Grace {
    /// Where.
    pub repository: HoldingPattern,
    /// How long.
    #[serde(rename = "for")]
    pub period: Age,
}

/// How holding repositories are called: a name, in which the name of the repository that is deleted from may stand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HoldingPattern {
    text: Arc<str>,
    before: usize,
    /// What stands behind the place; `None` where there is no place.
    behind: Option<usize>,
}

/// Why text is not how holding repositories are called.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum HoldingPatternError {
    /// Nothing but the repository itself.
    #[error("what is deleted cannot be held where it is: write `lagan-hold/{{repository}}`")]
    Itself,
    /// The place stands twice.
    #[error("`{{repository}}` stands there once at most")]
    Twice,
    /// With a name in its place it is no name.
    #[error("with a name for `{{repository}}` this is no name of a repository: {0}")]
    Name(String),
}

impl HoldingPattern {
    fn parts(&self) -> (&str, &str) {
        let behind = self.behind.map_or("", |behind| &self.text[behind..]);
        (&self.text[..self.before], behind)
    }

    /// The repository that holds what is deleted from another; `None` where its name would be too long.
    #[must_use]
    pub fn holding(&self, repository: &RepositoryName) -> Option<RepositoryName> {
        if self.behind.is_none() {
            return self.text.parse().ok();
        }
        let (before, behind) = self.parts();
        format!("{before}{repository}{behind}").parse().ok()
    }

    /// Whether a repository can be one that holds. It is then never selected by any policy.
    #[must_use]
    pub fn may_hold(&self, repository: &RepositoryName) -> bool {
        let (before, behind) = self.parts();
        let name = repository.as_str();
        if self.behind.is_none() {
            return name == before;
        }
        name.strip_prefix(before)
            .and_then(|rest| rest.strip_suffix(behind))
            .is_some_and(|held| held.parse::<RepositoryName>().is_ok())
    }
}

impl FromStr for HoldingPattern {
    type Err = HoldingPatternError;

    fn from_str(text: &str) -> Result<Self, HoldingPatternError> {
        let (before, behind) = match text.split_once(PLACE) {
            None => (text.len(), None),
            Some((_, rest)) if rest.contains(PLACE) => return Err(HoldingPatternError::Twice),
            Some(("", "")) => return Err(HoldingPatternError::Itself),
            Some((before, _)) => (before.len(), Some(before.len() + PLACE.len())),
        };
        let pattern = Self {
            text: text.into(),
            before,
            behind,
        };
        let (before, behind) = pattern.parts();
        let place = if pattern.behind.is_some() { "a/b" } else { "" };
        match format!("{before}{place}{behind}").parse::<RepositoryName>() {
            Ok(_) => Ok(pattern),
            Err(error) => Err(HoldingPatternError::Name(error.to_string())),
        }
    }
}

impl fmt::Display for HoldingPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Serialize for HoldingPattern {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> RepositoryName {
        text.parse().unwrap()
    }

    #[test]
    fn a_holding_repository_is_called_after_the_one_that_it_holds_for() {
        for (text, expected) in [
            ("lagan-hold/{repository}", "lagan-hold/team/app"),
            ("{repository}/held", "team/app/held"),
            ("hold-{repository}-x", "hold-team/app-x"),
            ("hold", "hold"),
        ] {
            let pattern: HoldingPattern = text.parse().unwrap();
            let holding = pattern.holding(&name("team/app")).unwrap();
            assert_eq!(holding, name(expected));
            assert!(pattern.may_hold(&holding), "{text}");
            assert!(!pattern.may_hold(&name("team/app")), "{text}");
            assert_eq!(pattern.to_string(), text);
        }
    }

    #[test]
    fn what_cannot_be_a_name_is_refused() {
        for text in [
            "",
            "{repository}",
            "{repository}/{repository}",
            "Hold/{repository}",
            "hold//{repository}",
            "{name}",
        ] {
            assert!(text.parse::<HoldingPattern>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_name_that_would_be_too_long_is_none() {
        let pattern: HoldingPattern = "lagan-hold/{repository}".parse().unwrap();
        assert_eq!(pattern.holding(&name(&"a".repeat(250))), None);
    }
}
