//! The base URL of a registry, as somebody wrote it down.

use std::fmt;
use std::str::FromStr;

use lagan_model::RegistryName;
use url::Url;

use crate::settings::SettingsError;

/// The base URL of a registry: `http` or `https`, a host, perhaps a port and a path prefix, and nothing else.
///
/// Plain HTTP is spoken only where the URL says `http://`. Credentials in a URL end up in logs and process
/// lists, so a URL that holds some is refused. `/v2` belongs to the protocol and not to the base.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RegistryUrl {
    url: Url,
    name: RegistryName,
}

impl RegistryUrl {
    /// The URL without a slash at its end.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.url.as_str().trim_end_matches('/')
    }

    /// Host and port: the name of a registry that no configuration names.
    #[must_use]
    pub fn default_name(&self) -> &RegistryName {
        &self.name
    }

    pub(crate) fn url(&self) -> &Url {
        &self.url
    }
}

impl FromStr for RegistryUrl {
    type Err = SettingsError;

    /// # Errors
    ///
    /// [`SettingsError`] says which part is missing or too much. Its text never repeats the URL.
    fn from_str(text: &str) -> Result<Self, SettingsError> {
        let url = Url::parse(text).map_err(SettingsError::UrlSyntax)?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(SettingsError::UrlScheme);
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(SettingsError::UrlCredentials);
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err(SettingsError::UrlQuery);
        }
        if url.path().trim_end_matches('/').ends_with("/v2") {
            return Err(SettingsError::UrlVersionPath);
        }
        let host = url.host_str().ok_or(SettingsError::UrlHost)?;
        let name = match url.port() {
            Some(port) => format!("{host}:{port}"),
            None => host.to_owned(),
        };
        let name = name.parse().map_err(|_| SettingsError::UrlHost)?;
        Ok(Self { url, name })
    }
}

impl fmt::Display for RegistryUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The origin of a token service: `https`, a host, perhaps a port, and nothing else.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenRealm(Url);

impl TokenRealm {
    pub(crate) fn url(&self) -> &Url {
        &self.0
    }
}

impl FromStr for TokenRealm {
    type Err = SettingsError;

    /// # Errors
    ///
    /// [`SettingsError::TokenRealm`], which does not repeat the text.
    fn from_str(text: &str) -> Result<Self, SettingsError> {
        let url = Url::parse(text).map_err(|_| SettingsError::TokenRealm)?;
        let bare = url.path() == "/" && url.query().is_none() && url.fragment().is_none();
        let nobody = url.username().is_empty() && url.password().is_none();
        if url.scheme() == "https" && bare && nobody {
            Ok(Self(url))
        } else {
            Err(SettingsError::TokenRealm)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_a_scheme_a_host_and_perhaps_a_port_and_a_prefix() {
        for (text, url, name) in [
            ("http://localhost:5000", "http://localhost:5000", "localhost:5000"),
            ("https://R.Example.com/", "https://r.example.com", "r.example.com"),
            (
                "https://r.example.com:443/",
                "https://r.example.com",
                "r.example.com",
            ),
            ("http://[::1]:5000/", "http://[::1]:5000", "[::1]:5000"),
            ("https://host/oci/local/", "https://host/oci/local", "host"),
        ] {
            let read: RegistryUrl = text.parse().unwrap();
            assert_eq!(read.as_str(), url);
            assert_eq!(read.default_name().as_str(), name);
        }
    }

    #[test]
    fn a_token_service_is_named_by_its_origin() {
        for text in ["https://auth.example.com", "https://auth.example.com:444/"] {
            assert!(text.parse::<TokenRealm>().is_ok(), "{text}");
        }
        for text in [
            "",
            "auth.example.com",
            "http://auth.example.com",
            "https://auth.example.com/token",
            "https://auth.example.com/?x",
            "https://a@auth.example.com",
            "https://a:b@auth.example.com",
        ] {
            assert!(text.parse::<TokenRealm>().is_err(), "{text}");
        }
    }

    #[test]
    fn any_other_url_is_refused_with_a_hint_and_without_repeating_what_may_be_secret() {
        for text in [
            "",
            "localhost:5000",
            "registry.example.com",
            "ftp://host",
            "http://",
            "http://admin:hunter2@host",
            "http://hunter2@host",
            "admin:hunter2@host",
            "http://host/?token=hunter2",
            "http://host/#hunter2",
            "http://host/v2/",
            "http://host/v2",
        ] {
            let error = text.parse::<RegistryUrl>().unwrap_err();
            assert!(!error.hint().unwrap_or_default().is_empty(), "{text}: no hint");
            let shown = format!("{error} {error:?} {:?}", error.hint());
            assert!(!shown.contains("hunter2"), "{text}: {shown}");
        }
    }
}
