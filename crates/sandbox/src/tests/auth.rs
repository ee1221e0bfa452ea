//! Who is let in.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::header::AUTHORIZATION;
use http::{HeaderValue, Method};

use super::{DAY, Http, code, header, json, start};
use crate::{Auth, Bearer, Clock, Effect, Fault, Grant, SandboxOptions, User};

fn basic(name: &str, password: &str) -> String {
    format!("Basic {}", STANDARD.encode(format!("{name}:{password}")))
}

async fn with(
    http: &mut Http,
    authorization: &str,
    method: Method,
    path: &str,
) -> http::Response<bytes::Bytes> {
    http.send(method, path, &[(AUTHORIZATION, authorization)], "")
        .await
}

async fn token(http: &mut Http, user: Option<(&str, &str)>, scope: &str) -> String {
    let path = format!("/token?service=sandbox&scope={scope}");
    let answer = match user {
        Some((name, password)) => with(http, &basic(name, password), Method::GET, &path).await,
        None => http.get(&path).await,
    };
    assert_eq!(answer.status(), 200);
    format!("Bearer {}", json(&answer)["token"].as_str().expect("a token"))
}

#[tokio::test]
async fn basic_credentials_are_asked_for_and_checked() {
    let reader = User::new("reader", "r").grant(Grant::repository("team/*", &["pull"]));
    let auth = Auth::Basic(vec![User::new("admin", "a:b"), reader]);
    let (sandbox, mut http) = start(SandboxOptions::default().auth(auth)).await;
    sandbox.put_image("team/app", &["1"], DAY);
    let refused = http.get("/v2/").await;
    assert_eq!(code(&refused), (401, "UNAUTHORIZED".to_owned()));
    assert_eq!(
        header(&refused, "www-authenticate"),
        Some("Basic realm=\"sandbox\"")
    );
    for (user, method, path, status) in [
        (("admin", "a:b"), Method::GET, "/v2/", 200),
        (("admin", "wrong"), Method::GET, "/v2/", 401),
        (("reader", "r"), Method::GET, "/v2/team/app/manifests/1", 200),
        (("reader", "r"), Method::DELETE, "/v2/team/app/manifests/1", 403),
        (("reader", "r"), Method::GET, "/v2/other/tags/list", 403),
        (("reader", "r"), Method::GET, "/v2/_catalog", 403),
        (("admin", "a:b"), Method::GET, "/v2/_catalog", 200),
    ] {
        let answer = with(&mut http, &basic(user.0, user.1), method, path).await;
        assert_eq!(answer.status(), status, "{user:?} {path}");
    }
    let entries = sandbox.log().entries();
    assert!(!entries[0].authorized && entries[1].authorized);
    assert!(!format!("{entries:?}").contains(&STANDARD.encode("admin:a:b")));
}

#[tokio::test]
async fn a_challenge_says_which_token_to_get() {
    let auth = Auth::Bearer(Bearer::new(vec![User::new("admin", "a")]));
    let (sandbox, mut http) = start(SandboxOptions::default().auth(auth)).await;
    let realm = format!("Bearer realm=\"{}/token\",service=\"sandbox\"", sandbox.url());
    for (method, path, scope) in [
        (Method::GET, "/v2/", ""),
        (Method::GET, "/v2/_catalog", ",scope=\"registry:catalog:*\""),
        (Method::GET, "/v2/a/b/tags/list", ",scope=\"repository:a/b:pull\""),
        (
            Method::HEAD,
            "/v2/a/b/manifests/1",
            ",scope=\"repository:a/b:pull\"",
        ),
        (
            Method::PUT,
            "/v2/a/b/manifests/1",
            ",scope=\"repository:a/b:pull,push\"",
        ),
        (
            Method::DELETE,
            "/v2/a/b/manifests/1",
            ",scope=\"repository:a/b:delete\"",
        ),
    ] {
        let refused = http.send(method, path, &[], "").await;
        assert_eq!(refused.status(), 401);
        assert_eq!(
            header(&refused, "www-authenticate"),
            Some(format!("{realm}{scope}").as_str()),
            "{path}"
        );
    }
}

#[tokio::test]
async fn a_token_is_good_for_its_scopes_alone() {
    let robot = User::new("robot", "r").grant(Grant::repository("team/*", &["pull", "delete"]));
    let auth = Auth::Bearer(Bearer::new(vec![User::new("admin", "a"), robot]));
    let (sandbox, mut http) = start(SandboxOptions::default().auth(auth)).await;
    sandbox.put_image("team/app", &["1"], DAY);
    sandbox.put_image("team/other", &["1"], DAY);
    let mine = token(&mut http, Some(("robot", "r")), "repository:team/app:pull,push").await;
    let both = token(
        &mut http,
        Some(("robot", "r")),
        "repository:team/app:pull&scope=repository:team/other:pull,delete",
    )
    .await;
    let all = token(&mut http, Some(("robot", "r")), "registry:catalog:*").await;
    let admin = token(&mut http, Some(("admin", "a")), "registry:catalog:*").await;
    for (token, method, path, status) in [
        (&mine, Method::GET, "/v2/team/app/manifests/1", 200),
        (&mine, Method::GET, "/v2/team/other/manifests/1", 401),
        (&mine, Method::DELETE, "/v2/team/app/manifests/1", 401),
        (&mine, Method::PUT, "/v2/team/app/manifests/2", 401),
        (&both, Method::GET, "/v2/team/other/manifests/1", 200),
        (&both, Method::DELETE, "/v2/team/other/manifests/1", 202),
        (&all, Method::GET, "/v2/_catalog", 401),
        (&all, Method::GET, "/v2/", 200),
        (&admin, Method::GET, "/v2/_catalog", 200),
    ] {
        let answer = with(&mut http, token, method.clone(), path).await;
        assert_eq!(answer.status(), status, "{method} {path}");
        if status == 401 {
            let challenge = header(&answer, "www-authenticate").expect("a challenge");
            assert!(
                challenge.ends_with(",error=\"insufficient_scope\""),
                "{challenge}"
            );
        }
    }
    let wrong = with(
        &mut http,
        &basic("robot", "x"),
        Method::GET,
        "/token?service=sandbox",
    )
    .await;
    assert_eq!(wrong.status(), 401);
    let foreign = with(
        &mut http,
        &basic("robot", "r"),
        Method::GET,
        "/token?service=elsewhere",
    )
    .await;
    assert_eq!(foreign.status(), 401);
}

#[tokio::test]
async fn a_token_expires_by_the_clock_it_was_given() {
    let time = Arc::new(AtomicU64::new(1_000));
    let clock = Arc::clone(&time);
    let mut bearer = Bearer::new(vec![User::new("admin", "a")]);
    bearer.lifetime = 60;
    bearer.clock = Clock::Function(Arc::new(move || clock.load(Ordering::Relaxed)));
    let (sandbox, mut http) = start(SandboxOptions::default().auth(Auth::Bearer(bearer))).await;
    let given = token(&mut http, Some(("admin", "a")), "").await;
    assert_eq!(with(&mut http, &given, Method::GET, "/v2/").await.status(), 200);
    time.store(1_060, Ordering::Relaxed);
    let expired = with(&mut http, &given, Method::GET, "/v2/").await;
    assert!(
        header(&expired, "www-authenticate")
            .expect("a challenge")
            .contains("invalid_token")
    );
    let next = token(&mut http, Some(("admin", "a")), "").await;
    assert_eq!(with(&mut http, &next, Method::GET, "/v2/").await.status(), 200);
    sandbox.revoke_tokens();
    assert_eq!(with(&mut http, &next, Method::GET, "/v2/").await.status(), 401);
}

#[tokio::test]
async fn a_lifetime_in_requests_ends_after_so_many() {
    let mut bearer = Bearer::new(vec![User::new("admin", "a")]);
    bearer.lifetime = 3;
    let (_sandbox, mut http) = start(SandboxOptions::default().auth(Auth::Bearer(bearer))).await;
    let given = token(&mut http, Some(("admin", "a")), "").await;
    let mut answers = Vec::new();
    for _ in 0..4 {
        answers.push(
            with(&mut http, &given, Method::GET, "/v2/")
                .await
                .status()
                .as_u16(),
        );
    }
    assert_eq!(answers, [200, 200, 401, 401]);
}

#[tokio::test]
async fn anonymous_tokens_pull_what_is_public() {
    let mut bearer = Bearer::new(Vec::new());
    bearer.anonymous = vec![Grant::repository("public/*", &["pull"])];
    bearer.realm = Some("https://tokens.example/auth".to_owned());
    let (sandbox, mut http) = start(SandboxOptions::default().auth(Auth::Bearer(bearer))).await;
    sandbox.put_image("public/app", &["1"], DAY);
    let given = token(
        &mut http,
        None,
        "repository:public/app:pull%20repository:private/app:pull",
    )
    .await;
    http.0.authorize(HeaderValue::from_str(&given).ok());
    assert_eq!(http.status(Method::GET, "/v2/public/app/manifests/1").await, 200);
    let refused = http.get("/v2/private/app/tags/list").await;
    let challenge = header(&refused, "www-authenticate").expect("a challenge");
    assert!(challenge.starts_with("Bearer realm=\"https://tokens.example/auth\""));
}

#[tokio::test]
async fn a_refused_request_reaches_no_fault() {
    let options = SandboxOptions::default().auth(Auth::Basic(vec![User::new("admin", "a")]));
    let (sandbox, mut http) = start(options).await;
    let fault = sandbox.faults().push(Fault::new(Effect::Cut).first(1));
    assert_eq!(http.status(Method::GET, "/v2/").await, 401);
    assert_eq!(sandbox.faults().fired(fault), 0);
    http.0.authorize(HeaderValue::from_str(&basic("admin", "a")).ok());
    assert!(http.breaks(Method::GET, "/v2/").await);
}
