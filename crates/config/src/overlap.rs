//! Whether the rules of another program are about what a policy is about.
//!
//! Patterns are regular sets, which are walked together until there is a name or the proof that there is none. What
//! cannot be told is not taken for apart.

use lagan_policy::{Policy, RepositoryPattern, Rule, TagPattern};

use crate::convert::glob::{doublestar, doublestar_tag};
use crate::lint::language::{Found, Language};
use crate::lint::selection::{Proofs, Repositories, Selection};

/// Whether two descriptions have a repository in common.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Meeting {
    /// There is proof that they have none.
    Nowhere,
    /// This one, for example.
    At(String),
    /// It cannot be told.
    Unknown,
}

/// A doublestar pattern, as Harbor's selectors have it.
#[derive(Debug, Clone, Copy)]
pub struct Doublestar<'a> {
    /// The pattern; the empty one matches everything.
    pub pattern: &'a str,
    /// Whether what does not match is meant.
    pub excludes: bool,
}

impl Doublestar<'_> {
    /// What it means, as globs: those that are meant, and exceptions. `None` where it has no such form.
    fn globs(self, root: &str) -> Option<(Vec<RepositoryPattern>, Vec<RepositoryPattern>)> {
        let parse = |pattern: &str| doublestar(root, pattern)?.parse::<RepositoryPattern>().ok();
        let everything = parse("**")?;
        let pattern = if self.pattern.is_empty() {
            "**"
        } else {
            self.pattern
        };
        let mut globs = vec![parse(pattern)?];
        if self.excludes {
            return Some((vec![everything], globs));
        }
        // Some versions find what stands before `/**`, too.
        if let Some(before) = pattern.strip_suffix("/**").filter(|before| *before != "**") {
            globs.push(parse(before)?);
        }
        Some((globs, Vec::new()))
    }
}

/// Tells what is apart.
#[derive(Debug)]
pub struct Overlaps(Proofs);

impl Overlaps {
    /// `None` where the sets of all names cannot be built, which is a defect.
    #[must_use]
    pub fn new() -> Option<Self> {
        Proofs::new().map(Self)
    }

    /// A repository that a policy names and a pattern means; below `root`, a project, or anywhere where that is empty.
    #[must_use]
    pub fn repositories(&self, policy: &Policy, root: &str, pattern: Doublestar<'_>) -> Meeting {
        let ours = Repositories::of(&policy.repositories, &policy.exclude_repositories);
        let Some((named, excluded)) = pattern.globs(root) else {
            return Meeting::Unknown;
        };
        let theirs = Repositories::of(&named, &excluded);
        match ours.common(&theirs, &self.0) {
            Found::Name(name) => Meeting::At(name),
            Found::Nothing => Meeting::Nowhere,
            Found::Unknown => Meeting::Unknown,
        }
    }

    /// Whether there is proof that a rule selects no tag that a pattern means.
    #[must_use]
    pub fn tags_apart(&self, rule: &Rule, pattern: Doublestar<'_>) -> bool {
        let glob = doublestar_tag(pattern.pattern).parse::<TagPattern>().ok();
        let Some(theirs) = glob.and_then(|glob| Language::of(&[glob.expression()])) else {
            return false;
        };
        let ours = Selection::of(&rule.select);
        let (mut inside, mut outside) = (ours.inside(), ours.outside());
        if pattern.excludes {
            outside.push(&theirs);
        } else {
            inside.push(&theirs);
        }
        self.0.nothing(&ours.channels, &inside, &outside)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::document::policy_file::PolicyFile;

    fn policy(text: &str) -> Policy {
        PolicyFile::read("p.yaml", text, "p").unwrap().policies[0]
            .policy
            .clone()
    }

    fn means(pattern: &str) -> Doublestar<'_> {
        Doublestar {
            pattern,
            excludes: false,
        }
    }

    #[test]
    fn repositories_meet_below_their_project_only() {
        let overlaps = Overlaps::new().unwrap();
        let policy = policy(
            "repositories: ['team/app-*']\nexclude_repositories: [team/app-old]\nrules: [{select: {tags: 'x'}, keep: {last: 1, by: name}}]",
        );
        let at = |root: &str, pattern| overlaps.repositories(&policy, root, pattern);
        assert!(matches!(at("team", means("**")), Meeting::At(name) if name.starts_with("team/app-")));
        assert!(matches!(at("team", means("")), Meeting::At(_)));
        assert_eq!(at("other", means("**")), Meeting::Nowhere);
        assert_eq!(at("team", means("web*")), Meeting::Nowhere);
        assert_eq!(at("team", means("app-old")), Meeting::Nowhere);
        assert!(matches!(at("", means("team/**")), Meeting::At(_)));
        let all_but = Doublestar {
            pattern: "app-*",
            excludes: true,
        };
        assert_eq!(at("team", all_but), Meeting::Nowhere);
        assert_eq!(at("team", means("{a/b,c}")), Meeting::Unknown, "versions differ");
        assert_eq!(at("team", means("[")), Meeting::Unknown);
    }

    #[test]
    fn tags_are_apart_only_where_that_is_proven() {
        let overlaps = Overlaps::new().unwrap();
        let policy = policy(
            "repositories: ['team/*']\nrules: [{select: {channel: prerelease}, keep: {last: 1, by: version}}, {select: {tags: 'build-*'}, keep: {last: 1, by: name}}]",
        );
        let [prereleases, builds] = &policy.rules[..] else {
            panic!()
        };
        assert!(overlaps.tags_apart(builds, means("release-*")));
        assert!(!overlaps.tags_apart(builds, means("*-1")));
        assert!(!overlaps.tags_apart(prereleases, means("v*")));
        assert!(overlaps.tags_apart(prereleases, means("latest")));
        let all_but = Doublestar {
            pattern: "build-*",
            excludes: true,
        };
        assert!(overlaps.tags_apart(builds, all_but));
        assert!(
            !overlaps.tags_apart(builds, means("[")),
            "what is no pattern is not apart"
        );
    }
}
