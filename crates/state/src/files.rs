//! What is asked of the disk beyond writing: that something is there after a power cut, and how much room is left.
//!
//! Everything that decides about durability goes through [`Files`], so that a test can keep only what was synced, or
//! let a sync fail.

use std::fmt::Debug;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt as _, OpenOptionsExt, PermissionsExt as _};
use std::path::Path;

/// The promises of a file system.
pub(crate) trait Files: Debug + Send + Sync {
    /// Appends to a file that is open for appending.
    fn append(&self, file: &File, bytes: &[u8]) -> io::Result<()>;

    /// Makes the content of a file durable.
    fn sync(&self, file: &File, path: &Path) -> io::Result<()>;

    /// Makes the names in a directory durable.
    fn sync_directory(&self, path: &Path) -> io::Result<()>;

    /// Bytes that are free to this user.
    fn free(&self, path: &Path) -> io::Result<u64>;
}

/// The file system of this machine.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Disk;

impl Files for Disk {
    fn append(&self, mut file: &File, bytes: &[u8]) -> io::Result<()> {
        file.write_all(bytes)
    }

    fn sync(&self, file: &File, _path: &Path) -> io::Result<()> {
        file.sync_all()
    }

    fn sync_directory(&self, path: &Path) -> io::Result<()> {
        File::open(path)?.sync_all()
    }

    fn free(&self, path: &Path) -> io::Result<u64> {
        let statistics = rustix::fs::statvfs(path)?;
        Ok(statistics.f_bavail.saturating_mul(statistics.f_frsize))
    }
}

/// Options that create files which only their owner may read.
pub(crate) fn private() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.mode(0o600);
    options
}

/// Creates a directory that only its owner may enter, and those above it.
pub(crate) fn create_directory(path: &Path) -> io::Result<()> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(path)
}

/// The same, and its name is there after a power cut.
pub(crate) fn create_durably(files: &dyn Files, path: &Path) -> io::Result<()> {
    let parents = || path.ancestors().filter(|above| !above.as_os_str().is_empty());
    let new: Vec<&Path> = parents().take_while(|above| !above.exists()).collect();
    create_directory(path)?;
    for created in new {
        match created.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => files.sync_directory(parent)?,
            _ => files.sync_directory(Path::new("."))?,
        }
    }
    Ok(())
}

/// Takes from others what they may do with a file or a directory. One that is gone by now is nobody's.
pub(crate) fn close_to_others(path: &Path) -> io::Result<()> {
    let closed = match fs::symlink_metadata(path) {
        Ok(found) if found.mode() & 0o077 == 0 => return Ok(()),
        Ok(found) if found.is_dir() => fs::set_permissions(path, fs::Permissions::from_mode(0o700)),
        Ok(found) if found.is_file() => fs::set_permissions(path, fs::Permissions::from_mode(0o600)),
        Ok(_) => return Ok(()),
        Err(error) => Err(error),
    };
    match closed {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        closed => closed,
    }
}

/// Whether an error says that what is stored cannot be read any more, so that only the other copy helps.
pub(crate) fn is_unreadable(error: &io::Error) -> bool {
    const EIO: i32 = 5;
    const EBADMSG: i32 = 74;
    const EUCLEAN: i32 = 117;
    error
        .raw_os_error()
        .is_some_and(|number| [EIO, EBADMSG, EUCLEAN].contains(&number))
        // It became something of another kind.
        || matches!(error.kind(), io::ErrorKind::NotADirectory | io::ErrorKind::IsADirectory)
}

/// The same error for somebody else.
pub(crate) fn copy_of(error: &io::Error) -> io::Error {
    match error.raw_os_error() {
        Some(number) => io::Error::from_raw_os_error(number),
        None => io::Error::new(error.kind(), error.to_string()),
    }
}

/// Replaces a file so that either the old or the new content is there, whatever happens.
pub(crate) fn replace(files: &dyn Files, path: &Path, content: &[u8]) -> io::Result<()> {
    let parent = path.parent().unwrap_or(Path::new("."));
    rename_over(path, |file, new| {
        files.append(file, content)?;
        files.sync(file, new)
    })?;
    files.sync_directory(parent)
}

/// The same as long as the power stays on.
pub(crate) fn replace_unsynced(files: &dyn Files, path: &Path, content: &[u8]) -> io::Result<()> {
    rename_over(path, |file, _| files.append(file, content))
}

fn rename_over(path: &Path, write: impl FnOnce(&File, &Path) -> io::Result<()>) -> io::Result<()> {
    let new = added(path, "new");
    let file = private().write(true).create(true).truncate(true).open(&new)?;
    write(&file, &new)?;
    fs::rename(&new, path)
}

/// `path` with `.extension` behind it.
pub(crate) fn added(path: &Path, extension: &str) -> std::path::PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".");
    name.push(extension);
    name.into()
}
