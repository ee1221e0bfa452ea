//! Why one tag is kept or deleted: everything that the decision knew.

use std::io::{self, Write};

use lagan_model::{Digest, Incomplete, RegistryIdentity, RepositoryName, Tag, Time};
use lagan_policy::{Mode, PolicyName, Reason, RolloutNote, TagReading};
use serde::Serialize;
use serde_json::Value;

mod json;
mod text;
mod trail;

#[cfg(test)]
mod tests;

/// All that is to be said of one tag.
#[derive(Debug, Clone)]
pub struct Explanation {
    /// The registry.
    pub registry: RegistryIdentity,
    /// The repository.
    pub repository: RepositoryName,
    /// The tag.
    pub tag: Tag,
    /// What it is on; `None` where nobody had to ask.
    pub digest: Option<Digest>,
    /// The time that the decision used.
    pub now: Time,
    /// How the tag's name reads.
    pub reading: TagReading,
    /// Every policy that names the repository, in the order of the document.
    pub policies: Vec<PolicyTrail>,
    /// What would become of the tag.
    pub verdict: Verdict,
    /// Why: those that keep first.
    pub reasons: Vec<Reason>,
    /// What its artifact hangs together with.
    pub relations: Relations,
    /// Why nothing is decided in the repository, if so; the tag is then kept.
    pub incomplete: Option<Incomplete>,
    /// What the rollout of a policy says of the repository; `None` where none is rolled out in stages. Of one that is not
    /// in its share it is not known whether it is the first of all, unless a plan was replayed.
    pub rollout: Option<RolloutNote>,
    /// The plan that was replayed; `None` where a registry was asked.
    pub replayed: Option<Replayed>,
}

/// A policy that names the repository.
#[derive(Debug, Clone, PartialEq)]
pub struct PolicyTrail {
    /// The policy.
    pub name: PolicyName,
    /// Whether it may delete.
    pub mode: Mode,
    /// Whether it makes candidates here; otherwise it only keeps.
    pub asked: bool,
    /// Whether it lets a tag be taken from an artifact that stays.
    pub untag: bool,
    /// Its rules, in their order.
    pub rules: Vec<RuleTrail>,
}

/// A rule, and whether it selects the tag. What it then says of it stands among the reasons.
#[derive(Debug, Clone, PartialEq)]
pub struct RuleTrail {
    /// The rule.
    pub name: String,
    /// What it keeps of what it selects, in native form.
    pub keep: Value,
    /// Whether it selects the tag; `None` where that is not known.
    pub selected: Option<bool>,
    /// By which conditions, or by which it does not.
    pub why: String,
}

/// A saved plan whose decision was made again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Replayed {
    /// The plan.
    pub plan: String,
    /// When it was made.
    pub created: Time,
    /// What it recorded of the tag, where that is not what was decided now.
    pub recorded: Option<Recorded>,
    /// Whether something else in the repository is decided otherwise than recorded.
    pub others_differ: bool,
}

/// What a plan recorded of a tag.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Recorded {
    /// What would have become of it.
    pub verdict: Verdict,
    /// Why.
    pub reasons: Vec<Reason>,
}

/// What would become of a tag.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// It stays.
    Kept,
    /// It goes with its artifact.
    Deleted,
    /// It is taken off an artifact that stays.
    Untagged,
}

/// What a tag hangs together with in its repository: other tags of its artifact, and other artifacts.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Relations {
    /// The other tags on the same digest.
    pub same_digest: Vec<Tag>,
    /// What it lists, if it is an index.
    pub children: Vec<Related>,
    /// The indexes that list it.
    pub parents: Vec<Related>,
    /// What is attached to it.
    pub attachments: Vec<Related>,
    /// What it is attached to.
    pub subjects: Vec<Related>,
}

/// Another artifact of the repository.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Related {
    /// The artifact.
    pub digest: Digest,
    /// Its tags.
    pub tags: Vec<Tag>,
}

impl Explanation {
    /// Writes it for people.
    ///
    /// # Errors
    ///
    /// Where the writer fails.
    pub fn write_text(&self, out: &mut dyn Write, colour: bool) -> io::Result<()> {
        text::write(out, crate::paint::Paint { colour }, self)
    }

    /// Writes it as one line of JSON, `lagan.explain/v1`.
    ///
    /// # Errors
    ///
    /// Where the writer fails.
    pub fn write_json(&self, out: &mut dyn Write) -> io::Result<()> {
        json::write(out, self)
    }
}
