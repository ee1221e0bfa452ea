//! `email:` of a receiver: a mail server, and who writes to whom by it.

use std::net::IpAddr;
use std::path::PathBuf;

use super::notifications::secret;
use super::registry::{SecretSource, path};
use crate::decode::{Fields, Schema, choice, label, number, one_or_more, text};
use crate::error::{Problems, Read};
use crate::source::Span;
use crate::tree::Node;

/// A mail server, and who writes to whom by it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EmailSettings {
    /// The server's name, or its IP address without brackets.
    pub server: String,
    /// Its port; that of the kind of encryption unless said.
    pub port: u16,
    /// How what is sent there is kept from others.
    pub tls: EmailTls,
    /// Certificates to trust besides the system's.
    pub ca_file: Option<PathBuf>,
    /// Who asks, and where the password is; `None` where the server asks nobody.
    pub login: Option<(String, SecretSource)>,
    /// Who writes.
    pub from: String,
    /// To whom; one at least.
    pub to: Vec<String>,
}

/// How what is sent to a mail server is kept from others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EmailTls {
    /// TLS from the first byte.
    Implicit,
    /// TLS after STARTTLS, or nothing is sent.
    StartTls,
    /// Not at all.
    Off,
}

impl EmailTls {
    const fn port(self) -> u16 {
        match self {
            Self::Implicit => 465,
            Self::StartTls => 587,
            Self::Off => 25,
        }
    }
}

/// Words for them.
pub(crate) const TLS: [(&str, EmailTls); 3] = [
    ("implicit", EmailTls::Implicit),
    ("starttls", EmailTls::StartTls),
    ("none", EmailTls::Off),
];

/// `password` is known only to be refused with more than "unknown key".
pub(crate) const SCHEMA: Schema = Schema {
    what: "`email`",
    keys: &[
        "server",
        "port",
        "tls",
        "ca_file",
        "username",
        "password_file",
        "password_env",
        "from",
        "to",
        "password",
    ],
    later: &[],
};

pub(crate) fn decode(node: &Node, place: Span, problems: &mut Problems<'_>) -> Read<EmailSettings> {
    let fields = Fields::open(node, place, &SCHEMA, problems)?;
    let hint = "give `password_file`, or `password_env` with the name of a variable";
    if let Some((key, value)) = fields.entry("password") {
        problems.hide(value.span);
        return Err(problems.report(key.span, "a configuration holds no secret", Some(hint.to_owned())));
    }
    let server = fields
        .required("server", None, problems)
        .and_then(|(_, node)| server(node, problems));
    let tls = fields.optional("tls", |node| choice(node, "a kind of encryption", &TLS, problems));
    let port = fields.optional("port", |node| port(node, problems));
    let ca_file = fields.optional("ca_file", |node| path(node, problems));
    let username = fields.optional("username", |node| {
        label(node, "a user name", problems).map(str::to_owned)
    });
    let password = secret(&fields, ["password_file", "password_env"], problems);
    let from = fields
        .required("from", None, problems)
        .and_then(|(_, node)| mailbox(node, problems));
    let to = fields
        .required("to", None, problems)
        .and_then(|(_, node)| one_or_more(node, "an address, or a list of them", problems, mailbox));
    let (server, tls) = (server?, tls?.unwrap_or(EmailTls::Implicit));
    let login = match (username?, password?) {
        (Some(username), Some(password)) => Some((username, password)),
        (None, None) => None,
        (Some(_), None) => {
            let message = "`email` has a user name and no password";
            return Err(problems.report(place, message, Some(hint.to_owned())));
        }
        (None, Some(_)) => {
            return Err(problems.report(place, "`email` has a password and no `username`", None));
        }
    };
    if login.is_some() && tls == EmailTls::Off && !is_local(&server) {
        let message = "a password is not sent to another machine without encryption";
        let hint = "leave `tls` out, or write `tls: starttls`".to_owned();
        return Err(problems.report(place, message, Some(hint)));
    }
    Ok(EmailSettings {
        server,
        port: port?.unwrap_or(tls.port()),
        tls,
        ca_file: ca_file?,
        login,
        from: from?,
        to: to?,
    })
}

/// Whether a server is on this machine.
fn is_local(server: &str) -> bool {
    server == "localhost"
        || server.ends_with(".localhost")
        || server
            .parse()
            .is_ok_and(|address: IpAddr| address.to_canonical().is_loopback())
}

fn server(node: &Node, problems: &mut Problems<'_>) -> Read<String> {
    let written = text(node, "the name of a mail server", problems)?;
    if written.parse::<IpAddr>().is_ok() || is_domain(written) {
        return Ok(written.to_owned());
    }
    let hint = "write `server: mail.example.com`, and the port as `port`".to_owned();
    Err(problems.report(node.span, "this is no name of a server", Some(hint)))
}

/// Letters, digits and hyphens between dots (RFC 1123, section 2.1).
fn is_domain(text: &str) -> bool {
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && label
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    text.len() <= 253 && text.split('.').all(is_label)
}

fn port(node: &Node, problems: &mut Problems<'_>) -> Read<u16> {
    let wanted = "a port from 1 to 65535";
    let written = number(node, wanted, problems)?;
    u16::try_from(written)
        .ok()
        .filter(|port| *port > 0)
        .ok_or_else(|| problems.report(node.span, format!("expected {wanted}, found {written}"), None))
}

/// An address without a name, quotes or comments: what every mail server takes (RFC 5321, section 4.1.2, `Dot-string`).
fn mailbox(node: &Node, problems: &mut Problems<'_>) -> Read<String> {
    let written = text(node, "an address", problems)?;
    let is_atom = |atom: &str| {
        !atom.is_empty()
            && atom
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-/=?^_`{|}~".contains(&byte))
    };
    let well_formed = written
        .split_once('@')
        .is_some_and(|(name, domain)| name.len() <= 64 && name.split('.').all(is_atom) && is_domain(domain));
    if well_formed {
        return Ok(written.to_owned());
    }
    let hint = "write the bare address, as `ops@example.com`".to_owned();
    Err(problems.report(node.span, "this is no address", Some(hint)))
}
