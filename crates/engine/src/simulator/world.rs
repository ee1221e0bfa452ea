//! The state of the simulated world, and the record of everything that happened in it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use chrono::TimeDelta;
use lagan_model::journal::Sequence;
use lagan_model::{Digest, Manifest, Reference, RepositoryName, RequestKind, Tag, Time};

use super::case::Case;
use super::chance::Chance;
use super::limits::counted_ones;
use crate::Stop;

/// How old the last listing may be when a deletion is sent: a minute, and the steps to it.
pub(crate) const MAX_AGE: TimeDelta = TimeDelta::seconds(62);

/// How the simulated registry behaves.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Quirks {
    /// Whether there is a referrers API.
    pub referrers_api: bool,
    /// Whether a single tag can be deleted.
    pub delete_tag: bool,
    /// Whether deleting a single tag deletes its manifest.
    pub delete_tag_takes_all: bool,
    /// Whether a manifest is refused whose children or blobs are not there.
    pub checks_references: bool,
    /// Whether a manifest whose blobs are gone is accepted, and forgotten.
    pub forgets: bool,
    /// Whether a deletion takes along what hangs on the manifest, as Harbor's does; such a registry deletes nothing of
    /// which its adapter sees that it is not what is on record.
    pub takes_along: bool,
    /// Whether it remembers blobs that its collection took, until somebody starts it again.
    pub claims_blobs: bool,
}

#[derive(Debug, Clone, Default)]
pub(crate) struct Repository {
    pub manifests: BTreeMap<Digest, Manifest>,
    pub tags: BTreeMap<Tag, Digest>,
    /// When each tag was put where it is by others, by step.
    pub put_at: BTreeMap<Tag, u64>,
    /// When each manifest was pushed last, by step.
    pub pushed_at: BTreeMap<Digest, u64>,
    pub blobs: BTreeSet<Digest>,
    /// Every manifest that ever was here.
    pub ever: BTreeMap<Digest, Manifest>,
    /// When Lagan began to read it last.
    pub listed_at: u64,
    /// The tags that there were then.
    pub listed: BTreeSet<Tag>,
    /// Those that it found by listing them again in the same reading, where one had vanished; by step.
    pub listed_again: BTreeMap<Tag, u64>,
    /// Whether one has vanished.
    pub vanished: bool,
    /// The same by the clock.
    pub listed_when: Time,
    pub looked_at: BTreeMap<Tag, u64>,
    /// Whether something that was asked since the last listing was not answered.
    pub unread: bool,
}

/// A deletion by Lagan that took effect.
#[derive(Debug, Clone)]
pub(crate) struct Effect {
    pub sequence: Sequence,
    pub repository: RepositoryName,
    pub digest: Digest,
    pub tag: Option<Tag>,
    /// When it took effect.
    pub step: u64,
}

/// What Lagan can have known of a repository when it sent a deletion.
#[derive(Debug, Clone, Default)]
pub(crate) struct Seen {
    /// When it began to read it last, by step.
    pub at: u64,
    /// Tags that it found later.
    pub later: BTreeMap<Tag, u64>,
    /// Tags that were to stay on what one is taken off, and when each was looked at since that was on record.
    pub staying: BTreeMap<Tag, u64>,
}

impl Seen {
    /// Until which step it can have known what a tag is on.
    fn of(&self, tag: &Tag) -> u64 {
        self.later.get(tag).copied().unwrap_or(self.at)
    }
}

/// A deletion that the registry carries out late.
#[derive(Debug, Clone)]
pub(crate) struct Late {
    /// When it was sent, by step.
    pub sent: u64,
    pub due: Time,
    /// What was known when it was sent.
    pub seen: Seen,
    pub effect: Effect,
    pub intended: BTreeSet<Tag>,
}

/// A tag that went with another one.
#[derive(Debug)]
pub(crate) struct Swept {
    pub repository: RepositoryName,
    pub tag: Tag,
    /// What it was on.
    pub digest: Digest,
    /// Whether the record of the other one has it.
    pub on_record: bool,
    /// Whether it was there when the client looked last.
    pub seen: bool,
}

#[derive(Debug)]
pub(crate) struct State {
    pub case: Case,
    pub quirks: Quirks,
    pub now: Time,
    pub step: u64,
    pub repositories: BTreeMap<RepositoryName, Repository>,
    pub late: Vec<Late>,
    pub effects: Vec<Effect>,
    /// Digests that the approved plans say go.
    pub approved: BTreeSet<(RepositoryName, Digest)>,
    /// Tags that went with a manifest when only another tag of it was to go.
    pub swept: Vec<Swept>,
    /// What each untagging has on record of the other tags on its manifest.
    pub beside: BTreeMap<Sequence, BTreeSet<Tag>>,
    /// Tags that went with a manifest, whichever of its tags was asked for.
    pub gone_along: BTreeSet<(RepositoryName, Tag)>,
    /// Tags that went because a record said so.
    pub taken: BTreeSet<(RepositoryName, Tag)>,
    /// When each digest was put back by Lagan for somebody who asked.
    pub put_back: BTreeMap<(RepositoryName, Digest), Time>,
    /// Intents that are durable: what they are about, and the step in which they were written.
    pub durable: BTreeMap<Sequence, (RepositoryName, Digest, u64)>,
    /// What Lagan put while it could not come back, as others had deleted what it lists; and the blobs, and what others had
    /// deleted, that it asked for when they were gone.
    pub turned_down: BTreeSet<(RepositoryName, Digest)>,
    /// When the repository was listed last before each intent, by step.
    pub listed: BTreeMap<Sequence, u64>,
    /// What deletions promise: the repository that holds the manifest, and until when.
    pub promised: BTreeMap<Sequence, (RepositoryName, Time)>,
    /// Copies that are on record: until when each is held.
    pub copies: BTreeMap<(RepositoryName, Digest), Vec<Time>>,
    /// When others made artifacts fewer that limits count, by how many, and when.
    pub fewer: Vec<(RepositoryName, u64, Time)>,
    /// When others last took each tag off a manifest, or put it elsewhere, by step.
    pub lost_a_tag: BTreeMap<(RepositoryName, Digest, Tag), u64>,
    /// When each manifest was removed last, by step.
    pub removed: BTreeMap<(RepositoryName, Digest), u64>,
    /// Everything that others deleted, by step.
    pub by_others: Vec<(RepositoryName, Reference, u64)>,
    /// Manifests that others deleted last, by step.
    pub gone_by_others: BTreeMap<(RepositoryName, Digest), u64>,
    /// Tags that others deleted last, or that went with a manifest of theirs, by step.
    pub tags_by_others: BTreeMap<(RepositoryName, Tag), u64>,
    pub violations: Vec<String>,
    pub requests: BTreeMap<RequestKind, u64>,
    pub crashed: bool,
    /// Whether the journal failed, and takes nothing more until the program starts again.
    pub journal_failed: bool,
    /// How the run under way is asked to stop.
    pub stop: Arc<Stop>,
    /// Whether that is done as soon as something is deleted.
    pub stop_at_deletion: bool,
    /// Whether the program dies as soon as something is deleted.
    pub dies_after_deletion: bool,
    /// What happens as soon as something is deleted.
    pub at_deletion: Option<fn(&mut Self)>,
    /// What happens as soon as a manifest is put.
    pub at_put: Option<fn(&mut Self)>,
    /// Whether the registry fails whenever a manifest is put.
    pub fails_puts: bool,
    /// What the registry has, and fails to answer for.
    pub unreadable: BTreeSet<Digest>,
    /// How long each step takes, where that is not left to chance.
    pub slow: Option<TimeDelta>,
    /// The last step that took long by chance.
    pub long_step: Option<u64>,
    /// Whether others act, requests fail and the program dies.
    pub calm: bool,
    pub others: Chance,
    pub faults: Chance,
    pub crashes: Chance,
    pub turns: Chance,
    pub others_left: u32,
    pub faults_left: u32,
    pub crashes_left: u32,
    pub made: u64,
    pub trace: Option<Vec<String>>,
}

impl State {
    pub(crate) fn new(case: Case, trace: bool) -> Self {
        let mut quirks = Chance::new(case.seed, 1);
        let mut quirks = Quirks {
            referrers_api: quirks.per_mille(500),
            delete_tag: quirks.per_mille(500),
            delete_tag_takes_all: quirks.per_mille(100),
            checks_references: quirks.per_mille(700),
            forgets: quirks.per_mille(500),
            takes_along: quirks.per_mille(300),
            claims_blobs: quirks.per_mille(250),
        };
        if quirks.takes_along {
            quirks.referrers_api = true;
            quirks.delete_tag_takes_all = false;
        }
        let now: Time = chrono::DateTime::from_timestamp(1_780_000_000, 0).unwrap();
        Self {
            case,
            quirks,
            now,
            step: 0,
            repositories: BTreeMap::new(),
            late: Vec::new(),
            effects: Vec::new(),
            approved: BTreeSet::new(),
            swept: Vec::new(),
            beside: BTreeMap::new(),
            taken: BTreeSet::new(),
            gone_along: BTreeSet::new(),
            put_back: BTreeMap::new(),
            turned_down: BTreeSet::new(),
            durable: BTreeMap::new(),
            listed: BTreeMap::new(),
            promised: BTreeMap::new(),
            copies: BTreeMap::new(),
            fewer: Vec::new(),
            lost_a_tag: BTreeMap::new(),
            removed: BTreeMap::new(),
            by_others: Vec::new(),
            gone_by_others: BTreeMap::new(),
            tags_by_others: BTreeMap::new(),
            violations: Vec::new(),
            requests: BTreeMap::new(),
            crashed: false,
            journal_failed: false,
            stop: Arc::default(),
            stop_at_deletion: false,
            dies_after_deletion: false,
            at_deletion: None,
            at_put: None,
            fails_puts: false,
            unreadable: BTreeSet::new(),
            slow: None,
            long_step: None,
            calm: true,
            others: Chance::new(case.seed, 2),
            faults: Chance::new(case.seed, 3),
            crashes: Chance::new(case.seed, 4),
            turns: Chance::new(case.seed, 5),
            others_left: case.others,
            faults_left: case.faults,
            crashes_left: case.crashes,
            made: 0,
            trace: trace.then(Vec::new),
        }
    }

    pub(crate) fn note(&mut self, text: impl FnOnce() -> String) {
        if let Some(trace) = &mut self.trace {
            let text = text();
            trace.push(format!("{:>5} {} {text}", self.step, self.now.format("%H:%M:%S")));
        }
    }

    pub(crate) fn violation(&mut self, text: String) {
        self.note(|| format!("VIOLATION {text}"));
        self.violations.push(text);
    }

    /// Lets time pass, and what is due happen.
    pub(crate) fn pass(&mut self, by: TimeDelta) {
        self.now += by;
        let due: Vec<Late> = {
            let now = self.now;
            let (due, later) = std::mem::take(&mut self.late)
                .into_iter()
                .partition(|late| late.due <= now);
            self.late = later;
            due
        };
        for late in due {
            if self.takes_more_by_now(&late.effect) || self.others_were_first(&late) {
                // Between what was looked at and what happens late, no client can exclude it.
                continue;
            }
            self.note(|| format!("late: {}", late.effect.digest));
            self.carry_out(late.effect, &late.seen, &late.intended);
        }
    }

    /// Whether others deleted the same after it was sent, which looks as if it had happened: what is there by now was put
    /// back since.
    fn others_were_first(&self, late: &Late) -> bool {
        let Effect {
            repository,
            digest,
            tag,
            ..
        } = &late.effect;
        self.by_others.iter().any(|(of, what, step)| {
            let is_same = match (what, tag) {
                (Reference::Digest(other), _) => other == digest,
                (Reference::Tag(other), tag) => tag.as_ref() == Some(other),
            };
            of == repository && is_same && *step >= late.sent
        })
    }

    /// Whether a deletion that happens late would take along what was not there, or was held, when it was sent.
    fn takes_more_by_now(&self, effect: &Effect) -> bool {
        let repository = self.repositories.get(&effect.repository);
        let along = repository.filter(|_| self.quirks.takes_along && effect.tag.is_none());
        let along = along.map(|repository| taken_along(repository, &effect.digest));
        let unknown = |digest: &Digest| {
            let mut on_record = self.durable.values();
            !on_record.any(|(name, other, _)| *name == effect.repository && other == digest)
        };
        along.is_some_and(|along| along.iter().any(unknown))
    }

    /// Whether a request goes wrong now.
    pub(crate) fn fault(&mut self, rate: u64) -> bool {
        if self.calm || self.faults_left == 0 || !self.faults.per_mille(rate) {
            return false;
        }
        self.faults_left -= 1;
        true
    }

    /// A deletion is sent. Here the oracle looks whether it may be.
    pub(crate) fn sent(&mut self, effect: &Effect, intended: &BTreeSet<Tag>) {
        let name = &effect.repository;
        let mut bad = Vec::new();
        let recorded = match self.durable.get(&effect.sequence) {
            Some((repository, digest, step)) if repository == name && *digest == effect.digest => *step,
            _ => {
                bad.push(format!(
                    "I3: {name}@{} is deleted, and not durably on record",
                    effect.digest
                ));
                0
            }
        };
        // What else is in hand may come to its end; nothing does where one thing is done at a time.
        if self.journal_failed && !self.case.concurrency {
            bad.push(format!(
                "I3: {name}@{} is deleted after the journal failed",
                effect.digest
            ));
        }
        bad.extend(self.is_not_held(effect));
        if let Some(repository) = self.repositories.get(name) {
            let age = self.now - repository.listed_when;
            // From the last look at the clock to the request there are some steps, of which none may have taken long.
            let steps = 6 + 2 * intended.len() as u64;
            let long = self.long_step.is_some_and(|long| long + steps >= self.step);
            if age > MAX_AGE && !long && !self.case.concurrency {
                bad.push(format!(
                    "{name}@{} is deleted, and was listed {} seconds before",
                    effect.digest,
                    age.num_seconds()
                ));
            }
            if repository.unread {
                bad.push(format!("I7: {name} is deleted from, and was not read whole"));
            }
            for tag in intended {
                let gone = self.tags_by_others.get(&(name.clone(), tag.clone())).copied();
                let moved = match repository.tags.get(tag) {
                    Some(_) => repository.put_at.get(tag).copied().unwrap_or(0),
                    None => gone.unwrap_or(0),
                };
                if repository.tags.get(tag) != Some(&effect.digest) && moved > 0 && moved < recorded {
                    bad.push(format!(
                        "{name}:{tag} had moved before its deletion was on record"
                    ));
                }
            }
        }
        bad.extend(self.takes_what_cannot_come_back(effect));
        bad.extend(self.leaves_too_few(effect));
        for text in bad {
            self.violation(text);
        }
    }

    /// I1: no tag is taken off an index of which a child was gone when the repository was listed: if the registry takes
    /// more than the tag, nobody can put it back.
    fn takes_what_cannot_come_back(&self, effect: &Effect) -> Option<String> {
        let name = &effect.repository;
        let repository = self.repositories.get(name)?;
        let manifest = repository.manifests.get(&effect.digest)?;
        effect.tag.as_ref().filter(|_| !self.quirks.takes_along)?;
        let mut listed = children(manifest).into_iter();
        let child = listed.find(|child| {
            let gone = self.removed.get(&(name.clone(), child.clone())).copied();
            !repository.manifests.contains_key(child) && gone.unwrap_or(0) < repository.listed_at
        })?;
        Some(format!(
            "I1: a tag is taken off {name}@{}, of which {child} was gone before",
            effect.digest
        ))
    }

    /// I8: where there is a grace, what has blobs is deleted only when a tagged copy of it is there, with all of them.
    fn is_not_held(&self, effect: &Effect) -> Option<String> {
        let name = &effect.repository;
        let manifest = self.repositories.get(name)?.manifests.get(&effect.digest)?;
        let needed = blobs(manifest);
        if self.case.grace.is_none() || is_holding(name) || effect.tag.is_some() || needed.is_empty() {
            return None;
        }
        let about = format!("I8: {name}@{} is deleted", effect.digest);
        let Some((holding, _)) = self.promised.get(&effect.sequence) else {
            return Some(format!("{about}, and nothing says where it is held"));
        };
        let held = self.repositories.get(holding).is_some_and(|holding| {
            holding.tags.values().any(|digest| *digest == effect.digest)
                && holding.manifests.contains_key(&effect.digest)
                && needed.iter().all(|blob| holding.blobs.contains(blob))
        });
        (!held).then(|| format!("{about}, and not held in {holding}"))
    }

    /// A deletion takes effect. Here the oracle looks at what it takes along.
    pub(crate) fn carry_out(&mut self, mut effect: Effect, seen: &Seen, intended: &BTreeSet<Tag>) -> bool {
        let name = effect.repository.clone();
        let Some(repository) = self.repositories.get(&name) else {
            return false;
        };
        if effect.tag.is_none() && !repository.manifests.contains_key(&effect.digest) {
            return false;
        }
        let mut bad = Vec::new();
        let lost: Vec<Tag> = repository
            .tags
            .iter()
            .filter(|(_, digest)| **digest == effect.digest)
            .map(|(tag, _)| tag.clone())
            .collect();
        if effect.tag.is_none() {
            for tag in lost.iter().filter(|tag| !intended.contains(*tag)) {
                let put = repository.put_at.get(tag).copied().unwrap_or(0);
                // Put there after the last listing before the request: what no client can exclude.
                if put <= seen.of(tag) {
                    bad.push(format!(
                        "I1: {name}:{tag} was lost with {}, which it was on before",
                        effect.digest
                    ));
                }
            }
            // A record is no excuse for a tag that the rules keep.
            for tag in lost.iter().filter(|tag| tag.as_str().starts_with('k')) {
                if repository.put_at.get(tag).copied().unwrap_or(0) <= seen.of(tag) {
                    bad.push(format!(
                        "I1: {name}:{tag} is kept, and was lost with {}",
                        effect.digest
                    ));
                }
            }
            for (digest, manifest) in &repository.manifests {
                let lists = children(manifest).contains(&effect.digest);
                // An index without a tag cannot be seen.
                let pushed = repository.pushed_at.get(digest).copied().unwrap_or(0);
                let live = repository.tags.iter().any(|(tag, on)| {
                    let put = repository.put_at.get(tag).copied().unwrap_or(0);
                    on == digest && put.max(pushed) <= seen.of(tag)
                });
                if lists && live {
                    bad.push(format!(
                        "I2: {} went, and {digest}, which is there and tagged, lists it",
                        effect.digest
                    ));
                }
            }
            for (digest, manifest) in &repository.manifests {
                let back = self.put_back.get(&(name.clone(), digest.clone()));
                let held = back.is_some_and(|at| self.now - *at < TimeDelta::days(13));
                if held && children(manifest).contains(&effect.digest) {
                    bad.push(format!(
                        "I4: {} went, and {digest}, which was put back and is held, lists it",
                        effect.digest
                    ));
                }
            }
            let copies = self.copies.get(&(name.clone(), effect.digest.clone()));
            if copies.is_some_and(|copies| copies.iter().any(|until| *until > self.now)) {
                bad.push(format!(
                    "I8: {name}@{} is purged before its grace is over",
                    effect.digest
                ));
            }
            if !self.approved.contains(&(name.clone(), effect.digest.clone())) {
                bad.push(format!(
                    "{name}@{} went, and no approved plan says so",
                    effect.digest
                ));
            }
            if let Some(at) = self.put_back.get(&(name.clone(), effect.digest.clone()))
                && self.now - *at < TimeDelta::days(13)
            {
                bad.push(format!(
                    "{name}@{} was put back, and deleted again",
                    effect.digest
                ));
            }
        }
        let hanging = match (self.quirks.takes_along, &effect.tag) {
            (true, None) => taken_along(repository, &effect.digest),
            _ => BTreeSet::new(),
        };
        let mut with_it = Vec::new();
        for digest in &hanging {
            let pushed = repository.pushed_at.get(digest).copied().unwrap_or(0);
            let on_record = self
                .durable
                .iter()
                .rev()
                .find(|(_, (of, other, _))| *of == name && other == digest);
            match on_record {
                Some((sequence, _)) => with_it.push(Effect {
                    sequence: *sequence,
                    digest: digest.clone(),
                    step: self.step,
                    ..effect.clone()
                }),
                // Pushed since it was last looked: what no client can exclude.
                None if pushed > seen.at => {}
                None => bad.push(format!(
                    "I3: {name}@{digest} went along, and is not durably on record"
                )),
            }
            if pushed <= seen.at && !self.approved.contains(&(name.clone(), digest.clone())) {
                bad.push(format!(
                    "{name}@{digest} went along, and no approved plan says so"
                ));
            }
            let kept = repository.tags.iter().find(|(tag, on)| {
                let put = repository.put_at.get(*tag).copied().unwrap_or(0);
                *on == digest && put <= seen.of(tag) && !tag.as_str().starts_with(['d', 's'])
            });
            if let Some((tag, _)) = kept {
                bad.push(format!("I1: {name}:{tag} was lost, on what went along"));
            }
        }
        for text in bad {
            self.violation(text);
        }
        let on_it = effect.tag.as_ref().is_some_and(|tag| lost.contains(tag));
        let takes_all = effect.tag.is_none() || on_it && self.quirks.delete_tag_takes_all;
        let Some(repository) = self.repositories.get_mut(&name) else {
            return false;
        };
        if takes_all && effect.tag.is_some() {
            let beside = self.beside.get(&effect.sequence);
            let swept = lost.iter().filter(|tag| effect.tag.as_ref() != Some(*tag));
            let swept = swept.map(|tag| Swept {
                repository: name.clone(),
                tag: tag.clone(),
                digest: effect.digest.clone(),
                on_record: beside.is_some_and(|beside| beside.contains(tag)),
                seen: repository.put_at.get(tag).copied().unwrap_or(0) <= seen.of(tag),
            });
            // What was put there since is lost to any client.
            self.swept
                .extend(swept.filter(|swept| swept.on_record || swept.seen));
        }
        if takes_all {
            let along = lost.iter().map(|tag| (name.clone(), tag.clone()));
            self.gone_along.extend(along);
            let taken = lost.iter().filter(|tag| intended.contains(*tag));
            self.taken.extend(taken.map(|tag| (name.clone(), tag.clone())));
            repository.manifests.remove(&effect.digest);
            for digest in hanging.iter().chain([&effect.digest]) {
                self.removed.insert((name.clone(), digest.clone()), self.step);
                self.gone_by_others.remove(&(name.clone(), digest.clone()));
            }
            for tag in &lost {
                self.tags_by_others.remove(&(name.clone(), tag.clone()));
            }
            repository.tags.retain(|_, digest| *digest != effect.digest);
            for digest in &hanging {
                let lost = repository.tags.iter().filter(|(_, on)| *on == digest);
                for (tag, _) in lost {
                    self.gone_along.insert((name.clone(), tag.clone()));
                    self.tags_by_others.remove(&(name.clone(), tag.clone()));
                }
                repository.manifests.remove(digest);
                repository.tags.retain(|_, on| on != digest);
            }
        } else if let Some(tag) = &effect.tag {
            // A registry takes the tag off whatever it is on by now: nothing in the request says what that should be.
            let was_counted = counted_ones(repository, |_| false);
            let Some(on) = repository.tags.remove(tag) else {
                return false;
            };
            let is_one_less = was_counted.contains(&on) && !counted_ones(repository, |_| false).contains(&on);
            // It was the last one since others took what was to stay, and was seen to right before this was sent.
            let by_others = seen.staying.iter().any(|(tag, looked)| {
                let lost = self.lost_a_tag.get(&(name.clone(), on.clone(), tag.clone()));
                lost.is_some_and(|lost| lost > looked)
            });
            if is_one_less && by_others {
                self.fewer.push((name.clone(), 1, self.now));
            }
            self.taken.insert((name.clone(), tag.clone()));
            self.tags_by_others.remove(&(name.clone(), tag.clone()));
        }
        effect.step = self.step;
        if self.stop_at_deletion {
            self.stop.request();
        }
        if let Some(happens) = self.at_deletion.take() {
            happens(self);
        }
        if std::mem::take(&mut self.dies_after_deletion) {
            self.crashed = true;
        }
        self.effects.push(effect);
        self.effects.extend(with_it);
        true
    }
}

/// Whether a repository holds what is deleted elsewhere.
pub(crate) fn is_holding(name: &RepositoryName) -> bool {
    name.as_str().starts_with("hold/")
}

/// What goes with a manifest: what is attached to it, whatever tags that has; and what it lists, unless a tag is on that
/// or another index lists it.
pub(crate) fn taken_along(repository: &Repository, digest: &Digest) -> BTreeSet<Digest> {
    let mut going = BTreeSet::from([digest.clone()]);
    loop {
        let attached = |manifest: &Manifest| {
            manifest
                .subject()
                .is_some_and(|subject| going.contains(&subject.digest))
        };
        let tagged = |digest: &Digest| repository.tags.values().any(|on| on == digest);
        let listed_by = |digest: &Digest, stays: bool| {
            repository.manifests.iter().any(|(parent, manifest)| {
                going.contains(parent) != stays && children(manifest).contains(digest)
            })
        };
        let next = repository.manifests.iter().find(|(other, manifest)| {
            !going.contains(*other)
                && (attached(manifest)
                    || listed_by(other, false) && !listed_by(other, true) && !tagged(other))
        });
        match next {
            Some((next, _)) => {
                let next = next.clone();
                going.insert(next);
            }
            None => break,
        }
    }
    going.remove(digest);
    going
}

/// Whether a blob that is gone was in a repository once.
pub(crate) fn was_there(repository: &Repository, blob: &Digest) -> bool {
    let mut ever = repository.ever.values();
    !repository.blobs.contains(blob) && ever.any(|manifest| blobs(manifest).contains(blob))
}

/// What an index lists.
pub(crate) fn children(manifest: &Manifest) -> Vec<Digest> {
    match manifest.content() {
        lagan_model::manifest::Content::Index { manifests } => {
            manifests.iter().map(|child| child.digest.clone()).collect()
        }
        _ => Vec::new(),
    }
}

/// The blobs that a manifest needs.
pub(crate) fn blobs(manifest: &Manifest) -> Vec<Digest> {
    match manifest.content() {
        lagan_model::manifest::Content::Image { config, layers } => std::iter::once(config)
            .chain(layers)
            .map(|blob| blob.digest.clone())
            .collect(),
        _ => Vec::new(),
    }
}

/// Whether garbage collection took something that a manifest needs, directly or by its children: it was deleted when
/// nothing listed it, and no client can bring it back.
pub(crate) fn is_collected(repository: &Repository, digest: &Digest) -> bool {
    repository.ever.get(digest).is_some_and(|manifest| {
        blobs(manifest)
            .iter()
            .any(|blob| !repository.blobs.contains(blob))
            || children(manifest)
                .iter()
                .any(|child| is_collected(repository, child))
    })
}

/// Whether a manifest, everything that it lists and every blob is there.
pub(crate) fn is_sound(repository: &Repository, digest: &Digest) -> bool {
    is_sound_but_for(repository, digest, &[])
}

/// The same but for some that may be missing.
pub(crate) fn is_sound_but_for(repository: &Repository, digest: &Digest, lacks: &[Digest]) -> bool {
    let Some(manifest) = repository.manifests.get(digest) else {
        return lacks.contains(digest);
    };
    let mut children = children(manifest).into_iter();
    blobs(manifest).iter().all(|blob| repository.blobs.contains(blob))
        && children.all(|child| is_sound_but_for(repository, &child, lacks))
}
