//! What was done: the runs of the daemon, and the journal, from which it is undone.

use std::io::Read as _;
use std::sync::Arc;

use askama::Template;
use axum::Extension;
use axum::extract::{Form, FromRequest as _, Query, Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Redirect, Response};
use lagan_config::Right;
use lagan_model::journal::{Purpose, RunId};
use lagan_report::HistoryFormat;
use lagan_state::RunSummary;
use serde::Deserialize;

use super::{Frame, Refused, Shown, show};
use crate::admin::asking::{How, LONGEST, place, whole};
use crate::admin::caller::{Caller, Way, of_token};
use crate::admin::journal::{NO_SUCH_RUN, looked_up, read};
use crate::admin::problem::{Named, Problem};
use crate::admin::runs::{Run, Which, listed, named, time};
use crate::admin::{Desk, asking};
use crate::cli::{Format, UndoArgs};
use crate::commands::journal;
use crate::daemon::{Asked, report_name, runs_folder};

/// How many runs of the journal are listed.
const LISTED: usize = 100;

/// How much of a run is shown, in bytes.
const SHOWN: u64 = 512 * 1024;

#[derive(Template)]
#[template(path = "admin/runs.html")]
struct Runs {
    frame: Frame,
    policy: String,
    kind: String,
    runs: Vec<Run>,
}

pub(super) async fn runs(
    State(desk): State<Arc<Desk>>,
    caller: Extension<Caller>,
    which: Result<Query<Which>, axum::extract::rejection::QueryRejection>,
) -> Shown {
    caller.may(Right::Read)?;
    let which = which
        .map_err(|error| Problem::wrong(error.body_text()))?
        .0
        .filled();
    let page = Runs {
        frame: Frame::new("/runs", "Runs"),
        policy: which.policy.clone().unwrap_or_default(),
        kind: which.kind.clone().unwrap_or_default(),
        runs: listed(&desk, &which)?,
    };
    show(&page)
}

#[derive(Template)]
#[template(path = "admin/run.html")]
struct OneRun {
    frame: Frame,
    run: Run,
    html: bool,
    journal: Option<String>,
}

pub(super) async fn run(
    State(desk): State<Arc<Desk>>,
    caller: Extension<Caller>,
    id: Result<Named, Problem>,
) -> Shown {
    caller.may(Right::Read)?;
    let Named(id) = id?;
    let run = named(&desk, &id)?;
    let folder = runs_folder(&desk.state).join(&run.id);
    let page = OneRun {
        frame: Frame::new("/runs", format!("Run {id}")),
        html: folder.join(report_name(Format::Html)).is_file(),
        journal: in_journal(&folder.join(report_name(Format::Json))),
        run,
    };
    show(&page)
}

/// The run of the journal that a report is about: it stands in front.
fn in_journal(report: &std::path::Path) -> Option<String> {
    let mut start = String::new();
    let file = std::fs::File::open(report).ok()?;
    // As much as comes before the plan's id, and nothing of what is cut.
    _ = file.take(120).read_to_string(&mut start);
    let (_, rest) = start.split_once("\"run\":\"")?;
    let (run, _) = rest.split_once('"')?;
    run.parse::<RunId>().ok().map(|run| run.to_string())
}

#[derive(Template)]
#[template(path = "admin/journal.html")]
struct Journal {
    frame: Frame,
    runs: Vec<Entry>,
    more: usize,
}

struct Entry {
    id: String,
    what: &'static str,
    registry: String,
    began: String,
    results: String,
}

impl From<RunSummary> for Entry {
    fn from(run: RunSummary) -> Self {
        let results = match &run.end {
            Some(end) => {
                let results = end
                    .results
                    .iter()
                    .map(|(result, count)| format!("{count} {result}"));
                let all = results.collect::<Vec<_>>().join(", ");
                if end.stopped {
                    format!("{all}, stopped")
                } else {
                    all
                }
            }
            None => "it goes on, or was interrupted".to_owned(),
        };
        let begin = run.begin;
        Self {
            id: run.run.to_string(),
            what: match begin.as_ref().map(|begin| &begin.purpose) {
                Some(Purpose::Apply { .. }) => "deleted",
                Some(Purpose::Undo { .. }) => "put back",
                Some(Purpose::Purge) => "purged held copies",
                Some(Purpose::Collect) => "collected garbage",
                None => "",
            },
            registry: begin
                .as_ref()
                .map(|begin| begin.registry.name.to_string())
                .unwrap_or_default(),
            began: begin.map(|begin| time(begin.at)).unwrap_or_default(),
            results,
        }
    }
}

pub(super) async fn journal(State(desk): State<Arc<Desk>>, caller: Extension<Caller>) -> Shown {
    caller.may(Right::Read)?;
    let (runs, more) = looked_up(&desk.state, |journal| {
        let runs = journal.last_runs(LISTED)?;
        let all = journal.count_runs()?;
        Ok((runs, all))
    })
    .await
    .map(|(runs, all)| {
        let more = all.saturating_sub(runs.len());
        (runs, more)
    })?;
    let page = Journal {
        frame: Frame::new("/journal", "Journal"),
        runs: runs.into_iter().rev().map(Entry::from).collect(),
        more,
    };
    show(&page)
}

#[derive(Template)]
#[template(path = "admin/journal_run.html")]
struct JournalRun {
    frame: Frame,
    id: String,
    refused: Option<String>,
    text: String,
    cut: bool,
}

pub(super) async fn journal_run(
    State(desk): State<Arc<Desk>>,
    caller: Extension<Caller>,
    run: Result<Named, Problem>,
) -> Shown {
    caller.may(Right::Read)?;
    let Named(run) = run?;
    run_page(&desk, &run, None).await
}

async fn run_page(desk: &Desk, run: &str, refused: Option<String>) -> Shown {
    let run: RunId = run.parse().map_err(|_| Problem::not_found(NO_SUCH_RUN))?;
    let id = run.to_string();
    let wanted = id.clone();
    let file = read(&desk.state, move |open, out| {
        journal::show(open, &wanted, HistoryFormat::Text { colour: false }, out)
    })
    .await?;
    let cut = file.metadata()?.len() > SHOWN;
    let mut text = Vec::new();
    file.take(SHOWN).read_to_end(&mut text)?;
    let page = JournalRun {
        frame: Frame::new("/journal", format!("Journal: {id}")),
        id,
        refused,
        // It may be cut within a character.
        text: String::from_utf8_lossy(&text).into_owned(),
        cut,
    };
    show(&page)
}

/// What the form for an undo sends. Its token is in the form, because no browser sends a header for a form; whoever
/// makes a browser send it from elsewhere does not know it.
#[derive(Deserialize)]
struct Undo {
    token: String,
    #[serde(default)]
    confirm: String,
    #[serde(default)]
    dry_run: String,
}

pub(super) async fn undo(
    State(desk): State<Arc<Desk>>,
    way: Extension<Way>,
    caller: Extension<Caller>,
    run: Result<Named, Problem>,
    request: Request,
) -> Result<Response, Refused> {
    let Named(run) = run?;
    let site = request.headers().get("sec-fetch-site");
    if site.is_some_and(|site| site != "same-origin") {
        let detail = "this was sent by another page than that of the journal";
        return Err(Problem::new(StatusCode::FORBIDDEN, detail).into());
    }
    let (parts, body) = request.into_parts();
    let bytes = whole(body, LONGEST, desk.patience.body).await?;
    let form = Form::<Undo>::from_request(Request::from_parts(parts, bytes.into()), &()).await;
    let form = form.map_err(|error| Problem::wrong(error.body_text()))?.0;
    let asks = match *way {
        // Whom the kernel knows needs none.
        Way::Socket { .. } => caller.0.clone(),
        Way::Tcp { .. } => match of_token(&desk, form.token.trim().as_bytes()) {
            Ok(caller) => caller,
            Err(problem) => return again(&desk, &caller, &run, problem).await,
        },
    };
    // The form is shown again to whom it could be shown before.
    let reads = if caller.may(Right::Read).is_ok() {
        &*caller
    } else {
        &asks
    };
    if let Err(problem) = asks.may(Right::Undo) {
        let mut answer = again(&desk, reads, &run, problem).await?;
        // Who it was is on record.
        answer.extensions_mut().insert(asks);
        return Ok(answer);
    }
    if form.confirm != "yes" {
        let problem = Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "it was not confirmed");
        return again(&desk, reads, &run, problem).await;
    }
    let run: RunId = run.parse().map_err(|_| Problem::not_found(NO_SUCH_RUN))?;
    let arguments = UndoArgs {
        target: Some(run.to_string()),
        dry_run: form.dry_run == "yes",
        ..UndoArgs::default()
    };
    let what = Asked::Undo(Box::new(asking::settled(&desk, arguments).await?));
    let placed = place(&desk, &asks, what, String::new(), Vec::new(), How::detached())?;
    let run = placed.headers().get(header::LOCATION).and_then(asking::run_of);
    let run = run.ok_or_else(|| Problem::busy("the daemon did not take it on", 10))?;
    Ok(Redirect::to(&format!("/runs/{run}")).into_response())
}

/// The form again, and what was wrong with it; that alone for who may not look.
async fn again(desk: &Desk, caller: &Caller, run: &str, problem: Problem) -> Shown {
    if caller.may(Right::Read).is_err() {
        return Err(problem.into());
    }
    let mut answer = run_page(desk, run, Some(problem.says())).await?;
    *answer.status_mut() = problem.status();
    if problem.status() == StatusCode::UNAUTHORIZED {
        let scheme = HeaderValue::from_static("Bearer realm=\"lagan\"");
        answer.headers_mut().insert(header::WWW_AUTHENTICATE, scheme);
    }
    Ok(answer)
}
