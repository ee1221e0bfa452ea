//! What is kept beside the journal: a cache of what digests name, which may be lost, and a ledger of what was seen
//! when, which may not.

mod cache;
mod ledger;

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use lagan_model::RegistryIdentity;

pub use self::cache::DiskCache;
pub use self::ledger::DiskLedger;
use crate::directory::{Creation, Directory};
use crate::error::StateError;
use crate::files::{Disk, Files};
use crate::journal::DiskJournal;
use crate::lock::Lock;
use crate::opening::Notice;
use crate::options::Options;

/// What outlives runs of this user, beside the journal. The directory belongs to this process until it is dropped.
#[derive(Debug)]
pub struct Memory {
    cache: DiskCache,
    room: Arc<Room>,
    _lock: Arc<Lock>,
}

/// Where it is, and what has to be told.
#[derive(Debug)]
struct Room {
    root: std::path::PathBuf,
    files: Arc<dyn Files>,
    /// Bytes that stay free: the journal's.
    reserve: u64,
    notices: Mutex<Vec<String>>,
}

impl Room {
    fn tell(&self, notice: String) {
        self.notices
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(notice);
    }

    /// Whether something may be written: what is kept here never takes the room that the journal needs.
    fn has_room(&self, for_bytes: u64) -> bool {
        let needed = self.reserve.saturating_add(for_bytes);
        self.files.free(&self.root).is_ok_and(|free| free >= needed)
    }
}

impl Memory {
    /// Opens what is kept in a state directory, without its journal. An empty directory becomes a state directory; none
    /// is created.
    ///
    /// # Errors
    ///
    /// When there is no directory, or it is something else, readable by others, in use, or of a newer format.
    pub fn open(root: &Path, options: &Options) -> Result<Self, StateError> {
        let directory = Directory::take(root, Creation::Adopt, Arc::new(Disk))?;
        let memory = Self::of(&directory, options)?;
        for aside in directory.newer().iter().cloned() {
            memory.room.tell(Notice::NewerAside { aside }.to_string());
        }
        Ok(memory)
    }

    /// Opens what is kept beside a journal that this process has open.
    ///
    /// # Errors
    ///
    /// When it cannot be created.
    pub fn beside(journal: &DiskJournal, options: &Options) -> Result<Self, StateError> {
        Self::of(journal.directory(), options)
    }

    fn of(directory: &Directory, options: &Options) -> Result<Self, StateError> {
        let room = Arc::new(Room {
            root: directory.root().to_owned(),
            files: directory.files().clone(),
            reserve: options.reserve,
            notices: Mutex::default(),
        });
        Ok(Self {
            cache: DiskCache::open(room.clone(), options)?,
            room,
            _lock: directory.lock(),
        })
    }

    /// What digests name.
    #[must_use]
    pub fn cache(&self) -> &DiskCache {
        &self.cache
    }

    /// What was seen of a registry, by its URL.
    #[must_use]
    pub fn ledger(&self, registry: &RegistryIdentity) -> DiskLedger {
        DiskLedger::of(self.room.clone(), &registry.url)
    }

    /// What has been found damaged since it was last asked, and what was done about it, a sentence each.
    pub fn take_notices(&self) -> Vec<String> {
        std::mem::take(&mut *self.room.notices.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
