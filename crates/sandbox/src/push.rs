//! Writes content to any registry, the way its clients would: blobs, then manifests with what
//! they list or sign before them, then tags.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt, stream};
use http::header::{CONTENT_TYPE, LOCATION};
use http::{HeaderValue, Method, Response, StatusCode};

use crate::client::{Client, ClientError};
use crate::content::{Content, Corpus};
use crate::digest::Digest;

/// What was pushed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Pushed {
    /// Repositories.
    pub repositories: u64,
    /// Manifests, each counted once.
    pub manifests: u64,
    /// Tags.
    pub tags: u64,
    /// Blobs, counted in each repository that has them.
    pub blobs: u64,
}

/// Why a push failed. What was pushed until then stays.
#[derive(Debug, thiserror::Error)]
pub enum PushError {
    /// No answer, or an address that is not plain HTTP.
    #[error("push {what}")]
    NoAnswer {
        /// What was being pushed.
        what: String,
        /// Why there is no answer.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// An answer that was not hoped for.
    #[error("push {what}: the registry answered {status}: {body}")]
    Refused {
        /// What was being pushed.
        what: String,
        /// What was answered.
        status: StatusCode,
        /// The beginning of the answer's body.
        body: String,
    },
}

/// Pushes a whole corpus to the registry at `url`, several repositories at a time.
///
/// Only `http://host:port` is understood: this is for registries on loopback. `credentials` are a
/// name and a password, sent as basic authentication.
///
/// # Errors
/// The first thing that could not be pushed.
pub async fn push(
    corpus: &Corpus,
    url: &str,
    credentials: Option<(&str, &str)>,
) -> Result<Pushed, PushError> {
    const AT_A_TIME: usize = 4;
    let each = stream::iter((0..corpus.len()).map(|number| async move {
        let content = corpus.repository(number);
        content.push(url, credentials).await
    }));
    each.buffer_unordered(AT_A_TIME)
        .try_fold(Pushed::default(), |sum, one| async move {
            Ok(Pushed {
                repositories: sum.repositories + one.repositories,
                manifests: sum.manifests + one.manifests,
                tags: sum.tags + one.tags,
                blobs: sum.blobs + one.blobs,
            })
        })
        .await
}

impl Content {
    /// Pushes this repository; see [`push`].
    ///
    /// # Errors
    /// The first thing that could not be pushed.
    pub async fn push(&self, url: &str, credentials: Option<(&str, &str)>) -> Result<Pushed, PushError> {
        let client = Client::new(url).map_err(|error| no_answer(self.repository(), error))?;
        let mut pusher = Pusher {
            client,
            root: format!("/v2/{}", self.repository()),
        };
        if let Some((name, password)) = credentials {
            let basic = format!("Basic {}", STANDARD.encode(format!("{name}:{password}")));
            pusher.client.authorize(HeaderValue::from_str(&basic).ok());
        }
        let mut pushed = Pushed {
            repositories: 1,
            ..Pushed::default()
        };
        for (digest, bytes) in self.blobs() {
            pusher.blob(digest, bytes).await?;
            pushed.blobs += 1;
        }
        let tags = self.tags_by_digest();
        for manifest in self.manifests() {
            let digest = manifest.digest.to_string();
            let named = tags.get(&manifest.digest).map_or(&[] as &[&str], Vec::as_slice);
            let untagged = [digest.as_str()];
            for reference in if named.is_empty() { &untagged } else { named } {
                let path = format!("{}/manifests/{reference}", pusher.root);
                pusher
                    .put(&path, &manifest.media_type, manifest.bytes.clone())
                    .await?;
            }
            pushed.manifests += 1;
            pushed.tags += named.len() as u64;
        }
        Ok(pushed)
    }
}

struct Pusher {
    client: Client,
    root: String,
}

impl Pusher {
    /// POST, then PUT to where it says ("Pushing blobs").
    async fn blob(&mut self, digest: Digest, bytes: Bytes) -> Result<(), PushError> {
        let path = format!("{}/blobs/uploads/", self.root);
        let begun = self
            .client
            .send(Method::POST, &path, &[], Bytes::new())
            .await
            .map_err(|error| no_answer(&path, error))?;
        let begun = expect(&path, begun, StatusCode::ACCEPTED)?;
        let location = begun
            .headers()
            .get(LOCATION)
            .and_then(|value| value.to_str().ok());
        let place = location.map(origin_form).ok_or_else(|| refused(&path, &begun))?;
        let joint = if place.contains('?') { '&' } else { '?' };
        self.put(
            &format!("{place}{joint}digest={digest}"),
            "application/octet-stream",
            bytes,
        )
        .await
    }

    async fn put(&mut self, path: &str, media_type: &str, bytes: Bytes) -> Result<(), PushError> {
        let sent = self
            .client
            .send(Method::PUT, path, &[(CONTENT_TYPE, media_type)], bytes)
            .await;
        expect(
            path,
            sent.map_err(|error| no_answer(path, error))?,
            StatusCode::CREATED,
        )
        .map(drop)
    }
}

/// Path and query of a Location, which may be absolute. Its host is not followed: the push goes
/// to the registry it was started for.
fn origin_form(location: &str) -> &str {
    let rest = location.split_once("://").map_or(location, |(_, rest)| rest);
    rest.find('/').map_or("/", |slash| &rest[slash..])
}

fn no_answer(what: &str, error: ClientError) -> PushError {
    PushError::NoAnswer {
        what: what.to_owned(),
        source: Box::new(error),
    }
}

fn expect(what: &str, response: Response<Bytes>, status: StatusCode) -> Result<Response<Bytes>, PushError> {
    if response.status() == status {
        Ok(response)
    } else {
        Err(refused(what, &response))
    }
}

fn refused(what: &str, response: &Response<Bytes>) -> PushError {
    let body: String = String::from_utf8_lossy(response.body())
        .chars()
        .take(300)
        .collect();
    PushError::Refused {
        what: what.to_owned(),
        status: response.status(),
        body,
    }
}
