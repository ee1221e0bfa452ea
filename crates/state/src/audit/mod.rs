//! The audit log: who had what done, in lines of JSON that are chained like those of the journal.
//!
//! The journal holds what undoing needs, and is written by whoever has the state directory to himself. This holds what
//! somebody will ask later: what was decided, for which reasons, and on whose behalf; what was refused, overridden, put
//! back. It is written by any process at any time, beside a run of another one, and so has a lock of its own, which
//! nobody holds for longer than writing takes.
//!
//! A file begins with a header that names the log and continues the chain of the file before it. A file that is long
//! enough is followed by another one, and of many files the oldest are removed.

mod check;
mod files;
mod line;
mod log;
mod who;

pub use self::check::{AuditCheck, verify_audit};
pub(crate) use self::files::AUDIT;
pub use self::log::{AuditBatch, AuditLog, AuditOptions};
pub use self::who::{User, Who};
