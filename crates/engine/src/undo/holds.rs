//! What was put back is not deleted again for a while.

use std::collections::{BTreeSet, HashMap};

use lagan_model::journal::{JournalError, JournalStore, Purpose, Record};
use lagan_model::{Clock, Digest, Labels, RegistryWrite, RepositoryName, Time};

use crate::holding::copies;
use crate::recover::runs_here;
use crate::world::{Veto, World};

/// Every digest that is held now, and until when; and the repositories that hold copies of what was deleted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Holds {
    held: HashMap<(RepositoryName, Digest), Time>,
    /// Repositories with copies: what is in them is purged, and not decided about.
    copies: BTreeSet<RepositoryName>,
}

impl Holds {
    /// What is held, from the journal. An intent to put something back counts, whatever became of it.
    ///
    /// # Errors
    ///
    /// When the journal cannot be read.
    pub async fn read<R: RegistryWrite, S: JournalStore, C: Clock>(
        world: World<'_, R, S, C>,
    ) -> Result<Self, JournalError> {
        let now = world.clock.now();
        let mut held: HashMap<(RepositoryName, Digest), Time> = HashMap::new();
        for (run, here) in runs_here(world).await? {
            // Only who undoes holds what he puts back.
            if !matches!(here.purpose, Purpose::Undo { .. }) {
                continue;
            }
            for sequence in world.journal.store().entries_of(run).await? {
                if let (_, Record::Restore(intent)) = world.journal.read(sequence).await?
                    && let Some(until) = intent.hold_until.filter(|until| *until > now)
                {
                    let end = held.entry((intent.repository, intent.digest)).or_insert(until);
                    *end = until.max(*end);
                }
            }
        }
        let copies = copies(world).await?.into_keys().collect();
        Ok(Self { held, copies })
    }

    /// Until when a digest is held.
    #[must_use]
    pub fn until(&self, repository: &RepositoryName, digest: &Digest) -> Option<Time> {
        self.held.get(&(repository.clone(), digest.clone())).copied()
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
}
