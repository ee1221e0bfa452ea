//! That a run has begun, in a file of its folder until what came of it is there: by it the next start knows of a run that
//! died with its process.

use std::fs;
use std::io::{self, Write as _};
use std::path::Path;

use lagan_model::Time;
use lagan_policy::Mode;
use serde::{Deserialize, Serialize};

use super::history::Kind;
use super::work::Job;
use crate::output::Output;

const SCHEMA: &str = "lagan.daemon_run_begun/v1";
const NAME: &str = "begun.json";

/// What a run was to do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Begun {
    schema: String,
    pub(super) id: String,
    pub(super) kind: Kind,
    pub(super) by: String,
    pub(super) policy: String,
    pub(super) counted_for: String,
    pub(super) registry: String,
    pub(super) mode: Mode,
    pub(super) began: Time,
}

impl Begun {
    pub(super) fn of(job: &Job) -> Self {
        Self {
            schema: SCHEMA.to_owned(),
            id: job.id.clone(),
            kind: job.kind(),
            by: job.by().to_owned(),
            policy: job.policy.clone(),
            counted_for: job.counted_for().to_owned(),
            registry: job.registry.clone(),
            mode: job.mode,
            began: job.began,
        }
    }

    /// Writes it into the folder of the run. It is there after a power cut, and so is the folder.
    pub(super) fn write(&self, folder: &Path) -> io::Result<()> {
        let text = serde_json::to_vec_pretty(self)?;
        let mut out = Output::private(&folder.join(NAME))?;
        out.write_all(&text)?;
        out.finish()?;
        match folder.parent() {
            Some(runs) => fs::File::open(runs)?.sync_all(),
            None => Ok(()),
        }
    }

    /// As the folder of a run has it; `None` where there is none, or another program wrote it.
    pub(super) fn read(folder: &Path, id: &str) -> Option<Self> {
        let text = fs::read(folder.join(NAME)).ok()?;
        let begun: Self = serde_json::from_slice(&text).ok()?;
        (begun.schema == SCHEMA && begun.id == id).then_some(begun)
    }

    /// What came of the run is written.
    pub(super) fn remove(folder: &Path) {
        // What came of it goes before this.
        _ = fs::remove_file(folder.join(NAME));
    }
}
