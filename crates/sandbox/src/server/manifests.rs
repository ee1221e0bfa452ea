//! Manifests by tag and by digest, and what refers to them.

use axum::response::Response;
use bytes::Bytes;
use http::header::{ACCEPT, CONTENT_TYPE, ETAG, IF_NONE_MATCH};
use http::{HeaderMap, StatusCode};
use serde_json::Value;

use super::Call;
use super::reply::{CONTENT_DIGEST, FILTERS, Failure, SUBJECT, content, created, empty, json, set};
use super::target::{field, is_tag};
use crate::content::{Manifest, fallback_index};
use crate::digest::Digest;
use crate::harbor::{self, Pushed};
use crate::media;
use crate::options::Deletion;
use crate::store::{Missing, View};

/// Distribution's own limit.
pub(super) const LARGEST: usize = 4 << 20;

/// A tag or a digest.
enum Reference<'a> {
    Tag(&'a str),
    Digest(Digest),
}

fn reference(text: &str) -> Result<Reference<'_>, Failure> {
    if text.contains(':') {
        text.parse()
            .map(Reference::Digest)
            .map_err(|_| Failure::DIGEST_INVALID)
    } else if is_tag(text) {
        Ok(Reference::Tag(text))
    } else {
        Err(Failure::TAG_INVALID)
    }
}

pub(super) fn get(call: &Call<'_>, head: bool) -> Result<Response, Failure> {
    let reference = reference(call.target.reference)?;
    let found = call.shared.store.read(call.target.repository, |view| {
        let digest = match reference {
            Reference::Tag(tag) => view.resolve(tag).ok_or(Failure::MANIFEST_UNKNOWN)?,
            Reference::Digest(digest) => digest,
        };
        let manifest = view.manifest(&digest).ok_or(Failure::MANIFEST_UNKNOWN)?;
        if !call.shared.behaviour.accept_must_name_the_type || accepts(call.headers, &manifest.media_type) {
            return Ok(manifest.clone());
        }
        match &*manifest.media_type {
            media::OCI_MANIFEST | media::OCI_INDEX => Err(Failure::MANIFEST_NOT_ACCEPTED),
            media::DOCKER_LIST if matches!(reference, Reference::Tag(_)) => default_platform(view, manifest)
                .cloned()
                .ok_or(Failure::MANIFEST_UNKNOWN),
            _ => Ok(manifest.clone()),
        }
    });
    let manifest = found.unwrap_or(Err(Failure::MANIFEST_UNKNOWN))?;
    let digest = manifest.digest.text();
    let matched = call
        .headers
        .get(IF_NONE_MATCH)
        .and_then(|value| value.to_str().ok());
    let mut response = if matched.is_some_and(|value| value.trim_matches('"') == digest) {
        empty(StatusCode::NOT_MODIFIED)
    } else {
        content(manifest.bytes.clone(), &manifest.media_type, head)
    };
    if !head {
        let tag = Some(call.target.reference).filter(|text| !text.contains(':'));
        let (repository, status) = (call.target.repository, response.status());
        call.shared.harbor.pulled(
            call.number,
            call.headers,
            repository,
            manifest.digest,
            tag,
            status,
        );
    }
    let behaviour = &call.shared.behaviour;
    if behaviour.digest_header && (head || behaviour.digest_header_on_get) {
        set(&mut response, CONTENT_DIGEST, &digest);
    }
    set(&mut response, ETAG, &format!("\"{digest}\""));
    Ok(response)
}

fn accepts(headers: &HeaderMap, media_type: &str) -> bool {
    headers
        .get_all(ACCEPT)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .any(|value| {
            value
                .split(',')
                .any(|part| part.split(';').next().unwrap_or_default().trim() == media_type)
        })
}

fn default_platform<'a>(view: &View<'a>, list: &Manifest) -> Option<&'a std::sync::Arc<Manifest>> {
    let value: Value = serde_json::from_slice(&list.bytes).ok()?;
    let child = value.get("manifests")?.as_array()?.iter().find(|child| {
        child.pointer("/platform/architecture").and_then(Value::as_str) == Some("amd64")
            && child.pointer("/platform/os").and_then(Value::as_str) == Some("linux")
    })?;
    view.manifest(&child.get("digest")?.as_str()?.parse().ok()?)
}

pub(super) fn put(call: &Call<'_>, bytes: Bytes) -> Result<Response, Failure> {
    let reference = reference(call.target.reference)?;
    let value: Value = serde_json::from_slice(&bytes).map_err(|_| Failure::MANIFEST_INVALID)?;
    let inside = value.get("mediaType").and_then(Value::as_str);
    let sent = call
        .headers
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok());
    let media_type = sent.or(inside).ok_or(Failure::MANIFEST_INVALID)?;
    if inside.is_some_and(|inside| inside != media_type) {
        return Err(Failure::MANIFEST_INVALID);
    }
    let mut manifest = Manifest::read(media_type, bytes).ok_or(Failure::MANIFEST_INVALID)?;
    let (digest, subject) = (manifest.digest, manifest.subject);
    let tag = match reference {
        Reference::Tag(tag) => Some(tag),
        Reference::Digest(named) if named == digest => None,
        Reference::Digest(_) => return Err(Failure::DIGEST_INVALID),
    };
    let (repository, store) = (call.target.repository, &call.shared.store);
    if call.shared.harbor.enabled()
        && let Err(failure) = harbor::may_push(call, repository, tag, digest)
    {
        return Ok(failure.reply());
    }
    manifest.created = store.created_of(repository, &manifest);
    if call.shared.behaviour.verify_references {
        if let Err(Missing(missing)) = store.put_manifest(repository, tag, manifest) {
            let failure = Failure::MANIFEST_BLOB_UNKNOWN;
            return Ok(failure.about(serde_json::json!({ "digest": missing.to_string() })));
        }
    } else {
        store.put_unverified(repository, tag, manifest);
    }
    call.shared.harbor.changed(store, repository, Pushed::Now);
    let mut response = created(&format!("/v2/{repository}/manifests/{digest}"), digest);
    if let (Some(subject), true) = (subject, call.shared.behaviour.referrers_api) {
        set(&mut response, SUBJECT, &subject.text());
    }
    Ok(response)
}

pub(super) async fn delete(call: &Call<'_>) -> Result<Response, Failure> {
    let deletion = call.shared.behaviour.deletion;
    match deletion {
        Deletion::Disabled => return Err(Failure::UNSUPPORTED),
        Deletion::NoRoute => return Err(Failure::NOT_FOUND),
        _ => {}
    }
    let (repository, store) = (call.target.repository, &call.shared.store);
    let by_digest = match reference(call.target.reference)? {
        Reference::Tag(_) if call.shared.harbor.enabled() => {
            return Ok(harbor::Failure::tags_are_not_deleted().reply());
        }
        Reference::Tag(_) if deletion == Deletion::ByDigestOnly => return Err(Failure::DIGEST_INVALID),
        Reference::Tag(_)
            if deletion == Deletion::TagsUnsupported || call.shared.behaviour.tags_are_not_deleted =>
        {
            return Err(Failure::UNSUPPORTED);
        }
        Reference::Tag(_) => false,
        Reference::Digest(digest) => {
            if let Deletion::UntaggedOnly { status, code } = deletion {
                let tagged = store.read(repository, |view| view.tags().iter().any(|(_, on)| *on == digest));
                if tagged == Some(true) {
                    return Err(Failure::of_its_own(status, code, "still referenced by a tag"));
                }
            }
            true
        }
    };
    if call.shared.harbor.enabled() {
        let (reference, status) = (call.target.reference, StatusCode::ACCEPTED);
        let answer = harbor::delete_artifact(call, repository, reference, status).await;
        return Ok(answer.unwrap_or_else(|failure| failure.reply()));
    }
    let late = call.late();
    let there = match (late, by_digest) {
        (Some(requests), _) => {
            call.shared
                .defer(call.number + requests, repository, call.target.reference);
            true
        }
        (None, _) => carry_out(store, repository, call.target.reference),
    };
    if there {
        Ok(empty(StatusCode::ACCEPTED))
    } else {
        Err(Failure::MANIFEST_UNKNOWN)
    }
}

/// Deletes a tag or a digest; answers whether it was there.
pub(super) fn carry_out(store: &crate::store::Store, repository: &str, reference: &str) -> bool {
    match reference.parse() {
        Ok(digest) => store.delete_manifest(repository, &digest),
        Err(_) => store.delete_tag(repository, reference),
    }
}

pub(super) fn referrers(call: &Call<'_>) -> Result<Response, Failure> {
    let behaviour = &call.shared.behaviour;
    if !behaviour.referrers_api {
        return Err(Failure::NOT_FOUND);
    }
    let subject: Digest = call
        .target
        .reference
        .parse()
        .map_err(|_| Failure::DIGEST_INVALID)?;
    let wanted = field(call.query, "artifactType").filter(|_| behaviour.referrers_filter);
    let body = call.shared.store.read(call.target.repository, |view| {
        let mut found = view.referrers(&subject);
        if let Some(wanted) = &wanted {
            found.retain(|referrer| referrer.artifact_type.as_deref() == Some(wanted));
        }
        let found: Vec<&Manifest> = found.into_iter().map(|referrer| &**referrer).collect();
        fallback_index(&found)
    });
    // No such repository is an empty list: the specification knows no other 404 here.
    let mut response = json(StatusCode::OK, body.unwrap_or_else(|| fallback_index(&[])));
    set(&mut response, CONTENT_TYPE, media::OCI_INDEX);
    if wanted.is_some() {
        set(&mut response, FILTERS, "artifactType");
    }
    Ok(response)
}
