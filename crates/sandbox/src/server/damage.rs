//! Faults that spoil an answer which was right.

use std::convert::Infallible;
use std::io;

use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use futures_util::{StreamExt, stream};
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, LINK};
use http::{HeaderName, HeaderValue, StatusCode};

use super::reply::{API_VERSION, CONTENT_DIGEST, Failure, empty, json, set};
use crate::digest::Digest;
use crate::faults::Effect;

/// The answer of an [`Effect::Answer`].
pub(super) fn injected(status: u16, retry_after: Option<&str>, body: Option<&str>) -> Response {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = match body {
        Some(body) => json(status, body.to_owned()),
        None if status.as_u16() < 400 => empty(status),
        None => Failure::injected(status).reply(),
    };
    if let Some(after) = retry_after {
        set(&mut response, http::header::RETRY_AFTER, after);
    }
    response
}

/// Somebody else's web server.
pub(super) fn web_page() -> Response {
    let page = "<!doctype html><html><head><title>Welcome</title></head><body>It works!</body></html>";
    let mut response = Response::new(Body::from(page));
    set(&mut response, CONTENT_TYPE, "text/html; charset=utf-8");
    // Marks the answer, so that the registry's own header is not added on the way out.
    response
        .headers_mut()
        .insert(API_VERSION, HeaderValue::from_static(""));
    response
}

/// Applies what changes an answer; effects of other kinds change nothing here.
pub(super) async fn spoil(mut response: Response, effect: &Effect, address: &str) -> Response {
    let headers = response.headers_mut();
    match effect {
        Effect::NoDigest => {
            headers.remove(CONTENT_DIGEST);
        }
        Effect::WrongDigest if headers.contains_key(CONTENT_DIGEST) => {
            set(
                &mut response,
                CONTENT_DIGEST,
                &Digest::of(b"something else").text(),
            );
        }
        Effect::Header(name, value) => {
            if let Ok(name) = HeaderName::from_bytes(name.as_bytes()) {
                set(&mut response, name, value);
            }
        }
        Effect::ContentType(media_type) => set(&mut response, CONTENT_TYPE, media_type),
        Effect::LinkToItself => set(&mut response, LINK, &format!("<{address}>; rel=\"next\"")),
        Effect::LinkTo(url) => set(&mut response, LINK, &format!("<{url}>; rel=\"next\"")),
        Effect::CutBody | Effect::TruncatedBody | Effect::WrongBody | Effect::HugeBody { .. } => {
            return spoil_body(response, effect).await;
        }
        _ => {}
    }
    response
}

async fn spoil_body(response: Response, effect: &Effect) -> Response {
    let (mut parts, body) = response.into_parts();
    let bytes = axum::body::to_bytes(body, usize::MAX).await.unwrap_or_default();
    if bytes.is_empty() {
        // A HEAD or an empty answer: there is nothing to spoil.
        return Response::from_parts(parts, Body::empty());
    }
    let half = bytes.slice(..bytes.len() / 2);
    let (length, body) = match effect {
        Effect::CutBody => {
            let broken = stream::once(async move { Ok(half) }).chain(stream::once(async {
                // The first half has to leave before the connection breaks.
                tokio::task::yield_now().await;
                Err(io::Error::from(io::ErrorKind::ConnectionReset))
            }));
            (bytes.len() as u64, Body::from_stream(broken))
        }
        Effect::TruncatedBody => (half.len() as u64, Body::from(half)),
        Effect::WrongBody => {
            let mut wrong = bytes.to_vec();
            if let Some(last) = wrong.last_mut() {
                *last ^= 1;
            }
            (wrong.len() as u64, Body::from(wrong))
        }
        Effect::HugeBody { padding } => {
            let total = bytes.len() as u64 + padding;
            (
                total,
                Body::from_stream(stream::once(async { Ok(bytes) }).chain(spaces(*padding))),
            )
        }
        _ => (bytes.len() as u64, Body::from(bytes)),
    };
    parts.headers.insert(CONTENT_LENGTH, HeaderValue::from(length));
    Response::from_parts(parts, body)
}

fn spaces(count: u64) -> impl futures_util::Stream<Item = Result<Bytes, Infallible>> {
    const CHUNK: usize = 64 << 10;
    let chunk = Bytes::from(vec![b' '; CHUNK]);
    stream::iter((0..count.div_ceil(CHUNK as u64)).map(move |number| {
        let left = count - number * CHUNK as u64;
        Ok(chunk.slice(..usize::try_from(left).unwrap_or(CHUNK).min(CHUNK)))
    }))
}
