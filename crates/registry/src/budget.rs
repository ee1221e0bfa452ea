//! How many further attempts all requests to one host may make together.
//!
//! Each request may be sent several times, which helps when one answer in a hundred fails, and hurts when all do: a
//! registry that is down to its knees would get five times the traffic. So further attempts are paid for out of a
//! common budget, which answers fill up again. A registry that comes back within the attempts of what was under way
//! is not given up; one that keeps failing soon gets each request once.

use std::num::{NonZeroU32, NonZeroUsize};
use std::sync::atomic::{AtomicUsize, Ordering};

/// What one further attempt costs.
const ATTEMPT: usize = 2;

/// What an answer brings: two of them pay for one further attempt.
const ANSWER: usize = 1;

#[derive(Debug)]
pub(crate) struct Budget {
    left: AtomicUsize,
    most: usize,
}

impl Budget {
    /// A full budget: enough for every request that can be under way to make all its `attempts` once.
    pub(crate) fn new(under_way: NonZeroUsize, attempts: NonZeroU32) -> Self {
        let further = usize::try_from(attempts.get() - 1).unwrap_or(usize::MAX);
        let most = under_way.get().saturating_mul(further).saturating_mul(ATTEMPT);
        Self {
            left: AtomicUsize::new(most),
            most,
        }
    }

    /// An answer came. Nearly always the budget is full, and this only looks.
    pub(crate) fn answered(&self) {
        if self.left.load(Ordering::Relaxed) < self.most {
            let more = |left: usize| Some((left + ANSWER).min(self.most));
            let _ = self.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more);
        }
    }

    /// Pays for another attempt; `false` where nothing is left to pay with.
    pub(crate) fn pay(&self) -> bool {
        let less = |left: usize| left.checked_sub(ATTEMPT);
        self.left
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, less)
            .is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn budget(under_way: usize, attempts: u32) -> Budget {
        Budget::new(
            NonZeroUsize::new(under_way).unwrap(),
            NonZeroU32::new(attempts).unwrap(),
        )
    }

    #[test]
    fn what_is_under_way_can_make_all_its_attempts_and_then_it_takes_answers() {
        let budget = budget(8, 5);
        assert_eq!((0..100).filter(|_| budget.pay()).count(), 32);
        budget.answered();
        assert!(!budget.pay(), "one answer pays for half an attempt");
        budget.answered();
        assert!(budget.pay() && !budget.pay());
    }

    #[test]
    fn answers_fill_it_up_and_not_beyond() {
        let budget = budget(2, 2);
        (0..1000).for_each(|_| budget.answered());
        assert_eq!((0..100).filter(|_| budget.pay()).count(), 2);
        (0..1000).for_each(|_| budget.answered());
        assert_eq!((0..100).filter(|_| budget.pay()).count(), 2);
    }

    #[test]
    fn where_nothing_is_sent_again_there_is_no_budget() {
        assert!(!budget(64, 1).pay());
    }
}
