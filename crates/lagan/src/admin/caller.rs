//! Who asks, and whether they may: the first thing that is done with a request.
//!
//! A page of some website can make a browser send requests here, even under a name of its own that it lets lead to this
//! machine. So a name has to be one of ours, what changes something needs a header that no browser adds by itself, and
//! no answer allows another origin to read it.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use lagan_config::{AdminSettings, Right};
use lagan_report::sanitize::clipped;

use super::problem::Problem;
use super::refusals::Kind;
use super::tokens::{bearer, named};
use super::{Desk, hooks};

/// By which way a connection came in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    /// Over the socket, from somebody whom the kernel knows.
    Socket {
        uid: u32,
        /// Whether that is the owner of the state directory, or root.
        trusted: bool,
    },
    /// Over TCP.
    Tcp {
        /// Whether only this machine can come that way.
        loopback: bool,
    },
}

/// Who asks.
#[derive(Debug, Clone)]
pub(super) struct Caller {
    /// As the history names them.
    pub(super) name: String,
    rights: BTreeSet<Right>,
    /// Whether they showed a token.
    known: bool,
}

impl Caller {
    /// Makes sure that they may do something.
    pub(super) fn may(&self, right: Right) -> Result<(), Problem> {
        if self.rights.contains(&right) {
            return Ok(());
        }
        let word = right.as_str();
        Err(match self.known {
            false => Problem::new(
                StatusCode::UNAUTHORIZED,
                format!("this needs a token with the right `{word}`"),
            )
            .hint("send `Authorization: Bearer TOKEN`; `admin.tokens` of the configuration has the tokens"),
            true => Problem::new(
                StatusCode::FORBIDDEN,
                format!(
                    "this needs the right `{word}`, and {} has {}",
                    self.name,
                    named(&self.rights)
                ),
            ),
        })
    }

    /// What they are called, where they showed who they are.
    pub(super) fn known(&self) -> Option<&str> {
        self.known.then_some(&*self.name)
    }

    /// Whether they may see more than that the daemon lives.
    pub(super) fn may_look(&self) -> bool {
        self.rights.contains(&Right::Read)
    }
}

/// Lets a request in, or tells why not.
pub(super) async fn admit(State(desk): State<Arc<Desk>>, mut request: Request, next: Next) -> Response {
    let way = request.extensions().get::<Way>().copied();
    let asked = (request.method().clone(), request.uri().path().to_owned());
    let (mut answer, caller) = match who(&desk, &request) {
        Ok(caller) => {
            request.extensions_mut().insert(caller.clone());
            (next.run(request).await, Some(caller))
        }
        Err(problem) => (problem.into_response(), None),
    };
    let status = answer.status();
    if let Some(way) = way
        && (status.is_client_error() || status.is_server_error())
    {
        let config = desk.board.read().config;
        let caller = answer.extensions().get::<Caller>().or(caller.as_ref());
        if let Some(kind) = Kind::of((&asked.0, &asked.1), status, way, caller, &config) {
            let by = match (way, kind.by()) {
                (_, Some(by)) => by.to_owned(),
                (Way::Socket { uid, .. }, None) => format!("uid {uid}"),
                (Way::Tcp { .. }, None) => NOBODY.to_owned(),
            };
            desk.refusals.refused(kind, &by).await;
        }
    }
    let headers = answer.headers_mut();
    for (name, value) in HEADERS {
        headers.entry(name).or_insert(HeaderValue::from_static(value));
    }
    answer
}

/// What every answer says to browsers.
const HEADERS: [(HeaderName, &str); 6] = [
    (header::CACHE_CONTROL, "no-store"),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::X_FRAME_OPTIONS, "DENY"),
    (header::REFERRER_POLICY, "no-referrer"),
    (
        header::CONTENT_SECURITY_POLICY,
        "default-src 'none'; frame-ancestors 'none'; base-uri 'none'",
    ),
    (
        HeaderName::from_static("cross-origin-resource-policy"),
        "same-origin",
    ),
];

fn who(desk: &Desk, request: &Request) -> Result<Caller, Problem> {
    let way = request.extensions().get::<Way>();
    let way = way.ok_or_else(|| Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "nobody asked"))?;
    let loopback = match *way {
        Way::Socket { uid, trusted: true } => {
            return Ok(Caller {
                name: format!("uid {uid}"),
                rights: Right::ALL.into(),
                known: true,
            });
        }
        Way::Socket { uid, trusted: false } => {
            let detail =
                format!("the socket is for the owner of the state directory and root, not for uid {uid}");
            return Err(Problem::new(StatusCode::FORBIDDEN, detail));
        }
        Way::Tcp { loopback } => loopback,
    };
    // Who tells something shows a secret of another kind, which no browser has, whatever name it was led here by.
    if request.uri().path().starts_with(hooks::PLACE) {
        return Ok(nobody(false));
    }
    let config = desk.board.read().config;
    let settings = &config.admin;
    called_by_our_name(settings, request)?;
    let Some(shown) = request.headers().get(header::AUTHORIZATION) else {
        return Ok(nobody(loopback));
    };
    match bearer(shown.as_bytes()) {
        Some(shown) => of_token(desk, shown),
        None => Err(unknown()),
    }
}

/// Who showed nothing.
pub(super) const NOBODY: &str = "nobody";

fn nobody(loopback: bool) -> Caller {
    Caller {
        name: NOBODY.to_owned(),
        rights: loopback.then_some(Right::Read).into_iter().collect(),
        known: false,
    }
}

/// Who shows a token.
pub(super) fn of_token(desk: &Desk, shown: &[u8]) -> Result<Caller, Problem> {
    let config = desk.board.read().config;
    match desk.tokens.whose(shown, &config.admin.tokens) {
        Some(token) => Ok(Caller {
            name: format!("token {}", token.name),
            rights: token.rights.clone(),
            known: true,
        }),
        None => Err(unknown()),
    }
}

fn unknown() -> Problem {
    Problem::new(StatusCode::UNAUTHORIZED, "this token is not known")
}

/// Makes sure that whoever asks meant us.
fn called_by_our_name(settings: &AdminSettings, request: &Request) -> Result<(), Problem> {
    let mut hosts = request.headers().get_all(header::HOST).iter();
    let (Some(host), None) = (hosts.next(), hosts.next()) else {
        return Err(Problem::wrong("a request has one `Host`"));
    };
    let host = host.to_str().unwrap_or_default();
    let others = request.uri().authority().map(|authority| authority.as_str());
    for called in [Some(host), others].into_iter().flatten() {
        if !is_ours(settings, called) {
            let detail = format!("this is not {}", clipped(called, 100));
            let problem = Problem::new(StatusCode::MISDIRECTED_REQUEST, detail);
            return Err(problem.hint("a name under which the daemon is reached stands in `admin.hosts`"));
        }
    }
    Ok(())
}

/// No name leads to an address that is written as one.
fn is_ours(settings: &AdminSettings, called: &str) -> bool {
    let (name, port) = match called.strip_prefix('[') {
        Some(rest) => match rest.split_once(']') {
            Some((name, port)) => (name, port),
            None => return false,
        },
        None => match called.find(':') {
            Some(at) => called.split_at(at),
            None => (called, ""),
        },
    };
    let is_port = port.is_empty()
        || port
            .strip_prefix(':')
            .is_some_and(|port| port.parse::<u16>().is_ok());
    let name = name.to_ascii_lowercase();
    let known = |name: &str| name == "localhost" || settings.hosts.contains(name);
    is_port && (name.parse::<IpAddr>().is_ok() || known(&name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_ours_where_it_is_an_address_or_was_said() {
        let settings = AdminSettings {
            hosts: ["lagan.example.com".to_owned()].into(),
            ..AdminSettings::default()
        };
        for (called, ours) in [
            ("127.0.0.1", true),
            ("127.0.0.1:8480", true),
            ("10.1.2.3:80", true),
            ("[::1]:8480", true),
            ("[::1]", true),
            ("localhost:8480", true),
            ("LOCALHOST", true),
            ("Lagan.Example.com:443", true),
            ("evil.example.com", false),
            ("lagan.example.com.evil.example", false),
            ("localhost.evil.example:8480", false),
            ("127.0.0.1.evil.example", false),
            ("127.0.0.1:8480@evil.example", false),
            ("[::1", false),
            ("[::1]x", false),
            ("localhost:port", false),
            ("", false),
        ] {
            assert_eq!(is_ours(&settings, called), ours, "{called:?}");
        }
    }
}
