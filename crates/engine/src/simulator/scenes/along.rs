//! What goes along with a manifest that it is attached to, and is there again before anybody looks: somebody pushed it.

use lagan_model::Manifest;

use super::*;

/// An image with `d1`, what is attached to it with `d2`, and what is attached to that with `d3`, in a registry that deletes
/// all of it with the image.
fn attached(scene: &Scene) -> [Digest; 3] {
    let mut state = scene.world.state();
    state.quirks.takes_along = true;
    state.quirks.referrers_api = true;
    let image = state.image(&name(), None);
    let signed = state.image(&name(), Some(&image));
    let countersigned = state.image(&name(), Some(&signed));
    let all = [image, signed, countersigned];
    for (digest, text) in all.iter().zip(["d1", "d2", "d3"]) {
        state.put_tag(&name(), tag(text), digest);
    }
    all
}

/// Pushes again what is attached to a manifest, as somebody does who builds it anew, and puts a tag on it.
fn push_again(state: &mut State, subject: &Digest, text: &str) -> Digest {
    let step = state.step;
    let repository = state.repositories.get_mut(&name()).unwrap();
    let is_meant = |manifest: &&Manifest| manifest.subject().is_some_and(|other| other.digest == *subject);
    let manifest = repository.ever.values().find(is_meant).unwrap().clone();
    let digest = manifest.digest().clone();
    repository.pushed_at.insert(digest.clone(), step);
    repository.manifests.insert(digest.clone(), manifest);
    state.put_tag(&name(), tag(text), &digest);
    digest
}

/// The image that was deleted just now.
fn deleted(state: &State) -> Digest {
    let repository = &state.repositories[&name()];
    let mut gone = repository
        .ever
        .values()
        .filter(|manifest| !repository.manifests.contains_key(manifest.digest()));
    let image = gone.find(|manifest| manifest.subject().is_none());
    image.unwrap().digest().clone()
}

fn wrong_outcomes(scene: &Scene) -> Vec<String> {
    let state = scene.world.state();
    scene
        .journal
        .store()
        .with_durable(|kept| state.wrong_outcomes(kept))
}

#[test]
fn what_went_along_and_was_pushed_again_without_its_tag_is_deleted_and_an_undo_brings_the_tag_back() {
    let mut scene = Scene::new();
    let [image, signed, countersigned] = attached(&scene);
    scene.world.state().at_deletion = Some(|state| {
        let image = deleted(state);
        let signed = push_again(state, &image, "k1");
        push_again(state, &signed, "d3");
    });
    let run = scene.apply();
    // What is attached to what somebody needs again stays with it.
    let stays = ActionOutcome::Skipped {
        why: Skip::Unit,
        detail: format!("{signed}, before it in its unit, was deleted, and somebody pushed it again"),
    };
    assert_eq!(
        outcomes(&run),
        [&ActionOutcome::Deleted, &ActionOutcome::Deleted, &stays]
    );
    assert_eq!(scene.tags(), ["d3", "k1"]);
    assert_eq!(scene.world.requests().of(RequestKind::Delete), 1);
    assert_eq!(wrong_outcomes(&scene), [""; 0]);

    scene.undo(|_| {});
    let state = scene.world.state();
    let tags = &state.repositories[&name()].tags;
    let on: Vec<(&str, &Digest)> = tags.iter().map(|(tag, on)| (tag.as_str(), on)).collect();
    assert_eq!(
        on,
        [
            ("d1", &image),
            ("d2", &signed),
            ("d3", &countersigned),
            ("k1", &signed)
        ]
    );
}

#[test]
fn what_went_along_and_was_pushed_again_is_left_alone_where_its_tag_is_on_something_else() {
    let mut scene = Scene::new();
    let [_, signed, _] = attached(&scene);
    let other = scene.image(&["k2"]);
    scene.world.state().at_deletion = Some(|state| {
        let image = deleted(state);
        push_again(state, &image, "k1");
        let other = state.repositories[&name()].tags[&tag("k2")].clone();
        state.put_tag(&name(), tag("d2"), &other);
    });
    let run = scene.apply();
    let changed = ActionOutcome::Skipped {
        why: Skip::Changed,
        detail: format!("the tag d2 was on {signed}, and is on {other}"),
    };
    assert_eq!(
        outcomes(&run),
        [&ActionOutcome::Deleted, &changed, &ActionOutcome::Deleted]
    );
    assert_eq!(scene.tags(), ["d2", "k1", "k2"]);
    assert_eq!(wrong_outcomes(&scene), [""; 0]);
}
