//! A dry run: every repository in scope, decided and handed on in the order of names.

use std::collections::BTreeMap;

use futures_util::{StreamExt, stream};
use lagan_model::{Incomplete, Observer, RegistryProbe, RepositoryName, Seen, Time};
use lagan_policy::{
    Depth, Evidence, GuardReport, Guards, Limits, Policy, PolicySet, RepositoryPlan, Rollouts, Totals, Undo,
};
use thiserror::Error;

use crate::collect::{Collected, Collector};
use crate::health::Health;
use crate::inspect::Inspection;
use crate::memory::Memory;
use crate::scope::{SaidBy, Scope, ScopeError};

/// What is to be planned.
pub struct PlanRequest<'a> {
    /// All policies of the registry.
    pub policies: &'a PolicySet,
    /// Those that make candidates. The others keep, as all do.
    pub asked: &'a (dyn Fn(&Policy) -> bool + Sync),
    /// The repositories.
    pub scope: &'a Scope,
    /// The clock of all decisions.
    pub now: Time,
    /// How much is looked at.
    pub depth: Depth,
    /// Whether the registry may be asked, by deletions of what does not exist, what it can delete. Otherwise nothing
    /// but reads is sent.
    pub probe: bool,
    /// What the registry tells of until when a deletion can be undone; `None` where it tells nothing.
    pub undo: Option<Undo>,
    /// Whether each plan is handed on with what it was decided from.
    pub facts: bool,
    /// What earlier runs found out.
    pub memory: Memory<'a>,
    /// What earlier plans announced.
    pub evidence: Evidence<'a>,
    /// How far the policies that make candidates have been rolled out.
    pub rollouts: &'a Rollouts,
    /// How many repositories are looked at at the same time; at least 1. This bounds memory.
    pub repositories_at_once: usize,
}

/// What there is to say of a plan when all its repositories have been handed on.
#[derive(Debug)]
pub struct Outcome {
    /// Sums.
    pub totals: Totals,
    /// What the limits say.
    pub guards: Vec<GuardReport>,
}

/// Why there is no plan.
#[derive(Debug, Error)]
pub enum PlanError<E> {
    /// There is nothing to look at.
    #[error(transparent)]
    Scope(#[from] ScopeError),
    /// The plan could not be handed on.
    #[error("failed to write the plan")]
    Sink(#[source] E),
}

/// Plans. Each repository is handed to `sink` in the order of names, one after the other; where facts are asked for,
/// with what it was decided from, unless nothing could be decided.
///
/// # Errors
///
/// When there is no repository to look at, or `sink` fails. What cannot be read of a repository is no error: the
/// repository is handed on as incomplete.
pub async fn plan<R, O, E>(
    registry: &R,
    observer: &O,
    request: &PlanRequest<'_>,
    mut sink: impl FnMut(&RepositoryPlan, Option<&Seen>) -> Result<(), E>,
) -> Result<Outcome, PlanError<E>>
where
    R: RegistryProbe,
    O: Observer,
{
    let repositories = request
        .scope
        .repositories(registry, request.policies, request.asked)
        .await?;
    observer.repositories_found(repositories.names.len());
    let health = Health::default();
    let collector = Collector {
        registry,
        observer,
        memory: request.memory,
        health: &health,
        now: request.now,
        depth: request.depth,
        probe: request.probe,
    };
    let said_by = repositories.said_by;
    let unread = &repositories.unread;
    let mut rollouts = request.rollouts.clone();
    // Which repository goes first can only be told where all of a policy are known.
    let all = request.scope.only.is_empty() && request.scope.changed.is_none() && unread.is_empty();
    if !rollouts.is_empty() && all {
        rollouts = rollouts.among(&repositories.names, request.policies);
    }
    let rollouts = &rollouts;
    let mut plans = stream::iter(repositories.names)
        .map(|name| plan_repository(&collector, request, rollouts, unread, name, said_by))
        .buffered(request.repositories_at_once.max(1));

    let asked = request
        .policies
        .policies
        .iter()
        .filter(|policy| (request.asked)(policy));
    let limits = asked
        .map(|policy| policy.limits.clone())
        .reduce(Limits::strictest)
        .unwrap_or_default();
    let mut guards = Guards::new(&limits);
    let mut totals = Totals::new(request.depth == Depth::Bytes);
    while let Some(planned) = plans.next().await {
        let Planned { plan, limits, seen } = planned?;
        guards.add_but(&plan, &limits, &plan.waiting);
        totals.add(&plan);
        observer.repository_done(&plan.name, plan.complete);
        sink(&plan, seen.as_ref()).map_err(PlanError::Sink)?;
    }
    Ok(Outcome {
        totals,
        guards: guards.finish(),
    })
}

struct Planned {
    plan: RepositoryPlan,
    limits: Limits,
    seen: Option<Seen>,
}

async fn plan_repository<R: RegistryProbe, O: Observer>(
    collector: &Collector<'_, R, O>,
    request: &PlanRequest<'_>,
    rollouts: &Rollouts,
    unread: &BTreeMap<RepositoryName, Incomplete>,
    name: RepositoryName,
    said_by: SaidBy,
) -> Result<Planned, ScopeError> {
    if let Some(why) = unread.get(&name) {
        let plan = RepositoryPlan::incomplete(name, Vec::new(), 0, why.clone());
        return Ok(Planned {
            plan,
            limits: Limits::default(),
            seen: None,
        });
    }
    let asked = |policy: &Policy| (request.asked)(policy);
    let Some(policies) = request.policies.of_repository(&name, &asked) else {
        return Err(ScopeError::NothingNamed);
    };
    let names: Vec<_> = policies
        .policies()
        .iter()
        .map(|(policy, _)| policy.name.clone())
        .collect();
    let incomplete =
        |name, names, tags: usize, why| RepositoryPlan::incomplete(name, names, tags as u64, why);
    let mut facts = None;
    let plan = match collector.collect(&policies, &name).await {
        Collected::Decided(decided) => {
            let Inspection { seen, decisions } = *decided;
            match seen.snapshot.complete() {
                Ok(complete) => {
                    let plan = RepositoryPlan::new(names, complete, &decisions, request.depth);
                    let mut plan = match &request.undo {
                        Some(told) => plan.with_undo(told),
                        None => plan,
                    }
                    .with_grace(policies.grace(), request.now);
                    plan.waiting = request.evidence.waiting(&plan, &policies);
                    plan.rollout = rollouts.note(&plan.name, &policies);
                    facts = request.facts.then_some(seen);
                    plan
                }
                Err(why) => incomplete(name, names, seen.snapshot.tags().len(), why.clone()),
            }
        }
        Collected::Incomplete(why, tags) => incomplete(name, names, tags, why),
        // In the catalog without tags: uploads that were never finished leave such repositories behind. There is
        // no tag to delete, whatever the reason.
        Collected::NotFound if matches!(said_by, SaidBy::Catalog | SaidBy::Hint) => {
            RepositoryPlan::untagged(name, names)
        }
        Collected::NotFound if said_by == SaidBy::Name && !request.scope.only.is_empty() => {
            return Err(ScopeError::NoMatch(name.to_string()));
        }
        Collected::NotFound => {
            let why = "the registry knows no repository of this name".to_owned();
            incomplete(name, names, 0, Incomplete { why })
        }
    };
    Ok(Planned {
        plan,
        limits: policies.limits(),
        seen: facts,
    })
}
