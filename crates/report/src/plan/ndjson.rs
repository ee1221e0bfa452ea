//! One repository a line, for programs that read as it comes.

use std::io::{self, Write};

use lagan_policy::RepositoryPlan;

use super::{Part, PlanFoot, PlanHead, PlanOptions, PlanWriter, json};

pub(super) struct Ndjson {
    options: PlanOptions,
}

impl Ndjson {
    pub(super) fn new(options: PlanOptions) -> Self {
        Self { options }
    }
}

impl PlanWriter for Ndjson {
    fn see(&mut self, _: &RepositoryPlan) {}

    fn section(&mut self, out: &mut dyn Write, plan: &RepositoryPlan, _: Option<Part<'_>>) -> io::Result<()> {
        json::repository(out, plan, self.options)?;
        out.write_all(b"\n")
    }

    fn head(&self, _: &mut dyn Write, _: &PlanHead, _: &PlanFoot) -> io::Result<()> {
        Ok(())
    }

    fn foot(&self, _: &mut dyn Write, _: &PlanHead, _: &PlanFoot) -> io::Result<()> {
        Ok(())
    }
}
