//! How a run gets on: a bar on a terminal, a log line now and then elsewhere.

use std::io::{self, IsTerminal as _};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};
use lagan_model::memory::LedgerError;
use lagan_model::{Observer, RepositoryName};

use crate::state;

const BETWEEN_LINES: Duration = Duration::from_secs(10);

pub(crate) struct Progress {
    bar: Option<ProgressBar>,
    found: AtomicU64,
    done: AtomicU64,
    tags: AtomicU64,
    last_line: Mutex<Instant>,
}

impl Progress {
    pub(crate) fn new() -> Self {
        let bar = io::stderr().is_terminal().then(|| {
            let style =
                ProgressStyle::with_template("{bar:30} {pos}/{len} repositories, {msg} tags, {eta} left");
            let bar = ProgressBar::new(0);
            bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
            bar.enable_steady_tick(Duration::from_millis(200));
            bar
        });
        Self {
            bar,
            found: AtomicU64::new(0),
            done: AtomicU64::new(0),
            tags: AtomicU64::new(0),
            last_line: Mutex::new(Instant::now()),
        }
    }

    /// Counts deletions from now on, in so many repositories.
    pub(crate) fn deleting(&self, repositories: u64) {
        self.count_manifests(repositories);
    }

    /// Counts from now on what is put back.
    pub(crate) fn undoing(&self) -> Undoing<'_> {
        Undoing(self)
    }

    fn count_manifests(&self, repositories: u64) {
        self.found.store(repositories, Ordering::Relaxed);
        if let Some(bar) = &self.bar {
            let style = ProgressStyle::with_template(
                "{bar:30} {pos}/{len} repositories, {msg} manifests, {eta} left",
            );
            bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
            bar.set_length(repositories);
        }
    }

    /// One more repository is done, in which so many manifests were looked at.
    pub(crate) fn deleted(&self, manifests: u64) {
        self.add_manifests(manifests, 1);
    }

    fn add_manifests(&self, manifests: u64, repositories: u64) {
        let manifests = self.tags.fetch_add(manifests, Ordering::Relaxed) + manifests;
        let done = self.done.fetch_add(repositories, Ordering::Relaxed) + repositories;
        if let Some(bar) = &self.bar {
            bar.set_message(lagan_report::number::grouped(manifests));
            bar.set_position(done);
        } else if self.is_time_for_a_line() {
            let found = self.found.load(Ordering::Relaxed);
            tracing::info!("{done} of {found} repositories done, {manifests} manifests");
        }
    }

    fn is_time_for_a_line(&self) -> bool {
        let Ok(mut last_line) = self.last_line.lock() else {
            return false;
        };
        let due = last_line.elapsed() >= BETWEEN_LINES;
        if due {
            *last_line = Instant::now();
        }
        due
    }

    /// Takes the bar away, so that a report can follow.
    pub(crate) fn finish(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

/// How an undo gets on.
pub(crate) struct Undoing<'a>(&'a Progress);

impl Observer for Undoing<'_> {
    fn repositories_found(&self, count: usize) {
        self.0.count_manifests(count as u64);
    }

    fn manifest_undone(&self, _repository: &RepositoryName) {
        self.0.add_manifests(1, 0);
    }

    fn repository_done(&self, _repository: &RepositoryName, _complete: bool) {
        self.0.add_manifests(0, 1);
    }
}

impl Observer for Progress {
    fn repositories_found(&self, count: usize) {
        self.found.store(count as u64, Ordering::Relaxed);
        if let Some(bar) = &self.bar {
            bar.set_length(count as u64);
        }
    }

    fn tags_listed(&self, _repository: &RepositoryName, count: usize) {
        let tags = self.tags.fetch_add(count as u64, Ordering::Relaxed) + count as u64;
        if let Some(bar) = &self.bar {
            bar.set_message(lagan_report::number::grouped(tags));
        }
    }

    fn ledger_failed(&self, _repository: &RepositoryName, error: &LedgerError) {
        let cause = &error.source;
        let notice = format!("failed to {error}: {cause}. When its tags were first seen is not recorded");
        match &self.bar {
            Some(bar) => bar.suspend(|| state::say(&notice)),
            None => state::say(&notice),
        }
    }

    fn repository_done(&self, _repository: &RepositoryName, _complete: bool) {
        let done = self.done.fetch_add(1, Ordering::Relaxed) + 1;
        if let Some(bar) = &self.bar {
            bar.set_position(done);
            return;
        }
        if self.is_time_for_a_line() {
            let (found, tags) = (
                self.found.load(Ordering::Relaxed),
                self.tags.load(Ordering::Relaxed),
            );
            tracing::info!("{done} of {found} repositories read, {tags} tags seen");
        }
    }
}
