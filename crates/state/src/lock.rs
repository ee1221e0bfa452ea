//! The lock on a state directory: one process uses it, and says which.

use std::fs::{File, TryLockError};
use std::io::{self, Read as _, Seek as _, Write as _};
use std::path::Path;
use std::process;

use crate::error::StateError;
use crate::files;

pub(crate) const LOCK: &str = "lock";

/// The lock on a state directory, held until the last who needs it is gone.
#[derive(Debug)]
pub(crate) struct Lock(File);

impl Drop for Lock {
    /// A process that another thread starts holds the lock's file too, until it has become its program.
    fn drop(&mut self) {
        drop(self.0.unlock());
    }
}

impl Lock {
    /// Takes it, and names its owner; without waiting.
    pub(crate) fn take(root: &Path) -> Result<Self, StateError> {
        let path = root.join(LOCK);
        let mut file = files::private()
            .create(true)
            .truncate(false)
            .read(true)
            .write(true)
            .open(&path)
            .map_err(StateError::io("open", &path))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut owner = String::new();
                let told = (&file).take(200).read_to_string(&mut owner).is_ok();
                let printable = |c: char| c.is_ascii_graphic() || c == ' ';
                owner.retain(printable);
                return Err(StateError::InUse {
                    path: root.into(),
                    owner: if told && !owner.is_empty() {
                        owner
                    } else {
                        "another process".to_owned()
                    },
                });
            }
            Err(TryLockError::Error(error)) => return Err(StateError::io("lock", path)(error)),
        }
        let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
        let owner = format!("process {} on {host}", process::id());
        file.set_len(0)
            .and_then(|()| file.rewind())
            .and_then(|()| file.write_all(owner.as_bytes()))
            // A full disk must not keep anybody from the journal: the lock holds without a name on it.
            .or_else(|error| match error.kind() {
                io::ErrorKind::StorageFull => Ok(()),
                _ => Err(error),
            })
            .map_err(StateError::io("write", path))?;
        Ok(Self(file))
    }
}
