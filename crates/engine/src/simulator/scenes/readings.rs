//! How often a repository is read while it is worked on: by number and by age, for deletions and untaggings alike.

use chrono::TimeDelta;
use lagan_model::{Digest, RegistryRead, RequestKind};

use super::{Scene, name, outcomes, tag};
use crate::safeguard::{Safeguard, without};
use crate::simulator::story::going;
use crate::{ActionOutcome, RepositoryRun};

impl Scene {
    /// Applies what a plan says, which is made before; how often the repository was listed for it.
    fn listings_of_an_apply(&mut self, slow: Option<TimeDelta>) -> (RepositoryRun, u64) {
        let plans = self.plan();
        let approved = super::approved(&plans, &super::limits(0));
        let listings = |scene: &Self| scene.world.requests().of(RequestKind::Tags);
        {
            let mut state = self.world.state();
            let going = plans.iter().flat_map(going);
            state.approved.extend(going.map(|digest| (name(), digest)));
            state.slow = slow;
        }
        let before = listings(self);
        let run = self.apply_to(&plans, &approved, &());
        self.world.state().slow = None;
        let after = listings(self);
        (run, after - before)
    }

    /// So many images, each with a tag that goes and one that stays.
    fn images_that_stay(&self, count: usize) {
        for number in 0..count {
            self.image(&[&format!("d{number}"), &format!("k{number}")]);
        }
    }
}

fn ended(run: &RepositoryRun, outcome: &ActionOutcome) -> usize {
    outcomes(run).into_iter().filter(|end| *end == outcome).count()
}

#[test]
fn untaggings_that_take_long_are_done_on_several_readings() {
    let apply = || {
        let mut scene = Scene::new();
        scene.images_that_stay(10);
        let (run, listings) = scene.listings_of_an_apply(Some(TimeDelta::seconds(1)));
        assert_eq!(ended(&run, &ActionOutcome::Untagged), 10);
        let violations = scene.world.state().violations.clone();
        (listings, violations)
    };
    let (listings, violations) = apply();
    assert!(violations.is_empty(), "{violations:?}");
    assert_eq!(listings, 2);
    let (listings, violations) = without(Some(Safeguard::ReadAgain), apply);
    assert_eq!(listings, 1);
    assert!(!violations.is_empty());
}

#[test]
fn so_many_untaggings_are_done_on_one_reading_and_no_more() {
    let mut scene = Scene::new();
    scene.images_that_stay(300);
    let (run, listings) = scene.listings_of_an_apply(None);
    assert_eq!(ended(&run, &ActionOutcome::Untagged), 300);
    assert_eq!(listings, 2);
}

#[test]
fn so_many_deletions_are_done_on_one_reading_and_no_more() {
    let mut scene = Scene::new();
    for number in 0..300 {
        scene.image(&[&format!("d{number}")]);
    }
    let (run, listings) = scene.listings_of_an_apply(None);
    assert_eq!(ended(&run, &ActionOutcome::Deleted), 300);
    // And once more in the end.
    assert_eq!(listings, 2 + 1);
}

#[test]
fn a_large_unit_is_read_again_within() {
    let mut scene = Scene::new();
    let children: Vec<Digest> = (0..300).map(|_| scene.image(&[])).collect();
    {
        let mut state = scene.world.state();
        let index = state.index(&name(), &children);
        state.put_tag(&name(), tag("d1"), &index);
    }
    let (run, listings) = scene.listings_of_an_apply(None);
    assert_eq!(ended(&run, &ActionOutcome::Deleted), 301);
    assert_eq!(listings, 2 + 1);
}
