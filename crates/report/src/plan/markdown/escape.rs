//! Text from outside in Markdown: it must not become markup, HTML, a link, or a message to somebody.
//!
//! Markup is escaped with backslashes. That does not help against what GitHub and GitLab find in the text after
//! they rendered it: `@someone` is told about the comment, `#12` and addresses become links. They look for these
//! everywhere but in code, so text that holds one is shown as code.

use crate::sanitize::harmless;

/// Text, outside tables.
pub(crate) fn text(text: &str) -> String {
    let text = harmless(text);
    if is_found(&text) {
        code(&text)
    } else {
        escaped(&text)
    }
}

/// Text in a cell of a table.
pub(crate) fn cell(text: &str) -> String {
    let text = harmless(text);
    if is_found(&text) {
        code_cell(&text)
    } else {
        escaped(&text)
    }
}

/// Code in a cell of a table: a pipe ends a cell even in code, unless a backslash stands before it, which the
/// table then takes away.
pub(crate) fn code_cell(text: &str) -> String {
    code(&harmless(text)).replace('|', "\\|")
}

/// Whether forges would find something in it.
fn is_found(text: &str) -> bool {
    // Mentions; issues, merge requests, snippets, milestones, labels, epics.
    let sigil = |first: char| matches!(first, '@' | '#' | '!' | '$' | '%' | '~' | '&');
    let mut characters = text.chars().peekable();
    while let Some(character) = characters.next() {
        let next = characters.peek();
        if sigil(character) && next.is_some_and(|next| !next.is_whitespace()) {
            return true;
        }
    }
    let lower = text.to_ascii_lowercase();
    ["://", "www.", "gh-", "mailto:", "xmpp:"]
        .iter()
        .any(|start| lower.contains(start))
}

/// As code, in a fence longer than any run of backticks in it.
fn code(text: &str) -> String {
    if text.is_empty() {
        return String::new();
    }
    let longest = text
        .split(|character| character != '`')
        .map(str::len)
        .max()
        .unwrap_or(0);
    let fence = "`".repeat(longest + 1);
    // A space at both ends is taken away again, and is needed where a backtick or such a space stands there.
    let padding = if text.starts_with(['`', ' ']) || text.ends_with(['`', ' ']) {
        " "
    } else {
        ""
    };
    format!("{fence}{padding}{text}{padding}{fence}")
}

fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 8);
    for character in text.chars() {
        if matches!(
            character,
            '\\' | '`'
                | '*'
                | '_'
                | '{'
                | '}'
                | '['
                | ']'
                | '<'
                | '>'
                | '#'
                | '|'
                | '~'
                | '&'
                | '!'
                | '$'
                | '@'
        ) {
            out.push('\\');
        }
        out.push(character);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markup_is_escaped_and_words_stay_as_they_are() {
        for (text, expected) in [
            (
                "rank 12 of 27 by version (keep ten)",
                "rank 12 of 27 by version (keep ten)",
            ),
            ("*bold* _it_ [link](x) <b>", r"\*bold\* \_it\_ \[link\](x) \<b\>"),
            ("a | b", r"a \| b"),
            ("back\\slash `code`", r"back\\slash \`code\`"),
            ("30% is allowed", "30% is allowed"),
            ("line\nbreak\u{202e}", r"line\\nbreak\\u\{202e\}"),
        ] {
            assert_eq!(cell(text), expected);
        }
    }

    #[test]
    fn what_a_forge_would_link_or_tell_somebody_is_code() {
        for (text, expected) in [
            ("ask @team/platform", "`ask @team/platform`"),
            ("see #12", "`see #12`"),
            ("a@b.example", "`a@b.example`"),
            ("HTTPS://evil.example", "`HTTPS://evil.example`"),
            ("www.evil.example", "`www.evil.example`"),
            ("&lt;script", "`&lt;script`"),
            ("a `@b` c", "``a `@b` c``"),
            ("`@b", "`` `@b ``"),
            ("@a|b", "`@a\\|b`"),
        ] {
            assert_eq!(cell(text), expected);
        }
        assert_eq!(super::text("@a|b"), "`@a|b`");
    }
}
