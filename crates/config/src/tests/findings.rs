//! Every lint, where it speaks and where it must not.

use crate::{CheckOptions, Config, Finding, Lint, PolicyFile, SeenPlan};

fn options(against: Option<&SeenPlan>) -> CheckOptions<'_> {
    CheckOptions {
        now: "2026-11-20T12:00:00Z".parse().unwrap(),
        against,
    }
}

fn of_file(text: &str, against: Option<&SeenPlan>) -> Vec<Finding> {
    PolicyFile::check("p.yaml", text, "p", &options(against))
        .unwrap_or_else(|errors| panic!("{errors}\n{text}"))
        .findings
}

fn of_config(text: &str, against: Option<&SeenPlan>) -> Vec<Finding> {
    Config::check("lagan.yaml", text, &options(against))
        .unwrap_or_else(|errors| panic!("{errors}\n{text}"))
        .findings
}

/// A policy with these rules, each `select` and `keep`, and what else stands in it.
fn policy(rules: &[(&str, &str)], more: &str) -> String {
    let rules: String = rules
        .iter()
        .map(|(select, keep)| {
            format!("  - {{select: {select}, keep: {keep}, allow_empty_repository: true}}\n")
        })
        .collect();
    format!("repositories: team/*\nrules:\n{rules}{more}\n")
}

fn codes(findings: &[Finding]) -> Vec<&'static str> {
    findings.iter().map(|finding| finding.lint.code()).collect()
}

/// The findings about one rule.
fn rule(select: &str, keep: &str) -> Vec<&'static str> {
    codes(&of_file(&policy(&[(select, keep)], ""), None))
}

/// The findings about one rule, in which everything is protected, for a registry of this kind.
fn of_registry(kind: &str, select: &str, keep: &str) -> Vec<Finding> {
    let text = format!(
        "registries:\n  a: {{url: 'http://a', kind: {kind}}}\npolicies:\n  one:\n    repositories: team/*\n    rules:\n      \
         - {{select: {select}, keep: {keep}, allow_empty_repository: true}}\n"
    );
    of_config(&text, None)
}

const LAST: &str = "{last: 3, by: name}";

#[test]
fn a_rule_that_can_never_select_is_found() {
    for select in [
        "{version: '>=2.0.0, <1.0.0'}",
        "{version: '<1.0.0-rc.1, >1.0.0-rc.1'}",
        "{channel: commit, version: '>=1.0.0'}",
        "{channel: [floating, commit], version: '1.*'}",
        r"{regex: '-rc\d+'}",
        "{regex: 'a b'}",
        "{tags: '*+*'}",
        "{tags: '-*'}",
        "{tags: 'pr-*', exclude: 'p*'}",
        "{tags: ['a-*', 'b-*'], exclude: ['a*', 'b*']}",
        "{tags: 'pr-*', regex: 'mr-.*'}",
        "{tags: 'pr-*', channel: prerelease}",
        "{tags: 'pr-*', version: '>=1.0.0'}",
        "{regex: '[0-9]+', channel: stable}",
        "{tags: '1.*.*', channel: commit}",
    ] {
        assert_eq!(rule(select, LAST), ["never-selects"], "{select}");
    }
}

#[test]
fn a_rule_that_can_select_is_left_alone() {
    for select in [
        "{version: '>=1.0.0, <2.0.0'}",
        "{version: '>=1.0.0-rc.1, <=1.0.0'}",
        "{version: '=1.0.0'}",
        "{version: '>1.0.0-rc.1, <1.0.0-rc.3'}",
        "{channel: [commit, stable], version: '>=1.0.0'}",
        r"{regex: '.*-rc\d+'}",
        "{tags: '*'}",
        "{tags: 'pr-*', exclude: 'pr-*-keep'}",
        "{tags: '1.*', channel: prerelease}",
        "{tags: 'latest-*', channel: floating}",
        "{tags: '[0-9]*', channel: commit}",
        "{regex: 'v?[0-9.]+', channel: stable}",
        "{tags: '*_build', channel: stable}",
    ] {
        assert_eq!(rule(select, LAST), Vec::<&str>::new(), "{select}");
    }
}

#[test]
fn a_rule_that_orders_by_what_its_tags_lack_never_deletes() {
    for (select, keep, found) in [
        ("{channel: commit}", "{last: 5, by: version}", true),
        ("{channel: floating}", "{last: 5, by: semver}", true),
        ("{tags: 'pr-*'}", "{last: 5, by: version}", true),
        ("{tags: 'pr-*'}", "{last: 5, by: name, per: minor}", true),
        (
            "{tags: 'pr-*'}",
            "{last: 5, by: version, within: {created: 2w}}",
            true,
        ),
        ("{tags: 'pr-*'}", "{last: 5, by: name}", false),
        ("{tags: '*'}", "{last: 5, by: version}", false),
        ("{tags: '1*'}", "{last: 5, by: version}", false),
        ("{channel: rc}", "{last: 5, by: version, per: major}", false),
        ("{regex: '2.3.1-a.*'}", "{last: 5, by: version}", false),
    ] {
        let expected: &[&str] = if found { &["never-deletes"] } else { &[] };
        assert_eq!(rule(select, keep), expected, "{select} {keep}");
    }
}

#[test]
fn a_rule_that_something_else_keeps_everything_from_is_overruled() {
    for (select, other, more, found) in [
        ("{tags: 'pr-*'}", None, "protect: ['*']", true),
        ("{tags: 'pr-*'}", None, "protect: ['p*', 'x']", true),
        ("{channel: rc}", None, "protect: [{channel: prerelease}]", true),
        (
            "{channel: [rc, stable]}",
            None,
            "protect: [{channel: rc}, {regex: 'v?[0-9].*'}]",
            true,
        ),
        ("{tags: 'pr-*'}", Some("{tags: 'p*'}"), "", true),
        (
            "{channel: rc, version: '<2.0.0'}",
            Some("{channel: rc, version: '<2.0.0'}"),
            "",
            true,
        ),
        (
            "{channel: rc, version: '<2.0.0'}",
            Some("{channel: prerelease}"),
            "",
            true,
        ),
        // Less than all of it, or not for ever.
        ("{tags: 'pr-*'}", None, "protect: ['pr-*-keep']", false),
        (
            "{tags: 'pr-*'}",
            None,
            "protect: [{tags: '*', until: 2027-01-01}]",
            false,
        ),
        ("{channel: [rc, stable]}", None, "protect: [{channel: rc}]", false),
        ("{tags: 'pr-*'}", Some("{tags: 'p*', exclude: 'pr-1'}"), "", false),
        (
            "{channel: rc}",
            Some("{channel: rc, version: '<2.0.0'}"),
            "",
            false,
        ),
    ] {
        let mut rules = vec![(select, LAST)];
        rules.extend(other.map(|other| (other, "all")));
        let findings = codes(&of_file(&policy(&rules, more), None));
        let expected: &[&str] = if found { &["overruled"] } else { &[] };
        assert_eq!(findings, expected, "{select} {other:?} {more}");
    }
}

/// Two policies over these repositories; the first has a rule, the second protects everything.
fn two(one: &str, other: &str) -> Vec<&'static str> {
    let text = format!(
        "registries: {{r: {{url: 'http://localhost:1'}}}}
policies:
  one: {{repositories: {one}, rules: [{{select: {{tags: 'pr-*'}}, keep: {LAST}}}]}}
  other: {{repositories: {other}, protect: ['*'], rules: [{{select: {{channel: rc}}, keep: all}}]}}
"
    );
    codes(&of_config(&text, None))
}

#[test]
fn another_policy_overrules_only_where_it_names_all_the_repositories() {
    for (one, other) in [
        ("team/*", "'**'"),
        ("team/a", "team/*"),
        ("[team/a, team/b]", "'team/{a,b}'"),
        (
            "team/*, exclude_repositories: team/b",
            "'**', exclude_repositories: team/b",
        ),
    ] {
        assert_eq!(two(one, other), ["overruled", "overlap"], "{one} {other}");
    }
    for (one, other) in [
        ("team/**", "team/*"),
        ("team/*", "'**', exclude_repositories: team/b"),
        ("[team/a, other/a]", "team/*"),
    ] {
        assert_eq!(two(one, other), ["overlap"], "{one} {other}");
    }
    for (one, other) in [
        ("team/*", "other/*"),
        ("team/*", "team/*/*"),
        ("team/a", "team/*, exclude_repositories: team/a"),
    ] {
        assert_eq!(two(one, other), Vec::<&str>::new(), "{one} {other}");
    }
}

#[test]
fn a_rule_beside_one_that_keeps_more_changes_nothing() {
    for (one, other, found) in [
        ("{last: 5, by: name}", "{last: 10, by: name}", true),
        ("{last: 5, by: name}", "{last: 5, by: name}", true),
        (
            "{last: 5, by: name}",
            "{last: 5, by: name, within: {created: 2d}}",
            true,
        ),
        ("{within: {created: 1d}}", "{within: {created: 24h}}", true),
        ("none", "{last: 1, by: name}", true),
        ("{last: 5, by: name}", "{last: 10, by: version}", false),
        ("{last: 5, by: name, per: channel}", "{last: 10, by: name}", false),
        (
            "{last: 5, by: name, within: {created: 2d}}",
            "{last: 10, by: name}",
            false,
        ),
    ] {
        let select = "{channel: rc}";
        let findings = of_file(&policy(&[(select, one), (select, other)], ""), None);
        let expected: &[&str] = if found { &["without-effect"] } else { &[] };
        assert_eq!(codes(&findings), expected, "{one} {other}");
    }
    let different = policy(&[("{tags: 'a-*'}", LAST), ("{tags: 'b-*'}", LAST)], "");
    assert_eq!(codes(&of_file(&different, None)), Vec::<&str>::new());
}

#[test]
fn an_expression_that_was_meant_to_be_found_in_a_version_is_told_apart_from_a_whole_tag() {
    for regex in [
        "rc",
        r"rc\d*",
        "alpha|beta",
        "(nightly)",
        "alpine",
        r"(rc|beta)\.?[0-9]+",
    ] {
        let select = format!("{{regex: '{regex}'}}");
        assert_eq!(rule(&select, LAST), ["unanchored"], "{regex}");
        let protect = policy(
            &[("{channel: stable}", LAST)],
            &format!("protect: [{{regex: '{regex}'}}]"),
        );
        assert_eq!(codes(&of_file(&protect, None)), ["unanchored"], "{regex}");
    }
    for regex in [
        "^rc$",
        ".*rc.*",
        r"pr-\d+",
        "latest|edge",
        r"v?[0-9]+\.[0-9]+\.[0-9]+-rc\.[0-9]+",
        "build-.*",
        "release-.*",
    ] {
        assert_eq!(
            rule(&format!("{{regex: '{regex}'}}"), LAST),
            Vec::<&str>::new(),
            "{regex}"
        );
    }
    let never = &of_file(&policy(&[(r"{regex: '-rc\d+'}", LAST)], ""), None)[0];
    assert!(never.place.hint.as_ref().unwrap().contains(".*(?:-rc"), "{never}");
}

#[test]
fn a_protection_that_protects_nothing_is_found() {
    let of = |protect: &str| codes(&of_file(&policy(&[("{channel: rc}", LAST)], protect), None));
    for protect in [
        "protect: [{tags: '*', until: 2026-11-19}]",
        "protect: ['-*']",
        r"protect: [{regex: '\+.*'}]",
    ] {
        assert_eq!(of(protect), ["protects-nothing"], "{protect}");
    }
    // The last day counts, and what nothing selects may still be protected.
    for protect in [
        "protect: [{tags: '*', until: 2026-11-20}]",
        "protect: ['prod-*', {channel: stable}]",
    ] {
        assert_eq!(of(protect), Vec::<&str>::new(), "{protect}");
    }
}

#[test]
fn a_clock_that_no_registry_of_the_kind_has_is_found_where_it_is_read() {
    for (keep, of_any) in [
        ("{last: 3, by: pushed}", 0),
        ("{within: {pulled: 3d}}", 0),
        ("{within: {observed: 3d}}", 1),
    ] {
        let of = |kind: &str| of_registry(kind, "{channel: rc}", keep);
        assert_eq!(codes(&of("oci")), ["clock-not-recorded"], "{keep}");
        assert!(of("oci")[0].to_string().contains("^"), "{}", of("oci")[0]);
        assert_eq!(of("harbor").len(), of_any, "{keep}");
        // What is found out later may record it.
        assert_eq!(of("auto").len(), of_any, "{keep}");
    }
    assert_eq!(
        rule("{channel: rc}", "{within: {created: 3d}}"),
        Vec::<&str>::new()
    );
}

#[test]
fn what_the_registry_does_not_tell_is_found_where_it_is_asked_for() {
    // What is untagged is kept by no protection of tags: that finding would be wrong.
    for (what, of_any) in [("untagged", 0), ("orphaned", 1)] {
        let rule = format!("{{{what}: true}}");
        let findings = of_registry("oci", &rule, "none");
        assert_eq!(codes(&findings), ["not-served"], "{what}");
        assert!(findings[0].to_string().contains("^"), "{}", findings[0]);
        assert_eq!(of_registry("harbor", &rule, "none").len(), of_any, "{what}");
        assert_eq!(of_registry("auto", &rule, "none").len(), of_any, "{what}");
    }
}

#[test]
fn what_names_do_not_tell_is_no_ground_to_say_never() {
    // Narrowing keeps less than the lines say.
    for (rule, more) in [
        (
            (
                "{tags: 'pr-*'}",
                "{last: 1, by: version, unless_older_than: {created: 9d}}",
            ),
            "",
        ),
        (("{labels: {tier: scratch}}", "{last: 1, by: version}"), ""),
        (
            ("{channel: rc}", LAST),
            "protect: [{labels: {hold: '*'}}, {signed: true}]",
        ),
    ] {
        let findings = codes(&of_file(&policy(&[rule], more), None));
        assert_eq!(findings, Vec::<&str>::new(), "{rule:?} {more}");
    }
    // A rule that keeps all with certain labels does not keep all.
    let rules = [
        ("{tags: 'pr-*'}", LAST),
        ("{tags: 'p*', labels: {tier: prod}}", "all"),
    ];
    assert_eq!(codes(&of_file(&policy(&rules, ""), None)), Vec::<&str>::new());
    let seen = plan(TEAM_A);
    let text = policy(&[("{labels: {tier: scratch}}", "{last: 1, by: name}")], "");
    assert_eq!(codes(&of_file(&text, Some(&seen))), Vec::<&str>::new());
    assert_eq!(
        codes(&of_file(
            &policy(&[("{tags: 'n-*'}", "{daily: 7, by: observed}")], ""),
            None
        )),
        ["clock-not-recorded"]
    );
}

#[test]
fn limits_that_contradict_are_found() {
    let of = |rules: &[(&str, &str)], limits: &str| codes(&of_file(&policy(rules, limits), None));
    let everything = ("{tags: '*'}", "{last: 3, by: name}");
    for limits in ["limits: {max_deletions: 0}", "limits: {keep_at_least: 4}"] {
        assert_eq!(of(&[everything], limits), ["contradictory-limits"], "{limits}");
    }
    for (rule, limits) in [
        (everything, "limits: {keep_at_least: 3, max_deletions: 1}"),
        (("{tags: 'a*'}", LAST), "limits: {keep_at_least: 4}"),
        (
            ("{tags: '*'}", "{last: 3, by: name, per: channel}"),
            "limits: {keep_at_least: 4}",
        ),
        (everything, "limits: {keep_at_least: 4}\nprotect: [latest]"),
    ] {
        assert_eq!(of(&[rule], limits), Vec::<&str>::new(), "{limits}");
    }
}

#[test]
fn a_limit_that_a_stricter_one_always_replaces_is_found() {
    let of = |one: &str, other: &str| {
        let text = format!(
            "registries: {{r: {{url: 'http://localhost:1'}}}}
policies:
  one: {{repositories: a/b, rules: [{{select: {{channel: rc}}, keep: {LAST}}}], limits: {{{one}}}}}
  other: {{repositories: a/*, rules: [{{select: {{channel: beta}}, keep: {LAST}}}], limits: {{{other}}}}}
"
        );
        codes(&of_config(&text, None))
    };
    assert_eq!(
        of("keep_at_least: 2", "keep_at_least: 3"),
        ["limit-overruled", "overlap"]
    );
    assert_eq!(
        of("max_percent_per_repository: off", "max_percent_per_repository: 5"),
        ["limit-overruled", "overlap"]
    );
    assert_eq!(of("max_deletions: 9000", ""), ["run-limit-overruled", "overlap"]);
    assert_eq!(of("keep_at_least: 3", "keep_at_least: 2"), ["overlap"]);
    assert_eq!(
        of("", "max_deletions: 9"),
        ["overlap"],
        "what is not written is no surprise"
    );
    // The other way round it names more repositories than its like, and the limit holds in the others.
    assert_eq!(of("keep_at_least: 9", "keep_at_least: 3"), ["overlap"]);
}

#[test]
fn a_registry_without_a_policy_is_found() {
    let findings = of_config("registries:\n  idle: {url: 'http://localhost:1'}\n", None);
    assert_eq!(codes(&findings), ["no-policy"]);
    assert_eq!((findings[0].place.line, findings[0].place.column), (2, 3));
}

fn plan(repositories: &str) -> SeenPlan {
    let text = format!(
        r#"{{"schema":"lagan.plan/v1","id":"x","registry":{{"name":"r","url":"http://localhost:1","kind":"oci"}},"repositories":[{repositories}]}}"#
    );
    SeenPlan::read(text.as_bytes()).unwrap()
}

const TEAM_A: &str = r#"{"name":"team/a","policies":["p"],"complete":true,"tags_total":3,"actions":
    [{"action":"delete","digest":"sha256:00","tags":["pr-1"],"children":[],"attachments":[]}],
    "kept":[{"tag":"pr-2","digest":null,"reasons":[]},{"tag":"latest","digest":null,"reasons":[]}]}"#;
const TEAM_B: &str =
    r#"{"name":"team/b","policies":["p"],"complete":false,"tags_total":9,"actions":[],"kept":[]}"#;
const TEAM_C: &str = r#"{"name":"team/c","policies":["p"],"complete":true,"tags_total":2,"actions":[]}"#;

#[test]
fn a_plan_tells_what_matches_nothing_and_what_is_never_reached() {
    let of = |repositories: &str, select: &str, last: u32, seen: &SeenPlan| {
        let text = format!(
            "repositories: {repositories}\nrules: [{{select: {select}, keep: {{last: {last}, by: name}}}}]\n"
        );
        codes(&of_file(&text, Some(seen)))
    };
    let (a, ab, ac) = (
        plan(TEAM_A),
        plan(&format!("{TEAM_A},{TEAM_B}")),
        plan(&format!("{TEAM_A},{TEAM_C}")),
    );
    assert_eq!(
        of("[team/*, other/*]", "{tags: 'pr-*'}", 1, &a),
        ["matches-no-repository"]
    );
    assert_eq!(of("team/*", "{tags: 'mr-*'}", 1, &a), ["selected-nothing"]);
    assert_eq!(of("team/*", "{tags: 'pr-*'}", 2, &a), ["last-never-reached"]);
    assert_eq!(of("team/*", "{tags: 'pr-*'}", 1, &a), Vec::<&str>::new());
    // Of what could not be read nothing is said, and a plan without kept tags tells their number alone.
    assert_eq!(of("team/*", "{tags: 'mr-*'}", 9, &ab), Vec::<&str>::new());
    assert_eq!(of("team/*", "{tags: 'mr-*'}", 1, &ac), Vec::<&str>::new());
    assert_eq!(of("team/*", "{tags: 'pr-*'}", 3, &ac), ["last-never-reached"]);
}

#[test]
fn a_plan_of_another_registry_tells_nothing_and_overlap_is_as_the_plan_has_it() {
    let text = |url: &str| {
        format!(
            "registries: {{s: {{url: '{url}'}}}}
policies:
  one: {{repositories: [team/a, x], rules: [{{select: {{tags: 'pr-*'}}, keep: {LAST}}}]}}
  two: {{repositories: [team/*, x], rules: [{{select: {{tags: 'l*'}}, keep: all}}]}}
"
        )
    };
    let seen = plan(TEAM_A);
    let same = of_config(&text("http://localhost:1/"), Some(&seen));
    assert!(
        same.iter()
            .any(|finding| finding.lint == Lint::MatchesNoRepository)
    );
    let overlap = same.iter().find(|finding| finding.lint == Lint::Overlap).unwrap();
    assert!(overlap.place.message.contains("`team/a`"), "{overlap}");
    assert!(
        overlap
            .place
            .hint
            .as_ref()
            .unwrap()
            .contains("`rule 1` (all of it)"),
        "{overlap}"
    );
    let other = of_config(&text("http://localhost:2"), Some(&seen));
    assert_eq!(codes(&other), ["overlap"]);
}

#[test]
fn a_plan_that_is_none_is_refused_with_the_reason() {
    for (text, why) in [
        ("{", "no plan in JSON"),
        (r#"{"schema":"lagan.plan/v2"}"#, "lagan.plan/v2"),
        (r#"{"schema":"lagan.plan/v1"}"#, "missing field"),
    ] {
        let error = SeenPlan::read(text.as_bytes()).unwrap_err().to_string();
        assert!(error.contains(why), "{error}");
    }
}

#[test]
fn a_finding_shows_its_place_as_an_error_does() {
    let text = "repositories: a\nrules:\n  - name: commits\n    select: {channel: commit}\n    keep: {last: 5, by: version}\n";
    let findings = of_file(text, None);
    assert_eq!(
        findings[0].to_string(),
        "warning: p.yaml:5:25: rule `commits` never deletes: no tag that it can select has a full version to order by \
         version, and such tags are kept [never-deletes]\n 5 |     keep: {last: 5, by: version}\n   |                         ^^^^^^^\n\
         hint: `by: name` orders in natural order, `by: created` by time\n"
    );
}

#[test]
fn every_lint_has_a_name_and_is_documented() {
    let mut codes: Vec<&str> = Lint::ALL.iter().map(|lint| lint.code()).collect();
    codes.sort_unstable();
    codes.dedup();
    assert_eq!(codes.len(), Lint::ALL.len());
    let documented = include_str!("../../../../docs/check.md");
    for lint in Lint::ALL {
        let row = format!(
            "| `{}` | {} | {} |\n",
            lint.code(),
            lint.severity().as_str(),
            lint.proves()
        );
        assert!(documented.contains(&row), "docs/check.md lacks the row:\n{row}");
    }
}

#[test]
fn a_webhook_that_nobody_could_call_is_found() {
    let config = |registry: &str, admin: &str| {
        let text = format!(
            "registries: {{here: {{url: 'http://a'{registry}}}}}\n{admin}policies:\n  one:\n    repositories: team/*\n    rules:\n      \
             - {{select: {{tags: 'pr-*'}}, keep: {LAST}}}\n"
        );
        of_config(&text, None)
    };
    let webhook = ", webhook: {secret_env: SECRET, full_pass: 6h}";
    let found = config(webhook, "");
    assert_eq!(codes(&found), ["webhook-unheard"]);
    let shown = found[0].to_string();
    assert!(
        shown.contains("lagan.yaml:1:") && shown.contains("^^^^^^^"),
        "{shown}"
    );
    let listens = "admin: {listen: '127.0.0.1:8480'}\n";
    for (registry, admin) in [(webhook, listens), ("", ""), ("", listens)] {
        assert!(config(registry, admin).is_empty(), "{registry} {admin}");
    }
    assert_eq!(
        codes(&config(webhook, "admin: {hosts: lagan.test}\n")),
        ["webhook-unheard"]
    );
}
