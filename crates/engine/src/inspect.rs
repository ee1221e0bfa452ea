//! Looking at one repository closely, to explain a decision.

use lagan_model::{Incomplete, Observer, RegistryProbe, RepositoryName, Seen, Time};
use lagan_policy::{Decisions, Depth, Policy, PolicySet};
use thiserror::Error;

use crate::collect::{Collected, Collector};
use crate::health::Health;
use crate::memory::Memory;

/// A repository with every relation known, and what is decided about it.
#[derive(Debug)]
pub struct Inspection {
    /// What was seen. It is complete.
    pub seen: Seen,
    /// What is decided.
    pub decisions: Box<Decisions>,
}

/// Why a repository cannot be explained.
#[derive(Debug, Error)]
pub enum InspectError {
    /// No policy names the repository.
    #[error("no policy names {0}: everything in it is kept")]
    NotNamed(RepositoryName),
    /// The registry does not know it.
    #[error("the registry knows no repository {0}")]
    NotFound(RepositoryName),
    /// Something in it could not be read, so that nothing is decided about it.
    #[error("{repository} could not be read completely, so nothing in it would be deleted: {}", why.why)]
    Incomplete {
        /// The repository.
        repository: RepositoryName,
        /// What could not be read.
        why: Incomplete,
    },
}

/// What is to be looked at.
pub struct InspectRequest<'a> {
    /// All policies of the registry.
    pub policies: &'a PolicySet,
    /// Those that make candidates. The others keep, as all do.
    pub asked: &'a (dyn Fn(&Policy) -> bool + Sync),
    /// The repository.
    pub repository: &'a RepositoryName,
    /// The clock of all decisions.
    pub now: Time,
    /// Whether the registry may be asked what it can delete, as for a plan.
    pub probe: bool,
    /// What earlier runs found out.
    pub memory: Memory<'a>,
}

/// Looks at a repository with all its relations.
///
/// # Errors
///
/// When no policy names it, or it cannot be read.
pub async fn inspect<R: RegistryProbe, O: Observer>(
    registry: &R,
    observer: &O,
    request: &InspectRequest<'_>,
) -> Result<Box<Inspection>, InspectError> {
    let repository = request.repository;
    let asked = |policy: &Policy| (request.asked)(policy);
    let Some(of_repository) = request.policies.of_repository(repository, &asked) else {
        return Err(InspectError::NotNamed(repository.clone()));
    };
    registry.will_survey(std::slice::from_ref(repository));
    let health = Health::default();
    let collector = Collector {
        registry,
        observer,
        memory: request.memory,
        health: &health,
        now: request.now,
        depth: Depth::Everything,
        probe: request.probe,
    };
    match collector.collect(&of_repository, repository).await {
        Collected::Decided(inspection) => Ok(inspection),
        Collected::NotFound => Err(InspectError::NotFound(repository.clone())),
        Collected::Incomplete(why, _) => Err(InspectError::Incomplete {
            repository: repository.clone(),
            why,
        }),
    }
}
