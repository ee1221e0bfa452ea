//! Whether a file is the one that was read, without reading it again.

use std::fs::{self, Metadata};
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

/// What changes when a file does, a link that is swapped among it.
///
/// The time of its last change of any kind is among it, which nobody can set: a file can be written anew with the length
/// and the time that it had.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stamp {
    file: (u64, u64),
    written: (i64, i64),
    changed: (i64, i64),
    size: u64,
}

impl Stamp {
    /// That of a file as it is now; `None` where there is none.
    pub(crate) fn of(path: &Path) -> Option<Self> {
        fs::metadata(path).ok().map(Self::from)
    }
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
