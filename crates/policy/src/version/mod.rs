//! How a tag is read: its channel, its version, its variant.
//!
//! A plain semver parser calls `1.25.3-alpine` and `v1.2.0-release` prereleases and would prune them. Here the
//! words of a suffix are looked up in a table, and a suffix with a word that nobody knows makes the tag
//! *unknown*, which no channel selects.

mod channel;
mod natural;
mod read;
mod requirement;
mod table;

pub use channel::{Channel, ChannelError, ChannelSet};
pub use natural::natural;
pub use read::{TagReading, Tail, Version};
pub use requirement::{RequirementError, VersionRequirement};
pub use table::{Meaning, VersionTable, WordError};

#[cfg(test)]
mod tests;
