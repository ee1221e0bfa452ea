//! How a sandbox behaves, chosen at its start.

use std::time::Duration;

use crate::auth::Auth;
use crate::content::{CorpusOptions, ReferrersStyle};
use crate::faults::Fault;

/// What `tags/list` does with `n` and `last`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TagListing {
    /// Byte order, pages by `n` and `last` with a Link; without `n` everything unless
    /// [`Behaviour::tag_page`] says otherwise.
    Paged,
    /// Everything in no order and without a Link, whatever is asked (docker-registry 2.8).
    WholeUnsorted,
}

/// What deletion is allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Deletion {
    /// By digest and by tag.
    ByTagToo,
    /// By digest; by tag 400 `DIGEST_INVALID` (docker-registry 2.8).
    ByDigestOnly,
    /// Never: 405 `UNSUPPORTED`.
    Disabled,
}

/// What differs between registries that all speak OCI Distribution.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Behaviour {
    /// Names on a catalog page where `n` is not given.
    pub catalog_page: usize,
    /// The largest `n` of the catalog; a larger one is 400 `PAGINATION_NUMBER_INVALID`.
    pub catalog_limit: usize,
    /// How tags are listed.
    pub tag_listing: TagListing,
    /// Tags on a page where `n` is not given; all of them where `None`.
    pub tag_page: Option<usize>,
    /// The largest `n` of a tag list, as [`Behaviour::catalog_limit`]; no limit where `None`.
    pub tag_limit: Option<usize>,
    /// A repository without tags lists `null` instead of an empty array.
    pub empty_tags_are_null: bool,
    /// What can be deleted.
    pub deletion: Deletion,
    /// A manifest of a type that `Accept` does not name outright is 404, `*/*` or not; a Docker list is then
    /// replaced by its first `linux/amd64` child (docker-registry 2.8 and 3). What 2.8 does besides, a Docker manifest
    /// rewritten to schema 1 and signed anew for a client that accepts neither, is not imitated.
    pub accept_must_name_the_type: bool,
    /// `/v2/<name>/referrers/<digest>` exists; otherwise it is 404.
    pub referrers_api: bool,
    /// The referrers API applies `artifactType` and says so in `OCI-Filters-Applied`.
    pub referrers_filter: bool,
    /// A mount from another repository succeeds with 201; otherwise it opens an upload, 202.
    pub mount: bool,
    /// PUT refuses a manifest whose children or blobs are missing, with 400.
    pub verify_references: bool,
    /// `Docker-Content-Digest` on manifests and blobs.
    pub digest_header: bool,
}

/// A registry by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Profile {
    /// Everything the specification offers, to the letter.
    #[default]
    Strict,
    /// docker-registry 2.8.
    Distribution28,
    /// Distribution 3.
    Distribution3,
    /// zot 2.
    Zot,
}

impl Profile {
    /// How this registry behaves.
    #[must_use]
    pub fn behaviour(self) -> Behaviour {
        let strict = Behaviour {
            catalog_page: 100,
            catalog_limit: 1_000,
            tag_listing: TagListing::Paged,
            tag_page: None,
            tag_limit: None,
            empty_tags_are_null: false,
            deletion: Deletion::ByTagToo,
            accept_must_name_the_type: false,
            referrers_api: true,
            referrers_filter: true,
            mount: true,
            verify_references: true,
            digest_header: true,
        };
        match self {
            Self::Strict => strict,
            Self::Distribution28 => Behaviour {
                tag_listing: TagListing::WholeUnsorted,
                empty_tags_are_null: true,
                deletion: Deletion::ByDigestOnly,
                accept_must_name_the_type: true,
                referrers_api: false,
                ..strict
            },
            Self::Distribution3 => Behaviour {
                accept_must_name_the_type: true,
                referrers_api: false,
                ..strict
            },
            Self::Zot => Behaviour {
                catalog_page: usize::MAX,
                catalog_limit: usize::MAX,
                ..strict
            },
        }
    }
}

/// Everything a sandbox is started with.
#[derive(Debug, Clone)]
pub struct SandboxOptions {
    /// What it holds at first.
    pub corpus: CorpusOptions,
    /// What kind of registry it is.
    pub behaviour: Behaviour,
    /// Who may do what.
    pub auth: Auth,
    /// What goes wrong from the start; more with [`crate::Faults::push`].
    pub faults: Vec<Fault>,
    /// Added before every answer, in the runtime's time.
    pub latency: Duration,
    /// On 127.0.0.1; 0 is any free port.
    pub port: u16,
    /// How many generated repositories stay in memory, some 300 KB each at a hundred tags.
    pub cached_tables: usize,
    /// How many requests the log keeps; the counts are kept always.
    pub log_capacity: usize,
}

impl Default for SandboxOptions {
    /// Empty, strict, open to everybody, without faults.
    fn default() -> Self {
        Self {
            corpus: CorpusOptions {
                referrers: ReferrersStyle::Api,
                ..CorpusOptions::default()
            },
            behaviour: Profile::Strict.behaviour(),
            auth: Auth::Anonymous,
            faults: Vec::new(),
            latency: Duration::ZERO,
            port: 0,
            cached_tables: 64,
            log_capacity: 10_000,
        }
    }
}

impl SandboxOptions {
    /// As that registry behaves; generated referrers are found the way it offers.
    #[must_use]
    pub fn profile(mut self, profile: Profile) -> Self {
        self.behaviour = profile.behaviour();
        self.corpus.referrers = if self.behaviour.referrers_api {
            ReferrersStyle::Api
        } else {
            ReferrersStyle::FallbackTag
        };
        self
    }

    /// So many generated repositories of so many tags each.
    #[must_use]
    pub fn corpus(mut self, repositories: usize, tags: usize) -> Self {
        (self.corpus.repositories, self.corpus.tags) = (repositories, tags);
        self
    }

    /// Who may do what.
    #[must_use]
    pub fn auth(mut self, auth: Auth) -> Self {
        self.auth = auth;
        self
    }

    /// One more thing that goes wrong.
    #[must_use]
    pub fn fault(mut self, fault: Fault) -> Self {
        self.faults.push(fault);
        self
    }

    /// Changes single traits of the behaviour.
    #[must_use]
    pub fn behave(mut self, change: impl FnOnce(&mut Behaviour)) -> Self {
        change(&mut self.behaviour);
        self
    }
}
