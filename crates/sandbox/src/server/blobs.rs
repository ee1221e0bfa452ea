//! Blobs: reading, deleting, and uploading in one piece, in two, in chunks or by mounting.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use axum::response::Response;
use bytes::Bytes;
use http::header::{ACCEPT_RANGES, CONTENT_RANGE, LOCATION, RANGE};
use http::{Method, StatusCode};

use super::Call;
use super::reply::{CONTENT_DIGEST, Failure, UPLOAD, content, created, empty, set};
use super::target::field;
use crate::digest::Digest;
use crate::options::Deletion;

/// The largest upload: content of the sandbox is small, and stays in memory.
pub(super) const LARGEST: usize = 64 << 20;

pub(super) fn get(call: &Call<'_>, head: bool) -> Result<Response, Failure> {
    let digest: Digest = call
        .target
        .reference
        .parse()
        .map_err(|_| Failure::DIGEST_INVALID)?;
    let found = call
        .shared
        .store
        .read(call.target.repository, |view| view.blob(&digest));
    let bytes = found.flatten().ok_or(Failure::BLOB_UNKNOWN)?;
    if head {
        call.shared.harbor.touch(digest);
    }
    let asked = call
        .headers
        .get(RANGE)
        .and_then(|value| value.to_str().ok())
        .filter(|_| !head);
    let mut response = match asked.map(|asked| range(asked, bytes.len())) {
        None => content(bytes, "application/octet-stream", head),
        Some(None) => return Err(Failure::RANGE),
        Some(Some((first, last))) => {
            let total = bytes.len();
            let part = bytes.slice(first..=last);
            let mut response = content(part, "application/octet-stream", false);
            *response.status_mut() = StatusCode::PARTIAL_CONTENT;
            set(
                &mut response,
                CONTENT_RANGE,
                &format!("bytes {first}-{last}/{total}"),
            );
            response
        }
    };
    set(&mut response, ACCEPT_RANGES, "bytes");
    if call.shared.behaviour.digest_header {
        set(&mut response, CONTENT_DIGEST, &digest.text());
    }
    Ok(response)
}

/// `bytes=a-b`, `bytes=a-` or `bytes=-n` as first and last position; `None` where it names nothing.
fn range(text: &str, length: usize) -> Option<(usize, usize)> {
    let (first, last) = text.strip_prefix("bytes=")?.split_once('-')?;
    let end = length.checked_sub(1)?;
    let (first, last) = match (first, last) {
        ("", count) => (length.saturating_sub(count.parse().ok()?), end),
        (first, "") => (first.parse().ok()?, end),
        (first, last) => (first.parse().ok()?, last.parse::<usize>().ok()?.min(end)),
    };
    (first <= last).then_some((first, last))
}

pub(super) fn delete(call: &Call<'_>) -> Result<Response, Failure> {
    match call.shared.behaviour.deletion {
        Deletion::Disabled => return Err(Failure::UNSUPPORTED),
        Deletion::NoRoute => return Err(Failure::NOT_FOUND),
        _ => {}
    }
    let digest: Digest = call
        .target
        .reference
        .parse()
        .map_err(|_| Failure::DIGEST_INVALID)?;
    if call.shared.store.delete_blob(call.target.repository, &digest) {
        Ok(empty(StatusCode::ACCEPTED))
    } else {
        Err(Failure::BLOB_UNKNOWN)
    }
}

/// Uploads that were begun and not finished.
#[derive(Default)]
pub(super) struct Uploads {
    next: AtomicU64,
    open: Mutex<HashMap<String, Open>>,
}

struct Open {
    repository: String,
    bytes: Vec<u8>,
}

pub(super) fn upload(call: &Call<'_>, body: Bytes) -> Result<Response, Failure> {
    match *call.method {
        Method::POST if call.target.reference.is_empty() => begin(call, body),
        Method::PATCH => extend(call, &body),
        Method::PUT => finish(call, &body),
        Method::GET => status(call),
        Method::DELETE => cancel(call),
        _ => Err(Failure::UNSUPPORTED),
    }
}

fn begin(call: &Call<'_>, body: Bytes) -> Result<Response, Failure> {
    let repository = call.target.repository;
    let store = &call.shared.store;
    if let (Some(digest), Some(from)) = (field(call.query, "mount"), field(call.query, "from")) {
        let digest: Digest = digest.parse().map_err(|_| Failure::DIGEST_INVALID)?;
        let found = store.read(&from, |view| view.blob(&digest)).flatten();
        if let Some(bytes) = found.filter(|_| call.shared.behaviour.mount) {
            store.put_blob(repository, bytes);
            call.shared.harbor.touch(digest);
            return Ok(created(&format!("/v2/{repository}/blobs/{digest}"), digest));
        }
    } else if let Some(digest) = field(call.query, "digest") {
        return stored(call, &digest, body);
    }
    let uploads = &call.shared.uploads;
    let name = format!("upload-{}", uploads.next.fetch_add(1, Ordering::Relaxed) + 1);
    let open = Open {
        repository: repository.to_owned(),
        bytes: Vec::new(),
    };
    uploads
        .open
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .insert(name.clone(), open);
    Ok(progress(StatusCode::ACCEPTED, repository, &name, 0))
}

fn extend(call: &Call<'_>, body: &[u8]) -> Result<Response, Failure> {
    let mut open = call
        .shared
        .uploads
        .open
        .lock()
        .unwrap_or_else(PoisonError::into_inner);
    let upload = mine(&mut open, call)?;
    if let Some(range) = call
        .headers
        .get(CONTENT_RANGE)
        .and_then(|value| value.to_str().ok())
    {
        let first = range
            .trim_start_matches("bytes ")
            .split('-')
            .next()
            .and_then(|first| first.parse().ok());
        if first != Some(upload.bytes.len()) {
            return Err(Failure::UPLOAD_OUT_OF_ORDER);
        }
    }
    if upload.bytes.len() + body.len() > LARGEST {
        return Err(Failure::UPLOAD_INVALID);
    }
    upload.bytes.extend_from_slice(body);
    Ok(progress(
        StatusCode::ACCEPTED,
        call.target.repository,
        call.target.reference,
        upload.bytes.len(),
    ))
}

fn finish(call: &Call<'_>, body: &[u8]) -> Result<Response, Failure> {
    let digest = field(call.query, "digest").ok_or(Failure::DIGEST_INVALID)?;
    let bytes = {
        let mut open = call
            .shared
            .uploads
            .open
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let upload = mine(&mut open, call)?;
        let mut bytes = std::mem::take(&mut upload.bytes);
        open.remove(call.target.reference);
        bytes.extend_from_slice(body);
        bytes
    };
    stored(call, &digest, Bytes::from(bytes))
}

fn stored(call: &Call<'_>, named: &str, bytes: Bytes) -> Result<Response, Failure> {
    let digest: Digest = named.parse().map_err(|_| Failure::DIGEST_INVALID)?;
    if Digest::of(&bytes) != digest {
        return Err(Failure::DIGEST_INVALID);
    }
    let repository = call.target.repository;
    call.shared.store.put_blob(repository, bytes);
    call.shared.harbor.touch(digest);
    Ok(created(&format!("/v2/{repository}/blobs/{digest}"), digest))
}

fn status(call: &Call<'_>) -> Result<Response, Failure> {
    let mut open = call
        .shared
        .uploads
        .open
        .lock()
        .unwrap_or_else(PoisonError::into_inner);
    let length = mine(&mut open, call)?.bytes.len();
    Ok(progress(
        StatusCode::NO_CONTENT,
        call.target.repository,
        call.target.reference,
        length,
    ))
}

fn cancel(call: &Call<'_>) -> Result<Response, Failure> {
    let mut open = call
        .shared
        .uploads
        .open
        .lock()
        .unwrap_or_else(PoisonError::into_inner);
    mine(&mut open, call)?;
    open.remove(call.target.reference);
    Ok(empty(StatusCode::NO_CONTENT))
}

fn mine<'a>(open: &'a mut HashMap<String, Open>, call: &Call<'_>) -> Result<&'a mut Open, Failure> {
    open.get_mut(call.target.reference)
        .filter(|upload| upload.repository == call.target.repository)
        .ok_or(Failure::UPLOAD_UNKNOWN)
}

fn progress(status: StatusCode, repository: &str, name: &str, length: usize) -> Response {
    let mut response = empty(status);
    set(
        &mut response,
        LOCATION,
        &format!("/v2/{repository}/blobs/uploads/{name}"),
    );
    set(&mut response, RANGE, &format!("0-{}", length.saturating_sub(1)));
    set(&mut response, UPLOAD, name);
    response
}

#[cfg(test)]
mod tests {
    use super::range;

    #[test]
    fn ranges_are_read_as_http_defines_them() {
        assert_eq!(range("bytes=0-3", 10), Some((0, 3)));
        assert_eq!(range("bytes=4-", 10), Some((4, 9)));
        assert_eq!(range("bytes=-3", 10), Some((7, 9)));
        assert_eq!(range("bytes=5-99", 10), Some((5, 9)));
        for text in ["bytes=10-", "bytes=5-4", "items=0-1", "bytes=-0", "bytes=x-"] {
            assert_eq!(range(text, 10), None, "{text}");
        }
        assert_eq!(range("bytes=0-", 0), None);
    }
}
