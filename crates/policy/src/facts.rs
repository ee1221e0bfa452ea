//! What rules and protections ask of artifacts beside their tags: labels, types, signatures, subjects that are gone.

use std::collections::HashSet;

use lagan_model::{
    ArtifactGraph, AttachmentForm, Capability, CompleteSnapshot, Digest, Fact, Labels as Known, NodeId,
    Unknown,
};

use crate::document::{Labels, Select};
use crate::needs::Needs;
use crate::select::is_labelled;

/// How deep indexes are followed: an index of indexes is as deep as anybody builds.
const MAX_DEPTH: usize = 4;

/// An answer; `None` where facts are missing, which were added to the needs.
pub(crate) type Told = Option<Fact<bool>>;

/// Types of what is attached to an artifact to sign it, the last by Harbor's own name. What may be a signature counts
/// as one: this only keeps.
const SIGNATURES: [&str; 5] = [
    "application/vnd.dev.cosign.artifact.sig.v1+json",
    "application/vnd.dev.cosign.simplesigning.v1+json",
    "application/vnd.cncf.notary.signature",
    "application/vnd.dev.sigstore.bundle",
    "signature.",
];

/// What Harbor calls whatever it found attached and does not know: it may be a signature.
const UNTOLD: &str = "subject.accessory";

/// The facts of one repository, once the digest of every tag is known.
pub(crate) struct Facts<'b> {
    snapshot: CompleteSnapshot<'b>,
    graph: &'b ArtifactGraph,
    /// Whether the registry answers for referrers.
    referrers: Capability,
    /// What answers for referrers call a signature.
    signatures: HashSet<&'b Digest>,
    /// What the registry records as attached and calls something else.
    others: HashSet<&'b Digest>,
}

impl<'b> Facts<'b> {
    pub(crate) fn new(
        snapshot: CompleteSnapshot<'b>,
        graph: &'b ArtifactGraph,
        referrers: Capability,
    ) -> Self {
        let answers = snapshot.all_referrers().flat_map(|(_, referrers)| referrers);
        let signatures = answers
            .filter(|referrer| referrer.artifact_type.as_deref().is_some_and(signs))
            .map(|referrer| &referrer.digest);
        let accessories = || snapshot.accessories().flat_map(|(_, accessories)| accessories);
        let called = accessories().filter(|accessory| signs(&accessory.kind));
        let others = accessories().filter(|accessory| !signs(&accessory.kind) && accessory.kind != UNTOLD);
        Self {
            snapshot,
            graph,
            referrers,
            signatures: signatures
                .chain(called.map(|accessory| &accessory.digest))
                .collect(),
            others: others.map(|accessory| &accessory.digest).collect(),
        }
    }

    /// Whether an artifact meets the conditions of a selection that names do not tell, but for `superseded`.
    pub(crate) fn meets(&self, select: &Select, node: NodeId, needs: &mut Needs) -> Told {
        let digest = self.graph.digest(node);
        if select.orphaned {
            match self.is_orphaned(node, needs) {
                Some(Fact::Known(true)) => {}
                other => return other,
            }
        }
        if !select.media_type.is_empty() || !select.artifact_type.is_empty() {
            let Some(artifact) = self.snapshot.artifact(digest) else {
                return Some(Fact::Unknown(Unknown::Missing));
            };
            let media_type = select.media_type.is_empty()
                || select
                    .media_type
                    .iter()
                    .any(|glob| glob.matches(artifact.media_type.as_str()));
            let kind = select.artifact_type.is_empty()
                || artifact
                    .kind()
                    .is_some_and(|kind| select.artifact_type.iter().any(|glob| glob.matches(kind)));
            if !media_type || !kind {
                return Some(Fact::Known(false));
            }
        }
        self.has_labels(&select.labels, digest, needs)
    }

    /// Whether an artifact has all of these labels: by its annotations, the registry, its configuration, or, for an
    /// index, those of what it lists.
    pub(crate) fn has_labels(&self, wanted: &Labels, digest: &Digest, needs: &mut Needs) -> Told {
        if wanted.is_empty() {
            return Some(Fact::Known(true));
        }
        let mut found = Found::default();
        self.collect(digest, MAX_DEPTH, &mut found);
        // What is there is there, whatever else is not known: nothing more has to be read.
        if is_labelled(wanted, found.labels.iter().copied()) {
            return Some(Fact::Known(true));
        }
        if !found.needs.is_empty() {
            needs.manifests.append(&mut found.needs.manifests);
            needs.config_labels.append(&mut found.needs.config_labels);
            return None;
        }
        Some(found.unknown.map_or(Fact::Known(false), Fact::Unknown))
    }

    fn collect(&self, digest: &Digest, depth: usize, found: &mut Found<'b>) {
        found.labels.extend(self.snapshot.registry_labels(digest));
        let Some(artifact) = self.snapshot.artifact(digest) else {
            if depth == 0 {
                found.unknown = Some(Unknown::Missing);
            } else if !self.snapshot.is_absent(digest) {
                found.needs.manifests.insert(digest.clone());
            }
            return;
        };
        match &artifact.annotations {
            Some(annotations) => found.labels.push(annotations),
            None => found.unknown = Some(Unknown::Missing),
        }
        if let Some(image) = self.snapshot.image(digest) {
            match &image.labels {
                Fact::Known(labels) => found.labels.push(labels),
                Fact::Unknown(why) => found.unknown = Some(*why),
            }
        } else if let Some(config) = &artifact.image_config {
            match self.snapshot.config_labels(&config.digest) {
                None => drop(found.needs.config_labels.insert(config.digest.clone())),
                Some(Fact::Known(labels)) => found.labels.push(labels),
                Some(Fact::Unknown(why)) => found.unknown = Some(*why),
            }
        }
        for child in &artifact.children {
            match depth.checked_sub(1) {
                Some(depth) => self.collect(&child.digest, depth, found),
                None => found.unknown = Some(Unknown::Missing),
            }
        }
    }

    /// Whether a signature is attached to an artifact, or to something that it lists.
    pub(crate) fn is_signed(&self, node: NodeId, needs: &mut Needs) -> Option<bool> {
        let mut work = vec![(node, MAX_DEPTH)];
        let (mut unasked, mut unread) = (Vec::new(), Vec::new());
        while let Some((node, depth)) = work.pop() {
            for attachment in self.graph.attachments(node) {
                match self.is_signature(*attachment) {
                    Some(true) => return Some(true),
                    Some(false) => {}
                    None => unread.push(self.graph.digest(*attachment).clone()),
                }
            }
            let digest = self.graph.digest(node);
            if self.referrers != Capability::NotOffered && self.snapshot.referrers(digest).is_none() {
                unasked.push(digest.clone());
            }
            if let Some(depth) = depth.checked_sub(1) {
                work.extend(self.graph.children(node).iter().map(|child| (*child, depth)));
            }
        }
        if unasked.is_empty() && unread.is_empty() {
            return Some(false);
        }
        needs.referrers.extend(unasked);
        needs.manifests.extend(unread);
        None
    }

    /// Whether what is attached is a signature; `None` where nobody has said what it is.
    fn is_signature(&self, node: NodeId) -> Option<bool> {
        let named = self.graph.tags(node).any(|tag| {
            let tag = &self.snapshot.tags()[tag].tag;
            matches!(AttachmentForm::of(tag), Some((AttachmentForm::Signature, _)))
        });
        let digest = self.graph.digest(node);
        if named || self.signatures.contains(digest) {
            return Some(true);
        }
        match self.snapshot.artifact(digest) {
            Some(artifact) => Some(artifact.kind().is_some_and(signs)),
            None if self.others.contains(digest) => Some(false),
            None => self.snapshot.is_absent(digest).then_some(false),
        }
    }

    /// Whether an artifact is attached to things that were here once and are no more, and to nothing else.
    pub(crate) fn is_orphaned(&self, node: NodeId, needs: &mut Needs) -> Told {
        let subjects = self.graph.subjects(node);
        if subjects.is_empty() {
            return Some(Fact::Known(false));
        }
        let mut pending = false;
        for subject in subjects {
            let digest = self.graph.digest(*subject);
            if !self.snapshot.is_remembered(digest) || self.snapshot.artifact(digest).is_some() {
                return Some(Fact::Known(false));
            }
            if !self.snapshot.is_absent(digest) {
                needs.manifests.insert(digest.clone());
                pending = true;
            }
        }
        (!pending).then_some(Fact::Known(true))
    }
}

fn signs(kind: &str) -> bool {
    SIGNATURES.iter().any(|known| kind.starts_with(known))
}

/// Where labels were found, and what is missing of them.
#[derive(Default)]
struct Found<'b> {
    labels: Vec<&'b Known>,
    unknown: Option<Unknown>,
    needs: Needs,
}
