//! What the store knows: entries by number, contents by digest, and what is open, settled, and of which run.
//!
//! | key | value |
//! |---|---|
//! | `e` number | the entry's line, packed |
//! | `c` digest | the content, packed |
//! | `o` number | set while the entry is open |
//! | `s` number | the number of the entry that settled it |
//! | `r` run number | set: the entry is of the run |
//! | `h` | the header's line |
//! | `m` | the last number, its commit, its checksum |

use std::fmt;

use bytes::Bytes;
use lagan_model::digest::Digest;
use lagan_model::journal::{Effect, RunId};

use crate::copies::kv::{Batch, Kv, KvError};
use crate::format::hash::Checksum;
use crate::format::line::{self, EntryLine, Line, MAX_CONTENT, MAX_LINE};
use crate::format::pack::{pack, unpack};

const HEADER: &[u8] = b"h";
const LAST: &[u8] = b"m";

/// The end of the journal, as one of its copies knows it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct End {
    pub(crate) sequence: u64,
    pub(crate) checksum: Checksum,
    pub(crate) commit: u64,
}

impl fmt::Debug for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "record {} ({})", self.sequence, self.checksum)
    }
}

/// The copy of the journal in which things are found.
#[derive(Debug)]
pub(crate) struct Index {
    kv: Kv,
}

/// What becomes part of the index together.
#[derive(Default)]
pub(crate) struct Changes(Batch);

fn numbered(prefix: u8, number: u64) -> Vec<u8> {
    [&[prefix], number.to_be_bytes().as_slice()].concat()
}

fn of_run(run: RunId) -> Vec<u8> {
    [b"r", run.bits().to_be_bytes().as_slice()].concat()
}

fn content_key(digest: &Digest) -> Vec<u8> {
    [b"c", digest.to_string().as_bytes(), &[0]].concat()
}

fn number(bytes: &[u8]) -> Result<u64, KvError> {
    bytes
        .try_into()
        .map(u64::from_be_bytes)
        .map_err(|_| KvError::Damaged("a number in the store is none".to_owned()))
}

impl Changes {
    pub(crate) fn header(&mut self, line: &[u8]) {
        self.0.set(HEADER, line);
    }

    pub(crate) fn entry(&mut self, line: &[u8], entry: &EntryLine, checksum: Checksum) {
        let sequence = entry.sequence.to_be_bytes();
        self.0.put(&numbered(b'e', entry.sequence), &pack(line));
        self.0.set(&[of_run(entry.run), sequence.to_vec()].concat(), b"");
        match entry.effect {
            Effect::None => {}
            Effect::Opens => self.0.set(&numbered(b'o', entry.sequence), b""),
            Effect::Settles(other) => {
                self.0.remove(&numbered(b'o', other.0));
                self.0.set(&numbered(b's', other.0), &sequence);
            }
        }
        let last = [sequence.as_slice(), &entry.commit.to_be_bytes(), checksum.bytes()].concat();
        self.0.set(LAST, &last);
    }

    pub(crate) fn content(&mut self, digest: &Digest, packed: &[u8]) {
        self.0.put(&content_key(digest), packed);
    }
}

impl Index {
    pub(crate) fn new(kv: Kv) -> Self {
        Self { kv }
    }

    pub(crate) fn kv(&self) -> &Kv {
        &self.kv
    }

    pub(crate) fn apply(&self, changes: Changes) -> Result<(), KvError> {
        self.kv.apply(changes.0)
    }

    /// The journal's name, and the checksum that the first entry follows.
    pub(crate) fn header(&self) -> Result<Option<(String, Checksum)>, KvError> {
        let line = self.kv.get(HEADER)?;
        Ok(match line.map(|line| line::decode(&line)) {
            Some(Ok((Line::Header(id), checksum))) => Some((id, checksum)),
            _ => None,
        })
    }

    /// Its last entry.
    pub(crate) fn end(&self) -> Result<Option<End>, KvError> {
        let Some(value) = self.kv.get(LAST)? else {
            return Ok(None);
        };
        let damaged = || KvError::Damaged("the end of the store is damaged".to_owned());
        let (sequence, rest) = value.split_at_checked(8).ok_or_else(damaged)?;
        let (commit, checksum) = rest.split_at_checked(8).ok_or_else(damaged)?;
        Ok(Some(End {
            sequence: number(sequence)?,
            commit: number(commit)?,
            checksum: Checksum::from_bytes(checksum.try_into().map_err(|_| damaged())?),
        }))
    }

    /// The largest number of an entry, whatever the end says.
    pub(crate) fn largest(&self) -> Result<u64, KvError> {
        let last = self.kv.last_suffix(b"e")?;
        last.map_or(Ok(0), |suffix| number(suffix.get(..8).unwrap_or_default()))
    }

    /// An entry and its line, checked.
    pub(crate) fn entry(&self, sequence: u64) -> Result<Option<(Vec<u8>, EntryLine, Checksum)>, KvError> {
        let Some(packed) = self.kv.value(&numbered(b'e', sequence))? else {
            return Ok(None);
        };
        let damaged =
            |why: &dyn fmt::Display| KvError::Damaged(format!("record {sequence} is damaged: {why}"));
        let text = unpack(&packed, MAX_LINE).map_err(|e| damaged(&e))?;
        match line::decode(&text) {
            Ok((Line::Entry(entry), checksum)) if entry.sequence == sequence => {
                Ok(Some((text, entry, checksum)))
            }
            Ok(_) => Err(damaged(&"another one is in its place")),
            Err(error) => Err(damaged(&error)),
        }
    }

    pub(crate) fn has_content(&self, digest: &Digest) -> Result<bool, KvError> {
        let first = [content_key(digest), 0_u16.to_be_bytes().to_vec()].concat();
        self.kv.get(&first).map(|piece| piece.is_some())
    }

    /// A content as it is kept, and as it was, checked.
    pub(crate) fn content(&self, digest: &Digest) -> Result<Option<(Vec<u8>, Bytes)>, KvError> {
        let Some(packed) = self.kv.value(&content_key(digest))? else {
            return Ok(None);
        };
        match unpacked(digest, &packed) {
            Some(bytes) => Ok(Some((packed, bytes))),
            None => Err(KvError::Damaged(format!("the content {digest} is damaged"))),
        }
    }

    pub(crate) fn open_entries(&self) -> Result<Vec<u64>, KvError> {
        self.kv
            .suffixes(b"o")?
            .iter()
            .map(|suffix| number(suffix))
            .collect()
    }

    pub(crate) fn settled_by(&self, sequence: u64) -> Result<Option<u64>, KvError> {
        let value = self.kv.get(&numbered(b's', sequence))?;
        value.map(|value| number(&value)).transpose()
    }

    /// Every run, in the order of names; a run a step, however many entries it has.
    pub(crate) fn runs(&self) -> Result<Vec<RunId>, KvError> {
        let mut runs = Vec::new();
        let mut from = b"r".to_vec();
        while let Some(suffix) = self.kv.next_suffix(b"r", &from)? {
            let bits = suffix.get(..16).and_then(|bits| bits.try_into().ok());
            let run = bits
                .map(|bits| RunId::from_bits(u128::from_be_bytes(bits)))
                .ok_or_else(|| KvError::Damaged("a run in the store is none".to_owned()))?;
            runs.push(run);
            from = [of_run(run), vec![0xff; 9]].concat();
        }
        Ok(runs)
    }

    /// The numbers of a run's first and last entry.
    pub(crate) fn bounds_of(&self, run: RunId) -> Result<Option<(u64, u64)>, KvError> {
        let prefix = of_run(run);
        let first = self.kv.next_suffix(&prefix, &prefix)?;
        let last = self.kv.last_suffix(&prefix)?;
        match (first, last) {
            (Some(first), Some(last)) => Ok(Some((number(&first)?, number(&last)?))),
            _ => Ok(None),
        }
    }

    pub(crate) fn entries_of(&self, run: RunId) -> Result<Vec<u64>, KvError> {
        let suffixes = self.kv.suffixes(&of_run(run))?;
        suffixes.iter().map(|suffix| number(suffix)).collect()
    }
}

/// What a packed content was, if it is the one that its digest names.
pub(crate) fn unpacked(digest: &Digest, packed: &[u8]) -> Option<Bytes> {
    let bytes = unpack(packed, MAX_CONTENT).ok()?;
    (digest.verifies(&bytes) == Some(true)).then(|| bytes.into())
}
