//! The globs of Harbor's rules, as the program matches them that Harbor is built with.
//!
//! That program has changed what some patterns mean from one version to the next, and Harbor has changed versions. So a
//! pattern is read in the narrowest and in the widest way, and where these differ nothing is claimed.

/// How many patterns the alternatives of one may stand for.
const MOST_ALTERNATIVES: usize = 64;

/// How long a pattern may be, in bytes: Harbor's own tables hold no longer one.
const LONGEST: usize = 1024;

/// Whether a pattern matches the whole text; `None` where versions differ, or the pattern is broken.
///
/// `*` and `?` stay within a segment, `**` alone in a segment stands for any number of them, `[a-z]` and `[^a-z]` are
/// classes, `{a,b}` alternatives, and `\` takes a character for itself. The empty pattern matches everything.
pub(super) fn matches(pattern: &str, text: &str) -> Option<bool> {
    if pattern.is_empty() {
        return Some(true);
    }
    let patterns: Option<Vec<Pattern>> = alternatives(pattern)?
        .iter()
        .map(|one| Pattern::read(one))
        .collect();
    let segments: Vec<Vec<char>> = text.split('/').map(|segment| segment.chars().collect()).collect();
    let patterns = patterns?;
    let any = |reading| patterns.iter().any(|pattern| pattern.matches(&segments, reading));
    match (any(Reading::Narrow), any(Reading::Wide)) {
        (narrow, wide) if narrow == wide => Some(narrow),
        _ => None,
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reading {
    /// As little as any version lets it match.
    Narrow,
    /// As much.
    Wide,
}

/// A pattern without alternatives, by its segments.
struct Pattern(Vec<Segment>);

enum Segment {
    /// `**`
    Any,
    Of(Vec<Token>),
}

enum Token {
    Literal(char),
    One,
    Class {
        negated: bool,
        ranges: Vec<(char, char)>,
    },
    Many,
    /// Several stars beside something else in their segment.
    ManyStars,
}

impl Pattern {
    /// `None` where the pattern is broken, or in a part of the syntax that versions read differently.
    fn read(pattern: &str) -> Option<Self> {
        pattern
            .split('/')
            .map(Segment::read)
            .collect::<Option<_>>()
            .map(Self)
    }

    fn matches(&self, text: &[Vec<char>], reading: Reading) -> bool {
        // Whether the rest of the pattern from `i` matches the rest of the text from `j`.
        let (rows, columns) = (self.0.len(), text.len());
        let mut meets = vec![vec![false; columns + 1]; rows + 1];
        for i in (0..=rows).rev() {
            for j in (0..=columns).rev() {
                meets[i][j] = match self.0.get(i) {
                    None => j == columns,
                    // At the end of a pattern, some versions want a segment for it.
                    Some(Segment::Any) if i + 1 == rows => {
                        j < columns || reading == Reading::Wide || columns == 0
                    }
                    Some(Segment::Any) => meets[i + 1][j] || j < columns && meets[i][j + 1],
                    Some(Segment::Of(tokens)) => {
                        j < columns && within(tokens, &text[j], reading) && meets[i + 1][j + 1]
                    }
                };
            }
        }
        meets[0][0]
    }
}

impl Segment {
    fn read(text: &str) -> Option<Self> {
        if text == "**" {
            return Some(Self::Any);
        }
        let mut tokens = Vec::new();
        let mut chars = text.chars().peekable();
        while let Some(c) = chars.next() {
            tokens.push(match c {
                '\\' => Token::Literal(chars.next()?),
                '?' => Token::One,
                '*' => {
                    let mut stars = 1;
                    while chars.next_if_eq(&'*').is_some() {
                        stars += 1;
                    }
                    if stars == 1 { Token::Many } else { Token::ManyStars }
                }
                '[' => {
                    let mut inside = String::new();
                    loop {
                        match chars.next()? {
                            ']' => break class(&inside)?,
                            c => inside.push(c),
                        }
                    }
                }
                ']' | '{' | '}' => return None,
                c => Token::Literal(c),
            });
        }
        Some(Self::Of(tokens))
    }
}

/// A class without escapes; `!` at its beginning negates it in some versions only.
fn class(inside: &str) -> Option<Token> {
    let (negated, members) = match inside.strip_prefix('^') {
        Some(members) => (true, members),
        None => (false, inside),
    };
    if members.is_empty()
        || members.starts_with(['!', '-'])
        || members.ends_with('-')
        || members.contains('\\')
    {
        return None;
    }
    let mut ranges = Vec::new();
    let mut chars = members.chars().peekable();
    while let Some(low) = chars.next() {
        let high = match chars.next_if_eq(&'-') {
            Some(_) => chars.next().filter(|high| *high != '-')?,
            None => low,
        };
        ranges.push((low, high));
    }
    Some(Token::Class { negated, ranges })
}

fn within(tokens: &[Token], text: &[char], reading: Reading) -> bool {
    let mut meets = vec![vec![false; text.len() + 1]; tokens.len() + 1];
    for i in (0..=tokens.len()).rev() {
        for j in (0..=text.len()).rev() {
            let step = |fits: bool| j < text.len() && fits && meets[i + 1][j + 1];
            meets[i][j] = match tokens.get(i) {
                None => j == text.len(),
                Some(Token::Literal(c)) => step(text.get(j) == Some(c)),
                Some(Token::One) => step(true),
                Some(Token::Class { negated, ranges }) => {
                    let holds = |c: &char| ranges.iter().any(|(low, high)| (low..=high).contains(&c));
                    step(text.get(j).is_some_and(|c| holds(c) != *negated))
                }
                Some(Token::Many) => meets[i + 1][j] || j < text.len() && meets[i][j + 1],
                // At the end of a text, some versions want a character for them.
                Some(Token::ManyStars) => {
                    let rest = meets[i + 1][j] && (j < text.len() || reading == Reading::Wide);
                    rest || j < text.len() && (meets[i + 1][j + 1] || meets[i][j + 1])
                }
            };
        }
    }
    meets[0][0]
}

/// The patterns that one with alternatives stands for; `None` where these are nested, reach over segments or hold `**`,
/// which versions read differently, or where there are too many.
fn alternatives(pattern: &str) -> Option<Vec<String>> {
    if pattern.len() > LONGEST {
        return None;
    }
    let mut all = vec![String::new()];
    let mut chars = pattern.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => {
                let next = chars.next()?;
                all.iter_mut().for_each(|one| one.extend(['\\', next]));
            }
            '{' => {
                let mut inside = String::new();
                loop {
                    match chars.next()? {
                        '}' => break,
                        '{' | '/' | '\\' | '[' => return None,
                        c => inside.push(c),
                    }
                }
                if inside.contains("**") {
                    return None;
                }
                let options: Vec<&str> = inside.split(',').collect();
                if all.len() * options.len() > MOST_ALTERNATIVES {
                    return None;
                }
                all = all
                    .iter()
                    .flat_map(|before| options.iter().map(move |option| format!("{before}{option}")))
                    .collect();
            }
            c => all.iter_mut().for_each(|one| one.push(c)),
        }
    }
    // Alternatives beside a star could make two of one.
    let stars = |text: &str| text.matches("**").count();
    (all.len() == 1 || all.iter().all(|one| stars(one) == stars(pattern))).then_some(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_all_versions_agree_on_is_claimed() {
        for (pattern, yes, no) in [
            ("", &["a", "a/b"][..], &[][..]),
            ("**", &["a", "a/b", "a/b/c"], &[]),
            ("*", &["a", "abc"], &["a/b"]),
            ("v*", &["v", "v1.0"], &["1", "av"]),
            ("*-rc.?", &["1.0-rc.1"], &["1.0-rc.10", "1.0-rc."]),
            ("release-**", &["release-1"], &["release", "1"]),
            ("**-rc", &["1-rc"], &["1-rc2"]),
            ("a/**", &["a/b", "a/b/c"], &["b", "b/a"]),
            ("**/app", &["app", "x/app", "x/y/app"], &["apps", "app/x"]),
            ("a/**/z", &["a/z", "a/b/z", "a/b/c/z"], &["a", "z", "a/b"]),
            ("team-[a-c]", &["team-a", "team-c"], &["team-d", "team-"]),
            ("team-[^a-c]", &["team-d"], &["team-a", "team-"]),
            ("{prod,stage}", &["prod", "stage"], &["prod,stage", "pro"]),
            ("v{1,2}.{0,1}", &["v1.0", "v2.1"], &["v1.2"]),
            (r"a\*b", &["a*b"], &["ab", "axb"]),
            ("a?c", &["abc"], &["ac", "a/c"]),
        ] {
            for text in yes {
                assert_eq!(matches(pattern, text), Some(true), "{pattern} {text}");
            }
            for text in no {
                assert_eq!(matches(pattern, text), Some(false), "{pattern} {text}");
            }
        }
    }

    #[test]
    fn what_versions_disagree_on_and_what_is_broken_is_not_known() {
        for (pattern, text) in [
            ("a/**", "a"),
            ("release-**", "release-"),
            ("[!a]", "b"),
            ("{a,{b,c}}", "b"),
            ("{a/b,c}", "c"),
            ("{**,a}", "a"),
            ("*{*,a}", "a"),
            ("[a", "a"),
            ("a]", "a]"),
            ("{a", "a"),
            ("a}", "a}"),
            ("[]", "a"),
            ("[a-]", "a"),
            ("[-a]", "a"),
            (r"a\", "a"),
            (r"[\]]", "]"),
            ("{a,b}{a,b}{a,b}{a,b}{a,b}{a,b}{a,b}", "aaaaaaa"),
        ] {
            assert_eq!(matches(pattern, text), None, "{pattern} {text}");
        }
        assert_eq!(matches(&"a".repeat(LONGEST + 1), "a"), None);
    }

    #[test]
    fn many_stars_are_matched_in_a_moment() {
        let pattern = "*a".repeat(100);
        assert_eq!(matches(&pattern, &"a".repeat(1000)), Some(true));
        assert_eq!(matches(&pattern, &"a".repeat(99)), Some(false));
    }
}
