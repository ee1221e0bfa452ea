//! A policy as a value: what a document says, after every check that needs no registry.

use std::fmt;
use std::sync::Arc;

use lagan_model::{Digest, RepositoryName};
use serde::{Deserialize, Serialize};

use crate::age::Age;
use crate::pattern::RepositoryPattern;
use crate::version::VersionTable;

mod grace;
mod keep;
mod limits;
mod protect;
mod rollout;
mod select;

pub use grace::{Grace, HoldingPattern, HoldingPatternError};
pub(crate) use keep::Bucket;
pub use keep::{Clock, Keep, KeepLine, Order, Per, Period, Timezone};
pub use limits::{LimitOverride, Limits, OverrideError};
pub use protect::{Protection, ProtectionPattern};
pub use rollout::{Place, Rollout, Share, ShareError, Stages, StagesError};
pub use select::{DEFAULT_MIN_AGE, Labels, Select};

/// The name of a policy, as the configuration gives it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PolicyName(pub Arc<str>);

impl fmt::Display for PolicyName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<&str> for PolicyName {
    fn from(name: &str) -> Self {
        Self(name.into())
    }
}

/// All policies of a registry, and the words by which they read tags.
#[derive(Debug, Clone, Default)]
pub struct PolicySet {
    /// The policies, in the order of the document.
    pub policies: Vec<Policy>,
    /// The table of channels and variants.
    pub versions: VersionTable,
}

impl PolicySet {
    /// The policies that name a repository. All of them keep; those in `asked` make candidates as well.
    ///
    /// `None` where no policy that is asked for names the repository, and where it may be one that holds what was deleted
    /// elsewhere: then there is nothing to decide.
    #[must_use]
    pub fn of_repository<'a>(
        &'a self,
        repository: &RepositoryName,
        asked: &dyn Fn(&Policy) -> bool,
    ) -> Option<RepositoryPolicies<'a>> {
        let policies: Vec<_> = self
            .policies
            .iter()
            .filter(|policy| policy.names(repository))
            .map(|policy| (policy, asked(policy)))
            .collect();
        // What is held is purged when its grace ends, and otherwise nobody's business.
        let mut graces = self.policies.iter().filter_map(|policy| policy.grace.as_ref());
        if graces.any(|grace| grace.repository.may_hold(repository)) {
            return None;
        }
        let any_asked = policies.iter().any(|(_, asked)| *asked);
        any_asked.then_some(RepositoryPolicies {
            policies,
            versions: &self.versions,
        })
    }
}

/// The policies that name one repository.
#[derive(Debug, Clone)]
pub struct RepositoryPolicies<'a> {
    policies: Vec<(&'a Policy, bool)>,
    versions: &'a VersionTable,
}

impl<'a> RepositoryPolicies<'a> {
    /// The policies, each with whether it makes candidates (all of them keep).
    #[must_use]
    pub fn policies(&self) -> &[(&'a Policy, bool)] {
        &self.policies
    }

    /// The table of channels and variants.
    #[must_use]
    pub fn versions(&self) -> &'a VersionTable {
        self.versions
    }

    /// Whether any of them reads labels or annotations.
    #[must_use]
    pub fn read_labels(&self) -> bool {
        let protects = |policy: &Policy| {
            let labels = |entry: &Protection| matches!(entry.pattern, ProtectionPattern::Labels(_));
            policy.protect.iter().any(labels)
        };
        let selects = |policy: &Policy| policy.rules.iter().any(|rule| !rule.select.labels.is_empty());
        self.policies
            .iter()
            .any(|(policy, _)| protects(policy) || selects(policy))
    }

    /// Whether any of them protects by what names do not tell.
    #[must_use]
    pub fn protect_by_facts(&self) -> bool {
        self.policies.iter().any(|(policy, _)| policy.protects_by_facts())
    }

    /// Whether all of them let a tag be taken from an artifact that stays.
    #[must_use]
    pub fn may_untag(&self) -> bool {
        self.policies.iter().all(|(policy, _)| policy.untag)
    }

    /// The longest grace of all of them; of several that are as long, the first.
    #[must_use]
    pub fn grace(&self) -> Option<&'a Grace> {
        let graces = self
            .policies
            .iter()
            .filter_map(|(policy, _)| policy.grace.as_ref());
        graces.reduce(|longest, other| {
            if other.period.delta() > longest.period.delta() {
                other
            } else {
                longest
            }
        })
    }

    /// The longest notice of all of them.
    #[must_use]
    pub fn notice(&self) -> Option<&'a Age> {
        let notices = self.policies.iter();
        notices
            .filter_map(|(policy, _)| policy.notice.as_ref())
            .max_by_key(|notice| notice.delta())
    }

    /// What they are, as a hash: all that each of them says, and whether it makes candidates.
    #[must_use]
    #[expect(clippy::expect_used, reason = "these values hold no map")]
    pub fn identity(&self) -> Digest {
        let said =
            |(policy, asked): &(&Policy, bool)| (policy.name.clone(), policy.sha256(self.versions), *asked);
        let all: Vec<_> = self.policies.iter().map(said).collect();
        Digest::of(&serde_json::to_vec(&all).expect("texts have a JSON form"))
    }

    /// The strictest limits of all of them.
    #[must_use]
    pub fn limits(&self) -> Limits {
        self.policies
            .iter()
            .map(|(policy, _)| policy.limits.clone())
            .reduce(Limits::strictest)
            .unwrap_or_default()
    }
}

/// Whether a policy may delete.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mode {
    /// It reports.
    #[default]
    DryRun,
    /// It deletes, when applied.
    Enforce,
}

/// One policy: repositories, and what is kept in them.
///
/// The serialized form is the native one, the body of a policy as documents write it. Its name stands outside.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Policy {
    /// Its name.
    #[serde(skip)]
    pub name: PolicyName,
    /// The repositories that it names; at least one pattern.
    pub repositories: Vec<RepositoryPattern>,
    /// Exceptions to them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub exclude_repositories: Vec<RepositoryPattern>,
    /// Whether it may delete.
    pub mode: Mode,
    /// Its rules; at least one.
    pub rules: Vec<Rule>,
    /// What it protects, whatever the rules say.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub protect: Vec<Protection>,
    /// How much it may delete.
    pub limits: Limits,
    /// Where what is deleted is held before, and for how long.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub grace: Option<Grace>,
    /// For how long a deletion is announced before it may happen.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub notice: Option<Age>,
    /// In which shares of its repositories it may delete, one after the other; in all of them where this is not said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rollout: Option<Rollout>,
    /// Whether a tag may be taken from an artifact that stays, where the registry can do that. Else a tag goes only
    /// along with its whole artifact, whatever the other policies of the repository say.
    #[serde(skip_serializing_if = "is_default_untag")]
    pub untag: bool,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
fn is_default_untag(untag: &bool) -> bool {
    *untag
}

impl Policy {
    /// Whether it names a repository.
    #[must_use]
    pub fn names(&self, repository: &RepositoryName) -> bool {
        self.repositories
            .iter()
            .any(|pattern| pattern.matches(repository))
            && !self
                .exclude_repositories
                .iter()
                .any(|pattern| pattern.matches(repository))
    }

    /// The SHA-256 of this policy and of the words that were added to the table by which it reads tags, as 64
    /// hexadecimal digits: a saved plan is refused when this changed since it was made.
    ///
    /// The default words are not in it: they change with the program, whose version a plan names.
    #[must_use]
    #[expect(
        clippy::expect_used,
        reason = "these values hold no map with keys that are not texts"
    )]
    pub fn sha256(&self, versions: &VersionTable) -> String {
        let json =
            serde_json::to_vec(&(&self.name, self, versions.added())).expect("a policy has a JSON form");
        Digest::of(&json).encoded()
    }
}

/// One rule: what it selects, and what it keeps of that.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Rule {
    /// Its name, for reasons; unique in its policy.
    pub name: Arc<str>,
    /// What it selects.
    pub select: Select,
    /// What it keeps of what it selects.
    pub keep: Keep,
    /// Whether it may leave a repository empty. Without this, a rule that can is refused when it is read.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub allow_empty_repository: bool,
}

#[cfg(test)]
mod tests;
