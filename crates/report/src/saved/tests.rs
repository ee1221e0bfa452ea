//! A saved plan reads back as it was written, and any other file is refused.

use std::io::{Cursor, Write as _};

use lagan_model::{
    Artifact, Capabilities, Capability, Digest, Incomplete, MediaType, RegistryIdentity, RegistryKind,
    RepositorySnapshot, RequestCounts, RequestKind, Seen,
};
use lagan_policy::{Action, Kept, Mode, Reason, RepositoryPlan, Totals, Undo};

use super::*;
use crate::plan::{ClockNote, PlanFoot, PlanHead, PolicyNote};

fn head() -> PlanHead {
    PlanHead {
        id: "01KAJ3E5Z0000000000000000A".to_owned(),
        created: "2026-11-20T12:00:01Z".parse().unwrap(),
        now: "2026-11-20T12:00:00Z".parse().unwrap(),
        registry: RegistryIdentity {
            name: "harbor".parse().unwrap(),
            url: "https://harbor.example.com".to_owned(),
            kind: RegistryKind::Oci,
        },
        policies: vec![PolicyNote {
            name: "tidy".into(),
            sha256: "5a".repeat(32),
            mode: Mode::DryRun,
        }],
        clocks: vec![ClockNote {
            clock: lagan_policy::Clock::Pulled,
            known: false,
            why: Some("\u{202e}\"]}".to_owned()),
        }],
        guards: Vec::new(),
        capabilities: Capabilities::default(),
        probed: false,
        pass: None,
    }
}

fn policies() -> SavedPolicies {
    let entry = PolicyEntry {
        asked: true,
        policy: serde_json::json!({"repositories": ["**"], "rules": []}),
    };
    SavedPolicies {
        entries: vec![entry],
        channels: Some(serde_json::json!({"stable": ["prod"]})),
    }
}

fn decided(name: &str, number: u8) -> (RepositoryPlan, Option<Seen>) {
    let digest = Digest::from_sha256([number; 32]);
    let mut snapshot = RepositorySnapshot::listed(
        name.parse().unwrap(),
        ["1.0.0", "1.0.0-rc.1"].map(|tag| tag.parse().unwrap()),
    );
    for position in 0..2 {
        let digest = if position == 0 {
            Digest::of(b"kept")
        } else {
            digest.clone()
        };
        snapshot.resolve(
            position,
            Artifact {
                digest,
                media_type: MediaType::OCI_MANIFEST,
                artifact_type: None,
                size: Some(7),
                children: Vec::new(),
                subject: None,
                image_config: None,
                blobs: Vec::new(),
                config_type: None,
                annotations: None,
                created_annotation: None,
            },
        );
    }
    let mut plan = RepositoryPlan::untagged(name.parse().unwrap(), vec!["tidy".into()]);
    plan.tags_total = 2;
    plan.tagged_artifacts = 2;
    plan.tagged_artifacts_deleted = 1;
    plan.bytes_reclaimable = Some(7);
    plan.actions = vec![Action::Delete {
        digest,
        tags: vec!["1.0.0-rc.1".parse().unwrap()],
        media_type: Some(MediaType::OCI_MANIFEST),
        size: Some(7),
        children: Vec::new(),
        attachments: Vec::new(),
        undo: Undo::until_collection(),
        reasons: Vec::new(),
    }];
    plan.kept = vec![Kept {
        tag: "1.0.0".parse().unwrap(),
        digest: Some(Digest::of(b"kept")),
        reasons: vec![Reason::NotSelected],
    }];
    let capabilities = Capabilities {
        referrers: Capability::Offered,
        ..Capabilities::default()
    };
    (
        plan,
        Some(Seen {
            capabilities,
            snapshot,
        }),
    )
}

fn unread(name: &str) -> (RepositoryPlan, Option<Seen>) {
    let why = Incomplete {
        why: "\u{1b}]0;{[\"".to_owned(),
    };
    let plan = RepositoryPlan::incomplete(name.parse().unwrap(), vec!["tidy".into()], 3, why);
    (plan, None)
}

fn two() -> Vec<(RepositoryPlan, Option<Seen>)> {
    vec![decided("team/app", 1), unread("team/broken")]
}

fn foot(repositories: &[(RepositoryPlan, Option<Seen>)]) -> PlanFoot {
    let mut totals = Totals::new(true);
    repositories.iter().for_each(|(plan, _)| totals.add(plan));
    PlanFoot {
        totals,
        requests: RequestCounts::from_iter([(RequestKind::Tags, 2)]),
    }
}

fn saved(repositories: &[(RepositoryPlan, Option<Seen>)]) -> Vec<u8> {
    written(repositories, &foot(repositories))
}

fn written(repositories: &[(RepositoryPlan, Option<Seen>)], foot: &PlanFoot) -> Vec<u8> {
    let mut writer = SavedPlanWriter::default();
    let mut body = Vec::new();
    for (plan, seen) in repositories {
        writer.repository(&mut body, plan, seen.as_ref()).unwrap();
    }
    let mut out = Sealed::new(Vec::new());
    writer.head(&mut out, &head(), &policies()).unwrap();
    out.write_all(&body).unwrap();
    writer.foot(&mut out, foot).unwrap();
    out.seal().unwrap()
}

/// Everything in a file, or why it is refused.
fn read(bytes: &[u8]) -> Result<(SavedHead, Vec<SavedRepository>, SavedFoot), PlanFileError> {
    let mut reader = PlanReader::saved(Cursor::new(bytes))?;
    let head = reader.head().clone();
    let mut repositories = Vec::new();
    while let Some(repository) = reader.next_repository()? {
        repositories.push(repository);
    }
    Ok((head, repositories, reader.finish()?))
}

#[test]
fn a_saved_plan_reads_back_as_it_was_written() {
    let expected = two();
    let bytes = saved(&expected);
    let (head, repositories, foot) = read(&bytes).unwrap();
    assert_eq!(head.now.to_rfc3339(), "2026-11-20T12:00:00+00:00");
    assert_eq!(head.policies[0].asked, Some(true));
    assert_eq!(head.policies[0].policy, Some(policies().entries.remove(0).policy));
    assert_eq!(head.channels, policies().channels);
    assert_eq!(head.clocks, self::head().clocks);
    let expected_foot = self::foot(&expected);
    assert_eq!(
        (foot.totals, foot.requests),
        (expected_foot.totals, expected_foot.requests)
    );
    let expected: Vec<_> = expected
        .into_iter()
        .map(|(plan, seen)| SavedRepository { plan, seen })
        .collect();
    assert_eq!(repositories, expected);
    // It is JSON, and the document of the specification.
    let value: serde_json::Value = serde_json::from_slice(&bytes).unwrap();
    assert_eq!(value["schema"], "lagan.plan/v1");
    assert_eq!(value.as_object().unwrap().keys().count(), 14);
}

#[test]
fn the_checksum_covers_every_byte_before_its_field() {
    use sha2::{Digest as _, Sha256};
    let bytes = saved(&two());
    let text = String::from_utf8(bytes).unwrap();
    let at = text.find("\"sha256\":\"").unwrap();
    let at = text[at + 1..].rfind("\"sha256\":\"").unwrap() + at + 1;
    let expected = format!("{:x}", Sha256::digest(&text[..at]));
    assert_eq!(&text[at..], format!("\"sha256\":\"{expected}\"}}\n"));
    assert_eq!(text.len() - at, SEAL_LENGTH);
}

#[test]
fn a_plan_that_was_cut_off_anywhere_is_refused() {
    let bytes = saved(&two());
    for length in 0..bytes.len() {
        let refused = read(&bytes[..length]).unwrap_err();
        assert!(
            matches!(refused, PlanFileError::Truncated | PlanFileError::NotAPlan),
            "{length}: {refused}"
        );
    }
    // What is long enough to say what it was is told apart from what never was a plan.
    assert!(matches!(read(&bytes[..100]), Err(PlanFileError::Truncated)));
}

#[test]
fn a_plan_in_which_any_bit_changed_is_refused() {
    let bytes = saved(&two());
    for at in 0..bytes.len() {
        let mut edited = bytes.clone();
        edited[at] ^= 1;
        assert!(read(&edited).is_err(), "byte {at}");
    }
    let edited = String::from_utf8(bytes)
        .unwrap()
        .replace("1.0.0-rc.1", "1.0.0-rc.2");
    let refused = read(edited.as_bytes()).unwrap_err();
    assert!(matches!(refused, PlanFileError::Edited { .. }), "{refused}");
}

#[test]
fn what_stands_behind_the_end_is_refused() {
    let mut bytes = saved(&two());
    bytes.extend_from_slice(b"\n");
    assert!(matches!(read(&bytes), Err(PlanFileError::Truncated)));
}

#[test]
fn a_later_format_and_what_is_no_plan_are_told_apart() {
    for (text, newer) in [
        (r#"{"schema":"lagan.plan/v2","id":"#, true),
        (r#"{ "schema" : "lagan.plan/v10" , "a" : 1 }"#, true),
        (r#"{"schema":"lagan.explain/v1","registry":{}}"#, false),
        (r#"{"schema":"lagan.plan/vnext"}"#, false),
        (r#"{"policies":{}}"#, false),
        ("{}", false),
        ("[1]", false),
        ("policies:\n  a: b\n", false),
        ("", false),
        ("\u{0}\u{1}", false),
    ] {
        let refused = PlanReader::any(Cursor::new(text.as_bytes())).unwrap_err();
        assert_eq!(matches!(refused, PlanFileError::Newer(_)), newer, "{text}");
        assert_eq!(
            matches!(refused, PlanFileError::NotAPlan),
            !newer,
            "{text}: {refused}"
        );
        assert!(refused.hint().is_some());
    }
}

/// As whoever has the file and a hash function can make it.
fn sealed(text: &str) -> Vec<u8> {
    let mut out = Sealed::new(Vec::new());
    out.write_all(text.as_bytes()).unwrap();
    out.seal().unwrap()
}

fn unsealed(bytes: &[u8]) -> String {
    String::from_utf8(bytes[..bytes.len() - SEAL_LENGTH].to_vec()).unwrap()
}

#[test]
fn a_matching_checksum_does_not_make_nonsense_a_plan() {
    let whole = unsealed(&saved(&two()));
    assert!(read(&sealed(&whole)).is_ok());
    let refused = |from: &str, to: &str| {
        assert!(whole.contains(from), "{from}");
        read(&sealed(&whole.replacen(from, to, 1))).unwrap_err()
    };
    assert!(matches!(
        refused("team/broken", "team/aaa"),
        PlanFileError::Order(_)
    ));
    assert!(matches!(
        refused("\"tags_total\":2", "\"tags_total\":3"),
        PlanFileError::Totals
    ));
    assert!(matches!(
        refused("\"kept\":[", "\"later\":["),
        PlanFileError::WithoutKept
    ));
    // A tag on a manifest of which nothing is known.
    let digest = Digest::from_sha256([1; 32]).to_string();
    let other = Digest::from_sha256([9; 32]).to_string();
    let fact = format!("\"tag\":\"1.0.0-rc.1\",\"digest\":\"{digest}\"");
    assert!(matches!(
        refused(&fact, &fact.replace(&digest, &other)),
        PlanFileError::Facts(_)
    ));
    // The facts of another repository.
    assert!(matches!(
        refused("\"repository\":\"team/app\"", "\"repository\":\"team/web\""),
        PlanFileError::Malformed { .. }
    ));
    for (from, to) in [
        ("\"action\":\"delete\"", "\"action\":\"burn\""),
        ("\"now\":\"2026", "\"now\":\"later"),
        ("\"id\":", "\"no\":"),
        (",\n{", "\n{"),
        ("\"totals\":", "\"sums\":"),
        ("\"repositories\":[", "\"repositories\":{"),
    ] {
        let error = refused(from, to);
        assert!(
            matches!(error, PlanFileError::Malformed { .. }),
            "{from}: {error}"
        );
    }
}

#[test]
fn names_that_this_version_does_not_know_are_passed_over() {
    let whole = unsealed(&saved(&two()));
    let later = whole
        .replacen("\"clocks\":", "\"later\":[{\"]\":\"}\"}],\"clocks\":", 1)
        .replacen("\"complete\":", "\"later\":{},\"complete\":", 1)
        .replacen("\"totals\":", "\"later\":null,\"totals\":", 1);
    assert_eq!(read(&sealed(&later)).unwrap().1.len(), 2);
}

#[test]
fn a_plan_that_was_not_saved_is_read_for_comparison_alone() {
    let plain = format!("{}\"last\":0}}", unsealed(&saved(&two())));
    assert!(matches!(read(plain.as_bytes()), Err(PlanFileError::Truncated)));
    let spaced: serde_json::Value = serde_json::from_str(&plain).unwrap();
    let spaced = serde_json::to_string_pretty(&spaced).unwrap();
    for text in [plain, spaced] {
        let mut reader = PlanReader::any(Cursor::new(text.as_bytes())).unwrap();
        assert_eq!(
            reader.next_repository().unwrap().unwrap().plan,
            decided("team/app", 1).0
        );
        reader.finish().unwrap();
        let cut = &text[..text.len() - 3];
        let reader = PlanReader::any(Cursor::new(cut.as_bytes())).unwrap();
        assert!(matches!(reader.finish(), Err(PlanFileError::Cut(_))));
    }
    // One that has a checksum is held to it.
    let edited = String::from_utf8(saved(&two())).unwrap().replace("rc.1", "rc.2");
    let refused = PlanReader::any(Cursor::new(edited.as_bytes())).unwrap_err();
    assert!(matches!(refused, PlanFileError::Edited { .. }));
}

#[test]
fn a_writer_that_fails_leaves_no_seal() {
    let mut room = [0u8; 10];
    let mut out = Sealed::new(&mut room[..]);
    assert!(out.write_all(b"longer than ten bytes").is_err());
    assert!(out.seal().is_err());
}
