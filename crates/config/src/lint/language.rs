//! Sets of names that expressions describe, and whether anything is in one and in none of others.
//!
//! Globs and expressions are regular, and so are tags and names of repositories. What no name can match is therefore
//! not guessed at: automata are walked together until a name is found or there is none. What would take an automaton
//! or a walk that is too large is not known, and then nothing is said.

use std::collections::{HashSet, VecDeque};

use regex_automata::dfa::{Automaton as _, StartKind, dense};
use regex_automata::nfa::thompson;
use regex_automata::util::primitives::StateID;
use regex_automata::util::syntax;
use regex_automata::{Anchored, Input, MatchKind};

/// The largest automaton, in bytes. A policy's usual expressions take a few thousand.
const MAX_AUTOMATON: usize = 1 << 18;

/// How many states a walk may pass.
const MAX_STATES: usize = 50_000;

/// The names that at least one of some expressions matches.
#[derive(Debug)]
pub(crate) struct Language(dense::DFA<Vec<u32>>);

impl Language {
    /// The language of expressions over bytes, each anchored at both ends; `None` where that is too large.
    pub(crate) fn of<T: AsRef<str>>(expressions: &[T]) -> Option<Self> {
        let config = dense::Config::new()
            // Every word counts, not the first that a search would settle for.
            .match_kind(MatchKind::All)
            .start_kind(StartKind::Anchored)
            // Names hold ASCII alone, for which `\b` means the same either way.
            .unicode_word_boundary(true)
            .dfa_size_limit(Some(MAX_AUTOMATON))
            .determinize_size_limit(Some(MAX_AUTOMATON));
        let build = |unicode: bool| {
            dense::Builder::new()
                .configure(config.clone())
                .syntax(syntax::Config::new().utf8(false).unicode(unicode))
                .thompson(
                    thompson::Config::new()
                        .utf8(false)
                        .nfa_size_limit(Some(MAX_AUTOMATON)),
                )
                .build_many(expressions)
                .ok()
                .map(Self)
        };
        // Over ASCII both match the same, and the automaton without the rest of Unicode is far smaller; some
        // expressions exist only with it.
        build(false).or_else(|| build(true))
    }
}

/// What may be named.
#[derive(Debug)]
pub(crate) struct Names {
    /// What every name matches.
    grammar: Language,
    /// Its characters; those that make readable examples first.
    alphabet: &'static [u8],
    /// The longest name, in bytes.
    longest: usize,
}

impl Names {
    /// Tags, by the distribution specification.
    pub(crate) fn tags() -> Option<Self> {
        Some(Self {
            grammar: Language::of(&[r"\A[a-zA-Z0-9_][a-zA-Z0-9._-]*\z"])?,
            alphabet: b"abcdefghijklmnopqrstuvwxyz0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ.-_",
            longest: lagan_model::tag::MAX_TAG,
        })
    }

    /// Names of repositories, by the distribution specification.
    pub(crate) fn repositories() -> Option<Self> {
        const GRAMMAR: &str =
            r"\A[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*(?:/[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*)*\z";
        Some(Self {
            grammar: Language::of(&[GRAMMAR])?,
            alphabet: b"abcdefghijklmnopqrstuvwxyz0123456789/-._",
            longest: lagan_model::name::MAX_REPOSITORY_NAME,
        })
    }

    /// A shortest name in all of `inside` and in none of `outside`.
    pub(crate) fn find(&self, inside: &[&Language], outside: &[&Language]) -> Found {
        let mut all = vec![&self.grammar];
        all.extend(inside);
        walk(&all, outside, self.alphabet, self.longest)
    }

    /// Whether there is proof that no name is in all of `inside` and in none of `outside`.
    pub(crate) fn none(&self, inside: &[&Language], outside: &[&Language]) -> bool {
        matches!(self.find(inside, outside), Found::Nothing)
    }
}

/// A shortest text over the characters of tags that a language holds, a tag or not.
pub(crate) fn shortest(language: &Language, names: &Names) -> Found {
    walk(&[language], &[], names.alphabet, names.longest)
}

/// What came of looking for a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Found {
    /// This one.
    Name(String),
    /// Proof that there is none.
    Nothing,
    /// It would have taken too long to tell.
    Unknown,
}

/// Where all automata are, and how they came there.
struct Visited {
    states: Vec<StateID>,
    from: Option<(usize, u8)>,
    length: usize,
}

fn walk(inside: &[&Language], outside: &[&Language], alphabet: &[u8], longest: usize) -> Found {
    let automata: Vec<&dense::DFA<Vec<u32>>> =
        inside.iter().chain(outside).map(|language| &language.0).collect();
    let letters = representatives(&automata, alphabet);
    let input = Input::new("").anchored(Anchored::Yes);
    let mut start = Vec::with_capacity(automata.len());
    for automaton in &automata {
        match automaton.start_state_forward(&input) {
            Ok(state) => start.push(state),
            Err(_) => return Found::Unknown,
        }
    }
    let mut visited = vec![Visited {
        states: start.clone(),
        from: None,
        length: 0,
    }];
    let mut known: HashSet<Vec<StateID>> = HashSet::from([start]);
    let mut queue = VecDeque::from([0]);
    while let Some(at) = queue.pop_front() {
        let here = &visited[at];
        if here.length > 0 && is_word(&automata, inside.len(), &here.states) {
            return Found::Name(spelled(&visited, at));
        }
        if here.length == longest {
            continue;
        }
        let (length, states) = (here.length + 1, here.states.clone());
        for letter in &letters {
            let next: Vec<StateID> = automata
                .iter()
                .zip(&states)
                .map(|(automaton, state)| automaton.next_state(*state, *letter))
                .collect();
            if automata
                .iter()
                .zip(&next)
                .any(|(automaton, state)| automaton.is_quit_state(*state))
            {
                return Found::Unknown;
            }
            let dead = automata
                .iter()
                .zip(&next)
                .take(inside.len())
                .any(|(automaton, state)| automaton.is_dead_state(*state));
            if dead || known.contains(&next) {
                continue;
            }
            if visited.len() >= MAX_STATES {
                return Found::Unknown;
            }
            known.insert(next.clone());
            queue.push_back(visited.len());
            visited.push(Visited {
                states: next,
                from: Some((at, *letter)),
                length,
            });
        }
    }
    Found::Nothing
}

/// One character for each set of characters that no automaton tells apart.
fn representatives(automata: &[&dense::DFA<Vec<u32>>], alphabet: &[u8]) -> Vec<u8> {
    let mut known: Vec<Vec<u8>> = Vec::new();
    let mut letters = Vec::new();
    for letter in alphabet {
        let classes: Vec<u8> = automata
            .iter()
            .map(|automaton| automaton.byte_classes().get(*letter))
            .collect();
        if !known.contains(&classes) {
            known.push(classes);
            letters.push(*letter);
        }
    }
    letters
}

fn is_word(automata: &[&dense::DFA<Vec<u32>>], inside: usize, states: &[StateID]) -> bool {
    automata
        .iter()
        .zip(states)
        .enumerate()
        .all(|(position, (automaton, state))| {
            let matches = automaton.is_match_state(automaton.next_eoi_state(*state));
            matches == (position < inside)
        })
}

fn spelled(visited: &[Visited], at: usize) -> String {
    let mut letters = Vec::new();
    let mut next = visited[at].from;
    while let Some((before, letter)) = next {
        letters.push(char::from(letter));
        next = visited[before].from;
    }
    letters.iter().rev().collect()
}

#[cfg(test)]
mod tests {
    use lagan_policy::{RepositoryPattern, TagPattern, TagRegex};
    use proptest::prelude::*;

    use super::*;

    fn glob(text: &str) -> Language {
        Language::of(&[text.parse::<TagPattern>().unwrap().expression()]).unwrap()
    }

    fn regex(text: &str) -> Language {
        Language::of(&[text.parse::<TagRegex>().unwrap().expression()]).unwrap()
    }

    fn name(text: &str) -> Found {
        Found::Name(text.to_owned())
    }

    #[test]
    fn a_shortest_tag_is_found_or_proven_not_to_be() {
        let tags = Names::tags().unwrap();
        for (inside, outside, found) in [
            (vec![glob("*-rc.*"), regex(r"1\..*")], vec![], name("1.-rc.")),
            (vec![glob("a*")], vec![glob("*a")], name("ab")),
            (vec![glob("a*")], vec![glob("*")], Found::Nothing),
            (vec![glob("dev-*"), regex("^(rc|beta)$")], vec![], Found::Nothing),
            // No tag begins with a dash, or is longer than 128 bytes.
            (vec![regex(r"-rc\d+")], vec![], Found::Nothing),
            (vec![regex("a{129}")], vec![], Found::Nothing),
            (vec![regex("a{128}")], vec![], name(&"a".repeat(128))),
            (vec![glob("é*")], vec![], Found::Nothing),
            (vec![regex(r".*\bx")], vec![], name("x")),
        ] {
            let inside: Vec<&Language> = inside.iter().collect();
            let outside: Vec<&Language> = outside.iter().collect();
            assert_eq!(tags.find(&inside, &outside), found);
        }
    }

    #[test]
    fn repositories_are_found_by_their_own_grammar() {
        let names = Names::repositories().unwrap();
        let glob =
            |text: &str| Language::of(&[text.parse::<RepositoryPattern>().unwrap().expression()]).unwrap();
        assert_eq!(
            names.find(&[&glob("team/*"), &glob("*/api-*")], &[]),
            name("team/api-a")
        );
        assert_eq!(
            names.find(&[&glob("team/*"), &glob("team/*/b")], &[]),
            Found::Nothing
        );
        assert_eq!(names.find(&[&glob("Team/*")], &[]), Found::Nothing);
        assert_eq!(
            names.find(&[&glob("team/**")], &[&glob("team/*")]),
            name("team/a/a")
        );
    }

    #[test]
    fn what_is_too_large_is_not_known_and_no_proof() {
        assert!(Language::of(&[r"\A(?:.*a.{200}.*b.{200})\z"]).is_none());
    }

    fn expression() -> impl Strategy<Value = String> {
        let atom = prop_oneof![
            Just("a".to_owned()),
            Just("b".to_owned()),
            Just("-".to_owned()),
            Just(r"\d".to_owned()),
            Just(".".to_owned()),
            Just("[ab]".to_owned()),
        ];
        atom.prop_recursive(3, 12, 3, |inner| {
            prop_oneof![
                (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("{a}{b}")),
                (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("(?:{a}|{b})")),
                inner.clone().prop_map(|a| format!("(?:{a})*")),
                inner.prop_map(|a| format!("(?:{a})?")),
            ]
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        /// Against every tag of up to three characters, one by one.
        #[test]
        fn a_walk_finds_what_matching_finds(inside in expression(), outside in expression()) {
            let (a, b): (TagRegex, TagRegex) = (inside.parse().unwrap(), outside.parse().unwrap());
            let alphabet = ['a', 'b', 'c', '0', '1', '-', '.', '_', 'Z'];
            let mut short: Vec<lagan_model::Tag> = Vec::new();
            let mut texts = vec![String::new()];
            for _ in 0..3 {
                texts = texts
                    .iter()
                    .flat_map(|text| alphabet.iter().map(move |letter| format!("{text}{letter}")))
                    .collect();
                short.extend(texts.iter().filter_map(|text| text.parse().ok()));
            }
            let first = short.iter().find(|tag| a.matches(tag) && !b.matches(tag));
            let found = Names::tags().unwrap().find(&[&regex(&inside)], &[&regex(&outside)]);
            match (&found, first) {
                (Found::Name(name), first) => {
                    let tag: lagan_model::Tag = name.parse().unwrap();
                    prop_assert!(a.matches(&tag) && !b.matches(&tag), "{}", name);
                    if let Some(first) = first {
                        prop_assert_eq!(first.as_str().len(), name.len());
                    }
                }
                (Found::Nothing, first) => prop_assert!(first.is_none(), "{:?}", first),
                (Found::Unknown, _) => {}
            }
        }
    }
}
