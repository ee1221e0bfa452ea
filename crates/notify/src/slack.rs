//! Messages as text for a chat: what incoming webhooks of Slack take, and of those that are like them.

use serde_json::{Value, json};

use crate::message::Message;

/// The longest text, in characters. Slack cuts longer ones into several.
const LONGEST: usize = 3_000;

pub(crate) fn of(message: &Message) -> Value {
    json!({ "text": text(&message.summary), "mrkdwn": false })
}

/// No links, no mentions: part of a message may come from a registry.
fn text(summary: &str) -> String {
    let mut out = String::with_capacity(summary.len());
    for (at, c) in summary.chars().enumerate() {
        if at == LONGEST {
            out.push('…');
            break;
        }
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            // A space without width, which takes the meaning away.
            '@' => out.push_str("@\u{200b}"),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_mentions_anybody_or_links_anywhere() {
        assert_eq!(
            text("<!channel> a&b @here"),
            "&lt;!channel&gt; a&amp;b @\u{200b}here"
        );
        assert_eq!(text(&"x".repeat(9_000)).chars().count(), LONGEST + 1);
    }
}
