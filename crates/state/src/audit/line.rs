//! The lines of an audit log. Each is sealed and chained as the journal's mirror is: `tail -c +78 | head -c -1 |
//! sha256sum` gives the checksum that a line begins with, and `prev` is that of the line before it.

use lagan_model::Time;
use serde::{Deserialize, Serialize};

use crate::audit::Who;
use crate::format::hash::Checksum;
use crate::format::line::{self, LineError, VERSION};

/// The longest line, in bytes. What is written stays far below it.
pub(super) const LONGEST: usize = 32 << 20;

/// What places a line in its log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Place {
    pub(super) v: u32,
    /// The log's own name, in the header of a file.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(super) audit: Option<String>,
    /// Its number; in a header that of the last entry before it.
    pub(super) seq: u64,
    /// The checksum of the line before it; only the first header of all has none.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(super) prev: Option<Checksum>,
}

#[derive(Serialize)]
struct Entry<'a, E> {
    v: u32,
    seq: u64,
    prev: Checksum,
    at: Time,
    who: &'a Who,
    #[serde(flatten)]
    event: &'a E,
}

/// The first line of a file.
pub(super) fn header(
    audit: &str,
    seq: u64,
    prev: Option<Checksum>,
) -> serde_json::Result<(Vec<u8>, Checksum)> {
    line::seal(&Place {
        v: VERSION,
        audit: Some(audit.to_owned()),
        seq,
        prev,
    })
}

/// An entry.
pub(super) fn entry<E: Serialize>(
    (seq, prev): (u64, Checksum),
    at: Time,
    who: &Who,
    event: &E,
) -> serde_json::Result<(Vec<u8>, Checksum)> {
    line::seal(&Entry {
        v: VERSION,
        seq,
        prev,
        at,
        who,
        event,
    })
}

/// Where a line belongs, if it is sound. It has no line break any more.
pub(super) fn read(text: &[u8]) -> Result<(Place, Checksum), LineError> {
    let damaged = |why: String| LineError::Damaged(why);
    let checksum = line::check(text).ok_or_else(|| damaged("its checksum is wrong".to_owned()))?;
    let place: Place = serde_json::from_slice(text).map_err(|error| damaged(error.to_string()))?;
    match place.v {
        newer if newer > VERSION => Err(LineError::Newer(newer)),
        _ => Ok((place, checksum)),
    }
}
