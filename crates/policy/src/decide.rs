//! The decision about one repository: by names alone where these show that nothing can be deleted, else by the
//! artifacts that the tags are on.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use lagan_model::{
    ArtifactGraph, AttachmentForm, Capabilities, Capability, CompleteSnapshot, Digest, MediaType, NodeId,
    Tag, Time,
};

use crate::clocks::Clocks;
use crate::document::RepositoryPolicies;
use crate::facts::Facts;
use crate::needs::Needs;
use crate::reason::Reason;
use crate::relations::{Fate, Fates, Own, attachments, is_lost, is_unseen};
use crate::untagged::Untagged;
use crate::version::TagReading;
use crate::votes::{Artifacts, Ballot};

/// How much is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Depth {
    /// What a report needs: image manifests that go because an index or a subject does are listed as what names
    /// them says, and not read. Reading them can only keep more.
    Enough,
    /// All that decides, as whoever deletes must have read it.
    Exact,
    /// Every tag's manifest, so that all relations can be told.
    Everything,
    /// Every manifest there is, so that bytes can be counted.
    Bytes,
}

/// What a decision depends on besides policies and facts.
#[derive(Debug, Clone, Copy)]
pub struct Context {
    /// The clock of all rules.
    pub now: Time,
    /// What the registry was seen to offer.
    pub capabilities: Capabilities,
    /// How much is looked at.
    pub depth: Depth,
}

/// The answer of [`decide`].
#[derive(Debug)]
pub enum Step {
    /// These facts have to be known first.
    Missing(Needs),
    /// Decided.
    Decided(Box<Decisions>),
}

/// What happens to a tag.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Verdict {
    /// It stays.
    Keep,
    /// It goes, with its artifact.
    Delete,
    /// It goes, its artifact stays.
    Untag,
}

/// The decision about one tag.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    /// What happens to it.
    pub verdict: Verdict,
    /// Every reason that applies, those that keep first; at least one of these if it is kept.
    pub reasons: Vec<Reason>,
}

/// The decisions about one repository.
#[derive(Debug)]
pub struct Decisions {
    /// One for each tag of the snapshot, in its order.
    pub tags: Vec<Decision>,
    /// One for each artifact that the registry lists without a tag, and that belongs to nothing else; by node.
    pub(crate) untagged: Vec<Untagged>,
    /// Which artifacts a rule dooms for themselves, by a tag or without one, by node.
    pub(crate) roots: Vec<bool>,
    /// How the artifacts hang together; `None` where names alone showed that nothing can be deleted.
    pub(crate) related: Option<(ArtifactGraph, Fates)>,
}

impl Decisions {
    /// What was said of an artifact without a tag.
    pub(crate) fn untagged_at(&self, node: NodeId) -> Option<&Untagged> {
        let position = self.untagged.binary_search_by_key(&node, |said| said.node).ok()?;
        self.untagged.get(position)
    }

    /// How the artifacts hang together; `None` where names alone showed that nothing can be deleted.
    #[must_use]
    pub fn graph(&self) -> Option<&ArtifactGraph> {
        self.related.as_ref().map(|(graph, _)| graph)
    }
}

/// Decides about a repository, or says what has to be known first.
///
/// Ask again with the facts added, until decided. Each answer asks for something that the snapshot does not have,
/// so that this ends.
#[must_use]
pub fn decide(policies: &RepositoryPolicies<'_>, snapshot: CompleteSnapshot<'_>, context: &Context) -> Step {
    match step(policies, snapshot, context) {
        Step::Missing(mut needs) => {
            needs.labels = policies.read_labels();
            Step::Missing(needs)
        }
        decided @ Step::Decided(_) => decided,
    }
}

fn step(policies: &RepositoryPolicies<'_>, snapshot: CompleteSnapshot<'_>, context: &Context) -> Step {
    let readings: Vec<TagReading> = snapshot
        .tags()
        .iter()
        .map(|listed| policies.versions().read(&listed.tag))
        .collect();
    let judge = Judge {
        ballot: Ballot {
            policies,
            snapshot,
            now: context.now,
            readings: &readings,
        },
        context,
    };
    let untagged = judge.ballot.reaches_untagged();
    if snapshot.is_resolved() && (untagged || !snapshot.tags().is_empty()) {
        return judge.by_artifacts(untagged);
    }
    if !untagged
        && (context.depth != Depth::Everything || snapshot.tags().is_empty())
        && let Some(decisions) = judge.by_names()
    {
        return Step::Decided(Box::new(decisions));
    }
    Step::Missing(Needs {
        tags: true,
        ..Needs::default()
    })
}

struct Judge<'a> {
    ballot: Ballot<'a>,
    context: &'a Context,
}

impl<'a> Judge<'a> {
    fn tag(&self, position: usize) -> &'a Tag {
        self.ballot.tag(position)
    }

    /// Decides by the names of the tags, if these show that nothing can be deleted.
    ///
    /// Every tag counts for itself here. Sharing places can only improve ranks, and relations only keep, so that
    /// what is not a candidate by its name is none at all.
    fn by_names(&self) -> Option<Decisions> {
        let votes = self.ballot.votes(None, &mut Needs::default());
        if votes.own.contains(&Own::Doom) {
            return None;
        }
        let tags = votes
            .reasons
            .into_iter()
            .zip(votes.own)
            .enumerate()
            .map(|(position, (mut reasons, own))| {
                if own == Own::Follow {
                    // Nothing goes, so what it is attached to stays.
                    reasons.extend(
                        self.named_subject(position)
                            .map(|subject| Reason::AttachedTo { subject, tag: None }),
                    );
                }
                Decision {
                    verdict: Verdict::Keep,
                    reasons,
                }
            })
            .collect();
        Some(Decisions {
            tags,
            untagged: Vec::new(),
            roots: Vec::new(),
            related: None,
        })
    }

    fn named_subject(&self, position: usize) -> Option<Digest> {
        AttachmentForm::of(self.tag(position)).map(|(_, subject)| subject)
    }

    /// Decides with the digest of every tag known.
    fn by_artifacts(&self, reaches_untagged: bool) -> Step {
        let snapshot = self.ballot.snapshot;
        let graph = ArtifactGraph::of(snapshot);
        let mut needs = Needs::default();
        if reaches_untagged && !snapshot.is_untagged_confirmed() {
            needs.untagged = true;
            return Step::Missing(needs);
        }
        let unread = |wanted: &dyn Fn(NodeId, Option<&MediaType>) -> bool| -> BTreeSet<Digest> {
            graph
                .nodes()
                .filter(|node| !graph.is_read(*node))
                .filter(|node| wanted(*node, graph.described(*node).media_type.as_ref()))
                .map(|node| graph.digest(node))
                .filter(|digest| !snapshot.is_absent(digest))
                .cloned()
                .collect()
        };
        // An index in an index has children of its own, which it keeps, or takes along.
        needs.manifests = unread(&|_, media_type| media_type.is_some_and(MediaType::is_index));
        // What attachments hang on and was here once may be there still, without a tag.
        let unsure = graph
            .nodes()
            .map(|node| (node, graph.digest(node)))
            .filter(|(node, digest)| {
                snapshot.is_remembered(digest) && !snapshot.is_absent(digest) && is_unseen(&graph, *node)
            });
        needs.manifests.extend(unsure.map(|(_, digest)| digest.clone()));
        if reaches_untagged {
            needs.manifests.extend(self.ballot.unread_untagged().cloned());
        }
        if !needs.is_empty() {
            return Step::Missing(needs);
        }
        let attachment = attachments(&graph, self.ballot.readings);
        let clocks = Clocks::new(snapshot, self.context.now);
        let facts = Facts::new(snapshot, &graph, self.context.capabilities.referrers);
        let artifacts = Artifacts {
            graph: &graph,
            attachment: &attachment,
            clocks: &clocks,
            facts: &facts,
        };
        let votes = self.ballot.votes(Some(artifacts), &mut needs);
        let mut untagged = if reaches_untagged {
            self.ballot.untagged_votes(artifacts, &mut needs)
        } else {
            Vec::new()
        };
        if !needs.is_empty() {
            return Step::Missing(needs);
        }
        let fates = Fates::of(&graph, snapshot, &votes.own, &untagged, attachment.clone());
        let tags: Vec<Decision> = votes
            .reasons
            .into_iter()
            .zip(&votes.own)
            .enumerate()
            .map(|(position, (reasons, own))| {
                self.settle(&graph, &fates, &votes.own, position, *own, reasons)
            })
            .collect();
        for said in &mut untagged {
            if !fates.is_gone(said.node) {
                let behind = said.reasons.iter().take_while(|reason| reason.keeps()).count();
                said.reasons
                    .splice(behind..behind, self.relations(&graph, &fates, said.node));
            }
        }
        let touched = || {
            graph.nodes().filter(|node| {
                fates.is_gone(*node) || graph.tags(*node).any(|tag| tags[tag].verdict != Verdict::Keep)
            })
        };
        if self.context.capabilities.referrers != Capability::NotOffered {
            // Where the registry lists what is attached along with each artifact, what it lists of others is enough to
            // report.
            let listed = snapshot.accessories().next().is_some() && self.context.depth == Depth::Enough;
            needs.referrers = touched()
                .filter(|node| !listed || graph.is_read(*node))
                .map(|node| graph.digest(node))
                .filter(|digest| snapshot.referrers(digest).is_none())
                .cloned()
                .collect();
        }
        if touched().next().is_some() {
            // Children that a registry does not tell the types of may list others.
            if self.context.depth != Depth::Enough {
                let untold =
                    unread(&|node, media_type| media_type.is_none() && !graph.parents(node).is_empty());
                needs.manifests.extend(untold);
            }
            // An index that lost its tag may still be there, and list what would go.
            needs.manifests.extend(
                snapshot
                    .remembered_indexes()
                    .filter(|digest| snapshot.artifact(digest).is_none() && !snapshot.is_absent(digest))
                    .cloned(),
            );
        }
        // An attachment that follows what goes was no candidate itself, and may be protected for itself.
        for (position, decision) in tags.iter().enumerate() {
            if votes.own[position] == Own::Follow
                && decision.verdict != Verdict::Keep
                && let Some(node) = graph.node_of_tag(position)
            {
                self.ballot
                    .protections_by_facts(node, artifacts, Some(&mut needs));
            }
        }
        if !needs.is_empty() {
            return Step::Missing(needs);
        }
        // What goes because an index or a subject does may itself be attached to something that stays: only its
        // manifest tells.
        needs.manifests = match self.context.depth {
            Depth::Enough => {
                unread(&|node, media_type| {
                    // What a registry tells without a type is no index: it would have said so.
                    fates.is_gone(node)
                        && media_type.is_some_and(|media_type| !media_type.is_image_manifest())
                })
            }
            Depth::Exact | Depth::Everything => unread(&|node, _| fates.is_gone(node)),
            Depth::Bytes if touched().next().is_some() => {
                unread(&|node, media_type| media_type.is_some() || !is_unseen(&graph, node))
            }
            Depth::Bytes => BTreeSet::new(),
        };
        if self.context.depth == Depth::Bytes && touched().next().is_some() {
            let artifacts = snapshot.artifacts().filter(|artifact| artifact.size.is_none());
            needs.contents = artifacts.map(|artifact| artifact.digest.clone()).collect();
        }
        if !needs.is_empty() {
            return Step::Missing(needs);
        }
        let mut roots: Vec<bool> = graph
            .nodes()
            .map(|node| graph.tags(node).any(|tag| votes.own[tag] == Own::Doom))
            .collect();
        for said in &untagged {
            roots[said.node.index()] |= said.doomed;
        }
        Step::Decided(Box::new(Decisions {
            tags,
            untagged,
            roots,
            related: Some((graph, fates)),
        }))
    }

    /// A tag's decision, from what it says itself and what becomes of its artifact.
    fn settle(
        &self,
        graph: &ArtifactGraph,
        fates: &Fates,
        own: &[Own],
        position: usize,
        says: Own,
        mut reasons: Vec<Reason>,
    ) -> Decision {
        let Some(node) = graph.node_of_tag(position) else {
            return Decision {
                verdict: Verdict::Keep,
                reasons,
            };
        };
        if fates.is_gone(node) {
            if says == Own::Follow {
                let subjects: BTreeSet<Digest> = graph
                    .subjects(node)
                    .iter()
                    .map(|subject| graph.digest(*subject).clone())
                    // A tag can name the very digest that it is on, which is no relation.
                    .chain(self.named_subject(position))
                    .collect();
                reasons.extend(
                    subjects
                        .into_iter()
                        .map(|subject| Reason::DeletedWithSubject { subject }),
                );
            }
            return Decision {
                verdict: Verdict::Delete,
                reasons,
            };
        }
        let mut relations = self.relations(graph, fates, node);
        let kept_neighbour = graph
            .tags(node)
            .find(|tag| *tag != position && own[*tag] == Own::Keep);
        let single =
            self.context.capabilities.delete_tag == Capability::Offered && self.ballot.policies.may_untag();
        if says == Own::Doom && relations.is_empty() && kept_neighbour.is_some() && single {
            return Decision {
                verdict: Verdict::Untag,
                reasons,
            };
        }
        if says == Own::Doom && !single || says == Own::Follow && relations.is_empty() {
            relations.extend(kept_neighbour.map(|tag| Reason::SharesDigest {
                with: self.tag(tag).clone(),
            }));
        }
        if says == Own::Follow && relations.is_empty() {
            let lost = graph
                .subjects(node)
                .iter()
                .filter(|subject| is_lost(graph, self.ballot.snapshot, **subject));
            relations.extend(lost.map(|subject| Reason::SubjectGone {
                subject: graph.digest(*subject).clone(),
            }));
        }
        if says == Own::Follow && relations.is_empty() {
            // Attached to itself, or in a ring: nothing doomed it.
            relations.extend(
                self.named_subject(position)
                    .map(|subject| Reason::SubjectUnseen { subject }),
            );
        }
        // Keeping reasons first; what would have deleted the tag stands behind them.
        let behind = reasons
            .iter()
            .position(|reason| !reason.keeps())
            .unwrap_or(reasons.len());
        reasons.splice(behind..behind, relations);
        Decision {
            verdict: Verdict::Keep,
            reasons,
        }
    }

    /// What was put back, has no tag on which that could be told, and keeps what belongs to it.
    fn held_above(&self, graph: &ArtifactGraph, node: NodeId) -> Vec<Reason> {
        // This is asked for every tag that stays.
        if !self.ballot.snapshot.has_held() {
            return Vec::new();
        }
        let above = |node| graph.parents(node).iter().chain(graph.subjects(node)).copied();
        let (mut seen, mut work, mut held) = (HashSet::from([node]), vec![node], BTreeMap::new());
        while let Some(node) = work.pop() {
            for above in above(node).filter(|above| seen.insert(*above)) {
                let digest = graph.digest(above);
                if let (Some(until), 0) = (self.ballot.snapshot.held(digest), graph.tags(above).len()) {
                    held.insert(digest.clone(), until);
                }
                work.push(above);
            }
        }
        let reason = |(with, until)| Reason::Held {
            until,
            with: Some(with),
        };
        held.into_iter().map(reason).collect()
    }

    /// What keeps an artifact for the sake of others.
    fn relations(&self, graph: &ArtifactGraph, fates: &Fates, node: NodeId) -> Vec<Reason> {
        let first_tag = |node: NodeId| graph.tags(node).next().map(|tag| self.tag(tag).clone());
        let mut relations = self.held_above(graph, node);
        for parent in graph
            .parents(node)
            .iter()
            .filter(|parent| fates.is_kept(**parent))
        {
            relations.push(Reason::ChildOf {
                index: graph.digest(*parent).clone(),
                tag: first_tag(*parent),
            });
        }
        for subject in graph.subjects(node) {
            let digest = graph.digest(*subject).clone();
            match fates.fate(*subject) {
                Fate::Kept => relations.push(Reason::AttachedTo {
                    subject: digest,
                    tag: first_tag(*subject),
                }),
                // For its sake nothing is kept.
                Fate::Unseen if is_lost(graph, self.ballot.snapshot, *subject) => {}
                Fate::Unseen => relations.push(Reason::SubjectUnseen { subject: digest }),
                Fate::Gone => {}
            }
        }
        for attachment in graph.attachments(node) {
            // One that is itself only kept because this artifact is says nothing.
            if fates.is_kept(*attachment) && fates.is_kept_without(graph, *attachment, node) {
                relations.push(Reason::SubjectOf {
                    attachment: graph.digest(*attachment).clone(),
                    tag: first_tag(*attachment),
                });
            }
        }
        relations
    }
}
