use std::time::Duration;

use chrono::TimeDelta;
use lagan_health::{Share, Targets};

use super::lines;
use crate::Config;

fn read(health: &str) -> Result<Targets, Vec<String>> {
    let read = Config::read("lagan.yaml", format!("health: {health}\n"));
    read.map(|config| config.health).map_err(|errors| lines(&errors))
}

#[test]
fn what_is_not_said_has_its_default() {
    assert_eq!(
        Config::read("lagan.yaml", "registries: {r: {url: 'http://r'}}")
            .unwrap()
            .health,
        Targets::default()
    );
    let health = read("{success_rate: 99.5%, latency: 750ms, window: 7d, alert_below: 90}").unwrap();
    let expected = Targets {
        window: TimeDelta::days(7),
        success_rate: Share::hundredths(9_950).unwrap(),
        latency: Duration::from_millis(750),
        alert_below: 90,
        ..Targets::default()
    };
    assert_eq!(health, expected);
    let health = read("{latency: 1min30s, error_growth: 0%, saturation: '12.34%'}").unwrap();
    assert_eq!(health.latency, Duration::from_secs(90));
    assert_eq!(health.error_growth.to_string(), "0%");
    assert_eq!(health.saturation.to_string(), "12.34%");
}

#[test]
fn what_cannot_be_expected_is_refused_where_it_stands() {
    const PERCENT: &str = "[write a number with up to two decimals, and its sign, as in `99.5%`]";
    for (health, errors) in [
        (
            "{window: 59min}",
            &["1:18 `window` is from an hour to 31 days"][..],
        ),
        ("{window: 32d}", &["1:18 `window` is from an hour to 31 days"]),
        (
            "{success_rate: 0.99, error_growth: 101%, saturation: -1%}",
            &[
                "1:24 `0.99` is not from 0% to 100% PERCENT",
                "1:44 `101%` is not from 0% to 100% PERCENT",
                "1:62 `-1%` is not from 0% to 100% PERCENT",
            ],
        ),
        (
            "{saturation: 1.234%}",
            &["1:22 `1.234%` is not from 0% to 100% PERCENT"],
        ),
        ("{latency: 0ms}", &["1:19 no request is answered in no time"]),
        ("{alert_below: 101}", &["1:23 a score is from 0 to 100, not 101"]),
        (
            "{latncy: 2s}",
            &["1:10 unknown key `latncy` in `health` [did you mean `latency`?]"],
        ),
        ("[]", &["1:9 `health` is a mapping, found a list"]),
    ] {
        let expected: Vec<_> = errors
            .iter()
            .map(|error| error.replace("PERCENT", PERCENT))
            .collect();
        assert_eq!(read(health).unwrap_err(), expected, "{health}");
    }
}
