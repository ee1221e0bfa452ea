//! Media types, and those that name manifests.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// Why a media type was refused.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("a media type reads `type/subtype`, each part of at most 127 letters, digits and `!#$&-^_.+`")]
pub struct MediaTypeError;

/// A media type by the grammar of RFC 6838, section 4.2, in lower case and without parameters.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct MediaType(Cow<'static, str>);

macro_rules! known {
    ($($(#[$doc:meta])* $name:ident = $text:literal;)*) => {
        impl MediaType {
            $($(#[$doc])* pub const $name: Self = Self(Cow::Borrowed($text));)*
        }
        const KNOWN: &[&str] = &[$($text),*];
    };
}

known! {
    /// OCI image manifest.
    OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json";
    /// OCI image index.
    OCI_INDEX = "application/vnd.oci.image.index.v1+json";
    /// The artifact manifest of the 1.1 release candidates, withdrawn since, still found.
    OCI_ARTIFACT = "application/vnd.oci.artifact.manifest.v1+json";
    /// Docker image manifest, version 2, schema 2.
    DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json";
    /// Docker manifest list.
    DOCKER_LIST = "application/vnd.docker.distribution.manifest.list.v2+json";
    /// OCI image configuration.
    OCI_CONFIG = "application/vnd.oci.image.config.v1+json";
    /// Docker image configuration.
    DOCKER_CONFIG = "application/vnd.docker.container.image.v1+json";
    /// The empty descriptor of the image specification.
    OCI_EMPTY = "application/vnd.oci.empty.v1+json";
    /// Configuration of a Helm chart.
    HELM_CONFIG = "application/vnd.cncf.helm.config.v1+json";
}

impl MediaType {
    /// Every manifest type that is read: what an `Accept` header must list, all of them, in each request (a
    /// registry may answer 404 for a manifest whose type is not accepted).
    pub const MANIFESTS: [Self; 5] = [
        Self::OCI_MANIFEST,
        Self::OCI_INDEX,
        Self::DOCKER_MANIFEST,
        Self::DOCKER_LIST,
        Self::OCI_ARTIFACT,
    ];

    /// The media type as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it names a manifest that lists other manifests.
    #[must_use]
    pub fn is_index(&self) -> bool {
        *self == Self::OCI_INDEX || *self == Self::DOCKER_LIST
    }

    /// Whether it names an image manifest: one that lists blobs, and no other manifests.
    #[must_use]
    pub fn is_image_manifest(&self) -> bool {
        *self == Self::OCI_MANIFEST || *self == Self::DOCKER_MANIFEST
    }

    /// Whether it names the configuration of a container image, which alone says when it was created.
    #[must_use]
    pub fn is_image_config(&self) -> bool {
        *self == Self::OCI_CONFIG || *self == Self::DOCKER_CONFIG
    }
}

impl FromStr for MediaType {
    type Err = MediaTypeError;

    fn from_str(text: &str) -> Result<Self, MediaTypeError> {
        let essence = text.split(';').next().unwrap_or_default().trim();
        if let Some(known) = KNOWN.iter().find(|known| known.eq_ignore_ascii_case(essence)) {
            return Ok(Self(Cow::Borrowed(known)));
        }
        let part = |part: &str| {
            (1..=127).contains(&part.len())
                && part.starts_with(|c: char| c.is_ascii_alphanumeric())
                && part
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || b"!#$&-^_.+".contains(&b))
        };
        match essence.split_once('/') {
            Some((kind, subtype)) if part(kind) && part(subtype) => {
                Ok(Self(Cow::Owned(essence.to_ascii_lowercase())))
            }
            _ => Err(MediaTypeError),
        }
    }
}

impl fmt::Display for MediaType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for MediaType {
    type Error = MediaTypeError;

    fn try_from(text: String) -> Result<Self, MediaTypeError> {
        text.parse()
    }
}

impl From<MediaType> for String {
    fn from(media_type: MediaType) -> Self {
        media_type.0.into_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_and_case_do_not_make_another_media_type() {
        let read: MediaType = "Application/vnd.oci.image.index.v1+JSON; charset=utf-8"
            .parse()
            .unwrap();
        assert_eq!(read, MediaType::OCI_INDEX);
        assert!(read.is_index());
    }

    #[test]
    fn media_types_follow_the_grammar_of_rfc_6838() {
        assert!("application/wasm".parse::<MediaType>().is_ok());
        let long = format!("application/{}", "x".repeat(128));
        for bad in [
            "",
            "application",
            "/json",
            "application/",
            "a b/c",
            "text/<b>",
            "a/b/c",
            long.as_str(),
        ] {
            assert!(bad.parse::<MediaType>().is_err(), "{bad:?} was accepted");
        }
    }
}
