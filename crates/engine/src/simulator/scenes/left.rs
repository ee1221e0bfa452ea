//! What a run that dies leaves below an index that it deleted, and when the next run takes it.

use lagan_model::Manifest;

use super::*;
use crate::simulator::story::going;
use crate::{LeftoverRequest, leftovers, recover_and_wait};

/// An index with two children, of which the run that is to delete them all deletes only the index before it dies.
struct Broken {
    scene: Scene,
    index: Digest,
    children: [Digest; 2],
}

fn broken() -> Broken {
    let broken = broken_after(|_, _| {});
    assert!(broken.children.iter().all(|child| broken.has(child)));
    broken
}

/// The same after something happened to the children.
fn broken_after(change: impl FnOnce(&mut Repository, &[Digest; 2])) -> Broken {
    let mut scene = Scene::new();
    let (index, children) = {
        let mut state = scene.world.state();
        state.quirks.takes_along = false;
        let children = [state.image(&name(), None), state.image(&name(), None)];
        let index = state.index(&name(), &children);
        state.put_tag(&name(), tag("d1"), &index);
        change(state.repositories.get_mut(&name()).unwrap(), &children);
        (index, children)
    };
    let plans = scene.plan();
    let approved = approved(&plans, &limits(0));
    {
        let mut state = scene.world.state();
        let going = plans.iter().flat_map(going);
        state.approved.extend(going.map(|digest| (name(), digest)));
    }
    scene.apply_and_die(plans, &approved);
    let broken = Broken {
        scene,
        index,
        children,
    };
    assert!(!broken.has(&broken.index));
    broken
}

impl Broken {
    fn has(&self, digest: &Digest) -> bool {
        self.scene.world.state().repositories[&name()]
            .manifests
            .contains_key(digest)
    }

    fn manifest(&self, digest: &Digest) -> Manifest {
        self.scene.world.state().repositories[&name()].ever[digest].clone()
    }

    /// What was left is looked at, and when it can no longer happen it is on record as left.
    fn settled(self) -> Self {
        assert_eq!(self.scene.recover().in_doubt.len(), 2);
        self.scene.world.state().now += TimeDelta::minutes(11);
        assert_eq!(self.scene.recover().in_doubt, []);
        self
    }

    /// The next run, and whether there was anything in it.
    fn run(&mut self) -> Option<RepositoryRun> {
        self.scene.recover();
        let chronicle = self.scene.chronicle();
        let request = LeftoverRequest {
            memory: crate::Memory::default(),
            in_doubt: &LeftOut::default(),
            of: &|_| true,
        };
        let left = self
            .scene
            .drive(leftovers(self.scene.world(), &chronicle, &request));
        let left = left.unwrap();
        assert_eq!(left.problems, [""; 0]);
        let policies = policies(None, None);
        let of_repository = policies.of_repository(&name(), &|_| true).unwrap();
        let plan = self.scene.plan().pop().unwrap();
        let plan = left.added_to(&plan, &of_repository, None, evidence())?;
        let approved = approved(std::slice::from_ref(&plan), &limits(0));
        Some(self.scene.apply_to(&[plan], &approved, &()))
    }
}

#[test]
fn what_an_interrupted_run_left_below_an_index_goes_with_the_next_one_and_comes_back_with_the_index() {
    let mut broken = broken();
    assert!(broken.run().is_none(), "it may still happen");
    broken = broken.settled();
    let run = broken.run().unwrap();
    assert_eq!(outcomes(&run), [&ActionOutcome::Deleted; 2]);
    assert!(
        broken.scene.world.state().repositories[&name()]
            .manifests
            .is_empty()
    );
    assert!(broken.run().is_none(), "nothing is left");
    let undone = broken.scene.undo(|request| {
        request.target = UndoTarget::Artifact(name(), Reference::Tag(tag("d1")));
    });
    assert_eq!(undone[0].manifests.len(), 3);
    assert!(broken.has(&broken.index) && broken.children.iter().all(|child| broken.has(child)));
    assert_eq!(broken.scene.tags(), ["d1"]);
    assert_eq!(broken.scene.world.state().violations, [""; 0]);
}

#[test]
fn what_was_left_is_known_to_a_program_that_starts_again_and_to_one_that_reads_the_journal_anew() {
    let mut broken = broken().settled();
    let head = broken.scene.chronicle();
    assert_eq!(head.left().count(), 2);
    broken.run().unwrap();
    // It stays on record, and is looked at each time: it is gone.
    assert_eq!(broken.scene.chronicle().left().count(), 2);
    broken.scene.world.state().requests.clear();
    assert!(broken.run().is_none());
    assert_eq!(broken.scene.world.requests().of(RequestKind::Head), 2);
}

#[test]
fn what_was_left_and_went_is_nobodys_when_it_is_pushed_again_without_a_tag() {
    let mut broken = broken().settled();
    let run = broken.run().unwrap();
    assert_eq!(outcomes(&run), [&ActionOutcome::Deleted; 2]);
    let [again, _] = broken.children.clone();
    let manifest = broken.manifest(&again);
    {
        let mut state = broken.scene.world.state();
        let repository = state.repositories.get_mut(&name()).unwrap();
        repository.manifests.insert(again.clone(), manifest);
    }
    assert!(broken.run().is_none());
    assert!(broken.has(&again));
}

#[test]
fn what_was_left_long_ago_stays_and_its_run_is_not_read_for_it() {
    let mut broken = broken().settled();
    broken.scene.world.state().now += TimeDelta::hours(40 * 24 + 12);
    assert!(broken.run().is_none());
    assert!(broken.children.iter().all(|child| broken.has(child)));
    assert_eq!(broken.scene.chronicle().left().count(), 2, "a clock may be wrong");
    broken.scene.world.state().now += TimeDelta::days(1);
    assert_eq!(broken.scene.chronicle().left().count(), 0);
    broken.scene.world.state().now -= TimeDelta::days(3);
    assert_eq!(outcomes(&broken.run().unwrap()), [&ActionOutcome::Deleted; 2]);
}

#[test]
fn what_was_left_stays_where_a_tag_is_on_it_or_a_tagged_index_lists_it() {
    let mut broken = broken().settled();
    let [tagged, listed] = broken.children.clone();
    {
        let mut state = broken.scene.world.state();
        state.put_tag(&name(), tag("k1"), &tagged);
        let index = state.index(&name(), std::slice::from_ref(&listed));
        state.put_tag(&name(), tag("k2"), &index);
    }
    assert!(broken.run().is_none());
}

#[test]
fn what_was_left_stays_where_something_was_attached_to_it_since() {
    let mut broken = broken().settled();
    let [signed, _] = broken.children.clone();
    {
        let mut state = broken.scene.world.state();
        state.quirks.referrers_api = true;
        state.image(&name(), Some(&signed));
    }
    let run = broken.run().unwrap();
    assert_eq!(outcomes(&run), [&ActionOutcome::Deleted]);
    assert!(broken.has(&signed));
}

#[test]
fn what_was_left_stays_where_the_index_came_back_without_its_tag() {
    for safeguard in [None, Some(Safeguard::NothingAbove)] {
        let mut broken = broken().settled();
        // Its tag is on something else by now, and is left there.
        broken.scene.image(&["d1"]);
        broken.scene.undo(|_| {});
        {
            let mut state = broken.scene.world.state();
            let now = state.now;
            state.put_back.insert((name(), broken.index.clone()), now);
        }
        assert!(broken.has(&broken.index));
        assert_eq!(broken.manifest(&broken.index).digest(), &broken.index);
        without(safeguard, || broken.run());
        let stays = broken.children.iter().all(|child| broken.has(child));
        assert_eq!(stays, safeguard.is_none());
        let violations = &broken.scene.world.state().violations;
        let is_seen = violations.iter().any(|text| text.starts_with("I4"));
        assert_eq!(is_seen, safeguard.is_some(), "{violations:?}");
    }
}

#[test]
fn what_was_left_stays_where_a_policy_protects_by_what_only_a_plan_finds_out() {
    let broken = broken().settled();
    let chronicle = broken.scene.chronicle();
    let request = LeftoverRequest {
        memory: crate::Memory::default(),
        in_doubt: &LeftOut::default(),
        of: &|_| true,
    };
    let left = broken
        .scene
        .drive(leftovers(broken.scene.world(), &chronicle, &request));
    let left = left.unwrap();
    let plan = broken.scene.plan().pop().unwrap();
    let mut policies = policies(None, None);
    let added = |policies: &lagan_policy::PolicySet| {
        let policies = policies.of_repository(&name(), &|_| true).unwrap();
        left.added_to(&plan, &policies, None, evidence())
    };
    assert_eq!(added(&policies).unwrap().actions.len(), 2);
    policies.policies[0].protect.push(lagan_policy::Protection {
        pattern: lagan_policy::ProtectionPattern::Signed,
        until: None,
        why: None,
    });
    assert_eq!(added(&policies), None);
}

#[test]
fn whoever_waits_is_told_until_when_and_finds_nothing_in_doubt() {
    let broken = broken();
    let began = broken.scene.world.state().now;
    let mut told = Vec::new();
    let waiting = recover_and_wait(broken.scene.world(), |until| told.push(until));
    let recovery = broken.scene.drive(waiting).unwrap();
    assert_eq!(recovery.in_doubt, []);
    assert_eq!(recovery.settled.len(), 2);
    assert_eq!(told.len(), 1);
    assert!(told[0] - began >= TimeDelta::minutes(10), "{told:?}");
    assert!(broken.scene.world.state().now > told[0]);
    // Nobody waits where nothing is open.
    let waiting = recover_and_wait(broken.scene.world(), |_| panic!("for nothing"));
    assert_eq!(broken.scene.drive(waiting).unwrap(), Recovery::default());
}

#[test]
fn a_run_comes_to_its_end_although_others_deleted_what_has_to_be_there_to_put_something_back() {
    let broken = broken_after(|repository, children| {
        repository.manifests.remove(&children[0]);
    });
    {
        let mut state = broken.scene.world.state();
        state.quirks.checks_references = true;
        let above = state.index(&name(), std::slice::from_ref(&broken.index));
        state.put_tag(&name(), tag("k1"), &above);
    }
    for minutes in [0, 11] {
        broken.scene.world.state().now += TimeDelta::minutes(minutes);
        let mended = broken.scene.recover().mended;
        assert_eq!(
            (&mended[0].digest, &mended[0].needed_by),
            (&broken.index, &tag("k1"))
        );
        let why = mended[0].failure.as_ref().unwrap();
        let child = &broken.children[0];
        assert!(why.starts_with(&format!("its child {child} is gone")), "{why}");
    }
    assert_eq!(broken.scene.recover(), Recovery::default());
}
