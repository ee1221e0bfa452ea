//! Globs and regular expressions over names, compiled once and shown as they were written.

use std::fmt;
use std::str::FromStr;

use globset::{GlobBuilder, GlobMatcher};
use lagan_model::{RepositoryName, Tag};
use regex::Regex;
use serde::{Serialize, Serializer};
use thiserror::Error;

/// Why a pattern was refused.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum PatternError {
    /// The pattern is empty, and so matches nothing.
    #[error("the pattern is empty")]
    Empty,
    /// Not a glob.
    #[error("not a glob: {0}")]
    Glob(String),
    /// Not a regular expression.
    #[error("not a regular expression: {0}")]
    Regex(String),
}

/// With `segments`, `*` stays within one path segment: else `team/*` would match `team/a/b`.
fn compile(glob: &str, segments: bool) -> Result<GlobMatcher, PatternError> {
    if glob.is_empty() {
        return Err(PatternError::Empty);
    }
    let glob = GlobBuilder::new(glob)
        .literal_separator(segments)
        .backslash_escape(true)
        .build();
    glob.map(|glob| glob.compile_matcher())
        .map_err(|error| PatternError::Glob(error.kind().to_string()))
}

/// What a glob comes to. Names are matched by the million, and most globs are simple.
#[derive(Clone, Copy)]
enum Shape {
    /// Matches every name.
    Any,
    /// A star at the end, and nothing else that means anything; only where a star means any text.
    Starts,
    /// A star at the front.
    Ends,
    Other,
}

impl Shape {
    /// `any` is the glob that matches every name of its kind. Where that is one star, a star is any text.
    fn of(text: &str, any: &str) -> Self {
        let plain = |rest: &str| !rest.contains(['*', '?', '[', ']', '{', '}', '\\', ',', '!', '/']);
        match (text.strip_prefix('*'), text.strip_suffix('*')) {
            _ if text == any => Self::Any,
            (Some(rest), _) if any == "*" && plain(rest) => Self::Ends,
            (_, Some(rest)) if any == "*" && plain(rest) => Self::Starts,
            _ => Self::Other,
        }
    }

    fn matches(self, text: &str, glob: &GlobMatcher, name: &str) -> bool {
        match self {
            Self::Any => true,
            Self::Starts => name.starts_with(&text[..text.len() - 1]),
            Self::Ends => name.ends_with(&text[1..]),
            Self::Other => glob.is_match(name),
        }
    }
}

macro_rules! glob_pattern {
    ($(#[$doc:meta])* $name:ident over $over:ty as $text:path, segments: $segments:literal, any: $any:literal) => {
        $(#[$doc])*
        #[derive(Clone)]
        pub struct $name {
            text: String,
            matcher: GlobMatcher,
            shape: Shape,
        }

        impl $name {
            /// Whether the whole name matches.
            #[must_use]
            pub fn matches(&self, name: &$over) -> bool {
                self.shape.matches(&self.text, &self.matcher, $text(name))
            }

            /// The pattern as it was written.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.text
            }

            /// The regular expression over bytes that it is matched by, anchored at both ends.
            #[must_use]
            pub fn expression(&self) -> &str {
                self.matcher.glob().regex()
            }
        }

        impl FromStr for $name {
            type Err = PatternError;

            fn from_str(text: &str) -> Result<Self, PatternError> {
                Ok(Self {
                    text: text.to_owned(),
                    matcher: compile(text, $segments)?,
                    shape: Shape::of(text, $any),
                })
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.text.fmt(f)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.text)
            }
        }

        impl PartialEq for $name {
            fn eq(&self, other: &Self) -> bool {
                self.text == other.text
            }
        }

        impl Eq for $name {}

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.text)
            }
        }
    };
}

glob_pattern! {
    /// A glob over tags, anchored at both ends: `*`, `?`, `[a-z]`, `{a,b}`. Case counts.
    TagPattern over Tag as Tag::as_str, segments: true, any: "*"
}

glob_pattern! {
    /// A glob over repository names, anchored at both ends. `*` stays within one path segment, `**` does not.
    RepositoryPattern over RepositoryName as RepositoryName::as_str, segments: true, any: "**"
}

impl RepositoryPattern {
    /// Whether a repository whose name begins with this path segment, or is it, may match; `true` where that cannot be
    /// told from how the pattern begins.
    #[must_use]
    pub fn may_match_below(&self, segment: &str) -> bool {
        let text = self.as_str();
        let begins = text.find(['*', '?', '[', ']', '{', '}', '\\']);
        let literal = &text[..begins.unwrap_or(text.len())];
        let path = format!("{segment}/");
        literal.starts_with(&path) || literal == segment || begins.is_some() && path.starts_with(literal)
    }
}

glob_pattern! {
    /// A glob over labels and media types, anchored at both ends. `*` matches slashes, and nothing at all.
    TextPattern over str as std::convert::identity, segments: false, any: "*"
}

/// A regular expression that must match the whole tag.
#[derive(Clone)]
pub struct TagRegex {
    text: String,
    regex: Regex,
}

impl TagRegex {
    /// Whether the whole tag matches.
    #[must_use]
    pub fn matches(&self, tag: &Tag) -> bool {
        self.regex.is_match(tag.as_str())
    }

    /// What a named group captured; `None` where the tag does not match or the group took no part.
    #[must_use]
    pub fn capture<'t>(&self, tag: &'t Tag, group: &str) -> Option<&'t str> {
        Some(self.regex.captures(tag.as_str())?.name(group)?.as_str())
    }

    /// Whether there is a group of this name.
    #[must_use]
    pub fn has_group(&self, group: &str) -> bool {
        self.regex.capture_names().flatten().any(|name| name == group)
    }

    /// The expression as it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The expression that tags are matched by, anchored at both ends.
    #[must_use]
    pub fn expression(&self) -> &str {
        self.regex.as_str()
    }
}

impl FromStr for TagRegex {
    type Err = PatternError;

    fn from_str(text: &str) -> Result<Self, PatternError> {
        if text.is_empty() {
            return Err(PatternError::Empty);
        }
        // A parser's message draws the expression over several lines; the last one says what is wrong.
        let why = |error: regex::Error| {
            let text = error.to_string();
            let last = text.lines().last().unwrap_or_default();
            PatternError::Regex(last.trim_start_matches("error: ").to_owned())
        };
        // Alone first: `a)|(b` would close and reopen the group that anchors it.
        Regex::new(text).map_err(why)?;
        // Anchors around an ungrouped alternation would bind to its ends only.
        let regex = Regex::new(&format!(r"\A(?:{text})\z")).map_err(why)?;
        Ok(Self {
            text: text.to_owned(),
            regex,
        })
    }
}

impl fmt::Debug for TagRegex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.text.fmt(f)
    }
}

impl fmt::Display for TagRegex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl PartialEq for TagRegex {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for TagRegex {}

impl Serialize for TagRegex {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tag(text: &str) -> Tag {
        text.parse().unwrap()
    }

    #[test]
    fn how_a_pattern_begins_tells_below_which_segment_it_can_match() {
        for (pattern, yes, no) in [
            ("team/*", &["team"][..], &["tea", "teams", "other"][..]),
            ("team/app", &["team"], &["app", "te"]),
            ("team", &["team"], &["te", "teams"]),
            ("te*", &["team", "te"], &["other"]),
            ("**", &["team", "other"], &[]),
            ("**/app", &["team", "other"], &[]),
            ("{team,other}/*", &["team", "other", "neither"], &[]),
            ("team-?/app", &["team-1"], &["team", "other"]),
        ] {
            let pattern: RepositoryPattern = pattern.parse().unwrap();
            assert!(
                yes.iter().all(|segment| pattern.may_match_below(segment)),
                "{pattern}"
            );
            assert!(
                !no.iter().any(|segment| pattern.may_match_below(segment)),
                "{pattern}"
            );
        }
    }

    #[test]
    fn a_star_stays_within_one_path_segment() {
        let one: RepositoryPattern = "team/*".parse().unwrap();
        let deep: RepositoryPattern = "team/**".parse().unwrap();
        let name = |text: &str| text.parse::<RepositoryName>().unwrap();
        assert!(one.matches(&name("team/a")));
        assert!(!one.matches(&name("team/a/b")));
        assert!(deep.matches(&name("team/a/b")));
        assert!(!one.matches(&name("my-team/a")), "a glob is anchored");
    }

    #[test]
    fn tag_globs_are_anchored_and_mind_case() {
        let glob: TagPattern = "*-rc.*".parse().unwrap();
        assert!(glob.matches(&tag("1.0.0-rc.1")));
        assert!(!glob.matches(&tag("1.0.0-RC.1")));
        assert!(!"rc".parse::<TagPattern>().unwrap().matches(&tag("rc.1")));
        assert!(
            "{dev,test}-*"
                .parse::<TagPattern>()
                .unwrap()
                .matches(&tag("test-1"))
        );
    }

    #[test]
    fn simple_globs_match_what_the_glob_library_says() {
        let globs = [
            "*", "**", "1.*", "*-rc", "*.*", "1.0.0", "*a*", "a?*", "[1]*", "{1,2}*", "\\\\*", "a/*", "*/b",
            "*\n", "é*",
        ];
        let names = [
            "1.0.0", "1", "a", "ab", "1.0.0-rc", "-rc.1", "_a*", "2.0", "v1.", "latest", "", "a/b", "x/b",
            "a\n", "\n", "été", "é",
        ];
        for glob in globs {
            let tags = glob.parse::<TagPattern>().unwrap();
            let texts = glob.parse::<TextPattern>().unwrap();
            let repositories = glob.parse::<RepositoryPattern>().unwrap();
            for name in names {
                if let Ok(tag) = name.parse::<Tag>() {
                    assert_eq!(tags.matches(&tag), tags.matcher.is_match(name), "{glob} {name}");
                }
                if let Ok(repository) = name.parse::<RepositoryName>() {
                    let library = repositories.matcher.is_match(name);
                    assert_eq!(repositories.matches(&repository), library, "{glob} {name}");
                }
                assert_eq!(texts.matches(name), texts.matcher.is_match(name), "{glob} {name}");
            }
        }
    }

    #[test]
    fn an_alternation_is_anchored_as_a_whole() {
        let regex: TagRegex = "dev|test".parse().unwrap();
        assert!(regex.matches(&tag("dev")) && regex.matches(&tag("test")));
        assert!(!regex.matches(&tag("dev-prod")) && !regex.matches(&tag("my-test")));
        assert!(r"^pr-\d+$".parse::<TagRegex>().unwrap().matches(&tag("pr-12")));
    }

    #[test]
    fn an_expression_cannot_break_out_of_its_anchors() {
        assert!("a)|(b".parse::<TagRegex>().is_err());
        // The comment would swallow the closing bracket: refused, not half anchored.
        assert!("(?x)a #".parse::<TagRegex>().is_err());
        let regex: TagRegex = "(?m)^a$".parse().unwrap();
        assert!(!regex.matches(&tag("ab")));
    }

    #[test]
    fn bad_patterns_are_refused_with_one_line() {
        for bad in ["", "[", "{a", "a{b,{c}"] {
            assert!(bad.parse::<TagPattern>().is_err(), "{bad:?}");
        }
        let error = "(".parse::<TagRegex>().unwrap_err().to_string();
        assert_eq!(error, "not a regular expression: unclosed group");
    }
}
