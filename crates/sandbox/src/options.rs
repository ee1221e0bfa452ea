//! How a sandbox behaves, chosen at its start.

use std::time::Duration;

use crate::auth::Auth;
use crate::content::{CorpusOptions, ReferrersStyle};
use crate::faults::Fault;
use crate::harbor::HarborOptions;
use crate::profile::Profile;

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
    /// By digest; by tag 405 `UNSUPPORTED`.
    TagsUnsupported,
    /// A digest only when no tag is left on it, refused otherwise with this status and code; single tags.
    UntaggedOnly {
        /// The status.
        status: u16,
        /// The code.
        code: &'static str,
    },
    /// Never: 405 `UNSUPPORTED`.
    Disabled,
    /// Never: a router that knows no such path answers, 404 in plain text.
    NoRoute,
}

/// What becomes of a question for the catalog.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CatalogAnswer {
    /// The repositories, to whoever is allowed.
    Listed,
    /// None, as if there were none.
    Empty,
    /// 401 `UNAUTHORIZED`, whoever asks.
    Unauthorized,
    /// 405 `UNSUPPORTED`.
    Unsupported,
    /// 404 in plain text.
    NoRoute,
}

/// What becomes of an `n` beyond the limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Oversized {
    /// 400 `PAGINATION_NUMBER_INVALID`.
    Refused,
    /// 405 `UNSUPPORTED`, and the limit in words.
    RefusedInWords,
    /// As many as the limit.
    Capped,
}

/// What leads to the next page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Links {
    /// A Link without scheme and host.
    Relative,
    /// A Link with scheme and host.
    Absolute,
    /// None: who wants more asks for what is behind the last name.
    Missing,
}

/// What differs between registries that all speak OCI Distribution.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Behaviour {
    /// Whether there is a catalog.
    pub catalog: CatalogAnswer,
    /// Names on a catalog page where `n` is not given.
    pub catalog_page: usize,
    /// The largest `n` of the catalog; what becomes of a larger one, [`Behaviour::oversized`] says.
    pub catalog_limit: usize,
    /// How tags are listed.
    pub tag_listing: TagListing,
    /// Tags on a page where `n` is not given; all of them where `None`.
    pub tag_page: Option<usize>,
    /// The largest `n` of a tag list, as [`Behaviour::catalog_limit`]; no limit where `None`.
    pub tag_limit: Option<usize>,
    /// What becomes of an `n` beyond a limit.
    pub oversized: Oversized,
    /// What leads to the next page.
    pub links: Links,
    /// Lists of tags have fields that the specification does not know.
    pub foreign_fields: bool,
    /// A repository without tags lists `null` instead of an empty array.
    pub empty_tags_are_null: bool,
    /// What can be deleted.
    pub deletion: Deletion,
    /// No tag can be deleted singly (405 `UNSUPPORTED`), whatever [`Behaviour::deletion`] says.
    pub tags_are_not_deleted: bool,
    /// Deleting takes the right to push, and not one of its own.
    pub delete_takes_push: bool,
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
    /// ... and not only in answers to HEAD.
    pub digest_header_on_get: bool,
}

impl Behaviour {
    /// Everything the specification offers, to the letter.
    #[must_use]
    pub fn strict() -> Self {
        Self {
            catalog: CatalogAnswer::Listed,
            catalog_page: 100,
            catalog_limit: 1_000,
            tag_listing: TagListing::Paged,
            tag_page: None,
            tag_limit: None,
            oversized: Oversized::Refused,
            links: Links::Relative,
            foreign_fields: false,
            empty_tags_are_null: false,
            deletion: Deletion::ByTagToo,
            tags_are_not_deleted: false,
            delete_takes_push: false,
            accept_must_name_the_type: false,
            referrers_api: true,
            referrers_filter: true,
            mount: true,
            verify_references: true,
            digest_header: true,
            digest_header_on_get: true,
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
    /// Who may do what; on a Harbor its accounts say so instead.
    pub auth: Auth,
    /// Harbor's API beside `/v2`, where there is one.
    pub harbor: Option<HarborOptions>,
    /// What goes wrong from the start; more with [`crate::Faults::push`].
    pub faults: Vec<Fault>,
    /// Added before every answer, in the runtime's time.
    pub latency: Duration,
    /// How many requests are answered at the same time; one more is 429 at once. `None`: any number.
    pub at_once: Option<usize>,
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
            behaviour: Behaviour::strict(),
            auth: Auth::Anonymous,
            harbor: None,
            faults: Vec::new(),
            latency: Duration::ZERO,
            at_once: None,
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

    /// A Harbor, with its API beside `/v2` ([`Profile::Harbor`] is the latter alone).
    #[must_use]
    pub fn harbor(mut self, harbor: HarborOptions) -> Self {
        self = self.profile(Profile::Harbor);
        self.harbor = Some(harbor);
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
