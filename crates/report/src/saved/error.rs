//! Why a plan in a file is refused.

use std::io;

use lagan_model::{RepositoryName, SnapshotError};
use thiserror::Error;

/// Why a plan cannot be read; a fragment that completes "failed to read the plan: ...".
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum PlanFileError {
    /// The file could not be read.
    #[error("its file cannot be read")]
    Io(#[from] io::Error),
    /// Something else.
    #[error("this is no plan: it does not begin with {{\"schema\":\"lagan.plan/v1\"")]
    NotAPlan,
    /// A format of a later version.
    #[error("it is in the format {0:?}, and this version reads lagan.plan/v1")]
    Newer(String),
    /// There is no checksum at its end.
    #[error("there is no checksum at its end: it was cut off, or not written by --save")]
    Truncated,
    /// It ends before its last brace.
    #[error("it ends in the middle, at byte {0}")]
    Cut(u64),
    /// Its checksum is another one.
    #[error("it was edited: its content has the SHA-256 {found}, its last field says {said}")]
    Edited {
        /// What its content has.
        found: String,
        /// What it says.
        said: String,
    },
    /// It changed between being verified and being read.
    #[error("it was changed while it was read")]
    Changed,
    /// It is not JSON, or not this JSON.
    #[error("{what} at byte {at} is not as the format has it")]
    Malformed {
        /// Which part.
        what: String,
        /// Where that begins.
        at: u64,
        /// What is wrong with it, where the part itself is well-formed enough to tell.
        #[source]
        source: Option<serde_json::Error>,
    },
    /// A part larger than is read.
    #[error("{what} at byte {at} has more than {limit} bytes")]
    TooLarge {
        /// Which part.
        what: String,
        /// Where it begins.
        at: u64,
        /// How much is read.
        limit: usize,
    },
    /// Nested deeper than any plan.
    #[error("{what} at byte {at} is nested too deeply")]
    TooDeep {
        /// Which part.
        what: String,
        /// Where it begins.
        at: u64,
    },
    /// Repositories are not in the order of their names, or one stands there twice.
    #[error("{0} stands out of order, or twice")]
    Order(RepositoryName),
    /// Its sums are not those of its repositories.
    #[error("its totals are not those of its repositories")]
    Totals,
    /// The facts of a repository contradict each other.
    #[error("its facts contradict each other")]
    Facts(#[from] SnapshotError),
    /// It does not hold the tags that stay.
    #[error("it does not hold the tags that stay")]
    WithoutKept,
}

impl PlanFileError {
    /// What can be done about it.
    #[must_use]
    pub fn hint(&self) -> Option<&'static str> {
        Some(match self {
            Self::Newer(_) => "read it with the version that wrote it, or a later one",
            Self::NotAPlan => "give a file that `lagan plan --save` wrote",
            Self::Truncated | Self::Cut(_) | Self::Edited { .. } | Self::Changed => {
                "plan again with `lagan plan --save`: a plan that is not as it was written is not used"
            }
            Self::WithoutKept => "write it with --save, or with --all --format json",
            Self::Malformed { .. } | Self::Order(_) | Self::Totals | Self::Facts(_) => {
                "plan again with `lagan plan --save`"
            }
            Self::Io(_) | Self::TooLarge { .. } | Self::TooDeep { .. } => return None,
        })
    }
}
