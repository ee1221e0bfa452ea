//! Answers: the error envelope of the specification, and the headers every answer has.

use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, LOCATION};
use http::{HeaderName, HeaderValue, StatusCode};

use crate::digest::Digest;

pub(crate) const API_VERSION: HeaderName = HeaderName::from_static("docker-distribution-api-version");
pub(crate) const CONTENT_DIGEST: HeaderName = HeaderName::from_static("docker-content-digest");
pub(crate) const SUBJECT: HeaderName = HeaderName::from_static("oci-subject");
pub(crate) const FILTERS: HeaderName = HeaderName::from_static("oci-filters-applied");
pub(crate) const UPLOAD: HeaderName = HeaderName::from_static("docker-upload-uuid");

const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// An error by its code in the specification ("Error Codes").
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Failure {
    status: StatusCode,
    code: &'static str,
    message: &'static str,
}

impl Failure {
    const fn new(status: StatusCode, code: &'static str, message: &'static str) -> Self {
        Self {
            status,
            code,
            message,
        }
    }

    pub(crate) const BLOB_UNKNOWN: Self =
        Self::new(StatusCode::NOT_FOUND, "BLOB_UNKNOWN", "blob unknown to registry");
    pub(crate) const UPLOAD_UNKNOWN: Self = Self::new(
        StatusCode::NOT_FOUND,
        "BLOB_UPLOAD_UNKNOWN",
        "blob upload unknown to registry",
    );
    pub(crate) const UPLOAD_INVALID: Self = Self::new(
        StatusCode::BAD_REQUEST,
        "BLOB_UPLOAD_INVALID",
        "blob upload invalid",
    );
    pub(crate) const UPLOAD_OUT_OF_ORDER: Self = Self::new(
        StatusCode::RANGE_NOT_SATISFIABLE,
        "BLOB_UPLOAD_INVALID",
        "chunk out of order",
    );
    pub(crate) const RANGE: Self = Self::new(
        StatusCode::RANGE_NOT_SATISFIABLE,
        "RANGE_INVALID",
        "invalid content range",
    );
    pub(crate) const DIGEST_INVALID: Self = Self::new(
        StatusCode::BAD_REQUEST,
        "DIGEST_INVALID",
        "provided digest did not match uploaded content",
    );
    pub(crate) const MANIFEST_UNKNOWN: Self =
        Self::new(StatusCode::NOT_FOUND, "MANIFEST_UNKNOWN", "manifest unknown");
    pub(crate) const MANIFEST_NOT_ACCEPTED: Self = Self::new(
        StatusCode::NOT_FOUND,
        "MANIFEST_UNKNOWN",
        "OCI manifest found, but accept header does not support OCI manifests",
    );
    pub(crate) const MANIFEST_BLOB_UNKNOWN: Self = Self::new(
        StatusCode::BAD_REQUEST,
        "MANIFEST_BLOB_UNKNOWN",
        "blob unknown to registry",
    );
    pub(crate) const MANIFEST_INVALID: Self =
        Self::new(StatusCode::BAD_REQUEST, "MANIFEST_INVALID", "manifest invalid");
    pub(crate) const MANIFEST_TOO_LARGE: Self = Self::new(
        StatusCode::PAYLOAD_TOO_LARGE,
        "MANIFEST_INVALID",
        "manifest larger than 4 MiB",
    );
    pub(crate) const NAME_INVALID: Self =
        Self::new(StatusCode::BAD_REQUEST, "NAME_INVALID", "invalid repository name");
    pub(crate) const NAME_UNKNOWN: Self = Self::new(
        StatusCode::NOT_FOUND,
        "NAME_UNKNOWN",
        "repository name not known to registry",
    );
    pub(crate) const TAG_INVALID: Self = Self::new(
        StatusCode::BAD_REQUEST,
        "TAG_INVALID",
        "manifest tag did not match URI",
    );
    pub(crate) const PAGE_INVALID: Self = Self::new(
        StatusCode::BAD_REQUEST,
        "PAGINATION_NUMBER_INVALID",
        "invalid number of results requested",
    );
    /// As Elastic Container Registry words it.
    pub(crate) const PAGE_UNSUPPORTED: Self = Self::new(
        StatusCode::METHOD_NOT_ALLOWED,
        "UNSUPPORTED",
        "the number of results must be less than or equal to 1000",
    );
    pub(crate) const UNSUPPORTED: Self = Self::new(
        StatusCode::METHOD_NOT_ALLOWED,
        "UNSUPPORTED",
        "the operation is unsupported",
    );
    pub(crate) const UNAUTHORIZED: Self = Self::new(
        StatusCode::UNAUTHORIZED,
        "UNAUTHORIZED",
        "authentication required",
    );
    pub(crate) const DENIED: Self = Self::new(
        StatusCode::FORBIDDEN,
        "DENIED",
        "requested access to the resource is denied",
    );
    /// No endpoint of this registry: answered in plain text, as by a router that knows no envelope.
    pub(crate) const NOT_FOUND: Self = Self::new(StatusCode::NOT_FOUND, "", "404 page not found\n");

    /// As only one registry says it.
    pub(crate) fn of_its_own(status: u16, code: &'static str, message: &'static str) -> Self {
        let status = StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_REQUEST);
        Self::new(status, code, message)
    }

    /// What an injected status says of itself.
    pub(crate) fn injected(status: StatusCode) -> Self {
        let code = match status {
            StatusCode::UNAUTHORIZED => "UNAUTHORIZED",
            StatusCode::FORBIDDEN => "DENIED",
            StatusCode::NOT_FOUND => "NAME_UNKNOWN",
            StatusCode::METHOD_NOT_ALLOWED => "UNSUPPORTED",
            StatusCode::TOO_MANY_REQUESTS => "TOOMANYREQUESTS",
            StatusCode::SERVICE_UNAVAILABLE => "UNAVAILABLE",
            _ => "UNKNOWN",
        };
        Self::new(status, code, "injected fault")
    }

    pub(crate) fn reply(self) -> Response {
        if self.code.is_empty() {
            let mut response = json(self.status, self.message);
            set(&mut response, CONTENT_TYPE, "text/plain; charset=utf-8");
            return response;
        }
        self.about(serde_json::json!({}))
    }

    pub(crate) fn about(self, detail: serde_json::Value) -> Response {
        let body = serde_json::json!({
            "errors": [{"code": self.code, "message": self.message, "detail": detail}],
        });
        json(self.status, body.to_string())
    }
}

pub(crate) fn empty(status: StatusCode) -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    response
}

pub(crate) fn json(status: StatusCode, body: impl Into<Bytes>) -> Response {
    let mut response = Response::new(Body::from(body.into()));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, JSON);
    response
}

/// Bytes of some content, or for HEAD its length alone.
pub(crate) fn content(bytes: Bytes, media_type: &str, head: bool) -> Response {
    let length = HeaderValue::from(bytes.len());
    let mut response = Response::new(if head { Body::empty() } else { Body::from(bytes) });
    response.headers_mut().insert(CONTENT_LENGTH, length);
    set(&mut response, CONTENT_TYPE, media_type);
    response
}

pub(crate) fn created(location: &str, digest: Digest) -> Response {
    let mut response = empty(StatusCode::CREATED);
    set(&mut response, LOCATION, location);
    set(&mut response, CONTENT_DIGEST, &digest.text());
    response
}

/// Sets a header; a value that no header can hold is left out.
pub(crate) fn set(response: &mut Response, name: HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        response.headers_mut().insert(name, value);
    }
}
