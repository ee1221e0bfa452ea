//! Putting back what was deleted: children before their index, attachments after their subject, tags last.
//!
//! Nothing is believed: blobs are read before a manifest that needs them is put, the manifest is read back, and a tag
//! that is on something else by now is left there and reported.

mod history;
mod holds;
mod kept;
mod merge;
mod order;
mod restorer;

use chrono::TimeDelta;
use futures_util::{StreamExt, stream};
use lagan_model::journal::{Begin, End, JournalError, JournalStore, Role, RunId, Sequence};
use lagan_model::{Clock, Digest, Observer, RegistryWrite, RepositoryName, Tag};
use serde::Serialize;

pub use self::history::UndoTarget;
use self::history::choose;
pub(crate) use self::holds::Hold;
pub use self::holds::Holds;
use self::restorer::Restorer;
use crate::recover::LeftOut;
use crate::world::World;

/// How long what was put back is held, unless said otherwise.
pub const DEFAULT_HOLD: TimeDelta = TimeDelta::days(14);

/// How long it is held at most, whatever is said: of a run that ended longer ago nothing is held any more.
pub const LONGEST_HOLD: TimeDelta = TimeDelta::days(90);

/// What is to be undone, and how.
#[derive(Debug)]
pub struct UndoRequest<'a> {
    /// The head of the run.
    pub begin: Begin,
    /// What is to be put back.
    pub target: UndoTarget,
    /// Whether tags that are on something else by now are taken from there.
    pub overwrite_moved_tags: bool,
    /// How long what is put back is held; at most [`LONGEST_HOLD`].
    pub hold: TimeDelta,
    /// Whether only to look.
    pub dry_run: bool,
    /// What earlier deletions may still take.
    pub in_doubt: &'a LeftOut,
    /// How many repositories are worked on at the same time; at least 1.
    pub repositories_at_once: usize,
}

/// One repository of an undo.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RepositoryUndo {
    /// The repository.
    pub name: RepositoryName,
    /// What became of each manifest, in the order in which it was looked at.
    pub manifests: Vec<ManifestUndo>,
}

/// One manifest, or one tag that was taken off, of an undo.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ManifestUndo {
    /// The manifest.
    pub digest: Digest,
    /// What it was to what it was deleted with.
    pub role: Role,
    /// The artifact that it was deleted with, as its child or attachment, where that is put back as well.
    #[serde(skip)]
    pub belongs_to: Option<Digest>,
    /// The tags that it had, or the one that was taken off.
    pub tags: Vec<Tag>,
    /// The run that deleted it.
    pub deleted_by: RunId,
    /// The record of its deletion.
    pub deletion: Sequence,
    /// What it lists that is not there, and that no journal knows: it was gone before, or somebody else deleted it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub lacks: Vec<Digest>,
    /// What became of it. In a dry run: what would.
    #[serde(flatten)]
    pub outcome: UndoOutcome,
}

/// What became of putting something back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum UndoOutcome {
    /// It was read back byte for byte, and its tags are on it.
    Restored,
    /// It was there, with all its tags.
    AlreadyThere,
    /// It is there, and these tags are on something else.
    Conflict {
        /// The tags, and what they are on.
        tags: Vec<(Tag, Digest)>,
    },
    /// It cannot be put back.
    Unrecoverable {
        /// Why.
        why: String,
    },
    /// The registry refused or failed; trying again may help.
    Failed {
        /// The request, and what it was answered.
        detail: String,
    },
    /// A deletion of it may still happen: putting it back now would not last.
    InDoubt,
}

impl UndoOutcome {
    /// The name that reports use.
    #[must_use]
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Restored => "restored",
            Self::AlreadyThere => "already_there",
            Self::Conflict { .. } => "conflict",
            Self::Unrecoverable { .. } => "unrecoverable",
            Self::Failed { .. } => "failed",
            Self::InDoubt => "in_doubt",
        }
    }

    /// Whether the manifest is there now.
    #[must_use]
    pub fn is_there(&self) -> bool {
        matches!(self, Self::Restored | Self::AlreadyThere | Self::Conflict { .. })
    }
}

/// Puts back what the request names. A dry run looks, and changes nothing.
///
/// The report names everything that was chosen, also where the journal failed on the way: what was put back until then,
/// and what was not come to. It is empty where nothing was begun.
///
/// # Errors
///
/// When the journal cannot be read or written. What the registry refuses is in the report.
pub async fn undo<R: RegistryWrite, S: JournalStore, C: Clock>(
    world: World<'_, R, S, C>,
    request: &UndoRequest<'_>,
    observer: &impl Observer,
) -> (Vec<RepositoryUndo>, Result<(), JournalError>) {
    let chosen = match choose(world, &request.target).await {
        Ok(chosen) if chosen.is_empty() => return (Vec::new(), Ok(())),
        Ok(chosen) => chosen,
        Err(error) => return (Vec::new(), Err(error)),
    };
    if !request.dry_run
        && let Err(error) = world.journal.begin(request.begin.clone()).await
    {
        return (Vec::new(), Err(error));
    }
    observer.repositories_found(chosen.len());
    let done: Vec<(RepositoryUndo, Result<(), JournalError>)> = stream::iter(chosen)
        .map(|(name, mut chosen)| async move {
            let restorer = Restorer::new(world, request, &name);
            let (manifests, journal) = restorer.restore(&mut chosen, observer).await;
            if journal.is_err() {
                world.stop.request();
            }
            observer.repository_done(&name, true);
            (RepositoryUndo { name, manifests }, journal)
        })
        .buffered(request.repositories_at_once.max(1))
        .collect()
        .await;
    let (mut undone, mut journal) = (Vec::new(), Ok(()));
    for (repository, ended) in done {
        undone.push(repository);
        // The others ended all the same.
        journal = journal.and(ended);
    }
    if !request.dry_run && journal.is_ok() {
        let mut results = std::collections::BTreeMap::new();
        for manifest in undone.iter().flat_map(|repository| &repository.manifests) {
            *results.entry(manifest.outcome.as_str().to_owned()).or_default() += 1;
        }
        let end = End {
            at: world.clock.now(),
            results,
            stopped: world.stop.is_requested(),
        };
        journal = world.journal.end(request.begin.run, end).await;
    }
    (undone, journal)
}
