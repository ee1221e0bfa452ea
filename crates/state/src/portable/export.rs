//! Exporting runs: lines of JSON with all that undoing them needs, on any machine.
//!
//! | line | says |
//! |---|---|
//! | first | `{"export":"lagan.journal","version":1}` |
//! | content | a manifest, in base64, before the first record that needs it |
//! | record | a record, its run, its place in the run |
//! | last | how many lines there are before it, and their SHA-256 |

use std::collections::BTreeSet;
use std::io::{self, Write};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use lagan_model::digest::Digest;
use lagan_model::journal::{Effect, JournalError, Record, RunId, Sequence};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::{Places, PortableRecord, reference};
use crate::error::StateError;
use crate::format::hash::Checksum;
use crate::journal::DiskJournal;

pub(crate) const VERSION: u32 = 1;

/// A line of an export.
#[derive(Debug, Serialize, Deserialize)]
#[serde(untagged)]
pub(crate) enum ExportLine {
    Head { export: String, version: u32 },
    Content { content: Digest, base64: String },
    Record(PortableRecord),
    End { lines: u64, sha256: Checksum },
}

/// What was exported.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exported {
    /// The runs: those that were asked for, and those that belong to them, because one undoes or settles the other.
    pub runs: Vec<RunId>,
    /// How many records.
    pub records: u64,
    /// How many contents.
    pub contents: u64,
}

struct Sum<W> {
    out: W,
    sha256: Sha256,
    lines: u64,
}

impl<W: Write> Sum<W> {
    fn line(&mut self, line: &ExportLine) -> Result<(), StateError> {
        let writing = |error: io::Error| StateError::store("write the export", error);
        let mut text = serde_json::to_vec(line).map_err(|error| writing(error.into()))?;
        text.push(b'\n');
        self.sha256.update(&text);
        self.lines += 1;
        self.out.write_all(&text).map_err(writing)
    }
}

impl DiskJournal {
    /// Exports runs, or all of them where none is named.
    ///
    /// # Errors
    ///
    /// When a run is not there, the journal cannot be read or understood, or the export cannot be written.
    pub fn export(&self, runs: &[RunId], out: impl Write) -> Result<Exported, StateError> {
        let (runs, sequences) = self.belonging(runs)?;
        let mut out = Sum {
            out,
            sha256: Sha256::new(),
            lines: 0,
        };
        out.line(&ExportLine::Head {
            export: "lagan.journal".to_owned(),
            version: VERSION,
        })?;
        let mut contents = BTreeSet::new();
        let mut places = Places::of(self);
        for sequence in &sequences {
            let entry = self.line(*sequence)?;
            for digest in &entry.needs {
                if contents.insert(digest.clone()) {
                    let found = self.read(&format!("read {digest}"), self.index().content(digest))?;
                    let (_, bytes) = found.ok_or_else(|| JournalError::Record {
                        sequence: Sequence(*sequence),
                        why: format!("{digest}, which it needs, is not there"),
                    })?;
                    out.line(&ExportLine::Content {
                        content: digest.clone(),
                        base64: STANDARD.encode(bytes),
                    })?;
                }
            }
            out.line(&ExportLine::Record(places.portable(&entry)?))?;
        }
        let end = ExportLine::End {
            lines: out.lines,
            sha256: Checksum::from_bytes(out.sha256.clone().finalize().into()),
        };
        out.line(&end)?;
        out.out
            .flush()
            .map_err(|error| StateError::store("write the export", error))?;
        Ok(Exported {
            runs: runs.into_iter().collect(),
            records: sequences.len() as u64,
            contents: contents.len() as u64,
        })
    }

    /// Runs with all that they refer to and that refers to them, and their records in order.
    fn belonging(&self, asked: &[RunId]) -> Result<(BTreeSet<RunId>, BTreeSet<u64>), StateError> {
        let mut work = asked.to_vec();
        if work.is_empty() {
            work = self.read("read the runs of the journal", self.index().runs())?;
        }
        let mut runs = BTreeSet::new();
        let mut sequences = BTreeSet::new();
        while let Some(run) = work.pop() {
            if !runs.insert(run) {
                continue;
            }
            let entries = self.entries_of_run(run)?;
            if entries.is_empty() {
                return Err(StateError::UnknownRun { run });
            }
            for sequence in entries {
                sequences.insert(sequence);
                let entry = self.line(sequence)?;
                let record: Record =
                    serde_json::from_slice(&entry.body).map_err(|error| JournalError::Record {
                        sequence: Sequence(sequence),
                        why: error.to_string(),
                    })?;
                let settled = match entry.effect {
                    Effect::Settles(other) => Some(other.0),
                    Effect::None | Effect::Opens => None,
                };
                let doing = format!("read what settled record {sequence}");
                let settler = self.read(&doing, self.index().settled_by(sequence))?;
                let referred = reference(&record).map(|(_, other)| other.0);
                for other in [settled, settler, referred].into_iter().flatten() {
                    let other = self.line(other)?.run;
                    if !runs.contains(&other) {
                        work.push(other);
                    }
                }
            }
        }
        Ok((runs, sequences))
    }
}
