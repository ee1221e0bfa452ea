//! Pulls: who reads a manifest over `/v2` uses the image, unless Harbor takes it for one of its own.

use std::sync::atomic::Ordering;

use http::header::{IF_NONE_MATCH, USER_AGENT};
use http::{HeaderMap, StatusCode};

use super::state::{State, lock};
use crate::digest::Digest;
use crate::moment::Moment;

/// The name by which Harbor knows itself and other Harbors; their reads do not count.
const OWN_AGENT: &str = "harbor-registry-client";

/// A pull that is still to be written down.
pub(crate) struct Pull {
    due: u64,
    when: Moment,
    repository: String,
    digest: Digest,
    tag: Option<String>,
}

impl State {
    /// Notes a manifest that was read with GET, under a tag or by digest alone.
    pub(crate) fn pulled(
        &self,
        number: u64,
        headers: &HeaderMap,
        repository: &str,
        digest: Digest,
        tag: Option<&str>,
        status: StatusCode,
    ) {
        let agent = headers.get(USER_AGENT).and_then(|value| value.to_str().ok());
        let unchanged = headers.contains_key(IF_NONE_MATCH) && status == StatusCode::NOT_MODIFIED;
        if !self.enabled || unchanged || agent == Some(OWN_AGENT) {
            return;
        }
        lock(&self.pulls).push(Pull {
            due: number + self.options.pulls_seen_after,
            when: self.now(),
            repository: repository.to_owned(),
            digest,
            tag: tag.map(str::to_owned),
        });
        if self.options.pulls_seen_after == 0 {
            self.write_down_pulls(number);
        }
    }

    /// Writes down the pulls that are due by now.
    pub(crate) fn write_down_pulls(&self, number: u64) {
        if !self.enabled {
            return;
        }
        let due: Vec<Pull> = {
            let mut pulls = lock(&self.pulls);
            let (due, later) = pulls.drain(..).partition(|pull| pull.due <= number);
            *pulls = later;
            due
        };
        if due.is_empty() {
            return;
        }
        let mut tables = self.tables();
        for pull in due {
            let Some(repository) = tables.repository_mut(&pull.repository) else {
                continue;
            };
            repository.pulls += 1;
            let id = repository.id;
            let Some(artifact) = tables.artifact_of(id, &pull.digest).map(|row| row.id) else {
                continue;
            };
            if let Some(row) = tables.artifacts.get_mut(&artifact) {
                row.pulled = row.pulled.max(Some(pull.when));
                // A pull by digest says nothing of tags.
                for tag in &mut row.tags {
                    if pull.tag.as_deref() == Some(&*tag.name) {
                        tag.pulled = tag.pulled.max(Some(pull.when));
                    }
                }
            }
        }
    }

    /// Whether nothing may be written now.
    pub(crate) fn is_read_only(&self) -> bool {
        self.enabled && self.read_only.load(Ordering::Relaxed)
    }
}
