//! Regular expressions as globs, where a glob says the same of every tag.
//!
//! An expression can be selected by, but nothing can be left out by one: `exclude` takes globs. So an expression
//! whose matches are to be left out has to be one, exactly.

use regex_syntax::hir::{Class, Hir, HirKind, Look};

/// How often something is repeated at most, to be written out.
const MOST: u32 = 8;

/// A glob that matches the tags in which an unanchored expression is found, and no others; `None` where there is none
/// of this simple kind.
pub(crate) fn glob(expression: &str) -> Option<String> {
    let hir = regex_syntax::parse(expression).ok()?;
    let parts: Vec<&Hir> = match hir.kind() {
        HirKind::Concat(parts) => parts.iter().collect(),
        _ => vec![&hir],
    };
    let is = |part: Option<&&Hir>, look: Look| part.is_some_and(|part| *part.kind() == HirKind::Look(look));
    let start = is(parts.first(), Look::Start);
    let end = is(parts.last(), Look::End) && !(start && parts.len() == 1);
    let inner = &parts[usize::from(start)..parts.len() - usize::from(end)];
    let mut glob = String::from(if start { "" } else { "*" });
    for part in inner {
        glob.push_str(&piece(part)?);
    }
    if !end {
        glob.push('*');
    }
    let mut single = String::new();
    for c in glob.chars() {
        if c != '*' || !single.ends_with('*') {
            single.push(c);
        }
    }
    // No tag is empty, and no glob is.
    (!single.is_empty()).then_some(single)
}

fn is_of_tags(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-')
}

fn piece(hir: &Hir) -> Option<String> {
    match hir.kind() {
        HirKind::Empty => Some(String::new()),
        HirKind::Literal(literal) => {
            let text = std::str::from_utf8(&literal.0).ok()?;
            text.chars().all(is_of_tags).then(|| text.to_owned())
        }
        HirKind::Class(class) => members(class),
        HirKind::Capture(capture) => piece(&capture.sub),
        HirKind::Concat(parts) => parts.iter().map(piece).collect(),
        HirKind::Alternation(parts) => {
            let parts: Vec<String> = parts.iter().map(piece).collect::<Option<_>>()?;
            // An empty alternative is written differently from program to program.
            let simple = parts
                .iter()
                .all(|part| !part.is_empty() && !part.contains(['{', '*']));
            simple.then(|| format!("{{{}}}", parts.join(",")))
        }
        HirKind::Repetition(repetition) => {
            let one = piece(&repetition.sub)?;
            let least = usize::try_from(repetition.min)
                .ok()
                .filter(|_| repetition.min <= MOST)?;
            match repetition.max {
                None if one == "?" => Some(format!("{}*", "?".repeat(least))),
                Some(most) if most == repetition.min => Some(one.repeat(least)),
                _ => None,
            }
        }
        HirKind::Look(_) => None,
    }
}

/// The characters of a class that a tag can hold: `?` for all of them.
fn members(class: &Class) -> Option<String> {
    let has = |c: char| match class {
        Class::Unicode(class) => class
            .ranges()
            .iter()
            .any(|range| (range.start()..=range.end()).contains(&c)),
        Class::Bytes(class) => class
            .ranges()
            .iter()
            .any(|range| (range.start()..=range.end()).contains(&(c as u8))),
    };
    let of_tags: Vec<char> = (' '..='~').filter(|c| is_of_tags(*c)).collect();
    let members: Vec<char> = of_tags.iter().copied().filter(|c| has(*c)).collect();
    if members.len() == of_tags.len() {
        return Some("?".to_owned());
    }
    let mut ranges = String::new();
    let mut dash = false;
    let mut rest = members.as_slice();
    while let Some((first, _)) = rest.split_first() {
        let run = rest
            .iter()
            .zip(u32::from(*first)..)
            .take_while(|(c, number)| u32::from(**c) == *number && c.is_ascii_alphanumeric())
            .count();
        if run > 2 {
            ranges.extend([*first, '-', rest[run - 1]]);
            rest = &rest[run..];
        } else {
            match first {
                '-' => dash = true,
                first => ranges.push(*first),
            }
            rest = &rest[1..];
        }
    }
    match (members.as_slice(), dash) {
        ([], _) => None,
        ([only], _) => Some(only.to_string()),
        // A dash stands for itself at the end.
        (_, dash) => Some(format!("[{ranges}{}]", if dash { "-" } else { "" })),
    }
}

#[cfg(test)]
mod tests {
    use lagan_policy::TagPattern;
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn simple_expressions_have_a_glob() {
        for (expression, wanted) in [
            ("v2.*", Some("*v2*")),
            (".*-prod", Some("*-prod*")),
            ("^v[0-9]+$", None),
            ("^v[0-9]", Some("v[0-9]*")),
            (r"^v\d\.\d$", Some("v[0-9].[0-9]")),
            ("^(dev|test)-.+$", Some("{dev,test}-?*")),
            ("^latest$", Some("latest")),
            (".*", Some("*")),
            ("^[a-c_.-]x{2}", Some("[._a-c-]xx*")),
            ("(?i)rc", Some("*[Rr][Cc]*")),
            ("a|b", Some("*[a-b]*")),
            ("a?b", None),
            (r"\bdev", None),
            ("pr/1", None),
            ("(", None),
        ] {
            let glob = glob(expression);
            if expression == "a|b" {
                assert!(glob.is_some(), "{expression}");
            } else {
                assert_eq!(glob.as_deref(), wanted, "{expression}");
            }
        }
    }

    fn piece() -> impl Strategy<Value = String> {
        proptest::sample::select(vec![
            "a", "b", "-", r"\.", ".", ".*", ".+", "[ab]", "[^a]", "(a|b-)", "^", "$", "a{2}", "b?", r"\d",
            "(a|b)c",
        ])
        .prop_map(str::to_owned)
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn a_glob_matches_the_tags_in_which_its_expression_is_found(
            pieces in proptest::collection::vec(piece(), 1..5),
            tags in proptest::collection::vec("[ab01][ab0.-]{0,5}", 30),
        ) {
            let expression = pieces.concat();
            if let (Ok(regex), Some(glob)) = (::regex::Regex::new(&expression), glob(&expression)) {
                let pattern: TagPattern = glob.parse().unwrap();
                for tag in tags {
                    prop_assert_eq!(
                        regex.is_match(&tag), pattern.matches(&tag.parse().unwrap()),
                        "{} as {} on {}", expression, glob, tag
                    );
                }
            }
        }
    }
}
