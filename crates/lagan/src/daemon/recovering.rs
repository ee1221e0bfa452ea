//! What interrupted runs left open, registry by registry: it is looked at before anything is begun there.
//!
//! A registry that hangs keeps none but itself waiting. Until it is done, or has failed, whatever is due or asked for on
//! its host waits for it.

use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use lagan_model::Clock;

use super::address::{Host, Where};
use super::hands::Hands;
use super::{Daemon, Happening, work};
use crate::exit::Failure;

/// A registry on which something is left open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Left {
    pub(super) registry: String,
    pub(super) host: Host,
}

type Looking = Pin<Box<dyn Future<Output = Result<(), Failure>>>>;

/// All of them that are not looked at yet.
#[derive(Default)]
pub(super) struct Recovering {
    waiting: VecDeque<Left>,
    in_hand: Vec<(Left, Looking)>,
}

impl Recovering {
    pub(super) fn of(left: impl IntoIterator<Item = Left>) -> Self {
        Self {
            waiting: left.into_iter().collect(),
            in_hand: Vec::new(),
        }
    }

    /// How many are looked at now.
    pub(super) fn in_hand(&self) -> usize {
        self.in_hand.len()
    }

    fn all(&self) -> impl Iterator<Item = &Left> {
        let in_hand = self.in_hand.iter().map(|(left, _)| left);
        in_hand.chain(&self.waiting)
    }

    /// By name, in the order of names.
    pub(super) fn names(&self) -> Vec<String> {
        let mut names: Vec<_> = self.all().map(|left| left.registry.clone()).collect();
        names.sort_unstable();
        names
    }

    /// Those that a run there would meet.
    pub(super) fn in_the_way(&self, at: &Where) -> impl Iterator<Item = &str> {
        let meets = |left: &&Left| Where::On(left.host.clone()).meets(at);
        self.all().filter(meets).map(|left| &*left.registry)
    }

    /// The next one: of one host, one is looked at at a time.
    fn next(&mut self) -> Option<Left> {
        let free = |left: &Left| self.in_hand.iter().all(|(other, _)| other.host != left.host);
        let position = self.waiting.iter().position(free)?;
        self.waiting.remove(position)
    }

    pub(super) fn poll(&mut self, context: &mut Context<'_>) -> Poll<(Left, Result<(), Failure>)> {
        for position in 0..self.in_hand.len() {
            if let Poll::Ready(looked) = self.in_hand[position].1.as_mut().poll(context) {
                return Poll::Ready((self.in_hand.remove(position).0, looked));
            }
        }
        Poll::Pending
    }
}

impl<C: Clock + Clone, T: FnMut(&Happening)> Daemon<C, T> {
    /// Looks at as many registries as there are hands.
    pub(super) fn recover(&mut self, hands: &mut Hands) {
        while !hands.is_full() && !self.waits_for_journal(hands) {
            let Some(left) = hands.recovering.next() else {
                return;
            };
            // One that is at another address by now is looked at before the next deletion at this one.
            if Host::named(&self.loaded.config, &left.registry).as_ref() != Some(&left.host) {
                continue;
            }
            let looking = work::recover(&self.loaded.config, &left.registry, self.state.clone());
            hands.recovering.in_hand.push((left, Box::pin(looking)));
        }
    }

    /// A registry was looked at. Where that failed, it is tried again before anything is deleted there.
    pub(super) fn recovered(&mut self, left: Left, looked: Result<(), Failure>) {
        let registry = left.registry;
        (self.tell)(&match looked {
            Ok(()) => Happening::Recovered { registry },
            Err(failure) => Happening::Unrecovered {
                registry,
                why: failure.text(),
            },
        });
    }
}

#[cfg(test)]
mod tests {
    use std::future::pending;

    use super::*;

    fn left(registry: &str, url: &str) -> Left {
        Left {
            registry: registry.to_owned(),
            host: Host::at(&url.parse().unwrap()),
        }
    }

    #[test]
    fn of_two_names_of_one_host_one_is_looked_at_after_the_other() {
        let (one, same) = (left("one", "http://a:5000"), left("same", "http://a:5000/"));
        let other = left("other", "http://b:5000");
        let mut all = Recovering::of([one.clone(), same.clone(), other.clone()]);
        for expected in [&one, &other] {
            assert_eq!(all.next().as_ref(), Some(expected));
            all.in_hand.push((expected.clone(), Box::pin(pending())));
        }
        assert_eq!(all.next(), None);
        assert_eq!(all.names(), ["one", "other", "same"]);
        let here = Where::On(one.host.clone());
        assert_eq!(all.in_the_way(&here).collect::<Vec<_>>(), ["one", "same"]);
        assert_eq!(all.in_the_way(&Where::Anywhere).count(), 3);
        drop(all.in_hand.remove(0));
        assert_eq!(all.next(), Some(same));
    }
}
