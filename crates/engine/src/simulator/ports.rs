//! The ports of the simulated world: before every call others may act, time passes, and the program may die.

use std::collections::{BTreeMap, BTreeSet};
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use chrono::TimeDelta;
use lagan_model::journal::{RecordedDelete, RecordedRestore, RecordedUntag};
use lagan_model::{
    AttachmentForm, Blob, Capabilities, Capability, Clock, DeletesHow, Deletion, Descriptor, Digest, Failure,
    Head, Manifest, Mount, Reference, Referrers, RegistryError, RegistryIdentity, RegistryKind,
    RegistryProbe, RegistryRead, RegistryWrite, RepositoryName, RequestCounts, RequestKind, Tag, Time,
};

use super::world::{Effect, Late, Seen, State, blobs, children, taken_along, was_there};
use crate::safeguard::{Safeguard, on};

/// The simulated registry and clock.
#[derive(Debug, Clone)]
pub(crate) struct Simulated(pub Arc<Mutex<State>>);

impl Simulated {
    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Another step of the story. Does not return when the program dies in it.
    pub(crate) async fn step(&self) {
        let (turns, crashed) = {
            let mut state = self.state();
            state.step += 1;
            let rush = if state.calm { 20 } else { 200 };
            let mut by = state.turns.below(rush) as i64;
            if !state.calm && !state.case.concurrency && state.turns.per_mille(10) {
                by += 40_000;
                state.long_step = Some(state.step);
            }
            let by = state.slow.unwrap_or(TimeDelta::milliseconds(by));
            state.pass(by);
            if !state.calm && state.others_left > 0 && state.others.per_mille(120) {
                state.others_left -= 1;
                state.act();
            }
            if !state.calm && state.turns.per_mille(2) {
                state.stop.request();
                state.note(|| "the run is asked to stop".to_owned());
            }
            if !state.calm && state.crashes_left > 0 && state.crashes.per_mille(12) {
                state.crashes_left -= 1;
                state.crashed = true;
                state.note(|| "the program dies".to_owned());
            }
            (state.turns.below(2), state.crashed)
        };
        if crashed {
            std::future::pending::<()>().await;
        }
        for _ in 0..turns {
            let mut once = false;
            std::future::poll_fn(|context: &mut Context<'_>| {
                context.waker().wake_by_ref();
                if std::mem::replace(&mut once, true) {
                    Poll::Ready(())
                } else {
                    Poll::Pending
                }
            })
            .await;
        }
    }

    /// A request is sent, and arrives.
    async fn asked(&self, kind: RequestKind) {
        *self.state().requests.entry(kind).or_default() += 1;
        self.step().await;
    }

    fn fails(&self, what: &str) -> Result<(), RegistryError> {
        let mut state = self.state();
        if state.fault(25) {
            state.note(|| format!("fails: {what}"));
            return Err(error(Failure::Server, what));
        }
        Ok(())
    }

    fn fails_reading(&self, repository: &RepositoryName, what: &str) -> Result<(), RegistryError> {
        let answer = self.fails(what);
        if answer.is_err()
            && let Some(repository) = self.state().repositories.get_mut(repository)
        {
            repository.unread = true;
        }
        answer
    }

    fn find(
        &self,
        repository: &RepositoryName,
        reference: &Reference,
        what: &str,
    ) -> Result<Option<Manifest>, RegistryError> {
        let state = self.state();
        let Some(repository) = state.repositories.get(repository) else {
            return Ok(None);
        };
        let digest = match reference {
            Reference::Digest(digest) => Some(digest),
            Reference::Tag(tag) => repository.tags.get(tag),
        };
        if digest.is_some_and(|digest| state.unreadable.contains(digest)) {
            return Err(error(Failure::Server, what));
        }
        Ok(digest.and_then(|digest| repository.manifests.get(digest).cloned()))
    }
}

fn error(failure: Failure, what: &str) -> RegistryError {
    RegistryError::new(failure, what, "it was to be so")
}

/// Runs a future until it ends; `None` if the program died in it.
pub(crate) fn drive<T>(world: &Simulated, future: impl Future<Output = T>) -> Option<T> {
    let mut future = pin!(future);
    let mut context = Context::from_waker(std::task::Waker::noop());
    loop {
        if let Poll::Ready(value) = future.as_mut().poll(&mut context) {
            return Some(value);
        }
        let mut state = world.state();
        if state.crashed {
            state.crashed = false;
            return None;
        }
    }
}

impl Clock for Simulated {
    fn now(&self) -> Time {
        self.state().now
    }

    async fn sleep(&self, duration: Duration) {
        let by = TimeDelta::from_std(duration).unwrap_or(TimeDelta::days(1));
        self.state().pass(by);
    }
}

impl RegistryRead for Simulated {
    fn identity(&self) -> &RegistryIdentity {
        static IDENTITY: OnceLock<RegistryIdentity> = OnceLock::new();
        IDENTITY.get_or_init(|| RegistryIdentity {
            name: "simulated".parse().unwrap(),
            url: "memory:".to_owned(),
            kind: RegistryKind::Oci,
        })
    }

    fn capabilities(&self) -> Capabilities {
        let offered = |offered| {
            if offered {
                Capability::Offered
            } else {
                Capability::NotOffered
            }
        };
        let quirks = self.state().quirks;
        Capabilities {
            referrers: offered(quirks.referrers_api),
            delete_tag: offered(quirks.delete_tag),
            ..Capabilities::default()
        }
    }

    fn requests(&self) -> RequestCounts {
        let state = self.state();
        state
            .requests
            .iter()
            .map(|(kind, count)| (*kind, *count))
            .collect()
    }

    async fn list_repositories(&self) -> Result<Vec<RepositoryName>, RegistryError> {
        self.asked(RequestKind::Catalog).await;
        self.fails("GET catalog")?;
        Ok(self.state().repositories.keys().cloned().collect())
    }

    async fn list_tags(&self, repository: &RepositoryName) -> Result<Vec<Tag>, RegistryError> {
        self.asked(RequestKind::Tags).await;
        self.fails_reading(repository, "GET tags")?;
        let mut state = self.state();
        state.note(|| format!("list {repository}"));
        let (step, now) = (state.step, state.now);
        let Some(repository) = state.repositories.get_mut(repository) else {
            return Err(error(Failure::NotFound, "GET tags"));
        };
        if std::mem::take(&mut repository.vanished) && !repository.unread {
            // The same reading goes on: it looks at the tags that are new, and at no other again.
            for tag in repository.tags.keys() {
                if !repository.listed.contains(tag) {
                    repository.listed_again.entry(tag.clone()).or_insert(step);
                }
            }
        } else {
            repository.listed_at = step;
            repository.listed_when = now;
            repository.unread = false;
            repository.listed = repository.tags.keys().cloned().collect();
            repository.listed_again.clear();
        }
        Ok(repository.tags.keys().rev().cloned().collect())
    }

    async fn manifest(
        &self,
        repository: &RepositoryName,
        reference: &Reference,
    ) -> Result<Manifest, RegistryError> {
        self.asked(RequestKind::Manifest).await;
        self.fails_reading(repository, "GET manifest")?;
        let found = self.find(repository, reference, "GET manifest")?;
        if found.is_none()
            && let Reference::Tag(_) = reference
            && let Some(repository) = self.state().repositories.get_mut(repository)
        {
            repository.vanished = true;
        }
        found.ok_or_else(|| error(Failure::NotFound, "GET manifest"))
    }

    async fn resolve(
        &self,
        repository: &RepositoryName,
        reference: &Reference,
    ) -> Result<Option<Head>, RegistryError> {
        self.asked(RequestKind::Head).await;
        self.fails("HEAD manifest")?;
        {
            let mut state = self.state();
            let step = state.step;
            if let (Reference::Tag(tag), Some(found)) = (reference, state.repositories.get_mut(repository)) {
                found.looked_at.insert(tag.clone(), step);
            }
        }
        let found = self.find(repository, reference, "HEAD manifest")?;
        if let (None, Reference::Digest(digest)) = (&found, reference) {
            let mut state = self.state();
            if state.repositories.contains_key(repository) && state.others_took(repository, digest, 0) {
                state.turned_down.insert((repository.clone(), digest.clone()));
            }
        }
        Ok(found.map(|manifest| Head {
            digest: manifest.digest().clone(),
            media_type: Some(manifest.media_type().clone()),
        }))
    }

    async fn referrers(
        &self,
        repository: &RepositoryName,
        subject: &Digest,
    ) -> Result<Referrers, RegistryError> {
        self.asked(RequestKind::Referrers).await;
        self.fails_reading(repository, "GET referrers")?;
        let state = self.state();
        if !state.quirks.referrers_api {
            return Ok(Referrers::NoApi);
        }
        let manifests = state.repositories.get(repository).map(|found| &found.manifests);
        let of_subject = manifests
            .into_iter()
            .flat_map(|manifests| manifests.values())
            .filter(|manifest| manifest.subject().is_some_and(|other| other.digest == *subject));
        Ok(Referrers::Listed(
            of_subject
                .map(|manifest| Descriptor {
                    media_type: manifest.media_type().clone(),
                    digest: manifest.digest().clone(),
                    size: manifest.bytes().len() as u64,
                    artifact_type: None,
                    platform: None,
                })
                .collect(),
        ))
    }

    async fn config_blob(&self, _: &RepositoryName, _: &Digest, _: usize) -> Result<Bytes, RegistryError> {
        Err(error(Failure::NotFound, "GET blob"))
    }
}

impl RegistryProbe for Simulated {
    async fn probe_deletion(&self, _: &RepositoryName, _: &[Tag]) {}
}

impl RegistryWrite for Simulated {
    async fn has_blob(&self, repository: &RepositoryName, digest: &Digest) -> Result<bool, RegistryError> {
        self.asked(RequestKind::Blob).await;
        self.fails("HEAD blob")?;
        let mut state = self.state();
        let name = repository;
        let Some(repository) = state.repositories.get(name) else {
            return Ok(false);
        };
        if state.quirks.claims_blobs && was_there(repository, digest) {
            // By a HEAD it is there. Only who reads it finds out.
            return match on(Safeguard::TasteBlobs) {
                true => Err(error(Failure::NotFound, "GET blob")),
                false => Ok(true),
            };
        }
        let there = repository.blobs.contains(digest);
        if !there {
            state.turned_down.insert((name.clone(), digest.clone()));
        }
        Ok(there)
    }

    fn deletes(&self) -> DeletesHow {
        let takes_along = self.state().quirks.takes_along;
        DeletesHow {
            takes_along,
            one_by_one: takes_along,
        }
    }

    async fn delete(&self, recorded: &RecordedDelete) -> Result<Deletion, RegistryError> {
        self.asked(RequestKind::Delete).await;
        let intent = recorded.intent();
        if let Some(detail) = self.why_left(recorded) {
            return Ok(Deletion::Left { detail });
        }
        let effect = Effect {
            sequence: recorded.sequence(),
            repository: intent.repository.clone(),
            digest: intent.digest.clone(),
            tag: None,
            step: 0,
        };
        let intended = intent.tags.iter().cloned().collect();
        let mut seen = self.seen(&effect.repository);
        if self.state().quirks.takes_along {
            // Tags are taken off, each by a request of its own, and others go on.
            for _ in &intent.tags {
                self.step().await;
            }
            if on(Safeguard::AlongLookedAtLast)
                && let Some(detail) = self.why_left(recorded)
            {
                return Ok(Deletion::Left { detail });
            }
            seen = Seen {
                at: self.state().step,
                ..Seen::default()
            };
        }
        self.carry(effect, seen, &intended)
    }

    async fn untag(&self, recorded: &RecordedUntag) -> Result<Deletion, RegistryError> {
        self.asked(RequestKind::Delete).await;
        let intent = recorded.intent();
        let effect = Effect {
            sequence: recorded.sequence(),
            repository: intent.repository.clone(),
            digest: intent.digest.clone(),
            tag: Some(intent.tag.clone()),
            step: 0,
        };
        let beside = intent.others.iter().chain(&intent.leaving).cloned().collect();
        self.state().beside.insert(recorded.sequence(), beside);
        let seen = Seen {
            staying: self.looked_at(recorded),
            ..self.seen(&effect.repository)
        };
        self.carry(effect, seen, &BTreeSet::from([intent.tag.clone()]))
    }

    async fn put_manifest(&self, restore: &RecordedRestore, tag: Option<&Tag>) -> Result<(), RegistryError> {
        self.asked(RequestKind::Put).await;
        self.fails("PUT manifest")?;
        let mut state = self.state();
        if state.fails_puts {
            return Err(error(Failure::Server, "PUT manifest"));
        }
        let intent = restore.intent();
        let name = &intent.repository;
        let digest = &intent.digest;
        let manifest = Manifest::read(restore.bytes().clone(), digest.clone(), Some(&intent.media_type))
            .map_err(|_| error(Failure::Malformed, "PUT manifest"))?;
        let quirks = state.quirks;
        let forgotten = state.fault(15);
        state.note(|| format!("put {name}@{digest} {tag:?}"));
        let mut bad = Vec::new();
        let step = state.step;
        if state.repositories.contains_key(name) && state.cannot_come_back(name, digest) {
            state.turned_down.insert((name.clone(), digest.clone()));
        }
        let Some(repository) = state.repositories.get_mut(name) else {
            return Err(error(Failure::NotFound, "PUT manifest"));
        };
        let is_known = |blob: &Digest| {
            repository.blobs.contains(blob) || quirks.claims_blobs && was_there(repository, blob)
        };
        let whole = blobs(&manifest).iter().all(is_known)
            && children(&manifest)
                .iter()
                .all(|child| repository.manifests.contains_key(child));
        if quirks.checks_references && !whole {
            return Err(error(Failure::Refused, "PUT manifest"));
        }
        if forgotten || quirks.forgets && !whole {
            state.note(|| "forgotten".to_owned());
            return Ok(());
        }
        repository.manifests.insert(digest.clone(), manifest);
        if let Some(tag) = tag {
            let now = repository.tags.get(tag);
            let put = repository.put_at.get(tag).copied().unwrap_or(0);
            let looked = repository.looked_at.get(tag).copied().unwrap_or(0);
            if let Some(now) = now.filter(|now| *now != digest && put <= looked) {
                let lists = |digest| repository.manifests.get(digest).map(children).unwrap_or_default();
                let merged = lists(digest);
                let is_merge = matches!(AttachmentForm::of(tag), Some((AttachmentForm::ReferrersIndex, _)))
                    && lists(now).iter().all(|listed| merged.contains(listed));
                if !is_merge {
                    bad.push(format!(
                        "I6: {name}:{tag} was on something else, and was overwritten"
                    ));
                }
            }
            repository.tags.insert(tag.clone(), digest.clone());
            repository.put_at.insert(tag.clone(), step);
        }
        for text in bad {
            state.violation(text);
        }
        if let Some(happens) = state.at_put.take() {
            happens(&mut state);
        }
        Ok(())
    }

    async fn mount_blob(
        &self,
        restore: &RecordedRestore,
        blob: &Blob,
        from: &RepositoryName,
    ) -> Result<Mount, RegistryError> {
        self.asked(RequestKind::Mount).await;
        self.fails("POST mount")?;
        let mut state = self.state();
        let to = restore.intent().repository.clone();
        state.note(|| format!("mount {} from {from} in {to}", blob.digest));
        if state.quirks.takes_along {
            // The adapter of such a registry takes over nothing: a copy would go along with another one.
            return Err(error(Failure::Unsupported, "POST mount"));
        }
        let forgotten = state.fault(15);
        let there = state.repositories.get(from);
        let has = there.is_some_and(|there| there.blobs.contains(&blob.digest));
        let claims = state.quirks.claims_blobs && there.is_some_and(|there| was_there(there, &blob.digest));
        if !has && !claims {
            return Err(error(Failure::NotFound, "POST mount"));
        }
        if has && !forgotten {
            let repository = state.repositories.entry(to).or_default();
            repository.blobs.insert(blob.digest.clone());
        }
        Ok(Mount::Mounted)
    }
}

impl Simulated {
    /// What an adapter sees right before it deletes, where a deletion takes along what hangs on the manifest.
    fn why_left(&self, recorded: &RecordedDelete) -> Option<String> {
        let intent = recorded.intent();
        let on_record = |digest: &Digest| recorded.unit().iter().find(|other| other.digest == *digest);
        let state = self.state();
        if !state.quirks.takes_along {
            return None;
        }
        let repository = state.repositories.get(&intent.repository)?;
        repository.manifests.get(&intent.digest)?;
        let tags_on = |digest: &Digest| -> BTreeSet<&Tag> {
            let tags = repository.tags.iter().filter(|(_, on)| *on == digest);
            tags.map(|(tag, _)| tag).collect()
        };
        let along = taken_along(repository, &intent.digest);
        let unknown = along.iter().find(|digest| {
            on_record(digest).is_none_or(|other| tags_on(digest) != other.tags.iter().collect())
        });
        let parent = repository
            .manifests
            .values()
            .find(|manifest| children(manifest).contains(&intent.digest));
        if tags_on(&intent.digest) != intent.tags.iter().collect() {
            Some("other tags are on it".to_owned())
        } else if unknown.is_some() {
            Some("something would go along that is not on record".to_owned())
        } else {
            parent.map(|_| "an index lists it".to_owned())
        }
    }

    fn seen(&self, repository: &RepositoryName) -> Seen {
        let state = self.state();
        let repository = state.repositories.get(repository);
        repository.map_or_else(Seen::default, |repository| Seen {
            at: repository.listed_at,
            later: repository.listed_again.clone(),
            ..Seen::default()
        })
    }

    /// When the tags that are to stay were looked at, since it was on record that another one goes.
    fn looked_at(&self, recorded: &RecordedUntag) -> BTreeMap<Tag, u64> {
        let state = self.state();
        let intent = recorded.intent();
        let Some((_, _, since)) = state.durable.get(&recorded.sequence()) else {
            return BTreeMap::new();
        };
        let looked_at = &state.repositories[&intent.repository].looked_at;
        let looked = |tag: &Tag| looked_at.get(tag).copied().filter(|step| step > since);
        let others = intent.others.iter();
        others
            .filter_map(|tag| Some((tag.clone(), looked(tag)?)))
            .collect()
    }

    /// A request to delete something: it may be refused, be lost, lose its answer, or take effect late.
    ///
    /// What is there only since later than `seen` no client could have seen.
    fn carry(&self, effect: Effect, seen: Seen, intended: &BTreeSet<Tag>) -> Result<Deletion, RegistryError> {
        let mut state = self.state();
        state.note(|| format!("delete {}@{} {:?}", effect.repository, effect.digest, effect.tag));
        state.sent(&effect, intended);
        let sent = state.step;
        if state.fault(15) {
            return Err(error(Failure::Denied, "DELETE"));
        }
        if state.fault(25) {
            // Nobody gets an answer; whether it happens, and when, is another matter.
            let minutes = state.faults.below(9) as i64;
            match state.faults.below(3) {
                0 => {
                    state.carry_out(effect, &seen, intended);
                }
                1 => {
                    let due = state.now + TimeDelta::minutes(minutes) + TimeDelta::seconds(1);
                    state.late.push(Late {
                        sent,
                        due,
                        seen,
                        effect,
                        intended: intended.clone(),
                    });
                }
                _ => {}
            }
            return Err(error(Failure::Timeout, "DELETE"));
        }
        if state.fault(15) {
            // Accepted, and done later or never.
            if state.faults.per_mille(500) {
                let due = state.now + TimeDelta::minutes(3);
                state.late.push(Late {
                    sent,
                    due,
                    seen,
                    effect,
                    intended: intended.clone(),
                });
            }
            return Ok(Deletion::Accepted);
        }
        // What stands between sends it again, and hands on the second answer.
        let again = state.fault(10);
        Ok(if state.carry_out(effect, &seen, intended) && !again {
            Deletion::Accepted
        } else {
            Deletion::NotFound
        })
    }
}
