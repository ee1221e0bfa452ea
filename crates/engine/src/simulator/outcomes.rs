//! I5: whether the journal says what happened.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use lagan_model::journal::Sequence;
use lagan_model::{Digest, Reference, RepositoryName, Tag};
use serde_json::Value;

use super::store::Kept;
use super::world::{Effect, State};

impl State {
    /// Settled deletions of which the journal says something else than what happened, read as somebody reads it who
    /// does not know the program's types.
    pub(crate) fn wrong_outcomes(&self, kept: &Kept) -> Vec<String> {
        let happened: BTreeMap<Sequence, &Effect> = self
            .effects
            .iter()
            .map(|effect| (effect.sequence, effect))
            .collect();
        let mut wrong = Vec::new();
        for (intent, outcome) in &kept.settled {
            let read = |sequence| -> Option<Value> {
                serde_json::from_slice(&kept.entries.get(sequence)?.body).ok()
            };
            let (Some(intended), Some(settled)) = (read(intent), read(outcome)) else {
                wrong.push(format!("I5: {intent} cannot be read"));
                continue;
            };
            if settled["record"] != "outcome" {
                continue;
            }
            let said = settled["result"]["result"].as_str().unwrap();
            let right = match (said, happened.get(intent)) {
                ("deleted" | "untagged", Some(_)) => true,
                ("deleted" | "untagged", None) => {
                    let listed = self.listed.get(intent).copied().unwrap_or(0);
                    // Where several units are worked on at once, that may have been read for another.
                    let since = if self.case.concurrency { 0 } else { listed };
                    let until = kept.steps.get(outcome).copied().unwrap_or(u64::MAX);
                    self.is_gone_along(&intended) || self.others_did(&intended, since..=until)
                }
                (_, Some(effect)) => self.is_back(effect, &intended),
                (_, None) => true,
            };
            if !right {
                wrong.push(format!(
                    "I5: the journal says {said} of {intent}, and that is not what happened"
                ));
            }
        }
        wrong
    }

    /// What the journal says was put back, and was not there at any time since that was intended.
    pub(crate) fn was_never_back(&self, kept: &Kept, settled: &Value) -> Option<String> {
        let said = settled["result"]["result"].as_str()?;
        if settled["record"] != "restored" || !matches!(said, "restored" | "already_there" | "conflict") {
            return None;
        }
        let intent = Sequence(settled["intent"].as_u64()?);
        let intended: Value = serde_json::from_slice(&kept.entries.get(&intent)?.body).ok()?;
        let name: RepositoryName = intended["repository"].as_str()?.parse().ok()?;
        let digest: Digest = intended["digest"].as_str()?.parse().ok()?;
        let repository = self.repositories.get(&name);
        let is_there = repository.is_some_and(|repository| repository.manifests.contains_key(&digest));
        let since = kept.steps.get(&intent).copied().unwrap_or(0);
        let removed = self.removed.get(&(name.clone(), digest.clone()));
        let was_there = removed.is_some_and(|removed| *removed >= since);
        (!is_there && !was_there)
            .then(|| format!("I5: the journal says that {name}@{digest} was put back, and it was not there"))
    }

    /// Whether a tag that was to go went with another manifest that it was on by then.
    fn is_gone_along(&self, intended: &Value) -> bool {
        let name: RepositoryName = intended["repository"].as_str().unwrap().parse().unwrap();
        tags_of(intended)
            .into_iter()
            .any(|tag| self.gone_along.contains(&(name.clone(), tag)))
    }

    /// Whether others deleted what was to go, or a tag of it, since the
    /// repository was listed for it: nobody can tell who it was.
    fn others_did(&self, intended: &Value, between: RangeInclusive<u64>) -> bool {
        let name: RepositoryName = intended["repository"].as_str().unwrap().parse().unwrap();
        let digest: Digest = intended["digest"].as_str().unwrap().parse().unwrap();
        let tags = tags_of(intended);
        self.by_others.iter().any(|(of, what, step)| {
            let is_meant = match what {
                Reference::Digest(other) => *other == digest,
                Reference::Tag(tag) => tags.contains(tag),
            };
            *of == name && is_meant && between.contains(step)
        })
    }

    /// Whether others pushed again what a deletion took: nobody can tell then that it was gone, and no tag is lost of
    /// which anybody knew.
    fn is_back(&self, effect: &Effect, intended: &Value) -> bool {
        let repository = &self.repositories[&effect.repository];
        let pushed = match &effect.tag {
            None => repository.pushed_at.get(&effect.digest),
            Some(tag) => repository.put_at.get(tag),
        };
        let there =
            |tag: &Tag| repository.tags.contains_key(tag) || self.others_took_tag(&effect.repository, tag, 0);
        pushed.is_some_and(|pushed| *pushed >= effect.step) && tags_of(intended).iter().all(there)
    }
}

/// The tags of an intent.
fn tags_of(intended: &Value) -> Vec<Tag> {
    let tags = intended["tags"].as_array().into_iter().flatten();
    tags.chain(&[intended["tag"].clone()])
        .filter_map(|tag| tag.as_str()?.parse().ok())
        .collect()
}
