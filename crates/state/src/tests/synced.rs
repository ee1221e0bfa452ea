//! What is synced: each write once, however many wait for it; and files that nobody has seen before.

use std::fs::{self, File};
use std::future::Future as _;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, SystemTime};

use lagan_model::journal::JournalStore;

use super::{intents, options, room, wait};
use crate::DiskJournal;
use crate::copies::kv::{Batch, Kv};
use crate::directory::Creation;
use crate::files::{Disk, Files};

/// A disk that tells of every sync, and is waited for where somebody says so.
#[derive(Debug, Default)]
struct Told {
    synced: Mutex<Vec<PathBuf>>,
    waits: Mutex<Option<(Sender<()>, Receiver<()>)>>,
}

impl Told {
    fn take(&self) -> Vec<String> {
        let synced = std::mem::take(&mut *self.synced.lock().unwrap());
        let names = synced
            .iter()
            .map(|path| path.file_name().unwrap().to_string_lossy().into_owned());
        names.collect()
    }

    fn synced(&self, path: &Path) {
        self.synced.lock().unwrap().push(path.to_owned());
        let waits = self.waits.lock().unwrap().take();
        if let Some((arrived, leave)) = waits {
            arrived.send(()).unwrap();
            leave.recv().unwrap();
        }
    }
}

impl Files for Told {
    fn append(&self, file: &File, bytes: &[u8]) -> io::Result<()> {
        Disk.append(file, bytes)
    }

    fn sync(&self, _file: &File, path: &Path) -> io::Result<()> {
        self.synced(path);
        Ok(())
    }

    fn sync_directory(&self, path: &Path) -> io::Result<()> {
        self.synced(path);
        Ok(())
    }

    fn free(&self, path: &Path) -> io::Result<u64> {
        Disk.free(path)
    }
}

#[test]
fn groups_that_come_while_another_becomes_durable_become_durable_together() {
    let (_room, root) = room();
    let disk = Arc::new(Told::default());
    let journal = DiskJournal::with(&root, &options(), Creation::Create, disk.clone()).unwrap();
    wait(journal.append(intents(0, 1))).unwrap();
    disk.take();
    let ((arrived, waits), (leave, left)) = (channel(), channel());
    *disk.waits.lock().unwrap() = Some((arrived, left));
    let mut appends: Vec<_> = (1..10)
        .map(|number| Box::pin(journal.append(intents(number, 1))))
        .collect();
    let mut context = Context::from_waker(Waker::noop());
    let (first, others) = appends.split_first_mut().unwrap();
    assert!(first.as_mut().poll(&mut context).is_pending());
    waits.recv().unwrap();
    for append in others {
        assert_eq!(append.as_mut().poll(&mut context).map(|_| ()), Poll::Pending);
    }
    leave.send(()).unwrap();
    for append in appends {
        wait(append).unwrap();
    }
    let writes = disk.take().into_iter().filter(|name| name == "db").count();
    assert_eq!(writes, 2);
}

#[test]
fn a_file_that_appears_beside_the_store_is_synced_and_only_the_data_are_where_none_does() {
    let (_room, root) = room();
    fs::create_dir(&root).unwrap();
    let kv = Kv::open(&root, 1 << 20).unwrap();
    let disk = Told::default();
    let write = |key: &[u8]| {
        let mut batch = Batch::default();
        batch.set(key, b"value");
        kv.apply(batch).unwrap();
        kv.sync(&disk).unwrap();
        disk.take()
    };
    // The store is new: all that it consists of, and the names.
    let synced = write(b"1");
    assert!(synced.iter().any(|name| name == "conf"), "{synced:?}");
    // Directories that have just changed are listed again, since another change might not show.
    let hidden = root.join("hidden");
    let times = fs::metadata(&root).unwrap().modified().unwrap();
    fs::write(&hidden, b"").unwrap();
    File::open(&root).unwrap().set_modified(times).unwrap();
    assert!(write(b"2").iter().any(|name| name == "hidden"));
    // And not where the last change is long past.
    let past = SystemTime::now() - Duration::from_secs(3600);
    for directory in [&root, &root.join("blobs")] {
        File::open(directory).unwrap().set_modified(past).unwrap();
    }
    assert_eq!(write(b"3"), ["db"]);
    assert_eq!(write(b"4"), ["db"]);
    for directory in [root.clone(), root.join("blobs")] {
        fs::write(directory.join("new"), b"").unwrap();
        let synced = write(b"5");
        assert!(synced.iter().any(|name| name == "new"), "{synced:?}");
        let name = directory.file_name().unwrap().to_string_lossy().into_owned();
        assert!(synced.contains(&name), "{synced:?}");
        File::open(&directory).unwrap().set_modified(past).unwrap();
        write(b"6");
    }
}
