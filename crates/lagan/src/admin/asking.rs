//! What is asked of the daemon: a plan, an apply, an undo. Each becomes a run, and whoever asked hears how it goes.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::{Extension, Json};
use chrono::{DateTime, Utc};
use futures_util::stream;
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use lagan_config::{Config, Right};
use lagan_report::sanitize::clipped;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::sync::mpsc::{self, Receiver};
use ulid::Ulid;
use utoipa::ToSchema;

use super::Desk;
use super::caller::Caller;
use super::problem::Problem;
use super::runs::{NO_SUCH_RUN, form};
use crate::cli::{ConnectArgs, SourceArgs, UndoArgs};
use crate::commands::undo;
use crate::daemon::{Answer, Asked, NotPlaced, Order, SAVED, Wanted, new_id, runs_folder};
use crate::sources::{self, Source, globs};

/// How much may be asked at once, in bytes.
pub(super) const LONGEST: usize = 64 * 1024;

/// How often something is said, so that nobody takes silence for the end.
const SILENCE: Duration = Duration::from_secs(10);

/// A plan that is asked for.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct PlanOrder {
    /// The registry, where the configuration has several.
    registry: Option<String>,
    /// The policies that make candidates; all of the registry unless said.
    policies: Vec<String>,
    /// Only repositories that one of these globs matches.
    repositories: Vec<String>,
    /// Keep the whole plan, so that `POST /api/v1/apply` can carry it out. Reads more.
    save: bool,
    /// Report the tags that stay as well.
    all: bool,
    /// Count what collecting the garbage would free. Reads more.
    bytes: bool,
    /// Answer when it is over (the default), with a line of JSON for each thing that happens; the run is stopped when the
    /// connection is closed. Otherwise the answer comes at once, and the run goes on by itself.
    wait: Option<bool>,
    /// The hash (SHA-256, in hexadecimal digits) of the configuration that whoever asks goes by. The daemon refuses where its
    /// own is another one.
    configuration: Option<String>,
    /// A form of the report besides JSON and HTML: `text`, `markdown`, `csv`, `ndjson`.
    format: Option<String>,
}

/// Enforced policies, or a plan that was kept, to be carried out.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct ApplyOrder {
    /// The run of a plan that was kept (`save`), which is carried out as it stands. It has its registry and policies.
    plan: Option<String>,
    /// The registry, where the configuration has several.
    registry: Option<String>,
    /// The policies that make candidates; all of the registry that are enforced unless said.
    policies: Vec<String>,
    /// Only repositories that one of these globs matches.
    repositories: Vec<String>,
    /// Answer when it is over (the default), with a line of JSON for each thing that happens; the run is stopped when the
    /// connection is closed. Otherwise the answer comes at once, and the run goes on by itself.
    wait: Option<bool>,
    /// The hash (SHA-256, in hexadecimal digits) of the configuration that whoever asks goes by. The daemon refuses where its
    /// own is another one.
    configuration: Option<String>,
    /// A form of the report besides JSON and HTML: `text`, `markdown`, `csv`, `ndjson`.
    format: Option<String>,
}

/// What is to be put back: one of `target`, `since` and `repository`.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct UndoOrder {
    /// A run of the journal, `last`, a repository, or one artifact as `REPOSITORY:TAG` or `REPOSITORY@DIGEST`.
    target: Option<String>,
    /// Everything that was deleted since this time (RFC 3339).
    #[schema(value_type = Option<String>, format = DateTime)]
    since: Option<DateTime<Utc>>,
    /// Everything that was deleted in this repository.
    repository: Option<String>,
    /// A registry of the configuration, where the journal knows several and `target` is no run.
    registry: Option<String>,
    /// Only look, and report what would be put back.
    dry_run: bool,
    /// Take tags back that were put on something else since.
    overwrite_moved_tags: bool,
    /// Answer when it is over (the default), with a line of JSON for each thing that happens; the run is stopped when the
    /// connection is closed. Otherwise the answer comes at once, and the run goes on by itself.
    wait: Option<bool>,
    /// A form of the report besides JSON and HTML: `text`, `markdown`, `csv`, `ndjson`.
    format: Option<String>,
}

/// How it is told what comes of it.
pub(super) struct How {
    wait: Option<bool>,
    format: Option<String>,
    configuration: Option<String>,
}

impl How {
    /// Nobody waits for it.
    pub(super) fn detached() -> Self {
        Self {
            wait: Some(false),
            format: None,
            configuration: None,
        }
    }
}

/// A run that was taken on.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Accepted {
    /// Its name.
    run: String,
    /// Where it is.
    location: String,
}

/// Makes a plan. Nothing is deleted.
///
/// The answer is a line of JSON for each thing that happens, `event` among its members: `accepted`, `waits`, `began`,
/// `alive` every ten seconds, and in the end `ended` with the run.
#[utoipa::path(post, path = "/api/v1/plan", tag = "orders", request_body = PlanOrder, security(("token" = ["plan"])), responses(
    (status = 200, content_type = "application/x-ndjson", body = Object, description = "How it goes, to its end."),
    (status = 202, body = Accepted, description = "`wait` is false."),
    (status = 400, body = Problem, content_type = "application/problem+json"),
    (status = 401, body = Problem, content_type = "application/problem+json"),
    (status = 403, body = Problem, content_type = "application/problem+json"),
    (status = 408, body = Problem, content_type = "application/problem+json"),
    (status = 413, body = Problem, content_type = "application/problem+json"),
    (status = 409, body = Problem, content_type = "application/problem+json", description = "`configuration` is another one than the daemon's."),
    (status = 415, body = Problem, content_type = "application/problem+json"),
    (status = 422, body = Problem, content_type = "application/problem+json", description = "Such a run cannot be."),
    (status = 503, body = Problem, content_type = "application/problem+json", description = "Too much is asked for at once."),
))]
pub(super) async fn plan(
    State(desk): State<Arc<Desk>>,
    caller: Extension<Caller>,
    request: Request,
) -> Result<Response, Problem> {
    caller.may(Right::Plan)?;
    let order: PlanOrder = body(request, desk.patience.body).await?;
    let how = How {
        wait: order.wait,
        format: order.format,
        configuration: order.configuration,
    };
    let config = desk.board.read().config;
    let source = source(&config, order.registry, &order.policies)?;
    globs(&order.repositories)?;
    let what = Asked::Plan(Wanted {
        repositories: order.repositories,
        save: order.save,
        all: order.all,
        bytes: order.bytes,
    });
    let registry = source.registry.name.to_string();
    place(&desk, &caller, what, registry, order.policies, how)
}

/// Carries out policies that are enforced, or a plan that was kept, within the limits.
///
/// The answer is as that of `plan`.
#[utoipa::path(post, path = "/api/v1/apply", tag = "orders", request_body = ApplyOrder, security(("token" = ["apply"])), responses(
    (status = 200, content_type = "application/x-ndjson", body = Object, description = "How it goes, to its end."),
    (status = 202, body = Accepted, description = "`wait` is false."),
    (status = 400, body = Problem, content_type = "application/problem+json"),
    (status = 401, body = Problem, content_type = "application/problem+json"),
    (status = 403, body = Problem, content_type = "application/problem+json"),
    (status = 404, body = Problem, content_type = "application/problem+json"),
    (status = 408, body = Problem, content_type = "application/problem+json"),
    (status = 413, body = Problem, content_type = "application/problem+json"),
    (status = 409, body = Problem, content_type = "application/problem+json", description = "`configuration` is another one than the daemon's."),
    (status = 415, body = Problem, content_type = "application/problem+json"),
    (status = 422, body = Problem, content_type = "application/problem+json", description = "Such a run cannot be."),
    (status = 503, body = Problem, content_type = "application/problem+json", description = "Too much is asked for at once."),
))]
pub(super) async fn apply(
    State(desk): State<Arc<Desk>>,
    caller: Extension<Caller>,
    request: Request,
) -> Result<Response, Problem> {
    caller.may(Right::Apply)?;
    let order: ApplyOrder = body(request, desk.patience.body).await?;
    let how = How {
        wait: order.wait,
        format: order.format,
        configuration: order.configuration,
    };
    if let Some(id) = &order.plan {
        if order.registry.is_some() || !order.policies.is_empty() || !order.repositories.is_empty() {
            return Err(impossible(
                "a plan that was kept has its registry, policies and repositories with it",
            ));
        }
        let id = Ulid::from_string(id).map_err(|_| Problem::not_found(NO_SUCH_RUN))?;
        let path = runs_folder(&desk.state).join(id.to_string()).join(SAVED);
        if !path.is_file() {
            let problem = Problem::not_found("no plan of this name was kept");
            return Err(problem.hint("ask for a plan with `\"save\": true`"));
        }
        let run = super::runs::named(&desk, &id.to_string())?;
        let registry = run.registry.unwrap_or_default();
        let policies = vec![format!("the plan {id}")];
        return place(&desk, &caller, Asked::Saved(path), registry, policies, how);
    }
    let config = desk.board.read().config;
    let mut source = source(&config, order.registry, &order.policies)?;
    source.only_enforced()?;
    globs(&order.repositories)?;
    let registry = source.registry.name.to_string();
    let what = Asked::Apply(order.repositories);
    place(&desk, &caller, what, registry, order.policies, how)
}

/// Puts back what was deleted, byte for byte, or reports why not. It goes before plans and deletions that wait.
///
/// The answer is as that of `plan`.
#[utoipa::path(post, path = "/api/v1/undo", tag = "orders", request_body = UndoOrder, security(("token" = ["undo"])), responses(
    (status = 200, content_type = "application/x-ndjson", body = Object, description = "How it goes, to its end."),
    (status = 202, body = Accepted, description = "`wait` is false."),
    (status = 400, body = Problem, content_type = "application/problem+json"),
    (status = 401, body = Problem, content_type = "application/problem+json"),
    (status = 403, body = Problem, content_type = "application/problem+json"),
    (status = 404, body = Problem, content_type = "application/problem+json", description = "The journal has no such run."),
    (status = 408, body = Problem, content_type = "application/problem+json"),
    (status = 413, body = Problem, content_type = "application/problem+json"),
    (status = 415, body = Problem, content_type = "application/problem+json"),
    (status = 422, body = Problem, content_type = "application/problem+json", description = "Such a run cannot be."),
    (status = 503, body = Problem, content_type = "application/problem+json", description = "Too much is asked for at once."),
))]
pub(super) async fn undo(
    State(desk): State<Arc<Desk>>,
    caller: Extension<Caller>,
    request: Request,
) -> Result<Response, Problem> {
    caller.may(Right::Undo)?;
    let order: UndoOrder = body(request, desk.patience.body).await?;
    let how = How {
        wait: order.wait,
        format: order.format,
        configuration: None,
    };
    let named = [
        order.target.is_some(),
        order.since.is_some(),
        order.repository.is_some(),
    ];
    if named.iter().filter(|named| **named).count() != 1 {
        return Err(impossible(
            "an undo has one of `target`, `since` and `repository`",
        ));
    }
    let repository = order.repository.map(|name| {
        let wrong = |error| {
            let name = clipped(&name, 100);
            impossible(format!("{name:?} is no repository: {error}"))
        };
        name.parse().map_err(wrong)
    });
    let config = desk.board.read().config;
    let registry = order.registry.map(|name| configured(&config, name)).transpose()?;
    let arguments = UndoArgs {
        target: order.target,
        since: order.since,
        repository: repository.transpose()?,
        connect: ConnectArgs {
            registry: registry.clone(),
            ..ConnectArgs::default()
        },
        dry_run: order.dry_run,
        overwrite_moved_tags: order.overwrite_moved_tags,
        ..UndoArgs::default()
    };
    let what = Asked::Undo(Box::new(settled(&desk, arguments).await?));
    place(
        &desk,
        &caller,
        what,
        registry.unwrap_or_default(),
        Vec::new(),
        how,
    )
}

/// What is to be undone, as it is now: it waits for the registry that it is about, and for no other.
pub(super) async fn settled(desk: &Desk, arguments: UndoArgs) -> Result<UndoArgs, Problem> {
    let (config, state) = (desk.board.read().config, desk.state.clone());
    let found = tokio::task::spawn_blocking(move || undo::settled(&config, &state, arguments)).await;
    let failed = |_| Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "the journal could not be read");
    Ok(found.map_err(failed)??)
}

fn impossible(detail: impl Into<String>) -> Problem {
    Problem::new(StatusCode::UNPROCESSABLE_ENTITY, detail)
}

/// The registry and the policies of the configuration that are named, before anybody waits for a run that cannot be.
pub(super) fn source(
    config: &Config,
    registry: Option<String>,
    policies: &[String],
) -> Result<Source, Problem> {
    let registry = registry.map(|name| configured(config, name)).transpose()?;
    let arguments = SourceArgs {
        connect: ConnectArgs {
            registry,
            ..ConnectArgs::default()
        },
        policy: policies.to_vec(),
        ..SourceArgs::default()
    };
    Ok(Source::of(Some(config), &arguments, &[])?)
}

/// A registry of the configuration, and no other: nobody sends the daemon elsewhere.
fn configured(config: &Config, name: String) -> Result<String, Problem> {
    let arguments = ConnectArgs {
        registry: Some(name),
        ..ConnectArgs::default()
    };
    match sources::registry(Some(config), &arguments)? {
        (_, Some(registry)) => Ok(registry.name.to_string()),
        (_, None) => Err(impossible("the configuration has no registry at this address")),
    }
}

/// What was asked, whole, in time, and as JSON.
async fn body<T: DeserializeOwned>(request: Request, patience: Duration) -> Result<T, Problem> {
    let media_type = request.headers().get(header::CONTENT_TYPE);
    let essence = media_type.and_then(|value| value.to_str().ok()?.split(';').next());
    if essence.is_none_or(|essence| !essence.trim().eq_ignore_ascii_case("application/json")) {
        let detail = "what is asked is JSON: send `Content-Type: application/json`";
        return Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, detail));
    }
    let bytes = whole(request.into_body(), LONGEST, patience).await?;
    serde_json::from_slice(&bytes).map_err(|error| {
        let error = error.to_string();
        Problem::wrong(format!("what is asked cannot be read: {}", clipped(&error, 300)))
    })
}

/// A body, whole and in time.
pub(super) async fn whole(body: Body, longest: usize, patience: Duration) -> Result<Bytes, Problem> {
    let whole = Limited::new(body, longest).collect();
    let Ok(read) = tokio::time::timeout(patience, whole).await else {
        let detail = "what is sent did not come in time";
        return Err(Problem::new(StatusCode::REQUEST_TIMEOUT, detail));
    };
    match read {
        Ok(read) => Ok(read.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => {
            let detail = format!("what is sent is longer than {} KiB", longest / 1024);
            Err(Problem::new(StatusCode::PAYLOAD_TOO_LARGE, detail))
        }
        Err(_) => Err(Problem::wrong("what is sent did not come whole")),
    }
}

/// The run at a place.
pub(super) fn run_of(location: &HeaderValue) -> Option<&str> {
    location.to_str().ok()?.strip_prefix(RUNS)
}

const RUNS: &str = "/api/v1/runs/";

/// Hands an order to the daemon.
pub(super) fn place(
    desk: &Desk,
    caller: &Caller,
    what: Asked,
    registry: String,
    policies: Vec<String>,
    how: How,
) -> Result<Response, Problem> {
    let form = how.format.as_deref().map(form).transpose()?;
    if let Some(named) = &how.configuration {
        crate::daemon::obeys(&desk.board.read().config, named)?;
    }
    let wait = how.wait.unwrap_or(true);
    let now = Utc::now();
    let id = new_id(now);
    let (tell, told) = mpsc::channel(16);
    let order = Order {
        id: id.clone(),
        by: caller.name.clone(),
        at: now,
        what,
        registry,
        policies,
        form,
        tell,
        detached: !wait,
        configuration: how.configuration,
        place: None,
    };
    desk.board.place(order, &desk.orders).map_err(|why| match why {
        NotPlaced::Stopping => Problem::busy("the daemon stops", 30),
        NotPlaced::TooMany => Problem::busy("too much is asked for at once", 10),
    })?;
    let location = format!("{RUNS}{id}");
    let mut answer = match wait {
        false => {
            let accepted = Accepted {
                run: id,
                location: location.clone(),
            };
            (StatusCode::ACCEPTED, Json(accepted)).into_response()
        }
        true => {
            let mut answer = Body::from_stream(lines(id, told)).into_response();
            let media_type = HeaderValue::from_static("application/x-ndjson");
            answer.headers_mut().insert(header::CONTENT_TYPE, media_type);
            answer
        }
    };
    if let Ok(location) = HeaderValue::from_str(&location) {
        answer.headers_mut().insert(header::LOCATION, location);
    }
    Ok(answer)
}

/// What happens, a line each. When nobody reads them any more, the daemon finds that `told` is gone.
fn lines(id: String, told: Receiver<Answer>) -> impl stream::Stream<Item = Result<Bytes, Infallible>> {
    let accepted = json!({ "event": "accepted", "run": id });
    stream::unfold(
        (Some(accepted), Some(told)),
        async |(first, told)| -> Option<(Result<Bytes, Infallible>, _)> {
            if let Some(first) = first {
                return Some((Ok(line(&first)), (None, told)));
            }
            let mut told = told?;
            let said = match tokio::time::timeout(SILENCE, told.recv()).await {
                Err(_) => json!({ "event": "alive" }),
                Ok(Some(Answer::Waits(why))) => json!({ "event": "waits", "for": why }),
                Ok(Some(Answer::Began)) => json!({ "event": "began" }),
                Ok(Some(Answer::Ended(record))) => {
                    let ended = json!({ "event": "ended", "run": record.to_json(true) });
                    return Some((Ok(line(&ended)), (None, None)));
                }
                Ok(None) => {
                    let lost = json!({ "event": "lost", "why": "the daemon ended before the run did" });
                    return Some((Ok(line(&lost)), (None, None)));
                }
            };
            Some((Ok(line(&said)), (None, Some(told))))
        },
    )
}

fn line(value: &Value) -> Bytes {
    Bytes::from(format!("{value}\n"))
}
