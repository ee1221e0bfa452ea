//! The specification of what names do not tell, once more: labels, types, clocks, the calendar, signatures.

use std::collections::BTreeSet;

use lagan_model::{Digest, Fact, Labels, Tag, Time, Unknown};
use lagan_policy::document::Labels as Wanted;
use lagan_policy::{Clock, Period, ProtectionPattern, Select};

use crate::oracle::{Oracle, children, name_of, named_subject};
use crate::rules::RuleSpec;
use crate::world::now;

/// Whether a rule selects something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Told {
    Yes,
    No,
    /// It depends on what is not known.
    Unknown,
}

/// How something that a rule may select stands to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Standing {
    NotSelected,
    /// Kept, and taking no place: something about it is not known.
    Unknown,
    /// Too old to be kept, and taking no place.
    TooOld,
    Competes,
}

fn plausible(fact: Fact<Time>) -> Fact<Time> {
    match fact {
        Fact::Known(time) if time < "1970-01-03T00:00:00Z".parse::<Time>().unwrap() => {
            Fact::Unknown(Unknown::Zero)
        }
        Fact::Known(time) if time > now() + chrono::TimeDelta::days(1) => Fact::Unknown(Unknown::Future),
        other => other,
    }
}

/// The latest; nothing where one that is recorded is not known.
fn latest(facts: &[Fact<Time>]) -> Option<Time> {
    let facts: Vec<Fact<Time>> = facts.iter().map(|fact| plausible(*fact)).collect();
    let told = facts
        .iter()
        .filter(|fact| **fact != Fact::Unknown(Unknown::NotRecorded));
    told.map(|fact| fact.known())
        .collect::<Option<Vec<Time>>>()?
        .into_iter()
        .max()
}

/// One of these values, or any where a star stands for it.
fn matches(value: &str, globs: &[lagan_policy::TextPattern]) -> bool {
    globs
        .iter()
        .any(|glob| glob.as_str() == "*" || glob.as_str() == value)
}

/// Minutes east of UTC of the zones that are generated, which never had another offset in these years.
fn offset(zone: &str) -> i64 {
    match zone {
        "UTC" => 0,
        "Asia/Kolkata" => 330,
        "Pacific/Honolulu" => -600,
        other => panic!("{other} has no offset here"),
    }
}

/// Days since 1970, weeks since the one of its first Monday but one, months and years by counting them.
pub(crate) fn bucket(period: Period, zone: &str, at: Time) -> i64 {
    let day = (at.timestamp() + offset(zone) * 60).div_euclid(86_400);
    let (mut year, mut left) = (1970, day);
    let length = |year: i64| {
        if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) {
            366
        } else {
            365
        }
    };
    while left >= length(year) {
        left -= length(year);
        year += 1;
    }
    let february = length(year) - 337;
    let mut month = 0;
    for days in [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30] {
        if left < days {
            break;
        }
        left -= days;
        month += 1;
    }
    match period {
        Period::Daily => day,
        // The first of January 1970 was a Thursday.
        Period::Weekly => (day + 3).div_euclid(7),
        Period::Monthly => year * 12 + month,
        Period::Yearly => year,
    }
}

impl Oracle<'_> {
    fn descendants(&self, digest: &Digest) -> BTreeSet<Digest> {
        let mut found = BTreeSet::new();
        let mut work = BTreeSet::from([digest.clone()]);
        while let Some(one) = work.pop_first() {
            if found.insert(one.clone()) {
                work.extend(children(self.world, &one));
            }
        }
        found
    }

    pub(crate) fn has_labels(&self, wanted: &Wanted, digest: &Digest) -> Told {
        let mut labels: Vec<&Labels> = Vec::new();
        let mut unknown = false;
        for one in self.descendants(digest) {
            labels.extend(self.world.registry_labels.get(&one));
            let Some(manifest) = self.world.manifests.get(&one) else {
                continue;
            };
            unknown |= manifest.annotations.is_none();
            labels.extend(&manifest.annotations);
            match manifest
                .image_config
                .as_ref()
                .and_then(|config| self.world.labels.get(&config.digest))
            {
                Some(Fact::Known(known)) => labels.push(known),
                Some(Fact::Unknown(_)) => unknown = true,
                None => {}
            }
        }
        let all = wanted.iter().all(|(key, globs)| {
            labels
                .iter()
                .any(|labels| labels.get(key).is_some_and(|value| matches(value, globs)))
        });
        match (all, unknown) {
            (true, _) => Told::Yes,
            (false, true) => Told::Unknown,
            (false, false) => Told::No,
        }
    }

    fn kind(&self, digest: &Digest) -> Option<String> {
        let manifest = self.world.manifests.get(digest)?;
        let config = manifest.config_type.as_ref().map(ToString::to_string);
        manifest.artifact_type.clone().or(config)
    }

    pub(crate) fn facts(&self, select: &Select, digest: &Digest) -> Told {
        let kind = self.kind(digest).unwrap_or_default();
        if !select.artifact_type.is_empty() && !matches(&kind, &select.artifact_type) {
            return Told::No;
        }
        self.has_labels(&select.labels, digest)
    }

    /// What was here once and is no more, and of which nothing but attachments speaks.
    pub(crate) fn is_lost(&self, digest: &Digest) -> bool {
        !self.world.manifests.contains_key(digest)
            && self.world.remembered.contains(digest)
            && self.parents(digest).is_empty()
            && self.subjects(digest).is_empty()
    }

    fn is_orphaned(&self, digest: &Digest) -> bool {
        let subjects = self.subjects(digest);
        let gone =
            |one: &Digest| self.world.remembered.contains(one) && !self.world.manifests.contains_key(one);
        !subjects.is_empty() && subjects.iter().all(gone)
    }

    fn told(&self, rule: &RuleSpec, tag: &Tag) -> Told {
        let digest = &self.world.tags[tag];
        let by_name = if rule.select.orphaned {
            named_subject(tag).is_some() && self.is_orphaned(digest)
        } else {
            let name = name_of(tag);
            name.is_some_and(rule.selects)
                && rule.select.untagged.is_none()
                && (!rule.select.superseded || self.is_superseded(tag))
        };
        if by_name {
            self.facts(&rule.select, digest)
        } else {
            Told::No
        }
    }

    /// Of a prerelease: whether a stable tag of its line is kept, and not older than its own numbers.
    pub(crate) fn is_superseded(&self, tag: &Tag) -> bool {
        let Some(own) = name_of(tag).filter(|name| name.is_prerelease()) else {
            return false;
        };
        self.world.tags.keys().any(|other| {
            name_of(other).is_some_and(|name| {
                let (Some(stable), Some(numbers)) = (name.numbers, own.numbers) else {
                    return false;
                };
                name.channel == "stable"
                    && name.variant == own.variant
                    && stable[..2] == numbers[..2]
                    && stable[2] >= numbers[2]
                    && self.keeps(other)
            })
        })
    }

    pub(crate) fn standing(&self, rule: &RuleSpec, tag: &Tag) -> Standing {
        let key = (std::ptr::from_ref(rule).addr(), tag.clone());
        let known = self.stood.borrow().get(&key).copied();
        known.unwrap_or_else(|| {
            let told = self.told(rule, tag);
            let standing = self.narrowed(rule, told, Some(tag), &self.world.tags[tag]);
            self.stood.borrow_mut().insert(key, standing);
            standing
        })
    }

    pub(crate) fn narrowed(
        &self,
        rule: &RuleSpec,
        told: Told,
        tag: Option<&Tag>,
        digest: &Digest,
    ) -> Standing {
        match (told, &rule.unless_older_than) {
            (Told::No, _) => Standing::NotSelected,
            (Told::Unknown, _) => Standing::Unknown,
            (Told::Yes, None) => Standing::Competes,
            (Told::Yes, Some((clock, age))) => match self.clock(*clock, tag, digest) {
                None => Standing::Unknown,
                Some(at) if now() - at > age.delta() => Standing::TooOld,
                Some(_) => Standing::Competes,
            },
        }
    }

    /// What a clock says of a tag, or of an artifact without one.
    pub(crate) fn clock(&self, clock: Clock, tag: Option<&Tag>, digest: &Digest) -> Option<Time> {
        let of_tag = tag
            .and_then(|tag| self.world.tag_times.get(tag))
            .copied()
            .unwrap_or_default();
        let times = |digest: &Digest| self.world.times.get(digest).copied().unwrap_or_default();
        let own = times(digest);
        let recorded = self.world.recorded;
        match clock {
            Clock::Created => self.created(digest).filter(|_| !self.is_attachment(digest)),
            Clock::Pushed if recorded.pushed => latest(&[of_tag.pushed, own.pushed]),
            Clock::Pulled if recorded.pulled => {
                let all = self.world.tag_times.values().chain(self.world.times.values());
                if !all
                    .into_iter()
                    .any(|times| plausible(times.pulled).known().is_some())
                {
                    return None;
                }
                let relatives = self
                    .parents(digest)
                    .into_iter()
                    .chain(children(self.world, digest));
                let mut facts: Vec<Fact<Time>> = relatives.map(|one| times(&one).pulled).collect();
                facts.extend([of_tag.pulled, own.pulled]);
                facts.retain(|fact| plausible(*fact) != Fact::Unknown(Unknown::Zero));
                // When it was pushed is a fact of its own: known, not recorded, or not known.
                let pushes = [of_tag.pushed, own.pushed];
                match latest(&pushes) {
                    Some(at) => facts.push(Fact::Known(at)),
                    None if pushes
                        .iter()
                        .all(|fact| *fact == Fact::Unknown(Unknown::NotRecorded)) => {}
                    None => return None,
                }
                latest(&facts)
            }
            Clock::Observed if recorded.observed => {
                let at = if tag.is_some() {
                    of_tag.observed
                } else {
                    own.observed
                };
                plausible(at).known()
            }
            Clock::Pushed | Clock::Pulled | Clock::Observed => None,
        }
    }

    /// Whether an entry protects, by what names do not tell, or could.
    pub(crate) fn fact_protects(&self, pattern: &ProtectionPattern, digest: &Digest) -> bool {
        match pattern {
            ProtectionPattern::Labels(labels) => self.has_labels(labels, digest) != Told::No,
            ProtectionPattern::Signed => self.descendants(digest).iter().any(|one| {
                self.attachments(one).iter().any(|attachment| {
                    let cosign =
                        |(tag, on): (&Tag, &Digest)| on == attachment && tag.as_str().ends_with(".sig");
                    self.world.tags.iter().any(cosign)
                        || self.kind(attachment).as_deref() == Some("application/vnd.cncf.notary.signature")
                })
            }),
            _ => false,
        }
    }
}
