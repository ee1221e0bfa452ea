//! What an image's configuration blob tells: when it was created, and its labels.

use lagan_model::memory::ConfigFacts;
use lagan_model::{Fact, Labels, Unknown, json};
use serde::Deserialize;

/// The largest configuration blob that is read, in bytes. Of larger ones nothing is known.
pub(crate) const MAX_CONFIG_BYTES: usize = 4 * 1024 * 1024;

#[derive(Deserialize)]
struct Document {
    created: Option<serde_json::Value>,
    config: Option<serde_json::Value>,
}

/// Only what is needed is read, each for itself: a configuration without an architecture, say, or with labels that are
/// none, still tells when it was made.
pub(crate) fn read(config: &[u8]) -> ConfigFacts {
    let Ok(document) = json::read::<Document>(config) else {
        return ConfigFacts::unknown(Unknown::Unreadable);
    };
    ConfigFacts {
        created: match document.created {
            None => Fact::Unknown(Unknown::Missing),
            Some(serde_json::Value::String(text)) => Fact::from_rfc3339(&text),
            Some(_) => Fact::Unknown(Unknown::Unreadable),
        },
        labels: labels(document.config),
    }
}

fn labels(config: Option<serde_json::Value>) -> Fact<Labels> {
    let labels = match config {
        None | Some(serde_json::Value::Null) => return Fact::Known(Labels::new()),
        Some(serde_json::Value::Object(mut config)) => config.remove("Labels"),
        Some(_) => return Fact::Unknown(Unknown::Unreadable),
    };
    match labels {
        None | Some(serde_json::Value::Null) => Fact::Known(Labels::new()),
        Some(labels) => match serde_json::from_value(labels) {
            Ok(labels) => Fact::Known(labels),
            Err(_) => Fact::Unknown(Unknown::Unreadable),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_configuration_says_when_it_was_made_or_why_that_is_unknown() {
        let created = |text: &[u8]| read(text).created;
        let (open, close) = ("[".repeat(100_000), "]".repeat(100_000));
        let deep = format!(r#"{{"created":"2026-01-02T03:04:05Z","history":{open}{close}}}"#);
        assert_eq!(created(deep.as_bytes()), Fact::Unknown(Unknown::Unreadable));
        assert!(
            created(br#"{"created":"2026-01-02T03:04:05Z","os":7}"#)
                .known()
                .is_some()
        );
        assert_eq!(created(b"{}"), Fact::Unknown(Unknown::Missing));
        assert_eq!(created(br#"{"created":null}"#), Fact::Unknown(Unknown::Missing));
        assert_eq!(created(br#"{"created":7}"#), Fact::Unknown(Unknown::Unreadable));
        assert_eq!(created(br#"{"created":"#), Fact::Unknown(Unknown::Unreadable));
    }

    #[test]
    fn labels_are_read_or_unknown_and_never_guessed() {
        let labels = |text: &[u8]| read(text).labels;
        let tier = Labels::from([("tier".to_owned(), "scratch".to_owned())]);
        assert_eq!(
            labels(br#"{"config":{"Labels":{"tier":"scratch"}}}"#),
            Fact::Known(tier)
        );
        for none in [
            "{}",
            r#"{"config":null}"#,
            r#"{"config":{}}"#,
            r#"{"config":{"Labels":null}}"#,
        ] {
            assert_eq!(labels(none.as_bytes()), Fact::Known(Labels::new()), "{none}");
        }
        for unreadable in [
            r#"{"config":7}"#,
            r#"{"config":{"Labels":["tier"]}}"#,
            r#"{"config":{"Labels":{"tier":7}}}"#,
            "{",
        ] {
            assert_eq!(
                labels(unreadable.as_bytes()),
                Fact::Unknown(Unknown::Unreadable),
                "{unreadable}"
            );
        }
    }

    #[test]
    fn labels_that_are_none_do_not_hide_when_an_image_was_made() {
        let facts = read(br#"{"created":"2026-01-02T03:04:05Z","config":{"Labels":7}}"#);
        assert!(facts.created.known().is_some() && facts.labels.known().is_none());
    }
}
