//! Credential helpers: programs that hand out what docker has put into a keychain.
//!
//! They are looked up in given folders, run without a shell and with little of our environment, and have a deadline.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use lagan_model::json;
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::Command;

use super::{CredentialError, DockerConfig, Login};
use crate::settings::Credentials;

/// The longest output of a helper that is read, in bytes.
const MAX_OUTPUT: u64 = 64 * 1024;

/// What the helpers say of a server that they do not know; the exit status alone does not tell.
const NOT_FOUND: &str = "credentials not found in native keychain";

/// What of our environment helpers get beside `PATH` and `HOME`: where their own credentials are, and the way to who
/// keeps them. A name that ends in `_` stands for all that begin like it; case does not matter.
const PASSED: [&str; 14] = [
    "AWS_",
    "AZURE_",
    "CLOUDSDK_",
    "GOOGLE_",
    "ALL_PROXY",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "NO_PROXY",
    "SSL_CERT_DIR",
    "SSL_CERT_FILE",
    "DBUS_SESSION_BUS_ADDRESS",
    "GNUPGHOME",
    "PASSWORD_STORE_DIR",
    "XDG_RUNTIME_DIR",
];

fn is_passed(name: &OsStr) -> bool {
    let name = name.to_string_lossy().to_ascii_uppercase();
    PASSED.iter().any(|passed| match passed.ends_with('_') {
        true => name.starts_with(passed),
        false => name == *passed,
    })
}

/// The user name of an identity token.
const TOKEN_USER: &str = "<token>";

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Output {
    username: String,
    secret: SecretString,
}

/// Asks `docker-credential-<name>` for what it has for `server`; `None` where it says that there is nothing.
pub(super) async fn ask(
    config: &DockerConfig,
    name: &str,
    server: &str,
) -> Result<Option<Login>, CredentialError> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    if name.is_empty() || name.len() > 100 || !name.bytes().all(plain) {
        return Err(CredentialError::Helper {
            helper: format!("{:?}", name.chars().take(100).collect::<String>()),
            reason: "has no name of a program: letters, digits, `-`, `_` and `.`".to_owned(),
        });
    }
    let program = format!("docker-credential-{name}");
    let failed = |reason: String| CredentialError::Helper {
        helper: program.clone(),
        reason,
    };
    let path = find(&config.helper_folders, &program)
        .await
        .ok_or_else(|| failed("is in none of the folders of the search path".to_owned()))?;
    let asked = tokio::time::timeout(config.helper_timeout, run(config, &path, server)).await;
    let (success, output) = asked
        .map_err(|_| failed(format!("did not answer within {:?}", config.helper_timeout)))?
        .map_err(|error| failed(format!("could not be run: {error}")))?;
    if output.len() as u64 > MAX_OUTPUT {
        return Err(failed(format!("said more than {MAX_OUTPUT} bytes")));
    }
    if !success {
        // What else it said is not shown: it may be a secret.
        return if output.trim_ascii() == NOT_FOUND.as_bytes() {
            Ok(None)
        } else {
            Err(failed(format!("failed for {server}: run it by hand to see why")))
        };
    }
    let unusable = || failed("did not answer with a user name and a secret".to_owned());
    let output: Output = json::read(&output).map_err(|_| unusable())?;
    if output.secret.expose_secret().is_empty() {
        return Err(unusable());
    }
    if output.username == TOKEN_USER {
        return Ok(Some(Login::IdentityToken(output.secret)));
    }
    let credentials = Credentials::new(output.username, output.secret);
    credentials
        .map(|credentials| Some(Login::Password(credentials)))
        .map_err(|_| unusable())
}

/// The first file of this name. Folders that are not absolute would depend on where we were started.
async fn find(folders: &[PathBuf], program: &str) -> Option<PathBuf> {
    for folder in folders.iter().filter(|folder| folder.is_absolute()) {
        let path = folder.join(program);
        let metadata = tokio::fs::metadata(&path).await;
        if metadata.is_ok_and(|metadata| metadata.is_file()) {
            return Some(path);
        }
    }
    None
}

/// Whether it succeeded, and what it said.
async fn run(config: &DockerConfig, path: &Path, server: &str) -> std::io::Result<(bool, Vec<u8>)> {
    let mut command = Command::new(path);
    command
        .arg("get")
        .env_clear()
        .envs(std::env::vars_os().filter(|(name, _)| is_passed(name)))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true);
    if let Ok(folders) = std::env::join_paths(&config.helper_folders) {
        command.env("PATH", folders);
    }
    if let Some(home) = &config.home {
        command.env("HOME", home);
    }
    let mut child = command.spawn()?;
    if let Some(mut stdin) = child.stdin.take() {
        // One that knows the answer without reading may be gone already.
        let _ = stdin.write_all(server.as_bytes()).await;
    }
    let mut output = Vec::new();
    if let Some(stdout) = child.stdout.take() {
        stdout.take(MAX_OUTPUT + 1).read_to_end(&mut output).await?;
    }
    // Its output is closed by now, so one that had more to say ends as well.
    let status = child.wait().await?;
    Ok((status.success(), output))
}
