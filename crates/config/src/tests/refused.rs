use super::lines;
use crate::{Config, PolicyFile};

mod rules;

const QUOTE_IT: &str =
    "put quotes around a pattern that begins with `*`, `&`, `!`, `[` or `{`, as in '*-rc.*'";
const ORDERS: &str = "version, semver, pushed, pulled, created, observed, name";
const EMPTYABLE: &str =
    "keep at least one, as with `last: 1` and `by`, or say `allow_empty_repository: true` in the rule";

/// The errors of a policy whose text this is.
fn of_policy(text: &str) -> Vec<String> {
    match PolicyFile::read("p.yaml", text, "p") {
        Ok(file) => panic!("{text:?} was accepted: {:?}", file.policies),
        Err(errors) => lines(&errors),
    }
}

/// The errors of a configuration whose text this is.
fn of_config(text: &str) -> Vec<String> {
    match Config::read("lagan.yaml", text) {
        Ok(config) => panic!("{text:?} was accepted: {:?}", config.registries),
        Err(errors) => lines(&errors),
    }
}

fn check(read: impl Fn(&str) -> Vec<String>, cases: &[(&str, &[&str])]) {
    for (text, errors) in cases {
        let expected: Vec<String> = errors
            .iter()
            .map(|error| {
                let error = error.replace("QUOTE", QUOTE_IT).replace("ORDERS", ORDERS);
                error.replace("EMPTYABLE", EMPTYABLE)
            })
            .collect();
        assert_eq!(read(text), expected, "{text}");
    }
}

#[test]
fn rules_and_policies() {
    check(
        of_policy,
        &[
            (
                "rules: []\n",
                &[
                    "1:1 a policy file needs `repositories` [`repositories: [\"team/*\"]` names what is directly under team]",
                    "1:8 the list is empty; expected a list of rules",
                ],
            ),
            ("repositories: a\n", &["1:1 a policy file needs `rules`"]),
            (
                "reposiotries: a\nrules: x\n",
                &[
                    "1:1 unknown key `reposiotries` in a policy file [did you mean `repositories`?]",
                    "2:8 expected a list of rules, found `x`",
                ],
            ),
            (
                "repositories: a\nrules:\n- {}\n- name: x\n  allow_empty_repository: yes\n",
                &[
                    "3:3 a rule needs `select` [`select: {channel: prerelease}` selects all prereleases]",
                    "3:3 a rule needs `keep` [`keep: {last: 10, by: version}` keeps the newest ten]",
                    "4:3 a rule needs `select` [`select: {channel: prerelease}` selects all prereleases]",
                    "4:3 a rule needs `keep` [`keep: {last: 10, by: version}` keeps the newest ten]",
                    "5:27 expected true or false, found `yes`",
                ],
            ),
            (
                "repositories: a\nrules:\n- {name: rule 2, select: {tags: a}, keep: all}\n- {select: {tags: a}, keep: all}\n\
             - {name: \"\", select: {tags: a}, keep: all}\n",
                &[
                    "4:3 two rules of this policy are named `rule 2`, the first is rule 1",
                    "5:10 the name of a rule is empty",
                ],
            ),
            (
                "repositories: [a, 'b[']\nregistry: a/b\nmode: enforced\nrules: [{select: {tags: a}, keep: all}]\n",
                &[
                    "1:19 not a glob: unclosed character class; missing ']'",
                    "2:11 '/' is not allowed at offset 1 of a registry name",
                    "3:7 `enforced` is not one of dry-run, enforce [did you mean `enforce`?]",
                ],
            ),
            (
                "repositories: a\nrules: [{select: {tags: a}, keep: all}]\nschedule: {cron: '@daily'}\nnotice: 91d\nrollout: {stages: [5%, 5%], hold: 91d}\n",
                &[
                    "3:1 `schedule` is for the policies of a configuration, which the daemon runs",
                    "4:9 `notice` is at most 90 days [without `mode: enforce` a policy deletes nothing at all]",
                    "5:19 each stage is larger than the one before it",
                    "5:35 `hold` is at most 90 days",
                ],
            ),
            (
                "rules:\n- disabled: false\n  action: remove\n  tag_selectors: [{kind: semver}]\n",
                &[
                    "2:3 this rule names no repositories [add `repo_selectors: [\"team/*\"]`: \
                     `*` stays within one path segment, `**` does not]",
                    "2:3 a lifecycle rule needs `deletion_count` \
                     [it is the number that is kept: `deletion_count: 10` keeps the ten newest]",
                    "4:19 a tag selector needs `pattern` [`pattern: \".*\"` finds every prerelease]",
                ],
            ),
            (
                "policies: {p: {rules: [{deletion_count: 1}]}}\n",
                &[
                    "1:25 lifecycle rules stand in a file of their own, for `--policy-file` \
                   [`lagan policy convert FILE` prints them as policies]",
                ],
            ),
            ("policies: {}\n", &["1:1 `policies` is empty"]),
            (
                "policies: {p: 1}\nregistries: {}\n",
                &[
                    "1:15 a policy is a mapping, found `1`",
                    "2:1 unknown key `registries` in a file of policies [a file of policies has policies, channels]",
                ],
            ),
        ],
    );
}

#[test]
fn protections_and_limits() {
    let read = |rest: &str| {
        of_policy(&format!(
            "repositories: a\nrules: [{{select: {{tags: a}}, keep: all}}]\n{rest}\n"
        ))
    };
    check(
        read,
        &[
            (
                "protect: stable",
                &["3:10 expected a list of protections, found `stable`"],
            ),
            (
                "protect: [{until: 2027-01-31}, {labels: {a: b}}, {tags: a, channel: rc}]",
                &[
                    "3:11 a protection needs one of `tags`, `regex`, `channel`, `labels`, `signed`",
                    "3:50 a protection has one of `tags`, `regex`, `channel`, `labels`, `signed` \
             [write one entry for each: protections are alternatives]",
                ],
            ),
            (
                "protect: [{tags: a, until: 2027-02-30}, {regex: (, until: 2027-1-1}, {tags: a, why: ''}]",
                &[
                    "3:28 `2027-02-30` is no day [a day reads `2027-01-31`, and counts in UTC]",
                    "3:49 not a regular expression: unclosed group",
                    "3:59 `2027-1-1` is no day [a day reads `2027-01-31`, and counts in UTC]",
                    "3:85 the reason is empty",
                ],
            ),
            (
                "limits: {max_deletions: many, keep_at_least: off, max_change_from_last_run: 0x}",
                &[
                    "3:25 expected a whole number or `off`, found `many`",
                    "3:46 expected a whole number, found `off`",
                    "3:77 0 is no factor [a factor is at least 1; `off` lifts the limit]",
                ],
            ),
            (
                "protect: [{signed: false}, {labels: {'': b}}]",
                &[
                    "3:20 `signed: false` is no condition [leave `signed` out: without it nothing depends on it]",
                    "3:38 the key of a label is empty",
                ],
            ),
            (
                "limits: {max_change_from_last_run: 1.5x}",
                &["3:36 expected a factor such as `5x`, or `off`, found `1.5`"],
            ),
            (
                "limits: {max_percent_per_repository: 0%}",
                &["3:38 0 is not from 1 to 100 percent [`off` lifts the limit]"],
            ),
            (
                "limits: {max_percent_per_repository: 101}",
                &["3:38 101 is not from 1 to 100 percent [`off` lifts the limit]"],
            ),
        ],
    );
}

#[test]
fn registries_and_what_refers_to_them() {
    let policy = "repositories: a, rules: [{select: {tags: a}, keep: all}]";
    check(
        of_config,
        &[
            (
                "registries: {a: {}, b c: {url: http://h}, d: {url: ftp://h}, e: {url: h}, f: {url: https://h/v2/}}",
                &[
                    "1:14 a registry needs `url` [`url: https://registry.example.com`]",
                    "1:21 ' ' is not allowed at offset 1 of a registry name",
                    "1:52 the URL is neither http nor https \
             [write https://registry.example.com, or http://localhost:5000 for plain HTTP]",
                    "1:71 the URL cannot be read: relative URL without a base \
             [write https://registry.example.com, or http://localhost:5000 for plain HTTP]",
                    "1:84 the URL ends in /v2 [leave /v2 away: it is added to every request]",
                ],
            ),
            (
                "registries: {a: {url: http://h, deadline: 30, token_realms: [http://a.example, https://a.example/token]}}",
                &[
                    "1:43 `30` cannot be read: a length of time reads `30d`, `12h`, `2w`, `90min` or `45s`, \
             or several of them as in `1d12h` [`30d` is 30 days]",
                    "1:62 a token service is named by https, its host and perhaps a port [as in https://auth.example.com]",
                    "1:80 a token service is named by https, its host and perhaps a port [as in https://auth.example.com]",
                ],
            ),
            (
                "registries:\n  a:\n    url: http://h\n    kind: haber\n    tls: {client_cert_file: x}\n\
             \x20   credentials: {username: 'a:b'}\n    max_concurrency: 0\n    aliases: [x]\n",
                &[
                    "4:11 `haber` is not one of auto, oci, harbor [did you mean `harbor`?]",
                    "5:5 `tls` has `client_cert_file` and `client_key_file`, or neither",
                    "6:5 `credentials` has no password \
                 [give `password_file`, or `password_env` with the name of a variable]",
                    "6:29 a user name holds no colon",
                    "7:22 expected a whole number from 1 to 256, found 0",
                    "8:5 `aliases` is not supported by this version",
                ],
            ),
            (
                "registries: {a: {url: http://h, probe: 'true', repositories_file: '', repository_file: x}}\n",
                &[
                    "1:40 expected true or false, found the text `true`",
                    "1:67 a path is not empty and holds no NUL",
                    "1:71 unknown key `repository_file` in a registry [did you mean `repositories_file`?]",
                ],
            ),
            (
                "registries:\n  a: {url: http://h, collect_garbage: {}}\n  b: {url: http://h, collect_garbage: {after: wholerun, \
                 delete_untaged: true}}\n  c: {url: http://h, kind: oci, collect_garbage: {after: every-run}}\n",
                &[
                    "2:22 `collect_garbage` needs `after` [`collect_garbage: {after: whole-run}`]",
                    "3:47 `wholerun` is not one of whole-run, every-run [did you mean `whole-run`?]",
                    "3:57 unknown key `delete_untaged` in `collect_garbage` [did you mean `delete_untagged`?]",
                    "4:33 only a Harbor collects its garbage when it is told to \
                     [leave `collect_garbage` out, or write `kind: harbor`]",
                ],
            ),
            (
                "registries: {a: {url: http://h, tls: {client_key_file: x, ca_fil: y}}}\n",
                &[
                    "1:33 `tls` has `client_cert_file` and `client_key_file`, or neither",
                    "1:59 unknown key `ca_fil` in `tls` [did you mean `ca_file`?]",
                ],
            ),
            (
                &format!("policies: {{p: {{{policy}}}}}\n"),
                &["1:12 no registry is configured for this policy [add `registries: {NAME: {url: ...}}`]"],
            ),
            (
                // Another error elsewhere hides none of them.
                &format!(
                    "registries: {{harbor: {{url: http://h}}, quay: {{url: h}}}}\n\
                 policies:\n  p: {{{policy}}}\n  q: {{registry: habror, {policy}}}\n"
                ),
                &[
                    "1:51 the URL cannot be read: relative URL without a base \
                 [write https://registry.example.com, or http://localhost:5000 for plain HTTP]",
                    "3:3 this policy does not say for which registry it is [add `registry`, as one of harbor, quay]",
                    "4:17 no registry is named `habror` [did you mean `harbor`?]",
                ],
            ),
            (
                &format!("registries: {{a: {{url: http://h}}}}\npolicies:\n  p: {{{policy}}}\n  p: {{}}\n"),
                &["4:3 `p` is given twice, first on line 3"],
            ),
        ],
    );
}

#[test]
fn words_of_channels() {
    check(
        of_config,
        &[(
            "channels: {stable: [prod, prod], rc: PROD, beta: [1], gamma: [x], alpha: []}",
            &[
                "1:27 `prod` is already in `stable`",
                "1:38 `PROD` is already in `stable`",
                "1:51 a word of the table has letters and digits only, the first a letter; \"1\" does not",
                "1:55 unknown key `gamma` in `channels` \
             [`channels` has stable, rc, beta, alpha, nightly, floating, variant]",
                "1:74 the list is empty; expected a list of words",
            ],
        )],
    );
}

#[test]
fn documents_that_are_none() {
    check(
        of_config,
        &[
            ("", &["1:1 the document is empty"]),
            ("# nothing\n", &["1:1 the document is empty"]),
            ("- a", &["1:1 a configuration is a mapping, found a list"]),
            ("text", &["1:1 a configuration is a mapping, found `text`"]),
            ("a: 1\n---\nb: 2\n", &["3:1 a file holds one document"]),
            ("%YAML 1.2\n---\na: 1\n", &["1:1 directives are not supported"]),
            ("state_dir: [\n", &["1:12 not YAML: unclosed bracket '['"]),
            (
                "state_dir:\n\tx: y\n",
                &[
                    "2:2 not YAML: tabs disallowed within this context (block indentation) [indent with spaces]",
                ],
            ),
            (
                "polices: {}\n",
                &["1:1 unknown key `polices` in a configuration [did you mean `policies`?]"],
            ),
            (
                "state_dir: a\n b: c\n",
                &["2:3 not YAML: mapping values are not allowed in this context \
             [put quotes around text that holds `: `, and check the indentation]"],
            ),
            (
                &format!("x: {}", "[".repeat(40)),
                &["1:36 the document nests deeper than 32 levels"],
            ),
        ],
    );
}

#[test]
fn all_errors_of_a_document_are_shown_at_once_in_the_order_of_the_text() {
    let errors = Config::read(
        "lagan.yaml",
        "registries:\n  harbor:\n    ulr: https://harbor.example.com\npolicies:\n  prereleases:\n    registry: habor\n\
         \x20   repositories: [team/*]\n    rules:\n      - select: {channel: prerelese}\n        keep: {last: 10, within: {created: 1m}}\n",
    )
    .unwrap_err();
    assert_eq!(
        errors.to_string(),
        "\
error: lagan.yaml:3:5: unknown key `ulr` in a registry
 3 |     ulr: https://harbor.example.com
   |     ^^^
hint: did you mean `url`?

error: lagan.yaml:6:15: no registry is named `habor`
 6 |     registry: habor
   |               ^^^^^
hint: did you mean `harbor`?

error: lagan.yaml:9:27: \"prerelese\" is none of prerelease, stable, rc, beta, alpha, nightly, floating, commit
 9 |       - select: {channel: prerelese}
   |                           ^^^^^^^^^
hint: did you mean `prerelease`?

error: lagan.yaml:10:16: `last` needs `by`: the last in what order?
 10 |         keep: {last: 10, within: {created: 1m}}
    |                ^^^^
hint: add `by`: one of version, semver, pushed, pulled, created, observed, name

error: lagan.yaml:10:44: `1m` cannot be read: `m` is ambiguous: write `min` for minutes, or days for months
 10 |         keep: {last: 10, within: {created: 1m}}
    |                                            ^^
"
    );
}

#[test]
fn no_error_repeats_a_secret() {
    for text in [
        "registries: {a: {url: 'http://admin:hunter2@host'}}",
        "registries: {a: {url: 'http://host/?token=hunter2'}}",
        "registries: {a: {url: 'admin:hunter2@host'}}",
        "registries: {a: {url: http://h, credentials: {username: admin, password: hunter2}, knd: x}}",
        "registries: {a: {url: http://h, credentials: {username: admin, password_env: 'hunter2!'}}}",
    ] {
        let errors = Config::read("lagan.yaml", text).unwrap_err();
        let shown = format!("{errors} {errors:?}");
        assert!(!shown.contains("hunter2"), "{shown}");
    }
}

#[test]
fn nothing_that_is_shown_can_act_on_a_terminal() {
    let errors = Config::read("a\u{1b}b.yaml", "\"\\e[2J\": 1\n'x\u{202e}y': 1\n").unwrap_err();
    assert_eq!(
        errors.to_string(),
        "\
error: a\\u{1b}b.yaml:1:1: unknown key `\\u{1b}[2J` in a configuration
 1 | \"\\e[2J\": 1
   | ^^^^^^^
hint: a configuration has state_dir, registries, policies, channels, freeze, health, notifications, admin

error: a\\u{1b}b.yaml:2:1: unknown key `x\\u{202e}y` in a configuration
 2 | 'x\\u{202e}y': 1
   | ^^^^^^^^^^^^
hint: a configuration has state_dir, registries, policies, channels, freeze, health, notifications, admin
"
    );
}

#[test]
fn a_flood_of_errors_is_counted() {
    let text: String = (0..250).map(|number| format!("key{number}: 1\n")).collect();
    let errors = Config::read("lagan.yaml", text).unwrap_err();
    assert_eq!((errors.errors.len(), errors.more), (100, 150));
    assert!(errors.to_string().ends_with("\nand 150 more\n"));
}
