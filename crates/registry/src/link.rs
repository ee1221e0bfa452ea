//! The `Link` header of a page (RFC 8288), as far as paging needs it: the target with `rel="next"`.

use http::HeaderMap;
use http::header::LINK;

/// A `Link` header that cannot be read. It may have said that there is more.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Unreadable;

/// The target of the link to the next page. Two that lead to different pages cannot both be followed.
pub(crate) fn next(headers: &HeaderMap) -> Result<Option<&str>, Unreadable> {
    let mut found = None;
    for value in headers.get_all(LINK) {
        let mut rest = value.to_str().map_err(|_| Unreadable)?.trim();
        while !rest.is_empty() {
            let (target, after) = rest
                .strip_prefix('<')
                .and_then(|rest| rest.split_once('>'))
                .ok_or(Unreadable)?;
            let (parameters, following) = split_at_comma(after);
            if parameters.split(';').any(is_next) {
                if found.is_some_and(|other| other != target) {
                    return Err(Unreadable);
                }
                found = Some(target);
            }
            rest = following.trim_start();
        }
    }
    Ok(found)
}

/// The parameters of one link, and the links behind it. A comma inside quotes separates nothing.
fn split_at_comma(text: &str) -> (&str, &str) {
    let mut quoted = false;
    for (offset, c) in text.char_indices() {
        match c {
            '"' => quoted = !quoted,
            ',' if !quoted => return (&text[..offset], &text[offset + 1..]),
            _ => {}
        }
    }
    (text, "")
}

fn is_next(parameter: &str) -> bool {
    parameter.split_once('=').is_some_and(|(name, value)| {
        name.trim().eq_ignore_ascii_case("rel")
            && value
                .trim()
                .trim_matches('"')
                .split_ascii_whitespace()
                .any(|relation| relation.eq_ignore_ascii_case("next"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(value: &str) -> Result<Option<String>, Unreadable> {
        let mut headers = HeaderMap::new();
        headers.append(LINK, value.parse().unwrap());
        next(&headers).map(|target| target.map(str::to_owned))
    }

    #[test]
    fn the_next_page_is_found_among_other_links() {
        for value in [
            r#"</v2/_catalog?last=a&n=1>; rel="next""#,
            r#"</v2/_catalog?last=a&n=1>;rel=next"#,
            r#"</v2/_catalog?last=a&n=1>; title="a, b"; REL="prev NEXT""#,
            r#"</x>; rel="first", </v2/_catalog?last=a&n=1>; rel="next""#,
        ] {
            assert_eq!(
                read(value).unwrap().as_deref(),
                Some("/v2/_catalog?last=a&n=1"),
                "{value}"
            );
        }
        assert_eq!(read(r#"</x>; rel="prev""#), Ok(None));
        assert_eq!(next(&HeaderMap::new()), Ok(None));
    }

    #[test]
    fn the_same_link_given_twice_is_one() {
        assert_eq!(read("</a>; rel=next, </a>; rel=next"), Ok(Some("/a".to_owned())));
        let mut headers = HeaderMap::new();
        for value in ["</a>; rel=next", "</b>; rel=next"] {
            headers.append(LINK, value.parse().unwrap());
        }
        assert_eq!(next(&headers), Err(Unreadable));
    }

    #[test]
    fn a_header_that_cannot_be_read_is_not_taken_for_the_last_page() {
        for value in [
            "/v2/_catalog?n=1; rel=next",
            "</v2/_catalog",
            "nonsense",
            "</a>; rel=next, </b>; rel=next",
            "</a>; rel=next, nonsense",
        ] {
            assert_eq!(read(value), Err(Unreadable), "{value}");
        }
    }
}
