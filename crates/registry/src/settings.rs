//! What it takes to reach a registry.

use std::fmt;
use std::num::{NonZeroU32, NonZeroUsize};
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::HeaderValue;
use lagan_model::RegistryName;
use rustls::RootCertStore;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use secrecy::{ExposeSecret as _, SecretString};
use thiserror::Error;

use crate::address::{RegistryUrl, TokenRealm};
use crate::credentials::{CredentialError, CredentialSource};
use crate::observe::Observer;

/// Settings that cannot be used. Nothing has been contacted.
#[derive(Debug, Error)]
pub enum SettingsError {
    /// Not a URL.
    #[error("the registry's URL cannot be read: {0}")]
    UrlSyntax(url::ParseError),
    /// Neither `http` nor `https`.
    #[error("the registry's URL is neither http nor https")]
    UrlScheme,
    /// No host, or one that is no name or address.
    #[error("the registry's URL has no usable host")]
    UrlHost,
    /// A user name or password in the URL.
    #[error("the registry's URL holds credentials")]
    UrlCredentials,
    /// A query or a fragment.
    #[error("the registry's URL has a query or a fragment")]
    UrlQuery,
    /// The path of the protocol's own.
    #[error("the registry's URL ends in /v2")]
    UrlVersionPath,
    /// An origin of a token service that is none.
    #[error("a token service is named by https, its host and perhaps a port")]
    TokenRealm,
    /// A user name that HTTP cannot carry.
    #[error("a user name must not be empty and must not hold a colon")]
    Username,
    /// A bundle without a certificate.
    #[error("the CA bundle holds no certificate")]
    CaBundleEmpty,
    /// A certificate that no trust can be put in.
    #[error("certificate {number} of the CA bundle cannot be used: {reason}")]
    CaBundleInvalid {
        /// Its place in the bundle, counted from 1.
        number: usize,
        /// What is wrong with it.
        reason: String,
    },
    /// A client certificate, or its key, that cannot be used.
    #[error("the client certificate cannot be used: {0}")]
    ClientCertificate(String),
    /// The credentials cannot be had.
    #[error(transparent)]
    Credentials(#[from] CredentialError),
    /// The HTTP client could not be made.
    #[error("the HTTP client cannot be set up: {0}")]
    Client(reqwest::Error),
}

impl SettingsError {
    /// What would help, where something is known to.
    #[must_use]
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::UrlSyntax(_) | Self::UrlScheme => {
                Some("write https://registry.example.com, or http://localhost:5000 for plain HTTP")
            }
            Self::UrlHost => Some("write the host behind the scheme, as in https://registry.example.com"),
            Self::UrlCredentials => {
                Some("give the user name and a password file with the credentials, and the URL without them")
            }
            Self::UrlQuery => Some("give the URL up to the host, or up to the path prefix"),
            Self::UrlVersionPath => Some("leave /v2 away: it is added to every request"),
            Self::TokenRealm => Some("as in https://auth.example.com"),
            Self::CaBundleEmpty | Self::CaBundleInvalid { .. } => {
                Some("give a PEM file with one or more `-----BEGIN CERTIFICATE-----` blocks")
            }
            Self::Credentials(CredentialError::NoneFor { .. }) => Some(
                "its `auths`, `credHelpers` and `credsStore` are looked at; log in with docker, or name another file",
            ),
            Self::Credentials(CredentialError::Ambiguous { .. }) => Some(
                "name another file that has one key for the registry, or give a user name and a password file",
            ),
            Self::ClientCertificate(_) => Some(
                "give a PEM file with the certificate, and those between it and its authority, and one with its key",
            ),
            Self::Username | Self::Credentials(_) | Self::Client(_) => None,
        }
    }
}

/// A user name and a password. Neither `Debug` nor any error shows the password.
#[derive(Clone)]
pub struct Credentials {
    username: String,
    password: SecretString,
}

impl Credentials {
    /// Credentials for basic authentication, at the registry or at its token service.
    ///
    /// # Errors
    ///
    /// When the user name is empty or holds a colon (RFC 7617, section 2).
    pub fn new(username: impl Into<String>, password: SecretString) -> Result<Self, SettingsError> {
        let username = username.into();
        if username.is_empty() || username.contains(':') {
            return Err(SettingsError::Username);
        }
        Ok(Self { username, password })
    }

    pub(crate) fn username(&self) -> &str {
        &self.username
    }

    pub(crate) fn same(&self, other: &Self) -> bool {
        self.username == other.username && self.password.expose_secret() == other.password.expose_secret()
    }

    /// The `Authorization` header, marked so that nothing downstream prints it.
    pub(crate) fn basic(&self) -> Option<HeaderValue> {
        let pair = SecretString::from(format!("{}:{}", self.username, self.password.expose_secret()));
        let text = SecretString::from(format!("Basic {}", STANDARD.encode(pair.expose_secret())));
        secret_header(&text)
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials")
            .field("username", &self.username)
            .finish_non_exhaustive()
    }
}

/// A header value that `Debug` and the HTTP stack's own logs show as `Sensitive`.
pub(crate) fn secret_header(text: &SecretString) -> Option<HeaderValue> {
    let mut value = HeaderValue::from_str(text.expose_secret()).ok()?;
    value.set_sensitive(true);
    Some(value)
}

/// Certificates that are trusted besides those of the system.
#[derive(Debug, Clone)]
pub struct CaBundle(Vec<CertificateDer<'static>>);

impl CaBundle {
    /// Reads the content of a PEM file.
    ///
    /// # Errors
    ///
    /// When there is no certificate in it, or one that cannot be a trust anchor: a bundle that is silently
    /// empty would show only later, as a connection that fails.
    pub fn from_pem(pem: &[u8]) -> Result<Self, SettingsError> {
        let mut trusted = RootCertStore::empty();
        let mut certificates = Vec::new();
        for (index, certificate) in CertificateDer::pem_slice_iter(pem).enumerate() {
            let invalid = |reason: String| SettingsError::CaBundleInvalid {
                number: index + 1,
                reason,
            };
            let certificate = certificate.map_err(|error| invalid(error.to_string()))?;
            trusted
                .add(certificate.clone())
                .map_err(|error| invalid(error.to_string()))?;
            certificates.push(certificate);
        }
        if certificates.is_empty() {
            return Err(SettingsError::CaBundleEmpty);
        }
        Ok(Self(certificates))
    }

    pub(crate) fn certificates(&self) -> &[CertificateDer<'static>] {
        &self.0
    }
}

/// What proves who we are on the TLS layer. `Debug` does not show the key.
#[derive(Clone)]
pub struct ClientCertificate {
    /// Key and certificates, as the HTTP client wants them.
    pem: SecretString,
}

impl ClientCertificate {
    /// Reads the content of two PEM files: the certificate, with those that lead to its authority, and its key.
    ///
    /// # Errors
    ///
    /// When there is no certificate, or no key, or one that cannot be read, or the key is another certificate's.
    pub fn from_pem(certificates: &[u8], key: &[u8]) -> Result<Self, SettingsError> {
        let wrong = SettingsError::ClientCertificate;
        let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(certificates).collect();
        let chain = chain.map_err(|error| wrong(format!("the certificate is no PEM: {error}")))?;
        if chain.is_empty() {
            return Err(wrong("there is no certificate in the file".to_owned()));
        }
        let parsed = PrivateKeyDer::from_pem_slice(key)
            .map_err(|_| wrong("there is no private key in the file of the key".to_owned()))?;
        let provider = rustls::crypto::ring::default_provider();
        rustls::sign::CertifiedKey::from_der(chain, parsed, &provider)
            .map_err(|error| wrong(error.to_string()))?;
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec());
        match (text(key), text(certificates)) {
            (Ok(key), Ok(certificates)) => Ok(Self {
                pem: SecretString::from(format!("{key}\n{certificates}")),
            }),
            _ => Err(wrong("the files are not text".to_owned())),
        }
    }

    pub(crate) fn identity(&self) -> Result<reqwest::Identity, SettingsError> {
        let identity = reqwest::Identity::from_pem(self.pem.expose_secret().as_bytes());
        identity.map_err(|_| SettingsError::ClientCertificate("the TLS stack does not take it".to_owned()))
    }
}

impl fmt::Debug for ClientCertificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientCertificate").finish_non_exhaustive()
    }
}

/// How long a request may take.
#[derive(Debug, Clone)]
pub struct Timeouts {
    /// Until a connection stands, TLS included.
    pub connect: Duration,
    /// One attempt in all, from its first byte sent to the last byte of the body.
    pub request: Duration,
    /// Everything, from connecting on. What has not been read by then fails with
    /// [`Failure::TimeIsUp`](lagan_model::Failure::TimeIsUp), at once and without a request.
    pub run: Duration,
}

impl Default for Timeouts {
    /// 10 s to connect, 60 s for a request, 24 h for a run.
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(10),
            request: Duration::from_secs(60),
            run: Duration::from_secs(24 * 60 * 60),
        }
    }
}

/// How often, and after how long, a request is sent again that failed in passing: 429, 500, 502, 503, 504, a
/// connection that broke, a deadline that passed.
#[derive(Debug, Clone)]
pub struct Retry {
    /// Attempts in all, the first included.
    pub attempts: NonZeroU32,
    /// The pause before the second attempt. Every further pause is twice as long; jitter adds up to as much again.
    pub first_pause: Duration,
    /// The longest pause, before jitter.
    pub longest_pause: Duration,
    /// The longest pause that a registry may ask for by `Retry-After`; what it asks beyond is not honoured.
    pub longest_asked: Duration,
}

impl Default for Retry {
    /// 5 attempts, pauses from 200 ms to 10 s, at most 60 s when the registry asks for a pause.
    fn default() -> Self {
        Self {
            attempts: NonZeroU32::MIN.saturating_add(4),
            first_pause: Duration::from_millis(200),
            longest_pause: Duration::from_secs(10),
            longest_asked: Duration::from_secs(60),
        }
    }
}

/// What it takes to connect to a registry.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The registry's name in plans: from the configuration, else host and port.
    pub name: RegistryName,
    /// Its base URL.
    pub url: RegistryUrl,
    /// Who asks; `None` asks as anybody.
    pub credentials: Option<CredentialSource>,
    /// Token services that may have the credentials although they are neither at the registry's own host nor at the
    /// domain that it is in. They may be in a private network, and on this machine only where the registry is.
    pub token_realms: Vec<TokenRealm>,
    /// Certificates to trust besides the system's.
    pub ca: Option<CaBundle>,
    /// What proves who we are where the registry wants a certificate; `None` offers none. Shown at the registry's own
    /// origin only.
    pub client_certificate: Option<ClientCertificate>,
    /// The most requests under way at once, all repositories together. How many there really are is measured: a
    /// registry on the same machine is fastest at about 8, one at 20 ms takes all 128 of the default.
    pub max_concurrency: NonZeroUsize,
    /// Whether there are always as many, instead of as many as bring something. For measurements.
    pub fixed_concurrency: bool,
    /// The same for a Harbor, of which each request takes many of its database: at most 4 unless said.
    pub harbor_concurrency: NonZeroUsize,
    /// As whom manifests are asked for; `None`: as whom everything else is.
    pub(crate) manifest_agent: Option<&'static str>,
    /// Whether requests say that what stands for a project is its name, whatever it looks like (Harbor).
    pub(crate) names_projects: bool,
    /// Deadlines.
    pub timeouts: Timeouts,
    /// Retries.
    pub retry: Retry,
    /// Who is told of every request.
    pub observer: Option<Arc<dyn Observer>>,
}

impl Settings {
    /// Anonymous access to the registry at `url`, named by host and port; at most 128 requests at once.
    #[must_use]
    pub fn new(url: RegistryUrl) -> Self {
        Self {
            name: url.default_name().clone(),
            url,
            credentials: None,
            token_realms: Vec::new(),
            ca: None,
            client_certificate: None,
            max_concurrency: NonZeroUsize::MIN.saturating_add(127),
            fixed_concurrency: false,
            harbor_concurrency: NonZeroUsize::MIN.saturating_add(3),
            manifest_agent: None,
            names_projects: false,
            timeouts: Timeouts::default(),
            retry: Retry::default(),
            observer: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_do_not_show_their_password() {
        let credentials = Credentials::new("robot$lagan", "hunter2".into()).unwrap();
        let shown = format!("{credentials:?} {:?}", credentials.basic());
        assert!(shown.contains("robot$lagan"));
        assert!(!shown.contains("hunter2"), "{shown}");
        assert!(
            !shown.contains(&STANDARD.encode("robot$lagan:hunter2")),
            "{shown}"
        );
        let mut settings = Settings::new("http://host".parse().unwrap());
        settings.credentials = Some(credentials.into());
        assert!(!format!("{settings:?}").contains("hunter2"));
    }

    #[test]
    fn a_user_name_with_a_colon_is_refused_since_it_would_move_into_the_password() {
        for username in ["", "a:b"] {
            assert!(Credentials::new(username, "x".into()).is_err());
        }
    }

    #[test]
    fn a_bundle_without_a_usable_certificate_is_refused() {
        for pem in [
            "",
            "garbage",
            "-----BEGIN CERTIFICATE-----\n!!\n-----END CERTIFICATE-----\n",
        ] {
            assert!(CaBundle::from_pem(pem.as_bytes()).is_err(), "{pem:?}");
        }
        let not_a_certificate = "-----BEGIN CERTIFICATE-----\naGVsbG8=\n-----END CERTIFICATE-----\n";
        assert!(matches!(
            CaBundle::from_pem(not_a_certificate.as_bytes()),
            Err(SettingsError::CaBundleInvalid { number: 1, .. })
        ));
    }

    #[test]
    fn a_bundle_of_real_certificates_is_read_whole() {
        let pem: String = webpki_root_certs::TLS_SERVER_ROOT_CERTS[..2]
            .iter()
            .map(|der| {
                format!(
                    "-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n",
                    STANDARD.encode(der)
                )
            })
            .collect();
        assert_eq!(
            CaBundle::from_pem(pem.as_bytes()).unwrap().certificates().len(),
            2
        );
    }
}
