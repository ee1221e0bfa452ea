//! Comparing the copies from the last checkpoint on, and settling what a crash left of the last write.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, Write as _};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;

use lagan_model::digest::Digest;
use lagan_model::journal::Effect;

use super::{Notice, Opened, Position, Verdict, open_store, quarantine};
use crate::copies::builder::MIRROR;
use crate::copies::checkpoint::Checkpoint;
use crate::copies::index::{Changes, End, Index};
use crate::copies::kv::KvError;
use crate::copies::mirror::{self, Items};
use crate::directory::Directory;
use crate::error::StateError;
use crate::files;
use crate::format::hash::Checksum;
use crate::format::line::{Line, LineError, VERSION};
use crate::options::Options;

const UNREADABLE: &str = "the disk cannot read the mirror any more";

/// The mirror from the checkpoint on.
struct Tail {
    /// Entries of whole groups, each following the one before it.
    entries: Vec<TailEntry>,
    /// Where the last whole group ends.
    end: u64,
    /// Bytes in the file.
    length: u64,
    /// Whether something sound stands behind something that is not.
    damaged_within: bool,
}

struct TailEntry {
    end: End,
    line: u64,
    effect: Effect,
    needs: Vec<Digest>,
}

fn read_tail(mirror: &Path, from: &Checkpoint) -> io::Result<Result<Tail, LineError>> {
    let mut items = Items::from(mirror, from.end)?;
    let mut tail = Tail {
        entries: Vec::new(),
        end: from.end,
        length: from.end,
        damaged_within: false,
    };
    let mut group = Vec::new();
    let mut last = from.at();
    let mut damaged = false;
    while let Some(item) = items.next()? {
        tail.length = item.end();
        let end = item.end();
        match item.read {
            Err(LineError::Newer(version)) => return Ok(Err(LineError::Newer(version))),
            Ok((Line::Content(..), _)) if !damaged => {}
            Ok((Line::Entry(entry), checksum))
                if !damaged && entry.sequence == last.sequence + 1 && entry.previous == last.checksum =>
            {
                last = End {
                    sequence: entry.sequence,
                    checksum,
                    commit: entry.commit,
                };
                group.push(TailEntry {
                    end: last,
                    line: item.offset,
                    effect: entry.effect,
                    needs: entry.needs,
                });
                if entry.more == 0 {
                    tail.entries.append(&mut group);
                    tail.end = end;
                }
            }
            other => {
                damaged = true;
                tail.damaged_within |= matches!(other, Ok((Line::Entry(_), _)));
            }
        }
    }
    Ok(Ok(tail))
}

/// Whether the checkpoint's last entry is where it says.
fn stands(mirror: &Path, checkpoint: &Checkpoint) -> io::Result<bool> {
    let Some(item) = Items::from(mirror, checkpoint.line)?.next()? else {
        return Ok(false);
    };
    Ok(item.end() == checkpoint.end
        && match item.read {
            Ok((Line::Entry(entry), checksum)) => {
                entry.sequence == checkpoint.sequence && checksum == checkpoint.checksum
            }
            _ => false,
        })
}

/// Why the copies cannot be used as they are.
enum Unusable {
    /// One of them is damaged, or they disagree: they have to be built anew.
    Damaged(String),
    /// Something else failed, and building them anew would not help.
    Failed(StateError),
}

impl Unusable {
    fn damaged(why: impl Into<String>) -> Self {
        Self::Damaged(why.into())
    }

    fn of_mirror(doing: &'static str, path: &Path) -> impl Fn(io::Error) -> Self {
        move |error| match files::is_unreadable(&error) {
            true => Self::damaged(UNREADABLE),
            false => Self::Failed(StateError::io(doing, path)(error)),
        }
    }

    fn of_store(error: KvError) -> Self {
        match error.is_of_the_machine() {
            true => Self::Failed(error.into()),
            false => Self::Damaged(format!("the store cannot be read: {error}")),
        }
    }
}

impl From<StateError> for Unusable {
    fn from(error: StateError) -> Self {
        Self::Failed(error)
    }
}

pub(super) fn compare(directory: &Directory, path: &Path, options: &Options) -> Result<Verdict, StateError> {
    match settled(directory, path, options) {
        Ok(opened) => Ok(Verdict::Agree(Box::new(opened))),
        Err(Unusable::Damaged(why)) => Ok(Verdict::Disagree(why)),
        Err(Unusable::Failed(error)) => Err(error),
    }
}

fn settled(directory: &Directory, path: &Path, options: &Options) -> Result<Opened, Unusable> {
    let mut notices = quarantine(directory, path)?;
    if directory.is_suspect() {
        return Err(Unusable::damaged("damage was met when it was used last"));
    }
    let mirror = path.join(MIRROR);
    let reading = Unusable::of_mirror("read", &mirror);
    let newer = |found| StateError::Newer {
        path: directory.root().into(),
        what: "a journal record".to_owned(),
        found,
        known: VERSION,
    };
    let (id, root, begin) = match mirror::header(&mirror) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Err(Unusable::damaged("the mirror is not there"));
        }
        header => match header.map_err(&reading)? {
            Ok(header) => header,
            Err(LineError::Newer(version)) => return Err(newer(version).into()),
            Err(LineError::Damaged(why)) => {
                return Err(Unusable::Damaged(format!("the mirror has no header: {why}")));
            }
        },
    };
    let start = End {
        sequence: 0,
        checksum: root,
        commit: 0,
    };
    let checkpoint = Checkpoint::read(path).map_err(StateError::io("read the checkpoint in", path))?;
    let has_checkpoint = checkpoint.is_some();
    let checkpoint = checkpoint.unwrap_or_else(|| Checkpoint::new(start, 0, begin, Vec::new()));
    if checkpoint.sequence > 0 && !stands(&mirror, &checkpoint).map_err(&reading)? {
        return Err(Unusable::damaged(
            "the mirror is not what it was at the last checkpoint",
        ));
    }
    let tail = match read_tail(&mirror, &checkpoint).map_err(&reading)? {
        Ok(tail) => tail,
        Err(LineError::Newer(version)) => return Err(newer(version).into()),
        Err(LineError::Damaged(why)) => return Err(Unusable::Damaged(why)),
    };
    if tail.damaged_within {
        return Err(Unusable::damaged("the mirror is damaged"));
    }
    let index = match open_store(path, options)? {
        Ok(kv) => Index::new(kv),
        Err(error) => return Err(Unusable::Damaged(format!("the store does not open: {error}"))),
    };
    let lag = lag(&index, &id, root, &checkpoint, &tail)
        .map_err(Unusable::of_store)?
        .map_err(Unusable::Damaged)?;

    // What the copies tell of each other fits: the tail of the mirror is taken as it is.
    let file = files::private()
        .read(true)
        .write(true)
        .open(&mirror)
        .map_err(StateError::io("open", &mirror))?;
    if tail.length > tail.end {
        take_back(directory, &file, &tail).map_err(Unusable::of_mirror("take back the end of", &mirror))?;
        notices.push(Notice::TakenBack {
            bytes: tail.length - tail.end,
        });
    }
    // What was written before a sync that failed looks written and may never reach the disk: it is written again.
    write_again(&file, checkpoint.end, tail.end).map_err(&reading)?;
    directory
        .files()
        .sync(&file, &mirror)
        .map_err(StateError::io("sync", &mirror))?;
    if lag > 0 {
        // Damage that is older than the checkpoint may be met only here.
        let changes = missing(&index, &mirror, &checkpoint, &tail, lag)
            .map_err(&reading)?
            .map_err(Unusable::of_store)?;
        index.apply(changes).map_err(Unusable::of_store)?;
        notices.push(Notice::Finished { records: lag });
    }
    index
        .kv()
        .sync(&**directory.files())
        .map_err(|error| match error.io() {
            // A disk that does not take what is written is not helped by writing more.
            Some(_) => Unusable::Failed(StateError::store("sync the journal's store", error)),
            None => Unusable::of_store(error),
        })?;

    let at = Position {
        end: tail.entries.last().map_or(checkpoint.at(), |entry| entry.end),
        line: tail.entries.last().map_or(checkpoint.line, |entry| entry.line),
        length: tail.end,
    };
    let open = open_after(&checkpoint, &tail.entries);
    if !tail.entries.is_empty() || !has_checkpoint {
        Checkpoint::new(at.end, at.line, at.length, open.iter().copied().collect())
            .write(&**directory.files(), path)
            .map_err(StateError::io("write a checkpoint in", path))?;
    }
    let mirror = files::private()
        .append(true)
        .open(&mirror)
        .map_err(StateError::io("open", &mirror))?;
    Ok(Opened {
        path: path.to_owned(),
        mirror,
        index: Arc::new(index),
        at,
        open,
        notices,
    })
}

fn open_after(checkpoint: &Checkpoint, entries: &[TailEntry]) -> BTreeSet<u64> {
    let mut open: BTreeSet<u64> = checkpoint.open.iter().copied().collect();
    for entry in entries {
        match entry.effect {
            Effect::None => {}
            Effect::Opens => {
                open.insert(entry.end.sequence);
            }
            Effect::Settles(other) => {
                open.remove(&other.0);
            }
        }
    }
    open
}

/// How many records the store lacks, all of them of the last write; or why the copies have to be built anew.
fn lag(
    index: &Index,
    id: &str,
    root: Checksum,
    checkpoint: &Checkpoint,
    tail: &Tail,
) -> Result<Result<u64, String>, KvError> {
    let disagree = |why: &str| Ok(Err(why.to_owned()));
    if index.header()? != Some((id.to_owned(), root)) {
        return disagree("the store is of another journal");
    }
    let end = index.end()?;
    let end = end.unwrap_or(End {
        sequence: 0,
        checksum: root,
        commit: 0,
    });
    let last = tail.entries.last().map_or(checkpoint.at(), |entry| entry.end);
    if end.sequence > last.sequence {
        return disagree("the mirror has lost records");
    }
    if end.sequence < checkpoint.sequence {
        return disagree("the store has lost records");
    }
    let common = (end.sequence - checkpoint.sequence) as usize;
    let (both, missing) = tail.entries.split_at(common);
    if both.last().map_or(checkpoint.at(), |entry| entry.end) != end {
        return disagree("the copies have different records");
    }
    let next = end.commit + 1;
    if missing.iter().any(|entry| entry.end.commit != next) {
        return disagree("the store has lost records");
    }
    if checkpoint.sequence > 0 && index.entry(checkpoint.sequence)?.is_none() {
        return disagree("the store has lost a record");
    }
    for entry in both {
        let found = index.entry(entry.end.sequence)?;
        if found.is_none_or(|(_, _, checksum)| checksum != entry.end.checksum) {
            return disagree("the store has lost a record");
        }
        for digest in &entry.needs {
            if index.content(digest)?.is_none() {
                return disagree("the store has lost a content");
            }
        }
    }
    if !index.open_entries()?.into_iter().eq(open_after(checkpoint, both)) {
        return disagree("the store has other records open");
    }
    Ok(Ok(missing.len() as u64))
}

/// What the store lacks.
fn missing(
    index: &Index,
    mirror: &Path,
    checkpoint: &Checkpoint,
    tail: &Tail,
    lag: u64,
) -> io::Result<Result<Changes, KvError>> {
    let last = tail.entries.last().map_or(0, |entry| entry.end.sequence);
    let first = last - lag + 1;
    let mut items = Items::from(mirror, checkpoint.end)?;
    let mut changes = Changes::default();
    while let Some(item) = items.next()? {
        match item.read {
            Ok((Line::Content(digest, packed), _)) => match index.has_content(&digest) {
                Ok(true) => {}
                Ok(false) => changes.content(&digest, &packed),
                Err(error) => return Ok(Err(error)),
            },
            Ok((Line::Entry(entry), checksum)) if entry.sequence >= first => {
                changes.entry(items.text(), &entry, checksum);
            }
            _ => {}
        }
    }
    Ok(Ok(changes))
}

/// Cuts the mirror behind the last whole group; what was there is kept aside.
fn take_back(directory: &Directory, file: &File, tail: &Tail) -> io::Result<()> {
    let path = directory.root().join("mirror.torn");
    let mut torn = vec![0; usize::try_from(tail.length - tail.end).unwrap_or(0)];
    file.read_exact_at(&mut torn, tail.end)?;
    let keep = || {
        let mut options = files::private();
        let mut kept = options.write(true).create(true).truncate(true).open(&path)?;
        kept.write_all(&torn)?;
        directory.set_aside(&path)
    };
    match keep() {
        // On a full disk there is no room for it, and it is only what nobody was told of.
        Err(error) if error.kind() == io::ErrorKind::StorageFull => {}
        kept => drop(kept?),
    }
    file.set_len(tail.end)
}

fn write_again(file: &File, from: u64, to: u64) -> io::Result<()> {
    let mut buffer = vec![0; 1 << 20];
    let mut at = from;
    while at < to {
        let length = usize::try_from((to - at).min(buffer.len() as u64)).unwrap_or(buffer.len());
        file.read_exact_at(&mut buffer[..length], at)?;
        file.write_all_at(&buffer[..length], at)?;
        at += length as u64;
    }
    Ok(())
}
