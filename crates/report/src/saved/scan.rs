//! JSON cut into pieces as it is read: the members of one object and the elements of one list in it, each handed on
//! as the bytes that it is.
//!
//! Nothing is understood here but where a value ends, so that a value is parsed, by a real parser, only when it is
//! known to be small enough and not nested too deeply.

use std::io::BufRead;

use super::error::PlanFileError;

/// Values in a plan are nested about ten deep.
const MAX_DEPTH: usize = 64;

#[derive(Debug)]
pub(super) struct Scanner<R> {
    input: R,
    at: u64,
    /// Where the last value began.
    start: u64,
    piece: Vec<u8>,
}

/// Where one is inside a value.
#[derive(Default)]
struct Inside {
    depth: usize,
    text: bool,
    escaped: bool,
}

impl<R: BufRead> Scanner<R> {
    pub(super) fn new(input: R) -> Self {
        Self {
            input,
            at: 0,
            start: 0,
            piece: Vec::new(),
        }
    }

    pub(super) fn into_input(self) -> R {
        self.input
    }

    fn skip(&mut self, count: usize) {
        self.input.consume(count);
        self.at += count as u64;
    }

    /// The next byte that is no whitespace, which is left there; `None` at the end.
    pub(super) fn peek(&mut self) -> Result<Option<u8>, PlanFileError> {
        loop {
            let buffer = self.input.fill_buf()?;
            if buffer.is_empty() {
                return Ok(None);
            }
            let white = buffer
                .iter()
                .position(|byte| !matches!(byte, b' ' | b'\t' | b'\n' | b'\r'));
            match white {
                Some(count) => {
                    let byte = buffer[count];
                    self.skip(count);
                    return Ok(Some(byte));
                }
                None => {
                    let count = buffer.len();
                    self.skip(count);
                }
            }
        }
    }

    /// Takes this byte, which must be next.
    pub(super) fn expect(&mut self, byte: u8, what: &str) -> Result<(), PlanFileError> {
        if self.take(byte)? {
            return Ok(());
        }
        Err(match self.peek()? {
            None => PlanFileError::Cut(self.at),
            Some(_) => {
                self.start = self.at;
                self.malformed(what, None)
            }
        })
    }

    /// Takes this byte, if it is next.
    pub(super) fn take(&mut self, byte: u8) -> Result<bool, PlanFileError> {
        let is_next = self.peek()? == Some(byte);
        if is_next {
            self.skip(1);
        }
        Ok(is_next)
    }

    /// The last value, or what stands instead of what was expected, is not as it should be.
    pub(super) fn malformed(&self, what: &str, source: Option<serde_json::Error>) -> PlanFileError {
        PlanFileError::Malformed {
            what: what.to_owned(),
            at: self.start,
            source,
        }
    }

    /// The bytes of the next value, of at most `limit` bytes.
    pub(super) fn value(&mut self, limit: usize, what: &str) -> Result<&[u8], PlanFileError> {
        self.piece.clear();
        let first = self.peek()?.ok_or(PlanFileError::Cut(self.at))?;
        let start = self.at;
        self.start = start;
        let nested = matches!(first, b'{' | b'[');
        let text = first == b'"';
        let mut inside = Inside::default();
        loop {
            let buffer = self.input.fill_buf()?;
            if buffer.is_empty() {
                // A number at the very end has no end of its own, but no plan ends with one.
                return Err(PlanFileError::Cut(self.at));
            }
            let mut end = None;
            for (position, byte) in buffer.iter().enumerate() {
                let done = if nested || text {
                    inside.closes(*byte)
                } else if matches!(byte, b',' | b'}' | b']' | b' ' | b'\t' | b'\n' | b'\r') {
                    end = Some(position);
                    break;
                } else {
                    false
                };
                if inside.depth > MAX_DEPTH {
                    let what = what.to_owned();
                    return Err(PlanFileError::TooDeep { what, at: start });
                }
                if done {
                    end = Some(position + 1);
                    break;
                }
            }
            let count = end.unwrap_or(buffer.len());
            if self.piece.len() + count > limit {
                return Err(PlanFileError::TooLarge {
                    what: what.to_owned(),
                    at: start,
                    limit,
                });
            }
            self.piece.extend_from_slice(&buffer[..count]);
            self.skip(count);
            if end.is_some() {
                return Ok(&self.piece);
            }
        }
    }
}

impl Inside {
    /// Whether the value ends with this byte.
    fn closes(&mut self, byte: u8) -> bool {
        if self.text {
            match byte {
                _ if self.escaped => self.escaped = false,
                b'\\' => self.escaped = true,
                b'"' => {
                    self.text = false;
                    return self.depth == 0;
                }
                _ => {}
            }
            return false;
        }
        match byte {
            b'"' => self.text = true,
            b'{' | b'[' => self.depth += 1,
            b'}' | b']' => {
                self.depth = self.depth.saturating_sub(1);
                return self.depth == 0;
            }
            _ => {}
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use std::io::BufReader;

    use super::*;

    /// With buffers so small that every state meets the end of one.
    fn scanner(text: &str) -> Scanner<BufReader<&[u8]>> {
        Scanner::new(BufReader::with_capacity(1, text.as_bytes()))
    }

    #[test]
    fn a_value_ends_where_json_says_whatever_is_in_its_texts() {
        for (text, expected) in [
            (r#" {"a":"}\"]","b":[{}]} ,"#, r#"{"a":"}\"]","b":[{}]}"#),
            (r#""a\\" :"#, r#""a\\""#),
            ("\n12.5,", "12.5"),
            ("true}", "true"),
            ("[[],[]]]", "[[],[]]"),
        ] {
            assert_eq!(
                scanner(text).value(100, "it").unwrap(),
                expected.as_bytes(),
                "{text}"
            );
        }
    }

    #[test]
    fn what_ends_too_early_or_is_too_large_or_too_deep_is_refused() {
        for text in ["", "  ", "{", r#"{"a":"}"#, r#""a\""#, "[1,"] {
            assert!(
                matches!(scanner(text).value(100, "it"), Err(PlanFileError::Cut(_))),
                "{text}"
            );
        }
        assert!(matches!(
            scanner("[1,2,3]").value(6, "it"),
            Err(PlanFileError::TooLarge { at: 0, limit: 6, .. })
        ));
        assert!(scanner("[1,2,3]").value(7, "it").is_ok());
        let deep = format!("{}{}", "[".repeat(MAX_DEPTH + 1), "]".repeat(MAX_DEPTH + 1));
        assert!(matches!(
            scanner(&deep).value(1000, "it"),
            Err(PlanFileError::TooDeep { .. })
        ));
        let deep = format!("{}{}", "[".repeat(MAX_DEPTH), "]".repeat(MAX_DEPTH));
        assert!(scanner(&deep).value(1000, "it").is_ok());
    }
}
