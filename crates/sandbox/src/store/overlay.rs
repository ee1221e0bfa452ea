//! Writes to one repository, and the repository as it is with them.

use std::collections::{BTreeMap, HashMap};
use std::ops::Bound;
use std::sync::Arc;

use bytes::Bytes;

use crate::content::{Blob, Content, Manifest};
use crate::digest::Digest;

/// What was written since the start. `None` is something deleted, which hides the table's own.
#[derive(Default)]
pub(crate) struct Overlay {
    tags: BTreeMap<Arc<str>, Option<Digest>>,
    manifests: HashMap<Digest, Option<Arc<Manifest>>>,
    /// The order of puts, so that lists of referrers do not depend on hashing.
    order: Vec<Digest>,
    /// How many things were put by hand: makes each of them different.
    nonces: u64,
    blobs: HashMap<Digest, Option<Blob>>,
}

impl Overlay {
    pub(super) fn put(&mut self, manifest: Manifest, tag: Option<&str>) {
        let digest = manifest.digest;
        // A push of the same bytes keeps what is known of them.
        if !matches!(self.manifests.get(&digest), Some(Some(_))) {
            self.order.retain(|earlier| *earlier != digest);
            self.order.push(digest);
            self.manifests.insert(digest, Some(Arc::new(manifest)));
        }
        if let Some(tag) = tag {
            self.put_tag(tag, digest);
        }
    }

    pub(crate) fn next_nonce(&mut self) -> u64 {
        self.nonces += 1;
        self.nonces
    }

    pub(crate) fn put_tag(&mut self, tag: &str, digest: Digest) {
        self.tags.insert(Arc::from(tag), Some(digest));
    }

    pub(super) fn put_blob(&mut self, digest: Digest, bytes: Bytes) {
        self.blobs.insert(digest, Some(Blob::Bytes(bytes)));
    }

    /// Takes over everything that `made` holds.
    pub(crate) fn absorb(&mut self, made: &Content) {
        for manifest in made.manifests() {
            self.put(Manifest::clone(manifest), None);
        }
        for (digest, blob) in made.stored_blobs() {
            self.blobs.insert(*digest, Some(blob.clone()));
        }
        for (tag, digest) in made.tags() {
            self.put_tag(tag, digest);
        }
    }

    pub(super) fn delete_tag(&mut self, tag: &str) {
        self.tags.insert(Arc::from(tag), None);
    }

    pub(super) fn delete_manifest(&mut self, base: Option<&Content>, digest: &Digest) {
        let named: Vec<Arc<str>> = View::new(base, Some(self))
            .tags()
            .into_iter()
            .filter(|(_, named)| named == digest)
            .map(|(tag, _)| Arc::from(tag))
            .collect();
        for tag in named {
            self.tags.insert(tag, None);
        }
        self.manifests.insert(*digest, None);
        self.order.retain(|kept| kept != digest);
    }

    pub(super) fn delete_blob(&mut self, digest: Digest) {
        self.blobs.insert(digest, None);
    }
}

/// One repository as a client sees it.
pub(crate) struct View<'a> {
    base: Option<&'a Content>,
    overlay: Option<&'a Overlay>,
}

impl<'a> View<'a> {
    pub(crate) fn new(base: Option<&'a Content>, overlay: Option<&'a Overlay>) -> Self {
        Self { base, overlay }
    }

    pub(crate) fn resolve(&self, tag: &str) -> Option<Digest> {
        match self.overlay.and_then(|overlay| overlay.tags.get(tag)) {
            Some(written) => *written,
            None => self.base?.resolve(tag),
        }
    }

    pub(crate) fn manifest(&self, digest: &Digest) -> Option<&'a Arc<Manifest>> {
        match self.overlay.and_then(|overlay| overlay.manifests.get(digest)) {
            Some(written) => written.as_ref(),
            None => self.base?.manifest(digest),
        }
    }

    pub(crate) fn has_blob(&self, digest: &Digest) -> bool {
        match self.overlay.and_then(|overlay| overlay.blobs.get(digest)) {
            Some(written) => written.is_some(),
            None => self.base.is_some_and(|base| base.has_blob(digest)),
        }
    }

    /// The digests of every blob, in no particular order.
    pub(crate) fn blobs(&self) -> Vec<Digest> {
        let base = self.base.into_iter().flat_map(|base| base.stored_blobs());
        let base = base.map(|(digest, _)| *digest);
        let written = self.overlay.into_iter().flat_map(|overlay| overlay.blobs.keys());
        base.chain(written.copied())
            .filter(|digest| self.has_blob(digest))
            .collect()
    }

    pub(crate) fn blob(&self, digest: &Digest) -> Option<Bytes> {
        match self.overlay.and_then(|overlay| overlay.blobs.get(digest)) {
            Some(written) => written.as_ref().map(Blob::bytes),
            None => self.base?.blob(digest),
        }
    }

    /// Every tag, in byte order.
    pub(crate) fn tags(&self) -> Vec<(&'a str, Digest)> {
        self.tags_after(None, false, usize::MAX).0
    }

    /// Every manifest, in the order they came.
    pub(crate) fn manifests(&self) -> Vec<&'a Arc<Manifest>> {
        let overlay = self.overlay;
        let base = self.base.into_iter().flat_map(|base| base.manifests());
        let untouched = base
            .filter(|found| !overlay.is_some_and(|overlay| overlay.manifests.contains_key(&found.digest)));
        let written = overlay.into_iter().flat_map(|overlay| {
            overlay
                .order
                .iter()
                .filter_map(|digest| overlay.manifests.get(digest)?.as_ref())
        });
        untouched.chain(written).collect()
    }

    /// At most `limit` tags after `last` (from it, where `inclusive`), and whether there are more.
    pub(crate) fn tags_after(
        &self,
        last: Option<&str>,
        inclusive: bool,
        limit: usize,
    ) -> (Vec<(&'a str, Digest)>, bool) {
        let range = (after(last, inclusive), Bound::Unbounded);
        let overlay = self.overlay;
        let mut base = self
            .base
            .into_iter()
            .flat_map(move |base| base.tag_map().range::<str, _>(range))
            .filter(|(tag, _)| !overlay.is_some_and(|overlay| overlay.tags.contains_key(&***tag)))
            .map(|(tag, digest)| (&**tag, *digest))
            .peekable();
        let mut written = overlay
            .into_iter()
            .flat_map(move |overlay| overlay.tags.range::<str, _>(range))
            .filter_map(|(tag, digest)| Some((&**tag, (*digest)?)))
            .peekable();
        let mut found = Vec::new();
        loop {
            let from_base = match (base.peek(), written.peek()) {
                (None, None) => return (found, false),
                (Some(ours), Some(theirs)) => ours.0 < theirs.0,
                (ours, _) => ours.is_some(),
            };
            if found.len() == limit {
                return (found, true);
            }
            found.extend(if from_base { base.next() } else { written.next() });
        }
    }

    /// Manifests with this `subject`, in the order they came.
    pub(crate) fn referrers(&self, subject: &Digest) -> Vec<&'a Arc<Manifest>> {
        let overlay = self.overlay;
        let base = self.base.into_iter().flat_map(|base| base.referrers(subject));
        let untouched = base
            .filter(|found| !overlay.is_some_and(|overlay| overlay.manifests.contains_key(&found.digest)));
        let written = overlay
            .into_iter()
            .flat_map(|overlay| {
                overlay
                    .order
                    .iter()
                    .filter_map(|digest| overlay.manifests.get(digest)?.as_ref())
            })
            .filter(|found| found.subject == Some(*subject));
        untouched.chain(written).collect()
    }
}

pub(super) fn after(last: Option<&str>, inclusive: bool) -> Bound<&str> {
    match last {
        None => Bound::Unbounded,
        Some(last) if inclusive => Bound::Included(last),
        Some(last) => Bound::Excluded(last),
    }
}
