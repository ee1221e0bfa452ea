//! Files of cases: what they mean, what they refuse, and what they find.

use lagan_policy::Verdict;

use super::lines;
use crate::{CaseFile, Mismatch, PolicyFile};

const POLICY: &str = "
repositories: team/*
rules:
  - {name: rc, select: {channel: rc}, keep: {last: 1, by: version}}
  - {name: builds, select: {tags: 'build-*'}, keep: {last: 1, by: created}}
  - {name: scratch, select: {tags: 'scratch-*'}, keep: none, allow_empty_repository: true}
protect: ['*-keep', {tags: scratch-audit, until: 2026-06-30}]
";

fn read(cases: &str) -> Result<CaseFile, crate::ConfigErrors> {
    CaseFile::read(
        "p.test.yaml",
        format!("policy: p.yaml\nrepository: team/app\ncases:\n{cases}"),
    )
}

/// What fails of one case.
fn run(case: &str) -> Vec<Mismatch> {
    let file = read(case).unwrap_or_else(|errors| panic!("{errors}"));
    let policies = PolicyFile::read("p.yaml", POLICY, "p").unwrap();
    let policies = lagan_policy::PolicySet {
        policies: policies.policies.into_iter().map(|entry| entry.policy).collect(),
        versions: policies.versions,
    };
    let outcomes = file
        .cases
        .iter()
        .map(|case| case.run(&policies).unwrap_or_else(|errors| panic!("{errors}")));
    outcomes.flat_map(|outcome| outcome.mismatches).collect()
}

#[track_caller]
fn passes(case: &str) {
    assert_eq!(run(case), [], "{case}");
}

/// The tags that were not decided as the case says, with what was decided.
fn failing(case: &str) -> Vec<(String, Verdict)> {
    run(case)
        .into_iter()
        .map(|mismatch| (mismatch.expected.tag.to_string(), mismatch.decision.verdict))
        .collect()
}

#[test]
fn a_short_case_is_its_expectations() {
    let case = "  - {name: a, expect: {keep: [1.0.0, 1.0.0-rc.2], delete: 1.0.0-rc.1}}";
    passes(case);
    assert_eq!(
        failing("  - {name: a, expect: {delete: [1.0.0, 1.0.0-rc.2, 1.0.0-rc.1]}}"),
        [
            ("1.0.0".to_owned(), Verdict::Keep),
            ("1.0.0-rc.2".to_owned(), Verdict::Keep)
        ]
    );
}

#[test]
fn what_is_not_listed_stays_unless_the_case_says_that_anything_may_happen() {
    let tags = "tags: [1.0.0-rc.1, 1.0.0-rc.2, 1.0.0-rc.3]";
    let case = |expect: &str| format!("  - {{name: a, {tags}, expect: {{{expect}}}}}");
    assert_eq!(
        failing(&case("delete: 1.0.0-rc.1")),
        [("1.0.0-rc.2".to_owned(), Verdict::Delete)]
    );
    passes(&case("delete: 1.0.0-rc.1, unlisted: any"));
    assert_eq!(failing(&case("unlisted: keep")).len(), 2);
    let refused = read(&case("delete: 1.0.0-rc.1, unlisted: error")).unwrap_err();
    assert_eq!(
        lines(&refused),
        ["4:59 `expect` does not list `1.0.0-rc.2` [`unlisted: keep` expects that such tags stay]"]
    );
}

#[test]
fn reasons_and_rules_are_compared_and_all_that_are_given_must_hold() {
    let case = |because: &str| {
        format!("  - {{name: a, expect: {{delete: {{1.0.0-rc.1: {because}}}, keep: 1.0.0-rc.2}}}}")
    };
    for met in [
        "beyond_last",
        "[beyond_last]",
        "{rule: rc}",
        "{because: beyond_last, rule: rc}",
    ] {
        passes(&case(met));
    }
    for unmet in [
        "keep_none",
        "[beyond_last, older_than]",
        "{rule: builds}",
        "{because: beyond_last, rule: builds}",
    ] {
        assert_eq!(
            failing(&case(unmet)),
            [("1.0.0-rc.1".to_owned(), Verdict::Delete)],
            "{unmet}"
        );
    }
}

#[test]
fn times_are_ages_days_or_moments_and_what_is_not_said_is_not_known() {
    passes(
        "  - name: ages
    tags: {build-1: {created: 2d}, build-2: {created: 1d12h}, build-3: {}, build-4: {created: unknown}}
    expect: {delete: build-1, keep: {build-2: rank, build-3: clock_unknown, build-4: clock_unknown}}
  - name: moments
    now: 2026-11-20
    tags: {build-1: {created: 2026-11-18}, build-2: {created: '2026-11-18T00:00:01+00:00'}}
    expect: {delete: build-1}
  - name: tomorrow is not yet
    now: 2026-11-20
    tags: {build-1: {created: 2026-11-19}, build-2: {created: 2026-12-01}}
    expect: {keep: {build-1: rank, build-2: clock_unknown}}",
    );
}

#[test]
fn labels_and_the_clocks_of_registries_are_facts_like_others() {
    let policy = "repositories: team/*
rules:
  - {name: unused, select: {tags: 'app-*'}, keep: {within: {pulled: 30d}}, allow_empty_repository: true}
  - {name: pushed, select: {tags: 'ci-*', labels: {tier: scratch}}, keep: {last: 1, by: pushed}}
  - {name: daily, select: {tags: 'n-*'}, keep: {daily: 2, by: created, timezone: Europe/Berlin}}
protect: [{labels: {hold: '*'}}]
";
    let file = read(
        "  - name: unused
    tags:
      app-1: {pulled: 40d, pushed: 90d}
      app-2: {pulled: 20d, pushed: 90d}
      app-3: {pulled: never, pushed: 5d}
      app-4: {pulled: never, pushed: 50d}
      app-5: {pulled: never, pushed: 50d, labels: {hold: legal}}
    expect: {delete: {app-1: {rule: unused}, app-4: older_than}, keep: {app-3: within, app-5: protected}}
  - name: no clock
    tags: {app-1: , app-2: }
    expect: {keep: {app-1: clock_unknown}}
  - name: labels
    tags:
      ci-1: {pushed: 3d, labels: {tier: scratch}}
      ci-2: {pushed: 2d, labels: {tier: scratch}}
      ci-3: {pushed: 9d, labels: {tier: prod}}
    expect: {delete: ci-1, keep: {ci-3: not_selected}}
  - name: days begin where people are
    now: 2026-11-20T12:00:00Z
    tags:
      n-1: {created: '2026-11-17T22:30:00Z'}
      n-2: {created: '2026-11-17T23:30:00Z'}
      n-3: {created: '2026-11-19T10:00:00Z'}
    expect: {delete: n-1}",
    )
    .unwrap_or_else(|errors| panic!("{errors}"));
    let policies = PolicyFile::read("p", policy, "p").unwrap_or_else(|errors| panic!("{errors}"));
    let set = policies.for_registry(&"any".parse().unwrap());
    for case in &file.cases {
        let outcome = case.run(&set).unwrap_or_else(|errors| panic!("{errors}"));
        assert_eq!(outcome.mismatches, [], "{}", case.name);
    }
}

#[test]
fn protections_end_by_the_time_of_the_case() {
    passes(
        "  - {name: before, now: 2026-06-30, expect: {keep: {scratch-audit: protected}}}
  - {name: after, now: 2026-07-01, expect: {delete: {scratch-audit: keep_none}}}",
    );
}

#[test]
fn shared_digests_indexes_and_attachments_are_decided_as_they_hang_together() {
    let shared = "tags: {scratch-1: {digest: a}, 1.0.0: {digest: a}}";
    passes(&format!(
        "  - {{name: a, {shared}, expect: {{keep: {{scratch-1: shares_digest}}}}}}"
    ));
    passes(&format!(
        "  - {{name: a, capabilities: {{delete_tag: true}}, {shared}, expect: {{untag: scratch-1}}}}"
    ));
    // A tag may be named where a digest is wanted.
    passes("  - {name: a, tags: {1.0.0: , scratch-1: {digest: 1.0.0}}, expect: {keep: scratch-1}}");
    passes(
        "  - name: a child of a kept index
    tags: {1.0.0: {children: [amd64, scratch-arm]}, scratch-arm: , scratch-2: }
    artifacts: {amd64: {created: 3d}}
    expect: {keep: {scratch-arm: child_of}, delete: scratch-2}
  - name: an index is as young as its newest child
    tags: {build-1: {children: [old, new]}, build-2: {created: 2d}}
    artifacts: {old: {created: 9d}, new: {created: 1d}}
    expect: {delete: build-2}
  - name: a signature follows its subject
    tags: {scratch-1: , scratch-sig: {subject: scratch-1}, 1.0.0: , scratch-sbom: {subject: 1.0.0}}
    expect: {delete: [scratch-1, scratch-sig], keep: {scratch-sbom: attached_to}}
  - name: a referrer without a tag keeps nothing, and one with a kept tag keeps its subject
    tags: {scratch-1: , scratch-2: , prod-keep: {subject: scratch-2}}
    artifacts: {sbom: {subject: scratch-1, artifact_type: application/spdx+json}}
    expect: {delete: scratch-1, keep: {scratch-2: subject_of}}",
    );
    let digest = format!("sha256:{}", "a".repeat(64));
    passes(&format!(
        "  - {{name: a, tags: {{scratch-1: {{digest: '{digest}'}}, 'sha256-{}.sig': }}, expect: {{delete: \
         {{scratch-1: keep_none, 'sha256-{}.sig': deleted_with_subject}}}}}}",
        "a".repeat(64),
        "a".repeat(64)
    ));
}

/// Where the last `at` of the cases stands, which begin on line 4.
fn place(cases: &str, at: &str) -> String {
    let before = &cases[..cases.rfind(at).unwrap()];
    let line = before.matches('\n').count() + 4;
    format!(
        "{line}:{} ",
        before.rsplit('\n').next().unwrap().chars().count() + 1
    )
}

#[test]
fn a_file_that_is_wrong_says_so_at_every_place() {
    for (cases, at, said) in [
        (
            "  - {name: a, tags: [1.0.0, 1.0.1], expect: {keep: 1.0.2}}",
            "1.0.2}}",
            "the case has no tag `1.0.2` [did you mean `1.0.0`?]",
        ),
        (
            "  - {name: a, expect: {keeps: 1.0.2}}",
            "keeps",
            "unknown key `keeps` in `expect` [did you mean `keep`?]",
        ),
        (
            "  - {name: a, expect: {keep: 1.0.2, delete: [1.0.2]}}",
            "1.0.2]",
            "`1.0.2` is expected twice, first on line 4",
        ),
        (
            "  - {name: a, expect: {keep: {a: beyond_lats}}}",
            "beyond_lats",
            "`beyond_lats` is no kind of reason [did you mean `beyond_last`?]",
        ),
        (
            "  - {name: a, expect: {keep: {a: {}}}}",
            "a: {}",
            "an expected reason needs `because` or `rule`",
        ),
        (
            "  - {name: a, expect: {}}",
            "expect",
            "`expect` is empty [`expect: {delete: [1.0.0-rc.1]}`, or `expect: {unlisted: keep}` where nothing goes]",
        ),
        (
            "  - {name: a, tags: [a+b], expect: {unlisted: any}}",
            "a+b",
            "'+' is not allowed at offset 1 of a tag",
        ),
        (
            "  - {name: a, tags: [a, a], expect: {keep: a}}",
            "a], expect",
            "`a` is given twice, first on line 4",
        ),
        (
            "  - {name: a, tags: {a: {created: 2026-01-01}}, expect: {keep: a}}",
            "2026-01-01",
            "`2026-01-01` is a point in time, and the case does not say what time it is [add `now`, or give an age: `created: 30d`]",
        ),
        (
            "  - {name: a, tags: {a: {created: yesterday}}, expect: {keep: a}}",
            "yesterday",
            "`yesterday` is no time [write an age as `30d` or `36h`, a day as `2026-11-20`, a time as `2026-11-20T12:00:00Z`, or `unknown`]",
        ),
        (
            "  - {name: a, tags: {a: {subject: bb}, b: }, expect: {keep: a}}",
            "bb",
            "nothing in this case is named `bb` [did you mean `b`?]",
        ),
        (
            "  - {name: a, tags: {a: {digest: x, created: 1d}, b: {digest: x, created: 2d}}, expect: {keep: a}}",
            "created: 2d",
            "`created` of `x` is given elsewhere already [facts of a digest are given once, with one of its tags or under `artifacts`]",
        ),
        (
            "  - {name: a, tags: {a: {media_type: application/json, children: [b]}, b: }, expect: {keep: a}}",
            "application/json",
            "a manifest of type `application/json` has no children [an index is of type `application/vnd.oci.image.index.v1+json`]",
        ),
        (
            "  - {name: a, expect: {keep: a}}\n  - {name: a, expect: {keep: a}}",
            "a, expect: {keep: a}}",
            "two cases are named `a`, the first on line 4",
        ),
        (
            "  - {expect: {keep: a}}",
            "{expect",
            "a case needs `name` [a case is named after what it shows]",
        ),
        (
            "  - {name: a, repository: Team, expect: {keep: a}}",
            "Team",
            "'T' is not allowed at offset 0 of a repository name",
        ),
    ] {
        let errors = read(cases).unwrap_err();
        assert_eq!(lines(&errors), [format!("{}{said}", place(cases, at))], "{cases}");
    }
    let both = read("  - {name: a, expect: {keeps: b}}\n  - {nam: b, expect: {keep: x y}}").unwrap_err();
    assert!(both.errors.len() >= 3, "{both}");
    let nameless = CaseFile::read("x", "cases: [{name: a, expect: {keep: a}}]").unwrap_err();
    assert_eq!(
        lines(&nameless),
        [
            "1:1 a file of cases needs `policy` [`policy: lagan.yaml` names the policy, or the configuration, beside this file]",
            "1:9 a case needs `repository` [`repository: team/app`, here or for all cases of the file]"
        ]
    );
}

#[test]
fn a_repository_that_no_policy_names_is_an_error_at_its_place() {
    let file = read("  - {name: a, repository: other/app, expect: {keep: a}}").unwrap();
    let policies = PolicyFile::read("p.yaml", POLICY, "p").unwrap();
    let set = policies.for_registry(&"any".parse().unwrap());
    let errors = file.cases[0].run(&set).unwrap_err();
    assert_eq!(
        lines(&errors),
        ["4:27 no policy names `other/app`: nothing in it would be decided"]
    );
}

#[test]
fn the_kinds_of_reasons_are_those_that_reports_show() {
    let kinds = crate::case::kinds();
    assert!(
        kinds.contains(&"beyond_last") && kinds.contains(&"not_selected"),
        "{kinds:?}"
    );
}
