//! A registry that was asked to take one tag off, and deleted the manifest with all its tags.

use lagan_model::journal::{
    JournalError, JournalStore, RecordedRestore, RestoreIntent, RestoreOutcome, RestoreResult, RunId,
    Sequence, UntagIntent,
};
use lagan_model::{Artifact, Clock, Manifest, Reference, RegistryError, RegistryWrite, Tag, Time};

use crate::restore::{NotPut, collected, create_tag, missing_blob, on_tag, put_exact};
use crate::world::World;

/// How putting a manifest back failed.
#[derive(Debug, Clone)]
pub(crate) struct Failed {
    pub detail: String,
    /// Whether trying again is of no use: garbage was collected in between, or others deleted what it lists.
    pub forever: bool,
    /// The tags that went with it, and are nowhere. Only told where trying again is of no use.
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

/// How many of the tags beside the one that was to go have to be gone, where the manifest is there: somebody may have
/// pushed it again in the same moment, with other tags.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Missing {
    /// One that was to stay, right after the request: nobody else has had the time.
    Any,
    /// All that were to stay, later: others may have deleted some for reasons of their own.
    All,
    /// One of all, where it is on record that they went, and were being put back.
    AnyPutBack,
}

/// What a look at the tags beside the one that was to go shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Found {
    /// Nothing else went.
    Stays,
    /// The manifest went, or its tags did.
    Swept,
    /// It is there, and these tags that were to stay are not: nobody knows who took them.
    Lacks(Vec<Tag>),
}

/// Whether the manifest went, of which one tag was to go, or tags of it did that were not.
pub(crate) async fn find_swept<R: RegistryWrite>(
    registry: &R,
    untag: &UntagIntent,
    missing: Missing,
) -> Result<Found, RegistryError> {
    let leaving = untag.leaving.iter().filter(|_| missing == Missing::AnyPutBack);
    let (mut stays, mut there, mut gone) = (false, 0, Vec::new());
    for tag in untag.others.iter().chain(leaving) {
        match on_tag(registry, &untag.repository, tag).await? {
            Some(digest) => {
                stays |= digest == untag.digest;
                there += 1;
            }
            None => gone.push(tag.clone()),
        }
    }
    let lacks = match missing {
        Missing::Any | Missing::AnyPutBack => !gone.is_empty(),
        Missing::All => there == 0,
    };
    if lacks {
        return Ok(Found::Swept);
    }
    let reference = Reference::Digest(untag.digest.clone());
    if !stays && registry.resolve(&untag.repository, &reference).await?.is_none() {
        return Ok(Found::Swept);
    }
    // As long as the tag itself is there, it took nothing along.
    if gone.is_empty()
        || on_tag(registry, &untag.repository, &untag.tag).await?.as_ref() == Some(&untag.digest)
    {
        return Ok(Found::Stays);
    }
    Ok(Found::Lacks(gone))
}

/// Notes tags of which nobody knows who took them, so that an undo can put them back; and what has to be said of it.
pub(crate) async fn note_lacking<R: RegistryWrite, S: JournalStore, C: Clock>(
    world: World<'_, R, S, C>,
    run: RunId,
    deletion: Sequence,
    untag: &UntagIntent,
    lacking: Vec<Tag>,
) -> Result<String, JournalError> {
    let names: Vec<&str> = lacking.iter().map(Tag::as_str).collect();
    let told = format!(
        "the tag {} was taken off {} by a run that was interrupted, and by now the tags {} are gone as well: the registry \
         took them with it, or somebody else did; `lagan undo {run}` puts them back",
        untag.tag,
        untag.digest,
        names.join(", ")
    );
    let intent = intent_of(world.clock.now(), deletion, untag, lacking);
    let recorded = world.journal.record_restore(run, intent).await?;
    let why = "somebody else may have deleted these tags".to_owned();
    settle(world, run, &recorded, RestoreResult::Unrecoverable { why }).await?;
    Ok(told)
}

fn intent_of(at: Time, deletion: Sequence, untag: &UntagIntent, tags: Vec<Tag>) -> RestoreIntent {
    RestoreIntent {
        deletion,
        repository: untag.repository.clone(),
        digest: untag.digest.clone(),
        media_type: untag.media_type.clone(),
        tags,
        hold_until: None,
        held_until: None,
        at,
    }
}

/// The tags that went with the manifest: those that were to stay, and those whose turn had not come.
fn swept_tags(untag: &UntagIntent) -> impl Iterator<Item = &Tag> {
    untag.others.iter().chain(&untag.leaving)
}

/// Puts the manifest back with every tag but the one that was to go; how that failed, if it did.
pub(crate) async fn put_back_swept<R: RegistryWrite, S: JournalStore, C: Clock>(
    world: World<'_, R, S, C>,
    run: RunId,
    deletion: Sequence,
    untag: &UntagIntent,
) -> Result<Option<Failed>, JournalError> {
    let tags = swept_tags(untag).cloned().collect();
    let intent = intent_of(world.clock.now(), deletion, untag, tags);
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
    for tag in swept_tags(untag) {
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
    for tag in swept_tags(untag) {
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
