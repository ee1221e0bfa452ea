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
use crate::faults::{Asked, Effect};
use crate::log::{LogEntry, RequestKind};

/// What a handler needs to know of a request.
pub(super) struct Call<'a> {
    pub(super) shared: &'a Shared,
    pub(super) number: u64,
    pub(super) method: &'a Method,
    pub(super) target: Target<'a>,
    pub(super) query: &'a str,
    pub(super) headers: &'a HeaderMap,
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

    fn authorization(&self) -> Option<&str> {
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
    let target = match shared.authority.gives_tokens_at(&path) {
        true => Target::token(),
        false => Target::read(&parts.method, &path),
    };
    shared.log.count(target.kind);
    let mut call = Call {
        shared: &shared,
        number: in_flight.number,
        method: &parts.method,
        target,
        query: parts.uri.query().unwrap_or_default(),
        headers: &parts.headers,
        effects: Vec::new(),
    };
    shared.carry_out_what_is_due(call.number);
    // Held until the answer is on its way.
    let place = shared.places.as_ref().map(Semaphore::try_acquire);
    if matches!(place, Some(Err(_))) {
        return damage::injected(429, None, None);
    }
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
            Effect::NotARegistry if instead.is_none() => instead = Some(damage::web_page()),
            Effect::Answer {
                status,
                retry_after,
                body,
            } if instead.is_none() => {
                instead = Some(damage::injected(*status, retry_after.as_deref(), body.as_deref()));
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
    const OURS: HeaderValue = HeaderValue::from_static("registry/2.0");
    let headers = response.headers_mut();
    match headers.get(API_VERSION) {
        Some(_) => headers.remove(API_VERSION),
        None => headers.insert(API_VERSION, OURS),
    };
    Some(response)
}

/// Why the request may not go on, if so.
fn refusal(call: &Call<'_>) -> Option<Response> {
    let target = &call.target;
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
    let mut response = match call
        .shared
        .authority
        .check(&need, call.authorization(), call.number)
    {
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
    let named = !matches!(
        call.target.kind,
        RequestKind::Base | RequestKind::Catalog | RequestKind::Token | RequestKind::Other
    );
    if named && !is_repository(call.target.repository) {
        return Err(Failure::NAME_INVALID);
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
        RequestKind::ManifestDelete => manifests::delete(call),
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
        RequestKind::Other => Err(Failure::UNSUPPORTED),
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
    let service = field(call.query, "service");
    let (token, lifetime) = call
        .shared
        .authority
        .issue(service.as_deref(), &scopes, call.authorization(), call.number)
        .ok_or(Failure::UNAUTHORIZED)?;
    let body = match call.shared.authority.names_it_access_token() {
        true => json!({ "access_token": token }),
        false => json!({ "token": token, "access_token": token, "expires_in": lifetime }),
    };
    Ok(json(StatusCode::OK, body.to_string()))
}
