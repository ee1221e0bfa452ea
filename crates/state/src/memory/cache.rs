//! The cache: what digests name, which never changes.
//!
//! It may be lost at any time. Nothing in it is synced; what is found is believed where it hashes to its digest, or to
//! its checksum; and where the store fails it is removed and begun anew. It is kept in two generations: what is used is
//! copied from the older one into the newer one, and when that has grown enough the older one is removed whole, since
//! the file of a store never shrinks.
//!
//! Manifests are packed as LZ4 blocks: to 55 of 100 bytes where the journal's deflate comes to 35, but in a tenth of the
//! time, which all requests wait for.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use lagan_model::manifest::MAX_MANIFEST_BYTES;
use lagan_model::memory::{ConfigFacts, FactCache};
use lagan_model::{Digest, Manifest, MediaType};
use lz4_flex::block::{compress_prepend_size, decompress, uncompressed_size};
use serde::{Deserialize, Serialize};

use super::Room;
use crate::copies::kv::{Kv, KvError};
use crate::directory::CACHE;
use crate::error::StateError;
use crate::files;
use crate::format::line;
use crate::options::Options;

/// The format, in the names of generations: another one is not read.
const VERSION: u32 = 2;

/// After so many additions the room on the disk is looked at again.
const LOOK: u64 = 4096;

/// Facts about digests.
#[derive(Debug)]
pub struct DiskCache {
    room: Arc<Room>,
    newer: Generation,
    older: Option<Generation>,
    limit: u64,
    added: AtomicU64,
    full: AtomicBool,
}

#[derive(Debug)]
struct Generation {
    path: PathBuf,
    // `None` only while it is dropped.
    kv: Option<Kv>,
    failed: AtomicBool,
}

impl Generation {
    fn open(path: PathBuf, cache: u64) -> Result<Self, StateError> {
        files::create_directory(&path).map_err(StateError::io("create", &path))?;
        let kv = match Kv::open(&path, cache) {
            Ok(kv) => kv,
            Err(_) => {
                remove(&path).map_err(StateError::io("remove the damaged cache", &path))?;
                files::create_directory(&path).map_err(StateError::io("create", &path))?;
                Kv::open(&path, cache)?
            }
        };
        Ok(Self {
            path,
            kv: Some(kv),
            failed: AtomicBool::new(false),
        })
    }

    /// An answer of the store; after a failure it has none.
    fn ask<T>(&self, question: impl FnOnce(&Kv) -> Result<T, KvError>) -> Option<T> {
        let kv = self.kv.as_ref()?;
        if self.failed.load(Ordering::Relaxed) {
            return None;
        }
        let answer = question(kv);
        if answer.is_err() {
            self.failed.store(true, Ordering::Relaxed);
        }
        answer.ok()
    }

    fn size(&self) -> u64 {
        self.kv.as_ref().map_or(0, Kv::size)
    }
}

impl Drop for Generation {
    fn drop(&mut self) {
        drop(self.kv.take());
        if self.failed.load(Ordering::Relaxed) {
            // What is left of it fails again at the next opening, and is removed then.
            drop(remove(&self.path));
        }
    }
}

/// What is kept of a configuration.
#[derive(Serialize, Deserialize)]
struct Kept {
    v: u32,
    config: Digest,
    facts: ConfigFacts,
}

impl DiskCache {
    pub(super) fn open(room: Arc<Room>, options: &Options) -> Result<Self, StateError> {
        let root = room.root.join(CACHE);
        let (mut numbers, others) = generations(&root).map_err(StateError::io("list", &root))?;
        for other in others {
            remove(&other).map_err(StateError::io("remove", &other))?;
        }
        let path = |number: u64| root.join(format!("v{VERSION}.{number}"));
        let mut newest = numbers.pop().unwrap_or(1);
        let mut newer = Generation::open(path(newest), options.cache)?;
        let mut before = numbers.pop();
        if newer.size() > options.cache_limit {
            drop(newer);
            if let Some(number) = before {
                let path = path(number);
                remove(&path).map_err(StateError::io("remove", path))?;
            }
            before = Some(newest);
            newest += 1;
            newer = Generation::open(path(newest), options.cache)?;
        }
        for number in numbers {
            let path = path(number);
            remove(&path).map_err(StateError::io("remove", path))?;
        }
        let older = before.map(|number| Generation::open(path(number), options.cache));
        Ok(Self {
            room,
            newer,
            older: older.transpose()?,
            limit: options.cache_limit,
            added: AtomicU64::new(0),
            full: AtomicBool::new(false),
        })
    }

    fn get(&self, key: &[u8]) -> Option<Vec<u8>> {
        if let Some(found) = self.newer.ask(|kv| kv.value(key)).flatten() {
            return Some(found);
        }
        let found = self.older.as_ref()?.ask(|kv| kv.value(key)).flatten()?;
        self.put(key, &found);
        Some(found)
    }

    fn put(&self, key: &[u8], value: &[u8]) {
        if self.added.fetch_add(1, Ordering::Relaxed).is_multiple_of(LOOK) {
            let full =
                self.newer.size() > self.limit.saturating_mul(2) || !self.room.has_room(self.limit / 4);
            self.full.store(full, Ordering::Relaxed);
        }
        if self.full.load(Ordering::Relaxed) {
            return;
        }
        self.newer.ask(|kv| kv.put(key, value));
    }
}

impl FactCache for DiskCache {
    fn manifest(&self, digest: &Digest) -> Option<Manifest> {
        let value = self.get(&key(b'm', digest))?;
        let (length, rest) = value.split_first()?;
        let (media_type, packed) = rest.split_at_checked(usize::from(*length))?;
        let media_type: MediaType = std::str::from_utf8(media_type).ok()?.parse().ok()?;
        let bytes = unpack(packed)?;
        if digest.verifies(&bytes) != Some(true) {
            return None;
        }
        Manifest::read(bytes.into(), digest.clone(), Some(&media_type)).ok()
    }

    fn keep_manifest(&self, manifest: &Manifest) {
        let media_type = manifest.media_type().as_str();
        let Ok(length) = u8::try_from(media_type.len()) else {
            return;
        };
        let value = [
            &[length],
            media_type.as_bytes(),
            &compress_prepend_size(manifest.bytes()),
        ]
        .concat();
        self.put(&key(b'm', manifest.digest()), &value);
    }

    fn config(&self, config: &Digest) -> Option<ConfigFacts> {
        let value = self.get(&key(b'f', config))?;
        line::check(&value)?;
        let kept: Kept = serde_json::from_slice(&value).ok()?;
        (kept.v == VERSION && kept.config == *config).then_some(kept.facts)
    }

    fn keep_config(&self, config: &Digest, facts: &ConfigFacts) {
        let kept = Kept {
            v: VERSION,
            config: config.clone(),
            facts: facts.clone(),
        };
        if let Ok((value, _)) = line::seal(&kept) {
            self.put(&key(b'f', config), &value);
        }
    }
}

/// What was packed; nothing where it says that it is larger than any manifest.
fn unpack(packed: &[u8]) -> Option<Vec<u8>> {
    let (size, block) = uncompressed_size(packed).ok()?;
    decompress(block, (size <= MAX_MANIFEST_BYTES).then_some(size)?).ok()
}

fn key(kind: u8, digest: &Digest) -> Vec<u8> {
    [&[kind], digest.to_string().as_bytes(), &[0]].concat()
}

/// The numbers of generations, in order, and what is none of this format.
fn generations(root: &Path) -> io::Result<(Vec<u64>, Vec<PathBuf>)> {
    let mut numbers = Vec::new();
    let mut others = Vec::new();
    let listing = match fs::read_dir(root) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok((numbers, others)),
        listing => listing?,
    };
    let prefix = format!("v{VERSION}.");
    for file in listing {
        let path = file?.path();
        let name = path.file_name().and_then(|name| name.to_str());
        match name
            .and_then(|name| name.strip_prefix(&prefix))
            .and_then(|number| number.parse().ok())
        {
            Some(number) => numbers.push(number),
            None => others.push(path),
        }
    }
    numbers.sort_unstable();
    Ok((numbers, others))
}

fn remove(path: &Path) -> io::Result<()> {
    let removed = if path.is_dir() {
        fs::remove_dir_all(path)
    } else {
        fs::remove_file(path)
    };
    match removed {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        removed => removed,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_is_packed_comes_back(bytes in prop::collection::vec(0_u8..8, 0..4096)) {
            prop_assert_eq!(unpack(&compress_prepend_size(&bytes)), Some(bytes));
        }

        #[test]
        fn garbage_is_nothing_or_bytes_within_the_limit(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
            let unpacked = unpack(&bytes);
            prop_assert!(unpacked.is_none_or(|unpacked| unpacked.len() <= MAX_MANIFEST_BYTES));
        }
    }

    #[test]
    fn what_says_that_it_is_larger_than_any_manifest_is_not_unpacked() {
        let packed = |size: usize| compress_prepend_size(&vec![b'x'; size]);
        assert!(unpack(&packed(MAX_MANIFEST_BYTES)).is_some());
        assert!(unpack(&packed(MAX_MANIFEST_BYTES + 1)).is_none());
    }
}
