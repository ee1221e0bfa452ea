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
fn what_was_lost_with_a_tag_comes_back_by_an_undo_although_somebody_else_put_the_manifest_back() {
    for by_its_name in [true, false] {
        let mut scene = Scene::new();
        let (index, [child, _]) = index(&scene, &["d1", "k1", "k2"]);
        swept_without_a_child(&mut scene, &child);
        scene.stop = Arc::default();
        others_push(&scene, &child);
        others_push(&scene, &index);
        // Somebody has put one of the tags elsewhere.
        let newer = scene.image(&["k2"]);
        let undone = scene.undo(|request| {
            if by_its_name {
                request.target = UndoTarget::Artifact(name(), Reference::Tag(tag("k1")));
            }
        });
        let [undone] = &undone[0].manifests[..] else {
            panic!("{undone:?}");
        };
        assert_eq!(undone.tags, ["d1", "k1", "k2"].map(tag));
        let tags = vec![(tag("k2"), newer)];
        assert_eq!(undone.outcome, UndoOutcome::Conflict { tags });
        assert_eq!(scene.tags(), ["d1", "k1", "k2"]);
        assert_eq!(scene.world.state().repositories[&name()].tags[&tag("k1")], index);
    }
}

#[test]
fn the_last_that_was_lost_with_its_name_is_meant_by_it() {
    let mut scene = Scene::new();
    let (_, [child, _]) = index(&scene, &["d1", "k1"]);
    swept_without_a_child(&mut scene, &child);
    let (last, [child, _]) = index(&scene, &["d2", "k1"]);
    scene.stop = Arc::default();
    swept_without_a_child(&mut scene, &child);
    others_push(&scene, &child);
    scene.stop = Arc::default();
    scene.undo(|request| request.target = UndoTarget::Artifact(name(), Reference::Tag(tag("k1"))));
    assert_eq!(scene.tags(), ["d2", "k1"]);
    assert_eq!(scene.world.state().repositories[&name()].tags[&tag("k1")], last);
}

#[test]
fn a_tag_whose_turn_had_not_come_is_put_back_with_those_that_stay() {
    let mut scene = Scene::new();
    scene.world.state().quirks.delete_tag_takes_all = true;
    scene.image(&["d1", "d2", "d3", "k1"]);
    let run = scene.apply();
    assert_eq!(skipped(&run), [Skip::Stopped; 2]);
    assert_eq!(scene.tags(), ["d2", "d3", "k1"]);
    assert_eq!(open(&scene), 0);
}

#[test]
fn a_tag_that_was_taken_off_before_is_not_put_back_with_those_whose_turn_had_not_come() {
    let mut scene = Scene::new();
    scene.image(&["d1", "d2", "d3", "k1"]);
    // From its second request on, the registry takes them all.
    scene.world.state().at_deletion = Some(|state| state.quirks.delete_tag_takes_all = true);
    let run = scene.apply();
    assert_eq!(skipped(&run), [Skip::Stopped]);
    assert_eq!(scene.tags(), ["d3", "k1"]);
}

/// A registry that takes all tags, and for a while none.
fn swept_and_not_put_back(tags: &[&str]) -> (Scene, Digest) {
    let mut scene = Scene::new();
    scene.world.state().quirks.delete_tag_takes_all = true;
    let image = scene.image(tags);
    scene.world.state().fails_puts = true;
    let run = scene.apply();
    assert!(matches!(outcomes(&run)[0], ActionOutcome::InDoubt { .. }));
    assert_eq!(scene.tags(), [""; 0]);
    scene.world.state().fails_puts = false;
    (scene, image)
}

#[test]
fn recovery_puts_back_what_is_left_of_what_was_being_put_back() {
    let (scene, image) = swept_and_not_put_back(&["d1", "d2", "k1", "k2"]);
    // As far as the run came: the next tag was not answered.
    others_push(&scene, &image);
    scene.world.state().put_tag(&name(), tag("k1"), &image);
    let recovery = scene.recover();
    assert_eq!(scene.tags(), ["d2", "k1", "k2"]);
    assert_eq!(recovery.problems.len(), 1, "{recovery:?}");
    assert!(recovery.problems[0].ends_with("it was put back with the others"));
    assert_eq!((recovery.in_doubt, open(&scene)), (Vec::new(), 0));
}

/// The run dies right after the tag was taken off, and another one is gone as well.
fn interrupted_and_lacking(gone: &str) -> Scene {
    let mut scene = Scene::new();
    scene.image(&["d1", "k1", "k2"]);
    let plans = scene.plan();
    let approved = approved(&plans, &limits(0));
    scene.apply_and_die(plans, &approved);
    let mut state = scene.world.state();
    let repository = state.repositories.get_mut(&name()).unwrap();
    repository.tags.remove(&tag(gone)).unwrap();
    drop(state);
    scene
}

#[test]
fn what_nobody_knows_who_took_is_told_once_and_comes_back_by_an_undo() {
    let mut scene = interrupted_and_lacking("k2");
    let recovery = scene.recover();
    let [problem] = &recovery.problems[..] else {
        panic!("{recovery:?}");
    };
    assert!(
        problem.contains("by now the tags k2 are gone as well"),
        "{problem}"
    );
    assert!(
        problem.ends_with(&format!("`lagan undo {}` puts them back", RunId::from_bits(1))),
        "{problem}"
    );
    assert_eq!((scene.tags(), open(&scene)), (vec!["k1".to_owned()], 0));
    assert_eq!(scene.recover(), Recovery::default());
    let undone = scene.undo(|request| request.target = UndoTarget::Run(RunId::from_bits(1)));
    assert_eq!(undone[0].manifests[0].outcome, UndoOutcome::Restored);
    assert_eq!(scene.tags(), ["d1", "k1", "k2"]);
}

#[test]
fn what_came_back_under_other_tags_than_its_own_is_not_said_to_be_lacking() {
    let mut scene = Scene::new();
    scene.world.state().quirks.checks_references = true;
    scene.world.state().quirks.forgets = false;
    let newer = scene.image(&["k9"]);
    let image = scene.image(&["d1", "k1"]);
    let above = {
        let mut state = scene.world.state();
        state.index(&name(), std::slice::from_ref(&image))
    };
    assert_eq!(outcomes(&scene.apply()), [&ActionOutcome::Untagged]);
    scene.world.state().put_tag(&name(), tag("d2"), &above);
    others_delete(&scene, &image);
    assert_eq!(outcomes(&scene.apply()), [&ActionOutcome::Deleted]);
    scene.world.state().put_tag(&name(), tag("d1"), &newer);
    let undone = scene.undo(|_| {});
    let [below, above] = &undone[0].manifests[..] else {
        panic!("{undone:?}");
    };
    let tags = vec![(tag("d1"), newer)];
    assert_eq!(
        (&below.digest, &below.outcome),
        (&image, &UndoOutcome::Conflict { tags })
    );
    assert_eq!(
        (&above.lacks[..], &above.outcome),
        (&[][..], &UndoOutcome::Restored)
    );
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
