//! Making a decision again from the facts that it was made from, without a registry.

use lagan_model::{Incomplete, Seen, Time};
use lagan_policy::{Context, Depth, RepositoryPolicies, Step, decide};
use thiserror::Error;

use crate::inspect::Inspection;

/// Why a decision cannot be made again.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ReplayError {
    /// Something could not be read, so that nothing was decided.
    #[error("nothing was decided there: {}", .0.why)]
    Incomplete(Incomplete),
    /// The policies ask for more than what was seen: they are others than those that it was seen for.
    #[error("the policies ask for facts that are not there")]
    Missing,
}

/// Decides about a repository from what was seen of it at this depth.
///
/// # Errors
///
/// When the facts do not suffice for these policies.
pub fn replay(
    policies: &RepositoryPolicies<'_>,
    seen: Seen,
    now: Time,
    depth: Depth,
) -> Result<Box<Inspection>, ReplayError> {
    let context = Context {
        now,
        capabilities: seen.capabilities,
        depth,
    };
    let step = match seen.snapshot.complete() {
        Ok(complete) => decide(policies, complete, &context),
        Err(why) => return Err(ReplayError::Incomplete(why.clone())),
    };
    match step {
        Step::Decided(decisions) => Ok(Box::new(Inspection { seen, decisions })),
        Step::Missing(_) => Err(ReplayError::Missing),
    }
}
