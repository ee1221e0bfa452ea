//! What would be done in one repository, in the order in which it would be done.
//!
//! The serialized form of these types is the `repositories` part of `lagan.plan/v1`.

use lagan_model::{Digest, Incomplete, MediaType, RepositoryName, Tag, Time};
use serde::{Deserialize, Serialize};

use crate::age::Age;
use crate::document::{Grace, PolicyName};
use crate::notice::Waiting;
use crate::reason::{Reason, only_shares_digest};
use crate::rollout::RolloutNote;

/// One repository of a plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RepositoryPlan {
    /// The repository.
    pub name: RepositoryName,
    /// The policies that name it.
    pub policies: Vec<PolicyName>,
    /// Whether all that had to be read could be read. If not, there are no actions.
    pub complete: bool,
    /// How many tags were seen.
    pub tags_total: u64,
    /// What would be done, in this order: untags, indexes and images, children without a parent left; what is
    /// attached to an artifact goes with it.
    pub actions: Vec<Action>,
    /// Which of these wait until they have been announced for long enough, in their order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub waiting: Vec<Waiting>,
    /// What the rollout of its policies says of it; `None` where none of them is rolled out in stages. Where it is not
    /// taken yet, no action is carried out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rollout: Option<RolloutNote>,
    /// Every tag that stays, sorted by its bytes.
    pub kept: Vec<Kept>,
    /// What the registry lists without a tag, belongs to nothing else, and stays; in the order of digests. Empty
    /// where no rule selects what has no tag.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub kept_untagged: Vec<KeptUntagged>,
    /// Why nothing could be decided.
    pub incomplete: Option<Incomplete>,
    /// How many tagged artifacts there are that are not attachments: what the limits count.
    #[serde(skip)]
    pub tagged_artifacts: u64,
    /// How many of these would be deleted.
    #[serde(skip)]
    pub tagged_artifacts_deleted: u64,
    /// How many of the manifests that would be deleted were not read themselves ([`Depth::Enough`]).
    ///
    /// [`Depth::Enough`]: crate::Depth::Enough
    #[serde(skip)]
    pub deleted_unread: u64,
    /// What collecting the garbage would free, in bytes: blobs that no artifact of the repository needs that
    /// stays. `None` where nobody asked.
    #[serde(skip)]
    pub bytes_reclaimable: Option<u64>,
}

/// One step of a plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "action", rename_all = "snake_case")]
pub enum Action {
    /// Delete an artifact, with all its tags, the children that it alone lists, and what is attached to it.
    Delete {
        /// The artifact.
        digest: Digest,
        /// All its tags.
        tags: Vec<Tag>,
        /// What kind of manifest it is.
        media_type: Option<MediaType>,
        /// The size of the manifest, in bytes.
        size: Option<u64>,
        /// Untagged children that no remaining index lists, deleted after it.
        children: Vec<Dependent>,
        /// What is attached to it or to these children, deleted after them.
        attachments: Vec<Dependent>,
        /// Whether, and until when, it can be brought back.
        undo: Undo,
        /// Why.
        reasons: Vec<Reason>,
    },
    /// Take a tag off an artifact that stays.
    Untag {
        /// The tag.
        tag: Tag,
        /// The artifact.
        digest: Digest,
        /// Why.
        reasons: Vec<Reason>,
    },
}

/// A manifest that is deleted because another one is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dependent {
    /// The manifest.
    pub digest: Digest,
    /// Its tags: those of attachments name their subject; children listed here have none.
    pub tags: Vec<Tag>,
    /// What kind of manifest it is, where that was seen.
    pub media_type: Option<MediaType>,
    /// The size of the manifest, in bytes, where that was seen.
    pub size: Option<u64>,
}

/// Whether a deletion can be undone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Undo {
    /// Whether it can.
    pub possible: bool,
    /// Until when, where the registry tells.
    pub until: Option<Time>,
    /// What it depends on, or why not.
    pub why: Option<String>,
    /// Where a copy is made before the deletion, and how long it stays there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub holding: Option<Holding>,
}

/// A repository in which what is deleted is held for some time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holding {
    /// The repository.
    pub repository: RepositoryName,
    /// How long after the deletion.
    #[serde(rename = "for")]
    pub period: Age,
}

impl Undo {
    /// Possible until the registry collects its garbage, at a time that it does not tell.
    #[must_use]
    pub fn until_collection() -> Self {
        Self {
            possible: true,
            until: None,
            why: Some("until the registry's next garbage collection, whose time it does not tell".to_owned()),
            holding: None,
        }
    }

    /// Not to be counted on: an index lists what the registry does not have.
    #[must_use]
    pub fn without(child: &Digest) -> Self {
        Self {
            possible: false,
            until: None,
            why: Some(format!(
                "its child {child} is gone already: many registries take no index without everything that it lists"
            )),
            holding: None,
        }
    }

    /// Possible until the grace ends, whatever the registry collects: deleted at `now`, it is held until then.
    #[must_use]
    pub fn held(holding: Holding, now: Time) -> Self {
        Self {
            possible: true,
            until: now.checked_add_signed(holding.period.delta()),
            why: Some(format!(
                "it is held in {} for {}, and then until the registry's next garbage collection",
                holding.repository, holding.period
            )),
            holding: Some(holding),
        }
    }
}

/// A tag that stays.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kept {
    /// The tag.
    pub tag: Tag,
    /// What it is on; `None` where nobody had to ask.
    pub digest: Option<Digest>,
    /// Why: at least one reason that keeps. Reasons that would have deleted it stand behind those.
    pub reasons: Vec<Reason>,
}

/// An artifact without a tag that stays.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeptUntagged {
    /// The artifact.
    pub digest: Digest,
    /// Why: at least one reason that keeps. Reasons that would have deleted it stand behind those.
    pub reasons: Vec<Reason>,
}

/// Sums over the repositories of a plan.
///
/// `tags = delete_tags + untag + kept_tags`, always: tags of incomplete repositories are kept.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Totals {
    /// Repositories that a policy names.
    pub repositories: u64,
    /// Tags seen in them.
    pub tags: u64,
    /// Manifests that would be deleted: artifacts, children and attachments.
    pub delete_artifacts: u64,
    /// How many of these were not read themselves: what names them says that they are there. Reading them can only
    /// keep more. Left out where there are none.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub delete_unread: u64,
    /// Tags that would go with them.
    pub delete_tags: u64,
    /// Tags that would be taken off artifacts that stay.
    pub untag: u64,
    /// How many of the actions wait until they have been announced for long enough. Left out where there are none.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub waiting: u64,
    /// How many of the actions are in repositories that the rollout of a policy does not take yet. Left out where there
    /// are none.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub not_rolled_out: u64,
    /// Tags that stay.
    pub kept_tags: u64,
    /// Those of them that stay only because they share their digest with a kept tag, and the registry is not known to
    /// delete single tags.
    #[serde(default)]
    pub kept_for_shared_digest: u64,
    /// Repositories about which nothing could be decided.
    pub incomplete_repositories: u64,
    /// What collecting the garbage would free, in bytes; `None` where nobody asked, or where a repository is
    /// incomplete.
    pub bytes_reclaimable: Option<u64>,
}

fn is_zero(count: &u64) -> bool {
    *count == 0
}

impl Totals {
    /// Sums for a plan that does, or does not, count reclaimable bytes.
    #[must_use]
    pub fn new(bytes: bool) -> Self {
        Self {
            bytes_reclaimable: bytes.then_some(0),
            ..Self::default()
        }
    }

    /// Adds a repository.
    pub fn add(&mut self, plan: &RepositoryPlan) {
        self.repositories += 1;
        self.tags += plan.tags_total;
        let mut gone = 0;
        for action in &plan.actions {
            match action {
                Action::Untag { .. } => {
                    self.untag += 1;
                    gone += 1;
                }
                Action::Delete { .. } => {
                    self.delete_artifacts += action.manifests();
                    self.delete_tags += action.tags();
                    gone += action.tags();
                }
            }
        }
        self.waiting += plan.waiting.len() as u64;
        if plan.is_held_by_rollout() {
            self.not_rolled_out += plan.actions.len() as u64;
        }
        self.delete_unread += plan.deleted_unread;
        self.kept_tags += plan.tags_total.saturating_sub(gone);
        let shared = plan.kept.iter().filter(|kept| only_shares_digest(&kept.reasons));
        self.kept_for_shared_digest += shared.count() as u64;
        self.incomplete_repositories += u64::from(!plan.complete);
        self.bytes_reclaimable = match (self.bytes_reclaimable, plan.bytes_reclaimable) {
            (Some(sum), Some(bytes)) => Some(sum + bytes),
            _ => None,
        };
    }
}

impl Action {
    /// How many manifests it deletes.
    #[must_use]
    pub fn manifests(&self) -> u64 {
        match self {
            Self::Delete {
                children,
                attachments,
                ..
            } => 1 + (children.len() + attachments.len()) as u64,
            Self::Untag { .. } => 0,
        }
    }

    /// How many tags it removes.
    #[must_use]
    pub fn tags(&self) -> u64 {
        match self {
            Self::Delete {
                tags,
                children,
                attachments,
                ..
            } => {
                let dependents = children.iter().chain(attachments);
                (tags.len() + dependents.map(|dependent| dependent.tags.len()).sum::<usize>()) as u64
            }
            Self::Untag { .. } => 1,
        }
    }

    /// Why it is done.
    #[must_use]
    pub fn reasons(&self) -> &[Reason] {
        match self {
            Self::Delete { reasons, .. } | Self::Untag { reasons, .. } => reasons,
        }
    }
}

impl RepositoryPlan {
    /// What would be done, each with what it waits for.
    pub fn steps(&self) -> impl Iterator<Item = (&Action, Option<&Waiting>)> {
        let steps = self.actions.iter().enumerate();
        steps.map(|(position, action)| (action, Waiting::at(&self.waiting, position)))
    }

    /// Whether nothing is carried out here, because the rollout of a policy does not take it yet.
    #[must_use]
    pub fn is_held_by_rollout(&self) -> bool {
        self.rollout.as_ref().is_some_and(|note| !note.taken)
    }

    /// A repository without a tag: there is nothing to delete, and nothing to read.
    #[must_use]
    pub fn untagged(name: RepositoryName, policies: Vec<PolicyName>) -> Self {
        Self {
            name,
            policies,
            complete: true,
            tags_total: 0,
            actions: Vec::new(),
            waiting: Vec::new(),
            rollout: None,
            kept: Vec::new(),
            kept_untagged: Vec::new(),
            incomplete: None,
            tagged_artifacts: 0,
            tagged_artifacts_deleted: 0,
            deleted_unread: 0,
            bytes_reclaimable: Some(0),
        }
    }

    /// The same, of a registry that tells more than [`Undo::until_collection`] says of what it can bring back.
    #[must_use]
    pub fn with_undo(mut self, told: &Undo) -> Self {
        for action in &mut self.actions {
            if let Action::Delete { undo, .. } = action
                && undo.possible
                && undo.holding.is_none()
            {
                told.clone_into(undo);
            }
        }
        self
    }

    /// The same, with everything held for a grace that goes. Where there is no name for the
    /// repository that would hold it, nothing goes.
    #[must_use]
    pub fn with_grace(mut self, grace: Option<&Grace>, now: Time) -> Self {
        let Some(grace) = grace.filter(|_| !self.actions.is_empty()) else {
            return self;
        };
        let Some(repository) = grace.repository.holding(&self.name) else {
            let why = format!(
                "what goes is to be held in {}, which is no name of a repository here: it would be too long",
                grace.repository
            );
            return Self::incomplete(self.name, self.policies, self.tags_total, Incomplete { why });
        };
        for action in &mut self.actions {
            if let Action::Delete { undo, .. } = action {
                let holding = Holding {
                    repository: repository.clone(),
                    period: grace.period.clone(),
                };
                if undo.possible {
                    *undo = Undo::held(holding, now);
                } else {
                    // What of it there is, and a registry may take it all the same.
                    undo.holding = Some(holding);
                }
            }
        }
        self
    }

    /// A repository about which nothing is decided: every tag that was seen stays.
    #[must_use]
    pub fn incomplete(
        name: RepositoryName,
        policies: Vec<PolicyName>,
        tags_total: u64,
        incomplete: Incomplete,
    ) -> Self {
        Self {
            name,
            policies,
            complete: false,
            tags_total,
            actions: Vec::new(),
            waiting: Vec::new(),
            rollout: None,
            kept: Vec::new(),
            kept_untagged: Vec::new(),
            incomplete: Some(incomplete),
            tagged_artifacts: 0,
            tagged_artifacts_deleted: 0,
            deleted_unread: 0,
            bytes_reclaimable: None,
        }
    }
}
