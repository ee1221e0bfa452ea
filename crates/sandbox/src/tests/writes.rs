//! Pushing, deleting, and what is left.

use http::Method;
use http::header::{CONTENT_RANGE, CONTENT_TYPE};
use serde_json::json as value;

use super::{DAY, code, header, start};
use crate::{Digest, RequestKind, Sandbox, SandboxOptions, media};

/// Sets up the blob and answers a manifest of it.
fn manifest_of(sandbox: &Sandbox, repository: &str, subject: Option<Digest>) -> String {
    let config = sandbox.put_blob(repository, r#"{"created":"2026-05-01T00:00:00Z"}"#);
    let mut manifest = value!({
        "schemaVersion": 2,
        "mediaType": media::OCI_MANIFEST,
        "config": {"mediaType": media::OCI_CONFIG, "digest": config.to_string(), "size": 34},
        "layers": [],
    });
    if let Some(subject) = subject {
        manifest["subject"] =
            value!({"mediaType": media::OCI_MANIFEST, "digest": subject.to_string(), "size": 1});
    }
    manifest.to_string()
}

#[tokio::test]
async fn a_pushed_manifest_comes_back_byte_for_byte() {
    let (sandbox, mut http) = start(SandboxOptions::default()).await;
    let manifest = format!(" {}\n", manifest_of(&sandbox, "a", None));
    let digest = Digest::of(manifest.as_bytes());
    let kind = [(CONTENT_TYPE, media::OCI_MANIFEST)];
    let put = http
        .send(Method::PUT, "/v2/a/manifests/1", &kind, manifest.clone())
        .await;
    assert_eq!(put.status(), 201);
    assert_eq!(
        header(&put, "docker-content-digest"),
        Some(digest.to_string().as_str())
    );
    assert_eq!(
        http.get(header(&put, "location").expect("a Location"))
            .await
            .body(),
        manifest.as_bytes()
    );
    let stored = sandbox.manifest("a", &digest).expect("a manifest");
    assert_eq!(stored.created, Some(DAY));
}

#[tokio::test]
async fn a_put_by_digest_makes_no_tag_and_must_be_that_digest() {
    let (sandbox, mut http) = start(SandboxOptions::default()).await;
    let manifest = manifest_of(&sandbox, "a", None);
    let digest = Digest::of(manifest.as_bytes());
    let kind = [(CONTENT_TYPE, media::OCI_MANIFEST)];
    let path = format!("/v2/a/manifests/{digest}");
    assert_eq!(
        http.send(Method::PUT, &path, &kind, format!("{manifest} "))
            .await
            .status(),
        400
    );
    assert_eq!(http.send(Method::PUT, &path, &kind, manifest).await.status(), 201);
    assert!(sandbox.tags("a").is_empty());
    assert!(sandbox.manifest("a", &digest).is_some());
}

#[tokio::test]
async fn a_manifest_whose_parts_are_missing_is_refused() {
    let (sandbox, mut http) = start(SandboxOptions::default()).await;
    let elsewhere = manifest_of(&sandbox, "other", None);
    let kind = [(CONTENT_TYPE, media::OCI_MANIFEST)];
    let refused = http
        .send(Method::PUT, "/v2/a/manifests/1", &kind, elsewhere)
        .await;
    assert_eq!(code(&refused), (400, "MANIFEST_BLOB_UNKNOWN".to_owned()));

    let child = manifest_of(&sandbox, "a", None);
    let digest = Digest::of(child.as_bytes());
    let index = value!({
        "schemaVersion": 2,
        "mediaType": media::OCI_INDEX,
        "manifests": [{"mediaType": media::OCI_MANIFEST, "digest": digest.to_string(), "size": child.len()}],
    })
    .to_string();
    let list = [(CONTENT_TYPE, media::OCI_INDEX)];
    let early = http
        .send(Method::PUT, "/v2/a/manifests/1", &list, index.clone())
        .await;
    assert_eq!(code(&early), (400, "MANIFEST_BLOB_UNKNOWN".to_owned()));
    assert!(sandbox.tags("a").is_empty());
    let path = format!("/v2/a/manifests/{digest}");
    assert_eq!(http.send(Method::PUT, &path, &kind, child).await.status(), 201);
    assert_eq!(
        http.send(Method::PUT, "/v2/a/manifests/1", &list, index)
            .await
            .status(),
        201
    );
}

#[tokio::test]
async fn nonsense_is_no_manifest() {
    let (_sandbox, mut http) = start(SandboxOptions::default()).await;
    let kind = [(CONTENT_TYPE, media::OCI_MANIFEST)];
    for (body, status) in [
        ("{".to_owned(), 400),
        ("[]".to_owned(), 400),
        (r#"{"config":{"digest":"x","size":1}}"#.to_owned(), 400),
        (r#"{"mediaType":"text/plain"}"#.to_owned(), 400),
        (" ".repeat((4 << 20) + 1), 413),
    ] {
        let refused = http.send(Method::PUT, "/v2/a/manifests/1", &kind, body).await;
        assert_eq!(code(&refused), (status, "MANIFEST_INVALID".to_owned()));
    }
}

#[tokio::test]
async fn a_subject_is_acknowledged_where_there_is_an_api() {
    for api in [true, false] {
        let (sandbox, mut http) =
            start(SandboxOptions::default().behave(|behaviour| behaviour.referrers_api = api)).await;
        let subject = Digest::of(b"not here");
        let manifest = manifest_of(&sandbox, "a", Some(subject));
        let kind = [(CONTENT_TYPE, media::OCI_MANIFEST)];
        let put = http.send(Method::PUT, "/v2/a/manifests/x", &kind, manifest).await;
        let acknowledged = header(&put, "oci-subject").map(str::to_owned);
        assert_eq!(
            (put.status().as_u16(), acknowledged),
            (201, api.then(|| subject.to_string()))
        );
    }
}

#[tokio::test]
async fn deleting_a_digest_takes_every_tag_on_it_and_nothing_else() {
    let (sandbox, mut http) = start(SandboxOptions::default().corpus(1, 60)).await;
    let content = sandbox.corpus().repository(0);
    let name = content.repository();
    let (digest, generated) = content
        .tags_by_digest()
        .into_iter()
        .max_by_key(|(_, tags)| tags.len())
        .expect("tags");
    sandbox.tag(name, "by-hand", digest);
    let path = format!("/v2/{name}/manifests/{digest}");
    assert_eq!(http.status(Method::DELETE, &path).await, 202);
    assert_eq!(http.status(Method::GET, &path).await, 404);
    assert_eq!(http.status(Method::DELETE, &path).await, 404);
    let left = sandbox.tags(name);
    assert!(generated.len() > 1);
    assert_eq!(left.len(), 60 - generated.len());
    let others = content.tags().filter(|(_, other)| *other != digest);
    assert!(
        left.iter()
            .map(|(tag, digest)| (tag.as_str(), *digest))
            .eq(others)
    );
}

#[tokio::test]
async fn a_child_can_be_deleted_and_its_index_stays_readable() {
    let (sandbox, mut http) = start(SandboxOptions::default()).await;
    let child = sandbox.put_image("a", &[], DAY);
    let index = sandbox.put_index("a", &["1"], &[child]);
    assert_eq!(
        http.status(Method::DELETE, &format!("/v2/a/manifests/{child}"))
            .await,
        202
    );
    assert_eq!(http.status(Method::GET, "/v2/a/manifests/1").await, 200);
    assert_eq!(sandbox.manifest("a", &index).expect("an index").children, [child]);
    assert!(sandbox.manifest("a", &child).is_none());
}

#[tokio::test]
async fn what_was_deleted_can_be_put_back() {
    let (sandbox, mut http) = start(SandboxOptions::default().corpus(1, 20)).await;
    let content = sandbox.corpus().repository(0);
    let name = content.repository();
    let (tag, digest) = content.tags().next().expect("a tag");
    let manifest = content.manifest(&digest).expect("a manifest");
    let path = format!("/v2/{name}/manifests/{tag}");
    let before = http.get(&path).await;
    sandbox.delete_manifest(name, digest);
    assert_eq!(http.status(Method::GET, &path).await, 404);
    let kind = [(CONTENT_TYPE, &*manifest.media_type)];
    assert_eq!(
        http.send(Method::PUT, &path, &kind, manifest.bytes.clone())
            .await
            .status(),
        201
    );
    let after = http.get(&path).await;
    assert_eq!(
        (after.body(), after.headers().len()),
        (before.body(), before.headers().len())
    );
}

#[tokio::test]
async fn blobs_go_up_in_one_piece_in_two_and_in_chunks() {
    let (sandbox, mut http) = start(SandboxOptions::default()).await;
    let one = Digest::of(b"one");
    let path = format!("/v2/a/blobs/uploads/?digest={one}");
    assert_eq!(http.send(Method::POST, &path, &[], "one").await.status(), 201);
    assert!(sandbox.has_blob("a", &one));

    let begun = http.send(Method::POST, "/v2/a/blobs/uploads/", &[], "").await;
    let place = header(&begun, "location").expect("a Location").to_owned();
    let chunk = http
        .send(Method::PATCH, &place, &[(CONTENT_RANGE, "0-2")], "two")
        .await;
    assert_eq!(
        (chunk.status().as_u16(), header(&chunk, "range")),
        (202, Some("0-2"))
    );
    let hole = http
        .send(Method::PATCH, &place, &[(CONTENT_RANGE, "9-11")], "two")
        .await;
    assert_eq!(hole.status(), 416);
    assert_eq!(http.status(Method::GET, &place).await, 204);
    let whole = Digest::of(b"two and three");
    let put = http
        .send(Method::PUT, &format!("{place}?digest={whole}"), &[], " and three")
        .await;
    assert_eq!(put.status(), 201);
    assert_eq!(
        http.get(&format!("/v2/a/blobs/{whole}")).await.body(),
        "two and three"
    );
    assert_eq!(http.status(Method::GET, &place).await, 404);

    let wrong = http.send(Method::POST, &path, &[], "other").await;
    assert_eq!(code(&wrong), (400, "DIGEST_INVALID".to_owned()));
    assert_eq!(sandbox.log().counts().of(RequestKind::BlobUpload), 8);
}

#[tokio::test]
async fn a_blob_is_mounted_from_another_repository_or_an_upload_begins() {
    for (mounts, status) in [(true, 201), (false, 202)] {
        let (sandbox, mut http) =
            start(SandboxOptions::default().behave(|behaviour| behaviour.mount = mounts)).await;
        let digest = sandbox.put_blob("from/here", "layer");
        let path = format!("/v2/to/there/blobs/uploads/?mount={digest}&from=from%2Fhere");
        assert_eq!(http.status(Method::POST, &path).await, status);
        assert_eq!(sandbox.has_blob("to/there", &digest), mounts);
        let unknown = path.replace("from%2Fhere", "nobody");
        assert_eq!(http.status(Method::POST, &unknown).await, 202);
    }
}

#[tokio::test]
async fn a_deleted_blob_leaves_its_manifest_behind() {
    let (sandbox, mut http) = start(SandboxOptions::default().corpus(1, 5)).await;
    let content = sandbox.corpus().repository(0);
    let name = content.repository();
    let layer = content.manifests()[0].layers[1].digest;
    let path = format!("/v2/{name}/blobs/{layer}");
    assert_eq!(http.status(Method::DELETE, &path).await, 202);
    assert_eq!(http.status(Method::HEAD, &path).await, 404);
    assert_eq!(http.status(Method::DELETE, &path).await, 404);
    assert_eq!(sandbox.tags(name).len(), 5);
}

#[tokio::test]
async fn tags_put_by_hand_move_and_attachments_find_their_subject() {
    let (sandbox, _http) = start(SandboxOptions::default()).await;
    let first = sandbox.put_image("a", &["1", "latest"], DAY);
    let second = sandbox.put_image("a", &["2", "latest"], DAY);
    assert_ne!(first, second);
    assert_eq!(sandbox.resolve("a", "latest"), Some(second));
    let signature = sandbox.put_signature("a", first);
    assert_eq!(
        sandbox.resolve("a", &format!("{}.sig", first.fallback_tag())),
        Some(signature)
    );
    assert_eq!(
        sandbox
            .manifest("a", &signature)
            .expect("a signature")
            .attached_to,
        Some(first)
    );
    sandbox.put_attestation("a", first);
    sandbox.put_sbom("a", first);
    sandbox.put_chart("charts/a", "1.0.0+build", DAY);
    assert_eq!(sandbox.tags("a").len(), 6);
    assert!(sandbox.resolve("charts/a", "1.0.0_build").is_some());
    let raw = sandbox.put_raw_manifest("a", &["raw"], "text/plain", "not json");
    assert_eq!(sandbox.manifest("a", &raw).expect("bytes").bytes, "not json");
}
