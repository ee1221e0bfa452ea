//! Kinds of requests to a registry: the unit of cost, counted in tests, plans and metrics.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// What a request to a registry was for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RequestKind {
    /// `GET /v2/`: is there a registry, and how does it authenticate.
    Ping,
    /// A token from an authorization server.
    Token,
    /// A page of the catalog.
    Catalog,
    /// A page of a repository's tags.
    Tags,
    /// A manifest, by tag or by digest.
    Manifest,
    /// A configuration blob.
    ConfigBlob,
    /// The referrers of a digest.
    Referrers,
    /// A DELETE of something that does not exist, to learn what can be deleted.
    Probe,
    /// A HEAD of a manifest: what a tag is on, and what is there.
    Head,
    /// Whether a blob is there: its HEAD, or its first byte.
    Blob,
    /// A DELETE of a manifest or of a single tag.
    Delete,
    /// A PUT of a manifest, by digest or under a tag; a POST of a tag or a label (Harbor).
    Put,
    /// A POST that asks for a blob of another repository.
    Mount,
    /// A step of copying a blob to another repository, where the registry did not mount it.
    Copy,
    /// What kind of registry it is, and which version (Harbor).
    SystemInfo,
    /// A page of projects, or one of them (Harbor).
    Projects,
    /// A page of a project's repositories, or one of them (Harbor).
    Repositories,
    /// A page of artifacts, or one of them (Harbor).
    Artifacts,
    /// A page of a project's rules for immutable tags (Harbor).
    ImmutableRules,
    /// A page of labels (Harbor).
    Labels,
    /// When garbage is collected, a page of collections, or one of them; a POST that starts one (Harbor).
    Collections,
}

impl RequestKind {
    /// Every kind, in the order of their names in a report.
    pub const ALL: [Self; 21] = [
        Self::Ping,
        Self::Token,
        Self::Catalog,
        Self::Tags,
        Self::Manifest,
        Self::ConfigBlob,
        Self::Referrers,
        Self::Probe,
        Self::Head,
        Self::Blob,
        Self::Delete,
        Self::Put,
        Self::Mount,
        Self::Copy,
        Self::SystemInfo,
        Self::Projects,
        Self::Repositories,
        Self::Artifacts,
        Self::ImmutableRules,
        Self::Labels,
        Self::Collections,
    ];

    /// The name that reports and metrics use.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ping => "ping",
            Self::Token => "token",
            Self::Catalog => "catalog",
            Self::Tags => "tags",
            Self::Manifest => "manifest",
            Self::ConfigBlob => "config_blob",
            Self::Referrers => "referrers",
            Self::Probe => "probe",
            Self::Head => "head",
            Self::Blob => "blob",
            Self::Delete => "delete",
            Self::Put => "put",
            Self::Mount => "mount",
            Self::Copy => "copy",
            Self::SystemInfo => "system_info",
            Self::Projects => "projects",
            Self::Repositories => "repositories",
            Self::Artifacts => "artifacts",
            Self::ImmutableRules => "immutable_rules",
            Self::Labels => "labels",
            Self::Collections => "collections",
        }
    }
}

/// How many requests of each kind were sent, retries included.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RequestCounts {
    /// All of them.
    pub total: u64,
    /// Those of each kind that occurred.
    pub by_kind: BTreeMap<RequestKind, u64>,
}

impl RequestCounts {
    /// How many there were of one kind.
    #[must_use]
    pub fn of(&self, kind: RequestKind) -> u64 {
        self.by_kind.get(&kind).copied().unwrap_or(0)
    }
}

impl FromIterator<(RequestKind, u64)> for RequestCounts {
    fn from_iter<I: IntoIterator<Item = (RequestKind, u64)>>(counts: I) -> Self {
        let mut out = Self::default();
        for (kind, count) in counts.into_iter().filter(|(_, count)| *count > 0) {
            out.total += count;
            *out.by_kind.entry(kind).or_default() += count;
        }
        out
    }
}
