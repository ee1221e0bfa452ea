//! Being watched: somebody is told of every request that was sent.

use std::fmt::Debug;
use std::time::Duration;

use lagan_model::RequestKind;

/// Somebody who is told of requests: metrics, for instance. It is called between requests, and must not wait.
pub trait Observer: Debug + Send + Sync {
    /// A request was sent, and answered or not. One that is sent again is told of again; redirects that were followed
    /// are part of it.
    fn sent(&self, sent: &Sent);
}

/// A request that was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sent {
    /// What it was for.
    pub kind: RequestKind,
    /// What came of it.
    pub answer: Answered,
    /// How long that took, the body included.
    pub took: Duration,
    /// Whether the time is that of the registry's own work: it answered itself, and neither greeted nor gave a token.
    pub measured: bool,
    /// Whether it was refused for lack of capacity, or not answered in time.
    pub refused: bool,
    /// How many requests may be under way at once, now that this one was answered.
    pub window: usize,
}

/// What came of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answered {
    /// A status.
    Status(u16),
    /// No answer in time.
    TimedOut,
    /// A connection that broke or did not come about, or an answer that cannot be used.
    Broken,
}

impl Answered {
    /// Whether whoever answers has a problem: 429, 500 and above, or no answer. What is refused or absent is an answer.
    #[must_use]
    pub fn is_failure(self) -> bool {
        match self {
            Self::Status(status) => status == 429 || status >= 500,
            Self::TimedOut | Self::Broken => true,
        }
    }
}
