//! How the artifacts of a repository hang together: index to children, attachments to subjects.
//!
//! The graph is made once per decision, of positions instead of digests, so that following an edge costs an
//! array access. Attachments are found by all the ways there are: the `subject` field, the referrers API, the
//! fallback tag of the distribution specification, and the tags of cosign.

use std::collections::HashMap;

use crate::artifact::Artifact;
use crate::digest::{Digest, sha256_from_hex};
use crate::media_type::MediaType;
use crate::snapshot::CompleteSnapshot;
use crate::tag::Tag;

/// How a tag's name says that it is an attachment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AttachmentForm {
    /// `sha256-<hex>`: the index of referrers, by the distribution specification's fallback.
    ReferrersIndex,
    /// `sha256-<hex>.sig`: a cosign signature.
    Signature,
    /// `sha256-<hex>.att`: a cosign attestation.
    Attestation,
    /// `sha256-<hex>.sbom`: a bill of materials by cosign.
    Sbom,
}

impl AttachmentForm {
    /// Reads a tag that names its subject: `sha256-<64 hex>`, alone or with `.sig`, `.att` or `.sbom`.
    #[must_use]
    pub fn of(tag: &Tag) -> Option<(Self, Digest)> {
        let rest = tag.as_str().strip_prefix("sha256-")?;
        let (hex, form) = match rest.split_once('.') {
            None => (rest, Self::ReferrersIndex),
            Some((hex, "sig")) => (hex, Self::Signature),
            Some((hex, "att")) => (hex, Self::Attestation),
            Some((hex, "sbom")) => (hex, Self::Sbom),
            Some(_) => return None,
        };
        sha256_from_hex(hex).map(|value| (form, Digest::from_sha256(value)))
    }
}

/// The position of an artifact in an [`ArtifactGraph`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeId(u32);

impl NodeId {
    /// As an index into a slice with an element for each node.
    #[must_use]
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

/// What is known of a node without its manifest, or with it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Described {
    /// What kind of manifest it is.
    pub media_type: Option<MediaType>,
    /// Its size, in bytes.
    pub size: Option<u64>,
}

/// Every digest that is known in a repository, whether a tag is on it or not, and the relations between them.
#[derive(Debug)]
pub struct ArtifactGraph {
    digests: Vec<Digest>,
    /// Where each stands among the snapshot's artifacts, if it does.
    artifacts: Vec<Option<u32>>,
    described: Vec<Described>,
    read: Vec<Read>,
    node_of_tag: Vec<Option<NodeId>>,
    tags: Adjacency,
    children: Adjacency,
    parents: Adjacency,
    attachments: Adjacency,
    subjects: Adjacency,
}

/// What is known of a node itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Read {
    /// Something names it.
    No,
    /// Its manifest was read.
    Alone,
    /// Its manifest was read, and says what it is attached to.
    Attached,
}

impl ArtifactGraph {
    /// The graph of all that a snapshot knows.
    #[must_use]
    pub fn of(snapshot: CompleteSnapshot<'_>) -> Self {
        let named: Vec<(usize, AttachmentForm, Digest)> = snapshot
            .tags()
            .iter()
            .enumerate()
            .filter_map(|(tag, listed)| {
                AttachmentForm::of(&listed.tag).map(|(form, subject)| (tag, form, subject))
            })
            .collect();
        let mut nodes = Nodes::new(snapshot);
        let node_of_tag: Vec<_> = snapshot
            .tags()
            .iter()
            .map(|listed| listed.digest.as_ref().map(|digest| nodes.id(digest)))
            .collect();
        let mut child_edges = Vec::new();
        let mut subject_edges = Vec::new();

        // From the tags downwards, which is the same order in every run; then what nothing leads to.
        let mut next = 0;
        let mut found = 0;
        let mut stray: Option<std::vec::IntoIter<&Artifact>> = None;
        loop {
            let (id, artifact) = if let Some(found) = nodes.at(next) {
                next += 1;
                found
            } else if found == snapshot.artifacts().len() {
                break;
            } else {
                let stray = stray.get_or_insert_with(|| nodes.unmet().into_iter());
                let Some(artifact) = stray.next() else { break };
                nodes.id(&artifact.digest);
                continue;
            };
            let Some(artifact) = artifact else { continue };
            nodes.read(id, artifact);
            found += 1;
            for child in &artifact.children {
                let child_id = nodes.id(&child.digest);
                nodes.describe(child_id, child.media_type.as_ref(), child.size);
                child_edges.push((id, child_id));
            }
            if let Some(subject) = &artifact.subject {
                subject_edges.push((id, nodes.id(subject)));
            }
        }
        let mut answers: Vec<_> = snapshot.all_referrers().collect();
        answers.sort_unstable_by_key(|(subject, _)| *subject);
        for (subject, referrers) in answers {
            let subject = nodes.id(subject);
            for referrer in referrers {
                let id = nodes.id(&referrer.digest);
                nodes.describe(id, Some(&referrer.media_type), Some(referrer.size));
                subject_edges.push((id, subject));
            }
        }
        for (subject, accessories) in snapshot.accessories() {
            let subject = nodes.id(subject);
            let attached = accessories.iter().map(|accessory| nodes.id(&accessory.digest));
            subject_edges.extend(
                attached
                    .filter(|node| *node != subject)
                    .map(|node| (node, subject)),
            );
        }
        for (tag, form, subject) in &named {
            let (Some(node), listed) = (&node_of_tag[*tag], &snapshot.tags()[*tag]) else {
                continue;
            };
            let subject = nodes.id(subject);
            // The fallback tag is on an index that lists the referrers.
            let index = listed
                .digest
                .as_ref()
                .filter(|_| *form == AttachmentForm::ReferrersIndex);
            let index = index.and_then(|digest| snapshot.artifact(digest));
            let referrers = index.into_iter().flat_map(|index| &index.children);
            let referrers: Vec<_> = referrers.map(|child| nodes.id(&child.digest)).collect();
            // Anyone can push a tag that claims to sign the very digest it is on.
            let attached = std::iter::once(*node).chain(referrers);
            subject_edges.extend(
                attached
                    .filter(|node| *node != subject)
                    .map(|node| (node, subject)),
            );
        }

        let count = nodes.digests.len();
        let tag_edges = node_of_tag.iter().enumerate().filter_map(|(tag, node)| {
            let tag = NodeId(u32::try_from(tag).ok()?);
            node.map(|node| (node, tag))
        });
        let reversed = |edges: &[(NodeId, NodeId)]| edges.iter().map(|(a, b)| (*b, *a)).collect::<Vec<_>>();
        Self {
            tags: Adjacency::new(count, tag_edges.collect()),
            parents: Adjacency::new(count, reversed(&child_edges)),
            children: Adjacency::new(count, child_edges),
            attachments: Adjacency::new(count, reversed(&subject_edges)),
            subjects: Adjacency::new(count, subject_edges),
            digests: nodes.digests.into_iter().cloned().collect(),
            artifacts: nodes.artifacts,
            described: nodes.described,
            read: nodes.read,
            node_of_tag,
        }
    }

    /// How many digests are known.
    #[must_use]
    pub fn len(&self) -> usize {
        self.digests.len()
    }

    /// Whether none is known.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.digests.is_empty()
    }

    /// Every node.
    pub fn nodes(&self) -> impl Iterator<Item = NodeId> + use<> {
        (0..u32::try_from(self.digests.len()).unwrap_or(u32::MAX)).map(NodeId)
    }

    /// A node's digest.
    #[must_use]
    pub fn digest(&self, node: NodeId) -> &Digest {
        &self.digests[node.index()]
    }

    /// What the snapshot that the graph is of knows of a node: the same as by its digest, without looking that up.
    #[must_use]
    pub fn artifact<'a>(&self, snapshot: CompleteSnapshot<'a>, node: NodeId) -> Option<&'a Artifact> {
        let artifact = snapshot.artifact_at(self.artifacts[node.index()]? as usize)?;
        (artifact.digest == self.digests[node.index()]).then_some(artifact)
    }

    /// Whether its manifest was read.
    #[must_use]
    pub fn is_read(&self, node: NodeId) -> bool {
        self.read[node.index()] != Read::No
    }

    /// Whether its manifest was read, and says by its `subject` that it is attached to something.
    #[must_use]
    pub fn says_subject(&self, node: NodeId) -> bool {
        self.read[node.index()] == Read::Attached
    }

    /// What a node's manifest, the registry, or a descriptor of it says that it is.
    #[must_use]
    pub fn described(&self, node: NodeId) -> &Described {
        &self.described[node.index()]
    }

    /// The node that the tag at a position of the snapshot is on.
    #[must_use]
    pub fn node_of_tag(&self, position: usize) -> Option<NodeId> {
        self.node_of_tag.get(position).copied().flatten()
    }

    /// The positions, in the snapshot, of the tags on a node, ascending.
    pub fn tags(&self, node: NodeId) -> impl ExactSizeIterator<Item = usize> + '_ {
        self.tags.of(node).iter().map(|position| position.index())
    }

    /// What an index lists.
    #[must_use]
    pub fn children(&self, node: NodeId) -> &[NodeId] {
        self.children.of(node)
    }

    /// The indexes that list a node.
    #[must_use]
    pub fn parents(&self, node: NodeId) -> &[NodeId] {
        self.parents.of(node)
    }

    /// What is attached to a node.
    #[must_use]
    pub fn attachments(&self, node: NodeId) -> &[NodeId] {
        self.attachments.of(node)
    }

    /// What a node is attached to; more than one where its field and its tags disagree.
    #[must_use]
    pub fn subjects(&self, node: NodeId) -> &[NodeId] {
        self.subjects.of(node)
    }
}

struct Nodes<'a> {
    snapshot: CompleteSnapshot<'a>,
    /// Of each artifact of the snapshot, by its position there: a digest is looked up once, and after that counted.
    of_artifacts: Vec<Option<NodeId>>,
    /// Of digests that something names, and of which nothing else is known.
    of_others: HashMap<&'a Digest, NodeId>,
    digests: Vec<&'a Digest>,
    artifacts: Vec<Option<u32>>,
    described: Vec<Described>,
    read: Vec<Read>,
}

impl<'a> Nodes<'a> {
    fn new(snapshot: CompleteSnapshot<'a>) -> Self {
        let count = snapshot.artifacts().len();
        Self {
            snapshot,
            of_artifacts: vec![None; count],
            of_others: HashMap::new(),
            digests: Vec::with_capacity(count),
            artifacts: Vec::with_capacity(count),
            described: Vec::with_capacity(count),
            read: Vec::with_capacity(count),
        }
    }

    fn id(&mut self, digest: &'a Digest) -> NodeId {
        // A snapshot is bounded by what a registry lists in its pages, far below 2^32 digests.
        let next = NodeId(u32::try_from(self.digests.len()).unwrap_or(u32::MAX));
        let position = self.snapshot.position_of(digest);
        let id = match position {
            Some(position) => *self.of_artifacts[position].get_or_insert(next),
            None => *self.of_others.entry(digest).or_insert(next),
        };
        if id == next {
            self.digests.push(digest);
            self.artifacts
                .push(position.and_then(|position| u32::try_from(position).ok()));
            self.described.push(Described::default());
            self.read.push(Read::No);
        }
        id
    }

    /// The node of a number, and what is known of it.
    fn at(&self, number: usize) -> Option<(NodeId, Option<&'a Artifact>)> {
        let position = *self.artifacts.get(number)?;
        let artifact = position.and_then(|position| self.snapshot.artifact_at(position as usize));
        Some((NodeId(u32::try_from(number).ok()?), artifact))
    }

    /// The artifacts that are no node yet, in a fixed order.
    fn unmet(&self) -> Vec<&'a Artifact> {
        let all = self.snapshot.artifacts().zip(&self.of_artifacts);
        let mut unmet: Vec<_> = all
            .filter(|(_, node)| node.is_none())
            .map(|(artifact, _)| artifact)
            .collect();
        unmet.sort_unstable_by(|a, b| a.digest.cmp(&b.digest));
        unmet
    }

    /// What was said first stands.
    fn describe(&mut self, id: NodeId, media_type: Option<&MediaType>, size: Option<u64>) {
        let described = &mut self.described[id.index()];
        if described.media_type.is_none() {
            described.media_type = media_type.cloned();
        }
        described.size = described.size.or(size);
    }

    fn read(&mut self, id: NodeId, artifact: &'a Artifact) {
        // It knows better than what names it.
        let described = &mut self.described[id.index()];
        described.media_type = Some(artifact.media_type.clone());
        described.size = artifact.size.or(described.size);
        self.read[id.index()] = match artifact.subject {
            Some(_) => Read::Attached,
            None => Read::Alone,
        };
    }
}

/// Edges by their source, in one array: sorted, each once.
#[derive(Debug)]
struct Adjacency {
    starts: Vec<u32>,
    targets: Vec<NodeId>,
}

impl Adjacency {
    fn new(nodes: usize, mut edges: Vec<(NodeId, NodeId)>) -> Self {
        edges.sort_unstable();
        edges.dedup();
        let mut starts = vec![0u32; nodes + 1];
        for (source, _) in &edges {
            starts[source.index() + 1] += 1;
        }
        for node in 0..nodes {
            starts[node + 1] += starts[node];
        }
        Self {
            starts,
            targets: edges.into_iter().map(|(_, target)| target).collect(),
        }
    }

    fn of(&self, node: NodeId) -> &[NodeId] {
        let (start, end) = (self.starts[node.index()], self.starts[node.index() + 1]);
        &self.targets[start as usize..end as usize]
    }
}

#[cfg(test)]
mod tests;
