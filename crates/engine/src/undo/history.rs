//! What was deleted, and not only tried: from the journal.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use lagan_model::journal::{
    DeleteIntent, DeleteResult, JournalError, JournalStore, Purpose, Record, RestoreIntent, RestoreOutcome,
    RestoreResult, Role, RunId, Sequence, UntagIntent,
};
use lagan_model::{Clock, Digest, Reference, RegistryWrite, RepositoryName, Tag, Time};

use crate::chronicle::purposes;
use crate::turns::Turns;
use crate::world::World;

/// What is to be put back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum UndoTarget {
    /// Everything that a run deleted.
    Run(RunId),
    /// One artifact, by a tag that was on it or by its digest, and what belongs to it.
    Artifact(RepositoryName, Reference),
    /// Everything that was deleted in a repository.
    Repository(RepositoryName),
    /// Everything that was deleted since a time.
    Since(Time),
}

/// A deletion on record.
#[derive(Debug, Clone)]
pub(crate) struct Deleted {
    pub sequence: Sequence,
    pub run: RunId,
    pub at: Time,
    pub intent: DeleteIntent,
}

/// An untagging on record.
#[derive(Debug, Clone)]
pub(crate) struct TakenOff {
    pub sequence: Sequence,
    pub run: RunId,
    pub at: Time,
    pub intent: UntagIntent,
    /// The tag; and those that the registry took with it, where the run could not put them back.
    pub tags: Vec<Tag>,
}

/// What was deleted in a repository, each manifest once: as it was deleted by what is to be undone, and else as it was
/// deleted last.
#[derive(Debug, Default)]
pub(crate) struct History {
    pub deleted: BTreeMap<Digest, Deleted>,
}

/// Every deletion on record in a repository: what was put back or pushed again may have been deleted again.
#[derive(Debug, Default)]
struct Deletions {
    deleted: BTreeMap<Digest, Vec<Deleted>>,
    taken_off: BTreeMap<Tag, Vec<TakenOff>>,
}

impl Deletions {
    /// What the target names of them, and the history that this makes.
    fn choose(mut self, target: &UndoTarget) -> Chosen {
        if let UndoTarget::Artifact(_, Reference::Tag(tag)) = target {
            self.forget_older(tag);
        }
        let mut chosen = Chosen::default();
        let mut digests = Vec::new();
        for (digest, deleted) in self.deleted {
            let (named, others): (Vec<_>, Vec<_>) = deleted
                .into_iter()
                .partition(|deleted| target.names_deletion(deleted));
            if !named.is_empty() {
                digests.push(digest.clone());
            }
            chosen
                .history
                .deleted
                .extend(as_one(named, others).map(|one| (digest, one)));
        }
        for (tag, taken) in self.taken_off {
            let named = taken.into_iter().filter(|taken| target.names_untagging(taken));
            let mut named: Vec<TakenOff> = named.collect();
            named.sort_by_key(|taken| taken.sequence);
            // It may have been taken off several manifests, and goes back on the last.
            for earlier in named.iter_mut().rev().skip(1) {
                earlier.tags.retain(|other| *other != tag);
            }
            named.retain(|taken| !taken.tags.is_empty());
            chosen.taken_off.extend(named);
        }
        for digest in digests {
            chosen.add(digest);
        }
        chosen
    }

    /// Many artifacts may have had a tag, one after the other: the last one is meant.
    fn forget_older(&mut self, tag: &Tag) {
        let has = |deleted: &Deleted| deleted.intent.tags.contains(tag);
        let deleted = self.deleted.values().flatten().filter(|deleted| has(deleted));
        let taken = self.taken_off.values().flatten();
        let taken = taken.filter(|taken| taken.tags.contains(tag));
        let last = deleted
            .map(|deleted| deleted.sequence)
            .chain(taken.map(|taken| taken.sequence))
            .max();
        for deleted in self.deleted.values_mut().flatten() {
            if Some(deleted.sequence) != last {
                deleted.intent.tags.retain(|other| other != tag);
            }
        }
        for taken in self.taken_off.values_mut().flatten() {
            if Some(taken.sequence) != last {
                taken.tags.retain(|other| other != tag);
            }
        }
    }
}

/// The deletions of a manifest that are to be undone as one, with the tags and labels of all of them; where none is, the
/// last one.
fn as_one(named: Vec<Deleted>, others: Vec<Deleted>) -> Option<Deleted> {
    let all = named.iter().chain(&others);
    // Any copy serves; the one that is kept the longest does so best.
    let held = all.filter_map(|deleted| deleted.intent.held.clone());
    let held = held.max_by_key(|held| held.until);
    let mut deletions = if named.is_empty() { others } else { named };
    deletions.sort_by_key(|deleted| deleted.sequence);
    let mut one = deletions.pop()?;
    one.intent.held = held;
    for Deleted { intent: earlier, .. } in deletions {
        let one = &mut one.intent;
        let tags = earlier.tags.into_iter().filter(|tag| !one.tags.contains(tag));
        let tags: Vec<Tag> = tags.collect();
        one.tags.extend(tags);
        let labels = earlier
            .labels
            .into_iter()
            .filter(|label| !one.labels.contains(label));
        let labels: Vec<_> = labels.collect();
        one.labels.extend(labels);
        let attached = earlier.attachments.into_iter();
        let attached: Vec<Digest> = attached
            .filter(|other| !one.attachments.contains(other))
            .collect();
        one.attachments.extend(attached);
    }
    one.intent.tags.sort_unstable();
    Some(one)
}

/// What is chosen of a repository's history.
#[derive(Debug, Default)]
pub(crate) struct Chosen {
    pub history: History,
    pub digests: BTreeSet<Digest>,
    pub taken_off: Vec<TakenOff>,
}

impl Chosen {
    /// Chooses a deleted manifest, what it lists, and what was attached to it and went with it.
    pub(crate) fn add(&mut self, digest: Digest) {
        let mut work = vec![digest];
        while let Some(digest) = work.pop() {
            let Some(deleted) = self.history.deleted.get(&digest) else {
                continue;
            };
            if self.digests.insert(digest) {
                work.extend(deleted.intent.children.iter().cloned());
                work.extend(deleted.intent.attachments.iter().cloned());
            }
        }
    }

    /// Of what was chosen as a child or an attachment: the artifact that it belongs to, the first of them where there are
    /// several.
    pub(crate) fn artifacts(&self) -> HashMap<&Digest, &Digest> {
        let chosen = |digest| {
            self.history
                .deleted
                .get(digest)
                .filter(|_| self.digests.contains(digest))
        };
        let mut artifacts = HashMap::new();
        let all = self.digests.iter().filter_map(chosen);
        for artifact in all.filter(|deleted| deleted.intent.role == Role::Artifact) {
            let mut work = vec![artifact];
            while let Some(deleted) = work.pop() {
                let intent = &deleted.intent;
                let below = intent.children.iter().chain(&intent.attachments);
                for below in below.filter_map(chosen) {
                    let digest = &below.intent.digest;
                    if below.intent.role != Role::Artifact && !artifacts.contains_key(digest) {
                        artifacts.insert(digest, &artifact.intent.digest);
                        work.push(below);
                    }
                }
            }
        }
        artifacts
    }
}

/// Chooses from the journal, by repository.
pub(crate) async fn choose<R: RegistryWrite, S: JournalStore, C: Clock>(
    world: World<'_, R, S, C>,
    target: &UndoTarget,
) -> Result<BTreeMap<RepositoryName, Chosen>, JournalError> {
    let mut chosen: BTreeMap<RepositoryName, Chosen> = BTreeMap::new();
    let here = purposes(world.journal, &world.registry.identity().url).await?;
    let named = repositories(world, target, &here).await?;
    for (repository, deletions) in deletions(world, target, &here, &named).await? {
        let of_repository = deletions.choose(target);
        if !of_repository.digests.is_empty() || !of_repository.taken_off.is_empty() {
            chosen.insert(repository, of_repository);
        }
    }
    Ok(chosen)
}

/// The repositories in which something may be chosen: the history of others is not kept in memory.
async fn repositories<R, S: JournalStore, C>(
    world: World<'_, R, S, C>,
    target: &UndoTarget,
    here: &BTreeMap<RunId, Purpose>,
) -> Result<BTreeSet<RepositoryName>, JournalError> {
    let runs: Vec<RunId> = match target {
        UndoTarget::Artifact(repository, _) | UndoTarget::Repository(repository) => {
            return Ok(BTreeSet::from([repository.clone()]));
        }
        UndoTarget::Run(run) => vec![*run],
        UndoTarget::Since(_) => here.keys().copied().collect(),
    };
    let mut turns = Turns::default();
    let mut named = BTreeSet::new();
    for run in runs {
        for sequence in world.journal.store().entries_of(run).await? {
            turns.next().await;
            match world.journal.read(sequence).await?.1 {
                Record::Delete(intent) => named.insert(intent.repository),
                Record::Untag(intent) => named.insert(intent.repository),
                _ => false,
            };
        }
    }
    Ok(named)
}

async fn deletions<R, S: JournalStore, C>(
    world: World<'_, R, S, C>,
    target: &UndoTarget,
    here: &BTreeMap<RunId, Purpose>,
    named: &BTreeSet<RepositoryName>,
) -> Result<BTreeMap<RepositoryName, Deletions>, JournalError> {
    let mut found: BTreeMap<RepositoryName, Deletions> = BTreeMap::new();
    let mut turns = Turns::default();
    for (run, purpose) in here {
        let run = *run;
        // What was purged was a copy: it comes back where that is asked for, and not with everything else.
        if matches!(purpose, Purpose::Purge) && !target.names_purge(run) {
            continue;
        }
        let mut deletions = BTreeMap::new();
        let mut untaggings = BTreeMap::new();
        let mut lost = Lost::default();
        for sequence in world.journal.store().entries_of(run).await? {
            turns.next().await;
            match world.journal.read(sequence).await?.1 {
                Record::Delete(intent) if named.contains(&intent.repository) => {
                    deletions.insert(sequence, intent);
                }
                Record::Untag(intent) if named.contains(&intent.repository) => {
                    untaggings.insert(sequence, intent);
                }
                Record::Restore(intent) if untaggings.contains_key(&intent.deletion) => {
                    lost.begin(sequence, intent);
                }
                Record::Restored(outcome) => lost.end(outcome),
                Record::Outcome(outcome) => match outcome.result {
                    DeleteResult::Deleted => {
                        let Some(intent) = deletions.remove(&outcome.intent) else {
                            continue;
                        };
                        let found = found.entry(intent.repository.clone()).or_default();
                        let deleted = Deleted {
                            sequence: outcome.intent,
                            run,
                            at: outcome.at,
                            intent,
                        };
                        let digest = deleted.intent.digest.clone();
                        found.deleted.entry(digest).or_default().push(deleted);
                    }
                    DeleteResult::Untagged | DeleteResult::Skipped { .. } | DeleteResult::Failed { .. } => {
                        let Some(intent) = untaggings.remove(&outcome.intent) else {
                            continue;
                        };
                        let went = outcome.result == DeleteResult::Untagged;
                        let with_it = lost.of(outcome.intent);
                        let tags: Vec<Tag> = went
                            .then(|| intent.tag.clone())
                            .into_iter()
                            .chain(with_it)
                            .collect();
                        if tags.is_empty() {
                            continue;
                        }
                        let found = found.entry(intent.repository.clone()).or_default();
                        let taken = TakenOff {
                            sequence: outcome.intent,
                            run,
                            at: outcome.at,
                            intent,
                            tags,
                        };
                        let tag = taken.intent.tag.clone();
                        found.taken_off.entry(tag).or_default().push(taken);
                    }
                },
                _ => {}
            }
        }
    }
    Ok(found)
}

/// The tags that a registry took with the one that it was asked for, and that the run or a recovery of it gave up to put
/// back. Both do so before they settle the untagging.
#[derive(Debug, Default)]
struct Lost {
    /// What is to be put back for an untagging, by its record.
    begun: BTreeMap<Sequence, RestoreIntent>,
    given_up: BTreeMap<Sequence, Vec<Tag>>,
}

impl Lost {
    fn begin(&mut self, sequence: Sequence, intent: RestoreIntent) {
        self.begun.insert(sequence, intent);
    }

    fn end(&mut self, outcome: RestoreOutcome) {
        let begun = self.begun.remove(&outcome.intent);
        if let (Some(begun), RestoreResult::Unrecoverable { .. }) = (begun, outcome.result) {
            self.given_up.insert(begun.deletion, begun.tags);
        }
    }

    fn of(&mut self, untagging: Sequence) -> Vec<Tag> {
        self.given_up.remove(&untagging).unwrap_or_default()
    }
}

impl UndoTarget {
    /// Whether a run that purged copies is meant.
    fn names_purge(&self, run: RunId) -> bool {
        match self {
            Self::Run(named) => *named == run,
            Self::Artifact(..) | Self::Repository(_) => true,
            Self::Since(_) => false,
        }
    }

    fn names_deletion(&self, deleted: &Deleted) -> bool {
        let intent = &deleted.intent;
        match self {
            Self::Run(run) => deleted.run == *run,
            Self::Repository(repository) => intent.repository == *repository,
            Self::Since(time) => deleted.at >= *time,
            Self::Artifact(repository, Reference::Digest(digest)) => {
                intent.repository == *repository && intent.digest == *digest
            }
            Self::Artifact(repository, Reference::Tag(tag)) => {
                intent.repository == *repository && intent.tags.contains(tag)
            }
        }
    }

    fn names_untagging(&self, taken: &TakenOff) -> bool {
        let intent = &taken.intent;
        match self {
            Self::Run(run) => taken.run == *run,
            Self::Repository(repository) => intent.repository == *repository,
            Self::Since(time) => taken.at >= *time,
            Self::Artifact(repository, Reference::Digest(digest)) => {
                intent.repository == *repository && intent.digest == *digest
            }
            Self::Artifact(repository, Reference::Tag(tag)) => {
                intent.repository == *repository && taken.tags.contains(tag)
            }
        }
    }
}
