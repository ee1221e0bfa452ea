//! Looking after a repository, where what was pushed since needs what was deleted, and not everything can be read.

use std::collections::BTreeSet;

use lagan_policy::Undo;

use super::lacking::{index, others_delete, others_push};
use super::*;
use crate::apply::DELETIONS_PER_READING;
use crate::mend::{DeletedHere, DeletedManifest, MendError, Mending, mend};

/// What a run deleted below and above an index that was gone when it read the repository, so that this has no record.
/// Since then others pushed that index again, and what they tagged needs all of it.
struct Needed {
    scene: Scene,
    deleted: DeletedHere,
    above: Digest,
    nested: Digest,
    children: [Digest; 2],
}

impl Needed {
    fn new() -> Self {
        let mut scene = Scene::new();
        let (nested, children) = index(&scene, &[]);
        let above = {
            let mut state = scene.world.state();
            let above = state.index(&name(), std::slice::from_ref(&nested));
            state.put_tag(&name(), tag("d1"), &above);
            above
        };
        let mut plans = scene.plan();
        for action in &mut plans[0].actions {
            // Of a plan that counts on undoing it, it would stay.
            if let Action::Delete { undo, .. } = action {
                *undo = Undo::without(&nested);
            }
        }
        let approved = approved(&plans, &limits(0));
        others_delete(&scene, &nested);
        let run = scene.apply_to(&plans, &approved, &());
        let went = run.actions[0]
            .manifests
            .iter()
            .filter(|manifest| manifest.outcome == ActionOutcome::Deleted);
        let deleted: DeletedHere = went
            .map(|manifest| {
                let (sequence, open) = (manifest.sequence.unwrap(), false);
                (manifest.digest.clone(), DeletedManifest { sequence, open })
            })
            .collect();
        let [child, other] = &children;
        assert!(deleted.keys().eq(BTreeSet::from([&above, child, other])));
        others_push(&scene, &nested);
        {
            let mut state = scene.world.state();
            let newer = state.index(&name(), std::slice::from_ref(&above));
            state.put_tag(&name(), tag("k1"), &newer);
        }
        Self {
            scene,
            deleted,
            above,
            nested,
            children,
        }
    }

    fn mend(&self) -> Mending {
        let run = RunId::from_bits(1);
        let world = self.scene.world();
        self.scene.drive(mend(world, run, &name(), &self.deleted, None))
    }

    fn are_there(&self, digests: &[&Digest]) -> bool {
        let state = self.scene.world.state();
        let there = &state.repositories[&name()].manifests;
        digests.iter().all(|digest| there.contains_key(*digest))
    }
}

/// Those that are back.
fn back(mending: &Mending) -> BTreeSet<&Digest> {
    let back = mending.mended.iter().filter(|mended| mended.failure.is_none());
    back.map(|mended| &mended.digest).collect()
}

#[test]
fn what_is_needed_below_an_index_that_was_pushed_again_meanwhile_is_put_back_with_what_lists_that() {
    let needed = Needed::new();
    let mending = needed.mend();
    assert!(mending.problem.is_none());
    assert_eq!(back(&mending), needed.deleted.keys().collect());
    let [child, other] = &needed.children;
    assert!(needed.are_there(&[&needed.above, &needed.nested, child, other]));
}

#[test]
fn what_is_known_to_be_needed_is_put_back_although_something_else_cannot_be_read() {
    let needed = Needed::new();
    let [child, other] = &needed.children;
    needed.scene.world.state().unreadable = BTreeSet::from([needed.nested.clone()]);
    let mending = needed.mend();
    assert_eq!(back(&mending), BTreeSet::from([&needed.above]));
    let Some(MendError::Registry(error)) = mending.problem else {
        panic!("nothing says that it is not all")
    };
    assert!(error.to_string().contains("GET manifest"), "{error}");
    assert!(!needed.are_there(&[child]) && !needed.are_there(&[other]));

    needed.scene.world.state().unreadable.clear();
    let mending = needed.mend();
    assert!(mending.problem.is_none());
    assert_eq!(back(&mending), BTreeSet::from([child, other]));
}

#[test]
fn what_cannot_be_looked_at_is_told_of_and_hinders_nothing_else() {
    let needed = Needed::new();
    let [child, other] = &needed.children;
    needed.scene.world.state().unreadable = BTreeSet::from([child.clone()]);
    let mending = needed.mend();
    assert_eq!(back(&mending), BTreeSet::from([&needed.above, other]));
    let failed: Vec<_> = mending
        .mended
        .iter()
        .filter(|mended| mended.failure.is_some())
        .collect();
    let [failed] = failed[..] else {
        panic!("{failed:?}")
    };
    assert_eq!((&failed.digest, failed.forever), (child, false));
    let why = failed.failure.as_deref().unwrap();
    assert!(why.starts_with("failed to look whether it is there: "), "{why}");

    needed.scene.world.state().unreadable.clear();
    assert_eq!(back(&needed.mend()), BTreeSet::from([child]));
}

#[test]
fn a_repository_that_cannot_be_read_any_more_says_so_and_that_it_could_not_be_looked_after() {
    let mut scene = Scene::new();
    scene.image(&["k1"]);
    // More than are deleted after one reading.
    let doomed: Vec<String> = (0..=DELETIONS_PER_READING)
        .map(|number| format!("d{number}"))
        .collect();
    for text in &doomed {
        scene.image(&[text]);
    }
    scene.world.state().at_deletion = Some(|state| {
        let kept = state.repositories[&name()].tags[&tag("k1")].clone();
        state.unreadable = BTreeSet::from([kept]);
    });
    let run = scene.apply();
    assert_eq!(skipped(&run), [Skip::Incomplete]);
    assert!(!run.looked_after);
    let problem = run.problem.unwrap();
    let parts: Vec<&str> = problem.split("; ").collect();
    assert_eq!(parts.len(), 2, "{problem}");
    assert!(parts[0].starts_with("GET manifest"), "{problem}");
    let again = "failed to read it once more after the last deletion: GET manifest";
    assert!(parts[1].starts_with(again), "{problem}");
}

/// One run deleted an image, another one an index that lists it, and others had deleted the image before that.
#[test]
fn what_several_runs_deleted_is_put_back_from_below_to_above() {
    let mut scene = Scene::new();
    scene.world.state().quirks.checks_references = true;
    scene.world.state().quirks.forgets = false;
    let image = scene.image(&["d1"]);
    assert_eq!(outcomes(&scene.apply()), [&ActionOutcome::Deleted]);
    others_push(&scene, &image);
    let index = {
        let mut state = scene.world.state();
        let index = state.index(&name(), std::slice::from_ref(&image));
        state.put_tag(&name(), tag("d2"), &index);
        index
    };
    others_delete(&scene, &image);
    // Pushed in the moment of the deletion.
    scene.world.state().at_deletion = Some(|state| {
        let ever = state.repositories[&name()].ever.values();
        let index = ever.filter(|manifest| manifest.media_type().is_index());
        let index: Vec<Digest> = index.map(|manifest| manifest.digest().clone()).collect();
        let above = state.index(&name(), &index);
        state.put_tag(&name(), tag("k1"), &above);
    });
    let run = scene.apply();
    assert!(!run.looked_after, "this run knows of no record of the image");
    let recovery = scene.recover();
    let mended: Vec<_> = recovery
        .mended
        .iter()
        .map(|mended| (&mended.digest, &mended.failure))
        .collect();
    assert_eq!(mended, [(&image, &None), (&index, &None)]);
    assert_eq!(scene.recover(), Recovery::default());
}
