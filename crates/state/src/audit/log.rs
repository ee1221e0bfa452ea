//! Writing to an audit log.

use std::fs::{self, File, TryLockError};
use std::io;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use lagan_model::Time;
use serde::Serialize;

use super::files::{self, AUDIT, CUT_OFF, End, Rest};
use super::line;
use crate::audit::Who;
use crate::error::StateError;
use crate::files::{Disk, Files};
use crate::opening;

const LOCK: &str = "lock";

/// How often, and how long after each other, it is looked whether somebody else is done writing: 10 s in all.
const TRIES: u32 = 500;
const BETWEEN_TRIES: Duration = Duration::from_millis(20);

/// How much is gathered before it is written, in bytes.
const GATHERED: usize = 64 << 10;

/// How much of an audit log is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AuditOptions {
    /// Bytes after which a file is followed by another one. What is written at once stays together.
    pub file: u64,
    /// How many files are kept.
    pub keep: NonZeroUsize,
}

impl Default for AuditOptions {
    /// 32 MiB, and 32 of them.
    fn default() -> Self {
        Self {
            file: 32 << 20,
            keep: NonZeroUsize::MIN.saturating_add(31),
        }
    }
}

/// An audit log that is written to.
#[derive(Debug)]
pub struct AuditLog {
    folder: PathBuf,
    options: AuditOptions,
    files: Arc<dyn Files>,
    /// Where it ended when this wrote to it last; others may have gone on since then.
    known: Option<(u64, End)>,
}

impl AuditLog {
    /// The log of a state directory. Nothing is read or written yet.
    #[must_use]
    pub fn new(root: &Path, options: AuditOptions) -> Self {
        Self::with(root, options, Arc::new(Disk))
    }

    pub(crate) fn with(root: &Path, options: AuditOptions, files: Arc<dyn Files>) -> Self {
        Self {
            folder: root.join(AUDIT),
            options,
            files,
            known: None,
        }
    }

    /// Writes one entry. It is durable when this returns.
    ///
    /// # Errors
    ///
    /// As [`AuditLog::begin`] and [`AuditBatch::commit`].
    pub fn write<E: Serialize>(&mut self, at: Time, who: &Who, event: &E) -> Result<(), StateError> {
        let mut batch = self.begin()?;
        batch.add(at, who, event)?;
        batch.commit()
    }

    /// Begins to write some entries, which become durable together. Others wait until it is dropped.
    ///
    /// # Errors
    ///
    /// When the log cannot be read or written, was written by a newer version, or somebody else does not stop writing.
    pub fn begin(&mut self) -> Result<AuditBatch<'_>, StateError> {
        crate::files::create_durably(&*self.files, &self.folder)
            .map_err(StateError::io("create the audit log", &self.folder))?;
        let lock = self.lock()?;
        let (number, end) = self.end()?;
        let path = files::path(&self.folder, number);
        let file = crate::files::private()
            .append(true)
            .open(&path)
            .map_err(StateError::io("open the audit log", &path))?;
        let mut buffer = Vec::new();
        if end.rest == Rest::Line {
            // What somebody did not finish writing stays as it is, on a line of its own.
            buffer.extend_from_slice(CUT_OFF);
        }
        if end.rest != Rest::Nothing {
            buffer.push(b'\n');
        }
        self.known = None;
        Ok(AuditBatch {
            log: self,
            lock,
            number,
            path,
            file,
            start: end.length,
            end,
            buffer,
            done: false,
        })
    }

    fn lock(&self) -> Result<File, StateError> {
        let path = self.folder.join(LOCK);
        let file = crate::files::private()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&path)
            .map_err(StateError::io("open", &path))?;
        for _ in 0..TRIES {
            match file.try_lock() {
                Ok(()) => return Ok(file),
                Err(TryLockError::WouldBlock) => thread::sleep(BETWEEN_TRIES),
                Err(TryLockError::Error(error)) => return Err(StateError::io("lock", &path)(error)),
            }
        }
        Err(StateError::io("lock", &path)(io::ErrorKind::TimedOut.into()))
    }

    /// The file that is written to, and what it ends with. Another one is begun where it is long enough.
    fn end(&mut self) -> Result<(u64, End), StateError> {
        let numbers = files::numbers(&self.folder)?;
        let newest = numbers.last().copied();
        let mut last = None;
        // A file in which nothing is sound was not finished when it was begun.
        for number in numbers.iter().rev() {
            let path = files::path(&self.folder, *number);
            let length = fs::metadata(&path)
                .map_err(StateError::io("read the audit log", &path))?
                .len();
            last = match self.known.take() {
                Some((known, end)) if known == *number && end.length == length => Some((known, end)),
                _ => files::end(&path)?.map(|end| (*number, end)),
            };
            if last.is_some() {
                break;
            }
        }
        match last {
            Some((number, end)) if Some(number) == newest && end.length < self.options.file => {
                Ok((number, end))
            }
            last => {
                let number = newest.unwrap_or(0) + 1;
                let begun = self.follow(number, last.map(|(_, end)| end))?;
                self.prune(&numbers);
                Ok((number, begun))
            }
        }
    }

    /// Begins a file that continues what the one before ends with.
    fn follow(&self, number: u64, before: Option<End>) -> Result<End, StateError> {
        let path = files::path(&self.folder, number);
        let audit = match &before {
            Some(end) => end.audit.clone(),
            None => opening::new_id(),
        };
        let (seq, prev) = before.map_or((0, None), |end| (end.seq, Some(end.checksum)));
        let write = || -> io::Result<End> {
            let (mut text, checksum) = line::header(&audit, seq, prev)?;
            text.push(b'\n');
            let file = crate::files::private()
                .create_new(true)
                .append(true)
                .open(&path)?;
            self.files.append(&file, &text)?;
            self.files.sync(&file, &path)?;
            self.files.sync_directory(&self.folder)?;
            Ok(End {
                audit: audit.clone(),
                seq,
                checksum,
                length: text.len() as u64,
                rest: Rest::Nothing,
            })
        };
        write().map_err(|error| {
            // One with nothing in it would be counted among those that are kept.
            if error.kind() != io::ErrorKind::AlreadyExists {
                _ = fs::remove_file(&path);
            }
            StateError::io("begin a file of the audit log", &path)(error)
        })
    }

    /// Removes the oldest files of so many that the new one is one too many. What stays is tried again the next time.
    fn prune(&self, before: &[u64]) {
        let many = (before.len() + 1).saturating_sub(self.options.keep.get());
        for number in before.iter().take(many) {
            _ = fs::remove_file(files::path(&self.folder, *number));
        }
    }
}

/// Entries on their way into the log. Where it is dropped before it is committed, none of them stays.
#[derive(Debug)]
pub struct AuditBatch<'l> {
    log: &'l mut AuditLog,
    lock: File,
    number: u64,
    path: PathBuf,
    file: File,
    /// How long the file was.
    start: u64,
    end: End,
    buffer: Vec<u8>,
    done: bool,
}

impl AuditBatch<'_> {
    /// Adds an entry: `event` is what happened, an object with a member `event`.
    ///
    /// # Errors
    ///
    /// When it is no object, or the disk fails.
    pub fn add<E: Serialize>(&mut self, at: Time, who: &Who, event: &E) -> Result<(), StateError> {
        let place = (self.end.seq + 1, self.end.checksum);
        let (text, checksum) = line::entry(place, at, who, event)
            .map_err(|error| StateError::io("write to", &self.path)(error.into()))?;
        self.buffer.extend_from_slice(&text);
        self.buffer.push(b'\n');
        self.end.seq = place.0;
        self.end.checksum = checksum;
        if self.buffer.len() >= GATHERED {
            self.flush()?;
        }
        Ok(())
    }

    /// Makes everything durable that was added.
    ///
    /// # Errors
    ///
    /// When the disk fails; then it is not known whether any of it is durable.
    pub fn commit(mut self) -> Result<(), StateError> {
        self.flush()?;
        self.log
            .files
            .sync(&self.file, &self.path)
            .map_err(StateError::io("sync the audit log", &self.path))?;
        self.done = true;
        self.end.rest = Rest::Nothing;
        self.log.known = Some((self.number, self.end.clone()));
        Ok(())
    }

    fn flush(&mut self) -> Result<(), StateError> {
        self.log
            .files
            .append(&self.file, &self.buffer)
            .map_err(StateError::io("write to", &self.path))?;
        self.end.length += self.buffer.len() as u64;
        self.buffer.clear();
        Ok(())
    }
}

impl Drop for AuditBatch<'_> {
    fn drop(&mut self) {
        if !self.done {
            // What is left otherwise are lines that nobody acknowledged, or a piece of one, which is told.
            _ = self.file.set_len(self.start);
        }
        // A process that another thread starts holds the lock's file too, until it has become its program.
        _ = self.lock.unlock();
    }
}
