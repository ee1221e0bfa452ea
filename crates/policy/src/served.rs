//! What policies ask for that the place they are for does not tell. Whatever depends on it is kept, which nobody should
//! have to find out by waiting for deletions.

use std::collections::BTreeSet;
use std::fmt;

use lagan_model::RegistryKind;

use crate::document::{Clock, Policy, PolicySet, Rule, Select};
use crate::reason::RuleName;

/// Something that a rule asks for and nobody can tell it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unserved {
    /// The rule.
    pub rule: RuleName,
    /// What it asks for, as documents write it.
    pub what: &'static str,
    /// Why that is not told, and what follows.
    pub why: &'static str,
}

impl fmt::Display for Unserved {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "rule {} of policy {} asks for `{}`: {}",
            self.rule.rule, self.rule.policy, self.what, self.why
        )
    }
}

impl Rule {
    /// The clocks that it reads, to select or to keep.
    pub fn clocks(&self) -> impl Iterator<Item = Clock> {
        let min_age = self.select.untagged.iter().map(|_| Clock::Pushed);
        min_age.chain(self.keep.clocks())
    }
}

impl Select {
    /// What it asks for, as documents write it, that a registry of this kind, or the missing ledger, does not tell; and
    /// why not.
    pub fn unserved(
        &self,
        kind: RegistryKind,
        ledger: bool,
    ) -> impl Iterator<Item = (&'static str, &'static str)> {
        let untagged = match kind {
            RegistryKind::Oci => self.untagged.is_some().then_some((
                "untagged",
                "OCI registries do not list what has no tag, so that nothing is selected",
            )),
            RegistryKind::Harbor => None,
        };
        let orphaned = (self.orphaned && !ledger).then_some((
            "orphaned",
            "without a state directory nothing tells what was here once, so that nothing is selected",
        ));
        untagged.into_iter().chain(orphaned)
    }
}

impl PolicySet {
    /// The clocks that rules read.
    #[must_use]
    pub fn clocks(&self) -> BTreeSet<Clock> {
        let rules = self.policies.iter().flat_map(|policy| &policy.rules);
        rules.flat_map(Rule::clocks).collect()
    }

    /// What rules ask for beside clocks that a registry of this kind, or the missing ledger, does not tell.
    #[must_use]
    pub fn unserved(&self, kind: RegistryKind, ledger: bool) -> Vec<Unserved> {
        let of_policy = |policy: &Policy| {
            let name = policy.name.clone();
            let rules = policy.rules.iter().flat_map(|rule| {
                let unserved = rule.select.unserved(kind, ledger);
                unserved.map(|(what, why)| Unserved {
                    rule: RuleName {
                        policy: name.clone(),
                        rule: rule.name.clone(),
                    },
                    what,
                    why,
                })
            });
            rules.collect::<Vec<_>>()
        };
        self.policies.iter().flat_map(of_policy).collect()
    }
}
