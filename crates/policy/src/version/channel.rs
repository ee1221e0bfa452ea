//! Channels, and sets of them.

use std::fmt;
use std::str::FromStr;

use serde::ser::SerializeSeq;
use serde::{Deserialize, Serialize, Serializer};
use thiserror::Error;

/// What kind of tag it is, by its name alone.
///
/// The order of the first five is the order of releases of one version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Channel {
    /// A full version with a suffix that nothing is known about, or no known kind of tag at all.
    Unknown,
    /// A full version, built every night or from every commit.
    Nightly,
    /// A full version, an alpha or preview.
    Alpha,
    /// A full version, a beta or milestone.
    Beta,
    /// A full version, a release candidate.
    Rc,
    /// A full version, released.
    Stable,
    /// A name that moves: an incomplete version, or a known alias.
    Floating,
    /// A commit.
    Commit,
    /// A tag that names what it is attached to.
    Attachment,
}

impl Channel {
    /// The channels that a rule can select by name.
    pub const SELECTABLE: [Self; 7] = [
        Self::Stable,
        Self::Rc,
        Self::Beta,
        Self::Alpha,
        Self::Nightly,
        Self::Floating,
        Self::Commit,
    ];

    /// As documents write it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Nightly => "nightly",
            Self::Alpha => "alpha",
            Self::Beta => "beta",
            Self::Rc => "rc",
            Self::Stable => "stable",
            Self::Floating => "floating",
            Self::Commit => "commit",
            Self::Attachment => "attachment",
        }
    }

    /// Whether it is one of rc, beta, alpha and nightly.
    #[must_use]
    pub fn is_prerelease(self) -> bool {
        matches!(self, Self::Rc | Self::Beta | Self::Alpha | Self::Nightly)
    }

    const fn bit(self) -> u16 {
        1 << self as u16
    }
}

impl fmt::Display for Channel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Why the name of a channel was refused.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ChannelError {
    /// No channel of this name.
    #[error("{0:?} is none of prerelease, stable, rc, beta, alpha, nightly, floating, commit")]
    NoSuchChannel(String),
    /// Unknown tags are selected by glob or regex only.
    #[error("tags that read as nothing known are selected by `tags` or `regex` only, never by channel")]
    Unknown,
    /// Attachments follow their subjects.
    #[error("attachments follow what they are attached to, and are never selected")]
    Attachment,
}

/// Channels that a rule selects; serialized as the list of their names.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct ChannelSet(u16);

impl ChannelSet {
    /// rc, beta, alpha and nightly.
    pub const PRERELEASE: Self =
        Self(Channel::Rc.bit() | Channel::Beta.bit() | Channel::Alpha.bit() | Channel::Nightly.bit());

    /// Whether a channel is in it.
    #[must_use]
    pub fn contains(self, channel: Channel) -> bool {
        self.0 & channel.bit() != 0
    }

    /// Whether it is empty.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The set with the channels of another one added.
    #[must_use]
    pub fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// The names, `prerelease` standing for its four.
    pub fn names(self) -> impl Iterator<Item = &'static str> {
        let prerelease = self.0 & Self::PRERELEASE.0 == Self::PRERELEASE.0;
        let single = Channel::SELECTABLE
            .into_iter()
            .filter(move |channel| self.contains(*channel) && !(prerelease && channel.is_prerelease()))
            .map(Channel::as_str);
        prerelease.then_some("prerelease").into_iter().chain(single)
    }
}

impl FromStr for ChannelSet {
    type Err = ChannelError;

    /// One name: a channel, or `prerelease`.
    fn from_str(name: &str) -> Result<Self, ChannelError> {
        match name {
            "prerelease" => Ok(Self::PRERELEASE),
            "unknown" => Err(ChannelError::Unknown),
            "attachment" => Err(ChannelError::Attachment),
            _ => Channel::SELECTABLE
                .into_iter()
                .find(|channel| channel.as_str() == name)
                .map(Self::from)
                .ok_or_else(|| ChannelError::NoSuchChannel(name.to_owned())),
        }
    }
}

impl From<Channel> for ChannelSet {
    fn from(channel: Channel) -> Self {
        Self(channel.bit())
    }
}

impl FromIterator<Self> for ChannelSet {
    fn from_iter<I: IntoIterator<Item = Self>>(sets: I) -> Self {
        sets.into_iter().fold(Self::default(), Self::union)
    }
}

impl fmt::Display for ChannelSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, name) in self.names().enumerate() {
            if position > 0 {
                f.write_str(", ")?;
            }
            f.write_str(name)?;
        }
        Ok(())
    }
}

impl Serialize for ChannelSet {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut list = serializer.serialize_seq(None)?;
        for name in self.names() {
            list.serialize_element(name)?;
        }
        list.end()
    }
}
