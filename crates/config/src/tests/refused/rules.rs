use super::{check, of_policy};

#[test]
fn selections() {
    let read = |select: &str| {
        of_policy(&format!(
            "repositories: a\nrules:\n- keep: all\n  select: {select}\n"
        ))
    };
    check(
        read,
        &[
            ("{}", &["4:3 `select` is empty [`tags: \"*\"` selects every tag]"]),
            (
                "{exclude: a}",
                &[
                    "4:3 `exclude` alone selects nothing: it only narrows [add `tags: \"*\"` to begin with every tag]",
                ],
            ),
            (
                "{tags: []}",
                &["4:18 the list is empty; expected a list of globs"],
            ),
            (
                "{tag: a}",
                &["4:12 unknown key `tag` in `select` [did you mean `tags`?]"],
            ),
            (
                "{flavour: a}",
                &[
                    "4:12 unknown key `flavour` in `select` [`select` has tags, exclude, regex, channel, version, untagged, min_age, labels, media_type, artifact_type, superseded, orphaned]",
                ],
            ),
            (
                "{channel: prerelase}",
                &[
                    "4:21 \"prerelase\" is none of prerelease, stable, rc, beta, alpha, nightly, floating, commit \
             [did you mean `prerelease`?]",
                ],
            ),
            (
                "{channel: [rc, unknown]}",
                &[
                    "4:26 tags that read as nothing known are selected by `tags` or `regex` only, never by channel",
                ],
            ),
            (
                "{tags: 'a{'}",
                &["4:18 not a glob: unclosed alternate group; missing '}' (maybe escape '{' with '[{]'?)"],
            ),
            (
                "{tags: ['a{', b, 'c[']}",
                &[
                    "4:19 not a glob: unclosed alternate group; missing '}' (maybe escape '{' with '[{]'?)",
                    "4:28 not a glob: unclosed character class; missing ']'",
                ],
            ),
            ("{regex: (}", &["4:19 not a regular expression: unclosed group"]),
            ("{tags: ''}", &["4:18 the pattern is empty"]),
            ("{tags: null}", &["4:18 expected a list of globs, found nothing"]),
            (
                "{tags: [a, ~]}",
                &[
                    "4:22 expected a glob, found nothing [without quotes `~` is nothing in YAML; put quotes around it if it is text]",
                ],
            ),
            (
                "{tags: {a: b}}",
                &["4:18 expected a list of globs, found a mapping"],
            ),
            (
                "{tags: [[a]]}",
                &["4:19 expected a glob, found a list [put quotes around text that begins with `[` or `{`]"],
            ),
            (
                "{version: 1.x.y}",
                &[
                    "4:21 not a version requirement: unexpected character after wildcard in version req \
             [a requirement reads `>=1.0.0, <2.0.0`, `^1.2`, `~1.4.2` or `1.*`]",
                ],
            ),
            ("[a]", &["4:11 `select` is a mapping, found a list"]),
            ("prerelease", &["4:11 `select` is a mapping, found `prerelease`"]),
            ("", &["4:9 `select` is a mapping, found nothing"]),
            (
                "{tags: a, tags: b}",
                &["4:21 `tags` is given twice, first on line 4"],
            ),
            (
                "{labels: {tier: scratch}, untagged: false}",
                &[
                    "4:47 `untagged: false` is no condition [leave `untagged` out: without it nothing depends on it]",
                ],
            ),
            (
                "{untagged: true, tags: x, channel: rc}",
                &[
                    "4:28 what has no tag never meets `tags` [write one rule with `untagged`, and another one for tags]",
                    "4:37 what has no tag never meets `channel` [write one rule with `untagged`, and another one for tags]",
                ],
            ),
            (
                "{orphaned: true, superseded: true}",
                &[
                    "4:28 what is attached never meets `superseded` [write one rule with `orphaned`, and another one for tags]",
                ],
            ),
            (
                "{untagged: true, orphaned: true}",
                &["4:28 what is attached is never `untagged` [write one rule for each]"],
            ),
            (
                "{tags: x, min_age: 12h}",
                &[
                    "4:21 `min_age` says nothing without `untagged` [it is the least age, since it was pushed, of what `untagged: true` selects]",
                ],
            ),
            (
                "{untagged: true, min_age: 1m}",
                &["4:37 `1m` cannot be read: `m` is ambiguous: write `min` for minutes, or days for months"],
            ),
            (
                "{labels: tier}",
                &["4:20 `tier` with which value? [`labels: {tier: \"*\"}` takes any value]"],
            ),
            (
                "{labels: {}}",
                &["4:20 `labels` is empty [name a label, as in `labels: {tier: scratch}`]"],
            ),
            (
                "{labels: {tier: '{a'}, media_type: []}",
                &[
                    "4:27 not a glob: unclosed alternate group; missing '}' (maybe escape '{' with '[{]'?)",
                    "4:46 the list is empty; expected a list of types",
                ],
            ),
        ],
    );
}

#[test]
fn yaml_that_means_something_else_than_it_seems() {
    let read = |select: &str| {
        of_policy(&format!(
            "repositories: a\nrules:\n- keep: all\n  select: {select}\n"
        ))
    };
    check(
        read,
        &[
            (
                "{tags: *-rc.*, regex: (}",
                &[
                    "4:18 `*` without quotes begins an alias, and aliases are not supported [QUOTE]",
                    "4:33 not a regular expression: unclosed group",
                ],
            ),
            (
                "{tags: [*-a, *-b]}",
                &[
                    "4:19 `*` without quotes begins an alias, and aliases are not supported [QUOTE]",
                    "4:24 `*` without quotes begins an alias, and aliases are not supported [QUOTE]",
                ],
            ),
            (
                "{tags: *}",
                &["4:18 `*` and `&` without quotes begin an alias or an anchor [QUOTE]"],
            ),
            (
                "{tags: &a b}",
                &["4:18 `&` without quotes begins an anchor, and anchors are not supported [QUOTE]"],
            ),
            (
                "{tags: !a}",
                &["4:18 `!` without quotes begins a YAML tag, and YAML tags are not supported [QUOTE]"],
            ),
            (
                "{tags: {a,b}-x}",
                &["4:23 not YAML: while parsing a flow mapping, did not find expected ',' or '}' [QUOTE]"],
            ),
            ("{tags: @a}", &["4:18 `@` begins nothing in YAML [QUOTE]"]),
            (
                r#"{regex: "^pr-\d+$"}"#,
                &[
                    "4:19 not YAML: while parsing a quoted scalar, found unknown escape character \
             [use single quotes around expressions: in double quotes a backslash begins an escape]",
                ],
            ),
            ("{<<: {tags: a}}", &["4:12 merge keys are not supported"]),
            (
                "{? [a] : b}",
                &["4:14 a key is a word, not a list or a mapping [QUOTE]"],
            ),
        ],
    );
}

#[test]
fn lines_of_keep() {
    let read = |keep: &str| {
        of_policy(&format!(
            "repositories: a\nrules:\n- select: {{tags: x}}\n  keep: {keep}\n"
        ))
    };
    check(
        read,
        &[
            (
                "{}",
                &["4:3 `keep` is empty [say `keep: none` if nothing is to be kept]"],
            ),
            (
                "none",
                &["4:3 this rule can leave a repository empty [EMPTYABLE]"],
            ),
            (
                "{within: {pulled: 30d}}",
                &["4:3 this rule can leave a repository empty [EMPTYABLE]"],
            ),
            ("al", &["4:9 `al` is not one of all, none [did you mean `all`?]"]),
            (
                "10",
                &["4:9 `10` of what order? [write `keep: {last: 10, by: version}`]"],
            ),
            ("[all]", &["4:10 `keep` is a mapping, found `all`"]),
            ("[]", &["4:9 the list is empty; expected a list of mappings"]),
            (
                "{last: 0}",
                &["4:16 the last 0 keep nothing [say `keep: none` if nothing is to be kept]"],
            ),
            (
                "{last: 0, by: name}",
                &["4:16 the last 0 keep nothing [say `keep: none` if nothing is to be kept]"],
            ),
            (
                "{last: 5}",
                &["4:10 `last` needs `by`: the last in what order? [add `by`: one of ORDERS]"],
            ),
            (
                "{by: version, per: major}",
                &[
                    "4:10 `by` says nothing without `last` or a period such as `daily`",
                    "4:23 `per` says nothing without `last` or a period such as `daily`",
                ],
            ),
            (
                "{las: 5, by: version}",
                &["4:10 unknown key `las` in `keep` [did you mean `last`?]"],
            ),
            (
                "{last: -1, by: vresion}",
                &[
                    "4:16 expected a whole number, found `-1`",
                    "4:24 `vresion` is not one of ORDERS [did you mean `version`?]",
                ],
            ),
            (
                "{last: ten, by: name}",
                &["4:16 expected a whole number, found `ten`"],
            ),
            (
                "{last: 1.5, by: name}",
                &["4:16 expected a whole number, found `1.5`"],
            ),
            (
                "{last: '10', by: name}",
                &["4:16 expected a whole number, found the text `10` [write it without quotes]"],
            ),
            (
                "{last: 010, by: name}",
                &[
                    "4:16 expected a whole number, found `010` [write it without the leading zero: elsewhere that means octal]",
                ],
            ),
            ("{last: 4294967296, by: name}", &["4:16 4294967296 is too large"]),
            (
                "{last: 5, by: name, per: mayor}",
                &[
                    "4:34 \"mayor\" is none of repository, channel, major, minor, variant, capture:<name> [did you mean `major`?]",
                ],
            ),
            (
                "{last: 5, by: name, per: capture:b}",
                &["4:34 `capture:b` needs a `regex` in `select` [name a group in it, as in `(?<b>...)`]"],
            ),
            (
                "{within: 30d}",
                &["4:18 `30d` by which clock? [name the clock, as in `within: {created: 30d}`]"],
            ),
            (
                "{within: {}}",
                &["4:18 `within` is empty [name a clock, as in `within: {created: 30d}`]"],
            ),
            (
                "{within: {create: 30d}}",
                &["4:19 `create` is not one of pushed, pulled, created, observed [did you mean `created`?]"],
            ),
            (
                "{within: {created: 1m, pushed: 1y}}",
                &[
                    "4:28 `1m` cannot be read: `m` is ambiguous: write `min` for minutes, or days for months",
                    "4:40 `1y` cannot be read: \"y\" is no unit of time [the units are s, min, h, d and w]",
                ],
            ),
            (
                "{within: {created: 30}}",
                &[
                    "4:28 `30` cannot be read: a length of time reads `30d`, `12h`, `2w`, `90min` or `45s`, or several of them \
             as in `1d12h` [`30d` is 30 days]",
                ],
            ),
            (
                "{daily: 7}",
                &[
                    "4:10 `daily` needs `by`: by which clock? [add `by`: one of pushed, pulled, created, observed]",
                ],
            ),
            (
                "{daily: 7, by: version}",
                &[
                    "4:24 `daily` needs a clock, and `version` is none [the clocks are pushed, pulled, created, observed]",
                ],
            ),
            (
                "{last: 3, weekly: 7, by: version}",
                &[
                    "4:34 `weekly` needs a clock, and `version` is none [write two lines: \
             `keep: [{last: 10, by: version}, {weekly: 7, by: created}]`]",
                ],
            ),
            (
                "{daily: 0, monthly: 3, by: pushed}",
                &["4:17 `daily: 0` keeps nothing [leave `daily` out]"],
            ),
            (
                "{last: 3, by: created, timezone: UTC}",
                &["4:32 `timezone` says nothing without `daily`, `weekly`, `monthly` or `yearly`"],
            ),
            (
                "{daily: 3, by: created, timezone: Europe/Berln}",
                &[
                    "4:43 \"Europe/Berln\" is no time zone of the IANA database [did you mean `Europe/Berlin`?]",
                ],
            ),
            (
                "{daily: 3, by: created, timezone: CEST5}",
                &[
                    "4:43 \"CEST5\" is no time zone of the IANA database [a time zone reads `Europe/Berlin` or `UTC`]",
                ],
            ),
            (
                "{unless_older_than: 3d}",
                &["4:29 `3d` by which clock? [name the clock, as in `unless_older_than: {created: 180d}`]"],
            ),
            (
                "{unless_older_than: {created: 3d, pushed: 4d}}",
                &[
                    "4:29 `unless_older_than` has one clock [older by one of them, or by all? Write one rule for each]",
                ],
            ),
            (
                "[{last: 3, by: name, unless_older_than: {created: 3d}}, {unless_older_than: {pushed: 4d}}]",
                &[
                    "4:85 `unless_older_than` is given twice [it narrows all that the rule keeps; write it once]",
                ],
            ),
            (
                "{last: 3, by: created, unless_older_than: {created: 3d}}",
                &["4:3 this rule can leave a repository empty [EMPTYABLE]"],
            ),
        ],
    );
    let regex = "repositories: a\nrules:\n- select: {regex: '(?<a>x)'}\n  keep: {last: 5, by: name, per: capture:b}\n";
    assert_eq!(
        of_policy(regex),
        ["4:34 the `regex` of this rule has no group named `b` [name a group in it, as in `(?<b>...)`]",]
    );
}
