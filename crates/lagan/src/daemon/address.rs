//! What runs share: of one registry, one is made at a time.
//!
//! A registry is told by the host and port of its address, whatever it is called, however its address is spelled, and
//! whatever path it is at. Two names that lead to one machine are not known to do so.

use std::net::{IpAddr, Ipv6Addr};

use lagan_config::{Config, RegistrySettings};
use lagan_registry::RegistryUrl;

/// The host of a registry, and its port where that is not a usual one.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Host {
    name: String,
    port: Option<u16>,
}

/// What leads to this machine, whatever it is called.
const THIS: &str = "localhost";

impl Host {
    pub(super) fn at(url: &RegistryUrl) -> Self {
        let whole = url.default_name().as_str();
        // What is behind the last colon of an address in brackets is no number by itself.
        let port = whole.rsplit_once(':');
        let port = port.and_then(|(name, port)| Some((name, port.parse::<u16>().ok()?)));
        let (name, port) = port.map_or((whole, None), |(name, port)| (name, Some(port)));
        Self {
            name: machine(name),
            // One of them is meant by a URL without one, and scheme counts for nothing.
            port: port.filter(|port| ![80, 443].contains(port)),
        }
    }

    pub(super) fn of(registry: &RegistrySettings) -> Self {
        match registry.url.parse() {
            Ok(url) => Self::at(&url),
            // No configuration with one is taken; and nothing else is called so.
            Err(_) => Self {
                name: format!("/{}", registry.name),
                port: None,
            },
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

/// One name for a machine by its names and forms of its address, as far as they tell without being asked about.
fn machine(name: &str) -> String {
    let bare = name.strip_prefix('[').and_then(|name| name.strip_suffix(']'));
    let address = match bare {
        Some(bare) => bare.parse::<Ipv6Addr>().map(|six| six.to_canonical()).ok(),
        None => name.parse::<IpAddr>().ok(),
    };
    match address {
        Some(address) if address.is_loopback() => THIS.to_owned(),
        Some(address) => address.to_string(),
        // The dot at its end only says that nothing is to be added.
        None => name.strip_suffix('.').unwrap_or(name).to_owned(),
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
            "https://r.example.com./",
            "https://r.example.com.:443",
            "http://r.example.com:443",
            "https://r.example.com:80",
            "https://r%2eexample.com",
        ] {
            assert_eq!(host(same), one, "{same}");
        }
        for other in ["https://r.example.com:5000", "https://s.example.com"] {
            assert_ne!(host(other), one, "{other}");
        }
    }

    #[test]
    fn a_machine_is_one_by_whichever_form_of_its_address() {
        for (one, same) in [
            ("http://10.0.0.1:5000", "http://[::ffff:10.0.0.1]:5000"),
            ("http://10.0.0.1:5000", "http://0x0a.1:5000"),
            ("http://[2001:db8::1]:5000", "http://[2001:DB8:0:0::1]:5000"),
            ("http://localhost:5000", "http://127.0.0.1:5000"),
            ("http://localhost:5000", "http://LOCALHOST.:5000"),
            ("http://localhost:5000", "http://[::1]:5000"),
            ("http://localhost", "http://[::ffff:127.0.0.1]:80"),
        ] {
            assert_eq!(host(one), host(same), "{one} {same}");
        }
        for (one, other) in [
            ("http://[::1]:5000", "http://[::1]:5001"),
            ("http://[2001:db8::1]", "http://[2001:db8::2]"),
            ("http://10.0.0.1", "http://10.0.0.2"),
        ] {
            assert_ne!(host(one), host(other), "{one} {other}");
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
