//! Opening a journal: the two copies are compared from the last checkpoint on, what a crash left unfinished is
//! finished or taken back, and where the copies disagree in any other way both are set aside and built anew from
//! what they hold together.

mod compare;
mod rebuild;

use std::collections::BTreeSet;
use std::fmt;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use self::compare::compare;
pub(crate) use self::rebuild::build_from;
use self::rebuild::rebuild;
use crate::copies::builder::{Builder, STORE};
use crate::copies::index::{End, Index};
use crate::copies::kv::{Kv, KvError};
use crate::directory::Directory;
use crate::error::StateError;
use crate::format::hash::Checksum;
use crate::options::Options;
use crate::space;

/// What opening a state directory found, and did about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Notice {
    /// The last write was cut off before anybody was told that it is durable, and was taken back.
    TakenBack {
        /// How many bytes of the mirror. They are in `aside`.
        bytes: u64,
    },
    /// The last write was in one copy, and is in both now.
    Finished {
        /// How many records.
        records: u64,
    },
    /// A half-written snapshot of the store was set aside.
    SetAside {
        /// The file.
        name: String,
    },
    /// The copies disagreed; the journal was built anew from both, and all records are kept.
    Rebuilt {
        /// What was wrong.
        why: String,
        /// Where the damaged copies are now.
        aside: PathBuf,
    },
    /// A journal that is newer than the one that counts was set aside.
    NewerAside {
        /// Where it is now.
        aside: PathBuf,
    },
    /// The disk is full: the ballast was given back, so that the journal can be read.
    BallastDropped,
}

impl Notice {
    /// Whether what was stored was found damaged. Anything else is what a crash or a full disk leaves.
    #[must_use]
    pub fn is_damage(&self) -> bool {
        matches!(self, Self::Rebuilt { .. })
    }
}

impl fmt::Display for Notice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TakenBack { bytes } => write!(
                f,
                "the last write to the journal was cut off before it counted; its {bytes} bytes are set aside"
            ),
            Self::Finished { records } => write!(
                f,
                "the last write to the journal was in one copy, and is in both now (records: {records})"
            ),
            Self::SetAside { name } => write!(f, "a half-written snapshot of the store was set aside: {name}"),
            Self::Rebuilt { why, aside } => write!(
                f,
                "the journal was damaged ({why}); it was built anew from both copies, no record is lost, and what was \
                 damaged is in {}",
                aside.display()
            ),
            Self::NewerAside { aside } => write!(
                f,
                "a journal was there that is newer than the one that lagan-state.json names, and is in {} now: a crash left \
                 it just before it counted, or an older copy of the directory was restored over it, and then it has later \
                 runs",
                aside.display()
            ),
            Self::BallastDropped => f.write_str(
                "the disk is full: the room that was kept for that was given back, so that the journal can be read",
            ),
        }
    }
}

/// A journal that is ready.
pub(crate) struct Opened {
    pub(crate) path: PathBuf,
    pub(crate) mirror: File,
    pub(crate) index: Arc<Index>,
    pub(crate) at: Position,
    pub(crate) open: BTreeSet<u64>,
    pub(crate) notices: Vec<Notice>,
}

/// Where the journal ends.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Position {
    pub(crate) end: End,
    /// Where the last entry's line begins.
    pub(crate) line: u64,
    /// Bytes in the mirror.
    pub(crate) length: u64,
}

enum Verdict {
    Agree(Box<Opened>),
    Disagree(String),
}

/// Opens the journal of a directory, and creates it where there is none yet.
pub(crate) fn open(directory: &mut Directory, options: &Options) -> Result<Opened, StateError> {
    match attempt(directory, options) {
        Err(error) if error.is_full() && space::drop_ballast(directory.root()).unwrap_or(false) => {
            let mut opened = attempt(directory, options)?;
            opened.notices.insert(0, Notice::BallastDropped);
            Ok(opened)
        }
        answer => answer,
    }
}

fn attempt(directory: &mut Directory, options: &Options) -> Result<Opened, StateError> {
    if directory.journal().is_none() {
        let built = directory.building()?;
        let builder = Builder::begin(directory.files().clone(), &built, &new_id(), options.cache)?;
        builder.finish()?;
        directory.adopt(&built)?;
    }
    let path = directory.journal().unwrap_or_default();
    let why = match compare(directory, &path, options)? {
        Verdict::Agree(opened) => return Ok(*opened),
        Verdict::Disagree(why) => why,
    };
    let aside = rebuild(directory, &path, options)?;
    directory.clear_suspicion()?;
    let path = directory.journal().unwrap_or_default();
    match compare(directory, &path, options)? {
        Verdict::Agree(mut opened) => {
            opened.notices.insert(0, Notice::Rebuilt { why, aside });
            Ok(*opened)
        }
        Verdict::Disagree(again) => Err(StateError::store("rebuild the journal", again)),
    }
}

/// Names a journal, so that lines of one never pass for lines of another.
pub(crate) fn new_id() -> String {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    let seed = format!("{now:?} {}", std::process::id());
    Checksum::of(seed.as_bytes()).to_string()[..32].to_owned()
}

fn quarantine(directory: &Directory, path: &Path) -> Result<Vec<Notice>, StateError> {
    let store = path.join(STORE);
    let names = Kv::quarantine(&store, |file| directory.set_aside(file).map(drop))
        .map_err(StateError::io("set aside half-written snapshots in", &store))?;
    Ok(names.into_iter().map(|name| Notice::SetAside { name }).collect())
}

/// The store; the inner error is damage, the outer one is not.
fn open_store(path: &Path, options: &Options) -> Result<Result<Kv, KvError>, StateError> {
    match Kv::open(&path.join(STORE), options.cache) {
        Err(error) if error.is_of_the_machine() => Err(StateError::store(
            format!("open the store in {}", path.display()),
            error,
        )),
        answer => Ok(answer),
    }
}
