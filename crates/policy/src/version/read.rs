//! Reading one tag.

use std::borrow::Cow;
use std::cmp::Ordering;

use lagan_model::{AttachmentForm, Tag};
use smallvec::SmallVec;

use super::channel::Channel;
use super::natural::natural;
use super::table::{Meaning, VersionTable};

/// Numbers of this many digits are dates and build counters, not version numbers or parts of a variant.
const DATE_DIGITS: usize = 6;

/// What a tag's name says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TagReading {
    /// Its channel.
    pub channel: Channel,
    /// Its version, where it has MAJOR.MINOR.PATCH.
    pub version: Option<Version>,
    /// Its variant, in lower case: `alpine3.18`, `slim-bookworm`.
    pub variant: Option<Box<str>>,
}

/// A full version, variants and stable words removed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Version {
    /// MAJOR, MINOR and PATCH.
    pub numbers: [u64; 3],
    /// One of the channels of full versions; unknown is the lowest.
    pub channel: Channel,
    /// What follows the channel's word.
    pub tail: Tail,
    /// What follows an underscore, which stands for the plus sign of semver.
    pub build: Box<str>,
}

/// The part of a version that orders releases of one channel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Tail {
    /// Numbers: `rc.2` has one.
    Numbers(SmallVec<[u64; 2]>),
    /// The whole suffix, where nothing is known about it.
    Text(Box<str>),
}

impl Ord for Tail {
    fn cmp(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Self::Numbers(a), Self::Numbers(b)) => a.cmp(b),
            (Self::Text(a), Self::Text(b)) => natural(a, b),
            (Self::Text(_), Self::Numbers(_)) => Ordering::Less,
            (Self::Numbers(_), Self::Text(_)) => Ordering::Greater,
        }
    }
}

impl PartialOrd for Tail {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Version {
    /// Version numbers, then channel, then the tail in natural order, then build.
    fn cmp(&self, other: &Self) -> Ordering {
        self.numbers
            .cmp(&other.numbers)
            .then_with(|| self.channel.cmp(&other.channel))
            .then_with(|| self.tail.cmp(&other.tail))
            .then_with(|| natural(&self.build, &other.build))
    }
}

impl PartialOrd for Version {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// A suffix of which every word is known.
struct Suffix {
    channel: Channel,
    tail: SmallVec<[u64; 2]>,
    variant: Option<Box<str>>,
}

impl VersionTable {
    /// Reads a tag by its name.
    #[must_use]
    pub fn read(&self, tag: &Tag) -> TagReading {
        if let Some(reading) = self.read_version(tag.as_str()) {
            return reading;
        }
        let channel = if AttachmentForm::of(tag).is_some() {
            Channel::Attachment
        } else if self.is_floating(tag.as_str()) {
            Channel::Floating
        } else if is_commit(tag.as_str()) {
            Channel::Commit
        } else {
            Channel::Unknown
        };
        TagReading {
            channel,
            version: None,
            variant: None,
        }
    }

    /// Reads `[v]MAJOR.MINOR.PATCH[-suffix][_build]`, and nothing else.
    pub(super) fn read_version(&self, text: &str) -> Option<TagReading> {
        let rest = text.strip_prefix('v').unwrap_or(text);
        let (major, rest) = number(rest)?;
        let (minor, rest) = number(rest.strip_prefix('.')?)?;
        let (patch, rest) = number(rest.strip_prefix('.')?)?;
        let (rest, build) = match rest.split_once('_') {
            Some((_, "")) => return None,
            Some((rest, build)) => (rest, build),
            None => (rest, ""),
        };
        let suffix = match rest {
            "" => None,
            _ => Some(rest.strip_prefix('-')?),
        };
        let numbers = [major, minor, patch];
        let suffix = suffix.map(lower_case);
        let read = match &suffix {
            None => Some(Suffix {
                channel: Channel::Stable,
                tail: SmallVec::new(),
                variant: None,
            }),
            Some(suffix) => self.read_suffix(suffix),
        };
        let (channel, tail, variant) = match read {
            Some(read) => (read.channel, Tail::Numbers(read.tail), read.variant),
            None => (
                Channel::Unknown,
                Tail::Text(suffix.unwrap_or_default().into()),
                None,
            ),
        };
        let version = Version {
            numbers,
            channel,
            tail,
            build: build.into(),
        };
        Some(TagReading {
            channel,
            version: Some(version),
            variant,
        })
    }

    /// Channel, tail and variant of a suffix in lower case; `None` where nothing is known about a part of it.
    fn read_suffix(&self, suffix: &str) -> Option<Suffix> {
        enum Before {
            Nothing,
            Channel,
            Variant,
        }
        let mut channel = None;
        let mut tail = SmallVec::new();
        let mut variant = String::new();
        let mut before = Before::Nothing;
        let mut offset: usize = 0;
        for identifier in suffix.split(['.', '-']) {
            // The separator in front of this identifier; nothing in front of the first one.
            let separator = offset
                .checked_sub(1)
                .and_then(|at| suffix.get(at..offset))
                .unwrap_or("");
            offset += identifier.len() + 1;
            if identifier.is_empty() {
                return None;
            }
            if identifier.bytes().all(|b| b.is_ascii_digit()) {
                match before {
                    Before::Nothing => return None,
                    Before::Channel => tail.push(identifier.parse().ok()?),
                    Before::Variant if identifier.len() >= DATE_DIGITS => return None,
                    Before::Variant => {
                        variant.push_str(separator);
                        variant.push_str(identifier);
                    }
                }
                continue;
            }
            match self.identifier(identifier)? {
                (Meaning::Channel(named), digits) => {
                    if channel.is_some_and(|known| known != named) {
                        return None;
                    }
                    channel = Some(named);
                    if !digits.is_empty() {
                        tail.push(digits.parse().ok()?);
                    }
                    before = Before::Channel;
                }
                (Meaning::Variant, digits) => {
                    if digits.len() >= DATE_DIGITS {
                        return None;
                    }
                    if !variant.is_empty() {
                        variant.push_str(separator);
                    }
                    variant.push_str(identifier);
                    before = Before::Variant;
                }
                (Meaning::Alias, _) => return None,
            }
        }
        let variant = (!variant.is_empty()).then(|| variant.into_boxed_str());
        Some(Suffix {
            channel: channel.unwrap_or(Channel::Stable),
            tail,
            variant,
        })
    }

    /// One or two version numbers, or a known alias, whatever the suffix; or one word of the table alone.
    fn is_floating(&self, text: &str) -> bool {
        let (head, alone) = match text.split_once('-') {
            Some((_, "")) => return false,
            Some((head, _)) => (head, false),
            None => (text, true),
        };
        match self.meaning(&lower_case(head)) {
            Some(Meaning::Alias) => return true,
            // `nightly` and `alpine` move; `nightly-20260101` may not, and `b` could be anything.
            Some(_) if alone && head.len() > 1 => return true,
            _ => {}
        }
        let numbers = head.strip_prefix('v').unwrap_or(head);
        let parts = numbers.split('.');
        parts.clone().count() <= 2
            && parts.into_iter().all(|part| {
                (1..DATE_DIGITS).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_digit())
            })
    }
}

fn lower_case(text: &str) -> Cow<'_, str> {
    if text.bytes().any(|b| b.is_ascii_uppercase()) {
        Cow::Owned(text.to_ascii_lowercase())
    } else {
        Cow::Borrowed(text)
    }
}

/// A leading decimal number that fits, and what stands behind it.
fn number(text: &str) -> Option<(u64, &str)> {
    let end = text
        .bytes()
        .position(|b| !b.is_ascii_digit())
        .unwrap_or(text.len());
    let (digits, rest) = text.split_at(end);
    Some((digits.parse().ok()?, rest))
}

/// 7 to 40 hexadecimal digits with at least one letter, or `sha-` and 7 to 64 of them.
fn is_commit(text: &str) -> bool {
    let hex = |text: &str| text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    match text.strip_prefix("sha-") {
        Some(rest) => (7..=64).contains(&rest.len()) && hex(rest),
        None => (7..=40).contains(&text.len()) && hex(text) && text.bytes().any(|b| b.is_ascii_alphabetic()),
    }
}
