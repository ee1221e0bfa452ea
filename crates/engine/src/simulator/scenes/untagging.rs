//! Tags that others move away from a manifest, right before another one is taken off it.

use super::*;

/// Moves a tag that was to stay to what `k1` is on.
fn moves(state: &mut State, text: &str) {
    let digest = state.repositories[&name()].tags[&tag("k1")].clone();
    state.put_tag(&name(), tag(text), &digest);
}

#[test]
fn a_tag_that_is_the_last_one_since_the_reading_stays() {
    for is_guarded in [true, false] {
        let mut scene = Scene::new();
        scene.image(&["d1", "k1"]);
        let manifest = scene.image(&["d2", "k2", "k3"]);
        scene.world.state().at_deletion = Some(|state| {
            for text in ["k2", "k3"] {
                moves(state, text);
            }
        });
        let safeguard = (!is_guarded).then_some(Safeguard::LastTag);
        let run = without(safeguard, || scene.apply());
        let deletions = scene.world.requests().of(RequestKind::Delete);
        if !is_guarded {
            assert_eq!(outcomes(&run), [&ActionOutcome::Untagged; 2]);
            assert_eq!(
                (scene.tags(), deletions),
                (vec!["k1".into(), "k2".into(), "k3".into()], 2)
            );
            continue;
        }
        let changed = ActionOutcome::Skipped {
            why: Skip::Changed,
            detail: format!("no other tag is on {manifest} any more"),
        };
        assert_eq!(outcomes(&run), [&ActionOutcome::Untagged, &changed]);
        assert_eq!(
            (scene.tags(), deletions),
            (["d2", "k1", "k2", "k3"].map(String::from).into(), 1)
        );
        assert_eq!(scene.recover(), Recovery::default());
    }
}

#[test]
fn one_tag_that_is_still_there_is_enough_for_another_one_to_go() {
    let mut scene = Scene::new();
    scene.image(&["d1", "k1"]);
    let manifest = scene.image(&["d2", "k2", "k3"]);
    scene.world.state().at_deletion = Some(|state| moves(state, "k2"));
    let run = scene.apply();
    assert_eq!(outcomes(&run), [&ActionOutcome::Untagged; 2]);
    assert_eq!(scene.tags(), ["k1", "k2", "k3"]);
    assert_eq!(
        scene.world.state().repositories[&name()].tags[&tag("k3")],
        manifest
    );
}

#[test]
fn a_tag_that_others_delete_meanwhile_is_no_sign_that_the_registry_took_it() {
    let mut scene = Scene::new();
    scene.image(&["d1", "k1"]);
    scene.image(&["d2", "k2", "k3"]);
    scene.image(&["d3", "k4"]);
    scene.world.state().at_deletion = Some(|state| {
        let repository = state.repositories.get_mut(&name()).unwrap();
        repository.tags.remove(&tag("k3"));
    });
    let run = scene.apply();
    assert_eq!(outcomes(&run), [&ActionOutcome::Untagged; 3]);
    assert_eq!((run.problem.as_deref(), scene.stop.is_requested()), (None, false));
    assert_eq!(scene.tags(), ["k1", "k2", "k4"]);
}
