//! How many requests may be under way at once: found by measuring, not by waiting for errors.
//!
//! A registry on the same machine is fastest with a handful of requests at a time and slower with more, without
//! ever refusing one; a registry far away needs many. So a window is judged by what it brings: answers a second,
//! which by Little's law are the requests under way divided by the mean time of an answer. (Counting answers
//! between two moments instead would be misled by answers that arrive in bursts.) Doubling finds the size to begin
//! with; afterwards a somewhat larger or smaller window is tried now and then beside the one in use. What the
//! registry refuses for lack of capacity makes the window smaller at once.
//!
//! Pure: times are given, nothing is awaited, and equal inputs have equal results.

use std::time::Duration;

/// The window to begin with, where the bound allows it.
const FIRST: usize = 8;

/// How many answers are measured before the window is doubled, at least.
const FEW: usize = 12;

/// How many answers are measured before any other decision, at least.
const MANY: usize = 64;

/// How many more answers a window of twice the size has to bring for doubling to go on.
const WORTH_DOUBLING: f64 = 1.15;

/// A window that is larger by a factor `f` has to bring more answers by the factor `f` to this power: requests
/// under way that bring nothing are a load on the registry and on whoever else uses it.
const PRICE: f64 = 0.1;

/// How much better than the window in use another one has to be.
const BETTER: f64 = 1.01;

/// A registry whose answers a second, in the same window, have changed by more than this factor is a different
/// registry: trying other windows begins anew.
const CHANGED: f64 = 1.3;

/// How far a trial goes at most, in quarters of the window in use.
const LONGEST_STRIDE: usize = 4;

/// How many measurements of the window in use there are, at most, between two trials of others.
const LONGEST_REST: usize = 16;

/// How many answers it takes until a larger window is tried again after a refusal, at first. Four times as many with every trial
/// that is refused.
const FORGIVEN: usize = 64;

/// The same, at most.
const FORGIVEN_LATEST: usize = 4096;

/// What the window is doing.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Phase {
    /// Doubling; `before` is the window before the last doubling, and what it brought.
    Doubling { before: Option<(usize, f64)> },
    /// Measuring the window in use.
    Using,
    /// Trying another window than `used`, which brought `rate`.
    Trying { used: usize, rate: f64 },
}

/// What a request was sent under, to be given back with its answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Ticket {
    /// Which window it was sent in, counted.
    window: u64,
    /// Whether its answer is measured.
    measured: bool,
}

/// How many requests may be under way, by what is known so far.
#[derive(Debug)]
pub(crate) struct Window {
    size: usize,
    bound: usize,
    phase: Phase,
    /// Counts the windows, so that an answer is held against the window that it was asked in.
    number: u64,
    /// How many more requests will be measured in this window.
    to_send: usize,
    /// How many of the measured requests have no answer yet.
    awaited: usize,
    answers: usize,
    time: Duration,
    /// What the window in use brought when it was last measured.
    rate: Option<f64>,
    /// How many measurements of the window in use are left before the next trial.
    rest: usize,
    /// How many there were before the last trial.
    last_rest: usize,
    /// Whether the next trial is of a larger window.
    upwards: bool,
    /// How far the next trial goes, in quarters of the window in use: further while trials succeed.
    stride: usize,
    /// The window that was refused last.
    refused: Option<usize>,
    /// The largest window that may be tried.
    ceiling: usize,
    /// How many more answers it takes until the ceiling is lifted.
    until_lifted: usize,
    /// How many answers it takes after a refusal.
    forgiven: usize,
    /// Whether it never changes.
    fixed: bool,
}

impl Window {
    /// A window of always `size`; 0 is 1.
    pub(crate) fn fixed(size: usize) -> Self {
        Self {
            size: size.max(1),
            to_send: 0,
            fixed: true,
            ..Self::new(size)
        }
    }

    /// A window that never exceeds `bound`; a bound of 0 is one of 1.
    pub(crate) fn new(bound: usize) -> Self {
        let bound = bound.max(1);
        let mut window = Self {
            size: FIRST.min(bound),
            bound,
            phase: Phase::Doubling { before: None },
            number: 0,
            to_send: 0,
            awaited: 0,
            answers: 0,
            time: Duration::ZERO,
            rate: None,
            rest: 0,
            last_rest: 0,
            upwards: true,
            stride: 1,
            refused: None,
            ceiling: bound,
            until_lifted: 0,
            forgiven: FORGIVEN,
            fixed: false,
        };
        window.measure();
        window
    }

    /// How many requests may be under way now.
    pub(crate) fn size(&self) -> usize {
        self.size
    }

    /// A request is sent. `full` says that the window is: only then does it show what a window of this size brings.
    pub(crate) fn sent(&mut self, full: bool) -> Ticket {
        let measured = full && self.to_send > 0;
        if measured {
            self.to_send -= 1;
            self.awaited += 1;
        }
        Ticket {
            window: self.number,
            measured,
        }
    }

    /// A request was answered, in this time.
    pub(crate) fn answered(&mut self, ticket: Ticket, time: Duration) {
        self.until_lifted = self.until_lifted.saturating_sub(1);
        if self.until_lifted == 0 {
            self.ceiling = self.bound;
        }
        if self.counts(ticket) {
            self.answers += 1;
            self.time += time;
            self.settle();
        }
    }

    /// A request came to nothing that says anything of the registry's capacity.
    pub(crate) fn abandoned(&mut self, ticket: Ticket) {
        if self.counts(ticket) {
            self.settle();
        }
    }

    /// A request was refused for lack of capacity, or not answered in time. Says whether that concerns the registry
    /// as it is used, and not only a larger window that was being tried.
    pub(crate) fn refused(&mut self, ticket: Ticket) -> bool {
        if self.fixed {
            return true;
        }
        if ticket.window != self.number {
            // Sent in a window that has been left; what it has to say has been said.
            return false;
        }
        let refused = self.size;
        let (size, trial) = match self.phase {
            Phase::Trying { used, .. }
            | Phase::Doubling {
                before: Some((used, _)),
            } if used < refused => (used, true),
            _ => ((refused / 2).max(1), false),
        };
        if trial {
            self.forgiven = (self.forgiven * 4).min(FORGIVEN_LATEST);
        }
        self.refused = Some(refused);
        self.until_lifted = self.forgiven;
        self.ceiling = size;
        self.rate = None;
        self.upwards = true;
        self.stride = 1;
        self.rest = 0;
        self.last_rest = 0;
        self.use_from_now(size);
        !trial
    }

    fn counts(&mut self, ticket: Ticket) -> bool {
        let counts = ticket.measured && ticket.window == self.number;
        if counts {
            self.awaited -= 1;
        }
        counts
    }

    /// Decides, once every measured request has ended.
    fn settle(&mut self) {
        if self.to_send > 0 || self.awaited > 0 {
            return;
        }
        let Some(rate) = self.measured() else {
            self.measure();
            return;
        };
        match self.phase {
            Phase::Doubling { before } => self.doubled(before, rate),
            Phase::Using => self.used(rate),
            Phase::Trying { used, rate: before } => self.tried(used, before, rate),
        }
    }

    fn doubled(&mut self, before: Option<(usize, f64)>, rate: f64) {
        match before {
            Some((size, old)) if rate < old * WORTH_DOUBLING => {
                self.rate = Some(old);
                self.upwards = false;
                self.use_from_now(size);
            }
            _ if self.size < self.ceiling => {
                self.phase = Phase::Doubling {
                    before: Some((self.size, rate)),
                };
                self.resize((self.size * 2).min(self.ceiling));
            }
            _ => {
                self.rate = Some(rate);
                self.upwards = false;
                self.use_from_now(self.size);
            }
        }
    }

    fn used(&mut self, rate: f64) {
        let before = self.rate.replace(rate);
        if let Some(before) = before
            && (rate > before * CHANGED || rate * CHANGED < before)
        {
            // What got slower is first asked less.
            self.upwards = rate > before;
            self.rest = 0;
            self.last_rest = 0;
        }
        if self.rest > 0 {
            self.rest -= 1;
            self.measure();
            return;
        }
        self.try_other(rate);
    }

    fn tried(&mut self, used: usize, before: f64, rate: f64) {
        let score = |size: usize, rate: f64| rate / to_float(size).powf(PRICE);
        if score(self.size, rate) > score(used, before) * BETTER {
            if self.refused.is_some_and(|refused| self.size >= refused) {
                self.refused = None;
                self.forgiven = FORGIVEN;
            }
            self.rate = Some(rate);
            self.last_rest = 0;
            self.stride = (self.stride * 2).min(LONGEST_STRIDE);
            self.try_other(rate);
        } else {
            self.upwards = !self.upwards;
            self.stride = 1;
            self.rest = (self.last_rest * 2 + 1).min(LONGEST_REST);
            self.last_rest = self.rest;
            self.use_from_now(used);
        }
    }

    /// Tries a larger or a smaller window than the one in use, which brings `rate`.
    fn try_other(&mut self, rate: f64) {
        let size = self.size;
        let larger = size + (size * self.stride / 4).max(1);
        let larger = Some(larger.min(self.ceiling)).filter(|larger| *larger > size);
        let smaller = size.saturating_sub((size * self.stride / (4 + self.stride)).max(1));
        let smaller = Some(smaller).filter(|smaller| *smaller > 0);
        let (first, second) = if self.upwards {
            (larger, smaller)
        } else {
            (smaller, larger)
        };
        match first.or(second) {
            Some(other) => {
                self.upwards = other > size;
                self.phase = Phase::Trying { used: size, rate };
                self.resize(other);
            }
            None => self.use_from_now(size),
        }
    }

    fn use_from_now(&mut self, size: usize) {
        self.phase = Phase::Using;
        self.resize(size);
    }

    fn resize(&mut self, size: usize) {
        self.size = size;
        self.number += 1;
        self.measure();
    }

    /// Begins to measure.
    fn measure(&mut self) {
        self.to_send = match self.phase {
            Phase::Doubling { .. } => FEW.max(self.size / 2),
            Phase::Using | Phase::Trying { .. } => MANY.max(self.size * 4),
        };
        self.awaited = 0;
        self.answers = 0;
        self.time = Duration::ZERO;
    }

    /// Answers a second in this window; `None` where none was measured.
    fn measured(&self) -> Option<f64> {
        let time = self.time.as_secs_f64();
        (time > 0.0).then(|| to_float(self.size) * to_float(self.answers) / time)
    }
}

/// Counts are far below what a float holds exactly.
#[expect(clippy::cast_precision_loss, reason = "counts of requests")]
fn to_float(count: usize) -> f64 {
    count as f64
}

#[cfg(test)]
mod simulation;
