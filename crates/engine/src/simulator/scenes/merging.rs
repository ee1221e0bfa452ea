//! Registries without an API for what is attached: an index under a tag lists it, and whoever attaches something writes
//! that index anew.

use super::*;
use crate::simulator::world::children;

/// Attaches something to a manifest, as a client does that finds no index there.
fn attach(scene: &Scene, subject: &Digest) -> Digest {
    let mut state = scene.world.state();
    let attached = state.image(&name(), Some(subject));
    let index = state.index(&name(), std::slice::from_ref(&attached));
    let fallback = format!("sha256-{}", subject.encoded());
    state.put_tag(&name(), tag(&fallback), &index);
    attached
}

#[test]
fn what_others_attached_since_stays_listed_beside_what_comes_back() {
    for safeguard in [None, Some(Safeguard::Merge)] {
        let mut scene = Scene::new();
        scene.world.state().quirks.referrers_api = false;
        scene.world.state().quirks.takes_along = false;
        let subject = scene.image(&["d1"]);
        let before = attach(&scene, &subject);
        scene.apply();
        assert_eq!(scene.tags(), [""; 0]);
        let since = attach(&scene, &subject);
        without(safeguard, || scene.undo(|_| {}));
        let state = scene.world.state();
        let repository = &state.repositories[&name()];
        let fallback = tag(&format!("sha256-{}", subject.encoded()));
        let listed = children(&repository.manifests[&repository.tags[&fallback]]);
        let is_overwritten = state.violations.iter().any(|text| text.starts_with("I6"));
        match safeguard {
            None => assert_eq!(listed, [since, before]),
            Some(_) => assert_eq!(listed, [before]),
        }
        assert_eq!(is_overwritten, safeguard.is_some(), "{:?}", state.violations);
    }
}
