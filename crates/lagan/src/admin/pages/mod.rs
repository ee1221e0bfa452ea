//! Pages for people, of the same server: without a script, and with nothing from elsewhere.
//!
//! What comes from outside is escaped by the templates. A browser that finds markup nevertheless runs none of it: the
//! content security policy admits the one style by its hash, and no script at all.

mod freed;
mod history;
mod overview;
mod tag;

use std::sync::{Arc, LazyLock};

use askama::Template;
use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::response::{Html, IntoResponse as _, Response};
use axum::routing::{get, post};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest as _, Sha256};

pub(super) use self::freed::Freed;
use super::Route;
use super::problem::Problem;
use super::runs::Run;

const STYLE: &str = include_str!("../../../templates/admin/page.css");

/// What the browser may do with a page: show it, and send its forms back here.
static POLICY: LazyLock<Option<HeaderValue>> = LazyLock::new(|| {
    let style = STANDARD.encode(Sha256::digest(STYLE));
    let policy = format!(
        "default-src 'none'; style-src 'sha256-{style}'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
    );
    HeaderValue::from_str(&policy).ok()
});

/// What every page has around it.
pub(super) struct Frame {
    style: &'static str,
    title: String,
    /// The page that it belongs to.
    here: &'static str,
}

impl Frame {
    fn new(here: &'static str, title: impl Into<String>) -> Self {
        Self {
            style: STYLE,
            title: title.into(),
            here,
        }
    }

    fn pages(&self) -> [(&'static str, &'static str); 3] {
        [("/", "Overview"), ("/runs", "Runs"), ("/journal", "Journal")]
    }
}

/// The pages.
pub(super) fn routes() -> Vec<Route> {
    vec![
        (Method::GET, "/", get(overview::overview)),
        (Method::GET, "/runs", get(history::runs)),
        (Method::GET, "/runs/{id}", get(history::run)),
        (Method::GET, "/journal", get(history::journal)),
        (Method::GET, "/journal/{run}", get(history::journal_run)),
        (Method::POST, "/journal/{run}/undo", post(history::undo)),
        (Method::GET, "/tag", get(tag::tag)),
    ]
}

/// A page, or why there is none, as a page.
type Shown = Result<Response, Refused>;

/// Why there is no page.
pub(super) struct Refused(Problem);

impl<P: Into<Problem>> From<P> for Refused {
    fn from(problem: P) -> Self {
        Self(problem.into())
    }
}

impl axum::response::IntoResponse for Refused {
    fn into_response(self) -> Response {
        let page = Text {
            frame: Frame::new("", self.0.title()),
            notice: Some(self.0.says()),
            text: String::new(),
        };
        let status = self.0.status();
        match show(&page) {
            Ok(mut answer) => {
                *answer.status_mut() = status;
                answer
            }
            Err(Self(problem)) => problem.into_response(),
        }
    }
}

/// A page of text.
#[derive(Template)]
#[template(path = "admin/text.html")]
struct Text {
    frame: Frame,
    notice: Option<String>,
    text: String,
}

fn show(page: &impl Template) -> Shown {
    let Ok(page) = page.render() else {
        let detail = "the page could not be written";
        return Err(Problem::new(StatusCode::INTERNAL_SERVER_ERROR, detail).into());
    };
    let mut answer = Html(page).into_response();
    if let Some(policy) = &*POLICY {
        answer
            .headers_mut()
            .insert(header::CONTENT_SECURITY_POLICY, policy.clone());
    }
    Ok(answer)
}

impl Run {
    /// How it stands, in words.
    fn said(&self) -> &str {
        match self.outcome.as_deref() {
            Some(outcome) if self.state == "ended" => outcome,
            _ => &self.state,
        }
    }

    /// The class of these words; they say the same without it.
    fn class(&self) -> &'static str {
        match (self.state.as_str(), self.exit) {
            ("ended", _) if self.outcome.as_deref() == Some("given up") => "odd",
            ("ended", Some(0)) => "good",
            ("ended", Some(1 | 2)) | ("interrupted", _) => "bad",
            ("ended", _) => "odd",
            _ => "",
        }
    }

    fn is_over(&self) -> bool {
        !matches!(self.state.as_str(), "waiting" | "running")
    }

    fn began(&self) -> &str {
        self.began.as_deref().unwrap_or_default()
    }

    fn ended(&self) -> &str {
        self.ended.as_deref().unwrap_or_default()
    }
}

/// What is counted once and read by every page.
pub(super) type Counted = Arc<Freed>;
