use lagan_model::RegistryKind;
use lagan_policy::reason::RuleName;
use lagan_policy::{Order, VersionTable};

use super::*;

fn digest(byte: u8) -> Digest {
    Digest::from_sha256([byte; 32])
}

fn explanation(tag: &str) -> Explanation {
    let tag: Tag = tag.parse().unwrap();
    let rule = RuleName {
        policy: "prereleases".into(),
        rule: "keep two".into(),
    };
    let related = |byte, tags: &[&str]| Related {
        digest: digest(byte),
        tags: tags.iter().map(|tag| tag.parse().unwrap()).collect(),
    };
    let selection = |rule: &str, selected, why: &str| Selection {
        policy: "prereleases".into(),
        rule: rule.to_owned(),
        selected,
        why: why.to_owned(),
    };
    Explanation {
        registry: RegistryIdentity {
            name: "harbor".parse().unwrap(),
            url: "https://harbor.example.com".to_owned(),
            kind: RegistryKind::Oci,
        },
        repository: "team/app".parse().unwrap(),
        digest: Some(digest(0xb3)),
        now: "2026-11-20T12:00:00Z".parse().unwrap(),
        reading: VersionTable::default().read(&tag),
        tag,
        selections: vec![
            selection("keep two", true, "channel rc is one of prerelease"),
            selection("old builds", false, "tags `build-*` do not match"),
        ],
        verdict: Verdict::Kept,
        reasons: vec![
            Reason::SharesDigest {
                with: "1.2.0".parse().unwrap(),
            },
            Reason::BeyondLast {
                rule,
                rank: 3,
                of: 5,
                last: 2,
                by: Order::Version,
                group: None,
            },
        ],
        relations: Relations {
            same_digest: vec!["1.2.0".parse().unwrap(), "latest".parse().unwrap()],
            children: vec![related(0xc1, &[]), related(0xc2, &["1.2.0-amd64"])],
            ..Relations::default()
        },
        incomplete: None,
    }
}

fn text(explanation: &Explanation) -> String {
    let mut out = Vec::new();
    explanation.write_text(&mut out, false).unwrap();
    String::from_utf8(out).unwrap()
}

#[test]
fn an_explanation_says_the_verdict_first_and_then_everything_that_led_to_it() {
    insta::assert_snapshot!(text(&explanation("1.2.1-rc.10-alpine_b1")), @r"
    team/app:1.2.1-rc.10-alpine_b1  on harbor (https://harbor.example.com)
    is kept
      keeps         shares its digest with kept tag 1.2.0
      would delete  beyond the last 2: rank 3 of 5 by version (prereleases/keep two)

    What it is
      digest        sha256:b3b3b3b3b3b3b3b3b3b3b3b3b3b3b3b3b3b3b3b3b3b3b3b3b3b3b3b3b3b3b3b3
      reads as      rc, version 1.2.1, number 10, build b1, variant alpine
      as of         2026-11-20T12:00:00Z

    Rules
      selected      prereleases/keep two: channel rc is one of prerelease
      not selected  prereleases/old builds: tags `build-*` do not match

    Relations
      same digest   1.2.0, latest
      lists         sha256:c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1 untagged
                    sha256:c2c2c2c2c2c2c2c2c2c2c2c2c2c2c2c2c2c2c2c2c2c2c2c2c2c2c2c2c2c2c2c2 1.2.0-amd64
    ");
}

#[test]
fn json_says_the_same_in_a_stable_order() {
    let mut out = Vec::new();
    explanation("1.2.1-rc.10-alpine_b1").write_json(&mut out).unwrap();
    let json = String::from_utf8(out).unwrap();
    let expected = concat!(
        r#"{"schema":"lagan.explain/v1","#,
        r#""registry":{"name":"harbor","url":"https://harbor.example.com","kind":"oci"},"#,
        r#""repository":"team/app","tag":"1.2.1-rc.10-alpine_b1","#,
        r#""digest":"sha256:b3b3b3b3b3b3b3b3b3b3b3b3b3b3b3b3b3b3b3b3b3b3b3b3b3b3b3b3b3b3b3b3","#,
        r#""now":"2026-11-20T12:00:00Z","verdict":"kept","#,
        r#""reasons":[{"kind":"shares_digest","with":"1.2.0"},{"kind":"beyond_last","policy":"prereleases","#,
        r#""rule":"keep two","rank":3,"of":5,"last":2,"by":"version"}],"#,
        r#""reading":{"channel":"rc","version":{"numbers":[1,2,1],"tail":"10","build":"b1"},"variant":"alpine"},"#,
        r#""selections":[{"policy":"prereleases","rule":"keep two","selected":true,"#,
        r#""why":"channel rc is one of prerelease"},{"policy":"prereleases","rule":"old builds","#,
        r#""selected":false,"why":"tags `build-*` do not match"}],"#,
        r#""relations":{"same_digest":["1.2.0","latest"],"children":["#,
        r#"{"digest":"sha256:c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1","tags":[]},"#,
        r#"{"digest":"sha256:c2c2c2c2c2c2c2c2c2c2c2c2c2c2c2c2c2c2c2c2c2c2c2c2c2c2c2c2c2c2c2c2","#,
        r#""tags":["1.2.0-amd64"]}],"parents":[],"attachments":[],"subjects":[]},"incomplete":null}"#,
        "\n",
    );
    assert_eq!(json, expected);
}

#[test]
fn every_verdict_has_its_words() {
    for (verdict, words, label) in [
        (
            Verdict::Kept,
            "\nis kept\n",
            "\n  would delete  beyond the last 2",
        ),
        (
            Verdict::Deleted,
            "\nwould be deleted, with its artifact\n",
            "\n  deletes       beyond the last 2",
        ),
        (
            Verdict::Untagged,
            "\nwould be untagged: its artifact stays\n",
            "\n  deletes       beyond the last 2",
        ),
    ] {
        let text = text(&Explanation {
            verdict,
            ..explanation("1.2.0-rc.1")
        });
        assert!(text.contains(words) && text.contains(label), "{text}");
    }
}

#[test]
fn tags_read_as_what_their_channel_is() {
    for (tag, expected) in [
        ("1.25.3-alpine", "stable, version 1.25.3, variant alpine"),
        (
            "2.3.1-a100",
            "unknown, version 2.3.1, with an unknown suffix a100",
        ),
        ("latest", "floating, no full version"),
        ("9f8e7d6", "commit, no full version"),
    ] {
        let text = text(&explanation(tag));
        assert!(
            text.contains(&format!("\n  reads as      {expected}\n")),
            "{tag}: {text}"
        );
    }
}

#[test]
fn what_is_not_known_is_said_and_what_is_nasty_is_escaped() {
    let mut explanation = explanation("1.2.0-rc.1");
    explanation.digest = None;
    explanation.relations = Relations::default();
    explanation.selections = Vec::new();
    explanation.reasons = vec![Reason::NotSelected];
    explanation.incomplete = Some(Incomplete {
        why: "GET /v2/: \u{1b}]0;owned\u{7}\nis kept".to_owned(),
    });
    let text = text(&explanation);
    assert!(
        !text
            .lines()
            .any(|line| line.contains(crate::sanitize::is_harmful)),
        "{text:?}"
    );
    for line in [
        "  INCOMPLETE    nothing is decided in this repository: GET /v2/: \\u{1b}]0;owned\\u{7}\\nis kept\n",
        "  digest        not asked for: nothing depends on it\n",
        "Rules\n  none          no policy names this repository\n",
        "Relations\n  none          that was seen, or that had to be asked for\n",
    ] {
        assert!(text.contains(line), "{text}");
    }
}

#[test]
fn many_relations_are_cut_and_say_where_the_rest_is() {
    let mut explanation = explanation("1.2.0");
    let child = explanation.relations.children[0].clone();
    explanation.relations.children = vec![child; 25];
    let text = text(&explanation);
    assert_eq!(text.matches("sha256:c1").count(), 20);
    assert!(text.contains("and 5 more (all are in --format json)\n"), "{text}");
}
