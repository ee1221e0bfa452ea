//! Collecting the facts about one repository: as many as the decision asks for, no more.

use std::collections::BTreeSet;

use futures_util::{StreamExt, TryStreamExt, stream};
use lagan_model::memory::ConfigFacts;
use lagan_model::{
    Artifact, Blob, Capabilities, Capability, Descriptor, Digest, Failure, Incomplete, Manifest,
    ManifestTypes, Observer, Reference, Referrers, RegistryError, RegistryProbe, RepositoryName,
    RepositorySnapshot, Seen, Tag, Time, Times, Unknown,
};
use lagan_policy::reason::only_shares_digest;
use lagan_policy::{Context, Decisions, Depth, Needs, RepositoryPolicies, Step, Verdict, decide};

use crate::config_blob::{self, MAX_CONFIG_BYTES};
use crate::health::Health;
use crate::inspect::Inspection;
use crate::memory::{Memory, Recalled};

/// How many answers of one repository are waited for at the same time. The registry's adapter has the limit that
/// counts; this one bounds what is held in memory.
pub(crate) const ANSWERS_AT_ONCE: usize = 128;

/// Rounds of facts after which something must be wrong: each round needs an answer of the one before, and the
/// longest chain is as long as indexes and referrers are nested.
const MAX_ROUNDS: usize = 64;

/// What came of a repository.
pub(crate) enum Collected {
    /// Everything that was asked for was answered.
    Decided(Box<Inspection>),
    /// Nothing can be decided; so many tags were seen.
    Incomplete(Incomplete, usize),
    /// The registry knows no repository of this name.
    NotFound,
}

pub(crate) struct Collector<'a, R, O> {
    pub registry: &'a R,
    pub observer: &'a O,
    pub memory: Memory<'a>,
    pub health: &'a Health,
    pub now: Time,
    pub depth: Depth,
    /// Whether the registry may be asked, by deletions of what does not exist, what it can delete.
    pub probe: bool,
}

impl<R: RegistryProbe, O: Observer> Collector<'_, R, O> {
    /// Looks at a repository until it is decided, or something cannot be read.
    pub(crate) async fn collect(
        &self,
        policies: &RepositoryPolicies<'_>,
        repository: &RepositoryName,
    ) -> Collected {
        if self.health.is_gone() {
            let why = "not looked at: the registry had stopped answering".to_owned();
            return Collected::Incomplete(Incomplete { why }, 0);
        }
        let mut snapshot = match self.registry.survey(repository).await {
            Ok(snapshot) => snapshot,
            Err(error) if error.failure() == Failure::NotFound => {
                self.health.answered();
                return Collected::NotFound;
            }
            Err(error) => return self.incomplete(&error, 0),
        };
        self.observer.tags_listed(repository, snapshot.tags().len());
        self.memory.hold(&mut snapshot);
        let recalled = self.memory.recall(&mut snapshot).unwrap_or_else(|error| {
            self.observer.ledger_failed(repository, &error);
            Recalled::Nothing
        });
        // Some registries tell what tags are on when they list them.
        self.memory.observe(&mut snapshot, &recalled, self.now);
        let mut may_probe = self.probe;
        for _ in 0..MAX_ROUNDS {
            let context = Context {
                now: self.now,
                capabilities: Capabilities {
                    // Which kinds other repositories showed until now is chance, and nothing is decided by it.
                    media_types: ManifestTypes::default(),
                    ..self.registry.capabilities()
                },
                depth: self.depth,
            };
            let step = match snapshot.complete() {
                Ok(complete) => decide(policies, complete, &context),
                Err(why) => return Collected::Incomplete(why.clone(), snapshot.tags().len()),
            };
            match step {
                Step::Decided(decisions) => {
                    if may_probe
                        && context.capabilities.delete_tag == Capability::Unknown
                        && turns_on_it(&decisions)
                    {
                        may_probe = false;
                        let tags: Vec<Tag> =
                            snapshot.tags().iter().map(|listed| listed.tag.clone()).collect();
                        self.registry.probe_deletion(repository, &tags).await;
                        continue;
                    }
                    self.health.answered();
                    if let Err(error) = self.memory.record(&snapshot, &recalled, self.now) {
                        self.observer.ledger_failed(repository, &error);
                    }
                    let seen = Seen {
                        capabilities: context.capabilities,
                        snapshot,
                    };
                    return Collected::Decided(Box::new(Inspection { seen, decisions }));
                }
                Step::Missing(needs) => {
                    if let Err(error) = self.fetch(&mut snapshot, needs, &recalled).await {
                        return self.incomplete(&error, snapshot.tags().len());
                    }
                }
            }
        }
        let why = format!("still not decided after {MAX_ROUNDS} rounds of questions to the registry");
        Collected::Incomplete(Incomplete { why }, snapshot.tags().len())
    }

    fn incomplete(&self, error: &RegistryError, tags: usize) -> Collected {
        self.health.failed(error);
        Collected::Incomplete(
            Incomplete {
                why: error.to_string(),
            },
            tags,
        )
    }

    async fn fetch(
        &self,
        snapshot: &mut RepositorySnapshot,
        needs: Needs,
        recalled: &Recalled,
    ) -> Result<(), RegistryError> {
        if needs.tags {
            self.resolve_tags(snapshot, needs.labels, recalled).await?;
            self.memory.observe(snapshot, recalled, self.now);
        }
        if needs.untagged {
            self.confirm_untagged(snapshot).await?;
        }
        let referrers = self.fetch_artifacts(snapshot, &needs, recalled).await?;
        self.fetch_contents(snapshot, needs.contents).await?;
        let configs = needs.config_created.union(&needs.config_labels);
        self.fetch_configs(snapshot, configs.cloned(), needs.labels)
            .await?;
        self.fetch_referrers(snapshot, referrers).await
    }

    /// One request a tag: the manifest tells digest, children, subject and sizes at once. What is known already is only
    /// asked for by a HEAD.
    async fn resolve_tags(
        &self,
        snapshot: &mut RepositorySnapshot,
        labels: bool,
        recalled: &Recalled,
    ) -> Result<(), RegistryError> {
        let repository = snapshot.repository().clone();
        let unresolved: Vec<(usize, Tag)> = snapshot
            .tags()
            .iter()
            .enumerate()
            .filter(|(_, listed)| listed.digest.is_none())
            .map(|(position, listed)| (position, listed.tag.clone()))
            .collect();
        let mut vanished = Vec::new();
        {
            let repository = &repository;
            let mut answers = stream::iter(unresolved)
                .map(|(position, tag)| async move {
                    let answer = self
                        .memory
                        .manifest_of_tag(self.registry, repository, &tag, recalled);
                    let answer = answer.await;
                    (position, tag, answer)
                })
                .buffer_unordered(ANSWERS_AT_ONCE);
            while let Some((position, tag, answer)) = answers.next().await {
                match answer {
                    Ok(manifest) => snapshot.resolve(position, facts(&manifest, labels)),
                    Err(error) if error.failure() == Failure::NotFound => vanished.push((tag, error)),
                    Err(error) => return Err(error),
                }
            }
        }
        if vanished.is_empty() {
            return Ok(());
        }
        // A tag may be deleted while its repository is read; then a new listing lacks it. One that is still
        // listed cannot be read, and nothing can be decided next to it.
        let listed = self.registry.list_tags(&repository).await?;
        for (tag, error) in vanished {
            if listed.contains(&tag) {
                return Err(error);
            }
            snapshot.forget(&tag);
        }
        Ok(())
    }

    /// What a listing without tags may have hidden is asked for again.
    async fn confirm_untagged(&self, snapshot: &mut RepositorySnapshot) -> Result<(), RegistryError> {
        let Ok(known) = snapshot.complete() else {
            return Ok(());
        };
        let suspected: BTreeSet<Digest> = known.untagged().into_iter().flatten().cloned().collect();
        let repository = snapshot.repository().clone();
        let confirmed = self.registry.confirm_untagged(&repository, suspected).await?;
        snapshot.list_untagged(confirmed);
        Ok(())
    }

    /// Manifests and times: what the registry records of them, or the manifests themselves. Returns of what the
    /// referrers still have to be asked for.
    async fn fetch_artifacts(
        &self,
        snapshot: &mut RepositorySnapshot,
        needs: &Needs,
        recalled: &Recalled,
    ) -> Result<BTreeSet<Digest>, RegistryError> {
        let all = [&needs.manifests, &needs.times, &needs.referrers];
        let wanted: BTreeSet<Digest> = all.into_iter().flatten().cloned().collect();
        if wanted.is_empty() {
            return Ok(BTreeSet::new());
        }
        let repository = snapshot.repository().clone();
        let Some(records) = self.registry.records(&repository, &wanted).await? else {
            // Where only manifests are recorded, there are no times but those of the ledger.
            for digest in &needs.times {
                let observed = self.memory.observed(digest, recalled, self.now);
                let times = Times {
                    observed,
                    ..Times::default()
                };
                snapshot.insert_artifact_times(digest.clone(), times);
            }
            self.fetch_manifests(snapshot, needs.manifests.iter().cloned(), needs.labels)
                .await?;
            return Ok(needs.referrers.clone());
        };
        for (digest, record) in records {
            if let Some(record) = record {
                snapshot.insert_record(record);
            } else {
                snapshot.insert_accessories(digest.clone(), Vec::new());
                snapshot.insert_absent(digest);
            }
        }
        self.memory.observe(snapshot, recalled, self.now);
        Ok(BTreeSet::new())
    }

    /// The manifests of artifacts of which a registry told all but these.
    async fn fetch_contents(
        &self,
        snapshot: &mut RepositorySnapshot,
        wanted: BTreeSet<Digest>,
    ) -> Result<(), RegistryError> {
        let repository = snapshot.repository().clone();
        let repository = &repository;
        let answers: Vec<(Digest, u64, Vec<Blob>)> = stream::iter(wanted)
            .map(|digest| async move {
                let reference = Reference::Digest(digest.clone());
                let read = self
                    .memory
                    .manifest(self.registry, repository, &reference, Some(&digest));
                let manifest = read.await?;
                // The bytes go with their answer: of a large repository they would be gigabytes together.
                let Artifact { digest, blobs, .. } = Artifact::from(&manifest);
                Ok::<_, RegistryError>((digest, manifest.bytes().len() as u64, blobs))
            })
            .buffer_unordered(ANSWERS_AT_ONCE)
            .try_collect()
            .await?;
        for (digest, size, blobs) in answers {
            snapshot.insert_content(&digest, size, blobs);
        }
        Ok(())
    }

    async fn fetch_manifests(
        &self,
        snapshot: &mut RepositorySnapshot,
        wanted: impl IntoIterator<Item = Digest>,
        labels: bool,
    ) -> Result<(), RegistryError> {
        let repository = snapshot.repository().clone();
        let repository = &repository;
        let answers: Vec<(Digest, Option<Artifact>)> = stream::iter(wanted)
            .map(|digest| async move {
                let reference = Reference::Digest(digest.clone());
                let answer = self
                    .memory
                    .manifest(self.registry, repository, &reference, Some(&digest));
                match answer.await {
                    Ok(manifest) => Ok((digest, Some(facts(&manifest, labels)))),
                    Err(error) if error.failure() == Failure::NotFound => Ok((digest, None)),
                    Err(error) => Err(error),
                }
            })
            .buffer_unordered(ANSWERS_AT_ONCE)
            .try_collect()
            .await?;
        for (digest, artifact) in answers {
            match artifact {
                Some(artifact) => snapshot.insert_artifact(artifact),
                None => snapshot.insert_absent(digest),
            }
        }
        Ok(())
    }

    /// One request a configuration, whatever is asked of it.
    async fn fetch_configs(
        &self,
        snapshot: &mut RepositorySnapshot,
        wanted: impl IntoIterator<Item = Digest>,
        keep_labels: bool,
    ) -> Result<(), RegistryError> {
        let repository = snapshot.repository().clone();
        let repository = &repository;
        let answers: Vec<(Digest, ConfigFacts)> = stream::iter(wanted)
            .map(|config| async move {
                if let Some(facts) = self.memory.config(&config) {
                    return Ok((config, facts));
                }
                let facts = match self
                    .registry
                    .config_blob(repository, &config, MAX_CONFIG_BYTES)
                    .await
                {
                    Ok(blob) => {
                        let facts = config_blob::read(&blob);
                        self.memory.keep_config(&config, &facts);
                        facts
                    }
                    Err(error) => match error.failure() {
                        // The image is broken, or its configuration is no such thing: unknown, and kept.
                        Failure::NotFound => ConfigFacts::unknown(Unknown::Missing),
                        Failure::TooLarge => ConfigFacts::unknown(Unknown::Unreadable),
                        _ => return Err(error),
                    },
                };
                Ok((config, facts))
            })
            .buffer_unordered(ANSWERS_AT_ONCE)
            .try_collect()
            .await?;
        for (config, facts) in answers {
            if keep_labels {
                snapshot.insert_config_labels(config.clone(), facts.labels);
            }
            snapshot.insert_config_created(config, facts.created);
        }
        Ok(())
    }

    async fn fetch_referrers(
        &self,
        snapshot: &mut RepositorySnapshot,
        wanted: impl IntoIterator<Item = Digest>,
    ) -> Result<(), RegistryError> {
        let repository = snapshot.repository().clone();
        let repository = &repository;
        let ask = |subject: Digest| async move {
            let referrers = match self.registry.referrers(repository, &subject).await? {
                Referrers::Listed(referrers) => referrers,
                // The tag that lists them instead stands in the tag listing, and is in the graph already.
                Referrers::NoApi => Vec::new(),
            };
            Ok::<(Digest, Vec<Descriptor>), RegistryError>((subject, referrers))
        };
        let mut wanted = wanted.into_iter();
        // The first answer tells whether there is a referrers API at all.
        let Some(first) = wanted.next() else { return Ok(()) };
        let (subject, referrers) = ask(first).await?;
        snapshot.insert_referrers(subject, referrers);
        if self.registry.capabilities().referrers == Capability::NotOffered {
            return Ok(());
        }
        let answers: Vec<_> = stream::iter(wanted)
            .map(ask)
            .buffer_unordered(ANSWERS_AT_ONCE)
            .try_collect()
            .await?;
        for (subject, referrers) in answers {
            snapshot.insert_referrers(subject, referrers);
        }
        Ok(())
    }
}

/// Whether a tag would go if the registry were known to delete single tags.
fn turns_on_it(decisions: &Decisions) -> bool {
    decisions
        .tags
        .iter()
        .any(|decision| decision.verdict == Verdict::Keep && only_shares_digest(&decision.reasons))
}

/// What decisions need of a manifest; its annotations only where somebody reads them.
fn facts(manifest: &Manifest, labels: bool) -> Artifact {
    let mut artifact = Artifact::from(manifest);
    if !labels {
        artifact.annotations = None;
    }
    artifact
}
