//! Certificates that are trusted, and those that are not, each for its own reason.

use std::sync::Arc;

use rcgen::{BasicConstraints, Certificate, CertificateParams, IsCa, Issuer, KeyPair};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};

use crate::support::Place;
use crate::{of, says};

/// Signs the certificates of a test.
struct Authority {
    issuer: Issuer<'static, KeyPair>,
    certificate: Certificate,
}

impl Authority {
    fn new() -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let certificate = params.self_signed(&key).unwrap();
        Self {
            issuer: Issuer::new(params, key),
            certificate,
        }
    }
}

/// A registry that is empty, behind a certificate for `name` that is valid until the end of that year; its URL.
async fn serve(authority: &Authority, name: &str, year: i32) -> String {
    lagan_registry::install_crypto_provider();
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
    params.not_after = rcgen::date_time_ymd(year, 12, 31);
    let certificate = params.signed_by(&key, &authority.issuer).unwrap();
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let config = ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], key)
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                let Ok(mut stream) = acceptor.accept(stream).await else {
                    return;
                };
                let mut request = Vec::new();
                while !request.ends_with(b"\r\n\r\n") {
                    match stream.read_u8().await {
                        Ok(byte) => request.push(byte),
                        Err(_) => return,
                    }
                }
                let answer = "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Type: application/json\r\n\
                              Docker-Distribution-Api-Version: registry/2.0\r\nContent-Length: 2\r\n\r\n{}";
                let _ = stream.write_all(answer.as_bytes()).await;
                let _ = stream.shutdown().await;
            });
        }
    });
    url
}

#[tokio::test]
async fn a_certificate_that_is_not_trusted_is_told_under_tls_with_its_reason_and_the_name_is_fine() {
    let authority = Authority::new();
    let place = Place::new();
    let file = place.file("ca.pem", authority.certificate.pem());
    let ours = format!("--ca-file {}", file.display());
    for (name, year, trusts, reason, hint) in [
        ("127.0.0.1", 2090, "", "UnknownIssuer", "give its CA file"),
        ("127.0.0.1", 2020, &*ours, "expired", "renew it"),
        (
            "other.example",
            2090,
            &*ours,
            "not valid for name",
            "check the host name",
        ),
    ] {
        let url = serve(&authority, name, year).await;
        let line = format!("doctor --format json --registry {url} {trusts}");
        let document = place.run(&line).await.exits(1).json();
        says(&document, "name", "ok", "answers");
        says(&document, "tls", "failed", reason);
        assert_eq!(of(&document, "tls").len(), 1);
        assert_eq!(document["findings"].as_array().unwrap().len(), 2, "{document:#}");
        let said = document["findings"][1]["hint"].as_str().unwrap();
        assert!(said.contains(hint), "{said}");
        let text = place.run(&format!("doctor --registry {url} {trusts}")).await;
        let text = text.exits(1).stdout;
        assert!(text.contains("failed   tls "), "{text}");
    }
}

#[tokio::test]
async fn a_certificate_that_is_trusted_says_by_whom_and_until_when() {
    let authority = Authority::new();
    let place = Place::new();
    let file = place.file("ca.pem", authority.certificate.pem());
    let url = serve(&authority, "127.0.0.1", 2090).await;
    let line = format!(
        "doctor --format json --registry {url} --ca-file {}",
        file.display()
    );
    let document = place.run(&line).await.json();
    says(&document, "name", "ok", "answers at 127.0.0.1");
    says(&document, "tls", "ok", "valid until 2090-12-31");
}

#[tokio::test]
async fn plain_http_where_https_was_asked_for_is_told_under_tls() {
    let sandbox = lagan_sandbox::Sandbox::start(lagan_sandbox::SandboxOptions::default())
        .await
        .unwrap();
    let url = sandbox.url().replace("http://", "https://");
    let line = format!("doctor --format json --registry {url}");
    let document = Place::new().run(&line).await.exits(1).json();
    says(&document, "name", "ok", "answers");
    says(&document, "tls", "failed", "TLS failed");
    let hint = document["findings"][1]["hint"].as_str().unwrap();
    assert!(hint.contains("http://"), "{hint}");
}
