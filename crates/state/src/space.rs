//! Room on the disk: enough of it before anything is deleted, and some that can be given back.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use lagan_model::journal::JournalError;

use crate::directory::BALLAST;
use crate::files::{self, Files};

/// Bytes that have to be free beside a journal of `journal` bytes: room to build it anew, and `reserve` at least.
pub(crate) fn needed(reserve: u64, journal: u64) -> u64 {
    reserve.max(journal.saturating_mul(2))
}

/// Refuses where less is free than has to be.
pub(crate) fn guard(files: &dyn Files, root: &Path, needed: u64) -> Result<(), JournalError> {
    let free = files.free(root).map_err(|error| JournalError::Store {
        doing: format!("ask how much room is left in {}", root.display()),
        source: error.into(),
    })?;
    if free < needed {
        return Err(JournalError::NoSpace { free, needed });
    }
    Ok(())
}

/// Lays the ballast where there is none and the disk has room beyond `needed`.
pub(crate) fn lay_ballast(files: &dyn Files, root: &Path, size: u64, needed: u64) -> io::Result<()> {
    let path = root.join(BALLAST);
    if size == 0 || files.free(root)? < needed.saturating_add(size) {
        return Ok(());
    }
    let file = files::private()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&path)?;
    // Blocks, not the length: a sparse file would give nothing back.
    if file.metadata()?.blocks().saturating_mul(512) >= size {
        return Ok(());
    }
    match rustix::fs::fallocate(&file, rustix::fs::FallocateFlags::empty(), 0, size) {
        Err(rustix::io::Errno::OPNOTSUPP) => {
            let zeros = vec![0; 1 << 16];
            for _ in 0..size.div_ceil(1 << 16) {
                files.append(&file, &zeros)?;
            }
        }
        allocated => allocated?,
    }
    files.sync(&file, &path)?;
    files.sync_directory(root)
}

/// Gives the ballast back; whether there was one.
pub(crate) fn drop_ballast(root: &Path) -> io::Result<bool> {
    match fs::remove_file(root.join(BALLAST)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        removed => removed.map(|()| true),
    }
}
