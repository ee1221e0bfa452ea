//! The journal: every deletion is in it before it happens.
//!
//! A registry's [`delete`](crate::port::RegistryWrite::delete) takes a [`RecordedDelete`], and only a [`Journal`] makes
//! one, after its store said that the intent is durable: a deletion that is not on record does not compile. The same
//! holds for what puts things back.

mod id;
mod record;
mod store;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use bytes::Bytes;

pub use self::id::{RunId, RunIdError, Sequence};
pub use self::record::{
    Begin, Collections, DeleteIntent, DeleteResult, Doubt, End, Held, Outcome, PolicyIdentity, Purpose,
    Record, RestoreIntent, RestoreOutcome, RestoreResult, Role, Skip, UntagIntent,
};
pub use self::store::{Effect, Entry, Group, JournalError, JournalStore};
use crate::digest::Digest;
use crate::manifest::Manifest;

/// The journal over a store.
#[derive(Debug)]
pub struct Journal<S> {
    store: S,
}

macro_rules! recorded {
    ($(#[$doc:meta])* $name:ident($intent:ident)) => {
        $(#[$doc])*
        #[derive(Debug, PartialEq, Eq)]
        pub struct $name {
            run: RunId,
            sequence: Sequence,
            intent: $intent,
        }

        impl $name {
            /// The run that it belongs to.
            #[must_use]
            pub fn run(&self) -> RunId {
                self.run
            }

            /// Its number in the journal.
            #[must_use]
            pub fn sequence(&self) -> Sequence {
                self.sequence
            }

            /// What is about to be done.
            #[must_use]
            pub fn intent(&self) -> &$intent {
                &self.intent
            }
        }
    };
}

/// A deletion that is durably on record, and so may be sent. Only the journal makes one:
///
/// ```compile_fail,E0451
/// use std::sync::Arc;
///
/// use lagan_model::journal::{DeleteIntent, RecordedDelete, RunId, Sequence};
///
/// fn forged(run: RunId, first: Sequence, unit: Arc<[DeleteIntent]>) -> RecordedDelete {
///     RecordedDelete { run, first, unit, position: 0 }
/// }
/// ```
#[derive(Debug, PartialEq, Eq)]
pub struct RecordedDelete {
    run: RunId,
    first: Sequence,
    unit: Arc<[DeleteIntent]>,
    /// Which of the unit it is.
    position: usize,
}

impl RecordedDelete {
    /// The run that it belongs to.
    #[must_use]
    pub fn run(&self) -> RunId {
        self.run
    }

    /// Its number in the journal.
    #[must_use]
    pub fn sequence(&self) -> Sequence {
        Sequence(self.first.0 + self.position as u64)
    }

    /// What is about to be done.
    #[must_use]
    pub fn intent(&self) -> &DeleteIntent {
        &self.unit[self.position]
    }

    /// Everything that is on record with it, itself among that: what a registry deletes along has to be there.
    #[must_use]
    pub fn unit(&self) -> &[DeleteIntent] {
        &self.unit
    }
}

recorded! {
    /// An untagging that is durably on record, and so may be sent.
    RecordedUntag(UntagIntent)
}

/// A restoration that is durably on record, with the exact bytes to put back.
#[derive(Debug, PartialEq, Eq)]
pub struct RecordedRestore {
    run: RunId,
    sequence: Sequence,
    intent: RestoreIntent,
    bytes: Bytes,
}

impl RecordedRestore {
    /// The run that it belongs to.
    #[must_use]
    pub fn run(&self) -> RunId {
        self.run
    }

    /// Its number in the journal.
    #[must_use]
    pub fn sequence(&self) -> Sequence {
        self.sequence
    }

    /// What is about to be put back.
    #[must_use]
    pub fn intent(&self) -> &RestoreIntent {
        &self.intent
    }

    /// The manifest, byte for byte.
    #[must_use]
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }
}

impl<S: JournalStore> Journal<S> {
    /// The journal that `store` keeps.
    #[must_use]
    pub fn new(store: S) -> Self {
        Self { store }
    }

    /// What keeps it.
    #[must_use]
    pub fn store(&self) -> &S {
        &self.store
    }

    /// Why nothing can be put on record any more, where that is known; see [`JournalStore::failure`].
    #[must_use]
    pub fn failure(&self) -> Option<JournalError> {
        self.store.failure()
    }

    /// Begins a run.
    ///
    /// # Errors
    ///
    /// When the store cannot make it durable.
    pub async fn begin(&self, begin: Begin) -> Result<RunId, JournalError> {
        let run = begin.run;
        self.append(run, Vec::new(), vec![(Record::Begin(begin), Effect::None)])
            .await?;
        Ok(run)
    }

    /// Records a whole unit, its manifests' bytes included, as one group.
    ///
    /// # Errors
    ///
    /// When the store cannot make it durable, or a manifest of the unit is not among `manifests`; then nothing of it
    /// may be deleted.
    pub async fn record_unit(
        &self,
        run: RunId,
        intents: Vec<DeleteIntent>,
        manifests: &[Manifest],
    ) -> Result<Vec<RecordedDelete>, JournalError> {
        let contents = intents
            .iter()
            .map(|intent| content(manifests, &intent.digest))
            .collect::<Result<_, _>>()?;
        let records = intents
            .iter()
            .map(|intent| (Record::Delete(intent.clone()), Effect::Opens))
            .collect();
        let first = self.append(run, contents, records).await?;
        let unit: Arc<[DeleteIntent]> = intents.into();
        let recorded = (0..unit.len()).map(|position| RecordedDelete {
            run,
            first,
            unit: Arc::clone(&unit),
            position,
        });
        Ok(recorded.collect())
    }

    /// Records an untagging, with the manifest's bytes.
    ///
    /// # Errors
    ///
    /// When the store cannot make it durable, or `manifest` is another one.
    pub async fn record_untag(
        &self,
        run: RunId,
        intent: UntagIntent,
        manifest: &Manifest,
    ) -> Result<RecordedUntag, JournalError> {
        let contents = vec![content(std::slice::from_ref(manifest), &intent.digest)?];
        let record = (Record::Untag(intent.clone()), Effect::Opens);
        let sequence = self.append(run, contents, vec![record]).await?;
        Ok(RecordedUntag {
            run,
            sequence,
            intent,
        })
    }

    /// Records what became of a deletion or an untagging.
    ///
    /// # Errors
    ///
    /// When the store cannot make it durable.
    pub async fn settle(&self, run: RunId, outcome: Outcome) -> Result<(), JournalError> {
        let effect = Effect::Settles(outcome.intent);
        self.append(run, Vec::new(), vec![(Record::Outcome(outcome), effect)])
            .await
            .map(|_| ())
    }

    /// Records that a deletion may still happen.
    ///
    /// # Errors
    ///
    /// When the store cannot make it durable.
    pub async fn doubt(&self, run: RunId, doubt: Doubt) -> Result<(), JournalError> {
        self.append(run, Vec::new(), vec![(Record::Doubt(doubt), Effect::None)])
            .await
            .map(|_| ())
    }

    /// Records that something is about to be put back, and gets its bytes.
    ///
    /// # Errors
    ///
    /// When the store cannot make it durable, or does not hold the bytes.
    pub async fn record_restore(
        &self,
        run: RunId,
        intent: RestoreIntent,
    ) -> Result<RecordedRestore, JournalError> {
        let missing = |sequence| JournalError::Record {
            sequence,
            why: format!("the bytes of {} are not in the journal", intent.digest),
        };
        let bytes = self.store.content(&intent.digest).await?;
        let bytes = bytes.ok_or_else(|| missing(intent.deletion))?;
        let record = (Record::Restore(intent.clone()), Effect::Opens);
        let sequence = self.append(run, Vec::new(), vec![record]).await?;
        Ok(RecordedRestore {
            run,
            sequence,
            intent,
            bytes,
        })
    }

    /// Records that a manifest that was never deleted is about to be put: a fallback index that lists what came back
    /// beside what is there now. Its bytes become a content of the journal.
    ///
    /// # Errors
    ///
    /// When the store cannot make it durable, or `bytes` do not hash to the intent's digest.
    pub async fn record_merged(
        &self,
        run: RunId,
        intent: RestoreIntent,
        bytes: Bytes,
    ) -> Result<RecordedRestore, JournalError> {
        if intent.digest.verifies(&bytes) != Some(true) {
            return Err(JournalError::Store {
                doing: format!("record the bytes of {}", intent.digest),
                source: "they do not hash to it".into(),
            });
        }
        let contents = vec![(intent.digest.clone(), bytes.clone())];
        let record = (Record::Restore(intent.clone()), Effect::Opens);
        let sequence = self.append(run, contents, vec![record]).await?;
        Ok(RecordedRestore {
            run,
            sequence,
            intent,
            bytes,
        })
    }

    /// Records what became of putting something back.
    ///
    /// # Errors
    ///
    /// When the store cannot make it durable.
    pub async fn settle_restore(&self, run: RunId, outcome: RestoreOutcome) -> Result<(), JournalError> {
        let effect = Effect::Settles(outcome.intent);
        self.append(run, Vec::new(), vec![(Record::Restored(outcome), effect)])
            .await
            .map(|_| ())
    }

    /// Records the end of a run.
    ///
    /// # Errors
    ///
    /// When the store cannot make it durable.
    pub async fn end(&self, run: RunId, end: End) -> Result<(), JournalError> {
        self.append(run, Vec::new(), vec![(Record::End(end), Effect::None)])
            .await
            .map(|_| ())
    }

    /// A record by its number.
    ///
    /// # Errors
    ///
    /// When it cannot be read or understood, or there is none.
    pub async fn read(&self, sequence: Sequence) -> Result<(RunId, Record), JournalError> {
        let damaged = |why: String| JournalError::Record { sequence, why };
        let (run, body) = self
            .store
            .entry(sequence)
            .await?
            .ok_or_else(|| damaged("there is none of this number".to_owned()))?;
        let record = serde_json::from_slice(&body).map_err(|error| damaged(error.to_string()))?;
        Ok((run, record))
    }

    /// Every intent whose outcome is not on record, in order.
    ///
    /// # Errors
    ///
    /// When the store cannot be read.
    pub async fn unsettled(&self) -> Result<Vec<(Sequence, RunId, Record)>, JournalError> {
        let mut open = Vec::new();
        for sequence in self.store.open_entries().await? {
            let (run, record) = self.read(sequence).await?;
            open.push((sequence, run, record));
        }
        Ok(open)
    }

    async fn append(
        &self,
        run: RunId,
        contents: Vec<(Digest, Bytes)>,
        records: Vec<(Record, Effect)>,
    ) -> Result<Sequence, JournalError> {
        // A copy is made for a deletion; what else is put back takes one back.
        let needs_room = records.iter().any(|(record, _)| match record {
            Record::Delete(_) | Record::Untag(_) => true,
            Record::Restore(intent) => intent.held_until.is_some(),
            _ => false,
        });
        let entry = |(record, effect): (Record, Effect)| {
            let body = serde_json::to_vec(&record).map_err(|error| JournalError::Store {
                doing: "write a journal record".to_owned(),
                source: error.into(),
            })?;
            Ok(Entry {
                run,
                effect,
                body: body.into(),
            })
        };
        let entries = records
            .into_iter()
            .map(entry)
            .collect::<Result<_, JournalError>>()?;
        let group = Group {
            contents,
            entries,
            needs_room,
        };
        self.store.append(group).await
    }
}

/// The bytes of a manifest, which have to hash to the digest that they are recorded under.
fn content(manifests: &[Manifest], digest: &Digest) -> Result<(Digest, Bytes), JournalError> {
    manifests
        .iter()
        .find(|manifest| manifest.digest() == digest && digest.verifies(manifest.bytes()) == Some(true))
        .map(|manifest| (digest.clone(), manifest.bytes().clone()))
        .ok_or_else(|| JournalError::Store {
            doing: format!("record the bytes of {digest}"),
            source: "they were not read, or do not hash to it".into(),
        })
}
