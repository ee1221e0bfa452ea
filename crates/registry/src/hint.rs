//! What registries tell when something changes in them: hints, and nothing more.
//!
//! A hint can make a repository be read sooner. What is decided is decided by what is read then, so that whoever forges
//! one, or holds one back, changes when something is seen, and never what is deleted.
//!
//! Understood are the notifications of Distribution (`application/vnd.docker.distribution.events.v2+json`, and v1 before
//! it) and those of Harbor, in its own form and as CloudEvents. Pulls are no hints: they would name every repository.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use lagan_model::RepositoryName;
use lagan_model::name::NameError;
use serde::Deserialize;
use thiserror::Error;

/// The longest notification, in bytes.
pub const MAX_HINT_BYTES: usize = 1 << 20;

/// How many repositories of a registry are remembered; of more, all are taken to have changed.
pub const MAX_HINTS: usize = 10_000;

/// A notification that says nothing.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum HintError {
    /// Too long.
    #[error("the notification has more than {MAX_HINT_BYTES} bytes")]
    TooLong,
    /// Not JSON, or not what a registry sends.
    #[error("the notification is none of Distribution or Harbor, at line {line}, column {column}")]
    Syntax {
        /// The line, counted from 1.
        line: usize,
        /// The column, counted from 1.
        column: usize,
    },
    /// JSON of something else.
    #[error("the notification is none of Distribution or Harbor")]
    Unknown,
    /// It names a repository that cannot be.
    #[error("the notification names a repository that cannot be: {0}")]
    Name(#[from] NameError),
}

#[derive(Deserialize)]
struct Notification<'a> {
    /// Of Distribution.
    #[serde(borrow)]
    events: Option<Vec<Event<'a>>>,
    /// Of Harbor.
    #[serde(borrow, rename = "type")]
    kind: Option<Cow<'a, str>>,
    /// Of Harbor, in its own form.
    #[serde(borrow)]
    event_data: Option<EventData<'a>>,
    /// Of Harbor, as a CloudEvent.
    #[serde(borrow)]
    data: Option<EventData<'a>>,
}

#[derive(Deserialize)]
struct Event<'a> {
    #[serde(borrow)]
    action: Cow<'a, str>,
    #[serde(borrow)]
    target: Option<Target<'a>>,
}

#[derive(Deserialize)]
struct Target<'a> {
    #[serde(borrow)]
    repository: Option<Cow<'a, str>>,
}

#[derive(Deserialize)]
struct EventData<'a> {
    /// Absent in what is about a project or a job.
    #[serde(borrow)]
    repository: Option<Repository<'a>>,
}

#[derive(Deserialize)]
struct Repository<'a> {
    #[serde(borrow)]
    repo_full_name: Cow<'a, str>,
}

/// The repositories that a notification says changed; none where it is about something else.
///
/// # Errors
///
/// When it is too long, or nothing that such a registry sends, or names what is no repository.
pub fn changed(notification: &[u8]) -> Result<BTreeSet<RepositoryName>, HintError> {
    if notification.len() > MAX_HINT_BYTES {
        return Err(HintError::TooLong);
    }
    let read: Notification<'_> = serde_json::from_slice(notification).map_err(|error| HintError::Syntax {
        line: error.line(),
        column: error.column(),
    })?;
    match read {
        Notification {
            events: Some(events), ..
        } => {
            let changing = |event: &Event<'_>| !matches!(&*event.action, "pull" | "mount");
            let named = events
                .into_iter()
                .filter(changing)
                .filter_map(|event| event.target?.repository);
            named.map(|name| Ok(name.parse()?)).collect()
        }
        Notification {
            kind: Some(kind),
            event_data: Some(data),
            ..
        }
        | Notification {
            kind: Some(kind),
            data: Some(data),
            ..
        } => {
            let changing = !matches!(&*kind, "PULL_ARTIFACT" | "harbor.artifact.pulled");
            let named = data.repository.filter(|_| changing);
            named
                .map(|repository| Ok(repository.repo_full_name.parse()?))
                .into_iter()
                .collect()
        }
        _ => Err(HintError::Unknown),
    }
}

/// A place among the hints of one registry: those that came before it, and those that came since.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Mark(u64);

/// The hints of one registry. Several ask for them, each of those that came since it last read.
#[derive(Debug, Clone, Default)]
pub struct Hints {
    /// When each repository was named last.
    named: BTreeMap<RepositoryName, Mark>,
    now: Mark,
    /// What came up to here is not known any more.
    lost: Mark,
}

impl Hints {
    /// Remembers that these changed. Of too many, that all did.
    pub fn add(&mut self, changed: BTreeSet<RepositoryName>) {
        self.now.0 += 1;
        let now = self.now;
        self.named.extend(changed.into_iter().map(|name| (name, now)));
        if self.named.len() > MAX_HINTS {
            self.lose();
        }
    }

    /// Something changed, and nobody knows what.
    pub fn lose(&mut self) {
        self.now.0 += 1;
        self.lost = self.now;
        self.named = BTreeMap::new();
    }

    /// The place behind all that came so far.
    #[must_use]
    pub fn now(&self) -> Mark {
        self.now
    }

    /// What came behind a place; `None` where that is not known: anything may have changed.
    #[must_use]
    pub fn since(&self, mark: Mark) -> Option<BTreeSet<RepositoryName>> {
        let known = mark >= self.lost && mark <= self.now;
        let named = self.named.iter().filter(|(_, at)| **at > mark);
        known.then(|| named.map(|(name, _)| name.clone()).collect())
    }

    /// Forgets what came before a place: nobody will ask for it any more.
    pub fn forget(&mut self, before: Mark) {
        self.named.retain(|_, at| *at > before);
        self.lost = self.lost.max(before.min(self.now));
    }
}

#[cfg(test)]
mod tests;
