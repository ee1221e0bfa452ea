//! JSON from outside.
//!
//! A parser that skips what it was not asked for skips any depth of it, and one that was asked for a value of any
//! shape builds it. Whoever reads the same document with another parser, as registries and other tools do, may see
//! something else there, or fall over. So a document that nests deeper than any real one is no document.

use serde::de::{DeserializeOwned, Error as _};

/// How deep arrays and objects may be nested. Manifests, listings, tokens and configurations need less than ten.
pub const MAX_DEPTH: usize = 64;

/// Reads a whole document.
///
/// # Errors
///
/// When it is not JSON, not a `T`, or nests deeper than [`MAX_DEPTH`].
pub fn read<T: DeserializeOwned>(bytes: &[u8]) -> serde_json::Result<T> {
    if is_too_deep(bytes) {
        let message = format!("nested deeper than {MAX_DEPTH} levels");
        return Err(serde_json::Error::custom(message));
    }
    serde_json::from_slice(bytes)
}

/// Counts brackets first, which is quick and enough for nearly every document.
fn is_too_deep(bytes: &[u8]) -> bool {
    let opening = |byte: &&u8| matches!(byte, b'[' | b'{');
    bytes.iter().filter(opening).count() > MAX_DEPTH && depth_exceeds(bytes)
}

/// Brackets inside strings nest nothing. In what is not JSON the answer means nothing; the parser refuses that.
fn depth_exceeds(bytes: &[u8]) -> bool {
    let mut depth = 0_usize;
    let mut bytes = bytes.iter();
    while let Some(byte) = bytes.next() {
        match byte {
            b'[' | b'{' => {
                depth += 1;
                if depth > MAX_DEPTH {
                    return true;
                }
            }
            b']' | b'}' => depth = depth.saturating_sub(1),
            b'"' => {
                while let Some(byte) = bytes.next() {
                    match byte {
                        b'"' => break,
                        b'\\' => drop(bytes.next()),
                        _ => {}
                    }
                }
            }
            _ => {}
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, serde::Deserialize)]
    struct Named {
        name: String,
    }

    #[test]
    fn what_is_not_asked_for_counts_as_well() {
        for (open, close, times, accepted) in [
            ("[", "]", 63, true),
            ("[", "]", 64, false),
            ("[", "]", 200_000, false),
            (r#"{"a":"#, "}", 63, true),
            (r#"{"a":"#, "}", 64, false),
            (r#"[{"a":["#, "]}]", 21, true),
            (r#"[{"a":["#, "]}]", 22, false),
        ] {
            let (opened, closed) = (open.repeat(times), close.repeat(times));
            let text = format!(r#"{{"ignored":{opened}0{closed},"name":"a"}}"#);
            let read = read::<Named>(text.as_bytes());
            assert_eq!(read.is_ok(), accepted, "{times} of {open}");
            assert!(read.map_or(true, |read| read.name == "a"));
        }
    }

    #[test]
    fn a_long_document_is_not_a_deep_one_and_brackets_in_strings_nest_nothing() {
        let list = format!(r#"{{"name":"a","list":[{}0]}}"#, r#"{"x":[]},"#.repeat(10_000));
        assert!(read::<Named>(list.as_bytes()).is_ok());
        let quoted = format!(r#"{{"name":"{}\"{}\\"}}"#, "[".repeat(1000), "{".repeat(1000));
        assert!(read::<Named>(quoted.as_bytes()).is_ok());
    }

    #[test]
    fn what_is_not_json_is_an_error_whatever_its_brackets() {
        for text in ["", "]]]]", "\"\\", "[", "{\"name\":\"a\"} {}"] {
            assert!(read::<Named>(text.as_bytes()).is_err(), "{text}");
        }
        let message = read::<Named>("[".repeat(1000).as_bytes())
            .unwrap_err()
            .to_string();
        assert_eq!(message, "nested deeper than 64 levels");
    }
}
