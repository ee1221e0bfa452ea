//! How much is written at a time.

use std::fs::File;
use std::io;
use std::path::Path;
use std::pin::pin;
use std::sync::{Arc, Condvar, Mutex};
use std::task::{Context, Waker};

use lagan_model::journal::{Effect, Group, JournalStore as _};

use super::{entry, options, room, run, wait};
use crate::DiskJournal;
use crate::directory::Creation;
use crate::files::{Disk, Files};

/// A disk on which nothing is written while it is shut, and which counts the lines that are written at a time.
#[derive(Debug, Default)]
struct Gate {
    shut: Mutex<bool>,
    changed: Condvar,
    lines: Mutex<Vec<usize>>,
}

impl Gate {
    fn set(&self, shut: bool) {
        *self.shut.lock().unwrap() = shut;
        self.changed.notify_all();
    }
}

impl Files for Gate {
    fn append(&self, file: &File, bytes: &[u8]) -> io::Result<()> {
        let shut = self.shut.lock().unwrap();
        drop(self.changed.wait_while(shut, |shut| *shut).unwrap());
        let lines = bytes.iter().filter(|byte| **byte == b'\n').count();
        self.lines.lock().unwrap().push(lines);
        Disk.append(file, bytes)
    }

    fn sync(&self, _file: &File, _path: &Path) -> io::Result<()> {
        Ok(())
    }

    fn sync_directory(&self, _path: &Path) -> io::Result<()> {
        Ok(())
    }

    fn free(&self, path: &Path) -> io::Result<u64> {
        Disk.free(path)
    }
}

#[test]
fn what_waits_is_written_together_and_never_more_than_256_records_at_a_time() {
    let (_room, root) = room();
    let gate = Arc::new(Gate::default());
    let journal = DiskJournal::with(&root, &options(), Creation::Create, gate.clone()).unwrap();
    gate.lines.lock().unwrap().clear();
    gate.set(true);
    let groups = (0..600).map(|number| Group {
        contents: Vec::new(),
        entries: vec![entry(run(1), Effect::Opens, &format!("{{\"number\":{number}}}"))],
        needs_room: true,
    });
    let mut waiting: Vec<_> = groups.map(|group| Box::pin(journal.append(group))).collect();
    for append in &mut waiting {
        // It is on its way when it was asked once.
        let asked = pin!(append).poll(&mut Context::from_waker(Waker::noop()));
        assert!(asked.is_pending());
    }
    gate.set(false);
    for (number, append) in (1..).zip(waiting) {
        assert_eq!(wait(append).unwrap().0, number);
    }
    let lines = gate.lines.lock().unwrap().clone();
    assert_eq!(lines.iter().max(), Some(&256), "{lines:?}");
    journal.close().unwrap();
}
