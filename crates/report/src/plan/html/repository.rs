//! One repository: a section with its tables.

use std::io::{self, Write};

use askama::Template;
use lagan_model::Tag;
use lagan_policy::{Action, Kept, RepositoryPlan};

use crate::number::grouped;
use crate::plan::decision::{self, Step, kept_phrase, notes};
use crate::wording::{Understood, manifest_kind};

/// How many rows a table has before the next one starts.
const PART: usize = 250;

/// How many tags of one artifact stand in its row; where there are more, all stand among the facts.
const SHOWN: usize = 4;

#[derive(Template)]
#[template(path = "plan/repository.html")]
struct Section<'a> {
    name: &'a str,
    /// Whether links lead to it.
    is_target: bool,
    size: &'static str,
    summary: String,
    policies: String,
    incomplete: Option<String>,
    rollout: Option<String>,
}

#[derive(Template)]
#[template(path = "plan/part.html")]
struct Part<'a> {
    name: &'a str,
    size: &'static str,
    /// Whether it is all the rows of its repository.
    whole: bool,
    first: String,
    last: String,
    rows: Vec<Row>,
}

struct Row {
    verdict: &'static str,
    tags: String,
    digest: String,
    kind: &'static str,
    reason: String,
    more: Vec<String>,
    facts: Vec<(&'static str, String)>,
}

impl Row {
    fn unfolds(&self) -> bool {
        !self.more.is_empty() || !self.facts.is_empty()
    }
}

/// Writes the section, holding no more rows than a part has.
///
/// Where a repository stands in several groups, links lead to the first of its sections.
pub(super) fn write(
    out: &mut dyn Write,
    plan: &RepositoryPlan,
    all: bool,
    is_target: bool,
) -> io::Result<()> {
    let understood = Understood::in_repository(plan);
    let kept = if all { plan.kept.as_slice() } else { &[] };
    let total = plan.actions.len() + kept.len();
    let name = plan.name.as_str();
    let section = Section {
        name,
        is_target,
        size: size(total),
        summary: decision::summary(plan),
        policies: decision::policies(plan, understood),
        incomplete: decision::incomplete(plan),
        rollout: decision::rollout(plan),
    };
    section.write_into(out)?;
    let mut rows = plan
        .steps()
        .map(|step| action(step, understood))
        .chain(kept.iter().map(|tag| keep(tag, understood)));
    for first in (0..total).step_by(PART) {
        let rows: Vec<_> = rows.by_ref().take(PART).collect();
        let part = Part {
            name,
            size: size(rows.len()),
            whole: total <= PART,
            first: grouped(first as u64 + 1),
            last: grouped((first + rows.len()) as u64),
            rows,
        };
        part.write_into(out)?;
    }
    out.write_all(b"\n</section>\n")
}

/// About how high so many rows are, for a browser that does not lay them out.
fn size(rows: usize) -> &'static str {
    match rows {
        0..10 => "small",
        10..100 => "middle",
        _ => "large",
    }
}

fn action(step: Step<'_>, understood: Understood<'_>) -> Row {
    let mut notes = notes(step, understood).into_iter();
    let reason = notes.next().unwrap_or_default();
    let more = notes.collect();
    match step.0 {
        Action::Untag { tag, digest, .. } => Row {
            verdict: "untag",
            tags: tag.to_string(),
            digest: digest.short(),
            kind: "",
            reason,
            more,
            facts: vec![("Digest", digest.to_string())],
        },
        Action::Delete {
            digest,
            tags,
            media_type,
            size,
            children,
            attachments,
            ..
        } => {
            let mut facts = vec![("Digest", digest.to_string())];
            if let Some(media_type) = media_type {
                facts.push(("Media type", media_type.to_string()));
            }
            if let Some(size) = size {
                facts.push(("Manifest", format!("{} bytes", grouped(*size))));
            }
            if tags.len() > SHOWN {
                facts.push(("All tags", joined(tags)));
            }
            let named = [("Child", children), ("Attachment", attachments)];
            for (label, dependents) in named {
                facts.extend(dependents.iter().map(|dependent| {
                    let tags = joined(&dependent.tags);
                    (
                        label,
                        format!("{} {tags}", dependent.digest).trim_end().to_owned(),
                    )
                }));
            }
            let shown = match tags.as_slice() {
                [] => "(untagged)".to_owned(),
                tags if tags.len() > SHOWN => {
                    let more = grouped((tags.len() - SHOWN) as u64);
                    format!("{} and {more} more", joined(&tags[..SHOWN]))
                }
                tags => joined(tags),
            };
            Row {
                verdict: "delete",
                tags: shown,
                digest: digest.short(),
                kind: manifest_kind(media_type.as_ref()),
                reason,
                more,
                facts,
            }
        }
    }
}

fn keep(kept: &Kept, understood: Understood<'_>) -> Row {
    let mut phrases = kept.reasons.iter().map(|reason| kept_phrase(reason, understood));
    Row {
        verdict: "keep",
        tags: kept.tag.to_string(),
        digest: kept
            .digest
            .as_ref()
            .map_or_else(|| "(not asked)".to_owned(), lagan_model::Digest::short),
        kind: "",
        reason: phrases.next().unwrap_or_default(),
        more: phrases.collect(),
        facts: Vec::new(),
    }
}

fn joined(tags: &[Tag]) -> String {
    let tags: Vec<_> = tags.iter().map(Tag::as_str).collect();
    tags.join(", ")
}
