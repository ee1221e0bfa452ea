//! The mirror: the journal as lines of text, appended and synced before the store hears of them.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom};
use std::os::unix::fs::FileExt;
use std::path::Path;

use lagan_model::digest::Digest;

use crate::format::hash::Checksum;
use crate::format::line::{self, EntryLine, Line, LineError, MAX_LINE};

/// Something between two line breaks.
pub(crate) struct Item {
    /// Where it begins.
    pub(crate) offset: u64,
    /// Its length, the line break included where there is one.
    pub(crate) length: u64,
    pub(crate) read: Result<(Line, Checksum), LineError>,
}

impl Item {
    pub(crate) fn end(&self) -> u64 {
        self.offset + self.length
    }
}

/// Reads lines from an offset to the end of the file, one after the other; memory is bounded by the longest line.
pub(crate) struct Items {
    reader: BufReader<File>,
    offset: u64,
    buffer: Vec<u8>,
}

impl Items {
    pub(crate) fn from(path: &Path, offset: u64) -> io::Result<Self> {
        let mut file = File::open(path)?;
        file.seek(SeekFrom::Start(offset))?;
        Ok(Self {
            reader: BufReader::with_capacity(1 << 16, file),
            offset,
            buffer: Vec::new(),
        })
    }

    /// The bytes of the line that was read last, without its line break.
    pub(crate) fn text(&self) -> &[u8] {
        self.buffer.strip_suffix(b"\n").unwrap_or(&self.buffer)
    }

    pub(crate) fn next(&mut self) -> io::Result<Option<Item>> {
        self.buffer.clear();
        let limit = MAX_LINE as u64 + 1;
        let length = self
            .reader
            .by_ref()
            .take(limit)
            .read_until(b'\n', &mut self.buffer)? as u64;
        if length == 0 {
            return Ok(None);
        }
        let offset = self.offset;
        self.offset += length;
        let read = match self.buffer.strip_suffix(b"\n") {
            Some(text) => line::decode(text),
            None => Err(LineError::Damaged("it does not end".to_owned())),
        };
        Ok(Some(Item { offset, length, read }))
    }
}

/// The first line: the journal's name, its checksum, and where the next line begins.
pub(crate) fn header(path: &Path) -> io::Result<Result<(String, Checksum, u64), LineError>> {
    let first = Items::from(path, 0)?.next()?;
    Ok(match first {
        Some(item) => match (item.end(), item.read) {
            (end, Ok((Line::Header(id), checksum))) => Ok((id, checksum, end)),
            (_, Err(error)) => Err(error),
            (_, Ok(_)) => Err(LineError::Damaged("the first line is no header".to_owned())),
        },
        None => Err(LineError::Damaged("it is empty".to_owned())),
    })
}

/// Where the sound lines of a mirror are.
#[derive(Debug)]
pub(crate) struct Catalog {
    file: File,
    header: Option<(String, Checksum)>,
    entries: BTreeMap<u64, (u64, u32)>,
    contents: HashMap<Digest, (u64, u32)>,
    /// Offsets of lines that are damaged, or that repeat a number with something else in it.
    pub(crate) damaged: Vec<u64>,
}

impl Catalog {
    /// Reads a whole mirror. Memory grows with the number of lines, not with their length.
    pub(crate) fn of(path: &Path) -> Result<Self, CatalogError> {
        let mut items = Items::from(path, 0)?;
        let mut catalog = Self {
            file: File::open(path)?,
            header: None,
            entries: BTreeMap::new(),
            contents: HashMap::new(),
            damaged: Vec::new(),
        };
        while let Some(item) = items.next()? {
            let place = (item.offset, u32::try_from(item.length - 1).unwrap_or(u32::MAX));
            match item.read {
                Ok((Line::Header(id), checksum)) if item.offset == 0 => catalog.header = Some((id, checksum)),
                Ok((Line::Entry(entry), checksum)) => {
                    if let Some((_, _, other)) = catalog.entry(entry.sequence)? {
                        if other != checksum {
                            return Err(CatalogError::Forked(entry.sequence));
                        }
                    } else {
                        catalog.entries.insert(entry.sequence, place);
                    }
                }
                Ok((Line::Content(digest, _), _)) => {
                    catalog.contents.insert(digest, place);
                }
                Err(LineError::Newer(version)) => return Err(CatalogError::Newer(version)),
                Ok((Line::Header(_), _)) | Err(LineError::Damaged(_)) => catalog.damaged.push(item.offset),
            }
        }
        Ok(catalog)
    }

    pub(crate) fn header(&self) -> Option<&(String, Checksum)> {
        self.header.as_ref()
    }

    pub(crate) fn largest(&self) -> u64 {
        self.entries.last_key_value().map_or(0, |(sequence, _)| *sequence)
    }

    pub(crate) fn entry(&self, sequence: u64) -> io::Result<Option<(Vec<u8>, EntryLine, Checksum)>> {
        let Some(&place) = self.entries.get(&sequence) else {
            return Ok(None);
        };
        let text = self.read(place)?;
        Ok(match line::decode(&text) {
            Ok((Line::Entry(entry), checksum)) if entry.sequence == sequence => Some((text, entry, checksum)),
            _ => None,
        })
    }

    /// The commits of the entries from a number on.
    pub(crate) fn commits_from(&self, sequence: u64) -> io::Result<BTreeSet<u64>> {
        let numbers = self.entries.range(sequence..).map(|(number, _)| *number);
        let mut commits = BTreeSet::new();
        for number in numbers {
            commits.extend(self.entry(number)?.map(|(_, entry, _)| entry.commit));
        }
        Ok(commits)
    }

    pub(crate) fn content(&self, digest: &Digest) -> io::Result<Option<Vec<u8>>> {
        let Some(&place) = self.contents.get(digest) else {
            return Ok(None);
        };
        Ok(match line::decode(&self.read(place)?) {
            Ok((Line::Content(read, packed), _)) if read == *digest => Some(packed),
            _ => None,
        })
    }

    fn read(&self, (offset, length): (u64, u32)) -> io::Result<Vec<u8>> {
        let mut text = vec![0; length as usize];
        self.file.read_exact_at(&mut text, offset)?;
        Ok(text)
    }
}

/// Why a mirror cannot be read at all.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CatalogError {
    #[error(transparent)]
    Io(#[from] io::Error),
    #[error("it has lines of format {0}")]
    Newer(u32),
    #[error("it has two different records {0}")]
    Forked(u64),
}
