//! The state directory: where it is, and opening the journal in it.

mod past;
mod shared;

use std::error::Error;
use std::ffi::OsString;
use std::fmt;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use lagan_model::journal::JournalError;
use lagan_report::sanitize::harmless;
use lagan_state::{DiskJournal, Memory, Notice, Options, StateError};

pub(crate) use self::past::Past;
pub(crate) use self::shared::Shared;
use crate::exit::{Exit, Failure};

/// Where the state directory is: as the command line or its variable says, else as the configuration says, else where
/// state of this user belongs. Whether it exists is not looked at.
pub(crate) fn directory(named: Option<&Path>, configured: Option<&Path>) -> Result<PathBuf, Failure> {
    usual(named, configured).ok_or_else(|| {
        Failure::usage("no state directory is given, and this user has no home directory")
            .with_hint("give --state-dir DIRECTORY, or `state_dir` in the configuration")
    })
}

fn usual(named: Option<&Path>, configured: Option<&Path>) -> Option<PathBuf> {
    match named.or(configured) {
        Some(path) => Some(path.to_owned()),
        None => of_user(std::env::var_os("XDG_STATE_HOME"), std::env::home_dir()),
    }
}

/// The base directory specification has relative paths ignored, and the usual place below the home in their stead.
fn of_user(state_home: Option<OsString>, home: Option<PathBuf>) -> Option<PathBuf> {
    let absolute = |path: &PathBuf| path.is_absolute();
    let base = state_home.map(PathBuf::from).filter(absolute).or_else(|| {
        let home = home.filter(absolute)?;
        Some(home.join(".local/state"))
    })?;
    Some(base.join("lagan"))
}

/// Whether there is a state directory, and not only a folder for one.
pub(crate) fn is_there(directory: &Path) -> bool {
    directory.join("lagan-state.json").exists()
}

/// Opens the journal of a state directory that is there, and tells on stderr what that found.
pub(crate) fn open(directory: &Path) -> Result<Shared, Failure> {
    shared(directory, DiskJournal::open)
}

/// The same, and creates the directory where there is none.
pub(crate) fn create(directory: &Path) -> Result<Shared, Failure> {
    shared(directory, DiskJournal::create)
}

/// [`open`] for whoever shares a thread: a journal that is compared, or built anew, takes its time.
pub(crate) async fn opened(directory: &Path) -> Result<Shared, Failure> {
    let directory = directory.to_owned();
    apart(move || open(&directory)).await
}

/// [`create`], likewise.
pub(crate) async fn created(directory: &Path) -> Result<Shared, Failure> {
    let directory = directory.to_owned();
    apart(move || create(&directory)).await
}

/// What is kept beside a journal, likewise.
pub(crate) async fn beside(journal: Shared) -> Result<Arc<Memory>, Failure> {
    apart(move || Ok(journal.memory()?)).await
}

/// Whether a journal that is open here failed to write, and takes nothing before everybody has closed it.
pub(crate) fn has_failed(directory: &Path) -> bool {
    Shared::has_failed(directory)
}

/// Waits for the disk on another thread, and leaves this one to others meanwhile.
pub(crate) async fn apart<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Failure> + Send + 'static,
) -> Result<T, Failure> {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(error) => Err(Failure::new(Exit::Unexpected, error)),
    }
}

/// [`open`] on a disk that is slow: something is done meanwhile.
#[cfg(test)]
pub(crate) fn open_slowly(directory: &Path, meanwhile: impl FnOnce()) -> Result<Shared, Failure> {
    shared(directory, |directory, options| {
        meanwhile();
        DiskJournal::open(directory, options)
    })
}

/// [`create`] on a disk on which there is too little room for anything new, as long as somebody has it open.
#[cfg(test)]
pub(crate) fn create_full(directory: &Path) -> Result<Shared, Failure> {
    shared(directory, |directory, options| {
        let full = Options {
            reserve: u64::MAX,
            ..options.clone()
        };
        DiskJournal::create(directory, &full)
    })
}

fn shared(
    directory: &Path,
    open: impl FnOnce(&Path, &Options) -> Result<DiskJournal, StateError>,
) -> Result<Shared, Failure> {
    let opened = Shared::of(directory, || open(directory, &Options::default()));
    let (journal, is_new) = opened.map_err(not_begun)?;
    if is_new.0 {
        print_notices(journal.notices());
    }
    Ok(journal)
}

/// What fails before anything was done: where there is no room for it, that is refused.
pub(crate) fn not_begun(error: StateError) -> Failure {
    let is_full = error.is_full();
    let mut failure = Failure::from(error);
    if is_full {
        failure.exit = Exit::Refused;
    }
    failure
}

/// Whether something failed because another process works with the state directory.
pub(crate) fn is_in_use(failure: &Failure) -> bool {
    error(failure).is_some_and(|error| matches!(error, StateError::InUse { .. }))
}

/// What the state directory failed with, where something failed for that.
pub(crate) fn error(failure: &Failure) -> Option<&StateError> {
    failure.cause::<FailedTo>().map(|FailedTo(error)| error)
}

/// Writes a notice to stderr.
pub(crate) fn say(notice: &str) {
    // Nobody is left to be told if this fails.
    _ = writeln!(io::stderr(), "notice: {}", harmless(notice));
}

/// Writes what opening found to stderr, one a line.
pub(crate) fn print_notices(notices: &[Notice]) {
    notices.iter().for_each(|notice| say(&notice.to_string()));
}

impl From<StateError> for Failure {
    fn from(error: StateError) -> Self {
        let exit = match &error {
            // Nothing was begun, and what was asked for has to be asked otherwise.
            StateError::Absent { .. }
            | StateError::Foreign { .. }
            | StateError::Headless { .. }
            | StateError::NewerExport { .. }
            | StateError::Exposed { .. }
            | StateError::InUse { .. }
            | StateError::Newer { .. }
            | StateError::Import { .. }
            | StateError::UnknownRun { .. } => Exit::Usage,
            error if error.is_forbidden() => Exit::Usage,
            StateError::Journal(JournalError::NoSpace { .. }) => Exit::Refused,
            StateError::Lost { .. }
            | StateError::Io { .. }
            | StateError::Store { .. }
            | StateError::Journal(_) => Exit::Unexpected,
        };
        let hint = error.hint();
        let failure = Self::new(exit, FailedTo(error));
        match hint {
            Some(hint) => failure.with_hint(hint),
            None => failure,
        }
    }
}

/// Errors of that crate are what completes "failed to".
#[derive(Debug)]
struct FailedTo(StateError);

impl fmt::Display for FailedTo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "failed to {}", self.0)
    }
}

impl Error for FailedTo {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.0.source()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn state_of_a_user_is_where_the_base_directory_specification_has_it() {
        let home = || Some(PathBuf::from("/home/u"));
        for (state_home, home, expected) in [
            (Some("/var/state"), home(), Some("/var/state/lagan")),
            (Some("relative"), home(), Some("/home/u/.local/state/lagan")),
            (Some(""), home(), Some("/home/u/.local/state/lagan")),
            (None, home(), Some("/home/u/.local/state/lagan")),
            (None, None, None),
            (None, Some(PathBuf::from("")), None),
        ] {
            let found = of_user(state_home.map(OsString::from), home);
            assert_eq!(found, expected.map(PathBuf::from), "{state_home:?}");
        }
    }
}
