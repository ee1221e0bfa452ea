//! OCI Distribution: the protocol that every container registry speaks.

mod change;
mod connect;
mod content;
mod look;
mod mount;
mod names;
mod probe;
mod referrers;

use std::fmt;
use std::sync::{Mutex, OnceLock, PoisonError};

use bytes::Bytes;
use http::HeaderValue;
use lagan_model::journal::{RecordedDelete, RecordedRestore, RecordedUntag};
use lagan_model::{
    Blob, Capabilities, Capability, Deletion, Digest, Failure, Head, Manifest, ManifestTypes, MediaType,
    Mount, Reference, Referrers, RegistryError, RegistryIdentity, RegistryProbe, RegistryRead, RegistryWrite,
    RepositoryName, RequestCounts, RequestKind, Tag,
};
use url::Url;

pub use self::connect::ConnectError;
pub(crate) use self::connect::Greeting;
use self::mount::Mounting;
use self::names::Listings;
use self::probe::Deletability;
use self::referrers::ReferrersApi;
use crate::action::Action;
use crate::client::RegistryClient;
use crate::transport::{Redirects, Request};

/// A registry that follows the OCI distribution specification, connected to.
///
/// At most [`Settings::max_concurrency`](crate::Settings) requests are under way at once, whoever calls. Nothing
/// is remembered of what was read: only tokens, and what the registry was seen to offer.
pub struct OciRegistry {
    identity: RegistryIdentity,
    client: RegistryClient,
    /// Everything up to `/v2/`.
    root: Url,
    listings: Listings,
    referrers: ReferrersApi,
    deletion: Deletability,
    mounting: Mounting,
    media_types: SeenTypes,
}

/// The kinds of manifests that the registry was seen to serve or to take.
#[derive(Debug, Default)]
struct SeenTypes(Mutex<ManifestTypes>);

impl SeenTypes {
    fn get(&self) -> ManifestTypes {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn saw(&self, media_type: &MediaType) {
        let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *seen = seen.and(ManifestTypes::only(media_type));
    }
}

/// Whether the registry offers something, as far as it was seen.
#[derive(Debug, Default)]
pub(crate) struct Known(OnceLock<Capability>);

impl Known {
    pub(crate) fn get(&self) -> Capability {
        self.0.get().copied().unwrap_or_default()
    }

    /// What was seen first stands for the run.
    pub(crate) fn saw(&self, capability: Capability) {
        if capability != Capability::Unknown {
            _ = self.0.set(capability);
        }
    }
}

impl OciRegistry {
    pub(crate) fn client(&self) -> &RegistryClient {
        &self.client
    }

    fn url(&self, path: &str) -> Result<Url, RegistryError> {
        // Reading the whole text would read the host again with every request, which costs as much as sending one.
        let mut url = self.root.clone();
        url.set_path(&format!("{}{path}", self.root.path()));
        // No name that was read holds a segment of dots, which would lead out of what was asked for.
        if url.path().strip_prefix(self.root.path()) == Some(path) {
            Ok(url)
        } else {
            let line = format!("GET {}{path}", self.root);
            Err(RegistryError::new(
                Failure::Malformed,
                line,
                "this is no path of a URL",
            ))
        }
    }

    /// A request that is answered by the registry itself.
    fn request(
        &self,
        kind: RequestKind,
        path: &str,
        accept: &'static str,
        limit: usize,
    ) -> Result<Request, RegistryError> {
        Ok(Request {
            kind,
            url: self.url(path)?,
            accept: HeaderValue::from_static(accept),
            limit,
            redirects: Redirects::SameOrigin,
            action: Action::Read,
        })
    }
}

impl fmt::Debug for OciRegistry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OciRegistry")
            .field("identity", &self.identity)
            .finish_non_exhaustive()
    }
}

impl RegistryRead for OciRegistry {
    fn identity(&self) -> &RegistryIdentity {
        &self.identity
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities {
            media_types: self.media_types.get(),
            catalog: self.listings.catalog.get(),
            referrers: self.referrers.capability(),
            delete_manifest: self.deletion.manifest.get(),
            delete_tag: self.deletion.tag.get(),
            mount: self.mounting.capability(),
        }
    }

    fn requests(&self) -> RequestCounts {
        self.client.transport().counters().read()
    }

    async fn list_repositories(&self) -> Result<Vec<RepositoryName>, RegistryError> {
        self.read_catalog().await
    }

    async fn list_tags(&self, repository: &RepositoryName) -> Result<Vec<Tag>, RegistryError> {
        self.read_tags(repository).await
    }

    async fn manifest(
        &self,
        repository: &RepositoryName,
        reference: &Reference,
    ) -> Result<Manifest, RegistryError> {
        self.read_manifest(repository, reference).await
    }

    async fn resolve(
        &self,
        repository: &RepositoryName,
        reference: &Reference,
    ) -> Result<Option<Head>, RegistryError> {
        self.look_at(repository, reference).await
    }

    async fn referrers(
        &self,
        repository: &RepositoryName,
        subject: &Digest,
    ) -> Result<Referrers, RegistryError> {
        self.read_referrers(repository, subject).await
    }

    async fn config_blob(
        &self,
        repository: &RepositoryName,
        digest: &Digest,
        limit: usize,
    ) -> Result<Bytes, RegistryError> {
        self.read_blob(repository, digest, limit).await
    }
}

impl RegistryProbe for OciRegistry {
    async fn probe_deletion(&self, repository: &RepositoryName, tags: &[Tag]) {
        self.ask_what_can_be_deleted(repository, tags).await;
    }
}

impl RegistryWrite for OciRegistry {
    async fn has_blob(&self, repository: &RepositoryName, digest: &Digest) -> Result<bool, RegistryError> {
        self.taste_blob(repository, digest).await
    }

    async fn delete(&self, intent: &RecordedDelete) -> Result<Deletion, RegistryError> {
        self.delete_manifest(intent.intent()).await
    }

    async fn untag(&self, intent: &RecordedUntag) -> Result<Deletion, RegistryError> {
        self.delete_tag(intent.intent()).await
    }

    async fn put_manifest(&self, restore: &RecordedRestore, tag: Option<&Tag>) -> Result<(), RegistryError> {
        self.put(restore, tag).await
    }

    async fn mount_blob(
        &self,
        restore: &RecordedRestore,
        blob: &Blob,
        from: &RepositoryName,
    ) -> Result<Mount, RegistryError> {
        self.take_over(restore.intent(), blob, from).await
    }
}
