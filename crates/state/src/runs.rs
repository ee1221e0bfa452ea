//! What the journal says of runs: the list of them, and the records of one.

use std::collections::BTreeMap;

use lagan_model::journal::{Begin, End, JournalError, Purpose, Record, RestoreResult, RunId, Sequence};

use crate::copies::kv::KvError;
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

/// A record of a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunRecord {
    /// Its number.
    pub sequence: Sequence,
    /// What it says.
    pub record: Record,
    /// What settled it; `None` where it is open, or of a kind that is not settled.
    pub settled: Option<Record>,
}

/// An undo of a deletion.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Restoration {
    /// The run that undid it.
    pub run: RunId,
    /// What came of it; `None` where that is not on record.
    pub result: Option<RestoreResult>,
}

impl DiskJournal {
    /// Every run, oldest first. It reads the first and the last record of each.
    ///
    /// # Errors
    ///
    /// When the store cannot be read, or a record cannot be understood.
    pub fn list(&self) -> Result<Vec<RunSummary>, StateError> {
        self.last_runs(usize::MAX)
    }

    /// The newest runs, at most so many, oldest first.
    ///
    /// # Errors
    ///
    /// As of [`list`](Self::list).
    pub fn last_runs(&self, most: usize) -> Result<Vec<RunSummary>, StateError> {
        let open = self.read("read which records are open", self.index().open_entries())?;
        let runs = self.read("read the runs of the journal", self.index().runs())?;
        let newest = runs.len().saturating_sub(most);
        let mut summaries = Vec::with_capacity(runs.len() - newest);
        for run in &runs[newest..] {
            let entries = self.entries_of_run(*run)?;
            summaries.push(self.summary_of(*run, &entries, &open)?);
        }
        Ok(summaries)
    }

    /// How many runs there are.
    ///
    /// # Errors
    ///
    /// When the store cannot be read.
    pub fn count_runs(&self) -> Result<usize, StateError> {
        Ok(self
            .read("read the runs of the journal", self.index().runs())?
            .len())
    }

    /// A run, as [`list`](Self::list) has it.
    ///
    /// # Errors
    ///
    /// When there is no such run, the store cannot be read, or a record cannot be understood.
    pub fn summary(&self, run: RunId) -> Result<RunSummary, StateError> {
        let open = self.read("read which records are open", self.index().open_entries())?;
        let entries = self.entries_of_run(run)?;
        if entries.is_empty() {
            return Err(StateError::UnknownRun { run });
        }
        Ok(self.summary_of(run, &entries, &open)?)
    }

    /// The newest run, if there is any.
    ///
    /// # Errors
    ///
    /// When the store cannot be read.
    pub fn last_run(&self) -> Result<Option<RunId>, StateError> {
        let runs = self.read("read the runs of the journal", self.index().runs())?;
        Ok(runs.last().copied())
    }

    /// The records of a run, in order, each with the record that settled it. Read one by one, as they are asked for.
    ///
    /// # Errors
    ///
    /// When there is no such run, the store cannot be read, or a record cannot be understood.
    pub fn records(
        &self,
        run: RunId,
    ) -> Result<impl Iterator<Item = Result<RunRecord, StateError>> + '_, StateError> {
        let entries = self.entries_of_run(run)?;
        if entries.is_empty() {
            return Err(StateError::UnknownRun { run });
        }
        Ok(entries.into_iter().map(|sequence| {
            let doing = format!("read what settled record {sequence}");
            let settler = self.read(&doing, self.index().settled_by(sequence))?;
            Ok(RunRecord {
                sequence: Sequence(sequence),
                record: self.record(sequence)?,
                settled: settler.map(|settler| self.record(settler)).transpose()?,
            })
        }))
    }

    /// Who put back what a run deleted, by the number of the deletion. It reads the records of all undos.
    ///
    /// # Errors
    ///
    /// When the store cannot be read, or a record cannot be understood.
    pub fn restorations_of(&self, run: RunId) -> Result<BTreeMap<Sequence, Vec<Restoration>>, StateError> {
        let deletions = self.entries_of_run(run)?;
        let mut restorations: BTreeMap<Sequence, Vec<Restoration>> = BTreeMap::new();
        for other in self.read("read the runs of the journal", self.index().runs())? {
            let entries = self.entries_of_run(other)?;
            let first = entries.first().map(|first| self.record(*first)).transpose()?;
            if !matches!(first, Some(Record::Begin(begin)) if matches!(begin.purpose, Purpose::Undo { .. })) {
                continue;
            }
            for record in self.records(other)? {
                let record = record?;
                let Record::Restore(intent) = record.record else {
                    continue;
                };
                if deletions.binary_search(&intent.deletion.0).is_ok() {
                    let of_deletion = restorations.entry(intent.deletion).or_default();
                    of_deletion.push(Restoration {
                        run: other,
                        result: match record.settled {
                            Some(Record::Restored(outcome)) => Some(outcome.result),
                            _ => None,
                        },
                    });
                }
            }
        }
        Ok(restorations)
    }

    /// The run that a record belongs to.
    ///
    /// # Errors
    ///
    /// When there is no such record, or it cannot be read.
    pub fn run_of(&self, sequence: Sequence) -> Result<RunId, StateError> {
        Ok(self.line(sequence.0)?.run)
    }

    pub(crate) fn entries_of_run(&self, run: RunId) -> Result<Vec<u64>, JournalError> {
        self.read(
            &format!("read the records of {run}"),
            self.index().entries_of(run),
        )
    }

    fn summary_of(&self, run: RunId, entries: &[u64], open: &[u64]) -> Result<RunSummary, JournalError> {
        let record_at = |sequence: Option<&u64>| sequence.map(|s| self.record(*s)).transpose();
        let of_run = |sequence: &&u64| entries.binary_search(*sequence).is_ok();
        Ok(RunSummary {
            run,
            begin: match record_at(entries.first())? {
                Some(Record::Begin(begin)) => Some(begin),
                _ => None,
            },
            end: match record_at(entries.last())? {
                Some(Record::End(end)) => Some(end),
                _ => None,
            },
            records: entries.len() as u64,
            open: open.iter().filter(of_run).count() as u64,
        })
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
        let found = self.index().entry(sequence).and_then(|found| {
            found.ok_or_else(|| KvError::Damaged("there is none of this number in the store".to_owned()))
        });
        let (_, entry, _) = self.read(&format!("read journal record {sequence}"), found)?;
        Ok(entry)
    }
}
