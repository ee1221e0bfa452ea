//! What other runs deleted beside those that recovery looks after: read only where something has to be put back.

use std::collections::{BTreeMap, BTreeSet};

use lagan_model::journal::{DeleteResult, Journal, JournalError, JournalStore, Record, RunId, Sequence};
use lagan_model::{Digest, RepositoryName};

use crate::chronicle::Chronicle;
use crate::mend::DeletedManifest;
use crate::turns::Turns;

/// Deletions by any run on a registry, in the repositories in which something may have to be put back.
pub(crate) struct Others<'a> {
    chronicle: &'a Chronicle,
    repositories: BTreeSet<RepositoryName>,
    /// The last deletion of each manifest; `None` as long as nobody asked.
    deleted: Option<BTreeMap<RepositoryName, BTreeMap<Digest, Sequence>>>,
}

impl<'a> Others<'a> {
    pub(crate) fn new(chronicle: &'a Chronicle, repositories: BTreeSet<RepositoryName>) -> Self {
        Self {
            chronicle,
            repositories,
            deleted: None,
        }
    }

    /// The last deletion on record of a manifest.
    pub(crate) async fn deletion<S: JournalStore>(
        &mut self,
        journal: &Journal<S>,
        repository: &RepositoryName,
        digest: &Digest,
    ) -> Result<Option<DeletedManifest>, JournalError> {
        let deleted = match &mut self.deleted {
            Some(deleted) => deleted,
            none => {
                let runs = self.chronicle.runs().map(|(run, _)| run);
                none.insert(read(journal, runs, &self.repositories).await?)
            }
        };
        let sequence = deleted.get(repository).and_then(|here| here.get(digest));
        Ok(sequence.map(|sequence| DeletedManifest {
            sequence: *sequence,
            open: false,
        }))
    }
}

async fn read<S: JournalStore>(
    journal: &Journal<S>,
    runs: impl Iterator<Item = RunId>,
    repositories: &BTreeSet<RepositoryName>,
) -> Result<BTreeMap<RepositoryName, BTreeMap<Digest, Sequence>>, JournalError> {
    let mut turns = Turns::default();
    let mut deleted: BTreeMap<RepositoryName, BTreeMap<Digest, Sequence>> = BTreeMap::new();
    for run in runs {
        let mut begun: BTreeMap<Sequence, (RepositoryName, Digest)> = BTreeMap::new();
        for sequence in journal.store().entries_of(run).await? {
            turns.next().await;
            match journal.read(sequence).await?.1 {
                Record::Delete(intent) if repositories.contains(&intent.repository) => {
                    begun.insert(sequence, (intent.repository, intent.digest));
                }
                Record::Outcome(outcome) => {
                    let intended = begun.remove(&outcome.intent);
                    let gone = intended.filter(|_| outcome.result == DeleteResult::Deleted);
                    if let Some((repository, digest)) = gone {
                        let last = deleted.entry(repository).or_default().entry(digest);
                        let last = last.or_insert(outcome.intent);
                        *last = outcome.intent.max(*last);
                    }
                }
                _ => {}
            }
        }
    }
    Ok(deleted)
}
