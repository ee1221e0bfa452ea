use std::collections::BTreeMap;
use std::pin::pin;
use std::sync::Mutex;
use std::task::{Context, Poll, Waker};

use super::*;
use crate::media_type::MediaType;

/// A store that keeps what it is given.
#[derive(Debug, Default)]
struct Memory {
    entries: Mutex<Vec<Entry>>,
    contents: Mutex<BTreeMap<Digest, Bytes>>,
}

impl JournalStore for Memory {
    async fn append(&self, group: Group) -> Result<Sequence, JournalError> {
        let mut entries = self.entries.lock().unwrap();
        let first = Sequence(entries.len() as u64 + 1);
        entries.extend(group.entries);
        self.contents.lock().unwrap().extend(group.contents);
        Ok(first)
    }

    async fn entry(&self, sequence: Sequence) -> Result<Option<(RunId, Bytes)>, JournalError> {
        let entries = self.entries.lock().unwrap();
        let position = usize::try_from(sequence.0).unwrap().checked_sub(1);
        let entry = position.and_then(|position| entries.get(position));
        Ok(entry.map(|entry| (entry.run, entry.body.clone())))
    }

    async fn content(&self, digest: &Digest) -> Result<Option<Bytes>, JournalError> {
        Ok(self.contents.lock().unwrap().get(digest).cloned())
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

/// Nothing in these tests waits.
fn now<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => value,
        Poll::Pending => panic!("a store in memory waits for nothing"),
    }
}

fn manifest(layer: &str) -> Manifest {
    let blob = Digest::of(layer.as_bytes());
    let text = format!(
        r#"{{"config":{{"mediaType":"a/b","digest":"{blob}","size":1}},"layers":[{{"mediaType":"a/b","digest":"{blob}","size":1}}]}}"#
    );
    let bytes = Bytes::from(text);
    Manifest::read(bytes.clone(), Digest::of(&bytes), Some(&MediaType::OCI_MANIFEST)).unwrap()
}

fn intent(manifest: &Manifest) -> DeleteIntent {
    DeleteIntent {
        unit: 0,
        role: Role::Artifact,
        repository: "team/app".parse().unwrap(),
        digest: manifest.digest().clone(),
        media_type: manifest.media_type().clone(),
        size: 0,
        tags: vec!["a".parse().unwrap()],
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
        at: chrono::DateTime::from_timestamp(0, 0).unwrap(),
    }
}

const RUN: u128 = 7;

#[test]
fn what_is_recorded_can_be_read_again_with_its_bytes() {
    let journal = Journal::new(Memory::default());
    let run = RunId::from_bits(RUN);
    let (a, b) = (manifest("a"), manifest("b"));
    let unit = vec![intent(&a), intent(&b)];
    let recorded = now(journal.record_unit(run, unit.clone(), &[b.clone(), a.clone()])).unwrap();
    let numbers: Vec<u64> = recorded.iter().map(|recorded| recorded.sequence().0).collect();
    assert_eq!(numbers, [1, 2]);
    for (recorded, (intent, manifest)) in recorded.iter().zip(unit.iter().zip([&a, &b])) {
        assert_eq!((recorded.intent(), recorded.run()), (intent, run));
        let read = now(journal.read(recorded.sequence())).unwrap();
        assert_eq!(read, (run, Record::Delete(intent.clone())));
        let bytes = now(journal.store().content(manifest.digest())).unwrap();
        assert_eq!(bytes.as_ref(), Some(manifest.bytes()));
    }
    let restore = RestoreIntent {
        deletion: Sequence(1),
        repository: "team/app".parse().unwrap(),
        digest: a.digest().clone(),
        media_type: a.media_type().clone(),
        tags: Vec::new(),
        hold_until: None,
        held_until: None,
        at: unit[0].at,
    };
    let recorded = now(journal.record_restore(run, restore)).unwrap();
    assert_eq!(recorded.bytes(), a.bytes());
}

#[test]
fn a_unit_is_not_recorded_when_bytes_of_it_are_missing() {
    let journal = Journal::new(Memory::default());
    let run = RunId::from_bits(RUN);
    let (a, b) = (manifest("a"), manifest("b"));
    let unit = vec![intent(&a), intent(&b)];
    assert!(now(journal.record_unit(run, unit, &[a])).is_err());
    assert!(journal.store().entries.lock().unwrap().is_empty());
}

#[test]
fn nothing_is_put_back_without_the_bytes_of_its_digest() {
    let journal = Journal::new(Memory::default());
    let run = RunId::from_bits(RUN);
    let restore = RestoreIntent {
        deletion: Sequence(1),
        repository: "team/app".parse().unwrap(),
        digest: Digest::of(b"what was"),
        media_type: MediaType::OCI_INDEX,
        tags: Vec::new(),
        hold_until: None,
        held_until: None,
        at: chrono::DateTime::from_timestamp(0, 0).unwrap(),
    };
    assert!(now(journal.record_restore(run, restore.clone())).is_err());
    assert!(now(journal.record_merged(run, restore.clone(), Bytes::from_static(b"other"))).is_err());
    assert!(journal.store().entries.lock().unwrap().is_empty());
    assert!(now(journal.record_merged(run, restore, Bytes::from_static(b"what was"))).is_ok());
}

#[test]
fn a_record_of_another_kind_is_refused() {
    let journal = Journal::new(Memory::default());
    let run = RunId::from_bits(RUN);
    let body = Bytes::from_static(br#"{"record":"of the future"}"#);
    let effect = Effect::None;
    let entries = vec![Entry { run, effect, body }];
    let contents = Vec::new();
    now(journal.store().append(Group {
        contents,
        entries,
        needs_room: false,
    }))
    .unwrap();
    let error = now(journal.read(Sequence(1))).unwrap_err();
    assert!(
        error
            .to_string()
            .starts_with("read journal record 1: unknown variant"),
        "{error}"
    );
    assert!(now(journal.read(Sequence(2))).is_err());
}

#[test]
fn a_run_is_written_as_a_ulid() {
    let run: RunId = "01JD5Q8Z3M9V4T7K2N6XABCDEF".parse().unwrap();
    assert_eq!(run.to_string(), "01JD5Q8Z3M9V4T7K2N6XABCDEF");
    assert!("01JD5Q8Z3M9V4T7K2N6XABCDE".parse::<RunId>().is_err());
    assert!(RunId::from_bits(1).to_string() < RunId::from_bits(2).to_string());
}
