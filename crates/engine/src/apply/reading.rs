//! A repository as it is now: read whole, right before something in it is deleted, and again when that is done.
//!
//! Where a registry tells in a listing what is on its tags and hangs together, that is believed, but for what goes: of
//! that the manifests are read, and what is attached is asked for by itself.

use std::collections::{BTreeSet, HashMap, HashSet};

use futures_util::{StreamExt, TryStreamExt, stream};
use lagan_model::{
    Artifact, ArtifactGraph, Capability, Digest, Failure, Labels, Manifest, MediaType, NodeId, Reference,
    Referrers, RegistryError, RegistryLabel, RegistryRead, RepositoryName, RepositorySnapshot, Tag, Time,
    Times,
};

use crate::collect::ANSWERS_AT_ONCE;
use crate::safeguard::{Safeguard, on};

/// How deep indexes may lie in indexes before a repository counts as unreadable.
const MAX_NESTING: usize = 16;

/// How often the tags are listed, where some vanish each time, before a repository counts as unreadable.
const LISTINGS: usize = 16;

/// What was read.
#[derive(Debug)]
pub(crate) struct Reading {
    /// When reading began: what was pushed since may be missing.
    pub at: Time,
    /// What every tag is on.
    pub tags: HashMap<Tag, Digest>,
    /// How it hangs together.
    pub graph: ArtifactGraph,
    /// The nodes of the graph.
    nodes: HashMap<Digest, NodeId>,
    /// The tags, by their positions in the graph.
    positions: Vec<Tag>,
    /// The manifests that were asked to be kept, byte for byte.
    pub manifests: HashMap<Digest, Manifest>,
    /// Digests of which the registry said that it has no manifest.
    pub absent: BTreeSet<Digest>,
    /// What the registry keeps beside the wanted manifests, where it does.
    pub beside: HashMap<Digest, Beside>,
}

/// What a registry keeps beside a manifest, and nobody can read there.
#[derive(Debug, Default)]
pub(crate) struct Beside {
    pub times: Times,
    pub labels: Vec<RegistryLabel>,
    /// The same, as policies read them.
    pub named: Labels,
}

impl Reading {
    /// The node of a digest; `None` where nothing in the repository speaks of it.
    pub(crate) fn node(&self, digest: &Digest) -> Option<NodeId> {
        self.nodes.get(digest).copied()
    }

    /// The tags on a digest.
    pub(crate) fn tags_on(&self, digest: &Digest) -> BTreeSet<Tag> {
        let node = self.node(digest);
        node.map(|node| {
            self.graph
                .tags(node)
                .filter_map(|position| self.positions.get(position).cloned())
                .collect()
        })
        .unwrap_or_default()
    }

    /// The digests that stand in a relation to one.
    pub(crate) fn related(
        &self,
        digest: &Digest,
        relation: fn(&ArtifactGraph, NodeId) -> &[NodeId],
    ) -> Vec<Digest> {
        let node = self.node(digest);
        node.map(|node| {
            relation(&self.graph, node)
                .iter()
                .map(|node| self.graph.digest(*node).clone())
                .collect()
        })
        .unwrap_or_default()
    }

    /// What lists a digest or has it attached, what does so with that, and so on.
    pub(crate) fn above(&self, digest: &Digest) -> Vec<Digest> {
        let Some(node) = self.node(digest) else {
            return Vec::new();
        };
        let (mut above, mut work) = (Vec::new(), vec![node]);
        let mut seen = HashSet::from([node]);
        while let Some(node) = work.pop() {
            let next = self.graph.parents(node).iter().chain(self.graph.subjects(node));
            for next in next.filter(|next| seen.insert(**next)) {
                above.push(self.graph.digest(*next).clone());
                work.push(*next);
            }
        }
        above
    }
}

/// A repository whose tags are read, and whose untagged manifests may not be.
pub(crate) struct Reader<'a, R> {
    registry: &'a R,
    at: Time,
    snapshot: RepositorySnapshot,
    manifests: HashMap<Digest, Manifest>,
    absent: BTreeSet<Digest>,
    beside: HashMap<Digest, Beside>,
    /// Whether the registry records more than manifests.
    records: bool,
}

impl<'a, R: RegistryRead> Reader<'a, R> {
    /// Reads what every tag is on, and keeps the bytes of those manifests that are in `keep`.
    pub(crate) async fn open(
        registry: &'a R,
        repository: &RepositoryName,
        keep: &BTreeSet<Digest>,
        at: Time,
    ) -> Result<Self, RegistryError> {
        let mut snapshot = match registry.survey_anew(repository).await {
            Ok(snapshot) => snapshot,
            // A repository whose last tag is gone may not be known any more.
            Err(error) if error.failure() == Failure::NotFound => {
                RepositorySnapshot::listed(repository.clone(), Vec::new())
            }
            Err(error) => return Err(error),
        };
        let records = snapshot.complete().is_ok_and(|known| known.recorded().pushed);
        if records {
            // A listing of artifacts leaves out what is attached to others, and with it its tags.
            match registry.list_tags(repository).await {
                Ok(tags) => snapshot.add_tags(tags),
                Err(error) if error.failure() == Failure::NotFound && snapshot.tags().is_empty() => {}
                Err(error) => return Err(error),
            }
        }
        let mut reader = Self {
            registry,
            at,
            snapshot,
            manifests: HashMap::new(),
            absent: BTreeSet::new(),
            beside: HashMap::new(),
            records,
        };
        // Where a tag vanishes, the tags are listed again, and that tells of those that are new.
        for _ in 0..LISTINGS {
            if reader.resolve(keep).await? {
                return Ok(reader);
            }
        }
        Err(reader.malformed("tags come and go faster than they can be read".to_owned()))
    }

    /// Reads indexes of which it is known that they may be there, whether tags are on them or not: of what they list they
    /// are parents.
    pub(crate) async fn with_indexes(mut self, indexes: BTreeSet<Digest>) -> Result<Self, RegistryError> {
        let known = self
            .snapshot
            .complete()
            .map_err(|why| self.malformed(why.why.clone()))?;
        let unread = indexes
            .into_iter()
            .filter(|index| known.artifact(index).is_none());
        let unread = unread.collect();
        self.know(unread).await?;
        Ok(self)
    }

    /// Reads the manifests `wanted`, whether tags are on them or not, and everything that relates to them.
    pub(crate) async fn complete(mut self, wanted: &BTreeSet<Digest>) -> Result<Reading, RegistryError> {
        self.by_digest(wanted.iter().cloned(), true).await?;
        if self.records {
            self.read_beside(wanted).await?;
        }
        self.subjects(wanted).await?;
        self.nested_indexes().await?;
        self.referrers(wanted).await?;
        self.finish()
    }

    /// How the tagged artifacts hang together, as far as their own manifests say.
    pub(crate) fn graph(&self) -> Result<ArtifactGraph, RegistryError> {
        self.snapshot
            .complete()
            .map(ArtifactGraph::of)
            .map_err(|why| self.malformed(why.why.clone()))
    }

    fn malformed(&self, detail: String) -> RegistryError {
        let request = format!("GET {}", self.snapshot.repository());
        RegistryError::new(Failure::Malformed, request, detail)
    }

    /// Reads what those tags are on of which that is not known. Whether it is known of all now that were ever listed.
    async fn resolve(&mut self, keep: &BTreeSet<Digest>) -> Result<bool, RegistryError> {
        let repository = self.snapshot.repository().clone();
        let tags: Vec<(usize, Tag)> = self
            .snapshot
            .tags()
            .iter()
            .enumerate()
            .filter(|(_, listed)| listed.digest.is_none())
            .map(|(position, listed)| (position, listed.tag.clone()))
            .collect();
        let registry = self.registry;
        let answers: Vec<_> = stream::iter(tags)
            .map(|(position, tag)| {
                let repository = &repository;
                async move {
                    let reference = Reference::Tag(tag.clone());
                    match registry.manifest(repository, &reference).await {
                        Ok(manifest) => Ok((position, tag, Some(manifest))),
                        Err(error) if error.failure() == Failure::NotFound => Ok((position, tag, None)),
                        Err(error) if on(Safeguard::CompleteReading) => Err(error),
                        Err(_) => Ok((position, tag, None)),
                    }
                }
            })
            .buffer_unordered(ANSWERS_AT_ONCE)
            .map_ok(|(position, tag, manifest)| {
                // Only what is wanted keeps its bytes, so that memory does not grow with the repository.
                let facts = manifest.as_ref().map(Artifact::from);
                let kept = manifest.filter(|manifest| keep.contains(manifest.digest()));
                (position, tag, facts, kept)
            })
            .try_collect()
            .await?;
        let mut vanished = Vec::new();
        for (position, tag, facts, kept) in answers {
            match facts {
                Some(artifact) => self.snapshot.resolve(position, artifact),
                None => vanished.push(tag),
            }
            if let Some(manifest) = kept {
                self.manifests.insert(manifest.digest().clone(), manifest);
            }
        }
        if vanished.is_empty() {
            return Ok(true);
        }
        let listed = match self.registry.list_tags(&repository).await {
            Ok(tags) => tags,
            Err(error) if error.failure() == Failure::NotFound => Vec::new(),
            Err(error) => return Err(error),
        };
        for tag in vanished {
            if on(Safeguard::CompleteReading) && listed.contains(&tag) {
                return Err(RegistryError::new(
                    Failure::Malformed,
                    format!("GET {repository}:{tag}"),
                    "the tag is listed, and has no manifest",
                ));
            }
            self.snapshot.forget(&tag);
        }
        if on(Safeguard::CompleteReading) {
            self.snapshot.add_tags(listed);
        }
        Ok(self.snapshot.tags().iter().all(|listed| listed.digest.is_some()))
    }

    async fn by_digest(
        &mut self,
        digests: impl IntoIterator<Item = Digest>,
        keep: bool,
    ) -> Result<(), RegistryError> {
        let repository = self.snapshot.repository().clone();
        let unread: Vec<Digest> = digests
            .into_iter()
            .filter(|digest| !self.manifests.contains_key(digest) && !self.absent.contains(digest))
            .collect();
        let registry = self.registry;
        let answers: Vec<_> = stream::iter(unread)
            .map(|digest| {
                let repository = &repository;
                async move {
                    let reference = Reference::Digest(digest.clone());
                    match registry.manifest(repository, &reference).await {
                        Ok(manifest) => Ok((digest, Some(manifest))),
                        Err(error) if error.failure() == Failure::NotFound => Ok((digest, None)),
                        Err(error) => Err(error),
                    }
                }
            })
            .buffer_unordered(ANSWERS_AT_ONCE)
            .try_collect()
            .await?;
        for (digest, manifest) in answers {
            match manifest {
                Some(manifest) => {
                    self.snapshot.insert_artifact(Artifact::from(&manifest));
                    if keep {
                        self.manifests.insert(digest, manifest);
                    }
                }
                None => {
                    self.snapshot.insert_absent(digest.clone());
                    self.absent.insert(digest);
                }
            }
        }
        Ok(())
    }

    /// What the registry keeps beside the wanted manifests; and whether it has what they list, which it may take along.
    async fn read_beside(&mut self, wanted: &BTreeSet<Digest>) -> Result<(), RegistryError> {
        let repository = self.snapshot.repository().clone();
        for (digest, record) in self
            .registry
            .records(&repository, wanted)
            .await?
            .unwrap_or_default()
        {
            if let Some(record) = record {
                let beside = Beside {
                    times: record.times,
                    labels: record.kept_labels,
                    named: record.labels,
                };
                self.beside.insert(digest, beside);
            }
        }
        let known = self
            .snapshot
            .complete()
            .map_err(|why| self.malformed(why.why.clone()))?;
        let listed = wanted.iter().filter_map(|digest| known.artifact(digest));
        let unknown: BTreeSet<Digest> = listed
            .flat_map(|artifact| &artifact.children)
            .map(|child| &child.digest)
            .filter(|child| known.artifact(child).is_none() && !self.absent.contains(*child))
            .cloned()
            .collect();
        self.know(unknown).await
    }

    /// Reads what the registry records of these, or the manifests themselves.
    async fn know(&mut self, digests: BTreeSet<Digest>) -> Result<(), RegistryError> {
        let repository = self.snapshot.repository().clone();
        if digests.is_empty() {
            return Ok(());
        }
        let Some(records) = self.registry.records(&repository, &digests).await? else {
            return self.by_digest(digests, false).await;
        };
        for (digest, record) in records {
            match record {
                Some(record) => self.snapshot.insert_record(record),
                None => {
                    self.snapshot.insert_absent(digest.clone());
                    self.absent.insert(digest);
                }
            }
        }
        Ok(())
    }

    /// Whether what the wanted manifests are attached to is there: an attachment may have been left behind.
    async fn subjects(&mut self, wanted: &BTreeSet<Digest>) -> Result<(), RegistryError> {
        let graph = self.graph()?;
        let of_wanted = graph
            .nodes()
            .filter(|node| wanted.contains(graph.digest(*node)))
            .flat_map(|node| graph.subjects(node))
            .map(|subject| graph.digest(*subject))
            .filter(|subject| !wanted.contains(*subject));
        let known = self
            .snapshot
            .complete()
            .map_err(|why| self.malformed(why.why.clone()))?;
        let unknown: BTreeSet<Digest> = of_wanted
            .filter(|subject| known.artifact(subject).is_none())
            .cloned()
            .collect();
        self.by_digest(unknown, false).await
    }

    /// An index in an index lists children of its own.
    async fn nested_indexes(&mut self) -> Result<(), RegistryError> {
        for _ in 0..MAX_NESTING {
            let known: Vec<&Artifact> = match self.snapshot.complete() {
                Ok(complete) => complete.artifacts().collect(),
                Err(_) => Vec::new(),
            };
            let read: BTreeSet<&Digest> = known.iter().map(|artifact| &artifact.digest).collect();
            let unread: BTreeSet<Digest> = known
                .iter()
                .flat_map(|artifact| &artifact.children)
                .filter(|child| child.media_type.as_ref().is_none_or(MediaType::is_index))
                .map(|child| &child.digest)
                .filter(|digest| !read.contains(digest) && !self.absent.contains(*digest))
                .cloned()
                .collect();
            if unread.is_empty() {
                return Ok(());
            }
            self.know(unread).await?;
        }
        Err(self.malformed(format!("indexes lie in each other more than {MAX_NESTING} deep")))
    }

    /// What is attached to the manifests that are wanted. Without an API for that, tags say it, which are read.
    async fn referrers(&mut self, wanted: &BTreeSet<Digest>) -> Result<(), RegistryError> {
        let present: Vec<Digest> = wanted
            .iter()
            .filter(|digest| !self.absent.contains(*digest))
            .cloned()
            .collect();
        if self.records {
            return self.accessories(present).await;
        }
        let repository = self.snapshot.repository().clone();
        let mut subjects = present.into_iter();
        let registry = self.registry;
        let ask = |subject: Digest| {
            let repository = &repository;
            async move { Ok((subject.clone(), registry.referrers(repository, &subject).await?)) }
        };
        // The first answer tells whether there is an API.
        let Some(first) = subjects.next() else {
            return Ok(());
        };
        let mut answers = vec![ask(first).await?];
        if registry.capabilities().referrers != Capability::NotOffered {
            let rest: Vec<_> = stream::iter(subjects)
                .map(ask)
                .buffer_unordered(ANSWERS_AT_ONCE)
                .try_collect()
                .await?;
            answers.extend(rest);
        }
        for (subject, answer) in answers {
            if let Referrers::Listed(referrers) = answer {
                self.snapshot.insert_referrers(subject, referrers);
            }
        }
        Ok(())
    }

    /// The same of a registry that keeps a list of its own, which is complete or an error.
    async fn accessories(&mut self, subjects: Vec<Digest>) -> Result<(), RegistryError> {
        let repository = self.snapshot.repository().clone();
        let registry = self.registry;
        let answers: Vec<_> = stream::iter(subjects)
            .map(|subject| {
                let repository = &repository;
                async move {
                    match registry.accessories(repository, &subject).await {
                        Ok(accessories) => Ok((subject, accessories)),
                        // Deleted since it was read: what is looked at before the deletion says so.
                        Err(error) if error.failure() == Failure::NotFound => Ok((subject, Some(Vec::new()))),
                        Err(error) => Err(error),
                    }
                }
            })
            .buffer_unordered(ANSWERS_AT_ONCE)
            .try_collect()
            .await?;
        for (subject, accessories) in answers {
            if let Some(accessories) = accessories {
                self.snapshot.insert_accessories(subject, accessories);
            }
        }
        Ok(())
    }

    fn finish(self) -> Result<Reading, RegistryError> {
        let graph = self.graph()?;
        let nodes = graph
            .nodes()
            .map(|node| (graph.digest(node).clone(), node))
            .collect();
        let listed = self.snapshot.tags();
        Ok(Reading {
            at: self.at,
            tags: listed
                .iter()
                .filter_map(|listed| Some((listed.tag.clone(), listed.digest.clone()?)))
                .collect(),
            positions: listed.iter().map(|listed| listed.tag.clone()).collect(),
            graph,
            nodes,
            manifests: self.manifests,
            absent: self.absent,
            beside: self.beside,
        })
    }
}
