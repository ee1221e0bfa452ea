//! Harbor's API as no Harbor should answer it, and what finding a Harbor out takes.

use std::sync::Arc;

use axum::response::Response;
use lagan_model::{
    Digest, Failure, Reference, RegistryError, RegistryKind, RegistryRead as _, RegistryWrite as _,
    RepositorySnapshot,
};
use lagan_registry::{ConnectError, Connected, Credentials};

use crate::journal::{deletion, restoration, tag, untagging};
use crate::support::{MANIFEST_TYPE, Seen, Server, app, html, image, json, refused, respond};

const CHALLENGE: &str = r#"Bearer realm="http://host/service/token",service="harbor-registry""#;
const INFORMATION: &str = r#"{"auth_mode":"db_auth","harbor_version":"v2.8.4-abc"}"#;

/// Whoever keeps it is taken for a browser, and refused without a token against forgery.
const COOKIE: (&str, &str) = ("set-cookie", "sid=1; Path=/");

fn page(total: usize, entries: &[String]) -> Response {
    let total = total.to_string();
    let headers = [
        ("content-type", "application/json"),
        ("x-total-count", total.as_str()),
        COOKIE,
    ];
    respond(200, &headers, format!("[{}]", entries.join(",")))
}

/// An artifact of `team/app`; its digest is made of its number.
fn artifact(id: usize, tags: &[&str]) -> String {
    let tags: Vec<_> = tags.iter().map(|tag| format!(r#"{{"name":"{tag}"}}"#)).collect();
    format!(
        r#"{{"id":{id},"type":"IMAGE","digest":"sha256:{id:064}","manifest_media_type":"{MANIFEST_TYPE}",
        "repository_name":"team/app","push_time":"2026-01-01T00:00:00.000Z","tags":[{}]}}"#,
        tags.join(",")
    )
}

/// What is made of a request for artifacts.
type Answer = Box<dyn Fn(&Seen) -> Response + Send + Sync>;

/// A Harbor with one project, whose artifacts are listed as told.
async fn harbor(artifacts: impl Fn(&Seen) -> Response + Send + Sync + 'static) -> Server {
    Server::start(move |seen| match seen.path.as_str() {
        "/v2/" => respond(401, &[("www-authenticate", CHALLENGE)], ""),
        "/api/v2.0/systeminfo" => {
            let headers = [("content-type", "application/json"), COOKIE];
            respond(200, &headers, INFORMATION)
        }
        "/api/v2.0/projects/team" => json(200, r#"{"project_id":1,"name":"team"}"#),
        "/api/v2.0/projects/team/immutabletagrules" => page(0, &[]),
        path if path.ends_with("/artifacts") => artifacts(seen),
        _ => refused(404, "NOT_FOUND"),
    })
    .await
}

async fn connect(server: &Server, kind: Option<RegistryKind>) -> Result<Connected, ConnectError> {
    let mut settings = server.settings();
    settings.credentials = Some(Credentials::new("robot$lagan", "secret".into()).unwrap().into());
    Connected::connect(settings, kind).await
}

async fn survey(server: &Server) -> Result<RepositorySnapshot, RegistryError> {
    connect(server, Some(RegistryKind::Harbor))
        .await
        .unwrap()
        .survey(&app())
        .await
}

#[tokio::test]
async fn a_harbor_is_known_by_its_challenge_and_signed_in_to_without_a_cookie_or_a_token() {
    let server = harbor(|_| page(1, &[artifact(1, &["1.0"])])).await;
    let registry = connect(&server, None).await.unwrap();
    assert_eq!(registry.identity().kind, RegistryKind::Harbor);
    registry.survey(&app()).await.unwrap();
    let log = server.whole_log();
    let paths: Vec<_> = log.iter().map(|seen| seen.path.as_str()).collect();
    assert_eq!(paths[..2], ["/v2/", "/api/v2.0/systeminfo"]);
    for seen in &log[1..] {
        assert!(
            seen.authorization().unwrap().starts_with("Basic "),
            "{}",
            seen.path
        );
        assert_eq!(seen.header("cookie"), None);
    }
    assert_eq!(log[0].authorization(), None);
    assert_eq!(registry.requests().total, log.len() as u64);
}

#[tokio::test]
async fn a_registry_of_another_kind_is_not_asked_for_harbors_api() {
    let server = Server::registry(|_| refused(404, "NAME_UNKNOWN")).await;
    let registry = Connected::connect(server.settings(), None).await.unwrap();
    assert_eq!(registry.identity().kind, RegistryKind::Oci);
    assert!(server.log().is_empty());
}

#[tokio::test]
async fn where_the_registry_is_harbors_and_its_api_is_not_there_it_is_one_like_any_other() {
    for api in [html as fn(u16) -> Response, |_| refused(404, "NOT_FOUND")] {
        let server = Server::start(move |seen| match seen.path.as_str() {
            "/v2/" if seen.authorization().is_none() => {
                let challenge = CHALLENGE.replace("http://host", &seen.server);
                respond(401, &[("www-authenticate", challenge.as_str())], "")
            }
            "/v2/" => json(200, "{}"),
            "/service/token" => json(200, r#"{"token":"t"}"#),
            _ => api(200),
        })
        .await;
        assert_eq!(
            connect(&server, None).await.unwrap().identity().kind,
            RegistryKind::Oci
        );
        let error = connect(&server, Some(RegistryKind::Harbor)).await.unwrap_err();
        assert!(
            matches!(&error, ConnectError::Registry(error) if error.failure() == Failure::NotARegistry),
            "{error}"
        );
        assert!(error.hint().unwrap().contains("kind: oci"));
        // Nothing is changed there unless that is what is written.
        let changing = async |kind| Connected::connect_to_change(server.settings(), kind).await;
        let error = changing(None).await.unwrap_err();
        assert!(
            matches!(&error, ConnectError::Registry(error) if error.failure() == Failure::NotARegistry),
            "{error}"
        );
        assert!(error.hint().unwrap().contains("kind: oci"));
        let written = changing(Some(RegistryKind::Oci)).await.unwrap();
        assert_eq!(written.identity().kind, RegistryKind::Oci);
    }
}

#[tokio::test]
async fn nothing_of_a_project_that_caches_another_registry_is_asked_for_over_v2() {
    let server = Server::start(|seen| match seen.path.as_str() {
        "/api/v2.0/systeminfo" => json(200, INFORMATION),
        "/api/v2.0/projects/team" => json(200, r#"{"project_id":1,"name":"team","registry_id":3}"#),
        _ => refused(404, "NOT_FOUND"),
    })
    .await;
    let registry = connect(&server, Some(RegistryKind::Harbor)).await.unwrap();
    let digest: Digest = format!("sha256:{:064}", 1).parse().unwrap();
    let reference = Reference::Digest(digest.clone());
    let errors = [
        registry.list_tags(&app()).await.unwrap_err(),
        registry.manifest(&app(), &reference).await.unwrap_err(),
        registry.resolve(&app(), &reference).await.unwrap_err(),
        registry.referrers(&app(), &digest).await.unwrap_err(),
        registry.config_blob(&app(), &digest, 100).await.unwrap_err(),
        registry.has_blob(&app(), &digest).await.unwrap_err(),
        registry.delete(&deletion().await).await.unwrap_err(),
        registry.untag(&untagging().await).await.unwrap_err(),
        registry
            .put_manifest(&restoration().await, None)
            .await
            .unwrap_err(),
        registry
            .create_tag(&restoration().await, &tag("1.0"))
            .await
            .unwrap_err(),
    ];
    for error in errors {
        assert_eq!(error.failure(), Failure::Unsupported, "{error}");
        assert!(error.to_string().contains("caches another registry"), "{error}");
    }
    let paths: Vec<_> = server.whole_log().into_iter().map(|seen| seen.path).collect();
    assert_eq!(paths, ["/api/v2.0/systeminfo", "/api/v2.0/projects/team"]);
}

#[tokio::test]
async fn an_api_that_fails_is_not_taken_for_one_that_is_not_there() {
    let server = Server::start(|seen| match seen.path.as_str() {
        "/v2/" => respond(401, &[("www-authenticate", CHALLENGE)], ""),
        _ => refused(500, "UNKNOWN"),
    })
    .await;
    let error = connect(&server, None).await.unwrap_err();
    assert!(
        matches!(&error, ConnectError::Registry(error) if error.failure() == Failure::Server),
        "{error}"
    );
}

#[tokio::test]
async fn credentials_that_make_nobody_of_us_are_refused() {
    let server = Server::start(|seen| match seen.path.as_str() {
        "/api/v2.0/systeminfo" => json(200, r#"{"auth_mode":"db_auth"}"#),
        _ => refused(404, "NOT_FOUND"),
    })
    .await;
    let error = connect(&server, Some(RegistryKind::Harbor)).await.unwrap_err();
    assert!(
        matches!(&error, ConnectError::Registry(error) if error.failure() == Failure::Unauthorized),
        "{error}"
    );
}

#[tokio::test]
async fn a_listing_that_answers_another_question_is_no_listing() {
    // Keys that Harbor does not know are passed over: the first page again, another order, more than was asked for.
    let hundred = || (1..=100).map(|id| artifact(id, &[])).collect::<Vec<_>>();
    let answers: [(&str, Answer); 6] = [
        ("begins too early", Box::new(move |_| page(300, &hundred()))),
        (
            "order",
            Box::new(|_| page(2, &[artifact(2, &[]), artifact(1, &[])])),
        ),
        (
            "were asked for",
            Box::new(|_| page(200, &(1..=200).map(|id| artifact(id, &[])).collect::<Vec<_>>())),
        ),
        ("X-Total-Count", Box::new(|_| json(200, "[]"))),
        (
            "cannot be read",
            Box::new(|_| page(1, &[r#"{"id":1}"#.to_owned()])),
        ),
        (
            "another repository",
            Box::new(|_| page(1, &[artifact(1, &[]).replace("team/app", "team/other")])),
        ),
    ];
    for (said, answer) in answers {
        let error = survey(&harbor(answer).await).await.unwrap_err();
        assert_eq!(error.failure(), Failure::Malformed, "{said}: {error}");
        assert!(error.to_string().contains(said), "{said}: {error}");
    }
}

#[tokio::test]
async fn a_tag_that_moves_under_the_walk_makes_it_begin_again_and_then_give_up() {
    // Moved once: listed on the old artifact, and on the new one behind it.
    let moving = |seen: &Seen| {
        let tags: &[&str] = if seen.before == 0 { &["latest"] } else { &[] };
        page(2, &[artifact(1, tags), artifact(2, &["latest"])])
    };
    let snapshot = survey(&harbor(moving).await).await.unwrap();
    assert_eq!(snapshot.tags().len(), 1);
    let restless = |_: &Seen| page(2, &[artifact(1, &["latest"]), artifact(2, &["latest"])]);
    let server = harbor(restless).await;
    let error = survey(&server).await.unwrap_err();
    assert!(
        error.to_string().contains("tag latest was on two artifacts"),
        "{error}"
    );
    assert!(error.to_string().contains("project team"), "{error}");
    let lists = server
        .log()
        .iter()
        .filter(|seen| seen.path.ends_with("/artifacts"))
        .count();
    assert_eq!(lists, 3);
}

#[tokio::test]
async fn pages_that_are_too_large_are_asked_for_in_smaller_ones() {
    let padding = Arc::new(" ".repeat(8 * 1024 * 1024));
    let server = harbor(move |seen| match seen.query["page_size"].as_str() {
        "100" => {
            let total = [("content-type", "application/json"), ("x-total-count", "1")];
            respond(200, &total, format!("[{}]{padding}", artifact(1, &["1.0"])))
        }
        _ => page(1, &[artifact(1, &["1.0"])]),
    })
    .await;
    assert_eq!(survey(&server).await.unwrap().tags().len(), 1);
    let sizes: Vec<_> = server
        .log()
        .into_iter()
        .filter_map(|seen| seen.query.get("page_size").cloned())
        .collect();
    assert_eq!(sizes[..2], ["100", "25"]);
}

/// `page_size=0` is everything at once: halving must not come to it.
#[tokio::test]
async fn however_large_the_pages_are_none_is_asked_for_of_no_size() {
    let padding = Arc::new(" ".repeat(8 * 1024 * 1024));
    let server = harbor(move |_| {
        let total = [("content-type", "application/json"), ("x-total-count", "1")];
        respond(200, &total, format!("[{}]{padding}", artifact(1, &["1.0"])))
    })
    .await;
    let error = survey(&server).await.unwrap_err();
    assert_eq!(error.failure(), Failure::TooLarge, "{error}");
    let log = server.log();
    let pages = log.iter().filter(|seen| seen.path.ends_with("/artifacts"));
    let sizes: Vec<_> = pages.map(|seen| seen.query["page_size"].as_str()).collect();
    assert_eq!(sizes, ["100", "25", "6", "1"]);
}

/// Harbor writes its Link without escaping what it repeats of the question.
#[tokio::test]
async fn the_link_of_a_listing_is_not_read() {
    for link in [
        r#"</api/v2.0/projects/team/repositories/app/artifacts?page=2&page_size=0&q=tags={a b}>; rel="next""#,
        r#"<https://elsewhere.example/?page=2>; rel="next", </a>; rel="next""#,
        "nonsense",
    ] {
        let server = harbor(move |seen| {
            let last = seen.query.get("q").is_some_and(|q| q.contains("id=[101~]"));
            let ids = if last { 101..=101 } else { 1..=100 };
            let total = if last { "1" } else { "101" };
            let entries: Vec<_> = ids.map(|id| artifact(id, &[&format!("t{id}")])).collect();
            let headers = [
                ("content-type", "application/json"),
                ("x-total-count", total),
                ("link", link),
            ];
            respond(200, &headers, format!("[{}]", entries.join(",")))
        })
        .await;
        assert_eq!(survey(&server).await.unwrap().tags().len(), 101, "{link}");
        let log = server.log();
        let pages: Vec<_> = log
            .iter()
            .filter(|seen| seen.path.ends_with("/artifacts"))
            .collect();
        assert_eq!(pages.len(), 2, "{link}");
        for seen in pages {
            assert_eq!(seen.query["page_size"], "100", "{link}");
            assert_eq!(seen.query.get("page"), None, "{link}");
        }
    }
}

#[tokio::test]
async fn a_listing_that_says_to_be_endless_is_left_at_its_first_page() {
    let server = harbor(|seen| {
        let first = seen.before * 100;
        let entries: Vec<_> = (first + 1..=first + 100).map(|id| artifact(id, &[])).collect();
        page(1_000_001, &entries)
    })
    .await;
    let error = survey(&server).await.unwrap_err();
    assert_eq!(error.failure(), Failure::TooLarge, "{error}");
    assert!(error.to_string().contains("more than 1000000 entries"), "{error}");
    let lists = server.log().into_iter();
    assert_eq!(lists.filter(|seen| seen.path.ends_with("/artifacts")).count(), 1);
}

#[tokio::test]
async fn manifests_are_read_as_the_one_client_whose_reads_are_no_pulls() {
    let bytes = image("a");
    let digest = lagan_model::Digest::of(bytes.as_bytes());
    let path = format!("/v2/team/app/manifests/{digest}");
    let server = Server::start(move |seen| match seen.path.as_str() {
        "/api/v2.0/systeminfo" => json(200, INFORMATION),
        "/api/v2.0/projects/team" => json(200, r#"{"project_id":1,"name":"team"}"#),
        _ => respond(200, &[("content-type", MANIFEST_TYPE)], bytes.clone()),
    })
    .await;
    let registry = connect(&server, Some(RegistryKind::Harbor)).await.unwrap();
    let reference = lagan_model::Reference::Digest(digest);
    registry.manifest(&app(), &reference).await.unwrap();
    let log = server.log();
    let agent = |path: &str| {
        let seen = log.iter().find(|seen| seen.path == path).unwrap();
        seen.header("user-agent").unwrap().to_owned()
    };
    assert_eq!(agent(&path), "harbor-registry-client");
    assert!(agent("/api/v2.0/systeminfo").starts_with("lagan/"));
}
