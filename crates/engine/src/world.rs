//! Everything outside that a run which changes something works with.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};

use lagan_model::journal::Journal;
use lagan_model::{Digest, Labels, RepositoryName};

/// The registry, the journal and the clock of a run.
#[derive(Debug)]
pub struct World<'a, R, S, C> {
    /// The registry.
    pub registry: &'a R,
    /// The journal.
    pub journal: &'a Journal<S>,
    /// The time.
    pub clock: &'a C,
    /// Asked before each artifact.
    pub stop: &'a Stop,
}

impl<R, S, C> Clone for World<'_, R, S, C> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<R, S, C> Copy for World<'_, R, S, C> {}

/// A request to stop: what is in hand is finished, nothing else is begun.
#[derive(Debug, Default)]
pub struct Stop(AtomicBool);

impl Stop {
    /// Asks the run to stop.
    pub fn request(&self) {
        self.0.store(true, Ordering::Release);
    }

    /// Whether that was asked.
    #[must_use]
    pub fn is_requested(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}

/// Whether something must stay whatever the plan says: holds, and whatever else is known only now.
pub trait Veto: Sync {
    /// Why a manifest must stay, which has these labels in the registry now; `None` where nothing speaks against its
    /// deletion.
    fn why_kept(&self, repository: &RepositoryName, digest: &Digest, labels: &Labels) -> Option<String>;

    /// Indexes that must stay in a repository, as far as that is known without looking. They are read whether a tag is on
    /// them or not: what they list, and what is attached to that, stays with them.
    fn kept_indexes(&self, repository: &RepositoryName) -> BTreeSet<Digest>;

    /// Whether anything is held in a repository. Where nothing is, nothing stays for what lists it or has it attached.
    fn holds_any(&self, repository: &RepositoryName) -> bool;
}

/// Nothing is vetoed.
impl Veto for () {
    fn why_kept(&self, _: &RepositoryName, _: &Digest, _: &Labels) -> Option<String> {
        None
    }

    fn kept_indexes(&self, _: &RepositoryName) -> BTreeSet<Digest> {
        BTreeSet::new()
    }

    fn holds_any(&self, _: &RepositoryName) -> bool {
        false
    }
}
