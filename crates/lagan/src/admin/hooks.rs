//! What registries tell: that something changed in them. It is a reason to look, and nothing else.
//!
//! Whoever tells has to show the registry's secret before anything of the notification is read. What cannot be taken
//! from somebody who has it (too long, too many, not understood) is not lost: anything may have changed then.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use axum::Json;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use lagan_config::{Config, RegistrySettings, WebhookSettings};
use lagan_model::RepositoryName;
use lagan_registry::{HintError, MAX_HINT_BYTES};
use lagan_report::sanitize::clipped;
use serde::Serialize;
use tokio::sync::Semaphore;
use utoipa::ToSchema;

use super::Desk;
use super::asking::whole;
use super::problem::Problem;
use super::tokens::{Tokens, bearer};

/// Where registries post to, in front of their names.
pub(super) const PLACE: &str = "/hooks/";

/// How many notifications are read at a time.
const AT_ONCE: usize = 4;

/// How many notifications of a registry are taken.
///
/// A Distribution that is not told to leave out pulls tells of each manifest that a run looks at, one after the other.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rate {
    /// At once.
    pub(super) burst: f64,
    /// And after that. More than none.
    pub(super) per_second: f64,
    /// How long one waits for its turn before it is refused.
    pub(super) patience: Duration,
}

impl Default for Rate {
    fn default() -> Self {
        Self {
            burst: 2_000.0,
            per_second: 500.0,
            patience: Duration::from_millis(500),
        }
    }
}

/// What is known of those who tell.
pub(super) struct Hooks {
    secrets: Tokens,
    rate: Rate,
    buckets: Mutex<BTreeMap<String, Bucket>>,
    reading: Semaphore,
}

impl Hooks {
    pub(super) fn new(rate: Rate) -> Self {
        Self {
            secrets: Tokens::default(),
            rate,
            buckets: Mutex::default(),
            reading: Semaphore::new(AT_ONCE),
        }
    }

    /// In which time a registry may tell something; `None` where that is too long.
    fn turn(&self, registry: &str, now: Instant) -> Option<Duration> {
        let mut buckets = locked(&self.buckets);
        let full = || Bucket::full(self.rate, now);
        let bucket = buckets.entry(registry.to_owned()).or_insert_with(full);
        bucket.turn(self.rate, now)
    }
}

/// What may still come, filled up as time passes; below zero, how many wait.
#[derive(Debug)]
struct Bucket {
    left: f64,
    at: Instant,
}

impl Bucket {
    fn full(rate: Rate, now: Instant) -> Self {
        Self {
            left: rate.burst,
            at: now,
        }
    }

    fn turn(&mut self, rate: Rate, now: Instant) -> Option<Duration> {
        let passed = now.saturating_duration_since(self.at).as_secs_f64();
        self.left = (self.left + passed * rate.per_second).min(rate.burst);
        self.at = now;
        let behind = (1.0 - self.left).max(0.0);
        let wait = Duration::try_from_secs_f64(behind / rate.per_second).ok()?;
        if wait > rate.patience {
            return None;
        }
        self.left -= 1.0;
        Some(wait)
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What was understood of a notification.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Heard {
    /// How many repositories it says have changed. None of a pull, say.
    changed: usize,
}

/// Takes a notification of a registry: the policies that are due next look at what it says has changed.
///
/// `Authorization` has the secret of the registry's `webhook`, alone or behind `Bearer`. The body is what Distribution
/// sends to its `endpoints`, or what Harbor sends, in either of its formats.
#[utoipa::path(post, path = "/hooks/{registry}", tag = "hooks", security(("secret" = [])),
    params(("registry" = String, Path, description = "A registry of the configuration that has a `webhook`.")),
    request_body(content = Object, description = "A notification of Distribution or Harbor, of 1 MiB at the most."),
    responses(
        (status = 202, body = Heard, description = "It is a hint, and the registry is looked at when a policy is due."),
        (status = 400, body = Problem, content_type = "application/problem+json", description = "Nothing that such a registry sends; the next runs look at everything."),
        (status = 401, body = Problem, content_type = "application/problem+json"),
        (status = 408, body = Problem, content_type = "application/problem+json"),
        (status = 413, body = Problem, content_type = "application/problem+json", description = "Too long to be read; the next runs look at everything."),
        (status = 429, body = Problem, content_type = "application/problem+json", description = "Too many; the next runs look at everything."),
        (status = 503, body = Problem, content_type = "application/problem+json", description = "Too many at once; the next runs look at everything."),
    ))]
pub(super) async fn take(
    State(desk): State<Arc<Desk>>,
    path: Result<Path<String>, PathRejection>,
    request: Request,
) -> Result<Response, Problem> {
    let config = desk.board.read().config;
    let named = path.as_ref().map(|Path(name)| name.as_str()).unwrap_or_default();
    let registry = telling(&config, named);
    let known = match (&registry, shown(request.headers())) {
        (Some((_, webhook)), Some(shown)) => desk.hooks.secrets.is(shown, named, &webhook.secret),
        _ => false,
    };
    let name = registry.map_or("", |(registry, _)| registry.name.as_str());
    if !known {
        desk.metrics.hinted(name, "unauthorized");
        let problem = Problem::new(
            StatusCode::UNAUTHORIZED,
            "this is not the secret of a registry's webhook",
        );
        return Err(problem.hint(
            "post to /hooks/NAME, with the name of a registry that has `webhook`, and its secret as `Authorization`",
        ));
    }
    let mut telling = Telling {
        desk: &desk,
        registry: name,
        heard: None,
        outcome: "broken_off",
    };
    let heard = heard(&desk, name, request).await;
    telling.outcome = match &heard {
        Ok(changed) if changed.is_empty() => "nothing",
        Ok(_) => "changed",
        Err(problem) => match problem.status() {
            StatusCode::PAYLOAD_TOO_LARGE => "too_long",
            StatusCode::BAD_REQUEST => "not_understood",
            StatusCode::REQUEST_TIMEOUT => "too_slow",
            _ => "too_many",
        },
    };
    let changed = heard?;
    let count = changed.len();
    telling.heard = Some(changed);
    drop(telling);
    Ok((StatusCode::ACCEPTED, Json(Heard { changed: count })).into_response())
}

/// A notification of somebody who may tell. One that comes to nothing, also because its connection does, may have been
/// about anything.
struct Telling<'a> {
    desk: &'a Desk,
    registry: &'a str,
    heard: Option<BTreeSet<RepositoryName>>,
    outcome: &'static str,
}

impl Drop for Telling<'_> {
    fn drop(&mut self) {
        let heard = &self.desk.board.heard;
        match self.heard.take() {
            Some(changed) => heard.add(self.registry, changed),
            None => heard.lose(self.registry),
        }
        self.desk.metrics.hinted(self.registry, self.outcome);
    }
}

/// The registry of a name that tells what changes in it.
fn telling<'c>(config: &'c Config, name: &str) -> Option<(&'c RegistrySettings, &'c WebhookSettings)> {
    let mut registries = config.registries.iter();
    let registry = registries.find(|registry| registry.name.as_str() == name)?;
    registry.webhook.as_ref().map(|webhook| (registry, webhook))
}

/// The secret that is shown, if one is. Harbor sends what was written there, Distribution any header.
fn shown(headers: &HeaderMap) -> Option<&[u8]> {
    let mut shown = headers.get_all(header::AUTHORIZATION).iter();
    let (shown, None) = (shown.next()?.as_bytes(), shown.next()) else {
        return None;
    };
    Some(bearer(shown).unwrap_or(shown).trim_ascii())
}

/// Reads a notification: the repositories that it says have changed.
async fn heard(desk: &Desk, registry: &str, request: Request) -> Result<BTreeSet<RepositoryName>, Problem> {
    let Some(turn) = desk.hooks.turn(registry, Instant::now()) else {
        let mut problem = Problem::busy("this registry tells too much at once", 1);
        problem.becomes(StatusCode::TOO_MANY_REQUESTS);
        return Err(problem);
    };
    tokio::time::sleep(turn).await;
    let length = request.headers().get(header::CONTENT_LENGTH);
    let length = length.and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
    if length.is_some_and(|length| length > MAX_HINT_BYTES as u64) {
        return Err(too_long());
    }
    let patience = desk.patience.body;
    let Ok(Ok(reading)) = tokio::time::timeout(patience, desk.hooks.reading.acquire()).await else {
        return Err(Problem::busy("too many notifications come at once", 1));
    };
    let body = whole(request.into_body(), MAX_HINT_BYTES, patience).await?;
    let changed = lagan_registry::changed(&body).map_err(|error| match error {
        HintError::TooLong => too_long(),
        error => Problem::wrong(clipped(&error.to_string(), 300)),
    });
    drop(reading);
    changed
}

fn too_long() -> Problem {
    Problem::new(
        StatusCode::PAYLOAD_TOO_LARGE,
        "the notification is longer than 1 MiB",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_stands_alone_or_behind_its_scheme_and_only_once() {
        let of = |values: &[&str]| {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(header::AUTHORIZATION, value.parse().unwrap());
            }
            shown(&headers).map(|shown| String::from_utf8_lossy(shown).into_owned())
        };
        assert_eq!(of(&["secret"]).as_deref(), Some("secret"));
        assert_eq!(of(&["Bearer secret"]).as_deref(), Some("secret"));
        assert_eq!(of(&["Basic secret"]).as_deref(), Some("Basic secret"));
        assert_eq!(of(&["secret", "secret"]), None);
        assert_eq!(of(&[]), None);
    }

    #[test]
    fn what_comes_faster_than_it_is_taken_waits_a_little_and_then_is_refused() {
        let rate = Rate {
            burst: 3.0,
            per_second: 2.0,
            patience: Duration::from_millis(1_000),
        };
        let start = Instant::now();
        let mut bucket = Bucket::full(rate, start);
        let mut at = |milliseconds| {
            let turn = bucket.turn(rate, start + Duration::from_millis(milliseconds));
            turn.map(|wait| wait.as_millis())
        };
        assert_eq!([at(0), at(0), at(0)], [Some(0); 3]);
        assert_eq!([at(0), at(0), at(0)], [Some(500), Some(1_000), None]);
        assert_eq!([at(250), at(500), at(500)], [None, Some(1_000), None]);
        assert_eq!(
            [at(60_000), at(60_000), at(60_000), at(60_000)],
            [Some(0), Some(0), Some(0), Some(500)]
        );
        // A clock that goes back fills nothing.
        assert_eq!([at(0), at(0)], [Some(1_000), None]);
    }
}
