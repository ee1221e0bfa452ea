//! What was put back is not deleted again for a while.

use std::collections::{BTreeSet, HashMap};

use lagan_model::{Digest, Labels, RepositoryName, Time};

use crate::world::Veto;

/// Every digest that is held now, by a [`Chronicle`](crate::Chronicle), and until when; and the repositories that hold copies of what was deleted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Holds {
    held: HashMap<RepositoryName, HashMap<Digest, Hold>>,
    /// Repositories with copies: what is in them is purged, and not decided about.
    copies: BTreeSet<RepositoryName>,
}

/// That something was put back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Hold {
    pub until: Time,
    /// Whether it is an index: what it lists stays with it, also where it was there all the time.
    pub is_index: bool,
}

impl Holds {
    pub(crate) fn new(
        held: HashMap<RepositoryName, HashMap<Digest, Hold>>,
        copies: BTreeSet<RepositoryName>,
    ) -> Self {
        Self { held, copies }
    }

    /// Until when a digest is held.
    #[must_use]
    pub fn until(&self, repository: &RepositoryName, digest: &Digest) -> Option<Time> {
        let hold = self.held.get(repository)?.get(digest)?;
        Some(hold.until)
    }

    /// What is held in a repository.
    pub(crate) fn of(&self, repository: &RepositoryName) -> impl Iterator<Item = (&Digest, Hold)> {
        let held = self.held.get(repository).into_iter().flatten();
        held.map(|(digest, hold)| (digest, *hold))
    }

    /// The indexes that are held in a repository.
    pub(crate) fn indexes_of(&self, repository: &RepositoryName) -> impl Iterator<Item = &Digest> {
        let held = self.of(repository).filter(|(_, hold)| hold.is_index);
        held.map(|(digest, _)| digest)
    }
}

impl Veto for Holds {
    fn why_kept(&self, repository: &RepositoryName, digest: &Digest, _: &Labels) -> Option<String> {
        if self.copies.contains(repository) {
            return Some("this repository holds what was deleted elsewhere".to_owned());
        }
        let until = self.until(repository, digest)?;
        let day = until.format("%Y-%m-%d %H:%M UTC");
        Some(format!("it was put back, and is held until {day}"))
    }

    fn kept_indexes(&self, repository: &RepositoryName) -> BTreeSet<Digest> {
        self.indexes_of(repository).cloned().collect()
    }

    fn holds_any(&self, repository: &RepositoryName) -> bool {
        self.of(repository).next().is_some()
    }
}
