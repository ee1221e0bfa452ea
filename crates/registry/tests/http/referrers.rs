use axum::response::Response;
use lagan_model::{Capability, Digest, Failure, Referrers, RegistryError, RegistryRead as _, RequestKind};
use lagan_registry::OciRegistry;

use crate::support::{
    INDEX_TYPE, MANIFEST_TYPE, Seen, Server, app, broken_off, html, image, index, json, refused, respond,
};

async fn registry(answer: impl Fn(&Seen) -> Response + Send + Sync + 'static) -> (OciRegistry, Server) {
    let server = Server::registry(answer).await;
    (server.connect().await, server)
}

async fn ask(registry: &OciRegistry) -> Result<Referrers, RegistryError> {
    registry.referrers(&app(), &Digest::of(b"subject")).await
}

fn page(salts: &[&str], next: Option<&str>) -> Response {
    let mut headers = vec![("content-type", INDEX_TYPE)];
    let link = next.map(|next| format!("<{next}>; rel=\"next\""));
    headers.extend(link.as_deref().map(|link| ("link", link)));
    respond(200, &headers, index(salts))
}

#[tokio::test]
async fn referrers_are_read_over_all_pages_each_once() {
    let (registry, server) = registry(|seen| match seen.query.get("last").map(String::as_str) {
        None => page(&["a", "b"], Some("?last=b")),
        Some("b") => page(&["b", "c"], Some("?last=c")),
        Some(_) => page(&[], None),
    })
    .await;
    let Referrers::Listed(listed) = ask(&registry).await.unwrap() else {
        panic!("no API")
    };
    let digests: Vec<_> = listed.into_iter().map(|found| found.digest).collect();
    assert_eq!(
        digests,
        ["a", "b", "c"].map(|salt| Digest::of(image(salt).as_bytes()))
    );
    assert_eq!(registry.capabilities().referrers, Capability::Offered);
    let subject = Digest::of(b"subject");
    assert_eq!(server.log()[0].path, format!("/v2/team/app/referrers/{subject}"));
    assert_eq!(server.log()[0].header("accept"), Some(INDEX_TYPE));
}

#[tokio::test]
async fn more_referrers_than_anybody_has_are_not_read_to_the_end() {
    // Pages of 20,001, and always one more.
    let (registry, server) = registry(|seen| {
        let number: usize = seen.query.get("last").map_or(0, |last| last.parse().unwrap());
        let manifests: Vec<_> = (number * 20_001..(number + 1) * 20_001)
            .map(|n| format!(r#"{{"mediaType":"{MANIFEST_TYPE}","digest":"sha256:{n:064x}","size":1}}"#))
            .collect();
        let manifests = manifests.join(",");
        let link = format!("<?last={}>; rel=\"next\"", number + 1);
        respond(
            200,
            &[("content-type", INDEX_TYPE), ("link", &link)],
            format!(r#"{{"schemaVersion":2,"mediaType":"{INDEX_TYPE}","manifests":[{manifests}]}}"#),
        )
    })
    .await;
    let error = ask(&registry).await.unwrap_err();
    assert_eq!(error.failure(), Failure::TooLarge, "{error}");
    assert!(
        error.to_string().contains("more than 100000 referrers"),
        "{error}"
    );
    assert_eq!(server.log().len(), 5);
}

#[tokio::test]
async fn an_empty_index_means_that_there_are_none() {
    let (registry, _) = registry(|_| page(&[], None)).await;
    assert_eq!(ask(&registry).await.unwrap(), Referrers::Listed(Vec::new()));
}

#[tokio::test]
async fn a_missing_api_is_asked_for_once_even_by_many_at_once() {
    let (registry, server) =
        registry(|_| respond(404, &[("content-type", "text/plain")], "404 page not found\n")).await;
    assert_eq!(registry.capabilities().referrers, Capability::Unknown);
    let asked = (0..20).map(|_| ask(&registry));
    for answer in futures_util::future::join_all(asked).await {
        assert_eq!(answer.unwrap(), Referrers::NoApi);
    }
    assert_eq!(registry.capabilities().referrers, Capability::NotOffered);
    assert_eq!(server.log().len(), 1);
    assert_eq!(registry.requests().of(RequestKind::Referrers), 1);
}

#[tokio::test]
async fn a_404_after_the_api_was_seen_is_that_one_answer() {
    let (registry, _) = registry(|seen| match seen.before {
        1 => html(404),
        _ => page(&["a"], None),
    })
    .await;
    assert!(matches!(ask(&registry).await, Ok(Referrers::Listed(_))));
    assert_eq!(ask(&registry).await.unwrap(), Referrers::NoApi);
    assert_eq!(registry.capabilities().referrers, Capability::Offered);
    assert!(matches!(ask(&registry).await, Ok(Referrers::Listed(_))));
}

#[tokio::test]
async fn a_404_about_the_repository_says_nothing_of_other_repositories() {
    let (registry, _) = registry(|seen| match seen.before {
        0 => refused(404, "NAME_UNKNOWN"),
        _ => page(&["a"], None),
    })
    .await;
    assert_eq!(ask(&registry).await.unwrap(), Referrers::NoApi);
    assert_eq!(registry.capabilities().referrers, Capability::Unknown);
    assert!(matches!(ask(&registry).await, Ok(Referrers::Listed(found)) if found.len() == 1));
}

#[tokio::test]
async fn any_other_failure_is_an_error_and_never_none() {
    type Answer = fn() -> Response;
    let cases: [(Answer, Failure); 9] = [
        (|| refused(429, "TOOMANYREQUESTS"), Failure::Overloaded),
        (|| refused(503, "UNAVAILABLE"), Failure::Overloaded),
        (|| refused(500, "UNKNOWN"), Failure::Server),
        (|| refused(403, "DENIED"), Failure::Denied),
        (|| refused(401, "UNAUTHORIZED"), Failure::Denied),
        (|| refused(400, "DIGEST_INVALID"), Failure::Malformed),
        (|| refused(405, "UNSUPPORTED"), Failure::Unsupported),
        (|| respond(204, &[], ""), Failure::Malformed),
        (
            || broken_off(&[("content-type", INDEX_TYPE)], "{", 100),
            Failure::Unreachable,
        ),
    ];
    for (answer, expected) in cases {
        let (registry, _) = registry(move |_| answer()).await;
        let error = ask(&registry).await.unwrap_err();
        assert_eq!(error.failure(), expected, "{error}");
        assert_eq!(registry.capabilities().referrers, Capability::Unknown);
    }
}

#[tokio::test]
async fn a_200_that_is_no_index_is_an_error_and_never_none() {
    type Answer = fn() -> Response;
    let cases: [Answer; 8] = [
        || html(200),
        || json(200, "{}"),
        || json(200, "null"),
        || json(200, r#"{"manifests":null}"#),
        || json(200, r#"{"errors":[]}"#),
        || {
            respond(
                200,
                &[("content-type", INDEX_TYPE)],
                r#"{"manifests":[{"digest":"x"}]}"#,
            )
        },
        || respond(200, &[("content-type", MANIFEST_TYPE)], image("a")),
        || respond(200, &[("content-type", INDEX_TYPE)], ""),
    ];
    for answer in cases {
        let (registry, _) = registry(move |_| answer()).await;
        let error = ask(&registry).await.unwrap_err();
        assert_eq!(error.failure(), Failure::Malformed, "{error}");
        assert_eq!(registry.capabilities().referrers, Capability::Unknown);
    }
}

#[tokio::test]
async fn pages_of_referrers_are_read_to_the_end_or_not_at_all() {
    type Answer = fn(&Seen) -> Response;
    let cases: [Answer; 5] = [
        |_| page(&["a"], Some("?")),
        |seen| {
            page(
                &["a"],
                Some(&format!(
                    "?again={}",
                    seen.query.len() + seen.query.get("again").map_or(0, |n| n.parse().unwrap())
                )),
            )
        },
        |_| page(&["a"], Some("http://127.0.0.1:9/v2/team/app/referrers/x")),
        |_| page(&["a"], Some("/v2/other/referrers/x")),
        |seen| match seen.query.is_empty() {
            true => page(&["a"], Some("?last=a")),
            false => refused(404, "NOT_FOUND"),
        },
    ];
    for (number, answer) in cases.into_iter().enumerate() {
        let (registry, _) = registry(answer).await;
        assert!(ask(&registry).await.is_err(), "case {number}");
    }
}
