//! Nothing that is written anywhere holds a password or a token.

use std::os::unix::fs::PermissionsExt as _;
use std::sync::{Arc, Mutex};
use std::{fs, io};

use lagan_model::{Digest, RegistryRead as _};
use lagan_registry::{ClientCertificate, CredentialSource, Credentials, DockerConfig, OciRegistry};
use tempfile::TempDir;
use tracing::level_filters::LevelFilter;

use crate::authority::{Authority, SecureServer};
use crate::support::{Server, app, json, refused, respond, settings};

/// The password, `ci:` and the password in base64 (as far as it is the password's alone), a token, a signature, an
/// identity token as it is and as a form holds it.
const SECRETS: [&str; 6] = [
    "s3cret-pass",
    "czNjcmV0LXBhc3M",
    "t0ken-of-the-test",
    "s1gnature",
    "1dentity&token",
    "1dentity%26token",
];

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn assert_no_secret(place: &str, text: &str) {
    for secret in SECRETS {
        assert!(!text.contains(secret), "{secret} is in {place}: {text}");
    }
}

#[tokio::test]
async fn neither_logs_nor_errors_nor_debug_show_a_secret() {
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(LevelFilter::TRACE)
        .with_writer(move || writer.clone())
        .with_ansi(false)
        .finish();
    // For the whole process: what another test logs meanwhile holds none of these secrets either.
    tracing::subscriber::set_global_default(subscriber).unwrap();

    let server = Server::start(|seen| match (seen.path.as_str(), seen.authorization()) {
        ("/token", Some(_)) => json(200, r#"{"token":"t0ken-of-the-test"}"#),
        // Says all that it was sent, and refuses it.
        ("/token", None) if !seen.body.is_empty() => respond(
            401,
            &[("content-type", "text/plain")],
            format!("you sent {}", seen.body),
        ),
        ("/v2/team/echo/tags/list", Some(authorization)) => {
            let said = format!(
                "{}Authorization: {authorization}; {}",
                " ".repeat(50),
                "x".repeat(260)
            );
            json(
                403,
                format!(r#"{{"errors":[{{"code":"DENIED","message":"{said}"}}]}}"#),
            )
        }
        (_, None) => {
            let realm = format!("Bearer realm=\"{}/token\"", seen.server);
            respond(401, &[("www-authenticate", &realm)], "")
        }
        ("/v2/", Some(_)) => json(200, "{}"),
        (path, Some(_)) if path.contains("/blobs/") => respond(
            302,
            &[("location", "http://127.0.0.1:1/blob?signature=s1gnature")],
            "",
        ),
        _ => refused(503, "UNAVAILABLE"),
    })
    .await;
    let mut named = settings(&server.url);
    named.credentials = Some(Credentials::new("ci", "s3cret-pass".into()).unwrap().into());
    let shown = format!("{named:?}");
    assert_no_secret("Debug of the settings", &shown);

    let registry = OciRegistry::connect(named).await.unwrap();
    assert_no_secret("Debug of the registry", &format!("{registry:?}"));
    let errors = [
        registry.list_tags(&app()).await.map(|_| ()).unwrap_err(),
        registry
            .config_blob(&app(), &Digest::of(b"x"), 10)
            .await
            .map(|_| ())
            .unwrap_err(),
    ];
    let echoed = registry
        .list_tags(&"team/echo".parse().unwrap())
        .await
        .unwrap_err();
    assert!(
        echoed.to_string().contains("Authorization: Bearer [secret]"),
        "{echoed}"
    );
    for error in errors.into_iter().chain([echoed]) {
        assert_no_secret("an error", &format!("{error} {error:?} {:?}", error.hint()));
    }

    let mut refused_there = settings(&server.url.replace("127.0.0.1", "localhost"));
    refused_there.credentials = Some(Credentials::new("ci", "s3cret-pass".into()).unwrap().into());
    let _ = OciRegistry::connect(refused_there).await;

    // An identity token, from a helper, which is posted to a token service that refuses it.
    let folder = TempDir::new().unwrap();
    let helper = folder.path().join("docker-credential-test");
    let script = "#!/bin/sh\necho '{\"Username\":\"<token>\",\"Secret\":\"1dentity&token\"}'\n";
    fs::write(&helper, script).unwrap();
    fs::set_permissions(&helper, fs::Permissions::from_mode(0o755)).unwrap();
    let path = folder.path().join("config.json");
    fs::write(&path, r#"{"credsStore":"test"}"#).unwrap();
    let mut docker = settings(&server.url);
    let source = DockerConfig::new(path, vec![folder.path().to_owned()]);
    docker.credentials = Some(CredentialSource::Docker(source));
    let error = OciRegistry::connect(docker).await.unwrap_err();
    assert!(error.to_string().contains("refresh_token=[secret]"), "{error}");
    assert_no_secret("an error", &format!("{error} {error:?} {:?}", error.hint()));
    assert!(
        server
            .whole_log()
            .iter()
            .any(|seen| seen.body.contains("1dentity%26token"))
    );

    // A client's key, and the password behind TLS.
    let authority = Authority::new();
    let (certificate, key) = authority.issue("lagan");
    let secure = SecureServer::start(&authority, "127.0.0.1", 100, |reached| {
        match (reached.path.as_str(), reached.header("authorization")) {
            (_, None) => respond(401, &[("www-authenticate", "Basic realm=x")], ""),
            ("/v2/", _) => json(200, "{}"),
            (_, Some(basic)) => respond(
                403,
                &[("content-type", "text/plain")],
                format!("{basic}: s3cret-pass"),
            ),
        }
    })
    .await;
    let mut named = settings(&format!("https://127.0.0.1:{}", secure.port));
    named.ca = Some(authority.bundle());
    named.credentials = Some(Credentials::new("ci", "s3cret-pass".into()).unwrap().into());
    let client = ClientCertificate::from_pem(certificate.pem().as_bytes(), key.serialize_pem().as_bytes());
    named.client_certificate = Some(client.unwrap());
    let key_in_pem = key.serialize_pem();
    let key_line = key_in_pem.lines().nth(1).unwrap();
    assert!(!format!("{named:?}").contains(key_line));
    let registry = OciRegistry::connect(named).await.unwrap();
    let denied = registry.list_tags(&app()).await.unwrap_err();
    assert!(
        denied.to_string().contains("Basic [secret]: [secret]"),
        "{denied}"
    );
    assert_no_secret("an error", &format!("{denied:?}"));

    let log = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    assert!(
        log.contains("answered") && log.contains("token"),
        "nothing was logged"
    );
    assert_no_secret("the log", &log);
    assert!(!log.contains(key_line), "the key is in the log");
    // What there is to see of a request instead.
    for shown in [
        "request{kind=\"tags\" host=\"127.0.0.1\" repository=team/app}",
        "attempt=3",
        "status=503",
        "elapsed_ms=",
    ] {
        assert!(log.contains(shown), "{shown}: {log}");
    }
}
