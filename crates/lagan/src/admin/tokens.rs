//! Tokens: kept as what they hash to, read again when their files change.

use std::collections::BTreeMap;
use std::fs::{self, Metadata};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use lagan_config::{AdminToken, Right};
use lagan_report::sanitize::harmless;
use sha2::{Digest as _, Sha256};
use subtle::{Choice, ConstantTimeEq as _};

use crate::exit::Failure;

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

/// What changes when a file does, a link that is swapped among it.
///
/// The time of its last change of any kind is among it, which nobody can set: a file can be written anew with the length
/// and the time that it had.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stamp {
    file: (u64, u64),
    written: (i64, i64),
    changed: (i64, i64),
    size: u64,
}

impl From<Metadata> for Stamp {
    fn from(file: Metadata) -> Self {
        Self {
            file: (file.dev(), file.ino()),
            written: (file.mtime(), file.mtime_nsec()),
            changed: (file.ctime(), file.ctime_nsec()),
            size: file.size(),
        }
    }
}

impl Tokens {
    /// Whose token it is. All are compared, each whole, so that the time it takes says nothing of any.
    pub(super) fn whose<'t>(&self, shown: &[u8], tokens: &'t [AdminToken]) -> Option<&'t AdminToken> {
        let shown: Hash = Sha256::digest(shown).into();
        let mut read = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        read.retain(|path, _| tokens.iter().any(|token| token.file == *path));
        let mut found = None;
        for token in tokens {
            let known = refreshed(&mut read, token);
            let same = known.map_or(Choice::from(0), |known| known.ct_eq(&shown));
            if bool::from(same) {
                found = Some(token);
            }
        }
        found
    }
}

fn refreshed(read: &mut BTreeMap<PathBuf, Read>, token: &AdminToken) -> Option<Hash> {
    let stamp = fs::metadata(&token.file).ok().map(Stamp::from);
    if let Some(known) = read.get(&token.file).filter(|known| known.stamp == stamp) {
        return known.hash;
    }
    let hash = hash(&token.file).map_err(|why| {
        let name = harmless(&token.name);
        tracing::warn!("the token {name} is good for nothing: {}", harmless(&why));
    });
    let known = Read {
        stamp,
        hash: hash.ok(),
    };
    let hash = known.hash;
    read.insert(token.file.clone(), known);
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

fn hash(path: &Path) -> Result<Hash, String> {
    let shown = path.display();
    let wrong = |what: &str| format!("the file {shown} {what}");
    let size = fs::metadata(path).map_err(|error| format!("failed to read {shown}: {error}"))?;
    if size.len() > LONGEST {
        return Err(wrong("is longer than a token"));
    }
    let text = fs::read(path).map_err(|error| format!("failed to read {shown}: {error}"))?;
    let text = text.strip_suffix(b"\n").unwrap_or(&text);
    let text = text.strip_suffix(b"\r").unwrap_or(text);
    if text.len() < SHORTEST {
        return Err(wrong("holds less than 16 characters"));
    }
    // What does not fit into the header would never be shown.
    if !text.iter().all(u8::is_ascii_graphic) {
        return Err(wrong(
            "holds something else than letters, digits and signs of ASCII",
        ));
    }
    Ok(Sha256::digest(text).into())
}

/// The words for some rights.
pub(super) fn named<'r>(rights: impl IntoIterator<Item = &'r Right>) -> String {
    let words: Vec<_> = rights.into_iter().map(|right| right.as_str()).collect();
    words.join(", ")
}
