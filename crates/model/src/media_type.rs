//! Media types, and those that name manifests.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::text::as_text;

/// Why a media type was refused.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("a media type reads `type/subtype`, each part of at most 127 letters, digits and `!#$&-^_.+`")]
pub struct MediaTypeError;

/// A media type by the grammar of RFC 6838, section 4.2, in lower case and without parameters.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
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
    /// A compressed layer of an OCI image.
    OCI_LAYER = "application/vnd.oci.image.layer.v1.tar+gzip";
    /// A compressed layer of a Docker image.
    DOCKER_LAYER = "application/vnd.docker.image.rootfs.diff.tar.gzip";
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

/// Some of [`MediaType::MANIFESTS`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Vec<String>", into = "Vec<MediaType>")]
pub struct ManifestTypes(u8);

impl ManifestTypes {
    /// Just this one; none where it is no known kind of manifest.
    #[must_use]
    pub fn only(media_type: &MediaType) -> Self {
        let place = MediaType::MANIFESTS.iter().position(|known| known == media_type);
        Self(place.map_or(0, |place| 1 << place))
    }

    /// Whether it is none of them.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0 == 0
    }

    /// Those in either.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Each of them.
    pub fn iter(self) -> impl Iterator<Item = MediaType> {
        let all = MediaType::MANIFESTS.into_iter().enumerate();
        all.filter_map(move |(place, known)| (self.0 & (1 << place) != 0).then_some(known))
    }
}

impl From<Vec<String>> for ManifestTypes {
    /// Kinds that are not known here are those of a later version, and left out.
    fn from(names: Vec<String>) -> Self {
        let known = names.iter().filter_map(|name| name.parse().ok());
        known.fold(Self::default(), |all, one| all.and(Self::only(&one)))
    }
}

impl From<ManifestTypes> for Vec<MediaType> {
    fn from(types: ManifestTypes) -> Self {
        types.iter().collect()
    }
}

impl FromStr for MediaType {
    type Err = MediaTypeError;

    fn from_str(text: &str) -> Result<Self, MediaTypeError> {
        // Nearly every one is written just so.
        if let Some(known) = KNOWN.iter().find(|known| **known == text) {
            return Ok(Self(Cow::Borrowed(known)));
        }
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

as_text!(MediaType);

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
    fn kinds_of_manifests_read_back_and_what_is_none_of_them_is_left_out() {
        let all = MediaType::MANIFESTS.iter().map(ManifestTypes::only);
        let all = all.fold(ManifestTypes::default(), ManifestTypes::and);
        assert!(all.iter().eq(MediaType::MANIFESTS));
        for types in [
            all,
            ManifestTypes::only(&MediaType::DOCKER_LIST),
            ManifestTypes::default(),
        ] {
            let text = serde_json::to_string(&types).unwrap();
            assert_eq!(
                serde_json::from_str::<ManifestTypes>(&text).unwrap(),
                types,
                "{text}"
            );
        }
        let read: ManifestTypes = serde_json::from_str(
            r#"["application/vnd.later+json", "application/vnd.oci.image.index.v1+json"]"#,
        )
        .unwrap();
        assert!(read.iter().eq([MediaType::OCI_INDEX]));
        assert_eq!(
            ManifestTypes::only(&MediaType::OCI_CONFIG),
            ManifestTypes::default()
        );
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
