//! A plan as a table for a spreadsheet: one tag a row, RFC 4180.
//!
//! Every tag that goes has a row, those of attachments too, so that rows can be counted. An artifact that goes
//! without a tag, and a repository that could not be read, have a row without a tag: nobody shall take a table
//! for all there is that says nothing of them. What limits refuse is about plans and not about tags: the exit code
//! and the other formats have it.

use std::borrow::Cow;
use std::io::{self, Write};

use csv::{Terminator, Writer, WriterBuilder};
use lagan_model::{Digest, MediaType, Tag};
use lagan_policy::{Action, Kept, Reason, RepositoryPlan, Undo};

use super::decision::{Step, kept_phrase, notes};
use super::{Part, PlanFoot, PlanHead, PlanOptions, PlanWriter, decision};
use crate::sanitize::harmless;
use crate::wording::{Understood, kind, moment, phrase, rule_of, short};

const COLUMNS: [&str; 12] = [
    "repository",
    "tag",
    "action",
    "digest",
    "media_type",
    "policy",
    "rule",
    "reason",
    "text",
    "children",
    "attachments",
    "undo",
];

pub(super) struct Csv {
    options: PlanOptions,
    /// Whether the first column is a group.
    grouped: bool,
}

/// Where rows go, and which group they are in.
struct Table<'a> {
    writer: Writer<&'a mut dyn Write>,
    group: Option<&'a str>,
}

impl Csv {
    pub(super) fn new(options: PlanOptions) -> Self {
        Self {
            options,
            grouped: false,
        }
    }
}

/// What stands in a row, in the order of the columns.
#[derive(Default)]
struct Row<'a> {
    repository: &'a str,
    tag: Option<&'a Tag>,
    action: &'static str,
    digest: Option<&'a Digest>,
    media_type: Option<&'a MediaType>,
    /// The first reason, which alone decides.
    reason: Option<&'a Reason>,
    /// All that is said.
    text: Vec<String>,
    /// How many children and attachments go with it.
    dependents: Option<[usize; 2]>,
    undo: Option<&'a Undo>,
}

impl PlanWriter for Csv {
    fn see(&mut self, _: &RepositoryPlan) {}

    fn grouped(&mut self) -> bool {
        self.grouped = true;
        true
    }

    fn section(
        &mut self,
        out: &mut dyn Write,
        plan: &RepositoryPlan,
        part: Option<Part<'_>>,
    ) -> io::Result<()> {
        let mut table = Table {
            writer: table(out),
            group: part.map(|part| part.group),
        };
        let repository = plan.name.as_str();
        if !plan.complete {
            let row = Row {
                repository,
                action: "incomplete",
                text: decision::incomplete(plan).into_iter().collect(),
                ..Row::default()
            };
            row.write(&mut table)?;
        }
        let rollout = decision::rollout(plan).filter(|_| plan.is_held_by_rollout());
        for step in plan.steps() {
            action(&mut table, repository, step, rollout.as_deref())?;
        }
        if self.options.all {
            for kept in &plan.kept {
                keep(repository, kept).write(&mut table)?;
            }
        }
        table.writer.flush()
    }

    fn head(&self, out: &mut dyn Write, _: &PlanHead, _: &PlanFoot) -> io::Result<()> {
        let mut table = table(out);
        if self.grouped {
            table.write_field("group")?;
        }
        table.write_record(COLUMNS)?;
        table.flush()
    }

    fn foot(&self, _: &mut dyn Write, _: &PlanHead, _: &PlanFoot) -> io::Result<()> {
        Ok(())
    }
}

fn table(out: &mut dyn Write) -> Writer<&mut dyn Write> {
    WriterBuilder::new().terminator(Terminator::CRLF).from_writer(out)
}

fn action(table: &mut Table<'_>, repository: &str, step: Step<'_>, rollout: Option<&str>) -> io::Result<()> {
    let mut text = notes(step, Understood::default());
    text.extend(rollout.map(str::to_owned));
    let (action, _) = step;
    let reason = action.reasons().first();
    match action {
        Action::Untag { tag, digest, .. } => Row {
            repository,
            tag: Some(tag),
            action: "untag",
            digest: Some(digest),
            reason,
            text,
            ..Row::default()
        }
        .write(table),
        Action::Delete {
            digest,
            tags,
            media_type,
            children,
            attachments,
            undo,
            ..
        } => {
            let mut row = Row {
                repository,
                tag: None,
                action: "delete",
                digest: Some(digest),
                media_type: media_type.as_ref(),
                reason,
                text,
                dependents: Some([children.len(), attachments.len()]),
                undo: Some(undo),
            };
            if tags.is_empty() {
                row.write(table)?;
            }
            for tag in tags {
                row.tag = Some(tag);
                row.write(table)?;
            }
            let with_index = Reason::DeletedWithIndex {
                index: digest.clone(),
            };
            let with_subject = Reason::DeletedWithSubject {
                subject: digest.clone(),
            };
            let attached = if children.is_empty() {
                phrase(&with_subject)
            } else {
                let index = short(digest);
                format!("attached to {index} or to one of its children, which are deleted")
            };
            let sides = [
                (children, &with_index, phrase(&with_index)),
                (attachments, &with_subject, attached),
            ];
            for (dependents, reason, text) in sides {
                for dependent in dependents {
                    let mut row = Row {
                        repository,
                        action: "delete",
                        digest: Some(&dependent.digest),
                        media_type: dependent.media_type.as_ref(),
                        reason: Some(reason),
                        text: vec![text.clone()],
                        undo: Some(undo),
                        ..Row::default()
                    };
                    for tag in &dependent.tags {
                        row.tag = Some(tag);
                        row.write(table)?;
                    }
                }
            }
            Ok(())
        }
    }
}

fn keep<'a>(repository: &'a str, kept: &'a Kept) -> Row<'a> {
    let text = kept
        .reasons
        .iter()
        .map(|reason| kept_phrase(reason, Understood::default()));
    Row {
        repository,
        tag: Some(&kept.tag),
        action: "keep",
        digest: kept.digest.as_ref(),
        reason: kept.reasons.first(),
        text: text.collect(),
        ..Row::default()
    }
}

impl Row<'_> {
    fn write(&self, table: &mut Table<'_>) -> io::Result<()> {
        let rule = self.reason.and_then(rule_of);
        let policy = match self.reason {
            Some(Reason::Protected { policy, .. }) => Some(policy),
            _ => rule.map(|rule| &rule.policy),
        };
        let digest = self.digest.map(ToString::to_string).unwrap_or_default();
        let media_type = self.media_type.map(ToString::to_string).unwrap_or_default();
        let number = |which: usize| {
            self.dependents
                .map(|numbers| numbers[which].to_string())
                .unwrap_or_default()
        };
        let undo = match self.undo {
            None => String::new(),
            Some(Undo { possible: false, .. }) => "no".to_owned(),
            Some(Undo { until: None, .. }) => "yes".to_owned(),
            Some(Undo {
                until: Some(until), ..
            }) => format!("until {}", moment(*until)),
        };
        let cells: [&str; COLUMNS.len()] = [
            self.repository,
            self.tag.map(Tag::as_str).unwrap_or_default(),
            self.action,
            &digest,
            &media_type,
            policy.map(|policy| policy.0.as_ref()).unwrap_or_default(),
            rule.map(|rule| rule.rule.as_ref()).unwrap_or_default(),
            self.reason.map(kind).unwrap_or_default(),
            &self.text.join("; "),
            &number(0),
            &number(1),
            &undo,
        ];
        let Table { writer: table, group } = table;
        for cell in group.iter().copied().chain(cells) {
            table.write_field(inert(cell).as_bytes())?;
        }
        table.write_record(None::<&[u8]>)?;
        Ok(())
    }
}

/// A cell that no spreadsheet takes for a formula: such a one has an apostrophe in front, which spreadsheets take
/// for the mark of a text.
pub(crate) fn inert(cell: &str) -> Cow<'_, str> {
    // Before anything is escaped: where a tab stood, some programs read on behind it.
    let starts = |text: &str| {
        text.starts_with([
            '=', '+', '-', '@', '\t', '\r', '\u{ff1d}', '\u{ff0b}', '\u{ff0d}', '\u{ff20}',
        ])
    };
    if starts(cell) || starts(cell.trim_start()) {
        Cow::Owned(format!("'{}", harmless(cell)))
    } else {
        harmless(cell)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cell_that_a_spreadsheet_would_run_is_made_inert() {
        for (cell, expected) in [
            ("=1+1", "'=1+1"),
            ("+1", "'+1"),
            ("-1", "'-1"),
            ("@SUM(A1)", "'@SUM(A1)"),
            ("\t=1", "'\\t=1"),
            ("\rx", "'\\rx"),
            (" =1", "' =1"),
            ("\u{ff1d}1", "'\u{ff1d}1"),
            ("1.0-rc.1", "1.0-rc.1"),
            ("", ""),
        ] {
            assert_eq!(inert(cell), expected);
        }
    }
}
