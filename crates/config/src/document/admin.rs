//! `admin:`: who may ask something of the daemon, and where it listens beside its socket.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::PathBuf;

use super::registry::path;
use crate::decode::{Fields, Schema, all, check_label, choice, label, mapping, one_or_more, text};
use crate::error::{Problems, Read};
use crate::source::quoted;
use crate::tree::{Key, Node};

/// How a daemon is reached.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AdminSettings {
    /// Where it listens; `None`: nowhere but on its socket.
    pub listen: Option<SocketAddr>,
    /// Names under which it is reached there, in small letters and without a port; addresses and `localhost` need none.
    pub hosts: BTreeSet<String>,
    /// Who may ask what, in the order of the document. Their names differ.
    pub tokens: Vec<AdminToken>,
}

/// Somebody who shows a token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AdminToken {
    /// What they are called in the history.
    pub name: String,
    /// The file that holds the token; the path as it was written.
    pub file: PathBuf,
    /// What they may do.
    pub rights: BTreeSet<Right>,
}

/// What somebody may do. None of them comes with another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Right {
    /// Look.
    Read,
    /// Have a plan made.
    Plan,
    /// Have enforced policies carried out.
    Apply,
    /// Have deletions undone.
    Undo,
}

impl Right {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Read, Self::Plan, Self::Apply, Self::Undo];

    /// Its word in documents.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Plan => "plan",
            Self::Apply => "apply",
            Self::Undo => "undo",
        }
    }
}

pub(crate) const SCHEMA: Schema = Schema {
    what: "`admin`",
    keys: &["listen", "hosts", "tokens"],
    later: &[],
};

/// `token` is known only to be refused with more than "unknown key".
pub(crate) const TOKEN: Schema = Schema {
    what: "a token",
    keys: &["file", "rights", "token"],
    later: &[],
};

/// Reads `admin:`.
pub(crate) fn decode(node: &Node, problems: &mut Problems<'_>) -> Read<AdminSettings> {
    let fields = Fields::open(node, node.span, &SCHEMA, problems)?;
    let listen = fields.optional("listen", |node| {
        let written = text(node, "an address", problems)?;
        written.parse::<SocketAddr>().map_err(|_| {
            let hint = "an address and a port, as 127.0.0.1:8480 or [::1]:8480";
            let message = format!("{} is no address to listen on", quoted(written));
            problems.report(node.span, message, Some(hint.to_owned()))
        })
    });
    let hosts = fields.optional("hosts", |node| one_or_more(node, "a host name", problems, host));
    let tokens = fields.optional("tokens", |node| {
        all(mapping(node, "`tokens`", problems)?, |(key, node)| {
            token(key, node, problems)
        })
    });
    Ok(AdminSettings {
        listen: listen?,
        hosts: hosts?.unwrap_or_default().into_iter().collect(),
        tokens: tokens?.unwrap_or_default(),
    })
}

fn host(node: &Node, problems: &mut Problems<'_>) -> Read<String> {
    let host = label(node, "a host name", problems)?;
    let well_formed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.');
    if !host.bytes().all(well_formed) {
        let hint = "a name such as lagan.example.com, without a scheme and a port";
        let message = format!("{} is no host name", quoted(host));
        return Err(problems.report(node.span, message, Some(hint.to_owned())));
    }
    Ok(host.to_ascii_lowercase())
}

fn token(key: &Key, node: &Node, problems: &mut Problems<'_>) -> Read<AdminToken> {
    check_label(&key.text, key.span, "the name of a token", problems)?;
    let fields = Fields::open(node, key.span, &TOKEN, problems)?;
    if let Some((key, value)) = fields.entry("token") {
        problems.hide(value.span);
        let hint = "write it to a file, and give `file`".to_owned();
        return Err(problems.report(key.span, "a configuration holds no secret", Some(hint)));
    }
    let file = fields
        .required("file", Some("`file: /run/secrets/lagan-ci`"), problems)
        .and_then(|(_, node)| path(node, problems));
    let words = Right::ALL.map(|right| (right.as_str(), right));
    let rights = fields
        .required("rights", Some("`rights: [read, plan]`"), problems)
        .and_then(|(_, node)| {
            one_or_more(node, "a right", problems, |node, problems| {
                choice(node, "a right", &words, problems)
            })
        });
    Ok(AdminToken {
        name: key.text.clone(),
        file: file?,
        rights: rights?.into_iter().collect(),
    })
}
