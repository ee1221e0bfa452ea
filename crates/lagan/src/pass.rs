//! A pass of a policy whose registry tells what changes in it: over everything, or over what changed since.
//!
//! Decisions are made in one repository at a time, so that what is not looked at only stays longer. What counts over
//! several of them, the limits of a run, is held against a full pass and all that goes on with it.

use std::collections::BTreeSet;

use chrono::SubsecRound as _;
use lagan_model::{RepositoryName, Time};
use lagan_policy::Totals;
use lagan_report::PassNote;

/// What a run is to look at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Pass {
    /// When the full pass began that it is, or that it goes on with.
    pub(crate) full: Time,
    /// What it looks at, where that is not everything.
    pub(crate) changed: Option<Changed>,
}

/// What is said to have changed since a full pass, and was not looked at since.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Changed {
    pub(crate) repositories: BTreeSet<RepositoryName>,
    /// How many repositories the full pass looked at.
    pub(crate) of: u64,
}

impl Pass {
    /// Over everything.
    pub(crate) fn full(began: Time) -> Self {
        Self {
            full: began,
            changed: None,
        }
    }

    /// The repositories that it looks at, where it does not look at all.
    pub(crate) fn only(&self) -> Option<BTreeSet<RepositoryName>> {
        self.changed.as_ref().map(|changed| changed.repositories.clone())
    }

    /// What a report of it says, where it left something out.
    pub(crate) fn note(&self, totals: &Totals) -> Option<PassNote> {
        self.changed.as_ref().map(|changed| PassNote {
            full_pass: self.full.trunc_subsecs(0),
            repositories: changed.of,
            changed: totals.repositories,
        })
    }
}
