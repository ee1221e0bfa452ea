//! Whoever watches how long the disk takes.

use std::fmt;
use std::sync::OnceLock;
use std::time::Duration;

type Tell = Box<dyn Fn(Duration) + Send + Sync>;

/// Somebody who is told, or nobody.
#[derive(Default)]
pub(crate) struct Watched(OnceLock<Tell>);

impl Watched {
    /// Has somebody told, if nobody is yet.
    pub(crate) fn by(&self, tell: Tell) {
        drop(self.0.set(tell));
    }

    /// A sync took so long.
    pub(crate) fn synced(&self, took: Duration) {
        if let Some(tell) = self.0.get() {
            tell(took);
        }
    }
}

impl fmt::Debug for Watched {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Watched").field(&self.0.get().is_some()).finish()
    }
}
