//! What a registry port answers when it cannot answer.

use std::error::Error as StdError;
use std::fmt;

/// What went wrong, as far as a caller can act on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Failure {
    /// The registry says that it is not there (404 with the registry's own error).
    NotFound,
    /// Credentials are missing or wrong (401).
    Unauthorized,
    /// The credentials do not suffice (403).
    Denied,
    /// The registry still refused for lack of capacity after all retries (429, 503).
    Overloaded,
    /// The registry failed (other 5xx) after all retries.
    Server,
    /// No connection, or it broke, after all retries.
    Unreachable,
    /// No answer within the deadline.
    Timeout,
    /// The time that the whole run may take is over; nothing more is asked.
    TimeIsUp,
    /// What answers is not a registry.
    NotARegistry,
    /// The answer breaks the specification: truncated or nonsensical JSON, looping pages, names out of grammar.
    Malformed,
    /// The answer's content does not hash to its digest.
    DigestMismatch,
    /// The answer is larger than the limit for its kind.
    TooLarge,
    /// The registry does not offer this (a catalog, say).
    Unsupported,
    /// The registry will not make this one change (409, 412 and other 4xx): it was not made.
    Refused,
}

impl Failure {
    /// Whether the next request would meet the same failure, whatever it asks for, so that a run ends here
    /// instead of reporting every repository as unreadable.
    #[must_use]
    pub fn concerns_the_whole_registry(self) -> bool {
        matches!(self, Self::Unauthorized | Self::Unreachable | Self::NotARegistry)
    }
}

/// A request that failed: which one, how, and what the registry or the transport said.
///
/// The texts never hold credentials. They may hold text from outside; whoever prints them escapes it.
#[derive(Debug)]
pub struct RegistryError {
    failure: Failure,
    request: String,
    detail: String,
    hint: Option<String>,
    source: Option<Box<dyn StdError + Send + Sync>>,
}

impl RegistryError {
    /// A failure of `request` (method and URL), with one fragment that says what happened.
    pub fn new(failure: Failure, request: impl Into<String>, detail: impl Into<String>) -> Self {
        Self {
            failure,
            request: request.into(),
            detail: detail.into(),
            hint: None,
            source: None,
        }
    }

    /// The same, with what would help.
    #[must_use]
    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// The same, with the error underneath.
    #[must_use]
    pub fn with_source(mut self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// What a caller can act on.
    #[must_use]
    pub fn failure(&self) -> Failure {
        self.failure
    }

    /// Method and URL of the request.
    #[must_use]
    pub fn request(&self) -> &str {
        &self.request
    }

    /// What would help, where something is known to.
    #[must_use]
    pub fn hint(&self) -> Option<&str> {
        self.hint.as_deref()
    }
}

impl fmt::Display for RegistryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.request, self.detail)
    }
}

impl StdError for RegistryError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.source
            .as_deref()
            .map(|source| source as &(dyn StdError + 'static))
    }
}
