//! Which requests came: tests count them, benchmarks report them.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use http::{Method, StatusCode};

/// What a request asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum RequestKind {
    /// `/v2/`
    Base,
    /// `/v2/_catalog`
    Catalog,
    /// `/v2/<name>/tags/list`
    TagList,
    /// GET of a manifest.
    ManifestGet,
    /// HEAD of a manifest.
    ManifestHead,
    /// PUT of a manifest.
    ManifestPut,
    /// DELETE of a manifest or tag.
    ManifestDelete,
    /// GET of a blob.
    BlobGet,
    /// HEAD of a blob.
    BlobHead,
    /// DELETE of a blob.
    BlobDelete,
    /// Any step of an upload, mounts among them.
    BlobUpload,
    /// `/v2/<name>/referrers/<digest>`
    Referrers,
    /// `/token`
    Token,
    /// Harbor's version, health and system information.
    ApiInfo,
    /// Harbor's projects, listed or single.
    ApiProject,
    /// A list of Harbor's repositories.
    ApiRepositoryList,
    /// One of Harbor's repositories.
    ApiRepository,
    /// A list of the artifacts of one of Harbor's repositories or projects.
    ApiArtifactList,
    /// One artifact by Harbor's API.
    ApiArtifact,
    /// DELETE of an artifact by Harbor's API.
    ApiArtifactDelete,
    /// The tags of an artifact by Harbor's API.
    ApiTagList,
    /// A new tag by Harbor's API.
    ApiTagCreate,
    /// DELETE of a tag by Harbor's API.
    ApiTagDelete,
    /// The accessories of an artifact.
    ApiAccessoryList,
    /// A label put on an artifact or taken off it.
    ApiArtifactLabel,
    /// Harbor's labels themselves.
    ApiLabel,
    /// Harbor's rules of immutability and retention.
    ApiRule,
    /// Harbor's users and robots, and what they may do.
    ApiAccount,
    /// Harbor's garbage collections and their schedule.
    ApiCollection,
    /// Harbor's replications and settings.
    ApiSystem,
    /// Anything else under `/api/`.
    ApiOther,
    /// Anything else.
    Other,
}

impl RequestKind {
    /// Every kind, in the order of their declaration.
    pub const ALL: [Self; 32] = [
        Self::Base,
        Self::Catalog,
        Self::TagList,
        Self::ManifestGet,
        Self::ManifestHead,
        Self::ManifestPut,
        Self::ManifestDelete,
        Self::BlobGet,
        Self::BlobHead,
        Self::BlobDelete,
        Self::BlobUpload,
        Self::Referrers,
        Self::Token,
        Self::ApiInfo,
        Self::ApiProject,
        Self::ApiRepositoryList,
        Self::ApiRepository,
        Self::ApiArtifactList,
        Self::ApiArtifact,
        Self::ApiArtifactDelete,
        Self::ApiTagList,
        Self::ApiTagCreate,
        Self::ApiTagDelete,
        Self::ApiAccessoryList,
        Self::ApiArtifactLabel,
        Self::ApiLabel,
        Self::ApiRule,
        Self::ApiAccount,
        Self::ApiCollection,
        Self::ApiSystem,
        Self::ApiOther,
        Self::Other,
    ];
}

/// One request, after its answer was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogEntry {
    /// Counts from 1, in order of arrival.
    pub number: u64,
    /// The method.
    pub method: Method,
    /// What it asked for.
    pub kind: RequestKind,
    /// Of which repository; empty where the request names none.
    pub repository: String,
    /// Which tag, digest or upload; empty where the request names none.
    pub reference: String,
    /// The path as it was sent, undecoded.
    pub path: String,
    /// What follows the question mark, undecoded; empty where nothing does.
    pub query: String,
    /// What was answered; `None` where the connection was cut instead.
    pub status: Option<StatusCode>,
    /// Whether there was an `Authorization` header. Its value is not kept.
    pub authorized: bool,
}

/// The requests so far, by kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts([u64; RequestKind::ALL.len()]);

impl Counts {
    /// How many of one kind.
    #[must_use]
    pub fn of(&self, kind: RequestKind) -> u64 {
        self.0[kind as usize]
    }

    /// How many there were.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.0.iter().sum()
    }
}

/// The access log of one sandbox. Reading it does not stop it.
#[derive(Debug)]
pub struct AccessLog {
    capacity: usize,
    entries: Mutex<VecDeque<LogEntry>>,
    counts: [AtomicU64; RequestKind::ALL.len()],
    arrived: AtomicU64,
    in_flight: AtomicUsize,
    most_in_flight: AtomicUsize,
}

impl AccessLog {
    pub(crate) fn new(capacity: usize) -> Self {
        Self {
            capacity,
            entries: Mutex::default(),
            counts: Default::default(),
            arrived: AtomicU64::new(0),
            in_flight: AtomicUsize::new(0),
            most_in_flight: AtomicUsize::new(0),
        }
    }

    /// Counts a request in; it is in flight until the guard is dropped.
    pub(crate) fn arrive(&self) -> InFlight<'_> {
        let now = self.in_flight.fetch_add(1, Ordering::Relaxed) + 1;
        self.most_in_flight.fetch_max(now, Ordering::Relaxed);
        InFlight {
            log: self,
            number: self.arrived.fetch_add(1, Ordering::Relaxed) + 1,
        }
    }

    pub(crate) fn count(&self, kind: RequestKind) {
        self.counts[kind as usize].fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn keeps_entries(&self) -> bool {
        self.capacity > 0
    }

    pub(crate) fn record(&self, entry: LogEntry) {
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        if entries.len() == self.capacity {
            entries.pop_front();
        }
        entries.push_back(entry);
    }

    /// The last requests, oldest first by the time they were answered.
    #[must_use]
    pub fn entries(&self) -> Vec<LogEntry> {
        self.entries
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .iter()
            .cloned()
            .collect()
    }

    /// The last requests of one kind.
    #[must_use]
    pub fn of(&self, kind: RequestKind) -> Vec<LogEntry> {
        let mut entries = self.entries();
        entries.retain(|entry| entry.kind == kind);
        entries
    }

    /// How many requests of each kind since the start or the last [`AccessLog::clear`].
    #[must_use]
    pub fn counts(&self) -> Counts {
        let mut counts = Counts::default();
        for (count, counter) in counts.0.iter_mut().zip(&self.counts) {
            *count = counter.load(Ordering::Relaxed);
        }
        counts
    }

    /// The most requests that were being answered at one time.
    #[must_use]
    pub fn most_in_flight(&self) -> usize {
        self.most_in_flight.load(Ordering::Relaxed)
    }

    /// Forgets entries, counts and the highest concurrency; numbers go on.
    pub fn clear(&self) {
        self.entries
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clear();
        for counter in &self.counts {
            counter.store(0, Ordering::Relaxed);
        }
        self.most_in_flight
            .store(self.in_flight.load(Ordering::Relaxed), Ordering::Relaxed);
    }
}

/// A request that is being answered.
pub(crate) struct InFlight<'a> {
    log: &'a AccessLog,
    pub(crate) number: u64,
}

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        self.log.in_flight.fetch_sub(1, Ordering::Relaxed);
    }
}
