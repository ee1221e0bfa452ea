//! Exports and imports: whatever was recorded, undoing it is possible elsewhere.

use std::collections::BTreeMap;
use std::io::Cursor;

use lagan_model::digest::Digest;
use lagan_model::journal::{Effect, Group, JournalStore, RestoreResult, RunId, Sequence};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::{create, digests, entry, everything, manifest, room, run, wait};
use crate::{DiskJournal, Imported, Restoration, StateError};

const AT: &str = "2026-11-21T12:00:00Z";

fn untag(digest: &Digest, tag: u64) -> Value {
    json!({
        "record": "untag", "repository": "team/app", "tag": format!("v{tag}"), "digest": digest, "others": [],
        "media_type": "application/vnd.oci.image.manifest.v1+json", "reasons": [{"rule": 1.5}], "at": AT,
    })
}

fn outcome(intent: u64) -> Value {
    json!({"record": "outcome", "intent": intent, "result": {"result": "untagged"}, "at": AT})
}

fn restore(deletion: u64, digest: &Digest) -> Value {
    json!({
        "record": "restore", "deletion": deletion, "repository": "team/app", "digest": digest,
        "media_type": "application/vnd.oci.image.manifest.v1+json", "tags": ["v1"], "hold_until": AT, "at": AT,
    })
}

fn doubt(intent: u64) -> Value {
    json!({"record": "doubt", "intent": intent, "at": AT, "detail": "DELETE: timed out"})
}

fn end() -> Value {
    json!({"record": "end", "at": AT, "results": {"untagged": 1}, "stopped": false})
}

#[derive(Debug, Clone)]
enum Step {
    Untag(u64, Vec<u64>),
    Settle(u64, usize),
    Doubt(u64, usize),
    Restore(u64, usize),
    End(u64),
}

fn a_step() -> impl Strategy<Value = Step> {
    let run = 0_u64..4;
    prop_oneof![
        3 => (run.clone(), proptest::collection::vec(0_u64..6, 1..4)).prop_map(|(run, tags)| Step::Untag(run, tags)),
        3 => (run.clone(), any::<usize>()).prop_map(|(run, place)| Step::Settle(run, place)),
        1 => (run.clone(), any::<usize>()).prop_map(|(run, place)| Step::Doubt(run, place)),
        2 => (run.clone(), any::<usize>()).prop_map(|(run, place)| Step::Restore(run, place)),
        1 => run.prop_map(Step::End),
    ]
}

/// A journal in which the steps were taken; the groups that it was given.
fn play(journal: &DiskJournal, steps: &[Step]) -> Vec<Group> {
    let mut groups = Vec::new();
    let mut intents: Vec<(u64, Digest)> = Vec::new();
    let mut next = 1;
    for step in steps {
        let open = wait(journal.open_entries()).unwrap();
        let mut group = Group::default();
        let mut push = |number: u64, effect, body: Value| {
            group.entries.push(entry(run(number), effect, &body.to_string()))
        };
        match step {
            Step::Untag(run, tags) => {
                let mut contents = Vec::new();
                for (sequence, tag) in (next..).zip(tags) {
                    let (digest, bytes) = manifest(*tag, 500);
                    push(*run, Effect::Opens, untag(&digest, *tag));
                    intents.push((sequence, digest.clone()));
                    contents.push((digest, bytes));
                }
                group.contents = contents;
            }
            Step::Settle(run, place) if !open.is_empty() => {
                let sequence = open[place % open.len()];
                push(*run, Effect::Settles(sequence), outcome(sequence.0));
            }
            Step::Doubt(run, place) if !open.is_empty() => {
                push(*run, Effect::None, doubt(open[place % open.len()].0));
            }
            Step::Restore(run, place) if !intents.is_empty() => {
                let (sequence, digest) = &intents[place % intents.len()];
                push(*run, Effect::Opens, restore(*sequence, digest));
            }
            Step::End(run) => push(*run, Effect::None, end()),
            Step::Settle(..) | Step::Doubt(..) | Step::Restore(..) => continue,
        }
        next += group.entries.len() as u64;
        groups.push(group.clone());
        wait(journal.append(group)).unwrap();
    }
    groups
}

fn export(journal: &DiskJournal, runs: &[RunId]) -> Vec<u8> {
    let mut out = Vec::new();
    journal.export(runs, &mut out).unwrap();
    out
}

fn import(journal: &mut DiskJournal, export: &[u8]) -> Result<Imported, StateError> {
    journal.import(Cursor::new(export))
}

/// Lines without what says how records were grouped, and in what order contents came.
fn said(export: &[u8]) -> Vec<Value> {
    let lines = export
        .split(|byte| *byte == b'\n')
        .filter(|line| !line.is_empty());
    let mut said: Vec<Value> = lines.map(|line| serde_json::from_slice(line).unwrap()).collect();
    said.retain(|line| line.get("body").is_some());
    for line in &mut said {
        line.as_object_mut().unwrap().remove("more");
        line.as_object_mut().unwrap().remove("needs");
    }
    said
}

fn needed(groups: &[Group]) -> Vec<Digest> {
    let mut digests = digests(groups);
    digests.sort();
    digests.dedup();
    digests
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    #[test]
    fn an_import_into_an_empty_journal_is_the_same_journal(steps in proptest::collection::vec(a_step(), 1..30)) {
        let (_here, here) = room();
        let (_there, there) = room();
        let source = create(&here);
        let groups = play(&source, &steps);
        prop_assume!(!groups.is_empty());
        let exported = export(&source, &[]);
        let mut target = create(&there);
        let imported = import(&mut target, &exported).unwrap();
        let records = groups.iter().map(|group| group.entries.len() as u64).sum::<u64>();
        prop_assert_eq!(&imported, &Imported { records, present: 0 });

        let contents = needed(&groups);
        let (source_all, target_all) = (everything(&source, &contents), everything(&target, &contents));
        let values = |all: &super::Everything| -> Vec<Value> {
            all.entries.iter().map(|(_, body, _)| serde_json::from_slice(body).unwrap()).collect()
        };
        prop_assert_eq!(values(&target_all), values(&source_all));
        prop_assert_eq!(&target_all.open, &source_all.open);
        prop_assert_eq!(&target_all.runs, &source_all.runs);
        prop_assert_eq!(&target_all.contents, &source_all.contents);
        prop_assert_eq!(said(&export(&target, &[])), said(&exported));

        // Again, after a restart: nothing happens.
        drop(target);
        let mut target = create(&there);
        prop_assert_eq!(import(&mut target, &exported).unwrap(), Imported { records: 0, present: records });
        prop_assert_eq!(everything(&target, &contents), target_all);
    }

    #[test]
    fn a_run_by_itself_brings_along_what_undoing_it_needs(
        steps in proptest::collection::vec(a_step(), 1..30),
        other in proptest::collection::vec(a_step(), 0..9),
    ) {
        let (_here, here) = room();
        let (_there, there) = room();
        let source = create(&here);
        let groups = play(&source, &steps);
        prop_assume!(!groups.is_empty());
        let mut target = create(&there);
        // Numbers there are others: there are records of a run of its own.
        let elsewhere: Vec<Step> = other.into_iter().map(|step| match step {
            Step::Untag(_, tags) => Step::Untag(9, tags),
            Step::Settle(_, place) => Step::Settle(9, place),
            Step::Doubt(_, place) => Step::Doubt(9, place),
            Step::Restore(_, place) => Step::Restore(9, place),
            Step::End(_) => Step::End(9),
        }).collect();
        play(&target, &elsewhere);
        for number in 0..4 {
            if wait(source.entries_of(run(number))).unwrap().is_empty() {
                let unknown = source.export(&[run(number)], Vec::new());
                let unknown = matches!(unknown, Err(StateError::UnknownRun { .. }));
                prop_assert!(unknown);
                continue;
            }
            import(&mut target, &export(&source, &[run(number)])).unwrap();
            // Runs that came one by one are in another order there.
            let sorted = |mut said: Vec<Value>| {
                said.sort_by_key(|line| (line["run"].to_string(), line["place"].as_u64()));
                said
            };
            let there = sorted(said(&export(&target, &[run(number)])));
            prop_assert_eq!(there, sorted(said(&export(&source, &[run(number)]))));
            for sequence in wait(target.entries_of(run(number))).unwrap() {
                let (_, body) = wait(target.entry(sequence)).unwrap().unwrap();
                let body: Value = serde_json::from_slice(&body).unwrap();
                if let Some(digest) = body["digest"].as_str() {
                    prop_assert!(wait(target.content(&digest.parse().unwrap())).unwrap().is_some());
                }
            }
        }
    }
}

fn story(root: &std::path::Path) -> DiskJournal {
    let journal = create(root);
    play(
        &journal,
        &[
            Step::Untag(1, vec![1, 2]),
            Step::Settle(1, 0),
            Step::Settle(1, 0),
            Step::End(1),
            Step::Restore(2, 1),
        ],
    );
    journal
}

fn refused(target: &mut DiskJournal, export: &[u8]) -> String {
    let before = everything(target, &[]);
    let error = import(target, export).unwrap_err();
    let refused = matches!(error, StateError::Import { .. } | StateError::NewerExport { .. });
    assert!(refused, "{error:?}");
    assert_eq!(everything(target, &[]), before);
    error.to_string()
}

#[test]
fn an_export_that_was_cut_or_changed_anywhere_imports_nothing() {
    let (_here, here) = room();
    let (_there, there) = room();
    let whole = export(&story(&here), &[]);
    let mut target = create(&there);
    for length in (0..whole.len()).step_by(37).chain([whole.len() - 1]) {
        refused(&mut target, &whole[..length]);
    }
    for place in (0..whole.len()).step_by(41) {
        let mut changed = whole.clone();
        changed[place] ^= 1;
        refused(&mut target, &changed);
    }
    let twice = [whole.clone(), whole.clone()].concat();
    assert!(refused(&mut target, &twice).contains("behind its end"));
    let newer = String::from_utf8(whole.clone())
        .unwrap()
        .replacen("\"version\":1", "\"version\":2", 1);
    assert!(refused(&mut target, newer.as_bytes()).contains("version 2"));
    assert_eq!(import(&mut target, &whole).unwrap().records, 6);
}

#[test]
fn an_export_that_says_something_else_of_a_record_imports_nothing() {
    let (_here, here) = room();
    let (_there, there) = room();
    let mut target = story(&here);
    let other = create(&there);
    play(&other, &[Step::Untag(1, vec![1, 3]), Step::End(5)]);
    let why = refused(&mut target, &export(&other, &[]));
    assert!(why.contains("another record 1 of run"), "{why}");
}

#[test]
fn an_outcome_for_what_has_one_already_imports_nothing() {
    let (_here, here) = room();
    let (_there, there) = room();
    let source = create(&here);
    play(&source, &[Step::Untag(1, vec![1])]);
    let mut target = create(&there);
    import(&mut target, &export(&source, &[])).unwrap();
    // Each side finds out by itself what became of it.
    play(&source, &[Step::Settle(2, 0)]);
    play(&target, &[Step::Settle(3, 0)]);
    let why = refused(&mut target, &export(&source, &[]));
    assert!(why.contains("another outcome"), "{why}");
}

#[test]
fn a_run_that_went_on_is_completed() {
    let (_here, here) = room();
    let (_there, there) = room();
    let source = create(&here);
    play(&source, &[Step::Untag(1, vec![1, 2])]);
    let mut target = create(&there);
    let early = export(&source, &[]);
    import(&mut target, &early).unwrap();
    play(&source, &[Step::Settle(1, 0), Step::Settle(1, 0)]);
    let late = import(&mut target, &export(&source, &[])).unwrap();
    assert_eq!(
        late,
        Imported {
            records: 2,
            present: 2
        }
    );
    // The early one has nothing to add, and nothing to contradict.
    assert_eq!(
        import(&mut target, &early).unwrap(),
        Imported {
            records: 0,
            present: 2
        }
    );
    assert_eq!(wait(target.open_entries()).unwrap(), []);
}

#[test]
fn the_list_of_runs_tells_which_have_ended_and_what_is_open() {
    let (_room, root) = room();
    let journal = story(&root);
    let told: Vec<_> = journal
        .list()
        .unwrap()
        .into_iter()
        .map(|summary| (summary.run, summary.records, summary.open, summary.end.is_some()))
        .collect();
    assert_eq!(told, [(run(1), 5, 0, true), (run(2), 1, 1, false)]);
    let shown: Vec<_> = journal
        .records(run(1))
        .unwrap()
        .map(|record| {
            record
                .map(|record| (record.sequence, record.settled.is_some()))
                .unwrap()
        })
        .collect();
    let settled = [(1, true), (2, true), (3, false), (4, false), (5, false)];
    assert_eq!(
        shown,
        settled.map(|(number, settled)| (Sequence(number), settled))
    );
    assert!(matches!(
        journal.records(run(7)).err(),
        Some(StateError::UnknownRun { .. })
    ));
    assert_eq!(journal.summary(run(1)).unwrap().records, 5);
    assert_eq!(journal.last_run().unwrap(), Some(run(2)));
    assert_eq!(journal.run_of(Sequence(6)).unwrap(), run(2));
}

#[test]
fn what_an_undo_put_back_is_told_with_the_deletion() {
    let (_room, root) = room();
    let journal = story(&root);
    assert!(
        journal.restorations_of(run(1)).unwrap().is_empty(),
        "run 2 says not what it is for"
    );
    let begin = json!({
        "record": "begin", "run": run(3), "purpose": {"kind": "undo", "of": "last"}, "policies": [], "at": AT,
        "registry": {"name": "r", "url": "http://localhost:5000", "kind": "oci"}, "program": "lagan 0.1.0",
    });
    let (digest, _) = manifest(2, 500);
    let restored = json!({"record": "restored", "intent": 8, "result": {"result": "restored"}, "at": AT});
    let entries = vec![
        entry(run(3), Effect::None, &begin.to_string()),
        entry(run(3), Effect::Opens, &restore(2, &digest).to_string()),
    ];
    wait(journal.append(Group {
        contents: Vec::new(),
        entries,
        ..Group::default()
    }))
    .unwrap();
    let told = |result| BTreeMap::from([(Sequence(2), vec![Restoration { run: run(3), result }])]);
    assert_eq!(journal.restorations_of(run(1)).unwrap(), told(None));
    let settles = entry(run(3), Effect::Settles(Sequence(8)), &restored.to_string());
    wait(journal.append(Group {
        contents: Vec::new(),
        entries: vec![settles],
        ..Group::default()
    }))
    .unwrap();
    assert_eq!(
        journal.restorations_of(run(1)).unwrap(),
        told(Some(RestoreResult::Restored))
    );
}
