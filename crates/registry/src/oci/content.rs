//! Manifests and blobs: bytes that are what their digest says, or an error.

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderName};
use lagan_model::manifest::MAX_MANIFEST_BYTES;
use lagan_model::{
    Digest, Failure, Manifest, MediaType, Reference, RegistryError, RepositoryName, RequestKind,
};

use super::OciRegistry;
use crate::problem;
use crate::token::Scope;
use crate::transport::{Answer, Redirects, Request};

/// What a registry says that the digest is.
const CONTENT_DIGEST: HeaderName = HeaderName::from_static("docker-content-digest");

/// Every kind of manifest, in every request: some registries answer 404 for a kind that is not listed. The test
/// compares it with [`MediaType::MANIFESTS`].
pub(super) const ACCEPT_MANIFESTS: &str = "application/vnd.oci.image.manifest.v1+json, \
    application/vnd.oci.image.index.v1+json, \
    application/vnd.docker.distribution.manifest.v2+json, \
    application/vnd.docker.distribution.manifest.list.v2+json, \
    application/vnd.oci.artifact.manifest.v1+json";

impl OciRegistry {
    /// A manifest (distribution specification, "Pulling manifests").
    pub(super) async fn read_manifest(
        &self,
        repository: &RepositoryName,
        reference: &Reference,
    ) -> Result<Manifest, RegistryError> {
        let path = format!("{repository}/manifests/{reference}");
        let request = self.request(RequestKind::Manifest, &path, ACCEPT_MANIFESTS, MAX_MANIFEST_BYTES)?;
        let answer = self
            .client
            .get_ok(&request, &Scope::Pull(repository.clone()))
            .await?;
        let digest = digest(&request, &answer, reference)?;
        let media_type = content_type(&request, &answer)?;
        let read = Manifest::read(answer.body, digest, media_type.as_ref());
        let manifest = read.map_err(|error| {
            let detail = problem::clean(&error.to_string());
            problem::malformed(&request, detail)
        })?;
        self.media_types.saw(manifest.media_type());
        Ok(manifest)
    }

    /// A blob that fits in memory (distribution specification, "Pulling blobs"). It may come from object storage.
    pub(super) async fn read_blob(
        &self,
        repository: &RepositoryName,
        digest: &Digest,
        limit: usize,
    ) -> Result<Bytes, RegistryError> {
        let path = format!("{repository}/blobs/{digest}");
        let mut request = self.request(RequestKind::ConfigBlob, &path, "*/*", limit)?;
        request.redirects = Redirects::Anywhere;
        let answer = self
            .client
            .get_ok(&request, &Scope::Pull(repository.clone()))
            .await?;
        verify(&request, &answer, digest)?;
        Ok(answer.body)
    }
}

/// The digest of a manifest's bytes: the one asked for, or the one the registry states, or else their `sha256`.
fn digest(request: &Request, answer: &Answer, reference: &Reference) -> Result<Digest, RegistryError> {
    let stated = stated_digest(request, answer)?;
    if let Some(digest) = &stated {
        verify(request, answer, digest)?;
    }
    match (reference, stated) {
        (Reference::Digest(asked), stated) => {
            if stated.as_ref() != Some(asked) {
                verify(request, answer, asked)?;
            }
            Ok(asked.clone())
        }
        (Reference::Tag(_), Some(stated)) => Ok(stated),
        (Reference::Tag(_), None) => Ok(Digest::of(&answer.body)),
    }
}

/// What the response says that the digest is.
pub(super) fn stated_digest(request: &Request, answer: &Answer) -> Result<Option<Digest>, RegistryError> {
    let Some(value) = answer.headers.get(CONTENT_DIGEST) else {
        return Ok(None);
    };
    let text = String::from_utf8_lossy(value.as_bytes());
    text.trim().parse().map(Some).map_err(|error| {
        let shown = problem::quoted(&text);
        problem::malformed(request, format!("Docker-Content-Digest is {shown}: {error}"))
    })
}

fn verify(request: &Request, answer: &Answer, digest: &Digest) -> Result<(), RegistryError> {
    let detail = match digest.verifies(&answer.body) {
        Some(true) => return Ok(()),
        Some(false) => format!(
            "the content hashes to {}, not to {digest}",
            Digest::of(&answer.body)
        ),
        None => format!(
            "{} digests cannot be verified here",
            problem::clean(digest.algorithm())
        ),
    };
    Err(RegistryError::new(
        Failure::DigestMismatch,
        request.line(),
        detail,
    ))
}

/// What the response says that the content is.
pub(super) fn content_type(request: &Request, answer: &Answer) -> Result<Option<MediaType>, RegistryError> {
    let Some(value) = answer.headers.get(CONTENT_TYPE) else {
        return Ok(None);
    };
    let text = String::from_utf8_lossy(value.as_bytes());
    text.parse().map(Some).map_err(|error| {
        let shown = problem::quoted(&text);
        problem::malformed(request, format!("Content-Type is {shown}: {error}"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_manifest_that_is_read_is_asked_for() {
        let listed: Vec<_> = ACCEPT_MANIFESTS.split(", ").collect();
        let known: Vec<_> = MediaType::MANIFESTS
            .iter()
            .map(|known| known.as_str().to_owned())
            .collect();
        assert_eq!(listed, known);
    }
}
