//! Manifests: OCI and Docker images, indexes, and the withdrawn OCI artifact, read from exact bytes.
//!
//! A manifest is read by its declared media type, never by what it happens to look like: a document with both
//! `layers` and `manifests` is refused, since two readers could see two different things in it.

use std::collections::BTreeMap;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::digest::Digest;
use crate::json;
use crate::media_type::MediaType;

/// The largest manifest that is read, in bytes: what registries accept.
pub const MAX_MANIFEST_BYTES: usize = 4 * 1024 * 1024;

/// Why bytes are not a manifest that can be understood. What cannot be understood is never deleted.
#[derive(Debug, Error)]
pub enum ManifestError {
    /// Larger than [`MAX_MANIFEST_BYTES`].
    #[error("the manifest has {0} bytes, more than the {MAX_MANIFEST_BYTES} that are read")]
    TooLarge(usize),
    /// Not JSON, or a field of the wrong type.
    #[error("the manifest is not valid: {0}")]
    Json(#[from] serde_json::Error),
    /// Neither the response nor the document says what it is.
    #[error("neither the Content-Type nor the document says what kind of manifest it is")]
    NoMediaType,
    /// The response and the document say different things.
    #[error("the Content-Type says {header}, the document says {document}")]
    Disagreement {
        /// What the response said.
        header: MediaType,
        /// What the document says.
        document: MediaType,
    },
    /// A media type that is no known manifest.
    #[error("{0} is not a kind of manifest that is known here")]
    UnknownKind(MediaType),
    /// Fields of another kind of manifest.
    #[error("a {kind} must not have `{field}`")]
    Ambiguous {
        /// What it claims to be.
        kind: &'static str,
        /// The field that does not belong.
        field: &'static str,
    },
    /// A field that this kind of manifest must have.
    #[error("a {kind} must have `{field}`")]
    MissingField {
        /// What it claims to be.
        kind: &'static str,
        /// The field that is not there.
        field: &'static str,
    },
}

/// A content descriptor of the image specification, as far as decisions need it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Descriptor {
    /// What the content is.
    pub media_type: MediaType,
    /// The content's digest.
    pub digest: Digest,
    /// The content's size in bytes.
    pub size: u64,
    /// The kind of artifact, where the descriptor is of one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub artifact_type: Option<String>,
    /// The platform that a child of an index is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub platform: Option<Platform>,
}

/// The platform of a child of an index.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Platform {
    /// The processor architecture, such as `amd64`.
    #[serde(default)]
    pub architecture: String,
    /// The operating system, such as `linux`.
    #[serde(default)]
    pub os: String,
    /// The variant of the processor, such as `v8`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub variant: Option<String>,
}

/// What a manifest says, by kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Content {
    /// An image, or an artifact in the form of one: a configuration and layers.
    Image {
        /// The configuration.
        config: Descriptor,
        /// The layers.
        layers: Vec<Descriptor>,
    },
    /// An index (OCI) or manifest list (Docker): other manifests.
    Index {
        /// The manifests, in order.
        manifests: Vec<Descriptor>,
    },
    /// The withdrawn OCI artifact manifest: blobs without a configuration.
    Artifact {
        /// The blobs.
        blobs: Vec<Descriptor>,
    },
}

/// A manifest with the exact bytes that it came in.
#[derive(Debug, Clone)]
pub struct Manifest {
    bytes: Bytes,
    digest: Digest,
    media_type: MediaType,
    artifact_type: Option<String>,
    subject: Option<Descriptor>,
    annotations: BTreeMap<String, String>,
    content: Content,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Document {
    media_type: Option<MediaType>,
    artifact_type: Option<String>,
    config: Option<Descriptor>,
    layers: Option<Vec<Descriptor>>,
    manifests: Option<Vec<Descriptor>>,
    blobs: Option<Vec<Descriptor>>,
    subject: Option<Descriptor>,
    annotations: Option<BTreeMap<String, String>>,
}

impl Manifest {
    /// Reads `bytes`, which the response labelled `content_type`, and which have been asked for, or checked, by
    /// `digest`.
    ///
    /// # Errors
    ///
    /// When the bytes are no manifest of a known kind. `digest` is not verified here: the adapter that asked for
    /// it has done so.
    pub fn read(
        bytes: Bytes,
        digest: Digest,
        content_type: Option<&MediaType>,
    ) -> Result<Self, ManifestError> {
        if bytes.len() > MAX_MANIFEST_BYTES {
            return Err(ManifestError::TooLarge(bytes.len()));
        }
        let mut document: Document = json::read(&bytes)?;
        // Some proxies answer with a type that says nothing; then the document decides.
        let header = content_type.filter(|media_type| {
            !matches!(
                media_type.as_str(),
                "application/json" | "application/octet-stream" | "text/plain"
            )
        });
        let media_type = match (header, &document.media_type) {
            (Some(header), Some(inner)) if header != inner => {
                return Err(ManifestError::Disagreement {
                    header: header.clone(),
                    document: inner.clone(),
                });
            }
            (Some(media_type), _) | (None, Some(media_type)) => media_type.clone(),
            (None, None) => return Err(ManifestError::NoMediaType),
        };
        let content = document.content(&media_type)?;
        Ok(Self {
            bytes,
            digest,
            media_type,
            artifact_type: document.artifact_type,
            subject: document.subject,
            annotations: document.annotations.unwrap_or_default(),
            content,
        })
    }

    /// The exact bytes.
    #[must_use]
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// The digest of the bytes.
    #[must_use]
    pub fn digest(&self) -> &Digest {
        &self.digest
    }

    /// What kind of manifest it is.
    #[must_use]
    pub fn media_type(&self) -> &MediaType {
        &self.media_type
    }

    /// `artifactType`, where it has one.
    #[must_use]
    pub fn artifact_type(&self) -> Option<&str> {
        self.artifact_type.as_deref()
    }

    /// The manifest that this one is attached to.
    #[must_use]
    pub fn subject(&self) -> Option<&Descriptor> {
        self.subject.as_ref()
    }

    /// The annotations of the manifest itself.
    #[must_use]
    pub fn annotations(&self) -> &BTreeMap<String, String> {
        &self.annotations
    }

    /// What it says.
    #[must_use]
    pub fn content(&self) -> &Content {
        &self.content
    }
}

impl Document {
    /// Takes what it says out of it.
    fn content(&mut self, media_type: &MediaType) -> Result<Content, ManifestError> {
        let refuse = |kind, fields: &[(&'static str, bool)]| match fields.iter().find(|(_, present)| *present)
        {
            Some((field, _)) => Err(ManifestError::Ambiguous { kind, field }),
            None => Ok(()),
        };
        if *media_type == MediaType::OCI_MANIFEST || *media_type == MediaType::DOCKER_MANIFEST {
            let kind = "image manifest";
            refuse(
                kind,
                &[
                    ("manifests", self.manifests.is_some()),
                    ("blobs", self.blobs.is_some()),
                ],
            )?;
            let config = self.config.take().ok_or(ManifestError::MissingField {
                kind,
                field: "config",
            })?;
            Ok(Content::Image {
                config,
                layers: self.layers.take().unwrap_or_default(),
            })
        } else if media_type.is_index() {
            let kind = "image index";
            let others = [
                ("config", self.config.is_some()),
                ("layers", self.layers.is_some()),
                ("blobs", self.blobs.is_some()),
            ];
            refuse(kind, &others)?;
            let manifests = self.manifests.take().ok_or(ManifestError::MissingField {
                kind,
                field: "manifests",
            })?;
            Ok(Content::Index { manifests })
        } else if *media_type == MediaType::OCI_ARTIFACT {
            let others = [
                ("config", self.config.is_some()),
                ("layers", self.layers.is_some()),
                ("manifests", self.manifests.is_some()),
            ];
            refuse("artifact manifest", &others)?;
            Ok(Content::Artifact {
                blobs: self.blobs.take().unwrap_or_default(),
            })
        } else {
            Err(ManifestError::UnknownKind(media_type.clone()))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONFIG: &str = r#"{"mediaType":"application/vnd.oci.image.config.v1+json","digest":"sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a","size":2}"#;

    fn read(text: &str, content_type: Option<&MediaType>) -> Result<Manifest, ManifestError> {
        let bytes = Bytes::copy_from_slice(text.as_bytes());
        let digest = Digest::of(&bytes);
        Manifest::read(bytes, digest, content_type)
    }

    #[test]
    fn the_bytes_come_back_as_they_were_whatever_their_white_space() {
        let text = format!("{{ \"schemaVersion\": 2,\n\t\"config\": {CONFIG} , \"layers\":[ ] }}\n");
        let manifest = read(&text, Some(&MediaType::OCI_MANIFEST)).unwrap();
        assert_eq!(manifest.bytes(), text.as_bytes());
        assert_eq!(manifest.digest().verifies(manifest.bytes()), Some(true));
    }

    #[test]
    fn an_index_lists_its_children_and_an_attachment_names_its_subject() {
        let index = format!(r#"{{"schemaVersion":2,"manifests":[{CONFIG},{CONFIG}],"subject":{CONFIG}}}"#);
        let manifest = read(&index, Some(&MediaType::DOCKER_LIST)).unwrap();
        assert!(matches!(manifest.content(), Content::Index { manifests } if manifests.len() == 2));
        assert!(manifest.subject().is_some());
    }

    #[test]
    fn a_document_that_could_be_read_in_two_ways_is_refused() {
        let both = format!(r#"{{"config":{CONFIG},"layers":[],"manifests":[]}}"#);
        for media_type in [
            MediaType::OCI_MANIFEST,
            MediaType::OCI_INDEX,
            MediaType::OCI_ARTIFACT,
        ] {
            assert!(matches!(
                read(&both, Some(&media_type)),
                Err(ManifestError::Ambiguous { .. })
            ));
        }
        let inner = format!(
            r#"{{"mediaType":"{}","config":{CONFIG}}}"#,
            MediaType::OCI_MANIFEST
        );
        assert!(matches!(
            read(&inner, Some(&MediaType::OCI_INDEX)),
            Err(ManifestError::Disagreement { .. })
        ));
    }

    #[test]
    fn the_document_decides_where_the_response_says_nothing() {
        let inner = format!(
            r#"{{"mediaType":"{}","config":{CONFIG}}}"#,
            MediaType::DOCKER_MANIFEST
        );
        let json = "application/json".parse().unwrap();
        assert_eq!(
            read(&inner, Some(&json)).unwrap().media_type(),
            &MediaType::DOCKER_MANIFEST
        );
        assert_eq!(
            read(&inner, None).unwrap().media_type(),
            &MediaType::DOCKER_MANIFEST
        );
        assert!(matches!(read("{}", Some(&json)), Err(ManifestError::NoMediaType)));
    }

    #[test]
    fn what_is_no_manifest_is_an_error_and_never_an_empty_one() {
        for (text, media_type) in [
            ("", MediaType::OCI_MANIFEST),
            ("{", MediaType::OCI_MANIFEST),
            ("null", MediaType::OCI_MANIFEST),
            ("[]", MediaType::OCI_INDEX),
            ("{}", MediaType::OCI_INDEX),
            ("{}", MediaType::OCI_MANIFEST),
            (
                r#"{"manifests":[{"digest":"sha256:../../x"}]}"#,
                MediaType::OCI_INDEX,
            ),
            (r#"{"manifests":null}"#, MediaType::OCI_INDEX),
        ] {
            assert!(
                read(text, Some(&media_type)).is_err(),
                "{text} was read as {media_type}"
            );
        }
        let schema1 = "application/vnd.docker.distribution.manifest.v1+prettyjws"
            .parse()
            .unwrap();
        assert!(matches!(
            read("{}", Some(&schema1)),
            Err(ManifestError::UnknownKind(_))
        ));
        let deep = "[".repeat(100_000);
        assert!(read(&deep, Some(&MediaType::OCI_INDEX)).is_err());
    }
}
