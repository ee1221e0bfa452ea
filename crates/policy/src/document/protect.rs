//! What a policy protects, whatever the rules say.

use std::sync::Arc;

use chrono::NaiveDate;
use serde::ser::SerializeMap as _;
use serde::{Serialize, Serializer};

use super::select::Labels;
use crate::pattern::{TagPattern, TagRegex};
use crate::version::ChannelSet;

/// One entry of `protect`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Protection {
    /// What it protects.
    pub pattern: ProtectionPattern,
    /// The last day (UTC) on which it holds.
    pub until: Option<NaiveDate>,
    /// Why, for reports.
    pub why: Option<Arc<str>>,
}

/// What an entry of `protect` matches by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ProtectionPattern {
    /// Globs, one of which matches the tag.
    Tags(Vec<TagPattern>),
    /// An expression that matches the whole tag.
    Regex(TagRegex),
    /// Channels, one of which the tag is in.
    Channel(ChannelSet),
    /// Labels, all of which the artifact has.
    Labels(Labels),
    /// A signature is attached to the artifact, or to something that it lists.
    Signed,
}

/// As documents write it.
impl Serialize for Protection {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        match &self.pattern {
            ProtectionPattern::Tags(globs) => map.serialize_entry("tags", globs)?,
            ProtectionPattern::Regex(regex) => map.serialize_entry("regex", regex)?,
            ProtectionPattern::Channel(channels) => map.serialize_entry("channel", channels)?,
            ProtectionPattern::Labels(labels) => map.serialize_entry("labels", labels)?,
            ProtectionPattern::Signed => map.serialize_entry("signed", &true)?,
        }
        if let Some(until) = &self.until {
            map.serialize_entry("until", until)?;
        }
        if let Some(why) = &self.why {
            map.serialize_entry("why", why)?;
        }
        map.end()
    }
}
