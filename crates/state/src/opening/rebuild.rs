//! Making a journal of what both copies hold together.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use lagan_model::digest::Digest;

use super::{open_store, quarantine};
use crate::copies::builder::{Builder, MIRROR, STORE};
use crate::copies::checkpoint::Checkpoint;
use crate::copies::index::Index;
use crate::copies::union::{Found, Union, Visitor};
use crate::directory::Directory;
use crate::error::{Problem, StateError};
use crate::files;
use crate::format::hash::Checksum;
use crate::options::Options;

/// Builds the journal anew from both copies; where these are then.
pub(super) fn rebuild(
    directory: &mut Directory,
    path: &Path,
    options: &Options,
) -> Result<PathBuf, StateError> {
    let checkpoint = Checkpoint::read(path).map_err(StateError::io("read the checkpoint in", path))?;
    let known = checkpoint.map_or(0, |checkpoint| checkpoint.sequence);
    quarantine(directory, path)?;
    // The store writes when it is opened. It may hold the only sound copy of a record, and a power cut could take any
    // part of what it writes: a copy of it is read.
    let copy = directory.scratch()?;
    let built = match copy_files(&path.join(STORE), &copy.join(STORE)) {
        Ok(()) => open_store(&copy, options).and_then(|kv| {
            let index = kv.ok().map(Index::new);
            build_from(directory, path, index.as_ref(), known, false, options)
        }),
        Err(error) if files::is_unreadable(&error) => {
            build_from(directory, path, None, known, false, options)
        }
        Err(error) => Err(StateError::io("copy the store to", &copy)(error)),
    };
    fs::remove_dir_all(&copy).map_err(StateError::io("remove", &copy))?;
    directory.adopt(&built?)?;
    directory
        .set_aside(path)
        .map_err(StateError::io("set aside the damaged", path))
}

fn copy_files(from: &Path, to: &Path) -> io::Result<()> {
    files::create_directory(to)?;
    let listing = match fs::read_dir(from) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        listing => listing?,
    };
    for file in listing {
        let file = file?;
        let target = to.join(file.file_name());
        if file.file_type()?.is_dir() {
            copy_files(&file.path(), &target)?;
        } else {
            fs::copy(file.path(), target)?;
        }
    }
    Ok(())
}

/// Writes what both copies hold into a new journal; where it is.
pub(crate) fn build_from(
    directory: &Directory,
    path: &Path,
    index: Option<&Index>,
    known: u64,
    strict: bool,
    options: &Options,
) -> Result<PathBuf, StateError> {
    let root = directory.root().to_owned();
    let union = Union::of(&root, &path.join(MIRROR), index, known)?;
    let built = directory.building()?;
    let files = directory.files().clone();
    let mut visitor = Rebuilding {
        root: &root,
        begin: |id: &str| Builder::begin(files.clone(), &built, id, options.cache),
        builder: None,
        strict,
    };
    let walked = union.walk(&mut visitor);
    match walked.and_then(|_| visitor.builder.take().map_or(Ok(()), Builder::finish)) {
        Ok(()) => Ok(built),
        Err(error) => {
            drop(visitor);
            // The next opening removes what cannot be removed now; why it was not built matters more.
            drop(fs::remove_dir_all(&built));
            Err(error)
        }
    }
}

/// Builds a journal anew; damage in one copy is what it is for, anything else is refused.
struct Rebuilding<'a, B> {
    root: &'a Path,
    /// Begins the journal of a name.
    begin: B,
    builder: Option<Builder>,
    /// Whether damage in one copy is an error, too.
    strict: bool,
}

impl<B: Fn(&str) -> Result<Builder, StateError>> Rebuilding<'_, B> {
    fn builder(&mut self) -> Result<&mut Builder, StateError> {
        self.builder
            .as_mut()
            .ok_or_else(|| StateError::store("rebuild the journal", "it was not begun"))
    }
}

impl<B: Fn(&str) -> Result<Builder, StateError>> Visitor for Rebuilding<'_, B> {
    fn header(&mut self, id: &str, _checksum: Checksum) -> Result<(), StateError> {
        self.builder = Some((self.begin)(id)?);
        Ok(())
    }

    fn content(&mut self, digest: &Digest, packed: &[u8], _bytes: &Bytes) -> Result<(), StateError> {
        self.builder()?.content(digest, packed)
    }

    fn group(&mut self, group: &[Found]) -> Result<(), StateError> {
        let builder = self.builder()?;
        for (text, entry, checksum) in group {
            builder.entry(text, entry, *checksum)?;
        }
        Ok(())
    }

    fn problem(&mut self, problem: Problem) -> Result<(), StateError> {
        if matches!(problem, Problem::OneCopy { .. }) && !self.strict {
            return Ok(());
        }
        Err(StateError::Lost {
            path: self.root.into(),
            problem,
        })
    }
}
