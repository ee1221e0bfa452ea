//! What is asked of a daemon beside its schedules. An order becomes a run of the history, as a policy that is due does.

use std::path::PathBuf;
use std::sync::Arc;

use lagan_config::Config;
use lagan_model::Time;
use lagan_policy::Mode;
use tokio::sync::OwnedSemaphorePermit;
use tokio::sync::mpsc::Sender;

use super::board::RunNote;
use super::history::{Kind, Record};
use crate::cli::{Format, UndoArgs};
use crate::exit::{Exit, Failure};

/// How many orders wait at the most, for one that is under way.
pub(crate) const MOST: usize = 8;

/// Something that was asked for.
#[derive(Debug, Clone)]
pub(crate) struct Order {
    /// The run that it becomes.
    pub(crate) id: String,
    /// Who asks, as the history names them.
    pub(crate) by: String,
    /// When it was asked.
    pub(crate) at: Time,
    pub(crate) what: Asked,
    /// The registry of the configuration that it is about; nothing of an undo, whose journal knows.
    pub(crate) registry: String,
    /// The policies that make candidates.
    pub(crate) policies: Vec<String>,
    /// A form of the report besides JSON and HTML.
    pub(crate) form: Option<Format>,
    /// Who is told how it goes.
    pub(crate) tell: Sender<Told>,
    /// Whether it goes on when nobody listens any more.
    pub(crate) detached: bool,
    /// The hash of the configuration that whoever asks goes by.
    pub(crate) configuration: Option<String>,
    /// What it holds as long as it waits: there are not more of them than [`MOST`].
    pub(crate) place: Option<Arc<OwnedSemaphorePermit>>,
}

/// Whether a configuration is the one that somebody goes by, as its hash says: what they asked for means something else in
/// another one.
pub(crate) fn obeys(config: &Config, named: &str) -> Result<(), Failure> {
    if config.text.encoded() == named {
        return Ok(());
    }
    let what = "the daemon that has the state directory goes by another configuration: nothing deleted";
    let failure = Failure::new(Exit::Refused, anyhow::Error::msg(what));
    Err(failure.with_hint(
        "give its configuration with --config; a file that was changed counts once the daemon has taken it",
    ))
}

/// What was asked for.
#[derive(Debug, Clone)]
pub(crate) enum Asked {
    /// A plan.
    Plan(Wanted),
    /// Carrying out what the policies that are enforced say now, in the repositories that one of these globs matches.
    Apply(Vec<String>),
    /// Carrying out a plan that was saved.
    Saved(PathBuf),
    /// Putting back what was deleted, on the registry that the arguments name, so that it waits for no other.
    Undo(Box<UndoArgs>),
}

/// A plan that was asked for.
#[derive(Debug, Clone, Default)]
pub(crate) struct Wanted {
    /// Only repositories that one of these globs matches.
    pub(crate) repositories: Vec<String>,
    /// Whether it is kept whole, so that it can be carried out.
    pub(crate) save: bool,
    /// Whether the tags that stay are reported.
    pub(crate) all: bool,
    /// Whether what would be freed is counted.
    pub(crate) bytes: bool,
}

/// What whoever asked is told.
#[derive(Debug, Clone)]
pub(crate) enum Told {
    /// It waits, and for what.
    Waits(String),
    /// It has begun.
    Began,
    /// It is over.
    Ended(Box<Record>),
}

impl Order {
    /// Tells whoever asked. Nobody has to listen.
    pub(super) fn tell(&self, told: Told) {
        _ = self.tell.try_send(told);
    }

    /// Whether nobody would hear of it.
    pub(super) fn is_given_up(&self) -> bool {
        !self.detached && self.tell.is_closed()
    }

    /// What it is called where a policy would stand.
    pub(super) fn name(&self) -> String {
        match &self.what {
            Asked::Undo(arguments) => {
                let of = arguments.target.clone().or_else(|| {
                    let repository = arguments.repository.as_ref();
                    repository.map(ToString::to_string)
                });
                format!("undo of {}", of.as_deref().unwrap_or("what was deleted"))
            }
            _ if self.policies.is_empty() => format!("all policies of {}", self.registry),
            _ => self.policies.join(", "),
        }
    }

    /// The policy that it is about, where it is one.
    pub(super) fn policy(&self) -> &str {
        match &self.policies[..] {
            [policy] if !matches!(self.what, Asked::Saved(_)) => policy,
            _ => "",
        }
    }

    pub(super) fn is_undo(&self) -> bool {
        matches!(self.what, Asked::Undo(_))
    }

    pub(super) fn mode(&self) -> Mode {
        match &self.what {
            Asked::Plan(_) => Mode::DryRun,
            Asked::Apply(_) | Asked::Saved(_) | Asked::Undo(_) => Mode::Enforce,
        }
    }

    pub(super) fn kind(&self) -> Kind {
        match &self.what {
            Asked::Plan(_) => Kind::Plan,
            Asked::Apply(_) | Asked::Saved(_) => Kind::Apply,
            Asked::Undo(_) => Kind::Undo,
        }
    }

    /// As it is shown while it waits.
    pub(super) fn note(&self) -> RunNote {
        RunNote {
            id: self.id.clone(),
            kind: self.kind(),
            policy: self.name(),
            registry: self.registry.clone(),
            mode: self.mode(),
            by: self.by.clone(),
            since: self.at,
        }
    }
}
