//! I9: no run leaves fewer artifacts in a repository than have to stay, by what is there and not by what was planned.

use std::collections::BTreeSet;

use lagan_model::{AttachmentForm, Digest};

use super::world::{Effect, MAX_AGE, Repository, State, is_holding};

/// How many artifacts there are: tagged, attached to nothing, and not about to go.
pub(crate) fn counted(repository: &Repository, may_go: impl Fn(&Digest) -> bool) -> u64 {
    counted_ones(repository, may_go).len() as u64
}

/// The artifacts that are counted.
pub(crate) fn counted_ones(repository: &Repository, may_go: impl Fn(&Digest) -> bool) -> BTreeSet<Digest> {
    let is_counted = |digest: &Digest| {
        let on_it = repository.tags.iter().filter(|(_, on)| *on == digest);
        let (attached, own): (Vec<_>, Vec<_>) = on_it.partition(|(tag, _)| AttachmentForm::of(tag).is_some());
        let lists_attached = repository.manifests[digest].subject().is_some();
        attached.is_empty() && !lists_attached && !own.is_empty() && !may_go(digest)
    };
    let there = repository.manifests.keys();
    there.filter(|digest| is_counted(digest)).cloned().collect()
}

impl State {
    /// Whether too few would stay if a deletion that is sent took effect, and all that may still go with it. What others
    /// took since the last listing, or for as long as that may be old, nobody can have known.
    pub(crate) fn leaves_too_few(&self, effect: &Effect) -> Option<String> {
        let name = &effect.repository;
        let repository = self.repositories.get(name)?;
        if effect.tag.is_some() || is_holding(name) || self.case.concurrency {
            return None;
        }
        let going = |digest: &Digest| {
            let mut late = self.late.iter().map(|late| &late.effect);
            *digest == effect.digest
                || late.any(|late| late.repository == *name && late.digest == *digest && late.tag.is_none())
        };
        if counted(repository, |digest| *digest == effect.digest) == counted(repository, |_| false) {
            // What goes is not counted itself.
            return None;
        }
        let since = self.now - MAX_AGE;
        let fewer = self.fewer.iter().filter(|(of, _, at)| of == name && *at >= since);
        let fewer: u64 = fewer.map(|(_, by, _)| by).sum();
        let stay = counted(repository, going);
        (stay + fewer < self.case.keep).then(|| {
            format!(
                "I9: {name}@{} goes, and {stay} stay where {} have to",
                effect.digest, self.case.keep
            )
        })
    }
}
