//! Harbor, by its own API: a hundred artifacts a request, with what no manifest tells.
//!
//! Projects, rules and artifacts are read through `/api/v2.0`; what only a manifest or a blob holds, through `/v2`, in
//! the one way that does not count as a pull. What Harbor fails to look up it answers as empty: what is decided on its
//! absence is asked for in a second way, or evaluated here.

mod along;
mod api;
pub(crate) mod collecting;
mod connect;
mod deleting;
pub(crate) mod examine;
mod facts;
mod glob;
mod lanes;
mod name;
mod projects;
mod putting;
pub(crate) mod release;
pub(crate) mod retention;
mod rights;
mod rules;
mod survey;
mod walk;
mod wire;

use std::collections::BTreeSet;
use std::fmt;

use bytes::Bytes;
use lagan_model::journal::{RecordedDelete, RecordedRestore, RecordedUntag};
use lagan_model::{
    Accessory, Capabilities, Capability, Catalog, DeletesHow, Deletion, Digest, Head, Manifest, Records,
    Reference, Referrers, RegistryError, RegistryIdentity, RegistryLabel, RegistryProbe, RegistryRead,
    RegistryWrite, RepositoryName, RepositorySnapshot, RequestCounts, Tag,
};
use url::Url;

use self::api::Api;
pub(crate) use self::connect::SERVICE;
use self::lanes::Lanes;
use self::projects::Projects;
use self::rights::Rights;
use self::survey::Surveys;
use crate::oci::{Known, OciRegistry};

/// A Harbor, connected to.
///
/// What is remembered of a run: each project's rules, what its repositories were listed with, and, of projects with
/// many small repositories, their artifacts until they have been surveyed.
pub struct HarborRegistry {
    /// The registry inside, for manifests and blobs; and the client of both.
    oci: OciRegistry,
    /// Everything up to `/api/v2.0/`.
    root: Url,
    /// What finding out that this is a Harbor took.
    before: RequestCounts,
    /// Whether this version lists the artifacts of a whole project.
    lists_projects: bool,
    catalog: Known,
    projects: Projects,
    surveys: Surveys,
    lanes: Lanes,
    rights: Rights,
}

impl HarborRegistry {
    pub(crate) async fn username(&self) -> Option<String> {
        self.oci.client().auth().username().await
    }

    fn api(&self) -> Api<'_> {
        Api {
            client: self.oci.client(),
            root: &self.root,
        }
    }
}

impl fmt::Debug for HarborRegistry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HarborRegistry")
            .field("identity", self.identity())
            .finish_non_exhaustive()
    }
}

impl RegistryRead for HarborRegistry {
    fn identity(&self) -> &RegistryIdentity {
        self.oci.identity()
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities {
            media_types: self.oci.capabilities().media_types,
            catalog: self.catalog.get(),
            // Every version that is supported has all of these.
            referrers: Capability::Offered,
            delete_manifest: Capability::Offered,
            delete_tag: Capability::Offered,
            // Blobs are not taken over here: there is no holding repository on Harbor.
            mount: Capability::NotOffered,
        }
    }

    fn requests(&self) -> RequestCounts {
        let own = self.oci.requests().by_kind;
        own.into_iter().chain(self.before.by_kind.clone()).collect()
    }

    async fn list_repositories(&self) -> Result<Vec<RepositoryName>, RegistryError> {
        let catalog = self.read_catalog(&|_| true).await?;
        match catalog.unread.into_iter().next() {
            None => Ok(catalog.repositories),
            Some((_, error)) => Err(error),
        }
    }

    async fn catalog(&self, is_wanted: &(dyn Fn(&str) -> bool + Sync)) -> Result<Catalog, RegistryError> {
        self.read_catalog(is_wanted).await
    }

    fn will_survey(&self, repositories: &[RepositoryName]) {
        self.note_wanted(repositories);
    }

    async fn survey(&self, repository: &RepositoryName) -> Result<RepositorySnapshot, RegistryError> {
        self.read_repository(repository, false).await
    }

    async fn survey_anew(&self, repository: &RepositoryName) -> Result<RepositorySnapshot, RegistryError> {
        self.read_repository(repository, true).await
    }

    async fn accessories(
        &self,
        repository: &RepositoryName,
        subject: &Digest,
    ) -> Result<Option<Vec<Accessory>>, RegistryError> {
        self.read_accessories(repository, subject).await
    }

    async fn records(
        &self,
        repository: &RepositoryName,
        digests: &BTreeSet<Digest>,
    ) -> Result<Option<Records>, RegistryError> {
        let (records, _) = self.read_records(repository, digests).await?;
        Ok(Some(records))
    }

    async fn confirm_untagged(
        &self,
        repository: &RepositoryName,
        suspected: BTreeSet<Digest>,
    ) -> Result<BTreeSet<Digest>, RegistryError> {
        self.read_untagged(repository, suspected).await
    }

    async fn list_tags(&self, repository: &RepositoryName) -> Result<Vec<Tag>, RegistryError> {
        // A listing of artifacts has none of the tags of accessories.
        self.not_a_cache(repository).await?;
        self.oci.list_tags(repository).await
    }

    async fn manifest(
        &self,
        repository: &RepositoryName,
        reference: &Reference,
    ) -> Result<Manifest, RegistryError> {
        self.not_a_cache(repository).await?;
        self.oci.manifest(repository, reference).await
    }

    async fn resolve(
        &self,
        repository: &RepositoryName,
        reference: &Reference,
    ) -> Result<Option<Head>, RegistryError> {
        self.not_a_cache(repository).await?;
        self.oci.resolve(repository, reference).await
    }

    async fn referrers(
        &self,
        repository: &RepositoryName,
        subject: &Digest,
    ) -> Result<Referrers, RegistryError> {
        self.not_a_cache(repository).await?;
        self.oci.referrers(repository, subject).await
    }

    async fn config_blob(
        &self,
        repository: &RepositoryName,
        digest: &Digest,
        limit: usize,
    ) -> Result<Bytes, RegistryError> {
        self.not_a_cache(repository).await?;
        self.oci.config_blob(repository, digest, limit).await
    }
}

impl RegistryProbe for HarborRegistry {
    /// Nothing is asked: what Harbor can delete is known.
    async fn probe_deletion(&self, _: &RepositoryName, _: &[Tag]) {}
}

impl RegistryWrite for HarborRegistry {
    async fn has_blob(&self, repository: &RepositoryName, digest: &Digest) -> Result<bool, RegistryError> {
        self.not_a_cache(repository).await?;
        self.oci.has_blob(repository, digest).await
    }

    fn deletes(&self) -> DeletesHow {
        DeletesHow {
            takes_along: true,
            one_by_one: true,
        }
    }

    async fn delete(&self, intent: &RecordedDelete) -> Result<Deletion, RegistryError> {
        self.delete_artifact(intent).await
    }

    async fn untag(&self, intent: &RecordedUntag) -> Result<Deletion, RegistryError> {
        self.delete_tag(intent.intent()).await
    }

    async fn put_manifest(&self, restore: &RecordedRestore, tag: Option<&Tag>) -> Result<(), RegistryError> {
        self.not_a_cache(&restore.intent().repository).await?;
        self.oci.put_manifest(restore, tag).await
    }

    async fn create_tag(&self, restore: &RecordedRestore, tag: &Tag) -> Result<(), RegistryError> {
        self.not_a_cache(&restore.intent().repository).await?;
        self.make_tag(restore, tag).await
    }

    async fn lacking_labels(
        &self,
        repository: &RepositoryName,
        digest: &Digest,
        labels: &[RegistryLabel],
    ) -> Result<Vec<RegistryLabel>, RegistryError> {
        self.labels_not_on(repository, digest, labels).await
    }

    async fn put_labels(
        &self,
        restore: &RecordedRestore,
        labels: &[RegistryLabel],
    ) -> Result<Vec<RegistryLabel>, RegistryError> {
        self.add_labels(restore, labels).await
    }
}
