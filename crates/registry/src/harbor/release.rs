//! Releases of Harbor.

/// A release, by which one tells what a Harbor offers; later ones are greater.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct HarborRelease {
    /// The first number.
    pub major: u64,
    /// The second.
    pub minor: u64,
}

impl HarborRelease {
    /// That of a version as Harbor writes it (`v2.11.0-6ce0fd0b`); `None` where it begins otherwise.
    #[must_use]
    pub fn of(version: &str) -> Option<Self> {
        let mut numbers = version.strip_prefix('v').unwrap_or(version).split(['.', '-']);
        let mut next = || numbers.next()?.parse().ok();
        Some(Self {
            major: next()?,
            minor: next()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn releases_are_read_and_compared_as_numbers() {
        let release = |major, minor| Some(HarborRelease { major, minor });
        for (version, expected) in [
            ("v2.8.4-4ca9b4a1", release(2, 8)),
            ("v2.11.0-6ce0fd0b", release(2, 11)),
            ("v2.15.0", release(2, 15)),
            ("2.9", release(2, 9)),
            ("dev", None),
            ("", None),
        ] {
            assert_eq!(HarborRelease::of(version), expected, "{version}");
        }
        let of = |version| HarborRelease::of(version).unwrap();
        assert!(of("v2.9.9") < of("v2.11.0") && of("v3.0") > of("v2.11.0"));
    }
}
