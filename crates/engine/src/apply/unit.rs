//! Units: the manifests of a plan that hang together, and whether they still are what was planned.
//!
//! Actions whose manifests are related form one unit: it is recorded as one group, and either all of it is as it was
//! planned, or nothing in it is touched.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use lagan_model::journal::{Role, Skip};
use lagan_model::{ArtifactGraph, AttachmentForm, DeletesHow, Digest, NodeId, Tag};
use lagan_policy::{Action, Dependent, Holding};

use super::reading::Reading;
use crate::safeguard::{Safeguard, on};

/// A manifest that is to be deleted.
#[derive(Debug, Clone)]
pub(crate) struct Member {
    /// The position of its action in the plan.
    pub action: usize,
    pub digest: Digest,
    pub role: Role,
    /// The tags that the plan saw on it.
    pub tags: BTreeSet<Tag>,
    pub reasons: serde_json::Value,
    /// Whether the plan says that it can be brought back.
    pub undoable: bool,
    /// Where a copy is made before.
    pub holding: Option<Holding>,
}

/// Manifests that are deleted together, in the order of their deletion.
#[derive(Debug, Clone)]
pub(crate) struct Unit {
    pub number: u64,
    pub members: Vec<Member>,
}

/// Why something is left alone.
#[derive(Debug, Clone)]
pub(crate) struct Left {
    pub why: Skip,
    pub detail: String,
}

impl Left {
    pub(crate) fn because(why: Skip, detail: impl Into<String>) -> Self {
        Self {
            why,
            detail: detail.into(),
        }
    }
}

/// The members of an action, in the order of their deletion; none for an untagging.
pub(crate) fn members(position: usize, action: &Action) -> Vec<Member> {
    let Action::Delete {
        digest,
        tags,
        children,
        attachments,
        undo,
        reasons,
        ..
    } = action
    else {
        return Vec::new();
    };
    let reasons = serde_json::to_value(reasons).unwrap_or_default();
    let member = |digest: &Digest, role, tags: &[Tag]| Member {
        action: position,
        digest: digest.clone(),
        role,
        tags: tags.iter().cloned().collect(),
        reasons: reasons.clone(),
        undoable: undo.possible,
        holding: undo.holding.clone(),
    };
    let dependent = |role| {
        let member = &member;
        move |dependent: &Dependent| member(&dependent.digest, role, &dependent.tags)
    };
    std::iter::once(member(digest, Role::Artifact, tags))
        .chain(children.iter().map(dependent(Role::Child)))
        .chain(attachments.iter().map(dependent(Role::Attachment)))
        .collect()
}

/// The units of a plan's actions: those that share relations belong together. Units, and what is in them, keep the
/// order of the plan.
pub(crate) fn units(actions: &[Action], graph: &ArtifactGraph) -> Vec<Unit> {
    let of_action: Vec<Vec<Member>> = actions
        .iter()
        .enumerate()
        .map(|(position, action)| members(position, action))
        .collect();
    let mut owner: HashMap<&Digest, usize> = HashMap::new();
    for member in of_action.iter().flatten() {
        owner.insert(&member.digest, member.action);
    }
    let mut group: Vec<usize> = (0..actions.len()).collect();
    for node in graph.nodes() {
        let Some(mine) = owner.get(graph.digest(node)) else {
            continue;
        };
        let related = graph.children(node).iter().chain(graph.attachments(node));
        for other in related.filter_map(|other| owner.get(graph.digest(*other))) {
            join(&mut group, *mine, *other);
        }
    }
    let mut units: BTreeMap<usize, Vec<Member>> = BTreeMap::new();
    for members in of_action.into_iter().filter(|members| !members.is_empty()) {
        let root = find(&mut group, members[0].action);
        units.entry(root).or_default().extend(members);
    }
    units
        .into_iter()
        .map(|(root, members)| Unit {
            number: root as u64,
            members,
        })
        .collect()
}

fn find(group: &mut [usize], mut at: usize) -> usize {
    while group[at] != at {
        group[at] = group[group[at]];
        at = group[at];
    }
    at
}

fn join(group: &mut [usize], a: usize, b: usize) {
    let (a, b) = (find(group, a), find(group, b));
    // The first action leads, so that the order of units is that of the plan.
    group[a.max(b)] = a.min(b);
}

/// Whether a unit is still what was planned, and nothing that stays depends on it. `deleted` is what this run has
/// deleted already: an API may list it a little longer as attached. What the reading shows to be there, or to be needed,
/// stays all the same: somebody pushed it again, or what lists it.
pub(crate) fn check(
    members: &[Member],
    reading: &Reading,
    deleted: &BTreeSet<Digest>,
    how: DeletesHow,
) -> Result<(), Left> {
    let inside: BTreeSet<&Digest> = members.iter().map(|member| &member.digest).collect();
    let is_gone = |digest: &Digest| {
        deleted.contains(digest) && !is_shown(digest, reading, |other| inside.contains(other))
    };
    let outside = |digest: &Digest| !inside.contains(digest) && !is_gone(digest);
    // What a run left below an index that is gone has none, and is no artifact any more.
    let has_tags = members.iter().any(|member| !member.tags.is_empty());
    let mut present = 0;
    for member in members {
        let digest = &member.digest;
        if reading.absent.contains(digest) {
            continue;
        }
        present += 1;
        let tags = reading.tags_on(digest);
        let is_same = tags == member.tags || how.takes_along && adds_its_own(member, &tags, &inside);
        if on(Safeguard::UnitUnchanged) && !is_same {
            let detail = format!(
                "the tags on {digest} were {}, and are {}",
                names(&member.tags),
                names(&tags)
            );
            return Err(Left::because(Skip::Changed, detail));
        }
        if on(Safeguard::StillReferenced) {
            let parents = reading.related(digest, ArtifactGraph::parents);
            if let Some(parent) = parents.into_iter().find(|parent| outside(parent)) {
                let detail = format!("{parent}, which stays, lists {digest}");
                return Err(Left::because(Skip::Referenced, detail));
            }
            let subjects = reading.related(digest, ArtifactGraph::subjects);
            let stays = |subject: &Digest| outside(subject) && !reading.absent.contains(subject);
            if let Some(subject) = subjects.into_iter().find(stays) {
                let detail = format!("{digest} is attached to {subject}, which stays");
                return Err(Left::because(Skip::Referenced, detail));
            }
        }
        if on(Safeguard::UnitUnchanged) {
            let attachments = reading.related(digest, ArtifactGraph::attachments);
            if let Some(attachment) = attachments.into_iter().find(|other| outside(other)) {
                let detail = format!("{attachment} was attached to {digest} since the plan was made");
                return Err(Left::because(Skip::Changed, detail));
            }
        }
        // A plan that knew says so, and nobody counts on it.
        let missing = reading.related(digest, ArtifactGraph::children).into_iter();
        let mut missing = missing.filter(|child| reading.absent.contains(child) && !deleted.contains(child));
        if member.undoable
            && has_tags
            && on(Safeguard::UnitUnchanged)
            && let Some(child) = missing.next()
        {
            let detail =
                format!("its child {child} is gone: many registries would not take {digest} back without it");
            return Err(Left::because(Skip::Changed, detail));
        }
        if how.takes_along
            && on(Safeguard::StillReferenced)
            && let Some(child) = taken_along(digest, reading, &outside).into_iter().next()
        {
            let detail = format!("the registry would delete {child} with {digest}, which lists it");
            return Err(Left::because(Skip::Referenced, detail));
        }
        if !reading.manifests.contains_key(digest) {
            let detail = format!("the manifest {digest} could not be read");
            return Err(Left::because(Skip::Incomplete, detail));
        }
    }
    if present == 0 {
        return Err(Left::because(Skip::Gone, "all of it is gone already"));
    }
    Ok(())
}

/// Whether something that was deleted is there again, or listed by what has a tag and is not `going`.
pub(crate) fn is_shown(digest: &Digest, reading: &Reading, going: impl Fn(&Digest) -> bool) -> bool {
    let graph = &reading.graph;
    let Some(node) = reading.node(digest) else {
        return false;
    };
    let (mut work, mut seen) = (vec![node], HashSet::from([node]));
    while let Some(above) = work.pop() {
        if above == node && graph.is_read(node) {
            return true;
        }
        let parents = graph.parents(above).iter().copied();
        let parents = parents.filter(|parent| !going(graph.digest(*parent)));
        for parent in parents.filter(|parent| seen.insert(*parent)) {
            if graph.tags(parent).len() > 0 {
                return true;
            }
            work.push(parent);
        }
    }
    false
}

/// Whether an attachment has, beside the tags that the plan saw, only such as say what it is attached to: a registry
/// that keeps a list of attachments hides these from whoever plans.
fn adds_its_own(member: &Member, tags: &BTreeSet<Tag>, inside: &BTreeSet<&Digest>) -> bool {
    let says_subject =
        |tag: &Tag| AttachmentForm::of(tag).is_some_and(|(_, subject)| inside.contains(&subject));
    member.role == Role::Attachment
        && member.tags.is_subset(tags)
        && tags.difference(&member.tags).all(says_subject)
}

/// What is outside the unit, and a registry that takes along would delete with an index in it: what has no tag, and no
/// index lists that stays.
fn taken_along(digest: &Digest, reading: &Reading, outside: &dyn Fn(&Digest) -> bool) -> Vec<Digest> {
    let stays = |parent: &Digest| outside(parent) && !reading.absent.contains(parent);
    let mut children = reading.related(digest, ArtifactGraph::children);
    children.retain(|child| {
        let parents = reading.related(child, ArtifactGraph::parents);
        outside(child)
            && !reading.absent.contains(child)
            && reading.tags_on(child).is_empty()
            && !parents.iter().any(stays)
    });
    children
}

/// How many artifacts there are that limits count: tagged, attached to nothing, and not about to go.
pub(crate) fn counted(reading: &Reading, may_go: impl Fn(&Digest) -> bool) -> u64 {
    let graph = &reading.graph;
    let stays = |node: &NodeId| !may_go(graph.digest(*node));
    let counted = graph.nodes().filter(|node| is_counted(reading, *node));
    counted.filter(stays).count() as u64
}

/// Why something stays where too little would.
pub(crate) fn too_few(least: u64) -> Left {
    let detail = format!("fewer than {least} tagged artifacts would stay in the repository");
    Left::because(Skip::KeepAtLeast, detail)
}

/// How many of a unit's manifests limits count.
pub(crate) fn counted_in(members: &[Member], reading: &Reading) -> u64 {
    let nodes = members.iter().filter_map(|member| reading.node(&member.digest));
    nodes.filter(|node| is_counted(reading, *node)).count() as u64
}

fn is_counted(reading: &Reading, node: NodeId) -> bool {
    let tags = reading.tags_on(reading.graph.digest(node));
    reading.graph.subjects(node).is_empty() && tags.iter().any(|tag| AttachmentForm::of(tag).is_none())
}

fn names(tags: &BTreeSet<Tag>) -> String {
    if tags.is_empty() {
        return "none".to_owned();
    }
    let names: Vec<&str> = tags.iter().map(Tag::as_str).collect();
    names.join(", ")
}
