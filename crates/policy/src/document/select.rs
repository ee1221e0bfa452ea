//! What a rule selects.

use std::collections::BTreeMap;

use serde::ser::SerializeMap as _;
use serde::{Serialize, Serializer};

use crate::age::Age;
use crate::pattern::{TagPattern, TagRegex, TextPattern};
use crate::version::{ChannelSet, VersionRequirement};

/// The age that untagged artifacts must have reached where a rule gives none: indexes arrive after their children.
pub const DEFAULT_MIN_AGE: &str = "24h";

/// The conditions of a selection: all that are given must hold; alternatives within one.
///
/// Attachments are selected by [`orphaned`](Self::orphaned) alone, and what has no tag by
/// [`untagged`](Self::untagged) alone, whatever else stands here.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Select {
    /// Globs, one of which must match.
    pub tags: Vec<TagPattern>,
    /// Globs, none of which may match.
    pub exclude: Vec<TagPattern>,
    /// An expression that must match the whole tag.
    pub regex: Option<TagRegex>,
    /// Channels, one of which the tag must be in.
    pub channel: Option<ChannelSet>,
    /// What the tag's version must satisfy.
    pub version: Option<VersionRequirement>,
    /// Instead of tags: artifacts without one, by no index listed and attached to nothing, that were pushed at
    /// least so long ago.
    pub untagged: Option<Age>,
    /// Labels that must be there, each with one of these values.
    pub labels: Labels,
    /// Media types, one of which the manifest must have.
    pub media_type: Vec<TextPattern>,
    /// Types of artifact, one of which it must be of: `artifactType`, else the media type of its configuration.
    pub artifact_type: Vec<TextPattern>,
    /// Prereleases with a stable successor that is kept.
    pub superseded: bool,
    /// Instead of tags: attachments whose subject was here once, and is no more.
    pub orphaned: bool,
}

/// Labels by their keys, each with alternatives for its value. None of them says nothing.
pub type Labels = BTreeMap<String, Vec<TextPattern>>;

impl Select {
    /// Whether it says nothing that could select anything: `exclude` alone only narrows.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        !self.reaches_unknown_tags()
            && self.channel.is_none()
            && self.version.is_none()
            && self.untagged.is_none()
            && self.labels.is_empty()
            && self.media_type.is_empty()
            && self.artifact_type.is_empty()
            && !self.superseded
            && !self.orphaned
    }

    /// Whether tags that read as nothing known can be selected: only by glob or regex.
    #[must_use]
    pub fn reaches_unknown_tags(&self) -> bool {
        !self.tags.is_empty() || self.regex.is_some()
    }

    /// Whether it never selects a tag of an image, so that it cannot leave a repository empty of these.
    #[must_use]
    pub fn spares_tags(&self) -> bool {
        self.untagged.is_some() || self.orphaned
    }

    /// Whether a tag's name alone tells if it is selected.
    #[must_use]
    pub fn is_told_by_names(&self) -> bool {
        self.labels.is_empty()
            && self.media_type.is_empty()
            && self.artifact_type.is_empty()
            && !self.superseded
            && !self.orphaned
    }
}

/// As documents write it.
impl Serialize for Select {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        if !self.tags.is_empty() {
            map.serialize_entry("tags", &self.tags)?;
        }
        if !self.exclude.is_empty() {
            map.serialize_entry("exclude", &self.exclude)?;
        }
        if let Some(regex) = &self.regex {
            map.serialize_entry("regex", regex)?;
        }
        if let Some(channel) = &self.channel {
            map.serialize_entry("channel", channel)?;
        }
        if let Some(version) = &self.version {
            map.serialize_entry("version", version)?;
        }
        if let Some(min_age) = &self.untagged {
            map.serialize_entry("untagged", &true)?;
            map.serialize_entry("min_age", min_age)?;
        }
        if !self.labels.is_empty() {
            map.serialize_entry("labels", &self.labels)?;
        }
        if !self.media_type.is_empty() {
            map.serialize_entry("media_type", &self.media_type)?;
        }
        if !self.artifact_type.is_empty() {
            map.serialize_entry("artifact_type", &self.artifact_type)?;
        }
        if self.superseded {
            map.serialize_entry("superseded", &true)?;
        }
        if self.orphaned {
            map.serialize_entry("orphaned", &true)?;
        }
        map.end()
    }
}
