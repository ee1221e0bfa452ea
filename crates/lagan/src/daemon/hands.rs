//! The runs in hand: one on each registry, and so many at the most.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;

use super::address::Where;
use super::recovering::{Left, Recovering};
use super::work::{Done, Job};
use crate::exit::Failure;
use crate::running::Told;

/// How many runs are made at a time: each has memory of its own. An undo is made beside them.
pub(super) const MOST: usize = 4;

/// A run in hand.
pub(super) struct InHand {
    pub(super) job: Job,
    pub(super) at: Where,
    pub(super) told: Arc<Told>,
    pub(super) work: Pin<Box<dyn Future<Output = Done>>>,
}

impl InHand {
    /// Whether it can make way: it is due by itself, and has changed nothing yet.
    pub(super) fn makes_way(&self) -> bool {
        self.job.order.is_none() && !self.told.has_begun()
    }
}

/// Something is over.
pub(super) enum Over {
    Run(Box<InHand>, Done),
    /// What interrupted runs left on a registry was looked at.
    Recovery(Left, Result<(), Failure>),
}

/// All of them, and what has to be looked at before others begin.
#[derive(Default)]
pub(super) struct Hands {
    all: Vec<InHand>,
    pub(super) recovering: Recovering,
    /// The one that is asked first the next time whether it is over.
    first: usize,
}

impl Hands {
    /// None but those that look at what was left.
    pub(super) fn after(recovering: Recovering) -> Self {
        Self {
            recovering,
            ..Self::default()
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.all.is_empty() && self.recovering.in_hand() == 0
    }

    /// Whether so many are made as may be.
    pub(super) fn is_full(&self) -> bool {
        self.all.len() + self.recovering.in_hand() >= MOST
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &InHand> {
        self.all.iter()
    }

    /// Whether a run there would meet none of them.
    pub(super) fn is_free(&self, at: &Where) -> bool {
        self.in_the_way(at).is_empty()
    }

    /// What a run there would meet, in words.
    pub(super) fn in_the_way(&self, at: &Where) -> Vec<String> {
        let runs = self.all.iter().filter(|hand| hand.at.meets(at));
        let runs = runs.map(|hand| hand.job.policy.clone());
        let left = self.recovering.in_the_way(at);
        let left = left.map(|registry| format!("what interrupted runs left on {registry}"));
        runs.chain(left).collect()
    }

    pub(super) fn put(&mut self, hand: InHand) {
        self.all.push(hand);
    }

    /// Takes those of a kind out of hand.
    pub(super) fn take(&mut self, is_meant: impl Fn(&InHand) -> bool) -> Vec<InHand> {
        self.all.extract_if(.., |hand| is_meant(hand)).collect()
    }

    /// Waits until one is over; for ever where there is none.
    pub(super) async fn over(&mut self) -> Over {
        poll_fn(|context| {
            let many = self.all.len();
            // Each is the first in its turn: what one finds ready must not be at the cost of the others.
            self.first = (self.first + 1) % many.max(1);
            for position in (0..many).map(|position| (self.first + position) % many) {
                if let Poll::Ready(done) = self.all[position].work.as_mut().poll(context) {
                    return Poll::Ready(Over::Run(Box::new(self.all.remove(position)), done));
                }
            }
            let recovered = self.recovering.poll(context);
            recovered.map(|(left, looked)| Over::Recovery(left, looked))
        })
        .await
    }
}
