//! What the clocks say of an artifact, and what has to be read before they can say it.

use std::cell::RefCell;
use std::collections::HashMap;

use lagan_model::{
    Artifact, ArtifactGraph, CompleteSnapshot, Digest, Fact, NodeId, Tag, Time, Times, Unknown,
};

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
    /// Whether anything here was ever pulled, as far as is known: if not, nobody records it.
    pulls: bool,
    /// What was found of indexes, by depth: those that list each other's children would be walked once a way to
    /// them.
    found: RefCell<HashMap<(Digest, usize), Answer>>,
}

impl<'a> Clocks<'a> {
    pub(crate) fn new(snapshot: CompleteSnapshot<'a>, now: Time) -> Self {
        let pulled = |times: Times| times.pulled.plausible(now).known().is_some();
        Self {
            snapshot,
            now,
            pulls: snapshot.all_times().any(pulled),
            found: RefCell::default(),
        }
    }

    /// What a clock says of a tag on an artifact, or of an artifact without one; `None` if that takes facts that were
    /// added to `needs`.
    pub(crate) fn read(
        &self,
        clock: Clock,
        tag: Option<&Tag>,
        graph: &ArtifactGraph,
        node: NodeId,
        needs: &mut Needs,
    ) -> Answer {
        let digest = graph.digest(node);
        let of_tag = tag
            .and_then(|tag| self.snapshot.tag_times(tag))
            .unwrap_or_default();
        if !is_recorded(clock, self.snapshot) {
            return Some(Fact::Unknown(Unknown::NotRecorded));
        }
        match clock {
            Clock::Created => {
                let artifact = graph.artifact(self.snapshot, node);
                self.created(digest, artifact, MAX_DEPTH, needs)
            }
            Clock::Pushed => Some(self.pushed(of_tag, self.times(digest, needs)?)),
            Clock::Pulled if !self.pulls => Some(Fact::Unknown(Unknown::NotRecorded)),
            Clock::Pulled => {
                let own = self.times(digest, needs);
                let relatives = graph.parents(node).iter().chain(graph.children(node));
                let mut pulls = vec![of_tag.pulled];
                // All are asked for in one round.
                let mut missing = false;
                for relative in relatives {
                    match self.times(graph.digest(*relative), needs) {
                        Some(times) => pulls.push(times.pulled),
                        None => missing = true,
                    }
                }
                let own = own.filter(|_| !missing)?;
                pulls.push(own.pulled);
                // What was never pulled was never pulled, as far as this place tells.
                pulls.retain(|fact| !is_zero(*fact, self.now));
                pulls.push(self.pushed(of_tag, own));
                Some(latest(pulls, self.now))
            }
            Clock::Observed => Some(match tag {
                Some(_) => of_tag.observed.plausible(self.now),
                None => self.times(digest, needs)?.observed.plausible(self.now),
            }),
        }
    }

    fn pushed(&self, tag: Times, artifact: Times) -> Fact<Time> {
        latest([tag.pushed, artifact.pushed], self.now)
    }

    fn times(&self, digest: &Digest, needs: &mut Needs) -> Option<Times> {
        let times = self.snapshot.artifact_times(digest);
        if times.is_none() && !self.snapshot.is_absent(digest) {
            needs.times.insert(digest.clone());
            return None;
        }
        Some(times.unwrap_or_default())
    }

    fn created(
        &self,
        digest: &Digest,
        artifact: Option<&Artifact>,
        depth: usize,
        needs: &mut Needs,
    ) -> Answer {
        if artifact.is_some_and(|artifact| !artifact.is_index()) {
            return self.find_created(digest, artifact, depth, needs);
        }
        let key = (digest.clone(), depth);
        let known = self.found.borrow().get(&key).copied();
        known.unwrap_or_else(|| {
            let created = self.find_created(digest, artifact, depth, needs);
            self.found.borrow_mut().insert(key, created);
            created
        })
    }

    /// An index: its annotation, else its newest child. Others: the configuration, else the annotation.
    fn find_created(
        &self,
        digest: &Digest,
        artifact: Option<&Artifact>,
        depth: usize,
        needs: &mut Needs,
    ) -> Answer {
        let Some(artifact) = artifact else {
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
                let artifact = self.snapshot.artifact(&child.digest);
                match self.created(&child.digest, artifact, depth - 1, needs) {
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
        let told = self.snapshot.image(digest).map(|image| image.created);
        let created = match (told, &artifact.image_config) {
            (Some(created), _) => created,
            (None, None) => return Some(annotation),
            (None, Some(config)) => match self.snapshot.config_created(&config.digest) {
                Some(created) => created,
                None => {
                    needs.config_created.insert(config.digest.clone());
                    return None;
                }
            },
        };
        match (created.plausible(self.now), annotation) {
            (Fact::Known(time), _) | (Fact::Unknown(_), Fact::Known(time)) => Some(Fact::Known(time)),
            (unknown, Fact::Unknown(_)) => Some(unknown),
        }
    }
}

/// Whether a clock is recorded at all where a snapshot comes from. What an image says of itself always is.
pub(crate) fn is_recorded(clock: Clock, snapshot: CompleteSnapshot<'_>) -> bool {
    let recorded = snapshot.recorded();
    match clock {
        Clock::Created => true,
        Clock::Pushed => recorded.pushed,
        Clock::Pulled => recorded.pulled,
        Clock::Observed => recorded.observed,
    }
}

fn is_zero(fact: Fact<Time>, now: Time) -> bool {
    fact.plausible(now) == Fact::Unknown(Unknown::Zero)
}

/// The latest of several times. Where one that should be recorded is not known, it could be later than all others.
fn latest(times: impl IntoIterator<Item = Fact<Time>>, now: Time) -> Fact<Time> {
    let mut latest = Fact::Unknown(Unknown::NotRecorded);
    for fact in times {
        match fact.plausible(now) {
            Fact::Unknown(Unknown::NotRecorded) => {}
            Fact::Unknown(why) => return Fact::Unknown(why),
            Fact::Known(time) => {
                if latest.known().is_none_or(|known| time > known) {
                    latest = Fact::Known(time);
                }
            }
        }
    }
    latest
}
