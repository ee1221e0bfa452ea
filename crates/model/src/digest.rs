//! Content digests, by the grammar of the OCI image specification.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::str::FromStr;
use std::sync::Arc;

use sha2::{Digest as _, Sha256, Sha512};
use thiserror::Error;

use crate::text::as_text;

/// Why a digest was refused.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum DigestError {
    /// Not `algorithm:encoded`.
    #[error("a digest reads `algorithm:encoded`, as in `sha256:` and 64 hexadecimal digits")]
    Shape,
    /// A registered algorithm with an encoded part of the wrong length or alphabet.
    #[error("a {algorithm} digest has {length} lower-case hexadecimal digits")]
    Encoded {
        /// The algorithm.
        algorithm: &'static str,
        /// How many digits it has.
        length: usize,
    },
}

/// A digest: what a manifest or blob is identified by.
///
/// `sha256` is held in binary, since nearly every digest is one and a snapshot holds many. Any other algorithm
/// that the grammar allows is accepted as a name; only `sha256` and `sha512` can be verified.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest(Repr);

#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Repr {
    Sha256([u8; 32]),
    Other(Arc<str>),
}

impl Hash for Repr {
    /// All of its bytes: whoever lists digests need not have contents for them, and could choose many that agree in some.
    fn hash<H: Hasher>(&self, state: &mut H) {
        match self {
            Self::Sha256(value) => state.write(value),
            Self::Other(text) => text.hash(state),
        }
    }
}

impl Digest {
    /// The `sha256` digest of `content`.
    #[must_use]
    pub fn of(content: &[u8]) -> Self {
        Self(Repr::Sha256(Sha256::digest(content).into()))
    }

    /// The digest with the given `sha256` value.
    #[must_use]
    pub fn from_sha256(value: [u8; 32]) -> Self {
        Self(Repr::Sha256(value))
    }

    /// Whether `content` has this digest; `None` where the algorithm cannot be computed here.
    #[must_use]
    pub fn verifies(&self, content: &[u8]) -> Option<bool> {
        match &self.0 {
            Repr::Sha256(expected) => Some(Sha256::digest(content).as_slice() == expected),
            Repr::Other(text) => {
                let hex = text.strip_prefix("sha512:")?;
                Some(hex_of(&Sha512::digest(content)) == hex)
            }
        }
    }

    /// The algorithm, such as `sha256`.
    #[must_use]
    pub fn algorithm(&self) -> &str {
        match &self.0 {
            Repr::Sha256(_) => "sha256",
            Repr::Other(text) => text.split_once(':').map_or("", |(algorithm, _)| algorithm),
        }
    }

    /// The encoded part, behind the colon.
    #[must_use]
    pub fn encoded(&self) -> String {
        match &self.0 {
            Repr::Sha256(value) => hex_of(value),
            Repr::Other(text) => text.split_once(':').map_or("", |(_, encoded)| encoded).to_owned(),
        }
    }

    /// The first twelve characters of the encoded part, for people to read.
    #[must_use]
    pub fn short(&self) -> String {
        let mut encoded = self.encoded();
        encoded.truncate(12);
        encoded
    }

    /// The tag under which referrers of this digest are listed where a registry has no referrers API: the
    /// algorithm (at most 32 characters), a dash, the encoded part (at most 64).
    ///
    /// Distribution specification, "Referrers Tag Schema".
    #[must_use]
    pub fn referrers_tag(&self) -> String {
        let algorithm: String = self.algorithm().chars().take(32).collect();
        let encoded: String = self.encoded().chars().take(64).collect();
        format!("{algorithm}-{encoded}")
    }
}

const HEX: &[u8; 16] = b"0123456789abcdef";

fn hex_of(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        out.push(HEX[usize::from(byte >> 4)] as char);
        out.push(HEX[usize::from(byte & 15)] as char);
    }
    out
}

/// What each byte is as a lower-case hexadecimal digit; those that are none have a bit that no digit has.
const NIBBLES: [u8; 256] = {
    let mut nibbles = [NO_NIBBLE; 256];
    let mut value = 0;
    while value < 16 {
        nibbles[HEX[value as usize] as usize] = value;
        value += 1;
    }
    nibbles
};

const NO_NIBBLE: u8 = 0x80;

fn nibble(byte: u8) -> u8 {
    NIBBLES[usize::from(byte)]
}

fn is_hex(text: &str) -> bool {
    text.bytes().all(|byte| nibble(byte) != NO_NIBBLE)
}

/// Reads 64 lower-case hexadecimal digits.
pub(crate) fn sha256_from_hex(hex: &str) -> Option<[u8; 32]> {
    let hex = hex.as_bytes();
    if hex.len() != 64 {
        return None;
    }
    // Digits of a digest are random, and a branch for each would be foretold wrongly half of the time.
    let mut out = [0; 32];
    let mut all = 0;
    for (byte, pair) in out.iter_mut().zip(hex.chunks_exact(2)) {
        let (high, low) = (nibble(pair[0]), nibble(pair[1]));
        all |= high | low;
        *byte = high << 4 | low & 0xf;
    }
    (all & NO_NIBBLE == 0).then_some(out)
}

impl FromStr for Digest {
    type Err = DigestError;

    fn from_str(text: &str) -> Result<Self, DigestError> {
        let (algorithm, encoded) = text.split_once(':').ok_or(DigestError::Shape)?;
        match algorithm {
            "sha256" => sha256_from_hex(encoded)
                .map(Self::from_sha256)
                .ok_or(DigestError::Encoded {
                    algorithm: "sha256",
                    length: 64,
                }),
            "sha512" if encoded.len() != 128 || !is_hex(encoded) => Err(DigestError::Encoded {
                algorithm: "sha512",
                length: 128,
            }),
            _ => {
                let component = |part: &str| {
                    !part.is_empty() && part.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit())
                };
                let well_formed = text.len() <= 256
                    && algorithm.split(['+', '.', '_', '-']).all(component)
                    && !encoded.is_empty()
                    && encoded
                        .bytes()
                        .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'=' | b'_' | b'-'));
                if well_formed {
                    Ok(Self(Repr::Other(text.into())))
                } else {
                    Err(DigestError::Shape)
                }
            }
        }
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Repr::Sha256(value) => {
                let mut text = *b"sha256:0000000000000000000000000000000000000000000000000000000000000000";
                for (pair, byte) in text[7..].chunks_exact_mut(2).zip(value) {
                    pair[0] = HEX[usize::from(byte >> 4)];
                    pair[1] = HEX[usize::from(byte & 15)];
                }
                f.write_str(std::str::from_utf8(&text).map_err(|_| fmt::Error)?)
            }
            Repr::Other(text) => f.write_str(text),
        }
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl TryFrom<String> for Digest {
    type Error = DigestError;

    fn try_from(text: String) -> Result<Self, DigestError> {
        text.parse()
    }
}

impl From<Digest> for String {
    fn from(digest: Digest) -> Self {
        digest.to_string()
    }
}

as_text!(Digest);

#[cfg(test)]
mod tests {
    use super::*;

    const EMPTY: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    #[test]
    fn what_is_no_lower_case_digit_is_refused_wherever_it_stands() {
        let (_, hex) = EMPTY.split_once(':').unwrap();
        let digits = |byte: &u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
        for place in [0, 1, 31, 62, 63] {
            for byte in 0..=0x7f {
                let mut other = hex.as_bytes().to_vec();
                other[place] = byte;
                let text = format!("sha256:{}", String::from_utf8(other).unwrap());
                match text.parse::<Digest>() {
                    Ok(digest) => assert!(digits(&byte) && digest.to_string() == text, "{text}"),
                    Err(error) => assert!(!digits(&byte), "{text}: {error}"),
                }
            }
        }
    }

    #[test]
    fn the_digest_of_nothing_is_the_known_one() {
        assert_eq!(Digest::of(b"").to_string(), EMPTY);
        assert_eq!(EMPTY.parse::<Digest>().unwrap(), Digest::of(b""));
        assert_eq!(Digest::of(b"").referrers_tag(), EMPTY.replace(':', "-"));
    }

    #[test]
    fn digests_follow_the_grammar_of_the_image_specification() {
        let sha512 = format!("sha512:{}", "0f".repeat(64));
        for good in [
            EMPTY,
            sha512.as_str(),
            "multihash+base58:QmRZxt2b1FVZPNqd8hsiykDL3TdBDeTSPX9Kv46HmX4Gx8",
        ] {
            assert_eq!(good.parse::<Digest>().unwrap().to_string(), good);
        }
        for bad in [
            "",
            "sha256",
            "sha256:",
            "sha256:abc",
            &EMPTY.to_uppercase(),
            &EMPTY.replace('e', "E"),
            "SHA256:00",
            "sha512:00",
            "a b:c",
            "a:b c",
            "+a:b",
            "a:../../etc",
        ] {
            assert!(bad.parse::<Digest>().is_err(), "{bad:?} was accepted");
        }
    }

    #[test]
    fn content_is_verified_by_sha256_and_sha512_and_by_nothing_else() {
        assert_eq!(Digest::of(b"x").verifies(b"x"), Some(true));
        assert_eq!(Digest::of(b"x").verifies(b"y"), Some(false));
        let sha512: Digest = format!("sha512:{}", hex_of(&Sha512::digest(b"x")))
            .parse()
            .unwrap();
        assert_eq!(sha512.verifies(b"x"), Some(true));
        assert_eq!(sha512.verifies(b"y"), Some(false));
        assert_eq!("b3:abc".parse::<Digest>().unwrap().verifies(b"x"), None);
    }

    #[test]
    fn digests_that_differ_in_one_byte_hash_differently_whichever_it_is() {
        use std::hash::{BuildHasher as _, RandomState};

        let (state, zeros) = (RandomState::new(), [0; 32]);
        let hash = |value: [u8; 32]| state.hash_one(Digest::from_sha256(value));
        for byte in 0..32 {
            let mut value = zeros;
            value[byte] = 1;
            assert_ne!(hash(value), hash(zeros), "byte {byte} does not count");
        }
        // Nobody outside can know the hashes of this process.
        assert_ne!(
            RandomState::new().hash_one(Digest::from_sha256(zeros)),
            hash(zeros)
        );
    }

    #[test]
    fn the_referrers_tag_of_a_long_digest_is_cut_as_the_specification_says() {
        let sha512: Digest = format!("sha512:{}", "0f".repeat(64)).parse().unwrap();
        assert_eq!(sha512.referrers_tag(), format!("sha512-{}", "0f".repeat(32)));
    }
}
