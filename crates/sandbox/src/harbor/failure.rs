//! Answers that say why not.

use axum::response::Response;
use http::StatusCode;
use http::header::CONTENT_TYPE;
use serde_json::json;

use crate::server::reply::{json, set};

/// An error with Harbor's code for it. What is wrong inside Harbor (5xx) is never told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Failure {
    status: StatusCode,
    code: &'static str,
    message: String,
}

impl Failure {
    fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        Self {
            status,
            code,
            message: message.into(),
        }
    }

    pub(super) fn internal() -> Self {
        Self::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "UNKNOWN",
            "internal server error",
        )
    }

    pub(super) fn bad_request(message: String) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "BAD_REQUEST", message)
    }

    pub(super) fn unprocessable(message: &str) -> Self {
        Self::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            "UNPROCESSABLE_ENTITY",
            format!("validation failure list:\n{message}"),
        )
    }

    pub(super) fn unauthorized() -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "UNAUTHORIZED", "unauthorized")
    }

    pub(super) fn forbidden() -> Self {
        Self::new(StatusCode::FORBIDDEN, "FORBIDDEN", "forbidden")
    }

    pub(super) fn no_csrf_token() -> Self {
        Self::new(
            StatusCode::FORBIDDEN,
            "FORBIDDEN",
            "CSRF token not found in request",
        )
    }

    pub(crate) fn read_only() -> Self {
        Self::new(
            StatusCode::FORBIDDEN,
            "DENIED",
            "The system is in read only mode. Any modification is prohibited.",
        )
    }

    pub(super) fn no_path(path: &str) -> Self {
        Self::new(
            StatusCode::NOT_FOUND,
            "NOT_FOUND",
            format!("path {path} was not found"),
        )
    }

    pub(crate) fn tags_are_not_deleted() -> Self {
        Self::new(StatusCode::BAD_REQUEST, "UNSUPPORTED", "unsupported digest")
    }

    pub(super) fn not_found(message: String) -> Self {
        Self::new(StatusCode::NOT_FOUND, "NOT_FOUND", message)
    }

    pub(super) fn method_not_allowed(message: &str) -> Self {
        Self::new(StatusCode::METHOD_NOT_ALLOWED, "METHOD_NOT_ALLOWED", message)
    }

    pub(super) fn conflict(message: String) -> Self {
        Self::new(StatusCode::CONFLICT, "CONFLICT", message)
    }

    pub(super) fn precondition(message: String) -> Self {
        Self::new(StatusCode::PRECONDITION_FAILED, "PRECONDITION", message)
    }

    pub(super) fn referenced() -> Self {
        Self::new(
            StatusCode::PRECONDITION_FAILED,
            "VIOLATE_FOREIGN_KEY_CONSTRAINT",
            "the deleting artifact is referenced by others",
        )
    }

    pub(crate) fn reply(&self) -> Response {
        let body = json!({ "errors": [{ "code": self.code, "message": self.message }] });
        let mut response = json(self.status, format!("{body}\n"));
        set(&mut response, CONTENT_TYPE, "application/json; charset=utf-8");
        response
    }
}

/// An injected status as Harbor words it, which for 5xx is not at all.
pub(crate) fn injected(mut answer: Response) -> Response {
    let status = answer.status();
    if status.as_u16() < 400 {
        return answer;
    }
    let code = match status {
        StatusCode::BAD_REQUEST => "BAD_REQUEST",
        StatusCode::UNAUTHORIZED => "UNAUTHORIZED",
        StatusCode::FORBIDDEN => "FORBIDDEN",
        StatusCode::NOT_FOUND => "NOT_FOUND",
        StatusCode::CONFLICT => "CONFLICT",
        StatusCode::PRECONDITION_FAILED => "PRECONDITION",
        _ => "UNKNOWN",
    };
    let message = match status.is_server_error() {
        true => "internal server error".to_owned(),
        false => code.to_lowercase().replace('_', " "),
    };
    *answer.body_mut() = Failure::new(status, code, message).reply().into_body();
    answer
}
