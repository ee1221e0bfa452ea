//! The orders of a daemon: their turn, and what makes way for them.

use std::sync::Arc;

use lagan_config::Config;
use lagan_model::Clock;

use tokio::sync::mpsc::Receiver;

use super::address::{Host, Where};
use super::board::{PolicyNote, RunNote};
use super::hands::{Hands, MOST};
use super::order::{Asked, Order, Told};
use super::work::Job;
use super::{Daemon, Done, Happening, Record};
use crate::exit::{Exit, Failure};

/// What an order has to itself.
fn at(config: &Config, order: &Order) -> Where {
    let named = |name: &str| Host::named(config, name);
    let host = match &order.what {
        Asked::Undo(arguments) => {
            let registry = arguments.connect.registry.as_deref();
            registry.and_then(|text| named(text).or_else(|| Some(Host::at(&text.parse().ok()?))))
        }
        Asked::Plan(_) | Asked::Apply(_) | Asked::Saved(_) => named(&order.registry),
    };
    host.map_or(Where::Anywhere, Where::On)
}

impl<C: Clock + Clone, T: FnMut(&Happening)> Daemon<C, T> {
    /// Takes an order. What puts back goes before what plans and deletes, and a plan that is due on the same registry makes
    /// way for it: it is made again.
    pub(super) fn enqueue(&mut self, order: Order, hands: &mut Hands) {
        self.board.taken(&order);
        let at = at(&self.loaded.config, &order);
        if order.is_undo() {
            self.make_way(hands, "an undo goes before it", |hand| hand.at.meets(&at));
        }
        let in_the_way = hands.in_the_way(&at);
        if !in_the_way.is_empty() {
            order.tell(Told::Waits(in_the_way.join(", ")));
        } else if self.waits_for_journal(hands) {
            order.tell(Told::Waits("the journal, which is opened anew".to_owned()));
        } else if hands.is_full() && !order.is_undo() {
            order.tell(Told::Waits(format!("one of {MOST} runs on other registries")));
        }
        self.insert(order, false);
    }

    /// Undos wait before the others, and each among its own behind those that were there, unless it goes on waiting.
    fn insert(&mut self, order: Order, again: bool) {
        let undos = self.queue.iter().take_while(|other| other.is_undo()).count();
        let position = match (order.is_undo(), again) {
            (true, true) => 0,
            (true, false) | (false, true) => undos,
            (false, false) => self.queue.len(),
        };
        self.queue.insert(position, order);
    }

    /// The first order that nothing is in the way of, and what it has to itself. What waits before it on the same registry
    /// is in its way.
    pub(super) fn dequeue(&mut self, hands: &Hands) -> Option<(Order, Where)> {
        let mut before: Vec<Where> = Vec::new();
        for position in 0..self.queue.len() {
            let order = &self.queue[position];
            let at = at(&self.loaded.config, order);
            let is_free = hands.is_free(&at) && !before.iter().any(|other| other.meets(&at));
            if is_free && (order.is_undo() || !hands.is_full()) {
                let mut order = self.queue.remove(position)?;
                // Another may wait in its place.
                order.place.take();
                return Some((order, at));
            }
            before.push(at);
        }
        None
    }

    /// What those that wait will have to themselves.
    pub(super) fn waiting_at(&self) -> Vec<Where> {
        let config = &self.loaded.config;
        self.queue.iter().map(|order| at(config, order)).collect()
    }

    /// Leaves what has not changed anything. What is due is made again, what was asked for is over.
    pub(super) fn leave(&mut self, job: Job) {
        self.history.forget(&job.id);
        match job.order {
            None => {
                self.table.postponed(&job.policy);
                self.persist();
            }
            Some(order) => self.turn_away(order),
        }
    }

    /// Puts off what could not begin.
    pub(super) fn postpone(&mut self, job: &Job, why: &str) {
        self.history.forget(&job.id);
        match &job.order {
            None => {
                self.table.postponed(&job.policy);
                self.persist();
            }
            Some(order) => {
                order.tell(Told::Waits(why.to_owned()));
                self.insert(order.clone(), true);
            }
        }
    }

    /// Tells all who wait that nothing comes of it. Nothing can be placed any more.
    pub(super) async fn dismiss(&mut self, orders: Option<Receiver<Order>>) {
        self.board.write().stopping = true;
        for order in std::mem::take(&mut self.queue) {
            self.turn_away(order);
        }
        if let Some(mut orders) = orders {
            orders.close();
            while let Some(order) = orders.recv().await {
                self.board.taken(&order);
                self.turn_away(order);
            }
        }
    }

    /// What goes on by itself was promised, and has to be found: nobody waits who could be told.
    fn turn_away(&mut self, order: Order) {
        let failure = Failure::new(Exit::Unexpected, anyhow::Error::msg(STOPPING));
        let now = self.clock.now();
        let job = Job::of(order.clone(), now, &self.options.metrics);
        let record = Record::new(&job, Done::TurnedAway(failure), now);
        if order.detached {
            let kept = self
                .history
                .folder(&record.id)
                .and_then(|_| self.history.keep(&record));
            if let Err(error) = kept {
                self.unwritten("what came of a run", &error);
            }
            (self.tell)(&Happening::Ended(Box::new(record.clone())));
        }
        order.tell(Told::Ended(Box::new(record)));
    }

    /// Shows how things stand.
    pub(super) fn show(&self, hands: &Hands) {
        let mut policies: Vec<_> = self
            .loaded
            .config
            .registries
            .iter()
            .flat_map(|registry| {
                registry.policies.policies.iter().map(|policy| PolicyNote {
                    name: policy.name.to_string(),
                    registry: registry.name.to_string(),
                    mode: policy.mode,
                    schedule: registry.schedules.get(&policy.name).map(ToString::to_string),
                    next: None,
                    last: self.history.last(policy.name.0.as_ref()).map(str::to_owned),
                })
            })
            .collect();
        policies.sort_unstable_by(|one, other| one.name.cmp(&other.name));
        for (name, status) in self.table.status() {
            if let Ok(at) = policies.binary_search_by(|policy| policy.name.as_str().cmp(name)) {
                policies[at].next = status.due;
            }
        }
        let mut running: Vec<_> = hands.iter().map(|hand| note(&hand.job)).collect();
        running.sort_unstable_by(|one, other| one.id.cmp(&other.id));
        self.options.metrics.in_hand(running.len());
        let waiting: Vec<_> = self.queue.iter().map(Order::note).collect();
        let mut shown = self.board.write();
        if *shown.policies != policies {
            shown.policies = Arc::new(policies);
        }
        shown.running = running;
        shown.recovering = hands.recovering.names();
        shown.waiting = waiting;
    }
}

const STOPPING: &str = "the daemon stops; nothing was changed";

fn note(job: &Job) -> RunNote {
    RunNote {
        id: job.id.clone(),
        kind: job.kind(),
        policy: job.policy.clone(),
        registry: job.registry.clone(),
        mode: job.mode,
        by: job.by().to_owned(),
        since: job.began,
    }
}
