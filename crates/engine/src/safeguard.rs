//! What keeps deletion, restoration and recovery safe, by name.
//!
//! Each is on, always. Only the simulator, which exists in this crate's tests alone, can take one away: to show that
//! it would notice.

/// One thing that is done for safety's sake.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Safeguard {
    /// A repository whose actions are not those that were approved is left alone.
    PlanHash,
    /// Where a policy has a notice, what was not announced for as long is left alone, and its unit with it.
    Notice,
    /// A repository that the rollout of a policy does not take yet is left alone.
    Rollout,
    /// A repository that cannot be read whole is left alone.
    CompleteReading,
    /// Nothing is deleted, and no tag taken off, on the strength of a reading that is too old.
    ReadAgain,
    /// A unit in which something moved since the plan is left alone.
    UnitUnchanged,
    /// Every tag of a manifest is looked at right before the manifest is deleted.
    TagsBeforeDelete,
    /// No fewer artifacts stay than are to, by what is there and not by what was planned.
    KeepAtLeast,
    /// A manifest that something present lists, or that is attached to something present, is left alone.
    StillReferenced,
    /// An index is seen to be gone before its children are touched.
    IndexFirst,
    /// A unit is on record before anything in it is deleted. Types and stores see to that: only the simulated store asks.
    #[cfg(test)]
    IntentFirst,
    /// Where a deletion takes along what hangs on the manifest, that is looked at again when the tags are off. Adapters see
    /// to that: only the simulated one asks.
    #[cfg(test)]
    AlongLookedAtLast,
    /// An outcome is on record only after the registry was seen.
    OutcomeLast,
    /// A deletion whose answer was lost is not settled before it can no longer happen.
    InDoubtWindow,
    /// What an earlier deletion may still take is neither deleted nor put back.
    LeftOut,
    /// The repository is read again at the end, and what new tags need is put back.
    Mend,
    /// A tag is taken off only where another one is seen to be on the manifest, right before.
    LastTag,
    /// Untagging stops when it took more than the tag.
    UntagCheck,
    /// A tag is taken off an index only where everything is there that it lists.
    WholeIndex,
    /// Blobs are read, not only asked for, before a manifest that needs them is put back.
    ReadBlobs,
    /// A blob is there when its first byte was read: a registry may claim what its collection took. Adapters see to that:
    /// only the simulated one asks.
    #[cfg(test)]
    TasteBlobs,
    /// What was put back is read back.
    ReadBack,
    /// Children are put back before their index.
    ChildrenFirst,
    /// A tag that is on something else is left there.
    TagsOnlyWhereAbsent,
    /// An index of what is attached that others have written since is added to, and not overwritten.
    Merge,
    /// What was put back is held.
    Hold,
    /// What an index that is held lists stays with it, also where no tag is on the index any more.
    HoldBelow,
    /// Where a policy has a grace, a copy is in the holding repository before the deletion.
    HoldFirst,
    /// A copy has a tag: what has none goes with a collection of untagged manifests.
    HoldByTag,
    /// A copy is read back.
    HoldReadBack,
    /// Nothing is held where a purge of it may still happen.
    HoldNotInDoubt,
    /// Blobs that are gone are taken over from the copy.
    BringBack,
    /// What an interrupted run left stays, where what listed it is there again or still, with a tag or without.
    NothingAbove,
    /// A copy is purged only when every grace of it is over.
    PurgeWhenDue,
}

#[cfg(not(test))]
#[inline]
pub(crate) const fn on(_: Safeguard) -> bool {
    true
}

#[cfg(test)]
pub(crate) use self::switches::{on, without};

#[cfg(test)]
mod switches {
    use std::cell::Cell;

    use super::Safeguard;

    thread_local! {
        static OFF: Cell<Option<Safeguard>> = const { Cell::new(None) };
    }

    pub(crate) fn on(safeguard: Safeguard) -> bool {
        OFF.get() != Some(safeguard)
    }

    /// Runs `body` on this thread with a safeguard taken away.
    pub(crate) fn without<T>(safeguard: Option<Safeguard>, body: impl FnOnce() -> T) -> T {
        let before = OFF.replace(safeguard);
        let result = body();
        OFF.set(before);
        result
    }
}
