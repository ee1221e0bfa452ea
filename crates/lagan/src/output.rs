//! Where reports go.

use std::fs::{self, DirBuilder, File, Permissions};
use std::io::{self, BufWriter, IsTerminal as _, Read, Seek as _, SeekFrom, Write};
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use lagan_config::Notice;
use tempfile::{NamedTempFile, SpooledTempFile};

use crate::cli::Colour;
use crate::exit::{Exit, Failure};

/// The part of a report that waits for its head: in memory while it is small, in an unnamed file beyond.
///
/// A report is written in pieces of a few bytes, each of which would be a call of the system once there is a file.
pub(crate) struct Spool(BufWriter<SpooledTempFile>);

const SPOOL_IN_MEMORY: usize = 256 * 1024;

impl Spool {
    pub(crate) fn new() -> Self {
        Self(BufWriter::new(SpooledTempFile::new(SPOOL_IN_MEMORY)))
    }

    /// Copies all that was written to `out`.
    pub(crate) fn copy_to(mut self, out: &mut dyn Write) -> io::Result<()> {
        // Writes what is still buffered.
        self.0.seek(SeekFrom::Start(0))?;
        let spooled = self.0.get_mut();
        let mut buffer = vec![0; 64 * 1024];
        loop {
            let read = spooled.read(&mut buffer)?;
            if read == 0 {
                return Ok(());
            }
            out.write_all(&buffer[..read])?;
        }
    }
}

impl Write for Spool {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

/// Standard output, or a file that appears when it is whole.
pub(crate) enum Output {
    Stdout(BufWriter<io::Stdout>),
    File {
        writer: BufWriter<NamedTempFile>,
        path: PathBuf,
    },
    /// A pipe or a device, which has a name of its own that must not be taken from it.
    Stream(BufWriter<File>),
}

impl Output {
    pub(crate) fn stdout() -> Self {
        Self::Stdout(BufWriter::new(io::stdout()))
    }

    /// Standard output, or the file at `path`.
    pub(crate) fn open(path: Option<&Path>) -> Result<Self, Failure> {
        let Some(path) = path else {
            return Ok(Self::stdout());
        };
        Self::file(path).map_err(|error| {
            let context = format!("failed to open {} for the report", path.display());
            Failure::new(Exit::Usage, anyhow::Error::new(error).context(context))
        })
    }

    /// A file at `path` that appears when it is whole. A pipe or a device can hold no such thing.
    pub(crate) fn whole_file(path: &Path) -> Result<Self, Failure> {
        let context = || format!("failed to open {} for the plan", path.display());
        match Self::file(path) {
            Ok(file @ Self::File { .. }) => Ok(file),
            Ok(_) => Err(Failure::usage(format!("{}: it is no regular file", context()))),
            Err(error) => Err(Failure::new(
                Exit::Usage,
                anyhow::Error::new(error).context(context()),
            )),
        }
    }

    /// The file at `path`, or the pipe or device of that name.
    pub(crate) fn file(path: &Path) -> io::Result<Self> {
        // A report is no secret: as readable as any file that this user makes, the umask taken away.
        Self::with_mode(path, 0o666)
    }

    /// A file of the state directory: its owner's alone, as everything there.
    pub(crate) fn private(path: &Path) -> io::Result<Self> {
        Self::with_mode(path, 0o600)
    }

    fn with_mode(path: &Path, mode: u32) -> io::Result<Self> {
        // A link stays one: what it leads to is replaced.
        let path = path.canonicalize().unwrap_or_else(|_| path.to_owned());
        match path.metadata() {
            Ok(there) if there.is_dir() => return Err(io::ErrorKind::IsADirectory.into()),
            Ok(there) if !there.is_file() => {
                return Ok(Self::Stream(BufWriter::new(
                    File::options().write(true).open(path)?,
                )));
            }
            _ => {}
        }
        let mut file = tempfile::Builder::new();
        file.permissions(Permissions::from_mode(mode));
        let writer = BufWriter::new(file.tempfile_in(folder_of(&path))?);
        Ok(Self::File { writer, path })
    }

    /// Makes sure that all is written, and lets a file appear under its name.
    pub(crate) fn finish(self) -> io::Result<()> {
        match self {
            Self::Stdout(mut writer) => writer.flush(),
            Self::Stream(mut writer) => writer.flush(),
            Self::File { writer, path } => {
                let file = writer.into_inner().map_err(io::IntoInnerError::into_error)?;
                file.as_file().sync_all()?;
                let folder = folder_of(&path).to_owned();
                let kept: File = file.persist(path).map_err(|error| error.error)?;
                drop(kept);
                // The name is part of the folder. Where a folder cannot be opened, the name may be late on disk, but
                // the file under it is whole.
                match File::open(folder) {
                    Ok(folder) => folder.sync_all(),
                    Err(_) => Ok(()),
                }
            }
        }
    }
}

/// Makes sure that there is a folder, and that only its owner may enter it.
pub(crate) fn private_folder(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(path)?;
    close(path, 0o700)
}

/// Takes from others what they may do with what is in a folder.
pub(crate) fn close_files(folder: &Path) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_type()?.is_file() {
            close(&entry.path(), 0o600)?;
        }
    }
    Ok(())
}

fn close(path: &Path, mode: u32) -> io::Result<()> {
    match fs::metadata(path)?.permissions().mode() & 0o077 {
        0 => Ok(()),
        _ => fs::set_permissions(path, Permissions::from_mode(mode)),
    }
}

fn folder_of(path: &Path) -> &Path {
    path.parent()
        .filter(|folder| !folder.as_os_str().is_empty())
        .unwrap_or(Path::new("."))
}

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Stdout(writer) => writer.write(bytes),
            Self::Stream(writer) => writer.write(bytes),
            Self::File { writer, .. } => writer.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Stdout(writer) => writer.flush(),
            Self::Stream(writer) => writer.flush(),
            Self::File { writer, .. } => writer.flush(),
        }
    }
}

/// Writes notices to stderr, one a line. They escape what they show.
pub(crate) fn print_notices(notices: &[Notice]) {
    let text: String = notices.iter().map(|notice| format!("{notice}\n")).collect();
    // Nobody is left to be told if this fails.
    _ = io::stderr().write_all(text.as_bytes());
}

/// Whether text that goes to `path`, or else to stdout, is coloured.
pub(crate) fn is_coloured(colour: Colour, path: Option<&Path>) -> bool {
    match colour {
        Colour::Always => true,
        Colour::Never => false,
        Colour::Auto => {
            let refused = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty())
                || std::env::var_os("TERM").is_some_and(|term| term == "dumb");
            path.is_none() && !refused && io::stdout().is_terminal()
        }
    }
}
