//! A comparison for a pull request: sums first, then what changed.

use std::io::{self, Write};

use super::RepositoryChange;
use super::words::{Compared, action, facts, notes, summary, sums};
use crate::plan::markdown::escape::{cell, code_cell, text};

pub(super) fn head(out: &mut dyn Write, compared: &Compared<'_>) -> io::Result<()> {
    writeln!(out, "## What changed between two plans\n\n| | |\n|---|---|")?;
    for (label, value) in facts(compared).into_iter().chain(sums(compared)) {
        writeln!(out, "| {label} | {} |", cell(&value))?;
    }
    Ok(())
}

pub(super) fn change(out: &mut dyn Write, change: &RepositoryChange) -> io::Result<()> {
    writeln!(
        out,
        "\n### {}\n\n{}",
        text(change.name.as_str()),
        text(&summary(change))
    )?;
    if change.tags.is_empty() {
        return Ok(());
    }
    writeln!(out, "\n| | tag | why |\n|---|---|---|")?;
    for tag in &change.tags {
        let name = tag
            .tag
            .as_ref()
            .map_or_else(|| "(untagged)".to_owned(), |tag| code_cell(tag.as_str()));
        let notes: Vec<_> = notes(tag).iter().map(|note| cell(note)).collect();
        writeln!(out, "| **{}** | {name} | {} |", action(tag), notes.join("<br>"))?;
    }
    Ok(())
}
