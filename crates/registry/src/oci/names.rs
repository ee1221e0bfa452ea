//! Which repositories there are, and which tags.

use std::sync::atomic::AtomicUsize;

use http::StatusCode;
use lagan_model::{Capability, Failure, RegistryError, RepositoryName, RequestKind, Tag};
use oci_distribution::errors::OciErrorCode;

use super::{Known, OciRegistry};
use crate::page::{Listing, PAGE};
use crate::problem;
use crate::token::Scope;
use crate::transport::{Answer, Request};

const MAY_NOT_LIST: &str = "who asks may not list the repositories: name them in the policy or as arguments, or in a file \
     (`--repositories-from`, or `repositories_file` of the registry)";

/// What was learnt about the listings of a registry.
#[derive(Debug)]
pub(super) struct Listings {
    pub(super) catalog: Known,
    /// How many names a page of the catalog is asked for, and of tags: as many as the registry was seen to give.
    catalog_page: AtomicUsize,
    tags_page: AtomicUsize,
}

impl Default for Listings {
    fn default() -> Self {
        Self {
            catalog: Known::default(),
            catalog_page: AtomicUsize::new(PAGE),
            tags_page: AtomicUsize::new(PAGE),
        }
    }
}

impl OciRegistry {
    /// The catalog (`GET /v2/_catalog`), whole.
    ///
    /// One name outside the grammar fails the listing. It could not be asked for safely, and leaving it out would
    /// report a registry as looked at that was not; whoever wants to go on names the repositories instead.
    pub(super) async fn read_catalog(&self) -> Result<Vec<RepositoryName>, RegistryError> {
        let listing = Listing {
            kind: RequestKind::Catalog,
            url: self.url("_catalog")?,
            scope: &Scope::Catalog,
            noun: "repository name",
            page: &self.listings.catalog_page,
        };
        let read = listing.read(&self.client, no_catalog).await.map_err(|error| {
            // Some refuse it where they give out tokens already (<https://github.com/oras-project/oras/issues/1128>).
            match error.failure() {
                Failure::Denied => error.with_hint(MAY_NOT_LIST),
                _ => error,
            }
        });
        self.listings.catalog.saw(match &read {
            // Some show those who may not list them no repositories.
            Ok(names) if names.is_empty() => Capability::Unknown,
            Ok(_) => Capability::Offered,
            Err(error) if error.failure() == Failure::Unsupported => Capability::NotOffered,
            Err(_) => Capability::Unknown,
        });
        read
    }

    /// The tags of a repository (distribution specification, "Listing Tags"), whole.
    pub(super) async fn read_tags(&self, repository: &RepositoryName) -> Result<Vec<Tag>, RegistryError> {
        let scope = Scope::Pull(repository.clone());
        let listing = Listing {
            kind: RequestKind::Tags,
            url: self.url(&format!("{repository}/tags/list"))?,
            scope: &scope,
            noun: "tag",
            page: &self.listings.tags_page,
        };
        let refused = |request: &Request, answer: &Answer| self.client.refusal(request, answer, &scope);
        listing.read(&self.client, refused).await
    }
}

/// The catalog is no part of the specification, and hosted registries do not have it, or not for everybody.
fn no_catalog(request: &Request, answer: &Answer) -> RegistryError {
    let failure = match answer.status {
        _ if problem::has_code(answer, &OciErrorCode::Unsupported) => Failure::Unsupported,
        StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED | StatusCode::NOT_IMPLEMENTED => {
            Failure::Unsupported
        }
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Failure::Denied,
        _ => return problem::refusal(request, answer),
    };
    let detail = match failure {
        Failure::Denied => problem::denied(answer, &Scope::Catalog),
        _ => problem::describe(answer),
    };
    RegistryError::new(failure, request.line(), detail).with_hint(
        "this registry does not list its repositories: name them in the policy or as arguments, or in a file \
         (`--repositories-from`, or `repositories_file` of the registry)",
    )
}
