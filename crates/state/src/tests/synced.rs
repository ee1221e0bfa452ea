//! What is synced of a store: its data, and files that nobody has seen before.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::{Duration, SystemTime};

use super::room;
use crate::copies::kv::{Batch, Kv};
use crate::files::{Disk, Files};

/// A disk that tells of every sync.
#[derive(Debug, Default)]
struct Told {
    synced: Mutex<Vec<PathBuf>>,
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
