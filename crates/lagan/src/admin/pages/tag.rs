//! The decision of one tag, asked of the registry now. It changes nothing.
//!
//! Where the registry is probed, asking sends deletions of what does not exist; and it takes time and requests. So it is
//! not done because some other page had a browser ask.

use std::sync::Arc;
use std::time::Duration;

use axum::Extension;
use axum::extract::{Query, State};
use axum::http::{HeaderMap, StatusCode};
use lagan_config::Right;
use serde::Deserialize;

use super::{Frame, Shown, Text, show};
use crate::admin::Desk;
use crate::admin::asking::source;
use crate::admin::caller::Caller;
use crate::admin::problem::Problem;
use crate::cli::{Colour, ExplainFormat};
use crate::commands::explain;
use crate::exit::Failure;
use crate::state::{self, Past};

/// How long a registry is waited for.
const LONGEST: Duration = Duration::from_secs(30);

/// Which tag.
#[derive(Deserialize)]
pub(super) struct Which {
    #[serde(default)]
    registry: Option<String>,
    tag: String,
}

pub(super) async fn tag(
    State(desk): State<Arc<Desk>>,
    caller: Extension<Caller>,
    headers: HeaderMap,
    which: Result<Query<Which>, axum::extract::rejection::QueryRejection>,
) -> Shown {
    caller.may(Right::Read)?;
    // `none`: somebody wrote the address, or has it among their bookmarks.
    let site = headers.get("sec-fetch-site");
    if site.is_some_and(|site| site != "same-origin" && site != "none") {
        let detail = "another page leads here, and the registry is asked for no other page's sake";
        let problem = Problem::new(StatusCode::FORBIDDEN, detail);
        return Err(problem
            .hint("ask on the overview, or write the address yourself")
            .into());
    }
    let which = which.map_err(|error| Problem::wrong(error.body_text()))?.0;
    let (repository, tag) = explain::parse(which.tag.trim())?;
    // Whoever looks must not keep the registry busy.
    let Ok(_one) = desk.explaining.try_acquire() else {
        return Err(Problem::busy("another tag is being asked about", 5).into());
    };
    let title = format!("{repository}:{tag}");
    let config = desk.board.read().config;
    let source = source(&config, which.registry, &[])?;
    let state = desk.state.clone();
    let explained = tokio::task::spawn_blocking(move || -> Result<Option<String>, Failure> {
        let past = Past::beside(state::open(&state)?)?;
        crate::commands::block_on(async {
            let mut text = Vec::new();
            let explained = explain::run_source(
                source,
                Some(&past),
                Some(&state),
                (repository, tag),
                Colour::Never,
                ExplainFormat::Text,
                &mut text,
            );
            match tokio::time::timeout(LONGEST, explained).await {
                Ok(explained) => explained.map(|_| Some(String::from_utf8_lossy(&text).into_owned())),
                Err(_) => Ok(None),
            }
        })
    });
    let failed = || {
        Problem::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "the tag could not be looked at",
        )
    };
    let Some(text) = explained.await.map_err(|_| failed())?? else {
        let detail = "the registry did not answer within 30 seconds";
        return Err(Problem::new(StatusCode::GATEWAY_TIMEOUT, detail).into());
    };
    let page = Text {
        frame: Frame::new("", title),
        notice: None,
        text,
    };
    show(&page)
}
