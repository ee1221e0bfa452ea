use lagan_policy::{Channel, Clock, KeepLine, Mode, Order, Per, Policy, ProtectionPattern, VersionTable};

use super::lines;
use crate::{ConfigErrors, OneLiner, one_liner};

/// What arguments of a shell make: repositories, and `--option value` pairs.
fn read(words: &[&str]) -> Result<Policy, ConfigErrors> {
    let (mut repositories, mut select, mut keep, mut protect) = (vec![], vec![], vec![], vec![]);
    let mut allow_empty_repository = false;
    let mut words = words.iter();
    while let Some(word) = words.next() {
        let mut value = || (*words.next().unwrap()).to_owned();
        match *word {
            "--select" => select.push(value()),
            "--keep" => keep.push(value()),
            "--protect" => protect.push(value()),
            "--allow-empty-repository" => allow_empty_repository = true,
            repository => repositories.push(repository.to_owned()),
        }
    }
    one_liner(&OneLiner {
        repositories: &repositories,
        select: &select,
        keep: &keep,
        protect: &protect,
        allow_empty_repository,
        versions: &VersionTable::default(),
    })
}

fn accepted(words: &[&str]) -> Policy {
    read(words).unwrap_or_else(|errors| panic!("{errors}"))
}

#[test]
fn the_documented_one_liner_keeps_the_newest_ten_prereleases() {
    let policy = accepted(&[
        "team/*",
        "--select",
        "channel=prerelease",
        "--keep",
        "last=10,by=version",
    ]);
    assert_eq!(policy.mode, Mode::DryRun);
    assert!(policy.names(&"team/app".parse().unwrap()));
    let [rule] = policy.rules.as_slice() else {
        panic!("{policy:?}")
    };
    assert!(rule.select.channel.unwrap().contains(Channel::Rc));
    assert_eq!(
        rule.keep.lines,
        [KeepLine::Last {
            count: 10,
            by: Order::Version,
            per: Per::Variant
        }]
    );
}

#[test]
fn a_condition_takes_its_whole_value_and_lists_grow() {
    let policy = accepted(&[
        "a",
        "--select",
        "version=>=1.0.0, <2.0.0",
        "--select",
        "tags={a,b}-*",
        "--select",
        "tags=1.10",
        "--select",
        "exclude=null",
        "--select",
        r"regex=^(?<b>.*)=\d$",
        "--select",
        "channel=rc",
        "--select",
        "channel=beta",
        "--keep",
        "last=1,by=created,per=capture:b",
    ]);
    let select = &policy.rules[0].select;
    assert_eq!(select.version.as_ref().unwrap().as_str(), ">=1.0.0, <2.0.0");
    assert_eq!(
        select.tags.iter().map(ToString::to_string).collect::<Vec<_>>(),
        ["{a,b}-*", "1.10"]
    );
    assert_eq!(select.exclude[0].as_str(), "null");
    assert_eq!(select.regex.as_ref().unwrap().as_str(), r"^(?<b>.*)=\d$");
    assert_eq!(select.channel.unwrap().to_string(), "rc, beta");
}

#[test]
fn lines_to_keep_add_up() {
    let policy = accepted(&[
        "a",
        "--select",
        "tags=*",
        "--keep",
        "last=5,by=pushed,within=pulled:30d",
        "--keep",
        "within=created:2w",
    ]);
    let within = |clock, age: &str| KeepLine::Within {
        clock,
        age: age.parse().unwrap(),
    };
    assert_eq!(
        policy.rules[0].keep.lines,
        [
            KeepLine::Last {
                count: 5,
                by: Order::Clock(Clock::Pushed),
                per: Per::Repository
            },
            within(Clock::Pulled, "30d"),
            within(Clock::Created, "2w"),
        ]
    );
    assert_eq!(
        accepted(&["a", "--select", "tags=*", "--keep", "all"]).rules[0]
            .keep
            .lines,
        [KeepLine::All]
    );
    let none = accepted(&[
        "a",
        "--select",
        "tags=*",
        "--keep",
        "none",
        "--allow-empty-repository",
    ]);
    assert!(none.rules[0].keep.lines.is_empty() && none.rules[0].allow_empty_repository);
}

#[test]
fn a_protection_is_a_glob_or_one_condition() {
    let policy = accepted(&[
        "a",
        "--select",
        "tags=*",
        "--keep",
        "all",
        "--protect",
        "*-keep",
        "--protect",
        "regex=v[0-9]+",
        "--protect",
        "channel=stable",
    ]);
    let patterns: Vec<_> = policy
        .protect
        .iter()
        .map(|protection| &protection.pattern)
        .collect();
    assert!(matches!(
        patterns.as_slice(),
        [
            ProtectionPattern::Tags(_),
            ProtectionPattern::Regex(_),
            ProtectionPattern::Channel(_),
        ]
    ));
}

#[test]
fn wrong_arguments_are_all_named() {
    for (words, errors) in [
        (
            vec![],
            vec![
                "1:1 a policy needs a glob over repositories",
                "1:1 a policy needs `--select`, as in `--select channel=prerelease`",
                "1:1 a policy needs `--keep`, as in `--keep last=10,by=version`",
            ],
        ),
        (
            vec!["a[", "--select", "rc", "--keep", "within=created:1m"],
            vec![
                "1:1 not a glob: unclosed character class; missing ']'",
                "2:10 `rc` is no condition [did you mean `channel=rc`?]",
                "3:23 `1m` cannot be read: `m` is ambiguous: write `min` for minutes, or days for months",
            ],
        ),
        (
            vec![
                "a", "--select", "regex=a", "--select", "regex=b", "--select", "tagz=a", "--keep", "all",
            ],
            vec![
                "3:10 `regex` is given twice",
                "4:10 unknown key `tagz` in `select` [did you mean `tags`?]",
            ],
        ),
        (
            vec!["a", "--select", "exclude=a", "--keep", "10"],
            vec![
                "2:10 `exclude` alone selects nothing: it only narrows [add `--select tags=*` to begin with every tag]",
                "3:8 `10` of what order? [write `--keep last=10,by=version`]",
            ],
        ),
        (
            vec!["a", "--select", "tags=a", "--keep", "last=3,,by"],
            vec![
                "3:15 something is missing at this comma",
                "3:16 `by` has no value [a line reads KEY=VALUE, with last, by, per, within, daily, weekly, monthly, yearly, timezone, unless_older_than]",
            ],
        ),
        (
            vec!["a", "--select", "tags=a", "--keep", "last=3,by=name,last=4"],
            vec!["3:23 `last` is given twice [another `--keep` keeps besides]"],
        ),
        (
            vec!["a", "--select", "tags=a", "--keep", "within=30d"],
            vec!["3:15 `30d` by which clock? [name the clock, as in `--keep within=created:30d`]"],
        ),
        (
            vec!["a", "--select", "tags=a", "--keep", "none"],
            vec![
                "3:8 this rule can leave a repository empty \
             [keep at least one, as with `--keep last=1,by=version`, or say `--allow-empty-repository`]",
            ],
        ),
        (
            vec![
                "a",
                "--select",
                "tags=a",
                "--keep",
                "none",
                "--keep",
                "last=1,by=name",
            ],
            vec!["3:8 `none` stands alone: there are other lines to keep"],
        ),
        (
            vec!["a", "--select", "tags=a", "--keep", "last=0,by=name"],
            vec!["3:13 the last 0 keep nothing [say `--keep none` if nothing is to be kept]"],
        ),
        (
            vec![
                "a",
                "--select",
                "tags=a",
                "--keep",
                "all",
                "--protect",
                "regex=(",
                "--protect",
                "foo=bar",
            ],
            vec![
                "4:17 not a regular expression: unclosed group",
                "5:11 unknown key `foo` in a protection [a protection has tags, regex, channel, labels, signed, until, why]",
            ],
        ),
    ] {
        assert_eq!(lines(&read(&words).unwrap_err()), errors, "{words:?}");
    }
}

#[test]
fn an_error_shows_its_argument_with_a_caret() {
    let errors = read(&["te\nam[", "--select", "channel=prerelase", "--protect", "a"]).unwrap_err();
    assert_eq!(
        errors.to_string(),
        "\
error: the command line: not a glob: unclosed character class; missing ']'
  | te\\nam[
  | ^^^^^^^

error: --select: \"prerelase\" is none of prerelease, stable, rc, beta, alpha, nightly, floating, commit
  | --select channel=prerelase
  |                  ^^^^^^^^^
hint: did you mean `prerelease`?

error: the command line: a policy needs `--keep`, as in `--keep last=10,by=version`
"
    );
}
