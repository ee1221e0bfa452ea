//! The history for people.

use std::io::{self, Write};

use anstyle::Style;
use lagan_model::journal::{Purpose, Role};
use lagan_model::{RepositoryName, Tag};
use lagan_policy::{Reason, Undo};
use serde_json::Value;

use super::{Deed, IN_DOUBT, Restored, RunNote, What, outcome_of, result_of};
use crate::layout::{Row, labelled, listed, rows};
use crate::number::{count, grouped};
use crate::outcome::CollectedNote;
use crate::paint::{DELETE, FAINT, HEADING, KEEP, Paint, UNTAG, WARNING};
use crate::sanitize::{clipped, harmless};
use crate::wording::{manifest_kind, moment, phrase, registry_kind};

const COLUMN: usize = 9;

/// Rows whose columns are aligned with each other, at most: memory does not grow with a run.
const ALIGNED: usize = 500;

pub(super) fn runs(out: &mut dyn Write, paint: Paint, runs: &[RunNote]) -> io::Result<()> {
    if runs.is_empty() {
        return writeln!(out, "no runs: nothing was ever deleted with this state directory");
    }
    let table: Vec<[String; 6]> = runs.iter().map(cells).collect();
    let titles = ["run", "began", "what", "registry", "undo until", "result"];
    let widths: Vec<usize> = (0..5)
        .map(|column| {
            let cells = table.iter().map(|row| row[column].chars().count());
            cells
                .chain([titles[column].len()])
                .max()
                .unwrap_or_default()
                .min(40)
        })
        .collect();
    let line = |row: &[String; 6]| {
        let mut line = String::new();
        for (cell, width) in row.iter().zip(widths.iter().copied().chain([0])) {
            line.push_str(&format!("{cell:<width$}  "));
        }
        line.trim_end().to_owned()
    };
    writeln!(out, "{}", paint.text(HEADING, &line(&titles.map(str::to_owned))))?;
    table.iter().try_for_each(|row| writeln!(out, "{}", line(row)))
}

fn cells(note: &RunNote) -> [String; 6] {
    let begin = note.begin.as_ref();
    [
        note.run.to_string(),
        begin.map_or_else(|| "-".to_owned(), |begin| moment(begin.at)),
        begin.map_or_else(|| "-".to_owned(), |begin| purpose(&begin.purpose)),
        begin.map_or_else(
            || "-".to_owned(),
            |begin| harmless(begin.registry.name.as_str()).into_owned(),
        ),
        undo_until(note),
        result(note),
    ]
}

/// Until when it can be undone, in a word; `journal show` has the reason.
fn undo_until(note: &RunNote) -> String {
    let until = |undo: &Undo| undo.until.map_or_else(|| "not known".to_owned(), moment);
    note.undo.as_ref().map_or_else(|| "-".to_owned(), until)
}

fn purpose(purpose: &Purpose) -> String {
    match purpose {
        Purpose::Apply { .. } => "apply".to_owned(),
        Purpose::Undo { of } => format!("undo {}", clipped(of, 60)),
        Purpose::Purge => "purge".to_owned(),
        Purpose::Collect => "collect garbage".to_owned(),
    }
}

/// `412 deleted, 3 skipped`, and what else there is to be said.
fn result(note: &RunNote) -> String {
    let mut said = Vec::new();
    match &note.end {
        Some(end) => {
            let counts = end.results.iter().filter(|(_, count)| **count > 0);
            said.extend(counts.map(|(word, count)| format!("{} {}", grouped(*count), harmless(word))));
            if said.is_empty() {
                said.push("nothing".to_owned());
            }
            if end.stopped {
                said.push("stopped before its end".to_owned());
            }
        }
        None => said.push("no end on record".to_owned()),
    }
    if note.open > 0 {
        said.push(format!("{} in doubt", grouped(note.open)));
    }
    said.join(", ")
}

/// One run; what waits to be aligned.
#[derive(Debug)]
pub(super) struct Page {
    paint: Paint,
    repository: Option<RepositoryName>,
    waiting: Vec<Row>,
    deeds: u64,
}

impl Page {
    pub(super) fn new(paint: Paint) -> Self {
        Self {
            paint,
            repository: None,
            waiting: Vec::new(),
            deeds: 0,
        }
    }

    pub(super) fn head(&self, out: &mut dyn Write, note: &RunNote) -> io::Result<()> {
        let paint = self.paint;
        writeln!(out, "{}", paint.text(HEADING, &format!("run {}", note.run)))?;
        let mut line = |label: &str, text: &str| labelled(out, paint, (FAINT, label), COLUMN, text);
        if let Some(begin) = &note.begin {
            let what = match &begin.purpose {
                Purpose::Apply { plan } => format!("apply of the plan {}", clipped(plan, 60)),
                other => purpose(other),
            };
            line("what", &what)?;
            let registry = &begin.registry;
            let (name, url) = (harmless(registry.name.as_str()), clipped(&registry.url, 200));
            line(
                "registry",
                &format!("{name} ({url}, {})", registry_kind(registry.kind)),
            )?;
            if !begin.policies.is_empty() {
                let policies = begin.policies.iter().map(|policy| {
                    let hash: String = policy.sha256.chars().take(12).collect();
                    format!("{} (sha256:{})", harmless(&policy.name), harmless(&hash))
                });
                line("policies", &listed(policies.collect::<Vec<_>>().iter()))?;
            }
            line("program", &clipped(&begin.program, 60))?;
            line("began", &moment(begin.at))?;
            if let Some(undo) = &note.undo {
                let why = clipped(undo.why.as_deref().unwrap_or_default(), 300);
                line(
                    "undo",
                    &match undo.until {
                        Some(until) => format!("until {}: {why}", moment(until)),
                        None => why.into_owned(),
                    },
                )?;
            }
        }
        if let Some(end) = &note.end {
            line("ended", &moment(end.at))?;
        }
        line("result", &result(note))?;
        if note.open > 0 {
            let text = "what became of it is not on record; the next run that deletes or restores on this \
                        registry looks there first";
            labelled(out, paint, (WARNING, "in doubt"), COLUMN, text)?;
        }
        if let Some(warning) = note.collected.as_ref().and_then(CollectedNote::warning) {
            let text = format!(
                "{warning}; `lagan undo --dry-run {}` tells what is lost",
                note.run
            );
            labelled(out, paint, (WARNING, "collected"), COLUMN, &text)?;
        }
        Ok(())
    }

    pub(super) fn deed(&mut self, out: &mut dyn Write, deed: Deed) -> io::Result<()> {
        let repository = match &deed.what {
            What::Deletion { intent, .. } => &intent.repository,
            What::Untagging { intent, .. } => &intent.repository,
            What::Restoration { intent, .. } => &intent.repository,
        };
        if self.repository.as_ref() != Some(repository) {
            self.flush(out)?;
            writeln!(out, "\n{}", self.paint.text(HEADING, repository.as_str()))?;
            self.repository = Some(repository.clone());
        }
        self.deeds += 1;
        self.waiting.push(row(deed));
        if self.waiting.len() >= ALIGNED {
            self.flush(out)?;
        }
        Ok(())
    }

    pub(super) fn foot(&mut self, out: &mut dyn Write) -> io::Result<()> {
        self.flush(out)?;
        if self.deeds == 0 {
            writeln!(out, "\nnothing was deleted, and nothing put back")?;
        }
        Ok(())
    }

    fn flush(&mut self, out: &mut dyn Write) -> io::Result<()> {
        let aligned = std::mem::take(&mut self.waiting);
        rows(out, self.paint, &aligned)
    }
}

fn style(word: &str) -> Style {
    match word {
        "deleted" => DELETE,
        "untagged" => UNTAG,
        "restored" | "already_there" => KEEP,
        "skipped" => FAINT,
        _ => WARNING,
    }
}

/// As a person would say it; the words of records have no spaces in them.
fn said(word: &'static str) -> &'static str {
    match word {
        IN_DOUBT => "in doubt",
        "already_there" => "already there",
        word => word,
    }
}

fn row(deed: Deed) -> Row {
    let mut notes = Vec::new();
    let (word, tags, digest, kind) = match deed.what {
        What::Deletion {
            intent,
            outcome,
            restored,
        } => {
            let (word, detail) = outcome_of(outcome.as_ref());
            notes.extend(detail.map(|detail| clipped(detail, 600).into_owned()));
            notes.extend(match intent.role {
                Role::Artifact => reasons(&intent.reasons),
                Role::Child => vec!["listed by an index that was deleted".to_owned()],
                Role::Attachment => vec!["attached to what was deleted".to_owned()],
            });
            if let (true, Some(until)) = (word == "deleted", intent.undo_until) {
                notes.push(format!("can be put back until {}", moment(until)));
            }
            notes.extend(restored.iter().map(put));
            let tags = match intent.tags.as_slice() {
                [] => "untagged".to_owned(),
                tags => listed(tags.iter().map(Tag::as_str)),
            };
            (word, tags, intent.digest, manifest_kind(Some(&intent.media_type)))
        }
        What::Untagging {
            intent,
            outcome,
            restored,
        } => {
            let (word, detail) = outcome_of(outcome.as_ref());
            notes.extend(detail.map(|detail| clipped(detail, 600).into_owned()));
            notes.extend(reasons(&intent.reasons));
            notes.extend(restored.iter().map(put));
            let tag = intent.tag.to_string();
            (word, tag, intent.digest, manifest_kind(Some(&intent.media_type)))
        }
        What::Restoration { intent, of, outcome } => {
            let (word, detail) = result_of(outcome.as_ref().map(|outcome| &outcome.result));
            notes.extend(detail.map(|detail| clipped(&detail, 600).into_owned()));
            notes.extend(of.map(|run| format!("deleted by {run}")));
            notes.extend(
                intent
                    .hold_until
                    .map(|until| format!("held until {}", moment(until))),
            );
            notes.extend(intent.held_until.map(|until| {
                let repository = &intent.repository;
                format!("a copy in {repository}, held until {}", moment(until))
            }));
            let tags = match intent.tags.as_slice() {
                [] => "untagged".to_owned(),
                tags => listed(tags.iter().map(Tag::as_str)),
            };
            (word, tags, intent.digest, manifest_kind(Some(&intent.media_type)))
        }
    };
    Row {
        style: style(word),
        action: said(word),
        tags,
        digest: digest.short().to_owned(),
        kind,
        notes,
    }
}

fn put(restored: &Restored) -> String {
    let (word, detail) = result_of(restored.result.as_ref());
    let detail = detail.map_or_else(String::new, |detail| format!(": {}", clipped(&detail, 300)));
    format!("undo {}: {}{detail}", restored.run, said(word))
}

/// The reasons of the plan, in words; of a version that has other reasons, as they are.
fn reasons(recorded: &Value) -> Vec<String> {
    match serde_json::from_value::<Vec<Reason>>(recorded.clone()) {
        Ok(reasons) => {
            let deleting = reasons.iter().filter(|reason| !reason.keeps());
            deleting.map(phrase).collect()
        }
        Err(_) => {
            let rules = count(
                recorded.as_array().map_or(1, Vec::len) as u64,
                "reason",
                "reasons",
            );
            vec![format!(
                "{rules} of another version: {}",
                clipped(&recorded.to_string(), 200)
            )]
        }
    }
}
