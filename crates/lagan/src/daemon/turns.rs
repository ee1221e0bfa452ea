//! Whose turn it is: what is begun when, and how it is stopped.

use std::sync::Arc;

use lagan_model::Clock;

use super::address::{Host, Where};
use super::begun::Begun;
use super::hands::{Hands, InHand, Over};
use super::recovering::Recovering;
use super::work::Job;
use super::{Answer, Daemon, Done, Happening, new_id};
use crate::exit::Exit;
use crate::running::Told;
use crate::state;

impl<C: Clock + Clone, T: FnMut(&Happening)> Daemon<C, T> {
    /// Begins what can be begun: what was asked for, and then what is due. Whether things stand otherwise now.
    pub(super) fn begin(&mut self, hands: &mut Hands) -> bool {
        let asked_for = self.begin_orders(hands);
        let due = self.begin_due(hands);
        asked_for || due
    }

    /// Begins what was asked for, as far as nothing is in its way. Whether something waits no more.
    pub(super) fn begin_orders(&mut self, hands: &mut Hands) -> bool {
        let waited = self.queue.len();
        self.queue.retain(|order| !order.is_given_up());
        let mut begun = self.queue.len() < waited;
        if self.waits_for_journal(hands) {
            return begun;
        }
        while let Some((order, at)) = self.dequeue(hands) {
            begun = true;
            let job = Job::of(order, self.clock.now(), &self.options.metrics);
            self.begin_job(job, at, hands);
        }
        begun
    }

    /// Begins what has been due the longest, on each registry that nobody has and nobody waits for.
    fn begin_due(&mut self, hands: &mut Hands) -> bool {
        let now = self.clock.now();
        let waiting = self.waiting_at();
        let mut begun = false;
        while !hands.is_full() && !self.waits_for_journal(hands) {
            let free = |host: &Host| {
                let at = Where::On(host.clone());
                hands.is_free(&at) && !waiting.iter().any(|other| other.meets(&at))
            };
            let Some(policy) = self.table.start_next(now, free) else {
                break;
            };
            begun = true;
            let id = new_id(now);
            let config = &self.loaded.config;
            let mut job = match self.loaded.job(&policy, &id, now, &self.options.metrics) {
                Some(job) => job,
                None => {
                    self.table.finished(&policy, now);
                    continue;
                }
            };
            let at = Host::named(config, &job.registry).map_or(Where::Anywhere, Where::On);
            let due = self.loaded.due(&job);
            job.pass = due.map(|due| self.passes.begin(&due, &self.board.heard));
            self.persist();
            self.begin_job(job, at, hands);
        }
        begun
    }

    fn begin_job(&mut self, job: Job, at: Where, hands: &mut Hands) {
        self.count_due();
        let report = match self.history.folder(&job.id) {
            Ok(folder) => folder.join("report.json"),
            Err(error) => {
                let done = Done::Failed(error.into());
                return self.done(&job, done);
            }
        };
        // Without it, nobody is told should it die with this process, and no more.
        if let Err(error) = self.history.begin(&Begun::of(&job)) {
            self.unwritten("that a run begins", &error);
        }
        (self.tell)(&Happening::Began {
            policy: job.policy.clone(),
            mode: job.mode,
        });
        if let Some(order) = &job.order {
            order.tell(Answer::Began);
        }
        let told = Arc::new(Told::default());
        let work = job.work(&self.loaded.config, self.state.clone(), report, Arc::clone(&told));
        hands.put(InHand { job, at, told, work });
    }

    /// Whether the journal takes nothing before those that have it open are over. Whoever began now would have it as it
    /// is, and would keep it so for others.
    pub(super) fn waits_for_journal(&self, hands: &Hands) -> bool {
        !hands.is_empty() && state::has_failed(&self.state)
    }

    /// Has what changed nothing yet make way, where the journal has to be opened anew.
    pub(super) fn let_go_of_journal(&mut self, hands: &mut Hands) {
        if self.waits_for_journal(hands) {
            self.make_way(hands, "the journal failed, and is opened anew before it", |_| {
                true
            });
        }
    }

    /// Takes those of a kind out of hand that can be made again: they are due still.
    pub(super) fn make_way(&mut self, hands: &mut Hands, why: &str, is_meant: impl Fn(&InHand) -> bool) {
        for left in hands.take(|hand| hand.makes_way() && is_meant(hand)) {
            let job = left.job;
            drop(left.work);
            (self.tell)(&Happening::Postponed {
                policy: job.policy.clone(),
                why: why.to_owned(),
            });
            self.leave(job);
        }
    }

    /// Finishes the artifacts in hand, of all runs within the same time. What only reads is left at once.
    pub(super) async fn stop(mut self, mut hands: Hands) -> Exit {
        // The next start looks at it.
        hands.recovering = Recovering::default();
        hands.iter().for_each(|hand| hand.told.request());
        for left in hands.take(|hand| !hand.told.has_begun()) {
            drop(left.work);
            self.leave(left.job);
        }
        let clock = self.clock.clone();
        let mut longest = std::pin::pin!(clock.sleep(self.options.stop_within));
        while !hands.is_empty() {
            tokio::select! {
                biased;
                over = hands.over() => if let Over::Run(hand, done) = over {
                    self.done(&hand.job, done);
                },
                () = &mut longest => break,
            }
        }
        for hand in hands.iter() {
            let policy = hand.job.policy.clone();
            (self.tell)(&Happening::Unfinished { policy });
        }
        match hands.is_empty() {
            true => Exit::Done,
            false => Exit::Unexpected,
        }
    }
}
