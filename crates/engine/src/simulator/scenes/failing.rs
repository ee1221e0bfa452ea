//! What a run tells whose journal fails.

use super::*;
use crate::{ApplyError, ManifestRun};

/// Applies with a journal that fails, and gives back what was handed on.
fn apply_until_it_fails(scene: &mut Scene) -> Vec<RepositoryRun> {
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
    let request = ApplyRequest {
        begin: scene.begin(Purpose::Apply {
            plan: "plan".to_owned(),
        }),
        approved: &approved,
        veto: &(),
        in_doubt: &LeftOut::default(),
        repositories_at_once: 2,
        units_at_once: 1,
    };
    let mut runs = Vec::new();
    let plans = plans.into_iter().map(Ok::<_, Infallible>);
    let done = scene.drive(apply(scene.world(), &request, plans, |run| {
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
