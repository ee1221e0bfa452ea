//! Sending a request until it is answered: one window of requests under way, retries, redirects, bounded bodies.

mod broken;

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::header::{
    ACCEPT, AUTHORIZATION, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, HeaderName, LOCATION, RANGE,
    USER_AGENT,
};
use http::{HeaderMap, HeaderValue, StatusCode};
use lagan_model::{Failure, RegistryError, RequestKind};
use reqwest::{Client, Response};
use secrecy::{ExposeSecret as _, SecretString};
use tokio::time::Instant;
use url::Url;

use crate::action::Action;
use crate::budget::Budget;
use crate::count::Counters;
use crate::gate::Gate;
use crate::guard::{Guard, Purpose};
use crate::observe::{Answered, Observer, Sent};
use crate::settings::{Retry, Settings, SettingsError};
use crate::window::Window;
use crate::{origin, problem, retry, tls};

use self::broken::Broken;
pub(crate) use self::broken::{broken, is_tls};

/// Says that a project is named by its name: Harbor takes one that looks like a number for a number.
const IS_RESOURCE_NAME: HeaderName = HeaderName::from_static("x-is-resource-name");

/// How many redirects of one request are followed.
const MAX_REDIRECTS: usize = 3;

/// How much of the body of a refusal is read, in bytes.
const MAX_REFUSAL_BYTES: usize = 64 * 1024;

/// How much of a URL goes into a message, in characters.
const MAX_SHOWN_URL: usize = 1024;

/// Room for the headers of a request, those that the HTTP library adds included.
const HEADERS: usize = 8;

/// Bytes of no kind.
const OCTETS: HeaderValue = HeaderValue::from_static("application/octet-stream");

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
    pub(crate) action: Action,
}

impl Request {
    /// Method and URL, for a message. The query is left out that a token service is asked with, and that an upload
    /// has, which is the registry's secret.
    pub(crate) fn line(&self) -> String {
        let url = match self.kind {
            RequestKind::Token | RequestKind::Copy => self.url.as_str().split('?').next().unwrap_or_default(),
            _ => self.url.as_str(),
        };
        match url.char_indices().nth(MAX_SHOWN_URL) {
            Some((end, _)) => format!("{} {}…", self.action.method(), &url[..end]),
            None => format!("{} {url}", self.action.method()),
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
    /// Whether it would have been asked for again, had the budget of the host not been used up.
    pub(crate) given_up: bool,
    /// What the token that it was asked for with allows, where that is less than was asked for.
    pub(crate) granted: Option<Arc<str>>,
    /// What a refusal must not be quoted with, since it was sent as a secret and some servers say what they were sent.
    pub(crate) secrets: Vec<SecretString>,
}

impl Answer {
    /// A header's value, where it is readable text.
    pub(crate) fn header(&self, name: &HeaderName) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }
}

/// The way to one registry. Knows nothing of who asks.
pub(crate) struct Transport {
    http: Client,
    /// The same without the client certificate.
    elsewhere: Client,
    guard: Guard,
    registry: Url,
    manifest_agent: Option<HeaderValue>,
    names_projects: bool,
    gate: Gate,
    counters: Counters,
    retry: Retry,
    budget: Budget,
    /// That of other hosts: token services and object storage.
    budget_elsewhere: Budget,
    observer: Option<Arc<dyn Observer>>,
}

impl Transport {
    pub(crate) fn new(settings: &Settings) -> Result<Self, SettingsError> {
        Self::with_guard(settings, Guard::new(settings.url.url()))
    }

    fn with_guard(settings: &Settings, guard: Guard) -> Result<Self, SettingsError> {
        let budget = || Budget::new(settings.max_concurrency, settings.retry.attempts);
        let http = tls::client(settings, &guard)?;
        let elsewhere = if settings.client_certificate.is_some() {
            let mut nobody = settings.clone();
            nobody.client_certificate = None;
            tls::client(&nobody, &guard)?
        } else {
            http.clone()
        };
        Ok(Self {
            http,
            elsewhere,
            guard,
            registry: settings.url.url().clone(),
            manifest_agent: settings.manifest_agent.map(HeaderValue::from_static),
            names_projects: settings.names_projects,
            gate: Gate::of(if settings.fixed_concurrency {
                Window::fixed(settings.max_concurrency.get())
            } else {
                Window::new(settings.max_concurrency.get())
            }),
            counters: Counters::default(),
            retry: settings.retry.clone(),
            budget: budget(),
            budget_elsewhere: budget(),
            observer: settings.observer.clone(),
        })
    }

    pub(crate) fn registry(&self) -> &Url {
        &self.registry
    }

    /// Takes note that the registry sends there for a token.
    ///
    /// Fails, with the rule, where that is an address that it must not send to; a name is looked at when it is
    /// resolved.
    pub(crate) fn named_for_tokens(&self, realm: &Url, purpose: Purpose) -> Result<(), String> {
        let named = self.guard.named(realm, purpose);
        named.map_err(|refused| refused.to_string())
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
        let is_registry = self.is_registry(&request.url);
        let mut pauses = None;
        let mut attempt = 0_u32;
        loop {
            attempt += 1;
            // Places are the registry's: what another host can take, and for how long it asks to be left alone, says
            // nothing about it.
            let place = if is_registry {
                self.gate.enter().await
            } else {
                None
            };
            let is_timed = self.observer.is_some() || tracing::enabled!(tracing::Level::DEBUG);
            let began = is_timed.then(Instant::now);
            let mut outcome = self.attempt(request, authorization).await;
            let took = began.map(|began| began.elapsed());
            if let Some(took) = took {
                log(request, attempt, &outcome, took);
            }
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
            if let (Some(observer), Some(took)) = (&self.observer, took) {
                observer.sent(&Sent {
                    kind: request.kind,
                    answer: answered(&outcome),
                    took,
                    measured: is_measured(request, &outcome),
                    refused: is_overload(&outcome),
                    window: self.gate.size(),
                });
            }
            let passes = match &outcome {
                Ok(answer) => retry::passes(answer.status),
                Err(broken) => broken.passes,
            };
            let foreign = match &outcome {
                Ok(answer) => answer.foreign,
                Err(broken) => broken.foreign,
            };
            let budget = if foreign || !is_registry {
                &self.budget_elsewhere
            } else {
                &self.budget
            };
            if !passes && outcome.is_ok() {
                budget.answered();
            }
            if !passes || !request.action.is_repeatable() {
                return outcome.map_err(|broken| broken.error);
            }
            let pauses = pauses.get_or_insert_with(|| retry::pauses(&self.retry));
            let Some(pause) = pauses.next() else {
                return outcome.map_err(|broken| broken.error);
            };
            if !budget.pay() {
                if let Ok(answer) = &mut outcome {
                    answer.given_up = true;
                }
                return outcome.map_err(|broken| broken.error.with_hint(problem::GIVEN_UP));
            }
            let pause = asked.map_or(pause, |asked| asked.max(pause));
            tracing::debug!(
                kind = request.kind.as_str(),
                ?pause,
                "pausing before another attempt"
            );
            tokio::time::sleep(pause).await;
        }
    }

    fn is_registry(&self, url: &Url) -> bool {
        origin::same(url, &self.registry)
    }

    async fn attempt(&self, request: &Request, header: Option<&HeaderValue>) -> Result<Answer, Broken> {
        let mut authorization = header;
        let mut url = Cow::Borrowed(&request.url);
        let mut is_registry = self.is_registry(&url);
        let mut foreign = false;
        for _ in 0..=MAX_REDIRECTS {
            self.counters.add(request.kind);
            let mut sent = reqwest::Request::new(request.action.method(), url.as_ref().clone());
            sent.headers_mut().reserve(HEADERS);
            sent.headers_mut().insert(ACCEPT, request.accept.clone());
            if let (RequestKind::Manifest, Some(agent)) = (request.kind, &self.manifest_agent) {
                sent.headers_mut().insert(USER_AGENT, agent.clone());
            }
            if self.names_projects {
                sent.headers_mut()
                    .insert(IS_RESOURCE_NAME, HeaderValue::from_static("true"));
            }
            let content = match &request.action {
                Action::Read | Action::Look | Action::Delete => None,
                Action::Taste => {
                    let first = HeaderValue::from_static("bytes=0-0");
                    sent.headers_mut().insert(RANGE, first);
                    None
                }
                Action::Part { first, last } => {
                    let part = HeaderValue::try_from(format!("bytes={first}-{last}"));
                    sent.headers_mut().extend(part.ok().map(|part| (RANGE, part)));
                    None
                }
                Action::Begin => Some((OCTETS, reqwest::Body::from(""))),
                Action::Append { first, content } => {
                    let last = (first + content.len() as u64).saturating_sub(1);
                    let part = HeaderValue::try_from(format!("{first}-{last}"));
                    sent.headers_mut()
                        .extend(part.ok().map(|part| (CONTENT_RANGE, part)));
                    Some((OCTETS, content.clone().into()))
                }
                Action::Exchange(form) => {
                    let kind = HeaderValue::from_static("application/x-www-form-urlencoded");
                    Some((kind, form.expose_secret().to_owned().into()))
                }
                Action::Create(document) => {
                    let kind = HeaderValue::from_static("application/json");
                    Some((kind, document.clone().into()))
                }
                Action::Put { media_type, content } => Some((media_type.clone(), content.clone().into())),
            };
            if let Some((kind, body)) = content {
                sent.headers_mut().insert(CONTENT_TYPE, kind);
                // Some servers refuse what has content and does not say how much.
                if body.as_bytes().is_some_and(<[u8]>::is_empty) {
                    sent.headers_mut()
                        .insert(CONTENT_LENGTH, HeaderValue::from_static("0"));
                }
                *sent.body_mut() = Some(body);
            }
            if let Some(authorization) = authorization {
                sent.headers_mut().insert(AUTHORIZATION, authorization.clone());
            }
            let elsewhere = |broken| Broken { foreign, ..broken };
            let http = if is_registry { &self.http } else { &self.elsewhere };
            let response = match http.execute(sent).await {
                Ok(response) => response,
                Err(error) => return Err(elsewhere(broken(request, error))),
            };
            match target(request, &url, &response)? {
                None => {
                    let mut answer = read(request, response).await.map_err(elsewhere)?;
                    answer.foreign = foreign;
                    if !answer.status.is_success() {
                        answer.secrets = secrets(header, &request.action);
                    }
                    return Ok(answer);
                }
                Some(next) => {
                    self.check_redirect(request, &url, &next)?;
                    if !origin::same(&url, &next) {
                        authorization = None;
                    }
                    is_registry = self.is_registry(&next);
                    foreign = !origin::same(&request.url, &next);
                    url = Cow::Owned(next);
                }
            }
        }
        let detail = format!("redirected more than {MAX_REDIRECTS} times");
        Err(problem::malformed(request, detail).into())
    }

    fn check_redirect(&self, request: &Request, from: &Url, to: &Url) -> Result<(), RegistryError> {
        let refused = match request.redirects {
            _ if !request.action.is_repeatable() => Some("a change follows no redirect"),
            Redirects::Never => Some("no redirect is followed here"),
            Redirects::SameOrigin if origin::same(from, to) => None,
            Redirects::SameOrigin => Some("a redirect to another origin is not followed"),
            Redirects::Anywhere => origin::blob_redirect_refused(&self.registry, from, to),
        };
        let rule = match refused {
            Some(rule) => rule.to_owned(),
            None => match self.guard.named(to, Purpose::Storage) {
                Ok(()) => return Ok(()),
                Err(refused) => refused.to_string(),
            },
        };
        let detail = format!("redirected to {}: {rule}", problem::clean(&origin::shown(to)));
        let error = problem::malformed(request, detail);
        Err(match request.redirects {
            Redirects::SameOrigin => error.with_hint("if the registry has moved there, give that as its URL"),
            Redirects::Never | Redirects::Anywhere => error,
        })
    }
}

/// What came of an attempt, for whoever watches. Paths have names only; queries, headers and bodies are left out.
fn log(request: &Request, attempt: u32, outcome: &Result<Answer, Broken>, took: Duration) {
    let status = outcome.as_ref().map(|answer| answer.status.as_u16());
    let failure = outcome.as_ref().err().map(|broken| broken.error.failure());
    tracing::debug!(
        kind = request.kind.as_str(),
        host = request.url.host_str(),
        path = request.url.path(),
        attempt,
        status = status.ok(),
        failure = failure.map(tracing::field::debug),
        elapsed_ms = u64::try_from(took.as_millis()).ok(),
        "answered"
    );
}

fn answered(outcome: &Result<Answer, Broken>) -> Answered {
    match outcome {
        Ok(answer) => Answered::Status(answer.status.as_u16()),
        Err(broken) if broken.error.failure() == Failure::Timeout => Answered::TimedOut,
        Err(_) => Answered::Broken,
    }
}

/// Whether an attempt shows that the registry has too much to do.
fn is_overload(outcome: &Result<Answer, Broken>) -> bool {
    match outcome {
        Ok(answer) => !answer.foreign && matches!(answer.status.as_u16(), 429 | 503 | 504),
        Err(broken) => !broken.foreign && broken.error.failure() == Failure::Timeout,
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

/// Reads the body, at most as much of it as may be. Of what is only tasted, whatever else comes is left.
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
    let only_tasted = status.is_success() && matches!(request.action, Action::Taste);
    loop {
        match response.chunk().await {
            Ok(Some(chunk)) if only_tasted => {
                body.extend(chunk.first());
                if !body.is_empty() {
                    break;
                }
            }
            Ok(Some(chunk)) if body.len() + chunk.len() <= limit => body.extend_from_slice(&chunk),
            Ok(Some(_)) if status.is_success() => {
                let detail = format!("the answer is larger than {limit} bytes");
                return Err(RegistryError::new(Failure::TooLarge, request.line(), detail).into());
            }
            // The rest of a refusal would say no more.
            Ok(Some(_) | None) => break,
            Err(_) if !status.is_success() => break,
            // Whoever announces a blob and cannot read it breaks off here: that is what was to be found out.
            Err(error) if only_tasted && !error.is_timeout() => break,
            Err(error) => return Err(broken(request, error)),
        }
    }
    Ok(Answer {
        status,
        headers,
        body: body.into(),
        foreign: false,
        given_up: false,
        granted: None,
        secrets: Vec::new(),
    })
}

/// What proves who we are, in the forms in which it may come back: of a header what is behind its scheme, and the
/// password in that; of a form its token, as it is and as it is sent.
fn secrets(authorization: Option<&HeaderValue>, action: &Action) -> Vec<SecretString> {
    let mut secrets = Vec::new();
    let header = authorization.and_then(|header| header.to_str().ok());
    if let Some((_, credentials)) = header.and_then(|header| header.split_once(' ')) {
        let pair = STANDARD
            .decode(credentials)
            .ok()
            .and_then(|pair| String::from_utf8(pair).ok());
        secrets.extend(
            pair.as_deref()
                .and_then(|pair| pair.split_once(':'))
                .map(|(_, password)| password.into()),
        );
        secrets.push(credentials.into());
    }
    if let Action::Exchange(form) = action {
        let field = |field: &str| field.strip_prefix("refresh_token=").map(SecretString::from);
        let form = form.expose_secret();
        secrets.extend(form.split('&').find_map(field));
        let token = url::form_urlencoded::parse(form.as_bytes()).find(|(field, _)| field == "refresh_token");
        secrets.extend(token.map(|(_, token)| SecretString::from(token.into_owned())));
    }
    secrets
}

#[cfg(test)]
mod tests;
