//! Writing a saved plan.

use std::io::{self, Write};

use lagan_model::Seen;
use lagan_policy::RepositoryPlan;
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use super::{SEAL, SEAL_END};
use crate::plan::json;
use crate::plan::{PlanFoot, PlanHead};

/// The policies that a plan was made by, so that it can be made again.
#[derive(Debug, Clone, Default)]
pub struct SavedPolicies {
    /// One for each policy of [`PlanHead::policies`], in the same order.
    pub entries: Vec<PolicyEntry>,
    /// The words that were added to the channel table, as documents write them; `None` where none were.
    pub channels: Option<Value>,
}

/// One policy of a saved plan.
#[derive(Debug, Clone)]
pub struct PolicyEntry {
    /// Whether it made candidates; otherwise it only kept.
    pub asked: bool,
    /// Its body in native form.
    pub policy: Value,
}

/// Writes a plan that can be read back. As with [`PlanWriter`](crate::PlanWriter), repositories are written first, to
/// where they can wait.
#[derive(Debug, Default)]
pub struct SavedPlanWriter {
    any: bool,
}

impl SavedPlanWriter {
    /// Writes a repository, with what it was decided from.
    ///
    /// # Errors
    ///
    /// Where the writer fails.
    pub fn repository(
        &mut self,
        out: &mut dyn Write,
        plan: &RepositoryPlan,
        seen: Option<&Seen>,
    ) -> io::Result<()> {
        out.write_all(if self.any { b",\n" } else { b"\n" })?;
        self.any = true;
        json::saved_repository(out, plan, seen)
    }

    /// Writes what stands in front of the repositories.
    ///
    /// # Errors
    ///
    /// Where the writer fails.
    pub fn head(&self, out: &mut dyn Write, head: &PlanHead, policies: &SavedPolicies) -> io::Result<()> {
        json::head(out, head, Some(policies))
    }

    /// Writes what stands behind them, but for the checksum, which [`Sealed::seal`] writes.
    ///
    /// # Errors
    ///
    /// Where the writer fails.
    pub fn foot(&self, out: &mut dyn Write, foot: &PlanFoot) -> io::Result<()> {
        json::sums(out, foot)?;
        out.write_all(b",")
    }
}

/// A writer that knows the SHA-256 of all that was written to it.
#[derive(Debug)]
pub struct Sealed<W> {
    out: W,
    sha256: Sha256,
}

impl<W: Write> Sealed<W> {
    /// Nothing written yet.
    pub fn new(out: W) -> Self {
        Self {
            out,
            sha256: Sha256::new(),
        }
    }

    /// Writes the last field, which covers all that was written, and gives back what it was written to.
    ///
    /// # Errors
    ///
    /// Where the writer fails.
    pub fn seal(self) -> io::Result<W> {
        let Self { mut out, sha256 } = self;
        write!(out, "{SEAL}{:x}{SEAL_END}", sha256.finalize())?;
        Ok(out)
    }
}

impl<W: Write> Write for Sealed<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = self.out.write(bytes)?;
        self.sha256.update(&bytes[..count]);
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}
