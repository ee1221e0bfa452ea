//! Whether it still makes sense to ask.
//!
//! Each request is retried with growing pauses before it fails. When a registry goes away in the middle of a run,
//! paying that price for each of ten thousand repositories would take hours and bring nothing.

use std::sync::atomic::{AtomicU32, Ordering};

use lagan_model::{Failure, RegistryError};

/// After so many repositories in a row that failed for lack of an answer, the rest is not asked for.
const LIMIT: u32 = 8;

/// Counts repositories in a row that got no answer.
#[derive(Debug, Default)]
pub(crate) struct Health {
    silent: AtomicU32,
}

impl Health {
    pub(crate) fn answered(&self) {
        self.silent.store(0, Ordering::Relaxed);
    }

    pub(crate) fn failed(&self, error: &RegistryError) {
        if matches!(error.failure(), Failure::Unreachable | Failure::Timeout) {
            self.silent.fetch_add(1, Ordering::Relaxed);
        }
    }

    pub(crate) fn is_gone(&self) -> bool {
        self.silent.load(Ordering::Relaxed) >= LIMIT
    }
}
