//! What stands above the repositories: of what the plan is, what it must not hide, sums, charts.

use askama::Template;
use lagan_model::RepositoryName;
use lagan_policy::Totals;

use super::charts::{Chart, percent};
use super::{Html, SCRIPT, STYLE, source};
use crate::number::{count, grouped, mebibytes};
use crate::plan::summary::{self, Weight};
use crate::plan::{PlanFoot, PlanHead};
use crate::sanitize::{clipped, harmless};
use crate::wording::{mode, moment, registry_kind};

#[derive(Template)]
#[template(path = "plan/head.html")]
pub(super) struct Head<'a> {
    style: &'static str,
    style_hash: String,
    script_hash: String,
    registry: String,
    url: String,
    kind: &'static str,
    policies: Vec<Policy>,
    now: String,
    created: Option<String>,
    id: String,
    requests: String,
    refusals: Option<Refusals<'a>>,
    warnings: Vec<String>,
    incomplete: &'a [RepositoryName],
    cards: Vec<Card>,
    share: Option<Share>,
    undo: Vec<(bool, &'static str, String)>,
    charts: Vec<Chart>,
    all: bool,
    nothing: bool,
}

struct Policy {
    name: String,
    mode: &'static str,
}

struct Refusals<'a> {
    title: &'static str,
    lines: Vec<Refusal<'a>>,
    advice: Vec<(&'static str, String)>,
}

struct Refusal<'a> {
    limit: &'static str,
    repository: Option<&'a RepositoryName>,
    text: String,
}

struct Card {
    class: &'static str,
    label: &'static str,
    value: String,
    note: String,
}

/// What goes and what stays, as parts of one bar.
struct Share {
    label: String,
    parts: Vec<SharePart>,
}

struct SharePart {
    class: &'static str,
    start: String,
    width: String,
}

impl<'a> Head<'a> {
    pub(super) fn of(report: &'a Html, head: &'a PlanHead, foot: &PlanFoot) -> Self {
        let refusals = summary::refusals(&head.guards).map(|refusals| Refusals {
            title: refusals.title,
            lines: refusals
                .reports
                .into_iter()
                .map(|report| {
                    let (name, text) = (report.repository.as_ref(), summary::refusal(report));
                    // The name stands in front of the text, as a link.
                    let text = match name.and_then(|name| text.strip_prefix(name.as_str())) {
                        Some(rest) => rest.trim_start().to_owned(),
                        None => text,
                    };
                    Refusal {
                        limit: report.limit.as_str(),
                        repository: name,
                        text,
                    }
                })
                .collect(),
            advice: refusals
                .advice
                .into_iter()
                .map(|(limit, advice)| (limit.as_str(), advice.replace('`', "")))
                .collect(),
        });
        let policies = head.policies.iter().map(|note| Policy {
            name: harmless(&note.name.0).into_owned(),
            mode: mode(note.mode),
        });
        let undo = summary::undo(&report.seen)
            .into_iter()
            .map(|(weight, label, text)| (weight == Weight::Warning, label, text));
        Self {
            style: STYLE,
            style_hash: source(STYLE),
            script_hash: source(SCRIPT),
            registry: harmless(head.registry.name.as_str()).into_owned(),
            url: clipped(&head.registry.url, 200).into_owned(),
            kind: registry_kind(head.registry.kind),
            policies: policies.collect(),
            now: moment(head.now),
            created: (head.now != head.created).then(|| moment(head.created)),
            id: harmless(&head.id).into_owned(),
            requests: summary::requests(foot),
            refusals,
            warnings: summary::warnings(head, &report.seen),
            incomplete: &report.seen.incomplete_names,
            cards: cards(&foot.totals, report.seen.quiet),
            share: share(&foot.totals),
            undo: undo.collect(),
            charts: report.charts.draw(),
            all: report.options.all,
            nothing: report.nothing,
        }
    }
}

fn cards(totals: &Totals, quiet: u64) -> Vec<Card> {
    let card = |class, label, value, note| Card {
        class,
        label,
        value,
        note,
    };
    let of_all = |part| format!("{}% of {}", percent(part, totals.tags), grouped(totals.tags));
    let mut cards = vec![
        card(
            "delete",
            "Tags deleted",
            grouped(totals.delete_tags),
            with_manifests(totals),
        ),
        card(
            "untag",
            "Tags taken off",
            grouped(totals.untag),
            "their artifacts stay".to_owned(),
        ),
        card(
            "keep",
            "Tags kept",
            grouped(totals.kept_tags),
            of_all(totals.kept_tags),
        ),
        card(
            "",
            "Repositories",
            grouped(totals.repositories),
            if totals.repositories == 0 {
                "no policy names any".to_owned()
            } else {
                format!("nothing to do in {}", grouped(quiet))
            },
        ),
    ];
    if totals.incomplete_repositories > 0 {
        cards.push(card(
            "incomplete",
            "Could not be read",
            grouped(totals.incomplete_repositories),
            "nothing is decided there".to_owned(),
        ));
    }
    if totals.not_rolled_out > 0 {
        cards.push(card(
            "",
            "Not carried out yet",
            grouped(totals.not_rolled_out),
            "a rollout does not take their repositories".to_owned(),
        ));
    }
    if let Some(bytes) = totals.bytes_reclaimable {
        cards.push(card(
            "",
            "Reclaimable",
            mebibytes(bytes),
            "once the registry collects its garbage".to_owned(),
        ));
    }
    cards
}

fn with_manifests(totals: &Totals) -> String {
    let mut text = format!("with {}", count(totals.delete_artifacts, "manifest", "manifests"));
    if totals.delete_unread > 0 {
        text.push_str(&format!(
            ", {} of them not read (--exact)",
            grouped(totals.delete_unread)
        ));
    }
    text
}

fn share(totals: &Totals) -> Option<Share> {
    let parts = [
        ("delete", totals.delete_tags),
        ("untag", totals.untag),
        ("keep", totals.kept_tags),
    ];
    let mut start = 0;
    let parts = parts
        .into_iter()
        .filter(|(_, tags)| *tags > 0)
        .map(|(class, tags)| {
            let part = SharePart {
                class,
                start: percent(start, totals.tags),
                width: percent(tags, totals.tags),
            };
            start += tags;
            part
        });
    (totals.tags > 0).then(|| Share {
        label: format!(
            "Of {}: {} deleted, {} taken off, {} kept",
            count(totals.tags, "tag", "tags"),
            grouped(totals.delete_tags),
            grouped(totals.untag),
            grouped(totals.kept_tags)
        ),
        parts: parts.collect(),
    })
}
