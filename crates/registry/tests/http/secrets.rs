//! Nothing that is written anywhere holds a password or a token.

use std::io;
use std::sync::{Arc, Mutex};

use lagan_model::{Digest, RegistryRead as _};
use lagan_registry::{Credentials, OciRegistry};
use tracing::level_filters::LevelFilter;

use crate::support::{Server, app, json, refused, respond, settings};

/// The password, `ci:` and the password in base64 (as far as it is the password's alone), a token, a signature.
const SECRETS: [&str; 4] = ["s3cret-pass", "czNjcmV0LXBhc3M", "t0ken-of-the-test", "s1gnature"];

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
        .finish();
    // For the whole process: what another test logs meanwhile holds none of these secrets either.
    tracing::subscriber::set_global_default(subscriber).unwrap();

    let server = Server::start(|seen| match (seen.path.as_str(), seen.authorization()) {
        ("/token", Some(_)) => json(200, r#"{"token":"t0ken-of-the-test"}"#),
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
    for error in errors {
        assert_no_secret("an error", &format!("{error} {error:?} {:?}", error.hint()));
    }

    let mut refused_there = settings(&server.url.replace("127.0.0.1", "localhost"));
    refused_there.credentials = Some(Credentials::new("ci", "s3cret-pass".into()).unwrap().into());
    let _ = OciRegistry::connect(refused_there).await;

    let log = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    assert!(
        log.contains("answered") && log.contains("token"),
        "nothing was logged"
    );
    assert_no_secret("the log", &log);
}
