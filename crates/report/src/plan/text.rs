//! A plan for people: what would be deleted and why; the rest is counted.
//!
//! What must not be missed (refusals, what could not be read, clocks that are not known) stands at the end, where
//! a terminal leaves the reader.

use std::io::{self, Write};

use lagan_policy::RepositoryPlan;

use super::seen::Seen;
use super::{Part, PlanFoot, PlanHead, PlanOptions, PlanWriter};
use crate::paint::{HEADING, Paint};

mod foot;
mod head;
mod repository;

pub(super) struct Text {
    options: PlanOptions,
    paint: Paint,
    seen: Seen,
}

impl Text {
    pub(super) fn new(options: PlanOptions) -> Self {
        Self {
            options,
            paint: Paint {
                colour: options.colour,
            },
            seen: Seen::default(),
        }
    }
}

impl PlanWriter for Text {
    fn see(&mut self, plan: &RepositoryPlan) {
        self.seen.add(plan);
    }

    fn grouped(&mut self) -> bool {
        true
    }

    fn group(&self, out: &mut dyn Write, title: &str) -> io::Result<()> {
        let line = "-".repeat(title.chars().count());
        writeln!(out, "{}\n{line}\n", self.paint.text(HEADING, title))
    }

    fn section(&mut self, out: &mut dyn Write, plan: &RepositoryPlan, _: Option<Part<'_>>) -> io::Result<()> {
        let quiet = plan.actions.is_empty() && plan.complete;
        if quiet && !self.options.all {
            Ok(())
        } else {
            repository::write(out, self.paint, plan, self.options.all)
        }
    }

    fn head(&self, out: &mut dyn Write, head: &PlanHead, _: &PlanFoot) -> io::Result<()> {
        head::write(out, self.paint, head)
    }

    fn foot(&self, out: &mut dyn Write, head: &PlanHead, foot: &PlanFoot) -> io::Result<()> {
        foot::write(out, self.paint, head, foot, &self.seen)
    }
}
