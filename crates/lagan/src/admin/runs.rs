//! What runs came to: those of the history, and those that are not over.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use axum::body::{Body, Bytes};
use axum::extract::{Query, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::{Extension, Json};
use chrono::SecondsFormat;
use futures_util::stream;
use lagan_config::Right;
use lagan_model::Time;
use lagan_policy::Mode;
use serde::{Deserialize, Serialize};
use ulid::Ulid;
use utoipa::{IntoParams, ToSchema};

use super::Desk;
use super::caller::Caller;
use super::problem::{Named, Problem};
use crate::cli::Format;
use crate::daemon::{BY_SCHEDULE, PolicyNote, RunNote, report_name, runs_folder};

/// How many runs are listed unless said otherwise, and at the most.
const LISTED: usize = 100;
const MOST_LISTED: usize = 1000;

/// A run of the daemon.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub(super) struct Run {
    /// Its name; names are in the order of time.
    pub(super) id: String,
    /// `plan`, `apply` or `undo`.
    #[serde(default)]
    pub(super) kind: String,
    /// `waiting`, `running`, `ended`, or `interrupted`: the daemon ended before it did.
    #[serde(default = "is_over")]
    pub(super) state: String,
    /// Who asked for it: `schedule`, `token NAME`, or `uid NUMBER`.
    #[serde(default = "by_schedule")]
    pub(super) by: String,
    /// The policy, or what it was called that was asked for.
    #[serde(default)]
    pub(super) policy: String,
    /// The registry; null where an undo finds it in the journal.
    pub(super) registry: Option<String>,
    /// `dry-run` or `enforce`.
    #[serde(default)]
    pub(super) mode: String,
    /// When it began, or was asked for.
    pub(super) began: Option<String>,
    /// When it ended; where it was interrupted, when that was found.
    pub(super) ended: Option<String>,
    /// Its exit code, as of the command line.
    pub(super) exit: Option<i32>,
    /// In a word or two: `done`, `planned only`, `partial`, `refused by a limit`, `failed`, `given up`,
    /// `turned away`.
    pub(super) outcome: Option<String>,
    /// What ended it, where that was an error.
    pub(super) error: Option<String>,
    /// Why it deleted nothing, although its policy is enforced.
    pub(super) held: Option<String>,
    /// The name of its report, where there is one.
    pub(super) report: Option<String>,
}

fn is_over() -> String {
    "ended".to_owned()
}

fn by_schedule() -> String {
    BY_SCHEDULE.to_owned()
}

/// A time as it is written everywhere.
pub(super) fn time(time: Time) -> String {
    time.to_rfc3339_opts(SecondsFormat::Secs, true)
}

pub(super) fn mode(mode: Mode) -> &'static str {
    match mode {
        Mode::DryRun => "dry-run",
        Mode::Enforce => "enforce",
    }
}

impl Run {
    fn of_note(note: RunNote, state: &str) -> Self {
        Self {
            id: note.id,
            kind: note.kind.as_str().to_owned(),
            state: state.to_owned(),
            by: note.by,
            policy: note.policy,
            registry: Some(note.registry).filter(|name| !name.is_empty()),
            mode: mode(note.mode).to_owned(),
            began: Some(time(note.since)),
            ended: None,
            exit: None,
            outcome: None,
            error: None,
            held: None,
            report: None,
        }
    }

    /// One that left a folder and nothing else: it died before that it began was written, or under an older version.
    fn interrupted(id: String) -> Self {
        Self {
            id,
            kind: String::new(),
            state: "interrupted".to_owned(),
            by: String::new(),
            policy: String::new(),
            registry: None,
            mode: String::new(),
            began: None,
            ended: None,
            exit: None,
            outcome: None,
            error: None,
            held: None,
            report: None,
        }
    }

    /// As its folder has it.
    fn read(folder: &Path, id: &str) -> Option<Self> {
        let text = fs::read(folder.join(id).join("run.json")).ok()?;
        let mut run: Self = serde_json::from_slice(&text).ok()?;
        // Those of older versions do not say.
        if run.kind.is_empty() {
            let planned = run.mode == mode(Mode::DryRun) || run.held.is_some();
            run.kind = if planned { "plan" } else { "apply" }.to_owned();
        }
        Some(run)
    }
}

/// The runs of the history that are over, newest first, each read when it is asked for.
pub(super) fn ended(state: &Path) -> io::Result<impl Iterator<Item = Run> + use<>> {
    let folder = runs_folder(state);
    let mut names: Vec<_> = fs::read_dir(&folder)?
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .filter(|name| Ulid::from_string(name).is_ok())
        .collect();
    names.sort_unstable_by(|one, other| other.cmp(one));
    Ok(names
        .into_iter()
        .filter_map(move |name| Run::read(&folder, &name)))
}

/// The last run of each policy, as it was read: what is written of a run that is over does not change.
#[derive(Debug, Default)]
pub(super) struct Lasts(Mutex<BTreeMap<String, Run>>);

impl Lasts {
    /// The last runs of these policies, by policy. Each is read once.
    pub(super) fn of(&self, state: &Path, policies: &[PolicyNote]) -> BTreeMap<String, Run> {
        let folder = runs_folder(state);
        let mut read = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut before = std::mem::take(&mut *read);
        for policy in policies {
            let Some(id) = &policy.last else { continue };
            let known = before.remove(&policy.name).filter(|run| run.id == *id);
            if let Some(run) = known.or_else(|| Run::read(&folder, id)) {
                read.insert(policy.name.clone(), run);
            }
        }
        read.clone()
    }
}

impl From<io::Error> for Problem {
    fn from(error: io::Error) -> Self {
        let detail = format!("failed to read the history: {error}");
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, detail)
    }
}

/// Which runs are listed.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub(super) struct Which {
    /// Only runs of this policy.
    pub(super) policy: Option<String>,
    /// Only runs of this kind: `plan`, `apply` or `undo`.
    pub(super) kind: Option<String>,
    /// At most so many, 100 unless said, and 1000 at the most.
    limit: Option<usize>,
}

impl Which {
    /// What a form sends that was not filled in says nothing.
    pub(super) fn filled(mut self) -> Self {
        self.policy = self.policy.filter(|policy| !policy.is_empty());
        self.kind = self.kind.filter(|kind| !kind.is_empty());
        self
    }
}

/// Some runs.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Runs {
    /// Newest first; those that are not over come before.
    pub(super) runs: Vec<Run>,
}

/// The runs that are not over, and those that the history has.
#[utoipa::path(get, path = "/api/v1/runs", tag = "runs", params(Which), security((), ("token" = ["read"])), responses(
    (status = 200, body = Runs),
    (status = 400, body = Problem, content_type = "application/problem+json"),
    (status = 401, body = Problem, content_type = "application/problem+json"),
))]
pub(super) async fn list(
    State(desk): State<Arc<Desk>>,
    caller: Extension<Caller>,
    which: Result<Query<Which>, axum::extract::rejection::QueryRejection>,
) -> Result<Json<Runs>, Problem> {
    caller.may(Right::Read)?;
    let which = which.map_err(|error| Problem::wrong(error.body_text()))?.0;
    listed(&desk, &which).map(|runs| Json(Runs { runs }))
}

/// The runs that are plans.
#[utoipa::path(get, path = "/api/v1/plans", tag = "runs", params(Which), security((), ("token" = ["read"])), responses(
    (status = 200, body = Runs),
    (status = 400, body = Problem, content_type = "application/problem+json"),
    (status = 401, body = Problem, content_type = "application/problem+json"),
))]
pub(super) async fn plans(
    State(desk): State<Arc<Desk>>,
    caller: Extension<Caller>,
    which: Result<Query<Which>, axum::extract::rejection::QueryRejection>,
) -> Result<Json<Runs>, Problem> {
    caller.may(Right::Read)?;
    let mut which = which.map_err(|error| Problem::wrong(error.body_text()))?.0;
    which.kind = Some("plan".to_owned());
    listed(&desk, &which).map(|runs| Json(Runs { runs }))
}

pub(super) fn listed(desk: &Desk, which: &Which) -> Result<Vec<Run>, Problem> {
    let limit = which.limit.unwrap_or(LISTED).min(MOST_LISTED);
    let shown = desk.board.read();
    let waiting = shown
        .waiting
        .into_iter()
        .map(|note| Run::of_note(note, "waiting"));
    let running = shown
        .running
        .into_iter()
        .map(|note| Run::of_note(note, "running"));
    let not_over: Vec<_> = waiting.rev().chain(running.rev()).collect();
    let known: Vec<_> = not_over.iter().map(|run| run.id.clone()).collect();
    let over = ended(&desk.state)?.filter(|run| !known.contains(&run.id));
    let is_meant = |run: &Run| {
        which.policy.as_ref().is_none_or(|policy| run.policy == *policy)
            && which.kind.as_ref().is_none_or(|kind| run.kind == *kind)
    };
    Ok(not_over
        .into_iter()
        .chain(over)
        .filter(is_meant)
        .take(limit)
        .collect())
}

/// A run by its name.
pub(super) fn named(desk: &Desk, id: &str) -> Result<Run, Problem> {
    let unknown = || Problem::not_found(NO_SUCH_RUN);
    Ulid::from_string(id).map_err(|_| unknown())?;
    let shown = desk.board.read();
    if let Some(note) = shown.running.into_iter().find(|note| note.id == id) {
        return Ok(Run::of_note(note, "running"));
    }
    if let Some(note) = shown.waiting.into_iter().find(|note| note.id == id) {
        return Ok(Run::of_note(note, "waiting"));
    }
    let folder = runs_folder(&desk.state);
    match Run::read(&folder, id) {
        Some(run) => Ok(run),
        None if folder.join(id).is_dir() => Ok(Run::interrupted(id.to_owned())),
        None => Err(unknown()),
    }
}

pub(super) const NO_SUCH_RUN: &str = "the history has no run of this name";

/// One run.
#[utoipa::path(get, path = "/api/v1/runs/{id}", tag = "runs", security((), ("token" = ["read"])),
    params(("id" = String, Path, description = "The run.")),
    responses(
        (status = 200, body = Run),
        (status = 401, body = Problem, content_type = "application/problem+json"),
        (status = 404, body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn one(
    State(desk): State<Arc<Desk>>,
    caller: Extension<Caller>,
    Named(id): Named,
) -> Result<Json<Run>, Problem> {
    caller.may(Right::Read)?;
    named(&desk, &id).map(Json)
}

/// In which form.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub(super) struct Form {
    /// `json` unless said; `html`; or the form that was asked for with the run.
    format: Option<String>,
}

/// A form by its word.
pub(super) fn form(word: &str) -> Result<Format, Problem> {
    <Format as clap::ValueEnum>::from_str(word, false)
        .map_err(|_| Problem::wrong("a format is one of text, json, ndjson, markdown, csv, html"))
}

/// The report of a run: `lagan.plan/v1`, `lagan.run/v1` or `lagan.undo/v1`, or one for people.
#[utoipa::path(get, path = "/api/v1/runs/{id}/report", tag = "runs", security((), ("token" = ["read"])),
    params(("id" = String, Path, description = "The run."), Form),
    responses(
        (status = 200, body = Object, description = "As docs/plan-format.md and docs/apply.md describe it."),
        (status = 400, body = Problem, content_type = "application/problem+json"),
        (status = 401, body = Problem, content_type = "application/problem+json"),
        (status = 404, body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn report(
    State(desk): State<Arc<Desk>>,
    caller: Extension<Caller>,
    Named(id): Named,
    wanted: Result<Query<Form>, axum::extract::rejection::QueryRejection>,
) -> Result<Response, Problem> {
    caller.may(Right::Read)?;
    let wanted = wanted.map_err(|error| Problem::wrong(error.body_text()))?.0;
    let format = wanted.format.as_deref().map_or(Ok(Format::Json), form)?;
    let run = named(&desk, &id)?;
    report_of(&desk, &run, format)
}

/// The report of a run that is a plan.
#[utoipa::path(get, path = "/api/v1/plans/{id}", tag = "runs", security((), ("token" = ["read"])),
    params(("id" = String, Path, description = "The run.")),
    responses(
        (status = 200, body = Object, description = "`lagan.plan/v1`, as docs/plan-format.md describes it."),
        (status = 401, body = Problem, content_type = "application/problem+json"),
        (status = 404, body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn plan(
    State(desk): State<Arc<Desk>>,
    caller: Extension<Caller>,
    Named(id): Named,
) -> Result<Response, Problem> {
    caller.may(Right::Read)?;
    let run = named(&desk, &id)?;
    if run.kind != "plan" {
        return Err(Problem::not_found(NO_SUCH_RUN));
    }
    report_of(&desk, &run, Format::Json)
}

fn report_of(desk: &Desk, run: &Run, format: Format) -> Result<Response, Problem> {
    let path: PathBuf = runs_folder(&desk.state).join(&run.id).join(report_name(format));
    match File::open(path) {
        Ok(file) => Ok(sent(file, format)?),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let detail = match run.state.as_str() {
                "waiting" | "running" => "this run is not over",
                _ => "this run has no report of this form",
            };
            Err(Problem::not_found(detail))
        }
        Err(error) => Err(error.into()),
    }
}

/// How much of a file is read at a time, in bytes.
const PIECE: usize = 64 * 1024;

/// A file as an answer.
pub(super) fn sent(file: File, format: Format) -> io::Result<Response> {
    let length = file.metadata()?.len();
    let pieces = stream::try_unfold(file, |mut file| async move {
        let mut piece = vec![0; PIECE];
        let read = file.read(&mut piece)?;
        piece.truncate(read);
        Ok::<_, io::Error>((read > 0).then(|| (Bytes::from(piece), file)))
    });
    let mut answer = Body::from_stream(pieces).into_response();
    let headers = answer.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(media_type(format)));
    headers.insert(header::CONTENT_LENGTH, length.into());
    if matches!(format, Format::Html) {
        // It admits its own style and its own script by their hashes, and nothing else.
        headers.insert(
            header::CONTENT_SECURITY_POLICY,
            HeaderValue::from_static("frame-ancestors 'none'"),
        );
    }
    Ok(answer)
}

fn media_type(format: Format) -> &'static str {
    match format {
        Format::Json => "application/json",
        Format::Ndjson => "application/x-ndjson",
        Format::Html => "text/html; charset=utf-8",
        Format::Csv => "text/csv; charset=utf-8",
        Format::Markdown => "text/markdown; charset=utf-8",
        Format::Text => "text/plain; charset=utf-8",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_of_the_history_is_read_when_it_is_asked_for() {
        let place = tempfile::tempdir().unwrap();
        let folder = runs_folder(place.path());
        for (id, policy) in [
            ("01KAJ3E5Z0000000000000000A", "p"),
            ("01KAJ3E5Z0000000000000000B", "q"),
            ("01KAJ3E5Z0000000000000000C", "p"),
        ] {
            fs::create_dir_all(folder.join(id)).unwrap();
            let text = format!("{{\"id\": \"{id}\", \"policy\": \"{policy}\"}}");
            fs::write(folder.join(id).join("run.json"), text).unwrap();
        }
        let policy = |name: &str, last: Option<&str>| PolicyNote {
            name: name.to_owned(),
            registry: "r".to_owned(),
            mode: Mode::DryRun,
            schedule: None,
            next: None,
            last: last.map(|last| format!("01KAJ3E5Z0000000000000000{last}")),
        };
        let lasts = Lasts::default();
        let found = |policies: &[PolicyNote]| -> Vec<(String, char)> {
            let found = lasts.of(place.path(), policies).into_iter();
            found
                .map(|(policy, run)| (policy, run.id.chars().next_back().unwrap()))
                .collect()
        };
        let named = |policy: &str, last: char| (policy.to_owned(), last);
        let policies = [
            policy("p", Some("C")),
            policy("q", Some("B")),
            policy("never", None),
        ];
        assert_eq!(found(&policies), [named("p", 'C'), named("q", 'B')]);
        // Another is the last by now, and one policy is gone.
        assert_eq!(found(&[policy("p", Some("A"))]), [named("p", 'A')]);
        assert_eq!(found(&policies[..1]), [named("p", 'C')]);

        let mut runs = ended(place.path()).unwrap();
        assert_eq!(runs.next().unwrap().policy, "p");
        fs::remove_dir_all(&folder).unwrap();
        assert_eq!(runs.next(), None);
    }
}
