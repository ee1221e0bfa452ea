//! JSON that does no harm to a terminal that shows it.

use std::io::{self, Write};

use serde::Serialize;
use serde_json::ser::{Formatter, Serializer};

use crate::sanitize::is_harmful;

/// Compact JSON with [harmful](is_harmful) characters as `\u` escapes: the same values to a parser.
///
/// `serde_json` escapes what RFC 8259 demands, which leaves DEL, the C1 controls and the bidirectional ones.
#[derive(Debug, Clone, Copy)]
struct Harmless;

impl Formatter for Harmless {
    fn write_string_fragment<W: ?Sized + Write>(&mut self, writer: &mut W, fragment: &str) -> io::Result<()> {
        // Nearly every string is a digest, a tag or a key.
        if fragment.bytes().all(|byte| matches!(byte, b' '..=b'~')) {
            return writer.write_all(fragment.as_bytes());
        }
        let mut rest = fragment;
        while let Some(start) = rest.find(is_harmful) {
            let (clean, harmful) = rest.split_at(start);
            writer.write_all(clean.as_bytes())?;
            let mut characters = harmful.chars();
            if let Some(character) = characters.next() {
                // Beyond the basic plane these are two, as RFC 8259, section 7, has it.
                for unit in character.encode_utf16(&mut [0; 2]) {
                    write!(writer, "\\u{unit:04x}")?;
                }
            }
            rest = characters.as_str();
        }
        writer.write_all(rest.as_bytes())
    }
}

/// Writes a value, without a newline behind it.
pub(crate) fn write<T: Serialize + ?Sized>(out: &mut dyn Write, value: &T) -> io::Result<()> {
    Ok(value.serialize(&mut Serializer::with_formatter(out, Harmless))?)
}

/// Writes a member of an object, with what stands in front of it: `{` or `,`.
pub(crate) fn member<T: Serialize + ?Sized>(
    out: &mut dyn Write,
    before: char,
    name: &str,
    value: &T,
) -> io::Result<()> {
    write!(out, "{before}\"{name}\":")?;
    write(out, value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn harmful_characters_are_escaped_and_read_back_as_they_were() {
        let nasty = "\u{1b}[31m\u{7f}\u{9b}2J \u{202e}txt\u{2069}\u{200b}\u{feff}\u{e0041} \"\\ größer 🚢\n";
        let mut out = Vec::new();
        write(&mut out, nasty).unwrap();
        let text = String::from_utf8(out).unwrap();
        assert_eq!(
            text,
            r#""\u001b[31m\u007f\u009b2J \u202etxt\u2069\u200b\ufeff\udb40\udc41 \"\\ größer 🚢\n""#
        );
        assert_eq!(serde_json::from_str::<String>(&text).unwrap(), nasty);
    }

    #[test]
    fn names_of_members_are_escaped_too() {
        let mut out = Vec::new();
        write(&mut out, &std::collections::BTreeMap::from([("\u{202e}", 1)])).unwrap();
        assert_eq!(out, br#"{"\u202e":1}"#);
    }

    #[test]
    fn a_writer_that_fails_is_an_error_and_not_a_short_document() {
        let mut full: &mut [u8] = &mut [0; 4];
        assert!(write(&mut full, "longer than four").is_err());
    }
}
