//! Images, indexes and attachments as real registries hold them, written byte by byte.
//!
//! The JSON is written directly rather than through a value: a table of a hundred tags is
//! rebuilt whenever it is asked for again, and its digests need every byte.

use std::borrow::Cow;
use std::fmt::Write as _;

use bytes::Bytes;

use super::layer::{archive, layer};
use super::{Blob, BlobRef, Content, Kind, Manifest};
use crate::digest::Digest;
use crate::media;
use crate::moment::Moment;

/// One image of one platform.
pub(crate) struct ImageSpec<'a> {
    pub(crate) kind: Kind,
    pub(crate) docker: bool,
    /// `None` leaves the field out.
    pub(crate) created: Option<Moment>,
    pub(crate) version: &'a str,
    pub(crate) revision: u64,
    pub(crate) architecture: &'a str,
    pub(crate) labels: &'a [(String, String)],
    /// Layers by key; equal keys are equal layers.
    pub(crate) layers: &'a [u64],
}

/// Something that belongs to another manifest.
pub(crate) struct AttachmentSpec<'a> {
    pub(crate) subject: Digest,
    pub(crate) created: Moment,
    /// Makes otherwise equal attachments differ (a signature is random).
    pub(crate) nonce: u64,
    pub(crate) artifact_type: &'a str,
}

/// Appends a JSON string.
fn quoted(out: &mut String, text: &str) {
    if text
        .bytes()
        .all(|byte| byte >= b' ' && byte != b'"' && byte != b'\\')
    {
        out.push('"');
        out.push_str(text);
        out.push('"');
    } else {
        let _ = write!(out, "{}", serde_json::Value::from(text));
    }
}

/// Appends a descriptor up to, not including, its closing brace.
fn descriptor(out: &mut String, media_type: &str, blob: BlobRef) {
    out.push_str("{\"mediaType\":\"");
    out.push_str(media_type);
    out.push_str("\",\"digest\":\"sha256:");
    blob.digest.write_hex(out);
    let _ = write!(out, "\",\"size\":{}", blob.size);
}

fn open(media_type: &str) -> String {
    let mut out = String::with_capacity(1_024);
    out.push_str("{\"schemaVersion\":2,\"mediaType\":\"");
    out.push_str(media_type);
    out.push('"');
    out
}

impl Content {
    /// Adds a layer; answers its reference and the digest of what is inside.
    fn add_layer(&mut self, key: u64) -> (BlobRef, Digest) {
        let made = layer(key);
        let blob = BlobRef {
            digest: Digest::of(&made.compressed),
            size: made.compressed.len() as u64,
        };
        self.blobs.insert(blob.digest, Blob::Layer(key));
        (blob, made.diff_id)
    }

    /// The reference of a manifest, for descriptors.
    fn manifest_ref(&self, digest: &Digest) -> BlobRef {
        let size = self
            .manifest(digest)
            .map_or(0, |manifest| manifest.bytes.len() as u64);
        BlobRef {
            digest: *digest,
            size,
        }
    }

    pub(crate) fn add_image(&mut self, spec: &ImageSpec<'_>) -> Digest {
        let layers: Vec<(BlobRef, Digest)> = spec.layers.iter().map(|key| self.add_layer(*key)).collect();
        let config = self.image_config(spec, &layers);
        let config = self.add_blob(config.into_bytes());
        let (media_type, config_type, layer_type) = if spec.docker {
            (media::DOCKER_MANIFEST, media::DOCKER_CONFIG, media::DOCKER_LAYER)
        } else {
            (media::OCI_MANIFEST, media::OCI_CONFIG, media::OCI_LAYER)
        };
        let mut body = open(media_type);
        body.push_str(",\"config\":");
        descriptor(&mut body, config_type, config);
        body.push_str("},\"layers\":[");
        for (position, (blob, _)) in layers.iter().enumerate() {
            if position > 0 {
                body.push(',');
            }
            descriptor(&mut body, layer_type, *blob);
            body.push('}');
        }
        body.push_str("]}");
        self.add_manifest(Manifest {
            digest: Digest::of(body.as_bytes()),
            media_type: Cow::Borrowed(media_type),
            bytes: Bytes::from(body),
            kind: spec.kind,
            created: spec.created,
            config: Some(config),
            layers: layers.into_iter().map(|(blob, _)| blob).collect(),
            children: Vec::new(),
            subject: None,
            attached_to: None,
            artifact_type: Some(Cow::Borrowed(config_type)),
        })
    }

    fn image_config(&self, spec: &ImageSpec<'_>, layers: &[(BlobRef, Digest)]) -> String {
        let mut out = String::with_capacity(1_024);
        out.push('{');
        let created = spec.created.map(|created| created.to_string());
        if let Some(created) = &created {
            let _ = write!(out, "\"created\":\"{created}\",");
        }
        out.push_str("\"architecture\":");
        quoted(&mut out, spec.architecture);
        out.push_str(
            ",\"os\":\"linux\",\"config\":{\"Env\":[\"PATH=/usr/local/bin:/usr/bin:/bin\"],\
             \"Entrypoint\":[\"/app/serve\"],\"Labels\":{",
        );
        let mut label = |name: &str, value: &str, first: bool| {
            if !first {
                out.push(',');
            }
            quoted(&mut out, name);
            out.push(':');
            quoted(&mut out, value);
        };
        label("org.opencontainers.image.version", spec.version, true);
        label(
            "org.opencontainers.image.revision",
            &format!("{:016x}{:024x}", spec.revision, spec.revision >> 3),
            false,
        );
        label(
            "org.opencontainers.image.source",
            &format!("https://git.example/{}", self.repository),
            false,
        );
        if let Some(created) = &created {
            label("org.opencontainers.image.created", created, false);
        }
        for (name, value) in spec.labels {
            label(name, value, false);
        }
        out.push_str("}},\"rootfs\":{\"type\":\"layers\",\"diff_ids\":[");
        for (position, (_, diff)) in layers.iter().enumerate() {
            out.push_str(if position > 0 { ",\"sha256:" } else { "\"sha256:" });
            diff.write_hex(&mut out);
            out.push('"');
        }
        out.push_str("]},\"history\":[");
        for position in 0..layers.len() {
            let _ = write!(
                out,
                "{}{{\"created\":\"{}\",\"created_by\":\"COPY layer-{position} /\"}}",
                if position > 0 { "," } else { "" },
                created.as_deref().unwrap_or("0001-01-01T00:00:00Z"),
            );
        }
        out.push_str("]}");
        out
    }

    /// Adds an index of children already here; architectures are given in the same order.
    pub(crate) fn add_index(&mut self, kind: Kind, docker: bool, children: &[(Digest, &str)]) -> Digest {
        let media_type = if docker {
            media::DOCKER_LIST
        } else {
            media::OCI_INDEX
        };
        let mut body = open(media_type);
        body.push_str(",\"manifests\":[");
        let mut created = None;
        for (position, (child, architecture)) in children.iter().enumerate() {
            if position > 0 {
                body.push(',');
            }
            let found = self.manifest(child);
            created = created.or(found.and_then(|manifest| manifest.created));
            let child_type = found.map_or(media::OCI_MANIFEST.into(), |manifest| manifest.media_type.clone());
            descriptor(&mut body, &child_type, self.manifest_ref(child));
            body.push_str(",\"platform\":{\"architecture\":");
            quoted(&mut body, architecture);
            body.push_str(",\"os\":\"linux\"}}");
        }
        body.push_str("]}");
        self.add_manifest(Manifest {
            digest: Digest::of(body.as_bytes()),
            media_type: Cow::Borrowed(media_type),
            bytes: Bytes::from(body),
            kind,
            created,
            config: None,
            layers: Vec::new(),
            children: children.iter().map(|(child, _)| *child).collect(),
            subject: None,
            attached_to: None,
            artifact_type: None,
        })
    }

    /// Adds what `cosign sign`, `cosign attest` or `cosign attach sbom` pushes; the caller tags it
    /// `sha256-<hex>` and `.sig`, `.att` or `.sbom`.
    pub(crate) fn add_cosign(&mut self, kind: Kind, spec: &AttachmentSpec<'_>) -> Digest {
        let (layer_type, payload) = match kind {
            Kind::Attestation => (
                media::DSSE,
                format!(
                    "{{\"payloadType\":\"application/vnd.in-toto+json\",\"payload\":\"{:016x}\",\"subject\":\"{}\",\
                     \"signatures\":[]}}",
                    spec.nonce, spec.subject
                ),
            ),
            Kind::Sbom => (
                media::SPDX,
                format!(
                    "{{\"spdxVersion\":\"SPDX-2.3\",\"name\":\"{}\",\"documentNamespace\":\"{}/{:016x}\"}}",
                    self.repository, spec.subject, spec.nonce
                ),
            ),
            _ => (
                media::SIMPLE_SIGNING,
                format!(
                    "{{\"critical\":{{\"identity\":{{\"docker-reference\":\"registry.example/{}\"}},\"image\":\
                     {{\"docker-manifest-digest\":\"{}\"}},\"type\":\"cosign container image signature\"}},\
                     \"optional\":null}}",
                    self.repository, spec.subject
                ),
            ),
        };
        let payload = self.add_blob(payload.into_bytes());
        let never = Moment::YEAR_ONE;
        let config = self.add_blob(
            format!(
                "{{\"architecture\":\"\",\"created\":\"{never}\",\"history\":[{{\"created\":\"{never}\"}}],\"os\":\"\",\
                 \"rootfs\":{{\"type\":\"layers\",\"diff_ids\":[\"{}\"]}},\"config\":{{}}}}",
                payload.digest
            )
            .into_bytes(),
        );
        let mut body = open(media::OCI_MANIFEST);
        body.push_str(",\"config\":");
        descriptor(&mut body, media::OCI_CONFIG, config);
        body.push_str("},\"layers\":[");
        descriptor(&mut body, layer_type, payload);
        if kind == Kind::Signature {
            let _ = write!(
                body,
                ",\"annotations\":{{\"dev.cosignproject.cosign/signature\":\"{:016x}{:016x}\"}}",
                spec.nonce, !spec.nonce
            );
        }
        body.push_str("}]}");
        self.add_manifest(Manifest {
            digest: Digest::of(body.as_bytes()),
            media_type: Cow::Borrowed(media::OCI_MANIFEST),
            bytes: Bytes::from(body),
            kind,
            created: Some(never),
            config: Some(config),
            layers: vec![payload],
            children: Vec::new(),
            subject: None,
            attached_to: Some(spec.subject),
            artifact_type: Some(Cow::Borrowed(media::OCI_CONFIG)),
        })
    }

    /// Adds an OCI 1.1 artifact with `subject`, as `oras attach` makes them. `subject` need not
    /// be here: then its descriptor says size 0 and an OCI manifest.
    pub(crate) fn add_referrer(&mut self, spec: &AttachmentSpec<'_>) -> Digest {
        let empty = self.add_blob(b"{}".to_vec());
        let payload = self.add_blob(
            format!(
                "{{\"name\":\"{}\",\"about\":\"{}\",\"serial\":\"{:016x}\"}}",
                self.repository, spec.subject, spec.nonce
            )
            .into_bytes(),
        );
        let mut body = open(media::OCI_MANIFEST);
        body.push_str(",\"artifactType\":");
        quoted(&mut body, spec.artifact_type);
        body.push_str(",\"config\":");
        descriptor(&mut body, media::OCI_EMPTY, empty);
        body.push_str("},\"layers\":[");
        descriptor(&mut body, spec.artifact_type, payload);
        body.push_str("}],\"subject\":");
        let subject_type = self
            .manifest(&spec.subject)
            .map_or(media::OCI_MANIFEST.into(), |manifest| manifest.media_type.clone());
        descriptor(&mut body, &subject_type, self.manifest_ref(&spec.subject));
        let _ = write!(
            body,
            "}},\"annotations\":{{\"org.opencontainers.image.created\":\"{}\"}}}}",
            spec.created
        );
        self.add_manifest(Manifest {
            digest: Digest::of(body.as_bytes()),
            media_type: Cow::Borrowed(media::OCI_MANIFEST),
            bytes: Bytes::from(body),
            kind: Kind::Referrer,
            created: None,
            config: Some(empty),
            layers: vec![payload],
            children: Vec::new(),
            subject: Some(spec.subject),
            attached_to: Some(spec.subject),
            artifact_type: Some(Cow::Owned(spec.artifact_type.to_owned())),
        })
    }

    /// Adds a Helm chart; its date is an annotation only, as `helm push` writes it.
    pub(crate) fn add_chart(&mut self, name: &str, version: &str, created: Moment, nonce: u64) -> Digest {
        let about = format!("apiVersion: v2\nname: {name}\nversion: {version}\n# build {nonce:016x}\n");
        let layer = self.add_blob(archive(&format!("{name}/Chart.yaml"), about.as_bytes()).compressed);
        let config = self.add_blob(
            format!("{{\"name\":\"{name}\",\"version\":\"{version}\",\"apiVersion\":\"v2\",\"type\":\"application\"}}")
                .into_bytes(),
        );
        let mut body = open(media::OCI_MANIFEST);
        body.push_str(",\"config\":");
        descriptor(&mut body, media::HELM_CONFIG, config);
        body.push_str("},\"layers\":[");
        descriptor(&mut body, media::HELM_CHART, layer);
        let _ = write!(
            body,
            "}}],\"annotations\":{{\"org.opencontainers.image.created\":\"{created}\",\
             \"org.opencontainers.image.title\":\"{name}\",\"org.opencontainers.image.version\":\"{version}\"}}}}"
        );
        self.add_manifest(Manifest {
            digest: Digest::of(body.as_bytes()),
            media_type: Cow::Borrowed(media::OCI_MANIFEST),
            bytes: Bytes::from(body),
            kind: Kind::Chart,
            created: None,
            config: Some(config),
            layers: vec![layer],
            children: Vec::new(),
            subject: None,
            attached_to: None,
            artifact_type: Some(Cow::Borrowed(media::HELM_CONFIG)),
        })
    }

    /// Adds the index that a client without a referrers API keeps under `sha256-<hex>`.
    pub(crate) fn add_fallback_index(&mut self, subject: Digest, referrers: &[Digest]) -> Digest {
        let found: Vec<&Manifest> = referrers
            .iter()
            .filter_map(|digest| self.manifest(digest))
            .map(|found| &**found)
            .collect();
        let body = fallback_index(&found);
        self.add_manifest(Manifest {
            digest: Digest::of(body.as_bytes()),
            media_type: Cow::Borrowed(media::OCI_INDEX),
            bytes: Bytes::from(body),
            kind: Kind::FallbackIndex,
            created: None,
            config: None,
            layers: Vec::new(),
            children: referrers.to_vec(),
            subject: None,
            attached_to: Some(subject),
            artifact_type: None,
        })
    }
}

/// An index of referrers: what the API answers, and what the fallback tag holds (distribution
/// specification, "Listing Referrers").
pub(crate) fn fallback_index(referrers: &[&Manifest]) -> String {
    let mut body = open(media::OCI_INDEX);
    body.push_str(",\"manifests\":[");
    for (position, referrer) in referrers.iter().enumerate() {
        if position > 0 {
            body.push(',');
        }
        let blob = BlobRef {
            digest: referrer.digest,
            size: referrer.bytes.len() as u64,
        };
        descriptor(&mut body, &referrer.media_type, blob);
        if let Some(artifact_type) = &referrer.artifact_type {
            body.push_str(",\"artifactType\":");
            quoted(&mut body, artifact_type);
        }
        body.push('}');
    }
    body.push_str("]}");
    body
}
