//! Deciding a case, and comparing.

use lagan_policy::{Decision, PolicySet, Reason, Verdict};

use super::{Case, Expected, ExpectedReason, Mismatch, Outcome};
use crate::error::{ConfigError, ConfigErrors};

impl Case {
    /// Decides the case by these policies, all of which make candidates, and compares.
    ///
    /// # Errors
    ///
    /// When none of the policies names the repository of the case.
    pub fn run(&self, policies: &PolicySet) -> Result<Outcome, ConfigErrors> {
        let refused = |error: ConfigError| ConfigErrors {
            errors: vec![error],
            more: 0,
        };
        let naming = policies
            .of_repository(&self.repository, &|_| true)
            .ok_or_else(|| refused((*self.not_named).clone()))?;
        let Some((snapshot, decisions)) = self.world.decide(&naming, &self.repository, self.now) else {
            let mut error = (*self.not_named).clone();
            error.message =
                "the indexes or attachments of this case nest too deeply to be decided".to_owned();
            return Err(refused(error));
        };
        let mut mismatches: Vec<Mismatch> = self
            .expected
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
        Ok(Outcome {
            tags: decisions.tags.len(),
            mismatches,
            names: self
                .world
                .names
                .iter()
                .map(|(digest, name)| (digest.clone(), name.clone()))
                .collect(),
        })
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
