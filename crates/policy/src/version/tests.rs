//! The table of channels, to the letter; requirements; orders.

use std::cmp::Ordering;

use lagan_model::Tag;
use proptest::prelude::*;

use super::*;

fn read(text: &str) -> TagReading {
    VersionTable::default().read(&text.parse().unwrap())
}

fn channels(rows: &[(&str, Channel)]) {
    for (tag, channel) in rows {
        assert_eq!(read(tag).channel, *channel, "{tag}");
    }
}

#[test]
fn a_release_is_stable() {
    channels(&[
        ("1.2.0", Channel::Stable),
        ("v1.2.0", Channel::Stable),
        ("v1.2.0-release", Channel::Stable),
        ("1.2.0-ga", Channel::Stable),
        ("1.2.0-FINAL", Channel::Stable),
        ("0.0.0", Channel::Stable),
        ("1.2.0_build.5", Channel::Stable),
        ("1.2.0-release_5", Channel::Stable),
        ("2024.01.15", Channel::Stable),
    ]);
}

#[test]
fn prereleases_are_told_apart_by_their_words() {
    channels(&[
        ("v1.2.1-rc", Channel::Rc),
        ("1.2.1-rc.1", Channel::Rc),
        ("1.2.1-rc10", Channel::Rc),
        ("1.2.1-RC.1", Channel::Rc),
        ("1.2.1-cr2", Channel::Rc),
        ("1.2.1-rc-1", Channel::Rc),
        ("1.3.0-beta.2", Channel::Beta),
        ("1.3.0-beta2", Channel::Beta),
        ("1.3.0-b.3", Channel::Beta),
        ("1.3.0-b", Channel::Beta),
        ("1.3.0-m.3", Channel::Beta),
        ("1.3.0-milestone3", Channel::Beta),
        ("1.3.0-alpha", Channel::Alpha),
        ("1.3.0-a.1", Channel::Alpha),
        ("1.3.0-preview.1", Channel::Alpha),
        ("1.3.0-pre1", Channel::Alpha),
        ("1.4.0-nightly.20260101", Channel::Nightly),
        ("1.4.0-snapshot", Channel::Nightly),
        ("1.4.0-dev.7", Channel::Nightly),
        ("1.4.0-canary20260101", Channel::Nightly),
    ]);
}

#[test]
fn a_single_letter_counts_as_a_whole_identifier_only() {
    channels(&[
        ("1.3.0-b200", Channel::Unknown),
        ("2.3.1-a100", Channel::Unknown),
        ("1.3.0-m3", Channel::Unknown),
    ]);
}

#[test]
fn what_has_no_full_version_floats() {
    for tag in [
        "1",
        "v1",
        "1.25",
        "v1.25",
        "7.4-rc",
        "7.4-alpine3.18",
        "1-anything",
        "latest",
        "latest-nightly",
        "stable",
        "edge",
        "Latest",
        "nightly",
    ] {
        let reading = read(tag);
        assert_eq!(
            (reading.channel, reading.version),
            (Channel::Floating, None),
            "{tag}"
        );
    }
}

#[test]
fn a_variant_is_no_channel() {
    for (tag, variant) in [
        ("1.25.3-alpine", "alpine"),
        ("1.25.3-alpine3.18", "alpine3.18"),
        ("1.25.3-alpine-3.18", "alpine-3.18"),
        ("1.25.3-slim-bookworm", "slim-bookworm"),
        ("1.25.3-ALPINE", "alpine"),
        ("1.25.3-amd64", "amd64"),
        ("1.25.3-arm64", "arm64"),
        ("1.25.3-cuda12", "cuda12"),
        ("1.25.3-cuda12.4.1", "cuda12.4.1"),
    ] {
        let reading = read(tag);
        assert_eq!(
            (reading.channel, reading.variant.as_deref()),
            (Channel::Stable, Some(variant)),
            "{tag}"
        );
        assert_eq!(reading.version, read("1.25.3").version, "{tag}");
    }
    let reading = read("1.25.3-rc.1-alpine3.18");
    assert_eq!(
        (reading.channel, reading.variant.as_deref()),
        (Channel::Rc, Some("alpine3.18"))
    );
    assert_eq!(reading.version, read("1.25.3-rc1").version);
}

#[test]
fn a_commit_has_seven_to_forty_hexadecimal_digits_and_a_letter() {
    let forty = "a".repeat(40);
    channels(&[
        ("9f8e7d6", Channel::Commit),
        ("deadbeef", Channel::Commit),
        (&forty, Channel::Commit),
        ("sha-9f8e7d6", Channel::Commit),
        ("sha-1234567", Channel::Commit),
        ("9f8e7d", Channel::Unknown),
        ("9f8e7dg", Channel::Unknown),
        (&format!("{forty}a"), Channel::Unknown),
        ("1234567", Channel::Unknown),
        ("9F8E7D6", Channel::Unknown),
        ("sha-", Channel::Unknown),
        ("sha-main12", Channel::Unknown),
        ("feedback", Channel::Unknown),
        ("defaced", Channel::Commit),
    ]);
}

#[test]
fn an_attachment_names_its_subject() {
    let subject = format!("sha256-{}", "0123456789abcdef".repeat(4));
    for form in ["", ".sig", ".att", ".sbom"] {
        assert_eq!(
            read(&format!("{subject}{form}")).channel,
            Channel::Attachment,
            "{form}"
        );
    }
    for (tag, why) in [
        (format!("{subject}.other"), "another ending"),
        (format!("{subject}.sig.sig"), "two endings"),
        (format!("{subject}0"), "65 digits"),
        (subject[..subject.len() - 1].to_owned(), "63 digits"),
        (subject.to_uppercase(), "upper case"),
        (subject.replace("sha256", "sha512"), "another algorithm"),
    ] {
        assert_eq!(read(&tag).channel, Channel::Unknown, "{why}");
    }
}

#[test]
fn all_else_is_unknown() {
    for tag in [
        "2.3.1-a100",
        "1.4.0-20260101",
        "1.4.0-1",
        "20260101",
        "202601",
        "1.0.0-rc.1-prod",
        "1.0.0-prod",
        "1.0.0-rc.1-beta.2",
        "1.0.0-release-rc.1",
        "1.0.0-",
        "1.0.0--rc.1",
        "1.0.0-rc..1",
        "1.0.0-rc.",
        "1.0.0_",
        "1.0.0-alpine-20260101",
        "1.0.0-alpine20260101",
        "1.0.0-latest",
        "1.0.0rc1",
        "V1.0.0",
        "1.2.3.4",
        "1.2.3.4-rc.1",
        "99999999999999999999.0.0",
        "1.0.0-rc.99999999999999999999",
        "99999999999999999999",
        "v",
        "v.1",
        "1.",
        "1..2",
        "latest-",
        "7.4-",
        "main",
        "feature_x",
        "nightly-20260101",
        "b",
        "_",
    ] {
        assert_eq!(read(tag).channel, Channel::Unknown, "{tag}");
    }
}

#[test]
fn environment_words_are_stable_where_they_are_configured() {
    let mut table = VersionTable::default();
    table.add("Prod", Meaning::Channel(Channel::Stable)).unwrap();
    let of = |text: &str| table.read(&text.parse().unwrap());
    assert_eq!(of("1.0.0-prod").channel, Channel::Stable);
    assert_eq!(of("1.0.0-PROD").version, of("1.0.0").version);
    assert_eq!(
        of("1.0.0-rc.1-prod").channel,
        Channel::Unknown,
        "words of two channels"
    );
    assert_eq!(of("1.0.0-prod-alpine").variant.as_deref(), Some("alpine"));
    for bad in ["", "1st", "a-b", "a.b", "é", "a b"] {
        assert!(table.add(bad, Meaning::Variant).is_err(), "{bad:?}");
    }
    assert_eq!(table.added().keys().collect::<Vec<_>>(), ["prod"]);
}

#[test]
fn what_is_no_version_has_none() {
    assert_eq!(read("2.3.1-a100").version.unwrap().numbers, [2, 3, 1]);
    for tag in ["1.2.3.4", "latest", "1.25", "9f8e7d6", "v"] {
        assert_eq!(read(tag).version, None, "{tag}");
    }
}

#[test]
fn versions_are_ordered_by_numbers_channel_tail_and_build() {
    let ascending = [
        "1.1.0-zzz.1",
        "1.1.0-nightly.20260101",
        "1.1.0-nightly.20260102",
        "1.1.0-alpha",
        "1.1.0-alpha.1",
        "1.1.0-beta.2",
        "1.1.0-rc.2",
        "1.1.0-rc.2_1",
        "1.1.0-rc.10",
        "1.1.0-rc.10.1",
        "1.1.0",
        "1.1.0_2",
        "1.1.0_10",
        "1.1.1-nightly.1",
        "1.2.0",
        "1.10.0",
        "2.0.0-rc.1",
        "2.0.0",
        "10.0.0",
    ];
    for (position, low) in ascending.iter().enumerate() {
        for high in &ascending[position + 1..] {
            assert!(read(low).version < read(high).version, "{low} < {high}");
        }
    }
    assert_eq!(read("1.1.0-rc10").version, read("v1.1.0-RC.10-alpine").version);
}

#[test]
fn requirements_are_ranges_in_the_order_of_the_table() {
    for (requirement, inside, outside) in [
        (
            ">=1.0.0, <2.0.0",
            "1.0.0 v1.5.0 1.5.0-rc.1 1.9.9-alpine 1.5.0-release 1.0.1-nightly.1",
            "0.9.9 1.0.0-rc.1 2.0.0 2.0.0-rc.1",
        ),
        (
            "<2.0.0",
            "1.9.9 0.0.0-rc.1",
            "2.0.0-nightly.1 2.0.0-rc.1 2.0.0 2.0.1",
        ),
        ("<2.0.0-rc.2", "2.0.0-rc.1 2.0.0-beta.1 1.0.0", "2.0.0-rc.2 2.0.0"),
        ("<2", "1.9.9", "2.0.0-rc.1 2.0.0"),
        ("<=1.2.3", "1.2.3 1.2.3-rc.1 1.0.0", "1.2.4-rc.1 1.2.4"),
        ("<=1.2", "1.2.0 1.2.9 1.2.9-rc.1", "1.3.0-rc.1 1.3.0"),
        (">1.2.3", "1.2.4-rc.1 1.2.4 2.0.0", "1.2.3 1.2.3-rc.1 1.2.3_9"),
        (">1.2", "1.3.0-rc.1 1.3.0", "1.2.9"),
        (">=1.2", "1.2.0 1.2.1-rc.1", "1.2.0-rc.1 1.1.9"),
        (
            ">=1.2.0-rc.2",
            "1.2.0-rc.2 1.2.0-rc.10 1.2.0",
            "1.2.0-rc.1 1.2.0-beta.9",
        ),
        (
            "=1.2.3",
            "1.2.3 v1.2.3 1.2.3-alpine 1.2.3-release 1.2.3_7",
            "1.2.3-rc.1 1.2.4",
        ),
        ("=1.2", "1.2.0 1.2.9 1.2.9-rc.1", "1.3.0 1.2.0-rc.1"),
        ("1.*", "1.0.0 1.9.9", "2.0.0 0.9.9"),
        ("1.2.*", "1.2.0 1.2.9", "1.3.0 1.3.0-rc.1"),
        ("~1.2.3", "1.2.3 1.2.9", "1.2.2 1.3.0-rc.1 1.3.0"),
        ("~1", "1.0.0 1.9.0", "2.0.0-rc.1"),
        ("^1.2.3", "1.2.3 1.9.0", "1.2.2 2.0.0-rc.1 2.0.0"),
        ("1.2.3", "1.2.3 1.9.0", "2.0.0"),
        ("^0.2.3", "0.2.3 0.2.9", "0.3.0 0.3.0-rc.1"),
        ("^0.0.3", "0.0.3", "0.0.4 0.0.2"),
        ("^0.0", "0.0.9", "0.1.0"),
        ("^0", "0.9.9", "1.0.0-rc.1"),
        ("*", "0.0.1 1.0.0-rc.1", "latest"),
    ] {
        let range: VersionRequirement = requirement.parse().unwrap();
        for tag in inside.split(' ') {
            assert!(range.matches(&read(tag)), "{tag} is inside {requirement}");
        }
        for tag in outside
            .split(' ')
            .chain(["1", "1.5", "latest", "1.5.0-a100", "9f8e7d6", "main"])
        {
            assert!(!range.matches(&read(tag)), "{tag} is outside {requirement}");
        }
    }
}

#[test]
fn requirements_that_name_no_order_are_refused() {
    for bad in [
        "",
        "one",
        ">=",
        ">=1.0.0 <2.0.0",
        ">=1.0.0+build",
        ">=1.0.0-a100",
        "=>1",
    ] {
        assert!(bad.parse::<VersionRequirement>().is_err(), "{bad:?}");
    }
    let mut table = VersionTable::default();
    table.add("gold", Meaning::Channel(Channel::Rc)).unwrap();
    assert!(">=1.0.0-gold.1".parse::<VersionRequirement>().is_err());
    assert!(VersionRequirement::read(">=1.0.0-gold.1", &table).is_ok());
}

#[test]
fn natural_order_counts_digits_as_numbers() {
    for (low, high) in [
        ("rc.2", "rc.10"),
        ("pr-9", "pr-10"),
        ("1.9", "1.10"),
        ("a", "a1"),
        ("a", "b"),
        ("A", "a"),
        ("1", "a"),
        ("a01", "a1"),
        ("a1", "a02"),
        ("99999999999999999999998", "99999999999999999999999"),
        ("", "a"),
    ] {
        assert_eq!(natural(low, high), Ordering::Less, "{low} < {high}");
        assert_eq!(natural(high, low), Ordering::Greater, "{high} > {low}");
    }
}

/// Tags in which versions, words and digits meet often.
fn text() -> impl Strategy<Value = Tag> {
    let any = "[0-9a-zA-Z_][0-9a-zA-Z_.-]{0,12}";
    let version = "v?[0-2]\\.[0-2]\\.(0|1|01|10)(-(rc|beta|b|a|nightly|alpine|release|x|prod)?[.-]?[0-9]{0,3}(-alpine|-rc)?)?(_[0-9a-z]{1,2})?";
    prop_oneof![version, "[a-c0-1][a-c0-1.-]{0,5}", any].prop_map(|text: String| text.parse().unwrap())
}

fn total<T>(a: &T, b: &T, c: &T, compare: impl Fn(&T, &T) -> Ordering) {
    assert_eq!(compare(a, b), compare(b, a).reverse(), "antisymmetric");
    assert_eq!(compare(a, a), Ordering::Equal);
    if compare(a, b).is_le() && compare(b, c).is_le() {
        assert!(compare(a, c).is_le(), "transitive");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_order_is_total(a in text(), b in text(), c in text()) {
        total(&a, &b, &c, |a, b| natural(a.as_str(), b.as_str()));
        prop_assert_eq!(natural(a.as_str(), b.as_str()) == Ordering::Equal, a == b);
        let versions = [&a, &b, &c].map(|tag| read(tag.as_str()).version);
        if let [Some(a), Some(b), Some(c)] = &versions {
            total(a, b, c, Ord::cmp);
            prop_assert_eq!(a.cmp(b) == Ordering::Equal, a == b);
        }
    }

    #[test]
    fn a_full_version_is_in_a_channel_of_full_versions_and_nothing_else_is(tag in text()) {
        let reading = read(tag.as_str());
        match &reading.version {
            Some(version) => {
                prop_assert_eq!(version.channel, reading.channel);
                prop_assert!(reading.channel <= Channel::Stable);
            }
            None => prop_assert!(reading.channel > Channel::Stable || reading.channel == Channel::Unknown),
        }
        if reading.channel == Channel::Unknown {
            prop_assert_eq!(reading.variant, None);
        }
    }

    #[test]
    fn the_case_of_a_suffix_does_not_count(tag in "[0-2]\\.[0-2]\\.[0-2]-[a-cA-CrR]{1,2}[.-]?[0-9]{0,2}") {
        prop_assert_eq!(read(&tag), read(&tag.to_lowercase()));
    }
}
