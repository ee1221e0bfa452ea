//! The table of words: which channel a suffix means, and which words are variants.

use std::collections::BTreeMap;

use rustc_hash::FxHashMap;
use serde::Serialize;
use thiserror::Error;

use super::channel::Channel;

/// What a word in a suffix, or a tag of that one word, means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Meaning {
    /// The version is in this channel.
    Channel(Channel),
    /// The same release, built another way.
    Variant,
    /// Not in a suffix: a tag of this name, alone or with a suffix, moves.
    Alias,
}

/// Why a word cannot be in the table.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("a word of the table has letters and digits only, the first a letter; {0:?} does not")]
pub struct WordError(String);

const DEFAULTS: &[(Meaning, &[&str])] = &[
    (Meaning::Channel(Channel::Stable), &["release", "ga", "final"]),
    (Meaning::Channel(Channel::Rc), &["rc", "cr"]),
    (Meaning::Channel(Channel::Beta), &["beta", "b", "m", "milestone"]),
    (
        Meaning::Channel(Channel::Alpha),
        &["alpha", "a", "preview", "pre"],
    ),
    (
        Meaning::Channel(Channel::Nightly),
        &["nightly", "snapshot", "dev", "canary"],
    ),
    (
        Meaning::Alias,
        &[
            "latest", "stable", "edge", "current", "lts", "mainline", "rolling",
        ],
    ),
    (Meaning::Variant, DISTRIBUTIONS),
    (Meaning::Variant, PLATFORMS),
    (Meaning::Variant, RUNTIMES),
];

const DISTRIBUTIONS: &[&str] = &[
    "alpine",
    "debian",
    "stretch",
    "buster",
    "bullseye",
    "bookworm",
    "trixie",
    "ubuntu",
    "bionic",
    "focal",
    "jammy",
    "noble",
    "ubi",
    "rhel",
    "el",
    "centos",
    "rocky",
    "almalinux",
    "fedora",
    "amazonlinux",
    "photon",
    "distroless",
    "wolfi",
    "busybox",
    "scratch",
    "windowsservercore",
    "nanoserver",
    "ltsc",
    "windows",
    "linux",
    "darwin",
    "musl",
    "glibc",
    "slim",
    "minimal",
    "full",
    "fat",
    "rootless",
    "nonroot",
    "fips",
];

const PLATFORMS: &[&str] = &[
    "amd64", "arm64", "arm", "armv5", "armv6", "armv7", "armv8", "armhf", "armel", "arm32v5", "arm32v6",
    "arm32v7", "arm64v8", "aarch64", "i386", "i686", "x86", "x64", "ppc64le", "s390x", "riscv64", "mips64le",
    "loong64",
];

const RUNTIMES: &[&str] = &[
    "cuda", "cudnn", "rocm", "gpu", "cpu", "jdk", "jre", "openjdk", "temurin", "corretto", "graal", "python",
    "py", "node", "php", "fpm", "apache", "cli", "ruby", "go", "perl", "otp",
];

/// Words that count only as whole identifiers: `-b.3` is a beta, `-b200` is a graphics card.
const WHOLE_ONLY: usize = 1;

/// The words by which tags are read. Teams extend it.
#[derive(Debug, Clone)]
pub struct VersionTable {
    /// Only a configuration adds to it, so that nobody outside can make it slow.
    words: FxHashMap<String, Meaning>,
    /// What was added to the default words: these decide as much as a policy does.
    added: BTreeMap<String, Meaning>,
}

impl Default for VersionTable {
    fn default() -> Self {
        let words = DEFAULTS
            .iter()
            .flat_map(|(meaning, words)| words.iter().map(|word| ((*word).to_owned(), *meaning)));
        Self {
            words: words.collect(),
            added: BTreeMap::new(),
        }
    }
}

impl VersionTable {
    /// Adds a word, or gives a known one another meaning. Case does not count.
    ///
    /// # Errors
    ///
    /// When the word could never be met in a tag: only letters and digits, the first a letter.
    pub fn add(&mut self, word: &str, meaning: Meaning) -> Result<(), WordError> {
        let well_formed = word.starts_with(|c: char| c.is_ascii_alphabetic())
            && word.bytes().all(|b| b.is_ascii_alphanumeric());
        if !well_formed {
            return Err(WordError(word.to_owned()));
        }
        let word = word.to_ascii_lowercase();
        self.words.insert(word.clone(), meaning);
        self.added.insert(word, meaning);
        Ok(())
    }

    /// The words that were added to the default ones, in lower case and in the order of their bytes.
    #[must_use]
    pub fn added(&self) -> &BTreeMap<String, Meaning> {
        &self.added
    }

    /// What a whole word means, in lower case.
    pub(super) fn meaning(&self, word: &str) -> Option<Meaning> {
        self.words.get(word).copied()
    }

    /// What an identifier of a suffix means: the identifier itself, or the word before its trailing digits.
    pub(super) fn identifier<'t>(&self, identifier: &'t str) -> Option<(Meaning, &'t str)> {
        if let Some(meaning) = self.meaning(identifier) {
            return Some((meaning, ""));
        }
        let word = identifier.trim_end_matches(|c: char| c.is_ascii_digit());
        if word.len() <= WHOLE_ONLY || word.len() == identifier.len() {
            return None;
        }
        self.meaning(word)
            .map(|meaning| (meaning, &identifier[word.len()..]))
    }
}
