//! Looking before and after a change: what is there now, without reading all of it.
//!
//! A HEAD has no body, so its 404 can be anybody's: a router that is being configured has one for every path. What is
//! not there is therefore asked for with a GET, whose 404 is believed in the registry's own words only. One case is
//! spared that: a digest, from a registry that makes itself known in its headers. Nothing is ever written where such
//! an answer would be wrong; for a tag it would be, since what is not there is what an undo may put.

use http::StatusCode;
use lagan_model::manifest::MAX_MANIFEST_BYTES;
use lagan_model::{Digest, Failure, Head, Reference, RegistryError, RepositoryName, RequestKind};

use super::OciRegistry;
use super::connect::API_VERSION;
use super::content::{ACCEPT_MANIFESTS, content_type, stated_digest};
use crate::action::Action;
use crate::problem;
use crate::token::Scope;
use crate::transport::{Answer, Redirects, Request};

/// The longest answer to a question for a byte, in bytes.
const MAX_TASTE_BYTES: usize = 64 * 1024;

/// What docker-registry does that remembers in memory which blobs it has: it announces one, and breaks off.
const UNSERVED: &str = "the registry says to have the blob, and sends nothing of it: it may remember what its garbage \
    collection took until it is started again";

impl OciRegistry {
    /// What a reference is on (distribution specification, "Checking if content exists in the registry").
    pub(super) async fn look_at(
        &self,
        repository: &RepositoryName,
        reference: &Reference,
    ) -> Result<Option<Head>, RegistryError> {
        let path = format!("{repository}/manifests/{reference}");
        let mut request = self.request(RequestKind::Head, &path, ACCEPT_MANIFESTS, MAX_MANIFEST_BYTES)?;
        request.action = Action::Look;
        let scope = Scope::Pull(repository.clone());
        let answer = self.client.get(&request, &scope).await?;
        match (answer.status, reference) {
            (StatusCode::OK, _) => {
                if let Some(digest) = stated_digest(&request, &answer)? {
                    let media_type = content_type(&request, &answer)?;
                    if let Some(media_type) = &media_type {
                        self.media_types.saw(media_type);
                    }
                    return head(&request, reference, Head { digest, media_type }).map(Some);
                }
            }
            (StatusCode::NOT_FOUND, Reference::Digest(_)) if is_the_registrys_own(&answer) => {
                return Ok(None);
            }
            (StatusCode::NOT_FOUND, _) => {}
            _ => return Err(self.client.refusal(&request, &answer, &scope)),
        }
        match self.read_manifest(repository, reference).await {
            Ok(manifest) => Ok(Some(Head {
                digest: manifest.digest().clone(),
                media_type: Some(manifest.media_type().clone()),
            })),
            Err(error) if error.failure() == Failure::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Whether the first byte of a blob can be read. The HEAD before it makes registries that count uses count one.
    pub(super) async fn taste_blob(
        &self,
        repository: &RepositoryName,
        digest: &Digest,
    ) -> Result<bool, RegistryError> {
        let path = format!("{repository}/blobs/{digest}");
        let mut request = self.request(RequestKind::Blob, &path, "*/*", MAX_TASTE_BYTES)?;
        request.redirects = Redirects::Anywhere;
        request.action = Action::Look;
        let scope = Scope::Pull(repository.clone());
        let answer = self.client.get(&request, &scope).await?;
        // What storage elsewhere says to a HEAD says nothing of a GET.
        match answer.status {
            _ if answer.foreign => {}
            StatusCode::OK | StatusCode::NOT_FOUND => is_of(&request, &answer, digest)?,
            _ => return Err(self.client.refusal(&request, &answer, &scope)),
        }
        request.action = Action::Taste;
        let is_empty = || digest.verifies(b"") == Some(true);
        let mut answer = self.client.get(&request, &scope).await?;
        if answer.status.is_success() && answer.body.is_empty() && !is_empty() {
            // Once more: the connection may have been lost just then.
            answer = self.client.get(&request, &scope).await?;
        }
        match answer.status {
            StatusCode::OK | StatusCode::PARTIAL_CONTENT if !answer.body.is_empty() || is_empty() => {
                is_of(&request, &answer, digest)?;
                Ok(true)
            }
            StatusCode::OK | StatusCode::PARTIAL_CONTENT => Err(problem::malformed(&request, UNSERVED)),
            // There is no first byte.
            StatusCode::RANGE_NOT_SATISFIABLE if is_empty() => Ok(true),
            StatusCode::NOT_FOUND if !answer.foreign && problem::envelope(&answer).is_some() => Ok(false),
            _ => Err(self.client.refusal(&request, &answer, &scope)),
        }
    }
}

/// Whether an answer without a body says by its headers that a registry gave it.
fn is_the_registrys_own(answer: &Answer) -> bool {
    !answer.foreign && answer.headers.contains_key(API_VERSION)
}

/// A digest is on itself, and on nothing else.
fn head(request: &Request, reference: &Reference, head: Head) -> Result<Head, RegistryError> {
    match reference {
        Reference::Digest(asked) if *asked != head.digest => Err(other(request, asked, &head.digest)),
        Reference::Digest(_) | Reference::Tag(_) => Ok(head),
    }
}

pub(super) fn is_of(request: &Request, answer: &Answer, digest: &Digest) -> Result<(), RegistryError> {
    match stated_digest(request, answer)? {
        Some(stated) if stated != *digest => Err(other(request, digest, &stated)),
        _ => Ok(()),
    }
}

/// The registry answers with something else than was named.
pub(super) fn other(request: &Request, named: &Digest, stated: &Digest) -> RegistryError {
    let detail = format!("the registry says {stated}, and {named} was named");
    RegistryError::new(Failure::DigestMismatch, request.line(), detail)
}
