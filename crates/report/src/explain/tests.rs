use lagan_model::RegistryKind;
use lagan_policy::reason::RuleName;
use lagan_policy::{Order, VersionTable};
use serde_json::json;

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
    let rule_trail = |name: &str, keep, selected, why: &str| RuleTrail {
        name: name.to_owned(),
        keep,
        selected: Some(selected),
        why: why.to_owned(),
    };
    let policy = |name: &str, asked, rules| PolicyTrail {
        name: name.into(),
        mode: Mode::DryRun,
        asked,
        untag: asked,
        rules,
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
        policies: vec![
            policy(
                "prereleases",
                true,
                vec![
                    rule_trail(
                        "keep two",
                        json!({"last": 2, "by": "version", "per": "variant", "within": {"pushed": "30d"}}),
                        true,
                        "every condition holds",
                    ),
                    rule_trail("old builds", json!("none"), false, "no glob of `tags` matches"),
                ],
            ),
            policy(
                "releases",
                false,
                vec![rule_trail(
                    "some",
                    json!({"within": {"created": "1w"}}),
                    true,
                    "every condition holds",
                )],
            ),
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
        rollout: None,
        replayed: None,
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

    1. The tag
      digest        sha256:b3b3b3b3b3b3b3b3b3b3b3b3b3b3b3b3b3b3b3b3b3b3b3b3b3b3b3b3b3b3b3b3
      reads as      rc, version 1.2.1, number 10, build b1, variant alpine
      as of         2026-11-20T12:00:00Z

    2. Policies
      policy prereleases (dry-run)
        rule keep two: keeps last 2 by version per variant, within pushed 30d
          selects it    every condition holds
          would delete  beyond the last 2: rank 3 of 5 by version
          candidate     but something else keeps it
        rule old builds: keeps nothing
          passes over   no glob of `tags` matches
      policy releases (dry-run, not asked for: it only keeps, leaves single tags alone)
        rule some: keeps within created 1w
          selects it    every condition holds
          abstains      it does not keep it, and makes no candidates here

    3. Relations
      same digest   1.2.0, latest
      lists         sha256:c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1 untagged
                    sha256:c2c2c2c2c2c2c2c2c2c2c2c2c2c2c2c2c2c2c2c2c2c2c2c2c2c2c2c2c2c2c2c2 1.2.0-amd64
      keeps         shares its digest with kept tag 1.2.0

    4. Verdict
      kept          1 reason to keep it, 1 to delete it: keep beats delete
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
        r#""policies":[{"policy":"prereleases","mode":"dry-run","asked":true,"untag":true,"rules":["#,
        r#"{"rule":"keep two","keep":{"last":2,"by":"version","per":"variant","within":{"pushed":"30d"}},"#,
        r#""selected":true,"why":"every condition holds","vote":"gives_up","reasons":["#,
        r#"{"kind":"beyond_last","policy":"prereleases","rule":"keep two","rank":3,"of":5,"last":2,"by":"version"}]},"#,
        r#"{"rule":"old builds","keep":"none","selected":false,"why":"no glob of `tags` matches","vote":null,"#,
        r#""reasons":[]}],"protects":[]},{"policy":"releases","mode":"dry-run","asked":false,"untag":false,"rules":["#,
        r#"{"rule":"some","keep":{"within":{"created":"1w"}},"selected":true,"why":"every condition holds","#,
        r#""vote":"abstains","reasons":[]}],"protects":[]}],"#,
        r#""relations":{"same_digest":["1.2.0","latest"],"children":["#,
        r#"{"digest":"sha256:c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1","tags":[]},"#,
        r#"{"digest":"sha256:c2c2c2c2c2c2c2c2c2c2c2c2c2c2c2c2c2c2c2c2c2c2c2c2c2c2c2c2c2c2c2c2","#,
        r#""tags":["1.2.0-amd64"]}],"parents":[],"attachments":[],"subjects":[]},"incomplete":null,"replayed":null}"#,
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
    explanation.policies = Vec::new();
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
        "2. Policies\n  none          no policy names this repository\n",
        "3. Relations\n  none          that was seen, or that had to be asked for\n",
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

#[test]
fn a_replay_says_whether_the_plan_recorded_the_same() {
    let mut explanation = explanation("1.2.0-rc.1");
    let mut replayed = Replayed {
        plan: "01KAJ3E5Z0000000000000000A".to_owned(),
        created: explanation.now,
        recorded: None,
        others_differ: false,
    };
    explanation.replayed = Some(replayed.clone());
    let same =
        "  replayed      plan 01KAJ3E5Z0000000000000000A of 2026-11-20T12:00:00Z, which recorded the same\n";
    let said = text(&explanation);
    assert!(said.contains(same) && !said.contains("DIFFERS"), "{said}");

    replayed.others_differ = true;
    explanation.replayed = Some(replayed.clone());
    let said = text(&explanation);
    assert!(
        said.contains(same) && said.contains("  DIFFERS       other tags"),
        "{said}"
    );

    replayed.recorded = Some(Recorded {
        verdict: Verdict::Deleted,
        reasons: vec![Reason::NotSelected],
    });
    explanation.replayed = Some(replayed);
    let said = text(&explanation);
    assert!(
        said.contains("recorded it as deleted: no rule\n") && !said.contains("recorded the same"),
        "{said}"
    );
}

#[test]
fn what_a_rule_and_its_policy_say_stands_under_them_and_nothing_else_does() {
    let mut explanation = explanation("1.2.0-rc.1");
    let rule = RuleName {
        policy: "releases".into(),
        rule: "some".into(),
    };
    explanation.policies[1].name = "rel\u{202e}eases".into();
    explanation.reasons = vec![
        Reason::KeepAll {
            rule: RuleName {
                policy: "rel\u{202e}eases".into(),
                ..rule
            },
        },
        Reason::Protected {
            policy: "prereleases".into(),
            pattern: "*\u{1b}[2J".to_owned(),
            until: None,
            why: None,
        },
    ];
    let said = text(&explanation);
    assert!(
        !said
            .lines()
            .any(|line| line.contains(crate::sanitize::is_harmful)),
        "{said:?}"
    );
    let at = |text: &str| said.find(text).unwrap_or_else(|| panic!("{text}: {said}"));
    let (protects, second) = (at("    protects"), at("policy rel\\u{202e}eases"));
    assert!(protects < second);
    assert!(at("      keeps         the rule keeps all that it selects\n") > second);
    // The first policy's rule selects it, and nothing of it is among the reasons.
    assert!(said.contains("2 reasons to keep it, none to delete it"), "{said}");
}

#[test]
fn what_may_select_or_protect_is_told_from_what_does() {
    let mut explanation = explanation("1.2.0-rc.1");
    explanation.policies[0].rules[0].selected = None;
    explanation.policies[0].rules[0].why = "a condition depends on what is not known".to_owned();
    explanation.reasons = vec![
        Reason::SelectionUnknown {
            rule: RuleName {
                policy: "prereleases".into(),
                rule: "keep two".into(),
            },
            why: lagan_model::Unknown::Unreadable,
        },
        Reason::ProtectionUnknown {
            policy: "prereleases".into(),
            pattern: "label tier=prod".to_owned(),
            why: lagan_model::Unknown::Unreadable,
        },
    ];
    let said = text(&explanation);
    for line in [
        "      not known     a condition depends on what is not known\n      keeps         ",
        "    protects        ",
        "3. Relations\n  same digest",
    ] {
        assert!(said.contains(line), "{line}: {said}");
    }
    assert!(!said.contains("      candidate"), "{said}");
    let mut out = Vec::new();
    explanation.write_json(&mut out).unwrap();
    let json: serde_json::Value = serde_json::from_slice(&out).unwrap();
    let rule = &json["policies"][0]["rules"][0];
    assert!(rule["selected"].is_null() && rule["vote"] == "keeps", "{rule}");
}

#[test]
fn where_a_rollout_stands_is_said_and_what_one_repository_does_not_tell() {
    let noted = |taken, share: Option<&str>| Explanation {
        rollout: Some(lagan_policy::RolloutNote {
            policy: "pre\u{1b}".into(),
            taken,
            stage: 2,
            of: 3,
            share: share.map(|share| share.parse().unwrap()),
            fell_back: None,
            first_of: Vec::new(),
        }),
        ..explanation("1.2.0-rc.1")
    };
    for (note, words) in [
        (noted(true, Some("30%")), "it has its turn: stage 2 of 3 of"),
        (noted(false, Some("30%")), "a plan of all of them tells"),
        (noted(false, None), "has been rolled out is not known"),
    ] {
        // Long lines are broken.
        let text = text(&note).split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(text.contains(words) && !text.contains('\u{1b}'), "{text}");
        let mut out = Vec::new();
        note.write_json(&mut out).unwrap();
        let json: serde_json::Value = serde_json::from_slice(&out).unwrap();
        assert_eq!(
            (&json["rollout"]["stage"], &json["rollout"]["of"]),
            (&json!(2), &json!(3))
        );
    }
    assert!(!text(&explanation("1.2.0-rc.1")).contains("rollout"));
}
