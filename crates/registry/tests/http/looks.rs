//! Looking at tags, digests and blobs before and after a change.

use axum::response::Response;
use lagan_model::{
    Digest, Failure, Head, Reference, RegistryError, RegistryRead as _, RegistryWrite as _, RequestKind,
};

use crate::journal::manifest;
use crate::support::{MANIFEST_TYPE, Seen, Server, app, broken_off, html, image, refused, respond};

const OWN: (&str, &str) = ("docker-distribution-api-version", "registry/2.0");

async fn look(
    reference: &Reference,
    answer: impl Fn(&Seen) -> Response + Send + Sync + 'static,
) -> (Result<Option<Head>, RegistryError>, Vec<String>) {
    let server = Server::registry(answer).await;
    let registry = server.connect().await;
    let seen = registry.resolve(&app(), reference).await;
    let methods: Vec<_> = server.log().iter().map(|seen| seen.method.clone()).collect();
    let heads = methods.iter().filter(|method| *method == "HEAD").count() as u64;
    assert_eq!(registry.requests().of(RequestKind::Head), heads);
    assert_eq!(
        registry.requests().of(RequestKind::Manifest),
        methods.len() as u64 - heads
    );
    (seen, methods)
}

fn tagged() -> Reference {
    "1.0".parse().unwrap()
}

fn digested() -> Reference {
    Reference::Digest(manifest().digest().clone())
}

fn served(seen: &Seen) -> Response {
    let digest = manifest().digest().to_string();
    let headers = [
        ("content-type", MANIFEST_TYPE),
        ("docker-content-digest", digest.as_str()),
    ];
    match seen.method.as_str() {
        "HEAD" => respond(200, &headers, ""),
        _ => respond(200, &headers, image("a")),
    }
}

fn expected() -> Head {
    Head {
        digest: manifest().digest().clone(),
        media_type: Some(MANIFEST_TYPE.parse().unwrap()),
    }
}

#[tokio::test]
async fn one_head_tells_what_a_tag_is_on() {
    for reference in [tagged(), digested()] {
        let (seen, methods) = look(&reference, served).await;
        assert_eq!(seen.unwrap(), Some(expected()));
        assert_eq!(methods, ["HEAD"]);
    }
}

#[tokio::test]
async fn a_registry_that_states_no_digest_is_asked_for_the_manifest() {
    for reference in [tagged(), digested()] {
        let (seen, methods) = look(&reference, |seen| {
            let body = if seen.method == "HEAD" {
                String::new()
            } else {
                image("a")
            };
            respond(200, &[("content-type", MANIFEST_TYPE)], body)
        })
        .await;
        assert_eq!(seen.unwrap(), Some(expected()));
        assert_eq!(methods, ["HEAD", "GET"]);
    }
}

#[tokio::test]
async fn the_404_of_a_tag_is_believed_in_the_registrys_own_words_only() {
    let (seen, methods) = look(&tagged(), |seen| match seen.method.as_str() {
        "HEAD" => respond(404, &[OWN], ""),
        _ => refused(404, "MANIFEST_UNKNOWN"),
    })
    .await;
    assert_eq!(seen.unwrap(), None);
    assert_eq!(methods, ["HEAD", "GET"]);
    for reference in [tagged(), digested()] {
        let (seen, methods) = look(&reference, |_| html(404)).await;
        assert_eq!(seen.unwrap_err().failure(), Failure::Malformed);
        assert_eq!(methods, ["HEAD", "GET"]);
    }
}

#[tokio::test]
async fn a_digest_is_gone_by_the_head_of_a_registry_that_makes_itself_known() {
    let (seen, methods) = look(&digested(), |_| respond(404, &[OWN], "")).await;
    assert_eq!(seen.unwrap(), None);
    assert_eq!(methods, ["HEAD"]);
    let (seen, methods) = look(&digested(), |_| refused(404, "MANIFEST_UNKNOWN")).await;
    assert_eq!(seen.unwrap(), None);
    assert_eq!(methods, ["HEAD", "GET"]);
}

#[tokio::test]
async fn a_404_to_a_head_that_a_get_does_not_confirm_is_none() {
    for reference in [tagged(), digested()] {
        let (seen, _) = look(&reference, |seen| match seen.method.as_str() {
            "HEAD" => respond(404, &[], ""),
            _ => served(seen),
        })
        .await;
        assert_eq!(seen.unwrap(), Some(expected()));
    }
}

#[tokio::test]
async fn a_digest_that_is_said_to_be_another_is_an_error() {
    let other = Digest::of(b"other").to_string();
    let (seen, _) = look(&digested(), move |_| {
        respond(200, &[("docker-content-digest", &other)], "")
    })
    .await;
    assert_eq!(seen.unwrap_err().failure(), Failure::DigestMismatch);
    let (seen, _) = look(&tagged(), |_| {
        respond(200, &[("docker-content-digest", "sha256:1")], "")
    })
    .await;
    assert_eq!(seen.unwrap_err().failure(), Failure::Malformed);
}

#[tokio::test]
async fn any_other_answer_to_a_head_says_nothing_about_what_is_there() {
    for (status, expected) in [
        (401, Failure::Denied),
        (403, Failure::Denied),
        (429, Failure::Overloaded),
        (500, Failure::Server),
        (503, Failure::Overloaded),
        (400, Failure::Malformed),
    ] {
        for reference in [tagged(), digested()] {
            let (seen, methods) = look(&reference, move |_| respond(status, &[OWN], "")).await;
            assert_eq!(seen.unwrap_err().failure(), expected, "{status}");
            assert!(methods.iter().all(|method| method == "HEAD"));
        }
    }
}

async fn blob(
    content: &str,
    answer: impl Fn(&Seen) -> Response + Send + Sync + 'static,
) -> (Result<bool, RegistryError>, Vec<Seen>) {
    let server = Server::registry(answer).await;
    let registry = server.connect().await;
    let digest = Digest::of(content.as_bytes());
    let there = registry.has_blob(&app(), &digest).await;
    // Those that are answered elsewhere are counted as well.
    assert!(registry.requests().of(RequestKind::Blob) >= server.log().len() as u64);
    (there, server.log())
}

#[tokio::test]
async fn a_blob_is_there_when_its_first_byte_is() {
    for status in [206, 200] {
        let (there, seen) = blob("layer", move |seen| match seen.method.as_str() {
            "HEAD" => respond(200, &[], ""),
            _ => respond(status, &[], "l"),
        })
        .await;
        assert!(there.unwrap());
        assert_eq!(seen.len(), 2);
        assert_eq!(seen[0].method, "HEAD");
        assert_eq!(
            (seen[1].method.as_str(), seen[1].header("range")),
            ("GET", Some("bytes=0-0"))
        );
    }
}

#[tokio::test]
async fn a_registry_that_ignores_the_range_does_not_make_us_read_a_layer() {
    let (there, _) = blob("layer", |seen| match seen.method.as_str() {
        "HEAD" => respond(200, &[], ""),
        _ => {
            let chunk = axum::body::Bytes::from(vec![b'l'; 1 << 20]);
            let endless = futures_util::stream::repeat_with(move || Ok::<_, std::io::Error>(chunk.clone()));
            respond(200, &[], axum::body::Body::from_stream(endless))
        }
    })
    .await;
    assert!(there.unwrap());
}

#[tokio::test]
async fn a_registry_that_claims_a_blob_and_serves_none_has_none() {
    let (there, _) = blob("layer", |seen| match seen.method.as_str() {
        "HEAD" => respond(200, &[], ""),
        _ => refused(404, "BLOB_UNKNOWN"),
    })
    .await;
    assert!(!there.unwrap());
    let (there, _) = blob("layer", |seen| match seen.method.as_str() {
        "HEAD" => respond(404, &[], ""),
        _ => refused(404, "BLOB_UNKNOWN"),
    })
    .await;
    assert!(!there.unwrap());
}

#[tokio::test]
async fn a_registry_that_announces_a_blob_and_breaks_off_is_asked_twice_and_neither_has_it_nor_not() {
    for status in [200, 206] {
        let (there, seen) = blob("layer", move |seen| match seen.method.as_str() {
            "HEAD" => respond(200, &[], ""),
            _ => {
                let mut answer = broken_off(&[], "", 5);
                *answer.status_mut() = status.try_into().unwrap();
                answer
            }
        })
        .await;
        let error = there.unwrap_err();
        assert_eq!(error.failure(), Failure::Malformed);
        assert!(
            error.to_string().contains("says to have the blob"),
            "{status}: {error}"
        );
        assert_eq!(seen.len(), 3, "{status}");
    }
}

#[tokio::test]
async fn a_connection_that_is_lost_once_before_the_first_byte_costs_one_more_request() {
    let (there, seen) = blob("layer", |seen| match (seen.method.as_str(), seen.before) {
        ("HEAD", _) => respond(200, &[], ""),
        (_, 1) => broken_off(&[], "", 5),
        _ => respond(206, &[], "l"),
    })
    .await;
    assert!(there.unwrap());
    assert_eq!(seen.len(), 3);
}

#[tokio::test]
async fn who_else_says_that_a_blob_is_not_there_says_nothing() {
    let pages: [fn(&Seen) -> Response; 2] = [|_| html(404), |_| respond(404, &[], "404 page not found")];
    for page in pages {
        let (there, _) = blob("layer", page).await;
        assert_eq!(there.unwrap_err().failure(), Failure::Malformed);
    }
    let storage = Server::start(|_| respond(404, &[("content-type", "application/xml")], "<Error/>")).await;
    let elsewhere = format!("{}/blob", storage.url);
    let (there, _) = blob("layer", move |seen| match seen.method.as_str() {
        "HEAD" => respond(200, &[], ""),
        _ => respond(307, &[("location", &elsewhere)], ""),
    })
    .await;
    there.unwrap_err();
}

#[tokio::test]
async fn a_blob_in_storage_elsewhere_is_tasted_there() {
    let storage = Server::start(|seen| match seen.header("range") {
        Some("bytes=0-0") => respond(206, &[], "l"),
        _ => respond(403, &[], ""),
    })
    .await;
    let elsewhere = format!("{}/blob", storage.url);
    let (there, _) = blob("layer", move |_| respond(307, &[("location", &elsewhere)], "")).await;
    assert!(there.unwrap(), "that it refuses a HEAD says nothing");
}

#[tokio::test]
async fn the_empty_blob_has_no_first_byte_and_is_there() {
    for (status, body) in [(200, ""), (206, ""), (416, "")] {
        let answer = move |seen: &Seen| match seen.method.as_str() {
            "HEAD" => respond(200, &[], ""),
            _ => respond(status, &[], body),
        };
        let (there, _) = blob("", answer).await;
        assert!(there.unwrap(), "{status}");
        let (there, _) = blob("layer", answer).await;
        assert_eq!(there.unwrap_err().failure(), Failure::Malformed, "{status}");
    }
}

#[tokio::test]
async fn another_blob_is_not_taken_for_this_one() {
    let other = Digest::of(b"other").to_string();
    let (there, _) = blob("layer", move |_| {
        respond(200, &[("docker-content-digest", &other)], "")
    })
    .await;
    assert_eq!(there.unwrap_err().failure(), Failure::DigestMismatch);
}
