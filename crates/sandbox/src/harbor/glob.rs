//! Doublestar patterns, by which Harbor's rules select repositories and tags
//! (<https://github.com/bmatcuk/doublestar>, version 1).
//!
//! Written anew and not taken from a library: what a tool makes of these patterns is judged by it.

/// `*` and `?` stay within a path's part, `**` stands for any parts, `[a-z]` and `[^a]` are classes, `{a,b}` are
/// alternatives, `\` takes the meaning from what follows. A pattern that is broken matches nothing; the empty one matches
/// everything.
pub(super) fn matches(pattern: &str, text: &str) -> bool {
    pattern.is_empty()
        || alternatives(pattern)
            .iter()
            .any(|pattern| parts(&split(pattern), &text.split('/').collect::<Vec<_>>()))
}

/// Every pattern that the braces of one stand for.
fn alternatives(pattern: &str) -> Vec<String> {
    let bytes: Vec<char> = pattern.chars().collect();
    let Some(open) = unescaped(&bytes, 0, |c| c == '{') else {
        return vec![pattern.to_owned()];
    };
    let mut depth = 0;
    let mut choices = vec![String::new()];
    let mut at = open;
    while let Some(&c) = bytes.get(at) {
        match c {
            '{' => {
                depth += 1;
                if depth > 1 {
                    push(&mut choices, c);
                }
            }
            '}' if depth == 1 => {
                let before: String = bytes[..open].iter().collect();
                let after: String = bytes[at + 1..].iter().collect();
                return choices
                    .iter()
                    .flat_map(|choice| alternatives(&format!("{before}{choice}{after}")))
                    .collect();
            }
            '}' => {
                depth -= 1;
                push(&mut choices, c);
            }
            ',' if depth == 1 => choices.push(String::new()),
            '\\' => {
                push(&mut choices, c);
                at += 1;
                if let Some(&next) = bytes.get(at) {
                    push(&mut choices, next);
                }
            }
            _ => push(&mut choices, c),
        }
        at += 1;
    }
    // A brace that is never closed.
    Vec::new()
}

fn push(choices: &mut [String], c: char) {
    if let Some(last) = choices.last_mut() {
        last.push(c);
    }
}

fn unescaped(chars: &[char], from: usize, is: impl Fn(char) -> bool) -> Option<usize> {
    let mut at = from;
    while let Some(&c) = chars.get(at) {
        if c == '\\' {
            at += 1;
        } else if is(c) {
            return Some(at);
        }
        at += 1;
    }
    None
}

fn split(pattern: &str) -> Vec<Vec<char>> {
    pattern.split('/').map(|part| part.chars().collect()).collect()
}

fn parts(pattern: &[Vec<char>], text: &[&str]) -> bool {
    match pattern.split_first() {
        None => text.is_empty(),
        Some((first, rest)) if first.as_slice() == ['*', '*'] => {
            (0..=text.len()).any(|skipped| parts(rest, &text[skipped..]))
        }
        Some((first, rest)) => text.split_first().is_some_and(|(part, others)| {
            within(first, &part.chars().collect::<Vec<_>>()) && parts(rest, others)
        }),
    }
}

/// One part of a path.
fn within(pattern: &[char], text: &[char]) -> bool {
    match pattern {
        [] => text.is_empty(),
        ['*', rest @ ..] => (0..=text.len()).any(|skipped| within(rest, &text[skipped..])),
        ['?', rest @ ..] => text.split_first().is_some_and(|(_, text)| within(rest, text)),
        ['\\', c, rest @ ..] => text
            .split_first()
            .is_some_and(|(first, text)| first == c && within(rest, text)),
        ['[', class @ ..] => {
            let Some(end) = unescaped(class, 1, |c| c == ']') else {
                return false;
            };
            text.split_first().is_some_and(|(first, text)| {
                in_class(&class[..end], *first) && within(&class[end + 1..], text)
            })
        }
        [c, rest @ ..] => text
            .split_first()
            .is_some_and(|(first, text)| first == c && within(rest, text)),
    }
}

fn in_class(class: &[char], c: char) -> bool {
    let (negated, mut class) = match class {
        ['^' | '!', rest @ ..] => (true, rest),
        class => (false, class),
    };
    let mut found = false;
    while let Some((&low, rest)) = class.split_first() {
        class = rest;
        if let ['-', high, after @ ..] = class {
            found |= (low..=*high).contains(&c);
            class = after;
        } else {
            found |= low == c;
        }
    }
    found != negated
}

#[cfg(test)]
mod tests {
    use super::matches;

    #[test]
    fn patterns_select_as_doublestar_defines_them() {
        for (pattern, text, expected) in [
            ("**", "a/b/c", true),
            ("**", "1.0", true),
            ("*", "a/b", false),
            ("*", "latest", true),
            ("", "anything", true),
            ("release-*", "release-1.0", true),
            ("release-*", "v-release-1", false),
            ("team/**", "team/a/b", true),
            ("team/**/app", "team/app", true),
            ("team/**/app", "team/x/y/app", true),
            ("team/*/app", "team/x/y/app", false),
            ("{prod,stage-?}", "stage-1", true),
            ("{prod,stage-?}", "stage-10", false),
            ("{a,{b,c}d}", "cd", true),
            ("v[0-9].[^0]", "v1.2", true),
            ("v[0-9].[^0]", "v1.0", false),
            ("a\\*", "a*", true),
            ("a\\*", "ab", false),
            ("a\\*", "a", false),
            ("v[0-9]", "v", false),
            ("a?", "a", false),
            ("ab", "a", false),
            ("a/b", "a", false),
            ("a/*", "a", false),
            ("a", "ab", false),
            ("{open", "open", false),
            ("[open", "open", false),
            ("**b", "ab", true),
        ] {
            assert_eq!(matches(pattern, text), expected, "{pattern} {text}");
        }
    }
}
