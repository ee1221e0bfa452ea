//! One request, from its arrival to its line in the log.

use std::borrow::Cow;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::{ConnectInfo, State};
use axum::response::Response;
use bytes::Bytes;
use http::header::{AUTHORIZATION, WWW_AUTHENTICATE};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Method, Request, StatusCode};
use serde_json::json;
use tokio::sync::Semaphore;

use super::connection::Scissors;
use super::reply::{API_VERSION, Failure, empty, json, set};
use super::target::{Target, decoded, field, fields, is_repository};
use super::{Shared, blobs, damage, listing, manifests};
use crate::auth::{Need, Refusal};
use crate::faults::{Asked, Effect, Lookup};
use crate::harbor::{self, Failing, Route};
use crate::log::{LogEntry, RequestKind};

/// What a handler needs to know of a request.
pub(crate) struct Call<'a> {
    pub(crate) shared: &'a Shared,
    pub(crate) number: u64,
    pub(crate) method: &'a Method,
    pub(crate) target: Target<'a>,
    pub(crate) query: &'a str,
    pub(crate) headers: &'a HeaderMap,
    /// The same, where the request is one to Harbor's API.
    pub(crate) route: Option<&'a Route>,
    effects: Vec<Effect>,
}

impl Call<'_> {
    pub(super) fn repeats_an_entry(&self) -> bool {
        self.effects.contains(&Effect::RepeatedEntry)
    }

    /// After how many requests a deletion is to be carried out.
    pub(super) fn late(&self) -> Option<u64> {
        self.effects.iter().find_map(|effect| match effect {
            Effect::ApplyLate { requests } => Some(*requests),
            _ => None,
        })
    }

    /// Which lookups fail inside Harbor.
    pub(crate) fn failing(&self) -> Failing {
        let mut failing = Failing::default();
        for effect in &self.effects {
            if let Effect::LookupFails(lookup) = effect {
                match lookup {
                    Lookup::Tags => failing.tags = true,
                    Lookup::Labels => failing.labels = true,
                    Lookup::Accessories => failing.accessories = true,
                    Lookup::Immutability => failing.immutability = true,
                }
            }
        }
        failing
    }

    pub(crate) fn authorization(&self) -> Option<&str> {
        self.headers
            .get(AUTHORIZATION)
            .and_then(|value| value.to_str().ok())
    }
}

pub(super) async fn handle(
    State(shared): State<Arc<Shared>>,
    ConnectInfo(scissors): ConnectInfo<Scissors>,
    request: Request<Body>,
) -> Response {
    let in_flight = shared.log.arrive();
    let (parts, body) = request.into_parts();
    let path = if parts.uri.path().contains('%') {
        Cow::Owned(decoded(parts.uri.path(), false))
    } else {
        Cow::Borrowed(parts.uri.path())
    };
    let route = shared.harbor.route(&parts.method, parts.uri.path());
    let target = match &route {
        Some(route) => route.target(),
        None if shared.gives_tokens_at(&path) => Target::token(),
        None => Target::read(&parts.method, &path),
    };
    shared.log.count(target.kind);
    let mut call = Call {
        shared: &shared,
        number: in_flight.number,
        method: &parts.method,
        target,
        query: parts.uri.query().unwrap_or_default(),
        headers: &parts.headers,
        route: route.as_ref(),
        effects: Vec::new(),
    };
    shared.carry_out_what_is_due(call.number);
    // Held until the answer is on its way.
    let place = shared.places.as_ref().map(Semaphore::try_acquire);
    if matches!(place, Some(Err(_))) {
        return damage::injected(429, None, None);
    }
    shared.harbor.write_down_pulls(call.number);
    if !shared.latency.is_zero() {
        shared.until_stopped(tokio::time::sleep(shared.latency)).await;
    }
    let answer = match refusal(&call) {
        Some(refused) => Some(refused),
        None => {
            call.effects = shared.faults.effects(&Asked {
                kind: target.kind,
                method: &parts.method,
                repository: target.repository,
                reference: target.reference,
            });
            with_faults(&call, &parts, body).await
        }
    };
    if shared.log.keeps_entries() {
        shared.log.record(LogEntry {
            number: call.number,
            method: parts.method.clone(),
            kind: target.kind,
            repository: target.repository.to_owned(),
            reference: target.reference.to_owned(),
            query: call.query.to_owned(),
            path: parts.uri.path().to_owned(),
            status: answer.as_ref().map(Response::status),
            authorized: parts.headers.contains_key(AUTHORIZATION),
        });
    }
    answer.unwrap_or_else(|| {
        scissors.cut();
        empty(StatusCode::INTERNAL_SERVER_ERROR)
    })
}

/// The answer, with everything that goes wrong on its way; `None` where the connection is cut.
async fn with_faults(call: &Call<'_>, parts: &Parts, body: Body) -> Option<Response> {
    let mut instead = None;
    for effect in &call.effects {
        match effect {
            Effect::Delay(time) => {
                call.shared.until_stopped(tokio::time::sleep(*time)).await;
            }
            Effect::Hang => {
                call.shared.until_stopped(std::future::pending::<()>()).await;
                return None;
            }
            Effect::Cut => return None,
            Effect::Meanwhile(change) => call.shared.change(change),
            Effect::NotARegistry if instead.is_none() => instead = Some(damage::web_page()),
            Effect::Answer {
                status,
                retry_after,
                body,
            } if instead.is_none() => {
                let answer = damage::injected(*status, retry_after.as_deref(), body.as_deref());
                instead = Some(match (call.route, body) {
                    (None, _) => answer,
                    (Some(_), Some(_)) => harbor::finish(call, answer),
                    (Some(_), None) => harbor::finish(call, harbor::injected(answer)),
                });
            }
            _ => {}
        }
    }
    let mut response = match instead {
        Some(response) => response,
        None => answer(call, body).await.unwrap_or_else(Failure::reply),
    };
    let address = parts.uri.path_and_query().map_or("/", |address| address.as_str());
    for effect in &call.effects {
        response = damage::spoil(response, effect, address).await;
    }
    if call.effects.contains(&Effect::ReplyLost) {
        return None;
    }
    Some(without_mark(response))
}

/// Adds the registry's own header, unless the answer is marked as somebody else's.
fn without_mark(mut response: Response) -> Response {
    const OURS: HeaderValue = HeaderValue::from_static("registry/2.0");
    let headers = response.headers_mut();
    match headers.get(API_VERSION) {
        Some(_) => headers.remove(API_VERSION),
        None => headers.insert(API_VERSION, OURS),
    };
    response
}

/// Why the request may not go on, if so.
fn refusal(call: &Call<'_>) -> Option<Response> {
    let target = &call.target;
    let harbor = &call.shared.harbor;
    if let Some(route) = call.route {
        let refused = harbor::check(call, route).err()?;
        return Some(without_mark(harbor::finish(call, refused.reply())));
    }
    let reads = matches!(*call.method, Method::GET | Method::HEAD | Method::OPTIONS);
    if !reads && harbor.is_read_only() {
        return Some(harbor::Failure::read_only().reply());
    }
    let mounted_from = if target.kind == RequestKind::BlobUpload {
        field(call.query, "from")
    } else {
        None
    };
    let need = match target.kind {
        RequestKind::Token => return None,
        RequestKind::Base | RequestKind::Other => Need::Identity,
        RequestKind::Catalog => Need::Catalog,
        _ => Need::Repository {
            name: target.repository,
            mounted_from: mounted_from.as_deref(),
            actions: match *call.method {
                Method::GET | Method::HEAD => &["pull"],
                Method::DELETE if !call.shared.behaviour.delete_takes_push => &["delete"],
                _ => &["pull", "push"],
            },
        },
    };
    let checked = if harbor.enabled() {
        let is_head = call.method == Method::HEAD;
        harbor.check(&need, call.authorization(), is_head, &call.shared.origin)
    } else {
        call.shared
            .authority
            .check(&need, call.authorization(), call.number)
    };
    let mut response = match checked {
        Ok(()) => return None,
        Err(Refusal::Denied) => Failure::DENIED.reply(),
        Err(Refusal::Challenge(challenge)) => {
            let mut response = Failure::UNAUTHORIZED.reply();
            set(&mut response, WWW_AUTHENTICATE, &challenge);
            response
        }
    };
    set(&mut response, API_VERSION, "registry/2.0");
    Some(response)
}

async fn answer(call: &Call<'_>, body: Body) -> Result<Response, Failure> {
    if let Some(route) = call.route {
        let bytes = axum::body::to_bytes(body, manifests::LARGEST).await;
        let bytes = bytes.map_err(|_| Failure::MANIFEST_TOO_LARGE)?;
        let answer = harbor::answer(call, route, bytes).await;
        return Ok(harbor::finish(
            call,
            answer.unwrap_or_else(|failure| failure.reply()),
        ));
    }
    let named = !matches!(
        call.target.kind,
        RequestKind::Base | RequestKind::Catalog | RequestKind::Token | RequestKind::Other
    );
    if named && !is_repository(call.target.repository) {
        return Err(Failure::NAME_INVALID);
    }
    if let Some(answer) = harbor::pull_through(call) {
        return Ok(answer);
    }
    match call.target.kind {
        RequestKind::Base => Ok(json(StatusCode::OK, Bytes::from_static(b"{}"))),
        RequestKind::Catalog => listing::catalog(call),
        RequestKind::TagList => listing::tags(call),
        RequestKind::ManifestGet => manifests::get(call, false),
        RequestKind::ManifestHead => manifests::get(call, true),
        RequestKind::ManifestPut => {
            let bytes = axum::body::to_bytes(body, manifests::LARGEST).await;
            manifests::put(call, bytes.map_err(|_| Failure::MANIFEST_TOO_LARGE)?)
        }
        RequestKind::ManifestDelete => manifests::delete(call).await,
        RequestKind::BlobGet => blobs::get(call, false),
        RequestKind::BlobHead => blobs::get(call, true),
        RequestKind::BlobDelete => blobs::delete(call),
        RequestKind::BlobUpload => {
            let bytes = axum::body::to_bytes(body, blobs::LARGEST).await;
            blobs::upload(call, bytes.map_err(|_| Failure::UPLOAD_INVALID)?)
        }
        RequestKind::Referrers => manifests::referrers(call),
        RequestKind::Token => token(call),
        RequestKind::Other if call.target.repository.is_empty() => Err(Failure::NOT_FOUND),
        _ => Err(Failure::UNSUPPORTED),
    }
}

/// The token endpoint ("Token Authentication Specification"): GET with basic credentials.
fn token(call: &Call<'_>) -> Result<Response, Failure> {
    if call.method != Method::GET {
        return Err(Failure::UNSUPPORTED);
    }
    let scopes: Vec<String> = fields(call.query, "scope")
        .iter()
        .flat_map(|scope| scope.split(' '))
        .filter(|scope| !scope.is_empty())
        .map(str::to_owned)
        .collect();
    if call.shared.authority.refuses(&scopes) {
        return Err(Failure::DENIED);
    }
    let service = field(call.query, "service");
    let issued = if call.shared.harbor.enabled() {
        call.shared.harbor.token(&scopes, call.authorization())
    } else {
        call.shared
            .authority
            .issue(service.as_deref(), &scopes, call.authorization(), call.number)
    };
    let (token, lifetime) = issued.ok_or(Failure::UNAUTHORIZED)?;
    let body = match call.shared.authority.names_it_access_token() {
        true => json!({ "access_token": token }),
        false => json!({ "token": token, "access_token": token, "expires_in": lifetime }),
    };
    Ok(json(StatusCode::OK, body.to_string()))
}
