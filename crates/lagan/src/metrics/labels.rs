//! Labels: names of the configuration, and words of a closed set. Nothing that a registry holds becomes a label.

use lagan_registry::Answered;
use prometheus_client::encoding::EncodeLabelSet;

/// A name of the configuration.
pub(crate) type Name = std::sync::Arc<str>;

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct OfPolicy {
    pub(super) registry: Name,
    pub(super) policy: Name,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct OfRegistry {
    pub(super) registry: Name,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct OfName {
    pub(super) policy: Name,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct OfRun {
    pub(super) registry: Name,
    pub(super) policy: Name,
    pub(super) mode: &'static str,
    pub(super) outcome: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct OfDecision {
    pub(super) registry: Name,
    pub(super) policy: Name,
    pub(super) decision: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct OfDeletion {
    pub(super) registry: Name,
    pub(super) policy: Name,
    pub(super) action: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct OfRestoration {
    pub(super) registry: Name,
    pub(super) outcome: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct OfSkip {
    pub(super) registry: Name,
    pub(super) policy: Name,
    pub(super) action: &'static str,
    pub(super) reason: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct OfFailure {
    pub(super) registry: Name,
    pub(super) policy: Name,
    pub(super) action: &'static str,
    pub(super) outcome: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct OfRequest {
    pub(super) registry: Name,
    pub(super) kind: &'static str,
    pub(super) status: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct OfKind {
    pub(super) registry: Name,
    pub(super) kind: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct OfPart {
    pub(super) registry: Name,
    pub(super) policy: Name,
    pub(super) part: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct OfChange {
    pub(super) registry: Name,
    pub(super) policy: Name,
    pub(super) change: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct OfMessage {
    pub(super) receiver: Name,
    pub(super) event: &'static str,
    pub(super) outcome: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct OfHint {
    pub(super) registry: Name,
    pub(super) outcome: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct Mode {
    pub(super) mode: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct Purpose {
    pub(super) purpose: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct Outcome {
    pub(super) outcome: &'static str,
}

/// The class of what was answered. 429 is one of its own: it says something else than other refusals.
pub(super) fn status(answer: Answered) -> &'static str {
    match answer {
        Answered::Status(429) => "429",
        Answered::Status(200..=299) => "2xx",
        Answered::Status(300..=399) => "3xx",
        Answered::Status(400..=499) => "4xx",
        Answered::Status(500..=599) => "5xx",
        Answered::Status(_) => "other",
        Answered::TimedOut => "timeout",
        Answered::Broken => "broken",
    }
}
