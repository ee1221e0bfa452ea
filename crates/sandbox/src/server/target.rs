//! What a request is about, read from its method and path (distribution specification, "Endpoints").

use http::Method;

use crate::log::RequestKind;

/// A request's address, taken apart. The parts are as sent, but percent-decoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Target<'a> {
    pub(crate) kind: RequestKind,
    pub(crate) repository: &'a str,
    pub(crate) reference: &'a str,
}

impl<'a> Target<'a> {
    /// A request for a token.
    pub(crate) fn token() -> Self {
        Self {
            kind: RequestKind::Token,
            repository: "",
            reference: "",
        }
    }

    pub(crate) fn read(method: &Method, path: &'a str) -> Self {
        let whole = |kind| Self {
            kind,
            repository: "",
            reference: "",
        };
        let reads = method == Method::GET || method == Method::HEAD;
        if path == "/token" {
            return Self::token();
        }
        let Some(rest) = path.strip_prefix("/v2") else {
            return whole(RequestKind::Other);
        };
        match rest {
            "" | "/" if reads => return whole(RequestKind::Base),
            "/_catalog" if method == Method::GET => return whole(RequestKind::Catalog),
            _ => {}
        }
        let part = |kind, repository, reference| Self {
            kind,
            repository,
            reference,
        };
        let rest = rest.strip_prefix('/').unwrap_or_default();
        if let Some(repository) = rest.strip_suffix("/tags/list").filter(|_| method == Method::GET) {
            return part(RequestKind::TagList, repository, "");
        }
        let Some((before, reference)) = rest.rsplit_once('/') else {
            return whole(RequestKind::Other);
        };
        if let Some(repository) = before.strip_suffix("/manifests") {
            let kind = match *method {
                Method::GET => RequestKind::ManifestGet,
                Method::HEAD => RequestKind::ManifestHead,
                Method::PUT => RequestKind::ManifestPut,
                Method::DELETE => RequestKind::ManifestDelete,
                _ => RequestKind::Other,
            };
            return part(kind, repository, reference);
        }
        if let Some(repository) = before.strip_suffix("/blobs/uploads") {
            return part(RequestKind::BlobUpload, repository, reference);
        }
        if let Some(repository) = before.strip_suffix("/blobs") {
            let kind = match *method {
                Method::POST if reference == "uploads" => {
                    return part(RequestKind::BlobUpload, repository, "");
                }
                Method::GET => RequestKind::BlobGet,
                Method::HEAD => RequestKind::BlobHead,
                Method::DELETE => RequestKind::BlobDelete,
                _ => RequestKind::Other,
            };
            return part(kind, repository, reference);
        }
        match before.strip_suffix("/referrers") {
            Some(repository) if method == Method::GET => part(RequestKind::Referrers, repository, reference),
            _ => whole(RequestKind::Other),
        }
    }
}

/// The grammar of `<name>` ("Pulling manifests"): lowercase parts with separators, 255 bytes at the most.
pub(crate) fn is_repository(name: &str) -> bool {
    name.len() <= 255 && name.split('/').all(is_part)
}

fn is_part(part: &str) -> bool {
    let word = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let ends = part.bytes().next().is_some_and(word) && part.bytes().next_back().is_some_and(word);
    // Between words: one dot, one or two underscores, any number of hyphens.
    ends && part
        .split(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit())
        .all(|between| matches!(between, "" | "." | "_" | "__") || between.bytes().all(|byte| byte == b'-'))
}

/// The grammar of a tag: 128 bytes at the most, beginning with a letter, a digit or `_`.
pub(crate) fn is_tag(text: &str) -> bool {
    let word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    (1..=128).contains(&text.len())
        && text.bytes().next().is_some_and(word)
        && text
            .bytes()
            .all(|byte| word(byte) || byte == b'.' || byte == b'-')
}

/// Decodes `%xx`; what is not valid stays as it is. In a query, `+` is a space.
pub(crate) fn decoded(text: &str, query: bool) -> String {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        let code = text
            .get(at + 1..at + 3)
            .and_then(|digits| u8::from_str_radix(digits, 16).ok());
        match (byte, code) {
            (b'%', Some(code)) => {
                out.push(code);
                at += 2;
            }
            (b'+', _) if query => out.push(b' '),
            _ => out.push(*byte),
        }
        at += 1;
    }
    String::from_utf8_lossy(&out).into_owned()
}

/// Every value of a query's field, decoded.
pub(crate) fn fields(query: &str, name: &str) -> Vec<String> {
    let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    pairs
        .filter(|(key, _)| *key == name)
        .map(|(_, value)| decoded(value, true))
        .collect()
}

/// The first value of a query's field, decoded.
pub(crate) fn field(query: &str, name: &str) -> Option<String> {
    fields(query, name).into_iter().next()
}

/// Encodes what a query's value cannot hold as it is.
pub(crate) fn encoded(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_taken_apart_at_the_last_keyword() {
        let read = |method: Method, path| {
            let target = Target::read(&method, path);
            (target.kind, target.repository, target.reference)
        };
        let get = |path| read(Method::GET, path);
        assert_eq!(get("/v2/"), (RequestKind::Base, "", ""));
        assert_eq!(get("/v2/_catalog"), (RequestKind::Catalog, "", ""));
        assert_eq!(get("/v2/a/b/tags/list"), (RequestKind::TagList, "a/b", ""));
        assert_eq!(get("/v2/a/manifests/1.0"), (RequestKind::ManifestGet, "a", "1.0"));
        assert_eq!(
            get("/v2/a/manifests/b/manifests/1"),
            (RequestKind::ManifestGet, "a/manifests/b", "1")
        );
        assert_eq!(
            get("/v2/a/blobs/sha256:00"),
            (RequestKind::BlobGet, "a", "sha256:00")
        );
        assert_eq!(
            get("/v2/a/referrers/sha256:00"),
            (RequestKind::Referrers, "a", "sha256:00")
        );
        assert_eq!(
            read(Method::POST, "/v2/a/blobs/uploads/"),
            (RequestKind::BlobUpload, "a", "")
        );
        assert_eq!(
            read(Method::POST, "/v2/a/blobs/uploads"),
            (RequestKind::BlobUpload, "a", "")
        );
        assert_eq!(
            read(Method::PUT, "/v2/a/blobs/uploads/7"),
            (RequestKind::BlobUpload, "a", "7")
        );
        assert_eq!(read(Method::POST, "/v2/_catalog").0, RequestKind::Other);
        assert_eq!(get("/metrics").0, RequestKind::Other);
    }

    #[test]
    fn repositories_follow_the_grammar_of_the_specification() {
        for name in ["a", "a/b/c-1", "web.ui", "auth_proxy", "a__b", "a---b", "0"] {
            assert!(is_repository(name), "{name}");
        }
        for name in [
            "", "A", "a/", "/a", "a//b", ".a", "a.", "a..b", "a___b", "a_-b", "a b", "ä",
        ] {
            assert!(!is_repository(name), "{name}");
        }
        assert!(is_tag("_1.0-RC") && !is_tag("-1") && !is_tag("") && !is_tag("a:b"));
    }

    #[test]
    fn queries_are_decoded() {
        assert_eq!(field("n=5&last=a%2Fb", "last").as_deref(), Some("a/b"));
        assert_eq!(decoded("100%", false), "100%");
        assert_eq!(decoded(&encoded("a b/ü+&%"), true), "a b/ü+&%");
    }
}
