//! The native form: what is printed reads back as what it was printed from.

use lagan_policy::{Age, Clock, Keep, KeepLine, Order, Per, Period, Policy};
use proptest::prelude::*;

use crate::{OneLiner, PolicyFile, native_file, native_policy, one_liner};

/// A policy with everything that the language has.
const WHOLE: &str = r##"
channels: {stable: [prod, "ga2"], variant: hardened}
policies:
  everything:
    registry: harbor
    repositories: ["team/**", 'a{b,c}']
    exclude_repositories: ["team/base"]
    mode: enforce
    rules:
      - name: "off: it's #1"
        select:
          tags: ["*-rc.*", "1.10", 'null']
          exclude: ["keep'me"]
          regex: '^(?<b>pr)-\d+$'
          channel: [prerelease, stable]
          version: ">=1.0.0, <2.0.0"
          labels: {tier: [scratch, "tmp*"], "org.example/owner": "*"}
          media_type: "application/vnd.oci.image.manifest.v1+json"
          artifact_type: ["application/vnd.cncf.helm.config.v1+json"]
          superseded: true
        keep:
          - {last: 10, by: version, per: channel}
          - {last: 3, by: created, daily: 7, weekly: 4, monthly: 12, yearly: 2, timezone: Europe/Berlin}
          - {within: {pushed: 30d, pulled: 2w}, unless_older_than: {created: 180d}}
        allow_empty_repository: true
      - select: {untagged: true, min_age: 12h, labels: {tier: scratch}}
        keep: {last: 2, by: pushed}
      - select: {untagged: true}
        keep: none
      - select: {orphaned: true}
        keep: {within: {observed: 30d}}
      - select: {channel: rc}
        keep: {unless_older_than: {created: 90d}}
        allow_empty_repository: true
      - select: {channel: rc}
        keep: all
    protect:
      - {tags: ["v1.*"], until: 2027-01-31, why: "the audit says so: \"keep\""}
      - regex: '.*-lts'
      - channel: stable
      - {labels: {keep: "*"}, why: an owner asked}
      - signed: true
    limits: {max_deletions: off, max_percent_per_repository: 50%, keep_at_least: 3, max_change_from_last_run: 3x}
  plain:
    repositories: a
    rules: [{select: {tags: "*"}, keep: {last: 1, by: name}}]
    limits: {max_change_from_last_run: off}
"##;

fn read(text: &str) -> PolicyFile {
    PolicyFile::read("p.yaml", text, "p").unwrap_or_else(|errors| panic!("{errors}\n{text}"))
}

#[test]
fn what_is_printed_reads_back_as_the_same_policies_and_words() {
    let file = read(WHOLE);
    let text = native_file(&file.policies, &file.versions);
    let again = read(&text);
    assert_eq!(again.policies, file.policies, "{text}");
    assert_eq!(again.versions.added(), file.versions.added(), "{text}");
    assert_eq!(native_file(&again.policies, &again.versions), text);
    for entry in &file.policies {
        let name = entry.policy.name.to_string();
        let alone = PolicyFile::read("p.yaml", native_policy(&entry.policy), &name).unwrap();
        let hash = |policy: &Policy| policy.sha256(&file.versions);
        assert_eq!(hash(&alone.policies[0].policy), hash(&entry.policy));
    }
}

#[test]
fn json_of_a_policy_is_the_native_form_too() {
    for entry in read(WHOLE).policies {
        let json = serde_json::to_string(&entry.policy).unwrap();
        let again = PolicyFile::read("p.json", &json, &entry.policy.name.0).unwrap_or_else(|e| panic!("{e}"));
        assert_eq!(again.policies[0].policy, entry.policy, "{json}");
    }
}

#[test]
fn it_reads_as_people_write_it() {
    let file = read(
        "policies:\n  tidy:\n    repositories: 'team/*'\n    rules:\n    - name: ten\n      select: {channel: prerelease}\n      keep: {last: 10, by: version, within: {created: 30d}}\n",
    );
    assert_eq!(
        native_file(&file.policies, &file.versions),
        "\
policies:
  tidy:
    repositories: ['team/*']
    mode: dry-run
    rules:
      - name: ten
        select: {channel: [prerelease]}
        keep:
          last: 10
          by: version
          within: {created: 30d}
    limits:
      max_deletions: 500
      max_percent_per_repository: off
      keep_at_least: 1
      max_change_from_last_run: 5x
"
    );
}

#[test]
fn arguments_that_no_single_mapping_could_say_print_as_several() {
    let texts = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
    let policy = one_liner(&OneLiner {
        repositories: &texts(&["a"]),
        select: &texts(&[
            "label=tier=scratch",
            "label=tier=tmp",
            "label=team=x=y",
            "media_type=a/b",
            "superseded=true",
        ]),
        keep: &texts(&[
            "last=10,by=version",
            "daily=7,weekly=4,by=created,timezone=Europe/Berlin",
            "within=pulled:30d",
            "unless_older_than=created:1000d",
        ]),
        protect: &texts(&["label=tier=prod", "signed=true", "v1.*"]),
        allow_empty_repository: true,
        versions: &lagan_policy::VersionTable::default(),
    })
    .unwrap_or_else(|errors| panic!("{errors}"));
    let labels = &policy.rules[0].select.labels;
    assert_eq!(labels["tier"].len(), 2);
    assert_eq!(labels["team"][0].as_str(), "x=y");
    assert_eq!(policy.protect.len(), 3);
    let text = native_policy(&policy);
    let again = PolicyFile::read("p.yaml", &text, "command line").unwrap_or_else(|e| panic!("{e}\n{text}"));
    assert_eq!(again.policies[0].policy, policy, "{text}");
}

fn line() -> impl Strategy<Value = KeepLine> {
    let per = || prop_oneof![Just(Per::Repository), Just(Per::Variant), Just(Per::Minor)];
    let clock = || proptest::sample::select(Clock::ALL.to_vec());
    let age = (1u32..99).prop_map(|days| format!("{days}d").parse::<Age>().unwrap());
    let zone = proptest::sample::select(vec!["UTC", "Europe/Berlin", "America/St_Johns"]);
    let by = proptest::sample::select(Order::ALL.to_vec());
    prop_oneof![
        (1u32..9, by, per()).prop_map(|(count, by, per)| KeepLine::Last { count, by, per }),
        (
            1u32..9,
            proptest::sample::select(Period::ALL.to_vec()),
            clock(),
            per(),
            zone
        )
            .prop_map(|(count, period, clock, per, zone)| KeepLine::Period {
                period,
                count,
                clock,
                per,
                timezone: zone.parse().unwrap(),
            }),
        (clock(), age).prop_map(|(clock, age)| KeepLine::Within { clock, age }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_lines_in_any_order_read_back(
        lines in prop::collection::vec(line(), 1..6),
        narrowing in prop::option::of(Just((Clock::Pushed, "9d".parse::<Age>().unwrap()))),
        label in "[ -~\u{80}-\u{2fff}\n\t]{1,20}",
    ) {
        let mut policy = read(WHOLE).policies.remove(1).policy;
        policy.rules[0].keep = Keep { lines, unless_older_than: narrowing };
        policy.rules[0].allow_empty_repository = true;
        if !label.chars().any(char::is_control) && !label.trim().is_empty() {
            policy.rules[0].name = label.as_str().into();
        }
        let text = native_policy(&policy);
        let again = PolicyFile::read("p.yaml", &text, "plain").unwrap_or_else(|e| panic!("{e}\n{text}"));
        prop_assert_eq!(&again.policies[0].policy, &policy, "{}", text);
    }
}
