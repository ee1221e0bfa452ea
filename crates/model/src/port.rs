//! The ports: what the engine asks of the world, in terms of this crate alone.

use std::collections::BTreeSet;
use std::future::Future;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::artifact::{Artifact, Blob};
use crate::clock::Time;
use crate::digest::Digest;
use crate::error::{Failure, RegistryError};
use crate::journal::{RecordedDelete, RecordedRestore, RecordedUntag};
use crate::manifest::{Descriptor, Manifest};
use crate::media_type::{ManifestTypes, MediaType};
use crate::memory::LedgerError;
use crate::name::{RegistryName, RepositoryName};
use crate::request::RequestCounts;
use crate::snapshot::{Accessory, ImageRecord, Labels, RegistryLabel, RepositorySnapshot, Times};
use crate::tag::{Reference, Tag};

/// What kind of registry it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RegistryKind {
    /// Any registry that follows the OCI distribution specification.
    Oci,
    /// Harbor, by its own API.
    Harbor,
}

impl RegistryKind {
    /// Every kind.
    pub const ALL: [Self; 2] = [Self::Oci, Self::Harbor];

    /// Its name, as configurations and plans write it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Oci => "oci",
            Self::Harbor => "harbor",
        }
    }
}

/// Which registry it is, as plans name it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RegistryIdentity {
    /// Its name in the configuration, or its host and port.
    pub name: RegistryName,
    /// Its base URL, without credentials.
    pub url: String,
    /// Its kind.
    pub kind: RegistryKind,
}

/// Whether a registry offers something.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Capability {
    /// Nobody has asked yet.
    #[default]
    Unknown,
    /// It was seen to.
    Offered,
    /// It was seen not to.
    NotOffered,
}

/// What a registry was seen to offer. Never assumed: what is unknown is treated as the safer of the two.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Capabilities {
    /// The kinds of manifests that it was seen to serve, or to take. Nobody asks for them: what a registry does not have,
    /// it cannot be seen to serve, and what it takes, only a push shows.
    #[serde(skip_serializing_if = "ManifestTypes::is_empty")]
    pub media_types: ManifestTypes,
    /// A list of its repositories, for whoever asked.
    pub catalog: Capability,
    /// The referrers API of distribution specification 1.1.
    pub referrers: Capability,
    /// Deletion of a manifest by its digest, which takes every tag on it along.
    pub delete_manifest: Capability,
    /// Deletion of a single tag, which leaves the manifest and its other tags.
    pub delete_tag: Capability,
    /// Taking a blob over from another repository without moving its bytes.
    pub mount: Capability,
}

/// The answer to a question for referrers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Referrers {
    /// All of them; an empty list means that there are none.
    Listed(Vec<Descriptor>),
    /// The registry has no referrers API: they are listed by the manifest tagged
    /// [`Digest::referrers_tag`], which stands in the tag listing.
    NoApi,
}

/// The repositories of a registry, as far as they could be listed.
#[derive(Debug, Default)]
pub struct Catalog {
    /// Every repository of which the listing could be read, in no order.
    pub repositories: Vec<RepositoryName>,
    /// Projects, by their names, of which the repositories could not be listed, and why.
    pub unread: Vec<(RepositoryName, RegistryError)>,
}

/// What a registry with an API of its own records of an artifact.
#[derive(Debug, Clone, PartialEq)]
pub struct ArtifactRecord {
    /// What would otherwise be read of its manifest, without sizes and blobs.
    pub artifact: Artifact,
    /// When it was pushed and pulled.
    pub times: Times,
    /// The labels that it has in the registry.
    pub labels: Labels,
    /// The same, as the registry tells them apart.
    pub kept_labels: Vec<RegistryLabel>,
    /// What its configuration says, where it is an image.
    pub image: Option<ImageRecord>,
    /// All that is attached to it.
    pub accessories: Vec<Accessory>,
}

/// What is recorded of each of several artifacts; `None` where there is no such artifact.
pub type Records = Vec<(Digest, Option<ArtifactRecord>)>;

/// Reading a registry. Every method retries what may be retried; an error is final.
pub trait RegistryRead: Send + Sync {
    /// Which registry it is.
    fn identity(&self) -> &RegistryIdentity;

    /// What it was seen to offer so far.
    fn capabilities(&self) -> Capabilities;

    /// The requests sent so far.
    fn requests(&self) -> RequestCounts;

    /// Every repository in the catalog, in no order.
    ///
    /// Fails with [`Failure::Unsupported`] where there is no catalog.
    fn list_repositories(&self) -> impl Future<Output = Result<Vec<RepositoryName>, RegistryError>> + Send;

    /// The same, without those below names of which `is_wanted` says that nobody asks: it is given the first segment of a
    /// name. Where a part cannot be listed that stands for itself, as a project does, the others still are.
    fn catalog(
        &self,
        is_wanted: &(dyn Fn(&str) -> bool + Sync),
    ) -> impl Future<Output = Result<Catalog, RegistryError>> + Send {
        let _ = is_wanted;
        async {
            Ok(Catalog {
                repositories: self.list_repositories().await?,
                unread: Vec::new(),
            })
        }
    }

    /// Says which repositories will be surveyed, before the first is: a registry that lists several of them in one
    /// request can do so.
    fn will_survey(&self, repositories: &[RepositoryName]) {
        let _ = repositories;
    }

    /// All that a listing of one repository tells: its tags, and whatever this registry tells along with them.
    ///
    /// Fails with [`Failure::NotFound`] where there is no such repository.
    fn survey(
        &self,
        repository: &RepositoryName,
    ) -> impl Future<Output = Result<RepositorySnapshot, RegistryError>> + Send {
        async {
            let tags = self.list_tags(repository).await?;
            Ok(RepositorySnapshot::listed(repository.clone(), tags))
        }
    }

    /// The same, read anew whatever was listed before: what is deleted is decided on no older listing.
    fn survey_anew(
        &self,
        repository: &RepositoryName,
    ) -> impl Future<Output = Result<RepositorySnapshot, RegistryError>> + Send {
        self.survey(repository)
    }

    /// Everything that the registry has attached to an artifact, from an answer that does not leave out what it failed
    /// to look up.
    ///
    /// `None` where [`referrers`](Self::referrers) and tags tell. Fails with [`Failure::NotFound`] where there is no
    /// such artifact.
    fn accessories(
        &self,
        repository: &RepositoryName,
        subject: &Digest,
    ) -> impl Future<Output = Result<Option<Vec<Accessory>>, RegistryError>> + Send {
        let _ = (repository, subject);
        async { Ok(None) }
    }

    /// What the registry records of these artifacts.
    ///
    /// `None` where it records nothing beside manifests, which are to be read then.
    fn records(
        &self,
        repository: &RepositoryName,
        digests: &BTreeSet<Digest>,
    ) -> impl Future<Output = Result<Option<Records>, RegistryError>> + Send {
        let _ = (repository, digests);
        async { Ok(None) }
    }

    /// Which of these artifacts have no tag, where a listing that may be wrong showed none.
    fn confirm_untagged(
        &self,
        repository: &RepositoryName,
        suspected: BTreeSet<Digest>,
    ) -> impl Future<Output = Result<BTreeSet<Digest>, RegistryError>> + Send {
        let _ = (repository, suspected);
        async { Ok(BTreeSet::new()) }
    }

    /// Every tag of a repository, in no order, also those that a survey leaves out. A listing that cannot be read to its
    /// end is an error.
    fn list_tags(
        &self,
        repository: &RepositoryName,
    ) -> impl Future<Output = Result<Vec<Tag>, RegistryError>> + Send;

    /// A manifest, its bytes verified against its digest.
    fn manifest(
        &self,
        repository: &RepositoryName,
        reference: &Reference,
    ) -> impl Future<Output = Result<Manifest, RegistryError>> + Send;

    /// What a tag or digest is on now; `None` where the registry says that there is no such manifest. Where a registry
    /// has no cheaper way, by reading the manifest.
    fn resolve(
        &self,
        repository: &RepositoryName,
        reference: &Reference,
    ) -> impl Future<Output = Result<Option<Head>, RegistryError>> + Send {
        async move {
            match self.manifest(repository, reference).await {
                Ok(manifest) => Ok(Some(Head {
                    digest: manifest.digest().clone(),
                    media_type: Some(manifest.media_type().clone()),
                })),
                Err(error) if error.failure() == Failure::NotFound => Ok(None),
                Err(error) => Err(error),
            }
        }
    }

    /// The referrers of a digest.
    fn referrers(
        &self,
        repository: &RepositoryName,
        subject: &Digest,
    ) -> impl Future<Output = Result<Referrers, RegistryError>> + Send;

    /// A configuration blob, verified against its digest; an error if it is larger than `limit` bytes.
    fn config_blob(
        &self,
        repository: &RepositoryName,
        digest: &Digest,
        limit: usize,
    ) -> impl Future<Output = Result<Bytes, RegistryError>> + Send;
}

/// Finding out what a registry can do by asking for what cannot be done: nothing that exists is named.
///
/// Apart from [`RegistryRead`], since its requests are no GET and HEAD: they take the right to delete, and stand in
/// audit logs as attempts. Nobody sends them who was not told to.
pub trait RegistryProbe: RegistryRead {
    /// Asks whether manifests and single tags can be deleted, where that is not known yet. At most once a registry;
    /// who calls while another asks waits for the answer. It then stands in [`RegistryRead::capabilities`]; a question
    /// that is refused, or fails, leaves `Unknown`.
    ///
    /// `tags` are all tags of the repository: none of them is named.
    fn probe_deletion(&self, repository: &RepositoryName, tags: &[Tag]) -> impl Future<Output = ()> + Send;
}

/// What a HEAD of a manifest tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    /// The digest.
    pub digest: Digest,
    /// What it is served as, where the answer says.
    pub media_type: Option<MediaType>,
}

/// What a registry answered to a deletion.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Deletion {
    /// Accepted. That is no proof that it happened.
    Accepted,
    /// There is no such thing.
    NotFound,
    /// It is no longer what is on record, or the registry now keeps it: all of it is as it was.
    Left {
        /// Why.
        detail: String,
    },
}

/// How a registry deletes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct DeletesHow {
    /// With an artifact goes what it lists, unless a tag is on that or something else lists it; and what is attached to
    /// it.
    pub takes_along: bool,
    /// One after another: who sends several at once waits for each.
    pub one_by_one: bool,
}

/// How a blob came from another repository.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mount {
    /// By name alone: no bytes moved.
    Mounted,
    /// The registry did not mount it, and its bytes were read and pushed.
    Copied,
}

/// Changing a registry. Every change takes what proves that the journal has it.
///
/// No method sends its request again, not even after an answer that asks for that: until it is sent again, somebody
/// may have pushed what it would then delete. After [`Denied`](crate::Failure::Denied),
/// [`Unsupported`](crate::Failure::Unsupported), [`Refused`](crate::Failure::Refused) and
/// [`Overloaded`](crate::Failure::Overloaded) a change was not made; after every other failure it may have been, or may
/// still be, and only reading tells.
pub trait RegistryWrite: RegistryRead {
    /// Whether a blob can really be read: a HEAD, and a GET of its first byte, since a registry can claim blobs
    /// that its garbage collection took.
    fn has_blob(
        &self,
        repository: &RepositoryName,
        digest: &Digest,
    ) -> impl Future<Output = Result<bool, RegistryError>> + Send;

    /// How it deletes.
    fn deletes(&self) -> DeletesHow {
        DeletesHow::default()
    }

    /// Deletes a manifest by its digest, and with it every tag on it.
    fn delete(&self, intent: &RecordedDelete)
    -> impl Future<Output = Result<Deletion, RegistryError>> + Send;

    /// Takes a single tag off, where the registry can.
    fn untag(&self, intent: &RecordedUntag) -> impl Future<Output = Result<Deletion, RegistryError>> + Send;

    /// Puts a manifest back, byte for byte and with its Content-Type: by digest, or under one of the tags that the
    /// intent names.
    fn put_manifest(
        &self,
        restore: &RecordedRestore,
        tag: Option<&Tag>,
    ) -> impl Future<Output = Result<(), RegistryError>> + Send;

    /// Brings a blob of the repository `from` into the repository of the intent, which the manifest that is about to be
    /// put there needs: by mounting it, or else by copying its bytes. That is no proof that it can be read there.
    ///
    /// Fails with [`Failure::Unsupported`] where this kind of registry is not known to be able to, and with
    /// [`Failure::NotFound`] where `from` has no such blob.
    fn mount_blob(
        &self,
        restore: &RecordedRestore,
        blob: &Blob,
        from: &RepositoryName,
    ) -> impl Future<Output = Result<Mount, RegistryError>> + Send {
        let request = format!("mount {from}@{} in {}", blob.digest, restore.intent().repository);
        async {
            let detail = "not sent: blobs are not taken over from other repositories here";
            Err(RegistryError::new(Failure::Unsupported, request, detail))
        }
    }

    /// Puts a tag that the intent names on a manifest that is there; where the registry can, only if there is no such
    /// tag.
    fn create_tag(
        &self,
        restore: &RecordedRestore,
        tag: &Tag,
    ) -> impl Future<Output = Result<(), RegistryError>> + Send {
        self.put_manifest(restore, Some(tag))
    }

    /// Those of `labels` that an artifact does not have.
    fn lacking_labels(
        &self,
        repository: &RepositoryName,
        digest: &Digest,
        labels: &[RegistryLabel],
    ) -> impl Future<Output = Result<Vec<RegistryLabel>, RegistryError>> + Send {
        let _ = (repository, digest, labels);
        async { Ok(Vec::new()) }
    }

    /// Puts the registry's own labels back on a manifest that is there. One that does not exist any more is not made
    /// again: it is given back.
    fn put_labels(
        &self,
        restore: &RecordedRestore,
        labels: &[RegistryLabel],
    ) -> impl Future<Output = Result<Vec<RegistryLabel>, RegistryError>> + Send {
        let _ = (restore, labels);
        async { Ok(Vec::new()) }
    }
}

/// The time, and waiting for it.
pub trait Clock: Send + Sync {
    /// Now.
    fn now(&self) -> Time;

    /// Returns when so much time has passed.
    fn sleep(&self, duration: std::time::Duration) -> impl Future<Output = ()> + Send;
}

/// Told how a run gets on. Calls are cheap and may come from any task.
pub trait Observer: Send + Sync {
    /// How many repositories will be looked at.
    fn repositories_found(&self, _count: usize) {}

    /// A repository's tags are known.
    fn tags_listed(&self, _repository: &RepositoryName, _count: usize) {}

    /// The ledger of a repository could not be read or written; the run goes on without it there.
    fn ledger_failed(&self, _repository: &RepositoryName, _error: &LedgerError) {}

    /// What became of one more manifest, or of one tag that was taken off, that is to be put back, is known.
    fn manifest_undone(&self, _repository: &RepositoryName) {}

    /// A repository is decided, or reported as incomplete.
    fn repository_done(&self, _repository: &RepositoryName, _complete: bool) {}
}

/// Nobody watches.
impl Observer for () {}
