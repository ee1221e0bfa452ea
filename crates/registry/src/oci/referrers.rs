//! What is attached to a digest: the referrers API (distribution specification, "Listing Referrers").
//!
//! An attachment that is not seen is an attachment that may be lost, so only two answers end without an error:
//! an index, read over all of its pages, and a 404, which the specification defines as "there is no such API".

use std::collections::HashSet;
use std::sync::atomic::{AtomicU8, Ordering};

use http::StatusCode;
use lagan_model::manifest::{Content, MAX_MANIFEST_BYTES};
use lagan_model::{
    Capability, Digest, Manifest, MediaType, Referrers, RegistryError, RepositoryName, RequestKind,
};

use super::OciRegistry;
use super::content::content_type;
use crate::page::{Trail, repeated, too_large};
use crate::problem;
use crate::token::Scope;
use crate::transport::{Answer, Request};

/// The most referrers of one digest that are read.
const MAX_REFERRERS: usize = 100_000;

const INDEX: &str = "application/vnd.oci.image.index.v1+json";

/// What is known of the registry's referrers API. Once seen, it stays: a 404 later is that one answer.
#[derive(Debug, Default)]
pub(super) struct ReferrersApi {
    known: AtomicU8,
    /// Held by whoever asks first, so that the others can learn from the answer instead of asking as well.
    first: tokio::sync::Mutex<()>,
}

const UNKNOWN: u8 = 0;
const OFFERED: u8 = 1;
const NOT_OFFERED: u8 = 2;

impl ReferrersApi {
    pub(super) fn capability(&self) -> Capability {
        match self.known.load(Ordering::Acquire) {
            OFFERED => Capability::Offered,
            NOT_OFFERED => Capability::NotOffered,
            _ => Capability::Unknown,
        }
    }

    fn seen(&self) {
        self.known.store(OFFERED, Ordering::Release);
    }

    fn missed(&self) {
        // Only if nobody has seen it: then this is already known, and there is nothing to do.
        let _ = self
            .known
            .compare_exchange(UNKNOWN, NOT_OFFERED, Ordering::AcqRel, Ordering::Acquire);
    }
}

impl OciRegistry {
    pub(super) async fn read_referrers(
        &self,
        repository: &RepositoryName,
        subject: &Digest,
    ) -> Result<Referrers, RegistryError> {
        if self.referrers.capability() == Capability::Unknown {
            let _first = self.referrers.first.lock().await;
            if self.referrers.capability() == Capability::Unknown {
                return self.ask_for_referrers(repository, subject).await;
            }
        }
        if self.referrers.capability() == Capability::NotOffered {
            return Ok(Referrers::NoApi);
        }
        self.ask_for_referrers(repository, subject).await
    }

    async fn ask_for_referrers(
        &self,
        repository: &RepositoryName,
        subject: &Digest,
    ) -> Result<Referrers, RegistryError> {
        let path = format!("{repository}/referrers/{subject}");
        let mut request = self.request(RequestKind::Referrers, &path, INDEX, MAX_MANIFEST_BYTES)?;
        let scope = Scope::Pull(repository.clone());
        let mut trail = Trail::from(&request.url);
        let mut seen = HashSet::new();
        let mut referrers = Vec::new();
        let mut first = true;
        loop {
            let answer = self.client.get(&request, &scope).await?;
            match answer.status {
                StatusCode::OK => {}
                StatusCode::NOT_FOUND if first => {
                    // A registry that has the API may answer 404 for a repository that it does not know. That
                    // says nothing of the others.
                    if !names_something_missing(&answer) {
                        self.referrers.missed();
                    }
                    return Ok(Referrers::NoApi);
                }
                _ => return Err(self.client.refusal(&request, &answer, &scope)),
            }
            trail.read(&request, &answer)?;
            let page = descriptors(&request, &answer)?;
            self.referrers.seen();
            first = false;
            let (listed, known) = (page.len(), referrers.len());
            for descriptor in page {
                if seen.insert(descriptor.digest.clone()) {
                    referrers.push(descriptor);
                }
            }
            if referrers.len() > MAX_REFERRERS {
                let detail = format!("there are more than {MAX_REFERRERS} referrers");
                return Err(too_large(&request, detail));
            }
            match trail.follow(&request, &answer)? {
                None => return Ok(Referrers::Listed(referrers)),
                Some(_) if listed > 0 && referrers.len() == known => return Err(repeated(&request)),
                Some(next) => request.url = next,
            }
        }
    }
}

/// The descriptors of a page, which is an image index and nothing that looks like one.
fn descriptors(
    request: &Request,
    answer: &Answer,
) -> Result<Vec<lagan_model::manifest::Descriptor>, RegistryError> {
    // The end point says what it returns, so a Content-Type that says nothing does no harm.
    let media_type = content_type(request, answer)?
        .filter(|media_type| media_type.as_str() != "application/json")
        .unwrap_or(MediaType::OCI_INDEX);
    let read = Manifest::read(answer.body.clone(), Digest::of(&answer.body), Some(&media_type));
    match read.as_ref().map(|index| (index.media_type(), index.content())) {
        Ok((media_type, Content::Index { manifests })) if *media_type == MediaType::OCI_INDEX => {
            Ok(manifests.clone())
        }
        Ok((media_type, _)) => {
            let detail = format!("referrers are listed by an image index, not by {media_type}");
            Err(problem::malformed(request, problem::clean(&detail)))
        }
        Err(error) => Err(problem::malformed(request, problem::clean(&error.to_string()))),
    }
}

/// Whether a 404 is about the repository or the manifest, rather than about the path.
fn names_something_missing(answer: &Answer) -> bool {
    use oci_distribution::errors::OciErrorCode::{ManifestUnknown, NameInvalid, NameUnknown};
    [NameUnknown, NameInvalid, ManifestUnknown]
        .iter()
        .any(|code| problem::has_code(answer, code))
}
