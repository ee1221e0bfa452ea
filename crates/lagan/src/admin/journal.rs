//! The journal, read beside the run that writes it.

use std::fs::File;
use std::io::{self, BufWriter, Seek as _, SeekFrom, Write};
use std::path::Path;
use std::sync::Arc;

use axum::Extension;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::Response;
use lagan_config::Right;
use lagan_model::journal::RunId;
use lagan_report::HistoryFormat;
use lagan_state::DiskJournal;
use serde::Deserialize;
use utoipa::IntoParams;

use super::Desk;
use super::caller::Caller;
use super::problem::{Named, Problem};
use super::runs::sent;
use crate::cli::Format;
use crate::commands::journal;
use crate::exit::Failure;
use crate::state;

/// In which form.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub(super) struct Form {
    /// `json` unless said, or `text`.
    format: Option<String>,
    /// Whether text is coloured for a terminal.
    #[serde(default)]
    colour: bool,
}

impl Form {
    fn read(
        form: Result<Query<Self>, axum::extract::rejection::QueryRejection>,
    ) -> Result<(HistoryFormat, Format), Problem> {
        let form = form.map_err(|error| Problem::wrong(error.body_text()))?.0;
        match form.format.as_deref() {
            None | Some("json") => Ok((HistoryFormat::Json, Format::Json)),
            Some("text") => Ok((HistoryFormat::Text { colour: form.colour }, Format::Text)),
            Some(_) => Err(Problem::wrong("a format of the journal is json or text")),
        }
    }
}

/// The runs of the journal: what was deleted and put back.
#[utoipa::path(get, path = "/api/v1/journal", tag = "journal", params(Form), security((), ("token" = ["read"])), responses(
    (status = 200, body = Object, description = "`lagan.runs/v1`, as `lagan journal list` writes it."),
    (status = 400, body = Problem, content_type = "application/problem+json"),
    (status = 401, body = Problem, content_type = "application/problem+json"),
    (status = 503, body = Problem, content_type = "application/problem+json", description = "Another process has the state directory."),
))]
pub(super) async fn list(
    State(desk): State<Arc<Desk>>,
    caller: Extension<Caller>,
    form: Result<Query<Form>, axum::extract::rejection::QueryRejection>,
) -> Result<Response, Problem> {
    caller.may(Right::Read)?;
    let (history, format) = Form::read(form)?;
    let file = read(&desk.state, move |open, out| journal::list(open, history, out)).await?;
    Ok(sent(file, format)?)
}

/// One run of the journal: what it did, why, what became of it, until when it can be undone.
#[utoipa::path(get, path = "/api/v1/journal/{run}", tag = "journal", security((), ("token" = ["read"])),
    params(("run" = String, Path, description = "The run, as the list has it, or `last`."), Form),
    responses(
        (status = 200, body = Object, description = "`lagan.history/v1`, as `lagan journal show` writes it."),
        (status = 400, body = Problem, content_type = "application/problem+json"),
        (status = 401, body = Problem, content_type = "application/problem+json"),
        (status = 404, body = Problem, content_type = "application/problem+json"),
        (status = 503, body = Problem, content_type = "application/problem+json", description = "Another process has the state directory."),
    )
)]
pub(super) async fn show(
    State(desk): State<Arc<Desk>>,
    caller: Extension<Caller>,
    Named(run): Named,
    form: Result<Query<Form>, axum::extract::rejection::QueryRejection>,
) -> Result<Response, Problem> {
    caller.may(Right::Read)?;
    let (history, format) = Form::read(form)?;
    if run != "last" && run.parse::<RunId>().is_err() {
        return Err(Problem::not_found(NO_SUCH_RUN));
    }
    let file = read(&desk.state, move |open, out| {
        journal::show(open, &run, history, out)
    });
    Ok(sent(file.await?, format)?)
}

pub(super) const NO_SUCH_RUN: &str = "the journal has no run of this name";

/// What is read of the journal, in a file without a name: whoever reads it slowly keeps nobody from the journal.
pub(super) async fn read(
    state: &Path,
    write: impl FnOnce(&DiskJournal, &mut dyn Write) -> Result<(), Failure> + Send + 'static,
) -> Result<File, Problem> {
    let spooled = looked_up(state, move |journal| {
        let mut out = BufWriter::new(tempfile::tempfile()?);
        write(journal, &mut out)?;
        let mut file = out.into_inner().map_err(io::IntoInnerError::into_error)?;
        file.seek(SeekFrom::Start(0))?;
        Ok(file)
    });
    spooled.await
}

/// Looks something up in the journal, on a thread that may wait for the disk.
pub(super) async fn looked_up<T: Send + 'static>(
    state: &Path,
    look: impl FnOnce(&DiskJournal) -> Result<T, Failure> + Send + 'static,
) -> Result<T, Problem> {
    let state = state.to_owned();
    let looked = tokio::task::spawn_blocking(move || look(&*state::open(&state)?));
    match looked.await {
        Ok(found) => Ok(found?),
        Err(_) => Err(Problem::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "the journal could not be read",
        )),
    }
}
