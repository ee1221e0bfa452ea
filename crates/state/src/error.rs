//! Why the state directory, or the journal in it, cannot be used.

use std::error::Error;
use std::fmt;
use std::io;
use std::path::PathBuf;

use lagan_model::journal::{JournalError, RunId, Sequence};

use crate::copies::kv::KvError;

/// A failure, as a fragment that completes "failed to ...".
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// The directory is not there, and was not to be created.
    #[error("open the state directory {}: there is none", path.display())]
    Absent {
        /// Where it was looked for.
        path: PathBuf,
    },
    /// It is there, and is something else.
    #[error("open the state directory {}: {why}", path.display())]
    Foreign {
        /// The directory.
        path: PathBuf,
        /// What speaks against it.
        why: String,
    },
    /// Its journal is not there any more, or nothing says which of those that are there counts.
    #[error("open the state directory {}: {why}", path.display())]
    Headless {
        /// The directory.
        path: PathBuf,
        /// What is missing or damaged.
        why: String,
        /// What would help.
        help: &'static str,
    },
    /// Others than its owner may enter it.
    #[error("open the state directory {}: its mode is {mode:04o}, and others must not read it", path.display())]
    Exposed {
        /// The directory.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// Another process uses it.
    #[error("open the state directory {}: {owner} is using it", path.display())]
    InUse {
        /// The directory.
        path: PathBuf,
        /// Who holds it, as the holder wrote.
        owner: String,
    },
    /// It was written by a newer version of this program.
    #[error("open the state directory {}: {what} is of format {found}, and this version reads up to {known}", path.display())]
    Newer {
        /// The directory.
        path: PathBuf,
        /// Which part.
        what: String,
        /// Its format.
        found: u32,
        /// The newest format that is known.
        known: u32,
    },
    /// Both copies of the journal are damaged, so that together they are not whole.
    #[error("read the journal in {}: {problem}", path.display())]
    Lost {
        /// The state directory.
        path: PathBuf,
        /// What is missing or contradicts itself.
        problem: Problem,
    },
    /// The file system refused or failed.
    #[error("{doing} {}", path.display())]
    Io {
        /// What was tried.
        doing: &'static str,
        /// With what.
        path: PathBuf,
        /// How it failed.
        #[source]
        source: io::Error,
    },
    /// The store failed.
    #[error("{doing}")]
    Store {
        /// What was tried.
        doing: String,
        /// How it failed.
        #[source]
        source: Box<dyn Error + Send + Sync>,
    },
    /// An export cannot be imported.
    #[error("import line {line} of the export: {why}")]
    Import {
        /// The line, counted from 1.
        line: u64,
        /// What is wrong with it.
        why: String,
    },
    /// An export was written by a newer version of this program; nothing of it was imported.
    #[error("import the export: it is of version {found}, and this program knows {known}")]
    NewerExport {
        /// Its version.
        found: u32,
        /// The newest version that is known.
        known: u32,
    },
    /// A run is not in the journal.
    #[error("find the run {run}: it is not in the journal")]
    UnknownRun {
        /// The run.
        run: RunId,
    },
    /// The journal refused or failed.
    #[error(transparent)]
    Journal(#[from] JournalError),
}

impl StateError {
    /// What would help, where something is known to.
    #[must_use]
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Absent { .. } => {
                Some("nothing was ever deleted with this state directory; is the path right?")
            }
            Self::Foreign { .. } => Some("name a directory that is empty, or that does not exist yet"),
            Self::Headless { help, .. } => Some(help),
            Self::Exposed { .. } => Some("chmod 700 it, and make sure that nobody else has written in it"),
            Self::InUse { .. } => Some("wait for it to end, or use another state directory"),
            Self::Newer { .. } | Self::NewerExport { .. } => {
                Some("use the version of lagan that wrote it, or a newer one")
            }
            Self::Lost { .. } => Some(
                "nothing was changed; restore the state directory from a backup, or import an export into a new one",
            ),
            Self::Io { .. } | Self::Store { .. } | Self::Journal(_) if self.is_full() => {
                Some("free some space on the disk; nothing that was acknowledged is lost")
            }
            Self::Store { .. } | Self::Journal(_) if self.is_damage() => Some(
                "run it again: the journal is compared whole then, and built anew from what is sound in either copy",
            ),
            Self::Io { .. } | Self::Store { .. } if self.is_forbidden() => {
                Some("does the directory belong to this user, and can it be written?")
            }
            Self::Journal(JournalError::NoSpace { .. }) => {
                Some("free some space on the disk that has the state directory")
            }
            Self::Import { .. } => Some("nothing was imported from this line on; importing again is safe"),
            Self::UnknownRun { .. } => Some("`lagan journal list` names the runs"),
            Self::Io { .. } | Self::Store { .. } | Self::Journal(_) => None,
        }
    }

    /// Whether this user may not write there.
    #[must_use]
    pub fn is_forbidden(&self) -> bool {
        causes(self).filter_map(of_the_system).any(is_forbidden)
    }

    /// Whether damage was met in a journal that is open: the next opening repairs what is sound in one copy.
    #[must_use]
    pub fn is_damage(&self) -> bool {
        causes(self).any(is_damage)
    }

    /// Whether one copy of the journal is damaged, and the other is not.
    pub(crate) fn is_of_one_copy(&self) -> bool {
        let Self::Lost { problem, .. } = self else {
            return false;
        };
        matches!(problem, Problem::OneCopy { .. })
    }

    /// Whether the disk is full, however deep that is said.
    #[must_use]
    pub fn is_full(&self) -> bool {
        causes(self)
            .filter_map(of_the_system)
            .any(|error| error.kind() == io::ErrorKind::StorageFull)
    }

    pub(crate) fn io(doing: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { doing, path, source }
    }

    pub(crate) fn store(doing: impl Into<String>, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::Store {
            doing: doing.into(),
            source: source.into(),
        }
    }
}

/// An error and what it comes from.
fn causes<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |&error| error.source())
}

/// Whether an error says that the store is damaged.
pub(crate) fn is_damage(error: &(dyn Error + 'static)) -> bool {
    let of_the_store = error.downcast_ref::<KvError>();
    of_the_store.is_some_and(|error| !error.is_of_the_machine())
}

fn of_the_system<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a io::Error> {
    let of_the_store = || error.downcast_ref::<KvError>().and_then(KvError::io);
    error.downcast_ref::<io::Error>().or_else(of_the_store)
}

fn is_forbidden(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem
    )
}

impl From<KvError> for StateError {
    fn from(error: KvError) -> Self {
        Self::store("read the journal's store", error)
    }
}

/// What is wrong with a journal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Problem {
    /// Neither copy has a record, and later ones are there.
    Missing {
        /// The first number that is missing.
        sequence: Sequence,
    },
    /// Records that were there when the journal was last closed, or at a checkpoint, are in neither copy.
    Short {
        /// The last number that is there.
        last: Sequence,
        /// The last number that has to be.
        known: Sequence,
    },
    /// Each copy has another record of a number, and both are well-formed.
    Forked {
        /// The number.
        sequence: Sequence,
    },
    /// A record does not follow the one before it.
    Unchained {
        /// Its number.
        sequence: Sequence,
    },
    /// Neither copy has a content that a record needs.
    Content {
        /// The record.
        sequence: Sequence,
        /// The content.
        digest: lagan_model::digest::Digest,
    },
    /// One copy lacks a record that the other has, or has it damaged.
    OneCopy {
        /// Which copy.
        copy: &'static str,
        /// What is wrong there.
        what: String,
    },
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing { sequence } => {
                write!(f, "record {sequence} is in neither copy, and later ones are")
            }
            Self::Short { last, known } => write!(f, "it ends at record {last}, and had {known}"),
            Self::Forked { sequence } => write!(f, "the copies have different records {sequence}"),
            Self::Unchained { sequence } => write!(f, "record {sequence} does not follow the one before it"),
            Self::Content { sequence, digest } => {
                write!(f, "{digest}, which record {sequence} needs, is in neither copy")
            }
            Self::OneCopy { copy, what } => write!(f, "the {copy} is damaged, the other copy is not: {what}"),
        }
    }
}
