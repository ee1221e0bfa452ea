//! Which tags a rule selects, and which a policy protects.

use lagan_model::{Digest, Fact, NodeId, RepositoryName, Tag, Time};

use crate::document::{Labels, Policy, PolicyName, PolicySet, Protection, ProtectionPattern, Select};
use crate::facts::Facts;
use crate::needs::Needs;
use crate::reason::{Reason, RuleName};
use crate::version::{Channel, ChannelSet, TagReading};

/// A condition of a selection that a tag does not meet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unmet {
    /// It is an attachment, which follows its subject.
    Attachment,
    /// It reads as nothing known, and the rule has neither glob nor regex.
    Unknown,
    /// No glob matches.
    Tags,
    /// An excluding glob matches.
    Exclude,
    /// The expression does not match.
    Regex,
    /// It is in another channel.
    Channel,
    /// Its version is outside the range, or it has none.
    Version,
    /// The rule selects what has no tag.
    Untagged,
    /// The rule selects attachments whose subject is gone.
    Orphaned,
    /// The rule selects prereleases that have a stable successor.
    Superseded,
    /// Its media type is another one, or the type of artifact, or it has not all labels.
    Facts,
}

impl Unmet {
    /// As a fragment that completes "does not select it: ...".
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Attachment => "attachments follow what they are attached to",
            Self::Unknown => "the tag reads as nothing known",
            Self::Tags => "no glob of `tags` matches",
            Self::Exclude => "a glob of `exclude` matches",
            Self::Regex => "`regex` does not match the whole tag",
            Self::Channel => "it is in another channel",
            Self::Version => "its version is outside the range, or it has none",
            Self::Untagged => "the rule selects what has no tag",
            Self::Orphaned => "the rule selects attachments whose subject is gone",
            Self::Superseded => "it is no prerelease with a stable successor that is kept",
            Self::Facts => "its labels or types are others",
        }
    }
}

impl Select {
    /// The first condition on a tag's name that it does not meet; `None` if its name lets it be selected. What
    /// names do not tell, labels for one, is not asked here.
    #[must_use]
    pub fn unmet(&self, tag: &Tag, reading: &TagReading) -> Option<Unmet> {
        if self.untagged.is_some() {
            return Some(Unmet::Untagged);
        }
        // Cheapest first; the order decides which condition is named, never whether the tag is selected.
        let attachment = reading.channel == Channel::Attachment;
        if self.orphaned {
            return (!attachment).then_some(Unmet::Orphaned);
        }
        if self.superseded && !ChannelSet::PRERELEASE.contains(reading.channel) {
            return Some(Unmet::Superseded);
        }
        let checks = [
            (Unmet::Attachment, !attachment),
            (
                Unmet::Unknown,
                reading.channel != Channel::Unknown || self.reaches_unknown_tags(),
            ),
        ];
        if let Some((unmet, _)) = checks.into_iter().find(|(_, met)| !met) {
            return Some(unmet);
        }
        if self
            .channel
            .is_some_and(|channels| !channels.contains(reading.channel))
        {
            return Some(Unmet::Channel);
        }
        if self
            .version
            .as_ref()
            .is_some_and(|requirement| !requirement.matches(reading))
        {
            return Some(Unmet::Version);
        }
        if !self.tags.is_empty() && !self.tags.iter().any(|glob| glob.matches(tag)) {
            return Some(Unmet::Tags);
        }
        if self.exclude.iter().any(|glob| glob.matches(tag)) {
            return Some(Unmet::Exclude);
        }
        if self.regex.as_ref().is_some_and(|regex| !regex.matches(tag)) {
            return Some(Unmet::Regex);
        }
        // A selection without a positive condition selects nothing: it is refused when it is read, too.
        self.is_empty().then_some(Unmet::Unknown)
    }
}

impl Select {
    /// The first condition that a tag does not meet, as a decision about it shows: `said_of_it` are the rules from which
    /// its reasons come. A rule of a policy that was not asked for, and would delete the tag, gives no reason.
    #[must_use]
    pub fn unmet_as_decided<'r>(
        &self,
        tag: &Tag,
        reading: &TagReading,
        rule: &RuleName,
        said_of_it: impl IntoIterator<Item = &'r RuleName>,
    ) -> Option<Unmet> {
        self.unmet(tag, reading).or_else(|| {
            let said = || said_of_it.into_iter().any(|said| said == rule);
            if self.is_told_by_names() || said() {
                None
            } else if self.superseded {
                Some(Unmet::Superseded)
            } else if self.orphaned {
                Some(Unmet::Orphaned)
            } else {
                Some(Unmet::Facts)
            }
        })
    }
}

impl Protection {
    /// Whether this entry still holds on the day of `now`.
    #[must_use]
    pub fn holds(&self, now: Time) -> bool {
        self.until.is_none_or(|until| now.date_naive() <= until)
    }

    /// The text of the pattern that matches a tag by its name, if this entry still holds on the day of `now`.
    #[must_use]
    pub fn matching(&self, tag: &Tag, reading: &TagReading, now: Time) -> Option<String> {
        if !self.holds(now) {
            return None;
        }
        match &self.pattern {
            ProtectionPattern::Tags(globs) => globs
                .iter()
                .find(|glob| glob.matches(tag))
                .map(|glob| glob.as_str().to_owned()),
            ProtectionPattern::Regex(regex) => regex.matches(tag).then(|| regex.as_str().to_owned()),
            ProtectionPattern::Channel(channels) => channels
                .contains(reading.channel)
                .then(|| format!("channel {}", reading.channel)),
            ProtectionPattern::Labels(_) | ProtectionPattern::Signed => None,
        }
    }
}

impl Policy {
    /// Whether it protects by what names do not tell.
    pub(crate) fn protects_by_facts(&self) -> bool {
        let by_facts = |entry: &Protection| {
            matches!(
                entry.pattern,
                ProtectionPattern::Labels(_) | ProtectionPattern::Signed
            )
        };
        self.protect.iter().any(by_facts)
    }

    /// Why this policy protects an artifact, by what names do not tell. Nothing is read for it unless `ask`.
    pub(crate) fn protections_by_facts(
        &self,
        facts: &Facts<'_>,
        node: NodeId,
        digest: &Digest,
        now: Time,
        ask: Option<&mut Needs>,
    ) -> Vec<Reason> {
        let mut found = Needs::default();
        let reasons = self
            .protect
            .iter()
            .filter(|entry| entry.holds(now))
            .filter_map(|entry| {
                let (pattern, told) = match &entry.pattern {
                    ProtectionPattern::Labels(labels) => {
                        (shown(labels), facts.has_labels(labels, digest, &mut found)?)
                    }
                    ProtectionPattern::Signed => (
                        "signed".to_owned(),
                        Fact::Known(facts.is_signed(node, &mut found)?),
                    ),
                    ProtectionPattern::Tags(_)
                    | ProtectionPattern::Regex(_)
                    | ProtectionPattern::Channel(_) => {
                        return None;
                    }
                };
                let policy = self.name.clone();
                match told {
                    Fact::Known(false) => None,
                    Fact::Known(true) => Some(Reason::Protected {
                        policy,
                        pattern,
                        until: entry.until,
                        why: entry.why.clone(),
                    }),
                    Fact::Unknown(why) => Some(Reason::ProtectionUnknown { policy, pattern, why }),
                }
            });
        let reasons: Vec<Reason> = reasons.collect();
        if let (Some(needs), true) = (ask, reasons.is_empty()) {
            needs.add(found);
        }
        reasons
    }

    /// Why this policy protects a tag by its name: one reason for each entry that matches.
    pub fn protections<'a>(
        &'a self,
        tag: &'a Tag,
        reading: &'a TagReading,
        now: Time,
    ) -> impl Iterator<Item = Reason> + 'a {
        self.protect.iter().filter_map(move |entry| {
            Some(Reason::Protected {
                policy: self.name.clone(),
                pattern: entry.matching(tag, reading, now)?,
                until: entry.until,
                why: entry.why.clone(),
            })
        })
    }
}

impl PolicySet {
    /// Which policy protects an artifact of a repository by the labels that it has in the registry, and by which of them.
    #[must_use]
    pub fn protecting_label(
        &self,
        repository: &RepositoryName,
        labels: &lagan_model::Labels,
        now: Time,
    ) -> Option<(&PolicyName, String)> {
        let here = self.policies.iter().filter(|policy| policy.names(repository));
        here.flat_map(|policy| policy.protect.iter().map(move |entry| (policy, entry)))
            .filter(|(_, entry)| entry.holds(now))
            .find_map(|(policy, entry)| match &entry.pattern {
                ProtectionPattern::Labels(wanted) if is_labelled(wanted, [labels]) => {
                    Some((&policy.name, shown(wanted)))
                }
                _ => None,
            })
    }
}

/// Whether all labels that are wanted are somewhere among those that are there.
pub(crate) fn is_labelled<'l>(
    wanted: &Labels,
    there: impl IntoIterator<Item = &'l lagan_model::Labels> + Clone,
) -> bool {
    wanted.iter().all(|(key, globs)| {
        let values = there.clone().into_iter().filter_map(|labels| labels.get(key));
        values
            .into_iter()
            .any(|value| globs.iter().any(|glob| glob.matches(value)))
    })
}

/// Labels as reasons show them: `label tier=prod, owner=*`.
fn shown(labels: &Labels) -> String {
    let pairs: Vec<String> = labels
        .iter()
        .map(|(key, globs)| {
            let globs: Vec<&str> = globs.iter().map(|glob| glob.as_str()).collect();
            format!("{key}={}", globs.join("|"))
        })
        .collect();
    format!("label {}", pairs.join(", "))
}
