//! What the last runs came to: a folder each, with the run and its report.

use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use chrono::SecondsFormat;
use lagan_model::Time;
use lagan_policy::Mode;
use serde_json::json;
use ulid::Ulid;

use super::event::named_mode;
use super::work::{Done, Job};
use crate::exit::Exit;
use crate::metrics::Tally;
use crate::output::Output;

/// What came of a run.
#[derive(Debug, Clone)]
pub(crate) struct Record {
    /// Its name in the history.
    pub(crate) id: String,
    pub(crate) policy: String,
    pub(crate) registry: String,
    pub(crate) mode: Mode,
    pub(crate) began: Time,
    pub(crate) ended: Time,
    pub(crate) exit: Exit,
    /// What ended it, where that was an error.
    pub(crate) error: Option<String>,
    /// Why it deleted nothing, although its policy is enforced.
    pub(crate) held: Option<String>,
    /// What it came to, in numbers.
    pub(crate) tally: Tally,
}

impl Record {
    pub(super) fn new(job: &Job, done: Done, ended: Time) -> Self {
        let (exit, error, held) = match done {
            Done::Exit(exit, held) => (exit, None, held),
            Done::Failed(failure) | Done::InUse(failure) => (failure.exit, Some(failure.text()), None),
        };
        Self {
            id: job.id.clone(),
            policy: job.policy.clone(),
            registry: job.registry.clone(),
            mode: job.mode,
            began: job.began,
            ended,
            exit,
            error,
            held,
            tally: job.observing.tally(),
        }
    }

    /// In a word.
    pub(crate) fn outcome(&self) -> &'static str {
        match self.exit {
            Exit::Done if self.held.is_some() => "planned only",
            Exit::Done | Exit::Changes => "done",
            Exit::Unexpected | Exit::Usage => "failed",
            Exit::Refused => "refused by a limit",
            Exit::Partial => "partial",
        }
    }
}

/// The last runs.
pub(super) struct History {
    folder: PathBuf,
    keep: usize,
}

impl History {
    pub(super) fn open(folder: &Path, keep: usize) -> io::Result<Self> {
        let folder = folder.join("runs");
        fs::create_dir_all(&folder)?;
        Ok(Self {
            folder,
            keep: keep.max(1),
        })
    }

    /// A name for a run that begins now; names are in the order of time.
    pub(super) fn id(now: Time) -> String {
        let milliseconds = u64::try_from(now.timestamp_millis()).unwrap_or(0);
        Ulid::from_parts(milliseconds, Ulid::new().random()).to_string()
    }

    /// Makes a folder for a run, and removes the oldest that are too many.
    pub(super) fn folder(&self, id: &str) -> io::Result<PathBuf> {
        let folder = self.folder.join(id);
        fs::create_dir(&folder)?;
        let mut runs: Vec<_> = fs::read_dir(&self.folder)?
            .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
            .filter(|name| Ulid::from_string(name).is_ok())
            .collect();
        runs.sort_unstable();
        let many = runs.len().saturating_sub(self.keep);
        for old in runs.iter().take(many).filter(|old| *old != id) {
            fs::remove_dir_all(self.folder.join(old))?;
        }
        Ok(folder)
    }

    /// Removes a run that did not come about.
    pub(super) fn forget(&self, id: &str) {
        // It is one of those that go first.
        _ = fs::remove_dir_all(self.folder.join(id));
    }

    /// Writes what came of a run beside its report.
    pub(super) fn keep(&self, record: &Record) -> io::Result<()> {
        let folder = self.folder.join(&record.id);
        let time = |time: Time| time.to_rfc3339_opts(SecondsFormat::Secs, true);
        let text = serde_json::to_vec_pretty(&json!({
            "schema": "lagan.daemon_run/v1",
            "id": record.id,
            "policy": record.policy,
            "registry": record.registry,
            "mode": named_mode(record.mode),
            "began": time(record.began),
            "ended": time(record.ended),
            "exit": record.exit as i32,
            "outcome": record.outcome(),
            "error": record.error,
            "held": record.held,
            "counts": record.tally.to_json(),
            "report": folder.join("report.json").is_file().then_some("report.json"),
        }))?;
        let mut out = Output::file(&folder.join("run.json"))?;
        out.write_all(&text)?;
        out.finish()
    }
}
