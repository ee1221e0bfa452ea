//! Records without the numbers of one journal: what they refer to is told by run and place within the run, which are
//! the same everywhere.

mod export;
mod import;

use std::collections::HashMap;
use std::collections::hash_map::Entry as MapEntry;

use lagan_model::digest::Digest;
use lagan_model::journal::{Effect, JournalError, Record, RunId, Sequence};
use serde::{Deserialize, Serialize};
use serde_json::Value;

pub use self::export::Exported;
pub use self::import::Imported;
use crate::error::StateError;
use crate::format::line::EntryLine;
use crate::journal::DiskJournal;

/// A record of a run, counted from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Place {
    pub(crate) run: RunId,
    pub(crate) place: u64,
}

/// A record as an export has it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct PortableRecord {
    pub(crate) run: RunId,
    pub(crate) place: u64,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) opens: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) settles: Option<Place>,
    /// How many records of its group follow.
    pub(crate) more: u64,
    /// The contents of its group.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) needs: Vec<Digest>,
    pub(crate) body: Value,
}

impl PortableRecord {
    pub(crate) fn at(&self) -> Place {
        Place {
            run: self.run,
            place: self.place,
        }
    }

    /// Whether two say the same. How records were grouped does not matter: an import groups them anew.
    pub(crate) fn says_what(&self, other: &Self) -> bool {
        (self.at(), self.opens, self.settles, &self.body)
            == (other.at(), other.opens, other.settles, &other.body)
    }
}

/// The member of a record that is the number of another record, where it has one.
pub(crate) fn reference(record: &Record) -> Option<(&'static str, Sequence)> {
    match record {
        Record::Outcome(outcome) => Some(("intent", outcome.intent)),
        Record::Restored(outcome) => Some(("intent", outcome.intent)),
        Record::Doubt(doubt) => Some(("intent", doubt.intent)),
        Record::Restore(intent) => Some(("deletion", intent.deletion)),
        Record::Begin(_) | Record::Delete(_) | Record::Untag(_) | Record::End(_) => None,
    }
}

/// Where the records of a journal are within their runs; the records of a run are looked up once.
pub(crate) struct Places<'a> {
    journal: &'a DiskJournal,
    runs: HashMap<RunId, Vec<u64>>,
}

impl<'a> Places<'a> {
    pub(crate) fn of(journal: &'a DiskJournal) -> Self {
        Self {
            journal,
            runs: HashMap::new(),
        }
    }

    pub(crate) fn entries_of(&mut self, run: RunId) -> Result<&[u64], StateError> {
        Ok(match self.runs.entry(run) {
            MapEntry::Occupied(known) => known.into_mut(),
            MapEntry::Vacant(unknown) => unknown.insert(self.journal.entries_of_run(run)?),
        })
    }

    /// The number of the record in a place.
    pub(crate) fn number(&mut self, at: Place) -> Result<Option<u64>, StateError> {
        let place = usize::try_from(at.place).unwrap_or(usize::MAX);
        Ok(self.entries_of(at.run)?.get(place).copied())
    }

    /// A record without its number.
    pub(crate) fn portable(&mut self, entry: &EntryLine) -> Result<PortableRecord, StateError> {
        let unclear = |error: serde_json::Error| JournalError::Record {
            sequence: Sequence(entry.sequence),
            why: error.to_string(),
        };
        let record: Record = serde_json::from_slice(&entry.body).map_err(unclear)?;
        let mut body: Value = serde_json::from_slice(&entry.body).map_err(unclear)?;
        if let Some((member, number)) = reference(&record) {
            body[member] = serde_json::to_value(self.place(number.0)?).map_err(unclear)?;
        }
        let Place { run, place } = self.place_in(entry.run, entry.sequence)?;
        Ok(PortableRecord {
            run,
            place,
            opens: entry.effect == Effect::Opens,
            settles: match entry.effect {
                Effect::Settles(number) => Some(self.place(number.0)?),
                Effect::None | Effect::Opens => None,
            },
            more: entry.more,
            needs: entry.needs.clone(),
            body,
        })
    }

    fn place(&mut self, sequence: u64) -> Result<Place, StateError> {
        let run = self.journal.line(sequence)?.run;
        self.place_in(run, sequence)
    }

    fn place_in(&mut self, run: RunId, sequence: u64) -> Result<Place, StateError> {
        let place = self.entries_of(run)?.binary_search(&sequence);
        let place = place.map_err(|_| JournalError::Record {
            sequence: Sequence(sequence),
            why: format!("it is not among the records of its run {run}"),
        })?;
        Ok(Place {
            run,
            place: place as u64,
        })
    }
}

/// Why a record cannot be imported.
pub(crate) enum Refusal {
    Import(String),
    State(StateError),
}

impl From<StateError> for Refusal {
    fn from(error: StateError) -> Self {
        Self::State(error)
    }
}

impl From<String> for Refusal {
    fn from(why: String) -> Self {
        Self::Import(why)
    }
}

/// The record with the numbers of a journal in it, as bytes.
pub(crate) fn with_numbers(
    body: &Value,
    mut number: impl FnMut(Place) -> Result<u64, Refusal>,
) -> Result<Vec<u8>, Refusal> {
    let unclear = |error: serde_json::Error| Refusal::Import(error.to_string());
    let mut body = body.clone();
    for member in ["intent", "deletion"] {
        if let Some(value) = body.get_mut(member).filter(|value| value.is_object()) {
            let place: Place = serde_json::from_value(value.take()).map_err(unclear)?;
            *value = number(place)?.into();
        }
    }
    let bytes = serde_json::to_vec(&body).map_err(unclear)?;
    // It has to be a record that this version understands: nothing else can be undone.
    serde_json::from_slice::<Record>(&bytes).map_err(unclear)?;
    Ok(bytes)
}
