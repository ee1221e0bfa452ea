//! Which tags a rule selects, and which a policy protects.

use lagan_model::{Tag, Time};

use crate::document::{Policy, Protection, ProtectionPattern, Select};
use crate::reason::Reason;
use crate::version::{Channel, TagReading};

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
    /// The rule selects by what is not known of it.
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
            Self::Facts => "what the rule selects by is not known",
        }
    }
}

impl Select {
    /// The first condition that a tag does not meet; `None` if it is selected.
    #[must_use]
    pub fn unmet(&self, tag: &Tag, reading: &TagReading) -> Option<Unmet> {
        if self.untagged.is_some() {
            return Some(Unmet::Untagged);
        }
        if !self.is_told_by_names() {
            return Some(Unmet::Facts);
        }
        // Cheapest first; the order decides which condition is named, never whether the tag is selected.
        let checks = [
            (Unmet::Attachment, reading.channel != Channel::Attachment),
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

impl Protection {
    /// The text of the pattern that matches a tag, if this entry still holds on the day of `now`.
    #[must_use]
    pub fn matching(&self, tag: &Tag, reading: &TagReading, now: Time) -> Option<String> {
        if self.until.is_some_and(|until| now.date_naive() > until) {
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
            ProtectionPattern::Labels(_) => Some("labels".to_owned()),
            ProtectionPattern::Signed => Some("signed".to_owned()),
        }
    }
}

impl Policy {
    /// Why this policy protects a tag: one reason for each entry that matches.
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
