//! `lagan.runs/v1`, the list, and `lagan.history/v1`, one run.

use std::io::{self, Write};

use lagan_model::journal::{PolicyIdentity, Purpose, Role, RunId, Sequence, Skip};
use lagan_model::{Digest, MediaType, RegistryIdentity, RepositoryName, Tag, Time};
use serde::Serialize;
use serde_json::Value;

use super::{Deed, Restored, RunNote, What, outcome_of, result_of};
use crate::json::{member, write};

#[derive(Serialize)]
struct Run<'a> {
    run: RunId,
    purpose: Option<&'a Purpose>,
    registry: Option<&'a RegistryIdentity>,
    policies: &'a [PolicyIdentity],
    program: Option<&'a str>,
    began: Option<Time>,
    ended: Option<Time>,
    stopped: bool,
    results: Option<&'a std::collections::BTreeMap<String, u64>>,
    records: u64,
    open: u64,
    undo: Option<Until<'a>>,
}

/// Until when what a run deleted can be undone.
#[derive(Serialize)]
struct Until<'a> {
    until: Option<Time>,
    why: &'a str,
}

impl<'a> From<&'a RunNote> for Run<'a> {
    fn from(note: &'a RunNote) -> Self {
        let (begin, end) = (note.begin.as_ref(), note.end.as_ref());
        Self {
            run: note.run,
            purpose: begin.map(|begin| &begin.purpose),
            registry: begin.map(|begin| &begin.registry),
            policies: begin.map_or(&[], |begin| &begin.policies),
            program: begin.map(|begin| begin.program.as_str()),
            began: begin.map(|begin| begin.at),
            ended: end.map(|end| end.at),
            stopped: end.is_some_and(|end| end.stopped),
            results: end.map(|end| &end.results),
            records: note.records,
            open: note.open,
            undo: note.undo.as_ref().map(|undo| Until {
                until: undo.until,
                why: undo.why.as_deref().unwrap_or_default(),
            }),
        }
    }
}

#[derive(Serialize)]
struct Action<'a> {
    sequence: Sequence,
    action: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    unit: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    role: Option<Role>,
    repository: &'a RepositoryName,
    digest: &'a Digest,
    media_type: &'a MediaType,
    #[serde(skip_serializing_if = "Option::is_none")]
    size: Option<u64>,
    tags: &'a [Tag],
    #[serde(skip_serializing_if = "Option::is_none")]
    reasons: Option<&'a Value>,
    at: Time,
    outcome: &'static str,
    why: Option<Skip>,
    detail: Option<String>,
    settled: Option<Time>,
    #[serde(skip_serializing_if = "Option::is_none")]
    undo_until: Option<Option<Time>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    hold_until: Option<Option<Time>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    deleted_by: Option<RunId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    restored: Option<Vec<Put>>,
}

#[derive(Serialize)]
struct Put {
    run: RunId,
    outcome: &'static str,
    detail: Option<String>,
}

impl From<&Restored> for Put {
    fn from(restored: &Restored) -> Self {
        let (outcome, detail) = result_of(restored.result.as_ref());
        Self {
            run: restored.run,
            outcome,
            detail,
        }
    }
}

impl<'a> From<&'a Deed> for Action<'a> {
    fn from(deed: &'a Deed) -> Self {
        use lagan_model::journal::DeleteResult::Skipped;
        use lagan_model::journal::Outcome;
        let sequence = deed.sequence;
        let skip = |outcome: &Option<Outcome>| match outcome.as_ref().map(|outcome| &outcome.result) {
            Some(Skipped { why, .. }) => Some(*why),
            _ => None,
        };
        match &deed.what {
            What::Deletion {
                intent,
                outcome,
                restored,
            } => {
                let (word, detail) = outcome_of(outcome.as_ref());
                Self {
                    sequence,
                    action: "delete",
                    unit: Some(intent.unit),
                    role: Some(intent.role),
                    repository: &intent.repository,
                    digest: &intent.digest,
                    media_type: &intent.media_type,
                    size: Some(intent.size),
                    tags: &intent.tags,
                    reasons: Some(&intent.reasons),
                    at: intent.at,
                    outcome: word,
                    why: skip(outcome),
                    detail: detail.map(str::to_owned),
                    settled: outcome.as_ref().map(|outcome| outcome.at),
                    undo_until: Some(intent.undo_until),
                    hold_until: None,
                    deleted_by: None,
                    restored: Some(restored.iter().map(Put::from).collect()),
                }
            }
            What::Untagging {
                intent,
                outcome,
                restored,
            } => {
                let (word, detail) = outcome_of(outcome.as_ref());
                Self {
                    sequence,
                    action: "untag",
                    unit: None,
                    role: None,
                    repository: &intent.repository,
                    digest: &intent.digest,
                    media_type: &intent.media_type,
                    size: None,
                    tags: std::slice::from_ref(&intent.tag),
                    reasons: Some(&intent.reasons),
                    at: intent.at,
                    outcome: word,
                    why: skip(outcome),
                    detail: detail.map(str::to_owned),
                    settled: outcome.as_ref().map(|outcome| outcome.at),
                    undo_until: None,
                    hold_until: None,
                    deleted_by: None,
                    restored: Some(restored.iter().map(Put::from).collect()),
                }
            }
            What::Restoration { intent, of, outcome } => {
                let (word, detail) = result_of(outcome.as_ref().map(|outcome| &outcome.result));
                Self {
                    sequence,
                    action: if intent.held_until.is_some() {
                        "hold"
                    } else {
                        "restore"
                    },
                    unit: None,
                    role: None,
                    repository: &intent.repository,
                    digest: &intent.digest,
                    media_type: &intent.media_type,
                    size: None,
                    tags: &intent.tags,
                    reasons: None,
                    at: intent.at,
                    outcome: word,
                    why: None,
                    detail,
                    settled: outcome.as_ref().map(|outcome| outcome.at),
                    undo_until: None,
                    hold_until: Some(intent.held_until.or(intent.hold_until)),
                    deleted_by: *of,
                    restored: None,
                }
            }
        }
    }
}

pub(super) fn runs(out: &mut dyn Write, runs: &[RunNote]) -> io::Result<()> {
    let runs: Vec<Run<'_>> = runs.iter().map(Run::from).collect();
    member(out, '{', "schema", "lagan.runs/v1")?;
    member(out, ',', "runs", &runs)?;
    out.write_all(b"}\n")
}

/// One run; what has been written of it.
#[derive(Debug, Default)]
pub(super) struct Document {
    deeds: u64,
}

pub(super) fn head(out: &mut dyn Write, note: &RunNote) -> io::Result<()> {
    let run = Run::from(note);
    member(out, '{', "schema", "lagan.history/v1")?;
    member(out, ',', "run", &run.run)?;
    member(out, ',', "purpose", &run.purpose)?;
    member(out, ',', "registry", &run.registry)?;
    member(out, ',', "policies", &run.policies)?;
    member(out, ',', "program", &run.program)?;
    member(out, ',', "began", &run.began)?;
    member(out, ',', "ended", &run.ended)?;
    member(out, ',', "stopped", &run.stopped)?;
    member(out, ',', "results", &run.results)?;
    member(out, ',', "records", &run.records)?;
    member(out, ',', "open", &run.open)?;
    member(out, ',', "undo", &run.undo)?;
    member(out, ',', "collected", &note.collected)?;
    out.write_all(b",\"actions\":[")
}

impl Document {
    pub(super) fn deed(&mut self, out: &mut dyn Write, deed: &Deed) -> io::Result<()> {
        out.write_all(if self.deeds == 0 { b"\n" } else { b",\n" })?;
        self.deeds += 1;
        write(out, &Action::from(deed))
    }
}

pub(super) fn foot(out: &mut dyn Write) -> io::Result<()> {
    out.write_all(b"]}\n")
}
