use super::*;
use crate::sanitize::is_harmful;
use lagan_model::{Immutable, Unknown};

fn rule(name: &str) -> RuleName {
    RuleName {
        policy: PolicyName::from("prereleases"),
        rule: name.into(),
    }
}

fn digest() -> Digest {
    Digest::from_sha256([0xab; 32])
}

fn tag(text: &str) -> Tag {
    text.parse().unwrap()
}

fn time() -> Time {
    "2026-10-01T12:00:05.5Z".parse().unwrap()
}

#[test]
fn reasons_of_periods_labels_and_what_has_no_tag_read_as_one_phrase() {
    let keep = rule("keep ten");
    let period = |rank| {
        (
            Period::Weekly,
            "2026-W40".to_owned(),
            Clock::Created,
            time(),
            rank,
        )
    };
    let newest = |rank, group: Option<std::sync::Arc<str>>| {
        let (period, bucket, clock, at, rank) = period(rank);
        let (rule, count) = (rule("keep ten"), 8);
        Reason::NewestOf {
            rule,
            period,
            bucket,
            clock,
            at,
            rank,
            count,
            group,
        }
    };
    let (kind, bucket, clock, at, _) = period(1);
    let table = [
        (
            newest(3, None),
            "created 2026-10-01T12:00:05Z, the newest of 2026-W40, 3 of the 8 weeks that keep one (prereleases/keep ten)",
        ),
        (
            newest(1, Some("alpine".into())),
            "created 2026-10-01T12:00:05Z, the newest of 2026-W40 in group \"alpine\", 1 of the 8 weeks that keep one (prereleases/keep ten)",
        ),
        (
            Reason::NotNewestOf {
                rule: keep.clone(),
                period: kind,
                bucket: bucket.clone(),
                clock,
                at,
                group: None,
            },
            "created 2026-10-01T12:00:05Z, not the newest of 2026-W40 (prereleases/keep ten)",
        ),
        (
            Reason::BeyondPeriods {
                rule: keep.clone(),
                period: kind,
                bucket,
                clock,
                at,
                rank: 9,
                count: 8,
                group: None,
            },
            "created 2026-10-01T12:00:05Z, beyond the last 8 weeks that have any: 2026-W40 is number 9 (prereleases/keep ten)",
        ),
        (
            Reason::SelectionUnknown {
                rule: keep.clone(),
                why: Unknown::Unreadable,
            },
            "whether the rule selects it cannot be told: its labels or types are not known (not readable) (prereleases/keep ten)",
        ),
        (
            Reason::ProtectionUnknown {
                policy: "prod".into(),
                pattern: "label tier=prod".to_owned(),
                why: Unknown::Missing,
            },
            "whether \"label tier=prod\" of policy prod protects it cannot be told (missing)",
        ),
        (
            Reason::TooYoung {
                rule: keep.clone(),
                at,
                min_age: "24h".parse().unwrap(),
            },
            "pushed 2026-10-01T12:00:05Z, not yet 24h old: its index may still come (prereleases/keep ten)",
        ),
        (
            Reason::SubjectGone { subject: digest() },
            "attached to sha256:abababababab, which is gone; no rule deletes what is left behind",
        ),
        (
            Reason::Superseded {
                rule: keep.clone(),
                by: tag("1.2.0"),
            },
            "superseded by 1.2.0, which is kept (prereleases/keep ten)",
        ),
        (
            Reason::Orphaned {
                rule: keep,
                subject: digest(),
            },
            "attached to sha256:abababababab, which was here and is gone (prereleases/keep ten)",
        ),
    ];
    for (reason, expected) in table {
        assert_eq!(phrase(&reason), expected);
        let json = serde_json::to_value(&reason).unwrap();
        assert_eq!(json["kind"], kind_of(&reason));
        assert_eq!(serde_json::from_value::<Reason>(json).unwrap(), reason);
    }
}

fn kind_of(reason: &Reason) -> &'static str {
    super::kind(reason)
}

#[test]
fn every_reason_that_keeps_reads_as_one_phrase() {
    let rule = rule("keep ten");
    let group: Option<std::sync::Arc<str>> = Some("alpine".into());
    let by = Order::Version;
    let table = [
        (Reason::NotSelected, "no rule selects it"),
        (
            Reason::KeepAll { rule: rule.clone() },
            "the rule keeps all that it selects (prereleases/keep ten)",
        ),
        (
            Reason::Rank {
                rule: rule.clone(),
                rank: 3,
                of: 27,
                last: 10,
                by,
                group: None,
            },
            "rank 3 of 27 by version, keeps 10 (prereleases/keep ten)",
        ),
        (
            Reason::Rank {
                rule: rule.clone(),
                rank: 1003,
                of: 2700,
                last: 1010,
                by,
                group: group.clone(),
            },
            "rank 1,003 of 2,700 by version in group \"alpine\", keeps 1,010 (prereleases/keep ten)",
        ),
        (
            Reason::Fits {
                rule: rule.clone(),
                tags: 1,
                last: 10,
                group: None,
            },
            "1 tag, no more than the 10 that are kept (prereleases/keep ten)",
        ),
        (
            Reason::Fits {
                rule: rule.clone(),
                tags: 4,
                last: 10,
                group,
            },
            "4 tags in group \"alpine\", no more than the 10 that are kept (prereleases/keep ten)",
        ),
        (
            Reason::Within {
                rule: rule.clone(),
                clock: Clock::Created,
                at: time(),
                age: "90d".parse().unwrap(),
            },
            "created 2026-10-01T12:00:05Z, newer than 90d (prereleases/keep ten)",
        ),
        (
            Reason::ClockUnknown {
                rule: rule.clone(),
                clock: Clock::Pushed,
                why: Unknown::NotRecorded,
            },
            "its pushed time is not known (not recorded by this registry) (prereleases/keep ten)",
        ),
        (
            Reason::VersionUnknown {
                rule: rule.clone(),
                by: Order::Semver,
            },
            "it has no version to order by semver (prereleases/keep ten)",
        ),
        (
            Reason::GroupUnknown {
                rule: rule.clone(),
                per: "minor".to_owned(),
            },
            "it has no minor to group by (prereleases/keep ten)",
        ),
        (
            Reason::Protected {
                policy: "prod".into(),
                pattern: "1.*".to_owned(),
                until: None,
                why: None,
            },
            "protected by \"1.*\" of policy prod",
        ),
        (
            Reason::Protected {
                policy: "prod".into(),
                pattern: "1.*".to_owned(),
                until: Some("2027-01-31".parse().unwrap()),
                why: Some("a customer pins it".into()),
            },
            "protected by \"1.*\" of policy prod until 2027-01-31: a customer pins it",
        ),
        (
            Reason::Immutable {
                by: Immutable::Marked,
            },
            "the registry says that it is immutable",
        ),
        (
            Reason::Immutable { by: Immutable::Rule },
            "a rule of its project makes it immutable, although the registry does not say so of it",
        ),
        (
            Reason::Immutable {
                by: Immutable::Unknown,
            },
            "a rule of its project may make it immutable: what the rule means is not known here",
        ),
        (
            Reason::Held {
                until: "2026-11-20T12:00:00Z".parse().unwrap(),
                with: None,
            },
            "it was put back, and is held until 2026-11-20T12:00:00Z",
        ),
        (
            Reason::Held {
                until: "2026-11-20T12:00:00Z".parse().unwrap(),
                with: Some(digest()),
            },
            "it belongs to sha256:abababababab, which was put back, and is held until 2026-11-20T12:00:00Z",
        ),
        (
            Reason::ProxyCache { rule: rule.clone() },
            "in a project that caches another registry, where nothing is deleted: it could not be undone \
             (prereleases/keep ten)",
        ),
        (
            Reason::SharesDigest { with: tag("1.2.0") },
            "shares its digest with kept tag 1.2.0",
        ),
        (
            Reason::ChildOf {
                index: digest(),
                tag: Some(tag("1.2.0")),
            },
            "listed by kept index 1.2.0 (sha256:abababababab)",
        ),
        (
            Reason::ChildOf {
                index: digest(),
                tag: None,
            },
            "listed by kept index sha256:abababababab",
        ),
        (
            Reason::AttachedTo {
                subject: digest(),
                tag: Some(tag("1.2.0")),
            },
            "attached to kept 1.2.0 (sha256:abababababab)",
        ),
        (
            Reason::SubjectOf {
                attachment: digest(),
                tag: Some(tag("sbom")),
            },
            "kept attachment sbom (sha256:abababababab) belongs to it",
        ),
        (
            Reason::SubjectUnseen { subject: digest() },
            "attached to sha256:abababababab, which was not seen and may be there untagged",
        ),
    ];
    for (reason, expected) in table {
        assert!(reason.keeps(), "{reason:?}");
        assert_eq!(phrase(&reason), expected);
        assert_eq!(serde_json::to_value(&reason).unwrap()["kind"], kind(&reason));
    }
}

#[test]
fn every_reason_that_deletes_reads_as_one_phrase() {
    let rule = rule("keep ten");
    let table = [
        (
            Reason::BeyondLast {
                rule: rule.clone(),
                rank: 12,
                of: 27,
                last: 10,
                by: Order::Version,
                group: None,
            },
            "beyond the last 10: rank 12 of 27 by version (prereleases/keep ten)",
        ),
        (
            Reason::BeyondLast {
                rule: rule.clone(),
                rank: 12,
                of: 27,
                last: 10,
                by: Order::Clock(Clock::Pulled),
                group: Some("1.2".into()),
            },
            "beyond the last 10: rank 12 of 27 by pulled in group \"1.2\" (prereleases/keep ten)",
        ),
        (
            Reason::OlderThan {
                rule: rule.clone(),
                clock: Clock::Pushed,
                at: time(),
                age: "30d".parse().unwrap(),
            },
            "pushed 2026-10-01T12:00:05Z, older than 30d (prereleases/keep ten)",
        ),
        (
            Reason::KeepNone { rule },
            "the rule keeps nothing that it selects (prereleases/keep ten)",
        ),
        (
            Reason::DeletedWithIndex { index: digest() },
            "every index that lists it is deleted, the last being sha256:abababababab",
        ),
        (
            Reason::DeletedWithSubject { subject: digest() },
            "attached to sha256:abababababab, which is deleted",
        ),
    ];
    for (reason, expected) in table {
        assert!(!reason.keeps(), "{reason:?}");
        assert_eq!(phrase(&reason), expected);
        assert_eq!(serde_json::to_value(&reason).unwrap()["kind"], kind(&reason));
    }
}

#[test]
fn under_the_name_of_the_only_policy_its_rules_are_named_without_it() {
    let reason = Reason::KeepNone {
        rule: rule("keep ten"),
    };
    let phrase = |only: &str| {
        let understood = Understood {
            policy: Some(&only.into()),
            rule: None,
        };
        phrase_within(&reason, understood)
    };
    assert_eq!(
        phrase("prereleases"),
        "the rule keeps nothing that it selects (keep ten)"
    );
    assert_eq!(
        phrase("another"),
        "the rule keeps nothing that it selects (prereleases/keep ten)"
    );
}

#[test]
fn the_only_rule_that_deletes_is_not_named_again_and_every_other_is() {
    let (only, other) = (rule("keep ten"), rule("another"));
    let understood = Understood {
        policy: Some(&only.policy),
        rule: Some(&only),
    };
    let phrase = |rule: &RuleName| phrase_within(&Reason::KeepNone { rule: rule.clone() }, understood);
    assert_eq!(phrase(&only), "the rule keeps nothing that it selects");
    assert_eq!(phrase(&other), "the rule keeps nothing that it selects (another)");
}

#[test]
fn names_from_a_policy_are_made_harmless() {
    let nasty = "a\n\u{1b}[31m\u{202e}";
    let rule = RuleName {
        policy: nasty.into(),
        rule: nasty.into(),
    };
    for reason in [
        Reason::KeepNone { rule: rule.clone() },
        Reason::Fits {
            rule: rule.clone(),
            tags: 1,
            last: 1,
            group: Some(nasty.into()),
        },
        Reason::GroupUnknown {
            rule,
            per: nasty.to_owned(),
        },
        Reason::Protected {
            policy: nasty.into(),
            pattern: nasty.to_owned(),
            until: None,
            why: Some(nasty.into()),
        },
    ] {
        let text = phrase(&reason);
        assert!(!text.contains(is_harmful), "{text:?}");
        assert!(text.contains("a\\n\\u{1b}[31m\\u{202e}"), "{text:?}");
    }
}

#[test]
fn manifests_are_called_what_people_call_them() {
    let other = "application/wasm".parse().unwrap();
    for (media_type, kind) in [
        (Some(&MediaType::OCI_INDEX), "index"),
        (Some(&MediaType::DOCKER_LIST), "index"),
        (Some(&MediaType::OCI_MANIFEST), "image"),
        (Some(&MediaType::DOCKER_MANIFEST), "image"),
        (Some(&MediaType::OCI_ARTIFACT), "artifact"),
        (Some(&other), "other"),
        (None, "unknown"),
    ] {
        assert_eq!(manifest_kind(media_type), kind);
    }
}
