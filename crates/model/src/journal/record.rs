//! What the journal says: a deletion before it happens, with all that undoing it needs, and what became of it.
//!
//! Records are JSON, so that an exported journal can be read without this program. Fields may be added; a reader
//! refuses a kind of record that it does not know.

use serde::{Deserialize, Serialize};

use super::id::{RunId, Sequence};
use crate::artifact::Blob;
use crate::clock::Time;
use crate::digest::Digest;
use crate::media_type::MediaType;
use crate::name::RepositoryName;
use crate::port::RegistryIdentity;
use crate::snapshot::RegistryLabel;
use crate::tag::Tag;

/// A record, by kind.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "record", rename_all = "snake_case")]
#[expect(
    clippy::large_enum_variant,
    reason = "records are read one at a time, and deletions are most of them"
)]
pub enum Record {
    /// A run begins.
    Begin(Begin),
    /// A manifest is about to be deleted.
    Delete(DeleteIntent),
    /// A tag is about to be taken off a manifest that stays.
    Untag(UntagIntent),
    /// What became of a deletion or an untagging.
    Outcome(Outcome),
    /// A deletion may still happen, although nobody waits for it any more.
    Doubt(Doubt),
    /// Something deleted is about to be put back.
    Restore(RestoreIntent),
    /// What became of putting it back.
    Restored(RestoreOutcome),
    /// A run ends. One without this record was interrupted.
    End(End),
}

/// The head of a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Begin {
    /// The run.
    pub run: RunId,
    /// What it does.
    pub purpose: Purpose,
    /// The registry that it works on.
    pub registry: RegistryIdentity,
    /// The policies that decided, by name and hash.
    pub policies: Vec<PolicyIdentity>,
    /// When it began.
    pub at: Time,
    /// Name and version of the program.
    pub program: String,
    /// What the registry told of its garbage collections; `None` of a registry that tells nothing of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub collections: Option<Collections>,
    /// When the full pass began that it is, or that it goes on with by what changed since: for limits, the runs of one are
    /// one. `None` of a run that stands alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pass: Option<Time>,
}

impl Begin {
    /// Whether it is a run that deletes.
    #[must_use]
    pub fn deletes(&self) -> bool {
        match self.purpose {
            Purpose::Apply { .. } | Purpose::Purge => true,
            Purpose::Undo { .. } | Purpose::Collect => false,
        }
    }
}

/// When a registry collects its garbage, as far as it told when a run began: until then a deletion can be undone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Collections {
    /// When the next collection is due; `None` where that is not known, or none is due.
    pub next: Option<Time>,
    /// What that depends on, or why it is not known.
    pub why: String,
    /// Every collection up to this number was over, and the next one has a greater number; `None` where that was not
    /// told.
    pub over: Option<i64>,
}

/// What a run is for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Purpose {
    /// Carrying out a plan.
    Apply {
        /// The plan's id.
        plan: String,
    },
    /// Putting back what other runs deleted.
    Undo {
        /// What was asked for, in the words of the command line.
        of: String,
    },
    /// Deleting what a holding repository held long enough.
    Purge,
    /// Having the registry collect its garbage, which takes the blobs of what was deleted before.
    Collect,
}

/// A policy as it was when it decided.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PolicyIdentity {
    /// Its name.
    pub name: String,
    /// The hash of all that decides in it.
    pub sha256: String,
}

/// What a manifest is to the unit that it is deleted with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// What the policy decided on; the first of its unit.
    Artifact,
    /// Listed by an index of the unit, and by nothing that stays.
    Child,
    /// Attached to something in the unit.
    Attachment,
}

/// A manifest that is about to be deleted, with what putting it back needs. Its bytes are a content of the journal,
/// stored under its digest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeleteIntent {
    /// The unit within the run: manifests that are deleted, and restored, together.
    pub unit: u64,
    /// What it is in its unit.
    pub role: Role,
    /// The repository.
    pub repository: RepositoryName,
    /// The manifest.
    pub digest: Digest,
    /// The Content-Type that it was served with, exactly.
    pub media_type: MediaType,
    /// Its size in bytes.
    pub size: u64,
    /// Every tag on it.
    pub tags: Vec<Tag>,
    /// The indexes that list it, deleted ones included.
    pub parents: Vec<Digest>,
    /// The manifests that it lists.
    pub children: Vec<Digest>,
    /// What it is attached to.
    pub subject: Option<Digest>,
    /// What is attached to it, however that was found out.
    pub attachments: Vec<Digest>,
    /// The blobs that it needs.
    pub blobs: Vec<Blob>,
    /// When it was last pushed, where the registry told.
    pub pushed: Option<Time>,
    /// When it was last pulled, where the registry told.
    pub pulled: Option<Time>,
    /// The registry's labels on it.
    pub labels: Vec<RegistryLabel>,
    /// Why it is deleted, as in the plan.
    pub reasons: serde_json::Value,
    /// Until when undoing is possible, as far as the registry tells.
    pub undo_until: Option<Time>,
    /// Where a copy is made before it is deleted; `None` where no policy asks for that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held: Option<Held>,
    /// When this was decided to be done.
    pub at: Time,
}

/// Where a copy of what is deleted is kept from garbage collections.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Held {
    /// The holding repository.
    pub repository: RepositoryName,
    /// From when on the copy may be deleted as well.
    pub until: Time,
}

/// A tag that is about to be taken off.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UntagIntent {
    /// The repository.
    pub repository: RepositoryName,
    /// The tag.
    pub tag: Tag,
    /// What it is on.
    pub digest: Digest,
    /// The other tags on the digest, one of which proves afterwards that it is still there.
    pub others: Vec<Tag>,
    /// Further tags on the digest that are to be taken off as well, and were not yet: they prove nothing, and come back with
    /// the others where the registry takes more than the tag.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub leaving: Vec<Tag>,
    /// The Content-Type of the manifest, whose bytes are a content of the journal: a registry that deletes more than
    /// it was asked to must not be the end of it.
    pub media_type: MediaType,
    /// Why, as in the plan.
    pub reasons: serde_json::Value,
    /// When this was decided to be done.
    pub at: Time,
}

/// What became of an intent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outcome {
    /// The intent's number.
    pub intent: Sequence,
    /// What became of it.
    pub result: DeleteResult,
    /// When that was known.
    pub at: Time,
}

/// What became of a deletion.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "result", rename_all = "snake_case")]
pub enum DeleteResult {
    /// It is gone, and was seen to be; or it is there again, without all of its tags, since somebody else pushed it.
    Deleted,
    /// The tag is gone, the manifest is there; both were seen.
    Untagged,
    /// Nothing was sent, or what was sent had no effect.
    Skipped {
        /// Why.
        why: Skip,
        /// In words, with names from outside in it.
        detail: String,
    },
    /// The registry refused or failed, and the manifest is still there.
    Failed {
        /// The request, and what it was answered.
        detail: String,
    },
}

/// Why a deletion did not happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Skip {
    /// Its tags are not those that were recorded.
    Changed,
    /// It was gone already.
    Gone,
    /// Something that stays lists it, or is attached to it.
    Referenced,
    /// Something before it in its unit was not deleted.
    Unit,
    /// The run was interrupted before anything was sent, as far as can be told.
    Interrupted,
    /// The run was asked to stop.
    Stopped,
    /// It is held: it was put back not long ago, say.
    Held,
    /// Too little would stay in the repository.
    KeepAtLeast,
    /// An earlier deletion of it may still happen.
    InDoubt,
    /// The plan is not the one that was approved.
    NotApproved,
    /// The repository could not be read whole.
    Incomplete,
    /// Its copy could not be made in the holding repository.
    NotHeld,
    /// It, or something in its unit, has not been announced for long enough.
    Notice,
    /// The rollout of a policy does not take its repository yet.
    Rollout,
}

/// A deletion whose answer was lost: the manifest was still there afterwards, and may be deleted late.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Doubt {
    /// The intent's number.
    pub intent: Sequence,
    /// When the manifest was seen, after the request can have been sent for the last time.
    pub at: Time,
    /// What was sent, and how its answer was lost, where that is known.
    pub detail: String,
}

/// A manifest that is about to be put back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RestoreIntent {
    /// The deletion that is undone.
    pub deletion: Sequence,
    /// The repository.
    pub repository: RepositoryName,
    /// The manifest.
    pub digest: Digest,
    /// The Content-Type to put it back with.
    pub media_type: MediaType,
    /// The tags to put back on it.
    pub tags: Vec<Tag>,
    /// Until when it must not be deleted again: its push time is new, or its rank unchanged, and the policy that
    /// deleted it would take it at the next run.
    pub hold_until: Option<Time>,
    /// Where this is no restoration, but a copy in a holding repository, made before the deletion: from when on it may
    /// be deleted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held_until: Option<Time>,
    /// When this was decided to be done.
    pub at: Time,
}

/// What became of putting something back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RestoreOutcome {
    /// The intent's number.
    pub intent: Sequence,
    /// What became of it.
    pub result: RestoreResult,
    /// When that was known.
    pub at: Time,
}

/// What became of putting a manifest and its tags back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "result", rename_all = "snake_case")]
pub enum RestoreResult {
    /// It was read back byte for byte, and its tags are on it.
    Restored,
    /// It was there, byte for byte, with all its tags.
    AlreadyThere,
    /// It is there, and these tags are on something else, which was left alone.
    Conflict {
        /// The tags, and what they are on.
        tags: Vec<(Tag, Digest)>,
    },
    /// It cannot be put back.
    Unrecoverable {
        /// Why: the blobs that are gone, say.
        why: String,
    },
    /// The registry refused or failed; trying again may help.
    Failed {
        /// The request, and what it was answered.
        detail: String,
    },
}

/// The end of a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct End {
    /// When it ended.
    pub at: Time,
    /// How many of its intents ended in each way, by the name of the result.
    pub results: std::collections::BTreeMap<String, u64>,
    /// Whether it was stopped before its end.
    pub stopped: bool,
}

impl DeleteResult {
    /// The name that reports and records use.
    #[must_use]
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Deleted => "deleted",
            Self::Untagged => "untagged",
            Self::Skipped { .. } => "skipped",
            Self::Failed { .. } => "failed",
        }
    }
}

impl RestoreResult {
    /// The name that reports and records use.
    #[must_use]
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Restored => "restored",
            Self::AlreadyThere => "already_there",
            Self::Conflict { .. } => "conflict",
            Self::Unrecoverable { .. } => "unrecoverable",
            Self::Failed { .. } => "failed",
        }
    }
}
