//! Putting one manifest back, byte for byte, and reading it back: a registry can say 201 and keep nothing.

use bytes::Bytes;
use lagan_model::journal::RecordedRestore;
use lagan_model::{
    Artifact, Blob, Digest, Failure, Manifest, Reference, RegistryError, RegistryLabel, RegistryRead,
    RegistryWrite, RepositoryName, Tag,
};

use crate::safeguard::{Safeguard, on};

/// How putting a manifest back failed.
#[derive(Debug, Clone)]
pub(crate) struct NotPut {
    pub detail: String,
    /// Whether trying again is of no use, as things are: what it needs is not there.
    pub forever: bool,
}

impl From<String> for NotPut {
    fn from(detail: String) -> Self {
        let forever = false;
        Self { detail, forever }
    }
}

impl From<RegistryError> for NotPut {
    fn from(error: RegistryError) -> Self {
        error.to_string().into()
    }
}

/// Puts a manifest by its digest, and reads it back.
pub(crate) async fn put_exact<R: RegistryWrite>(
    registry: &R,
    recorded: &RecordedRestore,
) -> Result<(), NotPut> {
    let intent = recorded.intent();
    if let Err(error) = registry.put_manifest(recorded, None).await {
        return Err(refused(registry, recorded, &error).await);
    }
    if !on(Safeguard::ReadBack) {
        return Ok(());
    }
    match bytes_of(registry, &intent.repository, &intent.digest).await? {
        Some(bytes) if bytes == *recorded.bytes() => {}
        Some(_) => {
            let detail = "the registry serves other bytes than it was given";
            return Err(detail.to_owned().into());
        }
        None => {
            let detail = "the registry accepted the manifest, and does not serve it".to_owned();
            return Err(turned_down(registry, recorded, detail).await);
        }
    }
    // Garbage may have been collected until the manifest was there to need its blobs; from now on it cannot be.
    let blobs = facts(recorded)?.blobs;
    match missing_blob(registry, &intent.repository, &blobs).await? {
        None => Ok(()),
        Some(blob) => Err(collected(blob).into()),
    }
}

/// What is put, as facts.
fn facts(recorded: &RecordedRestore) -> Result<Artifact, NotPut> {
    let intent = recorded.intent();
    let bytes = recorded.bytes().clone();
    let manifest = Manifest::read(bytes, intent.digest.clone(), Some(&intent.media_type));
    match manifest {
        Ok(manifest) => Ok(Artifact::from(&manifest)),
        Err(error) => Err(error.to_string().into()),
    }
}

/// What there is to say of a request to put something that the registry did not answer as was hoped for.
async fn refused<R: RegistryWrite>(
    registry: &R,
    recorded: &RecordedRestore,
    error: &RegistryError,
) -> NotPut {
    match error.failure() {
        Failure::Refused => turned_down(registry, recorded, error.to_string()).await,
        _ => error.to_string().into(),
    }
}

/// What there is to say of a manifest that the registry does not take: many take no index without everything that it lists.
async fn turned_down<R: RegistryWrite>(registry: &R, recorded: &RecordedRestore, detail: String) -> NotPut {
    let artifact = match facts(recorded) {
        Ok(artifact) => artifact,
        Err(unread) => return unread,
    };
    match missing_child(registry, &recorded.intent().repository, &artifact).await {
        Ok(Some(child)) => NotPut {
            detail: format!(
                "its child {child} is gone, without which the registry does not take it back: {detail}"
            ),
            forever: true,
        },
        // What cannot be looked at may be there.
        Ok(None) | Err(_) => detail.into(),
    }
}

/// The first manifest that an index lists and the registry does not have.
pub(crate) async fn missing_child<'a, R: RegistryRead>(
    registry: &R,
    repository: &RepositoryName,
    artifact: &'a Artifact,
) -> Result<Option<&'a Digest>, RegistryError> {
    for child in &artifact.children {
        let reference = Reference::Digest(child.digest.clone());
        if registry.resolve(repository, &reference).await?.is_none() {
            return Ok(Some(&child.digest));
        }
    }
    Ok(None)
}

/// Puts a manifest under a tag, whatever that is on, and looks whether the tag is on it.
pub(crate) async fn put_tag<R: RegistryWrite>(
    registry: &R,
    recorded: &RecordedRestore,
    tag: &Tag,
) -> Result<(), NotPut> {
    match registry.put_manifest(recorded, Some(tag)).await {
        Ok(()) => tag_is_on(registry, recorded, tag).await,
        Err(error) => Err(refused(registry, recorded, &error).await),
    }
}

/// Makes a tag that was seen not to be there, and looks whether it is on the manifest.
pub(crate) async fn create_tag<R: RegistryWrite>(
    registry: &R,
    recorded: &RecordedRestore,
    tag: &Tag,
) -> Result<(), NotPut> {
    match registry.create_tag(recorded, tag).await {
        Ok(()) => tag_is_on(registry, recorded, tag).await,
        Err(error) => Err(refused(registry, recorded, &error).await),
    }
}

/// Puts the registry's own labels back, and looks whether they are there.
pub(crate) async fn put_labels<R: RegistryWrite>(
    registry: &R,
    recorded: &RecordedRestore,
    labels: &[RegistryLabel],
) -> Result<(), String> {
    let said = |error: RegistryError| error.to_string();
    let intent = recorded.intent();
    let unmade = registry.put_labels(recorded, labels).await.map_err(said)?;
    let lacking = registry
        .lacking_labels(&intent.repository, &intent.digest, labels)
        .await
        .map_err(said)?;
    let names = |labels: &[RegistryLabel]| {
        let names: Vec<&str> = labels.iter().map(|label| label.name.as_str()).collect();
        names.join(", ")
    };
    if !unmade.is_empty() {
        return Err(format!(
            "it is back, but for labels that the registry does not have any more: {}; make them and undo again",
            names(&unmade)
        ));
    }
    if !lacking.is_empty() {
        return Err(format!(
            "the registry accepted labels, and does not show them: {}",
            names(&lacking)
        ));
    }
    Ok(())
}

async fn tag_is_on<R: RegistryWrite>(
    registry: &R,
    recorded: &RecordedRestore,
    tag: &Tag,
) -> Result<(), NotPut> {
    let intent = recorded.intent();
    match on_tag(registry, &intent.repository, tag).await? {
        Some(digest) if digest == intent.digest => Ok(()),
        _ if !on(Safeguard::ReadBack) => Ok(()),
        Some(other) => Err(format!("the tag {tag} was put, and is on {other}").into()),
        None => {
            let detail = format!("the registry accepted the tag {tag}, and does not serve it");
            Err(turned_down(registry, recorded, detail).await)
        }
    }
}

/// The bytes of a manifest; `None` where the registry says that it has none of this digest.
pub(crate) async fn bytes_of<R: RegistryRead>(
    registry: &R,
    repository: &RepositoryName,
    digest: &Digest,
) -> Result<Option<Bytes>, RegistryError> {
    let reference = Reference::Digest(digest.clone());
    match registry.manifest(repository, &reference).await {
        Ok(manifest) => Ok(Some(manifest.bytes().clone())),
        Err(error) if error.failure() == Failure::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// The first blob that cannot be read.
pub(crate) async fn missing_blob<'a, R: RegistryWrite>(
    registry: &R,
    repository: &RepositoryName,
    blobs: &'a [Blob],
) -> Result<Option<&'a Digest>, RegistryError> {
    for blob in blobs.iter().filter(|_| on(Safeguard::ReadBlobs)) {
        if !registry.has_blob(repository, &blob.digest).await? {
            return Ok(Some(&blob.digest));
        }
    }
    Ok(None)
}

/// How a blob that is gone is reported.
pub(crate) fn collected(blob: &Digest) -> String {
    format!("the blob {blob} is gone: the registry collected its garbage")
}

/// What a tag is on.
pub(crate) async fn on_tag<R: RegistryWrite>(
    registry: &R,
    repository: &RepositoryName,
    tag: &Tag,
) -> Result<Option<Digest>, RegistryError> {
    let reference = Reference::Tag(tag.clone());
    Ok(registry
        .resolve(repository, &reference)
        .await?
        .map(|head| head.digest))
}
