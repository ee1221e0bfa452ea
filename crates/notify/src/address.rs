//! Where to send: a URL, which may be a secret.

use std::fmt;

use secrecy::{ExposeSecret as _, SecretString};
use thiserror::Error;
use url::{Host, Url};

/// A URL of which only scheme, host and port are shown.
#[derive(Clone)]
pub struct Address {
    url: SecretString,
    shown: String,
    encrypted: bool,
    local: bool,
}

/// A URL that cannot be used. It is not repeated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum AddressError {
    /// Not a URL.
    #[error("the address is no URL")]
    Syntax,
    /// Neither `http` nor `https`, or without a host.
    #[error("the address is neither http nor https")]
    Scheme,
    /// A user name or password in it.
    #[error("the address holds a user name or a password")]
    Credentials,
}

impl Address {
    /// Reads a URL.
    ///
    /// # Errors
    ///
    /// When it is none, or neither http nor https, or holds credentials, which would go into a header.
    pub fn new(text: &str) -> Result<Self, AddressError> {
        let url = Url::parse(text.trim()).map_err(|_| AddressError::Syntax)?;
        if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
            return Err(AddressError::Scheme);
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(AddressError::Credentials);
        }
        Ok(Self {
            shown: url.origin().ascii_serialization(),
            encrypted: url.scheme() == "https",
            local: is_loopback(&url),
            url: SecretString::from(String::from(url)),
        })
    }

    pub(crate) fn url(&self) -> &str {
        self.url.expose_secret()
    }

    /// Whether it, and what is sent there, can be read on the way: not encrypted, and not on this machine.
    pub(crate) fn is_in_the_clear(&self) -> bool {
        !self.encrypted && !self.local
    }

    /// Whether it is on this machine.
    pub(crate) fn is_local(&self) -> bool {
        self.local
    }
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.to_canonical().is_loopback(),
        None => false,
    }
}

/// Scheme, host and port.
impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown)
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Address").field(&self.shown).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_an_address_only_the_host_is_shown() {
        let address =
            Address::new("https://hooks.example.com:8443/services/T0/B0/secret?token=secret").unwrap();
        assert_eq!(address.to_string(), "https://hooks.example.com:8443");
        assert!(!format!("{address:?}").contains("secret"));
        assert!(address.url().ends_with("secret"));
    }

    #[test]
    fn what_leaves_this_machine_unencrypted_is_in_the_clear() {
        for (text, expected) in [
            ("http://mattermost:8065/hooks/secret", true),
            ("http://10.0.0.1/", true),
            ("http://localhost.example.com/", true),
            ("https://hooks.example.com/", false),
            ("http://localhost:9000/", false),
            ("http://127.0.0.1/", false),
            ("http://[::1]/", false),
            ("http://[::ffff:127.0.0.1]/", false),
        ] {
            assert_eq!(Address::new(text).unwrap().is_in_the_clear(), expected, "{text}");
        }
    }

    #[test]
    fn what_is_no_address_is_refused_and_not_repeated() {
        for (text, error) in [
            ("", AddressError::Syntax),
            ("hooks.example.com/secret", AddressError::Syntax),
            ("ftp://hooks.example.com/secret", AddressError::Scheme),
            ("mailto:secret@example.com", AddressError::Scheme),
            ("https://u:secret@example.com/", AddressError::Credentials),
        ] {
            let found = Address::new(text).map(drop).unwrap_err();
            assert_eq!(found, error);
            assert!(!found.to_string().contains("secret"));
        }
    }
}
