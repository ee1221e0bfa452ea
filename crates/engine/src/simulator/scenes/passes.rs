//! What later readings of a run find, of what it has left alone or deleted already.

use std::collections::BTreeSet;

use super::lacking::others_delete;
use super::*;
use crate::ManifestRun;
use crate::simulator::world::children;

/// Two indexes that list the same child, the one first in the plan and the other last, with more between them than is
/// deleted on one reading; and an image that stays.
struct FarApart {
    scene: Scene,
    first: Digest,
    last: Digest,
    child: Digest,
    kept: Digest,
}

impl FarApart {
    fn new() -> Self {
        let scene = Scene::new();
        scene.world.state().quirks.takes_along = false;
        let (first, last, child) = {
            let mut state = scene.world.state();
            let child = state.image(&name(), None);
            let [first, last] = ["d0000", "d9999"].map(|text| {
                let index = state.index(&name(), std::slice::from_ref(&child));
                state.put_tag(&name(), tag(text), &index);
                index
            });
            (first, last, child)
        };
        for number in 1000..1300 {
            scene.image(&[&format!("d{number}")]);
        }
        let kept = scene.image(&["k1"]);
        Self {
            scene,
            first,
            last,
            child,
            kept,
        }
    }

    /// Applies a plan after which others did something, and something more as soon as the first image is deleted.
    fn apply(&mut self, others: impl FnOnce(&Self), then: fn(&mut State)) -> RepositoryRun {
        let plans = self.scene.plan();
        let approved = approved(&plans, &limits(0));
        others(self);
        {
            let mut state = self.scene.world.state();
            let going = plans.iter().flat_map(crate::simulator::story::going);
            state.approved.extend(going.map(|digest| (name(), digest)));
            state.at_deletion = Some(then);
        }
        let run = self.scene.apply_to(&plans, &approved, &());
        let images = run
            .actions
            .iter()
            .filter(|action| !self.is_shared(&action.digest));
        let mut images = images.flat_map(|action| &action.manifests);
        assert!(
            images.all(|image| image.outcome == ActionOutcome::Deleted),
            "{run:?}"
        );
        run
    }

    fn is_shared(&self, digest: &Digest) -> bool {
        [&self.first, &self.last, &self.child].contains(&digest)
    }

    fn are_there(&self) -> [bool; 3] {
        let state = self.scene.world.state();
        let manifests = &state.repositories[&name()].manifests;
        [&self.first, &self.last, &self.child].map(|digest| manifests.contains_key(digest))
    }

    fn ends<'r>(&self, run: &'r RepositoryRun) -> [&'r ManifestRun; 3] {
        [&self.first, &self.last, &self.child].map(|digest| {
            let manifests = run.actions.iter().flat_map(|action| &action.manifests);
            manifests.into_iter().find(|end| end.digest == *digest).unwrap()
        })
    }

    /// The first index is told to be left alone because of `why`, and what shares its child because of the index.
    fn assert_all_stay(&self, run: &RepositoryRun, why: Skip, told: &str) {
        assert_eq!(self.are_there(), [true; 3]);
        let [first, rest @ ..] = self.ends(run);
        assert!(
            matches!(&first.outcome, ActionOutcome::Skipped { why: end, .. } if *end == why),
            "{first:?}"
        );
        for end in rest {
            let ActionOutcome::Skipped { why, detail } = &end.outcome else {
                panic!("{end:?}");
            };
            assert_eq!(*why, Skip::Unit);
            let because = format!("{}, before it in its unit, {told}", self.first);
            assert!(detail.starts_with(&because), "{detail}");
        }
        assert!(run.mended.is_empty() && run.looked_after, "{run:?}");
    }
}

/// An index without a tag.
fn without_a_tag(state: &State) -> Digest {
    let repository = &state.repositories[&name()];
    let on: BTreeSet<&Digest> = repository.tags.values().collect();
    let mut ever = repository.ever.iter();
    let index = ever.find(|(digest, manifest)| manifest.media_type().is_index() && !on.contains(digest));
    index.unwrap().0.clone()
}

/// Somebody pushes the first index as it was.
fn push_the_first(state: &mut State) {
    let first = without_a_tag(state);
    let step = state.step;
    let repository = state.repositories.get_mut(&name()).unwrap();
    let manifest = repository.ever[&first].clone();
    repository.manifests.insert(first.clone(), manifest);
    repository.pushed_at.insert(first.clone(), step);
    state.put_tag(&name(), tag("d0000"), &first);
}

#[test]
fn what_was_left_alone_as_its_tag_had_moved_is_not_taken_by_a_later_reading_that_finds_the_tag_back() {
    let mut far = FarApart::new();
    let moved = |far: &FarApart| {
        let mut state = far.scene.world.state();
        state.put_tag(&name(), tag("d0000"), &far.kept);
    };
    let run = far.apply(moved, push_the_first);
    far.assert_all_stay(&run, Skip::Changed, "was left alone: the tags on ");
    assert_eq!(far.scene.tags(), ["d0000", "d9999", "k1"]);
}

#[test]
fn what_an_index_lists_that_was_left_alone_stays_on_later_readings_that_do_not_show_the_index() {
    let mut far = FarApart::new();
    let moved = |far: &FarApart| {
        let mut state = far.scene.world.state();
        state.put_tag(&name(), tag("d0000"), &far.kept);
    };
    let run = far.apply(moved, |_| {});
    assert_eq!(far.are_there(), [true; 3]);
    let [first, rest @ ..] = far.ends(&run);
    assert!(matches!(
        first.outcome,
        ActionOutcome::Skipped {
            why: Skip::Changed,
            ..
        }
    ));
    let because = format!("{}, which was left alone, lists {}", far.first, far.child);
    for end in rest {
        assert!(
            matches!(&end.outcome, ActionOutcome::Skipped { why: Skip::Referenced, detail } if *detail == because),
            "{end:?}"
        );
    }
}

#[test]
fn what_was_gone_when_it_was_its_turn_is_not_taken_by_a_later_reading_that_finds_it_again() {
    let mut far = FarApart::new();
    let run = far.apply(|far| others_delete(&far.scene, &far.first), push_the_first);
    far.assert_all_stay(&run, Skip::Gone, "was gone, and is there again");
}

#[test]
fn what_lists_the_same_as_something_that_is_gone_goes_on_a_later_reading() {
    let mut far = FarApart::new();
    let run = far.apply(|far| others_delete(&far.scene, &far.first), |_| {});
    assert_eq!(far.are_there(), [false; 3]);
    let [first, last, child] = far.ends(&run).map(|end| &end.outcome);
    assert!(matches!(first, ActionOutcome::Skipped { why: Skip::Gone, .. }));
    assert_eq!([last, child], [&ActionOutcome::Deleted; 2]);
}

/// Somebody pushes an index again that no other one lists, under a tag that stays.
fn push_index_again(state: &mut State) {
    let (digest, manifest) = {
        let repository = &state.repositories[&name()];
        let listed: BTreeSet<Digest> = repository.ever.values().flat_map(children).collect();
        let is_above = |digest: &Digest| !listed.contains(digest);
        let mut ever = repository.ever.iter();
        let index = ever.find(|(digest, manifest)| manifest.media_type().is_index() && is_above(digest));
        let (digest, manifest) = index.unwrap();
        (digest.clone(), manifest.clone())
    };
    let step = state.step;
    let repository = state.repositories.get_mut(&name()).unwrap();
    repository.pushed_at.insert(digest.clone(), step);
    repository.manifests.insert(digest.clone(), manifest);
    state.put_tag(&name(), tag("k1"), &digest);
}

#[test]
fn the_rest_of_a_unit_stays_where_the_next_reading_shows_its_index_again() {
    for nested in [false, true] {
        let mut scene = Scene::new();
        {
            let mut state = scene.world.state();
            state.quirks.takes_along = false;
            let of_index: Vec<Digest> = (0..300).map(|_| state.image(&name(), None)).collect();
            let mut index = state.index(&name(), &of_index);
            if nested {
                index = state.index(&name(), &[index]);
            }
            state.put_tag(&name(), tag("d1"), &index);
        }
        let there = |scene: &Scene| -> Vec<Digest> {
            let state = scene.world.state();
            state.repositories[&name()].manifests.keys().cloned().collect()
        };
        let before = there(&scene);
        // The index, and with it the one that it lists, is seen to be gone before.
        scene.world.state().at_deletion = Some(if nested {
            |state| state.at_deletion = Some(|state| state.at_deletion = Some(push_index_again))
        } else {
            |state| state.at_deletion = Some(push_index_again)
        });
        let run = scene.apply();
        let deleted = outcomes(&run);
        let deleted = deleted.iter().filter(|end| ***end == ActionOutcome::Deleted);
        assert_eq!(deleted.count(), 256);
        let left = 300 + 1 + usize::from(nested) - 256;
        assert_eq!(skipped(&run), vec![Skip::Changed; left]);
        // What had gone before that is put back, but for what others pushed themselves.
        assert_eq!(run.mended.len(), 255);
        assert!(run.looked_after, "{run:?}");
        assert_eq!(there(&scene), before);
        assert_eq!(scene.tags(), ["k1"]);
    }
}

#[test]
fn the_rest_of_a_unit_goes_where_something_is_pushed_again_that_it_does_not_belong_to() {
    let mut scene = Scene::new();
    {
        let mut state = scene.world.state();
        state.quirks.takes_along = false;
        let children: Vec<Digest> = (0..300).map(|_| state.image(&name(), None)).collect();
        let index = state.index(&name(), &children);
        state.put_tag(&name(), tag("d1"), &index);
    }
    // The first of the children, and the second is gone as well.
    scene.world.state().at_deletion = Some(|state| {
        state.at_deletion = Some(|state| {
            state.at_deletion = Some(|state| {
                let repository = &state.repositories[&name()];
                let mut ever = repository.ever.iter();
                let child = ever.find(|(digest, manifest)| {
                    !manifest.media_type().is_index() && !repository.manifests.contains_key(*digest)
                });
                let (digest, manifest) = child
                    .map(|(digest, manifest)| (digest.clone(), manifest.clone()))
                    .unwrap();
                let repository = state.repositories.get_mut(&name()).unwrap();
                repository.manifests.insert(digest.clone(), manifest);
                state.put_tag(&name(), tag("k1"), &digest);
            });
        });
    });
    let run = scene.apply();
    let deleted = outcomes(&run);
    assert!(
        deleted.iter().all(|end| **end == ActionOutcome::Deleted),
        "{run:?}"
    );
    assert_eq!(scene.tags(), ["k1"]);
    assert_eq!(scene.world.state().repositories[&name()].manifests.len(), 1);
}

/// The only image that stays goes by others, and a minute passes, so that the rest of each unit is looked at again.
fn others_delete_what_stays(state: &mut State) {
    state.now += TimeDelta::seconds(61);
    let repository = state.repositories.get_mut(&name()).unwrap();
    let kept = repository.tags.remove(&tag("k1")).unwrap();
    repository.manifests.remove(&kept);
}

#[test]
fn of_units_that_look_again_at_the_same_time_none_counts_on_what_another_one_takes() {
    for (units_at_once, least) in [(1, 1), (2, 1), (2, 2), (3, 1), (4, 2), (4, 4)] {
        let mut scene = Scene::new();
        {
            let mut state = scene.world.state();
            state.quirks.takes_along = false;
            for number in 0..4 {
                let child = state.image(&name(), None);
                let index = state.index(&name(), std::slice::from_ref(&child));
                state.put_tag(&name(), tag(&format!("d{number}")), &index);
                state.put_tag(&name(), tag(&format!("d{number}-child")), &child);
            }
        }
        for number in 1..=least {
            scene.image(&[&format!("k{number}")]);
        }
        let plans = scene.plan();
        let approved = approved(&plans, &limits(least));
        scene.world.state().at_deletion = Some(others_delete_what_stays);
        let in_doubt = LeftOut::default();
        let request = ApplyRequest {
            units_at_once,
            ..scene.request(&approved, &(), &in_doubt)
        };
        let mut runs = Vec::new();
        let plans = plans.into_iter().map(Ok::<_, Infallible>);
        scene
            .drive(apply(scene.world(), &request, plans, |run| {
                runs.push(run.clone());
                Ok(())
            }))
            .unwrap();
        // A unit that was not begun is left as a whole.
        let stay = scene.tags().len() as u64;
        assert!(
            (least..=least + 1).contains(&stay),
            "{units_at_once}, {least}: {stay} stay"
        );
        let left = skipped(&runs[0]);
        assert!(left.iter().all(|why| *why == Skip::KeepAtLeast), "{left:?}");
    }
}
