//! Writes a journal from its beginning: both copies at once, synced at the end.

use std::collections::BTreeSet;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use lagan_model::digest::Digest;
use lagan_model::journal::Effect;

use crate::copies::checkpoint::Checkpoint;
use crate::copies::index::{Changes, End, Index};
use crate::copies::kv::Kv;
use crate::error::StateError;
use crate::files::{self, Files};
use crate::format::hash::Checksum;
use crate::format::line::{self, EntryLine};

pub(crate) const MIRROR: &str = "mirror.jsonl";
pub(crate) const STORE: &str = "store";

/// Bytes after which what was built so far goes to the files.
const ENOUGH: usize = 1 << 20;

pub(crate) struct Builder {
    files: Arc<dyn Files>,
    directory: PathBuf,
    mirror: File,
    index: Index,
    lines: Vec<u8>,
    changes: Changes,
    contents: BTreeSet<Digest>,
    open: BTreeSet<u64>,
    end: End,
    line: u64,
    length: u64,
}

impl Builder {
    /// Begins a journal in an empty directory. Its name is part of its header, and so of the chain.
    pub(crate) fn begin(
        files: Arc<dyn Files>,
        directory: &Path,
        id: &str,
        cache: u64,
    ) -> Result<Self, StateError> {
        let path = directory.join(MIRROR);
        let mirror = files::private()
            .create_new(true)
            .append(true)
            .open(&path)
            .map_err(StateError::io("create", &path))?;
        let kv = Kv::open(&directory.join(STORE), cache)?;
        let (mut lines, checksum) =
            line::header(id).map_err(|error| StateError::store("begin a journal", error))?;
        let mut changes = Changes::default();
        changes.header(&lines);
        lines.push(b'\n');
        Ok(Self {
            files,
            directory: directory.to_owned(),
            mirror,
            index: Index::new(kv),
            length: lines.len() as u64,
            lines,
            changes,
            contents: BTreeSet::new(),
            open: BTreeSet::new(),
            end: End {
                sequence: 0,
                checksum,
                commit: 0,
            },
            line: 0,
        })
    }

    /// Adds a content.
    pub(crate) fn content(&mut self, digest: &Digest, packed: &[u8]) -> Result<(), StateError> {
        if self.contents.insert(digest.clone()) {
            let text =
                line::content(digest, packed).map_err(|error| StateError::store("write a content", error))?;
            self.append(&text);
            self.changes.content(digest, packed);
        }
        self.spill(ENOUGH)
    }

    /// Adds the next entry with its line.
    pub(crate) fn entry(
        &mut self,
        text: &[u8],
        entry: &EntryLine,
        checksum: Checksum,
    ) -> Result<(), StateError> {
        self.line = self.length;
        self.append(text);
        self.changes.entry(text, entry, checksum);
        match entry.effect {
            Effect::None => {}
            Effect::Opens => {
                self.open.insert(entry.sequence);
            }
            Effect::Settles(other) => {
                self.open.remove(&other.0);
            }
        }
        self.end = End {
            sequence: entry.sequence,
            checksum,
            commit: entry.commit,
        };
        self.spill(ENOUGH)
    }

    /// Makes all of it durable.
    pub(crate) fn finish(mut self) -> Result<(), StateError> {
        self.spill(0)?;
        let path = self.directory.join(MIRROR);
        self.files
            .sync(&self.mirror, &path)
            .map_err(StateError::io("sync", &path))?;
        self.index
            .kv()
            .sync(&*self.files)
            .map_err(|error| StateError::store("sync the journal's store", error))?;
        let open = self.open.into_iter().collect();
        Checkpoint::new(self.end, self.line, self.length, open)
            .write(&*self.files, &self.directory)
            .map_err(StateError::io("write a checkpoint in", &self.directory))
    }

    fn append(&mut self, text: &[u8]) {
        self.lines.extend_from_slice(text);
        self.lines.push(b'\n');
        self.length += text.len() as u64 + 1;
    }

    fn spill(&mut self, limit: usize) -> Result<(), StateError> {
        if self.lines.len() > limit {
            let path = self.directory.join(MIRROR);
            self.files
                .append(&self.mirror, &self.lines)
                .map_err(StateError::io("write", path))?;
            self.lines.clear();
            self.index.apply(std::mem::take(&mut self.changes))?;
        }
        Ok(())
    }
}
