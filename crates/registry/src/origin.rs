//! Where credentials may go, and where a registry may send us.

use url::{Host, Url};

/// Whether two URLs have the same scheme, host and port (RFC 6454).
pub(crate) fn same(a: &Url, b: &Url) -> bool {
    a.scheme() == b.scheme() && a.host() == b.host() && a.port_or_known_default() == b.port_or_known_default()
}

/// Whether a URL names this machine.
pub(crate) fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(Host::Ipv4(address)) => address.is_loopback() || address.is_unspecified(),
        Some(Host::Ipv6(address)) => match address.to_ipv4_mapped() {
            Some(mapped) => mapped.is_loopback() || mapped.is_unspecified(),
            None => address.is_loopback() || address.is_unspecified(),
        },
        None => false,
    }
}

/// Scheme, host and port, for a message: what else is in a URL from outside may be secret, as a signature is.
pub(crate) fn shown(url: &Url) -> String {
    url.origin().ascii_serialization()
}

/// Why the token service at `realm` gets no credentials from a client of `registry`.
///
/// A registry names its token service itself, so a registry that has been taken over, or whoever sits between
/// on plain HTTP, could name any. Its own origin is as good as itself; another host must at least prove its
/// name; and nobody sends us to services of our own machine, except a registry that runs there.
pub(crate) fn realm_refused(registry: &Url, realm: &Url) -> Option<&'static str> {
    let (registry_here, realm_here) = (is_loopback(registry), is_loopback(realm));
    if !matches!(realm.scheme(), "http" | "https") || realm.host().is_none() {
        Some("a token service is reached by http or https")
    } else if !realm.username().is_empty() || realm.password().is_some() {
        Some("the URL of a token service must not hold credentials")
    } else if same(registry, realm) {
        None
    } else if realm_here && !registry_here {
        Some("a token service on this machine is used only by a registry on this machine")
    } else if realm.scheme() == "https" || (registry.scheme() == "http" && registry_here && realm_here) {
        None
    } else {
        Some("a token service has the registry's own origin, or is reached by https")
    }
}

/// Why a blob is not fetched from where `from`, an address of the registry, redirects to.
pub(crate) fn blob_redirect_refused(registry: &Url, from: &Url, to: &Url) -> Option<&'static str> {
    if !matches!(to.scheme(), "http" | "https") || to.host().is_none() {
        Some("only http and https are followed")
    } else if !to.username().is_empty() || to.password().is_some() {
        Some("a URL that holds credentials is not followed")
    } else if from.scheme() == "https" && to.scheme() != "https" {
        Some("a redirect from https to http is not followed")
    } else if is_loopback(to) && !is_loopback(registry) {
        Some("a redirect to this machine is not followed")
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(text: &str) -> Url {
        text.parse().unwrap()
    }

    #[test]
    fn an_origin_is_scheme_host_and_port() {
        for (a, b, expected) in [
            ("http://h/a", "http://h:80/b?c", true),
            ("https://h", "https://h:443", true),
            ("http://h", "https://h", false),
            ("http://h:5000", "http://h:5001", false),
            ("http://h", "http://h.evil", false),
            ("http://127.0.0.1", "http://localhost", false),
        ] {
            assert_eq!(same(&url(a), &url(b)), expected, "{a} {b}");
        }
    }

    #[test]
    fn a_token_service_gets_credentials_at_the_own_origin_or_over_https_only() {
        for (registry, realm, allowed) in [
            ("https://r.example", "https://r.example/token", true),
            ("https://r.example", "https://auth.example/token", true),
            ("http://r.example", "http://r.example/token", true),
            ("http://r.example", "https://auth.example/token", true),
            ("https://r.example", "http://r.example/token", false),
            ("https://r.example", "http://auth.example/token", false),
            ("http://r.example", "http://r.example:81/token", false),
            ("http://r.example", "http://auth.example/token", false),
            ("http://127.0.0.1:5000", "http://127.0.0.1:5001/token", true),
            ("http://localhost:5000", "http://[::1]:5001/token", true),
            ("http://127.0.0.1:5000", "http://auth.example/token", false),
            ("https://localhost", "http://localhost:81/token", false),
            ("https://r.example", "https://localhost/token", false),
            ("https://r.example", "https://127.9.9.9/token", false),
            ("https://r.example", "https://[::ffff:127.0.0.1]/token", false),
            ("https://r.example", "https://user:pw@auth.example/token", false),
            ("https://r.example", "file:///etc/passwd", false),
        ] {
            let refused = realm_refused(&url(registry), &url(realm));
            assert_eq!(refused.is_none(), allowed, "{registry} {realm}: {refused:?}");
        }
    }

    #[test]
    fn a_blob_is_fetched_from_elsewhere_but_never_less_safely() {
        for (registry, to, allowed) in [
            ("https://r.example", "https://bucket.example/x?signature=1", true),
            ("http://r.example", "https://bucket.example/x", true),
            ("http://r.example", "http://bucket.example/x", true),
            ("http://127.0.0.1:1", "http://127.0.0.1:2/x", true),
            ("https://r.example", "http://r.example/x", false),
            ("https://r.example", "https://127.0.0.1/x", false),
            ("https://r.example", "https://a:b@bucket.example/x", false),
            ("https://r.example", "file:///etc/passwd", false),
        ] {
            let refused = blob_redirect_refused(&url(registry), &url(registry), &url(to));
            assert_eq!(refused.is_none(), allowed, "{registry} {to}: {refused:?}");
        }
    }
}
