//! Which repositories there are, and which tags.

use http::StatusCode;
use lagan_model::{Failure, RegistryError, RepositoryName, RequestKind, Tag};
use oci_distribution::errors::OciErrorCode;

use super::OciRegistry;
use crate::page::Listing;
use crate::problem;
use crate::token::Scope;
use crate::transport::{Answer, Request};

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
        };
        listing.read(&self.client, no_catalog).await
    }

    /// The tags of a repository (distribution specification, "Listing Tags"), whole.
    pub(super) async fn read_tags(&self, repository: &RepositoryName) -> Result<Vec<Tag>, RegistryError> {
        let listing = Listing {
            kind: RequestKind::Tags,
            url: self.url(&format!("{repository}/tags/list"))?,
            scope: &Scope::Pull(repository.clone()),
            noun: "tag",
        };
        let refused = |request: &Request, answer: &Answer| self.client.refusal(request, answer);
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
    RegistryError::new(failure, request.line(), problem::describe(answer))
        .with_hint("this registry does not list its repositories: name them")
}
