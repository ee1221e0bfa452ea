//! When: a table of due times, generic over what it fires.
//!
//! Pure: the time is an argument, nothing here waits, and the clock may do what it likes. A clock that wakes the table,
//! and what becomes of a run, is the caller's.
//!
//! - [`Cron`] reads expressions, strictly; one that can never fire is refused.
//! - [`Schedule`] is an expression in a time zone, with jitter.
//! - [`Table`] says what is due: one run at a time of each entry and of each group, what was missed made up for once.
//! - [`Freeze`] is a time in which nothing may be changed.

mod cron;
mod freeze;
mod grammar;
mod schedule;
mod table;
mod wall;

use chrono::{DateTime, Utc};

pub use cron::{Cron, CronError};
pub use freeze::{Freeze, FreezeError};
pub use lagan_zone::Zone;
pub use schedule::Schedule;
pub use table::{Entry, Last, Status, Table};

/// A point in time, in UTC.
pub type Time = DateTime<Utc>;
