//! One repository: its actions as a table, each with all its reasons.

use std::io::{self, Write};

use anstyle::Style;
use lagan_model::Tag;
use lagan_policy::{Action, Kept, RepositoryPlan};

use crate::layout::{Row, labelled, listed, rows};
use crate::paint::{DELETE, FAINT, HEADING, KEEP, Paint, UNTAG, WARNING};
use crate::plan::decision::{self, Step, kept_phrase, notes};
use crate::wording::{Understood, manifest_kind};

pub(super) fn write(out: &mut dyn Write, paint: Paint, plan: &RepositoryPlan, all: bool) -> io::Result<()> {
    let name = paint.text(HEADING, plan.name.as_str());
    let understood = Understood::in_repository(plan);
    writeln!(
        out,
        "{name}  {}  ({})",
        decision::summary(plan),
        decision::policies(plan, understood)
    )?;
    if let Some(why) = decision::incomplete(plan) {
        labelled(out, paint, (WARNING, "INCOMPLETE"), 10, &why)?;
    }
    if let Some(rollout) = decision::rollout(plan) {
        labelled(out, paint, (rollout_style(plan), "ROLLOUT"), 10, &rollout)?;
    }
    let mut table: Vec<_> = plan.steps().map(|step| action(step, understood)).collect();
    if all {
        table.extend(plan.kept.iter().map(|tag| kept(tag, understood)));
    }
    rows(out, paint, &table)?;
    writeln!(out)
}

fn rollout_style(plan: &RepositoryPlan) -> Style {
    match plan.is_held_by_rollout() {
        true => WARNING,
        false => FAINT,
    }
}

fn action(step: Step<'_>, understood: Understood<'_>) -> Row {
    match step.0 {
        Action::Delete {
            digest,
            tags,
            media_type,
            ..
        } => Row {
            style: DELETE,
            action: "delete",
            tags: if tags.is_empty() {
                "(untagged)".to_owned()
            } else {
                tag_list(tags)
            },
            digest: digest.short(),
            kind: manifest_kind(media_type.as_ref()),
            notes: notes(step, understood),
        },
        Action::Untag { tag, digest, .. } => Row {
            style: UNTAG,
            action: "untag",
            tags: tag.to_string(),
            digest: digest.short(),
            kind: "",
            notes: notes(step, understood),
        },
    }
}

fn kept(kept: &Kept, understood: Understood<'_>) -> Row {
    Row {
        style: KEEP,
        action: "keep",
        tags: kept.tag.to_string(),
        digest: kept
            .digest
            .as_ref()
            .map_or_else(|| "(not asked)".to_owned(), lagan_model::Digest::short),
        kind: "",
        notes: kept
            .reasons
            .iter()
            .map(|reason| kept_phrase(reason, understood))
            .collect(),
    }
}

fn tag_list(tags: &[Tag]) -> String {
    listed(tags.iter().map(Tag::as_str))
}
