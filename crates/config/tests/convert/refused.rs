//! Documents that are wrong, or mean something that nobody documented: errors with their places, all at once.

use lagan_config::{ConvertOptions, Format, PolicyFile, convert};

fn lines(errors: &lagan_config::ConfigErrors) -> Vec<String> {
    let line = |error: &lagan_config::ConfigError| {
        let hint = error
            .hint
            .as_ref()
            .map(|hint| format!(" [{hint}]"))
            .unwrap_or_default();
        format!("{}:{} {}{hint}", error.line, error.column, error.message)
    };
    errors.errors.iter().map(line).collect()
}

fn refused(from: Option<Format>, document: &str) -> Vec<String> {
    let options = ConvertOptions {
        from,
        name: "p",
        attached_to: None,
    };
    match convert("p.json", document, &options) {
        Ok(conversion) => panic!("{document}\n{}", conversion.text),
        Err(errors) => lines(&errors),
    }
}

#[test]
fn every_error_of_a_lifecycle_rule_is_told_at_once() {
    let text = r#"rules:
- disabled: "yes"
  action: retain
  tag_selectors: [{kind: glob, pattern: "("}]
  repo_selectors: ["a["]
  deletion_count: 0
  select: {}
- action: remove
  tag_selectors: [{kind: semver, pattern: a}, {kind: semver, pattern: b}]
  scope_selectors: {repository: ["team/*"]}
  repo_selectors: ["*/app"]
  deletion_count: 3
- action: remove
  tag_selectors: [{kind: semver, pattern: a}]
"#;
    let errors = lines(&PolicyFile::read("p.yaml", text, "p").unwrap_err());
    assert_eq!(
        errors,
        [
            "2:13 expected true or false, found the text `yes`",
            "3:11 the action `retain` is not known [Harbor's own rules retain: `lagan policy convert --from harbor` reads them]",
            "4:26 `glob` is not one of semver",
            "4:41 not a regular expression: unclosed group",
            "5:20 not a glob: unclosed character class; missing ']'",
            "6:19 `deletion_count` is the number kept, and 0 would keep none [a native rule with `keep: none` and `allow_empty_repository: true` says so]",
            "7:3 unknown key `select` in a lifecycle rule [a lifecycle rule has name, disabled, action, tag_selectors, repo_selectors, scope_selectors, deletion_count, dry_run]",
            "9:47 several tag selectors: the dialect does not say whether any of them selects, or all of them together [for any of them write one pattern, `(A)|(B)`, or a rule for each]",
            "10:20 `scope_selectors` and `repo_selectors` both narrow, and there is no one glob for what both name [say it in `repo_selectors`, and leave `scope_selectors` at \"**\"]",
            "13:3 this rule names no repositories [add `repo_selectors: [\"team/*\"]`: `*` stays within one path segment, `**` does not]",
            "13:3 a lifecycle rule needs `deletion_count` [it is the number that is kept: `deletion_count: 10` keeps the ten newest]",
        ]
    );
}

#[test]
fn a_file_of_disabled_rules_deletes_nothing_and_is_no_policy() {
    let text = "rules:\n- {disabled: true, action: remove, tag_selectors: [{kind: semver, pattern: a}], repo_selectors: a, deletion_count: 1}\n";
    let errors = lines(&PolicyFile::read("p.yaml", text, "p").unwrap_err());
    assert_eq!(
        errors,
        ["1:1 every rule is disabled [a file of policies has at least one rule that is not]"]
    );
}

#[test]
fn a_foreign_document_is_no_policy_file_and_the_hint_says_what_is() {
    let ecr = r#"{"rules": [{"rulePriority": 1, "selection": {}}]}"#;
    let errors = lines(&PolicyFile::read("p.json", ecr, "p").unwrap_err());
    assert_eq!(
        errors,
        [
            "1:1 this is a lifecycle policy of Amazon ECR [`lagan policy convert FILE` prints it as a policy file]"
        ]
    );
    let gar = r#"[{"name": "a", "action": {"type": "Delete"}, "condition": {}}]"#;
    assert!(
        lines(&PolicyFile::read("p.json", gar, "p").unwrap_err())[0].contains("Google Artifact Registry")
    );
}

#[test]
fn what_is_native_or_unknown_is_not_converted() {
    let native = "repositories: a\nrules: [{select: {tags: a}, keep: all}]\n";
    assert_eq!(
        refused(None, native),
        ["1:1 this is a policy file already [`lagan check FILE` reads it]"]
    );
    assert_eq!(
        refused(None, "a: 1\n"),
        [
            "1:1 this is no format that is known here [name it, if it is: --from lifecycle-rules, harbor, ecr, artifact-registry, zot]"
        ]
    );
}

#[test]
fn errors_in_documents_of_vendors_have_their_places() {
    for (document, wanted) in [
        (
            r#"{"rules": [
{"rulePriority": 1, "selection": {"tagStatus": "tagged", "countType": "imageCountMoreThan", "countNumber": 1}, "action": {"type": "expire"}},
{"rulePriority": 1, "selection": {"tagStatus": "untagged", "countType": "sinceImagePushed", "countNumber": 0}, "action": {"type": "delete"}},
{"rulePriority": 2, "selection": {"tagStatus": "some", "tagPrefixList": ["a*"], "countType": "x", "countUnit": "weeks", "countNumber": 1}}
]}"#,
            &[
                "2:21 `tagStatus` tagged needs one of `tagPatternList` and `tagPrefixList`",
                "3:18 two rules have the priority 1, the first is on line 2",
                "3:108 `countNumber` is 1 or more",
                "3:131 `delete` is not one of expire, transition",
                "4:1 a rule of a lifecycle policy needs `action`",
                "4:48 `some` is not one of tagged, untagged, any",
                "4:74 `a*` matches no tag",
                "4:94 `x` is not one of imageCountMoreThan, sinceImagePushed, sinceImagePulled, sinceImageTransitioned",
                "4:112 `weeks` is not one of days",
            ][..],
        ),
        (
            r#"{"algorithm": "and", "rules": [{"template": "newest", "params": {}, "tag_selectors": [{"kind": "label", "decoration": "with", "pattern": "x", "extras": "{\"a\":1}"}]}]}"#,
            &[
                "1:15 `and` is not one of or",
                "1:45 `newest` is not one of latestPushedK, latestPulledN, latestActiveK, nDaysSinceLastPush, nDaysSinceLastPull, lastXDays, always",
                "1:96 `label` is not one of doublestar",
                "1:119 `with` is not one of matches, excludes",
                "1:153 `{\"a\":1}` is not known [it reads `\"{\\\"untagged\\\":true}\"`]",
            ],
        ),
        (
            r#"[{"name": "a", "action": {"type": "Remove"}, "condition": {"tagState": "old", "olderThan": "1y", "what": 1}},
{"name": "b", "action": {"type": "Delete"}, "mostRecentVersions": {"keepCount": 1}}]"#,
            &[
                "1:35 `Remove` is neither Delete nor Keep",
                "1:72 `old` is none of tagged, untagged, any",
                "1:92 `1y` cannot be read [a length of time reads `30d`, `12h` or `2592000s`]",
                "1:98 unknown key `what` in `condition` [`condition` has tagState, tagPrefixes, versionNamePrefixes, packageNamePrefixes, olderThan, newerThan]",
                "2:1 only a Keep policy has `mostRecentVersions`",
            ],
        ),
        (
            r#"{"retention": {"delay": "1 day", "policies": [{"keepTags": [{"patterns": ["("], "pushedWithin": "0h", "newest": 1}]}]}}"#,
            &[
                "1:25 `1 day` cannot be read [a length of time reads `168h` or `30m`]",
                "1:47 a retention policy needs `repositories`",
                "1:75 not a regular expression: unclosed group",
                "1:97 0 seconds are no time, or more than a thousand years",
                "1:103 unknown key `newest` in an entry of `keepTags` [an entry of `keepTags` has patterns, pulledWithin, pushedWithin, mostRecentlyPulledCount, mostRecentlyPushedCount]",
            ],
        ),
        (
            r#"{"lifecyclePolicyText": "{}", "repositoryName": "a"}"#,
            &[
                "1:1 this is the answer around a lifecycle policy [add `--query lifecyclePolicyText --output text` to `aws ecr get-lifecycle-policy`]",
            ],
        ),
    ] {
        assert_eq!(refused(None, document), wanted, "{document}");
    }
}

mod strange {
    use proptest::prelude::*;

    use super::*;

    const DOCUMENTS: &[&str] = &[
        include_str!("../../../../config/convert/lifecycle-rules.yaml"),
        include_str!("../../../../config/convert/harbor.json"),
        include_str!("../../../../config/convert/ecr.json"),
        include_str!("../../../../config/convert/artifact-registry.json"),
        include_str!("../../../../config/convert/zot.json"),
    ];

    proptest! {
        #![proptest_config(ProptestConfig { cases: 150, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn a_document_with_anything_put_anywhere_is_converted_or_refused_and_what_is_printed_reads(
            document in proptest::sample::select(DOCUMENTS),
            at in any::<proptest::sample::Index>(),
            cut in 0_usize..30,
            put in prop_oneof![
                "[ -~]{0,4}",
                "\\PC{0,2}",
                proptest::sample::select(vec!["0", "99999999999", "null", "\"\"", "[]", "{}", "true", "**", "{a/b,c}", "\\u0000"])
                    .prop_map(str::to_owned),
            ],
        ) {
            let chars: Vec<char> = document.chars().collect();
            let at = at.index(chars.len());
            let mut changed: String = chars[..at].iter().collect();
            changed.push_str(&put);
            changed.extend(&chars[(at + cut).min(chars.len())..]);
            let options = ConvertOptions { from: None, name: "p", attached_to: None };
            match convert("p.json", &changed, &options) {
                Ok(conversion) => {
                    let read = PolicyFile::read("p.yaml", &conversion.text, "other")
                        .unwrap_or_else(|errors| panic!("{errors}\n{}", conversion.text));
                    prop_assert_eq!(read.policies, conversion.policies);
                }
                Err(errors) => prop_assert!(!errors.errors.is_empty()),
            }
        }
    }
}
