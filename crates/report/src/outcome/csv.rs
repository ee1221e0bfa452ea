//! The report as a table: one manifest or tag a row, RFC 4180.

use std::io::{self, Write};

use csv::{Terminator, WriterBuilder};
use lagan_model::Tag;

use super::{OutcomeFoot, OutcomeHead, OutcomeWriter, RepositoryOutcome, words};
use crate::plan::inert;

const COLUMNS: [&str; 10] = [
    "repository",
    "tags",
    "action",
    "digest",
    "role",
    "outcome",
    "why",
    "detail",
    "record",
    "deleted_by",
];

pub(super) struct Csv;

impl OutcomeWriter for Csv {
    fn repository(&mut self, out: &mut dyn Write, repository: &RepositoryOutcome) -> io::Result<()> {
        let name = repository.name.as_str();
        let mut rows: Vec<[String; COLUMNS.len()]> = Vec::new();
        let row = |cells: [&str; COLUMNS.len()]| cells.map(|cell| inert(cell).into_owned());
        if let Some(problem) = &repository.problem {
            rows.push(row([name, "", "", "", "", "problem", "", problem, "", ""]));
        }
        for entry in &repository.entries {
            let tags: Vec<_> = entry.tags.iter().map(Tag::as_str).collect();
            rows.push(row([
                name,
                &tags.join(" "),
                entry.action,
                &entry.digest.to_string(),
                words::role(entry.role),
                entry.outcome,
                entry.why.as_deref().unwrap_or_default(),
                &words::notes(entry).join("; "),
                &entry.record.map(|record| record.to_string()).unwrap_or_default(),
                &entry.deleted_by.map(|run| run.to_string()).unwrap_or_default(),
            ]));
        }
        for mended in &repository.mended {
            let (outcome, detail) = match &mended.failure {
                None => ("restored", String::new()),
                Some(failure) => ("failed", failure.clone()),
            };
            let tag = mended.needed_by.as_str();
            let detail = format!("{tag} needs it {detail}");
            let digest = mended.digest.to_string();
            rows.push(row([
                name,
                "",
                "mend",
                &digest,
                "",
                outcome,
                "",
                detail.trim_end(),
                "",
                "",
            ]));
        }
        table(out, &rows)
    }

    fn head(&self, out: &mut dyn Write, _: &OutcomeHead, _: &OutcomeFoot) -> io::Result<()> {
        table(out, &[COLUMNS.map(str::to_owned)])
    }

    fn foot(&self, _: &mut dyn Write, _: &OutcomeHead, _: &OutcomeFoot) -> io::Result<()> {
        Ok(())
    }
}

fn table(out: &mut dyn Write, rows: &[[String; COLUMNS.len()]]) -> io::Result<()> {
    let mut table = WriterBuilder::new().terminator(Terminator::CRLF).from_writer(out);
    for row in rows {
        table.write_record(row)?;
    }
    table.flush()
}
