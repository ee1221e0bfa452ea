//! What an index lists that was put back, and that was there all the time: it stays with the index, whatever becomes of the
//! tags.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering};

use lagan_model::Labels;
use lagan_policy::Reason;

use super::*;
use crate::Memory;

/// An index that was put back and lost its tag to others since, and below it what a rule would delete by now.
struct Below {
    scene: Scene,
    /// What was put back and is held.
    index: Digest,
    /// Each with a tag by which it would go.
    below: Vec<Digest>,
}

/// `fill` makes what is listed, with tags that keep it, and gives back what the index lists. When the index is back, a tag
/// `k1` becomes `d1`, and `k` goes.
fn below(fill: impl FnOnce(&mut State) -> Vec<Digest>) -> Below {
    let mut scene = Scene::new();
    let index = {
        let mut state = scene.world.state();
        state.quirks.takes_along = false;
        let listed = fill(&mut state);
        let index = state.index(&name(), &listed);
        state.put_tag(&name(), tag("d0"), &index);
        state.approved.insert((name(), index.clone()));
        index
    };
    assert_eq!(outcomes(&scene.apply()), [&ActionOutcome::Deleted]);
    let undone = scene.undo(|_| {});
    assert_eq!(undone[0].manifests.len(), 1, "the rest was there all the time");
    assert_eq!(undone[0].manifests[0].outcome, UndoOutcome::Restored);
    let below = {
        let mut state = scene.world.state();
        let now = state.now;
        state.put_back.insert((name(), index.clone()), now);
        let other = state.image(&name(), None);
        state.put_tag(&name(), tag("d0"), &other);
        let repository = state.repositories.get_mut(&name()).unwrap();
        repository.tags.remove(&tag("d0"));
        let kept = std::mem::take(&mut repository.tags);
        let mut below = Vec::new();
        for (kept, digest) in kept.into_iter().filter(|(kept, _)| kept.as_str() != "k") {
            let doomed = kept.as_str().replacen('k', "d", 1);
            state.put_tag(&name(), tag(&doomed), &digest);
            below.push(digest);
        }
        below
    };
    Below { scene, index, below }
}

impl Below {
    fn has(&self, digest: &Digest) -> bool {
        let state = self.scene.world.state();
        state.repositories[&name()].manifests.contains_key(digest)
    }

    /// A plan that knows what is held.
    fn plan_with(&self, holds: &Holds) -> RepositoryPlan {
        let memory = Memory {
            holds: Some(holds),
            ..Memory::default()
        };
        self.scene.plan_with(memory).pop().unwrap()
    }

    /// Applies what nobody planned who knew what is held.
    fn apply(&mut self) -> RepositoryRun {
        let plans = self.scene.plan();
        let approved = approved(&plans, &limits(0));
        {
            let mut state = self.scene.world.state();
            let going = plans.iter().flat_map(crate::simulator::story::going);
            state.approved.extend(going.map(|digest| (name(), digest)));
        }
        let holds = self.scene.holds();
        self.scene.apply_to(&plans, &approved, &holds)
    }

    /// What the oracle says.
    fn violations(&self) -> Vec<String> {
        self.scene.world.state().violations.clone()
    }
}

fn image(state: &mut State, text: &str) -> Digest {
    let digest = state.image(&name(), None);
    state.put_tag(&name(), tag(text), &digest);
    digest
}

/// A child, a child of an index in the index, and what is attached to that.
fn deep(state: &mut State) -> Vec<Digest> {
    state.quirks.referrers_api = true;
    let (child, below) = (image(state, "k1"), image(state, "k2"));
    let nested = state.index(&name(), std::slice::from_ref(&below));
    state.put_tag(&name(), tag("k"), &nested);
    let attached = state.image(&name(), Some(&below));
    state.put_tag(&name(), tag("k3"), &attached);
    vec![child, nested]
}

#[test]
fn what_a_held_index_lists_stays_although_no_tag_is_on_the_index_any_more() {
    let mut scene = below(deep);
    let run = scene.apply();
    assert_eq!(skipped(&run), [Skip::Held; 3]);
    let until = scene.scene.holds().until(&name(), &scene.index).unwrap();
    let why = format!(
        "it belongs to {}, which stays: it was put back, and is held until {}",
        scene.index,
        until.format("%Y-%m-%d %H:%M UTC")
    );
    for outcome in outcomes(&run) {
        assert!(
            matches!(outcome, ActionOutcome::Skipped { detail, .. } if *detail == why),
            "{outcome:?}"
        );
    }
    assert!(scene.below.iter().all(|digest| scene.has(digest)));
    assert_eq!(scene.violations(), [""; 0]);
    scene.scene.world.state().now += DEFAULT_HOLD;
    assert!(
        outcomes(&scene.apply())
            .iter()
            .all(|outcome| **outcome == ActionOutcome::Deleted)
    );
    assert!(!scene.below.iter().any(|digest| scene.has(digest)));
}

#[test]
fn without_looking_below_what_is_held_something_is_missed() {
    let mut scene = below(deep);
    without(Some(Safeguard::HoldBelow), || scene.apply());
    assert!(!scene.below.iter().any(|digest| scene.has(digest)));
    let violations = scene.violations();
    assert!(
        violations.iter().any(|text| text.starts_with("I4")),
        "{violations:?}"
    );
}

#[test]
fn a_plan_keeps_what_a_held_index_lists_and_says_until_when() {
    let scene = below(deep);
    let holds = scene.scene.holds();
    let held = Reason::Held {
        until: holds.until(&name(), &scene.index).unwrap(),
        with: Some(scene.index.clone()),
    };
    let plan = scene.plan_with(&holds);
    assert_eq!(plan.actions, []);
    for decision in &plan.kept {
        assert!(decision.reasons.contains(&held), "{decision:?}");
    }
    let late = without(Some(Safeguard::HoldBelow), || scene.plan_with(&holds));
    assert_eq!(late.actions.len(), 3, "nobody knows of the index");
}

#[test]
fn a_tag_on_what_a_held_index_lists_is_not_taken_off_either() {
    let mut scene = below(|state| vec![image(state, "k1")]);
    {
        let digest = &scene.below[0];
        let mut state = scene.scene.world.state();
        state.put_tag(&name(), tag("k9"), digest);
    }
    let run = scene.apply();
    assert_eq!(
        (run.actions[0].action, skipped(&run)),
        ("untag", vec![Skip::Held])
    );
    assert_eq!(scene.scene.tags(), ["d1", "k9"]);
}

#[test]
fn a_held_index_that_others_deleted_keeps_nothing() {
    let mut scene = below(deep);
    {
        let mut state = scene.scene.world.state();
        let repository = state.repositories.get_mut(&name()).unwrap();
        repository.manifests.remove(&scene.index);
    }
    assert_eq!(scene.plan_with(&scene.scene.holds()).actions.len(), 3);
    assert!(
        outcomes(&scene.apply())
            .iter()
            .all(|outcome| **outcome == ActionOutcome::Deleted)
    );
}

/// Holds nothing, or says that it does, and counts how often it is asked.
struct Asked {
    holds_any: bool,
    times: AtomicU64,
}

impl Veto for Asked {
    fn why_kept(&self, _: &RepositoryName, _: &Digest, _: &Labels) -> Option<String> {
        self.times.fetch_add(1, Ordering::Relaxed);
        None
    }

    fn kept_indexes(&self, _: &RepositoryName) -> BTreeSet<Digest> {
        BTreeSet::new()
    }

    fn holds_any(&self, _: &RepositoryName) -> bool {
        self.holds_any
    }
}

#[test]
fn what_lies_above_is_asked_for_only_where_something_is_held() {
    // An index and its two children; and for each child the index once more.
    for (holds_any, expected) in [(false, 3), (true, 5)] {
        let mut scene = Scene::new();
        {
            let mut state = scene.world.state();
            let children = [state.image(&name(), None), state.image(&name(), None)];
            let index = state.index(&name(), &children);
            state.put_tag(&name(), tag("d1"), &index);
        }
        let plans = scene.plan();
        let approved = approved(&plans, &limits(0));
        let times = AtomicU64::new(0);
        let veto = Asked { holds_any, times };
        let run = scene.apply_to(&plans, &approved, &veto);
        assert_eq!(outcomes(&run), [&ActionOutcome::Deleted; 3]);
        assert_eq!(veto.times.into_inner(), expected);
    }
}
