//! Certificates, and registries behind TLS.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use axum::http::{HeaderMap, Uri, Version};
use axum::response::Response;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use hyper_util::service::TowerToHyperService;
use lagan_registry::{CaBundle, ClientCertificate};
use rcgen::{BasicConstraints, Certificate, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

/// Signs the certificates of a test.
pub(crate) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pub(crate) certificate: Certificate,
    /// Whether what it issues has expired.
    is_late: bool,
}

impl Authority {
    pub(crate) fn new() -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let certificate = params.self_signed(&key).unwrap();
        Self {
            issuer: Issuer::new(params, key),
            certificate,
            is_late: false,
        }
    }

    /// One of which every certificate has expired.
    pub(crate) fn late() -> Self {
        Self {
            is_late: true,
            ..Self::new()
        }
    }

    pub(crate) fn issue(&self, name: &str) -> (Certificate, KeyPair) {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        if self.is_late {
            params.not_after = rcgen::date_time_ymd(2020, 1, 1);
        }
        (params.signed_by(&key, &self.issuer).unwrap(), key)
    }

    pub(crate) fn client(&self) -> ClientCertificate {
        let (certificate, key) = self.issue("lagan");
        ClientCertificate::from_pem(certificate.pem().as_bytes(), key.serialize_pem().as_bytes()).unwrap()
    }

    pub(crate) fn bundle(&self) -> CaBundle {
        CaBundle::from_pem(self.certificate.pem().as_bytes()).unwrap()
    }
}

/// A request that reached a server behind TLS.
#[derive(Debug, Clone)]
pub(crate) struct Reached {
    pub(crate) version: Version,
    pub(crate) path: String,
    pub(crate) headers: HeaderMap,
}

impl Reached {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }
}

/// A server behind TLS, of HTTP/1.1 and HTTP/2.
pub(crate) struct SecureServer {
    pub(crate) port: u16,
    log: Arc<Mutex<Vec<Reached>>>,
    pub(crate) connections: Arc<AtomicUsize>,
    /// The most requests that were under way at once.
    pub(crate) most: Arc<AtomicUsize>,
}

impl SecureServer {
    /// Serves under `name`, with at most `streams` requests at once on a connection of HTTP/2.
    pub(crate) async fn start(
        authority: &Authority,
        name: &str,
        streams: u32,
        answer: impl Fn(&Reached) -> Response + Send + Sync + 'static,
    ) -> Self {
        lagan_registry::install_crypto_provider();
        let (certificate, key) = authority.issue(name);
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let mut config = rustls::ServerConfig::builder()
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], key)
            .unwrap();
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let server = Self {
            port: listener.local_addr().unwrap().port(),
            log: Arc::default(),
            connections: Arc::default(),
            most: Arc::default(),
        };
        let (log, connections, most) = (
            Arc::clone(&server.log),
            Arc::clone(&server.connections),
            Arc::clone(&server.most),
        );
        let (now, answer) = (Arc::new(AtomicUsize::new(0)), Arc::new(answer));
        let app = axum::Router::new().fallback(move |version: Version, uri: Uri, headers: HeaderMap| {
            let (log, answer) = (Arc::clone(&log), Arc::clone(&answer));
            let (now, most) = (Arc::clone(&now), Arc::clone(&most));
            async move {
                let path = uri.path().to_owned();
                let reached = Reached {
                    version,
                    path,
                    headers,
                };
                log.lock().unwrap().push(reached.clone());
                most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                for _ in 0..20 {
                    tokio::task::yield_now().await;
                }
                now.fetch_sub(1, Ordering::SeqCst);
                answer(&reached)
            }
        });
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let (acceptor, app) = (acceptor.clone(), app.clone());
                let connections = Arc::clone(&connections);
                tokio::spawn(async move {
                    let Ok(stream) = acceptor.accept(stream).await else {
                        return;
                    };
                    connections.fetch_add(1, Ordering::SeqCst);
                    let mut http = auto::Builder::new(TokioExecutor::new());
                    http.http2().max_concurrent_streams(streams);
                    let service = TowerToHyperService::new(app);
                    drop(http.serve_connection(TokioIo::new(stream), service).await);
                });
            }
        });
        server
    }

    pub(crate) fn log(&self) -> Vec<Reached> {
        self.log.lock().unwrap().clone()
    }
}
