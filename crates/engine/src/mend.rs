//! After the last deletion in a repository: what was pushed meanwhile may need what was deleted.
//!
//! A registry has no lock. An index that somebody pushed after the repository was read can list a child that was
//! deleted since; such children are put back.

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use lagan_model::journal::{
    DeleteIntent, DeleteResult, JournalError, JournalStore, Outcome, Record, RestoreIntent, RestoreOutcome,
    RestoreResult, RunId, Sequence,
};
use lagan_model::{
    Artifact, Clock, Digest, Failure, NodeId, Reference, RegistryError, RegistryWrite, RepositoryName, Tag,
};

use crate::apply::reading::{Reader, Reading};
use crate::holding::{bring, to_bring};
use crate::recover::Others;
use crate::restore::{collected, put_exact};
use crate::run::Mended;
use crate::world::World;

/// What a run deleted in one repository, or may have: each manifest by its digest.
pub(crate) type DeletedHere = BTreeMap<Digest, DeletedManifest>;

/// A deletion on record.
#[derive(Debug, Clone, Copy)]
pub(crate) struct DeletedManifest {
    pub sequence: Sequence,
    /// Whether nobody knows yet if it happened.
    pub open: bool,
}

/// What came of looking after a repository.
#[derive(Default)]
pub(crate) struct Mending {
    /// What was found to be needed and away, and whether it is back; also where the rest was not come to.
    pub mended: Vec<Mended>,
    /// The first of what hindered it.
    pub problem: Option<MendError>,
}

impl Mending {
    fn hindered(&mut self, error: RegistryError) {
        self.problem.get_or_insert(MendError::Registry(error));
    }
}

/// Why a repository could not be looked after, or not all of it.
pub(crate) enum MendError {
    /// Nothing more may be changed.
    Journal(JournalError),
    /// The repository could not be read, or something in it.
    Registry(RegistryError),
}

impl From<JournalError> for MendError {
    fn from(error: JournalError) -> Self {
        Self::Journal(error)
    }
}

impl From<RegistryError> for MendError {
    fn from(error: RegistryError) -> Self {
        Self::Registry(error)
    }
}

/// Reads a repository once more, and puts back what tags that are there now need. What is put back may list what
/// `others` deleted since. What cannot be read hinders nothing else.
pub(crate) async fn mend<R: RegistryWrite, S: JournalStore, C: Clock>(
    world: World<'_, R, S, C>,
    run: RunId,
    repository: &RepositoryName,
    deleted: &DeletedHere,
    others: Option<&mut Others<'_>>,
) -> Mending {
    let mut mending = Mending::default();
    if deleted.is_empty() {
        return mending;
    }
    let done = match all_needed(world, repository, deleted, others, &mut mending).await {
        Ok(needed) => put_back_all(world, run, needed, &mut mending.mended)
            .await
            .map_err(MendError::Journal),
        Err(error) => Err(error),
    };
    if let Err(error) = done {
        // A journal that fails ends it, whatever else hindered it before.
        mending.problem = Some(error);
    }
    mending
}

/// A deletion that has to be made good, and a tag that leads to what needs it.
type Needed = (DeletedManifest, DeleteIntent, Tag);

/// What tags that are there now need of what was deleted, and what that needs in turn; what lies below comes first.
async fn all_needed<R: RegistryWrite, S: JournalStore, C: Clock>(
    world: World<'_, R, S, C>,
    repository: &RepositoryName,
    deleted: &DeletedHere,
    mut others: Option<&mut Others<'_>>,
    mending: &mut Mending,
) -> Result<Vec<Needed>, MendError> {
    let nothing = BTreeSet::new();
    let reader = Reader::open(world.registry, repository, &nothing, world.clock.now()).await?;
    let reading = reader.complete(&nothing).await?;
    let mut work: Vec<(Digest, Tag)> = needed(&reading, deleted).into_iter().collect();
    let mut needed: BTreeMap<Digest, Needed> = BTreeMap::new();
    let mut below: HashMap<Digest, Vec<Digest>> = HashMap::new();
    while let Some((digest, tag)) = work.pop() {
        if needed.contains_key(&digest) {
            continue;
        }
        let found = match (deleted.get(&digest), &mut others) {
            (Some(found), _) => Some(*found),
            (None, Some(others)) => others.deletion(world.journal, repository, &digest).await?,
            (None, None) => None,
        };
        let Some(found) = found else {
            // It may be there, and list what is gone: somebody pushed it again since it was read.
            if let Entry::Vacant(unread) = below.entry(digest) {
                let listed = listed(world.registry, repository, unread.key()).await;
                let listed = listed.unwrap_or_else(|error| {
                    // What else is known to be needed is put back all the same.
                    mending.hindered(error);
                    Vec::new()
                });
                work.extend(listed.iter().map(|child| (child.clone(), tag.clone())));
                unread.insert(listed);
            }
            continue;
        };
        let (_, Record::Delete(intent)) = world.journal.read(found.sequence).await? else {
            continue;
        };
        // What an index that is put back lists is needed as well.
        work.extend(intent.children.iter().map(|child| (child.clone(), tag.clone())));
        below.insert(digest.clone(), intent.children.clone());
        needed.insert(digest, (found, intent, tag));
    }
    Ok(from_below(needed, &below))
}

/// Each after what lies below it. Runs delete from above to below, but several runs may have deleted what belongs together.
fn from_below(mut needed: BTreeMap<Digest, Needed>, below: &HashMap<Digest, Vec<Digest>>) -> Vec<Needed> {
    let mut last_first: Vec<(Sequence, Digest)> = needed
        .iter()
        .map(|(digest, (found, ..))| (found.sequence, digest.clone()))
        .collect();
    last_first.sort_unstable();
    let mut ordered = Vec::new();
    let mut seen = HashSet::new();
    // Not by recursion: how deep indexes lie in indexes is the registry's say.
    let mut work: Vec<(Digest, bool)> = last_first
        .into_iter()
        .map(|(_, digest)| (digest, false))
        .collect();
    while let Some((digest, below_is_done)) = work.pop() {
        if below_is_done {
            ordered.extend(needed.remove(&digest));
        } else if seen.insert(digest.clone()) {
            let listed = below.get(&digest).into_iter().flatten();
            let listed: Vec<(Digest, bool)> = listed.map(|child| (child.clone(), false)).collect();
            work.push((digest, true));
            work.extend(listed);
        }
    }
    ordered
}

/// Puts back what is not there, in this order.
async fn put_back_all<R: RegistryWrite, S: JournalStore, C: Clock>(
    world: World<'_, R, S, C>,
    run: RunId,
    needed: Vec<Needed>,
    mended: &mut Vec<Mended>,
) -> Result<(), JournalError> {
    for (found, intent, needed_by) in needed {
        let reference = Reference::Digest(intent.digest.clone());
        let there = world.registry.resolve(&intent.repository, &reference).await;
        if matches!(there, Ok(Some(_))) {
            continue;
        }
        if let Err(error) = there {
            mended.push(Mended {
                digest: intent.digest,
                needed_by,
                failure: Some(format!("failed to look whether it is there: {error}")),
                forever: false,
            });
            continue;
        }
        if found.open {
            // It did happen. Once it is back, nobody could tell any more.
            let outcome = Outcome {
                intent: found.sequence,
                result: DeleteResult::Deleted,
                at: world.clock.now(),
            };
            world.journal.settle(run, outcome).await?;
        }
        let broken = mended
            .iter()
            .find(|child: &&Mended| child.failure.is_some() && intent.children.contains(&child.digest));
        let (failure, forever) = match broken {
            Some(child) => {
                let detail = format!("its child {} could not be put back", child.digest);
                (Some(detail), child.forever)
            }
            None => put_back(world, run, found.sequence, &intent).await?,
        };
        mended.push(Mended {
            digest: intent.digest.clone(),
            needed_by,
            failure,
            forever,
        });
    }
    Ok(())
}

/// What a manifest lists, if it is there.
async fn listed<R: RegistryWrite>(
    registry: &R,
    repository: &RepositoryName,
    digest: &Digest,
) -> Result<Vec<Digest>, RegistryError> {
    let reference = Reference::Digest(digest.clone());
    match registry.manifest(repository, &reference).await {
        Ok(manifest) => Ok(Artifact::from(&manifest)
            .children
            .into_iter()
            .map(|child| child.digest)
            .collect()),
        Err(error) if error.failure() == Failure::NotFound => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}

/// The deleted manifests that an index lists which is there now, each with a tag that leads to it.
fn needed(reading: &Reading, deleted: &DeletedHere) -> BTreeMap<Digest, Tag> {
    let mut needed = BTreeMap::new();
    let mut tags: Vec<(&Tag, &Digest)> = reading.tags.iter().collect();
    tags.sort_unstable();
    for (tag, digest) in tags {
        let mut seen = HashSet::new();
        let mut work: Vec<NodeId> = reading.node(digest).into_iter().collect();
        while let Some(node) = work.pop() {
            for child in reading.graph.children(node) {
                let digest = reading.graph.digest(*child);
                if deleted.contains_key(digest) {
                    needed.entry(digest.clone()).or_insert_with(|| tag.clone());
                }
                if seen.insert(*child) {
                    work.push(*child);
                }
            }
        }
    }
    needed
}

/// How it failed, and whether for ever.
async fn put_back<R: RegistryWrite, S: JournalStore, C: Clock>(
    world: World<'_, R, S, C>,
    run: RunId,
    deletion: Sequence,
    intent: &DeleteIntent,
) -> Result<(Option<String>, bool), JournalError> {
    let restore = RestoreIntent {
        deletion,
        repository: intent.repository.clone(),
        digest: intent.digest.clone(),
        media_type: intent.media_type.clone(),
        tags: Vec::new(),
        hold_until: None,
        held_until: None,
        at: world.clock.now(),
    };
    let recorded = world.journal.record_restore(run, restore).await?;
    let registry = world.registry;
    let held = intent.held.as_ref();
    let mut forever = false;
    let failure = match to_bring(registry, &intent.repository, &intent.blobs, held).await {
        Ok(Ok(blobs)) => match bring(registry, &recorded, &blobs, held).await {
            Ok(()) => put_exact(registry, &recorded).await.err().map(|not_put| {
                forever = not_put.forever;
                not_put.detail
            }),
            Err(detail) => Some(detail),
        },
        Ok(Err(blob)) => {
            forever = true;
            Some(collected(&blob))
        }
        Err(error) => Some(error.to_string()),
    };
    let result = match failure.clone() {
        None => RestoreResult::Restored,
        Some(why) if forever => RestoreResult::Unrecoverable { why },
        Some(detail) => RestoreResult::Failed { detail },
    };
    let outcome = RestoreOutcome {
        intent: recorded.sequence(),
        result,
        at: world.clock.now(),
    };
    world.journal.settle_restore(run, outcome).await?;
    Ok((failure, forever))
}
