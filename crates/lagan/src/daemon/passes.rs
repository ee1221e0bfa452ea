//! Whether a policy that is due looks at everything, or only at what its registry says has changed.
//!
//! Nothing of it outlives the process, and whatever is in doubt is a reason for a full pass: a start, a configuration
//! that was read again, a registry that has told nothing yet, something that it told and that was not understood or is
//! too much to be remembered, a clock that was set back, and a pass before this that did not do all it was to do.

use std::collections::{BTreeMap, BTreeSet};

use chrono::TimeDelta;
use lagan_config::Config;
use lagan_model::Time;
use lagan_registry::Mark;

use super::heard::Heard;
use crate::pass::{Changed, Pass};

/// Where policies stand that have a full pass behind them, and nothing but passes that did all they were to do since.
#[derive(Debug, Default)]
pub(super) struct Passes {
    of: BTreeMap<String, Stand>,
    /// Counts the configurations that held. What began under another says nothing.
    configuration: u64,
}

#[derive(Debug, Clone)]
struct Stand {
    registry: String,
    /// When the full pass began, and how many repositories it looked at.
    full: Time,
    repositories: u64,
    /// What its registry told up to here was looked at.
    heard: Mark,
}

/// A pass that begins.
#[derive(Debug, Clone)]
pub(super) struct Begun {
    pub(super) pass: Pass,
    /// What its registry told up to here is looked at in it; `None` of one that never told anything.
    heard: Option<Mark>,
    configuration: u64,
}

/// A policy that is due.
pub(super) struct Due<'a> {
    pub(super) policy: &'a str,
    pub(super) registry: &'a str,
    /// How often everything is looked at.
    pub(super) full_pass: TimeDelta,
    pub(super) now: Time,
    /// When it is due after this.
    pub(super) next: Option<Time>,
}

impl Passes {
    /// Another configuration holds.
    pub(super) fn configured(&mut self, config: &Config, heard: &Heard) {
        self.of.clear();
        self.configuration += 1;
        let telling = config
            .registries
            .iter()
            .filter(|registry| registry.webhook.is_some());
        heard.retain(
            &telling
                .map(|registry| registry.name.as_str())
                .collect::<BTreeSet<_>>(),
        );
    }

    /// The pass that a policy makes now.
    pub(super) fn begin(&self, due: &Due<'_>, heard: &Heard) -> Begun {
        // Before it is asked what changed: what is told meanwhile is told again.
        let mark = heard.now(due.registry);
        let pass = self.going_on(due, heard).unwrap_or_else(|| Pass::full(due.now));
        Begun {
            pass,
            heard: mark,
            configuration: self.configuration,
        }
    }

    /// The pass that goes on with a full one, unless that is too long ago, or would be by the next time.
    fn going_on(&self, due: &Due<'_>, heard: &Heard) -> Option<Pass> {
        let stand = self
            .of
            .get(due.policy)
            .filter(|stand| stand.registry == due.registry)?;
        let until = stand.full.checked_add_signed(due.full_pass)?;
        if due.now < stand.full || due.next? > until {
            return None;
        }
        Some(Pass {
            full: stand.full,
            changed: Some(Changed {
                repositories: heard.since(due.registry, stand.heard)?,
                of: stand.repositories,
            }),
        })
    }

    /// A pass is over: the one that was made, which looked at so many repositories, where it did all it was to do.
    pub(super) fn ended(
        &mut self,
        policy: &str,
        registry: &str,
        begun: &Begun,
        made: Option<(&Pass, u64)>,
        heard: &Heard,
    ) {
        if begun.configuration != self.configuration {
            return;
        }
        let before = self.of.remove(policy);
        let stand = made.zip(begun.heard).and_then(|((pass, repositories), mark)| {
            let of = match &pass.changed {
                None => repositories,
                Some(_) => before.filter(|before| before.full == pass.full)?.repositories,
            };
            Some(Stand {
                registry: registry.to_owned(),
                full: pass.full,
                repositories: of,
                heard: mark,
            })
        });
        if let Some(stand) = stand {
            self.of.insert(policy.to_owned(), stand);
        }
        let asked = self.of.values().filter(|stand| stand.registry == registry);
        heard.forget(registry, asked.map(|stand| stand.heard).min());
    }
}

#[cfg(test)]
mod tests;
