use lagan_model::journal::{Purpose, Role, Skip};
use lagan_model::{Digest, MediaType, RegistryIdentity, RegistryKind, Time};
use serde_json::{Value, json};

use super::*;

const TEXT: HistoryFormat = HistoryFormat::Text { colour: false };

fn at(minute: u32) -> Time {
    format!("2026-11-21T12:{minute:02}:00Z").parse().unwrap()
}

fn run(number: u128) -> RunId {
    RunId::from_bits(number << 80)
}

fn note(end: Option<End>, open: u64) -> RunNote {
    RunNote {
        run: run(1),
        begin: Some(Begin {
            run: run(1),
            purpose: Purpose::Apply {
                plan: "01PLAN".to_owned(),
            },
            registry: RegistryIdentity {
                name: "harbor".parse().unwrap(),
                url: "https://harbor.example.com/\u{1b}[2J".to_owned(),
                kind: RegistryKind::Oci,
            },
            policies: Vec::new(),
            at: at(0),
            program: "lagan 0.1.0".to_owned(),
            collections: None,
            pass: None,
        }),
        end,
        records: 3,
        open,
        undo: None,
        collected: None,
    }
}

fn deletion(role: Role, reasons: Value, outcome: Option<DeleteResult>) -> Deed {
    Deed {
        sequence: Sequence(2),
        what: What::Deletion {
            intent: Box::new(DeleteIntent {
                unit: 1,
                role,
                repository: "team/app".parse().unwrap(),
                digest: Digest::from_sha256([0xab; 32]),
                media_type: MediaType::OCI_MANIFEST,
                size: 7,
                tags: Vec::new(),
                parents: Vec::new(),
                children: Vec::new(),
                subject: None,
                attachments: Vec::new(),
                blobs: Vec::new(),
                pushed: None,
                pulled: None,
                labels: Vec::new(),
                reasons,
                undo_until: None,
                held: None,
                at: at(1),
            }),
            outcome: outcome.map(|result| Outcome {
                intent: Sequence(2),
                result,
                at: at(2),
            }),
            restored: Vec::new(),
        },
    }
}

fn written(format: HistoryFormat, note: &RunNote, deeds: Vec<Deed>) -> String {
    let mut out = Vec::new();
    let mut writer = RunWriter::new(format);
    writer.head(&mut out, note).unwrap();
    for deed in deeds {
        writer.deed(&mut out, deed).unwrap();
    }
    writer.foot(&mut out).unwrap();
    String::from_utf8(out).unwrap()
}

#[test]
fn nothing_from_outside_can_act_on_a_terminal() {
    let nasty = "\u{1b}]0;owned\u{7}\u{202e}";
    let failed = DeleteResult::Failed {
        detail: nasty.to_owned(),
    };
    let deeds = || {
        let reasons = json!([{"kind": "from_the_future", "why": nasty}]);
        let mut second = deletion(Role::Artifact, json!([]), Some(failed.clone()));
        if let What::Deletion { restored, .. } = &mut second.what {
            restored.push(Restored {
                run: run(2),
                result: Some(RestoreResult::Unrecoverable {
                    why: nasty.to_owned(),
                }),
            });
        }
        vec![deletion(Role::Artifact, reasons, Some(failed.clone())), second]
    };
    for format in [TEXT, HistoryFormat::Json] {
        let said = written(format, &note(None, 0), deeds());
        let harmful: Vec<char> = said
            .chars()
            .filter(|c| *c != '\n' && crate::sanitize::is_harmful(*c))
            .collect();
        assert!(harmful.is_empty(), "{harmful:?} in {said}");
        assert!(
            said.contains("owned") && said.contains("from_the_future"),
            "{said}"
        );
    }
}

#[test]
fn a_run_without_an_end_says_so_and_what_is_open_is_in_doubt() {
    let said = written(TEXT, &note(None, 1), vec![deletion(Role::Child, json!([]), None)]);
    assert!(said.contains("no end on record, 1 in doubt"), "{said}");
    assert!(said.contains("in doubt  untagged  abababababab  image"), "{said}");
    assert!(said.contains("listed by an index that was deleted"), "{said}");
    let empty = written(TEXT, &note(None, 0), Vec::new());
    assert!(empty.contains("nothing was deleted"), "{empty}");
}

#[test]
fn a_history_is_one_document_however_many_actions_it_has() {
    let end = End {
        at: at(3),
        results: [("deleted".to_owned(), 1)].into(),
        stopped: true,
    };
    let note = note(Some(end), 0);
    for count in 0..3 {
        let skipped = DeleteResult::Skipped {
            why: Skip::Held,
            detail: "held".to_owned(),
        };
        let deeds = vec![deletion(Role::Artifact, json!([]), Some(skipped)); count];
        let document: Value = serde_json::from_str(&written(HistoryFormat::Json, &note, deeds)).unwrap();
        let actions = document["actions"].as_array().unwrap();
        assert_eq!(actions.len(), count);
        assert!(actions.iter().all(|action| action["why"] == "held"), "{document}");
        assert_eq!(document["stopped"], true);
    }
    let listed = {
        let mut out = Vec::new();
        write_runs(&mut out, TEXT, std::slice::from_ref(&note)).unwrap();
        String::from_utf8(out).unwrap()
    };
    assert!(listed.contains("1 deleted, stopped before its end"), "{listed}");
}
