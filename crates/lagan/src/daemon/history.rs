//! What the last runs came to: a folder each, with the run and its report.

use std::collections::BTreeSet;
use std::fs;
use std::io::{self, Write as _};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use chrono::SecondsFormat;
use lagan_model::Time;
use lagan_policy::Mode;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use ulid::Ulid;

use super::begun::Begun;
use super::event::named_mode;
use super::newest::{Lasts, Newest, Written};
use super::work::{Done, Job};
use crate::exit::Exit;
use crate::metrics::Tally;
use crate::output::{Output, close_files, private_folder};

/// What a run does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Kind {
    Plan,
    Apply,
    Undo,
}

impl Kind {
    /// Its word in the history.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Plan => "plan",
            Self::Apply => "apply",
            Self::Undo => "undo",
        }
    }
}

/// How a run was cut short. What people cut short says nothing of its registry or its policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cut {
    /// Whoever asked for it went away before anything was changed.
    GivenUp,
    /// They went away while it deleted or put back.
    Stopped,
    /// The daemon was stopped before anything was changed.
    TurnedAway,
    /// It died with its process, and was found by the next.
    Died,
}

/// Who a run is by that nobody asked for.
pub(crate) const BY_SCHEDULE: &str = "schedule";

/// What is said of a run that died with its process.
const DIED: &str = "the daemon ended while it made this run: it was killed, or failed, or the machine did";

/// A name for a run that begins now; names are in the order of time.
pub(crate) fn new_id(now: Time) -> String {
    let milliseconds = u64::try_from(now.timestamp_millis()).unwrap_or(0);
    Ulid::from_parts(milliseconds, Ulid::new().random()).to_string()
}

/// What came of a run.
#[derive(Debug, Clone)]
pub(crate) struct Record {
    /// Its name in the history.
    pub(crate) id: String,
    /// What it was to do; an enforced policy whose deletions are held is a plan.
    pub(crate) kind: Kind,
    /// Who asked for it.
    pub(crate) by: String,
    /// The policy; for what was asked for, what that was called.
    pub(crate) policy: String,
    /// The policy that it is counted for; empty where it is about several, or about none.
    pub(crate) counted_for: String,
    /// The registry; empty where an undo finds it in the journal.
    pub(crate) registry: String,
    pub(crate) mode: Mode,
    pub(crate) began: Time,
    pub(crate) ended: Time,
    pub(crate) exit: Exit,
    /// What ended it, where that was an error.
    pub(crate) error: Option<String>,
    /// Why it deleted nothing, although its policy is enforced.
    pub(crate) held: Option<String>,
    /// How it was cut short, if it was.
    pub(crate) cut: Option<Cut>,
    /// What it came to, in numbers.
    pub(crate) tally: Tally,
}

impl Record {
    pub(super) fn new(job: &Job, done: Done, ended: Time) -> Self {
        let cut = match done {
            Done::GivenUp(_) => Some(Cut::GivenUp),
            Done::Stopped => Some(Cut::Stopped),
            Done::TurnedAway(_) => Some(Cut::TurnedAway),
            Done::Exit(..) | Done::Failed(_) | Done::InUse(_) => None,
        };
        let (exit, error, held) = match done {
            Done::Exit(exit, held) => (exit, None, held),
            Done::Stopped => (Exit::Partial, None, None),
            Done::Failed(failure)
            | Done::InUse(failure)
            | Done::GivenUp(failure)
            | Done::TurnedAway(failure) => (failure.exit, Some(failure.text()), None),
        };
        let kind = match &held {
            Some(_) => Kind::Plan,
            None => job.kind(),
        };
        Self {
            id: job.id.clone(),
            kind,
            by: job.by().to_owned(),
            policy: job.policy.clone(),
            counted_for: job.counted_for().to_owned(),
            registry: job.registry.clone(),
            mode: job.mode,
            began: job.began,
            ended,
            exit,
            error,
            held,
            cut,
            tally: job.observing.tally(),
        }
    }

    /// Of a run that died with its process, which is known by now.
    pub(super) fn died(begun: Begun, now: Time) -> Self {
        Self {
            id: begun.id,
            kind: begun.kind,
            by: begun.by,
            policy: begun.policy,
            counted_for: begun.counted_for,
            registry: begun.registry,
            mode: begun.mode,
            began: begun.began,
            ended: now,
            exit: Exit::Unexpected,
            error: Some(DIED.to_owned()),
            held: None,
            cut: Some(Cut::Died),
            tally: Tally::default(),
        }
    }

    /// In a word.
    pub(crate) fn outcome(&self) -> &'static str {
        match self.exit {
            _ if self.cut == Some(Cut::GivenUp) => "given up",
            _ if self.cut == Some(Cut::TurnedAway) => "turned away",
            Exit::Done if self.held.is_some() => "planned only",
            Exit::Done | Exit::Changes => "done",
            Exit::Unexpected | Exit::Usage => "failed",
            Exit::Refused => "refused by a limit",
            Exit::Partial => "partial",
        }
    }

    /// Whether it was made: not where it was cut short before anything was changed, or where somebody asked for what
    /// cannot be.
    pub(crate) fn was_made(&self) -> bool {
        let asked_for = self.by != BY_SCHEDULE;
        matches!(self.cut, None | Some(Cut::Stopped | Cut::Died)) && !(asked_for && self.exit == Exit::Usage)
    }

    /// Whether it says something of how its registry and its policy do.
    pub(crate) fn is_telling(&self) -> bool {
        self.was_made() && matches!(self.cut, None | Some(Cut::Died))
    }

    /// What it came to, in numbers; null where nobody counted to the end.
    pub(crate) fn counts(&self) -> Value {
        match self.cut {
            Some(Cut::Died) => Value::Null,
            _ => self.tally.to_json(),
        }
    }
}

impl Record {
    /// As the history has it.
    pub(crate) fn to_json(&self, report: bool) -> Value {
        let time = |time: Time| time.to_rfc3339_opts(SecondsFormat::Secs, true);
        json!({
            "schema": "lagan.daemon_run/v1",
            "id": self.id,
            "kind": self.kind.as_str(),
            "state": match self.cut {
                Some(Cut::Died) => "interrupted",
                _ => "ended",
            },
            "by": self.by,
            "policy": self.policy,
            "counted_for": self.counted_for,
            "registry": (!self.registry.is_empty()).then_some(&self.registry),
            "mode": named_mode(self.mode),
            "began": time(self.began),
            "ended": time(self.ended),
            "exit": self.exit as i32,
            "outcome": self.outcome(),
            "error": self.error,
            "held": self.held,
            "pass": self.tally.pass.as_ref().map(|pass| json!({
                "full_pass": time(pass.full),
                "full": pass.changed.is_none(),
            })),
            "counts": self.counts(),
            "report": report.then_some("report.json"),
        })
    }
}

/// What came of a run, in its folder.
pub(super) const ENDED: &str = "run.json";

/// The last runs.
#[derive(Debug)]
pub(super) struct History {
    folder: PathBuf,
    keep: usize,
    /// Those that are not over. A run may be older than all that are kept, where others have come and gone beside it.
    in_hand: BTreeSet<String>,
    /// The newest of each policy, which stay.
    newest: Newest,
}

/// The folder of the runs of a state directory.
pub(crate) fn folder(state: &Path) -> PathBuf {
    state.join("daemon/runs")
}

impl History {
    pub(super) fn open(folder: &Path, keep: usize) -> io::Result<Self> {
        let folder = folder.join("runs");
        private_folder(&folder)?;
        Ok(Self {
            folder,
            keep: keep.max(1),
            in_hand: BTreeSet::new(),
            newest: Newest::default(),
        })
    }

    /// These are the policies from now on, each with its registry.
    pub(super) fn configured<'p>(
        &mut self,
        policies: impl IntoIterator<Item = (&'p str, &'p str)>,
    ) -> io::Result<()> {
        if self.newest.configured(policies) {
            match self.names() {
                Ok(runs) => self.newest.read(&self.folder, &runs),
                Err(error) => {
                    // The next time it is read for all of them.
                    self.newest = Newest::default();
                    return Err(error);
                }
            }
        }
        Ok(())
    }

    /// The last run of a policy that is over.
    pub(super) fn last(&self, policy: &str) -> Option<&str> {
        self.newest.last(policy)
    }

    /// What metrics show of the last runs.
    pub(super) fn lasts(&self) -> impl Iterator<Item = Lasts<'_>> {
        self.newest.lasts()
    }

    /// Makes a folder for a run, which stays until what came of it is written, or it is forgotten.
    pub(super) fn folder(&mut self, id: &str) -> io::Result<PathBuf> {
        let folder = self.folder.join(id);
        fs::DirBuilder::new().mode(0o700).create(&folder)?;
        self.in_hand.insert(id.to_owned());
        Ok(folder)
    }

    /// Puts on record that a run has begun, of which the folder is there.
    pub(super) fn begin(&self, begun: &Begun) -> io::Result<()> {
        begun.write(&self.folder.join(&begun.id))
    }

    /// The runs that died with an earlier process, the oldest first. They stay until what came of them is kept.
    pub(super) fn died(&mut self) -> io::Result<Vec<Begun>> {
        let names = self.names()?.into_iter();
        let open = names.filter(|name| !self.folder.join(name).join(ENDED).exists());
        let died: Vec<_> = open
            .filter_map(|name| Begun::read(&self.folder.join(&name), &name))
            .collect();
        self.in_hand.extend(died.iter().map(|begun| begun.id.clone()));
        Ok(died)
    }

    /// All that there are, the oldest first.
    fn names(&self) -> io::Result<Vec<String>> {
        let mut names: Vec<_> = fs::read_dir(&self.folder)?
            .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
            .filter(|name| Ulid::from_string(name).is_ok())
            .collect();
        names.sort_unstable();
        Ok(names)
    }

    /// Removes the oldest that are too many.
    fn prune(&self, id: &str) -> io::Result<()> {
        let runs = self.names()?;
        let many = runs.len().saturating_sub(self.keep);
        let old = runs.iter().take(many);
        let newest = self.newest.all();
        let stays = |run: &String| run == id || self.in_hand.contains(run) || newest.contains(run.as_str());
        let old = old.filter(|old| !stays(old));
        // One that cannot be removed is in the way of no other.
        let removed = old.map(|old| fs::remove_dir_all(self.folder.join(old)));
        removed.fold(Ok(()), Result::and)
    }

    /// Removes a run that did not come about.
    pub(super) fn forget(&mut self, id: &str) {
        self.in_hand.remove(id);
        let folder = self.folder.join(id);
        // Where the rest stays, it is nothing that died, and one of those that go first.
        Begun::remove(&folder);
        _ = fs::remove_dir_all(folder);
    }

    /// Writes what came of a run beside its report, and removes the oldest runs that are too many. It is told of by the
    /// caller in any case, and so does not count as one that died where this fails.
    pub(super) fn keep(&mut self, record: &Record) -> io::Result<()> {
        self.in_hand.remove(&record.id);
        let folder = self.folder.join(&record.id);
        let written = write(record, &folder);
        Begun::remove(&folder);
        if let Some(run) = Written::parse(&written?) {
            self.newest.note(run);
        }
        // Reports are written as everywhere, and are here for their owner.
        let closed = close_files(&folder);
        self.prune(&record.id).and(closed)
    }
}

fn write(record: &Record, folder: &Path) -> io::Result<Vec<u8>> {
    let report = folder.join("report.json").is_file();
    let text = serde_json::to_vec_pretty(&record.to_json(report))?;
    let mut out = Output::private(&folder.join(ENDED))?;
    out.write_all(&text)?;
    out.finish()?;
    Ok(text)
}
