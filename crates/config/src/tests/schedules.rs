use lagan_scheduler::Zone;

use super::lines;
use crate::Config;

fn read(schedule: &str) -> Result<Config, Vec<String>> {
    let text = format!(
        "registries: {{r: {{url: 'http://r'}}}}\npolicies:\n  p:\n    repositories: a\n    rules: [{{select: {{tags: a}}, keep: all}}]\n    schedule: {schedule}\n  q:\n    repositories: a\n    rules: [{{select: {{tags: a}}, keep: all}}]\n"
    );
    Config::read("lagan.yaml", text).map_err(|errors| lines(&errors))
}

#[test]
fn a_policy_has_a_schedule_or_none() {
    let config = read("{cron: '0 3 * * *', timezone: Europe/Berlin, jitter: 5min}").unwrap();
    let schedules = &config.registries[0].schedules;
    let names: Vec<_> = schedules.keys().map(ToString::to_string).collect();
    assert_eq!(names, ["p"]);
    let schedule = schedules.values().next().unwrap();
    assert_eq!(schedule.to_string(), "0 3 * * * Europe/Berlin");
    assert_eq!(schedule.jitter, chrono::TimeDelta::minutes(5));
    let daily = read("{cron: '@daily'}").unwrap();
    assert_eq!(
        daily.registries[0].schedules.values().next().unwrap().zone,
        Zone::UTC
    );
}

#[test]
fn a_schedule_is_no_part_of_what_a_policy_decides() {
    let [one, other] = ["@daily", "@hourly"].map(|cron| {
        let config = read(&format!("{{cron: '{cron}'}}")).unwrap();
        let policies = &config.registries[0].policies;
        policies.policies[0].sha256(&policies.versions)
    });
    assert_eq!(one, other);
}

fn frozen(freeze: &str, of_policy: &str) -> Result<Config, Vec<String>> {
    let text = format!(
        "freeze: {freeze}\nregistries: {{r: {{url: 'http://r'}}}}\npolicies:\n  p:\n    repositories: a\n    rules: [{{select: {{tags: a}}, keep: all}}]\n    freeze: {of_policy}\n"
    );
    Config::read("lagan.yaml", text).map_err(|errors| lines(&errors))
}

#[test]
fn a_freeze_is_of_days_of_times_or_comes_again() {
    let time = |text: &str| text.parse().unwrap();
    let config = frozen(
        "[{from: 2026-12-20, until: 2027-01-03, timezone: Europe/Berlin, why: the year ends}]",
        "[{cron: '0 18 * * FRI', for: 62h}, {from: 2026-11-21T10:00, until: 2026-11-21T11:30}]",
    )
    .unwrap();
    let freeze = &config.freeze[0];
    assert_eq!(freeze.why.as_deref(), Some("the year ends"));
    // Its last day is in it.
    let end = Some(time("2027-01-03T23:00:00Z"));
    assert_eq!(freeze.until(time("2027-01-03T22:59:59Z")), end);
    let of_policy = config.registries[0].freezes.values().next().unwrap();
    assert_eq!(
        of_policy[0].until(time("2026-11-21T00:00:00Z")),
        Some(time("2026-11-23T08:00:00Z"))
    );
    assert_eq!(
        of_policy[1].until(time("2026-11-21T10:00:00Z")),
        Some(time("2026-11-21T11:30:00Z"))
    );
}

#[test]
fn what_is_no_freeze_is_refused_where_it_stands() {
    for (freeze, errors) in [
        (
            "[{why: x}]",
            &["1:10 a freeze has `from` and `until`, or `cron` and `for`"][..],
        ),
        (
            "[{from: 2026-12-20, for: 2d}]",
            &["1:10 a freeze has `from` and `until`, or `cron` and `for`"],
        ),
        ("[{from: 2026-12-20}]", &["1:10 a freeze needs `until`"]),
        (
            "[{from: 2026-12-20, until: 2026-12-19}]",
            &["1:10 the freeze ends before it begins"],
        ),
        (
            "[{from: tomorrow, until: 2026-02-30}]",
            &[
                "1:17 `tomorrow` is neither a day nor a time [a day reads 2026-12-20, a time 2026-12-20T18:00, on the clocks of `timezone`]",
                "1:34 `2026-02-30` is neither a day nor a time [a day reads 2026-12-20, a time 2026-12-20T18:00, on the clocks of `timezone`]",
            ],
        ),
    ] {
        let found = frozen(freeze, "[{cron: '@daily', for: 1h}]")
            .map(drop)
            .unwrap_err();
        assert_eq!(found, errors, "{freeze}");
    }
}

#[test]
fn what_is_no_schedule_is_refused_where_it_stands() {
    for (schedule, errors) in [
        (
            "{timezone: UTC}",
            &["6:5 `schedule` needs `cron` [`schedule: {cron: \"0 3 * * *\", timezone: Europe/Berlin}`]"][..],
        ),
        (
            "{cron: '0 3 * *'}",
            &[
                "6:22 `0 3 * *`: a cron expression has 5 fields, or 6 with the second first, and not 4 [\"0 3 * * *\" is three o'clock, every day]",
            ],
        ),
        (
            "{cron: '0 25 * * *', timezone: Europe/Berln, jitter: 2d}",
            &[
                "6:22 \"25\" in the field \"hour\": \"25\" is not one of 0 to 23",
                "6:46 \"Europe/Berln\" is no time zone of the IANA database [did you mean `Europe/Berlin`?]",
                "6:68 `jitter` is at most a day",
            ],
        ),
        (
            "{cron: '0 0 31 2,4 *'}",
            &[
                "6:22 `0 0 31 2,4 *`: it never fires: no month that it names has such a day [the last day of every month is the day before its 1st]",
            ],
        ),
        (
            "{cron: '@daily', every: 1d}",
            &["6:32 unknown key `every` in `schedule` [`schedule` has cron, timezone, jitter]"],
        ),
    ] {
        let found = read(schedule).map(drop).unwrap_err();
        assert_eq!(found, errors, "{schedule}");
    }
}
