//! The kinds of repositories that registries really hold, as rows of one table.
//!
//! Which row a repository has is its number modulo ten, so any ten repositories in a row show
//! every trait.

/// What a repository's builds look like. Shares are percent of its tags; releases take the rest.
#[derive(Debug, Clone)]
pub(crate) struct Archetype {
    /// Before the version of a release: `v` or nothing.
    pub(crate) prefix: &'static str,
    /// The first part of the repository's name; a team where empty.
    pub(crate) folder: &'static str,
    pub(crate) docker: bool,
    /// Every configuration says 1970.
    pub(crate) reproducible: bool,
    pub(crate) chart: bool,
    /// Every nth release is an index; 0 for never.
    pub(crate) index_every: usize,
    /// Children of indexes carry tags (`1.4.0-amd64`).
    pub(crate) tagged_children: bool,
    /// An index takes over an unchanged child of the one before.
    pub(crate) shared_child: bool,
    /// Other bases of each release (`1.25.3-alpine`).
    pub(crate) variants: &'static [&'static str],
    /// Tags that move.
    pub(crate) floating: &'static [&'static str],
    /// Words after a version, on the same digest (`v1.2.0-prod`).
    pub(crate) promoted: &'static [&'static str],
    pub(crate) prereleases: usize,
    pub(crate) nightlies: usize,
    pub(crate) commits: usize,
    pub(crate) branches: usize,
    pub(crate) odd: usize,
    pub(crate) signatures: usize,
    pub(crate) attestations: usize,
    pub(crate) sboms: usize,
    pub(crate) referrers: usize,
}

const PLAIN: Archetype = Archetype {
    prefix: "",
    folder: "",
    docker: false,
    reproducible: false,
    chart: false,
    index_every: 0,
    tagged_children: false,
    shared_child: false,
    variants: &[],
    floating: &["latest", "stable", "prod", "staging"],
    promoted: &[],
    prereleases: 0,
    nightlies: 0,
    commits: 0,
    branches: 0,
    odd: 0,
    signatures: 0,
    attestations: 0,
    sboms: 0,
    referrers: 0,
};

/// The rows, in order of a repository's number modulo ten.
pub(crate) static ARCHETYPES: [Archetype; 10] = [
    // A service with everything in it.
    Archetype {
        prefix: "v",
        index_every: 4,
        prereleases: 14,
        nightlies: 12,
        commits: 20,
        branches: 2,
        signatures: 8,
        attestations: 3,
        sboms: 2,
        referrers: 4,
        ..PLAIN
    },
    // A base image on many distributions.
    Archetype {
        folder: "library",
        docker: true,
        index_every: 3,
        variants: &["alpine", "slim", "bookworm"],
        floating: &["latest", "alpine", "slim"],
        prereleases: 6,
        ..PLAIN
    },
    // Platforms pushed under tags of their own before the index.
    Archetype {
        index_every: 1,
        tagged_children: true,
        commits: 10,
        signatures: 5,
        ..PLAIN
    },
    // An older service in Docker's media types.
    Archetype {
        prefix: "v",
        docker: true,
        index_every: 4,
        prereleases: 15,
        nightlies: 15,
        commits: 25,
        ..PLAIN
    },
    // Machine learning: tags whose suffix is hardware or a date.
    Archetype {
        folder: "ml",
        odd: 35,
        commits: 10,
        branches: 5,
        floating: &["latest", "nightly"],
        ..PLAIN
    },
    // Built on every push, rarely released.
    Archetype {
        commits: 60,
        branches: 15,
        floating: &["latest", "canary", "dev"],
        referrers: 4,
        ..PLAIN
    },
    // Reproducible builds, with platforms that did not change between releases.
    Archetype {
        prefix: "v",
        reproducible: true,
        index_every: 2,
        shared_child: true,
        prereleases: 15,
        commits: 15,
        ..PLAIN
    },
    // Signed, attested and listed to the last image.
    Archetype {
        prefix: "v",
        index_every: 3,
        prereleases: 8,
        commits: 8,
        signatures: 20,
        attestations: 12,
        sboms: 8,
        referrers: 12,
        ..PLAIN
    },
    // Promoted from environment to environment by tag.
    Archetype {
        index_every: 6,
        floating: &["latest", "dev", "staging", "prod", "canary"],
        promoted: &["staging", "prod"],
        prereleases: 15,
        nightlies: 10,
        commits: 15,
        ..PLAIN
    },
    // Helm charts.
    Archetype {
        folder: "charts",
        chart: true,
        floating: &[],
        ..PLAIN
    },
];
