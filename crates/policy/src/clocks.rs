//! What the clocks say of an artifact, and what has to be read before they can say it.

use std::cell::RefCell;
use std::collections::HashMap;

use lagan_model::{CompleteSnapshot, Digest, Fact, Time, Unknown};

use crate::document::Clock;
use crate::needs::Needs;

/// How deep indexes are followed for a time: an index of indexes is as deep as anybody builds.
const MAX_DEPTH: usize = 4;

/// What a clock says; `None` where facts are missing.
type Answer = Option<Fact<Time>>;

/// Reads clocks, and notes what is missing.
pub(crate) struct Clocks<'a> {
    snapshot: CompleteSnapshot<'a>,
    now: Time,
    /// What was found, by depth: indexes that list each other's children would be walked once a way to them.
    found: RefCell<HashMap<(Digest, usize), Answer>>,
}

impl<'a> Clocks<'a> {
    pub(crate) fn new(snapshot: CompleteSnapshot<'a>, now: Time) -> Self {
        Self {
            snapshot,
            now,
            found: RefCell::default(),
        }
    }

    /// What a clock says of an artifact; `None` if that takes facts that were added to `needs`.
    pub(crate) fn read(&self, clock: Clock, digest: &Digest, needs: &mut Needs) -> Answer {
        match clock {
            Clock::Created => self.created(digest, MAX_DEPTH, needs),
            Clock::Pushed | Clock::Pulled | Clock::Observed => Some(Fact::Unknown(Unknown::NotRecorded)),
        }
    }

    fn created(&self, digest: &Digest, depth: usize, needs: &mut Needs) -> Answer {
        let key = (digest.clone(), depth);
        let known = self.found.borrow().get(&key).copied();
        known.unwrap_or_else(|| {
            let created = self.find_created(digest, depth, needs);
            self.found.borrow_mut().insert(key, created);
            created
        })
    }

    /// An index: its annotation, else its newest child. Others: the configuration, else the annotation.
    fn find_created(&self, digest: &Digest, depth: usize, needs: &mut Needs) -> Answer {
        let Some(artifact) = self.snapshot.artifact(digest) else {
            if depth == 0 || self.snapshot.is_absent(digest) {
                return Some(Fact::Unknown(Unknown::Missing));
            }
            needs.manifests.insert(digest.clone());
            return None;
        };
        if depth < MAX_DEPTH && artifact.subject.is_some() {
            // A child that is attached to another one, as provenance is.
            return Some(Fact::Unknown(Unknown::Missing));
        }
        let annotation = artifact
            .created_annotation
            .map_or(Fact::Unknown(Unknown::Missing), |fact| fact.plausible(self.now));
        if artifact.is_index() {
            if depth == 0 || annotation.known().is_some() {
                return Some(annotation);
            }
            let mut newest = annotation;
            let mut missing = false;
            for child in &artifact.children {
                match self.created(&child.digest, depth - 1, needs) {
                    // All children are asked for in one round.
                    None => missing = true,
                    Some(Fact::Known(time)) if newest.known().is_none_or(|known| time > known) => {
                        newest = Fact::Known(time);
                    }
                    Some(Fact::Unknown(why)) if newest == Fact::Unknown(Unknown::Missing) => {
                        newest = Fact::Unknown(why);
                    }
                    Some(_) => {}
                }
            }
            return (!missing).then_some(newest);
        }
        let Some(config) = &artifact.image_config else {
            return Some(annotation);
        };
        let Some(created) = self.snapshot.config_created(&config.digest) else {
            needs.config_created.insert(config.digest.clone());
            return None;
        };
        match (created.plausible(self.now), annotation) {
            (Fact::Known(time), _) | (Fact::Unknown(_), Fact::Known(time)) => Some(Fact::Known(time)),
            (unknown, Fact::Unknown(_)) => Some(unknown),
        }
    }
}
