//! What a run tells whose journal fails.

use super::*;
use crate::{ApplyError, ManifestRun};

/// Applies with a journal that fails, and gives back what was handed on.
fn apply_until_it_fails(scene: &mut Scene) -> Vec<RepositoryRun> {
    let journal = Journal::new(scene.journal.store().clone());
    apply_with(scene, &journal, 1)
}

/// The same with this journal, and with so many units of a repository at once.
fn apply_with(scene: &mut Scene, journal: &Journal<impl JournalStore>, units: usize) -> Vec<RepositoryRun> {
    let plans = scene.plan();
    let approved = approved(&plans, &limits(0));
    {
        let mut state = scene.world.state();
        for plan in &plans {
            let going = crate::simulator::story::going(plan);
            state
                .approved
                .extend(going.map(|digest| (plan.name.clone(), digest)));
        }
    }
    let in_doubt = LeftOut::default();
    let request = ApplyRequest {
        repositories_at_once: 2,
        units_at_once: units,
        ..scene.request(&approved, &(), &in_doubt)
    };
    let world = World {
        registry: &scene.world,
        journal,
        clock: &scene.world,
        stop: &scene.stop,
    };
    let mut runs = Vec::new();
    let plans = plans.into_iter().map(Ok::<_, Infallible>);
    let done = scene.drive(apply(world, &request, plans, |run| {
        runs.push(run.clone());
        Ok(())
    }));
    assert!(matches!(done, Err(ApplyError::Journal(_))), "{done:?}");
    assert!(
        runs.iter().all(|run| !run.looked_after),
        "recovery goes on with it"
    );
    runs
}

fn manifests(runs: &[RepositoryRun]) -> Vec<&ManifestRun> {
    let actions = runs.iter().flat_map(|run| &run.actions);
    actions.flat_map(|action| &action.manifests).collect()
}

fn in_doubt(manifest: &ManifestRun) -> bool {
    manifest.sequence.is_some() && matches!(manifest.outcome, ActionOutcome::InDoubt { .. })
}

fn fail(state: &mut State) {
    state.journal_failed = true;
}

#[test]
fn what_is_gone_is_told_although_its_end_is_not_on_record() {
    let mut scene = Scene::new();
    for text in ["d1", "d2", "d3"] {
        scene.image(&[text]);
    }
    scene.world.state().at_deletion = Some(|state| state.at_deletion = Some(fail));
    let runs = apply_until_it_fails(&mut scene);
    assert_eq!(scene.tags().len(), 1);
    let told = manifests(&runs);
    let deleted = told.iter().filter(|told| told.outcome == ActionOutcome::Deleted);
    assert_eq!(deleted.count(), 1);
    assert_eq!(told.iter().filter(|told| in_doubt(told)).count(), 1);
    assert_eq!(skipped(&runs[0]), [Skip::Stopped]);
}

#[test]
fn of_a_unit_each_manifest_on_record_is_told_of_whatever_came_before_it() {
    let mut scene = Scene::new();
    {
        let mut state = scene.world.state();
        state.quirks.takes_along = false;
        let children = [state.image(&name(), None), state.image(&name(), None)];
        let index = state.index(&name(), &children);
        state.put_tag(&name(), tag("d1"), &index);
    }
    scene.world.state().at_deletion = Some(|state| state.at_deletion = Some(fail));
    let runs = apply_until_it_fails(&mut scene);
    let told = manifests(&runs);
    assert_eq!(told[0].outcome, ActionOutcome::Deleted);
    assert_eq!(told.len(), 3);
    assert!(told[1..].iter().all(|told| in_doubt(told)), "{told:?}");
}

#[test]
fn what_is_on_record_and_was_not_sent_when_the_journal_failed_is_not_sent_and_the_next_run_settles_it() {
    let mut scene = Scene::new();
    for text in ["d1", "d2", "d3"] {
        scene.image(&[text]);
    }
    scene.world.state().at_deletion = Some(fail);
    let journal = Journal::new(scene.journal.store().clone());
    let runs = apply_with(&mut scene, &journal, 3);
    assert_eq!(scene.tags().len(), 2);
    let told = manifests(&runs);
    assert_eq!(told.iter().filter(|told| in_doubt(told)).count(), 3, "{told:?}");
    let detail = "it was not sent: the journal failed before";
    let not_sent = |told: &&&ManifestRun| matches!(&told.outcome, ActionOutcome::InDoubt { detail: why } if why == detail);
    assert_eq!(told.iter().filter(not_sent).count(), 2, "{told:?}");
    scene.journal.store().restart();
    scene.world.state().journal_failed = false;
    scene.stop = Arc::new(Stop::default());
    let recovery = scene.recover();
    assert_eq!(recovery.in_doubt.len(), 2);
}

#[test]
fn a_tag_that_is_gone_is_told_although_its_end_is_not_on_record() {
    let mut scene = Scene::new();
    scene.image(&["d1", "k1"]);
    scene.world.state().at_deletion = Some(fail);
    let runs = apply_until_it_fails(&mut scene);
    assert_eq!(scene.tags(), ["k1"]);
    let told = manifests(&runs);
    assert_eq!(told.len(), 1);
    assert!(in_doubt(told[0]), "{told:?}");
}

#[test]
fn other_repositories_that_are_in_hand_are_told_of_as_well() {
    let mut scene = Scene::new();
    scene.image(&["d1"]);
    let other: RepositoryName = "team/other".parse().unwrap();
    {
        let mut state = scene.world.state();
        state.repositories.insert(other.clone(), Repository::default());
        let digest = state.image(&other, None);
        state.put_tag(&other, tag("d1"), &digest);
    }
    scene.world.state().at_deletion = Some(fail);
    let runs = apply_until_it_fails(&mut scene);
    let names: Vec<_> = runs.iter().map(|run| &run.name).collect();
    assert_eq!(names, [&name(), &other]);
    let gone = scene.world.state().effects.len();
    assert!(gone > 0);
    let told = manifests(&runs);
    assert!(
        told.iter().filter(|told| in_doubt(told)).count() >= gone,
        "{told:?}"
    );
}

/// Undoes with a journal that fails, and gives back what is told.
fn undo_until_it_fails(scene: &mut Scene) -> Vec<RepositoryUndo> {
    let in_doubt = LeftOut::default();
    let request = UndoRequest {
        begin: scene.begin(Purpose::Undo {
            of: "test".to_owned(),
        }),
        target: UndoTarget::Since(Time::MIN_UTC),
        overwrite_moved_tags: false,
        hold: DEFAULT_HOLD,
        dry_run: false,
        in_doubt: &in_doubt,
        repositories_at_once: 2,
    };
    let (undone, journal) = scene.drive(undo(scene.world(), &request, &()));
    assert!(journal.is_err(), "{undone:?}");
    undone
}

/// What is told, and whether it is there.
fn told_and_there(scene: &Scene, undone: &[RepositoryUndo]) -> Vec<(&'static str, bool)> {
    let state = scene.world.state();
    let of_repository = |undo: &RepositoryUndo| {
        let there = &state.repositories[&undo.name];
        let manifests = undo.manifests.iter();
        let told = manifests.map(|manifest| {
            let is_there = there.manifests.contains_key(&manifest.digest)
                && manifest.tags.iter().all(|tag| there.tags.contains_key(tag));
            (manifest.outcome.as_str(), is_there)
        });
        told.collect::<Vec<_>>()
    };
    undone.iter().flat_map(of_repository).collect()
}

#[test]
fn what_was_put_back_is_told_although_the_journal_failed_and_undoing_again_goes_on() {
    let mut scene = Scene::new();
    {
        let mut state = scene.world.state();
        state.quirks.takes_along = false;
        let children = [state.image(&name(), None), state.image(&name(), None)];
        let index = state.index(&name(), &children);
        state.put_tag(&name(), tag("d1"), &index);
    }
    scene.apply();
    scene.world.state().at_put = Some(fail);
    let undone = undo_until_it_fails(&mut scene);
    let told = told_and_there(&scene, &undone);
    assert_eq!(told, [("restored", true), ("failed", false), ("failed", false)]);
    for manifest in &undone[0].manifests[1..] {
        let why = "the journal failed before it was on record";
        assert!(
            matches!(&manifest.outcome, UndoOutcome::Failed { detail } if detail == why),
            "{manifest:?}"
        );
    }
    // Whoever is told of it runs it again.
    scene.journal.store().restart();
    scene.world.state().journal_failed = false;
    scene.stop = Arc::new(Stop::default());
    scene.recover();
    let undone = scene.undo(|_| {});
    let told = told_and_there(&scene, &undone);
    assert_eq!(
        told,
        [("already_there", true), ("restored", true), ("restored", true)]
    );
}

#[test]
fn a_tag_that_was_put_back_is_told_although_the_journal_failed() {
    let mut scene = Scene::new();
    scene.image(&["d1", "k1"]);
    scene.image(&["d2", "k2"]);
    scene.apply();
    assert_eq!(scene.tags(), ["k1", "k2"]);
    scene.world.state().at_put = Some(fail);
    let undone = undo_until_it_fails(&mut scene);
    assert_eq!(
        told_and_there(&scene, &undone),
        [("restored", true), ("failed", false)]
    );
    assert_eq!(scene.tags(), ["d1", "k1", "k2"]);
}

#[test]
fn of_an_undo_other_repositories_are_told_of_as_well() {
    let mut scene = Scene::new();
    scene.image(&["d1"]);
    let other: RepositoryName = "team/other".parse().unwrap();
    {
        let mut state = scene.world.state();
        state.repositories.insert(other.clone(), Repository::default());
        let digest = state.image(&other, None);
        state.put_tag(&other, tag("d1"), &digest);
    }
    scene.apply();
    scene.world.state().at_put = Some(fail);
    let undone = undo_until_it_fails(&mut scene);
    let names: Vec<_> = undone.iter().map(|undo| &undo.name).collect();
    assert_eq!(names, [&name(), &other]);
    let told = told_and_there(&scene, &undone);
    assert_eq!(told.len(), 2);
    assert!(told.iter().any(|(outcome, _)| *outcome == "restored"));
    for (outcome, is_there) in told {
        assert_eq!(outcome == "restored", is_there);
    }
}

#[test]
fn an_undo_that_cannot_be_begun_tells_of_nothing() {
    let mut scene = Scene::new();
    scene.image(&["d1"]);
    scene.apply();
    scene.world.state().journal_failed = true;
    assert_eq!(undo_until_it_fails(&mut scene), []);
    assert_eq!(scene.tags(), [""; 0]);
}

#[test]
fn whoever_watches_an_undo_is_told_of_each_row_of_its_report() {
    #[derive(Debug, Default)]
    struct Counting(Mutex<[usize; 3]>);
    impl Observer for Counting {
        fn repositories_found(&self, count: usize) {
            self.0.lock().unwrap()[0] += count;
        }
        fn manifest_undone(&self, _: &RepositoryName) {
            self.0.lock().unwrap()[1] += 1;
        }
        fn repository_done(&self, _: &RepositoryName, _: bool) {
            self.0.lock().unwrap()[2] += 1;
        }
    }
    let mut scene = Scene::new();
    scene.image(&["d1"]);
    scene.image(&["d2", "k1"]);
    scene.apply();
    let counting = Counting::default();
    let undone = scene.undo_watched(&counting, |_| {});
    assert_eq!(undone[0].manifests.len(), 2);
    assert_eq!(*counting.0.lock().unwrap(), [1, 2, 1]);
}
