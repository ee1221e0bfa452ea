use std::path::PathBuf;

use super::lines;
use crate::{
    Config, EVENTS, EmailSettings, EmailTls, ReceiverSettings, ReceiverTarget, SecretSource, UrlSource,
};

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
fn mail_goes_encrypted_to_the_usual_port_unless_said() {
    let receivers = read(
        "{a: {email: {server: mail.example.com, username: lagan, password_file: /run/secrets/mail, from: \
         lagan@example.com, to: [ops@example.com, on.call+lagan@example.com]}}, b: {email: {server: 127.0.0.1, tls: \
         none, from: lagan@localhost, to: root@localhost, username: u, password_env: P}}, c: {email: {server: mail, tls: \
         starttls, port: 2525, ca_file: /ca.pem, from: a@b, to: c@d}}}",
    )
    .unwrap();
    let email = |at: usize| match &receivers[at].target {
        ReceiverTarget::Email(email) => email.clone(),
        other => panic!("{other:?}"),
    };
    assert_eq!(
        email(0),
        EmailSettings {
            server: "mail.example.com".to_owned(),
            port: 465,
            tls: EmailTls::Implicit,
            ca_file: None,
            login: Some((
                "lagan".to_owned(),
                SecretSource::File(PathBuf::from("/run/secrets/mail"))
            )),
            from: "lagan@example.com".to_owned(),
            to: vec![
                "ops@example.com".to_owned(),
                "on.call+lagan@example.com".to_owned()
            ],
        }
    );
    assert_eq!((email(1).port, email(1).tls), (25, EmailTls::Off));
    assert_eq!((email(2).port, email(2).tls), (2525, EmailTls::StartTls));
    assert_eq!(email(2).ca_file, Some(PathBuf::from("/ca.pem")));
}

#[test]
fn what_is_no_receiver_is_refused_where_it_stands_and_no_secret_is_shown() {
    for (notifications, errors) in [
        (
            "{a: {}}",
            &["1:17 a receiver has `webhook`, `slack` or `email`"][..],
        ),
        (
            "{a: {webhok: {url: 'http://a'}}}",
            &["1:21 unknown key `webhok` in a receiver [did you mean `webhook`?]"],
        ),
        (
            "{a: {webhook: {url: 'http://a'}, slack: {url_env: A}}}",
            &["1:49 a receiver has one of `webhook`, `slack` and `email` [make two receivers of it]"],
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
                "1:51 `run_finished` is not one of plan_ready, run_done, run_partial, run_failed, run_refused, unhealthy, healthy, reload_refused, rollout_advanced, rollout_fell_back",
                "1:76 expected a whole number from 1 to 3600, found 0",
            ],
        ),
        (
            "{a: {email: {server: 'mail.example.com:25', from: Ops <ops@example.com>, to: [a@example.com, b]}}}",
            &[
                "1:37 this is no name of a server [write `server: mail.example.com`, and the port as `port`]",
                "1:66 this is no address [write the bare address, as `ops@example.com`]",
                "1:109 this is no address [write the bare address, as `ops@example.com`]",
            ],
        ),
        (
            "{a: {email: {server: m, from: a@b, to: a@b, password: hunter2}}}",
            &[
                "1:60 a configuration holds no secret [give `password_file`, or `password_env` with the name of a variable]",
            ],
        ),
        (
            "{a: {email: {server: m, from: a@b, to: a@b, username: lagan}}}",
            &[
                "1:21 `email` has a user name and no password [give `password_file`, or `password_env` with the name of a variable]",
            ],
        ),
        (
            "{a: {email: {server: m, from: a@b, to: a@b, password_file: p}}}",
            &["1:21 `email` has a password and no `username`"],
        ),
        (
            "{a: {email: {server: m, tls: none, from: a@b, to: a@b, username: lagan, password_file: p}}}",
            &[
                "1:21 a password is not sent to another machine without encryption [leave `tls` out, or write `tls: starttls`]",
            ],
        ),
        (
            "{a: {email: {server: m, tls: ssl, port: 0, from: a@b, to: a@b}}}",
            &[
                "1:45 `ssl` is not one of implicit, starttls, none",
                "1:56 expected a port from 1 to 65535, found 0",
            ],
        ),
    ] {
        let found = read(notifications).unwrap_err();
        assert_eq!(found, errors, "{notifications}");
    }
    let text = "notifications: {a: {slack: {url: 'https://hooks.slack.com/services/T/B/secret'}}}\n";
    let shown = Config::read("lagan.yaml", text).unwrap_err().to_string();
    assert!(!shown.contains("services"), "{shown}");
}
