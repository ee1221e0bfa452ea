//! Where groups wait for the thread that writes, until a write of them is worth it.

use std::fmt;
use std::mem;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use lagan_model::journal::{Group, JournalError, Sequence};

/// How many records a write holds at most, unless its last group has more.
const MOST: usize = 256;

/// How long a write waits at most for others to become durable with it, where several did lately: each sync costs the
/// processor too. Whoever writes alone never waits.
const LONGEST: Duration = Duration::from_millis(30);

/// With so many open entries a write waits for as long as [`LONGEST`]; with fewer for less, since fewer ends are to
/// come: when a run ends, everything would wait for the last of them.
const MANY_OPEN: u32 = 64;

/// How many groups are worth a write of their own.
const ENOUGH: usize = 32;

/// Of how many writes the one with the most groups says for how many the next one waits.
const LATELY: usize = 4;

pub(crate) type Answer = Result<Sequence, JournalError>;

/// A group, and who is told what became of it.
pub(crate) type Waiting = (Group, Box<dyn FnOnce(Answer) + Send>);

/// Groups that wait. The thread is woken when a write is worth it, and not by each of them.
#[derive(Default)]
pub(crate) struct Gathering {
    inner: Mutex<Inner>,
    worth_it: Condvar,
}

#[derive(Default)]
struct Inner {
    waiting: Vec<Waiting>,
    records: usize,
    /// For how many groups the thread waits, where it does.
    wanted: Option<usize>,
    /// No more come.
    closed: bool,
    /// Nobody takes them any more.
    ended: bool,
}

impl Inner {
    fn is_worth_it(&self) -> bool {
        let enough = |wanted| self.waiting.len() >= wanted || self.records >= MOST;
        self.wanted.is_some_and(enough) || self.closed
    }

    /// What one write holds.
    fn take(&mut self) -> Vec<Waiting> {
        let mut records = 0;
        let fit = self.waiting.iter().take_while(|(group, _)| {
            let fits = records < MOST;
            records += group.entries.len();
            fits
        });
        let fit = fit.count();
        let rest = self.waiting.split_off(fit);
        self.records = count(&rest);
        mem::replace(&mut self.waiting, rest)
    }
}

fn count(waiting: &[Waiting]) -> usize {
    waiting.iter().map(|(group, _)| group.entries.len()).sum()
}

impl Gathering {
    /// Has a group wait. It is told at once where nobody writes any more.
    pub(crate) fn push(&self, group: Group, reply: Box<dyn FnOnce(Answer) + Send>) {
        let mut inner = self.lock();
        if inner.ended {
            drop(inner);
            reply(Err(JournalError::Stopped));
            return;
        }
        inner.records += group.entries.len();
        inner.waiting.push((group, reply));
        if inner.is_worth_it() {
            self.worth_it.notify_one();
        }
    }

    /// No more come.
    pub(crate) fn close(&self) {
        self.lock().closed = true;
        self.worth_it.notify_one();
    }

    /// What the next write holds, with so many entries open; `None` when no more come.
    pub(crate) fn next(&self, pace: &mut Pace, open: usize) -> Option<Vec<Waiting>> {
        let mut inner = self.lock();
        let not_yet = |inner: &mut Inner| !inner.is_worth_it();
        inner.wanted = Some(1);
        let woken = self.worth_it.wait_while(inner, not_yet);
        let mut inner = woken.unwrap_or_else(PoisonError::into_inner);
        inner.wanted = Some(pace.wanted());
        let woken = self.worth_it.wait_timeout_while(inner, patience(open), not_yet);
        let (mut inner, _) = woken.unwrap_or_else(PoisonError::into_inner);
        inner.wanted = None;
        let taken = inner.take();
        pace.took(taken.len());
        (!taken.is_empty()).then_some(taken)
    }

    /// Nobody writes any more: what waits is told so.
    fn end(&self) {
        let mut inner = self.lock();
        inner.ended = true;
        let left = mem::take(&mut inner.waiting);
        drop(inner);
        for (_, reply) in left {
            reply(Err(JournalError::Stopped));
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Gathering {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let waiting = self.lock().waiting.len();
        f.debug_struct("Gathering").field("waiting", &waiting).finish()
    }
}

/// Ends the gathering with the thread that writes, however that ends.
pub(crate) struct Ends<'a>(pub(crate) &'a Gathering);

impl Drop for Ends<'_> {
    fn drop(&mut self) {
        self.0.end();
    }
}

/// How many groups each of the last writes had.
pub(crate) struct Pace([usize; LATELY]);

impl Pace {
    pub(crate) fn new() -> Self {
        Self([1; LATELY])
    }

    fn wanted(&self) -> usize {
        self.0.iter().copied().max().unwrap_or(1).clamp(1, ENOUGH)
    }

    fn took(&mut self, groups: usize) {
        self.0.rotate_right(1);
        self.0[0] = groups;
    }
}

/// How long a write waits for others, with so many entries open.
fn patience(open: usize) -> Duration {
    let open = u32::try_from(open).unwrap_or(u32::MAX).min(MANY_OPEN);
    LONGEST * open / MANY_OPEN
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::mpsc::{Receiver, channel};
    use std::thread;

    use bytes::Bytes;
    use lagan_model::journal::{Effect, Entry, RunId};

    use super::*;

    fn group(records: usize) -> Group {
        let entry = || Entry {
            run: RunId::from_bits(1),
            effect: Effect::None,
            body: Bytes::from_static(b"{}"),
        };
        Group {
            entries: (0..records).map(|_| entry()).collect(),
            contents: Vec::new(),
            needs_room: true,
        }
    }

    fn push(gathering: &Gathering, records: usize) -> Receiver<Answer> {
        let (tell, told) = channel();
        gathering.push(group(records), Box::new(move |answer| drop(tell.send(answer))));
        told
    }

    fn next(gathering: &Gathering, pace: &mut Pace) -> Vec<usize> {
        let taken = gathering.next(pace, 0).unwrap_or_default();
        taken.iter().map(|(group, _)| group.entries.len()).collect()
    }

    #[test]
    fn the_fewer_ends_are_to_come_the_less_a_write_waits_for_them() {
        assert_eq!(patience(0), Duration::ZERO);
        let waits: Vec<Duration> = (0..=100).map(patience).collect();
        assert!(waits.is_sorted());
        assert!(patience(1) < Duration::from_millis(1));
        assert_eq!(patience(64), LONGEST);
        assert_eq!(patience(usize::MAX), LONGEST);
    }

    #[test]
    fn a_write_waits_for_as_many_groups_as_one_of_the_last_few_had_and_no_more_than_are_worth_it() {
        let mut pace = Pace::new();
        assert_eq!(pace.wanted(), 1);
        pace.took(7);
        pace.took(2);
        assert_eq!(pace.wanted(), 7);
        for _ in 0..LATELY {
            pace.took(1);
        }
        assert_eq!(pace.wanted(), 1);
        pace.took(1000);
        assert_eq!(pace.wanted(), ENOUGH);
    }

    #[test]
    fn what_waits_is_taken_in_order_and_a_write_ends_with_the_group_that_fills_it() {
        let gathering = Gathering::default();
        let mut pace = Pace::new();
        let sizes = [1, MOST - 2, 5, 3, MOST + 1, 1];
        let told: Vec<_> = sizes.iter().map(|records| push(&gathering, *records)).collect();
        assert_eq!(next(&gathering, &mut pace), [1, MOST - 2, 5]);
        assert_eq!(next(&gathering, &mut pace), [3, MOST + 1]);
        gathering.close();
        assert_eq!(next(&gathering, &mut pace), [1]);
        assert!(gathering.next(&mut pace, 0).is_none());
        assert!(
            told.iter().all(|told| told.try_recv().is_err()),
            "nobody was told yet"
        );
    }

    #[test]
    fn a_thread_that_waits_for_one_group_is_woken_by_one_and_by_the_end() {
        let gathering = Arc::new(Gathering::default());
        let pushing = Arc::clone(&gathering);
        let pushes = thread::spawn(move || {
            drop(push(&pushing, 1));
            pushing.close();
        });
        let mut pace = Pace::new();
        assert_eq!(next(&gathering, &mut pace), [1]);
        assert!(gathering.next(&mut pace, usize::MAX).is_none());
        assert!(pushes.join().is_ok());
    }

    #[test]
    fn what_still_waits_when_the_thread_ends_is_told_so_and_so_is_what_comes_later() {
        let gathering = Gathering::default();
        let before = push(&gathering, 1);
        drop(Ends(&gathering));
        let after = push(&gathering, 1);
        for told in [before, after] {
            assert!(matches!(told.recv(), Ok(Err(JournalError::Stopped))));
        }
    }
}
