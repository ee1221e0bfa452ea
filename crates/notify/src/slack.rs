//! Messages as text for a chat: what incoming webhooks of Slack take, and of those that are like them.
//!
//! Part of a message may come from a registry. Those that are like Slack read Markdown whatever is asked of them, and
//! each finds links of its own in plain text; what would be one is broken by a space that is not seen.

use serde_json::{Value, json};

use crate::message::Message;

/// The longest text, in characters. Slack cuts longer ones into several.
const LONGEST: usize = 3_000;

/// A space without width.
const BREAK: char = '\u{200b}';

pub(crate) fn of(message: &Message) -> Value {
    json!({
        "text": text(&message.summary),
        "mrkdwn": false,
        "parse": "none",
        "link_names": false,
        "unfurl_links": false,
        "unfurl_media": false,
    })
}

/// No links, no pictures, no mentions.
fn text(summary: &str) -> String {
    let mut out = String::with_capacity(summary.len());
    let mut characters = summary.chars().peekable();
    for _ in 0..LONGEST {
        let Some(c) = characters.next() else {
            return out;
        };
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            c => out.push(c),
        }
        if characters.peek().is_some_and(|next| leads_somewhere(c, *next)) {
            out.push(BREAK);
        }
    }
    if characters.next().is_some() {
        out.push('…');
    }
    out
}

/// Whether two characters, one after the other, may be part of what a chat makes a link or a mention of.
fn leads_somewhere(c: char, next: char) -> bool {
    match c {
        // People and groups, channels and tags, channels of Mattermost.
        '@' | '#' | '~' => !next.is_whitespace(),
        // The text of a link or a picture, before its address or its name; the end of an address that has a name.
        ']' => matches!(next, '(' | '[' | ':'),
        // Addresses: with a scheme, of mail and telephones among them, and with the name of a host alone.
        ':' => !next.is_whitespace(),
        '.' => next.is_alphabetic(),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_mentions_anybody_or_links_anywhere() {
        for (summary, shown) in [
            ("<!channel> a&b @here", "&lt;!channel&gt; a&amp;b @|here"),
            (
                "[log in](https://evil.example/x)",
                "[log in]|(https:|//evil.|example/x)",
            ),
            ("![](http://a.b/c.png)", "![]|(http:|//a.|b/c.|png)"),
            ("[a][b] [b]: /x", "[a]|[b] [b]|: /x"),
            ("write to mailto:a@b.example", "write to mailto:|a@|b.|example"),
            (
                "call tel:112, see www.evil.example",
                "call tel:|112, see www.|evil.|example",
            ),
            ("#general ~town-square", "#|general ~|town-square"),
            // What is read is as it was.
            (
                "p on r: 3 deleted, 1.2.3 of a/b_c (run 01X). Done [2]",
                "p on r: 3 deleted, 1.2.3 of a/b_c (run 01X). Done [2]",
            ),
        ] {
            assert_eq!(text(summary), shown.replace('|', "\u{200b}"));
        }
    }

    #[test]
    fn a_text_is_as_long_as_may_be_and_says_that_it_was_cut() {
        assert_eq!(text(&"x".repeat(LONGEST)), "x".repeat(LONGEST));
        let cut = text(&"x".repeat(9_000));
        assert_eq!(cut, format!("{}…", "x".repeat(LONGEST)));
    }
}
