//! What somebody else does while a client is at work.

use crate::content::Kind;
use crate::digest::Digest;
use crate::handmade::Image;
use crate::server::Shared;

/// One change to the content, made before a request is answered ([`crate::Effect::Meanwhile`]).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// An image is pushed to this repository.
    Push(String, Image),
    /// In this repository, this tag is made, or moved to this digest.
    Tag(String, String, Digest),
    /// In this repository, a cosign signature of this manifest is pushed.
    Sign(String, Digest),
    /// In this repository, this tag is removed.
    Untag(String, String),
    /// In this repository, this manifest is removed with its tags.
    Delete(String, Digest),
    /// This repository is removed with all that it holds.
    DeleteRepository(String),
}

impl Shared {
    pub(crate) fn change(&self, change: &Change) {
        match change {
            Change::Push(repository, image) => {
                self.put(repository, image);
            }
            Change::Sign(repository, subject) => {
                self.put_cosign(repository, Kind::Signature, ".sig", *subject);
            }
            Change::Tag(repository, tag, digest) => {
                self.store
                    .write(repository, |_, overlay| overlay.put_tag(tag, *digest));
                self.changed(repository);
            }
            Change::Untag(repository, tag) => {
                self.store.delete_tag(repository, tag);
                self.changed(repository);
            }
            Change::Delete(repository, digest) => {
                self.store.delete_manifest(repository, digest);
                self.changed(repository);
            }
            Change::DeleteRepository(repository) => {
                let held = self.store.read(repository, |view| {
                    view.manifests()
                        .iter()
                        .map(|manifest| manifest.digest)
                        .collect::<Vec<_>>()
                });
                for digest in held.unwrap_or_default() {
                    self.store.delete_manifest(repository, &digest);
                }
                self.store.forget(repository);
                self.harbor.forget(repository);
            }
        }
    }
}
