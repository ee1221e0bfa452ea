//! The files of an audit log: which there are, and what each ends with.

use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Read as _};
use std::path::{Path, PathBuf};

use super::line::{self, LONGEST, Place};
use crate::error::StateError;
use crate::format::hash::Checksum;
use crate::format::line::LineError;

/// The folder, in the state directory.
pub(crate) const AUDIT: &str = "audit";

const EXTENSION: &str = ".jsonl";

/// What closes a piece that somebody was interrupted in writing. A line that is damaged and has no such end was whole once.
pub(super) const CUT_OFF: &[u8] = b" #cut-off";

/// The file with this number.
pub(super) fn path(folder: &Path, number: u64) -> PathBuf {
    folder.join(format!("{number:06}{EXTENSION}"))
}

/// The numbers of the files that there are, in order.
pub(super) fn numbers(folder: &Path) -> Result<Vec<u64>, StateError> {
    let list = || -> io::Result<Vec<u64>> {
        let listing = match fs::read_dir(folder) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            listing => listing?,
        };
        let mut numbers = Vec::new();
        for file in listing {
            let name = file?.file_name();
            let number = name.to_str().and_then(|name| name.strip_suffix(EXTENSION));
            let number = number.and_then(|digits| digits.parse::<u64>().ok());
            // A copy that somebody made has another name, and is none of ours.
            numbers.extend(number.filter(|number| path(folder, *number).file_name() == Some(&name)));
        }
        numbers.sort_unstable();
        Ok(numbers)
    };
    list().map_err(StateError::io("list the audit log", folder))
}

/// A line of a file, or what is between two line breaks in its place.
pub(super) struct Item {
    pub(super) read: Result<(Place, Checksum), LineError>,
    /// Whether it has a line break at its end.
    pub(super) ends: bool,
    /// Whether whoever wrote next found that it was not finished.
    pub(super) cut_off: bool,
}

/// Reads a file line by line; memory is bounded by the longest line.
pub(super) struct Items {
    reader: BufReader<File>,
    buffer: Vec<u8>,
}

impl Items {
    pub(super) fn of(path: &Path) -> io::Result<Self> {
        Ok(Self {
            reader: BufReader::with_capacity(1 << 16, File::open(path)?),
            buffer: Vec::new(),
        })
    }

    pub(super) fn next(&mut self) -> io::Result<Option<Item>> {
        self.buffer.clear();
        let mut limited = self.reader.by_ref().take(LONGEST as u64 + 1);
        if limited.read_until(b'\n', &mut self.buffer)? == 0 {
            return Ok(None);
        }
        let ends = self.buffer.last() == Some(&b'\n');
        // One that lacks nothing but the line break is sound: what is written next begins with that.
        let text = self.buffer.strip_suffix(b"\n").unwrap_or(&self.buffer);
        let (read, cut_off) = (line::read(text), text.ends_with(CUT_OFF));
        Ok(Some(Item { read, ends, cut_off }))
    }
}

/// What a file lacks at its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Rest {
    /// Nothing.
    Nothing,
    /// The line break of a line that is sound.
    Break,
    /// The rest of a line.
    Line,
}

/// What a file ends with.
#[derive(Debug, Clone)]
pub(super) struct End {
    /// The log's own name.
    pub(super) audit: String,
    /// The number of the last entry in it or before it.
    pub(super) seq: u64,
    /// The checksum of its last sound line.
    pub(super) checksum: Checksum,
    /// Its length in bytes.
    pub(super) length: u64,
    /// What belongs between it and the next entry: more than nothing where somebody was interrupted while writing.
    pub(super) rest: Rest,
}

/// Reads a file to its end. `None` where no line of it is sound.
pub(super) fn end(path: &Path) -> Result<Option<End>, StateError> {
    let reading = StateError::io("read the audit log", path);
    let read = || -> io::Result<Result<Option<End>, u32>> {
        let length = fs::metadata(path)?.len();
        let (mut items, mut found, mut audit, mut rest) = (Items::of(path)?, None, None, Rest::Nothing);
        while let Some(item) = items.next()? {
            rest = match (item.ends, &item.read) {
                (true, _) => Rest::Nothing,
                (false, Ok(_)) => Rest::Break,
                (false, Err(_)) => Rest::Line,
            };
            match item.read {
                Ok((place, checksum)) => {
                    audit = audit.or(place.audit);
                    found = Some((place.seq, checksum));
                }
                Err(LineError::Newer(version)) => return Ok(Err(version)),
                // It is told by whoever checks the log.
                Err(LineError::Damaged(_)) => {}
            }
        }
        Ok(Ok(found.map(|(seq, checksum)| End {
            audit: audit.unwrap_or_default(),
            seq,
            checksum,
            length,
            rest,
        })))
    };
    read().map_err(reading)?.map_err(|version| newer(path, version))
}

pub(super) fn newer(path: &Path, found: u32) -> StateError {
    StateError::Newer {
        path: path.parent().and_then(Path::parent).unwrap_or(path).to_owned(),
        what: "its audit log".to_owned(),
        found,
        known: crate::format::line::VERSION,
    }
}
