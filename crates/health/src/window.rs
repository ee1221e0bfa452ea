//! What was seen lately, in slices of time: what a slice holds leaves the window with it.

use std::collections::BTreeMap;
use std::time::Duration;

use chrono::TimeDelta;

use crate::Time;
use crate::latency::Latencies;
use crate::signals::Signals;

/// How many slices a window has; half of them are its later half.
const SLICES: i64 = 48;

/// A request that was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Request {
    /// Whether it failed: an answer of 500 and above or of 429, or none.
    pub failed: bool,
    /// Whether it was refused for lack of capacity, or not answered in time.
    pub refused: bool,
    /// How long the answer took; `None` where it says nothing of the work that was asked for.
    pub latency: Option<Duration>,
}

/// What was seen in a sliding window of time. A window without requests and runs holds nothing.
#[derive(Debug, Clone)]
pub struct Window {
    /// Of a slice, in milliseconds.
    length: i64,
    /// By the number of the slice, counted from 1970.
    slices: BTreeMap<i64, Slice>,
}

#[derive(Debug, Clone, Default)]
struct Slice {
    requests: u64,
    failed: u64,
    refused: u64,
    runs: u64,
    runs_failed: u64,
    latencies: Latencies,
}

impl Slice {
    fn merge(&mut self, other: &Self) {
        self.requests += other.requests;
        self.failed += other.failed;
        self.refused += other.refused;
        self.runs += other.runs;
        self.runs_failed += other.runs_failed;
        self.latencies.merge(&other.latencies);
    }
}

impl Window {
    /// A window of this length. What was seen counts for as long, or up to a 48th of it less.
    #[must_use]
    pub fn new(length: TimeDelta) -> Self {
        Self {
            length: (length.num_milliseconds() / SLICES).max(1),
            slices: BTreeMap::new(),
        }
    }

    /// A request was sent.
    pub fn request(&mut self, now: Time, request: Request) {
        let slice = self.slice(now);
        slice.requests += 1;
        slice.failed += u64::from(request.failed);
        slice.refused += u64::from(request.refused);
        if let Some(latency) = request.latency {
            slice.latencies.add(latency);
        }
    }

    /// A run ended, well or not.
    pub fn run(&mut self, now: Time, succeeded: bool) {
        let slice = self.slice(now);
        slice.runs += 1;
        slice.runs_failed += u64::from(!succeeded);
    }

    /// What it says; `None` where nothing was seen in it.
    #[must_use]
    pub fn signals(&self, now: Time) -> Option<Signals> {
        let last = self.number(now);
        let half = last - SLICES / 2;
        let (mut earlier, mut later) = (Slice::default(), Slice::default());
        for (number, slice) in self.slices.range(last - SLICES + 1..=last) {
            if *number > half { &mut later } else { &mut earlier }.merge(slice);
        }
        let mut whole = earlier.clone();
        whole.merge(&later);
        if whole.requests == 0 && whole.runs == 0 {
            return None;
        }
        let failing = |slice: &Slice| share(slice.failed, slice.requests);
        let growth = match (failing(&earlier), failing(&later)) {
            (Some(earlier), Some(later)) => later - earlier,
            _ => 0.0,
        };
        let runs = share(whole.runs_failed, whole.runs).unwrap_or(0.0);
        // Runs that sent nothing say nothing of latencies, and so nothing against them.
        let latency = match whole.requests {
            0 => Some(Duration::ZERO),
            _ => whole.latencies.within(95),
        };
        Some(Signals {
            failing: failing(&whole).unwrap_or(0.0).max(runs),
            latency,
            growth,
            saturation: share(whole.refused, whole.requests).unwrap_or(0.0),
        })
    }

    /// The slice of now. What has left the window goes, and what a clock that was wrong put into the future.
    fn slice(&mut self, now: Time) -> &mut Slice {
        let number = self.number(now);
        let first = number - SLICES + 1;
        self.slices.retain(|known, _| (first..=number).contains(known));
        self.slices.entry(number).or_default()
    }

    fn number(&self, now: Time) -> i64 {
        now.timestamp_millis().div_euclid(self.length)
    }
}

fn share(some: u64, all: u64) -> Option<f64> {
    (all > 0).then(|| some as f64 / all as f64)
}
