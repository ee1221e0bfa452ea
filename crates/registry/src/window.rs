//! How many requests may be under way at once: found by measuring, not by waiting for errors.
//!
//! A registry on the same machine is fastest with a handful of requests at a time, without ever refusing more; one far
//! away needs many. So a window is judged by what it brings: answers a second, which by Little's law are the requests
//! under way divided by the mean time of an answer. (Counting answers between two moments instead would be misled by
//! answers that arrive in bursts.) Doubling finds the size to begin with; afterwards a larger or smaller window is tried
//! now and then beside the one in use. What the registry refuses for lack of capacity makes the window smaller at once.
//!
//! What a registry brings changes by itself: one that collects its garbage answers a quarter as fast for some hundred
//! milliseconds, several times the difference between two windows. Believing single measurements would follow that
//! noise to wherever it leads. So a trial takes turns with the window in use, and has to win more than once; and only
//! what lasts is taken for a change of the registry.
//!
//! Pure: times are given, nothing is awaited, and equal inputs have equal results.

use std::time::Duration;

/// The window to begin with, where the bound allows it. With fewer, a registry on the same machine waits for us
/// whenever we look at answers.
const FIRST: usize = 16;

/// No measurement makes the window smaller than this, only refusals do: less brings nothing, and costs nearly
/// everything where a measurement was wrong.
const LEAST: usize = 8;

/// How many answers are measured before the window is doubled, at least.
const FEW: usize = 16;

/// How many answers are measured before any other decision, at least.
const MANY: usize = 64;

/// A window that is larger by a factor `f` has to bring more answers by the factor `f` to this power for growing to go
/// on: about a sixth more for twice the size.
const WORTH_GROWING: f64 = 0.2;

/// The same for a trial: requests under way that bring nothing are a load on the registry and on whoever else uses it.
const PRICE: f64 = 0.1;

/// How much better than the window in use another one has to be.
const BETTER: f64 = 1.01;

/// How often a trial has to win, each time against another measurement of the window in use; as often lost, it has failed.
const ROUNDS: u8 = 2;

/// A window that is smaller by a factor `f`, and brings fewer answers by more than `f` to this power, has lost at once:
/// far from its limits, a registry is not to be used at two thirds for long.
const CLEAR: f64 = 0.5;

/// A registry whose answers a second, in the same window, differ from what is usual by more than this factor, in
/// [`LASTING`] measurements in a row, is a different registry: the search begins anew.
const CHANGED: f64 = 1.3;

/// See [`CHANGED`].
const LASTING: u8 = 4;

/// How much of what is usual the last measurement makes up.
const NEWEST: f64 = 0.25;

/// How many measurements of the window in use there are after growing, until another one is tried.
const FIRST_REST: usize = 1;

/// How many measurements of the window in use there are, at most, between two trials of others.
const LONGEST_REST: usize = 16;

/// How many answers it takes until a larger window is tried again after a refusal, at first. Four times as many with
/// every trial that is refused.
const FORGIVEN: usize = 64;

/// The same, at most.
const FORGIVEN_LATEST: usize = 4096;

/// What the window is doing.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Phase {
    /// Growing; `before` is the window before the last step, and what it brought.
    Growing { before: Option<(usize, f64)> },
    /// Measuring the window in use.
    Using,
    /// Trying another window.
    Trying(Trial),
}

/// Two windows that take turns.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Trial {
    used: usize,
    other: usize,
    /// What `used` brought when it was last measured.
    rate: f64,
    /// How often `other` was better.
    won: u8,
    /// How often it was not.
    lost: u8,
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
    /// Counts what was measured.
    measurements: usize,
    /// What the window in use usually brings.
    usual: Option<f64>,
    /// How many measurements in a row brought less than is usual, if negative, or more.
    unusual: i8,
    /// How many measurements of the window in use are left before the next trial.
    rest: usize,
    /// How many there were before the last trial.
    last_rest: usize,
    /// Whether the next trial is of a larger window.
    upwards: bool,
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
            phase: Phase::Growing { before: None },
            number: 0,
            to_send: 0,
            awaited: 0,
            answers: 0,
            time: Duration::ZERO,
            measurements: 0,
            usual: None,
            unusual: 0,
            rest: 0,
            last_rest: 0,
            upwards: true,
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
        if self.until_lifted > 0 {
            self.until_lifted -= 1;
            if self.until_lifted == 0 {
                self.ceiling = self.bound;
                self.grow_from(self.size);
                return;
            }
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
            Phase::Trying(Trial { used, .. })
            | Phase::Growing {
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
            Phase::Growing { before } => self.grown(before, rate),
            Phase::Using => self.used(rate),
            Phase::Trying(trial) if self.size == trial.other => self.tried(trial, rate),
            Phase::Trying(trial) => self.try_in_turn(Trial { rate, ..trial }),
        }
    }

    /// Begins the search anew.
    fn grow_from(&mut self, size: usize) {
        self.phase = Phase::Growing { before: None };
        self.resize(size);
    }

    fn grown(&mut self, before: Option<(usize, f64)>, rate: f64) {
        if let Some((size, old)) = before {
            let larger = to_float(self.size) / to_float(size);
            if rate < old * larger.powf(WORTH_GROWING) {
                self.settled_on(size);
                return;
            }
            self.held();
        }
        let larger = self.larger();
        if larger > self.size {
            self.phase = Phase::Growing {
                before: Some((self.size, rate)),
            };
            self.resize(larger);
        } else {
            self.settled_on(self.size);
        }
    }

    /// Growing has ended. What it came to in a few answers may be chance; the first trial is of what would matter more.
    fn settled_on(&mut self, size: usize) {
        self.use_from_now(size);
        self.upwards = size <= FIRST;
        self.rest = FIRST_REST;
        self.last_rest = FIRST_REST;
    }

    fn used(&mut self, rate: f64) {
        let usual = *self.usual.get_or_insert(rate);
        self.unusual = if rate * CHANGED < usual {
            self.unusual.min(0) - 1
        } else if rate > usual * CHANGED {
            self.unusual.max(0) + 1
        } else {
            self.usual = Some(usual + (rate - usual) * NEWEST);
            0
        };
        if self.unusual.unsigned_abs() >= LASTING {
            // What got slower is first asked less.
            let size = if self.unusual < 0 {
                self.size.min(FIRST)
            } else {
                self.size
            };
            self.forget();
            self.grow_from(size);
        } else if self.rest > 0 || self.unusual != 0 {
            self.rest = self.rest.saturating_sub(1);
            self.measure();
        } else {
            self.try_other(rate);
        }
    }

    fn tried(&mut self, mut trial: Trial, rate: f64) {
        let larger = to_float(trial.other) / to_float(trial.used);
        let better = rate / trial.rate;
        if better > larger.powf(PRICE) * BETTER {
            trial.won += 1;
        } else if better < larger.powf(CLEAR) {
            trial.lost = ROUNDS;
        } else {
            trial.lost += 1;
        }
        if trial.won >= ROUNDS {
            self.held();
            self.forget();
            self.try_other(rate);
        } else if trial.lost >= ROUNDS {
            self.upwards = !self.upwards;
            self.rest = (self.last_rest * 2 + 1).min(LONGEST_REST);
            self.last_rest = self.rest;
            self.phase = Phase::Using;
            self.resize(trial.used);
        } else {
            self.phase = Phase::Trying(trial);
            self.resize(trial.used);
        }
    }

    /// Goes on with a trial, after another measurement of the window in use.
    fn try_in_turn(&mut self, trial: Trial) {
        self.phase = Phase::Trying(trial);
        self.resize(trial.other);
    }

    /// The next larger window. What was refused is not rushed at.
    fn larger(&self) -> usize {
        let step = if self.refused.is_some() {
            (self.size / 2).max(1)
        } else {
            self.size
        };
        (self.size + step).min(self.ceiling)
    }

    /// Tries a larger or a smaller window than the one in use, which brings `rate`.
    fn try_other(&mut self, rate: f64) {
        let size = self.size;
        let larger = Some(self.larger()).filter(|larger| *larger > size);
        let smaller = Some((size - size / 3).max(LEAST)).filter(|smaller| *smaller < size);
        let (first, second) = if self.upwards {
            (larger, smaller)
        } else {
            (smaller, larger)
        };
        match first.or(second) {
            Some(other) => {
                self.upwards = other > size;
                self.try_in_turn(Trial {
                    used: size,
                    other,
                    rate,
                    won: 0,
                    lost: 0,
                });
            }
            None => {
                self.phase = Phase::Using;
                self.measure();
            }
        }
    }

    /// The registry bears the window that it was given.
    fn held(&mut self) {
        if self.refused.is_some_and(|refused| self.size >= refused) {
            self.refused = None;
            self.forgiven = FORGIVEN;
        }
    }

    /// Forgets what was measured of the window in use.
    fn forget(&mut self) {
        self.usual = None;
        self.unusual = 0;
        self.rest = 0;
        self.last_rest = 0;
    }

    fn use_from_now(&mut self, size: usize) {
        self.forget();
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
        self.measurements = self.measurements.wrapping_add(1);
        self.to_send = match self.phase {
            Phase::Growing { .. } => FEW.max(self.size / 2),
            Phase::Using | Phase::Trying(_) => {
                // Of unequal length, so that nothing that comes and goes at equal intervals meets always the same.
                let many = MANY.max(self.size * 2);
                many + many / 8 * (self.measurements % 5)
            }
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
