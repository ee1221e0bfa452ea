//! `webhook:` of a registry: what it tells the daemon when something changes in it.

use chrono::TimeDelta;

use super::keep::age;
use super::notifications::secret;
use super::registry::SecretSource;
use crate::decode::{Fields, Schema};
use crate::error::{Problems, Read};
use crate::source::Span;
use crate::tree::Node;

/// What a registry tells, and how far that is relied on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WebhookSettings {
    /// What it has to show.
    pub secret: SecretSource,
    /// Everything is read at least this often, whatever it tells: more than nothing, at most 31 days.
    pub full_pass: TimeDelta,
}

/// `secret` is known only to be refused with more than "unknown key".
pub(crate) const SCHEMA: Schema = Schema {
    what: "`webhook`",
    keys: &["secret_file", "secret_env", "full_pass", "secret"],
    later: &[],
};

const KEYS: [&str; 2] = ["secret_file", "secret_env"];

/// Once a day, unless said.
const FULL_PASS: TimeDelta = TimeDelta::days(1);

/// What was not told is seen after a month at the latest.
const LONGEST: TimeDelta = TimeDelta::days(31);

/// Reads `webhook:` of a registry.
pub(crate) fn decode(node: &Node, place: Span, problems: &mut Problems<'_>) -> Read<WebhookSettings> {
    let fields = Fields::open(node, place, &SCHEMA, problems)?;
    let hint = "give `secret_file`, or `secret_env` with the name of a variable".to_owned();
    if let Some((key, value)) = fields.entry("secret") {
        problems.hide(value.span);
        return Err(problems.report(key.span, "a configuration holds no secret", Some(hint)));
    }
    let full_pass = fields.optional("full_pass", |node| {
        let often = age(node, problems)?.delta();
        if often > LONGEST {
            return Err(problems.report(node.span, "`full_pass` is at most 31 days", None));
        }
        Ok(often)
    });
    let secret = match secret(&fields, KEYS, problems)? {
        Some(secret) => Ok(secret),
        None => Err(KEYS
            .into_iter()
            .find_map(|key| fields.misspelled(key))
            .unwrap_or_else(|| problems.report(place, "`webhook` has no secret", Some(hint)))),
    };
    Ok(WebhookSettings {
        secret: secret?,
        full_pass: full_pass?.unwrap_or(FULL_PASS),
    })
}
