//! The ports: what the engine asks of the world, in terms of this crate alone.

use std::future::Future;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::digest::Digest;
use crate::error::RegistryError;
use crate::manifest::{Descriptor, Manifest};
use crate::name::{RegistryName, RepositoryName};
use crate::request::RequestCounts;
use crate::tag::{Reference, Tag};

/// What kind of registry it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RegistryKind {
    /// Any registry that follows the OCI distribution specification.
    Oci,
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
    /// A list of its repositories, for whoever asked.
    pub catalog: Capability,
    /// The referrers API of distribution specification 1.1.
    pub referrers: Capability,
    /// Deletion of a manifest by its digest, which takes every tag on it along.
    pub delete_manifest: Capability,
    /// Deletion of a single tag, which leaves the manifest and its other tags.
    pub delete_tag: Capability,
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
    /// Fails with [`Failure::Unsupported`](crate::Failure::Unsupported) where there is no catalog.
    fn list_repositories(&self) -> impl Future<Output = Result<Vec<RepositoryName>, RegistryError>> + Send;

    /// Every tag of a repository, in no order. A listing that cannot be read to its end is an error.
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

/// Told how a run gets on. Calls are cheap and may come from any task.
pub trait Observer: Send + Sync {
    /// How many repositories will be looked at.
    fn repositories_found(&self, _count: usize) {}

    /// A repository's tags are known.
    fn tags_listed(&self, _repository: &RepositoryName, _count: usize) {}

    /// A repository is decided, or reported as incomplete.
    fn repository_done(&self, _repository: &RepositoryName, _complete: bool) {}
}

/// Nobody watches.
impl Observer for () {}
