//! Release versions in the order in which a project publishes them.

use std::collections::BTreeMap;
use std::fmt;

use crate::random::Random;

/// `major.minor.patch`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Version {
    pub(crate) major: u64,
    pub(crate) minor: u64,
    pub(crate) patch: u64,
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.major, self.minor, self.patch)
    }
}

/// Endless versions, none twice. One in six patches an older line after a newer one is out, so
/// the order of dates is not the order of versions.
pub(crate) struct Releases {
    /// The next free patch of each line.
    lines: BTreeMap<(u64, u64), u64>,
}

impl Releases {
    pub(crate) fn new(random: &mut Random) -> Self {
        Self {
            lines: BTreeMap::from([((random.below(3), random.below(4)), 0)]),
        }
    }

    pub(crate) fn next(&mut self, random: &mut Random) -> Version {
        let newest = self.lines.last_key_value().map_or((0, 0), |(line, _)| *line);
        let line = match random.below(100) {
            0..17 => {
                let lines: Vec<_> = self.lines.keys().copied().collect();
                random.pick(&lines).copied().unwrap_or(newest)
            }
            17..23 => (newest.0 + 1, 0),
            23..50 => (newest.0, newest.1 + 1),
            _ => newest,
        };
        let patch = self.lines.entry(line).or_insert(0);
        let version = Version {
            major: line.0,
            minor: line.1,
            patch: *patch,
        };
        *patch += 1;
        version
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_distinct_and_backports_come_after_newer_lines() {
        let mut random = Random::new(3, 3);
        let mut releases = Releases::new(&mut random);
        let made: Vec<_> = (0..300).map(|_| releases.next(&mut random)).collect();
        let mut sorted = made.clone();
        sorted.sort_unstable();
        sorted.dedup();
        assert_eq!(sorted.len(), made.len());
        assert_ne!(sorted, made);
    }
}
