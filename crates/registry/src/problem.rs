//! Refusals and failures, in words.

use http::StatusCode;
use http::header::CONTENT_TYPE;
use lagan_model::{Failure, RegistryError, json};
use oci_distribution::errors::{OciEnvelope, OciErrorCode};
use secrecy::{ExposeSecret as _, SecretString};

use crate::token::Scope;
use crate::transport::{Answer, Request};

/// Why something that may pass is not asked for again.
pub(crate) const GIVEN_UP: &str =
    "so much has failed there lately that this was not tried again: see how the registry is";

/// How much of what a registry says goes into a message, in characters.
const SAID: usize = 300;

/// What stands in the place of a secret.
const BLANK: &str = "[secret]";

/// The registry's own error (distribution specification, "Error Codes"), where the answer holds one.
///
/// Its presence tells a registry from a proxy in front of it: only a registry can say that something is not there.
pub(crate) fn envelope(answer: &Answer) -> Option<OciEnvelope> {
    json::read(&answer.body)
        .ok()
        .filter(|envelope: &OciEnvelope| !envelope.errors.is_empty())
}

/// Whether the registry's own error has this code.
pub(crate) fn has_code(answer: &Answer, code: &OciErrorCode) -> bool {
    envelope(answer).is_some_and(|envelope| envelope.errors.iter().any(|error| error.code == *code))
}

/// Whether a 403 is about a password that has ended, which Amazon's registry calls a token: another one may do
/// (<https://github.com/awslabs/amazon-ecr-credential-helper/issues/7>).
pub(crate) fn says_expired(answer: &Answer) -> bool {
    describe(answer)
        .to_ascii_lowercase()
        .contains("authorization token has expired")
}

/// An answer that is not the one asked for, by its status.
pub(crate) fn refusal(request: &Request, answer: &Answer) -> RegistryError {
    refusal_of(request, answer, &Scope::Nothing)
}

/// The same; a refusal for want of rights says what was asked for.
pub(crate) fn refusal_of(request: &Request, answer: &Answer, scope: &Scope) -> RegistryError {
    let said = envelope(answer);
    let failure = match answer.status.as_u16() {
        // Who the caller is has been settled when it connected: what is refused now is this one thing.
        401 | 403 => Failure::Denied,
        404 if said.is_some() => Failure::NotFound,
        405 | 501 => Failure::Unsupported,
        408 => Failure::Timeout,
        429 | 503 => Failure::Overloaded,
        500.. => Failure::Server,
        _ => Failure::Malformed,
    };
    let detail = match failure {
        Failure::Denied => denied(answer, scope),
        _ => describe(answer),
    };
    let error = RegistryError::new(failure, request.line(), detail);
    match (failure, answer.status) {
        (Failure::Malformed, StatusCode::NOT_FOUND) => {
            error.with_hint("this is not a registry's own answer: look at what stands in front of it")
        }
        _ if answer.given_up => error.with_hint(GIVEN_UP),
        (Failure::Overloaded, _) => error.with_hint("try again later, or with fewer requests at once"),
        _ => error,
    }
}

/// `403 DENIED: access denied (asked for repository:team/app:pull; the token grants nothing of it)`.
pub(crate) fn denied(answer: &Answer, scope: &Scope) -> String {
    let said = describe(answer);
    match (scope.text(), &answer.granted) {
        (None, _) => said,
        (Some(scope), None) => format!("{said} (asked for {scope})"),
        (Some(scope), Some(granted)) => {
            format!("{said} (asked for {scope}; the token grants {granted} of it)")
        }
    }
}

/// `404 MANIFEST_UNKNOWN: manifest unknown`, or what there is of it.
pub(crate) fn describe(answer: &Answer) -> String {
    let status = answer.status;
    // Blanked before it is cut: a part of a secret is one.
    let clean = |text: &str| clean(&blanked(text, &answer.secrets));
    if let Some(error) = envelope(answer).and_then(|envelope| envelope.errors.into_iter().next()) {
        let code = match serde_json::to_value(&error.code) {
            Ok(serde_json::Value::String(code)) => clean(&code),
            _ => String::new(),
        };
        return match clean(&error.message) {
            message if message.is_empty() => format!("{} {code}", status.as_u16()),
            message => format!("{} {code}: {message}", status.as_u16()),
        };
    }
    let plain = match answer.header(&CONTENT_TYPE) {
        Some(kind) => kind.starts_with("text/plain") || kind.starts_with("application/json"),
        None => !answer.body.trim_ascii_start().starts_with(b"<"),
    };
    let text = if plain {
        clean(&String::from_utf8_lossy(&answer.body))
    } else {
        String::new()
    };
    match status.canonical_reason() {
        Some(reason) if text.is_empty() => format!("{} {reason}", status.as_u16()),
        Some(reason) => format!("{} {reason}: {text}", status.as_u16()),
        None if text.is_empty() => status.as_u16().to_string(),
        None => format!("{}: {text}", status.as_u16()),
    }
}

/// `text` without these secrets, and without what looks like the credentials of anybody: a long word behind `Basic` or
/// `Bearer` that is more than letters of one case.
fn blanked(text: &str, secrets: &[SecretString]) -> String {
    let mut text = text.to_owned();
    for secret in secrets.iter().map(|secret| secret.expose_secret()) {
        if !secret.is_empty() {
            text = text.replace(secret, BLANK);
        }
    }
    let mut behind_scheme = false;
    let word = |word: &str| {
        let bare = word.trim_end();
        let is_token = |c: char| c.is_ascii_alphanumeric() || "-._~+/=".contains(c);
        let token = bare.split(|c| !is_token(c)).next().unwrap_or_default();
        let mixed = |c: char| c.is_ascii_digit() || c.is_ascii_uppercase();
        let shown = if behind_scheme && token.len() >= 8 && token.chars().skip(1).any(mixed) {
            word.replacen(token, BLANK, 1)
        } else {
            word.to_owned()
        };
        if !bare.is_empty() {
            let bare = bare.to_ascii_lowercase();
            behind_scheme = bare.ends_with("basic") || bare.ends_with("bearer");
        }
        shown
    };
    text.split_inclusive(char::is_whitespace).map(word).collect()
}

/// The answer breaks the specification.
pub(crate) fn malformed(request: &Request, detail: impl Into<String>) -> RegistryError {
    RegistryError::new(Failure::Malformed, request.line(), detail)
}

/// Text from outside, in one line of bounded length, without what steers a terminal or reorders a line.
pub(crate) fn clean(text: &str) -> String {
    let mut out = String::new();
    let printable = text
        .chars()
        .map(|c| {
            if c.is_whitespace() || c.is_control() {
                ' '
            } else {
                c
            }
        })
        .filter(|c| !is_invisible(*c));
    let (mut count, mut space) = (0, true);
    for c in printable {
        if c == ' ' && space {
            continue;
        }
        if count == SAID {
            out.push('…');
            return out;
        }
        space = c == ' ';
        count += 1;
        out.push(c);
    }
    out.truncate(out.trim_end().len());
    out
}

/// A name from outside, quoted and escaped, for a message that says why it was refused.
pub(crate) fn quoted(name: &str) -> String {
    let mut cut: String = name.chars().take(SAID).collect();
    if cut.len() < name.len() {
        cut.push('…');
    }
    format!("{cut:?}")
}

/// Marks of direction, joiners and other characters of no width.
fn is_invisible(c: char) -> bool {
    matches!(c,
        '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_from_outside_becomes_one_harmless_line() {
        assert_eq!(clean("  a\r\n\tb\u{1b}[31m\u{202e}c\u{9b}d  "), "a b [31mc d");
        let long = clean(&"x".repeat(10_000));
        assert_eq!(long.chars().count(), SAID + 1);
        assert!(long.ends_with('…'));
        assert_eq!(quoted("a\u{1b}\"\u{202e}"), r#""a\u{1b}\"\u{202e}""#);
    }
    #[test]
    fn secrets_that_come_back_are_blanked_and_words_are_not() {
        let secrets = ["pa ss".into(), "".into()];
        for (text, expected) in [
            ("you sent pa ss", "you sent [secret]"),
            (
                "Authorization: Basic Y2k6czNjcmV0 denied",
                "Authorization: Basic [secret] denied",
            ),
            ("\"bearer  eyJhbGciOi.J9.x-_\", 401", "\"bearer  [secret]\", 401"),
            ("basic authentication required", "basic authentication required"),
            ("Bearer token expired", "Bearer token expired"),
            ("Bearer realm=\"x\"", "Bearer realm=\"x\""),
            ("Basic Basic Y2k6czNjcmV0", "Basic Basic [secret]"),
        ] {
            assert_eq!(blanked(text, &secrets), expected);
        }
    }
}
