use axum::response::Response;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use lagan_model::{Digest, Failure, Manifest, MediaType, Reference, RegistryError, RegistryRead as _};

use crate::support::{
    INDEX_TYPE, MANIFEST_TYPE, Seen, Server, app, broken_off, image, index, refused, respond,
};

fn tag() -> Reference {
    "1.0".parse().unwrap()
}

async fn read(
    reference: Reference,
    answer: impl Fn(&Seen) -> Response + Send + Sync + 'static,
) -> (Result<Manifest, RegistryError>, Server) {
    let server = Server::registry(answer).await;
    let manifest = server.connect().await.manifest(&app(), &reference).await;
    (manifest, server)
}

fn manifest(body: &str, digest: &str) -> Response {
    respond(
        200,
        &[("content-type", MANIFEST_TYPE), ("docker-content-digest", digest)],
        body.to_owned(),
    )
}

#[tokio::test]
async fn a_manifest_comes_with_its_exact_bytes_and_every_kind_was_asked_for() {
    let body = format!("  {}\n", image("a"));
    let (sent, digest) = (body.clone(), Digest::of(body.as_bytes()));
    let (read, server) = read(tag(), move |_| {
        respond(200, &[("content-type", MANIFEST_TYPE)], sent.clone())
    })
    .await;
    let read = read.unwrap();
    assert_eq!(read.bytes(), body.as_bytes());
    assert_eq!(*read.digest(), digest);
    let log = server.log();
    assert_eq!(log[0].path, "/v2/team/app/manifests/1.0");
    let accept = log[0].header("accept").unwrap();
    for kind in MediaType::MANIFESTS {
        assert!(accept.contains(kind.as_str()), "{accept}");
    }
}

#[tokio::test]
async fn the_digest_that_the_registry_states_is_verified_and_kept() {
    let body = image("a");
    let digest = Digest::of(body.as_bytes());
    let stated = digest.to_string();
    let (kept, _) = read(tag(), move |_| manifest(&image("a"), &stated)).await;
    assert_eq!(*kept.unwrap().digest(), digest);

    for stated in [
        Digest::of(b"other").to_string(),
        format!("sha512:{}", "0".repeat(128)),
    ] {
        let (read, _) = read(tag(), move |_| manifest(&image("a"), &stated)).await;
        assert_eq!(read.unwrap_err().failure(), Failure::DigestMismatch);
    }
    let (unknown, _) = read(tag(), |_| manifest(&image("a"), "b3:abc")).await;
    assert_eq!(unknown.unwrap_err().failure(), Failure::DigestMismatch);
    let (garbage, _) = read(tag(), |_| manifest(&image("a"), "sha256:zz")).await;
    assert_eq!(garbage.unwrap_err().failure(), Failure::Malformed);
}

#[tokio::test]
async fn a_manifest_asked_for_by_digest_hashes_to_it_whatever_the_header_says() {
    let digest = Digest::of(image("a").as_bytes());
    let (right, server) = read(Reference::Digest(digest.clone()), |_| {
        respond(200, &[("content-type", MANIFEST_TYPE)], image("a"))
    })
    .await;
    assert_eq!(*right.unwrap().digest(), digest);
    assert_eq!(server.log()[0].path, format!("/v2/team/app/manifests/{digest}"));

    let other = Digest::of(image("b").as_bytes()).to_string();
    let (wrong, _) = read(Reference::Digest(digest.clone()), move |_| {
        manifest(&image("b"), &other)
    })
    .await;
    let error = wrong.unwrap_err();
    assert_eq!(error.failure(), Failure::DigestMismatch);
    assert!(error.to_string().contains(&digest.to_string()), "{error}");
}

#[tokio::test]
async fn the_kinds_of_manifests_that_were_served_are_remembered() {
    let server = Server::registry(|request: &Seen| {
        if request.method == "HEAD" {
            let digest = Digest::of(b"").to_string();
            respond(
                200,
                &[
                    ("content-type", MANIFEST_TYPE),
                    ("docker-content-digest", &digest),
                ],
                "",
            )
        } else {
            respond(200, &[("content-type", INDEX_TYPE)], index(&["a"]))
        }
    })
    .await;
    let registry = server.connect().await;
    let seen = || registry.capabilities().media_types.iter().collect::<Vec<_>>();
    assert_eq!(seen(), []);
    registry.manifest(&app(), &tag()).await.unwrap();
    assert_eq!(seen(), [MediaType::OCI_INDEX]);
    registry.resolve(&app(), &tag()).await.unwrap();
    assert_eq!(seen(), [MediaType::OCI_MANIFEST, MediaType::OCI_INDEX]);
}

#[tokio::test]
async fn an_index_is_read_by_its_content_type() {
    let (read, _) = read(tag(), |_| {
        respond(
            200,
            &[("content-type", &format!("{INDEX_TYPE}; charset=utf-8"))],
            index(&["a", "b"]),
        )
    })
    .await;
    assert!(read.unwrap().media_type().is_index());
}

#[tokio::test]
async fn what_is_no_manifest_is_an_error_that_names_tag_and_reason() {
    for (media_type, body) in [
        (MANIFEST_TYPE, "{"),
        (MANIFEST_TYPE, "<html></html>"),
        (INDEX_TYPE, r#"{"manifests":[],"layers":[]}"#),
        ("text/html", "{}"),
        ("nonsense", "{}"),
        ("application/vnd.docker.distribution.manifest.v1+prettyjws", "{}"),
    ] {
        let (read, _) = read(tag(), move |_| {
            respond(200, &[("content-type", media_type)], body)
        })
        .await;
        let error = read.unwrap_err();
        assert_eq!(error.failure(), Failure::Malformed, "{media_type} {body}");
        assert!(
            error.to_string().contains("/v2/team/app/manifests/1.0: "),
            "{error}"
        );
    }
}

#[tokio::test]
async fn a_manifest_of_more_than_4_mib_is_not_read() {
    let huge = format!("{}{}", image("a"), " ".repeat(4 * 1024 * 1024));
    let (read, _) = read(tag(), move |_| {
        respond(200, &[("content-type", MANIFEST_TYPE)], huge.clone())
    })
    .await;
    assert_eq!(read.unwrap_err().failure(), Failure::TooLarge);
}

#[tokio::test]
async fn a_manifest_that_breaks_off_is_read_again_and_never_used_in_part() {
    let (read, server) = read(tag(), |seen| match seen.before {
        0 | 1 => broken_off(&[("content-type", MANIFEST_TYPE)], "{\"config\":", 500),
        _ => respond(200, &[("content-type", MANIFEST_TYPE)], image("a")),
    })
    .await;
    assert_eq!(read.unwrap().bytes(), image("a").as_bytes());
    assert_eq!(server.log().len(), 3);
}

#[tokio::test]
async fn a_refusal_says_what_the_registry_said() {
    let (read, server) = read(tag(), |_| refused(404, "MANIFEST_UNKNOWN")).await;
    let error = read.unwrap_err();
    assert_eq!(error.failure(), Failure::NotFound);
    assert_eq!(
        error.to_string(),
        format!(
            "GET {}/v2/team/app/manifests/1.0: 404 MANIFEST_UNKNOWN: as the test wants",
            server.url
        )
    );
    for (status, expected) in [
        (403, Failure::Denied),
        (500, Failure::Server),
        (418, Failure::Malformed),
    ] {
        let (read, _) = self::read(tag(), move |_| refused(status, "SOMETHING_OF_ITS_OWN")).await;
        let error = read.unwrap_err();
        assert_eq!(error.failure(), expected);
        assert!(error.to_string().contains("SOMETHING_OF_ITS_OWN"), "{error}");
    }
}

#[tokio::test]
async fn a_manifest_is_not_fetched_from_another_origin() {
    let other = Server::start(|_| respond(200, &[("content-type", MANIFEST_TYPE)], image("a"))).await;
    let target = format!("{}/x", other.url);
    let (read, _) = read(tag(), move |_| respond(307, &[("location", &target)], "")).await;
    assert_eq!(read.unwrap_err().failure(), Failure::Malformed);
    assert!(other.whole_log().is_empty());
}

#[tokio::test]
async fn a_config_blob_is_bounded_and_is_what_its_digest_says() {
    let digest = Digest::of(b"config");
    let server = Server::registry(|seen| match seen.path.contains("/team/app/") {
        true => respond(200, &[], "config"),
        false => respond(200, &[], "forged"),
    })
    .await;
    let registry = server.connect().await;
    assert_eq!(registry.config_blob(&app(), &digest, 6).await.unwrap(), "config");
    assert_eq!(server.log()[0].path, format!("/v2/team/app/blobs/{digest}"));
    let error = registry.config_blob(&app(), &digest, 5).await.unwrap_err();
    assert_eq!(error.failure(), Failure::TooLarge);
    let other = "team/other".parse().unwrap();
    let error = registry.config_blob(&other, &digest, 6).await.unwrap_err();
    assert_eq!(error.failure(), Failure::DigestMismatch);
}

#[tokio::test]
async fn a_blob_comes_from_object_storage_which_never_sees_the_credentials() {
    let storage = Server::start(|_| respond(200, &[], "config")).await;
    let target = format!("{}/bucket/blob?X-Amz-Signature=hunter2", storage.url);
    let server = Server::registry(move |seen| {
        assert!(seen.authorization().is_some());
        respond(307, &[("location", &target)], "")
    })
    .await;
    let registry = server.connect_as("ci", "s3cret").await;
    assert_eq!(
        registry
            .config_blob(&app(), &Digest::of(b"config"), 100)
            .await
            .unwrap(),
        "config"
    );
    assert_eq!(storage.whole_log().len(), 1);
    assert!(storage.whole_log()[0].authorization().is_none());

    let error = registry
        .config_blob(&app(), &Digest::of(b"another"), 100)
        .await
        .unwrap_err();
    assert_eq!(error.failure(), Failure::DigestMismatch);
    assert!(!format!("{error} {error:?}").contains("hunter2"));
}

#[tokio::test]
async fn a_blob_does_not_come_from_a_link_local_address() {
    let target = "http://169.254.169.254/latest/meta-data/";
    let server = Server::registry(move |_| respond(307, &[("location", target)], "")).await;
    let mut settings = server.settings();
    settings.timeouts.connect = std::time::Duration::from_millis(50);
    let registry = lagan_registry::OciRegistry::connect(settings).await.unwrap();
    let asked = registry.config_blob(&app(), &Digest::of(b"config"), 100).await;
    let error = asked.unwrap_err();
    assert_eq!(error.failure(), Failure::Malformed, "{error}");
    assert!(error.to_string().contains("a link-local address"), "{error}");
    assert_eq!(server.log().len(), 1);
}

#[tokio::test]
async fn credentials_do_not_come_back_with_a_redirect_that_returns_home() {
    let storage = Server::start(|seen| {
        let home = seen.query["home"].clone();
        respond(302, &[("location", &format!("{home}/open"))], "")
    })
    .await;
    let target = storage.url.clone();
    let server = Server::registry(move |seen| match seen.path.as_str() {
        "/open" => respond(200, &[], "config"),
        _ => respond(
            307,
            &[("location", &format!("{target}/?home={}", seen.server))],
            "",
        ),
    })
    .await;
    let registry = server.connect_as("ci", "s3cret").await;
    registry
        .config_blob(&app(), &Digest::of(b"config"), 100)
        .await
        .unwrap();
    let log = server.log();
    assert_eq!(
        (log[0].authorization().is_some(), log[1].authorization().is_some()),
        (true, false)
    );
}

#[tokio::test]
async fn object_storage_cannot_ask_for_the_credentials_by_a_challenge() {
    let thief = Server::start(|seen| {
        let challenge = format!("Bearer realm=\"{}/token\"", seen.server);
        respond(401, &[("www-authenticate", &challenge)], "")
    })
    .await;
    let target = format!("{}/blob", thief.url);
    let server = Server::registry(move |_| respond(307, &[("location", &target)], "")).await;
    let registry = server.connect_as("ci", "s3cret").await;
    assert!(
        registry
            .config_blob(&app(), &Digest::of(b"x"), 100)
            .await
            .is_err()
    );
    let log = thief.whole_log();
    assert_eq!(log.len(), 1, "{log:?}");
    assert!(log[0].authorization().is_none());
}

#[tokio::test]
async fn a_body_that_unpacks_to_more_than_the_limit_is_not_read() {
    // 100,000 zeros, packed by gzip into 132 bytes.
    let packed = "H4sIAAAAAAACA+3BMQEAAADCoPVPbQ0PoAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\
        AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\
        AIBXA32VEdSghgEA";
    let packed = STANDARD.decode(packed).unwrap();
    let server =
        Server::registry(move |_| respond(200, &[("content-encoding", "gzip")], packed.clone())).await;
    let registry = server.connect().await;
    let digest = Digest::of(&[0; 100_000]);
    assert_eq!(
        registry
            .config_blob(&app(), &digest, 100_000)
            .await
            .unwrap()
            .len(),
        100_000
    );
    let error = registry.config_blob(&app(), &digest, 99_999).await.unwrap_err();
    assert_eq!(error.failure(), Failure::TooLarge, "{error}");
}
