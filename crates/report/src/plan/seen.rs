//! What formats for people say of all repositories together, gathered while they pass. Bounded, however many they
//! are.

use std::collections::BTreeSet;

use lagan_model::{RepositoryName, Time};
use lagan_policy::reason::only_shares_digest;
use lagan_policy::{Action, RepositoryPlan, Undo};

/// How many names and how many different notes are remembered; the rest is counted.
const REMEMBERED: usize = 10;

#[derive(Default)]
pub(super) struct Seen {
    pub(super) quiet: u64,
    /// Whether a manifest, and not only a tag, would be deleted somewhere.
    pub(super) deletes: bool,
    /// Tags that stay only because they share their digest with a kept one.
    pub(super) shared: u64,
    /// When the first of what waits may go.
    pub(super) waits_until: Option<Time>,
    pub(super) incomplete: u64,
    pub(super) incomplete_names: Vec<RepositoryName>,
    pub(super) undoable: Undoable,
    pub(super) lost: Undoable,
}

/// Deletions that can, or cannot, be undone.
#[derive(Default)]
pub(super) struct Undoable {
    pub(super) manifests: u64,
    pub(super) earliest: Option<Time>,
    pub(super) notes: BTreeSet<String>,
}

impl Seen {
    pub(super) fn add(&mut self, plan: &RepositoryPlan) {
        if !plan.complete {
            self.incomplete += 1;
            if self.incomplete_names.len() < REMEMBERED {
                self.incomplete_names.push(plan.name.clone());
            }
        } else if plan.actions.is_empty() {
            self.quiet += 1;
        }
        let shared = plan.kept.iter().filter(|kept| only_shares_digest(&kept.reasons));
        self.shared += shared.count() as u64;
        let waits = plan.waiting.iter().map(|waiting| waiting.until);
        self.waits_until = waits.chain(self.waits_until).min();
        for action in &plan.actions {
            self.deletes |= matches!(action, Action::Delete { .. });
            if let Action::Delete { undo, .. } = action {
                let manifests = action.manifests();
                let side = if undo.possible {
                    &mut self.undoable
                } else {
                    &mut self.lost
                };
                side.add(undo, manifests);
            }
        }
    }
}

impl Undoable {
    fn add(&mut self, undo: &Undo, manifests: u64) {
        self.manifests += manifests;
        self.earliest = match (self.earliest, undo.until) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        };
        if let Some(why) = &undo.why
            && self.notes.len() < REMEMBERED
            && !self.notes.contains(why)
        {
            self.notes.insert(why.clone());
        }
    }
}
