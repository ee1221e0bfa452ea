//! Messages as letters.

use std::fmt::Write as _;
use std::time::SystemTime;

use chrono::SecondsFormat;
use lettre::message::header::{HeaderName, HeaderValue};
use lettre::message::{Mailbox as Named, SinglePart};

use super::Mailbox;
use crate::message::Message;

/// The longest subject, in characters.
const LONGEST: usize = 120;

/// A message as a letter. Its `Message-ID` is that of the message, so that whoever gets it twice can tell.
pub(super) fn of(
    message: &Message,
    from: &Mailbox,
    to: &[Mailbox],
) -> Result<lettre::Message, lettre::error::Error> {
    let named = |mailbox: &Mailbox| Named::new(None, mailbox.0.clone());
    // No program answers it (RFC 3834).
    let automatic = HeaderName::new_from_ascii_str("Auto-Submitted");
    let letter = lettre::Message::builder()
        .from(named(from))
        .date(SystemTime::from(message.at))
        .message_id(Some(format!("<{}@{}>", message.id, from.0.domain())))
        .subject(subject(&message.summary))
        .raw_header(HeaderValue::new(automatic, "auto-generated".to_owned()));
    to.iter()
        .map(named)
        .fold(letter, |letter, mailbox| letter.to(mailbox))
        .singlepart(SinglePart::plain(text(message)))
}

fn subject(summary: &str) -> String {
    let line = summary.chars().map(|c| if c.is_control() { ' ' } else { c });
    let mut subject: String = "Lagan: ".chars().chain(line.take(LONGEST)).collect();
    if summary.chars().nth(LONGEST).is_some() {
        subject.push('…');
    }
    subject
}

fn text(message: &Message) -> String {
    let mut text = format!(
        "{}\n\n{} of {}, {}\n",
        message.summary,
        message.kind.as_str(),
        message.subject,
        message.at.to_rfc3339_opts(SecondsFormat::Secs, true)
    );
    if !message.data.is_null() {
        // Nothing to be done if that fails, which it does not: a value is always JSON.
        _ = write!(text, "\n{:#}\n", message.data);
    }
    text
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::message::Kind;

    #[test]
    fn a_letter_says_what_happened_and_nothing_in_it_becomes_a_header() {
        let message = Message {
            id: "01ID".to_owned(),
            kind: Kind::RunFailed,
            at: "2026-11-21T12:00:00Z".parse().unwrap(),
            subject: "registries/r".to_owned(),
            summary: format!("ä failed\r\nBcc: x@example.com {}", "x".repeat(300)),
            data: json!({ "run": 7 }),
            likeness: String::new(),
        };
        let ops = "ops@example.com".parse::<Mailbox>().unwrap();
        let others = ["a@example.com", "b@example.com"].map(|text| text.parse().unwrap());
        let letter = of(&message, &ops, &others).unwrap();
        let text = String::from_utf8(letter.formatted()).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        let has = |line: &str| head.lines().any(|found| found.trim_end() == line);
        assert!(has("From: ops@example.com"), "{head}");
        assert!(has("To: a@example.com, b@example.com"), "{head}");
        assert!(has("Date: Sat, 21 Nov 2026 12:00:00 +0000"), "{head}");
        assert!(has("Message-ID: <01ID@example.com>"), "{head}");
        assert!(has("Auto-Submitted: auto-generated"), "{head}");
        assert!(has("MIME-Version: 1.0"), "{head}");
        assert!(head.is_ascii() && !head.contains("\nBcc"), "{head}");
        assert!(head.lines().all(|line| line.len() < 100), "{head}");
        assert!(!body.is_empty());
        assert_eq!(letter.envelope().to().len(), 2);
    }
}
