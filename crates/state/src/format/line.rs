//! The lines of the mirror, which are also what the store holds of an entry.
//!
//! A line is a JSON object whose first member is the SHA-256 of all that follows it, so that
//! `tail -c +78 | head -c -1 | sha256sum` checks one without this program. Entries are chained: each names the checksum
//! of the one before it, the first that of the header.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use lagan_model::digest::Digest;
use lagan_model::journal::{Effect, RunId, Sequence};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::format::hash::{Checksum, DIGITS};

/// The version of the format that this program writes, and the newest that it reads.
pub(crate) const VERSION: u32 = 1;

/// The largest body or content, in bytes. A manifest has at most 4 MiB.
pub(crate) const MAX_CONTENT: usize = 16 << 20;

/// The longest line, in bytes.
pub(crate) const MAX_LINE: usize = 32 << 20;

const HEAD: &[u8] = b"{\"sha256\":\"";
const REST: usize = HEAD.len() + DIGITS + 2;

/// A line that was checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Line {
    /// The first of a mirror: the journal's own name.
    Header(String),
    /// An entry.
    Entry(EntryLine),
    /// A content, compressed.
    Content(Digest, Vec<u8>),
}

/// An entry with its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct EntryLine {
    pub(crate) sequence: u64,
    /// The checksum of the entry before it.
    pub(crate) previous: Checksum,
    pub(crate) run: RunId,
    pub(crate) effect: Effect,
    /// The write that made it durable: all entries of a write have one number, the next write has the next.
    pub(crate) commit: u64,
    /// How many entries of its group follow. A group is there as a whole or not at all.
    pub(crate) more: u64,
    /// The contents of its group, told by the first entry of each run in it.
    pub(crate) needs: Vec<Digest>,
    pub(crate) body: Bytes,
}

/// Why a line says nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum LineError {
    #[error("{0}")]
    Damaged(String),
    #[error("it is of version {0} of the format, and this program knows {VERSION}")]
    Newer(u32),
}

/// Members of a line, in the order in which they are written.
#[derive(Serialize, Deserialize)]
struct Members<'a> {
    v: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    journal: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    seq: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    prev: Option<Checksum>,
    #[serde(skip_serializing_if = "Option::is_none")]
    run: Option<RunId>,
    #[serde(skip_serializing_if = "is_false", default)]
    opens: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    settles: Option<Sequence>,
    #[serde(skip_serializing_if = "Option::is_none")]
    commit: Option<u64>,
    #[serde(skip_serializing_if = "is_zero", default)]
    more: u64,
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    needs: Vec<Digest>,
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    body: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    base64: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    content: Option<Digest>,
    #[serde(skip_serializing_if = "Option::is_none")]
    packed: Option<String>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes references")]
fn is_false(value: &bool) -> bool {
    !*value
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes references")]
fn is_zero(value: &u64) -> bool {
    *value == 0
}

const NOTHING: Members<'static> = Members {
    v: VERSION,
    journal: None,
    seq: None,
    prev: None,
    run: None,
    opens: false,
    settles: None,
    commit: None,
    more: 0,
    needs: Vec::new(),
    body: None,
    base64: None,
    content: None,
    packed: None,
};

/// Puts a checksum in front of a JSON object; without a line break at the end.
pub(crate) fn seal(value: &impl Serialize) -> serde_json::Result<(Vec<u8>, Checksum)> {
    let object = serde_json::to_vec(value)?;
    let rest = object.get(1..).unwrap_or_default();
    let checksum = Checksum::of(rest);
    let mut line = Vec::with_capacity(REST + rest.len());
    line.extend_from_slice(HEAD);
    line.extend_from_slice(checksum.to_string().as_bytes());
    line.extend_from_slice(b"\",");
    line.extend_from_slice(rest);
    Ok((line, checksum))
}

/// Checks a sealed line, without looking at what it says.
pub(crate) fn check(line: &[u8]) -> Option<Checksum> {
    let told = line.strip_prefix(HEAD)?.get(..DIGITS)?;
    let told: Checksum = std::str::from_utf8(told).ok()?.parse().ok()?;
    let rest = line.get(REST..)?;
    (&line[REST - 2..REST] == b"\"," && Checksum::of(rest) == told).then_some(told)
}

/// The header of a mirror.
pub(crate) fn header(id: &str) -> serde_json::Result<(Vec<u8>, Checksum)> {
    seal(&Members {
        journal: Some(id.to_owned()),
        ..NOTHING
    })
}

/// A content, which was packed before.
pub(crate) fn content(digest: &Digest, packed: &[u8]) -> serde_json::Result<Vec<u8>> {
    let members = Members {
        content: Some(digest.clone()),
        packed: Some(STANDARD.encode(packed)),
        ..NOTHING
    };
    seal(&members).map(|(line, _)| line)
}

/// An entry.
pub(crate) fn entry(entry: &EntryLine) -> serde_json::Result<(Vec<u8>, Checksum)> {
    // A JSON object goes in as it is, so that people can read the mirror; anything else as base64.
    let readable = serde_json::from_slice::<&RawValue>(&entry.body)
        .ok()
        .filter(|raw| {
            raw.get().len() == entry.body.len() && raw.get().starts_with('{') && !entry.body.contains(&b'\n')
        });
    seal(&Members {
        seq: Some(entry.sequence),
        prev: Some(entry.previous),
        run: Some(entry.run),
        opens: entry.effect == Effect::Opens,
        settles: match entry.effect {
            Effect::Settles(sequence) => Some(sequence),
            Effect::None | Effect::Opens => None,
        },
        commit: Some(entry.commit),
        more: entry.more,
        needs: entry.needs.clone(),
        body: readable,
        base64: readable.is_none().then(|| STANDARD.encode(&entry.body)),
        ..NOTHING
    })
}

/// Reads a line, without its line break.
pub(crate) fn decode(line: &[u8]) -> Result<(Line, Checksum), LineError> {
    let damaged = |why: &str| LineError::Damaged(why.to_owned());
    let checksum = check(line).ok_or_else(|| damaged("its checksum is wrong"))?;
    #[derive(Deserialize)]
    struct Version {
        v: u32,
    }
    let version: Version = serde_json::from_slice(line).map_err(|e| damaged(&e.to_string()))?;
    if version.v > VERSION {
        return Err(LineError::Newer(version.v));
    }
    let members: Members<'_> = serde_json::from_slice(line).map_err(|e| damaged(&e.to_string()))?;
    let unbase64 = |text: &str| {
        STANDARD
            .decode(text)
            .map_err(|_| damaged("it holds base64 that is none"))
    };
    if let Some(id) = members.journal {
        return Ok((Line::Header(id), checksum));
    }
    if let (Some(digest), Some(packed)) = (members.content, members.packed) {
        return Ok((Line::Content(digest, unbase64(&packed)?), checksum));
    }
    let body = match (members.body, members.base64) {
        (Some(raw), None) => Bytes::copy_from_slice(raw.get().as_bytes()),
        (None, Some(text)) => unbase64(&text)?.into(),
        _ => return Err(damaged("it has no body, or two")),
    };
    let effect = match (members.opens, members.settles) {
        (false, None) => Effect::None,
        (true, None) => Effect::Opens,
        (false, Some(sequence)) => Effect::Settles(sequence),
        (true, Some(_)) => return Err(damaged("it opens and settles")),
    };
    match (members.seq, members.prev, members.run, members.commit) {
        (Some(sequence), Some(previous), Some(run), Some(commit)) if sequence > 0 => {
            let entry = EntryLine {
                sequence,
                previous,
                run,
                effect,
                commit,
                more: members.more,
                needs: members.needs,
                body,
            };
            Ok((Line::Entry(entry), checksum))
        }
        _ => Err(damaged("it is neither an entry nor a content")),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn an_entry() -> impl Strategy<Value = EntryLine> {
        let effect = prop_oneof![
            Just(Effect::None),
            Just(Effect::Opens),
            (1_u64..99).prop_map(|n| Effect::Settles(Sequence(n)))
        ];
        let body = prop_oneof![
            proptest::collection::vec(any::<u8>(), 0..50),
            "[a-z\"\\\\ \n]{0,9}"
                .prop_map(|text| serde_json::to_vec(&serde_json::json!({ "text": text })).unwrap()),
            Just(b" {}".to_vec()),
            Just(b"{\n}".to_vec()),
            Just(b"null".to_vec()),
        ];
        (
            1_u64..,
            any::<u128>(),
            effect,
            any::<u64>(),
            any::<u64>(),
            body,
            any::<bool>(),
        )
            .prop_map(|(sequence, run, effect, commit, more, body, needy)| EntryLine {
                sequence,
                previous: Checksum::of(b"previous"),
                run: RunId::from_bits(run),
                effect,
                commit,
                more,
                needs: if needy { vec![Digest::of(b"x")] } else { Vec::new() },
                body: body.into(),
            })
    }

    proptest! {
        #[test]
        fn an_entry_comes_back_from_its_line(expected in an_entry()) {
            let (line, checksum) = entry(&expected).unwrap();
            prop_assert!(!line.contains(&b'\n'));
            prop_assert_eq!(decode(&line), Ok((Line::Entry(expected), checksum)));
        }

        #[test]
        fn a_line_with_any_bit_changed_is_none(expected in an_entry(), place in any::<prop::sample::Index>(), bit in 0..8) {
            let (mut line, _) = entry(&expected).unwrap();
            let place = place.index(line.len());
            line[place] ^= 1_u8 << bit;
            prop_assert!(matches!(decode(&line), Err(LineError::Damaged(_))));
        }

        #[test]
        fn a_line_that_was_cut_is_none(expected in an_entry(), place in any::<prop::sample::Index>()) {
            let (line, _) = entry(&expected).unwrap();
            prop_assert!(decode(&line[..place.index(line.len())]).is_err());
        }

        #[test]
        fn garbage_is_an_error(garbage in proptest::collection::vec(any::<u8>(), 0..200)) {
            prop_assert!(decode(&garbage).is_err());
        }
    }

    #[test]
    fn contents_and_headers_come_back() {
        let digest = Digest::of(b"manifest");
        let line = content(&digest, b"\x00manifest").unwrap();
        assert_eq!(
            decode(&line).unwrap().0,
            Line::Content(digest, b"\x00manifest".to_vec())
        );
        let (line, checksum) = header("name").unwrap();
        assert_eq!(decode(&line), Ok((Line::Header("name".to_owned()), checksum)));
    }

    #[test]
    fn the_checksum_covers_what_a_shell_can_cut_out() {
        let (line, checksum) = header("name").unwrap();
        assert_eq!(&line[77..], br#""v":1,"journal":"name"}"#);
        assert_eq!(Checksum::of(&line[77..]), checksum);
    }

    #[test]
    fn a_line_of_a_newer_version_is_told_from_a_damaged_one() {
        let (line, _) = seal(&serde_json::json!({ "v": 2, "wonder": true })).unwrap();
        assert_eq!(decode(&line), Err(LineError::Newer(2)));
    }
}
