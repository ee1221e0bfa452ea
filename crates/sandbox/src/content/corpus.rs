//! A whole registry as a pure function of its options.

use super::Content;
use super::archetype::{ARCHETYPES, Archetype};
use super::generate;
use crate::moment::Moment;
use crate::random::Random;

/// Which media types and artifacts the corpus has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Media {
    /// OCI, Docker in some repositories, charts, signatures and referrers.
    #[default]
    Mixed,
    /// An older registry: Docker media types only; no charts, signatures or referrers.
    Docker,
    /// As mixed, without Docker media types.
    Oci,
}

/// How referrers are found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ReferrersStyle {
    /// Clients found no API and keep an index under the tag `sha256-<hex>`.
    #[default]
    FallbackTag,
    /// The registry lists them itself: no tags.
    Api,
}

/// What a corpus is a function of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CorpusOptions {
    /// Equal seeds are equal digests.
    pub seed: u64,
    /// How many repositories; zero is an empty registry.
    pub repositories: usize,
    /// How many tags each repository has, exactly.
    pub tags: usize,
    /// The present of the corpus: nothing in it is newer.
    pub anchor: Moment,
    /// Media types.
    pub media: Media,
    /// Where referrers are.
    pub referrers: ReferrersStyle,
}

impl Default for CorpusOptions {
    /// Nothing at all, as of 2026-11-01.
    fn default() -> Self {
        Self {
            seed: 1,
            repositories: 0,
            tags: 50,
            anchor: Moment::date(2026, 11, 1),
            media: Media::default(),
            referrers: ReferrersStyle::default(),
        }
    }
}

/// The content of a registry, made one repository at a time.
#[derive(Debug, Clone)]
pub struct Corpus {
    options: CorpusOptions,
}

const TEAMS: [&str; 8] = [
    "platform",
    "payments",
    "identity",
    "search",
    "data",
    "edge",
    "mobile",
    "observability",
];
const SERVICES: [&str; 12] = [
    "api",
    "worker",
    "gateway",
    "billing",
    "catalogue",
    "ingest",
    "mailer",
    "auth_proxy",
    "web.ui",
    "scheduler",
    "exporter",
    "reports",
];

impl Corpus {
    /// The corpus of these options.
    #[must_use]
    pub fn new(options: CorpusOptions) -> Self {
        Self { options }
    }

    /// What it is a function of.
    #[must_use]
    pub fn options(&self) -> &CorpusOptions {
        &self.options
    }

    /// How many repositories there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.options.repositories
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The name of repository `index`; a name for any number, also beyond [`Corpus::len`].
    #[must_use]
    pub fn name(&self, index: usize) -> String {
        let mut random = Random::new(self.options.seed, 0x000a_a3e5 ^ (index as u64) << 8);
        let team = random.pick(&TEAMS).copied().unwrap_or("platform");
        let service = random.pick(&SERVICES).copied().unwrap_or("api");
        match self.archetype(index).folder {
            "" if random.chance(20) => format!("{team}/internal/{service}-{index}"),
            "" => format!("{team}/{service}-{index}"),
            folder => format!("{folder}/{service}-{index}"),
        }
    }

    /// Every name, in the order of the repositories' numbers.
    pub fn names(&self) -> impl Iterator<Item = String> {
        (0..self.len()).map(|index| self.name(index))
    }

    /// Makes repository `index`: the truth about it.
    #[must_use]
    pub fn repository(&self, index: usize) -> Content {
        generate::repository(&self.options, &self.archetype(index), index, &self.name(index))
    }

    /// Makes every repository, one after another.
    pub fn repositories(&self) -> impl Iterator<Item = Content> {
        (0..self.len()).map(|index| self.repository(index))
    }

    fn archetype(&self, index: usize) -> Archetype {
        let mut archetype = ARCHETYPES[index % ARCHETYPES.len()].clone();
        match self.options.media {
            Media::Mixed => {}
            Media::Oci => archetype.docker = false,
            Media::Docker => {
                archetype.docker = true;
                archetype.chart = false;
                (archetype.signatures, archetype.attestations) = (0, 0);
                (archetype.sboms, archetype.referrers) = (0, 0);
            }
        }
        archetype
    }
}
