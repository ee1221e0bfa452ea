//! The port to what keeps the journal: ordered, durable entries, and the contents they refer to.
//!
//! A store knows nothing of what an entry says. It keeps the order, tells which entries are still open, and finds
//! the entries of a run; checksums, mirrors and repair are its own affair.

use std::future::Future;

use bytes::Bytes;
use thiserror::Error;

use super::id::{RunId, Sequence};
use crate::digest::Digest;

/// One entry to append.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The run that it belongs to.
    pub run: RunId,
    /// What it does to the set of open entries.
    pub effect: Effect,
    /// What it says.
    pub body: Bytes,
}

/// What an entry does to the set of open entries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// Nothing.
    None,
    /// It is open until another settles it.
    Opens,
    /// It settles an open one.
    Settles(Sequence),
}

/// Entries and contents that become durable together, or not at all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Group {
    /// Contents by their digests. One that is there already is not stored again.
    pub contents: Vec<(Digest, Bytes)>,
    /// Entries, in order.
    pub entries: Vec<Entry>,
    /// Whether it is refused where there is too little room: so is what begins a deletion. What ends or takes back
    /// one is what the room is kept for.
    pub needs_room: bool,
}

/// Why the journal could not be read or written.
///
/// After a [`JournalError::Store`] of [`JournalStore::append`] nobody knows whether the group is there: the store
/// refuses all further groups, and what is true is found out when it is opened again. After any other error of it the
/// group is not there.
#[derive(Debug, Error)]
pub enum JournalError {
    /// The store failed.
    #[error("{doing}")]
    Store {
        /// What was tried, and where: a fragment that completes "failed to ...".
        doing: String,
        /// How it failed.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A record cannot be understood: damaged, or of a newer version.
    #[error("read journal record {sequence}: {why}")]
    Record {
        /// Which.
        sequence: Sequence,
        /// What is wrong with it.
        why: String,
    },
    /// The group breaks a rule of the journal, and nothing of it was written.
    #[error("write the journal: {why}")]
    Refused {
        /// Which rule.
        why: String,
    },
    /// The store stopped after an earlier failure.
    #[error("write the journal: it stopped after an earlier failure")]
    Stopped,
    /// There is too little room to be sure that the journal can be kept: nothing new may be begun. What became of what
    /// was begun can still be recorded.
    #[error("write the journal: {free} bytes are free, and {needed} are asked for")]
    NoSpace {
        /// Bytes that are free.
        free: u64,
        /// Bytes that have to be.
        needed: u64,
    },
}

/// Keeps the journal.
pub trait JournalStore: Send + Sync {
    /// Appends a group; when this returns, it is durable. The sequence numbers of its entries follow each other from
    /// the one that is returned.
    ///
    /// A group has an entry at least, its contents hash to their digests, and what an entry settles is open: before
    /// the group, or from an earlier entry of it. Any other group is refused.
    ///
    /// Groups of several callers may become durable with one write; each keeps its order, and numbers are dense.
    fn append(&self, group: Group) -> impl Future<Output = Result<Sequence, JournalError>> + Send;

    /// What an entry says; `None` where there is none of this number.
    fn entry(
        &self,
        sequence: Sequence,
    ) -> impl Future<Output = Result<Option<(RunId, Bytes)>, JournalError>> + Send;

    /// A content by its digest.
    fn content(&self, digest: &Digest) -> impl Future<Output = Result<Option<Bytes>, JournalError>> + Send;

    /// The entries that are open, in order.
    fn open_entries(&self) -> impl Future<Output = Result<Vec<Sequence>, JournalError>> + Send;

    /// The entry that settled another; `None` where it is open, or was never of the kind that is settled.
    fn settled_by(
        &self,
        sequence: Sequence,
    ) -> impl Future<Output = Result<Option<Sequence>, JournalError>> + Send;

    /// Every run with an entry, oldest first.
    fn runs(&self) -> impl Future<Output = Result<Vec<RunId>, JournalError>> + Send;

    /// The first and the last entry of a run; `None` where it has none.
    fn bounds_of(
        &self,
        run: RunId,
    ) -> impl Future<Output = Result<Option<(Sequence, Sequence)>, JournalError>> + Send;

    /// Why it takes nothing any more; `None` as long as it does, or where it cannot tell before it is asked to append.
    /// What is on record and was not sent by then is left unsent: nothing that comes of it could be put on record.
    fn failure(&self) -> Option<JournalError> {
        None
    }

    /// The entries of a run, in order.
    fn entries_of(&self, run: RunId) -> impl Future<Output = Result<Vec<Sequence>, JournalError>> + Send;
}
