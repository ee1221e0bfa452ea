//! The report for a pull request, an issue or a wiki.

use std::io::{self, Write};

use super::words::{self, said};
use super::{OutcomeFoot, OutcomeHead, OutcomeSums, OutcomeWriter, RepositoryOutcome};
use crate::number::grouped;
use crate::plan::markdown::escape::{cell, code_cell, text};

#[derive(Default)]
pub(super) struct Markdown {
    sums: OutcomeSums,
}

impl OutcomeWriter for Markdown {
    fn repository(&mut self, out: &mut dyn Write, repository: &RepositoryOutcome) -> io::Result<()> {
        self.sums.add(repository);
        writeln!(out, "\n### {}\n", text(repository.name.as_str()))?;
        if let Some(problem) = &repository.problem {
            writeln!(out, "**Problem**: {}\n", text(problem))?;
        }
        if !repository.entries.is_empty() {
            writeln!(out, "| | tags | digest | | |\n|---|---|---|---|---|")?;
        }
        for (entry, more) in words::folded(&repository.entries) {
            let mut notes = words::notes(entry);
            notes.extend(words::along(more));
            let notes: Vec<_> = notes.iter().map(|note| cell(note)).collect();
            writeln!(
                out,
                "| **{}** | {} | {} | {} | {} |",
                said(entry.outcome),
                words::tags(entry, |tag| code_cell(tag.as_str())),
                code_cell(&entry.digest.short()),
                words::role(entry.role),
                notes.join("<br>"),
            )?;
        }
        for mended in &repository.mended {
            let (digest, tag) = (
                code_cell(&mended.digest.short()),
                code_cell(mended.needed_by.as_str()),
            );
            match &mended.failure {
                None => writeln!(out, "\n**Put back**: {digest}, which {tag} needs")?,
                Some(failure) => writeln!(
                    out,
                    "\n**Could not be put back**: {digest}, which {tag} needs: {}",
                    text(failure)
                )?,
            }
        }
        Ok(())
    }

    fn head(&self, out: &mut dyn Write, head: &OutcomeHead, foot: &OutcomeFoot) -> io::Result<()> {
        writeln!(out, "## Lagan {}\n", text(&words::title(head)))?;
        for warning in words::warnings(head, foot, &self.sums) {
            writeln!(out, "- **Note**: {}", text(&warning))?;
        }
        writeln!(out, "\n| | |\n|---|---|")?;
        for (label, count) in words::sums(head, &self.sums) {
            writeln!(out, "| {label} | {} |", grouped(count))?;
        }
        for (label, value) in words::facts(head, foot) {
            writeln!(out, "| {label} | {} |", cell(&value))?;
        }
        if let Some(command) = words::next(head, foot, &self.sums) {
            writeln!(out, "| to undo it | {} |", code_cell(&command))?;
        }
        writeln!(out, "| requests | {} |", cell(&words::requests(foot)))
    }

    fn foot(&self, _: &mut dyn Write, _: &OutcomeHead, _: &OutcomeFoot) -> io::Result<()> {
        Ok(())
    }
}
