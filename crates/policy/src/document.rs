//! A policy as a value: what a document says, after every check that needs no registry.

use std::fmt;
use std::sync::Arc;

use chrono::NaiveDate;
use lagan_model::{Digest, RepositoryName};
use serde::{Deserialize, Serialize};

use crate::age::Age;
use crate::pattern::{RepositoryPattern, TagPattern, TagRegex};
use crate::version::{ChannelSet, VersionRequirement, VersionTable};

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
    /// `None` where no policy that is asked for names the repository: then there is nothing to decide.
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
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Policy {
    /// Its name.
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
        let json = serde_json::to_vec(&(self, versions.added())).expect("a policy has a JSON form");
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

/// The conditions of a selection: all that are given must hold; alternatives within one.
///
/// Attachments are never selected, whatever stands here.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Select {
    /// Globs, one of which must match.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<TagPattern>,
    /// Globs, none of which may match.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub exclude: Vec<TagPattern>,
    /// An expression that must match the whole tag.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub regex: Option<TagRegex>,
    /// Channels, one of which the tag must be in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub channel: Option<ChannelSet>,
    /// What the tag's version must satisfy.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<VersionRequirement>,
}

impl Select {
    /// Whether it says nothing that could select a tag: `exclude` alone only narrows.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.tags.is_empty() && self.regex.is_none() && self.channel.is_none() && self.version.is_none()
    }

    /// Whether tags that read as nothing known can be selected: only by glob or regex.
    #[must_use]
    pub fn reaches_unknown_tags(&self) -> bool {
        !self.tags.is_empty() || self.regex.is_some()
    }
}

/// What a rule keeps: lines that are alternatives. No line keeps nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Keep {
    /// The lines.
    pub lines: Vec<KeepLine>,
}

impl Keep {
    /// `keep: all`.
    #[must_use]
    pub fn all() -> Self {
        Self {
            lines: vec![KeepLine::All],
        }
    }

    /// `keep: none`.
    #[must_use]
    pub fn none() -> Self {
        Self::default()
    }

    /// Whether at least one artifact stays of whatever is selected, in any repository and at any time.
    #[must_use]
    pub fn always_leaves_one(&self) -> bool {
        self.lines.iter().any(|line| match line {
            KeepLine::All => true,
            KeepLine::Last { count, .. } => *count > 0,
            KeepLine::Within { .. } => false,
        })
    }
}

/// One line of `keep`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum KeepLine {
    /// All of it.
    All,
    /// The newest `count` distinct artifacts of each group.
    Last {
        /// How many.
        count: u32,
        /// What newest means.
        by: Order,
        /// What a group is.
        per: Per,
    },
    /// What is newer than `age` by a clock.
    Within {
        /// The clock.
        clock: Clock,
        /// The age.
        age: Age,
    },
}

/// A clock that a rule can read; see each registry for those that it has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Clock {
    /// When the tag, or its artifact, was last pushed.
    Pushed,
    /// When it was last pulled.
    Pulled,
    /// When its image was built.
    Created,
    /// When this program first saw this tag on this digest.
    Observed,
}

impl Clock {
    /// Every clock.
    pub const ALL: [Self; 4] = [Self::Pushed, Self::Pulled, Self::Created, Self::Observed];

    /// As documents write it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pushed => "pushed",
            Self::Pulled => "pulled",
            Self::Created => "created",
            Self::Observed => "observed",
        }
    }
}

impl Clock {
    /// Why no registry that is supported records this clock; `None` where one does. What a clock does not know is
    /// kept.
    #[must_use]
    pub fn unrecorded(self) -> Option<&'static str> {
        match self {
            Self::Created => None,
            Self::Pushed => Some("OCI registries do not record when something was pushed"),
            Self::Pulled => Some("OCI registries do not record when something was pulled"),
            Self::Observed => Some("there is no ledger of earlier runs to tell when a tag was first seen"),
        }
    }
}

impl fmt::Display for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What `last` orders by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Order {
    /// The version as the table of channels reads it.
    Version,
    /// Strict semver precedence.
    Semver,
    /// The tag, in natural order: digits count as numbers.
    Name,
    /// A clock.
    #[serde(untagged)]
    Clock(Clock),
}

impl Order {
    /// Every order.
    pub const ALL: [Self; 7] = [
        Self::Version,
        Self::Semver,
        Self::Clock(Clock::Pushed),
        Self::Clock(Clock::Pulled),
        Self::Clock(Clock::Created),
        Self::Clock(Clock::Observed),
        Self::Name,
    ];

    /// As documents write it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Version => "version",
            Self::Semver => "semver",
            Self::Name => "name",
            Self::Clock(clock) => clock.as_str(),
        }
    }

    /// The grouping where a document says none: versions of different variants do not compete.
    #[must_use]
    pub fn default_per(self) -> Per {
        match self {
            Self::Version | Self::Semver => Per::Variant,
            Self::Name | Self::Clock(_) => Per::Repository,
        }
    }
}

impl fmt::Display for Order {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What `last` counts within.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Per {
    /// The whole repository.
    Repository,
    /// Each channel.
    Channel,
    /// Each MAJOR.
    Major,
    /// Each MAJOR.MINOR.
    Minor,
    /// Each variant.
    Variant,
    /// Each text that a named group of the rule's `regex` captures.
    Capture(Arc<str>),
}

impl std::str::FromStr for Per {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Ok(match text {
            "repository" => Self::Repository,
            "channel" => Self::Channel,
            "major" => Self::Major,
            "minor" => Self::Minor,
            "variant" => Self::Variant,
            _ => match text.strip_prefix("capture:") {
                Some(group) if !group.is_empty() => Self::Capture(group.into()),
                _ => {
                    return Err(format!(
                        "{text:?} is none of repository, channel, major, minor, variant, capture:<name>"
                    ));
                }
            },
        })
    }
}

impl fmt::Display for Per {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Repository => f.write_str("repository"),
            Self::Channel => f.write_str("channel"),
            Self::Major => f.write_str("major"),
            Self::Minor => f.write_str("minor"),
            Self::Variant => f.write_str("variant"),
            Self::Capture(group) => write!(f, "capture:{group}"),
        }
    }
}

impl TryFrom<String> for Per {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<Per> for String {
    fn from(per: Per) -> Self {
        per.to_string()
    }
}

/// One entry of `protect`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Protection {
    /// What it protects.
    #[serde(flatten)]
    pub pattern: ProtectionPattern,
    /// The last day (UTC) on which it holds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub until: Option<NaiveDate>,
    /// Why, for reports.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub why: Option<Arc<str>>,
}

/// What an entry of `protect` matches tags by.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ProtectionPattern {
    /// Globs, one of which matches.
    Tags(Vec<TagPattern>),
    /// An expression that matches the whole tag.
    Regex(TagRegex),
    /// Channels, one of which the tag is in.
    Channel(ChannelSet),
}

/// How much may be deleted. Where several policies name a repository, the strictest holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Limits {
    /// Manifests and untags in one run; more refuses the whole run. `None`: off.
    pub max_deletions: Option<u64>,
    /// Of the tagged artifacts of a repository, attachments not counted, in percent (1 to 100); more holds back
    /// that repository. `None`: off.
    pub max_percent_per_repository: Option<u8>,
    /// How many tagged artifacts stay in a repository, attachments not counted; fewer holds back that repository.
    pub keep_at_least: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_deletions: Some(500),
            max_percent_per_repository: None,
            keep_at_least: 1,
        }
    }
}

impl Limits {
    /// The stricter of two, limit by limit.
    #[must_use]
    pub fn strictest(self, other: Self) -> Self {
        fn least<T: Ord>(a: Option<T>, b: Option<T>) -> Option<T> {
            match (a, b) {
                (Some(a), Some(b)) => Some(a.min(b)),
                (a, b) => a.or(b),
            }
        }
        Self {
            max_deletions: least(self.max_deletions, other.max_deletions),
            max_percent_per_repository: least(
                self.max_percent_per_repository,
                other.max_percent_per_repository,
            ),
            keep_at_least: self.keep_at_least.max(other.keep_at_least),
        }
    }
}

#[cfg(test)]
mod tests;
