//! Sending a request until it is answered: one window of requests under way, retries, redirects, bounded bodies.

use std::error::Error as StdError;
use std::io;

use bytes::Bytes;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderName, LOCATION};
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use lagan_model::{Failure, RegistryError, RequestKind};
use reqwest::{Client, Response};
use secrecy::{ExposeSecret as _, SecretString};
use url::Url;

use crate::count::Counters;
use crate::gate::Gate;
use crate::settings::{Retry, Settings, SettingsError};
use crate::{origin, problem, retry, tls};

/// How many redirects of one request are followed.
const MAX_REDIRECTS: usize = 3;

/// How much of the body of a refusal is read, in bytes.
const MAX_REFUSAL_BYTES: usize = 64 * 1024;

/// How much of a URL goes into a message, in characters.
const MAX_SHOWN_URL: usize = 1024;

/// Which redirects are followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Redirects {
    /// None: credentials or what they buy are under way.
    Never,
    /// Those that stay at the origin.
    SameOrigin,
    /// Also those to another host, without credentials: what comes back is verified by its digest.
    Anywhere,
}

/// A request, as often as it is sent.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    pub(crate) kind: RequestKind,
    pub(crate) url: Url,
    pub(crate) accept: HeaderValue,
    /// The longest body of a 200, in bytes, after decompression.
    pub(crate) limit: usize,
    pub(crate) redirects: Redirects,
    /// A form to post; nothing is got then. It holds a secret.
    pub(crate) form: Option<SecretString>,
    /// Whether something is to be deleted. Such a request is sent once: what came of one that was not answered is not
    /// for the transport to guess.
    pub(crate) delete: bool,
}

impl Request {
    fn method(&self) -> Method {
        if self.delete {
            Method::DELETE
        } else if self.form.is_some() {
            Method::POST
        } else {
            Method::GET
        }
    }

    /// Method and URL, for a message. A token service's query is left out.
    pub(crate) fn line(&self) -> String {
        let url = match self.kind {
            RequestKind::Token => self.url.as_str().split('?').next().unwrap_or_default(),
            _ => self.url.as_str(),
        };
        match url.char_indices().nth(MAX_SHOWN_URL) {
            Some((end, _)) => format!("{} {}…", self.method(), &url[..end]),
            None => format!("{} {url}", self.method()),
        }
    }
}

/// A whole answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    /// Whether another origin than the one asked gave it. Its challenges and links concern nobody.
    pub(crate) foreign: bool,
}

impl Answer {
    /// A header's value, where it is readable text.
    pub(crate) fn header(&self, name: &HeaderName) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }
}

/// What one attempt came to, when not to an answer.
struct Broken {
    error: RegistryError,
    passes: bool,
}

impl From<RegistryError> for Broken {
    fn from(error: RegistryError) -> Self {
        Self { error, passes: false }
    }
}

/// The way to one registry. Knows nothing of who asks.
pub(crate) struct Transport {
    http: Client,
    registry: Url,
    gate: Gate,
    counters: Counters,
    retry: Retry,
}

impl Transport {
    pub(crate) fn new(settings: &Settings) -> Result<Self, SettingsError> {
        Ok(Self {
            http: tls::client(settings)?,
            registry: settings.url.url().clone(),
            gate: Gate::new(settings.max_concurrency.get()),
            counters: Counters::default(),
            retry: settings.retry.clone(),
        })
    }

    pub(crate) fn registry(&self) -> &Url {
        &self.registry
    }

    pub(crate) fn counters(&self) -> &Counters {
        &self.counters
    }

    /// Sends a request, again while it fails in passing. Any status is an answer.
    pub(crate) async fn send(
        &self,
        request: &Request,
        authorization: Option<&HeaderValue>,
    ) -> Result<Answer, RegistryError> {
        let mut pauses = None;
        loop {
            let place = self.gate.enter().await;
            let outcome = self.attempt(request, authorization).await;
            let asked = match &outcome {
                Ok(answer) => retry::asked(&answer.headers, self.retry.longest_asked),
                Err(_) => None,
            };
            // A request that pauses gives its place away: that a busy registry is asked less is the window's affair.
            if let Some(place) = place {
                if is_overload(&outcome) {
                    place.refused(asked);
                } else {
                    place.answered(is_measured(request, &outcome));
                }
            }
            let again = match &outcome {
                Ok(answer) => retry::passes(answer.status),
                Err(broken) => broken.passes,
            };
            if !again || request.delete {
                return outcome.map_err(|broken| broken.error);
            }
            let pauses = pauses.get_or_insert_with(|| retry::pauses(&self.retry));
            let Some(pause) = pauses.next() else {
                return outcome.map_err(|broken| broken.error);
            };
            let pause = asked.map_or(pause, |asked| asked.max(pause));
            tracing::debug!(
                kind = request.kind.as_str(),
                ?pause,
                "pausing before another attempt"
            );
            tokio::time::sleep(pause).await;
        }
    }

    async fn attempt(
        &self,
        request: &Request,
        authorization: Option<&HeaderValue>,
    ) -> Result<Answer, Broken> {
        let mut authorization = authorization;
        let mut url = request.url.clone();
        for _ in 0..=MAX_REDIRECTS {
            self.counters.add(request.kind);
            let mut sent = reqwest::Request::new(request.method(), url.clone());
            sent.headers_mut().insert(ACCEPT, request.accept.clone());
            if let Some(form) = &request.form {
                let kind = HeaderValue::from_static("application/x-www-form-urlencoded");
                sent.headers_mut().insert(CONTENT_TYPE, kind);
                *sent.body_mut() = Some(form.expose_secret().to_owned().into());
            }
            if let Some(authorization) = authorization {
                sent.headers_mut().insert(AUTHORIZATION, authorization.clone());
            }
            let response = match self.http.execute(sent).await {
                Ok(response) => response,
                Err(error) => return Err(broken(request, error)),
            };
            let status = response.status();
            tracing::debug!(
                kind = request.kind.as_str(),
                host = url.host_str(),
                path = url.path(),
                status = status.as_u16(),
                "answered"
            );
            match target(request, &url, &response)? {
                None => {
                    let mut answer = read(request, response).await?;
                    answer.foreign = !origin::same(&request.url, &url);
                    return Ok(answer);
                }
                Some(next) => {
                    self.check_redirect(request, &url, &next)?;
                    if !origin::same(&url, &next) {
                        authorization = None;
                    }
                    url = next;
                }
            }
        }
        let detail = format!("redirected more than {MAX_REDIRECTS} times");
        Err(problem::malformed(request, detail).into())
    }

    fn check_redirect(&self, request: &Request, from: &Url, to: &Url) -> Result<(), RegistryError> {
        let refused = match request.redirects {
            Redirects::Never => Some("no redirect is followed here"),
            Redirects::SameOrigin if origin::same(from, to) => None,
            Redirects::SameOrigin => Some("a redirect to another origin is not followed"),
            Redirects::Anywhere => origin::blob_redirect_refused(&self.registry, from, to),
        };
        let Some(rule) = refused else { return Ok(()) };
        let detail = format!("redirected to {}: {rule}", problem::clean(&origin::shown(to)));
        let error = problem::malformed(request, detail);
        Err(match request.redirects {
            Redirects::SameOrigin => error.with_hint("if the registry has moved there, give that as its URL"),
            Redirects::Never | Redirects::Anywhere => error,
        })
    }
}

/// Whether an attempt shows that the registry has too much to do.
fn is_overload(outcome: &Result<Answer, Broken>) -> bool {
    match outcome {
        Ok(answer) => !answer.foreign && matches!(answer.status.as_u16(), 429 | 503 | 504),
        Err(broken) => broken.error.failure() == Failure::Timeout,
    }
}

/// Whether the time of an attempt is that of the registry's own work.
fn is_measured(request: &Request, outcome: &Result<Answer, Broken>) -> bool {
    !matches!(request.kind, RequestKind::Ping | RequestKind::Token)
        && matches!(outcome, Ok(answer) if !answer.foreign && answer.status.as_u16() < 500)
}

/// Where a response redirects to.
fn target(request: &Request, url: &Url, response: &Response) -> Result<Option<Url>, RegistryError> {
    if !matches!(response.status().as_u16(), 301 | 302 | 303 | 307 | 308) {
        return Ok(None);
    }
    let location = response
        .headers()
        .get(LOCATION)
        .and_then(|value| value.to_str().ok());
    let next = location.and_then(|location| url.join(location).ok());
    next.map(Some)
        .ok_or_else(|| problem::malformed(request, "redirected, but not to a URL"))
}

/// Reads the body, at most as much of it as may be.
async fn read(request: &Request, mut response: Response) -> Result<Answer, Broken> {
    let status = response.status();
    let headers = std::mem::take(response.headers_mut());
    let limit = if status.is_success() {
        request.limit
    } else {
        MAX_REFUSAL_BYTES
    };
    let expected = response
        .content_length()
        .and_then(|length| usize::try_from(length).ok());
    let mut body = Vec::with_capacity(expected.unwrap_or_default().min(limit));
    loop {
        match response.chunk().await {
            Ok(Some(chunk)) if body.len() + chunk.len() <= limit => body.extend_from_slice(&chunk),
            Ok(Some(_)) if status.is_success() => {
                let detail = format!("the answer is larger than {limit} bytes");
                return Err(RegistryError::new(Failure::TooLarge, request.line(), detail).into());
            }
            // The rest of a refusal would say no more.
            Ok(Some(_) | None) => break,
            Err(_) if !status.is_success() => break,
            Err(error) => return Err(broken(request, error)),
        }
    }
    Ok(Answer {
        status,
        headers,
        body: body.into(),
        foreign: false,
    })
}

/// A request that got no whole answer. The client's own text is left out: it may repeat a URL.
fn broken(request: &Request, error: reqwest::Error) -> Broken {
    let error = error.without_url();
    let cause = problem::clean(&root(&error).to_string());
    let failed = |failure, detail| RegistryError::new(failure, request.line(), detail);
    if let Some(tls) = tls_error(&error) {
        let error = failed(
            Failure::Unreachable,
            format!("TLS failed: {}", problem::clean(&tls.to_string())),
        );
        return Broken {
            error: error.with_hint(tls_hint(tls)),
            passes: false,
        };
    }
    if error.is_timeout() {
        return Broken {
            error: failed(Failure::Timeout, "no whole answer within the deadline".to_owned())
                .with_hint("is the registry reachable from here, or is it very slow?"),
            passes: true,
        };
    }
    if error.is_connect() {
        return Broken {
            error: failed(Failure::Unreachable, format!("no connection: {cause}"))
                .with_hint("is the registry running there, and are host, port and proxy right?"),
            // Whether there is a registry at all is asked once; a known one may be restarting.
            passes: request.kind != RequestKind::Ping,
        };
    }
    let failure = if error.is_builder() || (error.is_decode() && !is_io(&error)) {
        Failure::Malformed
    } else {
        Failure::Unreachable
    };
    Broken {
        error: failed(failure, format!("the answer broke off: {cause}")),
        passes: failure == Failure::Unreachable,
    }
}

fn chain<'a>(error: &'a (dyn StdError + 'static)) -> impl Iterator<Item = &'a (dyn StdError + 'static)> {
    std::iter::successors(Some(error), |&error| error.source())
}

fn root<'a>(error: &'a (dyn StdError + 'static)) -> &'a (dyn StdError + 'static) {
    chain(error).last().unwrap_or(error)
}

fn tls_error(error: &reqwest::Error) -> Option<&rustls::Error> {
    chain(error).find_map(tls_inside)
}

/// An I/O error does not show what it wraps as its source.
fn tls_inside<'a>(cause: &'a (dyn StdError + 'static)) -> Option<&'a rustls::Error> {
    match cause.downcast_ref::<io::Error>() {
        Some(io) => chain(io.get_ref()?).find_map(tls_inside),
        None => cause.downcast_ref(),
    }
}

fn is_io(error: &reqwest::Error) -> bool {
    chain(error).any(|cause| {
        cause.downcast_ref::<io::Error>().is_some_and(|io| {
            matches!(
                io.kind(),
                io::ErrorKind::ConnectionReset | io::ErrorKind::UnexpectedEof
            )
        })
    })
}

fn tls_hint(error: &rustls::Error) -> &'static str {
    match error {
        rustls::Error::InvalidMessage(_) => {
            "does it speak plain HTTP there? then its URL begins with http://"
        }
        rustls::Error::InvalidCertificate(_) => {
            "if a private authority signed the certificate, give its CA file; else check the host name"
        }
        _ => "check the registry's TLS settings",
    }
}
