//! Attempts that came to no whole answer: what it means, whether it passes, and what would help.

use std::error::Error as StdError;
use std::io;

use lagan_model::{Failure, RegistryError, RequestKind};

use super::Request;
use crate::guard::Refused;
use crate::problem;

/// What one attempt came to, when not to an answer.
pub(crate) struct Broken {
    pub(crate) error: RegistryError,
    pub(super) passes: bool,
    /// Whether another origin than the one asked failed.
    pub(super) foreign: bool,
}

impl From<RegistryError> for Broken {
    fn from(error: RegistryError) -> Self {
        Self {
            error,
            passes: false,
            foreign: false,
        }
    }
}

/// A request that got no whole answer. The client's own text is left out: it may repeat a URL.
pub(crate) fn broken(request: &Request, error: reqwest::Error) -> Broken {
    let error = error.without_url();
    let cause = problem::clean(&root(&error).to_string());
    let unknown = if request.action.is_repeatable() || error.is_connect() {
        ""
    } else {
        "; it may have been done all the same"
    };
    let failed = |failure, detail: String| RegistryError::new(failure, request.line(), detail + unknown);
    if let Some(tls) = tls_error(&error) {
        let error = failed(
            Failure::Unreachable,
            format!("TLS failed: {}", problem::clean(&tls.to_string())),
        );
        return error.with_hint(tls_hint(tls)).into();
    }
    if let Some(refused) = chain(&error).find_map(|cause| cause.downcast_ref::<Refused>()) {
        let (failure, what) = match request.kind {
            RequestKind::Token => (
                Failure::Unauthorized,
                "the registry sends for a token to a place that it must not name",
            ),
            _ => (
                Failure::Malformed,
                "the registry redirects to a place that it must not name",
            ),
        };
        return failed(
            failure,
            format!("{what}: {}", problem::clean(&refused.to_string())),
        )
        .into();
    }
    if error.is_timeout() {
        return Broken {
            error: failed(Failure::Timeout, "no whole answer within the deadline".to_owned())
                .with_hint("is the registry reachable from here, or is it very slow?"),
            passes: true,
            foreign: false,
        };
    }
    if error.is_connect() {
        return Broken {
            error: failed(Failure::Unreachable, format!("no connection: {cause}"))
                .with_hint("is the registry running there, and are host, port and proxy right?"),
            // Whether there is a registry at all is asked once; a known one may be restarting.
            passes: request.kind != RequestKind::Ping,
            foreign: false,
        };
    }
    let failure = if error.is_builder() || (error.is_decode() && !is_io(&error)) {
        Failure::Malformed
    } else {
        Failure::Unreachable
    };
    Broken {
        error: failed(failure, format!("the answer broke off: {cause}")),
        passes: failure == Failure::Unreachable,
        foreign: false,
    }
}

fn chain<'a>(error: &'a (dyn StdError + 'static)) -> impl Iterator<Item = &'a (dyn StdError + 'static)> {
    std::iter::successors(Some(error), |&error| error.source())
}

fn root<'a>(error: &'a (dyn StdError + 'static)) -> &'a (dyn StdError + 'static) {
    chain(error).last().unwrap_or(error)
}

/// Whether somebody answered, and TLS came to nothing.
pub(crate) fn is_tls(error: &reqwest::Error) -> bool {
    tls_error(error).is_some()
}

fn tls_error(error: &reqwest::Error) -> Option<&rustls::Error> {
    chain(error).find_map(tls_inside)
}

/// An I/O error does not show what it wraps as its source.
fn tls_inside<'a>(cause: &'a (dyn StdError + 'static)) -> Option<&'a rustls::Error> {
    match cause.downcast_ref::<io::Error>() {
        Some(io) => chain(io.get_ref()?).find_map(tls_inside),
        None => cause.downcast_ref(),
    }
}

fn is_io(error: &reqwest::Error) -> bool {
    chain(error).any(|cause| {
        cause.downcast_ref::<io::Error>().is_some_and(|io| {
            matches!(
                io.kind(),
                io::ErrorKind::ConnectionReset | io::ErrorKind::UnexpectedEof
            )
        })
    })
}

fn tls_hint(error: &rustls::Error) -> &'static str {
    use rustls::CertificateError as Wrong;
    match error {
        rustls::Error::InvalidCertificate(Wrong::Expired | Wrong::ExpiredContext { .. }) => {
            "the certificate has expired: renew it, or set this machine's clock"
        }
        rustls::Error::InvalidCertificate(Wrong::NotValidYet | Wrong::NotValidYetContext { .. }) => {
            "the certificate is not valid yet: is this machine's clock right?"
        }
        rustls::Error::InvalidCertificate(Wrong::NotValidForName | Wrong::NotValidForNameContext { .. }) => {
            "the certificate stands for other names: check the host name of the registry's URL"
        }
        rustls::Error::InvalidMessage(_) => {
            "does it speak plain HTTP there? then its URL begins with http://"
        }
        rustls::Error::InvalidCertificate(_) => {
            "if a private authority signed the certificate, give its CA file; else check the host name"
        }
        _ => "check the registry's TLS settings",
    }
}
