//! One story from its beginning to its end: plan, approve, apply, die, recover, undo, apply again; and then calm, in
//! which everything has to be as it should.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use chrono::TimeDelta;
use lagan_model::journal::{Begin, Journal, JournalError, PolicyIdentity, Purpose, RunId, Sequence};
use lagan_model::{AttachmentForm, Clock as _, Digest, Manifest, RegistryRead, RepositoryName, Tag, Time};
use lagan_policy::{
    Action, Announcements, Depth, Evidence, Grace, Keep, Limits, Mode, Planned, Policy, PolicySet,
    RepositoryPlan, Rule, Select, Undo,
};

use super::case::Case;
use super::chance::Chance;
use super::ports::{Simulated, drive};
use super::store::ModelStore;
use super::world::{Effect, Repository, State, blobs, children, is_collected, is_holding, is_sound_but_for};
use crate::apply::{DELETIONS_PER_READING, with_deletions_per_reading};
use crate::{
    ActionOutcome, ApplyRequest, Approval, Chronicle, Due, LeftOut, LeftoverRequest, ManifestUndo,
    PlanRequest, PurgeRequest, Recovery, RepositoryRun, RepositoryUndo, Scope, Stop, UndoOutcome,
    UndoRequest, UndoTarget, World, apply, due, leftovers, plan, purge, recover, undo,
};

/// What came of a story.
#[derive(Debug)]
pub(crate) struct End {
    pub violations: Vec<String>,
    pub trace: Vec<String>,
    pub deleted: usize,
    pub restored: usize,
    /// How often something was to go that an earlier run had left.
    pub left: usize,
    pub crashes: u32,
}

pub(crate) fn tell(case: Case, trace: bool) -> End {
    let most = if case.rereads { 2 } else { DELETIONS_PER_READING };
    with_deletions_per_reading(most, || tell_it(case, trace))
}

fn tell_it(case: Case, trace: bool) -> End {
    let mut state = State::new(case, trace);
    state.fill();
    let world = Simulated(Arc::new(Mutex::new(state)));
    let store = ModelStore::new(world.clone());
    let mut story = Story {
        journal: Journal::new(store.clone()),
        store,
        policies: policies(case.grace, case.notice),
        announcements: Announcements::default(),
        told: BTreeMap::new(),
        chance: Chance::new(case.seed, 6),
        problems: RefCell::default(),
        runs: 0,
        restored: 0,
        left: 0,
        world,
    };
    story.calm(false);
    for _ in 0..3 {
        match story.chance.below(5) {
            0..=2 => story.apply_once(),
            3 => story.undo_once(),
            _ => {}
        }
        story.recover_once();
        let minutes = story.chance.below(12) as i64;
        story.world.state().pass(TimeDelta::minutes(minutes));
    }
    story.apply_once();
    story.calm(true);
    // Whoever is told that it claims what it cannot send starts it again.
    story.world.state().quirks.claims_blobs = false;
    story.settle_down();
    story.purge_rest();
    story.check_rest();
    story.undo_everything();
    let mut state = story.world.state();
    End {
        violations: std::mem::take(&mut state.violations),
        trace: state.trace.take().unwrap_or_default(),
        deleted: state.effects.len(),
        restored: story.restored,
        left: story.left,
        crashes: case.crashes - state.crashes_left,
    }
}

/// Everything with a tag that begins with `d` goes, and would with `q`; held for some minutes before, where that is said.
/// Announced for some minutes, where that is said.
pub(crate) fn policies(grace: Option<i64>, notice: Option<i64>) -> PolicySet {
    let rule = Rule {
        name: "doomed".into(),
        select: Select {
            tags: vec!["d*".parse().unwrap(), "q*".parse().unwrap()],
            ..Select::default()
        },
        keep: Keep::none(),
        allow_empty_repository: true,
    };
    let policy = Policy {
        name: "policy".into(),
        repositories: vec!["**".parse().unwrap()],
        exclude_repositories: Vec::new(),
        mode: Mode::Enforce,
        rules: vec![rule],
        protect: Vec::new(),
        limits: Limits::default(),
        untag: true,
        grace: grace.map(|minutes| Grace {
            repository: "hold/{repository}".parse().unwrap(),
            period: format!("{minutes}min").parse().unwrap(),
        }),
        notice: notice.map(|minutes| format!("{minutes}min").parse().unwrap()),
        rollout: None,
    };
    PolicySet {
        policies: vec![policy],
        ..PolicySet::default()
    }
}

/// What is said of tags that cannot be put back.
const LOST: (&str, &str) = ("with it are lost the tags ", ":");

/// What is said of tags that somebody else may have deleted.
const UNCLEAR: (&str, &str) = ("by now the tags ", " are gone as well");

struct Story {
    world: Simulated,
    store: ModelStore,
    journal: Journal<ModelStore>,
    policies: PolicySet,
    /// What is on record of earlier plans.
    announcements: Announcements,
    /// What the oracle makes of these plans: since when each has said that a manifest goes with just these tags.
    told: BTreeMap<(RepositoryName, Digest, BTreeSet<Tag>), Time>,
    chance: Chance,
    /// What runs and recoveries said went wrong.
    problems: RefCell<Vec<String>>,
    runs: u128,
    restored: usize,
    left: usize,
}

impl Story {
    fn calm(&self, calm: bool) {
        self.world.state().calm = calm;
    }

    fn note(&self, text: &str) {
        self.world.state().note(|| text.to_owned());
    }

    /// Runs something of the program; `None` if it died, after which it has started again.
    fn run<T>(&self, future: impl Future<Output = T>) -> Option<T> {
        for repository in self.world.state().repositories.values_mut() {
            // Whatever was being read is read no further.
            repository.vanished = false;
        }
        let ended = drive(&self.world, future);
        let failed = std::mem::take(&mut self.world.state().journal_failed);
        if ended.is_none() || failed {
            self.store.restart();
        }
        ended
    }

    fn told_of(&self, recovery: &Recovery) {
        self.note(&format!("{recovery:?}"));
        self.problems
            .borrow_mut()
            .extend(recovery.problems.iter().cloned());
    }

    /// Whether somebody was told that a tag is gone from its manifest.
    fn is_told_gone(&self, tag: &Tag, digest: &Digest, words: (&str, &str)) -> bool {
        let problems = self.problems.borrow();
        problems.iter().any(|told| is_told_gone(told, tag, digest, words))
    }

    fn new_stop(&self) -> Arc<Stop> {
        let stop = Arc::new(Stop::default());
        self.world.state().stop = stop.clone();
        stop
    }

    fn begin(&mut self, purpose: Purpose) -> Begin {
        self.runs += 1;
        Begin {
            run: RunId::from_bits(self.runs),
            purpose,
            registry: self.world.identity().clone(),
            policies: vec![PolicyIdentity {
                name: "policy".to_owned(),
                sha256: String::new(),
            }],
            at: self.world.state().now,
            program: "simulator".to_owned(),
            collections: None,
            pass: None,
        }
    }

    /// What a newcomer sees first: a plan, made without anything being changed.
    fn plan(&self) -> Option<Vec<RepositoryPlan>> {
        let now = self.world.state().now;
        let scope = Scope::default();
        let request = PlanRequest {
            policies: &self.policies,
            asked: &|_| true,
            scope: &scope,
            now,
            depth: [Depth::Enough, Depth::Exact, Depth::Bytes][(self.world.state().case.seed % 3) as usize],
            probe: false,
            undo: None,
            facts: false,
            memory: crate::Memory::default(),
            evidence: Evidence {
                announcements: &self.announcements,
                now,
            },
            rollouts: &lagan_policy::Rollouts::default(),
            repositories_at_once: 1,
        };
        let mut plans = Vec::new();
        let planned = plan(&self.world, &(), &request, |plan, _| {
            plans.push(plan.clone());
            Ok::<(), std::convert::Infallible>(())
        });
        match self.run(planned)? {
            Ok(_) => Some(plans),
            Err(_) => None,
        }
    }

    fn apply_once(&mut self) {
        self.note("-- plan");
        let Some(mut plans) = self.plan() else { return };
        let limits = Limits {
            keep_at_least: self.world.state().case.keep,
            ..Limits::default()
        };
        let announcements = self.announcements.clone();
        let now = self.world.state().now;
        let evidence = Evidence {
            announcements: &announcements,
            now,
        };
        if self.add_left(&mut plans, evidence).is_none() {
            return;
        }
        let mut approval = Approval::new(&limits, evidence);
        for plan in &plans {
            let Some(policies) = self.policies.of_repository(&plan.name, &|_| true) else {
                continue;
            };
            let waiting = evidence.waiting(plan, &policies);
            approval.add_under(plan, &limits, waiting);
            if let Some(planned) = Planned::of(plan, &policies) {
                self.announcements.note(&planned, true, now);
            }
        }
        let Ok(approved) = approval.finish("plan".to_owned()) else {
            return;
        };
        for plan in &plans {
            let going = self.told_before(plan, now);
            let mut state = self.world.state();
            state
                .approved
                .extend(going.into_iter().map(|digest| (plan.name.clone(), digest)));
        }
        if self.world.state().case.tampering {
            self.tamper(&mut plans);
        }
        // Between the plan and its execution others go on.
        let events = self.chance.below(3);
        for _ in 0..events {
            let mut state = self.world.state();
            state.step += 1;
            if state.others_left > 0 {
                state.others_left -= 1;
                state.act();
            }
        }
        self.note("-- apply");
        let begin = self.begin(Purpose::Apply {
            plan: "plan".to_owned(),
        });
        let begin_purge = self.begin(Purpose::Purge);
        let stop = self.new_stop();
        let world = World {
            registry: &self.world,
            journal: &self.journal,
            clock: &self.world,
            stop: &stop,
        };
        let concurrency = if self.world.state().case.concurrency { 3 } else { 1 };
        self.run(async {
            let mut chronicle = chronicle(world).await?;
            let recovery = recover(world, &mut chronicle).await?;
            self.told_of(&recovery);
            let holds = chronicle.holds(self.world.now());
            let due = due(world, &chronicle, Some(500)).await;
            let in_doubt = recovery.left_out();
            let run = begin.run;
            let mut told = BTreeSet::new();
            let request = ApplyRequest {
                begin,
                approved: &approved,
                veto: &holds,
                in_doubt: &in_doubt,
                repositories_at_once: concurrency,
                units_at_once: concurrency,
            };
            let plans = plans.into_iter().map(Ok::<_, std::convert::Infallible>);
            let done = apply(world, &request, plans, |run| {
                self.note(&format!("done: {run:?}"));
                self.problems.borrow_mut().extend(run.problem.clone());
                told.extend(told_gone(run));
                Ok(())
            });
            let done = done.await;
            self.check_told(run, &told);
            done.map_err(only_the_journal)?;
            self.purge(world, begin_purge, &in_doubt, &mut chronicle, &due)
                .await
        });
    }

    /// What a run took that is gone is told of, also where the journal failed. Others may have pushed it again before it
    /// was looked at.
    fn check_told(&self, run: RunId, told: &BTreeSet<Sequence>) {
        let of_run: BTreeSet<Sequence> = self.store.with_durable(|kept| {
            let entries = kept.entries.iter().filter(|(_, entry)| entry.run == run);
            entries.map(|(sequence, _)| *sequence).collect()
        });
        let mut state = self.world.state();
        let is_gone = |effect: &&Effect| {
            let repository = &state.repositories[&effect.repository];
            let name = || effect.repository.clone();
            match &effect.tag {
                Some(tag) => {
                    !repository.tags.contains_key(tag)
                        && !state.tags_by_others.contains_key(&(name(), tag.clone()))
                }
                None => {
                    !repository.manifests.contains_key(&effect.digest)
                        && !state
                            .gone_by_others
                            .contains_key(&(name(), effect.digest.clone()))
                }
            }
        };
        let hidden = |effect: &&Effect| of_run.contains(&effect.sequence) && !told.contains(&effect.sequence);
        let effects = state.effects.iter().filter(hidden).filter(is_gone);
        let bad: Vec<_> = effects
            .map(|effect| {
                format!(
                    "record {} took effect, and the report does not say so",
                    effect.sequence
                )
            })
            .collect();
        for text in bad {
            state.violation(text);
        }
    }

    /// Adds what earlier runs left: only what a plan was approved for that said so.
    fn add_left(&mut self, plans: &mut [RepositoryPlan], evidence: Evidence<'_>) -> Option<()> {
        let stop = self.new_stop();
        let world = World {
            registry: &self.world,
            journal: &self.journal,
            clock: &self.world,
            stop: &stop,
        };
        let request = LeftoverRequest {
            memory: crate::Memory::default(),
            in_doubt: &LeftOut::default(),
            of: &|name| !is_holding(name),
        };
        let left = self.run(async {
            let chronicle = chronicle(world).await?;
            leftovers(world, &chronicle, &request).await
        })?;
        let left = left.ok()?;
        for plan in plans {
            let policies = self.policies.of_repository(&plan.name, &|_| true);
            let Some(more) = policies.and_then(|policies| left.added_to(plan, &policies, None, evidence))
            else {
                continue;
            };
            let planned: BTreeSet<Digest> = going(plan).collect();
            let added: Vec<Digest> = going(&more).filter(|digest| !planned.contains(digest)).collect();
            self.note(&format!("left: {added:?}"));
            self.left += added.len();
            for digest in added {
                let key = (plan.name.clone(), digest);
                if !self.world.state().approved.contains(&key) {
                    let text = format!("{}@{} is said to be left, and was never to go", key.0, key.1);
                    self.world.state().violation(text);
                }
            }
            *plan = more;
        }
        Some(())
    }

    /// What of a plan every plan has said for as long as was promised. Of a repository that could not be read, no plan
    /// says anything.
    fn told_before(&mut self, plan: &RepositoryPlan, now: Time) -> Vec<Digest> {
        let Some(notice) = self.world.state().case.notice else {
            return going(plan).collect();
        };
        if !plan.complete {
            return Vec::new();
        }
        let mut said = BTreeMap::new();
        let mut old_enough = Vec::new();
        for action in &plan.actions {
            let (digest, tags): (_, BTreeSet<Tag>) = match action {
                Action::Delete { digest, tags, .. } => (digest, tags.iter().cloned().collect()),
                Action::Untag { tag, digest, .. } => (digest, BTreeSet::from([tag.clone()])),
            };
            let key = (plan.name.clone(), digest.clone(), tags);
            let since = self.told.get(&key).copied().unwrap_or(now);
            said.insert(key, since);
            if now - since >= TimeDelta::minutes(notice) {
                let only = RepositoryPlan {
                    actions: vec![action.clone()],
                    ..plan.clone()
                };
                old_enough.extend(going(&only));
            }
        }
        self.told.retain(|(name, ..), _| *name != plan.name);
        self.told.extend(said);
        old_enough
    }

    async fn purge(
        &self,
        world: World<'_, Simulated, ModelStore, Simulated>,
        begin: Begin,
        in_doubt: &LeftOut,
        chronicle: &mut Chronicle,
        due: &Due,
    ) -> Result<(), JournalError> {
        if due.plans.is_empty() || world.stop.is_requested() {
            return Ok(());
        }
        self.note(&format!("-- purge {due:?}"));
        {
            let mut state = self.world.state();
            for plan in &due.plans {
                let going = going(plan).map(|digest| (plan.name.clone(), digest));
                state.approved.extend(going);
            }
        }
        let request = PurgeRequest {
            begin,
            in_doubt,
            repositories_at_once: 1,
            units_at_once: 1,
        };
        let done = purge(world, &request, chronicle, due, |run| {
            self.note(&format!("done: {run:?}"));
            Ok::<(), std::convert::Infallible>(())
        });
        done.await.map(|_| ()).map_err(only_the_journal)
    }

    /// In calm, every copy goes whose grace is over, and no other.
    fn purge_rest(&mut self) {
        let begin = self.begin(Purpose::Purge);
        let stop = self.new_stop();
        let world = World {
            registry: &self.world,
            journal: &self.journal,
            clock: &self.world,
            stop: &stop,
        };
        let now = self.world.state().now;
        self.run(async {
            let mut chronicle = chronicle(world).await?;
            let due = due(world, &chronicle, None).await;
            self.purge(world, begin, &LeftOut::default(), &mut chronicle, &due)
                .await
        });
        let mut state = self.world.state();
        let mut bad = Vec::new();
        for ((name, digest), copies) in &state.copies {
            let there = state.repositories.get(name).is_some_and(|holding| {
                holding.tags.values().any(|on| on == digest) && holding.manifests.contains_key(digest)
            });
            let over = copies.iter().all(|until| *until <= now);
            if there && over {
                bad.push(format!("I8: {name}@{digest} stays, and its grace is over"));
            }
        }
        for text in bad {
            state.violation(text);
        }
    }

    /// Somebody edits the plan after it was approved.
    fn tamper(&mut self, plans: &mut [RepositoryPlan]) {
        let state = self.world.state();
        for plan in plans {
            let Some(repository) = state.repositories.get(&plan.name) else {
                continue;
            };
            let kept = repository
                .tags
                .iter()
                .find(|(tag, _)| tag.as_str().starts_with('k'));
            if let Some((_, digest)) = kept {
                let on = repository.tags.iter().filter(|(_, other)| *other == digest);
                plan.actions.push(Action::Delete {
                    digest: digest.clone(),
                    tags: on.map(|(tag, _)| tag.clone()).collect(),
                    media_type: None,
                    size: None,
                    children: Vec::new(),
                    attachments: Vec::new(),
                    undo: Undo::until_collection(),
                    reasons: Vec::new(),
                });
            }
        }
    }

    fn recover_once(&self) {
        self.note("-- recover");
        let stop = self.new_stop();
        let world = World {
            registry: &self.world,
            journal: &self.journal,
            clock: &self.world,
            stop: &stop,
        };
        let recovery = self.run(async {
            let mut chronicle = chronicle(world).await?;
            recover(world, &mut chronicle).await
        });
        // Only the journal can fail it.
        if let Some(Ok(recovery)) = recovery {
            self.told_of(&recovery);
        }
    }

    fn undo_once(&mut self) {
        let target = match self.chance.below(4) {
            0 => UndoTarget::Run(RunId::from_bits(1 + self.chance.below(3) as u128)),
            1 => UndoTarget::Repository("team/app0".parse().unwrap()),
            2 => {
                let mut taken: Vec<_> = self.world.state().taken.iter().cloned().collect();
                taken.retain(|(name, _)| !is_holding(name));
                let Some((name, tag)) = self.chance.pick(&taken) else {
                    return;
                };
                UndoTarget::Artifact(name.clone(), lagan_model::Reference::Tag(tag.clone()))
            }
            _ => {
                let mut effects: Vec<_> = self.world.state().effects.clone();
                effects.retain(|effect| !is_holding(&effect.repository));
                let Some(effect) = self.chance.pick(&effects) else {
                    return;
                };
                let reference = lagan_model::Reference::Digest(effect.digest.clone());
                UndoTarget::Artifact(effect.repository.clone(), reference)
            }
        };
        self.undo(target);
    }

    fn undo(&mut self, target: UndoTarget) -> Option<Vec<RepositoryUndo>> {
        self.note(&format!("-- undo {target:?}"));
        let since = self.world.state().step;
        let begin = self.begin(Purpose::Undo { of: String::new() });
        let stop = self.new_stop();
        let world = World {
            registry: &self.world,
            journal: &self.journal,
            clock: &self.world,
            stop: &stop,
        };
        let undone = self.run(async {
            let mut chronicle = chronicle(world).await?;
            let recovery = recover(world, &mut chronicle).await?;
            self.told_of(&recovery);
            let request = UndoRequest {
                begin,
                target,
                overwrite_moved_tags: false,
                hold: crate::DEFAULT_HOLD,
                dry_run: false,
                in_doubt: &recovery.left_out(),
                repositories_at_once: 1,
            };
            Ok::<_, JournalError>(undo(world, &request, &()).await)
        })?;
        // Only the journal can fail an undo; what is said then to be there is there as well.
        let (undone, journal) = undone.ok()?;
        self.note(&format!("{undone:?}"));
        self.check_undone(&undone, since);
        journal.is_ok().then_some(undone)
    }

    /// I4: what is said to be restored is there, byte for byte, with everything that it needs, and with its tags, unless
    /// others have put these elsewhere since a step.
    fn check_undone(&mut self, undone: &[RepositoryUndo], since: u64) {
        let mut bad = Vec::new();
        let mut state = self.world.state();
        let now = state.now;
        for repository in undone {
            for manifest in &repository.manifests {
                if manifest.outcome == UndoOutcome::Restored {
                    self.restored += 1;
                    let key = (repository.name.clone(), manifest.digest.clone());
                    state.put_back.insert(key, now);
                }
                let Some(found) = state.repositories.get(&repository.name) else {
                    continue;
                };
                let there = found.manifests.get(&manifest.digest);
                // What others deleted before is named, by what is next above; what they delete after, nobody can name.
                let lacks = state.lacks_by_others(&repository.name, &manifest.digest);
                let named = lacks.iter().all(|lacks| {
                    let later = state.others_took(&repository.name, lacks, since);
                    let mut names = repository.manifests.iter().map(|manifest| &manifest.lacks);
                    later || names.any(|named| named.contains(lacks))
                });
                let whole = is_sound_but_for(found, &manifest.digest, &lacks) && named;
                if manifest.outcome.is_there() && !whole {
                    bad.push(format!(
                        "I4: {} is said to be {:?}, and is not",
                        manifest.digest, manifest.outcome
                    ));
                }
                let as_it_was = found.ever.get(&manifest.digest).map(Manifest::media_type);
                if there.is_some_and(|there| Some(there.media_type()) != as_it_was) {
                    bad.push(format!("I4: {} is served as something else", manifest.digest));
                }
                if !matches!(
                    manifest.outcome,
                    UndoOutcome::Restored | UndoOutcome::AlreadyThere
                ) {
                    continue;
                }
                for tag in &manifest.tags {
                    let merged = matches!(AttachmentForm::of(tag), Some((AttachmentForm::ReferrersIndex, _)));
                    let moved = found.put_at.get(tag).copied().unwrap_or(0) >= since
                        || state.others_took_tag(&repository.name, tag, since);
                    if found.tags.get(tag) != Some(&manifest.digest) && !moved && !merged {
                        bad.push(format!(
                            "I4: {} is said to be {:?}, and {tag} is not on it",
                            manifest.digest, manifest.outcome
                        ));
                    }
                }
            }
        }
        for text in bad {
            state.violation(text);
        }
    }

    /// Everything that is under way comes to its end.
    fn settle_down(&mut self) {
        for _ in 0..3 {
            self.recover_once();
            self.world.state().pass(TimeDelta::minutes(11));
        }
        self.recover_once();
    }

    /// I5, and what has to hold when nothing is under way: the journal says what happened, live indexes are whole, and
    /// what should have stayed is there.
    fn check_rest(&mut self) {
        let mut bad = Vec::new();
        let open: Vec<_> = self
            .store
            .with_durable(|kept| kept.open.iter().copied().collect());
        if !open.is_empty() {
            bad.push(format!("I5: still open: {open:?}"));
        }
        {
            let state = self.world.state();
            self.store
                .with_durable(|kept| bad.extend(state.wrong_outcomes(kept)));
            for swept in &state.swept {
                let (name, tag, digest) = (&swept.repository, &swept.tag, &swept.digest);
                let repository = &state.repositories[name];
                let is_turned_down =
                    |needed: &Digest| state.turned_down.contains(&(name.clone(), needed.clone()));
                let could_not = everything_of(repository, digest).iter().any(is_turned_down);
                // Whoever dies in between tells nobody; the journal has it.
                let died = state.crashes_left < state.case.crashes;
                let there = repository.tags.contains_key(tag)
                    || state.others_took_tag(name, tag, 0)
                    || tag.as_str().starts_with('d') && state.taken.contains(&(name.clone(), tag.clone()))
                    || could_not && (died || self.is_told_gone(tag, digest, LOST));
                // Where a run was interrupted, nobody may know who took a tag.
                let undisturbed =
                    state.faults_left == state.case.faults && state.crashes_left == state.case.crashes;
                let is_unclear = !undisturbed && self.is_told_gone(tag, digest, UNCLEAR);
                if !there && !is_unclear {
                    bad.push(format!(
                        "I1: {name}:{tag} went when another tag of its manifest was to go"
                    ));
                }
            }
            for (name, repository) in &state.repositories {
                let mut seen = BTreeSet::new();
                let mut work: Vec<&Digest> = repository.tags.values().collect();
                while let Some(digest) = work.pop() {
                    match repository.manifests.get(digest) {
                        None => bad.push(format!(
                            "I2: {name}@{digest} is needed by something tagged, and is not there"
                        )),
                        Some(manifest) => {
                            let listed = children(manifest);
                            for child in listed {
                                if let Some((child, _)) = repository
                                    .manifests
                                    .get_key_value(&child)
                                    .filter(|(child, _)| seen.insert((*child).clone()))
                                {
                                    work.push(child);
                                } else if !repository.manifests.contains_key(&child)
                                    && !is_collected(repository, &child)
                                    && !state.others_took(name, &child, 0)
                                    && !state.cannot_come_back(name, &child)
                                {
                                    bad.push(format!(
                                        "I2: {name}@{digest} is tagged, and its child {child} is not there"
                                    ));
                                }
                            }
                        }
                    }
                }
            }
        }
        for text in bad {
            self.world.state().violation(text);
        }
    }

    /// In the end everything comes back, or there is a reason why it cannot.
    fn undo_everything(&mut self) {
        let deleted: Vec<(RepositoryName, Digest)> = {
            let state = self.world.state();
            let manifests = state
                .effects
                .iter()
                .filter(|effect| effect.tag.is_none() && !is_holding(&effect.repository));
            manifests
                .map(|effect| (effect.repository.clone(), effect.digest.clone()))
                .collect()
        };
        let beginning = chrono::DateTime::from_timestamp(0, 0).unwrap();
        let Some(undone) = self.undo(UndoTarget::Since(beginning)) else {
            return;
        };
        let mut state = self.world.state();
        let mut bad = Vec::new();
        let mut outcomes = BTreeMap::new();
        for repository in &undone {
            for manifest in &repository.manifests {
                outcomes.insert(
                    (repository.name.clone(), manifest.digest.clone()),
                    &manifest.outcome,
                );
                if let UndoOutcome::Failed { detail } = &manifest.outcome {
                    bad.push(format!(
                        "I4: nothing fails, and {} was not put back: {detail}",
                        manifest.digest
                    ));
                }
                // What others deleted before it was to go, and was on record already, was held by nobody.
                let is_ours = |effect: &&Effect| effect.sequence == manifest.deletion;
                let ours = state.effects.iter().find(is_ours);
                let held = ours.and_then(|ours| state.promised.get(&ours.sequence));
                if let UndoOutcome::Unrecoverable { why } = &manifest.outcome
                    && held.is_some_and(|(_, until)| *until > state.now)
                {
                    bad.push(format!(
                        "I8: {} is held, and cannot come back: {why}",
                        manifest.digest
                    ));
                }
                if let UndoOutcome::Unrecoverable { why } = &manifest.outcome
                    && !state.case.collections
                    && !state.cannot_come_back(&repository.name, &manifest.digest)
                {
                    bad.push(format!(
                        "I4: nothing was collected, and {} cannot come back: {why}",
                        manifest.digest
                    ));
                }
            }
        }
        for (name, digest) in deleted {
            let there = state.repositories[&name].manifests.contains_key(&digest);
            let others = state.others_took(&name, &digest, 0);
            if !there && !others && !outcomes.contains_key(&(name.clone(), digest.clone())) {
                bad.push(format!(
                    "I4: {name}@{digest} was deleted, is not there, and undo does not speak of it"
                ));
            }
        }
        for (name, tag) in &state.taken {
            let said = |manifest: &ManifestUndo| {
                let lies = matches!(
                    manifest.outcome,
                    UndoOutcome::Restored | UndoOutcome::AlreadyThere
                );
                manifest.tags.contains(tag) && !lies
            };
            let mut of_name = undone.iter().filter(|repository| repository.name == *name);
            let there = state.repositories[name].tags.contains_key(tag)
                || state.others_took_tag(name, tag, 0)
                || is_holding(name);
            if !there && !of_name.any(|repository| repository.manifests.iter().any(said)) {
                bad.push(format!(
                    "I4: {name}:{tag} was deleted, is not there, and undo does not say why"
                ));
            }
        }
        // What went with another tag comes back as well, or there is a reason.
        for swept in &state.swept {
            let (name, tag, digest) = (&swept.repository, &swept.tag, &swept.digest);
            let of_name = undone.iter().filter(|repository| repository.name == *name);
            let mut all = of_name.flat_map(|repository| &repository.manifests);
            let why = |manifest: &ManifestUndo| manifest.digest == *digest && !manifest.outcome.is_there();
            let there =
                state.repositories[name].tags.contains_key(tag) || state.others_took_tag(name, tag, 0);
            let told = self.is_told_gone(tag, digest, LOST) || self.is_told_gone(tag, digest, UNCLEAR);
            if !there && told && !all.any(why) {
                bad.push(format!(
                    "I4: {name}:{tag} was told as lost, is not there, and undo does not say why"
                ));
            }
        }
        for text in bad {
            state.violation(text);
        }
    }
}

async fn chronicle(world: World<'_, Simulated, ModelStore, Simulated>) -> Result<Chronicle, JournalError> {
    Chronicle::read(world.journal, &world.registry.identity().url, world.clock.now()).await
}

/// A manifest, the blobs that it needs, and the same of everything below it.
fn everything_of(repository: &Repository, digest: &Digest) -> BTreeSet<Digest> {
    let mut all = BTreeSet::new();
    let mut work = vec![digest.clone()];
    while let Some(digest) = work.pop() {
        if let Some(manifest) = repository.ever.get(&digest) {
            all.extend(blobs(manifest));
            work.extend(
                children(manifest)
                    .into_iter()
                    .filter(|child| !all.contains(child)),
            );
        }
        all.insert(digest);
    }
    all
}

/// Whether this says that a tag is gone from a manifest.
fn is_told_gone(problem: &str, tag: &Tag, digest: &Digest, (before, after): (&str, &str)) -> bool {
    let rest = problem.split_once(before).map(|(_, rest)| rest);
    let tags = rest.and_then(|rest| rest.split_once(after));
    let is_named = |(tags, _): (&str, &str)| tags.split(", ").any(|named| named == tag.as_str());
    problem.contains(&digest.to_string()) && tags.is_some_and(is_named)
}

/// The records of which a report says that they took effect, or may have.
fn told_gone(run: &RepositoryRun) -> impl Iterator<Item = Sequence> {
    let manifests = run.actions.iter().flat_map(|action| &action.manifests);
    manifests
        .filter(|manifest| {
            matches!(
                manifest.outcome,
                ActionOutcome::Deleted | ActionOutcome::Untagged | ActionOutcome::InDoubt { .. }
            )
        })
        .filter_map(|manifest| manifest.sequence)
}

fn only_the_journal(error: crate::ApplyError<std::convert::Infallible>) -> JournalError {
    match error {
        crate::ApplyError::Journal(error) => error,
        other => panic!("{other}"),
    }
}

/// Every manifest that a plan says goes, or loses a tag.
pub(super) fn going(plan: &RepositoryPlan) -> impl Iterator<Item = Digest> {
    plan.actions.iter().flat_map(|action| match action {
        Action::Delete {
            digest,
            children,
            attachments,
            ..
        } => std::iter::once(digest)
            .chain(
                children
                    .iter()
                    .chain(attachments)
                    .map(|dependent| &dependent.digest),
            )
            .cloned()
            .collect::<Vec<_>>(),
        Action::Untag { digest, .. } => vec![digest.clone()],
    })
}
