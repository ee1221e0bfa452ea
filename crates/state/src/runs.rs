//! What the journal says of runs: the list of them, and the records of one.

use lagan_model::journal::{Begin, End, JournalError, Record, RunId, Sequence};

use crate::error::StateError;
use crate::journal::DiskJournal;

/// A run, as the list of runs has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunSummary {
    /// The run.
    pub run: RunId,
    /// Its head; `None` where the first record of the run is something else.
    pub begin: Option<Begin>,
    /// Its end; `None` where it was interrupted, or still goes on.
    pub end: Option<End>,
    /// How many records it has.
    pub records: u64,
    /// How many of them are open: what became of them is not known.
    pub open: u64,
}

impl DiskJournal {
    /// Every run, oldest first. It reads the first and the last record of each.
    ///
    /// # Errors
    ///
    /// When the store cannot be read, or a record cannot be understood.
    pub fn list(&self) -> Result<Vec<RunSummary>, StateError> {
        let open = self.read("read which records are open", self.index().open_entries())?;
        let runs = self.read("read the runs of the journal", self.index().runs())?;
        let mut summaries = Vec::with_capacity(runs.len());
        for run in runs {
            let entries = self.entries_of_run(run)?;
            let record_at = |sequence: Option<&u64>| sequence.map(|s| self.record(*s)).transpose();
            let first = record_at(entries.first())?;
            let last = record_at(entries.last())?;
            let of_run = |sequence: &&u64| entries.binary_search(*sequence).is_ok();
            summaries.push(RunSummary {
                run,
                begin: match first {
                    Some(Record::Begin(begin)) => Some(begin),
                    _ => None,
                },
                end: match last {
                    Some(Record::End(end)) => Some(end),
                    _ => None,
                },
                records: entries.len() as u64,
                open: open.iter().filter(of_run).count() as u64,
            });
        }
        Ok(summaries)
    }

    /// The records of a run, in order.
    ///
    /// # Errors
    ///
    /// When there is no such run, the store cannot be read, or a record cannot be understood.
    pub fn show(&self, run: RunId) -> Result<Vec<(Sequence, Record)>, StateError> {
        let entries = self.entries_of_run(run)?;
        if entries.is_empty() {
            return Err(StateError::UnknownRun { run });
        }
        let records = entries.into_iter().map(|s| Ok((Sequence(s), self.record(s)?)));
        records.collect()
    }

    pub(crate) fn entries_of_run(&self, run: RunId) -> Result<Vec<u64>, JournalError> {
        self.read(
            &format!("read the records of {run}"),
            self.index().entries_of(run),
        )
    }

    fn record(&self, sequence: u64) -> Result<Record, JournalError> {
        let entry = self.line(sequence)?;
        serde_json::from_slice(&entry.body).map_err(|error| JournalError::Record {
            sequence: Sequence(sequence),
            why: error.to_string(),
        })
    }

    /// An entry that has to be there.
    pub(crate) fn line(&self, sequence: u64) -> Result<crate::format::line::EntryLine, JournalError> {
        let found = self.read(
            &format!("read journal record {sequence}"),
            self.index().entry(sequence),
        )?;
        let (_, entry, _) = found.ok_or_else(|| JournalError::Record {
            sequence: Sequence(sequence),
            why: "there is none of this number".to_owned(),
        })?;
        Ok(entry)
    }
}
