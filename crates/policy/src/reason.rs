//! Why a tag is kept or deleted, as values. Text, JSON and audit trails only render these, so they cannot disagree.

use std::sync::Arc;

use chrono::NaiveDate;
use lagan_model::{Digest, Immutable, Tag, Time, Unknown};
use serde::{Deserialize, Serialize};

use crate::age::Age;
use crate::document::{Clock, Order, Period, PolicyName};

/// The rule that a reason comes from.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct RuleName {
    /// The policy.
    pub policy: PolicyName,
    /// The rule in it.
    pub rule: Arc<str>,
}

/// One reason. The kinds are an enumerated list: `kind` in JSON, in snake case.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Reason {
    /// Keeps: no rule selects the tag.
    NotSelected,
    /// Keeps: the rule keeps all that it selects.
    KeepAll {
        /// The rule.
        #[serde(flatten)]
        rule: RuleName,
    },
    /// Keeps: among the newest that the rule keeps.
    Rank {
        /// The rule.
        #[serde(flatten)]
        rule: RuleName,
        /// The place of the tag's artifact, 1 being the newest.
        rank: u32,
        /// How many places there are in the group.
        of: u32,
        /// How many of them the rule keeps.
        last: u32,
        /// What newest means.
        by: Order,
        /// Which group, where the rule has more than one.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        group: Option<Arc<str>>,
    },
    /// Keeps: the group has no more tags than the rule keeps artifacts, so that nobody had to rank them.
    Fits {
        /// The rule.
        #[serde(flatten)]
        rule: RuleName,
        /// How many tags there are in the group.
        tags: u32,
        /// How many artifacts the rule keeps.
        last: u32,
        /// Which group, where the rule has more than one.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        group: Option<Arc<str>>,
    },
    /// Keeps: newer than the rule's age.
    Within {
        /// The rule.
        #[serde(flatten)]
        rule: RuleName,
        /// The clock.
        clock: Clock,
        /// What the clock says.
        at: Time,
        /// The age.
        age: Age,
    },
    /// Keeps: the newest of its day, week, month or year, which is among those that the rule keeps one of.
    NewestOf {
        /// The rule.
        #[serde(flatten)]
        rule: RuleName,
        /// The period.
        period: Period,
        /// Which one, such as `2026-W47`.
        bucket: String,
        /// The clock.
        clock: Clock,
        /// What the clock says.
        at: Time,
        /// Counted from the newest that has any, 1 being that.
        rank: u32,
        /// Of how many the rule keeps one.
        count: u32,
        /// Which group, where the rule has more than one.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        group: Option<Arc<str>>,
    },
    /// Keeps: whether the rule selects it depends on what is not known.
    SelectionUnknown {
        /// The rule.
        #[serde(flatten)]
        rule: RuleName,
        /// Why it is not known.
        why: Unknown,
    },
    /// Keeps: whether a policy protects it depends on what is not known.
    ProtectionUnknown {
        /// The policy.
        policy: PolicyName,
        /// What it protects.
        pattern: String,
        /// Why it is not known.
        why: Unknown,
    },
    /// Keeps: without a tag, and not yet as old as the rule wants it.
    TooYoung {
        /// The rule.
        #[serde(flatten)]
        rule: RuleName,
        /// When it was pushed.
        at: Time,
        /// The least age.
        min_age: Age,
    },
    /// Keeps: what it is attached to is gone, and no rule deletes what is left behind.
    SubjectGone {
        /// What it was attached to.
        subject: Digest,
    },
    /// Keeps: the rule needs a time that is not known.
    ClockUnknown {
        /// The rule.
        #[serde(flatten)]
        rule: RuleName,
        /// The clock.
        clock: Clock,
        /// Why it is not known.
        why: Unknown,
    },
    /// Keeps: the rule orders by versions, and the tag has none.
    VersionUnknown {
        /// The rule.
        #[serde(flatten)]
        rule: RuleName,
        /// The order.
        by: Order,
    },
    /// Keeps: the rule groups by something that the tag does not have.
    GroupUnknown {
        /// The rule.
        #[serde(flatten)]
        rule: RuleName,
        /// What it groups by.
        per: String,
    },
    /// Keeps: a policy protects the tag.
    Protected {
        /// The policy.
        policy: PolicyName,
        /// The pattern that matched.
        pattern: String,
        /// The last day on which it holds.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        until: Option<NaiveDate>,
        /// What the policy says why.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        why: Option<Arc<str>>,
    },
    /// Keeps: the tag is immutable in the registry, or may be.
    Immutable {
        /// Who says so.
        by: Immutable,
    },
    /// Keeps: it was put back, and stays for a while, so that nobody who undid a deletion has to be faster than the
    /// next run.
    Held {
        /// Until when.
        until: Time,
        /// What was put back, where it is not this itself: it has no tag, and lists this, or has it attached, or something
        /// between them does.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        with: Option<Digest>,
    },
    /// Keeps: the rule would delete it, but the repository is in a project that caches another registry. What is
    /// deleted there cannot be brought back, and looking at it would fetch it anew.
    ProxyCache {
        /// The rule.
        #[serde(flatten)]
        rule: RuleName,
    },
    /// Keeps: the digest has a tag that is kept, and this registry is not known to delete single tags.
    SharesDigest {
        /// A kept tag on the same digest.
        with: Tag,
    },
    /// Keeps: listed by an index that is kept.
    ChildOf {
        /// The index.
        index: Digest,
        /// A tag of it, where it has one.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        tag: Option<Tag>,
    },
    /// Keeps: attached to an artifact that is kept.
    AttachedTo {
        /// The artifact.
        subject: Digest,
        /// A tag of it, where it has one.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        tag: Option<Tag>,
    },
    /// Keeps: something that is kept is attached to it.
    SubjectOf {
        /// What is attached.
        attachment: Digest,
        /// A tag of it, where it has one.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        tag: Option<Tag>,
    },
    /// Keeps: attached to something that was not seen in this repository, and may be there untagged.
    SubjectUnseen {
        /// What it is attached to.
        subject: Digest,
    },
    /// Deletes: behind the newest that the rule keeps.
    BeyondLast {
        /// The rule.
        #[serde(flatten)]
        rule: RuleName,
        /// The place of the tag's artifact, 1 being the newest.
        rank: u32,
        /// How many places there are in the group.
        of: u32,
        /// How many of them the rule keeps.
        last: u32,
        /// What newest means.
        by: Order,
        /// Which group, where the rule has more than one.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        group: Option<Arc<str>>,
    },
    /// Deletes: older than the rule's age.
    OlderThan {
        /// The rule.
        #[serde(flatten)]
        rule: RuleName,
        /// The clock.
        clock: Clock,
        /// What the clock says.
        at: Time,
        /// The age.
        age: Age,
    },
    /// Deletes: of a day, week, month or year of which the rule keeps one, something else is newer.
    NotNewestOf {
        /// The rule.
        #[serde(flatten)]
        rule: RuleName,
        /// The period.
        period: Period,
        /// Which one, such as `2026-W47`.
        bucket: String,
        /// The clock.
        clock: Clock,
        /// What the clock says.
        at: Time,
        /// Which group, where the rule has more than one.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        group: Option<Arc<str>>,
    },
    /// Deletes: behind the days, weeks, months or years of which the rule keeps one.
    BeyondPeriods {
        /// The rule.
        #[serde(flatten)]
        rule: RuleName,
        /// The period.
        period: Period,
        /// Which one, such as `2026-W47`.
        bucket: String,
        /// The clock.
        clock: Clock,
        /// What the clock says.
        at: Time,
        /// Counted from the newest that has any, 1 being that.
        rank: u32,
        /// Of how many the rule keeps one.
        count: u32,
        /// Which group, where the rule has more than one.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        group: Option<Arc<str>>,
    },
    /// Deletes: a prerelease with a stable successor, which is kept.
    Superseded {
        /// The rule.
        #[serde(flatten)]
        rule: RuleName,
        /// The successor with the greatest version.
        by: Tag,
    },
    /// Deletes: what it was attached to was here once, and is gone.
    Orphaned {
        /// The rule.
        #[serde(flatten)]
        rule: RuleName,
        /// What it was attached to.
        subject: Digest,
    },
    /// Deletes: the rule keeps nothing of what it selects.
    KeepNone {
        /// The rule.
        #[serde(flatten)]
        rule: RuleName,
    },
    /// Deletes: every index that lists it is deleted.
    DeletedWithIndex {
        /// The last of them.
        index: Digest,
    },
    /// Deletes: what it is attached to is deleted.
    DeletedWithSubject {
        /// What it is attached to.
        subject: Digest,
    },
}

impl Reason {
    /// The rule by which it deletes; `None` where it keeps, and of what goes along with something else.
    #[must_use]
    pub fn deletes_by(&self) -> Option<&RuleName> {
        match self {
            Self::BeyondLast { rule, .. }
            | Self::NotNewestOf { rule, .. }
            | Self::BeyondPeriods { rule, .. }
            | Self::Superseded { rule, .. }
            | Self::Orphaned { rule, .. }
            | Self::OlderThan { rule, .. }
            | Self::KeepNone { rule } => Some(rule),
            _ => None,
        }
    }

    /// Whether this reason alone keeps a tag. Keep beats delete.
    #[must_use]
    pub fn keeps(&self) -> bool {
        !matches!(
            self,
            Self::BeyondLast { .. }
                | Self::NotNewestOf { .. }
                | Self::BeyondPeriods { .. }
                | Self::Superseded { .. }
                | Self::Orphaned { .. }
                | Self::OlderThan { .. }
                | Self::KeepNone { .. }
                | Self::DeletedWithIndex { .. }
                | Self::DeletedWithSubject { .. }
        )
    }
}

/// Whether these are the reasons of a tag that a rule would delete, and that stays only because its digest has a tag
/// that is kept: of one that goes once its registry is known to delete single tags.
#[must_use]
pub fn only_shares_digest(reasons: &[Reason]) -> bool {
    let shares = |reason: &Reason| matches!(reason, Reason::SharesDigest { .. });
    reasons.iter().any(shares)
        && reasons.iter().any(|reason| !reason.keeps())
        && reasons.iter().all(|reason| !reason.keeps() || shares(reason))
}
