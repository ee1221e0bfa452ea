//! Asking what can be deleted, by requests that can delete nothing.

use axum::response::Response;
use futures_util::future::join_all;
use lagan_model::{Capabilities, Capability, RegistryProbe as _, RegistryRead as _, RequestKind, Tag};
use lagan_registry::OciRegistry;

use crate::support::{Seen, Server, app, broken_off, html, json, refused, respond};

const TAGS: [&str; 3] = ["1.0", "latest", "lagan-probe"];

fn tags() -> Vec<Tag> {
    TAGS.map(|tag| tag.parse().unwrap()).into()
}

fn is_tag(seen: &Seen) -> bool {
    !seen.path.contains("sha256:")
}

/// Probes a registry that answers a DELETE as told, and anything else with 500.
async fn probe(
    answer: impl Fn(&Seen) -> Response + Send + Sync + 'static,
) -> (Capabilities, OciRegistry, Server) {
    let server = Server::registry(move |seen| match seen.method.as_str() {
        "DELETE" => answer(seen),
        _ => refused(500, "UNKNOWN"),
    })
    .await;
    let registry = server.connect().await;
    registry.probe_deletion(&app(), &tags()).await;
    (registry.capabilities(), registry, server)
}

#[tokio::test]
async fn nothing_that_exists_is_named_and_nothing_is_asked_twice() {
    let (seen, registry, server) = probe(|_| refused(404, "MANIFEST_UNKNOWN")).await;
    assert_eq!(
        (seen.delete_manifest, seen.delete_tag),
        (Capability::Offered, Capability::Offered)
    );
    join_all((0..20).map(|_| async { registry.probe_deletion(&app(), &tags()).await })).await;
    registry.probe_deletion(&"team/other".parse().unwrap(), &[]).await;
    let log = server.log();
    assert_eq!(log.len(), 2, "{log:?}");
    assert_eq!(registry.requests().of(RequestKind::Probe), 2);
    for asked in &log {
        let reference = asked.path.strip_prefix("/v2/team/app/manifests/").unwrap();
        assert!(!TAGS.contains(&reference), "{reference}");
        assert_eq!(asked.method, "DELETE");
    }
    let (_, _, again) = probe(|_| refused(404, "MANIFEST_UNKNOWN")).await;
    for (first, second) in log.iter().zip(again.log()) {
        assert_ne!(first.path, second.path, "names are made anew each time");
    }
}

#[tokio::test]
async fn many_that_ask_at_once_share_one_answer() {
    let server = Server::registry(|_| refused(404, "MANIFEST_UNKNOWN")).await;
    let registry = server.connect().await;
    let all = join_all((0..20).map(|_| async {
        registry.probe_deletion(&app(), &tags()).await;
        registry.capabilities().delete_tag
    }));
    assert!(all.await.into_iter().all(|known| known == Capability::Offered));
    assert_eq!(server.log().len(), 2);
}

#[tokio::test]
async fn what_the_registry_says_of_tags_is_believed_only_in_its_own_words() {
    use Capability::{NotOffered, Offered, Unknown};
    type Answer = fn(&Seen) -> Response;
    let cases: [(&str, Answer, Capability, Capability); 9] = [
        (
            "docker-registry 2.8",
            |seen| match is_tag(seen) {
                true => refused(400, "DIGEST_INVALID"),
                false => refused(404, "MANIFEST_UNKNOWN"),
            },
            Offered,
            NotOffered,
        ),
        (
            "deletion off",
            |_| refused(405, "UNSUPPORTED"),
            NotOffered,
            NotOffered,
        ),
        (
            "a router's 404",
            |_| respond(404, &[("content-type", "text/plain")], "404 page not found\n"),
            Unknown,
            Unknown,
        ),
        ("a page", |_| html(404), Unknown, Unknown),
        (
            "a repository that is hidden",
            |_| refused(404, "NAME_UNKNOWN"),
            Unknown,
            Unknown,
        ),
        ("everything accepted", |_| respond(202, &[], ""), Unknown, Unknown),
        ("busy", |_| refused(429, "TOOMANYREQUESTS"), Unknown, Unknown),
        ("broken", |_| broken_off(&[], "{", 100), Unknown, Unknown),
        (
            "elsewhere",
            |_| respond(307, &[("location", "/v2/team/app/manifests/1.0")], ""),
            Unknown,
            Unknown,
        ),
    ];
    for (name, answer, manifest, tag) in cases {
        let (seen, _, server) = probe(answer).await;
        assert_eq!((seen.delete_manifest, seen.delete_tag), (manifest, tag), "{name}");
        // Neither tried again nor redirected.
        assert!(server.log().len() <= 2, "{name}: {:?}", server.log());
    }
}

#[tokio::test]
async fn who_may_not_delete_learns_nothing_and_asks_no_further() {
    for (status, code) in [(401, "UNAUTHORIZED"), (403, "DENIED")] {
        let (seen, _, server) = probe(move |_| refused(status, code)).await;
        assert_eq!(
            (seen.delete_manifest, seen.delete_tag),
            (Capability::Unknown, Capability::Unknown)
        );
        assert_eq!(server.log().len(), 1);
    }
}

#[tokio::test]
async fn the_right_to_delete_is_asked_for_in_this_repository_and_only_for_the_question() {
    let server = Server::start(|seen| match (seen.method.as_str(), seen.path.as_str()) {
        (_, "/token") => json(
            200,
            format!(
                r#"{{"token":"{}"}}"#,
                seen.query.get("scope").map_or("none", String::as_str)
            ),
        ),
        ("DELETE", _) => match seen.authorization() {
            Some("Bearer repository:team/app:pull,delete") => refused(404, "MANIFEST_UNKNOWN"),
            _ => refused(403, "DENIED"),
        },
        _ if seen.authorization().is_some() => json(200, r#"{"tags":[]}"#),
        _ => {
            let challenge = format!("Bearer realm=\"{}/token\",service=\"s\"", seen.server);
            respond(401, &[("www-authenticate", &challenge)], "")
        }
    })
    .await;
    let registry = server.connect_as("ci", "s3cret").await;
    registry.list_tags(&app()).await.unwrap();
    registry.probe_deletion(&app(), &tags()).await;
    assert_eq!(registry.capabilities().delete_tag, Capability::Offered);
    let scopes: Vec<_> = server
        .log()
        .iter()
        .filter(|seen| seen.path == "/token")
        .filter_map(|seen| seen.query.get("scope").cloned())
        .collect();
    assert_eq!(
        scopes,
        ["repository:team/app:pull", "repository:team/app:pull,delete"]
    );
}

#[tokio::test]
async fn a_token_service_that_gives_no_right_to_delete_leaves_everything_unknown() {
    let server = Server::start(|seen| match seen.path.as_str() {
        "/token"
            if seen
                .query
                .get("scope")
                .is_some_and(|scope| scope.contains("delete")) =>
        {
            refused(403, "DENIED")
        }
        "/token" => json(200, r#"{"token":"t"}"#),
        _ if seen.authorization().is_some() => json(200, r#"{"tags":[]}"#),
        _ => {
            let challenge = format!("Bearer realm=\"{}/token\"", seen.server);
            respond(401, &[("www-authenticate", &challenge)], "")
        }
    })
    .await;
    let registry = server.connect_as("ci", "s3cret").await;
    registry.probe_deletion(&app(), &tags()).await;
    assert_eq!(registry.capabilities().delete_tag, Capability::Unknown);
    assert!(server.log().iter().all(|seen| seen.method != "DELETE"));
    // Reading goes on as before.
    assert!(registry.list_tags(&app()).await.is_ok());
}
