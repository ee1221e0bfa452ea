//! Content put by hand: tests tell their story with it, without a request.

use std::collections::HashSet;

use bytes::Bytes;

use crate::content::{AttachmentSpec, Content, ImageSpec, Kind, Manifest};
use crate::digest::Digest;
use crate::harbor::Pushed;
use crate::media;
use crate::moment::Moment;
use crate::server::{Sandbox, Shared};

/// An image to put; every image put is a different one, whatever it says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Image {
    tags: Vec<String>,
    created: Option<Moment>,
    docker: bool,
    architecture: String,
    labels: Vec<(String, String)>,
    layers: Vec<u64>,
}

impl Image {
    /// For `linux/amd64` in OCI media types.
    #[must_use]
    pub fn new(created: Moment) -> Self {
        Self {
            tags: Vec::new(),
            created: Some(created),
            docker: false,
            architecture: "amd64".to_owned(),
            labels: Vec::new(),
            layers: Vec::new(),
        }
    }

    /// Under this tag too.
    #[must_use]
    pub fn tag(mut self, tag: &str) -> Self {
        self.tags.push(tag.to_owned());
        self
    }

    /// A configuration without `created`.
    #[must_use]
    pub fn undated(mut self) -> Self {
        self.created = None;
        self
    }

    /// In Docker's media types.
    #[must_use]
    pub fn docker(mut self) -> Self {
        self.docker = true;
        self
    }

    /// For another architecture.
    #[must_use]
    pub fn architecture(mut self, architecture: &str) -> Self {
        architecture.clone_into(&mut self.architecture);
        self
    }

    /// With this label in its configuration.
    #[must_use]
    pub fn label(mut self, name: &str, value: &str) -> Self {
        self.labels.push((name.to_owned(), value.to_owned()));
        self
    }

    /// With this layer beside its own; equal keys are equal layers, in any repository.
    #[must_use]
    pub fn shared_layer(mut self, key: u64) -> Self {
        self.layers.push(key);
        self
    }
}

impl Sandbox {
    /// Puts an image under these tags; tags that were elsewhere move.
    pub fn put_image(&self, repository: &str, tags: &[&str], created: Moment) -> Digest {
        let image = tags.iter().fold(Image::new(created), |image, tag| image.tag(tag));
        self.put(repository, &image)
    }

    /// Puts an image of any kind.
    pub fn put(&self, repository: &str, image: &Image) -> Digest {
        self.shared().put(repository, image)
    }

    /// Puts an index of children that are there already: a Docker list if the first of them is a
    /// Docker manifest, else an OCI index. The first is said to be for amd64, the next for arm64.
    pub fn put_index(&self, repository: &str, tags: &[&str], children: &[Digest]) -> Digest {
        const ARCHITECTURES: [&str; 4] = ["amd64", "arm64", "ppc64le", "s390x"];
        let found: Vec<Manifest> = children
            .iter()
            .filter_map(|child| self.manifest(repository, child))
            .collect();
        let docker = found
            .first()
            .is_some_and(|child| child.media_type == media::DOCKER_MANIFEST);
        self.make(repository, tags, |content, _| {
            for child in &found {
                content.add_manifest(child.clone());
            }
            let platforms: Vec<(Digest, &str)> = children
                .iter()
                .copied()
                .zip(ARCHITECTURES.into_iter().cycle())
                .collect();
            content.add_index(Kind::Release, docker, &platforms)
        })
    }

    /// Puts a cosign signature, tagged `sha256-<hex>.sig`.
    pub fn put_signature(&self, repository: &str, subject: Digest) -> Digest {
        self.shared()
            .put_cosign(repository, Kind::Signature, ".sig", subject)
    }

    /// Puts a cosign attestation, tagged `sha256-<hex>.att`.
    pub fn put_attestation(&self, repository: &str, subject: Digest) -> Digest {
        self.shared()
            .put_cosign(repository, Kind::Attestation, ".att", subject)
    }

    /// Puts a bill of materials as cosign attaches it, tagged `sha256-<hex>.sbom`.
    pub fn put_sbom(&self, repository: &str, subject: Digest) -> Digest {
        self.shared().put_cosign(repository, Kind::Sbom, ".sbom", subject)
    }

    /// Puts a manifest with `subject`. Without a referrers API the index under `sha256-<hex>` is
    /// rewritten to list it, as clients do.
    pub fn put_referrer(&self, repository: &str, subject: Digest, artifact_type: &str) -> Digest {
        let known = self.manifest(repository, &subject);
        let referrer = self.make(repository, &[] as &[&str], |content, nonce| {
            if let Some(known) = &known {
                content.add_manifest(known.clone());
            }
            let created = known.and_then(|known| known.created).unwrap_or(Moment::EPOCH);
            content.add_referrer(&AttachmentSpec {
                subject,
                created,
                nonce,
                artifact_type,
            })
        });
        if !self.shared().behaviour.referrers_api {
            let tag = subject.fallback_tag();
            let before = self
                .resolve(repository, &tag)
                .and_then(|digest| self.manifest(repository, &digest));
            let mut listed = before.map(|index| index.children).unwrap_or_default();
            listed.push(referrer);
            let found: Vec<Manifest> = listed
                .iter()
                .filter_map(|digest| self.manifest(repository, digest))
                .collect();
            self.make(repository, &[tag], |content, _| {
                for manifest in found {
                    content.add_manifest(manifest);
                }
                content.add_fallback_index(subject, &listed)
            });
        }
        referrer
    }

    /// Puts a Helm chart under its version.
    pub fn put_chart(&self, repository: &str, version: &str, created: Moment) -> Digest {
        let name = repository.rsplit('/').next().unwrap_or(repository);
        // A tag cannot hold the plus of build metadata; helm writes an underscore.
        let tag = version.replace('+', "_");
        self.make(repository, &[tag], |content, nonce| {
            content.add_chart(name, version, created, nonce)
        })
    }

    /// Puts these very bytes, unchecked: broken JSON, missing children and foreign types too.
    pub fn put_raw_manifest(
        &self,
        repository: &str,
        tags: &[&str],
        media_type: &str,
        bytes: impl Into<Bytes>,
    ) -> Digest {
        let bytes = bytes.into();
        let manifest =
            Manifest::read(media_type, bytes.clone()).unwrap_or_else(|| Manifest::opaque(media_type, bytes));
        self.make(repository, tags, |content, _| content.add_manifest(manifest))
    }

    /// Puts a blob.
    pub fn put_blob(&self, repository: &str, bytes: impl Into<Bytes>) -> Digest {
        self.shared().store.put_blob(repository, bytes.into())
    }

    /// Points a tag at a digest, which need not exist.
    pub fn tag(&self, repository: &str, tag: &str, digest: Digest) {
        self.shared()
            .store
            .write(repository, |_, overlay| overlay.put_tag(tag, digest));
        self.changed(repository);
    }

    /// Removes a tag and nothing else; answers whether it was there.
    pub fn delete_tag(&self, repository: &str, tag: &str) -> bool {
        let there = self.shared().store.delete_tag(repository, tag);
        self.changed(repository);
        there
    }

    /// Removes a manifest and every tag on it; answers whether it was there.
    pub fn delete_manifest(&self, repository: &str, digest: Digest) -> bool {
        let there = self.shared().store.delete_manifest(repository, &digest);
        self.changed(repository);
        there
    }

    /// Removes a blob, as garbage collection would; answers whether it was there.
    pub fn delete_blob(&self, repository: &str, digest: Digest) -> bool {
        self.shared().store.delete_blob(repository, &digest)
    }

    /// Collects the garbage, as docker-registry does: blobs that no manifest of any repository needs go everywhere, and with
    /// `untagged` before them the manifests that have no tag, and that no tagged index lists. Answers how many blobs went.
    pub fn collect_garbage(&self, untagged: bool) -> usize {
        let store = &self.shared().store;
        let (names, _) = store.names_after(None, false, usize::MAX);
        let mut needed: HashSet<Digest> = HashSet::new();
        for name in &names {
            let marked = store.read(name, |view| {
                let all = view.manifests();
                let mut work: Vec<Digest> = match untagged {
                    false => all.iter().map(|manifest| manifest.digest).collect(),
                    true => view.tags().into_iter().map(|(_, digest)| digest).collect(),
                };
                let mut live: HashSet<Digest> = HashSet::new();
                while let Some(digest) = work.pop() {
                    if let Some(manifest) = view.manifest(&digest).filter(|_| live.insert(digest)) {
                        work.extend(manifest.children.iter().copied());
                        let blobs = manifest.config.iter().chain(&manifest.layers);
                        needed.extend(blobs.map(|blob| blob.digest));
                    }
                }
                let dead = all.iter().map(|manifest| manifest.digest);
                dead.filter(|digest| !live.contains(digest)).collect::<Vec<_>>()
            });
            for digest in marked.unwrap_or_default() {
                store.delete_manifest(name, &digest);
            }
        }
        let mut swept = 0;
        for name in &names {
            for blob in store.read(name, |view| view.blobs()).unwrap_or_default() {
                if !needed.contains(&blob) && store.delete_blob(name, &blob) {
                    swept += 1;
                }
            }
            self.changed(name);
        }
        swept
    }

    /// The tags of a repository now, in byte order; none where there is no such repository.
    #[must_use]
    pub fn tags(&self, repository: &str) -> Vec<(String, Digest)> {
        let tags = self.shared().store.read(repository, |view| {
            view.tags()
                .into_iter()
                .map(|(tag, digest)| (tag.to_owned(), digest))
                .collect()
        });
        tags.unwrap_or_default()
    }

    /// What a tag names now.
    #[must_use]
    pub fn resolve(&self, repository: &str, tag: &str) -> Option<Digest> {
        self.shared()
            .store
            .read(repository, |view| view.resolve(tag))
            .flatten()
    }

    /// A manifest that is there now.
    #[must_use]
    pub fn manifest(&self, repository: &str, digest: &Digest) -> Option<Manifest> {
        let found = self
            .shared()
            .store
            .read(repository, |view| view.manifest(digest).cloned());
        found.flatten().map(|manifest| Manifest::clone(&manifest))
    }

    /// Whether a blob is there now.
    #[must_use]
    pub fn has_blob(&self, repository: &str, digest: &Digest) -> bool {
        self.shared().store.read(repository, |view| view.has_blob(digest)) == Some(true)
    }

    fn changed(&self, repository: &str) {
        self.shared().changed(repository);
    }

    fn make(
        &self,
        repository: &str,
        tags: &[impl AsRef<str>],
        build: impl FnOnce(&mut Content, u64) -> Digest,
    ) -> Digest {
        self.shared().make(repository, tags, build)
    }
}

impl Shared {
    pub(crate) fn put_cosign(&self, repository: &str, kind: Kind, suffix: &str, subject: Digest) -> Digest {
        let tag = format!("{}{suffix}", subject.fallback_tag());
        self.make(repository, &[tag], |content, nonce| {
            let artifact_type = media::OCI_CONFIG;
            content.add_cosign(
                kind,
                &AttachmentSpec {
                    subject,
                    created: Moment::EPOCH,
                    nonce,
                    artifact_type,
                },
            )
        })
    }

    pub(crate) fn put(&self, repository: &str, image: &Image) -> Digest {
        self.make(repository, &image.tags, |content, nonce| {
            let mut layers = image.layers.clone();
            layers.push(nonce);
            content.add_image(&ImageSpec {
                kind: if image.tags.is_empty() {
                    Kind::Untagged
                } else {
                    Kind::Release
                },
                docker: image.docker,
                created: image.created,
                version: image.tags.first().map_or("0.0.0", String::as_str),
                revision: nonce,
                architecture: &image.architecture,
                labels: &image.labels,
                layers: &layers,
            })
        })
    }

    /// Tells a Harbor what was put by hand.
    pub(crate) fn changed(&self, repository: &str) {
        self.harbor.changed(&self.store, repository, Pushed::WhenBuilt);
    }

    /// Makes something beside the repository, then adds it there with its tags at once.
    fn make(
        &self,
        repository: &str,
        tags: &[impl AsRef<str>],
        build: impl FnOnce(&mut Content, u64) -> Digest,
    ) -> Digest {
        let store = &self.store;
        let nonce = store.write(repository, |_, overlay| overlay.next_nonce());
        let mut content = Content::new(repository);
        let digest = build(&mut content, nonce);
        for tag in tags {
            content.add_tag(tag.as_ref(), digest);
        }
        store.write(repository, |_, overlay| overlay.absorb(&content));
        self.changed(repository);
        digest
    }
}
