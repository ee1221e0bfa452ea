//! One manifest and what is known about it without reading its bytes.

use std::borrow::Cow;

use bytes::Bytes;
use serde_json::Value;

use crate::digest::Digest;
use crate::media;
use crate::moment::Moment;

/// A blob by name and size in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct BlobRef {
    /// Names the bytes.
    pub digest: Digest,
    /// Their number.
    pub size: u64,
}

/// Why a manifest exists: the truth that tags only hint at.
///
/// An index has the kind of what it releases; [`Manifest::is_index`] tells the shape.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// A version that was released (`1.4.2`, `v1.4.2`).
    Release,
    /// A release on another base (`1.4.2-alpine`); a version, not a prerelease.
    Variant,
    /// `-rc.1`, `-beta.2`, `-alpha1`.
    Prerelease,
    /// A dated build of the main branch.
    Nightly,
    /// A build named by its commit.
    Commit,
    /// A build named by a branch or a pull request.
    Branch,
    /// Something whose tag looks like one thing and is another (`2.3.1-a100`, `20260101`).
    Odd,
    /// One platform of an index; mostly untagged.
    Child,
    /// A cosign signature, tagged `sha256-<hex>.sig`.
    Signature,
    /// A cosign attestation, tagged `sha256-<hex>.att`.
    Attestation,
    /// A cosign bill of materials, tagged `sha256-<hex>.sbom`.
    Sbom,
    /// A manifest with `subject` (OCI 1.1), untagged.
    Referrer,
    /// The index under `sha256-<hex>` that lists referrers where there is no API for them.
    FallbackIndex,
    /// A Helm chart.
    Chart,
    /// An image whose tag has moved away.
    Untagged,
    /// Pushed over HTTP or put as raw bytes: nothing is known of its purpose.
    Pushed,
}

/// One manifest: its exact bytes, and what they say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Manifest {
    /// Names the bytes.
    pub digest: Digest,
    /// What it was pushed as, and is served as.
    pub media_type: Cow<'static, str>,
    /// As stored; never re-serialised.
    pub bytes: Bytes,
    /// Why it exists.
    pub kind: Kind,
    /// `created` of its configuration, or of its first child's; `None` where there is none.
    /// [`Moment::EPOCH`] and [`Moment::YEAR_ONE`] are what builds write who do not want to tell.
    pub created: Option<Moment>,
    /// Its configuration blob.
    pub config: Option<BlobRef>,
    /// Its layer blobs.
    pub layers: Vec<BlobRef>,
    /// The manifests that an index lists.
    pub children: Vec<Digest>,
    /// The `subject` field (OCI 1.1).
    pub subject: Option<Digest>,
    /// What it belongs to by `subject` or by its tag (cosign, fallback index).
    pub attached_to: Option<Digest>,
    /// `artifactType`, or the configuration's media type in its place, as referrers lists show it.
    pub artifact_type: Option<Cow<'static, str>>,
}

impl Manifest {
    /// Whether it lists other manifests.
    #[must_use]
    pub fn is_index(&self) -> bool {
        media::is_index(&self.media_type)
    }

    /// Bytes that say nothing.
    pub(crate) fn opaque(media_type: &str, bytes: Bytes) -> Self {
        Self {
            digest: Digest::of(&bytes),
            media_type: Cow::Owned(media_type.to_owned()),
            bytes,
            kind: Kind::Pushed,
            created: None,
            config: None,
            layers: Vec::new(),
            children: Vec::new(),
            subject: None,
            attached_to: None,
            artifact_type: None,
        }
    }

    /// What the bytes say; `None` where they are not a JSON object or a digest in them is none.
    pub(crate) fn read(media_type: &str, bytes: Bytes) -> Option<Self> {
        let value: Value = serde_json::from_slice(&bytes).ok()?;
        let fields = value.as_object()?;
        let list = |name: &str| {
            fields
                .get(name)
                .and_then(Value::as_array)
                .cloned()
                .unwrap_or_default()
        };
        let config = fields.get("config").map(blob_ref);
        let config_type = value.pointer("/config/mediaType").and_then(Value::as_str);
        let subject = fields.get("subject").map(digest_of);
        let subject = if let Some(subject) = subject {
            Some(subject?)
        } else {
            None
        };
        Some(Self {
            digest: Digest::of(&bytes),
            media_type: Cow::Owned(media_type.to_owned()),
            kind: Kind::Pushed,
            created: None,
            config: if let Some(config) = config {
                Some(config?)
            } else {
                None
            },
            layers: list("layers").iter().map(blob_ref).collect::<Option<_>>()?,
            children: list("manifests").iter().map(digest_of).collect::<Option<_>>()?,
            subject,
            attached_to: subject,
            artifact_type: fields
                .get("artifactType")
                .and_then(Value::as_str)
                .or(config_type)
                .map(|text| Cow::Owned(text.to_owned())),
            bytes,
        })
    }
}

fn digest_of(descriptor: &Value) -> Option<Digest> {
    descriptor.get("digest")?.as_str()?.parse().ok()
}

fn blob_ref(descriptor: &Value) -> Option<BlobRef> {
    Some(BlobRef {
        digest: digest_of(descriptor)?,
        size: descriptor.get("size")?.as_u64()?,
    })
}
