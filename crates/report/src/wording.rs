//! The English of every reason. The one place that words them: text and explain say the same.

use std::fmt;

use chrono::SecondsFormat;
use lagan_model::{Digest, Immutable, MediaType, RegistryKind, Tag, Time};
use lagan_policy::reason::RuleName;
use lagan_policy::{
    Action, Age, Clock, Mode, Order, Period, PolicyName, Reason, RepositoryPlan, RolloutNote,
};

use serde_json::Value;

use crate::number::{count, grouped};
use crate::sanitize::harmless;

/// One reason as one phrase, on one line, harmless wherever it is shown.
#[must_use]
pub fn phrase(reason: &Reason) -> String {
    phrase_within(reason, Understood::default())
}

/// What the place where a reason stands has said already, and the reason need not repeat.
#[derive(Debug, Clone, Copy, Default)]
pub struct Understood<'a> {
    /// The only policy that there is: its rules are named without it.
    pub policy: Option<&'a PolicyName>,
    /// The only rule that deletes: it is not named at all.
    pub rule: Option<&'a RuleName>,
}

impl<'a> Understood<'a> {
    /// What goes without saying in a repository whose policies and whose only deleting rule stand above its rows.
    #[must_use]
    pub fn in_repository(plan: &'a RepositoryPlan) -> Self {
        let policy = match plan.policies.as_slice() {
            [only] => Some(only),
            _ => None,
        };
        let mut rules = plan
            .actions
            .iter()
            .flat_map(Action::reasons)
            .filter(|reason| !reason.keeps())
            .filter_map(rule_of);
        let first = rules.next();
        let rule = first.filter(|first| rules.all(|rule| rule == *first));
        Self { policy, rule }
    }
}

/// The rule that a reason comes from, if it comes from one.
#[must_use]
pub fn rule_of(reason: &Reason) -> Option<&RuleName> {
    match reason {
        Reason::KeepAll { rule }
        | Reason::Rank { rule, .. }
        | Reason::Fits { rule, .. }
        | Reason::Within { rule, .. }
        | Reason::ClockUnknown { rule, .. }
        | Reason::VersionUnknown { rule, .. }
        | Reason::GroupUnknown { rule, .. }
        | Reason::NewestOf { rule, .. }
        | Reason::SelectionUnknown { rule, .. }
        | Reason::TooYoung { rule, .. }
        | Reason::NotNewestOf { rule, .. }
        | Reason::BeyondPeriods { rule, .. }
        | Reason::Superseded { rule, .. }
        | Reason::Orphaned { rule, .. }
        | Reason::BeyondLast { rule, .. }
        | Reason::OlderThan { rule, .. }
        | Reason::ProxyCache { rule }
        | Reason::KeepNone { rule } => Some(rule),
        Reason::NotSelected
        | Reason::Protected { .. }
        | Reason::Immutable { .. }
        | Reason::Held { .. }
        | Reason::SharesDigest { .. }
        | Reason::ChildOf { .. }
        | Reason::AttachedTo { .. }
        | Reason::SubjectOf { .. }
        | Reason::SubjectUnseen { .. }
        | Reason::SubjectGone { .. }
        | Reason::ProtectionUnknown { .. }
        | Reason::DeletedWithIndex { .. }
        | Reason::DeletedWithSubject { .. } => None,
    }
}

/// The reason's `kind`, as JSON has it.
#[must_use]
pub fn kind(reason: &Reason) -> &'static str {
    match reason {
        Reason::NotSelected => "not_selected",
        Reason::KeepAll { .. } => "keep_all",
        Reason::Rank { .. } => "rank",
        Reason::Fits { .. } => "fits",
        Reason::Within { .. } => "within",
        Reason::ClockUnknown { .. } => "clock_unknown",
        Reason::VersionUnknown { .. } => "version_unknown",
        Reason::GroupUnknown { .. } => "group_unknown",
        Reason::Protected { .. } => "protected",
        Reason::Immutable { .. } => "immutable",
        Reason::Held { .. } => "held",
        Reason::ProxyCache { .. } => "proxy_cache",
        Reason::SharesDigest { .. } => "shares_digest",
        Reason::ChildOf { .. } => "child_of",
        Reason::AttachedTo { .. } => "attached_to",
        Reason::SubjectOf { .. } => "subject_of",
        Reason::SubjectUnseen { .. } => "subject_unseen",
        Reason::NewestOf { .. } => "newest_of",
        Reason::SelectionUnknown { .. } => "selection_unknown",
        Reason::ProtectionUnknown { .. } => "protection_unknown",
        Reason::TooYoung { .. } => "too_young",
        Reason::SubjectGone { .. } => "subject_gone",
        Reason::NotNewestOf { .. } => "not_newest_of",
        Reason::BeyondPeriods { .. } => "beyond_periods",
        Reason::Superseded { .. } => "superseded",
        Reason::Orphaned { .. } => "orphaned",
        Reason::BeyondLast { .. } => "beyond_last",
        Reason::OlderThan { .. } => "older_than",
        Reason::KeepNone { .. } => "keep_none",
        Reason::DeletedWithIndex { .. } => "deleted_with_index",
        Reason::DeletedWithSubject { .. } => "deleted_with_subject",
    }
}

/// A rule with its policy, unless that goes without saying.
#[must_use]
pub fn rule_name(RuleName { policy, rule }: &RuleName, only: Option<&PolicyName>) -> String {
    if only == Some(policy) {
        harmless(rule).into_owned()
    } else {
        format!("{}/{}", harmless(&policy.0), harmless(rule))
    }
}

/// A reason with the rule that it comes from behind it.
#[must_use]
pub fn phrase_within(reason: &Reason, understood: Understood<'_>) -> String {
    let named = |rule| Of { rule, understood };
    match reason {
        Reason::NotSelected => "no rule selects it".to_owned(),
        Reason::KeepAll { rule } => format!("the rule keeps all that it selects{}", named(rule)),
        Reason::Rank {
            rule,
            rank,
            of,
            last,
            by,
            group,
        } => {
            let place = Place {
                rank: *rank,
                of: *of,
                by: *by,
                group: group.as_deref(),
            };
            format!("{place}, keeps {}{}", grouped(u64::from(*last)), named(rule))
        }
        Reason::Fits {
            rule,
            tags,
            last,
            group,
        } => format!(
            "{}{}, no more than the {} that are kept{}",
            count(u64::from(*tags), "tag", "tags"),
            Group(group.as_deref()),
            grouped(u64::from(*last)),
            named(rule)
        ),
        Reason::Within { rule, clock, at, age } => timed(*clock, *at, "newer", age, &named(rule)),
        Reason::ClockUnknown { rule, clock, why } => {
            format!("its {clock} time is not known ({}){}", why.as_str(), named(rule))
        }
        Reason::VersionUnknown { rule, by } => format!("it has no version to order by {by}{}", named(rule)),
        Reason::GroupUnknown { rule, per } => {
            format!("it has no {} to group by{}", harmless(per), named(rule))
        }
        Reason::Protected {
            policy,
            pattern,
            until,
            why,
        } => {
            let mut text = format!(
                "protected by \"{}\" of policy {}",
                harmless(pattern),
                harmless(&policy.0)
            );
            if let Some(until) = until {
                text.push_str(&format!(" until {until}"));
            }
            if let Some(why) = why {
                text.push_str(&format!(": {}", harmless(why)));
            }
            text
        }
        Reason::Immutable { by } => match by {
            Immutable::Marked => "the registry says that it is immutable",
            Immutable::Rule => {
                "a rule of its project makes it immutable, although the registry does not say so of it"
            }
            Immutable::Unknown => {
                "a rule of its project may make it immutable: what the rule means is not known here"
            }
        }
        .to_owned(),
        Reason::Held { until, with: None } => {
            format!("it was put back, and is held until {}", moment(*until))
        }
        Reason::Held {
            until,
            with: Some(with),
        } => format!(
            "it belongs to {}, which was put back, and is held until {}",
            Named(with, None),
            moment(*until)
        ),
        Reason::ProxyCache { rule } => format!(
            "in a project that caches another registry, where nothing is deleted: it could not be undone{}",
            named(rule)
        ),
        Reason::SharesDigest { with } => format!("shares its digest with kept tag {with}"),
        Reason::ChildOf { index, tag } => format!("listed by kept index {}", Named(index, tag.as_ref())),
        Reason::AttachedTo { subject, tag } => format!("attached to kept {}", Named(subject, tag.as_ref())),
        Reason::SubjectOf { attachment, tag } => {
            format!(
                "kept attachment {} belongs to it",
                Named(attachment, tag.as_ref())
            )
        }
        Reason::SubjectUnseen { subject } => {
            format!(
                "attached to {}, which was not seen and may be there untagged",
                Named(subject, None)
            )
        }
        Reason::BeyondLast {
            rule,
            rank,
            of,
            last,
            by,
            group,
        } => {
            let place = Place {
                rank: *rank,
                of: *of,
                by: *by,
                group: group.as_deref(),
            };
            format!(
                "beyond the last {}: {place}{}",
                grouped(u64::from(*last)),
                named(rule)
            )
        }
        Reason::NewestOf {
            rule,
            period,
            bucket,
            clock,
            at,
            rank,
            count,
            group,
        } => format!(
            "{clock} {}, the newest of {bucket}{}, {} of the {} {} that keep one{}",
            moment(*at),
            Group(group.as_deref()),
            grouped(u64::from(*rank)),
            grouped(u64::from(*count)),
            unit(*period),
            named(rule)
        ),
        Reason::SelectionUnknown { rule, why } => format!(
            "whether the rule selects it cannot be told: its labels or types are not known ({}){}",
            why.as_str(),
            named(rule)
        ),
        Reason::ProtectionUnknown { policy, pattern, why } => format!(
            "whether \"{}\" of policy {} protects it cannot be told ({})",
            harmless(pattern),
            harmless(&policy.0),
            why.as_str()
        ),
        Reason::TooYoung { rule, at, min_age } => format!(
            "pushed {}, not yet {min_age} old: its index may still come{}",
            moment(*at),
            named(rule)
        ),
        Reason::SubjectGone { subject } => format!(
            "attached to {}, which is gone; no rule deletes what is left behind",
            Named(subject, None)
        ),
        Reason::NotNewestOf {
            rule,
            bucket,
            clock,
            at,
            group,
            ..
        } => format!(
            "{clock} {}, not the newest of {bucket}{}{}",
            moment(*at),
            Group(group.as_deref()),
            named(rule)
        ),
        Reason::BeyondPeriods {
            rule,
            period,
            bucket,
            clock,
            at,
            rank,
            count,
            group,
        } => format!(
            "{clock} {}, beyond the last {} {} that have any: {bucket} is number {}{}{}",
            moment(*at),
            grouped(u64::from(*count)),
            unit(*period),
            grouped(u64::from(*rank)),
            Group(group.as_deref()),
            named(rule)
        ),
        Reason::Superseded { rule, by } => format!("superseded by {by}, which is kept{}", named(rule)),
        Reason::Orphaned { rule, subject } => format!(
            "attached to {}, which was here and is gone{}",
            Named(subject, None),
            named(rule)
        ),
        Reason::OlderThan { rule, clock, at, age } => timed(*clock, *at, "older", age, &named(rule)),
        Reason::KeepNone { rule } => format!("the rule keeps nothing that it selects{}", named(rule)),
        Reason::DeletedWithIndex { index } => {
            format!(
                "every index that lists it is deleted, the last being {}",
                Named(index, None)
            )
        }
        Reason::DeletedWithSubject { subject } => {
            format!("attached to {}, which is deleted", Named(subject, None))
        }
    }
}

fn unit(period: Period) -> &'static str {
    match period {
        Period::Daily => "days",
        Period::Weekly => "weeks",
        Period::Monthly => "months",
        Period::Yearly => "years",
    }
}

fn timed(clock: Clock, at: Time, than: &str, age: &Age, of: &Of<'_>) -> String {
    format!("{clock} {}, {than} than {age}{of}", moment(at))
}

/// A time in UTC, to the second, as `--now` takes it.
#[must_use]
pub fn moment(time: Time) -> String {
    time.to_rfc3339_opts(SecondsFormat::Secs, true)
}

/// Whether a repository has its turn, where a policy is rolled out in stages.
#[must_use]
pub fn phrase_of_rollout(note: &RolloutNote) -> String {
    let RolloutNote { taken, stage, of, .. } = note;
    let policy = harmless(&note.policy.0);
    match (note.share, note.fell_back) {
        (_, Some(at)) => format!(
            "nothing is deleted here: {policy} fell back to dry-run on {}, when too many of its deletions failed",
            moment(at)
        ),
        (None, None) => {
            format!("nothing is deleted here: how far {policy} has been rolled out is not known")
        }
        (Some(share), None) if *taken => {
            format!("it has its turn: stage {stage} of {of} of {policy} takes {share} of its repositories")
        }
        (Some(share), None) => format!(
            "nothing is deleted here yet: stage {stage} of {of} of {policy} takes {share} of its repositories"
        ),
    }
}

/// What people call a manifest of this type.
#[must_use]
pub fn manifest_kind(media_type: Option<&MediaType>) -> &'static str {
    match media_type {
        None => "unknown",
        Some(kind) if kind.is_index() => "index",
        Some(kind) if *kind == MediaType::OCI_MANIFEST || *kind == MediaType::DOCKER_MANIFEST => "image",
        Some(kind) if *kind == MediaType::OCI_ARTIFACT => "artifact",
        Some(_) => "other",
    }
}

/// A digest, short enough to read and long enough to find.
#[must_use]
pub fn short(digest: &Digest) -> String {
    format!("{}:{}", digest.algorithm(), digest.short())
}

/// What a rule keeps, from its native form: `last 10 by version per variant, within created 30d`.
pub(crate) fn keep(keep: &Value) -> String {
    match keep {
        Value::Object(lines) => {
            // How many, and of what: these belong together. Then the lines that stand alone.
            let counts = ["last", "daily", "weekly", "monthly", "yearly"];
            let of = ["by", "per", "timezone"];
            let said = |keys: &[&str]| {
                let said = |key: &&str| Some(format!("{key} {}", keep_value(lines.get(*key)?)));
                keys.iter().filter_map(said).collect::<Vec<_>>()
            };
            let counted = [said(&counts).join(", "), said(&of).join(" ")];
            let counted = counted.join(" ").trim().to_owned();
            let others = lines
                .iter()
                .filter(|(key, _)| !counts.contains(&key.as_str()) && !of.contains(&key.as_str()))
                .map(|(key, value)| format!("{} {}", harmless(&key.replace('_', " ")), keep_value(value)));
            let counted = (!counted.is_empty()).then_some(counted);
            counted.into_iter().chain(others).collect::<Vec<_>>().join(", ")
        }
        Value::Array(alternatives) => {
            let alternatives: Vec<_> = alternatives.iter().map(self::keep).collect();
            alternatives.join(", or ")
        }
        Value::String(text) if text == "none" => "nothing".to_owned(),
        other => keep_value(other),
    }
}

fn keep_value(value: &Value) -> String {
    match value {
        Value::String(text) => harmless(text).into_owned(),
        Value::Object(entries) => {
            let entries: Vec<_> = entries
                .iter()
                .map(|(key, value)| format!("{} {}", harmless(key), keep_value(value)))
                .collect();
            entries.join(" or ")
        }
        other => harmless(&other.to_string()).into_owned(),
    }
}

pub(crate) fn mode(mode: Mode) -> &'static str {
    match mode {
        Mode::DryRun => "dry-run",
        Mode::Enforce => "enforce",
    }
}

pub(crate) fn registry_kind(kind: RegistryKind) -> &'static str {
    kind.as_str()
}

/// ` (policy/rule)`, or ` (rule)` where the policy goes without saying, or nothing where the rule does.
struct Of<'a> {
    rule: &'a RuleName,
    understood: Understood<'a>,
}

impl fmt::Display for Of<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.understood.rule == Some(self.rule) {
            return Ok(());
        }
        write!(f, " ({})", rule_name(self.rule, self.understood.policy))
    }
}

/// ` in group "alpine"`, or nothing.
struct Group<'a>(Option<&'a str>);

impl fmt::Display for Group<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            None => Ok(()),
            Some(group) => write!(f, " in group \"{}\"", harmless(group)),
        }
    }
}

/// `rank 3 of 27 by version in group "alpine"`.
struct Place<'a> {
    rank: u32,
    of: u32,
    by: Order,
    group: Option<&'a str>,
}

impl fmt::Display for Place<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (rank, of) = (grouped(u64::from(self.rank)), grouped(u64::from(self.of)));
        write!(f, "rank {rank} of {of} by {}{}", self.by, Group(self.group))
    }
}

/// `1.2.0 (sha256:0123456789ab)`, or the digest alone.
struct Named<'a>(&'a Digest, Option<&'a Tag>);

impl fmt::Display for Named<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.1 {
            Some(tag) => write!(f, "{tag} ({})", short(self.0)),
            None => f.write_str(&short(self.0)),
        }
    }
}

#[cfg(test)]
mod tests;
