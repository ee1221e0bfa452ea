//! What registries told of changes: put here by whoever answers them, taken by the loop.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use lagan_model::RepositoryName;
use lagan_registry::{Hints, Mark};

/// The hints of every registry that has told something.
#[derive(Debug, Default)]
pub(crate) struct Heard(Mutex<BTreeMap<String, Hints>>);

impl Heard {
    /// A registry told that these changed; none of them is a sign that it would tell.
    pub(crate) fn add(&self, registry: &str, changed: BTreeSet<RepositoryName>) {
        self.locked().entry(registry.to_owned()).or_default().add(changed);
    }

    /// A registry told something that was not understood, or not taken.
    pub(crate) fn lose(&self, registry: &str) {
        self.locked().entry(registry.to_owned()).or_default().lose();
    }

    /// How far a registry was heard; `None` where it never was.
    pub(super) fn now(&self, registry: &str) -> Option<Mark> {
        self.locked().get(registry).map(Hints::now)
    }

    /// What a registry told since; `None` where that is not known.
    pub(super) fn since(&self, registry: &str, mark: Mark) -> Option<BTreeSet<RepositoryName>> {
        self.locked().get(registry)?.since(mark)
    }

    /// Forgets what a registry told before; all of it where nobody asks for any.
    pub(super) fn forget(&self, registry: &str, before: Option<Mark>) {
        if let Some(hints) = self.locked().get_mut(registry) {
            hints.forget(before.unwrap_or(hints.now()));
        }
    }

    /// Forgets registries that are not told of any more.
    pub(super) fn retain(&self, known: &BTreeSet<&str>) {
        self.locked()
            .retain(|registry, _| known.contains(registry.as_str()));
    }

    fn locked(&self) -> MutexGuard<'_, BTreeMap<String, Hints>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
