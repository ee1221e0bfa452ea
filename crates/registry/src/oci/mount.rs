//! Taking a blob over from another repository of the registry: by name, or, where it does not do that, by its bytes.

use bytes::Bytes;
use http::header::LOCATION;
use http::{HeaderValue, StatusCode};
use lagan_model::journal::RestoreIntent;
use lagan_model::{Blob, Capability, Digest, Failure, Mount, RegistryError, RepositoryName, RequestKind};
use tokio::sync::Semaphore;
use url::Url;

use super::look::is_of;
use super::{Known, OciRegistry};
use crate::action::Action;
use crate::token::Scope;
use crate::transport::{Answer, Redirects, Request};
use crate::{origin, problem};

/// The longest answer to a step of an upload that is read, in bytes.
const MAX_ANSWER_BYTES: usize = 64 * 1024;

/// How much of a blob is in memory while it is copied, in bytes. Some registries take no smaller parts than 5 MiB.
const PART_BYTES: u64 = 8 * 1024 * 1024;

/// How many blobs are copied at the same time.
const COPIES_AT_ONCE: usize = 4;

/// What was learnt about mounting.
#[derive(Debug)]
pub(super) struct Mounting {
    known: Known,
    copies: Semaphore,
}

impl Default for Mounting {
    fn default() -> Self {
        Self {
            known: Known::default(),
            copies: Semaphore::new(COPIES_AT_ONCE),
        }
    }
}

impl Mounting {
    pub(super) fn capability(&self) -> Capability {
        self.known.get()
    }
}

/// An upload that was begun: where it goes on, as each answer says anew.
struct Upload<'a> {
    place: Url,
    to: &'a RepositoryName,
}

impl OciRegistry {
    /// Mounts a blob (distribution specification, "Mounting a blob from another repository"). A registry that does not
    /// begins an upload instead, which is then used.
    pub(super) async fn take_over(
        &self,
        intent: &RestoreIntent,
        blob: &Blob,
        from: &RepositoryName,
    ) -> Result<Mount, RegistryError> {
        let to = &intent.repository;
        let mut url = self.url(&format!("{to}/blobs/uploads/"))?;
        url.query_pairs_mut()
            .append_pair("mount", &blob.digest.to_string())
            .append_pair("from", from.as_str());
        let request = step(RequestKind::Mount, url, Action::Begin);
        let scope = Scope::Mount {
            to: to.clone(),
            from: from.clone(),
        };
        let answer = self.client.get(&request, &scope).await?;
        match answer.status {
            StatusCode::CREATED => {
                is_of(&request, &answer, &blob.digest)?;
                self.mounting.known.saw(Capability::Offered);
                Ok(Mount::Mounted)
            }
            StatusCode::ACCEPTED => {
                let place = self.place(&request, &answer)?;
                let mut upload = Upload { place, to };
                let copied = self.copy(&mut upload, blob, from).await;
                if copied.is_ok() {
                    // The blob was there to be mounted.
                    self.mounting.known.saw(Capability::NotOffered);
                } else {
                    self.cancel(upload).await;
                }
                copied.map(|()| Mount::Copied)
            }
            _ => Err(self.refused(&request, &answer, &scope)),
        }
    }

    async fn copy(
        &self,
        upload: &mut Upload<'_>,
        blob: &Blob,
        from: &RepositoryName,
    ) -> Result<(), RegistryError> {
        // Never closed.
        let _turn = self.mounting.copies.acquire().await.ok();
        let scope = Scope::Push(upload.to.clone());
        let mut first = 0;
        let mut rest = Bytes::new();
        while first < blob.size {
            let last = (first + PART_BYTES).min(blob.size) - 1;
            let part = self.part(from, blob, first, last).await?;
            if first == 0 && last + 1 == blob.size {
                // All of it: the last request has it with it.
                rest = part;
                break;
            }
            let action = Action::Append { first, content: part };
            let request = step(RequestKind::Copy, upload.place.clone(), action);
            let answer = self.client.get(&request, &scope).await?;
            if !matches!(answer.status, StatusCode::ACCEPTED | StatusCode::NO_CONTENT) {
                return Err(self.refused(&request, &answer, &scope));
            }
            upload.place = self.place(&request, &answer)?;
            first = last + 1;
        }
        let mut url = upload.place.clone();
        url.query_pairs_mut()
            .append_pair("digest", &blob.digest.to_string());
        let action = Action::Put {
            media_type: HeaderValue::from_static("application/octet-stream"),
            content: rest,
        };
        let request = step(RequestKind::Copy, url, action);
        let answer = self.client.get(&request, &scope).await?;
        match answer.status {
            StatusCode::CREATED | StatusCode::OK | StatusCode::NO_CONTENT => {
                is_of(&request, &answer, &blob.digest)
            }
            _ => Err(self.refused(&request, &answer, &scope)),
        }
    }

    /// Some bytes of a blob, which may come from object storage.
    async fn part(
        &self,
        from: &RepositoryName,
        blob: &Blob,
        first: u64,
        last: u64,
    ) -> Result<Bytes, RegistryError> {
        let whole = first == 0 && last + 1 == blob.size;
        let wanted = last + 1 - first;
        let limit = usize::try_from(wanted).unwrap_or(usize::MAX);
        let path = format!("{from}/blobs/{}", blob.digest);
        let mut request = self.request(RequestKind::Copy, &path, "*/*", limit)?;
        request.redirects = Redirects::Anywhere;
        if !whole {
            request.action = Action::Part { first, last };
        }
        let scope = Scope::Pull(from.clone());
        let answer = self.client.get(&request, &scope).await?;
        match answer.status {
            StatusCode::OK if whole => {}
            StatusCode::PARTIAL_CONTENT if !whole => {}
            StatusCode::OK => {
                return Err(problem::malformed(
                    &request,
                    "the registry serves no part of a blob",
                ));
            }
            _ => return Err(self.client.refusal(&request, &answer, &scope)),
        }
        let is_wrong = whole && blob.digest.verifies(&answer.body) == Some(false);
        if is_wrong || answer.body.len() as u64 != wanted {
            return Err(not_of(&request, &answer, &blob.digest));
        }
        Ok(answer.body)
    }

    /// Gives an upload up. The registry forgets it sooner or later anyway.
    async fn cancel(&self, upload: Upload<'_>) {
        let scope = Scope::Delete(upload.to.clone());
        let request = step(RequestKind::Copy, upload.place, Action::Delete);
        if let Err(error) = self.client.get(&request, &scope).await {
            tracing::debug!(%error, "an upload could not be given up");
        }
    }

    /// Where an upload goes on: at the registry itself, or nowhere.
    fn place(&self, request: &Request, answer: &Answer) -> Result<Url, RegistryError> {
        let location = answer.header(&LOCATION);
        let next = location.and_then(|location| request.url.join(location).ok());
        match next {
            Some(next) if origin::same(&next, &self.root) => Ok(next),
            Some(next) => {
                let detail = format!(
                    "the upload would go on at {}: bytes go to the registry alone",
                    problem::clean(&origin::shown(&next))
                );
                Err(RegistryError::new(Failure::Refused, request.line(), detail))
            }
            None => Err(problem::malformed(
                request,
                "the answer says not where the upload goes on",
            )),
        }
    }
}

fn step(kind: RequestKind, url: Url, action: Action) -> Request {
    Request {
        kind,
        url,
        accept: HeaderValue::from_static("application/json"),
        limit: MAX_ANSWER_BYTES,
        redirects: Redirects::Never,
        action,
    }
}

fn not_of(request: &Request, answer: &Answer, digest: &Digest) -> RegistryError {
    let detail = format!("{} bytes came that are not those of {digest}", answer.body.len());
    RegistryError::new(Failure::DigestMismatch, request.line(), detail)
}
