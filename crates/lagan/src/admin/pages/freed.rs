//! What the runs of the journal freed at the most: counted beside the answers, and once.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use lagan_model::journal::{DeleteResult, Purpose, Record, RestoreResult, RunId};
use lagan_model::{Digest, Time};
use lagan_report::number::{count, mebibytes};
use lagan_state::DiskJournal;

use crate::admin::runs::time;
use crate::exit::Failure;
use crate::state;

/// How many runs are shown; older ones are not counted.
const RUNS: usize = 60;

/// How long a page waits for what is new in the journal: it is there in time unless there is much.
const PATIENCE: Duration = Duration::from_millis(40);

/// What a run did.
#[derive(Debug, Clone, Copy)]
enum Sum {
    /// It freed so much.
    Freed { at: Time, manifests: u64, bytes: u64 },
    /// It put so many manifests back.
    PutBack(u64),
}

/// The sums so far.
#[derive(Debug, Default)]
pub(in crate::admin) struct Freed {
    sums: Mutex<BTreeMap<RunId, Sum>>,
    /// How many runs the journal had.
    runs: AtomicUsize,
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
    /// Counts what is new in the journal, unless somebody does already, and waits a moment for it. Returns whether all
    /// of it is counted.
    pub(super) async fn count(self: &Arc<Self>, state: &Path) -> bool {
        if self.counting.swap(true, Ordering::AcqRel) {
            return false;
        }
        let (freed, state) = (Arc::clone(self), state.to_owned());
        let counted = tokio::task::spawn_blocking(move || {
            // What cannot be read now is counted when somebody looks again.
            let added = freed.add(&state);
            freed.counting.store(false, Ordering::Release);
            added.is_ok()
        });
        matches!(tokio::time::timeout(PATIENCE, counted).await, Ok(Ok(true)))
    }

    /// What there is to say where there is nothing to show, and all is counted.
    pub(super) fn nothing(&self) -> String {
        match self.runs.load(Ordering::Acquire) {
            0 => "Nothing was deleted yet.".to_owned(),
            1 => "The journal has one run, and it is none that deletes and is over.".to_owned(),
            runs @ ..=RUNS => {
                format!("The journal has {runs} runs, and none of them is one that deletes and is over.")
            }
            _ => format!("None of the last {RUNS} runs of the journal is one that deletes and is over."),
        }
    }

    fn add(&self, state: &Path) -> Result<(), Failure> {
        let journal = state::open(state)?;
        let runs = journal.last_runs(RUNS)?;
        let known: BTreeSet<RunId> = self.read().keys().copied().collect();
        self.runs.store(journal.count_runs()?, Ordering::Release);
        for run in runs {
            let is_over = run.end.is_some() && run.open == 0;
            let Some(begin) = run.begin.filter(|_| is_over && !known.contains(&run.run)) else {
                continue;
            };
            let sum = match begin.purpose {
                Purpose::Apply { .. } => freed(&journal, run.run, begin.at)?,
                Purpose::Undo { .. } => put_back(&journal, run.run)?,
                Purpose::Purge | Purpose::Collect => continue,
            };
            self.read().insert(run.run, sum);
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
        let freed: Vec<(Time, u64, u64)> = sums
            .iter()
            .filter_map(|sum| match *sum {
                Sum::Freed { at, manifests, bytes } => Some((at, manifests, bytes)),
                Sum::PutBack(_) => None,
            })
            .collect();
        let most = freed.iter().map(|(_, _, bytes)| *bytes).max()?.max(1);
        let bars = freed
            .iter()
            .enumerate()
            .map(|(position, (at, manifests, bytes))| {
                // One that freed something can be seen.
                let height = (u128::from(*bytes) * 100 / u128::from(most)) as u64;
                let height = height.max(u64::from(*manifests > 0));
                Bar {
                    left: position * 10 + 1,
                    top: 100 - height,
                    height,
                    says: format!(
                        "{}: {} with {}",
                        time(*at),
                        mebibytes(*bytes),
                        count(*manifests, "manifest", "manifests")
                    ),
                }
            });
        let (first, last) = (freed.first()?, freed.last()?);
        Some(Chart {
            width: freed.len().max(20) * 10,
            bars: bars.collect(),
            says: format!(
                "{} from {} to {} deleted {} with {}.{}",
                count(freed.len() as u64, "run", "runs"),
                time(first.0),
                time(last.0),
                count(freed.iter().map(|freed| freed.1).sum(), "manifest", "manifests"),
                mebibytes(freed.iter().map(|freed| freed.2).sum()),
                put_back_since(&sums)
            ),
        })
    }
}

/// What was put back after the first of the runs that freed something: it takes its room again.
fn put_back_since(sums: &[Sum]) -> String {
    let since = sums.iter().skip_while(|sum| matches!(sum, Sum::PutBack(_)));
    let back = since
        .map(|sum| match sum {
            Sum::PutBack(manifests) => *manifests,
            Sum::Freed { .. } => 0,
        })
        .sum();
    match back {
        0 => String::new(),
        back => format!(
            " {} put back meanwhile: that room is taken again.",
            count(back, "manifest was", "manifests were")
        ),
    }
}

/// Each blob of a repository counts once.
fn freed(journal: &DiskJournal, run: RunId, at: Time) -> Result<Sum, Failure> {
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
    Ok(Sum::Freed { at, manifests, bytes })
}

fn put_back(journal: &DiskJournal, run: RunId) -> Result<Sum, Failure> {
    let mut manifests = 0;
    for record in journal.records(run)? {
        let settled = record?.settled;
        let is_back = matches!(
            settled,
            Some(Record::Restored(outcome)) if outcome.result == RestoreResult::Restored
        );
        manifests += u64::from(is_back);
    }
    Ok(Sum::PutBack(manifests))
}
