//! A registry without errors: what is there, what asking tells, and what deleting does.

use std::collections::{BTreeMap, BTreeSet};

use lagan_model::{
    Artifact, Capabilities, Capability, Descriptor, Digest, Fact, Immutable, Labels, NoUndo, Recorded,
    RepositorySnapshot, Tag, Time, Times,
};
use lagan_policy::{
    Action, Context, Decisions, Depth, Needs, RepositoryPlan, RepositoryPolicies, Step, decide,
};

pub(crate) fn now() -> Time {
    "2026-11-20T12:00:00Z".parse().unwrap()
}

/// Until when what was put back stays.
pub(crate) fn held_until() -> Time {
    "2026-11-23T12:00:00Z".parse().unwrap()
}

#[derive(Debug, Clone)]
pub(crate) struct World {
    pub(crate) tags: BTreeMap<Tag, Digest>,
    pub(crate) manifests: BTreeMap<Digest, Artifact>,
    pub(crate) created: BTreeMap<Digest, Fact<Time>>,
    /// By configuration; what is not here has none.
    pub(crate) labels: BTreeMap<Digest, Fact<Labels>>,
    pub(crate) registry_labels: BTreeMap<Digest, Labels>,
    pub(crate) recorded: Recorded,
    pub(crate) tag_times: BTreeMap<Tag, Times>,
    pub(crate) times: BTreeMap<Digest, Times>,
    pub(crate) lists_untagged: bool,
    pub(crate) immutable: BTreeMap<Tag, Immutable>,
    /// What was put back, and stays.
    pub(crate) held: BTreeSet<Digest>,
    pub(crate) no_undo: Option<NoUndo>,
    pub(crate) remembered: BTreeSet<Digest>,
    pub(crate) remembered_indexes: BTreeSet<Digest>,
    pub(crate) referrers_api: bool,
    pub(crate) delete_tag: bool,
}

/// What was asked for, by kind.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Asked {
    pub(crate) tags: usize,
    pub(crate) manifests: usize,
    pub(crate) created: usize,
    pub(crate) labels: usize,
    pub(crate) times: usize,
    pub(crate) referrers: usize,
}

impl World {
    pub(crate) fn capabilities(&self) -> Capabilities {
        let offered = |offered| {
            if offered {
                Capability::Offered
            } else {
                Capability::NotOffered
            }
        };
        Capabilities {
            referrers: offered(self.referrers_api),
            delete_tag: offered(self.delete_tag),
            ..Capabilities::default()
        }
    }

    pub(crate) fn context(&self, depth: Depth) -> Context {
        Context {
            now: now(),
            capabilities: self.capabilities(),
            depth,
        }
    }

    pub(crate) fn listed(&self) -> RepositorySnapshot {
        // A registry lists in no order.
        let mut snapshot =
            RepositorySnapshot::listed("team/app".parse().unwrap(), self.tags.keys().rev().cloned());
        self.tell(&mut snapshot);
        snapshot
    }

    /// What comes with a listing.
    pub(crate) fn tell(&self, snapshot: &mut RepositorySnapshot) {
        snapshot.set_recorded(self.recorded);
        for (tag, times) in &self.tag_times {
            snapshot.insert_tag_times(tag.clone(), *times);
        }
        for (digest, times) in &self.times {
            snapshot.insert_artifact_times(digest.clone(), *times);
        }
        for (digest, labels) in &self.registry_labels {
            snapshot.insert_registry_labels(digest.clone(), labels.clone());
        }
        if self.lists_untagged {
            snapshot.suspect_untagged(self.untagged());
        }
        for (tag, why) in &self.immutable {
            snapshot.insert_immutable(tag.clone(), *why);
        }
        for digest in &self.held {
            snapshot.hold(digest.clone(), held_until());
        }
        if let Some(why) = self.no_undo {
            snapshot.set_no_undo(why);
        }
        for digest in &self.remembered {
            snapshot.remember(digest.clone());
        }
        for digest in &self.remembered_indexes {
            snapshot.remember_index(digest.clone());
        }
    }

    pub(crate) fn untagged(&self) -> BTreeSet<Digest> {
        let tagged: BTreeSet<&Digest> = self.tags.values().collect();
        let untagged = self.manifests.keys().filter(|digest| !tagged.contains(digest));
        untagged.cloned().collect()
    }

    /// Answers exactly what is asked, and checks that it is asked for once.
    pub(crate) fn answer(&self, snapshot: &mut RepositorySnapshot, needs: &Needs, asked: &mut Asked) {
        assert!(!needs.is_empty(), "a step that needs nothing decides");
        if needs.tags {
            let listed: Vec<Tag> = snapshot.tags().iter().map(|listed| listed.tag.clone()).collect();
            assert!(
                snapshot.tags().iter().any(|listed| listed.digest.is_none()),
                "tags were asked for twice"
            );
            for (position, tag) in listed.iter().enumerate() {
                snapshot.resolve(position, self.manifests[&self.tags[tag]].clone());
                asked.tags += 1;
            }
        }
        for digest in &needs.manifests {
            let known = snapshot.complete().unwrap();
            assert!(
                known.artifact(digest).is_none() && !known.is_absent(digest),
                "a manifest twice: {digest}"
            );
            match self.manifests.get(digest) {
                Some(artifact) => snapshot.insert_artifact(artifact.clone()),
                None => snapshot.insert_absent(digest.clone()),
            }
            asked.manifests += 1;
        }
        if needs.untagged {
            assert!(
                !snapshot.complete().unwrap().is_untagged_confirmed(),
                "confirmed twice"
            );
            snapshot.list_untagged(self.untagged());
        }
        assert!(needs.contents.is_empty(), "all sizes are known here");
        for config in &needs.config_created {
            assert_eq!(
                snapshot.complete().unwrap().config_created(config),
                None,
                "a configuration twice"
            );
            snapshot.insert_config_created(config.clone(), self.created[config]);
            asked.created += 1;
        }
        for config in &needs.config_labels {
            let known = snapshot.complete().unwrap().config_labels(config);
            assert!(known.is_none(), "labels twice");
            let none = || Fact::Known(Labels::new());
            let labels = self.labels.get(config).cloned().unwrap_or_else(none);
            snapshot.insert_config_labels(config.clone(), labels);
            asked.labels += 1;
        }
        for digest in &needs.times {
            assert_eq!(
                snapshot.complete().unwrap().artifact_times(digest),
                None,
                "times twice"
            );
            let times = self.times.get(digest).copied().unwrap_or_default();
            snapshot.insert_artifact_times(digest.clone(), times);
            asked.times += 1;
        }
        for subject in &needs.referrers {
            assert!(self.referrers_api, "nobody asks an API that is not there");
            assert!(
                snapshot.complete().unwrap().referrers(subject).is_none(),
                "referrers twice: {subject}"
            );
            let referrers = self
                .manifests
                .values()
                .filter(|one| one.subject.as_ref() == Some(subject));
            let descriptor = |one: &Artifact| Descriptor {
                media_type: one.media_type.clone(),
                digest: one.digest.clone(),
                size: one.size.unwrap(),
                artifact_type: one.kind().map(str::to_owned),
                platform: None,
            };
            snapshot.insert_referrers(subject.clone(), referrers.map(descriptor).collect());
            asked.referrers += 1;
        }
    }

    /// Asks until it is decided.
    pub(crate) fn decide(
        &self,
        policies: &RepositoryPolicies<'_>,
        depth: Depth,
    ) -> (RepositorySnapshot, Decisions, Asked) {
        let mut snapshot = self.listed();
        let mut asked = Asked::default();
        for _ in 0..100 {
            let step = decide(policies, snapshot.complete().unwrap(), &self.context(depth));
            match step {
                Step::Decided(decisions) => return (snapshot, *decisions, asked),
                Step::Missing(needs) => self.answer(&mut snapshot, &needs, &mut asked),
            }
        }
        panic!("never decided");
    }

    /// The world as far as a snapshot knows it.
    pub(crate) fn as_seen(&self, snapshot: &RepositorySnapshot) -> Self {
        let known = snapshot.complete().unwrap();
        let mut manifests: BTreeMap<Digest, Artifact> = known
            .artifacts()
            .map(|artifact| (artifact.digest.clone(), artifact.clone()))
            .collect();
        for (_, referrers) in known.all_referrers() {
            for referrer in referrers {
                let whole = self.manifests[&referrer.digest].clone();
                manifests.entry(referrer.digest.clone()).or_insert(whole);
            }
        }
        Self {
            manifests,
            ..self.clone()
        }
    }

    pub(crate) fn plan(&self, policies: &RepositoryPolicies<'_>, depth: Depth) -> RepositoryPlan {
        let (snapshot, decisions, _) = self.decide(policies, depth);
        let names = policies
            .policies()
            .iter()
            .map(|(policy, _)| policy.name.clone())
            .collect();
        RepositoryPlan::new(names, snapshot.complete().unwrap(), &decisions, depth)
    }

    /// Does what a plan says, as a registry does it: DELETE by digest removes every tag on it.
    pub(crate) fn apply(&mut self, plan: &RepositoryPlan) {
        for action in &plan.actions {
            if let Action::Untag { tag, digest, .. } = action {
                assert_eq!(self.tags.remove(tag).as_ref(), Some(digest));
            }
            for digest in digests(action) {
                assert!(
                    self.manifests.remove(&digest).is_some(),
                    "deleted, and was not there: {digest}"
                );
                self.tags.retain(|_, on| *on != digest);
            }
        }
    }
}

/// The manifests that an action deletes, in its order.
pub(crate) fn digests(action: &Action) -> Vec<Digest> {
    match action {
        Action::Untag { .. } => Vec::new(),
        Action::Delete {
            digest,
            children,
            attachments,
            ..
        } => {
            let dependents = children
                .iter()
                .chain(attachments)
                .map(|dependent| dependent.digest.clone());
            std::iter::once(digest.clone()).chain(dependents).collect()
        }
    }
}

/// The tags that an action removes.
pub(crate) fn tags(action: &Action) -> BTreeSet<Tag> {
    match action {
        Action::Untag { tag, .. } => BTreeSet::from([tag.clone()]),
        Action::Delete {
            tags,
            children,
            attachments,
            ..
        } => {
            let dependents = children
                .iter()
                .chain(attachments)
                .flat_map(|dependent| &dependent.tags);
            tags.iter().chain(dependents).cloned().collect()
        }
    }
}
