//! Deleting and putting back: sent once, never redirected, and never believed without a look afterwards.

use http::{HeaderValue, StatusCode};
use lagan_model::journal::{DeleteIntent, RecordedRestore, UntagIntent};
use lagan_model::{
    Capability, Deletion, Failure, Reference, RegistryError, RepositoryName, RequestKind, Tag,
};
use oci_distribution::errors::OciErrorCode;

use super::OciRegistry;
use super::content::stated_digest;
use super::look::other;
use crate::action::Action;
use crate::problem;
use crate::token::Scope;
use crate::transport::{Answer, Redirects, Request};

/// The longest answer to a change that is read, in bytes.
const MAX_ANSWER_BYTES: usize = 64 * 1024;

impl OciRegistry {
    /// Deletes by digest (distribution specification, "Deleting Manifests"): by a tag, another artifact could go that
    /// the tag was moved to in between.
    pub(super) async fn delete_manifest(&self, intent: &DeleteIntent) -> Result<Deletion, RegistryError> {
        let reference = Reference::Digest(intent.digest.clone());
        let done = self.send_delete(&intent.repository, &reference).await;
        self.deletion.manifest.saw(shown_by(&done));
        done
    }

    /// Deletes a tag (distribution specification, "Deleting Tags"), where this registry was seen to: others delete the
    /// manifest with all its tags, or nothing.
    pub(super) async fn delete_tag(&self, intent: &UntagIntent) -> Result<Deletion, RegistryError> {
        let reference = Reference::Tag(intent.tag.clone());
        if self.deletion.tag.get() != Capability::Offered {
            let detail = "not sent: nobody has seen this registry delete a single tag";
            let unsent = self.change(
                &intent.repository,
                &reference,
                RequestKind::Delete,
                Action::Delete,
            )?;
            return Err(RegistryError::new(Failure::Unsupported, unsent.line(), detail));
        }
        self.send_delete(&intent.repository, &reference).await
    }

    async fn send_delete(
        &self,
        repository: &RepositoryName,
        reference: &Reference,
    ) -> Result<Deletion, RegistryError> {
        let request = self.change(repository, reference, RequestKind::Delete, Action::Delete)?;
        let scope = Scope::Delete(repository.clone());
        let answer = self.client.get(&request, &scope).await?;
        match answer.status {
            StatusCode::ACCEPTED | StatusCode::OK | StatusCode::NO_CONTENT => Ok(Deletion::Accepted),
            StatusCode::NOT_FOUND if says_it_is_not_there(&answer) => Ok(Deletion::NotFound),
            _ => Err(self.refused(&request, &answer, &scope)),
        }
    }

    /// Puts a manifest (distribution specification, "Pushing Manifests"), byte for byte.
    pub(super) async fn put(
        &self,
        restore: &RecordedRestore,
        tag: Option<&Tag>,
    ) -> Result<(), RegistryError> {
        let intent = restore.intent();
        let reference = match tag {
            Some(tag) => Reference::Tag(tag.clone()),
            None => Reference::Digest(intent.digest.clone()),
        };
        let media_type = HeaderValue::from_str(intent.media_type.as_str()).map_err(|error| {
            let request = format!("PUT {}@{}", intent.repository, intent.digest);
            RegistryError::new(Failure::Refused, request, format!("not sent: {error}"))
        })?;
        let action = Action::Put {
            media_type,
            content: restore.bytes().clone(),
        };
        let request = self.change(&intent.repository, &reference, RequestKind::Put, action)?;
        let not_sent =
            |why: &str| RegistryError::new(Failure::Refused, request.line(), format!("not sent: {why}"));
        if tag.is_some_and(|tag| !intent.tags.contains(tag)) {
            return Err(not_sent("the journal does not name this tag"));
        }
        if intent.digest.verifies(restore.bytes()) != Some(true) {
            return Err(not_sent("the bytes on record do not hash to the digest"));
        }
        let scope = Scope::Push(intent.repository.clone());
        let answer = self.client.get(&request, &scope).await?;
        match answer.status {
            StatusCode::CREATED | StatusCode::OK | StatusCode::ACCEPTED | StatusCode::NO_CONTENT => {}
            _ => return Err(self.refused(&request, &answer, &scope)),
        }
        match stated_digest(&request, &answer)? {
            Some(stated) if stated != intent.digest => Err(other(&request, &intent.digest, &stated)),
            _ => {
                self.media_types.saw(&intent.media_type);
                Ok(())
            }
        }
    }

    fn change(
        &self,
        repository: &RepositoryName,
        reference: &Reference,
        kind: RequestKind,
        action: Action,
    ) -> Result<Request, RegistryError> {
        Ok(Request {
            kind,
            url: self.url(&format!("{repository}/manifests/{reference}"))?,
            accept: HeaderValue::from_static("application/json"),
            limit: MAX_ANSWER_BYTES,
            redirects: Redirects::Never,
            action,
        })
    }

    /// What an answer that is not the one hoped for says about the change: that it was not made, or nothing.
    pub(super) fn refused(&self, request: &Request, answer: &Answer, scope: &Scope) -> RegistryError {
        let refusal = self.client.refusal(request, answer, scope);
        let failure = match answer.status.as_u16() {
            _ if problem::has_code(answer, &OciErrorCode::Unsupported) => Failure::Unsupported,
            401 | 403 | 405 | 408 | 429 | 501 => return refusal,
            // Somebody in between may have passed it on.
            503 => Failure::Server,
            404 if problem::envelope(answer).is_none() => {
                return as_failure(Failure::Refused, request, answer)
                    .with_hint("this is not a registry's own answer: look at what stands in front of it");
            }
            400..=499 => Failure::Refused,
            _ => return refusal,
        };
        as_failure(failure, request, answer)
    }
}

fn as_failure(failure: Failure, request: &Request, answer: &Answer) -> RegistryError {
    RegistryError::new(failure, request.line(), problem::describe(answer))
}

/// Whether a 404 is the registry's own, about what was to be deleted.
fn says_it_is_not_there(answer: &Answer) -> bool {
    use OciErrorCode::{ManifestUnknown, NameUnknown, NotFound};
    let tag_unknown = OciErrorCode::Other("TAG_UNKNOWN".to_owned());
    [ManifestUnknown, NameUnknown, NotFound, tag_unknown]
        .iter()
        .any(|code| problem::has_code(answer, code))
}

/// What a deletion shows of the registry.
fn shown_by(done: &Result<Deletion, RegistryError>) -> Capability {
    match done {
        Ok(Deletion::Accepted) => Capability::Offered,
        Err(error) if error.failure() == Failure::Unsupported => Capability::NotOffered,
        Ok(Deletion::NotFound | Deletion::Left { .. }) | Err(_) => Capability::Unknown,
    }
}
