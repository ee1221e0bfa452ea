//! Names are resolved here, so that a registry cannot send us to a place that only we can reach.
//!
//! A registry names its token service, and redirects to its object storage. A name from outside may resolve to an
//! address inside: of this machine, of the cloud's metadata service, of a network that the registry itself cannot
//! reach. What is connected to is what was checked, so a name that resolves otherwise a moment later gains nothing.
//! Where a proxy resolves names, it decides.

use std::collections::HashMap;
use std::error::Error as StdError;
use std::fmt;
use std::future::Future;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use url::{Host, Url};

/// How far an address is from here; the nearer, the fewer may send us there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Reach {
    /// This machine, or no single machine at all.
    Machine,
    /// The next machines, and wherever else clouds hand out credentials.
    Link,
    /// A network that the rest of the world does not see.
    Inside,
    /// Anywhere.
    Public,
}

/// Where clouds hand out credentials beside link-local addresses: Amazon's over IPv6, Google's over IPv6, Alibaba's.
/// Nobody has a registry's token service or object storage there.
const METADATA: [IpAddr; 3] = [
    IpAddr::V6(Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254)),
    IpAddr::V6(Ipv6Addr::new(0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254)),
    IpAddr::V4(Ipv4Addr::new(100, 100, 100, 200)),
];

impl Reach {
    fn of(address: IpAddr) -> Self {
        match address.to_canonical() {
            address if METADATA.contains(&address) => Self::Link,
            IpAddr::V4(address) => Self::of_v4(address),
            IpAddr::V6(address) => {
                let first = address.segments()[0];
                if address.is_loopback() || address.is_unspecified() || address.is_multicast() {
                    Self::Machine
                } else if first & 0xffc0 == 0xfe80 {
                    Self::Link
                } else if first & 0xfe00 == 0xfc00 {
                    Self::Inside
                } else if let [0x64, 0xff9b, 0, 0, 0, 0, high, low] = address.segments() {
                    // An IPv4 address behind NAT64 (RFC 6052).
                    let behind = Ipv4Addr::from((u32::from(high) << 16) | u32::from(low));
                    Self::of(behind.into())
                } else {
                    Self::Public
                }
            }
        }
    }

    fn of_v4(address: Ipv4Addr) -> Self {
        let [a, b, ..] = address.octets();
        if a == 127 || a == 0 || a >= 224 {
            Self::Machine
        } else if address.is_link_local() {
            Self::Link
        } else if address.is_private() || (a == 100 && b & 0xc0 == 64) {
            // The second is shared address space (RFC 6598).
            Self::Inside
        } else {
            Self::Public
        }
    }
}

/// What a name from outside is used for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// A token service: gets what authenticates us.
    Token,
    /// The same, at an origin that whoever configured us named as well.
    AllowedToken,
    /// Object storage: gets nothing, and what it gives is verified.
    Storage,
}

/// A place that a registry must not send us to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refused {
    host: String,
    address: IpAddr,
    rule: &'static str,
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} is at {}, {}", self.host, self.address, self.rule)
    }
}

impl StdError for Refused {}

type Lookup = dyn Fn(String) -> Pin<Box<dyn Future<Output = io::Result<Vec<IpAddr>>> + Send>> + Send + Sync;

/// Resolves names for one registry's client.
#[derive(Clone)]
pub(crate) struct Guard {
    lookup: Arc<Lookup>,
    state: Arc<Mutex<State>>,
}

struct State {
    /// The registry's own host, which may be anywhere.
    own: String,
    /// The nearest of its addresses; `None` while they are not known, which counts as public.
    reach: Option<Reach>,
    /// Hosts that were named from outside.
    named: HashMap<String, Purpose>,
}

impl Guard {
    pub(crate) fn new(registry: &Url) -> Self {
        Self::with_lookup(registry, |name| {
            Box::pin(async move {
                let found = tokio::net::lookup_host((name, 0)).await?;
                Ok(found.map(|address| address.ip()).collect())
            })
        })
    }

    pub(crate) fn with_lookup(
        registry: &Url,
        lookup: impl Fn(String) -> Pin<Box<dyn Future<Output = io::Result<Vec<IpAddr>>> + Send>>
        + Send
        + Sync
        + 'static,
    ) -> Self {
        Self {
            lookup: Arc::new(lookup),
            state: Arc::new(Mutex::new(State {
                own: registry.host_str().unwrap_or_default().to_owned(),
                reach: literal(registry).map(Reach::of),
                named: HashMap::new(),
            })),
        }
    }

    /// Takes note that the host of `url` was named from outside. What is an address already is checked here, since
    /// nobody resolves it.
    pub(crate) fn named(&self, url: &Url, purpose: Purpose) -> Result<(), Refused> {
        let host = url.host_str().unwrap_or_default();
        let mut state = self.state();
        if host == state.own {
            return Ok(());
        }
        if let Some(address) = literal(url) {
            return state.check(host, address, purpose);
        }
        if state.named.get(host) != Some(&Purpose::Token) {
            state.named.insert(host.to_owned(), purpose);
        }
        Ok(())
    }

    async fn addresses(self, name: String) -> Result<Vec<IpAddr>, Box<dyn StdError + Send + Sync>> {
        let found = (self.lookup)(name.clone()).await?;
        let mut state = self.state();
        if name == state.own {
            state.reach = found.iter().copied().map(Reach::of).min();
        } else if let Some(purpose) = state.named.get(&name).copied() {
            // One address that must not be is enough: which of them is connected to is chance.
            for address in &found {
                state.check(&name, *address, purpose)?;
            }
        }
        drop(state);
        Ok(found)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn check(&self, host: &str, address: IpAddr, purpose: Purpose) -> Result<(), Refused> {
        let registry = self.reach.unwrap_or(Reach::Public);
        let rule = match Reach::of(address) {
            reach if reach >= registry && reach != Reach::Link => return Ok(()),
            Reach::Machine => "an address of this machine, and the registry is elsewhere",
            Reach::Link => "a link-local address, or one at which clouds hand out credentials",
            Reach::Inside if purpose == Purpose::Token => {
                "an address inside, and the registry is not known to be inside"
            }
            Reach::Inside | Reach::Public => return Ok(()),
        };
        Err(Refused {
            host: host.to_owned(),
            address,
            rule,
        })
    }
}

impl Resolve for Guard {
    fn resolve(&self, name: Name) -> Resolving {
        let guard = self.clone();
        Box::pin(async move {
            let found = guard.addresses(name.as_str().to_owned()).await?;
            // The port is the URL's.
            let found: Addrs = Box::new(found.into_iter().map(|address| SocketAddr::new(address, 0)));
            Ok(found)
        })
    }
}

/// The address, where the host is one.
fn literal(url: &Url) -> Option<IpAddr> {
    match url.host()? {
        Host::Domain(_) => None,
        Host::Ipv4(address) => Some(address.into()),
        Host::Ipv6(address) => Some(address.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(text: &str) -> Url {
        text.parse().unwrap()
    }

    /// Every name is at the address that it spells, with dashes for dots: `10-0-0-1.example`.
    fn guard(registry: &str) -> Guard {
        Guard::with_lookup(&url(registry), |name| {
            let addresses = name.split('.').next().unwrap_or_default().split('_');
            let addresses = addresses
                .map(|text| match text.strip_prefix('x') {
                    Some(v6) => v6.replace('-', ":").parse().unwrap(),
                    None => text.replace('-', ".").parse().unwrap(),
                })
                .collect();
            Box::pin(std::future::ready(Ok(addresses)))
        })
    }

    #[tokio::test]
    async fn a_name_from_outside_leads_no_further_inside_than_the_registry_is() {
        use Purpose::{AllowedToken, Storage, Token};
        for (registry, named, purpose, allowed) in [
            ("203-0-113-1.example", "198-51-100-1.example", Token, true),
            ("203-0-113-1.example", "10-0-0-1.example", Token, false),
            ("203-0-113-1.example", "10-0-0-1.example", Storage, true),
            ("203-0-113-1.example", "172-20-1-1.example", Token, false),
            ("203-0-113-1.example", "192-168-1-1.example", Token, false),
            ("203-0-113-1.example", "100-64-1-1.example", Token, false),
            ("203-0-113-1.example", "127-0-0-1.example", Token, false),
            ("203-0-113-1.example", "127-0-0-1.example", Storage, false),
            ("203-0-113-1.example", "0-0-0-0.example", Storage, false),
            ("203-0-113-1.example", "169-254-169-254.example", Token, false),
            ("203-0-113-1.example", "169-254-169-254.example", Storage, false),
            ("203-0-113-1.example", "100-100-100-200.example", Storage, false),
            ("203-0-113-1.example", "100-100-100-201.example", Storage, true),
            ("203-0-113-1.example", "xfd00-ec2--254.example", Storage, false),
            ("203-0-113-1.example", "xfd00-ec2--255.example", Storage, true),
            (
                "203-0-113-1.example",
                "xfd20-ce--254.example",
                AllowedToken,
                false,
            ),
            (
                "203-0-113-1.example",
                "x64-ff9b--6464-64c8.example",
                Storage,
                false,
            ),
            ("10-1-1-1.example", "xfd00-ec2--254.example", Token, false),
            ("10-1-1-1.example", "100-100-100-200.example", AllowedToken, false),
            ("127-0-0-1.example", "100-100-100-200.example", Token, false),
            ("203-0-113-1.example", "x--1.example", Token, false),
            ("203-0-113-1.example", "xfe80--1.example", Storage, false),
            ("203-0-113-1.example", "xfd00--1.example", Token, false),
            ("203-0-113-1.example", "x--ffff-7f00-1.example", Token, false),
            ("203-0-113-1.example", "x64-ff9b--7f00-1.example", Token, false),
            ("203-0-113-1.example", "x2001-db8--1.example", Token, true),
            (
                "203-0-113-1.example",
                "198-51-100-1_10-0-0-1.example",
                Token,
                false,
            ),
            ("203-0-113-1.example", "10-0-0-1.example", AllowedToken, true),
            ("203-0-113-1.example", "127-0-0-1.example", AllowedToken, false),
            (
                "203-0-113-1.example",
                "169-254-169-254.example",
                AllowedToken,
                false,
            ),
            ("127-0-0-1.example", "127-0-0-2.example", AllowedToken, true),
            ("10-1-1-1.example", "10-0-0-1.example", Token, true),
            ("10-1-1-1.example", "127-0-0-1.example", Token, false),
            ("10-1-1-1.example", "169-254-169-254.example", Token, false),
            ("127-0-0-1.example", "127-0-0-2.example", Token, true),
            ("127-0-0-1.example", "10-0-0-1.example", Token, true),
            ("127-0-0-1.example", "169-254-169-254.example", Token, false),
            ("127-0-0-1.example", "127-0-0-1.example", Token, true),
        ] {
            let guard = guard(&format!("https://{registry}/"));
            guard.clone().addresses(registry.to_owned()).await.unwrap();
            guard
                .named(&url(&format!("https://{named}/token")), purpose)
                .unwrap();
            let found = guard.addresses(named.to_owned()).await;
            assert_eq!(
                found.is_ok(),
                allowed,
                "{registry} {named} {purpose:?}: {found:?}"
            );
        }
    }

    #[test]
    fn an_address_in_the_url_is_checked_before_anybody_resolves_anything() {
        for (registry, named, allowed) in [
            ("https://203.0.113.1", "https://198.51.100.1/", true),
            ("https://203.0.113.1", "https://10.0.0.1/", false),
            ("https://203.0.113.1", "https://169.254.169.254/", false),
            ("https://203.0.113.1", "https://0x7f.1/", false),
            ("https://203.0.113.1", "https://[::ffff:10.0.0.1]/", false),
            ("https://203.0.113.1", "https://[fe80::1]/", false),
            ("https://10.0.0.1", "https://100.100.100.200/", false),
            ("https://10.0.0.1", "https://[fd00:ec2::254]/", false),
            ("https://10.0.0.1", "https://[fd20:ce::254]/", false),
            ("https://10.0.0.1", "https://[fd20:ce::255]/", true),
            ("https://[fd00:ec2::1]", "https://[fd00:ec2::254]/", false),
            ("https://100.100.100.200", "https://100.100.100.200/", true),
            ("https://10.0.0.1", "https://10.0.0.2/", true),
            ("https://10.0.0.1", "https://10.0.0.1:444/", true),
            ("https://127.0.0.1", "https://127.0.0.1:444/", true),
            ("https://169.254.1.1", "https://169.254.1.1/", true),
            // Nobody has resolved it yet, so it counts as public.
            ("https://registry.example", "https://10.0.0.1/", false),
        ] {
            let named = Guard::new(&url(registry)).named(&url(named), Purpose::Token);
            assert_eq!(named.is_ok(), allowed, "{registry}: {named:?}");
        }
        for (registry, named, allowed) in [
            ("https://203.0.113.1", "https://10.0.0.1/", true),
            ("https://203.0.113.1", "https://127.0.0.1/", false),
            ("https://127.0.0.1", "https://127.0.0.1:444/", true),
            ("https://203.0.113.1", "https://169.254.169.254/", false),
            ("https://127.0.0.1", "https://169.254.169.254/", false),
            ("https://203.0.113.1", "https://100.100.100.200/", false),
            ("https://127.0.0.1", "https://[fd00:ec2::254]/", false),
        ] {
            let named = Guard::new(&url(registry)).named(&url(named), Purpose::AllowedToken);
            assert_eq!(named.is_ok(), allowed, "{registry}, allowed: {named:?}");
        }
    }

    #[tokio::test]
    async fn a_host_that_nobody_outside_named_is_not_checked() {
        // A proxy, say.
        let guard = guard("https://203-0-113-1.example/");
        assert!(guard.addresses("10-0-0-1.proxy".to_owned()).await.is_ok());
    }
}
