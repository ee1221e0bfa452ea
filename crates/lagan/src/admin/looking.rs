//! How the daemon is: whether it lives, whether it can work, what its policies wait for.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use axum::extract::State;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::{Extension, Json};
use chrono::Utc;
use lagan_config::Right;
use lagan_policy::rollout::{Standing, Tally};
use serde::Serialize;
use utoipa::ToSchema;

use super::Desk;
use super::caller::Caller;
use super::problem::Problem;
use super::runs::{Run, mode, time};
use crate::daemon::{RunNote, Shown};
use crate::rollout::said;
use crate::{rollout, state};

/// Whether the daemon lives.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Health {
    /// `ok`, or `lifeless` where its clock has stood still for two minutes.
    status: &'static str,
    /// The version of this program.
    version: &'static str,
}

/// Whether the daemon lives.
#[utoipa::path(get, path = "/healthz", tag = "health", responses(
    (status = 200, body = Health, description = "It lives."),
    (status = 503, body = Health, description = "Its clock stands still: it should be started anew."),
))]
pub(super) async fn health(State(desk): State<Arc<Desk>>) -> Response {
    let lives = desk.board.lives();
    let health = Health {
        status: if lives { "ok" } else { "lifeless" },
        version: env!("CARGO_PKG_VERSION"),
    };
    let status = match lives {
        true => StatusCode::OK,
        false => StatusCode::SERVICE_UNAVAILABLE,
    };
    (status, Json(health)).into_response()
}

/// Whether the daemon can do its work, and what stands in its way.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Readiness {
    /// Whether a configuration holds, the store can be used, it is known what interrupted runs left, and the daemon does
    /// not stop.
    ready: bool,
    /// The configuration; only for who may look.
    #[serde(skip_serializing_if = "Option::is_none")]
    configuration: Option<Configuration>,
    /// What is wrong with the state directory; only for who may look.
    #[serde(skip_serializing_if = "Option::is_none")]
    store: Option<String>,
    /// The registries of which it is not known yet what interrupted runs left open there: nothing is begun on them; only
    /// for who may look.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    recovering: Vec<String>,
    /// The last run on each registry since the daemon began; only for who may look. They do not make it unready.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    registries: BTreeMap<String, RegistryLook>,
}

/// The configuration that holds.
#[derive(Debug, Serialize, ToSchema)]
struct Configuration {
    /// When it was read.
    read: String,
    /// Why the one that is there now is refused.
    refused: Option<String>,
    /// The settings of the one that holds that take a restart: what held at the start holds.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    needs_restart: Vec<&'static str>,
}

/// What the last run on a registry came to.
#[derive(Debug, Serialize, ToSchema)]
struct RegistryLook {
    /// When it ended.
    at: String,
    /// The error that ended it.
    error: Option<String>,
}

/// Whether the daemon can do its work.
#[utoipa::path(get, path = "/readyz", tag = "health", responses(
    (status = 200, body = Readiness, description = "It can."),
    (status = 503, body = Readiness, description = "It cannot."),
))]
pub(super) async fn readiness(State(desk): State<Arc<Desk>>, caller: Extension<Caller>) -> Response {
    let shown = desk.board.read();
    let store = unusable(&desk.state, &shown);
    let ready = store.is_none() && shown.recovering.is_empty() && !shown.stopping && desk.board.lives();
    let mut readiness = Readiness {
        ready,
        configuration: None,
        store: None,
        recovering: Vec::new(),
        registries: BTreeMap::new(),
    };
    if caller.may_look() {
        readiness.configuration = Some(Configuration {
            read: time(shown.loaded),
            refused: shown.refused,
            needs_restart: shown.restart,
        });
        readiness.store = store;
        readiness.recovering = shown.recovering;
        let looks = shown.looks.into_iter();
        readiness.registries = looks
            .map(|(registry, look)| {
                let look = RegistryLook {
                    at: time(look.at),
                    error: look.error,
                };
                (registry, look)
            })
            .collect();
    }
    let status = match ready {
        true => StatusCode::OK,
        false => StatusCode::SERVICE_UNAVAILABLE,
    };
    (status, Json(readiness)).into_response()
}

/// Everything that is counted and measured, for Prometheus.
#[utoipa::path(get, path = "/metrics", tag = "health", security((), ("token" = ["read"])), responses(
    (status = 200, body = String, content_type = "application/openmetrics-text", description = "OpenMetrics text, as docs/metrics.md lists it."),
    (status = 401, body = Problem, content_type = "application/problem+json"),
))]
pub(super) async fn metrics(
    State(desk): State<Arc<Desk>>,
    caller: Extension<Caller>,
) -> Result<Response, Problem> {
    caller.may(Right::Read)?;
    let config = desk.board.read().config;
    desk.metrics
        .rollouts(&rollout::known(&desk.state, &config, Utc::now()));
    let mut answer = desk.metrics.render().into_response();
    let media_type = HeaderValue::from_static("application/openmetrics-text; version=1.0.0; charset=utf-8");
    answer.headers_mut().insert(header::CONTENT_TYPE, media_type);
    Ok(answer)
}

/// What is wrong with the state directory.
pub(super) fn unusable(state: &Path, shown: &Shown) -> Option<String> {
    if !state::is_there(state) {
        return Some(format!("{} is no state directory any more", state.display()));
    }
    if state::has_failed(state) {
        return Some(FAILED.to_owned());
    }
    shown.unwritten.clone()
}

const FAILED: &str = "the journal failed to write: nothing is begun before it is opened anew, when all that have it open are over";

/// The policies of the configuration that holds.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Policies {
    /// By name.
    policies: Vec<Policy>,
}

/// A policy, and what becomes of it.
#[derive(Debug, Serialize, ToSchema)]
struct Policy {
    name: String,
    registry: String,
    /// `dry-run` or `enforce`.
    mode: &'static str,
    /// Its schedule and time zone; null: it is never run by itself.
    schedule: Option<String>,
    /// When it is due; null: never, or not known before its run in hand has ended.
    next: Option<String>,
    /// How far it has been rolled out; null: it is not rolled out in stages.
    rollout: Option<Rollout>,
    /// The run that is under way.
    running: Option<String>,
    /// What the last of its runs came to.
    last: Option<Run>,
}

/// How far a policy has been rolled out.
#[derive(Debug, Serialize, ToSchema)]
struct Rollout {
    /// In words.
    said: String,
    /// The stage that it is in, from 1 on; null where that cannot be read, and nothing is deleted.
    stage: Option<usize>,
    /// Of how many.
    of: Option<usize>,
    /// The share of its repositories that is deleted from, such as `5%`; null: none is.
    share: Option<String>,
    /// Whether its last stage has held.
    complete: bool,
    /// When it fell back to dry-run.
    fell_back: Option<String>,
    /// When the first deletion of its stage was tried.
    since: Option<String>,
    /// How many deletions of its stage succeeded.
    succeeded: u64,
    /// How many failed.
    failed: u64,
}

impl Rollout {
    fn of(standing: Option<&Standing>) -> Self {
        let record = standing.map(|standing| &standing.record);
        let tally = record.map_or_else(Tally::default, |record| {
            record.fell_back.map_or(record.tally, |fell_back| fell_back.tally)
        });
        Self {
            said: said(standing),
            stage: standing.map(Standing::stage),
            of: standing.map(|standing| standing.rollout.stages.count()),
            share: standing.and_then(Standing::share).map(|share| share.to_string()),
            complete: standing.is_some_and(Standing::is_complete),
            fell_back: record.and_then(|record| Some(time(record.fell_back?.at))),
            since: record.and_then(|record| record.since.map(time)),
            succeeded: tally.succeeded,
            failed: tally.failed,
        }
    }
}

/// The policies, when they are run, and what their last runs came to.
#[utoipa::path(get, path = "/api/v1/policies", tag = "policies", security((), ("token" = ["read"])), responses(
    (status = 200, body = Policies),
    (status = 401, body = Problem, content_type = "application/problem+json"),
))]
pub(super) async fn policies(
    State(desk): State<Arc<Desk>>,
    caller: Extension<Caller>,
) -> Result<Json<Policies>, Problem> {
    caller.may(Right::Read)?;
    let shown = desk.board.read();
    let mut last = desk.lasts.of(&desk.state, &shown.policies);
    let running = |policy: &str| {
        let of_policy = |run: &&RunNote| run.policy == policy;
        shown.running.iter().find(of_policy).map(|run| run.id.clone())
    };
    let known = rollout::known(&desk.state, &shown.config, Utc::now());
    let rollout = |policy: &str| {
        let known = known.iter().find(|known| known.policy == policy)?;
        Some(Rollout::of(known.standing.as_ref()))
    };
    let policies = shown.policies.iter().map(|policy| Policy {
        rollout: rollout(&policy.name),
        running: running(&policy.name),
        last: last.remove(&policy.name),
        name: policy.name.clone(),
        registry: policy.registry.clone(),
        mode: mode(policy.mode),
        schedule: policy.schedule.clone(),
        next: policy.next.map(time),
    });
    Ok(Json(Policies {
        policies: policies.collect(),
    }))
}
