//! Answers that are made to be misread: each is an error that names the request, and never a shorter truth.
//!
//! `tests/plan_over_http/traps.rs` of the workspace has the table of all traps, and of the tests that spring them.

use std::io::Write as _;

use axum::body::{Body, Bytes};
use axum::response::Response;
use flate2::Compression;
use flate2::write::GzEncoder;
use lagan_model::{Digest, Failure, Manifest, Reference, Referrers, RegistryError, RegistryRead as _};

use crate::support::{
    INDEX_TYPE, MANIFEST_TYPE, Seen, Server, app, descriptor, image, index, json, linked, refused, respond,
};

async fn manifest(
    answer: impl Fn(&Seen) -> Response + Send + Sync + 'static,
) -> Result<Manifest, RegistryError> {
    let server = Server::registry(answer).await;
    let reference: Reference = "1.0".parse().unwrap();
    server.connect().await.manifest(&app(), &reference).await
}

async fn tags(
    answer: impl Fn(&Seen) -> Response + Send + Sync + 'static,
) -> Result<Vec<String>, RegistryError> {
    let server = Server::registry(answer).await;
    let tags = server.connect().await.list_tags(&app()).await?;
    Ok(tags.iter().map(ToString::to_string).collect())
}

async fn referrers(
    answer: impl Fn(&Seen) -> Response + Send + Sync + 'static,
) -> Result<Referrers, RegistryError> {
    let server = Server::registry(answer).await;
    server
        .connect()
        .await
        .referrers(&app(), &Digest::of(b"subject"))
        .await
}

/// A body that never ends.
fn endless() -> Body {
    let chunk = Bytes::from(vec![b' '; 64 * 1024]);
    Body::from_stream(futures_util::stream::repeat_with(move || {
        Ok::<_, std::io::Error>(chunk.clone())
    }))
}

/// So many spaces, packed to almost nothing.
fn bomb(spaces: usize) -> Vec<u8> {
    let mut packed = GzEncoder::new(Vec::new(), Compression::fast());
    let block = vec![b' '; 1 << 20];
    for _ in 0..spaces >> 20 {
        packed.write_all(&block).unwrap();
    }
    packed.finish().unwrap()
}

#[tokio::test]
async fn a_content_type_that_the_document_contradicts_is_believed_by_nobody() {
    let bare_image = format!(r#"{{"config":{},"layers":[]}}"#, descriptor("a/b", "{}"));
    let bare_index = format!(r#"{{"manifests":[{}]}}"#, descriptor(MANIFEST_TYPE, &image("a")));
    for (media_type, body) in [
        (INDEX_TYPE, image("a")),
        (MANIFEST_TYPE, index(&["a"])),
        (INDEX_TYPE, bare_image),
        (MANIFEST_TYPE, bare_index),
        ("application/vnd.docker.distribution.manifest.v2+json", image("a")),
    ] {
        let sent = body.clone();
        let read = manifest(move |_| respond(200, &[("content-type", media_type)], sent.clone())).await;
        assert_eq!(
            read.expect_err(&body).failure(),
            Failure::Malformed,
            "{media_type} {body}"
        );
    }
}

#[tokio::test]
async fn a_document_that_is_both_an_image_and_an_index_is_neither() {
    let child = descriptor(MANIFEST_TYPE, &image("a"));
    let config = descriptor("application/vnd.oci.image.config.v1+json", "{}");
    for media_type in [MANIFEST_TYPE, INDEX_TYPE] {
        let both = format!(r#"{{"schemaVersion":2,"config":{config},"layers":[],"manifests":[{child}]}}"#);
        let read = manifest(move |_| respond(200, &[("content-type", media_type)], both.clone())).await;
        assert_eq!(read.unwrap_err().failure(), Failure::Malformed, "{media_type}");
    }
}

/// An index may be a signature's envelope as an image may: whoever overlooks its subject takes it for an orphan.
#[tokio::test]
async fn an_index_names_its_subject_as_an_image_does_and_one_that_cannot_be_read_is_not_none() {
    let subject = |subject: &str| {
        let subject = format!(r#"{{"schemaVersion":2,"subject":{subject},"#);
        [(INDEX_TYPE, index(&["a"])), (MANIFEST_TYPE, image("a"))]
            .map(|(media_type, body)| (media_type, body.replace(r#"{"schemaVersion":2,"#, &subject)))
    };
    let read = async |media_type, body: String| {
        manifest(move |_| respond(200, &[("content-type", media_type)], body.clone())).await
    };
    for (media_type, body) in subject(&descriptor(MANIFEST_TYPE, &image("b"))) {
        let found = read(media_type, body).await.unwrap();
        let expected = Digest::of(image("b").as_bytes());
        assert_eq!(found.subject().unwrap().digest, expected, "{media_type}");
    }
    for wrong in [
        r#""sha256:aa""#,
        "[]",
        "{}",
        r#"{"mediaType":"a/b","digest":"sha256:../..","size":1}"#,
    ] {
        for (media_type, body) in subject(wrong) {
            let error = read(media_type, body).await.expect_err(wrong);
            assert_eq!(error.failure(), Failure::Malformed, "{media_type} {wrong}");
        }
    }
    for (media_type, body) in subject("null") {
        assert_eq!(read(media_type, body).await.unwrap().subject(), None);
    }
}

#[tokio::test]
async fn a_key_that_stands_there_twice_is_not_read_as_either() {
    let child = |salt: &str| descriptor(MANIFEST_TYPE, &image(salt));
    let config = descriptor("application/vnd.oci.image.config.v1+json", "{}");
    for (media_type, body) in [
        (
            INDEX_TYPE,
            format!(r#"{{"manifests":[{}],"manifests":[]}}"#, child("a")),
        ),
        (
            INDEX_TYPE,
            format!(r#"{{"manifests":[],"manifests":[{}]}}"#, child("a")),
        ),
        (
            MANIFEST_TYPE,
            format!(
                r#"{{"config":{config},"layers":[],"subject":{},"subject":null}}"#,
                child("a")
            ),
        ),
        (
            MANIFEST_TYPE,
            format!(r#"{{"mediaType":"{MANIFEST_TYPE}","mediaType":"{INDEX_TYPE}","config":{config}}}"#),
        ),
    ] {
        let sent = body.clone();
        let read = manifest(move |_| respond(200, &[("content-type", media_type)], sent.clone())).await;
        assert_eq!(read.expect_err(&body).failure(), Failure::Malformed, "{body}");
    }
    let error = tags(|_| json(200, r#"{"tags":["a","b"],"tags":["a"]}"#))
        .await
        .unwrap_err();
    assert_eq!(error.failure(), Failure::Malformed);
    let page = r#"{"schemaVersion":2,"manifests":[],"manifests":[]}"#;
    let error = referrers(move |_| respond(200, &[("content-type", INDEX_TYPE)], page))
        .await
        .unwrap_err();
    assert_eq!(error.failure(), Failure::Malformed);
}

#[tokio::test]
async fn what_is_no_utf_8_is_no_listing_and_no_manifest() {
    let page: &[u8] = b"{\"tags\":[\"a\",\"\xff\xfe\"]}";
    assert_eq!(
        tags(move |_| json(200, page)).await.unwrap_err().failure(),
        Failure::Malformed
    );
    let mut body = image("a").into_bytes();
    let salt = body.iter().rposition(|byte| *byte == b'a').unwrap();
    body[salt] = 0xff;
    let read = manifest(move |_| respond(200, &[("content-type", MANIFEST_TYPE)], body.clone())).await;
    assert_eq!(read.unwrap_err().failure(), Failure::Malformed);
}

#[tokio::test]
async fn tags_beyond_the_grammar_fail_their_listing_however_they_look() {
    for tag in [
        "\u{430}",
        "1.0\u{202e}",
        "v\u{ff11}",
        "a\u{0}",
        "\u{1b}[31m",
        ".hidden",
        "-rc",
        "a/../../b",
        "sha256:0",
        &"x".repeat(129),
    ] {
        let page = serde_json::json!({ "tags": ["1.0", tag] }).to_string();
        let error = tags(move |_| json(200, page.clone())).await.expect_err(tag);
        assert_eq!(error.failure(), Failure::Malformed, "{tag:?}");
        let said = error.to_string();
        assert!(
            !said.chars().any(|c| c.is_control() || c == '\u{202e}'),
            "{said:?}"
        );
        assert!(said.len() < 1000, "{}", said.len());
    }
}

#[tokio::test]
async fn two_links_to_different_pages_are_an_error_and_the_same_one_twice_is_one() {
    let page = |links: &[&str]| {
        let headers: Vec<_> = links.iter().map(|link| ("link", *link)).collect();
        respond(200, &headers, r#"{"tags":["a"]}"#)
    };
    let error = tags(move |_| page(&["<?last=a>; rel=next", "<?last=b>; rel=next"]))
        .await
        .unwrap_err();
    assert_eq!(error.failure(), Failure::Malformed);
    let read = tags(move |seen| match seen.query.get("last") {
        None => page(&["<?last=a>; rel=next", "<?last=a>; rel=next"]),
        Some(_) => json(200, r#"{"tags":["b"]}"#),
    });
    assert_eq!(read.await.unwrap().len(), 2);
}

#[tokio::test]
async fn a_refusal_in_the_middle_of_a_listing_is_not_its_end() {
    for (status, code, expected) in [
        (401, "UNAUTHORIZED", Failure::Denied),
        (403, "DENIED", Failure::Denied),
        (405, "UNSUPPORTED", Failure::Unsupported),
        (429, "TOOMANYREQUESTS", Failure::Overloaded),
        (503, "UNAVAILABLE", Failure::Overloaded),
        (500, "UNKNOWN", Failure::Server),
    ] {
        let error = tags(move |seen| match seen.query.get("last") {
            None => linked(r#"{"tags":["a"]}"#, "?last=a"),
            Some(_) => refused(status, code),
        });
        assert_eq!(error.await.unwrap_err().failure(), expected, "{status}");
        let server = Server::registry(move |seen| match seen.query.get("last") {
            None => linked(r#"{"repositories":["a"]}"#, "?last=a"),
            Some(_) => refused(status, code),
        })
        .await;
        assert!(
            server.connect().await.list_repositories().await.is_err(),
            "{status}"
        );
    }
    for status in [200, 204] {
        let error = tags(move |seen| match seen.query.get("last") {
            None => linked(r#"{"tags":["a"]}"#, "?last=a"),
            Some(_) => respond(status, &[], ""),
        });
        assert!(error.await.is_err(), "{status}");
    }
}

#[tokio::test]
async fn tags_that_go_while_pages_are_read_leave_the_others() {
    // `b` went after the first page, and the page behind it begins where it stood.
    let read = tags(|seen| match seen.query.get("last").map(String::as_str) {
        None => linked(r#"{"tags":["a","b"]}"#, "?last=b"),
        Some("b") => linked(r#"{"tags":["c"]}"#, "?last=c"),
        _ => json(200, r#"{"tags":null}"#),
    });
    assert_eq!(
        {
            let mut read = read.await.unwrap();
            read.sort();
            read
        },
        ["a", "b", "c"]
    );
}

#[tokio::test]
async fn bodies_that_never_end_are_left_at_their_limit() {
    let read = manifest(|_| respond(200, &[("content-type", MANIFEST_TYPE)], endless())).await;
    assert_eq!(read.unwrap_err().failure(), Failure::TooLarge);
    let read = referrers(|_| respond(200, &[("content-type", INDEX_TYPE)], endless())).await;
    assert_eq!(read.unwrap_err().failure(), Failure::TooLarge);
    let server = Server::registry(|_| respond(200, &[], endless())).await;
    let read = server
        .connect()
        .await
        .config_blob(&app(), &Digest::of(b"a"), 1000)
        .await;
    assert_eq!(read.unwrap_err().failure(), Failure::TooLarge);
    let error = tags(|_| respond(403, &[("content-type", "text/plain")], endless()))
        .await
        .unwrap_err();
    assert_eq!(error.failure(), Failure::Denied);
    assert!(error.to_string().len() < 1000);
}

#[tokio::test]
async fn what_unpacks_to_more_than_its_limit_is_not_read() {
    let packed = bomb(9 << 20);
    assert!(packed.len() < 64 << 10, "{}", packed.len());
    let sent = packed.clone();
    let gzip = ("content-encoding", "gzip");
    let error = tags(move |_| respond(200, &[gzip], sent.clone()))
        .await
        .unwrap_err();
    assert_eq!(error.failure(), Failure::TooLarge, "{error}");
    let sent = packed.clone();
    let read = manifest(move |_| respond(200, &[gzip, ("content-type", MANIFEST_TYPE)], sent.clone())).await;
    assert_eq!(read.unwrap_err().failure(), Failure::TooLarge);
    let read = referrers(move |_| respond(200, &[gzip, ("content-type", INDEX_TYPE)], packed.clone())).await;
    assert_eq!(read.unwrap_err().failure(), Failure::TooLarge);
    // What says that it is packed, and is not, is nothing.
    assert!(
        tags(move |_| respond(200, &[gzip], r#"{"tags":[]}"#))
            .await
            .is_err()
    );
}

#[tokio::test]
async fn a_fallback_tag_that_cannot_be_read_is_a_failure_and_never_no_referrers() {
    let subject = Digest::of(b"subject");
    let fallback = Reference::Tag(subject.referrers_tag().parse().unwrap());
    for (status, code, expected) in [
        (429, "TOOMANYREQUESTS", Failure::Overloaded),
        (503, "UNAVAILABLE", Failure::Overloaded),
        (500, "UNKNOWN", Failure::Server),
        (403, "DENIED", Failure::Denied),
    ] {
        let server = Server::registry(move |seen| match seen.path.contains("/referrers/") {
            true => respond(404, &[("content-type", "text/plain")], "404 page not found\n"),
            false => refused(status, code),
        })
        .await;
        let registry = server.connect().await;
        assert_eq!(
            registry.referrers(&app(), &subject).await.unwrap(),
            Referrers::NoApi
        );
        let error = registry.manifest(&app(), &fallback).await.unwrap_err();
        assert_eq!(error.failure(), expected, "{status}");
    }
}
