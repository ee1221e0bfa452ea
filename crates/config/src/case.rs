//! Cases for a policy: tags with facts, and what is to become of them.
//!
//! A file of cases stands beside a policy. Each case describes a repository as far as decisions depend on it, and is
//! decided by [`decide`](lagan_policy::decide()) itself, which is served the case's facts as a registry would serve
//! them. What a case does not say is not known, and what is not known is kept.

mod decode;
mod expected;
mod facts;
mod run;
mod times;
mod world;

use std::path::PathBuf;

use lagan_model::{Digest, RegistryName, RepositoryName, Tag, Time};
use lagan_policy::{Decision, Verdict};

pub(crate) use self::decode::{CASE, FILE};
use self::expected::Unlisted;
pub(crate) use self::expected::{EXPECT, REASON, UNLISTED, kinds};
pub(crate) use self::facts::{ARTIFACT, CAPABILITIES, TAG};
use self::world::World;
use crate::error::ConfigError;

/// The cases of a file.
#[derive(Debug, Clone)]
pub struct CaseFile {
    /// The policy, or the configuration, as it was written; relative to the file of cases.
    pub policy: PathBuf,
    /// The cases, in the order of the document; at least one.
    pub cases: Vec<Case>,
}

/// One case.
#[derive(Debug, Clone)]
pub struct Case {
    /// Its name, for reports.
    pub name: String,
    /// Where it begins, from 1.
    pub line: usize,
    /// The repository that it describes.
    pub repository: RepositoryName,
    /// The registry whose policies decide, where the configuration has several.
    pub registry: Option<RegistryName>,
    /// The time of the decision, where nothing is replayed.
    pub now: Time,
    /// The saved plan that the case replays, instead of describing a repository.
    pub from: Option<Replay>,
    pub(crate) world: World,
    expected: Vec<Expected>,
    unlisted: Unlisted,
    /// Said where no policy names the repository.
    not_named: Box<ConfigError>,
}

/// What a case replays.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Replay {
    /// The plan that `plan --save` wrote, as it was written; relative to the file of cases.
    pub plan: PathBuf,
    /// The time of the decision; the plan's own where the case does not say.
    pub now: Option<Time>,
}

/// What is to become of a tag.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expected {
    /// The tag.
    pub tag: Tag,
    /// Its fate.
    pub verdict: Verdict,
    /// Reasons, all of which must be among those of the decision.
    pub because: Vec<ExpectedReason>,
    /// Whether the case lists the tag, or it follows from what is said of those that are not listed.
    pub listed: bool,
}

/// A reason as a case names it; at least one of both is given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExpectedReason {
    /// Its kind, as `kind` has it in JSON.
    pub kind: Option<String>,
    /// The rule that it comes from.
    pub rule: Option<String>,
}

/// What came of a case.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// How many tags were decided.
    pub tags: usize,
    /// Those that were not decided as they should be, in the order of their bytes.
    pub mismatches: Vec<Mismatch>,
    /// What the case calls the artifacts.
    pub names: Vec<(Digest, String)>,
}

/// A tag that was not decided as it should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mismatch {
    /// What should have been.
    pub expected: Expected,
    /// What was decided.
    pub decision: Decision,
}
