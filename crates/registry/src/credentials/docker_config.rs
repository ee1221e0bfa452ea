//! `config.json` as docker writes it, and as Kubernetes keeps it in a secret.

use std::collections::HashMap;
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
        let host = host(registry.as_str());
        let own = content
            .cred_helpers
            .iter()
            .find(|(key, _)| self::host(key) == host);
        let asked = match (own, &content.creds_store) {
            (Some((key, name)), _) => helper::ask(self, name, key).await?,
            (None, Some(name)) if !name.is_empty() => {
                let server = if host == DOCKER_HUB { DOCKER_HUB_KEY } else { &host };
                helper::ask(self, name, server).await?
            }
            _ => None,
        };
        if let Some(login) = asked {
            return Ok(login);
        }
        let entry = content.auths.into_iter().find(|(key, _)| self::host(key) == host);
        match entry {
            Some((_, entry)) => entry.login().map_err(wrong)?,
            None => None,
        }
        .ok_or(CredentialError::NoneFor { path, host })
    }
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Content {
    auths: HashMap<String, Entry>,
    cred_helpers: HashMap<String, String>,
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
    fn login(self) -> Result<Option<Login>, &'static str> {
        let given = |secret: &SecretString| !secret.expose_secret().is_empty();
        if let Some(token) = self.identitytoken.filter(given) {
            return Ok(Some(Login::IdentityToken(token)));
        }
        let (username, password) = match (self.auth.filter(given), self.username, self.password) {
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
            (None, Some(username), Some(password)) if !username.is_empty() => (username, password),
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

/// Host and port of a key or of a URL: keys come with and without scheme and path.
fn host(key: &str) -> String {
    let rest = key.split_once("://").map_or(key, |(_, rest)| rest);
    let host = rest.split('/').next().unwrap_or_default().to_ascii_lowercase();
    match host.as_str() {
        "docker.io" | "registry-1.docker.io" => DOCKER_HUB.to_owned(),
        _ => host,
    }
}
