//! The one thread that writes: groups that wait while another write becomes durable become durable together.
//!
//! A write goes to the mirror, is synced, goes to the store, is synced, and only then is anybody told. After a
//! failure nothing is tried again: a second sync after one that failed would say that all is well, and it need not be.

use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;
use std::fs::File;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Instant;

use lagan_model::digest::Digest;
use lagan_model::journal::{Effect, Group, JournalError, Sequence};

use crate::copies::builder::MIRROR;
use crate::copies::checkpoint::Checkpoint;
use crate::copies::index::{Changes, End, Index};
use crate::copies::kv::KvError;
use crate::directory;
use crate::error::is_damage;
use crate::files::{self, Files};
use crate::format::line::{self, EntryLine, MAX_CONTENT};
use crate::format::pack::pack;
use crate::gathering::{Answer, Ends, Gathering, Pace, Waiting};
use crate::opening::{Opened, Position};
use crate::options::Options;
use crate::space;
use crate::watched::Watched;

/// The store is measured again when so many bytes were written.
const MEASURED_EVERY: u64 = 1 << 20;

/// A handle on the thread; the thread ends with it.
#[derive(Debug)]
pub(crate) struct Writer {
    gathering: Arc<Gathering>,
    thread: Option<JoinHandle<Result<(), JournalError>>>,
}

impl Writer {
    pub(crate) fn start(
        opened: Opened,
        root: PathBuf,
        files: Arc<dyn Files>,
        options: &Options,
        watched: Arc<Watched>,
    ) -> std::io::Result<Self> {
        let gathering = Arc::new(Gathering::default());
        let work = Work {
            gathering: Arc::clone(&gathering),
            root,
            path: opened.path,
            mirror: opened.mirror,
            index: opened.index,
            files,
            at: opened.at,
            open: opened.open,
            since_checkpoint: 0,
            measured: None,
            options: options.clone(),
            watched,
        };
        let thread = thread::Builder::new()
            .name("lagan-journal".to_owned())
            .spawn(move || work.run())?;
        Ok(Self {
            gathering,
            thread: Some(thread),
        })
    }

    /// Appends a group; `reply` is called from the thread.
    pub(crate) fn append(&self, group: Group, reply: impl FnOnce(Answer) + Send + 'static) {
        self.gathering.push(group, Box::new(reply));
    }

    /// Ends the thread when all is written.
    pub(crate) fn close(&mut self) -> Result<(), JournalError> {
        self.gathering.close();
        match self.thread.take().map(JoinHandle::join) {
            Some(Ok(result)) => result,
            Some(Err(_)) => Err(JournalError::Stopped),
            None => Ok(()),
        }
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        // Whoever wants to know calls `close`; without a checkpoint the next opening compares more.
        drop(self.close());
    }
}

struct Work {
    gathering: Arc<Gathering>,
    root: PathBuf,
    path: PathBuf,
    mirror: File,
    index: Arc<Index>,
    files: Arc<dyn Files>,
    at: Position,
    open: BTreeSet<u64>,
    since_checkpoint: u64,
    /// How long the mirror was when the store was measured, and how large that was.
    measured: Option<(u64, u64)>,
    options: Options,
    watched: Arc<Watched>,
}

/// What a write consists of, before it is written.
struct Write {
    lines: Vec<u8>,
    changes: Changes,
    at: Position,
    effects: Effects,
    contents: BTreeSet<Digest>,
    records: u64,
}

/// What a write does to the set of open entries.
#[derive(Default)]
struct Effects {
    opened: BTreeSet<u64>,
    settled: BTreeSet<u64>,
}

impl Effects {
    fn has_opened(&self, number: u64) -> bool {
        self.opened.contains(&number)
    }

    fn has_settled(&self, number: u64) -> bool {
        self.settled.contains(&number)
    }

    fn append(&mut self, mut later: Self) {
        self.opened.append(&mut later.opened);
        self.settled.append(&mut later.settled);
    }
}

impl Work {
    fn run(mut self) -> Result<(), JournalError> {
        let gathering = Arc::clone(&self.gathering);
        let _ends = Ends(&gathering);
        let mut pace = Pace::new();
        while let Some(waiting) = gathering.next(&mut pace, self.open.len()) {
            self.serve(waiting);
        }
        if self.watched.failure().is_some() || self.since_checkpoint == 0 {
            return Ok(());
        }
        self.checkpoint()
    }

    fn serve(&mut self, waiting: Vec<Waiting>) {
        let mut write = Write {
            lines: Vec::new(),
            changes: Changes::default(),
            at: self.at,
            effects: Effects::default(),
            contents: BTreeSet::new(),
            records: 0,
        };
        let mut replies = Vec::new();
        let commit = self.at.end.commit + 1;
        let room = self.room();
        for (group, reply) in waiting {
            let prepared = match (self.watched.failure(), &room) {
                (Some(error), _) => Err(copy_of(error)),
                (None, Err(error)) if group.needs_room => Err(copy_of(error)),
                _ => self.prepare(&mut write, group, commit),
            };
            match prepared {
                Ok(first) => replies.push((reply, first)),
                Err(error) => {
                    if matches!(error, JournalError::Store { .. }) {
                        self.stop(&error);
                    }
                    reply(Err(error));
                }
            }
        }
        if replies.is_empty() {
            return;
        }
        let records = write.records;
        match self.write(write) {
            Ok(()) => {
                self.since_checkpoint += records;
                for (reply, first) in replies {
                    reply(Ok(first));
                }
            }
            Err(error) => {
                self.stop(&error);
                for (reply, _) in replies {
                    reply(Err(copy_of(&error)));
                }
                return;
            }
        }
        if self.since_checkpoint >= self.options.checkpoint_every
            && let Err(error) = self.checkpoint()
        {
            // What was told is durable; but a disk on which this fails is not one to go on with.
            self.stop(&error);
        }
    }

    /// Takes nothing any more. It is known before anybody is told of what failed; and damage, by the next opening.
    fn stop(&mut self, error: &JournalError) {
        if let JournalError::Store { source, .. } = error
            && is_damage(&**source)
        {
            directory::suspect(&self.root);
        }
        self.watched.failed(copy_of(error));
    }

    fn room(&mut self) -> Result<(), JournalError> {
        let length = self.at.length;
        let known = self.measured.filter(|(then, _)| length - then < MEASURED_EVERY);
        let (_, size) = *self
            .measured
            .insert(known.unwrap_or_else(|| (length, self.index.kv().size())));
        let needed = space::needed(self.options.reserve, length + size);
        space::guard(&*self.files, &self.root, needed)
    }

    /// Makes a group part of a write; an error leaves the write as it was.
    fn prepare(&self, write: &mut Write, group: Group, commit: u64) -> Result<Sequence, JournalError> {
        let refused = |why: String| JournalError::Refused { why };
        let Some(most) = (group.entries.len() as u64).checked_sub(1) else {
            return Err(refused("a group has no record".to_owned()));
        };
        let mut effects = Effects::default();
        let mut end = write.at.end;
        let mut lines = Vec::new();
        let mut line = 0;
        let mut changes = Vec::new();
        let mut contents: BTreeMap<Digest, Vec<u8>> = BTreeMap::new();
        let mut needs: Vec<Digest> = Vec::new();
        for (digest, bytes) in group.contents {
            if bytes.len() > MAX_CONTENT {
                return Err(refused(format!("{digest} is larger than {MAX_CONTENT} bytes")));
            }
            if digest.verifies(&bytes) != Some(true) {
                return Err(refused(format!(
                    "what is to be kept as {digest} does not hash to it"
                )));
            }
            let known = write.contents.contains(&digest) || contents.contains_key(&digest);
            if !known
                && !self
                    .index
                    .has_content(&digest)
                    .map_err(store("look up a content"))?
            {
                let packed = pack(&bytes);
                lines.extend(line::content(&digest, &packed).map_err(store("write a content"))?);
                lines.push(b'\n');
                contents.insert(digest.clone(), packed);
            }
            if !needs.contains(&digest) {
                needs.push(digest);
            }
        }
        let mut told = BTreeSet::new();
        for (offset, entry) in (0..).zip(group.entries) {
            if entry.body.len() > MAX_CONTENT {
                return Err(refused(format!("a record is larger than {MAX_CONTENT} bytes")));
            }
            let entry = EntryLine {
                sequence: end.sequence + 1,
                previous: end.checksum,
                run: entry.run,
                effect: entry.effect,
                commit,
                more: most - offset,
                // Each run's first entry tells what it needs, so that a run can be exported by itself.
                needs: if told.insert(entry.run) {
                    needs.clone()
                } else {
                    Vec::new()
                },
                body: entry.body,
            };
            match entry.effect {
                Effect::None => {}
                Effect::Opens => {
                    effects.opened.insert(entry.sequence);
                }
                Effect::Settles(Sequence(other)) => {
                    let opened = self.open.contains(&other)
                        || write.effects.has_opened(other)
                        || effects.has_opened(other);
                    let settled = write.effects.has_settled(other) || effects.has_settled(other);
                    if !opened || settled {
                        return Err(refused(format!(
                            "record {other} is not open, and cannot be settled"
                        )));
                    }
                    effects.settled.insert(other);
                }
            }
            let (text, checksum) = line::entry(&entry).map_err(store("write a record"))?;
            line = write.at.length + lines.len() as u64;
            lines.extend_from_slice(&text);
            lines.push(b'\n');
            end = End {
                sequence: entry.sequence,
                checksum,
                commit,
            };
            changes.push((text, entry, checksum));
        }
        let first = Sequence(write.at.end.sequence + 1);
        for (digest, packed) in contents {
            write.changes.content(&digest, &packed);
            write.contents.insert(digest);
        }
        for (text, entry, checksum) in &changes {
            write.changes.entry(text, entry, *checksum);
        }
        write.at = Position {
            end,
            line,
            length: write.at.length + lines.len() as u64,
        };
        write.effects.append(effects);
        write.lines.append(&mut lines);
        write.records += changes.len() as u64;
        Ok(first)
    }

    fn write(&mut self, write: Write) -> Result<(), JournalError> {
        let path = self.path.join(MIRROR);
        self.files
            .append(&self.mirror, &write.lines)
            .map_err(store(format!("write {}", path.display())))?;
        let began = Instant::now();
        self.files
            .sync(&self.mirror, &path)
            .map_err(store(format!("sync {}", path.display())))?;
        self.watched.synced(began.elapsed());
        self.index
            .apply(write.changes)
            .map_err(store("write to the journal's store"))?;
        let began = Instant::now();
        self.index
            .kv()
            .sync(&*self.files)
            .map_err(KvError::of_writing)
            .map_err(store("sync the journal's store"))?;
        self.watched.synced(began.elapsed());
        self.at = write.at;
        self.open.extend(write.effects.opened);
        for number in &write.effects.settled {
            self.open.remove(number);
        }
        Ok(())
    }

    fn checkpoint(&mut self) -> Result<(), JournalError> {
        let open = self.open.iter().copied().collect();
        Checkpoint::new(self.at.end, self.at.line, self.at.length, open)
            .write(&*self.files, &self.path)
            .map_err(store(format!("write a checkpoint in {}", self.path.display())))?;
        self.since_checkpoint = 0;
        Ok(())
    }
}

fn store<E: Into<Box<dyn Error + Send + Sync>>>(doing: impl Into<String>) -> impl FnOnce(E) -> JournalError {
    let doing = doing.into();
    move |error| JournalError::Store {
        doing,
        source: error.into(),
    }
}

/// The same error for each of those that waited for a write.
pub(crate) fn copy_of(error: &JournalError) -> JournalError {
    match error {
        JournalError::Store { doing, source } => JournalError::Store {
            doing: doing.clone(),
            source: copy_of_source(&**source),
        },
        JournalError::NoSpace { free, needed } => JournalError::NoSpace {
            free: *free,
            needed: *needed,
        },
        JournalError::Record { sequence, why } => JournalError::Record {
            sequence: *sequence,
            why: why.clone(),
        },
        JournalError::Refused { why } => JournalError::Refused { why: why.clone() },
        JournalError::Stopped => JournalError::Stopped,
    }
}

/// What is looked for in an error is there in its copy as well.
fn copy_of_source(source: &(dyn Error + Send + Sync + 'static)) -> Box<dyn Error + Send + Sync> {
    let of_the_store = source.downcast_ref::<KvError>().map(|error| error.copy().into());
    let of_the_system = || Some(files::copy_of(source.downcast_ref()?).into());
    let other = || source.to_string().into();
    of_the_store.or_else(of_the_system).unwrap_or_else(other)
}
