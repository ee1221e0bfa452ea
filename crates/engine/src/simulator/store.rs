//! The simulated journal store: what is durable survives the program.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use lagan_model::Digest;
use lagan_model::journal::{Effect, Entry, Group, JournalError, JournalStore, RunId, Sequence};

use super::ports::Simulated;
use crate::safeguard::{Safeguard, on};

#[derive(Debug, Default, Clone)]
pub(crate) struct Kept {
    pub entries: BTreeMap<Sequence, Entry>,
    pub contents: BTreeMap<Digest, Bytes>,
    pub settled: BTreeMap<Sequence, Sequence>,
    pub open: BTreeSet<Sequence>,
    /// The step in which each entry was appended.
    pub steps: BTreeMap<Sequence, u64>,
}

#[derive(Debug, Default)]
struct Memory {
    /// What survives.
    durable: Kept,
    /// What the running program sees.
    seen: Kept,
    /// How often each entry was read.
    reads: BTreeMap<Sequence, u64>,
}

#[derive(Debug, Clone)]
pub(crate) struct ModelStore {
    world: Simulated,
    memory: Arc<Mutex<Memory>>,
}

impl ModelStore {
    pub(crate) fn new(world: Simulated) -> Self {
        Self {
            world,
            memory: Arc::default(),
        }
    }

    fn memory(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells the oracle which intents are durable, as somebody reads them who does not know the program's types.
    fn tell(&self, durable: &Kept, from: Sequence) {
        for (sequence, entry) in durable.entries.range(from..) {
            let record: serde_json::Value = serde_json::from_slice(&entry.body).unwrap();
            let wrong = self.world.state().was_never_back(durable, &record);
            if let Some(wrong) = wrong {
                self.world.state().violation(wrong);
            }
            let digest = record
                .get("digest")
                .and_then(|digest| digest.as_str()?.parse::<Digest>().ok());
            let repository = record
                .get("repository")
                .and_then(|name| name.as_str()?.parse().ok());
            let (Some(digest), Some(repository)) = (digest, repository) else {
                continue;
            };
            let time = |text: &serde_json::Value| text.as_str()?.parse::<lagan_model::Time>().ok();
            if let Some(until) = record.get("held_until").and_then(time) {
                let mut state = self.world.state();
                let of_digest = state.copies.entry((repository, digest)).or_default();
                of_digest.push(until);
                continue;
            }
            if let Some(held) = record.get("held")
                && let (Some(holding), Some(until)) = (held["repository"].as_str(), time(&held["until"]))
            {
                let holding = holding.parse().unwrap();
                self.world.state().promised.insert(*sequence, (holding, until));
            }
            let bytes = durable.contents.get(&digest);
            if bytes.is_some_and(|bytes| digest.verifies(bytes) == Some(true)) {
                let step = durable.steps.get(sequence).copied().unwrap_or(0);
                let mut state = self.world.state();
                let listed = state.repositories.get(&repository).map(|found| found.listed_at);
                state.listed.insert(*sequence, listed.unwrap_or(0));
                state.durable.insert(*sequence, (repository, digest, step));
            }
        }
    }

    /// How often each entry was read since this was asked.
    pub(crate) fn reads(&self) -> BTreeMap<Sequence, u64> {
        std::mem::take(&mut self.memory().reads)
    }

    pub(crate) fn with_durable<T>(&self, look: impl FnOnce(&Kept) -> T) -> T {
        look(&self.memory().durable)
    }

    /// The program died, and starts again.
    pub(crate) fn restart(&self) {
        let mut memory = self.memory();
        memory.seen = memory.durable.clone();
    }
}

impl Kept {
    fn append(&mut self, group: Group, step: u64) -> Sequence {
        let next = self.entries.last_key_value().map_or(1, |(last, _)| last.0 + 1);
        self.contents.extend(group.contents);
        for (offset, entry) in group.entries.into_iter().enumerate() {
            let sequence = Sequence(next + offset as u64);
            match entry.effect {
                Effect::None => {}
                Effect::Opens => {
                    self.open.insert(sequence);
                }
                Effect::Settles(other) => {
                    self.open.remove(&other);
                    self.settled.insert(other, sequence);
                }
            }
            self.steps.insert(sequence, step);
            self.entries.insert(sequence, entry);
        }
        Sequence(next)
    }
}

impl JournalStore for ModelStore {
    async fn append(&self, group: Group) -> Result<Sequence, JournalError> {
        // The program may die before the group is durable, or after it is and before anybody hears of it.
        self.world.step().await;
        let (step, lost) = {
            let mut state = self.world.state();
            if state.journal_failed {
                return Err(JournalError::Stopped);
            }
            state.journal_failed = state.fault(3);
            if state.journal_failed {
                state.note(|| "the journal fails".to_owned());
            }
            // Whether the group is there nobody knows.
            let lost = state.journal_failed && state.faults.per_mille(500);
            (state.step, lost)
        };
        if lost {
            return Err(JournalError::Stopped);
        }
        let opens = group.entries.iter().any(|entry| entry.effect == Effect::Opens);
        let sequence = {
            let mut memory = self.memory();
            let sequence = memory.seen.append(group, step);
            // Without the safeguard an intent becomes durable with whatever is written next.
            if !opens || on(Safeguard::IntentFirst) {
                memory.durable = memory.seen.clone();
                self.tell(&memory.durable, sequence);
            }
            sequence
        };
        self.world.step().await;
        if self.world.state().journal_failed {
            return Err(JournalError::Stopped);
        }
        Ok(sequence)
    }

    fn failure(&self) -> Option<JournalError> {
        self.world.state().journal_failed.then_some(JournalError::Stopped)
    }

    async fn entry(&self, sequence: Sequence) -> Result<Option<(RunId, Bytes)>, JournalError> {
        let mut memory = self.memory();
        *memory.reads.entry(sequence).or_default() += 1;
        Ok(memory
            .seen
            .entries
            .get(&sequence)
            .map(|entry| (entry.run, entry.body.clone())))
    }

    async fn content(&self, digest: &Digest) -> Result<Option<Bytes>, JournalError> {
        Ok(self.memory().seen.contents.get(digest).cloned())
    }

    async fn open_entries(&self) -> Result<Vec<Sequence>, JournalError> {
        Ok(self.memory().seen.open.iter().copied().collect())
    }

    async fn settled_by(&self, sequence: Sequence) -> Result<Option<Sequence>, JournalError> {
        Ok(self.memory().seen.settled.get(&sequence).copied())
    }

    async fn runs(&self) -> Result<Vec<RunId>, JournalError> {
        let runs: BTreeSet<RunId> = self
            .memory()
            .seen
            .entries
            .values()
            .map(|entry| entry.run)
            .collect();
        Ok(runs.into_iter().collect())
    }

    async fn entries_of(&self, run: RunId) -> Result<Vec<Sequence>, JournalError> {
        let memory = self.memory();
        let entries = memory.seen.entries.iter().filter(|(_, entry)| entry.run == run);
        Ok(entries.map(|(sequence, _)| *sequence).collect())
    }

    async fn bounds_of(&self, run: RunId) -> Result<Option<(Sequence, Sequence)>, JournalError> {
        let entries = self.entries_of(run).await?;
        Ok(entries.first().copied().zip(entries.last().copied()))
    }
}
