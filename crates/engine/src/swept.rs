//! A registry that was asked to take one tag off, and deleted the manifest with all its tags.

use lagan_model::journal::{
    JournalError, JournalStore, RecordedRestore, RestoreIntent, RestoreOutcome, RestoreResult, RunId,
    Sequence, UntagIntent,
};
use lagan_model::{Artifact, Clock, Manifest, Reference, RegistryError, RegistryWrite, Tag};

use crate::restore::{NotPut, collected, create_tag, missing_blob, on_tag, put_exact};
use crate::world::World;

/// How putting a manifest back failed.
#[derive(Debug, Clone)]
pub(crate) struct Failed {
    pub detail: String,
    /// Whether trying again is of no use: garbage was collected in between, or others deleted what it lists.
    pub forever: bool,
    /// The tags that were to stay, and are nowhere. Only told where trying again is of no use.
    pub lost: Vec<Tag>,
}

impl Failed {
    /// Nobody knows how far it went; the next run tries again.
    pub(crate) fn of_the_journal(error: &JournalError) -> Self {
        Self {
            detail: format!("failed to {error}"),
            forever: false,
            lost: Vec::new(),
        }
    }
}

/// How many of the tags that were to stay have to be gone, where the manifest is there: somebody may have pushed it again
/// in the same moment, with other tags.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Missing {
    /// One of them, right after the request: nobody else has had the time.
    Any,
    /// All of them, later: others may have deleted some for reasons of their own.
    All,
}

/// Whether the manifest went, of which one tag was to go, or tags of it did that were to stay.
pub(crate) async fn is_swept<R: RegistryWrite>(
    registry: &R,
    untag: &UntagIntent,
    missing: Missing,
) -> Result<bool, RegistryError> {
    let (mut stays, mut there, mut gone) = (false, 0, 0);
    for tag in &untag.others {
        match on_tag(registry, &untag.repository, tag).await? {
            Some(digest) => {
                stays |= digest == untag.digest;
                there += 1;
            }
            None => gone += 1,
        }
    }
    let lacks = match missing {
        Missing::Any => gone > 0,
        Missing::All => there == 0,
    };
    if lacks || stays {
        return Ok(lacks);
    }
    let reference = Reference::Digest(untag.digest.clone());
    Ok(registry.resolve(&untag.repository, &reference).await?.is_none())
}

/// Puts the manifest back with the tags that were to stay; how that failed, if it did.
pub(crate) async fn put_back_swept<R: RegistryWrite, S: JournalStore, C: Clock>(
    world: World<'_, R, S, C>,
    run: RunId,
    deletion: Sequence,
    untag: &UntagIntent,
) -> Result<Option<Failed>, JournalError> {
    let intent = RestoreIntent {
        deletion,
        repository: untag.repository.clone(),
        digest: untag.digest.clone(),
        media_type: untag.media_type.clone(),
        tags: untag.others.clone(),
        hold_until: None,
        held_until: None,
        at: world.clock.now(),
    };
    let recorded = world.journal.record_restore(run, intent).await?;
    let blobs = Manifest::read(
        recorded.bytes().clone(),
        untag.digest.clone(),
        Some(&untag.media_type),
    )
    .map(|manifest| Artifact::from(&manifest).blobs)
    .unwrap_or_default();
    let gone = missing_blob(world.registry, &untag.repository, &blobs).await;
    if let Ok(Some(blob)) = gone {
        return give_up(world, run, &recorded, untag, collected(blob))
            .await
            .map(Some);
    }
    let mut failure = put_exact(world.registry, &recorded).await.err();
    for tag in &untag.others {
        let put = match on_tag(world.registry, &untag.repository, tag).await {
            Ok(None) => create_tag(world.registry, &recorded, tag).await,
            Ok(Some(_)) => Ok(()),
            Err(error) => Err(error.into()),
        };
        failure = failure.or(put.err());
    }
    let failure = match failure {
        Some(NotPut {
            detail,
            forever: true,
        }) => {
            return give_up(world, run, &recorded, untag, detail).await.map(Some);
        }
        other => other.map(|not_put| not_put.detail),
    };
    let result = match &failure {
        None => RestoreResult::Restored,
        Some(detail) => RestoreResult::Failed {
            detail: detail.clone(),
        },
    };
    settle(world, run, &recorded, result).await?;
    Ok(failure.map(|detail| Failed {
        detail,
        forever: false,
        lost: Vec::new(),
    }))
}

/// Settles that it cannot be put back. Only an undo tries again, when somebody asks for it.
async fn give_up<R: RegistryWrite, S: JournalStore, C: Clock>(
    world: World<'_, R, S, C>,
    run: RunId,
    recorded: &RecordedRestore,
    untag: &UntagIntent,
    why: String,
) -> Result<Failed, JournalError> {
    let mut lost = Vec::new();
    for tag in &untag.others {
        // One that cannot be looked at was there a moment ago, on what is gone.
        let now = on_tag(world.registry, &untag.repository, tag).await;
        if !matches!(now, Ok(Some(_))) {
            lost.push(tag.clone());
        }
    }
    let result = RestoreResult::Unrecoverable { why: why.clone() };
    settle(world, run, recorded, result).await?;
    Ok(Failed {
        detail: why,
        forever: true,
        lost,
    })
}

async fn settle<R: RegistryWrite, S: JournalStore, C: Clock>(
    world: World<'_, R, S, C>,
    run: RunId,
    recorded: &RecordedRestore,
    result: RestoreResult,
) -> Result<(), JournalError> {
    let outcome = RestoreOutcome {
        intent: recorded.sequence(),
        result,
        at: world.clock.now(),
    };
    world.journal.settle_restore(run, outcome).await
}

/// What has to be said of it.
pub(crate) fn alarm(untag: &UntagIntent, failure: Option<&Failed>) -> String {
    let end = match failure {
        None => "it was put back with the others".to_owned(),
        Some(Failed { detail, lost, .. }) if !lost.is_empty() => {
            let lost: Vec<&str> = lost.iter().map(Tag::as_str).collect();
            format!(
                "it cannot be put back, and with it are lost the tags {}: {detail}",
                lost.join(", ")
            )
        }
        Some(failure) => format!("putting it back failed: {}", failure.detail),
    };
    format!(
        "the registry deleted {} with all its tags when asked to delete the tag {}; {end}",
        untag.digest, untag.tag
    )
}
