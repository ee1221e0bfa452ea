use lagan_model::journal::{Effect, Group, JournalError, JournalStore, Sequence};
use proptest::prelude::*;

use super::memory::MemoryJournal;
use super::{create, digests, entry, everything, intents, manifest, room, run, wait};
use crate::Notice;

#[derive(Debug, Clone)]
enum Step {
    Append(Group),
    Reopen,
}

fn a_step() -> impl Strategy<Value = Step> {
    let effect = prop_oneof![
        2 => Just(Effect::Opens),
        1 => Just(Effect::None),
        3 => (0_u64..14).prop_map(|number| Effect::Settles(Sequence(number))),
    ];
    let an_entry = (0_u64..4, effect, "[{}\"a\n\\\\]{0,6}")
        .prop_map(|(number, effect, body)| entry(run(number), effect, &body));
    let a_content = (0_u64..6, 0_usize..9_000).prop_map(|(number, length)| {
        let (digest, bytes) = manifest(number, length);
        // One that does not hash to its digest.
        if length % 97 == 0 {
            (digest, "other".into())
        } else {
            (digest, bytes)
        }
    });
    let group = (
        proptest::collection::vec(a_content, 0..3),
        proptest::collection::vec(an_entry, 0..4),
    );
    prop_oneof![
        6 => group.prop_map(|(contents, entries)| Step::Append(Group { contents, entries, needs_room: true })),
        1 => Just(Step::Reopen),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Whatever is appended, and however often it is closed between: it answers what a journal in memory answers.
    #[test]
    fn the_journal_on_disk_is_a_journal(steps in proptest::collection::vec(a_step(), 1..25)) {
        let (_room, root) = room();
        let model = MemoryJournal::default();
        let mut journal = Some(create(&root));
        let mut groups = Vec::new();
        for step in steps {
            match step {
                Step::Append(group) => {
                    groups.push(group.clone());
                    let expected = wait(model.append(group.clone()));
                    let answer = wait(journal.as_ref().unwrap().append(group));
                    match (answer, expected) {
                        (Ok(sequence), Ok(expected)) => prop_assert_eq!(sequence, expected),
                        (Err(JournalError::Refused { .. }), Err(_)) => {}
                        (answer, expected) => prop_assert!(false, "{:?} instead of {:?}", answer, expected),
                    }
                }
                Step::Reopen => {
                    journal.take().unwrap().close().unwrap();
                    journal = Some(create(&root));
                    prop_assert_eq!(journal.as_ref().unwrap().notices(), &[]);
                }
            }
        }
        let contents = digests(&groups);
        let expected = everything(&model, &contents);
        prop_assert_eq!(everything(journal.as_ref().unwrap(), &contents), expected);
        drop(journal);
        let journal = create(&root);
        prop_assert_eq!(journal.notices(), &[]);
        prop_assert_eq!(everything(&journal, &contents), everything(&model, &contents));
    }
}

#[test]
fn a_content_is_kept_once() {
    let (_room, root) = room();
    let journal = create(&root);
    for _ in 0..3 {
        wait(journal.append(intents(1, 1))).unwrap();
    }
    journal.close().unwrap();
    let mirror = std::fs::read_to_string(root.join("journal.1/mirror.jsonl")).unwrap();
    assert_eq!(mirror.matches("\"content\":").count(), 1);
    assert_eq!(mirror.matches("\"needs\":").count(), 3);
}

#[test]
fn the_mirror_can_be_read_by_people() {
    let (_room, root) = room();
    let journal = create(&root);
    wait(journal.append(intents(1, 1))).unwrap();
    let mirror = std::fs::read_to_string(root.join("journal.1/mirror.jsonl")).unwrap();
    let last: serde_json::Value = serde_json::from_str(mirror.lines().last().unwrap()).unwrap();
    assert_eq!(last["seq"], 1);
    assert_eq!(last["body"]["intent"], last["needs"][0]);
}

#[test]
fn groups_of_many_threads_get_dense_numbers_and_stay_whole() {
    let (_room, root) = room();
    let journal = create(&root);
    let mut first: Vec<u64> = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..8)
            .map(|worker| {
                let journal = &journal;
                scope.spawn(move || {
                    let groups = (0..12).map(|n| intents(worker * 100 + n, 3));
                    groups
                        .map(|group| journal.append_blocking(group).unwrap().0)
                        .collect::<Vec<_>>()
                })
            })
            .collect();
        workers
            .into_iter()
            .flat_map(|worker| worker.join().unwrap())
            .collect()
    });
    first.sort_unstable();
    assert_eq!(first, (0..96).map(|n| 3 * n + 1).collect::<Vec<_>>());
    journal.close().unwrap();
    let journal = create(&root);
    assert_eq!(journal.notices(), &[] as &[Notice]);
    assert_eq!(wait(journal.open_entries()).unwrap().len(), 288);
}
