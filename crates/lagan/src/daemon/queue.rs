//! The orders of a daemon: their turn, and what makes way for them.

use std::sync::Arc;

use lagan_model::Clock;

use tokio::sync::mpsc::Receiver;

use super::board::{PolicyNote, RunNote};
use super::order::{Order, Told};
use super::work::Job;
use super::{Daemon, Done, Happening, InHand, Record};
use crate::exit::{Exit, Failure};

impl<C: Clock, T: FnMut(&Happening)> Daemon<C, T> {
    /// Takes an order. What puts back goes before what plans and deletes, and a plan that is due makes way for it: it is
    /// made again.
    pub(super) fn enqueue(&mut self, order: Order, hand: &mut Option<InHand>) {
        self.board.taken(&order);
        let makes_way = |hand: &InHand| hand.job.order.is_none() && !hand.told.has_begun();
        if order.is_undo() && hand.as_ref().is_some_and(makes_way) {
            if let Some(left) = hand.take() {
                let job = left.job;
                drop(left.work);
                (self.tell)(&Happening::Postponed {
                    policy: job.policy.clone(),
                    why: "an undo goes before it".to_owned(),
                });
                self.leave(job);
            }
        } else if let Some(hand) = hand {
            order.tell(Told::Waits(hand.job.policy.clone()));
        }
        let first = self.queue.iter().position(|other| !other.is_undo());
        match first.filter(|_| order.is_undo()) {
            Some(position) => self.queue.insert(position, order),
            None => self.queue.push_back(order),
        }
    }

    /// The order whose turn it is.
    pub(super) fn dequeue(&mut self) -> Option<Order> {
        self.queue.retain(|order| !order.is_given_up());
        let mut order = self.queue.pop_front()?;
        // Another may wait in its place.
        order.place.take();
        Some(order)
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
                self.queue.push_front(order.clone());
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
    pub(super) fn show(&self, hand: Option<&InHand>) {
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
                })
            })
            .collect();
        policies.sort_unstable_by(|one, other| one.name.cmp(&other.name));
        for (name, status) in self.table.status() {
            if let Ok(at) = policies.binary_search_by(|policy| policy.name.as_str().cmp(name)) {
                policies[at].next = status.due;
            }
        }
        let running = hand.map(|hand| note(&hand.job));
        let waiting: Vec<_> = self.queue.iter().map(Order::note).collect();
        let mut shown = self.board.write();
        if *shown.policies != policies {
            shown.policies = Arc::new(policies);
        }
        shown.running = running;
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
