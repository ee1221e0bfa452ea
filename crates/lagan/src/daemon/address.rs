//! What runs share: of one registry, one is made at a time.
//!
//! A registry is told by the host and port of its address, whatever it is called, however its address is spelled, and
//! whatever path it is at. Two names that lead to one machine are not known to do so.

use lagan_config::{Config, RegistrySettings};
use lagan_model::RegistryName;
use lagan_registry::RegistryUrl;

/// The host of a registry, and its port where that is not the usual one.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Host(RegistryName);

impl Host {
    pub(super) fn at(url: &RegistryUrl) -> Self {
        Self(url.default_name().clone())
    }

    pub(super) fn of(registry: &RegistrySettings) -> Self {
        match registry.url.parse() {
            Ok(url) => Self::at(&url),
            // No configuration with one is taken; and nothing else is called so.
            Err(_) => Self(registry.name.clone()),
        }
    }

    /// Of the registry that a configuration calls so, if it has one.
    pub(super) fn named(config: &Config, name: &str) -> Option<Self> {
        let mut registries = config.registries.iter();
        registries
            .find(|registry| registry.name.as_str() == name)
            .map(Self::of)
    }
}

/// What a run has to itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Where {
    On(Host),
    /// Which registry it is about is not known: all of them.
    Anywhere,
}

impl Where {
    /// Whether two runs would meet.
    pub(super) fn meets(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::On(one), Self::On(other)) => one == other,
            (Self::Anywhere, _) | (_, Self::Anywhere) => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host(url: &str) -> Host {
        Host::at(&url.parse().unwrap())
    }

    #[test]
    fn a_registry_is_one_however_its_address_is_spelled_and_another_port_is_another_one() {
        let one = host("https://r.example.com");
        for same in [
            "https://R.Example.com/",
            "https://r.example.com:443",
            "http://r.example.com",
            "https://r.example.com/oci/local",
        ] {
            assert_eq!(host(same), one, "{same}");
        }
        for other in ["https://r.example.com:5000", "https://s.example.com"] {
            assert_ne!(host(other), one, "{other}");
        }
    }

    #[test]
    fn what_may_be_anywhere_meets_everything() {
        let (one, other) = (host("http://a:5000"), host("http://a:5001"));
        assert!(Where::On(one.clone()).meets(&Where::On(one.clone())));
        assert!(!Where::On(one.clone()).meets(&Where::On(other)));
        assert!(Where::Anywhere.meets(&Where::On(one.clone())));
        assert!(Where::On(one).meets(&Where::Anywhere));
        assert!(Where::Anywhere.meets(&Where::Anywhere));
    }
}
