//! Errors as answers: problem details (RFC 9457).

use axum::extract::{FromRequestParts, Path};
use axum::http::request::Parts;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use lagan_state::StateError;
use serde::Serialize;
use utoipa::ToSchema;

use crate::exit::{Exit, Failure};
use crate::state;

/// Why something was not done.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(super) struct Problem {
    /// Always `about:blank`: the status says what kind of problem it is (RFC 9457, section 4.2.1).
    #[serde(rename = "type")]
    kind: &'static str,
    /// The status in words.
    title: &'static str,
    /// The status of the answer.
    status: u16,
    /// What is wrong here.
    detail: String,
    /// What may help.
    #[serde(skip_serializing_if = "Option::is_none")]
    hint: Option<String>,
    #[serde(skip)]
    #[schema(ignore)]
    retry_after: Option<u32>,
}

impl Problem {
    pub(super) fn new(status: StatusCode, detail: impl Into<String>) -> Self {
        Self {
            kind: "about:blank",
            title: status.canonical_reason().unwrap_or("Error"),
            status: status.as_u16(),
            detail: detail.into(),
            hint: None,
            retry_after: None,
        }
    }

    pub(super) fn status(&self) -> StatusCode {
        StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }

    pub(super) fn title(&self) -> &'static str {
        self.title
    }

    /// What is wrong, and what may help, in words.
    pub(super) fn says(&self) -> String {
        match &self.hint {
            Some(hint) => format!("{}\n{hint}", self.detail),
            None => self.detail.clone(),
        }
    }

    pub(super) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Something that goes by: it may be tried again after so many seconds.
    pub(super) fn busy(detail: impl Into<String>, seconds: u32) -> Self {
        let mut problem = Self::new(StatusCode::SERVICE_UNAVAILABLE, detail);
        problem.retry_after = Some(seconds);
        problem
    }

    /// The same with another status.
    pub(super) fn becomes(&mut self, status: StatusCode) {
        self.status = status.as_u16();
        self.title = status.canonical_reason().unwrap_or("Error");
    }

    pub(super) fn not_found(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, detail)
    }

    pub(super) fn wrong(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, detail)
    }

    pub(super) fn no_such_place() -> Self {
        Self::not_found(NO_SUCH_PLACE).hint("/api/v1/openapi.json tells what there is")
    }

    pub(super) fn no_such_method() -> Self {
        Self::new(
            StatusCode::METHOD_NOT_ALLOWED,
            "this cannot be asked by this method",
        )
    }
}

/// The one name in a path. What is no text names nothing.
pub(super) struct Named(pub(super) String);

impl<S: Send + Sync> FromRequestParts<S> for Named {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let found = Path::from_request_parts(parts, state).await;
        found
            .map(|Path(name)| Self(name))
            .map_err(|_| Problem::no_such_place())
    }
}

pub(super) const NO_SUCH_PLACE: &str = "there is nothing at this path";

impl From<Failure> for Problem {
    fn from(failure: Failure) -> Self {
        let (detail, hint) = failure.told();
        let mut problem = if state::is_in_use(&failure) {
            Self::busy(detail, 2)
        } else {
            let status = match failure.exit {
                _ if state::error(&failure)
                    .is_some_and(|error| matches!(error, StateError::UnknownRun { .. })) =>
                {
                    StatusCode::NOT_FOUND
                }
                Exit::Usage => StatusCode::UNPROCESSABLE_ENTITY,
                Exit::Refused => StatusCode::CONFLICT,
                _ => StatusCode::INTERNAL_SERVER_ERROR,
            };
            Self::new(status, detail)
        };
        problem.hint = hint;
        problem
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = self.status();
        let body = serde_json::to_vec(&self).unwrap_or_default();
        let mut answer = (status, body).into_response();
        let headers = answer.headers_mut();
        headers.insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/problem+json"),
        );
        if let Some(seconds) = self.retry_after {
            headers.insert(header::RETRY_AFTER, seconds.into());
        }
        if status == StatusCode::UNAUTHORIZED {
            let scheme = HeaderValue::from_static("Bearer realm=\"lagan\"");
            headers.insert(header::WWW_AUTHENTICATE, scheme);
        }
        answer
    }
}
