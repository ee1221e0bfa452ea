//! A registry in memory, behind the port. It counts what it is asked.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Mutex;

use bytes::Bytes;
use lagan_model::{
    Capabilities, Capability, Digest, Failure, Head, Manifest, MediaType, Reference, Referrers,
    RegistryError, RegistryIdentity, RegistryKind, RegistryProbe, RegistryRead, RepositoryName,
    RequestCounts, RequestKind, Tag,
};

#[derive(Default)]
pub(crate) struct Fake {
    pub repositories: BTreeMap<RepositoryName, Repository>,
    pub fail: HashMap<String, Failure>,
    pub no_catalog: bool,
    /// What is learnt about single tags when it is asked; `None` where nobody may ask.
    pub probed_answer: Option<Capability>,
    /// Tags that are listed the first time only.
    pub vanishing: BTreeSet<Tag>,
    /// Tags that are not listed the first time.
    pub appearing: BTreeSet<Tag>,
    pub requests: Mutex<Vec<RequestKind>>,
    pub listings: Mutex<HashMap<RepositoryName, usize>>,
}

#[derive(Default)]
pub(crate) struct Repository {
    pub tags: BTreeMap<Tag, Digest>,
    pub manifests: HashMap<Digest, (MediaType, Bytes)>,
    pub blobs: HashMap<Digest, Bytes>,
}

impl Repository {
    /// An image with these tags, created on that day of January 2026.
    pub(crate) fn image(&mut self, tags: &[&str], day: u32) -> Digest {
        let number = self.manifests.len();
        self.image_of(
            tags,
            format!(r#"{{"created":"2026-01-{day:02}T00:00:00Z","n":{number}}}"#),
        )
    }

    /// An image with the label `tier`.
    pub(crate) fn labelled(&mut self, tags: &[&str], day: u32, tier: &str) -> Digest {
        let labels = format!(r#"{{"Labels":{{"tier":"{tier}"}}}}"#);
        self.image_of(
            tags,
            format!(r#"{{"created":"2026-01-{day:02}T00:00:00Z","config":{labels}}}"#),
        )
    }

    fn image_of(&mut self, tags: &[&str], config: String) -> Digest {
        let config_digest = Digest::of(config.as_bytes());
        let size = config.len();
        self.blobs.insert(config_digest.clone(), config.into());
        let config_type = MediaType::OCI_CONFIG;
        self.manifest(
            tags,
            MediaType::OCI_MANIFEST,
            &format!(
                r#"{{"config":{{"mediaType":"{config_type}","digest":"{config_digest}","size":{size}}},"layers":[]}}"#
            ),
        )
    }

    pub(crate) fn manifest(&mut self, tags: &[&str], media_type: MediaType, text: &str) -> Digest {
        let bytes = Bytes::copy_from_slice(text.as_bytes());
        let digest = Digest::of(&bytes);
        self.manifests.insert(digest.clone(), (media_type, bytes));
        for tag in tags {
            self.tags.insert(tag.parse().unwrap(), digest.clone());
        }
        digest
    }
}

impl Fake {
    pub(crate) fn repository(&mut self, name: &str) -> &mut Repository {
        self.repositories.entry(name.parse().unwrap()).or_default()
    }

    fn count(&self, kind: RequestKind) {
        self.requests.lock().unwrap().push(kind);
    }

    fn failing(&self, key: &str) -> Result<(), RegistryError> {
        match self.fail.get(key) {
            Some(failure) => Err(RegistryError::new(
                *failure,
                format!("GET {key}"),
                "it was told to fail",
            )),
            None => Ok(()),
        }
    }

    fn of(&self, name: &RepositoryName) -> Result<&Repository, RegistryError> {
        let missing = || RegistryError::new(Failure::NotFound, format!("GET {name}"), "NAME_UNKNOWN");
        self.repositories.get(name).ok_or_else(missing)
    }
}

impl RegistryRead for Fake {
    fn identity(&self) -> &RegistryIdentity {
        static IDENTITY: std::sync::OnceLock<RegistryIdentity> = std::sync::OnceLock::new();
        IDENTITY.get_or_init(|| RegistryIdentity {
            name: "fake".parse().unwrap(),
            url: "memory:".to_owned(),
            kind: RegistryKind::Oci,
        })
    }

    fn capabilities(&self) -> Capabilities {
        let asked = self.requests().of(RequestKind::Referrers) > 0;
        let referrers = if asked {
            Capability::NotOffered
        } else {
            Capability::Unknown
        };
        let probed = self.requests().of(RequestKind::Probe) > 0;
        Capabilities {
            referrers,
            delete_tag: self.probed_answer.filter(|_| probed).unwrap_or_default(),
            ..Capabilities::default()
        }
    }

    fn requests(&self) -> RequestCounts {
        self.requests
            .lock()
            .unwrap()
            .iter()
            .map(|kind| (*kind, 1))
            .collect()
    }

    async fn list_repositories(&self) -> Result<Vec<RepositoryName>, RegistryError> {
        self.count(RequestKind::Catalog);
        if self.no_catalog {
            return Err(RegistryError::new(
                Failure::Unsupported,
                "GET /v2/_catalog",
                "there is none",
            ));
        }
        Ok(self.repositories.keys().rev().cloned().collect())
    }

    async fn list_tags(&self, repository: &RepositoryName) -> Result<Vec<Tag>, RegistryError> {
        self.count(RequestKind::Tags);
        self.failing(repository.as_str())?;
        let seen = {
            let mut listings = self.listings.lock().unwrap();
            let seen = listings.entry(repository.clone()).or_default();
            *seen += 1;
            *seen
        };
        let tags = self.of(repository)?.tags.keys().rev();
        Ok(tags
            .filter(|tag| seen == 1 || !self.vanishing.contains(tag))
            .filter(|tag| seen > 1 || !self.appearing.contains(tag))
            .cloned()
            .collect())
    }

    async fn manifest(
        &self,
        repository: &RepositoryName,
        reference: &Reference,
    ) -> Result<Manifest, RegistryError> {
        self.count(RequestKind::Manifest);
        self.failing(&format!("{repository}:{reference}"))?;
        let of = self.of(repository)?;
        let found = match reference {
            Reference::Tag(tag) => of.tags.get(tag),
            Reference::Digest(digest) => Some(digest),
        };
        let found = found.and_then(|digest| Some((digest, of.manifests.get(digest)?)));
        let missing =
            || RegistryError::new(Failure::NotFound, format!("GET {reference}"), "MANIFEST_UNKNOWN");
        let (digest, (media_type, bytes)) = found.ok_or_else(missing)?;
        Ok(Manifest::read(bytes.clone(), digest.clone(), Some(media_type)).unwrap())
    }

    async fn resolve(
        &self,
        repository: &RepositoryName,
        reference: &Reference,
    ) -> Result<Option<Head>, RegistryError> {
        self.count(RequestKind::Head);
        let of = self.of(repository)?;
        let digest = match reference {
            Reference::Tag(tag) => of.tags.get(tag),
            Reference::Digest(digest) => Some(digest),
        };
        let found = digest.and_then(|digest| Some((digest, of.manifests.get(digest)?)));
        Ok(found.map(|(digest, (media_type, _))| Head {
            digest: digest.clone(),
            media_type: Some(media_type.clone()),
        }))
    }

    async fn referrers(&self, _: &RepositoryName, _: &Digest) -> Result<Referrers, RegistryError> {
        self.count(RequestKind::Referrers);
        Ok(Referrers::NoApi)
    }

    async fn config_blob(
        &self,
        repository: &RepositoryName,
        digest: &Digest,
        _limit: usize,
    ) -> Result<Bytes, RegistryError> {
        self.count(RequestKind::ConfigBlob);
        let missing = || RegistryError::new(Failure::NotFound, format!("GET {digest}"), "BLOB_UNKNOWN");
        self.of(repository)?
            .blobs
            .get(digest)
            .cloned()
            .ok_or_else(missing)
    }
}

impl RegistryProbe for Fake {
    async fn probe_deletion(&self, _: &RepositoryName, _: &[Tag]) {
        self.count(RequestKind::Probe);
    }
}
