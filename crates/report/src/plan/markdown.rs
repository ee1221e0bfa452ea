//! A plan for a pull request, an issue or a wiki: GitHub's flavour of Markdown, which GitLab and others read too.
//!
//! What must not be missed stands in front, since nobody scrolls to the end of a long comment.

use std::io::{self, Write};

use lagan_policy::{Action, Kept, RepositoryPlan};

use self::escape::{cell, code_cell, text};
use super::decision::{self, Step, kept_phrase, notes};
use super::seen::Seen;
use super::{Part, PlanFoot, PlanHead, PlanOptions, PlanWriter, summary};
use crate::layout::listed;
use crate::sanitize::{clipped, harmless};
use crate::wording::{Understood, manifest_kind, mode, moment, registry_kind};

pub(crate) mod escape;

pub(super) struct Markdown {
    options: PlanOptions,
    seen: Seen,
}

impl Markdown {
    pub(super) fn new(options: PlanOptions) -> Self {
        Self {
            options,
            seen: Seen::default(),
        }
    }
}

impl PlanWriter for Markdown {
    fn see(&mut self, plan: &RepositoryPlan) {
        self.seen.add(plan);
    }

    fn grouped(&mut self) -> bool {
        true
    }

    fn group(&self, out: &mut dyn Write, title: &str) -> io::Result<()> {
        writeln!(out, "\n## {}", text(title))
    }

    fn section(&mut self, out: &mut dyn Write, plan: &RepositoryPlan, _: Option<Part<'_>>) -> io::Result<()> {
        if plan.actions.is_empty() && plan.complete && !self.options.all {
            return Ok(());
        }
        let understood = Understood::in_repository(plan);
        writeln!(out, "\n### {}\n", text(plan.name.as_str()))?;
        let policies = decision::policies(plan, understood);
        writeln!(out, "{} ({})", text(&decision::summary(plan)), text(&policies))?;
        if let Some(why) = decision::incomplete(plan) {
            writeln!(out, "\n**INCOMPLETE**: {}", text(&why))?;
        }
        if let Some(rollout) = decision::rollout(plan) {
            writeln!(out, "\n**ROLLOUT**: {}", text(&rollout))?;
        }
        let kept = if self.options.all {
            plan.kept.as_slice()
        } else {
            &[]
        };
        if plan.actions.is_empty() && kept.is_empty() {
            return Ok(());
        }
        writeln!(
            out,
            "\n| | tags | digest | kind | reasons |\n|---|---|---|---|---|"
        )?;
        for step in plan.steps() {
            action(out, step, understood)?;
        }
        kept.iter().try_for_each(|tag| keep(out, tag, understood))
    }

    fn head(&self, out: &mut dyn Write, head: &PlanHead, foot: &PlanFoot) -> io::Result<()> {
        writeln!(out, "## Retention plan {}\n", text(&head.id))?;
        writeln!(
            out,
            "What would be deleted, and why; nothing is deleted by this plan.\n"
        )?;
        for warning in summary::warnings(head, &self.seen) {
            writeln!(out, "- **Warning**: {}", text(&warning))?;
        }
        if let Some(refusals) = summary::refusals(&head.guards) {
            writeln!(out, "- **{}**", refusals.title)?;
            for report in refusals.reports {
                let limit = report.limit.as_str();
                writeln!(out, "  - `{limit}`: {}", text(&summary::refusal(report)))?;
            }
            for (limit, advice) in refusals.advice {
                writeln!(out, "  - `{}`: {advice}", limit.as_str())?;
            }
        }
        let registry = format!(
            "{} {} ({})",
            cell(head.registry.name.as_str()),
            code_cell(&clipped(&head.registry.url, 200)),
            registry_kind(head.registry.kind)
        );
        writeln!(out, "\n| | |\n|---|---|")?;
        let row = |out: &mut dyn Write, label: &str, value: &str| writeln!(out, "| {label} | {value} |");
        row(out, "registry", &registry)?;
        let policies: Vec<_> = head
            .policies
            .iter()
            .map(|note| cell(&format!("{} ({})", harmless(&note.name.0), mode(note.mode))))
            .collect();
        row(out, "policies", &policies.join(", "))?;
        row(out, "now", &moment(head.now))?;
        if head.now != head.created {
            row(out, "made", &moment(head.created))?;
        }
        for (label, value) in summary::totals(head, &foot.totals, &self.seen) {
            row(out, label, &cell(&value))?;
        }
        for (weight, label, value) in summary::undo(&self.seen) {
            let label = match weight {
                summary::Weight::Plain => label.to_owned(),
                summary::Weight::Warning => format!("**{label}**"),
            };
            row(out, &label, &cell(&value))?;
        }
        row(out, "requests", &cell(&summary::requests(foot)))
    }

    fn foot(&self, _: &mut dyn Write, _: &PlanHead, _: &PlanFoot) -> io::Result<()> {
        Ok(())
    }
}

fn action(out: &mut dyn Write, step: Step<'_>, understood: Understood<'_>) -> io::Result<()> {
    let (verdict, tags, digest, kind) = match step.0 {
        Action::Delete {
            digest,
            tags,
            media_type,
            ..
        } => {
            let tags = if tags.is_empty() {
                "(untagged)".to_owned()
            } else {
                listed(tags.iter().map(|tag| code_cell(tag.as_str())))
            };
            ("**delete**", tags, digest, manifest_kind(media_type.as_ref()))
        }
        Action::Untag { tag, digest, .. } => ("**untag**", code_cell(tag.as_str()), digest, ""),
    };
    let digest = code_cell(&digest.short());
    let reasons = reasons(&notes(step, understood));
    writeln!(out, "| {verdict} | {tags} | {digest} | {kind} | {reasons} |")
}

fn keep(out: &mut dyn Write, kept: &Kept, understood: Understood<'_>) -> io::Result<()> {
    let tag = code_cell(kept.tag.as_str());
    let digest = kept
        .digest
        .as_ref()
        .map_or_else(|| "(not asked)".to_owned(), |digest| code_cell(&digest.short()));
    let phrases: Vec<_> = kept
        .reasons
        .iter()
        .map(|reason| kept_phrase(reason, understood))
        .collect();
    writeln!(out, "| keep | {tag} | {digest} | | {} |", reasons(&phrases))
}

fn reasons(notes: &[String]) -> String {
    let notes: Vec<_> = notes.iter().map(|note| cell(note)).collect();
    notes.join("<br>")
}
