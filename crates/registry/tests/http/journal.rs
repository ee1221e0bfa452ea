//! A journal that forgets with the test: what makes the values without which nothing can be changed.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard};

use axum::body::Bytes;
use lagan_model::journal::{
    DeleteIntent, Entry, Group, Journal, JournalError, JournalStore, RecordedDelete, RecordedRestore,
    RecordedUntag, RestoreIntent, Role, RunId, Sequence, UntagIntent,
};
use lagan_model::{Digest, Manifest, MediaType, Tag, Time};

use crate::support::{MANIFEST_TYPE, app, image};

#[derive(Default)]
struct Memory {
    entries: Vec<Entry>,
    contents: HashMap<Digest, Bytes>,
}

#[derive(Default)]
pub(crate) struct MemoryStore(Mutex<Memory>);

impl MemoryStore {
    fn lock(&self) -> MutexGuard<'_, Memory> {
        self.0.lock().unwrap()
    }
}

impl JournalStore for MemoryStore {
    async fn append(&self, group: Group) -> Result<Sequence, JournalError> {
        let mut memory = self.lock();
        let first = Sequence(memory.entries.len() as u64 + 1);
        memory.contents.extend(group.contents);
        memory.entries.extend(group.entries);
        Ok(first)
    }

    async fn entry(&self, sequence: Sequence) -> Result<Option<(RunId, Bytes)>, JournalError> {
        let memory = self.lock();
        let position = usize::try_from(sequence.0).unwrap().checked_sub(1);
        let entry = position.and_then(|position| memory.entries.get(position));
        Ok(entry.map(|entry| (entry.run, entry.body.clone())))
    }

    async fn content(&self, digest: &Digest) -> Result<Option<Bytes>, JournalError> {
        Ok(self.lock().contents.get(digest).cloned())
    }

    async fn open_entries(&self) -> Result<Vec<Sequence>, JournalError> {
        Ok(Vec::new())
    }

    async fn settled_by(&self, _: Sequence) -> Result<Option<Sequence>, JournalError> {
        Ok(None)
    }

    async fn runs(&self) -> Result<Vec<RunId>, JournalError> {
        Ok(Vec::new())
    }

    async fn entries_of(&self, _: RunId) -> Result<Vec<Sequence>, JournalError> {
        Ok(Vec::new())
    }

    async fn bounds_of(&self, _: RunId) -> Result<Option<(Sequence, Sequence)>, JournalError> {
        Ok(None)
    }
}

pub(crate) fn tag(text: &str) -> Tag {
    text.parse().unwrap()
}

/// The manifest that all changes here are about.
pub(crate) fn manifest() -> Manifest {
    read(&image("a"), MANIFEST_TYPE)
}

fn read(text: &str, media_type: &str) -> Manifest {
    let media_type: MediaType = media_type.parse().unwrap();
    let bytes = Bytes::copy_from_slice(text.as_bytes());
    let digest = Digest::of(&bytes);
    Manifest::read(bytes, digest, Some(&media_type)).unwrap()
}

fn run() -> RunId {
    RunId::from_bits(1)
}

/// The deletion of it, on record.
pub(crate) async fn deletion() -> RecordedDelete {
    deletion_of(&["1.0"]).await
}

/// The same with these tags.
pub(crate) async fn deletion_of(tags: &[&str]) -> RecordedDelete {
    let journal = Journal::new(MemoryStore::default());
    let manifest = manifest();
    let intent = DeleteIntent {
        unit: 1,
        role: Role::Artifact,
        repository: app(),
        digest: manifest.digest().clone(),
        media_type: manifest.media_type().clone(),
        size: manifest.bytes().len() as u64,
        tags: tags.iter().map(|name| tag(name)).collect(),
        parents: Vec::new(),
        children: Vec::new(),
        subject: None,
        attachments: Vec::new(),
        blobs: Vec::new(),
        pushed: None,
        pulled: None,
        labels: Vec::new(),
        reasons: serde_json::Value::Null,
        undo_until: None,
        held: None,
        at: Time::default(),
    };
    let recorded = journal.record_unit(run(), vec![intent], &[manifest]).await;
    recorded.unwrap().pop().unwrap()
}

/// Taking `1.0` off it, on record.
pub(crate) async fn untagging() -> RecordedUntag {
    let journal = Journal::new(MemoryStore::default());
    let manifest = manifest();
    let intent = UntagIntent {
        repository: app(),
        tag: tag("1.0"),
        digest: manifest.digest().clone(),
        others: vec![tag("latest")],
        leaving: Vec::new(),
        media_type: manifest.media_type().clone(),
        reasons: serde_json::Value::Null,
        at: Time::default(),
    };
    journal.record_untag(run(), intent, &manifest).await.unwrap()
}

/// Putting it back under `1.0`, on record.
pub(crate) async fn restoration() -> RecordedRestore {
    let journal = Journal::new(MemoryStore::default());
    let manifest = manifest();
    let intent = RestoreIntent {
        deletion: Sequence(1),
        repository: app(),
        digest: manifest.digest().clone(),
        media_type: manifest.media_type().clone(),
        tags: vec![tag("1.0")],
        hold_until: None,
        held_until: None,
        at: Time::default(),
    };
    let bytes = manifest.bytes().clone();
    journal.record_merged(run(), intent, bytes).await.unwrap()
}
