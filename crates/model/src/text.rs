//! JSON of what is text: a string, written as the value is displayed and read as it is parsed.
//!
//! Straight from and to the document: manifests are made of digests and media types, and a plan of digests and tags, so
//! that a string for each on the way would be most of what reading one costs.

use std::fmt;
use std::marker::PhantomData;
use std::str::FromStr;

use serde::de::{Error, Visitor};

/// Reads a string where it stands.
pub(crate) struct Parsed<T>(pub(crate) PhantomData<T>);

impl<T> Visitor<'_> for Parsed<T>
where
    T: FromStr,
    T::Err: fmt::Display,
{
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<T, E> {
        text.parse().map_err(E::custom)
    }
}

/// Makes a type that is displayed and parsed a string in JSON.
macro_rules! as_text {
    ($name:ident) => {
        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                deserializer.deserialize_str($crate::text::Parsed(std::marker::PhantomData))
            }
        }
    };
}

pub(crate) use as_text;

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use crate::{Digest, MediaType, RepositoryName, Tag};

    #[test]
    fn what_is_text_reads_back_as_value_and_key_escaped_or_not() {
        let tags = r#"["a","\u0076\u0031"]"#;
        let read: Vec<Tag> = serde_json::from_str(tags).unwrap();
        assert_eq!(serde_json::to_string(&read).unwrap(), r#"["a","v1"]"#);
        let from_stream: Vec<Tag> = serde_json::from_reader(tags.as_bytes()).unwrap();
        assert_eq!(from_stream, read);
        let keyed: BTreeMap<Digest, MediaType> =
            BTreeMap::from([(Digest::of(b"x"), "Text/PLAIN".parse().unwrap())]);
        let value = serde_json::to_value(&keyed).unwrap();
        assert_eq!(value[Digest::of(b"x").to_string()], "text/plain");
        let again: BTreeMap<Digest, MediaType> = serde_json::from_value(value).unwrap();
        assert_eq!(again, keyed);
    }

    #[test]
    fn what_does_not_follow_the_grammar_is_refused_and_so_is_what_is_no_text() {
        for text in [r#""""#, r#""a b""#, "1", "null", "[\"a\"]"] {
            assert!(serde_json::from_str::<Tag>(text).is_err(), "{text}");
        }
        let error = serde_json::from_str::<RepositoryName>(r#""A""#).unwrap_err();
        assert!(error.to_string().contains("not allowed"), "{error}");
    }
}
