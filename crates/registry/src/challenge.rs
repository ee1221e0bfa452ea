//! The `WWW-Authenticate` header: how a registry wants to be authenticated with.

use http::HeaderMap;
use http::header::WWW_AUTHENTICATE;

/// A challenge that can be met.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Challenge {
    /// RFC 7617.
    Basic,
    /// A token from the service at `realm` (the distribution project's token specification).
    Bearer { realm: String, service: Option<String> },
}

/// The strongest challenge of a response: a token rather than the password with every request.
pub(crate) fn read(headers: &HeaderMap) -> Option<Challenge> {
    let mut basic = false;
    for value in headers.get_all(WWW_AUTHENTICATE) {
        let Ok(text) = value.to_str() else { continue };
        let Ok(challenges) = http_auth::parse_challenges(text) else {
            continue;
        };
        for challenge in challenges {
            if challenge.scheme.eq_ignore_ascii_case("bearer") {
                let parameter = |wanted: &str| {
                    let mut parameters = challenge.params.iter();
                    let found = parameters.find(|(name, _)| name.eq_ignore_ascii_case(wanted));
                    found.map(|(_, value)| value.to_unescaped())
                };
                if let Some(realm) = parameter("realm") {
                    let service = parameter("service");
                    return Some(Challenge::Bearer { realm, service });
                }
            }
            basic |= challenge.scheme.eq_ignore_ascii_case("basic");
        }
    }
    basic.then_some(Challenge::Basic)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(values: &[&str]) -> Option<Challenge> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(WWW_AUTHENTICATE, value.parse().unwrap());
        }
        read(&headers)
    }

    #[test]
    fn challenges_are_read_whatever_their_order_and_case() {
        let bearer = Some(Challenge::Bearer {
            realm: "https://auth.example/token?x=1".to_owned(),
            service: Some("registry, of example".to_owned()),
        });
        let text = r#"Bearer realm="https://auth.example/token?x=1",service="registry, of example""#;
        assert_eq!(of(&[text]), bearer);
        assert_eq!(of(&[&text.replacen("Bearer realm", "bearer REALM", 1)]), bearer);
        assert_eq!(of(&[r#"Basic realm="x""#, text]), bearer);
        assert_eq!(of(&[&format!(r#"Basic realm="x", {text}"#)]), bearer);
        assert_eq!(of(&["basic realm=x"]), Some(Challenge::Basic));
    }

    #[test]
    fn what_cannot_be_met_is_no_challenge() {
        assert_eq!(of(&[]), None);
        for value in [
            "",
            "Digest realm=\"x\"",
            "Bearer service=\"x\"",
            "Bearer realm=\"x",
            "\"\"",
        ] {
            assert_eq!(of(&[value]), None, "{value}");
        }
    }
}
