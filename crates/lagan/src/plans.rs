//! The repositories of a plan on their way from being shown to being carried out.

use std::io::{self, BufRead as _, BufReader, BufWriter, Seek as _, SeekFrom, Write as _};

use lagan_model::RepositoryName;
use lagan_policy::{Action, RepositoryPlan};
use tempfile::SpooledTempFile;

/// How much of a plan waits in memory, in bytes; what is beyond waits in an unnamed file.
const IN_MEMORY: usize = 8 * 1024 * 1024;

/// Keeps what is to be done, one repository a line.
pub(crate) struct PlanSpool {
    file: BufWriter<SpooledTempFile>,
    repositories: u64,
    untags: Option<RepositoryName>,
}

impl PlanSpool {
    pub(crate) fn new() -> Self {
        Self {
            file: BufWriter::new(SpooledTempFile::new(IN_MEMORY)),
            repositories: 0,
            untags: None,
        }
    }

    /// Adds a repository; one in which nothing is to be done is left out, and so are the tags that stay.
    pub(crate) fn add(&mut self, plan: &RepositoryPlan) -> io::Result<()> {
        if plan.actions.is_empty() {
            return Ok(());
        }
        let untags = |action: &Action| matches!(action, Action::Untag { .. });
        if self.untags.is_none() && plan.actions.iter().any(untags) {
            self.untags = Some(plan.name.clone());
        }
        let plan = RepositoryPlan {
            kept: Vec::new(),
            kept_untagged: Vec::new(),
            ..plan.clone()
        };
        serde_json::to_writer(&mut self.file, &plan)?;
        self.repositories += 1;
        self.file.write_all(b"\n")
    }

    /// How many repositories there are in which something is to be done.
    pub(crate) fn repositories(&self) -> u64 {
        self.repositories
    }

    /// A repository in which single tags are to be taken off.
    pub(crate) fn untags(&self) -> Option<&RepositoryName> {
        self.untags.as_ref()
    }

    /// Reads them again, in order.
    pub(crate) fn read(mut self) -> io::Result<impl Iterator<Item = io::Result<RepositoryPlan>>> {
        // Writes what is still buffered.
        self.file.seek(SeekFrom::Start(0))?;
        let file = self.file.into_inner().map_err(io::IntoInnerError::into_error)?;
        let lines = BufReader::new(file).lines();
        Ok(lines.map(|line| Ok(serde_json::from_str(&line?)?)))
    }
}
