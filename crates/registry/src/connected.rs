//! Whatever kind of registry was connected to.

use std::collections::BTreeSet;

use bytes::Bytes;
use lagan_model::journal::{RecordedDelete, RecordedRestore, RecordedUntag};
use lagan_model::{
    Accessory, Blob, Capabilities, Catalog, DeletesHow, Deletion, Digest, Failure, Head, Manifest, Mount,
    Records, Reference, Referrers, RegistryError, RegistryIdentity, RegistryKind, RegistryLabel,
    RegistryProbe, RegistryRead, RegistryWrite, RepositoryName, RepositorySnapshot, RequestCounts, Tag,
};

use crate::harbor::{HarborRegistry, SERVICE};
use crate::oci::{ConnectError, Greeting, OciRegistry};
use crate::settings::Settings;

/// A registry of one of the kinds that are known.
#[derive(Debug)]
pub enum Connected {
    /// By OCI Distribution.
    Oci(Box<OciRegistry>),
    /// By Harbor's API.
    Harbor(Box<HarborRegistry>),
}

impl Connected {
    /// Connects; where the kind is not said, finds out: Harbor sends for tokens to a service of its own name.
    ///
    /// # Errors
    ///
    /// As [`OciRegistry::connect`] and [`HarborRegistry::connect`].
    pub async fn connect(settings: Settings, kind: Option<RegistryKind>) -> Result<Self, ConnectError> {
        Self::connect_for(settings, kind, false).await
    }

    /// The same for whoever changes something there: a Harbor whose API is out of reach is not taken for another kind of
    /// registry, over which it would be changed without anything that makes that safe.
    ///
    /// # Errors
    ///
    /// As [`Self::connect`], and [`Failure::NotARegistry`] where Harbor's API is out of reach.
    pub async fn connect_to_change(
        settings: Settings,
        kind: Option<RegistryKind>,
    ) -> Result<Self, ConnectError> {
        Self::connect_for(settings, kind, true).await
    }

    async fn connect_for(
        settings: Settings,
        kind: Option<RegistryKind>,
        changes: bool,
    ) -> Result<Self, ConnectError> {
        match kind {
            Some(RegistryKind::Oci) => Ok(Self::Oci(Box::new(OciRegistry::connect(settings).await?))),
            Some(RegistryKind::Harbor) => {
                Ok(Self::Harbor(Box::new(HarborRegistry::connect(settings).await?)))
            }
            None => Self::find_out(settings, changes).await,
        }
    }

    /// The user name that it was connected with, where there is one.
    pub async fn username(&self) -> Option<String> {
        match self {
            Self::Oci(registry) => registry.client().auth().username().await,
            Self::Harbor(registry) => registry.username().await,
        }
    }

    async fn find_out(settings: Settings, changes: bool) -> Result<Self, ConnectError> {
        let greeting = Greeting::send(&settings).await?;
        if greeting.service().as_deref() != Some(SERVICE) {
            let registry = OciRegistry::accept(greeting, &settings).await?;
            return Ok(Self::Oci(Box::new(registry)));
        }
        match HarborRegistry::connect_after(settings.clone(), greeting.requests()).await {
            Ok(registry) => Ok(Self::Harbor(Box::new(registry))),
            Err(ConnectError::Registry(error)) if error.failure() == Failure::NotARegistry && changes => {
                let hint = "the registry is Harbor's, and nothing is changed there past its API: see what keeps it out \
                            of reach, or write `kind: oci` of the registry to do without what Harbor makes safe";
                Err(error.with_hint(hint).into())
            }
            // A proxy may let through to the registry and not to the API.
            Err(ConnectError::Registry(error)) if error.failure() == Failure::NotARegistry => {
                tracing::warn!(
                    %error,
                    "the registry is Harbor's, but its API is not there: it is taken for one without. Reading manifests \
                     counts as pulling them"
                );
                let registry = OciRegistry::accept(greeting, &settings).await?;
                Ok(Self::Oci(Box::new(registry)))
            }
            Err(error) => Err(error),
        }
    }
}

/// The same of either.
macro_rules! either {
    ($this:expr, $registry:ident => $answer:expr) => {
        match $this {
            Connected::Oci($registry) => $answer,
            Connected::Harbor($registry) => $answer,
        }
    };
}

impl RegistryRead for Connected {
    fn identity(&self) -> &RegistryIdentity {
        either!(self, registry => registry.identity())
    }

    fn capabilities(&self) -> Capabilities {
        either!(self, registry => registry.capabilities())
    }

    fn requests(&self) -> RequestCounts {
        either!(self, registry => registry.requests())
    }

    async fn list_repositories(&self) -> Result<Vec<RepositoryName>, RegistryError> {
        either!(self, registry => registry.list_repositories().await)
    }

    async fn catalog(&self, is_wanted: &(dyn Fn(&str) -> bool + Sync)) -> Result<Catalog, RegistryError> {
        either!(self, registry => registry.catalog(is_wanted).await)
    }

    fn will_survey(&self, repositories: &[RepositoryName]) {
        either!(self, registry => registry.will_survey(repositories));
    }

    async fn survey(&self, repository: &RepositoryName) -> Result<RepositorySnapshot, RegistryError> {
        either!(self, registry => registry.survey(repository).await)
    }

    async fn survey_anew(&self, repository: &RepositoryName) -> Result<RepositorySnapshot, RegistryError> {
        either!(self, registry => registry.survey_anew(repository).await)
    }

    async fn accessories(
        &self,
        repository: &RepositoryName,
        subject: &Digest,
    ) -> Result<Option<Vec<Accessory>>, RegistryError> {
        either!(self, registry => registry.accessories(repository, subject).await)
    }

    async fn records(
        &self,
        repository: &RepositoryName,
        digests: &BTreeSet<Digest>,
    ) -> Result<Option<Records>, RegistryError> {
        either!(self, registry => registry.records(repository, digests).await)
    }

    async fn confirm_untagged(
        &self,
        repository: &RepositoryName,
        suspected: BTreeSet<Digest>,
    ) -> Result<BTreeSet<Digest>, RegistryError> {
        either!(self, registry => registry.confirm_untagged(repository, suspected).await)
    }

    async fn list_tags(&self, repository: &RepositoryName) -> Result<Vec<Tag>, RegistryError> {
        either!(self, registry => registry.list_tags(repository).await)
    }

    async fn manifest(
        &self,
        repository: &RepositoryName,
        reference: &Reference,
    ) -> Result<Manifest, RegistryError> {
        either!(self, registry => registry.manifest(repository, reference).await)
    }

    async fn resolve(
        &self,
        repository: &RepositoryName,
        reference: &Reference,
    ) -> Result<Option<Head>, RegistryError> {
        either!(self, registry => registry.resolve(repository, reference).await)
    }

    async fn referrers(
        &self,
        repository: &RepositoryName,
        subject: &Digest,
    ) -> Result<Referrers, RegistryError> {
        either!(self, registry => registry.referrers(repository, subject).await)
    }

    async fn config_blob(
        &self,
        repository: &RepositoryName,
        digest: &Digest,
        limit: usize,
    ) -> Result<Bytes, RegistryError> {
        either!(self, registry => registry.config_blob(repository, digest, limit).await)
    }
}

impl RegistryProbe for Connected {
    async fn probe_deletion(&self, repository: &RepositoryName, tags: &[Tag]) {
        either!(self, registry => registry.probe_deletion(repository, tags).await);
    }
}

impl RegistryWrite for Connected {
    async fn has_blob(&self, repository: &RepositoryName, digest: &Digest) -> Result<bool, RegistryError> {
        either!(self, registry => registry.has_blob(repository, digest).await)
    }

    fn deletes(&self) -> DeletesHow {
        either!(self, registry => registry.deletes())
    }

    async fn delete(&self, intent: &RecordedDelete) -> Result<Deletion, RegistryError> {
        either!(self, registry => registry.delete(intent).await)
    }

    async fn untag(&self, intent: &RecordedUntag) -> Result<Deletion, RegistryError> {
        either!(self, registry => registry.untag(intent).await)
    }

    async fn put_manifest(&self, restore: &RecordedRestore, tag: Option<&Tag>) -> Result<(), RegistryError> {
        either!(self, registry => registry.put_manifest(restore, tag).await)
    }

    async fn mount_blob(
        &self,
        restore: &RecordedRestore,
        blob: &Blob,
        from: &RepositoryName,
    ) -> Result<Mount, RegistryError> {
        either!(self, registry => registry.mount_blob(restore, blob, from).await)
    }

    async fn create_tag(&self, restore: &RecordedRestore, tag: &Tag) -> Result<(), RegistryError> {
        either!(self, registry => registry.create_tag(restore, tag).await)
    }

    async fn lacking_labels(
        &self,
        repository: &RepositoryName,
        digest: &Digest,
        labels: &[RegistryLabel],
    ) -> Result<Vec<RegistryLabel>, RegistryError> {
        either!(self, registry => registry.lacking_labels(repository, digest, labels).await)
    }

    async fn put_labels(
        &self,
        restore: &RecordedRestore,
        labels: &[RegistryLabel],
    ) -> Result<Vec<RegistryLabel>, RegistryError> {
        either!(self, registry => registry.put_labels(restore, labels).await)
    }
}
