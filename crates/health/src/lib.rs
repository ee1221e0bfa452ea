//! How well something does: a score from 0 to 100, out of what was seen of it lately.
//!
//! Pure: the time is an argument, and whoever sends requests tells of them. A [`Window`] holds what was seen,
//! [`Signals`] are what it says, [`Targets`] what is expected, and a [`Score`] shows the parts that it is made of:
//!
//! ```text
//! score = 40 * success + 30 * latency + 20 * growth + 10 * saturation
//! part  = min(1, target / measured)
//! ```
//!
//! A part is 1 while its signal is within the target, half where it is twice that, and goes towards 0. Where nothing
//! was seen there are no signals, and no score: silence is neither good nor bad.

mod latency;
mod score;
mod signals;
mod targets;
mod window;

use chrono::{DateTime, Utc};

pub use score::{Part, PartKind, Score};
pub use signals::Signals;
pub use targets::{Share, Targets};
pub use window::{Request, Window};

/// A point in time, in UTC.
pub type Time = DateTime<Utc>;
