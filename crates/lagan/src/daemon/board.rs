//! What a daemon shows of itself: written by its loop, read by whoever is asked. Neither waits for the other.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use lagan_config::Config;
use lagan_model::Time;
use lagan_policy::Mode;

use super::history::{Kind, Record};
use crate::exit::Exit;

/// A daemon whose clock says nothing for so long does not live any more: it beats once a second.
const LIFELESS: Duration = Duration::from_secs(120);

/// What is shown.
#[derive(Debug)]
pub(crate) struct Board {
    shown: Mutex<Shown>,
    beat: Mutex<Instant>,
}

/// The state of a daemon.
#[derive(Debug, Clone)]
pub(crate) struct Shown {
    /// The configuration that holds.
    pub(crate) config: Arc<Config>,
    /// When it was read.
    pub(crate) loaded: Time,
    /// Why the one that is there now is not taken.
    pub(crate) refused: Option<String>,
    /// The policies, by name.
    pub(crate) policies: Arc<Vec<PolicyNote>>,
    /// The run in hand.
    pub(crate) running: Option<RunNote>,
    /// The orders that wait, in the order in which they begin.
    pub(crate) waiting: Vec<RunNote>,
    /// What came of the last look at each registry.
    pub(crate) looks: BTreeMap<String, Look>,
    /// What could not be written, the last time that something was.
    pub(crate) unwritten: Option<String>,
    /// Whether it stops.
    pub(crate) stopping: bool,
}

/// A policy, and when it is run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PolicyNote {
    pub(crate) name: String,
    pub(crate) registry: String,
    pub(crate) mode: Mode,
    /// Its schedule in words; `None`: it is never due.
    pub(crate) schedule: Option<String>,
    /// When it is due; `None`: never, or not known before it has ended.
    pub(crate) next: Option<Time>,
}

/// A run that is not over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RunNote {
    pub(crate) id: String,
    pub(crate) kind: Kind,
    pub(crate) policy: String,
    pub(crate) registry: String,
    pub(crate) mode: Mode,
    pub(crate) by: String,
    /// When it began, or was asked for.
    pub(crate) since: Time,
}

/// What came of the last run on a registry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Look {
    pub(crate) at: Time,
    /// The error that ended it.
    pub(crate) error: Option<String>,
}

impl Board {
    pub(super) fn new(config: Arc<Config>, now: Time) -> Self {
        Self {
            shown: Mutex::new(Shown {
                config,
                loaded: now,
                refused: None,
                policies: Arc::default(),
                running: None,
                waiting: Vec::new(),
                looks: BTreeMap::new(),
                unwritten: None,
                stopping: false,
            }),
            beat: Mutex::new(Instant::now()),
        }
    }

    /// What it shows now.
    pub(crate) fn read(&self) -> Shown {
        self.write().clone()
    }

    /// Whether the daemon gives signs of life.
    pub(crate) fn lives(&self) -> bool {
        let beat = *self.beat.lock().unwrap_or_else(PoisonError::into_inner);
        beat.elapsed() < LIFELESS
    }

    pub(super) fn beat(&self) {
        *self.beat.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
    }

    pub(super) fn write(&self) -> MutexGuard<'_, Shown> {
        self.shown.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes what a run came to.
    pub(super) fn ended(&self, record: &Record) {
        if record.registry.is_empty() || !record.was_made() {
            return;
        }
        let look = Look {
            at: record.ended,
            error: record.error.clone().filter(|_| record.exit == Exit::Unexpected),
        };
        self.write().looks.insert(record.registry.clone(), look);
    }
}
