//! From decisions to the steps of a plan, in the order in which they would be done.

use std::collections::{HashMap, HashSet};

use lagan_model::{ArtifactGraph, CompleteSnapshot, Digest, NodeId, Tag};

use crate::decide::{Decisions, Depth, Verdict};
use crate::document::PolicyName;
use crate::plan::{Action, Dependent, Kept, KeptUntagged, RepositoryPlan, Undo};
use crate::reason::Reason;
use crate::relations::Fates;

impl RepositoryPlan {
    /// The plan of a repository that was decided upon.
    #[must_use]
    pub fn new(
        policies: Vec<PolicyName>,
        snapshot: CompleteSnapshot<'_>,
        decisions: &Decisions,
        depth: Depth,
    ) -> Self {
        let mut plan = Self {
            name: snapshot.repository().clone(),
            policies,
            complete: true,
            tags_total: snapshot.tags().len() as u64,
            actions: Vec::new(),
            waiting: Vec::new(),
            rollout: None,
            kept: Vec::new(),
            kept_untagged: Vec::new(),
            incomplete: None,
            tagged_artifacts: 0,
            tagged_artifacts_deleted: 0,
            deleted_unread: 0,
            bytes_reclaimable: (depth == Depth::Bytes).then_some(0),
        };
        for (listed, decision) in snapshot.tags().iter().zip(&decisions.tags) {
            match (decision.verdict, &listed.digest) {
                (Verdict::Untag, Some(digest)) => plan.actions.push(Action::Untag {
                    tag: listed.tag.clone(),
                    digest: digest.clone(),
                    reasons: decision.reasons.clone(),
                }),
                (Verdict::Delete, Some(_)) => {}
                _ => plan.kept.push(Kept {
                    tag: listed.tag.clone(),
                    digest: listed.digest.clone(),
                    reasons: decision.reasons.clone(),
                }),
            }
        }
        let Some((graph, fates)) = &decisions.related else {
            return plan;
        };
        for said in decisions.untagged.iter().filter(|said| !fates.is_gone(said.node)) {
            plan.kept_untagged.push(KeptUntagged {
                digest: graph.digest(said.node).clone(),
                reasons: said.reasons.clone(),
            });
        }
        plan.kept_untagged.sort_by(|a, b| a.digest.cmp(&b.digest));
        let counted = |node: &NodeId| graph.tags(*node).len() > 0 && !fates.is_attachment(*node);
        let gone = |node: &NodeId| fates.is_gone(*node);
        plan.tagged_artifacts = graph.nodes().filter(counted).count() as u64;
        plan.tagged_artifacts_deleted = graph.nodes().filter(counted).filter(gone).count() as u64;
        let unread = |node: &NodeId| !graph.is_read(*node) && !snapshot.is_absent(graph.digest(*node));
        plan.deleted_unread = graph.nodes().filter(gone).filter(unread).count() as u64;
        let units = Units {
            snapshot,
            decisions,
            graph,
            fates,
        };
        plan.actions.extend(units.actions());
        if depth == Depth::Bytes {
            plan.bytes_reclaimable = Some(reclaimable(snapshot, graph, fates));
        }
        plan
    }
}

struct Units<'a> {
    snapshot: CompleteSnapshot<'a>,
    decisions: &'a Decisions,
    graph: &'a ArtifactGraph,
    fates: &'a Fates,
}

impl Units<'_> {
    /// A unit for each artifact that goes by its own tags: itself, and what goes because it does.
    fn actions(&self) -> Vec<Action> {
        let heights = self.heights();
        let mut roots: Vec<NodeId> = self
            .graph
            .nodes()
            .filter(|node| self.fates.is_gone(*node) && self.is_root(*node))
            .collect();
        // Above before below: an index before its children, a subject before what is attached to it.
        roots.sort_by_key(|node| (heights[node.index()], self.graph.tags(*node).next()));

        let mut unit_of: HashMap<NodeId, usize> = roots
            .iter()
            .enumerate()
            .map(|(unit, root)| (*root, unit))
            .collect();
        let mut dependents: Vec<NodeId> = self
            .graph
            .nodes()
            .filter(|node| self.fates.is_gone(*node) && !self.is_root(*node))
            .collect();
        dependents.sort_by(|a, b| {
            (heights[a.index()], self.graph.digest(*a)).cmp(&(heights[b.index()], self.graph.digest(*b)))
        });
        let mut children: Vec<Vec<Dependent>> = vec![Vec::new(); roots.len()];
        let mut attachments: Vec<Vec<Dependent>> = vec![Vec::new(); roots.len()];
        let mut attached: HashSet<NodeId> = HashSet::new();
        for node in dependents {
            // With the last of those that it depends on.
            let above = self.above(node);
            let Some(unit) = above.filter_map(|above| unit_of.get(&above).copied()).max() else {
                continue;
            };
            unit_of.insert(node, unit);
            // What the registry no longer has cannot be deleted, but what is attached to it can.
            let present = !self.snapshot.is_absent(self.graph.digest(node));
            let is_attachment = !self.graph.subjects(node).is_empty()
                || self
                    .graph
                    .parents(node)
                    .iter()
                    .any(|parent| attached.contains(parent));
            if is_attachment {
                attached.insert(node);
                attachments[unit].extend(present.then(|| self.dependent(node)));
            } else {
                children[unit].extend(present.then(|| self.dependent(node)));
            }
        }
        roots
            .into_iter()
            .zip(children.into_iter().zip(attachments))
            .map(|(root, (children, attachments))| self.delete(root, children, attachments))
            .collect()
    }

    /// Whether a tag of its own, which rules decide about, is on it.
    fn is_root(&self, node: NodeId) -> bool {
        self.decisions.roots[node.index()] && self.above(node).next().is_none()
            || self
                .graph
                .tags(node)
                .any(|tag| lagan_model::AttachmentForm::of(&self.snapshot.tags()[tag].tag).is_none())
    }

    fn above(&self, node: NodeId) -> impl Iterator<Item = NodeId> {
        let above = self.graph.parents(node).iter().chain(self.graph.subjects(node));
        above.copied().filter(|above| self.fates.is_gone(*above))
    }

    fn below(&self, node: NodeId) -> impl Iterator<Item = NodeId> {
        let below = self
            .graph
            .children(node)
            .iter()
            .chain(self.graph.attachments(node));
        below.copied().filter(|below| self.fates.is_gone(*below))
    }

    /// How far below the topmost artifact that goes each one is: the longest way over parents and subjects.
    ///
    /// What is attached to a child of its own, or by its tag to what is attached to it, makes a ring.
    fn heights(&self) -> Vec<usize> {
        let mut heights = vec![0usize; self.graph.len()];
        // For each artifact that goes how much above it waits; `None` for those that are placed, or stay.
        let mut waits: Vec<Option<usize>> = vec![None; self.graph.len()];
        let mut ready: Vec<NodeId> = Vec::new();
        for node in self.graph.nodes().filter(|node| self.fates.is_gone(*node)) {
            let above = self.above(node).count();
            waits[node.index()] = Some(above);
            if above == 0 {
                ready.push(node);
            }
        }
        loop {
            while let Some(node) = ready.pop() {
                waits[node.index()] = None;
                for below in self.below(node) {
                    if let Some(above) = &mut waits[below.index()] {
                        *above -= 1;
                        heights[below.index()] = heights[below.index()].max(heights[node.index()] + 1);
                        if *above == 0 {
                            ready.push(below);
                        }
                    }
                }
            }
            match self.ring_entry(&waits, &heights) {
                Some(node) => ready.push(node),
                None => break heights,
            }
        }
    }

    /// Where to enter a ring that waits for nothing but itself: at what goes by its own tags, or hangs on
    /// something that is placed.
    fn ring_entry(&self, waits: &[Option<usize>], heights: &[usize]) -> Option<NodeId> {
        let waiting = |node: &NodeId| waits[node.index()].is_some();
        // The last search downwards that finds something new begins in a ring with none above it.
        let mut seen: HashSet<NodeId> = HashSet::new();
        let mut top = None;
        for node in self.graph.nodes().filter(waiting) {
            if !seen.contains(&node) {
                top = Some(node);
                reach(node, &mut seen, |node| self.below(node).filter(waiting).collect());
            }
        }
        let mut ring: HashSet<NodeId> = HashSet::new();
        reach(top?, &mut ring, |node| self.above(node).filter(waiting).collect());
        ring.into_iter()
            .filter(|node| heights[node.index()] > 0 || self.is_root(*node))
            .min_by_key(|node| (!self.is_root(*node), self.graph.digest(*node)))
    }

    fn tags(&self, node: NodeId) -> Vec<Tag> {
        self.graph
            .tags(node)
            .map(|tag| self.snapshot.tags()[tag].tag.clone())
            .collect()
    }

    fn dependent(&self, node: NodeId) -> Dependent {
        let described = self.graph.described(node);
        Dependent {
            digest: self.graph.digest(node).clone(),
            tags: self.tags(node),
            media_type: described.media_type.clone(),
            size: described.size,
        }
    }

    fn delete(&self, root: NodeId, children: Vec<Dependent>, attachments: Vec<Dependent>) -> Action {
        let said = self.decisions.untagged_at(root);
        let mut reasons: Vec<Reason> = said.map_or_else(Vec::new, |said| said.reasons.clone());
        for tag in self.graph.tags(root) {
            for reason in &self.decisions.tags[tag].reasons {
                if !reasons.contains(reason) {
                    reasons.push(reason.clone());
                }
            }
        }
        let Dependent {
            digest,
            tags,
            media_type,
            size,
        } = self.dependent(root);
        Action::Delete {
            digest,
            tags,
            media_type,
            size,
            children,
            attachments,
            undo: self
                .missing_below(root)
                .map_or_else(Undo::until_collection, Undo::without),
            reasons,
        }
    }

    /// What an artifact lists, or what that lists, that the registry does not have.
    fn missing_below(&self, node: NodeId) -> Option<&Digest> {
        let mut below = HashSet::new();
        reach(node, &mut below, |node| self.graph.children(node).to_vec());
        let listed = below.into_iter().filter(|below| *below != node);
        let listed = listed.map(|below| self.graph.digest(below));
        listed.filter(|digest| self.snapshot.is_absent(digest)).min()
    }
}

/// Adds all that can be reached.
fn reach(from: NodeId, seen: &mut HashSet<NodeId>, next: impl Fn(NodeId) -> Vec<NodeId>) {
    let mut work = vec![from];
    while let Some(node) = work.pop() {
        if seen.insert(node) {
            work.extend(next(node));
        }
    }
}

/// The bytes of manifests and blobs that only artifacts need that go, each counted once.
fn reclaimable(snapshot: CompleteSnapshot<'_>, graph: &ArtifactGraph, fates: &Fates) -> u64 {
    let mut kept: HashSet<&Digest> = HashSet::new();
    let mut freed: HashMap<&Digest, u64> = HashMap::new();
    for node in graph.nodes() {
        let Some(artifact) = snapshot.artifact(graph.digest(node)) else {
            continue;
        };
        let blobs = artifact.blobs.iter().map(|blob| (&blob.digest, blob.size));
        let manifest = artifact.size.map(|size| (&artifact.digest, size));
        let all = manifest.into_iter().chain(blobs);
        if fates.is_gone(node) {
            freed.extend(all);
        } else {
            kept.extend(all.map(|(digest, _)| digest));
        }
    }
    freed
        .iter()
        .filter(|(digest, _)| !kept.contains(*digest))
        .map(|(_, size)| size)
        .sum()
}
