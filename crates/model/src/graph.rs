//! How the artifacts of a repository hang together: index to children, attachments to subjects.
//!
//! The graph is made once per decision, of positions instead of digests, so that following an edge costs an
//! array access. Attachments are found by all the ways there are: the `subject` field, the referrers API, the
//! fallback tag of the distribution specification, and the tags of cosign.

use std::collections::HashMap;

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

/// Every digest that is known in a repository, whether a tag is on it or not, and the relations between them.
#[derive(Debug)]
pub struct ArtifactGraph {
    digests: Vec<Digest>,
    described: Vec<Option<(MediaType, u64)>>,
    node_of_tag: Vec<Option<NodeId>>,
    tags: Adjacency,
    children: Adjacency,
    parents: Adjacency,
    attachments: Adjacency,
    subjects: Adjacency,
}

impl ArtifactGraph {
    /// The graph of all that a snapshot knows.
    #[must_use]
    pub fn of(snapshot: CompleteSnapshot<'_>) -> Self {
        let mut nodes = Nodes::default();
        let node_of_tag: Vec<_> = snapshot
            .tags()
            .iter()
            .map(|listed| listed.digest.as_ref().map(|digest| nodes.id(digest)))
            .collect();
        let mut child_edges = Vec::new();
        let mut subject_edges = Vec::new();

        let mut artifacts: Vec<_> = snapshot.artifacts().collect();
        artifacts.sort_unstable_by(|a, b| a.digest.cmp(&b.digest));
        for artifact in &artifacts {
            let id = nodes.id(&artifact.digest);
            nodes.describe(id, &artifact.media_type, artifact.size);
        }
        for artifact in artifacts {
            let id = nodes.id(&artifact.digest);
            for child in &artifact.children {
                let child_id = nodes.id(&child.digest);
                nodes.describe(child_id, &child.media_type, child.size);
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
                nodes.describe(id, &referrer.media_type, referrer.size);
                subject_edges.push((id, subject));
            }
        }
        for (listed, node) in snapshot.tags().iter().zip(&node_of_tag) {
            let (Some(node), Some((form, subject))) = (node, AttachmentForm::of(&listed.tag)) else {
                continue;
            };
            let subject = nodes.id(&subject);
            // The fallback tag is on an index that lists the referrers.
            let index = listed
                .digest
                .as_ref()
                .filter(|_| form == AttachmentForm::ReferrersIndex);
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
            digests: nodes.digests,
            described: nodes.described,
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

    /// A node's media type and size in bytes, as its manifest or a descriptor of it says.
    #[must_use]
    pub fn described(&self, node: NodeId) -> Option<&(MediaType, u64)> {
        self.described[node.index()].as_ref()
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

#[derive(Default)]
struct Nodes {
    ids: HashMap<Digest, NodeId>,
    digests: Vec<Digest>,
    described: Vec<Option<(MediaType, u64)>>,
}

impl Nodes {
    fn id(&mut self, digest: &Digest) -> NodeId {
        if let Some(id) = self.ids.get(digest) {
            return *id;
        }
        // A snapshot is bounded by what a registry lists in its pages, far below 2^32 digests.
        let id = NodeId(u32::try_from(self.digests.len()).unwrap_or(u32::MAX));
        self.ids.insert(digest.clone(), id);
        self.digests.push(digest.clone());
        self.described.push(None);
        id
    }

    fn describe(&mut self, id: NodeId, media_type: &MediaType, size: u64) {
        self.described[id.index()].get_or_insert_with(|| (media_type.clone(), size));
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
