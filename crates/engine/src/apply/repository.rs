//! One repository of a run: read, checked, deleted from, and looked after.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use chrono::SecondsFormat;
use futures_util::{StreamExt, stream};
use lagan_model::journal::{JournalError, JournalStore, Role, RunId, Sequence, Skip};
use lagan_model::{
    ArtifactGraph, Clock, DeletesHow, Digest, Labels, RegistryError, RegistryWrite, RepositoryName, Tag, Time,
};
use lagan_policy::{Action, RepositoryPlan, RolloutNote};

use super::delete::{Deleter, Ends, Taken, is_back, skipped};
use super::reading::{Reader, Reading};
use super::unit::{Left, Member, Unit, check, counted, counted_in, members, too_few, units};
use super::untag::Untagger;
use super::{ApplyRequest, deletions_per_reading, is_old, too_slow};
use crate::approve::{Approved, ApprovedPlan, seal};
use crate::holding::{Holder, Holdings};
use crate::mend::{DeletedHere, DeletedManifest, MendError, mend};
use crate::run::{ActionOutcome as Outcome, ActionRun, ManifestRun, RepositoryRun};
use crate::safeguard::{Safeguard, on};
use crate::world::{Veto, World};

/// How many manifests the first reading is for where each deletion may take seconds: what is read of the others would
/// be too old when it is their turn.
const FIRST_ONE_BY_ONE: usize = 16;

/// What became of each action's manifests, with their numbers in the journal where it came to that.
type EndsSoFar = BTreeMap<(usize, Digest), (Option<Sequence>, Outcome)>;

pub(crate) struct RepositoryApply<'a, R, S, C, V> {
    world: World<'a, R, S, C>,
    request: &'a ApplyRequest<'a, V>,
    plan: &'a RepositoryPlan,
    /// What became of each action's manifests so far.
    ends: EndsSoFar,
    deleted: BTreeSet<Digest>,
    /// What is listed by manifests that were left alone, each with one of these. Where no tag is on those, no later reading
    /// shows them.
    below_left: BTreeMap<Digest, Digest>,
    /// Manifests of which a tag may still be taken off: a second request could do what the first one is then taken for.
    untags_in_doubt: BTreeSet<Digest>,
    /// What was held so far.
    holdings: Holdings,
    /// How many manifests the next reading is for.
    at_once: usize,
    problem: Option<String>,
    looked_after: bool,
}

impl<'a, R: RegistryWrite, S: JournalStore, C: Clock, V: Veto> RepositoryApply<'a, R, S, C, V> {
    pub(crate) fn new(
        world: World<'a, R, S, C>,
        request: &'a ApplyRequest<'a, V>,
        plan: &'a RepositoryPlan,
    ) -> Self {
        Self {
            world,
            request,
            plan,
            ends: EndsSoFar::new(),
            deleted: BTreeSet::new(),
            below_left: BTreeMap::new(),
            untags_in_doubt: BTreeSet::new(),
            holdings: Holdings::default(),
            at_once: if world.registry.deletes().one_by_one {
                FIRST_ONE_BY_ONE.min(deletions_per_reading())
            } else {
                deletions_per_reading()
            },
            problem: None,
            looked_after: true,
        }
    }

    fn run(&self) -> RunId {
        self.request.begin.run
    }

    fn how(&self) -> DeletesHow {
        self.world.registry.deletes()
    }

    fn name(&self) -> &'a RepositoryName {
        &self.plan.name
    }

    /// Carries out the repository's plan, as far as it is approved and still holds. Where the journal fails, what became
    /// of it until then comes with the failure.
    pub(crate) async fn apply(mut self) -> (RepositoryRun, Result<(), JournalError>) {
        let approved = self.request.approved.of(self.name());
        let sealed = |approved: &&Approved| {
            !on(Safeguard::PlanHash) || seal(&self.plan.actions).as_ref() == Some(&approved.seal)
        };
        let Some(approved) = approved.filter(sealed) else {
            let rest = not_approved(self.request.approved, self.name());
            return (self.finish(rest, Vec::new()), Ok(()));
        };
        self.leave_waiting(approved);
        if self.pending().is_empty() {
            // Each was told why.
            let rest = Left::because(Skip::Notice, "all of it waits");
            return (self.finish(rest, Vec::new()), Ok(()));
        }
        let mut journal = Ok(());
        let rest = loop {
            if self.world.stop.is_requested() {
                break Left::because(Skip::Stopped, "the run was asked to stop");
            }
            let pending = self.pending();
            if pending.is_empty() {
                break Left::because(Skip::Unit, "it is in no unit");
            }
            let before = self.ends.len();
            match self.pass(&pending, approved).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => {
                    self.add_problem(error.to_string());
                    break Left::because(Skip::Incomplete, error.to_string());
                }
                Err(error) => {
                    journal = Err(error);
                    break Left::because(Skip::Stopped, "the journal failed before it was on record");
                }
            }
            if self.how().one_by_one {
                // As many as there was time for until the reading was too old, and some more.
                let done = self.ends.len() - before;
                self.at_once = (2 * done).max(FIRST_ONE_BY_ONE).min(deletions_per_reading());
            }
            // One that was asked to stop meanwhile says so.
            if self.ends.len() == before && !self.world.stop.is_requested() {
                break too_slow();
            }
        };
        let mut mended = Vec::new();
        if on(Safeguard::Mend) && journal.is_ok() {
            let mending = mend(self.world, self.run(), self.name(), &self.deleted_here(), None).await;
            mended = mending.mended;
            self.looked_after = mended.iter().all(|mended| mended.failure.is_none());
            match mending.problem {
                None => {}
                Some(MendError::Journal(error)) => journal = Err(error),
                Some(MendError::Registry(error)) => {
                    self.looked_after = false;
                    self.add_problem(format!(
                        "failed to read it once more after the last deletion: {error}"
                    ));
                }
            }
        }
        // What is in doubt may go later, and something new may need it then.
        let in_doubt =
            |(_, outcome): &(Option<Sequence>, Outcome)| matches!(outcome, Outcome::InDoubt { .. });
        self.looked_after &= journal.is_ok() && !self.ends.values().any(in_doubt);
        (self.finish(rest, mended), journal)
    }

    /// Says what went wrong, after what did before.
    fn add_problem(&mut self, problem: String) {
        self.problem = Some(match self.problem.take() {
            Some(before) => format!("{before}; {problem}"),
            None => problem,
        });
    }

    /// Leaves alone what waits: it is decided before anything is read.
    fn leave_waiting(&mut self, approved: &Approved) {
        self.ends.extend(waiting_ends(self.plan, approved));
    }

    /// The actions of which something is not decided yet.
    fn pending(&self) -> Vec<usize> {
        (0..self.plan.actions.len())
            .filter(|position| {
                !self
                    .ends
                    .contains_key(&(*position, first(&self.plan.actions[*position])))
            })
            .collect()
    }

    /// Reads the repository, and does what may be done before it has to be read again.
    async fn pass(
        &mut self,
        pending: &[usize],
        approved: &Approved,
    ) -> Result<Result<(), RegistryError>, JournalError> {
        let keep: BTreeSet<Digest> = pending
            .iter()
            .flat_map(|position| digests(*position, &self.plan.actions[*position]))
            .take(2 * self.at_once)
            .collect();
        let now = self.world.clock.now();
        let reader = match Reader::open(self.world.registry, self.name(), &keep, now).await {
            Ok(reader) => reader,
            Err(error) => return Ok(Err(error)),
        };
        let graph = match reader.graph() {
            Ok(graph) => graph,
            Err(error) => return Ok(Err(error)),
        };
        let waiting: BTreeSet<usize> = pending.iter().copied().collect();
        let untags = pending.iter().copied();
        let untags = untags.filter_map(|position| Some((position, untagged(&self.plan.actions[position])?)));
        let untags: Vec<(usize, &Digest)> = untags.take(self.at_once).collect();
        let mut wanted: BTreeSet<Digest> = untags.iter().map(|(_, digest)| (*digest).clone()).collect();
        // Many tags may be taken off one manifest, each by requests of its own.
        let mut going = untags.len();
        let mut chosen = Vec::new();
        for unit in units(&self.plan.actions, &graph) {
            if !unit.members.iter().any(|member| waiting.contains(&member.action)) {
                continue;
            }
            if going > 0 && going + unit.members.len() > self.at_once {
                break;
            }
            going += unit.members.len();
            wanted.extend(unit.members.iter().map(|member| member.digest.clone()));
            chosen.push(unit);
        }
        let kept_indexes = match on(Safeguard::HoldBelow) {
            true => self.request.veto.kept_indexes(self.name()),
            false => BTreeSet::new(),
        };
        let reading = match reader.with_indexes(kept_indexes).await {
            Ok(reader) => reader.complete(&wanted).await,
            Err(error) => Err(error),
        };
        let reading = match reading {
            Ok(reading) => reading,
            Err(error) => return Ok(Err(error)),
        };
        let untags: Vec<usize> = untags.into_iter().map(|(position, _)| position).collect();
        self.untag_all(&untags, &reading).await?;
        let ready = self.select(chosen, &reading, approved);
        self.delete_all(ready, &reading, approved).await?;
        Ok(Ok(()))
    }

    async fn untag_all(&mut self, positions: &[usize], reading: &Reading) -> Result<(), JournalError> {
        let mut untagger = Untagger {
            world: self.world,
            run: self.run(),
            repository: self.name(),
            leaving: self
                .plan
                .actions
                .iter()
                .filter_map(|action| match action {
                    Action::Untag { tag, .. } => Some(tag),
                    Action::Delete { .. } => None,
                })
                .collect(),
            taken: BTreeSet::new(),
            whole: BTreeSet::new(),
        };
        for position in positions {
            let Action::Untag { tag, digest, reasons } = &self.plan.actions[*position] else {
                continue;
            };
            if self.world.stop.is_requested() || is_old(reading.at, self.world.clock.now()) {
                // Not begun: the next pass, or the end of the run, has it.
                return Ok(());
            }
            let mut journal = Ok(());
            let (sequence, outcome) = if let Some(left) = self.vetoed(digest, [tag], reading) {
                (None, skipped(left))
            } else if on(Safeguard::LeftOut) && self.untags_in_doubt.contains(digest) {
                let detail = format!("taking another tag off {digest} may still happen");
                (None, skipped(Left::because(Skip::InDoubt, detail)))
            } else {
                let reasons = serde_json::to_value(reasons).unwrap_or_default();
                let end = untagger.untag(tag, digest, reasons, reading).await?;
                if let Some(alarm) = end.alarm {
                    self.world.stop.request();
                    self.add_problem(alarm);
                }
                if matches!(end.outcome, Outcome::InDoubt { .. }) {
                    self.untags_in_doubt.insert(digest.clone());
                }
                journal = end.journal;
                (end.sequence, end.outcome)
            };
            self.ends.insert((*position, digest.clone()), (sequence, outcome));
            journal?;
        }
        Ok(())
    }

    /// The units that may be deleted; what is left alone is noted.
    fn select(&mut self, units: Vec<Unit>, reading: &Reading, approved: &Approved) -> Vec<Unit> {
        let least = approved.keep_at_least;
        // What may go late does not stay.
        let in_doubt = self.in_doubt();
        let may_go =
            |digest: &Digest| in_doubt.contains(digest) || self.request.in_doubt.has(self.name(), digest, []);
        let mut room = counted(reading, may_go).saturating_sub(least);
        let mut ready = Vec::new();
        for unit in units {
            let going = counted_in(&unit.members, reading);
            let vetoed = unit
                .members
                .iter()
                .find_map(|member| self.vetoed(&member.digest, &member.tags, reading));
            let waiting = unit.members.iter().find_map(|member| {
                let left = waits(approved, member.action)?;
                let detail = format!("{} waits, in its unit: {}", member.digest, left.detail);
                Some(Left::because(left.why, detail))
            });
            let ended = unit
                .members
                .iter()
                .find_map(|member| self.why_ended(member, reading));
            let left = if let Some(left) = vetoed.or(waiting).or(ended) {
                Some(left)
            } else if let Err(left) = check(&unit.members, reading, &self.deleted, self.how()) {
                Some(left)
            } else if going > room && on(Safeguard::KeepAtLeast) {
                Some(too_few(least))
            } else {
                None
            };
            match left {
                Some(left) => self.note(&unit.members, reading, |_| (None, skipped(left.clone()))),
                None => {
                    room = room.saturating_sub(going);
                    ready.push(unit);
                }
            }
        }
        // What takes longest begins first, so that the run does not wait for it alone in the end.
        ready.sort_by_key(|unit| Reverse(unit.members.len()));
        ready
    }

    /// Why the unit stays of something that has ended in this run already, or is listed by what has. Others moved it
    /// meanwhile, so that what it hangs together with was not seen when it was its turn: now it shows, and what was left
    /// alone is not begun anew. What that lists stays with it. What is gone, and still is, hinders nothing.
    fn why_ended(&self, member: &Member, reading: &Reading) -> Option<Left> {
        let digest = &member.digest;
        let Some((_, outcome)) = self.ends.get(&(member.action, digest.clone())) else {
            let above = self.below_left.get(digest)?;
            let detail = format!("{above}, which was left alone, lists {digest}");
            let is_gone = reading.absent.contains(above);
            return (!is_gone).then(|| Left::because(Skip::Referenced, detail));
        };
        let is_gone = reading.absent.contains(digest);
        let how = match outcome {
            Outcome::Deleted | Outcome::Skipped { why: Skip::Gone, .. } if is_gone => return None,
            Outcome::Deleted => return Some(is_back(digest)),
            Outcome::Skipped { why: Skip::Gone, .. } => "was gone, and is there again".to_owned(),
            Outcome::Skipped { detail, .. } => format!("was left alone: {detail}"),
            Outcome::Failed { detail } => format!("could not be deleted: {detail}"),
            Outcome::InDoubt { detail } => format!("may still be deleted: {detail}"),
            // Of an action that deletes, nothing ends so.
            Outcome::Untagged => return None,
        };
        let detail = format!("{digest}, before it in its unit, {how}");
        Some(Left::because(Skip::Unit, detail))
    }

    /// Of what deletions by this run may still happen.
    fn in_doubt(&self) -> BTreeSet<Digest> {
        let ends = self.ends.iter();
        let in_doubt = ends.filter(|(_, (_, outcome))| matches!(outcome, Outcome::InDoubt { .. }));
        in_doubt.map(|((_, digest), _)| digest.clone()).collect()
    }

    fn vetoed<'t>(
        &self,
        digest: &Digest,
        tags: impl IntoIterator<Item = &'t Tag>,
        reading: &Reading,
    ) -> Option<Left> {
        if on(Safeguard::LeftOut) && self.request.in_doubt.has(self.name(), digest, tags) {
            let detail = format!("an earlier deletion of {digest}, or of a tag on it, may still happen");
            return Some(Left::because(Skip::InDoubt, detail));
        }
        let why_kept = |digest: &Digest| {
            let none = Labels::new();
            let labels = reading.beside.get(digest).map_or(&none, |beside| &beside.named);
            self.request.veto.why_kept(self.name(), digest, labels)
        };
        let for_another = || {
            if !on(Safeguard::HoldBelow) || !self.request.veto.holds_any(self.name()) {
                return None;
            }
            let above = reading.above(digest).into_iter();
            above
                .filter(|above| !reading.absent.contains(above))
                .find_map(|above| {
                    let why = why_kept(&above)?;
                    Some(format!("it belongs to {above}, which stays: {why}"))
                })
        };
        let why = why_kept(digest).or_else(for_another);
        why.map(|why| Left::because(Skip::Held, why))
    }

    async fn delete_all(
        &mut self,
        ready: Vec<Unit>,
        reading: &Reading,
        approved: &Approved,
    ) -> Result<(), JournalError> {
        let in_doubt = self.in_doubt();
        let deleter = Deleter {
            keep_at_least: approved.keep_at_least,
            may_go: &|digest| in_doubt.contains(digest) || self.request.in_doubt.has(self.name(), digest, []),
            taken: Taken::default(),
            world: self.world,
            run: self.run(),
            repository: self.name(),
            collected: self.request.begin.collections.as_ref().and_then(|told| told.next),
            holder: Holder {
                world: self.world,
                run: self.run(),
                in_doubt: self.request.in_doubt,
                so_far: &self.holdings,
            },
        };
        let world = self.world;
        let at_once = match self.how().one_by_one {
            true => 1,
            false => self.request.units_at_once.max(1),
        };
        let ended: Vec<(Unit, Option<Ends>, Result<(), JournalError>)> = {
            let deleter = &deleter;
            stream::iter(ready)
                .map(|unit| async move {
                    let old = is_old(reading.at, world.clock.now());
                    if world.stop.is_requested() || old {
                        // Not begun: the next pass, or the end of the run, has it.
                        return (unit, None, Ok(()));
                    }
                    let (ends, done) = deleter.delete(&unit, reading).await;
                    if done.is_err() {
                        world.stop.request();
                    }
                    (unit, ends, done)
                })
                .buffer_unordered(at_once)
                .collect()
                .await
        };
        let mut journal = Ok(());
        for (unit, ends, done) in ended {
            // The others ended all the same.
            journal = journal.and(done);
            if let Some(ends) = ends {
                let mut ends = ends.into_iter();
                let lost = Left::because(Skip::Unit, "its unit ended early");
                self.note(&unit.members, reading, |_| {
                    ends.next().unwrap_or_else(|| (None, skipped(lost.clone())))
                });
            }
        }
        journal
    }

    fn note(
        &mut self,
        members: &[Member],
        reading: &Reading,
        mut end: impl FnMut(&Member) -> (Option<Sequence>, Outcome),
    ) {
        for member in members {
            let end = end(member);
            match &end.1 {
                Outcome::Deleted => {
                    self.deleted.insert(member.digest.clone());
                }
                Outcome::Skipped { why: Skip::Gone, .. } => {}
                _ => {
                    let below = reading.related(&member.digest, ArtifactGraph::children);
                    let below = below.into_iter().map(|below| (below, member.digest.clone()));
                    self.below_left.extend(below);
                }
            }
            // What is on record for a manifest stays, whatever a later reading says of it.
            self.ends
                .entry((member.action, member.digest.clone()))
                .or_insert(end);
        }
    }

    /// What this run deleted here, as it is on record.
    fn deleted_here(&self) -> DeletedHere {
        let found = self
            .ends
            .iter()
            .filter_map(|((position, digest), (sequence, outcome))| {
                // What is in doubt may be gone by now.
                let open = matches!(outcome, Outcome::InDoubt { .. });
                let gone = open || *outcome == Outcome::Deleted;
                let sequence = sequence.filter(|_| gone)?;
                if let Action::Untag { .. } = &self.plan.actions[*position] {
                    return None;
                }
                Some((digest.clone(), DeletedManifest { sequence, open }))
            });
        found.collect()
    }

    /// The report: what was not come to is left alone because of `rest`.
    fn finish(mut self, rest: Left, mended: Vec<crate::run::Mended>) -> RepositoryRun {
        RepositoryRun {
            name: self.plan.name.clone(),
            actions: action_runs(self.plan, &mut self.ends, &self.holdings, &rest),
            mended,
            copies: self.holdings.copies(),
            problem: self.problem,
            looked_after: self.looked_after,
        }
    }
}

/// What became of each action.
fn action_runs(
    plan: &RepositoryPlan,
    ends: &mut EndsSoFar,
    holdings: &Holdings,
    rest: &Left,
) -> Vec<ActionRun> {
    let mut actions = Vec::new();
    for (position, action) in plan.actions.iter().enumerate() {
        let (kind, digest, tags, of_action): (_, _, _, Vec<(Digest, Role, Vec<Tag>)>) = match action {
            Action::Delete { digest, tags, .. } => {
                let members = members(position, action);
                let of_action = members
                    .into_iter()
                    .map(|member| (member.digest, member.role, member.tags.into_iter().collect()));
                ("delete", digest, tags.clone(), of_action.collect())
            }
            Action::Untag { tag, digest, .. } => (
                "untag",
                digest,
                vec![tag.clone()],
                vec![(digest.clone(), Role::Artifact, vec![tag.clone()])],
            ),
        };
        // An index without blobs is held by what it lists.
        let mut of_some = of_action.iter().map(|(digest, ..)| digest);
        let held_with = of_some.find_map(|digest| holdings.of(digest));
        let manifests = of_action.into_iter().map(|(digest, role, tags)| {
            let end = ends.remove(&(position, digest.clone()));
            let (sequence, outcome) = end.unwrap_or_else(|| (None, skipped(rest.clone())));
            let held = holdings.of(&digest).or_else(|| held_with.clone());
            let held = held.filter(|_| outcome == Outcome::Deleted);
            ManifestRun {
                held,
                digest,
                role,
                tags,
                sequence,
                outcome,
            }
        });
        actions.push(ActionRun {
            action: kind,
            digest: digest.clone(),
            tags,
            manifests: manifests.collect(),
        });
    }
    actions
}

/// What there is to say of a repository in which nothing is done, because all that is approved of it waits.
#[must_use]
pub fn all_waits(approved: &ApprovedPlan, plan: &RepositoryPlan) -> RepositoryRun {
    let mut ends = match approved.of(&plan.name) {
        Some(approved) => waiting_ends(plan, approved),
        None => EndsSoFar::new(),
    };
    let rest = not_approved(approved, &plan.name);
    RepositoryRun {
        name: plan.name.clone(),
        actions: action_runs(plan, &mut ends, &Holdings::default(), &rest),
        mended: Vec::new(),
        copies: 0,
        problem: None,
        looked_after: true,
    }
}

/// Why nothing is done in a repository: a limit holds it back, or its actions are not those that were approved.
fn not_approved(approved: &ApprovedPlan, repository: &RepositoryName) -> Left {
    let mut guards = approved.guards().iter();
    let held_back = guards.find(|guard| guard.refuses && guard.repository.as_ref() == Some(repository));
    let detail = match held_back {
        Some(guard) => format!("the limit {} holds the repository back", guard.limit.as_str()),
        None => "these are not the actions that were approved".to_owned(),
    };
    Left::because(Skip::NotApproved, detail)
}

/// How what waits ends in this run.
fn waiting_ends(plan: &RepositoryPlan, approved: &Approved) -> EndsSoFar {
    let mut ends = EndsSoFar::new();
    for (position, action) in plan.actions.iter().enumerate() {
        let Some(left) = waits(approved, position) else {
            continue;
        };
        for digest in digests(position, action) {
            ends.insert((position, digest), (None, skipped(left.clone())));
        }
    }
    ends
}

/// Why an action is left alone, where its repository is not taken yet, or it was not announced for long enough.
fn waits(approved: &Approved, position: usize) -> Option<Left> {
    if let Some(note) = approved.rollout.as_ref().filter(|_| on(Safeguard::Rollout)) {
        return Some(Left::because(Skip::Rollout, not_taken(note)));
    }
    let waiting = approved.waits(position).filter(|_| on(Safeguard::Notice))?;
    let until = time(waiting.until);
    let detail = match waiting.announced {
        Some(since) => format!("announced on {}, it may go from {until} on", time(since)),
        None => format!("announced now, it may go from {until} on"),
    };
    Some(Left::because(Skip::Notice, detail))
}

/// What a rollout says of a repository that it does not take.
fn not_taken(note: &RolloutNote) -> String {
    let RolloutNote {
        policy, stage, of, ..
    } = note;
    match (note.fell_back, note.share) {
        (Some(at), _) => format!(
            "policy {policy} only reports since {}, when too many of its deletions failed",
            time(at)
        ),
        (None, Some(share)) => {
            format!("policy {policy} is in stage {stage} of {of}, which takes {share} of its repositories")
        }
        (None, None) => format!("it is not known how far policy {policy} has been rolled out"),
    }
}

fn time(time: Time) -> String {
    time.to_rfc3339_opts(SecondsFormat::Secs, true)
}

/// The manifest of which an action takes a tag off.
fn untagged(action: &Action) -> Option<&Digest> {
    match action {
        Action::Untag { digest, .. } => Some(digest),
        Action::Delete { .. } => None,
    }
}

/// What an action is about.
fn first(action: &Action) -> Digest {
    match action {
        Action::Delete { digest, .. } | Action::Untag { digest, .. } => digest.clone(),
    }
}

fn digests(position: usize, action: &Action) -> Vec<Digest> {
    match action {
        Action::Delete { .. } => members(position, action)
            .into_iter()
            .map(|member| member.digest)
            .collect(),
        Action::Untag { digest, .. } => vec![digest.clone()],
    }
}
