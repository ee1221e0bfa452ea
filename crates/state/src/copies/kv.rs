//! sled, and what has to be added to it; nothing else in the workspace names it.
//!
//! - Its `flush` does not reach the disk (it is `sync_file_range` on Linux): every file that changed is synced here.
//! - It panics on some damage: whatever is asked of it is asked inside of `contained`.
//! - A snapshot that was being written when the process died keeps it from opening: such files are set aside.
//! - Values of 8 KiB and more go to files that it neither syncs nor removes: values are cut into pieces of 4 KiB.
//! - Its files are readable by everyone: their modes are set.

use std::collections::BTreeMap;
use std::fs::{self, File, Metadata};
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::contained::contained;
use crate::files::{self, Files};

/// The largest piece of a value, in bytes.
const PIECE: usize = 4096;

/// How often opening is tried while threads of the last user in this process still let go of the file.
const OPENINGS: u32 = 200;

/// Why the store could not answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum KvError {
    #[error("{}", in_words(.0))]
    Sled(sled::Error),
    #[error("the store panicked: {0}")]
    Panic(String),
    #[error(transparent)]
    Io(#[from] io::Error),
    #[error("{0}")]
    Damaged(String),
}

// It is no cause of its own: what it says is said.
impl From<sled::Error> for KvError {
    fn from(error: sled::Error) -> Self {
        Self::Sled(error)
    }
}

impl KvError {
    /// The error of the operating system underneath.
    pub(crate) fn io(&self) -> Option<&io::Error> {
        match self {
            Self::Sled(sled::Error::Io(error)) | Self::Io(error) => Some(error),
            Self::Sled(_) | Self::Panic(_) | Self::Damaged(_) => None,
        }
    }

    /// The same error for somebody else.
    pub(crate) fn copy(&self) -> Self {
        match self {
            Self::Panic(text) => Self::Panic(text.clone()),
            Self::Damaged(what) => Self::Damaged(what.clone()),
            Self::Sled(sled::Error::Io(error)) | Self::Io(error) => Self::Io(files::copy_of(error)),
            Self::Sled(error) => Self::Sled(error.clone()),
        }
    }

    /// The same where writing failed: that the disk does not take it says nothing of what is there.
    pub(crate) fn of_writing(self) -> Box<dyn std::error::Error + Send + Sync> {
        match self {
            Self::Sled(sled::Error::Io(error)) | Self::Io(error) => error.into(),
            other => other.into(),
        }
    }

    /// Whether the machine is the trouble, and not what the store holds: building it anew would not help.
    pub(crate) fn is_of_the_machine(&self) -> bool {
        use io::ErrorKind::{OutOfMemory, PermissionDenied, ReadOnlyFilesystem, StorageFull};
        const TOO_MANY_FILES: [i32; 2] = [23, 24];
        self.io().is_some_and(|error| {
            [OutOfMemory, PermissionDenied, ReadOnlyFilesystem, StorageFull].contains(&error.kind())
                || error
                    .raw_os_error()
                    .is_some_and(|number| TOO_MANY_FILES.contains(&number))
                || is_busy(self)
        })
    }
}

/// What sled means, without what only its authors understand.
fn in_words(error: &sled::Error) -> String {
    match error {
        sled::Error::Corruption { .. } => "what the store has there is damaged".to_owned(),
        sled::Error::Io(error) => error.to_string(),
        other => other.to_string(),
    }
}

/// A store of values by keys.
#[derive(Debug)]
pub(crate) struct Kv {
    // Dropped before what closes its files to others.
    db: sled::Db,
    files: Private,
    synced: Mutex<Synced>,
}

/// The files that were made durable.
#[derive(Debug, Default)]
struct Synced {
    files: BTreeMap<PathBuf, Stamp>,
    /// The directories as they were when the files were listed; `None` where they had changed so shortly before that
    /// another change would not show.
    listed: Option<[Stamp; 2]>,
}

/// The files of a store, which it makes for everybody: their owner's alone when it is open, and when it is closed.
#[derive(Debug)]
struct Private(PathBuf);

impl Private {
    fn close(&self) -> io::Result<()> {
        let blobs = self.0.join("blobs");
        let mut all = vec![self.0.clone()];
        all.extend(list(&self.0)?);
        all.extend(list(&blobs)?);
        all.iter().try_for_each(|path| files::close_to_others(path))
    }
}

impl Drop for Private {
    fn drop(&mut self) {
        // Whoever opens it next does it again, and the directory above lets nobody in.
        drop(self.close());
    }
}

/// What changes when a file does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stamp {
    inode: u64,
    length: u64,
    changed: (i64, i64),
}

/// Changes that are made together.
#[derive(Default)]
pub(crate) struct Batch(sled::Batch);

impl Batch {
    /// Puts a value of any length at `key`; no other key may begin with `key`.
    pub(crate) fn put(&mut self, key: &[u8], value: &[u8]) {
        for (key, piece) in pieces(key, value) {
            self.0.insert(key, piece);
        }
    }

    /// Puts a short value at `key` itself.
    pub(crate) fn set(&mut self, key: &[u8], value: &[u8]) {
        self.0.insert(key, value);
    }

    /// Removes a key that was set.
    pub(crate) fn remove(&mut self, key: &[u8]) {
        self.0.remove(key);
    }
}

/// The pieces of a value with their keys. An empty value has one, which is empty.
fn pieces<'a>(key: &'a [u8], value: &'a [u8]) -> impl Iterator<Item = (Vec<u8>, &'a [u8])> {
    let (first, rest) = value.split_at(value.len().min(PIECE));
    let all = std::iter::once(first).chain(rest.chunks(PIECE));
    (0..)
        .zip(all)
        .map(|(number, piece)| (piece_key(key, number), piece))
}

fn piece_key(key: &[u8], number: u16) -> Vec<u8> {
    [key, &number.to_be_bytes()].concat()
}

impl Kv {
    /// Opens the store in a directory, creating it where there is none; `cache` is in bytes.
    pub(crate) fn open(directory: &Path, cache: u64) -> Result<Self, KvError> {
        files::create_directory(&directory.join("blobs"))?;
        let config = sled::Config::default()
            .path(directory)
            .mode(sled::Mode::LowSpace)
            .cache_capacity(cache)
            // Its garbage collection rides on the flusher.
            .flush_every_ms(Some(500));
        let mut tried = 0;
        let db = loop {
            match contained(|| config.open()) {
                // Only this process can hold it, since it holds the directory's lock: threads of a store that was
                // dropped, which have not ended yet.
                Err(error) if tried < OPENINGS && is_busy(&error) => {
                    tried += 1;
                    thread::sleep(Duration::from_millis(10));
                }
                answer => break answer?,
            }
        };
        let files = Private(directory.to_owned());
        files.close()?;
        Ok(Self {
            db,
            files,
            synced: Mutex::default(),
        })
    }

    /// Moves half-written snapshots to `aside`, and tells their names.
    pub(crate) fn quarantine(
        directory: &Path,
        aside: impl Fn(&Path) -> io::Result<()>,
    ) -> io::Result<Vec<String>> {
        let mut found = Vec::new();
        let listing = match fs::read_dir(directory) {
            Err(error) if error.kind() == io::ErrorKind::NotFound || files::is_unreadable(&error) => {
                return Ok(found);
            }
            listing => listing?,
        };
        for file in listing {
            let file = file?;
            let name = file.file_name().to_string_lossy().into_owned();
            if name.starts_with("snap.") && name.ends_with(".generating") {
                aside(&file.path())?;
                found.push(name);
            }
        }
        Ok(found)
    }

    /// A value that was put.
    pub(crate) fn value(&self, key: &[u8]) -> Result<Option<Vec<u8>>, KvError> {
        contained(|| {
            let Some(first) = self.db.get(piece_key(key, 0))? else {
                return Ok(None);
            };
            let mut value = first.to_vec();
            let mut last = first.len();
            for number in 1_u16.. {
                if last < PIECE {
                    break;
                }
                let Some(piece) = self.db.get(piece_key(key, number))? else {
                    break;
                };
                last = piece.len();
                value.extend_from_slice(&piece);
            }
            Ok(Some(value))
        })
    }

    /// A value that was set.
    pub(crate) fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, KvError> {
        contained(|| Ok(self.db.get(key)?.map(|value| value.to_vec())))
    }

    /// What follows `prefix` in the keys that begin with it, in order.
    pub(crate) fn suffixes(&self, prefix: &[u8]) -> Result<Vec<Vec<u8>>, KvError> {
        contained(|| {
            let keys = self.db.scan_prefix(prefix).keys();
            keys.map(|key| key.map(|key| key[prefix.len()..].to_vec()))
                .collect()
        })
    }

    /// What follows `prefix` in the first key that begins with it and is not below `from`.
    pub(crate) fn next_suffix(&self, prefix: &[u8], from: &[u8]) -> Result<Option<Vec<u8>>, KvError> {
        contained(|| {
            let key = self.db.range(from.to_vec()..).next().transpose()?;
            Ok(key.and_then(|(key, _)| Some(key.strip_prefix(prefix)?.to_vec())))
        })
    }

    /// What follows `prefix` in the last key that begins with it.
    pub(crate) fn last_suffix(&self, prefix: &[u8]) -> Result<Option<Vec<u8>>, KvError> {
        contained(|| {
            let last = self.db.scan_prefix(prefix).next_back().transpose()?;
            Ok(last.map(|(key, _)| key[prefix.len()..].to_vec()))
        })
    }

    /// Puts a value of any length at `key`, one piece after the other: whoever reads it has to see for himself whether it
    /// is whole. Unlike a batch, which the store writes to its file at once and in two parts, it waits for the flusher.
    pub(crate) fn put(&self, key: &[u8], value: &[u8]) -> Result<(), KvError> {
        contained(|| {
            for (key, piece) in pieces(key, value) {
                self.db.insert(key, piece)?;
            }
            Ok(())
        })
    }

    /// Makes changes, durable or not.
    pub(crate) fn apply(&self, batch: Batch) -> Result<(), KvError> {
        contained(|| self.db.apply_batch(batch.0))
    }

    /// Makes all changes so far durable.
    pub(crate) fn sync(&self, files: &dyn Files) -> Result<(), KvError> {
        contained(|| self.db.flush())?;
        let data = self.files.0.join("db");
        let directories = [self.files.0.clone(), self.files.0.join("blobs")];
        let mut synced = self.synced.lock().unwrap_or_else(PoisonError::into_inner);
        let now = SystemTime::now();
        let stamps = [stamp_of(&directories[0])?, stamp_of(&directories[1])?];
        if synced.listed == Some(stamps) {
            files.sync(&File::open(&data)?, &data)?;
            return Ok(());
        }
        let mut present = BTreeMap::new();
        let mut renamed = false;
        for directory in &directories {
            let mut names = false;
            for path in list(directory)? {
                let Some((file, stamp)) = open_stamped(&path)? else {
                    continue;
                };
                let before = synced.files.get(&path);
                let known = before.is_some_and(|before| before.inode == stamp.inode);
                if !known {
                    file.set_permissions(fs::Permissions::from_mode(0o600))?;
                    names = true;
                }
                // The time of a change is coarse: the data file is synced even where it seems not to have changed.
                if !known || before != Some(&stamp) || path == data {
                    files.sync(&file, &path)?;
                }
                present.insert(path, stamp);
            }
            if names {
                files.sync_directory(directory)?;
            }
            renamed |= names;
        }
        if let Some(parent) = self.files.0.parent().filter(|_| renamed) {
            files.sync_directory(parent)?;
        }
        *synced = Synced {
            files: present,
            listed: stamps.iter().all(|stamp| stamp.is_settled(now)).then_some(stamps),
        };
        Ok(())
    }

    /// Bytes on disk.
    pub(crate) fn size(&self) -> u64 {
        contained(|| self.db.size_on_disk()).unwrap_or(0)
    }
}

impl Stamp {
    fn of(metadata: &Metadata) -> Self {
        Self {
            inode: metadata.ino(),
            length: metadata.len(),
            changed: (metadata.mtime(), metadata.mtime_nsec()),
        }
    }

    /// Whether a change at `now` or later would show, however coarse the times of the file system are (FAT's are two
    /// seconds).
    fn is_settled(&self, now: SystemTime) -> bool {
        let now = now.duration_since(UNIX_EPOCH).map(|since| since.as_secs());
        now.is_ok_and(|now| i64::try_from(now).is_ok_and(|now| now - self.changed.0 > 2))
    }
}

fn stamp_of(path: &Path) -> io::Result<Stamp> {
    Ok(Stamp::of(&fs::metadata(path)?))
}

fn list(directory: &Path) -> io::Result<Vec<PathBuf>> {
    match fs::read_dir(directory) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        listing => listing?.map(|file| file.map(|file| file.path())).collect(),
    }
}

/// A file and what it is like; `None` for directories, and for a file that sled has removed meanwhile.
fn open_stamped(path: &Path) -> io::Result<Option<(File, Stamp)>> {
    let file = match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        file => file?,
    };
    let metadata = file.metadata()?;
    let stamp = Stamp::of(&metadata);
    Ok(metadata.is_file().then_some((file, stamp)))
}

fn is_busy(error: &KvError) -> bool {
    matches!(error, KvError::Sled(sled::Error::Io(io)) if io.to_string().contains("could not acquire lock"))
}
