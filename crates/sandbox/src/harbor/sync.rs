//! Brings Harbor's rows up to date with a repository's content, whoever wrote it.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::tables::{AccessoryRow, ArtifactRow, Facts, Tables, TagRow};
use super::wire;
use crate::content::Manifest;
use crate::digest::Digest;
use crate::media;
use crate::moment::Moment;
use crate::store::View;

/// When new content counts as pushed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pushed {
    /// Now.
    Now,
    /// When it says that it was built, if that is believable; now otherwise.
    WhenBuilt,
}

/// What was built before is a placeholder: 1970 and the year 1 stand for "does not tell".
const BELIEVABLE: Moment = Moment::date(1980, 1, 2);

pub(super) fn repository(tables: &mut Tables, view: &View<'_>, name: &str, now: Moment, pushed: Pushed) {
    let Some(repository) = tables.ensure_repository(name, now) else {
        return;
    };
    let manifests = view.manifests();
    remove_what_is_gone(tables, repository, &manifests);
    for manifest in &manifests {
        if tables.artifact_of(repository, &manifest.digest).is_none() {
            add(tables, view, repository, manifest, now, pushed);
        }
    }
    tags(tables, view, repository, now, pushed);
    accessories(tables, repository, &manifests, now);
}

fn remove_what_is_gone(tables: &mut Tables, repository: i64, manifests: &[&Arc<Manifest>]) {
    let there: HashSet<Digest> = manifests.iter().map(|manifest| manifest.digest).collect();
    let rows = tables
        .repositories
        .get(&repository)
        .map(|row| row.artifacts.clone());
    for id in rows.unwrap_or_default() {
        if tables
            .artifacts
            .get(&id)
            .is_some_and(|row| !there.contains(&row.digest))
        {
            tables.remove_artifact(id);
        }
    }
}

fn add(
    tables: &mut Tables,
    view: &View<'_>,
    repository: i64,
    manifest: &Manifest,
    now: Moment,
    pushed: Pushed,
) {
    let Some(project) = tables.repositories.get(&repository).map(|row| row.project) else {
        return;
    };
    let moment = match (pushed, manifest.created) {
        (Pushed::WhenBuilt, Some(built)) if built >= BELIEVABLE => built,
        _ => now,
    };
    let id = tables.next_id("artifact");
    let body: Value = serde_json::from_slice(&manifest.bytes).unwrap_or_default();
    let references = references(tables, repository, id, &body);
    let children: Vec<i64> = references
        .iter()
        .filter_map(|reference| reference.get("child_id")?.as_i64())
        .collect();
    let facts = facts(tables, &children, manifest, &body);
    let config: Value = manifest
        .config
        .and_then(|config| view.blob(&config.digest))
        .and_then(|bytes| serde_json::from_slice(&bytes).ok())
        .unwrap_or_default();
    let fixed = wire::fixed(manifest, &facts, &references, &extra_attributes(&config), &body);
    tables.insert_artifact(ArtifactRow {
        id,
        project,
        repository,
        digest: manifest.digest,
        pushed: moment,
        pulled: None,
        tags: Vec::new(),
        labels: Vec::new(),
        children,
        facts,
        fixed,
    });
}

/// The children of an index that are artifacts here, with their platforms.
fn references(tables: &Tables, repository: i64, parent: i64, body: &Value) -> Vec<Value> {
    let listed = body.get("manifests").and_then(Value::as_array);
    let references = listed.into_iter().flatten().filter_map(|descriptor| {
        let digest: Digest = descriptor.get("digest")?.as_str()?.parse().ok()?;
        let child = tables.artifact_of(repository, &digest)?;
        let mut reference = json!({
            "parent_id": parent,
            "child_id": child.id,
            "child_digest": digest.to_string(),
            "urls": descriptor.get("urls").cloned().unwrap_or_default(),
        });
        for field in ["platform", "annotations"] {
            if let Some(value) = descriptor.get(field) {
                reference[field] = value.clone();
            }
        }
        Some(reference)
    });
    references.collect()
}

fn facts(tables: &Tables, children: &[i64], manifest: &Manifest, body: &Value) -> Facts {
    let text = |pointer: &str| body.pointer(pointer).and_then(Value::as_str);
    let media_type = text("/config/mediaType")
        .unwrap_or(&manifest.media_type)
        .to_owned();
    let artifact_type = text("/artifactType").unwrap_or(&media_type).to_owned();
    let own = manifest.bytes.len() as u64;
    let blobs = manifest.config.iter().chain(&manifest.layers);
    let of_children = children
        .iter()
        .filter_map(|id| tables.artifacts.get(id))
        .map(|child| child.facts.size);
    Facts {
        kind: kind_of(&media_type),
        manifest_media_type: manifest.media_type.to_string(),
        size: own + blobs.map(|blob| blob.size).sum::<u64>() + of_children.sum::<u64>(),
        media_type,
        artifact_type,
    }
}

/// The name that Harbor gives a kind of artifact, by its configuration's media type: what stands before `.config`,
/// `.v1` and the like, in capitals.
fn kind_of(media_type: &str) -> String {
    match media_type {
        media::OCI_CONFIG | media::DOCKER_CONFIG | media::OCI_INDEX | media::DOCKER_LIST => {
            "IMAGE".to_owned()
        }
        media::HELM_CONFIG => "CHART".to_owned(),
        _ => media_type
            .strip_prefix("application/vnd.")
            .and_then(|rest| rest.split_once(".config."))
            .and_then(|(before, _)| before.rsplit('.').next())
            .map_or_else(|| "UNKNOWN".to_owned(), str::to_uppercase),
    }
}

/// What Harbor shows of an image's configuration.
fn extra_attributes(config: &Value) -> Value {
    let shown = ["architecture", "author", "config", "created", "os"].into_iter();
    let shown = shown.filter_map(|name| Some((name.to_owned(), config.get(name)?.clone())));
    Value::Object(shown.collect::<Map<_, _>>())
}

/// Makes new tags, moves those that point elsewhere now, and removes those that are gone.
fn tags(tables: &mut Tables, view: &View<'_>, repository: i64, now: Moment, pushed: Pushed) {
    let named: HashMap<&str, Digest> = view.tags().into_iter().collect();
    let rows = tables
        .repositories
        .get(&repository)
        .map(|row| row.artifacts.clone());
    let mut standing: HashSet<Arc<str>> = HashSet::new();
    let mut moved: HashMap<Arc<str>, TagRow> = HashMap::new();
    for id in rows.unwrap_or_default() {
        let Some(row) = tables.artifacts.get_mut(&id) else {
            continue;
        };
        let digest = row.digest;
        row.tags.retain(|tag| {
            let stays = named.get(&*tag.name) == Some(&digest);
            if stays {
                standing.insert(Arc::clone(&tag.name));
            } else {
                moved.insert(Arc::clone(&tag.name), tag.clone());
            }
            stays
        });
    }
    let mut new: Vec<(&str, Digest)> = named
        .into_iter()
        .filter(|(name, _)| !standing.contains(*name))
        .collect();
    new.sort_unstable();
    for (name, digest) in new {
        let Some(artifact) = tables.artifact_of(repository, &digest) else {
            continue;
        };
        let (artifact, when) = (artifact.id, artifact.pushed);
        let before = moved.remove(name);
        let tag = TagRow {
            id: match &before {
                Some(tag) => tag.id,
                None => tables.next_id("tag"),
            },
            name: Arc::from(name),
            pushed: match pushed {
                Pushed::Now => now,
                Pushed::WhenBuilt => when,
            },
            pulled: before.and_then(|tag| tag.pulled),
        };
        if let Some(row) = tables.artifacts.get_mut(&artifact) {
            row.tags.push(tag);
        }
    }
}

/// What becomes an accessory of another artifact: a manifest with `subject`, and a cosign signature by its tag. Other tags
/// of cosign's (`.att`, `.sbom`) stay ordinary artifacts, as in Harbor.
fn accessories(tables: &mut Tables, repository: i64, manifests: &[&Arc<Manifest>], now: Moment) {
    for manifest in manifests {
        let Some(row) = tables.artifact_of(repository, &manifest.digest) else {
            continue;
        };
        if tables.is_accessory(row.id) {
            continue;
        }
        let found = match manifest.subject {
            Some(subject) => Some((subject, kind_of_accessory(manifest))),
            None => signed(row, manifest).map(|subject| (subject, "signature.cosign")),
        };
        if let Some((subject, kind)) = found {
            let artifact = row.id;
            let id = tables.next_id("accessory");
            tables.insert_accessory(AccessoryRow {
                id,
                artifact,
                repository,
                subject,
                kind,
                created: now,
            });
        }
    }
}

fn kind_of_accessory(manifest: &Manifest) -> &'static str {
    match manifest.artifact_type.as_deref() {
        Some("application/vnd.cncf.notary.signature") => "signature.notation",
        Some("application/vnd.dev.cosign.artifact.sig.v1+json") => "signature.cosign",
        Some("application/vnd.goharbor.harbor.sbom.v1") => "sbom.harbor",
        _ => "subject.accessory",
    }
}

/// The digest that a cosign signature signs, by its tag and its layers.
fn signed(row: &ArtifactRow, manifest: &Manifest) -> Option<Digest> {
    let subject = row.tags.iter().find_map(|tag| {
        let hex = tag.name.strip_prefix("sha256-")?.strip_suffix(".sig")?;
        format!("sha256:{hex}").parse().ok()
    })?;
    let body: Value = serde_json::from_slice(&manifest.bytes).ok()?;
    let layers = body.get("layers")?.as_array()?;
    let signs = |layer: &Value| layer.get("mediaType").and_then(Value::as_str) == Some(media::SIMPLE_SIGNING);
    layers.iter().any(signs).then_some(subject)
}
