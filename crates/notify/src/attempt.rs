//! What came of one attempt to tell somebody.

use std::time::Duration;

/// The longest pause that a receiver may ask for; what it asks beyond is not honoured.
pub(crate) const LONGEST_ASKED: Duration = Duration::from_secs(600);

/// What came of one attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Attempt {
    /// It was taken.
    Taken,
    /// It may be taken later; after so long at the earliest, where the receiver says so.
    Later(String, Option<Duration>),
    /// It will not be taken.
    Never(String),
}
