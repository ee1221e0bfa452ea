//! What stands at the address of a registry: where it is, its certificate, its clock. For whoever looks before anything
//! else is asked.

use std::net::SocketAddr;
use std::time::Duration;

use http::header::{ACCEPT, DATE};
use http::{HeaderMap, HeaderValue, Method};
use lagan_model::{RegistryError, RequestKind, Time};
use reqwest::tls::TlsInfo;
use thiserror::Error;
use tokio::time::Instant;
use x509_parser::prelude::{FromDer as _, X509Certificate};

use crate::action::Action;
use crate::guard::Guard;
use crate::settings::{Settings, SettingsError};
use crate::tls;
use crate::transport::{Redirects, Request, broken, is_tls};

/// What was seen of whoever answers at a registry's address, whether it is a registry or not.
#[derive(Debug, Clone)]
pub struct Front {
    /// Who was connected to: the registry, or the proxy that leads to it.
    pub address: Option<SocketAddr>,
    /// Its certificate, which the TLS library trusts; `None` on plain HTTP.
    pub certificate: Option<Certificate>,
    /// What its clock says (the `Date` of the answer, to the second), where it says.
    pub date: Option<Time>,
    /// How long it took until it answered: what `date` can be off by, besides a second.
    pub took: Duration,
}

/// A certificate that was trusted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Certificate {
    /// Until when it is; `None` where it cannot be read.
    pub not_after: Option<Time>,
    /// Who signed it.
    pub issuer: String,
}

/// Why there is nothing to be seen.
#[derive(Debug, Error)]
pub enum FrontError {
    /// The settings are at fault; nothing was contacted.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// Nobody answers there.
    #[error(transparent)]
    Nobody(RegistryError),
    /// Somebody does, and cannot be spoken to: a certificate that is not trusted, on either side, or no TLS at all.
    #[error(transparent)]
    Tls(RegistryError),
}

impl Front {
    /// Asks once, as nobody, and sends nothing again.
    ///
    /// # Errors
    ///
    /// Where nobody answers ([`lagan_model::Failure::Unreachable`] or [`lagan_model::Failure::Timeout`]), or TLS
    /// fails. Any answer is one.
    pub async fn look(settings: &Settings) -> Result<Self, FrontError> {
        let guard = Guard::new(settings.url.url());
        let client = tls::client_that_tells(settings, &guard)?;
        let url = format!("{}/v2/", settings.url.as_str());
        let url = url.parse().map_err(SettingsError::UrlSyntax)?;
        let request = Request {
            kind: RequestKind::Ping,
            url,
            accept: HeaderValue::from_static("application/json, */*"),
            limit: 0,
            redirects: Redirects::Never,
            action: Action::Read,
        };
        let mut sent = reqwest::Request::new(Method::GET, request.url.clone());
        sent.headers_mut().insert(ACCEPT, request.accept.clone());
        let began = Instant::now();
        let answer = client.execute(sent).await;
        let took = began.elapsed();
        let answer = answer.map_err(|error| match is_tls(&error) {
            true => FrontError::Tls(broken(&request, error).error),
            false => FrontError::Nobody(broken(&request, error).error),
        })?;
        let tls = answer.extensions().get::<TlsInfo>();
        Ok(Self {
            address: answer.remote_addr(),
            certificate: tls.and_then(TlsInfo::peer_certificate).map(certificate),
            date: date(answer.headers()),
            took,
        })
    }
}

/// The date of an answer (RFC 9110, section 5.6.7).
fn date(headers: &HeaderMap) -> Option<Time> {
    let text = headers.get(DATE)?.to_str().ok()?;
    let read = chrono::NaiveDateTime::parse_from_str(text, "%a, %d %b %Y %H:%M:%S GMT").ok()?;
    Some(read.and_utc())
}

fn certificate(der: &[u8]) -> Certificate {
    let Ok((_, read)) = X509Certificate::from_der(der) else {
        return Certificate {
            not_after: None,
            issuer: String::new(),
        };
    };
    Certificate {
        not_after: Time::from_timestamp(read.validity().not_after.timestamp(), 0),
        issuer: read.issuer().to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_date_of_an_answer_is_read_and_what_is_none_is_not_guessed() {
        let read = |text: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(DATE, HeaderValue::from_static(text));
            date(&headers)
        };
        assert_eq!(
            read("Sun, 06 Nov 1994 08:49:37 GMT"),
            Some("1994-11-06T08:49:37Z".parse().unwrap())
        );
        for text in [
            "",
            "yesterday",
            "Sunday, 06-Nov-94 08:49:37 GMT",
            "1994-11-06T08:49:37Z",
        ] {
            assert_eq!(read(text), None, "{text}");
        }
        assert_eq!(date(&HeaderMap::new()), None);
    }

    #[test]
    fn what_is_no_certificate_says_nothing() {
        assert_eq!(certificate(b"garbage").not_after, None);
    }
}
