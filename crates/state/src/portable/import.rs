//! Importing what was exported elsewhere. All of it is read and held against the journal before anything is written.

use std::collections::{HashMap, HashSet};
use std::io::{self, BufRead, Read, Seek, SeekFrom};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use lagan_model::digest::Digest;
use lagan_model::journal::{Effect, Entry, Group, RunId, Sequence};
use sha2::{Digest as _, Sha256};

use super::export::{ExportLine, VERSION};
use super::{Place, Places, PortableRecord, Refusal, with_numbers};
use crate::error::StateError;
use crate::format::hash::Checksum;
use crate::format::line::MAX_LINE;
use crate::journal::DiskJournal;

/// How many records become durable together, at least, until the last ones.
const MANY: usize = 256;

/// What was imported.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Imported {
    /// How many records were new.
    pub records: u64,
    /// How many were there already.
    pub present: u64,
}

/// The lines of an export, one after the other, with the number of each.
struct Lines<R> {
    input: R,
    number: u64,
    sha256: Sha256,
}

impl<R: BufRead> Lines<R> {
    fn of(input: R) -> Self {
        Self {
            input,
            number: 0,
            sha256: Sha256::new(),
        }
    }

    fn error(&self, why: impl Into<String>) -> StateError {
        StateError::Import {
            line: self.number,
            why: why.into(),
        }
    }

    fn refusal(&self, refusal: Refusal) -> StateError {
        match refusal {
            Refusal::Import(why) => self.error(why),
            Refusal::State(error) => error,
        }
    }

    /// The next line, and the checksum of all before it.
    fn next(&mut self) -> Result<Option<(ExportLine, Checksum)>, StateError> {
        let before = Checksum::from_bytes(self.sha256.clone().finalize().into());
        let mut text = Vec::new();
        self.number += 1;
        let limit = MAX_LINE as u64;
        let read = (&mut self.input).take(limit).read_until(b'\n', &mut text);
        if read.map_err(reading)? == 0 {
            return Ok(None);
        }
        self.sha256.update(&text);
        if text.last() != Some(&b'\n') {
            return Err(self.error("it does not end"));
        }
        let line = serde_json::from_slice(&text).map_err(|_| self.error("it is no line of an export"))?;
        Ok(Some((line, before)))
    }
}

fn reading(error: io::Error) -> StateError {
    StateError::store("read the export", error)
}

impl DiskJournal {
    /// Imports an export. What is there already is left alone, so that importing again does nothing.
    ///
    /// It takes the journal for itself: numbers are given out in advance.
    ///
    /// # Errors
    ///
    /// When the export is damaged, cut off, of a newer version, lacks what it refers to, or says something else of a
    /// record than the journal does: then nothing is written. When writing fails, a part may be there; importing
    /// again completes it.
    pub fn import(&mut self, mut input: impl BufRead + Seek) -> Result<Imported, StateError> {
        let imported = self.compare_import(&mut input)?;
        input.seek(SeekFrom::Start(0)).map_err(reading)?;
        self.write_import(&mut input)?;
        Ok(imported)
    }

    fn compare_import(&self, input: impl BufRead) -> Result<Imported, StateError> {
        let mut lines = Lines::of(input);
        let mut imported = Imported::default();
        let mut known = Known::of(self)?;
        let mut contents: HashSet<Digest> = HashSet::new();
        let mut ended = false;
        while let Some((line, before)) = lines.next()? {
            if ended {
                return Err(lines.error("there is something behind its end"));
            }
            match line {
                ExportLine::Head { export, version } => {
                    if lines.number != 1 || export != "lagan.journal" {
                        return Err(lines.error("it is no line of an export"));
                    }
                    if version > VERSION {
                        return Err(StateError::NewerExport {
                            found: version,
                            known: VERSION,
                        });
                    }
                }
                _ if lines.number == 1 => return Err(lines.error("an export begins otherwise")),
                ExportLine::Content { content, base64 } => {
                    bytes_of(&content, &base64).map_err(|why| lines.error(why))?;
                    contents.insert(content);
                }
                ExportLine::Record(record) => {
                    if let Some(lacking) = record.needs.iter().find(|digest| !contents.contains(*digest)) {
                        return Err(lines.error(format!("{lacking} is not in the export")));
                    }
                    match known.compare(&record).map_err(|refusal| lines.refusal(refusal))? {
                        true => imported.present += 1,
                        false => imported.records += 1,
                    }
                }
                ExportLine::End { lines: count, sha256 } => {
                    if count != lines.number - 1 || sha256 != before {
                        return Err(lines.error("the export is damaged: its checksum is wrong"));
                    }
                    ended = true;
                }
            }
        }
        if !ended {
            return Err(lines.error("the export was cut off: it has no end"));
        }
        Ok(imported)
    }

    fn write_import(&self, input: impl BufRead) -> Result<(), StateError> {
        let mut lines = Lines::of(input);
        let mut known = Known::of(self)?;
        let empty = || Group {
            needs_room: true,
            ..Group::default()
        };
        let mut group = empty();
        let mut contents: HashMap<Digest, Bytes> = HashMap::new();
        while let Some((line, _)) = lines.next()? {
            match line {
                ExportLine::Head { .. } => {}
                ExportLine::Content { content, base64 } => {
                    let bytes = bytes_of(&content, &base64).map_err(|why| lines.error(why))?;
                    contents.insert(content, bytes);
                }
                ExportLine::Record(record) => {
                    let new = known.places.number(record.at())?.is_none();
                    if new {
                        known.add(record.at());
                        for digest in &record.needs {
                            let bytes = match contents.remove(digest) {
                                Some(bytes) => bytes,
                                None => self
                                    .content_of(&group, digest)
                                    .map_err(|error| lines.refusal(error))?,
                            };
                            group.contents.push((digest.clone(), bytes));
                        }
                        let entry = known.entry(&record).map_err(|refusal| lines.refusal(refusal))?;
                        group.entries.push(entry);
                    }
                    contents.clear();
                    if record.more == 0 && group.entries.len() >= MANY {
                        self.append_blocking(std::mem::replace(&mut group, empty()))?;
                    }
                }
                ExportLine::End { .. } => break,
            }
        }
        if !group.entries.is_empty() {
            self.append_blocking(group)?;
        }
        Ok(())
    }

    /// A content that came with an earlier record.
    fn content_of(&self, group: &Group, digest: &Digest) -> Result<Bytes, Refusal> {
        if let Some((_, bytes)) = group.contents.iter().find(|(known, _)| known == digest) {
            return Ok(bytes.clone());
        }
        let found = self.read(&format!("read {digest}"), self.index().content(digest));
        let found = found.map_err(StateError::from)?;
        let lacking = || Refusal::Import(format!("{digest} is not in the export"));
        found.map(|(_, bytes)| bytes).ok_or_else(lacking)
    }
}

/// Where records are: those of the journal, and those that come with the import.
struct Known<'a> {
    journal: &'a DiskJournal,
    places: Places<'a>,
    new: HashMap<Place, u64>,
    lengths: HashMap<RunId, u64>,
    next: u64,
}

impl<'a> Known<'a> {
    fn of(journal: &'a DiskJournal) -> Result<Self, StateError> {
        let end = journal.read("read the end of the journal", journal.index().end())?;
        Ok(Self {
            journal,
            places: Places::of(journal),
            new: HashMap::new(),
            lengths: HashMap::new(),
            next: end.map_or(0, |end| end.sequence) + 1,
        })
    }

    fn add(&mut self, at: Place) {
        self.new.insert(at, self.next);
        self.next += 1;
    }

    fn number(&mut self, at: Place) -> Result<u64, Refusal> {
        let found = match self.places.number(at)? {
            Some(number) => Some(number),
            None => self.new.get(&at).copied(),
        };
        found.ok_or_else(|| Refusal::Import(format!("record {} of run {} is not there", at.place, at.run)))
    }

    /// Whether a record is there already; an error where the journal has another one in its place.
    fn compare(&mut self, record: &PortableRecord) -> Result<bool, Refusal> {
        let at = record.at();
        let present = self.places.number(at)?;
        if let Some(sequence) = present {
            let here = self.journal.line(sequence).map_err(StateError::from)?;
            if !self.places.portable(&here)?.says_what(record) {
                let why = format!("the journal has another record {} of run {}", at.place, at.run);
                return Err(why.into());
            }
            return Ok(true);
        }
        let here = self.places.entries_of(at.run)?.len() as u64;
        let length = self.lengths.entry(at.run).or_insert(here);
        if *length != at.place {
            return Err(format!("record {length} of run {} is not there", at.run).into());
        }
        *length += 1;
        self.add(at);
        if let Some(settled) = record.settles {
            let number = self.number(settled)?;
            let doing = format!("read what settled record {number}");
            let settler = self.journal.read(&doing, self.journal.index().settled_by(number));
            if settler.map_err(StateError::from)?.is_some() {
                let why = format!(
                    "the journal has another outcome of record {} of run {}",
                    settled.place, settled.run
                );
                return Err(why.into());
            }
        }
        self.entry(record)?;
        Ok(false)
    }

    fn entry(&mut self, record: &PortableRecord) -> Result<Entry, Refusal> {
        let effect = match (record.opens, record.settles) {
            (true, Some(_)) => return Err("it opens and settles".to_owned().into()),
            (true, None) => Effect::Opens,
            (false, None) => Effect::None,
            (false, Some(place)) => Effect::Settles(Sequence(self.number(place)?)),
        };
        let body = with_numbers(&record.body, |place| self.number(place))?;
        Ok(Entry {
            run: record.run,
            effect,
            body: body.into(),
        })
    }
}

fn bytes_of(digest: &Digest, base64: &str) -> Result<Bytes, String> {
    let bytes = STANDARD
        .decode(base64)
        .map_err(|_| "it holds base64 that is none")?;
    match digest.verifies(&bytes) {
        Some(true) => Ok(bytes.into()),
        _ => Err(format!("its content does not hash to {digest}")),
    }
}
