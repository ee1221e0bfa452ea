//! What was seen, in four numbers.

use std::time::Duration;

/// What was seen, in four numbers.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Signals {
    /// The share of requests, or of runs where that is larger, that did not succeed: 0 to 1.
    pub failing: f64,
    /// Within which time 95 of 100 requests were answered; `None` where none was.
    pub latency: Option<Duration>,
    /// By how much the share of requests that failed is larger in the later half of the window: -1 to 1. 0 where one
    /// of the halves had none.
    pub growth: f64,
    /// The share of requests that were refused for lack of capacity: 0 to 1.
    pub saturation: f64,
}
