//! The words of where a rollout stands, and of what changed in it.

use lagan_model::{RegistryIdentity, Time};
use lagan_policy::rollout::{Change, Standing, Tally};
use lagan_policy::{PolicyName, Share};
use lagan_report::sanitize::harmless;
use serde_json::{Value, json};

use crate::bans::shown;

/// What changed in the rollout of a policy, for whoever is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Changed {
    /// The registry, by name.
    pub(crate) registry: String,
    pub(crate) policy: PolicyName,
    pub(crate) change: Change,
    /// The stage that it is in since.
    stage: usize,
    of: usize,
    /// The share that is deleted from since; `None`: nothing is.
    share: Option<Share>,
    /// What had become of the deletions that ended it.
    failed: Option<Tally>,
    min_success: Share,
}

impl Changed {
    /// Of a rollout that stands there since.
    pub(crate) fn of(registry: &RegistryIdentity, standing: &Standing, change: Change) -> Self {
        Self {
            registry: registry.name.to_string(),
            policy: standing.policy.clone(),
            change,
            stage: standing.stage(),
            of: standing.rollout.stages.count(),
            share: standing.share(),
            failed: standing.record.fell_back.map(|fell_back| fell_back.tally),
            min_success: standing.rollout.min_success,
        }
    }

    /// The word of labels, events and files.
    pub(crate) fn word(&self) -> &'static str {
        match self.change {
            Change::Advanced => "advanced",
            Change::Completed => "completed",
            Change::FellBack => "fell_back",
        }
    }

    /// In words.
    pub(crate) fn text(&self) -> String {
        let Self { stage, of, .. } = self;
        let share = self.share.map(|share| share.to_string()).unwrap_or_default();
        match self.change {
            Change::Advanced => {
                format!("its rollout advanced to stage {stage} of {of}, {share} of its repositories")
            }
            Change::Completed => {
                format!("its rollout is complete: the last stage, {share} of its repositories, has held")
            }
            Change::FellBack => {
                let tally = self.failed.unwrap_or_default();
                format!(
                    "its rollout fell back to dry-run: in stage {stage} of {of} {} of {} deletions failed, where {} have \
                     to succeed; it begins anew when the policy is changed, or with `lagan rollout restart {}`",
                    tally.failed,
                    tally.tried(),
                    self.min_success,
                    harmless(&self.policy.0)
                )
            }
        }
    }

    /// Tells who waits, or reads logs.
    pub(crate) fn log(&self) {
        let (policy, text) = (harmless(&self.policy.0), self.text());
        match self.change {
            Change::Advanced | Change::Completed => tracing::info!("{policy}: {text}"),
            Change::FellBack => tracing::error!("{policy}: {text}"),
        }
    }

    /// For files and messages.
    pub(crate) fn to_json(&self) -> Value {
        json!({
            "registry": self.registry,
            "policy": self.policy,
            "change": self.word(),
            "stage": self.stage,
            "of": self.of,
            "share": self.share,
            "succeeded": self.failed.map(|tally| tally.succeeded),
            "failed": self.failed.map(|tally| tally.failed),
        })
    }
}

/// Where a rollout stands, in a few words.
pub(crate) fn said(standing: Option<&Standing>) -> String {
    let Some(standing) = standing else {
        return "not known: deletes nothing".to_owned();
    };
    let (stage, of) = (standing.stage(), standing.rollout.stages.count());
    match (standing.record.fell_back, standing.share()) {
        (None, Some(share)) if standing.is_complete() => format!("complete, {share} of its repositories"),
        (None, Some(share)) => format!("stage {stage} of {of}, {share} of its repositories"),
        (fell_back, _) => {
            let at: Option<Time> = fell_back.map(|fell_back| fell_back.at);
            format!("fell back to dry-run on {}", at.map(shown).unwrap_or_default())
        }
    }
}
