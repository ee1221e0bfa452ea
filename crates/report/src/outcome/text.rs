//! The report for people.

use std::io::{self, Write};

use anstyle::Style;

use super::words::{self, said};
use super::{OutcomeFoot, OutcomeHead, OutcomeSums, OutcomeWriter, RepositoryOutcome};
use crate::layout::{Row, labelled, rows};
use crate::number::grouped;
use crate::paint::{DELETE, FAINT, HEADING, KEEP, Paint, UNTAG, WARNING};
use crate::sanitize::clipped;
use crate::wording::short;

const COLUMN: usize = 13;

pub(super) struct Text {
    paint: Paint,
    sums: OutcomeSums,
}

impl Text {
    pub(super) fn new(colour: bool) -> Self {
        Self {
            paint: Paint { colour },
            sums: OutcomeSums::default(),
        }
    }
}

impl OutcomeWriter for Text {
    fn repository(&mut self, out: &mut dyn Write, repository: &RepositoryOutcome) -> io::Result<()> {
        self.sums.add(repository);
        let paint = self.paint;
        writeln!(out, "\n{}", paint.text(HEADING, repository.name.as_str()))?;
        if let Some(problem) = &repository.problem {
            labelled(out, paint, (WARNING, "problem"), 7, &clipped(problem, 600))?;
        }
        let table: Vec<Row> = words::folded(&repository.entries)
            .into_iter()
            .map(|(entry, more)| {
                let mut notes = words::notes(entry);
                notes.extend(words::along(more));
                Row {
                    style: style(entry.outcome),
                    action: said(entry.outcome),
                    tags: words::tags(entry, |tag| tag.as_str().to_owned()),
                    digest: short(&entry.digest),
                    kind: words::role(entry.role),
                    notes,
                }
            })
            .collect();
        rows(out, paint, &table)?;
        for mended in &repository.mended {
            let text = match &mended.failure {
                None => format!(
                    "{} was put back: {} needs it",
                    mended.digest.short(),
                    mended.needed_by
                ),
                Some(failure) => format!(
                    "{} could not be put back, and {} needs it: {}",
                    mended.digest.short(),
                    mended.needed_by,
                    clipped(failure, 600)
                ),
            };
            labelled(out, paint, (WARNING, "put back"), 8, &text)?;
        }
        Ok(())
    }

    fn head(&self, out: &mut dyn Write, head: &OutcomeHead, foot: &OutcomeFoot) -> io::Result<()> {
        writeln!(out, "{}", self.paint.text(HEADING, &words::title(head)))?;
        for (label, value) in words::facts(head, foot) {
            labelled(out, self.paint, (FAINT, label), COLUMN, &value)?;
        }
        Ok(())
    }

    fn foot(&self, out: &mut dyn Write, head: &OutcomeHead, foot: &OutcomeFoot) -> io::Result<()> {
        let paint = self.paint;
        writeln!(out, "\n{}", paint.text(HEADING, "In all"))?;
        for (label, count) in words::sums(head, &self.sums) {
            labelled(out, paint, (FAINT, label), COLUMN, &grouped(count))?;
        }
        labelled(out, paint, (FAINT, "requests"), COLUMN, &words::requests(foot))?;
        for warning in words::warnings(head, foot, &self.sums) {
            labelled(out, paint, (WARNING, "note"), COLUMN, &warning)?;
        }
        match words::next(head, foot, &self.sums) {
            Some(command) => labelled(out, paint, (KEEP, "to undo it"), COLUMN, &command),
            None => Ok(()),
        }
    }
}

fn style(outcome: &str) -> Style {
    match outcome {
        "deleted" | "purged" => DELETE,
        "untagged" => UNTAG,
        "restored" | "already_there" => KEEP,
        "skipped" => FAINT,
        _ => WARNING,
    }
}
