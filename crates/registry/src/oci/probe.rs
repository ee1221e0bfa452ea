//! What a registry can delete, found out by asking for what cannot be done.
//!
//! Two DELETE requests, once a run: one of a digest of random bytes, which nothing in the registry can have, and one of
//! a random tag that its repository's listing does not have. A registry that deletes answers that there is no such
//! thing (distribution specification, "Deleting Manifests", "Deleting Tags": 404), and one that does not answers that
//! it does not (400, 405). Nothing that exists is named, and nothing is pushed.
//!
//! Only the registry's own words count: a router in front of it has a 404 for every path that it does not know.

use std::fmt::Write as _;

use http::{HeaderValue, StatusCode};
use lagan_model::{Capability, Digest, RegistryError, RepositoryName, RequestKind, Tag};
use oci_distribution::errors::OciErrorCode;
use tokio::sync::OnceCell;

use super::{Known, OciRegistry};
use crate::action::Action;
use crate::problem;
use crate::token::Scope;
use crate::transport::{Answer, Redirects, Request};

/// The longest answer that is read, in bytes.
const MAX_ANSWER_BYTES: usize = 64 * 1024;

/// What was learnt about deletion.
#[derive(Debug, Default)]
pub(super) struct Deletability {
    pub(super) manifest: Known,
    pub(super) tag: Known,
    asked: OnceCell<()>,
}

/// What is asked about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Question {
    Manifest,
    Tag,
}

/// What an answer says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Said {
    /// It can, or cannot.
    Known(Capability),
    /// Who asks may not.
    Refused,
    /// Nothing that could be relied on.
    Unclear,
}

impl OciRegistry {
    pub(super) async fn ask_what_can_be_deleted(&self, repository: &RepositoryName, tags: &[Tag]) {
        let ask = async || {
            if let Err(error) = self.ask(repository, tags).await {
                tracing::warn!(
                    registry = self.identity.url,
                    error = %error,
                    "what the registry can delete could not be found out"
                );
            }
        };
        self.deletion.asked.get_or_init(ask).await;
    }

    async fn ask(&self, repository: &RepositoryName, tags: &[Tag]) -> Result<(), RegistryError> {
        let Some((digest, tag)) = names_of_nothing(tags) else {
            tracing::warn!("this system gives no random numbers: nothing was asked");
            return Ok(());
        };
        match self
            .probe(repository, &digest.to_string(), Question::Manifest)
            .await?
        {
            Said::Known(capability) => self.deletion.manifest.saw(capability),
            // The second question would be refused as well.
            Said::Refused => return Ok(()),
            Said::Unclear => {}
        }
        if let Said::Known(capability) = self.probe(repository, tag.as_str(), Question::Tag).await? {
            self.deletion.tag.saw(capability);
        }
        Ok(())
    }

    async fn probe(
        &self,
        repository: &RepositoryName,
        reference: &str,
        question: Question,
    ) -> Result<Said, RegistryError> {
        let request = Request {
            kind: RequestKind::Probe,
            url: self.url(&format!("{repository}/manifests/{reference}"))?,
            accept: HeaderValue::from_static("application/json"),
            limit: MAX_ANSWER_BYTES,
            redirects: Redirects::Never,
            action: Action::Delete,
        };
        let answer = self
            .client
            .get(&request, &Scope::Delete(repository.clone()))
            .await?;
        let said = read(&answer, question);
        if !matches!(said, Said::Known(_)) {
            tracing::warn!(
                request = request.line(),
                answer = problem::describe(&answer),
                "the registry does not say what it can delete"
            );
        }
        Ok(said)
    }
}

fn read(answer: &Answer, question: Question) -> Said {
    let says = |code: &OciErrorCode| problem::has_code(answer, code);
    let no_such_thing = [
        OciErrorCode::ManifestUnknown,
        OciErrorCode::Other("TAG_UNKNOWN".to_owned()),
    ];
    match answer.status {
        _ if says(&OciErrorCode::Unsupported) => Said::Known(Capability::NotOffered),
        StatusCode::METHOD_NOT_ALLOWED | StatusCode::NOT_IMPLEMENTED => Said::Known(Capability::NotOffered),
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Said::Refused,
        StatusCode::BAD_REQUEST if question == Question::Tag => Said::Known(Capability::NotOffered),
        StatusCode::NOT_FOUND if no_such_thing.iter().any(says) => Said::Known(Capability::Offered),
        _ => Said::Unclear,
    }
}

/// A digest that nothing has, and a tag that is none of these. `None` without random numbers.
fn names_of_nothing(tags: &[Tag]) -> Option<(Digest, Tag)> {
    let random = || {
        let mut bytes = [0_u8; 32];
        let provider = rustls::crypto::ring::default_provider();
        provider.secure_random.fill(&mut bytes).ok()?;
        Some(bytes)
    };
    let digest = Digest::of(&random()?);
    let mut text = "lagan-probe-".to_owned();
    for byte in random()? {
        _ = write!(text, "{byte:02x}");
    }
    let tag: Tag = text.parse().ok()?;
    (!tags.contains(&tag)).then_some((digest, tag))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(status: u16, code: &str, question: Question) -> Said {
        let body = match code {
            "" => "404 page not found".to_owned(),
            code => format!(r#"{{"errors":[{{"code":"{code}","message":"m"}}]}}"#),
        };
        let answer = Answer {
            status: StatusCode::from_u16(status).unwrap(),
            headers: http::HeaderMap::new(),
            body: body.into(),
            foreign: false,
            given_up: false,
            granted: None,
            secrets: Vec::new(),
        };
        read(&answer, question)
    }

    #[test]
    fn only_the_registrys_own_words_count() {
        use Capability::{NotOffered, Offered};
        let cases = [
            (
                404,
                "MANIFEST_UNKNOWN",
                Said::Known(Offered),
                Said::Known(Offered),
            ),
            (404, "TAG_UNKNOWN", Said::Known(Offered), Said::Known(Offered)),
            (404, "NAME_UNKNOWN", Said::Unclear, Said::Unclear),
            (404, "NOT_FOUND", Said::Unclear, Said::Unclear),
            (404, "", Said::Unclear, Said::Unclear),
            (
                405,
                "UNSUPPORTED",
                Said::Known(NotOffered),
                Said::Known(NotOffered),
            ),
            (405, "", Said::Known(NotOffered), Said::Known(NotOffered)),
            (
                404,
                "UNSUPPORTED",
                Said::Known(NotOffered),
                Said::Known(NotOffered),
            ),
            (400, "DIGEST_INVALID", Said::Unclear, Said::Known(NotOffered)),
            (401, "UNAUTHORIZED", Said::Refused, Said::Refused),
            (403, "DENIED", Said::Refused, Said::Refused),
            (202, "", Said::Unclear, Said::Unclear),
            (200, "", Said::Unclear, Said::Unclear),
            (429, "TOOMANYREQUESTS", Said::Unclear, Said::Unclear),
            (500, "UNKNOWN", Said::Unclear, Said::Unclear),
        ];
        for (status, code, manifest, tag) in cases {
            assert_eq!(
                said(status, code, Question::Manifest),
                manifest,
                "{status} {code}"
            );
            assert_eq!(said(status, code, Question::Tag), tag, "{status} {code}");
        }
    }

    #[test]
    fn what_is_asked_about_is_never_the_same_twice() {
        let (digest, tag) = names_of_nothing(&[]).unwrap();
        let (other, other_tag) = names_of_nothing(&[]).unwrap();
        assert_ne!(digest, other);
        assert_ne!(tag, other_tag);
        assert_eq!(tag.as_str().len(), "lagan-probe-".len() + 64);
    }
}
