//! A project's rules for immutable tags, evaluated here as well.
//!
//! Harbor marks immutable tags in its listings, but where it fails to look the rules up it marks none and says nothing of
//! it. So the rules are read for themselves, and what they cover is immutable whatever the mark says.

use std::collections::HashMap;

use lagan_model::Immutable;

use super::glob;
use super::wire::{ImmutableRule, Selector};

/// The rules of one project that are in force.
#[derive(Debug, Default)]
pub(super) struct Rules(Vec<ImmutableRule>);

impl Rules {
    pub(super) fn new(rules: Vec<ImmutableRule>) -> Self {
        Self(rules.into_iter().filter(|rule| !rule.disabled).collect())
    }

    /// Those that may cover tags of a repository, by its name without the project.
    pub(super) fn of_repository<'a>(&'a self, repository: &'a str) -> OfRepository<'a> {
        let of = |rule: &'a ImmutableRule| {
            let scope = rule
                .scope_selectors
                .get("repository")
                .map_or(&[][..], Vec::as_slice);
            let known = any(scope, "repoMatches", "repoExcludes", repository);
            (known != Some(false)).then_some((known, rule.tag_selectors.as_slice()))
        };
        OfRepository {
            rules: self.0.iter().filter_map(of).collect(),
            known: HashMap::new(),
        }
    }
}

/// What rules say of the tags of one repository.
pub(super) struct OfRepository<'a> {
    /// Each with whether it covers the repository, if that is known, and what it says of tags.
    rules: Vec<(Option<bool>, &'a [Selector])>,
    known: HashMap<String, Option<bool>>,
}

impl OfRepository<'_> {
    /// Why a tag is immutable, if it is: Harbor marks it, or a rule covers it, or that cannot be told.
    pub(super) fn why_immutable(&mut self, tag: &str, is_marked: bool) -> Option<Immutable> {
        match (is_marked, self.cover(tag)) {
            (true, _) => Some(Immutable::Marked),
            (false, Some(true)) => Some(Immutable::Rule),
            (false, None) => Some(Immutable::Unknown),
            (false, Some(false)) => None,
        }
    }

    /// Whether a rule covers a tag; `None` where that cannot be told.
    fn cover(&mut self, tag: &str) -> Option<bool> {
        if self.rules.is_empty() {
            return Some(false);
        }
        if let Some(known) = self.known.get(tag) {
            return *known;
        }
        let covers = |(repository, tags): &(Option<bool>, &[Selector])| {
            both(*repository, any(tags, "matches", "excludes", tag))
        };
        let cover = self.rules.iter().map(covers).fold(Some(false), either);
        self.known.insert(tag.to_owned(), cover);
        cover
    }
}

/// What the selectors say of a text. Harbor goes by the first alone, and its own pages write no other; where there are
/// several, and any of them would select, nothing is ruled out.
fn any(selectors: &[Selector], positive: &str, negative: &str, text: &str) -> Option<bool> {
    let Some((first, others)) = selectors.split_first() else {
        // A rule without a selector does nothing.
        return Some(false);
    };
    let of = |selector: &Selector| select(selector, positive, negative, text);
    match (of(first), others.iter().map(of).fold(Some(false), either)) {
        (Some(true), _) => Some(true),
        (Some(false), Some(false)) => Some(false),
        _ => None,
    }
}

pub(super) fn select(selector: &Selector, positive: &str, negative: &str, text: &str) -> Option<bool> {
    if selector.kind != "doublestar" {
        return None;
    }
    let matches = glob::matches(&selector.pattern, text);
    if selector.decoration == positive {
        matches
    } else if selector.decoration == negative {
        matches.map(|matches| !matches)
    } else {
        None
    }
}

pub(super) fn either(a: Option<bool>, b: Option<bool>) -> Option<bool> {
    match (a, b) {
        (Some(true), _) | (_, Some(true)) => Some(true),
        (Some(false), Some(false)) => Some(false),
        _ => None,
    }
}

pub(super) fn both(a: Option<bool>, b: Option<bool>) -> Option<bool> {
    match (a, b) {
        (Some(false), _) | (_, Some(false)) => Some(false),
        (Some(true), Some(true)) => Some(true),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use lagan_model::json;

    use super::*;

    fn rules(text: &str) -> Rules {
        Rules::new(json::read(text.as_bytes()).unwrap())
    }

    /// One rule: how repositories are selected and by what, how tags are and by what.
    fn one([repository, of_repository, tag, of_tag]: [&str; 4]) -> String {
        format!(
            r#"{{"id":1,"disabled":false,"action":"immutable","template":"immutable_template",
            "scope_selectors":{{"repository":[{{"kind":"doublestar","decoration":"{repository}","pattern":"{of_repository}"}}]}},
            "tag_selectors":[{{"kind":"doublestar","decoration":"{tag}","pattern":"{of_tag}"}}]}}"#
        )
    }

    fn cover(rules: &Rules, repository: &str, tag: &str) -> Option<bool> {
        rules.of_repository(repository).cover(tag)
    }

    #[test]
    fn a_rule_covers_what_both_its_selectors_select() {
        let of = |parts: [&str; 4]| rules(&format!("[{}]", one(parts)));
        let rule = of(["repoMatches", "app/**", "matches", "v*"]);
        assert_eq!(cover(&rule, "app/web", "v1"), Some(true));
        assert_eq!(cover(&rule, "app/web", "1"), Some(false));
        assert_eq!(cover(&rule, "web", "v1"), Some(false));
        let rule = of(["repoExcludes", "app/**", "excludes", "pr-*"]);
        assert_eq!(cover(&rule, "web", "v1"), Some(true));
        assert_eq!(cover(&rule, "web", "pr-1"), Some(false));
        assert_eq!(cover(&rule, "app/web", "v1"), Some(false));
        // As Harbor's page writes a rule for everything.
        let rule = of(["repoMatches", "**", "matches", "**"]);
        assert_eq!(cover(&rule, "a/b/c", "latest"), Some(true));
    }

    #[test]
    fn several_rules_cover_what_any_of_them_covers_and_disabled_ones_nothing() {
        let all =
            one(["repoMatches", "**", "matches", "**"]).replace(r#""disabled":false"#, r#""disabled":true"#);
        let some = one(["repoMatches", "**", "matches", "v*"]);
        let others = one(["repoMatches", "web", "matches", "prod"]);
        let rules = rules(&format!("[{all},{some},{others}]"));
        for (repository, tag, expected) in [
            ("web", "prod", true),
            ("app", "prod", false),
            ("app", "v1", true),
            ("app", "x", false),
        ] {
            assert_eq!(
                cover(&rules, repository, tag),
                Some(expected),
                "{repository}:{tag}"
            );
        }
        assert_eq!(cover(&Rules::default(), "app", "v1"), Some(false));
    }

    #[test]
    fn what_cannot_be_evaluated_may_cover_and_no_other_rule_makes_that_certain_but_one_that_covers() {
        let unknown = [
            one(["repoMatches", "**", "matches", "[!a]*"]),
            one(["repoMatches", "**", "someday", "**"]),
            one(["labelled", "**", "matches", "**"]),
            one(["repoMatches", "**", "matches", "**"]).replace("doublestar", "regex"),
        ];
        for unknown in &unknown {
            assert_eq!(
                cover(&rules(&format!("[{unknown}]")), "app", "b"),
                None,
                "{unknown}"
            );
            let sure = one(["repoMatches", "**", "matches", "b"]);
            assert_eq!(
                cover(&rules(&format!("[{unknown},{sure}]")), "app", "b"),
                Some(true)
            );
            let other = one(["repoMatches", "**", "matches", "c"]);
            assert_eq!(cover(&rules(&format!("[{unknown},{other}]")), "app", "b"), None);
        }
        // A tag that is not selected is not covered, whatever is said of the repository.
        let apart = one(["labelled", "**", "matches", "c"]);
        assert_eq!(cover(&rules(&format!("[{apart}]")), "app", "b"), Some(false));
    }

    #[test]
    fn a_second_selector_that_harbor_passes_over_rules_nothing_out() {
        let two = r#"[{"id":1,"scope_selectors":{"repository":[{"kind":"doublestar","decoration":"repoMatches","pattern":"**"}]},
            "tag_selectors":[{"kind":"doublestar","decoration":"matches","pattern":"a"},
                             {"kind":"doublestar","decoration":"matches","pattern":"b"}]}]"#;
        assert_eq!(cover(&rules(two), "app", "a"), Some(true));
        assert_eq!(cover(&rules(two), "app", "b"), None);
        assert_eq!(cover(&rules(two), "app", "c"), Some(false));
        let none = r#"[{"id":1,"scope_selectors":{},"tag_selectors":null}]"#;
        assert_eq!(cover(&rules(none), "app", "a"), Some(false));
    }
}
