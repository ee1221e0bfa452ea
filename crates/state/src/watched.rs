//! What the thread that writes lets others know: how long the disk takes, and whether it failed.

use std::fmt;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

type Tell = Box<dyn Fn(Duration) + Send + Sync>;

/// Somebody who is told, or nobody.
#[derive(Default)]
pub(crate) struct Watched {
    tell: OnceLock<Tell>,
    failed: AtomicBool,
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

    /// Nothing is written any more.
    pub(crate) fn failed(&self) {
        self.failed.store(true, Ordering::Release);
    }

    pub(crate) fn has_failed(&self) -> bool {
        self.failed.load(Ordering::Acquire)
    }
}

impl fmt::Debug for Watched {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watched")
            .field("told", &self.tell.get().is_some())
            .field("failed", &self.has_failed())
            .finish()
    }
}
