//! An index that goes, of which others deleted a child: what of it can be counted on to come back.

use super::lacking::{index, others_delete, others_push};
use super::*;

/// What the plan says of undoing each deletion.
fn undos<'a>(plans: &'a [RepositoryPlan]) -> Vec<(&'a Digest, bool, &'a str)> {
    let of_action = |action: &'a Action| match action {
        Action::Delete { digest, undo, .. } => {
            Some((digest, undo.possible, undo.why.as_deref().unwrap_or_default()))
        }
        Action::Untag { .. } => None,
    };
    plans[0].actions.iter().filter_map(of_action).collect()
}

#[test]
fn a_plan_does_not_count_on_an_index_to_come_back_of_which_a_child_is_gone() {
    let scene = Scene::new();
    let (whole, _) = index(&scene, &["d1"]);
    let (lacking, [child, _]) = index(&scene, &["d2"]);
    let above = {
        let mut state = scene.world.state();
        let above = state.index(&name(), std::slice::from_ref(&lacking));
        state.put_tag(&name(), tag("d3"), &above);
        above
    };
    others_delete(&scene, &child);
    let plans = scene.plan();
    let gone = format!(
        "its child {child} is gone already: many registries take no index without everything that it lists"
    );
    let undos: std::collections::BTreeMap<_, _> = undos(&plans)
        .into_iter()
        .map(|(digest, possible, why)| (digest, (possible, why)))
        .collect();
    assert!(undos[&whole].0);
    assert_eq!(undos[&lacking], (false, &gone[..]));
    assert_eq!(undos[&above], (false, &gone[..]));
}

#[test]
fn what_there_is_of_such_an_index_is_held_all_the_same() {
    let mut scene = Scene::new();
    scene.world.state().quirks.takes_along = false;
    scene.grace = Some(60);
    let (_, [gone, there]) = index(&scene, &["d1"]);
    others_delete(&scene, &gone);
    let run = scene.apply();
    assert_eq!(outcomes(&run), [&ActionOutcome::Deleted; 2]);
    assert_eq!(scene.held(), [there]);
    assert!(!scene.is_broken());
}

#[test]
fn an_index_of_which_others_deleted_a_child_since_the_plan_stays_until_a_plan_says_so() {
    let mut scene = Scene::new();
    let (index, [child, _]) = index(&scene, &["d1"]);
    let plans = scene.plan();
    let approved = approved(&plans, &limits(0));
    others_delete(&scene, &child);
    let run = scene.apply_to(&plans, &approved, &());
    let why = format!("its child {child} is gone: many registries would not take {index} back without it");
    assert!(
        matches!(outcomes(&run)[0], ActionOutcome::Skipped { why: Skip::Changed, detail } if *detail == why)
    );
    assert_eq!(scene.world.requests().of(RequestKind::Delete), 0);

    others_push(&scene, &child);
    let run = scene.apply_to(&plans, &approved, &());
    assert_eq!(outcomes(&run), [&ActionOutcome::Deleted; 3]);
}
