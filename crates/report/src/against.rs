//! Where a registry's own retention and a plan decide differently, artifact by artifact, with the reasons of both.
//!
//! Retention of a registry is about whole artifacts. A plan that takes only some of an artifact's tags differs from one
//! that leaves all of them.

use std::collections::BTreeMap;
use std::io::{self, Write};

use lagan_model::{Digest, Incomplete, RegistryIdentity, RepositoryName, Tag, Time};
use lagan_policy::{Action, Dependent, Reason, RepositoryPlan};
use serde::Serialize;

use crate::compare::CompareFormat;
use crate::explain::Verdict;
use crate::json::{member, write};
use crate::layout::{Row, labelled, listed, rows};
use crate::number::count;
use crate::paint::{DELETE, FAINT, HEADING, Paint, WARNING};
use crate::plan::PlanHead;
use crate::plan::markdown::escape::{cell, code_cell, text};
use crate::sanitize::{clipped, harmless};
use crate::wording::{moment, phrase};

const COLUMN: usize = 13;

/// What the registry's own retention would do with an artifact.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Theirs {
    /// What becomes of it.
    pub verdict: TheirVerdict,
    /// Why.
    pub why: String,
}

/// What becomes of an artifact by the registry's own retention.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum TheirVerdict {
    /// It goes, with all its tags.
    Deleted,
    /// It stays, with all its tags.
    Kept,
    /// It cannot be told.
    Unknown,
}

/// What the plan does with an artifact.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Ours {
    /// What becomes of it; `untagged` where some of its tags are taken off.
    pub verdict: Verdict,
    /// Each of its tags, or for an artifact that has none the artifact itself.
    pub tags: Vec<OurTag>,
}

/// What the plan does with a tag.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct OurTag {
    /// The tag; `None` for an artifact that has none.
    pub tag: Option<Tag>,
    /// What becomes of it.
    pub verdict: Verdict,
    /// Why. Nothing where no rule is about it.
    pub reasons: Vec<Reason>,
}

/// How the two differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Difference {
    /// The registry would delete it, and the plan keeps it, or some of its tags.
    RegistryDeletes,
    /// The plan deletes it or takes tags off, and the registry would leave it alone.
    PlanDeletes,
    /// What the registry would do cannot be told.
    Unknown,
}

/// An artifact about which the two differ.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Differing {
    /// How.
    pub difference: Difference,
    /// The artifact.
    pub digest: Digest,
    /// Its tags.
    pub tags: Vec<Tag>,
    /// What the registry's retention would do.
    pub registry: Theirs,
    /// What the plan does.
    pub plan: Ours,
}

/// A repository, as far as the two could be compared.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Repository {
    /// Its name.
    pub name: RepositoryName,
    /// Why nothing was decided.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub incomplete: Option<Incomplete>,
    /// Artifacts about which both decide the same.
    pub same: u64,
    /// Those about which they differ.
    pub artifacts: Vec<Differing>,
}

/// Sums.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct AgainstTotals {
    /// Repositories that were looked at.
    pub repositories: u64,
    /// Those that could not be read.
    pub incomplete_repositories: u64,
    /// Artifacts about which both decide the same.
    pub same: u64,
    /// Artifacts that only the registry would delete.
    pub registry_deletes: u64,
    /// Artifacts that only the plan deletes, or takes tags off.
    pub plan_deletes: u64,
    /// Artifacts of which it cannot be told what the registry would do.
    pub unknown: u64,
}

/// Compares a repository's plan with what the registry's retention would do there.
#[must_use]
pub fn compare(plan: &RepositoryPlan, theirs: Vec<(Digest, Vec<Tag>, Theirs)>) -> Repository {
    let mut repository = Repository {
        name: plan.name.clone(),
        incomplete: plan.incomplete.clone(),
        same: 0,
        artifacts: Vec::new(),
    };
    if !plan.complete {
        return repository;
    }
    let decided = Decided::of(plan);
    for (digest, tags, theirs) in theirs {
        let ours = decided.on(&digest, &tags);
        let difference = match (theirs.verdict, ours.verdict) {
            (TheirVerdict::Unknown, _) => Difference::Unknown,
            (TheirVerdict::Deleted, Verdict::Deleted) | (TheirVerdict::Kept, Verdict::Kept) => {
                repository.same += 1;
                continue;
            }
            (TheirVerdict::Deleted, _) => Difference::RegistryDeletes,
            (TheirVerdict::Kept, _) => Difference::PlanDeletes,
        };
        repository.artifacts.push(Differing {
            difference,
            digest,
            tags,
            registry: theirs,
            plan: ours,
        });
    }
    let order = |a: &Differing, b: &Differing| {
        (a.difference, &a.tags, &a.digest).cmp(&(b.difference, &b.tags, &b.digest))
    };
    repository.artifacts.sort_by(order);
    repository
}

/// What a plan does, by what it is done to.
struct Decided<'p> {
    deleted: BTreeMap<&'p Digest, Vec<Reason>>,
    untagged: BTreeMap<&'p Tag, &'p [Reason]>,
    kept: BTreeMap<&'p Tag, &'p [Reason]>,
    kept_untagged: BTreeMap<&'p Digest, &'p [Reason]>,
}

impl<'p> Decided<'p> {
    fn of(plan: &'p RepositoryPlan) -> Self {
        let mut decided = Self {
            deleted: BTreeMap::new(),
            untagged: BTreeMap::new(),
            kept: plan
                .kept
                .iter()
                .map(|kept| (&kept.tag, kept.reasons.as_slice()))
                .collect(),
            kept_untagged: plan
                .kept_untagged
                .iter()
                .map(|kept| (&kept.digest, kept.reasons.as_slice()))
                .collect(),
        };
        for action in &plan.actions {
            match action {
                Action::Untag { tag, reasons, .. } => {
                    decided.untagged.insert(tag, reasons);
                }
                Action::Delete {
                    digest,
                    children,
                    attachments,
                    reasons,
                    ..
                } => {
                    decided.deleted.insert(digest, reasons.clone());
                    let along = |dependent: &'p Dependent| {
                        let subject = digest.clone();
                        (&dependent.digest, vec![Reason::DeletedWithSubject { subject }])
                    };
                    decided
                        .deleted
                        .extend(children.iter().chain(attachments).map(along));
                }
            }
        }
        decided
    }

    fn on(&self, digest: &Digest, tags: &[Tag]) -> Ours {
        let one = |tag: Option<&Tag>, verdict, reasons: &[Reason]| OurTag {
            tag: tag.cloned(),
            verdict,
            reasons: reasons.to_vec(),
        };
        if let Some(reasons) = self.deleted.get(digest) {
            let mut all: Vec<_> = tags
                .iter()
                .map(|tag| one(Some(tag), Verdict::Deleted, reasons))
                .collect();
            if all.is_empty() {
                all.push(one(None, Verdict::Deleted, reasons));
            }
            return Ours {
                verdict: Verdict::Deleted,
                tags: all,
            };
        }
        let mut verdict = Verdict::Kept;
        let mut all: Vec<_> = tags
            .iter()
            .map(|tag| match self.untagged.get(tag) {
                Some(reasons) => {
                    verdict = Verdict::Untagged;
                    one(Some(tag), Verdict::Untagged, reasons)
                }
                None => one(
                    Some(tag),
                    Verdict::Kept,
                    self.kept.get(tag).copied().unwrap_or_default(),
                ),
            })
            .collect();
        if all.is_empty() {
            let reasons = self.kept_untagged.get(digest).copied().unwrap_or_default();
            all.push(one(None, Verdict::Kept, reasons));
        }
        Ours { verdict, tags: all }
    }
}

/// Writes a comparison: first each [repository](Self::repository), to where it can wait; then the [head](Self::head), which
/// belongs in front, and the [foot](Self::foot).
#[derive(Debug)]
pub struct AgainstWriter {
    format: CompareFormat,
    paint: Paint,
    any: bool,
    totals: AgainstTotals,
}

#[derive(Serialize)]
struct Plan<'a> {
    id: &'a str,
    created: Time,
    now: Time,
    registry: &'a RegistryIdentity,
}

impl AgainstWriter {
    /// A writer for one comparison; only text is ever coloured.
    #[must_use]
    pub fn new(format: CompareFormat, colour: bool) -> Self {
        Self {
            format,
            paint: Paint { colour },
            any: false,
            totals: AgainstTotals::default(),
        }
    }

    /// Writes a repository, where there is something to say of it.
    ///
    /// # Errors
    ///
    /// Where the writer fails.
    pub fn repository(&mut self, out: &mut dyn Write, repository: &Repository) -> io::Result<()> {
        self.totals.repositories += 1;
        self.totals.same += repository.same;
        self.totals.incomplete_repositories += u64::from(repository.incomplete.is_some());
        for artifact in &repository.artifacts {
            *match artifact.difference {
                Difference::RegistryDeletes => &mut self.totals.registry_deletes,
                Difference::PlanDeletes => &mut self.totals.plan_deletes,
                Difference::Unknown => &mut self.totals.unknown,
            } += 1;
        }
        if repository.artifacts.is_empty() && repository.incomplete.is_none() {
            return Ok(());
        }
        let first = !std::mem::replace(&mut self.any, true);
        match self.format {
            CompareFormat::Json => {
                out.write_all(if first { b"\n" } else { b",\n" })?;
                write(out, repository)
            }
            CompareFormat::Text => {
                let name = self.paint.text(HEADING, repository.name.as_str());
                writeln!(out, "{name}  {}", summary(repository))?;
                let table: Vec<_> = repository.artifacts.iter().map(row).collect();
                rows(out, self.paint, &table)?;
                writeln!(out)
            }
            CompareFormat::Markdown => markdown(out, repository),
        }
    }

    /// Writes what belongs in front.
    ///
    /// # Errors
    ///
    /// Where the writer fails.
    pub fn head(&self, out: &mut dyn Write, head: &PlanHead) -> io::Result<()> {
        match self.format {
            CompareFormat::Text => {
                writeln!(out, "{}", self.paint.text(HEADING, TITLE))?;
                for (label, value) in facts(head) {
                    labelled(out, self.paint, (FAINT, label), COLUMN, &value)?;
                }
                writeln!(out)
            }
            CompareFormat::Markdown => {
                writeln!(out, "## {TITLE}\n\n| | |\n|---|---|")?;
                for (label, value) in facts(head).into_iter().chain(self.sums()) {
                    writeln!(out, "| {label} | {} |", cell(&value))?;
                }
                Ok(())
            }
            CompareFormat::Json => {
                let plan = Plan {
                    id: &head.id,
                    created: head.created,
                    now: head.now,
                    registry: &head.registry,
                };
                member(out, '{', "schema", "lagan.compare-harbor/v1")?;
                member(out, ',', "plan", &plan)?;
                out.write_all(b",\"repositories\":[")
            }
        }
    }

    /// Writes what belongs behind.
    ///
    /// # Errors
    ///
    /// Where the writer fails.
    pub fn foot(&self, out: &mut dyn Write) -> io::Result<()> {
        match self.format {
            CompareFormat::Text => {
                writeln!(out, "{}", self.paint.text(HEADING, "In all"))?;
                self.sums()
                    .into_iter()
                    .try_for_each(|(label, value)| labelled(out, self.paint, (FAINT, label), COLUMN, &value))
            }
            CompareFormat::Markdown => Ok(()),
            CompareFormat::Json => {
                out.write_all(b"\n]")?;
                member(out, ',', "totals", &self.totals)?;
                out.write_all(b"}\n")
            }
        }
    }

    fn sums(&self) -> Vec<(&'static str, String)> {
        let artifacts = |number| count(number, "artifact", "artifacts");
        let totals = &self.totals;
        vec![
            (
                "harbor alone",
                format!("deletes {}", artifacts(totals.registry_deletes)),
            ),
            (
                "lagan alone",
                format!("deletes or untags {}", artifacts(totals.plan_deletes)),
            ),
            ("not known", artifacts(totals.unknown)),
            ("the same", artifacts(totals.same)),
            (
                "repositories",
                format!(
                    "{}, {} of them not read",
                    totals.repositories, totals.incomplete_repositories
                ),
            ),
        ]
    }
}

const TITLE: &str = "Harbor's own retention and this plan";

fn facts(head: &PlanHead) -> Vec<(&'static str, String)> {
    vec![
        (
            "plan",
            format!("{} as of {}", harmless(&head.id), moment(head.now)),
        ),
        ("registry", clipped(&head.registry.url, 200).into_owned()),
    ]
}

fn summary(repository: &Repository) -> String {
    if let Some(incomplete) = &repository.incomplete {
        return format!("could not be read: {}", clipped(&incomplete.why, 600));
    }
    let of = |what| {
        let all = repository.artifacts.iter();
        all.filter(|artifact| artifact.difference == what).count() as u64
    };
    let mut parts = Vec::new();
    for (what, words) in [
        (Difference::RegistryDeletes, "that Harbor alone deletes"),
        (Difference::PlanDeletes, "that Lagan alone deletes or untags"),
        (Difference::Unknown, "of which it is not known what Harbor does"),
    ] {
        if of(what) > 0 {
            parts.push(format!("{} {words}", count(of(what), "artifact", "artifacts")));
        }
    }
    parts.push(format!("{} the same", repository.same));
    parts.join(", ")
}

fn action(artifact: &Differing) -> &'static str {
    match artifact.difference {
        Difference::RegistryDeletes => "harbor deletes",
        Difference::PlanDeletes => "lagan deletes",
        Difference::Unknown => "not known",
    }
}

fn row(artifact: &Differing) -> Row {
    Row {
        style: match artifact.difference {
            Difference::RegistryDeletes | Difference::PlanDeletes => DELETE,
            Difference::Unknown => WARNING,
        },
        action: action(artifact),
        tags: match artifact.tags.is_empty() {
            true => "(untagged)".to_owned(),
            false => listed(artifact.tags.iter().map(Tag::as_str)),
        },
        digest: artifact.digest.short(),
        kind: "",
        notes: notes(artifact),
    }
}

/// What both say. Harmless.
fn notes(artifact: &Differing) -> Vec<String> {
    let verdict = match artifact.registry.verdict {
        TheirVerdict::Deleted => "deleted",
        TheirVerdict::Kept => "kept",
        TheirVerdict::Unknown => "not known",
    };
    let mut notes = vec![format!(
        "harbor: {verdict}: {}",
        clipped(&artifact.registry.why, 600)
    )];
    // Tags to which the same happens for the same reasons share a note.
    let mut said: Vec<(String, Vec<&str>)> = Vec::new();
    for tag in &artifact.plan.tags {
        let verdict = match tag.verdict {
            Verdict::Kept => "kept",
            Verdict::Deleted => "deleted",
            Verdict::Untagged => "untagged",
        };
        let reasons: Vec<_> = tag.reasons.iter().map(phrase).collect();
        let what = match reasons.is_empty() {
            true => format!("{verdict}: no rule is about it"),
            false => format!("{verdict}: {}", reasons.join("; ")),
        };
        let name = tag.tag.as_ref().map_or("", Tag::as_str);
        match said.iter_mut().find(|(known, _)| *known == what) {
            Some((_, names)) => names.push(name),
            None => said.push((what, vec![name])),
        }
    }
    let one = said.len() == 1;
    notes.extend(said.into_iter().map(|(what, names)| match one {
        true => format!("lagan: {what}"),
        false => format!("lagan, {}: {what}", listed(names.iter())),
    }));
    notes
}

fn markdown(out: &mut dyn Write, repository: &Repository) -> io::Result<()> {
    writeln!(
        out,
        "\n### {}\n\n{}",
        text(repository.name.as_str()),
        text(&summary(repository))
    )?;
    if repository.artifacts.is_empty() {
        return Ok(());
    }
    writeln!(out, "\n| | tags | why |\n|---|---|---|")?;
    for artifact in &repository.artifacts {
        let tags = match artifact.tags.is_empty() {
            true => "(untagged)".to_owned(),
            false => code_cell(&listed(artifact.tags.iter().map(Tag::as_str))),
        };
        let notes: Vec<_> = notes(artifact).iter().map(|note| cell(note)).collect();
        writeln!(
            out,
            "| **{}** | {tags} | {} |",
            action(artifact),
            notes.join("<br>")
        )?;
    }
    Ok(())
}
