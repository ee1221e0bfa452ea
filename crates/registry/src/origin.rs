//! Where credentials may go, and where a registry may send us.

use url::{Host, Url};

/// Whether two URLs have the same scheme, host and port (RFC 6454).
pub(crate) fn same(a: &Url, b: &Url) -> bool {
    a.scheme() == b.scheme() && a.host() == b.host() && a.port_or_known_default() == b.port_or_known_default()
}

/// Whether what is sent there can be read on the way: it is not encrypted, and leaves this machine.
pub(crate) fn is_in_the_clear(url: &Url) -> bool {
    url.scheme() == "http" && !is_loopback(url)
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

/// The rule against a token service that only has to be named to be used.
pub(crate) const UNNAMED: &str =
    "credentials go to the registry's own host, and to others only where they are named";

/// Whether the realm's host is the registry's own, or the domain that it is in; Docker Hub's has another.
fn is_related(registry: &Url, realm: &Url) -> bool {
    let (Some(Host::Domain(registry)), Some(Host::Domain(realm))) = (registry.host(), realm.host()) else {
        return registry.host() == realm.host();
    };
    let is_in = |host: &str, domain: &str| {
        host.strip_suffix(domain)
            .is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
    };
    (realm.contains('.') && is_in(registry, realm))
        || registry == realm
        || (is_in(registry, "docker.io") && realm == "auth.docker.io")
}

/// Why the token service at `realm` gets no credentials from a client of `registry`.
///
/// A registry names its token service itself, so a registry that has been taken over, or whoever sits between
/// on plain HTTP, could name any. Its own origin is as good as itself; another host must at least prove its
/// name; and nobody sends us to services of our own machine, except a registry that runs there.
///
/// Whoever has credentials to lose (`secret`) gives them to the registry's own host and to the domain that it is in,
/// whose owner could take its place anyway, and to others only where somebody named them (`allowed`).
pub(crate) fn realm_refused(
    registry: &Url,
    realm: &Url,
    allowed: &[Url],
    secret: bool,
) -> Option<&'static str> {
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
        let trusted = (registry_here && realm_here)
            || allowed.iter().any(|origin| same(origin, realm))
            || is_related(registry, realm);
        (secret && !trusted).then_some(UNNAMED)
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
    fn what_leaves_this_machine_unencrypted_is_in_the_clear() {
        for (text, expected) in [
            ("http://registry.example.com", true),
            ("http://10.0.0.1:5000", true),
            ("http://localhost:5000", false),
            ("http://127.0.0.1:5000", false),
            ("http://[::1]:5000", false),
            ("https://registry.example.com", false),
        ] {
            assert_eq!(is_in_the_clear(&Url::parse(text).unwrap()), expected, "{text}");
        }
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
            let refused = realm_refused(&url(registry), &url(realm), &[], false);
            assert_eq!(refused.is_none(), allowed, "{registry} {realm}: {refused:?}");
        }
    }

    #[test]
    fn credentials_go_to_the_own_host_its_domain_and_those_that_are_named() {
        let named = [url("https://auth.elsewhere.example:444")];
        for (registry, realm, allowed) in [
            ("https://r.example.com", "https://r.example.com/token", true),
            ("https://r.example.com", "https://r.example.com:444/token", true),
            ("https://r.example.com", "https://example.com/jwt/auth", true),
            ("https://r.example.com", "https://com/token", false),
            ("https://r.example.com", "https://auth.example.com/token", false),
            ("https://r.example.com", "https://xr.example.com/token", false),
            ("https://xexample.com", "https://example.com/token", false),
            ("https://example.com", "https://auth.example.com/token", false),
            (
                "https://r.example.com",
                "https://auth.elsewhere.example:444/token",
                true,
            ),
            (
                "https://r.example.com",
                "https://auth.elsewhere.example/token",
                false,
            ),
            (
                "https://r.example.com",
                "http://auth.elsewhere.example:444/token",
                false,
            ),
            (
                "https://registry-1.docker.io",
                "https://auth.docker.io/token",
                true,
            ),
            ("https://docker.io", "https://auth.docker.io/token", true),
            (
                "https://docker.io.evil.example",
                "https://auth.docker.io/token",
                false,
            ),
            (
                "https://registry-1.docker.io",
                "https://auth.docker.io.evil/token",
                false,
            ),
            ("https://10.0.0.1", "https://10.0.0.1:444/token", true),
            ("https://10.0.0.1", "https://0.0.1/token", false),
            ("http://127.0.0.1:5000", "http://127.0.0.1:5001/token", true),
        ] {
            let refused = realm_refused(&url(registry), &url(realm), &named, true);
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
