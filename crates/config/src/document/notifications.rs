//! `notifications:`: who is told what the daemon has to say.

use std::num::NonZeroU16;

use lagan_policy::age::Age;
use url::Url;

use super::email::{self, EmailSettings};
use super::keep::age;
use super::registry::{SecretSource, path, variable};
use crate::decode::{Fields, Schema, all, check_label, choice, mapping, number, one_or_more, text};
use crate::error::{Problems, Read};
use crate::source::Span;
use crate::tree::{Key, Node, Value};

/// Somebody who is told, as the configuration describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReceiverSettings {
    /// Its name.
    pub name: String,
    /// Where it is.
    pub target: ReceiverTarget,
    /// Of what it is told: words of [`EVENTS`], each once.
    pub events: Vec<&'static str>,
    /// How many messages it gets in an hour; `None`: the default.
    pub per_hour: Option<NonZeroU16>,
    /// How long it is not told the same again; `None`: the default.
    pub repeat_after: Option<Age>,
}

/// Where a receiver is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReceiverTarget {
    /// A program that takes CloudEvents.
    Webhook {
        /// Where it is.
        url: UrlSource,
        /// What signs; `None`: nothing does.
        secret: Option<SecretSource>,
    },
    /// A chat with incoming webhooks like those of Slack.
    Slack {
        /// Where its address is, which is a secret.
        url: SecretSource,
    },
    /// People who read mail.
    Email(EmailSettings),
}

/// An address, or where it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum UrlSource {
    /// As it was written: http or https, no credentials.
    Written(String),
    /// Elsewhere, since it is a secret.
    Secret(SecretSource),
}

/// What there is to be told of.
pub const EVENTS: [&str; 10] = [
    "plan_ready",
    "run_done",
    "run_partial",
    "run_failed",
    "run_refused",
    "unhealthy",
    "healthy",
    "reload_refused",
    "rollout_advanced",
    "rollout_fell_back",
];

/// What a receiver is told of that does not say: what somebody should look at.
const USUAL: [&str; 7] = [
    "run_partial",
    "run_failed",
    "run_refused",
    "unhealthy",
    "healthy",
    "reload_refused",
    "rollout_fell_back",
];

pub(crate) const SCHEMA: Schema = Schema {
    what: "a receiver",
    keys: &["webhook", "slack", "email", "events", "per_hour", "repeat_after"],
    later: &[],
};

/// `secret` is known only to be refused with more than "unknown key".
pub(crate) const WEBHOOK: Schema = Schema {
    what: "`webhook`",
    keys: &[
        "url",
        "url_file",
        "url_env",
        "secret_file",
        "secret_env",
        "secret",
    ],
    later: &[],
};

/// `url` is known only to be refused with more than "unknown key".
pub(crate) const SLACK: Schema = Schema {
    what: "`slack`",
    keys: &["url_file", "url_env", "url"],
    later: &[],
};

/// The most messages in an hour.
pub(crate) const MOST: u16 = 3_600;

/// Reads all receivers.
pub(crate) fn decode_all(node: &Node, problems: &mut Problems<'_>) -> Read<Vec<ReceiverSettings>> {
    all(mapping(node, "`notifications`", problems)?, |(key, node)| {
        decode(key, node, problems)
    })
}

fn decode(key: &Key, node: &Node, problems: &mut Problems<'_>) -> Read<ReceiverSettings> {
    let name = check_label(&key.text, key.span, "the name of a receiver", problems);
    let fields = Fields::open(node, key.span, &SCHEMA, problems)?;
    let targets = ["webhook", "slack", "email"].map(|kind| fields.entry(kind));
    let mut targets = targets.into_iter().flatten();
    let target = match (targets.next(), targets.next()) {
        (None, _) => fields.incomplete().and_then(|()| {
            let message = "a receiver has `webhook`, `slack` or `email`";
            Err(problems.report(key.span, message, None))
        }),
        (Some((key, node)), None) => match key.text.as_str() {
            "webhook" => webhook(node, key.span, problems),
            "slack" => slack(node, key.span, problems),
            _ => email::decode(node, key.span, problems).map(ReceiverTarget::Email),
        },
        (Some(_), Some((key, _))) => {
            let message = "a receiver has one of `webhook`, `slack` and `email`";
            Err(problems.report(key.span, message, Some("make two receivers of it".to_owned())))
        }
    };
    let events = fields.optional("events", |node| events(node, problems));
    let per_hour = fields.optional("per_hour", |node| per_hour(node, problems));
    let repeat_after = fields.optional("repeat_after", |node| age(node, problems));
    name?;
    Ok(ReceiverSettings {
        name: key.text.clone(),
        target: target?,
        events: events?.unwrap_or_else(|| USUAL.to_vec()),
        per_hour: per_hour?,
        repeat_after: repeat_after?,
    })
}

fn webhook(node: &Node, place: Span, problems: &mut Problems<'_>) -> Read<ReceiverTarget> {
    let fields = Fields::open(node, place, &WEBHOOK, problems)?;
    let hint = "give `secret_file`, or `secret_env` with the name of a variable";
    if let Some((key, value)) = fields.entry("secret") {
        problems.hide(value.span);
        return Err(problems.report(key.span, "a configuration holds no secret", Some(hint.to_owned())));
    }
    let written = fields.optional("url", |node| url(node, problems));
    let elsewhere = secret(&fields, ["url_file", "url_env"], problems);
    let url = match (written?, elsewhere?) {
        (Some(url), None) => Ok(UrlSource::Written(url)),
        (None, Some(source)) => Ok(UrlSource::Secret(source)),
        (None, None) => {
            let hint = "`url: https://example.com/hook`, or `url_file` where it is a secret";
            Err(fields
                .misspelled("url")
                .unwrap_or_else(|| problems.report(place, "`webhook` has no address", Some(hint.to_owned()))))
        }
        (Some(_), Some(_)) => Err(problems.report(
            place,
            "`webhook` has one of `url`, `url_file` and `url_env`",
            None,
        )),
    };
    let secret = secret(&fields, ["secret_file", "secret_env"], problems);
    Ok(ReceiverTarget::Webhook {
        url: url?,
        secret: secret?,
    })
}

fn slack(node: &Node, place: Span, problems: &mut Problems<'_>) -> Read<ReceiverTarget> {
    let fields = Fields::open(node, place, &SLACK, problems)?;
    let hint = "give `url_file`, or `url_env` with the name of a variable";
    if let Some((key, value)) = fields.entry("url") {
        problems.hide(value.span);
        let message = "the address of a chat's webhook is a secret, and a configuration holds none";
        return Err(problems.report(key.span, message, Some(hint.to_owned())));
    }
    match secret(&fields, ["url_file", "url_env"], problems)? {
        Some(url) => Ok(ReceiverTarget::Slack { url }),
        None => Err(fields
            .misspelled("url_file")
            .or_else(|| fields.misspelled("url_env"))
            .unwrap_or_else(|| problems.report(place, "`slack` has no address", Some(hint.to_owned())))),
    }
}

/// Where a secret is, by its key for a file or that for a variable.
pub(crate) fn secret(
    fields: &Fields<'_>,
    [file, variable_key]: [&str; 2],
    problems: &mut Problems<'_>,
) -> Read<Option<SecretSource>> {
    let of_file = fields.optional(file, |node| path(node, problems).map(SecretSource::File));
    let of_variable = fields.optional(variable_key, |node| {
        variable(node, problems).map(SecretSource::Environment)
    });
    match (of_file?, of_variable?) {
        (Some(_), Some(_)) => {
            let message = format!("there is one of `{file}` and `{variable_key}`, not both");
            Err(problems.report(fields.place(), message, None))
        }
        (file, variable) => Ok(file.or(variable)),
    }
}

fn url(node: &Node, problems: &mut Problems<'_>) -> Read<String> {
    let written = text(node, "a URL", problems)?;
    if written.contains('@') {
        problems.hide(node.span);
    }
    let wrong = match Url::parse(written) {
        Err(error) => format!("the URL cannot be read: {error}"),
        Ok(url) if !matches!(url.scheme(), "http" | "https") => {
            "the URL is neither http nor https".to_owned()
        }
        Ok(url) if !url.username().is_empty() || url.password().is_some() => {
            "the URL holds credentials".to_owned()
        }
        Ok(_) => return Ok(written.to_owned()),
    };
    let hint = "write https://example.com/hook; where it holds a secret, put it into a file for `url_file`";
    Err(problems.report(node.span, wrong, Some(hint.to_owned())))
}

/// Words, or `all`.
fn events(node: &Node, problems: &mut Problems<'_>) -> Read<Vec<&'static str>> {
    if matches!(&node.value, Value::Scalar { text, .. } if text == "all") {
        return Ok(EVENTS.to_vec());
    }
    let choices = EVENTS.map(|event| (event, event));
    let mut events = one_or_more(node, "a list of events, or `all`", problems, |node, problems| {
        choice(node, "an event", &choices, problems)
    })?;
    events.sort_unstable();
    events.dedup();
    Ok(events)
}

fn per_hour(node: &Node, problems: &mut Problems<'_>) -> Read<NonZeroU16> {
    let wanted = format!("a whole number from 1 to {MOST}");
    let messages = number(node, &wanted, problems)?;
    u16::try_from(messages)
        .ok()
        .filter(|messages| *messages <= MOST)
        .and_then(NonZeroU16::new)
        .ok_or_else(|| problems.report(node.span, format!("expected {wanted}, found {messages}"), None))
}
