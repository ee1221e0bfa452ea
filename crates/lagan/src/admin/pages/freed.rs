//! What the runs of the journal freed at the most: counted beside the answers, and once.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use lagan_model::journal::{DeleteResult, Purpose, Record, RunId};
use lagan_model::{Digest, Time};
use lagan_report::number::{count, mebibytes};
use lagan_state::DiskJournal;

use crate::admin::runs::time;
use crate::exit::Failure;
use crate::state;

/// How many runs are shown; older ones are not counted.
const RUNS: usize = 60;

/// What a run freed.
#[derive(Debug, Clone, Copy)]
struct Sum {
    at: Time,
    manifests: u64,
    bytes: u64,
}

/// The sums so far.
#[derive(Debug, Default)]
pub(in crate::admin) struct Freed {
    sums: Mutex<BTreeMap<RunId, Sum>>,
    /// Whether the journal was counted once.
    counted: AtomicBool,
    counting: AtomicBool,
}

/// The sums as bars.
pub(super) struct Chart {
    pub(super) width: usize,
    pub(super) bars: Vec<Bar>,
    pub(super) says: String,
}

/// One run.
pub(super) struct Bar {
    pub(super) left: usize,
    pub(super) top: u64,
    pub(super) height: u64,
    pub(super) says: String,
}

impl Freed {
    /// Counts what is new in the journal, unless somebody does already. Nobody waits for it.
    pub(super) fn count(self: &Arc<Self>, state: &Path) {
        if self.counting.swap(true, Ordering::AcqRel) {
            return;
        }
        let (freed, state) = (Arc::clone(self), state.to_owned());
        tokio::task::spawn_blocking(move || {
            // What cannot be read now is counted when somebody looks again.
            if freed.add(&state).is_ok() {
                freed.counted.store(true, Ordering::Release);
            }
            freed.counting.store(false, Ordering::Release);
        });
    }

    pub(super) fn is_counted(&self) -> bool {
        self.counted.load(Ordering::Acquire)
    }

    fn add(&self, state: &Path) -> Result<(), Failure> {
        let journal = state::open(state)?;
        let runs = journal.last_runs(RUNS)?;
        let known: BTreeSet<RunId> = self.read().keys().copied().collect();
        for run in runs {
            let applied = |purpose: &Purpose| matches!(purpose, Purpose::Apply { .. });
            let is_over = run.end.is_some() && run.open == 0;
            let Some(begin) = run.begin.filter(|begin| is_over && applied(&begin.purpose)) else {
                continue;
            };
            if !known.contains(&run.run) {
                let sum = sum(&journal, run.run, begin.at)?;
                self.read().insert(run.run, sum);
            }
        }
        let mut sums = self.read();
        while sums.len() > RUNS {
            sums.pop_first();
        }
        Ok(())
    }

    fn read(&self) -> std::sync::MutexGuard<'_, BTreeMap<RunId, Sum>> {
        self.sums.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The sums as a chart; `None` where there is nothing to show.
    pub(super) fn chart(&self) -> Option<Chart> {
        let sums: Vec<Sum> = self.read().values().copied().collect();
        let most = sums.iter().map(|sum| sum.bytes).max()?.max(1);
        let bars = sums.iter().enumerate().map(|(position, sum)| {
            // One that freed something can be seen.
            let height = (u128::from(sum.bytes) * 100 / u128::from(most)) as u64;
            let height = height.max(u64::from(sum.manifests > 0));
            Bar {
                left: position * 10 + 1,
                top: 100 - height,
                height,
                says: format!(
                    "{}: {} with {}",
                    time(sum.at),
                    mebibytes(sum.bytes),
                    count(sum.manifests, "manifest", "manifests")
                ),
            }
        });
        let (bytes, manifests) = sums.iter().fold((0, 0), |(bytes, manifests), sum| {
            (bytes + sum.bytes, manifests + sum.manifests)
        });
        let (first, last) = (sums.first()?, sums.last()?);
        Some(Chart {
            width: sums.len().max(20) * 10,
            bars: bars.collect(),
            says: format!(
                "{} from {} to {} deleted {} with {}.",
                count(sums.len() as u64, "run", "runs"),
                time(first.at),
                time(last.at),
                count(manifests, "manifest", "manifests"),
                mebibytes(bytes)
            ),
        })
    }
}

/// Each blob of a repository counts once.
fn sum(journal: &DiskJournal, run: RunId, at: Time) -> Result<Sum, Failure> {
    let mut blobs: BTreeSet<(String, Digest)> = BTreeSet::new();
    let (mut manifests, mut bytes) = (0, 0);
    for record in journal.records(run)? {
        let record = record?;
        let deleted = matches!(
            &record.settled,
            Some(Record::Outcome(outcome)) if outcome.result == DeleteResult::Deleted
        );
        if let Record::Delete(intent) = record.record
            && deleted
        {
            manifests += 1;
            bytes += intent.size;
            for blob in intent.blobs {
                if blobs.insert((intent.repository.to_string(), blob.digest)) {
                    bytes += blob.size;
                }
            }
        }
    }
    Ok(Sum { at, manifests, bytes })
}
