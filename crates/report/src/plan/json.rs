//! `lagan.plan/v1`: one document, a repository a line, so that two plans can be compared by their lines.

use std::io::{self, Write};

use lagan_model::{Capabilities, Incomplete, RepositoryName, RepositorySnapshot, Seen};
use lagan_policy::{Action, Kept, KeptUntagged, PolicyName, RepositoryPlan, RolloutNote, Waiting};
use serde::Serialize;
use serde_json::Value;

use super::{Part, PlanFoot, PlanHead, PlanOptions, PlanWriter, PolicyNote};
use crate::json::{member, write};
use crate::saved::{SCHEMA, SavedPolicies};

/// An element of `repositories`. Without [`PlanOptions::all`] there is no `kept`, which is not the same as an
/// empty one.
#[derive(Serialize)]
struct Repository<'a> {
    name: &'a RepositoryName,
    policies: &'a [PolicyName],
    complete: bool,
    tags_total: u64,
    actions: &'a [Action],
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    waiting: &'a [Waiting],
    #[serde(skip_serializing_if = "Option::is_none")]
    rollout: Option<&'a RolloutNote>,
    #[serde(skip_serializing_if = "Option::is_none")]
    kept: Option<&'a [Kept]>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    kept_untagged: &'a [KeptUntagged],
    incomplete: Option<&'a Incomplete>,
}

/// `capabilities`.
#[derive(Serialize)]
struct Capable {
    #[serde(flatten)]
    seen: Capabilities,
    probed: bool,
}

impl<'a> Repository<'a> {
    fn of(plan: &'a RepositoryPlan, all: bool) -> Self {
        Self {
            name: &plan.name,
            policies: &plan.policies,
            complete: plan.complete,
            tags_total: plan.tags_total,
            actions: &plan.actions,
            waiting: &plan.waiting,
            rollout: plan.rollout.as_ref(),
            kept: all.then_some(&plan.kept),
            kept_untagged: if all { &plan.kept_untagged } else { &[] },
            incomplete: plan.incomplete.as_ref(),
        }
    }
}

/// Writes an element of `repositories`.
pub(super) fn repository(out: &mut dyn Write, plan: &RepositoryPlan, options: PlanOptions) -> io::Result<()> {
    write(out, &Repository::of(plan, options.all))
}

pub(super) struct Json {
    options: PlanOptions,
    first: bool,
}

impl Json {
    pub(super) fn new(options: PlanOptions) -> Self {
        Self { options, first: true }
    }
}

impl PlanWriter for Json {
    fn see(&mut self, _: &RepositoryPlan) {}

    fn section(&mut self, out: &mut dyn Write, plan: &RepositoryPlan, _: Option<Part<'_>>) -> io::Result<()> {
        out.write_all(if self.first { b"\n" } else { b",\n" })?;
        self.first = false;
        repository(out, plan, self.options)
    }

    fn head(&self, out: &mut dyn Write, head: &PlanHead, _: &PlanFoot) -> io::Result<()> {
        self::head(out, head, None)
    }

    fn foot(&self, out: &mut dyn Write, _: &PlanHead, foot: &PlanFoot) -> io::Result<()> {
        sums(out, foot)?;
        out.write_all(b"}\n")
    }
}

/// A policy of a saved plan.
#[derive(Serialize)]
struct SavedPolicy<'a> {
    #[serde(flatten)]
    note: &'a PolicyNote,
    asked: bool,
    policy: &'a Value,
}

/// Writes all members in front of the repositories, and where these begin.
pub(crate) fn head(out: &mut dyn Write, head: &PlanHead, policies: Option<&SavedPolicies>) -> io::Result<()> {
    member(out, '{', "schema", SCHEMA)?;
    member(out, ',', "id", &head.id)?;
    member(out, ',', "created", &head.created)?;
    member(out, ',', "now", &head.now)?;
    member(out, ',', "registry", &head.registry)?;
    match policies {
        None => member(out, ',', "policies", &head.policies)?,
        Some(saved) => {
            let policies: Vec<_> = head
                .policies
                .iter()
                .zip(&saved.entries)
                .map(|(note, entry)| SavedPolicy {
                    note,
                    asked: entry.asked,
                    policy: &entry.policy,
                })
                .collect();
            member(out, ',', "policies", &policies)?;
            if let Some(channels) = &saved.channels {
                member(out, ',', "channels", channels)?;
            }
        }
    }
    if let Some(pass) = &head.pass {
        member(out, ',', "pass", pass)?;
    }
    member(out, ',', "clocks", &head.clocks)?;
    member(out, ',', "guards", &head.guards)?;
    let capabilities = Capable {
        seen: head.capabilities,
        probed: head.probed,
    };
    member(out, ',', "capabilities", &capabilities)?;
    out.write_all(b",\"repositories\":[")
}

/// Writes where the repositories end, and the members behind them.
pub(crate) fn sums(out: &mut dyn Write, foot: &PlanFoot) -> io::Result<()> {
    out.write_all(b"\n]")?;
    member(out, ',', "totals", &foot.totals)?;
    member(out, ',', "requests", &foot.requests)
}

/// An element of `repositories` in a saved plan: what the limits count, and what was seen, besides.
#[derive(Serialize)]
struct SavedRepository<'a> {
    #[serde(flatten)]
    repository: Repository<'a>,
    tagged_artifacts: u64,
    tagged_artifacts_deleted: u64,
    bytes_reclaimable: Option<u64>,
    capabilities: Option<Capabilities>,
    snapshot: Option<&'a RepositorySnapshot>,
}

/// Writes an element of `repositories` with what it was decided from.
pub(crate) fn saved_repository(
    out: &mut dyn Write,
    plan: &RepositoryPlan,
    seen: Option<&Seen>,
) -> io::Result<()> {
    let element = SavedRepository {
        repository: Repository::of(plan, true),
        tagged_artifacts: plan.tagged_artifacts,
        tagged_artifacts_deleted: plan.tagged_artifacts_deleted,
        bytes_reclaimable: plan.bytes_reclaimable,
        capabilities: seen.map(|seen| seen.capabilities),
        snapshot: seen.map(|seen| &seen.snapshot),
    };
    write(out, &element)
}
