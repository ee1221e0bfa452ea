use axum::response::Response;
use lagan_model::{Failure, RegistryError, RegistryRead as _, RequestKind, Tag};
use lagan_registry::OciRegistry;

use crate::support::{Seen, Server, app, broken_off, html, json, linked, refused, respond};

fn sorted(mut tags: Vec<Tag>) -> Vec<String> {
    tags.sort();
    tags.iter().map(ToString::to_string).collect()
}

fn tags_page(names: impl IntoIterator<Item = impl AsRef<str>>) -> String {
    let names: Vec<_> = names
        .into_iter()
        .map(|name| format!("\"{}\"", name.as_ref()))
        .collect();
    format!(r#"{{"name":"team/app","tags":[{}]}}"#, names.join(","))
}

async fn tags_of(
    answer: impl Fn(&Seen) -> Response + Send + Sync + 'static,
) -> (Result<Vec<Tag>, RegistryError>, OciRegistry, Server) {
    let server = Server::registry(answer).await;
    let registry = server.connect().await;
    let tags = registry.list_tags(&app()).await;
    (tags, registry, server)
}

#[tokio::test]
async fn a_registry_that_ignores_paging_returns_everything_at_once_in_any_order() {
    let (tags, registry, server) = tags_of(|_| json(200, tags_page(["b", "a", "c", "a"]))).await;
    assert_eq!(sorted(tags.unwrap()), ["a", "b", "c"]);
    assert_eq!(registry.requests().of(RequestKind::Tags), 1);
    assert_eq!(server.log()[0].path, "/v2/team/app/tags/list");
    assert_eq!(server.log()[0].query["n"], "1000");
}

#[tokio::test]
async fn an_emptied_repository_has_no_tags_and_no_error() {
    for body in [r#"{"name":"a","tags":null}"#, r#"{"name":"a","tags":[]}"#] {
        let (tags, ..) = tags_of(move |_| json(200, body)).await;
        assert!(tags.unwrap().is_empty());
    }
}

#[tokio::test]
async fn links_are_followed_to_the_end_relative_and_absolute_over_empty_and_overlapping_pages() {
    let (tags, registry, _) = tags_of(|seen| match seen.query.get("last").map(String::as_str) {
        None => linked(tags_page(["a", "b"]), "/v2/team/app/tags/list?last=b&n=2"),
        Some("b") => linked(
            tags_page(["b", "c"]),
            &format!("{}/v2/team/app/tags/list?last=c", seen.server),
        ),
        Some("c") => linked(tags_page([""; 0]), "?last=d"),
        Some(_) => json(200, tags_page(["e"])),
    })
    .await;
    assert_eq!(sorted(tags.unwrap()), ["a", "b", "c", "e"]);
    assert_eq!(registry.requests().of(RequestKind::Tags), 4);
}

#[tokio::test]
async fn a_full_page_without_a_link_is_asked_for_what_follows() {
    let names: Vec<_> = (0..1500).map(|number| format!("t{number:04}")).collect();
    let (all, expected) = (names.clone(), names);
    let (tags, registry, _) = tags_of(move |seen| {
        let rest = all
            .iter()
            .filter(|name| seen.query.get("last").is_none_or(|last| *name > last));
        json(200, tags_page(rest.take(1000)))
    })
    .await;
    assert_eq!(sorted(tags.unwrap()), expected);
    assert_eq!(registry.requests().of(RequestKind::Tags), 2);
}

#[tokio::test]
async fn a_full_page_that_comes_back_the_same_was_everything() {
    let names: Vec<_> = (0..1000).map(|number| format!("t{number:04}")).collect();
    let (tags, registry, _) = tags_of(move |_| json(200, tags_page(&names))).await;
    assert_eq!(tags.unwrap().len(), 1000);
    assert_eq!(registry.requests().of(RequestKind::Tags), 2);
}

#[tokio::test]
async fn pages_that_loop_repeat_or_lead_elsewhere_are_an_error_and_never_a_part_of_the_listing() {
    type Answer = fn(&Seen) -> Response;
    let cases: [(&str, Answer); 8] = [
        ("from nothing to nothing", |_| {
            linked(tags_page([""; 0]), "/v2/team/app/tags/list?n=1000")
        }),
        ("to itself", |_| {
            linked(tags_page(["a"]), "/v2/team/app/tags/list?n=1000")
        }),
        ("in a circle", |seen| match seen.query.get("last") {
            None => linked(tags_page(["a"]), "?last=a"),
            Some(last) if last == "a" => linked(tags_page(["b"]), "?last=b"),
            Some(_) => linked(tags_page(["c"]), "?last=a"),
        }),
        ("to ever new pages of the same names", |seen| {
            let last = seen.query.get("last").map_or(0, |last| last.parse().unwrap());
            linked(tags_page(["a"]), &format!("?last={}", last + 1))
        }),
        ("to another repository", |_| {
            linked(tags_page(["a"]), "/v2/other/tags/list?last=a")
        }),
        ("upwards", |_| {
            linked(tags_page(["a"]), "../../../../etc/tags/list")
        }),
        ("nowhere", |_| {
            respond(200, &[("link", "nonsense")], tags_page(["a"]))
        }),
        ("past a password", |seen| {
            linked(tags_page(["a"]), &seen.server.replace("http://", "http://a:b@"))
        }),
    ];
    for (name, answer) in cases {
        let (tags, ..) = tags_of(answer).await;
        let error = tags.expect_err(name);
        assert_eq!(error.failure(), Failure::Malformed, "{name}: {error}");
    }
}

#[tokio::test]
async fn a_link_to_another_host_is_not_followed_and_nothing_reaches_it() {
    let other = Server::start(|_| json(200, tags_page(["b"]))).await;
    let target = format!("{}/v2/team/app/tags/list?last=a", other.url);
    let shown = other.url.clone();
    let (tags, ..) = tags_of(move |_| linked(tags_page(["a"]), &target)).await;
    let error = tags.unwrap_err();
    assert_eq!(error.failure(), Failure::Malformed);
    assert!(error.to_string().contains(&shown), "{error}");
    assert!(other.whole_log().is_empty());
}

#[tokio::test]
async fn a_redirect_of_a_listing_is_followed_at_home_only() {
    let other = Server::start(|_| json(200, tags_page(["b"]))).await;
    let target = format!("{}/v2/team/app/tags/list", other.url);
    let (tags, ..) = tags_of(move |_| respond(307, &[("location", &target)], "")).await;
    let error = tags.unwrap_err();
    assert_eq!(error.failure(), Failure::Malformed);
    assert!(error.hint().is_some());
    assert!(other.whole_log().is_empty());

    let (tags, ..) = tags_of(|seen| match seen.query.contains_key("moved") {
        false => respond(308, &[("location", "?moved=1")], ""),
        true => json(200, tags_page(["a"])),
    })
    .await;
    assert_eq!(sorted(tags.unwrap()), ["a"]);
    let (tags, ..) = tags_of(|_| respond(302, &[("location", "/v2/team/app/tags/list")], "")).await;
    assert!(
        tags.unwrap_err()
            .to_string()
            .contains("redirected more than 3 times")
    );
}

#[tokio::test]
async fn truncated_and_nonsensical_pages_are_errors() {
    for body in [
        r#"{"name":"team/app","tags":["a","b"#,
        r#"{"name":"team/app"}"#,
        r#"{"name":"team/app","tags":"a"}"#,
        r#"{"name":"team/app","tags":["a",1]}"#,
        r#"{"repositories":["a"]}"#,
        "[]",
        "null",
        "",
        "<html>",
    ] {
        let (tags, ..) = tags_of(move |_| json(200, body)).await;
        assert_eq!(tags.expect_err(body).failure(), Failure::Malformed, "{body}");
    }
    let deep = format!(r#"{{"tags":{}"#, "[".repeat(100_000));
    let (tags, ..) = tags_of(move |_| json(200, deep.clone())).await;
    assert_eq!(tags.unwrap_err().failure(), Failure::Malformed);
}

#[tokio::test]
async fn a_failure_on_a_later_page_fails_the_listing() {
    type Answer = fn() -> Response;
    let cases: [(Answer, Failure); 4] = [
        (|| refused(404, "NAME_UNKNOWN"), Failure::NotFound),
        (|| refused(400, "PAGINATION_NUMBER_INVALID"), Failure::Malformed),
        (|| html(200), Failure::Malformed),
        (|| broken_off(&[], r#"{"tags":["b""#, 100), Failure::Unreachable),
    ];
    for (second, expected) in cases {
        let (tags, ..) = tags_of(move |seen| match seen.query.get("last") {
            None => linked(tags_page(["a"]), "?last=a"),
            Some(_) => second(),
        })
        .await;
        assert_eq!(tags.unwrap_err().failure(), expected);
    }
}

#[tokio::test]
async fn a_name_outside_the_grammar_fails_the_listing_and_is_shown_escaped() {
    for (name, shown) in [
        (r"a\u001b[31m", r#""a\u{1b}[31m""#),
        ("a/b", r#""a/b""#),
        ("../../etc/passwd", r#""../../etc/passwd""#),
        ("", r#""""#),
    ] {
        let (tags, ..) = tags_of(move |_| json(200, tags_page([name]))).await;
        let error = tags.unwrap_err();
        assert_eq!(error.failure(), Failure::Malformed);
        assert!(error.to_string().contains(shown), "{error}");
    }
    let server = Server::registry(|_| json(200, r#"{"repositories":["team/app","Team/App"]}"#)).await;
    let error = server.connect().await.list_repositories().await.unwrap_err();
    assert!(
        error
            .to_string()
            .contains(r#""Team/App" is not a repository name"#),
        "{error}"
    );
    assert!(error.hint().unwrap().contains("name the repositories"));
}

#[tokio::test]
async fn a_page_of_more_than_8_mib_is_not_read_whether_it_says_so_or_not() {
    let (tags, ..) = tags_of(|_| json(200, " ".repeat(8 * 1024 * 1024 + 1))).await;
    assert_eq!(tags.unwrap_err().failure(), Failure::TooLarge);
    let (tags, ..) = tags_of(|_| {
        let chunk = axum::body::Bytes::from(vec![b' '; 64 * 1024]);
        let endless = futures_util::stream::repeat_with(move || Ok::<_, std::io::Error>(chunk.clone()));
        json(200, axum::body::Body::from_stream(endless))
    })
    .await;
    assert_eq!(tags.unwrap_err().failure(), Failure::TooLarge);
}

#[tokio::test]
async fn a_page_that_is_refused_is_asked_for_as_large_as_the_registry_says_and_so_is_every_later_one() {
    type Refusal = fn() -> Response;
    let cases: [(&str, Refusal, &str); 4] = [
        ("unsaid", || refused(400, "PAGINATION_NUMBER_INVALID"), "100"),
        (
            "in a detail",
            || {
                json(
                    400,
                    r#"{"errors":[{"code":"PAGINATION_NUMBER_INVALID","message":"m","detail":{"max":250}}]}"#,
                )
            },
            "250",
        ),
        (
            "in words",
            || {
                json(
                    405,
                    r#"{"errors":[{"code":"UNSUPPORTED","message":"must be less than or equal to 500"}]}"#,
                )
            },
            "500",
        ),
        (
            "as a range",
            || {
                json(
                    400,
                    r#"{"errors":[{"code":"INVALID_QUERY_PARAMETER_VALUE","message":"n is 1 to 300"}]}"#,
                )
            },
            "300",
        ),
    ];
    for (name, refusal, size) in cases {
        let server = Server::registry(move |seen| {
            let number = |n: &str| n.parse::<usize>().unwrap();
            match (number(&seen.query["n"]) > number(size), seen.query.get("last")) {
                (true, _) => refusal(),
                (false, None) => linked(
                    r#"{"repositories":["a"],"tags":["a"]}"#,
                    &format!("?last=a&n={size}"),
                ),
                (false, Some(_)) => json(200, r#"{"repositories":["b"],"tags":["b"]}"#),
            }
        })
        .await;
        let registry = server.connect().await;
        assert_eq!(registry.list_repositories().await.unwrap().len(), 2, "{name}");
        assert_eq!(registry.requests().of(RequestKind::Catalog), 3, "{name}");
        assert_eq!(server.log()[1].query["n"], size, "{name}");
        assert_eq!(registry.list_repositories().await.unwrap().len(), 2, "{name}");
        assert_eq!(registry.requests().of(RequestKind::Catalog), 5, "{name}");
        for expected in [3, 5] {
            assert_eq!(registry.list_tags(&app()).await.unwrap().len(), 2, "{name}");
            assert_eq!(registry.requests().of(RequestKind::Tags), expected, "{name}");
        }
    }
}

#[tokio::test]
async fn a_registry_that_refuses_every_number_is_asked_a_few_times_and_no_more() {
    let server = Server::registry(|seen| {
        let less: usize = seen.query["n"].parse::<usize>().unwrap() - 1;
        json(
            400,
            format!(r#"{{"errors":[{{"code":"PAGINATION_NUMBER_INVALID","message":"at most {less}"}}]}}"#),
        )
    })
    .await;
    let registry = server.connect().await;
    assert_eq!(
        registry.list_tags(&app()).await.unwrap_err().failure(),
        Failure::Malformed
    );
    assert_eq!(server.log().len(), 4);
}

#[tokio::test]
async fn a_page_smaller_than_asked_for_is_followed_by_its_link_whatever_is_in_it() {
    let (tags, registry, _) = tags_of(|seen| match seen.query.get("next_page").map(String::as_str) {
        None => linked(
            tags_page(["a", "b"]),
            "/v2/team/app/tags/list?n=2&next_page=gAAA%3D%3D",
        ),
        Some("gAAA==") => json(200, tags_page(["c"])),
        Some(other) => refused(400, other),
    })
    .await;
    assert_eq!(sorted(tags.unwrap()), ["a", "b", "c"]);
    assert_eq!(registry.requests().of(RequestKind::Tags), 2);
}

#[tokio::test]
async fn a_registry_without_a_catalog_says_to_name_the_repositories() {
    type Answer = fn() -> Response;
    let cases: [(Answer, Failure); 6] = [
        (|| html(404), Failure::Unsupported),
        (|| refused(404, "NOT_FOUND"), Failure::Unsupported),
        (|| refused(401, "UNSUPPORTED"), Failure::Unsupported),
        (|| refused(405, "UNSUPPORTED"), Failure::Unsupported),
        (|| refused(401, "UNAUTHORIZED"), Failure::Denied),
        (|| refused(403, "DENIED"), Failure::Denied),
    ];
    for (answer, expected) in cases {
        let server = Server::registry(move |_| answer()).await;
        let error = server.connect().await.list_repositories().await.unwrap_err();
        assert_eq!(error.failure(), expected, "{error}");
        let hint = error.hint().unwrap();
        assert!(
            hint.contains("name them") && hint.contains("--repositories-from"),
            "{hint}"
        );
    }
}

#[tokio::test]
async fn a_catalog_that_the_token_service_refuses_is_told_as_one_that_the_registry_refuses() {
    for credentials in [true, false] {
        let server = Server::start(|seen| match (seen.path.as_str(), seen.query.get("scope")) {
            ("/token", Some(_)) => refused(403, "DENIED"),
            ("/token", None) => json(200, r#"{"token":"t"}"#),
            ("/v2/", _) if seen.authorization().is_some() => json(200, "{}"),
            _ => {
                let realm = format!("Bearer realm=\"{}/token\"", seen.server);
                respond(401, &[("www-authenticate", &realm)], "")
            }
        })
        .await;
        let registry = match credentials {
            true => server.connect_as("ci", "s3cret").await,
            false => server.connect().await,
        };
        let error = registry.list_repositories().await.unwrap_err();
        assert_eq!(error.failure(), Failure::Denied, "{error}");
        assert!(
            error.hint().unwrap().contains("--repositories-from"),
            "{:?}",
            error.hint()
        );
    }
}

#[tokio::test]
async fn a_404_is_believed_only_from_the_registry_itself() {
    let (tags, _, server) = tags_of(|_| refused(404, "NAME_UNKNOWN")).await;
    let error = tags.unwrap_err();
    assert_eq!(error.failure(), Failure::NotFound);
    assert_eq!(
        error.to_string(),
        format!(
            "GET {}/v2/team/app/tags/list?n=1000: 404 NAME_UNKNOWN: as the test wants",
            server.url
        )
    );
    let (tags, ..) = tags_of(|_| html(404)).await;
    assert_eq!(tags.unwrap_err().failure(), Failure::Malformed);
}

#[tokio::test]
async fn the_tags_of_another_repository_are_never_taken_for_this_ones() {
    for target in [
        "/v2/other/tags/list?last=a",
        "../../../other/tags/list",
        "/v2/_catalog",
    ] {
        let (tags, _, server) = tags_of(move |seen| match seen.path.as_str() {
            "/v2/team/app/tags/list" => linked(tags_page(["a"]), target),
            _ => json(200, tags_page(["b"])),
        })
        .await;
        let error = tags.unwrap_err();
        assert!(error.to_string().contains("leads to another listing"), "{error}");
        assert_eq!(server.log().len(), 1, "{target}");
    }
}
