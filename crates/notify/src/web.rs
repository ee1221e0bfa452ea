//! Sending by HTTP.

use std::time::Duration;

use chrono::DateTime;
use lagan_model::Time;
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderValue, RETRY_AFTER};
use reqwest::{Certificate, Client, ClientBuilder, redirect, retry};
use serde_json::Value;

use crate::address::Address;
use crate::attempt::{Attempt, LONGEST_ASKED};
use crate::receiver::SetupError;
use crate::sign::SigningKey;

/// The client of all receivers on this machine, or of all that are not: a proxy is for the others. Follows no redirect:
/// an address is a secret, and so is what is sent there.
pub(crate) fn client(local: bool) -> Result<Client, SetupError> {
    let base = || if local { base().no_proxy() } else { base() };
    let build = |trusted: Option<Vec<Certificate>>| match trusted {
        None => base().build(),
        Some(trusted) => base().tls_certs_only(trusted).build(),
    };
    match build(None) {
        Ok(client) => Ok(client),
        // A container image from scratch has no certificates, and then the verifier is refused even for plain HTTP.
        Err(error) => {
            tracing::debug!(%error, "the system's certificates cannot be used; trusting the compiled-in ones");
            let compiled = webpki_root_certs::TLS_SERVER_ROOT_CERTS.iter();
            let trusted: Result<_, _> = compiled.map(|der| Certificate::from_der(der)).collect();
            build(Some(trusted.map_err(SetupError::Client)?)).map_err(SetupError::Client)
        }
    }
}

fn base() -> ClientBuilder {
    Client::builder()
        .user_agent(concat!("lagan/", env!("CARGO_PKG_VERSION")))
        .redirect(redirect::Policy::none())
        .referer(false)
        .retry(retry::never())
        // Between two messages hours may pass.
        .pool_max_idle_per_host(0)
}

/// What is posted.
pub(crate) struct Post<'a> {
    pub(crate) address: &'a Address,
    pub(crate) media_type: &'static str,
    pub(crate) body: &'a Value,
    /// What signs it, and as which message.
    pub(crate) signed: Option<(&'a SigningKey, &'a str)>,
}

/// Posts once.
pub(crate) async fn post(client: &Client, post: &Post<'_>, now: Time) -> Attempt {
    let body = post.body.to_string();
    let mut request = client
        .post(post.address.url())
        .header(CONTENT_TYPE, HeaderValue::from_static(post.media_type));
    if let Some((key, id)) = post.signed {
        let seconds = now.timestamp();
        let signature = key.sign(id, seconds, body.as_bytes());
        request = request
            .header("webhook-id", id)
            .header("webhook-timestamp", seconds)
            .header("webhook-signature", signature);
    }
    match request.body(body).send().await {
        Err(error) => Attempt::Later(broken(&error), None),
        Ok(response) => {
            let status = response.status();
            match status.as_u16() {
                200..=299 => Attempt::Taken,
                408 | 425 | 429 | 500..=599 => {
                    Attempt::Later(format!("answered {status}"), asked(response.headers(), now))
                }
                _ => Attempt::Never(format!("answered {status}")),
            }
        }
    }
}

/// What went wrong, without the client's own words for where: they have the address in them.
fn broken(error: &reqwest::Error) -> String {
    let what = if error.is_connect() {
        "no connection"
    } else if error.is_timeout() {
        "no answer in time"
    } else {
        "the connection broke"
    };
    let mut cause: &dyn std::error::Error = error;
    let mut depth = 0;
    while let Some(source) = cause.source() {
        cause = source;
        depth += 1;
    }
    if depth == 0 {
        what.to_owned()
    } else {
        format!("{what}: {cause}")
    }
}

/// The pause that an answer asks for (RFC 9110, section 10.2.3).
fn asked(headers: &HeaderMap, now: Time) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let wait = if digits {
        text.parse().map_or(LONGEST_ASKED, Duration::from_secs)
    } else {
        let until = DateTime::parse_from_rfc2822(text).ok()?.to_utc();
        (until - now).to_std().unwrap_or_default()
    };
    Some(wait.min(LONGEST_ASKED))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pause_is_asked_for_in_seconds_or_by_a_date_and_is_not_endless() {
        let now: Time = "2026-11-21T12:00:00Z".parse().unwrap();
        for (text, expected) in [
            ("7", Some(7)),
            ("86400", Some(600)),
            ("99999999999999999999999", Some(600)),
            ("Sat, 21 Nov 2026 12:00:30 GMT", Some(30)),
            ("Sat, 21 Nov 2026 11:00:30 GMT", Some(0)),
            ("soon", None),
            ("-1", None),
        ] {
            let headers = HeaderMap::from_iter([(RETRY_AFTER, HeaderValue::from_static(text))]);
            assert_eq!(asked(&headers, now), expected.map(Duration::from_secs), "{text}");
        }
    }
}
