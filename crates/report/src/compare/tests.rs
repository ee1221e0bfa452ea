//! What changed is told, and what did not change is not.

use std::io::{Cursor, Write as _};
use std::slice::from_ref;

use lagan_model::{RegistryIdentity, RegistryKind, RequestCounts};
use lagan_policy::reason::RuleName;
use lagan_policy::{Kept, Mode, Order, Totals, Undo};
use proptest::prelude::*;

use super::*;
use crate::plan::{PlanFoot, PlanHead, PolicyNote};
use crate::sanitize::is_harmful;
use crate::saved::{PolicyEntry, SavedPlanWriter, SavedPolicies, Sealed};

fn rule(name: &str) -> RuleName {
    RuleName {
        policy: "tidy".into(),
        rule: name.into(),
    }
}

fn rank(rank: u32, rule: RuleName) -> Reason {
    Reason::Rank {
        rule,
        rank,
        of: 9,
        last: 9,
        by: Order::Version,
        group: None,
    }
}

/// A repository in which the first tags go and the others stay, each for one reason.
fn plan(name: &str, gone: &[(&str, Reason)], kept: &[(&str, Reason)]) -> RepositoryPlan {
    let mut plan = RepositoryPlan::untagged(name.parse().unwrap(), vec!["tidy".into()]);
    plan.tags_total = (gone.len() + kept.len()) as u64;
    plan.actions = gone
        .iter()
        .map(|(tag, reason)| Action::Delete {
            digest: Digest::of(tag.as_bytes()),
            tags: vec![tag.parse().unwrap()],
            media_type: None,
            size: None,
            children: Vec::new(),
            attachments: Vec::new(),
            undo: Undo::until_collection(),
            reasons: vec![reason.clone()],
        })
        .collect();
    plan.kept = kept
        .iter()
        .map(|(tag, reason)| Kept {
            tag: tag.parse().unwrap(),
            digest: Some(Digest::of(tag.as_bytes())),
            reasons: vec![reason.clone()],
        })
        .collect();
    plan
}

fn unread(name: &str, why: &str) -> RepositoryPlan {
    let why = Incomplete { why: why.to_owned() };
    RepositoryPlan::incomplete(name.parse().unwrap(), vec!["tidy".into()], 2, why)
}

fn head(id: &str, sha256: &str) -> PlanHead {
    PlanHead {
        id: id.to_owned(),
        created: "2026-11-20T12:00:00Z".parse().unwrap(),
        now: "2026-11-20T12:00:00Z".parse().unwrap(),
        registry: RegistryIdentity {
            name: "harbor".parse().unwrap(),
            url: "https://harbor.example.com".to_owned(),
            kind: RegistryKind::Oci,
        },
        policies: vec![PolicyNote {
            name: "tidy".into(),
            sha256: sha256.repeat(32),
            mode: Mode::DryRun,
        }],
        clocks: Vec::new(),
        guards: Vec::new(),
        capabilities: lagan_model::Capabilities::default(),
        probed: false,
        pass: None,
    }
}

fn foot(plans: &[RepositoryPlan]) -> PlanFoot {
    let mut totals = Totals::new(false);
    plans.iter().for_each(|plan| totals.add(plan));
    PlanFoot {
        totals,
        requests: RequestCounts::from_iter([]),
    }
}

fn saved(plans: &[RepositoryPlan]) -> Vec<u8> {
    let mut writer = SavedPlanWriter::default();
    let mut body = Vec::new();
    for plan in plans {
        writer.repository(&mut body, plan, None).unwrap();
    }
    let mut out = Sealed::new(Vec::new());
    let entry = PolicyEntry {
        asked: true,
        policy: serde_json::json!({}),
    };
    let policies = SavedPolicies {
        entries: vec![entry],
        channels: None,
    };
    writer.head(&mut out, &head("OLDER", "5a"), &policies).unwrap();
    out.write_all(&body).unwrap();
    writer.foot(&mut out, &foot(plans)).unwrap();
    out.seal().unwrap()
}

fn compared(old: &[RepositoryPlan], new: &[RepositoryPlan]) -> (Vec<RepositoryChange>, ChangeTotals) {
    let old = saved(old);
    let mut comparison = Comparison::with(PlanReader::saved(Cursor::new(&old)).unwrap()).unwrap();
    let mut changes = Vec::new();
    for plan in new {
        changes.extend(comparison.add(plan).unwrap());
    }
    let (rest, totals, _) = comparison.finish().unwrap();
    changes.extend(rest);
    (changes, totals)
}

fn document(format: CompareFormat, old: &[RepositoryPlan], new: &[RepositoryPlan]) -> String {
    let bytes = saved(old);
    let reader = PlanReader::saved(Cursor::new(&bytes)).unwrap();
    let old_head = reader.head().clone();
    let (changes, totals) = compared(old, new);
    let mut writer = CompareWriter::new(format, false);
    let (mut out, mut body) = (Vec::new(), Vec::new());
    for change in &changes {
        writer.change(&mut body, change).unwrap();
    }
    let (old_foot, new_foot) = (foot(old), foot(new));
    let compared = Compared {
        old: &old_head,
        new: &head("NEWER", "6b"),
        old_totals: &old_foot.totals,
        new_totals: &new_foot.totals,
        changes: totals,
    };
    writer.head(&mut out, &compared).unwrap();
    out.extend(body);
    writer.foot(&mut out, &compared).unwrap();
    String::from_utf8(out).unwrap()
}

fn before() -> Vec<RepositoryPlan> {
    let none = || Reason::KeepNone { rule: rule("none") };
    vec![
        plan("team/aaa", &[], &[("1", Reason::NotSelected)]),
        plan(
            "team/app",
            &[("a-gone", none()), ("b-back", none()), ("c-other", none())],
            &[
                ("d-lost", rank(1, rule("last"))),
                ("e-moved-up", rank(2, rule("last"))),
                ("f-other-rule", rank(3, rule("last"))),
            ],
        ),
        plan("team/same", &[("1", none())], &[("2", Reason::NotSelected)]),
    ]
}

fn after() -> Vec<RepositoryPlan> {
    let none = |name| Reason::KeepNone { rule: rule(name) };
    vec![
        plan(
            "team/app",
            &[
                ("c-other", none("another")),
                ("d-lost", none("none")),
                ("g-new", none("none")),
            ],
            &[
                ("b-back", Reason::NotSelected),
                ("e-moved-up", rank(1, rule("last"))),
                ("f-other-rule", rank(3, rule("first"))),
                ("h-new", Reason::NotSelected),
            ],
        ),
        plan("team/same", &[("1", none("none"))], &[("2", Reason::NotSelected)]),
        plan("team/zzz", &[], &[("1", Reason::NotSelected)]),
    ]
}

#[test]
fn a_comparison_says_what_is_decided_otherwise_and_why() {
    insta::assert_snapshot!(document(CompareFormat::Text, &before(), &after()), @r"
    What changed between two plans
      older          OLDER as of 2026-11-20T12:00:00Z
      newer          NEWER as of 2026-11-20T12:00:00Z
      policies       tidy changed

    team/aaa  gone, or out of scope

    team/app  2 tags newly deleted, 1 tag no longer deleted, 2 tags for other reasons, 1 tag gone, 1 tag new and kept
      delete  d-lost        8a63bed4585b  now deleted: the rule keeps nothing that it selects (tidy/none)
                                          before kept: rank 1 of 9 by version, keeps 9 (tidy/last)
      delete  g-new         f1ebd34a4e88  now deleted: the rule keeps nothing that it selects (tidy/none)
                                          before: not there
      keep    b-back        382e2d6874b1  now kept: no rule selects it
                                          before deleted: the rule keeps nothing that it selects (tidy/none)
      gone    a-gone        9ccdbcf0b346  before deleted: the rule keeps nothing that it selects (tidy/none)
      delete  c-other       bb886a363072  now deleted: the rule keeps nothing that it selects (tidy/another)
                                          before deleted: the rule keeps nothing that it selects (tidy/none)
      keep    f-other-rule  87b96bbfb45c  now kept: rank 3 of 9 by version, keeps 9 (tidy/first)
                                          before kept: rank 3 of 9 by version, keeps 9 (tidy/last)

    team/zzz  new, 1 tag new and kept

    In all
      newly deleted  2 tags
      no longer      1 tag
      other reasons  2 tags
      gone           1 tag
      new, kept      2 tags
      repositories   1 changed, 1 new, 1 gone or out of scope
      tags           9 before, 10 now
      delete         4 before, 4 now
      untag          0 before, 0 now
      keep           5 before, 6 now
    ");
}

#[test]
fn markdown_says_the_sums_first() {
    let text = document(CompareFormat::Markdown, &before(), &after());
    for part in [
        "| policies | tidy changed |\n",
        "| newly deleted | 2 tags |\n",
        "| repositories | 1 changed, 1 new, 1 gone or out of scope |\n",
        "\n### team/app\n",
        "| **delete** | `d-lost` | now deleted: the rule keeps nothing that it selects (tidy/none)<br>before kept: ",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
}

#[test]
fn json_has_both_decisions_with_their_reasons() {
    let text = document(CompareFormat::Json, &before(), &after());
    let value: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(value["schema"], "lagan.compare/v1");
    let expected = serde_json::json!({
        "newly_deleted": 2, "no_longer_deleted": 1, "gone": 1, "other_reasons": 2, "new_kept": 2,
        "repositories_new": 1, "repositories_gone": 1, "repositories_changed": 1,
    });
    assert_eq!(value["changes"], expected);
    let tag = &value["repositories"][1]["tags"][0];
    assert_eq!(tag["change"], "newly_deleted");
    assert_eq!(
        (&tag["tag"], &tag["before"]["verdict"]),
        (&"d-lost".into(), &"kept".into())
    );
    assert_eq!(tag["now"]["reasons"][0]["kind"], "keep_none");
    assert_eq!(value["policies"][0]["change"], "changed");
    assert_eq!(
        (&value["totals_before"]["tags"], &value["totals"]["tags"]),
        (&9.into(), &10.into())
    );
}

#[test]
fn of_what_could_not_be_read_nothing_is_said_but_that() {
    let (readable, sick) = (before()[1].clone(), unread("team/app", "down\u{202e}"));
    let (changes, totals) = compared(from_ref(&readable), from_ref(&sick));
    assert!(changes[0].tags.is_empty() && changes[0].incomplete.is_some());
    assert_eq!((totals.gone, totals.no_longer_deleted), (0, 0));
    // And when it is back, every tag that goes goes newly: nobody decided about it before.
    let (changes, totals) = compared(from_ref(&sick), from_ref(&readable));
    assert!(changes[0].incomplete_before.is_some());
    assert_eq!((totals.newly_deleted, totals.new_kept), (3, 3));
    assert_eq!(compared(from_ref(&sick), from_ref(&sick)).0, []);
}

fn any_plans() -> impl Strategy<Value = Vec<RepositoryPlan>> {
    let reason = prop_oneof![
        Just(Reason::NotSelected),
        (any::<u32>(), ".{0,6}").prop_map(|(number, name)| rank(number, rule(&name))),
        ".{0,6}".prop_map(|name| Reason::KeepNone { rule: rule(&name) }),
    ];
    let tags = prop::collection::btree_map("[a-f]", (any::<bool>(), reason), 0..6);
    let one = prop_oneof![
        5 => tags.prop_map(Some),
        1 => Just(None),
    ];
    prop::collection::btree_map("[a-e]", one, 0..5).prop_map(|repositories| {
        repositories
            .into_iter()
            .map(|(name, tags)| {
                let Some(tags) = tags else {
                    return unread(&name, "no\u{1b}[2J");
                };
                let side = |goes: bool| -> Vec<(&str, Reason)> {
                    tags.iter()
                        .filter(|(_, (of, _))| *of == goes)
                        .map(|(tag, (_, reason))| (tag.as_str(), reason.clone()))
                        .collect()
                };
                plan(&name, &side(true), &side(false))
            })
            .collect()
    })
}

fn goes(plans: &[RepositoryPlan], repository: &RepositoryName, tag: &Tag) -> Option<bool> {
    let plan = plans.iter().find(|plan| plan.name == *repository)?;
    if plan.kept.iter().any(|kept| kept.tag == *tag) {
        return Some(false);
    }
    let mut tags = plan.actions.iter().flat_map(|action| match action {
        Action::Delete { tags, .. } => tags.as_slice(),
        Action::Untag { .. } => &[],
    });
    tags.any(|of| of == tag).then_some(true)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_plan_does_not_differ_from_itself(plans in any_plans()) {
        prop_assert_eq!(compared(&plans, &plans), (Vec::new(), ChangeTotals::default()));
    }

    #[test]
    fn what_goes_that_did_not_go_is_always_told(old in any_plans(), new in any_plans()) {
        let (changes, totals) = compared(&old, &new);
        let mut newly = 0;
        for plan in new.iter().filter(|plan| plan.complete) {
            for action in &plan.actions {
                let Action::Delete { tags, .. } = action else { continue };
                if goes(&old, &plan.name, &tags[0]) != Some(true) {
                    newly += 1;
                    let told = changes.iter().any(|change| {
                        change.name == plan.name
                            && change.tags.iter().any(|tag| {
                                tag.change == Change::NewlyDeleted && tag.tag.as_ref() == Some(&tags[0])
                            })
                    });
                    prop_assert!(told, "{} {:?}", plan.name, tags);
                }
            }
        }
        prop_assert_eq!(totals.newly_deleted, newly);
    }

    #[test]
    fn every_form_is_harmless(old in any_plans(), new in any_plans()) {
        for format in [CompareFormat::Text, CompareFormat::Json, CompareFormat::Markdown] {
            let text = document(format, &old, &new);
            for line in text.lines() {
                prop_assert!(!line.contains(is_harmful), "{line:?}");
                if format == CompareFormat::Markdown && line.starts_with("| **") {
                    let bars = line.match_indices('|').filter(|(at, _)| !line[..*at].ends_with('\\')).count();
                    prop_assert_eq!(bars, 4, "{:?}", line);
                }
            }
            if format == CompareFormat::Json {
                prop_assert!(serde_json::from_str::<serde_json::Value>(&text).is_ok());
            }
        }
    }
}
