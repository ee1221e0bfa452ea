//! Who watches is told of every sync, and how large the journal is.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use lagan_model::journal::JournalStore;

use super::{create, intents, open, room, wait};

#[test]
fn whoever_watches_is_told_of_both_syncs_of_each_write() {
    let (_room, root) = room();
    let journal = create(&root);
    let empty = journal.size();
    wait(journal.append(intents(0, 1))).unwrap();
    let told = Arc::new(AtomicU64::new(0));
    let counted = told.clone();
    journal.watch_syncs(move |_| _ = counted.fetch_add(1, Ordering::SeqCst));
    // The second is not told.
    journal.watch_syncs(|_| panic!("somebody watches already"));
    for number in 1..=3 {
        wait(journal.append(intents(number, 2))).unwrap();
        assert_eq!(told.load(Ordering::SeqCst), number * 2);
    }
    let size = journal.size();
    assert!(size > empty, "{empty} {size}");
    journal.close().unwrap();
    // The text of three units at the least.
    let size = open(&root).unwrap().size();
    assert!(size > 1_000, "{size}");
}
