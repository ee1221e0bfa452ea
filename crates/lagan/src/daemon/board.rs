//! What a daemon shows of itself: written by its loop, read by whoever is asked. Neither waits for the other.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use lagan_config::Config;
use lagan_model::Time;
use lagan_policy::Mode;
use tokio::sync::Semaphore;
use tokio::sync::mpsc::Sender;

use super::heard::Heard;
use super::history::{Kind, Record};
use super::order::{MOST, Order};
use crate::exit::Exit;

/// A daemon whose clock says nothing for so long does not live any more: it beats once a second.
const LIFELESS: Duration = Duration::from_secs(120);

/// What is shown.
#[derive(Debug)]
pub(crate) struct Board {
    shown: Mutex<Shown>,
    beat: Mutex<Instant>,
    /// Where orders wait.
    places: Arc<Semaphore>,
    /// What registries told.
    pub(crate) heard: Heard,
}

/// Why an order was not taken on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NotPlaced {
    /// So many wait as may.
    TooMany,
    /// The daemon stops.
    Stopping,
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
    /// The settings of the one that holds that take a restart.
    pub(crate) restart: Vec<&'static str>,
    /// The policies, by name.
    pub(crate) policies: Arc<Vec<PolicyNote>>,
    /// The runs in hand, the oldest first.
    pub(crate) running: Vec<RunNote>,
    /// The orders that wait, in the order in which they begin.
    pub(crate) waiting: Vec<RunNote>,
    /// Those that were placed, and that the daemon has not seen yet.
    placed: Vec<RunNote>,
    /// What came of the last look at each registry.
    pub(crate) looks: BTreeMap<String, Look>,
    /// The registries of which it is not known yet what interrupted runs left there.
    pub(crate) recovering: Vec<String>,
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
    /// Its last run that is over.
    pub(crate) last: Option<String>,
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
                restart: Vec::new(),
                policies: Arc::default(),
                running: Vec::new(),
                waiting: Vec::new(),
                placed: Vec::new(),
                looks: BTreeMap::new(),
                recovering: Vec::new(),
                unwritten: None,
                stopping: false,
            }),
            beat: Mutex::new(Instant::now()),
            places: Arc::new(Semaphore::new(MOST)),
            heard: Heard::default(),
        }
    }

    /// What it shows now.
    pub(crate) fn read(&self) -> Shown {
        let mut shown = self.write().clone();
        shown.waiting.append(&mut shown.placed);
        shown
    }

    /// Hands an order to the daemon. From then on it is shown, and something comes of it.
    pub(crate) fn place(&self, mut order: Order, orders: &Sender<Order>) -> Result<(), NotPlaced> {
        // The daemon sees the order when it is shown, and not before.
        let mut shown = self.write();
        if shown.stopping {
            return Err(NotPlaced::Stopping);
        }
        let place = Arc::clone(&self.places).try_acquire_owned();
        order.place = Some(Arc::new(place.map_err(|_| NotPlaced::TooMany)?));
        let note = order.note();
        orders.try_send(order).map_err(|_| NotPlaced::Stopping)?;
        shown.placed.push(note);
        Ok(())
    }

    /// The daemon has seen an order.
    pub(super) fn taken(&self, order: &Order) {
        let shown = &mut *self.write();
        let of_order = |note: &RunNote| note.id == order.id;
        let (taken, placed) = std::mem::take(&mut shown.placed)
            .into_iter()
            .partition::<Vec<_>, _>(of_order);
        shown.placed = placed;
        shown.waiting.extend(taken);
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
