//! What the relations between artifacts keep, and what goes with what is deleted.
//!
//! Both are least fixed points over the graph. Keeping spreads from every artifact with a tag of its own that is
//! kept: from an index to its children, from a subject to what is attached to it, and from an attachment to its
//! subject. Going spreads from artifacts all of whose tags are doomed: to untagged children and attachments that
//! nothing keeps. What is reached by neither is kept: no reason was found to delete it.

use std::collections::HashSet;

use lagan_model::{ArtifactGraph, CompleteSnapshot, NodeId};

use crate::untagged::Untagged;
use crate::version::{Channel, TagReading};

/// What a tag's own name and rules say of it, before relations.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Own {
    /// Something keeps it.
    Keep,
    /// A rule makes it a candidate, and nothing keeps it.
    Doom,
    /// It is named after its subject, and follows it.
    Follow,
}

/// What becomes of an artifact.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    /// It stays.
    Kept,
    /// It goes.
    Gone,
    /// It is only named by attachments, and was not seen: no decision is about it.
    Unseen,
}

/// The fates of all artifacts.
#[derive(Debug)]
pub(crate) struct Fates {
    fates: Vec<Fate>,
    /// Where keeping begins: a tag of its own, a hold, a subject that was not seen, or nothing that would delete it.
    source: Vec<bool>,
    /// Attached to something, by field, by API, or by all its tags.
    attachment: Vec<bool>,
}

impl Fates {
    pub(crate) fn fate(&self, node: NodeId) -> Fate {
        self.fates[node.index()]
    }

    pub(crate) fn is_gone(&self, node: NodeId) -> bool {
        self.fate(node) == Fate::Gone
    }

    pub(crate) fn is_kept(&self, node: NodeId) -> bool {
        self.fate(node) == Fate::Kept
    }

    /// Whether something keeps `node` on a way that does not lead over `other`.
    pub(crate) fn is_kept_without(&self, graph: &ArtifactGraph, node: NodeId, other: NodeId) -> bool {
        let mut seen = HashSet::from([node, other]);
        let mut work = vec![node];
        while let Some(node) = work.pop() {
            if self.source[node.index()] {
                return true;
            }
            let above = graph
                .parents(node)
                .iter()
                .chain(graph.subjects(node))
                .chain(graph.attachments(node));
            work.extend(above.copied().filter(|above| seen.insert(*above)));
        }
        false
    }

    /// Whether it is attached to something; such artifacts are never counted.
    pub(crate) fn is_attachment(&self, node: NodeId) -> bool {
        self.attachment[node.index()]
    }

    /// The fates that follow from what the tags say, one for each tag of the snapshot.
    pub(crate) fn of(
        graph: &ArtifactGraph,
        snapshot: CompleteSnapshot<'_>,
        own: &[Own],
        untagged: &[Untagged],
        attachment: Vec<bool>,
    ) -> Self {
        let lost: Vec<bool> = graph.nodes().map(|node| is_lost(graph, snapshot, node)).collect();
        let unseen: Vec<bool> = graph
            .nodes()
            .map(|node| is_unseen(graph, node) && !lost[node.index()])
            .collect();

        let mut source: Vec<bool> = graph
            .nodes()
            .map(|node| {
                unseen[node.index()]
                    || graph.tags(node).any(|tag| own[tag] == Own::Keep)
                    || snapshot.held(graph.digest(node)).is_some()
            })
            .collect();
        let mut kept = source.clone();
        let seeds: Vec<NodeId> = graph.nodes().filter(|node| kept[node.index()]).collect();
        spread_keep(graph, &lost, &mut kept, seeds);
        let gone = loop {
            let gone = spread_gone(graph, own, untagged, &kept);
            // Kept by nothing and doomed by nothing: signatures of each other, say.
            let stray: Vec<NodeId> = graph
                .nodes()
                .filter(|node| !kept[node.index()] && !gone[node.index()] && !lost[node.index()])
                .collect();
            if stray.is_empty() {
                break gone;
            }
            for node in &stray {
                kept[node.index()] = true;
                source[node.index()] = true;
            }
            spread_keep(graph, &lost, &mut kept, stray);
        };
        let fates = graph
            .nodes()
            .map(
                |node| match (unseen[node.index()] || lost[node.index()], gone[node.index()]) {
                    (true, _) => Fate::Unseen,
                    (false, true) => Fate::Gone,
                    (false, false) => Fate::Kept,
                },
            )
            .collect();
        Self {
            fates,
            source,
            attachment,
        }
    }
}

/// Whether each artifact is attached to something: by its field or an API, or because every tag on it says so.
pub(crate) fn attachments(graph: &ArtifactGraph, readings: &[TagReading]) -> Vec<bool> {
    graph
        .nodes()
        .map(|node| {
            let mut tags = graph.tags(node);
            let tagged = tags.len() > 0;
            let by_tags = tagged && tags.all(|tag| readings[tag].channel == Channel::Attachment);
            graph.says_subject(node) || by_tags || (!tagged && !graph.subjects(node).is_empty())
        })
        .collect()
}

/// Whether nothing but attachments speaks of it: no tag, no index, no manifest that was read.
pub(crate) fn is_unseen(graph: &ArtifactGraph, node: NodeId) -> bool {
    graph.tags(node).len() == 0
        && graph.parents(node).is_empty()
        && graph.subjects(node).is_empty()
        && !graph.is_read(node)
}

/// Whether only attachments speak of it, and it was here once and is no more: nothing keeps them for its sake.
pub(crate) fn is_lost(graph: &ArtifactGraph, snapshot: CompleteSnapshot<'_>, node: NodeId) -> bool {
    let digest = graph.digest(node);
    snapshot.is_absent(digest) && snapshot.is_remembered(digest) && is_unseen(graph, node)
}

fn spread_keep(graph: &ArtifactGraph, lost: &[bool], kept: &mut [bool], mut work: Vec<NodeId>) {
    while let Some(node) = work.pop() {
        let next = graph
            .children(node)
            .iter()
            .chain(graph.attachments(node))
            .chain(graph.subjects(node));
        for next in next {
            if !lost[next.index()] && !std::mem::replace(&mut kept[next.index()], true) {
                work.push(*next);
            }
        }
    }
}

fn spread_gone(graph: &ArtifactGraph, own: &[Own], untagged: &[Untagged], kept: &[bool]) -> Vec<bool> {
    let mut gone = vec![false; kept.len()];
    let mut work: Vec<NodeId> = graph
        .nodes()
        .filter(|node| !kept[node.index()] && graph.tags(*node).any(|tag| own[tag] == Own::Doom))
        .collect();
    let doomed = untagged.iter().filter(|said| said.doomed).map(|said| said.node);
    work.extend(doomed.filter(|node| !kept[node.index()]));
    for node in &work {
        gone[node.index()] = true;
    }
    while let Some(node) = work.pop() {
        for next in graph.children(node).iter().chain(graph.attachments(node)) {
            if !kept[next.index()] && !std::mem::replace(&mut gone[next.index()], true) {
                work.push(*next);
            }
        }
    }
    gone
}
