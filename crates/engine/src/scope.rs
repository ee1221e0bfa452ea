//! Which repositories a run looks at.

use std::collections::{BTreeMap, BTreeSet};

use lagan_model::{Incomplete, RegistryError, RegistryKind, RegistryRead, RepositoryName};
use lagan_policy::{Policy, PolicySet, RepositoryPattern};
use thiserror::Error;

/// The repositories that are asked for, on top of what the policies name.
#[derive(Debug, Clone, Default)]
pub struct Scope {
    /// Globs, one of which a repository's name matches; none means all that the policies name.
    pub only: Vec<RepositoryPattern>,
    /// The repositories there are, said by somebody in the place of a catalog; `None` asks the registry.
    pub listed: Option<Vec<RepositoryName>>,
    /// Where not everything is looked at: those that are said to have changed. No catalog is asked for, and it is no error
    /// when none of them is there, or named by a policy; `None` looks at all.
    pub changed: Option<BTreeSet<RepositoryName>>,
}

/// Why there is nothing to look at.
#[derive(Debug, Error)]
pub enum ScopeError {
    /// The catalog could not be read.
    #[error("failed to list the repositories")]
    Registry(#[from] RegistryError),
    /// A pattern that was asked for matches no repository that a policy names.
    #[error("no repository matches {0:?}, or no policy names one that does: nothing deleted")]
    NoMatch(String),
    /// The catalog was read, and there is nothing in it: some registries show nothing to those who may not list it.
    #[error("the registry lists no repository: nothing deleted")]
    EmptyCatalog,
    /// The policies name no repository that exists.
    #[error("no policy names a repository of this registry: nothing deleted")]
    NothingNamed,
}

/// Repositories to look at, sorted by the bytes of their names.
pub(crate) struct Repositories {
    pub names: Vec<RepositoryName>,
    /// Parts of the catalog that could not be listed, among the names by the names of their projects, and why.
    pub unread: BTreeMap<RepositoryName, Incomplete>,
    /// Who says that they exist.
    pub said_by: SaidBy,
}

/// Who says that a repository exists.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SaidBy {
    /// The registry.
    Catalog,
    /// A list that stands for the catalog.
    List,
    /// A policy or an argument that is a plain name.
    Name,
    /// Whoever said that it changed, which may be that it is gone.
    Hint,
}

impl Scope {
    fn admits(&self, repository: &RepositoryName) -> bool {
        self.only.is_empty() || self.only.iter().any(|pattern| pattern.matches(repository))
    }

    /// Finds the repositories: in the catalog, or in the list that stands for it, unless every pattern is a plain name.
    /// Then the catalog is not asked for, which some registries do not have, and which a least-privileged account may
    /// not read.
    pub(crate) async fn repositories<R: RegistryRead>(
        &self,
        registry: &R,
        policies: &PolicySet,
        asked: &(dyn Fn(&Policy) -> bool + Sync),
    ) -> Result<Repositories, ScopeError> {
        if let Some(changed) = &self.changed {
            return Ok(self.hinted(registry, policies, asked, changed));
        }
        let named: Option<Vec<RepositoryName>> = if self.only.is_empty() {
            let patterns = policies
                .policies
                .iter()
                .filter(|policy| asked(policy))
                .flat_map(|p| &p.repositories);
            patterns.map(plain_name).collect()
        } else {
            self.only.iter().map(plain_name).collect()
        };
        let mut unread = BTreeMap::new();
        let (mut names, said_by) = match (named, &self.listed) {
            (Some(names), _) => (names, SaidBy::Name),
            (None, Some(listed)) => (listed.clone(), SaidBy::List),
            (None, None) => {
                let of_policies = || policies.policies.iter().filter(|policy| asked(policy));
                let is_wanted = |segment: &str| {
                    let may_match = |patterns: &[RepositoryPattern]| {
                        patterns.iter().any(|pattern| pattern.may_match_below(segment))
                    };
                    (self.only.is_empty() || may_match(&self.only))
                        && of_policies().any(|policy| may_match(&policy.repositories))
                };
                let catalog = registry.catalog(&is_wanted).await?;
                let why = |error: RegistryError| Incomplete {
                    why: error.to_string(),
                };
                unread.extend(
                    catalog
                        .unread
                        .into_iter()
                        .map(|(project, error)| (project, why(error))),
                );
                // Harbor's has left out what nobody asks for.
                let whole = registry.identity().kind == RegistryKind::Oci;
                if whole && catalog.repositories.is_empty() && unread.is_empty() {
                    return Err(ScopeError::EmptyCatalog);
                }
                (catalog.repositories, SaidBy::Catalog)
            }
        };
        names.retain(|name| {
            self.admits(name) && policies.of_repository(name, &|policy| asked(policy)).is_some()
        });
        names.sort_unstable();
        names.dedup();
        let unmatched = self
            .only
            .iter()
            .find(|pattern| !names.iter().any(|name| pattern.matches(name)));
        // What could not be listed may hold a match.
        if let Some(pattern) = unmatched
            && unread.is_empty()
        {
            return Err(ScopeError::NoMatch(pattern.as_str().to_owned()));
        }
        if names.is_empty() && unread.is_empty() {
            return Err(ScopeError::NothingNamed);
        }
        registry.will_survey(&names);
        names.extend(unread.keys().cloned());
        names.sort_unstable();
        names.dedup();
        Ok(Repositories {
            names,
            unread,
            said_by,
        })
    }

    /// Those in scope that are said to have changed.
    fn hinted<R: RegistryRead>(
        &self,
        registry: &R,
        policies: &PolicySet,
        asked: &(dyn Fn(&Policy) -> bool + Sync),
        changed: &BTreeSet<RepositoryName>,
    ) -> Repositories {
        let listed: Option<BTreeSet<_>> = self.listed.as_ref().map(|listed| listed.iter().collect());
        let is_meant = |name: &&RepositoryName| {
            listed.as_ref().is_none_or(|listed| listed.contains(name))
                && self.admits(name)
                && policies.of_repository(name, &|policy| asked(policy)).is_some()
        };
        let names: Vec<_> = changed.iter().filter(is_meant).cloned().collect();
        if !names.is_empty() {
            registry.will_survey(&names);
        }
        Repositories {
            names,
            unread: BTreeMap::new(),
            said_by: SaidBy::Hint,
        }
    }
}

/// The name that a pattern is, if it is one: names hold no character that means anything to a glob.
fn plain_name(pattern: &RepositoryPattern) -> Option<RepositoryName> {
    pattern.as_str().parse().ok()
}
