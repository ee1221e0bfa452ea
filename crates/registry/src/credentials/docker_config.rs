//! `config.json` as docker writes it, and as Kubernetes keeps it in a secret.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use lagan_model::json;
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;

use super::{CredentialError, Login, helper, read_file};
use crate::address::RegistryUrl;
use crate::settings::Credentials;

/// A docker configuration, and what it takes to run the credential helpers that it names.
#[derive(Debug, Clone)]
pub struct DockerConfig {
    /// The file; or a folder with a `.dockerconfigjson`, as Kubernetes mounts it, or a `config.json`.
    pub path: PathBuf,
    /// Where helpers are looked up, in this order; those that are not absolute are passed over. Their `PATH`.
    pub helper_folders: Vec<PathBuf>,
    /// The helpers' `HOME`.
    pub home: Option<PathBuf>,
    /// How long a helper may take.
    pub helper_timeout: Duration,
}

impl DockerConfig {
    /// The configuration at `path`, with the helpers in `helper_folders`, which may take 10 s.
    #[must_use]
    pub fn new(path: PathBuf, helper_folders: Vec<PathBuf>) -> Self {
        Self {
            path,
            helper_folders,
            home: None,
            helper_timeout: Duration::from_secs(10),
        }
    }

    /// The file itself.
    pub(super) fn file(&self) -> PathBuf {
        for name in [".dockerconfigjson", "config.json"] {
            let inside = self.path.join(name);
            if std::fs::metadata(&inside).is_ok() {
                return inside;
            }
        }
        self.path.clone()
    }

    pub(super) async fn login(&self, registry: &RegistryUrl) -> Result<Login, CredentialError> {
        let path = self.file();
        let content = read_file(&path).await?;
        let wrong = |reason| CredentialError::Content {
            path: path.clone(),
            reason,
        };
        // The parser's own message could repeat a part of a secret.
        let content: Content =
            json::read(&content).map_err(|_| wrong("the file is not a docker configuration in JSON"))?;
        let place = Place::of(registry.as_str());
        let ambiguous = |keys: &'static str| CredentialError::Ambiguous {
            path: path.clone(),
            host: place.host.clone(),
            keys,
        };
        let own = best(&place, &content.cred_helpers).map_err(|Several| ambiguous("credHelpers"))?;
        let asked = match (own, &content.creds_store) {
            (Some((key, name)), _) => helper::ask(self, name, key).await?,
            (None, Some(name)) if !name.is_empty() => {
                let server = if place.host == DOCKER_HUB {
                    DOCKER_HUB_KEY
                } else {
                    &place.host
                };
                helper::ask(self, name, server).await?
            }
            _ => None,
        };
        if let Some(login) = asked {
            return Ok(login);
        }
        match best(&place, &content.auths).map_err(|Several| ambiguous("auths"))? {
            Some((_, entry)) => entry.login().map_err(wrong)?,
            None => None,
        }
        .ok_or(CredentialError::NoneFor {
            path,
            host: place.host,
        })
    }
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Content {
    auths: BTreeMap<String, Entry>,
    cred_helpers: BTreeMap<String, String>,
    creds_store: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Entry {
    auth: Option<SecretString>,
    username: Option<String>,
    password: Option<SecretString>,
    identitytoken: Option<SecretString>,
}

impl Entry {
    /// `None` where there is nothing in it, as docker leaves it beside a credential store.
    fn login(&self) -> Result<Option<Login>, &'static str> {
        let given = |secret: &SecretString| !secret.expose_secret().is_empty();
        if let Some(token) = self.identitytoken.as_ref().filter(|token| given(token)) {
            return Ok(Some(Login::IdentityToken(token.clone())));
        }
        let auth = self.auth.as_ref().filter(|auth| given(auth));
        let (username, password) = match (auth, &self.username, &self.password) {
            (Some(auth), _, _) => {
                let pair = STANDARD.decode(auth.expose_secret().trim());
                let pair = pair.ok().and_then(|pair| String::from_utf8(pair).ok());
                let pair = SecretString::from(pair.ok_or("an `auth` is not base64 of text")?);
                let (username, password) = pair
                    .expose_secret()
                    .split_once(':')
                    .ok_or("an `auth` holds no colon between user name and password")?;
                let password = SecretString::from(password.trim_end_matches('\0'));
                (username.to_owned(), password)
            }
            (None, Some(username), Some(password)) if !username.is_empty() => {
                (username.clone(), password.clone())
            }
            _ => return Ok(None),
        };
        let credentials = Credentials::new(username, password);
        credentials
            .map(|credentials| Some(Login::Password(credentials)))
            .map_err(|_| "a user name must not be empty and must not hold a colon")
    }
}

/// The host by which docker knows Docker Hub, whatever name was used.
const DOCKER_HUB: &str = "index.docker.io";

/// Its key in a configuration.
const DOCKER_HUB_KEY: &str = "https://index.docker.io/v1/";

/// What a key, or a URL, is about: keys come with and without scheme, port and path.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Place {
    /// Host, and port where it is not that of the scheme.
    host: String,
    /// The segments of the path, but for those of the protocol.
    path: Vec<String>,
}

impl Place {
    fn of(key: &str) -> Self {
        let (scheme, rest) = key.split_once("://").unwrap_or(("", key));
        let mut segments = rest.split('/');
        let host = segments.next().unwrap_or_default().to_ascii_lowercase();
        let usual = if scheme == "http" { ":80" } else { ":443" };
        let host = match host.strip_suffix(usual).unwrap_or(&host) {
            "docker.io" | "registry-1.docker.io" => DOCKER_HUB.to_owned(),
            host => host.to_owned(),
        };
        let path: Vec<String> = segments
            .filter(|segment| !segment.is_empty())
            .map(str::to_owned)
            .collect();
        let protocol = matches!(path.as_slice(), [version] if version == "v1" || version == "v2");
        Self {
            host,
            path: if protocol { Vec::new() } else { path },
        }
    }
}

/// There are several keys that are as good as one another.
struct Several;

/// What is said for `place`: by the key that shares most of its path, else by the only one that is about a part of
/// the registry, as `registry.example.com/team` is.
///
/// All of it concerns one host, so credentials never get further than they were meant to; but which of several
/// teams somebody is cannot be guessed.
fn best<'a, T>(place: &Place, entries: &'a BTreeMap<String, T>) -> Result<Option<(&'a str, &'a T)>, Several> {
    let mut whole: Option<(usize, &'a str, &'a T)> = None;
    let mut parts: Vec<(&'a str, &'a T)> = Vec::new();
    for (key, value) in entries {
        let of = Place::of(key);
        if of.host != place.host {
            continue;
        }
        if !place.path.starts_with(&of.path) {
            parts.push((key, value));
        } else if whole.is_none_or(|(length, known, _)| {
            // The same path in two spellings: the plain one, then the first in order.
            of.path.len() > length
                || (of.path.len() == length && known.contains("://") && !key.contains("://"))
        }) {
            whole = Some((of.path.len(), key, value));
        }
    }
    match (whole, parts.as_slice()) {
        (Some((_, key, value)), _) => Ok(Some((key, value))),
        (None, []) => Ok(None),
        (None, [part]) => Ok(Some(*part)),
        (None, _) => Err(Several),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(registry: &str, keys: &[&str]) -> Result<Option<String>, ()> {
        let entries: BTreeMap<String, ()> = keys.iter().map(|key| ((*key).to_owned(), ())).collect();
        best(&Place::of(registry), &entries)
            .map(|found| found.map(|(key, ())| key.to_owned()))
            .map_err(|Several| ())
    }

    #[test]
    fn a_key_is_about_a_host_however_it_is_spelled() {
        for (registry, key) in [
            ("https://r.example", "r.example"),
            ("https://r.example", "R.Example"),
            ("https://r.example", "https://r.example"),
            ("https://r.example", "https://r.example/"),
            ("https://r.example", "https://r.example/v1/"),
            ("https://r.example", "https://r.example/v2/"),
            ("https://r.example", "r.example:443"),
            ("http://r.example", "http://r.example:80"),
            ("http://r.example:5000", "r.example:5000"),
            ("https://registry-1.docker.io", "https://index.docker.io/v1/"),
            ("https://docker.io", "https://index.docker.io/v1/"),
            ("https://index.docker.io", "docker.io"),
            ("https://r.example", "r.example/team"),
            ("https://r.example/oci/local", "r.example"),
            ("https://r.example/oci/local", "https://r.example/oci/local/"),
        ] {
            assert_eq!(
                found(registry, &[key, "other.example"]),
                Ok(Some(key.to_owned())),
                "{registry}"
            );
        }
        for (registry, key) in [
            ("https://r.example", "r.example:5000"),
            ("https://r.example", "r.example.evil"),
            ("https://r.example", "evil/r.example"),
            ("https://r.example", "xr.example"),
            ("https://index.docker.io.evil", "https://index.docker.io/v1/"),
        ] {
            assert_eq!(found(registry, &[key]), Ok(None), "{registry} {key}");
        }
    }

    #[test]
    fn the_key_that_shares_most_of_the_path_wins_and_teams_are_not_guessed() {
        let local = "https://r.example/oci/local";
        let whole = "https://r.example";
        for (registry, keys, expected) in [
            (
                local,
                &["r.example", "r.example/oci", "r.example/oci/other"][..],
                "r.example/oci",
            ),
            (
                local,
                &["r.example/oci/loc", "r.example/oci/local"],
                "r.example/oci/local",
            ),
            (whole, &["r.example/a", "r.example", "r.example/b"], "r.example"),
            (
                whole,
                &["http://r.example/v1/", "https://r.example/v1/", "r.example"],
                "r.example",
            ),
            (
                whole,
                &["https://r.example/v1/", "http://r.example"],
                "http://r.example",
            ),
        ] {
            assert_eq!(found(registry, keys), Ok(Some(expected.to_owned())), "{keys:?}");
        }
        assert_eq!(found(whole, &["r.example/a", "r.example/b"]), Err(()));
    }
}
