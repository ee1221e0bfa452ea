//! What the journal says of a registry: read once before a run, for all who ask.
//!
//! A journal may have a million records. A run that came to its end and of which nothing is needed any more is read by
//! its first and its last record; the others once, record by record. While that goes on, others have their turn.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use chrono::TimeDelta;
use lagan_model::journal::{
    DeleteResult, End, Journal, JournalError, JournalStore, Purpose, Record, RunId, Sequence,
};
use lagan_model::{Digest, RepositoryName, Tag, Time};
use lagan_policy::RunHistory;

use crate::holding::{COPIES, Copies, Copy};
use crate::leftover::{Below, LEFT, LONGEST_LEFT};
use crate::mend::{DeletedHere, DeletedManifest};
use crate::turns::Turns;
use crate::undo::{Hold, Holds, LONGEST_HOLD};

/// What the journal says of one registry, as of when it was read.
#[derive(Debug, Default)]
pub struct Chronicle {
    url: String,
    runs: BTreeMap<RunId, RunHere>,
    /// Runs of other registries, and what is no run.
    foreign: BTreeSet<RunId>,
}

impl Chronicle {
    /// Reads what there is of the registry at `url`. What is over by `now` is left out.
    ///
    /// # Errors
    ///
    /// When the journal cannot be read.
    pub async fn read<S: JournalStore>(
        journal: &Journal<S>,
        url: &str,
        now: Time,
    ) -> Result<Self, JournalError> {
        let mut chronicle = Self {
            url: url.to_owned(),
            ..Self::default()
        };
        chronicle.read_new(journal, now).await?;
        Ok(chronicle)
    }

    /// Reads the runs that began since.
    pub(crate) async fn read_new<S: JournalStore>(
        &mut self,
        journal: &Journal<S>,
        now: Time,
    ) -> Result<(), JournalError> {
        let mut turns = Turns::default();
        let mut unsettled = BTreeSet::new();
        for sequence in journal.store().open_entries().await? {
            unsettled.extend(journal.store().entry(sequence).await?.map(|(run, _)| run));
        }
        for run in journal.store().runs().await? {
            if self.runs.contains_key(&run) || self.foreign.contains(&run) {
                continue;
            }
            turns.next().await;
            let Some(head) = Head::read(journal, run, &self.url).await? else {
                self.foreign.insert(run);
                continue;
            };
            let mut here = RunHere {
                is_open: head.end.is_none() || unsettled.contains(&run),
                ..RunHere::new(head.purpose, head.pass)
            };
            if here.is_open || is_needed(&here.purpose, head.end.as_ref(), now) {
                here.read_on(journal, run, &mut turns).await?;
            } else {
                here.end = head.end;
            }
            self.runs.insert(run, here);
        }
        Ok(())
    }

    /// Reads what was added to a run that is read whole.
    pub(crate) async fn read_on<S: JournalStore>(
        &mut self,
        journal: &Journal<S>,
        run: RunId,
    ) -> Result<(), JournalError> {
        match self.runs.get_mut(&run) {
            Some(here) => here.read_on(journal, run, &mut Turns::default()).await,
            None => Ok(()),
        }
    }

    /// A run on this registry.
    pub(crate) fn run(&self, run: RunId) -> Option<&RunHere> {
        self.runs.get(&run)
    }

    /// The runs on this registry, the oldest first.
    pub(crate) fn runs(&self) -> impl Iterator<Item = (RunId, &RunHere)> {
        self.runs.iter().map(|(run, here)| (*run, here))
    }

    /// What was put back and is held, and where copies are.
    #[must_use]
    pub fn holds(&self, now: Time) -> Holds {
        let mut held: HashMap<RepositoryName, HashMap<Digest, Hold>> = HashMap::new();
        for ((repository, digest), hold) in self.runs.values().flat_map(|here| &here.holds) {
            if hold.until > now {
                let of_repository = held.entry(repository.clone()).or_default();
                let known = of_repository.entry(digest.clone()).or_insert(*hold);
                known.until = hold.until.max(known.until);
                known.is_index |= hold.is_index;
            }
        }
        Holds::new(held, self.copies().into_keys().collect())
    }

    /// What the last completed runs on this registry deleted, for [`Approval::after`](crate::Approval::after).
    ///
    /// A run that was stopped, or was interrupted and resolved later, is not completed.
    /// A full pass and those that go on with it are one run, the newer the later the last of them ended.
    #[must_use]
    pub fn history(&self) -> RunHistory {
        self.history_besides(None).0
    }

    /// The same for a run that goes on with the full pass that began at `pass`: what other runs did, and for
    /// [`Approval::besides`](crate::Approval::besides) what this one did so far.
    #[must_use]
    pub fn history_besides(&self, pass: Option<Time>) -> (RunHistory, u64) {
        let ends = self.runs.values().rev().filter_map(|run| match run.purpose {
            Purpose::Apply { .. } => {
                let end = run.end.as_ref().filter(|end| !end.stopped)?;
                Some((run.pass, end))
            }
            Purpose::Undo { .. } | Purpose::Purge | Purpose::Collect => None,
        });
        let of = |end: &End, result: DeleteResult| end.results.get(result.as_str()).copied().unwrap_or(0);
        let (mut runs, mut passes, mut so_far) = (Vec::new(), HashMap::new(), 0);
        for (of_pass, end) in ends {
            let done = of(end, DeleteResult::Deleted) + of(end, DeleteResult::Untagged);
            match of_pass {
                None => runs.push(done),
                Some(_) if of_pass == pass => so_far += done,
                Some(began) => match passes.get(&began) {
                    Some(at) => runs[*at] += done,
                    None => {
                        passes.insert(began, runs.len());
                        runs.push(done);
                    }
                },
            }
        }
        runs.truncate(RunHistory::RUNS);
        (RunHistory(runs), so_far)
    }

    /// What runs left below something that they deleted.
    pub(crate) fn left(&self) -> impl Iterator<Item = Sequence> {
        self.runs.values().flat_map(RunHere::left)
    }

    /// The copies on record that are not on record as purged.
    pub(crate) fn copies(&self) -> Copies {
        let mut copies = Copies::new();
        for (repository, tag, copy) in self.runs.values().flat_map(|here| &here.copies) {
            let of_repository = copies.entry(repository.clone()).or_default();
            of_repository.insert(tag.clone(), copy.clone());
        }
        for (repository, tags) in self.runs.values().flat_map(|here| &here.purged) {
            if let Some(of_repository) = copies.get_mut(repository) {
                for tag in tags {
                    of_repository.remove(tag);
                }
            }
        }
        copies.retain(|_, of_repository| !of_repository.is_empty());
        copies
    }
}

/// Whether something in a run that came to its end is asked for later.
fn is_needed(purpose: &Purpose, end: Option<&End>, now: Time) -> bool {
    let Some(end) = end else { return true };
    match purpose {
        Purpose::Apply { .. } => {
            let is_left = || end.results.contains_key(LEFT) && now - end.at <= LONGEST_LEFT + A_WRONG_CLOCK;
            end.results.contains_key(COPIES) || is_left()
        }
        Purpose::Purge => true,
        Purpose::Undo { .. } => now - end.at <= LONGEST_HOLD + A_WRONG_CLOCK,
        Purpose::Collect => false,
    }
}

/// By how much a clock may have been set back while something was put back.
const A_WRONG_CLOCK: TimeDelta = TimeDelta::days(1);

/// The first and the last record of a run.
struct Head {
    purpose: Purpose,
    /// The full pass that it is, or goes on with.
    pass: Option<Time>,
    /// What the last one says, if it is the end.
    end: Option<End>,
}

impl Head {
    /// `None` where the run is of another registry, or none.
    async fn read<S: JournalStore>(
        journal: &Journal<S>,
        run: RunId,
        url: &str,
    ) -> Result<Option<Self>, JournalError> {
        let Some((first, last)) = journal.store().bounds_of(run).await? else {
            return Ok(None);
        };
        let (_, Record::Begin(begin)) = journal.read(first).await? else {
            return Ok(None);
        };
        if begin.registry.url != url {
            return Ok(None);
        }
        let end = match journal.read(last).await?.1 {
            Record::End(end) => Some(end),
            _ => None,
        };
        Ok(Some(Self {
            purpose: begin.purpose,
            pass: begin.pass,
            end,
        }))
    }
}

/// The runs on the registry at `url`, and what they were for.
pub(crate) async fn purposes<S: JournalStore>(
    journal: &Journal<S>,
    url: &str,
) -> Result<BTreeMap<RunId, Purpose>, JournalError> {
    let mut turns = Turns::default();
    let mut purposes = BTreeMap::new();
    for run in journal.store().runs().await? {
        turns.next().await;
        if let Some((first, _)) = journal.store().bounds_of(run).await?
            && let (_, Record::Begin(begin)) = journal.read(first).await?
            && begin.registry.url == url
        {
            purposes.insert(run, begin.purpose);
        }
    }
    Ok(purposes)
}

/// A run on the registry.
#[derive(Debug)]
pub(crate) struct RunHere {
    pub purpose: Purpose,
    /// The full pass that it is, or goes on with.
    pass: Option<Time>,
    /// How it came to its end; `None` where it was interrupted, or something in it is not resolved.
    pub end: Option<End>,
    /// When what is in doubt was first seen to be there by somebody who had stopped sending.
    pub doubts: BTreeMap<Sequence, Time>,
    /// How many intents ended in each way, and how many copies are on record.
    pub results: BTreeMap<String, u64>,
    /// Whether it has no end, or something in it is not settled: then what it deleted is asked for.
    is_open: bool,
    read_to: Sequence,
    holds: Vec<((RepositoryName, Digest), Hold)>,
    copies: Vec<(RepositoryName, Tag, Copy)>,
    purged: Vec<(RepositoryName, Vec<Tag>)>,
    /// What was purged, as long as no outcome is on record.
    purging: BTreeMap<Sequence, (RepositoryName, Vec<Tag>)>,
    deletions: BTreeMap<Sequence, Deletion>,
    /// What something was put back of, or was to be.
    put_back: BTreeSet<Sequence>,
    below: Below,
}

#[derive(Debug)]
struct Deletion {
    repository: RepositoryName,
    digest: Digest,
    open: bool,
}

impl RunHere {
    fn new(purpose: Purpose, pass: Option<Time>) -> Self {
        Self {
            purpose,
            pass,
            end: None,
            doubts: BTreeMap::new(),
            results: BTreeMap::new(),
            is_open: false,
            read_to: Sequence(0),
            holds: Vec::new(),
            copies: Vec::new(),
            purged: Vec::new(),
            purging: BTreeMap::new(),
            deletions: BTreeMap::new(),
            put_back: BTreeSet::new(),
            below: Below::default(),
        }
    }

    /// What it left below something that it deleted.
    pub(crate) fn left(&self) -> impl Iterator<Item = Sequence> {
        self.below.left()
    }

    /// Whether something of what an intent took was put back, or was to be.
    pub(crate) fn is_put_back(&self, sequence: Sequence) -> bool {
        self.put_back.contains(&sequence)
    }

    /// What it deleted, by repository. What may still be deleted is among it.
    pub(crate) fn deleted(&self) -> BTreeMap<RepositoryName, DeletedHere> {
        let mut deleted: BTreeMap<RepositoryName, DeletedHere> = BTreeMap::new();
        for (sequence, deletion) in &self.deletions {
            let found = DeletedManifest {
                sequence: *sequence,
                open: deletion.open,
            };
            let of_repository = deleted.entry(deletion.repository.clone()).or_default();
            of_repository.insert(deletion.digest.clone(), found);
        }
        deleted
    }

    async fn read_on<S: JournalStore>(
        &mut self,
        journal: &Journal<S>,
        run: RunId,
        turns: &mut Turns,
    ) -> Result<(), JournalError> {
        for sequence in journal.store().entries_of(run).await? {
            if sequence > self.read_to {
                turns.next().await;
                self.add(sequence, journal.read(sequence).await?.1);
                self.read_to = sequence;
            }
        }
        Ok(())
    }

    /// What a record adds to what is known.
    fn add(&mut self, sequence: Sequence, record: Record) {
        match record {
            Record::Delete(intent) => {
                if matches!(self.purpose, Purpose::Apply { .. }) {
                    self.below.begin(sequence, &intent);
                }
                if self.is_open {
                    let deletion = Deletion {
                        repository: intent.repository.clone(),
                        digest: intent.digest,
                        open: true,
                    };
                    self.deletions.insert(sequence, deletion);
                }
                if matches!(self.purpose, Purpose::Purge) {
                    self.purging.insert(sequence, (intent.repository, intent.tags));
                }
            }
            Record::Restore(intent) => {
                if self.is_open {
                    self.put_back.insert(intent.deletion);
                }
                // Only who undoes holds what he puts back. An intent counts, whatever became of it.
                if let (Some(until), Purpose::Undo { .. }) = (intent.hold_until, &self.purpose) {
                    let about = (intent.repository.clone(), intent.digest.clone());
                    let is_index = intent.media_type.is_index();
                    self.holds.push((about, Hold { until, is_index }));
                }
                if let Some(until) = intent.held_until {
                    self.count(COPIES);
                    for tag in intent.tags {
                        let copy = Copy {
                            digest: intent.digest.clone(),
                            media_type: intent.media_type.clone(),
                            until,
                        };
                        self.copies.push((intent.repository.clone(), tag, copy));
                    }
                }
            }
            Record::Outcome(outcome) => {
                self.count(outcome.result.as_str());
                self.below.end(&outcome);
                let purging = self.purging.remove(&outcome.intent);
                if outcome.result == DeleteResult::Deleted {
                    self.purged.extend(purging);
                    if let Some(deletion) = self.deletions.get_mut(&outcome.intent) {
                        deletion.open = false;
                    }
                } else {
                    self.deletions.remove(&outcome.intent);
                }
            }
            Record::Restored(outcome) => self.count(outcome.result.as_str()),
            Record::Doubt(doubt) => {
                self.doubts.entry(doubt.intent).or_insert(doubt.at);
            }
            // Recovery may add to a run after its end.
            Record::End(end) => self.end = Some(end),
            _ => {}
        }
    }

    fn count(&mut self, name: &str) {
        *self.results.entry(name.to_owned()).or_default() += 1;
    }
}
