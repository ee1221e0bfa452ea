//! What earlier runs left, for one that only looks: what they found out, and what they put back.

use std::path::Path;
use std::sync::Arc;

use lagan_engine::{Chronicle, Holds};
use lagan_model::Time;
use lagan_model::journal::Journal;
use lagan_state::{Memory, Options, StateError};

use super::shared::Shared;
use super::{is_in_use, is_there, open, say, usual};
use crate::exit::Failure;

/// What is in a state directory.
pub(crate) struct Past {
    memory: Arc<Memory>,
    /// `None` where nothing was ever deleted, or it cannot be read.
    journal: Option<Shared>,
}

impl Past {
    /// What there is, where there is a state directory, for a run that works without one. One that is in use is told
    /// of and left alone.
    pub(crate) fn of(named: Option<&Path>, configured: Option<&Path>) -> Result<Option<Self>, Failure> {
        let Some(directory) = usual(named, configured) else {
            return Ok(None);
        };
        let unread = if is_there(&directory) {
            match open(&directory) {
                Ok(journal) => return Self::beside(journal).map(Some),
                Err(failure) => Some(failure),
            }
        } else {
            None
        };
        let memory = match Memory::open(&directory, &Options::default()) {
            Ok(memory) => memory,
            Err(StateError::Absent { .. }) => return Ok(None),
            Err(error @ StateError::InUse { .. }) => {
                say(&format!(
                    "failed to {error}; what it knows is neither used nor added to"
                ));
                return Ok(None);
            }
            Err(error) => return Err(error.into()),
        };
        if let Some(failure) = unread.filter(|failure| !is_in_use(failure)) {
            say(&format!(
                "{}; what was put back is not shown as held",
                failure.told().0
            ));
        }
        Ok(Some(Self {
            memory: Arc::new(memory),
            journal: None,
        }))
    }

    /// What is beside a journal that is open.
    pub(crate) fn beside(journal: Shared) -> Result<Self, Failure> {
        Ok(Self {
            memory: journal.memory()?,
            journal: Some(journal),
        })
    }

    pub(crate) fn memory(&self) -> &Memory {
        &self.memory
    }

    /// What is held at a registry, by its URL. A journal that cannot be read is told of: whoever deletes reads it again,
    /// and deletes nothing then.
    pub(crate) async fn holds(&self, url: &str, now: Time) -> Holds {
        let Some(journal) = &self.journal else {
            return Holds::default();
        };
        match Chronicle::read(&Journal::new(journal.clone()), url, now).await {
            Ok(chronicle) => chronicle.holds(now),
            Err(error) => {
                say(&format!(
                    "failed to {error}; what was put back is not shown as held"
                ));
                Holds::default()
            }
        }
    }
}
