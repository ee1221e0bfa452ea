//! What a run did, as values that reports render.

use std::collections::BTreeMap;

use lagan_model::journal::{DeleteResult, Held, Role, Sequence, Skip};
use lagan_model::{Digest, RepositoryName, Tag};
use serde::Serialize;

/// One repository of a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RepositoryRun {
    /// The repository.
    pub name: RepositoryName,
    /// What became of each action of the plan, in its order.
    pub actions: Vec<ActionRun>,
    /// Manifests that were put back at the end, because something new needs them.
    pub mended: Vec<Mended>,
    /// How many copies in holding repositories are on record, whatever became of them.
    pub copies: u64,
    /// What went wrong with the repository as a whole.
    pub problem: Option<String>,
    /// Whether nothing is in doubt, it was read once more after the last deletion, and everything is back that
    /// something new needs. If not, the run has no end on record, and recovery goes on with it.
    pub looked_after: bool,
}

/// One action of a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ActionRun {
    /// `delete` or `untag`.
    pub action: &'static str,
    /// The artifact.
    pub digest: Digest,
    /// The tags that the plan says go.
    pub tags: Vec<Tag>,
    /// What became of each manifest: the artifact first.
    pub manifests: Vec<ManifestRun>,
}

impl ActionRun {
    /// How many manifests stayed although the artifact is gone.
    fn left(&self) -> u64 {
        let mut manifests = self.manifests.iter().map(|manifest| &manifest.outcome);
        if manifests.next() != Some(&ActionOutcome::Deleted) {
            return 0;
        }
        let stayed = |outcome: &&ActionOutcome| {
            let unit = matches!(outcome, ActionOutcome::Skipped { why: Skip::Unit, .. });
            unit || matches!(outcome, ActionOutcome::Failed { .. })
        };
        manifests.filter(stayed).count() as u64
    }
}

/// One manifest of an action.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ManifestRun {
    /// The manifest.
    pub digest: Digest,
    /// What it is to its action.
    pub role: Role,
    /// The tags that the plan says go with it, or the one that is taken off.
    pub tags: Vec<Tag>,
    /// Its record in the journal; `None` where it did not come to that.
    pub sequence: Option<Sequence>,
    /// Where a copy of it is held, and until when.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub held: Option<Held>,
    /// What became of it.
    #[serde(flatten)]
    pub outcome: ActionOutcome,
}

/// What became of a deletion or an untagging, as far as the run knows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum ActionOutcome {
    /// It is gone.
    Deleted,
    /// The tag is gone, the manifest stays.
    Untagged,
    /// It was left alone.
    Skipped {
        /// Why.
        why: Skip,
        /// In words; text from outside may be in it.
        detail: String,
    },
    /// The registry refused or failed, and it is still there.
    Failed {
        /// The request, and what it was answered.
        detail: String,
    },
    /// The answer was lost, and it may still happen.
    InDoubt {
        /// What is known.
        detail: String,
    },
}

impl ActionOutcome {
    /// The name that reports use.
    #[must_use]
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Deleted => "deleted",
            Self::Untagged => "untagged",
            Self::Skipped { .. } => "skipped",
            Self::Failed { .. } => "failed",
            Self::InDoubt { .. } => "in_doubt",
        }
    }
}

impl From<DeleteResult> for ActionOutcome {
    fn from(result: DeleteResult) -> Self {
        match result {
            DeleteResult::Deleted => Self::Deleted,
            DeleteResult::Untagged => Self::Untagged,
            DeleteResult::Skipped { why, detail } => Self::Skipped { why, detail },
            DeleteResult::Failed { detail } => Self::Failed { detail },
        }
    }
}

/// A manifest that was put back, because something new needs it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Mended {
    /// The manifest.
    pub digest: Digest,
    /// The tag that needs it.
    pub needed_by: Tag,
    /// Whether that worked; if not, how it failed.
    pub failure: Option<String>,
    /// Whether trying again cannot help: what it needs was collected, or deleted by others.
    #[serde(skip)]
    pub(crate) forever: bool,
}

/// Sums over a run.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct RunTotals {
    /// Repositories with actions.
    pub repositories: u64,
    /// Manifests and untags by the name of their outcome.
    pub outcomes: BTreeMap<&'static str, u64>,
    /// Copies in holding repositories that are on record, whatever became of them.
    pub copies: u64,
    /// Manifests that stayed although what they were below is gone.
    #[serde(skip)]
    pub(crate) left: u64,
    /// Manifests that were put back.
    pub mended: u64,
    /// Repositories with a problem as a whole, and manifests that could not be put back.
    pub problems: u64,
}

impl RunTotals {
    /// Adds a repository.
    pub fn add(&mut self, run: &RepositoryRun) {
        self.repositories += 1;
        for manifest in run.actions.iter().flat_map(|action| &action.manifests) {
            *self.outcomes.entry(manifest.outcome.as_str()).or_default() += 1;
        }
        self.left += run.actions.iter().map(ActionRun::left).sum::<u64>();
        let failed = run
            .mended
            .iter()
            .filter(|mended| mended.failure.is_some())
            .count() as u64;
        self.copies += run.copies;
        self.mended += run.mended.len() as u64 - failed;
        self.problems += failed + u64::from(run.problem.is_some());
    }

    /// How many ended so.
    #[must_use]
    pub fn of(&self, outcome: &str) -> u64 {
        self.outcomes.get(outcome).copied().unwrap_or(0)
    }
}
