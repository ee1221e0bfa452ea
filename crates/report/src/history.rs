//! What the journal knows of runs: the list of them, and one of them with all that it did.
//!
//! A run can have any number of records, so it is written as a stream: see [`RunWriter`].

use std::io::{self, Write};

use lagan_model::journal::{
    Begin, DeleteIntent, DeleteResult, End, Outcome, RestoreIntent, RestoreOutcome, RestoreResult, RunId,
    Sequence, UntagIntent,
};
use lagan_policy::Undo;

use crate::outcome::CollectedNote;
use crate::paint::Paint;

mod json;
mod text;

#[cfg(test)]
mod tests;

/// A run, as the journal knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunNote {
    /// The run.
    pub run: RunId,
    /// Its head; `None` where the first record of the run is something else.
    pub begin: Option<Begin>,
    /// Its end; `None` where it was interrupted, or still goes on.
    pub end: Option<End>,
    /// How many records it has.
    pub records: u64,
    /// How many of them have no outcome on record.
    pub open: u64,
    /// Until when what it deleted can be undone; `None` where it deleted nothing.
    pub undo: Option<Undo>,
    /// Whether garbage was collected since, as far as the journal knows; `None` where nobody asked.
    pub collected: Option<CollectedNote>,
}

/// One thing that a run did, or meant to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deed {
    /// The number of the intent.
    pub sequence: Sequence,
    /// What it was.
    pub what: What,
}

/// What a run did, with what became of it; `None` where that is not on record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum What {
    /// A manifest was deleted.
    Deletion {
        /// The intent.
        intent: Box<DeleteIntent>,
        /// What became of it.
        outcome: Option<Outcome>,
        /// Who put it back since.
        restored: Vec<Restored>,
    },
    /// A tag was taken off.
    Untagging {
        /// The intent.
        intent: Box<UntagIntent>,
        /// What became of it.
        outcome: Option<Outcome>,
        /// Who put it back since.
        restored: Vec<Restored>,
    },
    /// Something was put back.
    Restoration {
        /// The intent.
        intent: Box<RestoreIntent>,
        /// The run that had deleted it.
        of: Option<RunId>,
        /// What became of it.
        outcome: Option<RestoreOutcome>,
    },
}

/// A run that put something back, and what came of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Restored {
    /// The run.
    pub run: RunId,
    /// What came of it; `None` where that is not on record.
    pub result: Option<RestoreResult>,
}

/// The form of a history.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HistoryFormat {
    /// For people.
    Text {
        /// Whether it is coloured.
        colour: bool,
    },
    /// `lagan.runs/v1` and `lagan.history/v1`.
    Json,
}

/// Writes the list of runs, in the order given.
///
/// # Errors
///
/// Where the writer fails.
pub fn write_runs(out: &mut dyn Write, format: HistoryFormat, runs: &[RunNote]) -> io::Result<()> {
    match format {
        HistoryFormat::Text { colour } => text::runs(out, Paint { colour }, runs),
        HistoryFormat::Json => json::runs(out, runs),
    }
}

/// Writes one run: its head, then its deeds in order, then its foot.
#[derive(Debug)]
pub struct RunWriter(Form);

#[derive(Debug)]
enum Form {
    Text(text::Page),
    Json(json::Document),
}

impl RunWriter {
    /// A writer of a form.
    #[must_use]
    pub fn new(format: HistoryFormat) -> Self {
        Self(match format {
            HistoryFormat::Text { colour } => Form::Text(text::Page::new(Paint { colour })),
            HistoryFormat::Json => Form::Json(json::Document::default()),
        })
    }

    /// Writes what is known of the run as a whole.
    ///
    /// # Errors
    ///
    /// Where the writer fails.
    pub fn head(&mut self, out: &mut dyn Write, run: &RunNote) -> io::Result<()> {
        match &mut self.0 {
            Form::Text(page) => page.head(out, run),
            Form::Json(_) => json::head(out, run),
        }
    }

    /// Writes the next deed.
    ///
    /// # Errors
    ///
    /// Where the writer fails.
    pub fn deed(&mut self, out: &mut dyn Write, deed: Deed) -> io::Result<()> {
        match &mut self.0 {
            Form::Text(page) => page.deed(out, deed),
            Form::Json(document) => document.deed(out, &deed),
        }
    }

    /// Ends it.
    ///
    /// # Errors
    ///
    /// Where the writer fails.
    pub fn foot(self, out: &mut dyn Write) -> io::Result<()> {
        match self.0 {
            Form::Text(mut page) => page.foot(out),
            Form::Json(_) => json::foot(out),
        }
    }
}

/// What became of a deletion in one word, and in more where there are any.
fn outcome_of(outcome: Option<&Outcome>) -> (&'static str, Option<&str>) {
    match outcome.map(|outcome| &outcome.result) {
        None => (IN_DOUBT, None),
        Some(result) => {
            let detail = match result {
                DeleteResult::Deleted | DeleteResult::Untagged => None,
                DeleteResult::Skipped { detail, .. } | DeleteResult::Failed { detail } => {
                    Some(detail.as_str())
                }
            };
            (result.as_str(), detail)
        }
    }
}

/// The same of putting something back.
fn result_of(result: Option<&RestoreResult>) -> (&'static str, Option<String>) {
    let Some(result) = result else {
        return (IN_DOUBT, None);
    };
    let detail = match result {
        RestoreResult::Restored | RestoreResult::AlreadyThere => None,
        RestoreResult::Conflict { tags } => {
            let tags = tags.iter().map(|(tag, digest)| format!("{tag} is on {digest}"));
            Some(tags.collect::<Vec<_>>().join(", "))
        }
        RestoreResult::Unrecoverable { why } => Some(why.clone()),
        RestoreResult::Failed { detail } => Some(detail.clone()),
    };
    (result.as_str(), detail)
}

/// What is said of an intent whose outcome is not on record.
const IN_DOUBT: &str = "in_doubt";
