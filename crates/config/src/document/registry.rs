//! `registries:`: what it takes to reach a registry.

use std::collections::BTreeMap;
use std::num::NonZeroU16;
use std::path::PathBuf;

use lagan_model::name::NameError;
use lagan_model::{RegistryKind, RegistryName};
use lagan_policy::age::Age;
use lagan_policy::{PolicyName, PolicySet};
use lagan_scheduler::{Freeze, Schedule};
use url::Url;

use super::keep::age;
use super::webhook::{self, WebhookSettings};
use crate::decode::{Fields, Schema, all, choice, label, mapping, number, one_or_more, text, truth};
use crate::error::{Problems, Read};
use crate::source::Span;
use crate::tree::{Key, Node};

/// A registry as the configuration describes it, and its policies.
#[derive(Debug, Clone)]
pub struct RegistrySettings {
    /// Its name.
    pub name: RegistryName,
    /// Its base URL as it was written: http or https, a host, no credentials, no query, not ending in `/v2`.
    pub url: String,
    /// What it speaks; `None`: find out.
    pub kind: Option<RegistryKind>,
    /// Who we are there; `None`: nobody.
    pub credentials: Option<Credentials>,
    /// Whom we trust there.
    pub tls: TlsSettings,
    /// The largest number of requests at a time, 1 to 256; `None`: the default.
    pub max_concurrency: Option<NonZeroU16>,
    /// The file that lists its repositories in the place of a catalog; the path as it was written.
    pub repositories_file: Option<PathBuf>,
    /// Whether it may be asked what it can delete, by deletions of what does not exist.
    pub probe: bool,
    /// How long a run may take; `None`: the default.
    pub deadline: Option<Age>,
    /// Origins besides the registry's own that may have the credentials for a token, as they were written: https, a
    /// host, perhaps a port, and nothing else.
    pub token_realms: Vec<String>,
    /// Whether the registry is to collect its garbage after runs; `None`: not.
    pub collect_garbage: Option<CollectGarbage>,
    /// What it tells a daemon when something changes in it; `None`: nothing.
    pub webhook: Option<WebhookSettings>,
    /// The policies for it, in the order of the document.
    pub policies: PolicySet,
    /// When the daemon runs them; those that are not in it run when somebody asks for it.
    pub schedules: BTreeMap<PolicyName, Schedule>,
    /// When they may delete nothing; those that always may are not in it.
    pub freezes: BTreeMap<PolicyName, Vec<Freeze>>,
}

/// After which runs garbage is collected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CollectAfter {
    /// Those that did all that they were to do, and deleted something.
    WholeRun,
    /// All that ended, those that were partial among them.
    EveryRun,
}

impl CollectAfter {
    /// Every value.
    pub const ALL: [Self; 2] = [Self::WholeRun, Self::EveryRun];

    /// Its name, as configurations write it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::WholeRun => "whole-run",
            Self::EveryRun => "every-run",
        }
    }
}

/// How garbage is collected after runs. What was deleted before cannot be brought back then.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CollectGarbage {
    /// After which runs.
    pub after: CollectAfter,
    /// Whether the registry takes every artifact without a tag as well, those that policies keep among them.
    pub delete_untagged: bool,
}

/// Where to find who we are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Credentials {
    /// A user name, and where its password is.
    Password {
        /// Not empty, no colon (RFC 7617, section 2).
        username: String,
        /// Where the password is.
        password: SecretSource,
    },
    /// A docker configuration, or a folder that holds one; the path as it was written.
    DockerConfig(PathBuf),
}

/// Where a secret is. The secret itself is never in a configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SecretSource {
    /// In a file; the path as it was written.
    File(PathBuf),
    /// In a variable of the environment.
    Environment(String),
}

/// Trust beyond that of the system, and what proves who we are.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TlsSettings {
    /// A PEM file of further certificates; the path as it was written.
    pub ca_file: Option<PathBuf>,
    /// What the registry gets to see of us.
    pub client: Option<ClientCertificateFiles>,
}

/// PEM files; the paths as they were written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientCertificateFiles {
    /// The certificate, and those that lead to its authority.
    pub certificate: PathBuf,
    /// Its private key.
    pub key: PathBuf,
}

pub(crate) const SCHEMA: Schema = Schema {
    what: "a registry",
    keys: &[
        "url",
        "kind",
        "credentials",
        "tls",
        "max_concurrency",
        "repositories_file",
        "probe",
        "deadline",
        "token_realms",
        "collect_garbage",
        "webhook",
    ],
    later: &["aliases"],
};

/// `password` is known only to be refused with more than "unknown key".
pub(crate) const CREDENTIALS: Schema = Schema {
    what: "`credentials`",
    keys: &[
        "username",
        "password_file",
        "password_env",
        "docker_config",
        "password",
    ],
    later: &[],
};

pub(crate) const TLS: Schema = Schema {
    what: "`tls`",
    keys: &["ca_file", "client_cert_file", "client_key_file"],
    later: &[],
};

pub(crate) const COLLECT_GARBAGE: Schema = Schema {
    what: "`collect_garbage`",
    keys: &["after", "delete_untagged"],
    later: &[],
};

pub(crate) const MAX_CONCURRENCY: u16 = 256;

/// Reads `registries:`. No registry has policies yet.
pub(crate) fn decode_all(node: &Node, problems: &mut Problems<'_>) -> Read<Vec<RegistrySettings>> {
    all(mapping(node, "`registries`", problems)?, |(key, node)| {
        decode(key, node, problems)
    })
}

fn decode(key: &Key, node: &Node, problems: &mut Problems<'_>) -> Read<RegistrySettings> {
    let name = key
        .text
        .parse()
        .map_err(|error: NameError| problems.report(key.span, error.to_string(), None));
    let fields = Fields::open(node, key.span, &SCHEMA, problems)?;
    let url = fields
        .required("url", Some("`url: https://registry.example.com`"), problems)
        .and_then(|(_, node)| url(node, problems));
    let kind = fields.optional("kind", |node| kind(node, problems));
    let credentials = match fields.entry("credentials") {
        Some((key, node)) => credentials(node, key.span, problems).map(Some),
        None => Ok(None),
    };
    let tls = match fields.entry("tls") {
        Some((key, node)) => tls(node, key.span, problems),
        None => Ok(TlsSettings::default()),
    };
    let repositories_file = fields.optional("repositories_file", |node| path(node, problems));
    let probe = fields.optional("probe", |node| truth(node, problems));
    let max_concurrency = fields.optional("max_concurrency", |node| concurrency(node, problems));
    let deadline = fields.optional("deadline", |node| age(node, problems));
    let token_realms = fields.optional("token_realms", |node| {
        one_or_more(node, "an origin", problems, token_realm)
    });
    let collect_garbage = match fields.entry("collect_garbage") {
        Some((key, node)) => collect_garbage(node, key.span, problems).map(|read| Some((key.span, read))),
        None => Ok(None),
    };
    if let (Ok(Some((place, _))), Ok(Some(Some(RegistryKind::Oci)))) = (&collect_garbage, &kind) {
        let message = "only a Harbor collects its garbage when it is told to";
        let hint = Some("leave `collect_garbage` out, or write `kind: harbor`".to_owned());
        problems.report(*place, message, hint);
    }
    let webhook = match fields.entry("webhook") {
        Some((key, node)) => webhook::decode(node, key.span, problems).map(Some),
        None => Ok(None),
    };
    Ok(RegistrySettings {
        name: name?,
        url: url?,
        kind: kind?.flatten(),
        credentials: credentials?,
        tls: tls?,
        max_concurrency: max_concurrency?,
        repositories_file: repositories_file?,
        probe: probe?.unwrap_or(false),
        deadline: deadline?,
        token_realms: token_realms?.unwrap_or_default(),
        collect_garbage: collect_garbage?.map(|(_, read)| read),
        webhook: webhook?,
        policies: PolicySet::default(),
        schedules: BTreeMap::new(),
        freezes: BTreeMap::new(),
    })
}

fn url(node: &Node, problems: &mut Problems<'_>) -> Read<String> {
    let written = text(node, "a URL", problems)?;
    // What stands before an `@` may be a password, wherever a parser would put it: the line is not shown then.
    if written.contains('@') {
        problems.hide(node.span);
    }
    let whole = "write https://registry.example.com, or http://localhost:5000 for plain HTTP";
    let wrong = match Url::parse(written) {
        Err(error) => Some((format!("the URL cannot be read: {error}"), whole)),
        Ok(url) if !matches!(url.scheme(), "http" | "https") => {
            Some(("the URL is neither http nor https".to_owned(), whole))
        }
        Ok(url) if !url.username().is_empty() || url.password().is_some() => {
            let hint = "write `credentials: {username: ..., password_file: ...}`, and the URL without them";
            Some(("the URL holds credentials".to_owned(), hint))
        }
        Ok(url) if url.query().is_some() || url.fragment().is_some() => {
            problems.hide(node.span);
            Some((
                "the URL has a query or a fragment".to_owned(),
                "write it up to the host or the path prefix",
            ))
        }
        Ok(url) if url.path().trim_end_matches('/').ends_with("/v2") => Some((
            "the URL ends in /v2".to_owned(),
            "leave /v2 away: it is added to every request",
        )),
        Ok(_) => None,
    };
    match wrong {
        Some((message, hint)) => Err(problems.report(node.span, message, Some(hint.to_owned()))),
        None => Ok(written.to_owned()),
    }
}

fn token_realm(node: &Node, problems: &mut Problems<'_>) -> Read<String> {
    let written = text(node, "an origin", problems)?;
    let origin = |url: &Url| {
        let whole = [url.path(), url.username(), url.query().unwrap_or_default()].concat();
        url.scheme() == "https" && whole == "/" && url.password().is_none() && url.fragment().is_none()
    };
    if Url::parse(written).is_ok_and(|url| origin(&url)) {
        return Ok(written.to_owned());
    }
    if written.contains(['@', '?', '#']) {
        problems.hide(node.span);
    }
    let message = "a token service is named by https, its host and perhaps a port";
    Err(problems.report(
        node.span,
        message,
        Some("as in https://auth.example.com".to_owned()),
    ))
}

fn kind(node: &Node, problems: &mut Problems<'_>) -> Read<Option<RegistryKind>> {
    let known = RegistryKind::ALL.map(|kind| (kind.as_str(), Some(kind)));
    let kinds: Vec<_> = std::iter::once(("auto", None)).chain(known).collect();
    choice(node, "a kind of registry", &kinds, problems)
}

fn collect_garbage(node: &Node, place: Span, problems: &mut Problems<'_>) -> Read<CollectGarbage> {
    let fields = Fields::open(node, place, &COLLECT_GARBAGE, problems)?;
    let values = CollectAfter::ALL.map(|after| (after.as_str(), after));
    let hint = Some("`collect_garbage: {after: whole-run}`");
    let after = fields
        .required("after", hint, problems)
        .and_then(|(_, node)| choice(node, "a kind of run", &values, problems));
    let delete_untagged = fields.optional("delete_untagged", |node| truth(node, problems));
    Ok(CollectGarbage {
        after: after?,
        delete_untagged: delete_untagged?.unwrap_or(false),
    })
}

fn tls(node: &Node, place: Span, problems: &mut Problems<'_>) -> Read<TlsSettings> {
    let fields = Fields::open(node, place, &TLS, problems)?;
    let ca_file = fields.optional("ca_file", |node| path(node, problems));
    let certificate = fields.optional("client_cert_file", |node| path(node, problems));
    let key = fields.optional("client_key_file", |node| path(node, problems));
    let client = match (certificate?, key?) {
        (Some(certificate), Some(key)) => Some(ClientCertificateFiles { certificate, key }),
        (None, None) => None,
        _ => {
            let message = "`tls` has `client_cert_file` and `client_key_file`, or neither";
            return Err(problems.report(place, message, None));
        }
    };
    Ok(TlsSettings {
        ca_file: ca_file?,
        client,
    })
}

fn credentials(node: &Node, place: Span, problems: &mut Problems<'_>) -> Read<Credentials> {
    let fields = Fields::open(node, place, &CREDENTIALS, problems)?;
    let hint = "give `password_file`, or `password_env` with the name of a variable".to_owned();
    if let Some((key, value)) = fields.entry("password") {
        problems.hide(value.span);
        return Err(problems.report(key.span, "a configuration holds no secret", Some(hint)));
    }
    if let Some((key, node)) = fields.entry("docker_config") {
        let others = ["username", "password_file", "password_env"];
        if others.iter().any(|other| fields.entry(other).is_some()) {
            let message = "`docker_config` stands alone: it has the user names and the passwords";
            return Err(problems.report(key.span, message, None));
        }
        return path(node, problems).map(Credentials::DockerConfig);
    }
    let username = fields.required("username", None, problems).and_then(|(_, node)| {
        let name = label(node, "a user name", problems)?;
        if name.contains(':') {
            return Err(problems.report(node.span, "a user name holds no colon", None));
        }
        Ok(name.to_owned())
    });
    let file = fields.optional("password_file", |node| {
        path(node, problems).map(SecretSource::File)
    });
    let variable = fields.optional("password_env", |node| {
        variable(node, problems).map(SecretSource::Environment)
    });
    let password = match (file?, variable?) {
        (Some(source), None) | (None, Some(source)) => source,
        (None, None) => return Err(problems.report(place, "`credentials` has no password", Some(hint))),
        (Some(_), Some(_)) => {
            let message = "`credentials` has one of `password_file` and `password_env`, not both";
            return Err(problems.report(place, message, None));
        }
    };
    Ok(Credentials::Password {
        username: username?,
        password,
    })
}

pub(crate) fn variable(node: &Node, problems: &mut Problems<'_>) -> Read<String> {
    let name = label(node, "the name of a variable", problems)?;
    let well_formed = name
        .bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    if !well_formed || name.starts_with(|c: char| c.is_ascii_digit()) {
        // Somebody may have put the password itself here.
        problems.hide(node.span);
        let hint = Some("a name has letters, digits and `_`, as in `HARBOR_PASSWORD`".to_owned());
        return Err(problems.report(node.span, "this is no name of a variable", hint));
    }
    Ok(name.to_owned())
}

/// A path; it is not looked at.
pub(crate) fn path(node: &Node, problems: &mut Problems<'_>) -> Read<PathBuf> {
    let path = text(node, "a path", problems)?;
    if path.is_empty() || path.contains('\0') {
        return Err(problems.report(node.span, "a path is not empty and holds no NUL", None));
    }
    Ok(PathBuf::from(path))
}

fn concurrency(node: &Node, problems: &mut Problems<'_>) -> Read<NonZeroU16> {
    let wanted = format!("a whole number from 1 to {MAX_CONCURRENCY}");
    let requests = number(node, &wanted, problems)?;
    u16::try_from(requests)
        .ok()
        .filter(|requests| *requests <= MAX_CONCURRENCY)
        .and_then(NonZeroU16::new)
        .ok_or_else(|| problems.report(node.span, format!("expected {wanted}, found {requests}"), None))
}
