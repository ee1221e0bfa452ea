//! Up to where the copies were last known to agree: opening compares what came later.

use std::fs;
use std::io;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::copies::index::End;
use crate::files::{self, Files};
use crate::format::hash::Checksum;
use crate::format::line::{self, VERSION};

pub(crate) const NAME: &str = "checkpoint.json";

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Checkpoint {
    v: u32,
    pub(crate) sequence: u64,
    pub(crate) checksum: Checksum,
    pub(crate) commit: u64,
    /// Where the last entry's line begins in the mirror.
    pub(crate) line: u64,
    /// Where the mirror ended.
    pub(crate) end: u64,
    /// The entries that were open.
    pub(crate) open: Vec<u64>,
}

impl Checkpoint {
    pub(crate) fn new(at: End, line: u64, end: u64, open: Vec<u64>) -> Self {
        Self {
            v: VERSION,
            sequence: at.sequence,
            checksum: at.checksum,
            commit: at.commit,
            line,
            end,
            open,
        }
    }

    pub(crate) fn at(&self) -> End {
        End {
            sequence: self.sequence,
            checksum: self.checksum,
            commit: self.commit,
        }
    }

    pub(crate) fn write(&self, files: &dyn Files, directory: &Path) -> io::Result<()> {
        let (line, _) = line::seal(self)?;
        files::replace(files, &directory.join(NAME), &line)
    }

    /// The checkpoint of a journal; `None` where there is none that is sound, and everything has to be compared.
    pub(crate) fn read(directory: &Path) -> io::Result<Option<Self>> {
        let text = match fs::read(directory.join(NAME)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound || files::is_unreadable(&error) => {
                return Ok(None);
            }
            text => text?,
        };
        let sound = line::check(&text).and_then(|_| serde_json::from_slice::<Self>(&text).ok());
        Ok(sound.filter(|checkpoint| checkpoint.v <= VERSION))
    }
}
