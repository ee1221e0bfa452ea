//! Which registries and policies do well.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use lagan_health::{Request, Score, Targets, Window};
use lagan_model::Time;
use lagan_report::sanitize::harmless;

use super::labels::{Name, OfPolicy};

/// A registry and a policy of it; no policy for the registry as a whole.
pub(crate) type Of = (Name, Name);

/// What was seen of registries and policies.
#[derive(Debug, Default)]
pub(super) struct Health {
    targets: Targets,
    seen: BTreeMap<Of, Seen>,
    /// Those of the configuration that held last.
    known: BTreeSet<Of>,
}

#[derive(Debug)]
struct Seen {
    window: Window,
    /// Whether the last score was too low.
    low: bool,
    /// Whether something was seen since then.
    fresh: bool,
}

/// A score that fell below what is good, or rose to it again.
#[derive(Debug, Clone)]
pub(crate) struct Change {
    pub(crate) of: Of,
    pub(crate) score: Score,
    pub(crate) low: bool,
}

impl Change {
    pub(super) fn log(&self) {
        if self.low {
            tracing::warn!("{self}");
        } else {
            tracing::info!("{self}");
        }
    }
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (registry, policy) = (harmless(&self.of.0), harmless(&self.of.1));
        match policy.is_empty() {
            true => write!(f, "the registry {registry}")?,
            false => write!(f, "the policy {policy} on {registry}")?,
        }
        let how = if self.low {
            "does not do well"
        } else {
            "does well again"
        };
        write!(f, " {how}: its score is {}", self.score)
    }
}

impl Health {
    /// Looks for what is known by these targets, and forgets the rest, which is handed back: what was seen of others, and
    /// what was known before. What was seen stays where the window is as long as it was.
    pub(super) fn take(&mut self, targets: &Targets, known: BTreeSet<Of>) -> BTreeSet<Of> {
        if targets.window != self.targets.window {
            self.seen.values_mut().for_each(|seen| {
                seen.window = Window::new(targets.window);
                seen.low = false;
            });
        }
        self.targets = targets.clone();
        let all = self.seen.keys().chain(&self.known);
        let gone: BTreeSet<Of> = all.filter(|of| !known.contains(*of)).cloned().collect();
        for of in &gone {
            self.seen.remove(of);
        }
        self.known = known;
        gone
    }

    /// A run of a policy sent a request.
    pub(super) fn request(&mut self, of: &OfPolicy, now: Time, request: Request) {
        self.each(of, |window| window.request(now, request));
    }

    /// A run of a policy ended.
    pub(super) fn run(&mut self, of: &OfPolicy, now: Time, succeeded: bool) {
        self.each(of, |window| window.run(now, succeeded));
    }

    /// What is seen of a policy is seen of its registry as well.
    fn each(&mut self, of: &OfPolicy, mut see: impl FnMut(&mut Window)) {
        let whole = Name::from("");
        // What is of no single policy is seen once.
        let policy = Some(of.policy.clone()).filter(|policy| *policy != whole);
        for policy in policy.into_iter().chain([whole]) {
            let seen = self
                .seen
                .entry((of.registry.clone(), policy))
                .or_insert_with(|| Seen {
                    window: Window::new(self.targets.window),
                    low: false,
                    fresh: false,
                });
            seen.fresh = true;
            see(&mut seen.window);
        }
    }

    /// The scores of those of which there was something to see.
    pub(super) fn scores(&self, now: Time) -> Vec<(OfPolicy, Score)> {
        let score = |(of, seen): (&Of, &Seen)| {
            let signals = seen.window.signals(now)?;
            let (registry, policy) = of.clone();
            Some((OfPolicy { registry, policy }, Score::of(&signals, &self.targets)))
        };
        self.seen.iter().filter_map(score).collect()
    }

    /// Whether somebody should look.
    pub(super) fn is_low(&self, score: &Score) -> bool {
        score.is_low(&self.targets)
    }

    /// Those of which something new was seen, and which it made too low, or good again.
    pub(super) fn look(&mut self, now: Time) -> Vec<Change> {
        let mut changes = Vec::new();
        for (of, seen) in &mut self.seen {
            if !std::mem::take(&mut seen.fresh) {
                continue;
            }
            let Some(signals) = seen.window.signals(now) else {
                continue;
            };
            let score = Score::of(&signals, &self.targets);
            let low = score.is_low(&self.targets);
            if std::mem::replace(&mut seen.low, low) != low {
                changes.push(Change {
                    of: of.clone(),
                    score,
                    low,
                });
            }
        }
        changes
    }
}
