//! Checking an audit log.

use std::io;
use std::path::Path;

use super::files::{self, AUDIT, Items};
use crate::error::StateError;
use crate::format::hash::Checksum;
use crate::format::line::LineError;

/// How many problems are told one by one.
const TOLD: usize = 100;

/// What checking an audit log found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AuditCheck {
    /// How many files it has.
    pub files: u64,
    /// How many entries are sound.
    pub entries: u64,
    /// How many entries came before the first file that is still there, and were removed with theirs.
    pub removed: u64,
    /// Pieces that somebody was interrupted in writing: nobody was told that they are durable.
    pub unfinished: u64,
    /// How much is wrong.
    pub wrong: u64,
    /// What is wrong; the first hundred.
    pub problems: Vec<String>,
}

impl AuditCheck {
    fn note(&mut self, problem: String) {
        self.wrong += 1;
        if self.problems.len() < TOLD {
            self.problems.push(problem);
        }
    }
}

/// The line that came last, and what was between it and the next one.
#[derive(Default)]
struct Chain {
    audit: Option<String>,
    last: Option<(u64, Checksum)>,
    /// Lines that are not sound, and where the first is.
    unsound: u64,
    /// How many of them somebody was interrupted in writing.
    cut_off: u64,
    at: String,
}

impl Chain {
    /// Counts what is not sound behind the last line, where that can have been written so.
    fn count(&self, check: &mut AuditCheck) {
        check.unfinished += self.cut_off;
        // Whatever else was there had been acknowledged.
        if self.unsound > self.cut_off {
            check.note(format!("{}: it is damaged", self.at));
        }
    }
}

/// Checks every checksum and the chain through all files. `None` where there is no log.
///
/// The chain has no key: it shows damage and what was changed by hand, and not what somebody rewrote to its end.
///
/// # Errors
///
/// When it cannot be read, or a newer version wrote it.
pub fn verify_audit(root: &Path) -> Result<Option<AuditCheck>, StateError> {
    let folder = root.join(AUDIT);
    let numbers = files::numbers(&folder)?;
    if numbers.is_empty() {
        return Ok(None);
    }
    let (mut check, mut chain) = (AuditCheck::default(), Chain::default());
    for number in numbers {
        let path = files::path(&folder, number);
        let reading = |error: io::Error| StateError::io("read the audit log", &path)(error);
        check.files += 1;
        let mut items = Items::of(&path).map_err(reading)?;
        let mut line = 0;
        while let Some(item) = items.next().map_err(reading)? {
            line += 1;
            let place = || format!("{number:06}.jsonl, line {line}");
            match item.read {
                Err(LineError::Newer(version)) => return Err(files::newer(&path, version)),
                Err(LineError::Damaged(_)) => {
                    if chain.unsound == 0 {
                        chain.at = place();
                    }
                    chain.unsound += 1;
                    // The last piece of a file lacks even the mark.
                    chain.cut_off += u64::from(item.cut_off || !item.ends);
                }
                Ok((found, checksum)) => {
                    let header = found.audit.is_some();
                    let follows = match (&chain.last, found.prev) {
                        // Where older files were removed, nobody can tell what it followed.
                        (None, prev) => header && (prev.is_some() || found.seq == 0),
                        (Some((seq, last)), Some(prev)) => {
                            let next = if header { *seq } else { seq + 1 };
                            prev == *last && found.seq == next
                        }
                        (Some(_), None) => false,
                    };
                    if chain.last.is_none() {
                        check.removed = found.seq.saturating_sub(u64::from(!header));
                    }
                    if header && line != 1 {
                        check.note(format!("{}: a file begins in the middle of another", place()));
                    }
                    if let (Some(named), Some(before)) = (&found.audit, &chain.audit)
                        && named != before
                    {
                        check.note(format!("{}: it is of another log", place()));
                    }
                    match (follows, chain.unsound) {
                        (true, 0) => {}
                        (true, _) => chain.count(&mut check),
                        (false, 0) => check.note(format!(
                            "{}: it does not follow the one before: entries are missing, or were changed",
                            place()
                        )),
                        (false, _) => check.note(format!(
                            "{}: it is damaged, and what comes after it does not follow the one before",
                            chain.at
                        )),
                    }
                    check.entries += u64::from(!header);
                    chain.audit = found.audit.or(chain.audit.take());
                    chain.last = Some((found.seq, checksum));
                    (chain.unsound, chain.cut_off) = (0, 0);
                }
            }
        }
    }
    // Nothing follows that could vouch for it, but a line without an end was never acknowledged.
    chain.count(&mut check);
    Ok(Some(check))
}
