//! An index of which others deleted a child: it is served, and many registries take it from nobody any more.

use super::*;
use crate::simulator::store::Kept;

/// An index with two children, with these tags; and the children.
pub(super) fn index(scene: &Scene, tags: &[&str]) -> (Digest, [Digest; 2]) {
    let mut state = scene.world.state();
    let children = [state.image(&name(), None), state.image(&name(), None)];
    let index = state.index(&name(), &children);
    for text in tags {
        state.put_tag(&name(), tag(text), &index);
    }
    (index, children)
}

/// Others delete a manifest, with its tags.
pub(super) fn others_delete(scene: &Scene, digest: &Digest) {
    let mut state = scene.world.state();
    let repository = state.repositories.get_mut(&name()).unwrap();
    repository.manifests.remove(digest).unwrap();
    repository.tags.retain(|_, on| on != digest);
}

/// Others push a manifest again that was there.
pub(super) fn others_push(scene: &Scene, digest: &Digest) {
    let mut state = scene.world.state();
    let repository = state.repositories.get_mut(&name()).unwrap();
    let manifest = repository.ever[digest].clone();
    repository.manifests.insert(digest.clone(), manifest);
}

fn requests(scene: &Scene, kind: RequestKind) -> u64 {
    scene.world.requests().of(kind)
}

fn open(scene: &Scene) -> usize {
    scene.journal.store().with_durable(|kept: &Kept| kept.open.len())
}

#[test]
fn no_tag_is_taken_off_an_index_of_which_a_child_is_gone() {
    let mut scene = Scene::new();
    let (_, [child, _]) = index(&scene, &["d1", "k1"]);
    others_delete(&scene, &child);
    let run = scene.apply();
    let [ActionOutcome::Skipped { why, detail }] = outcomes(&run)[..] else {
        panic!("{run:?}");
    };
    assert_eq!(*why, Skip::Incomplete);
    assert!(
        detail.starts_with(&format!("its child {child} is gone")),
        "{detail}"
    );
    assert_eq!(scene.tags(), ["d1", "k1"]);
    assert_eq!(requests(&scene, RequestKind::Delete), 0);
}

#[test]
fn the_children_of_an_index_are_looked_at_once_in_a_reading_however_many_tags_go() {
    let mut scene = Scene::new();
    index(&scene, &["d1", "d2", "k1"]);
    let plans = scene.plan();
    let approved = approved(&plans, &limits(0));
    let before = requests(&scene, RequestKind::Head);
    let run = scene.apply_to(&plans, &approved, &());
    assert_eq!(outcomes(&run), [&ActionOutcome::Untagged; 2]);
    assert_eq!(scene.tags(), ["k1"]);
    // Two children; for each tag one look before and one after, at it and at the tag that stays.
    assert_eq!(requests(&scene, RequestKind::Head) - before, 2 + 2 * 4);
}

#[test]
fn a_registry_that_takes_a_tag_off_for_itself_is_not_asked_for_children() {
    let mut scene = Scene::new();
    scene.world.state().quirks.takes_along = true;
    scene.world.state().quirks.referrers_api = true;
    let (_, [child, _]) = index(&scene, &["d1", "k1"]);
    others_delete(&scene, &child);
    let run = scene.apply();
    assert_eq!(outcomes(&run), [&ActionOutcome::Untagged]);
}

/// A child that goes between the look at it and the request is one that nobody looked at.
fn swept_without_a_child(scene: &mut Scene, child: &Digest) -> RepositoryRun {
    scene.world.state().quirks.delete_tag_takes_all = true;
    others_delete(scene, child);
    without(Some(Safeguard::WholeIndex), || scene.apply())
}

#[test]
fn what_went_with_a_tag_and_cannot_come_back_is_told_once_as_lost_and_leaves_nothing_open() {
    for checks_references in [true, false] {
        let mut scene = Scene::new();
        scene.world.state().quirks.checks_references = checks_references;
        scene.world.state().quirks.forgets = !checks_references;
        let (index, [child, _]) = index(&scene, &["d1", "k1", "k2"]);
        let run = swept_without_a_child(&mut scene, &child);
        assert_eq!(scene.tags(), [""; 0]);
        assert_eq!(outcomes(&run), [&ActionOutcome::Untagged]);
        let problem = run.problem.unwrap();
        let told =
            format!("cannot be put back, and with it are lost the tags k1, k2: its child {child} is gone");
        assert!(problem.contains(&told), "{problem}");
        assert_eq!(open(&scene), 0);
        assert_eq!(scene.recover(), Recovery::default());

        // It was asked to stop.
        scene.stop = Arc::default();
        let undone = scene.undo(|_| {});
        let [undone] = &undone[0].manifests[..] else {
            panic!("{undone:?}");
        };
        assert_eq!((&undone.digest, &undone.lacks), (&index, &vec![child.clone()]));
        let UndoOutcome::Unrecoverable { why } = &undone.outcome else {
            panic!("{undone:?}");
        };
        assert!(problem.ends_with(why), "{problem}: {why}");

        others_push(&scene, &child);
        let undone = scene.undo(|_| {});
        assert_eq!(undone[0].manifests[0].outcome, UndoOutcome::Restored);
        assert_eq!(scene.tags(), ["d1", "k1", "k2"]);
    }
}

#[test]
fn what_went_with_a_tag_stays_open_where_the_registry_fails_and_may_take_it_later() {
    let mut scene = Scene::new();
    scene.world.state().quirks.delete_tag_takes_all = true;
    index(&scene, &["d1", "k1"]);
    scene.world.state().fails_puts = true;
    let run = scene.apply();
    assert!(matches!(outcomes(&run)[..], [ActionOutcome::InDoubt { .. }]));
    assert_eq!(open(&scene), 1);
    assert_eq!(scene.recover().in_doubt.len(), 1);
    scene.world.state().fails_puts = false;
    assert_eq!(scene.recover().in_doubt, []);
    assert_eq!((open(&scene), scene.tags()), (0, vec!["k1".to_owned()]));
}

#[test]
fn recovery_gives_up_what_cannot_come_back_and_says_so_once() {
    let mut scene = Scene::new();
    scene.world.state().quirks.delete_tag_takes_all = true;
    scene.world.state().quirks.checks_references = true;
    let (_, [child, _]) = index(&scene, &["d1", "k1"]);
    scene.world.state().fails_puts = true;
    scene.apply();
    others_delete(&scene, &child);
    scene.world.state().fails_puts = false;
    let recovery = scene.recover();
    assert_eq!(recovery.problems.len(), 1, "{recovery:?}");
    assert!(
        recovery.problems[0].contains("lost the tags k1: its child"),
        "{recovery:?}"
    );
    assert_eq!(recovery.in_doubt, []);
    assert_eq!(open(&scene), 0);
    assert_eq!(scene.recover(), Recovery::default());
}

#[test]
fn an_index_that_was_deleted_comes_back_without_a_child_where_the_registry_takes_it_and_else_there_is_a_reason()
 {
    for checks_references in [true, false] {
        let mut scene = Scene::new();
        scene.world.state().quirks.checks_references = checks_references;
        scene.world.state().quirks.forgets = false;
        let (_, [child, _]) = index(&scene, &["d1"]);
        others_delete(&scene, &child);
        scene.apply();
        let undone = scene.undo(|_| {});
        let undone = undone[0].manifests.last().unwrap();
        assert_eq!(undone.lacks, std::slice::from_ref(&child));
        match &undone.outcome {
            UndoOutcome::Unrecoverable { why } if checks_references => {
                assert!(why.starts_with(&format!("its child {child} is gone")), "{why}");
            }
            UndoOutcome::Restored if !checks_references => assert_eq!(scene.tags(), ["d1"]),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn what_others_deleted_after_it_lost_a_tag_is_put_back_before_what_lists_it() {
    for depth in [1, 2] {
        let mut scene = Scene::new();
        scene.world.state().quirks.checks_references = true;
        scene.world.state().quirks.forgets = false;
        // An image, or an index over it, that loses a tag; and an index that lists it, and goes by the next run.
        let (lists, goes) = {
            let mut state = scene.world.state();
            let image = state.image(&name(), None);
            let lists = match depth {
                1 => image,
                _ => state.index(&name(), &[image]),
            };
            for text in ["d1", "k1"] {
                state.put_tag(&name(), tag(text), &lists);
            }
            let goes = state.index(&name(), std::slice::from_ref(&lists));
            (lists, goes)
        };
        assert_eq!(outcomes(&scene.apply()), [&ActionOutcome::Untagged], "{depth}");
        scene.world.state().put_tag(&name(), tag("d2"), &goes);
        others_delete(&scene, &lists);
        scene.apply();
        assert_eq!(scene.tags(), [""; 0]);
        let undone = scene.undo(|_| {});
        let ends: Vec<_> = undone[0].manifests.iter().map(|end| &end.outcome).collect();
        assert!(
            ends.iter().all(|end| **end == UndoOutcome::Restored),
            "{undone:?}"
        );
        assert!(
            undone[0].manifests.iter().all(|end| end.lacks.is_empty()),
            "{undone:?}"
        );
        assert_eq!(scene.tags(), ["d1", "d2", "k1"]);
    }
}

/// Others pushed it again, and then deleted what it lists: it is served, and no tag can be put on it.
#[test]
fn what_lists_an_index_comes_back_where_that_is_there_although_its_tag_does_not() {
    for is_there in [true, false] {
        let mut scene = Scene::new();
        scene.world.state().quirks.checks_references = true;
        scene.world.state().quirks.forgets = false;
        let image = scene.image(&["k1"]);
        let (lower, upper) = {
            let mut state = scene.world.state();
            let lower = state.index(&name(), std::slice::from_ref(&image));
            state.put_tag(&name(), tag("d1"), &lower);
            let upper = state.index(&name(), std::slice::from_ref(&lower));
            state.put_tag(&name(), tag("d2"), &upper);
            (lower, upper)
        };
        assert_eq!(outcomes(&scene.apply()), [&ActionOutcome::Deleted; 2]);
        if is_there {
            others_push(&scene, &lower);
        }
        others_delete(&scene, &image);
        // What is there then is found there when it is undone again.
        for end in [UndoOutcome::Restored, UndoOutcome::AlreadyThere] {
            let undone = scene.undo(|_| {});
            let [below, above] = &undone[0].manifests[..] else {
                panic!("{undone:?}");
            };
            assert_eq!((&below.digest, &above.digest), (&lower, &upper));
            assert_eq!(below.lacks, std::slice::from_ref(&image));
            let UndoOutcome::Unrecoverable { why } = &below.outcome else {
                panic!("{undone:?}");
            };
            assert!(why.starts_with(&format!("its child {image} is gone")), "{why}");
            if is_there {
                assert_eq!(above.outcome, end);
                assert_eq!(scene.tags(), ["d2"]);
            } else {
                let why = format!("its child {lower} cannot be put back: {why}");
                assert_eq!(above.outcome, UndoOutcome::Unrecoverable { why });
                assert_eq!(scene.tags(), [""; 0]);
            }
        }
    }
}
