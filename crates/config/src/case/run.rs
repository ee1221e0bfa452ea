//! Deciding a case, and comparing.

use lagan_model::{RepositorySnapshot, Tag};
use lagan_policy::{Decision, Decisions, PolicySet, Reason, Verdict};

use super::expected::Unlisted;
use super::{Case, Expected, ExpectedReason, Mismatch, Outcome};
use crate::error::ConfigErrors;
use crate::source::quoted;

impl Case {
    /// Decides the case by these policies, all of which make candidates, and compares.
    ///
    /// # Errors
    ///
    /// When none of the policies names the repository of the case.
    pub fn run(&self, policies: &PolicySet) -> Result<Outcome, ConfigErrors> {
        let naming = policies
            .of_repository(&self.repository, &|_| true)
            .ok_or_else(|| self.not_named())?;
        let Some((snapshot, decisions)) = self.world.decide(&naming, &self.repository, self.now) else {
            let why = "the indexes or attachments of this case nest too deeply to be decided";
            return Err(self.refused(why.to_owned()));
        };
        Ok(self.outcome(&self.expected, &snapshot, &decisions))
    }

    /// Compares with what was decided from the saved plan that the case replays.
    ///
    /// # Errors
    ///
    /// When the plan does not have a tag of which the case expects something, or has one that it had to list.
    pub fn compare(
        &self,
        snapshot: &RepositorySnapshot,
        decisions: &Decisions,
    ) -> Result<Outcome, ConfigErrors> {
        let mut expected = self.expected.clone();
        if let Some(missing) = expected
            .iter()
            .find(|expected| snapshot.position(&expected.tag).is_none())
        {
            let tag = quoted(missing.tag.as_str());
            return Err(self.refused(format!("the plan that the case replays has no tag {tag}")));
        }
        let others: Vec<&Tag> = snapshot
            .tags()
            .iter()
            .map(|listed| &listed.tag)
            .filter(|tag| self.expected.iter().all(|expected| expected.tag != **tag))
            .collect();
        match (self.unlisted, others.first()) {
            (Unlisted::Error, Some(other)) => {
                let tag = quoted(other.as_str());
                return Err(self.refused(format!("`expect` does not list {tag}, which the plan has")));
            }
            (Unlisted::Keep, _) => expected.extend(others.into_iter().cloned().map(Expected::stays)),
            _ => {}
        }
        Ok(self.outcome(&expected, snapshot, decisions))
    }

    /// What is said where no policy names the repository.
    #[must_use]
    pub fn not_named(&self) -> ConfigErrors {
        ConfigErrors {
            errors: vec![(*self.not_named).clone()],
            more: 0,
        }
    }

    fn refused(&self, why: String) -> ConfigErrors {
        let mut refusal = self.not_named();
        for error in &mut refusal.errors {
            error.message.clone_from(&why);
        }
        refusal
    }

    fn outcome(
        &self,
        expected: &[Expected],
        snapshot: &RepositorySnapshot,
        decisions: &Decisions,
    ) -> Outcome {
        let mut mismatches: Vec<Mismatch> = expected
            .iter()
            .filter_map(|expected| {
                let position = snapshot.position(&expected.tag)?;
                let decision = decisions.tags.get(position)?;
                (!is_met(expected, decision)).then(|| Mismatch {
                    expected: expected.clone(),
                    decision: decision.clone(),
                })
            })
            .collect();
        mismatches.sort_by(|a, b| a.expected.tag.cmp(&b.expected.tag));
        Outcome {
            tags: decisions.tags.len(),
            mismatches,
            names: self
                .world
                .names
                .iter()
                .map(|(digest, name)| (digest.clone(), name.clone()))
                .collect(),
        }
    }

    /// How many tags `expect` lists by this fate.
    #[must_use]
    pub fn expects(&self, verdict: Verdict) -> usize {
        let listed = self
            .expected
            .iter()
            .filter(|expected| expected.verdict == verdict && expected.listed);
        listed.count()
    }
}

impl Expected {
    /// What is expected of a tag that is not listed.
    pub(super) fn stays(tag: Tag) -> Self {
        Self {
            tag,
            verdict: Verdict::Keep,
            because: Vec::new(),
            listed: false,
        }
    }
}

fn is_met(expected: &Expected, decision: &Decision) -> bool {
    decision.verdict == expected.verdict
        && expected
            .because
            .iter()
            .all(|because| decision.reasons.iter().any(|reason| is_reason(because, reason)))
}

fn is_reason(expected: &ExpectedReason, reason: &Reason) -> bool {
    // As JSON has it, so that cases say what reports show.
    let Ok(shown) = serde_json::to_value(reason) else {
        return false;
    };
    let has = |key: &str, wanted: Option<&String>| {
        wanted.is_none_or(|wanted| shown.get(key).and_then(|value| value.as_str()) == Some(wanted))
    };
    has("kind", expected.kind.as_ref()) && has("rule", expected.rule.as_ref())
}
