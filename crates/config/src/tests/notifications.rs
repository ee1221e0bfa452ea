use std::path::PathBuf;

use super::lines;
use crate::{Config, EVENTS, ReceiverSettings, ReceiverTarget, SecretSource, UrlSource};

fn read(notifications: &str) -> Result<Vec<ReceiverSettings>, Vec<String>> {
    let read = Config::read("lagan.yaml", format!("notifications: {notifications}\n"));
    read.map(|config| config.notifications)
        .map_err(|errors| lines(&errors))
}

#[test]
fn a_receiver_is_a_webhook_or_a_chat_and_says_of_what_it_is_told() {
    let receivers = read(
        "{ops: {webhook: {url: 'https://example.com/hook?a=b', secret_env: HOOK_SECRET}, events: all, per_hour: 5, \
         repeat_after: 2h}, chat: {slack: {url_file: /run/secrets/slack}, events: [run_failed, run_failed]}, hidden: \
         {webhook: {url_env: HOOK}, events: healthy}}",
    )
    .unwrap();
    let names: Vec<_> = receivers.iter().map(|receiver| receiver.name.as_str()).collect();
    assert_eq!(names, ["ops", "chat", "hidden"]);
    assert_eq!(
        receivers[0].target,
        ReceiverTarget::Webhook {
            url: UrlSource::Written("https://example.com/hook?a=b".to_owned()),
            secret: Some(SecretSource::Environment("HOOK_SECRET".to_owned())),
        }
    );
    assert_eq!(receivers[0].events, EVENTS);
    assert_eq!(receivers[0].per_hour.map(u16::from), Some(5));
    assert_eq!(
        receivers[0]
            .repeat_after
            .as_ref()
            .map(ToString::to_string)
            .as_deref(),
        Some("2h")
    );
    let url = SecretSource::File(PathBuf::from("/run/secrets/slack"));
    assert_eq!(receivers[1].target, ReceiverTarget::Slack { url });
    assert_eq!(receivers[1].events, ["run_failed"]);
    assert_eq!(receivers[2].events, ["healthy"]);
    let usual = read("{a: {slack: {url_env: A}}}").unwrap();
    assert!(!usual[0].events.contains(&"run_done"));
    assert!(usual[0].events.contains(&"reload_refused"));
}

#[test]
fn what_is_no_receiver_is_refused_where_it_stands_and_no_secret_is_shown() {
    for (notifications, errors) in [
        ("{a: {}}", &["1:17 a receiver has `webhook` or `slack`"][..]),
        (
            "{a: {webhok: {url: 'http://a'}}}",
            &["1:21 unknown key `webhok` in a receiver [did you mean `webhook`?]"],
        ),
        (
            "{a: {webhook: {url: 'http://a'}, slack: {url_env: A}}}",
            &["1:49 a receiver has one of `webhook` and `slack`, not both [make two receivers of it]"],
        ),
        (
            "{a: {slack: {url: 'https://hooks.slack.com/services/T/B/secret'}}}",
            &[
                "1:29 the address of a chat's webhook is a secret, and a configuration holds none [give `url_file`, or `url_env` with the name of a variable]",
            ],
        ),
        (
            "{a: {webhook: {url: 'http://a', secret: hunter2}}}",
            &[
                "1:48 a configuration holds no secret [give `secret_file`, or `secret_env` with the name of a variable]",
            ],
        ),
        (
            "{a: {webhook: {secret_env: A}}}",
            &[
                "1:21 `webhook` has no address [`url: https://example.com/hook`, or `url_file` where it is a secret]",
            ],
        ),
        (
            "{a: {webhook: {url: 'ftp://a', secret_file: s, secret_env: B}}}",
            &[
                "1:36 the URL is neither http nor https [write https://example.com/hook; where it holds a secret, put it into a file for `url_file`]",
            ],
        ),
        (
            "{a: {slack: {url_file: s, url_env: B}}}",
            &["1:21 there is one of `url_file` and `url_env`, not both"],
        ),
        (
            "{a: {slack: {url_env: A}, events: [run_finished], per_hour: 0}}",
            &[
                "1:51 `run_finished` is not one of plan_ready, run_done, run_partial, run_failed, run_refused, unhealthy, healthy, reload_refused",
                "1:76 expected a whole number from 1 to 3600, found 0",
            ],
        ),
        (
            "{a: {email: {}}}",
            &["1:21 `email` is not supported by this version"],
        ),
    ] {
        let found = read(notifications).unwrap_err();
        assert_eq!(found, errors, "{notifications}");
    }
    let text = "notifications: {a: {slack: {url: 'https://hooks.slack.com/services/T/B/secret'}}}\n";
    let shown = Config::read("lagan.yaml", text).unwrap_err().to_string();
    assert!(!shown.contains("services"), "{shown}");
}
