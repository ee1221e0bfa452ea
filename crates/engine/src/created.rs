//! When an image was created, from its configuration blob.

use lagan_model::{Fact, Time, Unknown, json};
use serde::Deserialize;

/// The largest configuration blob that is read, in bytes. Larger ones are not read: their image's time is unknown.
pub(crate) const MAX_CONFIG_BYTES: usize = 4 * 1024 * 1024;

#[derive(Deserialize)]
struct ImageConfig {
    created: Option<String>,
}

/// The `created` field of an image configuration. Only what it is needed for is read: a configuration without
/// an architecture, say, still tells when it was made.
pub(crate) fn created(config: &[u8]) -> Fact<Time> {
    match json::read::<ImageConfig>(config) {
        Ok(ImageConfig { created: Some(text) }) => Fact::from_rfc3339(&text),
        Ok(ImageConfig { created: None }) => Fact::Unknown(Unknown::Missing),
        Err(_) => Fact::Unknown(Unknown::Unreadable),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_configuration_says_when_it_was_made_or_why_that_is_unknown() {
        assert!(
            created(br#"{"created":"2026-01-02T03:04:05Z","os":7}"#)
                .known()
                .is_some()
        );
        assert_eq!(created(b"{}"), Fact::Unknown(Unknown::Missing));
        assert_eq!(created(br#"{"created":null}"#), Fact::Unknown(Unknown::Missing));
        assert_eq!(created(br#"{"created":7}"#), Fact::Unknown(Unknown::Unreadable));
        assert_eq!(created(br#"{"created":"#), Fact::Unknown(Unknown::Unreadable));
        let (open, close) = ("[".repeat(100_000), "]".repeat(100_000));
        let deep = format!(r#"{{"created":"2026-01-02T03:04:05Z","history":{open}{close}}}"#);
        assert_eq!(created(deep.as_bytes()), Fact::Unknown(Unknown::Unreadable));
    }
}
