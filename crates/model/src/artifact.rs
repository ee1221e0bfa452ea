//! What decisions need of a manifest, without its bytes.

use serde::{Deserialize, Serialize};

use crate::clock::{Fact, Time};
use crate::digest::Digest;
use crate::manifest::{Content, Descriptor, Manifest};
use crate::media_type::MediaType;
use crate::snapshot::Labels;

/// The annotation in which builders say when an image was made.
pub const CREATED_ANNOTATION: &str = "org.opencontainers.image.created";

/// The artifact type and configuration of the empty descriptor, which says nothing.
const EMPTY_CONFIG_SIZE: u64 = 2;

/// A blob that an artifact needs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Blob {
    /// Its digest.
    pub digest: Digest,
    /// Its size in bytes, as the manifest says.
    pub size: u64,
}

/// A manifest that an index lists.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Child {
    /// Its digest.
    pub digest: Digest,
    /// What the index says that it is; `None` where the registry tells of the index without its manifest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub media_type: Option<MediaType>,
    /// Its size in bytes, as the index says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<u64>,
}

/// One manifest of a repository, as facts. The unit of deletion is an artifact: a digest with all its tags.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Artifact {
    /// Its digest.
    pub digest: Digest,
    /// What kind of manifest it is.
    pub media_type: MediaType,
    /// `artifactType`, where it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub artifact_type: Option<String>,
    /// The size of the manifest itself, in bytes; `None` where the manifest was not read, and with it no blob.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<u64>,
    /// The manifests that it lists, where it is an index.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub children: Vec<Child>,
    /// What it is attached to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<Digest>,
    /// Its configuration blob, where that is the configuration of a container image: the only kind that says
    /// when the image was created. Charts, signatures and empty configurations are not worth a request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image_config: Option<Blob>,
    /// All its blobs, the configuration among them. They decide nothing, and are no part of the serialized form.
    #[serde(skip)]
    pub blobs: Vec<Blob>,
    /// The media type of its configuration, where it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub config_type: Option<MediaType>,
    /// Its annotations; `None` where nobody needs them, and they were not kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub annotations: Option<Labels>,
    /// What its annotation says of when it was created.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created_annotation: Option<Fact<Time>>,
}

impl Artifact {
    /// Whether it is an index or a manifest list.
    #[must_use]
    pub fn is_index(&self) -> bool {
        self.media_type.is_index()
    }

    /// What kind of artifact it is: `artifactType`, else the media type of its configuration, as the distribution
    /// specification has it for referrers.
    #[must_use]
    pub fn kind(&self) -> Option<&str> {
        let config = || self.config_type.as_ref().map(MediaType::as_str);
        self.artifact_type
            .as_deref()
            .filter(|kind| !kind.is_empty())
            .or_else(config)
    }
}

impl From<&Manifest> for Artifact {
    fn from(manifest: &Manifest) -> Self {
        let blob = |descriptor: &Descriptor| Blob {
            digest: descriptor.digest.clone(),
            size: descriptor.size,
        };
        let (children, config, blobs) = match manifest.content() {
            Content::Image { config, layers } => (
                Vec::new(),
                Some(config),
                std::iter::once(config).chain(layers).map(blob).collect(),
            ),
            Content::Index { manifests } => {
                let child = |descriptor: &Descriptor| Child {
                    digest: descriptor.digest.clone(),
                    media_type: Some(descriptor.media_type.clone()),
                    size: Some(descriptor.size),
                };
                (manifests.iter().map(child).collect(), None, Vec::new())
            }
            Content::Artifact { blobs } => (Vec::new(), None, blobs.iter().map(blob).collect()),
        };
        Self {
            digest: manifest.digest().clone(),
            media_type: manifest.media_type().clone(),
            artifact_type: manifest.artifact_type().map(str::to_owned),
            size: Some(manifest.bytes().len() as u64),
            children,
            subject: manifest.subject().map(|subject| subject.digest.clone()),
            image_config: config
                .filter(|config| config.media_type.is_image_config() && config.size > EMPTY_CONFIG_SIZE)
                .map(blob),
            blobs,
            config_type: config.map(|config| config.media_type.clone()),
            annotations: Some(manifest.annotations().clone()),
            created_annotation: manifest
                .annotations()
                .get(CREATED_ANNOTATION)
                .map(|text| Fact::from_rfc3339(text)),
        }
    }
}
