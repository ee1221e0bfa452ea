//! How many artifacts have to stay, where others take some and others may go late.

use lagan_model::journal::Sequence;

use super::*;

fn others_delete(state: &mut State, text: &str) {
    let repository = state.repositories.get_mut(&name()).unwrap();
    let digest = repository.tags.remove(&tag(text)).unwrap();
    repository.manifests.remove(&digest);
}

#[test]
fn what_may_still_go_by_an_earlier_run_does_not_count_as_what_stays() {
    for in_doubt in [true, false] {
        let mut scene = Scene::new();
        let doubtful = scene.image(&["d1"]);
        for text in ["d2", "k1"] {
            scene.image(&[text]);
        }
        let plans = scene.plan();
        let approved = approved(&plans, &limits(1));
        others_delete(&mut scene.world.state(), "k1");
        let doubt = InDoubt {
            run: RunId::from_bits(0),
            sequence: Sequence(0),
            repository: name(),
            digest: doubtful,
            tags: vec![tag("d1")],
            until: None,
        };
        let left_out = LeftOut::of(&in_doubt.then_some(doubt).into_iter().collect::<Vec<_>>());
        let run = scene.apply_beside(&plans, &approved, &(), &left_out);
        if in_doubt {
            assert_eq!(skipped(&run), [Skip::InDoubt, Skip::KeepAtLeast]);
            assert_eq!(scene.tags(), ["d1", "d2"]);
        } else {
            assert_eq!(skipped(&run), [Skip::KeepAtLeast]);
            assert_eq!(scene.tags(), ["d2"]);
        }
    }
}

#[test]
fn what_is_left_of_a_unit_that_takes_long_is_counted_again() {
    for others in [true, false] {
        let mut scene = Scene::new();
        let child = scene.image(&["d1"]);
        {
            let mut state = scene.world.state();
            let index = state.index(&name(), &[child]);
            state.put_tag(&name(), tag("d2"), &index);
        }
        scene.image(&["k1"]);
        let plans = scene.plan();
        let approved = approved(&plans, &limits(1));
        // The next reading finds the index gone, and perhaps what was to stay.
        scene.world.state().at_deletion = Some(if others {
            |state| {
                state.now += TimeDelta::seconds(61);
                others_delete(state, "k1");
            }
        } else {
            |state| state.now += TimeDelta::seconds(61)
        });
        let run = scene.apply_to(&plans, &approved, &());
        if others {
            assert_eq!(skipped(&run), [Skip::KeepAtLeast]);
            assert_eq!(scene.tags(), ["d1"]);
        } else {
            assert_eq!(outcomes(&run), [&ActionOutcome::Deleted; 2]);
            assert_eq!(scene.tags(), ["k1"]);
        }
    }
}
