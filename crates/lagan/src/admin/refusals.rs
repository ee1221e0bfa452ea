//! Calls that were refused, for the audit log: the first of a kind at once, those after it as a number.
//!
//! Whoever reaches the server can be refused as often as they like. What is written of it is bounded by the kinds that
//! there are and by time, however often they try, and is nothing where nobody does. A token or a secret that was shown is
//! no part of it.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use axum::http::{Method, StatusCode};
use lagan_config::Config;
use lagan_report::sanitize::harmless;
use lagan_state::Who;

use super::caller::{Caller, NOBODY, Way};
use super::hooks;
use crate::auditing::{Auditing, RefusedCalls};

/// After how long it is written how many more there were: the first time, and while it goes on.
const FIRST: Duration = Duration::from_secs(60);
const LATER: Duration = Duration::from_secs(60 * 60);

/// How many kinds are told apart. There are as many as tokens and webhooks make; further ones are counted together.
const MOST: usize = 256;

/// What is told apart.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Kind {
    /// What was asked for.
    what: &'static str,
    status: u16,
    /// By which way: how far away whoever asks may be.
    way: &'static str,
    /// Who, where they showed who they are.
    by: Option<String>,
    /// The registry of the configuration that a webhook was called for.
    registry: Option<String>,
}

impl Kind {
    /// What there is to put on record of an answer; `None` where it is no refusal.
    ///
    /// What cannot be is an answer to whoever looks for something, and a refusal where something was to be done.
    pub(super) fn of(
        (method, path): (&Method, &str),
        status: StatusCode,
        way: Way,
        caller: Option<&Caller>,
        config: &Config,
    ) -> Option<Self> {
        let forbidden = [
            StatusCode::UNAUTHORIZED,
            StatusCode::FORBIDDEN,
            StatusCode::MISDIRECTED_REQUEST,
        ];
        let what = what(method, path);
        let was_to_do =
            what != LOOK && (status.is_client_error() || status == StatusCode::SERVICE_UNAVAILABLE);
        if !was_to_do && !forbidden.contains(&status) {
            return None;
        }
        let registry = path.strip_prefix(hooks::PLACE).and_then(|name| {
            let mut registries = config.registries.iter();
            registries.find(|registry| registry.name.as_str() == name && registry.webhook.is_some())
        });
        // Whoever shows the secret is the registry, as far as that can be known.
        let told = registry.filter(|_| status != StatusCode::UNAUTHORIZED);
        let told = told.map(|registry| format!("registry {}", registry.name));
        Some(Self {
            what,
            status: status.as_u16(),
            way: match way {
                Way::Socket { .. } => "socket",
                Way::Tcp { loopback: true } => "loopback",
                Way::Tcp { loopback: false } => "network",
            },
            by: caller.and_then(Caller::known).map(str::to_owned).or(told),
            registry: registry.map(|registry| registry.name.to_string()),
        })
    }

    /// Who it was, where they showed who they are.
    pub(super) fn by(&self) -> Option<&str> {
        self.by.as_deref()
    }

    /// One of too many.
    fn other(self) -> Self {
        Self {
            what: "other",
            by: None,
            registry: None,
            ..self
        }
    }
}

/// Looking at something: a page, an answer of the API, the metrics.
const LOOK: &str = "look";

fn what(method: &Method, path: &str) -> &'static str {
    if path.starts_with(hooks::PLACE) {
        return "webhook";
    }
    match (method, path) {
        (&Method::POST, "/api/v1/plan") => "plan",
        (&Method::POST, "/api/v1/apply") => "apply",
        (&Method::POST, "/api/v1/undo") => "undo",
        (&Method::POST, page) if page.starts_with("/journal/") => "undo",
        _ => LOOK,
    }
}

/// One kind, since it was last written.
#[derive(Debug)]
struct Since {
    at: Instant,
    wait: Duration,
    times: u64,
}

/// What has been refused and is not written yet.
#[derive(Debug, Default)]
struct Tally {
    kinds: BTreeMap<Kind, Since>,
    /// Whether somebody waits to write the numbers.
    awaited: bool,
}

impl Tally {
    /// Counts one. Returns its kind where it is the first.
    fn refused(&mut self, kind: Kind, now: Instant) -> Option<Kind> {
        let mut kind = kind;
        if self.kinds.len() >= MOST && !self.kinds.contains_key(&kind) {
            self.forget_quiet(now);
            if self.kinds.len() >= MOST {
                kind = kind.other();
            }
        }
        match self.kinds.get_mut(&kind) {
            Some(since) if !since.is_quiet(now) => {
                since.times += 1;
                None
            }
            _ => {
                let since = Since {
                    at: now,
                    wait: FIRST,
                    times: 0,
                };
                self.kinds.insert(kind.clone(), since);
                Some(kind)
            }
        }
    }

    /// The numbers that are to be written by now.
    fn due(&mut self, now: Instant) -> Vec<(Kind, u64)> {
        self.forget_quiet(now);
        let over = self.kinds.iter_mut().filter(|(_, since)| since.is_over(now));
        over.map(|(kind, since)| {
            since.at = now;
            since.wait = LATER;
            (kind.clone(), std::mem::take(&mut since.times))
        })
        .collect()
    }

    /// When there is a number to write next.
    fn next(&self) -> Option<Instant> {
        let counting = self.kinds.values().filter(|since| since.times > 0);
        counting.map(|since| since.at + since.wait).min()
    }

    /// Every number, whether it is due or not.
    fn rest(&mut self) -> Vec<(Kind, u64)> {
        let all = std::mem::take(&mut self.kinds).into_iter();
        all.map(|(kind, since)| (kind, since.times))
            .filter(|(_, times)| *times > 0)
            .collect()
    }

    fn forget_quiet(&mut self, now: Instant) {
        self.kinds.retain(|_, since| !since.is_quiet(now));
    }
}

impl Since {
    fn is_over(&self, now: Instant) -> bool {
        now.saturating_duration_since(self.at) >= self.wait
    }

    /// Whether none came for as long as one waits at the most: who knocks once a minute goes on as well.
    fn is_quiet(&self, now: Instant) -> bool {
        self.times == 0 && now.saturating_duration_since(self.at) >= LATER
    }
}

/// Puts refused calls on record.
pub(super) struct Refusals {
    tally: Mutex<Tally>,
    audited: Auditing,
}

impl Refusals {
    pub(super) fn new(state: &Path) -> Self {
        Self {
            tally: Mutex::default(),
            audited: Auditing::of(state, Who::Daemon),
        }
    }

    /// A call was refused. The first of its kind is on record when this returns; `by` is who it was.
    pub(super) async fn refused(self: &Arc<Self>, kind: Kind, by: &str) {
        let (first, waits) = {
            let mut tally = self.locked();
            let first = tally.refused(kind, Instant::now());
            let waits = !tally.awaited && tally.next().is_some();
            tally.awaited |= waits;
            (first, waits)
        };
        if waits {
            tokio::spawn(Arc::clone(self).count());
        }
        if let Some(kind) = first {
            tracing::warn!(
                "the admin API answered {} by {} with {}: {}; the audit log counts such calls",
                kind.what,
                kind.way,
                kind.status,
                harmless(by)
            );
            let by = by.to_owned();
            let refusals = Arc::clone(self);
            let written = tokio::task::spawn_blocking(move || refusals.write(&kind, 1, by));
            _ = written.await;
        }
    }

    /// Writes the numbers when they are due, as long as there are any.
    async fn count(self: Arc<Self>) {
        loop {
            let next = {
                let mut tally = self.locked();
                let next = tally.next();
                tally.awaited = next.is_some();
                next
            };
            let Some(next) = next else { return };
            // One of another kind may have to be written before that.
            let soon = Instant::now() + FIRST;
            tokio::time::sleep_until(next.min(soon).into()).await;
            let due = self.locked().due(Instant::now());
            let refusals = Arc::clone(&self);
            let written = tokio::task::spawn_blocking(move || refusals.write_all(due));
            _ = written.await;
        }
    }

    /// Writes what was counted and not written yet: nobody is answered any more.
    pub(super) fn close(&self) {
        let rest = self.locked().rest();
        self.write_all(rest);
    }

    fn write_all(&self, counted: Vec<(Kind, u64)>) {
        for (kind, times) in counted {
            let by = kind.by.clone().unwrap_or_else(|| NOBODY.to_owned());
            self.write(&kind, times, by);
        }
    }

    fn write(&self, kind: &Kind, times: u64, by: String) {
        let calls = RefusedCalls {
            what: kind.what,
            status: kind.status,
            way: kind.way,
            registry: kind.registry.as_deref(),
            times,
        };
        if let Err(error) = self.audited.refused_calls(Who::Api { name: by }, &calls) {
            tracing::error!("failed to {error}: calls that were refused are not in the audit log");
        }
    }

    fn locked(&self) -> MutexGuard<'_, Tally> {
        self.tally.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(what: &'static str) -> Kind {
        Kind {
            what,
            status: 401,
            way: "network",
            by: None,
            registry: None,
        }
    }

    #[test]
    fn the_first_is_told_at_once_and_the_others_as_a_number_ever_more_rarely() {
        let start = Instant::now();
        let mut tally = Tally::default();
        let at = |seconds| start + Duration::from_secs(seconds);
        assert_eq!(tally.refused(kind("plan"), at(0)), Some(kind("plan")));
        assert_eq!(tally.next(), None, "nobody waits for one that was told");
        for second in 0..59 {
            assert_eq!(tally.refused(kind("plan"), at(second)), None);
        }
        assert_eq!(tally.refused(kind("undo"), at(59)), Some(kind("undo")));
        assert_eq!((tally.next(), tally.due(at(59))), (Some(at(60)), vec![]));
        assert_eq!(tally.due(at(60)), [(kind("plan"), 59)]);
        assert_eq!(tally.next(), None);
        // It goes on: an hour's are told together.
        assert_eq!(tally.refused(kind("plan"), at(61)), None);
        assert_eq!(tally.next(), Some(at(3660)));
        assert_eq!(tally.due(at(3659)), []);
        assert_eq!(tally.due(at(3660)), [(kind("plan"), 1)]);
        // Nothing came for an hour: the next is a first one.
        assert_eq!(tally.due(at(7260)), []);
        assert!(tally.kinds.is_empty());
        assert_eq!(tally.refused(kind("plan"), at(7261)), Some(kind("plan")));
    }

    #[test]
    fn a_day_of_knocking_is_a_handful_of_entries_and_what_was_counted_is_told_in_the_end() {
        let start = Instant::now();
        let mut tally = Tally::default();
        let mut written = Vec::new();
        for second in 0..86_400 {
            let now = start + Duration::from_secs(second);
            written.extend(tally.refused(kind("look"), now).map(|_| 1));
            written.extend(tally.due(now).into_iter().map(|(_, times)| times));
        }
        assert_eq!(written.len(), 25, "{written:?}");
        written.extend(tally.rest().into_iter().map(|(_, times)| times));
        assert_eq!(written.iter().sum::<u64>(), 86_400);
        assert_eq!(tally.rest(), []);
    }

    #[test]
    fn a_day_of_knocking_slowly_is_a_handful_of_entries_as_well() {
        let start = Instant::now();
        for pause in [61, 120, 600, 3_599] {
            let mut tally = Tally::default();
            let (mut written, mut calls) = (Vec::new(), 0);
            for second in 0..86_400 {
                let now = start + Duration::from_secs(second);
                if second % pause == 0 {
                    calls += 1;
                    written.extend(tally.refused(kind("look"), now).map(|_| 1));
                }
                if tally.next().is_some_and(|next| next <= now) {
                    written.extend(tally.due(now).into_iter().map(|(_, times)| times));
                }
            }
            assert!(written.len() <= 26, "{pause}: {}", written.len());
            written.extend(tally.rest().into_iter().map(|(_, times)| times));
            assert_eq!(written.iter().sum::<u64>(), calls, "{pause}");
        }
    }

    #[test]
    fn kinds_beyond_the_most_are_counted_together() {
        let now = Instant::now();
        let mut tally = Tally::default();
        for number in 0..2 * MOST {
            let kind = Kind {
                by: Some(format!("token {number}")),
                ..kind("look")
            };
            let told = tally.refused(kind, now).is_some();
            assert_eq!(told, number <= MOST, "{number}");
        }
        assert_eq!(tally.kinds.len(), MOST + 1);
        let counted: Vec<_> = tally.rest();
        assert_eq!(counted, [(kind("look").other(), MOST as u64 - 1)]);
    }

    #[test]
    fn what_is_asked_for_is_told_apart_by_a_few_words() {
        for (method, path, wanted) in [
            (Method::POST, "/hooks/anything/at/all", "webhook"),
            (Method::POST, "/api/v1/apply", "apply"),
            (Method::GET, "/api/v1/apply", "look"),
            (Method::POST, "/journal/01X/undo", "undo"),
            (Method::GET, "/journal/01X", "look"),
            (Method::DELETE, "/%00", "look"),
        ] {
            assert_eq!(what(&method, path), wanted, "{method} {path}");
        }
    }
}
