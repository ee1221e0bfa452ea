//! The journal on disk, behind the port of the engine.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::sync_channel;
use std::time::Duration;

use bytes::Bytes;
use futures_channel::oneshot;
use lagan_model::digest::Digest;
use lagan_model::journal::{Group, JournalError, JournalStore, RunId, Sequence};

use crate::copies::builder::MIRROR;
use crate::copies::index::Index;
use crate::copies::kv::KvError;
use crate::directory::{self, Creation, Directory};
use crate::error::StateError;
use crate::files::{Disk, Files};
use crate::gathering::Answer;
use crate::opening::{self, Notice};
use crate::options::Options;
use crate::space;
use crate::watched::Watched;
use crate::writer::{Writer, copy_of};

/// The journal of a state directory. The directory belongs to this process until it is dropped.
///
/// Appending waits for the disk on a thread of its own. Reading blocks for as long as a lookup takes.
#[derive(Debug)]
pub struct DiskJournal {
    // Dropped in this order: the last write, then the store, then the lock.
    writer: Writer,
    index: Arc<Index>,
    directory: Directory,
    notices: Vec<Notice>,
    watched: Arc<Watched>,
    reserve: u64,
}

impl DiskJournal {
    /// Opens a state directory that is there.
    ///
    /// # Errors
    ///
    /// When there is none, it is something else, readable by others, in use, of a newer format, or its journal is
    /// not whole in both copies together.
    pub fn open(root: &Path, options: &Options) -> Result<Self, StateError> {
        Self::with(root, options, Creation::Never, Arc::new(Disk))
    }

    /// Opens a state directory, and creates it where there is none.
    ///
    /// # Errors
    ///
    /// As of [`DiskJournal::open`], or when it cannot be created.
    pub fn create(root: &Path, options: &Options) -> Result<Self, StateError> {
        Self::with(root, options, Creation::Create, Arc::new(Disk))
    }

    pub(crate) fn with(
        root: &Path,
        options: &Options,
        creation: Creation,
        files: Arc<dyn Files>,
    ) -> Result<Self, StateError> {
        let mut directory = Directory::take(root, creation, files.clone())?;
        let opened = opening::open(&mut directory, options)?;
        let index = opened.index.clone();
        let newer = directory.newer().iter().cloned();
        let newer = newer.map(|aside| Notice::NewerAside { aside });
        let notices = newer.chain(opened.notices.iter().cloned()).collect();
        let needed = space::needed(options.reserve, opened.at.length + index.kv().size());
        space::lay_ballast(&*files, root, options.ballast, needed)
            .map_err(StateError::io("lay the ballast in", root))?;
        let watched = Arc::new(Watched::default());
        let writer = Writer::start(opened, root.to_owned(), files, options, watched.clone())
            .map_err(StateError::io("start the thread that writes in", root))?;
        Ok(Self {
            writer,
            index,
            directory,
            notices,
            watched,
            reserve: options.reserve,
        })
    }

    /// What opening it found, and did about it.
    #[must_use]
    pub fn notices(&self) -> &[Notice] {
        &self.notices
    }

    /// The state directory.
    #[must_use]
    pub fn root(&self) -> &Path {
        self.directory.root()
    }

    /// Has somebody told how long each sync to the disk takes, of either copy. Only the first that asks is told, on the
    /// thread that writes.
    pub fn watch_syncs(&self, tell: impl Fn(Duration) + Send + Sync + 'static) {
        self.watched.by(Box::new(tell));
    }

    /// Whether a write failed: nothing is written any more before it is opened anew.
    #[must_use]
    pub fn has_failed(&self) -> bool {
        self.watched.failure().is_some()
    }

    /// How large it is on the disk, both copies together, in bytes.
    #[must_use]
    pub fn size(&self) -> u64 {
        let mirror = self.directory.journal().map(|folder| folder.join(MIRROR));
        let mirror = mirror.and_then(|path| path.metadata().ok());
        mirror.map_or(0, |metadata| metadata.len()) + self.index.kv().size()
    }

    /// Looks whether there is room to begin something new. Room that somebody else takes later is missed only when a
    /// deletion is to be recorded.
    ///
    /// # Errors
    ///
    /// When there is too little ([`JournalError::NoSpace`]), or the disk does not tell.
    pub fn room(&self) -> Result<(), StateError> {
        let needed = space::needed(self.reserve, self.size());
        Ok(space::guard(
            &**self.directory.files(),
            self.directory.root(),
            needed,
        )?)
    }

    /// Closes it when all is written, so that the next opening has little to compare.
    ///
    /// # Errors
    ///
    /// When the last checkpoint cannot be written. What was acknowledged is durable nevertheless.
    pub fn close(mut self) -> Result<(), StateError> {
        Ok(self.writer.close()?)
    }

    /// Appends and waits, for callers without a runtime.
    ///
    /// # Errors
    ///
    /// As of [`JournalStore::append`].
    pub fn append_blocking(&self, group: Group) -> Result<Sequence, JournalError> {
        let (tell, told) = sync_channel::<Answer>(1);
        self.writer.append(group, move |answer| drop(tell.send(answer)));
        told.recv().unwrap_or(Err(JournalError::Stopped))
    }

    pub(crate) fn directory(&self) -> &Directory {
        &self.directory
    }

    pub(crate) fn index(&self) -> &Index {
        &self.index
    }

    /// Ends writing, and hands on what is needed for work on the journal as a whole.
    pub(crate) fn quiesce(mut self) -> Result<(Directory, PathBuf, Arc<Index>), StateError> {
        self.writer.close()?;
        let path = self.directory.journal().unwrap_or_default();
        Ok((self.directory, path, self.index))
    }

    /// An answer of the store; damage is noted for the next opening, which then compares everything.
    pub(crate) fn read<T>(&self, doing: &str, answer: Result<T, KvError>) -> Result<T, JournalError> {
        answer.map_err(|error| {
            if !error.is_of_the_machine() {
                directory::suspect(self.root());
            }
            JournalError::Store {
                doing: doing.to_owned(),
                source: error.into(),
            }
        })
    }
}

impl JournalStore for DiskJournal {
    async fn append(&self, group: Group) -> Result<Sequence, JournalError> {
        let (tell, told) = oneshot::channel();
        self.writer.append(group, move |answer| drop(tell.send(answer)));
        told.await.unwrap_or(Err(JournalError::Stopped))
    }

    fn failure(&self) -> Option<JournalError> {
        self.watched.failure().map(copy_of)
    }

    async fn entry(&self, sequence: Sequence) -> Result<Option<(RunId, Bytes)>, JournalError> {
        let found = self.read(
            &format!("read journal record {sequence}"),
            self.index.entry(sequence.0),
        )?;
        Ok(found.map(|(_, entry, _)| (entry.run, entry.body)))
    }

    async fn content(&self, digest: &Digest) -> Result<Option<Bytes>, JournalError> {
        let found = self.read(
            &format!("read {digest} from the journal"),
            self.index.content(digest),
        )?;
        Ok(found.map(|(_, bytes)| bytes))
    }

    async fn open_entries(&self) -> Result<Vec<Sequence>, JournalError> {
        let found = self.read("read which records are open", self.index.open_entries())?;
        Ok(found.into_iter().map(Sequence).collect())
    }

    async fn settled_by(&self, sequence: Sequence) -> Result<Option<Sequence>, JournalError> {
        let doing = format!("read what settled record {sequence}");
        let found = self.read(&doing, self.index.settled_by(sequence.0))?;
        Ok(found.map(Sequence))
    }

    async fn runs(&self) -> Result<Vec<RunId>, JournalError> {
        self.read("read the runs of the journal", self.index.runs())
    }

    async fn bounds_of(&self, run: RunId) -> Result<Option<(Sequence, Sequence)>, JournalError> {
        let found = self.read(&format!("read the records of {run}"), self.index.bounds_of(run))?;
        Ok(found.map(|(first, last)| (Sequence(first), Sequence(last))))
    }

    async fn entries_of(&self, run: RunId) -> Result<Vec<Sequence>, JournalError> {
        let found = self.read(&format!("read the records of {run}"), self.index.entries_of(run))?;
        Ok(found.into_iter().map(Sequence).collect())
    }
}
