//! A comparison for people.

use std::io::{self, Write};

use super::words::{Compared, action, facts, notes, summary, sums};
use super::{RepositoryChange, TagChange};
use crate::layout::{Row, labelled, rows};
use crate::paint::{DELETE, FAINT, HEADING, KEEP, Paint, UNTAG};

const COLUMN: usize = 13;

pub(super) fn head(out: &mut dyn Write, paint: Paint, compared: &Compared<'_>) -> io::Result<()> {
    writeln!(out, "{}", paint.text(HEADING, "What changed between two plans"))?;
    for (label, value) in facts(compared) {
        labelled(out, paint, (FAINT, label), COLUMN, &value)?;
    }
    writeln!(out)
}

pub(super) fn change(out: &mut dyn Write, paint: Paint, change: &RepositoryChange) -> io::Result<()> {
    let name = paint.text(HEADING, change.name.as_str());
    writeln!(out, "{name}  {}", summary(change))?;
    let table: Vec<_> = change.tags.iter().map(row).collect();
    rows(out, paint, &table)?;
    writeln!(out)
}

fn row(tag: &TagChange) -> Row {
    let action = action(tag);
    let digest = tag.now.as_ref().or(tag.before.as_ref());
    let digest = digest.and_then(|decided| decided.digest.as_ref());
    Row {
        style: match action {
            "delete" => DELETE,
            "untag" => UNTAG,
            "keep" => KEEP,
            _ => FAINT,
        },
        action,
        tags: tag
            .tag
            .as_ref()
            .map_or_else(|| "(untagged)".to_owned(), ToString::to_string),
        digest: digest.map(lagan_model::Digest::short).unwrap_or_default(),
        kind: "",
        notes: notes(tag),
    }
}

pub(super) fn foot(out: &mut dyn Write, paint: Paint, compared: &Compared<'_>) -> io::Result<()> {
    writeln!(out, "{}", paint.text(HEADING, "In all"))?;
    sums(compared)
        .into_iter()
        .try_for_each(|(label, value)| labelled(out, paint, (FAINT, label), COLUMN, &value))
}
