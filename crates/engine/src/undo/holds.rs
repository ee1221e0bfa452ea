//! What was put back is not deleted again for a while.

use std::collections::HashMap;

use lagan_model::journal::{JournalError, JournalStore, Purpose, Record};
use lagan_model::{Clock, Digest, RegistryWrite, RepositoryName, Time};

use crate::recover::runs_here;
use crate::world::{Veto, World};

/// Every digest that is held now, and until when.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Holds(HashMap<(RepositoryName, Digest), Time>);

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
        Ok(Self(held))
    }

    /// Until when a digest is held.
    #[must_use]
    pub fn until(&self, repository: &RepositoryName, digest: &Digest) -> Option<Time> {
        self.0.get(&(repository.clone(), digest.clone())).copied()
    }
}

impl Veto for Holds {
    fn why_kept(&self, repository: &RepositoryName, digest: &Digest) -> Option<String> {
        let until = self.until(repository, digest)?;
        let day = until.format("%Y-%m-%d %H:%M UTC");
        Some(format!("it was put back, and is held until {day}"))
    }
}
