//! `lagan.plan/v1`: one document, a repository a line, so that two plans can be compared by their lines.

use std::io::{self, Write};

use lagan_model::{Capabilities, Incomplete, RepositoryName};
use lagan_policy::{Action, Kept, KeptUntagged, PolicyName, RepositoryPlan};
use serde::Serialize;

use super::{PlanFoot, PlanHead, PlanOptions, PlanWriter};
use crate::json::{member, write};

const SCHEMA: &str = "lagan.plan/v1";

/// An element of `repositories`. Without [`PlanOptions::all`] there is no `kept`, which is not the same as an
/// empty one.
#[derive(Serialize)]
struct Repository<'a> {
    name: &'a RepositoryName,
    policies: &'a [PolicyName],
    complete: bool,
    tags_total: u64,
    actions: &'a [Action],
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

/// Writes an element of `repositories`.
pub(super) fn repository(out: &mut dyn Write, plan: &RepositoryPlan, options: PlanOptions) -> io::Result<()> {
    let element = Repository {
        name: &plan.name,
        policies: &plan.policies,
        complete: plan.complete,
        tags_total: plan.tags_total,
        actions: &plan.actions,
        kept: options.all.then_some(&plan.kept),
        kept_untagged: if options.all { &plan.kept_untagged } else { &[] },
        incomplete: plan.incomplete.as_ref(),
    };
    write(out, &element)
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
    fn repository(&mut self, out: &mut dyn Write, plan: &RepositoryPlan) -> io::Result<()> {
        out.write_all(if self.first { b"\n" } else { b",\n" })?;
        self.first = false;
        repository(out, plan, self.options)
    }

    fn head(&self, out: &mut dyn Write, head: &PlanHead, _: &PlanFoot) -> io::Result<()> {
        member(out, '{', "schema", SCHEMA)?;
        member(out, ',', "id", &head.id)?;
        member(out, ',', "created", &head.created)?;
        member(out, ',', "now", &head.now)?;
        member(out, ',', "registry", &head.registry)?;
        member(out, ',', "policies", &head.policies)?;
        member(out, ',', "clocks", &head.clocks)?;
        member(out, ',', "guards", &head.guards)?;
        let capabilities = Capable {
            seen: head.capabilities,
            probed: head.probed,
        };
        member(out, ',', "capabilities", &capabilities)?;
        out.write_all(b",\"repositories\":[")
    }

    fn foot(&self, out: &mut dyn Write, _: &PlanHead, foot: &PlanFoot) -> io::Result<()> {
        out.write_all(b"\n]")?;
        member(out, ',', "totals", &foot.totals)?;
        member(out, ',', "requests", &foot.requests)?;
        out.write_all(b"}\n")
    }
}
