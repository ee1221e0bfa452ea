//! The daemon: runs policies when they are due, in their mode.
//!
//! One loop on one thread. It is told that time has passed, that a file may have changed, that it should stop; it asks
//! the table what is due, and carries it out as `plan` and `apply` do: of each registry one run at a time, those of
//! several beside each other (docs/adr/0026-runs-share-a-journal-and-not-a-registry.md). While no run is in hand the state
//! directory is free, so that `undo` and `journal` can be used beside it. The clock is an argument; waking it is somebody
//! else's.

mod address;
mod begun;
mod board;
mod event;
mod hands;
mod heard;
mod heartbeat;
mod history;
mod loaded;
mod newest;
mod order;
mod passes;
mod persisted;
mod queue;
mod recovering;
mod service;
mod turns;
mod work;

#[cfg(test)]
pub(crate) mod tests;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fs;
use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use chrono::TimeDelta;
use lagan_config::Config;
use lagan_model::{Clock, Time};
use lagan_policy::Mode;
use lagan_scheduler::{Entry, Table};
use lagan_state::{StateError, Who};
use tokio::sync::mpsc::Receiver;
use tokio::task::unconstrained;

use self::address::Host;
pub(crate) use self::board::{Board, NotPlaced, PolicyNote, RunNote, Shown};
pub(crate) use self::event::{Event, Happening, changes, named_mode, signals};
use self::hands::{Hands, InHand, Over};
pub(crate) use self::heartbeat::Heartbeat;
use self::history::History;
pub(crate) use self::history::{BY_SCHEDULE, Cut, Kind as RunKind, Record, folder as runs_folder, new_id};
use self::loaded::Loaded;
pub(crate) use self::newest::Lasts;
pub(crate) use self::order::{Asked, MOST as MOST_ORDERS, Order, Told as Answer, Wanted, obeys};
use self::passes::Passes;
use self::recovering::Recovering;
pub(crate) use self::service::Service;
use self::work::{Done, Job};
pub(crate) use self::work::{SAVED, report_name};
use crate::auditing::Auditing;
use crate::exit::{Exit, Failure};
use crate::metrics::Metrics;
use crate::output::private_folder;
use crate::state;

/// What a daemon is told when it is started.
#[derive(Debug, Clone)]
pub(crate) struct Options {
    /// The configuration.
    pub(crate) config: PathBuf,
    /// The state directory, where the configuration does not decide.
    pub(crate) state: Option<PathBuf>,
    /// Where it listens, where the configuration does not decide.
    pub(crate) listen: Option<SocketAddr>,
    /// How many runs are kept.
    pub(crate) keep: usize,
    /// How long what is in hand may take when it is to stop.
    pub(crate) stop_within: Duration,
    /// Who counts what it does.
    pub(crate) metrics: Arc<Metrics>,
}

/// A daemon that is ready to run.
pub(crate) struct Daemon<C, T> {
    options: Options,
    clock: C,
    tell: T,
    /// The state directory.
    state: PathBuf,
    owner: Owner,
    loaded: Loaded,
    /// The configuration of the start, from which some settings hold until the end.
    first: Arc<Config>,
    /// Whether the configuration has to be looked at.
    changed: bool,
    table: Table<String, Host>,
    history: History,
    /// Where policies stand whose registries tell what changes.
    passes: Passes,
    /// The policies of which it was told that they wait.
    waiting: BTreeSet<String>,
    /// When the state directory that somebody else has is tried again, and how long that was waited for.
    again: Option<(Time, TimeDelta)>,
    /// What it shows of itself.
    board: Arc<Board>,
    /// Where orders come from.
    orders: Option<Receiver<Order>>,
    /// Orders that have not begun.
    queue: VecDeque<Order>,
    /// What it begins with.
    hands: Hands,
    audited: Auditing,
}

/// Keeps other daemons from the state directory, as long as it or the daemon is there.
#[derive(Debug, Clone)]
pub(crate) struct Owner {
    _lock: Arc<fs::File>,
}

impl<C: Clock + Clone, T: FnMut(&Happening)> Daemon<C, T> {
    /// Reads the configuration, takes the state directory, and finds out where earlier runs left something open.
    ///
    /// # Errors
    ///
    /// All that is wrong with the configuration; a state directory that is in use or cannot be used.
    pub(crate) async fn open(options: Options, clock: C, tell: T) -> Result<Self, Failure> {
        let loaded = Loaded::read(&options.config)?;
        let state = state::directory(options.state.as_deref(), loaded.config.state_dir.as_deref())?;
        // Creates it, and finds out whether it can be used.
        let open = work::open_runs(&state, &options.metrics).await?;
        let folder = state.join("daemon");
        let owner = owner(&folder, &state)?;
        let history = History::open(&folder, options.keep)?;
        let board = Arc::new(Board::new(Arc::clone(&loaded.config), clock.now()));
        let audited = Auditing::of(&state, Who::Daemon);
        let hands = Hands::after(Recovering::of(loaded.registries_at(&open)));
        let mut daemon = Self {
            options,
            clock,
            tell,
            state,
            owner,
            first: Arc::clone(&loaded.config),
            loaded,
            // It may have been changed while all this was done, and nobody was watching yet.
            changed: true,
            table: Table::default(),
            history,
            passes: Passes::default(),
            waiting: BTreeSet::new(),
            again: None,
            board,
            orders: None,
            queue: VecDeque::new(),
            hands: Hands::default(),
            audited,
        };
        daemon.load();
        // Whoever looks before it runs sees what it is about to run.
        daemon.show(&hands);
        daemon.hands = hands;
        daemon.audit();
        Ok(daemon)
    }

    /// The state directory.
    pub(crate) fn state(&self) -> &Path {
        &self.state
    }

    /// What keeps other daemons away, for whoever still has to do with the state directory when this one has ended.
    pub(crate) fn owner(&self) -> Owner {
        self.owner.clone()
    }

    /// What it shows of itself.
    pub(crate) fn board(&self) -> Arc<Board> {
        Arc::clone(&self.board)
    }

    /// Takes orders from now on.
    pub(crate) fn taking(mut self, orders: Receiver<Order>) -> Self {
        self.orders = Some(orders);
        self
    }

    /// Runs until it is told to stop, or nobody is left to tell it.
    pub(crate) async fn run(mut self, mut events: Receiver<Event>) -> Exit {
        // Only now: a start that does not come about, for want of a port perhaps, tells nobody of anything.
        self.close_died();
        self.tell_ready();
        let mut hands = std::mem::take(&mut self.hands);
        self.recover(&mut hands);
        let mut orders = self.orders.take();
        let mut stale = true;
        loop {
            if std::mem::take(&mut stale) {
                self.show(&hands);
            }
            tokio::select! {
                // What is done is told before anything else is begun.
                biased;
                over = hands.over() => {
                    stale = true;
                    match over {
                        Over::Run(hand, done) => {
                            let InHand { job, work, .. } = *hand;
                            drop(work);
                            self.done(&job, done);
                        }
                        Over::Recovery(left, looked) => self.recovered(left, looked),
                    }
                    self.let_go_of_journal(&mut hands);
                    self.recover(&mut hands);
                    // What was asked for waits for nothing but its turn.
                    if self.again.is_none() {
                        self.begin_orders(&mut hands);
                    }
                }
                // However busy the runs are.
                event = unconstrained(events.recv()) => match event {
                    Some(Event::Beat) => {
                        self.board.beat();
                        (self.tell)(&Happening::Beat);
                        stale |= self.write_again();
                        if std::mem::take(&mut self.changed) {
                            stale = true;
                            self.reload(false);
                        }
                        if self.is_free_again() {
                            stale |= self.begin(&mut hands);
                        }
                    }
                    Some(Event::Changed) => self.changed = true,
                    Some(Event::Reload) => {
                        self.changed = false;
                        stale = true;
                        self.reload(true);
                    }
                    Some(Event::Stop) | None => break,
                },
                order = unconstrained(next(&mut orders)) => {
                    stale = true;
                    self.enqueue(order, &mut hands);
                    self.begin_orders(&mut hands);
                }
            }
        }
        (self.tell)(&Happening::Stopping);
        self.dismiss(orders).await;
        self.stop(hands).await
    }

    fn done(&mut self, job: &Job, done: Done) {
        let now = self.clock.now();
        if let Done::InUse(failure) = done {
            // It is tried again and again, and told of once.
            self.postpone(job, &failure.text());
            // Others may have found it so before, of those that were tried together.
            if self.is_free_again() {
                let waited = self.again.map_or(TimeDelta::zero(), |(_, waited)| waited);
                let wait = (waited * 2).clamp(TimeDelta::seconds(1), LONGEST_WAIT);
                self.again = Some((now + wait, wait));
            }
            self.count_due();
            if job.order.is_none() && self.waiting.insert(job.policy.clone()) {
                (self.tell)(&Happening::Postponed {
                    policy: job.policy.clone(),
                    why: failure.text(),
                });
            }
            return;
        }
        self.again = None;
        if job.order.is_none() {
            self.waiting.remove(&job.policy);
            if self.table.finished(&job.policy, now) {
                (self.tell)(&Happening::LeftOut {
                    policy: job.policy.clone(),
                });
            }
            self.persist();
        }
        self.count_due();
        let record = Record::new(job, done, now);
        if let Some(begun) = &job.pass {
            let (tally, well) = (&record.tally, record.exit == Exit::Done && record.held.is_none());
            let made = tally.pass.as_ref().zip(tally.planned.as_ref()).filter(|_| well);
            let made = made.map(|(pass, totals)| (pass, totals.repositories));
            let heard = &self.board.heard;
            self.passes.ended(&job.policy, &job.registry, begun, made, heard);
        }
        if let Err(error) = self.history.keep(&record) {
            self.unwritten("what came of a run", &error);
        }
        self.board.ended(&record);
        if let Some(order) = &job.order {
            order.tell(Answer::Ended(Box::new(record.clone())));
        }
        (self.tell)(&Happening::Ended(Box::new(record)));
    }

    /// Tells of the runs that died with an earlier process, as of any that failed: of each once.
    fn close_died(&mut self) {
        let died = match self.history.died() {
            Ok(died) => died,
            Err(error) => return self.unlisted(&error),
        };
        let some = !died.is_empty();
        for begun in died {
            let record = Record::died(begun, self.clock.now());
            if let Err(error) = self.history.keep(&record) {
                self.unwritten("what came of a run", &error);
            }
            (self.tell)(&Happening::Ended(Box::new(record)));
        }
        if some {
            // Of a policy that is not there any more, nothing is shown.
            self.options.metrics.configured(&self.loaded.config);
        }
    }

    /// Whether it is time to try whether the state directory is free, where somebody else had it.
    fn is_free_again(&self) -> bool {
        self.again.is_none_or(|(again, _)| {
            let left = again - self.clock.now();
            // A clock that was set back is not waited for.
            left <= TimeDelta::zero() || left > LONGEST_WAIT
        })
    }

    /// Takes the configuration as it is now, or none of it.
    fn reload(&mut self, asked: bool) {
        match self.loaded.again(&self.options.config, asked) {
            Ok(None) => self.put_back(),
            Ok(Some(loaded)) => {
                self.loaded = loaded;
                self.load();
                let restart = self.needs_restart();
                (self.tell)(&Happening::Reloaded { restart });
                self.tell_ready();
                self.audit();
            }
            Err(failure) => self.refuse(&failure, asked),
        }
    }

    /// The text of the configuration is that of the one that holds. Where another had been refused, that is over.
    fn put_back(&mut self) {
        let refused = self.board.write().refused.take();
        if refused.is_some() {
            (self.tell)(&Happening::PutBack);
            self.tell_ready();
            self.audit();
        }
    }

    fn refuse(&mut self, failure: &Failure, asked: bool) {
        let why = failure.text();
        let before = self.board.write().refused.replace(why.clone());
        // Whatever else changes in its folder, such as a log that has what is told here, says nothing new of it.
        if before.as_ref() == Some(&why) && !asked {
            return;
        }
        let written = self.audited.refused_configuration(&why);
        (self.tell)(&Happening::Refused { why });
        self.unwritten_audit(written.err());
    }

    /// Puts on record which configuration holds.
    fn audit(&mut self) {
        let restart = self.needs_restart();
        let written = self.audited.configured(&self.loaded.sha256(), &restart);
        self.unwritten_audit(written.err());
    }

    /// What is decided is on record before it is carried out, or is not: this is about the rest.
    fn unwritten_audit(&mut self, error: Option<StateError>) {
        if let Some(error) = error {
            (self.tell)(&Happening::Unwritten {
                what: "to the audit log",
                why: error.to_string(),
            });
        }
    }

    /// The settings that are other ones than at the start, and hold from the next one on.
    fn needs_restart(&self) -> Vec<&'static str> {
        let (first, now) = (&self.first, &self.loaded.config);
        let state_dir = self.options.state.is_none() && first.state_dir != now.state_dir;
        let listen = self.options.listen.is_none() && first.admin.listen != now.admin.listen;
        let all = [(state_dir, "state_dir"), (listen, "admin.listen")];
        all.into_iter()
            .filter_map(|(is_other, name)| is_other.then_some(name))
            .collect()
    }

    /// Puts the schedules of the configuration into the table.
    fn load(&mut self) {
        let lasts = match persisted::read(&self.folder()) {
            Ok(lasts) => lasts,
            Err(why) => {
                (self.tell)(&Happening::Unread { why });
                persisted::Lasts::default()
            }
        };
        let entries = self.loaded.schedules().map(|(policy, host, schedule)| {
            let entry = Entry {
                group: host,
                schedule: schedule.clone(),
            };
            (policy, entry)
        });
        self.table.load(entries, &lasts, self.clock.now());
        if self.table.lasts() != lasts {
            self.persist();
        }
        self.passes.configured(&self.loaded.config, &self.board.heard);
        self.options.metrics.configured(&self.loaded.config);
        if let Err(error) = self.history.configured(self.loaded.policies()) {
            self.unlisted(&error);
        }
        let metrics = &self.options.metrics;
        self.history.lasts().for_each(|lasts| metrics.remember(&lasts));
        (self.tell)(&Happening::Receivers(self.loaded.receivers.clone()));
        self.count_due();
        let restart = self.needs_restart();
        let mut shown = self.board.write();
        shown.restart = restart;
        shown.config = Arc::clone(&self.loaded.config);
        shown.loaded = self.clock.now();
        shown.refused = None;
    }

    /// Has metrics show when policies are due.
    fn count_due(&self) {
        let waiting = self.table.status().filter(|(_, status)| !status.running);
        let due: BTreeMap<&str, Option<Time>> = waiting
            .map(|(policy, status)| (policy.as_str(), status.due))
            .collect();
        let scheduled = self.loaded.scheduled();
        let due = scheduled
            .filter_map(|(registry, policy)| Some((registry, policy, due.get(policy).copied().flatten()?)));
        self.options.metrics.scheduled(due);
    }

    /// Without it, a run that was made may be made again after a restart, and no more.
    fn persist(&mut self) {
        match persisted::write(&self.folder(), &self.table.lasts()) {
            Ok(()) => self.board.write().unwritten = None,
            Err(error) => self.unwritten("when policies were run last", &error),
        }
    }

    /// Tries again, where something could not be written, whether anything can. Whether it can now.
    fn write_again(&mut self) -> bool {
        let was_not = self.board.write().unwritten.is_some();
        let can_now = was_not && persisted::write(&self.folder(), &self.table.lasts()).is_ok();
        if can_now {
            self.board.write().unwritten = None;
        }
        can_now
    }

    fn unlisted(&mut self, error: &io::Error) {
        let why = error.to_string();
        (self.tell)(&Happening::Unlisted { why });
    }

    fn unwritten(&mut self, what: &'static str, error: &io::Error) {
        let why = error.to_string();
        self.board.write().unwritten = Some(format!("failed to write {what}: {why}"));
        (self.tell)(&Happening::Unwritten { what, why });
    }

    fn tell_ready(&mut self) {
        let next = self
            .table
            .status()
            .filter_map(|(policy, status)| Some((status.due?, policy.clone())))
            .min();
        let modes = self.loaded.modes();
        let scheduled: BTreeSet<_> = self.table.status().map(|(policy, _)| policy.clone()).collect();
        let enforced = modes
            .iter()
            .filter(|(policy, mode)| **mode == Mode::Enforce && scheduled.contains(*policy));
        let happening = Happening::Ready {
            policies: scheduled.len(),
            enforced: enforced.count(),
            unscheduled: modes
                .keys()
                .filter(|policy| !scheduled.contains(*policy))
                .cloned()
                .collect(),
            next,
        };
        (self.tell)(&happening);
    }

    fn folder(&self) -> PathBuf {
        self.state.join("daemon")
    }
}

/// How long a state directory that somebody else has is left alone at most.
const LONGEST_WAIT: TimeDelta = TimeDelta::minutes(1);

/// Waits for an order; for ever where none can come.
async fn next(orders: &mut Option<Receiver<Order>>) -> Order {
    let order = match orders {
        Some(orders) => orders.recv().await,
        None => None,
    };
    match order {
        Some(order) => order,
        None => {
            *orders = None;
            std::future::pending().await
        }
    }
}

/// Makes sure that no other daemon has the state directory.
fn owner(folder: &Path, state: &Path) -> Result<Owner, Failure> {
    let failed = |error: std::io::Error| {
        let context = format!("failed to open {}", folder.display());
        Failure::new(Exit::Usage, anyhow::Error::new(error).context(context))
    };
    private_folder(folder).map_err(failed)?;
    let owner = fs::File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .mode(0o600)
        .open(folder.join("lock"))
        .map_err(failed)?;
    match owner.try_lock() {
        Ok(()) => Ok(Owner {
            _lock: Arc::new(owner),
        }),
        Err(fs::TryLockError::Error(error)) => Err(failed(error)),
        Err(fs::TryLockError::WouldBlock) => Err(Failure::usage(format!(
            "another daemon works with the state directory {}",
            state.display()
        ))
        .with_hint("give each daemon a state directory of its own")),
    }
}
