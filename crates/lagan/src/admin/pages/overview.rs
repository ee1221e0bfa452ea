//! The first page: policies, what is due, what was freed, how the registries were reached.

use std::sync::Arc;

use askama::Template;
use axum::Extension;
use axum::extract::State;
use chrono::Utc;
use lagan_config::Right;
use lagan_policy::Mode;
use lagan_policy::rollout::Standing;

use super::freed::Chart;
use super::{Frame, Shown, show};
use crate::admin::Desk;
use crate::admin::caller::Caller;
use crate::admin::looking::unusable;
use crate::admin::runs::{Run, mode, time};
use crate::bans::Pause;
use crate::metrics::Scored;
use crate::rollout::{self, Known, said};

#[derive(Template)]
#[template(path = "admin/overview.html")]
struct Overview {
    frame: Frame,
    notices: Vec<String>,
    policies: Vec<Policy>,
    enforced: usize,
    next: Option<(String, String)>,
    running: Vec<(String, String)>,
    waiting: usize,
    chart: Option<Chart>,
    /// What there is to say where there is no chart.
    nothing: String,
    registries: Vec<(String, String, Option<String>)>,
    health: Vec<Health>,
    names: Vec<String>,
}

struct Policy {
    name: String,
    registry: String,
    mode: &'static str,
    rollout: Option<String>,
    schedule: String,
    next: String,
    last: Option<Run>,
}

/// How well a registry does, or a policy on it, and the parts that this is made of.
struct Health {
    of: String,
    score: String,
    class: &'static str,
    parts: Vec<(&'static str, String)>,
}

impl From<Scored> for Health {
    fn from(scored: Scored) -> Self {
        let parts = scored.score.parts.iter();
        Self {
            of: match scored.policy {
                Some(policy) => format!("{policy} on {}", scored.registry),
                // They find their registry in the journal.
                None if scored.registry.is_empty() => "undos".to_owned(),
                None => scored.registry,
            },
            // Rounded down: one that is just too low does not read as good.
            score: scored.score.value().floor().to_string(),
            class: if scored.is_low { "bad" } else { "good" },
            parts: parts
                .map(|part| {
                    let weight = f64::from(part.kind.weight());
                    let points = format!("{:.1} of {weight}", weight * part.value);
                    (part.kind.as_str(), points)
                })
                .collect(),
        }
    }
}

pub(super) async fn overview(State(desk): State<Arc<Desk>>, caller: Extension<Caller>) -> Shown {
    caller.may(Right::Read)?;
    let counted = desk.freed.count(&desk.state).await;
    let shown = desk.board.read();
    let mut last = desk.lasts.of(&desk.state, &shown.policies);
    let mut notices = Vec::new();
    if shown.stopping {
        notices.push("The daemon stops.".to_owned());
    }
    if !shown.recovering.is_empty() {
        let left = shown.recovering.join(", ");
        notices.push(format!(
            "What interrupted runs left open is looked at, and nothing is begun before that, on {left}."
        ));
    }
    if let Some(pause) = Pause::read(&desk.state, Utc::now()) {
        notices.push(format!("{}.", capitalized(&pause.said())));
    }
    if let Some(refused) = &shown.refused {
        notices.push(format!(
            "The configuration was changed and is refused; the one before holds.\n{}",
            refused.trim_end()
        ));
    }
    notices.extend(shown.restart.iter().map(|setting| {
        format!("{setting} is another now, which takes a restart: what held at the start holds.")
    }));
    notices.extend(unusable(&desk.state, &shown).as_deref().map(capitalized));
    let known = rollout::known(&desk.state, &shown.config, Utc::now());
    let stand_still = |known: &&Known| known.standing.as_ref().and_then(Standing::share).is_none();
    notices.extend(known.iter().filter(stand_still).map(|known| {
        format!(
            "The rollout of {}: {}. It begins anew with lagan rollout restart.",
            known.policy,
            said(known.standing.as_ref())
        )
    }));
    let next = shown
        .policies
        .iter()
        .filter_map(|policy| Some((policy.next?, &policy.name)))
        .min();
    let page = Overview {
        frame: Frame::new("/", "Overview"),
        notices,
        enforced: shown
            .policies
            .iter()
            .filter(|policy| policy.mode == Mode::Enforce)
            .count(),
        next: next.map(|(at, name)| (name.clone(), time(at))),
        running: shown
            .running
            .iter()
            .map(|run| (run.id.clone(), run.policy.clone()))
            .collect(),
        waiting: shown.waiting.len(),
        policies: shown
            .policies
            .iter()
            .map(|policy| Policy {
                name: policy.name.clone(),
                registry: policy.registry.clone(),
                mode: mode(policy.mode),
                rollout: known
                    .iter()
                    .find(|known| known.policy == policy.name)
                    .map(|known| said(known.standing.as_ref())),
                schedule: policy
                    .schedule
                    .clone()
                    .unwrap_or_else(|| "when asked for".to_owned()),
                next: policy.next.map(time).unwrap_or_default(),
                last: last.remove(&policy.name),
            })
            .collect(),
        chart: desk.freed.chart(),
        nothing: match counted {
            true => desk.freed.nothing(),
            false => "The journal is being counted; look again in a moment.".to_owned(),
        },
        registries: shown
            .looks
            .into_iter()
            .map(|(name, look)| (name, time(look.at), look.error))
            .collect(),
        health: desk.metrics.scores().into_iter().map(Health::from).collect(),
        names: shown
            .config
            .registries
            .iter()
            .map(|registry| registry.name.to_string())
            .collect(),
    };
    show(&page)
}

fn capitalized(text: &str) -> String {
    let mut characters = text.chars();
    characters.next().map_or_else(String::new, |first| {
        first.to_uppercase().chain(characters).collect()
    })
}
