//! Journals that are open in this process, each once.
//!
//! A state directory belongs to a process, and not to a part of it: who only looks at the journal of a run that goes on
//! looks at what that run writes.

use std::collections::BTreeMap;
use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};

use axum::body::Bytes;
use lagan_model::Digest;
use lagan_model::journal::{Group, JournalError, JournalStore, RunId, Sequence};
use lagan_state::{DiskJournal, Memory, Options, StateError};

/// Those that are open; and those that are being opened or closed, which nobody has. It is never locked for long.
static OPEN: Mutex<BTreeMap<PathBuf, Weak<Held>>> = Mutex::new(BTreeMap::new());

/// One of them was opened or closed.
static CHANGED: Condvar = Condvar::new();

fn locked() -> MutexGuard<'static, BTreeMap<PathBuf, Weak<Held>>> {
    OPEN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A journal that is closed when the last of those who have it open is done with it.
#[derive(Debug, Clone)]
pub(crate) struct Shared(Arc<Held>);

/// Fields are dropped in their order: what is beside the journal is closed, then the journal, and then it is told.
#[derive(Debug)]
struct Held {
    /// What is beside it, as soon as somebody asks: like the journal, it is open once.
    memory: Mutex<Option<Arc<Memory>>>,
    journal: DiskJournal,
    _closed: Closed,
}

/// Tells that the journal of this directory is closed, or was not opened after all. Nobody opens it before that.
#[derive(Debug)]
struct Closed(PathBuf);

impl Drop for Closed {
    fn drop(&mut self) {
        locked().remove(&self.0);
        CHANGED.notify_all();
    }
}

impl Shared {
    /// The journal of a state directory, as others here have it, or opened now.
    ///
    /// # Errors
    ///
    /// Those of `open`.
    pub(super) fn of<E>(
        directory: &Path,
        open: impl FnOnce() -> Result<DiskJournal, E>,
    ) -> Result<(Self, IsNew), E> {
        let mut journals = locked();
        while let Some(journal) = journals.get(directory) {
            match journal.upgrade() {
                Some(held) => return Ok((Self(held), IsNew(false))),
                None => journals = CHANGED.wait(journals).unwrap_or_else(PoisonError::into_inner),
            }
        }
        // Whoever comes second waits, and has it then.
        journals.insert(directory.to_owned(), Weak::new());
        drop(journals);
        let closed = Closed(directory.to_owned());
        let held = Arc::new(Held {
            memory: Mutex::default(),
            journal: open()?,
            _closed: closed,
        });
        locked().insert(directory.to_owned(), Arc::downgrade(&held));
        CHANGED.notify_all();
        Ok((Self(held), IsNew(true)))
    }

    /// Whether a journal that somebody here has takes nothing any more. It does again when all are done with it.
    pub(super) fn has_failed(directory: &Path) -> bool {
        let held = locked().get(directory).and_then(Weak::upgrade);
        held.is_some_and(|held| held.journal.has_failed())
    }

    /// What is kept beside it, as others here have it, or opened now. It is let go of before the journal is.
    pub(crate) fn memory(&self) -> Result<Arc<Memory>, StateError> {
        let mut memory = self.0.memory.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(memory) = &*memory {
            return Ok(Arc::clone(memory));
        }
        let opened = Arc::new(Memory::beside(self, &Options::default())?);
        *memory = Some(Arc::clone(&opened));
        Ok(opened)
    }
}

/// Whether a journal was opened for this.
pub(super) struct IsNew(pub(super) bool);

impl Deref for Shared {
    type Target = DiskJournal;

    fn deref(&self) -> &DiskJournal {
        &self.0.journal
    }
}

impl JournalStore for Shared {
    async fn append(&self, group: Group) -> Result<Sequence, JournalError> {
        DiskJournal::append(self, group).await
    }

    fn failure(&self) -> Option<JournalError> {
        JournalStore::failure(&**self)
    }

    async fn entry(&self, sequence: Sequence) -> Result<Option<(RunId, Bytes)>, JournalError> {
        DiskJournal::entry(self, sequence).await
    }

    async fn content(&self, digest: &Digest) -> Result<Option<Bytes>, JournalError> {
        DiskJournal::content(self, digest).await
    }

    async fn open_entries(&self) -> Result<Vec<Sequence>, JournalError> {
        DiskJournal::open_entries(self).await
    }

    async fn settled_by(&self, sequence: Sequence) -> Result<Option<Sequence>, JournalError> {
        DiskJournal::settled_by(self, sequence).await
    }

    async fn runs(&self) -> Result<Vec<RunId>, JournalError> {
        DiskJournal::runs(self).await
    }

    async fn entries_of(&self, run: RunId) -> Result<Vec<Sequence>, JournalError> {
        DiskJournal::entries_of(self, run).await
    }

    async fn bounds_of(&self, run: RunId) -> Result<Option<(Sequence, Sequence)>, JournalError> {
        DiskJournal::bounds_of(self, run).await
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;
    use std::thread;

    use lagan_model::Manifest;
    use lagan_model::memory::FactCache as _;

    use super::*;

    #[test]
    fn whoever_comes_while_it_is_closed_waits_and_is_not_told_that_it_is_in_use() {
        let place = tempfile::tempdir().unwrap();
        let state = place.path().join("state");
        drop(DiskJournal::create(&state, &Options::default()).unwrap());
        let open = || Shared::of(&state, || DiskJournal::open(&state, &Options::default()));
        thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..25 {
                        let opened: Result<_, StateError> = open();
                        assert_eq!(opened.unwrap().0.list().unwrap().len(), 0);
                    }
                });
            }
        });
        let (first, is_new) = open().unwrap();
        assert!(is_new.0);
        assert!(!open().unwrap().1.0);
        drop(first);
        assert!(open().unwrap().1.0);
    }

    #[test]
    fn while_one_is_opened_others_are_opened_and_looked_at_and_whoever_wants_that_one_has_it_then() {
        let place = tempfile::tempdir().unwrap();
        let [state, other] = ["state", "other"].map(|name| place.path().join(name));
        let create = |at: &Path| DiskJournal::create(at, &Options::default());
        let of = |at: &Path| Shared::of(at, || create(at)).unwrap();
        thread::scope(|scope| {
            let ((begun, is_begun), (go_on, goes_on)) = (channel(), channel());
            let state = &state;
            let first = scope.spawn(move || {
                let opened = Shared::of(state, || {
                    begun.send(()).unwrap();
                    goes_on.recv().unwrap();
                    create(state)
                });
                opened.unwrap()
            });
            is_begun.recv().unwrap();
            assert!(of(&other).1.0);
            assert!(!Shared::has_failed(state));
            let second = scope.spawn(move || of(state));
            go_on.send(()).unwrap();
            let (one, is_new) = first.join().unwrap();
            assert!(is_new.0);
            drop(second.join().unwrap());
            drop(one);
        });
        // What could not be opened is in nobody's way.
        let fails = Shared::of(&state, || Err::<DiskJournal, _>("no"));
        assert_eq!(fails.err(), Some("no"));
        assert!(of(&state).1.0);
    }

    #[test]
    fn what_is_beside_it_is_open_once_and_nothing_of_it_is_lost() {
        let place = tempfile::tempdir().unwrap();
        let state = place.path().join("state");
        let open = || Shared::of(&state, || DiskJournal::create(&state, &Options::default()));
        let manifest = || {
            let text = br#"{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":{"mediaType":"application/vnd.oci.image.config.v1+json","digest":"sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855","size":0},"layers":[]}"#;
            Manifest::read(text.to_vec().into(), Digest::of(text), None).unwrap()
        };
        let (first, _) = open().unwrap();
        let one = first.memory().unwrap();
        let (second, _) = open().unwrap();
        let other = second.memory().unwrap();
        one.cache().keep_manifest(&manifest());
        assert!(other.cache().manifest(manifest().digest()).is_some());
        drop((one, other, first, second));
        let (again, is_new) = open().unwrap();
        assert!(is_new.0);
        let found = again.memory().unwrap().cache().manifest(manifest().digest());
        assert_eq!(found.as_ref().map(Manifest::bytes), Some(manifest().bytes()));
    }
}
