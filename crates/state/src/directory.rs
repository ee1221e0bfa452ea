//! The state directory: whose it is, who uses it, and which journal in it counts.
//!
//! | name | what it is |
//! |---|---|
//! | `lagan-state.json` | says that this is a state directory, of which format, and which journal counts |
//! | `lock` | held by the process that uses it, which it names |
//! | `ballast` | room that is given back when the disk is full |
//! | `journal.N/mirror.jsonl` | the journal as checksummed lines of text |
//! | `journal.N/store/` | the journal as a store in which things are found |
//! | `journal.N/checkpoint.json` | up to where the two were last known to agree |
//! | `aside/` | what was damaged, and replaced; never deleted by this program |
//! | `audit/` | who had what done ([`audit`](crate::audit)); with a lock of its own |
//! | `ledger/` | what was seen of repositories, and since when |
//! | `cache/` | what digests name; may be removed at any time |
//! | `suspect` | there after damage was met: the next opening compares everything |

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::audit::AUDIT;
use crate::error::StateError;
use crate::files::{self, Files};
use crate::format::line::{self, VERSION};
use crate::lock::{LOCK, Lock};

const HEAD: &str = "lagan-state.json";
const SUSPECT: &str = "suspect";
pub(crate) const BALLAST: &str = "ballast";
pub(crate) const LEDGER: &str = "ledger";
pub(crate) const CACHE: &str = "cache";
const FORMAT: &str = "lagan.state";
const BUILDING: &str = "building";

const RESTORE: &str = "restore the whole directory from a backup, or import an export into a new one";

#[derive(Debug, Serialize, Deserialize)]
struct Head {
    format: String,
    version: u32,
    generation: u64,
}

/// Whether a directory may become a state directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Creation {
    /// It has to be one.
    Never,
    /// It may be empty.
    Adopt,
    /// It may be empty, or not be there yet.
    Create,
}

/// A state directory that this process holds.
#[derive(Debug)]
pub(crate) struct Directory {
    root: PathBuf,
    files: Arc<dyn Files>,
    generation: Option<u64>,
    /// Where journals are now that are newer than the one that counts.
    newer: Vec<PathBuf>,
    lock: Arc<Lock>,
}

impl Directory {
    /// Takes hold of a state directory.
    pub(crate) fn take(root: &Path, creation: Creation, files: Arc<dyn Files>) -> Result<Self, StateError> {
        let create = creation == Creation::Create;
        let metadata = match fs::metadata(root) {
            Err(error) if error.kind() == io::ErrorKind::NotFound && create => {
                files::create_durably(&*files, root)
                    .map_err(StateError::io("create the state directory", root))?;
                fs::metadata(root)
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(StateError::Absent { path: root.into() });
            }
            Err(error) if error.kind() == io::ErrorKind::NotADirectory => {
                return Err(StateError::Foreign {
                    path: root.into(),
                    why: "something above it is no directory".to_owned(),
                });
            }
            metadata => metadata,
        }
        .map_err(StateError::io("open the state directory", root))?;
        let foreign = |why: &str| StateError::Foreign {
            path: root.into(),
            why: why.to_owned(),
        };
        if !metadata.is_dir() {
            return Err(foreign("it is no directory"));
        }
        let mode = metadata.permissions().mode() & 0o7777;
        if mode & 0o077 != 0 {
            return Err(StateError::Exposed {
                path: root.into(),
                mode,
            });
        }
        let names = names(root)?;
        let ours = |name: &String| {
            [
                HEAD,
                LOCK,
                BALLAST,
                SUSPECT,
                "aside",
                AUDIT,
                LEDGER,
                CACHE,
                "lagan-state.json.new",
                "lost+found",
            ]
            .contains(&name.as_str())
                || name.starts_with("journal.")
        };
        let journals = names.iter().any(|name| name.starts_with("journal."));
        let known = |name: &String| [HEAD, LEDGER, CACHE].contains(&name.as_str());
        let known = names.iter().any(known) || journals;
        if !known && !names.iter().all(ours) {
            return Err(foreign("it is not a state directory of lagan"));
        }
        let has_journal = journals || names.iter().any(|name| name == HEAD);
        // A new one would know of nothing that is held, and the next run would delete it.
        if !has_journal && creation != Creation::Adopt && had_a_journal(root, &names) {
            return Err(StateError::Headless {
                path: root.into(),
                why: "its journal is gone, and what is beside it is there".to_owned(),
                help: "restore lagan-state.json and the journal from a backup, import an export into a new directory, or name a \
                       new one to begin anew",
            });
        }
        if !known && creation == Creation::Never {
            return Err(StateError::Absent { path: root.into() });
        }
        let lock = Lock::take(root)?;
        let mut directory = Self {
            root: root.to_owned(),
            files,
            generation: None,
            newer: Vec::new(),
            lock: Arc::new(lock),
        };
        directory.generation = directory.current()?;
        directory.close_to_others()?;
        directory.tidy()?;
        Ok(directory)
    }

    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// The lock, for what outlives this value.
    pub(crate) fn lock(&self) -> Arc<Lock> {
        self.lock.clone()
    }

    pub(crate) fn files(&self) -> &Arc<dyn Files> {
        &self.files
    }

    /// Where journals are now that are newer than the one that counts: a crash leaves one that had just been built, and
    /// one with records of its own is there where an older copy of the directory was restored over it.
    pub(crate) fn newer(&self) -> &[PathBuf] {
        &self.newer
    }

    /// The journal that counts; `None` in a directory that has none yet.
    pub(crate) fn journal(&self) -> Option<PathBuf> {
        self.generation.map(|generation| self.of(generation))
    }

    /// An empty directory in which the next journal is built.
    pub(crate) fn building(&self) -> Result<PathBuf, StateError> {
        Self::empty(files::added(&self.of(self.generation.unwrap_or(0) + 1), BUILDING))
    }

    /// An empty directory for copies; whoever asks for it removes it, and the next opening if it is left.
    pub(crate) fn scratch(&self) -> Result<PathBuf, StateError> {
        Self::empty(self.root.join(format!("journal.copy.{BUILDING}")))
    }

    fn empty(path: PathBuf) -> Result<PathBuf, StateError> {
        if path.exists() {
            fs::remove_dir_all(&path).map_err(StateError::io("remove the unfinished", &path))?;
        }
        files::create_directory(&path).map_err(StateError::io("create", &path))?;
        Ok(path)
    }

    /// Lets the journal that was built, and synced, count from now on; where the one before is then.
    pub(crate) fn adopt(&mut self, built: &Path) -> Result<Option<PathBuf>, StateError> {
        let generation = self.generation.unwrap_or(0) + 1;
        let path = self.of(generation);
        self.files
            .sync_directory(built)
            .and_then(|()| fs::rename(built, &path))
            .and_then(|()| self.files.sync_directory(&self.root))
            .map_err(StateError::io("rename the new journal to", &path))?;
        self.declare(generation)?;
        let before = self.generation.replace(generation);
        Ok(before.map(|before| self.of(before)))
    }

    /// Moves something out of the way, where nothing looks for it.
    pub(crate) fn set_aside(&self, path: &Path) -> io::Result<PathBuf> {
        let aside = self.root.join("aside");
        files::create_directory(&aside)?;
        let name = path.file_name().unwrap_or_default();
        let target = (0_u32..)
            .map(|number| match number {
                0 => aside.join(name),
                _ => files::added(&aside.join(name), &number.to_string()),
            })
            .find(|target| !target.exists())
            .unwrap_or_else(|| aside.join(name));
        fs::rename(path, &target)?;
        self.files.sync_directory(&aside)?;
        self.files.sync_directory(&self.root)?;
        Ok(target)
    }

    /// Whether damage was met since the copies were last compared whole.
    pub(crate) fn is_suspect(&self) -> bool {
        self.root.join(SUSPECT).exists()
    }

    pub(crate) fn clear_suspicion(&self) -> Result<(), StateError> {
        let path = self.root.join(SUSPECT);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(StateError::io("remove", path)(error))
            }
            _ => Ok(()),
        }
    }

    fn of(&self, generation: u64) -> PathBuf {
        self.root.join(format!("journal.{generation}"))
    }

    fn declare(&self, generation: u64) -> Result<(), StateError> {
        let path = self.root.join(HEAD);
        let head = Head {
            format: FORMAT.to_owned(),
            version: VERSION,
            generation,
        };
        line::seal(&head)
            .map_err(io::Error::from)
            .and_then(|(text, _)| files::replace(&*self.files, &path, &text))
            .map_err(StateError::io("write", path))
    }

    /// Which journal counts: what the head says, or where the head is lost the only one that there is.
    fn current(&self) -> Result<Option<u64>, StateError> {
        let path = self.root.join(HEAD);
        let text = match fs::read(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            // It names the journal that counts; without it, that is the only one that there is.
            Err(error) if files::is_unreadable(&error) => b"unreadable".to_vec(),
            text => text.map_err(StateError::io("read", &path))?,
        };
        let head = serde_json::from_slice::<Head>(&text).ok();
        if let Some(head) = head.as_ref().filter(|head| head.version > VERSION) {
            return Err(StateError::Newer {
                path: self.root.clone(),
                what: "it".to_owned(),
                found: head.version,
                known: VERSION,
            });
        }
        let headless = |why: &str, help| StateError::Headless {
            path: self.root.clone(),
            why: why.to_owned(),
            help,
        };
        let present = self.generations()?;
        if let Some(head) = head.filter(|head| head.format == FORMAT && line::check(&text).is_some()) {
            return if present.contains(&head.generation) {
                Ok(Some(head.generation))
            } else {
                Err(headless(
                    "the journal that lagan-state.json names is not there",
                    RESTORE,
                ))
            };
        }
        match present.as_slice() {
            [] if text.is_empty() => Ok(None),
            [] => Err(headless(
                "its lagan-state.json is damaged, and there is no journal",
                RESTORE,
            )),
            [only] => {
                self.declare(*only)?;
                Ok(Some(*only))
            }
            _ => Err(headless(
                "its lagan-state.json is damaged, and there are several journals",
                "restore lagan-state.json from a backup, or move the journals that do not count out of the directory: an only \
                 one counts",
            )),
        }
    }

    /// What is in it, and in the journal that counts, is the owner's alone: who copies a state directory may have opened it.
    fn close_to_others(&self) -> Result<(), StateError> {
        for folder in [Some(self.root.clone()), self.journal()].into_iter().flatten() {
            for name in names(&folder)? {
                let path = folder.join(name);
                files::close_to_others(&path).map_err(StateError::io("close to others", &path))?;
            }
        }
        Ok(())
    }

    /// Removes what was never finished, and sets aside what was replaced, and what is newer: nobody knows what is in it.
    fn tidy(&mut self) -> Result<(), StateError> {
        for generation in self.generations()? {
            let path = self.of(generation);
            let Some(current) = self.generation.filter(|current| *current != generation) else {
                continue;
            };
            let aside = self
                .set_aside(&path)
                .map_err(StateError::io("set aside", &path))?;
            if generation > current {
                self.newer.push(aside);
            }
        }
        for name in names(&self.root)? {
            if name.starts_with("journal.") && name.ends_with(BUILDING) {
                let path = self.root.join(name);
                fs::remove_dir_all(&path).map_err(StateError::io("remove the unfinished", &path))?;
            }
        }
        Ok(())
    }

    fn generations(&self) -> Result<Vec<u64>, StateError> {
        let names = names(&self.root)?;
        let numbers = names.iter().filter_map(|name| name.strip_prefix("journal."));
        let mut generations: Vec<u64> = numbers.filter_map(|number| number.parse().ok()).collect();
        generations.sort_unstable();
        Ok(generations)
    }
}

/// Leaves word for the next opening that something was found damaged. It may fail: the damage will be met again.
pub(crate) fn suspect(root: &Path) {
    let path = root.join(SUSPECT);
    drop(
        files::private()
            .create(true)
            .truncate(true)
            .write(true)
            .open(path),
    );
}

/// Whether what is beside a journal tells that there was one: room that only a journal keeps, or a run on record.
fn had_a_journal(root: &Path, names: &[String]) -> bool {
    let begun = |name: &String| name == AUDIT && tells_of_a_run(&root.join(AUDIT)).unwrap_or(false);
    names.iter().any(|name| name == BALLAST || begun(name))
}

fn tells_of_a_run(audit: &Path) -> io::Result<bool> {
    for file in fs::read_dir(audit)? {
        let text = fs::read(file?.path())?;
        if String::from_utf8_lossy(&text).contains("\"run_begins\"") {
            return Ok(true);
        }
    }
    Ok(false)
}

fn names(root: &Path) -> Result<Vec<String>, StateError> {
    let list = || -> io::Result<Vec<String>> {
        fs::read_dir(root)?
            .map(|file| Ok(file?.file_name().to_string_lossy().into_owned()))
            .collect()
    };
    list().map_err(StateError::io("list the state directory", root))
}
