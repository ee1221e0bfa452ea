//! A plan in a file: written by `plan --save`, read by what applies, compares or replays it.
//!
//! A saved plan is a `lagan.plan/v1` that holds everything: the tags that stay, the policies, and for each repository
//! the facts that it was decided from. Its last field, `sha256`, covers every byte before it, so that a file which
//! was cut off or edited is refused before anything in it is believed. That is a checksum and no signature: whoever
//! can write the file can also write a matching one.
//!
//! Both ways are streams. The reader holds one repository at a time, and no more of it than its limits allow.

mod error;
mod read;
mod scan;
mod write;

#[cfg(test)]
mod tests;

pub use error::PlanFileError;
pub use read::{PlanReader, SavedFoot, SavedHead, SavedPolicy, SavedRepository, verify};
pub use write::{PolicyEntry, SavedPlanWriter, SavedPolicies, Sealed};

/// The schema that this version writes and reads.
pub(crate) const SCHEMA: &str = "lagan.plan/v1";

/// What begins the last field; the digits, a quote, a brace and a newline follow.
const SEAL: &str = "\"sha256\":\"";
/// What ends the file.
const SEAL_END: &str = "\"}\n";
/// How many bytes at the end of a saved plan its checksum does not cover.
const SEAL_LENGTH: usize = SEAL.len() + 64 + SEAL_END.len();
