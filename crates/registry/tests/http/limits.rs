//! Answers that would take all memory, all stack or all time.

use std::num::NonZeroU32;
use std::time::Duration;

use axum::response::Response;
use lagan_model::{Failure, Reference, RegistryRead as _};
use lagan_registry::{ConnectError, MAX_LISTING_BYTES, MAX_PAGE_BYTES, OciRegistry};

use crate::support::{
    INDEX_TYPE, MANIFEST_TYPE, Seen, Server, app, image, index, json, linked, respond, settings,
};

/// The same document with a field that nobody asks for, nested this deep in all.
fn deeper(document: &str, depth: usize) -> String {
    let (open, close) = ("[".repeat(depth - 1), "]".repeat(depth - 1));
    document.replacen('{', &format!(r#"{{"nobody-asks":{open}{close},"#), 1)
}

/// A registry with tokens, everything in which is nested this deep.
async fn nested(depth: usize) -> Server {
    Server::registry(move |seen: &Seen| {
        let typed =
            |media_type, body: &str| respond(200, &[("content-type", media_type)], deeper(body, depth));
        match (seen.path.as_str(), seen.authorization()) {
            ("/token", _) => json(200, r#"{"token":"t"}"#),
            (_, None) => {
                let realm = format!("Bearer realm=\"{}/token\"", seen.server);
                respond(401, &[("www-authenticate", &realm)], "")
            }
            ("/v2/_catalog", _) => json(200, deeper(r#"{"repositories":["a"]}"#, depth)),
            ("/v2/team/app/tags/list", _) => json(200, deeper(r#"{"tags":["a"]}"#, depth)),
            ("/v2/team/app/manifests/image", _) => typed(MANIFEST_TYPE, &image("a")),
            ("/v2/team/app/manifests/index", _) => typed(INDEX_TYPE, &index(&["a"])),
            (path, _) if path.contains("/referrers/") => typed(INDEX_TYPE, &index(&["a"])),
            _ => {
                let body = r#"{"errors":[{"code":"MANIFEST_UNKNOWN","message":"m"}]}"#;
                json(404, deeper(body, depth))
            }
        }
    })
    .await
}

async fn failures(server: &Server) -> Vec<Option<Failure>> {
    let registry = server.connect().await;
    let repository = app();
    let manifest = async |tag: &str| {
        let reference = Reference::Tag(tag.parse().unwrap());
        registry.manifest(&repository, &reference).await.err()
    };
    let subject = lagan_model::Digest::of(b"x");
    let errors = [
        registry.list_repositories().await.err(),
        registry.list_tags(&repository).await.err(),
        manifest("image").await,
        manifest("index").await,
        registry.referrers(&repository, &subject).await.err(),
        manifest("missing").await,
    ];
    let failure = |error: Option<lagan_model::RegistryError>| error.map(|error| error.failure());
    errors.map(failure).into()
}

#[tokio::test]
async fn whatever_nests_too_deep_is_malformed_even_where_nobody_looks() {
    let missing = Some(Failure::NotFound);
    assert_eq!(
        failures(&nested(64).await).await,
        [None, None, None, None, None, missing]
    );
    // In particular a refusal that cannot be read is not believed to say that something is missing.
    for depth in [65, 100_000] {
        let answered = failures(&nested(depth).await).await;
        assert_eq!(answered, [Some(Failure::Malformed); 6], "{depth}");
    }
}

#[tokio::test]
async fn a_token_that_comes_nested_too_deep_is_not_used() {
    let server = Server::registry(|seen| match (seen.path.as_str(), seen.authorization()) {
        ("/token", _) => json(200, deeper(r#"{"token":"t"}"#, 65)),
        (_, Some(_)) => json(200, r#"{"tags":["a"]}"#),
        _ => {
            let realm = format!("Bearer realm=\"{}/token\"", seen.server);
            respond(401, &[("www-authenticate", &realm)], "")
        }
    })
    .await;
    let error = server.connect().await.list_tags(&app()).await.unwrap_err();
    assert_eq!(error.failure(), Failure::Malformed);
    assert!(server.log().iter().all(|seen| seen.authorization().is_none()));
}

#[tokio::test]
async fn pages_that_are_too_large_together_are_not_read_to_the_end() {
    let page = |seen: &Seen| -> Response {
        let number = seen
            .query
            .get("last")
            .map_or(0, |last| last.parse::<usize>().unwrap());
        let body = format!(r#"{{"tags":["t{number}"]}}"#);
        let padding = " ".repeat(MAX_PAGE_BYTES - body.len());
        linked(body + &padding, &format!("?last={}", number + 1))
    };
    let server = Server::registry(page).await;
    let error = server.connect().await.list_tags(&app()).await.unwrap_err();
    assert_eq!(error.failure(), Failure::TooLarge);
    assert!(error.to_string().contains("together"), "{error}");
    assert_eq!(server.log().len(), MAX_LISTING_BYTES / MAX_PAGE_BYTES + 1);
}

#[tokio::test]
async fn when_the_time_of_the_run_is_over_whatever_waits_ends_and_nothing_more_is_asked() {
    let server = Server::registry(|seen| match seen.path.as_str() {
        "/v2/team/quick/tags/list" => json(200, r#"{"tags":["a"]}"#),
        _ => respond(503, &[("retry-after", "3600")], ""),
    })
    .await;
    let mut short = server.settings();
    short.timeouts.run = Duration::from_secs(1800);
    short.retry.longest_asked = Duration::from_secs(3600);
    // On the virtual clock an answer may come too late, whenever there is nothing else to do: that passes.
    short.retry.attempts = NonZeroU32::new(1000).unwrap();
    let registry = OciRegistry::connect(short).await.unwrap();
    let quick = "team/quick".parse().unwrap();
    registry.list_tags(&quick).await.unwrap();

    // Pauses on the virtual clock: the run would go on in an hour, and ends in half of one.
    tokio::time::pause();
    let repository = app();
    let began = tokio::time::Instant::now();
    let waiting = (0..100).map(|_| registry.list_tags(&repository));
    for tags in futures_util::future::join_all(waiting).await {
        let error = tags.unwrap_err();
        assert_eq!(error.failure(), Failure::TimeIsUp, "{error}");
        assert!(
            error
                .to_string()
                .ends_with("not read: the time of the run, 1800s, was over"),
            "{error}"
        );
    }
    assert!(began.elapsed() <= Duration::from_secs(1801));
    let asked = server.log().len();
    for _ in 0..3 {
        assert_eq!(
            registry.list_tags(&quick).await.unwrap_err().failure(),
            Failure::TimeIsUp
        );
    }
    assert_eq!(server.log().len(), asked);
}

#[tokio::test]
async fn a_registry_that_never_answers_the_first_request_ends_with_the_run() {
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut short = settings(&format!("http://{}", silent.local_addr().unwrap()));
    short.timeouts.run = Duration::from_millis(50);
    match OciRegistry::connect(short).await {
        Err(ConnectError::Registry(error)) => assert_eq!(error.failure(), Failure::TimeIsUp),
        other => panic!("{other:?}"),
    }
}
