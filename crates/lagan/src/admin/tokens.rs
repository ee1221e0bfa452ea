//! Tokens: kept as what they hash to, read again when their files change.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use lagan_config::{AdminToken, Right, SecretSource};
use lagan_model::RegistryName;
use lagan_report::sanitize::harmless;
use sha2::{Digest as _, Sha256};
use subtle::{Choice, ConstantTimeEq as _};

use crate::exit::Failure;
use crate::stamp::Stamp;

/// What nobody guesses is not shorter.
const SHORTEST: usize = 16;

/// What no token needs. A file that holds more is something else.
const LONGEST: u64 = 4096;

type Hash = [u8; 32];

/// The tokens of a configuration, as their files have them.
#[derive(Debug, Default)]
pub(super) struct Tokens(Mutex<BTreeMap<PathBuf, Read>>);

#[derive(Debug)]
struct Read {
    stamp: Option<Stamp>,
    hash: Option<Hash>,
}

impl Tokens {
    /// Whose token it is. All are compared, each whole, so that the time it takes says nothing of any.
    pub(super) fn whose<'t>(&self, shown: &[u8], tokens: &'t [AdminToken]) -> Option<&'t AdminToken> {
        let shown: Hash = Sha256::digest(shown).into();
        let mut read = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        read.retain(|path, _| tokens.iter().any(|token| token.file == *path));
        let mut found = None;
        for token in tokens {
            let known = refreshed(&mut read, &token.file, || format!("the token {}", token.name));
            let same = known.map_or(Choice::from(0), |known| known.ct_eq(&shown));
            if bool::from(same) {
                found = Some(token);
            }
        }
        found
    }

    /// Whether it is the secret of a registry's webhook. It is compared whole.
    pub(super) fn is(&self, shown: &[u8], registry: &str, secret: &SecretSource) -> bool {
        let shown: Hash = Sha256::digest(shown).into();
        let known = match secret {
            SecretSource::File(path) => {
                let mut read = self.0.lock().unwrap_or_else(PoisonError::into_inner);
                refreshed(&mut read, path, || {
                    format!("the secret of the webhook of {registry}")
                })
            }
            SecretSource::Environment(name) => of_variable(name).ok(),
        };
        bool::from(known.map_or(Choice::from(0), |known| known.ct_eq(&shown)))
    }
}

fn refreshed(read: &mut BTreeMap<PathBuf, Read>, path: &Path, what: impl FnOnce() -> String) -> Option<Hash> {
    let stamp = Stamp::of(path);
    if let Some(known) = read.get(path).filter(|known| known.stamp == stamp) {
        return known.hash;
    }
    let hash = hash(path).map_err(|why| {
        tracing::warn!("{} is good for nothing: {}", harmless(&what()), harmless(&why));
    });
    let known = Read {
        stamp,
        hash: hash.ok(),
    };
    let hash = known.hash;
    read.insert(path.to_owned(), known);
    hash
}

/// Finds out whether files hold tokens.
///
/// # Errors
///
/// Where one cannot be read, or holds something else, or the same as another one.
pub(crate) fn check(tokens: &[AdminToken]) -> Result<(), Failure> {
    let mut known: BTreeMap<Hash, &str> = BTreeMap::new();
    for token in tokens {
        let hash = hash(&token.file).map_err(|why| {
            Failure::usage(format!("the token {} cannot be used: {why}", token.name)).with_hint(
                "a token is 16 letters, digits and signs at the least, as `openssl rand -hex 32` writes them",
            )
        })?;
        if let Some(other) = known.insert(hash, &token.name) {
            let same = format!("the tokens {other} and {} are the same", token.name);
            return Err(Failure::usage(same)
                .with_hint("give each name a token of its own: rights, and who asked, are found by it"));
        }
    }
    Ok(())
}

/// Finds out whether there is a secret where the webhook of a registry has it.
///
/// # Errors
///
/// Where it cannot be read, or is something else.
pub(crate) fn check_secret(registry: &RegistryName, secret: &SecretSource) -> Result<(), Failure> {
    let read = match secret {
        SecretSource::File(path) => hash(path),
        SecretSource::Environment(name) => of_variable(name),
    };
    read.map(drop).map_err(|why| {
        Failure::usage(format!("the webhook of {registry} cannot be used: {why}")).with_hint(
            "a secret is 16 letters, digits and signs at the least, as `openssl rand -hex 32` writes them",
        )
    })
}

fn of_variable(name: &str) -> Result<Hash, String> {
    let value = std::env::var_os(name).ok_or_else(|| format!("the variable {name} is not set"))?;
    hash_of(value.as_encoded_bytes()).map_err(|what| format!("the variable {name} {what}"))
}

fn hash(path: &Path) -> Result<Hash, String> {
    let shown = path.display();
    let wrong = |what: &str| format!("the file {shown} {what}");
    let size = fs::metadata(path).map_err(|error| format!("failed to read {shown}: {error}"))?;
    if size.len() > LONGEST {
        return Err(wrong("is longer than a token"));
    }
    let text = fs::read(path).map_err(|error| format!("failed to read {shown}: {error}"))?;
    hash_of(&text).map_err(wrong)
}

fn hash_of(text: &[u8]) -> Result<Hash, &'static str> {
    let text = text.strip_suffix(b"\n").unwrap_or(text);
    let text = text.strip_suffix(b"\r").unwrap_or(text);
    if text.len() < SHORTEST {
        return Err("holds less than 16 characters");
    }
    // What does not fit into the header would never be shown.
    if !text.iter().all(u8::is_ascii_graphic) {
        return Err("holds something else than letters, digits and signs of ASCII");
    }
    Ok(Sha256::digest(text).into())
}

/// The scheme is read without regard to case, and one space at the least follows it (RFC 9110, section 11.1).
pub(super) fn bearer(header: &[u8]) -> Option<&[u8]> {
    let (scheme, token) = header.split_at_checked(7)?;
    scheme
        .eq_ignore_ascii_case(b"bearer ")
        .then(|| token.trim_ascii())
}

/// The words for some rights.
pub(super) fn named<'r>(rights: impl IntoIterator<Item = &'r Right>) -> String {
    let words: Vec<_> = rights.into_iter().map(|right| right.as_str()).collect();
    words.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_stands_behind_its_scheme() {
        assert_eq!(bearer(b"Bearer abc"), Some(&b"abc"[..]));
        assert_eq!(bearer(b"bearer   abc"), Some(&b"abc"[..]));
        assert_eq!(bearer(b"Basic abc"), None);
        assert_eq!(bearer(b"Bearer"), None);
        assert_eq!(bearer(b"Bearerabc"), None);
    }
}
