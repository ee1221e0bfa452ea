//! What the environment says: proxies, and the system's certificates. It is that of a process, so each test starts
//! one: this binary again, with the test at the end of this file.

use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::response::Response;
use lagan_model::RegistryRead as _;
use lagan_registry::{CaBundle, CredentialSource, Credentials, DockerConfig, OciRegistry};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::process::Command;

use crate::authority::{Authority, Reached, SecureServer};
use crate::support::{Server, app, json, respond, settings};

/// `ci:s3cret` and `me:pr0xy-pass`, as basic authentication sends them.
const BASIC: &str = "Basic Y2k6czNjcmV0";
const PROXY_BASIC: &str = "Basic bWU6cHIweHktcGFzcw==";

/// The passwords, as they are and as they are sent (as far as that is the password's alone), and a token: none of
/// them is ever said or traced.
const SECRETS: [&str; 5] = [
    "s3cret",
    "czNjcmV0",
    "pr0xy-pass",
    "cHIweHktcGFzc",
    "t0ken-of-the-test",
];

/// A proxy that brings every host to this machine: the ports by host.
struct Proxy {
    port: u16,
    heads: Arc<Mutex<Vec<String>>>,
}

impl Proxy {
    async fn start(ports: Vec<(&'static str, u16)>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let heads = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&heads);
        tokio::spawn(async move {
            loop {
                let (mut inner, _) = listener.accept().await.unwrap();
                let (kept, ports) = (Arc::clone(&kept), ports.clone());
                tokio::spawn(async move {
                    let mut head = Vec::new();
                    while !head.ends_with(b"\r\n\r\n") {
                        let Ok(byte) = inner.read_u8().await else { return };
                        head.push(byte);
                    }
                    let head = String::from_utf8(head).unwrap();
                    kept.lock().unwrap().push(head.clone());
                    let line = head.lines().next().unwrap();
                    let Some((_, port)) = ports.iter().find(|(host, _)| line.contains(host)) else {
                        let refusal =
                            "HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
                        drop(inner.write_all(refusal.as_bytes()).await);
                        return;
                    };
                    let mut outer = TcpStream::connect(("127.0.0.1", *port)).await.unwrap();
                    let opened = if line.starts_with("CONNECT ") {
                        inner.write_all(b"HTTP/1.1 200 Connected\r\n\r\n").await
                    } else {
                        outer.write_all(head.as_bytes()).await
                    };
                    opened.unwrap();
                    drop(tokio::io::copy_bidirectional(&mut inner, &mut outer).await);
                });
            }
        });
        Self { port, heads }
    }

    fn url(&self) -> String {
        format!("http://me:pr0xy-pass@127.0.0.1:{}", self.port)
    }

    fn heads(&self) -> Vec<String> {
        self.heads.lock().unwrap().clone()
    }
}

/// What came of connecting in a process with this environment.
async fn outcome(environment: &[(&str, &str)]) -> String {
    let mut child = Command::new(std::env::current_exe().unwrap());
    child
        .args([
            "--exact",
            "proxies::connects_as_its_environment_says",
            "--ignored",
            "--nocapture",
        ])
        .env_clear()
        .envs(environment.iter().copied())
        .kill_on_drop(true);
    let ran = tokio::time::timeout(Duration::from_secs(60), child.output());
    let ran = ran.await.unwrap().unwrap();
    let said = String::from_utf8(ran.stdout).unwrap();
    let traced = String::from_utf8(ran.stderr).unwrap();
    assert!(traced.contains("TRACE"), "nothing was traced: {traced}");
    for secret in SECRETS {
        assert!(
            !said.contains(secret) && !traced.contains(secret),
            "{secret}: {said} {traced}"
        );
    }
    let line = said.lines().find_map(|line| line.strip_prefix("outcome: "));
    line.unwrap_or_else(|| panic!("nothing came of it: {said}"))
        .to_owned()
}

fn guarded(reached: &Reached) -> Response {
    match (reached.header("authorization"), reached.path.as_str()) {
        (Some(BASIC), "/v2/") => json(200, "{}"),
        (Some(BASIC), _) => json(200, r#"{"tags":["a","b"]}"#),
        _ => respond(401, &[("www-authenticate", "Basic realm=\"x\"")], ""),
    }
}

fn ca_file(folder: &TempDir, authority: &Authority) -> String {
    let path = folder.path().join("ca.pem");
    std::fs::write(&path, authority.certificate.pem()).unwrap();
    path.display().to_string()
}

#[tokio::test]
async fn https_goes_through_the_proxy_of_the_environment_which_sees_nothing_of_it() {
    let (authority, folder) = (Authority::new(), TempDir::new().unwrap());
    let ca = ca_file(&folder, &authority);
    let server = SecureServer::start(&authority, "registry.test", 100, guarded).await;
    let proxy = Proxy::start(vec![("registry.test", server.port)]).await;
    let said = outcome(&[
        ("HTTPS_PROXY", &proxy.url()),
        ("NO_PROXY", "other.test"),
        ("LAGAN_TEST_URL", "https://registry.test"),
        ("LAGAN_TEST_CA", &ca),
    ])
    .await;
    assert_eq!(said, "2 tags");
    let heads = proxy.heads();
    assert!(!heads.is_empty());
    for head in heads {
        assert!(
            head.starts_with("CONNECT registry.test:443 HTTP/1.1\r\n"),
            "{head}"
        );
        let has = |what: &str| head.to_lowercase().contains(&what.to_lowercase());
        assert!(has(&format!("proxy-authorization: {PROXY_BASIC}")), "{head}");
        assert!(!has(BASIC) && !has("/v2/"), "{head}");
    }
    for reached in server.log() {
        assert_eq!(reached.header("proxy-authorization"), None);
    }
}

#[tokio::test]
async fn what_the_environment_excepts_and_what_is_on_this_machine_is_reached_without_the_proxy() {
    let (authority, folder) = (Authority::new(), TempDir::new().unwrap());
    let ca = ca_file(&folder, &authority);
    let server = SecureServer::start(&authority, "127.0.0.1", 100, guarded).await;
    let proxy = Proxy::start(vec![
        ("127.0.0.1", server.port),
        ("registry.invalid", server.port),
    ])
    .await;
    let here = format!("https://127.0.0.1:{}", server.port);
    let url = proxy.url();
    let variables = |named| {
        [
            ("HTTPS_PROXY", url.as_str()),
            ("HTTP_PROXY", url.as_str()),
            ("ALL_PROXY", url.as_str()),
            ("NO_PROXY", "localhost,.invalid"),
            ("LAGAN_TEST_URL", named),
            ("LAGAN_TEST_CA", ca.as_str()),
        ]
    };
    assert_eq!(outcome(&variables(&here)).await, "2 tags");
    // There is no such host, as only a proxy would not notice.
    let said = outcome(&variables("https://registry.invalid")).await;
    assert!(said.starts_with("error: "), "{said}");
    assert_eq!(proxy.heads(), [""; 0]);
}

#[tokio::test]
async fn plain_http_goes_through_the_proxy_for_plain_http() {
    let server = Server::start(|seen| match seen.authorization() {
        Some(BASIC) => json(200, r#"{"tags":["a"]}"#),
        _ => respond(401, &[("www-authenticate", "Basic realm=\"x\"")], ""),
    })
    .await;
    let port = server.url.rsplit(':').next().unwrap().parse().unwrap();
    let proxy = Proxy::start(vec![("registry.test", port)]).await;
    let said = outcome(&[
        ("HTTP_PROXY", &proxy.url()),
        ("LAGAN_TEST_URL", "http://registry.test"),
    ])
    .await;
    assert_eq!(said, "1 tags");
    assert!(proxy.heads()[0].starts_with("GET http://registry.test/v2/ HTTP/1.1\r\n"));
}

#[tokio::test]
async fn a_proxy_that_refuses_is_told_without_its_password() {
    let proxy = Proxy::start(Vec::new()).await;
    let said = outcome(&[
        ("HTTPS_PROXY", &proxy.url()),
        ("LAGAN_TEST_URL", "https://registry.test"),
    ])
    .await;
    assert!(said.starts_with("error: "), "{said}");
    assert!(said.contains("proxy"), "{said}");
    assert!(!said.contains("pr0xy-pass"), "{said}");
    assert_eq!(proxy.heads().len(), 1);
}

/// Behind the proxy are a registry and what it calls its token service.
#[tokio::test]
async fn the_password_goes_to_a_token_service_elsewhere_only_where_that_is_named() {
    let (authority, folder) = (Authority::new(), TempDir::new().unwrap());
    let ca = ca_file(&folder, &authority);
    let (home, away) = ("registry.test", "auth.elsewhere.test");
    for (host, other, own, named, password, reached) in [
        (home, away, true, "", true, true),
        (home, away, false, "", true, false),
        (home, away, false, "https://other.test", true, false),
        (home, away, false, "https://auth.elsewhere.test", true, true),
        // Who has nothing to lose asks.
        (home, away, false, "", false, true),
        // The domain that the registry is in, but not what else is in that; and Docker Hub's own.
        ("registry.corp.test", "corp.test", false, "", true, true),
        ("registry.corp.test", "auth.corp.test", false, "", true, false),
        ("registry-1.docker.io", "auth.docker.io", false, "", true, true),
        ("docker.io.evil.test", "auth.docker.io", false, "", true, false),
    ] {
        let realm = format!("https://{}/token", if own { host } else { other });
        let challenge = format!("Bearer realm=\"{realm}\"");
        let registry = SecureServer::start(&authority, host, 100, move |reached| {
            match (reached.path.as_str(), reached.header("authorization")) {
                ("/token", _) => json(200, r#"{"token":"t0ken-of-the-test"}"#),
                (_, Some("Bearer t0ken-of-the-test")) => json(200, r#"{"tags":["a"]}"#),
                _ => respond(401, &[("www-authenticate", &challenge)], ""),
            }
        })
        .await;
        let elsewhere = SecureServer::start(&authority, other, 100, |_| {
            json(200, r#"{"token":"t0ken-of-the-test"}"#)
        })
        .await;
        let proxy = Proxy::start(vec![(host, registry.port), (other, elsewhere.port)]).await;
        let url = format!("https://{host}");
        let said = outcome(&[
            ("HTTPS_PROXY", &proxy.url()),
            ("LAGAN_TEST_URL", &url),
            ("LAGAN_TEST_CA", &ca),
            ("LAGAN_TEST_REALM", named),
            ("LAGAN_TEST_ANONYMOUS", if password { "" } else { "yes" }),
        ])
        .await;
        let case = format!("{realm} {named}: {said}");
        assert_eq!(said == "1 tags", reached, "{case}");
        let got: Vec<_> = elsewhere.log();
        if !own {
            assert_eq!(got.is_empty(), !reached, "{case}");
        }
        for request in &got {
            assert_eq!(request.header("authorization").is_some(), password, "{case}");
        }
        if !reached {
            assert!(said.contains("others only where they are named"), "{case}");
            assert!(said.contains(&format!("--token-realm https://{other}")), "{case}");
        }
        let to_registry = registry.log();
        let passwords = to_registry
            .iter()
            .filter(|request| request.header("authorization") == Some(BASIC) && request.path != "/token");
        assert_eq!(passwords.count(), 0, "{case}");
    }
}

#[tokio::test]
async fn a_helper_gets_what_leads_it_to_its_own_credentials_and_nothing_else() {
    use std::os::unix::fs::PermissionsExt as _;
    let server = Server::start(|seen| match seen.authorization() {
        Some(BASIC) => json(200, r#"{"tags":["a"]}"#),
        _ => respond(401, &[("www-authenticate", "Basic realm=\"x\"")], ""),
    })
    .await;
    let folder = TempDir::new().unwrap();
    let in_folder = |name: &str| folder.path().join(name);
    let helper = in_folder("docker-credential-test");
    let script = format!(
        "#!/bin/sh\n/usr/bin/env > {}\necho '{{\"Username\":\"ci\",\"Secret\":\"s3cret\"}}'\n",
        in_folder("seen").display()
    );
    std::fs::write(&helper, script).unwrap();
    std::fs::set_permissions(&helper, std::fs::Permissions::from_mode(0o755)).unwrap();
    std::fs::write(in_folder("config.json"), r#"{"credsStore":"test"}"#).unwrap();
    let given = [
        ("AWS_WEB_IDENTITY_TOKEN_FILE", "/run/token"),
        ("GOOGLE_APPLICATION_CREDENTIALS", "/run/key"),
        ("https_proxy", "http://127.0.0.1:1"),
        ("DBUS_SESSION_BUS_ADDRESS", "unix:path=/run/bus"),
    ];
    let kept = [("REGISTRY_PASSWORD", "x"), ("XAWS_", "x"), ("GNUPGHOMES", "x")];
    let docker = folder.path().display().to_string();
    let own = [
        ("LAGAN_TEST_URL", server.url.as_str()),
        ("LAGAN_TEST_DOCKER", docker.as_str()),
    ];
    let environment: Vec<_> = given.into_iter().chain(kept).chain(own).collect();
    assert_eq!(outcome(&environment).await, "1 tags");
    let seen = std::fs::read_to_string(in_folder("seen")).unwrap();
    let has = |name: &str| seen.lines().any(|line| line.starts_with(&format!("{name}=")));
    for (name, value) in given {
        assert!(
            seen.lines().any(|line| line == format!("{name}={value}")),
            "{name}: {seen}"
        );
    }
    for (name, _) in kept.into_iter().chain(own) {
        assert!(!has(name), "{name}: {seen}");
    }
}

#[tokio::test]
async fn the_system_s_certificates_count_and_those_compiled_in_where_it_has_none() {
    let (authority, folder) = (Authority::new(), TempDir::new().unwrap());
    let ca = ca_file(&folder, &authority);
    let server = SecureServer::start(&authority, "127.0.0.1", 100, guarded).await;
    let url = format!("https://127.0.0.1:{}", server.port);
    for (system, given, trusted) in [
        (ca.as_str(), "", true),
        ("/nonexistent/certificates.pem", ca.as_str(), true),
        ("/nonexistent/certificates.pem", "", false),
    ] {
        assert!(!Path::new("/nonexistent").exists());
        let said = outcome(&[
            ("SSL_CERT_FILE", system),
            ("SSL_CERT_DIR", "/nonexistent"),
            ("LAGAN_TEST_URL", &url),
            ("LAGAN_TEST_CA", given),
        ])
        .await;
        assert_eq!(said == "2 tags", trusted, "{system} {given}: {said}");
        assert!(trusted || said.contains("TLS failed"), "{said}");
    }
}

#[tokio::test]
#[ignore = "started by the tests above, in an environment of their making"]
async fn connects_as_its_environment_says() {
    let given = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    let Some(url) = given("LAGAN_TEST_URL") else {
        return;
    };
    tracing_subscriber::fmt()
        .with_max_level(tracing::level_filters::LevelFilter::TRACE)
        .with_writer(std::io::stderr)
        .with_ansi(false)
        .init();
    let mut settings = settings(&url);
    settings.timeouts.connect = Duration::from_secs(5);
    settings.token_realms = given("LAGAN_TEST_REALM")
        .map(|realm| realm.parse().unwrap())
        .into_iter()
        .collect();
    settings.ca =
        given("LAGAN_TEST_CA").map(|path| CaBundle::from_pem(&std::fs::read(path).unwrap()).unwrap());
    if given("LAGAN_TEST_ANONYMOUS").is_none() {
        settings.credentials = Some(Credentials::new("ci", "s3cret".into()).unwrap().into());
    }
    if let Some(folder) = given("LAGAN_TEST_DOCKER") {
        let config = DockerConfig::new(folder.clone().into(), vec![folder.into()]);
        settings.credentials = Some(CredentialSource::Docker(config));
    }
    let outcome = match OciRegistry::connect(settings).await {
        Ok(registry) => match registry.list_tags(&app()).await {
            Ok(tags) => format!("{} tags", tags.len()),
            Err(error) => format!("error: {error} {:?}", error.hint()),
        },
        Err(error) => format!("error: {error} {:?}", error.hint()),
    };
    println!("\noutcome: {outcome}");
}
