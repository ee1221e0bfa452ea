//! What a run did: the report of an apply or an undo, in the formats that plans have.
//!
//! Repositories are handed on as they are done, so a report is written like a plan: its repositories first, to where
//! they can wait, then what stands in front of and behind them. See [`OutcomeWriter`].

use std::collections::BTreeMap;
use std::io::{self, Write};

use lagan_model::journal::{Held, PolicyIdentity, Role, RunId, Sequence};
use lagan_model::{Digest, RegistryIdentity, RepositoryName, RequestCounts, Tag, Time};
use lagan_policy::{GuardReport, Undo};
use serde::Serialize;

use crate::pass::PassNote;
use crate::plan::PlanFormat;
use crate::sanitize::clipped;

mod csv;
mod html;
mod json;
mod markdown;
mod text;
mod words;

#[cfg(test)]
mod tests;

/// What the run was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OutcomeOf {
    /// An apply: `lagan.run/v1`.
    Apply {
        /// The plan's identifier.
        plan: String,
    },
    /// An undo: `lagan.undo/v1`.
    Undo {
        /// What was asked for, in words.
        of: String,
        /// Whether it only looked. Then outcomes are those that it would have had.
        dry_run: bool,
    },
}

/// What stands in front of the repositories.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutcomeHead {
    /// The run, as the journal names it; `None` where there was nothing to put on record.
    pub run: Option<RunId>,
    /// What it was.
    pub of: OutcomeOf,
    /// The registry.
    pub registry: RegistryIdentity,
    /// The policies that decided; none for an undo.
    pub policies: Vec<PolicyIdentity>,
    /// When it began.
    pub began: Time,
}

/// One repository of a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RepositoryOutcome {
    /// Its name.
    pub name: RepositoryName,
    /// What became of each manifest and tag, in the order in which they were looked at.
    pub entries: Vec<OutcomeEntry>,
    /// Manifests that were put back at the end of an apply, because something new needs them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub mended: Vec<MendedEntry>,
    /// What went wrong with the repository as a whole.
    pub problem: Option<String>,
}

/// What became of one manifest, or of one tag.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct OutcomeEntry {
    /// `delete`, `untag`, `purge` or `restore`.
    pub action: &'static str,
    /// The manifest.
    pub digest: Digest,
    /// What it was to the artifact that it went, or goes, with.
    pub role: Role,
    /// That artifact, where it is in the report; `None` of an artifact.
    #[serde(skip)]
    pub belongs_to: Option<Digest>,
    /// Its tags, or the one that was taken off.
    pub tags: Vec<Tag>,
    /// Its record in the journal; `None` where it did not come to that.
    pub record: Option<Sequence>,
    /// The run that deleted it, where it is put back.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deleted_by: Option<RunId>,
    /// The name of what became of it.
    pub outcome: &'static str,
    /// Why it was left alone, by name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    /// The same in words, or how it failed. Text from outside may be in it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// Where a copy is held, and until when at least it can be put back.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub held: Option<Held>,
    /// What tags are on that were not put back.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub conflicts: BTreeMap<Tag, Digest>,
    /// What it lists that is not there, and that the journal does not know.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub lacks: Vec<Digest>,
}

/// A manifest that was put back, because something new needs it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct MendedEntry {
    /// The manifest.
    pub digest: Digest,
    /// The tag that needs it.
    pub needed_by: Tag,
    /// How that failed, if it did.
    pub failure: Option<String>,
}

/// What an earlier run left open, and what was found of it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct RecoveryNote {
    /// How many records were settled, by the name of what became of each.
    pub settled: BTreeMap<&'static str, u64>,
    /// Deletions that may still happen, and so were left out.
    pub in_doubt: Vec<InDoubtNote>,
    /// How many manifests were put back, because something new needs them.
    pub mended: u64,
    /// What could not be looked at, or not put back.
    pub problems: Vec<String>,
}

/// A deletion that may still happen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct InDoubtNote {
    /// Its run.
    pub run: RunId,
    /// The repository.
    pub repository: RepositoryName,
    /// The manifest.
    pub digest: Digest,
    /// When it can no longer happen; `None` where the registry could not be asked.
    pub until: Option<Time>,
}

impl RecoveryNote {
    /// Whether there is nothing to be said.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// What became of a wish that the registry collect its garbage after the run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CollectionNote {
    /// `started`, `not_started`, or `in_doubt` where the answer was lost.
    pub outcome: &'static str,
    /// Its run in the journal; `None` where it did not come to that.
    pub run: Option<RunId>,
    /// Its number at the registry, where that said so.
    pub id: Option<i64>,
    /// How it stood when it was looked at, in the registry's words.
    pub status: Option<String>,
    /// Whether it takes artifacts without a tag as well.
    pub delete_untagged: bool,
    /// Why it was not started, or why that is not known. Text from outside may be in it.
    pub why: Option<String>,
}

/// Whether the registry has collected its garbage since something was deleted.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct CollectedNote {
    /// `None` where that is not known.
    pub since: Option<bool>,
    /// Which collection that was, or why it is not known.
    pub why: Option<String>,
    /// Whether a reader is to be warned: where it is so, or likely.
    #[serde(skip)]
    pub warns: bool,
}

impl CollectedNote {
    /// What a reader has to know, if anything. Harmless already.
    #[must_use]
    pub fn warning(&self) -> Option<String> {
        let why = clipped(self.why.as_deref().unwrap_or_default(), 300);
        let what = match self.since {
            Some(true) => {
                "garbage was collected since this was deleted, and what has lost its blobs cannot be put back"
            }
            _ => "garbage may have been collected since this was deleted",
        };
        self.warns.then(|| format!("{what}: {why}"))
    }
}

/// What stands behind the repositories.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OutcomeFoot {
    /// When it ended.
    pub ended: Time,
    /// Whether it was stopped before its end.
    pub stopped: bool,
    /// How it failed as a whole, where it did.
    pub failure: Option<String>,
    /// What the limits said.
    pub guards: Vec<GuardReport>,
    /// Repositories that could not be read, and so were not planned.
    pub incomplete: u64,
    /// What was left out, where not everything was looked at.
    pub pass: Option<PassNote>,
    /// Held copies whose grace is over and that wait for another run, since one purges so many at most.
    pub copies_waiting: u64,
    /// The run of the journal in which an apply purged held copies whose grace was over, where there were any.
    pub purge: Option<RunId>,
    /// What earlier runs left open.
    pub recovery: RecoveryNote,
    /// Until when an apply can be undone; `None` where nothing was deleted, and nothing may be gone yet.
    pub undo: Option<Undo>,
    /// What became of the collection of garbage that was to follow; `None` where none was.
    pub collection: Option<CollectionNote>,
    /// Whether garbage was collected since what an undo is about.
    pub collected: CollectedNote,
    /// The requests that it took, those of the plan included.
    pub requests: RequestCounts,
}

/// Sums over a report.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct OutcomeSums {
    /// Repositories with something to do.
    pub repositories: u64,
    /// Manifests and tags, by the name of what became of each.
    pub outcomes: BTreeMap<&'static str, u64>,
    /// Manifests that were put back, because something new needs them.
    pub mended: u64,
    /// What went wrong with repositories as a whole.
    pub problems: u64,
}

impl OutcomeSums {
    /// Adds a repository.
    pub fn add(&mut self, repository: &RepositoryOutcome) {
        self.repositories += 1;
        for entry in &repository.entries {
            *self.outcomes.entry(entry.outcome).or_default() += 1;
        }
        for mended in &repository.mended {
            match mended.failure {
                None => self.mended += 1,
                Some(_) => self.problems += 1,
            }
        }
        self.problems += u64::from(repository.problem.is_some());
    }

    /// How many ended so.
    #[must_use]
    pub fn of(&self, outcome: &str) -> u64 {
        self.outcomes.get(outcome).copied().unwrap_or_default()
    }
}

/// Writes one report in one format: [`repository`](Self::repository) for each, then [`head`](Self::head) and
/// [`foot`](Self::foot), once each. The document is head, repositories, foot.
///
/// Every method fails only where its writer does.
pub trait OutcomeWriter: Send {
    /// Writes a repository.
    fn repository(&mut self, out: &mut dyn Write, repository: &RepositoryOutcome) -> io::Result<()>;

    /// Writes what belongs in front of the repositories.
    fn head(&self, out: &mut dyn Write, head: &OutcomeHead, foot: &OutcomeFoot) -> io::Result<()>;

    /// Writes what belongs behind them.
    fn foot(&self, out: &mut dyn Write, head: &OutcomeHead, foot: &OutcomeFoot) -> io::Result<()>;
}

/// A writer for one report.
#[must_use]
pub fn outcome_writer(format: PlanFormat, colour: bool) -> Box<dyn OutcomeWriter> {
    match format {
        PlanFormat::Text => Box::new(text::Text::new(colour)),
        PlanFormat::Json => Box::<json::Json>::default(),
        PlanFormat::Ndjson => Box::new(json::Lines),
        PlanFormat::Markdown => Box::<markdown::Markdown>::default(),
        PlanFormat::Csv => Box::new(csv::Csv),
        PlanFormat::Html => Box::<html::Html>::default(),
    }
}
