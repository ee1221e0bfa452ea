//! Single scenes in the simulated world, in calm: what is asked for by a user, and so does not come by chance.

mod along;
mod chronicles;
mod enough;
mod failing;
mod held;
mod lacking;
mod left;
mod mending;
mod merging;
mod passes;
mod readings;
mod sparse;
mod untagging;

use std::convert::Infallible;
use std::sync::{Arc, LazyLock, Mutex};

use chrono::TimeDelta;
use lagan_model::journal::{Begin, Journal, JournalStore, Purpose, RunId, Skip};
use lagan_model::{Digest, Observer, Reference, RegistryRead, RepositoryName, RequestKind, Tag, Time};
use lagan_policy::{
    Action, Announcements, Depth, Evidence, Guard, LimitOverride, Limits, RepositoryPlan, RolloutNote,
    Waiting,
};

use super::case::Case;
use super::ports::{Simulated, drive};
use super::store::ModelStore;
use super::story::policies;
use super::world::{Effect, Late, Repository, Seen, State};
use crate::safeguard::{Safeguard, without};
use crate::{
    ActionOutcome, ApplyRequest, Approval, ApprovedPlan, Chronicle, DEFAULT_HOLD, Due, Holds, InDoubt,
    LeftOut, PlanRequest, PurgeRequest, Recovery, RepositoryRun, RepositoryUndo, Scope, Stop, UndoOutcome,
    UndoRequest, UndoTarget, Veto, World, all_waits, apply, due, plan, purge, recover, undo,
};

struct Scene {
    world: Simulated,
    journal: Journal<ModelStore>,
    stop: Arc<Stop>,
    runs: u128,
    /// The full pass of what is applied next.
    pass: Option<Time>,
    /// For how many minutes what goes is held before.
    grace: Option<i64>,
}

fn name() -> RepositoryName {
    "team/app".parse().unwrap()
}

/// Where what is deleted there is held.
fn holding() -> RepositoryName {
    "hold/team/app".parse().unwrap()
}

fn tag(text: &str) -> Tag {
    text.parse().unwrap()
}

impl Scene {
    fn new() -> Self {
        let case = Case {
            repositories: 0,
            grace: None,
            notice: None,
            keep: 0,
            ..Case::of(0)
        };
        let mut state = State::new(case, false);
        state.quirks.delete_tag = true;
        state.quirks.delete_tag_takes_all = false;
        state.repositories.insert(name(), Repository::default());
        let stop = state.stop.clone();
        let world = Simulated(Arc::new(Mutex::new(state)));
        Self {
            journal: Journal::new(ModelStore::new(world.clone())),
            world,
            stop,
            runs: 0,
            pass: None,
            grace: None,
        }
    }

    fn world(&self) -> World<'_, Simulated, ModelStore, Simulated> {
        World {
            registry: &self.world,
            journal: &self.journal,
            clock: &self.world,
            stop: &self.stop,
        }
    }

    fn drive<T>(&self, future: impl Future<Output = T>) -> T {
        drive(&self.world, future).unwrap()
    }

    fn image(&self, tags: &[&str]) -> Digest {
        let mut state = self.world.state();
        let digest = state.image(&name(), None);
        for text in tags {
            state.put_tag(&name(), tag(text), &digest);
        }
        digest
    }

    fn tags(&self) -> Vec<String> {
        let state = self.world.state();
        let tags = state.repositories[&name()].tags.keys();
        tags.map(|tag| tag.as_str().to_owned()).collect()
    }

    fn begin(&mut self, purpose: Purpose) -> Begin {
        self.runs += 1;
        Begin {
            run: RunId::from_bits(self.runs),
            purpose,
            registry: self.world.identity().clone(),
            policies: Vec::new(),
            at: self.world.state().now,
            program: "test".to_owned(),
            collections: None,
            pass: self.pass,
        }
    }

    fn plan(&self) -> Vec<RepositoryPlan> {
        self.plan_with(crate::Memory::default())
    }

    fn plan_with(&self, memory: crate::Memory<'_>) -> Vec<RepositoryPlan> {
        let (policies, scope) = (policies(self.grace, None), Scope::default());
        let request = PlanRequest {
            policies: &policies,
            asked: &|_| true,
            scope: &scope,
            now: self.world.state().now,
            depth: Depth::Exact,
            probe: false,
            undo: None,
            facts: false,
            memory,
            evidence: evidence(),
            rollouts: &lagan_policy::Rollouts::default(),
            repositories_at_once: 1,
        };
        let mut plans = Vec::new();
        self.drive(plan(&self.world, &(), &request, |plan, _| {
            plans.push(plan.clone());
            Ok::<(), Infallible>(())
        }))
        .unwrap();
        plans
    }

    fn apply_to(
        &mut self,
        plans: &[RepositoryPlan],
        approved: &ApprovedPlan,
        veto: &impl Veto,
    ) -> RepositoryRun {
        self.apply_beside(plans, approved, veto, &LeftOut::default())
    }

    /// Applies one unit after the other.
    fn request<'a, V>(
        &mut self,
        approved: &'a ApprovedPlan,
        veto: &'a V,
        in_doubt: &'a LeftOut,
    ) -> ApplyRequest<'a, V> {
        ApplyRequest {
            begin: self.begin(Purpose::Apply {
                plan: "plan".to_owned(),
            }),
            approved,
            veto,
            in_doubt,
            repositories_at_once: 1,
            units_at_once: 1,
        }
    }

    /// Applies until the program dies right after the first deletion, and starts it again.
    fn apply_and_die(&mut self, plans: Vec<RepositoryPlan>, approved: &ApprovedPlan) {
        self.world.state().dies_after_deletion = true;
        let in_doubt = LeftOut::default();
        let request = self.request(approved, &(), &in_doubt);
        let plans = plans.into_iter().map(Ok::<_, Infallible>);
        let run = drive(&self.world, apply(self.world(), &request, plans, |_| Ok(())));
        assert!(run.is_none(), "it died");
        self.journal.store().restart();
    }

    fn apply_beside(
        &mut self,
        plans: &[RepositoryPlan],
        approved: &ApprovedPlan,
        veto: &impl Veto,
        in_doubt: &LeftOut,
    ) -> RepositoryRun {
        let request = self.request(approved, veto, in_doubt);
        let mut runs = Vec::new();
        let plans = plans.iter().cloned().map(Ok::<_, Infallible>);
        self.drive(apply(self.world(), &request, plans, |run| {
            runs.push(run.clone());
            Ok(())
        }))
        .unwrap();
        runs.pop().unwrap()
    }

    fn apply(&mut self) -> RepositoryRun {
        let plans = self.plan();
        let approved = approved(&plans, &limits(0));
        self.apply_to(&plans, &approved, &())
    }

    fn undo(&mut self, change: impl FnOnce(&mut UndoRequest<'_>)) -> Vec<RepositoryUndo> {
        self.undo_watched(&(), change)
    }

    fn undo_watched(
        &mut self,
        observer: &impl Observer,
        change: impl FnOnce(&mut UndoRequest<'_>),
    ) -> Vec<RepositoryUndo> {
        let in_doubt = LeftOut::default();
        let mut request = UndoRequest {
            begin: self.begin(Purpose::Undo {
                of: "test".to_owned(),
            }),
            target: UndoTarget::Repository(name()),
            overwrite_moved_tags: false,
            hold: DEFAULT_HOLD,
            dry_run: false,
            in_doubt: &in_doubt,
            repositories_at_once: 1,
        };
        change(&mut request);
        let (undone, journal) = self.drive(undo(self.world(), &request, observer));
        journal.unwrap();
        undone
    }

    fn due(&self) -> Due {
        let chronicle = self.chronicle();
        self.drive(due(self.world(), &chronicle, Some(500)))
    }

    fn chronicle(&self) -> Chronicle {
        let now = self.world.state().now;
        let read = Chronicle::read(&self.journal, &self.world.identity().url, now);
        self.drive(read).unwrap()
    }

    fn holds(&self) -> Holds {
        self.chronicle().holds(self.world.state().now)
    }

    fn recover(&self) -> Recovery {
        let mut chronicle = self.chronicle();
        self.drive(recover(self.world(), &mut chronicle)).unwrap()
    }

    /// Purges what is due, and says what became of it.
    fn purge(&mut self) -> Vec<RepositoryRun> {
        let mut chronicle = self.chronicle();
        let due = self.due();
        {
            let mut state = self.world.state();
            for plan in &due.plans {
                for action in &plan.actions {
                    if let Action::Delete { digest, .. } = action {
                        state.approved.insert((plan.name.clone(), digest.clone()));
                    }
                }
            }
        }
        let request = PurgeRequest {
            begin: self.begin(Purpose::Purge),
            in_doubt: &LeftOut::default(),
            repositories_at_once: 1,
            units_at_once: 1,
        };
        let mut runs = Vec::new();
        self.drive(purge(self.world(), &request, &mut chronicle, &due, |run| {
            runs.push(run.clone());
            Ok::<(), Infallible>(())
        }))
        .unwrap();
        runs
    }

    fn collect_garbage(&self) {
        let mut state = self.world.state();
        state.collect_garbage(&name());
        state.collect_garbage(&holding());
    }

    /// Whether a promise to hold something was broken.
    fn is_broken(&self) -> bool {
        let state = self.world.state();
        state.violations.iter().any(|text| text.starts_with("I8"))
    }

    /// What is held.
    fn held(&self) -> Vec<Digest> {
        let state = self.world.state();
        let holding = state.repositories.get(&holding());
        holding.map_or_else(Vec::new, |holding| holding.tags.values().cloned().collect())
    }

    fn runs_on_record(&self) -> usize {
        self.drive(self.journal.store().runs()).unwrap().len()
    }
}

fn limits(keep_at_least: u64) -> Limits {
    Limits {
        keep_at_least,
        ..Limits::default()
    }
}

/// Nothing is announced, and no policy asks for it.
fn evidence() -> Evidence<'static> {
    static NONE: LazyLock<Announcements> = LazyLock::new(Announcements::default);
    Evidence {
        announcements: &NONE,
        now: Time::MIN_UTC,
    }
}

fn approved(plans: &[RepositoryPlan], limits: &Limits) -> ApprovedPlan {
    let mut approval = Approval::new(limits, evidence());
    for plan in plans {
        approval.add_under(plan, limits, Vec::new());
    }
    approval.finish("plan".to_owned()).unwrap()
}

fn outcomes(run: &RepositoryRun) -> Vec<&ActionOutcome> {
    let manifests = run.actions.iter().flat_map(|action| &action.manifests);
    manifests.map(|manifest| &manifest.outcome).collect()
}

fn skipped(run: &RepositoryRun) -> Vec<Skip> {
    let why = |outcome: &&ActionOutcome| match outcome {
        ActionOutcome::Skipped { why, .. } => Some(*why),
        _ => None,
    };
    outcomes(run).iter().filter_map(why).collect()
}

#[test]
fn what_the_limits_refuse_is_not_approved_and_every_reason_is_told() {
    let scene = Scene::new();
    for text in ["d1", "d2", "d3"] {
        scene.image(&[text]);
    }
    let plans = scene.plan();
    let strict = Limits {
        max_deletions: Some(2),
        keep_at_least: 0,
        ..Limits::default()
    };
    let refused = |mut approval: Approval| {
        approval.add_under(&plans[0], &strict, Vec::new());
        approval.finish(String::new()).err().map(|refused| {
            let guards = refused.guards.into_iter().filter(|guard| guard.refuses);
            guards
                .map(|guard| (guard.limit, guard.allowed, guard.wanted))
                .collect::<Vec<_>>()
        })
    };
    assert_eq!(
        refused(Approval::new(&strict, evidence())),
        Some(vec![(Guard::MaxDeletions, 2, 3)])
    );
    let lifted = Approval::new(&strict, evidence()).overridden(&[LimitOverride::MaxDeletions(Some(3))]);
    assert_eq!(refused(lifted), None);
}

#[test]
fn a_repository_that_is_held_back_is_left_alone() {
    let mut scene = Scene::new();
    scene.image(&["d1"]);
    let plans = scene.plan();
    let approved = approved(&plans, &limits(1));
    assert!(approved.guards().iter().any(|guard| guard.refuses));
    let run = scene.apply_to(&plans, &approved, &());
    assert_eq!(skipped(&run), [Skip::NotApproved]);
    assert_eq!(scene.tags(), ["d1"]);
}

#[test]
fn when_it_comes_to_it_no_fewer_stay_than_are_to_whatever_was_planned() {
    let mut scene = Scene::new();
    let kept = scene.image(&["k1"]);
    scene.image(&["d1"]);
    scene.image(&["d2"]);
    let plans = scene.plan();
    let approved = approved(&plans, &limits(1));
    // Somebody else deletes what was to stay.
    {
        let mut state = scene.world.state();
        let repository = state.repositories.get_mut(&name()).unwrap();
        repository.manifests.remove(&kept);
        repository.tags.remove(&tag("k1"));
    }
    let run = scene.apply_to(&plans, &approved, &());
    assert_eq!(skipped(&run), [Skip::KeepAtLeast]);
    assert_eq!(scene.tags().len(), 1);
}

#[test]
fn an_override_of_what_has_to_stay_holds_when_it_is_carried_out() {
    let mut scene = Scene::new();
    scene.image(&["d1"]);
    let plans = scene.plan();
    let mut approval = Approval::new(&limits(1), evidence()).overridden(&[LimitOverride::KeepAtLeast(0)]);
    approval.add_under(&plans[0], &limits(1), Vec::new());
    let approved = approval.finish(String::new()).unwrap();
    let run = scene.apply_to(&plans, &approved, &());
    assert_eq!(outcomes(&run), [&ActionOutcome::Deleted]);
}

#[test]
fn a_run_that_is_asked_to_stop_begins_nothing_and_counts_as_no_completed_one() {
    let mut scene = Scene::new();
    scene.image(&["d1"]);
    scene.stop.request();
    let run = scene.apply();
    assert_eq!(skipped(&run), [Skip::Stopped]);
    assert_eq!(scene.tags(), ["d1"]);
    assert!(scene.chronicle().history().0.is_empty());
}

#[test]
fn an_artifact_in_hand_is_finished_when_the_run_is_asked_to_stop() {
    let mut scene = Scene::new();
    for text in ["d1", "d2"] {
        let mut state = scene.world.state();
        let children = [state.image(&name(), None), state.image(&name(), None)];
        let index = state.index(&name(), &children);
        state.put_tag(&name(), tag(text), &index);
    }
    scene.world.state().stop_at_deletion = true;
    let run = scene.apply();
    let deleted = outcomes(&run)
        .into_iter()
        .filter(|outcome| **outcome == ActionOutcome::Deleted);
    assert_eq!(deleted.count(), 3);
    assert_eq!(skipped(&run), [Skip::Stopped; 3]);
    assert_eq!(scene.world.state().repositories[&name()].manifests.len(), 3);
}

#[test]
fn completed_runs_are_known_to_the_limits_the_newest_first() {
    let mut scene = Scene::new();
    for count in [1, 3] {
        for number in 0..count {
            scene.image(&[format!("d{count}-{number}").as_str()]);
        }
        scene.apply();
    }
    scene.undo(|_| {});
    assert_eq!(scene.chronicle().history().0, [3, 1]);
}

#[test]
fn a_full_pass_and_those_that_go_on_with_it_are_one_run_for_the_limits() {
    let mut scene = Scene::new();
    let [first, second] = [1, 2].map(|hour| scene.world.state().now + TimeDelta::hours(hour));
    // Another policy's run, and a pass of another policy, stand between.
    for (count, pass) in [(1, Some(first)), (2, None), (3, Some(second)), (1, Some(first))] {
        for number in 0..count {
            let made = scene.runs;
            scene.image(&[format!("d{made}-{number}").as_str()]);
        }
        scene.pass = pass;
        scene.apply();
    }
    let chronicle = scene.chronicle();
    assert_eq!(chronicle.history().0, [2, 3, 2]);
    let besides = |pass| {
        let (history, so_far) = chronicle.history_besides(pass);
        (history.0, so_far)
    };
    assert_eq!(besides(Some(first)), (vec![3, 2], 2));
    assert_eq!(besides(Some(second)), (vec![2, 2], 3));
    assert_eq!(besides(Some(second + TimeDelta::hours(1))), (vec![2, 3, 2], 0));
}

#[test]
fn what_was_put_back_is_held_until_the_hold_ends() {
    let mut scene = Scene::new();
    let digest = scene.image(&["d1"]);
    scene.apply();
    scene.undo(|request| request.hold = TimeDelta::days(2));
    let holds = scene.holds();
    assert!(holds.until(&name(), &digest).is_some());
    let plans = scene.plan();
    let approved = approved(&plans, &limits(0));
    assert_eq!(skipped(&scene.apply_to(&plans, &approved, &holds)), [Skip::Held]);
    scene.world.state().now += TimeDelta::days(3);
    let holds = scene.holds();
    assert_eq!(holds, Holds::default());
    let run = scene.apply_to(&plans, &approved, &holds);
    assert_eq!(outcomes(&run), [&ActionOutcome::Deleted]);
}

#[test]
fn looking_at_what_an_undo_would_do_changes_nothing() {
    let mut scene = Scene::new();
    scene.image(&["d1"]);
    scene.apply();
    let runs = scene.runs_on_record();
    let undone = scene.undo(|request| request.dry_run = true);
    assert_eq!(undone[0].manifests[0].outcome, UndoOutcome::Restored);
    assert!(scene.tags().is_empty());
    assert_eq!(scene.runs_on_record(), runs);
}

#[test]
fn a_tag_that_is_elsewhere_by_now_is_taken_from_there_only_when_asked() {
    let mut scene = Scene::new();
    let old = scene.image(&["d1"]);
    scene.apply();
    let new = scene.image(&["d1"]);
    let undone = scene.undo(|_| {});
    assert_eq!(
        undone[0].manifests[0].outcome,
        UndoOutcome::Conflict {
            tags: vec![(tag("d1"), new.clone())]
        }
    );
    let on = |scene: &Scene| scene.world.state().repositories[&name()].tags[&tag("d1")].clone();
    assert_eq!(on(&scene), new);
    let undone = scene.undo(|request| request.overwrite_moved_tags = true);
    assert_eq!(undone[0].manifests[0].outcome, UndoOutcome::Restored);
    assert_eq!(on(&scene), old);
}

#[test]
fn an_undo_that_is_repeated_finds_everything_there() {
    let mut scene = Scene::new();
    scene.image(&["d1"]);
    scene.apply();
    for expected in [UndoOutcome::Restored, UndoOutcome::AlreadyThere] {
        assert_eq!(scene.undo(|_| {})[0].manifests[0].outcome, expected);
    }
}

#[test]
fn what_nobody_deleted_is_nothing_to_undo() {
    let mut scene = Scene::new();
    scene.image(&["d1"]);
    scene.apply();
    let runs = scene.runs_on_record();
    let later = scene.world.state().now + TimeDelta::seconds(1);
    for target in [
        UndoTarget::Run(RunId::from_bits(99)),
        UndoTarget::Artifact(name(), Reference::Tag(tag("d2"))),
        UndoTarget::Repository("team/other".parse().unwrap()),
        UndoTarget::Since(later),
    ] {
        assert_eq!(scene.undo(|request| request.target = target), []);
    }
    assert_eq!(scene.runs_on_record(), runs);
}

#[test]
fn an_artifact_comes_back_by_its_tag_with_what_belongs_to_it_and_nothing_else() {
    let mut scene = Scene::new();
    let index = {
        let mut state = scene.world.state();
        let children = [state.image(&name(), None), state.image(&name(), None)];
        let index = state.index(&name(), &children);
        state.put_tag(&name(), tag("d1"), &index);
        index
    };
    scene.image(&["d2"]);
    scene.apply();
    assert!(scene.world.state().repositories[&name()].manifests.is_empty());
    let undone = scene.undo(|request| {
        request.target = UndoTarget::Artifact(name(), Reference::Tag(tag("d1")));
    });
    assert_eq!(undone[0].manifests.len(), 3);
    assert_eq!(undone[0].manifests[2].digest, index, "children come first");
    assert_eq!(scene.tags(), ["d1"]);
}

#[test]
fn an_index_comes_back_although_somebody_else_deleted_a_child_and_the_report_names_it() {
    let mut scene = Scene::new();
    scene.world.state().quirks.checks_references = false;
    scene.world.state().quirks.forgets = false;
    let shared = scene.image(&["k1"]);
    {
        let mut state = scene.world.state();
        let index = state.index(&name(), std::slice::from_ref(&shared));
        state.put_tag(&name(), tag("d1"), &index);
    }
    scene.apply();
    {
        let mut state = scene.world.state();
        let repository = state.repositories.get_mut(&name()).unwrap();
        repository.manifests.remove(&shared);
        repository.tags.remove(&tag("k1"));
    }
    let undone = scene.undo(|_| {});
    assert_eq!(undone[0].manifests[0].outcome, UndoOutcome::Restored);
    assert_eq!(undone[0].manifests[0].lacks, [shared]);
}

#[test]
fn a_tag_comes_back_with_a_child_that_another_run_deleted_below_it() {
    let mut scene = Scene::new();
    let child = scene.image(&["d2"]);
    let index = {
        let mut state = scene.world.state();
        let index = state.index(&name(), std::slice::from_ref(&child));
        state.put_tag(&name(), tag("d1"), &index);
        state.put_tag(&name(), tag("k1"), &index);
        index
    };
    scene.apply();
    assert_eq!(scene.tags(), ["d2", "k1"], "the child of what stays stays");
    // From now on nobody sees the index, and its child is an image like any other.
    let untagged = UndoTarget::Run(RunId::from_bits(scene.runs));
    scene
        .world
        .state()
        .repositories
        .get_mut(&name())
        .unwrap()
        .tags
        .remove(&tag("k1"));
    scene.apply();
    assert_eq!(scene.tags(), Vec::<String>::new());
    let undone = scene.undo(|request| request.target = untagged);
    let ends: Vec<_> = undone[0]
        .manifests
        .iter()
        .map(|undo| (&undo.digest, &undo.outcome))
        .collect();
    assert_eq!(
        ends,
        [(&child, &UndoOutcome::Restored), (&index, &UndoOutcome::Restored)]
    );
    assert_eq!(scene.tags(), ["d1", "d2"]);
}

#[test]
fn a_manifest_that_was_deleted_twice_gets_the_tags_back_that_each_run_took() {
    for target in [None, Some(1), Some(2)] {
        let mut scene = Scene::new();
        let digest = scene.image(&["d1"]);
        scene.apply();
        let first = scene.runs;
        {
            let mut state = scene.world.state();
            let manifest = state.repositories[&name()].ever[&digest].clone();
            let repository = state.repositories.get_mut(&name()).unwrap();
            repository.manifests.insert(digest.clone(), manifest);
            state.put_tag(&name(), tag("d2"), &digest);
        }
        scene.apply();
        let second = scene.runs;
        let (target, tags): (_, &[&str]) = match target {
            None => (UndoTarget::Repository(name()), &["d1", "d2"]),
            Some(1) => (UndoTarget::Run(RunId::from_bits(first)), &["d1"]),
            _ => (UndoTarget::Run(RunId::from_bits(second)), &["d2"]),
        };
        let undone = scene.undo(|request| request.target = target);
        assert_eq!(undone[0].manifests[0].outcome, UndoOutcome::Restored);
        assert_eq!(scene.tags(), tags);
    }
}

#[test]
fn of_all_that_had_a_tag_the_last_is_meant_by_it() {
    let mut scene = Scene::new();
    scene.image(&["d1"]);
    scene.apply();
    let last = scene.image(&["d1"]);
    scene.apply();
    let undone = scene.undo(|request| {
        request.target = UndoTarget::Artifact(name(), Reference::Tag(tag("d1")));
    });
    let digests: Vec<_> = undone[0].manifests.iter().map(|undo| &undo.digest).collect();
    assert_eq!(digests, [&last]);
    assert_eq!(scene.tags(), ["d1"]);
}

#[test]
fn an_apply_asks_for_two_readings_and_a_few_requests_a_deletion() {
    let mut scene = Scene::new();
    scene.world.state().quirks.referrers_api = true;
    for text in ["k1", "k2", "k3", "k4", "k5"] {
        scene.image(&[text]);
    }
    let subject = scene.image(&["d1", "d2"]);
    let signature = format!("sha256-{}.sig", subject.encoded());
    scene.image(&[signature.as_str()]);
    {
        let mut state = scene.world.state();
        let children = [state.image(&name(), None), state.image(&name(), None)];
        let index = state.index(&name(), &children);
        state.put_tag(&name(), tag("d3"), &index);
    }
    let plans = scene.plan();
    let approved = approved(&plans, &limits(0));
    scene.world.state().requests.clear();
    let run = scene.apply_to(&plans, &approved, &());
    assert_eq!(outcomes(&run), [&ActionOutcome::Deleted; 5]);
    let requests = scene.world.requests();
    for (kind, expected, why) in [
        (RequestKind::Tags, 2, "one listing a reading"),
        (
            RequestKind::Manifest,
            (9 + 2) + 5,
            "every tag and the children; what stays",
        ),
        (RequestKind::Referrers, 5, "each manifest that goes"),
        (
            RequestKind::Head,
            (4 + 2) + 5,
            "every tag, or what has none, before; each after",
        ),
        (RequestKind::Delete, 5, "each manifest that goes"),
    ] {
        assert_eq!(requests.of(kind), expected, "{}: {why}", kind.as_str());
    }
    assert_eq!(requests.total, 2 + 16 + 5 + 11 + 5);
}

#[test]
fn recovery_of_a_quiet_world_finds_nothing() {
    let mut scene = Scene::new();
    scene.image(&["d1"]);
    scene.apply();
    let recovery = scene.recover();
    assert_eq!(recovery, crate::Recovery::default());
    assert_eq!(recovery.left_out(), LeftOut::default());
}

#[test]
fn what_is_held_comes_back_after_a_garbage_collection() {
    for grace in [None, Some(30)] {
        let mut scene = Scene::new();
        scene.grace = grace;
        let digest = scene.image(&["d1"]);
        let run = scene.apply();
        assert_eq!(outcomes(&run), [&ActionOutcome::Deleted]);
        assert_eq!(run.actions[0].manifests[0].held.is_some(), grace.is_some());
        assert_eq!(scene.held().contains(&digest), grace.is_some());
        scene.collect_garbage();
        let undone = scene.undo(|_| {});
        match grace {
            None => assert_eq!(undone[0].manifests[0].outcome.as_str(), "unrecoverable"),
            Some(_) => assert_eq!(undone[0].manifests[0].outcome, UndoOutcome::Restored),
        }
        assert_eq!(scene.tags().len(), usize::from(grace.is_some()));
        assert!(!scene.is_broken());
    }
}

#[test]
fn a_copy_is_purged_when_its_grace_is_over_and_not_before() {
    let mut scene = Scene::new();
    scene.grace = Some(30);
    let digest = scene.image(&["d1"]);
    scene.apply();
    assert_eq!((scene.due().manifests(), scene.due().held), (0, 1));
    scene.world.state().now += TimeDelta::minutes(31);
    assert_eq!(scene.due().manifests(), 1);
    let runs = scene.purge();
    assert_eq!(outcomes(&runs[0]), [&ActionOutcome::Deleted]);
    assert!(!scene.held().contains(&digest));
    assert_eq!((scene.due().manifests(), scene.due().held), (0, 0));
    scene.collect_garbage();
    assert_eq!(
        scene.undo(|_| {})[0].manifests[0].outcome.as_str(),
        "unrecoverable"
    );
    assert!(!scene.is_broken());
}

#[test]
fn a_copy_on_which_somebody_put_a_tag_stays() {
    let mut scene = Scene::new();
    scene.grace = Some(30);
    let digest = scene.image(&["d1"]);
    scene.apply();
    scene.world.state().put_tag(&holding(), tag("mine"), &digest);
    scene.world.state().now += TimeDelta::minutes(31);
    let runs = scene.purge();
    assert_eq!(skipped(&runs[0]), [Skip::Changed]);
    assert!(scene.held().contains(&digest));
}

#[test]
fn a_holding_repository_is_planned_for_nobody_and_kept_from_a_plan_that_was_made_anyway() {
    let mut scene = Scene::new();
    scene.grace = Some(30);
    scene.image(&["d1"]);
    scene.apply();
    assert!(scene.plan().iter().all(|plan| plan.name == name()));
    // The policy has no grace any more, and would take everything with a `q`.
    scene.grace = None;
    let plans: Vec<_> = scene
        .plan()
        .into_iter()
        .filter(|plan| plan.name == holding())
        .collect();
    assert_eq!(plans[0].actions.len(), 1);
    let approved = approved(&plans, &limits(0));
    let holds = scene.holds();
    assert_eq!(skipped(&scene.apply_to(&plans, &approved, &holds)), [Skip::Held]);
}

#[test]
fn what_cannot_be_held_stays() {
    let mut scene = Scene::new();
    scene.grace = Some(30);
    let digest = scene.image(&["d1"]);
    // A layer is not there.
    {
        let mut state = scene.world.state();
        let repository = state.repositories.get_mut(&name()).unwrap();
        let blob = repository.blobs.iter().next().cloned().unwrap();
        repository.blobs.remove(&blob);
    }
    let run = scene.apply();
    assert_eq!(skipped(&run), [Skip::NotHeld]);
    assert!(
        scene.world.state().repositories[&name()]
            .manifests
            .contains_key(&digest)
    );
}

#[test]
fn nothing_is_held_where_a_purge_of_it_may_still_happen() {
    for safe in [true, false] {
        let mut scene = Scene::new();
        scene.grace = Some(30);
        let digest = scene.image(&["d1"]);
        let plans = scene.plan();
        let approved = approved(&plans, &limits(0));
        let until = scene.world.state().now + TimeDelta::minutes(9);
        let doubt = InDoubt {
            run: RunId::from_bits(77),
            sequence: lagan_model::journal::Sequence(77),
            repository: holding(),
            digest: digest.clone(),
            tags: Vec::new(),
            until: Some(until),
        };
        let off = (!safe).then_some(Safeguard::HoldNotInDoubt);
        let run = without(off, || {
            scene.apply_beside(&plans, &approved, &(), &LeftOut::of(&[doubt]))
        });
        assert_eq!(skipped(&run), if safe { vec![Skip::NotHeld] } else { vec![] });
        let mut state = scene.world.state();
        state.approved.insert((holding(), digest.clone()));
        let effect = Effect {
            sequence: lagan_model::journal::Sequence(77),
            repository: holding(),
            digest,
            tag: None,
            step: 0,
        };
        state.late.push(Late {
            due: until,
            sent: 0,
            seen: Seen::default(),
            effect,
            intended: std::collections::BTreeSet::new(),
        });
        state.pass(TimeDelta::minutes(10));
        // Where nothing was held, the late purge finds nothing.
        let purged_early = state.violations.iter().any(|text| text.starts_with("I8"));
        assert_eq!(purged_early, !safe, "{:?}", state.violations);
    }
}

/// Approves all of a plan but what waits.
fn approved_but(plans: &[RepositoryPlan], waiting: &[usize]) -> ApprovedPlan {
    let waits = |action: &usize| Waiting {
        action: *action,
        announced: None,
        until: Time::MAX_UTC,
    };
    let mut approval = Approval::new(&limits(0), evidence());
    approval.add_under(&plans[0], &limits(0), waiting.iter().map(waits).collect());
    approval.finish("plan".to_owned()).unwrap()
}

#[test]
fn what_waits_is_left_alone_and_counted_apart_from_what_goes() {
    let mut scene = Scene::new();
    scene.image(&["d1"]);
    scene.image(&["d2", "d3"]);
    let plans = scene.plan();
    let approved = approved_but(&plans, &[1]);
    let going = approved.going();
    assert_eq!((going.repositories, going.manifests, going.waiting), (1, 1, 1));
    let run = scene.apply_to(&plans, &approved, &());
    assert_eq!(outcomes(&run)[0], &ActionOutcome::Deleted);
    assert_eq!(skipped(&run), [Skip::Notice]);
    assert_eq!(scene.tags(), ["d2", "d3"]);
}

#[test]
fn a_single_tag_that_waits_stays() {
    let mut scene = Scene::new();
    scene.image(&["d1", "d2", "k1"]);
    let plans = scene.plan();
    assert_eq!(plans[0].actions.len(), 2);
    let approved = approved_but(&plans, &[0]);
    assert_eq!((approved.going().untags, approved.going().manifests), (1, 0));
    let run = scene.apply_to(&plans, &approved, &());
    assert_eq!(outcomes(&run)[1], &ActionOutcome::Untagged);
    assert_eq!(skipped(&run), [Skip::Notice]);
    assert_eq!(scene.tags(), ["d1", "k1"]);
}

#[test]
fn what_shares_a_child_with_something_that_waits_waits_with_it() {
    let mut scene = Scene::new();
    {
        let mut state = scene.world.state();
        let shared = state.image(&name(), None);
        let own = state.image(&name(), None);
        for (text, children) in [("d1", vec![shared.clone()]), ("d2", vec![shared, own])] {
            let index = state.index(&name(), &children);
            state.put_tag(&name(), tag(text), &index);
        }
    }
    let plans = scene.plan();
    for waiting in [0, 1] {
        let run = scene.apply_to(&plans, &approved_but(&plans, &[waiting]), &());
        assert!(skipped(&run).iter().all(|skip| *skip == Skip::Notice), "{run:?}");
        assert_eq!(skipped(&run).len(), 4);
        assert_eq!(scene.tags(), ["d1", "d2"]);
    }
    assert!(skipped(&scene.apply()).is_empty());
    assert!(scene.tags().is_empty());
}

#[test]
fn a_repository_in_which_all_waits_is_not_even_read() {
    let mut scene = Scene::new();
    scene.image(&["d1"]);
    let plans = scene.plan();
    let approved = approved_but(&plans, &[0]);
    assert_eq!(approved.going().waiting_repositories, 1);
    let before = scene.world.state().requests.clone();
    let run = scene.apply_to(&plans, &approved, &());
    assert_eq!(scene.world.state().requests, before);
    assert_eq!(run, all_waits(&approved, &plans[0]));
    assert_eq!(scene.tags(), ["d1"]);
}

#[test]
fn a_repository_that_a_rollout_does_not_take_yet_is_left_alone_and_not_even_read() {
    for taken in [false, true] {
        let mut scene = Scene::new();
        scene.image(&["d1"]);
        let mut plans = scene.plan();
        plans[0].rollout = Some(RolloutNote {
            policy: "tidy".into(),
            taken,
            stage: 1,
            of: 3,
            share: "5%".parse().ok(),
            fell_back: None,
            first_of: Vec::new(),
        });
        let approved = approved_but(&plans, &[]);
        let going = approved.going();
        assert_eq!(
            (going.manifests, going.waiting),
            if taken { (1, 0) } else { (0, 1) }
        );
        assert_eq!(approved.goes(&plans[0], 0), taken);
        let before = scene.world.state().requests.clone();
        let run = scene.apply_to(&plans, &approved, &());
        assert_eq!(scene.tags().is_empty(), taken);
        if !taken {
            assert_eq!(scene.world.state().requests, before);
            assert_eq!(skipped(&run), [Skip::Rollout]);
            assert_eq!(run, all_waits(&approved, &plans[0]));
            // It is the safeguard that does this.
            let without = without(Some(Safeguard::Rollout), || {
                scene.apply_to(&plans, &approved, &())
            });
            assert_eq!(outcomes(&without), [&ActionOutcome::Deleted]);
        }
    }
}

#[test]
fn a_limit_of_a_run_is_held_against_what_goes_in_it_and_one_of_a_repository_against_all() {
    let scene = Scene::new();
    for text in ["d1", "d2", "d3"] {
        scene.image(&[text]);
    }
    let plans = scene.plan();
    let waits = |action| Waiting {
        action,
        announced: None,
        until: Time::MAX_UTC,
    };
    let refuses = |limits: Limits| {
        let mut approval = Approval::new(&limits, evidence());
        approval.add_under(&plans[0], &limits, vec![waits(0), waits(1)]);
        match approval.finish(String::new()) {
            Ok(approved) => approved.guards().iter().any(|guard| guard.refuses),
            Err(_) => true,
        }
    };
    let of_run = |most| Limits {
        max_deletions: Some(most),
        ..limits(0)
    };
    assert_eq!([refuses(of_run(0)), refuses(of_run(1))], [true, false]);
    assert_eq!([refuses(limits(1)), refuses(limits(0))], [true, false]);
}
