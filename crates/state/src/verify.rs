//! Checking a whole journal, and writing it anew.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use lagan_model::digest::Digest;
use lagan_model::journal::{Effect, RunId, Sequence};

use crate::copies::builder::{MIRROR, STORE};
use crate::copies::index::{End, Index};
use crate::copies::kv::{Kv, KvError};
use crate::copies::union::{Found, Union, Visitor};
use crate::directory::{self, Creation};
use crate::error::{Problem, StateError};
use crate::files::{Disk, Files};
use crate::format::hash::Checksum;
use crate::journal::DiskJournal;
use crate::opening::{self, Notice};
use crate::options::Options;
use crate::space;

/// How many problems are told one by one.
const TOLD: usize = 100;

/// What checking a journal found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verification {
    /// What opening it found, and did about it.
    pub notices: Vec<Notice>,
    /// How many records there are.
    pub records: u64,
    /// How many contents the records need.
    pub contents: u64,
    /// How much is wrong.
    pub wrong: u64,
    /// What is wrong; the first hundred.
    pub problems: Vec<Problem>,
}

/// Checks every checksum, the chain, and that both copies hold the same, record for record and content for content.
///
/// It opens the journal first, which finishes or takes back what a crash left, and repairs what is found damaged
/// there. What is found later makes the next opening compare everything, and repair it.
///
/// Memory grows by about 200 bytes a record, and by what the store keeps of what was read: a program that goes on
/// afterwards better does this in a child process.
///
/// # Errors
///
/// When the journal cannot be opened.
pub fn verify(root: &Path, options: &Options) -> Result<Verification, StateError> {
    let journal = DiskJournal::open(root, options)?;
    let notices = journal.notices().to_vec();
    let end = journal.read("read the end of the journal", journal.index().end())?;
    let known = end.map_or(0, |end| end.sequence);
    let (directory, path, index) = journal.quiesce()?;
    let mut checking = Checking::of(&index);
    Union::of(directory.root(), &path.join(MIRROR), Some(&index), known)?.walk(&mut checking)?;
    let verification = checking.finish(notices)?;
    if verification.wrong > 0 {
        directory::suspect(directory.root());
    }
    Ok(verification)
}

/// What writing a journal anew did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Compaction {
    /// What opening it found, and did about it.
    pub notices: Vec<Notice>,
    /// How many records there are.
    pub records: u64,
    /// Bytes in its files before.
    pub before: u64,
    /// Bytes in its files now.
    pub after: u64,
}

/// Writes the journal anew: the store's file never shrinks by itself. All records are kept.
///
/// The new one is checked whole before it takes the place of the old one, which is removed then.
///
/// # Errors
///
/// When the journal cannot be opened, has a record in neither copy, or there is no room for a second one; then the old
/// one is as it was. What is damaged in one copy only is repaired first, as by any opening.
pub fn compact(root: &Path, options: &Options) -> Result<Compaction, StateError> {
    compact_on(root, options, Arc::new(Disk))
}

pub(crate) fn compact_on(
    root: &Path,
    options: &Options,
    files: Arc<dyn Files>,
) -> Result<Compaction, StateError> {
    match written_anew(root, options, files.clone()) {
        // What is sound in one copy is in both when it is opened again.
        Err(error) if error.is_damage() || error.is_of_one_copy() => {
            directory::suspect(root);
            written_anew(root, options, files)
        }
        done => done,
    }
}

fn written_anew(root: &Path, options: &Options, files: Arc<dyn Files>) -> Result<Compaction, StateError> {
    let journal = DiskJournal::with(root, options, Creation::Never, files)?;
    let notices = journal.notices().to_vec();
    let (mut directory, path, index) = journal.quiesce()?;
    let before = size(&path);
    space::guard(&**directory.files(), root, before.saturating_add(options.reserve))?;
    let end = index.end()?;
    let known = end.map_or(0, |end| end.sequence);
    let built = opening::build_from(&directory, &path, Some(&index), known, true, options)?;
    let records = whole(root, &built, end, options)?;
    drop(index);
    let old = directory.adopt(&built)?;
    if let Some(old) = old {
        fs::remove_dir_all(&old).map_err(StateError::io("remove the old journal", &old))?;
    }
    let path = directory.journal().unwrap_or_default();
    Ok(Compaction {
        notices,
        records,
        before,
        after: size(&path),
    })
}

/// How many records a journal has that was built; it has to be sound, and to end as the one that it is made of.
fn whole(root: &Path, built: &Path, end: Option<End>, options: &Options) -> Result<u64, StateError> {
    let wrong = |why: String| StateError::store("write the journal anew; the old one is as it was", why);
    let known = end.map_or(0, |end| end.sequence);
    let failed = |error: KvError| wrong(error.to_string());
    let index = Index::new(Kv::open(&built.join(STORE), options.cache).map_err(failed)?);
    let mut checking = Checking::of(&index);
    Union::of(root, &built.join(MIRROR), Some(&index), known)?.walk(&mut checking)?;
    let checked = checking.finish(Vec::new())?;
    if let Some(problem) = checked.problems.into_iter().next() {
        return Err(wrong(problem.to_string()));
    }
    if index.end().map_err(failed)? != end {
        return Err(wrong("the new one ends differently".to_owned()));
    }
    Ok(checked.records)
}

/// Bytes in the files of a directory.
fn size(path: &Path) -> u64 {
    let listing = fs::read_dir(path).into_iter().flatten().flatten();
    let sizes = listing.map(|file| match file.metadata() {
        Ok(metadata) if metadata.is_dir() => size(&file.path()),
        Ok(metadata) => metadata.len(),
        Err(_) => 0,
    });
    sizes.sum()
}

/// Counts, and holds what the store derives from the records against them.
struct Checking<'a> {
    index: &'a Index,
    records: u64,
    contents: u64,
    wrong: u64,
    problems: Vec<Problem>,
    open: BTreeSet<u64>,
    runs: BTreeMap<RunId, u64>,
}

impl<'a> Checking<'a> {
    fn of(index: &'a Index) -> Self {
        Self {
            index,
            records: 0,
            contents: 0,
            wrong: 0,
            problems: Vec::new(),
            open: BTreeSet::new(),
            runs: BTreeMap::new(),
        }
    }

    fn note(&mut self, problem: Problem) {
        self.wrong += 1;
        if self.problems.len() < TOLD {
            self.problems.push(problem);
        }
    }

    fn expect(&mut self, holds: Result<bool, KvError>, what: impl FnOnce() -> String) {
        let what = match holds {
            Ok(true) => return,
            Ok(false) => what(),
            Err(error) => error.to_string(),
        };
        self.note(Problem::OneCopy { copy: "store", what });
    }

    fn finish(mut self, notices: Vec<Notice>) -> Result<Verification, StateError> {
        let open: Vec<u64> = self.open.iter().copied().collect();
        let same = self.index.open_entries().map(|found| found == open);
        self.expect(same, || "other records are open".to_owned());
        let runs = std::mem::take(&mut self.runs);
        let found = self.index.runs().map(|found| found.iter().eq(runs.keys()));
        self.expect(found, || "it has other runs".to_owned());
        for (run, count) in runs {
            let same = self
                .index
                .entries_of(run)
                .map(|found| found.len() as u64 == count);
            self.expect(same, || format!("it has other records of the run {run}"));
        }
        Ok(Verification {
            notices,
            records: self.records,
            contents: self.contents,
            wrong: self.wrong,
            problems: self.problems,
        })
    }
}

impl Visitor for Checking<'_> {
    fn header(&mut self, _id: &str, _checksum: Checksum) -> Result<(), StateError> {
        Ok(())
    }

    fn content(&mut self, _digest: &Digest, _packed: &[u8], _bytes: &Bytes) -> Result<(), StateError> {
        self.contents += 1;
        Ok(())
    }

    fn group(&mut self, group: &[Found]) -> Result<(), StateError> {
        for (_, entry, _) in group {
            self.records += 1;
            *self.runs.entry(entry.run).or_default() += 1;
            match entry.effect {
                Effect::None => {}
                Effect::Opens => {
                    self.open.insert(entry.sequence);
                }
                Effect::Settles(Sequence(other)) => {
                    self.open.remove(&other);
                    let told = self
                        .index
                        .settled_by(other)
                        .map(|found| found == Some(entry.sequence));
                    self.expect(told, || format!("it does not know what settled record {other}"));
                }
            }
        }
        Ok(())
    }

    fn problem(&mut self, problem: Problem) -> Result<(), StateError> {
        self.note(problem);
        Ok(())
    }
}
