//! TLS with an authority of our own, and a server that wants to know who asks.

use std::sync::{Arc, Mutex};

use lagan_model::{Digest, Failure, RegistryRead as _};
use lagan_registry::{
    CaBundle, ClientCertificate, ConnectError, Credentials, Front, FrontError, OciRegistry, Settings,
};
use rustls::RootCertStore;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::server::WebPkiClientVerifier;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use crate::authority::{Authority, SecureServer};
use crate::support::{Server, app, json, respond, settings};

/// A registry behind TLS that answers only those with a certificate of the authority; its URL.
async fn start(authority: &Authority) -> String {
    let tags = |_: &str, _: &str| ("200 OK", r#"{"tags":["a"]}"#.to_owned());
    serve(authority, true, tags).await.0
}

/// A server behind TLS that asks for a certificate of the authority, and what it says to a path and to a whole request:
/// its URL, and of each connection whether it came with a certificate.
async fn serve(
    authority: &Authority,
    needs_one: bool,
    answer: impl Fn(&str, &str) -> (&'static str, String) + Send + Sync + 'static,
) -> (String, Arc<Mutex<Vec<bool>>>) {
    lagan_registry::install_crypto_provider();
    let (certificate, key) = authority.issue("127.0.0.1");
    let mut roots = RootCertStore::empty();
    roots.add(authority.certificate.der().clone()).unwrap();
    let verifier = WebPkiClientVerifier::builder(Arc::new(roots));
    let verifier = if needs_one {
        verifier
    } else {
        verifier.allow_unauthenticated()
    };
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let config = rustls::ServerConfig::builder()
        .with_client_cert_verifier(verifier.build().unwrap())
        .with_single_cert(vec![certificate.der().clone()], key)
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://{}", listener.local_addr().unwrap());
    let shown = Arc::new(Mutex::new(Vec::new()));
    let (kept, answer) = (Arc::clone(&shown), Arc::new(answer));
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let (acceptor, kept, answer) = (acceptor.clone(), Arc::clone(&kept), Arc::clone(&answer));
            tokio::spawn(async move {
                let Ok(mut stream) = acceptor.accept(stream).await else {
                    return;
                };
                let certificates = stream.get_ref().1.peer_certificates();
                kept.lock().unwrap().push(certificates.is_some());
                let mut request = Vec::new();
                while !request.ends_with(b"\r\n\r\n") {
                    match stream.read_u8().await {
                        Ok(byte) => request.push(byte),
                        Err(_) => return,
                    }
                }
                let request = String::from_utf8(request).unwrap();
                let path = request.split(' ').nth(1).unwrap();
                let (head, body) = answer(path, &request);
                let length = body.len();
                let answer = format!(
                    "HTTP/1.1 {head}\r\nConnection: close\r\nContent-Type: application/json\r\n\
                     Content-Length: {length}\r\n\r\n{body}"
                );
                let _ = stream.write_all(answer.as_bytes()).await;
                let _ = stream.shutdown().await;
            });
        }
    });
    (url, shown)
}

fn with(url: &str, ca: Option<CaBundle>, client: Option<ClientCertificate>) -> Settings {
    let mut settings = settings(url);
    settings.ca = ca;
    settings.client_certificate = client;
    settings
}

async fn failure(settings: Settings) -> lagan_model::RegistryError {
    match OciRegistry::connect(settings).await {
        Err(ConnectError::Registry(error)) => error,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_registry_that_wants_a_certificate_gets_the_one_that_was_given() {
    let authority = Authority::new();
    let url = start(&authority).await;
    let settings = with(&url, Some(authority.bundle()), Some(authority.client()));
    let registry = OciRegistry::connect(settings).await.unwrap();
    assert_eq!(registry.list_tags(&app()).await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_token_service_and_object_storage_elsewhere_are_not_shown_the_certificate() {
    let authority = Authority::new();
    let (elsewhere, shown_elsewhere) = serve(&authority, false, |path, _| match path.starts_with("/token") {
        true => ("200 OK", r#"{"token":"t"}"#.to_owned()),
        false => ("200 OK", "config".to_owned()),
    })
    .await;
    let challenge: &'static str =
        format!("401 No\r\nWWW-Authenticate: Bearer realm=\"{elsewhere}/token\"").leak();
    let redirect: &'static str = format!("307 Go\r\nLocation: {elsewhere}/blob").leak();
    let (url, shown) = serve(&authority, true, move |path, request| {
        let head = if !request.to_lowercase().contains("authorization: bearer t") {
            challenge
        } else if path.contains("/blobs/") {
            redirect
        } else {
            "200 OK"
        };
        (head, "{}".to_owned())
    })
    .await;
    let settings = with(&url, Some(authority.bundle()), Some(authority.client()));
    let registry = OciRegistry::connect(settings).await.unwrap();
    let blob = registry.config_blob(&app(), &Digest::of(b"config"), 100).await;
    assert_eq!(blob.unwrap(), "config");
    assert!(shown.lock().unwrap().iter().all(|shown| *shown));
    let elsewhere = shown_elsewhere.lock().unwrap().clone();
    assert!(
        elsewhere.len() >= 2 && elsewhere.iter().all(|shown| !shown),
        "{elsewhere:?}"
    );
}

#[tokio::test]
async fn without_a_certificate_or_with_a_stranger_s_the_registry_is_not_reached() {
    let authority = Authority::new();
    let url = start(&authority).await;
    for client in [None, Some(Authority::new().client())] {
        let error = failure(with(&url, Some(authority.bundle()), client)).await;
        assert_eq!(error.failure(), Failure::Unreachable, "{error}");
    }
}

#[tokio::test]
async fn an_authority_that_nobody_trusts_is_told_with_a_hint() {
    let authority = Authority::new();
    let url = start(&authority).await;
    for ca in [None, Some(Authority::new().bundle())] {
        let error = failure(with(&url, ca, Some(authority.client()))).await;
        assert_eq!(error.failure(), Failure::Unreachable);
        assert!(error.to_string().contains("TLS failed"), "{error}");
        assert!(error.hint().unwrap().contains("CA file"), "{:?}", error.hint());
    }
}

#[test]
fn a_certificate_without_its_own_key_is_refused_and_the_key_is_never_shown() {
    let authority = Authority::new();
    let (certificate, key) = authority.issue("lagan");
    let (_, other) = authority.issue("lagan");
    let (certificate, key) = (certificate.pem(), key.serialize_pem());
    for (certificate, key) in [
        ("", key.as_str()),
        ("garbage", key.as_str()),
        (key.as_str(), key.as_str()),
        (certificate.as_str(), ""),
        (certificate.as_str(), "garbage"),
        (certificate.as_str(), certificate.as_str()),
        (certificate.as_str(), other.serialize_pem().as_str()),
    ] {
        let error = ClientCertificate::from_pem(certificate.as_bytes(), key.as_bytes()).unwrap_err();
        assert!(error.hint().is_some(), "{error}");
    }
    let shown = format!(
        "{:?}",
        ClientCertificate::from_pem(certificate.as_bytes(), key.as_bytes()).unwrap()
    );
    assert!(
        !shown.contains("PRIVATE") && !shown.contains(key.lines().nth(1).unwrap()),
        "{shown}"
    );
}

/// The same host and another port, or another scheme, is another origin: whoever listens there is somebody else.
#[tokio::test]
async fn nothing_leads_from_https_to_plain_http() {
    let authority = Authority::new();
    let other = Server::start(|_| json(200, r#"{"tags":["b"]}"#)).await;
    let to = format!("{}/elsewhere", other.url);
    let link = format!("<{}/v2/linked/tags/list?last=a>; rel=\"next\"", other.url);
    let server = SecureServer::start(&authority, "127.0.0.1", 100, move |reached| {
        match reached.path.as_str() {
            "/v2/" => json(200, "{}"),
            "/v2/linked/tags/list" => respond(200, &[("link", &link)], r#"{"tags":["a"]}"#),
            _ => respond(307, &[("location", &to)], ""),
        }
    })
    .await;
    let url = format!("https://127.0.0.1:{}", server.port);
    let mut settings = with(&url, Some(authority.bundle()), None);
    settings.credentials = Some(Credentials::new("ci", "s3cret".into()).unwrap().into());
    let registry = OciRegistry::connect(settings).await.unwrap();
    let digest = lagan_model::Digest::of(b"x");
    let errors = [
        registry.list_tags(&app()).await.map(drop).unwrap_err(),
        registry
            .list_tags(&"linked".parse().unwrap())
            .await
            .map(drop)
            .unwrap_err(),
        registry.referrers(&app(), &digest).await.map(drop).unwrap_err(),
        registry
            .config_blob(&app(), &digest, 10)
            .await
            .map(drop)
            .unwrap_err(),
    ];
    for error in errors {
        assert_eq!(error.failure(), Failure::Malformed, "{error}");
    }
    assert!(other.whole_log().is_empty());
}

/// Neither the first question nor one in the middle of a run gets an answer there, with a password to lose or without.
#[tokio::test]
async fn a_registry_behind_tls_that_names_a_token_service_without_gets_no_token() {
    let authority = Authority::new();
    let tokens = Server::start(|_| json(200, r#"{"token":"t"}"#)).await;
    let realm = format!("Bearer realm=\"{}/token\"", tokens.url);
    for at_once in [true, false] {
        let realm = realm.clone();
        let server = SecureServer::start(&authority, "127.0.0.1", 100, move |reached| {
            match (reached.path.as_str(), at_once, reached.header("authorization")) {
                ("/v2/", false, _) => json(200, "{}"),
                (_, _, Some("Bearer t")) => json(200, r#"{"tags":["a"]}"#),
                _ => respond(401, &[("www-authenticate", &realm)], ""),
            }
        })
        .await;
        let url = format!("https://127.0.0.1:{}", server.port);
        for password in [Some("s3cret"), None] {
            let mut settings = with(&url, Some(authority.bundle()), None);
            settings.credentials =
                password.map(|password| Credentials::new("ci", password.into()).unwrap().into());
            let error = match OciRegistry::connect(settings).await {
                Ok(registry) => registry.list_tags(&app()).await.unwrap_err(),
                Err(ConnectError::Registry(error)) => error,
                Err(other) => panic!("{other:?}"),
            };
            assert_eq!(error.failure(), Failure::Unauthorized, "{error}");
            let text = error.to_string();
            assert!(text.contains(&tokens.url) && text.contains("https"), "{text}");
        }
    }
    assert!(tokens.whole_log().is_empty());
}

#[tokio::test]
async fn the_front_tells_the_certificate_that_was_trusted_and_what_time_it_is_there() {
    let authority = Authority::new();
    let server = SecureServer::start(&authority, "127.0.0.1", 100, |_| {
        respond(401, &[("date", "Sun, 06 Nov 1994 08:49:37 GMT")], "")
    })
    .await;
    let url = format!("https://127.0.0.1:{}", server.port);
    let front = Front::look(&with(&url, Some(authority.bundle()), None))
        .await
        .unwrap();
    let certificate = front.certificate.unwrap();
    // What the library that made it writes where nothing else is said.
    assert_eq!(
        certificate.not_after,
        Some("4096-01-01T00:00:00Z".parse().unwrap())
    );
    assert!(certificate.issuer.contains("CN=rcgen"), "{}", certificate.issuer);
    assert_eq!(front.date, Some("1994-11-06T08:49:37Z".parse().unwrap()));
    assert_eq!(front.address.unwrap().port(), server.port);
    let error = untrusted(&with(&url, None, None)).await;
    assert!(error.to_string().contains("TLS failed"), "{error}");
    assert!(error.hint().unwrap().contains("CA file"));

    let plain = Server::start(|_| json(200, "{}")).await;
    let front = Front::look(&with(&plain.url, None, None)).await.unwrap();
    assert!(front.certificate.is_none());
    let error = untrusted(&with(&plain.url.replace("http:", "https:"), None, None)).await;
    assert!(error.hint().unwrap().contains("plain HTTP"), "{error}");
}

/// Somebody answered there, and could not be spoken to.
async fn untrusted(settings: &Settings) -> lagan_model::RegistryError {
    match Front::look(settings).await {
        Err(FrontError::Tls(error)) => error,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn an_address_at_which_nobody_answers_is_told_from_one_that_cannot_be_trusted() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://{}", listener.local_addr().unwrap());
    drop(listener);
    let error = Front::look(&with(&url, None, None)).await.unwrap_err();
    assert!(matches!(error, FrontError::Nobody(_)), "{error}");
}

#[tokio::test]
async fn a_certificate_that_has_expired_is_not_trusted_and_said_to_be_the_reason() {
    let authority = Authority::late();
    let server = SecureServer::start(&authority, "127.0.0.1", 100, |_| json(200, "{}")).await;
    let url = format!("https://127.0.0.1:{}", server.port);
    let error = untrusted(&with(&url, Some(authority.bundle()), None)).await;
    assert!(error.to_string().to_lowercase().contains("expired"), "{error}");
}
