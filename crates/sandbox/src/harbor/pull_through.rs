//! Projects that cache another registry: over `/v2` that one answers.
//!
//! A manifest that is read is asked for there first, and what it has is kept, with all that belongs to it. What it no
//! longer has is deleted here, whatever other tags are on it, by a HEAD as well. Tags are those of both. Where it cannot be
//! reached, the cache answers.

use axum::response::Response;
use http::{Method, StatusCode};
use serde_json::json;

use super::sync::Pushed;
use crate::content::Manifest;
use crate::digest::Digest;
use crate::log::RequestKind;
use crate::server::Call;
use crate::server::reply::{CONTENT_DIGEST, content, json as reply, set};
use crate::store::{Store, View};

/// The answer to a read over `/v2`, where that is not the cache's own.
pub(crate) fn pull_through(call: &Call<'_>) -> Option<Response> {
    let (project, rest) = call.target.repository.split_once('/')?;
    let upstream = {
        let tables = call.shared.harbor.tables();
        tables.project(project)?.upstream.clone()?
    };
    let theirs = format!("{upstream}/{rest}");
    match call.target.kind {
        RequestKind::ManifestGet | RequestKind::ManifestHead => manifest(call, &theirs),
        RequestKind::TagList => Some(tags(call, &theirs)),
        _ => None,
    }
}

fn manifest(call: &Call<'_>, theirs: &str) -> Option<Response> {
    let (store, ours, reference) = (&call.shared.store, call.target.repository, call.target.reference);
    let changed = || call.shared.harbor.changed(store, ours, Pushed::Now);
    let Some(found) = store.read(theirs, |view| find(view, reference)).flatten() else {
        let here = store.read(ours, |view| find(view, reference)).flatten();
        if let Some(here) = here {
            store.delete_manifest(ours, &here.digest);
            changed();
        }
        return None;
    };
    if call.method == Method::HEAD {
        let mut response = content(found.bytes.clone(), &found.media_type, true);
        set(&mut response, CONTENT_DIGEST, &found.digest.text());
        return Some(response);
    }
    let digest = found.digest;
    fetch(store, theirs, ours, found);
    if !reference.contains(':') {
        store.write(ours, |_, overlay| overlay.put_tag(reference, digest));
    }
    changed();
    None
}

fn tags(call: &Call<'_>, theirs: &str) -> Response {
    let names = |repository: &str| {
        let tags = call.shared.store.read(repository, |view| {
            let tags = view.tags().into_iter().map(|(tag, _)| tag.to_owned());
            tags.collect::<Vec<_>>()
        });
        tags.unwrap_or_default()
    };
    let mut tags = names(call.target.repository);
    tags.extend(names(theirs));
    tags.sort();
    tags.dedup();
    let body = json!({ "name": call.target.repository, "tags": tags });
    reply(StatusCode::OK, body.to_string())
}

fn find(view: &View<'_>, reference: &str) -> Option<Manifest> {
    let digest: Option<Digest> = match reference.contains(':') {
        true => reference.parse().ok(),
        false => view.resolve(reference),
    };
    view.manifest(&digest?).map(|manifest| Manifest::clone(manifest))
}

fn fetch(store: &Store, theirs: &str, ours: &str, manifest: Manifest) {
    for child in &manifest.children {
        let child = store.read(theirs, |view| find(view, &child.text())).flatten();
        if let Some(child) = child {
            fetch(store, theirs, ours, child);
        }
    }
    for blob in manifest.config.iter().chain(&manifest.layers) {
        if let Some(bytes) = store.read(theirs, |view| view.blob(&blob.digest)).flatten() {
            store.put_blob(ours, bytes);
        }
    }
    store.put_unverified(ours, None, manifest);
}
