//! The newest runs of each policy: what stays in the history however many others come and go, and what metrics know of the
//! time before a start.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::time::Duration;

use lagan_model::Time;
use serde::Deserialize;

use super::history::{BY_SCHEDULE, ENDED};
use crate::exit::Exit;

/// Of each policy of the configuration that holds.
#[derive(Debug, Default)]
pub(super) struct Newest(BTreeMap<String, OfPolicy>);

#[derive(Debug, Default)]
struct OfPolicy {
    registry: String,
    /// The last that ended, whoever it was by.
    ended: Option<String>,
    /// The last that was made, that did all it was to do, and that looked at everything besides.
    made: Option<Run>,
    success: Option<Run>,
    full: Option<Run>,
}

/// A run that is over.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Run {
    id: String,
    ended: Time,
    took: Option<Duration>,
}

/// What metrics show of the last runs of a policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Lasts<'a> {
    pub(crate) registry: &'a str,
    pub(crate) policy: &'a str,
    /// When the last one ended, and how long it took where that is known.
    pub(crate) run: Option<(Time, Option<Duration>)>,
    /// When the last one ended that did all it was to do.
    pub(crate) success: Option<Time>,
    /// When the last of those ended that looked at everything, where its registry tells what changes.
    pub(crate) full: Option<Time>,
}

/// What of `run.json` says what kind of run it was.
#[derive(Debug, Deserialize)]
pub(super) struct Written {
    id: String,
    #[serde(default = "by_schedule")]
    by: String,
    policy: String,
    /// Older versions do not say.
    counted_for: Option<String>,
    registry: Option<String>,
    began: Time,
    ended: Time,
    exit: i32,
    outcome: String,
    #[serde(default)]
    state: String,
    pass: Option<Pass>,
}

#[derive(Debug, Deserialize)]
struct Pass {
    full: bool,
}

fn by_schedule() -> String {
    BY_SCHEDULE.to_owned()
}

impl Written {
    /// As the folder of a run has it.
    fn read(folder: &Path) -> Option<Self> {
        Self::parse(&fs::read(folder.join(ENDED)).ok()?)
    }

    pub(super) fn parse(text: &[u8]) -> Option<Self> {
        serde_json::from_slice(text).ok()
    }

    fn was_made(&self) -> bool {
        let cut_short = matches!(&*self.outcome, "given up" | "turned away");
        let cannot_be = self.by != BY_SCHEDULE && self.exit == Exit::Usage as i32;
        !(cut_short || cannot_be)
    }

    fn succeeded(&self) -> bool {
        matches!(&*self.outcome, "done" | "planned only")
    }
}

impl Newest {
    /// These are the policies, each with its registry. Whether there are some of which it is not known what ran.
    pub(super) fn configured<'p>(&mut self, policies: impl IntoIterator<Item = (&'p str, &'p str)>) -> bool {
        let mut before = std::mem::take(&mut self.0);
        let mut unknown = false;
        for (policy, registry) in policies {
            let known = before.remove(policy).filter(|known| known.registry == registry);
            unknown |= known.is_none();
            let of_policy = known.unwrap_or_else(|| OfPolicy {
                registry: registry.to_owned(),
                ..OfPolicy::default()
            });
            self.0.insert(policy.to_owned(), of_policy);
        }
        unknown
    }

    /// Reads what these runs came to.
    pub(super) fn read(&mut self, folder: &Path, runs: &[String]) {
        for id in runs {
            if let Some(run) = Written::read(&folder.join(id)) {
                self.note(run);
            }
        }
    }

    /// Takes note of a run that is over.
    pub(super) fn note(&mut self, run: Written) {
        if let Some(of_policy) = self.0.get_mut(&run.policy)
            && of_policy.ended.as_ref().is_none_or(|before| *before < run.id)
        {
            of_policy.ended = Some(run.id.clone());
        }
        let counted_for = run.counted_for.as_ref().unwrap_or(&run.policy);
        let Some(of_policy) = self.0.get_mut(counted_for) else {
            return;
        };
        if run.registry.as_ref() != Some(&of_policy.registry) || !run.was_made() {
            return;
        }
        let is_full = run.pass.as_ref().is_some_and(|pass| pass.full);
        let noted = Run {
            took: (run.ended - run.began)
                .to_std()
                .ok()
                .filter(|_| run.state != "interrupted"),
            ended: run.ended,
            id: run.id.clone(),
        };
        for (place, is_meant) in [
            (&mut of_policy.made, true),
            (&mut of_policy.success, run.succeeded()),
            (&mut of_policy.full, run.succeeded() && is_full),
        ] {
            if is_meant && place.as_ref().is_none_or(|before| before.ended <= noted.ended) {
                *place = Some(noted.clone());
            }
        }
    }

    /// The last run of a policy that is over.
    pub(super) fn last(&self, policy: &str) -> Option<&str> {
        self.0.get(policy)?.ended.as_deref()
    }

    /// The runs that stay: at most four of each policy.
    pub(super) fn all(&self) -> BTreeSet<&str> {
        let runs = self.0.values().flat_map(|of_policy| {
            let others = [&of_policy.made, &of_policy.success, &of_policy.full];
            let others = others.into_iter().flatten().map(|run| &run.id);
            of_policy.ended.iter().chain(others)
        });
        runs.map(String::as_str).collect()
    }

    /// What metrics show of them.
    pub(super) fn lasts(&self) -> impl Iterator<Item = Lasts<'_>> {
        self.0.iter().map(|(policy, of_policy)| Lasts {
            registry: &of_policy.registry,
            policy,
            run: of_policy.made.as_ref().map(|run| (run.ended, run.took)),
            success: of_policy.success.as_ref().map(|run| run.ended),
            full: of_policy.full.as_ref().map(|run| run.ended),
        })
    }
}
