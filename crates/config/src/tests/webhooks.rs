use std::path::PathBuf;

use chrono::TimeDelta;

use super::lines;
use crate::{Config, SecretSource, WebhookSettings};

fn read(webhook: &str) -> Result<Option<WebhookSettings>, Vec<String>> {
    let text = format!("registries: {{r: {{url: 'http://r', webhook: {webhook}}}}}\n");
    let config = Config::read("lagan.yaml", text).map_err(|errors| lines(&errors))?;
    Ok(config.registries[0].webhook.clone())
}

#[test]
fn a_registry_tells_what_changes_where_its_configuration_says_so() {
    let file = SecretSource::File(PathBuf::from("/run/secrets/hook"));
    assert_eq!(
        read("{secret_file: /run/secrets/hook}").unwrap(),
        Some(WebhookSettings {
            secret: file,
            full_pass: TimeDelta::days(1)
        })
    );
    assert_eq!(
        read("{secret_env: HOOK, full_pass: 31d}").unwrap(),
        Some(WebhookSettings {
            secret: SecretSource::Environment("HOOK".to_owned()),
            full_pass: TimeDelta::days(31)
        })
    );
    let nothing = Config::read("lagan.yaml", "registries: {r: {url: 'http://r'}}\n").unwrap();
    assert_eq!(nothing.registries[0].webhook, None);
}

#[test]
fn a_webhook_without_a_secret_of_its_own_is_refused_where_it_stands() {
    let hint = "[give `secret_file`, or `secret_env` with the name of a variable]";
    for (webhook, error) in [
        ("{}", format!("1:35 `webhook` has no secret {hint}")),
        (
            "{secret: s3cr3t}",
            format!("1:45 a configuration holds no secret {hint}"),
        ),
        (
            "{secret_fil: a}",
            "1:45 unknown key `secret_fil` in `webhook` [did you mean `secret_file`?]".to_owned(),
        ),
        (
            "{secret_file: a, secret_env: B}",
            "1:35 there is one of `secret_file` and `secret_env`, not both".to_owned(),
        ),
        (
            "{secret_file: a, full_pass: 32d}",
            "1:72 `full_pass` is at most 31 days".to_owned(),
        ),
    ] {
        assert_eq!(read(webhook).unwrap_err(), [error], "{webhook}");
    }
    let shown = Config::read(
        "c",
        "registries: {r: {url: 'http://r', webhook: {secret: s3cr3t}}}\n",
    )
    .unwrap_err();
    assert!(!shown.to_string().contains("s3cr3t"), "{shown}");
}
