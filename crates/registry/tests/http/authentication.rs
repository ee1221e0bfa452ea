use std::num::{NonZeroU32, NonZeroUsize};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::response::Response;
use lagan_model::{Failure, RegistryError, RegistryRead as _, RequestKind};
use lagan_registry::{ConnectError, Credentials, OciRegistry};

use crate::support::{Seen, Server, app, html, json, refused, respond};

/// `ci:s3cret`, as basic authentication sends it.
const BASIC: &str = "Basic Y2k6czNjcmV0";
const TAGS: &str = r#"{"name":"team/app","tags":["a"]}"#;

fn challenge(scheme: &str) -> Response {
    respond(
        401,
        &[("www-authenticate", scheme), ("content-type", "application/json")],
        r#"{"errors":[{"code":"UNAUTHORIZED","message":"authentication required"}]}"#,
    )
}

fn bearer(realm: &str) -> Response {
    challenge(&format!(
        r#"Bearer realm="{realm}",service="registry of the test""#
    ))
}

/// A registry whose token service is its own; tokens are numbered, and `accepted` says which ones are good.
async fn with_tokens(
    token: impl Fn(&Seen, usize) -> Response + Send + Sync + 'static,
    accepted: impl Fn(&Seen, &str) -> bool + Send + Sync + 'static,
) -> Server {
    let issued = AtomicUsize::new(0);
    Server::start(move |seen| {
        if seen.path == "/token" {
            return token(seen, issued.fetch_add(1, Ordering::SeqCst));
        }
        match seen
            .authorization()
            .and_then(|header| header.strip_prefix("Bearer "))
        {
            Some(token) if accepted(seen, token) => json(200, if seen.path == "/v2/" { "{}" } else { TAGS }),
            _ => bearer(&format!("{}/token", seen.server)),
        }
    })
    .await
}

fn numbered(_: &Seen, number: usize) -> Response {
    json(200, format!(r#"{{"token":"t{number}","expires_in":300}}"#))
}

fn tokens_asked(server: &Server) -> Vec<Seen> {
    server
        .log()
        .into_iter()
        .filter(|seen| seen.path == "/token")
        .collect()
}

async fn refusal(server: &Server, credentials: Option<(&str, &str)>) -> RegistryError {
    let mut settings = server.settings();
    settings.credentials =
        credentials.map(|(name, password)| Credentials::new(name, password.into()).unwrap().into());
    match OciRegistry::connect(settings).await {
        Err(ConnectError::Registry(error)) => error,
        other => panic!("{other:?}"),
    }
}

fn basic_registry(seen: &Seen) -> Response {
    match (seen.authorization(), seen.path.as_str()) {
        (Some(BASIC), "/v2/") => json(200, "{}"),
        (Some(BASIC), "/v2/team/app/tags/list") => json(200, TAGS),
        _ => challenge(r#"Basic realm="Registry""#),
    }
}

#[tokio::test]
async fn basic_credentials_are_sent_when_asked_for_and_verified_when_connecting() {
    let server = Server::start(basic_registry).await;
    let registry = server.connect_as("ci", "s3cret").await;
    assert!(server.whole_log()[0].authorization().is_none());
    assert_eq!(registry.list_tags(&app()).await.unwrap().len(), 1);
    assert_eq!(registry.requests().total, 3);

    let wrong = refusal(&server, Some(("ci", "guess"))).await;
    assert_eq!(wrong.failure(), Failure::Unauthorized);
    assert!(wrong.hint().unwrap().contains("password"));
    let nobody = refusal(&server, None).await;
    assert_eq!(nobody.failure(), Failure::Unauthorized);
    assert!(nobody.hint().unwrap().contains("give credentials"));
}

#[tokio::test]
async fn credentials_that_suffice_elsewhere_are_denied_here_and_the_run_goes_on() {
    let server = Server::start(basic_registry).await;
    let registry = server.connect_as("ci", "s3cret").await;
    let error = registry
        .list_tags(&"team/private".parse().unwrap())
        .await
        .unwrap_err();
    assert_eq!(error.failure(), Failure::Denied);
    assert!(!error.failure().concerns_the_whole_registry());
}

#[tokio::test]
async fn a_registry_that_shows_more_to_those_it_knows_is_told_who_asks() {
    let server = Server::start(|seen| match (seen.authorization(), seen.path.as_str()) {
        (Some(BASIC) | None, "/v2/") => json(200, "{}"),
        (Some(BASIC), _) => json(200, r#"{"repositories":["a","b"]}"#),
        (None, _) => json(200, r#"{"repositories":["a"]}"#),
        _ => challenge("Basic realm=x"),
    })
    .await;
    let registry = server.connect_as("ci", "s3cret").await;
    assert_eq!(registry.list_repositories().await.unwrap().len(), 2);
    assert_eq!(
        refusal(&server, Some(("ci", "guess"))).await.failure(),
        Failure::Unauthorized
    );
}

#[tokio::test]
async fn a_registry_that_asks_only_later_gets_what_it_asks_for() {
    let server = Server::start(|seen| match seen.path.as_str() {
        "/v2/" => json(200, "{}"),
        "/token" => json(200, r#"{"token":"t"}"#),
        _ if seen.authorization() == Some("Bearer t") => json(200, TAGS),
        _ => bearer(&format!("{}/token", seen.server)),
    })
    .await;
    assert_eq!(server.connect().await.list_tags(&app()).await.unwrap().len(), 1);
    let registry = server.connect_as("ci", "s3cret").await;
    assert_eq!(registry.list_tags(&app()).await.unwrap().len(), 1);
}

#[tokio::test]
async fn tokens_are_fetched_for_each_scope_once_and_kept() {
    let server = with_tokens(numbered, |_, _| true).await;
    let registry = server.connect().await;
    let other = "team/other".parse().unwrap();
    for _ in 0..3 {
        registry.list_tags(&app()).await.unwrap();
        registry.list_tags(&other).await.unwrap();
    }
    let _ = registry.list_repositories().await;
    let asked = tokens_asked(&server);
    let scopes: Vec<_> = asked.iter().map(|seen| seen.query["scope"].as_str()).collect();
    assert_eq!(
        scopes,
        [
            "repository:team/app:pull",
            "repository:team/other:pull",
            "registry:catalog:*"
        ]
    );
    assert!(
        asked
            .iter()
            .all(|seen| seen.query["service"] == "registry of the test")
    );
    assert!(asked.iter().all(|seen| seen.authorization().is_none()));
    assert_eq!(registry.requests().of(RequestKind::Token), 3);
}

#[tokio::test]
async fn many_that_need_the_same_token_fetch_it_once() {
    let server = with_tokens(numbered, |_, _| true).await;
    let registry = server.connect().await;
    let repository = app();
    let asked = (0..40).map(|_| registry.list_tags(&repository));
    for tags in futures_util::future::join_all(asked).await {
        tags.unwrap();
    }
    assert_eq!(tokens_asked(&server).len(), 1);
}

#[tokio::test]
async fn credentials_go_to_the_token_service_and_are_verified_when_connecting() {
    let token = |seen: &Seen, number| match seen.authorization() {
        Some(BASIC) => numbered(seen, number),
        _ => refused(401, "UNAUTHORIZED"),
    };
    let server = with_tokens(token, |_, _| true).await;
    let registry = server.connect_as("ci", "s3cret").await;
    registry.list_tags(&app()).await.unwrap();
    let to_registry = server
        .whole_log()
        .into_iter()
        .filter(|seen| seen.path != "/token");
    for seen in to_registry {
        assert_ne!(seen.authorization(), Some(BASIC), "{}", seen.path);
    }
    let wrong = refusal(&server, Some(("ci", "guess"))).await;
    assert_eq!(wrong.failure(), Failure::Unauthorized);
    assert!(wrong.hint().unwrap().contains("password"));
}

#[tokio::test]
async fn a_token_that_is_refused_mid_run_is_renewed_once_for_everybody() {
    let revoked = Arc::new(AtomicUsize::new(0));
    let below = Arc::clone(&revoked);
    let server = with_tokens(numbered, move |_, token| {
        token[1..].parse::<usize>().unwrap() >= below.load(Ordering::SeqCst)
    })
    .await;
    let registry = server.connect().await;
    registry.list_tags(&app()).await.unwrap();
    revoked.store(1, Ordering::SeqCst);
    let repository = app();
    let asked = (0..10).map(|_| registry.list_tags(&repository));
    for tags in futures_util::future::join_all(asked).await {
        assert_eq!(tags.unwrap().len(), 1);
    }
    assert_eq!(tokens_asked(&server).len(), 2);
}

#[tokio::test]
async fn a_fresh_token_that_is_refused_means_denied_and_asks_for_no_further_one() {
    let server = with_tokens(numbered, |seen, _| seen.path == "/v2/").await;
    let registry = server.connect().await;
    let error = registry.list_tags(&app()).await.unwrap_err();
    assert_eq!(error.failure(), Failure::Denied);
    assert!(
        error.to_string().contains("(asked for repository:team/app:pull)"),
        "{error}"
    );
    assert!(error.hint().unwrap().contains("give credentials"));
    assert_eq!(tokens_asked(&server).len(), 1);
    // By now the token is an old one, which may have been revoked: one renewal, and no more.
    assert_eq!(
        registry.list_tags(&app()).await.unwrap_err().failure(),
        Failure::Denied
    );
    assert_eq!(tokens_asked(&server).len(), 2);
}

/// A busy registry makes a request wait, at its gate or between attempts, and the token may end meanwhile. Here it has
/// ended when it is handed out, so that no time need pass.
#[tokio::test]
async fn a_token_that_ends_while_its_request_waits_is_renewed_when_it_is_refused() {
    let issued = AtomicUsize::new(0);
    let server = Server::start(move |seen| match (seen.path.as_str(), seen.authorization()) {
        ("/token", _) => {
            let number = issued.fetch_add(1, Ordering::SeqCst);
            json(200, format!(r#"{{"token":"t{number}","expires_in":0}}"#))
        }
        ("/v2/", Some(_)) => json(200, "{}"),
        (_, Some(_)) if seen.before == 0 => respond(429, &[("retry-after", "0")], ""),
        (_, Some("Bearer t2")) => json(200, TAGS),
        _ => bearer(&format!("{}/token", seen.server)),
    })
    .await;
    let registry = server.connect_as("ci", "s3cret").await;
    assert_eq!(registry.list_tags(&app()).await.unwrap().len(), 1);
    // One to see who asks, one that came too late, one more.
    assert_eq!(tokens_asked(&server).len(), 3);
}

/// On the virtual clock: the server answers without waiting for anything, so no time passes by itself.
#[tokio::test]
async fn a_token_is_renewed_before_it_expires() {
    let server = with_tokens(numbered, |_, _| true).await;
    let registry = server.connect().await;
    registry.list_tags(&app()).await.unwrap();
    for (seconds, expected) in [(200, 1), (95, 2)] {
        tokio::time::pause();
        tokio::time::advance(std::time::Duration::from_secs(seconds)).await;
        tokio::time::resume();
        registry.list_tags(&app()).await.unwrap();
        assert_eq!(tokens_asked(&server).len(), expected, "after {seconds} s more");
    }
}

#[tokio::test]
async fn a_token_that_expires_at_once_still_serves_its_own_request() {
    for expires in ["0", "-5"] {
        let server = with_tokens(
            move |_, number| {
                json(
                    200,
                    format!(r#"{{"access_token":"t{number}","expires_in":{expires}}}"#),
                )
            },
            |_, _| true,
        )
        .await;
        let registry = server.connect().await;
        for _ in 0..2 {
            registry.list_tags(&app()).await.unwrap();
        }
        assert_eq!(tokens_asked(&server).len(), 2);
    }
}

#[tokio::test]
async fn a_token_service_that_fails_is_an_error_and_nobody_goes_on_without_a_token() {
    type Answer = fn() -> Response;
    let cases: [(Answer, Failure); 11] = [
        (|| refused(401, "UNAUTHORIZED"), Failure::Denied),
        (|| refused(403, "DENIED"), Failure::Denied),
        (|| refused(404, "NOT_FOUND"), Failure::Denied),
        (|| refused(429, "TOOMANYREQUESTS"), Failure::Overloaded),
        (|| refused(500, "UNKNOWN"), Failure::Server),
        (|| html(200), Failure::Malformed),
        (|| json(200, "{}"), Failure::Malformed),
        (|| json(200, r#"{"token":""}"#), Failure::Malformed),
        (|| json(200, r#"{"token":"a\nb"}"#), Failure::Malformed),
        (
            || json(200, r#"{"token":"hunter2","expires_in":"hunter2"}"#),
            Failure::Malformed,
        ),
        (
            || json(200, format!(r#"{{"token":"{}"}}"#, "x".repeat(100_000))),
            Failure::TooLarge,
        ),
    ];
    for (answer, expected) in cases {
        let server = with_tokens(move |_, _| answer(), |_, _| true).await;
        let registry = server.connect().await;
        let error = registry.list_tags(&app()).await.unwrap_err();
        assert_eq!(error.failure(), expected, "{error}");
        assert!(!format!("{error} {error:?}").contains("hunter2"));
        let unauthorised = server
            .log()
            .into_iter()
            .filter(|seen| seen.path != "/token")
            .count();
        assert_eq!(unauthorised, 0);
    }
}

#[tokio::test]
async fn a_token_service_on_this_machine_serves_a_registry_on_this_machine() {
    let service = Server::start(|_| json(200, r#"{"token":"t"}"#)).await;
    let realm = format!("{}/auth", service.url);
    let server = Server::start(move |seen| match seen.authorization() {
        Some("Bearer t") => json(200, TAGS),
        _ => bearer(&realm),
    })
    .await;
    let registry = server.connect_as("ci", "s3cret").await;
    registry.list_tags(&app()).await.unwrap();
    assert!(
        service
            .log()
            .iter()
            .all(|seen| seen.authorization() == Some(BASIC))
    );
}

/// Three answers are waited for, or the pause of an hour that the token service asked for.
#[tokio::test]
async fn a_token_service_elsewhere_that_has_too_much_to_do_does_not_hold_up_the_registry() {
    let service = Server::start(|seen| match seen.query.get("scope") {
        Some(scope) if scope.contains("team/busy") => respond(429, &[("retry-after", "3600")], ""),
        _ => json(200, r#"{"token":"t"}"#),
    })
    .await;
    let realm = format!("{}/auth", service.url);
    let server = Server::start(move |seen| match seen.authorization() {
        Some("Bearer t") => json(200, TAGS),
        _ => bearer(&realm),
    })
    .await;
    let mut settings = server.settings();
    settings.retry.attempts = NonZeroU32::MIN;
    settings.retry.longest_asked = Duration::from_secs(3600);
    let registry = OciRegistry::connect(settings).await.unwrap();
    let busy = "team/busy".parse().unwrap();
    assert_eq!(
        registry.list_tags(&busy).await.unwrap_err().failure(),
        Failure::Overloaded
    );
    let repository = app();
    let others = (0..3).map(|_| registry.list_tags(&repository));
    let others = tokio::time::timeout(Duration::from_secs(20), futures_util::future::join_all(others));
    assert!(others.await.expect("nobody is held up").iter().all(Result::is_ok));
}

/// Each host has its own: the registry's is not spent by a token service that only fails.
#[tokio::test]
async fn further_attempts_at_a_token_service_elsewhere_are_not_paid_for_by_the_registry() {
    let service = Server::start(|seen| match seen.query.get("scope") {
        Some(scope) if scope.contains("team/app") => json(200, r#"{"token":"t"}"#),
        Some(_) => refused(503, "UNAVAILABLE"),
        None => json(200, r#"{"token":"t"}"#),
    })
    .await;
    let realm = format!("{}/auth", service.url);
    let server = Server::start(move |seen| match seen.authorization() {
        Some("Bearer t") if seen.path == "/v2/" => json(200, "{}"),
        Some("Bearer t") if seen.before < 2 => refused(503, "UNAVAILABLE"),
        Some("Bearer t") => json(200, TAGS),
        _ => bearer(&realm),
    })
    .await;
    let mut settings = server.settings();
    settings.max_concurrency = NonZeroUsize::MIN;
    let registry = OciRegistry::connect(settings).await.unwrap();
    for _ in 0..3 {
        let other = "team/other".parse().unwrap();
        assert!(registry.list_tags(&other).await.is_err());
    }
    // Three attempts of the first, and one each of the others: its budget is used up.
    let failed = service.log().into_iter().filter(|seen| {
        let scope = seen.query.get("scope");
        scope.is_some_and(|scope| scope.contains("team/other"))
    });
    assert_eq!(failed.count(), 3 + 1 + 1);
    assert_eq!(registry.list_tags(&app()).await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_realm_that_may_not_have_credentials_gets_no_request_at_all() {
    for realm in [
        "http://auth.example.com/token",
        "file:///token",
        "http://a:b@127.0.0.1/token",
        "http://[",
    ] {
        let server = Server::start(move |_| bearer(realm)).await;
        let error = refusal(&server, Some(("ci", "s3cret"))).await;
        let expected = if realm == "http://[" {
            Failure::Malformed
        } else {
            Failure::Unauthorized
        };
        assert_eq!(error.failure(), expected, "{error}");
        assert!(error.hint().is_some());
        assert_eq!(server.whole_log().len(), 1);
    }
    // Without credentials as well, whether somebody allowed the place or not: what is there answers those on this
    // machine only, and not us.
    for realm in ["https://169.254.169.254", "https://[fe80::1]"] {
        for allowed in [false, true] {
            let server = Server::start(move |_| bearer(&format!("{realm}/token"))).await;
            let mut settings = server.settings();
            settings.timeouts.connect = Duration::from_millis(50);
            settings.token_realms = allowed.then(|| realm.parse().unwrap()).into_iter().collect();
            let Err(ConnectError::Registry(error)) = OciRegistry::connect(settings).await else {
                panic!("{realm}");
            };
            assert_eq!(error.failure(), Failure::Unauthorized, "{error}");
            assert!(error.to_string().contains("a link-local address"), "{error}");
            assert_eq!(server.whole_log().len(), 1);
        }
    }
    let server = Server::start(|_| bearer("http://auth.example.com/token?x=hunter2")).await;
    let text = refusal(&server, None).await.to_string();
    assert!(
        text.contains("sends for a token to http://auth.example.com:"),
        "{text}"
    );
    assert!(
        text.contains("has the registry's own origin, or is reached by https"),
        "{text}"
    );
}

#[tokio::test]
async fn a_token_call_follows_no_redirect() {
    let other = Server::start(|_| json(200, r#"{"token":"t"}"#)).await;
    let target = format!("{}/token", other.url);
    let server = with_tokens(
        move |_, _| respond(307, &[("location", &target)], ""),
        |_, _| true,
    )
    .await;
    let error = server.connect().await.list_tags(&app()).await.unwrap_err();
    assert_eq!(error.failure(), Failure::Malformed);
    assert!(other.whole_log().is_empty());
    assert_eq!(tokens_asked(&server).len(), 1);
}

#[tokio::test]
async fn a_401_that_does_not_say_how_is_told_as_such() {
    let server = Server::start(|_| refused(401, "UNAUTHORIZED")).await;
    let error = refusal(&server, Some(("ci", "s3cret"))).await;
    assert_eq!(error.failure(), Failure::Unauthorized);
    assert!(error.hint().unwrap().contains("does not say how"));
    assert!(
        server
            .whole_log()
            .iter()
            .all(|seen| seen.authorization().is_none())
    );
}

/// A JSON web token with these claims, as far as anybody looks at it.
fn with_claims(access: &str) -> String {
    use base64::Engine as _;
    let claims =
        base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(format!(r#"{{"access":[{access}]}}"#));
    format!("e30.{claims}.c2lnbmF0dXJl")
}

#[tokio::test]
async fn a_token_service_that_grants_less_than_was_asked_for_is_told_as_such_and_not_asked_in_a_loop() {
    for (access, status, said) in [
        ("", 401, "the token grants nothing of it"),
        ("", 403, "the token grants nothing of it"),
        (
            r#"{"type":"repository","name":"team/app","actions":["push"]}"#,
            403,
            "the token grants push of it",
        ),
        (
            r#"{"type":"repository","name":"team/other","actions":["pull"]}"#,
            401,
            "the token grants nothing of it",
        ),
    ] {
        let token = with_claims(access);
        let server = Server::start(move |seen| match (seen.path.as_str(), seen.authorization()) {
            ("/token", _) => json(200, format!(r#"{{"token":"{token}"}}"#)),
            ("/v2/", Some(_)) => json(200, "{}"),
            (_, Some(_)) => refused(status, "DENIED"),
            _ => bearer(&format!("{}/token", seen.server)),
        })
        .await;
        let registry = server.connect_as("ci", "s3cret").await;
        let error = registry.list_tags(&app()).await.unwrap_err();
        assert_eq!(error.failure(), Failure::Denied);
        let expected = format!("(asked for repository:team/app:pull; {said})");
        assert!(error.to_string().contains(&expected), "{error}");
        // One to verify who asks, one for the repository; a request each without and with it.
        assert_eq!(tokens_asked(&server).len(), 2, "{status} {access}");
    }
}

#[tokio::test]
async fn an_opaque_token_that_was_granted_for_less_is_told_as_such() {
    for (scope, said) in [
        (r#""repository:team/app:push""#, "; the token grants push of it)"),
        ("[1]", "(asked for repository:team/app:pull)"),
    ] {
        let server = Server::start(move |seen| match (seen.path.as_str(), seen.authorization()) {
            ("/token", _) => json(200, format!(r#"{{"access_token":"opaque","scope":{scope}}}"#)),
            ("/v2/", Some(_)) => json(200, "{}"),
            (_, Some(_)) => refused(403, "DENIED"),
            _ => bearer(&format!("{}/token", seen.server)),
        })
        .await;
        let registry = server.connect_as("ci", "s3cret").await;
        let error = registry.list_tags(&app()).await.unwrap_err();
        assert!(error.to_string().ends_with(said), "{error}");
    }
}

#[tokio::test]
async fn a_token_that_suffices_is_used_whatever_it_says_of_itself() {
    let server = with_tokens(
        |_, _| json(200, format!(r#"{{"token":"{}"}}"#, with_claims(""))),
        |_, _| true,
    )
    .await;
    assert_eq!(server.connect().await.list_tags(&app()).await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_token_service_that_refuses_a_repository_names_what_was_asked_for() {
    let token = |seen: &Seen, number| match seen.query.get("scope") {
        None => numbered(seen, number),
        Some(_) => refused(403, "DENIED"),
    };
    let server = with_tokens(token, |_, _| true).await;
    let registry = server.connect_as("ci", "s3cret").await;
    let error = registry.list_tags(&app()).await.unwrap_err();
    assert_eq!(error.failure(), Failure::Denied);
    assert!(
        error.to_string().contains("(asked for repository:team/app:pull)"),
        "{error}"
    );
}

/// As Harbor does: no token is good for its catalog.
#[tokio::test]
async fn a_catalog_that_takes_the_password_and_no_token_gets_it_and_nothing_else_does() {
    let catalog = |seen: &Seen| match (seen.authorization(), seen.query.get("last")) {
        (Some(BASIC), None) => {
            crate::support::linked(r#"{"repositories":["a"]}"#, "/v2/_catalog?n=1000&last=a")
        }
        (Some(BASIC), Some(_)) => json(200, r#"{"repositories":["b"]}"#),
        _ => challenge(r#"Basic realm="harbor""#),
    };
    let server = Server::start(move |seen| match (seen.path.as_str(), seen.authorization()) {
        ("/token", _) => json(200, r#"{"token":"t"}"#),
        ("/v2/_catalog", _) => catalog(seen),
        (_, Some("Bearer t")) => json(200, TAGS),
        _ => bearer(&format!("{}/token", seen.server)),
    })
    .await;
    let registry = server.connect_as("ci", "s3cret").await;
    assert_eq!(registry.list_repositories().await.unwrap().len(), 2);
    registry.list_tags(&app()).await.unwrap();
    for seen in server.whole_log() {
        let password = seen.authorization() == Some(BASIC);
        assert!(
            !password || ["/token", "/v2/_catalog"].contains(&seen.path.as_str()),
            "{}",
            seen.path
        );
    }
    // Nobody has nothing to give.
    let error = server.connect().await.list_repositories().await.unwrap_err();
    assert_eq!(error.failure(), Failure::Denied);
}

/// The clocks of token services are wrong by hours; how long a token is good for is counted here.
#[tokio::test]
async fn what_time_the_token_service_thinks_it_is_does_not_matter() {
    for issued_at in ["1970-01-01T00:00:00Z", "9999-12-31T23:59:59Z", "yesterday"] {
        let token = move |_: &Seen, number| {
            let body = format!(r#"{{"token":"t{number}","expires_in":300,"issued_at":"{issued_at}"}}"#);
            respond(200, &[("date", "Thu, 01 Jan 1970 00:00:00 GMT")], body)
        };
        let server = with_tokens(token, |_, _| true).await;
        let registry = server.connect().await;
        for _ in 0..3 {
            registry.list_tags(&app()).await.unwrap();
        }
        assert_eq!(tokens_asked(&server).len(), 1, "{issued_at}");
    }
}
