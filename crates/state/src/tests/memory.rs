//! A journal in memory: what the one on disk is held against.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;

use bytes::Bytes;
use lagan_model::digest::Digest;
use lagan_model::journal::{Effect, Entry, Group, JournalError, JournalStore, RunId, Sequence};

#[derive(Debug, Default)]
pub(super) struct MemoryJournal(Mutex<State>);

#[derive(Debug, Default, Clone)]
struct State {
    entries: Vec<Entry>,
    contents: BTreeMap<Digest, Bytes>,
}

impl State {
    fn settled_by(&self, sequence: u64) -> Option<Sequence> {
        let place = self
            .entries
            .iter()
            .position(|entry| entry.effect == Effect::Settles(Sequence(sequence)))?;
        Some(Sequence(place as u64 + 1))
    }

    fn is_open(&self, sequence: u64) -> bool {
        let opens = |entry: &Entry| entry.effect == Effect::Opens;
        let place = usize::try_from(sequence).unwrap().wrapping_sub(1);
        self.entries.get(place).is_some_and(opens) && self.settled_by(sequence).is_none()
    }
}

impl JournalStore for MemoryJournal {
    async fn append(&self, group: Group) -> Result<Sequence, JournalError> {
        let mut state = self.0.lock().unwrap();
        let refused = || JournalError::Refused {
            why: "by the model".to_owned(),
        };
        let mut next = state.clone();
        let first = next.entries.len() as u64 + 1;
        if group.entries.is_empty() {
            return Err(refused());
        }
        for (digest, bytes) in group.contents {
            if Digest::of(&bytes) != digest {
                return Err(refused());
            }
            next.contents.insert(digest, bytes);
        }
        for entry in group.entries {
            if let Effect::Settles(sequence) = entry.effect
                && !next.is_open(sequence.0)
            {
                return Err(refused());
            }
            next.entries.push(entry);
        }
        *state = next;
        Ok(Sequence(first))
    }

    async fn entry(&self, sequence: Sequence) -> Result<Option<(RunId, Bytes)>, JournalError> {
        let state = self.0.lock().unwrap();
        let place = usize::try_from(sequence.0).unwrap().wrapping_sub(1);
        Ok(state
            .entries
            .get(place)
            .map(|entry| (entry.run, entry.body.clone())))
    }

    async fn content(&self, digest: &Digest) -> Result<Option<Bytes>, JournalError> {
        Ok(self.0.lock().unwrap().contents.get(digest).cloned())
    }

    async fn open_entries(&self) -> Result<Vec<Sequence>, JournalError> {
        let state = self.0.lock().unwrap();
        let numbers = 1..=state.entries.len() as u64;
        Ok(numbers
            .filter(|number| state.is_open(*number))
            .map(Sequence)
            .collect())
    }

    async fn settled_by(&self, sequence: Sequence) -> Result<Option<Sequence>, JournalError> {
        Ok(self.0.lock().unwrap().settled_by(sequence.0))
    }

    async fn runs(&self) -> Result<Vec<RunId>, JournalError> {
        let state = self.0.lock().unwrap();
        let runs: BTreeSet<_> = state.entries.iter().map(|entry| entry.run).collect();
        Ok(runs.into_iter().collect())
    }

    async fn entries_of(&self, run: RunId) -> Result<Vec<Sequence>, JournalError> {
        let state = self.0.lock().unwrap();
        let numbered = (1..).zip(&state.entries);
        let of_run = numbered.filter(|(_, entry)| entry.run == run);
        Ok(of_run.map(|(number, _)| Sequence(number)).collect())
    }

    async fn bounds_of(&self, run: RunId) -> Result<Option<(Sequence, Sequence)>, JournalError> {
        let entries = self.entries_of(run).await?;
        Ok(entries.first().copied().zip(entries.last().copied()))
    }
}
