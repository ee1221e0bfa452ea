//! What a token allows, as far as it says so itself.
//!
//! A token service may grant less than was asked for without a word: the registry refuses the request then, and
//! nobody knows why. Tokens are opaque to clients, and nothing here decides whether one is used; but most are
//! JSON web tokens whose claims can be read, and a refusal that tells what was granted saves somebody an hour.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use lagan_model::json;
use serde::Deserialize;

use crate::problem;

/// The claims that the distribution project's token specification has for access.
#[derive(Deserialize)]
struct Claims {
    access: Option<Vec<Access>>,
}

#[derive(Deserialize)]
struct Access {
    r#type: String,
    name: String,
    #[serde(default)]
    actions: Vec<String>,
}

/// What `token` allows of `scope`, where it says so and that is less; `nothing` where it is that.
pub(crate) fn shortfall(token: &str, scope: &str) -> Option<String> {
    let claims = token.split('.').nth(1)?;
    let claims = URL_SAFE_NO_PAD.decode(claims.trim_end_matches('=')).ok()?;
    let access = json::read::<Claims>(&claims).ok()?.access?;
    missing(scope, |resource| {
        let about = access
            .iter()
            .filter(|access| format!("{}:{}", access.r#type, access.name) == resource);
        about
            .flat_map(|access| access.actions.iter().map(String::as_str))
            .collect()
    })
}

/// What an answer that states its scope (token specification, "Authenticating using OAuth 2") grants of `scope`, where
/// that is less; `nothing` where it is that.
pub(crate) fn stated(granted: &str, scope: &str) -> Option<String> {
    if granted.trim().is_empty() {
        return None;
    }
    missing(scope, |resource| {
        let parts = granted
            .split_whitespace()
            .filter_map(|part| part.rsplit_once(':'));
        parts
            .filter(|(about, _)| *about == resource)
            .flat_map(|(_, actions)| actions.split(','))
            .filter(|action| !action.is_empty())
            .collect()
    })
}

/// What is granted of `scope`, by the resource that it is about, where that is less.
fn missing<'a>(scope: &str, granted: impl FnOnce(&str) -> Vec<&'a str>) -> Option<String> {
    // Names hold no colon, but for the port of a registry that proxies another.
    let (resource, wanted) = scope.rsplit_once(':')?;
    let mut granted = granted(resource);
    let has = |action: &str| {
        granted
            .iter()
            .any(|granted| matches!(*granted, "*") || *granted == action)
    };
    if wanted.split(',').all(has) {
        return None;
    }
    granted.sort_unstable();
    granted.dedup();
    Some(match granted.as_slice() {
        [] => "nothing".to_owned(),
        actions => problem::clean(&actions.join(",")),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(claims: &str) -> String {
        format!("e30.{}.c2lnbmF0dXJl", URL_SAFE_NO_PAD.encode(claims))
    }

    #[test]
    fn what_a_token_says_is_held_against_what_was_asked_for() {
        let access = r#"{"access":[{"type":"repository","name":"a/b","actions":["pull","push"]}]}"#;
        let all = r#"{"access":[{"type":"repository","name":"a/b","actions":["*"]}]}"#;
        let none = r#"{"access":[]}"#;
        let catalog = r#"{"access":[{"type":"registry","name":"catalog","actions":["*"]}]}"#;
        for (claims, scope, expected) in [
            (access, "repository:a/b:pull", None),
            (access, "repository:a/b:pull,push", None),
            (access, "repository:a/b:pull,delete", Some("pull,push")),
            (access, "repository:a/bc:pull", Some("nothing")),
            (access, "registry:catalog:*", Some("nothing")),
            (all, "repository:a/b:pull,delete", None),
            (none, "repository:a/b:pull", Some("nothing")),
            (catalog, "registry:catalog:*", None),
        ] {
            let read = shortfall(&token(claims), scope);
            assert_eq!(read.as_deref(), expected, "{claims} {scope}");
        }
    }

    #[test]
    fn what_an_answer_says_beside_an_opaque_token_counts_as_well() {
        for (granted, scope, expected) in [
            ("repository:a/b:pull", "repository:a/b:pull", None),
            (
                "repository:a/b:pull,push,delete",
                "repository:a/b:pull,delete",
                None,
            ),
            (
                "repository:x:pull repository:a/b:*",
                "repository:a/b:pull,delete",
                None,
            ),
            ("repository:a/b:pull", "repository:a/b:pull,delete", Some("pull")),
            ("repository:a/b:", "repository:a/b:pull", Some("nothing")),
            ("repository:a/bc:pull", "repository:a/b:pull", Some("nothing")),
            ("something else", "registry:catalog:*", Some("nothing")),
            ("", "repository:a/b:pull", None),
        ] {
            let read = stated(granted, scope);
            assert_eq!(read.as_deref(), expected, "{granted} {scope}");
        }
    }

    #[test]
    fn a_token_that_says_nothing_is_taken_for_what_was_asked_for() {
        for text in [
            String::new(),
            "opaque".to_owned(),
            "a.b.c".to_owned(),
            "a..c".to_owned(),
            token("{}"),
            token(r#"{"access":null}"#),
            token(r#"{"access":"pull"}"#),
            token(&"[".repeat(1000)),
        ] {
            assert_eq!(shortfall(&text, "repository:a:pull"), None, "{text}");
        }
    }
}
