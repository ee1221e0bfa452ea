//! Who asks: where a user name and a password come from, and reading them anew when they change.

mod docker_config;
mod helper;
mod login;

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use secrecy::SecretString;
use thiserror::Error;

pub use self::docker_config::DockerConfig;
pub(crate) use self::login::{Login, Logins};
use crate::address::RegistryUrl;
use crate::settings::Credentials;

/// The largest file of credentials that is read, in bytes.
const MAX_FILE_BYTES: u64 = 1024 * 1024;

/// Credentials that cannot be had. The texts hold paths and names, and nothing of what the files hold.
#[derive(Debug, Error)]
pub enum CredentialError {
    /// A file that is not there, or may not be read.
    #[error("failed to read the credentials in {path}: {reason}")]
    File {
        /// The file.
        path: PathBuf,
        /// What the system says.
        reason: std::io::Error,
    },
    /// A file whose content is of no use.
    #[error("the credentials in {path} cannot be used: {reason}")]
    Content {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// A docker configuration that knows other registries only.
    #[error("{path} holds no credentials for {host}")]
    NoneFor {
        /// The file.
        path: PathBuf,
        /// Host, and port where one is given.
        host: String,
    },
    /// A docker configuration with several keys for parts of the registry, and none for all of it.
    #[error("`{keys}` of {path} has several keys for parts of {host} and none for all of it")]
    Ambiguous {
        /// The file.
        path: PathBuf,
        /// Host, and port where one is given.
        host: String,
        /// Which keys.
        keys: &'static str,
    },
    /// A credential helper that does not help.
    #[error("the credential helper {helper} {reason}")]
    Helper {
        /// Its name, as far as it is one.
        helper: String,
        /// What it did.
        reason: String,
    },
}

/// Where credentials come from.
///
/// Files are read again when their time or length changes, and whenever a registry refuses what they held.
#[derive(Debug, Clone)]
pub enum CredentialSource {
    /// From memory.
    Fixed(Credentials),
    /// A user name, and a file that holds the password; a line break at its end is no part of it.
    PasswordFile {
        /// The user name.
        username: String,
        /// The file.
        path: PathBuf,
    },
    /// What docker keeps, or a Kubernetes secret of the type `kubernetes.io/dockerconfigjson` that is mounted.
    Docker(DockerConfig),
}

impl From<Credentials> for CredentialSource {
    fn from(credentials: Credentials) -> Self {
        Self::Fixed(credentials)
    }
}

/// What tells one content of a file from the next without reading it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Stamp {
    modified: Option<SystemTime>,
    length: u64,
}

impl CredentialSource {
    async fn read(&self, registry: &RegistryUrl) -> Result<Login, CredentialError> {
        match self {
            Self::Fixed(credentials) => Ok(Login::Password(credentials.clone())),
            Self::PasswordFile { username, path } => {
                let text = read_file(path).await?;
                let wrong = |reason| CredentialError::Content {
                    path: path.clone(),
                    reason,
                };
                let text = std::str::from_utf8(&text).map_err(|_| wrong("the file is not UTF-8"))?;
                let line = text.strip_suffix('\n').unwrap_or(text);
                let password = line.strip_suffix('\r').unwrap_or(line);
                if password.is_empty() {
                    return Err(wrong("the file is empty"));
                }
                let credentials = Credentials::new(username.clone(), SecretString::from(password));
                credentials
                    .map(Login::Password)
                    .map_err(|_| wrong("a user name must not be empty and must not hold a colon"))
            }
            Self::Docker(config) => config.login(registry).await,
        }
    }

    /// Asked before every request: a look at a file's metadata costs less than another thread to do it.
    fn stamp(&self) -> Option<Stamp> {
        let path = match self {
            Self::Fixed(_) => return None,
            Self::PasswordFile { path, .. } => path.clone(),
            Self::Docker(config) => config.file(),
        };
        let metadata = std::fs::metadata(path).ok()?;
        Some(Stamp {
            modified: metadata.modified().ok(),
            length: metadata.len(),
        })
    }
}

async fn read_file(path: &Path) -> Result<Vec<u8>, CredentialError> {
    use tokio::io::AsyncReadExt as _;
    let failed = |reason| CredentialError::File {
        path: path.to_owned(),
        reason,
    };
    // Opening a pipe waits for whoever writes to it, for ever if need be, and no deadline ends that.
    if !tokio::fs::metadata(path).await.map_err(failed)?.is_file() {
        return Err(CredentialError::Content {
            path: path.to_owned(),
            reason: "it is not a regular file",
        });
    }
    let file = tokio::fs::File::open(path).await.map_err(failed)?;
    let mut content = Vec::new();
    let read = file.take(MAX_FILE_BYTES + 1).read_to_end(&mut content).await;
    read.map_err(failed)?;
    if content.len() as u64 > MAX_FILE_BYTES {
        return Err(CredentialError::Content {
            path: path.to_owned(),
            reason: "the file is larger than 1 MiB",
        });
    }
    Ok(content)
}
