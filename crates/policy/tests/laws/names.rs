//! Tags whose reading is written down here, so that the oracle does not read them by the code that it checks.

use std::cmp::Ordering;

/// A tag of the pool, and what it means by the table of channels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Name {
    pub(crate) tag: &'static str,
    pub(crate) channel: &'static str,
    pub(crate) numbers: Option<[u64; 3]>,
    /// The numbers behind the channel's word.
    pub(crate) tail: &'static [u64],
    pub(crate) variant: Option<&'static str>,
}

const fn full(tag: &'static str, channel: &'static str, numbers: [u64; 3], tail: &'static [u64]) -> Name {
    Name {
        tag,
        channel,
        numbers: Some(numbers),
        tail,
        variant: None,
    }
}

const fn alpine(tag: &'static str, channel: &'static str, numbers: [u64; 3], tail: &'static [u64]) -> Name {
    Name {
        tag,
        channel,
        numbers: Some(numbers),
        tail,
        variant: Some("alpine"),
    }
}

const fn bare(tag: &'static str, channel: &'static str) -> Name {
    Name {
        tag,
        channel,
        numbers: None,
        tail: &[],
        variant: None,
    }
}

pub(crate) const POOL: &[Name] = &[
    full("1.0.0", "stable", [1, 0, 0], &[]),
    full("v1.0.1", "stable", [1, 0, 1], &[]),
    full("1.1.0", "stable", [1, 1, 0], &[]),
    full("v1.1.0-release", "stable", [1, 1, 0], &[]),
    full("2.0.0", "stable", [2, 0, 0], &[]),
    full("10.0.0", "stable", [10, 0, 0], &[]),
    full("1.1.0-rc.1", "rc", [1, 1, 0], &[1]),
    full("1.1.0-rc.2", "rc", [1, 1, 0], &[2]),
    full("1.1.0-rc10", "rc", [1, 1, 0], &[10]),
    full("1.1.0-beta.3", "beta", [1, 1, 0], &[3]),
    full("1.1.0-alpha", "alpha", [1, 1, 0], &[]),
    full("1.2.0-nightly.20260101", "nightly", [1, 2, 0], &[20_260_101]),
    full("1.2.0-nightly.20260102", "nightly", [1, 2, 0], &[20_260_102]),
    full("2.0.0-rc.1", "rc", [2, 0, 0], &[1]),
    alpine("1.0.0-alpine", "stable", [1, 0, 0], &[]),
    alpine("1.1.0-alpine", "stable", [1, 1, 0], &[]),
    alpine("1.1.0-rc.1-alpine", "rc", [1, 1, 0], &[1]),
    alpine("2.0.0-alpine", "stable", [2, 0, 0], &[]),
    full("2.3.1-a100", "unknown", [2, 3, 1], &[]),
    full("1.4.0-20260101", "unknown", [1, 4, 0], &[]),
    bare("1", "floating"),
    bare("1.1", "floating"),
    bare("latest", "floating"),
    bare("edge-alpine", "floating"),
    bare("9f8e7d6", "commit"),
    bare("sha-1234567", "commit"),
    bare("pr-7", "unknown"),
    bare("pr-12", "unknown"),
    bare("pr-71", "unknown"),
    bare("main", "unknown"),
];

impl Name {
    pub(crate) fn is_prerelease(&self) -> bool {
        matches!(self.channel, "rc" | "beta" | "alpha" | "nightly")
    }

    /// By version: numbers, channel, tail. Every unknown suffix of the pool has numbers of its own.
    pub(crate) fn version_key(&self) -> Option<([u64; 3], usize, &'static [u64])> {
        let order = ["unknown", "nightly", "alpha", "beta", "rc", "stable"];
        let channel = order.iter().position(|channel| *channel == self.channel);
        Some((self.numbers?, channel?, self.tail))
    }

    /// Strict semver: what stands behind the first dash is a prerelease, whatever it means.
    pub(crate) fn compare_semver(&self, other: &Self) -> Ordering {
        fn prerelease(name: &Name) -> Option<&'static str> {
            name.tag.split_once('-').map(|(_, prerelease)| prerelease)
        }
        self.numbers
            .cmp(&other.numbers)
            .then_with(|| match (prerelease(self), prerelease(other)) {
                (None, None) => Ordering::Equal,
                (None, Some(_)) => Ordering::Greater,
                (Some(_), None) => Ordering::Less,
                (Some(a), Some(b)) => {
                    let identifiers = |text: &'static str| {
                        // Numbers are below words, and fewer identifiers below more.
                        text.split('.').map(|part| match part.parse::<u64>() {
                            Ok(number) => (0, number, ""),
                            Err(_) => (1, 0, part),
                        })
                    };
                    identifiers(a).cmp(identifiers(b))
                }
            })
    }

    /// By name: runs of digits as numbers, other characters by their bytes.
    pub(crate) fn natural_key(&self) -> Vec<(u8, u64)> {
        let mut key: Vec<(u8, u64)> = Vec::new();
        let mut in_run = false;
        for byte in self.tag.bytes() {
            match key.last_mut() {
                Some((_, number)) if byte.is_ascii_digit() && in_run => {
                    *number = *number * 10 + u64::from(byte - b'0');
                }
                _ if byte.is_ascii_digit() => key.push((b'0', u64::from(byte - b'0'))),
                _ => key.push((byte, 0)),
            }
            in_run = byte.is_ascii_digit();
        }
        key
    }
}
