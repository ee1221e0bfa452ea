//! Globs compared with globs, where that can be told. What cannot be told is told as not so.

/// Whether every repository that `inner` matches is matched by `outer`.
pub(crate) fn covers(outer: &str, inner: &str) -> bool {
    let is_plain = |text: &str| !text.contains(['*', '?', '[', ']', '{', '}', '\\']);
    if outer == "**" || outer == inner {
        return true;
    }
    match outer.strip_suffix("/**") {
        Some(folder) if is_plain(folder) => inner
            .strip_prefix(folder)
            .and_then(|rest| rest.strip_prefix('/'))
            .is_some_and(|rest| !rest.is_empty() && !rest.contains(['{', '[', '\\'])),
        _ => false,
    }
}

/// Whether some text is matched by both patterns, in which `*` stands for any text and all else for itself.
pub(crate) fn overlap(a: &str, b: &str) -> bool {
    let (a, b) = (a.as_bytes(), b.as_bytes());
    // Whether the rests from (i, j) meet; filled from the ends.
    let mut meets = vec![vec![false; b.len() + 1]; a.len() + 1];
    for i in (0..=a.len()).rev() {
        for j in (0..=b.len()).rev() {
            meets[i][j] = match (a.get(i), b.get(j)) {
                (None, None) => true,
                (Some(b'*'), other) => meets[i + 1][j] || other.is_some() && meets[i][j + 1],
                (other, Some(b'*')) => meets[i][j + 1] || other.is_some() && meets[i + 1][j],
                (Some(a), Some(b)) => a == b && meets[i + 1][j + 1],
                (None, Some(_)) | (Some(_), None) => false,
            };
        }
    }
    meets[0][0]
}

/// Whether all that `inner` matches is matched by `outer`, in both of which `*` stands for any text and all else
/// for itself.
pub(crate) fn contains(outer: &str, inner: &str) -> bool {
    let (outer, inner) = (outer.as_bytes(), inner.as_bytes());
    let mut holds = vec![vec![false; inner.len() + 1]; outer.len() + 1];
    for i in (0..=outer.len()).rev() {
        for j in (0..=inner.len()).rev() {
            holds[i][j] = match (outer.get(i), inner.get(j)) {
                (None, None) => true,
                // Any text of `inner`, its stars among it.
                (Some(b'*'), other) => holds[i + 1][j] || other.is_some() && holds[i][j + 1],
                (Some(a), Some(b)) => a == b && holds[i + 1][j + 1],
                (None, Some(_)) | (Some(_), None) => false,
            };
        }
    }
    holds[0][0]
}

/// A pattern of the doublestar kind over repositories, relative to `root`, as a glob: stars within a segment are one
/// star each. `None` where its alternatives reach over segments, which is read differently by different programs.
pub(crate) fn doublestar(root: &str, pattern: &str) -> Option<String> {
    let mut glob = String::from(root);
    if !root.is_empty() {
        glob.push('/');
    }
    let mut depth = 0_usize;
    let mut chars = pattern.chars().peekable();
    let mut before = '/';
    while let Some(c) = chars.next() {
        match c {
            '{' => depth += 1,
            '}' => depth = depth.saturating_sub(1),
            '/' if depth > 0 => return None,
            '*' => {
                let mut stars = 1;
                while chars.next_if_eq(&'*').is_some() {
                    stars += 1;
                }
                let whole = before == '/' && chars.peek().is_none_or(|next| *next == '/');
                if stars > 1 && depth > 0 {
                    return None;
                }
                if stars > 1 && whole {
                    glob.push('*');
                }
            }
            _ => {}
        }
        glob.push(c);
        before = c;
    }
    Some(glob)
}

/// A pattern of the doublestar kind over tags, as a glob: there are no segments.
pub(crate) fn doublestar_tag(pattern: &str) -> String {
    let mut glob = String::new();
    for c in pattern.chars() {
        if c != '*' || !glob.ends_with('*') {
            glob.push(c);
        }
    }
    if glob.is_empty() { "*".to_owned() } else { glob }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn matches(pattern: &[u8], text: &[u8]) -> bool {
        match pattern.split_first() {
            None => text.is_empty(),
            Some((b'*', rest)) => (0..=text.len()).any(|at| matches(rest, &text[at..])),
            Some((c, rest)) => text
                .split_first()
                .is_some_and(|(t, text)| t == c && matches(rest, text)),
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn what_is_told_of_two_patterns_holds_for_every_text(
            a in "[ab*]{0,4}", b in "[ab*]{0,4}", texts in proptest::collection::vec("[ab]{0,5}", 40)
        ) {
            for text in texts {
                let (in_a, in_b) = (matches(a.as_bytes(), text.as_bytes()), matches(b.as_bytes(), text.as_bytes()));
                prop_assert!(overlap(&a, &b) || !(in_a && in_b), "{} is in both", text);
                prop_assert!(!contains(&a, &b) || in_a || !in_b, "{} is in {} only", text, b);
            }
        }

        #[test]
        fn a_pattern_contains_its_own_texts_and_overlaps_itself(a in "[ab*]{0,5}") {
            prop_assert!(contains(&a, &a) && overlap(&a, &a) && contains("*", &a));
        }
    }

    #[test]
    fn patterns_over_repositories_are_told_apart_by_their_segments() {
        for (pattern, glob) in [
            ("**", "p/**"),
            ("a**", "p/a*"),
            ("**/x", "p/**/x"),
            ("a/**", "p/a/**"),
            ("{a,b}-*", "p/{a,b}-*"),
        ] {
            assert_eq!(doublestar("p", pattern).as_deref(), Some(glob), "{pattern}");
        }
        assert_eq!(doublestar("p", "{a/b,c}"), None);
        assert_eq!(doublestar("", "infra/*").as_deref(), Some("infra/*"));
        assert_eq!(doublestar_tag("release-**"), "release-*");
        assert_eq!(doublestar_tag(""), "*");
    }

    #[test]
    fn a_folder_covers_what_is_below_it() {
        assert!(covers("**", "a/*") && covers("a/**", "a/b-*") && covers("a/*", "a/*"));
        assert!(!covers("a/**", "a") && !covers("a/*", "a/b") && !covers("a/**", "ab/c"));
    }
}
