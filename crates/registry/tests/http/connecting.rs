use std::process::Command;
use std::time::Duration;

use lagan_model::{Failure, RegistryRead as _, RequestKind};
use lagan_registry::{ConnectError, CredentialSource, Credentials, DockerConfig, OciRegistry, Settings};
use tokio::net::TcpListener;

use crate::support::{Server, app, html, json, linked, refused, respond, settings};

async fn failure(settings: Settings) -> lagan_model::RegistryError {
    match OciRegistry::connect(settings).await {
        Err(ConnectError::Registry(error)) => error,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_registry_is_connected_to_with_one_request_where_nobody_has_to_say_who_asks() {
    let server = Server::start(|_| json(200, "{}")).await;
    let registry = server.connect().await;
    assert_eq!(registry.requests().of(RequestKind::Ping), 1);
    assert_eq!(registry.requests().total, 1);
    assert_eq!(registry.identity().url, server.url);
    assert_eq!(
        registry.identity().name.as_str(),
        server.url.trim_start_matches("http://")
    );
    let log = server.whole_log();
    assert_eq!(log[0].header("user-agent"), Some("lagan/0.1.0"));
}

#[tokio::test]
async fn a_path_prefix_stays_in_front_of_the_protocol() {
    let server = Server::start(|seen| match seen.path.as_str() {
        "/oci/local/v2/" => json(200, "{}"),
        "/oci/local/v2/_catalog" => json(200, r#"{"repositories":["a"]}"#),
        _ => html(404),
    })
    .await;
    let registry = OciRegistry::connect(settings(&format!("{}/oci/local/", server.url))).await;
    assert_eq!(registry.unwrap().list_repositories().await.unwrap().len(), 1);
}

/// Brackets belong to the host: of an origin, a Link, a realm, and a key of a docker configuration.
#[tokio::test]
async fn a_registry_at_an_ipv6_address_is_one_like_any_other() {
    // A machine without IPv6 has no such registry either.
    let Ok(listener) = TcpListener::bind("[::1]:0").await else {
        return;
    };
    let server = Server::start_on(listener, |seen| {
        let bearer = format!("Bearer realm=\"{}/token\",service=\"s\"", seen.server);
        match (seen.path.as_str(), seen.authorization()) {
            ("/token", Some("Basic Y2k6czNjcmV0")) => json(200, r#"{"token":"t"}"#),
            ("/v2/", Some("Bearer t")) => json(200, "{}"),
            (_, Some("Bearer t")) if seen.query.contains_key("last") => json(200, r#"{"tags":["b"]}"#),
            (path, Some("Bearer t")) => linked(r#"{"tags":["a"]}"#, &format!("{}{path}?last=a", seen.server)),
            _ => respond(401, &[("www-authenticate", &bearer)], ""),
        }
    });
    assert!(server.url.starts_with("http://[::1]:"), "{}", server.url);
    let folder = tempfile::TempDir::new().unwrap();
    let path = folder.path().join("config.json");
    let host = server.url.trim_start_matches("http://");
    std::fs::write(
        &path,
        format!(r#"{{"auths":{{"{host}":{{"auth":"Y2k6czNjcmV0"}}}}}}"#),
    )
    .unwrap();
    for credentials in [
        Credentials::new("ci", "s3cret".into()).unwrap().into(),
        CredentialSource::Docker(DockerConfig::new(path, Vec::new())),
    ] {
        let mut settings = server.settings();
        settings.credentials = Some(credentials);
        let registry = OciRegistry::connect(settings).await.unwrap();
        assert_eq!(registry.list_tags(&app()).await.unwrap().len(), 2);
    }
    // Another address of this machine is another host, and another port another origin.
    let elsewhere = Server::start(|_| json(200, r#"{"tags":["c"]}"#)).await;
    for place in [elsewhere.url.as_str(), "http://[::1]:1"] {
        let answer = format!("{place}/v2/team/app/tags/list?last=a");
        let listener = TcpListener::bind("[::1]:0").await.unwrap();
        let server = Server::start_on(listener, move |seen| match seen.path.as_str() {
            "/v2/" => json(200, "{}"),
            _ => linked(r#"{"tags":["a"]}"#, &answer),
        });
        let error = server.connect().await.list_tags(&app()).await.unwrap_err();
        assert_eq!(error.failure(), Failure::Malformed, "{error}");
        assert!(error.to_string().contains(place), "{error}");
    }
    assert!(elsewhere.whole_log().is_empty());
}

#[tokio::test]
async fn whatever_else_answers_is_not_taken_for_a_registry() {
    for answer in [
        || html(200),
        || html(404),
        || json(404, r#"{"detail":"Not Found"}"#),
        || respond(200, &[("content-type", "text/plain")], "Hello, world"),
        || respond(204, &[], ""),
        || {
            respond(
                400,
                &[("content-type", "text/plain")],
                "Client sent an HTTP request to an HTTPS server.\n",
            )
        },
        || respond(301, &[("location", "https://registry.example/v2/")], ""),
        || respond(302, &[], ""),
        || respond(200, &[("content-type", "text/html")], vec![b' '; 100_000]),
        || linked("[", "/v2/"),
    ] {
        let server = Server::start(move |_| answer()).await;
        let error = failure(server.settings()).await;
        assert_eq!(error.failure(), Failure::NotARegistry, "{error}");
        assert!(error.hint().is_some());
    }
    let server = Server::start(|_| {
        respond(
            400,
            &[("content-type", "text/plain")],
            "Client sent an HTTP request to an HTTPS server.\n",
        )
    })
    .await;
    let error = failure(server.settings()).await;
    assert!(error.hint().unwrap().contains("https://"));
    assert_eq!(
        error.to_string(),
        format!(
            "GET {}/v2/: what answers is not a registry: 400 Bad Request: Client sent an HTTP request to an HTTPS server.",
            server.url
        )
    );
}

#[tokio::test]
async fn a_registry_that_is_ill_is_still_a_registry() {
    for (status, expected) in [
        (429, Failure::Overloaded),
        (503, Failure::Overloaded),
        (500, Failure::Server),
        (403, Failure::Denied),
    ] {
        let server = Server::start(move |_| refused(status, "UNKNOWN")).await;
        assert_eq!(failure(server.settings()).await.failure(), expected, "{status}");
    }
}

#[tokio::test]
async fn a_refused_connection_is_told_at_once_and_with_a_hint() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let mut patient = settings(&url);
    patient.retry.first_pause = Duration::from_secs(3600);
    patient.retry.longest_pause = Duration::from_secs(3600);
    let told = tokio::time::timeout(Duration::from_secs(60), failure(patient)).await;
    let error = told.expect("no pause before the answer");
    assert_eq!(error.failure(), Failure::Unreachable);
    assert!(error.to_string().contains("onnection refused"), "{error}");
    assert!(error.hint().unwrap().contains("running"));
}

#[tokio::test]
async fn https_is_not_spoken_to_a_server_of_plain_http_and_the_hint_says_so() {
    let server = Server::start(|_| json(200, "{}")).await;
    let error = failure(settings(&server.url.replace("http:", "https:"))).await;
    assert_eq!(error.failure(), Failure::Unreachable);
    assert!(error.to_string().contains("TLS failed"), "{error}");
    assert!(error.hint().unwrap().contains("http://"), "{:?}", error.hint());
    assert!(server.whole_log().is_empty());
}

/// Runs the test named below in a process of its own that finds no certificates.
#[test]
fn a_machine_without_certificates_reads_a_registry_all_the_same() {
    let here = std::env::current_exe().unwrap();
    let ran = Command::new(here)
        .args([
            "--exact",
            "connecting::reads_a_registry_over_plain_http",
            "--nocapture",
        ])
        .env("SSL_CERT_FILE", "/nonexistent/certificates.pem")
        .env("SSL_CERT_DIR", "/nonexistent")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&ran.stdout);
    assert!(ran.status.success() && said.contains("1 passed"), "{said}");
}

#[tokio::test]
async fn reads_a_registry_over_plain_http() {
    let server = Server::registry(|_| json(200, r#"{"repositories":["team/app"]}"#)).await;
    let names = server.connect().await.list_repositories().await.unwrap();
    assert_eq!(names, [crate::support::app()]);
}
