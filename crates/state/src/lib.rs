//! What outlives a run: the state directory, and in it the journal of deletions and the audit log.
//!
//! The journal is kept twice. The *mirror* is a file of checksummed, chained lines, synced first; the *store* (sled)
//! finds things by number, digest and run. Neither is trusted alone: opening compares them, and what is sound in
//! either is kept. docs/adr/0011-the-journal-is-kept-twice.md says why.

mod audit;
mod copies;
mod directory;
mod error;
mod files;
mod format;
mod gathering;
mod journal;
mod lock;
mod memory;
mod opening;
mod options;
mod portable;
mod runs;
mod space;
mod verify;
mod watched;
mod writer;

#[cfg(test)]
mod tests;

pub use self::audit::{AuditBatch, AuditCheck, AuditLog, AuditOptions, User, Who, verify_audit};
pub use self::error::{Problem, StateError};
pub use self::journal::DiskJournal;
pub use self::memory::{DiskCache, DiskLedger, Memory};
pub use self::opening::Notice;
pub use self::options::Options;
pub use self::portable::{Exported, Imported};
pub use self::runs::{Restoration, RunRecord, RunSummary};
pub use self::verify::{Compaction, Verification, compact, verify};
