//! From configuration and arguments to what a registry's client needs. The only place where secrets are read.

use std::fs;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use lagan_config::{
    Config, Credentials as Configured, EmailSettings, EmailTls, ReceiverSettings, ReceiverTarget,
    RegistrySettings, SecretSource, UrlSource,
};
use lagan_notify::{
    Address, Encryption, Kind, Limits, Mail, MailServer, Mailbox, Receiver, SigningKey, Target,
};
use lagan_policy::Age;
use lagan_registry::{
    CaBundle, ClientCertificate, CredentialSource, Credentials, DockerConfig, RegistryUrl, Settings,
    SettingsError, TokenRealm,
};
use secrecy::{ExposeSecret as _, SecretString};

use crate::cli::ConnectArgs;
use crate::exit::{Exit, Failure};

/// Where a configuration is looked for when nobody says.
const PLACES: [&str; 2] = ["lagan.yaml", "/etc/lagan/lagan.yaml"];

/// The configuration that was named, or the one in the usual places; `None` where there is none.
pub(crate) fn config_path(named: Option<&Path>) -> Option<PathBuf> {
    // A configuration that is there and cannot be reached is an error when it is read: its protections count.
    let missing = |path: &PathBuf| matches!(path.try_exists(), Ok(false));
    match named {
        Some(path) => Some(path.to_owned()),
        None => PLACES.iter().map(PathBuf::from).find(|path| !missing(path)),
    }
}

/// Reads the configuration that was named, or the one in the usual places; `None` where there is none.
pub(crate) fn find_config(named: Option<&Path>) -> Result<Option<(PathBuf, Config)>, Failure> {
    let Some(path) = config_path(named) else {
        return Ok(None);
    };
    let text = read(&path, "the configuration")?;
    let config = Config::read(&path.display().to_string(), text)?;
    Ok(Some((path, config)))
}

/// What a policy is called that is alone in its file.
pub(crate) fn policy_name(path: &Path) -> &str {
    path.file_stem()
        .and_then(|stem| stem.to_str())
        .unwrap_or("policy")
}

/// Whether a text that is neither was meant to be one policy: it has a key that a policy must have, and that a
/// configuration cannot have.
pub(crate) fn is_policy_body(text: &[u8]) -> bool {
    let mut lines = text.split(|byte| *byte == b'\n');
    lines.any(|line| line.starts_with(b"rules:") || line.starts_with(b"repositories:"))
}

/// Reads a file that the user named.
pub(crate) fn read(path: &Path, what: &str) -> Result<Vec<u8>, Failure> {
    fs::read(path).map_err(|error| {
        let context = anyhow::Error::new(error).context(format!("failed to read {what} {}", path.display()));
        Failure::new(Exit::Usage, context)
    })
}

/// What it takes to reach a registry of the configuration. What the arguments say of it goes before what the
/// configuration says.
pub(crate) fn of_registry(registry: &RegistrySettings, arguments: &ConnectArgs) -> Result<Settings, Failure> {
    let mut settings = Settings::new(registry.url.parse::<RegistryUrl>()?);
    settings.name = registry.name.clone();
    if arguments.username.is_some() {
        settings.credentials = credentials(arguments)?;
    } else {
        settings.credentials = registry.credentials.as_ref().map(configured).transpose()?;
    }
    let ca = arguments.ca_file.as_deref().or(registry.tls.ca_file.as_deref());
    settings.ca = ca.map(ca_file).transpose()?;
    if let Some(files) = &registry.tls.client {
        let certificate = read(&files.certificate, "the client certificate")?;
        let key = read(&files.key, "the key of the client certificate")?;
        settings.client_certificate = Some(ClientCertificate::from_pem(&certificate, &key)?);
    }
    if let Some(most) = registry.max_concurrency {
        settings.max_concurrency = NonZeroUsize::from(most);
        settings.harbor_concurrency = settings.max_concurrency;
    }
    settings.token_realms = token_realms(registry.token_realms.iter().chain(&arguments.token_realm))?;
    limit(
        &mut settings,
        arguments.deadline.as_ref().or(registry.deadline.as_ref()),
    );
    Ok(settings)
}

/// What it takes to reach a registry that was given by URL.
pub(crate) fn of_url(url: &str, arguments: &ConnectArgs) -> Result<Settings, Failure> {
    let mut settings = Settings::new(url.parse::<RegistryUrl>()?);
    settings.credentials = credentials(arguments)?;
    settings.ca = arguments.ca_file.as_deref().map(ca_file).transpose()?;
    settings.token_realms = token_realms(&arguments.token_realm)?;
    limit(&mut settings, arguments.deadline.as_ref());
    Ok(settings)
}

fn token_realms<'a>(origins: impl IntoIterator<Item = &'a String>) -> Result<Vec<TokenRealm>, Failure> {
    let read = origins.into_iter().map(|origin| origin.parse());
    Ok(read.collect::<Result<_, SettingsError>>()?)
}

/// A length of time is positive and at most a thousand years.
fn limit(settings: &mut Settings, deadline: Option<&Age>) {
    if let Some(run) = deadline.and_then(|deadline| deadline.delta().to_std().ok()) {
        settings.timeouts.run = run;
    }
}

fn credentials(arguments: &ConnectArgs) -> Result<Option<CredentialSource>, Failure> {
    match (&arguments.username, &arguments.password_file) {
        (Some(username), Some(file)) => with_password_file(username, file).map(Some),
        _ => Ok(None),
    }
}

fn configured(credentials: &Configured) -> Result<CredentialSource, Failure> {
    match credentials {
        Configured::Password {
            username,
            password: SecretSource::File(path),
        } => with_password_file(username, path),
        Configured::Password {
            username,
            password: SecretSource::Environment(name),
        } => Ok(Credentials::new(username.clone(), password_variable(name)?)?.into()),
        Configured::DockerConfig(path) => {
            // Without a search path no helper is found, which is told where one is needed.
            let folders = std::env::var_os("PATH").map(|path| std::env::split_paths(&path).collect());
            let mut config = DockerConfig::new(path.clone(), folders.unwrap_or_default());
            config.home = std::env::home_dir();
            Ok(CredentialSource::Docker(config))
        }
    }
}

/// The file is read now, for errors before anything is contacted, and again whenever it changes. A pipe gives what it
/// holds only once.
fn with_password_file(username: &str, path: &Path) -> Result<CredentialSource, Failure> {
    let credentials = Credentials::new(username, password_file(path)?)?;
    if !fs::metadata(path).is_ok_and(|metadata| metadata.is_file()) {
        return Ok(credentials.into());
    }
    Ok(CredentialSource::PasswordFile {
        username: username.to_owned(),
        path: path.to_owned(),
    })
}

fn ca_file(path: &Path) -> Result<CaBundle, Failure> {
    Ok(CaBundle::from_pem(&read(path, "the CA bundle")?)?)
}

fn password_file(path: &Path) -> Result<SecretString, Failure> {
    secret_file(path, "the password")
}

/// A file holds the secret; a line break at its end, as editors leave it, is no part of it.
fn secret_file(path: &Path, which: &str) -> Result<SecretString, Failure> {
    let wrong = |what: &str| Failure::usage(format!("{which} file {} {what}", path.display()));
    let text = String::from_utf8(read(path, &format!("{which} file"))?).map_err(|_| wrong("is not UTF-8"))?;
    let password = text
        .strip_suffix('\n')
        .map_or(text.as_str(), |line| line.strip_suffix('\r').unwrap_or(line));
    if password.is_empty() {
        Err(wrong("is empty"))
    } else {
        Ok(password.into())
    }
}

fn password_variable(name: &str) -> Result<SecretString, Failure> {
    secret_variable(name, "the password")
}

fn secret_variable(name: &str, which: &str) -> Result<SecretString, Failure> {
    match std::env::var(name) {
        Ok(secret) if !secret.is_empty() => Ok(secret.into()),
        _ => Err(Failure::usage(format!(
            "the variable {name}, which should hold {which}, is not set"
        ))),
    }
}

/// Somebody who is told what the daemon has to say.
pub(crate) fn receiver(settings: &ReceiverSettings) -> Result<Receiver, Failure> {
    let name = &settings.name;
    let wrong = |error: &dyn std::fmt::Display| {
        Failure::usage(format!("the receiver {name:?} cannot be used: {error}"))
    };
    let address = |text: &str| Address::new(text).map_err(|error| wrong(&error));
    let target = match &settings.target {
        ReceiverTarget::Webhook { url, secret: key } => Target::Webhook {
            address: match url {
                UrlSource::Written(url) => address(url)?,
                UrlSource::Secret(source) => address(secret(source)?.expose_secret())?,
            },
            key: match key {
                Some(source) => {
                    let key = SigningKey::new(secret(source)?.expose_secret());
                    Some(key.map_err(|error| wrong(&error))?)
                }
                None => None,
            },
        },
        ReceiverTarget::Slack { url } => Target::Slack {
            address: address(secret(url)?.expose_secret())?,
        },
        ReceiverTarget::Email(email) => Target::Email(mail(email, &wrong)?),
    };
    let usual = Limits::default();
    let events = |kind: &Kind| settings.events.contains(&kind.as_str());
    Ok(Receiver {
        name: name.clone(),
        target,
        kinds: Kind::ALL.into_iter().filter(events).collect(),
        limits: Limits {
            per_hour: settings.per_hour.unwrap_or(usual.per_hour),
            repeat_after: settings
                .repeat_after
                .as_ref()
                .map_or(usual.repeat_after, |age| age.delta()),
        },
    })
}

fn mail(email: &EmailSettings, wrong: &dyn Fn(&dyn std::fmt::Display) -> Failure) -> Result<Mail, Failure> {
    let mailbox = |text: &String| text.parse::<Mailbox>().map_err(|error| wrong(&error));
    let server = MailServer {
        host: email.server.clone(),
        port: email.port,
        encryption: match email.tls {
            EmailTls::Implicit => Encryption::Implicit,
            EmailTls::StartTls => Encryption::StartTls,
            EmailTls::Off => Encryption::Off,
        },
        authorities: match &email.ca_file {
            Some(path) => Some(read(path, "the certificates")?),
            None => None,
        },
        login: match &email.login {
            Some((username, source)) => Some((username.clone(), secret(source)?)),
            None => None,
        },
    };
    lagan_registry::install_crypto_provider();
    let to = email.to.iter().map(mailbox).collect::<Result<_, _>>()?;
    Mail::new(server, mailbox(&email.from)?, to).map_err(|error| wrong(&error))
}

/// A file holds a secret as it holds a password.
fn secret(source: &SecretSource) -> Result<SecretString, Failure> {
    match source {
        SecretSource::File(path) => secret_file(path, "the secret"),
        SecretSource::Environment(name) => secret_variable(name, "a secret"),
    }
}
