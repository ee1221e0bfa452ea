//! Deleting and putting back: each request once, and what its answer says about the change.

use axum::response::Response;
use lagan_model::{
    Capability, Deletion, Digest, Failure, Reference, RegistryError, RegistryProbe as _, RegistryRead as _,
    RegistryWrite as _, RequestKind,
};

use crate::journal::{deletion, manifest, restoration, tag, untagging};
use crate::support::{MANIFEST_TYPE, Seen, Server, app, broken_off, html, image, json, refused, respond};

async fn server(answer: impl Fn(&Seen) -> Response + Send + Sync + 'static) -> Server {
    Server::registry(answer).await
}

/// What a DELETE of a manifest comes to, with the number of requests that it took.
async fn delete(
    answer: impl Fn(&Seen) -> Response + Send + Sync + 'static,
) -> (Result<Deletion, RegistryError>, usize) {
    let server = server(answer).await;
    let registry = server.connect().await;
    let done = registry.delete(&deletion().await).await;
    assert_eq!(
        registry.requests().of(RequestKind::Delete),
        server.log().len() as u64
    );
    (done, server.log().len())
}

async fn put(
    answer: impl Fn(&Seen) -> Response + Send + Sync + 'static,
) -> (Result<(), RegistryError>, usize) {
    let server = server(answer).await;
    let registry = server.connect().await;
    let done = registry.put_manifest(&restoration().await, None).await;
    assert_eq!(
        registry.requests().of(RequestKind::Put),
        server.log().len() as u64
    );
    (done, server.log().len())
}

type Answer = fn(&Seen) -> Response;

/// Answers that are not the one hoped for: what each says, of a change and of nothing else.
const REFUSALS: [(&str, Answer, Failure); 20] = [
    ("denied", |_| refused(403, "DENIED"), Failure::Denied),
    ("unauthorized", |_| refused(401, "UNAUTHORIZED"), Failure::Denied),
    ("off", |_| refused(405, "UNSUPPORTED"), Failure::Unsupported),
    (
        "off, in other words",
        |_| refused(400, "UNSUPPORTED"),
        Failure::Unsupported,
    ),
    ("not known", |_| respond(501, &[], ""), Failure::Unsupported),
    (
        "no such method here",
        |_| respond(405, &[], ""),
        Failure::Unsupported,
    ),
    ("locked", |_| refused(409, "DENIED"), Failure::Refused),
    ("immutable", |_| refused(412, "PRECONDITION"), Failure::Refused),
    ("nonsense", |_| refused(400, "DIGEST_INVALID"), Failure::Refused),
    (
        "a router's 404",
        |_| respond(404, &[], "404 page not found"),
        Failure::Refused,
    ),
    ("a page", |_| html(404), Failure::Refused),
    ("some other 404", |_| refused(404, "DENIED"), Failure::Refused),
    (
        "too much",
        |_| respond(429, &[("retry-after", "0")], ""),
        Failure::Overloaded,
    ),
    ("no time", |_| respond(408, &[], ""), Failure::Timeout),
    (
        "busy",
        |_| respond(503, &[("retry-after", "0")], ""),
        Failure::Server,
    ),
    ("broken", |_| respond(500, &[], ""), Failure::Server),
    ("behind", |_| respond(502, &[], ""), Failure::Server),
    ("late", |_| respond(504, &[], ""), Failure::Server),
    ("a strange success", |_| respond(206, &[], ""), Failure::Malformed),
    (
        "elsewhere",
        |seen| respond(307, &[("location", &seen.path)], ""),
        Failure::Malformed,
    ),
];

#[tokio::test]
async fn a_refused_deletion_says_whether_it_was_made_and_is_sent_once() {
    for (name, answer, expected) in REFUSALS {
        let (done, sent) = delete(answer).await;
        let error = done.expect_err(name);
        assert_eq!(error.failure(), expected, "{name}: {error}");
        assert_eq!(sent, 1, "{name}");
    }
}

#[tokio::test]
async fn a_refused_push_says_whether_it_was_made_and_is_sent_once() {
    for (name, answer, expected) in REFUSALS {
        let (done, sent) = put(answer).await;
        let error = done.expect_err(name);
        assert_eq!(error.failure(), expected, "{name}: {error}");
        assert_eq!(sent, 1, "{name}");
    }
}

#[tokio::test]
async fn what_could_not_be_told_is_no_failure_that_says_it_was_not_made() {
    // What the engine takes for "it was not done".
    let settled = [
        Failure::Denied,
        Failure::Unauthorized,
        Failure::Unsupported,
        Failure::Refused,
        Failure::Overloaded,
    ];
    let lost: [Answer; 3] = [
        |_| broken_off(&[], "", 100),
        |_| respond(500, &[], ""),
        |_| respond(503, &[], ""),
    ];
    for answer in lost {
        let (done, sent) = delete(answer).await;
        assert!(!settled.contains(&done.unwrap_err().failure()));
        let (done, sent_too) = put(answer).await;
        assert!(!settled.contains(&done.unwrap_err().failure()));
        assert_eq!((sent, sent_too), (1, 1));
    }
}

#[tokio::test]
async fn a_deletion_names_the_digest_and_nothing_else() {
    for status in [202, 200, 204] {
        let server = server(move |_| respond(status, &[], "")).await;
        let registry = server.connect().await;
        let recorded = deletion().await;
        assert_eq!(registry.delete(&recorded).await.unwrap(), Deletion::Accepted);
        let [seen] = &server.log()[..] else { panic!() };
        assert_eq!(seen.method, "DELETE");
        assert_eq!(
            seen.path,
            format!("/v2/team/app/manifests/{}", recorded.intent().digest)
        );
        assert!(seen.body.is_empty());
        assert_eq!(registry.capabilities().delete_manifest, Capability::Offered);
    }
}

#[tokio::test]
async fn only_the_registry_itself_says_that_there_is_nothing_to_delete() {
    for code in ["MANIFEST_UNKNOWN", "NAME_UNKNOWN", "TAG_UNKNOWN", "NOT_FOUND"] {
        let (done, _) = delete(move |_| refused(404, code)).await;
        assert_eq!(done.unwrap(), Deletion::NotFound, "{code}");
    }
}

#[tokio::test]
async fn a_registry_that_deletes_nothing_is_remembered_as_such() {
    let server = server(|_| refused(405, "UNSUPPORTED")).await;
    let registry = server.connect().await;
    registry.delete(&deletion().await).await.unwrap_err();
    assert_eq!(registry.capabilities().delete_manifest, Capability::NotOffered);
}

#[tokio::test]
async fn a_single_tag_is_deleted_only_where_the_registry_was_seen_to() {
    // 404 of what does not exist is what a registry that deletes tags answers; 400 one that does not.
    for (status, code, known) in [
        (404, "MANIFEST_UNKNOWN", Capability::Offered),
        (400, "DIGEST_INVALID", Capability::NotOffered),
    ] {
        let server = server(move |seen| match seen.path.ends_with("/1.0") {
            true => respond(202, &[], ""),
            false if seen.path.contains("sha256:") => refused(404, "MANIFEST_UNKNOWN"),
            false => refused(status, code),
        })
        .await;
        let registry = server.connect().await;
        let recorded = untagging().await;
        let error = registry.untag(&recorded).await.unwrap_err();
        assert_eq!(error.failure(), Failure::Unsupported);
        assert!(server.log().is_empty(), "nobody had asked yet");

        registry
            .probe_deletion(&app(), &[tag("1.0"), tag("latest")])
            .await;
        assert_eq!(registry.capabilities().delete_tag, known);
        let before = server.log().len();
        let done = registry.untag(&recorded).await;
        let sent: Vec<_> = server.log()[before..]
            .iter()
            .map(|seen| seen.path.clone())
            .collect();
        if known == Capability::Offered {
            assert_eq!(done.unwrap(), Deletion::Accepted);
            assert_eq!(sent, ["/v2/team/app/manifests/1.0"]);
        } else {
            assert_eq!(done.unwrap_err().failure(), Failure::Unsupported);
            assert!(sent.is_empty());
        }
    }
}

#[tokio::test]
async fn a_manifest_is_put_with_its_exact_bytes_and_its_type() {
    for by_tag in [false, true] {
        let server = server(|seen| {
            let digest = Digest::of(seen.body.as_bytes()).to_string();
            respond(201, &[("docker-content-digest", &digest)], "")
        })
        .await;
        let registry = server.connect().await;
        let recorded = restoration().await;
        let tag = by_tag.then(|| tag("1.0"));
        registry.put_manifest(&recorded, tag.as_ref()).await.unwrap();
        let [seen] = &server.log()[..] else { panic!() };
        let reference = tag.map_or(manifest().digest().to_string(), |tag| tag.to_string());
        assert_eq!(seen.method, "PUT");
        assert_eq!(seen.path, format!("/v2/team/app/manifests/{reference}"));
        assert_eq!(seen.header("content-type"), Some(MANIFEST_TYPE));
        assert_eq!(seen.body, image("a"));
    }
}

#[tokio::test]
async fn a_digest_that_comes_back_wrong_is_an_error_and_a_missing_one_is_not() {
    let other = Digest::of(b"other").to_string();
    let (done, _) = put(move |_| respond(201, &[("docker-content-digest", &other)], "")).await;
    assert_eq!(done.unwrap_err().failure(), Failure::DigestMismatch);
    let (done, _) = put(|_| respond(201, &[("docker-content-digest", "sha256:x")], "")).await;
    assert_eq!(done.unwrap_err().failure(), Failure::Malformed);
    let (done, _) = put(|_| respond(201, &[], "")).await;
    done.unwrap();
}

#[tokio::test]
async fn a_tag_that_the_journal_does_not_name_is_not_put() {
    let server = server(|_| respond(201, &[], "")).await;
    let registry = server.connect().await;
    let error = registry
        .put_manifest(&restoration().await, Some(&tag("latest")))
        .await
        .unwrap_err();
    assert_eq!(error.failure(), Failure::Refused);
    assert!(server.log().is_empty());
}

#[tokio::test]
async fn a_change_asks_for_no_more_rights_than_it_needs() {
    let server = Server::start(|seen| match seen.path.as_str() {
        "/token" => {
            let scope = seen.query.get("scope").map_or("none", String::as_str);
            json(200, format!(r#"{{"token":"{scope}"}}"#))
        }
        _ if seen.authorization().is_none() => {
            let challenge = format!("Bearer realm=\"{}/token\",service=\"s\"", seen.server);
            respond(401, &[("www-authenticate", &challenge)], "")
        }
        "/v2/" => json(200, "{}"),
        _ => {
            let right = match seen.method.as_str() {
                "DELETE" => "pull,delete",
                "PUT" => "pull,push",
                _ => "pull",
            };
            let bearer = format!("Bearer repository:team/app:{right}");
            match (
                seen.authorization() == Some(bearer.as_str()),
                seen.method.as_str(),
            ) {
                (false, _) => refused(403, "DENIED"),
                (true, "DELETE") => respond(202, &[], ""),
                (true, "PUT") => respond(201, &[], ""),
                (true, _) => refused(404, "MANIFEST_UNKNOWN"),
            }
        }
    })
    .await;
    let registry = server.connect_as("ci", "s3cret").await;
    registry.delete(&deletion().await).await.unwrap();
    let reference = Reference::Digest(manifest().digest().clone());
    assert_eq!(registry.resolve(&app(), &reference).await.unwrap(), None);
    registry.put_manifest(&restoration().await, None).await.unwrap();
}

#[tokio::test]
async fn a_token_that_ended_in_the_middle_of_a_run_is_replaced_and_the_deletion_made_once() {
    let server = Server::start(|seen| match (seen.method.as_str(), seen.path.as_str()) {
        (_, "/token") => json(200, format!(r#"{{"token":"t{}"}}"#, seen.before)),
        (_, "/v2/") if seen.authorization().is_some() => json(200, "{}"),
        ("DELETE", _) if seen.before != 1 => respond(202, &[], ""),
        _ => {
            let challenge = format!("Bearer realm=\"{}/token\",service=\"s\"", seen.server);
            respond(401, &[("www-authenticate", &challenge)], "")
        }
    })
    .await;
    let registry = server.connect_as("ci", "s3cret").await;
    for deletions in [1, 3] {
        assert_eq!(
            registry.delete(&deletion().await).await.unwrap(),
            Deletion::Accepted
        );
        let log = server.log();
        let deletes = log.iter().filter(|seen| seen.method == "DELETE");
        assert_eq!(deletes.count(), deletions, "the second was refused for its token");
    }
}
