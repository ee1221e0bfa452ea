//! Putting one manifest back, byte for byte, and reading it back: a registry can say 201 and keep nothing.

use bytes::Bytes;
use lagan_model::journal::RecordedRestore;
use lagan_model::{
    Artifact, Blob, Digest, Failure, Manifest, Reference, RegistryError, RegistryLabel, RegistryRead,
    RegistryWrite, RepositoryName, Tag,
};

use crate::safeguard::{Safeguard, on};

/// Puts a manifest by its digest, and reads it back. The error says how that failed.
pub(crate) async fn put_exact<R: RegistryWrite>(
    registry: &R,
    recorded: &RecordedRestore,
) -> Result<(), String> {
    let said = |error: RegistryError| error.to_string();
    registry.put_manifest(recorded, None).await.map_err(said)?;
    if !on(Safeguard::ReadBack) {
        return Ok(());
    }
    let intent = recorded.intent();
    let back = bytes_of(registry, &intent.repository, &intent.digest)
        .await
        .map_err(said)?;
    match back {
        Some(bytes) if bytes == *recorded.bytes() => {}
        Some(_) => return Err("the registry serves other bytes than it was given".to_owned()),
        None => return Err("the registry accepted the manifest, and does not serve it".to_owned()),
    }
    // Garbage may have been collected until the manifest was there to need its blobs; from now on it cannot be.
    let manifest = Manifest::read(
        recorded.bytes().clone(),
        intent.digest.clone(),
        Some(&intent.media_type),
    )
    .map_err(|error| error.to_string())?;
    let blobs = Artifact::from(&manifest).blobs;
    match missing_blob(registry, &intent.repository, &blobs)
        .await
        .map_err(said)?
    {
        None => Ok(()),
        Some(blob) => Err(collected(blob)),
    }
}

/// Puts a manifest under a tag, whatever that is on, and looks whether the tag is on it.
pub(crate) async fn put_tag<R: RegistryWrite>(
    registry: &R,
    recorded: &RecordedRestore,
    tag: &Tag,
) -> Result<(), String> {
    let said = |error: RegistryError| error.to_string();
    registry.put_manifest(recorded, Some(tag)).await.map_err(said)?;
    tag_is_on(registry, recorded, tag).await
}

/// Makes a tag that was seen not to be there, and looks whether it is on the manifest.
pub(crate) async fn create_tag<R: RegistryWrite>(
    registry: &R,
    recorded: &RecordedRestore,
    tag: &Tag,
) -> Result<(), String> {
    let said = |error: RegistryError| error.to_string();
    registry.create_tag(recorded, tag).await.map_err(said)?;
    tag_is_on(registry, recorded, tag).await
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
) -> Result<(), String> {
    let said = |error: RegistryError| error.to_string();
    let intent = recorded.intent();
    match on_tag(registry, &intent.repository, tag).await.map_err(said)? {
        Some(digest) if digest == intent.digest => Ok(()),
        _ if !on(Safeguard::ReadBack) => Ok(()),
        Some(other) => Err(format!("the tag {tag} was put, and is on {other}")),
        None => Err(format!(
            "the registry accepted the tag {tag}, and does not serve it"
        )),
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
