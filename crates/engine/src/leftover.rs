//! What a run that was interrupted left below something it had deleted: no tag leads there any more, no listing shows
//! it, and only the journal knows that it was to go.
//!
//! It is handed to the plan of its repository, so that the limits, the approval and the looks right before a deletion are
//! those of everything else. It stays where something that is there lists it, where a tag is on it by now, and where a
//! policy protects by what only a plan finds out.
//!
//! What has been gone since, and is there again, somebody pushed or put back: no policy asked for that to go. The journal
//! knows of it where a later run took it; where others did, nobody does, so that what was left long ago is left alone.

use std::collections::{BTreeMap, BTreeSet};

use chrono::TimeDelta;
use lagan_model::journal::{
    DeleteIntent, DeleteResult, Journal, JournalError, JournalStore, Outcome, Purpose, Record, Role,
    Sequence, Skip,
};
use lagan_model::{Clock, Digest, Reference, RegistryError, RegistryWrite, RepositoryName};
use lagan_policy::{Action, Dependent, Evidence, RepositoryPlan, RepositoryPolicies, Undo};

use crate::apply::DELETIONS_PER_READING;
use crate::apply::reading::Reader;
use crate::apply::unit::{check, members};
use crate::chronicle::Chronicle;
use crate::memory::Memory;
use crate::recover::LeftOut;
use crate::safeguard::{Safeguard, on};
use crate::turns::Turns;
use crate::world::World;

/// The name by which the end of a run says how much it left.
pub(crate) const LEFT: &str = "left";

/// How many manifests of one repository are handed on at the most: what is left waits for the next run.
const MOST: usize = DELETIONS_PER_READING;

/// How long what was left is taken: a policy that runs once a month has had its turn by then.
pub(crate) const LONGEST_LEFT: TimeDelta = TimeDelta::days(40);

/// A manifest of a repository.
type Place = (RepositoryName, Digest);

/// What was left, and can be taken.
#[derive(Debug, Default)]
pub struct Leftovers {
    actions: BTreeMap<RepositoryName, Vec<Action>>,
    /// What could not be looked at.
    pub problems: Vec<String>,
}

/// Where to look, and with what.
pub struct LeftoverRequest<'a> {
    /// What is known of earlier runs: indexes that lost their tag may still be there.
    pub memory: Memory<'a>,
    /// What earlier deletions may still take.
    pub in_doubt: &'a LeftOut,
    /// The repositories that are planned for.
    pub of: &'a (dyn Fn(&RepositoryName) -> bool + Sync),
}

impl std::fmt::Debug for LeftoverRequest<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LeftoverRequest")
            .field("memory", &self.memory)
            .field("in_doubt", &self.in_doubt)
            .finish_non_exhaustive()
    }
}

/// Finds what was left and is there, and what nothing speaks for. What the registry does not answer is among the problems.
///
/// # Errors
///
/// When the journal cannot be read.
pub async fn leftovers<R: RegistryWrite, S: JournalStore, C: Clock>(
    world: World<'_, R, S, C>,
    chronicle: &Chronicle,
    request: &LeftoverRequest<'_>,
) -> Result<Leftovers, JournalError> {
    let mut left: BTreeMap<RepositoryName, BTreeMap<Digest, (Sequence, DeleteIntent)>> = BTreeMap::new();
    let mut since: BTreeMap<Place, Sequence> = BTreeMap::new();
    let now = world.clock.now();
    for sequence in chronicle.left() {
        let (_, Record::Delete(intent)) = world.journal.read(sequence).await? else {
            continue;
        };
        let is_recent = (now - intent.at).abs() <= LONGEST_LEFT;
        let is_asked = is_recent && (request.of)(&intent.repository);
        if is_asked && !request.in_doubt.has(&intent.repository, &intent.digest, []) {
            let place = (intent.repository.clone(), intent.digest.clone());
            let last = since.entry(place).or_insert(sequence);
            *last = sequence.max(*last);
            let here = left.entry(intent.repository.clone()).or_default();
            here.insert(intent.digest.clone(), (sequence, intent));
        }
    }
    let mut leftovers = Leftovers::default();
    for (repository, intents) in left {
        match free(world, request, &repository, intents).await {
            Ok(actions) if actions.is_empty() => {}
            Ok(actions) => {
                leftovers.actions.insert(repository, actions);
            }
            Err(error) => leftovers.problems.push(error.to_string()),
        }
    }
    if leftovers.actions.is_empty() {
        return Ok(leftovers);
    }
    let gone = gone_since(world.journal, chronicle, &since).await?;
    for (repository, actions) in &mut leftovers.actions {
        let is_gone = |digest| gone.contains(&(repository.clone(), digest));
        actions.retain(|action| {
            !members(0, action)
                .into_iter()
                .any(|member| is_gone(member.digest))
        });
    }
    leftovers.actions.retain(|_, actions| !actions.is_empty());
    Ok(leftovers)
}

/// Those of some manifests that a run deleted after they were left.
async fn gone_since<S: JournalStore>(
    journal: &Journal<S>,
    chronicle: &Chronicle,
    left: &BTreeMap<Place, Sequence>,
) -> Result<BTreeSet<Place>, JournalError> {
    let (mut gone, mut turns) = (BTreeSet::new(), Turns::default());
    let first = left.values().min().copied().unwrap_or(Sequence(0));
    for (run, here) in chronicle.runs() {
        if !matches!(here.purpose, Purpose::Apply { .. }) {
            continue;
        }
        let bounds = journal.store().bounds_of(run).await?;
        if bounds.is_none_or(|(_, last)| last < first) {
            continue;
        }
        let mut intended: BTreeMap<Sequence, Place> = BTreeMap::new();
        for sequence in journal.store().entries_of(run).await? {
            turns.next().await;
            match journal.read(sequence).await?.1 {
                Record::Delete(intent) => {
                    let place = (intent.repository, intent.digest);
                    if left.get(&place).is_some_and(|left| *left < sequence) {
                        intended.insert(sequence, place);
                    }
                }
                Record::Outcome(outcome) if outcome.result == DeleteResult::Deleted => {
                    gone.extend(intended.remove(&outcome.intent));
                }
                _ => {}
            }
        }
    }
    Ok(gone)
}

/// What of a repository can go: what hangs together is one action.
async fn free<R: RegistryWrite, S: JournalStore, C: Clock>(
    world: World<'_, R, S, C>,
    request: &LeftoverRequest<'_>,
    repository: &RepositoryName,
    intents: BTreeMap<Digest, (Sequence, DeleteIntent)>,
) -> Result<Vec<Action>, RegistryError> {
    let mut order: Vec<(Sequence, DeleteIntent)> = intents.into_values().collect();
    order.sort_by_key(|(sequence, _)| *sequence);
    let mut here = Vec::new();
    for (_, intent) in order {
        let reference = Reference::Digest(intent.digest.clone());
        if here.len() < MOST && world.registry.resolve(repository, &reference).await?.is_some() {
            here.push(intent);
        }
    }
    if here.is_empty() {
        return Ok(Vec::new());
    }
    let mut wanted: BTreeSet<Digest> = here.iter().map(|intent| intent.digest.clone()).collect();
    if on(Safeguard::NothingAbove) {
        // What lists it may have come back without its tag, or have lost it.
        wanted.extend(here.iter().flat_map(|intent| intent.parents.iter().cloned()));
        wanted.extend(remembered(request, repository)?);
    }
    let nothing = BTreeSet::new();
    let now = world.clock.now();
    let reader = Reader::open(world.registry, repository, &nothing, now).await?;
    let reading = reader.complete(&wanted).await?;
    let how = world.registry.deletes();
    let mut actions = together(here);
    actions.retain(|action| check(&members(0, action), &reading, &nothing, how).is_ok());
    Ok(actions)
}

/// Indexes that had a tag in this repository once, or were put back.
fn remembered(
    request: &LeftoverRequest<'_>,
    repository: &RepositoryName,
) -> Result<Vec<Digest>, RegistryError> {
    let holds = request.memory.holds.into_iter();
    let held = holds.flat_map(|holds| holds.indexes_of(repository)).cloned();
    let Some(ledger) = request.memory.ledger else {
        return Ok(held.collect());
    };
    let unread = |error: lagan_model::memory::LedgerError| {
        let what = format!("the ledger of {repository}");
        RegistryError::new(lagan_model::Failure::Malformed, what, error.to_string())
    };
    let seen = ledger.recall(repository).map_err(unread)?;
    let digests = seen.into_iter().flat_map(|seen| seen.digests);
    Ok(digests
        .filter(|(_, seen)| seen.tagged_index)
        .map(|(digest, _)| digest)
        .chain(held)
        .collect())
}

/// Actions in the order of the records. What lists or is attached to something in one belongs to it, and comes as it came
/// then: what is above first.
fn together(intents: Vec<DeleteIntent>) -> Vec<Action> {
    let mut groups: Vec<Vec<(usize, DeleteIntent)>> = Vec::new();
    for (position, intent) in intents.into_iter().enumerate() {
        let hangs =
            |group: &Vec<(usize, DeleteIntent)>| group.iter().any(|(_, other)| is_related(other, &intent));
        let (related, others): (Vec<_>, Vec<_>) = groups.into_iter().partition(hangs);
        groups = others;
        let mut group: Vec<(usize, DeleteIntent)> = related.into_iter().flatten().collect();
        group.push((position, intent));
        groups.push(group);
    }
    for group in &mut groups {
        group.sort_by_key(|(position, _)| *position);
    }
    groups.sort_by_key(|group| group.first().map(|(position, _)| *position));
    let groups = groups.into_iter();
    groups
        .filter_map(|group| action(group.into_iter().map(|(_, intent)| intent).collect()))
        .collect()
}

fn is_related(one: &DeleteIntent, other: &DeleteIntent) -> bool {
    let names = |one: &DeleteIntent, other: &DeleteIntent| {
        one.children.contains(&other.digest)
            || one.attachments.contains(&other.digest)
            || one.subject.as_ref() == Some(&other.digest)
    };
    names(one, other) || names(other, one)
}

fn action(group: Vec<DeleteIntent>) -> Option<Action> {
    let (attached, mut rest): (Vec<_>, Vec<_>) = group
        .into_iter()
        .partition(|intent| intent.role == Role::Attachment);
    let mut attached = attached.into_iter();
    if rest.is_empty() {
        rest.extend(attached.next());
    }
    let mut rest = rest.into_iter();
    let first = rest.next()?;
    let dependent = |intent: DeleteIntent| Dependent {
        digest: intent.digest,
        tags: Vec::new(),
        media_type: Some(intent.media_type),
        size: Some(intent.size),
    };
    Some(Action::Delete {
        digest: first.digest,
        tags: Vec::new(),
        media_type: Some(first.media_type),
        size: Some(first.size),
        children: rest.map(dependent).collect(),
        attachments: attached.map(dependent).collect(),
        undo: Undo::until_collection(),
        // Why it was to go then is why it goes.
        reasons: serde_json::from_value(first.reasons).unwrap_or_default(),
    })
}

impl Leftovers {
    /// The plan of a repository with what is left in it at its end; `None` where nothing is, where the plan already
    /// speaks of it, or where its policies may protect it.
    #[must_use]
    pub fn added_to(
        &self,
        plan: &RepositoryPlan,
        policies: &RepositoryPolicies<'_>,
        undo: Option<&Undo>,
        evidence: Evidence<'_>,
    ) -> Option<RepositoryPlan> {
        let left = self.actions.get(&plan.name)?;
        // A policy that only keeps, for now or always, might keep it.
        let all_ask = policies.policies().iter().all(|(_, asked)| *asked);
        if !plan.complete || !all_ask || policies.protect_by_facts() {
            return None;
        }
        let spoken_of = spoken_of(plan);
        let is_new = |action: &&Action| {
            let members = members(0, action);
            !members.iter().any(|member| spoken_of.contains(&member.digest))
        };
        let added = RepositoryPlan {
            actions: left.iter().filter(is_new).cloned().collect(),
            ..RepositoryPlan::untagged(plan.name.clone(), plan.policies.clone())
        };
        let added = match undo {
            Some(told) => added.with_undo(told),
            None => added,
        };
        let added = added.with_grace(policies.grace(), evidence.now);
        if added.actions.is_empty() {
            return None;
        }
        let mut plan = plan.clone();
        plan.actions.extend(added.actions);
        plan.waiting = evidence.waiting(&plan, policies);
        Some(plan)
    }
}

/// Every manifest that a plan says something of.
fn spoken_of(plan: &RepositoryPlan) -> BTreeSet<Digest> {
    let going = plan.actions.iter().flat_map(|action| match action {
        Action::Delete { .. } => members(0, action)
            .into_iter()
            .map(|member| member.digest)
            .collect(),
        Action::Untag { digest, .. } => vec![digest.clone()],
    });
    let kept = plan.kept.iter().filter_map(|kept| kept.digest.clone());
    let untagged = plan.kept_untagged.iter().map(|kept| kept.digest.clone());
    going.chain(kept).chain(untagged).collect()
}

/// What the records of a run say of its units: what stayed below an artifact that went.
#[derive(Debug, Default)]
pub(crate) struct Below {
    /// What has no outcome on record, and how it could be left.
    open: BTreeMap<Sequence, (Key, Kind)>,
    units: BTreeMap<Key, UnitBelow>,
}

/// A unit of a run.
type Key = (RepositoryName, u64);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Artifact,
    /// No tag leads to it.
    Below,
    /// A listing shows it.
    Tagged,
}

#[derive(Debug, Default)]
struct UnitBelow {
    open: usize,
    /// Whether an artifact of it is gone.
    begun: bool,
    left: Vec<Sequence>,
}

impl Below {
    pub(crate) fn begin(&mut self, sequence: Sequence, intent: &DeleteIntent) {
        let key = (intent.repository.clone(), intent.unit);
        let kind = match intent.role {
            Role::Artifact => Kind::Artifact,
            Role::Child | Role::Attachment if intent.tags.is_empty() => Kind::Below,
            Role::Child | Role::Attachment => Kind::Tagged,
        };
        self.units.entry(key.clone()).or_default().open += 1;
        self.open.insert(sequence, (key, kind));
    }

    pub(crate) fn end(&mut self, outcome: &Outcome) {
        let Some((key, kind)) = self.open.remove(&outcome.intent) else {
            return;
        };
        let Some(unit) = self.units.get_mut(&key) else {
            return;
        };
        unit.open -= 1;
        // What others changed meanwhile was left alone for a reason.
        let stayed = match &outcome.result {
            DeleteResult::Failed { .. } => true,
            DeleteResult::Skipped { why, .. } => matches!(why, Skip::Interrupted | Skip::Unit),
            DeleteResult::Deleted | DeleteResult::Untagged => false,
        };
        unit.begun |= kind == Kind::Artifact && outcome.result == DeleteResult::Deleted;
        if stayed && kind == Kind::Below {
            unit.left.push(outcome.intent);
        }
        if unit.open == 0 && (unit.left.is_empty() || !unit.begun) {
            self.units.remove(&key);
        }
    }

    /// What was left.
    pub(crate) fn left(&self) -> impl Iterator<Item = Sequence> {
        let begun = self.units.values().filter(|unit| unit.begun);
        begun.flat_map(|unit| unit.left.iter().copied())
    }
}
