//! What the thread that writes lets others know: how long the disk takes, and whether it failed.

use std::fmt;
use std::sync::OnceLock;
use std::time::Duration;

use lagan_model::journal::JournalError;

type Tell = Box<dyn Fn(Duration) + Send + Sync>;

/// Somebody who is told, or nobody.
#[derive(Default)]
pub(crate) struct Watched {
    tell: OnceLock<Tell>,
    failure: OnceLock<JournalError>,
}

impl Watched {
    /// Has somebody told, if nobody is yet.
    pub(crate) fn by(&self, tell: Tell) {
        drop(self.tell.set(tell));
    }

    /// A sync took so long.
    pub(crate) fn synced(&self, took: Duration) {
        if let Some(tell) = self.tell.get() {
            tell(took);
        }
    }

    /// Nothing is written any more, for this; the first counts.
    pub(crate) fn failed(&self, error: JournalError) {
        drop(self.failure.set(error));
    }

    /// Why nothing is written any more.
    pub(crate) fn failure(&self) -> Option<&JournalError> {
        self.failure.get()
    }
}

impl fmt::Debug for Watched {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watched")
            .field("told", &self.tell.get().is_some())
            .field("failure", &self.failure())
            .finish()
    }
}
