//! One plan with everything in it, and what every format makes of it.

use lagan_model::{
    Capability, Digest, Incomplete, MediaType, RegistryIdentity, RegistryKind, RequestCounts, RequestKind,
    Tag, Unknown,
};
use lagan_policy::VersionTable;
use lagan_policy::reason::RuleName;
use lagan_policy::{Action, Dependent, Guard, Kept, Order, Reason, RolloutNote, Undo};

use super::*;
use crate::sanitize::is_harmful;

mod csv;
mod html;
mod json;
mod laws;
mod markdown;
mod text;

fn digest(byte: u8) -> Digest {
    Digest::from_sha256([byte; 32])
}

fn tag(text: &str) -> Tag {
    text.parse().unwrap()
}

fn tags(texts: &[&str]) -> Vec<Tag> {
    texts.iter().map(|text| tag(text)).collect()
}

fn time(text: &str) -> Time {
    text.parse().unwrap()
}

fn rule() -> RuleName {
    RuleName {
        policy: "prereleases".into(),
        rule: "keep two".into(),
    }
}

fn beyond(rank: u32) -> Reason {
    Reason::BeyondLast {
        rule: rule(),
        rank,
        of: 5,
        last: 2,
        by: Order::Version,
        group: None,
    }
}

fn head() -> PlanHead {
    PlanHead {
        id: "01KAJ3E5Z0000000000000000A".to_owned(),
        created: time("2026-11-20T12:00:00Z"),
        now: time("2026-11-20T12:00:00Z"),
        registry: RegistryIdentity {
            name: "harbor".parse().unwrap(),
            url: "https://harbor.example.com".to_owned(),
            kind: RegistryKind::Oci,
        },
        policies: vec![PolicyNote {
            name: "prereleases".into(),
            sha256: "5a".repeat(32),
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
    let requests = RequestCounts::from_iter([
        (RequestKind::Ping, 1),
        (RequestKind::Tags, 3),
        (RequestKind::Manifest, 1200),
    ]);
    PlanFoot { totals, requests }
}

/// A repository with an index and what hangs on it, an untag, and tags kept for several reasons.
fn busy() -> RepositoryPlan {
    let index = Action::Delete {
        digest: digest(0xa1),
        tags: tags(&["1.2.0-rc.1", "1.2.0-rc1"]),
        media_type: Some(MediaType::OCI_INDEX),
        size: Some(1234),
        children: vec![Dependent {
            digest: digest(0xc1),
            tags: Vec::new(),
            media_type: Some(MediaType::OCI_MANIFEST),
            size: Some(528),
        }],
        attachments: vec![Dependent {
            digest: digest(0xf1),
            tags: vec![tag(&format!("sha256-{}.sig", "a1".repeat(32)))],
            media_type: None,
            size: None,
        }],
        undo: Undo::until_collection(),
        reasons: vec![beyond(4), Reason::KeepNone { rule: rule() }],
    };
    let image = Action::Delete {
        digest: digest(0xa2),
        tags: tags(&["1.2.0-beta.10"]),
        media_type: Some(MediaType::DOCKER_MANIFEST),
        size: None,
        children: Vec::new(),
        attachments: Vec::new(),
        undo: Undo {
            possible: false,
            until: None,
            why: Some("its manifest is not kept".to_owned()),
            holding: None,
        },
        reasons: vec![beyond(5)],
    };
    let untag = Action::Untag {
        tag: tag("1.2.0-rc.2"),
        digest: digest(0xb1),
        reasons: vec![beyond(3)],
    };
    let kept = |name: &str, byte, reasons| Kept {
        tag: tag(name),
        digest: Some(digest(byte)),
        reasons,
    };
    let rank = Reason::Rank {
        rule: rule(),
        rank: 1,
        of: 5,
        last: 2,
        by: Order::Version,
        group: None,
    };
    RepositoryPlan {
        name: "team/app".parse().unwrap(),
        policies: vec!["prereleases".into()],
        complete: true,
        tags_total: 8,
        actions: vec![untag, index, image],
        kept: vec![
            kept("1.2.0", 0xb1, vec![Reason::NotSelected]),
            kept("1.2.0-rc.3", 0xb2, vec![rank]),
            kept(
                "1.2.0-again",
                0xb3,
                vec![
                    Reason::SharesDigest { with: tag("1.2.0") },
                    Reason::KeepNone { rule: rule() },
                ],
            ),
        ],
        waiting: Vec::new(),
        rollout: None,
        kept_untagged: Vec::new(),
        incomplete: None,
        tagged_artifacts: 5,
        tagged_artifacts_deleted: 2,
        deleted_unread: 0,
        bytes_reclaimable: None,
    }
}

/// A repository in which nobody had to ask for anything but the tags.
fn quiet() -> RepositoryPlan {
    let fits = Reason::Fits {
        rule: rule(),
        tags: 1,
        last: 2,
        group: None,
    };
    RepositoryPlan {
        name: "team/quiet".parse().unwrap(),
        policies: vec!["prereleases".into()],
        complete: true,
        tags_total: 1,
        actions: Vec::new(),
        kept: vec![Kept {
            tag: tag("0.1.0-rc.1"),
            digest: None,
            reasons: vec![fits],
        }],
        waiting: Vec::new(),
        rollout: None,
        kept_untagged: Vec::new(),
        incomplete: None,
        tagged_artifacts: 0,
        tagged_artifacts_deleted: 0,
        deleted_unread: 0,
        bytes_reclaimable: None,
    }
}

fn unreadable() -> RepositoryPlan {
    let why = "GET https://harbor.example.com/v2/team/broken/tags/list: truncated\n\u{1b}[2J".to_owned();
    RepositoryPlan::incomplete(
        "team/broken".parse().unwrap(),
        vec!["prereleases".into()],
        1003,
        Incomplete { why },
    )
}

fn all_three() -> [RepositoryPlan; 3] {
    [busy(), unreadable(), quiet()]
}

/// The document: the body is written before the head, and stands behind it.
fn document(format: PlanFormat, options: PlanOptions, head: &PlanHead, plans: &[RepositoryPlan]) -> String {
    let mut writer = format.writer(options);
    let (mut out, mut body) = (Vec::new(), Vec::new());
    for plan in plans {
        writer.repository(&mut body, plan).unwrap();
    }
    let foot = foot(plans);
    writer.head(&mut out, head, &foot).unwrap();
    out.extend(body);
    writer.foot(&mut out, head, &foot).unwrap();
    String::from_utf8(out).unwrap()
}

/// The document with its sections in groups.
fn grouped(format: PlanFormat, by: GroupBy, all: bool, plans: &[RepositoryPlan]) -> String {
    let mut writer = format.writer(PlanOptions { all, colour: false });
    assert!(writer.grouped());
    let mut groups: std::collections::BTreeMap<String, Vec<u8>> = std::collections::BTreeMap::new();
    for plan in plans {
        writer.see(plan);
        let parts = by.split(plan, all, &VersionTable::default());
        for (position, (group, plan)) in parts.iter().enumerate() {
            let first = position == 0;
            let body = groups.entry(group.clone()).or_default();
            writer.section(body, plan, Some(Part { group, first })).unwrap();
        }
    }
    let (mut out, head, foot) = (Vec::new(), head(), foot(plans));
    writer.head(&mut out, &head, &foot).unwrap();
    for (title, body) in groups {
        writer.group(&mut out, &title).unwrap();
        out.extend(body);
        writer.group_end(&mut out).unwrap();
    }
    writer.foot(&mut out, &head, &foot).unwrap();
    String::from_utf8(out).unwrap()
}

const BRIEF: PlanOptions = PlanOptions {
    all: false,
    colour: false,
};
const ALL: PlanOptions = PlanOptions {
    all: true,
    colour: false,
};

#[test]
fn every_format_says_where_a_rollout_does_not_delete_yet() {
    let noted = |taken, share: Option<&str>, fell_back: Option<&str>| RepositoryPlan {
        rollout: Some(RolloutNote {
            policy: "pre\u{1b}releases".into(),
            taken,
            stage: 1,
            of: 3,
            share: share.map(|share| share.parse().unwrap()),
            fell_back: fell_back.map(time),
            first_of: Vec::new(),
        }),
        ..busy()
    };
    for (plan, said) in [
        (
            noted(false, Some("5%"), None),
            "nothing is deleted here yet: stage 1 of 3 of",
        ),
        (noted(true, Some("5%"), None), "it has its turn: stage 1 of 3 of"),
        (
            noted(false, None, Some("2026-11-20T09:00:00Z")),
            "fell back to dry-run on 2026-11-20",
        ),
        (noted(false, None, None), "has been rolled out is not known"),
    ] {
        let (held, plans) = (plan.is_held_by_rollout(), [plan]);
        for format in [
            PlanFormat::Text,
            PlanFormat::Markdown,
            PlanFormat::Html,
            PlanFormat::Csv,
        ] {
            let text = document(format, PlanOptions::default(), &head(), &plans);
            // Lines are broken between words.
            let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
            let says = held || !matches!(format, PlanFormat::Csv);
            assert_eq!(text.contains(said), says, "{said}: {text}");
            assert!(!text.contains('\u{1b}'), "{text}");
            let sum = "carried out yet";
            let sums = held && !matches!(format, PlanFormat::Csv);
            assert_eq!(text.contains(sum), sums, "{text}");
        }
        let json = document(PlanFormat::Json, PlanOptions::default(), &head(), &plans);
        let json: serde_json::Value = serde_json::from_str(&json).unwrap();
        assert_eq!(json["repositories"][0]["rollout"]["taken"], !held);
        assert_eq!(json["totals"]["not_rolled_out"].as_u64(), held.then_some(3));
    }
}
