//! What the registry holds now: generated tables, and on top of them what was written.

mod overlay;
mod tables;

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use bytes::Bytes;
pub(crate) use overlay::{Overlay, View};

use self::tables::Tables;
use crate::content::{Content, Corpus, Manifest};
use crate::digest::Digest;
use crate::moment::Moment;

/// A manifest that cannot be stored because something it names is missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Missing(pub(crate) Digest);

pub(crate) struct Store {
    tables: Tables,
    names: RwLock<BTreeSet<Arc<str>>>,
    overlays: RwLock<HashMap<Arc<str>, Overlay>>,
}

impl Store {
    /// `cached_tables`: how many generated repositories are kept at once, at least one.
    pub(crate) fn new(corpus: Corpus, cached_tables: usize) -> Self {
        let tables = Tables::new(corpus, cached_tables);
        Self {
            names: RwLock::new(tables.names().cloned().collect()),
            tables,
            overlays: RwLock::new(HashMap::new()),
        }
    }

    pub(crate) fn corpus(&self) -> &Corpus {
        self.tables.corpus()
    }

    /// How often a table was made rather than found.
    pub(crate) fn tables_built(&self) -> u64 {
        self.tables.built()
    }

    /// At most `limit` names after `last`, in byte order, and whether there are more.
    pub(crate) fn names_after(
        &self,
        last: Option<&str>,
        inclusive: bool,
        limit: usize,
    ) -> (Vec<Arc<str>>, bool) {
        let names = read(&self.names);
        let mut found = names
            .range::<str, _>((overlay::after(last, inclusive), std::ops::Bound::Unbounded))
            .take(limit.saturating_add(1))
            .cloned()
            .collect::<Vec<_>>();
        let more = found.len() > limit;
        found.truncate(limit);
        (found, more)
    }

    /// Reads one repository; `None` where there is none of that name.
    pub(crate) fn read<T>(&self, name: &str, look: impl FnOnce(&View<'_>) -> T) -> Option<T> {
        let base = self.tables.get(name);
        let overlays = read(&self.overlays);
        let overlay = overlays.get(name);
        if base.is_none() && overlay.is_none() {
            return None;
        }
        Some(look(&View::new(base.as_deref(), overlay)))
    }

    /// Changes one repository, which comes into being by it.
    pub(crate) fn write<T>(&self, name: &str, change: impl FnOnce(Option<&Content>, &mut Overlay) -> T) -> T {
        let base = self.tables.get(name);
        let mut overlays = write(&self.overlays);
        if !overlays.contains_key(name) {
            let name: Arc<str> = Arc::from(name);
            write(&self.names).insert(Arc::clone(&name));
            overlays.insert(name, Overlay::default());
        }
        let mut nothing = Overlay::default();
        change(base.as_deref(), overlays.get_mut(name).unwrap_or(&mut nothing))
    }

    /// Stores a manifest and, with `tag`, tags it.
    ///
    /// # Errors
    /// The first child or blob that the repository does not have.
    pub(crate) fn put_manifest(
        &self,
        name: &str,
        tag: Option<&str>,
        manifest: Manifest,
    ) -> Result<(), Missing> {
        self.write(name, |base, overlay| {
            let view = View::new(base, Some(overlay));
            let blobs = manifest
                .config
                .iter()
                .chain(&manifest.layers)
                .map(|blob| blob.digest);
            let missing_blob = blobs.into_iter().find(|digest| !view.has_blob(digest));
            let missing_child = manifest
                .children
                .iter()
                .copied()
                .find(|child| view.manifest(child).is_none());
            if let Some(missing) = missing_blob.or(missing_child) {
                return Err(Missing(missing));
            }
            overlay.put(manifest, tag);
            Ok(())
        })
    }

    /// Stores a manifest whatever it names.
    pub(crate) fn put_unverified(&self, name: &str, tag: Option<&str>, manifest: Manifest) {
        self.write(name, |_, overlay| overlay.put(manifest, tag));
    }

    /// When a pushed manifest says that it was built: by its configuration, or its first child's.
    pub(crate) fn created_of(&self, name: &str, manifest: &Manifest) -> Option<Moment> {
        self.read(name, |view| {
            let child = manifest.children.first().and_then(|child| view.manifest(child));
            let config = manifest.config.and_then(|config| view.blob(&config.digest));
            let read = config.and_then(|config| serde_json::from_slice::<serde_json::Value>(&config).ok());
            let created = read
                .as_ref()
                .and_then(|value| value.get("created")?.as_str()?.parse().ok());
            created.or_else(|| child?.created)
        })
        .flatten()
    }

    /// Takes a repository off the list; nothing is left of one that was not generated.
    pub(crate) fn forget(&self, name: &str) {
        if self.tables.get(name).is_none() {
            write(&self.overlays).remove(name);
        }
        write(&self.names).remove(name);
    }

    pub(crate) fn put_blob(&self, name: &str, bytes: Bytes) -> Digest {
        let digest = Digest::of(&bytes);
        self.write(name, |_, overlay| overlay.put_blob(digest, bytes));
        digest
    }

    /// Removes a tag alone; answers whether it was there.
    pub(crate) fn delete_tag(&self, name: &str, tag: &str) -> bool {
        if self.read(name, |view| view.resolve(tag).is_some()) != Some(true) {
            return false;
        }
        self.write(name, |_, overlay| overlay.delete_tag(tag));
        true
    }

    /// Removes a manifest and every tag on it; answers whether it was there.
    pub(crate) fn delete_manifest(&self, name: &str, digest: &Digest) -> bool {
        if self.read(name, |view| view.manifest(digest).is_some()) != Some(true) {
            return false;
        }
        self.write(name, |base, overlay| overlay.delete_manifest(base, digest));
        true
    }

    /// Removes a blob, whatever still refers to it; answers whether it was there.
    pub(crate) fn delete_blob(&self, name: &str, digest: &Digest) -> bool {
        if self.read(name, |view| view.has_blob(digest)) != Some(true) {
            return false;
        }
        self.write(name, |_, overlay| overlay.delete_blob(*digest));
        true
    }
}

/// A panic while a lock was held has failed its test already; others may go on.
pub(crate) fn read<T>(lock: &RwLock<T>) -> RwLockReadGuard<'_, T> {
    lock.read().unwrap_or_else(PoisonError::into_inner)
}

pub(crate) fn write<T>(lock: &RwLock<T>) -> RwLockWriteGuard<'_, T> {
    lock.write().unwrap_or_else(PoisonError::into_inner)
}
