//! The specification of policies once more, written for clarity alone: sets, quadratic, and with the whole registry
//! in view. It shares no code with the decision but the words of a document.

use std::cell::{OnceCell, RefCell};
use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};

use lagan_model::{Digest, Tag, Time};
use lagan_policy::{Clock, KeepLine, Order, Per, Verdict};

use crate::facts::{Standing, Told, bucket};
use crate::names::{Name, POOL};
use crate::rules::{Document, ProtectSpec, RuleSpec};
use crate::world::{World, now};

/// What a tag says of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Says {
    Keep,
    Doom,
    Follow,
}

/// A tag that competes, and what it means.
type Member<'m> = (&'m Tag, &'static Name);

pub(crate) fn name_of(tag: &Tag) -> Option<&'static Name> {
    POOL.iter().find(|name| name.tag == tag.as_str())
}

/// What an attachment's tag names.
pub(crate) fn named_subject(tag: &Tag) -> Option<Digest> {
    let rest = tag.as_str().strip_prefix("sha256-")?;
    let hex = [".sig", ".att", ".sbom"]
        .iter()
        .find_map(|form| rest.strip_suffix(form))
        .unwrap_or(rest);
    format!("sha256:{hex}").parse().ok()
}

pub(crate) struct Oracle<'a> {
    pub(crate) world: &'a World,
    document: &'a Document,
    /// Everything that can be reached from tags.
    pub(crate) seen: BTreeSet<Digest>,
    /// (attachment, subject)
    pub(crate) attached: BTreeSet<(Digest, Digest)>,
    /// What was answered already.
    said: RefCell<BTreeMap<Tag, Says>>,
    /// By the place of the rule in memory.
    pub(crate) stood: RefCell<BTreeMap<(usize, Tag), Standing>>,
    untagged: OnceCell<BTreeSet<Digest>>,
}

impl<'a> Oracle<'a> {
    pub(crate) fn new(world: &'a World, document: &'a Document) -> Self {
        let mut seen: BTreeSet<Digest> = world.tags.values().cloned().collect();
        let mut rules = document.policies.iter().flat_map(|policy| &policy.rules);
        if world.lists_untagged && rules.any(|rule| rule.select.untagged.is_some()) {
            seen.extend(world.untagged());
        }
        loop {
            close(world, &mut seen);
            let attached = attached(world, &seen);
            // What was here once is looked for, where attachments hang on it.
            let found = attached.iter().map(|(_, subject)| subject).filter(|subject| {
                world.remembered.contains(subject) && world.manifests.contains_key(subject)
            });
            let before = seen.len();
            seen.extend(found.cloned());
            if seen.len() == before {
                return Self {
                    world,
                    document,
                    seen,
                    attached,
                    said: RefCell::default(),
                    stood: RefCell::default(),
                    untagged: OnceCell::new(),
                };
            }
        }
    }

    pub(crate) fn parents(&self, digest: &Digest) -> BTreeSet<Digest> {
        self.seen
            .iter()
            .filter(|index| children(self.world, index).contains(digest))
            .cloned()
            .collect()
    }

    fn ancestors(&self, digest: &Digest) -> BTreeSet<Digest> {
        let mut found = BTreeSet::new();
        let mut work = self.parents(digest);
        while let Some(one) = work.pop_first() {
            if found.insert(one.clone()) {
                work.extend(self.parents(&one));
            }
        }
        found
    }

    pub(crate) fn subjects(&self, digest: &Digest) -> BTreeSet<Digest> {
        self.attached
            .iter()
            .filter(|(one, _)| one == digest)
            .map(|(_, subject)| subject.clone())
            .collect()
    }

    pub(crate) fn attachments(&self, digest: &Digest) -> BTreeSet<Digest> {
        self.attached
            .iter()
            .filter(|(_, subject)| subject == digest)
            .map(|(one, _)| one.clone())
            .collect()
    }

    /// What has to go before an artifact does.
    pub(crate) fn above(&self, digest: &Digest) -> BTreeSet<Digest> {
        self.parents(digest)
            .into_iter()
            .chain(self.subjects(digest))
            .collect()
    }

    pub(crate) fn all_above(&self, digest: &Digest) -> BTreeSet<Digest> {
        let mut found = BTreeSet::new();
        let mut work = self.above(digest);
        while let Some(one) = work.pop_first() {
            if found.insert(one.clone()) {
                work.extend(self.above(&one));
            }
        }
        found
    }

    pub(crate) fn tags_on(&self, digest: &Digest) -> Vec<&Tag> {
        self.world
            .tags
            .iter()
            .filter(|(_, on)| *on == digest)
            .map(|(tag, _)| tag)
            .collect()
    }

    pub(crate) fn is_attachment(&self, digest: &Digest) -> bool {
        let by_field = self
            .world
            .manifests
            .get(digest)
            .is_some_and(|one| one.subject.is_some());
        let tags = self.tags_on(digest);
        by_field || !tags.is_empty() && tags.iter().all(|tag| named_subject(tag).is_some())
    }

    /// Tags that name a subject are never ordered, so that only the field tells attachments here.
    pub(crate) fn created(&self, digest: &Digest) -> Option<Time> {
        let plausible = |time: &Time| {
            let day = chrono::TimeDelta::days(1);
            *time > "1970-01-03T00:00:00Z".parse::<Time>().unwrap() && *time <= now() + day
        };
        let artifact = self
            .world
            .manifests
            .get(digest)
            .filter(|one| one.subject.is_none())?;
        let annotation = artifact
            .created_annotation
            .and_then(|fact| fact.known())
            .filter(plausible);
        if artifact.is_index() {
            let newest = || {
                children(self.world, digest)
                    .iter()
                    .filter_map(|child| self.created(child))
                    .max()
            };
            return annotation.or_else(newest);
        }
        let config = artifact
            .image_config
            .as_ref()
            .and_then(|config| self.world.created[&config.digest].known());
        config.filter(plausible).or(annotation)
    }

    /// Whether a rule keeps a tag that it selects.
    fn rule_keeps(&self, rule: &RuleSpec, tag: &Tag) -> bool {
        let clock = |clock| self.clock(clock, Some(tag), &self.world.tags[tag]);
        rule.lines.iter().any(|line| match line {
            KeepLine::All => true,
            KeepLine::Within { clock: by, age } => clock(*by).is_none_or(|at| now() - at <= age.delta()),
            KeepLine::Last { count, by, per } => match self.better(rule, *by, per, tag) {
                None => true,
                Some((better, _)) => better.len() < *count as usize,
            },
            KeepLine::Period {
                period,
                count,
                clock,
                per,
                timezone,
            } => match self.better(rule, Order::Clock(*clock), per, tag) {
                None => true,
                Some((better, own)) => {
                    let bucket = |tag: &Tag| {
                        let at = self.clock(*clock, Some(tag), &self.world.tags[tag]).unwrap();
                        bucket(*period, timezone.as_str(), at)
                    };
                    let newer: BTreeSet<i64> = better.iter().map(bucket).collect();
                    !newer.contains(&bucket(&own)) && newer.len() < *count as usize
                }
            },
        })
    }

    /// The tags by which the better places of a tag's group stand, and that by which its own does; `None` where it
    /// has nothing to be ordered or grouped by.
    fn better(&self, rule: &RuleSpec, by: Order, per: &Per, tag: &Tag) -> Option<(Vec<Tag>, Tag)> {
        let of = group(rule, per, name_of(tag)?)?;
        let members: Vec<Member<'_>> = self
            .world
            .tags
            .keys()
            .filter_map(|tag| Some((tag, name_of(tag)?)))
            .filter(|(tag, _)| self.standing(rule, tag) == Standing::Competes)
            .filter(|(_, name)| group(rule, per, name).as_ref() == Some(&of))
            .filter(|(tag, name)| match by {
                Order::Version | Order::Semver => name.numbers.is_some(),
                Order::Name => true,
                Order::Clock(clock) => self.clock(clock, Some(*tag), &self.world.tags[*tag]).is_some(),
            })
            .collect();
        members.iter().find(|(member, _)| *member == tag)?;
        let compare = |a: &Member<'_>, b: &Member<'_>| {
            let by_key = match by {
                Order::Version => a.1.version_key().cmp(&b.1.version_key()),
                Order::Semver => a.1.compare_semver(b.1),
                Order::Name => a.1.natural_key().cmp(&b.1.natural_key()),
                Order::Clock(clock) => self
                    .clock(clock, Some(a.0), &self.world.tags[a.0])
                    .cmp(&self.clock(clock, Some(b.0), &self.world.tags[b.0])),
            };
            by_key.then(a.0.cmp(b.0))
        };
        let digests: BTreeSet<&Digest> = members.iter().map(|(tag, _)| &self.world.tags[*tag]).collect();
        let best_on = |digest: &Digest| {
            members
                .iter()
                .filter(|(tag, _)| self.world.tags[*tag] == *digest)
                .max_by(|a, b| compare(a, b))
                .unwrap()
        };
        // A child shares the place of the best of the topmost indexes that list it.
        let place_of = |digest: &Digest| -> Digest {
            let competing = |one: &Digest| -> BTreeSet<Digest> {
                self.ancestors(one)
                    .into_iter()
                    .filter(|above| digests.contains(above))
                    .collect()
            };
            let tops = competing(digest)
                .into_iter()
                .filter(|top| competing(top).is_empty());
            tops.max_by(|a, b| compare(best_on(a), best_on(b)))
                .unwrap_or_else(|| digest.clone())
        };
        let mut places: BTreeMap<Digest, Vec<Member<'_>>> = BTreeMap::new();
        for member in &members {
            places
                .entry(place_of(&self.world.tags[member.0]))
                .or_default()
                .push(*member);
        }
        fn best<'m>(
            place: &[Member<'m>],
            compare: impl Fn(&Member<'m>, &Member<'m>) -> Ordering,
        ) -> Member<'m> {
            *place.iter().max_by(|a, b| compare(a, b)).unwrap()
        }
        let counts = |place: &[Member<'_>]| {
            place
                .iter()
                .any(|(tag, _)| !self.is_attachment(&self.world.tags[*tag]))
        };
        let own = best(&places[&place_of(&self.world.tags[tag])], compare);
        let better = places
            .values()
            .filter(|place| counts(place) && compare(&best(place, compare), &own) == Ordering::Greater);
        let better = better.map(|place| best(place, compare).0.clone()).collect();
        Some((better, own.0.clone()))
    }

    fn says(&self, tag: &Tag) -> Says {
        let known = self.said.borrow().get(tag).copied();
        known.unwrap_or_else(|| {
            let says = self.find_says(tag);
            self.said.borrow_mut().insert(tag.clone(), says);
            says
        })
    }

    fn find_says(&self, tag: &Tag) -> Says {
        let mut candidate = false;
        let name = name_of(tag);
        let digest = &self.world.tags[tag];
        if self.world.immutable.contains_key(tag) {
            return Says::Keep;
        }
        for policy in &self.document.policies {
            let forbidden = self.world.no_undo.is_some() && policy.asked;
            if policy.protects.iter().any(|protection| {
                let by_fact = || self.fact_protects(&protection.entry.pattern, digest);
                protection.holds && ((protection.matches)(tag.as_str(), name) || by_fact())
            }) {
                return Says::Keep;
            }
            for rule in &policy.rules {
                match self.standing(rule, tag) {
                    Standing::NotSelected => continue,
                    Standing::Unknown => return Says::Keep,
                    Standing::Competes if self.rule_keeps(rule, tag) => return Says::Keep,
                    Standing::Competes | Standing::TooOld if forbidden => return Says::Keep,
                    Standing::Competes | Standing::TooOld => candidate |= policy.asked,
                }
            }
        }
        match (candidate, name) {
            (true, _) => Says::Doom,
            (false, None) => Says::Follow,
            (false, Some(_)) => Says::Keep,
        }
    }

    /// Whether a tag's own rules keep it.
    pub(crate) fn keeps(&self, tag: &Tag) -> bool {
        self.says(tag) == Says::Keep
    }

    /// Whether something without a tag goes for itself.
    fn dooms_untagged(&self, digest: &Digest) -> bool {
        let own = |one: &Digest| {
            self.world.lists_untagged
                && self.world.manifests.contains_key(one)
                && self.tags_on(one).is_empty()
                && self.parents(one).is_empty()
                && self.subjects(one).is_empty()
        };
        if !own(digest) {
            return false;
        }
        let mut candidate = false;
        for policy in &self.document.policies {
            let protects = |one: &ProtectSpec| one.holds && self.fact_protects(&one.entry.pattern, digest);
            if policy.protects.iter().any(protects) {
                return false;
            }
            let forbidden = self.world.no_undo.is_some() && policy.asked;
            for rule in &policy.rules {
                match self.standing_untagged(rule, digest) {
                    Standing::NotSelected => continue,
                    Standing::Unknown => return false,
                    Standing::TooOld if forbidden => return false,
                    Standing::TooOld => candidate |= policy.asked,
                    Standing::Competes if forbidden => return false,
                    Standing::Competes => {
                        let all: Vec<Digest> = self
                            .seen
                            .iter()
                            .filter(|one| own(one) && self.standing_untagged(rule, one) == Standing::Competes)
                            .cloned()
                            .collect();
                        if self.keeps_untagged(rule, digest, &all) {
                            return false;
                        }
                        candidate |= policy.asked;
                    }
                }
            }
        }
        candidate
    }

    fn standing_untagged(&self, rule: &RuleSpec, digest: &Digest) -> Standing {
        let Some(min_age) = &rule.select.untagged else {
            return Standing::NotSelected;
        };
        match self.facts(&rule.select, digest) {
            Told::No => Standing::NotSelected,
            Told::Unknown => Standing::Unknown,
            Told::Yes => match self.clock(Clock::Pushed, None, digest) {
                // Too young is kept, as what is not known.
                Some(at) if now() - at >= min_age.delta() => self.narrowed(rule, Told::Yes, None, digest),
                _ => Standing::Unknown,
            },
        }
    }

    fn keeps_untagged(&self, rule: &RuleSpec, digest: &Digest, all: &[Digest]) -> bool {
        let key = |clock: Clock, one: &Digest| Some((self.clock(clock, None, one)?, one.clone()));
        let newer = |clock: Clock| -> Option<Vec<Time>> {
            let own = key(clock, digest)?;
            let others = all.iter().filter_map(|one| key(clock, one));
            Some(others.filter(|other| *other > own).map(|(at, _)| at).collect())
        };
        rule.lines.iter().any(|line| match line {
            KeepLine::All => true,
            KeepLine::Within { clock, age } => self
                .clock(*clock, None, digest)
                .is_none_or(|at| now() - at <= age.delta()),
            KeepLine::Last { count, by, .. } => match by {
                Order::Clock(clock) => newer(*clock).is_none_or(|newer| newer.len() < *count as usize),
                _ => true,
            },
            KeepLine::Period {
                period,
                count,
                clock,
                timezone,
                ..
            } => newer(*clock).is_none_or(|newer| {
                let of = |at: Time| bucket(*period, timezone.as_str(), at);
                let newer: BTreeSet<i64> = newer.into_iter().map(of).collect();
                let own = of(self.clock(*clock, None, digest).unwrap());
                !newer.contains(&own) && newer.len() < *count as usize
            }),
        })
    }

    /// The largest set of artifacts that can go: none with a tag that is kept, and none without everything that
    /// lists it, that it is attached to, and that is attached to it; and each because of a tag that is doomed.
    fn gone(&self, says: &BTreeMap<&Tag, Says>) -> BTreeSet<Digest> {
        let mut gone = self.seen.clone();
        let untagged = self.untagged.get_or_init(|| {
            let doomed = self.seen.iter().filter(|digest| self.dooms_untagged(digest));
            doomed.cloned().collect()
        });
        let hang = |digest: &Digest, gone: &BTreeSet<Digest>| {
            self.subjects(digest)
                .iter()
                .any(|subject| !gone.contains(subject) && !self.is_lost(subject))
        };
        loop {
            let mut because: BTreeSet<Digest> = BTreeSet::new();
            let doomed = |digest: &&Digest| {
                self.tags_on(digest).iter().any(|tag| says[*tag] == Says::Doom) || untagged.contains(digest)
            };
            let mut work: Vec<Digest> = gone.iter().filter(doomed).cloned().collect();
            while let Some(one) = work.pop() {
                if gone.contains(&one) && because.insert(one.clone()) {
                    work.extend(children(self.world, &one));
                    work.extend(self.attachments(&one));
                }
            }
            let stays = |digest: &Digest| {
                self.tags_on(digest).iter().any(|tag| says[*tag] == Says::Keep)
                    || self.world.held.contains(digest)
                    || !self.parents(digest).is_subset(&gone)
                    || hang(digest, &gone)
                    || !self.attachments(digest).is_subset(&gone)
                    || !because.contains(digest)
            };
            let less: BTreeSet<Digest> = gone.iter().filter(|digest| !stays(digest)).cloned().collect();
            if less == gone {
                return gone;
            }
            gone = less;
        }
    }

    /// The verdict of each tag, and the artifacts that go.
    pub(crate) fn verdicts(&self) -> (BTreeMap<Tag, Verdict>, BTreeSet<Digest>) {
        // What is held stays, and supersedes nothing.
        let says: BTreeMap<&Tag, Says> = self
            .world
            .tags
            .iter()
            .map(|(tag, digest)| match self.world.held.contains(digest) {
                true => (tag, Says::Keep),
                false => (tag, self.says(tag)),
            })
            .collect();
        let gone = self.gone(&says);
        let whole = self.document.policies.iter().any(|policy| !policy.untag);
        let verdict = |tag: &Tag| {
            let digest = &self.world.tags[tag];
            if gone.contains(digest) {
                return Verdict::Delete;
            }
            let neighbours = self.tags_on(digest);
            let hangs = self.subjects(digest);
            let related = !self.parents(digest).is_subset(&gone)
                || hangs
                    .iter()
                    .any(|subject| !gone.contains(subject) && !self.is_lost(subject));
            let shared = neighbours.iter().any(|other| says[*other] == Says::Keep);
            if says[tag] != Says::Doom || related || !shared || !self.world.delete_tag || whole {
                return Verdict::Keep;
            }
            // Would the artifact stay without its own kept tags?
            let mut without = says.clone();
            for tag in &neighbours {
                if says[*tag] == Says::Keep {
                    without.insert(tag, Says::Doom);
                }
            }
            if self.gone(&without).contains(digest) {
                Verdict::Untag
            } else {
                Verdict::Keep
            }
        };
        (
            self.world
                .tags
                .keys()
                .map(|tag| (tag.clone(), verdict(tag)))
                .collect(),
            gone,
        )
    }
}

pub(crate) fn children(world: &World, digest: &Digest) -> BTreeSet<Digest> {
    let manifest = world.manifests.get(digest);
    manifest
        .into_iter()
        .flat_map(|one| &one.children)
        .map(|child| child.digest.clone())
        .collect()
}

/// The group of a tag; `None` where it has nothing to be grouped by.
fn group(rule: &RuleSpec, per: &Per, name: &Name) -> Option<String> {
    Some(match per {
        Per::Repository => String::new(),
        Per::Channel => name.channel.to_owned(),
        Per::Major => name.numbers?[0].to_string(),
        Per::Minor => format!("{:?}", &name.numbers?[..2]),
        Per::Variant => name.variant.unwrap_or_default().to_owned(),
        // The one expression with a group captures the first digit behind `pr-`.
        Per::Capture(_) if rule.captures => name.tag.strip_prefix("pr-")?.get(..1)?.to_owned(),
        Per::Capture(_) => return None,
    })
}

/// Adds all that can be reached.
fn close(world: &World, seen: &mut BTreeSet<Digest>) {
    loop {
        let mut more = seen.clone();
        for digest in seen.iter() {
            more.extend(children(world, digest));
            let referrers = world
                .manifests
                .values()
                .filter(|one| one.subject.as_ref() == Some(digest));
            more.extend(referrers.map(|one| one.digest.clone()));
        }
        if more == *seen {
            return;
        }
        *seen = more;
    }
}

/// (attachment, subject)
fn attached(world: &World, seen: &BTreeSet<Digest>) -> BTreeSet<(Digest, Digest)> {
    let mut attached = BTreeSet::new();
    for digest in seen {
        let manifest = world.manifests.get(digest);
        attached.extend(manifest.and_then(|one| Some((digest.clone(), one.subject.clone()?))));
    }
    for (tag, digest) in &world.tags {
        if let Some(subject) = named_subject(tag) {
            attached.insert((digest.clone(), subject.clone()));
            if tag.as_str().len() == "sha256-".len() + 64 {
                attached.extend(
                    children(world, digest)
                        .into_iter()
                        .map(|child| (child, subject.clone())),
                );
            }
        }
    }
    attached.retain(|(attachment, subject)| attachment != subject);
    attached
}
