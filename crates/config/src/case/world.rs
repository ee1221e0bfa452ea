//! A repository as a case describes it, which answers as a registry would.

use std::collections::BTreeMap;

use lagan_model::{
    Artifact, Capabilities, Capability, Descriptor, Digest, Fact, Labels, Recorded, RepositoryName,
    RepositorySnapshot, Tag, Time, Times,
};
use lagan_policy::{Context, Decisions, Depth, Needs, RepositoryPolicies, Step, decide};

/// Rounds of questions; each goes one level deeper into indexes and attachments.
const MAX_ROUNDS: usize = 64;

/// What is there.
#[derive(Debug, Clone, Default)]
pub(crate) struct World {
    pub(crate) tags: BTreeMap<Tag, Digest>,
    /// Everything that a manifest can be read of, each tag's artifact among them.
    pub(crate) artifacts: BTreeMap<Digest, Artifact>,
    /// By the digest of the configuration.
    pub(crate) created: BTreeMap<Digest, Fact<Time>>,
    /// When artifacts were pushed, pulled and first seen.
    pub(crate) times: BTreeMap<Digest, Times>,
    /// The clocks that the case speaks of: the others are recorded nowhere.
    pub(crate) recorded: Recorded,
    /// What the case calls the artifacts.
    pub(crate) names: BTreeMap<Digest, String>,
    pub(crate) capabilities: Capabilities,
}

impl World {
    /// What is decided here; `None` where that does not come to an end.
    pub(crate) fn decide(
        &self,
        policies: &RepositoryPolicies<'_>,
        repository: &RepositoryName,
        now: Time,
    ) -> Option<(RepositorySnapshot, Box<Decisions>)> {
        let context = Context {
            now,
            capabilities: self.capabilities,
            depth: Depth::Enough,
        };
        let mut snapshot = RepositorySnapshot::listed(repository.clone(), self.tags.keys().cloned());
        snapshot.set_recorded(self.recorded);
        // Registries that record times tell them with their listing.
        for (digest, times) in &self.times {
            snapshot.insert_artifact_times(digest.clone(), *times);
        }
        for (tag, digest) in &self.tags {
            let observed = self.times.get(digest).copied().unwrap_or_default().observed;
            let times = Times {
                observed,
                ..Times::default()
            };
            snapshot.insert_tag_times(tag.clone(), times);
        }
        for _ in 0..MAX_ROUNDS {
            let step = decide(policies, snapshot.complete().ok()?, &context);
            match step {
                Step::Decided(decisions) => return Some((snapshot, decisions)),
                Step::Missing(needs) => self.answer(&mut snapshot, needs),
            }
        }
        None
    }

    fn answer(&self, snapshot: &mut RepositorySnapshot, needs: Needs) {
        let Needs {
            tags,
            manifests,
            config_created,
            config_labels,
            times,
            // Annotations are always kept here.
            labels: _,
            referrers,
            // What a case lists without a tag has none, and the size of everything is known.
            untagged: _,
            contents: _,
        } = needs;
        if tags {
            // A snapshot lists tags in the order of their bytes, as this does.
            for (position, digest) in self.tags.values().enumerate() {
                if let Some(artifact) = self.artifacts.get(digest) {
                    snapshot.resolve(position, artifact.clone());
                }
            }
        }
        for digest in manifests {
            match self.artifacts.get(&digest) {
                Some(artifact) => snapshot.insert_artifact(artifact.clone()),
                None => snapshot.insert_absent(digest),
            }
        }
        for config in config_created {
            let unknown = Fact::Unknown(lagan_model::Unknown::Missing);
            let created = self.created.get(&config).copied().unwrap_or(unknown);
            snapshot.insert_config_created(config, created);
        }
        for config in config_labels {
            // Labels of a case are annotations.
            snapshot.insert_config_labels(config, Fact::Known(Labels::new()));
        }
        for digest in times {
            let times = self.times.get(&digest).copied().unwrap_or_default();
            snapshot.insert_artifact_times(digest, times);
        }
        for subject in referrers {
            let attached = self.artifacts.values().filter(|artifact| {
                artifact.subject.as_ref() == Some(&subject)
                    && self.capabilities.referrers == Capability::Offered
            });
            let attached = attached.map(|artifact| Descriptor {
                media_type: artifact.media_type.clone(),
                digest: artifact.digest.clone(),
                size: artifact.size.unwrap_or_default(),
                artifact_type: artifact.kind().map(str::to_owned),
                platform: None,
            });
            snapshot.insert_referrers(subject.clone(), attached.collect());
        }
    }
}
