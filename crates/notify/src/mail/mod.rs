//! Sending by e-mail: a submission to one mail server (RFC 6409), encrypted unless the configuration says otherwise.
//!
//! What is not encrypted as it should be is not sent, and neither is a password: a server that does not offer STARTTLS,
//! or that somebody on the way speaks for, learns that somebody connected, and no more.

mod letter;

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use lettre::Address as Bare;
use lettre::transport::smtp::Error;
use lettre::transport::smtp::authentication::{Credentials, DEFAULT_MECHANISMS};
use lettre::transport::smtp::client::{
    AsyncSmtpConnection, Certificate, CertificateStore, TlsParameters, TlsParametersBuilder,
};
use lettre::transport::smtp::extension::ClientId;
use secrecy::{ExposeSecret as _, SecretString};
use thiserror::Error;

use crate::attempt::Attempt;
use crate::message::Message;

/// How long an attempt to hand a message to a mail server may take. Servers let strangers wait on purpose.
pub const LETTER: Duration = Duration::from_secs(45);

/// How long a server may take to say goodbye; the message is taken by then.
pub(crate) const GOODBYE: Duration = Duration::from_secs(2);

/// How much of what a server says is shown, in characters.
const LONGEST: usize = 300;

/// An address of a person or a program, as `user@example.com`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mailbox(Bare);

impl FromStr for Mailbox {
    type Err = MailError;

    fn from_str(text: &str) -> Result<Self, MailError> {
        // A mail server that cannot take other characters than these would be found out only by the first message.
        let address = text.is_ascii().then(|| text.parse().ok()).flatten();
        let address = address.ok_or_else(|| MailError::Mailbox(text.to_owned()))?;
        Ok(Self(address))
    }
}

impl fmt::Display for Mailbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// How what is sent is kept from others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encryption {
    /// TLS from the first byte (RFC 8314).
    Implicit,
    /// TLS after STARTTLS (RFC 3207), which the server has to offer.
    StartTls,
    /// Not at all.
    Off,
}

/// A mail server, and who asks it.
#[derive(Debug, Clone)]
pub struct MailServer {
    /// Its name, or its IP address without brackets.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// How what is sent there is kept from others.
    pub encryption: Encryption,
    /// Certificates of authorities in PEM, which are trusted besides the system's.
    pub authorities: Option<Vec<u8>>,
    /// A name and its password; `None` where the server takes mail from anybody.
    pub login: Option<(String, SecretString)>,
}

/// Mail that cannot be sent.
#[derive(Debug, Error)]
pub enum MailError {
    /// Not the address of anybody.
    #[error("{0:?} is no address of the form user@example.com")]
    Mailbox(String),
    /// Certificates that cannot be used.
    #[error("the certificates cannot be used: {0}")]
    Certificates(String),
}

/// A mail server and the letters that it is handed.
#[derive(Clone)]
pub struct Mail {
    server: MailServer,
    tls: Option<TlsParameters>,
    from: Mailbox,
    to: Vec<Mailbox>,
}

impl Mail {
    /// Mail from somebody to these, by a server.
    ///
    /// # Errors
    ///
    /// When the certificates are none.
    pub fn new(server: MailServer, from: Mailbox, to: Vec<Mailbox>) -> Result<Self, MailError> {
        let tls = match server.encryption {
            Encryption::Off => None,
            Encryption::Implicit | Encryption::StartTls => Some(tls(&server)?),
        };
        Ok(Self {
            server,
            tls,
            from,
            to,
        })
    }

    /// Whether what is sent can be read on the way.
    pub(crate) fn is_in_the_clear(&self) -> bool {
        let host = &self.server.host;
        let is_local = host == "localhost"
            || host.ends_with(".localhost")
            || host
                .parse()
                .is_ok_and(|address: std::net::IpAddr| address.to_canonical().is_loopback());
        self.server.encryption == Encryption::Off && !is_local
    }

    /// Hands the server a message. The connection is left to be ended.
    pub(crate) async fn send(&self, message: &Message) -> Result<AsyncSmtpConnection, Attempt> {
        let letter = letter::of(message, &self.from, &self.to)
            .map_err(|error| Attempt::Never(format!("no letter can be made of it: {error}")))?;
        self.submit(&letter).await.map_err(|error| failed(&error))
    }

    async fn submit(&self, letter: &lettre::Message) -> Result<AsyncSmtpConnection, Error> {
        let hello = ClientId::default();
        let server = (self.server.host.as_str(), self.server.port);
        let implicit = self
            .tls
            .clone()
            .filter(|_| self.server.encryption == Encryption::Implicit);
        let mut connection =
            AsyncSmtpConnection::connect_tokio1(server, None, &hello, implicit, None).await?;
        if let (Encryption::StartTls, Some(tls)) = (self.server.encryption, &self.tls) {
            connection.starttls(tls.clone(), &hello).await?;
        }
        if let Some((name, password)) = &self.server.login {
            let credentials = Credentials::new(name.clone(), password.expose_secret().to_owned());
            connection.auth(DEFAULT_MECHANISMS, &credentials).await?;
        }
        connection.send(letter.envelope(), &letter.formatted()).await?;
        Ok(connection)
    }
}

impl fmt::Debug for Mail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mail")
            .field("server", &self.server)
            .field("from", &self.from)
            .field("to", &self.to)
            .finish_non_exhaustive()
    }
}

/// Whom to trust. Without certificates of the system (a container image from scratch has none), the compiled-in ones.
fn tls(server: &MailServer) -> Result<TlsParameters, MailError> {
    let wrong = |error: &dyn fmt::Display| MailError::Certificates(shown(&error.to_string()));
    let own = match &server.authorities {
        // A file with none in it is taken without an error by what reads it next.
        Some(pem) if reqwest::Certificate::from_pem_bundle(pem).is_ok_and(|found| found.is_empty()) => {
            return Err(wrong(&"there are none in it"));
        }
        Some(pem) => Some(Certificate::from_pem(pem).map_err(|error| wrong(&error))?),
        None => None,
    };
    let builder = || {
        let builder = TlsParametersBuilder::new(server.host.clone());
        own.iter()
            .cloned()
            .fold(builder, TlsParametersBuilder::add_root_certificate)
    };
    match builder().build() {
        Ok(tls) => Ok(tls),
        Err(error) => {
            tracing::debug!(%error, "the system's certificates cannot be used; trusting the compiled-in ones");
            let mut builder = builder().certificate_store(CertificateStore::None);
            for der in webpki_root_certs::TLS_SERVER_ROOT_CERTS {
                let certificate = Certificate::from_der(der.to_vec()).map_err(|error| wrong(&error))?;
                builder = builder.add_root_certificate(certificate);
            }
            builder.build().map_err(|error| wrong(&error))
        }
    }
}

/// What a failure means: what the server refuses for good, or does not offer, it will refuse again.
fn failed(error: &Error) -> Attempt {
    let why = shown(&error.to_string());
    if error.is_permanent() || error.is_client() {
        Attempt::Never(why)
    } else {
        Attempt::Later(why, None)
    }
}

/// What a server said, on one line, and harmless.
fn shown(text: &str) -> String {
    let harmless = |c: char| match c {
        c if c.is_control() => ' ',
        '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => ' ',
        c => c,
    };
    text.chars().take(LONGEST).map(harmless).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_a_name_and_a_host_and_nothing_that_ends_a_line() {
        for text in ["ops@example.com", "a.b+c@mail.example.com", "root@localhost"] {
            assert_eq!(text.parse::<Mailbox>().unwrap().to_string(), text);
        }
        for text in [
            "",
            "ops",
            "@example.com",
            "ops@",
            "ops@example.com\r\nRCPT TO:<x@y>",
            "ops@exa mple.com",
            "Ops <ops@example.com>",
            "a@b@c",
            "öps@example.com",
        ] {
            assert!(text.parse::<Mailbox>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn what_a_server_says_is_one_harmless_line() {
        assert_eq!(shown("no\r\n\u{1b}[2J\u{202e}"), "no   [2J ");
        assert_eq!(shown(&"x".repeat(9_000)).chars().count(), LONGEST);
    }

    #[test]
    fn a_password_is_in_no_debug_output_and_certificates_that_are_none_are_refused() {
        drop(rustls::crypto::ring::default_provider().install_default());
        let mut server = MailServer {
            host: "mail.example.com".to_owned(),
            port: 465,
            encryption: Encryption::Implicit,
            authorities: None,
            login: Some(("lagan".to_owned(), "hunter2".into())),
        };
        let mailbox: Mailbox = "ops@example.com".parse().unwrap();
        let mail = Mail::new(server.clone(), mailbox.clone(), vec![mailbox.clone()]).unwrap();
        assert!(!format!("{mail:?}").contains("hunter2"));
        for nothing in [
            "",
            "no certificate",
            "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
        ] {
            server.authorities = Some(nothing.as_bytes().to_vec());
            let made = Mail::new(server.clone(), mailbox.clone(), vec![mailbox.clone()]);
            assert!(made.is_err(), "{nothing:?}");
        }
    }
}
