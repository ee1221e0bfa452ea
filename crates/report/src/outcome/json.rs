//! The report for programs: `lagan.run/v1` and `lagan.undo/v1`.

use std::io::{self, Write};

use super::{OutcomeFoot, OutcomeHead, OutcomeOf, OutcomeSums, OutcomeWriter, RepositoryOutcome};
use crate::json::{member, write};

/// One document.
#[derive(Default)]
pub(super) struct Json {
    any: bool,
    sums: OutcomeSums,
}

/// The elements of its `repositories`, one a line.
pub(super) struct Lines;

impl OutcomeWriter for Json {
    fn repository(&mut self, out: &mut dyn Write, repository: &RepositoryOutcome) -> io::Result<()> {
        self.sums.add(repository);
        out.write_all(if self.any { b",\n" } else { b"\n" })?;
        self.any = true;
        write(out, repository)
    }

    fn head(&self, out: &mut dyn Write, head: &OutcomeHead, foot: &OutcomeFoot) -> io::Result<()> {
        let schema = match head.of {
            OutcomeOf::Apply { .. } => "lagan.run/v1",
            OutcomeOf::Undo { .. } => "lagan.undo/v1",
        };
        member(out, '{', "schema", schema)?;
        member(out, ',', "run", &head.run)?;
        match &head.of {
            OutcomeOf::Apply { plan } => member(out, ',', "plan", plan)?,
            OutcomeOf::Undo { of, dry_run } => {
                member(out, ',', "of", of)?;
                member(out, ',', "dry_run", dry_run)?;
            }
        }
        member(out, ',', "began", &head.began)?;
        member(out, ',', "ended", &foot.ended)?;
        member(out, ',', "registry", &head.registry)?;
        if let OutcomeOf::Apply { .. } = head.of {
            member(out, ',', "policies", &head.policies)?;
            member(out, ',', "guards", &foot.guards)?;
        }
        out.write_all(b",\"repositories\":[")
    }

    fn foot(&self, out: &mut dyn Write, head: &OutcomeHead, foot: &OutcomeFoot) -> io::Result<()> {
        out.write_all(b"\n]")?;
        if let OutcomeOf::Apply { .. } = head.of {
            if let Some(pass) = &foot.pass {
                member(out, ',', "pass", pass)?;
            }
            member(out, ',', "incomplete_repositories", &foot.incomplete)?;
            if let Some(purge) = &foot.purge {
                member(out, ',', "purge", purge)?;
            }
            member(out, ',', "undo", &foot.undo)?;
            member(out, ',', "collection", &foot.collection)?;
        } else {
            member(out, ',', "collected", &foot.collected)?;
        }
        member(out, ',', "copies_waiting", &foot.copies_waiting)?;
        member(out, ',', "recovery", &foot.recovery)?;
        member(out, ',', "totals", &self.sums)?;
        member(out, ',', "stopped", &foot.stopped)?;
        member(out, ',', "failure", &foot.failure)?;
        member(out, ',', "requests", &foot.requests)?;
        out.write_all(b"}\n")
    }
}

impl OutcomeWriter for Lines {
    fn repository(&mut self, out: &mut dyn Write, repository: &RepositoryOutcome) -> io::Result<()> {
        write(out, repository)?;
        out.write_all(b"\n")
    }

    fn head(&self, _: &mut dyn Write, _: &OutcomeHead, _: &OutcomeFoot) -> io::Result<()> {
        Ok(())
    }

    fn foot(&self, _: &mut dyn Write, _: &OutcomeHead, _: &OutcomeFoot) -> io::Result<()> {
        Ok(())
    }
}
